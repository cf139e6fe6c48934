"""From vectors to tokens and back: the nearest of a codebook's vectors, or each number rounded by itself.

Rounding has no slope, so a network in front of it would learn nothing. Both quantizers here hand the gradient through
as if nothing had been rounded: the straight-through estimator.
"""

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course import distributed


@dataclass(frozen=True)
class Quantized:
    """What a quantizer makes of vectors.

    Attributes:
        vectors: (..., D), what the tokens stand for; gradients pass straight through to what was quantized.
        tokens: (...), whole numbers from 0 to ``num_codes`` - 1.
        commitment: a scalar to add to the loss, so that what is quantized stays near what it becomes.
    """

    vectors: Tensor
    tokens: Tensor
    commitment: Tensor


def straight_through(vectors: Tensor, quantized: Tensor) -> Tensor:
    """Return ``quantized``, with the gradient of ``vectors``: forward it is rounded, backward it is not.

    Args:
        vectors: of any shape, what was quantized.
        quantized: of the same shape.

    Returns:
        A tensor of that shape.

    Paper:
        Bengio, Leonard and Courville 2013, arXiv 1308.3432; in an autoencoder van den Oord, Vinyals and Kavukcuoglu
        2017, arXiv 1711.00937, section 3.2.
    """
    return vectors + (quantized - vectors).detach()


