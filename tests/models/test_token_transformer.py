import copy

import pytest
import torch
from torch.nn import functional as F

from course.layers.attention import KeyValueCache, MultiHeadAttention, sees
from course.models.token_transformer import TokenTransformer, TokenTransformerConfig, around

B, N, K = 3, 21, 11
SMALL = {
    "num_codes": K,
    "tokens_per_frame": 4,
    "num_words": 6,
    "max_words": 2,
    "hidden_size": 16,
    "num_layers": 2,
    "num_heads": 2,
    "told": (4, 8),
}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def small(**changes):
    model = TokenTransformer(TokenTransformerConfig(**SMALL | changes))
    for parameter in model.parameters():  # tables begin near zero, where no mistake would show
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def example():
    return torch.randint(7, (B, 2)), torch.randint(K, (B, N))


def test_who_sees_whom_by_hand():
    places = torch.arange(6)
    seen = sees(places, places, window=2, num_kept=1)
    assert seen.int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 0, 1, 1, 0, 0],
        [1, 0, 0, 1, 1, 0],
        [1, 0, 0, 0, 1, 1],
    ]
    assert torch.equal(sees(places, places), torch.ones(6, 6, dtype=torch.bool).tril())


def test_no_answer_sees_the_token_it_is_about_or_a_later_one():
    model, (words, tokens) = small(), example()
    logits = model(words, tokens)
    assert logits.shape == (B, N + 1, K)
    for place in range(N):
        other = tokens.clone()
        other[:, place:] = (other[:, place:] + 1 + torch.randint(K - 1, (B, N - place))) % K
        far = (model(words, other) - logits).abs().amax(dim=(0, 2))
        assert far[: place + 1].max() == 0, f"an answer up to {place} sees token {place} or a later one"
        assert far[place + 1 :].min() > 0  # and all behind it do


def test_every_answer_sees_every_word():
    model, (words, tokens) = small(), example()
    for place in range(2):
        other = words.clone()
        other[:, place] = (other[:, place] + 1) % 7
        assert (model(other, tokens) - model(words, tokens)).abs().amax(dim=(0, 2)).min() > 0


def test_order_matters_and_so_does_the_place_in_the_frame():
    model, (words, tokens) = small(), example()
    swapped = tokens.clone()
    swapped[:, [3, 8]] = tokens[:, [8, 3]]
    assert (model(words, swapped) - model(words, tokens))[:, -1].abs().max() > 1e-3
    model.place.table.data += torch.randn(4, 16)
    assert (model(words, tokens) - small()(words, tokens)).abs().max() > 1e-3


@pytest.mark.parametrize("window", [N + 10, N, 8, 3, 1])
@pytest.mark.parametrize("first", [0, 1, 5, 13, N])
def test_cached_equals_uncached_position_by_position(window, first):
    """Given a few tokens at once and then one by one, also far beyond the window."""
    model, (words, tokens) = small(window=window).eval(), example()
    wanted = model(words, tokens)
    cache = model.empty_cache()
    with torch.no_grad():
        for length in range(first, N + 1):
            got = model.next_logits(words, tokens[:, :length], cache=cache)
            assert torch.allclose(got, wanted[:, length], atol=1e-5), f"token {length}"
            assert cache[0].num_seen == 2 + length


@pytest.mark.parametrize("window", [N, 4])
def test_several_tokens_at_a_time_make_no_difference(window):
    model, (words, tokens) = small(window=window).eval(), example()
    wanted, cache = model(words, tokens), model.empty_cache()
    with torch.no_grad():
        for length in (3, 4, 11, 12, 13, 20, 21):
            got = model.next_logits(words, tokens[:, :length], cache=cache)
            assert torch.allclose(got, wanted[:, length], atol=1e-5)


def test_beyond_the_window_nothing_is_seen_but_the_caption():
    """One layer: a token that has left the window changes no answer any more, a word does."""
    model, (words, tokens) = small(window=4, num_layers=1, told=()), example()
    other = tokens.clone()
    other[:, 6] = (other[:, 6] + 1) % K
    far = (model(words, other) - model(words, tokens)).abs().amax(dim=(0, 2))
    assert far[7:11].min() > 0
    assert far[11:].max() == 0
    assert (model((words + 1) % 7, tokens) - model(words, tokens))[:, -1].abs().max() > 0


