"""Picture files, and a camera that pans and zooms over photographs, so that a natural picture's true motion is known.

Two photographs come with scikit-learn, ``china`` and ``flower``; any picture file of the learner's can take their
place.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from course.clips import expect, resize, to_float

BUNDLED: tuple[str, ...] = ("china", "flower")
SUFFIXES: tuple[str, ...] = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class PhotoClips:
    """A batch of clips and the true motion of the camera.

    Attributes:
        clips: (B, T, 3, H, W), float32 in [0, 1].
        velocities: (B, 2), float32: how far the camera moves down and right, in pixels of the clip per frame. What is
            seen moves by as much the other way.
        zooms: (B,), float32: how many times larger things appear in the last frame than in the first.
    """

    clips: Tensor
    velocities: Tensor
    zooms: Tensor


def photo_names(folder: str | Path | None = None) -> list[str]:
    """List what ``load_photo`` can load: the bundled photographs, or the picture files of a folder, in sorted order.

    Raises:
        OSError: if there is no such folder.
        ValueError: if it holds no picture file.
    """
    if folder is None:
        return list(BUNDLED)
    names = sorted(str(path) for path in Path(folder).iterdir() if path.suffix.lower() in SUFFIXES)
    if not names:
        raise ValueError(f"{folder}: wanted picture files ({', '.join(SUFFIXES)}), found none")
    return names


def load_photo(name: str | Path) -> Tensor:
    """Load a photograph.

    Args:
        name: ``"china"``, ``"flower"``, or the path of a picture file.

    Returns:
        (3, H, W), float32 in [0, 1], turned the way the camera was held, black where it is transparent.

    Raises:
        OSError: if the file cannot be opened.
        ValueError: with the path, if it is damaged or not a picture.
    """
    if name not in BUNDLED:
        return _decoded(Path(name).read_bytes(), name=str(name))
    from sklearn.datasets import load_sample_image

    return _as_photo(load_sample_image(f"{name}.jpg"))


def read_picture(data: bytes, size: int, *, name: str = "picture") -> Tensor:
    """Read the bytes of a picture file: its middle square, at a given size.

    Args:
        data: of a file in any format that Pillow knows.
        size: pixels of a side.
        name: what to call the file in an error.

    Returns:
        (3, size, size), float32 in [0, 1], turned the way the camera was held, black where it is transparent.

    Raises:
        ValueError: if it is no picture, or is damaged.
    """
    picture = _decoded(data, name=name)  # (3, H, W)
    H, W = picture.shape[1:]
    side = min(H, W)
    top, left = (H - side) // 2, (W - side) // 2
    return resize(picture[:, top : top + side, left : left + side], size, size)


def _decoded(data: bytes, *, name: str) -> Tensor:
    """Decode a picture file, (3, H, W); every way into the course for one goes through here."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGBA")
    except UnidentifiedImageError as error:
        raise ValueError(f"{name}: not a readable picture: no format that Pillow knows") from error
    except Exception as error:  # a damaged file can fail anywhere in the decoder
        raise ValueError(f"{name}: not a readable picture: {error}") from error
    picture = Image.alpha_composite(Image.new("RGBA", picture.size, "black"), picture).convert("RGB")
    return _as_photo(np.array(picture))


def _as_photo(pixels: np.ndarray) -> Tensor:
    """Make (3, H, W), float32 in [0, 1], of pixels (H, W, 3), uint8."""
    return to_float(torch.from_numpy(pixels.copy())).permute(2, 0, 1).contiguous()


def pan_and_zoom(
    photo: Tensor,
    *,
    num_frames: int,
    size: int,
    velocity: Sequence[float] = (0.0, 0.0),
    zoom: float = 1.0,
    pixel_size: float = 2.0,
    start: Sequence[float] = (0.5, 0.5),
) -> Tensor:
    """Film a photograph with a camera that moves at constant velocity while it zooms at a constant rate.

    Args:
        photo: (C, H, W), float32 in [0, 1].
        num_frames: T, at least 1.
        size: side of a square frame, in pixels.
        velocity: (down, right), in pixels of the clip per frame. What is seen moves by as much the other way, and
            whole numbers move it without interpolation.
        zoom: how many times larger things appear in the last frame than in the first; below 1 the camera draws back.
        pixel_size: side of one pixel of the first frame, in pixels of the photograph.
        start: where the path as a whole lies in the photograph, 0 to 1 downwards and to the right: (0, 0) touches the
            upper left corner, (0.5, 0.5) is in the middle, (1, 1) touches the lower right corner.

    Returns:
        (T, C, size, size), float32 in [0, 1].

    Raises:
        ValueError: if an argument does not fit, or the photograph is too small for the path.
    """
    sizes = expect(photo, "C H W", name="photo")
    if min(num_frames, size) < 1 or min(zoom, pixel_size) <= 0 or not 0 <= min(start) <= max(start) <= 1:
        raise ValueError(
            "wanted at least one frame and one pixel, a zoom and a pixel_size above 0, and a start in [0, 1], "
            f"got {num_frames}, {size}, {zoom}, {pixel_size} and {tuple(start)}"
        )
    corners, pixel_sizes = _camera_path(num_frames, size, velocity, zoom, pixel_size)
    low, high = corners.amin(0), (corners + size * pixel_sizes[:, None]).amax(0)  # (2,) each: the box around the path
    limits = torch.tensor([sizes["H"], sizes["W"]])
    room = limits - (high - low)
    if not (room >= 0).all():
        raise ValueError(
            f"photo: the camera's path covers {high[0] - low[0]:.1f} x {high[1] - low[1]:.1f} pixels, the photograph "
            f"has {sizes['H']} x {sizes['W']}; wanted fewer frames, a slower camera or a smaller pixel_size"
        )
    shift = room * torch.tensor(start, dtype=torch.float64) - low
    margin = pixel_sizes.max().clamp(min=1)  # what the filter sees beyond the frame
    first = (low + shift - margin).floor().long().clamp(min=0)
    last = torch.minimum((high + shift + margin).ceil().long(), limits)
    seen = photo[:, first[0] : last[0], first[1] : last[1]]
    corners = corners + shift - first
    rows = _sampling(corners[:, 0], pixel_sizes, size, seen.shape[1])  # (T, size, rows seen)
    columns = _sampling(corners[:, 1], pixel_sizes, size, seen.shape[2])  # (T, size, columns seen)
    return (rows[:, None] @ seen @ columns[:, None].mT).clamp(0, 1)  # (T, C, size, size)


