"""A predictor of the next frame that sees a few frames back, and may be told what holds for the whole clip."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course.clips import expect_tensor
from course.layers.conditioning import AdaptiveGroupNorm, ContextAttention, NullContext, concatenate

WAYS: tuple[str, ...] = ("none", "input", "every", "attention")
_PATCH = 2  # pixels on a side that become channels: the network works on a grid of half the height and width
_NUM_GROUPS = 8
_NUM_HEADS = 4


@dataclass(frozen=True, kw_only=True)
class ContextConfig:
    """The form of a ``ContextPredictor``.

    Attributes:
        way: how the context enters: ``"none"``; ``"input"``, as channels beside those of the frames; ``"every"``, by an
            adaptive group norm at every level; ``"attention"``, by cross-attention at every level.
        local: make the context of the frames of the window, instead of one that is given.
        window: how many of the last frames are seen, at least 1.
        num_channels: C of the frames.
        hidden_channels: of each level, a multiple of 8.
        num_levels: residual blocks, at least 1.
        context_size: D, numbers in each vector of the context.
    """

    way: str = "every"
    local: bool = False
    window: int = 2
    num_channels: int = 3
    hidden_channels: int = 32
    num_levels: int = 3
    context_size: int = 32

    def __post_init__(self) -> None:
        """Check the values."""
        if self.way not in WAYS:
            raise ValueError(f"way: wanted one of {WAYS}, got {self.way!r}")
        for name in ("window", "num_channels", "hidden_channels", "num_levels", "context_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}: wanted a whole number of at least 1, got {value!r}")
        if self.hidden_channels % _NUM_GROUPS:
            raise ValueError(f"hidden_channels: wanted a multiple of {_NUM_GROUPS}, got {self.hidden_channels}")
        if self.local and self.way == "none":
            raise ValueError("local: a network without a context has none of its last frames either")


def spot(path: Tensor, size: int) -> Tensor:
    """Draw a soft white spot at each place of a path: a picture that says where, and nothing of what.

    Args:
        path: (..., 2), pixels, (row, column).
        size: side of the square frame, in pixels.

    Returns:
        (..., size, size), 1 in its middle, falling off as a Gaussian with a deviation of 2 pixels.
    """
    pixel = torch.arange(size, device=path.device) + 0.5
    row, column = (torch.exp(-(pixel - centre[..., None]).square() / 8) for centre in path.unbind(-1))
    return row[..., :, None] * column[..., None, :]


class ContextEncoder(nn.Module):
    """Frames to a set of vectors, one for each patch of 4 x 4 pixels.

    Nothing tells when a frame was: the set does not depend on the order of the frames.
    """

    def __init__(self, num_channels: int, context_size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(num_channels, context_size, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(context_size, context_size, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(context_size, context_size, 1),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Frames: (B, K, C, H, W); returns (B, K * H / 4 * W / 4, context_size)."""
        expect_tensor(frames, "B K C H W", name="frames")
        found = self.layers(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])  # (B, K, D, H / 4, W / 4)
        return found.movedim(2, -1).flatten(1, 3)


class Level(nn.Module):
    """A residual block that may be told the context."""

    def __init__(self, config: ContextConfig) -> None:
        super().__init__()
        channels = config.hidden_channels
        self.way = config.way
        if config.way == "every":
            self.norm = AdaptiveGroupNorm(_NUM_GROUPS, channels, config.context_size)
        else:
            self.norm = nn.GroupNorm(_NUM_GROUPS, channels)
        if config.way == "attention":
            self.look = ContextAttention(channels, config.context_size, _NUM_HEADS)
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor, context: Tensor | None, vector: Tensor | None) -> Tensor:
        """x: (B, T, C, H, W), context: (B, M, D), vector: (B, D); returns (B, T, C, H, W)."""
        every = self.way == "every"
        normal = self.norm(x, vector) if every else self.norm(x.flatten(0, 1)).view_as(x)
        if self.way == "attention":
            normal = normal + self.look(normal, context)
        change = self.second(self.first(normal.flatten(0, 1).relu()).relu())  # (B * T, C, H, W)
        return x + change.view_as(x)


