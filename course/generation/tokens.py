"""Draw tokens one after the other, each from what a model says of it after those before.

The model is anything with ``next_logits(words, tokens, cache=...)`` and ``empty_cache()``: a Transformer, or a table of
counts.
"""

from typing import Protocol

import torch
from torch import Tensor


class TokenModel(Protocol):
    """What can be drawn from."""

    def next_logits(self, words: Tensor, tokens: Tensor, *, cache: object | None = None) -> Tensor:
        """Words (B, L) and tokens (B, N) to logits of the next token, (B, K)."""
        ...

    def empty_cache(self) -> object:
        """Return a cache that has seen nothing, or None for a model that needs none."""
        ...


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Rule out all but the k most likely tokens.

    Args:
        logits: (..., K).
        k: at least 1.

    Returns:
        (..., K), minus infinity where a token is ruled out.

    Paper:
        Fan, Lewis and Dauphin 2018, arXiv 1805.04833.
    """
    if k < 1:
        raise ValueError(f"k: wanted at least 1, got {k}")
    least = logits.topk(min(k, logits.shape[-1]), dim=-1).values[..., -1:]  # (..., 1)
    return logits.masked_fill(logits < least, float("-inf"))


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Rule out all but the nucleus: the fewest tokens, the likeliest first, that together have probability p or more.

    Args:
        logits: (..., K).
        p: above 0, at most 1.

    Returns:
        (..., K), minus infinity where a token is ruled out.

    Paper:
        Holtzman et al. 2019, arXiv 1904.09751, section 3.1.
    """
    if not 0 < p <= 1:
        raise ValueError(f"p: wanted a number above 0 and at most 1, got {p}")
    ordered, order = logits.sort(dim=-1, descending=True)
    share = ordered.softmax(dim=-1)
    before = share.cumsum(dim=-1) - share  # of the likelier ones: below p, the nucleus is not full yet
    ordered = ordered.masked_fill(before >= p, float("-inf"))
    return torch.empty_like(logits).scatter(-1, order, ordered)


def shaped(logits: Tensor, *, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None) -> Tensor:
    """Return the probabilities to draw from.

    Args:
        logits: (..., K).
        temperature: what logits are divided by, before anything is ruled out; 0 leaves the likeliest token alone.
        top_k: so many tokens are left; None for all.
        top_p: the probability of the tokens that are left; None for all.

    Returns:
        (..., K); each row sums to 1.
    """
    if temperature < 0:
        raise ValueError(f"temperature: wanted at least 0, got {temperature}")
    if temperature == 0:
        return torch.zeros_like(logits).scatter(-1, logits.argmax(dim=-1, keepdim=True), 1.0)
    logits = logits / temperature
    if top_k is not None:
        logits = keep_top_k(logits, top_k)
    if top_p is not None:
        logits = keep_top_p(logits, top_p)
    return logits.softmax(dim=-1)


@torch.no_grad()
def sample_tokens(
    model: TokenModel,
    words: Tensor,
    num_tokens: int,
    *,
    generator: torch.Generator,
    given: Tensor | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    guidance: float = 1.0,
    cached: bool = True,
) -> Tensor:
    """Draw tokens behind captions, and behind tokens that are given.

    To draw frame by frame, give what is there and ask for one frame more: with the same generator that makes the same
    tokens as asking for all at once.

    Args:
        model: what says how likely each token is.
        words: (B, L), as of ``captions.indices``.
        num_tokens: N, those that are given included.
        generator: the only source of chance.
        given: (B, n), the first tokens, such as those of a first frame; None for none.
        temperature: see ``shaped``.
        top_k: see ``shaped``.
        top_p: see ``shaped``.
        guidance: scale; 1 asks the model once for each token, others ask it about an empty caption as well and go from
            that answer towards, or beyond, the caption's.
        cached: keep what attention has computed; the tokens are the same without, and take longer.

    Returns:
        (B, N).

    Paper:
        Guidance of tokens: Gafni et al. 2022 (Make-A-Scene), arXiv 2203.13131.
    """
    B = len(words)
    tokens = torch.zeros(B, 0, dtype=torch.long) if given is None else given
    if tokens.ndim != 2 or len(tokens) != B or tokens.shape[1] > num_tokens:
        raise ValueError(f"given: wanted ({B}, at most {num_tokens}), got {tuple(tokens.shape)}")
    guided = guidance != 1
    asked = torch.cat([words, torch.zeros_like(words)]) if guided else words
    cache = model.empty_cache() if cached else None
    while tokens.shape[1] < num_tokens:
        seen = torch.cat([tokens, tokens]) if guided else tokens
        logits = model.next_logits(asked, seen, cache=cache)  # (B or 2 B, K)
        if guided:
            with_words, without = logits.chunk(2)
            logits = without + guidance * (with_words - without)
        probabilities = shaped(logits, temperature=temperature, top_k=top_k, top_p=top_p)
        drawn = torch.multinomial(probabilities, 1, generator=generator)  # (B, 1)
        tokens = torch.cat([tokens, drawn], dim=1)
    return tokens
