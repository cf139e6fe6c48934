"""The course's predictor of moving digits: two layers, each carried on by the path that explains what was seen.

The network answers two questions only: which pixels of the last frame belong together, and about where each of the two
layers was in the frames before. The rest is built in: a layer is compared with every frame, all paths that the law of
motion allows are weighed against what that shows, and the layers travel on along them. What is uncertain stays a
probability to the end, so that everything is differentiable and an uncertain future comes out as an honest blur.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course.clips import expect_tensor
from course.datasets.digits import DIGIT_SIZE, FRAME_SIZE, STEP, travel

NUM_LAYERS = 2
PATCH_SIZE = 4
SHARPNESS = 8.0, 4.0
"""How decided the split into layers and the glimpses are before training. An undecided network sees no difference
between its two layers, and it takes long to find one."""
DOUBT = 0.02
"""How often what is seen of a layer in a frame is taken to be wrong altogether."""


@dataclass(frozen=True, kw_only=True)
class LayeredConfig:
    """The sizes of a ``LayeredPredictor``.

    Attributes:
        num_context: frames that are given, at least 2.
        horizon: frames that can be predicted.
        size: rows and columns of a frame, a multiple of 4.
        object_size: rows and columns of the box that moves; its corner travels over ``size - object_size`` pixels.
        step: distance that the corner travels per frame, as a fraction of that room.
        hidden_channels: of the network, a multiple of 8.
        num_blocks: residual blocks.
        num_starts: starting places of the paths that are tried, along each axis.
        num_angles: directions that are tried, in each quarter of the circle.
        num_refined: of the best pairs of a start and a direction, how many are divided more finely.
        division: into how many parts, each way.
    """

    num_context: int = 10
    horizon: int = 10
    size: int = FRAME_SIZE
    object_size: int = DIGIT_SIZE
    step: float = STEP
    hidden_channels: int = 64
    num_blocks: int = 4
    num_starts: int = 48
    num_angles: int = 18
    num_refined: int = 16
    division: int = 7

    def __post_init__(self) -> None:
        """Check that the numbers go together."""
        if self.num_context < 2 or self.horizon < 1:
            raise ValueError(f"wanted 2 given frames and 1 to predict or more, got {self.num_context}, {self.horizon}")
        if self.size % PATCH_SIZE or not 0 < self.object_size < self.size:
            raise ValueError(
                f"wanted frames of a multiple of {PATCH_SIZE} pixels, and smaller objects, "
                f"got {self.size} and {self.object_size}"
            )
        if self.hidden_channels % 8:
            raise ValueError(f"hidden_channels: wanted a multiple of 8, got {self.hidden_channels}")

    @property
    def room(self) -> int:
        """The pixels that the corner of an object travels over, and the largest displacement."""
        return self.size - self.object_size


class Explanation(NamedTuple):
    """What the predictor makes of the given frames. Probabilities are given for rows, then for columns.

    Attributes:
        layers: (B, 2, H, W), the last frame divided.
        seen: (2, B, 2, T - 1, 2 * room + 1): how likely each displacement from the last frame to each earlier one is,
            by what the frame shows.
        moves: (2, B, 2, T + horizon, 2 * room + 1): the same for all frames, by the paths that explain all of it.
        cleaned: (B, 2, H, W), the layers as all given frames show them.
    """

    layers: Tensor
    seen: Tensor
    moves: Tensor
    cleaned: Tensor


class LayeredPredictor(nn.Module):
    """Predict two objects that move over a black ground and bounce off its walls."""

    def __init__(self, config: LayeredConfig) -> None:
        super().__init__()
        self.config = config
        channels, num_frames = config.hidden_channels, config.num_context
        self.trunk = nn.Sequential(
            nn.PixelUnshuffle(PATCH_SIZE),
            nn.Conv2d(num_frames * PATCH_SIZE**2, channels, 3, padding=1),
            *(ResidualBlock(channels) for _ in range(config.num_blocks)),
            nn.GroupNorm(8, channels),
            nn.SiLU(),
        )
        self.split = nn.Conv2d(channels, NUM_LAYERS * PATCH_SIZE**2, 1)
        self.glimpse = nn.Conv2d(channels, NUM_LAYERS * num_frames, 1)
        self.log_spread = nn.Parameter(torch.full((num_frames - 1, 1), 1.4))  # of a glimpse, in pixels
        self.log_contrast = nn.Parameter(torch.tensor(2.5))  # of the comparison with a frame
        self.corner = CornerFinder(config.object_size)
        self.paths = PathBank(config)
        self.cleaner = Cleaner()

    def forward(self, context: Tensor, horizon: int) -> Tensor:
        """Predict frames.

        Args:
            context: (B, num_context, 1, size, size), float32 in [0, 1].
            horizon: at most that of the config.

        Returns:
            (B, horizon, 1, size, size), in [0, 1].

        Raises:
            ValueError: if an argument does not fit.
        """
        if not 1 <= horizon <= self.config.horizon:
            raise ValueError(f"horizon: wanted 1 to {self.config.horizon} frames, got {horizon}")
        explanation = self.explain(context)
        future = slice(self.config.num_context, self.config.num_context + horizon)
        return overlay(move(explanation.cleaned, explanation.moves[..., future, :]))[:, :, None]

    def explain(self, context: Tensor) -> Explanation:
        """Divide the last frame into layers and find their paths.

        The layers are cleaned outside the reach of the gradient: a network that is judged by the cleaned layers alone
        divides the frame badly and leaves the rest to the cleaning.
        """
        expect_tensor(context, "B T 1 H W", name="context")
        wanted = (self.config.num_context, 1, self.config.size, self.config.size)
        if context.shape[1:] != wanted:
            raise ValueError(f"context: wanted (B, {', '.join(map(str, wanted))}), got {tuple(context.shape)}")
        frames = context[:, :, 0]  # (B, T, H, W)
        features = self.trunk(frames)  # (B, channels, H / 4, W / 4)
        shares = F.pixel_shuffle(SHARPNESS[0] * self.split(features), PATCH_SIZE).softmax(dim=1)
        layers = shares * frames[:, -1:]  # (B, 2, H, W)
        seen = self._see(features, layers, frames)
        moves = self.paths(seen, *self.corner(layers))
        given = moves.detach()[..., : self.config.num_context - 1, :]
        return Explanation(layers, seen, moves, self.cleaner(layers.detach(), frames, given))

    def _see(self, features: Tensor, layers: Tensor, frames: Tensor) -> Tensor:
        """Look for the layers in the earlier frames: where a glimpse expects them, and where they match."""
        room = self.config.room
        heat = SHARPNESS[1] * self.glimpse(features)  # (B, 2 * T, h, w)
        heat = heat.flatten(2).softmax(dim=-1).unflatten(2, heat.shape[2:]).unflatten(1, (NUM_LAYERS, -1))
        centres = torch.arange(heat.shape[-1], device=heat.device) * PATCH_SIZE + (PATCH_SIZE - 1) / 2
        places = torch.stack([heat.sum(dim=-1) @ centres, heat.sum(dim=-2) @ centres])  # (2, B, 2, T)
        glimpsed = places[..., :-1, None] - places[..., -1:, None]  # (2, B, 2, T - 1, 1)
        offsets = torch.arange(-room, room + 1, device=heat.device)
        rows, columns = -0.5 * ((offsets - glimpsed) / self.log_spread.exp()).square()
        match = cross_correlation(layers, frames[:, :-1], room)  # (B, 2, T - 1, 2 room + 1, 2 room + 1)
        match = match / layers.square().sum(dim=(-1, -2)).clamp(min=1)[..., None, None, None]
        scores = self.log_contrast.exp() * match + rows[..., :, None] + columns[..., None, :]
        chances = scores.flatten(-2).softmax(dim=-1).unflatten(-1, match.shape[-2:])
        return torch.stack([chances.sum(dim=-1), chances.sum(dim=-2)])


class ResidualBlock(nn.Module):
    """Two convolutions beside a direct way; at first the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """X and the result: (B, channels, h, w)."""
        return x + self.second(F.silu(self.first(F.silu(self.norm(x)))))


