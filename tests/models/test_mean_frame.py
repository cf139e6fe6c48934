"""The baseline that sees the mean of the frames so far."""

import pytest
import torch

from course.models.mean_frame import MeanFrameModel


@pytest.fixture(name="model")
def fixture_model():
    torch.manual_seed(0)
    return MeanFrameModel(num_channels=1, size=4, hidden_size=8, output_size=3)


def test_each_answer_is_that_to_the_mean_of_the_frames_so_far(model):
    clips = torch.rand(2, 5, 1, 4, 4)
    answers = model(clips)
    assert answers.shape == (2, 5, 3)
    for t in range(5):
        mean = clips[:, : t + 1].mean(dim=1, keepdim=True)
        assert torch.allclose(answers[:, t], model(mean)[:, 0], atol=1e-6)


def test_the_order_of_the_past_does_not_matter_and_the_future_is_not_seen(model):
    clips = torch.rand(1, 4, 1, 4, 4)
    assert torch.allclose(model(clips.flip(1))[:, -1], model(clips)[:, -1], atol=1e-6)
    later = clips.clone()
    later[:, 2:] = 0
    assert torch.equal(model(later)[:, :2], model(clips)[:, :2])
    assert not torch.allclose(model(later)[:, 2:], model(clips)[:, 2:], atol=1e-4)


def test_frames_of_another_form_are_refused(model):
    with pytest.raises(ValueError, match=r"wanted \(B, T, 1, 4, 4\), got \(2, 3, 3, 4, 4\)"):
        model(torch.rand(2, 3, 3, 4, 4))
