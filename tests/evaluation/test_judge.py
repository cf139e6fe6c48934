from dataclasses import replace

import pytest
import torch

from course.budget import generator
from course.datasets import sprites
from course.datasets.captions import ALL, COLOURS, HELD_OUT, MOTIONS, SHAPES, caption
from course.datasets.sprites import SpriteConfig
from course.evaluation import calibration, judge


@pytest.fixture(scope="module", name="real")
def fixture_real():
    return sprites.sample(400, generator=generator(100))


@pytest.fixture(scope="module", name="moving")
def fixture_moving():
    combinations = [combination for combination in ALL if combination.motion != "still"]
    return sprites.sample(400, generator=generator(101), combinations=combinations)


@pytest.mark.parametrize(
    "config",
    [
        SpriteConfig(),
        SpriteConfig(size=32),
        SpriteConfig(size=64),
        SpriteConfig(num_frames=20),
        SpriteConfig(num_frames=64),
        SpriteConfig(num_frames=20, occluder=True),
        SpriteConfig(num_frames=16, turn_frame=6),
        SpriteConfig(num_frames=3),
        SpriteConfig(num_frames=16, frame_rate=2),
        SpriteConfig(size=64, num_frames=16, frame_rate=2),
    ],
    ids=lambda c: (
        f"{c.size}px {c.num_frames} frames, rate {c.frame_rate}{' occluder' * c.occluder}{' turn' * bool(c.turn_frame)}"
    ),
)
def test_every_real_clip_passes(config):
    """Every colour, shape and motion at once, so that a weak spot cannot hide in an average."""
    state = sprites.sample_state(ALL * 2, generator=generator(7), config=config)
    clips = sprites.render(state, config=config)
    captions = [caption(combination) for combination in ALL * 2]
    verdict = judge.judge(clips, captions, config=config)
    if config.num_frames == 3 or config.occluder:  # a slow arc of two steps, or a path seen in part, may fit two laws
        assert verdict.caption.float().mean() > 0.97
    else:
        assert set(verdict.rates().values()) == {1.0}
        assert verdict.combinations == list(ALL * 2)
    assert verdict.rates()["valid"] == verdict.rates()["identity"] == 1.0
    seen = verdict.reading.visible
    assert (verdict.reading.position - state.position).norm(dim=-1)[seen].max() < (0.5 if config.occluder else 0.1)


def test_noise_is_read_at_chance(real):
    noise = torch.rand(real.clips.shape, generator=generator(1))
    rates = judge.judge(noise, real.captions).rates()
    assert rates["valid"] == rates["motion"] == rates["caption"] == 0
    for part, values in (("caption_colour", COLOURS), ("caption_shape", SHAPES)):
        chance = 1 / len(values)
        assert abs(rates[part] - chance) < 4 * (chance * (1 - chance) / len(real.captions)) ** 0.5


def test_other_captions_are_at_chance(real):
    """The words are read: captions in another order agree with the clips no more often than chance would have it."""
    order = torch.randperm(len(real.captions), generator=generator(2)).tolist()
    rates = judge.judge(real.clips, [real.captions[i] for i in order]).rates()
    for part, values in (("caption_colour", COLOURS), ("caption_shape", SHAPES), ("caption_motion", MOTIONS)):
        chance = 1 / len(values)
        assert abs(rates[part] - chance) < 4 * (chance * (1 - chance) / len(order)) ** 0.5
    assert rates["caption"] < 0.04
    assert rates["valid"] == rates["identity"] == 1


def test_blur_lowers_the_score_steadily(real):
    verdicts = [judge.judge(calibration.blurred(real.clips, sigma)) for sigma in (0.1, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0)]
    residuals = [verdict.residual.mean() for verdict in verdicts]
    assert residuals == sorted(residuals)
    valid = [verdict.rates()["valid"] for verdict in verdicts]
    assert valid == sorted(valid, reverse=True)
    assert valid[0] == 1
    assert valid[-1] == 0


