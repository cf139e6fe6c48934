"""Moving MNIST from real handwritten digits, with nothing to download.

scikit-learn carries 1,797 digits of 8x8 pixels. Enlarged to MNIST's 28x28 and set moving by the field's rules, they
give the field's task: 10 frames of 64x64 are the context, 10 are the target. The learner's own copy of MNIST
(``read_images``) or of the published test clips (``read_clips``) takes their place when it is on disk.
"""

import gzip
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from course.clips import expect, expect_tensor, to_float

SPLITS: tuple[str, ...] = ("train", "test")
DIGIT_SIZE = 28
"""Rows and columns of a digit, as in MNIST."""
NUM_FRAMES = 20
"""Frames of a clip: 10 of context, 10 to predict."""
FRAME_SIZE = 64
STEP = 0.1
"""Distance that a digit travels per frame, as a fraction of the room it has: 3.6 of 36 pixels."""


@dataclass(frozen=True)
class DigitClips:
    """A batch of clips and how they were made.

    Attributes:
        clips: (B, T, 1, H, W), float32 in [0, 1].
        positions: (B, T, num_digits, 2), float32: row and column of each digit's upper left corner in pixels. The
            digit is drawn at the whole pixel below (``floor``).
        labels: (B, num_digits), int64: which digit it is; None when the images came without labels.
    """

    clips: Tensor
    positions: Tensor
    labels: Tensor | None


def load_digits(split: str = "train") -> tuple[Tensor, Tensor]:
    """Load one split of scikit-learn's handwritten digits, enlarged to the size of MNIST's.

    The split is fixed: of each of the ten digits the last fifth, in the order of the file, is for testing. Images that
    look alike stand close together in the file, so a random split would put near copies on both sides.

    Args:
        split: ``"train"`` (1,433 images) or ``"test"`` (364 images).

    Returns:
        images (N, 1, 28, 28), float32 in [0, 1], and labels (N,), int64 in 0..9.

    Raises:
        ValueError: for another split.
    """
    from sklearn.datasets import load_digits as load_bundled

    _expect_split(split)
    bundled = load_bundled()
    labels = torch.from_numpy(bundled.target).long()  # (1797,)
    one_hot = F.one_hot(labels)  # (1797, 10)
    rank = (one_hot.cumsum(0) * one_hot).sum(1)  # this image is the rank-th of its digit, from 1
    is_test = rank * 5 > labels.bincount()[labels] * 4
    chosen = is_test if split == "test" else ~is_test
    small = torch.from_numpy(bundled.images).float()[chosen, None] / 16  # (N, 1, 8, 8)
    images = F.interpolate(small, size=(DIGIT_SIZE, DIGIT_SIZE), mode="bicubic", align_corners=False)
    return images.clamp(0, 1), labels[chosen]  # bicubic interpolation overshoots at edges


