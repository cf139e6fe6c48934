"""Two sprites in one caption, the stretch of chapter 10: which word belongs to which sprite?

One after the other. The base draws the sprite of the first clause in an empty clip, and then the sprite of the second
with that clip in sight; the two are added up. A clause is read by itself, so that its words cannot go to the wrong
sprite, and the second sprite keeps clear of the first because it sees it. The stages behind the base have only ever
seen one; what they make of two is measured, and so is a way round: to divide a clip by colour, and to send each part
down the line by itself.

Paper:
    Eslami et al. 2016, arXiv 1603.08575 (a scene is read one object at a time; here it is drawn so).
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from course import budget
from course.datasets import sprites
from course.datasets.captions import (
    ALL,
    ALL_PAIRS,
    COLOURS,
    HELD_OUT,
    HELD_OUT_PAIRS,
    MAX_WORDS,
    PAIR_WORDS,
    TRAINED,
    TRAINED_PAIRS,
    VOCABULARY,
    Combination,
    caption,
    indices,
    parse,
)
from course.evaluation.judge import PairVerdict, judge, judge_pairs, separated
from course.models.denoiser import Condition
from course.models.unet import UNetConfig
from course.recipes.cascade import LARGE, STAGES, draw_stage
from course.recipes.denoising import DenoiserRun, DenoiserSetting, Examples, denoiser_checkpoint, generate
from course.recipes.text_to_clip import NUM_STEPS, SHAPE, WORLD, captions_of, leave_words_out
from course.training.checkpoint import Card

Pair = tuple[Combination, Combination]

# What it learns from


def two_sprites_examples(num_clips: int, generator: torch.Generator) -> Examples:
    """Draw clips of one sprite with what is there already: in a third of them nothing, else another sprite.

    Returns:
        Clips, (B, 8, 3, 16, 16), and as their condition words, (B, 5), some of which are left out, and what is given,
        (B, 8, 3, 16, 16), values in [0, 1].
    """
    num_alone = num_clips // 3
    alone = sprites.sample(num_alone, generator=generator, config=WORLD, combinations=TRAINED)
    pairs = sprites.sample_pairs(num_clips - num_alone, generator=generator, config=WORLD, pairs=TRAINED_PAIRS)
    each = torch.arange(len(pairs.captions))
    asked = torch.randint(2, each.shape, generator=generator)  # which of the two clauses
    parts = torch.stack(separated(pairs.clips, colours_of(pairs.captions)), dim=1).clamp(0, 1)  # (B, 2, T, C, H, W)
    clips = torch.cat([alone.clips, parts[each, asked]])
    given = torch.cat([torch.zeros_like(alone.clips), parts[each, 1 - asked]])
    words = torch.cat([indices(alone.captions), pair_indices(pairs.captions)[each, asked]])
    words = leave_words_out(words, generator=generator)
    order = torch.randperm(num_clips, generator=generator)
    return Examples(clips[order], Condition(words=words[order], given=given[order]))


def pair_indices(captions: Sequence[str]) -> Tensor:
    """Replace the words of captions of one sprite or two by numbers, clause by clause.

    Args:
        captions: B sentences.

    Returns:
        (B, 2, 5), whole numbers, 0 where there is no second clause; see ``captions.indices``. *While* is not among
        them: that there is a second clause says the same.

    Raises:
        ValueError: for a word that is in no caption, or more words than in two clauses.
    """
    words = indices(captions, max_words=PAIR_WORDS)
    return torch.stack([words[:, :MAX_WORDS], words[:, MAX_WORDS + 1 :]], dim=1)


def colours_of(captions: Sequence[str]) -> Tensor:
    """Return the places, among ``COLOURS``, of the colours in captions of two sprites: (B, 2).

    Raises:
        ValueError: for a caption outside the grammar.
    """
    return torch.tensor([[COLOURS.index(one.colour) for one in parse(text)] for text in captions])


TWO_SPRITES = DenoiserSetting(
    config=UNetConfig(
        num_words=len(VOCABULARY),
        max_words=MAX_WORDS,
        given_channels=SHAPE[1],
        hidden_channels=(56, 56),
        condition_size=80,
    ),
    examples=two_sprites_examples,
    data=(
        "captions and clips of 8 frames of 16 x 16 pixels, a third of one sprite and the rest of two, one of which is "
        "asked for and the other seen, rendered as they are used; no held-out combination, alone or in a pair"
    ),
)
TWO_SPRITES_SECONDS = 900.0
"""CPU seconds of a training."""


def two_sprites_run(*, seed: int, cpu_seconds: float = TWO_SPRITES_SECONDS) -> DenoiserRun:
    """Return the training of ``TWO_SPRITES``."""
    return DenoiserRun(name="two sprites", setting=TWO_SPRITES, seed=seed, cpu_seconds=cpu_seconds)


# Drawing


def draw_two(
    network: nn.Module,
    captions: Sequence[str],
    *,
    generator: torch.Generator,
    num_steps: int = NUM_STEPS,
    **options: object,
) -> Tensor:
    """Draw a clip for each caption of one sprite or two, one sprite after the other.

    Args:
        network: a denoiser of ``TWO_SPRITES``.
        captions: B sentences.
        generator: the only source of chance.
        num_steps: of the sampler, for each sprite.
        **options: as of ``denoising.generate``.

    Returns:
        (B, 8, 3, 16, 16), values in [0, 1].

    Raises:
        ValueError: for a word that is in no caption, or more words than in two clauses.
    """
    clips = torch.zeros(len(captions), *SHAPE)  # black is empty, and light is added
    for words in pair_indices(captions).unbind(dim=1):  # clause by clause
        told = words.any(dim=1)
        if told.any():
            condition = Condition(words=words[told], given=clips[told])
            shape = tuple(condition.given.shape)
            clips[told] += generate(network, condition, shape, generator=generator, num_steps=num_steps, **options)
    return clips.clamp(0, 1)


def draw_unseen(draw: Callable[[list[str]], Tensor], captions: Sequence[str]) -> Tensor:
    """Draw each clause by itself and add the two clips up: the rival that needs no new network.

    Args:
        draw: from captions of one sprite to their clips.
        captions: B of two sprites.

    Returns:
        Clips, values in [0, 1].
    """
    first, second = (draw([caption(pair[k]) for pair in map(parse, captions)]) for k in (0, 1))
    return (first + second).clamp(0, 1)


def carry(
    stage: str,
    network: nn.Module,
    below: Tensor,
    captions: Sequence[str],
    *,
    generator: torch.Generator,
    texts: Sequence[str] | None = None,
) -> Tensor:
    """Give clips of two sprites to a stage behind the base that has only ever seen one.

    Args:
        stage: ``time``, ``space 32`` or ``space 64``.
        network: the stage's denoiser.
        below: (B, T, 3, H, W), values in [0, 1].
        captions: B of two sprites, which the stage cannot read.
        generator: the only source of chance.
        texts: what it is told in their place, B captions of one sprite; None for nothing.

    Returns:
        Clips, as of ``cascade.draw_stage``.
    """
    texts = [""] * len(captions) if texts is None else texts
    return draw_stage(stage, network, below, texts, generator=generator)


def carry_apart(
    stage: str, network: nn.Module, below: Tensor, captions: Sequence[str], *, generator: torch.Generator
) -> Tensor:
    """Divide clips of two sprites by colour, give each part to a stage with its clause, and add up what comes out.

    Args and result are as of ``carry``; given frames stay as they are.
    """
    parts = [
        draw_stage(
            stage, network, part.clamp(0, 1), [caption(parse(text)[k]) for text in captions], generator=generator
        )
        for k, part in enumerate(separated(below, colours_of(captions)))
    ]
    whole = (parts[0] + parts[1]).clamp(0, 1)
    if stage == "time":
        whole[:, ::2] = below
    return whole


def draw_line(
    stages: Mapping[str, nn.Module],
    clips: Tensor,
    captions: Sequence[str],
    *,
    generator: torch.Generator,
    way: Callable[..., Tensor] = carry_apart,
) -> dict[str, Tensor]:
    """Send clips of the base through all stages behind it.

    Args:
        stages: for each stage behind the base its denoiser.
        clips: (B, 8, 3, 16, 16).
        captions: B of two sprites.
        generator: the only source of chance.
        way: ``carry`` or ``carry_apart``.

    Returns:
        Clips by stage, as of ``cascade.draw_cascade``.
    """
    drawn = {"base": clips}
    for below, stage in pairwise(STAGES):
        drawn[stage] = way(stage, stages[stage], drawn[below], captions, generator=generator)
    return drawn


# Judging


def some_pairs(pairs: Sequence[Pair], num_pairs: int, *, seed: int) -> list[Pair]:
    """Return so many of the pairs, no one twice, the same ones for the same seed; all, where there are fewer."""
    return [pairs[i] for i in torch.randperm(len(pairs), generator=budget.generator(seed))[:num_pairs].tolist()]


def exchanged(pair: Pair, *parts: str) -> Pair:
    """Return a pair whose sprites have exchanged some of ``colour``, ``shape`` and ``motion``."""
    first, second = pair
    return (
        first._replace(**{part: getattr(second, part) for part in parts}),
        second._replace(**{part: getattr(first, part) for part in parts}),
    )


BINDINGS: Mapping[str, tuple[str, ...]] = {
    "as asked": (),
    "shapes exchanged": ("shape",),
    "motions exchanged": ("motion",),
    "both exchanged": ("shape", "motion"),
}
"""The four scenes that are made of the same words, seen from the colours. "Both" is another word for: the colours."""


def told_apart(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs in which all four of ``BINDINGS`` are different scenes: shapes differ, and motions."""
    return [(one, other) for one, other in pairs if one.shape != other.shape and one.motion != other.motion]


