"""A diffusion Transformer for clips: patches of space and time as tokens, and a norm that is told the condition."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course.clips import expect_tensor
from course.layers.attention import MLP, MultiHeadAttention
from course.layers.position import LearnedPosition, sinusoidal
from course.models.denoiser import Condition, ConditionEncoder, DenoiserConfig, with_given
from course.models.unet import NUM_GROUPS, ResidualBlock, channels_beside, each_frame


@dataclass(frozen=True, kw_only=True)
class DiTConfig(DenoiserConfig):
    """The form of a ``DiT``, beside what every denoiser's says.

    Attributes:
        size: side of the square frames, in pixels.
        patch_frames: frames of a patch.
        patch_size: side of a patch, in pixels.
        hidden_size: numbers for each token.
        num_layers: blocks.
        num_heads: attentions side by side.
        frame_channels: of the small convolutional encoder that reads each frame before it is cut into patches, and of
            the decoder that draws each frame behind them; 0 for none: pixels are cut as they are.
    """

    size: int = 16
    patch_frames: int = 4
    patch_size: int = 4
    hidden_size: int = 128
    num_layers: int = 6
    num_heads: int = 4
    frame_channels: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        if min(self.num_frames, self.num_channels, self.patch_frames, self.patch_size, self.num_layers) < 1:
            raise ValueError(f"wanted sizes of at least 1, got {self}")
        if self.num_frames % self.patch_frames or self.size % self.patch_size:
            raise ValueError(f"wanted patches that divide {self.num_frames} frames of side {self.size}, got {self}")
        if self.frame_channels % NUM_GROUPS or (self.frame_channels and self.patch_size % _SQUARE):
            raise ValueError(
                f"frame_channels: wanted 0, or a multiple of {NUM_GROUPS} with a patch_size that is a multiple of "
                f"{_SQUARE}, got {self}"
            )

    @property
    def num_tokens(self) -> int:
        """Patches of a clip."""
        return self.num_frames // self.patch_frames * (self.size // self.patch_size) ** 2


class DiTBlock(nn.Module):
    """A Transformer block whose norms are scaled and shifted, and whose parts are let through, by the condition.

    The layer from the condition starts at zero: an untrained block hands on what comes (adaLN-Zero).

    Paper:
        Peebles and Xie 2022, arXiv 2212.09748, section 3.2.
    """

    def __init__(self, size: int, num_heads: int) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(size, num_heads)
        self.mlp = MLP(size)
        self.from_condition = nn.Linear(size, 6 * size)
        nn.init.zeros_(self.from_condition.weight)
        nn.init.zeros_(self.from_condition.bias)

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """x: (B, N, size), vector: (B, size); returns (B, N, size)."""
        scale_1, shift_1, gate_1, scale_2, shift_2, gate_2 = self.from_condition(vector)[:, None].chunk(6, dim=-1)
        x = x + gate_1 * self.attention(modulate(x, scale_1, shift_1))
        return x + gate_2 * self.mlp(modulate(x, scale_2, shift_2))


def modulate(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Bring each token to mean 0 and deviation 1, then let the condition scale and shift it."""
    return F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift


