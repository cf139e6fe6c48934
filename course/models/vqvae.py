"""An autoencoder whose code is tokens: a clip becomes a few whole numbers, and these become the clip again.

Each frame (or each group of a few frames) is encoded by itself, so that the tokens of the first frames can be had
without the rest. The decoder sees the tokens of all frames together: what the rounding of one frame blurs, its
neighbours make good.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course.clips import expect_tensor
from course.layers.quantization import FiniteScalarQuantizer, Quantized, VectorQuantizer

QUANTIZERS: tuple[str, ...] = ("vector", "finite scalar")
_NUM_GROUPS = 8


@dataclass(frozen=True, kw_only=True)
class VQVAEConfig:
    """The form of a ``VQVAE``.

    Attributes:
        num_frames: T of the clips.
        num_channels: C of the frames.
        size: side of the square frames, in pixels.
        frames_per_token: successive frames that are encoded together, a divisor of ``num_frames``.
        patch_size: side of the squares of pixels that become the channels of one place.
        hidden_channels: of each level, from whole patches downwards; each next level has half as many rows, and the
            places of the last are those of the tokens.
        time_channels: of the layers that see all frames at once.
        quantizer: one of ``QUANTIZERS``.
        num_codes: K of the vector quantizer.
        code_size: numbers of each of its codes.
        levels: of the finite scalar quantizer.
    """

    num_frames: int = 8
    num_channels: int = 3
    size: int = 16
    frames_per_token: int = 1
    patch_size: int = 4
    hidden_channels: tuple[int, ...] = (64,)
    time_channels: int = 48
    quantizer: str = "vector"
    num_codes: int = 64
    code_size: int = 4
    levels: tuple[int, ...] = (4, 4, 4)

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("hidden_channels", "levels"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # a card's JSON brings a list
        if self.quantizer not in QUANTIZERS:
            raise ValueError(f"quantizer: wanted one of {QUANTIZERS}, got {self.quantizer!r}")
        if self.num_frames % self.frames_per_token:
            raise ValueError(f"frames_per_token: wanted a divisor of {self.num_frames}, got {self.frames_per_token}")
        side = self.patch_size * 2 ** (len(self.hidden_channels) - 1)
        if not self.hidden_channels or self.size % side:
            raise ValueError(f"size: wanted a multiple of {side} pixels, the side of a token, got {self.size}")
        if any(channels % _NUM_GROUPS for channels in (*self.hidden_channels, self.time_channels)):
            raise ValueError(f"channels: wanted multiples of {_NUM_GROUPS}, got {self}")

    @property
    def grid_size(self) -> int:
        """Tokens a side of each group of frames."""
        return self.size // (self.patch_size * 2 ** (len(self.hidden_channels) - 1))

    @property
    def num_groups(self) -> int:
        """Groups of frames: T'."""
        return self.num_frames // self.frames_per_token

    @property
    def tokens_per_group(self) -> int:
        """Tokens of each group of frames."""
        return self.grid_size**2

    @property
    def num_tokens(self) -> int:
        """Tokens of a clip."""
        return self.num_groups * self.tokens_per_group


