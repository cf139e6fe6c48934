"""A checkpoint is made once, goes on after an interruption, and is never taken for another."""

import pytest
import torch
from torch import nn

from course.recipes.making import make_checkpoint
from course.training.checkpoint import load
from course.training.loop import TrainConfig, train


def make(path, calls, *, seed=0, interrupt_at=None, **options):
    """Make a checkpoint of a small layer."""

    def batch(step):
        if step == interrupt_at:
            raise KeyboardInterrupt
        return torch.randn(4, 3, generator=torch.Generator().manual_seed(step))

    def trained(resume):
        calls.append("train")
        torch.manual_seed(seed)
        model = nn.Linear(3, 3)
        config = TrainConfig(num_steps=6)
        history = train(model, batch, lambda model, x: (model(x) - x).square().mean(), config, resume=resume)
        return model, history

    def measured(model):
        calls.append("measure")
        return {"sum": model.weight.sum().item()}

    about = {"recipe": "a layer", "seed": seed, "config": {"sizes": (3, 3)}, "data": "noise"}
    return make_checkpoint(path, **about, command="none", train=trained, measure=measured, **options)


def test_it_is_made_once(tmp_path):
    path, calls = tmp_path / "layer.safetensors", []
    card = make(path, calls)
    assert make(path, calls) == card
    assert calls == ["train", "measure"]
    assert card.num_steps == 6
    assert card.config == {"sizes": [3, 3]}
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["layer.json", "layer.safetensors"]


def test_it_goes_on_after_an_interruption(tmp_path):
    whole, broken, calls = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors", []
    make(whole, calls)
    with pytest.raises(KeyboardInterrupt):
        make(broken, calls, interrupt_at=4)
    assert not broken.exists()
    make(broken, calls)
    assert broken.read_bytes() == whole.read_bytes()


def test_another_training_s_is_refused(tmp_path):
    path = tmp_path / "layer.safetensors"
    make(path, [])
    with pytest.raises(ValueError, match="the result of another training, seed: wanted 1, got 0; delete it"):
        make(path, [], seed=1)


def test_metrics_are_those_of_the_weights_that_are_kept(tmp_path):
    """Rounded before they are measured."""
    path = tmp_path / "layer.safetensors"
    card = make(path, [])
    kept = load(path, lambda _: nn.Linear(3, 3))
    assert kept.weight.sum().item() == card.metrics["sum"]
