"""The cascade's recipe: stages that are given the same clips, drawn one behind the other, and judged."""

from dataclasses import replace

import pytest
import torch

from course.budget import generator
from course.clips import resize
from course.datasets.captions import ALL, HELD_OUT, caption, indices
from course.diffusion.schedule import to_signed
from course.recipes import cascade, denoising
from course.recipes.cascade import (
    CASCADE_SETTINGS,
    NUM_STEPS,
    STAGES,
    cascade_run,
    draw_cascade,
    draw_stage,
    judge_stage,
    position_error,
    same_clips,
    space_examples,
    stage_metrics,
    time_examples,
)

CAPTIONS = [caption(one) for one in HELD_OUT[:2]]
ONE_STEP = dict.fromkeys(STAGES, 1)


@pytest.fixture(scope="module", name="untrained")
def fixture_untrained():
    torch.manual_seed(0)
    settings = {"base": denoising.UNetConfig(num_words=18)} | {
        stage: CASCADE_SETTINGS[stage].config for stage in STAGES[1:]
    }
    return {stage: denoising.denoiser(config).eval() for stage, config in settings.items()}


def test_the_same_clip_in_several_sizes():
    small, large = same_clips(ALL[::7], 16, 64, generator=generator(0))
    assert small.shape == (14, 16, 3, 16, 16)
    assert (resize(large, 16, 16) - small).abs().mean() < 0.02
    for clips in (small, large):
        assert judge_stage(clips, [caption(one) for one in ALL[::7]]).caption.all()
    assert position_error(large, small).max() < 0.01
    assert position_error(small, small[:, ::2]).max() < 0.02  # a path that bends is not halfway between


def test_temporal_super_resolution_is_given_the_neighbours():
    examples = time_examples(6, generator(0), max_level=0.0)
    assert examples.clips.shape == (6, 8, 3, 16, 16)
    before, after = examples.condition.given[:, :, :3], examples.condition.given[:, :, 3:]
    assert torch.equal(after[:, :-1], before[:, 1:])
    clips = torch.stack([(before + 1) / 2, examples.clips], dim=2).flatten(1, 2)
    assert judge_stage(clips, [caption(HELD_OUT[0])] * 6).motion_error.max() < 0.02


@pytest.mark.parametrize("size", [32, 64])
def test_spatial_super_resolution_is_given_the_same_clip(size):
    examples = space_examples(4, generator(1), size=size, max_level=0.0)
    assert examples.clips.shape == (4, 16, 3, size, size)
    given = (examples.condition.given + 1) / 2
    assert (resize(given, size // 2, size // 2) - resize(examples.clips, size // 2, size // 2)).abs().mean() < 0.02
    noisy = space_examples(64, generator(1), size=32)
    levels = noisy.condition.levels
    assert levels.shape == (64, 1)
    assert 0 <= levels.min() < 0.05
    assert 0.45 < levels.max() <= cascade.MAX_LEVEL
    level = levels.argmax()
    corner = noisy.condition.given[level, :, :, :3, :3] + (1 - levels[level])  # black but for the noise
    assert corner.std().item() == pytest.approx(levels[level].item(), rel=0.2)


def test_no_stage_learns_from_a_held_out_combination():
    held_out = indices([caption(one) for one in HELD_OUT]).tolist()
    for setting in CASCADE_SETTINGS.values():
        words = setting.examples(40, generator(2)).condition.words.tolist()
        assert [row for row in words if row in held_out] == []


def test_every_stage_draws_on_what_the_stage_below_has_drawn(untrained):
    clips = draw_cascade(untrained, CAPTIONS, generator=generator(0), num_steps=ONE_STEP)
    assert [tuple(one.shape) for one in clips.values()] == [
        (2, 8, 3, 16, 16),
        (2, 16, 3, 16, 16),
        (2, 16, 3, 32, 32),
        (2, 16, 3, 64, 64),
    ]
    assert torch.equal(clips["time"][:, ::2], clips["base"])  # given frames are untouched
    some = draw_cascade(untrained, CAPTIONS, generator=generator(0), num_steps=ONE_STEP, stages=STAGES[:2])
    assert list(some) == ["base", "time"]
    assert torch.equal(some["time"], clips["time"])
    with pytest.raises(ValueError, match="stages: wanted the first few of base, time"):
        draw_cascade(untrained, CAPTIONS, generator=generator(0), stages=("base", "space 32"))


def test_the_network_is_told_the_level_of_the_noise_it_is_shown():
    asked = []

    def network(noisy, noise_step, condition):
        asked.append(condition)
        return torch.zeros_like(noisy)

    below = torch.full((2, 8, 3, 16, 16), 0.5)
    draw_stage("time", network, below, CAPTIONS, generator=generator(0), level=0.2, num_steps=1)
    draw_stage("time", network, below, CAPTIONS, generator=generator(0), level=0.2, told_level=0.0, num_steps=1)
    truth, lie = asked
    assert truth.levels.tolist() == [[pytest.approx(0.2)]] * 2
    assert lie.levels.tolist() == [[0.0]] * 2
    assert torch.equal(truth.given, lie.given)
    assert truth.given.std().item() == pytest.approx(0.2, rel=0.02)
    clean = draw_stage("time", lambda z, *_: to_signed(below), below, CAPTIONS, generator=generator(0))
    assert torch.allclose(clean, below.repeat_interleave(2, dim=1), atol=1e-5)


def test_a_stage_that_is_unknown_is_refused(untrained):
    below = torch.zeros(1, 8, 3, 16, 16)
    with pytest.raises(ValueError, match="stage: wanted one of time, space 32, space 64, got 'base'"):
        draw_stage("base", untrained["time"], below, CAPTIONS[:1], generator=generator(0))
    with pytest.raises(ValueError, match="stage: wanted one of time"):
        cascade_run("space 128", seed=0)


@pytest.mark.parametrize("stage", CASCADE_SETTINGS)
def test_an_untrained_stage_is_measured_and_found_wanting(stage, monkeypatch):
    monkeypatch.setattr(cascade, "ALL", ALL[::48])
    monkeypatch.setattr(cascade, "HELD_OUT", HELD_OUT[:2])
    monkeypatch.setattr(cascade, "NUM_STEPS", dict.fromkeys(NUM_STEPS, 1))
    config = replace(CASCADE_SETTINGS[stage].config)
    found = stage_metrics(denoising.denoiser(config).eval(), stage=stage, num_each=1)
    assert found["caption, held out"] == found["valid, all"] == 0
    assert ("position error, all" in found) == (stage != "one shot")
