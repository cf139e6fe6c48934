"""Block matching, against shifts that are known and a search by loops."""

import pytest
import torch

from course.budget import generator
from course.evaluation.motion import block_matching


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=generator(seed))


def by_loops(before, after, block_size, radius):
    """Match the blocks of one pair the slow way, pixel by pixel."""
    _, height, width = before.shape
    result = torch.zeros(height // block_size, width // block_size, 2, dtype=torch.int64)
    for row in range(result.shape[0]):
        for column in range(result.shape[1]):
            best = None
            for dy in range(-radius, radius + 1):
                for dx in range(-radius, radius + 1):
                    cost = 0.0
                    for y in range(row * block_size, (row + 1) * block_size):
                        for x in range(column * block_size, (column + 1) * block_size):
                            source = before[:, min(max(y - dy, 0), height - 1), min(max(x - dx, 0), width - 1)]
                            cost += (after[:, y, x] - source).abs().sum().item()
                    key = (round(cost, 4), dy * dy + dx * dx)
                    if best is None or key < best:
                        best = key
                        result[row, column] = torch.tensor([dy, dx])
    return result


@pytest.mark.parametrize("motion", [(0, 0), (1, 0), (0, -2), (3, 2)])
def test_finds_a_shift(motion):
    before = noise(2, 3, 32, 32)
    after = before.roll(motion, dims=(2, 3))
    found = block_matching(before, after, block_size=8, search_radius=4)
    assert found.shape == (2, 4, 4, 2)
    assert found.dtype == torch.int64
    assert (found[:, 1:3, 1:3] == torch.tensor(motion)).all()


def test_a_dot_that_moves_down_and_right():
    before, after = torch.zeros(2, 1, 1, 8, 8)
    before[..., 1, 1] = 1
    after[..., 3, 2] = 1
    found = block_matching(before, after, block_size=8, search_radius=3)
    assert found.tolist() == [[[[2, 1]]]]


def test_equals_the_definition():
    before, after = noise(2, 2, 3, 8, 12, seed=1)
    before, after = (before * 3).round() / 3, (after * 3).round() / 3
    found = block_matching(before, after, block_size=4, search_radius=2)
    for b in range(2):
        assert found[b].equal(by_loops(before[b], after[b], 4, 2))


def test_blocks_move_apart():
    before, after = torch.zeros(2, 1, 1, 16, 16)
    left, right = noise(4, 4, seed=2), noise(4, 4, seed=3)
    before[0, 0, 6:10, 2:6], after[0, 0, 6:10, 1:5] = left, left
    before[0, 0, 4:8, 9:13], after[0, 0, 6:10, 10:14] = right, right
    found = block_matching(before, after, block_size=8, search_radius=3)
    assert found[0, 1].tolist() == [[0, -1], [2, 1]]


def test_ties_go_to_the_shortest():
    flat = torch.full((1, 1, 8, 8), 0.5)
    assert block_matching(flat, flat, block_size=4, search_radius=3).eq(0).all()
    stripes = torch.zeros(1, 1, 12, 12)
    stripes[..., ::3] = 1  # moved by one, the stripes fit at +1 and at -2
    found = block_matching(stripes, stripes.roll(1, dims=3), block_size=4, search_radius=3)
    assert found[0, :, 1].tolist() == [[0, 1]] * 3


def test_bad_input():
    frame = noise(1, 1, 8, 8)
    with pytest.raises(ValueError, match="a divisor of 8 and 8"):
        block_matching(frame, frame, block_size=3, search_radius=1)
    with pytest.raises(ValueError, match="search_radius"):
        block_matching(frame, frame, block_size=4, search_radius=-1)
    with pytest.raises(ValueError, match="after"):
        block_matching(frame, noise(1, 1, 8, 16), block_size=4, search_radius=1)
