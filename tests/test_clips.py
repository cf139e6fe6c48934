import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course import clips


@given(st.integers(1, 3), st.integers(1, 4), st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9))
def test_expect_names_the_sizes(B, T, C, H, W):
    assert clips.expect(torch.zeros(B, T, C, H, W), "B T C H W") == {"B": B, "T": T, "C": C, "H": H, "W": W}


@pytest.mark.parametrize(
    ("value", "layout", "sizes", "words"),
    [
        ([[0.0]], "H W", {}, "wanted a torch tensor (H, W), got list"),
        (torch.zeros(2, 3), "T C H W", {}, "wanted (T, C, H, W), got (2, 3)"),
        (torch.zeros(2, 4, 5, 5), "T 3 H W", {}, "wanted (T, 3, H, W), got (2, 4, 5, 5)"),
        (torch.zeros(4, 5), "H H", {}, "wanted (H, H), got (4, 5)"),
        (torch.zeros(4, 2, 5, 5), "T C H W", {"C": (1, 3)}, "C = (1, 3), got (4, 2, 5, 5)"),
        (torch.zeros(4, 5, dtype=torch.uint8), "H W", {}, "course.clips.to_float"),
        (torch.zeros(4, 5, dtype=torch.float64), "H W", {}, "float32"),
        (torch.tensor([0.0, 1.5]), "W", {}, "got 0 to 1.5"),
        (torch.tensor([0.0, -0.5]), "W", {}, "got -0.5 to 0"),
        (torch.tensor([0.0, math.nan]), "W", {}, "wanted values in [0, 1]"),
    ],
)
def test_expect_says_what_came_and_what_was_wanted(value, layout, sizes, words):
    with pytest.raises(ValueError, match="my clip: ") as error:
        clips.expect(value, layout, name="my clip", **sizes)
    assert words in str(error.value)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=50))
def test_uint8_survives_the_round_trip(values):
    levels = torch.tensor(values, dtype=torch.uint8)
    assert torch.equal(clips.to_uint8(clips.to_float(levels)), levels)


def test_to_uint8_rounds_and_refuses():
    assert clips.to_uint8(torch.tensor([0.0, 0.4999 / 255, 0.5001 / 255, 1.0])).tolist() == [0, 0, 1, 255]
    with pytest.raises(ValueError, match="float32"):
        clips.to_uint8(torch.zeros(3, dtype=torch.uint8))
    with pytest.raises(ValueError, match="uint8"):
        clips.to_float(torch.zeros(3))


def test_resize_averages_over_area():
    checks = (torch.arange(16)[:, None] + torch.arange(16)).remainder(2).float().expand(2, 3, 16, 16)
    small = clips.resize(checks, 4, 4)
    assert small.shape == (2, 3, 4, 4)
    assert (small - 0.5).abs().max() < 0.1  # a pixel picked here and there would give 0 or 1
    assert torch.equal(clips.resize(torch.ones(1, 1, 3, 5, 7), 10, 3), torch.ones(1, 1, 3, 10, 3))
    with pytest.raises(ValueError, match="wanted"):
        clips.resize(checks, 0, 4)
    with pytest.raises(ValueError, match="C, H, W"):
        clips.resize(torch.zeros(4, 4), 2, 2)


@given(st.integers(1, 7), st.integers(1, 4), st.integers(0, 2))
def test_grid_puts_each_clip_in_its_place(B, columns, gap):
    batch = torch.arange(B).float().div(B).reshape(B, 1, 1, 1, 1).expand(B, 2, 3, 4, 5).contiguous()
    tiled = clips.grid(batch, columns, gap=gap, background=1.0)
    used, rows = min(columns, B), -(-B // min(columns, B))
    assert tiled.shape == (2, 3, rows * (4 + gap) - gap, used * (5 + gap) - gap)
    for index in range(B):
        top, left = (index // used) * (4 + gap), (index % used) * (5 + gap)
        assert torch.equal(tiled[:, :, top : top + 4, left : left + 5], batch[index])


def test_grid_refuses_what_it_cannot_tile():
    with pytest.raises(ValueError, match="at least one column"):
        clips.grid(torch.zeros(1, 1, 1, 2, 2), 0)
