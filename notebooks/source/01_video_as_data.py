# %% [markdown]
# # 01 · Video as data
#
# In this chapter you take video apart until nothing is left but numbers, and put it together again: at the end you will have written an mp4 in which a coder of your own shows what it sees.
#
# **Time**: about 55 minutes to read, 60 for the exercises, under a minute to run. **You need**: Python, and a first acquaintance with tensors (what a shape is, what indexing does). Nothing about video.
#
# When you are through, you can
#
# 1. **read** any video file into a tensor, cut, resized and resampled in time, and **write** one back;
# 2. **tell** the layouts of a clip apart, and say why `reshape` is not `permute`;
# 3. **predict** when a wheel will seem to turn backwards;
# 4. **build** a lossless coder from frame differences, and **measure** what it saves;
# 5. **find** motion by block matching, check it against the truth, and make the coder better with it.

# %%
import zlib
from itertools import pairwise, product
from pathlib import Path

import torch
from torch import Tensor

from course import budget
from course.clips import resize, to_float, to_uint8
from course.datasets import photos, sprites
from course.datasets.captions import Combination
from course.display import curve, explore, show, slider, strip
from course.evaluation.claims import claim
from course.evaluation.motion import block_matching
from course.exercises.checking import check, hint
from course.video import probe, read_clip, write_clip

print(budget.settle())

# %% [markdown]
# Two knobs for the whole chapter. If you have a video file at hand, a few seconds from a phone will do, write its path here. Every cell below runs on it; without one, the chapter films a photograph.

# %%
MY_VIDEO = None  # for example "../data/own/holiday.mp4"
OUTPUT = Path("../data/own")  # where this chapter writes its files

OUTPUT.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## A clip that lies
#
# Here is a wheel with eight spokes. On the left it turns slowly, on the right fast. Both turn clockwise. Look at the right one.

# %%
SPOKES = 8


def wheel(angles: Tensor, size: int = 64, num_spokes: int = SPOKES) -> Tensor:
    """Draw a wheel at each of the angles (T,), in radians, clockwise; returns (T, 1, size, size)."""
    grid = (torch.arange(size) + 0.5) / size * 2 - 1  # -1 to 1
    y, x = grid[:, None], grid[None, :]
    radius, angle = (x.square() + y.square()).sqrt(), torch.atan2(y, x)  # (size, size) each
    spokes = 0.5 + 0.5 * torch.cos(num_spokes * (angle - angles[:, None, None]))  # (T, size, size)
    tyre = ((radius - 0.9).abs() < 0.07).float()
    return torch.maximum(spokes**4 * (radius < 0.85), tyre)[:, None]  # (T, 1, size, size)


def turning(turns_per_second: float, fps: float, num_frames: int) -> Tensor:
    """Film a wheel that turns clockwise."""
    seconds = torch.arange(num_frames) / fps
    return wheel(2 * torch.pi * turns_per_second * seconds)


show(
    {"0.2 turns per second": turning(0.2, 8, 20), "0.9 turns per second": turning(0.9, 8, 20)},
    fps=8,
    description="two wheels with eight spokes; the slow one turns clockwise, the fast one seems to turn backwards",
)

# %% [markdown]
# Nothing is wrong with the second clip. Every frame shows the wheel exactly where it was. And yet the clip lies: the wheel turns forwards and you see it turn backwards.
#
# A video is not motion. It is a pile of still frames, and motion is what we *infer* from them. This chapter is about that pile: how it is laid out, stored and shrunk, and how motion is got back out of it. By section 3 you will know exactly when the wheel lies.
#
# ## 1. A clip is a tensor
#
# The course has a small world of its own: coloured shapes that move by simple laws. Let us take four clips from it and look at what we hold.

# %%
batch = sprites.sample(4, generator=budget.generator(1))
clips = batch.clips

print("shape ", tuple(clips.shape), "= (B, T, C, H, W)")
print("type  ", clips.dtype, f"from {clips.min():.0f} to {clips.max():.0f}")
print("says  ", batch.captions[0])

# %% [markdown]
# Five numbers describe a pile of video, and this order is the course's convention from here to the last chapter:
#
# | letter | counts | here |
# |---|---|---|
# | B | clips in the batch | 4 |
# | T | frames in a clip: time | 8 |
# | C | channels: red, green, blue | 3 |
# | H | rows of pixels, from the top | 16 |
# | W | columns of pixels, from the left | 16 |
#
# Brightness is a float between 0 and 1. Let us see the first clip as the tensor has it, frame by frame, and then as time has it.

# %%
strip(clips[0], description=batch.captions[0])
show(clips[0], description=batch.captions[0])

# %% [markdown]
# Because this world is rendered, every clip also comes with the truth: where the sprite is in each frame, and how far it will move until the next. No camera tells you that. It is why the course can *measure* where others show you a pretty clip.

# %%
for t in (0, 1, 2):
    (y, x), (vy, vx) = batch.state.position[0, t], batch.state.velocity[0, t]
    print(
        f"t = {t}: row {y:5.2f}, column {x:5.2f}, moves {vy:+.2f} down and {vx:+.2f} right until the next frame"
    )

