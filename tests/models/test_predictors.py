import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course.models.predictors import TRUNKS, DirectConfig, DirectPredictor, FramePredictor, PredictorConfig

B, T = 2, 6
CONFIG = PredictorConfig(trunk="recurrent", num_channels=2, size=8, patch_size=2, hidden_size=8, num_heads=2)
DIRECT = DirectConfig(num_context=3, horizon=4, num_codes=3, num_channels=2, size=8, patch_size=2, hidden_size=8)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(params=TRUNKS)
def predictor(request):
    return FramePredictor(replace(CONFIG, trunk=request.param))


def frames(num_frames=T):
    return torch.rand(B, num_frames, 2, 8, 8)


def test_there_is_a_prediction_after_each_frame_of_clips_of_any_length(predictor):
    for num_frames in (1, 2, T, 20):
        assert predictor(frames(num_frames)).shape == (B, num_frames, 2, 8, 8)


def test_no_prediction_sees_a_later_frame_or_another_clip_by_gradient(predictor):
    clips = frames().requires_grad_()
    for t in range(T):
        (gradient,) = torch.autograd.grad(predictor(clips)[1, t].sum(), clips)
        assert gradient[1, t + 1 :].abs().sum() == 0
        assert gradient[0].abs().sum() == 0
        assert gradient[1, max(0, t - 2) : t + 1].flatten(1).abs().amax(dim=1).min() > 0  # motion needs three


def test_no_prediction_sees_a_later_frame_by_substitution(predictor):
    clips = frames()
    before = predictor(clips)
    for t in range(T - 1):
        changed = clips.clone()
        changed[:, t + 1 :] = torch.rand_like(changed[:, t + 1 :])
        after = predictor(changed)
        assert torch.equal(after[:, : t + 1], before[:, : t + 1])
        assert not torch.allclose(after[:, t + 1], before[:, t + 1])


def test_the_order_of_the_past_counts(predictor):
    """In one block a causal mask alone does not tell it: that takes a position."""
    model, clips = FramePredictor(replace(predictor.config, num_layers=1)), frames()
    swapped = clips[:, [0, 1, 2, 4, 3, 5]]
    assert not torch.allclose(model(clips)[:, -1], model(swapped)[:, -1], atol=1e-5)


def test_a_prediction_is_the_last_frame_and_a_painted_change(predictor):
    clips = frames()
    painted = predictor(clips)
    for parameter in predictor.paint[2].parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(predictor(clips), clips)
    assert not torch.allclose(painted, clips, atol=1e-3)


def test_where_something_stands_is_not_lost(predictor):
    """A dot in one corner must not give the prediction, moved, of a dot in another place of its patch or grid."""
    clips = torch.zeros(3, 3, 2, 8, 8)
    clips[0, :, 0, 2, 2] = clips[1, :, 0, 2, 3] = clips[2, :, 0, 4, 4] = 1.0
    change = predictor(clips)[:, -1] - clips[:, -1]
    assert not torch.allclose(change[1], change[0], atol=1e-4)  # one pixel to the right
    assert not torch.allclose(change[2], change[0], atol=1e-4)  # one patch further


def test_step_by_step_a_memory_predicts_what_forward_does():
    predictor, clips, state = FramePredictor(CONFIG), frames(), None
    whole = predictor(clips)
    for t in range(T):
        following, state = predictor.step(clips[:, t], state)
        assert torch.allclose(following, whole[:, t], atol=1e-6)


