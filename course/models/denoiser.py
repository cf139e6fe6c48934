"""What a denoiser is told beside the noisy clip: how much noise, which words, and what is known of the clip already.

Both networks of the course, the U-Net and the DiT, are asked in the same way, and a sampler cannot tell them apart:
``denoiser(noisy, noise_step, condition)`` gives a clip.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from course.clips import expect_tensor
from course.layers.attention import TransformerBlock
from course.layers.position import LearnedPosition, waves


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What is known of B clips.

    Attributes:
        words: (B, L), whole numbers: indices of words, as of ``captions.indices``; 0 stands for a word that is left
            out. None for a network that takes no words.
        given: (B, T, C', H, W), what is seen beside the noisy clip, such as the clip at a lower resolution; or None.
        levels: (B, K), numbers from 0 to 1 that are told as the noise step is, such as the noise on ``given``; or None.
    """

    words: Tensor | None = None
    given: Tensor | None = None
    levels: Tensor | None = None

    def without_words(self) -> "Condition":
        """Return the same with all words left out: what guidance starts from."""
        return self if self.words is None else replace(self, words=torch.zeros_like(self.words))

    def __getitem__(self, clips: slice | Tensor) -> "Condition":
        """Return the condition of some of the clips."""
        parts = {name: value if value is None else value[clips] for name, value in vars(self).items()}
        return Condition(**parts)


@dataclass(frozen=True, kw_only=True)
class DenoiserConfig:
    """What the form of every denoiser says.

    Attributes:
        num_frames: T.
        num_channels: C of the frames.
        given_channels: C' of what is seen beside the noisy clip, 0 for nothing.
        num_words: of the vocabulary; 0 for a network that takes no words.
        max_words: of the longest caption.
        num_levels: numbers told beside the noise step.
        caption_layers: Transformer blocks that read the caption.
    """

    num_frames: int = 8
    num_channels: int = 3
    given_channels: int = 0
    num_words: int = 0
    max_words: int = 5
    num_levels: int = 0
    caption_layers: int = 0


class CaptionEncoder(nn.Module):
    """Make one vector of a caption: words look at one another, then their mean is taken.

    Args:
        num_words: of the vocabulary; index 0 is the word that is left out.
        max_words: of the longest caption.
        size: of the vector.
        num_layers: Transformer blocks; with none, the words are added up and their order is lost: enough for one
            sprite, whose colour, shape and phrase are different words, and not for two.
    """

    def __init__(self, num_words: int, max_words: int, size: int, *, num_layers: int = 0) -> None:
        super().__init__()
        self.word = nn.Embedding(num_words + 1, size)
        self.place = LearnedPosition(max_words, size)
        self.blocks = nn.Sequential(*(TransformerBlock(size, 4) for _ in range(num_layers)))

    def forward(self, words: Tensor) -> Tensor:
        """Words: (B, L); returns (B, size)."""
        expect_tensor(words, "B L", name="words")
        x = self.word(words) + self.place(words.shape[1])  # (B, L, size)
        return self.blocks(x).sum(dim=1) * words.shape[1] ** -0.5


class ConditionEncoder(nn.Module):
    """Make one vector of the noise step, the levels and the words.

    Args:
        size: of the vector.
        config: how many words and levels there are, and how the caption is read.
    """

    def __init__(self, size: int, config: DenoiserConfig) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Linear(_WAVES, size), nn.SiLU(), nn.Linear(size, size))
            for _ in range(1 + config.num_levels)
        )
        self.caption = None
        if config.num_words:
            self.caption = CaptionEncoder(config.num_words, config.max_words, size, num_layers=config.caption_layers)

    def forward(self, noise_step: Tensor, condition: Condition) -> Tensor:
        """noise_step: (B,); returns (B, size)."""
        told = [noise_step] if condition.levels is None else [noise_step, *condition.levels.unbind(dim=1)]
        if len(told) != len(self.levels):
            raise ValueError(f"levels: wanted {len(self.levels) - 1} for each clip, got {len(told) - 1}")
        if (condition.words is None) != (self.caption is None):
            wanted = "no words" if self.caption is None else "words, 0 where one is left out"
            raise ValueError(f"words: wanted {wanted}, got {condition.words}")
        vector = sum(layer(waves(value, _WAVES)) for layer, value in zip(self.levels, told, strict=True))
        return vector if self.caption is None else vector + self.caption(condition.words)


def with_given(noisy: Tensor, given: Tensor | None, given_channels: int) -> Tensor:
    """Put what is seen beside the noisy clip behind its channels.

    Args:
        noisy: (B, T, C, H, W).
        given: (B, T, given_channels, H, W), or None if that is none.
        given_channels: how many the network was made for.

    Returns:
        (B, T, C + given_channels, H, W).
    """
    wanted = (*noisy.shape[:2], given_channels, *noisy.shape[3:])
    came = (*noisy.shape[:2], 0, *noisy.shape[3:]) if given is None else tuple(given.shape)
    if came != wanted:
        raise ValueError(f"given: wanted {wanted}, got {came}")
    return noisy if given is None else torch.cat([noisy, given], dim=2)


_WAVES = 64
