"""A predictor of one frame, called again and again on what it has predicted."""

from collections.abc import Callable

import torch
from torch import Tensor

from course.clips import expect


@torch.no_grad()
def rollout(step: Callable[[Tensor], Tensor], context: Tensor, horizon: int) -> Tensor:
    """Predict frame after frame, feeding each prediction back as if it had been given.

    Every call sees all frames so far, so that any predictor will do: with a memory, with attention, or with kernels in
    time.

    Args:
        step: from frames (B, T, C, H, W) to as many; the last one is its prediction of frame T.
        context: (B, T, C, H, W), float32 in [0, 1], the frames that are given.
        horizon: frames to predict, at least 1.

    Returns:
        (B, horizon, C, H, W), float32 in [0, 1]; each frame is clamped before it is fed back.

    Raises:
        ValueError: if the context is no clip or has no frame, for a horizon below 1, or if ``step`` gives another form.
    """
    sizes = expect(context, "B T C H W", name="context")
    if sizes["T"] < 1 or horizon < 1:
        raise ValueError(f"wanted a context and a horizon of at least 1 frame, got {sizes['T']} and {horizon}")
    frames = context
    for _ in range(horizon):
        following = step(frames)
        if following.shape != frames.shape:
            raise ValueError(
                f"step: wanted a frame for each of those given, {tuple(frames.shape)}, got {tuple(following.shape)}"
            )
        frames = torch.cat([frames, following[:, -1:].clamp(0, 1)], dim=1)
    return frames[:, sizes["T"] :]
