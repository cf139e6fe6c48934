import diffusers
import pytest
import torch

from course.diffusion.guidance import guided
from course.diffusion.objective import answer_of, exact_denoiser
from course.diffusion.samplers import ddim, ddpm, euler, heun, noise_steps
from course.diffusion.schedule import Cosine, Flow, LinearBeta

SHAPE = (3, 2, 3, 4, 4)


def network(noisy, noise_step, condition=None):
    """Some smooth answer of the right size: it depends on all that it is shown."""
    step = noise_step.view(-1, 1, 1, 1, 1)
    return 0.8 * torch.tanh(1.5 * noisy - step) * (1 - 0.3 * step) + 0.05 * noisy.flip(-1)


def noise(seed=0):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_euler_equals_diffusers(shift):
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.0)
    steps = noise_steps(10, shift=shift)
    theirs.set_timesteps(sigmas=steps[:-1].tolist())
    z = noise()
    for sigma, timestep in zip(steps[:-1], theirs.timesteps, strict=True):
        clean = network(z, sigma.expand(3)).clamp(-1, 1)
        z = theirs.step((z - clean) / sigma, timestep, z).prev_sample
    assert torch.allclose(euler(network, noise(), None, steps=steps), z.clamp(-1, 1), atol=1e-5)


def test_heun_equals_diffusers():
    theirs = diffusers.FlowMatchHeunDiscreteScheduler(num_train_timesteps=1000)
    theirs.set_timesteps(8)
    sigmas = torch.cat([theirs.sigmas[:1], theirs.sigmas[1::2]])  # each but the first stands there twice
    z = noise()
    for index, timestep in enumerate(theirs.timesteps):
        sigma = theirs.sigmas[index]
        clean = network(z, sigma.expand(3)).clamp(-1, 1)
        z = theirs.step((z - clean) / sigma, timestep, z).prev_sample
    assert torch.allclose(heun(network, noise(), None, steps=sigmas), z.clamp(-1, 1), atol=1e-5)


def test_ddim_equals_diffusers():
    theirs = diffusers.DDIMScheduler(
        num_train_timesteps=1000, timestep_spacing="trailing", beta_start=1e-4, beta_end=0.02
    )
    theirs.set_timesteps(20)
    z = noise()
    steps = torch.cat([(theirs.timesteps + 1) / 1000, torch.zeros(1)])
    for timestep, step in zip(theirs.timesteps, steps[:-1], strict=True):
        clean = network(z, step.expand(3)).clamp(-1, 1)
        epsilon = (z - LinearBeta().signal(step) * clean) / LinearBeta().noise(step)
        z = theirs.step(epsilon, timestep, z, use_clipped_model_output=True).prev_sample
    assert torch.allclose(ddim(network, noise(), None, steps=steps, schedule=LinearBeta()), z.clamp(-1, 1), atol=1e-4)


def test_ddpm_equals_diffusers(monkeypatch):
    """The same noise is drawn for both."""
    theirs = diffusers.DDPMScheduler(num_train_timesteps=1000, beta_start=1e-4, beta_end=0.02, clip_sample=True)
    steps = torch.arange(1000, -1, -1) / 1000
    z, chance = noise(), torch.Generator().manual_seed(4)
    for timestep, step in zip(theirs.timesteps, steps[:-1], strict=True):
        clean = network(z, step.expand(3)).clamp(-1, 1)
        epsilon = (z - LinearBeta().signal(step) * clean) / LinearBeta().noise(step)
        z = theirs.step(epsilon, timestep, z, generator=chance).prev_sample
    chance = torch.Generator().manual_seed(4)
    ours = ddpm(network, noise(), None, steps=steps, schedule=LinearBeta(), generator=chance)
    assert torch.allclose(ours, z.clamp(-1, 1), atol=2e-3)


def test_on_the_flow_ddim_without_noise_is_euler():
    steps = noise_steps(7)
    ours = ddim(network, noise(), None, steps=steps, schedule=Flow())
    assert torch.allclose(ours, euler(network, noise(), None, steps=steps), atol=1e-5)


