"""Known frames: told exactly, with their mask, and held to whatever the sampler does."""

import pytest
import torch

from course.diffusion.samplers import ddim, ddpm, euler, heun, noise_steps
from course.diffusion.schedule import Cosine, Flow, to_signed, to_unit
from course.generation.image_to_video import clamped, known_frames


@pytest.fixture(name="clips")
def fixture_clips():
    return torch.rand(3, 4, 2, 5, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture(name="known")
def fixture_known():
    return torch.tensor([[True, False, False, False], [True, False, False, True], [False, False, False, False]])


def test_known_frames_are_told_exactly_and_nothing_of_the_others(clips, known):
    given = known_frames(clips, known)
    assert given.shape == (3, 4, 3, 5, 6)
    frames, mask = given[:, :, :2], given[:, :, 2]
    assert torch.equal(mask, known[..., None, None].expand(3, 4, 5, 6).float())
    assert torch.equal(frames[known], to_signed(clips)[known])
    assert (frames[~known] == 0).all()
    other = torch.where(known[..., None, None, None], clips, 1 - clips)
    assert torch.equal(known_frames(other, known), given)


def test_black_is_not_the_same_as_unknown():
    black, known = torch.zeros(1, 2, 3, 4, 4), torch.tensor([[True, False]])
    given = known_frames(black, known)
    assert (given[:, 0, :3] == -1).all()
    assert (given[:, 1] == 0).all()


@pytest.mark.parametrize("make", [known_frames, lambda clips, known: clamped(None, clips, known)])
def test_a_wrong_form_is_told_in_words(make, clips, known):
    with pytest.raises(ValueError, match=r"known: wanted True or False for each frame, \(3, 4\), got torch.bool"):
        make(clips, known[:, :3])
    with pytest.raises(ValueError, match=r"known: wanted True or False .* got torch.float32 \(3, 4\)"):
        make(clips, known.float())
    with pytest.raises(ValueError, match=r"known: wanted True or False .* got list"):
        make(clips, known.tolist())
    with pytest.raises(ValueError, match=r"clips: wanted \(B, T, C, H, W\)"):
        make(clips[0], known)
    with pytest.raises(ValueError, match=r"clips: wanted values in \[0, 1\]"):
        make(to_signed(clips), known)


SAMPLERS = {
    "ddim": (ddim, {"schedule": Flow()}),
    "ddim, fresh noise": (ddim, {"schedule": Flow(), "eta": 1.0, "generator": torch.Generator().manual_seed(1)}),
    "ddim, cosine": (ddim, {"schedule": Cosine()}),
    "ddpm": (ddpm, {"schedule": Flow(), "generator": torch.Generator().manual_seed(1)}),
    "euler": (euler, {}),
    "heun": (heun, {}),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_held_frames_come_out_as_they_went_in_with_every_sampler(name, clips, known):
    sample, options = SAMPLERS[name]
    noise = torch.randn(clips.shape, generator=torch.Generator().manual_seed(2))

    def denoise(noisy, noise_step, condition):
        assert condition == "told"
        return 0.5 * noisy

    steps = noise_steps(5)
    drawn = to_unit(sample(clamped(denoise, clips, known), noise, "told", steps=steps, **options))
    assert torch.allclose(drawn[known], clips[known], atol=1e-6)
    assert (drawn - clips)[~known].abs().max() > 0.1


def test_what_is_not_known_is_the_denoisers_own(clips, known):
    answer = torch.full(clips.shape, 0.25)
    held = clamped(lambda *_: answer, clips, known)
    found = held(torch.zeros(clips.shape), torch.ones(3), None)
    assert torch.equal(found[~known], answer[~known])
    assert torch.equal(found[known], to_signed(clips)[known])


def test_while_there_is_noise_known_frames_stand_under_it(clips, known):
    """The replacement method: at every step the denoiser sees known frames with as much noise as the others have."""
    noise = torch.randn(clips.shape, generator=torch.Generator().manual_seed(3))
    seen = []

    def denoise(noisy, noise_step, condition):
        seen.append((noise_step[0].item(), noisy))
        return torch.zeros(noisy.shape)

    euler(clamped(denoise, clips, known), noise, None, steps=noise_steps(4))
    for step, noisy in seen:
        wanted = (1 - step) * to_signed(clips) + step * noise
        assert torch.allclose(noisy[known], wanted[known], atol=1e-5)


def test_other_clips_than_the_known_ones_are_refused(clips, known):
    held = clamped(lambda noisy, *_: noisy, clips, known)
    with pytest.raises(ValueError, match=r"noisy: wanted \(3, 4, 2, 5, 6\), as the known clips are, got \(2, 4"):
        held(torch.zeros(2, 4, 2, 5, 6), torch.ones(2), None)