class CornerFinder(nn.Module):
    """Tell from a layer's outline where the box lies that bounces off the walls: ink seldom fills it."""

    REACH = 20
    """Rows and columns of the outline on each side of the centre of mass."""

    def __init__(self, object_size: int) -> None:
        super().__init__()
        self.half_size = object_size / 2
        self.outline = nn.Sequential(nn.Linear(2 * (2 * self.REACH + 1), 48), nn.SiLU(), nn.Linear(48, 4))
        nn.init.zeros_(self.outline[-1].weight)
        nn.init.zeros_(self.outline[-1].bias)

    def forward(self, layers: Tensor) -> tuple[Tensor, Tensor]:
        """Return the upper left corner, in pixels, and how far it may be off; both (2, B, 2): rows, columns."""
        profiles = torch.stack([layers.sum(dim=-1), layers.sum(dim=-2)])  # (2, B, 2, size)
        profiles = profiles / layers.sum(dim=(-1, -2)).clamp(min=1e-3)[..., None]
        centre = profiles @ torch.arange(layers.shape[-1], dtype=torch.float32, device=layers.device)  # (2, B, 2)
        around = torch.arange(-self.REACH, self.REACH + 1, device=layers.device)
        index = centre.detach().round().long()[..., None] + around
        inside = (index >= 0) & (index < layers.shape[-1])
        outline = profiles.gather(-1, index.clamp(0, layers.shape[-1] - 1)) * inside  # (2, B, 2, 41)
        offset, log_error = self.outline(20 * torch.cat([*outline], dim=-1)).movedim(-1, 0).unflatten(0, (2, 2))
        return centre - self.half_size + 4 * offset, (1.5 + log_error).exp()


