import pytest
import torch

from course.generation.rollout import rollout
from course.models.predictors import TRUNKS, FramePredictor, PredictorConfig


def line(frames):
    """Predict after each frame that it goes on as it did since the frame before."""
    before = torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
    return 2 * frames - before


def clip_of(*values):
    return torch.tensor(values).reshape(1, -1, 1, 1, 1)


def test_a_straight_line_goes_on_and_is_held_within_the_range():
    predicted = rollout(line, clip_of(0.1, 0.2, 0.4), 4)
    assert predicted.flatten().tolist() == pytest.approx([0.6, 0.8, 1.0, 1.0])


def test_each_call_sees_the_context_and_all_that_was_predicted_so_far():
    seen = []

    def count(frames):
        seen.append(frames.flatten().tolist())
        return frames + 0.25

    predicted = rollout(count, clip_of(0.0, 0.25), 3)
    assert predicted.flatten().tolist() == [0.5, 0.75, 1.0]
    assert seen == [[0.0, 0.25], [0.0, 0.25, 0.5], [0.0, 0.25, 0.5, 0.75]]


def test_what_is_fed_back_is_clamped():
    """Otherwise a pixel that ran off to 3 would be taken for one that is to come back to 1."""
    assert rollout(lambda frames: frames + 2, clip_of(0.5), 2).flatten().tolist() == [1.0, 1.0]
    assert rollout(lambda frames: frames - 2, clip_of(0.5), 2).flatten().tolist() == [0.0, 0.0]
    seen = []
    rollout(lambda frames: seen.append(frames.max().item()) or frames + 2, clip_of(0.5), 2)
    assert seen == [0.5, 1.0]


@pytest.mark.parametrize("trunk", TRUNKS)
def test_the_truth_after_the_context_cannot_be_seen(trunk):
    torch.manual_seed(0)
    model = FramePredictor(PredictorConfig(trunk=trunk, hidden_size=8, num_heads=2))
    clips = torch.rand(2, 9, 3, 16, 16)
    other = clips.clone()
    other[:, 5:] = torch.rand_like(other[:, 5:])
    predicted = rollout(model, clips[:, :5], 4)
    assert predicted.shape == (2, 4, 3, 16, 16)
    assert torch.equal(predicted, rollout(model, other[:, :5], 4))
    given = model(clips[:, :-1])[:, 4:].clamp(0, 1)  # the leak: each frame from the true ones before it
    assert torch.allclose(predicted[:, 0], given[:, 0], atol=1e-6)
    assert not torch.allclose(predicted[:, 1:], given[:, 1:], atol=1e-3)
    assert not torch.equal(given.detach(), model(other[:, :-1])[:, 4:].clamp(0, 1).detach())


def test_no_gradient_is_kept_and_the_context_stays_as_it_was():
    context = torch.rand(1, 3, 1, 4, 4)
    kept = context.clone()
    weight = torch.ones((), requires_grad=True)
    assert not rollout(lambda frames: weight * frames, context, 3).requires_grad
    assert torch.equal(context, kept)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rollout(line, torch.rand(2, 3, 4, 4), 1), "context: wanted (B, T, C, H, W), got (2, 3, 4, 4)"),
        (lambda: rollout(line, clip_of(0.5) * 3, 1), "wanted values in [0, 1]"),
        (lambda: rollout(line, clip_of(0.5), 0), "a horizon of at least 1 frame, got 1 and 0"),
        (lambda: rollout(line, torch.zeros(1, 0, 1, 1, 1), 2), "at least 1 frame, got 0 and 2"),
        (
            lambda: rollout(lambda frames: frames[:, -1:], clip_of(0.1, 0.2), 2),
            "wanted a frame for each of those given, (1, 2, 1, 1, 1), got (1, 1, 1, 1, 1)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the words are compared below)
        call()
    assert words in str(error.value)
