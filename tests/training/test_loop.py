"""The training loop against an optimiser that is walked by hand; budgets, with a clock that the test winds."""

import copy
import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course.training import loop
from course.training.loop import TrainConfig, train


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def batches(num_batches=None, scale=1.0):
    """Yield inputs and targets without end, or so many."""
    generator = torch.Generator().manual_seed(1)
    for _ in itertools.count() if num_batches is None else range(num_batches):
        x = torch.randn(8, 3, generator=generator)
        yield x, scale * x.sum(dim=1, keepdim=True)


def squared_error(model, batch):
    x, target = batch
    return F.mse_loss(model(x), target)


def by_hand(trained, config, num_steps, given):
    """Train with AdamW written out (Loshchilov and Hutter 2019); return the losses and the norms before clipping."""
    parameters = list(trained.parameters())
    first, second = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    losses, norms = [], []
    for step, batch in zip(range(num_steps), given, strict=False):
        loss = squared_error(trained, batch)
        gradients = torch.autograd.grad(loss, parameters)
        norm = math.sqrt(sum(float((g.double() ** 2).sum()) for g in gradients))  # of all parameters together
        scale = min(1.0, config.max_norm / norm)
        rate = config.learning_rate * min(1, (step + 1) / config.warmup_steps, 2 - 2 * step / num_steps)
        with torch.no_grad():
            for p, g, m, v in zip(parameters, gradients, first, second, strict=True):
                m.mul_(0.9).add_(0.1 * scale * g)
                v.mul_(0.999).add_(0.001 * (scale * g) ** 2)
                p.mul_(1 - rate * config.weight_decay)
                p -= rate * (m / (1 - 0.9 ** (step + 1))) / ((v / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
        losses.append(loss.item())
        norms.append(norm)
    return losses, norms


@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_every_step_equals_one_by_hand(max_norm):
    config = TrainConfig(num_steps=12, learning_rate=0.05, weight_decay=0.1, warmup_steps=4, max_norm=max_norm)
    ours, wanted = model(), model()
    history = train(ours, batches(), squared_error, config)
    losses, norms = by_hand(wanted, config, 12, batches())
    assert history.losses == pytest.approx(losses, rel=1e-4)
    assert min(norms) > 0.5  # so that the lower bound clips every step, and the upper none
    for one, other in zip(ours.parameters(), wanted.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_gradients_are_scaled_together_not_one_by_one(monkeypatch):
    """What the optimiser is given has the direction of the gradient over all parameters, and the norm allowed."""
    trained, given = model(), []
    fresh = copy.deepcopy(trained)
    step = torch.optim.AdamW.step

    def looked_at(self, *arguments, **options):
        given.append(torch.cat([p.grad.flatten().clone() for p in trained.parameters()]))
        return step(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", looked_at)
    train(trained, batches(scale=100.0), squared_error, TrainConfig(num_steps=1, max_norm=0.25))
    loss = squared_error(fresh, next(batches(scale=100.0)))
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(fresh.parameters()))])
    assert gradient.norm() > 100
    assert torch.allclose(given[0], 0.25 * gradient / gradient.norm(), atol=1e-5)


def test_the_rate_rises_stays_and_falls_to_nothing():
    config = TrainConfig(num_steps=100, learning_rate=0.4, warmup_steps=10)
    rates = [config.rate(step, step / 100) for step in range(100)]
    assert rates[:3] == pytest.approx([0.04, 0.08, 0.12])
    assert rates[9:51] == pytest.approx([0.4] * 42)
    assert rates[75] == pytest.approx(0.2)
    assert rates[99] == pytest.approx(0.008)
    assert config.rate(200, 1.0) == 0
    assert TrainConfig(num_steps=100, learning_rate=0.4, warmup_steps=0).rate(0, 0.0) == 0.4


@pytest.mark.parametrize("num_steps", [1, 7])
def test_a_budget_of_steps_is_kept_to_the_step(num_steps):
    calls = []

    def counted(trained, batch):
        calls.append(batch)
        return squared_error(trained, batch)

    history = train(model(), batches(), counted, TrainConfig(num_steps=num_steps))
    assert len(history.losses) == len(calls) == num_steps
    assert history.cpu_seconds > 0


def test_learning_happens_and_every_parameter_moves():
    trained = model()
    before = copy.deepcopy(list(trained.parameters()))
    history = train(trained, batches(), squared_error, TrainConfig(num_steps=300, learning_rate=0.02))
    assert sum(history.losses[-20:]) < 0.2 * sum(history.losses[:20])
    assert all((now - then).abs().max() > 0 for now, then in zip(trained.parameters(), before, strict=True))


def test_a_budget_of_cpu_seconds_stops_when_it_is_spent(monkeypatch):
    """Each batch takes a quarter of a second, each loss three quarters: 4 seconds are 4 steps, 3.5 are 4 as well."""
    clock = [100.0]
    monkeypatch.setattr(loop.time, "process_time", lambda: clock[0])

    def slow_batches():
        for batch in batches(20):  # so that a budget that is never spent fails, and does not run for ever
            clock[0] += 0.25
            yield batch

    def slow_loss(trained, batch):
        clock[0] += 0.75
        return squared_error(trained, batch)

    for budget, num_steps in ((4.0, 4), (3.5, 4), (0.1, 1)):
        history = train(model(), slow_batches(), slow_loss, TrainConfig(cpu_seconds=budget))
        assert len(history.losses) == num_steps
        assert history.cpu_seconds == num_steps


def test_the_rate_falls_with_the_seconds_that_are_spent(monkeypatch):
    clock, rates = [0.0], []
    monkeypatch.setattr(loop.time, "process_time", lambda: clock[0])

    class Watched(torch.optim.AdamW):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    def slow_loss(trained, batch):
        clock[0] += 1
        return squared_error(trained, batch)

    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    train(model(), batches(), slow_loss, TrainConfig(cpu_seconds=8, learning_rate=1.0, warmup_steps=1))
    assert rates == pytest.approx([1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


def test_it_ends_where_the_batches_end():
    history = train(model(), batches(3), squared_error, TrainConfig(num_steps=50))
    assert len(history.losses) == 3
    nothing = train(model(), [], squared_error, TrainConfig(num_steps=50))
    assert (nothing.losses, nothing.cpu_seconds) == ([], 0.0)


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_a_loss_that_is_no_number_stops_before_it_spoils_the_weights(bad):
    trained = model()
    state = []

    def breaks(trained, batch):
        state[:] = copy.deepcopy(list(trained.parameters()))
        calls.append(batch)
        return squared_error(trained, batch) * (bad if len(calls) == 3 else 1)

    calls = []
    with pytest.raises(ValueError, match=f"the loss of step 2 is {bad}: a smaller learning_rate"):
        train(trained, batches(), breaks, TrainConfig(num_steps=9))
    assert all(torch.equal(now, then) for now, then in zip(trained.parameters(), state, strict=True))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "one of them and above 0, got None and None"),
        ({"num_steps": 5, "cpu_seconds": 1.0}, "one of them and above 0, got 5 and 1.0"),
        ({"num_steps": 0}, "one of them and above 0, got 0 and None"),
        ({"cpu_seconds": -1.0}, "one of them and above 0, got None and -1.0"),
    ],
)
def test_a_budget_that_is_none_is_refused(arguments, words):
    with pytest.raises(ValueError, match="wanted num_steps or cpu_seconds") as error:
        TrainConfig(**arguments)
    assert words in str(error.value)