class PathBank(nn.Module):
    """Weigh all paths against what was seen (Bayes' rule), and say where they lead.

    A path along one axis is a start and a speed; the law of motion makes the rest. Both axes are searched apart; what
    ties them is that the speed as a whole is known, so that a direction is enough. Nothing here is trained.
    """

    def __init__(self, config: LayeredConfig) -> None:
        super().__init__()
        self.config = config
        room, parts = config.room, config.division
        starts = (torch.arange(config.num_starts) + 0.5) / config.num_starts  # fractions of the room
        angles = torch.arange(-config.num_angles, config.num_angles + 1.0)  # in fractions of a quarter of the circle
        within = (torch.arange(parts) + 0.5) / parts - 0.5
        fine_starts = (starts[:, None] + within / config.num_starts)[:, None, :, None]
        fine_angles = (angles[:, None] + within)[None, :, None, :]
        start, angle = torch.broadcast_tensors(fine_starts, fine_angles)  # (starts, angles, parts, parts)
        speed = config.step * (angle * torch.pi / 2 / config.num_angles).sin()
        place = room * travel(start, speed, config.num_context + config.horizon)  # (T, starts, angles, parts, parts)
        place = place.movedim(0, -1).flatten(2, 3).flatten(0, 1)  # (coarse, fine, T): fine paths around each coarse one
        last = config.num_context - 1
        moved = place.long() - place[..., last : last + 1].long() + room  # as an index: 0 is a displacement of -room
        middle = parts**2 // 2
        one_hot = F.one_hot(moved[:, middle], 2 * room + 1).float()  # (coarse, T, 2 room + 1)
        for name, table in {
            "given": one_hot[:, :last].flatten(1).T.contiguous(),
            "leads_to": one_hot.flatten(1),
            "corner": place[:, middle, last],
            "fine_moved": moved.to(torch.int16),
            "fine_corner": place[..., last],
            "fine_angle": angle.flatten(2).flatten(0, 1) + config.num_angles,
        }.items():
            self.register_buffer(name, table, persistent=False)

    def forward(self, seen: Tensor, corner: Tensor, corner_error: Tensor) -> Tensor:
        """Return the probability of each displacement in each frame, given and future.

        Args:
            seen: (2, B, 2, num_context - 1, 2 * room + 1): rows and columns, as in ``Explanation``.
            corner: (2, B, 2), of the box in the last given frame, in pixels.
            corner_error: (2, B, 2): its standard deviation.

        Returns:
            (2, B, 2, num_context + horizon, 2 * room + 1).
        """
        batch = seen.shape[1:3]
        evidence = (seen * (1 - DOUBT) + DOUBT / seen.shape[-1]).log().flatten(3).flatten(1, 2)  # (2, N, 9 * 73)
        corner, precision = corner.flatten(1)[..., None], 0.5 * corner_error.flatten(1)[..., None] ** -2

        scores = evidence @ self.given - precision * (self.corner - corner).square()  # (2, N, coarse)
        by_angle = scores.unflatten(2, (self.config.num_starts, -1)).logsumexp(dim=2)  # (2, N, angles)
        quarter = self.config.num_angles
        across = quarter - torch.arange(-quarter, quarter + 1, device=seen.device).abs()  # what is left of the speed
        there, back = by_angle[..., quarter + across], by_angle[..., quarter - across]
        other = torch.logaddexp(there, back).flip(0)  # (2, N, angles): what the other axis says of each
        scores = scores + other.repeat(1, 1, self.config.num_starts)

        best = scores.topk(min(self.config.num_refined, scores.shape[2]), dim=-1).indices  # (2, N, refined)
        moved = self.fine_moved[best].flatten(2, 3).long()  # (2, N, paths, T)
        index = moved + torch.arange(moved.shape[-1], device=seen.device) * seen.shape[-1]
        num_given = seen.shape[3]
        fine = evidence.gather(2, index[..., :num_given].flatten(2)).unflatten(2, (-1, num_given)).sum(dim=-1)
        fine = fine - precision * (self.fine_corner[best].flatten(2) - corner).square()
        fine = fine + _between(other, self.fine_angle[best].flatten(2)) - 2 * math.log(self.config.division)

        scores = scores.scatter(2, best, -torch.inf)  # a divided path is counted by its parts
        weight = torch.cat([scores, fine], dim=2).softmax(dim=-1)
        weight, fine_weight = weight.split([scores.shape[2], fine.shape[2]], dim=2)
        fine_weight = fine_weight[..., None].expand(index.shape).flatten(2)
        moves = (weight @ self.leads_to).scatter_add(2, index.flatten(2), fine_weight)  # (2, N, T * 73)
        moves = moves.clamp(max=1)  # a sum of many shares may end a rounding above
        return moves.unflatten(2, (-1, seen.shape[-1])).unflatten(1, batch)


