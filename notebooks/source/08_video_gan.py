# %% [markdown]
# # 08 · A video GAN
#
# Two networks that teach one another: one draws clips, the other says which clips are real. In this chapter you build both. You give the one that draws a code that stays and a code that moves, you give the other a pair of eyes for frames and a pair for clips, you watch their game go round in circles and bring it to rest, and you learn why their losses tell you nothing about the clips.
#
# **Time**: about 115 minutes to read, 90 for the exercises, about three to run. **You need**: the judge of chapter 02, the recurrent cell of chapter 03, and what chapter 07 says about the mean of all futures.
#
# When you are through, you can
#
# 1. **play** the game of generator and critic by hand, and **say** why it circles and what brings it to rest;
# 2. **hold down** the slope of a critic, with a spectral norm and a penalty, and **prove** both;
# 3. **split** chance into a content code and a motion code, and **walk** each by itself;
# 4. **tell** what a critic of frames can see and what it cannot;
# 5. **find** a collapse that no loss shows, and **ask** clips to differ.

# %%
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course import budget
from course.datasets import sprites
from course.datasets.captions import (
    ALL,
    HELD_OUT,
    MOTIONS,
    TRAINED,
    VOCABULARY,
    Combination,
    caption,
    indices,
)
from course.display import curve, explore, heatmap, progress, show, strip
from course.evaluation.claims import claim
from course.evaluation.judge import Verdict, coverage, judge, read
from course.exercises.checking import check, hint, working
from course.layers.spectral import SpectralNorm, power_iteration, spectral_norm
from course.models.gan import (
    FARTHEST,
    ClipCritic,
    FrameCritic,
    GANConfig,
    Generator,
    Judgement,
    MotionCode,
    Noise,
    Words,
    draw_noise,
    folded,
)
from course.recipes.gan import (
    GAN_SETTINGS,
    GANRun,
    draw_gan,
    read_losses,
    train_gan,
    variety,
)
from course.recipes.shipped import CHECKPOINTS, load_gan
from course.recipes.text_to_clip import WORLD, captions_of
from course.training.adversarial import (
    hinge_critic_loss,
    hinge_generator_loss,
    mismatch_loss,
    mode_seeking_loss,
    r1_penalty,
)
from course.training.checkpoint import read_card

print(budget.settle())

# %% [markdown]
# ## Could this be true?
#
# Chapter 07 ended with a network that was asked to draw *something*, and drew the mean of everything. The squared error wants it so: to one question it knows one best answer, and where a thousand clips are right, the best one answer is the fog between them. So the question has to change. Not: *how far is this from the truth?*, for there is no one truth. But: *could this be true?* No formula answers that. A network may.
#
# Call it the **critic**. It is shown real clips and drawn ones, and learns to score the real ones high and the drawn ones low. A second network, the **generator**, turns chance into clips, and learns to be scored high. Nothing compares its clip with any particular real one, and so nothing asks for the mean: a fog is what no real clip looks like, and the critic says so at once. This is a *generative adversarial network*, a GAN (Goodfellow et al. 2014).
#
# Here is one that was trained beforehand, with the parts that you are about to build. A cell that loads a network says what it cost and what makes it again.


# %%
def loaded(name: str) -> Generator:
    """Load a trained generator, and say what it cost and what makes it again."""
    card = read_card(CHECKPOINTS / f"{name}.safetensors")
    print(
        f"{name}: {card.cpu_seconds:.0f} CPU-seconds, {card.num_steps} steps, by: {card.command}"
    )
    return load_gan(name)


network = loaded("gan_both_0")
asked = [caption(one) for one in (TRAINED[0], TRAINED[30], TRAINED[50], TRAINED[70])]
clips = draw_gan(network, asked, generator=budget.generator(0))  # (4, 8, 3, 16, 16)
show(
    dict(zip(asked, clips, strict=True)),
    description="four clips of one sprite each, drawn by the generator, each below the caption that it was asked for",
)

# %% [markdown]
# One pass through the network for each clip: that is the charm of a GAN, and it will not come again in this course. The price is the training.
#
# ## 1. The smallest game
#
# Make everything as small as it can be (Mescheder et al. 2018 call it the *Dirac-GAN*). In this world the only real "clip" is the number 0. The generator has one parameter $\theta$ and always says $\theta$; it begins at 1. The critic is a line through the origin with the slope $\psi$, which begins at 0: it scores $x$ with $\psi x$.
#
# The critic wants the real 0 high and $\theta$ low; the score of 0 is 0 whatever it does, so all it can do is to press on $\theta$: the score of $\theta$ is $\psi\theta$, its slope by $\psi$ is $\theta$, and the critic goes down that slope with the learning rate $\eta$: $\psi \leftarrow \psi - \eta\,\theta$. The generator goes up the slope of the line: $\theta \leftarrow \theta + \eta\,\psi$. By turns, with $\eta = 0.5$. **Play three turns on paper. Does the generator stop when it arrives at 0?**

# %%
theta, psi = 1.0, 0.0
for turn in (1, 2, 3):
    psi = psi - 0.5 * theta
    theta = theta + 0.5 * psi
    print(f"turn {turn}: the critic's slope {psi:6.3f}, the generator says {theta:6.3f}")

# %% [markdown]
# It does not stop; it is faster than ever. At 0 it would be perfect, but the line there is still steep from all the pressing, and the generator knows nothing but the line. So it runs through, comes out on the other side, and the critic begins to turn the line round. Two that answer one another are a *pendulum*: the one's place is the other's push. Now a hundred and fifty turns with a small $\eta$, and beside it the same game with both moving at once, each on what the other was before.


# %%
def game(
    num_turns: int, *, gamma: float = 0.0, at_once: bool = False
) -> tuple[list[float], list[float]]:
    """Play; return what the generator says after each turn, and the critic's loss."""
    theta, psi, rate = 1.0, 0.0, 0.1
    said, losses = [], []
    for _ in range(num_turns):
        losses.append((1 - psi * 0) + (1 + psi * theta))  # section 2 says why
        pressed = psi - rate * (theta + gamma * psi)
        theta = theta + rate * (psi if at_once else pressed)
        psi = pressed
        said.append(theta)
    return said, losses


games = {
    "by turns": game(150),
    "at once": game(150, at_once=True),
    "by turns, with friction": game(150, gamma=1.0),
}
curve(
    range(1, 151),
    {name: said for name, (said, _) in games.items()},
    x_label="turn",
    y_label="what the generator says (real: 0)",
    description="by turns the generator swings evenly between one and minus one; at once its swings grow; with friction they die out within a few dozen turns",
)

# %% [markdown]
# By turns it goes round for ever; at once it flies apart. Neither ever arrives, and there is no mistake in the code: this *is* what the two slopes say. More steps will not help, and a smaller rate only makes it slower.
#
# The third curve has **friction**, the parameter `gamma`: at each turn the critic's slope loses a part of itself, $\psi \leftarrow \psi - \eta\,(\theta + \gamma\,\psi)$. At the goal no slope is needed, and this takes it away there. That is the *R1 penalty*; section 4 writes it for any critic. How far does the generator still swing, after three hundred turns?

# %%
swings = {
    name: max(map(abs, game(300, **options)[0][-70:]))
    for name, options in {
        "friction": {"gamma": 1.0},
        "by turns": {},
        "at once": {"at_once": True},
    }.items()
}
claim(
    "The smallest game: largest distance from the goal in the last of 300 turns, with friction (baseline: without; control: without, and both at once)",
    swings["friction"],
    at_most=0.001,
    baseline=swings["by turns"],
    control=swings["at once"],
    always=True,
)

# %% [markdown]
# ### What the loss says
#
# Now look at the critic's loss in the game that arrives, at the very start, where nothing was learned, and at the very end, where all was. **Which is the smaller?**

# %%
curve(
    range(1, 151),
    {name: games[name][1] for name in ("by turns", "by turns, with friction")},
    x_label="turn",
    y_label="loss of the critic",
    description="without friction the loss swings about two; with friction it dips below two, and comes back to two, where it began",
)
_, losses = game(300, gamma=1.0)
print(f"at the start: {losses[0]:.3f}, at the end: {losses[-1]:.3f}")

# %% [markdown]
# The same. At the start the critic cannot tell, since it has learned nothing; at the end it cannot tell, since there is nothing to tell. Between the two the loss says who is *ahead*, and that is all it ever says. A loss that falls is a critic that wins, which may be bad news. Keep this in mind for section 11.
#
# ## 2. The hinge
#
# A critic that may score without bounds scores real clips at a million and drawn ones at minus a million, and is rewarded for it. The **hinge loss** (Lim and Ye 2017) is content with a margin of 1: a real clip that is scored above 1 costs nothing, and neither does a drawn one below $-1$.
#
# $$L_\text{critic} = \text{mean}\,\max(0, 1 - \text{real}) + \text{mean}\,\max(0, 1 + \text{fake}), \qquad L_\text{generator} = -\,\text{mean}\ \text{fake}.$$
#
# Three real clips are scored 2, 0.5 and $-1$; three drawn ones $-2$, $-0.5$ and 1. **What does each cost the critic? Which of the six does it still push?**

# %%
real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-2.0, -0.5, 1.0])
cost_real, cost_fake = (1 - real).clamp(min=0), (1 + fake).clamp(min=0)
print("real ones cost ", cost_real.tolist())
print("drawn ones cost", cost_fake.tolist())
critic_cost, generator_cost = cost_real.mean() + cost_fake.mean(), -fake.mean()
print(f"the critic loses {critic_cost:.3f}, the generator {generator_cost:.3f}")
print(
    "equal to the package's:",
    torch.allclose(critic_cost, hinge_critic_loss(real, fake)),
    torch.allclose(generator_cost, hinge_generator_loss(fake)),
)

