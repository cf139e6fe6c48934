"""Ways to tell a network that looks at all frames at once which came first: a table to add, or a rotation."""

from functools import lru_cache

import torch
from torch import Tensor, nn

LONGEST_WAVE = 10_000.0
"""The slowest of the waves takes 2 pi times this many frames (Vaswani et al. 2017, section 3.5)."""


class LearnedPosition(nn.Module):
    """A table of vectors to add to what stands at each place, trained like any other weight."""

    def __init__(self, num_positions: int, size: int) -> None:
        super().__init__()
        self.table = nn.Parameter(0.02 * torch.randn(num_positions, size))

    def forward(self, num_positions: int) -> Tensor:
        """Return the first vectors of the table, (num_positions, size)."""
        if num_positions > len(self.table):
            raise ValueError(f"num_positions: the table was made for {len(self.table)}, got {num_positions}")
        return self.table[:num_positions]


def sinusoidal(num_positions: int, size: int) -> Tensor:
    """Compute a table of waves to add: neighbouring columns are the sine and cosine of one wave, each slower.

    Args:
        num_positions: places, from 0.
        size: numbers for each place, even.

    Returns:
        (num_positions, size), values from -1 to 1.

    Raises:
        ValueError: if ``size`` is odd.

    Paper:
        Vaswani et al. 2017, arXiv 1706.03762, section 3.5.
    """
    angles = _angles(num_positions, size)  # (num_positions, size / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)  # (num_positions, size)


def rotate(x: Tensor, *, start: int = 0) -> Tensor:
    """Turn each pair of numbers by an angle that grows with the place, so that scores see how far two places lie apart.

    Queries and keys are turned, values are not. The product of a query turned by ``a`` and a key turned by ``b``
    depends on ``a - b`` alone.

    Args:
        x: (..., N, D), one vector for each of N successive places, D even.
        start: which place the first one is.

    Returns:
        (..., N, D), each vector as long as before.

    Raises:
        ValueError: if D is odd.

    Paper:
        Su et al. 2021, arXiv 2104.09864, eq. 34. A pair is one number of the first half and its fellow in the second,
        where the paper pairs neighbours: the same but for the order of the D numbers.
    """
    cos, sin = (table.to(x) for table in _turns(x.shape[-2], x.shape[-1], start))  # (N, D) each
    return x * cos + x.roll(x.shape[-1] // 2, dims=-1) * sin


@lru_cache(maxsize=8)
def _turns(num_positions: int, size: int, start: int) -> tuple[Tensor, Tensor]:
    """Return what each number is multiplied by, and what its fellow is, (num_positions, size) each.

    All layers of a network ask for the same ones.
    """
    with torch.inference_mode(False):
        angles = _angles(num_positions, size, start)  # (N, D / 2)
        cos, sin = angles.cos(), angles.sin()
        return torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)


def _angles(num_positions: int, size: int, start: int = 0) -> Tensor:
    """Return the angle of each of size / 2 waves at each place from ``start`` on, (num_positions, size / 2)."""
    if size % 2:
        raise ValueError(f"size: wanted an even number, since each wave takes a sine and a cosine, got {size}")
    frequency = LONGEST_WAVE ** (-torch.arange(0, size, 2) / size)
    return torch.outer(torch.arange(start, start + num_positions), frequency)


def waves(values: Tensor, size: int, *, fastest: float = 1000.0) -> Tensor:
    """Spread numbers between 0 and 1 over waves, so that a network can tell close ones apart.

    Args:
        values: (...).
        size: numbers for each value, even: the sines and cosines of waves of 1 to ``fastest`` radians.
        fastest: radians of the fastest wave.

    Returns:
        (..., size), values from -1 to 1.

    Raises:
        ValueError: if ``size`` is odd.

    Paper:
        Ho, Jain and Abbeel 2020, arXiv 2006.11239, appendix B: the table of ``sinusoidal``, read between its lines.
    """
    if size % 2:
        raise ValueError(f"size: wanted an even number, since each wave takes a sine and a cosine, got {size}")
    angles = values[..., None] * fastest ** torch.linspace(0, 1, size // 2, device=values.device)  # (..., size / 2)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
