"""Video generation from scratch: the reference implementations that the notebooks build and prove.

Each module has one job, and imports run one way, from left to right (``tests/test_architecture.py`` walks them)::

    clips, budget, distributed -> video -> datasets -> layers -> models -> diffusion -> training -> generation
        -> evaluation -> display -> progress -> exercises -> notebooks -> workbook -> assignment -> answer_key
        -> workshop -> slides -> recipes -> cli

clips       the (B, T, C, H, W) convention: check, convert, resize, tile
budget      smoke or full: how much work a run may do; seeds, threads, CPU time
distributed several workers, one training: shares of a batch, gradients of all, one writer
video       video files to clips and back
datasets    sprites with their state and captions, drawings, digits, a test of memory, photographs, video files
layers      recurrent cells, attention, positions, convolution in time, ways to tell a network a context, tokens
models      networks made of layers: each takes a frozen config and tensors
diffusion   noise over clips and back: schedules, losses, samplers, guidance, for any network that can be called
training    the loop with exact resume, two that learn by turns, checkpoints, averaged weights, trainings side by side
generation  the rollout of a predictor; what a cascade's stages are shown; known frames; tokens one by one
evaluation  frame metrics, sets of clips compared, trivial baselines, the judge, gradients by frame, claims
display     clips, strips, figures and widgets in a notebook
progress    which exercises a learner has passed
exercises   checks and hints, questions, points
notebooks   executing, pairing and checking the chapters
workbook    the learner's own copies of the chapters
assignment  the chapters for nbgrader, with points
answer_key  the answers, with the usual mistakes and what to say of them
workshop    three hours that begin at any chapter, added up from measured minutes
slides      a chapter as slides that open offline
recipes     what is trained in the chapters, from the parts; the checkpoints that are shipped
doctor      what the machine has and lacks
benchmark   how fast the datasets and the layers are, what predictors and denoisers learn in equal time
cli         ``python -m course ...``

Nothing is re-exported here: import the module that has what you need.
"""
