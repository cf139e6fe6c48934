"""The exercises of chapter 01: layouts, time, bytes and motion."""

import math

import torch
from torch import Tensor

from course import budget
from course.clips import to_uint8
from course.datasets import photos, sprites
from course.datasets.captions import Combination
from course.exercises.checking import Exercise, WrongAnswerError, close, holds, same


def to_conv3d(clips: Tensor) -> Tensor:
    """Bring (B, T, C, H, W) into the layout (B, C, T, H, W)."""
    return clips.permute(0, 2, 1, 3, 4)


def _layout(answer: object) -> None:
    for shape in ((2, 8, 3, 4, 5), (2, 3, 3, 4, 5)):  # the second is the treacherous one: T = C
        clips = torch.arange(math.prod(shape), dtype=torch.float32).reshape(shape) / math.prod(shape)
        B, T, C, H, W = shape
        same(
            answer(clips),
            to_conv3d(clips),
            what=f"the result for a clip {shape}",
            usual={
                "nothing was moved: with T = C even the shape would look right, by chance": clips,
                "the shape is right and the content is not: reshape and view read the numbers off in storage order. "
                "Permute the dimensions": clips.reshape(B, C, T, H, W),
                "H and W were exchanged as well: keep (H, W) last, in this order": clips.permute(0, 2, 1, 4, 3),
                "the batch was taken for time: B stays first": clips.transpose(0, 1),
                "colours went last, as files want them: Conv3d wants (B, C, T, H, W)": clips.permute(0, 1, 3, 4, 2),
            },
            look="each dimension of the result must be one of the input's: which stands where?",
        )


def resample(clip: Tensor, fps: float, new_fps: float) -> Tensor:
    """Show (T, C, H, W) at another rate: for each new frame the one on screen at that time."""
    seconds = len(clip) / fps
    times = torch.arange(round(seconds * new_fps)) / new_fps
    return clip[(times * fps + 1e-6).long()]


def _resampling(answer: object) -> None:
    for T, fps, new_fps in (
        (12, 12, 6),
        (12, 12, 4),
        (15, 30, 24),
        (12, 6, 12),
        (20, 7.5, 5),
        (10, 7.5, 5),
        (24, 24, 23.976),
    ):
        clip = (torch.arange(T, dtype=torch.float32) / T).reshape(T, 1, 1, 1).expand(T, 3, 2, 2).contiguous()
        wanted = resample(clip, fps, new_fps)
        times = torch.arange(len(wanted)) / new_fps
        ends = torch.linspace(0, T - 1, len(wanted)).round().long()
        got = answer(clip, fps, new_fps)
        if isinstance(got, Tensor) and got.ndim and len(got) != len(wanted):
            raise WrongAnswerError(
                f"from {fps} to {new_fps} frames per second, {T} frames became {len(got)}, wanted {len(wanted)}: "
                "the clip must last as long as before. Count seconds first, then new frames"
            )
        same(
            got,
            wanted,
            what=f"the clip at {new_fps} instead of {fps} frames per second",
            usual={
                "the frames were stretched from the first to the last: the last frame too is on screen for 1 / fps "
                "seconds, so divide by fps, not by T - 1": clip[ends],
                "every frame is one late: time begins at 0, with the first frame": clip[
                    ((times + 1 / new_fps) * fps).long().clamp(max=T - 1)
                ],
                "frames were blended: show the one that is on screen, not a mixture": torch.nn.functional.interpolate(
                    clip.permute(1, 2, 3, 0).reshape(1, -1, T), size=len(wanted), mode="linear"
                )
                .reshape(3, 2, 2, -1)
                .permute(3, 0, 1, 2),
                "the clip was cut: it kept its first frames and their old spacing": clip[: len(wanted)]
                if len(wanted) <= T
                else clip,
            },
            look="new frame k is on screen at k / new_fps seconds: which old frame is that?",
            tolerance=1e-6,
        )


