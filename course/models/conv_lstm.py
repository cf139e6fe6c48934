"""The encoder-forecaster of convolutional LSTM cells: the first network made for the field's moving digits."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course.clips import expect_tensor
from course.layers.recurrent import ConvLSTMCell, State


@dataclass(frozen=True, kw_only=True)
class ConvLSTMConfig:
    """The form of a ``ConvLSTMPredictor``.

    Attributes:
        num_channels: C of the frames.
        patch_size: side of the squares of pixels that become the channels of one place; the usual protocol takes 4.
        hidden_channels: of each cell, from the frame upwards; the encoder and the forecaster have as many.
        kernel_size: of the cells' convolutions.
    """

    num_channels: int = 1
    patch_size: int = 4
    hidden_channels: tuple[int, ...] = (64, 64)
    kernel_size: int = 5

    def __post_init__(self) -> None:
        """Check the values."""
        if min(self.num_channels, self.patch_size, len(self.hidden_channels), *self.hidden_channels, 1) < 1:
            raise ValueError(f"wanted at least one channel, pixel and cell, got {self}")
        object.__setattr__(self, "hidden_channels", tuple(self.hidden_channels))  # a card's JSON brings a list


class ConvLSTMPredictor(nn.Module):
    """Read the context into pictures of memory; go on from copies of these, each predicted frame fed to the next step.

    A 1x1 convolution reads a frame from the hidden states of all the forecaster's cells.

    Paper:
        Shi et al. 2015, arXiv 1506.04214, section 3.2. Differs: no peephole connections; squared error on linear
        outputs in place of cross-entropy.
    """

    def __init__(self, config: ConvLSTMConfig) -> None:
        super().__init__()
        self.config = config
        folded = config.num_channels * config.patch_size**2
        sizes = list(pairwise((folded, *config.hidden_channels)))
        self.encoder, self.forecaster = (
            nn.ModuleList(ConvLSTMCell(below, above, config.kernel_size) for below, above in sizes) for _ in range(2)
        )
        self.readout = nn.Conv2d(sum(config.hidden_channels), folded, 1)

    def forward(self, context: Tensor, horizon: int, *, truth: Tensor | None = None) -> Tensor:
        """Predict the frames that follow.

        Args:
            context: (B, T, C, H, W), at least one frame; H and W are multiples of ``patch_size``.
            horizon: frames to predict, at least 1.
            truth: (B, horizon, C, H, W): the frames that follow, to be fed in place of the predicted ones (teacher
                forcing).

        Returns:
            (B, horizon, C, H, W), not confined to [0, 1].
        """
        expect_tensor(context, "B T C H W", name="context")
        side, (B, T, C, H, W) = self.config.patch_size, context.shape
        if T < 1 or self.config.num_channels != C or H % side or W % side or horizon < 1:
            raise ValueError(
                f"wanted a context (B, T, {self.config.num_channels}, H, W) with sides that are multiples of {side}, "
                f"and a horizon of at least 1, got {tuple(context.shape)} and {horizon}"
            )
        if truth is not None and truth.shape != (B, horizon, C, H, W):
            raise ValueError(f"truth: wanted {(B, horizon, C, H, W)}, got {tuple(truth.shape)}")
        states: list[State | None] = [None] * len(self.encoder)
        for frame in F.pixel_unshuffle(context, side).unbind(dim=1):  # (B, C * side * side, H / side, W / side) each
            states = _step(self.encoder, frame, states)
        fed = None if truth is None else F.pixel_unshuffle(truth, side)
        predicted = []
        for t in range(horizon):
            states = _step(self.forecaster, frame, states)
            frame = self.readout(torch.cat([hidden for hidden, _ in states], dim=1))
            predicted.append(frame)
            frame = frame if fed is None else fed[:, t]
        return F.pixel_shuffle(torch.stack(predicted, dim=1), side)  # (B, horizon, C, H, W)


def _step(cells: nn.ModuleList, x: Tensor, states: list[State | None]) -> list[State]:
    """Take a step of all cells, each of which reads what the one below shows."""
    after = []
    for cell, state in zip(cells, states, strict=True):
        after.append(cell(x, state))
        x = after[-1][0]
    return after