# %% [markdown]
# Two of the six are left in peace. The generator has no margin: it is pushed by the slope of the critic at *every* clip that it draws, and it is never done. So what it learns from is the critic's slope, at clips that it draws itself. A critic that is a cliff, flat on both sides, has nothing to teach; a critic that gets steeper and steeper throws the generator about. The next two sections are about the slope.
#
# ## 3. A bound on the slope: the spectral norm
#
# A linear layer turns $x$ into $Wx$. How much longer can it make a vector? Take $W = \begin{pmatrix} 2 & 1 \\ 1 & 2 \end{pmatrix}$ and vectors of length 1 in all directions. **In which direction is the stretch the largest, and how large?**

# %%
W = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
for degrees in (0, 45, 90, 135):
    angle = torch.deg2rad(torch.tensor(float(degrees)))
    x = torch.stack([angle.cos(), angle.sin()])
    print(f"{degrees:3} degrees: stretched to {(W @ x).norm():.3f}")

# %% [markdown]
# Three, along the diagonal, and only 1 across it. The largest stretch is the largest *singular value* of $W$, its **spectral norm** $\sigma$. Divide the weight by it and the layer can stretch nothing; build a critic of such layers, with activations of slope at most 1 between them, and two clips that are close are scored close (Miyato et al. 2018).
#
# How to find $\sigma$? **Power iteration**: send a vector through $W^\top$ and back through $W$, and make it of length 1 again. Each round multiplies its part along the diagonal by $3^2$ and its part across by $1^2$. The larger part wins.

# %%
u = torch.tensor([1.0, 0.0])
for k in range(1, 4):
    v = W.T @ u
    v = v / v.norm()
    u = W @ v
    u = u / u.norm()
    print(f"round {k}: u = ({u[0]:.4f}, {u[1]:.4f}), stretch {u @ W @ v:.5f}")
mine, theirs = u, power_iteration(W, torch.tensor([1.0, 0.0]), num_steps=3)[0]
print("equal to the package's:", torch.allclose(mine, theirs))

# %% [markdown]
# Three rounds, and it is there to four digits. A convolution's weight has four dimensions; it is taken as a matrix, one row for each output channel. Three comparisons for one of those: with the singular values from linear algebra, with the package's layer, and with PyTorch's own. And one number that is often taken for the norm: the root of the sum of all squares, *Frobenius'* norm, which adds up the stretches of all directions.

# %%
torch.manual_seed(0)
weight = nn.Conv2d(8, 16, 3).weight.detach()
matrix = weight.flatten(1)  # (16, 8 * 3 * 3)
u, v = power_iteration(matrix, torch.randn(16), num_steps=200)
largest = torch.linalg.svdvals(matrix)[0]
print("power iteration and linear algebra agree:", torch.allclose(u @ matrix @ v, largest))
ours = SpectralNorm(weight, num_steps=200)(weight)
print("the package's layer divides by it:       ", torch.allclose(ours, weight / largest))
layer = nn.Conv2d(8, 16, 3)
layer.weight.data.copy_(weight)
layer = nn.utils.parametrizations.spectral_norm(layer, n_power_iterations=200)
print("PyTorch's own gives the same:            ", torch.allclose(ours, layer.weight, atol=1e-5))
print(f"Frobenius' norm is larger, {weight.norm() / largest:.1f} times")

# %% [markdown]
# Divide by Frobenius' norm, and every layer is that much too weak; after five layers hardly a difference comes through.
#
# Two hundred rounds for each step of training would be dear. But a weight changes little from one step to the next, so the last $u$ is nearly right for the new weight, and *one* round at each use keeps up. For that the new $u$ must be kept. Here is a weight that drifts, as in training; its true norm; the estimate by one round with $u$ kept; and the estimate by one round from the first $u$, again and again.

# %%
torch.manual_seed(1)
drifting = torch.randn(16, 32)
kept = forgotten = power_iteration(drifting, torch.randn(16))[0]
norms = {"true": [], "one round, u kept": [], "one round, u forgotten": []}
for _ in range(80):
    drifting = drifting + 0.12 * torch.randn(16, 32)
    norms["true"].append(torch.linalg.svdvals(drifting)[0])
    kept, v = power_iteration(drifting, kept)
    norms["one round, u kept"].append(kept @ drifting @ v)
    u, v = power_iteration(drifting, forgotten)
    norms["one round, u forgotten"].append(u @ drifting @ v)
curve(
    range(80),
    norms,
    x_label="step",
    y_label="spectral norm",
    description="the true norm rises slowly; the estimate with u kept soon follows close below it; the one that begins anew stays well below throughout",
)

# %% [markdown]
# An estimate that is too small divides too little, and the bound is none. (An honest word about the bound: the matrix is not the convolution. A convolution uses each pixel several times, and can stretch a picture more than its matrix stretches a vector. Miyato et al. accept that: what matters is that nothing grows without end.)
#
# ### A bound that is too tight
#
# A critic has to tell a circle from a square, and the hinge wants the right one above 1 and the wrong one below $-1$: a difference of 2 between two frames that differ in a few pixels. **How steep must a critic be at least, for the two shapes that are most alike?**

# %%
still_state = sprites.sample_state(
    [Combination("red", shape, "still") for shape in ("circle", "square", "triangle", "cross")],
    generator=budget.generator(2),
    config=WORLD,
)
same_place = replace(
    still_state, position=still_state.position[:1].expand_as(still_state.position)
)
frames = sprites.render(same_place, config=WORLD)[:, 0].flatten(1)  # (4, 768)
apart = torch.cdist(frames, frames) + 99 * torch.eye(4)
print(
    f"two frames are {apart.min():.2f} apart at least: a slope of {2 / apart.min():.2f} is needed"
)

# %% [markdown]
# That does not look like much. But it is more than 1, and a chain of layers that stretch by 1 at most cannot have it at all. Our critics are let off a little: they read pixels from $-1$ to 1, which doubles every difference, and each block adds its input to its result. Even so they come near what is needed only if layer after layer stretches this very difference as far as it may. When we tried it, colours were learned, and many shapes stayed wrong; and critics with a spectral norm that were trained by themselves, without any generator, told shapes apart less well than critics without it. So the norm that made so many GANs possible is *left out* of ours (`spectral=True` in the config brings it back), and the next section has what takes its place. Where differences are large, in photographs, it does no such harm.
#
# ## 4. Less slope at what is real: the R1 penalty
#
# Friction, for any critic. At the real clips, where the generator is to arrive, the slope of the score is to be small:
#
# $$R_1 = \frac{\gamma}{2}\ \text{mean over real clips of}\ \Big\| \frac{\partial\, \text{score}}{\partial\, \text{clip}} \Big\|^2.$$
#
# For the line $\psi x$ the slope is $\psi$, the penalty $\frac{\gamma}{2} \psi^2$, and its slope $\gamma \psi$: the friction of section 1. Two things are easy to get wrong. The squares are summed over *all numbers of a clip*, and the mean is over clips. And the penalty is at the *real* clips, not at drawn ones. PyTorch finds the slope by walking back; we find it a second time with our bare hands, by pushing each number of each clip up a little, and down a little. (The package's `r1_penalty` leaves the factor $\frac{\gamma}{2}$ to whoever calls it, and so does this cell; the dots of section 8 use $\gamma = 1$.)

# %%
torch.manual_seed(2)
small = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)).double()
three = torch.randn(3, 4, dtype=torch.float64)  # three real "clips" of four numbers
push, total = 1e-5, 0.0
with torch.no_grad():
    for number in range(4):
        step = torch.zeros(4, dtype=torch.float64)
        step[number] = push
        slope = (small(three + step) - small(three - step)) / (2 * push)  # (3, 1)
        total = total + slope.square().mean()
print("equal to the package's:", torch.allclose(total, r1_penalty(small, three)))

# %% [markdown]
# The penalty must teach the critic, so it has to be differentiated *once more*, by the critic's weights: the slope of a squared slope. The same trick, one level higher, for one weight:

# %%
weights = small[0].weight
(by_torch,) = torch.autograd.grad(r1_penalty(small, three), weights)
sides = []
for sign in (1, -1):
    with torch.no_grad():
        weights[2, 1] += sign * push
    sides.append(r1_penalty(small, three).item())
    with torch.no_grad():
        weights[2, 1] -= sign * push
by_hand = (sides[0] - sides[1]) / (2 * push)
agree = bool((by_hand - by_torch[2, 1]).abs() < 1e-6)
print("slope of the squared slope, the same by hand and by PyTorch:", agree)

# %% [markdown]
# Walking back twice is dear; the package takes the penalty once in some steps, and lets it count so many times as much.
#
# ## 5. A code that stays, a code that moves
#
# The critic is bounded; now the generator. It makes clips of chance. But which chance? If every frame had its own, nothing would hold the frames together: a red circle, then a blue cross. If the whole clip had one and no more, time would have to come from elsewhere. MoCoGAN (Tulyakov et al. 2018) splits chance in two. The **content code** is drawn once and is the same in every frame: *what* is seen. The **motion code** is another one in each frame: *how* it moves.
#
# ### Exercise 8.1 · Codes for a clip
#
# *10 minutes, difficulty 1 of 3.* Draw standard normal numbers for the frames of a batch of clips. The first `content_size` numbers of a frame are the content code: for all frames of a clip the same, for another clip others. The last `motion_size` numbers are drawn afresh for every frame. All chance comes from `generator`, which here is PyTorch's source of chance and not the network. The cell below uses your function, or ours as long as yours is not right.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "08-codes", "locked": false, "schema_version": 3, "solution": true, "task": false}
def draw_codes(
    num_clips: int,
    num_frames: int,
    content_size: int,
    motion_size: int,
    generator: torch.Generator,
) -> Tensor:
    """Return the codes of all frames, (num_clips, num_frames, content_size + motion_size)."""
    # BEGIN SOLUTION: a tensor (B, T, content_size + motion_size)
    content = torch.randn(num_clips, 1, content_size, generator=generator)
    motion = torch.randn(num_clips, num_frames, motion_size, generator=generator)
    return torch.cat([content.expand(-1, num_frames, -1), motion], dim=2)
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "08-codes-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("08-codes", draw_codes)

# %%
# hint("08-codes")  # take away the first # and run: three hints, one for each run, then the answer

