"""The checkpoints in data/checkpoints: each is whole, small, made by a known command, and as good as its card says."""

import pytest

from course.datasets.captions import HELD_OUT
from course.recipes.context import CONTEXT_RUNS, checkpoint_name
from course.recipes.prediction import as_predictor, scores
from course.recipes.shipped import (
    CHECKPOINTS,
    PREDICTORS,
    SHIPPED,
    TEXT_DENOISERS,
    load_predictor,
    load_shipped_denoiser,
)
from course.recipes.text_to_clip import judge_drawn
from course.training.checkpoint import read_card

THERE = sorted(path.stem for path in CHECKPOINTS.glob("*.safetensors"))


def test_what_is_there_is_known_and_what_chapters_load_is_there():
    context = {checkpoint_name(run) for run in CONTEXT_RUNS}
    assert set(PREDICTORS) | context <= set(THERE) <= set(SHIPPED)
    assert sorted(path.stem for path in CHECKPOINTS.glob("*.json")) == THERE


def test_they_are_small():
    assert sum(path.stat().st_size for path in CHECKPOINTS.iterdir()) < 40e6


@pytest.mark.parametrize("name", THERE)
def test_a_card_names_the_command_that_makes_it_again(name):
    card = read_card(CHECKPOINTS / f"{name}.safetensors")
    assert card.command == f"python -m course train {name}"
    assert name.endswith(f"_{card.seed}")


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


@pytest.mark.parametrize("name", sorted(TEXT_DENOISERS.keys() & set(THERE)))
def test_a_denoiser_is_what_its_card_says(name):
    """On a fifth of the clips that the card tells of."""
    card = read_card(CHECKPOINTS / f"{name}.safetensors")
    run = TEXT_DENOISERS[name]
    assert card.recipe == run.recipe
    assert card.seed == run.seed
    assert card.cpu_seconds == pytest.approx(run.cpu_seconds, rel=0.02)
    found = judge_drawn(load_shipped_denoiser(name), HELD_OUT, num_each=4, seed=5).rates()["caption"]
    assert found == pytest.approx(card.metrics["caption, held out"], abs=0.15)
