# %% [markdown]
# # 05 · 3D convolution
#
# In this chapter you build the layer that sees *local motion*: a kernel that slides over time as it slides over the picture. At the end it tells left from right where a network of single frames can only guess, and you have repaired a network from an article.
#
# **Time**: about 75 minutes to read, 70 for the exercises, about a minute to run. **You need**: chapter 01 (layouts of a clip), and to have met a 2D convolution once.
#
# When you are through, you can
#
# 1. **compute** a 3D convolution by hand, by loops, and by unfolding into one matrix product;
# 2. **pad** so that no output sees the future, and **show** it by gradient;
# 3. **count** the parameters of a (2+1)D convolution and **compute** a receptive field;
# 4. **diagnose** a network from its error message, and **prove** the repair;
# 5. **show** what averaging over frames cannot see.

# %%
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course import benchmark, budget
from course.clips import resize
from course.datasets import sprites
from course.datasets.captions import COLOURS, HELD_OUT, SHAPES, TRAINED, Combination
from course.display import curve, explore, heatmap, progress, show, strip
from course.evaluation.claims import claim
from course.exercises.checking import check, hint
from course.layers.convolution import (
    Conv2Plus1d,
    Conv3d,
    channels_between,
    conv3d,
    receptive_field,
)
from course.models.conv3d import VideoCNN, VideoCNNConfig, num_parameters, with_parameters

print(budget.settle())

# %% [markdown]
# ## A clip and its reverse
#
# Two clips. The second is the first, played backwards.

# %%
forwards = sprites.sample(
    1, generator=budget.generator(5), combinations=[Combination("yellow", "circle", "left")]
).clips
backwards = forwards.flip(1)

show(
    {"a clip": forwards[0], "its reverse": backwards[0]},
    description="a yellow circle moves left; the same frames backwards, so that it moves right",
)

# %% [markdown]
# You see at once which way it goes. Now ask a network that was made for pictures: it looks at each frame alone, and averages what it found over all frames. **By how much will its answers to the two clips differ?**

# %% tags=["nbval-ignore-output"]
frame_wise, volumetric = [], []
for seed in budget.SEEDS:
    torch.manual_seed(seed)
    for differences, kind in ((frame_wise, "2d"), (volumetric, "3d")):
        model = VideoCNN(VideoCNNConfig(kind=kind))
        with torch.no_grad():
            answers = model(forwards), model(backwards)
        differences.append((answers[0] - answers[1]).abs().max().item())
claim(
    "Difference between the answers to a clip and to its reverse, frames seen one by one (control: three frames at a time)",
    frame_wise,
    at_most=1e-6,
    control=volumetric,
    always=True,
)

# %% [markdown]
# No difference but rounding, for random weights; and so for *all* weights, trained or not. (The control's is small, since untrained answers are small, but it is not 0.) A mean does not know the order of what went in:
#
# $$\frac{1}{T} \sum_t f(x_t) = \frac{1}{T} \sum_t f(x_{T-1-t}).$$
#
# The pictures are the same, a **bag of frames**, and the motion is in none of them. The control has kernels that span three frames. Let us build those.
#
# ## 1. A kernel in time
#
# Start with a single pixel. Its brightness over five frames, and a kernel of three numbers, $(-1, 0, 1)$: what comes, less what was. At each place, multiply and add up.

# %%
brightness = [0, 0, 1, 1, 0]
kernel = [-1, 0, 1]

for t in range(3):
    terms = [f"({w}) x {value}" for w, value in zip(kernel, brightness[t : t + 3], strict=True)]
    total = sum(w * value for w, value in zip(kernel, brightness[t : t + 3], strict=True))
    print(f"frames {t}..{t + 2}: {' + '.join(terms)} = {total}")

# %% [markdown]
# It answers +1 where the pixel gets brighter, -1 where it gets darker. Five frames and a kernel of three give three results. (Mathematicians would turn the kernel round first, and call this a cross-correlation. Deep learning says convolution all the same.)
#
# Now three frames of three rows and three columns: a kernel that *wants to see* a bar move to the left, one column per frame. Where the bar should be it has 1, elsewhere $-\frac12$.

# %%
leftwards = torch.full((3, 3, 3), -0.5)  # (time, row, column)
for t in range(3):
    leftwards[t, :, 2 - t] = 1.0
print(leftwards[:, 0])  # the first row of each of the three frames


def conv3d_by_loops(clip: Tensor, kernel: Tensor) -> Tensor:
    """Slide a kernel (kT, kH, kW) over a grey clip (T, H, W), without padding."""
    kt, kh, kw = kernel.shape
    T, H, W = clip.shape
    result = torch.zeros(T - kt + 1, H - kh + 1, W - kw + 1)
    for t in range(T - kt + 1):
        for y in range(H - kh + 1):
            for x in range(W - kw + 1):
                result[t, y, x] = (clip[t : t + kt, y : y + kh, x : x + kw] * kernel).sum()
    return result


