"""The experiment of chapter 09: from a caption to a clip of 8 frames of 16 x 16 pixels."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from course import budget
from course.datasets import sprites
from course.datasets.captions import ALL, HELD_OUT, MAX_WORDS, TRAINED, VOCABULARY, Combination, caption, indices
from course.datasets.sprites import SpriteConfig
from course.evaluation.judge import Verdict, judge
from course.models.denoiser import Condition
from course.models.dit import DiTConfig
from course.models.unet import UNetConfig
from course.recipes.denoising import (
    DenoiserRun,
    DenoiserSetting,
    Examples,
    denoiser_checkpoint,
    generate,
    load_denoiser,
    told,
)
from course.recipes.making import file_name
from course.training.checkpoint import Card

WORLD = SpriteConfig(size=16, num_frames=8)
SHAPE = (WORLD.num_frames, 3, WORLD.size, WORLD.size)
NUM_STEPS = 16
"""Of the sampler: ten are nearly as good, and it is *clockwise* that gains by a few more."""
ALL_LEFT_OUT = 0.1
"""Share of the captions that are left out as a whole: without these there is no guidance."""
ONE_LEFT_OUT = 0.1
"""Share of the colours, of the shapes and of the phrases that are left out, each by itself.

A network that has to draw "a ... circle moves left" learns what each word says by itself, and that is what a
combination that was never seen is made of.
"""


def leave_words_out(words: Tensor, *, generator: torch.Generator) -> Tensor:
    """Replace some words of captions of one sprite by 0: sometimes all, sometimes the colour, the shape or the phrase.

    Args:
        words: (B, 5), as of ``captions.indices``: a, colour, shape, and two words of the phrase.
        generator: the only source of chance.

    Returns:
        (B, 5).
    """
    B = len(words)
    whole = torch.rand(B, 1, generator=generator) >= ALL_LEFT_OUT
    part = torch.rand(B, 3, generator=generator) >= ONE_LEFT_OUT
    a = torch.ones(B, 1, dtype=torch.bool)
    return words * (whole & torch.cat([a, part[:, [0, 1, 2, 2]]], dim=1))


def text_examples(num_clips: int, generator: torch.Generator) -> Examples:
    """Draw clips of the combinations that are trained, with their captions, some words of which are left out."""
    drawn = sprites.sample(num_clips, generator=generator, config=WORLD, combinations=TRAINED)
    words = leave_words_out(indices(drawn.captions), generator=generator)
    return Examples(drawn.clips, Condition(words=words))


_NAME = "text to clip, "
_WORDS = {"num_words": len(VOCABULARY), "max_words": MAX_WORDS}
_DATA = "captions and clips of 8 frames of 16 x 16 pixels, rendered as they are used; no held-out combination"
_ALL_FRAMES, _CONVOLUTION = {"patch_frames": WORLD.num_frames}, {"frame_channels": 32}
TEXT_SETTINGS: dict[str, DenoiserSetting] = {
    "U-Net": DenoiserSetting(config=UNetConfig(**_WORDS), examples=text_examples, data=_DATA),
    "U-Net, frames stacked": DenoiserSetting(
        config=UNetConfig(**_WORDS, frames="stacked", hidden_channels=(128, 128)), examples=text_examples, data=_DATA
    ),
    **{
        name: DenoiserSetting(
            config=DiTConfig(**_WORDS, **form), examples=text_examples, data=_DATA, learning_rate=1e-3
        )
        for name, form in (
            ("DiT", {}),
            ("DiT, patches of all frames", _ALL_FRAMES),
            ("DiT, convolution", _CONVOLUTION),
            ("DiT, both", _ALL_FRAMES | _CONVOLUTION),
            ("DiT, both, small", _ALL_FRAMES | _CONVOLUTION | {"hidden_size": 64, "num_layers": 3}),
        )
    },
}
"""The denoisers of chapter 09."""


def text_run(model: str, *, seed: int, cpu_seconds: float) -> DenoiserRun:
    """Return the training of one of ``TEXT_SETTINGS``."""
    if model not in TEXT_SETTINGS:
        raise ValueError(f"model: wanted one of {', '.join(TEXT_SETTINGS)}, got {model!r}")
    return DenoiserRun(name=f"{_NAME}{model}", setting=TEXT_SETTINGS[model], seed=seed, cpu_seconds=cpu_seconds)


def draw(
    network: nn.Module,
    captions: Sequence[str],
    *,
    generator: torch.Generator,
    num_steps: int = NUM_STEPS,
    **options: object,
) -> Tensor:
    """Draw a clip for each caption: (B, 8, 3, 16, 16); the options are those of ``denoising.generate``."""
    shape = (len(captions), *SHAPE)
    return generate(network, told(list(captions)), shape, generator=generator, num_steps=num_steps, **options)


def captions_of(combinations: Sequence[Combination], num_each: int) -> list[str]:
    """Return each caption so many times, one round after the other."""
    return [caption(combination) for combination in combinations] * num_each


def judge_drawn(
    network: nn.Module, combinations: Sequence[Combination] = ALL, *, num_each: int, seed: int, **options: object
) -> Verdict:
    """Draw clips for captions and judge them.

    Args:
        network: a trained denoiser.
        combinations: what is asked for.
        num_each: clips of each.
        seed: of the noise.
        **options: as of ``draw``, such as ``num_steps`` and ``guidance``.
    """
    captions = captions_of(combinations, num_each)
    return judge(draw(network, captions, generator=budget.generator(seed), **options), captions, config=WORLD)


def text_metrics(network: nn.Module, *, num_each: int = 20, **options: object) -> dict[str, float]:
    """Return what the judge says of clips of each caption: of all, and of the held-out ones; options of ``draw``."""
    found = {}
    for name, combinations, seed in (("all", ALL, 9000), ("held out", HELD_OUT, 9001)):
        rates = judge_drawn(network, combinations, num_each=num_each, seed=seed, **options).rates()
        found |= {f"{rate}, {name}": value for rate, value in rates.items()}
    return found


def text_checkpoint(path: Path, run: DenoiserRun, *, command: str) -> Card:
    """Train and test one of ``TEXT_SETTINGS`` and keep it: see ``denoising.denoiser_checkpoint``."""
    return denoiser_checkpoint(path, run, command=command, measure=text_metrics)


def train_text(run: DenoiserRun, *, folder: Path) -> Card:
    """Train and test a denoiser, and keep it in a folder; what is found there is not trained again."""
    command = (
        f"python -m course benchmark text --cpu-minutes {run.cpu_seconds / 60:g} "
        f"--seeds {run.seed + 1} --models '{run.name.removeprefix(_NAME)}'"
    )
    return text_checkpoint(_kept(run, folder), run, command=command)


def steps_of_sprites(run: DenoiserRun, *, folder: Path) -> list[float]:
    """Return how far sprites go from each frame to the next in what a denoiser of ``train_text`` draws.

    Returns:
        T - 1 lengths in pixels, each the mean over a clip of each caption.
    """
    position = judge_drawn(load_denoiser(_kept(run, folder), run.setting), num_each=1, seed=9002).reading.position
    return position.diff(dim=1).norm(dim=2).mean(dim=0).tolist()


def _kept(run: DenoiserRun, folder: Path) -> Path:
    return folder / file_name(f"{run.name}, seed {run.seed}, {run.cpu_seconds:g} CPU seconds")
