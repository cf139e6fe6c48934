"""How every denoiser of the course is trained, kept and asked: one recipe, in which a setting says what it learns from.

The network is asked for the clean clip on the straight flow from clip to noise. Two choices decide how quickly it
learns. *Which noise steps*: most of them in the upper middle, where it is decided what the clip will show and how it
moves; with next to no noise there is little left to do, and with nothing but noise little can be known. *How much each
error counts*: 1 / noise_step, between the plain error, nearly all of which is made where little can be known, and the
error of the velocity, 1 / noise_step^2.
"""

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from course.budget import one_thread
from course.datasets.captions import indices
from course.diffusion.guidance import guided
from course.diffusion.objective import denoising_loss
from course.diffusion.samplers import ddim, noise_steps
from course.diffusion.schedule import Flow, to_signed, to_unit
from course.models.denoiser import Condition
from course.models.dit import DiT, DiTConfig
from course.models.unet import UNet, UNetConfig
from course.recipes.making import make_checkpoint
from course.training.checkpoint import Card, Resume, load
from course.training.ema import EMA
from course.training.loop import History, TrainConfig, step_generator, train

MIDDLE, WIDTH = 0.8, 1.0
"""Of the noise steps that are trained: their logarithmic odds, log(s / (1 - s)), have this mean and deviation.

Paper:
    Esser et al. 2024, arXiv 2403.03206, section 3.1 (logit-normal sampling).
"""
GUIDANCE, INTERVAL = 2.0, (0.3, 1.0)
"""Scale, and the noise steps at which clips are guided: where less noise is, guidance overdraws the edges."""
LEAST_STEP = 0.05
"""The weight of the error rises down to this noise step, and no further."""


@dataclass(frozen=True)
class Examples:
    """Clips to learn from.

    Attributes:
        clips: (B, T, C, H, W), values in [0, 1].
        condition: what is told of them.
    """

    clips: Tensor
    condition: Condition


@dataclass(frozen=True, kw_only=True)
class DenoiserSetting:
    """What a denoiser is, and what it learns from.

    Attributes:
        config: of the network.
        examples: from a number of clips and a generator to as many examples.
        data: what these are, in words.
        batch_size: clips in a batch.
        learning_rate: at its highest.
        ema_decay: of the average of the weights that is kept.
    """

    config: UNetConfig | DiTConfig
    examples: Callable[[int, torch.Generator], Examples]
    data: str
    batch_size: int = 16
    learning_rate: float = 3e-3
    ema_decay: float = 0.99


@dataclass(frozen=True, kw_only=True)
class DenoiserRun:
    """One training.

    Attributes:
        name: of the setting, in words.
        setting: what is trained.
        seed: of the weights and of the clips.
        cpu_seconds: the budget, of process CPU time.
    """

    name: str
    setting: DenoiserSetting
    seed: int
    cpu_seconds: float

    @property
    def recipe(self) -> str:
        """The name and all that the training depends on beside the seed and the form of the network."""
        return (
            f"{self.name}: {self.cpu_seconds:g} CPU seconds, batches of {self.setting.batch_size}, learning rate "
            f"{self.setting.learning_rate:g}, weights averaged with {self.setting.ema_decay:g}, logarithmic odds of "
            f"the noise step {MIDDLE:g} +- {WIDTH:g}, errors weighed by 1 / noise_step down to {LEAST_STEP:g}"
        )


@dataclass(frozen=True)
class NoisyBatch:
    """What a training step is made of.

    Attributes:
        clean: (B, T, C, H, W), values in [-1, 1].
        condition: of the same clips.
        noise_step: (B,), above 0 and at most 1.
        epsilon: (B, T, C, H, W), noise.
    """

    clean: Tensor
    condition: Condition
    noise_step: Tensor
    epsilon: Tensor


def denoiser(config: UNetConfig | DiTConfig) -> nn.Module:
    """Return an untrained network, to be called as ``network(noisy, noise_step, condition)``."""
    return UNet(config) if isinstance(config, UNetConfig) else DiT(config)


