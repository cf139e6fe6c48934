"""Networks that predict frames: the next one, on three trunks, or many at once.

All of them cut a frame into patches, so that the trunk runs on a small grid of places, and paint a change of the last
frame that they saw: what stands still need not be painted again.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course.clips import expect_tensor
from course.layers.attention import FactorisedBlock
from course.layers.convolution import Conv3d
from course.layers.position import LearnedPosition
from course.layers.recurrent import ConvLSTMCell, State


class ConvLSTMTrunk(nn.Module):
    """A memory that is a picture, renewed with each frame."""

    def __init__(self, config: "PredictorConfig") -> None:
        super().__init__()
        self.cell = ConvLSTMCell(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """X and result: (B, T, hidden_size, rows, columns)."""
        state, shown = None, []
        for frame in x.unbind(dim=1):
            state = self.cell(frame, state)
            shown.append(state[0])
        return torch.stack(shown, dim=1)


class TransformerTrunk(nn.Module):
    """Places look around in their frame, then back along time; frames are told apart by rotary positions."""

    def __init__(self, config: "PredictorConfig") -> None:
        super().__init__()
        size = config.hidden_size
        self.place = LearnedPosition(config.side**2, size)
        self.blocks = nn.Sequential(
            *(FactorisedBlock(size, config.num_heads, causal=True, rotary=True) for _ in range(config.num_layers))
        )
        self.norm = nn.LayerNorm(size)

    def forward(self, x: Tensor) -> Tensor:
        """X and result: (B, T, hidden_size, rows, columns)."""
        tokens = x.flatten(3).transpose(2, 3)  # (B, T, N, hidden_size)
        tokens = self.norm(self.blocks(tokens + self.place(tokens.shape[2])))
        return tokens.transpose(2, 3).unflatten(3, x.shape[3:])


class Conv3dTrunk(nn.Module):
    """Kernels over three frames, the current one and the two before it, in layers that each add something."""

    def __init__(self, config: "PredictorConfig") -> None:
        super().__init__()
        size = config.hidden_size
        self.layers = nn.ModuleList(Conv3d(size, size, 3, causal=True) for _ in range(config.num_layers))

    def forward(self, x: Tensor) -> Tensor:
        """X and result: (B, T, hidden_size, rows, columns)."""
        x = x.transpose(1, 2)  # (B, hidden_size, T, rows, columns)
        for layer in self.layers:
            x = x + layer(x.relu())
        return x.transpose(1, 2)


TRUNKS: dict[str, type[nn.Module]] = {
    "recurrent": ConvLSTMTrunk,
    "Transformer": TransformerTrunk,
    "3D convolution": Conv3dTrunk,
}


@dataclass(frozen=True, kw_only=True)
class PredictorConfig:
    """The form of a ``FramePredictor``.

    Attributes:
        trunk: how it treats time, one of ``TRUNKS``.
        num_channels: C of the frames.
        size: side of the square frames, in pixels.
        patch_size: side of a patch, in pixels.
        hidden_size: numbers for each place.
        num_layers: of the trunk; a recurrent one has one layer.
        num_heads: attentions side by side, in a Transformer.
    """

    trunk: str
    num_channels: int = 3
    size: int = 16
    patch_size: int = 4
    hidden_size: int = 32
    num_layers: int = 2
    num_heads: int = 4

    def __post_init__(self) -> None:
        """Check the values."""
        if self.trunk not in TRUNKS:
            raise ValueError(f"trunk: wanted one of {tuple(TRUNKS)}, got {self.trunk!r}")
        if self.num_layers < 1:
            raise ValueError(f"num_layers: wanted at least 1, got {self.num_layers}")
        _expect_patches(self.size, self.patch_size)

    @property
    def side(self) -> int:
        """Places along each side of the grid."""
        return self.size // self.patch_size


class FramePredictor(nn.Module):
    """Predict after each frame the next one, from that frame and those before it.

    What comes back may leave [0, 1] a little, where clamping it would stop the gradient; ``rollout`` clamps.
    """

    def __init__(self, config: PredictorConfig) -> None:
        super().__init__()
        self.config = config
        size, patch = config.hidden_size, config.num_channels * config.patch_size**2
        self.encode = nn.Sequential(nn.PixelUnshuffle(config.patch_size), nn.Conv2d(patch, size, 3, padding=1))
        self.trunk = TRUNKS[config.trunk](config)
        self.paint = _painter(2 * size, 2 * size, patch, config.patch_size)

    def forward(self, frames: Tensor) -> Tensor:
        """Predict every next frame in one pass.

        Args:
            frames: (B, T, C, size, size), the true ones or its own.

        Returns:
            (B, T, C, size, size): output t is the prediction of frame t + 1, made of frames 0..t alone.
        """
        _expect_frames(frames, self.config)
        encoded = self.encode(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])  # (B, T, hidden, rows, columns)
        told = torch.cat([encoded, self.trunk(encoded)], dim=2)
        return frames + self.paint(told.flatten(0, 1)).unflatten(0, frames.shape[:2])

    def step(self, frame: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Take in one frame and predict the next: the same numbers as ``forward``, for a recurrent trunk alone.

        Args:
            frame: (B, C, size, size).
            state: as returned by the step before, or None at the first frame.

        Returns:
            The next frame, (B, C, size, size), and the state to hand to the next step.
        """
        if not isinstance(self.trunk, ConvLSTMTrunk):
            raise ValueError(f"step: wanted a recurrent trunk, got {self.config.trunk}")
        encoded = self.encode(frame)
        state = self.trunk.cell(encoded, state)
        return frame + self.paint(torch.cat([encoded, state[0]], dim=1)), state