def test_a_frozen_clip_does_not_pass(moving):
    verdict = judge.judge(calibration.frozen(moving.clips), moving.captions)
    assert verdict.rates()["motion"] == verdict.rates()["caption_motion"] == verdict.rates()["caption"] == 0
    assert judge.judge(calibration.frozen(moving.clips)).rates()["motion"] == 0
    assert {found.motion for found in verdict.combinations} == {"still"}


def test_a_clip_that_was_asked_to_stand_still_may():
    still = [combination for combination in ALL if combination.motion == "still"]
    batch = sprites.sample(60, generator=generator(3), combinations=still)
    assert judge.judge(batch.clips, batch.captions).rates()["motion"] == 1
    assert judge.judge(batch.clips).rates()["motion"] == 0


def test_shuffled_swapped_and_reversed_clips_do_not_pass(moving):
    for spoilt in (
        calibration.shuffled(moving.clips, generator(4)),
        calibration.swapped(moving.clips, generator(5)),
        calibration.doubled(moving.clips, generator(5)),
        moving.clips.flip(1),
    ):
        rates = judge.judge(spoilt, moving.captions).rates()
        assert rates["valid"] == rates["identity"] == 1  # frame by frame nothing is wrong
        assert rates["caption_motion"] <= 0.02
    circling = [c.motion == "clockwise" for c in moving.state.combinations()]
    assert judge.judge(moving.clips[circling].flip(1)).rates()["motion"] == 0


def test_two_sprites_are_not_one():
    pair = sprites.sample(300, generator=generator(6), config=SpriteConfig(second_sprite=True))
    assert judge.judge(pair.clips).rates()["valid"] < 0.05


def test_a_changed_colour_or_shape_breaks_identity(real):
    for part, values in (("colour", COLOURS), ("shape", SHAPES)):
        changed = getattr(real.state, part).clone()
        changed[:, 5:] = (changed[:, 5:] + 1) % len(values)
        clips = sprites.render(replace(real.state, **{part: changed}), config=SpriteConfig())
        rates = judge.judge(clips, real.captions).rates()
        assert rates["identity"] == rates["caption"] == 0
        assert rates["valid"] == rates["motion"] == 1


def test_a_sprite_that_vanishes_too_early_is_missed():
    """With an occluder an empty frame may be right; not where the law says that the sprite is in full view."""
    config = SpriteConfig(num_frames=20, occluder=True)
    batch = sprites.sample(200, generator=generator(8), config=config)
    clips = batch.clips.clone()
    half_hidden = batch.state.position[..., 1] > 0.35 * 16
    clips[..., :8] *= ~half_hidden[..., None, None, None]
    touched = half_hidden.any(dim=1)
    assert touched.sum() > 50
    verdict = judge.judge(clips[touched], [t for t, v in zip(batch.captions, touched, strict=True) if v], config=config)
    assert verdict.rates()["caption"] == 0


def test_a_trembling_or_leaping_sprite_obeys_no_law():
    state = sprites.sample_state(ALL, generator=generator(11), config=SpriteConfig())
    low, high = sprites.RADIUS * 16, (1 - sprites.RADIUS) * 16
    tremble = 0.4 * (torch.randint(0, 2, state.position.shape, generator=generator(12)) * 2 - 1)
    leap = torch.zeros_like(state.position)
    leap[:, 4:, 0] = 0.8
    captions = [caption(combination) for combination in ALL]
    for change in (tremble, leap):
        moved = replace(state, position=(state.position + change).clamp(low, high))
        rates = judge.judge(sprites.render(moved, config=SpriteConfig()), captions).rates()
        assert rates["valid"] == 1
        assert rates["motion"] < 0.1


