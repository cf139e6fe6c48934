"""The layered predictor: its parts on numbers that can be checked by hand, its law of motion, and that it learns."""

import pytest
import torch

from course.budget import generator
from course.datasets.digits import moving_digits
from course.models.layered import (
    Cleaner,
    CornerFinder,
    LayeredConfig,
    LayeredPredictor,
    PathBank,
    cross_correlation,
    move,
    overlay,
    shift_matrix,
)

SMALL = LayeredConfig(hidden_channels=8, num_blocks=1, num_starts=12, num_angles=6, num_refined=4, division=3)


def image(rows=28, columns=28):
    return torch.rand(3, 1, rows, columns, generator=generator(5))


def clips(number=4, **options):
    return moving_digits(number, generator=generator(1), images=image(), **options)


def displacement(*offsets, room=36):
    """Return certain displacements, one for each offset."""
    return torch.nn.functional.one_hot(torch.tensor(offsets) + room, 2 * room + 1).float()


def seen_of(found, room=36, num_context=10):
    """Return what an observer would say who sees where both digits of some clips are drawn."""
    corners = found.positions.long()
    moved = corners[:, : num_context - 1] - corners[:, num_context - 1 : num_context]  # (B, 9, 2 digits, 2 axes)
    moved = moved.permute(3, 0, 2, 1)  # (2, B, 2, 9)
    return torch.nn.functional.one_hot(moved + room, 2 * room + 1).float(), corners.permute(3, 0, 2, 1)


def test_a_shift_matrix_moves_by_whole_pixels():
    column = torch.tensor([1.0, 2.0, 3.0, 4.0])
    down, up = shift_matrix(displacement(1, -2, room=3), 4)
    assert (down @ column).tolist() == [0, 1, 2, 3]
    assert (up @ column).tolist() == [3, 4, 0, 0]


def test_an_uncertain_displacement_is_the_mean_of_what_it_may_be():
    column = torch.rand(5, generator=generator(0))
    one, other = displacement(-1, 2, room=4)
    mixed = shift_matrix(0.25 * one + 0.75 * other, 5) @ column
    torch.testing.assert_close(mixed, 0.25 * shift_matrix(one, 5) @ column + 0.75 * shift_matrix(other, 5) @ column)


def test_move_takes_rows_first():
    layers = torch.zeros(1, 2, 8, 8)
    layers[0, :, 2, 3] = 1
    moves = torch.stack([displacement(1, 4), displacement(-3, 0)])[:, None, None].expand(2, 1, 2, 2, 73)
    moved = move(layers, moves)
    assert moved[0, 0].nonzero().tolist() == [[0, 3, 0], [1, 6, 3]]


def test_overlay_shows_either_layer():
    layers = torch.tensor([[[0.0, 1.0, 0.0, 0.5]], [[0.0, 0.0, 1.0, 0.5]]]).movedim(0, 1)
    assert overlay(layers).tolist() == [[0, 1, 1, 0.75]]


def test_cross_correlation_equals_the_sum_of_products():
    layers = torch.rand(2, 2, 6, 6, generator=generator(0))
    frames = torch.rand(2, 3, 6, 6, generator=generator(1))
    found = cross_correlation(layers, frames, 4)
    assert found.shape == (2, 2, 3, 9, 9)
    for dy, dx in ((0, 0), (2, -1), (-4, 3), (4, 4)):
        wanted = 0.0
        for y in range(6):
            for x in range(6):
                if 0 <= y + dy < 6 and 0 <= x + dx < 6:
                    wanted = wanted + layers[:, :, None, y, x] * frames[:, None, :, y + dy, x + dx]
        torch.testing.assert_close(found[..., dy + 4, dx + 4], wanted)


def test_the_bank_finds_the_future_of_what_was_seen_exactly():
    found = clips(20)
    seen, corners = seen_of(found)
    bank = PathBank(LayeredConfig())
    moves = bank(seen, found.positions[:, 9].permute(2, 0, 1), torch.full((2, 20, 2), 0.5))
    torch.testing.assert_close(moves.sum(dim=-1), torch.ones(2, 20, 2, 20))
    truth = corners - corners[..., 9:10]
    expected = moves @ torch.arange(-36.0, 37.0)
    error = (expected - truth).abs()
    assert error[..., :10].mean() < 0.25
    assert error[..., 10:].mean() < 0.5
    still = torch.zeros_like(truth)
    assert (still - truth).abs()[..., 10:].float().mean() > 5  # what it would be without a path


def test_the_bank_knows_where_the_walls_are():
    """The corner decides where the path turns: the same motion seen, another corner, another future."""
    bank = PathBank(LayeredConfig())
    seen = displacement(*range(-18, 0, 2)).expand(2, 1, 2, 9, 73)  # two pixels per frame, along both axes
    error = torch.full((2, 1, 2), 0.3)
    free = bank(seen, torch.full((2, 1, 2), 18.0), error)[0, 0, 0] @ torch.arange(-36.0, 37.0)
    walled = bank(seen, torch.full((2, 1, 2), 33.0), error)[0, 0, 0] @ torch.arange(-36.0, 37.0)
    assert free[14] > 8  # goes on
    assert walled.max() < 4.5  # 36 - 33 pixels are left
    assert walled[-1] < -5  # and comes back


