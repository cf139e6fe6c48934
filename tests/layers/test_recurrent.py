import copy

import pytest
import torch
from torch import nn

from course.layers.recurrent import ConvLSTMCell, GRUCell, LSTMCell, Recurrent, RNNCell

PAIRS = {"rnn": (RNNCell, nn.RNN), "gru": (GRUCell, nn.GRU), "lstm": (LSTMCell, nn.LSTM)}
B, T, INPUT, HIDDEN = 3, 7, 5, 6


@pytest.fixture(params=PAIRS, name="kind")
def fixture_kind(request):
    torch.manual_seed(0)
    return PAIRS[request.param]


def copied(cell_class, torch_class, num_layers):
    """Return PyTorch's layer, and ours with its weights."""
    theirs = torch_class(INPUT, HIDDEN, num_layers=num_layers, batch_first=True)
    cells = [cell_class(INPUT if layer == 0 else HIDDEN, HIDDEN) for layer in range(num_layers)]
    with torch.no_grad():
        for layer, cell in enumerate(cells):
            for ours, name in ((cell.from_input, "ih"), (cell.from_hidden, "hh")):
                ours.weight.copy_(getattr(theirs, f"weight_{name}_l{layer}"))
                ours.bias.copy_(getattr(theirs, f"bias_{name}_l{layer}"))
    return theirs, Recurrent(*cells)


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_values_and_gradients_equal_pytorch_s(kind, num_layers):
    theirs, ours = copied(*kind, num_layers)
    x = torch.randn(B, T, INPUT)
    results = []
    for layer in (theirs, ours):
        given = x.clone().requires_grad_()
        output, states = layer(given)
        weight = torch.linspace(-1, 1, output.numel()).view_as(output)
        (output * weight).sum().backward()
        results.append((output, states, given.grad))
    assert torch.allclose(results[0][0], results[1][0], atol=1e-6)
    assert torch.allclose(results[0][2], results[1][2], atol=1e-5)
    last = results[0][1] if isinstance(results[0][1], tuple) else (results[0][1],)
    for layer, state in enumerate(results[1][1]):
        for ours_state, theirs_state in zip(state, last, strict=True):
            assert torch.allclose(ours_state, theirs_state[layer], atol=1e-6)
    for layer, cell in enumerate(ours.cells):
        for linear, name in ((cell.from_input, "ih"), (cell.from_hidden, "hh")):
            assert torch.allclose(linear.weight.grad, getattr(theirs, f"weight_{name}_l{layer}").grad, atol=1e-5)
            assert torch.allclose(linear.bias.grad, getattr(theirs, f"bias_{name}_l{layer}").grad, atol=1e-5)


def test_a_clip_in_two_parts_gives_what_the_whole_gives(kind):
    layer = Recurrent(kind[0](INPUT, HIDDEN), kind[0](HIDDEN, HIDDEN))
    x = torch.randn(B, T, INPUT)
    whole, _ = layer(x)
    first, states = layer(x[:, :3])
    second, _ = layer(x[:, 3:], states)
    assert torch.allclose(torch.cat([first, second], dim=1), whole, atol=1e-6)


def test_no_output_sees_a_later_input_and_no_clip_another(kind):
    layer = Recurrent(kind[0](INPUT, HIDDEN))
    x = torch.randn(B, T, INPUT, requires_grad=True)
    for t in range(T):
        (gradient,) = torch.autograd.grad(layer(x)[0][1, t].sum(), x)
        assert gradient[1, t + 1 :].abs().sum() == 0
        assert gradient[1, : t + 1].abs().sum(dim=1).min() > 0
        assert gradient[0].abs().sum() == gradient[2].abs().sum() == 0


def test_every_parameter_gets_a_gradient_and_learning_happens(kind):
    """Remember the sign of the first frame until the last."""
    layer, read = Recurrent(kind[0](1, 16)), nn.Linear(16, 1)
    parameters = [*layer.parameters(), *read.parameters()]
    before = copy.deepcopy([parameter.data for parameter in parameters])
    optimiser = torch.optim.Adam(parameters, lr=0.02)
    x = torch.randn(64, 5, 1)
    losses = []
    for _ in range(60):
        loss = nn.functional.soft_margin_loss(read(layer(x)[0][:, -1]), x[:, 0].sign())
        optimiser.zero_grad()
        loss.backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in parameters)
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all((now - then).abs().max() > 0 for now, then in zip(parameters, before, strict=True))


def test_the_forget_bias_keeps_the_gate_open():
    torch.manual_seed(1)
    plain = LSTMCell(2, 4)
    torch.manual_seed(1)
    open_gate = LSTMCell(2, 4, forget_bias=3.0)
    difference = open_gate.from_input.bias - plain.from_input.bias
    assert torch.allclose(difference[4:8], torch.full((4,), 3.0))
    assert difference[:4].abs().sum() + difference[8:].abs().sum() == 0
    zero, memory = torch.zeros(1, 4), torch.ones(1, 4)
    assert (open_gate(torch.zeros(1, 2), (zero, memory))[1] > plain(torch.zeros(1, 2), (zero, memory))[1]).all()


def test_a_conv_lstm_on_one_pixel_is_an_lstm():
    torch.manual_seed(0)
    pictures, cell = ConvLSTMCell(INPUT, HIDDEN, kernel_size=1), LSTMCell(INPUT, HIDDEN)
    with torch.no_grad():
        pictures.gates.weight.copy_(torch.cat([cell.from_input.weight, cell.from_hidden.weight], 1)[:, :, None, None])
        pictures.gates.bias.copy_(cell.from_input.bias + cell.from_hidden.bias)
    x, hidden, memory = torch.randn(B, INPUT), torch.randn(B, HIDDEN), torch.randn(B, HIDDEN)
    wanted = cell(x, (hidden, memory))
    got = pictures(x[..., None, None], (hidden[..., None, None], memory[..., None, None]))
    for ours, theirs in zip(got, wanted, strict=True):
        assert torch.allclose(ours[..., 0, 0], theirs, atol=1e-6)


def test_a_conv_lstm_moves_with_its_input():
    cell = ConvLSTMCell(1, 4)
    x = torch.zeros(1, 1, 12, 12)
    x[0, 0, 5, 5] = 1
    hidden, memory = cell(x, cell(x))
    moved, _ = cell(x.roll((2, 1), (2, 3)), cell(x.roll((2, 1), (2, 3))))
    assert torch.allclose(hidden[..., 3:8, 3:8], moved[..., 5:10, 4:9], atol=1e-6)
    assert memory.shape == (1, 4, 12, 12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Recurrent(), "wanted at least one"),
        (lambda: Recurrent(RNNCell(2, 3), RNNCell(4, 3)), "3 numbers, got an input_size of 4"),
        (lambda: Recurrent(RNNCell(2, 3))(torch.zeros(1, 4, 5)), "wanted (B, T, 2), got (1, 4, 5)"),
        (lambda: Recurrent(RNNCell(2, 3))(torch.zeros(1, 4, 2), []), "one for each of 1 layers, got 0"),
        (lambda: ConvLSTMCell(1, 2, kernel_size=4), "wanted an odd number"),
        (lambda: ConvLSTMCell(1, 2)(torch.zeros(1, 3, 8, 8)), "wanted (B, 1, H, W), got (1, 3, 8, 8)"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the words are compared below)
        call()
    assert words in str(error.value)
