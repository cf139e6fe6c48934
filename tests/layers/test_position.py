import math

import pytest
import torch

from course.layers.position import LearnedPosition, rotate, sinusoidal


def test_the_waves_are_those_of_the_formula():
    table = sinusoidal(50, 8)
    for place in (0, 1, 7, 49):
        for wave in range(4):
            angle = place / 10000 ** (2 * wave / 8)
            assert table[place, 2 * wave].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert table[place, 2 * wave + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_no_two_places_look_alike():
    distances = torch.cdist(sinusoidal(300, 32), sinusoidal(300, 32))
    assert (distances + 9 * torch.eye(300)).min() > 0.1


def test_rotated_scores_depend_on_the_distance_alone():
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 16)
    turned_q, turned_k = rotate(q.expand(40, -1)), rotate(k.expand(40, -1))
    scores = turned_q @ turned_k.T  # (40, 40)
    for distance in (-20, -3, 0, 1, 20):
        along = scores.diagonal(distance)
        assert torch.allclose(along, along[0].expand_as(along), atol=1e-4)
    assert scores[0].std() > 0.1  # and they do depend on it
    assert not torch.allclose(scores, scores.T, atol=0.1)  # ahead is not behind


def test_a_later_start_shifts_all_places():
    x = torch.randn(2, 3, 9, 4)
    assert torch.equal(rotate(x, start=0), rotate(x))
    assert torch.allclose(rotate(x[..., 4:, :], start=4), rotate(x)[..., 4:, :])


def test_rotation_is_a_rotation():
    x = torch.tensor([[3.0, 4.0]]).expand(7, 2)
    turned = rotate(x)
    assert torch.allclose(turned.norm(dim=-1), torch.full((7,), 5.0))
    assert torch.allclose(turned[0], x[0])
    one = torch.tensor([3 * math.cos(1) - 4 * math.sin(1), 3 * math.sin(1) + 4 * math.cos(1)])
    assert torch.allclose(turned[1], one, atol=1e-6)


def test_half_the_numbers_turn_fast_and_half_slowly():
    turned = rotate(torch.ones(2, 4))[1]
    angles = torch.atan2(turned[2:], turned[:2]) - math.pi / 4
    assert torch.allclose(angles, torch.tensor([1.0, 0.01]), atol=1e-4)


def test_a_learned_table_is_cut_to_length_and_learns():
    learned = LearnedPosition(5, 3)
    assert torch.equal(learned(4), learned.table[:4])
    learned(4).sum().backward()
    assert learned.table.grad[:4].min() == 1
    assert learned.table.grad[4:].abs().sum() == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: LearnedPosition(5, 3)(6), "made for 5, got 6"),
        (lambda: sinusoidal(4, 3), "wanted an even number, since each wave takes a sine and a cosine, got 3"),
        (lambda: rotate(torch.zeros(4, 5)), "wanted an even number, since each wave takes a sine and a cosine, got 5"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the words are compared below)
        call()
    assert words in str(error.value)