class FrameCoder(nn.Module):
    """Read each frame by convolution, and draw each by convolution, with what was read handed across.

    Args:
        config: of the DiT around whose tokens this stands.

    Paper:
        Xiao et al. 2021, arXiv 2106.14881 (convolutions in the place of a Transformer's patches). Reading and drawing
        are those of the U-Net with shared frames.
    """

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        channels, pixels = config.frame_channels, _SQUARE**2
        self.stem = nn.Conv2d(pixels * (config.num_channels + config.given_channels), channels, 3, padding=1)
        self.enter = ResidualBlock(channels, channels, config.hidden_size)
        self.leave = ResidualBlock(2 * channels, channels, config.hidden_size)
        self.norm = nn.GroupNorm(NUM_GROUPS, channels)
        self.head = nn.Conv2d(channels, pixels * config.num_channels, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.to(memory_format=torch.channels_last)

    def read(self, clips: Tensor, vector: Tensor) -> Tensor:
        """Clips: (B, T, C, H, W), vector: (B, hidden_size); returns (B, T, frame_channels, H / 2, W / 2)."""
        return self.enter(each_frame(self.stem, F.pixel_unshuffle(clips, _SQUARE)), vector)

    def draw(self, frames: Tensor, read: Tensor, vector: Tensor) -> Tensor:
        """Frames: as ``read`` made them, which is handed across; returns (B, T, num_channels, H, W)."""
        x = self.leave(channels_beside(frames, read), vector).flatten(0, 1)
        drawn = F.pixel_shuffle(self.head(F.silu(self.norm(x))), _SQUARE)
        return drawn.unflatten(0, frames.shape[:2])


class DiT(nn.Module):
    """Answer with a clip for a noisy clip, its noise step and what is known of it.

    Paper:
        Peebles and Xie 2022, arXiv 2212.09748. Patches that reach over frames: Arnab et al. 2021 (ViViT), arXiv
        2103.15691, section 3.2 (tubelets). Differs: the table of positions begins as sines and is trained on.
    """

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.config = config
        size, channels, seen = config.hidden_size, config.num_channels, config.num_channels + config.given_channels
        self.coder, self.patch_size = None, config.patch_size
        if config.frame_channels:
            self.coder, self.patch_size = FrameCoder(config), config.patch_size // _SQUARE
            channels = seen = config.frame_channels
        pixels = config.patch_frames * self.patch_size**2
        self.condition = ConditionEncoder(size, config)
        self.embed = nn.Linear(pixels * seen, size)
        self.place = LearnedPosition(config.num_tokens, size)
        side = config.size // config.patch_size
        self.place.table.data = _waves(config.num_frames // config.patch_frames, side, side, size=size)
        self.blocks = nn.ModuleList(DiTBlock(size, config.num_heads) for _ in range(config.num_layers))
        self.from_condition = nn.Linear(size, 2 * size)
        self.head = nn.Linear(size, pixels * channels)
        for layer in (self.from_condition, self.head):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, noisy: Tensor, noise_step: Tensor, condition: Condition) -> Tensor:
        """Answer for each clip.

        Args:
            noisy: (B, T, C, size, size), values about -1 to 1, more where there is noise.
            noise_step: (B,), from 0 to 1.
            condition: of the same B clips.

        Returns:
            (B, T, C, size, size).
        """
        config = self.config
        expect_tensor(noisy, "B T C H W", name="noisy")
        wanted = (config.num_frames, config.num_channels, config.size, config.size)
        if noisy.shape[1:] != wanted:
            raise ValueError(f"noisy: wanted (B, {', '.join(map(str, wanted))}), got {tuple(noisy.shape)}")
        vector = F.silu(self.condition(noise_step, condition))  # (B, hidden_size)
        x = with_given(noisy, condition.given, config.given_channels)
        if self.coder is not None:
            x = read = self.coder.read(x, vector)  # (B, T, frame_channels, size / 2, size / 2)
        x = self.embed(patches(x, config.patch_frames, self.patch_size)) + self.place(config.num_tokens)
        for block in self.blocks:
            x = block(x, vector)  # (B, N, hidden_size)
        scale, shift = self.from_condition(vector)[:, None].chunk(2, dim=-1)
        x = self.head(modulate(x, scale, shift))  # (B, N, values of a patch)
        x = clip_of(x, config.patch_frames, self.patch_size, side=config.size // config.patch_size)
        return x if self.coder is None else self.coder.draw(x, read, vector)


def patches(clips: Tensor, patch_frames: int, patch_size: int) -> Tensor:
    """Cut clips into patches: (B, T, C, H, W) to (B, N, patch_frames * C * patch_size * patch_size), N in T, H, W."""
    x = clips.unflatten(1, (-1, patch_frames)).unflatten(4, (-1, patch_size)).unflatten(-1, (-1, patch_size))
    return x.permute(0, 1, 4, 6, 2, 3, 5, 7).flatten(4).flatten(1, 3)  # from (B, t, f, C, h, p, w, q)


def clip_of(tokens: Tensor, patch_frames: int, patch_size: int, *, side: int) -> Tensor:
    """Put patches together again, ``side`` by ``side`` in each frame: the inverse of ``patches``."""
    x = tokens.unflatten(2, (patch_frames, -1, patch_size, patch_size)).unflatten(1, (-1, side, side))
    x = x.permute(0, 1, 4, 5, 2, 6, 3, 7)  # (B, t, f, C, h, p, w, q)
    return x.flatten(6, 7).flatten(4, 5).flatten(1, 2)


def _waves(*lengths: int, size: int) -> Tensor:
    """Give each place of a grid the waves of its coordinates side by side, (places, size): neighbours look alike."""
    share = size // len(lengths) // 2 * 2
    shares = [size - share * (len(lengths) - 1)] + [share] * (len(lengths) - 1)
    tables = [sinusoidal(length, share) for length, share in zip(lengths, shares, strict=True)]
    grid = torch.cartesian_prod(*(torch.arange(length) for length in lengths))  # (places, coordinates)
    return torch.cat([table[grid[:, axis]] for axis, table in enumerate(tables)], dim=1)


_SQUARE = 2
"""Side of the squares of pixels that are one place for the convolutions, as in the U-Net."""
