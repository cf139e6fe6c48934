"""SimVP: a predictor made of convolutions alone, all frames at once; its translator uses gated attention."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course.clips import expect_tensor


@dataclass(frozen=True, kw_only=True)
class SimVPConfig:
    """The form of a ``SimVP``.

    Attributes:
        num_channels: C of the frames.
        num_frames: T of the context, and of what is predicted in one call.
        patch_size: 1, 2 or 4: side of the squares of pixels that become the channels of one place.
        spatial_channels: of the encoder and the decoder, for each frame.
        temporal_channels: of the translator, for all frames together.
        num_blocks: gated blocks of the translator.
        expansion: how many times as many channels the inside of a block's MLP has.
    """

    num_channels: int = 1
    num_frames: int = 10
    patch_size: int = 4
    spatial_channels: int = 16
    temporal_channels: int = 64
    num_blocks: int = 6
    expansion: int = 4

    def __post_init__(self) -> None:
        """Check the values."""
        if min(vars(self).values()) < 1 or self.spatial_channels % 2:
            raise ValueError(f"wanted numbers of at least 1, and even spatial_channels, got {self}")
        if self.patch_size not in (1, 2, 4):
            raise ValueError(f"patch_size: wanted 1, 2 or 4, got {self.patch_size}")


class GatedAttention(nn.Module):
    """A convolution over a wide neighbourhood, in cheap pieces, that is let through by a gate computed beside it.

    Each channel is convolved by itself, with a kernel of 5x5 and then with one of 7x7 whose taps stand 3 apart:
    together they see 23x23 places. A 1x1 convolution mixes the channels into values and gates; what leaves is
    ``values * sigmoid(gates)``.

    Paper:
        Tan et al. 2022, arXiv 2211.12509 (gated spatiotemporal attention), after the large kernel attention of Guo et
        al. 2022, arXiv 2202.09741.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.far = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.mix = nn.Conv2d(channels, 2 * channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, channels, H, W); the result has the same form."""
        values, gates = self.mix(_spread(self.far, self.near(x), 3)).chunk(2, dim=1)
        return values * gates.sigmoid()


def _spread(layer: nn.Conv2d, x: Tensor, distance: int) -> Tensor:
    """Convolve as if the taps of the kernel stood some places apart (a dilated convolution).

    Such a kernel sees only places whose rows and columns differ by multiples of the distance: these are pictures of
    their own, ``distance * distance`` of them. PyTorch has dilation built in, at more than twice the CPU time.
    """
    H, W = x.shape[2:]
    x = F.pad(x, (0, -W % distance, 0, -H % distance))
    x = x.unflatten(3, (-1, distance)).unflatten(2, (-1, distance))  # (B, C, H / distance, distance, W / distance, ...)
    grids = x.permute(0, 3, 5, 1, 2, 4).flatten(0, 2).contiguous(memory_format=torch.channels_last)
    grids = layer(grids).unflatten(0, (-1, distance, distance))  # (B, distance, distance, C, H', W')
    x = grids.permute(0, 3, 4, 1, 5, 2).flatten(4, 5).flatten(2, 3)[:, :, :H, :W]
    return x.contiguous(memory_format=torch.channels_last)


class GatedBlock(nn.Module):
    """Gated attention between 1x1 convolutions, then an MLP over the channels of each place; both are added to x."""

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        inside = expansion * channels
        self.attend = nn.Sequential(
            nn.GroupNorm(1, channels),
            nn.Conv2d(channels, channels, 1),
            nn.GELU(),
            GatedAttention(channels),
            nn.Conv2d(channels, channels, 1),
        )
        self.mlp = nn.Sequential(
            nn.GroupNorm(1, channels),
            nn.Conv2d(channels, inside, 1),
            nn.Conv2d(inside, inside, 3, padding=1, groups=inside),
            nn.GELU(),
            nn.Conv2d(inside, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, channels, H, W); the result has the same form."""
        x = x + self.attend(x)
        return x + self.mlp(x)