def test_the_speed_of_one_axis_follows_from_that_of_the_other():
    """All directions have the same speed: who is still along the rows moves at all of it along the columns."""
    bank = PathBank(LayeredConfig())
    nothing = torch.full((9, 73), 1 / 73)
    still = displacement(*[0] * 9)
    seen = torch.stack([still, nothing])[:, None, None].expand(2, 1, 2, 9, 73)
    moves = bank(seen, torch.full((2, 1, 2), 18.0), torch.full((2, 1, 2), 0.3))[1, 0, 0]
    speed = (moves[10] * torch.arange(-36, 37).abs()).sum()
    assert 3 <= speed < 4.1


def test_the_cleaner_sees_the_darkest_of_the_frames_moved_back():
    """A digit alone is cleaned of another that crosses it: of its views the first is exact."""
    frames = torch.zeros(1, 3, 8, 8)
    for t in range(3):
        frames[0, t, 2 + t, 2] = 0.7  # the object, one row down in each frame
    frames[0, 2, 4, 2] = 1.0  # covered in the last
    moves = torch.stack([displacement(-2, -1, room=4), displacement(0, 0, room=4)])[:, None, None].expand(2, 1, 2, 2, 9)
    cleaner = Cleaner()
    layers = torch.zeros(1, 2, 8, 8)
    views = []
    cleaner.mix.register_forward_pre_hook(lambda module, inputs: views.append(inputs[0]))
    cleaner(layers, frames, moves)
    darkest = views[0][0, 0].detach()
    assert darkest.nonzero().tolist() == [[4, 2]]
    assert darkest[4, 2] == pytest.approx(0.7)


def test_the_corner_finder_starts_from_the_centre_of_mass():
    layers = torch.zeros(1, 2, 64, 64)
    layers[0, 0, 20:30, 30:36] = 1
    layers[0, 1, 40:42, 10:20] = 1
    corner, error = CornerFinder(28)(layers)
    torch.testing.assert_close(corner[:, 0], torch.tensor([[24.5 - 14, 40.5 - 14], [32.5 - 14, 14.5 - 14]]))
    assert error.shape == (2, 1, 2)
    assert (error > 0).all()


def test_shapes_and_range():
    model = LayeredPredictor(SMALL)
    context = clips().clips[:, :10]
    frames = model(context, 10)
    assert frames.shape == (4, 10, 1, 64, 64)
    assert 0 <= frames.min() <= frames.max() <= 1
    torch.testing.assert_close(model(context, 3), frames[:, :3])


def test_a_clip_is_predicted_alone():
    model = LayeredPredictor(SMALL)
    context = clips().clips[:, :10]
    torch.testing.assert_close(model(context, 10)[1:2], model(context[1:2], 10), atol=1e-5, rtol=1e-4)


def test_black_frames_stay_black():
    frames = LayeredPredictor(SMALL)(torch.zeros(1, 10, 1, 64, 64), 10)
    assert frames.isfinite().all()
    assert frames.max() < 0.05


def test_everything_learns():
    model = LayeredPredictor(SMALL)
    found = clips(2).clips
    explanation = model.explain(found[:, :10])
    future = explanation.moves[..., 10:, :]
    loss = (overlay(move(explanation.layers, future)) - found[:, 10:, 0]).square().sum()
    loss = loss + (overlay(move(explanation.cleaned, future.detach())) - found[:, 10:, 0]).square().sum()
    loss.backward()
    still = {name for name, parameter in model.named_parameters() if parameter.grad is None or not parameter.grad.any()}
    # Behind a weight that begins at zero: these follow after the first step.
    waiting = {"cleaner.mix.0.weight", "cleaner.mix.0.bias", "corner.outline.0.weight", "corner.outline.0.bias"}
    waiting |= {name for name in still if ".first." in name or ".norm." in name} | {"cleaner.log_contrast"}
    assert still <= waiting


def test_a_checkpoint_holds_weights_only():
    """The bank is computed from the config: it would be most of the file."""
    assert not [name for name in LayeredPredictor(SMALL).state_dict() if name.startswith("paths")]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_context": 1}, "wanted 2 given frames"),
        ({"size": 30}, "multiple of 4"),
        ({"object_size": 64}, "64"),
        ({"hidden_channels": 12}, "multiple of 8, got 12"),
    ],
)
def test_a_wrong_config_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        LayeredConfig(**options)


def test_wrong_input_is_refused():
    model = LayeredPredictor(SMALL)
    with pytest.raises(ValueError, match=r"wanted \(B, 10, 1, 64, 64\), got \(2, 9, 1, 64, 64\)"):
        model(torch.zeros(2, 9, 1, 64, 64), 10)
    with pytest.raises(ValueError, match="wanted 1 to 10 frames, got 11"):
        model(torch.zeros(2, 10, 1, 64, 64), 11)
