"""A U-Net for clips: down to few places that see far, up again to many, with what was seen on the way handed across.

There are three ways to treat frames, ``FRAMES``. *Stacked*: all pixels of all frames at a place are that place's
channels; time is treated once, and what a square looks like is learned for each frame anew. *Shared*: one small encoder
reads each frame, one small decoder draws each, and what lies between sees all frames stacked. *Factorised*: each frame
goes through the whole network by itself, and after each block the frames look at one another at each place.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course.clips import expect_tensor
from course.layers.attention import MultiHeadAttention
from course.layers.conditioning import AdaptiveGroupNorm
from course.layers.position import LearnedPosition
from course.models.denoiser import Condition, ConditionEncoder, DenoiserConfig, with_given

FRAMES: tuple[str, ...] = ("stacked", "shared", "factorised")
NUM_GROUPS, _NUM_HEADS = 8, 4
"""Of channels, for the norms; of heads, for the attentions."""


@dataclass(frozen=True, kw_only=True)
class UNetConfig(DenoiserConfig):
    """The form of a ``UNet``, beside what every denoiser's says.

    Attributes:
        frames: how they are treated, one of ``FRAMES``.
        frame_channels: of the shared encoder and decoder.
        patch_size: side of the squares of pixels that become the channels of one place.
        hidden_channels: of each level, from the frame's size downwards; each next level has half as many rows.
        num_blocks: residual blocks of each level, on the way down and on the way up.
        condition_size: numbers that tell noise step, words and levels.
    """

    frames: str = "shared"
    frame_channels: int = 32
    patch_size: int = 2
    hidden_channels: tuple[int, ...] = (96, 96)
    num_blocks: int = 1
    condition_size: int = 128

    def __post_init__(self) -> None:
        """Check the values."""
        object.__setattr__(self, "hidden_channels", tuple(self.hidden_channels))  # a card's JSON brings a list
        sizes = (self.num_frames, self.num_channels, self.patch_size, self.num_blocks, self.condition_size)
        if min(sizes) < 1 or not self.hidden_channels:
            raise ValueError(f"wanted sizes of at least 1 and at least one level, got {self}")
        if any(channels % NUM_GROUPS for channels in (self.frame_channels, *self.hidden_channels)):
            raise ValueError(f"channels: wanted multiples of {NUM_GROUPS}, got {self}")
        if self.frames not in FRAMES:
            raise ValueError(f"frames: wanted one of {FRAMES}, got {self.frames!r}")


class ResidualBlock(nn.Module):
    """Two convolutions, told the condition between them; what they make is added to what came.

    The second starts at zero: an untrained block hands on what comes.

    Paper:
        Dhariwal and Nichol 2021, arXiv 2105.05233, section 3.
    """

    def __init__(self, channels_in: int, channels: int, condition_size: int) -> None:
        super().__init__()
        self.first_norm = nn.GroupNorm(NUM_GROUPS, channels_in)
        self.first = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.second_norm = AdaptiveGroupNorm(NUM_GROUPS, channels, condition_size)
        self.second = _at_zero(nn.Conv2d(channels, channels, 3, padding=1))
        self.across = nn.Conv2d(channels_in, channels, 1) if channels_in != channels else nn.Identity()

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """x: (B, T, channels_in, H, W), vector: (B, condition_size); returns (B, T, channels, H, W)."""
        B, T = x.shape[:2]
        x = x.flatten(0, 1)
        hidden = self.first(F.silu(self.first_norm(x))).unflatten(0, (B, T))
        hidden = F.silu(self.second_norm(hidden, vector)).flatten(0, 1)
        return (self.across(x) + self.second(hidden)).unflatten(0, (B, T))


class SpaceAttention(nn.Module):
    """All places of a frame look at one another; starts at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(NUM_GROUPS, channels)
        self.attention = MultiHeadAttention(channels, _NUM_HEADS)
        _at_zero(self.attention.project_out)

    def forward(self, x: Tensor) -> Tensor:
        """X and result: (B, T, C, H, W)."""
        frames = x.flatten(0, 1)
        places = self.norm(frames).flatten(2).mT  # (B * T, H * W, C)
        return x + self.attention(places).mT.reshape(x.shape)


