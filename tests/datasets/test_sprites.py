from dataclasses import replace

import pytest
import torch

from course.budget import generator
from course.clips import resize
from course.datasets import sprites
from course.datasets.captions import ALL, COLOURS, MOTIONS, SHAPES, TRAINED, caption
from course.datasets.sprites import DIRECTIONS, PALETTE, RADIUS, SPEEDS, WALLS, SpriteConfig

CONFIGS = {
    "16": SpriteConfig(),
    "32": SpriteConfig(size=32),
    "64": SpriteConfig(size=64, num_frames=20),
    "long": SpriteConfig(num_frames=64),
    "one frame": SpriteConfig(num_frames=1),
    "occluder": SpriteConfig(num_frames=20, occluder=True),
    "turn": SpriteConfig(num_frames=16, turn_frame=6),
    "second": SpriteConfig(second_sprite=True),
    "all": SpriteConfig(size=32, num_frames=20, occluder=True, second_sprite=True, turn_frame=9),
}


@pytest.fixture(params=CONFIGS, name="config")
def fixture_config(request):
    return CONFIGS[request.param]


def test_a_batch_is_what_it_says(config):
    batch = sprites.sample(50, generator=generator(0), config=config)
    assert batch.clips.shape == (50, config.num_frames, 3, config.size, config.size)
    assert batch.clips.dtype == torch.float32
    assert batch.clips.min() >= 0
    assert batch.clips.max() <= 1
    assert len(batch.captions) == 50
    for text, combination in zip(batch.captions, batch.state.combinations(), strict=True):
        assert text.startswith(caption(combination))
        assert (" while " in text) == config.second_sprite
    low, high = batch.state.position.aminmax()
    assert low >= WALLS[0] * config.size - 1e-3
    assert high <= WALLS[1] * config.size + 1e-3


def test_same_seed_same_bytes(config):
    first, second, other = (sprites.sample(8, generator=generator(seed), config=config) for seed in (5, 5, 6))
    assert torch.equal(first.clips, second.clips)
    assert first.captions == second.captions
    assert torch.equal(first.state.position, second.state.position)
    assert not torch.equal(first.clips, other.clips)


def test_the_picture_is_where_the_state_says():
    config = SpriteConfig(size=64)
    batch = sprites.sample(96, generator=generator(1), config=config)
    state = batch.state
    round_shapes = state.shape[:, 0] != SHAPES.index("triangle")  # a triangle's centre of mass lies lower
    light = batch.clips.sum(dim=2)  # (B, T, H, W)
    total = light.sum(dim=(2, 3))
    centres = torch.arange(64) + 0.5
    row = (light.sum(dim=3) * centres).sum(dim=2) / total
    column = (light.sum(dim=2) * centres).sum(dim=2) / total
    error = torch.stack([row, column], dim=-1) - state.position
    assert error[round_shapes].abs().max() < 0.05
    brightest = batch.clips.amax(dim=(3, 4))  # (B, T, 3): inside, a sprite has its own colour
    assert torch.allclose(brightest, PALETTE[state.colour], atol=1e-6)


def test_area_does_not_depend_on_the_place_between_pixels():
    """What anti-aliasing is for: a sprite neither flickers nor changes size as it moves."""
    centres = torch.full((100, 2), sprites.box_size(16) / 2) + torch.rand(100, 2, generator=generator(0)) - 0.5
    for index, shape in enumerate(SHAPES):
        area = sprites.coverage(torch.full((100,), index), centres, 16).sum(dim=(1, 2))
        assert (area / area.mean() - 1).abs().max() < 0.04, shape


def test_paths_obey_their_laws():
    config = SpriteConfig(size=16, num_frames=8)
    batch = sprites.sample(600, generator=generator(2), config=config)
    velocity = batch.state.velocity / config.size
    for index, motion in enumerate(MOTIONS):
        chosen = velocity[batch.state.motion == index]
        assert len(chosen) > 50
        chosen = chosen[:, :-1]  # the step beyond the clip may bounce
        speed = chosen.norm(dim=-1)
        if motion == "still":
            assert speed.max() == 0
            continue
        assert speed.max() <= SPEEDS[1] + 1e-5
        assert speed.min() >= SPEEDS[0] * 0.99
        if motion == "clockwise":
            before, after = chosen[:, :-1], chosen[:, 1:]
            assert (before[..., 1] * after[..., 0] - before[..., 0] * after[..., 1] > 0).all()
        else:  # eight frames are short enough to meet no wall
            assert torch.allclose(chosen / speed[..., None], DIRECTIONS[index].expand_as(chosen), atol=1e-4)
    position, velocity = batch.state.position, batch.state.velocity
    assert torch.allclose(position[:, :-1] + velocity[:, :-1], position[:, 1:], atol=1e-4)


def test_long_clips_bounce_after_a_first_full_step():
    batch = sprites.sample(300, generator=generator(3), config=SpriteConfig(num_frames=40))
    straight = DIRECTIONS[batch.state.motion].any(dim=1)
    along = (batch.state.velocity * DIRECTIONS[batch.state.motion][:, None]).sum(dim=-1)[straight] / 16
    assert (along[:, 0] >= SPEEDS[0] - 1e-5).all()
    assert (along < 0).any(dim=1).all()


