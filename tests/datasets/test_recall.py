"""The test of memory: what is seen when, that the question gives nothing away, and where chance comes from."""

import pytest
import torch
from torch.nn import functional as F

from course.budget import generator
from course.datasets.digits import load_digits
from course.datasets.recall import BOARD, NUM_SHOWN, QUESTION, recall_clips, recall_digits

GAP = 5


@pytest.fixture(name="images")
def fixture_images():
    """Ten images that differ: image i is (i + 1) / 10 everywhere but for a black upper half."""
    images = torch.linspace(0.1, 1, 10)[:, None, None, None].repeat(1, 1, 12, 12)
    images[:, :, :6] = 0
    return images


LABELS = torch.arange(10).flip(0)  # not the index, so that one cannot pass for the other


def made(images, num_clips=64, gap=GAP, seed=0):
    return recall_clips(num_clips, gap, generator=generator(seed), images=images, labels=LABELS)


def brightness(frames):
    """Return the lower half, inside the margin, of frames (..., 16, 16): where the images have their tone."""
    return frames[..., 8:14, 2:14].flatten(-2)


def test_a_clip_has_two_frames_to_see_a_gap_and_a_question(images):
    for gap in (0, 1, GAP):
        batch = made(images, gap=gap)
        assert batch.clips.shape == (64, gap + 3, 1, 16, 16)
        assert batch.clips.dtype == torch.float32
        assert batch.clips.min() == 0
        assert batch.clips.max() == 1
        assert (batch.labels.shape, batch.labels.dtype) == ((64,), torch.int64)


def test_the_digit_of_the_label_is_seen_in_the_first_two_frames_on_black(images):
    batch = made(images)
    tone = (10 - batch.labels) / 10  # label 9 is image 0, which is 0.1
    for frame in range(NUM_SHOWN):
        seen = batch.clips[:, frame, 0]
        assert torch.allclose(brightness(seen), tone[:, None].expand(-1, 72))
        assert seen[:, :8].abs().sum() == 0  # the black upper half, and the margin above it
        for edge in (seen[:, 14:], seen[..., :2], seen[..., 14:]):
            assert edge.abs().sum() == 0
    assert len(batch.labels.unique()) == 10


def test_the_digits_are_those_of_the_course_shrunk_by_the_mean_of_their_areas():
    for split in ("train", "test"):
        large, wanted = load_digits(split)
        images, labels = recall_digits(split)
        assert torch.allclose(images, F.adaptive_avg_pool2d(large, 12), atol=1e-6)
        assert torch.equal(labels, wanted)
    assert len(recall_digits()[0]) == 1433  # the default is what one trains with


def test_in_the_gap_digits_flash_by_on_the_board_at_half_their_brightness(images):
    batch = made(images)
    gap = batch.clips[:, NUM_SHOWN:-1, 0]
    assert (gap[..., :8, :] == BOARD).all()  # the board covers what was there, and black adds nothing
    for edge in (gap[..., 14:, :], gap[..., :2], gap[..., 14:]):
        assert (edge == BOARD).all()
    tones = ((brightness(gap) - BOARD) * 2 * 10).round()  # image i is i + 1 everywhere
    assert (tones == tones[..., :1]).all()
    assert tones.unique().tolist() == list(range(1, 11))
    one_clip = tones[:, :, 0]
    assert (one_clip.std(dim=1) > 0).all(), "another digit in each frame"


def test_what_passes_tells_nothing_of_what_was_shown(images):
    """Over many clips each digit follows each with the same frequency, 1 in 10, within 4 standard deviations."""
    batch = made(images, num_clips=20_000, gap=1)
    passing = 10 - ((brightness(batch.clips[:, NUM_SHOWN, 0])[:, 0] - BOARD) * 20).round().long()  # its label
    counts = torch.zeros(10, 10)
    counts.index_put_((batch.labels, passing), torch.ones(len(passing)), accumulate=True)
    assert (counts - 200).abs().max() < 4 * 200**0.5


def test_the_last_frame_is_the_same_question_for_all(images):
    batch = made(images)
    last = batch.clips[:, -1, 0]
    assert (last == last[0]).all()
    white = (last[0] == 1).nonzero().tolist()
    assert white == [[5 + row, 5 + column] for row, column in QUESTION]
    assert (last[0] == BOARD).sum() == 16 * 16 - len(QUESTION)


def test_the_seed_decides(images):
    first, again, other = (made(images, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.clips, again.clips)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.clips, other.clips)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_clips": 0}, "at least 1 clip and a gap of at least 0 frames, got 0 and 2"),
        ({"gap": -1}, "at least 1 clip and a gap of at least 0 frames, got 4 and -1"),
        ({"images": torch.zeros(10, 12, 12)}, "images: wanted (N, 1, H, W), got (10, 12, 12)"),
        ({"images": torch.zeros(10, 3, 12, 12)}, "wanted images (N, 1, 12, 12) and labels (N,), got (10, 3, 12, 12)"),
        ({"images": torch.zeros(10, 1, 28, 28)}, "wanted images (N, 1, 12, 12) and labels (N,), got (10, 1, 28, 28)"),
        (
            {"images": torch.zeros(0, 1, 12, 12), "labels": LABELS[:0]},
            "wanted images (N, 1, 12, 12) and labels (N,), got (0, 1, 12, 12)",
        ),
        ({"labels": torch.arange(9)}, "got (10, 1, 12, 12) and (9,)"),
    ],
)
def test_what_does_not_fit_is_refused(images, arguments, words):
    given = {"num_clips": 4, "gap": 2, "images": images, "labels": LABELS, **arguments}
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the words are compared below)
        recall_clips(**given, generator=generator(0))
    assert words in str(error.value)
