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
from course.diffusion.schedule import to_signed, to_unit
from course.models.denoiser import CaptionEncoder, Condition
from course.recipes import two_sprites
from course.recipes.cascade import STAGES
from course.recipes.denoising import denoiser
from course.recipes.text_to_clip import ALL_LEFT_OUT, ONE_LEFT_OUT
from course.recipes.two_sprites import (
    BINDINGS,
    TWO_SPRITES,
    Together,
    bindings,
    carry,
    carry_apart,
    draw_laid_over,
    draw_line,
    draw_two,
    exchanged,
    leave_pair_words_out,
    pair_indices,
    seen_from,
    some_pairs,
    told_apart,
    two_sprites_examples,
    two_sprites_metrics,
)

RED, BLUE = Combination("red", "circle", "left"), Combination("blue", "square", "up")


@pytest.fixture(scope="module", name="real")
def fixture_real():
    return sprites.sample_pairs(3, generator=generator(0))


def test_three_quarters_of_the_examples_are_of_two_sprites_and_none_is_held_out():
    examples = two_sprites_examples(400, generator(0))
    assert examples.clips.shape == examples.wanted.shape == (400, 8, 3, 16, 16)
    words = examples.condition.words
    assert words.shape == (400, 10)
    pairs = words[:, 5] > 0
    assert 0.6 < pairs.float().mean() < 0.75  # three quarters, but for the captions that are left out as a whole
    held_out = indices([caption(one) for one in HELD_OUT]).tolist()
    clauses = [*words[:, :5].tolist(), *(words[:, 5:] - len(VOCABULARY)).clamp(min=0).tolist()]
    assert [clause for clause in clauses if clause in held_out] == []


def test_what_is_wanted_is_the_sprite_that_is_named_wherever_the_examples_were_put():
    examples = two_sprites_examples(300, generator(1))
    words, (red, green, blue) = examples.condition.words, indices(["red green blue"], max_words=3)[0].tolist()
    rest = examples.clips - examples.wanted
    assert rest.min() > -1e-5
    assert examples.wanted.amax(dim=(1, 2, 3, 4)).min() > 0.5  # never nothing
    whole = words[:, 0] == 0
    assert torch.equal(examples.wanted[whole], examples.clips[whole])
    alone = (words[:, 0] > 0) & (words[:, 5] == 0)
    assert torch.equal(examples.wanted[alone], examples.clips[alone])
    two = words[:, 5] > 0
    assert (rest[two].amax(dim=(1, 2, 3, 4)) > 0.5).all()  # the other one
    for word, channel in ((red, 0), (green, 1), (blue, 2)):
        for clips, says in ((examples.wanted, words[:, 1] == word), (rest, words[:, 6] == word + len(VOCABULARY))):
            shown = clips[says].amax(dim=(1, 3, 4))  # (B, 3)
            assert len(shown) > 10
            assert (shown[:, channel] > 0.5).all()


def test_words_of_pairs_are_left_out_clause_by_clause():
    words = pair_indices([caption(*pair) for pair in ALL_PAIRS])
    left = leave_pair_words_out(words, generator=generator(0)) == 0
    whole = left.all(dim=2).all(dim=1)
    assert whole.float().mean().item() == pytest.approx(ALL_LEFT_OUT, abs=0.015)
    some = left[~whole]
    assert not some[:, :, 0].any()  # "a" and "a" say that there are two
    gone = some[:, :, 1:].all(dim=2)  # (B, 2)
    assert gone.float().mean().item() == pytest.approx(ALL_LEFT_OUT, abs=0.015)
    assert gone.all(dim=1).float().mean() < 0.02  # each by itself
    for clause in (0, 1):
        here = some[~gone[:, clause], clause]
        for place in (1, 2, 3):
            assert here[:, place].float().mean().item() == pytest.approx(ONE_LEFT_OUT, abs=0.015)


def test_a_sum_of_words_cannot_tell_bindings_apart_unless_each_clause_asks_for_itself():
    pairs = [exchanged((RED, BLUE), *parts) for parts in BINDINGS.values()]
    captions = [caption(*pair) for pair in pairs]
    torch.manual_seed(0)
    for num_words, words in ((18, indices(captions, max_words=11)), (36, seen_from(pair_indices(captions))[:, 0])):
        vectors = CaptionEncoder(num_words, 11, 96)(words)
        apart = torch.cdist(vectors, vectors, compute_mode="donot_use_mm_for_euclid_dist")
        apart = apart[torch.triu(torch.ones(4, 4), 1) > 0]
        assert (apart.max() < 1e-4) if num_words == 18 else (apart.min() > 1)


def test_clauses_are_rows_and_a_lone_one_leaves_the_second_empty():
    words = pair_indices([caption(RED), caption(RED, BLUE), caption(BLUE, RED)])
    assert words.shape == (3, 2, 5)
    red, blue = indices([caption(RED), caption(BLUE)])
    for row, (first, second) in zip(words, ((red, torch.zeros(5)), (red, blue), (blue, red)), strict=True):
        assert torch.equal(row[0], first)
        assert torch.equal(row[1], second.long())


def test_each_clause_is_seen_with_the_other_beside_it():
    questions = seen_from(pair_indices([caption(RED), caption(RED, BLUE)]))
    assert questions.shape == (2, 2, 10)
    assert questions.max() <= TWO_SPRITES.config.num_words
    red, blue = indices([caption(RED), caption(BLUE)])
    assert questions[0, 0].tolist() == [*red.tolist(), 0, 0, 0, 0, 0]
    assert questions[1, 0].tolist() == [*red.tolist(), *(blue + len(VOCABULARY)).tolist()]
    assert questions[1, 1].tolist() == [*blue.tolist(), *(red + len(VOCABULARY)).tolist()]


def test_answers_are_added_up_as_light():
    red_word = indices(["red"], max_words=1).item()
    light = torch.zeros(1, 1, 3, 2, 2)
    light[..., 0, 0] = 1.0
    asked = []

    def network(noisy, noise_step, condition):
        """Draw light at the left for red and at the right for what else is named; of no words, grey."""
        asked.append(condition.words)
        red = (condition.words[:, 1] == red_word).view(-1, 1, 1, 1, 1)
        some = torch.where(red, light, light.flip(-1))
        return to_signed(torch.where(condition.words.any(dim=1).view(-1, 1, 1, 1, 1), some, 0.25))

    together, z, s = Together(network), torch.zeros(2, 1, 3, 2, 2), torch.ones(2)
    one, both = to_unit(together(z, s, Condition(words=pair_indices([caption(RED), caption(RED, BLUE)]))))
    assert torch.equal(one, light[0])
    assert torch.equal(both, light[0] + light.flip(-1)[0])
    assert len(asked) == 2
    nothing = Condition(words=torch.zeros(2, 2, 5, dtype=torch.long))
    assert (to_unit(together(z, s, nothing)) == 0.25).all()
    assert len(asked) == 3


def test_turning_the_clauses_round_changes_nothing():
    torch.manual_seed(0)
    network = denoiser(TWO_SPRITES.config).eval()
    torch.nn.init.normal_(network.head.weight)
    one, other = (
        draw_two(network, [text], generator=generator(0), num_steps=2)
        for text in (caption(RED, BLUE), caption(BLUE, RED))
    )
    assert torch.allclose(one, other, atol=1e-4)


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
    assert [(one.words > 0).sum(dim=1).tolist() for one in asked[:2]] == [[5, 10], [5, 10]]


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