# %%
codes = working("08-codes", draw_codes)(2, 6, 4, 4, budget.generator(3))
heatmap(
    codes[0].T,
    rows=[f"content {i}" for i in range(4)] + [f"motion {i}" for i in range(4)],
    columns=[str(t) for t in range(6)],
    row_label="number of the code",
    column_label="frame",
    value_label="value",
    digits=1,
    description="each of the four rows of content holds one value in all frames; the four rows of motion change from frame to frame",
)

# %% [markdown]
# ### A walk, not a jump
#
# Motion numbers that are drawn afresh have no memory: frame 3 cannot know where frame 2 was. So the fresh numbers are fed to a recurrent cell, the GRU of exercise 3.2, one step for each frame, and the motion code is its *state*. Before it sets out there is a **plan**: a vector made of chance and of the words that say how it moves. The walk begins at the plan, and is told it again in every frame, since a clockwise way has to be known until it ends. The content code is made of chance and of the words that say what is seen. (Chance has fewer numbers than the words' vectors, and is made louder by a factor; otherwise the words drown it, and all clips of one caption begin at one place.) By hand:


# %%
def my_motion(part: MotionCode, start: Tensor, steps: Tensor, words: Tensor) -> Tensor:
    """Walk: start (B, noise_size), steps (B, T, step_size), words (B, L)."""
    plan = part.plan(
        torch.cat([part.words(words), part.loudness * start], dim=1)
    )  # (B, code_size)
    state, codes = part.begin(plan).tanh(), []
    for fresh in steps.unbind(dim=1):
        told = torch.cat([plan, part.step_loudness * fresh], dim=1)
        (state,) = part.cell(told, (state,))
        codes.append(state)
    return torch.stack(codes, dim=1)  # (B, T, code_size)


torch.manual_seed(3)
config = GANConfig(num_words=len(VOCABULARY))
plain = Generator(config).eval()
words = indices(["a red circle moves left", "a blue cross stands still"])
noise = draw_noise(2, config, generator=budget.generator(4))
with torch.no_grad():
    mine = my_motion(plain.motion, noise.start, noise.steps, words)
    theirs = plain.motion(noise.start, noise.steps, words)
print("equal to the package's:", torch.allclose(mine, theirs, atol=1e-6))
late = noise.steps.clone()
late[:, 5] += 1  # other chance in frame 5
with torch.no_grad():
    changed = (plain.motion(noise.start, late, words) - theirs).norm(dim=2)[0] > 1e-6
print("frames whose code is another one:", changed.nonzero().flatten().tolist())

# %% [markdown]
# What happens in frame 5 is remembered in all frames after it, and known in none before. Note the words: *a red circle* reaches the content code alone, *moves left* the motion code alone. In our language that is a safe split, and it will pay in section 10.
#
# ## 6. The generator: draw on a canvas that slides
#
# How shall two codes become pictures? The usual way is a coarse map of numbers that convolutions enlarge, step by step. We tried it first. Colours came at once, and in the time that we have little else: what a shape looks like had to be found out for many places, and nothing said that it stays the same while it moves. So the generator was told something that we know about the world: *what moves stays what it is*.
#
# It draws on a **canvas of waves**. A wave is a sine over the picture: at place $p$ it has the value $\sin 2\pi(f \cdot p + \text{phase})$. Shift the canvas by $d$, that is, put $p - d$ in place of $p$, and all that is drawn on it moves by $d$. (The idea is from StyleGAN3, Karras et al. 2021: waves as the input of the generator, which a learned shift can move.) Take a line and a wave that repeats once in each unit of length, with phase 0, at place 0.25. (Our picture is two units wide.) **What is its value? And after a shift of 0.25?**

# %%
for shift in (0.0, 0.25, 0.5):
    value = torch.sin(torch.tensor(2 * torch.pi * 1.0 * (0.25 - shift)))
    print(f"shift {shift:4}: {value:6.3f}")
rows = (torch.arange(64) + 0.5) / 64 * 2 - 1
grid = torch.stack(torch.meshgrid(rows, rows, indexing="ij"), dim=-1)  # (64, 64, 2)
shifts = torch.stack([torch.zeros(8), torch.arange(8) / 16], dim=1)  # (8, 2), to the right
pictures = {}
for name, f in {"slow": (0.3, 0.5), "fast": (-0.6, 1.3)}.items():
    angle = 2 * torch.pi * (grid - shifts[:, None, None]) @ torch.tensor(f)
    pictures[name] = (angle.sin() / 2 + 0.5)[:, None]  # (8, 1, 64, 64)
strip(
    pictures,
    description="two rows of eight frames: slanted stripes, broad in the first row and narrow in the second, which move to the right from frame to frame",
)

# %% [markdown]
# Then each place is by itself. The waves at that place, each as a sine and as a cosine, go through a few small layers, the same for all places and frames; the content code turns the channels of each layer up and down, as FiLM does in chapter 07. A circle is a certain sum of waves, bent. And from the motion code the generator reads *two numbers* for each frame. In the first frame they say where the canvas lies, down and to the right; in each later one, how far it *moves on*. (First we let every frame say where the canvas lies. It worked, slowly: eight places had to be learned for a motion, where now one step, nearly the same each time, is enough.)
#
# A canvas that would leave the frame is **folded** back, as by a wall: what has left the frame is seen by no critic, and would never come back. (A tanh would hold it as well, and there its slope is next to nothing. The fold has a slope of 1 or $-1$ everywhere.) With the bound at 0.8, **where do 0.5, 0.9 and 2.5 end up?**

# %%
print([round(folded(torch.tensor(place), 0.8).item(), 2) for place in (0.5, 0.9, 2.5)])

# %% [markdown]
# 0.9 is a tenth beyond the wall, and comes back to a tenth before it; 2.5 has gone to the wall, across to the other, and is on its way back. The whole generator, by hand:


# %%
def way(net: Generator, motion: Tensor) -> Tensor:
    """motion: (B, T, code_size); return where the canvas lies in each frame, (B, T, 2)."""
    start, steps = net.start(motion[:, :1]), net.step(motion[:, 1:])
    return folded(torch.cat([start, steps], dim=1).cumsum(dim=1), FARTHEST)


def my_render(net: Generator, content: Tensor, motion: Tensor) -> Tensor:
    """content: (B, code_size), motion: (B, T, code_size); return clips (B, T, 3, 16, 16)."""
    shift = way(net, motion)[:, :, None, None]  # (B, T, 1, 1, 2)
    angle = 2 * torch.pi * ((net.grid - shift) @ net.frequency + net.phase)  # (B, T, 8, 8, 32)
    x = torch.cat([angle.sin(), angle.cos()], dim=-1)  # (B, T, 8, 8, 64)
    for style, layer in zip(net.style, [*net.layers, net.head], strict=True):
        scale, move = style(content)[:, None, None, None].chunk(2, dim=-1)
        x = layer(F.silu((1 + scale) * x + move))
    x = x.unflatten(-1, (3, 2, 2))  # (B, T, 8, 8, 3, 2, 2): squares of 2 x 2 pixels
    x = x.permute(0, 1, 4, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4)  # (B, T, 3, 16, 16)
    return x.sigmoid()


for parameter in plain.parameters():
    nn.init.normal_(
        parameter, std=0.3
    )  # untrained; a new generator begins nearly black, section 13 says why
with torch.no_grad():
    content, motion = (
        plain.content(noise.content, words),
        plain.motion(noise.start, noise.steps, words),
    )
    mine, theirs = my_render(plain, content, motion), plain(noise, words)
print("equal to the package's:", torch.allclose(mine, theirs, atol=1e-5))

# %% [markdown]
# And the promise: move the canvas by one square of two pixels, and the picture, whatever it shows, moves by two pixels to the right. No training is needed for this, and no training can undo it.

# %%
square = 2 / 8  # the picture is 2 units wide and has 8 squares
first = torch.tensor([[0.0, -0.75]])  # in the middle row, on the left
step = torch.tensor([[0.0, square]])  # a square to the right
wanted = [first - plain.start.bias] + 6 * [step - plain.step.bias]
layers = [plain.start.weight] + 6 * [plain.step.weight]
moved = torch.cat(  # codes from which these are read, (7, code_size)
    [torch.linalg.lstsq(w, s.T).solution.T for w, s in zip(layers, wanted, strict=True)]
).expand(2, -1, -1)
with torch.no_grad():
    sliding = plain.render(content, moved)
same = torch.allclose(sliding[:, 1:, ..., 2:], sliding[:, :-1, ..., :-2], atol=1e-3)
print("every frame is the one before, two pixels to the right:", same)
strip(
    sliding[0],
    description="seven frames of an untrained generator: a coloured pattern that slides to the right, two pixels per frame",
)

# %% [markdown]
# So the shape is kept, as a gift, whenever a sprite moves by whole squares. (Between them it is not: one pixel is half a square, and what the layers make of a place half-way they have to learn.) That is much help, and it is honest to say so: a system for real videos, in which heads turn and water flows, gets no such gift.
#
# ## 7. Two critics
#
# ### What a critic of frames can see
#
# The **frame critic** is given single frames, and scores each. Its verdict on a clip is that on its frames. Here is a clip and the same clip with its frames in another order. **Which of the two will an untrained frame critic prefer? And a trained one?**

# %%
chance = budget.generator(6)
sampled = sprites.sample(
    1, generator=chance, config=WORLD, combinations=[Combination("green", "square", "right")]
)
order = torch.tensor([4, 1, 6, 0, 7, 2, 5, 3])
two = {"as it was": sampled.clips[0], "shuffled": sampled.clips[0, order]}
show(
    two,
    description="a green square that moves right, and the same frames in another order: it jumps to and fro",
)
torch.manual_seed(4)
frame_critic, clip_critic = FrameCritic(config).eval(), ClipCritic(config).eval()
told = indices(sampled.captions)
with torch.no_grad():
    by_frame = [frame_critic(frames, told.expand(8, -1)) for frames in two.values()]
    by_clip = [clip_critic(frames[None], told) for frames in two.values()]
print(
    "frame critic: the same scores, in another order:",
    torch.allclose(by_frame[0][order], by_frame[1], atol=1e-5),
)
print("clip critic: the same score:", torch.allclose(*by_clip, atol=1e-5))

