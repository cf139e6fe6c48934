"""Metrics that compare frame with frame: squared error, PSNR and SSIM.

Each takes a prediction and its target and returns one number per clip and frame, (B, T), so that error can be drawn
against the horizon. None of them sees time: the same frames in another order get the same numbers.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from course.clips import expect

WINDOW_SIZE = 11
"""Side of SSIM's window in pixels: no frame may be smaller."""
SIGMA = 1.5
K1, K2 = 0.01, 0.03


def squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Sum the squared error over the pixels of a frame: what Moving MNIST results call MSE.

    Args:
        prediction: (B, T, C, H, W), float32 in [0, 1].
        target: (B, T, C, H, W), float32 in [0, 1].

    Returns:
        (B, T), 0 or more.
    """
    _expect_pair(prediction, target)
    return (prediction - target).square().sum((2, 3, 4))


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Average the squared error over the pixels and channels of a frame.

    Args:
        prediction: (B, T, C, H, W), float32 in [0, 1].
        target: (B, T, C, H, W), float32 in [0, 1].

    Returns:
        (B, T), in [0, 1].
    """
    _expect_pair(prediction, target)
    return (prediction - target).square().mean((2, 3, 4))


def psnr(prediction: Tensor, target: Tensor) -> Tensor:
    """Compute the peak signal-to-noise ratio, for a peak of 1.

    Args:
        prediction: (B, T, C, H, W), float32 in [0, 1].
        target: (B, T, C, H, W), float32 in [0, 1].

    Returns:
        (B, T), decibels; infinite where the frames are equal.
    """
    return -10 * mse(prediction, target).log10()


def ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """Compute the structural similarity: do local means, contrasts and patterns agree?

    Each colour channel is compared by itself, at every place where the window lies inside the frame.

    Args:
        prediction: (B, T, C, H, W), float32 in [0, 1], H and W at least 11.
        target: (B, T, C, H, W), float32 in [0, 1].

    Returns:
        (B, T), at most 1, which equal frames reach.

    Raises:
        ValueError: if the frames do not match, or are smaller than the window.

    Paper:
        Wang, Bovik, Sheikh and Simoncelli 2004, "Image quality assessment: from error visibility to structural
        similarity", equation 13, with its Gaussian window of 11 x 11 and its constants, for a range of 1.
    """
    _expect_pair(prediction, target)
    B, T, _, H, W = prediction.shape
    if min(H, W) < WINDOW_SIZE:
        raise ValueError(f"SSIM's window of {WINDOW_SIZE} x {WINDOW_SIZE} does not fit into a frame of {H} x {W}")
    x, y = prediction.double(), target.double()  # a variance is a small difference of large numbers
    maps = torch.stack([x, y, x * x, y * y, x * y]).reshape(-1, 1, H, W)
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = _local_mean(maps).reshape(5, B, T, -1)
    variance_x, variance_y = mean_xx - mean_x**2, mean_yy - mean_y**2
    covariance = mean_xy - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + K1**2) / (mean_x**2 + mean_y**2 + K1**2)
    structure = (2 * covariance + K2**2) / (variance_x + variance_y + K2**2)
    return (luminance * structure).mean(-1).float()


def _local_mean(maps: Tensor) -> Tensor:
    """Average under a Gaussian window, first down the columns, then along the rows: (N, 1, H - 10, W - 10)."""
    offset = torch.arange(WINDOW_SIZE, dtype=maps.dtype) - WINDOW_SIZE // 2
    window = torch.exp(-(offset**2) / (2 * SIGMA**2))
    window = (window / window.sum()).to(maps.device)
    return F.conv2d(F.conv2d(maps, window.reshape(1, 1, -1, 1)), window.reshape(1, 1, 1, -1))


def _expect_pair(prediction: Tensor, target: Tensor) -> None:
    sizes = expect(target, "B T C H W", name="target")
    expect(prediction, "B T C H W", name="prediction", **sizes)