def test_a_token_is_told_what_stood_so_many_places_before_the_coming_one():
    """With a window of one token and one layer nothing else tells token 11 from token 3 and 7."""
    model, (words, tokens) = small(window=1, num_layers=1), example()
    seen = []
    for place in range(11):
        other = tokens.clone()
        other[:, place] = (other[:, place] + 1) % K
        if (model(words, other) - model(words, tokens))[:, 11].abs().max() > 0:
            seen.append(place)
    assert seen == [3, 7, 10]  # eight places back, four places back, and the token right before it


def test_around_a_place_stand_its_neighbours_above_and_all_those_of_the_frame_before():
    """Two frames of 3 x 4, by coordinates: those around the middle of the second."""
    frame, row, column = 1, 1, 2
    places = {(t, y, x): 12 * t + 4 * y + x for t in range(2) for y in range(3) for x in range(4)}
    coming = places[frame, row, column]
    told = {coming - back for back in around(4, 12)}
    near = {place for (_, y, x), place in places.items() if abs(y - row) <= 1 and abs(x - column) <= 1}
    assert told == {place for place in near if place < coming - 1}
    assert len(around(4, 12)) == len(told) == 12


def test_a_cache_does_not_grow_beyond_the_window():
    cache = KeyValueCache(window=3, num_kept=2)
    for place in range(20):
        k, v, visible = cache.extend(torch.full((1, 4), float(place)), torch.full((1, 4), -float(place)))
        wanted = {0, 1, *range(max(0, place - 2), place + 1)} & set(range(place + 1))
        assert sorted(k[:, 0].tolist()) == sorted(wanted)
        assert torch.equal(v, -k)
        assert visible is None


def test_places_that_begin_anew_give_other_answers():
    """What a cache whose places restart at 0 would answer: the turned keys of attention tell."""
    layer, x = MultiHeadAttention(16, 2, causal=True, rotary=True), torch.randn(1, 6, 16)
    cache = layer.empty_cache()
    with torch.no_grad():
        layer(x[:, :5], cache=cache)
        right = layer(x[:, 5:], cache=cache)
        assert torch.allclose(right, layer(x)[:, 5:], atol=1e-5)
        restarted = layer.empty_cache()
        layer(x[:, :5], cache=restarted)
        restarted.num_seen = 0
        wrong = layer(x[:, 5:], cache=restarted)
    assert (wrong - right).abs().max() > 1e-3


def test_every_parameter_learns_a_word_s_token():
    """Each caption's tokens count up from a number that a word gives."""
    model = TokenTransformer(TokenTransformerConfig(**SMALL))
    before = copy.deepcopy(model.state_dict())
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    known = {id(parameter) for group in optimiser.param_groups for parameter in group["params"]}
    losses = []
    for _ in range(120):
        words = torch.randint(7, (32, 2))
        tokens = (words[:, :1] + words[:, 1:] + torch.arange(16)) % K
        loss = F.cross_entropy(model(words, tokens[:, :-1]).flatten(0, 1), tokens.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    for table in (model.word.weight, model.token.weight, model.place.table, model.word_place.table):
        assert id(table) in known
    for name, value in model.state_dict().items():
        moved = (value - before[name]).abs()
        rows = moved.flatten(1).amax(dim=1) if moved.ndim > 1 else moved.max()
        assert rows.min() > 0, f"{name} does not move"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: TokenTransformerConfig(window=0), "wanted sizes of at least 1"),
        (lambda: TokenTransformerConfig(told=(3, 0)), "told: wanted places of at least 1, got (3, 0)"),
        (lambda: small()(torch.zeros(1, 3, dtype=torch.long), torch.zeros(1, 4, dtype=torch.long)), "got (1, 3)"),
        (lambda: MultiHeadAttention(8, 2, window=3), "window: wanted at least 1 and causal=True, got 3"),
        (lambda: MultiHeadAttention(8, 2).empty_cache(), "wanted causal=True"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the words are compared below)
        call()
    assert words in str(error.value)


def test_a_cache_that_has_seen_more_is_refused():
    model, (words, tokens) = small(), example()
    cache = model.empty_cache()
    with torch.no_grad():
        model.next_logits(words, tokens, cache=cache)
        with pytest.raises(ValueError, match="wanted fewer than 7 words and tokens, got 23"):
            model.next_logits(words, tokens[:, :5], cache=cache)
