"""The checkpoints in data/checkpoints: each is whole, small, made by a known command, and as good as its card says."""

from itertools import pairwise

import pytest
import torch

from course.budget import SEEDS, generator
from course.clips import resize
from course.datasets.captions import ALL_PAIRS, HELD_OUT, caption
from course.recipes.camera import WAYS, camera_metrics
from course.recipes.cascade import draw_cascade, judge_stage
from course.recipes.context import CONTEXT_RUNS, checkpoint_name
from course.recipes.distillation import FEW
from course.recipes.gan import judge_gan, read_losses
from course.recipes.image_to_video import sprite_metrics
from course.recipes.prediction import as_predictor, scores
from course.recipes.shipped import (
    AUTOENCODER_RUNS,
    CAMERA_DENOISERS,
    CHECKPOINTS,
    DENOISERS,
    GANS,
    PICTURE_DENOISERS,
    PREDICTORS,
    SHIPPED,
    STUDENT_RUNS,
    TEXT_DENOISERS,
    TRANSFORMER_RUNS,
    TWO_SPRITES_DENOISERS,
    load_cascade,
    load_gan,
    load_predictor,
    load_shipped_autoencoder,
    load_shipped_denoiser,
    load_shipped_student,
    load_tokens,
)
from course.recipes.text_to_clip import judge_drawn
from course.recipes.tokens import autoencoder_metrics
from course.recipes.tokens import judge_drawn as judge_written
from course.recipes.two_sprites import BINDINGS, draw_two, judge_two, some_pairs
from course.training.checkpoint import read_card

THERE = sorted(path.stem for path in CHECKPOINTS.glob("*.safetensors"))


def test_what_is_there_is_known_and_what_chapters_load_is_there():
    context = {checkpoint_name(run) for run in CONTEXT_RUNS}
    tokens = set(AUTOENCODER_RUNS) | set(TRANSFORMER_RUNS)
    assert (
        set(PREDICTORS) | context | set(DENOISERS) | set(STUDENT_RUNS) | set(GANS) | tokens
        == set(THERE)
        == set(SHIPPED)
    )
    assert sorted(path.stem for path in CHECKPOINTS.glob("*.json")) == THERE


def test_they_are_small():
    assert sum(path.stat().st_size for path in CHECKPOINTS.iterdir()) < 40e6


@pytest.mark.parametrize("name", THERE)
def test_a_card_names_the_command_that_makes_it_again(name):
    card = read_card(CHECKPOINTS / f"{name}.safetensors")
    assert card.command == f"python -m course train {name}"
    assert name.endswith(f"_{card.seed}")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_caption_is_drawn_as_well_as_was_set_out(seed):
    """Measured on 20 clips of each caption; that the networks are what their cards say is tested below."""
    metrics = read_card(CHECKPOINTS / f"text_unet_{seed}.safetensors").metrics
    assert metrics["caption, all"] >= 0.99
    assert metrics["caption, held out"] >= 0.97


@pytest.mark.parametrize("seed", SEEDS)
def test_a_small_dit_comes_near_the_u_net(seed):
    dit, unet = (read_card(CHECKPOINTS / f"text_{name}_{seed}.safetensors").metrics for name in ("dit", "unet"))
    assert dit["caption, all"] >= unet["caption, all"] - 0.05
    assert dit["caption, held out"] >= unet["caption, held out"] - 0.1


@pytest.mark.parametrize("name", PREDICTORS)
def test_a_predictor_is_what_its_card_says(name):
    """On a twentieth of the clips that the card tells of."""
    card = read_card(CHECKPOINTS / f"{name}.safetensors")
    run = PREDICTORS[name]
    assert card.recipe == run.recipe
    assert card.seed == run.seed
    assert card.cpu_seconds == pytest.approx(run.cpu_seconds, rel=0.02)
    told = sum(card.metrics[f"mse at t = {t}"] for t in range(1, 11)) / 10
    assert scores(as_predictor(load_predictor(name)), num_clips=50).mse == pytest.approx(told, rel=0.4)