def test_every_parameter_learns_and_a_moving_dot_is_predicted(predictor):
    where = torch.randint(0, 8, (32, 1)) + torch.arange(T)
    clips = torch.zeros(32, T, 2, 8, 8)
    clips[torch.arange(32)[:, None], torch.arange(T), 0, 3, where % 8] = 1.0
    before, losses = copy.deepcopy(list(predictor.parameters())), []
    optimiser = torch.optim.Adam(predictor.parameters(), lr=0.01)
    for _ in range(60):
        loss = F.mse_loss(predictor(clips[:, :-1]), clips[:, 1:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    copied = F.mse_loss(clips[:, :-1], clips[:, 1:])
    assert losses[-1] < 0.5 * copied
    assert all((now - then).abs().max() > 0 for now, then in zip(predictor.parameters(), before, strict=True))


def test_direct_prediction_is_of_the_whole_horizon_and_each_clip_alone():
    model, context = DirectPredictor(DIRECT), frames(3).requires_grad_()
    future = model(context)
    assert future.shape == (B, 4, 2, 8, 8)
    (gradient,) = torch.autograd.grad(future[1, 2].sum(), context)
    assert gradient[0].abs().sum() == 0
    assert gradient[1].flatten(1).abs().amax(dim=1).min() > 0


def test_direct_prediction_changes_the_last_frame_and_may_be_of_many_sizes():
    model, context = DirectPredictor(DIRECT), frames(3)
    for parameter in model.paint[2].parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(model(context), context[:, -1:].expand(-1, 4, -1, -1, -1))


def test_a_code_chooses_among_the_futures():
    model, context = DirectPredictor(DIRECT), frames(3)
    futures = model.futures(context)
    assert futures.shape == (B, 3, 4, 2, 8, 8)
    for code in range(3):
        one = model(context, torch.full((B,), code))
        assert torch.allclose(futures[:, code], one, atol=1e-6)
        assert not torch.allclose(futures[:, code - 1], one, atol=1e-3)
    mixed = model(context, torch.tensor([2, 1]))
    assert torch.allclose(mixed, torch.stack([futures[0, 2], futures[1, 1]]), atol=1e-6)
    assert torch.allclose(model(context), futures[:, 0], atol=1e-6)


def test_samples_repeat_from_their_generator_and_take_all_codes_alike():
    model, context = DirectPredictor(DIRECT), frames(1).expand(B, 3, 2, 8, 8)[:1].expand(600, 3, 2, 8, 8)

    def drawn(seed):
        return model.sample(context, generator=torch.Generator().manual_seed(seed))

    first = drawn(0)
    assert torch.equal(first, drawn(0))
    assert not torch.equal(first, drawn(1))
    assert first.min() >= 0
    assert first.max() <= 1
    futures = model.futures(context[:1])[0].clamp(0, 1)
    nearest = (first[:, None] - futures).flatten(2).abs().amax(dim=2)
    assert nearest.min(dim=1).values.max() < 1e-5
    assert nearest.argmin(dim=1).bincount(minlength=3).min() > 150


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: replace(CONFIG, trunk="mean"), "trunk: wanted one of ('recurrent', 'Transformer', '3D convolution')"),
        (lambda: replace(CONFIG, num_layers=0), "num_layers: wanted at least 1, got 0"),
        (lambda: replace(CONFIG, patch_size=3), "patch_size: wanted a divisor of the frame's side 8, got 3"),
        (lambda: replace(DIRECT, patch_size=0), "patch_size: wanted a divisor of the frame's side 8, got 0"),
        (lambda: replace(DIRECT, horizon=0), "horizon: wanted at least 1, got 0"),
        (lambda: FramePredictor(CONFIG)(torch.zeros(1, 2, 3, 8, 8)), "wanted (B, T, 2, 8, 8), got (1, 2, 3, 8, 8)"),
        (lambda: FramePredictor(CONFIG)(torch.zeros(2, 2, 8, 8)), "wanted (B, T, C, H, W), got (2, 2, 8, 8)"),
        (
            lambda: FramePredictor(replace(CONFIG, trunk="Transformer")).step(torch.zeros(1, 2, 8, 8)),
            "step: wanted a recurrent trunk, got Transformer",
        ),
        (lambda: DirectPredictor(DIRECT)(torch.zeros(1, 4, 2, 8, 8)), "wanted 3 frames, got (1, 4, 2, 8, 8)"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the words are compared below)
        call()
    assert words in str(error.value)
