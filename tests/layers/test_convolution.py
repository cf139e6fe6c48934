import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from course.layers.convolution import Conv2Plus1d, Conv3d, channels_between, conv3d, receptive_field

triples = st.tuples(*[st.integers(1, 3)] * 3)
paddings = st.one_of(st.integers(0, 2), st.tuples(*[st.integers(0, 2)] * 3))
strides = st.one_of(st.integers(1, 3), triples)
sizes = st.tuples(st.integers(1, 2), st.integers(1, 3), *[st.integers(3, 6)] * 3)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(sizes, st.integers(1, 3), triples, strides, paddings, st.booleans())
def test_values_and_gradients_equal_pytorch_s(size, out, kernel, stride, padding, with_bias):
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(size, generator=chance, dtype=torch.float64)
    weight = torch.randn(out, size[1], *kernel, generator=chance, dtype=torch.float64)
    tensors = [x, weight] + [torch.randn(out, generator=chance, dtype=torch.float64)] * with_bias
    results = []
    for function in (F.conv3d, conv3d):
        given_ones = [tensor.clone().requires_grad_() for tensor in tensors]
        result = function(*given_ones, stride=stride, padding=padding)
        slope = torch.linspace(-1, 2, result.numel(), dtype=torch.float64).view_as(result)
        results.append([result, *torch.autograd.grad((result * slope).sum(), given_ones)])
    for theirs, ours in zip(*results, strict=True):
        assert theirs.shape == ours.shape
        assert torch.allclose(theirs, ours, atol=1e-9)