def test_a_higher_frame_rate_films_the_same_motions_more_often():
    slow, fast = (
        sprites.sample(200, generator=generator(6), config=SpriteConfig(num_frames=8 * rate, frame_rate=rate))
        for rate in (1, 2)
    )
    assert slow.captions == fast.captions
    assert torch.allclose(slow.state.position, fast.state.position[:, ::2], atol=1e-4)
    assert torch.allclose(slow.clips, fast.clips[:, ::2], atol=1e-4)


def test_a_resized_state_is_the_same_clip_in_larger_frames():
    state = sprites.sample(20, generator=generator(7)).state
    large = sprites.resized(state, 2)
    assert torch.equal(large.position[:, 1:], 2 * state.position[:, 1:])
    small = resize(sprites.render(large, config=SpriteConfig(size=32)), 16, 16)
    assert (small - sprites.render(state, config=SpriteConfig())).abs().mean() < 0.02


def test_turns_are_two_way_and_at_the_frame_asked_for():
    batch = sprites.sample(400, generator=generator(4), config=SpriteConfig(turn_frame=4))
    state = batch.state
    straight = DIRECTIONS[state.motion].any(dim=1)
    assert (state.turn[~straight] == 0).all()
    counts = torch.bincount(state.turn[straight] + 1, minlength=3)
    assert counts[1] == 0
    assert 0.4 < counts[0] / (counts[0] + counts[2]) < 0.6
    velocity = state.velocity[straight]
    cross = velocity[:, 3, 1] * velocity[:, 4, 0] - velocity[:, 3, 0] * velocity[:, 4, 1]
    assert torch.equal(cross.sign().long(), state.turn[straight])


def test_the_start_does_not_tell_the_turn():
    state = sprites.sample(4000, generator=generator(5), config=SpriteConfig(num_frames=8, turn_frame=4)).state
    across = (state.position[:, 0] * (1 - DIRECTIONS[state.motion].abs())).sum(dim=1)
    turning = state.turn != 0
    difference = across[turning & (state.turn > 0)].mean() - across[turning & (state.turn < 0)].mean()
    assert abs(difference) < 0.3  # pixels, of 9.6 that a start can lie apart


def test_the_occluder_hides_and_the_sprite_starts_in_view():
    config = SpriteConfig(num_frames=40, occluder=True)
    batch = sprites.sample(200, generator=generator(6), config=config)
    assert (batch.clips[..., 8:] == sprites.OCCLUDER_GREY).all()
    assert (batch.state.position[:, 0, 1] <= (0.5 - RADIUS) * 16 + 1e-3).all()
    hidden = batch.state.position[..., 1] >= (0.5 + RADIUS) * 16
    assert hidden.any(dim=1).float().mean() > 0.3
    assert batch.clips[..., :8].sum(dim=(2, 3, 4))[hidden].max() == 0


def test_the_second_sprite_differs_and_stands_behind():
    batch = sprites.sample(100, generator=generator(7), config=SpriteConfig(second_sprite=True))
    assert (batch.state.colour != batch.second.colour).all()
    assert (batch.state.shape != batch.second.shape).all()
    alone = sprites.render(batch.state, config=SpriteConfig())
    inside = alone.sum(dim=2, keepdim=True) >= PALETTE.sum(dim=1)[batch.state.colour][..., None, None, None] - 1e-5
    assert torch.allclose((batch.clips * inside), alone * inside)


def test_combinations_are_drawn_from_those_given():
    batch = sprites.sample(2000, generator=generator(8), combinations=TRAINED, config=SpriteConfig(num_frames=1))
    assert set(batch.state.combinations()) == set(TRAINED)
    only = sprites.sample(5, generator=generator(8), combinations=ALL[:1])
    assert only.captions == [caption(ALL[0])] * 5


def test_an_edited_state_renders_as_edited():
    state = sprites.sample(4, generator=generator(9)).state
    colour = state.colour.clone()
    colour[:, 4:] = (colour[:, 4:] + 1) % len(COLOURS)
    clips = sprites.render(replace(state, colour=colour), config=SpriteConfig())
    assert torch.allclose(clips.amax(dim=(3, 4)), PALETTE[colour], atol=0.02)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SpriteConfig(size=24), "size: wanted one of (16, 32, 64), got 24"),
        (lambda: SpriteConfig(num_frames=0), "num_frames: wanted a whole number of at least 1, got 0"),
        (lambda: SpriteConfig(turn_frame=8), "turn_frame: wanted a frame in 1..7, got 8"),
        (lambda: SpriteConfig(frame_rate=0), "frame_rate: wanted a whole number of at least 1, got 0"),
        (lambda: sprites.sample(0, generator=generator(0)), "num_clips: wanted a whole number of at least 1, got 0"),
        (lambda: sprites.sample(2, generator=generator(0), combinations=[]), "combinations: wanted at least one"),
    ],
)
def test_bad_settings_are_refused(make, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the words are compared below)
        make()
    assert words in str(error.value)


def test_a_sprite_outside_the_frame_is_refused():
    state = sprites.sample(2, generator=generator(0)).state
    with pytest.raises(ValueError, match="so that the sprite stays in the frame of 16"):
        sprites.render(replace(state, position=state.position + 10), config=SpriteConfig())
