"""A moving average of the weights: what a network was lately, on average, often generates better than what it is."""

import copy

import torch
from torch import nn


class EMA(nn.Module):
    """An exponential moving average of a model's weights, kept in a copy of the model.

    To evaluate with the averaged weights, call ``ema.average`` as the model is called.

    The average is corrected for its start as Adam's moments are: after n updates, the weights of update i count
    ``decay ** (n - i)``, divided by the sum of these. So the first update copies the model, the untrained weights never
    enter, and a short training needs no smaller decay in its first steps.

    Args:
        model: it is copied, and not held.
        decay: in [0, 1): what an average keeps at each update; about the last 1 / (1 - decay) updates count.

    Raises:
        ValueError: for a decay out of range.

    Paper:
        Averaging: Polyak and Juditsky 1992 (with equal weights). The correction: Kingma and Ba 2015, arXiv 1412.6980,
        section 3, for moments of the gradient.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"decay: wanted a number in [0, 1), got {decay}")
        self.decay = decay
        self.average = copy.deepcopy(model).requires_grad_(False).eval()
        self.register_buffer("num_updates", torch.tensor(0))

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take the weights in; buffers, such as the statistics of a batch normalisation, are copied."""
        self.num_updates += 1
        share = (1 - self.decay) / (1 - self.decay ** self.num_updates.item())
        for average, weights in zip(self.average.parameters(), model.parameters(), strict=True):
            average.lerp_(weights, share)
        for average, buffer in zip(self.average.buffers(), model.buffers(), strict=True):
            average.copy_(buffer)