def moving_digits(
    num_clips: int,
    *,
    generator: torch.Generator,
    images: Tensor,
    labels: Tensor | None = None,
    num_frames: int = NUM_FRAMES,
    size: int = FRAME_SIZE,
    num_digits: int = 2,
    step: float = STEP,
) -> DigitClips:
    """Render digits that move at constant speed and bounce off the walls.

    Each digit starts at a random place in a random direction. A coordinate that passes a wall stops at it for this
    frame and turns round. Where digits overlap, the brighter pixel shows.

    Args:
        num_clips: B, at least 1.
        generator: where chance comes from; the same seed gives the same bytes.
        images: (N, 1, h, w), float32 in [0, 1]: the digits to draw from, not larger than the frame.
        labels: (N,), which digit each image shows.
        num_frames: T, at least 1.
        size: side of the frame in pixels.
        num_digits: digits in each clip, at least 1.
        step: distance travelled per frame, as a fraction (0 to 1) of the room that a digit has.

    Returns:
        The clips, the digits' positions and their labels.

    Raises:
        ValueError: if an argument does not fit.

    Paper:
        Srivastava, Mansimov and Salakhutdinov 2015, arXiv 1502.04681. Speed, bounce and rounding follow
        the authors' generator.
    """
    expect_tensor(images, "N 1 H W", name="images")
    num_images, num_channels, height, width = images.shape
    if min(num_clips, num_frames, num_digits, num_images) < 1 or not 0 <= step <= 1:
        raise ValueError(
            "wanted at least one clip, frame, digit and image, and a step in [0, 1], "
            f"got {num_clips}, {num_frames}, {num_digits}, {num_images} and {step}"
        )
    if num_channels != 1 or max(height, width) > size:
        raise ValueError(f"images: wanted (N, 1, at most {size}, at most {size}), got {tuple(images.shape)}")
    if labels is not None and labels.shape != (num_images,):
        raise ValueError(f"labels: wanted one for each of {num_images} images, got {tuple(labels.shape)}")
    chosen = torch.randint(num_images, (num_clips, num_digits), generator=generator)
    digits = images[chosen].squeeze(2)  # (B, num_digits, h, w)
    expect(digits, "B D H W", name="images")  # only those drawn: a look at all of MNIST would cost more than the clips
    place = torch.rand(num_clips, num_digits, 2, generator=generator)  # (row, column), fractions of the room
    angle = 2 * torch.pi * torch.rand(num_clips, num_digits, generator=generator)
    velocity = step * torch.stack([angle.sin(), angle.cos()], dim=-1)
    room = torch.tensor([size - height, size - width])
    positions = travel(place, velocity, num_frames).movedim(0, 1) * room  # (B, T, num_digits, 2)
    clips = draw(digits, positions.long(), size)
    return DigitClips(clips[:, :, None], positions, None if labels is None else labels[chosen])


def travel(place: Tensor, velocity: Tensor, num_frames: int) -> Tensor:
    """Move along an axis, at constant speed from wall to wall.

    Args:
        place: where to start, fractions of the room; of any shape.
        velocity: per frame, of the same shape.
        num_frames: T.

    Returns:
        (T, ...): the places after 1, 2, ... T frames.
    """
    places = []
    for _ in range(num_frames):
        place = place + velocity
        velocity = torch.where((place <= 0) | (place >= 1), -velocity, velocity)
        place = place.clamp(0, 1)
        places.append(place)
    return torch.stack(places)