def test_at_a_higher_frame_rate_frames_that_stand_twice_obey_no_law():
    """Filmed twice as often, a sprite goes half as far: one that stands, then leaps, is not far from its path."""
    config = SpriteConfig(num_frames=16, frame_rate=2)
    combinations = [combination for combination in ALL if combination.motion != "still"]
    state = sprites.sample_state(combinations, generator=generator(8), config=config)
    clips = sprites.render(state, config=config)
    assert judge.judge(clips, config=config).motion.all()
    twice = clips[:, ::2].repeat_interleave(2, dim=1)
    assert not judge.judge(twice, config=config).motion.any()
    assert judge.judge(clips[:, ::2]).motion.all()  # every other frame is a clip at a frame rate of 1


def test_the_bounds_are_the_calibrated_ones():
    result = calibration.calibrate(1200, seed=3)
    rows = {row.name: row for row in result.rows}
    for name, row in rows.items():
        if name.startswith("real"):
            assert row.valid >= 0.995, name
            assert row.motion >= 0.99, name
    for name in ("blurred by 1 pixel", "noise of 0.15", "one frame robbed", "half erased", "two sprites"):
        assert rows[name].valid <= 0.05, name
    for name in ("one frame doubled", "two frames swapped", "frames shuffled", "frozen"):
        assert rows[f"{name} (of those that move)"].motion <= 0.05, name
    # in force is what the rule derives: neither stricter nor more lenient than the sampling error of its quantile
    assert 0.9 * judge.VALID_BOUND <= result.valid_bound <= 1.1 * judge.VALID_BOUND
    assert 0.8 * judge.MOTION_BOUND <= result.motion_bound <= 1.25 * judge.MOTION_BOUND
    assert calibration.table(result).count("\n") == len(rows) + 2


def test_coverage_counts_combinations_that_are_shown_well():
    state = sprites.sample_state(HELD_OUT, generator=generator(9), config=SpriteConfig())
    clips = sprites.render(state, config=SpriteConfig())
    assert judge.coverage(judge.judge(clips), HELD_OUT) == 1
    assert judge.coverage(judge.judge(clips), ALL) == len(HELD_OUT) / len(ALL)
    clips[0] = 0
    assert judge.coverage(judge.judge(clips), HELD_OUT) == (len(HELD_OUT) - 1) / len(HELD_OUT)
    with pytest.raises(ValueError, match="at least one"):
        judge.coverage(judge.judge(clips), [])


def test_novelty_is_the_distance_to_the_nearest(real):
    distance = judge.novelty(real.clips[:3], real.clips[2:40])
    assert distance[2] == 0
    by_hand = (real.clips[0] - real.clips[2:40]).square().mean(dim=(1, 2, 3, 4)).sqrt().min()
    assert torch.isclose(distance[0], by_hand)
    with pytest.raises(ValueError, match="one shape"):
        judge.novelty(real.clips, real.clips[:, :4])


@pytest.mark.parametrize(
    ("clips", "captions", "words"),
    [
        (torch.zeros(1, 8, 3, 20, 20), None, "H = (16, 32, 64)"),
        (torch.zeros(1, 8, 3, 16, 32), None, "square frames"),
        (torch.zeros(1, 2, 3, 16, 16), None, "at least 3"),
        (torch.zeros(1, 8, 1, 16, 16), None, "wanted (B, T, 3, H, W)"),
        (torch.zeros(2, 8, 3, 16, 16), ["a red circle moves left"], "wanted one for each of 2 clips"),
        (torch.zeros(1, 8, 3, 16, 16), "a red circle moves left", "wanted one for each"),
        (torch.zeros(1, 8, 3, 16, 16), ["a red circle flies"], "a COLOUR SHAPE PHRASE"),
        (torch.zeros(1, 8, 3, 16, 16), [3], "wanted a sentence, got 3"),
        (
            torch.zeros(1, 8, 3, 16, 16),
            ["a red circle moves left while a blue square moves up"],
            "wanted one sprite each",
        ),
        (torch.zeros(0, 8, 3, 16, 16), None, "wanted at least 1"),
    ],
)
def test_what_cannot_be_judged_is_refused(clips, captions, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the words are compared below)
        judge.judge(clips, captions)
    assert words in str(error.value)
