"""How much of a clip is left, and how much noise stands over it, at each noise step from 0 (clean) to 1 (noise alone).

A noisy clip is ``signal * clean + noise * epsilon``; a schedule says what the two factors are. Inside this package a
clip's values lie in [-1, 1], as is usual: ``to_signed`` and ``to_unit`` are the one place where they are moved there
and back.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor


class Schedule(Protocol):
    """Anything that gives the two factors of a noise step."""

    def signal(self, noise_step: Tensor) -> Tensor:
        """Return what the clean clip is multiplied by, of the same form as ``noise_step``."""

    def noise(self, noise_step: Tensor) -> Tensor:
        """Return what the noise is multiplied by."""


@dataclass(frozen=True)
class Flow:
    """The straight line from clip to noise: ``(1 - s) * clean + s * epsilon``.

    Paper:
        Liu et al. 2022 (rectified flow), arXiv 2209.03003; Lipman et al. 2022 (flow matching), arXiv 2210.02747. Their
        time runs from noise to clip, ours, as diffusion's, from clip to noise.
    """

    def signal(self, noise_step: Tensor) -> Tensor:
        """Return ``1 - noise_step``."""
        return 1 - noise_step

    def noise(self, noise_step: Tensor) -> Tensor:
        """Return ``noise_step``."""
        return noise_step


@dataclass(frozen=True)
class Cosine:
    """A quarter turn from clip to noise; the squares of the factors sum to 1, so that no step changes the variance.

    Paper:
        Nichol and Dhariwal 2021, arXiv 2102.09672, eq. 17, without their small offset at the clean end.
    """

    def signal(self, noise_step: Tensor) -> Tensor:
        """Return the cosine of the angle."""
        return (noise_step * torch.pi / 2).cos()

    def noise(self, noise_step: Tensor) -> Tensor:
        """Return the sine of the angle."""
        return (noise_step * torch.pi / 2).sin()


@dataclass(frozen=True, kw_only=True)
class LinearBeta:
    """The first schedule: in each of many small steps a little is forgotten and a little noise is added.

    Step k keeps ``1 - beta[k]`` of the variance, with betas that grow evenly from the first to the last. What is left
    after k steps is the *product* of what each has kept: the closed form. ``noise_step`` is k / num_steps.

    Attributes:
        num_steps: small steps in all.
        first: beta of the first step.
        last: beta of the last one.

    Paper:
        Ho, Jain and Abbeel 2020 (DDPM), arXiv 2006.11239, eq. 2 and 4, with the values of section 4.
    """

    num_steps: int = 1000
    first: float = 1e-4
    last: float = 0.02

    def __post_init__(self) -> None:
        """Check the values."""
        if self.num_steps < 1 or not 0 < self.first <= self.last < 1:
            raise ValueError(f"wanted at least one step, and 0 < first <= last < 1, got {self}")

    @cached_property
    def kept(self) -> Tensor:
        """(num_steps + 1,): the share of the variance that is left after 0, 1, 2, ... steps; alpha bar."""
        beta = torch.linspace(self.first, self.last, self.num_steps, dtype=torch.float64)
        return torch.cat([beta.new_ones(1), (1 - beta).cumprod(dim=0)]).float()

    def signal(self, noise_step: Tensor) -> Tensor:
        """Return the root of what is left."""
        return self._kept(noise_step).sqrt()

    def noise(self, noise_step: Tensor) -> Tensor:
        """Return the root of what was added."""
        return (1 - self._kept(noise_step)).sqrt()

    def _kept(self, noise_step: Tensor) -> Tensor:
        return self.kept.to(noise_step.device)[(noise_step * self.num_steps).round().long()]


def to_signed(clips: Tensor) -> Tensor:
    """Move values from [0, 1] to [-1, 1]."""
    return 2 * clips - 1


def to_unit(clips: Tensor) -> Tensor:
    """Move values from [-1, 1] to [0, 1]; what lies outside is cut off."""
    return ((clips + 1) / 2).clamp(0, 1)


def diffuse(clean: Tensor, epsilon: Tensor, noise_step: Tensor, schedule: Schedule) -> Tensor:
    """Put noise over clips: all steps of the forward process at once.

    Args:
        clean: (B, ...).
        epsilon: (B, ...), of the normal distribution; every pixel of every frame has its own.
        noise_step: (B,), from 0 to 1, one for each clip.
        schedule: the factors.

    Returns:
        (B, ...).
    """
    if epsilon.shape != clean.shape or noise_step.shape != clean.shape[:1]:
        raise ValueError(
            f"wanted noise of the clips' shape {tuple(clean.shape)} and one noise step for each clip, "
            f"got {tuple(epsilon.shape)} and {tuple(noise_step.shape)}"
        )
    signal, noise = factors(schedule, noise_step, like=clean)
    return signal * clean + noise * epsilon


def factors(schedule: Schedule, noise_step: Tensor, *, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return signal and noise, each (B, 1, 1, ...) with as many dimensions as ``like``."""
    form = (-1, *[1] * (like.ndim - 1))
    return schedule.signal(noise_step).view(form), schedule.noise(noise_step).view(form)
