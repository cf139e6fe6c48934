"""Tables of counts that say what the next token may be: the baseline that a Transformer over tokens has to beat."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from course.clips import expect_tensor


@dataclass(frozen=True, kw_only=True)
class NGramConfig:
    """The form of an ``NGram``.

    Attributes:
        num_codes: K, tokens to choose from.
        tokens_per_frame: which place of its frame a token is for is always known.
        num_words: of the vocabulary of captions.
        order: n: a token depends on the n - 1 before it, at most.
        words: which words of the caption are known, from few to many: tuples of their places.
        strength: how many counts the answer of the shorter context is worth beside those of the longer one.
    """

    num_codes: int = 256
    tokens_per_frame: int = 4
    num_words: int = 0
    order: int = 5
    words: Sequence[tuple[int, ...]] = ((), (3, 4), (1, 2), (1, 2, 3, 4))
    strength: float = 4.0


class NGram:
    """Count what stood behind each context, and back off to shorter ones where little was counted.

    Contexts go from few tokens to many and, for each number of tokens, from no word of the caption to all. The answer
    of each is its counts and, worth ``strength`` counts, the answer of the one before; the first one's is that all
    tokens are equally likely. So a caption that was never counted is answered from its words.

    Paper:
        MacKay and Peto 1995, A hierarchical Dirichlet language model (the mixture); Katz 1987 (backing off).
    """

    def __init__(self, config: NGramConfig) -> None:
        self.config = config
        self._contexts = [(length, words) for length in range(config.order) for words in config.words]
        self._tables: list[tuple[Tensor, Tensor]] = []

    def fit(self, words: Tensor, tokens: Tensor) -> "NGram":
        """Count the tokens of clips, and return itself.

        Args:
            words: (B, L), the clips' captions, as of ``captions.indices``.
            tokens: (B, N), whole numbers from 0 to K - 1.
        """
        K = self.config.num_codes
        self._tables = [
            torch.unique(self._keys(words, tokens, *context)[:, :-1] * K + tokens, return_counts=True)
            for context in self._contexts
        ]
        return self

    def __call__(self, words: Tensor, tokens: Tensor) -> Tensor:
        """Say what each token may be.

        Args:
            words: (B, L).
            tokens: (B, N).

        Returns:
            (B, N + 1, K), logarithms of probabilities; see ``TokenTransformer.forward``.
        """
        answer = self._equally_likely(len(tokens), tokens.shape[1] + 1)
        for context, table in zip(self._contexts, self._tables, strict=True):
            keys = self._keys(words, tokens, *context)  # (B, N + 1)
            answer = self._mixed(answer.flatten(0, 1), keys.flatten(), *table).view(answer.shape)
        return answer.log().float()

    def next_logits(self, words: Tensor, tokens: Tensor, *, cache: None = None) -> Tensor:
        """Say what the next token may be, (B, K)."""
        N = tokens.shape[1]
        answer = self._equally_likely(len(tokens))
        for context, table in zip(self._contexts, self._tables, strict=True):
            answer = self._mixed(answer, self._keys(words, tokens, *context)[:, N], *table)
        return answer.log().float()

    def empty_cache(self) -> None:
        """Return None: looking up a count needs no cache."""

    def _equally_likely(self, *shape: int) -> Tensor:
        """Begin with the same for each token, in double precision: many contexts in a row leave it very little."""
        K = self.config.num_codes
        return torch.full((*shape, K), 1 / K, dtype=torch.double)

    def _mixed(self, shorter: Tensor, keys: Tensor, found: Tensor, counts: Tensor) -> Tensor:
        """Mix the counts of contexts, (M,), with the answers of shorter ones, (M, K)."""
        K = self.config.num_codes
        first, end = torch.searchsorted(found, keys * K), torch.searchsorted(found, (keys + 1) * K)
        length = end - first  # (M,): different tokens that stood behind each context
        row = torch.arange(len(keys)).repeat_interleave(length)
        entry = torch.arange(len(row)) + (first - length.cumsum(0) + length).repeat_interleave(length)
        mixed = self.config.strength * shorter
        mixed[row, found[entry] % K] += counts[entry]
        return mixed / mixed.sum(dim=1, keepdim=True)

    def _keys(self, words: Tensor, tokens: Tensor, length: int, which: tuple[int, ...]) -> Tensor:
        """Number the contexts of each token and of the next one: one whole number for each context, (B, N + 1)."""
        expect_tensor(words, "B L", name="words")
        expect_tensor(tokens, "B N", name="tokens")
        config, N = self.config, tokens.shape[1]
        keys = torch.arange(N + 1).expand(len(tokens), -1) % config.tokens_per_frame
        for place in which:
            keys = keys * (config.num_words + 1) + words[:, place, None]
        before = torch.cat([tokens.new_full((len(tokens), length), -1), tokens], dim=1) + 1  # 0 before the first token
        for back in range(length):
            keys = keys * (config.num_codes + 1) + before[:, back : back + N + 1]
        return keys
