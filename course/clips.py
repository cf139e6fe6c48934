"""The one convention for clips: (B, T, C, H, W), float32 in [0, 1] at every public boundary.

B counts clips in a batch, T frames, C colour channels, H rows, W columns. A single clip is (T, C, H, W).
uint8 in [0, 255] exists only in files and on screen.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def expect(clip: Tensor, layout: str, *, name: str = "clip", **sizes: int | tuple[int, ...]) -> dict[str, int]:
    """Check that ``clip`` is a float32 tensor in [0, 1] of the given layout; return its sizes by letter.

    Args:
        clip: the tensor to check.
        layout: one letter or number per dimension, such as ``"B T C H W"`` or ``"T 3 64 64"``. A letter that
            stands twice must have one size.
        name: what to call the tensor in an error.
        **sizes: the size, or the sizes, allowed for a letter: ``C=(1, 3)``.

    Returns:
        The size of each letter of the layout, such as ``{"T": 8, "C": 3, "H": 16, "W": 16}``.

    Raises:
        ValueError: with what came and what was wanted, in words.
    """
    expect_tensor(clip, layout, name=name)
    if clip.dtype != torch.float32:
        mend = " (course.clips.to_float converts uint8)" if clip.dtype == torch.uint8 else ""
        raise ValueError(f"{name}: wanted float32 in [0, 1], got {clip.dtype}{mend}")
    found: dict[str, int] = {}
    for word, size in zip(layout.split(), clip.shape, strict=True):
        wanted = int(word) if word.isdigit() else found.setdefault(word, size)
        allowed = sizes.get(word, size)
        allowed = allowed if isinstance(allowed, tuple) else (allowed,)
        if size != wanted or size not in allowed:
            rule = "".join(f", {letter} = {value}" for letter, value in sizes.items())
            raise ValueError(f"{name}: wanted ({', '.join(layout.split())}){rule}, got {tuple(clip.shape)}")
    if clip.numel():
        low, high = torch.aminmax(clip.detach())
        if not (low >= 0 and high <= 1):  # also true for NaN
            raise ValueError(f"{name}: wanted values in [0, 1], got {low:.4g} to {high:.4g}")
    return found


def expect_tensor(value: Tensor, layout: str, *, name: str = "clip") -> None:
    """Check that ``value`` is a tensor with as many dimensions as ``layout`` names, whatever its type and range.

    Raises:
        ValueError: with what came and what was wanted.
    """
    wanted = f"({', '.join(layout.split())})"
    if not isinstance(value, Tensor):
        raise ValueError(f"{name}: wanted a torch tensor {wanted}, got {type(value).__name__}")
    if value.ndim != len(layout.split()):
        raise ValueError(f"{name}: wanted {wanted}, got {tuple(value.shape)}")


def to_uint8(clip: Tensor) -> Tensor:
    """Round a float clip in [0, 1] to uint8 in [0, 255], for files and screens.

    Args:
        clip: float32 of any shape, values in [0, 1].

    Raises:
        ValueError: if ``clip`` is not float32 or leaves [0, 1].
    """
    letters = " ".join(f"d{i}" for i in range(getattr(clip, "ndim", 0)))
    expect(clip, letters)
    return (clip * 255).round().to(torch.uint8)


def to_float(clip: Tensor) -> Tensor:
    """Turn uint8 in [0, 255] into float32 in [0, 1].

    Raises:
        ValueError: if ``clip`` is not uint8.
    """
    if not isinstance(clip, Tensor) or clip.dtype != torch.uint8:
        raise ValueError(f"clip: wanted a uint8 tensor, got {getattr(clip, 'dtype', type(clip).__name__)}")
    return clip.to(torch.float32) / 255


def resize(clip: Tensor, height: int, width: int) -> Tensor:
    """Resize every frame, averaging over area when it shrinks (no aliasing).

    Args:
        clip: (..., C, H, W), float32 in [0, 1], three dimensions or more.
        height: rows wanted, at least 1.
        width: columns wanted, at least 1.

    Returns:
        (..., C, height, width), float32 in [0, 1].
    """
    if not isinstance(clip, Tensor) or clip.ndim < 3:
        raise ValueError(f"clip: wanted (..., C, H, W), got {tuple(getattr(clip, 'shape', ()))}")
    if height < 1 or width < 1:
        raise ValueError(f"wanted a height and a width of at least 1, got {height} x {width}")
    frames = clip.reshape(-1, *clip.shape[-3:])  # (N, C, H, W)
    frames = F.interpolate(frames, size=(height, width), mode="bilinear", align_corners=False, antialias=True)
    return frames.clamp(0, 1).reshape(*clip.shape[:-2], height, width)


def grid(clips: Tensor, columns: int, *, gap: int = 1, background: float = 0.5) -> Tensor:
    """Tile the clips of a batch into one larger clip, row by row.

    Args:
        clips: (B, T, C, H, W), float32 in [0, 1].
        columns: clips beside one another, at least 1.
        gap: pixels between neighbours.
        background: grey level of the gaps and of the places left over.

    Returns:
        (T, C, rows * (H + gap) - gap, columns * (W + gap) - gap).
    """
    sizes = expect(clips, "B T C H W", name="clips")
    if columns < 1 or sizes["B"] < 1:
        raise ValueError(f"wanted at least one column and one clip, got {columns} columns and {sizes['B']} clips")
    B, T, C, H, W = clips.shape
    columns = min(columns, B)
    rows = -(-B // columns)
    canvas = clips.new_full((T, C, rows * (H + gap) - gap, columns * (W + gap) - gap), background)
    for index, clip in enumerate(clips):
        top, left = (index // columns) * (H + gap), (index % columns) * (W + gap)
        canvas[:, :, top : top + H, left : left + W] = clip
    return canvas
