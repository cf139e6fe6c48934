"""Baselines, on clips whose continuation is known."""

import pytest
import torch

from course.budget import generator
from course.datasets.photos import load_photo, pan_and_zoom
from course.evaluation.baselines import all_black, constant_velocity, copy_last, dataset_mean, mean_frame
from course.evaluation.frames import mse


@pytest.fixture
def context():
    return torch.rand(2, 4, 3, 8, 8, generator=generator(0))


def moving_dot(position, velocity, num_frames, size=16):
    """A white dot on black, one pixel large."""
    clip = torch.zeros(1, num_frames, 1, size, size)
    for t in range(num_frames):
        y, x = (p + t * v for p, v in zip(position, velocity, strict=True))
        clip[0, t, 0, y, x] = 1
    return clip


def test_black(context):
    assert all_black(context, 3).equal(torch.zeros(2, 3, 3, 8, 8))


def test_copy_last(context):
    before = context.clone()
    prediction = copy_last(context, 3)
    assert prediction.equal(torch.stack([context[:, 3]] * 3, dim=1))
    prediction[:, 0] = 0
    assert context.equal(before)  # the answer is a copy, not a view
    assert prediction[:, 1].equal(context[:, 3])


def test_mean_frame(context):
    expected = (context[:, 0] + context[:, 1] + context[:, 2] + context[:, 3]) / 4
    assert mean_frame(context, 2).allclose(torch.stack([expected] * 2, dim=1))


def test_dataset_mean(context):
    training = torch.stack([torch.full((4, 3, 8, 8), value) for value in (0.1, 0.2, 0.6)])
    predict = dataset_mean(training)
    assert predict(context, 5).allclose(torch.full((2, 5, 3, 8, 8), 0.3))
    with pytest.raises(ValueError, match=r"wanted frames \(3, 8, 8\)"):
        predict(context[:, :, :1], 5)


@pytest.mark.parametrize("velocity", [(0, 0), (0, 2), (-1, 1), (2, -1)])
def test_constant_velocity_continues_a_dot(velocity):
    clip = moving_dot((7, 7), velocity, 5)
    assert constant_velocity(clip[:, :2], 3).equal(clip[:, 2:])


def test_constant_velocity_treats_each_clip_by_itself():
    clips = torch.cat([moving_dot((7, 3), (0, 1), 6), moving_dot((3, 7), (1, 0), 6), moving_dot((9, 9), (0, 0), 6)])
    assert constant_velocity(clips[:, :3], 3).equal(clips[:, 3:])


def test_constant_velocity_looks_at_the_last_two_frames_only():
    clip = moving_dot((7, 3), (0, 1), 6)
    scrambled = clip[:, :4].clone()
    scrambled[:, :2] = torch.rand(1, 2, 1, 16, 16, generator=generator(1))
    assert constant_velocity(scrambled, 2).equal(clip[:, 4:])


def test_constant_velocity_follows_a_panning_camera():
    """Exact but for the strip that comes into view, which repeats the border."""
    clip = pan_and_zoom(load_photo("china"), num_frames=5, size=32, velocity=(1, -2))[None]
    prediction = constant_velocity(clip[:, :2], 3)
    for step in range(3):
        entering = 2 * (step + 1)
        known = prediction[:, step, :, : 32 - (step + 1), entering:]
        assert known.allclose(clip[:, 2 + step, :, : 32 - (step + 1), entering:], atol=1e-5)
        assert prediction[:, step, :, :, 0].equal(prediction[:, step, :, :, entering])
    assert mse(prediction, clip[:, 2:]).mean() < mse(copy_last(clip[:, :2], 3), clip[:, 2:]).mean() / 2


def test_constant_velocity_keeps_channels_apart():
    clip = torch.zeros(1, 4, 3, 12, 12)
    clip[:, :, :2] = moving_dot((2, 2), (1, 2), 4, size=12)
    assert constant_velocity(clip[:, :2], 2).equal(clip[:, 2:])


@pytest.mark.parametrize("predictor", [all_black, copy_last, mean_frame, constant_velocity])
def test_bad_input(predictor, context):
    with pytest.raises(ValueError, match="horizon"):
        predictor(context, 0)
    with pytest.raises(ValueError, match="context"):
        predictor(context * 2, 1)
    with pytest.raises(ValueError, match="context"):
        predictor(context[:, :0], 1)


def test_constant_velocity_needs_two_square_frames(context):
    with pytest.raises(ValueError, match="two or more square frames"):
        constant_velocity(context[:, :1], 1)
    with pytest.raises(ValueError, match="two or more square frames"):
        constant_velocity(context[..., :6], 1)