# %% [markdown]
# Neither, and never: it sees a set of frames, and both sets are the same. So a generator that has a frame critic alone may put the sprite anywhere in each frame. Whether it then flickers, drifts or stands still is an accident of its weights, and nobody will complain. The **clip critic** is given all frames at once. Each is read by the same layers, then they lie behind one another as the channels of one picture, and from there on what happens in frame 3 meets what happens in frame 4.
#
# Why then keep a frame critic at all? Because its task is the easier one. It sees one picture, learns soon what a sprite looks like, and has something to say while the clip critic is still looking at noise.
#
# ### What the words ask
#
# A caption is to be obeyed, so the critics must read it. The **projection critic** (Miyato and Koyama 2018) boils a clip down to a vector of features. One weight vector says how *real* they look. And each word has a vector of its own, which says in which direction the features of a clip lie that *fits* it:
#
# $$\text{score} = w \cdot \text{features} + b + \Big(\sum_\text{words} e_\text{word}\Big) \cdot \text{features}.$$
#
# Two features, $(1, 2)$; $w = (0.5, 0.5)$ and $b = 0$. *Red* is $(1, 0)$, *left* is $(0, -1)$ and *right* is $(0, 1)$. **How is the clip scored as "red, left"? As "red, right"? And by a critic that is told nothing?**

# %%
features, w = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 0.5])
table = {"red": [1.0, 0.0], "left": [0.0, -1.0], "right": [0.0, 1.0]}
for caption_words in (("red", "left"), ("red", "right"), ()):
    fit = sum((torch.tensor(table[word]) for word in caption_words), torch.zeros(2))
    print(f"told {' and '.join(caption_words) or 'nothing'}: {w @ features + fit @ features:.1f}")
judging = Judgement(2, Words(3, (0, 1), 2))
with torch.no_grad():
    judging.words.word.weight.copy_(torch.tensor([[0.0, 0.0], *table.values()]))
    judging.real.weight.copy_(w[None])
    judging.real.bias.zero_()
    theirs = judging(features[None], torch.tensor([[1, 2]]))
    mine = w @ features + (judging.words.word.weight[1] + judging.words.word.weight[2]) @ features
print("equal to the package's:", torch.allclose(theirs[0], mine))

# %% [markdown]
# Follow what happens with a critic that is **blind** to the words. The generator asks for a red circle and a blue cross comes; the critic scores it as if nothing had been asked. No slope ever leads from the words to the picture, and the captions are obeyed as often as chance will have it.
#
# ### A critic that need not read
#
# A critic may be *able* to read, and still not do it. At first drawn clips are so bad that a glance tells them from real ones, and the captions need not be looked at. That may go on for long. Reed et al. (2016) show the critic a third kind of pair: **a real clip with a wrong caption**. It is to be scored as a drawn one is, and whoever does not read cannot tell it from the first kind.
#
# When we tried this, the critics fell silent. Take a critic that scores everything alike, with $s$, as every critic does in the beginning. What does it lose, without the third kind, and with it? **Where will it go?**

# %%
s = torch.linspace(-1.5, 1.5, 61)
real_cost, fake_cost = (1 - s).clamp(min=0), (1 + s).clamp(min=0)
curve(
    s,
    {
        "real and drawn": real_cost + fake_cost,
        "and wrong captions": real_cost + 2 * fake_cost,
        "and pairs of right and wrong": 2 * (real_cost + fake_cost),
    },
    x_label="the one score that all clips get",
    y_label="loss of the critic",
    description="real and drawn: flat between minus one and one; with wrong captions added it falls towards minus one; with pairs it is flat again, at a higher level",
)

# %% [markdown]
# With real and drawn clips alone it does not matter, and any small hint decides. With wrong captions counted on top, *saying no to everything* pays, and at $-1$ sits a critic that tells nobody anything. The cure is balance: for each wrong caption the same clip with its right one counts once more. (Reed et al. have the same balance by other means: wrong and drawn count half each.)

# %%
right, wrong = torch.tensor([[0.5], [-0.2]]), torch.tensor([[0.5, -1.5], [0.1, 0.4]])
unlike = torch.tensor([[True, True], [False, True]])  # one swapped word was the same word
pairs = [
    (1 - right[b, 0]).clamp(min=0) + (1 + wrong[b, k]).clamp(min=0)
    for b in range(2)
    for k in range(2)
    if unlike[b, k]
]
mine, theirs = sum(pairs) / len(pairs), mismatch_loss(right, wrong, unlike)
print(
    f"{len(pairs)} pairs, by hand {mine:.3f}, equal to the package's: {torch.allclose(mine, theirs)}"
)

# %% [markdown]
# Our wrong captions are right ones in which the colour, the shape or the motion is another clip's. Where by chance it is the same word, the caption is right after all, and does not count. The frame critic is shown one frame of each clip, drawn by chance, and reads colour and shape alone; a caption with a wrong motion is no wrong one for it, and does not count there either.
#
# ## 8. Taking turns
#
# Everything is there; now the loop. To see it turn, a world that trains in seconds: a "clip" is four numbers, the places of a dot on a line, and it moves evenly, with a speed of its own, *right* or *left*. The generator makes four numbers of noise and one word, the critic scores four numbers and one word, by projection.


# %%
class DotGenerator(nn.Module):
    """Four places of a dot, from noise and a word."""

    def __init__(self) -> None:
        super().__init__()
        self.word = nn.Embedding(2, 4)
        self.layers = nn.Sequential(
            nn.Linear(8, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 4)
        )

    def forward(self, noise: Tensor, words: Tensor) -> Tensor:
        """noise: (B, 4), words: (B,)."""
        return self.layers(torch.cat([noise, self.word(words)], dim=1))


class DotCritic(nn.Module):
    """A score for four places and a word."""

    def __init__(self, blind: bool = False) -> None:
        super().__init__()
        self.blind = blind
        self.layers = nn.Sequential(
            nn.Linear(4, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2)
        )
        self.real, self.word = nn.Linear(64, 1), nn.Embedding(2, 64)

    def forward(self, dots: Tensor, words: Tensor) -> Tensor:
        """dots: (B, 4), words: (B,); return (B,)."""
        features = self.layers(dots)
        score = self.real(features)[:, 0]
        return score if self.blind else score + (features * self.word(words)).sum(dim=1)