def change(before: Tensor, after: Tensor) -> Tensor:
    """Count by how many grey levels each value of two uint8 frames changed, without sign."""
    return (after.int() - before.int()).abs()


def _change(answer: object) -> None:
    film = to_uint8(photos.pan_and_zoom(photos.load_photo("flower"), num_frames=2, size=32, velocity=(0, 3)))
    before, after = film
    got = answer(before, after)
    wanted = change(before, after)
    wrapped = after - before
    if isinstance(got, Tensor) and (not got.dtype.is_floating_point or torch.equal(got, got.round())):
        got = got.int()
    same(
        got,
        wanted,
        usual={
            "bytes wrapped around: 90 - 100 became 246. Leave uint8 before you subtract": wrapped.int(),
            "uint8 was left too late: the subtraction had wrapped by then": wrapped.to(torch.int8).int().abs(),
            "the sign is still there: a change counts the same in both directions": after.int() - before.int(),
            "what became darker was set to 0: a change counts the same in both directions": (
                after.int() - before.int()
            ).clamp(min=0),
            "the change is in [0, 1]: count grey levels, 0 to 255": wanted.float() / 255,
        },
        look="try it on one value that grows and one that shrinks",
    )


def velocity(before: Tensor, after: Tensor, radius: int) -> tuple[int, int]:
    """Find the one displacement (down, right) of a whole frame (C, H, W) by block matching."""
    _, H, W = before.shape
    inside = after[:, radius : H - radius, radius : W - radius]

    def difference(dy: int, dx: int) -> float:
        source = before[:, radius - dy : H - radius - dy, radius - dx : W - radius - dx]
        return (inside - source).abs().sum().item()

    reach = range(-radius, radius + 1)
    return min(((dy, dx) for dy in reach for dx in reach), key=lambda step: difference(*step))


def _two_whole_numbers(got: object) -> tuple[int, int]:
    try:
        down, right = (float(step) for step in got if not isinstance(step, str))
        if down == round(down) and right == round(right):
            return int(down), int(right)
    except (TypeError, ValueError, OverflowError):
        pass
    raise WrongAnswerError(f"the result is {got!r:.60}, wanted two whole numbers, (down, right)")


def _velocity(answer: object) -> None:
    # Noise, a larger radius, one colour alone and frames that are not square find out searches that wrap round the
    # border, favour some displacements, leave out the farthest, look at one channel or take H for W.
    cases = [((2, 1), 4, 0.0, (0, 0, 1)), ((-3, 0), 4, 0.0, (1, 0, 0)), ((0, 0), 4, 0.0, (1, 1, 1))]
    cases += [(step, 6, 0.15, (1, 1, 1)) for step in ((6, 6), (-6, 6), (0, 0), (1, -2), (6, 0), (0, -6))]
    for number, (wanted, radius, noise, colour) in enumerate(cases):
        dy, dx = wanted
        film = photos.pan_and_zoom(photos.load_photo("china"), num_frames=2, size=36, velocity=(-dy, -dx))
        film = (film + noise * torch.randn(film.shape, generator=budget.generator(2))).clamp(0, 1)
        film = film * torch.tensor(colour).reshape(3, 1, 1)
        film = film[..., :32, :] if number % 2 else film[..., :32]
        got = _two_whole_numbers(answer(film[0], film[1], radius))
        if got == wanted:
            continue
        moved = f"the picture moved by {wanted} (down, right) and the answer is {got}"
        if got == (-dy, -dx):
            raise WrongAnswerError(f"{moved}: the sign is turned. Positive is down and right, where the content went")
        if got == (dx, dy):
            raise WrongAnswerError(f"{moved}: down and right are exchanged. Rows come first")
        if got == (0, 0):
            raise WrongAnswerError(f"{moved}: does the search try other displacements, and keep the best of them?")
        raise WrongAnswerError(
            f"{moved}: is the difference summed over the same pixels for every displacement, none of them beyond the "
            "frame, and the least kept?"
        )
    moving = [Combination("red", "square", motion) for motion in ("right", "down", "left")]
    state = sprites.sample(9, generator=budget.generator(4), combinations=moving, config=sprites.SpriteConfig(size=32))
    for clip, true in zip(state.clips, state.state.velocity[:, 0], strict=True):
        found = torch.tensor(_two_whole_numbers(answer(clip[0], clip[1], 4)), dtype=torch.float32)
        error = (found - true).abs().max().item()
        holds(
            error <= 0.75,
            f"a sprite that moves by ({true[0]:.2f}, {true[1]:.2f}) was found to move by {tuple(found.tolist())}: "
            "whole pixels cannot be exact, but they can be within one. Is the frame's border counted in?",
        )


