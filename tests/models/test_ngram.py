import math

import pytest
import torch

from course.generation.tokens import sample_tokens
from course.models.ngram import NGram, NGramConfig


def fitted(captions, tokens, **changes):
    small = {"num_codes": 3, "tokens_per_frame": 1, "num_words": 4, "order": 2, "words": ((), (0,)), "strength": 1.0}
    return NGram(NGramConfig(**small | changes)).fit(torch.tensor(captions), torch.tensor(tokens))


def test_one_order_by_hand():
    """Tokens 0, 0, 1 were counted: (2 + 1/3) / 4, (1 + 1/3) / 4 and (1/3) / 4."""
    model = fitted([[1]], [[0, 0, 1]], order=1, words=((),))
    answer = model(torch.tensor([[2]]), torch.tensor([[2]])).exp()
    assert torch.allclose(answer, torch.tensor([7 / 12, 4 / 12, 1 / 12]).expand(1, 2, 3))


def test_backing_off_by_hand():
    """Behind 0 came 0 and 1; what was never seen before a token is answered as if nothing were known of it."""
    model = fitted([[1]], [[0, 0, 1]], words=((),))
    answer = model(torch.tensor([[1]]), torch.tensor([[0, 2]])).exp()[0]
    alone = torch.tensor([7 / 12, 4 / 12, 1 / 12])
    counted = (torch.tensor([1.0, 1.0, 0.0]) + alone) / 3
    assert torch.allclose(answer[1], counted)
    assert torch.allclose(answer[2], alone)
    assert torch.allclose(answer[0], (torch.tensor([1.0, 0.0, 0.0]) + alone) / 2)  # the first token of a clip


def test_words_decide_and_unknown_words_are_left_out():
    model = fitted([[1], [2]], [[0, 0, 0], [1, 1, 1]])
    empty = torch.zeros(1, 0, dtype=torch.long)
    for word, token in ((1, 0), (2, 1)):
        assert model.next_logits(torch.tensor([[word]]), empty).argmax() == token
    unknown = model.next_logits(torch.tensor([[3]]), empty).exp()[0]
    assert unknown[0].item() == pytest.approx(unknown[1].item())


def test_the_place_in_the_frame_is_always_known():
    model = fitted([[1]], [[0, 1, 0, 1]], order=1, tokens_per_frame=2, words=((),))
    answer = model(torch.tensor([[1]]), torch.tensor([[0, 1, 0]]))[0]
    assert answer.argmax(dim=1).tolist() == [0, 1, 0, 1]


def test_answers_are_probabilities_and_see_nothing_later():
    torch.manual_seed(0)
    words, tokens = torch.randint(5, (40, 1)), torch.randint(3, (40, 12))
    model = fitted(words.tolist(), tokens.tolist(), order=4, tokens_per_frame=4)
    answer = model(words, tokens)
    assert answer.shape == (40, 13, 3)
    assert torch.allclose(answer.exp().sum(dim=2), torch.ones(40, 13))
    other = tokens.clone()
    other[:, 7:] = (other[:, 7:] + 1) % 3
    assert torch.equal(model(words, other)[:, :8], answer[:, :8])
    for length in (0, 1, 5, 12):
        assert torch.equal(model.next_logits(words, tokens[:, :length]), answer[:, length])


def test_what_was_often_counted_leaves_something_for_what_never_was():
    """Each context leaves the other tokens a hundred-thousandth of what the one before did: ten leave 1e-50."""
    tokens = torch.zeros(100_000, 1, dtype=torch.long)
    model = NGram(NGramConfig(num_codes=2, tokens_per_frame=1, order=1, words=((),) * 10, strength=1.0))
    model.fit(torch.zeros(len(tokens), 0, dtype=torch.long), tokens)
    nothing = torch.zeros(1, 0, dtype=torch.long)
    answer = model.next_logits(nothing, nothing)
    assert answer.dtype == torch.float32
    assert answer[0, 1].item() == pytest.approx(-math.log(2) - 10 * math.log(100_001), rel=1e-6)
    assert torch.equal(model(nothing, nothing)[:, 0], answer)


def test_it_can_be_drawn_from():
    model = fitted([[1], [2]], [[0, 1, 2, 0, 1, 2], [2, 1, 0, 2, 1, 0]], order=2, strength=1e-6)
    drawn = sample_tokens(model, torch.tensor([[1], [2]]), 6, generator=torch.Generator().manual_seed(0))
    assert drawn.tolist() == [[0, 1, 2, 0, 1, 2], [2, 1, 0, 2, 1, 0]]