# %% [markdown]
# ### The same clip in other layouts
#
# Not everyone agrees on the order. Files and screens want colours last, (T, H, W, C). PyTorch's `Conv3d`, in chapter 05, wants channels before time, (B, C, T, H, W). Going from one to the other means *permuting* the dimensions: the numbers stay where they belong, only the order in which we name their coordinates changes.
#
# `reshape` can produce the same shape. It does something else. See it on a clip small enough to read: 2 frames, 3 channels, 1 row, 1 column.

# %%
tiny = torch.tensor([[10, 11, 12], [20, 21, 22]])[:, :, None, None]  # (T=2, C=3, H=1, W=1)

print(
    "frame 0 has channels",
    tiny[0].flatten().tolist(),
    "and frame 1 has",
    tiny[1].flatten().tolist(),
)
print("permuted to (C, T): channel 0 over time is", tiny.permute(1, 0, 2, 3)[0].flatten().tolist())
print("reshaped to (C, T): channel 0 over time is", tiny.reshape(3, 2, 1, 1)[0].flatten().tolist())

# %% [markdown]
# `permute` gives 10 and 20, the first channel of both frames. `reshape` reads the numbers off in storage order and gives 10 and 11: red and green of the same instant, passed off as two instants.
#
# With shapes that differ, such a mistake sometimes crashes, and then you are lucky. When T equals C it never does. **Before you run the next cell: we have three frames (T, C, H, W), want (C, T, H, W) and write `reshape(3, 3, 16, 16)`. Not one number moves. What will code that trusts the new layout see?**

# %%
yellow = sprites.sample(
    1, generator=budget.generator(2), combinations=[Combination("yellow", "cross", "right")]
)
three = yellow.clips[0, ::3]  # (T=3, C=3, H, W): time and colour have the same size
mistaken = three.reshape(3, 3, 16, 16)  # meant as (C, T, H, W); no number has moved
swapped = mistaken.permute(1, 0, 2, 3)  # read as (C, T, H, W), and brought back to look at it

strip(
    {"as it is": three, "after the mistake": swapped},
    description=f"above: {yellow.captions[0]}; below: the same numbers with time taken for colour, coloured ghosts that stand still",
)
print("the shapes are equal:", three.shape == swapped.shape)

# %% [markdown]
# The lower row has three "frames", one for each colour channel, and inside each the three *instants* have become red, green and blue: ghosts. (The third is faint, since yellow has little blue.) The shape is the same, and no error is raised. A network would train on it and learn nothing worth having, which is why the check of exercise 1.1 tries T = C.

# %% [markdown]
# ## 2. From a file and back
#
# Now real input. If you gave no video above, this cell films one: a camera that pans over a photograph (by danielbuechele and vultilion, CC BY 2.0; both come with scikit-learn). It is written as an mp4, so that from here on your file and ours go the same way.

# %%
if MY_VIDEO is None:
    path = OUTPUT / "01_panorama.mp4"
    film = photos.pan_and_zoom(
        photos.load_photo("china"),
        num_frames=48,
        size=128,
        velocity=(0.4, 2),
        pixel_size=1.5,
        zoom=1.3,
    )
    write_clip(path, film, fps=24)
else:
    path = Path(MY_VIDEO)

info = probe(path)
print(
    f"{info.width} x {info.height} pixels, {info.fps:g} frames per second, sound: {info.has_audio}"
)

# %% [markdown]
# `read_clip` streams: of a film of one hour it decodes only the seconds you ask for. Here we take at most two seconds, cut the middle square, shrink it to 128 pixels and keep 12 frames per second.

# %%
mine = read_clip(path, duration=2, fps=12, size=128)

print("shape ", tuple(mine.shape), "= (T, C, H, W)")
show(
    mine,
    fps=12,
    size=256,
    description="the clip that was read: your own video, or a camera that pans over a palace",
)

# %% [markdown]
# How large is it? A colour pixel is three bytes when each channel is rounded to 0..255. Compare with what the file takes on disk.

# %% tags=["nbval-ignore-output"]
frames_in_file = round(info.fps * info.duration)
raw = frames_in_file * info.width * info.height * 3
stored = path.stat().st_size
pixels = frames_in_file * info.width * info.height

print(f"raw:  {raw / 1e6:6.2f} MB, {8 * raw / pixels:5.2f} bits per pixel")
print(
    f"file: {stored / 1e6:6.2f} MB, {8 * stored / pixels:5.2f} bits per pixel: {raw / stored:.0f} times smaller"
)

# %% [markdown]
# The file is far smaller than its pixels. Part of that is *lossy*: H.264 throws away what eyes miss. So a clip does not survive the round trip through an mp4 unchanged, and an mp4 is no place to keep training data. How much changes?

# %% tags=["nbval-ignore-output"]
some = photos.pan_and_zoom(photos.load_photo("flower"), num_frames=12, size=64, velocity=(0, 2))
write_clip(OUTPUT / "01_round_trip.mp4", some, fps=12)
again = read_clip(OUTPUT / "01_round_trip.mp4")
error = (again - some).abs() * 255  # in grey levels, of 255

print("frames: ", len(some), "written,", len(again), "read back")
print("exact:  ", torch.equal(again, some))
print(
    f"error:   {error.mean():.1f} grey levels of 255 on average, {error.max():.0f} at the worst pixel"
)

