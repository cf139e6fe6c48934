import pytest
import torch

from course.generation.tokens import keep_top_k, keep_top_p, sample_tokens, shaped
from course.models.token_transformer import TokenTransformer, TokenTransformerConfig

PROBABILITIES = torch.tensor([0.1, 0.4, 0.2, 0.3])


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def transformer(**changes):
    small = {"num_codes": 13, "num_words": 5, "max_words": 3, "hidden_size": 16, "num_layers": 2, "num_heads": 2}
    model = TokenTransformer(TokenTransformerConfig(**small | changes)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model


class Counting:
    """Says that each token is the one before plus a word, unless the caption is empty: then that all are alike."""

    def __init__(self, num_codes=8):
        self.num_codes, self.asked = num_codes, []

    def next_logits(self, words, tokens, *, cache=None):
        self.asked.append((words.clone(), tokens.clone()))
        last = tokens[:, -1] if tokens.shape[1] else torch.zeros(len(words), dtype=torch.long)
        told = torch.nn.functional.one_hot((last + words[:, 0]) % self.num_codes, self.num_codes) * 30.0
        return told * (words[:, :1] > 0)

    def empty_cache(self):
        return None


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("k", "left"), [(1, [1]), (2, [1, 3]), (3, [1, 2, 3]), (4, [0, 1, 2, 3]), (9, [0, 1, 2, 3])])
def test_top_k_by_hand(k, left):
    kept = keep_top_k(PROBABILITIES.log(), k)
    assert kept.isfinite().nonzero()[:, 0].tolist() == left
    assert torch.equal(kept[left], PROBABILITIES.log()[left])


@pytest.mark.parametrize(
    ("p", "left"),
    [(0.01, [1]), (0.39, [1]), (0.41, [1, 3]), (0.69, [1, 3]), (0.71, [1, 2, 3]), (0.89, [1, 2, 3]), (1, [0, 1, 2, 3])],
)
def test_the_nucleus_by_hand(p, left):
    """The token that makes the nucleus full belongs to it: one too few would be left otherwise."""
    kept = keep_top_p(PROBABILITIES.log(), p)
    assert kept.isfinite().nonzero()[:, 0].tolist() == left
    assert kept.exp()[left].sum() >= p - 1e-6
    rows = keep_top_p(torch.stack([PROBABILITIES.log(), PROBABILITIES.flip(0).log()]), p)
    assert torch.equal(rows[1], rows[0].flip(0))


def test_probabilities_by_hand():
    logits = PROBABILITIES.log()
    assert torch.allclose(shaped(logits), PROBABILITIES)
    cold = PROBABILITIES**2
    assert torch.allclose(shaped(logits, temperature=0.5), cold / cold.sum())
    assert shaped(logits, temperature=0).tolist() == [0, 1, 0, 0]
    assert torch.allclose(shaped(logits, top_k=2), torch.tensor([0, 4 / 7, 0, 3 / 7]))
    # The nucleus is that of the cold distribution: 0.16 of 0.3 is 0.53, and above one half.
    assert shaped(logits, temperature=0.5, top_p=0.5).tolist() == [0, 1, 0, 0]


def test_tokens_are_drawn_as_often_as_they_are_likely():
    class Fixed(Counting):
        def next_logits(self, words, tokens, *, cache=None):
            return PROBABILITIES.log().expand(len(words), -1)

    drawn = sample_tokens(Fixed(), torch.ones(4000, 1, dtype=torch.long), 2, generator=chance())
    assert torch.allclose(torch.bincount(drawn.flatten()) / 8000, PROBABILITIES, atol=0.02)


def test_each_token_is_drawn_behind_all_before_it():
    model, words = Counting(), torch.tensor([[1], [3]])
    drawn = sample_tokens(model, words, 5, generator=chance())
    assert drawn.tolist() == [[1, 2, 3, 4, 5], [3, 6, 1, 4, 7]]
    assert [tokens.shape[1] for _, tokens in model.asked] == [0, 1, 2, 3, 4]
    assert torch.equal(model.asked[-1][1], drawn[:, :-1])


def test_what_is_given_stays_and_the_rest_follows_it():
    given = torch.tensor([[5, 5], [0, 0]])
    drawn = sample_tokens(Counting(), torch.tensor([[1], [3]]), 4, generator=chance(), given=given)
    assert drawn.tolist() == [[5, 5, 6, 7], [0, 0, 3, 6]]
    assert torch.equal(sample_tokens(Counting(), torch.ones(2, 1), 2, generator=chance(), given=given), given)


def test_guidance_goes_from_the_empty_caption_s_answer_beyond_the_caption_s():
    class Two(Counting):
        def next_logits(self, words, tokens, *, cache=None):
            self.asked.append((words, tokens))
            return torch.where(words[:, :1] > 0, torch.tensor([1.0, 0.0]), torch.tensor([0.0, 0.5]))

    words = torch.ones(5000, 1, dtype=torch.long)
    for guidance in (0.0, 1.0, 2.0):
        model = Two()
        drawn = sample_tokens(model, words, 1, generator=chance(), guidance=guidance)
        logits = torch.tensor([guidance, 0.5 - 0.5 * guidance])
        wanted = logits.softmax(dim=0)[0].item()
        assert (drawn == 0).float().mean().item() == pytest.approx(wanted, abs=0.02)
        assert len(model.asked[0][0]) == (5000 if guidance == 1 else 10000)


@pytest.mark.parametrize("window", [64, 5])
@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("num_given", [0, 6])
def test_the_same_tokens_with_a_cache_as_without(window, guidance, num_given):
    model, words = transformer(window=window), torch.randint(1, 6, (3, 3))
    given = torch.randint(13, (3, num_given))
    one, two = (
        sample_tokens(model, words, 24, generator=chance(), given=given, guidance=guidance, cached=cached)
        for cached in (True, False)
    )
    assert torch.equal(one, two)
    assert len(one.unique()) > 5


def test_frame_by_frame_gives_what_all_at_once_gives():
    model, words = transformer(window=9), torch.randint(1, 6, (3, 3))
    wanted = sample_tokens(model, words, 20, generator=chance())
    drawn, generator = None, chance()
    for num_frames in range(1, 6):
        drawn = sample_tokens(model, words, 4 * num_frames, generator=generator, given=drawn)
    assert torch.equal(drawn, wanted)


def test_drawing_repeats_and_depends_on_chance():
    model, words = transformer(), torch.randint(1, 6, (3, 3))
    one, two, other = (sample_tokens(model, words, 12, generator=chance(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: keep_top_k(PROBABILITIES, 0), "k: wanted at least 1, got 0"),
        (lambda: keep_top_p(PROBABILITIES, 0.0), "p: wanted a number above 0 and at most 1, got 0.0"),
        (lambda: shaped(PROBABILITIES, temperature=-1), "temperature: wanted at least 0, got -1"),
        (
            lambda: sample_tokens(Counting(), torch.ones(2, 1), 2, generator=chance(), given=torch.zeros(2, 3)),
            "given: wanted (2, at most 2), got (2, 3)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the words are compared below)
        call()
    assert words in str(error.value)
