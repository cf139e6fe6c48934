import pytest

from course.datasets.captions import (
    ALL,
    COLOURS,
    HELD_OUT,
    MOTIONS,
    SHAPES,
    TRAINED,
    VOCABULARY,
    Combination,
    caption,
    parse,
)


def test_every_caption_reads_back():
    for combination in ALL:
        text = caption(combination)
        assert parse(text) == (combination,)
        assert set(text.split()) <= set(VOCABULARY)
    assert parse(caption(ALL[3], ALL[50])) == (ALL[3], ALL[50])
    assert caption(Combination("red", "circle", "left")) == "a red circle moves left"


def test_the_world_is_large_enough_and_split():
    assert len(COLOURS) >= 4
    assert len(SHAPES) >= 4
    assert len(MOTIONS) >= 6
    assert len(ALL) == len(set(ALL)) == len(COLOURS) * len(SHAPES) * len(MOTIONS)
    assert set(TRAINED) | set(HELD_OUT) == set(ALL)
    assert not set(TRAINED) & set(HELD_OUT)


def test_what_is_held_out_is_balanced_and_every_pair_is_trained():
    for values, place in ((COLOURS, 0), (SHAPES, 1), (MOTIONS, 2)):
        counts = [sum(combination[place] == value for combination in HELD_OUT) for value in values]
        assert len(set(counts)) == 1, counts
    for first, second in ((0, 1), (0, 2), (1, 2)):
        pairs = {(combination[first], combination[second]) for combination in ALL}
        assert {(combination[first], combination[second]) for combination in TRAINED} == pairs


@pytest.mark.parametrize("text", ["", "red circle moves left", "a pink circle moves left", "a red circle moves"])
def test_other_sentences_are_refused(text):
    with pytest.raises(ValueError, match="a COLOUR SHAPE PHRASE") as error:
        parse(text)
    assert repr(text) in str(error.value)
