"""The frame prediction of chapter 06 in the sprite world: three trunks, three ways to feed them, one or two futures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from course import budget
from course.datasets import sprites
from course.datasets.captions import TRAINED, Combination
from course.display import progress
from course.models.predictors import TRUNKS, DirectConfig, DirectPredictor, FramePredictor, PredictorConfig
from course.training.loop import TrainConfig, train
from course.training.parallel import side_by_side

NUM_CONTEXT = 5
HORIZON, TURN_HORIZON = 10, 4
"""Frames to predict; in the clips with a turn, fewer."""
FEEDS: tuple[str, ...] = ("teacher forcing", "closed loop", "scheduled sampling")
"""What a predictor is fed after the context while it learns: the truth, its own output, or less and less truth."""

NEXT_FRAME_COST: dict[str, float] = {
    "recurrent": 18.0,
    "Transformer": 28.0,
    "3D convolution": 12.5,
    "direct": 13.0,
    "direct, two codes": 17.0,
}
"""Milliseconds of CPU time that a training step takes, on one thread of a two-core laptop, all models in turn.

A budget in CPU seconds becomes a number of steps by this table, so that the same is computed on every machine; what was
spent in fact comes with each result.
"""
NEXT_FRAME_MODELS: tuple[str, ...] = tuple(NEXT_FRAME_COST)


@dataclass(frozen=True, kw_only=True)
class NextFrameRun:
    """One training.

    Attributes:
        model: one of ``NEXT_FRAME_MODELS``.
        seed: of the weights and of the clips.
        cpu_seconds: the budget, by the prices of ``NEXT_FRAME_COST``.
        feed: one of ``FEEDS``; other than with the truth, a recurrent model alone can be fed.
        turn: the sprite turns to its left or right at the last context frame; otherwise it goes on by its law.
    """

    model: str
    seed: int
    cpu_seconds: float
    feed: str = "teacher forcing"
    turn: bool = False

    def __post_init__(self) -> None:
        """Check the names."""
        if self.model not in NEXT_FRAME_MODELS:
            raise ValueError(f"model: wanted one of {NEXT_FRAME_MODELS}, got {self.model!r}")
        if self.feed not in FEEDS:
            raise ValueError(f"feed: wanted one of {FEEDS}, got {self.feed!r}")
        if self.feed != "teacher forcing" and self.model != "recurrent":
            raise ValueError(f"feed: {self.feed} is for a recurrent model, got {self.model!r}")

    @property
    def num_steps(self) -> int:
        """The steps that the budget pays for, at least 1."""
        return max(1, round(1000 * self.cpu_seconds / NEXT_FRAME_COST[self.model]))


@dataclass(frozen=True, kw_only=True)
class NextFrameResult:
    """What came of it.

    Attributes:
        run: the training.
        weights: of the trained model, as safetensors.
        losses: of each step.
        cpu_seconds: what the training took.
    """

    run: NextFrameRun
    weights: bytes
    losses: Sequence[float]
    cpu_seconds: float

    def model(self) -> nn.Module:
        """Return the trained model."""
        model = next_frame_model(self.run)
        model.load_state_dict(load(self.weights))
        return model.eval()


def next_frame_model(run: NextFrameRun) -> FramePredictor | DirectPredictor:
    """Return the untrained model of a run; the global source of chance is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        if run.model in TRUNKS:
            return FramePredictor(PredictorConfig(trunk=run.model))
        horizon, num_codes = TURN_HORIZON if run.turn else HORIZON, 2 if run.model == "direct, two codes" else 1
        return DirectPredictor(DirectConfig(num_context=NUM_CONTEXT, horizon=horizon, num_codes=num_codes))


def prediction_clips(
    num_clips: int,
    *,
    generator: torch.Generator,
    turn: bool = False,
    combinations: Sequence[Combination] = TRAINED,
) -> sprites.SpriteClips:
    """Render clips of ``NUM_CONTEXT`` frames and those to predict.

    Args:
        num_clips: at least 1.
        generator: the only source of chance.
        turn: at the last context frame the sprite turns to its left or its right, and nothing in the context tells
            which; only sprites on a straight path.
        combinations: what the sprites may be.
    """
    config = sprites.SpriteConfig(num_frames=NUM_CONTEXT + HORIZON)
    if turn:
        config = replace(config, num_frames=NUM_CONTEXT + TURN_HORIZON, turn_frame=NUM_CONTEXT - 1)
        combinations = [c for c in combinations if c.motion in ("left", "right", "up", "down")]
    return sprites.sample(num_clips, generator=generator, config=config, combinations=combinations)


