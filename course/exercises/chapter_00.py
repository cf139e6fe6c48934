"""The exercise of chapter 00: nothing but how an exercise feels."""

import torch
from torch import Tensor

from course.exercises.checking import Exercise, same


def _played_backwards(answer: object) -> None:
    clip = torch.arange(4 * 3 * 2 * 2, dtype=torch.float32).reshape(4, 3, 2, 2) / 48
    same(
        answer(clip),
        clip.flip(0),
        usual={
            "the clip came back as it was: its order of frames must change": clip,
            "the colours were turned round, not the time: T is dimension 0 of (T, C, H, W), and 1 is C": clip.flip(1),
            "the picture was turned upside down: T is dimension 0 of (T, C, H, W), and 2 is H": clip.flip(2),
            "the picture was mirrored: T is dimension 0 of (T, C, H, W), and 3 is W": clip.flip(3),
            "everything was turned round, the picture too: name the dimension of time alone": clip.flip(0, 1, 2, 3),
        },
        look="compare the first frame that comes out with the last that goes in",
    )


def _reference(clip: Tensor) -> Tensor:
    return clip.flip(0)


EXERCISES = (
    Exercise(
        "00-backwards",
        _played_backwards,
        "the last frame comes first, and the picture stands upright",
        (
            "A clip is (T, C, H, W). Which of the four counts frames?",
            "`clip.flip(k)` turns dimension k round; `mirrored` above used k = 1.",
            "T is dimension 0.",
        ),
        _reference,
    ),
)
