"""Random drawings: never two the same, whole in the frame, on the paths of sprites."""

import time
from dataclasses import replace

import pytest
import torch

from course.budget import generator
from course.datasets import doodles, sprites
from course.datasets.captions import MOTIONS, PHRASES
from course.datasets.sprites import DIRECTIONS, RADIUS, SPEEDS


def centres(clips):
    """Return where the light is on average, (B, T, 2)."""
    light = clips.sum(dim=2)  # (B, T, H, W)
    middle = torch.arange(clips.shape[-1]) + 0.5
    total = light.sum(dim=(2, 3))
    row = (light.sum(dim=3) * middle).sum(dim=2) / total
    return torch.stack([row, (light.sum(dim=2) * middle).sum(dim=2) / total], dim=2)


@pytest.mark.parametrize(("size", "num_frames"), [(16, 8), (32, 5), (64, 1)])
def test_a_batch_is_what_it_says(size, num_frames):
    batch = doodles.sample(60, generator=generator(0), size=size, num_frames=num_frames)
    assert batch.clips.shape == (60, num_frames, 3, size, size)
    assert batch.clips.dtype == torch.float32
    assert batch.clips.min() >= 0
    assert batch.clips.max() <= 1
    assert batch.position.shape == batch.velocity.shape == (60, num_frames, 2)
    assert batch.phrases == [PHRASES[MOTIONS[index]] for index in batch.motion]
    assert set(batch.phrases) == set(PHRASES.values())


def test_same_seed_same_bytes():
    first, second, other = (doodles.sample(8, generator=generator(seed)) for seed in (5, 5, 6))
    assert torch.equal(first.clips, second.clips)
    assert first.phrases == second.phrases
    assert torch.equal(first.position, second.position)
    assert not torch.equal(first.clips, other.clips)


@pytest.mark.parametrize("size", [16, 64])
def test_a_drawing_moves_as_its_path_does_between_pixels_too(size):
    batch = doodles.sample(200, generator=generator(1), size=size)
    moved, told = (path - path[:, :1] for path in (centres(batch.clips), batch.position))
    assert (moved - told).abs().max() < 0.15  # in pixels: an edge is one pixel wide, whatever it is of
    assert (moved - told).square().mean().sqrt() < 0.03


def test_paths_obey_the_laws_of_sprites():
    batch = doodles.sample(300, generator=generator(2))
    step = batch.velocity[:, :-1] / 16
    for index, motion in enumerate(MOTIONS):
        chosen = step[batch.motion == index]
        speed = chosen.norm(dim=2)
        if motion == "still":
            assert speed.max() == 0
            continue
        assert SPEEDS[0] * 0.99 < speed.min() < speed.max() < SPEEDS[1] + 1e-5
        if motion != "clockwise":
            assert torch.allclose(chosen / speed[..., None], DIRECTIONS[index].expand_as(chosen), atol=1e-4)


def test_a_drawing_is_bright_large_enough_to_see_and_fits_the_box_of_a_sprite():
    drawings = doodles.sample_drawings(200, generator=generator(3))
    clips = doodles.render(drawings, torch.full((200, 1, 2), 32.0), size=64)
    seen = clips.amax(dim=2)[:, 0] > 0
    edge = int(32 - RADIUS * 64 - 0.5)
    assert not seen[:, :edge].any()
    assert not seen[:, -edge:].any()
    assert not seen[:, :, :edge].any()
    assert not seen[:, :, -edge:].any()
    area = clips.amax(dim=2).sum(dim=(1, 2, 3))
    assert area.min() > 0.1 * (2 * RADIUS * 64) ** 2 / 2
    assert (clips.amax(dim=(1, 2, 3, 4)) > 0.95).all()
    colours = drawings.colour.flatten(0, 1)
    assert torch.allclose(colours.amax(dim=1), torch.ones(len(colours)))
    for drawing in drawings.colour:
        assert len(drawing.unique(dim=0)) <= 2


def test_no_two_drawings_are_the_same():
    drawings = doodles.sample_drawings(100, generator=generator(4))
    clips = doodles.render(drawings, torch.full((100, 1, 2), 8.0), size=16).flatten(1)
    far = torch.cdist(clips, clips) + 100 * torch.eye(100)
    assert far.min() > 0.1


@pytest.mark.parametrize("kind", range(len(doodles.KINDS)))
def test_every_kind_of_part_covers_what_it_should(kind):
    """By counting: at many pixels a side, area and coverage are the same thing."""
    drawing = doodles.sample_drawings(1, generator=generator(5))
    one = torch.ones(1, doodles.NUM_PARTS)
    corners = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    drawing = replace(
        drawing,
        kind=torch.full((1, doodles.NUM_PARTS), kind),
        shown=one.cumsum(dim=1) == 1,
        start=torch.tensor([0.0, -0.5 if kind == 0 else 0.0]).expand(1, doodles.NUM_PARTS, 2),
        end=torch.tensor([0.0, 0.5]).expand(1, doodles.NUM_PARTS, 2),
        size=0.8 * one,
        width=0.2 * one,
        normal=corners.expand(1, doodles.NUM_PARTS, 4, 2),
        distance=0.5 * one[..., None].expand(1, doodles.NUM_PARTS, 4),
        colour=torch.ones(1, doodles.NUM_PARTS, 3),
    )
    area = doodles.render(drawing, torch.full((1, 1, 2), 32.0), size=64)[0, 0, 0].sum() / (RADIUS * 64) ** 2
    pi = torch.pi
    wanted = (0.4 + pi * 0.04, pi * 0.64, pi * (0.64 - 0.16), 1.0)[kind]
    assert area.item() == pytest.approx(wanted, rel=0.02)


def test_what_is_no_batch_and_what_would_leave_the_frame_is_refused():
    with pytest.raises(ValueError, match="num_clips: wanted a whole number of at least 1, got 0"):
        doodles.sample(0, generator=generator(0))
    with pytest.raises(ValueError, match="size: wanted one of"):
        doodles.sample(1, generator=generator(0), size=20)
    drawings = doodles.sample_drawings(2, generator=generator(0))
    with pytest.raises(ValueError, match=r"position: wanted \(2, T, 2\) with values from 3.2 to 12.8"):
        doodles.render(drawings, torch.full((2, 8, 2), 2.0), size=16)
    with pytest.raises(ValueError, match=r"position: wanted \(2, T, 2\)"):
        doodles.render(drawings, torch.full((3, 8, 2), 8.0), size=16)


def test_a_batch_is_quick():
    doodles.sample(16, generator=generator(0))
    start = time.process_time()
    for seed in range(10):
        doodles.sample(16, generator=generator(seed))
    assert time.process_time() - start < 0.5  # about 3 ms each


def test_a_doodle_is_no_sprite():
    """Nearly no drawing is what the world of sprites holds already."""
    batch = doodles.sample(100, generator=generator(7))
    known = sprites.sample(200, generator=generator(8))
    whole = batch.clips[:, 0].amax(dim=(2, 3))[:, None] - known.clips[:, 0].amax(dim=(2, 3))
    assert (whole.abs().amax(dim=2).amin(dim=1) > 0.05).float().mean() > 0.8
