"""The experiment of chapter 10: from a caption to 16 frames of 64 x 64 pixels, by four denoisers one behind the other.

``base`` draws 8 frames of 16 x 16 pixels for a caption (chapter 09's), ``time`` a frame behind each of them, ``space
32`` and ``space 64`` the same clip in frames of twice the side. Each is trained by itself, on what the world shows, and
each but the first is given the clip of the stage below, under a little noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from course import budget
from course.datasets import sprites
from course.datasets.captions import ALL, HELD_OUT, MAX_WORDS, TRAINED, VOCABULARY, Combination, caption, indices
from course.datasets.sprites import SpriteConfig
from course.evaluation.judge import Verdict, judge, read
from course.generation.cascade import augmented, enlarged, interleaved, neighbours
from course.models.denoiser import Condition
from course.models.unet import UNetConfig
from course.recipes.denoising import DenoiserRun, DenoiserSetting, Examples, denoiser_checkpoint, generate
from course.recipes.text_to_clip import WORLD, captions_of, draw, leave_words_out
from course.training.checkpoint import Card

STAGES: tuple[str, ...] = ("base", "time", "space 32", "space 64")
NUM_FRAMES, FRAME_RATE = 16, 2
LARGE = SpriteConfig(size=64, num_frames=NUM_FRAMES, frame_rate=FRAME_RATE)
"""What the whole cascade draws."""
MAX_LEVEL = 0.5
"""Of the noise on what a stage is given; in training all levels from 0 to this are equally likely."""
LEVEL = 0.1
"""Of the noise on what a stage is given when clips are drawn."""
NUM_STEPS = {"base": 10, "time": 4, "space 32": 4, "space 64": 4}
"""Of each stage's sampler: what a clip shows is decided in the first stage, and the others need fewer."""

# What each stage learns from


