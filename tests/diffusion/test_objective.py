from itertools import product

import pytest
import torch

from course.diffusion.objective import ANSWERS, answer_of, as_clean, clean_from, denoising_loss, exact_denoiser
from course.diffusion.schedule import Cosine, Flow, LinearBeta, diffuse

SHAPE = (4, 2, 3, 5, 5)


def drawn(seed=0):
    generator = torch.Generator().manual_seed(seed)
    clean, epsilon = (torch.randn(SHAPE, generator=generator) for _ in range(2))
    return clean, epsilon, torch.tensor([0.05, 0.3, 0.6, 0.9])


@pytest.mark.parametrize(
    ("answer", "schedule"),
    [(a, s) for a, s in product(ANSWERS, [Flow(), Cosine(), LinearBeta()]) if (a, s) != ("v", Flow())]
    + [("v", Flow())],
    ids=str,
)
def test_every_answer_leads_back_to_the_clean_clip(answer, schedule):
    clean, epsilon, noise_step = drawn()
    noisy = diffuse(clean, epsilon, noise_step, schedule)
    given = answer_of(answer, clean, epsilon, noise_step, schedule)
    assert torch.allclose(clean_from(answer, given, noisy, noise_step, schedule), clean, atol=1e-3)


def test_answers_by_hand():
    """Clean 2, noise 3, a quarter of the way: on the flow z is 0.75 * 2 + 0.25 * 3 = 2.25."""
    clean, epsilon, step = torch.tensor([2.0]), torch.tensor([3.0]), torch.tensor([0.25])
    assert diffuse(clean, epsilon, step, Flow()).item() == 2.25
    assert answer_of("velocity", clean, epsilon, step, Flow()).item() == 1.0
    assert answer_of("v", clean, epsilon, step, Flow()).item() == pytest.approx(0.75 * 3 - 0.25 * 2)


@pytest.mark.parametrize(("answer", "schedule"), [("velocity", Flow()), ("v", Cosine())], ids=str)
def test_velocities_are_derivatives_of_what_is_seen(answer, schedule):
    """By finite differences: along the noise step for the flow, along the angle for v."""
    clean, epsilon, noise_step = drawn()
    small = 1e-3
    ahead, behind = (diffuse(clean, epsilon, noise_step + change, schedule) for change in (small, -small))
    slope = (ahead - behind) / (2 * small)
    if answer == "v":
        slope = slope / (torch.pi / 2)  # the angle is a quarter turn for a noise step of 1
    assert torch.allclose(answer_of(answer, clean, epsilon, noise_step, schedule), slope, atol=2e-3)


def test_a_network_that_knows_the_noise_gives_clean_clips():
    clean, epsilon, noise_step = drawn()
    noisy = diffuse(clean, epsilon, noise_step, Cosine())
    denoise = as_clean(lambda z, s, condition: epsilon, "epsilon", Cosine())
    assert torch.allclose(denoise(noisy, noise_step, None), clean, atol=1e-4)


@pytest.mark.parametrize("answer", ANSWERS)
def test_the_loss_is_zero_for_the_right_answer_and_counts_by_weight(answer):
    clean, epsilon, noise_step = drawn()
    right = answer_of(answer, clean, epsilon, noise_step, Flow())
    options = {"noise_step": noise_step, "epsilon": epsilon, "schedule": Flow(), "answer": answer}
    assert denoising_loss(lambda *_: right, clean, None, **options) == 0
    off = right + torch.tensor([1.0, 2.0, 0.0, 0.0])[:, None, None, None, None]
    assert denoising_loss(lambda *_: off, clean, None, **options).item() == pytest.approx(5 / 4)
    weight = torch.tensor([2.0, 0.0, 1.0, 1.0])
    assert denoising_loss(lambda *_: off, clean, None, weight=weight, **options).item() == pytest.approx(2 / 4)


def test_the_loss_shows_the_network_the_noisy_clip_its_step_and_its_condition():
    clean, epsilon, noise_step = drawn()
    seen = []

    def network(noisy, step, condition):
        seen.append((noisy, step, condition))
        return noisy

    denoising_loss(network, clean, "words", noise_step=noise_step, epsilon=epsilon, schedule=Flow())
    noisy, step, condition = seen[0]
    assert torch.equal(noisy, diffuse(clean, epsilon, noise_step, Flow()))
    assert torch.equal(step, noise_step)
    assert condition == "words"


def test_the_exact_denoiser_by_hand():
    """Two clips of one pixel, -1 and 1; seen 0.3 with signal and noise one half: Bayes gives tanh(0.3 * 0.5 / 0.25)."""
    denoise = exact_denoiser(torch.tensor([[-1.0], [1.0]]), Flow())
    found = denoise(torch.tensor([[0.3]]), torch.tensor([0.5]))
    assert found.item() == pytest.approx(torch.tanh(torch.tensor(0.6)).item(), abs=1e-6)


def test_no_other_answer_has_a_smaller_error_than_the_exact_denoiser():
    generator = torch.Generator().manual_seed(1)
    clips = torch.randn(3, 2, generator=generator).clamp(-1, 1)
    which = torch.randint(3, (4000,), generator=generator)
    epsilon, step = torch.randn(4000, 2, generator=generator), torch.full((4000,), 0.6)
    noisy = diffuse(clips[which], epsilon, step, Flow())
    best = exact_denoiser(clips, Flow())(noisy, step)

    def error(answer):
        return (answer - clips[which]).square().sum(dim=1).mean().item()

    nearest = clips[torch.cdist(noisy, 0.4 * clips).argmin(dim=1)]
    for other in (nearest, clips.mean(dim=0).expand_as(best), 1.1 * best, noisy):
        assert error(best) < error(other)


def test_unknown_answers_are_refused():
    clean, epsilon, noise_step = drawn()
    for call in (answer_of, clean_from):
        with pytest.raises(ValueError, match=r"answer: wanted one of \('clean', .*\), got 'noise'"):
            call("noise", clean, epsilon, noise_step, Flow())
