"""Hinge losses and the R1 penalty against finite differences; a loop whose two sides each move at their own turn."""

import copy
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from course.training.adversarial import (
    AdversarialConfig,
    hinge_critic_loss,
    hinge_generator_loss,
    mismatch_loss,
    mode_seeking_loss,
    r1_penalty,
    train_adversarial,
)
from course.training.checkpoint import Resume
from course.training.ema import EMA
from course.training.loop import step_generator

CONFIG = AdversarialConfig(num_steps=9, learning_rate=0.01, warmup_steps=2, penalty_interval=2)


def finite_difference(function, x, eps=1e-6):
    slope = torch.zeros_like(x)
    for index in range(x.numel()):
        step = torch.zeros_like(x).view(-1)
        step[index] = eps
        step = step.view(x.shape)
        slope.view(-1)[index] = (function(x + step) - function(x - step)) / (2 * eps)
    return slope


# Losses


def test_hinge_by_hand():
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0, 1.0])
    assert hinge_critic_loss(real, fake).item() == pytest.approx((0 + 0.5 + 2) / 3 + (0 + 1 + 2) / 3)
    assert hinge_generator_loss(fake).item() == pytest.approx(2 / 3)


def test_hinge_pushes_the_right_way_and_only_within_the_margin():
    real = torch.tensor([2.0, 0.5, -1.0], dtype=torch.double, requires_grad=True)
    fake = torch.tensor([-3.0, 0.2, 1.0], dtype=torch.double, requires_grad=True)
    slopes = torch.autograd.grad(hinge_critic_loss(real, fake), (real, fake))
    assert torch.allclose(slopes[0], torch.tensor([0, -1, -1], dtype=torch.double) / 3)
    assert torch.allclose(slopes[1], torch.tensor([0, 1, 1], dtype=torch.double) / 3)
    for slope, function, x in (
        (slopes[0], lambda x: hinge_critic_loss(x, fake), real),
        (slopes[1], lambda x: hinge_critic_loss(real, x), fake),
    ):
        assert torch.allclose(slope, finite_difference(function, x.detach()), atol=1e-8)
    (slope,) = torch.autograd.grad(hinge_generator_loss(fake), fake)
    assert torch.allclose(slope, torch.full((3,), -1 / 3, dtype=torch.double))


def test_mismatch_by_hand_what_is_no_mismatch_is_no_pair():
    right, wrong = torch.tensor([[0.5], [3.0]]), torch.tensor([[0.0, 7.0], [-2.0, 1.0]])
    unlike = torch.tensor([[True, False], [True, True]])
    assert mismatch_loss(right, wrong, unlike).item() == pytest.approx(((0.5 + 1) + (0 + 0) + (0 + 2)) / 3)
    assert mismatch_loss(right, wrong, torch.zeros_like(unlike)).item() == 0


def test_mode_seeking_by_hand():
    """Two pairs: clips differ by 2 where noise differs by 4, and by nothing where it differs by 1."""
    clips = torch.tensor([[0.0, 0.0], [5.0, 5.0], [2.0, -2.0], [5.0, 5.0]])
    noise = torch.tensor([[0.0], [0.0], [4.0], [-1.0]])
    assert mode_seeking_loss(clips, noise).item() == pytest.approx(-(2 / 4 + 0) / 2)


def test_mode_seeking_drives_clips_of_a_caption_apart_against_finite_differences():
    torch.manual_seed(0)
    clips, noise = torch.rand(4, 2, 3, dtype=torch.double, requires_grad=True), torch.randn(4, 5, dtype=torch.double)
    (slope,) = torch.autograd.grad(mode_seeking_loss(clips, noise), clips)
    assert torch.allclose(slope, finite_difference(lambda x: mode_seeking_loss(x, noise), clips.detach()), atol=1e-8)
    assert torch.equal(slope[:2].sign(), (clips[:2] - clips[2:]).sign().neg())


def curved(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1)).double()


def test_r1_of_a_straight_line_by_hand():
    """A critic w . x has the slope w everywhere: the penalty is |w|^2, neither |w| nor a mean over pixels."""
    weight = torch.tensor([3.0, 4.0])
    real = torch.randn(5, 2)
    assert r1_penalty(lambda x: x @ weight, real).item() == pytest.approx(25.0)


def test_r1_is_the_squared_slope_at_real_clips_by_finite_differences():
    critic, real = curved(), torch.randn(4, 2, 3, dtype=torch.double)
    slope = finite_difference(lambda x: critic(x).sum(), real)
    assert r1_penalty(critic, real).item() == pytest.approx(slope.square().sum(dim=(1, 2)).mean().item(), rel=1e-6)
    elsewhere = real + 1  # as generated clips would be
    assert r1_penalty(critic, elsewhere).item() != pytest.approx(r1_penalty(critic, real).item(), rel=1e-2)


def test_r1_can_be_trained_its_gradient_against_finite_differences():
    critic, real = curved(), torch.randn(4, 2, 3, dtype=torch.double)
    weight = critic[1].weight
    (slope,) = torch.autograd.grad(r1_penalty(critic, real), weight)

    def penalty(value):
        other = copy.deepcopy(critic)
        other[1].weight.data = value
        return r1_penalty(other, real).item()

    assert slope.abs().max() > 0
    assert torch.allclose(slope, finite_difference(penalty, weight.detach()), atol=1e-6)


# The loop: a generator of points, a critic of points


@dataclass(frozen=True)
class Points:
    real: Tensor
    noise: Tensor