@pytest.mark.parametrize("name", sorted(DENOISERS.keys() & set(THERE)))
def test_a_denoiser_was_trained_as_its_card_says(name):
    card = read_card(CHECKPOINTS / f"{name}.safetensors")
    run = DENOISERS[name]
    assert card.recipe == run.recipe
    assert card.seed == run.seed
    assert card.data == run.setting.data
    assert card.cpu_seconds == pytest.approx(run.cpu_seconds, rel=0.02)


@pytest.mark.parametrize("name", TEXT_DENOISERS)
def test_captions_are_obeyed_as_the_card_says(name):
    """On a fifth of the clips that the card tells of."""
    card = read_card(CHECKPOINTS / f"{name}.safetensors")
    found = judge_drawn(load_shipped_denoiser(name), HELD_OUT, num_each=4, seed=5).rates()["caption"]
    assert found == pytest.approx(card.metrics["caption, held out"], abs=0.15)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_student_is_what_its_card_says_and_hardly_behind_fifty_steps_of_its_teacher(seed):
    """On a fifth of the clips that the card tells of."""
    metrics = read_card(CHECKPOINTS / f"text_fast_{seed}.safetensors").metrics
    student = load_shipped_student(seed)
    found = judge_drawn(student, HELD_OUT, num_each=4, seed=5, **FEW).rates()["caption"]
    assert found == pytest.approx(metrics["caption, held out"], abs=0.15)
    assert metrics["caption, all"] >= metrics["caption, all, teacher in 50 steps"] - 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_the_cascade_obeys_captions_to_its_last_stage(seed):
    captions = [caption(one) for one in HELD_OUT]
    clips = draw_cascade(load_cascade(seed), captions, generator=generator(5))
    for stage in clips.values():
        rates = judge_stage(stage, captions).rates()
        assert rates["valid"] >= 0.9
        assert rates["caption"] >= 0.8
    others = captions[1:] + captions[:1]  # no two neighbours say the same
    assert judge_stage(clips["space 64"], others).rates()["caption"] == 0
    assert torch.equal(clips["time"][:, ::2], clips["base"])  # given frames are untouched
    for below, stage in pairwise(("time", "space 32", "space 64")):  # shrunk again, a clip is the one below
        side = clips[below].shape[-1]
        far = (resize(clips[stage], side, side) - clips[below]).square().mean().sqrt()
        shuffled = (resize(clips[stage].roll(1, 0), side, side) - clips[below]).square().mean().sqrt()
        assert far < 0.06 < 0.1 < shuffled


@pytest.mark.parametrize("name", PICTURE_DENOISERS)
def test_pictures_move_as_the_card_says(name):
    card = read_card(CHECKPOINTS / f"{name}.safetensors")
    found = sprite_metrics(load_shipped_denoiser(name), HELD_OUT, num_each=4, seed=5)
    assert found["caption"] == pytest.approx(card.metrics["caption, held out"], abs=0.15)
    assert found["first frame"] == pytest.approx(card.metrics["first frame, held out"], abs=1.0)


@pytest.mark.parametrize("name", CAMERA_DENOISERS)
def test_a_camera_films_as_the_card_says(name):
    card = read_card(CHECKPOINTS / f"{name}.safetensors")
    way = next(way for way in WAYS if way in name)
    found = camera_metrics(load_shipped_denoiser(name), way=way)
    for what in ("PSNR of what is known", "PSNR of what is invented"):
        assert found[what] == pytest.approx(card.metrics[what], abs=0.2)


@pytest.mark.parametrize("name", TWO_SPRITES_DENOISERS)
def test_two_sprites_are_drawn_as_the_card_says(name):
    """On a fifth of the pairs that the card tells of."""
    metrics = read_card(CHECKPOINTS / f"{name}.safetensors").metrics
    captions = [caption(*pair) for pair in some_pairs(ALL_PAIRS, 96, seed=5)]
    rates = judge_two(draw_two(load_shipped_denoiser(name), captions, generator=generator(5)), captions).rates()
    for test in ("valid", "identity", "motion", "caption_colour", "caption_shape", "caption_motion", "caption"):
        assert rates[test] == pytest.approx(metrics[f"{test}, two sprites, all"], abs=0.15)
    for other in BINDINGS.keys() - {"as asked"}:
        assert metrics[f"two sprites, {other}"] < 0.1 * metrics["two sprites, as asked"]


