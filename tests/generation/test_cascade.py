"""The parts of a cascade without weights: what a stage is shown, and how its clip is put in."""

import pytest
import torch

from course.budget import generator
from course.diffusion.schedule import to_signed
from course.generation.cascade import augmented, enlarged, interleaved, neighbours

CLIPS = torch.rand((2, 4, 3, 16, 16), generator=generator(0))


def test_neighbours_are_the_frame_before_and_the_frame_after():
    shown = neighbours(CLIPS)
    assert shown.shape == (2, 4, 6, 16, 16)
    assert torch.equal(shown[:, :, :3], CLIPS)
    assert torch.equal(shown[:, :3, 3:], CLIPS[:, 1:])
    assert torch.equal(shown[:, 3, 3:], CLIPS[:, 3])  # there is none behind the last


def test_given_frames_stay_as_they_are():
    between = torch.rand(CLIPS.shape, generator=generator(1))
    clips = interleaved(CLIPS, between)
    assert clips.shape == (2, 8, 3, 16, 16)
    assert torch.equal(clips[:, ::2], CLIPS)
    assert torch.equal(clips[:, 1::2], between)
    with pytest.raises(ValueError, match="wanted a frame for each"):
        interleaved(CLIPS, between[:, :3])


def test_enlarging_keeps_what_is_there():
    large = enlarged(CLIPS, 32)
    assert large.shape == (2, 4, 3, 32, 32)
    assert torch.allclose(large.mean(dim=(3, 4)), CLIPS.mean(dim=(3, 4)), atol=0.01)
    flat = torch.full((1, 1, 3, 16, 16), 0.3)
    assert torch.allclose(enlarged(flat, 64), torch.tensor(0.3))
    with pytest.raises(ValueError, match=r"clips: wanted values in \[0, 1\]"):
        enlarged(to_signed(CLIPS), 32)


def test_each_clip_has_noise_of_its_own_level():
    grey = torch.full((3, 8, 3, 32, 32), 0.75)  # 0.5 in signed values
    noisy = augmented(grey, torch.tensor([0.0, 0.1, 0.5]), generator=generator(2))
    assert torch.equal(noisy[0], to_signed(grey[0]))
    for clip, level in zip(noisy[1:], (0.1, 0.5), strict=True):
        assert clip.mean().item() == pytest.approx(0.5 * (1 - level), abs=0.01)
        assert clip.std().item() == pytest.approx(level, rel=0.02)
        frame, other = clip[0] - clip[0].mean(), clip[1] - clip[1].mean()
        assert (frame * other).mean().abs() < 0.05 * level**2  # every frame has its own
    again = augmented(grey, torch.tensor([0.0, 0.1, 0.5]), generator=generator(2))
    assert torch.equal(noisy, again)
