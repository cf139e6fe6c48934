# %% [markdown]
# # 11 · Tokens and a Transformer
#
# A sentence goes in, and a clip is *written* behind it, number by number, as a language model writes words. In this chapter you turn clips into a short row of whole numbers and back, you keep a codebook alive, you let one Transformer guess each number from those before it, you draw from its guesses in four ways, and you make it many times faster without changing a single number. At the end the first two frames are given, and the rest of the clip is written behind them.
#
# **Time**: about 135 minutes to read, 85 for the exercises, about five to run. **You need**: chapter 04 (attention, the causal mask, rotary positions), the judge of chapter 02, and guidance from chapter 09.
#
# When you are through, you can
#
# 1. **replace** a vector by the nearest of a codebook, and **let** a gradient through although rounding has no slope;
# 2. **keep** a codebook alive, and **measure** how much of it is used;
# 3. **put** words and tokens in one row, and **prove** that no token sees a later one;
# 4. **draw** with temperature, top-k, top-p and guidance, and **measure** what each of them costs;
# 5. **build** a key-value cache, and **prove** that it changes nothing but the time;
# 6. **compare** four families of generators on equal terms.

# %%
import csv
from collections.abc import Callable
from dataclasses import replace
from math import log, log2

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course import budget
from course.clips import grid
from course.datasets import sprites
from course.datasets.captions import (
    ALL,
    HELD_OUT,
    PHRASES,
    TRAINED,
    VOCABULARY,
    Combination,
    caption,
    indices,
)
from course.display import curve, explore, heatmap, progress, show, strip
from course.evaluation.claims import claim
from course.evaluation.frames import psnr
from course.evaluation.judge import coverage, judge
from course.exercises.checking import check, hint, working
from course.generation.tokens import keep_top_k, keep_top_p, sample_tokens, shaped
from course.layers.attention import attention
from course.layers.position import rotate
from course.layers.quantization import (
    FiniteScalarQuantizer,
    VectorQuantizer,
    nearest_code,
    perplexity,
    straight_through,
)
from course.models.token_transformer import TokenTransformer, TokenTransformerConfig
from course.models.vqvae import VQVAE
from course.recipes.shipped import CHECKPOINTS, load_shipped_autoencoder, load_tokens
from course.recipes.text_to_clip import WORLD, captions_of
from course.recipes.tokens import (
    SAMPLING,
    bits_per_token,
    clips_to_learn,
    draw_clips,
    fit_ngram,
    judge_drawn,
    real_clips,
    shuffled_captions,
)
from course.training.checkpoint import read_card
from course.training.loop import TrainConfig, train

print(budget.settle())

# %% [markdown]
# ## Writers
#
# In chapter 09 a clip came out of noise as a whole, all frames at once. Here it is written from front to back. Somebody has turned clips into rows of whole numbers, *tokens*, and back (that is sections 1 to 5), and a writer has to guess what comes next.
#
# The cheapest writer counts. It has read twenty thousand rows, and knows for each caption and each run of the last few tokens how often each token came next. On the left is what it writes. On the right is what the Transformer of this chapter writes, which has read the same kind of rows.

# %%
autoencoder, transformer = load_tokens(0)
table = fit_ngram(autoencoder, num_clips=budget.choose(full=20_000, smoke=500))
wish = [caption(TRAINED[24]), caption(HELD_OUT[1])]
writers = {"counts": table, "Transformer": transformer}
written = {
    f"{name}: {text}": clip
    for name, one in writers.items()
    for text, clip in zip(
        wish, draw_clips(one, autoencoder, wish, generator=budget.generator(0)), strict=True
    )
}
show(
    written,
    description="four clips: on the left the two of the counting writer, sprites that change on the way or do not do what they were told; on the right the two of the Transformer, each a sprite that does what stands above it",
)

# %% [markdown]
# The counting writer forgets. It sees the last few numbers and not what the clip began with, and where a caption is new, as the second one is, it has counts of its parts, of colour and shape and of the motion, but none of all together. Keep it in mind: it is the rival that a network has to beat.
#
# What a network cost, and what makes it again, stands on its card:

# %%
for name in ("tokens_autoencoder_0", "tokens_transformer_0", "tokens_scalar_0"):
    card = read_card(CHECKPOINTS / f"{name}.safetensors")
    print(
        f"{name}: {card.cpu_seconds:.0f} CPU-seconds, {card.num_steps} steps, by: {card.command}"
    )

# %% [markdown]
# ## 1. From vectors to tokens and back
#
# Take a list of vectors, the **codebook**. A token is the number of one of them. To write a vector as a token, look for the nearest code; to read a token, look the code up. What comes back is not what went in, but near it.
#
# Four codes, at the corners of a square, and three vectors. **Which token does each vector get? Which of the three loses most?**

# %%
codes = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
vectors = torch.tensor([[0.4, 0.3], [1.7, 0.2], [0.9, 1.6]])
for vector in vectors:
    squares = (vector - codes).square().sum(dim=1)  # (4,)
    token = squares.argmin()
    v, listed = (
        ", ".join(f"{one:.{n}f}" for one in some) for n, some in ((1, vector), (2, squares))
    )
    print(f"({v}): squared distances {listed}; token {token}, read as {codes[token].tolist()}")
print("the package's tokens:", nearest_code(vectors, codes).tolist())

# %% [markdown]
# The package multiplies out: $|v - c|^2 = |v|^2 - 2\,v \cdot c + |c|^2$. The first term is the same for all codes and can be left out, and the second is one matrix product for all vectors and all codes.
#
# A token out of $K$ takes $\log_2 K$ bits to write down, if nothing is known about which tokens are likely. So here is the bill for one of our clips, as pixels of one byte each and as tokens:

# %%
form = autoencoder.config
pixels = form.num_frames * form.num_channels * form.size**2
bits = log2(autoencoder.num_codes)
print(f"pixels: {pixels} bytes, {8 * pixels} bits")
print(
    f"frames written together: {form.frames_per_token}, on a grid of {form.grid_size} x ", end=""
)
print(f"{form.grid_size} tokens; {form.num_tokens} tokens in all, of {autoencoder.num_codes}")
print(
    f"tokens: {form.num_tokens * bits:.0f} bits, {8 * pixels / form.num_tokens / bits:.0f} times fewer"
)

# %% [markdown]
# That is the point of the exercise. A Transformer compares every place with every place; for a row of pixels that is out of the question, and for a row of this length it takes a moment.
#
# ## 2. Rounding has no slope
#
# The vectors come from a network that is to learn, and between it and its loss stands `argmin`. Move a vector by a hair, and its token stays as it is: the slope is 0, everywhere except on the borders, where there is none. With a number in place of a vector, and whole numbers as codes: $x = 1.3$ is rounded, and the loss is $(\text{rounded} - 3)^2$. **What does autograd say about $x$? And which slope would you wish for?**

# %%
x = torch.tensor(1.3, requires_grad=True)
(x.round() - 3).square().backward()
print("through the rounding:", x.grad.item())
x = torch.tensor(1.3, requires_grad=True)
(x - 3).square().backward()
print("without rounding:    ", round(x.grad.item(), 2))

# %% [markdown]
# The **straight-through estimator** (Bengio et al. 2013) tells a useful lie: forward the number is rounded, and backward it is as if nothing had been rounded. It takes one line. What is added to $x$ is `(rounded - x)`, but *detached*: a number that autograd takes for a constant.


# %%
def my_straight_through(x: Tensor, rounded: Tensor) -> Tensor:
    """Return what was rounded, with the gradient of what was not."""
    return x + (rounded - x).detach()


for name, way in {
    "mine": my_straight_through,
    "the package's": straight_through,
    "without detach": lambda x, rounded: x + (rounded - x),
}.items():
    x = torch.tensor(1.3, requires_grad=True)
    through = way(x, x.round())
    (through - 3).square().backward()
    print(f"{name:15} forward {through.item():.1f}, gradient {x.grad.item():.1f}")

# %% [markdown]
# Without `detach` the two $x$ cancel, forward *and backward*, and nothing is left but the rounding. Nothing complains: the numbers that come out are the same, and a network in front of it does not learn.
#
# And mind *which* slope comes through: not the one at 1.3, but the one where the rounded number stands, $2 \cdot (1 - 3)$. It belongs to another place than the one it is used at. That it helps all the same has to be seen. Twelve steps downhill:

# %%
x = torch.tensor(1.3, requires_grad=True)
path = []
for _ in range(12):
    path.append((round(x.item(), 1), int(x.round())))
    (my_straight_through(x, x.round()) - 3).square().backward()
    with torch.no_grad():
        x -= 0.1 * x.grad
    x.grad = None
print("x:     ", *(f"{number:4}" for number, _ in path))
print("token: ", *(f"{token:4}" for _, token in path))

