"""The moving average of the weights, against sums by hand."""

import copy

import pytest
import torch
from torch import nn

from course.training.ema import EMA, BestAverage


def set_to(model, value):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.999])
def test_it_is_the_weighted_mean_of_what_it_was_shown(decay):
    """From the first update on, with weights that sum to one; what the model was before does not count."""
    model = nn.Linear(2, 3)
    set_to(model, 1e6)
    ema, shown = EMA(model, decay), []
    for value in (4.0, -2.0, 7.0, 1.0):
        set_to(model, value)
        ema.update(model)
        shown.append(value)
        shares = [decay ** (len(shown) - 1 - i) for i in range(len(shown))]
        wanted = sum(share * value for share, value in zip(shares, shown, strict=True)) / sum(shares)
        for parameter in ema.average.parameters():
            assert torch.allclose(parameter, torch.tensor(wanted), atol=1e-4)
    assert ema.num_updates.item() == 4


def test_the_first_update_is_a_copy_to_the_last_bit():
    model = nn.Linear(5, 4)
    ema = EMA(model, 0.999)
    set_to(model, 1 / 3)
    ema.update(model)
    assert all(torch.equal(one, other) for one, other in zip(ema.average.parameters(), model.parameters(), strict=True))


def test_buffers_are_copied_and_the_average_is_for_evaluation():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5))
    ema = EMA(model, 0.9)
    model(torch.randn(16, 3, generator=torch.Generator().manual_seed(0)) + 5)
    assert ema.average[0].running_mean.abs().max() == 0
    ema.update(model)
    assert torch.equal(ema.average[0].running_mean, model[0].running_mean)
    assert ema.average[0].num_batches_tracked == 1
    x = torch.linspace(0, 1, 48).reshape(16, 3)
    assert torch.equal(ema.average(x), ema.average(x))  # no dropout
    assert model.training
    assert not any(parameter.requires_grad for parameter in ema.average.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_it_neither_changes_the_model_nor_follows_it():
    model = nn.Linear(2, 2)
    before = copy.deepcopy(model.state_dict())
    ema = EMA(model, 0.5)
    ema.update(model)
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    set_to(model, 9.0)
    assert torch.equal(ema.average.weight, before["weight"])


def test_its_state_goes_on_in_another():
    models = [nn.Linear(2, 2) for _ in range(3)]
    whole, first = EMA(models[0], 0.7), EMA(models[0], 0.7)
    for model in models[:2]:
        whole.update(model)
        first.update(model)
    second = EMA(models[2], 0.7)
    second.load_state_dict(first.state_dict())
    whole.update(models[2])
    second.update(models[2])
    assert torch.equal(whole.average.weight, second.average.weight)


@pytest.mark.parametrize("decay", [-0.1, 1.0, 2.0, float("nan")])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match=r"decay: wanted a number in \[0, 1\), got"):
        EMA(nn.Linear(1, 1), decay)


def test_the_best_look_is_kept_and_not_the_last():
    model = nn.Linear(1, 1)
    kept = BestAverage(model, 0.0, score=lambda network: network.weight.item(), every=2)
    set_to(model, 1.0)
    kept.update(model)
    assert kept.best.weight.item() == 1.0  # before the first look the best is the last
    for height in (4.0, 9.0, 2.0, 9.0):  # looks at the first and the third of these
        set_to(model, height)
        kept.update(model)
    assert kept.best.weight.item() == kept.best_score.item() == 4.0
    assert kept.average.weight.item() == 9.0


def test_of_equal_looks_the_later_is_kept():
    model = nn.Linear(1, 1)
    kept = BestAverage(model, 0.0, score=lambda _: 0.0, every=1)
    for height in (1.0, 2.0):
        set_to(model, height)
        kept.update(model)
    assert kept.best.weight.item() == 2.0


def test_the_best_goes_on_in_another():
    def fresh():
        return BestAverage(nn.Linear(1, 1), 0.0, score=lambda network: network.weight.item(), every=1)

    model, first, second = nn.Linear(1, 1), fresh(), fresh()
    set_to(model, 5.0)
    first.update(model)
    second.load_state_dict(first.state_dict())
    set_to(model, 3.0)
    second.update(model)
    assert second.best.weight.item() == 5.0
    with pytest.raises(ValueError, match="every: wanted at least 1"):
        BestAverage(model, 0.5, score=lambda _: 0.0, every=0)
