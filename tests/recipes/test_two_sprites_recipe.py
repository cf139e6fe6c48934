"""The recipe of two sprites: what is trained, what is left out, how words are bound, and the way down the line."""

import pytest
import torch

from course.budget import generator
from course.datasets import sprites
from course.datasets.captions import (
    ALL_PAIRS,
    HELD_OUT,
    HELD_OUT_PAIRS,
    VOCABULARY,
    Combination,
    caption,
    indices,
    parse,
)
from course.datasets.sprites import SpriteConfig
from course.models.denoiser import CaptionEncoder
from course.recipes import two_sprites
from course.recipes.cascade import STAGES
from course.recipes.denoising import denoiser
from course.recipes.text_to_clip import ALL_LEFT_OUT, ONE_LEFT_OUT
from course.recipes.two_sprites import (
    BINDINGS,
    TWO_SPRITES,
    bindings,
    carry,
    carry_apart,
    draw_laid_over,
    draw_line,
    draw_two,
    exchanged,
    leave_pair_words_out,
    pair_indices,
    some_pairs,
    told_apart,
    two_sprites_examples,
    two_sprites_metrics,
)

RED, BLUE = Combination("red", "circle", "left"), Combination("blue", "square", "up")


@pytest.fixture(scope="module", name="real")
def fixture_real():
    return sprites.sample_pairs(3, generator=generator(0))


def test_half_of_the_examples_are_of_two_sprites_and_none_is_held_out():
    examples = two_sprites_examples(400, generator(0))
    assert examples.clips.shape == (400, 8, 3, 16, 16)
    words = examples.condition.words
    assert words.shape == (400, 11)
    link = indices(["while"], max_words=1).item()
    pairs = words[:, 5] == link
    assert set(words[:, 5].tolist()) == {0, link}
    assert 0.35 < pairs.float().mean() < 0.5  # half, but for the captions that are left out as a whole
    assert (words[~pairs, 6:] == 0).all()
    held_out = indices([caption(one) for one in HELD_OUT]).tolist()
    clauses = [*words[:, :5].tolist(), *(words[:, 6:] - len(VOCABULARY)).clamp(min=0).tolist()]
    assert [clause for clause in clauses if clause in held_out] == []


def test_clips_and_words_stay_together():
    """Blue light goes with the word blue, wherever the examples were put."""
    examples = two_sprites_examples(200, generator(1))
    words, blue = examples.condition.words, indices(["blue"], max_words=1).item()
    colour_told = (words[:, 1] > 0) & ((words[:, 7] > 0) | ((words[:, 5] == 0) & (words[:, 0] > 0)))
    says = (words[:, 1] == blue) | (words[:, 7] == blue + len(VOCABULARY))
    shows = (examples.clips[:, :, 2] - examples.clips[:, :, 0]).amax(dim=(1, 2, 3)) > 0.5
    assert colour_told.sum() > 100
    assert torch.equal(says[colour_told], shows[colour_told])


def test_words_of_pairs_are_left_out_clause_by_clause():
    words = pair_indices([caption(*pair) for pair in ALL_PAIRS])
    left = leave_pair_words_out(words, generator=generator(0)) == 0
    whole = left.all(dim=1)
    assert whole.float().mean().item() == pytest.approx(ALL_LEFT_OUT, abs=0.015)
    some = left[~whole]
    assert not some[:, 5].any()  # "while" says that there are two
    clauses = some[:, :5].all(dim=1), some[:, 6:].all(dim=1)
    for gone in clauses:
        assert gone.float().mean().item() == pytest.approx(ALL_LEFT_OUT, abs=0.015)
    assert (clauses[0] & clauses[1]).float().mean() < 0.02  # each by itself
    for place in (1, 2, 3, 7, 8, 9):
        here = some[~clauses[place > 5]]
        assert here[:, place].float().mean().item() == pytest.approx(ONE_LEFT_OUT, abs=0.015)


def test_a_sum_of_words_cannot_tell_bindings_apart_unless_each_clause_has_its_own():
    captions = [caption(*exchanged((RED, BLUE), *parts)) for parts in BINDINGS.values()]
    torch.manual_seed(0)
    for num_words, words in ((18, indices(captions, max_words=11)), (36, pair_indices(captions))):
        vectors = CaptionEncoder(num_words, 11, 96)(words)
        apart = torch.cdist(vectors, vectors, compute_mode="donot_use_mm_for_euclid_dist")
        apart = apart[torch.triu(torch.ones(4, 4), 1) > 0]
        assert (apart.max() < 1e-4) if num_words == 18 else (apart.min() > 1)


def test_words_of_the_second_clause_have_numbers_of_their_own():
    captions = [caption(RED), caption(RED, BLUE), caption(BLUE, RED)]
    words = pair_indices(captions)
    assert words.max() <= TWO_SPRITES.config.num_words
    assert torch.equal(
        words[:, :6], indices([caption(RED), caption(RED, BLUE), caption(BLUE, RED)], max_words=11)[:, :6]
    )
    assert not words[0, 5:].any()
    assert torch.equal(words[1, 6:], words[2, :5] + len(VOCABULARY))
    assert not set(words[1, 6:].tolist()) & set(range(len(VOCABULARY) + 1))