def seconds_that_fit(num_bytes: int, height: int, width: int, fps: float) -> float:
    """Return how many seconds of a float32 colour clip fit into memory."""
    return num_bytes / (3 * height * width * 4 * fps)


def _memory(answer: object) -> None:
    for num_bytes, height, width, fps in (
        (4 * 2**30, 1080, 1920, 30.0),
        (2**30, 480, 640, 24.0),
        (16 * 2**30, 64, 96, 12.5),
    ):
        wanted = seconds_that_fit(num_bytes, height, width, fps)
        close(
            answer(num_bytes, height, width, fps),
            wanted,
            what=f"for {num_bytes / 2**30:g} GiB of {height} x {width} at {fps:g} frames per second the result",
            usual={
                "a value was counted as one byte, as in a file: a float32 takes four": wanted * 4,
                "a value was counted as eight bytes: float32 has four, float64 eight": wanted / 2,
                "the three colours were forgotten: a pixel has three values": wanted * 3,
                "these are frames, not seconds: divide by the frame rate": wanted * fps,
                "this is upside down: seconds are bytes there are, divided by bytes per second": 1 / wanted,
            },
            look="write down the units: bytes, divided by bytes per value, values per frame and frames per second",
            tolerance=1e-3,
        )


EXERCISES = (
    Exercise(
        "01-layout",
        _layout,
        "every number is where it belongs, also where T = C",
        (
            "The numbers stay; only the order in which their coordinates are named changes.",
            "`permute` takes the old positions in their new order. Position 2 of (B, T, C, H, W) is C.",
            "(B, C, T, H, W) are the old positions 0, 2, 1, 3, 4.",
        ),
        to_conv3d,
    ),
    Exercise(
        "01-resample",
        _resampling,
        "each new frame shows what was on screen at its time",
        (
            "How many seconds does the clip last? It must last as long afterwards. So how many new frames are there?",
            "New frame k is shown from k / new_fps seconds on. Old frame j is on screen from j / fps to (j + 1) / fps.",
            "The old frame at time t is the whole part of t * fps, plus a very small number, lest 2.9999 "
            "become 2. Index the clip with a tensor of such numbers.",
        ),
        resample,
    ),
    Exercise(
        "01-change",
        _change,
        "no byte wrapped, and the inputs are as they were",
        (
            "Which values can 90 - 100 have in uint8?",
            "Convert before you subtract, to a type that has negative numbers.",
            "`frame.int()` gives 32-bit integers. Then subtract, and take the absolute value.",
        ),
        change,
    ),
    Exercise(
        "01-velocity",
        _velocity,
        "photographs exactly, and sprites to within a pixel",
        (
            "Compare the middle of `after` with equally large windows of `before`, one for each displacement.",
            "Leave a border of `radius` pixels: then every window lies inside the frame, and all sums count the same "
            "number of pixels.",
            "Content that moved by (dy, dx) and is now at row y was at row y - dy: the window of `before` begins at "
            "radius - dy.",
        ),
        velocity,
    ),
    Exercise(
        "01-memory",
        _memory,
        "bytes, values, frames and seconds are all accounted for",
        (
            "How many bytes does one second take?",
            "One value is a float32. How many bytes is that, and how many values has a frame in colour?",
            "Bytes per second: 3 * height * width values, 4 bytes each, fps times a second.",
        ),
        seconds_that_fit,
    ),
)
