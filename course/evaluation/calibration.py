"""Where the judge's bounds come from: real clips, spoilt on purpose in ways that it must see.

The bound on the residual is the strictest that the spoilt clips ask for and no stricter: one spoilt clip in a hundred
may pass, of the kind that is hardest to tell from real. The bound on motion follows the same rule.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from course import budget
from course.clips import expect
from course.datasets import sprites
from course.datasets.captions import ALL, COLOURS, Combination, parse
from course.datasets.sprites import SpriteClips, SpriteConfig, SpriteState
from course.evaluation.judge import MOTION_BOUND, VALID_BOUND, PairVerdict, Verdict, judge, judge_pairs

ALLOWED = 0.01
"""Share of the spoilt clips that may pass the derived bound."""


def blurred(clips: Tensor, sigma: float) -> Tensor:
    """Blur every frame of (B, T, C, H, W) with a Gaussian of ``sigma`` pixels; black beyond the frame."""
    expect(clips, "B T C H W", name="clips")
    reach = torch.arange(-int(4 * sigma) - 1, int(4 * sigma) + 2, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (reach / sigma) ** 2)
    kernel /= kernel.sum()
    frames = clips.reshape(-1, 1, *clips.shape[-2:])  # (B * T * C, 1, H, W)
    frames = F.conv2d(frames, kernel[None, None, :, None], padding=(len(kernel) // 2, 0))
    frames = F.conv2d(frames, kernel[None, None, None, :], padding=(0, len(kernel) // 2))
    return frames.view_as(clips).clamp(0, 1)


def noisy(clips: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    """Add Gaussian noise of standard deviation ``deviation`` to every value, clamped to [0, 1]."""
    expect(clips, "B T C H W", name="clips")
    return (clips + deviation * torch.randn(clips.shape, generator=generator)).clamp(0, 1)


def robbed(clips: Tensor, generator: torch.Generator) -> Tensor:
    """Blacken one frame of each clip of (B, T, C, H, W), chosen at random."""
    B, T = clips.shape[:2]
    clips = clips.clone()
    clips[torch.arange(B), torch.randint(T, (B,), generator=generator)] = 0
    return clips


def half_erased(clips: Tensor, position: Tensor, generator: torch.Generator) -> Tensor:
    """Blacken, in every frame, what lies on one side of the sprite's centre: left, right, above or below.

    Args:
        clips: (B, T, C, H, W).
        position: (B, T, 2), the centres in pixels, (row, column).
        generator: chooses a side for each clip.
    """
    B, _, _, H, W = clips.shape
    side = torch.randint(4, (B,), generator=generator)[:, None, None, None]  # (B, 1, 1, 1)
    down = (torch.arange(H) + 0.5)[:, None] - position[..., 0, None, None]  # (B, T, H, 1)
    right = (torch.arange(W) + 0.5) - position[..., 1, None, None]  # (B, T, 1, W)
    keep = torch.where(side < 2, down, right) * torch.where(side % 2 == 0, 1, -1) > 0  # (B, T, H, W)
    return clips * keep[:, :, None]


def swapped(clips: Tensor, generator: torch.Generator) -> Tensor:
    """Swap two neighbouring frames of each clip of (B, T, C, H, W), chosen at random."""
    B, T = clips.shape[:2]
    first, every = torch.randint(T - 1, (B,), generator=generator), torch.arange(B)
    order = torch.arange(T).repeat(B, 1)
    order[every, first], order[every, first + 1] = first + 1, first
    return clips[every[:, None], order]


def doubled(clips: Tensor, generator: torch.Generator) -> Tensor:
    """Show one frame of each clip of (B, T, C, H, W) twice, chosen at random, and leave out the last."""
    B, T = clips.shape[:2]
    twice = torch.randint(T - 1, (B, 1), generator=generator)
    order = torch.arange(T).repeat(B, 1)
    return clips[torch.arange(B)[:, None], order - (order > twice).long()]


def shuffled(clips: Tensor, generator: torch.Generator) -> Tensor:
    """Put the frames of each clip of (B, T, C, H, W) in an order of chance, never the true one nor its reverse."""
    B, T = clips.shape[:2]
    order = torch.rand(B, T, generator=generator).argsort(dim=1)
    straight = (order.diff(dim=1) == 1).all(dim=1) | (order.diff(dim=1) == -1).all(dim=1)
    order[straight] = order[straight].roll(T // 2, dims=1)
    return clips[torch.arange(B)[:, None], order]


def frozen(clips: Tensor) -> Tensor:
    """Repeat the first frame of each clip of (B, T, C, H, W)."""
    return clips[:, :1].expand_as(clips).contiguous()


@dataclass(frozen=True)
class Row:
    """One line of the calibration table: how the judge takes one kind of clip.

    Attributes:
        name: the kind.
        valid: share of clips that are VALID.
        motion: share of clips that obey the law that their caption names.
        caption: share of clips that pass CAPTION.
        residual: the quantiles .01, .5 and .995 of the worst frame's residual.
    """

    name: str
    valid: float
    motion: float
    caption: float
    residual: tuple[float, float, float]


@dataclass(frozen=True)
class Calibration:
    """The table, and the bounds that it asks for."""

    rows: list[Row]
    valid_bound: float
    motion_bound: float


def calibrate(num_clips: int = 2000, seed: int = 0) -> Calibration:
    """Judge real and spoilt clips and derive the judge's bounds from what it measured.

    Args:
        num_clips: clips of each kind, at least 100.
        seed: of the only source of chance.
    """
    if num_clips < 100:
        raise ValueError(f"num_clips: wanted at least 100, got {num_clips}")
    generator = budget.generator(seed)
    real = sprites.sample(num_clips, generator=generator)
    moving = [c.motion != "still" for c in real.state.combinations()]
    spoilt_frames: dict[str, Callable[[], Tensor]] = {
        "blurred by 1 pixel": lambda: blurred(real.clips, 1.0),
        "noise of 0.15": lambda: noisy(real.clips, 0.15, generator),
        "one frame robbed": lambda: robbed(real.clips, generator),
        "half erased": lambda: half_erased(real.clips, real.state.position, generator),
    }
    spoilt_order: dict[str, Callable[[], Tensor]] = {
        "one frame doubled": lambda: doubled(real.clips, generator),
        "two frames swapped": lambda: swapped(real.clips, generator),
        "frames shuffled": lambda: shuffled(real.clips, generator),
        "frozen": lambda: frozen(real.clips),
    }
    rows = [_row("real", judge(real.clips, real.captions))]
    for name, config in {
        "real, 32 x 32": SpriteConfig(size=32),
        "real, 64 x 64": SpriteConfig(size=64),
        "real, 20 frames with bounces": SpriteConfig(num_frames=20),
        "real, behind an occluder": SpriteConfig(num_frames=20, occluder=True),
        "real, with a turn": SpriteConfig(num_frames=16, turn_frame=6),
    }.items():
        some = sprites.sample(num_clips // 4, generator=generator, config=config)
        rows.append(_row(name, judge(some.clips, some.captions, config=config)))
    bounds = []
    for name, spoil in spoilt_frames.items():
        verdict = judge(spoil(), real.captions)
        rows.append(_row(name, verdict))
        bounds.append(verdict.residual.quantile(ALLOWED).item())
    valid_bound, bounds = min(bounds), []
    asked = [text for text, moves in zip(real.captions, moving, strict=True) if moves]
    for name, spoil in spoilt_order.items():
        verdict = judge(spoil()[moving], asked)
        rows.append(_row(f"{name} (of those that move)", verdict))
        named = [found.motion == parse(text)[0].motion for found, text in zip(verdict.combinations, asked, strict=True)]
        bounds.append(torch.where(torch.tensor(named), verdict.motion_error, 1.0).quantile(ALLOWED).item())
    pair = sprites.sample(num_clips, generator=generator, config=SpriteConfig(second_sprite=True))
    rows.append(_row("two sprites", judge(pair.clips, _first_clauses(pair))))
    noise = torch.rand(real.clips.shape, generator=generator)
    rows.append(_row("noise alone", judge(noise, real.captions)))
    return Calibration(rows, valid_bound, min(bounds))


def calibrate_pairs(num_clips: int = 2000, seed: int = 0) -> list[Row]:
    """Judge real and spoilt clips of two sprites; the bounds are those of one sprite.

    What makes two clips out of one is tested here: that words go with their own sprite, and that nobody is missing or
    too many.

    Args:
        num_clips: clips of each kind, at least 100.
        seed: of the only source of chance.
    """
    if num_clips < 100:
        raise ValueError(f"num_clips: wanted at least 100, got {num_clips}")
    generator = budget.generator(seed)
    real = sprites.sample_pairs(num_clips, generator=generator)
    rows = [_row("real", judge_pairs(real.clips, real.captions))]
    for name, config in {
        "real, 32 x 32": SpriteConfig(size=32),
        "real, 64 x 64": SpriteConfig(size=64),
        "real, 16 frames, filmed twice as often": SpriteConfig(num_frames=16, frame_rate=2),
    }.items():
        some = sprites.sample_pairs(num_clips // 4, generator=generator, config=config)
        rows.append(_row(name, judge_pairs(some.clips, some.captions, config=config)))

    def drawn(*states: SpriteState) -> Tensor:
        return sprites.render(*states[::-1], config=SpriteConfig())

    first, second = real.state, real.second
    both = (first, second)
    shapes, motions = (getattr(first, name) != getattr(second, name) for name in ("shape", "motion"))
    differ = {"shapes": shapes[:, 0], "motions": motions, "colours": shapes[:, 0] | motions}
    third = _third_sprite(real, generator)
    flickering = drawn(*both)
    flickering[:, 4] = drawn(first)[:, 4]
    stands = {name: _standing(state) for name, state in (("first", first), ("second", second))}
    moves = [torch.tensor([c.motion != "still" for c in state.combinations()]) for state in both]
    everyone, someone = torch.ones(num_clips, dtype=torch.bool), moves[0] | moves[1]
    spoilt: dict[str, tuple[Tensor, Tensor]] = {
        "colours exchanged": (drawn(*_exchanged(first, second, "colour")), differ["colours"]),
        "shapes exchanged": (drawn(*_exchanged(first, second, "shape")), differ["shapes"]),
        "motions exchanged": (
            drawn(*_exchanged(first, second, "motion", "position", "velocity")),
            differ["motions"],
        ),
        "the first alone": (drawn(first), everyone),
        "the second alone": (drawn(second), everyone),
        "a third, of another colour": (drawn(third, *both), everyone),
        "a third, of the first's colour": (drawn(replace(third, colour=first.colour), *both), everyone),
        "the first of a third colour": (drawn(replace(first, colour=third.colour), second), everyone),
        "the second missing in one frame": (flickering, everyone),
        "one frame robbed": (robbed(real.clips, generator), everyone),
        "blurred by 1 pixel": (blurred(real.clips, 1.0), everyone),
        "noise of 0.15": (noisy(real.clips, 0.15, generator), everyone),
        "the first stands": (drawn(stands["first"], second), moves[0]),
        "the second stands": (drawn(first, stands["second"]), moves[1]),
        "frozen": (frozen(real.clips), someone),
        "one frame doubled": (doubled(real.clips, generator), someone),
        "two frames swapped": (swapped(real.clips, generator), someone),
        "frames shuffled": (shuffled(real.clips, generator), someone),
        "noise alone": (torch.rand(real.clips.shape, generator=generator), everyone),
    }
    for name, (clips, chosen) in spoilt.items():
        asked = [text for text, counts in zip(real.captions, chosen.tolist(), strict=True) if counts]
        rows.append(_row(name, judge_pairs(clips[chosen], asked)))
    return rows


def _exchanged(first: SpriteState, second: SpriteState, *parts: str) -> tuple[SpriteState, SpriteState]:
    return (
        replace(first, **{part: getattr(second, part) for part in parts}),
        replace(second, **{part: getattr(first, part) for part in parts}),
    )


def _standing(state: SpriteState) -> SpriteState:
    return replace(state, position=state.position[:, :1].expand_as(state.position).contiguous())


def _third_sprite(pair: SpriteClips, generator: torch.Generator) -> SpriteState:
    """Draw, for each clip, a sprite of a colour that is not there, at any place."""
    shown = zip(pair.state.combinations(), pair.second.combinations(), strict=True)
    chosen = []
    for shape, two in zip(
        torch.randint(len(ALL), (len(pair.clips),), generator=generator).tolist(), shown, strict=True
    ):
        free = [colour for colour in COLOURS if colour not in {one.colour for one in two}]
        chosen.append(Combination(free[shape % len(free)], ALL[shape].shape, ALL[shape].motion))
    return sprites.sample_state(chosen, generator=generator, config=SpriteConfig())


def table(calibration: Calibration) -> str:
    """Lay the calibration out as text: a line for each kind of clip, and the bounds."""
    return "\n".join(
        (
            rows_table(calibration.rows),
            f"bound on the residual: {calibration.valid_bound:.4f} derived, {VALID_BOUND} in force",
            f"bound on the motion:   {calibration.motion_bound:.4f} derived, {MOTION_BOUND} in force",
        )
    )


def rows_table(rows: Sequence[Row]) -> str:
    """Lay rows out as text, a line for each kind of clip."""
    lines = [f"{'clips':42}{'VALID':>8}{'ASKED':>8}{'CAPTION':>9}{'residual: 1 %':>15}{'median':>8}{'99.5 %':>8}"]
    for row in rows:
        low, middle, high = row.residual
        lines.append(
            f"{row.name:42}{row.valid:8.1%}{row.motion:8.1%}{row.caption:9.1%}{low:15.4f}{middle:8.4f}{high:8.4f}"
        )
    return "\n".join(lines)


def _row(name: str, verdict: Verdict | PairVerdict) -> Row:
    quantiles = verdict.residual.quantile(torch.tensor([0.01, 0.5, 0.995])).tolist()
    rates = verdict.rates()
    return Row(name, rates["valid"], rates["caption_motion"], rates["caption"], tuple(quantiles))


def _first_clauses(pair: SpriteClips) -> list[str]:
    return [text.split(" while ")[0] for text in pair.captions]
