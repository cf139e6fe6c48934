"""A convolutional network that reads clips: frame by frame, in space and time at once, or in one after the other."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from course.clips import expect_tensor
from course.layers.convolution import Conv2Plus1d, Conv3d

KERNELS = {"2d": (1, 3, 3), "3d": (3, 3, 3), "2plus1d": (3, 3, 3)}
"""Kernel sizes (T, H, W) of each kind of network."""


@dataclass(frozen=True, kw_only=True)
class VideoCNNConfig:
    """How a network is built.

    Attributes:
        kind: ``"2d"`` looks at each frame alone, ``"3d"`` at three frames in each layer, ``"2plus1d"`` at three frames
            through a convolution over space and one over time.
        channels: of each layer, at least 1.
        num_layers: at least 1; from the second on, each halves height and width.
        causal: let no layer look at later frames.
        in_channels: colours of the clips.
        output_size: numbers to give for each clip, such as one for each class.
    """

    kind: Literal["2d", "3d", "2plus1d"] = "3d"
    channels: int = 16
    num_layers: int = 3
    causal: bool = False
    in_channels: int = 3
    output_size: int = 2

    def __post_init__(self) -> None:
        """Check the values."""
        if self.kind not in KERNELS:
            raise ValueError(f"kind: wanted one of {', '.join(KERNELS)}, got {self.kind!r}")
        for name in ("channels", "num_layers", "in_channels", "output_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}: wanted a whole number of at least 1, got {value!r}")


class VideoCNN(nn.Module):
    """Convolutions, the mean over all frames and places, and a linear layer: clips of any length and size go in.

    The mean makes the size free (Lin et al. 2013, arXiv 1312.4400; they take it of one channel for each class).
    """

    def __init__(self, config: VideoCNNConfig) -> None:
        super().__init__()
        self.config = config
        layer = Conv2Plus1d if config.kind == "2plus1d" else Conv3d
        sizes = pairwise([config.in_channels] + [config.channels] * config.num_layers)
        self.layers = nn.ModuleList(
            layer(size, out, KERNELS[config.kind], causal=config.causal, stride=(1, 2, 2) if index else 1)
            for index, (size, out) in enumerate(sizes)
        )
        self.head = nn.Linear(config.channels, config.output_size)

    def forward(self, clips: Tensor) -> Tensor:
        """clips: (B, T, in_channels, H, W); returns (B, output_size)."""
        return self.head(self.features(clips).mean(dim=(1, 3, 4)))

    def features(self, clips: Tensor) -> Tensor:
        """Return what the last layer shows; at T frames of H x W, (B, T, channels, H', W')."""
        expect_tensor(clips, "B T C H W", name="clips")
        if clips.shape[2] != self.config.in_channels:
            raise ValueError(f"clips: wanted (B, T, {self.config.in_channels}, H, W), got {tuple(clips.shape)}")
        x = clips.transpose(1, 2)  # (B, C, T, H, W)
        for layer in self.layers:
            x = layer(x).relu()
        return x.transpose(1, 2)  # (B, T, channels, H', W')


def num_parameters(config: VideoCNNConfig) -> int:
    """Count the parameters of a network, without making them."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in VideoCNN(config).parameters())


def with_parameters(config: VideoCNNConfig, number: int) -> VideoCNNConfig:
    """Change the channels so that the network has as nearly as possible a given number of parameters.

    One channel more or less is the step, so a network of n channels comes within about 100 / n percent.
    """
    below = config = replace(config, channels=1)
    while num_parameters(config) < number:
        below, config = config, replace(config, channels=config.channels + 1)
    return min(below, config, key=lambda c: abs(num_parameters(c) - number))
