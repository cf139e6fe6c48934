import pytest
import torch
from torch.nn import functional as F

from course.models.conv_lstm import ConvLSTMConfig, ConvLSTMPredictor
from course.recipes.prediction import prediction_model

TINY = ConvLSTMConfig(hidden_channels=(3, 2), kernel_size=3)


@pytest.fixture(name="model")
def fixture_model():
    torch.manual_seed(0)
    return ConvLSTMPredictor(TINY)


def test_one_step_is_encoder_copied_states_and_a_readout_of_all_cells(model):
    """Two cells, two given frames, one predicted: written out by hand."""
    context = torch.rand(2, 2, 1, 8, 8)
    first, second = F.pixel_unshuffle(context, 4).unbind(dim=1)
    low = model.encoder[0](first)
    high = model.encoder[1](low[0])
    low = model.encoder[0](second, low)
    high = model.encoder[1](low[0], high)
    low = model.forecaster[0](second, low)
    high = model.forecaster[1](low[0], high)
    frame = F.pixel_shuffle(model.readout(torch.cat([low[0], high[0]], dim=1)), 4)
    assert torch.allclose(model(context, 1)[:, 0], frame, atol=1e-6)


def test_the_closed_loop_feeds_what_was_predicted(model):
    context = torch.rand(2, 4, 1, 8, 8)
    closed = model(context, 5)
    assert closed.shape == (2, 5, 1, 8, 8)
    assert torch.allclose(model(context, 5, truth=closed), closed, atol=1e-6)
    assert torch.equal(model(context, 2), closed[:, :2])


def test_teacher_forcing_sees_the_truth_before_each_frame_and_never_the_frame_itself(model):
    context, truth = torch.rand(1, 3, 1, 8, 8), torch.rand(1, 4, 1, 8, 8)
    forced = model(context, 4, truth=truth)
    other = truth.clone()
    other[:, 1] = 1 - other[:, 1]
    changed = (model(context, 4, truth=other) != forced).flatten(2).any(dim=-1)[0]
    assert changed.tolist() == [False, False, True, True]


def test_the_number_of_parameters_by_hand():
    """Folded frames have 16 channels; a cell has 4 gates of 3x3 kernels over its input and its own state."""
    cells = [(16 + 3) * 9 * 12 + 12, (3 + 2) * 9 * 8 + 8]
    readout = 5 * 16 + 16
    assert sum(parameter.numel() for parameter in ConvLSTMPredictor(TINY).parameters()) == 2 * sum(cells) + readout


def test_a_still_clip_is_learned(model):
    torch.manual_seed(1)
    clips = torch.rand(4, 1, 1, 8, 8).expand(4, 5, 1, 8, 8)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        loss = F.mse_loss(model(clips[:, :3], 2), clips[:, 3:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.35 * losses[0]
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_a_config_from_json_is_the_same_config():
    assert ConvLSTMConfig(hidden_channels=[3, 2], kernel_size=3) == TINY


@pytest.mark.parametrize(
    ("context", "horizon", "words"),
    [
        (torch.rand(2, 3, 1, 8), 1, r"context: wanted \(B, T, C, H, W\)"),
        (torch.rand(2, 3, 1, 8, 10), 1, r"multiples of 4.*got \(2, 3, 1, 8, 10\) and 1"),
        (torch.rand(2, 3, 3, 8, 8), 1, r"wanted a context \(B, T, 1, H, W\)"),
        (torch.rand(2, 0, 1, 8, 8), 1, r"got \(2, 0, 1, 8, 8\)"),
        (torch.rand(2, 3, 1, 8, 8), 0, "a horizon of at least 1, got"),
    ],
)
def test_what_does_not_fit_is_refused(model, context, horizon, words):
    with pytest.raises(ValueError, match=words):
        model(context, horizon)


def test_a_truth_of_another_length_is_refused(model):
    with pytest.raises(ValueError, match=r"truth: wanted \(1, 3, 1, 8, 8\), got \(1, 2, 1, 8, 8\)"):
        model(torch.rand(1, 2, 1, 8, 8), 3, truth=torch.rand(1, 2, 1, 8, 8))


@pytest.mark.parametrize("wrong", [{"hidden_channels": ()}, {"hidden_channels": (4, 0)}, {"patch_size": 0}])
def test_a_config_without_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="wanted at least one channel"):
        ConvLSTMConfig(**wrong)


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_the_sizes_of_the_comparison(size):
    model = prediction_model(f"ConvLSTM {size}")
    assert isinstance(model, ConvLSTMPredictor)
    assert model(torch.rand(1, 10, 1, 64, 64), 10).shape == (1, 10, 1, 64, 64)
