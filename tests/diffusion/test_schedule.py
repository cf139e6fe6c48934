import diffusers
import pytest
import torch

from course.diffusion.schedule import Cosine, Flow, LinearBeta, diffuse, to_signed, to_unit

SCHEDULES = [Flow(), Cosine(), LinearBeta()]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_a_schedule_begins_clean_ends_as_noise_and_never_turns_back(schedule):
    steps = torch.linspace(0, 1, 101)
    signal, noise = schedule.signal(steps), schedule.noise(steps)
    assert signal[0] == 1
    assert noise[0] == 0
    assert signal[-1] < 0.01
    assert noise[-1] > 0.99
    assert (signal.diff() < 0).all()
    assert (noise.diff() > 0).all()


@pytest.mark.parametrize("schedule", [Cosine(), LinearBeta()], ids=lambda schedule: type(schedule).__name__)
def test_the_variance_is_preserved(schedule):
    steps = torch.linspace(0, 1, 51)
    total = schedule.signal(steps).square() + schedule.noise(steps).square()
    assert torch.allclose(total, torch.ones(51), atol=1e-6)


def test_linear_betas_by_hand():
    """Two steps that forget .1 and .3: .9 is left after one, .9 * .7 after both."""
    schedule = LinearBeta(num_steps=2, first=0.1, last=0.3)
    assert torch.allclose(schedule.kept, torch.tensor([1.0, 0.9, 0.63]))


def test_the_closed_form_equals_step_by_step():
    """Each step scales by the root of 1 - beta and adds variance beta: followed as (signal, variance)."""
    schedule = LinearBeta(num_steps=50, first=1e-3, last=0.1)
    signal, variance = 1.0, 0.0
    for k, beta in enumerate(torch.linspace(1e-3, 0.1, 50).tolist(), start=1):
        signal, variance = signal * (1 - beta) ** 0.5, variance * (1 - beta) + beta
        step = torch.tensor(k / 50)
        assert schedule.signal(step).item() == pytest.approx(signal, abs=1e-5)
        assert schedule.noise(step).item() == pytest.approx(variance**0.5, abs=1e-5)


def test_diffuse_equals_diffusers_add_noise():
    torch.manual_seed(0)
    clean, epsilon = torch.randn(5, 4, 3, 8, 8), torch.randn(5, 4, 3, 8, 8)
    theirs = diffusers.DDPMScheduler(num_train_timesteps=1000, beta_start=1e-4, beta_end=0.02)
    timesteps = torch.tensor([0, 1, 250, 500, 999])  # theirs count from 0: timestep 0 has one step of noise
    wanted = theirs.add_noise(clean, epsilon, timesteps)
    ours = diffuse(clean, epsilon, (timesteps + 1) / 1000, LinearBeta())
    assert torch.allclose(ours, wanted, atol=1e-5)


def test_diffuse_on_the_flow_equals_diffusers_scale_noise():
    torch.manual_seed(0)
    clean, epsilon = torch.randn(3, 2, 3, 4, 4), torch.randn(3, 2, 3, 4, 4)
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000)
    timesteps = theirs.timesteps[[0, 300, 999]]
    wanted = theirs.scale_noise(clean, timesteps, epsilon)
    assert torch.allclose(diffuse(clean, epsilon, timesteps / 1000, Flow()), wanted, atol=1e-6)


def test_each_clip_has_its_own_noise_step():
    clean, epsilon = torch.ones(2, 1, 1, 1, 1), torch.full((2, 1, 1, 1, 1), 5.0)
    noisy = diffuse(clean, epsilon, torch.tensor([0.0, 0.25]), Flow())
    assert noisy.flatten().tolist() == [1.0, 2.0]


def test_signed_and_unit_are_inverse_and_unit_cuts_off():
    clips = torch.tensor([0.0, 0.25, 1.0])
    assert to_signed(clips).tolist() == [-1.0, -0.5, 1.0]
    assert torch.equal(to_unit(to_signed(clips)), clips)
    assert to_unit(torch.tensor([-3.0, 3.0])).tolist() == [0.0, 1.0]


def test_wrong_shapes_and_values_are_refused():
    with pytest.raises(ValueError, match=r"wanted noise of the clips' shape \(2, 3\) .* got \(2, 4\) and \(2,\)"):
        diffuse(torch.zeros(2, 3), torch.zeros(2, 4), torch.zeros(2), Flow())
    with pytest.raises(ValueError, match=r"one noise step for each clip, got \(2, 3\) and \(1,\)"):
        diffuse(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(1), Flow())
    with pytest.raises(ValueError, match="wanted at least one step"):
        LinearBeta(first=0.5, last=0.1)