def real_dots(num_clips: int, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return places (B, 4), and words (B,): 0 is left, 1 is right."""
    words = torch.randint(2, (num_clips,), generator=chance)
    speed = (0.3 + 0.4 * torch.rand(num_clips, generator=chance)) * (2 * words - 1)
    start = 0.5 * torch.randn(num_clips, generator=chance)
    return start[:, None] + speed[:, None] * torch.arange(4), words


dots, words = real_dots(3, budget.generator(7))
for places, word in zip(dots.tolist(), words.tolist(), strict=True):
    print(("left: ", "right:")[word], [round(place, 2) for place in places])

# %% [markdown]
# One turn has two halves, and each changes *one* of the networks.
#
# **The critic's half.** Drawn clips are only shown. No slope may flow through them into the generator, so they are drawn under `no_grad` (or detached). **The generator's half.** It draws once more, from the same noise and words (fresh noise would do as well, as in exercise 8.6), and now the slope must flow: from the score, *through the critic*, into the clips, into the generator. The critic's weights lie on that way and stay as they are; its optimiser is not called. In the critic's next half its gradients are cleared first, those that the generator's half left behind among them.


# %%
def dot_turn(
    generator: nn.Module,
    critic: nn.Module,
    optimisers: dict[str, torch.optim.Optimizer],
    chance: torch.Generator,
    detached: bool = False,
) -> None:
    """Take one turn on fresh dots; ``detached`` is a mistake that section 13 looks at."""
    dots, words = real_dots(64, chance)
    asked = torch.randint(
        2, (64,), generator=chance
    )  # not the words of the real dots: see section 13
    noise = torch.randn(64, 4, generator=chance)
    with torch.no_grad():
        fake = generator(noise, asked)
    loss = hinge_critic_loss(critic(dots, words), critic(fake, asked))
    loss = loss + 0.5 * r1_penalty(lambda real: critic(real, words), dots)
    optimisers["critic"].zero_grad()
    loss.backward()
    optimisers["critic"].step()

    fake = generator(noise, asked)
    loss = hinge_generator_loss(critic(fake.detach() if detached else fake, asked))
    optimisers["generator"].zero_grad()
    loss.backward()
    optimisers["generator"].step()


def play(
    seed: int, num_turns: int, *, blind: bool = False, detached: bool = False
) -> DotGenerator:
    """Train in the world of dots; return the generator."""
    torch.manual_seed(seed)
    generator, critic = DotGenerator(), DotCritic(blind)
    optimisers = {
        name: torch.optim.Adam(network.parameters(), lr=2e-3, betas=(0.0, 0.99))
        for name, network in (("generator", generator), ("critic", critic))
    }
    chance = budget.generator(seed)
    for _ in range(num_turns):
        dot_turn(generator, critic, optimisers, chance, detached)
    return generator.eval()


print(
    f"an optimiser has {len(list(DotCritic().parameters()))} tensors of the critic to move, the words' table among them"
)

# %% [markdown]
# Adam without its first moment, `betas=(0.0, 0.99)`: a memory of the last directions is what makes pendulums swing wider. How well do the dots come out? Two numbers: how many go where their word says, and how far a dot is from moving evenly (the mean second difference of its places). Beside it a game whose critic is blind to the word, and an untrained generator. **What will the blind one get right, and what not? Will three seeds agree?**


# %%
@torch.no_grad()
def dots_judged(generator: nn.Module) -> dict[str, float]:
    """Return the share of dots that go the right way, and how unevenly they go."""
    words = torch.arange(1000) % 2
    dots = generator(torch.randn(1000, 4, generator=budget.generator(8)), words)
    ahead = (dots[:, 3] - dots[:, 0]) * (2 * words - 1)
    return {
        "right way": (ahead > 0).float().mean().item(),
        "uneven": dots.diff(dim=1).diff(dim=1).abs().mean().item(),
    }


print(
    "real dots go the right way and evenly; untrained:",
    {name: round(value, 1) for name, value in dots_judged(play(0, 0)).items()},
)

# %% tags=["nbval-ignore-output"]
turns = budget.choose(full=1500, smoke=5)
found = {"untrained": [dots_judged(play(0, 0))]}
for name, options in {"reading critic": {}, "blind critic": {"blind": True}}.items():
    found[name] = [
        dots_judged(play(seed, turns, **options))
        for seed in progress(budget.seeds(), description=name)
    ]
for name, numbers in found.items():
    listed = "; ".join(
        f"{measure} {', '.join(f'{one[measure]:.2f}' for one in numbers)}"
        for measure in numbers[0]
    )
    print(f"{name:15} {listed}")
claim(
    "World of dots: share that goes where the word says (baseline: a critic blind to the word; control: untrained)",
    [one["right way"] for one in found["reading critic"]],
    at_least=0.95,
    baseline=[one["right way"] for one in found["blind critic"]],
    control=found["untrained"][0]["right way"],
)

# %% [markdown]
# The blind critic teaches to move evenly, since uneven dots look unreal; the dots look as good as the others. And the word? The generator takes it for one more number of chance, splits its dots by it, and which half goes to which word is an accident of its first weights: with one seed all dots may go the right way, with another none. Whoever had tried one seed might have published it. With two words luck is a coin; with the captions of our sprites there is none to be had.
#
# ## 9. The real thing, live
#
# Now sprites: the generator of section 6 and both critics of section 7, with the hinge, the penalty, and pairs of right and wrong captions. It is one call, and this chapter can afford a minute of it, so you see an honest beginning: three trainings from scratch, each longer than the last. **In which order will they come: colour, shape, one sprite in every frame, motion?**

# %% tags=["nbval-ignore-output"]
ASKED = budget.choose(full=ALL, smoke=ALL[::12])


def judged(clips: Tensor, captions: list[str]) -> Verdict:
    """Judge clips of this chapter's world."""
    return judge(clips, captions, config=WORLD)


captions = captions_of(ASKED, 2)
along, kept = {}, {}
for seconds in progress(
    budget.choose(full=(5.0, 15.0, 35.0), smoke=(0.2, 0.4)), description="training"
):
    run = GANRun(name="both critics", seed=0, cpu_seconds=seconds)
    young, history = train_gan(run)
    kept[f"{seconds:g} s"] = draw_gan(young, captions, generator=budget.generator(9))
    verdict = judged(kept[f"{seconds:g} s"], captions)
    along[f"{seconds:g} s"] = verdict.rates() | {"COVERAGE": coverage(verdict, ASKED)}
    print(f"{seconds:g} CPU-seconds: {len(history.losses)} turns")
heatmap(
    [list(rates.values()) for rates in along.values()],
    rows=list(along),
    columns=[test.replace("caption_", "its ") for test in next(iter(along.values()))],
    row_label="training",
    column_label="test (its: the caption's)",
    value_label="share of clips that pass",
    description="after the shortest training nothing is right but identity, since eight empty frames are alike; then colour comes, and some of the shapes; a valid sprite and the whole caption are not there yet, and motion hardly",
)

# %% tags=["nbval-ignore-output"]
curve(
    range(len(history.losses)),
    {"critics": history.losses, "generator": history.generator_losses},
    x_label="turn",
    y_label="loss",
    description="the losses of the longest of the three trainings: the critics' begins high and sinks, steeply at first; the generator's climbs, stays up, and sinks towards the end",
)
show(
    {
        f"{name}, {captions[i]}": clips[i]
        for name, clips in kept.items()
        for i in (0, len(ASKED) // 2)
    },
    size=110,
    description="two clips of each of the short trainings: nearly empty frames, then coloured blobs, then sprites with ragged edges",
)

# %% [markdown]
# Colour comes first, then shapes begin; a clean sprite in every frame is not there yet, and motion hardly. (IDENTITY passes at the very start: eight empty frames are alike. A test by itself can be passed by nothing at all.) Now the two pictures together. The critics' loss begins at about eight: two critics, each with real and drawn clips and with pairs, the flat line of section 7 twice. It sinks, since critics learn. The generator's climbs while its clips go from nothing to blobs, and sinks while they get better still. Whoever has only the curves cannot tell which of these was progress.
#
# ## 10. Frame critic, clip critic, both
#
# From here on networks that were given the time that they need, by the same call. Three kinds, three trainings of each: with both critics, with the frame critic alone, and with the clip critic alone. Everything else is the same but the time. A single critic was given a third of it or less, which is enough to see what it teaches first. And the first of the three was given more than its sisters: when their time was over, its *clockwise* was lost (section 13). So *three out of three* holds for trainings that were allowed to go on.
#
# *When to stop?* Section 1 said that the game need not come to rest, and section 9 that the losses do not say when it is at its best. The generator's averaged weights help (each the mean of its last few hundred values, which smooths small circles). Against the large ones, all trainings here do what is done with most published GANs: now and then somebody looks, and the best is kept. Here that somebody is the judge, who looks every hundred turns at two clips for each caption that is trained. What is measured below are other clips, from other noise, and in the end other captions. The judge's tests, and beside them three numbers: **COVERAGE**; the **speed** in pixels per frame; and the **jerk**, how much the velocity changes from one frame to the next: the mean second difference of the places, *uneven* in section 8 (physics keeps the word for the third). The eye sees it as jumping.

# %% tags=["nbval-ignore-output"]
KINDS = {
    kind: [f"gan_{kind.replace(' ', '_')}_{seed}" for seed in budget.seeds()]
    for kind in ("both", "frame critic", "clip critic")
}
models = {kind: [loaded(name) for name in names] for kind, names in KINDS.items()}
NUM_EACH = budget.choose(full=4, smoke=2)
captions = captions_of(ASKED, NUM_EACH)


def measured(
    clips: Tensor, captions: list[str], some: tuple[Combination, ...]
) -> dict[str, float]:
    """Return the shares that pass each test, COVERAGE, and how the sprites move, in pixels."""
    verdict = judged(clips, captions)
    steps = verdict.reading.position.diff(dim=1)  # (B, T - 1, 2)
    return verdict.rates() | {
        "COVERAGE": coverage(verdict, some),
        "speed": steps.norm(dim=2).mean().item(),
        "jerk": steps.diff(dim=1).norm(dim=2).mean().item(),
    }


# %% [markdown]
# Two rows of controls: *real clips* of the same captions, and the clips of the networks with both critics judged by *another's caption*, which is what chance would give.

# %% tags=["nbval-ignore-output"]
state = sprites.sample_state(list(ASKED) * NUM_EACH, generator=budget.generator(10), config=WORLD)
real = sprites.render(state, config=WORLD)
order = torch.randperm(len(captions), generator=budget.generator(11)).tolist()
table = {"real clips": [measured(real, captions, ASKED)]}
for kind, some in models.items():
    drawn = [draw_gan(model, captions, generator=budget.generator(12)) for model in some]
    table[kind] = [measured(clips, captions, ASKED) for clips in drawn]
    if kind == "both":
        others = [captions[i] for i in order]
        table["another's caption"] = [measured(clips, others, ASKED) for clips in drawn]
SHARES = [test for test in table["both"][0] if test not in ("speed", "jerk")]
heatmap(
    [[sum(one[test] for one in some) / len(some) for test in SHARES] for some in table.values()],
    rows=list(table),
    columns=[test.replace("caption_", "its ") for test in SHARES],
    row_label="clips",
    column_label="test (its: the caption's)",
    value_label="share of clips that pass",
    description="real clips pass everything; both critics come near them; with the frame critic alone colour and shape are right, and the motion is not; with the clip critic alone many motions are right and many shapes wrong; judged by another's caption, colour and shape fall to a quarter",
)
for name, some in table.items():
    speed, jerk = (sum(one[what] for one in some) / len(some) for what in ("speed", "jerk"))
    print(f"{name:18} speed {speed:.2f}, jerk {jerk:.2f} pixels")

# %% tags=["nbval-ignore-output"]
chance_level = table["another's caption"]
for test, name, bound in (
    ("valid", "VALID", 0.9),
    ("identity", "IDENTITY", 0.95),
    ("motion", "MOTION", 0.85),
    ("caption", "CAPTION", 0.8),
    ("COVERAGE", "COVERAGE", 0.9),
):
    claim(
        f"Video GAN with both critics: {name} (baseline: real clips; control: judged by another's caption)",
        [one[test] for one in table["both"]],
        at_least=bound,
        baseline=table["real clips"][0][test],
        control=[one[test] for one in chance_level],
    )

# %% [markdown]
# (VALID, IDENTITY and COVERAGE do not ask for the caption, so another's caption changes nothing there; MOTION hardly asks.)
#
# And the frame critic alone? Its clips, beside those of the others, for the same captions:

# %%
wish = [
    caption(Combination("red", "square", "right")),
    caption(Combination("blue", "circle", "up")),
]
side = {
    f"{kind}: {text}": clip
    for text in wish
    for kind, some in models.items()
    for clip in draw_gan(some[0], [text], generator=budget.generator(13))
}
show(
    side,
    size=110,
    description="six clips, a red square that is to move right and a blue circle that is to move up, each by a network with both critics, with the frame critic alone and with the clip critic alone; the frame critic's sprites do not go where they should",
)

# %% tags=["nbval-ignore-output"]
claim(
    "Frame critic alone: share of clips whose motion is the caption's (baseline: both critics; control: real clips)",
    [one["caption_motion"] for one in table["frame critic"]],
    at_most=0.2,
    baseline=[one["caption_motion"] for one in table["both"]],
    control=table["real clips"][0]["caption_motion"],
)
largest = max(one["jerk"] for one in table["both"])
claim(
    "Frame critic alone: jerk, over the largest with both critics (baseline: clip critic alone; control: real clips)",
    [one["jerk"] / largest for one in table["frame critic"]],
    at_least=1.5,
    baseline=[one["jerk"] / largest for one in table["clip critic"]],
    control=table["real clips"][0]["jerk"] / largest,
)
claim(
    "Frame critic alone: share of clips whose colour and shape are the caption's, the smaller of the two (baseline: both critics; control: judged by another's caption)",
    [min(one["caption_colour"], one["caption_shape"]) for one in table["frame critic"]],
    at_least=0.9,
    baseline=[min(one["caption_colour"], one["caption_shape"]) for one in table["both"]],
    control=[min(one["caption_colour"], one["caption_shape"]) for one in chance_level],
)

# %% [markdown]
# In most of its frames the colour and the shape are right. Played, it jumps: each frame is a good place for a sprite, and nobody asks that it follow from the last. (Where a few steps do go the right way, it is a habit of the generator's cell.) VALID wants eight clean frames out of eight and IDENTITY one shape in all of them, so a fault that is rare in frames is common in clips; and these networks were trained for less time. What a critic cannot see, its generator need not learn. And a measure that asks a clip for its colour and shape alone would rank it beside the best.
#
# And the clip critic alone? Its sprites jump far less, and many go where they should; but in two of three trainings many shapes are wrong, and in all of them many clips are not clean. It sees everything, and in this time it did not come to the edges. That is what the frame critic is for. (These are short trainings: what it would learn in the end was not measured.)
#
# ### What it has never seen
#
# Twelve combinations of colour, shape and motion were never shown. Remember which words reach which code. **How well will they be drawn?**

# %% tags=["nbval-ignore-output"]
texts = captions_of(HELD_OUT, budget.choose(full=16, smoke=1))
new = [
    measured(draw_gan(model, texts, generator=budget.generator(14)), texts, HELD_OUT)
    for model in models["both"]
]
for test in ("caption_colour", "caption_shape", "caption_motion", "caption"):
    print(f"{test.replace('caption_', 'its '):10} {', '.join(f'{one[test]:.2f}' for one in new)}")
claim(
    "Video GAN with both critics: CAPTION, the 12 combinations that were never trained (baseline: all captions; control: judged by another's caption)",
    [one["caption"] for one in new],
    at_least=0.75,
    baseline=[one["caption"] for one in table["both"]],
    control=[one["caption"] for one in chance_level],
)

# %% [markdown]
# The content code has met *red circle* often, and the motion code has met *moves left* often. That the two had never met is nothing that either could notice: they do not know of one another. What is split by construction composes by construction.
#
# ## 11. A collapse that no loss shows
#
# A critic asks whether *this clip* could be real. Nobody asks whether *all* clips that could be real are drawn. A generator that has found one clip that passes may draw it for ever: **mode collapse**. With captions there is one such clip for each of them. We provoked it, three times, by the recipe of section 10 with two changes, and in less time: all chance is a whisper beside the words, and a term is missing from the generator's loss, which you will meet below. Here are the critics' losses of four trainings, for as many turns as the shortest has: the three of section 10, and one that collapsed. **Which is it?**

# %% tags=["nbval-ignore-output"]
for name in ("both critics", "collapsed"):
    setting = GAN_SETTINGS[name]
    print(
        f"{name:12} loudness of chance {setting.config.loudness:g}, weight of the term {setting.mode_seeking:g}"
    )
FILES = {"A": "gan_both_0", "B": "gan_both_1", "C": "gan_collapsed_0", "D": "gan_both_2"}
curves = {
    name: read_losses(CHECKPOINTS / f"{file}.safetensors")["critics"]
    for name, file in FILES.items()
}
length = min(map(len, curves.values()))
curve(
    [25 * i for i in range(length)],
    {name: losses[:length] for name, losses in curves.items()},
    x_label="turn",
    y_label="loss of the critics",
    description="the critics' losses of four trainings, A to D: all begin near eight and fall to levels of their own; C runs between the others, and nothing in it gives a collapse away",
)

# %% [markdown]
# Decide before you read on. Then look at what each draws: four captions, one for each row, six clips of each with six kinds of noise.

# %% tags=["nbval-ignore-output"]
models["collapsed"] = [loaded(f"gan_collapsed_{seed}") for seed in budget.seeds()]

# %%
texts = [caption(one) for one in (TRAINED[0], TRAINED[30], TRAINED[50], TRAINED[70])]


def wall(clips: Tensor, columns: int) -> Tensor:
    """Lay clips beside and below one another: (N, T, C, H, W) to (T, C, rows * H, columns * W)."""
    T, C, _, W = clips.shape[1:]
    framed = F.pad(clips, (0, 1, 0, 1)).unflatten(
        0, (-1, columns)
    )  # (rows, columns, T, C, H + 1, W + 1)
    return framed.permute(2, 3, 0, 4, 1, 5).reshape(T, C, -1, columns * (W + 1))


six = [text for text in texts for _ in range(6)]
show(
    {
        name: wall(draw_gan(one, six, generator=budget.generator(15)), 6)
        for name, one in {"C": models["collapsed"][0], "A": models["both"][0]}.items()
    },
    size=300,
    description="two walls of twenty-four clips, one caption in each row: in C the six clips of a row are one and the same, in A they differ, most of them in small things",
)

# %% [markdown]
# It is C. It draws one clip for each caption, whatever the noise, and its two sisters do the same. Which of the judge's numbers shows it? CAPTION and COVERAGE are lower here, and do not say why: a generator that fails at some captions, with all the variety in the world, has the same. And had its one clip for each caption been a right one, both would be perfect, since every combination is asked for by name. (Chapter 02's generator drew one clip whatever it was asked; there they show it.) The number that asks for the collapse itself is **VARIETY**. It is how far apart clips of *one* caption begin, over how far apart real ones do: 0 for a single clip, 1 for the world.

# %% tags=["nbval-ignore-output"]


def numbers_of(clips: Tensor) -> dict[str, float]:
    """Return what the judge says of each clip, and of all of them together."""
    verdict = judged(clips, captions)
    return {
        "VALID": verdict.rates()["valid"],
        "CAPTION": verdict.rates()["caption"],
        "COVERAGE": coverage(verdict, ASKED),
        "VARIETY": variety(verdict, ASKED, NUM_EACH),
    }


found = {
    kind: [
        numbers_of(draw_gan(one, captions, generator=budget.generator(16))) for one in models[kind]
    ]
    for kind in ("collapsed", "both")
} | {"real clips": [numbers_of(real)]}
for kind, some in found.items():
    for numbers in some:
        print(f"{kind:10}", ", ".join(f"{key} {value:.2f}" for key, value in numbers.items()))
variety_of = {kind: [numbers["VARIETY"] for numbers in some] for kind, some in found.items()}
claim(
    "Provoked collapse: VARIETY (baseline: both critics; control: real clips)",
    variety_of["collapsed"],
    at_most=0.1,
    baseline=variety_of["both"],
    control=variety_of["real clips"],
)


def late(name: str) -> float:
    """Return the mean loss of the critics in the second half of the turns that are drawn above."""
    losses = read_losses(CHECKPOINTS / f"{name}.safetensors")["critics"][length // 2 : length]
    return sum(losses) / len(losses)


others = [late(f"gan_both_{seed}") for seed in budget.SEEDS]
claim(
    "Provoked collapse: the critics' loss in the second half lies within the range of the trainings with both critics",
    [late(f"gan_collapsed_{seed}") for seed in budget.SEEDS],
    at_least=min(others),
    at_most=max(others),
    baseline=others,
    always=True,
)

# %% [markdown]
# The judge sees it at once, in a number that looks at several clips *together*. The losses could not show it: they are averages over clips, and no clip is at fault. The level of a loss tells how the two networks stand to one another, and that differs more between good trainings than between a good one and this. So a GAN is never judged by its loss, and never by a few chosen clips.
#
# ### Ask that they differ
#
# And so comes the cure: no critic compares two clips, so let the generator's loss do it. **Mode seeking** (Mao et al. 2019) draws two clips for one caption, with two kinds of noise, and rewards their distance over the distance of the noise. Two clips of two numbers, $(0.2, 0.4)$ and $(0.6, 0.4)$, from the noise $(1, -1)$ and $(-1, 1)$. **What is the ratio of the mean distances? And what, if the noise is not heard?**

# %%
clip_pair = torch.tensor([[0.2, 0.4], [0.6, 0.4]])
noise_pair = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
apart = (clip_pair[0] - clip_pair[1]).abs().mean() / (noise_pair[0] - noise_pair[1]).abs().mean()
deaf = clip_pair[:1].expand(2, -1)
print(f"by hand {apart:.2f}, and if the noise is not heard 0")
print(
    "equal to the package's, which is a loss and so has a minus:",
    torch.allclose(-apart, mode_seeking_loss(clip_pair, noise_pair)),
    mode_seeking_loss(deaf, noise_pair).item() == 0,
)

# %% [markdown]
# It is a push and no proof: pixels differ as much between two sprites side by side as between two at opposite ends, and too heavy a weight makes clips that differ by being wrong.
#
# ### And the others?
#
# By motion, for the networks with both critics:

# %% tags=["nbval-ignore-output"]
each = budget.choose(full=6, smoke=2)
for motion in MOTIONS:
    some = [one for one in ALL if one.motion == motion][:: budget.choose(full=1, smoke=8)]
    texts = captions_of(some, each)
    for_motion = [
        judged(draw_gan(one, texts, generator=budget.generator(21)), texts)
        for one in models["both"]
    ]
    right = ", ".join(f"{one.rates()['caption_motion']:.2f}" for one in for_motion)
    spread = ", ".join(f"{variety(one, some, each):.2f}" for one in for_motion)
    print(f"{motion:9} motion right {right}; VARIETY {spread}")

# %% [markdown]
# An honest table. Clips of one caption begin nearer to one another than real ones do, in some trainings much nearer: a collapse of the same kind, in what no caption names, that came by itself and that the term did not prevent. None of the numbers of section 10 could show it, and the training that is best in these is not the one that has the most VARIETY. In most of them the hardest is *clockwise*, which asks for a curve where the other motions ask for the same step again and again; but *still*, which asks for no step at all, can be the hardest as well.
#
# ## 12. Walk the codes
#
# A content code and a motion code can be *taken from different clips*. Three contents, three motions, nine clips.


# %%
@torch.no_grad()
def codes_of(model: Generator, texts: list[str], seed: int) -> tuple[Tensor, Tensor]:
    """Return the content codes (B, code_size) and the motion codes (B, T, code_size) of captions."""
    words = indices(texts)
    noise = draw_noise(len(texts), model.config, generator=budget.generator(seed))
    return model.content(noise.content, words), model.motion(noise.start, noise.steps, words)


trio = ["a red circle moves left", "a green cross moves down", "a blue square moves clockwise"]
content, motion = codes_of(network, trio, 17)
with torch.no_grad():
    nine = network.render(
        content.repeat(3, 1), motion.repeat_interleave(3, dim=0)
    )  # (9, 8, 3, 16, 16)
show(
    wall(nine, 3),
    size=300,
    description="nine clips, three by three: the columns are a red circle, a green cross and a blue square; the rows move left, down and clockwise; in each row all three take the same path",
)

# %% [markdown]
# Any content takes any path. The judge measures how well: how far the path moves, in pixels, when the content is exchanged, and the share of frames that keep their colour and shape when the motion is exchanged.

# %% tags=["nbval-ignore-output"]
moving = [one for one in ASKED if one.motion != "still"]
texts, turned = [caption(one) for one in moving], torch.arange(len(moving)).roll(7)
apart, kept, between = [], [], []
for model in models["both"]:
    content, motion = codes_of(model, texts, 18)
    with torch.no_grad():
        own, other, swapped = (
            model.render(c, m)
            for c, m in ((content, motion), (content[turned], motion), (content, motion[turned]))
        )
    seen = [read(clips, config=WORLD) for clips in (own, other, swapped)]
    apart.append((seen[0].position - seen[1].position).norm(dim=2).median().item())
    same = (seen[0].colour == seen[2].colour) & (seen[0].shape == seen[2].shape)  # (B, T)
    kept.append(same.float().mean().item())
    between.append((seen[0].position - seen[0].position[turned]).norm(dim=2).median().item())
claim(
    "Content exchanged, motion kept: distance of the two paths, median (control: the paths of other clips)",
    apart,
    at_most=1.0,
    unit="pixels",
    control=between,
)
claim(
    "Motion exchanged, content kept: share of frames with the same colour and shape (control: chance)",
    kept,
    at_least=0.9,
    control=1 / 16,
)

# %% [markdown]
# Now slowly. First the **content** goes from one clip's to another's, and the motion stays. **What stands half-way between a red circle and a blue square?**

# %%
content, motion = codes_of(network, ["a red circle moves right", "a blue square moves left"], 19)


def with_content(share: float) -> Tensor:
    """Return the clip whose content code lies between the two."""
    with torch.no_grad():
        return network.render(torch.lerp(content[:1], content[1:], share), motion[:1])[0]


explore(
    with_content,
    name="content",
    values=[i / 10 for i in range(11)],
    description="a sprite that moves right; as the content goes from 0 to 1 it changes from a red circle to a blue square, and its path stays",
)

# %% [markdown]
# Then the **motion** goes from *right* to *left*, and the content stays. **What does the sprite do half-way?** (Remember how the generator reads its two numbers from the motion code: by linear layers, and what comes behind these.)


# %%
def with_motion(share: float) -> Tensor:
    """Return the clip whose motion codes lie between the two."""
    with torch.no_grad():
        return network.render(content[:1], torch.lerp(motion[:1], motion[1:], share))[0]


explore(
    with_motion,
    name="motion",
    values=[i / 10 for i in range(11)],
    description="a red circle; at 0 it moves right, at 1 it moves left, half-way it hardly moves",
)
with torch.no_grad():
    half = network.step(torch.lerp(motion[:1], motion[1:], 0.5))
    mean = (network.step(motion[:1]) + network.step(motion[1:])) / 2
print(
    "the steps that are read half-way are the mean of those at both ends:",
    torch.allclose(half, mean, atol=1e-4),
)

# %% [markdown]
# Each step that is read half-way is the mean of the two, and left and right cancel. (Where it begins is read half-way, too, before the walls: if one of the ends was turned back there, half-way need not lie between the two.) And half-way between the contents stands *one* sprite. It is no mean of two pictures: it is what the layers make of a code that they have never met.
#
# ## 13. Broken on purpose
#
# ### Fresh codes for every frame
#
# "Chance is chance: let us draw it for each frame." Take eight clips of one caption, and of the first its first frame, of the second its second, and so on. **Which of the tests will notice? And which critic?**

# %% tags=["nbval-ignore-output"]
broken = []
for model in models["both"]:
    each = [draw_gan(model, captions, generator=budget.generator(20 + t))[:, t] for t in range(8)]
    broken.append(measured(torch.stack(each, dim=1), captions, ASKED))
for test in ("valid", "identity", "motion", "caption", "jerk"):
    listed = ", ".join(f"{one[test]:.2f}" for one in broken)
    print(
        f"{test:8} fresh codes {listed}; one walk {', '.join(f'{one[test]:.2f}' for one in table['both'])}"
    )
claim(
    "Fresh codes for every frame: MOTION (baseline: one walk for each clip; control: real clips)",
    [one["motion"] for one in broken],
    at_most=0.25,
    baseline=[one["motion"] for one in table["both"]],
    control=table["real clips"][0]["motion"],
)

# %% [markdown]
# VALID looks at frames, and every frame is a frame of a good clip; the frame critic would be content, too. MOTION is gone, but for what stands still: where a network puts all *still* sprites of a caption at nearly one place (section 11), frames of different clips go together. (That is a sixth of the captions.) IDENTITY holds, and that is our captions' doing: they say colour and shape, so the words keep the content where the code does not. In a GAN without captions, as MoCoGAN's main model is, content drawn afresh for each frame would change the hero in every frame; that is why MoCoGAN draws it once.
#
# ### The generator updated through detached clips
#
# One `detach` too many: the drawn clips are detached in *both* halves. Back in the world of dots. Everything runs, both losses are finite and move. **What does the generator learn?**

# %%
before, after = play(0, 0), play(0, 20, detached=True)
pairs = list(zip(before.parameters(), after.parameters(), strict=True))
print(
    "the generator after 20 turns through detached clips has not moved:",
    all(torch.equal(a, b) for a, b in pairs),
)
print("its gradients:", {parameter.grad for parameter in after.parameters()})
after = play(0, 20)
pairs = list(zip(before.parameters(), after.parameters(), strict=True))
print("without the detach it has:", not any(torch.equal(a, b) for a, b in pairs))

# %% [markdown]
# Nothing: no gradient arrives, and Adam leaves alone what has none. No error was raised, since the critic's weights did get gradients; only the wrong network did. Its loss moved because the *critic* moved. The reverse mistake, no `no_grad` in the critic's half, costs time and fills the generator's gradients with the critic's wishes; `zero_grad` before its own half is then all that saves it.
#
# ### What was tried
#
# A GAN is a small machine with many screws, and the way here had wrong turns. The lessons, in the order in which they cost us time:
#
# - *Convolutions on a coarse map*, frame by frame: each step was dear, and for what we were ready to pay there were colours and little else. The canvas of waves costs less for each step and needs fewer of them.
# - *Slow waves.* With waves half as fast, many shapes stayed wrong. A shape is in the fine detail, and slow waves have to be bent a lot to make any; a test without any critic, drawing given sprites, showed it in a minute.
# - *A bright beginning.* Where an untrained generator draws grey, both critics push all of it down, and it dies: black, the same for all noise, with no slope left. It has to begin dark.
# - *Critics that win.* At twice the learning rate the critics were ahead from the first steps, the generator's clips went black or mad, and nothing brought them back. Two that learn from one another must stay near one another.
# - *A norm that was too tight.* Section 3: with the penalty in place of the spectral norm the shapes were learned.
# - *Critics that do not read.* Section 7: wrong captions taught motion, and when they were counted without their counterpart, they silenced the critics. By themselves, without a generator, the same critics learned to read shapes and motions in no time. A part that learns alone and not in the game tells you to look at the game.
# - *A leak.* Critics that were blind to colours taught them all the same. In each turn the drawn clips were asked for the captions of the very batch of real clips; with many red ones in it, the critics had, for one step, learned to like red, and the generator had been asked for red. The captions of drawn clips are drawn apart since then.
# - *Places or steps.* Section 6: a motion code that says where the canvas lies learned the straight motions slowly and *clockwise* hardly; one that says how far it moves on learned both sooner than anything else we changed.
# - *Clips that are all alike*: section 11. Before the term that asks them to differ, frames jumped about, and *clockwise* did not come; with it they held together, and it came.
# - *Round and round to the end.* *Clockwise* came, and it went again, within a few hundred turns, in whole trainings of every length: one arc for all noise, which the critics find out, and the next arc. Longer averages outlived some of these rounds. With the best look kept, three trainings out of three came to know *clockwise*; one of them needed longer than the others for it.

# %% [markdown]
# ## Exercises
#
# Exercise 8.1 stands in section 5.

# %% [markdown]
# ### Exercise 8.2 · Three kinds of pairs
#
# *10 minutes, difficulty 1 of 3.* Write the critic's loss of Reed et al. with the hinge. There are scores of three kinds: real clips with their captions, drawn clips, and real clips with wrong captions. Real ones are to be above 1, the two other kinds below $-1$; and the two other kinds *together* count as much as the real ones. Each kind is averaged over its own clips, of which there may be different numbers.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "08-hinge", "locked": false, "schema_version": 3, "solution": true, "task": false}
def three_kinds(real: Tensor, drawn: Tensor, wrong: Tensor) -> Tensor:
    """real: (N,), drawn: (M,), wrong: (K,), scores; return what the critic loses."""
    # BEGIN SOLUTION: one number
    no = F.relu(1 + drawn).mean() + F.relu(1 + wrong).mean()
    return F.relu(1 - real).mean() + no / 2
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "08-hinge-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("08-hinge", three_kinds)

# %%
# hint("08-hinge")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 8.3 · Normalise a convolution
#
# *15 minutes, difficulty 2 of 3.* Given are a convolution's weight (outputs, inputs, rows, columns) and the vector $u$, (outputs,), of the last use. Take *one* round of power iteration on the matrix of outputs x all the rest: first $v$ from $u$, then a new $u$ from $v$. Return the weight divided by the stretch $u_\text{new}^\top W v$, and the new $u$. The gradient flows through the weight and the stretch, but not through the round itself: $u$ and $v$ are found under `torch.no_grad()`.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "08-norm", "locked": false, "schema_version": 3, "solution": true, "task": false}
def normalised(weight: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """weight: (O, I, h, w), u: (O,); return the normalised weight, and the u to be kept."""
    # BEGIN SOLUTION: two tensors, (O, I, h, w) and (O,)
    matrix = weight.flatten(1)  # (O, I * h * w)
    with torch.no_grad():
        v = F.normalize(matrix.T @ u, dim=0)
        u = F.normalize(matrix @ v, dim=0)
    return weight / (u @ matrix @ v), u
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "08-norm-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("08-norm", normalised)

# %%
# hint("08-norm")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 8.4 · The penalty
#
# *15 minutes, difficulty 2 of 3.* Write R1 with its weight: $\frac{\gamma}{2}$ times the mean, over the clips, of the squared length of the slope. You are handed real and drawn clips, as a training step has both at hand; the penalty is taken at one of them. `score(clips)` gives one score for each clip. The result must be such that `backward` reaches the critic's weights; until then no gradient may lie there, and the clips that you were given must stay as they are.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "08-penalty", "locked": false, "schema_version": 3, "solution": true, "task": false}
def r1(score: Callable, real: Tensor, drawn: Tensor, gamma: float) -> Tensor:
    """real, drawn: (B, T, C, H, W); score(clips) gives (B,)."""
    # BEGIN SOLUTION: one number
    clips = real.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(score(clips).sum(), clips, create_graph=True)
    return gamma / 2 * slope.square().flatten(1).sum(dim=1).mean()
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "08-penalty-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("08-penalty", r1)

# %%
# hint("08-penalty")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 8.5 · A critic that reads, and learns to
#
# *20 minutes, difficulty 3 of 3.* Build a projection critic around a module that is given: `features(clips)` returns (B, size). The result is a module, called as `critic(clips, words)`, with words (B, L) from 0 to `num_words`, and gives (B,). It has a linear layer from the features to one number, and one vector of `size` for each word, which *word 0* does not have: it stands for nothing, and adds nothing. The optimiser will be given `critic.parameters()`, so whatever is to learn must be among them.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "08-critic", "locked": false, "schema_version": 3, "solution": true, "task": false}
def reading_critic(features: nn.Module, size: int, num_words: int) -> nn.Module:
    """Return a module that scores clips (B, ...) and words (B, L): (B,)."""

    # BEGIN SOLUTION: a module
    class Critic(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features, self.real = features, nn.Linear(size, 1)
            self.word = nn.Embedding(num_words + 1, size, padding_idx=0)

        def forward(self, clips: Tensor, words: Tensor) -> Tensor:
            x = self.features(clips)  # (B, size)
            fit = self.word(words).sum(dim=1)  # (B, size)
            return self.real(x)[:, 0] + (x * fit).sum(dim=1)

    return Critic()
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "08-critic-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("08-critic", reading_critic)

# %%
# hint("08-critic")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 8.6 · Two steps and one
#
# *20 minutes, difficulty 3 of 3.* Some trainings let the critic take two steps for each of the generator's. Write one such turn. For each of the critic's two steps there is a batch of real clips, `real[0]` and `real[1]`; for each of the three steps noise of its own, `noise[0]`, `noise[1]` for the critic's and `noise[2]` for the generator's. The losses are the hinge losses of section 2. In each step one network is changed and the other is not. Return what the generator lost in its step. Gradients may be left over from what came before.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "08-turn", "locked": false, "schema_version": 3, "solution": true, "task": false}
def take_turn(
    generator: nn.Module,
    critic: nn.Module,
    real: list[Tensor],
    noise: list[Tensor],
    generator_optimiser: torch.optim.Optimizer,
    critic_optimiser: torch.optim.Optimizer,
) -> Tensor:
    """generator(noise) gives clips, critic(clips) gives (B,); change both networks in place."""
    # BEGIN SOLUTION: one number, after two steps of the critic and one of the generator
    for clips, chance in zip(real, noise[:2], strict=True):
        with torch.no_grad():
            drawn = generator(chance)
        critic_optimiser.zero_grad()
        hinge_critic_loss(critic(clips), critic(drawn)).backward()
        critic_optimiser.step()
    generator_optimiser.zero_grad()
    loss = hinge_generator_loss(critic(generator(noise[2])))
    loss.backward()
    generator_optimiser.step()
    return loss
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "08-turn-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("08-turn", take_turn)

# %%
# hint("08-turn")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ## What we built, and what still fails
#
# A game of two numbers that circles, and the friction that stops it; a hinge, a spectral norm and a penalty, each proved; codes that stay and codes that move; a generator whose canvas slides; critics of frames and of clips that read; the turns; and clips for captions, one pass through a network each.
#
# Beside the systems that it follows:
#
# | | VGAN (2016) | MoCoGAN (2018) | DVD-GAN (2019) | here |
# |---|---|---|---|---|
# | chance | one vector per clip | a content vector per clip, a motion vector per frame from a GRU | one vector per clip, and the class | as MoCoGAN, and the caption's words in each |
# | generator | 3D convolutions in two streams: a still background, a moving foreground, and a mask between them | a generator of pictures, frame by frame | convolutional GRUs and residual blocks | a canvas of waves that slides |
# | critics | one, of clips | one of frames, one of clips | one of single frames, a few of each clip, in full; one of the clip at half its resolution | one of a frame, one of the clip |
# | loss | logarithmic | logarithmic | hinge | hinge |
# | bounded slope | no | no | spectral norm | R1; the spectral norm as a variant |
# | told | nothing, or a first frame | nothing, or a category or a picture | a class, or first frames | a caption |
#
# What still fails? Three things that more of the same will not mend. *The training*: it is a game with no arrival, and the list above, the short form of `data/records/gan_log.csv`, is the log of a search for screws. *The loss*: nothing in it says how good the clips are, and a collapse goes unseen. *The gift*: our generator was told that what moves stays what it is. Take that away, and the minutes become hours.

# %%
told = sprites.sample_state([ASKED[0]] * 500, generator=budget.generator(31), config=WORLD)
fog = sprites.render(told, config=WORLD).mean(dim=0)  # what the squared error would draw for it
show(
    {
        "squared error": fog,
        "GAN": draw_gan(network, captions[:1], generator=budget.generator(30))[0],
        "real": real[0],
    },
    description="on the left a smear in the caption's colour, the mean of its clips; in the middle a clip of the generator, on the right a real one",
)

# %% [markdown]
# **Chapter 09** asks a third question, in place of "how far from the truth?" and "could this be true?": *which clip lies under this noise?* It has one network, one loss, and that loss goes down as the clips get better.
#
# ## Papers
#
# - I. Goodfellow et al., *Generative Adversarial Nets*, NeurIPS 2014, [arXiv 1406.2661](https://arxiv.org/abs/1406.2661): the game; theirs with logarithms.
# - C. Vondrick, H. Pirsiavash and A. Torralba, *Generating Videos with Scene Dynamics* (VGAN), NeurIPS 2016, [arXiv 1609.02612](https://arxiv.org/abs/1609.02612): a critic that is given clips whole; no background stream here, since ours is black.
# - S. Tulyakov, M.-Y. Liu, X. Yang and J. Kautz, *MoCoGAN: Decomposing Motion and Content for Video Generation*, CVPR 2018, [arXiv 1707.04993](https://arxiv.org/abs/1707.04993): both codes and both critics; our walk begins at words, and there is no network that guesses the category.
# - A. Clark, J. Donahue and K. Simonyan, *Adversarial Video Generation on Complex Datasets* (DVD-GAN), 2019, [arXiv 1907.06571](https://arxiv.org/abs/1907.06571): few frames for one critic, all of them for the other; our clips are too small to be shrunk for the second.
# - J. H. Lim and J. C. Ye, *Geometric GAN*, 2017, [arXiv 1705.02894](https://arxiv.org/abs/1705.02894): the hinge.
# - T. Miyato, T. Kataoka, M. Koyama and Y. Yoshida, *Spectral Normalization for Generative Adversarial Networks*, ICLR 2018, [arXiv 1802.05957](https://arxiv.org/abs/1802.05957): section 3; a variant here, for what section 3 says.
# - T. Miyato and M. Koyama, *cGANs with Projection Discriminator*, ICLR 2018, [arXiv 1802.05637](https://arxiv.org/abs/1802.05637): equation 3; ours sums over words where theirs has one class.
# - L. Mescheder, A. Geiger and S. Nowozin, *Which Training Methods for GANs do actually Converge?*, ICML 2018, [arXiv 1801.04406](https://arxiv.org/abs/1801.04406): the Dirac-GAN, and R1, equation 9; the game of section 1 has the hinge's slope in place of the logarithm's.
# - S. Reed, Z. Akata, X. Yan, L. Logeswaran, B. Schiele and H. Lee, *Generative Adversarial Text to Image Synthesis*, ICML 2016, [arXiv 1605.05396](https://arxiv.org/abs/1605.05396): wrong captions; ours differ from the right one in one factor.
# - Q. Mao, H.-Y. Lee, H.-Y. Tseng, S. Ma and M.-H. Yang, *Mode Seeking Generative Adversarial Networks for Diverse Image Synthesis*, CVPR 2019, [arXiv 1903.05628](https://arxiv.org/abs/1903.05628): the ratio of section 11, between pictures there.
# - T. Karras et al., *Alias-Free Generative Adversarial Networks* (StyleGAN3), NeurIPS 2021, [arXiv 2106.12423](https://arxiv.org/abs/2106.12423): waves as input that can be shifted; nothing of their care for aliasing is here.
