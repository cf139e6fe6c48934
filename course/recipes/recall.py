"""The recall experiment of chapters 03 and 04: what was shown, some frames ago?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course import budget
from course.datasets import recall
from course.display import progress
from course.evaluation.gradients import share_by_frame
from course.models.mean_frame import MeanFrameModel
from course.models.recurrent import RecurrentConfig, RecurrentModel
from course.models.temporal_transformer import TemporalTransformer, TemporalTransformerConfig
from course.training.loop import TrainConfig, train
from course.training.parallel import side_by_side

RECALL_COST: dict[str, tuple[float, float]] = {
    "mean frame": (0.7, 0.07),
    "RNN": (0.65, 0.11),
    "GRU": (0.5, 0.23),
    "LSTM": (0.5, 0.25),
    "LSTM, forget bias 3": (0.5, 0.25),
    "LSTM, forget bias 5": (0.5, 0.25),
    "Transformer": (1.4, 0.24),
}
"""Milliseconds of CPU time that a training step takes: in any case, and for each frame of the clips.

Measured on one thread of a two-core laptop, all models in turn. A budget in CPU seconds becomes a number of steps by
this table, so that the same is computed on every machine; what was spent in fact comes with each result.
"""
RECALL_MODELS: tuple[str, ...] = tuple(RECALL_COST)


@dataclass(frozen=True, kw_only=True)
class RecallRun:
    """One training of the recall experiment.

    Attributes:
        model: one of ``RECALL_MODELS``.
        gap: frames between the digit and the question.
        seed: of the weights and of the clips.
        cpu_seconds: the budget, by the prices of ``RECALL_COST``; the same for every model that is compared.
        centre: subtract 0.5 from the pixels, so that a grey board is zero.
        shuffled: the control: each clip is trained with the answer of another.
    """

    model: str
    gap: int
    seed: int
    cpu_seconds: float
    centre: bool = False
    shuffled: bool = False

    @property
    def num_steps(self) -> int:
        """The steps that the budget pays for, at least 1."""
        fixed, per_frame = RECALL_COST[self.model]
        return max(1, round(1000 * self.cpu_seconds / (fixed + per_frame * (self.gap + recall.NUM_SHOWN + 1))))


@dataclass(frozen=True, kw_only=True)
class RecallResult:
    """What came of it.

    Attributes:
        accuracy: on digits that were never trained on; chance is 0.1.
        shares: (T,): which frames the loss' gradient reached before training.
        losses: of each step.
        cpu_seconds: what the training took.
    """

    accuracy: float
    shares: Sequence[float]
    losses: Sequence[float]
    cpu_seconds: float


def recall_model(name: str) -> nn.Module:
    """Return an untrained model: from clips (B, T, 1, 16, 16) to answers (B, T, 10)."""
    if name not in RECALL_MODELS:
        raise ValueError(f"model: wanted one of {RECALL_MODELS}, got {name!r}")
    if name == "mean frame":
        return MeanFrameModel(num_channels=1, size=16, hidden_size=64, output_size=10)
    if name == "Transformer":
        config = TemporalTransformerConfig(num_channels=1, num_layers=1, position="learned", output_size=10)
        return TemporalTransformer(config)
    kind, _, bias = name.partition(", forget bias ")
    cell, forget_bias = kind.lower(), float(bias or 0)
    return RecurrentModel(RecurrentConfig(num_channels=1, cell=cell, forget_bias=forget_bias, output_size=10))


def recall_batches(
    gap: int, *, seed: int, split: str = "train", batch_size: int = 32, centre: bool = False, shuffled: bool = False
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield clips (B, gap + 3, 1, 16, 16) and labels (B,), without end."""
    generator = budget.generator(seed)
    images, labels = recall.recall_digits(split)
    while True:
        batch = recall.recall_clips(batch_size, gap, generator=generator, images=images, labels=labels)
        yield batch.clips - (0.5 if centre else 0.0), batch.labels.roll(1) if shuffled else batch.labels


def recall_loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Return the cross-entropy of the answer after the last frame.

    The labels are smoothed (Szegedy et al. 2016, arXiv 1512.00567): the training digits are few, and a network that is
    driven to be certain about each of them reads new handwriting worse.
    """
    clips, labels = batch
    return F.cross_entropy(model(clips)[:, -1], labels, label_smoothing=0.1)


def train_recall(run: RecallRun) -> RecallResult:
    """Train one model on one gap, and test it on digits that it has never seen."""
    with torch.random.fork_rng():
        torch.manual_seed(run.seed)
        model = recall_model(run.model)
    test = next(recall_batches(run.gap, seed=1000 + run.seed, split="test", batch_size=1000, centre=run.centre))
    shares = share_by_frame(model, test[0][:100], test[1][:100])
    batches = recall_batches(run.gap, seed=run.seed, centre=run.centre, shuffled=run.shuffled)
    config = TrainConfig(num_steps=run.num_steps, learning_rate=3e-3, warmup_steps=100)
    history = train(model, batches, recall_loss, config)
    with torch.no_grad():
        right = model(test[0])[:, -1].argmax(dim=-1) == test[1]
    return RecallResult(
        accuracy=right.float().mean().item(),
        shares=shares.tolist(),
        losses=history.losses,
        cpu_seconds=history.cpu_seconds,
    )


def recall_results(runs: Sequence[RecallRun]) -> dict[RecallRun, RecallResult]:
    """Train them all, two at a time; return the results in the order of the runs."""
    done = dict(progress(side_by_side(train_recall, runs), description="trainings", total=len(runs)))
    return {run: done[run] for run in runs}
