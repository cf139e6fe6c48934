"""A conditional video GAN: a content code, a motion code, a generator, and two critics.

What stays the same in a clip comes from the *content code*, one vector for the whole clip; what changes comes from the
*motion code*, one vector for each frame, walked through time by a recurrent cell. The generator draws each frame on a
canvas of waves: the motion code says where the canvas lies, the content code what is drawn on it. Of the two critics
one sees single frames and knows what things look like; the other sees all frames at once and knows how they move.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course.clips import expect_tensor
from course.layers.recurrent import GRUCell
from course.layers.spectral import spectral_norm

FARTHEST = 0.8
"""How far the canvas is moved from the middle of the frame at most, in half sides."""


@dataclass(frozen=True, kw_only=True)
class GANConfig:
    """The form of a generator and its critics.

    Attributes:
        num_frames: T.
        num_channels: C of the frames.
        size: rows and columns of the frames.
        num_words: of the vocabulary; index 0 is a word that is left out, and says nothing.
        content_words: places of the caption that say what is seen.
        motion_words: places of the caption that say how it moves.
        noise_size: numbers of chance behind the content code, and as many behind the start of the motion code.
        step_size: numbers of chance that come fresh to the motion code with each frame.
        loudness: of all noise, beside the words: with 1 both have as much to say to an untrained code.
        code_size: of the content code, and of the motion code at each frame.
        canvas_channels: of the generator; half of them are sines, half cosines.
        num_layers: of the generator, between the waves and the pixels.
        frame_channels: of the frame critic.
        clip_channels: of the clip critic, where it sees all frames together.
        apart_channels: of the clip critic, where it reads each frame by itself.
        spectral: normalise every layer of the critics by its spectral norm.
    """

    num_frames: int = 8
    num_channels: int = 3
    size: int = 16
    num_words: int = 18
    content_words: tuple[int, ...] = (1, 2)
    motion_words: tuple[int, ...] = (3, 4)
    noise_size: int = 16
    step_size: int = 8
    loudness: float = 1.0
    code_size: int = 96
    canvas_channels: int = 64
    num_layers: int = 3
    frame_channels: int = 48
    clip_channels: int = 64
    apart_channels: int = 24
    spectral: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("content_words", "motion_words"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # a card's JSON brings a list
        sizes = [value for value in vars(self).values() if isinstance(value, int) and not isinstance(value, bool)]
        if min(sizes) < 1 or self.canvas_channels % 2 or self.size % 4:
            raise ValueError(
                f"wanted sizes of at least 1, an even number of canvas_channels and a size that is a multiple of 4, "
                f"got {self}"
            )


@dataclass(frozen=True)
class Noise:
    """The chance that a clip is made of.

    Attributes:
        content: (B, noise_size), behind the content code.
        start: (B, noise_size), behind the start of the motion code.
        steps: (B, T, step_size), fresh for each frame.
    """

    content: Tensor
    start: Tensor
    steps: Tensor

    def __getitem__(self, clips: slice | Tensor) -> "Noise":
        """Return the noise of some of the clips."""
        return Noise(self.content[clips], self.start[clips], self.steps[clips])


def draw_noise(num_clips: int, config: GANConfig, *, generator: torch.Generator) -> Noise:
    """Draw standard normal noise for so many clips."""
    B, size = num_clips, config.noise_size
    sizes = (B, size), (B, size), (B, config.num_frames, config.step_size)
    return Noise(*(torch.randn(*shape, generator=generator) for shape in sizes))


class Words(nn.Module):
    """Add up what each word of some places of the caption says: pairs that were never seen together add up, too."""

    def __init__(self, num_words: int, places: tuple[int, ...], size: int, *, deviation: float = 1.0) -> None:
        super().__init__()
        self.places = places
        self.word = nn.Embedding(num_words + 1, size, padding_idx=0)
        nn.init.normal_(self.word.weight, std=deviation)
        with torch.no_grad():
            self.word.weight[0] = 0

    def forward(self, words: Tensor) -> Tensor:
        """Words: (B, L); returns (B, size)."""
        expect_tensor(words, "B L", name="words")
        return self.word(words[:, list(self.places)]).sum(dim=1)


class ContentCode(nn.Module):
    """Make one vector for a clip of noise and of the words that say what is seen."""

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        D = config.code_size
        self.loudness = config.loudness * (D / config.noise_size) ** 0.5
        self.words = Words(config.num_words, config.content_words, D)
        self.layers = nn.Sequential(nn.Linear(D + config.noise_size, D), nn.SiLU(), nn.Linear(D, D), nn.SiLU())

    def forward(self, noise: Tensor, words: Tensor) -> Tensor:
        """Noise: (B, noise_size), words: (B, L); returns (B, code_size)."""
        return self.layers(torch.cat([self.words(words), self.loudness * noise], dim=1))


class MotionCode(nn.Module):
    """Walk through time from noise and the words that say how it moves; fresh noise comes in at each frame.

    What the walk sets out from is told again at each frame: a circle has to know its way until it ends.

    Paper:
        Tulyakov et al. 2017 (MoCoGAN), arXiv 1707.04993 (a recurrent walk over fresh noise; there nothing
        else is told).
    """

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        D = config.code_size
        self.loudness = config.loudness * (D / config.noise_size) ** 0.5
        self.step_loudness = config.loudness
        self.words = Words(config.num_words, config.motion_words, D)
        self.plan = nn.Sequential(nn.Linear(D + config.noise_size, D), nn.SiLU(), nn.Linear(D, D), nn.SiLU())
        self.begin = nn.Linear(D, D)
        self.cell = GRUCell(D + config.step_size, D)

    def forward(self, start: Tensor, steps: Tensor, words: Tensor) -> Tensor:
        """Start: (B, noise_size), steps: (B, T, step_size), words: (B, L); returns (B, T, code_size)."""
        plan = self.plan(torch.cat([self.words(words), self.loudness * start], dim=1))  # (B, code_size)
        told = plan[:, None].expand(-1, steps.shape[1], -1)  # (B, T, code_size)
        told = torch.cat([told, self.step_loudness * steps], dim=2)  # (B, T, code_size + step_size)
        state = (self.begin(plan).tanh(),)
        codes = []
        for gates in self.cell.from_input(told).unbind(dim=1):
            state = self.cell.step(gates, state)
            codes.append(state[0])
        return torch.stack(codes, dim=1)


def folded(place: Tensor, bound: float) -> Tensor:
    """Send what would go beyond a bound back, as a wall does: a slope of 1 or -1 everywhere, and no place out of sight.

    A sprite that has left the frame is seen by no critic, and no gradient brings it back.

    Args:
        place: of any shape.
        bound: the farthest place, on both sides of 0.
    """
    return ((place - bound).remainder(4 * bound) - 2 * bound).abs() - bound


class Generator(nn.Module):
    """Draw clips from codes: ``generator(noise, words)``, or ``render(content, motion)`` with codes that were made.

    A frame is drawn on a canvas of waves, sines and cosines of the place. The motion code of the first frame says where
    the canvas lies, that of each next frame how far it moves, down and to the right: all that is drawn on it moves as
    one, and stays in the frame. Then each place is by itself: layers that are turned up and down by the content code
    make pixels of its waves.

    Paper:
        Karras et al. 2021 (Alias-Free GAN), arXiv 2106.12423 (waves as input, which are translated).
        Codes as in MoCoGAN (see ``MotionCode``).
    """

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        self.config = config
        channels, D = config.canvas_channels, config.code_size
        self.content, self.motion = ContentCode(config), MotionCode(config)
        self.start, self.step = nn.Linear(D, 2), nn.Linear(D, 2)
        self.frequency = nn.Parameter(torch.randn(2, channels // 2))  # in waves per half side
        self.phase = nn.Parameter(torch.rand(channels // 2))
        self.layers = nn.ModuleList(nn.Linear(channels, channels) for _ in range(config.num_layers))
        self.style = nn.ModuleList(nn.Linear(D, 2 * channels) for _ in range(config.num_layers + 1))
        self.head = nn.Linear(channels, _PATCH**2 * config.num_channels)
        with torch.no_grad():
            self.start.weight *= 3  # clips begin all over the frame
            self.start.bias.zero_()
            self.step.bias.zero_()
            # A dark beginning: where all is bright, the critics push all of it down, and too far.
            self.head.weight *= 0.2
            self.head.bias.fill_(-2)
        rows = (torch.arange(config.size // _PATCH) + 0.5) / (config.size // _PATCH) * 2 - 1
        self.register_buffer("grid", torch.stack(torch.meshgrid(rows, rows, indexing="ij"), dim=-1), persistent=False)

    def forward(self, noise: Noise, words: Tensor) -> Tensor:
        """Make codes of noise and words, and draw the clips: (B, T, C, H, W), values in [0, 1]."""
        return self.render(self.content(noise.content, words), self.motion(noise.start, noise.steps, words))

    def places(self, motion: Tensor) -> Tensor:
        """Return where the canvas lies in each frame.

        Args:
            motion: (B, T, code_size), motion codes.

        Returns:
            (B, T, 2), (row, column) of its middle in half sides, 0 in the middle of the frame.
        """
        steps = torch.cat([self.start(motion[:, :1]), self.step(motion[:, 1:])], dim=1)  # (B, T, 2)
        return folded(steps.cumsum(dim=1), FARTHEST)

    def render(self, content: Tensor, motion: Tensor) -> Tensor:
        """Draw clips of a content code each, (B, code_size), and motion codes, (B, T, code_size).

        Returns:
            (B, T, C, H, W), values in [0, 1].
        """
        place = self.places(motion)  # (B, T, 2)
        there = self.grid - place[:, :, None, None]  # (B, T, rows, columns, 2)
        angle = 2 * torch.pi * (there @ self.frequency + self.phase)
        x = torch.cat([angle.sin(), angle.cos()], dim=-1)  # (B, T, rows, columns, channels)
        for style, layer in zip(self.style, [*self.layers, self.head], strict=True):
            scale, shift = style(content)[:, None, None, None].chunk(2, dim=-1)  # one for all frames and places
            x = layer(F.silu(x * (1 + scale) + shift))
        x = x.permute(0, 1, 4, 2, 3)  # (B, T, patch * patch * C, rows, columns)
        return F.pixel_shuffle(x, _PATCH).sigmoid()


class Block(nn.Module):
    """Two convolutions, whose result is added to what came."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """X and result: (N, C, H, W)."""
        return x + self.second(_rectify(self.first(_rectify(x))))


class Judgement(nn.Module):
    """Score features: how real they are, and how well they fit the words.

    The words are asked by projection: the vector that they add up to, times the features. A critic without this is
    blind to the caption, and its generator is free to ignore it.

    Paper:
        Miyato and Koyama 2018, arXiv 1802.05637, eq. 3.
    """

    def __init__(self, size: int, words: Words) -> None:
        super().__init__()
        self.real, self.words = nn.Linear(size, 1), words

    def forward(self, features: Tensor, words: Tensor) -> Tensor:
        """Features: (B, size), words: (B, L); or (B, K, L), K captions for each: returns (B,), or (B, K)."""
        if words.ndim == 2:
            return self(features, words[:, None])[:, 0]
        fit = self.words(words.flatten(0, 1)).unflatten(0, words.shape[:2])  # (B, K, size)
        return self.real(features) + (features[:, None] * fit).sum(dim=2)  # (B, K)


class FrameCritic(nn.Module):
    """Score single frames: does it look real, and like what the words call it? How it moves cannot be seen here."""

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        channels, places = config.frame_channels, (config.size // _PATCH // 2) ** 2
        self.stem = nn.Conv2d(_PATCH**2 * config.num_channels, channels, 3, padding=1)
        self.near, self.far = Block(channels), Block(channels)
        self.features = nn.Linear(channels * places, _FEATURES)
        self.judgement = Judgement(_FEATURES, Words(config.num_words, config.content_words, _FEATURES))
        _ready(self, config)

    def forward(self, frames: Tensor, words: Tensor) -> Tensor:
        """Frames: (N, C, H, W), values in [0, 1]; words: (N, L), or (N, K, L). Returns (N,), or (N, K)."""
        x = self.stem(_patches(frames))  # (N, channels, H / 2, W / 2)
        x = self.far(F.avg_pool2d(self.near(x), 2))  # (N, channels, H / 4, W / 4)
        return self.judgement(_rectify(self.features(_rectify(x).flatten(1))), words)


class ClipCritic(nn.Module):
    """Score whole clips: each frame is read by the same layers, then all frames together, as channels of one picture.

    Paper:
        A critic of frames and one of clips: Tulyakov et al. 2017 (MoCoGAN), arXiv 1707.04993. One that is
        given clips whole: Vondrick, Pirsiavash and Torralba 2016 (VGAN), arXiv 1609.02612. Both convolve over time;
        frames stacked as channels are quicker for clips that are short.
    """

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        channels, apart, places = config.clip_channels, config.apart_channels, (config.size // _PATCH // 2) ** 2
        self.stem = nn.Conv2d(_PATCH**2 * config.num_channels, apart, 3, padding=1)
        self.read = nn.Conv2d(apart, apart, 3, padding=1)
        self.gather = nn.Conv2d(config.num_frames * apart, channels, 1)
        self.near, self.far = Block(channels), Block(channels)
        self.features = nn.Linear(channels * places, _FEATURES)
        words = Words(config.num_words, config.content_words + config.motion_words, _FEATURES)
        self.judgement = Judgement(_FEATURES, words)
        _ready(self, config)

    def forward(self, clips: Tensor, words: Tensor) -> Tensor:
        """Clips: (B, T, C, H, W), values in [0, 1]; words: (B, L), or (B, K, L). Returns (B,), or (B, K)."""
        B, T = clips.shape[:2]
        x = _rectify(self.read(_rectify(self.stem(_patches(clips.flatten(0, 1))))))  # (B * T, apart, H / 2, W / 2)
        x = x.unflatten(0, (B, T)).flatten(1, 2).contiguous(memory_format=torch.channels_last)
        x = self.near(self.gather(x))  # (B, channels, H / 2, W / 2)
        x = self.far(F.avg_pool2d(x, 2))  # (B, channels, H / 4, W / 4)
        return self.judgement(_rectify(self.features(_rectify(x).flatten(1))), words)


_PATCH = 2
"""Side of the squares of pixels that are drawn and read at once."""
_FEATURES = 128


def _ready(critic: nn.Module, config: GANConfig) -> None:
    """Normalise the layers, if the configuration says so, and lay them out in memory as convolutions are quickest."""
    for layer in list(critic.modules()):
        if config.spectral and isinstance(layer, nn.Conv2d | nn.Linear):
            spectral_norm(layer)
    critic.to(memory_format=torch.channels_last)


def _rectify(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


def _patches(frames: Tensor) -> Tensor:
    """Make squares of pixels channels of one place, values about 0: (N, C, H, W) to (N, 4 * C, H / 2, W / 2)."""
    return F.pixel_unshuffle(2 * frames - 1, _PATCH).contiguous(memory_format=torch.channels_last)
