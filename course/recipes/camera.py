"""The photographs of chapter 12: from one picture and the camera's move to 8 frames of 32 x 32 pixels.

There are two ways to ask for a move. It is *told* in three numbers beside the first frame, and the network has to learn
how a camera sees: to carry every pixel to its place. Or it is *shown*: geometry carries the pixels, and the network,
which sees in each frame what is known there and where nothing is, has only to invent what comes in from outside.

Either way the network draws not the film but how it differs from what is shown: what is right already is copied at no
cost.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from course import budget
from course.clips import expect
from course.datasets.photos import BUNDLED, PhotoClips, load_photo, photo_clips
from course.diffusion.schedule import to_signed, to_unit
from course.evaluation.motion import block_matching
from course.generation.image_to_video import known_frames
from course.models.denoiser import Condition
from course.models.unet import UNetConfig
from course.recipes.denoising import DenoiserRun, DenoiserSetting, Examples, denoiser_checkpoint, generate
from course.training.checkpoint import Card

NUM_FRAMES, SIZE = 8, 32
PIXEL_SIZE = 3.0
"""Side of one pixel of a clip, in pixels of the photograph."""
MAX_SPEED = 1.5
"""Of the camera, in pixels of the clip per frame."""
MAX_ZOOM = 1.25
"""How many times larger, or smaller, things appear in the last frame than in the first."""
NUM_STEPS = 4
"""Of the sampler: with more of them, what is invented is no nearer to the truth."""
HELD_OUT = (0.5, 0.75)
"""The strip of each photograph that is never filmed in training, from 0 at its left to 1 at its right."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """How a camera moves, as in ``photo_clips``.

    Attributes:
        down: pixels of the clip per frame, at most ``MAX_SPEED`` either way; what is seen moves the other way.
        right: as ``down``; both together are at most ``MAX_SPEED`` long.
        zoom: how many times larger things appear in the last frame than in the first, from 1 / MAX_ZOOM to MAX_ZOOM.
    """

    down: float = 0.0
    right: float = 0.0
    zoom: float = 1.0


MOVES: dict[str, Move] = {
    "camera moves left": Move(right=-1.0),
    "camera moves right": Move(right=1.0),
    "camera moves up": Move(down=-1.0),
    "camera moves down": Move(down=1.0),
    "camera zooms in": Move(zoom=1.2),
    "camera zooms out": Move(zoom=1 / 1.2),
}
"""What the command line understands."""

Network = Callable[[Tensor, Tensor, Condition], Tensor]


@cache
def parts() -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Cut each bundled photograph into what is filmed in training and the strip that is held out.

    Returns:
        The parts on the left and on the right of the strips, each (3, H, W), as they are and mirrored; the strips.
    """
    trained, held_out = [], []
    for name in BUNDLED:
        photo = load_photo(name)
        first, last = (round(photo.shape[2] * edge) for edge in HELD_OUT)
        for part in (photo[:, :, :first], photo[:, :, last:]):
            trained += [part.contiguous(), part.flip(2).contiguous()]
        held_out.append(photo[:, :, first:last].contiguous())
    return tuple(trained), tuple(held_out)


def filmed(num_clips: int, *, generator: torch.Generator, photos: Sequence[Tensor]) -> PhotoClips:
    """Film photographs as the network sees them: clips (B, 8, 3, 32, 32)."""
    return photo_clips(
        num_clips,
        generator=generator,
        photos=photos,
        num_frames=NUM_FRAMES,
        size=SIZE,
        max_speed=MAX_SPEED,
        max_zoom=MAX_ZOOM,
        pixel_size=PIXEL_SIZE,
    )


def told(pictures: Tensor, velocities: Tensor, zooms: Tensor) -> Condition:
    """Say a move in three numbers, and show the first frame.

    It is seen beside every frame, so that each has what it is made of at hand; a last channel says which frame it is.

    Args:
        pictures: (B, 3, 32, 32), values in [0, 1].
        velocities: (B, 2), down and right, in pixels per frame.
        zooms: (B,).

    Returns:
        ``given`` (B, 8, 4, 32, 32), and ``levels`` (B, 3), each 0.5 for a camera that stands still.
    """
    clips = pictures[:, None].expand(-1, NUM_FRAMES, -1, -1, -1)
    first = torch.zeros(clips.shape[:2], dtype=torch.bool)
    first[:, 0] = True
    given = known_frames(clips, first)  # (B, 8, 4, 32, 32), nothing behind the first frame
    given[:, :, :3] = to_signed(clips)
    return Condition(given=given, levels=_levels(velocities, zooms))