class Cleaner(nn.Module):
    """Take off a layer what does not travel with it.

    Where two objects cross, the brighter pixel shows. Moved back onto the last frame, every given frame therefore shows
    a pixel of the object or something brighter: the darkest of them is the object itself, unless it is covered in all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_contrast = nn.Parameter(torch.tensor(2.0))
        self.mix = nn.Sequential(nn.Conv2d(5, 16, 1), nn.SiLU(), nn.Conv2d(16, 1, 1))
        nn.init.zeros_(self.mix[-1].weight)
        nn.init.zeros_(self.mix[-1].bias)

    def forward(self, layers: Tensor, frames: Tensor, moves: Tensor) -> Tensor:
        """Return cleaned layers.

        Args:
            layers: (B, 2, H, W).
            frames: (B, T, H, W).
            moves: (2, B, 2, T - 1, 2 * room + 1).
        """
        rows, columns = shift_matrix(moves, frames.shape[-1])
        last = frames[:, None, -1].expand_as(layers)
        back = rows.mT @ frames[:, None, :-1] @ columns  # (B, 2, T - 1, H, W): moved back onto the last frame
        back = torch.cat([back, last[:, :, None]], dim=2)
        nearly_darkest = (back * (-self.log_contrast.exp() * back).softmax(dim=2)).sum(dim=2)
        views = torch.stack([back.amin(dim=2), nearly_darkest, back.mean(dim=2), layers, last], dim=2)
        return layers + self.mix(views.flatten(0, 1))[:, 0].unflatten(0, layers.shape[:2])


def shift_matrix(moves: Tensor, size: int) -> Tensor:
    """Make matrices that move a column of pixels by an uncertain displacement.

    Args:
        moves: (..., 2 * room + 1), the probability of each displacement from -room to room.
        size: H.

    Returns:
        (..., H, H): entry (y, y') is the probability that what was at y' is at y.
    """
    missing = size - 1 - moves.shape[-1] // 2
    return F.pad(moves, (missing, missing)).flip(-1).unfold(-1, size, 1).flip(-2)


def move(layers: Tensor, moves: Tensor) -> Tensor:
    """Move each layer by its displacements of each frame, as a probability leaves it: blurred.

    Args:
        layers: (B, 2, H, W).
        moves: (2, B, 2, T, 2 * room + 1), rows and columns.

    Returns:
        (B, 2, T, H, W).
    """
    rows, columns = shift_matrix(moves, layers.shape[-1])
    return rows @ layers[:, :, None] @ columns.mT


def overlay(layers: Tensor) -> Tensor:
    """Lay layers (B, 2, ...) over one another: (B, ...). A pixel is dark if it is dark in all of them."""
    return 1 - (1 - layers.clamp(0, 1)).prod(dim=1)


def cross_correlation(layers: Tensor, frames: Tensor, reach: int) -> Tensor:
    """Compare each layer, at each displacement, with each frame: the sum of products, by Fourier transforms.

    Args:
        layers: (B, K, H, W).
        frames: (B, T, H, W).
        reach: the largest displacement.

    Returns:
        (B, K, T, 2 * reach + 1, 2 * reach + 1).
    """
    padded = 2 * (layers.shape[-1] + reach,)  # so much that nothing comes in again on the other side
    spectrum = torch.fft.rfft2(frames, s=padded)[:, None] * torch.fft.rfft2(layers, s=padded)[:, :, None].conj()
    products = torch.fft.irfft2(spectrum, s=padded).roll((reach, reach), dims=(-2, -1))
    return products[..., : 2 * reach + 1, : 2 * reach + 1]


def _between(table: Tensor, index: Tensor) -> Tensor:
    """Read a table (..., N) at fractions of an index, (..., M)."""
    below = index.floor().clamp(0, table.shape[-1] - 2)
    share = index - below
    below = below.long()
    return table.gather(-1, below) * (1 - share) + table.gather(-1, below + 1) * share