@pytest.mark.parametrize("sampler", [ddim, ddpm, euler, heun])
def test_with_the_exact_denoiser_every_sampler_draws_the_clips_of_the_world(sampler):
    chance = torch.Generator().manual_seed(0)
    clips = torch.randn(4, 1, 1, 3, 3, generator=chance).sign()
    schedule = Cosine() if sampler in (ddim, ddpm) else Flow()
    options = {"schedule": schedule} if sampler in (ddim, ddpm) else {}
    options |= {"generator": chance} if sampler is ddpm else {}
    noise = torch.randn(400, 1, 1, 3, 3, generator=chance)
    denoise = exact_denoiser(clips, schedule)
    drawn = sampler(lambda z, s, c: denoise(z, s), noise, None, steps=noise_steps(50), **options)
    far = torch.cdist(drawn.flatten(1), clips.flatten(1))
    assert far.amin(dim=1).quantile(0.95) < 0.1
    share = far.argmin(dim=1).bincount(minlength=4) / 400
    assert share.min() > 0.15  # a quarter each


def test_where_clips_are_normal_the_flow_is_known_and_heun_follows_it_more_closely():
    """The mean of clips of deviation d, given z, is d^2 (1 - s) z / ((1 - s)^2 d^2 + s^2): noise e flows to d e."""
    deviation = 0.2

    def denoise(noisy, noise_step, condition):
        signal = 1 - noise_step.view(-1, 1, 1, 1, 1)
        return deviation**2 * signal * noisy / (signal.square() * deviation**2 + (1 - signal).square())

    wanted = deviation * noise()
    far = {
        (sampler.__name__, n): (sampler(denoise, noise(), None, steps=noise_steps(n)) - wanted).abs().max().item()
        for sampler in (euler, heun)
        for n in (10, 40, 160)
    }
    assert far["heun", 160] < 1e-3
    assert far["heun", 40] < 0.2 * far["euler", 40]
    assert far["euler", 40] < 0.5 * far["euler", 10]  # the error of Euler's rule falls as the number of steps grows


def test_the_steps_by_hand():
    assert noise_steps(4).tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert noise_steps(2, shift=3.0).tolist() == pytest.approx([1.0, 0.75, 0.0])
    for wrong in ({"num_steps": 0}, {"num_steps": 3, "shift": 0.0}):
        with pytest.raises(ValueError, match="wanted at least one step and a shift above 0"):
            noise_steps(**wrong)


def test_fresh_noise_comes_from_the_generator_alone():
    options = {"steps": noise_steps(5), "schedule": Cosine(), "eta": 1.0}
    with pytest.raises(ValueError, match="generator: wanted one"):
        ddim(network, noise(), None, **options)
    one, two, three = (
        ddim(network, noise(), None, generator=torch.Generator().manual_seed(seed), **options) for seed in (0, 0, 1)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, three)


def test_guidance_goes_on_from_without_to_with():
    calls = []

    def denoise(noisy, noise_step, condition):
        calls.append(condition)
        return torch.full_like(noisy, {"with": 3.0, "without": 1.0}[condition])

    z, step = torch.zeros(2, 3), torch.full((2,), 0.5)
    for scale, wanted in ((0.0, 1.0), (2.0, 5.0)):
        assert (guided(denoise, scale, "without")(z, step, "with") == wanted).all()
    calls.clear()
    assert (guided(denoise, 1.0, "without")(z, step, "with") == 3.0).all()
    assert (guided(denoise, 2.0, "without", interval=(0.6, 1.0))(z, step, "with") == 3.0).all()
    assert calls == ["with", "with"]


def test_guiding_clean_clips_is_guiding_noise():
    """For the same z, clean is an affine function of epsilon, and the factors of guidance sum to 1."""
    z, step, schedule = noise(), torch.full((3,), 0.4), Cosine()
    told, untold = network(z, step), network(z, step) - 0.1
    clean = untold + 2.5 * (told - untold)

    def epsilon_of(answer):
        return (z - schedule.signal(step[0]) * answer) / schedule.noise(step[0])

    epsilon = epsilon_of(untold) + 2.5 * (epsilon_of(told) - epsilon_of(untold))
    assert torch.allclose(epsilon_of(clean), epsilon, atol=1e-5)
    assert torch.allclose(answer_of("epsilon", clean, epsilon, step, schedule), epsilon)