# %% [markdown]
# The rest of the saving is *lossless*, and that part you will build yourself in section 4.
#
# ## 3. Time is sampled too
#
# A frame rate is a sampling rate. Dropping frames lowers it: keep every second one and time runs at half the resolution, though not at half the speed, if you also play it at half the rate.


# %%
def subsample(clip: Tensor, stride: int) -> Tensor:
    """Keep every ``stride``-th frame of (T, C, H, W), beginning with the first."""
    return clip[::stride]


sprite = sprites.sample(
    1, generator=budget.generator(3), config=sprites.SpriteConfig(size=32, num_frames=24)
)
for stride in (1, 2, 4):
    print(
        f"every {stride}: {len(subsample(sprite.clips[0], stride))} frames of",
        len(sprite.clips[0]),
    )

# %% [markdown]
# Now the wheel. From one frame to the next it turns by $\alpha = 2\pi \cdot \text{turns per second} / \text{frames per second}$. Its eight spokes look alike, so a turn by $2\pi / 8$ cannot be seen at all, and of all the turns that would explain two frames we see the *smallest*:
#
# $$\alpha_\text{seen} = \left(\left(\alpha + \tfrac{\pi}{8}\right) \bmod \tfrac{2\pi}{8}\right) - \tfrac{\pi}{8}.$$


# %%
def apparent_speed(turns_per_second: float, fps: float, spokes: int = SPOKES) -> float:
    """Return the turns per second that a wheel with equal spokes seems to make; negative is backwards."""
    period = 1 / spokes  # of a turn: what cannot be told from standing still
    step = turns_per_second / fps
    return ((step + period / 2) % period - period / 2) * fps


for speed in (0.2, 0.4, 0.6, 0.9, 1.0, 1.1):
    print(
        f"turns {speed:.1f} times per second, seems to turn {apparent_speed(speed, fps=8):+.1f} times"
    )

# %% [markdown]
# That is the formula. Does the *clip* agree? We take over one thing from the formula, that the smallest turn is the one that is seen. Which turn that is, we read off the pixels: draw the wheel turned by every small angle, forwards and backwards, and take the one that looks like the next frame.


# %%
def measured_speed(clip: Tensor, fps: float) -> float:
    """Find the smallest turn that carries frame 0 (angle 0) into frame 1; return turns per second."""
    candidates = (
        torch.linspace(-0.5, 0.5, 201)[1:] / SPOKES
    )  # turns: half a spoke back to half a spoke on
    pictures = wheel(2 * torch.pi * candidates)  # frame 0 turned by each candidate
    return candidates[(pictures - clip[1]).square().mean(dim=(1, 2, 3)).argmin()].item() * fps


speeds = [round(0.053 * k, 3) for k in range(35)]
measured = [measured_speed(turning(speed, fps=8, num_frames=2), fps=8) for speed in speeds]
formula = [apparent_speed(speed, fps=8) for speed in speeds]
curve(
    speeds,
    {"true": speeds, "formula": formula, "measured in the clip": measured},
    x_label="true speed (turns per second)",
    y_label="speed seen (turns per second)",
    description="the speed seen rises with the true one up to 0.5 turns per second, drops to -0.5 and rises again: a saw",
)

# %% [markdown]
# A saw. Up to half a turn per second you see the truth; beyond it, the wheel runs backwards, slows, stands still at one turn per second, and starts over. This is the sampling theorem at work (Shannon 1949): with 8 frames per second, a pattern that repeats more than 4 times in a second cannot be told from a slower one, and eight spokes at half a turn per second repeat exactly 4 times.
#
# The claim below compares the measurement with the formula everywhere except right at the edges of the saw, where both directions fit equally well.

# %%
edges = [abs(abs(seen) - 0.5) < 0.01 for seen in formula]
errors = [abs(m - f) for m, f, edge in zip(measured, formula, edges, strict=True) if not edge]
claim(
    "The speed at which a wheel seems to turn follows from frame rate and spokes alone",
    max(errors),
    at_most=0.01,
    unit="turns per second",
    baseline=max(abs(m - s) for m, s in zip(measured, speeds, strict=True)),
    always=True,
)

# %% [markdown]
# (The *baseline* in that line is the error of trusting your eyes, that is, of taking the speed seen for the true one.)
#
# Move the slider through the true speeds. Below the slider, a wheel with four spokes. **At which speed will that one stand still for the first time?**

# %%
explore(
    lambda speed: turning(speed, fps=8, num_frames=16),
    name="true speed (turns per second)",
    values=[0.1, 0.3, 0.45, 0.55, 0.7, 0.9, 1.0, 1.1, 1.3],
    description="a wheel that turns clockwise ever faster, and seems to slow down, stand still and turn backwards",
)
for speed in (0.9, 1.0, 1.9, 2.0):
    print(
        f"four spokes at {speed} turns per second seem to turn {apparent_speed(speed, fps=8, spokes=4):+.1f} times"
    )

# %% [markdown]
# ## 4. What changes, and what it costs
#
# Subtract each frame from the next and everything that stands still vanishes. What remains is where something moved: bright where light arrived, dark where it left.