def nearest_code(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Find the nearest code of each vector.

    Args:
        vectors: (..., D).
        codebook: (K, D).

    Returns:
        (...), whole numbers from 0 to K - 1.
    """
    _expect_vectors(vectors, codebook.shape[1])
    # |v - c|^2 = |v|^2 - 2 v . c + |c|^2, and the first is the same for all codes.
    distance = codebook.square().sum(dim=1) - 2 * (vectors @ codebook.T)  # (..., K)
    return distance.argmin(dim=-1)


def perplexity(tokens: Tensor, num_codes: int) -> float:
    """Return how many codes would be in use if those in use were used equally often: 2 to the entropy in bits.

    Args:
        tokens: of any shape, whole numbers from 0 to ``num_codes`` - 1, at least one.
        num_codes: K.

    Returns:
        1 (one code for all) to K (all alike).
    """
    share = torch.bincount(tokens.flatten(), minlength=num_codes) / tokens.numel()
    return torch.special.entr(share).sum().exp().item()


class VectorQuantizer(nn.Module):
    """Replace each vector by the nearest of a codebook, which follows the vectors: no gradient moves it.

    Each code is the average of the vectors that have lately been nearest to it. A code that hardly any vector chooses
    is dead: no average will ever move it to where the vectors are. It is put on one of the vectors of the batch, drawn
    with torch's own generator, and lives again. At the start all codes are dead, so that the first batch fills the
    codebook. Codes move in training mode only, and with several workers by the vectors of all of them.

    Args:
        num_codes: K.
        code_size: D, numbers of each code.
        decay: what the averages keep at each update.
        revive_below: a code that is chosen by fewer vectors of a batch than this share of an even use is dead.

    Paper:
        van den Oord, Vinyals and Kavukcuoglu 2017, arXiv 1711.00937, appendix A.1 (the averages); Dhariwal et al. 2020
        (Jukebox), arXiv 2005.00341, section 3.1 (codes that are put on vectors of the batch).
    """

    codebook: Tensor
    num_chosen: Tensor
    total: Tensor

    def __init__(self, num_codes: int, code_size: int, *, decay: float = 0.95, revive_below: float = 0.3) -> None:
        super().__init__()
        if num_codes < 1 or code_size < 1 or not 0 <= decay < 1 or not 0 <= revive_below < 1:
            raise ValueError(
                "wanted sizes of at least 1 and a decay and a share in [0, 1), "
                f"got {num_codes}, {code_size}, {decay} and {revive_below}"
            )
        self.num_codes, self.code_size = num_codes, code_size
        self.decay, self.revive_below = decay, revive_below
        self.register_buffer("codebook", torch.randn(num_codes, code_size))
        self.register_buffer("num_chosen", torch.zeros(num_codes))
        self.register_buffer("total", torch.zeros(num_codes, code_size))

    def forward(self, vectors: Tensor) -> Quantized:
        """Quantize vectors, (..., D), and let the codebook follow them."""
        _expect_vectors(vectors, self.code_size)
        if self.training and not self.num_chosen.any():
            self._revive(vectors.detach())
        tokens = self.nearest(vectors)
        codes = self.look_up(tokens)
        if self.training:
            self._follow(vectors.detach(), tokens)
        return Quantized(straight_through(vectors, codes), tokens, F.mse_loss(vectors, codes))

    def nearest(self, vectors: Tensor) -> Tensor:
        """Return the tokens of vectors: (..., D) to (...)."""
        return nearest_code(vectors, self.codebook)

    def look_up(self, tokens: Tensor) -> Tensor:
        """Return the vectors of tokens: (...) to (..., D)."""
        return self.codebook[tokens]

    @torch.no_grad()
    def _follow(self, vectors: Tensor, tokens: Tensor) -> None:
        """Move each code to the average of the vectors that chose it. vectors: (..., D), tokens: (...)."""
        flat = vectors.reshape(-1, self.code_size)  # (N, D)
        chosen = F.one_hot(tokens.flatten(), self.num_codes).to(flat)  # (N, K)
        self.num_chosen.lerp_(distributed.summed(chosen.sum(dim=0)), 1 - self.decay)
        self.total.lerp_(distributed.summed(chosen.T @ flat), 1 - self.decay)
        alive = self.num_chosen > 0
        self.codebook[alive] = self.total[alive] / self.num_chosen[alive, None]
        self._revive(vectors)

    @torch.no_grad()
    def _revive(self, vectors: Tensor) -> None:
        """Put dead codes on vectors of the batch, (..., D), and count them as used as often as the rest."""
        even = distributed.num_workers() * vectors[..., 0].numel() / self.num_codes
        dead = (self.num_chosen < self.revive_below * even).nonzero()[:, 0]
        if len(dead):
            vectors = distributed.gathered(vectors).reshape(-1, self.code_size)  # (N, D), the same on every worker
            some = vectors[torch.randint(len(vectors), (len(dead),))]
            self.codebook[dead] = some
            self.num_chosen[dead] = even
            self.total[dead] = some * even


class FiniteScalarQuantizer(nn.Module):
    """Bound each number and round it to one of a few levels: the codebook is a grid, with nothing to learn or to die.

    Args:
        levels: how many each number may take, at least 2 each; the codes are all combinations.

    Paper:
        Mentzer et al. 2023, arXiv 2309.15505, section 3. There an even number of levels is shifted so that 0 is one of
        them; here the levels lie evenly from -1 to 1, whether their number is even or odd.
    """

    steps: Tensor
    place_values: Tensor

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        if not levels or min(levels) < 2:
            raise ValueError(f"levels: wanted at least 2 for each number, got {levels}")
        self.levels, self.num_codes, self.code_size = tuple(levels), prod(levels), len(levels)
        self.register_buffer("steps", torch.tensor(levels) - 1, persistent=False)
        values = [prod(levels[:place]) for place in range(len(levels))]
        self.register_buffer("place_values", torch.tensor(values), persistent=False)

    def forward(self, vectors: Tensor) -> Quantized:
        """Quantize vectors, (..., D)."""
        tokens = self.nearest(vectors)
        codes = straight_through(vectors.tanh(), self.look_up(tokens))
        return Quantized(codes, tokens, vectors.new_zeros(()))

    def nearest(self, vectors: Tensor) -> Tensor:
        """Return the tokens of vectors: (..., D) to (...)."""
        _expect_vectors(vectors, self.code_size)
        rung = ((vectors.tanh() + 1) / 2 * self.steps).round().long()  # (..., D), from 0 to levels - 1
        return (rung * self.place_values).sum(dim=-1)

    def look_up(self, tokens: Tensor) -> Tensor:
        """Return the vectors of tokens: (...) to (..., D), values from -1 to 1."""
        rung = tokens[..., None] // self.place_values % (self.steps + 1)  # (..., D)
        return 2 * rung / self.steps - 1


def _expect_vectors(vectors: Tensor, size: int) -> None:
    if vectors.shape[-1] != size:
        raise ValueError(f"vectors: wanted (..., {size}), got {tuple(vectors.shape)}")
