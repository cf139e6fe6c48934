import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from course.layers.convolution import receptive_field
from course.models.conv3d import KERNELS, VideoCNN, VideoCNNConfig, num_parameters, with_parameters


@pytest.fixture(params=KERNELS, name="kind")
def fixture_kind(request):
    torch.manual_seed(0)
    return request.param


@pytest.mark.parametrize("shape", [(2, 8, 3, 16, 16), (1, 1, 3, 4, 4), (3, 5, 3, 13, 9), (1, 30, 3, 1, 2)])
def test_any_clip_size_goes_in(kind, shape):
    assert VideoCNN(VideoCNNConfig(kind=kind, channels=4, output_size=5))(torch.rand(shape)).shape == (shape[0], 5)


def test_the_frame_network_cannot_tell_the_order_and_the_others_can(kind):
    model = VideoCNN(VideoCNNConfig(kind=kind, channels=4)).double()
    clips = torch.rand(3, 6, 3, 8, 8, dtype=torch.float64)
    for order in (torch.arange(5, -1, -1), torch.tensor([3, 0, 5, 1, 4, 2])):
        difference = (model(clips[:, order]) - model(clips)).abs().max()
        assert difference < 1e-12 if kind == "2d" else difference > 1e-6


def test_it_sees_as_many_frames_as_computed(kind):
    for causal in (False, True):
        model = VideoCNN(VideoCNNConfig(kind=kind, channels=8, num_layers=2, causal=causal))
        field = receptive_field([KERNELS[kind][0]] * 2)
        clips = torch.rand(2, 11, 3, 8, 8, requires_grad=True)
        (gradient,) = torch.autograd.grad(model.features(clips)[0, 5].sum(), clips)
        first = 5 - (field - 1) // (1 if causal else 2)
        seen = gradient[0].abs().sum(dim=(1, 2, 3)).nonzero().flatten()
        assert seen.tolist() == list(range(first, first + field))
        assert gradient[1].abs().sum() == 0


def test_it_sees_rows_and_columns_as_computed(kind):
    model = VideoCNN(VideoCNNConfig(kind=kind, channels=8))
    clips = torch.rand(1, 3, 3, 40, 40, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.features(clips)[0, 1, :, 5, 5].sum(), clips)
    for axis in (3, 2):
        seen = gradient[0].abs().sum(dim=(0, 1, axis)).nonzero()
        assert seen[-1] - seen[0] + 1 == receptive_field([3, 3, 3], [1, 2, 2]) == 9


def test_the_number_of_parameters_is_counted(kind):
    config = VideoCNNConfig(kind=kind, channels=7, in_channels=1, output_size=3)
    assert num_parameters(config) == sum(parameter.numel() for parameter in VideoCNN(config).parameters())


def test_a_frame_network_s_parameters_by_hand():
    first, second, head = 3 * 9 * 4 + 4, 4 * 9 * 4 + 4, 4 * 2 + 2
    assert num_parameters(VideoCNNConfig(kind="2d", channels=4, num_layers=2)) == first + second + head


@pytest.mark.parametrize("number", [3000, 12000, 50000])
def test_kinds_of_equal_size_come_as_near_as_one_channel_allows(kind, number):
    config = with_parameters(VideoCNNConfig(kind=kind, output_size=4), number)
    distance = abs(num_parameters(config) - number)
    assert distance / number < 1 / config.channels
    for channels in (config.channels - 1, config.channels + 1):
        assert abs(num_parameters(replace(config, channels=channels)) - number) >= distance
    assert (config.kind, config.output_size) == (kind, 4)


def test_a_number_too_small_gives_one_channel():
    assert with_parameters(VideoCNNConfig(), 1).channels == 1


def test_every_parameter_gets_a_gradient_and_direction_is_learned(kind):
    """A bright column that moves to the right, or the same clip backwards: only time tells them apart."""
    model = VideoCNN(VideoCNNConfig(kind=kind, channels=8, num_layers=2, in_channels=1))
    before = copy.deepcopy(list(model.parameters()))
    forwards = torch.stack([torch.eye(10)[i : i + 5, None, None].expand(5, 1, 6, 10) for i in range(6)])
    clips = torch.cat([forwards, forwards.flip(1)])
    labels = torch.arange(2).repeat_interleave(6)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(clips), labels)
        optimiser.zero_grad()
        loss.backward()
        assert losses or all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert all((now - then).abs().max() > 0 for now, then in zip(model.parameters(), before, strict=True))
    right = (model(clips).argmax(dim=1) == labels).float().mean()
    if kind == "2d":
        assert losses[-1] == pytest.approx(0.693, abs=0.01)
    else:
        assert losses[-1] < 0.1 * losses[0]
        assert right == 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: VideoCNNConfig(kind="4d"), "wanted one of 2d, 3d, 2plus1d, got '4d'"),
        (lambda: VideoCNNConfig(channels=0), "channels: wanted a whole number of at least 1, got 0"),
        (lambda: VideoCNNConfig(num_layers=1.5), "num_layers"),
        (lambda: VideoCNN(VideoCNNConfig())(torch.rand(2, 3, 8, 8)), "wanted (B, T, C, H, W), got (2, 3, 8, 8)"),
        (lambda: VideoCNN(VideoCNNConfig())(torch.rand(1, 3, 8, 9, 9)), "(B, T, 3, H, W), got (1, 3, 8, 9, 9)"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the words are compared below)
        call()
    assert words in str(error.value)