@dataclass(frozen=True, kw_only=True)
class DirectConfig:
    """The form of a ``DirectPredictor``.

    Attributes:
        num_context: frames given.
        horizon: frames to predict.
        num_codes: futures to choose from; with one, there is nothing to choose.
        num_channels: C of the frames.
        size: side of the square frames, in pixels.
        patch_size: side of a patch, in pixels.
        hidden_size: numbers for each place.
        num_layers: convolutions between reading and painting.
    """

    num_context: int
    horizon: int
    num_codes: int = 1
    num_channels: int = 3
    size: int = 16
    patch_size: int = 4
    hidden_size: int = 64
    num_layers: int = 3

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("num_context", "horizon", "num_codes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: wanted at least 1, got {getattr(self, name)}")
        _expect_patches(self.size, self.patch_size)


class DirectPredictor(nn.Module):
    """Predict all frames of the horizon at once, from all context frames stacked like colours.

    With several codes it holds several futures of one context: the code says which.
    """

    def __init__(self, config: DirectConfig) -> None:
        super().__init__()
        self.config = config
        size, patch = config.hidden_size, config.num_channels * config.patch_size**2
        self.encode = nn.Sequential(
            nn.Flatten(1, 2),
            nn.PixelUnshuffle(config.patch_size),
            nn.Conv2d(config.num_context * patch, size, 3, padding=1),
        )
        self.code = nn.Embedding(config.num_codes, size)
        self.layers = nn.ModuleList(nn.Conv2d(size, size, 3, padding=1) for _ in range(config.num_layers))
        self.paint = _painter(size, 2 * size, config.horizon * patch, config.patch_size)

    def forward(self, context: Tensor, code: Tensor | None = None) -> Tensor:
        """Predict one future.

        Args:
            context: (B, num_context, C, size, size).
            code: (B,), int64 in [0, num_codes): which future; None for the first.

        Returns:
            (B, horizon, C, size, size), which may leave [0, 1] a little.
        """
        config = self.config
        _expect_frames(context, config)
        if context.shape[1] != config.num_context:
            raise ValueError(f"context: wanted {config.num_context} frames, got {tuple(context.shape)}")
        code = context.new_zeros(len(context), dtype=torch.int64) if code is None else code
        x = self.encode(context) + self.code(code)[:, :, None, None]  # (B, hidden_size, rows, columns)
        for layer in self.layers:
            x = x + layer(F.gelu(x))
        return context[:, -1:] + self.paint(x).unflatten(1, (config.horizon, config.num_channels))

    def futures(self, context: Tensor) -> Tensor:
        """Predict the future of every code, (B, num_codes, horizon, C, size, size)."""
        codes = torch.arange(self.config.num_codes, device=context.device).repeat(len(context))
        every = self(context.repeat_interleave(self.config.num_codes, dim=0), codes)
        return every.unflatten(0, (len(context), -1))

    def sample(self, context: Tensor, *, generator: torch.Generator) -> Tensor:
        """Draw a code for each clip, all alike likely, and predict that future, clamped to [0, 1]."""
        code = torch.randint(self.config.num_codes, (len(context),), generator=generator)
        return self(context, code.to(context.device)).clamp(0, 1)


def _painter(in_channels: int, mid_channels: int, out_channels: int, patch_size: int) -> nn.Sequential:
    """Make the layers that turn what is known of each place into the pixels of its patch."""
    return nn.Sequential(
        nn.Conv2d(in_channels, mid_channels, 3, padding=1),
        nn.GELU(),
        nn.Conv2d(mid_channels, out_channels, 1),
        nn.PixelShuffle(patch_size),
    )


def _expect_patches(size: int, patch_size: int) -> None:
    if patch_size < 1 or size % patch_size:
        raise ValueError(f"patch_size: wanted a divisor of the frame's side {size}, got {patch_size}")


def _expect_frames(frames: Tensor, config: PredictorConfig | DirectConfig) -> None:
    expect_tensor(frames, "B T C H W", name="frames")
    wanted = (config.num_channels, config.size, config.size)
    if frames.shape[2:] != wanted:
        raise ValueError(f"frames: wanted (B, T, {', '.join(map(str, wanted))}), got {tuple(frames.shape)}")