def draw(digits: Tensor, corners: Tensor, size: int = FRAME_SIZE) -> Tensor:
    """Draw digits (B, D, h, w) at whole corners (B, T, D, 2); return (B, T, size, size).

    A loop over pixels or frames would be slow in Python. A view of every h x w window of every frame lets one indexed
    assignment draw a digit into all frames of a clip, and a clip at a time stays in the processor's cache.
    """
    canvas = np.zeros((*corners.shape[:2], size, size), dtype=np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(canvas, digits.shape[-2:], axis=(2, 3), writeable=True)
    frames = np.arange(corners.shape[1])
    for clip, path, images in zip(windows, corners.numpy(), digits.numpy(), strict=True):
        for digit, image in enumerate(images):
            where = (frames, path[:, digit, 0], path[:, digit, 1])
            clip[where] = np.maximum(clip[where], image)
    return torch.from_numpy(canvas)


def read_images(path: str | Path, split: str = "train") -> Tensor:
    """Read the learner's own MNIST, or another set of 28x28 images in one of its formats.

    Args:
        path: an ``idx3-ubyte`` file as MNIST is published, gzipped or not; an ``.npy`` array (N, 28, 28); or an
            ``.npz`` archive that holds ``x_train`` and ``x_test``, or one such array of any name.
        split: ``"train"`` or ``"test"``: which array of an archive; the other formats hold one split per file.

    Returns:
        (N, 1, 28, 28), float32 in [0, 1].

    Raises:
        OSError: if the file cannot be opened.
        ValueError: with the path, if the file is damaged or holds something else.
    """
    _expect_split(split)
    data = Path(path).read_bytes()
    try:
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        if data.startswith(b"PK"):
            array = _from_archive(data, split)
        elif data.startswith(b"\x93NUMPY"):
            array = np.load(io.BytesIO(data), allow_pickle=False)
        else:
            array = _from_idx(data)
        if array.shape[1:] != (DIGIT_SIZE, DIGIT_SIZE) or len(array) < 1:
            raise ValueError(f"wanted images (N, {DIGIT_SIZE}, {DIGIT_SIZE}), got {array.shape}")
        if array.dtype == np.uint8:
            images = to_float(torch.from_numpy(array.copy()))
        elif array.dtype.kind == "f":
            images = torch.from_numpy(array.astype(np.float32))
            expect(images, "N H W", name="images")
        else:
            raise ValueError(f"wanted uint8, or floats in [0, 1], got {array.dtype}")
    except Exception as error:  # a damaged file can fail anywhere in three decoders
        raise ValueError(f"{path}: not a readable file of MNIST images: {error}") from error
    return images[:, None]


def read_clips(path: str | Path, *, first: int = 0, num_clips: int | None = None) -> Tensor:
    """Read the published Moving MNIST test clips, ``mnist_test_seq.npy``.

    Args:
        path: an ``.npy`` file with a uint8 array (20, N, 64, 64): time stands first in this file.
        first: the first clip wanted.
        num_clips: how many clips; None for all that follow. Only these are read: all 10,000 take 3.3 GB as float32.

    Returns:
        (B, 20, 1, 64, 64), float32 in [0, 1].

    Raises:
        OSError: if the file cannot be opened.
        ValueError: with the path, if the file is damaged, holds something else, or has too few clips.
    """
    try:
        array = np.lib.format.open_memmap(Path(path), mode="r")  # never unpickles
        wanted = (NUM_FRAMES, *array.shape[1:2], FRAME_SIZE, FRAME_SIZE)
        if array.shape != wanted or array.dtype != np.uint8:
            raise ValueError(
                f"wanted uint8 ({NUM_FRAMES}, N, {FRAME_SIZE}, {FRAME_SIZE}), got {array.dtype} {array.shape}"
            )
    except OSError:
        raise
    except Exception as error:  # a damaged header can fail anywhere in the decoder
        raise ValueError(f"{path}: not a readable file of Moving MNIST clips: {error}") from error
    end = array.shape[1] if num_clips is None else first + num_clips
    if not 0 <= first < end <= array.shape[1]:
        raise ValueError(f"{path}: wanted clips {first} to {end}, but the file holds {array.shape[1]}")
    clips = torch.from_numpy(array[:, first:end].copy())  # (T, B, H, W)
    return to_float(clips).transpose(0, 1)[:, :, None].contiguous()  # (B, T, 1, H, W)


def _expect_split(split: str) -> None:
    if split not in SPLITS:
        raise ValueError(f"split: wanted one of {SPLITS}, got {split!r}")


def _from_archive(data: bytes, split: str) -> np.ndarray:
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        shapes = {name: archive[name].shape for name in archive}
        images = [name for name, shape in shapes.items() if shape[1:] == (DIGIT_SIZE, DIGIT_SIZE)]
        if any(f"x_{known}" in images for known in SPLITS):
            images = [name for name in images if name == f"x_{split}"]
        if len(images) != 1:
            raise ValueError(f"wanted x_{split}, or one array (N, {DIGIT_SIZE}, {DIGIT_SIZE}), got {shapes}")
        return archive[images[0]]


def _from_idx(data: bytes) -> np.ndarray:
    """Read MNIST's own format: four big-endian integers (2051, N, rows, columns), then a byte for each pixel."""
    magic, *shape = (int.from_bytes(data[i : i + 4], "big") for i in range(0, 16, 4))
    if magic != 2051:
        raise ValueError("it does not begin as idx3-ubyte, gzip, npy or npz files do")
    if len(data) != 16 + shape[0] * shape[1] * shape[2]:
        raise ValueError(f"its header promises {tuple(shape)} pixels, but {max(len(data) - 16, 0)} follow")
    return np.frombuffer(data, dtype=np.uint8, offset=16).reshape(shape)
