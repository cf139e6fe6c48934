# %% [markdown]
# # 00 · Start here
#
# In ten minutes from now your machine is checked, you know how a chapter works, and you have generated a first clip from words. It will be a bad one. The rest of the course is about making it good, and about knowing that it is.
#
# **Time**: 10 minutes. **You need**: nothing but this notebook. If you have never used one: click on the first grey cell below and press Shift+Enter. It runs, shows what it gives, and moves on to the next.
#
# When you are through, you can
#
# 1. **run** a chapter and **check** your machine;
# 2. **name** what the course judges a clip by;
# 3. **say** why a generator that copies is as bad as one that draws noise.

# %%
import torch

from course import budget, doctor, progress
from course.datasets import captions, sprites
from course.display import show
from course.evaluation import judge
from course.exercises.checking import check, hint, working

print(budget.settle())

# %% [markdown]
# ## Is everything there?
#
# The doctor looks at what the course needs. Where something is missing, it says how to mend it. You can also call it from a terminal: `python -m course doctor`.

# %% tags=["nbval-ignore-output"]
print(doctor.report(doctor.examine()))

# %% [markdown]
# ## The world
#
# Everything in this course is trained and judged on a small world that is drawn by the computer: coloured shapes that move by simple laws. Here is one clip with the sentence that describes it.

# %%
batch = sprites.sample(
    500,
    generator=budget.generator(0),
    combinations=[captions.Combination("red", "circle", "right")],
)

print(batch.captions[0])
show(batch.clips[0], description=batch.captions[0])

# %% [markdown]
# Why such a toy? Because here a clip can be judged *exactly*. For a film from the internet nobody can compute whether it "looks right"; the field asks other networks, or people. For a sprite we can read off the picture what is in it, where, and how it moves. That is the **judge**. It needs no training and no mercy:
#
# | it asks | in words |
# |---|---|
# | VALID | does every frame show a sprite at all? |
# | IDENTITY | does it keep its shape and colour? |
# | MOTION | does it move by a law of the world? |
# | CAPTION | does it do what the words say? |
# | NOVELTY | how far is it from the nearest clip in the training set? |
#
# And what works here, works beyond: the networks that you will build for 16 x 16 pixels are those of the large systems, made small enough for your laptop.
#
# ## Your first generator
#
# A **generator** turns words and chance into a clip. The simplest that deserves the name takes the clips that go with the words, measures their mean and how they vary around it, and draws something new with the same mean and the same variation: a Gaussian. There is a neat way to do that: take each clip's difference from the mean with a random weight of variance 1 / N and add them up. The sum varies as the clips do. (What leaves [0, 1] is cut off, which bends this a little.)


