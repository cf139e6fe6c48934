"""Shares of the gradient against models whose gradient is known."""

import pytest
import torch
from torch import nn

from course.evaluation.gradients import share_by_frame

B, T, NUM_CLASSES = 4, 5, 3


class Weighted(nn.Module):
    """Answers after each frame with a sum over the frames so far, each times a number of its own."""

    def __init__(self, weights):
        super().__init__()
        torch.manual_seed(0)
        self.weights = torch.tensor(weights)[:, None]
        self.answer = nn.Linear(2 * 4 * 4, NUM_CLASSES)

    def forward(self, clips):
        return self.answer((clips.flatten(2) * self.weights).cumsum(dim=1))


@pytest.fixture(name="clips")
def fixture_clips():
    return torch.rand(B, T, 2, 4, 4, generator=torch.Generator().manual_seed(0))


LABELS = torch.tensor([0, 2, 1, 0])


def test_a_linear_model_has_the_shares_of_its_weights(clips):
    """The sign of a weight does not count, and a frame that counts twice as much has twice the share."""
    shares = share_by_frame(Weighted([1.0, -2.0, 0.0, 4.0, 3.0]), clips, LABELS)
    assert shares.shape == (T,)
    assert torch.allclose(shares, torch.tensor([0.1, 0.2, 0.0, 0.4, 0.3]), atol=1e-5)


def test_a_model_that_looks_at_the_last_frame_alone_has_all_there(clips):
    assert share_by_frame(nn.Sequential(nn.Flatten(2), nn.Linear(32, 3)), clips, LABELS).tolist() == [0, 0, 0, 0, 1]


def test_the_norm_is_taken_over_each_frame_of_each_clip(clips):
    """By hand: the gradient of cross-entropy is W^T (softmax - one-hot), times the frame's weight; the clips differ."""
    model = Weighted([1.0, 1.0, 1.0, 1.0, 1.0])
    scale = torch.tensor([[1.0, 5, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 9, 1, 1], [1, 1, 1, 1, 1]])
    scaled = nn.Module()
    scaled.forward = lambda clips: model(clips * scale[:, :, None, None, None])
    with torch.no_grad():
        odds = scaled.forward(clips)[:, -1].softmax(dim=-1)
        slopes = (odds - nn.functional.one_hot(LABELS, NUM_CLASSES)) @ model.answer.weight  # (B, 32)
    norms = (slopes.norm(dim=1)[:, None] * scale).mean(dim=0)
    assert torch.allclose(share_by_frame(scaled, clips, LABELS), norms / norms.sum(), atol=1e-5)


def test_looking_changes_nothing(clips):
    model = Weighted([1.0, 2.0, 3.0, 4.0, 5.0])
    before = clips.clone()
    shares = share_by_frame(model, clips, LABELS)
    assert shares.sum() == pytest.approx(1)
    assert not shares.requires_grad
    assert torch.equal(clips, before)
    assert not clips.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())