def same_clips(combinations: Sequence[Combination], *sizes: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Draw a clip of 16 frames for each combination, and show it in frames of several sizes.

    Args:
        combinations: B of them.
        *sizes: sides of the frames, in pixels.
        generator: the only source of chance.

    Returns:
        For each size clips (B, 16, 3, size, size).
    """
    state = sprites.sample_state(combinations, generator=generator, config=LARGE)
    return tuple(
        sprites.render(sprites.resized(state, size / LARGE.size), config=replace(LARGE, size=size)) for size in sizes
    )


def time_examples(num_clips: int, generator: torch.Generator, *, max_level: float = MAX_LEVEL) -> Examples:
    """Draw frames 1, 3, 5, ... of clips; given are their neighbours, frames 0, 2, 4, ..."""
    combinations = _some(num_clips, generator)
    (clips,) = same_clips(combinations, WORLD.size, generator=generator)
    return _stage_examples(combinations, clips[:, 1::2], neighbours(clips[:, ::2]), max_level, generator)


def space_examples(num_clips: int, generator: torch.Generator, *, size: int, max_level: float = MAX_LEVEL) -> Examples:
    """Draw clips in frames of ``size``; given are the same clips in frames of half the side, enlarged."""
    combinations = _some(num_clips, generator)
    clips, small = same_clips(combinations, size, size // 2, generator=generator)
    return _stage_examples(combinations, clips, enlarged(small, size), max_level, generator)


def one_shot_examples(num_clips: int, generator: torch.Generator) -> Examples:
    """Draw clips of 16 frames of 32 x 32 pixels, with their captions: all at once, with no stage below."""
    combinations = _some(num_clips, generator)
    (clips,) = same_clips(combinations, 32, generator=generator)
    return Examples(clips, Condition(words=_words(combinations, generator)))


def _some(num_clips: int, generator: torch.Generator) -> list[Combination]:
    return [TRAINED[i] for i in torch.randint(len(TRAINED), (num_clips,), generator=generator).tolist()]


def _words(combinations: Sequence[Combination], generator: torch.Generator) -> Tensor:
    return leave_words_out(indices([caption(one) for one in combinations]), generator=generator)


def _stage_examples(
    combinations: Sequence[Combination], clips: Tensor, given: Tensor, max_level: float, generator: torch.Generator
) -> Examples:
    level = max_level * torch.rand(len(clips), generator=generator)
    words, given = _words(combinations, generator), augmented(given, level, generator=generator)
    return Examples(clips, Condition(words=words, given=given, levels=level[:, None]))


_WORDS = {"num_words": len(VOCABULARY), "max_words": MAX_WORDS}
_TIME = UNetConfig(**_WORDS, num_levels=1, given_channels=6, hidden_channels=(64, 64))
_SPACE = {**_WORDS, "num_levels": 1, "num_frames": NUM_FRAMES, "given_channels": 3}
_SPACE_32 = UNetConfig(**_SPACE, frame_channels=16, hidden_channels=(48, 64))
_SPACE_64 = UNetConfig(**_SPACE, patch_size=4, hidden_channels=(64, 64))
_DATA = "clips of 16 frames, rendered in the sizes of this stage and of the one below; no held-out combination"
CASCADE_SETTINGS: Mapping[str, DenoiserSetting] = {
    "time": DenoiserSetting(config=_TIME, examples=time_examples, data=_DATA),
    "space 32": DenoiserSetting(config=_SPACE_32, examples=partial(space_examples, size=32), data=_DATA, batch_size=8),
    "space 64": DenoiserSetting(config=_SPACE_64, examples=partial(space_examples, size=64), data=_DATA, batch_size=4),
    "space 32, clean": DenoiserSetting(
        config=_SPACE_32, examples=partial(space_examples, size=32, max_level=0.0), data=_DATA, batch_size=8
    ),
    "one shot": DenoiserSetting(
        config=UNetConfig(**_WORDS, num_frames=NUM_FRAMES, patch_size=4),
        examples=one_shot_examples,
        data="captions and clips of 16 frames of 32 x 32 pixels, rendered as they are used; no held-out combination",
    ),
}
"""The stages behind the base, super-resolution that has never seen noise on what it is given, and the rival: 16 frames
of 32 x 32 pixels at once."""
CASCADE_SECONDS = {"time": 180.0, "space 32": 240.0, "space 64": 360.0, "space 32, clean": 240.0, "one shot": 780.0}
"""CPU seconds of each training; the one shot has as much as base, ``time`` and ``space 32`` together."""


def cascade_run(stage: str, *, seed: int) -> DenoiserRun:
    """Return the training of one of ``CASCADE_SETTINGS``."""
    if stage not in CASCADE_SETTINGS:
        raise ValueError(f"stage: wanted one of {', '.join(CASCADE_SETTINGS)}, got {stage!r}")
    return DenoiserRun(
        name=f"cascade, {stage}", setting=CASCADE_SETTINGS[stage], seed=seed, cpu_seconds=CASCADE_SECONDS[stage]
    )


# Drawing


def draw_stage(
    stage: str,
    network: nn.Module,
    below: Tensor,
    captions: Sequence[str],
    *,
    generator: torch.Generator,
    level: float = LEVEL,
    told_level: float | None = None,
    num_steps: int | None = None,
    guidance: float = 1.0,
) -> Tensor:
    """Make of the clips of the stage below those of a stage behind the base.

    Args:
        stage: ``time``, ``space 32`` or ``space 64``.
        network: the stage's denoiser.
        below: (B, T, 3, H, W), values in [0, 1].
        captions: B of them.
        generator: the only source of chance.
        level: of the noise that is put over ``below``.
        told_level: what the network is told instead, to see what it makes of a lie; None for the truth.
        num_steps: of the sampler, ``NUM_STEPS`` of the stage by default.
        guidance: scale.

    Returns:
        (B, 2 * T, 3, H, W) behind ``time``, with the frames of ``below`` among them, untouched; (B, T, 3, 2 * H,
        2 * W) behind the others.
    """
    if stage not in STAGES[1:]:
        raise ValueError(f"stage: wanted one of {', '.join(STAGES[1:])}, got {stage!r}")
    in_time = stage == "time"
    B, T, C, H, _ = below.shape
    given = neighbours(below) if in_time else enlarged(below, 2 * H)
    levels = torch.full((B,), level)
    given = augmented(given, levels, generator=generator)
    told_levels = levels if told_level is None else torch.full((B,), told_level)
    drawn = generate(
        network,
        Condition(words=indices(captions), given=given, levels=told_levels[:, None]),
        (B, T, C, *given.shape[3:]),
        generator=generator,
        num_steps=NUM_STEPS[stage] if num_steps is None else num_steps,
        guidance=guidance,
        chunk=16,
    )
    return interleaved(below, drawn) if in_time else drawn


def draw_cascade(
    networks: Mapping[str, nn.Module],
    captions: Sequence[str],
    *,
    generator: torch.Generator,
    stages: Sequence[str] = STAGES,
    level: float = LEVEL,
    num_steps: Mapping[str, int] = NUM_STEPS,
) -> dict[str, Tensor]:
    """Draw a clip for each caption, and keep what each stage has made of it.

    Args:
        networks: for each stage its denoiser.
        captions: B of them.
        generator: the only source of chance.
        stages: the first few of ``STAGES``, to stop earlier.
        level: of the noise on what a stage is given.
        num_steps: of each stage's sampler.

    Returns:
        Clips by stage: (B, 8, 3, 16, 16), (B, 16, 3, 16, 16), (B, 16, 3, 32, 32) and (B, 16, 3, 64, 64).
    """
    if not stages or tuple(stages) != STAGES[: len(stages)]:
        raise ValueError(f"stages: wanted the first few of {', '.join(STAGES)}, got {tuple(stages)}")
    captions = list(captions)
    clips = {"base": draw(networks["base"], captions, generator=generator, num_steps=num_steps["base"])}
    for below, stage in pairwise(stages):
        clips[stage] = draw_stage(
            stage,
            networks[stage],
            clips[below],
            captions,
            generator=generator,
            level=level,
            num_steps=num_steps[stage],
        )
    return clips


# Judging


def judge_stage(clips: Tensor, captions: Sequence[str]) -> Verdict:
    """Judge clips of any stage: 8 frames are the base's, 16 are filmed twice as often."""
    return judge(clips, list(captions), config=WORLD if clips.shape[1] == WORLD.num_frames else LARGE)


def position_error(clips: Tensor, below: Tensor) -> Tensor:
    """Return how far the sprites are from where the stage below had them, in frame sides.

    Args:
        clips: (B, 2 * T or T, 3, H, W), what a stage has made.
        below: (B, T, 3, H', W'), what it was given. Of a frame that it put between two, the middle of their positions
            is expected; the last frame has no second neighbour and does not count.

    Returns:
        (B,), mean over the frames.
    """
    found, expected = (
        read(one, config=replace(LARGE, size=one.shape[-1])).position / one.shape[-1] for one in (clips, below)
    )
    if clips.shape[1] != below.shape[1]:
        found, expected = found[:, 1:-1:2], (expected[:, 1:] + expected[:, :-1]) / 2
    return (found - expected).norm(dim=2).mean(dim=1)


def stage_metrics(network: nn.Module, *, stage: str, num_each: int = 4) -> dict[str, float]:
    """Return what the judge says of a stage by itself, that is given real clips: of all captions and of held-out ones.

    Args:
        network: the stage's denoiser; or the rival's that draws all at once.
        stage: one of ``CASCADE_SETTINGS``.
        num_each: clips of each caption.
    """
    found = {}
    for name, combinations, seed in (("all", ALL, 9000), ("held out", HELD_OUT, 9001)):
        captions, generator = captions_of(combinations, num_each), budget.generator(seed)
        if stage == "one shot":
            clips = draw_at_once(network, captions, generator=generator)
        else:
            stage_name = stage.removesuffix(", clean")
            small = WORLD.size if stage_name == "time" else int(stage_name.split()[1]) // 2
            (real,) = same_clips(list(combinations) * num_each, small, generator=generator)
            below = real[:, ::2] if stage_name == "time" else real
            level = 0.0 if stage.endswith("clean") else LEVEL
            clips = draw_stage(stage_name, network, below, captions, generator=generator, level=level)
            found[f"position error, {name}"] = position_error(clips, below).mean().item()
        found |= {f"{rate}, {name}": value for rate, value in judge_stage(clips, captions).rates().items()}
    return found


def draw_at_once(
    network: nn.Module, captions: Sequence[str], *, generator: torch.Generator, **options: object
) -> Tensor:
    """Draw 16 frames of 32 x 32 pixels with no stage below: (B, 16, 3, 32, 32)."""
    shape = (len(captions), NUM_FRAMES, 3, 32, 32)
    return generate(network, Condition(words=indices(captions)), shape, generator=generator, chunk=32, **options)


def cascade_checkpoint(path: Path, run: DenoiserRun, *, command: str) -> Card:
    """Train and test one of ``CASCADE_SETTINGS`` and keep it: see ``denoising.denoiser_checkpoint``."""
    stage = run.name.removeprefix("cascade, ")
    return denoiser_checkpoint(path, run, command=command, measure=partial(stage_metrics, stage=stage))
