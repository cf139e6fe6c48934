"""Spectral norm: by hand it is what the SVD says, and what PyTorch's own layer does."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from course.layers.spectral import SpectralNorm, power_iteration, spectral_norm

LAYERS = {
    "linear": lambda: nn.Linear(7, 5),
    "convolution": lambda: nn.Conv2d(3, 6, 3),
}


def largest(weight):
    return torch.linalg.svdvals(weight.detach().flatten(1))[0].item()


def iterate(layer, num_uses=200):
    for _ in range(num_uses):
        _ = layer.weight
    return layer


def test_power_iteration_by_hand():
    """diag(3, 1) from (1, 1): one step multiplies the first by 9 and the second by 1."""
    u, v = power_iteration(torch.diag(torch.tensor([3.0, 1.0])), torch.tensor([1.0, 1.0]))
    assert torch.allclose(v, torch.tensor([3.0, 1.0]) / 10**0.5)
    assert torch.allclose(u, torch.tensor([9.0, 1.0]) / 82**0.5)


def test_power_iteration_finds_the_largest_singular_value_and_its_vectors():
    torch.manual_seed(0)
    matrix = torch.randn(6, 9)
    u, v = power_iteration(matrix, torch.randn(6), num_steps=200)
    left, values, right = torch.linalg.svd(matrix)
    assert (u @ matrix @ v).item() == pytest.approx(values[0].item(), rel=1e-5)
    assert abs(u @ left[:, 0]).item() == pytest.approx(1, abs=1e-5)
    assert abs(v @ right[0]).item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_a_normalised_layer_has_a_largest_singular_value_of_one(make):
    torch.manual_seed(1)
    layer = make()
    before = layer.weight.detach().clone()
    iterate(spectral_norm(layer))
    assert torch.allclose(layer.weight, before / largest(before), rtol=1e-4)
    assert largest(layer.weight) == pytest.approx(1, rel=1e-4)
    frobenius = before / torch.linalg.vector_norm(before)
    assert not torch.allclose(layer.weight, frobenius, rtol=0.1)


def test_it_follows_a_weight_that_moves_one_step_at_a_time():
    """Were u never moved, the norm of a weight that has turned would be far too small."""
    layer = nn.Linear(4, 4, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.diag(torch.tensor([2.0, 1.0, 0.5, 0.1])))
    iterate(spectral_norm(layer))
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(torch.diag(torch.tensor([0.1, 0.5, 1.0, 4.0])) + 0.05)
    first = largest(layer.weight)
    assert first > 1.5
    assert largest(iterate(layer).weight) == pytest.approx(1, rel=1e-4)


def test_evaluation_takes_no_step():
    torch.manual_seed(0)
    layer = spectral_norm(nn.Linear(5, 5)).eval()
    u = layer.parametrizations.weight[0].u.clone()
    iterate(layer, 5)
    assert torch.equal(layer.parametrizations.weight[0].u, u)
    layer.train()
    iterate(layer, 1)
    assert not torch.equal(layer.parametrizations.weight[0].u, u)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_it_equals_pytorchs_own_in_value_and_gradient(make):
    torch.manual_seed(2)
    ours = make()
    theirs = copy.deepcopy(ours)
    ours, theirs = spectral_norm(ours), parametrizations.spectral_norm(theirs)
    iterate(ours)  # the two take the halves of a step in different orders: what they settle at is the same
    theirs.parametrizations.weight[0]._u.copy_(ours.parametrizations.weight[0].u)
    theirs.parametrizations.weight[0]._v.copy_(ours.parametrizations.weight[0].v)
    x = torch.randn(2, 7) if isinstance(ours, nn.Linear) else torch.randn(2, 3, 5, 5)
    for _ in range(3):
        one, other = ours(x), theirs(x)
        assert torch.allclose(one, other, atol=1e-6)
    for layer, y in ((ours, one), (theirs, other)):
        y.square().sum().backward()
        assert layer.parametrizations.weight.original.grad.abs().max() > 0
    grads = [layer.parametrizations.weight.original.grad for layer in (ours, theirs)]
    assert torch.allclose(*grads, atol=1e-5)


def test_two_uses_before_one_backward_pass():
    layer = spectral_norm(nn.Linear(3, 3))
    (layer(torch.randn(2, 3)).sum() + layer(torch.randn(2, 3)).sum()).backward()
    assert layer.parametrizations.weight.original.grad.isfinite().all()


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"got \(3,\)"):
        SpectralNorm(torch.randn(3))
    with pytest.raises(ValueError, match=r"got \(3, 4\) and \(4,\)"):
        power_iteration(torch.randn(3, 4), torch.randn(4))
    with pytest.raises(ValueError, match="num_steps"):
        power_iteration(torch.randn(3, 4), torch.randn(3), num_steps=0)