@pytest.mark.parametrize("name", [*GANS, *AUTOENCODER_RUNS, *TRANSFORMER_RUNS])
def test_a_gan_and_tokens_were_trained_as_their_cards_say(name):
    card = read_card(CHECKPOINTS / f"{name}.safetensors")
    run = {**GANS, **AUTOENCODER_RUNS, **TRANSFORMER_RUNS}[name]
    assert (card.recipe, card.seed) == (run.recipe, run.seed)
    assert card.cpu_seconds == pytest.approx(run.cpu_seconds, rel=0.02)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_gan_draws_as_was_set_out(seed):
    """Measured on 20 clips of each caption."""
    metrics = read_card(CHECKPOINTS / f"gan_both_{seed}.safetensors").metrics
    for name, bound in {"valid": 0.9, "identity": 0.95, "motion": 0.85, "caption": 0.8, "coverage": 0.9}.items():
        assert metrics[f"{name}, all"] >= bound


@pytest.mark.parametrize("seed", SEEDS)
def test_gans_that_are_to_fail_do(seed):
    """A critic of frames alone teaches no motion; what was provoked is a collapse."""
    metrics = read_card(CHECKPOINTS / f"gan_frame_critic_{seed}.safetensors").metrics
    assert min(metrics["caption_colour, all"], metrics["caption_shape, all"]) >= 0.9
    assert metrics["caption_motion, all"] <= 0.2
    collapsed = read_card(CHECKPOINTS / f"gan_collapsed_{seed}.safetensors").metrics["variety, all"]
    assert collapsed <= 0.1 < read_card(CHECKPOINTS / f"gan_both_{seed}.safetensors").metrics["variety, all"]


@pytest.mark.parametrize("seed", SEEDS)
def test_tokens_are_read_and_written_as_was_set_out(seed):
    metrics = read_card(CHECKPOINTS / f"tokens_autoencoder_{seed}.safetensors").metrics
    assert min(metrics["valid, all"], metrics["caption, all"]) >= 0.97
    assert metrics["perplexity"] >= metrics["codes"] / 2
    metrics = read_card(CHECKPOINTS / f"tokens_transformer_{seed}.safetensors").metrics
    assert metrics["caption, all"] >= 0.9
    assert metrics["caption, held out"] >= 0.8
    assert metrics["caption, held out, shuffled"] <= 0.15


@pytest.mark.parametrize("name", GANS)
def test_a_gan_is_what_its_card_says(name):
    metrics = read_card(CHECKPOINTS / f"{name}.safetensors").metrics
    rates = judge_gan(load_gan(name), num_each=1, seed=1).rates()
    for test in ("valid", "identity", "motion", "caption"):
        assert rates[test] == pytest.approx(metrics[f"{test}, all"], abs=0.15)
    losses = read_losses(CHECKPOINTS / f"{name}.safetensors")
    assert len(losses["critics"]) == len(losses["generator"]) > 50


def test_tokens_are_what_their_cards_say():
    autoencoder, transformer = load_tokens(0)
    rates = judge_written(transformer, autoencoder, HELD_OUT, num_each=3, seed=1).rates()
    told = read_card(CHECKPOINTS / "tokens_transformer_0.safetensors").metrics
    assert rates["caption"] == pytest.approx(told["caption, held out"], abs=0.2)
    scalar = read_card(CHECKPOINTS / "tokens_scalar_0.safetensors").metrics
    found = autoencoder_metrics(load_shipped_autoencoder("tokens_scalar_0"))
    assert found["caption, all"] == pytest.approx(scalar["caption, all"], abs=0.02)


def test_names_that_are_not_there_are_refused():
    for load in (load_gan, load_shipped_autoencoder):
        with pytest.raises(ValueError, match="name: wanted one of"):
            load("none")
    with pytest.raises(ValueError, match="name: wanted one of tokens_transformer_0"):
        load_tokens(9)
    with pytest.raises(ValueError, match="name: wanted one of text_fast_0"):
        load_shipped_student(9)
