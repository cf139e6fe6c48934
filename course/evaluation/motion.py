"""Motion between two frames, by block matching: the oldest answer, and the one that video codecs still build on."""

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from course.clips import expect


def block_matching(before: Tensor, after: Tensor, *, block_size: int, search_radius: int) -> Tensor:
    """Find for each block of ``after`` the displacement that brought it there from ``before``.

    Every displacement of at most ``search_radius`` pixels per axis is tried; the smallest sum of absolute differences
    wins, and among equals the shortest displacement (then the one higher up, then the one further left). A search that
    leaves the frame sees its border pixels repeated, as codecs do.

    Args:
        before: (B, C, H, W), float32 in [0, 1].
        after: (B, C, H, W), float32 in [0, 1].
        block_size: side of a square block in pixels; H and W must be multiples of it.
        search_radius: largest displacement tried per axis, in pixels.

    Returns:
        (B, H / block_size, W / block_size, 2), int64: (dy, dx) for each block. Content that moves down and right has
        positive values: ``after[y, x]`` resembles ``before[y - dy, x - dx]``.

    Raises:
        ValueError: if the frames differ in shape or do not divide into blocks.
    """
    sizes = expect(before, "B C H W", name="before")
    expect(after, "B C H W", name="after", **sizes)
    B, _, H, W = before.shape
    if block_size < 1 or H % block_size or W % block_size:
        raise ValueError(f"block_size: wanted a divisor of {H} and {W} (the frame), got {block_size}")
    if search_radius < 0:
        raise ValueError(f"search_radius: wanted at least 0, got {search_radius}")
    rows, columns, r = H // block_size, W // block_size, search_radius
    padded = F.pad(before, (r, r, r, r), mode="replicate")
    least = before.new_full((B, rows, columns), torch.inf)
    best = torch.zeros(B, rows, columns, 2, dtype=torch.int64, device=before.device)
    for dy, dx in sorted(product(range(-r, r + 1), repeat=2), key=lambda d: d[0] ** 2 + d[1] ** 2):
        moved = padded[:, :, r - dy : r - dy + H, r - dx : r - dx + W]  # moved[y, x] = before[y - dy, x - dx]
        difference = (after - moved).abs().sum(1)  # (B, H, W)
        cost = difference.reshape(B, rows, block_size, columns, block_size).sum((2, 4))  # (B, rows, columns)
        better = cost < least
        least = torch.where(better, cost, least)
        best[better] = torch.tensor([dy, dx], device=before.device)
    return best