# %%
cross = [Combination("yellow", "cross", "right")]
walk = sprites.sample(
    1, generator=budget.generator(5), combinations=cross, config=sprites.SpriteConfig(size=32)
)
difference = walk.clips[0, 1:] - walk.clips[0, :-1]  # (T - 1, C, H, W), values in [-1, 1]

print(
    f"values from {difference.min():.1f} to {difference.max():.1f}; pixels that changed: {(difference != 0).any(1).float().mean():.0%}"
)
strip(
    {"frame t + 1": walk.clips[0, 1:], "minus frame t": 0.5 + 0.5 * difference},
    description=f"above: {walk.captions[0]}; below: the differences on grey, a light edge ahead and a dark edge behind",
)

# %% [markdown]
# One trap. In a file the values are bytes, 0 to 255, and bytes have no minus sign: they wrap around.

# %%
before, after = (
    torch.tensor([100, 200], dtype=torch.uint8),
    torch.tensor([90, 210], dtype=torch.uint8),
)
wrapped = after - before

print("as bytes:  ", wrapped.tolist(), "(90 - 100 is 246: one less than nothing is 255)")
print("as numbers:", (after.int() - before.int()).tolist())

# %% [markdown]
# For looking at differences, the wrap is a bug. For *coding* it is a gift: adding wraps back. Bytes go in, bytes come out, none is lost.

# %%
print(
    "before + difference, wrapped again:",
    (before + wrapped).tolist(),
    "and after was",
    after.tolist(),
)

# %% [markdown]
# ### A lossless coder
#
# A lossless coder has two parts. A *predictor* guesses each value from what the decoder already knows; what is stored is the guess's error, the *residual*. An *entropy coder* then spends few bits on frequent residuals and many on rare ones. The better the guess, the more residuals are zero, the fewer bits.
#
# The predictor is ours. For the entropy coder we take Huffman coding with run lengths from `zlib`, one frame at a time, so that nothing but our prediction can profit from the past.


# %%
def entropy_coded(residual: Tensor) -> bytes:
    """Code one frame of residuals, uint8 of any shape, by Huffman's method."""
    coder = zlib.compressobj(level=9, strategy=zlib.Z_RLE)
    return coder.compress(residual.contiguous().numpy().tobytes()) + coder.flush()


def from_left(frame: Tensor) -> Tensor:
    """Guess each pixel of (C, H, W), uint8, to be the one on its left; return the residual."""
    guess = torch.zeros_like(frame)
    guess[:, :, 1:] = frame[:, :, :-1]
    return frame - guess  # wraps


row = torch.tensor([10, 12, 12, 9], dtype=torch.uint8).reshape(1, 1, 4)
print("a row:", row.flatten().tolist(), "its residual:", from_left(row).flatten().tolist())

# %% [markdown]
# The row's first value is guessed as 0, and 9 after 12 wraps to 253. With these two pieces, a clip can be coded in two ways: every frame for itself (codecs call that *intra*), or each as its difference from the frame before (*delta*).


# %%
def intra_coded(clip: Tensor) -> list[bytes]:
    """Code every frame of (T, C, H, W), uint8, for itself."""
    return [entropy_coded(from_left(frame)) for frame in clip]


def delta_coded(clip: Tensor) -> list[bytes]:
    """Code the first frame for itself and of every other its difference from the one before."""
    residuals = [from_left(clip[0])] + [after - before for before, after in pairwise(clip)]
    return [entropy_coded(residual) for residual in residuals]


def bits_per_pixel(code: list[bytes], clip: Tensor) -> float:
    """Count the bits that a code takes for each pixel (of three channels) of (T, C, H, W)."""
    T, _, H, W = clip.shape
    return 8 * sum(len(part) for part in code) / (T * H * W)


stand = to_uint8(photos.pan_and_zoom(photos.load_photo("china"), num_frames=16, size=64))
for name, code in {"intra": intra_coded(stand), "delta": delta_coded(stand)}.items():
    print(
        f"{name}: {bits_per_pixel(code, stand):5.1f} bits per pixel of 24, when the camera stands still"
    )

# %% [markdown]
# A coder without a decoder is a claim without a proof. Here is the decoder, and the proof: every byte comes back.


# %%
def decoded(part: bytes, like: Tensor) -> Tensor:
    """Undo ``entropy_coded`` for a frame of the same shape as ``like``."""
    return torch.frombuffer(bytearray(zlib.decompress(part)), dtype=torch.uint8).reshape(
        like.shape
    )


def delta_decoded(code: list[bytes], like: Tensor) -> Tensor:
    """Undo ``delta_coded``; ``like`` is a frame of the same shape, (C, H, W)."""
    first = (
        decoded(code[0], like).cumsum(dim=2).to(torch.uint8)
    )  # undoes from_left: add up from the left, wrapped
    frames = [first]
    for part in code[1:]:
        frames.append(frames[-1] + decoded(part, like))
    return torch.stack(frames)


moving = to_uint8(
    photos.pan_and_zoom(photos.load_photo("china"), num_frames=16, size=64, velocity=(0, 3))
)
for name, clip in {"camera stands": stand, "camera moves": moving}.items():
    print(f"{name}: lossless {torch.equal(delta_decoded(delta_coded(clip), clip[0]), clip)}")

# %% [markdown]
# While the camera stands, the past is nearly all there is to know. **Now let it move. From which speed on, in pixels per frame, will the delta coder be no better than coding every frame for itself? Write your guess down before you run the cell.**

