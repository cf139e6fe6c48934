"""The race: four families of generators, each trained in the same CPU time and asked for the same captions.

Each draws clips for captions whose combinations it has never seen, and one judge reads them. They do not draw the same
clips: the cascade's have twice as many frames of four times the side, and its CPU time is shared out among four
networks. What a clip costs, too, is CPU time, on one thread.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from course import budget
from course.datasets.captions import HELD_OUT
from course.evaluation.judge import coverage
from course.recipes.cascade import NUM_STEPS, STAGES, cascade_run, draw_cascade, judge_stage
from course.recipes.denoising import DenoiserRun, denoiser_checkpoint, load_denoiser
from course.recipes.gan import GANRun, draw_gan, gan_checkpoint, load_gan
from course.recipes.making import file_name
from course.recipes.text_to_clip import captions_of, draw, text_run
from course.recipes.tokens import (
    autoencoder_checkpoint,
    autoencoder_run,
    draw_clips,
    load_autoencoder,
    load_transformer,
    transformer_checkpoint,
    transformer_run,
)

AUTOENCODER_SHARE = 0.25
"""Of the tokens' CPU time; the Transformer has the rest."""
_COMMAND = "python -m course benchmark families"

Draw = Callable[..., Tensor]
"""From captions, and ``generator`` and the options of a way of drawing, to clips."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """One way to come from a caption to a clip.

    Attributes:
        draws: what, in words.
        train: from a seed, CPU seconds and a folder to what draws clips; what is found in the folder is not trained
            again.
        ways: of drawing, by name, each with its options; the first is the usual one.
    """

    draws: str
    train: Callable[[int, float, Path], Draw]
    ways: Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What one training of a family can do, asked in one way.

    Attributes:
        family: by name.
        way: of drawing, by name.
        seed: of the training.
        cpu_minutes: that it was given.
        numbers: the judge's rates, COVERAGE, and the CPU seconds that a clip takes.
    """

    family: str
    way: str
    seed: int
    cpu_minutes: float
    numbers: Mapping[str, float]


def _nothing(*_: nn.Module) -> dict[str, float]:
    """Measure nothing: the race judges each as it draws."""
    return {}


def _denoiser(run: DenoiserRun, folder: Path) -> nn.Module:
    path = folder / file_name(f"{run.name}, seed {run.seed}, {run.cpu_seconds:g} CPU seconds")
    denoiser_checkpoint(path, run, command=_COMMAND, measure=_nothing)
    return load_denoiser(path, run.setting)


def _gan(seed: int, cpu_seconds: float, folder: Path) -> Draw:
    path = folder / file_name(f"gan, seed {seed}, {cpu_seconds:g} CPU seconds")
    run = GANRun(name="both critics", seed=seed, cpu_seconds=cpu_seconds)
    gan_checkpoint(path, run, command=_COMMAND, measure=_nothing)
    return partial(draw_gan, load_gan(path))


def _tokens(seed: int, cpu_seconds: float, folder: Path) -> Draw:
    path = folder / file_name(f"tokens, autoencoder, seed {seed}, {cpu_seconds:g} CPU seconds in all")
    run = autoencoder_run("vector", seed=seed, cpu_seconds=AUTOENCODER_SHARE * cpu_seconds)
    autoencoder_checkpoint(path, run, command=_COMMAND, measure=_nothing)
    autoencoder = load_autoencoder(path)
    path = folder / file_name(f"tokens, transformer, seed {seed}, {cpu_seconds:g} CPU seconds in all")
    run = transformer_run("vector", seed=seed, cpu_seconds=(1 - AUTOENCODER_SHARE) * cpu_seconds)
    transformer_checkpoint(path, run, autoencoder, command=_COMMAND, measure=_nothing)
    return partial(draw_clips, load_transformer(path), autoencoder)


def _diffusion(seed: int, cpu_seconds: float, folder: Path) -> Draw:
    return partial(draw, _denoiser(text_run("U-Net", seed=seed, cpu_seconds=cpu_seconds), folder))


def _cascade(seed: int, cpu_seconds: float, folder: Path) -> Draw:
    base = text_run("U-Net", seed=seed, cpu_seconds=BASE_SECONDS)
    runs = {"base": base} | {stage: cascade_run(stage, seed=seed) for stage in STAGES[1:]}
    share = cpu_seconds / sum(run.cpu_seconds for run in runs.values())
    networks = {
        stage: _denoiser(replace(run, cpu_seconds=share * run.cpu_seconds), folder) for stage, run in runs.items()
    }

    def draw_all(captions: Sequence[str], **options: object) -> Tensor:
        return draw_cascade(networks, captions, **options)[STAGES[-1]]

    return draw_all


BASE_SECONDS = 360.0
"""Of the cascade's base where it is not in a race, beside the other stages' ``cascade.CASCADE_SECONDS``."""


def _steps(*counts: int) -> dict[str, dict[str, object]]:
    return {f"{count} steps": {"num_steps": count} for count in counts}


FAMILIES: Mapping[str, Family] = {
    "GAN": Family(draws="8 frames of 16 x 16", train=_gan, ways={"one pass": {}}),
    "tokens": Family(
        draws="8 frames of 16 x 16",
        train=_tokens,
        ways={"cached": {}, "without a cache": {"cached": False}},
    ),
    "diffusion": Family(draws="8 frames of 16 x 16", train=_diffusion, ways=_steps(16, 1, 2, 4, 50)),
    "cascade": Family(
        draws="16 frames of 64 x 64",
        train=_cascade,
        ways={
            f"{steps} steps of the base": {"num_steps": {**NUM_STEPS, "base": steps}}
            for steps in (NUM_STEPS["base"], 2, 4)
        },
    ),
}
"""The families of the race."""


def enter(
    family: str, *, seed: int, cpu_minutes: float, folder: Path, num_each: int = 20, ways: Sequence[str] = ()
) -> list[Entry]:
    """Train one family and judge what it draws for held-out captions, in each of its ways.

    Args:
        family: one of ``FAMILIES``.
        seed: of the training.
        cpu_minutes: of the training, all its networks together.
        folder: where trainings are kept; what is found there is not trained again.
        num_each: clips of each held-out caption.
        ways: of drawing; all of the family's, if none is named.

    Returns:
        An entry for each way of drawing.
    """
    if family not in FAMILIES:
        raise ValueError(f"family: wanted one of {', '.join(FAMILIES)}, got {family!r}")
    entrant = FAMILIES[family]
    draw_clips_of = entrant.train(seed, 60 * cpu_minutes, folder)
    captions = captions_of(HELD_OUT, num_each)
    entries = []
    for way, options in entrant.ways.items():
        if ways and way not in ways:
            continue
        draw_clips_of(captions[:1], generator=budget.generator(0), **options)  # the first call of all is slower
        with budget.one_thread(), budget.cpu_time() as watch:
            clips = draw_clips_of(captions, generator=budget.generator(9300), **options)
        verdict = judge_stage(clips, captions)
        numbers = verdict.rates() | {
            "coverage": coverage(verdict, HELD_OUT),
            "CPU seconds a clip": watch.cpu_seconds / len(captions),
        }
        entries.append(Entry(family=family, way=way, seed=seed, cpu_minutes=cpu_minutes, numbers=numbers))
    return entries