class ResidualBlock(nn.Sequential):
    """Two convolutions; what they make is added to what came."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.GroupNorm(_NUM_GROUPS, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(_NUM_GROUPS, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """X and result: (N, channels, H, W)."""
        return x + super().forward(x)


class VQVAE(nn.Module):
    """Encode a clip as tokens, and decode tokens as a clip.

    Paper:
        van den Oord, Vinyals and Kavukcuoglu 2017, arXiv 1711.00937 (VQ-VAE); Yan et al. 2021 (VideoGPT),
        arXiv 2104.10157, for clips, with 3D convolutions and axial attention where frames are stacked here.
    """

    def __init__(self, config: VQVAEConfig) -> None:
        super().__init__()
        self.config = config
        if config.quantizer == "vector":
            self.quantizer = VectorQuantizer(config.num_codes, config.code_size)
        else:
            self.quantizer = FiniteScalarQuantizer(config.levels)
        pixels = config.patch_size**2 * config.num_channels * config.frames_per_token
        channels = config.hidden_channels
        encoder = [
            nn.PixelUnshuffle(config.patch_size),
            nn.Conv2d(pixels, channels[0], 3, padding=1),
            ResidualBlock(channels[0]),
        ]
        for wide, deep in pairwise(channels):
            encoder += [nn.Conv2d(wide, deep, 2, stride=2), ResidualBlock(deep)]
        norm = nn.GroupNorm(_NUM_GROUPS, channels[-1])
        self.encoder = nn.Sequential(*encoder, norm, nn.SiLU(), nn.Conv2d(channels[-1], self.quantizer.code_size, 1))

        self.enter = nn.Conv2d(self.quantizer.code_size, channels[-1], 1)
        self.gather = nn.Conv2d(config.num_groups * channels[-1], config.time_channels, 1)
        self.time = ResidualBlock(config.time_channels)
        self.spread = nn.Conv2d(config.time_channels, config.num_groups * channels[-1], 1)
        decoder = [ResidualBlock(channels[-1])]
        for deep, wide in pairwise(reversed(channels)):
            decoder += [nn.ConvTranspose2d(deep, wide, 2, stride=2), ResidualBlock(wide)]
        norm = nn.GroupNorm(_NUM_GROUPS, channels[0])
        self.decoder = nn.Sequential(
            *decoder,
            norm,
            nn.SiLU(),
            nn.Conv2d(channels[0], pixels, 3, padding=1),
            nn.PixelShuffle(config.patch_size),
        )

    @property
    def num_codes(self) -> int:
        """How many tokens there are to choose from: K."""
        return self.quantizer.num_codes

    def forward(self, clips: Tensor) -> tuple[Tensor, Quantized]:
        """Encode and decode clips, for training.

        Args:
            clips: (B, T, C, H, W), values in [0, 1].

        Returns:
            Clips of the same shape, whose values may leave [0, 1], and what was quantized: tokens (B, T', rows,
            columns).
        """
        quantized = self.quantizer(self._latents(clips))
        return self._drawn(quantized.vectors), quantized

    @torch.no_grad()
    def encode(self, clips: Tensor) -> Tensor:
        """Return the tokens of clips, in raster order: group by group, row by row.

        Args:
            clips: (B, t, C, H, W), values in [0, 1]; t may be less than T: the first frames alone.

        Returns:
            (B, N), whole numbers from 0 to K - 1.
        """
        return self.quantizer.nearest(self._latents(clips)).flatten(1)  # (B, N)

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        """Draw the clips of tokens.

        Args:
            tokens: (B, N), as of ``encode``.

        Returns:
            (B, T, C, H, W), values in [0, 1].
        """
        config = self.config
        if tokens.shape[1:] != (config.num_tokens,):
            raise ValueError(f"tokens: wanted (B, {config.num_tokens}), got {tuple(tokens.shape)}")
        tokens = tokens.unflatten(1, (config.num_groups, config.grid_size, config.grid_size))
        return self._drawn(self.quantizer.look_up(tokens)).clamp(0, 1)

    def _latents(self, clips: Tensor) -> Tensor:
        """Return the vectors to quantize, (B, T', rows, columns, D)."""
        expect_tensor(clips, "B T C H W", name="clips")
        config, num_frames = self.config, clips.shape[1]
        frame = (config.num_channels, config.size, config.size)
        fits = 0 < num_frames <= config.num_frames and num_frames % config.frames_per_token == 0
        if clips.shape[2:] != frame or not fits:
            wanted = f"(B, {config.num_frames}, {', '.join(map(str, frame))}) or the first frames alone"
            raise ValueError(f"clips: wanted {wanted}, got {tuple(clips.shape)}")
        groups = clips.unflatten(1, (-1, config.frames_per_token)).flatten(2, 3)  # (B, T', frames * C, H, W)
        latents = self.encoder(2 * groups.flatten(0, 1) - 1)  # (B * T', D, rows, columns)
        return latents.unflatten(0, groups.shape[:2]).movedim(2, -1)

    def _drawn(self, vectors: Tensor) -> Tensor:
        """Draw the clips of vectors, (B, T', rows, columns, D)."""
        config = self.config
        B = len(vectors)
        x = self.enter(vectors.movedim(-1, 2).flatten(0, 1))  # (B * T', channels, rows, columns)
        along = self.time(self.gather(x.unflatten(0, (B, -1)).flatten(1, 2)))  # (B, time_channels, rows, columns)
        x = x + self.spread(F.silu(along)).unflatten(1, (config.num_groups, -1)).flatten(0, 1)
        frames = self.decoder(x).unflatten(1, (config.frames_per_token, -1))  # (B * T', frames, C, H, W)
        return frames.unflatten(0, (B, -1)).flatten(1, 2)  # (B, T, C, H, W)
