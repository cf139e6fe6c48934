"""Spectral normalisation: a layer that stretches no input by more than a factor of about one.

What a matrix stretches most, it stretches by its largest singular value. Divided by it, a layer cannot make two inputs
differ by more than they did, so that a critic built of such layers has slopes that a generator can walk down. The value
is found by power iteration, one step at each use: weights change little from step to step, so the vector of the last
use is a good beginning for the next.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize


@torch.no_grad()
def power_iteration(matrix: Tensor, u: Tensor, *, num_steps: int = 1) -> tuple[Tensor, Tensor]:
    """Walk towards the two directions between which a matrix stretches most.

    Each step multiplies what of ``u`` lies along a singular vector by the square of its singular value: the largest
    one wins, the sooner the farther it is ahead of the second.

    Args:
        matrix: (M, N).
        u: (M,), where to begin: the vector of the last use, or chance.
        num_steps: at least 1.

    Returns:
        u, (M,), and v, (N,), both of length 1; the largest singular value is about ``u @ matrix @ v``.

    Raises:
        ValueError: for another shape, or no step.

    Paper:
        Miyato et al. 2018, arXiv 1802.05957, algorithm 1.
    """
    if matrix.ndim != 2 or u.shape != matrix.shape[:1]:
        raise ValueError(
            f"wanted a matrix (M, N) and a vector (M,), got {tuple(matrix.shape)} and {tuple(u.shape)}",
        )
    if num_steps < 1:
        raise ValueError(f"num_steps: wanted at least 1, got {num_steps}")
    for _ in range(num_steps):
        v = F.normalize(matrix.mT @ u, dim=0)  # (N,)
        u = F.normalize(matrix @ v, dim=0)  # (M,)
    return u, v


class SpectralNorm(nn.Module):
    """Divide a weight by its largest singular value. Gradients flow through the value, too.

    In training mode each use takes one step of power iteration; in evaluation mode the vectors stay as they are, so
    that the same input gives the same output.

    Args:
        weight: of the layer, outputs first; all other dimensions are flattened, as those of a convolution.
        num_steps: of power iteration before the first use.

    Paper:
        Miyato et al. 2018, arXiv 1802.05957, eq. 8 and section 2.2 (a convolution's weight as a matrix of outputs x
        all the rest).
    """

    def __init__(self, weight: Tensor, *, num_steps: int = 15) -> None:
        super().__init__()
        if weight.ndim < 2:
            raise ValueError(f"weight: wanted at least 2 dimensions, outputs first, got {tuple(weight.shape)}")
        matrix = weight.detach().flatten(1)  # (outputs, rest)
        u, v = power_iteration(matrix, torch.randn(len(matrix), device=weight.device), num_steps=num_steps)
        self.register_buffer("u", u)
        self.register_buffer("v", v)

    def forward(self, weight: Tensor) -> Tensor:
        """Weight: (outputs, ...); returns the same shape."""
        matrix = weight.flatten(1)  # (outputs, rest)
        if self.training:
            # New tensors rather than new values in the old ones: an earlier use may still await its backward pass.
            self.u, self.v = power_iteration(matrix, self.u)
        return weight / (self.u @ matrix @ self.v)


def spectral_norm(layer: nn.Module) -> nn.Module:
    """Normalise the weight of a linear or convolutional layer in place, at each use; return the layer.

    ``layer.weight`` is the normalised weight from then on; ``layer.parametrizations.weight.original`` is trained.
    """
    return parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight))
