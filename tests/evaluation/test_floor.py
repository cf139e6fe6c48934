"""The floor: nothing is unknown where nothing can move, and each future drawn looks as what was seen."""

import pytest
import torch

from course import budget
from course.datasets.digits import load_digits, moving_digits
from course.evaluation import floor as module
from course.evaluation.floor import floor

ROOM = torch.tensor([36, 36])


def test_it_repeats_and_grows_with_the_horizon_and_is_small():
    images = load_digits("test")[0]
    first, again = (floor(30, generator=budget.generator(0), images=images, num_tries=128) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == (10,)
    assert first[-3:].mean() > 1.3 * first[:3].mean()
    assert 1 < first.mean() < 10  # all black: about 335


def test_a_digit_as_large_as_the_frame_leaves_nothing_to_guess():
    images = torch.rand(2, 1, 64, 64, generator=budget.generator(0))
    assert floor(2, generator=budget.generator(0), images=images, num_tries=64).max() < 1e-9


def test_the_paths_are_those_of_the_data():
    """The same draws as in ``moving_digits``: start, then angle."""
    images = load_digits("train")[0]
    positions = moving_digits(4, generator=budget.generator(5), images=images, num_digits=1).positions[:, :, 0]
    generator = budget.generator(5)
    torch.randint(len(images), (4, 1), generator=generator)
    start = torch.rand(4, 1, 2, generator=generator)[:, 0]
    angle = 2 * torch.pi * torch.rand(4, 1, generator=generator)[:, 0]
    assert torch.equal(module._corners(start, angle, ROOM), positions.long())


def test_the_futures_drawn_differ_and_all_stay_near_the_truth(monkeypatch):
    """What is drawn looks in the given frames as what was seen, and the bounds of the search are never met."""
    seen, whole = [], module._corners

    def watched(start, angle, room):
        seen.append((start, angle, whole(start, angle, room)))
        return seen[-1][2]

    monkeypatch.setattr(module, "_corners", watched)
    generator = budget.generator(1)
    differ = 0
    for _ in range(20):
        start, angle = torch.rand(2, generator=generator), 6 * torch.rand((), generator=generator)
        seen.clear()
        futures = module._futures(start, angle, ROOM, 40, 128, generator)
        (_, _, truth), (starts, angles, paths) = seen
        assert torch.equal(paths[:, 10:], futures)
        assert (paths[:, :10] == truth[0, :10]).all()
        assert (angles - angle).abs().max() < 0.15
        assert ((starts >= 0) & (starts <= 1)).all()
        differ += len(futures.unique(dim=0)) > 1
    assert differ >= 15


@pytest.mark.parametrize("wrong", [{"num_clips": 0}, {"num_futures": 0}, {"num_tries": 0}])
def test_numbers_without_sense_are_refused(wrong):
    images = torch.rand(2, 1, 28, 28)
    with pytest.raises(ValueError, match="at least one clip, future and try, got"):
        floor(**{"num_clips": 1, "generator": budget.generator(0), "images": images} | wrong)
