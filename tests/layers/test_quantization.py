import copy

import pytest
import torch

from course.layers.quantization import (
    FiniteScalarQuantizer,
    VectorQuantizer,
    nearest_code,
    perplexity,
    straight_through,
)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def quantizer_with(*codes, **options):
    """Return a quantizer whose codes are given and have been chosen once each."""
    quantizer = VectorQuantizer(len(codes), len(codes[0]), **options)
    quantizer.codebook.copy_(torch.tensor(codes))
    quantizer.num_chosen.fill_(1.0)
    quantizer.total.copy_(quantizer.codebook)
    return quantizer


def test_forward_is_rounded_and_backward_is_not():
    x = torch.randn(5, 3, requires_grad=True)
    rounded = straight_through(x, x.detach().round())
    assert torch.allclose(rounded, x.detach().round())
    weight = torch.randn(5, 3)
    (gradient,) = torch.autograd.grad((rounded.square() * weight).sum(), x)
    assert torch.allclose(gradient, 2 * x.detach().round() * weight)  # at the rounded value, not at x


def test_no_gradient_reaches_what_was_rounded_to():
    """Without detach, x + (code - x), the gradients of x cancel and the code takes them all."""
    x, code = torch.randn(4, requires_grad=True), torch.randn(4, requires_grad=True)
    gradient, none = torch.autograd.grad(straight_through(x, code).sum(), (x, code), allow_unused=True)
    assert torch.equal(gradient, torch.ones(4))
    assert none is None


def test_the_nearest_code_is_the_nearest():
    vectors, codebook = torch.randn(2, 7, 3), 3 * torch.randn(11, 3)
    wanted = torch.tensor([[(v - codebook).norm(dim=1).argmin().item() for v in row] for row in vectors])
    assert torch.equal(nearest_code(vectors, codebook), wanted)


def test_perplexity_counts_codes_in_even_use():
    assert perplexity(torch.tensor([3, 3, 3]), 8) == pytest.approx(1)
    assert perplexity(torch.arange(8).repeat(5), 8) == pytest.approx(8)
    assert perplexity(torch.tensor([0, 0, 0, 1]), 8) == pytest.approx(2 ** (0.75 * 0.415037 + 0.25 * 2), rel=1e-5)


@pytest.mark.parametrize("quantizer", [VectorQuantizer(16, 3), FiniteScalarQuantizer((4, 3, 2))])
def test_tokens_stand_for_the_vectors_and_gradients_reach_the_encoder(quantizer):
    encoder = torch.nn.Linear(5, 3)
    x = torch.randn(2, 6, 5)
    quantizer.train()(encoder(x))  # fills the codebook
    quantizer.eval()
    quantized = quantizer(encoder(x))
    assert quantized.vectors.shape == (2, 6, 3)
    assert quantized.tokens.shape == (2, 6)
    assert torch.allclose(quantizer.look_up(quantized.tokens), quantized.vectors, atol=1e-6)
    assert torch.equal(quantizer.nearest(encoder(x)), quantized.tokens)
    assert quantized.tokens.min() >= 0
    assert quantized.tokens.max() < quantizer.num_codes
    gradients = torch.autograd.grad(quantized.vectors.square().sum(), list(encoder.parameters()))
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_codes_become_the_average_of_the_vectors_that_choose_them():
    quantizer = quantizer_with([0.0], [10.0], decay=0.75, revive_below=0.0)
    quantizer(torch.tensor([[1.0], [2.0], [3.0], [12.0]]))
    # By hand: code 0 was chosen once at 0 and then three times, with a sum of 6: 0.25 * 6 / (0.75 + 0.25 * 3).
    assert quantizer.codebook[0].item() == pytest.approx(1.0)
    assert quantizer.codebook[1].item() == pytest.approx((0.75 * 10 + 0.25 * 12) / 1.0)
    assert quantizer.num_chosen.tolist() == pytest.approx([1.5, 1.0])


