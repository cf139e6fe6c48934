"""The judge of two sprites: it passes what is so, and rejects what two sprites can get wrong and one cannot."""

from dataclasses import replace

import pytest
import torch

from course.budget import generator
from course.datasets import sprites
from course.datasets.captions import COLOURS, Combination, caption
from course.datasets.sprites import PALETTE, SpriteConfig
from course.evaluation.calibration import calibrate_pairs
from course.evaluation.judge import judge, judge_pairs, separated

RED, BLUE = Combination("red", "circle", "left"), Combination("blue", "square", "up")


def rendered(*pair, num_clips=4):
    states = sprites.sample_pair_states([pair] * num_clips, generator=generator(0), config=SpriteConfig())
    return sprites.render(*states[::-1], config=SpriteConfig())


@pytest.fixture(scope="module", name="rows")
def fixture_rows():
    return {row.name: row for row in calibrate_pairs(100, seed=1)}


def test_real_clips_pass_at_every_size(rows):
    for name, row in rows.items():
        if name.startswith("real"):
            assert row.valid == row.motion == row.caption == 1, name
            assert row.residual[2] < 0.03, name  # far from the bound: corners that touch cost next to nothing


def test_no_spoilt_clip_does_what_its_caption_says(rows):
    for name, row in rows.items():
        if not name.startswith("real"):
            assert row.caption <= 0.02, name


def test_valid_wants_these_two_in_every_frame_and_nothing_else(rows):
    for name in (
        "the first alone",
        "the second alone",
        "a third, of another colour",
        "a third, of the first's colour",
        "the second missing in one frame",
        "one frame robbed",
        "blurred by 1 pixel",
        "noise of 0.15",
        "noise alone",
    ):
        assert rows[name].valid <= 0.02, name
    for name in ("colours exchanged", "shapes exchanged", "motions exchanged", "the first of a third colour", "frozen"):
        assert rows[name].valid == 1, name  # two sprites they are, and not the ones asked for
    assert rows["shapes exchanged"].motion == 1  # what moves how is right, only what it is is not


def test_words_belong_to_their_own_sprite():
    """All four scenes hold the same words; only one is what the caption says."""
    clips = rendered(RED, BLUE)
    for first, second, right in (
        (RED, BLUE, True),
        (BLUE, RED, True),  # the order of the clauses says nothing
        (RED._replace(shape="square"), BLUE._replace(shape="circle"), False),
        (RED._replace(motion="up"), BLUE._replace(motion="left"), False),
        (RED._replace(colour="blue"), BLUE._replace(colour="red"), False),
    ):
        verdict = judge_pairs(clips, [caption(first, second)] * 4)
        assert verdict.caption.tolist() == [right] * 4
        assert verdict.valid.all()
    exchanged = judge_pairs(clips, [caption(RED._replace(shape="square"), BLUE._replace(shape="circle"))] * 4)
    assert exchanged.rates()["caption_colour"] == exchanged.rates()["caption_motion"] == 1
    assert exchanged.rates()["caption_shape"] == 0


def test_each_clause_is_judged_by_its_own_sprite():
    clips = rendered(RED, BLUE)
    verdict = judge_pairs(clips, [caption(RED, BLUE._replace(motion="down"))] * 4)
    assert verdict.first.caption.all()
    assert not verdict.second.caption.any()
    assert verdict.second.combinations == [BLUE] * 4
    assert verdict.first.rates()["caption_motion"] == 1
    assert verdict.rates()["caption_motion"] == 0


@pytest.mark.parametrize(
    "told", [(RED, Combination("green", "square", "up")), (Combination("green", "square", "up"), RED)]
)
def test_with_one_colour_wrong_the_other_clause_gets_the_other_sprite(told):
    verdict = judge_pairs(rendered(RED, BLUE), [caption(*told)] * 4)
    parts = {"red": verdict.first, "green": verdict.second}
    if told[0] != RED:
        parts = {"red": verdict.second, "green": verdict.first}
    assert parts["red"].caption.all()
    assert parts["green"].rates() | {"caption": 1.0} == dict.fromkeys(parts["green"].rates(), 1.0) | {
        "caption_colour": 0.0
    }
    assert not verdict.caption.any()


def test_each_part_is_the_clip_of_one_sprite():
    """Where two keep well apart, dividing gives back what was put together."""
    pair = RED._replace(motion="still"), BLUE._replace(motion="down")
    states = sprites.sample_pair_states([pair] * 40, generator=generator(3), config=SpriteConfig())
    clips = sprites.render(*states[::-1], config=SpriteConfig())
    apart = (states[0].position - states[1].position).abs().amax(dim=2).amin(dim=1) > 0.47 * 16  # no pixel in common
    assert apart.sum() > 3
    colours = torch.tensor([[COLOURS.index("red"), COLOURS.index("blue")]] * 40)
    for part, state in zip(separated(clips, colours), states, strict=True):
        alone = sprites.render(state, config=SpriteConfig())
        assert torch.allclose(part[apart], alone[apart], atol=1e-5)


def test_what_neither_colour_explains_is_held_against_both():
    clips = torch.zeros(1, 3, 3, 16, 16)
    two = PALETTE[:2]
    beyond = torch.linalg.cross(two[0], two[1])
    clips[0, 1, :, 4, 4] = beyond.abs()
    first, second = separated(clips, torch.tensor([[0, 1]]))
    normal = beyond / beyond.norm()
    left = clips[0, 1, :, 4, 4] @ normal
    assert first[0, 1, :, 4, 4] @ normal == pytest.approx(left.item(), abs=1e-5)
    assert second[0, 1, :, 4, 4] @ normal == pytest.approx(left.item(), abs=1e-5)


def test_a_clip_of_one_sprite_is_judged_as_ever():
    batch = sprites.sample(40, generator=generator(5))
    assert judge(batch.clips, batch.captions).caption.all()
    with pytest.raises(ValueError, match="wanted one sprite each"):
        judge(batch.clips[:1], [caption(RED, BLUE)])


def test_a_part_that_changes_its_shape_loses_its_identity():
    states = sprites.sample_pair_states([(RED, BLUE)] * 4, generator=generator(0), config=SpriteConfig())
    shape = states[1].shape.clone()
    shape[:, 5:] = (shape[:, 5:] + 1) % 4
    clips = sprites.render(replace(states[1], shape=shape), states[0], config=SpriteConfig())
    verdict = judge_pairs(clips, [caption(RED, BLUE)] * 4)
    assert verdict.first.identity.all()
    assert not verdict.identity.any()
    assert not verdict.caption.any()


@pytest.mark.parametrize(
    ("clips", "captions", "config", "words"),
    [
        (torch.zeros(1, 8, 3, 20, 20), [caption(RED, BLUE)], None, "H = (16, 32, 64)"),
        (torch.zeros(2, 8, 3, 16, 16), [caption(RED, BLUE)], None, "wanted one for each of 2 clips"),
        (torch.zeros(1, 8, 3, 16, 16), [caption(RED)], None, "wanted two sprites each"),
        (torch.zeros(1, 8, 3, 16, 16), [caption(RED, RED)], None, "wanted two sprites of different colours"),
        (torch.zeros(1, 8, 3, 16, 16), [caption(RED, BLUE)], SpriteConfig(occluder=True), "without an occluder"),
    ],
)
def test_what_cannot_be_judged_is_refused(clips, captions, config, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the words are compared below)
        judge_pairs(clips, captions, config=config)
    assert words in str(error.value)


def test_the_calibration_wants_enough_clips():
    with pytest.raises(ValueError, match="at least 100"):
        calibrate_pairs(10)
