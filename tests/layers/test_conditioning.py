import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course.layers.conditioning import (
    AdaptiveGroupNorm,
    ContextAttention,
    NullContext,
    concatenate,
    film,
    over_frames,
)

B, T, C, H, W, D = 3, 3, 8, 4, 5, 6  # B equals T on purpose: a context spread over the wrong one keeps all shapes


@pytest.fixture(name="x")
def fixture_x():
    torch.manual_seed(0)
    return torch.randn(B, T, C, H, W)


def stirred(module):
    """Give every parameter a value, also those that start at zero."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
    return module


def test_each_frame_of_a_clip_gets_its_own_clip_s_context_also_where_b_equals_t():
    context = torch.tensor([[10.0], [20.0], [30.0]])
    spread = over_frames(context, torch.zeros(3, 3, 1, 2, 2))
    assert spread.shape == (3, 3, 1, 2, 2)
    for clip in range(3):
        assert (spread[clip] == 10.0 * (clip + 1)).all()


def test_concatenated_numbers_come_after_the_channels(x):
    context = torch.randn(B, D)
    result = concatenate(x, context)
    assert result.shape == (B, T, C + D, H, W)
    assert torch.equal(result[:, :, :C], x)
    for clip in range(B):
        assert (result[clip, :, C:] == context[clip, :, None, None]).all()


def test_film_by_hand():
    """Two clips of two frames, two channels, one pixel."""
    x = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 4.0]]])[..., None, None]
    scale = torch.tensor([[0.0, 1.0], [-1.0, 0.5]])
    shift = torch.tensor([[0.0, 0.0], [7.0, -1.0]])
    wanted = torch.tensor([[[1.0, 4.0], [3.0, 8.0]], [[7.0, 2.0], [7.0, 5.0]]])
    assert torch.equal(film(x, scale, shift)[..., 0, 0], wanted)


def test_an_untrained_adaptive_norm_is_pytorch_s_group_norm_whatever_the_context(x):
    theirs = nn.GroupNorm(4, C)
    wanted = theirs(x.flatten(0, 1)).view_as(x)
    assert torch.allclose(AdaptiveGroupNorm(4, C, D)(x, torch.randn(B, D)), wanted, atol=1e-6)


def test_the_context_sets_scale_and_shift_of_the_normalised_channels(x):
    layer, context = stirred(AdaptiveGroupNorm(4, C, D)), torch.randn(B, D)
    told = F.linear(context, layer.from_context.weight, layer.from_context.bias)
    result = layer(x, context)
    for clip in range(B):
        theirs = nn.GroupNorm(4, C)
        with torch.no_grad():
            theirs.weight.copy_(1 + told[clip, :C])
            theirs.bias.copy_(told[clip, C:])
        assert torch.allclose(result[clip], theirs(x[clip]), atol=1e-5)


def test_frames_are_normalised_one_by_one(x):
    """Or the first frame would know the brightness of the last."""
    layer = AdaptiveGroupNorm(4, C, D)
    later = x.clone()
    later[:, 1:] *= 5
    context = torch.randn(B, D)
    assert torch.equal(layer(x, context)[:, 0], layer(later, context)[:, 0])


def test_attention_by_hand():
    """One head, identity weights: the place whose features point at a vector takes that vector."""
    layer = ContextAttention(2, 2, 1)
    with torch.no_grad():
        layer.from_context.weight.copy_(torch.eye(2))
        layer.from_context.bias.zero_()
        layer.attention.project_in.weight.copy_(torch.eye(2).repeat(3, 1))
        layer.attention.project_in.bias.zero_()
        layer.attention.project_out.weight.copy_(torch.eye(2))
    x = torch.tensor([[40.0, 0.0], [0.0, 40.0], [0.0, 0.0]]).T.view(1, 1, 2, 1, 3)
    context = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    taken = layer(x, context)[0, 0, :, 0].T  # (3 places, 2)
    assert torch.allclose(taken, torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]), atol=1e-5)


def test_attention_equals_pytorch_s(x):
    layer, context = stirred(ContextAttention(C, D, 2)), torch.randn(B, 7, D)
    theirs = nn.MultiheadAttention(C, 2, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(layer.attention.project_in.weight)
        theirs.in_proj_bias.copy_(layer.attention.project_in.bias)
        theirs.out_proj.weight.copy_(layer.attention.project_out.weight)
        theirs.out_proj.bias.copy_(layer.attention.project_out.bias)
    seen = layer.from_context(context)
    result = layer(x, context)
    for t in range(T):
        places = x[:, t].flatten(2).mT  # (B, H * W, C)
        wanted, _ = theirs(places, seen, seen)
        assert torch.allclose(result[:, t].flatten(2).mT, wanted, atol=1e-5)


def test_attention_starts_at_zero_and_forgets_the_order_of_the_context(x):
    layer, context = ContextAttention(C, D, 2), torch.randn(B, 7, D)
    assert layer(x, context).abs().max() == 0
    stirred(layer)
    assert torch.allclose(layer(x, context), layer(x, context.flip(1)), atol=1e-5)


WAYS = {
    "concatenation": lambda x, context: concatenate(x, context[:, 0]),
    "adaptive norm": lambda x, context: LAYERS["norm"](x, context[:, 0]),
    "attention": lambda x, context: LAYERS["attention"](x, context),
}
with torch.random.fork_rng():
    torch.manual_seed(1)
    LAYERS = {"norm": stirred(AdaptiveGroupNorm(4, C, D)), "attention": stirred(ContextAttention(C, D, 2))}


@pytest.mark.parametrize("way", WAYS)
def test_a_context_reaches_all_frames_of_its_clip_and_none_of_another(way, x):
    context = torch.randn(B, 2, D, requires_grad=True)
    result = WAYS[way](x, context)
    for clip in range(B):
        for t in range(T):
            (gradient,) = torch.autograd.grad(result[clip, t].square().sum(), context, retain_graph=True)
            reached = gradient[:, 0].abs().amax(dim=1) > 0
            assert reached.tolist() == [other == clip for other in range(B)]


def test_the_null_context_stands_in_where_none_is_given():
    null = NullContext(D)
    context = torch.randn(3, 2, D)
    result = null(context, torch.tensor([True, False, True]))
    assert torch.equal(result[[0, 2]], context[[0, 2]])
    assert torch.equal(result[1], null.vector.expand(2, D))


def test_the_null_context_learns_from_the_clips_without_one_and_the_others_from_theirs():
    null = NullContext(D)
    context = torch.randn(3, 2, D, requires_grad=True)
    null(context, torch.tensor([True, False, True])).sum().backward()
    assert torch.equal(null.vector.grad, torch.full((D,), 2.0))  # one clip, two vectors
    assert context.grad[1].abs().max() == 0
    assert context.grad[[0, 2]].min() == 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: concatenate(torch.zeros(3, 2, 1, 4, 4), torch.zeros(2, 5)), r"for each of 3 clips, got \(2, 5\)"),
        (lambda: concatenate(torch.zeros(3, 2, 4, 4), torch.zeros(3, 5)), r"x: wanted \(B, T, C, H, W\)"),
        (lambda: concatenate(torch.zeros(3, 2, 1, 4, 4), torch.zeros(3, 2, 5)), r"context: wanted \(B, D\)"),
        (
            lambda: film(torch.zeros(3, 2, 1, 4, 4), torch.zeros(3, 1), torch.zeros(3, 2)),
            r"shift: wanted \(B, C\) = \(3, 1\), got \(3, 2\)",
        ),
        (
            lambda: ContextAttention(4, 5, 2)(torch.zeros(3, 2, 4, 4, 4), torch.zeros(2, 7, 5)),
            r"for each of 3 clips, got \(2, 7, 5\)",
        ),
        (lambda: NullContext(5)(torch.zeros(3, 2, 5), torch.ones(3)), r"given: wanted True or False for each of 3"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