def share_of_truth(feed: str, spent: float) -> float:
    """Return the share of frames after the context that are fed from the truth.

    Args:
        feed: one of ``FEEDS``.
        spent: the share of the training that is over, in [0, 1].

    Returns:
        In [0, 1]. Scheduled sampling begins with 1 and is down to 0 after three quarters.

    Paper:
        Bengio et al. 2015, arXiv 1506.03099, section 2.4, the linear decay; it is about words, where no gradient
        passes through what was fed back. Here it does.
    """
    return {"teacher forcing": 1.0, "closed loop": 0.0, "scheduled sampling": max(0.0, 1 - spent / 0.75)}[feed]


def next_frame_batches(run: NextFrameRun) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield for each step clips (B, T, 3, 16, 16) and which of their frames are fed from the truth, (B, T)."""
    generator = budget.generator(run.seed)
    batch_size = 8 if run.model in TRUNKS else 32
    for step in range(run.num_steps):
        clips = prediction_clips(batch_size, generator=generator, turn=run.turn).clips
        truth = torch.rand(clips.shape[:2], generator=generator) < share_of_truth(run.feed, step / run.num_steps)
        truth[:, :NUM_CONTEXT] = True
        yield clips, truth


def predictions(model: FramePredictor, clips: Tensor, truth: Tensor) -> Tensor:
    """Predict frames 1 to T - 1, each from what was fed before it: true frames, or the model's own.

    Args:
        model: with a recurrent trunk, if not all frames are fed from the truth.
        clips: (B, T, C, H, W).
        truth: (B, T), bool: which frames are fed from the truth; the first always is.

    Returns:
        (B, T - 1, C, H, W). The gradient passes through frames that were fed back.
    """
    if truth.all():
        return model(clips[:, :-1])
    predicted, state = clips[:, 0], None
    result = []
    for t in range(clips.shape[1] - 1):
        fed = torch.where(truth[:, t, None, None, None], clips[:, t], predicted.clamp(0, 1))
        predicted, state = model.step(fed, state)
        result.append(predicted)
    return torch.stack(result, dim=1)


def next_frame_loss(model: FramePredictor | DirectPredictor, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Return the mean squared error of the frames after the context, and of these alone."""
    clips, truth = batch
    context, target = clips[:, :NUM_CONTEXT], clips[:, NUM_CONTEXT:]
    if isinstance(model, FramePredictor):
        predicted = predictions(model, clips, truth)[:, NUM_CONTEXT - 1 :]
    else:
        predicted = model(context, best_code(model, context, target))
    return (predicted - target).square().mean()


@torch.no_grad()
def best_code(model: DirectPredictor, context: Tensor, target: Tensor) -> Tensor:
    """Choose for each clip, in hindsight, the code whose future comes nearest to what happened.

    A code that happens to be better everywhere would win every clip, and the others would never learn. So each code's
    error is compared with its own mean over the batch.

    Args:
        model: with one code or several.
        context: (B, num_context, C, H, W).
        target: (B, horizon, C, H, W).

    Returns:
        (B,), int64.

    Paper:
        Lee et al. 2016, arXiv 1606.07839, for an ensemble of networks; the comparison with the mean is ours.
    """
    if model.config.num_codes == 1:
        return torch.zeros(len(context), dtype=torch.int64)
    errors = (model.futures(context) - target[:, None]).square().flatten(2).mean(dim=2)  # (B, num_codes)
    return (errors - errors.mean(dim=0)).argmin(dim=1)


def train_next_frame(run: NextFrameRun) -> NextFrameResult:
    """Train one model."""
    model = next_frame_model(run)
    config = TrainConfig(num_steps=run.num_steps, learning_rate=4e-3, weight_decay=0.0)
    history = train(model, next_frame_batches(run), next_frame_loss, config)
    return NextFrameResult(
        run=run, weights=save(model.state_dict()), losses=history.losses, cpu_seconds=history.cpu_seconds
    )


def next_frame_results(runs: Sequence[NextFrameRun]) -> dict[NextFrameRun, NextFrameResult]:
    """Train them all, two at a time; return the results in the order of the runs."""
    done = dict(progress(side_by_side(train_next_frame, runs), description="trainings", total=len(runs)))
    return {run: done[run] for run in runs}