def shown(pictures: Tensor, velocities: Tensor, zooms: Tensor) -> Condition:
    """Show in each frame what the first one knows of it, where the camera sees it.

    Args:
        pictures: (B, 3, 32, 32), values in [0, 1].
        velocities: (B, 2), down and right, in pixels per frame.
        zooms: (B,).

    Returns:
        As ``told``; the last channel of ``given`` is 1 where a pixel is known, and where it is 0 the edge is repeated.
    """
    moved = to_signed(warped(pictures, velocities, zooms))
    known = visible(velocities, zooms)[:, :, None]  # (B, 8, 1, 32, 32)
    return Condition(given=torch.cat([moved, known.to(moved)], dim=2), levels=_levels(velocities, zooms))


def _levels(velocities: Tensor, zooms: Tensor) -> Tensor:
    shares = torch.cat([velocities / MAX_SPEED, zooms.log()[:, None] / math.log(MAX_ZOOM)], dim=1)  # (B, 3)
    return (shares + 1) / 2


WAYS: dict[str, Callable[[Tensor, Tensor, Tensor], Condition]] = {"told": told, "shown": shown}
"""The two ways to ask for a move."""


def camera_examples(num_clips: int, generator: torch.Generator, *, way: str) -> Examples:
    """Film the trained parts of the photographs, with moves that are asked for in one of ``WAYS``.

    What is learned is the difference between the film and what is shown, 0.5 where there is none. Where it is more than
    half of the range from black to white, which is rare, it is cut off.
    """
    clips = filmed(num_clips, generator=generator, photos=parts()[0])
    condition = WAYS[way](clips.clips[:, 0], clips.velocities, clips.zooms)
    difference = to_signed(clips.clips) - condition.given[:, :, :3]
    return Examples(to_unit(difference), condition)


CAMERA_SETTINGS: dict[str, DenoiserSetting] = {
    way: DenoiserSetting(
        config=UNetConfig(
            num_frames=NUM_FRAMES,
            given_channels=4,
            num_levels=3,
            patch_size=4,
            hidden_channels=(48, 48),
            condition_size=64,
        ),
        examples=partial(camera_examples, way=way),
        data=(
            f"8 frames of 32 x 32 pixels, filmed as they are used in the photographs {' and '.join(BUNDLED)} and in "
            f"their mirror images, the columns from {HELD_OUT[0]:.0%} to {HELD_OUT[1]:.0%} left out"
        ),
    )
    for way in WAYS
}
"""The denoisers of chapter 12's photographs, by the way in which a move is asked for.

With twice the channels they are no nearer to the true films after as long a training, and three times as large.
"""


def camera_run(way: str = "shown", *, seed: int, cpu_seconds: float) -> DenoiserRun:
    """Return the training of one of ``CAMERA_SETTINGS``."""
    _expect_way(way)
    name = f"picture and camera to clip, the move {way}"
    return DenoiserRun(name=name, setting=CAMERA_SETTINGS[way], seed=seed, cpu_seconds=cpu_seconds)


def film(
    network: Network,
    pictures: Tensor,
    *,
    down: float = 0.0,
    right: float = 0.0,
    zoom: float = 1.0,
    way: str = "shown",
    generator: torch.Generator,
    num_steps: int = NUM_STEPS,
    eta: float = 1.0,
) -> Tensor:
    """Film pictures with a camera.

    Args:
        network: trained by ``camera_run``.
        pictures: (B, 3, 32, 32), float32 in [0, 1].
        down: pixels per frame; with ``right`` at most ``MAX_SPEED`` long.
        right: as ``down``.
        zoom: of the last frame over the first, from 1 / MAX_ZOOM to MAX_ZOOM.
        way: in which the network was trained to be asked, one of ``WAYS``.
        generator: the only source of chance.
        num_steps: of the sampler.
        eta: share of fresh noise in each step.

    Returns:
        (B, 8, 3, 32, 32), values in [0, 1]; the first frames are the pictures.

    Raises:
        ValueError: for pictures of another form, or a move that the network was not trained on.
    """
    B = expect(pictures, f"B 3 {SIZE} {SIZE}", name="pictures")["B"]
    fast, far = MAX_SPEED * (1 + 1e-6), MAX_ZOOM * (1 + 1e-6)
    if not math.hypot(down, right) <= fast or not 1 / far <= zoom <= far:
        raise ValueError(
            f"wanted a camera of at most {MAX_SPEED:g} pixels per frame and a zoom from {1 / MAX_ZOOM:g} to "
            f"{MAX_ZOOM:g}, got {down:g} down, {right:g} right and a zoom of {zoom:g}"
        )
    velocities, zooms = torch.tensor([[down, right]]).float().expand(B, -1), torch.full((B,), float(zoom))
    return film_each(network, pictures, velocities, zooms, way=way, generator=generator, num_steps=num_steps, eta=eta)