# %% [markdown]
# Three tiny clips of 3 x 3 x 3: a bar that moves left, one that moves right, one that stands. Nine pixels are bright in each. **What does the kernel answer to each? Work it out first**: count the bright pixels on a 1, and those on a $-\frac12$.

# %%
tiny = torch.zeros(3, 3, 3, 3)  # (clip, time, row, column)
for t in range(3):
    tiny[0, t, :, 2 - t] = tiny[1, t, :, t] = tiny[2, t, :, 1] = 1.0

for name, clip in zip(("moves left", "moves right", "stands still"), tiny, strict=True):
    print(f"{name:13} {conv3d_by_loops(clip, leftwards).item():+.1f}")

# %% [markdown]
# Nine for the motion that it wants; zero for the others, where three pixels are on a 1 and six on a $-\frac12$.
#
# ## 2. Unfolding
#
# Three loops, three more hidden in the sum, and three to come for batch and channels. But each result is a product of two long vectors: the kernel, and the patch that it lies on. Write all patches as the rows of one matrix, and **all results come from one matrix product**. `Tensor.unfold` makes the patches without a loop; each call takes one axis and puts its windows last.


# %%
def conv3d_by_unfolding(x: Tensor, weight: Tensor) -> Tensor:
    """x: (B, C, T, H, W), weight: (O, C, kT, kH, kW); returns (B, O, T', H', W')."""
    for axis, size in zip((2, 3, 4), weight.shape[2:], strict=True):
        x = x.unfold(axis, size, 1)  # in the end (B, C, T', H', W', kT, kH, kW)
    patches = x.permute(0, 2, 3, 4, 1, 5, 6, 7).flatten(4)  # (B, T', H', W', C * kT * kH * kW)
    return (patches @ weight.flatten(1).T).movedim(-1, 1)  # (B, O, T', H', W')


generator = budget.generator(0)
x = torch.rand(2, 3, 6, 7, 8, generator=generator)
weight = torch.randn(4, 3, 3, 3, 3, generator=generator)
unfolded = conv3d_by_unfolding(x, weight)
looped = sum(conv3d_by_loops(x[1, c], weight[2, c]) for c in range(3))  # clip 1, output channel 2

print("loops equal unfolding:  ", torch.allclose(looped, unfolded[1, 2], atol=1e-5))
print("unfolding equals package:", torch.allclose(unfolded, conv3d(x, weight), atol=1e-5))
print(
    "package equals PyTorch:  ", torch.allclose(conv3d(x, weight), F.conv3d(x, weight), atol=1e-5)
)

# %% [markdown]
# Note the layout: convolutions want **(B, C, T, H, W)**, channels before time. The course's clips are (B, T, C, H, W), so a model turns them round when they enter, and `transpose(1, 2)` does that.
#
# The package does one thing differently. A full matrix holds each value 27 times, once for each place of the kernel. So it unfolds *time alone*: the three frames that a kernel sees become channels of one picture, and the rest is a convolution of pictures. Are its gradients the same, too? And how long do the three take, forwards and back to the weights?

# %% tags=["nbval-ignore-output"]
functions = {"unfolding": conv3d_by_unfolding, "package": conv3d, "PyTorch": F.conv3d}
repetitions = budget.choose(full=10, smoke=1)
x = torch.rand(8, 16, 8, 18, 18, generator=generator)
weight = torch.randn(16, 16, 3, 3, 3, generator=generator, requires_grad=True)
gradients = {}
for name, function in functions.items():
    function(x, weight).sum().backward()  # the first call warms up
    with budget.cpu_time() as watch:
        for _ in range(repetitions):
            loss = function(x, weight).square().mean()
            (gradients[name],) = torch.autograd.grad(loss, weight)
    print(f"{name:9} {1000 * watch.cpu_seconds / repetitions:6.1f} ms of CPU time")

for name in ("unfolding", "package"):
    print(
        f"gradient of {name}: as PyTorch's is",
        gradients[name].allclose(gradients["PyTorch"], atol=1e-4),
    )

# %% [markdown]
# One matrix product, and yet it is the slowest by far: it must write 27 copies of the clip, and read them again. With three copies it is another matter.
#
# Now the class. It owns a weight and a bias, and pads so that a clip keeps its size.


