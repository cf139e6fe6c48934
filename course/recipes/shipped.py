"""The checkpoints that come with the course, and how each is made again: ``python -m course train NAME``."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from torch import nn

from course import budget
from course.models.gan import Generator
from course.models.token_transformer import TokenTransformer
from course.models.vqvae import VQVAE
from course.recipes.camera import WAYS, camera_checkpoint, camera_run
from course.recipes.cascade import STAGES, cascade_checkpoint, cascade_run
from course.recipes.context import CONTEXT_RUNS, checkpoint_name, context_checkpoint
from course.recipes.denoising import DenoiserRun, load_denoiser
from course.recipes.distillation import StudentRun, load_student, student_checkpoint
from course.recipes.gan import GANRun, gan_checkpoint
from course.recipes.gan import load_gan as load_generator
from course.recipes.image_to_video import picture_checkpoint, picture_run
from course.recipes.prediction import PredictionRun, load_prediction, prediction_checkpoint
from course.recipes.text_to_clip import text_checkpoint, text_run
from course.recipes.tokens import (
    AutoencoderRun,
    TransformerRun,
    autoencoder_checkpoint,
    autoencoder_run,
    load_autoencoder,
    load_transformer,
    transformer_checkpoint,
    transformer_run,
)
from course.recipes.two_sprites import two_sprites_checkpoint, two_sprites_run
from course.training.checkpoint import Card

CHECKPOINTS = Path(__file__).resolve().parents[2] / "data" / "checkpoints"

PREDICTORS: Mapping[str, PredictionRun] = {
    f"{name}_{seed}": PredictionRun(model=model, seed=seed, cpu_seconds=cpu_seconds)
    for name, model, cpu_seconds in (
        ("digits_simvp", "SimVP small", 360.0),
        ("digits_layers", "layers and paths", 360.0),
        ("digits_layers_quarter", "layers and paths", 90.0),
    )
    for seed in budget.SEEDS
}
"""Predictors of moving digits, for chapter 06: trained for 6 CPU-minutes, and for a quarter of it."""

GANS: Mapping[str, GANRun] = {
    f"gan_{name.replace(' critics', '').replace(' ', '_')}_{seed}": GANRun(
        name=name, seed=seed, cpu_seconds=cpu_seconds
    )
    for name, by_seed in (
        ("both critics", (750.0, 450.0, 450.0)),
        ("frame critic", (150.0, 150.0, 150.0)),
        ("clip critic", (150.0, 150.0, 150.0)),
        ("collapsed", (300.0, 300.0, 300.0)),
    )
    for seed, cpu_seconds in enumerate(by_seed)
}
"""Generators of clips for a caption, for chapter 08. The first with both critics was given longer: after 450
seconds its *clockwise* was lost."""

TEXT_DENOISERS: Mapping[str, DenoiserRun] = {
    **{f"text_unet_{seed}": text_run("U-Net", seed=seed, cpu_seconds=360.0) for seed in budget.SEEDS},
    **{f"text_dit_{seed}": text_run("DiT, both, small", seed=seed, cpu_seconds=600.0) for seed in budget.SEEDS},
}
"""Denoisers that draw a clip for a caption, for chapter 09."""

STUDENT_RUNS: Mapping[str, StudentRun] = {
    f"text_fast_{seed}": StudentRun(seed=seed, cpu_seconds=600.0) for seed in budget.SEEDS
}
"""What the U-Nets among ``TEXT_DENOISERS`` taught to draw in four steps, for chapter 09."""

CASCADE_DENOISERS: Mapping[str, DenoiserRun] = {
    f"cascade_{stage.replace(', ', '_').replace(' ', '_')}_{seed}": cascade_run(stage, seed=seed)
    for stage in (*STAGES[1:], "space 32, clean", "one shot")
    for seed in budget.SEEDS
}
"""The stages behind the base, and what they are compared with, for chapter 10."""

PICTURE_DENOISERS: Mapping[str, DenoiserRun] = {
    f"picture_unet_{seed}": picture_run(seed=seed, cpu_seconds=360.0) for seed in budget.SEEDS
}
"""Denoisers that draw a clip that begins with a picture, for chapter 12."""

CAMERA_DENOISERS: Mapping[str, DenoiserRun] = {
    f"camera_{way}_{seed}": camera_run(way, seed=seed, cpu_seconds=120.0) for way in WAYS for seed in budget.SEEDS
}
"""Denoisers that film a photograph, for chapter 12."""

TWO_SPRITES_DENOISERS: Mapping[str, DenoiserRun] = {
    f"two_sprites_{seed}": two_sprites_run(seed=seed) for seed in budget.SEEDS
}
"""Denoisers whose captions may name two sprites, for the last section of chapter 10."""

AUTOENCODER_RUNS: Mapping[str, AutoencoderRun] = {
    **{f"tokens_autoencoder_{seed}": autoencoder_run("vector", seed=seed, cpu_seconds=180.0) for seed in budget.SEEDS},
    "tokens_scalar_0": autoencoder_run("finite scalar", seed=0, cpu_seconds=180.0),
}
"""From clips to tokens and back, for chapter 11."""

TRANSFORMER_RUNS: Mapping[str, TransformerRun] = {
    f"tokens_transformer_{seed}": transformer_run("vector", seed=seed, cpu_seconds=1800.0) for seed in budget.SEEDS
}
"""From a caption to the tokens of ``AUTOENCODER_RUNS`` with the same seed, for chapter 11."""

DENOISERS: Mapping[str, DenoiserRun] = {
    **TEXT_DENOISERS,
    **CASCADE_DENOISERS,
    **PICTURE_DENOISERS,
    **CAMERA_DENOISERS,
    **TWO_SPRITES_DENOISERS,
}


def _student_checkpoint(path: Path, *, run: StudentRun, command: str) -> Card:
    """Train a student of the U-Net that lies beside it; make that first, if it must be."""
    name = f"text_unet_{run.seed}"
    teacher, _ = make_shipped(name, folder=path.parent)
    return student_checkpoint(path, run, load_denoiser(teacher, DENOISERS[name].setting), command=command)


def _transformer_checkpoint(path: Path, *, run: TransformerRun, command: str) -> Card:
    """Train a Transformer over the tokens of the autoencoder that lies beside it; make that first, if it must be."""
    autoencoder, _ = make_shipped(f"tokens_autoencoder_{run.seed}", folder=path.parent)
    return transformer_checkpoint(path, run, load_autoencoder(autoencoder), command=command)


SHIPPED: Mapping[str, Callable[..., Card]] = {
    **{name: partial(prediction_checkpoint, run=run) for name, run in PREDICTORS.items()},
    **{checkpoint_name(run): partial(context_checkpoint, run=run) for run in CONTEXT_RUNS},
    **{name: partial(text_checkpoint, run=run) for name, run in TEXT_DENOISERS.items()},
    **{name: partial(_student_checkpoint, run=run) for name, run in STUDENT_RUNS.items()},
    **{name: partial(cascade_checkpoint, run=run) for name, run in CASCADE_DENOISERS.items()},
    **{name: partial(picture_checkpoint, run=run) for name, run in PICTURE_DENOISERS.items()},
    **{name: partial(camera_checkpoint, run=run) for name, run in CAMERA_DENOISERS.items()},
    **{name: partial(two_sprites_checkpoint, run=run) for name, run in TWO_SPRITES_DENOISERS.items()},
    **{name: partial(gan_checkpoint, run=run) for name, run in GANS.items()},
    **{name: partial(autoencoder_checkpoint, run=run) for name, run in AUTOENCODER_RUNS.items()},
    **{name: partial(_transformer_checkpoint, run=run) for name, run in TRANSFORMER_RUNS.items()},
}
"""For each checkpoint what trains it and keeps it with its card; takes the path, and the command for the card."""


def make_shipped(name: str, *, folder: Path = CHECKPOINTS) -> tuple[Path, Card]:
    """Train one checkpoint, unless it is there; one that was interrupted goes on.

    Args:
        name: one of ``SHIPPED``.
        folder: where the weights, NAME.safetensors, and their card, NAME.json, are kept.

    Returns:
        The path of the weights, and the card.

    Raises:
        ValueError: for another name, or if a file that is there is damaged or another training's.
    """
    _expect_name(name, SHIPPED)
    path = folder / f"{name}.safetensors"
    return path, SHIPPED[name](path, command=f"python -m course train {name}")


def load_predictor(name: str) -> nn.Module:
    """Load one of ``PREDICTORS``, to be called as ``model(context, horizon)``.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: for another name, or if the file is damaged or another model's.
    """
    _expect_name(name, PREDICTORS)
    return load_prediction(CHECKPOINTS / f"{name}.safetensors", PREDICTORS[name].model)


def load_shipped_denoiser(name: str) -> nn.Module:
    """Load one of ``DENOISERS``, to be called as ``network(noisy, noise_step, condition)``.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: for another name, or if the file is damaged or another network's.
    """
    _expect_name(name, DENOISERS)
    return load_denoiser(CHECKPOINTS / f"{name}.safetensors", DENOISERS[name].setting)


def load_shipped_student(seed: int = 0) -> nn.Module:
    """Load what ``text_unet_SEED`` taught: ``text_to_clip.draw`` asks it with ``**distillation.FEW``.

    Raises:
        FileNotFoundError: if it, or its teacher, is not there.
        ValueError: for another seed, or if a file is damaged or another network's.
    """
    name = f"text_fast_{seed}"
    _expect_name(name, STUDENT_RUNS)
    return load_student(CHECKPOINTS / f"{name}.safetensors", load_shipped_denoiser(f"text_unet_{seed}"))


def load_cascade(seed: int = 0) -> dict[str, nn.Module]:
    """Load a denoiser for each of the cascade's stages, trained with one seed; the base is chapter 09's.

    Raises:
        FileNotFoundError: if one is not there.
        ValueError: for another seed, or if a file is damaged or another network's.
    """
    names = {"base": f"text_unet_{seed}"} | {stage: f"cascade_{stage.replace(' ', '_')}_{seed}" for stage in STAGES[1:]}
    return {stage: load_shipped_denoiser(name) for stage, name in names.items()}


def load_gan(name: str) -> Generator:
    """Load one of ``GANS``, to be called as ``generator(noise, words)``.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: for another name, or if the file is damaged or another network's.
    """
    _expect_name(name, GANS)
    return load_generator(CHECKPOINTS / f"{name}.safetensors")


def load_shipped_autoencoder(name: str) -> VQVAE:
    """Load one of ``AUTOENCODER_RUNS``.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: for another name, or if the file is damaged or another network's.
    """
    _expect_name(name, AUTOENCODER_RUNS)
    return load_autoencoder(CHECKPOINTS / f"{name}.safetensors")


def load_tokens(seed: int = 0) -> tuple[VQVAE, TokenTransformer]:
    """Load an autoencoder and the Transformer over its tokens.

    Raises:
        FileNotFoundError: if one is not there.
        ValueError: for another seed, or if a file is damaged or another network's.
    """
    name = f"tokens_transformer_{seed}"
    _expect_name(name, TRANSFORMER_RUNS)
    autoencoder = load_shipped_autoencoder(f"tokens_autoencoder_{seed}")
    return autoencoder, load_transformer(CHECKPOINTS / f"{name}.safetensors")


def _expect_name(name: str, names: Mapping[str, object]) -> None:
    if name not in names:
        raise ValueError(f"name: wanted one of {', '.join(names)}, got {name!r}")
