# %% [markdown]
# # 06 · Frame prediction
#
# Five frames are given: what comes next? In this chapter you turn each of your three ways to treat time into a predictor of one frame, feed it its own output to get a clip, watch what goes wrong, and mend it twice. At the end a network meets a future that cannot be known, and answers with one sharp clip of two, in place of a blur of both.
#
# **Time**: about 100 minutes to read, 65 for the exercises, about five to run. **You need**: chapters 03 to 05 (one of the three will do), and the judge of chapter 02.
#
# When you are through, you can
#
# 1. **build** a predictor of the next frame on any trunk, and **show** that it sees no later frame;
# 2. **roll out** a clip from it, and **catch** a rollout that was fed with the truth;
# 3. **explain** by measurement why the best predictor of one frame is not the best of ten;
# 4. **choose** between predicting step by step and all at once;
# 5. **say** why squared error rewards a blur, and **draw** futures that are sharp.

# %%
import csv
from dataclasses import replace

import torch
from torch import Tensor, nn

from course import budget
from course.datasets import sprites
from course.datasets.captions import HELD_OUT, Combination
from course.datasets.digits import STEP, load_digits, moving_digits
from course.display import curve, explore, heatmap, progress, show, strip
from course.evaluation import baselines
from course.evaluation.claims import claim
from course.evaluation.floor import floor
from course.evaluation.frames import squared_error
from course.evaluation.judge import VALID_BOUND, judge
from course.exercises.checking import check, hint
from course.generation import rollout as package
from course.models.predictors import TRUNKS, FramePredictor, PredictorConfig
from course.recipes import next_frame
from course.recipes.next_frame import HORIZON, NUM_CONTEXT, NextFrameRun
from course.recipes.prediction import (
    PUBLISHED_MODELS,
    as_predictor,
    evaluation_batches,
    prediction_baselines,
    scores,
)
from course.recipes.shipped import CHECKPOINTS, load_predictor

print(budget.settle())

# %% [markdown]
# ## One word is no clip
#
# Chapter 05 ended with a network that looks at a clip and says *left*. Say that it looks at these five frames, and is right. On the left what came then, and on the right all that one word lets us draw: the last frame, for ever.

# %%
config = sprites.SpriteConfig(num_frames=NUM_CONTEXT + HORIZON)
moving = sprites.sample(
    1,
    generator=budget.generator(3),
    config=config,
    combinations=[Combination("yellow", "circle", "left")],
)
stuck = baselines.copy_last(moving.clips[:, :NUM_CONTEXT], HORIZON)
stuck = torch.cat([moving.clips[:, :NUM_CONTEXT], stuck], dim=1)
show(
    {"what came": moving.clips[0], "what we can draw": stuck[0]},
    description="a yellow circle moves left, bounces and comes back; beside it the same five frames, and then it stands still",
)

# %% [markdown]
# An introduction to video generation, the one that this course grew from, calls generating a video *a frame prediction problem*, solved *recursively*: predict one frame, add it to the clip, predict the next. That is this chapter's plan, and its problem.
#
# ### The words of the field
#
# The same two numbers have many names. Ours stand on the left, here and in all later chapters.
#
# | here | elsewhere |
# |---|---|
# | **context**: the frames that are given, `num_context` of them | `n_past` (SVG), `pre_seq_length` (OpenSTL), `n_cond_frames` (VideoGPT), `num_frames_cond` (MCVD), `context_frames` (the code of Finn et al. 2016) |
# | **horizon**: the number of frames to predict | `n_future` (SVG), `aft_seq_length` (OpenSTL), `num_frames_pred` (MCVD); beware of `sequence_length` in Finn's code, which counts the context too |
# | **target**: the true continuation; **prediction**: ours | ground truth, future; generated, hallucinated frames |
# | **rollout**: a loop that feeds its own output back | recursive, autoregressive or iterated prediction, free running |
# | **direct** prediction: all frames in one call | multi-step, one-shot, multiple-in-multiple-out |
#
# ## 1. What costs nothing
#
# Before any network: what do answers cost that know nothing, or next to nothing? Ten frames are to be predicted from five. The error is chapter 02's *squared error*, summed over the pixels of a frame. We test on combinations of colour, shape and motion that no network here is trained on.
#
# *All black* and *copy the last frame* need no words. The *mean frame* averages the context; the *dataset's mean* averages a thousand other clips. *Constant velocity* finds by block matching (chapter 01) how many whole pixels the frame moved last, and goes on so. **Which will be best at the first frame, which at the tenth?**

# %%
test = next_frame.prediction_clips(200, generator=budget.generator(600), combinations=HELD_OUT)
context, target = test.clips[:, :NUM_CONTEXT], test.clips[:, NUM_CONTEXT:]
others = next_frame.prediction_clips(1000, generator=budget.generator(601)).clips

rules = {
    "all black": baselines.all_black,
    "copy last": baselines.copy_last,
    "mean frame": baselines.mean_frame,
    "dataset's mean": baselines.dataset_mean(others),
    "constant velocity": baselines.constant_velocity,
}


def error_by_frame(prediction: Tensor, wanted: Tensor = target) -> list[float]:
    """Return the squared error of each frame of the horizon, the mean over the clips."""
    return squared_error(prediction, wanted).mean(dim=0).tolist()


by_rule = {name: error_by_frame(rule(context, HORIZON)) for name, rule in rules.items()}
for name, errors in by_rule.items():
    print(f"{name:17} t = 1: {errors[0]:4.1f}, t = 10: {errors[-1]:4.1f}")

# %%
FRAMES = list(range(1, HORIZON + 1))
curve(
    FRAMES,
    by_rule,
    x_label="frames ahead",
    y_label="squared error per frame",
    description="all black and the dataset's mean are level; copy last, mean frame and constant velocity begin below them and end above the dataset's mean, copy last highest of all",
)

# %% [markdown]
# Near the context, what moves goes on: constant velocity wins. Far from it, every rule that dares to draw a sprite pays twice when the sprite is elsewhere, once for what it drew and once for what it missed; a grey fog, the dataset's mean, pays less. Remember this: *an error near the dataset's mean says that a predictor knows nothing any more.* (Constant velocity does not know that walls are bounced from, nor what goes round in circles, nor tenths of a pixel.)
#
# ## 2. One step, three trunks
#
# A predictor of one frame takes frames $0..t$ and gives its guess of frame $t+1$. We want all guesses of a clip in one pass: (B, T, C, H, W) in, (B, T, C, H, W) out, where **output $t$ predicts frame $t+1$ and has seen frames $0..t$ alone**. It has three parts.
#
# *Encode*: cut each frame into patches of 4 x 4 pixels, so that 16 x 16 pixels become a grid of 4 x 4 places, each with $3 \cdot 16$ numbers; nothing is thrown away. *The trunk* treats time, and keeps the grid: a ConvLSTM (chapter 03), Transformer blocks with a causal mask along time (chapter 04), or causal 3D convolutions (chapter 05). *Paint*: from what the trunk says, make the *change* to the last frame. What stands still need not be painted again.

# %%
pixels = torch.arange(64.0).reshape(1, 1, 8, 8)
places = nn.PixelUnshuffle(4)(pixels)  # (1, 16, 2, 2): 16 numbers at each of 2 x 2 places
print("a row of the upper right patch:", pixels[0, 0, 0, 4:].tolist())
print("the first numbers of that place:", places[0, :4, 0, 1].tolist())

