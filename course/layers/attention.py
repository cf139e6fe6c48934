"""Attention, and the blocks that are made of it. Weights are stacked as PyTorch does, so that they can be copied.

All of it works on (..., N, D): N tokens that look at one another, whatever stands before. So the same layer looks
across the patches of each frame, or across the frames at each place: only the order of the dimensions differs.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course.layers.position import rotate


def attention_weights(q: Tensor, k: Tensor, *, causal: bool = False, visible: Tensor | None = None) -> Tensor:
    """Compute how much each query looks at each key (Vaswani et al. 2017, eq. 1, without the values).

    Args:
        q: (..., N, D), what each token looks for.
        k: (..., M, D), what each token offers.
        causal: query i sees keys 0..i only; N must equal M.
        visible: (N, M), True where a query sees a key, at least one in each row; or None.

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
    if visible is not None:
        scores = scores.masked_fill(~visible, float("-inf"))
    return scores.softmax(dim=-1)


def attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False, visible: Tensor | None = None) -> Tensor:
    """Average the values, each query with weights of its own: scaled dot-product attention.

    Args:
        q: (..., N, D).
        k: (..., M, D).
        v: (..., M, E).
        causal: query i sees keys 0..i only; N must equal M.
        visible: (N, M), True where a query sees a key, at least one in each row; or None.

    Returns:
        (..., N, E).

    Raises:
        ValueError: if the sizes do not fit.

    Paper:
        Vaswani et al. 2017, arXiv 1706.03762, eq. 1.
    """
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"v: wanted a value for each of {k.shape[-2]} keys, got {tuple(v.shape)}")
    return attention_weights(q, k, causal=causal, visible=visible) @ v


def sees(queries: Tensor, keys: Tensor, *, window: int | None = None, num_kept: int = 0) -> Tensor:
    """Say which places a place sees: itself and those before it, the nearest ``window`` of them and the first few.

    Args:
        queries: (N,), places.
        keys: (M,), places.
        window: how many places are seen, the place itself included; None for all.
        num_kept: so many of the first places stay in sight, however far they lie back.

    Returns:
        (N, M), True where a query sees a key.
    """
    distance = queries[:, None] - keys  # (N, M)
    if window is None:
        return distance >= 0
    return (distance >= 0) & ((distance < window) | (keys < num_kept))


