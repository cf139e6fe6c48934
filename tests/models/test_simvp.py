import math

import pytest
import torch
from torch.nn import functional as F

from course.models.simvp import GatedAttention, GatedBlock, SimVP, SimVPConfig
from course.recipes.prediction import prediction_model

TINY = SimVPConfig(num_frames=3, patch_size=2, spatial_channels=4, temporal_channels=6, num_blocks=2)


@pytest.fixture(name="model")
def fixture_model():
    torch.manual_seed(0)
    return SimVP(TINY)


def test_the_gate_by_hand():
    """One channel, one place: near and far keep a 2 by their middle taps, the value is 3 * 2 + 1, the gate 0.5 * 2."""
    attention = GatedAttention(1)
    for layer in (attention.near, attention.far):
        torch.nn.init.zeros_(layer.bias)
        torch.nn.init.zeros_(layer.weight)
        middle = layer.kernel_size[0] // 2
        layer.weight.data[0, 0, middle, middle] = 1
    attention.mix.weight.data = torch.tensor([3.0, 0.5]).reshape(2, 1, 1, 1)
    attention.mix.bias.data = torch.tensor([1.0, 0.0])
    result = attention(torch.full((1, 1, 1, 1), 2.0))
    assert result.item() == pytest.approx(7 / (1 + math.exp(-1)))


@pytest.mark.parametrize("shape", [(2, 3, 16, 16), (1, 3, 18, 12), (2, 3, 7, 5), (1, 3, 1, 2)])
def test_the_far_convolution_is_pytorch_s_dilated_one(shape):
    torch.manual_seed(0)
    attention = GatedAttention(3).double()
    x = torch.randn(shape, dtype=torch.float64)
    near = F.conv2d(x, attention.near.weight, attention.near.bias, padding=2, groups=3)
    far = F.conv2d(near, attention.far.weight, attention.far.bias, padding=9, dilation=3, groups=3)
    values, gates = F.conv2d(far, attention.mix.weight, attention.mix.bias).chunk(2, dim=1)
    assert torch.allclose(attention(x), values * torch.sigmoid(gates), atol=1e-12)


def test_a_place_is_seen_from_11_places_away_and_no_further():
    torch.manual_seed(0)
    x = torch.rand(1, 2, 31, 31, requires_grad=True)
    (gradient,) = torch.autograd.grad(GatedAttention(2)(x)[0, :, 15, 15].sum(), x)
    seen = gradient[0].abs().sum(dim=0)
    for axis in (0, 1):
        assert seen.sum(dim=axis).nonzero().flatten().tolist() == list(range(15 - 11, 15 + 12))


def test_a_block_adds_to_what_it_gets():
    block = GatedBlock(4, 2)
    for layers in (block.attend, block.mlp):
        torch.nn.init.zeros_(layers[-1].weight)
        torch.nn.init.zeros_(layers[-1].bias)
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("patch_size", [1, 2, 4])
def test_the_clips_keep_their_form(patch_size):
    model = SimVP(SimVPConfig(num_frames=3, num_channels=3, patch_size=patch_size, spatial_channels=4, num_blocks=1))
    assert model(torch.rand(2, 3, 3, 16, 12), 3).shape == (2, 3, 3, 16, 12)


def test_a_long_horizon_goes_on_from_what_was_predicted(model):
    context = torch.rand(1, 3, 1, 8, 8)
    first = model(context, 3)
    assert torch.equal(model(context, 2), first[:, :2])
    assert torch.equal(model(context, 7), torch.cat([first, model(first, 3), model(model(first, 3), 1)], dim=1))


def test_the_skip_connection_takes_frame_t_of_the_context_to_frame_t_of_the_prediction(model):
    torch.nn.init.zeros_(model.translator[-1].weight)  # nothing else gets through
    context = torch.rand(1, 3, 1, 8, 8)
    other = context.clone()
    other[:, 1] = 1 - other[:, 1]
    changed = (model(context, 3) != model(other, 3)).flatten(2).any(dim=-1)[0]
    assert changed.tolist() == [False, True, False]


def test_every_given_frame_reaches_every_predicted_one(model):
    context = torch.rand(1, 3, 1, 8, 8, requires_grad=True)
    for frame in model(context, 3)[0]:
        (gradient,) = torch.autograd.grad(frame.square().sum(), context, retain_graph=True)
        assert (gradient.abs().sum(dim=(0, 2, 3, 4)) > 0).all()


def test_the_number_of_parameters_by_hand():
    """Spatial channels 4, temporal 6, 3 frames, expansion 4, patches of 2: 4 channels to begin with."""
    norm = 2 * 4
    five, up = 5 * (4 * 9 * 4 + 4), 4 * 9 * 16 + 16
    ends = (12 * 6 + 6) + (6 * 12 + 12) + (4 * 4 + 4)
    attend = 2 * 6 + 2 * (6 * 6 + 6) + (6 * 25 + 6) + (6 * 49 + 6) + (6 * 12 + 12)
    mlp = 2 * 6 + (6 * 24 + 24) + (24 * 9 + 24) + (24 * 6 + 6)
    by_hand = five + up + 6 * norm + ends + 2 * (attend + mlp)
    assert sum(parameter.numel() for parameter in SimVP(TINY).parameters()) == by_hand


def test_a_still_clip_is_learned(model):
    torch.manual_seed(1)
    clips = torch.rand(4, 1, 1, 8, 8).expand(4, 6, 1, 8, 8)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(40):
        loss = F.mse_loss(model(clips[:, :3], 3), clips[:, 3:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.35 * losses[0]
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


@pytest.mark.parametrize(
    ("context", "horizon", "words"),
    [
        (torch.rand(2, 3, 1, 8), 1, r"context: wanted \(B, T, C, H, W\)"),
        (torch.rand(2, 3, 1, 8, 10), 1, r"multiples of 4.*got \(2, 3, 1, 8, 10\) and 1"),
        (torch.rand(2, 4, 1, 8, 8), 1, r"wanted a context \(B, 3, 1, H, W\)"),
        (torch.rand(2, 3, 1, 8, 8), 0, "a horizon of at least 1, got"),
    ],
)
def test_what_does_not_fit_is_refused(model, context, horizon, words):
    with pytest.raises(ValueError, match=words):
        model(context, horizon)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"num_blocks": 0}, "at least 1"),
        ({"spatial_channels": 5}, "even spatial_channels"),
        ({"patch_size": 3}, "patch_size: wanted 1, 2 or 4, got 3"),
    ],
)
def test_a_config_without_sense_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        SimVPConfig(**wrong)


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_the_sizes_of_the_comparison(size):
    model = prediction_model(f"SimVP {size}")
    assert isinstance(model, SimVP)
    assert model(torch.rand(1, 10, 1, 64, 64), 10).shape == (1, 10, 1, 64, 64)
