"""The recipe of two sprites: what is trained, what is seen, how words are bound, and the way down the line."""

import pytest
import torch

from course.budget import generator
from course.datasets import sprites
from course.datasets.captions import (
    ALL_PAIRS,
    HELD_OUT,
    HELD_OUT_PAIRS,
    Combination,
    caption,
    indices,
    parse,
)
from course.datasets.sprites import SpriteConfig
from course.diffusion.schedule import to_signed, to_unit
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
    draw_line,
    draw_two,
    draw_unseen,
    exchanged,
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


@pytest.fixture(scope="module", name="examples")
def fixture_examples():
    return two_sprites_examples(300, generator(1))


def test_two_thirds_of_the_examples_are_of_two_sprites_and_none_is_held_out(examples):
    words, given = examples.condition.words, examples.condition.given
    assert examples.clips.shape == given.shape == (300, 8, 3, 16, 16)
    assert words.shape == (300, 5)
    alone = given.flatten(1).amax(dim=1) == 0
    assert alone.sum() == 100
    assert 20 < alone[:100].sum() < 50  # wherever they were put
    held_out = indices([caption(one) for one in HELD_OUT]).tolist()
    assert [clause for clause in words.tolist() if clause in held_out] == []


def test_the_words_say_what_is_asked_for_and_nothing_of_what_is_given(examples):
    words, (red, green, blue) = examples.condition.words, indices(["red green blue"], max_words=3)[0].tolist()
    for word, channel in ((red, 0), (green, 1), (blue, 2)):
        says = words[:, 1] == word
        assert says.sum() > 30
        assert (examples.clips[says].amax(dim=(1, 3, 4))[:, channel] > 0.5).all()
        if word != green:  # yellow is red and green
            assert examples.clips[says].amax(dim=(1, 3, 4))[:, 2 - channel].max() < 0.5
    assert examples.clips.amax(dim=(1, 2, 3, 4)).min() > 0.5  # never nothing


def test_what_is_given_is_what_the_world_would_show_beside_it(examples):
    seen = examples.condition.given
    two = seen.flatten(1).amax(dim=1) > 0
    both = examples.clips[two].amax(dim=2) * seen[two].amax(dim=2)  # (B, T, H, W)
    assert both.max() < 0.5  # one never covers the other: soft edges may touch
    assert (examples.clips[two].roll(1, 0).amax(dim=2) * seen[two].amax(dim=2)).max() > 0.9
    again = two_sprites_examples(300, generator(1))
    assert torch.equal(again.condition.given, seen)


def test_words_are_left_out_as_of_one_sprite_and_what_is_given_stays(examples):
    left = examples.condition.words == 0
    assert left.all(dim=1).float().mean().item() == pytest.approx(ALL_LEFT_OUT, abs=0.05)
    assert left[~left.all(dim=1)][:, 1].float().mean().item() == pytest.approx(ONE_LEFT_OUT, abs=0.05)
    seen = examples.condition.given.flatten(1).amax(dim=1) > 0
    assert (left.all(dim=1) & seen).sum() > 8


def test_a_sum_of_words_cannot_tell_bindings_apart():
    captions = [caption(*exchanged((RED, BLUE), *parts)) for parts in BINDINGS.values()]
    torch.manual_seed(0)
    vectors = CaptionEncoder(18, 11, 96)(indices(captions, max_words=11))
    apart = torch.cdist(vectors, vectors, compute_mode="donot_use_mm_for_euclid_dist")
    assert apart.max() < 1e-4


def test_clauses_are_rows_and_a_lone_one_leaves_the_second_empty():
    words = pair_indices([caption(RED), caption(RED, BLUE), caption(BLUE, RED)])
    assert words.shape == (3, 2, 5)
    red, blue = indices([caption(RED), caption(BLUE)])
    for row, (first, second) in zip(words, ((red, torch.zeros(5)), (red, blue), (blue, red)), strict=True):
        assert torch.equal(row[0], first)
        assert torch.equal(row[1], second.long())


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


def test_the_second_is_drawn_with_the_first_in_sight_and_added_to_it():
    red, blue = indices([caption(RED), caption(BLUE)])
    shown = {red[1].item(): torch.zeros(8, 3, 16, 16), blue[1].item(): torch.full((8, 3, 16, 16), 0.25)}
    shown[red[1].item()][:, 0], shown[red[1].item()][:, 1] = 1.0, 0.5
    asked = []

    def network(noisy, noise_step, condition):
        asked.append(condition)
        drawn = [shown.get(word, noisy[0]) for word in condition.words[:, 1].tolist()]
        return to_signed(torch.stack(drawn))

    texts = [caption(RED), caption(RED, BLUE), caption(BLUE, RED)]
    clips = draw_two(network, texts, generator=generator(0), num_steps=1, guidance=1.0)
    assert clips.shape == (3, 8, 3, 16, 16)
    first, second = asked
    assert torch.equal(first.words, torch.stack([red, red, blue]))
    assert not first.given.any()
    assert torch.equal(second.words, torch.stack([blue, red]))
    ahead = [shown[one[1].item()] for one in (red, blue)]
    assert torch.equal(second.given, torch.stack(ahead))
    together = torch.tensor([1.0, 0.75, 0.25]).view(3, 1, 1).expand(8, 3, 16, 16)  # added, and no more than 1
    assert torch.equal(clips, torch.stack([ahead[0], together, together]))


def test_nothing_is_asked_where_no_caption_has_a_second_clause():
    asked = []

    def network(noisy, noise_step, condition):
        asked.append(condition)
        return torch.zeros_like(noisy)

    draw_two(network, [caption(RED)], generator=generator(0), num_steps=1, guidance=1.0)
    assert len(asked) == 1


def test_the_rival_draws_each_clause_by_itself():
    captions = [caption(RED, BLUE), caption(BLUE, RED)]
    states = {
        text: sprites.render(
            sprites.sample_state([parse(text)[0]], generator=generator(0), config=SpriteConfig()), config=SpriteConfig()
        )
        for text in (caption(RED), caption(BLUE))
    }
    clips = draw_unseen(lambda texts: torch.cat([states[text] for text in texts]), captions)
    assert torch.equal(clips[0], clips[1])
    assert torch.equal(clips[:1], sum(states.values()).clamp(0, 1))


@pytest.mark.parametrize("way", [carry, carry_apart])
def test_two_are_carried_as_they_are_or_apart(real, way):
    """Stages that hand on what they are given: the parts must come together again as the clip they were made of."""
    asked = []

    def stage(noisy, noise_step, condition):
        asked.append(condition)
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
        assert not any(one.words.any() for one in asked)
        return
    assert torch.equal(asked[0].words, clauses[0])
    assert torch.equal(asked[-1].words, clauses[1])
    lit = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]])  # of red, green, blue, yellow
    in_time = [one for one in asked if one.given.shape[2] == 6]  # behind it what is divided has noise in it
    for one in in_time:  # each clause with its own part: little light where its colour has none
        k = int(torch.equal(one.words, clauses[1]))
        own = lit[two_sprites.colours_of(real.captions)[:, k]]  # (3, 3)
        brightest = to_unit(one.given[:, :, :3]).amax(dim=(1, 3, 4))
        assert (brightest[own == 1] > 0.8).all()
        assert (brightest[own == 0] < 0.7).all()
    assert len({tuple(one.words.flatten().tolist()) for one in in_time}) == 2


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