# %%
class MyConv3d(nn.Module):
    """A layer of 3D convolution that keeps the size of (B, C, T, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, *[kernel_size] * 3))
        self.bias = nn.Parameter(torch.empty(out_channels))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, [self.weight.shape[-1] // 2] * 6)  # both sides of width, height and time
        return conv3d_by_unfolding(x, self.weight) + self.bias[:, None, None, None]


mine, package, theirs = MyConv3d(3, 8, 3), Conv3d(3, 8, 3), nn.Conv3d(3, 8, 3, padding=1)
mine.load_state_dict(theirs.state_dict())
package.load_state_dict(theirs.state_dict())
x = forwards.transpose(1, 2)  # (1, 3, 8, 16, 16)

print("mine equals the package's:  ", torch.allclose(mine(x), package(x), atol=1e-5))
print("package's equals PyTorch's: ", torch.allclose(package(x), theirs(x), atol=1e-5))

# %% [markdown]
# ## 3. Whose zeros? Causal padding
#
# Three frames of kernel cost two frames of clip, so zeros are put at the ends. Where? The usual answer is one before and one behind. Then output $t$ looks at the inputs $t-1$, $t$ **and** $t+1$. For a finished film that does no harm. A model that is to *predict* frame $t+1$ should not have it. **Causal** padding puts both before the first frame, so that output $t$ sees $t-2$, $t-1$ and $t$.
#
# To find out what an output sees, ask for its gradient.


# %%
def seen(layer: nn.Module, num_frames: int = 6) -> Tensor:
    """Return which input frames (column) each output frame (row) depends on, (T, T) of 0 and 1."""
    x = torch.rand(1, 1, num_frames, 5, 5, generator=budget.generator(0), requires_grad=True)
    y = layer(x)  # (1, O, T, 5, 5)
    rows = [
        torch.autograd.grad(y[:, :, t].sum(), x, retain_graph=True)[0] for t in range(num_frames)
    ]
    return torch.stack([row[0, 0].abs().sum(dim=(1, 2)) > 0 for row in rows]).float()


rows_seen = {"symmetric": seen(Conv3d(1, 1, 3)), "causal": seen(Conv3d(1, 1, 3, causal=True))}
places = {"symmetric": "on both sides of it", "causal": "on the two places to its left"}
for name, table in rows_seen.items():
    heatmap(
        table,
        rows=[f"{t}" for t in range(6)],
        columns=[f"{t}" for t in range(6)],
        row_label="output frame",
        column_label=f"input frame, {name} padding",
        value_label="depends on it",
        digits=0,
        description=f"ones on the diagonal and {places[name]}, zeros elsewhere",
    )
    print(f"{name} sees the future: {bool(table.triu(1).any())}")

# %% [markdown]
# ### Break it
#
# Let the two predict the next frame, one layer each, a few seconds of training. The sprite moves straight ahead, and a single layer is not much of a model. **By how much will the two errors differ? Which of the two would you publish?**


# %% tags=["nbval-ignore-output"]
def error_of_next_frame(causal: bool, seed: int) -> float:
    """Train one layer to give frame t + 1 at time t; return its error on the last fresh batch, as a share of copying."""
    torch.manual_seed(seed)
    layer = Conv3d(3, 3, 3, causal=causal)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.02)
    generator = budget.generator(seed)
    for _ in range(budget.choose(full=250, smoke=3)):
        batch = sprites.sample(16, generator=generator, combinations=TRAINED)
        x = batch.clips.transpose(1, 2)  # (B, C, T, H, W)
        error = (layer(x)[:, :, :-1] - x[:, :, 1:]).square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
    copied = (x[:, :, :-1] - x[:, :, 1:]).square().mean()
    return (error / copied).item()


with budget.cpu_time() as watch:
    honest = [
        error_of_next_frame(True, seed) for seed in progress(budget.seeds(), description="causal")
    ]
    cheating = [
        error_of_next_frame(False, seed)
        for seed in progress(budget.seeds(), description="symmetric")
    ]
print(f"{watch.cpu_seconds:.0f} CPU seconds")
claim(
    "Error of the next frame through symmetric padding, as a share of copying the last (control: causal)",
    cheating,
    at_most=0.2,
    baseline=1.0,
    control=honest,
)
claim("The same through causal padding: no miracle", honest, at_least=0.3, baseline=1.0)

# %% [markdown]
# The layer with symmetric padding has not learned to predict. It has learned to *look*: the answer is one frame to its right. Its loss falls as a good model's does. Rule for all chapters from here on: when a model predicts too well, take the gradient.
#
# ## 4. (2+1)D: space first, then time
#
# A kernel of $t \times d \times d$ can be taken apart: first $d \times d$ over space, then $t$ over time, with a nonlinearity between the two. Tran et al. (2018) call this **(2+1)D**. How many channels, $M$, go between? With $N$ coming in and $N'$ going out, the whole kernel has $t d^2 N N'$ weights, the two parts $M (d^2 N + t N')$. To be fair to both, make these equal:
#
# $$M = \left\lfloor \frac{t \, d^2 \, N \, N'}{d^2 N + t N'} \right\rfloor.$$

# %%
for size, out in ((64, 64), (16, 32), (3, 16)):
    M = channels_between(size, out, 3)
    whole, apart = Conv3d(size, out, 3).weight, Conv2Plus1d(size, out, 3)
    count = apart.space.weight.numel() + apart.time.weight.numel()
    print(
        f"{size:2} to {out}: M = {M:3}, weights of the whole {whole.numel():6}, of the parts {count:6}"
    )

# %% [markdown]
# Check the first line by hand: $27 \cdot 64 \cdot 64 / (9 \cdot 64 + 3 \cdot 64)$ is $144$. Equal parameters, one nonlinearity more. The price is that the pictures between are wide, and must be kept for the way back. How do our layers compare with the same in PyTorch, forward and backward, in turns? The last column is ours over theirs.

# %% tags=["nbval-ignore-output"]
rows = benchmark.layers("Conv3d", "Conv2Plus1d", repetitions=budget.choose(full=15, smoke=1))
print(benchmark.table(rows))

# %% [markdown]
# These are whole layers with the gradient of their input, so the three copies are paid for on the way back as well: that is where the whole kernel's ratio comes from. A kernel over time alone needs no copies: with the frames as rows and the pixels as columns, it is a convolution of one picture, and the package does it so.
#
# ## 5. How far does it see?
#
# The **receptive field** is what one output can depend on. One layer with a kernel of 3 sees 3 frames; a second one adds 2; a stride makes every later layer take larger steps:
#
# $$r = 1 + \sum_l (k_l - 1) \prod_{m < l} s_m.$$
#
# The product holds the strides of the layers *below*, not the layer's own. The network of this chapter has three layers; in space, the second and third have a stride of 2. **How many frames, and how many columns, does it see?**

# %%
frames_seen = receptive_field([3, 3, 3])
columns_seen = receptive_field([3, 3, 3], strides=[1, 2, 2])
print(f"computed: {frames_seen} frames, {columns_seen} columns")

torch.manual_seed(0)
model = VideoCNN(VideoCNNConfig(kind="3d"))
x = torch.rand(1, 9, 3, 24, 24, generator=budget.generator(0), requires_grad=True)
(gradient,) = torch.autograd.grad(model.features(x)[0, 4, :, 3, 3].sum(), x)
footprint = gradient[0].abs().sum(dim=1, keepdim=True)  # (T, 1, H, W)

found = [(footprint.sum(dim=axes) > 0).sum().item() for axes in ((1, 2, 3), (0, 1, 2))]
print(f"found by gradient: {found[0]} frames, {found[1]} columns")
strip(
    (footprint / footprint.max()) ** 0.5,
    columns=9,
    description="the gradient of one output in the middle: dark in the first and the last frame, in all others a square patch, brightest in the middle frames",
)

# %% [markdown]
# The edge of the field is dim: few paths lead there. What a network *can* see and what it minds are two things.
#
# ## 6. A network from an article
#
# Here is a video classifier in the spirit of one that was printed in an introduction to video generation. It looks right. Many such snippets do.


# %%
class PrintedVideoCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv3d(3, 64, kernel_size=(3, 3, 3))
        self.relu = nn.ReLU()
        self.fc = nn.Linear(64, 2)

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = x.view(x.size(0), -1)
        return self.fc(x)


def attempt(clip: Tensor) -> None:
    """Run the printed network and print what comes of it."""
    try:
        print(f"{tuple(clip.shape)}: a result of shape {tuple(printed(clip).shape)}")
    except RuntimeError as error:
        print(f"{tuple(clip.shape)}: RuntimeError: {str(error).splitlines()[0]}")


torch.manual_seed(0)
printed = PrintedVideoCNN()
attempt(forwards)  # one of our clips, (B, T, C, H, W)

# %% [markdown]
# The first error is the layout: it wants 3 channels in the second place and finds 8, our frames. Read such messages for the two numbers that disagree: 3 and 8. And beware of clips with three frames, on which it would *not* complain.

# %%
attempt(forwards.transpose(1, 2))  # (B, C, T, H, W), as it wants
attempt(torch.rand(1, 3, 3, 16, 16))
attempt(torch.rand(1, 3, 3, 3, 3))

# %% [markdown]
# Two numbers again. In the message for (1, 3, 8, 16, 16), on the left, stands how many values `view` made of the clip; on the right the `64` of the linear layer. The first number is $64 \cdot (8-2) \cdot (16-2) \cdot (16-2)$, since the unpadded kernel takes two off each axis. To have 64 left, each axis must come down to 1, and so the only clip that fits has 3 frames of 3 x 3 pixels.
#
# The fault is not the number in `Linear(64, 2)`: any number there would fix *one* size of clip, and learn separate weights for each place. What is missing is a step that makes 64 numbers of 64 channels, whatever the size. Exercise 5.5 asks for it, and does not believe you before your network has learned a direction. The package's `VideoCNN` has such a step:

# %%
repaired = VideoCNN(VideoCNNConfig(kind="3d", channels=64, num_layers=1))
for shape in ((1, 8, 3, 16, 16), (2, 20, 3, 64, 48), (1, 3, 3, 3, 3)):
    print(f"{shape}: a result of shape {tuple(repaired(torch.rand(shape)).shape)}")

# %% [markdown]
# ## 7. The experiment: left or right?
#
# Now for the question of the opening, with training. Every clip is in the set twice, as it is and reversed, so that the two labels have **exactly the same bag of frames**. And it is not made easy: noise snows on every pixel, and a soft light sweeps over the scene, to the left or to the right, *whatever the sprite does*. We train on twelve looks (colour and shape) and test on the four others.

# %%
SNOW = 0.2
held_out = {(c.colour, c.shape) for c in HELD_OUT if c.motion in ("left", "right")}
looks = [(colour, shape) for colour in COLOURS for shape in SHAPES]
trained = [Combination(*look, "left") for look in looks if look not in held_out]
unseen = [Combination(*look, "left") for look in looks if look in held_out]


def sweeping_light(num_clips: int, generator: torch.Generator) -> Tensor:
    """Return a light that moves one column per frame, to either side, (num_clips, 8, 1, 1, 16)."""
    phase, way = torch.rand(2, num_clips, 1, 1, generator=generator)
    columns = (
        torch.arange(16) - (way - 0.5).sign() * torch.arange(8)[:, None]
    )  # (num_clips, 8, 16)
    return 0.2 + 0.2 * torch.cos(2 * torch.pi * (columns / 16 + phase))[:, :, None, None]


def pairs(
    num_pairs: int, combinations: list[Combination], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return clips that go left and their reverses, (2 * num_pairs, T, 3, 16, 16), and labels 0 and 1."""
    clips = sprites.sample(num_pairs, generator=generator, combinations=combinations).clips
    clips = clips + sweeping_light(num_pairs, generator)
    clips = (clips + SNOW * torch.randn(clips.shape, generator=generator)).clamp(0, 1)
    return torch.cat([clips, clips.flip(1)]), torch.arange(2).repeat_interleave(num_pairs)