# %%
SPEEDS = [0, 0.5, 1, 2, 3, 4, 6, 8]


def pans(speed: float) -> list[Tensor]:
    """Film both photographs from a place of chance, three seeds each, the camera moving right."""
    films = []
    for seed in budget.SEEDS:
        start = torch.rand(2, generator=budget.generator(seed)).tolist()
        for name in photos.BUNDLED:
            film = photos.pan_and_zoom(
                photos.load_photo(name), num_frames=16, size=64, velocity=(0, speed), start=start
            )
            films.append(to_uint8(film))
    return films


films = {speed: pans(speed) for speed in SPEEDS}  # six films for each speed


def costs(coder) -> Tensor:
    """Return bits per pixel, (seeds, speeds): the mean over both photographs."""
    cost = torch.tensor(
        [[bits_per_pixel(coder(film), film) for film in films[speed]] for speed in SPEEDS]
    )
    return cost.reshape(len(SPEEDS), len(budget.SEEDS), len(photos.BUNDLED)).mean(dim=2).T


intra, delta = costs(intra_coded), costs(delta_coded)
for name, cost in {"speed": torch.tensor([SPEEDS]), "intra": intra, "delta": delta}.items():
    print(f"{name:6}", "".join(f"{value:6.1f}" for value in cost.mean(dim=0)))
curve(
    SPEEDS,
    {"raw": torch.full((len(SPEEDS),), 24.0), "intra": intra, "delta": delta},
    x_label="speed of the camera (pixels per frame)",
    y_label="bits per pixel",
    description="intra is flat; delta starts far below it, rises steeply, crosses it and ends above it",
)

# %% [markdown]
# Look for the place where the lines cross, and compare it with your guess. Beyond it, the pixel *before* is a worse guess than the pixel to the *left*, and it gets worse still. Two claims, each judged on the worst of three seeds:

# %%
claim(
    "A still camera: delta coding against coding every frame for itself (ratio of bits; "
    "control: a camera at 8 pixels per frame)",
    delta[:, 0] / intra[:, 0],
    at_most=0.1,
    baseline=1.0,
    control=delta[:, -1] / intra[:, -1],
    always=True,
)
claim(
    "A camera at 8 pixels per frame: the same ratio, and delta has lost",
    delta[:, -1] / intra[:, -1],
    at_least=1.1,
    always=True,
)

# %% [markdown]
# ## 5. Finding the motion
#
# The picture did not change when the camera moved; it *shifted*. If the decoder knew by how much, it could shift the frame before and subtract that. So: cut the new frame into blocks, and for each block look where in the old frame it came from (Jain and Jain 1981). By hand, on a row of numbers:

# %%
old = torch.tensor([0, 0, 5, 9, 5, 0, 0, 0])
new = torch.tensor([0, 0, 0, 0, 5, 9, 5, 0])

for shift in (0, 1, 2, 3):
    guess = torch.cat(
        [old[:1].expand(shift), old[: len(old) - shift]]
    )  # old, shifted right; the border is repeated
    print(
        f"shifted by {shift}: {guess.tolist()}, sum of absolute differences {(new - guess).abs().sum()}"
    )

# %% [markdown]
# Shifted by two, nothing is left. In two dimensions it is the same search, once for each block: try every displacement up to a radius, keep the one with the smallest sum of absolute differences.


