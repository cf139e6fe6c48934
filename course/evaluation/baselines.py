"""Predictors that learn nothing or next to nothing: what a model has to beat before its number means anything.

Each is called as ``predictor(context, horizon)`` with a context (B, T, C, H, W), and returns (B, horizon, C, H, W).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from course.clips import expect
from course.evaluation.motion import block_matching

Predictor = Callable[[Tensor, int], Tensor]


def all_black(context: Tensor, horizon: int) -> Tensor:
    """Predict nothing but black frames: hard to beat in squared error where most of a frame is black."""
    _expect_context(context, horizon)
    return _repeat(torch.zeros_like(context[:, 0]), horizon)


def copy_last(context: Tensor, horizon: int) -> Tensor:
    """Predict that the last frame stays."""
    _expect_context(context, horizon)
    return _repeat(context[:, -1], horizon)


def mean_frame(context: Tensor, horizon: int) -> Tensor:
    """Predict the mean of the context frames, for ever."""
    _expect_context(context, horizon)
    return _repeat(context.mean(dim=1), horizon)


def dataset_mean(training_clips: Tensor) -> Predictor:
    """Make the predictor that answers any context with the mean of all training frames.

    Args:
        training_clips: (N, T, C, H, W), float32 in [0, 1].

    Returns:
        A predictor for contexts with the same C, H and W.
    """
    expect(training_clips, "N T C H W", name="training_clips")
    mean = training_clips.mean(dim=(0, 1))  # (C, H, W)

    def predict(context: Tensor, horizon: int) -> Tensor:
        _expect_context(context, horizon)
        if context.shape[2:] != mean.shape:
            raise ValueError(f"context: wanted frames {tuple(mean.shape)}, got {tuple(context.shape)}")
        return _repeat(mean.expand_as(context[:, 0]), horizon)

    return predict


def constant_velocity(context: Tensor, horizon: int, *, search_radius: int = 6) -> Tensor:
    """Predict that the whole frame goes on moving as it did between the last two context frames.

    The motion is the one displacement in whole pixels that explains the last frame best; what comes in from outside
    repeats the border. Exact for a camera that pans at a whole number of pixels, strong for one sprite on black, weak
    for several that move apart.

    Args:
        context: (B, T, C, H, W), float32 in [0, 1], at least two frames, H equal to W.
        horizon: frames to predict, at least 1.
        search_radius: fastest motion looked for, in pixels per frame and axis.

    Returns:
        (B, horizon, C, H, W).

    Raises:
        ValueError: if the context does not fit.
    """
    sizes = _expect_context(context, horizon)
    if sizes["T"] < 2 or sizes["H"] != sizes["W"]:
        raise ValueError(f"context: wanted two or more square frames, got {tuple(context.shape)}")
    B, side, device = sizes["B"], sizes["H"], context.device
    velocity = block_matching(context[:, -2], context[:, -1], block_size=side, search_radius=search_radius)[:, 0, 0]
    travel = velocity[:, None] * torch.arange(1, horizon + 1, device=device)[:, None]  # (B, horizon, 2)
    source = (torch.arange(side, device=device) - travel[..., None]).clamp(0, side - 1)  # (B, horizon, 2, side)
    rows, columns = source[:, :, 0, :, None], source[:, :, 1, None, :]
    clip = torch.arange(B, device=device)[:, None, None, None]
    return context[:, -1].movedim(1, -1)[clip, rows, columns].movedim(-1, 2)  # (B, horizon, C, H, W)


def _repeat(frame: Tensor, horizon: int) -> Tensor:
    """Repeat one frame per clip, (B, C, H, W), over the horizon."""
    return frame[:, None].repeat(1, horizon, 1, 1, 1)


def _expect_context(context: Tensor, horizon: int) -> dict[str, int]:
    if horizon < 1:
        raise ValueError(f"horizon: wanted at least 1 frame, got {horizon}")
    sizes = expect(context, "B T C H W", name="context")
    if sizes["T"] < 1:
        raise ValueError(f"context: wanted at least one frame, got {tuple(context.shape)}")
    return sizes