def judge_two(clips: Tensor, captions: Sequence[str]) -> PairVerdict:
    """Judge clips of two sprites of any stage: 8 frames are the base's, 16 are filmed twice as often."""
    return judge_pairs(clips, list(captions), config=WORLD if clips.shape[1] == WORLD.num_frames else LARGE)


def bindings(clips: Tensor, pairs: Sequence[Pair]) -> dict[str, float]:
    """Return the share of clips that show each of ``BINDINGS``; ``pairs`` are as of ``told_apart``."""
    return {
        name: judge_two(clips, [caption(*exchanged(pair, *parts)) for pair in pairs]).rates()["caption"]
        for name, parts in BINDINGS.items()
    }


def two_sprites_metrics(network: nn.Module, *, num_pairs: int = 480, num_each: int = 4) -> dict[str, float]:
    """Return what the judge says of clips of two sprites and of one: of all captions, and of held-out ones.

    Args:
        network: a trained denoiser.
        num_pairs: clips of two sprites, each of another caption, for every line.
        num_each: clips of each caption of one sprite.
    """
    found = {}
    for name, pairs, seed in (("all", ALL_PAIRS, 9000), ("held out", HELD_OUT_PAIRS, 9001)):
        captions = [caption(*pair) for pair in some_pairs(pairs, num_pairs, seed=seed)]
        verdict = judge_two(draw_two(network, captions, generator=budget.generator(seed)), captions)
        found |= {f"{rate}, two sprites, {name}": value for rate, value in verdict.rates().items()}
        for clause, one in (("first", verdict.first), ("second", verdict.second)):
            found |= {
                f"{rate}, {clause} of two, {name}": value
                for rate, value in one.rates().items()
                if rate.startswith("caption_")
            }
    for name, combinations, seed in (("all", ALL, 9002), ("held out", HELD_OUT, 9003)):
        captions = captions_of(combinations, num_each)
        clips = draw_two(network, captions, generator=budget.generator(seed))
        rates = judge(clips, captions, config=WORLD).rates()
        found |= {f"{rate}, one sprite, {name}": value for rate, value in rates.items()}
    pairs = some_pairs(told_apart(ALL_PAIRS), num_pairs, seed=9004)
    clips = draw_two(network, [caption(*pair) for pair in pairs], generator=budget.generator(9004))
    return found | {f"two sprites, {name}": share for name, share in bindings(clips, pairs).items()}


def two_sprites_checkpoint(path: Path, run: DenoiserRun, *, command: str) -> Card:
    """Train and test ``TWO_SPRITES`` and keep it: see ``denoising.denoiser_checkpoint``."""
    return denoiser_checkpoint(path, run, command=command, measure=two_sprites_metrics)
