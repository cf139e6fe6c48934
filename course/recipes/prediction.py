"""The digits experiment of chapter 06: ten frames are given, ten are to be predicted, at equal CPU time.

Two digits move over 64 x 64 pixels by the field's rules. A training is on one thread and ends when its process has
spent its CPU seconds, whatever the model: what is compared is what a model makes of them.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from math import ceil
from pathlib import Path

import torch
from torch import Tensor, nn

from course import distributed
from course.budget import one_thread
from course.datasets.digits import load_digits, moving_digits
from course.display import progress
from course.evaluation import baselines
from course.evaluation.baselines import Predictor
from course.evaluation.frames import psnr, squared_error, ssim
from course.models.conv_lstm import ConvLSTMConfig, ConvLSTMPredictor
from course.models.layered import LayeredConfig, LayeredPredictor, move, overlay
from course.models.simvp import SimVP, SimVPConfig
from course.recipes.making import file_name, make_checkpoint
from course.training.checkpoint import Card, Resume, load
from course.training.ema import EMA
from course.training.loop import History, TrainConfig, step_generator, train

NUM_CONTEXT, HORIZON = 10, 10
NUM_TEST_CLIPS = 1000
TEST_SEED = 6000
"""Of the test clips; trainings take small seeds."""

Batch = tuple[Tensor, Tensor]

Config = ConvLSTMConfig | SimVPConfig | LayeredConfig

# The models


@dataclass(frozen=True, kw_only=True)
class PredictionSetting:
    """A model of the comparison, and how it is trained: what was best for it in trials of about a minute.

    Attributes:
        config: of the model.
        batch_size: clips in a batch.
        learning_rate: at its highest.
        ema_decay: of the average of the weights that is evaluated; None for the last weights themselves.
    """

    config: Config
    batch_size: int
    learning_rate: float
    ema_decay: float | None = None


PREDICTION_MODELS: dict[str, PredictionSetting] = {
    "ConvLSTM small": PredictionSetting(
        config=ConvLSTMConfig(hidden_channels=(16, 16), kernel_size=5), batch_size=4, learning_rate=4e-3
    ),
    "ConvLSTM medium": PredictionSetting(
        config=ConvLSTMConfig(hidden_channels=(32, 32), kernel_size=5), batch_size=4, learning_rate=4e-3
    ),
    "ConvLSTM large": PredictionSetting(
        config=ConvLSTMConfig(hidden_channels=(64, 64), kernel_size=5), batch_size=4, learning_rate=2e-3
    ),
    "SimVP small": PredictionSetting(
        config=SimVPConfig(temporal_channels=48, num_blocks=4, expansion=2), batch_size=8, learning_rate=4e-3
    ),
    "SimVP medium": PredictionSetting(
        config=SimVPConfig(temporal_channels=64, num_blocks=6, expansion=2), batch_size=8, learning_rate=4e-3
    ),
    "SimVP large": PredictionSetting(
        config=SimVPConfig(temporal_channels=96, num_blocks=8), batch_size=8, learning_rate=2e-3
    ),
    "layers and paths": PredictionSetting(config=LayeredConfig(), batch_size=8, learning_rate=4e-3),
}
PUBLISHED_MODELS: tuple[str, ...] = tuple(name for name in PREDICTION_MODELS if name.startswith(("ConvLSTM", "SimVP")))
"""The field's methods: a new one is compared with the best of them."""


def prediction_model(name: str) -> nn.Module:
    """Return an untrained model, to be called as ``model(context, horizon)``."""
    return _model(_setting(name).config)


def _setting(name: str) -> PredictionSetting:
    if name not in PREDICTION_MODELS:
        raise ValueError(f"model: wanted one of {', '.join(PREDICTION_MODELS)}, got {name!r}")
    return PREDICTION_MODELS[name]


def _model(config: Config) -> nn.Module:
    kinds = {ConvLSTMConfig: ConvLSTMPredictor, SimVPConfig: SimVP, LayeredConfig: LayeredPredictor}
    return kinds[type(config)](config)


def as_predictor(model: nn.Module) -> Predictor:
    """Make a predictor of a model: without gradients, its frames confined to [0, 1]."""

    @torch.no_grad()
    def predict(context: Tensor, horizon: int) -> Tensor:
        return model(context, horizon).clamp(0, 1)

    return predict


# The data and the loss


@cache
def _digits(split: str) -> Tensor:
    return load_digits(split)[0]


def _split(clips: Tensor) -> Batch:
    return clips[:, :NUM_CONTEXT], clips[:, NUM_CONTEXT:]


def prediction_batch(seed: int, step: int, batch_size: int) -> Batch:
    """Return the batch of a training step: context and target, each (batch_size, 10, 1, 64, 64).

    Args:
        seed: of the training.
        step: at least 0; the batch is a function of the seed and the step alone.
        batch_size: at least 1.
    """
    return _split(moving_digits(batch_size, generator=step_generator(seed, step), images=_digits("train")).clips)