@pytest.mark.parametrize("stride", [1, 2, (1, 2, 2), (2, 1, 1)])
@pytest.mark.parametrize("kernel", [1, 3, (3, 1, 1), (1, 3, 5)])
def test_the_layer_equals_pytorch_s_with_its_weights(kernel, stride):
    triple = kernel if isinstance(kernel, tuple) else (kernel,) * 3
    theirs = nn.Conv3d(3, 4, kernel, stride=stride, padding=[size // 2 for size in triple])
    ours = Conv3d(3, 4, kernel, stride=stride)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 5, 7, 6)
    assert torch.allclose(ours(x), theirs(x), atol=1e-5)
    step = stride if isinstance(stride, tuple) else (stride,) * 3
    assert ours(x).shape[2:] == tuple(-(-size // s) for size, s in zip((5, 7, 6), step, strict=True))


def test_the_layer_starts_as_pytorch_s_does():
    torch.manual_seed(0)
    ours, theirs = Conv3d(8, 64, 3), nn.Conv3d(8, 64, 3)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.shape == other.shape
        assert mine.abs().max().item() == pytest.approx(other.abs().max().item(), rel=0.1)
    assert ours.weight.std().item() == pytest.approx(theirs.weight.std().item(), rel=0.05)


def reach(layer, x, frame):
    """Return the input frames on which one output frame of the middle clip depends."""
    (gradient,) = torch.autograd.grad(layer(x)[1, :, frame].square().sum(), x)
    assert gradient[0].abs().sum() == gradient[2].abs().sum() == 0, "one clip sees another"
    return gradient[1].abs().sum(dim=(0, 2, 3)).nonzero().flatten().tolist()


@pytest.mark.parametrize("make", [Conv3d, Conv2Plus1d])
def test_causal_sees_no_later_frame_and_symmetric_sees_one(make):
    torch.manual_seed(0)
    x = torch.rand(3, 2, 6, 5, 5, requires_grad=True)
    causal, symmetric = make(2, 8, 3, causal=True), make(2, 8, 3)
    for t in range(6):
        assert reach(causal, x, t) == list(range(max(0, t - 2), t + 1))
        assert reach(symmetric, x, t) == list(range(max(0, t - 1), min(6, t + 2)))


def test_a_causal_kernel_may_be_even_in_time():
    layer = Conv3d(1, 1, (2, 3, 3), causal=True)
    x = torch.rand(3, 1, 4, 5, 5, requires_grad=True)
    assert layer(x).shape == x.shape
    assert reach(layer, x, 2) == [1, 2]


def test_a_causal_layer_gives_the_same_for_the_beginning_as_for_the_whole():
    layer = Conv2Plus1d(2, 4, 3, causal=True)
    x = torch.rand(1, 2, 7, 5, 5)
    assert torch.allclose(layer(x)[:, :, :4], layer(x[:, :, :4]), atol=1e-6)


@pytest.mark.parametrize(("channels", "between"), [((64, 64), 144), ((3, 64), 23), ((1, 1), 2), ((16, 32), 57)])
def test_channels_between_by_hand(channels, between):
    assert channels_between(*channels, 3) == between


@pytest.mark.parametrize("channels", [(3, 16), (16, 16), (32, 64)])
def test_two_plus_one_has_the_weights_of_the_whole_kernel(channels):
    whole = Conv3d(*channels, 3).weight.numel()
    layer = Conv2Plus1d(*channels, 3)
    apart = layer.space.weight.numel() + layer.time.weight.numel()
    assert 0 <= whole - apart < channels[0] * 9 + channels[1] * 3  # less than one channel's worth


def test_two_plus_one_is_a_nonlinearity_between_two_convolutions():
    layer = Conv2Plus1d(2, 3, 3, stride=2)
    x = torch.randn(2, 2, 5, 6, 6)
    mid = F.conv3d(x, layer.space.weight, layer.space.bias, stride=(1, 2, 2), padding=(0, 1, 1)).relu()
    wanted = F.conv3d(mid, layer.time.weight, layer.time.bias, stride=(2, 1, 1), padding=(1, 0, 0))
    assert torch.allclose(layer(x), wanted, atol=1e-6)


@pytest.mark.parametrize("make", [Conv3d, Conv2Plus1d])
def test_every_parameter_gets_a_gradient_and_learning_happens(make):
    """Learn to give each frame's difference from the one before."""
    torch.manual_seed(0)
    layer = make(2, 2, 3)
    before = copy.deepcopy(list(layer.parameters()))
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.02)
    x = torch.rand(8, 2, 6, 6, 6)
    target = x - F.pad(x, (0, 0, 0, 0, 1, 0))[:, :, :-1]
    losses = []
    for _ in range(150):
        loss = (layer(x) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in layer.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    assert all((now - then).abs().max() > 0 for now, then in zip(layer.parameters(), before, strict=True))


@pytest.mark.parametrize(
    ("layers", "field"),
    [
        (([],), 1),
        (([3],), 3),
        (([3, 3, 3],), 7),
        (([3, 3], [2, 1]), 7),
        (([3, 3], [1, 2]), 5),
        (([2, 2, 2], None, [1, 2, 4]), 8),
        (([5, 1, 3], [2, 3, 1], [1, 1, 2]), 29),
    ],
)
def test_receptive_field_by_hand(layers, field):
    assert receptive_field(*layers) == field


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)), min_size=1, max_size=3))
def test_the_receptive_field_is_what_the_gradient_reaches(layers):
    """PyTorch's own layers, whose weights are all ones, since a weight of 0 would hide an input."""
    x = torch.ones(1, 1, 60, dtype=torch.float64, requires_grad=True)
    y = x
    for kernel_size, stride, dilation in layers:
        y = F.conv1d(y, torch.ones(1, 1, kernel_size, dtype=torch.float64), stride=stride, dilation=dilation)
    (gradient,) = torch.autograd.grad(y[0, 0, y.shape[-1] // 2], x)
    touched = gradient[0, 0].nonzero().flatten()
    assert touched[-1] - touched[0] + 1 == receptive_field(*zip(*layers, strict=True))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: conv3d(x[0], torch.zeros(1, 2, 3, 3, 3)), "wanted x (B, C, T, H, W)"),
        (lambda x: conv3d(x, torch.zeros(1, 3, 3, 3, 3)), "got (1, 2, 4, 5, 6) and (1, 3, 3, 3, 3)"),
        (lambda x: conv3d(x, torch.zeros(1, 2, 7, 3, 3), padding=1), "(7, 3, 3) does not fit into (6, 7, 8)"),
        (lambda x: conv3d(x, torch.zeros(1, 2, 1, 1, 1), stride=0), "stride: wanted a whole number of at least 1"),
        (lambda x: conv3d(x, torch.zeros(1, 2, 1, 1, 1), padding=(1, 1)), "or three (T, H, W), got (1, 1)"),
        (lambda x: Conv3d(2, 3, 2), "wanted odd numbers (in time any, if causal), got (2, 2, 2)"),
        (lambda x: Conv3d(2, 3, (2, 3, 4), causal=True), "got (2, 3, 4)"),
        (lambda x: Conv3d(3, 3, 3)(x), "wanted (B, 3, T, H, W), got (1, 2, 4, 5, 6)"),
        (lambda x: Conv2Plus1d(3, 3, 3)(x), "wanted (B, 3, T, H, W), got (1, 2, 4, 5, 6)"),
        (lambda x: receptive_field([3, 3], [1]), "for each layer, got [3, 3], [1]"),
        (lambda x: receptive_field([3, 0]), "at least 1 for each layer, got [3, 0]"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the words are compared below)
        call(torch.zeros(1, 2, 4, 5, 6))
    assert words in str(error.value)
