import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course.layers.attention import (
    MLP,
    FactorisedBlock,
    MultiHeadAttention,
    TransformerBlock,
    attention,
    attention_weights,
)

B, N, SIZE, HEADS = 3, 6, 8, 2


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def copied(causal=False):
    """Return PyTorch's layer, and ours with its weights."""
    theirs = nn.MultiheadAttention(SIZE, HEADS, batch_first=True)
    nn.init.normal_(theirs.in_proj_bias)  # PyTorch begins with zeros, which would hide a bias left out
    nn.init.normal_(theirs.out_proj.bias)
    ours = MultiHeadAttention(SIZE, HEADS, causal=causal)
    with torch.no_grad():
        ours.project_in.weight.copy_(theirs.in_proj_weight)
        ours.project_in.bias.copy_(theirs.in_proj_bias)
        ours.project_out.weight.copy_(theirs.out_proj.weight)
        ours.project_out.bias.copy_(theirs.out_proj.bias)
    return theirs, ours


def gradients(output, *inputs):
    """Return the gradients of a sum in which every output counts differently."""
    weight = torch.linspace(-1, 1, output.numel()).view_as(output)
    return torch.autograd.grad((output * weight).sum(), inputs)


@pytest.mark.parametrize(("causal", "num_keys"), [(False, N), (False, 9), (True, N)])
def test_values_and_gradients_equal_pytorch_s_function(causal, num_keys):
    q = torch.randn(B, HEADS, N, 4, requires_grad=True)
    k = torch.randn(B, HEADS, num_keys, 4, requires_grad=True)
    v = torch.randn(B, HEADS, num_keys, 5, requires_grad=True)
    ours = attention(q, k, v, causal=causal)
    theirs = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    assert torch.allclose(ours, theirs, atol=1e-6)
    for one, other in zip(gradients(ours, q, k, v), gradients(theirs, q, k, v), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_three_frames_by_hand():
    """Q . k / sqrt(4) = 0, ln 3: weights 1/4 and 3/4."""
    q = torch.tensor([[2.0, 0, 0, 0], [0, 0, 0, 0]])
    k = torch.tensor([[0.0, 1, 0, 0], [torch.tensor(3.0).log(), 0, 0, 0]])
    weights = attention_weights(q, k)
    assert torch.allclose(weights, torch.tensor([[0.25, 0.75], [0.5, 0.5]]))
    v = torch.tensor([[0.0], [8.0]])
    assert torch.allclose(attention(q, k, v), torch.tensor([[6.0], [4.0]]))
    assert torch.allclose(attention_weights(q, k, causal=True), torch.tensor([[1.0, 0], [0.5, 0.5]]))


@pytest.mark.parametrize("causal", [False, True])
def test_self_attention_equals_pytorch_s_layer(causal):
    theirs, ours = copied(causal)
    x = torch.randn(B, N, SIZE, requires_grad=True)
    future = torch.ones(N, N, dtype=torch.bool).triu(1) if causal else None
    wanted, weights = theirs(x, x, x, attn_mask=future, average_attn_weights=False)
    got = ours(x)
    assert torch.allclose(got, wanted, atol=1e-6)
    assert torch.allclose(ours.weights(x), weights, atol=1e-6)
    pairs = [(ours.project_in.weight, theirs.in_proj_weight), (ours.project_in.bias, theirs.in_proj_bias)]
    pairs += [(ours.project_out.weight, theirs.out_proj.weight), (ours.project_out.bias, theirs.out_proj.bias)]
    mine = gradients(got, x, *(one for one, _ in pairs))
    pytorch = gradients(wanted, x, *(other for _, other in pairs))
    for one, other in zip(mine, pytorch, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_cross_attention_equals_pytorch_s_layer():
    theirs, ours = copied()
    x = torch.randn(B, N, SIZE, requires_grad=True)
    context = torch.randn(B, 4, SIZE, requires_grad=True)
    wanted, _ = theirs(x, context, context)
    got = ours(x, context)
    assert torch.allclose(got, wanted, atol=1e-6)
    for one, other in zip(gradients(got, x, context), gradients(wanted, x, context), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_a_block_equals_pytorch_s():
    theirs = nn.TransformerEncoderLayer(SIZE, HEADS, 4 * SIZE, 0.0, "gelu", batch_first=True, norm_first=True)
    ours = TransformerBlock(SIZE, HEADS)
    _, attend = copied()
    ours.attention.load_state_dict(attend.state_dict())
    with torch.no_grad():
        theirs.self_attn.in_proj_weight.copy_(attend.project_in.weight)
        theirs.self_attn.in_proj_bias.copy_(attend.project_in.bias)
        theirs.self_attn.out_proj.load_state_dict(attend.project_out.state_dict())
        nn.init.normal_(theirs.norm2.weight)
        ours.mlp_norm.load_state_dict(theirs.norm2.state_dict())
        ours.mlp[0].load_state_dict(theirs.linear1.state_dict())
        ours.mlp[2].load_state_dict(theirs.linear2.state_dict())
    x = torch.randn(B, N, SIZE, requires_grad=True)
    assert torch.allclose(ours(x), theirs(x), atol=1e-5)
    assert torch.allclose(*gradients(ours(x), x), *gradients(theirs(x), x), atol=1e-5)


def test_a_factorised_block_is_what_loops_over_frames_and_places_give():
    block = FactorisedBlock(SIZE, HEADS, causal=True, rotary=True)
    x = torch.randn(B, 4, N, SIZE)
    got = block(x)
    seen = x.clone()
    for b in range(B):
        for t in range(4):
            seen[b, t] += block.space(block.space_norm(x[b, t]))
    wanted = seen.clone()
    for b in range(B):
        for n in range(N):
            wanted[b, :, n] += block.time(block.time_norm(seen[b, :, n]))
    assert torch.allclose(got, wanted + block.mlp(block.mlp_norm(wanted)), atol=1e-5)


@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("layer", [MultiHeadAttention, TransformerBlock, FactorisedBlock])
def test_no_output_sees_a_later_input_and_no_clip_another(layer, rotary):
    shape = (B, N, 3, SIZE) if layer is FactorisedBlock else (B, N, SIZE)
    model = layer(SIZE, HEADS, causal=True, rotary=rotary)
    x = torch.randn(shape, requires_grad=True)
    for t in range(N):
        (gradient,) = torch.autograd.grad((model(x)[1, t] * torch.randn(shape[2:])).sum(), x)
        assert gradient[1, t + 1 :].abs().sum() == 0
        assert gradient[1, : t + 1].flatten(1).abs().amax(dim=1).min() > 0
        assert gradient[0].abs().sum() == gradient[2].abs().sum() == 0


def test_without_a_mask_every_token_sees_every_token():
    x = torch.randn(B, N, SIZE, requires_grad=True)
    (gradient,) = gradients(TransformerBlock(SIZE, HEADS)(x)[:, :1], x)
    assert gradient.abs().amax(dim=-1).min() > 0


def test_without_a_position_order_does_not_matter_and_with_one_it_does():
    x, order = torch.randn(B, N, SIZE), torch.randperm(N)
    plain = TransformerBlock(SIZE, HEADS)
    assert torch.allclose(plain(x)[:, order], plain(x[:, order]), atol=1e-5)
    turned = TransformerBlock(SIZE, HEADS, rotary=True)
    assert not torch.allclose(turned(x)[:, order], turned(x[:, order]), atol=1e-2)


def test_rotary_attention_does_not_change_when_all_moves_on():
    """Among themselves, the last four of seven tokens look at one another as four tokens from the start on do."""
    layer = MultiHeadAttention(SIZE, HEADS, rotary=True)
    x = torch.randn(B, 7, SIZE)
    shifted = layer.weights(x)[..., 3:, 3:]
    alone = layer.weights(x[:, 3:])
    assert torch.allclose(shifted / shifted.sum(-1, keepdim=True), alone, atol=1e-5)


@pytest.mark.parametrize("layer", [TransformerBlock, FactorisedBlock])
def test_every_parameter_gets_a_gradient_and_learning_happens(layer):
    """Tell whether the first and the last frame agree in sign."""
    model, embed, read = layer(16, 4, rotary=True), nn.Linear(1, 16), nn.Linear(16, 1)
    parameters = [*model.parameters(), *embed.parameters(), *read.parameters()]
    before = copy.deepcopy([parameter.data for parameter in parameters])
    optimiser = torch.optim.Adam(parameters, lr=0.01)
    x = torch.randn(128, 4, 3, 1).sign() if layer is FactorisedBlock else torch.randn(128, 4, 1).sign()
    same = (x[:, 0] * x[:, -1])[:, ..., 0].reshape(128, -1)[:, 0]
    losses, moved = [], [torch.zeros_like(parameter) for parameter in parameters]
    for _ in range(80):
        answer = read(model(embed(x)).flatten(1, -2)[:, 0])[:, 0]
        loss = F.soft_margin_loss(answer, same)
        optimiser.zero_grad()
        loss.backward()
        for seen, parameter in zip(moved, parameters, strict=True):
            seen += parameter.grad.abs()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    assert all(seen.sum() > 0 for seen in moved)
    assert all((now - then).abs().max() > 0 for now, then in zip(parameters, before, strict=True))


def test_the_mlp_is_four_times_as_wide_between():
    assert [tuple(p.shape) for p in MLP(5).parameters()] == [(20, 5), (20,), (5, 20), (5,)]


def zeros(*shape):
    return torch.zeros(shape)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: attention_weights(zeros(2, 3), zeros(2, 4)), "wanted (..., N, D) and (..., M, D), got (2, 3)"),
        (lambda: attention_weights(zeros(2, 3), zeros(4, 3), causal=True), "wanted (..., N, D) both, got (2, 3)"),
        (lambda: attention(zeros(2, 3), zeros(2, 3), zeros(4, 3)), "a value for each of 2 keys, got (4, 3)"),
        (lambda: MultiHeadAttention(8, 3), "got 8 numbers for 3 heads"),
        (lambda: MultiHeadAttention(6, 2, rotary=True), "wanted an even number of numbers for each head"),
        (lambda: MultiHeadAttention(8, 2)(zeros(1, 4, 5)), "x: wanted (..., N, 8), got (1, 4, 5)"),
        (lambda: MultiHeadAttention(8, 2)(zeros(1, 4, 8), zeros(1, 4, 5)), "context: wanted (..., N, 8)"),
        (lambda: FactorisedBlock(8, 2)(zeros(1, 4, 8)), "wanted (B, T, N, size), got (1, 4, 8)"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the words are compared below)
        call()
    assert words in str(error.value)