def evaluation_batches(*, images: Tensor | None = None, num_clips: int | None = None) -> Iterator[Batch]:
    """Yield the clips that every predictor is tested on, 10 at a time: always the same ones.

    Args:
        images: (N, 1, 28, 28), the digits to render; by default the test digits, none of which is ever trained on.
        num_clips: the first so many; by default ``NUM_TEST_CLIPS``.
    """
    images = _digits("test") if images is None else images
    left = NUM_TEST_CLIPS if num_clips is None else num_clips
    for index in range(ceil(left / 10)):
        clips = moving_digits(10, generator=step_generator(TEST_SEED, index), images=images).clips
        yield _split(clips[: left - 10 * index])


def prediction_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Return the squared error, summed over the pixels of a frame, of the predicted frames."""
    context, target = batch
    if isinstance(model, LayeredPredictor):
        return layered_loss(model, batch)
    return _error(model(context, target.shape[1])[:, :, 0], target)


def layered_loss(model: LayeredPredictor, batch: Batch) -> Tensor:
    """Return the loss of the predictor with layers: the future by both kinds of layers, and the past that it explains.

    The paths are trained by the layers as the network divides them, and the cleaning by what it makes of these. Where
    the layers were seen in the given frames, they must be able to draw them again; every other frame is enough.
    """
    context, target = batch
    explanation = model.explain(context)
    past, future = explanation.moves[..., : context.shape[1] - 1 : 2, :], explanation.moves[..., context.shape[1] :, :]
    loss = _error(overlay(move(explanation.cleaned, future.detach())), target)
    loss = loss + _error(overlay(move(explanation.layers, future)), target)
    seen = overlay(move(explanation.layers, explanation.seen[..., ::2, :]))
    explained = overlay(move(explanation.layers, past))
    loss = loss + 0.3 * _error(seen, context[:, :-1:2]) + 0.1 * _error(explained, context[:, :-1:2])
    return 0.01 * loss  # else every gradient is longer than the norm that longer ones are cut down to


def _error(prediction: Tensor, target: Tensor) -> Tensor:
    """Compare frames (B, T, H, W) with a target (B, T, 1, H, W)."""
    return (prediction - target[:, :, 0]).square().sum(dim=(2, 3)).mean()


# Scores


@dataclass(frozen=True, kw_only=True)
class Scores:
    """How well a predictor does on the test clips.

    Attributes:
        mse_by_frame: of each predicted frame, the squared error summed over its pixels.
        psnr: in decibels, the mean over clips and frames, of which an exact one counts as 60.
        ssim: likewise.
    """

    mse_by_frame: tuple[float, ...]
    psnr: float
    ssim: float

    @property
    def mse(self) -> float:
        """The mean over the predicted frames."""
        return sum(self.mse_by_frame) / len(self.mse_by_frame)


def scores(predictor: Predictor, *, images: Tensor | None = None, num_clips: int | None = None) -> Scores:
    """Test a predictor.

    Args:
        predictor: from a context (B, 10, 1, 64, 64) and a horizon to frames in [0, 1], such as ``as_predictor(model)``.
        images: the digits, as in ``evaluation_batches``.
        num_clips: the number of clips, as in ``evaluation_batches``.
    """
    found = []
    for context, target in evaluation_batches(images=images, num_clips=num_clips):
        prediction = predictor(context, target.shape[1])
        decibels = psnr(prediction, target).clamp(max=60)
        found.append(torch.stack([squared_error(prediction, target), decibels, ssim(prediction, target)]))
    error, decibels, similarity = torch.cat(found, dim=1).double()  # (clips, frames) each
    return Scores(
        mse_by_frame=tuple(error.mean(dim=0).tolist()),
        psnr=decibels.mean().item(),
        ssim=similarity.mean().item(),
    )


def prediction_baselines() -> dict[str, Predictor]:
    """Return the predictors that learn nothing or next to nothing, by name."""
    clips = torch.cat([torch.cat(prediction_batch(0, step, 50), dim=1) for step in range(10)])
    return {
        "all black": baselines.all_black,
        "copy last": baselines.copy_last,
        "mean frame": baselines.mean_frame,
        "dataset mean": baselines.dataset_mean(clips),
        "constant velocity": baselines.constant_velocity,
    }


# Training


@dataclass(frozen=True, kw_only=True)
class PredictionRun:
    """One training.

    Attributes:
        model: one of ``PREDICTION_MODELS``.
        seed: of the weights and of the clips.
        cpu_seconds: the budget, of process CPU time on one thread.
    """

    model: str
    seed: int
    cpu_seconds: float

    @property
    def recipe(self) -> str:
        """The name and all that the training depends on beside the seed and the form of the model."""
        setting = _setting(self.model)
        average = "the last weights" if setting.ema_decay is None else f"weights averaged with {setting.ema_decay:g}"
        return (
            f"{self.model}: {self.cpu_seconds:g} CPU seconds on one thread, batches of {setting.batch_size}, "
            f"learning rate {setting.learning_rate:g}, {average}"
        )


@dataclass(frozen=True, kw_only=True)
class PredictionResult(Scores):
    """What came of it.

    Attributes:
        num_steps: training steps that the budget paid for.
        num_parameters: of the model.
        cpu_seconds: what the training took.
    """

    num_steps: int
    num_parameters: int
    cpu_seconds: float


def train_model(run: PredictionRun, *, resume: Resume | None = None) -> tuple[nn.Module, History]:
    """Train a model for its budget, on one thread.

    Args:
        run: which one.
        resume: where the state of the training is kept, if it is to go on after an interruption.

    Returns:
        The model in evaluation mode, with averaged weights where its setting says so, and what it went through.
    """
    setting = _setting(run.model)
    with torch.random.fork_rng():
        torch.manual_seed(run.seed)
        model = prediction_model(run.model)
    ema = None if setting.ema_decay is None else EMA(model, setting.ema_decay)
    config = TrainConfig(cpu_seconds=run.cpu_seconds, learning_rate=setting.learning_rate)

    def batch(step: int) -> Batch:
        return prediction_batch(run.seed, step, setting.batch_size)

    with one_thread():
        history = train(model, _watched(batch, run), prediction_loss, config, ema=ema, resume=resume)
    return (model if ema is None else ema.average).eval(), history


def prediction_checkpoint(path: Path, run: PredictionRun, *, command: str) -> Card:
    """Train and test a model, and keep it with its card; what is there already is not made again.

    The state of the training is kept beside it until it is finished, so that one that was interrupted goes on.

    Args:
        path: of the weights, NAME.safetensors.
        run: which training.
        command: what makes the checkpoint again, for the card.

    Raises:
        ValueError: if a file that is there is damaged, or is another training's.
    """
    card = make_checkpoint(
        path,
        recipe=run.recipe,
        seed=run.seed,
        config=asdict(_setting(run.model).config),
        data=f"training digits of scikit-learn; tested on {NUM_TEST_CLIPS} clips of its test digits",
        command=command,
        train=lambda resume: train_model(run, resume=resume),
        measure=_metrics,
    )
    if missing := {*_MSE, "psnr", "ssim"} - card.metrics.keys():
        raise ValueError(f"{path.with_suffix('.json')}: damaged, it lacks {', '.join(sorted(missing))}")
    return card


def _metrics(model: nn.Module) -> dict[str, float]:
    found = scores(as_predictor(model))
    return dict(zip(_MSE, found.mse_by_frame, strict=True)) | {"psnr": found.psnr, "ssim": found.ssim}


_MSE = [f"mse at t = {t}" for t in range(1, HORIZON + 1)]


def checkpoint_path(folder: Path, run: PredictionRun) -> Path:
    """Return where ``train_prediction`` keeps the weights of a training."""
    return folder / file_name(f"{run.model}, seed {run.seed}, {run.cpu_seconds:g} CPU seconds")


def train_prediction(run: PredictionRun, *, folder: Path | None = None) -> PredictionResult:
    """Train one model and test it.

    Args:
        run: which training.
        folder: where the weights and their card are kept; a training that is found there, finished or interrupted, is
            not begun again. None to keep nothing.

    Raises:
        ValueError: if a file of the folder is damaged, or is another training's.
    """
    if folder is None:
        with tempfile.TemporaryDirectory() as place:
            return train_prediction(run, folder=Path(place))
    path = checkpoint_path(folder, run)
    card = prediction_checkpoint(path, run, command=_command(run))
    return PredictionResult(
        mse_by_frame=tuple(card.metrics[name] for name in _MSE),
        psnr=card.metrics["psnr"],
        ssim=card.metrics["ssim"],
        num_steps=card.num_steps,
        num_parameters=sum(parameter.numel() for parameter in prediction_model(run.model).parameters()),
        cpu_seconds=card.cpu_seconds,
    )


def trained_model(run: PredictionRun, *, folder: Path) -> nn.Module:
    """Load what ``train_prediction`` kept; the errors are those of ``load_prediction``."""
    return load_prediction(checkpoint_path(folder, run), run.model)


def load_prediction(path: Path, name: str) -> nn.Module:
    """Load the weights of a model of ``PREDICTION_MODELS``.

    Raises:
        FileNotFoundError: if there are none.
        ValueError: if the file is damaged, or holds another model.
    """
    kind = type(_setting(name).config)
    return load(path, lambda config: _model(kind(**config)))


def _command(run: PredictionRun) -> str:
    return (
        f"python -m course benchmark prediction --cpu-minutes {run.cpu_seconds / 60:g} "
        f"--seeds {run.seed + 1} --models '{run.model}'"
    )


def _watched(batch: Callable[[int], Batch], run: PredictionRun) -> Callable[[int], Batch]:
    """Draw a progress bar of CPU seconds; not in one of several processes, whose bars would mix."""
    if multiprocessing.parent_process() is not None or distributed.rank() > 0:
        return batch
    bar = iter(progress(range(ceil(run.cpu_seconds)), description=f"{run.model}, seed {run.seed}, CPU seconds"))
    start, drawn = time.process_time(), 0

    def watched(step: int) -> Batch:
        nonlocal drawn
        while drawn <= distributed.num_workers() * (time.process_time() - start):
            next(bar, None)
            drawn += 1
        return batch(step)

    return watched
