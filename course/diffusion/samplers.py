"""From noise to clips: the samplers, all with one face.

Each takes a denoiser that gives clean clips, some noise to begin with, and the noise steps to visit, from 1 down to 0.
None knows a network. What is found is cut to [-1, 1] at each step, since no clip is outside (static thresholding,
Saharia et al. 2022, arXiv 2205.11487, section 2.3).
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor

from course.diffusion.objective import Denoise
from course.diffusion.schedule import Schedule, factors

Sampler = Callable[..., Tensor]


def noise_steps(num_steps: int, *, shift: float = 1.0) -> Tensor:
    """Return the noise steps that a sampler visits, from 1 down to 0.

    Args:
        num_steps: how many times to step, at least 1.
        shift: above 1, more of them are spent where there is much noise.

    Returns:
        (num_steps + 1,).

    Paper:
        The shift: Esser et al. 2024, arXiv 2403.03206, eq. 23.
    """
    if num_steps < 1 or shift <= 0:
        raise ValueError(f"wanted at least one step and a shift above 0, got {num_steps} and {shift}")
    even = torch.linspace(1, 0, num_steps + 1)
    return shift * even / (1 + (shift - 1) * even)


@torch.no_grad()
def ddim(
    denoise: Denoise,
    noise: Tensor,
    condition: object,
    *,
    steps: Tensor,
    schedule: Schedule,
    eta: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Split what is seen into the clean clip and its noise, and put them together again with less noise.

    Args:
        denoise: gives clean clips.
        noise: (B, ...), of the normal distribution.
        condition: handed to the denoiser as it is.
        steps: as of ``noise_steps``.
        schedule: the factors.
        eta: share of fresh noise: 0 draws none, 1 draws as much as DDPM.
        generator: source of the fresh noise; needed where ``eta`` is above 0.

    Returns:
        (B, ...), values in [-1, 1].

    Paper:
        Song, Meng and Ermon 2020, arXiv 2010.02502, eq. 12 and 16.
    """
    if eta and generator is None:
        raise ValueError("generator: wanted one, since eta is above 0, got None")
    z = noise
    for here, there in _pairs(steps, z):
        clean = denoise(z, here, condition).clamp(-1, 1)
        (signal, spread), (next_signal, next_spread) = (factors(schedule, s, like=z) for s in (here, there))
        epsilon = (z - signal * clean) / spread
        fresh = eta * (next_spread / spread) * (spread.square() - (signal / next_signal * next_spread).square()).sqrt()
        z = next_signal * clean + (next_spread.square() - fresh.square()).clamp(min=0).sqrt() * epsilon
        if eta:
            z = z + fresh * torch.randn(z.shape, generator=generator)
    return z.clamp(-1, 1)


def ddpm(
    denoise: Denoise,
    noise: Tensor,
    condition: object,
    *,
    steps: Tensor,
    schedule: Schedule,
    generator: torch.Generator,
) -> Tensor:
    """Draw each step back from its own distribution: DDIM with all of its noise fresh.

    Args and result: those of ``ddim``.

    Paper:
        Ho, Jain and Abbeel 2020, arXiv 2006.11239, eq. 6 and 7, with the variance of eq. 7.
    """
    return ddim(denoise, noise, condition, steps=steps, schedule=schedule, eta=1.0, generator=generator)


@torch.no_grad()
def euler(denoise: Denoise, noise: Tensor, condition: object, *, steps: Tensor) -> Tensor:
    """Follow the flow in straight pieces: walk along the velocity that is found where the piece begins.

    Args and result: those of ``ddim``; the schedule is ``Flow``.
    """
    z = noise
    for here, there in _pairs(steps, z):
        z = z + _rise(there - here, z) * _velocity(denoise, z, here, condition)
    return z.clamp(-1, 1)


@torch.no_grad()
def heun(denoise: Denoise, noise: Tensor, condition: object, *, steps: Tensor) -> Tensor:
    """Follow the flow by the mean of two velocities: where a piece begins, and where it would end by Euler's rule.

    The last piece ends at the clean clip, where no velocity is defined, and is Euler's. So n steps ask 2 n - 1 times.

    Args and result: those of ``euler``.

    Paper:
        Karras et al. 2022, arXiv 2206.00364, algorithm 1, on the straight flow.
    """
    z = noise
    for here, there in _pairs(steps, z):
        first = _velocity(denoise, z, here, condition)
        rise = _rise(there - here, z)
        if there[0] > 0:
            second = _velocity(denoise, z + rise * first, there, condition)
            first = (first + second) / 2
        z = z + rise * first
    return z.clamp(-1, 1)


def _velocity(denoise: Denoise, z: Tensor, noise_step: Tensor, condition: object) -> Tensor:
    """Z is (1 - s) * clean + s * epsilon: so epsilon - clean is (z - clean) / s."""
    clean = denoise(z, noise_step, condition).clamp(-1, 1)
    return (z - clean) / _rise(noise_step, z)


def _rise(values: Tensor, z: Tensor) -> Tensor:
    return values.view(-1, *[1] * (z.ndim - 1))


def _pairs(steps: Tensor, z: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each step and the next, one number for each clip."""
    for here, there in pairwise(steps):
        yield here.to(z).expand(len(z)), there.to(z).expand(len(z))