def points(step):
    chance = step_generator(3, step)
    return Points(torch.randn(16, 2, generator=chance) + 2, torch.randn(16, 2, generator=chance))


def pair(seed=0):
    torch.manual_seed(seed)
    critic = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
    return nn.Linear(2, 2), critic


def draw(generator, batch):
    return generator(batch.noise)


def critic_loss(critics, batch, fake):
    assert not fake.requires_grad, "the critics' turn: no gradient reaches the generator"
    return hinge_critic_loss(critics(batch.real), critics(fake))


def generator_loss(critics, batch, fake):
    assert fake.requires_grad, "the generator's turn: clips are not cut off from it"
    assert not any(parameter.requires_grad for parameter in critics.parameters())
    return hinge_generator_loss(critics(fake))


def penalty(critics, batch):
    return 0.5 * r1_penalty(critics, batch.real)


def trained(config=CONFIG, resume=None, draw=draw, seed=0, **options):
    generator, critics = pair(seed)
    ema = EMA(generator, 0.9)
    history = train_adversarial(
        generator, critics, points, draw, critic_loss, generator_loss, config, ema=ema, resume=resume, **options
    )
    return generator, critics, ema, history


def weights(module):
    return torch.cat([value.flatten().float() for value in module.state_dict().values()])


def test_both_sides_move_at_each_step_and_the_losses_are_kept():
    generator, critics, ema, history = trained(replace(CONFIG, num_steps=1), penalty=penalty)
    before = pair()
    assert all((a != b).any() for a, b in zip(generator.parameters(), before[0].parameters(), strict=True))
    assert all((a != b).any() for a, b in zip(critics[0].parameters(), before[1][0].parameters(), strict=True))
    assert torch.allclose(weights(ema.average), weights(generator))
    assert all(parameter.requires_grad for parameter in critics.parameters())
    batch = points(0)
    fake = before[0](batch.noise).detach()
    wanted = hinge_critic_loss(before[1](batch.real), before[1](fake))
    assert history.losses == [pytest.approx(wanted.item())]
    assert history.generator_losses == [pytest.approx(-critics(fake).mean().item(), abs=1e-5)]
    assert history.cpu_seconds > 0


def test_a_step_equals_one_by_hand():
    """Adam's first step with no first moment goes the learning rate far against the sign of each gradient."""
    generator, critics, _, _ = trained(replace(CONFIG, num_steps=1, warmup_steps=1, critic_rate=2.0, max_norm=1e9))
    old, old_critic = pair()
    batch = points(0)
    loss = hinge_critic_loss(old_critic(batch.real), old_critic(old(batch.noise)))
    slope = torch.autograd.grad(loss, list(old_critic.parameters()))
    for before, after, by in zip(old_critic.parameters(), critics.parameters(), slope, strict=True):
        assert torch.allclose(after, before - 2 * 0.01 * by.sign(), atol=1e-5)
    slope = torch.autograd.grad(-critics(old(batch.noise)).mean(), list(old.parameters()))
    for before, after, by in zip(old.parameters(), generator.parameters(), slope, strict=True):
        assert torch.allclose(after, before - 0.01 * by.sign(), atol=1e-5)


def test_the_penalty_is_taken_once_in_so_many_steps_and_counts_so_many_times_as_much():
    taken = []

    def counted(critics, batch):
        taken.append(batch)
        return penalty(critics, batch)

    trained(replace(CONFIG, num_steps=7, penalty_interval=3), penalty=counted)
    assert len(taken) == 3
    every = trained(replace(CONFIG, num_steps=1, penalty_interval=1), penalty=lambda *some: 8 * penalty(*some))
    once = trained(replace(CONFIG, num_steps=1, penalty_interval=8), penalty=penalty)
    assert torch.allclose(weights(every[1]), weights(once[1]))


def test_points_come_to_lie_where_the_real_ones_do():
    config = AdversarialConfig(num_steps=400, learning_rate=0.01, penalty_interval=1)
    _, _, ema, _ = trained(config, penalty=penalty)
    fake = ema.average(torch.randn(500, 2, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(fake.mean(dim=0), torch.tensor([2.0, 2.0]), atol=0.6)


def test_interrupted_and_resumed_it_is_the_same_to_the_last_bit(tmp_path):
    whole = trained(penalty=penalty)
    calls = []

    def failing(generator, batch):
        calls.append(batch)
        if len(calls) > 9:  # in the middle of a step: after the critics' turn
            raise KeyboardInterrupt
        return draw(generator, batch)

    resume = Resume(path=tmp_path / "state.safetensors", run={"name": "points"}, every_seconds=0.0)
    with pytest.raises(KeyboardInterrupt):
        trained(resume=resume, draw=failing, penalty=penalty)
    again = trained(resume=resume, seed=5, penalty=penalty)
    for one, other in zip(whole[:3], again[:3], strict=True):
        assert torch.equal(weights(one), weights(other))
    assert whole[3].losses == again[3].losses
    assert whole[3].generator_losses == again[3].generator_losses
    with pytest.raises(ValueError, match="critic_rate"):
        trained(replace(CONFIG, critic_rate=3.0), resume=resume)


def test_a_loss_that_is_no_number_is_reported():
    def broken(critics, batch, fake):
        return critics(fake).mean() * float("nan")

    generator, critics = pair()
    with pytest.raises(ValueError, match="the loss of step 0 is nan"):
        train_adversarial(generator, critics, points, draw, critic_loss, broken, CONFIG)