# %% [markdown]
# It gets there, the token in jumps (2.5 lies on the border, and PyTorch rounds a half to the even number), and then the lie is the truth: at the right token the slope is 0, and $x$ stays. But it stays at the first place that is *rounded* to 3. The loss sees codes alone, and a vector may lie anywhere in its code's region, also at the border, where the next small change makes another token of it. So a second term is added to the loss, the **commitment**: the squared distance of a vector from its code, times a small number. It draws vectors to the middle of their regions, and it is the only part of the loss that knows where a vector lies.
#
# ### Exercise 11.1 · A quantizer
#
# *15 minutes, difficulty 2 of 3.* Return what the tokens of some vectors stand for, with the gradient handed straight through to the vectors; the tokens; and the commitment, the mean squared difference between vectors and codes over everything. Gradients come to the vectors alone: *nothing moves the codebook here*. The cells below use your function, or the package's as long as yours is not right.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "11-quantize", "locked": false, "schema_version": 3, "solution": true, "task": false}
def quantize(vectors: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """vectors: (..., D), codebook: (K, D); return codes, tokens and commitment."""
    # BEGIN SOLUTION: three tensors, (..., D), (...) and one number
    far = (vectors[..., None, :] - codebook).square().sum(dim=-1)  # (..., K)
    tokens = far.argmin(dim=-1)
    codes = codebook[tokens].detach()
    through = vectors + (codes - vectors).detach()
    return through, tokens, (codes - vectors).square().mean()
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "11-quantize-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("11-quantize", quantize)

# %%
# hint("11-quantize")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ## 3. A codebook that follows
#
# Where do the codes come from? A code is to stand for the vectors that choose it, and what is nearest to many vectors at once, in squared error, is their **mean**. But the vectors change as the network learns, and one batch shows few of them. So for each code two averages are kept, of *how many* chose it and of *what they sum to*, and both forget slowly: a share `decay` of the old is kept, and the rest is the new. The code is the quotient (van den Oord et al. 2017, appendix A.1).
#
# One code of one number, at 0: so far a count of 2 and a total of 0. Now the vectors 1 and 3 choose it, and half is kept. **Where does the code go? And where would it be after many such batches?**

# %%
count, total = 2.0, 0.0
for batch in range(1, 6):
    count = 0.5 * count + 0.5 * 2  # two vectors chose it
    total = 0.5 * total + 0.5 * (1.0 + 3.0)
    print(f"after batch {batch}: count {count:.2f}, total {total:.3f}, code {total / count:.3f}")

# %% [markdown]
# With each batch it goes half of the way that is left to the mean, 2, and no gradient is needed: this is k-means, done bit by bit.
#
# ### Exercise 11.2 · Follow
#
# *15 minutes, difficulty 2 of 3.* Move a codebook after the vectors of a batch. Return the new codebook, counts and totals, and leave those that you are given as they are. A code whose count is 0 has nothing to be the mean of, and stays where it is.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "11-follow", "locked": false, "schema_version": 3, "solution": true, "task": false}
def follow(
    codebook: Tensor, counts: Tensor, totals: Tensor, vectors: Tensor, tokens: Tensor, decay: float
) -> tuple[Tensor, Tensor, Tensor]:
    """codebook, totals: (K, D), counts: (K,), vectors: (N, D), tokens: (N,)."""
    # BEGIN SOLUTION: three tensors, (K, D), (K,) and (K, D)
    chosen = F.one_hot(tokens, len(codebook)).to(vectors)  # (N, K)
    counts = decay * counts + (1 - decay) * chosen.sum(dim=0)
    totals = decay * totals + (1 - decay) * chosen.T @ vectors
    alive = counts[:, None] > 0
    means = totals / counts[:, None].where(alive, torch.ones(()))
    return means.where(alive, codebook), counts, totals
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "11-follow-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("11-follow", follow)

# %%
# hint("11-follow")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# Your two functions against the package's quantizer, five batches of random vectors, and both codebooks begin at the same place:

# %%
quantize_now, follow_now = working("11-quantize", quantize), working("11-follow", follow)
theirs = VectorQuantizer(6, 3, decay=0.9, revive_below=0.0)
theirs.codebook.copy_(torch.randn(6, 3, generator=budget.generator(1)))
mine = theirs.codebook.clone(), theirs.num_chosen.clone(), theirs.total.clone()
for batch in range(5):
    x = torch.randn(20, 3, generator=budget.generator(10 + batch))
    _, tokens, commitment = quantize_now(x, mine[0])
    answer = theirs(x)
    mine = follow_now(*mine, x, tokens, 0.9)
    same = torch.equal(tokens, answer.tokens), torch.allclose(commitment, answer.commitment)
    moved = torch.allclose(mine[0], theirs.codebook, atol=1e-5)
    print(f"batch {batch}: same tokens and commitment {all(same)}, same codebook {moved}")

# %% [markdown]
# ### Codes that die
#
# A code that no vector chooses has no mean to go to. It stays where it is, and the others move towards the vectors, so that it is even less likely to be chosen. It is **dead**, and no average will ever wake it. Here is a small world to see it happen: vectors around eight points on a circle, and sixteen codes that all begin in one corner, as they well may when a network is fresh and its vectors lie somewhere else. **How many of the sixteen will live?**


# %%
def points(num: int, seed: int) -> Tensor:
    """Draw vectors around eight points on a circle, (num, 2)."""
    chance = budget.generator(seed)
    angle = torch.randint(8, (num,), generator=chance) * torch.pi / 4
    middle = 2 * torch.stack([angle.cos(), angle.sin()], dim=1)
    return middle + 0.25 * torch.randn(num, 2, generator=chance)


def picture(codebook: Tensor) -> Tensor:
    """Paint vectors dark and codes bright on a square from -4 to 4, (3, 40, 40)."""
    canvas = torch.zeros(3, 40, 40)
    for some, size, colour in (
        (points(400, 0), 1, (0.15, 0.3, 0.5)),
        (codebook, 2, (1.0, 0.85, 0.2)),
    ):
        for column, row in ((some + 4) * 5).long().clamp(0, 38).tolist():
            canvas[:, row : row + size, column : column + size] = torch.tensor(colour)[
                :, None, None
            ]
    return canvas


start = torch.tensor([3.0, 3.0]) + 0.3 * torch.randn(16, 2, generator=budget.generator(3))
books, usage = {}, {}
for name, revive_below in (("followed", 0.0), ("followed, and revived", 0.1)):
    torch.manual_seed(0)  # of the vectors that dead codes are put on
    quantizer = VectorQuantizer(16, 2, decay=0.8, revive_below=revive_below)
    quantizer.codebook.copy_(start)
    quantizer.total.copy_(start)
    quantizer.num_chosen.fill_(1.0)
    books[name], usage[name] = [], []
    for step in range(48):
        books[name].append(picture(quantizer.codebook))
        usage[name].append(perplexity(quantizer(points(64, 100 + step)).tokens, 16))
show(
    {name: torch.stack(frames) for name, frames in books.items()},
    size=256,
    description="eight dark clouds on a circle, and yellow codes that begin together in one corner: followed alone, a few codes run into the clouds and share them, and most stay behind in the corner; revived, codes that were left behind jump into the clouds until every cloud has some",
)

# %% [markdown]
# On the left a handful live, and the rest wait in their corner for ever. The cure, at work on the right, is rude (Dhariwal et al. 2020, for music): a code that is chosen less often than a certain share of an even use (`revive_below`) is put *on* one of the vectors of the batch, is counted as if it were used like the others, and lives again. That is all; the means do the rest.
#
# ### How much of it is used? Perplexity
#
# Counting the codes in use says too little: a code that is chosen once in a million counts as much as one that is chosen always. Take the **entropy** instead, the mean number of bits that it takes to say which code it was, if one knows how often each is chosen. Three of four codes are in use, with shares of $\frac12, \frac14, \frac14$: they take 1, 2 and 2 bits, so $\frac12 \cdot 1 + \frac14 \cdot 2 + \frac14 \cdot 2 = 1.5$ bits. And $2^{1.5}$ codes that are used equally often would take as many: that is the **perplexity**. **Is it more than 2 or less? More than 3?**

# %%
used = torch.tensor([0, 0, 1, 2])
share = used.bincount(minlength=4) / len(used)
entropy = -sum(one * log2(one) for one in share.tolist() if one)
print(f"{entropy} bits, perplexity {2**entropy:.3f}; the package's {perplexity(used, 4):.3f}")
for name, some in {"one code for all": [2, 2, 2, 2], "all alike": [0, 1, 2, 3]}.items():
    print(f"{name}: {perplexity(torch.tensor(some), 4):.3f}")

# %% [markdown]
# And that of the two codebooks on the circle, batch by batch:

# %%
curve(
    range(48),
    usage,
    x_label="batch",
    y_label="perplexity of 16 codes",
    description="followed alone the perplexity rises to a few codes and stays there; with revival it soon rises to most of them",
)

# %% [markdown]
# ## 4. The modern alternative: no codebook
#
# All this care, averages, counts and revivals, is for a table that one need not have. **Finite scalar quantization** (Mentzer et al. 2023) bounds each number of a vector and rounds it to one of a few levels, by itself. The codes are all combinations of levels: a grid, which is there from the start, does not move and cannot die. The token is the number that the levels spell, as digits spell a number.
#
# A vector of two numbers, the first with three levels ($-1, 0, 1$), the second with two ($-1, 1$): six tokens. `tanh` does the bounding. **Which token does $(0.3, -0.9)$ get, if the first digit counts 1 and the second 3?**


# %%
def my_scalar(vectors: Tensor, levels: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Bound each number and round it to its levels; return the codes and the tokens."""
    steps = torch.tensor(levels) - 1
    bounded = vectors.tanh()
    digits = ((bounded + 1) / 2 * steps).round()  # (..., D), from 0 to levels - 1
    codes = my_straight_through(bounded, 2 * digits / steps - 1)
    worth = torch.tensor([1, *levels[:-1]]).cumprod(
        dim=0
    )  # 1, then the product of the levels so far
    return codes, (digits * worth).sum(dim=-1).long()


codes, token = my_scalar(torch.tensor([0.3, -0.9]), (3, 2))
print("levels:", codes.tolist(), "token:", token.item())
scalar = FiniteScalarQuantizer((4, 4, 3))
x = torch.randn(50, 3, generator=budget.generator(4))
codes, tokens = my_scalar(x, (4, 4, 3))
print(
    "equal to the package's:",
    torch.allclose(codes, scalar(x).vectors, atol=1e-6) and torch.equal(tokens, scalar(x).tokens),
)
print("read back:", torch.allclose(scalar.look_up(tokens), codes, atol=1e-6))

# %% [markdown]
# Six lines, the straight-through estimator among them: that one is still needed. What it gives up is freedom. A learned codebook may crowd its codes where the vectors are; a grid has to wait until the network has spread its vectors over it. Which one is better is a matter of measuring, and in section 5 we do.
#
# ## 5. A clip in tokens
#
# ### The autoencoder
#
# The whole first stage is this: an encoder, a quantizer, a decoder. The encoder reads each frame, or each few frames that are written together, *by itself*; so the tokens of the first frames can be had before the rest exists, which we shall need in section 11. The decoder draws with all frames in view. For a while it lays them on top of one another as channels of one picture, so that what rounding has blurred in one frame can be made good from its neighbours.


# %%
def each(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer of pictures to each frame of x: (B, T, C, H, W)."""
    return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def my_autoencoder(net: VQVAE, clips: Tensor) -> tuple[Tensor, Tensor]:
    """clips: (B, T, C, H, W); return what comes back, and the tokens, (B, T', rows, columns)."""
    groups = clips.unflatten(1, (-1, net.config.frames_per_token)).flatten(2, 3)
    vectors = each(net.encoder, 2 * groups - 1).movedim(2, -1)  # (B, T', rows, columns, D)
    tokens = nearest_code(vectors, net.quantizer.codebook)
    codes = straight_through(vectors, net.quantizer.codebook[tokens])
    x = each(net.enter, codes.movedim(-1, 2))  # (B, T', channels, rows, columns)
    along = net.time(net.gather(x.flatten(1, 2)))  # all frames as one picture
    x = x + net.spread(F.silu(along)).unflatten(1, x.shape[1:3])
    drawn = each(net.decoder, x).unflatten(2, (net.config.frames_per_token, -1))
    return drawn.flatten(1, 2), tokens


four, texts = real_clips(HELD_OUT[:4], num_each=1, seed=11)
with torch.no_grad():
    mine, tokens = my_autoencoder(autoencoder, four)
    theirs = autoencoder(four)[0]
print("same tokens as the package's:", torch.equal(tokens.flatten(1), autoencoder.encode(four)))
print("same clips as the package's: ", torch.allclose(mine, theirs, atol=1e-4))
print("clips", tuple(four.shape), "-> tokens", tuple(tokens.shape))

# %% [markdown]
# It was trained with the squared error of the pixels and a little commitment, on clips that were rendered as they were used, none of them a held-out combination. These four are all held out. First the four that went in, then the same four as they came back from the tokens alone:

# %%
back = autoencoder.decode(autoencoder.encode(four))
show(
    {f"in: {text}": clip for text, clip in zip(texts, four, strict=True)}
    | {f"out, {i}": clip for i, clip in enumerate(back)},
    size=112,
    description="eight clips of 16 by 16 pixels in a row: four sprites that do what their captions say, and the same four as they come back from their tokens, with slightly uneven edges",
)

# %% [markdown]
# And this is all that the Transformer will ever see of the first clip, here of its first two frames and its last two:

# %% tags=["nbval-ignore-output"]
print(tokens[0, 0].squeeze(), tokens[0, -1].squeeze(), sep="\n")

# %% [markdown]
# Most of a frame is black, and even black may be written with several numbers: the encoder sees a little beyond each square, and nothing in its loss asks it to be thrifty with them.
#
# ### What does one token stand for?
#
# Change one token and see. Of the first clip we take the place in the first frames where most is to be seen, and put other tokens there; all the other tokens stay as they are. **Will the sprite change in that square alone, or also elsewhere? In those frames alone, or in later ones, too?**

# %%
tokens_of_first = autoencoder.encode(four[:1])  # (1, N)
patch = form.size // form.grid_size  # pixels a side that one token has to answer for
energy = F.avg_pool2d(four[0, 0].square().sum(dim=0)[None], patch).flatten()
brightest = energy.argmax().item()
others = ["its own", *range(0, autoencoder.num_codes, autoencoder.num_codes // 16)]


def with_token(token: str | int) -> Tensor:
    """Return the clip with another token at the place."""
    changed = tokens_of_first.clone()
    if token != "its own":
        changed[0, brightest] = token
    return autoencoder.decode(changed)[0]


explore(
    with_token,
    name="token",
    values=others,
    size=200,
    description="a sprite that moves; with another token at the place where it begins, its first frames show another piece of a sprite there, and the rest of the clip stays nearly as it was",
)

# %% [markdown]
# To measure it: every token of twelve clips is replaced in turn by one drawn by chance, and we note by how much the pixels of each frame change, on average.

# %%
sample_of, _ = real_clips(HELD_OUT, num_each=1, seed=12)
kept = autoencoder.encode(sample_of)
plain = autoencoder.decode(kept)
chance = budget.generator(13)
change = torch.zeros(form.num_groups, form.num_frames)
for n in range(form.num_tokens):
    other = kept.clone()
    other[:, n] = torch.randint(autoencoder.num_codes, (len(kept),), generator=chance)
    apart = (autoencoder.decode(other) - plain).abs().mean(dim=(0, 2, 3, 4))  # (T,)
    change[n // form.tokens_per_group] += apart / form.tokens_per_group
heatmap(
    100 * change,
    rows=[str(group) for group in range(form.num_groups)],
    columns=[str(t) for t in range(form.num_frames)],
    row_label="group of the changed token",
    column_label="frame",
    value_label="change, in hundredths of brightness",
    description="the changes are largest in the frames that a token belongs to, and much smaller, but not nothing, in all others",
)

# %% [markdown]
# A token is not a picture of its square: above, the sprite broke beyond it as well. It says something about *its* frames, and the decoder reads it together with all the others.
#
# ### How much survives?
#
# The judge of chapter 02 reads what came back, by the captions of what went in: 480 clips of all 96 combinations for each of three autoencoders. Every clip that is lost here is lost for the Transformer as well, however well it writes. And a rival without any network: the *same number of tokens*, each for a square of raw pixels, out of a codebook of as many squares that followed the pixels as in section 3 (vector quantization as it was before networks). **How many of its clips will be VALID?**


# %%
def squares(clips: Tensor) -> Tensor:
    """Cut clips into the raw pixels that each token has to answer for, (B, T', rows, columns, D)."""
    groups = clips.unflatten(1, (-1, form.frames_per_token)).flatten(2, 3)  # (B, T', C', H, W)
    return each(nn.PixelUnshuffle(patch), groups).movedim(2, -1)


def whole(cut: Tensor) -> Tensor:
    """Put squares together again: the inverse of `squares`."""
    groups = each(nn.PixelShuffle(patch), cut.movedim(-1, 2))
    return groups.unflatten(2, (form.frames_per_token, -1)).flatten(1, 2)


torch.manual_seed(0)
raw = VectorQuantizer(autoencoder.num_codes, squares(four).shape[-1], decay=0.95)
for step in range(budget.choose(full=150, smoke=3)):
    raw(squares(clips_to_learn(64, budget.generator(step)).clips))
raw.eval()
print("cut and put together:", torch.equal(whole(squares(four)), four))

# %% tags=["nbval-ignore-output"]
judged_clips, judged_texts = real_clips(ALL, num_each=budget.choose(full=5, smoke=1), seed=14)
order = torch.randperm(len(judged_texts), generator=budget.generator(15)).tolist()
shuffled_texts = [judged_texts[i] for i in order]
pairs = [load_tokens(seed) for seed in budget.seeds()]  # an autoencoder and its Transformer each
scalar = load_shipped_autoencoder("tokens_scalar_0")
torch.manual_seed(0)
untrained = VQVAE(form).eval()


def surviving(net: VQVAE) -> dict[str, float]:
    """Return what is left of clips that were tokens for a while, and how the codes are used."""
    tokens = net.encode(judged_clips)
    drawn = net.decode(tokens)
    rates = judge(drawn, judged_texts, config=WORLD).rates()
    wrong = judge(drawn, shuffled_texts, config=WORLD).rates()["caption"]
    use = {"perplexity": perplexity(tokens, net.num_codes), "codes": net.num_codes}
    error = (drawn - judged_clips).square().mean().item()
    return rates | use | {"squared error": error, "another's caption": wrong}


found = {f"codebook, {seed}": surviving(net) for seed, (net, _) in enumerate(pairs)}
found |= {"finite scalar": surviving(scalar), "untrained": surviving(untrained)}
with torch.no_grad():
    answer = raw(squares(judged_clips))
    drawn = whole(raw.look_up(answer.tokens)).clamp(0, 1)
found["raw squares"] = judge(drawn, judged_texts, config=WORLD).rates() | {
    "perplexity": perplexity(answer.tokens, raw.num_codes),
    "codes": raw.num_codes,
    "squared error": (drawn - judged_clips).square().mean().item(),
}
for name, one in found.items():
    print(
        f"{name:13} VALID {one['valid']:.3f}, CAPTION {one['caption']:.3f}, squared error "
        f"{one['squared error']:.5f}, perplexity {one['perplexity']:5.1f} of {one['codes']}"
    )

# %% tags=["nbval-ignore-output"]
ours = [one for name, one in found.items() if name.startswith("codebook")]
claim(
    "Clips that were tokens for a while: VALID (baseline: raw squares of pixels, as many tokens; control: an untrained autoencoder)",
    [one["valid"] for one in ours],
    at_least=0.97,
    baseline=found["raw squares"]["valid"],
    control=found["untrained"]["valid"],
)
claim(
    "Clips that were tokens for a while: CAPTION (baseline: raw squares of pixels, as many tokens; control: judged by another's caption)",
    [one["caption"] for one in ours],
    at_least=0.97,
    baseline=found["raw squares"]["caption"],
    control=[one["another's caption"] for one in ours],
)
claim(
    "Perplexity of the codebook, over its size (baseline: finite scalar; control: an untrained autoencoder)",
    [one["perplexity"] / one["codes"] for one in ours],
    at_least=0.5,
    baseline=found["finite scalar"]["perplexity"] / found["finite scalar"]["codes"],
    control=found["untrained"]["perplexity"] / found["untrained"]["codes"],
)

# %% [markdown]
# A codebook of raw squares has to hold every piece of every sprite at every place, and there are more of these than codes. The network's tokens are read together, and together they can say where an edge runs to a part of a pixel. The row of the finite scalars is one training, with nothing to follow and nothing to revive; it loses no more clips than the codebooks do, and its perplexity is much lower: a code of a grid cannot die, but a network may leave it unused, and then a token says less and is easier to guess. One training is no verdict; but in our world the codebook was hardly worth its care.
#
# ## 6. Words first, then tokens
#
# ### One row
#
# From here on the autoencoder stays as it is, and a clip *is* its tokens. They stand in **raster order**: frame by frame, in each frame row by row, as one reads. (Of tokens, a *frame* is what is written together, with us two frames of the clip.) For two frames of 2 x 2 tokens:

# %%
print(torch.arange(8).view(2, 2, 2))

# %% [markdown]
# Any row of tokens, whatever it means, has a probability that can be taken apart from front to back. No assumption is made by that; it is what "given" means:
#
# $$p(\text{tokens} \mid \text{words}) = \prod_n p(\text{token}_n \mid \text{words}, \text{token}_0, \dots, \text{token}_{n-1}).$$
#
# So one network that answers one question, *what comes next?*, knows the probability of every clip, and can draw clips by answering again and again. Image tokens behind text, in one causal Transformer: this is DALL-E's recipe (Ramesh et al. 2021). That the tokens may as well run on into further frames was shown by Rakhimov et al. (2020), and with few means by VideoGPT (Yan et al. 2021).
#
# The words stand *first*, and the reason is the product above: whatever stands behind the tokens cannot be given to them.
#
# ### The network
#
# Hardly anything in it is new. Words and tokens become vectors; a word is told its place in the sentence, a token its place *in its frame*; how far two of them lie apart, attention sees by rotation (chapter 04). Then causal blocks, a norm, and for each place a number for each of the $K$ tokens that may come next, its **logit**; softmax makes probabilities of them.
#
# One thing is handed to it that it would have to learn to look for: what stands *around* the place of the coming token. In the frame before, these are the token at that very place and its eight neighbours; in the coming token's own frame, the three above it. (The one to its left is the token itself that we are at.) Nothing else says as much about what comes next, for from one frame of tokens to the next a sprite moves by less than one place, which is the square of a token. Each is added as a vector of its own, from a table of its own, and 0 stands for "nothing there". In a row of tokens all of them are found by counting backwards, so many places before the coming one. At the edges of a frame such a count lands elsewhere, in another row or in the neighbouring frame; the vector of the place lets the network know where that is so.
#
# This is a convolution over places and time, whose inputs are tokens: chapter 05's, causal, and looked up instead of multiplied.


# %%
def stood_there(tokens: Tensor, num_places: int) -> Tensor:
    """Return what stood so many places before the token that comes next, counted from 1, (B, N)."""
    return F.pad(tokens + 1, (num_places - 1, 0))[:, : tokens.shape[1]]


def my_transformer(net: TokenTransformer, words: Tensor, tokens: Tensor) -> Tensor:
    """words: (B, L), tokens: (B, N); return for tokens 0 to N what each may be, (B, N + 1, K)."""
    L, N, each_frame = words.shape[1], tokens.shape[1], net.config.tokens_per_frame
    said = net.word(words) + net.word_place.table  # (B, L, size)
    seen = net.token(tokens) + net.place.table[torch.arange(N) % each_frame]  # (B, N, size)
    for num_places, table in zip(net.config.told, net.before, strict=True):
        seen = seen + table(stood_there(tokens, num_places))
    x = torch.cat([said, seen], dim=1)  # (B, L + N, size): words first
    for block in net.blocks:
        x = block(x)
    return net.head(net.norm(x))[:, L - 1 :]  # the last word says what token 0 may be


words = indices(texts)
tokens = autoencoder.encode(four)
with torch.no_grad():
    mine, theirs = my_transformer(transformer, words, tokens), transformer(words, tokens)
print("equal to the package's:", torch.allclose(mine, theirs, atol=1e-4))
print("words", tuple(words.shape), "and tokens", tuple(tokens.shape), "->", tuple(mine.shape))
print("told of:", transformer.config.told, "places before the coming token")
print("two places before, behind 5, 6, 7:", stood_there(torch.tensor([[5, 6, 7]]), 2).tolist())

# %% [markdown]
# The last line of the output: two places before the token behind 5 nothing stood; before the one behind 6 stood 5, and before the one behind 7 stood 6, each counted from 1. The line above it: with four tokens in a row and sixteen in a frame, 16 places before the coming token stands the one at the same place a frame earlier, and 4 places before it the one above. And mind the last line of the function. What stands at the place of token $n$ has *seen* token $n$; so it may say what token $n + 1$ is, and nothing else. The first answer stands at the last word. Whoever is off by one here asks the network for what it sees.
#
# ### No token sees a later one
#
# A mask can be wrong in ways that no shape shows. A gradient cannot be argued with: if the answer for token $i$ depends on the vector of token $j$ at all, something comes back. We take the vectors of the first six tokens as inputs of their own, ask for each answer, and note how large the gradient at each vector is.

# %%
vectors = {}


def taken(name: str) -> Callable:
    """Make a hook that lets gradients stop at a table's vectors, and keeps these."""

    def hook(layer: nn.Module, given: object, came: Tensor) -> Tensor:
        vectors[name] = came.detach().requires_grad_()
        return vectors[name]

    return hook


hooks = [
    getattr(transformer, name).register_forward_hook(taken(name)) for name in ("word", "token")
]
answers = transformer(words[:1], tokens[:1, :6])[0]  # (7, K)
influence = torch.zeros(7, 11)
for i, answer in enumerate(answers):
    back = torch.autograd.grad(answer.square().sum(), list(vectors.values()), retain_graph=True)
    influence[i] = torch.cat(back, dim=1)[0].norm(dim=1)
for hook in hooks:
    hook.remove()
future = influence[:, 5:].triu()  # answer i and token j with j >= i
print("an answer depends on its own token or on a later one:", bool(future.any()))
print("the first answer depends on all words:", bool((influence[0, :5] > 0).all()))
late = tokens[:1].clone()
late[:, 40:] = torch.randint(
    autoencoder.num_codes, late[:, 40:].shape, generator=budget.generator(9)
)
with torch.no_grad():
    kept, now = (transformer(words[:1], row)[:, :41] for row in (tokens[:1], late))
print("other tokens from 40 on, and answers 0 to 40 stay:", torch.allclose(kept, now, atol=1e-5))
heatmap(
    influence / influence.amax(dim=1, keepdim=True),
    rows=[f"token {i}" for i in range(7)],
    columns=[*texts[0].split(), *(str(j) for j in range(6))],
    row_label="answer for",
    column_label="word or token",
    value_label="size of the gradient, over the row's largest",
    description="every answer depends on all five words; the answer for a token depends on the tokens before it, and there is an exact zero for the token itself and all later ones",
)

# %% [markdown]
# Each answer depends on all words, on the tokens before it, and on nothing else. (What the network is told of is looked up by whole numbers, and no gradient comes through there. So the last line printed asks the same in another way, which misses nothing: whatever is put from place 40 on, all answers up to token 40 stay.)
#
# ## 7. What a token costs: bits
#
# The network is trained with the cross-entropy, the mean of $-\log p$ of the token that really came. With the logarithm to base 2 this is a number of **bits**, and it means what it says: a clever coder that knows the same probabilities can write the clip down in as many. Three tokens came, to which the network had given $\frac12$, $\frac14$ and $\frac18$. **How many bits do they cost together? And each, if nothing were known and there are eight tokens?**

# %%
given = torch.tensor([0.5, 0.25, 0.125])
cost = [-log2(one) for one in given.tolist()]
print("bits:", cost, "sum", sum(cost), "mean", sum(cost) / 3)
print("knowing nothing of eight tokens:", log2(8))
logits = torch.randn(3, 8, generator=budget.generator(5))
came = torch.tensor([1, 7, 2])
mine = -logits.log_softmax(dim=1)[torch.arange(3), came].mean() / log(2)
print("equal to PyTorch's, in bits:", torch.allclose(mine, F.cross_entropy(logits, came) / log(2)))

# %% [markdown]
# Now real clips: each combination a few times, which nobody has seen. What do their tokens cost the counting writer, and what the Transformer? Two controls: the words of *another* clip, and no words at all. (It can answer without words, since in training a caption is left out now and then, always as a whole. Chapter 09 left out single words as well. Here that did harm, and the reason is worth a thought: a network that has to guess a motion from a colour and a shape learns which combinations never come, and does not draw them when it is asked to. The trials, short ones with one seed, stand in `data/records/tokens_log.csv`.) **Where in the clip will the bits be spent, at the beginning or at the end?**


# %%
@torch.no_grad()
def bits_in_time(model: Callable, words: Tensor, tokens: Tensor) -> Tensor:
    """Return the mean bits of a token in each group of frames, (T',)."""
    logits = model(words, tokens[:, :-1])  # (B, N, K)
    cost = F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none") / log(2)
    return cost.view(len(tokens), form.num_groups, -1).mean(dim=(0, 2))


read_clips, read_texts = real_clips(ALL, num_each=budget.choose(full=4, smoke=1), seed=16)
read_words = indices(read_texts)
mixed = read_words[torch.randperm(len(read_words), generator=budget.generator(17))]
print(f"where nothing is known, a token costs {bits:.0f} bits")

# %% tags=["nbval-ignore-output"]
cost = {name: [] for name in ("counts", "Transformer", "another's words", "no words")}
counters = [table]  # the counting writer of the other two trainings
counters += [
    fit_ngram(net, num_clips=budget.choose(full=20_000, smoke=500)) for net, _ in pairs[1:]
]
for (net, model), counting in zip(pairs, counters, strict=True):
    rows = net.encode(read_clips)
    cost["counts"].append(bits_in_time(counting, read_words, rows).tolist())
    cost["Transformer"].append(bits_in_time(model, read_words, rows).tolist())
    cost["another's words"].append(bits_in_time(model, mixed, rows).tolist())
    cost["no words"].append(bits_in_time(model, torch.zeros_like(mixed), rows).tolist())
curve(
    range(form.num_groups),
    cost,
    x_label="group of frames",
    y_label="bits a token",
    description="the Transformer's curve falls after the first group and stays low; without words it begins much higher and comes near; the counting writer's is level and lies above both; with another's words everything is dearest",
)

# %% tags=["nbval-ignore-output"]
mean_cost = {
    name: [sum(one) / len(one) for one in seeds] for name, seeds in cost.items()
}  # groups have as many tokens each
for name, seeds in mean_cost.items():
    print(f"{name:16} {', '.join(f'{one:.2f}' for one in seeds)} bits a token")
claim(
    "Bits for a token of real clips: the Transformer's, over the counting writer's (control: another's words)",
    [a / b for a, b in zip(mean_cost["Transformer"], mean_cost["counts"], strict=True)],
    at_most=0.9,
    baseline=1.0,
    control=[
        a / b for a, b in zip(mean_cost["another's words"], mean_cost["counts"], strict=True)
    ],
)

# %% [markdown]
# The first frame decides nearly everything: which sprite, and where. There the words save most, and there nobody can save the rest, since a caption does not say where. Later the sprite is known, its place and soon its speed, and a token costs a part of that; by then most of what the words say can be seen. The counting writer gains nothing on the way, since it has forgotten what it saw. And *wrong* words are dearer than none, to the end: the network believes what it is told, even against what it has seen. (What is left at the end is not ignorance about the clip alone. Near the border between two codes a hair's breadth decides which of them it is, and that cannot be known from the tokens before.)
#
# ## 8. Drawing
#
# ### Four ways to heed a guess
#
# The network gives a probability to each token, and one of them is drawn. Whoever takes all of them seriously draws, every now and then, a token that is nearly impossible; in a long row of tokens *now and then* is *once in every clip*. So the probabilities are shaped before drawing. Five tokens, with
#
# $$p = (0.40,\ 0.25,\ 0.20,\ 0.10,\ 0.05).$$
#
# - **Temperature** $T$: every logit is divided by $T$, so that $p$ becomes $p^{1/T}$, and what is left is made to sum to 1. Below 1 the likely become likelier; at 0 only the likeliest is left.
# - **Top-k**: the $k$ likeliest stay (Fan et al. 2018).
# - **Top-p**, the *nucleus*: the fewest that together have a given probability or more (this number is the *p* of the name), the likeliest first (Holtzman et al. 2019). Where the network is sure, that is one token; where it is not, it is many.
# - **Guidance**: as in chapter 09, on logits: $\text{without} + \text{scale} \cdot (\text{with} - \text{without})$ (Gafni et al. 2022). In probabilities: $\text{with}^{\,s} \cdot \text{without}^{\,1 - s}$.
#
# **How many stay with top-p at 0.8? And with guidance at a scale of 2, if without the words it were $(0.50, 0.20, 0.10, 0.10, 0.10)$: which token is the likeliest then?**

# %%
likely = torch.tensor([0.40, 0.25, 0.20, 0.10, 0.05])
without = torch.tensor([0.50, 0.20, 0.10, 0.10, 0.10])


def normal(weights: Tensor) -> Tensor:
    """Make weights sum to 1."""
    return weights / weights.sum()


mine = {
    "as it is": likely,
    "temperature 0.5": normal(likely**2),
    "temperature 2": normal(likely**0.5),
    "top-k, 2": normal(likely * torch.tensor([1, 1, 0, 0, 0])),
    "top-p, 0.8": normal(likely * torch.tensor([1, 1, 1, 0, 0])),
    "guided, 2": normal(likely**2 / without),
}
logits = likely.log()
theirs = {
    "as it is": shaped(logits),
    "temperature 0.5": shaped(logits, temperature=0.5),
    "temperature 2": shaped(logits, temperature=2.0),
    "top-k, 2": keep_top_k(logits, 2).softmax(dim=0),
    "top-p, 0.8": keep_top_p(logits, 0.8).softmax(dim=0),
    "guided, 2": shaped(without.log() + 2 * (logits - without.log())),
}
same = [torch.allclose(mine[name], theirs[name], atol=1e-6) for name in mine]
print("equal to the package's:", all(same))
heatmap(
    torch.stack(list(mine.values())),
    rows=list(mine),
    columns=[str(i) for i in range(5)],
    row_label="shaped by",
    column_label="token",
    value_label="probability",
    description="a low temperature raises token 0, a high one makes the row more even; top-k leaves two tokens and top-p three; guided, token 2 is the likeliest",
)

# %% [markdown]
# With top-p at 0.8, two tokens have 0.65 together, which is not enough yet; the third makes it 0.85, and it stays. Guided, token 2 overtakes: the words have *doubled* its probability, while token 0 was likely anyway.
#
# ### Exercise 11.3 · The nucleus
#
# *15 minutes, difficulty 2 of 3.* Take probabilities, keep the fewest tokens, the likeliest first, that together have at least $p$, give all others a probability of 0, and make each row sum to 1 again. Each row is a distribution of its own, and the tokens stay at their places.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "11-nucleus", "locked": false, "schema_version": 3, "solution": true, "task": false}
def nucleus(probabilities: Tensor, p: float) -> Tensor:
    """probabilities: (..., K), each row sums to 1; p: above 0, at most 1."""
    # BEGIN SOLUTION: a tensor (..., K)
    ordered, order = probabilities.sort(dim=-1, descending=True)
    before = ordered.cumsum(dim=-1) - ordered  # of the likelier ones
    ordered = ordered.masked_fill(before >= p, 0.0)
    kept = torch.zeros_like(probabilities).scatter(-1, order, ordered)
    return kept / kept.sum(dim=-1, keepdim=True)
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "11-nucleus-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("11-nucleus", nucleus)

# %%
# hint("11-nucleus")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Token by token, frame by frame
#
# Now the loop: ask, shape, draw, put the new token at the end of the row, ask again. The whole of it, for a model that is not guided:


# %%
@torch.no_grad()
def write(model: Callable, words: Tensor, num_tokens: int, generator: torch.Generator) -> Tensor:
    """words: (B, L); return tokens, (B, num_tokens)."""
    keep = working("11-nucleus", nucleus)
    tokens = torch.zeros(len(words), 0, dtype=torch.long)
    while tokens.shape[1] < num_tokens:
        likely = model(words, tokens)[:, -1].softmax(dim=-1)  # (B, K): what comes next?
        drawn = torch.multinomial(keep(likely, 0.9), 1, generator=generator)
        tokens = torch.cat([tokens, drawn], dim=1)
    return tokens


asked = indices([caption(one) for one in HELD_OUT])
mine = write(transformer, asked, form.num_tokens, budget.generator(20))
theirs = sample_tokens(
    transformer, asked, form.num_tokens, generator=budget.generator(20), top_p=0.9
)
print("same tokens as the package's:", torch.equal(mine, theirs))
chance, piece = budget.generator(20), None
for group in range(1, form.num_groups + 1):  # frame by frame: what is there is given
    length = group * form.tokens_per_group
    piece = sample_tokens(transformer, asked, length, given=piece, generator=chance, top_p=0.9)
print("frame by frame, the same:    ", torch.equal(piece, theirs))

# %% [markdown]
# Nobody has told it to stop after the last frame; with tokens we decide how long a clip is. (Ours was trained on eight frames, and the decoder takes eight.) Here a clip is being written. Each square is shown as it will be, from the moment at which its token is drawn:

# %%
words = indices([caption(HELD_OUT[8])])
tokens = sample_tokens(
    transformer, words, form.num_tokens, generator=budget.generator(21), **SAMPLING
)
finished = autoencoder.decode(tokens)[0]  # (8, 3, 16, 16)
filling = []
for n in range(form.num_tokens + 1):
    known = (torch.arange(form.num_tokens) < n).float()
    known = known.view(form.num_groups, 1, form.grid_size, form.grid_size)
    known = known.repeat_interleave(form.frames_per_token, dim=0)
    known = known.repeat_interleave(patch, dim=2).repeat_interleave(patch, dim=3)
    frames = F.pad(finished * known + 0.25 * (1 - known), (0, 1, 0, 1))  # (8, 3, 17, 17)
    filling.append(frames.unflatten(0, (2, 4)).permute(2, 0, 3, 1, 4).reshape(3, 34, 68))
show(
    torch.stack(filling),
    size=480,
    description="eight frames, four above and four below, grey at first; square by square and frame by frame a blue triangle that goes round in a circle is filled in",
)

# %% [markdown]
# And what is *decided* when? After each group of frames we let the rest be written sixteen times, from other draws, and look at the mean. Where all sixteen agree it is sharp, and where they do not it is fog. **After which row will the whole clip be known?**

# %%
decided = {}
for group in range(form.num_groups + 1):
    given = tokens[:, : group * form.tokens_per_group].expand(16, -1)
    futures = sample_tokens(
        transformer,
        words.expand(16, -1),
        form.num_tokens,
        given=given,
        generator=budget.generator(22 + group),
        **SAMPLING,
    )
    decided[f"{group} of {form.num_groups} given"] = autoencoder.decode(futures).mean(dim=0)
strip(
    decided,
    description="one row of eight frames for each number of groups that are given: the first row is a dim blue fog; in the next the first frame is sharp and the last ones are blurred; from row to row less is open, and the last row is a sharp clip",
)

# %% [markdown]
# Chapter 09's first answer was such a fog in *all* frames, and it cleared up everywhere at once. Here the clip is decided from the front, and most of it early: as soon as the first group is there, two frames say where the sprite is and how fast, the words say the rest, and little is left open. What is written stands, sharp, whatever comes. That is what makes this recipe so good at going on, and it is also its weakness. Nothing that is written is ever taken back.
#
# ### What each of them costs
#
# A quarter of the captions, two clips each. **VALID** and **CAPTION** as always, and the **spread**: how far two clips of one caption lie apart, root mean square; for two real clips it is in the first row. **Which way of drawing will have no spread at all? And what will a temperature above 1 do?**

# %% tags=["nbval-ignore-output"]
PLAIN = {"temperature": 1.0, "top_k": None, "top_p": None, "guidance": 1.0}
WAYS = {
    "the likeliest": {"temperature": 0.0},
    "temperature 0.7": {"temperature": 0.7},
    "plain": {},
    "temperature 1.3": {"temperature": 1.3},
    "top-k 4": {"top_k": 4},
    "top-p 0.9": {"top_p": 0.9},
    "top-p 0.5": {"top_p": 0.5},
    "guided 1.5": {"guidance": 1.5},
    "guided 4": {"guidance": 4.0},
}
shuffled = [ALL[i] for i in torch.randperm(len(ALL), generator=budget.generator(23)).tolist()]
twice = captions_of(shuffled[: budget.choose(full=24, smoke=3)], 2)


def measured(clips: Tensor) -> list[float]:
    """Return VALID, CAPTION and the spread of the two clips of each caption."""
    rates = judge(clips, twice, config=WORLD).rates()
    one, other = clips.chunk(2)
    return [
        rates["valid"],
        rates["caption"],
        (one - other).square().flatten(1).mean(dim=1).sqrt().mean().item(),
    ]


state = sprites.sample_state(
    shuffled[: len(twice) // 2] * 2, generator=budget.generator(24), config=WORLD
)
rows = {"real clips": [measured(sprites.render(state, config=WORLD))]}
ways = {name: PLAIN | one for name, one in WAYS.items()} | {"as in this chapter": SAMPLING}
print("as in this chapter:", SAMPLING)
for name, way in progress(ways.items(), description="ways", total=len(ways)):
    rows[name] = [
        measured(draw_clips(model, net, twice, generator=budget.generator(25), **way))
        for net, model in pairs
    ]
heatmap(
    torch.stack([torch.tensor(one).mean(dim=0) for one in rows.values()]),
    rows=list(rows),
    columns=["VALID", "CAPTION", "spread"],
    row_label="drawn",
    column_label="measure",
    value_label="mean over the trainings",
    digits=3,
    description="real clips pass everything; the likeliest tokens have no spread; a temperature above one lowers VALID and CAPTION; a lower temperature, top-k and top-p raise them and lower the spread; much guidance spoils the clips",
)

# %% [markdown]
# Read it as a bill. *The likeliest* token, every time, is no draw: the same words give the same clip, always. A high temperature draws the nearly impossible, and one such token is enough. What is cut off, by a lower temperature, by top-k or by top-p, buys CAPTION; a little of it is nearly free, and more is paid for in spread. In language the cheap end of this bill is known for text that goes in circles (Holtzman et al. 2019); here it is sprites that begin at the same place. Guidance is no gift either: in our world the words are heard without it, as in chapter 09, and what it exaggerates is every token's small difference, at every place of the sprite. The last row is the way of this chapter, a low temperature and nothing else (`SAMPLING` in `course/recipes/tokens.py`); the clips above were drawn in that way, but for exercise 11.3's loop, and so are those to come.
#
# ## 9. The same tokens, sooner: the key-value cache
#
# ### What is computed for nothing
#
# Look at the loop once more. For token 200 it shows the network all tokens from 0 to 199; for token 201 the same 200, and one more. But no token sees a later one. So whatever token 7 became in each layer, when the row had eight tokens, it becomes again now: *every number of it*. All that is new is the last token. How often is a token worked on, in a row of 256?

# %%
N = 256
print("without anything kept:", sum(range(N)), "times in all")
print("each token once:      ", N - 1, "times in all")  # the last is drawn and never read

# %% [markdown]
# What does the new token need of the old ones? In each layer it looks at their **keys** and takes from their **values**. Nothing else: not their queries, not what the layers behind made of them. So these two are kept. (Which tokens stood around its place, it looks up in the row itself, and that costs next to nothing.) For one head, five tokens of four numbers; first all at once with the causal mask, then one at a time from what was kept.


# %%
def one_at_a_time(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q, k, v: (N, D); attend with what was kept of the tokens before, (N, D)."""
    keys, values, outputs = [], [], []
    for n in range(len(q)):
        keys.append(k[n])
        values.append(v[n])
        scores = torch.stack(keys) @ q[n] / q.shape[1] ** 0.5  # (n + 1,): one row of scores
        outputs.append(scores.softmax(dim=0) @ torch.stack(values))
    return torch.stack(outputs)


q, k, v = torch.randn(3, 5, 4, generator=budget.generator(6))
whole_row, kept = attention(q, k, v, causal=True), one_at_a_time(q, k, v)
for n in range(5):
    print(f"token {n}: equal to all at once: {torch.allclose(whole_row[n], kept[n], atol=1e-6)}")

# %% [markdown]
# Where is the mask? It is not needed any more: what has not come yet is not kept, and so it cannot be seen.
#
# ### Where am I?
#
# One thing the new token cannot find in itself: *where it stands*. Rotary attention turns queries and keys by their place, and whoever hands in a single token hands in a row of length one, whose first place is 0. The cache has to know how many there were. Three programs on the same five tokens: one that counts on, one that forgets the place, and for comparison the whole row. **At which tokens will the forgetful one be wrong?**

# %%
right = attention(rotate(q), rotate(k), v, causal=True)
for name, place in {"counted on": lambda n: n, "from 0 each time": lambda n: 0}.items():
    turned = [torch.cat([rotate(x[n : n + 1], start=place(n)) for n in range(5)]) for x in (q, k)]
    off = (one_at_a_time(*turned, v) - right).abs().amax(dim=1)
    print(f"{name:17} right at each token:", [bool(one < 1e-5) for one in off])

# %% [markdown]
# Right at the first token, wrong at all others, and no error message: the text would read like text, and get worse as it goes on. This is the mistake to test for, and the test is the one above: *against the whole row, position by position*.
#
# ### Longer than the window
#
# A cache that keeps everything grows for ever. So each token sees a **window** of the last tokens, and, in ours, all the words as well, since a clip that has lost sight of its caption goes astray. A key that has left the window is overwritten by the newest. Positions count on all the same.
#
# The proof for the package's network, untrained and small, so that chance is all it knows: a window of 12, a row of 40. For each token the answer from the cache, and the answer for the whole row at once.

# %%
torch.manual_seed(1)
small = TokenTransformer(
    TokenTransformerConfig(
        num_codes=16,
        num_words=len(VOCABULARY),
        window=12,
        hidden_size=32,
        num_layers=3,
        told=(2, 3, 6),
    )
).eval()
for parameter in small.parameters():
    nn.init.normal_(parameter, std=0.2)  # untrained, but no longer silent
words = indices([caption(ALL[0]), caption(ALL[50])])
row = torch.randint(16, (2, 40), generator=budget.generator(7))
cache = small.empty_cache()
with torch.no_grad():
    whole_row = small(words, row)  # (2, 41, 16)
    apart = [
        (small.next_logits(words, row[:, :n], cache=cache) - whole_row[:, n]).abs().max().item()
        for n in range(41)
    ]
print("position by position the same, before the window is full:", max(apart[:12]) < 1e-4)
print("and after tokens have left it:                           ", max(apart[12:]) < 1e-4)
drawn = [
    sample_tokens(small, words, 40, generator=budget.generator(8), guidance=1.5, cached=one)
    for one in (True, False)
]
print("the same tokens are drawn:", torch.equal(*drawn))

# %% [markdown]
# ### How much sooner?
#
# A network that is wider than ours, for the wider it is, the more there is to save; a row of 256 tokens. The two ways take turns, token by token, so that whatever else the computer is doing concerns both; what is counted is the CPU time of this process, on one thread. (Without a cache every eighth step is measured, and counted eight times: the steps between grow evenly.) **One clip at a time, or eight: where does the cache gain more?**


# %%
WIDE = replace(transformer.config, hidden_size=768, num_layers=2, window=256)


@torch.no_grad()
def seconds_to_write(batch_size: int, seed: int, num_tokens: int) -> dict[str, float]:
    """Return the CPU seconds of a row of tokens with a cache and without."""
    torch.manual_seed(seed)
    model = TokenTransformer(WIDE).eval()
    chance = budget.generator(seed)
    words = indices([wish[0]] * batch_size)
    row = torch.randint(model.config.num_codes, (batch_size, num_tokens), generator=chance)
    cache, spent = model.empty_cache(), {"with": 0.0, "without": 0.0}
    model.next_logits(words, row)  # the first time is always slower
    for n in range(num_tokens):
        with budget.cpu_time() as watch:
            model.next_logits(words, row[:, :n], cache=cache)
        spent["with"] += watch.cpu_seconds
        if n % 8 == 4:
            with budget.cpu_time() as watch:
                model.next_logits(words, row[:, :n])
            spent["without"] += 8 * watch.cpu_seconds
    return spent


# %% [markdown]
# At 256 tokens, over three untrained networks:

# %% tags=["nbval-ignore-output"]
num_tokens = budget.choose(full=256, smoke=16)
sooner = {}
for batch_size in (1, 8):
    sooner[batch_size] = []
    for seed in progress(budget.seeds(), description=f"batches of {batch_size}"):
        with budget.one_thread():
            spent = seconds_to_write(batch_size, seed, num_tokens)
        sooner[batch_size].append(spent["without"] / spent["with"])
    print(
        f"{batch_size} at a time: {spent['with']:.2f} CPU seconds with a cache, {spent['without']:.2f} without"
    )
for batch_size, bound in ((1, 8), (8, 30)):
    claim(
        f"Key-value cache, a row of {num_tokens} tokens, {batch_size} at a time: how many times sooner",
        sooner[batch_size],
        at_least=bound,
        baseline=1.0,
    )

# %% [markdown]
# One token for one clip is so little work that calling the layers takes most of the time, with a cache; eight clips at a time share these calls, and without a cache there is eight times the work. On a graphics card the picture is another: there is time to compute, and what is short is the memory that all these keys and values have to come from.
#
# ## 10. What the judge says
#
# Everything is in place. All 96 captions, then the 12 combinations that were never trained; three trainings of the autoencoder and of the Transformer. Beside them the counting writer on the same tokens, and the same clips judged by another's caption.

# %% tags=["nbval-ignore-output"]
ASKED = budget.choose(full=ALL, smoke=ALL[::13])
drawn = {"all": [], "held out": [], "counts, all": [], "counts, held out": []}
by_chance = []
for (net, model), counting in zip(progress(pairs, description="drawing"), counters, strict=True):
    for kind, some, num_each in (
        ("all", ASKED, budget.choose(full=2, smoke=1)),
        ("held out", HELD_OUT, budget.choose(full=60, smoke=1)),
    ):
        for name, one in ((kind, model), (f"counts, {kind}", counting)):
            drawn[name].append(judge_drawn(one, net, some, num_each=num_each, seed=40))
        if kind == "all":
            by_chance.append(shuffled_captions(drawn[kind][-1], some, num_each=num_each, seed=41))
table_of = {name: [one.rates() for one in verdicts] for name, verdicts in drawn.items()}
TESTS = tuple(table_of["all"][0])
heatmap(
    [[sum(one[test] for one in some) / len(some) for test in TESTS] for some in table_of.values()],
    rows=list(table_of),
    columns=[test.replace("caption_", "its ") for test in TESTS],
    row_label="clips",
    column_label="test (its: the caption's)",
    value_label="share of clips that pass",
    description="the Transformer's clips pass most tests, for held-out captions nearly as often; the counting writer's seldom keep their identity or obey the motion",
)

# %% tags=["nbval-ignore-output"]
claim(
    "Text to tokens: CAPTION, all 96 captions (baseline: the counting writer; control: judged by another's caption)",
    [one["caption"] for one in table_of["all"]],
    at_least=0.9,
    baseline=[one["caption"] for one in table_of["counts, all"]],
    control=by_chance,
)
claim(
    "Text to tokens: CAPTION, the 12 combinations that were never trained (baseline: the counting writer; control: judged by another's caption)",
    [one["caption"] for one in table_of["held out"]],
    at_least=0.8,
    baseline=[one["caption"] for one in table_of["counts, held out"]],
    control=by_chance,
)
covered = ", ".join(f"{coverage(one, ASKED):.2f}" for one in drawn["all"])
print(f"COVERAGE of the captions that were asked for: {covered}")

# %% [markdown]
# Captions that were never trained are drawn less well than the others, and that is more than in chapter 09. A token stands for a piece of a certain sprite in a certain place, and what was learned of one sprite's motion does not pass to another by itself, as it did in chapter 08, where the motion code never knew which sprite it moved. How much passes hangs on small things: that the network is told what stands around the coming place, and that no word is ever left out alone (section 7). Both were found late, and it was these captions that gained most by them (`data/records/tokens_log.csv`).
#
# Which of them fail, and where is it that they fail? By motion:

# %% tags=["nbval-ignore-output"]
passed = torch.stack([one.caption.float() for one in drawn["all"]]).mean(dim=0)
passed = passed.view(-1, len(ASKED)).mean(dim=0).tolist()
for motion in dict.fromkeys(one.motion for one in ASKED):
    mine = [share for share, one in zip(passed, ASKED, strict=True) if one.motion == motion]
    print(f"{sum(mine) / len(mine):.2f}  all captions that say: {motion}")
passed = torch.stack([one.caption.float() for one in drawn["held out"]]).mean(dim=0)
passed = passed.view(-1, len(HELD_OUT)).mean(dim=0).tolist()
for share, one in sorted(zip(passed, map(caption, HELD_OUT), strict=True)):
    print(f"{share:.2f}  {one}")

# %% [markdown]
# Colour and shape are decided in the first frame and copied from there; a motion has to be *kept up*, token by token, and every token is a chance to stumble. Chapter 09's network saw all frames at once, and its clips of the same captions fail less often. So why would anybody write clips? Because a row of tokens is what language models are made for: the same network, the same loss, the same cache and all that was learned about making them large, for words and sounds and pictures in one row.
#
# ## 11. A picture as a prefix
#
# Chapter 12 turns pictures into clips with diffusion, and needs a network that is told the picture. Here nothing at all has to be trained. One of our tokens stands for two frames, so what is given is a *beginning*: a picture, and the same one a frame later. The encoder reads these two by themselves; their tokens are put where the first tokens would be drawn; and the rest is written behind them. (Two frames say more than a picture does: this film has set out to the right, and the captions bid it turn. The row *no words* below says how much a beginning gives away. Chapter 12 gives one frame, which is harder.)

# %%
start = Combination("green", "circle", "right")
state = sprites.sample_state([start], generator=budget.generator(61), config=WORLD)
film = sprites.render(state, config=WORLD)  # (1, 8, 3, 16, 16)
prefix = autoencoder.encode(film[:, : form.frames_per_token])  # (1, tokens of the first frames)
print("given:", prefix.shape[1], "tokens of", form.num_tokens)
moved = draw_clips(
    transformer,
    autoencoder,
    [f"a green circle {phrase}" for phrase in PHRASES.values()],
    given=prefix.expand(len(PHRASES), -1),
    generator=budget.generator(51),
)
show(
    {"what is given": film[0, : form.frames_per_token].repeat(form.num_groups, 1, 1, 1)}
    | dict(zip(PHRASES.values(), moved, strict=True)),
    size=112,
    description="a green circle that takes one step to the right, over and over, and six clips that begin with it, each told another motion",
)

# %% [markdown]
# (Two of the six are held-out combinations: no green circle that moves down or stands still was ever shown.) Two questions have to be asked together (chapter 12 says at length why): **does the first frame hold, and does it move as it was told?** A picture shown eight times is perfect in the first and in IDENTITY. (Our *frozen* below repeats *tokens*: the sprite steps to and fro, which the decoder has never seen, and since it reads all tokens together even the first frame suffers.) So here are, for first frames of all captions,
#
# - *both*: the prefix, and the caption behind which it stands;
# - *frozen*: the first frames' tokens again and again, the rival that does nothing;
# - *no words*: the prefix alone;
# - *another's words*: the prefix of one clip and the caption of another, judged by its own;
# - *no prefix*: the caption alone, as in section 10;
# - *its own tokens*: all tokens of the real clip, which is the best that can be had.
#
# The first frame is measured in decibels (PSNR) against the picture, and divided by 40 to fit the table. **In which row will it be best? In which worst?**


# %%
def begun(net: VQVAE, model: TokenTransformer, clips: Tensor, captions: list[str]) -> dict:
    """Return clips that begin with first frames, in each of the ways."""
    all_tokens = net.encode(clips)
    given = all_tokens[:, : form.tokens_per_group]
    order = torch.randperm(len(captions), generator=budget.generator(52)).tolist()

    def written(captions: list[str], given: Tensor | None) -> Tensor:
        chance = budget.generator(53)
        return draw_clips(model, net, captions, given=given, generator=chance)

    return {
        "both": written(captions, given),
        "frozen": net.decode(given.repeat(1, form.num_groups)),
        "no words": written([""] * len(captions), given),
        "another's words": written([captions[i] for i in order], given),
        "no prefix": written(captions, None),
        "its own tokens": net.decode(all_tokens),
    }


films, film_texts = real_clips(ASKED, num_each=1, seed=54)
print(f"given: {form.frames_per_token} of {form.num_frames} frames")

# %% tags=["nbval-ignore-output"]
COLUMNS = ("first frame", "identity", "motion", "caption")
begins: dict[str, list[dict[str, float]]] = {}
for net, model in progress(pairs, description="beginning"):
    for name, clips in begun(net, model, films, film_texts).items():
        rates = judge(clips, film_texts, config=WORLD).rates()
        near = psnr(clips[:, :1], films[:, :1]).clamp(max=99).mean().item()
        begins.setdefault(name, []).append({"first frame": near} | rates)
heatmap(
    [
        [
            sum(one[key] for one in some) / len(some) / (40 if key == "first frame" else 1)
            for key in COLUMNS
        ]
        for some in begins.values()
    ],
    rows=list(begins),
    columns=["dB / 40", "IDENTITY", "MOTION", "CAPTION"],
    row_label="way",
    column_label="measure",
    value_label="mean over the trainings",
    description="with prefix and caption the first frame is nearly as good as from the clip's own tokens, and most clips keep their identity and do what they are told; frozen clips have identity and no motion; without the prefix the first frame is another one",
)


def of(name: str, key: str) -> list[float]:
    """Return a measure of one way, for each training."""
    return [one[key] for one in begins[name]]


behind = {
    name: [
        best - one
        for best, one in zip(
            of("its own tokens", "first frame"), of(name, "first frame"), strict=True
        )
    ]
    for name in ("both", "no prefix")
}
claim(
    "First frames as a prefix: how far their PSNR falls behind that from the clip's own tokens (control: no prefix)",
    behind["both"],
    at_most=3.0,
    unit="dB",
    control=behind["no prefix"],
)
claim(
    "First frames as a prefix: CAPTION, so that they keep their identity and move as told (baseline: frozen; control: another's words)",
    of("both", "caption"),
    at_least=0.8,
    baseline=of("frozen", "caption"),
    control=of("another's words", "caption"),
)

# %% [markdown]
# Best is *its own tokens*, with *both* close behind it; worst is *no prefix*, which cannot know where to begin. The picture holds because it is not drawn: its tokens are put there. What falls short of perfect is the autoencoder's own error, and a little more, since the decoder reads all tokens together and lets later frames reach into the first. And the words are still heard behind it. Compare chapter 12, where holding a network to a picture failed, since the network had been asked about all frames at once and outvoted it; a writer that goes from front to back cannot do other than go on from what stands there. (A *last* frame it cannot be given in this way: its tokens stand at the end of the row, and no token sees a later one.)
#
# ## 12. "DALL-E Video"
#
# The article that this course grew from lists a system of this name, a generator of frames one step at a time. **No system was published under the name "DALL-E Video"**, as far as we could find. What the article describes fits two published ones put together, and this is what the chapter has built:
#
# | | DALL-E (Ramesh et al. 2021) | VideoGPT (Yan et al. 2021) | ours |
# |---|---|---|---|
# | draws | pictures | clips | clips |
# | first stage | a discrete VAE: 256 x 256 pixels become 32 x 32 tokens out of 8192 | a VQ-VAE with 3D convolutions and axial attention | a VQ-VAE that reads frames by themselves and draws them together |
# | how it learns to round | relaxed (Gumbel-softmax), so that no codebook has to follow or be revived | straight-through, a codebook that follows, codes that are put on vectors | the same as VideoGPT |
# | second stage | a causal Transformer of 12 billion parameters | a Transformer like GPT, with positions in space and time | a causal Transformer, smaller by far |
# | told | up to 256 tokens of text, in the same row | a class, or first frames; no text | 5 words, in the same row |
# | text is | predicted, too, with a small weight | not there | read, not predicted |
# | of many drawings | the best, chosen by CLIP | any | any |
#
# Text and video tokens in one Transformer *were* published, under other names: GODIVA (Wu et al. 2021) and CogVideo (Hong et al. 2022, 9.4 billion parameters, grown out of a model for pictures). And what OpenAI itself later showed for video, Sora (2024), is by [its report](https://openai.com/index/video-generation-models-as-world-simulators/) a *diffusion* Transformer on patches of latents: chapter 09's DiT, grown large. DALL-E's own successors went the same way; DALL-E 2 is diffusion already (Ramesh et al. 2022).
#
# ## 13. The race
#
# Four ways lead from a caption to a clip by now: a GAN (chapter 08), tokens, diffusion (chapter 09) and the cascade (chapter 10). *Which is the best?* is no question yet. At what cost of training? At what cost of drawing? So here is a race on equal terms: each family is given the same CPU time on one thread, for all its networks together; each is then asked for the twelve combinations that were never trained; and one judge reads what it draws. Tokens share their time between two networks, the cascade shares it among four.
#
# One thing is not equal, and it should be in view: three families draw 8 frames of 16 x 16, and the cascade draws 16 frames of 64 x 64, thirty-two times as many numbers.
#
# It takes nearly two hours of one core, so its record is kept with the course. `python -m course benchmark families --cpu-minutes 2 6 --seeds 3` runs it on your machine, and goes on where it was interrupted. **Which will be first after two minutes, which after six? Which draws most cheaply?**

# %%
raced = {}
with (CHECKPOINTS.parent / "records" / "families.csv").open(newline="", encoding="utf-8") as file:
    for row in csv.DictReader(file):
        raced.setdefault((row["family"], row["way"], float(row["CPU minutes"])), []).append(row)


def mean_of(some: list[dict[str, str]], column: str) -> float:
    """Return the mean over the trainings on record."""
    return sum(float(row[column]) for row in some) / len(some)


MEASURES = ("caption", "valid", "motion", "coverage", "CPU seconds a clip")
print(
    f"{'family':10}{'drawn':24}{'minutes':>8}{'trained':>8}{'CAPTION from':>13}{'to':>6}"
    + "".join(
        f"{name.replace('CPU seconds', 'seconds'):>{max(10, len(name))}}" for name in MEASURES
    )
)
for (family, way, minutes), some in raced.items():
    captions = [float(row["caption"]) for row in some]
    print(
        f"{family:10}{way:24}{minutes:8g}{len(some):8}{min(captions):13.2f}{max(captions):6.2f}"
        + "".join(f"{mean_of(some, name):{max(10, len(name))}.3g}" for name in MEASURES)
    )

# %% [markdown]
# The same in two pictures. First quality against the time of training, each family drawn in its usual way; the bands are the range over the trainings.

# %%
usual = {}
for family, way, _ in raced:
    usual.setdefault(family, way)  # the first way of each
budgets = sorted({minutes for _, _, minutes in raced})
curve(
    budgets,
    {
        family: torch.tensor(
            [[float(row["caption"]) for row in raced[family, way, minutes]] for minutes in budgets]
        ).T
        for family, way in usual.items()
    },
    x_label="CPU minutes of training",
    y_label="CAPTION, held-out combinations",
    description="after two minutes diffusion is near the top and the others at the bottom; after six diffusion is at the top, the cascade comes next, tokens reach about a half, and the GAN's band goes from near the bottom to near the top",
)

# %% [markdown]
# And quality against the time of drawing, after the longest training. Each family has a way to trade the one for the other: more steps, or fewer. (The GAN has none. For tokens it is the cache, which trades nothing: the clips are the same.)

# %%
longest = {key[:2]: some for key, some in raced.items() if key[2] == budgets[-1]}
ordered = sorted(longest, key=lambda key: mean_of(longest[key], MEASURES[-1]))
by_family = {family: [key for key in ordered if key[0] == family] for family in usual}
curve(
    {
        family: [mean_of(longest[key], MEASURES[-1]) for key in keys]
        for family, keys in by_family.items()
    },
    {
        family: torch.tensor([[float(row["caption"]) for row in longest[key]] for key in keys]).T
        for family, keys in by_family.items()
    },
    x_label="CPU seconds for a clip",
    y_label="CAPTION, held-out combinations",
    description="the GAN costs least by far and has the widest band; tokens cost several times as much, and without the cache more than ten times as much again at the same height; diffusion rises steeply from one step to four and is level from there on; the cascade costs most and rises with the steps of its base",
    log_x=True,
)

# %% [markdown]
# Diffusion is first, after two minutes and after six. Four steps of it cost little and are not far behind sixteen, and more than sixteen buy nothing. The cascade has the same base and gives it a third of the time, and a base that has not come to hear its caption (chapter 09: that comes late, and at once) is mended by nobody behind it. With more time it is second, and its clips are the large ones. The GAN is the cheapest to ask by far, and the least certain to train: look at its band. Of the same recipe one training had learned nearly everything, and another hardly anything. Tokens learn slowly and steadily; their trainings lie close together, and section 10 shows what five times as long makes of them. And the row *without a cache* has the same numbers as *cached* in every column but one, as it should.
#
# How far does it reach? As far as this world, this size, one thread, and *these recipes*. We tuned each of them as far as we came, and surely not equally far; so it is a race of four recipes and not of four ideas. What can be taken home is the form of the table: equal time, unseen captions, one judge, what a clip costs, and every training that was run.
#
#
# ## 14. Broken on purpose
#
# ### Words behind the tokens
#
# "Order does not matter to attention, it looks everywhere." Put the words *behind* the tokens. Every shape fits, and the training loss falls. **What will the clips show?** First the gradient, on our network with the two exchanged:

# %%
words, row = indices([wish[0]]), autoencoder.encode(four[:1])
said = (transformer.word(words) + transformer.word_place.table).detach().requires_grad_()
x = torch.cat([transformer.token(row), said], dim=1)  # tokens first
for block in transformer.blocks:
    x = block(x)
answers = transformer.head(transformer.norm(x))[:, : row.shape[1]]
(back,) = torch.autograd.grad(answers.square().sum(), said)
print("any answer for any token hears the words:", bool(back.abs().max() > 0))

# %% [markdown]
# Not one answer for a token hears a word. The causal mask works as it should, and the caption stands in the future. A network that is trained on such rows learns what clips look like, and the loss that falls is the loss of *that*. When its turn comes to draw, it draws any clip. Ours has learned to do without words as well, so we can see what comes of it: the words are replaced by zeros.

# %% tags=["nbval-ignore-output"]
deaf = []
for net, model in progress(pairs, description="deaf"):
    texts = captions_of(ASKED, 1)
    clips = draw_clips(model, net, [""] * len(texts), generator=budget.generator(60), guidance=1.0)
    deaf.append(judge(clips, texts, config=WORLD).rates())
for test in ("valid", "identity", "caption_colour", "caption_shape", "caption"):
    print(f"{test:15} {', '.join(f'{one[test]:.2f}' for one in deaf)}")
claim(
    "Words that stand behind the tokens: CAPTION (control: words first)",
    [one["caption"] for one in deaf],
    at_most=0.1,
    control=[one["caption"] for one in table_of["all"]],
)

# %% [markdown]
# Sprites come out, of any colour and shape. A loss that falls does not say that the condition is heard; ask for the gradient, or shuffle the captions.
#
# ### A token that sees itself
#
# The other mistake that no shape shows: the row is handed in *unshifted*. The answer that stands at the place of token $n$ is compared with token $n$ itself, which stands right there. In code it is one slice, `[:, 1:]` of the answers for the whole row. We train small networks in this way, for some seconds each. **How far will the loss fall? And what will such a network draw?** Think of what it has learned before you run on.


# %%
def leaking_loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Compare each answer with the token that it has seen: wrong."""
    words, tokens = batch
    answers = model(words, tokens)[:, 1:]  # (B, N, K), one place too late
    return F.cross_entropy(answers.flatten(0, 1), tokens.flatten())


bank = clips_to_learn(budget.choose(full=2000, smoke=64), budget.generator(61))
bank_words = indices(bank.captions)
tiny = replace(transformer.config, hidden_size=64, num_layers=2)
print("as wide as", tiny.hidden_size, "numbers,", tiny.num_layers, "blocks")

# %% tags=["nbval-ignore-output"]
leaking, losses = [], []
for seed, (net, _) in zip(budget.seeds(), progress(pairs, description="training"), strict=True):
    bank_rows = net.encode(bank.clips)

    def batch(step: int, rows: Tensor = bank_rows) -> tuple[Tensor, Tensor]:
        some = torch.randint(len(rows), (32,), generator=budget.generator(step))
        return bank_words[some], rows[some]

    torch.manual_seed(seed)
    model = TokenTransformer(tiny)
    num_steps = budget.choose(full=150, smoke=4)
    with budget.one_thread():
        history = train(
            model, batch, leaking_loss, TrainConfig(num_steps=num_steps, learning_rate=3e-3)
        )
    leaking.append(model.eval())
    losses.append([one / log(2) for one in history.losses])
    print(f"seed {seed}: {history.cpu_seconds:.0f} CPU seconds, {losses[-1][-1]:.3f} bits a token")
print(f"the Transformer of this chapter: {mean_cost['Transformer'][0]:.3f} bits a token")

# %% [markdown]
# Far below what the honest network needs, after some seconds, with a fraction of its weights. Too good to be true, and it is not true: what it has learned is to *copy*. Asked for what comes next, it says what was last. So let it draw, and count what its answers cost when they are asked for the token that it has *not* seen:

# %% tags=["nbval-ignore-output"]
copied = []
for (net, _), model in zip(pairs, leaking, strict=True):
    texts = captions_of(ASKED, 1)
    clips = draw_clips(model, net, texts, generator=budget.generator(62), **PLAIN)
    copied.append(judge(clips, texts, config=WORLD).rates())
show(
    dict(zip(texts[:4], clips[:4], strict=True)),
    description="four clips without a sprite: the same square again and again across a frame, in some clips nearly black, with patterns that change on the way",
)
honest = [bits_per_token(m, net, ASKED, num_each=2, seed=63) for net, m in pairs]
asked_ahead = [
    bits_per_token(m, net, ASKED, num_each=2, seed=63)
    for (net, _), m in zip(pairs, leaking, strict=True)
]
print("bits for the token that comes:", [round(one, 1) for one in asked_ahead])
print("the honest network's:         ", [round(one, 1) for one in honest])
claim(
    "Trained on rows that are not shifted: CAPTION (control: shifted)",
    [one["caption"] for one in copied],
    at_most=0.05,
    control=[one["caption"] for one in table_of["all"]],
)

# %% [markdown]
# When a loss is better than it has any right to be, look for the leak before you celebrate. The gradient of section 6 finds it, if it is taken of *the answers that the loss compares*: then a number stands on the diagonal. Asked of the network alone it finds nothing; the network is causal, and what is wrong is the slice.
#
# ## Exercises
#
# Exercises 11.1 and 11.2 stand in sections 2 and 3, exercise 11.3 in section 8.

# %% [markdown]
# ### Exercise 11.4 · One row, in bits
#
# *20 minutes, difficulty 2 of 3.* Write the loss. Here words and tokens share one alphabet: a token is a number from 0 to $K - 1$, a word one from $K$ on, so that they can stand in one row. `network(row)` takes whole numbers (B, n) and returns logits (B, n, K): what stands at a place says which token comes *behind* it, and sees the row up to there. Make the row, take the answers for the tokens, and return the mean **bits** of a token. Words are read and not predicted, and the network is asked once.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "11-bits", "locked": false, "schema_version": 3, "solution": true, "task": false}
def row_bits(network: Callable, words: Tensor, tokens: Tensor) -> Tensor:
    """words: (B, L), numbers from K on; tokens: (B, N), numbers below K."""
    # BEGIN SOLUTION: one number
    row = torch.cat([words, tokens[:, :-1]], dim=1)  # (B, L + N - 1)
    logits = network(row)[:, words.shape[1] - 1 :]  # (B, N, K)
    return F.cross_entropy(logits.flatten(0, 1), tokens.flatten()) / log(2)
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "11-bits-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("11-bits", row_bits)

# %%
# hint("11-bits")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 11.5 · A cache for one head
#
# *20 minutes, difficulty 3 of 3.* Let one token look at itself and at those before it. `project(x)` gives its query, its key and its value, (B, 1, D) each. Query and key, not the value, are told their place by `rotate(x, start=place)`; the first token of all stands at place 0. `cache` is None for the first token, and after that it is what you returned last; what you keep in it is up to you. Return what the token sees, (B, 1, D), and the new cache. *Project each token once*: that is what a cache is for. `attention` and `rotate` are at hand.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "11-cache", "locked": false, "schema_version": 3, "solution": true, "task": false}
def look_back(x: Tensor, project: Callable, cache: object) -> tuple[Tensor, object]:
    """x: (B, 1, D), one new token for each of B rows."""
    # BEGIN SOLUTION: a tensor (B, 1, D), and the new cache
    q, k, v = project(x)
    place = 0 if cache is None else cache[0].shape[1]
    q, k = rotate(q, start=place), rotate(k, start=place)
    if cache is not None:
        k, v = torch.cat([cache[0], k], dim=1), torch.cat([cache[1], v], dim=1)
    return attention(q, k, v), (k, v)
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "11-cache-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("11-cache", look_back)

# %%
# hint("11-cache")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ## What we built, and what still fails
#
# Vectors that become tokens, with a gradient that comes through all the same; a codebook that follows and does not die, and a grid that needs neither; an autoencoder that turns a clip into a short row of whole numbers; one Transformer that guesses the next number, behind a caption; four ways to draw from its guesses; a cache that changes nothing but the time; and two first frames that become a clip with no training at all.

# %%
many = [caption(one) for one in ALL[1::3]]  # 32 captions
clips = draw_clips(transformer, autoencoder, many, generator=budget.generator(70))
show(
    grid(clips, columns=8),
    size=640,
    description="a wall of thirty-two small clips, four rows of eight: sprites of four colours and four shapes, each with its own motion, written for thirty-two captions",
)

# %% [markdown]
# And what still fails? *A slip of the pen.* Let the clip be written to the end of its first frame, replace a single token there by one drawn by chance, and let the writing go on. **What will the frames behind make of it?**

# %% tags=["nbval-ignore-output"]
texts = captions_of(ASKED, 1)
words, chance = indices(texts), budget.generator(71)
begin = sample_tokens(
    transformer, words, form.tokens_per_group, generator=budget.generator(72), **SAMPLING
)
slipped = begin.clone()
where = torch.randint(form.tokens_per_group, (len(begin), 1), generator=chance)
other = torch.randint(autoencoder.num_codes, where.shape, generator=chance)
slipped = slipped.scatter(1, where, other)
gone_on = {}
for name, given in {"as it was written": begin, "one token slipped": slipped}.items():
    gone_on[name] = draw_clips(
        transformer, autoencoder, texts, given=given, generator=budget.generator(73)
    )
    later = judge(gone_on[name][:, form.frames_per_token :], texts, config=WORLD).rates()
    print(
        f"{name}: of the frames behind, VALID {later['valid']:.2f}, CAPTION {later['caption']:.2f}"
    )
show(
    {f"{name}, {i}": clips[i] for i in range(3) for name, clips in gone_on.items()},
    size=112,
    description="three pairs of clips: one as it was written, and one in which a token of the first frame slipped; the slip stays where it is, and the frames behind go on from it, mostly with a whole sprite, sometimes on another way",
)

# %% [markdown]
# Mostly the frames behind recover, since the words and the other tokens are still there to be seen (six frames are judged here, and fewer frames are easier to pass than eight); but they do not know that it was a slip, and the frame itself is spoilt for good. *What is written stands.* Diffusion looks at the whole clip in every step and mends what does not fit; a writer can only go on. And there are slips that nobody sees: a sprite that lands half a pixel beside its path goes on from there. In training the network was always shown the truth (*teacher forcing*, chapter 06), and never what comes of its own slips. It also takes one call of the network for each token, where chapter 09 took sixteen steps for the whole clip. Published systems answer by guessing many tokens at once and going back over them, in the manner of MaskGIT and Phenaki. And a first frame that is *told* to a diffusion model, a last one, and whatever lies between two, is **chapter 12**.
#
# ## Papers
#
# - A. van den Oord, O. Vinyals and K. Kavukcuoglu, *Neural Discrete Representation Learning*, NeurIPS 2017, [arXiv 1711.00937](https://arxiv.org/abs/1711.00937): the VQ-VAE, commitment, and the codebook by averages; our first batch fills the codebook.
# - Y. Bengio, N. Léonard and A. Courville, *Estimating or Propagating Gradients Through Stochastic Neurons for Conditional Computation*, 2013, [arXiv 1308.3432](https://arxiv.org/abs/1308.3432): straight-through.
# - P. Dhariwal, H. Jun, C. Payne, J. W. Kim, A. Radford and I. Sutskever, *Jukebox: A Generative Model for Music*, 2020, [arXiv 2005.00341](https://arxiv.org/abs/2005.00341): codes that are put on vectors of the batch.
# - F. Mentzer, D. Minnen, E. Agustsson and M. Tschannen, *Finite Scalar Quantization: VQ-VAE Made Simple*, ICLR 2024, [arXiv 2309.15505](https://arxiv.org/abs/2309.15505): theirs shifts an even number of levels; ours lie evenly.
# - A. Ramesh, M. Pavlov, G. Goh et al., *Zero-Shot Text-to-Image Generation* (DALL-E), ICML 2021, [arXiv 2102.12092](https://arxiv.org/abs/2102.12092), and [the announcement](https://openai.com/index/dall-e/): text, then image tokens, in one row; ours predicts no text.
# - W. Yan, Y. Zhang, P. Abbeel and A. Srinivas, *VideoGPT: Video Generation using VQ-VAE and Transformers*, 2021, [arXiv 2104.10157](https://arxiv.org/abs/2104.10157), [code](https://github.com/wilson1yan/VideoGPT): tokens of clips; ours stacks frames where theirs has 3D convolutions and axial attention.
# - C. Wu, L. Huang, Q. Zhang et al., *GODIVA: Generating Open-DomaIn Videos from nAtural Descriptions*, 2021, [arXiv 2104.14806](https://arxiv.org/abs/2104.14806), and W. Hong, M. Ding, W. Zheng, X. Liu and J. Tang, *CogVideo: Large-scale Pretraining for Text-to-Video Generation via Transformers*, ICLR 2023, [arXiv 2205.15868](https://arxiv.org/abs/2205.15868): text and video tokens.
# - A. Fan, M. Lewis and Y. Dauphin, *Hierarchical Neural Story Generation*, ACL 2018, [arXiv 1805.04833](https://arxiv.org/abs/1805.04833): top-k. A. Holtzman, J. Buys, L. Du, M. Forbes and Y. Choi, *The Curious Case of Neural Text Degeneration*, ICLR 2020, [arXiv 1904.09751](https://arxiv.org/abs/1904.09751): top-p.
# - R. Rakhimov, D. Volkhonskiy, A. Artemov, D. Zorin and E. Burnaev, *Latent Video Transformer*, 2020, [arXiv 2006.10704](https://arxiv.org/abs/2006.10704): tokens of frames, continued by a Transformer.
# - O. Gafni, A. Polyak, O. Ashual, S. Sheynin, D. Parikh and Y. Taigman, *Make-A-Scene: Scene-Based Text-to-Image Generation with Human Priors*, ECCV 2022, [arXiv 2203.13131](https://arxiv.org/abs/2203.13131): guidance of a Transformer over tokens.
# - J. Su et al., *RoFormer: Enhanced Transformer with Rotary Position Embedding*, 2021, [arXiv 2104.09864](https://arxiv.org/abs/2104.09864): places by rotation. G. Xiao, Y. Tian, B. Chen, S. Han and M. Lewis, *Efficient Streaming Language Models with Attention Sinks*, ICLR 2024, [arXiv 2309.17453](https://arxiv.org/abs/2309.17453): first tokens that stay when the window moves on; theirs numbers places inside the cache, ours count on.
# - A. Ramesh, P. Dhariwal, A. Nichol, C. Chu and M. Chen, *Hierarchical Text-Conditional Image Generation with CLIP Latents* (DALL-E 2), 2022, [arXiv 2204.06125](https://arxiv.org/abs/2204.06125), and OpenAI, [*Video generation models as world simulators*](https://openai.com/index/video-generation-models-as-world-simulators/) (Sora), 2024: what came after.
# - H. Chang, H. Zhang, L. Jiang, C. Liu and W. T. Freeman, *MaskGIT: Masked Generative Image Transformer*, CVPR 2022, [arXiv 2202.04200](https://arxiv.org/abs/2202.04200), and R. Villegas et al., *Phenaki: Variable Length Video Generation from Open Domain Textual Descriptions*, ICLR 2023, [arXiv 2210.02399](https://arxiv.org/abs/2210.02399): many tokens at once.
# - D. J. C. MacKay and L. C. Bauman Peto, *A Hierarchical Dirichlet Language Model*, Natural Language Engineering 1995: how the counting writer mixes long contexts with short ones.