def test_codes_move_in_training_alone_and_no_optimiser_knows_them():
    quantizer = quantizer_with([0.0, 0.0], [4.0, 4.0])
    before = copy.deepcopy(quantizer.state_dict())
    vectors = torch.randn(50, 2) + 2
    quantizer.eval()(vectors)
    assert all(torch.equal(value, before[name]) for name, value in quantizer.state_dict().items())
    quantizer.train()(vectors)
    assert (quantizer.codebook - before["codebook"]).abs().amax(dim=1).min() > 0
    assert not list(quantizer.parameters())
    assert before.keys() == {"codebook", "num_chosen", "total"}  # what a training that goes on has to bring back


def test_a_dead_code_is_put_on_a_vector_and_lives():
    quantizer = quantizer_with([0.0], [0.1], [1000.0], decay=0.5)
    quantizer.num_chosen[2] = 0.0
    vectors = torch.tensor([[5.0], [6.0], [0.0]])
    quantizer(vectors)
    assert quantizer.codebook[2].item() in vectors
    assert quantizer.num_chosen[2] == 1.0  # an even share: it is not taken for dead at once
    assert quantizer.nearest(quantizer.codebook[2]).item() == 2


def test_without_revival_a_far_code_stays_dead():
    quantizer = quantizer_with([0.0], [1000.0], revive_below=0.0)
    for _ in range(100):
        quantizer(torch.randn(8, 1))
    assert quantizer.codebook[1].item() == pytest.approx(1000.0)


def test_the_first_batch_fills_the_codebook():
    quantizer = VectorQuantizer(8, 2)
    vectors = 100 + torch.randn(64, 2)
    quantized = quantizer(vectors)
    assert quantized.commitment < 5
    assert len(quantized.tokens.unique()) > 4


def test_commitment_pulls_vectors_to_their_codes():
    quantizer = quantizer_with([0.0, 0.0], [4.0, 0.0]).eval()
    vectors = torch.tensor([[1.0, 0.0]], requires_grad=True)
    quantized = quantizer(vectors)
    assert quantized.commitment.item() == pytest.approx(0.5)
    (gradient,) = torch.autograd.grad(quantized.commitment, vectors)
    assert torch.equal(gradient, torch.tensor([[1.0, 0.0]]))


@pytest.mark.parametrize("levels", [(2,), (3, 5), (8, 5, 5, 5)])
def test_the_grid_has_every_code_once(levels):
    quantizer = FiniteScalarQuantizer(levels)
    tokens = torch.arange(quantizer.num_codes)
    codes = quantizer.look_up(tokens)
    assert len(codes.unique(dim=0)) == quantizer.num_codes
    assert codes.min() == -1
    assert codes.max() == 1
    assert torch.equal(quantizer.nearest(codes.clamp(-0.9999, 0.9999).atanh()), tokens)


def test_numbers_are_rounded_to_levels_by_hand():
    quantizer = FiniteScalarQuantizer((3, 2))  # -1, 0, 1 and -1, 1
    quantized = quantizer(torch.tensor([[-9.0, 9.0], [0.1, -0.1], [9.0, 0.1]]))
    assert quantized.vectors.tolist() == [[-1, 1], [0, -1], [1, 1]]
    assert quantized.tokens.tolist() == [0 + 3, 1, 2 + 3]
    assert quantized.commitment == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: VectorQuantizer(0, 3), "wanted sizes of at least 1"),
        (lambda: VectorQuantizer(4, 3, decay=1.0), "got 4, 3, 1.0"),
        (lambda: VectorQuantizer(4, 3)(torch.zeros(2, 4)), "vectors: wanted (..., 3), got (2, 4)"),
        (lambda: FiniteScalarQuantizer((4, 1)), "levels: wanted at least 2 for each number, got (4, 1)"),
        (lambda: FiniteScalarQuantizer((4, 3))(torch.zeros(2, 3)), "vectors: wanted (..., 2), got (2, 3)"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the words are compared below)
        call()
    assert words in str(error.value)