# %%
def gaussian(clips: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw a clip that has the mean and the covariance of (N, T, C, H, W)."""
    mean = clips.mean(dim=0)
    weights = torch.randn(len(clips), generator=generator) / len(clips) ** 0.5
    return (mean + torch.einsum("n,ntchw->tchw", weights, clips - mean)).clamp(0, 1)


first = gaussian(batch.clips, budget.generator(1))
show(
    first, description="a reddish ghost: a smear of many circles at once that drifts to the right"
)

# %% [markdown]
# There it is: your first generated clip. Something red is going right, so the words were not in vain. But it is a ghost, a random mixture of all the circles in the training set, some of them with a negative weight. Mixtures of clips are not clips, and this will haunt us until chapter 09.
#
# ## Asking the judge
#
# Eyes are easily pleased. So let each generator make 200 clips for the same words, and ask the judge. Beside the Gaussian stand two that you should always think of: **noise**, which has learned nothing, and a **copyist**, who hands out training clips. The last line shows fresh clips from the world itself, the best that can be reached. **Who of the three do you think will win, and should they?**

# %%
generator = budget.generator(2)
asked = batch.captions[:200]
picked = torch.randint(len(batch.clips), (200,), generator=generator)
generated = {
    "noise": torch.rand(200, *batch.clips.shape[1:], generator=generator),
    "gaussian": torch.stack([gaussian(batch.clips, generator) for _ in range(200)]),
    "copyist": batch.clips[picked],
    "the world": sprites.sample(
        200, generator=generator, combinations=batch.state.combinations()[:1]
    ).clips,
}

print(f"{'generator':10}{'VALID':>8}{'IDENTITY':>10}{'MOTION':>8}{'CAPTION':>9}{'NOVELTY':>9}")
for name, clips in generated.items():
    rates = judge.judge(clips, asked).rates()
    novelty = judge.novelty(clips, batch.clips).mean()
    print(
        f"{name:10}{rates['valid']:8.0%}{rates['identity']:10.0%}{rates['motion']:8.0%}{rates['caption']:9.0%}{novelty:9.2f}"
    )

show(
    {name: clips[0] for name, clips in generated.items()},
    description="coloured noise, a red ghost, a perfect red circle that was copied, and a new one",
)

# %% [markdown]
# The copyist passes every test and has made nothing: its NOVELTY is zero. Noise is far from every training clip, and that is all. The Gaussian is not valid once. (The judge always names the sprite that fits *best*, even where none fits well, so a ghost can have a motion. Read the other columns only where VALID is high.) **A generator is good only if it is valid *and* new**, and each chapter will report both.
#
# ## How a chapter works
#
# - It opens with something that fails, builds the piece that mends it by hand, proves the piece right, and measures what it gained.
# - Before most experiments it asks you to **predict** the result. Do. It is the cheapest way to learn.
# - Lines that begin with *holds* or *does not hold* are **claims**: a number that the run measured, beside the bound that was set before and, where there is one, a baseline or a control.
# - At the end it says what still fails. That is where the next chapter begins.
#
# ## How an exercise works
#
# An exercise is a function with a hole in it and a check below. The check says PASS, TO DO or FAIL in one line, and if it fails, what differs and where to look. Here is one that fails on purpose: a clip should be played backwards, and this function turns the wrong thing round. Look at the clip, then at what the check says.


# %%
def mirrored(clip: torch.Tensor) -> torch.Tensor:
    """Meant to play (T, C, H, W) backwards."""
    return clip.flip(1)


show(
    {"forwards": batch.clips[0], "meant to be backwards": mirrored(batch.clips[0])},
    description="left: a red circle moves right; right: it still moves right, and has become blue",
)
check("00-backwards", mirrored, rehearsal=True)

# %% [markdown]
# ### Exercise 0.1 · Backwards
#
# *3 minutes, difficulty 1 of 3.* Write it anew, right. You should then see the circle go back to where it came from, still red. Then run the check. If you are stuck, call for hints: there are three, and then the answer.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "00-backwards", "locked": false, "schema_version": 3, "solution": true, "task": false}
def backwards(clip: torch.Tensor) -> torch.Tensor:
    """Play (T, C, H, W) backwards."""
    # BEGIN SOLUTION: a tensor (T, C, H, W), the last frame first
    return clip.flip(0)
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "00-backwards-check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check("00-backwards", backwards)

# %%
# hint("00-backwards")  # take away the first # and run: three hints, one for each run, then the answer

# %%
show(
    working("00-backwards", backwards)(batch.clips[0]),
    description="a red circle that moves back to the left",
)

# %% [markdown]
# Every check in this course is itself tested: it accepts the answer, and it rejects at least three plausible wrong ones, like the one above. So when it says PASS, you may believe it.
#
# ## Where you work, and where you stand
#
# There are two editions of each chapter. The one in `notebooks/` is for reading: all answers are there, folded away. The one in `workbook/` is yours: `python -m course workbook` writes it, and never overwrites what you did. There, checks that passed and hints that were opened are noted in a small file on your machine, and this picture shows them.

# %%
progress.show()

# %% [markdown]
# Ready? **[Chapter 01](01_video_as_data.ipynb)** takes video apart until nothing is left but numbers.