# %%
def match_blocks(before: Tensor, after: Tensor, block: int, radius: int) -> Tensor:
    """Find for each block of ``after`` the displacement (down, right) that brought it there from ``before``.

    before, after: (C, H, W), H and W multiples of ``block``. Returns (H / block, W / block, 2).
    """
    _, H, W = after.shape
    motion = torch.zeros(H // block, W // block, 2, dtype=torch.int64)
    reach = range(-radius, radius + 1)
    tries = sorted(
        product(reach, reach), key=lambda d: d[0] ** 2 + d[1] ** 2
    )  # among equals, the shortest wins
    for row in range(H // block):
        for column in range(W // block):
            y, x = torch.arange(block) + row * block, torch.arange(block) + column * block
            wanted = after[:, y][:, :, x]
            best = float("inf")
            for dy, dx in tries:
                source = before[:, (y - dy).clamp(0, H - 1)][
                    :, :, (x - dx).clamp(0, W - 1)
                ]  # the border is repeated
                difference = (wanted - source).abs().sum().item()
                if difference < best:
                    best, motion[row, column] = difference, torch.tensor([dy, dx])
    return motion


pan = to_float(
    films[3][0]
)  # the camera moves 3 pixels to the right: the picture moves 3 to the left
by_hand = match_blocks(pan[0], pan[1], block=16, radius=4)
package = block_matching(pan[:1], pan[1:2], block_size=16, search_radius=4)[0]

print("equal to the package's:", torch.equal(by_hand, package))
print("displacement to the right, block by block:")
print("\n".join(" ".join(f"{dx:3d}" for dx in row) for row in by_hand[..., 1].tolist()))

# %% [markdown]
# Every block says -3: the picture moves three pixels to the left when the camera moves three to the right. Loops in Python are slow, so from here on we use the package's version, which has been shown to give the same.
#
# How good is block matching? We filmed these clips ourselves, so we know the true velocity. A control keeps us honest: with the frames in a random order, what is found should no longer be the camera's velocity. (For a camera that stands, the order does not matter, so the control counts speeds from 2 pixels per frame on.)


# %%
def motion_error(film: Tensor, speed: float, radius: int = 10) -> float:
    """Return the median distance in pixels between the motion found and the true one."""
    clip = to_float(film)
    motion = block_matching(clip[:-1], clip[1:], block_size=16, search_radius=radius)
    return (motion - torch.tensor([0.0, -speed])).norm(dim=-1).median().item()


def shuffled(film: Tensor, seed: int) -> Tensor:
    """Put the frames in a random order."""
    return film[torch.randperm(len(film), generator=budget.generator(seed))]


whole = [speed for speed in SPEEDS if speed == int(speed)]
found, control = [], []
for seed in budget.SEEDS:
    pair = [(speed, film) for speed in whole for film in films[speed][2 * seed : 2 * seed + 2]]
    found.append(max(motion_error(film, speed) for speed, film in pair))
    control.append(
        min(motion_error(shuffled(film, seed), speed) for speed, film in pair if speed >= 2)
    )
claim(
    "Block matching finds a camera's velocity in whole pixels (largest median error over speeds)",
    found,
    at_most=0.1,
    unit="pixels",
    baseline=max(whole),
    control=control,
    always=True,
)

# %% [markdown]
# (The *baseline* is to assume that nothing moves; its error is the speed itself, 8 pixels at the fastest. The *control* is the smallest error on shuffled frames.)
#
# ### A coder that knows motion
#
# Now mend the coder. Predict each frame from the one before, *shifted block by block*, and store the displacements as well: two bytes for each block of 16 x 16 pixels.

# %%
BLOCK, RADIUS = 16, 10


def shifted(frame: Tensor, motion: Tensor) -> Tensor:
    """Move each block of (C, H, W) by its own displacement: the guess for the next frame."""
    _, H, W = frame.shape
    dy, dx = (
        motion.repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1).unbind(dim=2)
    )  # (H, W) each
    y = (torch.arange(H)[:, None] - dy).clamp(0, H - 1)
    x = (torch.arange(W)[None, :] - dx).clamp(0, W - 1)
    return frame[:, y, x]


def motion_coded(clip: Tensor) -> list[bytes]:
    """Code the first frame for itself, then of each frame its displacements and what they leave over."""
    floats = to_float(clip)
    motion = block_matching(floats[:-1], floats[1:], block_size=BLOCK, search_radius=RADIUS)
    code = [entropy_coded(from_left(clip[0]))]
    for before, after, displacement in zip(clip[:-1], clip[1:], motion, strict=True):
        code.append(entropy_coded((displacement + RADIUS).to(torch.uint8)))
        code.append(entropy_coded(after - shifted(before, displacement)))
    return code


def motion_decoded(code: list[bytes], like: Tensor) -> Tensor:
    """Undo ``motion_coded``; ``like`` is a frame of the same shape, (C, H, W)."""
    frames = [decoded(code[0], like).cumsum(dim=2).to(torch.uint8)]
    blocks = torch.empty(like.shape[1] // BLOCK, like.shape[2] // BLOCK, 2)
    for displacement, residual in zip(code[1::2], code[2::2], strict=True):
        motion = decoded(displacement, blocks).long() - RADIUS
        frames.append(shifted(frames[-1], motion) + decoded(residual, like))
    return torch.stack(frames)


print("lossless:", torch.equal(motion_decoded(motion_coded(moving), moving[0]), moving))

# %% [markdown]
# Bit for bit the same, so we may compare what it costs.

# %%
motion = costs(motion_coded)
for name, cost in {
    "speed": torch.tensor([SPEEDS]),
    "intra": intra,
    "delta": delta,
    "motion": motion,
}.items():
    print(f"{name:6}", "".join(f"{value:6.1f}" for value in cost.mean(dim=0)))
curve(
    SPEEDS,
    {"intra": intra, "delta": delta, "with motion": motion},
    x_label="speed of the camera (pixels per frame)",
    y_label="bits per pixel",
    description="with motion the cost is low at every whole speed, and at half a pixel per frame it jumps up to the delta coder's",
)
best_other = torch.minimum(intra, delta)[:, -1]
mixed = []
for seed in budget.SEEDS:
    pair = [shuffled(film, seed) for film in films[8][2 * seed : 2 * seed + 2]]
    mixed.append(sum(bits_per_pixel(motion_coded(film), film) for film in pair) / len(pair))
claim(
    "A camera at 8 pixels per frame: coding with motion against the better of intra and delta "
    "(ratio of bits; control: frames shuffled)",
    motion[:, -1] / best_other,
    at_most=0.4,
    control=torch.tensor(mixed) / best_other,
    always=True,
)

# %% [markdown]
# The saving is back, at every whole speed. It costs more the faster the camera moves: at the edge a strip as wide as the speed comes into view, and no earlier frame holds it. And there is a spike: at half a pixel per frame the coder with motion is no better than the plain delta. Our search knows only whole pixels, and a picture shifted by half a pixel is a *blend* of its neighbours. That is why real codecs search in quarters of a pixel (H.264: Wiegand et al. 2003), and it is worth remembering: in chapter 06, too, a predictor will have to know motion to a fraction of a pixel.
#
# What does it do for your own clip? It is not a pan over a still photograph, unless you gave none: things deform, light changes, the sensor adds noise.

# %% tags=["nbval-ignore-output"]
own = to_uint8(resize(mine, 64, 64))
for name, coder in {
    "intra": intra_coded,
    "delta": delta_coded,
    "with motion": motion_coded,
}.items():
    print(f"{name:12} {bits_per_pixel(coder(own), own):5.1f} bits per pixel")

# %% [markdown]
# Little is saved, even on our own film: it moves by fractions of a pixel, zooms, and has been through a lossy mp4, whose errors no prediction foresees. What the best coders do beyond this is a long list. The principle stays: *predict, and store what the prediction missed*. It is also what the models of this course will do.
#
# ## 6. Break it
#
# Every method has a place where it fails, and it is better to know it. Limit the search to a radius of 2 pixels, and let the camera move by 6. **What will the displacements look like: all zero, all 2, or something else?**

# %%
fast = to_float(films[6][0])
short = block_matching(fast[:1], fast[1:2], block_size=16, search_radius=2)[0]
enough = block_matching(fast[:1], fast[1:2], block_size=16, search_radius=8)[0]

for name, displacement in {"radius 2": short, "radius 8": enough}.items():
    print(name)
    print(
        "\n".join(
            "  ".join(f"({dy:+d}, {dx:+d})" for dy, dx in row) for row in displacement.tolist()
        )
    )

# %% [markdown]
# With the truth in reach, every block finds it. Out of reach, the answers crowd at the edge of the search, and some add a step up or down that nobody took. The search always returns a best match, and nothing in the answer says that it is a bad one. A number without a check is not yet knowledge, and the next chapter is about checks.
#
# A second failure, that no radius mends: a block without texture. Inside a plain area, and along a straight edge, many displacements fit equally well (the *aperture problem*). The rule "the shortest wins" makes the answer tidy. It does not make it true.

# %%
square = [Combination("blue", "square", "right")]
plain = sprites.sample(
    1, generator=budget.generator(5), combinations=square, config=sprites.SpriteConfig(size=64)
)
seen = plain.clips[0]
flow = block_matching(seen[:1], seen[1:2], block_size=8, search_radius=8)[0]
touched = (
    (seen[1] > 0).any(dim=0).reshape(8, 8, 8, 8).any(dim=(1, 3))
)  # blocks that show a part of the sprite
still = (flow == 0).all(dim=-1)

print(
    f"the sprite moves {plain.state.velocity[0, 0, 1]:.1f} pixels to the right and is seen in {int(touched.sum())} blocks;"
)
print(f"of these, {int((touched & still).sum())} say that nothing moves")
slider(seen, description="the clip whose motion was sought: a blue square on black, moving right")

# %% [markdown]
# ## 7. Make your clip
#
# The chapter's clip: your video, or ours, beside what each coder is left with. Grey means "guessed right". It is written to `data/own/01_video_as_data.mp4`; open it in any player.

# %%
seen = resize(mine, 128, 128)
steps = block_matching(seen[:-1], seen[1:], block_size=BLOCK, search_radius=RADIUS)
by_difference = seen[1:] - seen[:-1]
by_motion = seen[1:] - torch.stack(
    [shifted(frame, step) for frame, step in zip(seen[:-1], steps, strict=True)]
)
panels = {
    "clip": seen[1:],
    "minus the frame before": 0.5 + 0.5 * by_difference,
    "minus that frame, shifted": 0.5 + 0.5 * by_motion,
}

write_clip(OUTPUT / "01_video_as_data.mp4", torch.cat(list(panels.values()), dim=3), fps=12)
show(
    panels,
    fps=12,
    size=128,
    description="the clip, its frame differences, and what is left after block matching, nearly even grey",
)

# %% [markdown]
# ## Exercises
#
# Each has a check right below it, which says PASS, TO DO or FAIL, and if it fails, what differs and where to look. In the reading edition the answers are folded away behind the "..." on the left; in your own copy (`workbook/`) they are yours to write.

# %% [markdown]
# ### Exercise 1.1 · Channels before time
#
# *5 minutes, difficulty 1 of 3.* Bring a batch of clips (B, T, C, H, W) into the layout that `Conv3d` wants, (B, C, T, H, W). The check tries it on clips with T = C, where the shape cannot tell right from wrong.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "01-layout", "locked": false, "schema_version": 3, "solution": true, "task": false}
def to_conv3d(clips: Tensor) -> Tensor:
    """Bring (B, T, C, H, W) into the layout (B, C, T, H, W)."""
    # BEGIN SOLUTION: a tensor (B, C, T, H, W)
    return clips.permute(0, 2, 1, 3, 4)
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "01-layout-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("01-layout", to_conv3d)

# %%
# hint("01-layout")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 1.2 · How much video fits
#
# *5 minutes, difficulty 1 of 3.* A colour clip is held as float32, as everywhere in this course. How many seconds of it fit into `num_bytes` of memory? Try it on your own machine afterwards: the answer explains why `read_clip` streams, and why this course works with small frames.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "01-memory", "locked": false, "schema_version": 3, "solution": true, "task": false}
def seconds_that_fit(num_bytes: int, height: int, width: int, fps: float) -> float:
    """Return how many seconds of a float32 colour clip fit into memory."""
    # BEGIN SOLUTION: a number of seconds
    bytes_per_frame = 3 * height * width * 4
    return num_bytes / (bytes_per_frame * fps)
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "01-memory-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("01-memory", seconds_that_fit)

# %%
# hint("01-memory")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 1.3 · Another frame rate
#
# *15 minutes, difficulty 2 of 3.* `subsample` could only drop every second or third frame. Write the general case: show a clip that was filmed at `fps` at `new_fps`, higher or lower. It must last as long as before (round to the nearest whole number of frames), and each new frame is the old one that is on screen at that time: frame j is on screen from j / fps until (j + 1) / fps. No blending.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "01-resample", "locked": false, "schema_version": 3, "solution": true, "task": false}
def resample(clip: Tensor, fps: float, new_fps: float) -> Tensor:
    """Show (T, C, H, W) at another rate: for each new frame the one on screen at that time."""
    # BEGIN SOLUTION: a tensor (new T, C, H, W)
    num_frames = round(len(clip) / fps * new_fps)
    times = torch.arange(num_frames) / new_fps  # seconds
    return clip[(times * fps + 1e-6).long()]  # the little more keeps 2.9999 from becoming 2
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "01-resample-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("01-resample", resample)

# %%
# hint("01-resample")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 1.4 · What changed, in grey levels
#
# *10 minutes, difficulty 1 of 3.* Two frames from a file, uint8 (C, H, W). Return by how many grey levels each value changed, without sign: 90 after 100 is a change of 10, and so is 110 after 100. Section 4 has the trap. Leave the inputs as they are.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "01-change", "locked": false, "schema_version": 3, "solution": true, "task": false}
def change(before: Tensor, after: Tensor) -> Tensor:
    """Count by how many grey levels each value of two uint8 frames changed."""
    # BEGIN SOLUTION: a tensor (C, H, W) of whole numbers, 0 to 255
    return (after.int() - before.int()).abs()
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "01-change-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("01-change", change)

# %%
# hint("01-change")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ### Exercise 1.5 · Which way did it go?
#
# *25 minutes, difficulty 3 of 3.* Find the one displacement of a whole frame, (down, right), in whole pixels of at most `radius`, by trying them all. Frames are float, in [0, 1]. The check compares with the true velocity: of photographs that were shifted by whole pixels, some with noise (you must be exact), and of sprites that move by fractions of a pixel (each number may be off by 0.75).
#
# A warning from experience: if a window that leaves the frame is padded or wrapped around, small displacements get an unfair advantage, or large ones do. Compare only pixels that exist for *every* displacement.


# %% jupyter={"source_hidden": true} nbgrader={"grade": false, "grade_id": "01-velocity", "locked": false, "schema_version": 3, "solution": true, "task": false}
def velocity(before: Tensor, after: Tensor, radius: int) -> tuple[int, int]:
    """Find the displacement (down, right) that brought (C, H, W) ``before`` to ``after``."""
    # BEGIN SOLUTION: two whole numbers, (down, right)
    _, H, W = before.shape
    inside = after[:, radius : H - radius, radius : W - radius]
    best, found = float("inf"), (0, 0)
    for dy, dx in product(range(-radius, radius + 1), repeat=2):
        source = before[:, radius - dy : H - radius - dy, radius - dx : W - radius - dx]
        difference = (inside - source).abs().sum().item()
        if difference < best:
            best, found = difference, (dy, dx)
    return found
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "01-velocity-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("01-velocity", velocity)

# %%
# hint("01-velocity")  # take away the first # and run: three hints, one for each run, then the answer

# %% [markdown]
# ## What we built, and what still fails
#
# A clip is (B, T, C, H, W). It goes into files and comes back; its time is sampled, and undersampled motion lies. Frame differences show what changed; they make a coder that wins while nothing moves. Block matching finds whole-pixel motion and gives the saving back.
#
# What still fails: we have compared clips by bits and by eye. Is a blurred clip better than a shuffled one? Is a frozen one bad, if every frame is perfect? Frame differences cannot tell, and without an answer we would not know whether anything we generate is any good. **[Chapter 02](02_how_to_judge.ipynb)** builds the judge.
#
# ## Papers
#
# - C. E. Shannon, *Communication in the Presence of Noise*, Proc. IRE 37(1), 1949: the sampling theorem.
# - J. R. Jain and A. K. Jain, *Displacement Measurement and Its Application in Interframe Image Coding*, IEEE Trans. Communications 29(12), 1981: block matching. Ours tries every displacement; theirs searches in a few steps.
# - D. A. Huffman, *A Method for the Construction of Minimum-Redundancy Codes*, Proc. IRE 40(9), 1952: the entropy coder inside `zlib`.
# - T. Wiegand, G. J. Sullivan, G. Bjøntegaard and A. Luthra, *Overview of the H.264/AVC Video Coding Standard*, IEEE Trans. Circuits and Systems for Video Technology 13(7), 2003: what your mp4 does. Ours leaves out the transform, lossy quantisation, sub-pixel motion and much else.