def film_each(
    network: Network,
    pictures: Tensor,
    velocities: Tensor,
    zooms: Tensor,
    *,
    way: str = "shown",
    generator: torch.Generator,
    num_steps: int = NUM_STEPS,
    eta: float = 1.0,
) -> Tensor:
    """Film each picture with a move of its own: see ``film``, and ``told`` for the arguments."""
    _expect_way(way)
    condition = WAYS[way](pictures, velocities, zooms)
    shape = (len(pictures), NUM_FRAMES, 3, SIZE, SIZE)
    drawn = generate(
        network, condition, shape, generator=generator, num_steps=num_steps, guidance=1.0, eta=eta
    )  # (B, 8, 3, 32, 32)
    clips = to_unit(condition.given[:, :, :3] + to_signed(drawn))
    clips[:, 0] = pictures  # it is known
    return clips


def _expect_way(way: str) -> None:
    if way not in WAYS:
        raise ValueError(f"way: wanted one of {', '.join(WAYS)}, got {way!r}")


# Where things come from: the geometry of the camera


def sources(velocities: Tensor, zooms: Tensor) -> Tensor:
    """Say where in the first frame each pixel of each frame comes from.

    Rows and columns separate, since the camera does not turn.

    Args:
        velocities: (B, 2), down and right, in pixels per frame.
        zooms: (B,).

    Returns:
        (B, 8, 32, 2): the rows, and the columns, in pixels; the first frame reaches from 0 to 32.
    """
    scale = zooms[:, None] ** -torch.linspace(0, 1, NUM_FRAMES)  # (B, 8), pixels of the first frame in one
    steps = scale[:, :-1, None] * velocities[:, None]
    centres = SIZE / 2 + F.pad(steps.cumsum(dim=1), (0, 0, 1, 0))  # (B, 8, 2)
    place = torch.arange(SIZE) + 0.5 - SIZE / 2  # (32,), from the middle of the frame
    return centres[:, :, None] + place[:, None] * scale[:, :, None, None]


def visible(velocities: Tensor, zooms: Tensor) -> Tensor:
    """Say which pixels of each frame the first frame shows: (B, 8, 32, 32), bool."""
    where = sources(velocities, zooms)
    inside = (where >= 0) & (where <= SIZE)  # (B, 8, 32, 2)
    return inside[..., 0][:, :, :, None] & inside[..., 1][:, :, None]


def warped(pictures: Tensor, velocities: Tensor, zooms: Tensor) -> Tensor:
    """Move the first frame by the true geometry, its edge repeated: nothing is learned and nothing invented.

    Args:
        pictures: (B, 3, 32, 32), values in [0, 1].
        velocities: (B, 2).
        zooms: (B,).

    Returns:
        (B, 8, 3, 32, 32).
    """
    where = sources(velocities, zooms) * 2 / SIZE - 1  # (B, 8, 32, 2), from -1 to 1
    B, T, side, _ = where.shape
    rows = where[..., 0][:, :, :, None].expand(B, T, side, side)
    columns = where[..., 1][:, :, None].expand(B, T, side, side)
    places = torch.stack([columns, rows], dim=-1).flatten(0, 1)  # (B * 8, 32, 32, 2)
    frames = pictures[:, None].expand(-1, T, -1, -1, -1).flatten(0, 1)
    moved = F.grid_sample(frames, places, padding_mode="border", align_corners=False)
    return moved.clamp(0, 1).unflatten(0, (B, T))


# What is measured


def psnr_of_parts(clips: Tensor, truth: PhotoClips) -> tuple[float, float]:
    """Compare clips with the true films, frames 1 to 7.

    Returns:
        The PSNR, in decibels, of the pixels that the first frame shows, and of those that it does not.
    """
    error = (clips - truth.clips).square().mean(dim=2)[:, 1:]  # (B, 7, 32, 32)
    seen = visible(truth.velocities, truth.zooms)[:, 1:]
    return tuple(-10 * error[part].mean().log10().item() for part in (seen, ~seen))


