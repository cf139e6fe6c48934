"""Attention, and the blocks that are made of it. Weights are stacked as PyTorch does, so that they can be copied.

All of it works on (..., N, D): N tokens that look at one another, whatever stands before. So the same layer looks
across the patches of each frame, or across the frames at each place: only the order of the dimensions differs.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from course.layers.position import rotate


def attention_weights(q: Tensor, k: Tensor, *, causal: bool = False) -> Tensor:
    """Compute how much each query looks at each key (Vaswani et al. 2017, eq. 1, without the values).

    Args:
        q: (..., N, D), what each token looks for.
        k: (..., M, D), what each token offers.
        causal: query i sees keys 0..i only; N must equal M.

    Returns:
        (..., N, M), at least 0; each row sums to 1.

    Raises:
        ValueError: if the sizes do not fit.
    """
    num_queries, num_keys = q.shape[-2], k.shape[-2]
    if q.shape[-1] != k.shape[-1] or (causal and num_queries != num_keys):
        wanted = "(..., N, D) both" if causal else "(..., N, D) and (..., M, D)"
        raise ValueError(f"q and k: wanted {wanted}, got {tuple(q.shape)} and {tuple(k.shape)}")
    scores = q * q.shape[-1] ** -0.5 @ k.mT  # (..., N, M); q is scaled, since it is smaller than the scores
    if causal:
        scores = scores + scores.new_full((num_queries, num_keys), float("-inf")).triu(1)
    return scores.softmax(dim=-1)


def attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    """Average the values, each query with weights of its own: scaled dot-product attention.

    Args:
        q: (..., N, D).
        k: (..., M, D).
        v: (..., M, E).
        causal: query i sees keys 0..i only; N must equal M.

    Returns:
        (..., N, E).

    Raises:
        ValueError: if the sizes do not fit.

    Paper:
        Vaswani et al. 2017, arXiv 1706.03762, eq. 1.
    """
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"v: wanted a value for each of {k.shape[-2]} keys, got {tuple(v.shape)}")
    return attention_weights(q, k, causal=causal) @ v


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each on its own share of the numbers (Vaswani et al. 2017, section 3.2.2).

    Args:
        size: numbers for each token.
        num_heads: attentions side by side; ``size`` is shared evenly among them.
        causal: no token sees a later one.
        rotary: turn queries and keys by their place (``position.rotate``).
    """

    def __init__(self, size: int, num_heads: int, *, causal: bool = False, rotary: bool = False) -> None:
        super().__init__()
        if num_heads < 1 or size % num_heads or (rotary and size // num_heads % 2):
            share = "an even number of numbers" if rotary else "a whole number of numbers"
            raise ValueError(f"wanted {share} for each head, got {size} numbers for {num_heads} heads")
        self.size, self.num_heads = size, num_heads
        self.causal, self.rotary = causal, rotary
        self.project_in = nn.Linear(size, 3 * size)  # queries, keys and values, as in nn.MultiheadAttention
        self.project_out = nn.Linear(size, size)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Let each token of ``x`` look at those of ``context``, or at those of ``x`` itself.

        Args:
            x: (..., N, size).
            context: (..., M, size), or None.

        Returns:
            (..., N, size).
        """
        q, k, v = self._heads(x, context)  # (..., heads, N or M, D)
        seen = attention(q, k, v, causal=self.causal)  # (..., heads, N, D)
        return self.project_out(seen.transpose(-3, -2).flatten(-2))  # (..., N, size)

    def weights(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return how much each token looks at each, (..., num_heads, N, M); each row sums to 1."""
        q, k, _ = self._heads(x, context)
        return attention_weights(q, k, causal=self.causal)

    def _heads(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        for name, tokens in (("x", x), ("context", x if context is None else context)):
            if tokens.ndim < 2 or tokens.shape[-1] != self.size:
                raise ValueError(f"{name}: wanted (..., N, {self.size}), got {tuple(tokens.shape)}")
        if context is None:
            parts = self.project_in(x).chunk(3, dim=-1)  # (..., N, size) each
        else:
            weight, bias = self.project_in.weight, self.project_in.bias
            queries = F.linear(x, weight[: self.size], bias[: self.size])
            parts = queries, *F.linear(context, weight[self.size :], bias[self.size :]).chunk(2, dim=-1)
        q, k, v = (part.unflatten(-1, (self.num_heads, -1)).transpose(-3, -2) for part in parts)
        return (rotate(q), rotate(k), v) if self.rotary else (q, k, v)


class MLP(nn.Sequential):
    """Two layers that look at each token alone, the one between them four times as wide."""

    def __init__(self, size: int) -> None:
        super().__init__(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))


class TransformerBlock(nn.Module):
    """Tokens look at one another, then each thinks for itself; both add to what was there.

    The norm stands before each part, where training is steadier (Xiong et al. 2020, arXiv 2002.04745); in Vaswani et
    al. 2017 it stands behind.
    """

    def __init__(self, size: int, num_heads: int, *, causal: bool = False, rotary: bool = False) -> None:
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.attention = MultiHeadAttention(size, num_heads, causal=causal, rotary=rotary)
        self.mlp = MLP(size)

    def forward(self, x: Tensor) -> Tensor:
        """X and result: (..., N, size)."""
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))


class FactorisedBlock(nn.Module):
    """Look around inside each frame, then along time at each place: two cheap looks for a dear one.

    ``causal`` and ``rotary`` concern time alone.

    Paper:
        Arnab et al. 2021 (ViViT), arXiv 2103.15691, model 3. The divided attention of Bertasius et al. 2021
        (TimeSformer), arXiv 2102.05095, looks along time first.
    """

    def __init__(self, size: int, num_heads: int, *, causal: bool = False, rotary: bool = False) -> None:
        super().__init__()
        self.space_norm, self.time_norm, self.mlp_norm = (nn.LayerNorm(size) for _ in range(3))
        self.space = MultiHeadAttention(size, num_heads)
        self.time = MultiHeadAttention(size, num_heads, causal=causal, rotary=rotary)
        self.mlp = MLP(size)

    def forward(self, x: Tensor) -> Tensor:
        """X and result: (B, T, N, size), N patches in each of T frames."""
        if x.ndim != 4:
            raise ValueError(f"x: wanted (B, T, N, size), got {tuple(x.shape)}")
        x = x + self.space(self.space_norm(x))  # each frame by itself
        along = self.time_norm(x).transpose(1, 2)  # (B, N, T, size): each place by itself
        x = x + self.time(along).transpose(1, 2)
        return x + self.mlp(self.mlp_norm(x))
