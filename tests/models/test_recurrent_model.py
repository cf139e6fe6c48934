import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from course.models.recurrent import CELLS, RecurrentConfig, RecurrentModel

B, T, C, SIZE = 3, 5, 2, 4
CONFIG = RecurrentConfig(num_channels=C, size=SIZE, hidden_size=8, output_size=3)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def models(**changes):
    return [RecurrentModel(replace(CONFIG, cell=cell, **changes)) for cell in CELLS]


def test_there_is_an_answer_for_each_frame_of_clips_of_any_length():
    for num_layers in (1, 2):
        for model in models(num_layers=num_layers):
            for num_frames in (1, T):
                assert model(torch.rand(B, num_frames, C, SIZE, SIZE)).shape == (B, num_frames, 3)


def test_a_cell_is_what_its_name_says():
    assert [type(model.walk.cells[0]).__name__ for model in models()] == ["RNNCell", "GRUCell", "LSTMCell"]
    assert [len(model.walk.cells) for model in models(num_layers=3)] == [3, 3, 3]


def test_no_answer_sees_a_later_frame_and_no_clip_another():
    clips = torch.rand(B, T, C, SIZE, SIZE, requires_grad=True)
    for model in models(num_layers=2):
        for t in range(T):
            (gradient,) = torch.autograd.grad(model(clips)[1, t].sum(), clips)
            assert gradient[1, t + 1 :].abs().sum() == 0
            assert gradient[1, : t + 1].abs().flatten(1).amin(dim=1).min() > 0
            assert gradient[0].abs().sum() == gradient[2].abs().sum() == 0


def test_it_encodes_walks_and_answers():
    """The three parts by hand, with a walk of the cell frame by frame."""
    model = RecurrentModel(CONFIG)
    clips = torch.rand(B, T, C, SIZE, SIZE)
    state = (torch.zeros(B, 8), torch.zeros(B, 8))
    for t in range(T):
        pixels = clips[:, t].reshape(B, -1)
        state = model.walk.cells[0](pixels @ model.encode.weight.T + model.encode.bias, state)
        wanted = state[0] @ model.answer.weight.T + model.answer.bias
        assert torch.allclose(model(clips)[:, t], wanted, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_every_parameter_gets_a_gradient_and_learning_happens(cell):
    """Was the first frame brighter in its first channel than in its second?"""
    model = RecurrentModel(replace(CONFIG, cell=cell, num_layers=2, hidden_size=16, output_size=2))
    before = copy.deepcopy(list(model.parameters()))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    clips = torch.rand(64, T, C, SIZE, SIZE)
    clips[:, 0, 0] *= torch.rand(64, 1, 1).round()
    target = (clips[:, 0, 0].mean((1, 2)) > clips[:, 0, 1].mean((1, 2))).long()
    losses = []
    for _ in range(80):
        loss = F.cross_entropy(model(clips)[:, -1], target)
        optimiser.zero_grad()
        loss.backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all((now - then).abs().max() > 0 for now, then in zip(model.parameters(), before, strict=True))


def test_the_forget_bias_lands_on_the_forget_gates_of_every_layer():
    plain = RecurrentModel(replace(CONFIG, num_layers=2))
    torch.manual_seed(0)
    open_gates = RecurrentModel(replace(CONFIG, num_layers=2, forget_bias=3.0))
    for (name, one), other in zip(plain.named_parameters(), open_gates.parameters(), strict=True):
        difference = other - one
        if name.endswith("from_input.bias"):  # write, keep, candidate, show: 8 numbers each
            assert torch.allclose(difference[8:16], torch.full((8,), 3.0))
            difference[8:16] = 0
        assert difference.abs().max() == 0, name


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: replace(CONFIG, cell="LSTM"), "cell: wanted one of ('rnn', 'gru', 'lstm'), got 'LSTM'"),
        (lambda: replace(CONFIG, cell="gru", forget_bias=1.0), "only an LSTM has a forget gate, got a cell of 'gru'"),
        (lambda: replace(CONFIG, num_layers=0), "num_layers: wanted at least 1, got 0"),
        (lambda: RecurrentModel(CONFIG)(torch.zeros(1, T, 1, 4, 4)), "wanted (B, T, 2, 4, 4), got (1, 5, 1, 4, 4)"),
        (lambda: RecurrentModel(CONFIG)(torch.zeros(1, T, 2, 8, 2)), "wanted (B, T, 2, 4, 4), got (1, 5, 2, 8, 2)"),
        (lambda: RecurrentModel(CONFIG)(torch.zeros(T, 2, 4, 4)), "wanted (B, T, C, H, W), got (5, 2, 4, 4)"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the words are compared below)
        call()
    assert words in str(error.value)