def photo_clips(
    num_clips: int,
    *,
    generator: torch.Generator,
    photos: Sequence[Tensor] | None = None,
    num_frames: int = 16,
    size: int = 64,
    max_speed: float = 3.0,
    max_zoom: float = 1.25,
    pixel_size: float = 2.0,
) -> PhotoClips:
    """Film photographs at random: which one, from where, in which direction, how fast, and zooming in or out.

    Args:
        num_clips: B, at least 1.
        generator: where chance comes from; the same seed gives the same bytes.
        photos: what to film, each (3, H, W), float32 in [0, 1]; None for the two bundled photographs.
        num_frames: T, at least 1.
        size: side of a square frame, in pixels.
        max_speed: fastest motion, in pixels of the clip per frame.
        max_zoom: strongest zoom, in or out; 1 for none.
        pixel_size: side of one pixel of the first frame, in pixels of the photograph.

    Returns:
        The clips, and how the camera moved.

    Raises:
        ValueError: if an argument does not fit, or a photograph is too small for the path.
    """
    photos = [load_photo(name) for name in BUNDLED] if photos is None else photos
    if min(num_clips, len(photos)) < 1 or max_speed < 0 or max_zoom < 1:
        raise ValueError(
            "wanted at least one clip and one photo, a speed of at least 0 and a zoom of at least 1, "
            f"got {num_clips}, {len(photos)}, {max_speed} and {max_zoom}"
        )
    chosen = torch.randint(len(photos), (num_clips,), generator=generator).tolist()
    speed, turn, zoom, place = torch.rand(num_clips, 5, generator=generator).double().split([1, 1, 1, 2], dim=1)
    angle = 2 * torch.pi * turn
    velocities = max_speed * speed * torch.cat([angle.sin(), angle.cos()], dim=1)  # (B, 2)
    zooms = max_zoom ** (2 * zoom[:, 0] - 1)  # in as often as out
    clips = [
        pan_and_zoom(
            photos[index],
            num_frames=num_frames,
            size=size,
            velocity=velocity,
            zoom=factor,
            pixel_size=pixel_size,
            start=start,
        )
        for index, velocity, factor, start in zip(
            chosen, velocities.tolist(), zooms.tolist(), place.tolist(), strict=True
        )
    ]
    return PhotoClips(torch.stack(clips), velocities.float(), zooms.float())


def _camera_path(
    num_frames: int, size: int, velocity: Sequence[float], zoom: float, pixel_size: float
) -> tuple[Tensor, Tensor]:
    """Return the corner of each frame, (T, 2), from the middle of the first, and the side of its pixels, (T,)."""
    progress = torch.linspace(0, 1, num_frames, dtype=torch.float64)  # (T,)
    pixel_sizes = pixel_size / zoom**progress
    steps = pixel_sizes[:-1, None] * torch.tensor(velocity, dtype=torch.float64)  # (T - 1, 2)
    centres = torch.cat([torch.zeros(1, 2, dtype=torch.float64), steps.cumsum(0)])
    corners = centres - size * pixel_sizes[:, None] / 2  # it zooms about the middle of the frame
    return corners, pixel_sizes


def _sampling(first: Tensor, pixel_sizes: Tensor, num_samples: int, length: int) -> Tensor:
    """Weigh the pixels of a line for samples that start at ``first``, (T,), one pixel size apart.

    A triangle as wide as two samples interpolates where the camera is close and averages where it is far (no
    aliasing). Rows and columns separate, so a frame is two matrix products.

    Returns:
        (T, num_samples, length), float32; the weights of a sample sum to 1.
    """
    wanted = first[:, None] + (torch.arange(num_samples) + 0.5) * pixel_sizes[:, None]  # (T, num_samples)
    distance = (wanted[..., None] - (torch.arange(length) + 0.5)).abs()  # to the middle of each pixel
    weights = (1 - distance / pixel_sizes.clamp(min=1)[:, None, None]).clamp(min=0)
    return (weights / weights.sum(-1, keepdim=True)).float()