def read_back(clips: Tensor, velocities: Tensor, zooms: Tensor) -> tuple[Tensor, Tensor]:
    """Read the camera's motion from the first and the last frame of clips, by block matching.

    Only blocks of the last frame count that the first one shows if the camera did what it was told, and the more there
    is to see in a block, the more it counts. The motion is the one that explains their displacements best.

    Args:
        clips: (B, 8, 3, 32, 32), values in [0, 1].
        velocities: (B, 2), what the camera was told.
        zooms: (B,), too.

    Returns:
        The velocities, (B, 2), and the zooms, (B,), that were found.
    """
    size, reach = 8, math.ceil(MAX_SPEED * (NUM_FRAMES - 1)) + 4  # a zoom adds to the motion
    before, after = clips[:, 0], clips[:, -1]
    found = block_matching(before, after, block_size=size, search_radius=reach).float()  # (B, 4, 4, 2)
    whole = F.max_pool2d((~visible(velocities, zooms)[:, -1]).float(), size) == 0  # (B, 4, 4)
    blocks = after.unfold(2, size, size).unfold(3, size, size)  # (B, 3, 4, 4, size, size)
    weight = whole * blocks.var(dim=(4, 5)).mean(dim=1) + 1e-6  # (B, 4, 4)
    # A pixel at p, from the middle, comes from scale * p + shift: it was displaced by (1 - scale) * p - shift.
    middle = size * (torch.arange(SIZE // size) + 0.5) - SIZE / 2
    place = torch.stack(torch.meshgrid(middle, middle, indexing="ij"), dim=-1)  # (4, 4, 2)
    weight = (weight / weight.sum(dim=(1, 2), keepdim=True))[..., None]  # (B, 4, 4, 1)
    mean_found, mean_place = ((weight * value).sum(dim=(1, 2), keepdim=True) for value in (found, place))
    apart, spread = found - mean_found, place - mean_place
    growth = (weight * spread * apart).sum(dim=(1, 2, 3)) / (weight * spread.square()).sum(dim=(1, 2, 3))  # (B,)
    scale = (1 - growth).clamp(1 / (2 * MAX_ZOOM), 2 * MAX_ZOOM)
    shift = (1 - scale)[:, None] * mean_place[:, 0, 0] - mean_found[:, 0, 0]  # (B, 2)
    # The steps shrink with the scale, as in ``sources``.
    lengths = (scale[:, None] ** torch.linspace(0, 1, NUM_FRAMES)[:-1]).sum(dim=1)
    return shift / lengths[:, None], 1 / scale


def camera_metrics(network: Network, *, way: str = "shown", num_clips: int = 200, seed: int = 9000) -> dict[str, float]:
    """Film the strips that were held out, and compare with the true films.

    Returns:
        PSNR of what is known and of what is invented, of the network and of two films that invent nothing; and how far
        the motion that is read back is from the one asked for, in pixels per frame, with the same of the true films.
    """
    chance = budget.generator(seed)
    truth = filmed(num_clips, generator=chance, photos=parts()[1])
    pictures, asked = truth.clips[:, 0], (truth.velocities, truth.zooms)
    films = {
        "": film_each(network, pictures, *asked, way=way, generator=chance),
        ", first frame frozen": pictures[:, None].expand_as(truth.clips),
        ", first frame warped": warped(pictures, *asked),
    }
    metrics = {}
    for name, clips in films.items():
        known, invented = psnr_of_parts(clips, truth)
        metrics |= {f"PSNR of what is known{name}": known, f"PSNR of what is invented{name}": invented}
    for name, clips in (("", films[""]), (", true films", truth.clips)):
        velocities, zooms = read_back(clips, *asked)
        metrics[f"error of the camera's velocity{name}"] = (velocities - asked[0]).norm(dim=1).mean().item()
        metrics[f"error of its zoom{name}"] = (zooms - asked[1]).abs().mean().item()
    return metrics


def camera_checkpoint(path: Path, run: DenoiserRun, *, command: str) -> Card:
    """Train and test a camera and keep it: see ``denoising.denoiser_checkpoint``."""
    (way,) = (way for way, setting in CAMERA_SETTINGS.items() if setting == run.setting)
    return denoiser_checkpoint(path, run, command=command, measure=partial(camera_metrics, way=way))