test_clips, test_labels = pairs(budget.choose(full=200, smoke=20), unseen, budget.generator(99))
show(
    {"left": test_clips[0], "right": test_clips[len(test_clips) // 2]},
    description="a sprite moves left in coloured snow, under a soft light; the same frames in reverse",
)

# %% [markdown]
# Three networks with (nearly) the same number of parameters: 2D must be wider for it, since its kernels are flat. `with_parameters` finds the width.

# %%
number = num_parameters(VideoCNNConfig(kind="3d", channels=8))
configs = {
    kind: with_parameters(VideoCNNConfig(kind=kind), number) for kind in ("2d", "3d", "2plus1d")
}
for kind, config in configs.items():
    count = num_parameters(config)
    print(f"{kind:8} {config.channels:2} channels, {count} parameters ({count / number - 1:+.1%})")

# %% [markdown]
# And two rivals that are not trained at all. The *centre rule*: does the centre of brightness move to the right? The *motion rule*, made of chapter 02's motion features: shift a frame by one column and multiply it with the next, pixel by pixel. Where bright falls on bright the sum is large; is it larger for a shift to the right, or to the left? **The 2D network will get exactly half. Before you run the next cells, write down the accuracy that you expect from the other four.**


# %% tags=["nbval-ignore-output"]
def centre_rule(clips: Tensor) -> Tensor:
    """Say 1 where the centre of brightness moves to the right."""
    columns = clips.mean(dim=(2, 3))  # (B, T, W)
    centre = (columns * torch.arange(16)).sum(dim=2) / columns.sum(dim=2)  # (B, T)
    return (centre[:, 4:].mean(dim=1) > centre[:, :4].mean(dim=1)).long()


def motion_rule(clips: Tensor) -> Tensor:
    """Say 1 where frames agree better with the next one when they are shifted to the right."""
    before, after = clips[:, :-1], clips[:, 1:]
    right, left = before[..., :-1] * after[..., 1:], before[..., 1:] * after[..., :-1]
    return (right.sum(dim=(1, 2, 3, 4)) > left.sum(dim=(1, 2, 3, 4))).long()


def accuracy(answers: Tensor) -> float:
    """Return the share of right answers on the test clips."""
    return (answers == test_labels).float().mean().item()


def answers_of(model: VideoCNN, clips: Tensor) -> Tensor:
    """Return the class that a model takes each clip for."""
    with torch.no_grad():
        return model(clips).argmax(dim=1)


rules = {"centre": centre_rule, "motion": motion_rule}
by_rule = {name: accuracy(rule(test_clips)) for name, rule in rules.items()}
for name, value in by_rule.items():
    print(f"{name} rule: accuracy {value:.3f}")

# %% [markdown]
# Training all three networks on three seeds takes about 40 seconds on two cores.

# %% tags=["nbval-ignore-output"]
STRETCHES, STEPS = budget.choose(full=(8, 25), smoke=(2, 2))


def train(config: VideoCNNConfig, seed: int) -> tuple[VideoCNN, list[float], float]:
    """Return a trained model, its accuracy after each stretch of steps, and the CPU seconds of all steps."""
    torch.manual_seed(seed)
    model, generator = VideoCNN(config), budget.generator(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.005)
    accuracies, seconds = [accuracy(answers_of(model, test_clips))], 0.0
    for _ in range(STRETCHES):
        with budget.cpu_time() as watch:
            for _ in range(STEPS):
                clips, labels = pairs(16, trained, generator)
                optimiser.zero_grad()
                F.cross_entropy(model(clips), labels).backward()
                optimiser.step()
        accuracies.append(accuracy(answers_of(model, test_clips)))
        seconds += watch.cpu_seconds
    return model, accuracies, seconds


jobs = [(kind, seed) for kind in configs for seed in budget.seeds()]
runs = {job: train(configs[job[0]], job[1]) for job in progress(jobs, description="training")}
for kind in configs:
    ends = [runs[kind, seed][1][-1] for seed in budget.seeds()]
    seconds = sum(runs[kind, seed][2] for seed in budget.seeds()) / len(ends)
    print(
        f"{kind:8} accuracy {', '.join(f'{end:.3f}' for end in ends)}, {seconds:.0f} CPU seconds each"
    )

# %% tags=["nbval-ignore-output"]
curve(
    [stretch * STEPS for stretch in range(STRETCHES + 1)],
    {kind: [runs[kind, seed][1] for seed in budget.seeds()] for kind in configs},
    x_label="steps of training",
    y_label="accuracy on unseen looks",
    description="2D stays at one half from the first step to the last; 3D and (2+1)D rise from one half",
)

# %% [markdown]
# The flat line is flat *by construction*: of each pair, 2D gets one right and one wrong, whatever it has learned. The controls: trained networks on clips whose frames are shuffled, and networks before training.

# %% tags=["nbval-ignore-output"]
results = {kind: [runs[kind, seed][1][-1] for seed in budget.seeds()] for kind in configs}
shuffled = {kind: [] for kind in configs}
for kind, seed in jobs:
    order = torch.rand(test_clips.shape[:2], generator=budget.generator(seed)).argsort(dim=1)
    mixed = test_clips[torch.arange(len(test_clips))[:, None], order]
    shuffled[kind].append(accuracy(answers_of(runs[kind, seed][0], mixed)))
untrained = [runs["3d", seed][1][0] for seed in budget.seeds()]

claim("2D, left or right: accuracy", results["2d"], at_least=0.49, at_most=0.51, baseline=0.5)
for kind in ("3d", "2plus1d"):
    claim(
        f"{kind}, left or right: accuracy (baseline: the motion rule; control: frames shuffled)",
        results[kind],
        at_least=0.85,
        baseline=by_rule["motion"],
        control=shuffled[kind],
    )
claim(
    "3D on shuffled frames: accuracy (control: untrained)",
    shuffled["3d"],
    at_most=0.65,
    control=untrained,
)

# %% [markdown]
# Two honest remarks.
#
# *The rules.* The centre rule is right a little more often than not: the light that sweeps over the scene moves the centre of brightness more than the sprite does. The motion rule is a match for our networks: look at the baselines. One who knows the rule can write it in two lines. The networks were told "left" and "right" and nothing else, and found a rule of their own, which also holds for looks that they had never met.
#
# *3D against (2+1)D.* In the paper, on real videos and with networks thousands of times larger, (2+1)D wins at equal parameters. Here, compare the curves, their bands, and then the CPU seconds: both learn the task, and whether one is ahead you see only where the bands do not overlap. Equal parameters need not be equal work, either: which of the two is dearer depends on the width and on the library, as the table of section 4 shows. A ranking from a paper holds for the paper's task and size, until you have measured your own.
#
# ## 8. A kernel for every speed
#
# Take the kernel of section 1 and tilt it: how many columns does it want the bar to move in each frame? Below, the bar always moves left by one column per frame. **How narrow is the peak: will a kernel for half a column per frame, or for one and a half, still respond?**


# %%
def tilted(columns_per_frame: float) -> Tensor:
    """Return a kernel (1, 1, 3, 5, 5) that wants a bar to move so fast; below 0 to the left."""
    place = torch.arange(5) - 2
    wanted = torch.tensor([-1.0, 0.0, 1.0])[:, None] * columns_per_frame  # (time, 1)
    bar = (1 - (place - wanted).abs()).clamp(min=0)  # (time, column), shared between two columns
    bar = bar - bar.mean(dim=1, keepdim=True)
    return bar[None, None, :, None, :].expand(1, 1, 3, 5, 5) / bar.square().sum() / 5


moving_bar = torch.zeros(12, 1, 16, 16)
for t in range(12):
    moving_bar[t, :, 4:12, 13 - t] = 1.0


def beside(columns_per_frame: float) -> Tensor:
    """Return the bar and, to its right, where the kernel responds, (T, 1, 16, 33)."""
    x = moving_bar.transpose(0, 1)[None]  # (1, 1, T, H, W)
    response = (
        conv3d(x, tilted(columns_per_frame), padding=(1, 2, 2))[0, 0, :, None].clamp(0, 1) ** 2
    )
    return torch.cat([moving_bar, torch.full((12, 1, 16, 1), 0.5), response], dim=3)


explore(
    beside,
    name="columns per frame",
    values=[-2.0, -1.5, -1.0, -0.5, 0.0],
    size=330,
    description="left a bar that moves left, right the response of a kernel tilted to that speed",
)

# %% [markdown]
# The response is brightest at -1, and fades to both sides: a kernel is *tuned* to a velocity, and a layer needs several. Ours here was made by hand. What did training find?
#
# ## 9. The chapter's clip
#
# We take the trained 3D network and, of its last layer, the channel that minds the direction most. Below each clip you see where this channel answers.

# %% tags=["nbval-ignore-output"]
model = runs["3d", 0][0]
with torch.no_grad():
    response = model.features(test_clips)  # (B, T, channels, 4, 4)
left, right = response.mean(dim=(1, 3, 4)).chunk(2)  # mean answers, (pairs, channels) each
channel = ((left - right).mean(dim=0).abs() / (left + right).mean(dim=0).clamp(min=1e-6)).argmax()
maps = response[:, :, channel, None]
maps = maps / maps.max().clamp(min=1e-6)
half = len(test_clips) // 2


def with_response(index: int) -> Tensor:
    """Return a clip, and below it the response of the channel, (T, 3, 33, 16)."""
    lamp = resize(maps[index].contiguous(), 16, 16).expand(-1, 3, -1, -1)
    return torch.cat([test_clips[index], torch.full((8, 3, 1, 16), 0.5), lamp], dim=2)


show(
    {
        f"{way} {n + 1}": with_response(n + offset)
        for n in range(3)
        for way, offset in (("left", 0), ("right", half))
    },
    size=280,
    fps=6,
    description="three clips in snow and light, and their reverses; below each, the response of one learned channel",
)
for way, answers in (("left", left), ("right", right)):
    print(f"mean response to all test clips that move {way}: {answers[:, channel].mean():.3f}")

# %% [markdown]
# One channel, one direction: it answers to the clips of one kind and hardly to their reverses, though both are made of the same frames. (We chose the best channel by looking; the numbers are of all test clips.)
#
# ## Exercises

# %% [markdown]
# ### Exercise 5.1 · A kernel in time
#
# *10 minutes, difficulty 1 of 3.* Slide a kernel (K,) over the frames of a clip (T, C, H, W), without padding: result `t` is the sum of `kernel[k] * clip[t + k]`. Section 1 did it for one pixel. Mind the axis, and how many frames are left.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "05-time", "locked": false, "schema_version": 3, "solution": true, "task": false}
def convolve_time(clip: Tensor, kernel: Tensor) -> Tensor:
    """Slide a kernel (K,) over time; clip: (T, C, H, W)."""
    # BEGIN SOLUTION: a tensor (T - K + 1, C, H, W)
    count = len(clip) - len(kernel) + 1
    return sum(kernel[k] * clip[k : k + count] for k in range(len(kernel)))
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "05-time-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("05-time", convolve_time)

# %%
# hint("05-time")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 5.2 · No look ahead
#
# *15 minutes, difficulty 2 of 3.* Convolve so that the clip keeps T, H and W and no output sees a later frame: kernels are odd in height and width (pad both sides alike) and of any length in time. `F.pad` takes the last axis first: (left, right, top, bottom, before, after). You may use `F.conv3d`.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "05-causal", "locked": false, "schema_version": 3, "solution": true, "task": false}
def causal_conv3d(x: Tensor, weight: Tensor) -> Tensor:
    """x: (B, C, T, H, W), weight: (O, C, kT, kH, kW); returns (B, O, T, H, W)."""
    # BEGIN SOLUTION: a tensor (B, O, T, H, W)
    time, height, width = weight.shape[2:]
    space = (width // 2, width // 2, height // 2, height // 2)
    return F.conv3d(F.pad(x, (*space, time - 1, 0)), weight)
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "05-causal-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("05-causal", causal_conv3d)

# %%
# hint("05-causal")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 5.3 · The frame that went missing
#
# *15 minutes, difficulty 2 of 3.* A kernel of two frames with a stride of 2 halves the frame rate. With 7 frames it takes (0, 1), (2, 3), (4, 5), and frame 6 is gone, without a word: the most recent, which a predictor needs most. Lose nothing: where T is odd, put one black frame *before* the first. The weight is (O, C, 2, 1, 1); `F.conv3d` takes a `stride` of three numbers, for time, height and width.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "05-stride", "locked": false, "schema_version": 3, "solution": true, "task": false}
def halve_time(x: Tensor, weight: Tensor) -> Tensor:
    """x: (B, C, T, H, W), weight: (O, C, 2, 1, 1); returns (B, O, T / 2 rounded up, H, W)."""
    # BEGIN SOLUTION: a tensor whose last frame depends on the last frame of x
    odd = x.shape[2] % 2
    return F.conv3d(F.pad(x, (0, 0, 0, 0, odd, 0)), weight, stride=(2, 1, 1))
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "05-stride-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("05-stride", halve_time)

# %%
# hint("05-stride")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 5.4 · How far does it see?
#
# *10 minutes, difficulty 2 of 3.* Compute the receptive field of a stack of layers along one axis, from the kernel sizes and strides, first layer first. Do two layers with kernels of 3 and strides of 2 on paper before you write: the answer is 7.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "05-field", "locked": false, "schema_version": 3, "solution": true, "task": false}
def field_of(kernel_sizes: list[int], strides: list[int]) -> int:
    """Return how many inputs one output sees."""
    # BEGIN SOLUTION: a whole number of at least 1
    field, step = 1, 1
    for kernel_size, stride in zip(kernel_sizes, strides, strict=True):
        field += (kernel_size - 1) * step
        step *= stride
    return field
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "05-field-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("05-field", field_of)

# %%
# hint("05-field")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 5.5 · Repair the printed network
#
# *20 minutes, difficulty 2 of 3.* Name the two faults of section 6 in a sentence each, from the messages alone: what do the two numbers in each of them count? Then mend both: the layers stay as printed, only `forward` is yours. It gets our clips (B, T, 3, H, W), of any size from 3 x 3 x 3 on. The check tries several sizes, looks at what reaches the convolution, and then trains your network on bars that move left or right.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "05-repair", "locked": false, "schema_version": 3, "solution": true, "task": false}
class RepairedVideoCNN(nn.Module):
    """The printed network, for clips (B, T, 3, H, W) of any size; returns (B, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, 64, kernel_size=(3, 3, 3))
        self.relu = nn.ReLU()
        self.fc = nn.Linear(64, 2)

    def forward(self, clips: Tensor) -> Tensor:
        # BEGIN SOLUTION: a tensor (B, 2)
        x = self.relu(self.conv1(clips.transpose(1, 2)))  # (B, 64, T - 2, H - 2, W - 2)
        return self.fc(x.mean(dim=(2, 3, 4)))
        # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "05-repair-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("05-repair", RepairedVideoCNN)

# %%
# hint("05-repair")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ## What we built, and what still fails
#
# A kernel in time, by hand, by loops, by one matrix product and as a layer that equals PyTorch's. Padding that cannot cheat, and the gradient that proves it. A kernel taken apart, a receptive field computed and found. A network that sees which way things go, beside one that cannot, at equal size.
#
# What still fails: our network sees that something moves left, and gives us one word for it. It has not drawn a single frame. And it sees no further than its receptive field: seven frames, and no memory beyond. We now have three ways to treat time: a memory (chapter 03), attention (chapter 04) and local motion (this one). **Chapter 06** turns each of them into a predictor of the next frame, feeds it its own output, and watches what goes wrong.
#
# ## Papers
#
# - S. Ji, W. Xu, M. Yang and K. Yu, *3D Convolutional Neural Networks for Human Action Recognition*, IEEE Trans. Pattern Analysis and Machine Intelligence 35(1), 2013: convolution over time and space.
# - D. Tran et al., *Learning Spatiotemporal Features with 3D Convolutional Networks*, 2015, [arXiv 1412.0767](https://arxiv.org/abs/1412.0767): kernels of 3 x 3 x 3 throughout, as here.
# - D. Tran et al., *A Closer Look at Spatiotemporal Convolutions for Action Recognition*, 2018, [arXiv 1711.11248](https://arxiv.org/abs/1711.11248): (2+1)D and the formula for its channels. Theirs are residual networks with batch normalisation; ours have three plain layers.
# - A. van den Oord et al., *WaveNet: A Generative Model for Raw Audio*, 2016, [arXiv 1609.03499](https://arxiv.org/abs/1609.03499): causal convolutions, on sound, dilated so that they see far.
# - M. Lin, Q. Chen and S. Yan, *Network In Network*, 2013, [arXiv 1312.4400](https://arxiv.org/abs/1312.4400): the mean over all places before the answer; they take it of one channel for each class, we put a linear layer behind it.
# - A. Araujo, W. Norris and J. Sim, *Computing Receptive Fields of Convolutional Neural Networks*, Distill, 2019: the sum of section 5, and what becomes of it in branching networks.
# - L. C. Pickup et al., *Seeing the Arrow of Time*, CVPR 2014: can one tell whether a video runs backwards?
