"""A moving average of the weights: what a network was lately, on average, often generates better than what it is."""

import copy
from collections.abc import Callable

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


class BestAverage(EMA):
    """A moving average of the weights that is looked at now and then, and of which the best look is kept.

    For trainings that do not come to rest, such as a GAN's: they pass through good moments, and the last one need not
    be among them.

    Args:
        model: it is copied, and not held.
        decay: as of ``EMA``.
        score: from the averaged model to a number, the higher the better; the same on every call with the same
            weights.
        every: updates between two looks, at least 1.
    """

    def __init__(self, model: nn.Module, decay: float, *, score: Callable[[nn.Module], float], every: int) -> None:
        super().__init__(model, decay)
        if every < 1:
            raise ValueError(f"every: wanted at least 1 update, got {every}")
        self.score, self.every = score, every
        self.best = copy.deepcopy(self.average)
        self.register_buffer("best_score", torch.tensor(float("-inf")))

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take the weights in, and look, if it is time; before the first look the best is the last."""
        super().update(model)
        num_updates = self.num_updates.item()
        if num_updates % self.every == 0:
            score = self.score(self.average)
            if score < self.best_score.item():  # of equal ones the later is kept
                return
            self.best_score.fill_(score)
        elif num_updates > self.every:
            return
        self.best.load_state_dict(self.average.state_dict())