class SimVP(nn.Module):
    """Encode each frame, translate the features of all context frames into those of all future ones, decode each.

    The translator works at a quarter of the side. The features of the encoder's first convolution go past it to the
    decoder: frame t of the context helps to draw frame t of the prediction.

    Paper:
        Gao et al. 2022, arXiv 2206.05099; the translator of Tan et al. 2022, arXiv 2211.12509. Differs: group norm in
        place of batch norm; with a ``patch_size`` above 1 the encoder begins at a smaller side.
    """

    def __init__(self, config: SimVPConfig) -> None:
        super().__init__()
        self.config = config
        S, T, N = config.spatial_channels, config.temporal_channels, config.num_frames
        folded = config.num_channels * config.patch_size**2
        num_halvings = {1: 2, 2: 1, 4: 0}[config.patch_size]
        self.first = _convolution(folded, S)
        self.encoder = nn.Sequential(*(_convolution(S, S, stride=2) for _ in range(num_halvings)), _convolution(S, S))
        self.translator = nn.Sequential(
            nn.Conv2d(N * S, T, 1),
            *(GatedBlock(T, config.expansion) for _ in range(config.num_blocks)),
            nn.Conv2d(T, N * S, 1),
        )
        self.decoder = nn.Sequential(_convolution(S, S), *(_enlargement(S) for _ in range(num_halvings)))
        self.last = _convolution(S, S)
        self.readout = nn.Conv2d(S, folded, 1)
        self.to(memory_format=torch.channels_last)  # on a CPU, convolutions of few channels are quicker so

    def forward(self, context: Tensor, horizon: int) -> Tensor:
        """Predict the frames that follow.

        Args:
            context: (B, num_frames, C, H, W); H and W are multiples of 4.
            horizon: frames to predict; more than ``num_frames`` are predicted from those predicted before.

        Returns:
            (B, horizon, C, H, W), not confined to [0, 1].
        """
        expect_tensor(context, "B T C H W", name="context")
        wanted, (H, W) = (self.config.num_frames, self.config.num_channels), context.shape[3:]
        if context.shape[1:3] != wanted or H % 4 or W % 4 or horizon < 1:
            raise ValueError(
                f"wanted a context (B, {', '.join(map(str, wanted))}, H, W) with sides that are multiples of 4, "
                f"and a horizon of at least 1, got {tuple(context.shape)} and {horizon}"
            )
        predicted = [self._predict(context)]
        while len(predicted) * wanted[0] < horizon:
            predicted.append(self._predict(predicted[-1]))
        return torch.cat(predicted, dim=1)[:, :horizon]

    def _predict(self, context: Tensor) -> Tensor:
        """Predict as many frames as are given."""
        B, T = context.shape[:2]
        x = F.pixel_unshuffle(context.flatten(0, 1), self.config.patch_size)  # (B * T, C * patch_size ** 2, H', W')
        first = self.first(x.contiguous(memory_format=torch.channels_last))  # (B * T, S, H', W')
        features = self.encoder(first)  # (B * T, S, H / 4, W / 4)
        features = self.translator(features.unflatten(0, (B, T)).flatten(1, 2))  # (B, T * S, H / 4, W / 4)
        features = self.decoder(features.unflatten(1, (T, -1)).flatten(0, 1))  # (B * T, S, H', W')
        x = self.readout(self.last(features + first))  # (B * T, C * patch_size ** 2, H', W')
        return F.pixel_shuffle(x, self.config.patch_size).unflatten(0, (B, T))


def _convolution(below: int, above: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(below, above, 3, stride, padding=1), nn.GroupNorm(2, above), nn.SiLU())


def _enlargement(channels: int) -> nn.Sequential:
    """Double the side: each place becomes four, from as many groups of channels."""
    return nn.Sequential(
        nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2), nn.GroupNorm(2, channels), nn.SiLU()
    )
