import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from course.budget import generator
from course.datasets import sprites
from course.evaluation import calibration
from course.evaluation.frechet import frame_features, frechet_distance, gaussian_distance, motion_features


@given(st.integers(0, 10_000), st.integers(1, 6))
def test_the_distance_equals_the_formula_with_scipy_s_square_root(seed, size):
    source = generator(seed)
    first, second = torch.randn(2, 3 * size + 2, size, generator=source, dtype=torch.float64)
    second = 2 * second + 1
    a, b = (torch.atleast_2d(torch.cov(features.T)).numpy() for features in (first, second))
    means = (first.mean(0) - second.mean(0)).square().sum().item()
    wanted = means + (a + b - 2 * sqrtm(a @ b)).trace().real
    assert frechet_distance(first, second) == pytest.approx(wanted, rel=1e-6, abs=1e-8)


def test_one_dimension_by_hand():
    assert gaussian_distance(torch.tensor([3.0]), torch.tensor([[4.0]]), torch.tensor([[25.0]])) == pytest.approx(18)


def test_a_set_is_at_distance_zero_of_itself_and_order_does_not_matter():
    features = torch.randn(50, 5, generator=generator(0), dtype=torch.float64)
    assert frechet_distance(features, features) < 1e-9
    other = features[torch.randperm(50, generator=generator(1))] + 1
    assert frechet_distance(features, other) == pytest.approx(frechet_distance(other, features))
    assert frechet_distance(features, other) == pytest.approx(5)


def test_frame_features_do_not_see_order_and_motion_features_do():
    clips = sprites.sample(300, generator=generator(2)).clips
    others = sprites.sample(300, generator=generator(3)).clips
    mixed = calibration.shuffled(clips, generator(4))
    assert torch.allclose(frame_features(mixed), frame_features(clips), atol=1e-6)
    real = frechet_distance(motion_features(clips), motion_features(others))
    assert frechet_distance(motion_features(mixed), motion_features(others)) > 20 * real
    assert torch.equal(motion_features(clips[:, :1].expand_as(clips).contiguous())[:, 0], torch.zeros(300).double())


def test_motion_features_tell_left_from_right():
    left, right = (
        sprites.sample(100, generator=generator(5), combinations=[("red", "circle", motion)]).clips
        for motion in ("left", "right")
    )
    names = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    to_left, to_right = 1 + names.index((0, -1)), 1 + names.index((0, 1))
    moves_left, moves_right = motion_features(left).mean(0), motion_features(right).mean(0)
    assert moves_left[to_left] > moves_left[to_right]
    assert moves_right[to_right] > moves_right[to_left]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: frechet_distance(torch.zeros(1, 3), torch.zeros(5, 3)), "N at least 2"),
        (lambda: frechet_distance(torch.zeros(5, 3), torch.zeros(5, 4)), "wanted (N, 3)"),
        (lambda: motion_features(torch.zeros(2, 1, 3, 8, 8)), "at least 2 frames"),
        (lambda: frame_features(torch.zeros(2, 4, 1, 8, 8)), "wanted (B, T, 3, H, W)"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the words are compared below)
        call()
    assert words in str(error.value)
