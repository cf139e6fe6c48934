"""Random drawings that move as sprites do: what a network has to see if it is to animate a drawing of the learner's.

A sprite has one of four shapes and one of four colours, and a network that was trained on nothing else turns whatever
it is shown into one of them. A *doodle* is a few strokes, blobs, rings and polygons in one or two bright colours, drawn
anew for each clip. It fits the box of a sprite and moves on the path of a sprite, so that walls, speeds and the six
motions are the same; there is no word for its colours and its shape.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from course.clips import expect_tensor
from course.datasets import sprites
from course.datasets.captions import ALL, PHRASES
from course.datasets.sprites import RADIUS, SpriteConfig

NUM_PARTS = 4
"""Most parts that a drawing is made of."""
KINDS: tuple[str, ...] = ("stroke", "blob", "ring", "polygon")
_NUM_SIDES = 4


@dataclass(frozen=True)
class Drawings:
    """B drawings of up to P parts each; lengths are fractions of a sprite's radius, (0, 0) is the drawing's centre.

    Attributes:
        kind: (B, P), index into ``KINDS``.
        shown: (B, P), False for a part that a drawing does not have; the first is always there.
        start: (B, P, 2), where a stroke begins; the centre of every other kind, (row, column).
        end: (B, P, 2), where a stroke ends.
        size: (B, P), radius of a blob and of a ring.
        width: (B, P), half the width of a stroke and of a ring's line.
        normal: (B, P, sides, 2), what a polygon's sides are perpendicular to, of length 1.
        distance: (B, P, sides), from the centre of a polygon to its sides.
        colour: (B, P, 3), red, green and blue; a drawing has one or two colours.
    """

    kind: Tensor
    shown: Tensor
    start: Tensor
    end: Tensor
    size: Tensor
    width: Tensor
    normal: Tensor
    distance: Tensor
    colour: Tensor


@dataclass(frozen=True)
class DoodleClips:
    """Clips of drawings that move, and what is known about them.

    Attributes:
        clips: (B, T, 3, H, W), float32 in [0, 1], black background.
        phrases: B of ``captions.PHRASES``, such as "moves left".
        drawings: what moves.
        motion: (B,), index into ``captions.MOTIONS``.
        position: (B, T, 2), the drawing's centre in pixels, (row, column).
        velocity: (B, T, 2), pixels to the next frame.
    """

    clips: Tensor
    phrases: list[str]
    drawings: Drawings
    motion: Tensor
    position: Tensor
    velocity: Tensor


def sample(num_clips: int, *, generator: torch.Generator, size: int = 16, num_frames: int = 8) -> DoodleClips:
    """Draw and render clips; the same generator state and settings give the same bytes.

    Args:
        num_clips: clips to make, at least 1.
        generator: the only source of chance.
        size: side of the frame in pixels, one of ``sprites.SIZES``.
        num_frames: frames per clip, at least 1.
    """
    if not isinstance(num_clips, int) or num_clips < 1:
        raise ValueError(f"num_clips: wanted a whole number of at least 1, got {num_clips!r}")
    config = SpriteConfig(size=size, num_frames=num_frames)
    chosen = torch.randint(len(ALL), (num_clips,), generator=generator).tolist()
    moves = [ALL[index] for index in chosen]  # of these, colour and shape are not used
    state = sprites.sample_state(moves, generator=generator, config=config)
    drawings = sample_drawings(num_clips, generator=generator)
    return DoodleClips(
        clips=render(drawings, state.position, size=size),
        phrases=[PHRASES[move.motion] for move in moves],
        drawings=drawings,
        motion=state.motion,
        position=state.position,
        velocity=state.velocity,
    )


def sample_drawings(num_drawings: int, *, generator: torch.Generator) -> Drawings:
    """Think of drawings: one large part, and up to three smaller ones in front of it.

    Args:
        num_drawings: B.
        generator: the only source of chance.
    """
    B, P = num_drawings, NUM_PARTS
    chance = torch.rand(B, P, 9, generator=generator)
    sides = torch.rand(B, P, _NUM_SIDES, 2, generator=generator)
    first = torch.arange(P) == 0  # (P,)
    num_parts = torch.randint(1, P + 1, (B, 1), generator=generator)
    angle = 2 * torch.pi * chance[..., 5]
    ahead = torch.stack([angle.sin(), angle.cos()], dim=-1)  # (B, P, 2)
    middle = torch.where(first[:, None], 0.4, 1.4) * (chance[..., 1:3] - 0.5)  # (B, P, 2)
    size = torch.where(first, 0.55, 0.2) + 0.4 * chance[..., 3]  # (B, P)
    length = torch.where(first, 0.6, 0.3) + 0.4 * chance[..., 4]  # half of a stroke
    turn = 2 * torch.pi * (torch.arange(_NUM_SIDES) + 0.8 * sides[..., 0]) / _NUM_SIDES + angle[..., None]
    kind = (chance[..., 0] * len(KINDS)).long()
    return Drawings(
        kind=kind,
        shown=torch.arange(P) < num_parts,
        start=torch.where((kind == 0)[..., None], middle - length[..., None] * ahead, middle),
        end=middle + length[..., None] * ahead,
        size=size,
        width=0.18 + 0.17 * chance[..., 6],
        normal=torch.stack([turn.sin(), turn.cos()], dim=-1),
        distance=size[..., None] * (0.6 + 0.4 * sides[..., 1]),
        colour=_colours(B, chance[..., 7] < 0.5, generator),
    )


def render(drawings: Drawings, position: Tensor, *, size: int) -> Tensor:
    """Draw on black, anti-aliased where the drawing stands between pixels, later parts in front.

    Only the small box around a drawing is drawn, which is what makes it quick.

    Args:
        drawings: B of them.
        position: (B, T, 2), their centres in each frame in pixels, (row, column): where a sprite may be.
        size: side of the frame in pixels.

    Returns:
        (B, T, 3, size, size), float32 in [0, 1].

    Raises:
        ValueError: if a drawing would leave the frame, or there is not one path for each.
    """
    expect_tensor(position, "B T 2", name="position")
    low, high = position.aminmax()
    if len(position) != len(drawings.kind) or low < RADIUS * size - 1e-3 or high > (1 - RADIUS) * size + 1e-3:
        raise ValueError(
            f"position: wanted ({len(drawings.kind)}, T, 2) with values from {RADIUS * size:g} to "
            f"{(1 - RADIUS) * size:g}, so that drawings stay in the frame, got {tuple(position.shape)} with "
            f"{low:.2f} to {high:.2f}"
        )
    B, T = position.shape[:2]
    box = sprites.box_size(size)
    corner = (position - box / 2).round().long().clamp(0, size - box)  # (B, T, 2)
    pixel = torch.arange(box) + 0.5
    y, x = (((pixel + corner[..., axis, None]) - position[..., axis, None]) for axis in (0, 1))  # (B, T, box) each
    place = torch.stack([y[..., :, None].expand(B, T, box, box), x[..., None, :].expand(B, T, box, box)], dim=-1)
    away = _distances(drawings, place.flatten(1, 3) / (RADIUS * size)) * RADIUS * size  # (B, P, T * box * box)
    cover = (0.5 - away).clamp(0, 1) * drawings.shown[..., None]
    painted = torch.zeros(B, 3, cover.shape[-1])
    for alpha, colour in zip(cover.unbind(dim=1), drawings.colour.unbind(dim=1), strict=True):
        painted += alpha[:, None] * (colour[..., None] - painted)
    painted = painted.view(B, 3, T, box, box).transpose(1, 2).flatten(0, 1)  # (B * T, 3, box, box)
    clips = torch.zeros(B, T, 3, size, size)
    boxes = clips.view(B * T, 3, size, size).unfold(2, box, 1).unfold(3, box, 1)
    boxes[torch.arange(B * T), :, corner[..., 0].flatten(), corner[..., 1].flatten()] = painted
    return clips


def _distances(drawings: Drawings, place: Tensor) -> Tensor:
    """Return how far places are outside of each part, negative inside. Place: (B, N, 2); result: (B, P, N)."""
    away = place[:, None] - drawings.start[:, :, None]  # (B, P, N, 2)
    ahead = (drawings.end - drawings.start)[:, :, None]
    along = ((away * ahead).sum(-1) / ahead.square().sum(-1)).clamp(0, 1)  # (B, P, N)
    stroke = _length(away - along[..., None] * ahead) - drawings.width[..., None]
    blob = _length(away) - drawings.size[..., None]
    ring = (blob + drawings.width[..., None]).abs() - drawings.width[..., None]
    sides = away @ drawings.normal.mT - drawings.distance[:, :, None]  # (B, P, N, sides)
    every = torch.stack([stroke, blob, ring, sides.amax(-1)])  # (kinds, B, P, N)
    chosen = every.gather(0, drawings.kind[None, ..., None].expand(1, *blob.shape))[0]
    return torch.maximum(chosen, place.abs().amax(-1)[:, None] - 1)  # what would leave the box is cut off


def _length(vectors: Tensor) -> Tensor:
    return vectors.square().sum(-1).sqrt()


def _colours(num_drawings: int, second: Tensor, generator: torch.Generator) -> Tensor:
    """Draw two bright colours for each drawing, and give each part the first or the second. Returns (B, P, 3)."""
    chance = torch.rand(num_drawings, 2, 2, generator=generator)  # hue and saturation
    thirds = torch.tensor([0.0, 1 / 3, 2 / 3])
    far = (chance[..., :1] - thirds + 0.5).remainder(1) - 0.5  # (B, 2, 3): from the hue to red, green and blue
    pure = (2 - 6 * far.abs()).clamp(0, 1)  # the brightest channel is 1
    both = 1 - (0.4 + 0.6 * chance[..., 1:]) * (1 - pure)
    return torch.where(second[..., None], both[:, 1:], both[:, :1])