def noisy_batch(setting: DenoiserSetting, seed: int, step: int) -> NoisyBatch:
    """Return the batch of a training step: a function of the seed and the step alone.

    The noise steps of a batch are spread evenly: one in each of B parts of their distribution, all equally likely.
    """
    chance = step_generator(seed, step)
    examples = setting.examples(setting.batch_size, chance)
    clean = to_signed(examples.clips)
    B = len(clean)
    rank = (torch.arange(B) + torch.rand(B, generator=chance).clamp(1e-3, 1 - 1e-3)) / B
    noise_step = torch.sigmoid(MIDDLE + WIDTH * torch.special.ndtri(rank))
    epsilon = torch.randn(clean.shape, generator=chance)
    return NoisyBatch(clean, examples.condition, noise_step, epsilon)


def batch_loss(network: nn.Module, batch: NoisyBatch) -> Tensor:
    """Return the squared error of the clean clips that a network finds, weighted by 1 / noise_step."""
    return denoising_loss(
        network,
        batch.clean,
        batch.condition,
        noise_step=batch.noise_step,
        epsilon=batch.epsilon,
        schedule=Flow(),
        weight=1 / batch.noise_step.clamp(min=LEAST_STEP),
    )


def train_denoiser(
    run: DenoiserRun, *, start: nn.Module | None = None, resume: Resume | None = None
) -> tuple[nn.Module, History]:
    """Train a denoiser on one thread; return it with averaged weights, and what the training went through.

    Args:
        run: which one.
        start: a network of the setting's form to begin with, which is left as it is; None draws its first weights.
        resume: where the state of the training is kept, if it is to go on after an interruption.
    """
    setting = run.setting
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        network = denoiser(setting.config) if start is None else copy.deepcopy(start).requires_grad_()
    ema = EMA(network, setting.ema_decay)
    config = TrainConfig(cpu_seconds=run.cpu_seconds, learning_rate=setting.learning_rate)

    def batch(step: int) -> NoisyBatch:
        return noisy_batch(setting, run.seed, step)

    with one_thread():
        history = train(network, batch, batch_loss, config, ema=ema, resume=resume)
    return ema.average.eval(), history


def denoiser_checkpoint(
    path: Path, run: DenoiserRun, *, command: str, measure: Callable[[nn.Module], dict[str, float]]
) -> Card:
    """Train and test a denoiser, and keep it with its card; what is there already is not made again.

    Args:
        path: of the weights, NAME.safetensors.
        run: which training.
        command: what makes the checkpoint again, for the card.
        measure: from the denoiser to its metrics.

    Raises:
        ValueError: if a file that is there is damaged, or is another training's.
    """
    return make_checkpoint(
        path,
        recipe=run.recipe,
        seed=run.seed,
        config=asdict(run.setting.config),
        data=run.setting.data,
        command=command,
        train=lambda resume: train_denoiser(run, resume=resume),
        measure=measure,
    )


def load_denoiser(path: Path, setting: DenoiserSetting) -> nn.Module:
    """Load the weights of a denoiser.

    Raises:
        FileNotFoundError: if there are none.
        ValueError: if the file is damaged, or holds another network.
    """
    kind = type(setting.config)
    return load(path, lambda config: denoiser(kind(**config)))


@torch.no_grad()
def generate(
    network: nn.Module,
    condition: Condition,
    shape: tuple[int, ...],
    *,
    generator: torch.Generator,
    num_steps: int = 10,
    guidance: float = GUIDANCE,
    interval: tuple[float, float] = INTERVAL,
    eta: float = 1.0,
    chunk: int = 96,
) -> Tensor:
    """Draw clips.

    Args:
        network: a trained denoiser.
        condition: what they are to show.
        shape: (B, T, C, H, W).
        generator: the only source of chance.
        num_steps: of the sampler.
        guidance: scale; 1 asks the network once a step, others twice.
        interval: noise steps at which it is guided.
        eta: share of fresh noise in each step: with 0 this is Euler's sampler. Fresh noise lets a later step mend what
            an earlier one has decided badly.
        chunk: clips at a time.

    Returns:
        (B, T, C, H, W), values in [0, 1].
    """
    noise = torch.randn(shape, generator=generator)
    steps = noise_steps(num_steps)
    drawn = []
    for first in range(0, len(noise), chunk):
        some = slice(first, first + chunk)
        asked = condition[some]
        denoise = guided(network, guidance, asked.without_words(), interval=interval)
        clips = ddim(denoise, noise[some], asked, steps=steps, schedule=Flow(), eta=eta, generator=generator)
        drawn.append(to_unit(clips))
    return torch.cat(drawn)


def told(captions: list[str]) -> Condition:
    """Return the condition that holds the words of captions and nothing else."""
    return Condition(words=indices(captions))