class ContextPredictor(nn.Module):
    """Predict each next frame from a window of the last ones, from where the sprite will be, and from the context."""

    def __init__(self, config: ContextConfig) -> None:
        super().__init__()
        self.config = config
        seen = config.window * config.num_channels + config.window + 1  # frames; a spot for each, and for the next
        told = config.context_size if config.way == "input" else 0
        self.stem = nn.Conv2d(seen * _PATCH**2 + told, config.hidden_channels, 3, padding=1)
        self.levels = nn.ModuleList(Level(config) for _ in range(config.num_levels))
        self.head = nn.Conv2d(config.hidden_channels, config.num_channels * _PATCH**2, 3, padding=1)
        if config.way != "none":
            self.encode = ContextEncoder(config.num_channels, config.context_size)
            if not config.local:
                self.null = NullContext(config.context_size)
        if config.way in ("input", "every"):
            self.vector_norm = nn.LayerNorm(config.context_size)

    @property
    def takes_context(self) -> bool:
        """Whether a context has to be given."""
        return self.config.way != "none" and not self.config.local

    def context(self, frames: Tensor, given: Tensor | None = None) -> Tensor | None:
        """Make a context of frames, whichever they are and in whatever order.

        Args:
            frames: (B, K, C, H, W).
            given: (B,), False for clips whose context is to be left out; None leaves none out.

        Returns:
            (B, M, context_size), or None if the network takes none.
        """
        if not self.takes_context:
            return None
        context = self.encode(frames)
        return context if given is None else self.null(context, given)

    def forward(self, frames: Tensor, path: Tensor, context: Tensor | None = None) -> Tensor:
        """Predict the frame after each window of true frames, all at once.

        Args:
            frames: (B, T, C, H, W), T at least the window.
            path: (B, T + 1, 2), where the sprite is in each frame and in the one to come, in pixels.
            context: (B, M, context_size), from ``context``; None if the network takes none.

        Returns:
            (B, T - window + 1, C, H, W), the frames after windows that end at ``window - 1``, ``window``, and so on.
            They may leave [0, 1] a little; a rollout clamps them.
        """
        window = self.config.window
        expect_tensor(frames, "B T C H W", name="frames")
        B, T, C, H, W = frames.shape
        if window > T or path.shape != (B, T + 1, 2):
            raise ValueError(
                f"wanted at least {window} frames and a path of one place more, "
                f"got {tuple(frames.shape)} and {tuple(path.shape)}"
            )
        if (context is not None) != self.takes_context:
            wanted = "a context" if self.takes_context else "no context"
            raise ValueError(f"context: wanted {wanted}, got {'none' if context is None else tuple(context.shape)}")
        windows = frames.unfold(1, window, 1).movedim(-1, 2)  # (B, T', window, C, H, W)
        spots = spot(path, H).unfold(1, window + 1, 1).movedim(-1, 2)  # (B, T', window + 1, H, W)
        seen = torch.cat([windows.flatten(2, 3), spots], dim=2)  # (B, T', channels, H, W)
        if self.config.local:  # each window is a clip for itself, with a context of its own
            seen, context = seen.flatten(0, 1)[:, None], self.encode(windows.flatten(0, 1))
        return self._draw(seen, context).view(B, T - window + 1, C, H, W)

    def _draw(self, seen: Tensor, context: Tensor | None) -> Tensor:
        """Seen: (B, T, channels, H, W), context: (B, M, D) or None; returns (B, T, C, H, W)."""
        vector = None
        if self.config.way in ("input", "every"):
            # The strongest answer of any patch in any frame: most patches are empty, and a mean would be theirs.
            vector = self.vector_norm(context.amax(dim=1))  # (B, D)
        x = F.pixel_unshuffle(seen, _PATCH)  # (B, T, 4 * channels, H / 2, W / 2)
        if self.config.way == "input":
            x = concatenate(x, vector)
        x = self.stem(x.flatten(0, 1)).unflatten(0, seen.shape[:2])
        for level in self.levels:
            x = level(x, context, vector)
        return F.pixel_shuffle(self.head(x.flatten(0, 1).relu()), _PATCH).unflatten(0, seen.shape[:2])
