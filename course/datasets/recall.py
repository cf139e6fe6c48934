"""A test of memory: a handwritten digit is shown, hidden while other things happen, and asked for at the end.

Frames are 16x16 and grey. In the first two the digit is seen. Then a board covers it, and for ``gap`` frames other
digits flash by in front of the board, at half the brightness. In the last frame the board shows a question mark: which
digit was it? Nothing in the last frame helps, and what is seen on the way misleads.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from course.clips import expect_tensor
from course.datasets import digits

SIZE = 16
NUM_SHOWN = 2
"""Frames in which the digit is seen."""
BOARD = 0.5
"""Brightness of the board, and of the digits that flash by on it."""
DIGIT_SIZE = 12
MARGIN = (SIZE - DIGIT_SIZE) // 2
"""Pixels around a digit."""
QUESTION = ((0, 1), (0, 2), (0, 3), (0, 4), (1, 4), (2, 2), (2, 3), (3, 2), (5, 2), (5, 3))
"""Rows and columns of the question mark's pixels, from its upper left corner at (5, 5)."""


@dataclass(frozen=True)
class RecallClips:
    """A batch of clips and the answers to their questions.

    Attributes:
        clips: (B, gap + 3, 1, 16, 16), float32 in [0, 1].
        labels: (B,), int64 in 0..9: the digit that was shown first.
    """

    clips: Tensor
    labels: Tensor


def recall_digits(split: str = "train") -> tuple[Tensor, Tensor]:
    """Load one split of the handwritten digits, as small as they are shown here.

    Args:
        split: ``"train"`` or ``"test"``; no image is in both.

    Returns:
        images (N, 1, 12, 12), float32 in [0, 1], and labels (N,), int64 in 0..9.
    """
    images, labels = digits.load_digits(split)
    return F.interpolate(images, size=(DIGIT_SIZE, DIGIT_SIZE), mode="area"), labels


def recall_clips(
    num_clips: int, gap: int, *, generator: torch.Generator, images: Tensor, labels: Tensor
) -> RecallClips:
    """Render clips that ask for what was shown ``gap`` frames ago.

    Args:
        num_clips: clips in the batch, at least 1.
        gap: frames between the digit and the question, at least 0.
        generator: the source of chance.
        images: digits to draw from, (N, 1, 12, 12), float32 in [0, 1], as ``recall_digits`` gives them.
        labels: (N,), int64.

    Returns:
        The clips and what was shown in them.

    Raises:
        ValueError: for numbers out of range or images of another form.
    """
    if num_clips < 1 or gap < 0:
        raise ValueError(f"wanted at least 1 clip and a gap of at least 0 frames, got {num_clips} and {gap}")
    expect_tensor(images, "N 1 H W", name="images")
    if len(images) < 1 or images.shape[1:] != (1, DIGIT_SIZE, DIGIT_SIZE) or labels.shape != images.shape[:1]:
        raise ValueError(
            f"wanted images (N, 1, {DIGIT_SIZE}, {DIGIT_SIZE}) and labels (N,), "
            f"got {tuple(images.shape)} and {tuple(labels.shape)}"
        )
    shown = torch.randint(len(images), (num_clips,), generator=generator)
    passing = torch.randint(len(images), (num_clips, gap), generator=generator)

    clips = torch.zeros(num_clips, NUM_SHOWN + gap + 1, 1, SIZE, SIZE)
    middle = clips[..., MARGIN:-MARGIN, MARGIN:-MARGIN]  # (B, T, 1, 12, 12), a view
    middle[:, :NUM_SHOWN] = images[shown][:, None]
    clips[:, NUM_SHOWN:] = BOARD
    middle[:, NUM_SHOWN:-1] += (1 - BOARD) * images[passing]
    for row, column in QUESTION:
        clips[:, -1, 0, 5 + row, 5 + column] = 1
    return RecallClips(clips, labels[shown])