# %% [markdown]
# The class is the same for all three trunks. Does it equal the package's, with each of them?


# %%
class MyPredictor(nn.Module):
    """Predict the next frame after each frame, with any trunk that keeps (B, T, hidden, rows, columns)."""

    def __init__(self, trunk: nn.Module, hidden: int = 32, patch: int = 4) -> None:
        super().__init__()
        numbers = 3 * patch**2
        self.trunk = trunk
        self.encode = nn.Sequential(
            nn.PixelUnshuffle(patch), nn.Conv2d(numbers, hidden, 3, padding=1)
        )
        self.paint = nn.Sequential(
            nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(2 * hidden, numbers, 1),
            nn.PixelShuffle(patch),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """frames: (B, T, 3, H, W); output t predicts frame t + 1."""
        B, T = frames.shape[:2]
        encoded = self.encode(frames.flatten(0, 1)).unflatten(0, (B, T))
        told = torch.cat([encoded, self.trunk(encoded)], dim=2)  # (B, T, 2 * hidden, ...)
        return frames + self.paint(told.flatten(0, 1)).unflatten(0, (B, T))


torch.manual_seed(0)
for name, trunk in TRUNKS.items():
    theirs = FramePredictor(PredictorConfig(trunk=name))
    mine = MyPredictor(trunk(theirs.config))
    mine.load_state_dict(theirs.state_dict())
    same = torch.allclose(mine(context[:4]), theirs(context[:4]), atol=1e-5)
    count = sum(parameter.numel() for parameter in mine.parameters())
    print(f"{name:14} equal to the package's: {same}; {count} parameters")

# %% [markdown]
# A trunk that peeps would ruin everything that follows: it would learn to copy frame $t+1$ from its input. So we ask for the gradient, as in chapter 05. **What do you expect of each: which frames can output 5 see?**

# %%
clip = torch.rand(1, 8, 3, 16, 16, generator=budget.generator(0), requires_grad=True)
rows_seen = {}
for name in TRUNKS:
    torch.manual_seed(0)
    answer = FramePredictor(PredictorConfig(trunk=name))(clip)
    (gradient,) = torch.autograd.grad(answer[0, 5].sum(), clip)
    rows_seen[name] = gradient[0].abs().sum(dim=(1, 2, 3)) > 0

heatmap(
    torch.stack(list(rows_seen.values())).float(),
    rows=list(rows_seen),
    columns=[str(t) for t in range(8)],
    row_label="trunk",
    column_label="input frame",
    value_label="output 5 depends on it",
    digits=0,
    description="ones up to frame 5 and zeros behind it in every row; the row of the 3D convolution has ones from frame 1 on",
)
print("sees the future:", any(row[6:].any().item() for row in rows_seen.values()))

# %% [markdown]
# None sees frame 6. The memory and the Transformer see back to the beginning. Two layers of 3D convolution see five frames, and that is all they will ever see.
#
# ## 3. The rollout
#
# One frame is no clip. So call the predictor, append what it gives to the frames, and call it again: from now on it looks at frames that it made itself. By hand, with frames of a single pixel: a predictor has learned "$0.9$ times the last frame", and the truth stays at 1.

# %%
truth, fed_back, fed_truth = 1.0, 1.0, 1.0
for t in range(1, 5):
    fed_back = 0.9 * fed_back
    fed_truth = 0.9 * truth
    print(
        f"t = {t}: fed with the truth, error {truth - fed_truth:.2f}; "
        f"fed with its own output {truth - fed_back:.2f}"
    )

# %% [markdown]
# The same predictor, the same error of one step. Fed back, the error of each step becomes the next step's input, and grows: $1 - 0.9^t$. Which column you print decides how good your network looks.
#
# Here is the loop. Predictions are clamped to $[0, 1]$ before they go back in, since no frame is brighter than white.


# %%
def my_rollout(step: nn.Module, context: Tensor, horizon: int) -> Tensor:
    """Predict `horizon` frames, one after the other, each from the context and those before it."""
    frames = context
    for _ in range(horizon):
        with torch.no_grad():
            following = step(frames)[:, -1:].clamp(0, 1)  # the last output: the frame to come
        frames = torch.cat([frames, following], dim=1)
    return frames[:, context.shape[1] :]


predicted = my_rollout(theirs, context[:4], HORIZON)
print(
    "equal to the package's:",
    torch.equal(predicted, package.rollout(theirs, context[:4], HORIZON)),
)

tampered = test.clips[:4].clone()
tampered[:, NUM_CONTEXT:] = torch.rand(4, HORIZON, 3, 16, 16, generator=budget.generator(1))
again = my_rollout(theirs, tampered[:, :NUM_CONTEXT], HORIZON)
print("another truth after the context, the same prediction:", torch.equal(predicted, again))

# %% [markdown]
# The last line is a test to carry with you: **change the truth after the context, and nothing that was predicted may change.** It looks too easy to fail. Wait for section 6.
#
# ## 4. Three trunks at equal compute
#
# Each trunk is trained for the same CPU time on clips of other combinations: at each $t$ it sees the true frames so far and is asked for the next one. This is **teacher forcing** (Williams and Zipser 1989). Only frames after the context count in the loss. All nine trainings take about a minute on two cores.

# %% tags=["nbval-ignore-output"]
SECONDS = budget.choose(full=12.0, smoke=0.05)


def runs(model: str, seconds: float = SECONDS, **options: object) -> list[NextFrameRun]:
    """Return one training for each seed."""
    return [
        NextFrameRun(model=model, seed=seed, cpu_seconds=seconds, **options)
        for seed in budget.seeds()
    ]


def rolled_out(results: list[next_frame.NextFrameResult], given: Tensor = context) -> list[Tensor]:
    """Return the rollout of each trained model."""
    return [package.rollout(result.model(), given, HORIZON) for result in results]


results = next_frame.next_frame_results([run for name in TRUNKS for run in runs(name)])
forced = {name: [results[run] for run in runs(name)] for name in TRUNKS}
rollouts = {name: rolled_out(forced[name]) for name in TRUNKS}
by_trunk = {name: [error_by_frame(p) for p in rollouts[name]] for name in TRUNKS}
for name, trained in forced.items():
    seconds = sum(result.cpu_seconds for result in trained) / len(trained)
    print(f"{name:14} {len(trained[0].losses):4} steps, {seconds:.0f} CPU seconds each")

# %% tags=["nbval-ignore-output"]
curve(
    FRAMES,
    by_trunk | {"constant velocity": by_rule["constant velocity"]},
    x_label="frames ahead",
    y_label="squared error per frame",
    description="from t = 2 on all three trunks lie below constant velocity; the Transformer rises fastest and nearly meets it at the end, the recurrent trunk stays lowest",
)

# %% [markdown]
# All beat the rule that won the first frames, as soon as a second frame is asked for. And the control: the same networks are given the last frame of the context five times, so that they see *where* the sprite is, and not where it goes. A predictor that has understood motion must do much worse then.

# %% tags=["nbval-ignore-output"]
frozen = context[:, -1:].expand_as(context)
for name, at_most in (("recurrent", 13), ("Transformer", 18), ("3D convolution", 15)):
    claim(
        f"{name}, teacher forced: squared error of ten frames rolled out (baseline: constant velocity; control: the last frame given five times)",
        [sum(errors) / HORIZON for errors in by_trunk[name]],
        at_most=at_most,
        baseline=sum(by_rule["constant velocity"]) / HORIZON,
        control=[sum(error_by_frame(p)) / HORIZON for p in rolled_out(forced[name], given=frozen)],
    )

# %% [markdown]
# All three learn, and the order at this budget is no verdict on the trunks: one reading is that convolutions come with the knowledge that motion is local and the same everywhere, while a Transformer has to find that out from data, of which it gets a few thousand clips here. Watch them: the clip is right at first, and then it *melts*.

# %% tags=["nbval-ignore-output"]
with_truth = {"truth": target[0]} | {name: rollouts[name][0][0] for name in TRUNKS}
show(
    with_truth,
    fps=4,
    description=f"ten predicted frames, {test.captions[0]}: the truth stays sharp, the three predictions blur and lose their shape",
)

# %% [markdown]
# ## 5. Trained on one diet, fed another
#
# Why does it melt? In training the predictor saw true frames: sharp, each a step from the last. In a rollout it sees its own, a little blurred; nobody has taught it what to do with these. If that is the cause, training on its own frames must help; we shall see. Language models have the same disease; there it is called **exposure bias** (Ranzato et al. 2015). Two cures:
#
# - **Closed loop**: in training, too, feed back its own output after the context. The loss then counts what we measure. The gradient passes through the whole loop.
# - **Scheduled sampling** (Bengio et al. 2015): begin with the truth, and toss for each frame of each clip a coin that shows "truth" less and less often, until none is left. Easy lessons first.
#
# In code the three are one loop with another coin. **Your prediction: which of the three has the smallest error at $t = 1$? Which at $t = 10$?**


# %%
def predictions(model: FramePredictor, clips: Tensor, truth: Tensor) -> Tensor:
    """Predict frames 1 to T - 1; truth: (B, T), bool, says which frames are fed from the clip."""
    predicted, state, result = clips[:, 0], None, []
    for t in range(clips.shape[1] - 1):
        coin = truth[:, t, None, None, None]
        predicted, state = model.step(torch.where(coin, clips[:, t], predicted.clamp(0, 1)), state)
        result.append(predicted)
    return torch.stack(result, dim=1)


torch.manual_seed(0)
model, clips = FramePredictor(PredictorConfig(trunk="recurrent")), test.clips[:4]
truth = torch.ones(4, NUM_CONTEXT + HORIZON, dtype=torch.bool)
print(
    "all truth is one pass:   ",
    torch.allclose(predictions(model, clips, truth), model(clips[:, :-1]), atol=1e-5),
)
truth[:, NUM_CONTEXT:] = False
closed = predictions(model, clips, truth)[:, NUM_CONTEXT - 1 :].clamp(0, 1)
by_rollout = package.rollout(model, clips[:, :NUM_CONTEXT], HORIZON)
print("no truth is the rollout: ", torch.allclose(closed, by_rollout, atol=1e-5))
print(
    "equal to the package's:  ",
    torch.equal(predictions(model, clips, truth), next_frame.predictions(model, clips, truth)),
)

# %% [markdown]
# (A recurrent predictor needs no look back at the frames before: its state holds them, so one step is cheap. That is why we take this trunk here.) The same number of steps for all three; the loop costs more time for each. About a minute for six trainings.

# %% tags=["nbval-ignore-output"]
LOOPS = ("closed loop", "scheduled sampling")
results = next_frame.next_frame_results(
    [run for feed in LOOPS for run in runs("recurrent", feed=feed)]
)
fed = {"teacher forcing": forced["recurrent"]}
fed |= {feed: [results[run] for run in runs("recurrent", feed=feed)] for feed in LOOPS}
rollouts["teacher forcing"] = rollouts["recurrent"]
rollouts |= {feed: rolled_out(fed[feed]) for feed in LOOPS}
by_feed = {feed: [error_by_frame(p) for p in rollouts[feed]] for feed in fed}
for feed, trained in fed.items():
    seconds = sum(result.cpu_seconds for result in trained) / len(trained)
    print(f"{feed:18} {len(trained[0].losses)} steps, {seconds:.0f} CPU seconds each")

# %% tags=["nbval-ignore-output"]
curve(
    FRAMES,
    by_feed | {"constant velocity": by_rule["constant velocity"]},
    x_label="frames ahead",
    y_label="squared error per frame",
    description="teacher forcing begins lowest and ends highest of the three; scheduled sampling begins between the two others and ends lowest",
)


def compared(feed: str, t: int) -> list[float]:
    """Return the error of a feed, as a share of teacher forcing's, for each seed."""
    pairs = zip(by_feed[feed], by_feed["teacher forcing"], strict=True)
    return [errors[t - 1] / forced_errors[t - 1] for errors, forced_errors in pairs]


for feed in LOOPS:
    claim(
        f"{feed}: error at t = 1, as a share of teacher forcing's",
        compared(feed, 1),
        at_least=1.3,
        baseline=1.0,
    )
    claim(
        f"{feed}: error at t = 10, as a share of teacher forcing's (control: the same at t = 1)",
        compared(feed, 10),
        at_most=0.95,
        baseline=1.0,
        control=compared(feed, 1),
    )

# %% [markdown]
# Here the textbook is right: teacher forcing wins the first frame and loses the tenth, and each curve says what its training asked for. Note who wins the tenth: not the loop that was trained on nothing but what we measure. Our reading: an untrained closed loop feeds on rubbish, and learns slowly from it; the schedule gives it true frames while it can use nothing else, and takes them away when it can.
#
# And beware of a table that holds one number: "error of the next frame" would have made us ship the predictor that melts.
#
# ## 6. Broken on purpose
#
# Somebody evaluates the teacher-forced network: "Ten frames, predicted one by one". The code runs one pass over the whole clip and keeps the last ten outputs; all shapes fit. **What will its error at $t = 10$ be? And what becomes of it when we change the truth after the context?**


# %% tags=["nbval-ignore-output"]
def leaking(model: nn.Module, clips: Tensor) -> Tensor:
    """Predict the frames after the context, or so it seems."""
    with torch.no_grad():
        return model(clips[:, :-1])[:, NUM_CONTEXT - 1 :].clamp(0, 1)


models = [result.model() for result in forced["recurrent"]]
miracle = [error_by_frame(leaking(model, test.clips))[-1] for model in models]
claim(
    "Error at t = 10 of a rollout that is fed with the truth, as a share of the honest one",
    [leak / honest[-1] for leak, honest in zip(miracle, by_feed["teacher forcing"], strict=True)],
    at_most=0.3,
    baseline=1.0,
)
tampered = test.clips[:4].clone()
tampered[:, NUM_CONTEXT:] = 0.0
for name, predict in (
    ("leaking", leaking),
    ("honest", lambda model, clips: package.rollout(model, clips[:, :NUM_CONTEXT], HORIZON)),
):
    change = (predict(models[0], tampered) - predict(models[0], test.clips[:4])).abs().amax(dim=0)
    moved = [t + 1 for t in range(HORIZON) if change[t].max() > 0]
    print(f"{name}: the truth is made black, and predictions change at t = {moved or 'no frame'}")

# %% [markdown]
# A miracle: the tenth frame as good as the first. Of course: it *is* a first frame, predicted from nine true ones. It is a leak that is easily made, since the loop of training *is* the leak. The test of section 3 catches it at once, and note at which $t$ it does *not*: the first prediction is honest, so a test that looks at one frame proves nothing. Exercise 6.4 asks you to write the test.
#
# ## 7. All at once
#
# Why go step by step at all? Stack the five frames of the context like fifteen colours, and let one convolutional network paint all ten frames: **direct** prediction. No loop, so nothing feeds on its own mistakes; each frame has weights of its own in the last layer. The price: the horizon is built in. About twenty seconds.

# %% tags=["nbval-ignore-output"]
results = next_frame.next_frame_results(runs("direct"))
direct = [results[run] for run in runs("direct")]


def all_at_once(result: next_frame.NextFrameResult) -> Tensor:
    """Return the direct prediction for the test clips."""
    with torch.no_grad():
        return result.model()(context).clamp(0, 1)


by_direct = [error_by_frame(all_at_once(result)) for result in direct]
curve(
    FRAMES,
    {name: by_feed[name] for name in ("teacher forcing", "scheduled sampling")}
    | {"direct": by_direct},
    x_label="frames ahead",
    y_label="squared error per frame",
    description="direct prediction begins above teacher forcing, hardly rises, and is lowest from the third frame on",
)
claim(
    "Direct prediction: squared error at t = 10 (baseline: constant velocity; control: teacher forcing, rolled out)",
    [errors[-1] for errors in by_direct],
    at_most=10,
    baseline=by_rule["constant velocity"][-1],
    control=[errors[-1] for errors in by_feed["teacher forcing"]],
)

# %% tags=["nbval-ignore-output"]
show(
    {
        "truth": target[0],
        "teacher forcing": rollouts["teacher forcing"][0][0],
        "scheduled sampling": rollouts["scheduled sampling"][0][0],
        "direct": all_at_once(direct[0])[0],
    },
    fps=4,
    description=f"ten predicted frames, {test.captions[0]}: teacher forcing melts, scheduled sampling blurs less, direct prediction keeps nearest to the truth",
)

# %% [markdown]
# For ten frames of *this* world, direct wins by far. (It is another network, too, and its steps are quicker, so that it saw several times as many clips in the same CPU time: that belongs to what is compared.) Strong predictors of the field's benchmarks paint all frames at once (SimVP, Gao et al. 2022). So was the recursion, the plan of this chapter's opening, a mistake? It has one thing that direct prediction has not: it does not end. The network above has no eleventh frame. (And large systems do both: a block of frames at once, block after block.)
#
# ### How many frames must be given?
#
# A recurrent predictor takes a context of any length. Below, the truth on the left and a rollout on the right; a grey line beneath means that the frame was given. **How many frames does it need before it knows where the sprite goes? One? Two? More?**

# %% tags=["nbval-ignore-output"]
scheduled = fed["scheduled sampling"][0].model()


def beside(num_given: int) -> Tensor:
    """Return a clip beside its prediction from its first frames, (15, 3, 18, 33)."""
    clip = test.clips[1]
    rest = package.rollout(scheduled, clip[None, :num_given], len(clip) - num_given)[0]
    pair = [clip, torch.zeros(len(clip), 3, 16, 1), torch.cat([clip[:num_given], rest])]
    line = torch.zeros(len(clip), 3, 2, 33)
    line[:num_given, :, 1] = 0.5
    return torch.cat([torch.cat(pair, dim=3), line], dim=2)


explore(
    beside,
    name="frames given",
    values=[1, 2, 3, 4, 5, 8, 10],
    size=280,
    fps=4,
    description=f"{test.captions[1]}, and beside it a prediction from its first frames; a grey line lies below the frames that were given; from one frame the prediction goes astray, from four on it follows the square",
)

# %% [markdown]
# One frame shows no motion, and two show it roughly. It was trained with five, and never with fewer. The horizon is what is left of the fifteen frames: look at the last frame as the context grows.
#
# ## 8. A future that cannot be known
#
# So far a perfect observer could know the future. Now the sprite turns right after the context, to its left or to its right, and nothing in the context tells which. What should a predictor say?
#
# By hand: a pixel will be 0 or 1, each with chance one half. Answer $\frac12$: the squared error is $\frac14$, always. Answer 0 or 1 by a coin: half of the time 0, half of the time 1, on average $\frac12$. **Drawing costs exactly twice as much as the mean**, and this holds for any future. Let $y$ be what happens, $\mu$ the mean of all that may happen, and $s$ a draw *with the same probabilities*, independent of $y$. In $s - y = (s - \mu) - (y - \mu)$ the two parts know nothing of one another, so their product is 0 on average, and both squares cost the same:
#
# $$\mathbb{E}\,\|s - y\|^2 = \mathbb{E}\,\|s - \mu\|^2 + \mathbb{E}\,\|y - \mu\|^2 = 2\, \mathbb{E}\,\|\mu - y\|^2.$$
#
# So squared error will *always* prefer the mean. What does the mean look like? Take both futures of one clip and average them.

# %%
turning = next_frame.prediction_clips(
    200, generator=budget.generator(602), turn=True, combinations=HELD_OUT
)
before, after = turning.clips[:, :NUM_CONTEXT], turning.clips[:, NUM_CONTEXT:]
turned_config = sprites.SpriteConfig(num_frames=turning.clips.shape[1], turn_frame=NUM_CONTEXT - 1)


def both_futures(state: sprites.SpriteState) -> list[Tensor]:
    """Render every clip twice: the sprite turns to its left, and to its right; (B, T, 3, 16, 16) each."""
    clips = []
    for way in (-1, 1):
        turn = torch.full_like(state.turn, way)
        steps = sprites.straight_steps(
            state.motion, turn, turned_config.num_frames, NUM_CONTEXT - 1
        )
        speed = state.velocity[:, 0].norm(dim=-1) / 16
        position = 16 * sprites.straight_path(state.position[:, 0] / 16, speed, steps)
        clips.append(sprites.render(replace(state, position=position), config=turned_config))
    return clips


left, right = both_futures(turning.state)
mean = (left + right) / 2
came = torch.where((turning.state.turn < 0)[:, None, None, None, None], left, right)
print("one of the two is what came:  ", torch.allclose(came, turning.clips, atol=1e-4))
print("they agree in all of the context:", torch.allclose(left[:, :5], right[:, :5], atol=1e-4))
show(
    {"one future": left[0], "the other": right[0], "their mean": mean[0]},
    fps=4,
    description=f"{turning.captions[0]}, then turns to one side, to the other, and in the mean to both as a ghost",
)

# %% [markdown]
# A ghost goes each way, half as bright. The judge's opinion of it, and the squared error of three predictors that know everything but the coin:


# %%
def good(prediction: Tensor) -> float:
    """Return the share of predictions that are VALID and, after their context, obey the MOTION law."""
    valid = judge(prediction).valid
    whole = judge(torch.cat([before[: len(prediction)], prediction], dim=1), config=turned_config)
    return (valid & whole.motion).float().mean().item()


coin = torch.rand(len(after), 1, 1, 1, 1, generator=budget.generator(1)) < 0.5
perfect = {
    "the mean of both futures": mean[:, NUM_CONTEXT:],
    "one of the two, drawn": torch.where(coin, left, right)[:, NUM_CONTEXT:],
    "the last frame": baselines.copy_last(before, len(after[0])),
}
for name, guess in perfect.items():
    error = sum(error_by_frame(guess, after)) / len(after[0])
    print(f"{name:25} squared error {error:4.1f}, sprites that move by the law {good(guess):.2f}")

# %% [markdown]
# There it is: about twice the error (a coin on 200 clips), and all of it sprites. The mean wins on error and is no sprite: chapter 02's warning, met in the wild. What must a network have, so that it *can* draw? Something that is not in the context: a **latent code**.
#
# We give the direct predictor one more input, a code with two values, added to what it knows of each place. To predict, toss a coin for the code. To train, look at what came, ask for the futures of *both* codes, and let only the one that came nearer learn from it (Lee et al. 2016 train ensembles so). Nobody says "left" or "right": the two codes must divide the futures among themselves.
#
# One trap. At the start one code is better by chance, wins *every* clip, and becomes better still, while the other learns nothing. So we do not ask which code is better, but which is better *by its own standards*: each code's error less its mean over the batch.

# %%
errors = torch.tensor([[3.0, 9.0], [4.0, 7.5], [5.0, 6.0]])  # 3 clips, 2 codes; code 0 leads
print("nearer:                  ", errors.argmin(dim=1).tolist())
print("nearer by its own standards:", (errors - errors.mean(dim=0)).argmin(dim=1).tolist())

# %% [markdown]
# Two networks, the same but for the code: one must give the mean, the other may choose. Four frames to predict, about a minute for six trainings. **How will the two compare in squared error? And before the judge?**

# %% tags=["nbval-ignore-output"]
TURN_SECONDS = budget.choose(full=20.0, smoke=0.05)
kinds = {"mean": "direct", "drawn": "direct, two codes"}
results = next_frame.next_frame_results(
    [run for kind in kinds.values() for run in runs(kind, TURN_SECONDS, turn=True)]
)
turned = {
    name: [results[run] for run in runs(kind, TURN_SECONDS, turn=True)]
    for name, kind in kinds.items()
}
for name, trained in turned.items():
    seconds = sum(result.cpu_seconds for result in trained) / len(trained)
    print(f"{name}: {len(trained[0].losses)} steps, {seconds:.0f} CPU seconds each")

# %% tags=["nbval-ignore-output"]
drawn, sides = {"mean": [], "drawn": []}, []
with torch.no_grad():
    for name, trained in turned.items():
        for result in trained:
            model, generator = result.model(), budget.generator(result.run.seed)
            drawn[name].append(model.sample(before, generator=generator))
            if name == "drawn":
                codes = model.futures(before)[:, :, None]  # (B, codes, 1, T, 3, 16, 16)
                worlds = torch.stack([left, right], dim=1)[:, None, :, NUM_CONTEXT:]
                nearest = (codes - worlds).square().flatten(3).sum(dim=3).argmin(dim=2)
                sides.append((nearest[:, 0] != nearest[:, 1]).float().mean().item())

turn_errors = {
    name: [sum(error_by_frame(p, after)) / len(after[0]) for p in drawn[name]] for name in drawn
}
claim(
    "Squared error of a future that is drawn, as a share of the mean's (baseline: perfect knowledge of both futures)",
    [d / m for d, m in zip(turn_errors["drawn"], turn_errors["mean"], strict=True)],
    at_least=1.3,
    at_most=2.2,
    baseline=2.0,
)
claim(
    "Drawn futures that are a sprite and move by the law, as a share (baseline: copy last; control: the mean)",
    [good(p) for p in drawn["drawn"]],
    at_least=0.35,
    baseline=good(perfect["the last frame"]),
    control=[good(p) for p in drawn["mean"]],
)
claim(
    "Clips for which one code turns left and the other right, as a share (baseline: two codes that do not divide the futures)",
    sides,
    at_least=0.8,
    baseline=0.0,
)

# %% [markdown]
# The drawn future has much the larger error, and is a sprite that obeys the law far more often: see the share above. (Not twice the error: what neither network could paint well is in both.) The mean has the smaller error, and is a ghost. **A number that prefers the ghost cannot be the only judge of a generator**, and from chapter 08 on it will not be.

# %% tags=["nbval-ignore-output"]
with torch.no_grad():
    one, other = turned["drawn"][0].model().futures(before[:1]).clamp(0, 1)[0]
    blur = turned["mean"][0].model()(before[:1]).clamp(0, 1)[0]
show(
    {
        name: torch.cat([before[0], future])
        for name, future in (
            ("what came", after[0]),
            ("the mean", blur),
            ("code 0", one),
            ("code 1", other),
        )
    },
    fps=4,
    description=f"{turning.captions[0]}; after the turn the mean fades to both sides, while code 0 and code 1 each draw a sprite that goes to one side",
)

# %% [markdown]
# Our coin has two sides because the world's coin has: we chose two codes, and draw them evenly, with that knowledge. Where the possibilities are not two, one trains a latent of real numbers, with an encoder that sees the true future in training and a prior that stands in for it afterwards (Babaeizadeh et al. 2018; Denton and Fergus 2018). Chapters 08 to 11 have three more answers to the same question.

# %% [markdown]
# ## 9. The field's own test: moving digits
#
# Sprites are the course's own world. The field compares predictors on **Moving MNIST** (Srivastava et al. 2015): two handwritten digits travel over 64 x 64 pixels and bounce off the walls; ten frames are given, ten are to be predicted, and the error is the squared error summed over the pixels of a frame. Here the digits are scikit-learn's, and those of the test are never trained on.
#
# First the predictors that learn nothing, and the **floor**: the error of an observer who knows both digits and the pixel at which each was drawn in the ten given frames, but not the fraction of the pixel. Nothing can do better on average; what is printed is an estimate of it. The cell takes about half a minute.

# %% tags=["nbval-ignore-output"]
NUM_CLIPS = budget.choose(full=200, smoke=10)
table = {
    name: scores(predictor, num_clips=NUM_CLIPS)
    for name, predictor in progress(prediction_baselines().items(), description="baselines")
}
digits, _ = load_digits("test")
lowest = floor(budget.choose(full=150, smoke=2), generator=budget.generator(0), images=digits)
for name, found in table.items():
    print(
        f"{name:<20} error {found.mse:6.1f}   first frame {found.mse_by_frame[0]:6.1f}   "
        f"last {found.mse_by_frame[-1]:6.1f}   SSIM {found.ssim:.3f}"
    )
print(
    f"{'floor':<20} error {lowest.mean():6.1f}   first frame {lowest[0]:6.1f}   last {lowest[-1]:6.1f}"
)

# %% [markdown]
# Two lessons before any training. A frame that says nothing, black or the mean of the data, beats one that says the wrong thing, the copy: squared error pays for a guess only if it is nearly right. And SSIM calls a black clip similar, since most of any frame is black: alone, it is no measure here.
#
# ### What the field does
#
# **ConvLSTM** (Shi et al. 2015) is chapter 03's cell with convolutions inside, unrolled over the given frames and fed its own drawings after them. **SimVP** (Gao et al. 2022) drops recurrence: it folds the ten frames into the channels of one picture, lets a stack of convolutions with gates (Tan et al. 2022: the output of one convolution, squeezed to 0 to 1, multiplies that of another, place by place) turn past into future, and unfolds ten frames. Both are in `course/models/`, in three sizes each, since at a small budget the size decides more than the name.
#
# ### What structure does
#
# Both must find out from pixels that there are two things, that they keep their shape, and that they travel straight until they bounce. `course/models/layered.py` is told. It has a network too, for the two questions that need one: *which pixels of the last frame belong together*, and *about where was each of the two layers before*. The rest follows:
#
# 1. compare each layer with each given frame, at every displacement: where it matches, it may have been;
# 2. weigh all paths that the law of motion allows by what the comparisons say (**Bayes' rule**: the probability of a path is proportional to the product of what each frame says of it);
# 3. clean the layers: moved back along its path, a digit is the darkest of what the ten frames show, since what crosses it only adds light;
# 4. move the layers on along their paths. Where the path is uncertain, the layer is moved by a *probability* of displacements, and comes out as an honest blur.
#
# Each step can be differentiated, so that the network learns from the error of the predicted frames alone; nobody ever tells it where a digit is. The weights below were trained for 6 CPU-minutes by `python -m course train digits_layers_0`, and likewise with seeds 1 and 2.

# %% tags=["nbval-ignore-output"]
ours = load_predictor("digits_layers_0")
ten_given, ten_target = next(evaluation_batches(num_clips=4))
with torch.no_grad():
    explanation = ours.explain(ten_given)
strip(
    {
        "last frame": ten_given[:, -1],
        "layer 1": explanation.layers[:, 0, None],
        "layer 2": explanation.layers[:, 1, None],
        "1 cleaned": explanation.cleaned[:, 0, None].clamp(0, 1),
        "2 cleaned": explanation.cleaned[:, 1, None].clamp(0, 1),
    },
    numbers="clip {}",
    description="four clips side by side, numbered 0 to 3, in five rows: the last given frame with two digits, its two layers with one digit each, some with traces of the other, and the same layers cleaned",
)

# %% [markdown]
# Step 2 by hand, on a line of pixels. A digit stands at 6 now. Two paths lead there: from 2 in steps of 2, or from 10 in steps of -2. Two earlier frames say how well the digit matches at each path's place; the frame before last is blurred by a crossing, and cannot tell. **What will be left of the doubt, and where may the digit be in two frames?**

# %%
match = torch.tensor([[0.6, 0.4], [0.5, 0.5], [0.9, 0.1]])  # 3 frames, 2 paths
likely = match.prod(dim=0)
likely = likely / likely.sum()  # Bayes' rule, with both paths as likely beforehand
for path, step in enumerate((2, -2)):
    said = " * ".join(f"{value:.1f}" for value in match[:, path])
    print(f"steps of {step:2}: {said}, probability {likely[path]:.2f}, then at {6 + 2 * step}")

# %% [markdown]
# No frame was sure, and the path nearly is. A layer moved by these two probabilities is a digit at one place and a faint one at the other.
#
# And the paths of the network. For the first layer of clip 0, the rows of the first picture are the nine earlier frames and its columns the displacements to the left and right that the comparison with each frame allows: bright is likely, and where the digits crossed there are two answers. The second picture shows the same, and the ten future frames below it, after all paths have been weighed: what agrees with no path is gone, and the future fans out from the present.

# %% tags=["nbval-ignore-output"]
seen, moves = (
    explanation.seen[1, 0, 0],
    explanation.moves[1, 0, 0],
)  # columns, clip 0, layer 1: (T, 73)
seen = torch.cat([seen, seen.new_zeros(len(moves) - len(seen), seen.shape[1])])
sketch = torch.stack([seen, moves])[:, None]  # (2, 1, 20, 73)
sketch = sketch.repeat_interleave(
    4, dim=2
).sqrt()  # four rows for a frame; the root makes faint places visible
strip(
    {"each frame alone": sketch[:1], "all paths weighed": sketch[1:]},
    size=292,
    description="two dark pictures, time downwards and displacement to the right: above, nine rows with bright places, a track that forks into two; below, twenty rows with one bright track, which turns round at a wall and grows a little wider towards the end",
)

# %% [markdown]
# ### The race, at equal CPU time
#
# Every model gets six minutes of one core's time, so a slow step has to be worth more than a quick one. `python -m course benchmark prediction --cpu-minutes 6 --seeds 3` trains all seven, three sizes of ConvLSTM, three of SimVP and ours, one after the other; it goes on after an interruption, and with `--mnist FILE` tests on your own MNIST digits as well.
#
# That takes hours, so its record is kept with the course. Every row holds a model's mean over its trainings (the second column counts them), tested on a thousand clips of digits that none has seen. **Before you look: which will be better, a small network that takes many steps in six minutes, or a large one that takes few?**

# %%
measured = {}
for path in sorted((CHECKPOINTS.parent / "records").glob("prediction_benchmark*.csv")):
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            title = row["digits"].replace("your", "MNIST's")  # the benchmark calls them so
            several = measured.setdefault((title, row["predictor"]), [])
            if row["seed"] not in [other["seed"] for other in several]:
                several.append(row)

COLUMNS = ("MSE", "t = 1", "t = 5", "t = 10", "PSNR", "SSIM", "steps", "parameters")


def numbers(digits: str, name: str, column: str) -> list[float]:
    """Return what the record says of each training, in the order of its seeds."""
    return [float(row[column]) for row in measured[digits, name] if row[column]]


for title in dict.fromkeys(title for title, _ in measured):
    print(f"{title}\n{'':18}{'':>2}{''.join(f'{column:>11}' for column in COLUMNS)}")
    for name in (name for digits, name in measured if digits == title):
        found = [numbers(title, name, column) for column in COLUMNS]
        means = (f"{sum(each) / len(each):11.4g}" if each else f"{'':11}" for each in found)
        print(f"{name:18}{len(found[0]):>2}{''.join(means)}")

# %% [markdown]
# (Where the second column says 1, the order of two neighbours is no verdict.) The first half is what this race is about. The second asks for more: other digits, written by other people with other pens, MNIST's own. No network here has ever been trained on one.


# %% tags=["nbval-ignore-output"]
def mean_error(digits: str, name: str) -> float:
    """Return the mean over the trainings on record."""
    found = numbers(digits, name, "MSE")
    return sum(found) / len(found)


best = {}
for (title, name), at_most in zip(
    [(title, "layers and paths") for title in dict.fromkeys(title for title, _ in measured)],
    (0.5, 0.65),
    strict=True,
):
    rivals = [rival for digits, rival in measured if digits == title and rival in PUBLISHED_MODELS]
    best[title] = min(rivals, key=lambda rival, title=title: mean_error(title, rival))
    theirs = mean_error(title, best[title])
    print(f"{title}: the best of the field's six is {best[title]}")
    claim(
        f"Layers and paths over the best of the field's six at 6 CPU-minutes each, 1,000 clips: {title} (baseline: all black)",
        [ours / theirs for ours in numbers(title, name, "MSE")],
        at_most=at_most,
        baseline=mean_error(title, "all black") / theirs,
    )

# %% [markdown]
# A record is a record. So here are the best of the field's six and ours, loaded (`python -m course train --list` names them), three trainings of each, and ours a second time after a quarter of the time: tested before your eyes on fewer clips. About a minute.

# %% tags=["nbval-ignore-output"]
RIVAL, QUARTER = "SimVP small", "layers and paths, 90 s"
assert best["test digits of scikit-learn"] == RIVAL
trained = {RIVAL: "digits_simvp", "layers and paths": "digits_layers"}
with budget.cpu_time() as watch:
    race = {
        name: [
            scores(as_predictor(load_predictor(f"{stem}_{seed}")), num_clips=NUM_CLIPS)
            for seed in progress(budget.seeds(), description=name)
        ]
        for name, stem in (trained | {QUARTER: "digits_layers_quarter"}).items()
    }
for name, seeds in race.items():
    print(f"{name:<24} error {', '.join(f'{found.mse:.1f}' for found in seeds)}")
print(f"{watch.cpu_seconds:.0f} CPU seconds")
curve(
    range(1, 11),
    {name: table[name].mse_by_frame for name in ("copy last", "all black", "dataset mean")}
    | {name: [found.mse_by_frame for found in seeds] for name, seeds in race.items()}
    | {"floor": lowest},
    x_label="predicted frame",
    y_label="squared error per frame",
    description="error against the predicted frame: the curve of layers and paths lies between the floor and all others, SimVP's rises to about half of the dataset's mean",
)

# %% [markdown]
# Seed by seed, the error of layers and paths as a fraction of SimVP's, at the same time and at a quarter of it:

# %% tags=["nbval-ignore-output"]
claim(
    "Layers and paths over SimVP, error at 6 CPU-minutes each (baseline: the dataset's mean frame over SimVP)",
    [
        ours.mse / theirs.mse
        for ours, theirs in zip(race["layers and paths"], race[RIVAL], strict=True)
    ],
    at_most=0.5,
    baseline=[table["dataset mean"].mse / theirs.mse for theirs in race[RIVAL]],
)
claim(
    "Layers and paths after 90 CPU-seconds over SimVP after 360, error (baseline: the dataset's mean frame over SimVP)",
    [ours.mse / theirs.mse for ours, theirs in zip(race[QUARTER], race[RIVAL], strict=True)],
    at_most=1.0,
    baseline=[table["dataset mean"].mse / theirs.mse for theirs in race[RIVAL]],
)

# %% [markdown]
# The numbers as clips. **Where do you look to tell the two predictions apart?**

# %% tags=["nbval-ignore-output"]
with torch.no_grad():
    drawn = {name: load_predictor(f"{stem}_0")(ten_given, 10) for name, stem in trained.items()}
show(
    {"truth": torch.cat([ten_given, ten_target], dim=1)[0]}
    | {
        name: torch.cat([ten_given, frames.clamp(0, 1)], dim=1)[0]
        for name, frames in drawn.items()
    },
    description="two digits travel and bounce; from the eleventh frame on SimVP's digits melt into a cloud, and those of layers and paths go on, a little soft at the end",
)

# %% [markdown]
# ### What was it told?
#
# Three facts about this world are built in: two things, their speed, and the walls. That is not a swindle, it is the point: what you know about your data, you need not learn, and the rivals spend their minutes on it. But it has a price. **Let the digits move at half the speed, in a world that neither network was trained in: which of the two suffers more?** And a control: shuffle the ten given frames. If the error of layers and paths did not rise, it would not be reading motion.


# %% tags=["nbval-ignore-output"]
def errors_in(step: float = STEP, shuffled: bool = False) -> dict[str, list[float]]:
    """Test all seeds on clips of another speed, or with the given frames out of order."""
    num_clips, chance = budget.choose(full=100, smoke=4), budget.generator(9)
    clips = moving_digits(num_clips, generator=chance, images=digits, step=step).clips
    order = torch.randperm(10, generator=chance) if shuffled else torch.arange(10)
    return {
        name: [
            squared_error(
                as_predictor(load_predictor(f"{stem}_{seed}"))(clips[:, order], 10), clips[:, 10:]
            )
            .mean()
            .item()
            for seed in budget.seeds()
        ]
        for name, stem in trained.items()
    }


worlds = {
    "as trained": errors_in(),
    "half the speed": errors_in(step=STEP / 2),
    "given frames shuffled": errors_in(shuffled=True),
}
for words, errors in worlds.items():
    means = (f"{name} {sum(each) / len(each):6.1f}" for name, each in errors.items())
    print(f"{words:<24}{'   '.join(means)}")
first, second = worlds["as trained"], worlds["given frames shuffled"]
rise = {name: [y / x for x, y in zip(first[name], second[name], strict=True)] for name in trained}
claim(
    "Layers and paths, given frames shuffled: the error over that in order (baseline: SimVP's)",
    rise["layers and paths"],
    at_least=2.0,
    baseline=rise[RIVAL],
)

# %% [markdown]
# Compare each model with itself in the first two lines: here, wrong knowledge cost more than missing knowledge.
#
# ### What was tried
#
# The model above is the end of a walk with wrong turns, and here is its log: each row one training, in order, with the CPU seconds that it got and the error on test digits. An honest word: a walk that looks at the test digits is steered by them, so that our error on these is a little flattered. MNIST's digits, in the second half of the table above, steered nothing.

# %%
log = CHECKPOINTS.parent / "records" / "prediction_log.csv"
with log.open(newline="", encoding="utf-8") as file:
    for row in csv.DictReader(file):
        print(f"{row['MSE']:>6}  {row['CPU seconds']:>4} s  {row['what was tried']}")
        if row["comment"]:
            print(f"{'':>15}-> {row['comment']}")

# %% [markdown]
# ## Exercises

# %% [markdown]
# ### Exercise 6.1 · Roll out
#
# *10 minutes, difficulty 1 of 3.* You are given a whole clip and may use its first `num_context` frames. Predict all the others with `step`, which takes frames (B, t, C, H, W) and gives as many, the last of them its guess of the frame to come. Clamp each guess to $[0, 1]$, then feed it back and return it.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "06-rollout", "locked": false, "schema_version": 3, "solution": true, "task": false}
def predict_rest(step: nn.Module, clips: Tensor, num_context: int) -> Tensor:
    """clips: (B, T, C, H, W); return the prediction of its last T - num_context frames."""
    # BEGIN SOLUTION: a tensor (B, T - num_context, C, H, W)
    frames = clips[:, :num_context]
    while frames.shape[1] < clips.shape[1]:
        frames = torch.cat([frames, step(frames)[:, -1:].clamp(0, 1)], dim=1)
    return frames[:, num_context:]
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "06-rollout-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("06-rollout", predict_rest)

# %%
# hint("06-rollout")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 6.2 · Count what was asked
#
# *10 minutes, difficulty 1 of 3.* A predictor has given one output for each frame but the last: output $t$ is its guess of frame $t+1$. Return the mean squared error over the frames that are to be predicted, those after the context, and over no other. Mind the shift by one.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "06-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def horizon_loss(outputs: Tensor, clips: Tensor, num_context: int) -> Tensor:
    """outputs: (B, T - 1, C, H, W), clips: (B, T, C, H, W); return one number."""
    # BEGIN SOLUTION: a tensor with one number
    return (outputs[:, num_context - 1 :] - clips[:, num_context:]).square().mean()
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "06-loss-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("06-loss", horizon_loss)

# %%
# hint("06-loss")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 6.3 · The coin of scheduled sampling
#
# *10 minutes, difficulty 2 of 3.* Choose what is fed next: for each clip *by itself*, the whole true frame with probability `share`, otherwise the whole predicted frame. Chance comes from the generator and from nowhere else.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "06-coin", "locked": false, "schema_version": 3, "solution": true, "task": false}
def feed(true: Tensor, predicted: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """true and predicted: (B, C, H, W); return what is fed, (B, C, H, W)."""
    # BEGIN SOLUTION: a tensor (B, C, H, W)
    coin = torch.rand(len(true), 1, 1, 1, generator=generator) < share
    return torch.where(coin, true, predicted)
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "06-coin-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("06-coin", feed)

# %%
# hint("06-coin")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 6.4 · Catch the leak
#
# *20 minutes, difficulty 3 of 3.* Write the test that section 6 needed. `predict(clips, num_context)` gives the frames after the context, (B, T - num_context, C, H, W), and claims to look at the context alone. Return True if *any* of its predictions depends on *any* frame after the context, for the clips that you are given. The check sends honest predictors and leaking ones, some of them sly; a predictor may hide its gradient, so change the frames rather than ask for one.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "06-leak", "locked": false, "schema_version": 3, "solution": true, "task": false}
def leaks(predict: object, clips: Tensor, num_context: int) -> bool:
    """Say whether predict(clips, num_context) looks at frames after the context."""
    # BEGIN SOLUTION: True or False
    changed = clips.clone()
    changed[:, num_context:] = torch.rand(changed[:, num_context:].shape)  # all of the future
    return not torch.equal(predict(clips, num_context), predict(changed, num_context))
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "06-leak-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("06-leak", leaks)

# %%
# hint("06-leak")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 6.5 · What drawing costs
#
# *15 minutes, difficulty 2 of 3.* A clip has K possible futures, and each comes with its own probability. Compute the expected squared error, *summed over all numbers of a future*, of two predictors that know this: one gives the mean, the other draws a future with the same probabilities. Nothing is to be drawn: an expectation is a sum. By hand: futures 0 and 1 with probabilities ¼ and ¾ cost 3/16 and 3/8.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "06-price", "locked": false, "schema_version": 3, "solution": true, "task": false}
def prices(futures: Tensor, probabilities: Tensor) -> tuple[float, float]:
    """futures: (K, ...), probabilities: (K,), which sum to 1; return the price of the mean and of a draw."""
    # BEGIN SOLUTION: two numbers
    flat = futures.flatten(1)  # (K, D)
    mean = probabilities @ flat
    of_mean = probabilities @ (flat - mean).square().sum(dim=1)
    apart = (flat[:, None] - flat).square().sum(dim=2)  # (K, K): drawn i, and j came
    return of_mean.item(), (probabilities @ apart @ probabilities).item()
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "06-price-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("06-price", prices)

# %%
# hint("06-price")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ## What we built, and what still fails
#
# A predictor of one frame on each of three trunks, with proof that none sees the future; the loop that makes a clip of it, and a test that catches a loop which cheats; three ways to feed it, and two horizons with two different winners; a predictor of all frames at once; and a network that draws one sharp future of two.
#
# What still fails? Let the loop run on, for forty frames, and ask the judge after each: is there a sprite, and is it still *the* sprite?

# %% tags=["nbval-ignore-output"]
LONG = 40
long_rollout = package.rollout(scheduled, context[:50], LONG)
given, later = judge(context[:50]).reading, judge(long_rollout).reading
same = (later.shape == given.shape[:, :1]) & (later.colour == given.colour[:, :1])
for t in (1, 5, 10, 20, 40):
    sprite = (later.residual[:, t - 1] <= VALID_BOUND).float().mean()
    print(
        f"t = {t:2}: a sprite {sprite:.2f}, same shape and colour {same[:, t - 1].float().mean():.2f}"
    )
strip(
    long_rollout[0],
    every=8,
    description=f"{test.captions[0]}, every eighth of forty predicted frames: a red blot goes on from side to side and has lost the circle's shape",
)

# %% [markdown]
# It still moves, and even bounces. But *what* moves? Its memory *could* hold the first frames. But it was trained on fifteen frames with the sprite always in sight, and nothing paid it for keeping them. And here nothing was ever hidden: let a sprite pass behind a board, and what comes out on the other side is whatever fits the frames since. What it is that moves stood in the *first* frames, and has to be kept on purpose. **Chapter 07** does: a context for the whole clip.
#
# ## Papers
#
# - R. J. Williams and D. Zipser, *A Learning Algorithm for Continually Running Fully Recurrent Neural Networks*, Neural Computation 1(2), 1989: teacher forcing.
# - S. Bengio, O. Vinyals, N. Jaitly and N. Shazeer, *Scheduled Sampling for Sequence Prediction with Recurrent Neural Networks*, NIPS 2015, [arXiv 1506.03099](https://arxiv.org/abs/1506.03099). Theirs are words, and no gradient passes through what was fed back; ours are frames, and it does.
# - M. Ranzato, S. Chopra, M. Auli and W. Zaremba, *Sequence Level Training with Recurrent Neural Networks*, 2015, [arXiv 1511.06732](https://arxiv.org/abs/1511.06732): exposure bias.
# - X. Shi et al., *Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting*, 2015, [arXiv 1506.04214](https://arxiv.org/abs/1506.04214): frame prediction with the memory of section 4.
# - C. Finn, I. Goodfellow and S. Levine, *Unsupervised Learning for Physical Interaction through Video Prediction*, 2016, [arXiv 1605.07157](https://arxiv.org/abs/1605.07157): robots; a rollout trained with scheduled sampling.
# - M. Mathieu, C. Couprie and Y. LeCun, *Deep multi-scale video prediction beyond mean square error*, ICLR 2016, [arXiv 1511.05440](https://arxiv.org/abs/1511.05440): the blur, and losses against it.
# - S. Lee et al., *Stochastic Multiple Choice Learning for Training Diverse Deep Ensembles*, NIPS 2016, [arXiv 1606.07839](https://arxiv.org/abs/1606.07839): only the nearest answer learns. Theirs are several networks; ours is one with a code, and each code is measured by its own mean.
# - M. Babaeizadeh et al., *Stochastic Variational Video Prediction* (SV2P), ICLR 2018, [arXiv 1710.11252](https://arxiv.org/abs/1710.11252); E. Denton and R. Fergus, *Stochastic Video Generation with a Learned Prior* (SVG), ICML 2018, [arXiv 1802.07687](https://arxiv.org/abs/1802.07687): latent codes of real numbers.
# - Z. Gao et al., *SimVP: Simpler yet Better Video Prediction*, CVPR 2022, [arXiv 2206.05099](https://arxiv.org/abs/2206.05099): direct prediction by convolutions alone.
# - N. Srivastava, E. Mansimov and R. Salakhutdinov, *Unsupervised Learning of Video Representations using LSTMs*, ICML 2015, [arXiv 1502.04681](https://arxiv.org/abs/1502.04681): Moving MNIST.
# - C. Tan et al., *SimVPv2: Towards Simple yet Powerful Spatiotemporal Predictive Learning*, 2022, [arXiv 2211.12509](https://arxiv.org/abs/2211.12509): the gated attention; here with group norm in place of batch norm.
# - J. Y. A. Wang and E. H. Adelson, *Representing Moving Images with Layers*, IEEE Transactions on Image Processing 3(5), 1994: a clip as layers that move.
# - J.-T. Hsieh et al., *Learning to Decompose and Disentangle Representations for Video Prediction* (DDPAE), NeurIPS 2018, [arXiv 1806.04166](https://arxiv.org/abs/1806.04166): the same thought with recurrent networks for where and what; theirs is told less about the motion than ours.
