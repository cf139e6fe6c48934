"""The small language of the sprite world: ``a red circle moves left``.

A caption is ``a COLOUR SHAPE PHRASE``, one phrase for each motion; a second sprite follows behind ``while``.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

COLOURS: tuple[str, ...] = ("red", "green", "blue", "yellow")
SHAPES: tuple[str, ...] = ("circle", "square", "triangle", "cross")
PHRASES: dict[str, str] = {
    "left": "moves left",
    "right": "moves right",
    "up": "moves up",
    "down": "moves down",
    "clockwise": "moves clockwise",
    "still": "stands still",
}
MOTIONS: tuple[str, ...] = tuple(PHRASES)

VOCABULARY: tuple[str, ...] = tuple(
    dict.fromkeys(["a", *COLOURS, *SHAPES, *(word for phrase in PHRASES.values() for word in phrase.split()), "while"])
)
"""Every word that a caption can hold, in a fixed order."""


class Combination(NamedTuple):
    """What a caption says of one sprite."""

    colour: str
    shape: str
    motion: str


ALL: tuple[Combination, ...] = tuple(
    Combination(colour, shape, motion) for colour in COLOURS for shape in SHAPES for motion in MOTIONS
)

HELD_OUT: tuple[Combination, ...] = (
    Combination("red", "circle", "left"),
    Combination("blue", "cross", "left"),
    Combination("green", "triangle", "right"),
    Combination("yellow", "square", "right"),
    Combination("red", "square", "up"),
    Combination("yellow", "triangle", "up"),
    Combination("green", "circle", "down"),
    Combination("blue", "square", "down"),
    Combination("blue", "triangle", "clockwise"),
    Combination("yellow", "cross", "clockwise"),
    Combination("red", "cross", "still"),
    Combination("green", "circle", "still"),
)
"""Combinations that no model of the course is ever trained on: one that draws them has composed, not remembered.

Every colour, every shape and every motion stands in the training set with all others; only these triples do not.
"""

TRAINED: tuple[Combination, ...] = tuple(combination for combination in ALL if combination not in HELD_OUT)

ALL_PAIRS: tuple[tuple[Combination, Combination], ...] = tuple(
    (first, second) for first in ALL for second in ALL if first.colour != second.colour
)
"""What a caption of two sprites can say: the two differ in colour, which is how words and sprites find each other."""

TRAINED_PAIRS: tuple[tuple[Combination, Combination], ...] = tuple(
    pair for pair in ALL_PAIRS if set(pair) <= set(TRAINED)
)
HELD_OUT_PAIRS: tuple[tuple[Combination, Combination], ...] = tuple(
    pair for pair in ALL_PAIRS if not set(pair) <= set(TRAINED)
)
"""Pairs in which at least one of the two is never trained on, alone or beside another."""


def caption(*combinations: Combination) -> str:
    """Say in words what one sprite, or two, do."""
    return " while ".join(f"a {colour} {shape} {PHRASES[motion]}" for colour, shape, motion in combinations)


def parse(text: str) -> tuple[Combination, ...]:
    """Read a caption back; the inverse of ``caption``.

    Raises:
        ValueError: with the caption and the grammar, when the words do not follow it.
    """
    motions = {phrase: motion for motion, phrase in PHRASES.items()}
    found = []
    if not isinstance(text, str):
        raise ValueError(f"caption: wanted a sentence, got {text!r:.60}")
    for clause in text.split(" while "):
        words = clause.split(maxsplit=3)
        if len(words) == 4 and words[0] == "a" and words[1] in COLOURS and words[2] in SHAPES and words[3] in motions:
            found.append(Combination(words[1], words[2], motions[words[3]]))
        else:
            raise ValueError(
                f"caption: wanted 'a COLOUR SHAPE PHRASE' with a colour of {COLOURS}, a shape of {SHAPES} "
                f"and a phrase of {tuple(motions)}, got {text!r}"
            )
    return tuple(found)


MAX_WORDS = len(caption(ALL[0]).split())
"""Words of a caption of one sprite."""
PAIR_WORDS = 2 * MAX_WORDS + 1
"""Words of a caption of two sprites: two clauses, and ``while``."""


def indices(captions: Sequence[str], *, max_words: int = MAX_WORDS) -> Tensor:
    """Replace words by their places in the vocabulary, counted from 1; 0 stands for a word that is left out.

    Args:
        captions: B sentences.
        max_words: L; shorter captions are filled up with 0.

    Returns:
        (B, L), whole numbers.

    Raises:
        ValueError: for a word that is in no caption, or a sentence that is too long.
    """
    rows = []
    for text in captions:
        words = text.split()
        unknown = [word for word in words if word not in _INDEX]
        if unknown or len(words) > max_words:
            raise ValueError(f"caption: wanted at most {max_words} words of {', '.join(VOCABULARY)}, got {text!r}")
        rows.append([_INDEX[word] for word in words] + [0] * (max_words - len(words)))
    return torch.tensor(rows, dtype=torch.long).reshape(len(rows), max_words)


_INDEX = {word: index for index, word in enumerate(VOCABULARY, start=1)}
