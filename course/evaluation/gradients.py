"""Which frames an answer depends on, read from the gradient."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def share_by_frame(model: nn.Module, clips: Tensor, labels: Tensor) -> Tensor:
    """Return the share of the input's gradient that reaches each frame.

    What a frame cannot change, training cannot learn from: a share near 0 in the frame that matters means that the
    weights are moved by the other frames.

    Args:
        model: from clips to answers for each frame, (B, T, num_classes); the last is asked.
        clips: (B, T, C, H, W), float32.
        labels: (B,), int64: the right answers.

    Returns:
        (T,), which sums to 1: the norm of the loss' gradient with respect to each frame, averaged over the clips. NaN
        if no frame has any.
    """
    clips = clips.detach().requires_grad_()
    loss = F.cross_entropy(model(clips)[:, -1], labels)
    (gradient,) = torch.autograd.grad(loss, clips)  # (B, T, C, H, W)
    norms = gradient.flatten(2).norm(dim=-1).mean(dim=0)  # (T,)
    return norms / norms.sum()