class KeyValueCache:
    """The keys and values of the tokens that one attention has seen, so that they are not computed anew.

    With a window, a token overwrites the one that has just left it: what is held does not grow any more. Places are
    counted on all the same, from the first token of all, so that what a token finds here is what it would find without
    a cache. For drawing, not for training: no gradient passes through what is held.

    Args:
        window: how many tokens each sees, itself included; None for all.
        num_kept: so many of the first tokens are never overwritten.
    """

    def __init__(self, *, window: int | None = None, num_kept: int = 0) -> None:
        self.window, self.num_kept = window, num_kept
        self.num_seen = 0
        self._held: Tensor | None = None  # (2, ..., room, D): keys and values

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Take in the keys and values of the next tokens, and return all that these see.

        Args:
            k: (..., N, D).
            v: (..., N, D).

        Returns:
            Keys and values, (..., M, D), in no particular order, and which of them each token sees, (N, M); None where
            each sees all.
        """
        first, self.num_seen = self.num_seen, self.num_seen + k.shape[-2]
        new = torch.stack([k, v])  # (2, ..., N, D)
        if self._held is None:
            self._held = new[..., :0, :]
        if self.num_seen == first + 1:  # what one token overwrites is out of its sight
            self._store(new, first)
            held = self._held if self.num_seen >= self._held.shape[-2] else self._held[..., : self.num_seen, :]
            return held[0], held[1], None
        before = self._places(first)
        places = torch.cat([before, torch.arange(first, self.num_seen)])  # (M,)
        seen = torch.cat([self._held[..., : len(before), :], new], dim=-2)  # (2, ..., M, D)
        for index, place in enumerate(range(first, self.num_seen)):
            self._store(new[..., index : index + 1, :], place)
        return seen[0], seen[1], sees(places[len(before) :], places, window=self.window, num_kept=self.num_kept)

    def _store(self, new: Tensor, place: int) -> None:
        """Put one token, (2, ..., 1, D), where it belongs; double the room when it is full."""
        slot, room = self._slot(place), self._held.shape[-2]
        if slot >= room:
            most = 2 * slot + 64 if self.window is None else min(2 * slot + 64, self.num_kept + self.window)
            more = new.new_zeros(*new.shape[:-2], most - room, new.shape[-1])
            self._held = torch.cat([self._held, more], dim=-2)
        self._held[..., slot, :] = new[..., 0, :]

    def _slot(self, place: int) -> int:
        if self.window is None or place < self.num_kept:
            return place
        return self.num_kept + (place - self.num_kept) % self.window

    def _places(self, num_seen: int) -> Tensor:
        """Return which place each slot holds, after so many tokens."""
        last = 0 if self.window is None else num_seen - self.window
        places = [*range(min(self.num_kept, num_seen)), *range(max(self.num_kept, last), num_seen)]
        return torch.tensor(sorted(places, key=self._slot), dtype=torch.long)


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each on its own share of the numbers (Vaswani et al. 2017, section 3.2.2).

    Args:
        size: numbers for each token.
        num_heads: attentions side by side; ``size`` is shared evenly among them.
        causal: no token sees a later one.
        rotary: turn queries and keys by their place (``position.rotate``).
        window: with ``causal``, how many tokens each sees, itself included; None for all.
        num_kept: so many of the first tokens stay in sight of all behind them.
    """

    def __init__(
        self,
        size: int,
        num_heads: int,
        *,
        causal: bool = False,
        rotary: bool = False,
        window: int | None = None,
        num_kept: int = 0,
    ) -> None:
        super().__init__()
        if num_heads < 1 or size % num_heads or (rotary and size // num_heads % 2):
            share = "an even number of numbers" if rotary else "a whole number of numbers"
            raise ValueError(f"wanted {share} for each head, got {size} numbers for {num_heads} heads")
        if window is not None and (not causal or window < 1):
            raise ValueError(f"window: wanted at least 1 and causal=True, got {window} and causal={causal}")
        self.size, self.num_heads = size, num_heads
        self.causal, self.rotary = causal, rotary
        self.window, self.num_kept = window, num_kept
        self.project_in = nn.Linear(size, 3 * size)  # queries, keys and values, as in nn.MultiheadAttention
        self.project_out = nn.Linear(size, size)

    def forward(self, x: Tensor, context: Tensor | None = None, *, cache: KeyValueCache | None = None) -> Tensor:
        """Let each token of ``x`` look at those of ``context``, or at those of ``x`` itself.

        Args:
            x: (..., N, size).
            context: (..., M, size), or None.
            cache: of what came before ``x``, from ``empty_cache``; takes ``x`` in. None where ``x`` is all there is.

        Returns:
            (..., N, size).
        """
        q, k, v, visible = self._looks(x, context, cache)
        seen = attention(q, k, v, causal=self.causal and visible is None and cache is None, visible=visible)
        return self.project_out(seen.transpose(-3, -2).flatten(-2))  # (..., N, size)

    def weights(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return how much each token looks at each, (..., num_heads, N, M); each row sums to 1."""
        q, k, _, visible = self._looks(x, context, None)
        return attention_weights(q, k, causal=self.causal and visible is None, visible=visible)

    def empty_cache(self) -> KeyValueCache:
        """Return a cache that has seen nothing yet."""
        if not self.causal:
            raise ValueError("a cache: wanted causal=True, where what was seen does not change with what comes")
        return KeyValueCache(window=self.window, num_kept=self.num_kept)

    def _looks(
        self, x: Tensor, context: Tensor | None, cache: KeyValueCache | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Return queries, keys and values, (..., heads, N or M, D), and who sees whom, or None: as ``causal`` says."""
        q, k, v = self._heads(x, context, 0 if cache is None else cache.num_seen)
        if cache is not None:
            return q, *cache.extend(k, v)
        if self.window is None or q.shape[-2] <= self.window:
            return q, k, v, None
        places = torch.arange(q.shape[-2], device=x.device)
        return q, k, v, sees(places, places, window=self.window, num_kept=self.num_kept)

    def _heads(self, x: Tensor, context: Tensor | None, first: int) -> tuple[Tensor, Tensor, Tensor]:
        for name, tokens in (("x", x), ("context", x if context is None else context)):
            if tokens.ndim < 2 or tokens.shape[-1] != self.size:
                raise ValueError(f"{name}: wanted (..., N, {self.size}), got {tuple(tokens.shape)}")
        if context is None:
            parts = self.project_in(x).unflatten(-1, (3, self.num_heads, -1))  # (..., N, 3, heads, D)
            parts = parts.movedim(-3, 0).transpose(-3, -2)  # (3, ..., heads, N, D)
            return (*rotate(parts[:2], start=first), parts[2]) if self.rotary else tuple(parts)
        weight, bias = self.project_in.weight, self.project_in.bias
        queries = F.linear(x, weight[: self.size], bias[: self.size])
        parts = queries, *F.linear(context, weight[self.size :], bias[self.size :]).chunk(2, dim=-1)
        q, k, v = (part.unflatten(-1, (self.num_heads, -1)).transpose(-3, -2) for part in parts)
        return (rotate(q, start=first), rotate(k, start=first), v) if self.rotary else (q, k, v)


class MLP(nn.Sequential):
    """Two layers that look at each token alone, the one between them four times as wide."""

    def __init__(self, size: int) -> None:
        super().__init__(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))


class TransformerBlock(nn.Module):
    """Tokens look at one another, then each thinks for itself; both add to what was there.

    The norm stands before each part, where training is steadier (Xiong et al. 2020, arXiv 2002.04745); in Vaswani et
    al. 2017 it stands behind. The arguments are those of ``MultiHeadAttention``.
    """

    def __init__(
        self,
        size: int,
        num_heads: int,
        *,
        causal: bool = False,
        rotary: bool = False,
        window: int | None = None,
        num_kept: int = 0,
    ) -> None:
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.attention = MultiHeadAttention(
            size, num_heads, causal=causal, rotary=rotary, window=window, num_kept=num_kept
        )
        self.mlp = MLP(size)

    def forward(self, x: Tensor, *, cache: KeyValueCache | None = None) -> Tensor:
        """X and result: (..., N, size); ``cache`` holds what came before ``x`` and takes it in."""
        x = x + self.attention(self.attention_norm(x), cache=cache)
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