class TimeAttention(nn.Module):
    """At each place the frames look at one another; starts at zero, so that each frame begins as a picture by itself.

    Paper:
        Ho et al. 2022 (Video Diffusion Models), arXiv 2204.03458, section 3.
    """

    def __init__(self, channels: int, num_frames: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(NUM_GROUPS, channels)
        self.time = LearnedPosition(num_frames, channels)
        self.attention = MultiHeadAttention(channels, _NUM_HEADS)
        _at_zero(self.attention.project_out)

    def forward(self, x: Tensor) -> Tensor:
        """X and result: (B, T, C, H, W)."""
        B, T, C, H, W = x.shape
        normal = self.norm(x.flatten(0, 1)).view(B, T, C, H * W)
        along = normal.permute(0, 3, 1, 2) + self.time(T)  # (B, H * W, T, C)
        return x + self.attention(along).permute(0, 2, 3, 1).reshape(x.shape)


class Stage(nn.Module):
    """A residual block and, where frames are factorised, a look along time."""

    def __init__(self, channels_in: int, channels: int, config: UNetConfig) -> None:
        super().__init__()
        self.block = ResidualBlock(channels_in, channels, config.condition_size)
        apart = config.frames == "factorised"
        self.time = TimeAttention(channels, config.num_frames) if apart else nn.Identity()

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """x: (B, T, channels_in, H, W); returns (B, T, channels, H, W)."""
        return self.time(self.block(x, vector))


class UNet(nn.Module):
    """Answer with a clip for a noisy clip, its noise step and what is known of it.

    Paper:
        Ronneberger et al. 2015, arXiv 1505.04597 (the U-Net); Ho, Jain and Abbeel 2020, arXiv 2006.11239 (as a
        denoiser); Ho et al. 2022, arXiv 2204.03458 (factorised over time). Stacking frames as channels is older than
        all of these and cheaper.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        stacked, shared = config.frames == "stacked", config.frames == "shared"
        pixels = config.patch_size**2 * (config.num_frames if stacked else 1)
        self.condition = ConditionEncoder(config.condition_size, config)
        channels = config.hidden_channels[0]
        outside = config.frame_channels if shared else channels
        self.stem = nn.Conv2d(pixels * (config.num_channels + config.given_channels), outside, 3, padding=1)
        if shared:
            self.enter = ResidualBlock(outside, outside, config.condition_size)
            self.gather = nn.Conv2d(config.num_frames * outside, channels, 1)
        across = []
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for wide in config.hidden_channels:
            self.down.append(nn.ModuleList())
            for _ in range(config.num_blocks):
                self.down[-1].append(Stage(channels, wide, config))
                channels = wide
                across.append(channels)
        self.middle, self.look = Stage(channels, channels, config), SpaceAttention(channels)
        for wide in reversed(config.hidden_channels):
            self.up.append(nn.ModuleList())
            for _ in range(config.num_blocks):
                self.up[-1].append(Stage(channels + across.pop(), wide, config))
                channels = wide
        if shared:
            self.spread = nn.Conv2d(channels, config.num_frames * outside, 1)
            self.leave = ResidualBlock(2 * outside, outside, config.condition_size)
            channels = outside
        self.norm = nn.GroupNorm(NUM_GROUPS, channels)
        self.head = _at_zero(nn.Conv2d(channels, pixels * config.num_channels, 3, padding=1))
        self.to(memory_format=torch.channels_last)

    def forward(self, noisy: Tensor, noise_step: Tensor, condition: Condition) -> Tensor:
        """Answer for each clip.

        Args:
            noisy: (B, T, C, H, W), values about -1 to 1, more where there is noise.
            noise_step: (B,), from 0 to 1.
            condition: of the same B clips.

        Returns:
            (B, T, C, H, W).
        """
        config = self.config
        expect_tensor(noisy, "B T C H W", name="noisy")
        T, C, H, W = noisy.shape[1:]
        side = config.patch_size * 2 ** (len(config.hidden_channels) - 1)
        if (config.num_frames, config.num_channels) != (T, C) or H % side or W % side:
            raise ValueError(
                f"noisy: wanted (B, {config.num_frames}, {config.num_channels}, H, W) with sides that are multiples of "
                f"{side}, got {tuple(noisy.shape)}"
            )
        vector = F.silu(self.condition(noise_step, condition))  # (B, condition_size)
        x = with_given(noisy, condition.given, config.given_channels)
        if config.frames == "stacked":
            x = _stack(x)
        x = each_frame(self.stem, F.pixel_unshuffle(x, config.patch_size))  # (B, T or 1, channels, rows, columns)
        if config.frames == "shared":
            frames = self.enter(x, vector)  # (B, T, frame_channels, rows, columns)
            x = each_frame(self.gather, _stack(frames))  # (B, 1, channels, rows, columns)
        across = []
        for level, stages in enumerate(self.down):
            if level:
                x = each_frame(nn.AvgPool2d(2), x)
            for stage in stages:
                x = stage(x, vector)
                across.append(x)
        x = self.look(self.middle(x, vector))
        for level, stages in enumerate(self.up):
            if level:
                x = each_frame(nn.Upsample(scale_factor=2), x)
            for stage in stages:
                x = stage(channels_beside(x, across.pop()), vector)
        if config.frames == "shared":
            x = _unstack(each_frame(self.spread, x), T)  # (B, T, frame_channels, rows, columns)
            x = self.leave(channels_beside(x, frames), vector)
        x = self.head(F.silu(self.norm(x.flatten(0, 1))))
        return F.pixel_shuffle(x, config.patch_size).view(noisy.shape)


def inflated(image: UNet, num_frames: int) -> UNet:
    """Make a network for clips of one for pictures: it answers for each frame as the other answers for that picture.

    All weights are copied. What is new are the looks along time, which start at zero, so that an untrained one does
    nothing yet: training begins with a network that can draw, and has to learn only what moves how.

    Args:
        image: made for one frame, which is then "stacked" alone.
        num_frames: of the clips.

    Returns:
        A network whose frames are factorised; chance, from torch's own generator, sets the weights that are new.

    Raises:
        ValueError: for a network of another kind.

    Paper:
        Blattmann et al. 2023 (Align your Latents), arXiv 2304.08818 (layers along time between those of a network for
        pictures); Guo et al. 2023 (AnimateDiff), arXiv 2307.04725 (their start at zero). Both leave the copied weights
        as they are and train the new ones alone; here all go on learning.
    """
    config = image.config
    if (config.num_frames, config.frames) != (1, "stacked"):
        raise ValueError(f"image: wanted a network of one stacked frame, got {config.num_frames} of {config.frames!r}")
    video = UNet(replace(config, num_frames=num_frames, frames="factorised"))
    video.load_state_dict(video.state_dict() | image.state_dict())
    return video


def _stack(x: Tensor) -> Tensor:
    """Make frames channels of one: (B, T, C, H, W) to (B, 1, T * C, H, W)."""
    return x.flatten(1, 2)[:, None]


def _unstack(x: Tensor, num_frames: int) -> Tensor:
    """Make channels frames again: (B, 1, T * C, H, W) to (B, T, C, H, W)."""
    return each_frame(nn.Identity(), x[:, 0].unflatten(1, (num_frames, -1)))


def each_frame(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer of pictures to each frame of (B, T, C, H, W)."""
    pictures = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return layer(pictures).unflatten(0, x.shape[:2])


def channels_beside(x: Tensor, y: Tensor) -> Tensor:
    """Put channels beside channels, picture by picture: five dimensions at once would lose the order in memory."""
    return torch.cat([x.flatten(0, 1), y.flatten(0, 1)], dim=1).unflatten(0, x.shape[:2])


def _at_zero(layer: nn.Module) -> nn.Module:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
