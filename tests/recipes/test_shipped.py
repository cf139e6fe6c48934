"""The checkpoints in data/checkpoints: each is whole, small, made by a known command, and as good as its card says."""

import pytest

from course.recipes.prediction import as_predictor, scores
from course.recipes.shipped import CHECKPOINTS, PREDICTORS, SHIPPED, load_predictor
from course.training.checkpoint import read_card

THERE = sorted(path.stem for path in CHECKPOINTS.glob("*.safetensors"))


def test_what_is_there_is_known_and_all_predictors_are_there():
    assert set(PREDICTORS) <= set(THERE) <= set(SHIPPED)
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