def test_exchanging_colours_is_exchanging_both_of_the_others():
    pair = exchanged((RED, BLUE), "shape", "motion")
    assert pair == (Combination("red", "square", "up"), Combination("blue", "circle", "left"))
    assert pair == exchanged((RED, BLUE), "colour")[::-1]
    assert exchanged((RED, BLUE)) == (RED, BLUE)
    assert told_apart([(RED, BLUE), (RED, BLUE._replace(shape="circle")), (RED, BLUE._replace(motion="left"))]) == [
        (RED, BLUE)
    ]


def test_bindings_are_read_off_the_clips():
    pairs = some_pairs(told_apart(ALL_PAIRS), 8, seed=3)
    for name, parts in BINDINGS.items():
        shown = [exchanged(pair, *parts) for pair in pairs]
        states = sprites.sample_pair_states(shown, generator=generator(0), config=SpriteConfig())
        clips = sprites.render(*states[::-1], config=SpriteConfig())
        assert bindings(clips, pairs) == {other: float(other == name) for other in BINDINGS}


def test_some_pairs_are_the_same_for_the_same_seed():
    one, again, other = (some_pairs(HELD_OUT_PAIRS, 50, seed=seed) for seed in (0, 0, 1))
    assert one == again != other
    assert len(set(one)) == 50
    assert set(one) <= set(HELD_OUT_PAIRS)


def test_a_clip_is_drawn_for_captions_of_both_kinds():
    asked = []

    def network(noisy, noise_step, condition):
        asked.append(condition)
        return torch.zeros_like(noisy)

    clips = draw_two(network, [caption(RED), caption(RED, BLUE)], generator=generator(0), num_steps=1)
    assert clips.shape == (2, 8, 3, 16, 16)
    assert (asked[0].words > 0).sum(dim=1).tolist() == [5, 11]


def test_the_rival_draws_each_clause_by_itself(real):
    captions = [caption(RED, BLUE), caption(BLUE, RED)]
    states = {
        text: sprites.render(
            sprites.sample_state([parse(text)[0]], generator=generator(0), config=SpriteConfig()), config=SpriteConfig()
        )
        for text in (caption(RED), caption(BLUE))
    }
    clips = draw_laid_over(lambda texts: torch.cat([states[text] for text in texts]), captions)
    assert torch.equal(clips[0], clips[1])
    assert torch.equal(clips[:1], torch.maximum(*states.values()))


@pytest.mark.parametrize("way", [carry, carry_apart])
def test_two_are_carried_as_they_are_or_apart(real, way):
    """Stages that hand on what they are given: the parts must come together again as the clip they were made of."""
    asked = []

    def stage(noisy, noise_step, condition):
        asked.append(condition.words)
        return condition.given[:, :, :3]

    drawn = draw_line(dict.fromkeys(STAGES[1:], stage), real.clips, real.captions, generator=generator(0), way=way)
    shapes = [(8, 3, 16, 16), (16, 3, 16, 16), (16, 3, 32, 32), (16, 3, 64, 64)]
    assert [tuple(clips.shape[1:]) for clips in drawn.values()] == shapes
    assert torch.equal(drawn["base"], real.clips)
    assert torch.equal(drawn["time"][:, ::2], real.clips)  # given frames are untouched
    between = (drawn["time"][:, 1::2] - real.clips).square().mean().sqrt()
    assert between < 0.15  # here they are the frames before, under a little noise
    clauses = [indices([text.split(" while ")[k] for text in real.captions]) for k in (0, 1)]
    if way is carry:
        assert not torch.stack(asked).any()
    else:
        assert torch.equal(asked[0], clauses[0])
        assert torch.equal(asked[-1], clauses[1])


def test_a_stage_can_be_told_of_one_of_the_two(real):
    asked = []

    def stage(noisy, noise_step, condition):
        asked.append(condition.words)
        return torch.zeros_like(noisy)

    first = [text.split(" while ")[0] for text in real.captions]
    carry("time", stage, real.clips, real.captions, generator=generator(0), texts=first)
    assert torch.equal(asked[0], indices(first))


def test_an_untrained_network_is_measured_and_found_wanting(monkeypatch):
    monkeypatch.setattr(two_sprites, "ALL", HELD_OUT[:2])
    monkeypatch.setattr(two_sprites, "HELD_OUT", HELD_OUT[:2])
    found = two_sprites_metrics(denoiser(TWO_SPRITES.config).eval(), num_pairs=2, num_each=1)
    assert found["caption, two sprites, held out"] == found["valid, one sprite, all"] == 0
    assert {f"two sprites, {binding}" for binding in BINDINGS} <= set(found)
    assert "caption_shape, second of two, all" in found
