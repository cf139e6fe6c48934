"""Clips of two sprites: what their captions say is what is seen, the two keep apart, and what is held out stays out."""

import pytest
import torch

from course.budget import generator
from course.datasets import sprites
from course.datasets.captions import (
    ALL,
    ALL_PAIRS,
    HELD_OUT,
    HELD_OUT_PAIRS,
    PAIR_WORDS,
    TRAINED,
    TRAINED_PAIRS,
    caption,
    indices,
    parse,
)
from course.datasets.sprites import APART, SpriteConfig


def test_pairs_are_split_by_what_either_of_the_two_is():
    assert set(TRAINED_PAIRS) | set(HELD_OUT_PAIRS) == set(ALL_PAIRS)
    assert not set(TRAINED_PAIRS) & set(HELD_OUT_PAIRS)
    assert {one for pair in TRAINED_PAIRS for one in pair} == set(TRAINED)
    assert all(set(pair) & set(HELD_OUT) for pair in HELD_OUT_PAIRS)
    assert len(ALL_PAIRS) == len(ALL) * len(ALL) * 3 // 4
    assert all(one.colour != other.colour for one, other in ALL_PAIRS)


def test_captions_of_pairs_have_as_many_words_as_said():
    words = indices([caption(*pair) for pair in ALL_PAIRS[::97]], max_words=PAIR_WORDS)
    assert (words > 0).all()
    assert all(parse(caption(*pair)) == pair for pair in ALL_PAIRS[::97])


@pytest.mark.parametrize(
    "config", [SpriteConfig(), SpriteConfig(size=32), SpriteConfig(num_frames=16, frame_rate=2)], ids=str
)
def test_a_batch_of_pairs_is_what_it_says(config):
    batch = sprites.sample_pairs(60, generator=generator(0), config=config)
    assert batch.clips.shape == (60, config.num_frames, 3, config.size, config.size)
    assert 0 <= batch.clips.min() < batch.clips.max() <= 1
    told = zip(batch.state.combinations(), batch.second.combinations(), strict=True)
    assert batch.captions == [caption(*pair) for pair in told]
    assert torch.equal(batch.clips, sprites.render(batch.second, batch.state, config=config))
    near = (batch.state.position - batch.second.position).norm(dim=2).amin()
    assert near >= APART * config.size


def test_pairs_repeat_with_the_generator():
    one, again, other = (sprites.sample_pairs(8, generator=generator(seed)) for seed in (5, 5, 6))
    assert torch.equal(one.clips, again.clips)
    assert one.captions == again.captions
    assert not torch.equal(one.clips, other.clips)


def test_every_pair_gets_paths_of_its_own_in_the_order_asked_for():
    """Also those that are placed in a later round: crossing paths are hard to place."""
    crossing = [pair for pair in ALL_PAIRS if {one.motion for one in pair} == {"left", "up"}][:12]
    still = [pair for pair in ALL_PAIRS if {one.motion for one in pair} == {"still"}][:12]
    asked = [pair for both in zip(crossing, still, strict=True) for pair in both]
    states = sprites.sample_pair_states(asked, generator=generator(1), config=SpriteConfig())
    assert list(zip(*(state.combinations() for state in states), strict=True)) == asked
    for state, combinations in zip(states, zip(*asked, strict=True), strict=True):
        goes = state.position[:, -1] - state.position[:, 0]
        for (row, column), combination in zip(goes.tolist(), combinations, strict=True):
            wanted = {"left": (0, -1), "up": (-1, 0), "still": (0, 0)}[combination.motion]
            assert (round(row / 16, 1) <= -0.2, round(column / 16, 1) <= -0.2) == (wanted[0] < 0, wanted[1] < 0)
    starts = states[0].position[1::2, 0]
    assert len(starts.unique(dim=0)) == len(starts)


def test_pairs_are_drawn_from_those_given():
    batch = sprites.sample_pairs(300, generator=generator(2), pairs=TRAINED_PAIRS)
    drawn = set(zip(batch.state.combinations(), batch.second.combinations(), strict=True))
    assert drawn <= set(TRAINED_PAIRS)
    assert len(drawn) > 250


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: sprites.sample_pairs(0, generator=generator(0)), "num_clips: wanted a whole number of at least 1"),
        (lambda: sprites.sample_pairs(1, generator=generator(0), pairs=()), "pairs: wanted at least one"),
        (
            lambda: sprites.sample_pairs(
                1,
                generator=generator(0),
                config=SpriteConfig(num_frames=64),
                pairs=[(ALL[0], ALL[40]._replace(motion="up"))],
            ),
            "in which two sprites can keep 0.42 sides apart",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(make, words):
    with pytest.raises(ValueError, match="wanted") as error:
        make()
    assert words in str(error.value)
