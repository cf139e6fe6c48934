"""A causal Transformer that reads a caption and then tokens, and says after each what the next may be."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from course.clips import expect_tensor
from course.layers.attention import KeyValueCache, TransformerBlock
from course.layers.position import LearnedPosition


@dataclass(frozen=True, kw_only=True)
class TokenTransformerConfig:
    """The form of a ``TokenTransformer``.

    Attributes:
        num_codes: K, tokens to choose from.
        tokens_per_frame: tokens in raster order that stand for one frame, or for a group of frames.
        num_words: of the vocabulary of captions; index 0 is the word that is left out.
        max_words: of every caption.
        window: how many tokens each sees, itself included; all see the caption.
        hidden_size: numbers for each token.
        num_layers: blocks, at least 1.
        num_heads: attentions side by side in each block.
        told: how many places before the coming token those stand that are told of, beside the one right before it.
    """

    num_codes: int = 256
    tokens_per_frame: int = 4
    num_words: int = 0
    max_words: int = 5
    window: int = 256
    hidden_size: int = 128
    num_layers: int = 4
    num_heads: int = 4
    told: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check the values."""
        if min(self.num_codes, self.tokens_per_frame, self.max_words, self.window, self.num_layers) < 1:
            raise ValueError(f"wanted sizes of at least 1, got {self}")
        object.__setattr__(self, "told", tuple(self.told))  # a card holds it as a list
        if min(self.told, default=1) < 1:
            raise ValueError(f"told: wanted places of at least 1, got {self.told}")


class TokenTransformer(nn.Module):
    """Say what each token may be, given the caption and the tokens before it.

    A token is told which place of its frame it is for, and which tokens stand around the place of the coming one, in
    its frame and in the one before; how far back another lies, attention sees by rotation. None of it ends at a longest
    clip: where more tokens are drawn than the window holds, each sees the caption and the last ones.

    Paper:
        Ramesh et al. 2021 (DALL-E), arXiv 2102.12092, section 2.2 (text, then image tokens, in one sequence); Yan et
        al. 2021 (VideoGPT), arXiv 2104.10157 (tokens of clips). DALL-E learns to predict the text as well, with an
        eighth of the weight; here the caption is read and not predicted.
    """

    def __init__(self, config: TokenTransformerConfig) -> None:
        super().__init__()
        self.config = config
        size = config.hidden_size
        self.word = nn.Embedding(config.num_words + 1, size)
        self.word_place = LearnedPosition(config.max_words, size)
        self.token = nn.Embedding(config.num_codes, size)
        self.before = nn.ModuleList(nn.Embedding(config.num_codes + 1, size) for _ in config.told)
        self.place = LearnedPosition(config.tokens_per_frame, size)
        for table in (self.word, self.token, *self.before):
            nn.init.normal_(table.weight, std=0.02)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                size,
                config.num_heads,
                causal=True,
                rotary=True,
                window=config.window,
                num_kept=config.max_words,
            )
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(size)
        self.head = nn.Linear(size, config.num_codes)

    def forward(self, words: Tensor, tokens: Tensor) -> Tensor:
        """Say what each token may be.

        Args:
            words: (B, max_words), as of ``captions.indices``.
            tokens: (B, N), whole numbers from 0 to K - 1, in raster order; N may be 0.

        Returns:
            (B, N + 1, K), unnormalised logarithms of probabilities. Those at place i are of token i, from the caption
            and tokens 0 to i - 1; the last ones are of the token that comes next.
        """
        return self.head(self._read(words, tokens)[:, self.config.max_words - 1 :])

    def next_logits(self, words: Tensor, tokens: Tensor, *, cache: list[KeyValueCache] | None = None) -> Tensor:
        """Say what the next token may be: the last of what ``forward`` says.

        Args:
            words: (B, max_words).
            tokens: (B, N).
            cache: from ``empty_cache``, of earlier calls with the same caption and with the first of these tokens:
                what it holds is not computed again. It takes the rest in.

        Returns:
            (B, K).
        """
        return self.head(self._read(words, tokens, cache)[:, -1])

    def empty_cache(self) -> list[KeyValueCache]:
        """Return a cache for each block, which has seen nothing yet."""
        return [block.attention.empty_cache() for block in self.blocks]

    def _read(self, words: Tensor, tokens: Tensor, cache: list[KeyValueCache] | None = None) -> Tensor:
        """Return what the blocks make of words and tokens, (B, max_words + N, hidden_size): of all not in the cache."""
        config = self.config
        expect_tensor(words, "B L", name="words")
        expect_tensor(tokens, "B N", name="tokens")
        if words.shape != (len(tokens), config.max_words):
            raise ValueError(f"words: wanted ({len(tokens)}, {config.max_words}), got {tuple(words.shape)}")
        num_read = cache[0].num_seen if cache else 0
        num_words, N = config.max_words, tokens.shape[1]
        if not 0 <= num_read < num_words + N:
            raise ValueError(f"cache: wanted fewer than {num_words + N} words and tokens, got {num_read}")
        parts = []
        if num_read < num_words:
            parts.append((self.word(words) + self.word_place(num_words))[:, num_read:])
        first = max(0, num_read - num_words)
        if first < N:
            places = torch.arange(first, N, device=tokens.device) % config.tokens_per_frame
            x = self.token(tokens[:, first:]) + self.place(config.tokens_per_frame)[places]
            for num_places, table in zip(config.told, self.before, strict=True):
                x = x + table(_before(tokens, num_places)[:, first:])
            parts.append(x)
        x = torch.cat(parts, dim=1)  # (B, new ones, hidden)
        for block, held in zip(self.blocks, cache or [None] * len(self.blocks), strict=True):
            x = block(x, cache=held)
        return self.norm(x)


def around(width: int, num_places: int) -> tuple[int, ...]:
    """Return how many places before a token those around it stand: in its frame, and in the frame before.

    In raster order, and no further than one place away: of the frame before all nine, of its own frame those above.
    (The one to its left is the last of all, which a causal network sees anyway.) At the edges of a frame such a count
    lands elsewhere, in another row or in the neighbouring frame.

    Args:
        width: tokens in a row.
        num_places: tokens in a frame.
    """
    above = (width - 1, width, width + 1)
    return above + tuple(sorted(num_places + row * width + column for row in (-1, 0, 1) for column in (-1, 0, 1)))


def _before(tokens: Tensor, num_places: int) -> Tensor:
    """Return what stood so many places before the coming token, counted from 1, (B, N); 0 where nothing stood."""
    nothing = tokens.new_full((len(tokens), num_places - 1), -1)
    return torch.cat([nothing, tokens], dim=1)[:, : tokens.shape[1]] + 1
