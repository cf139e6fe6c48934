"""The context recipe: batches without leaks, scenes that hide what they say, rollouts that see what is given."""

from dataclasses import replace

import pytest
import torch

from course.datasets.captions import HELD_OUT, parse
from course.datasets.sprites import SpriteConfig
from course.evaluation.baselines import copy_last
from course.evaluation.judge import judge, read
from course.models.context import ContextConfig, ContextPredictor
from course.recipes import context as recipe
from course.recipes import making
from course.recipes.context import (
    NUM_GIVEN,
    NUM_RETURN,
    ContextRun,
    after_hiding,
    bouncing_scene,
    context_batch,
    context_checkpoint,
    context_loss,
    context_model,
    continue_scene,
    hidden,
    judge_scene,
    load_context,
    occlusion_scene,
    path_ahead,
    train_context,
)
from course.recipes.making import BITS
from course.training.checkpoint import Resume, rounded

BOARD = SpriteConfig(num_frames=32, occluder=True)


@pytest.fixture(scope="module", name="scene")
def fixture_scene():
    return occlusion_scene(20, seed=3)


@pytest.fixture(name="small")
def fixture_small(monkeypatch):
    """Make every model of the experiment a small one, with batches of 8."""
    small = {
        name: replace(config, hidden_channels=8, num_levels=1, context_size=8)
        for name, config in recipe.CONTEXT_MODELS.items()
    }
    monkeypatch.setattr(recipe, "CONTEXT_MODELS", small)


def test_a_batch_is_a_function_of_seed_and_step():
    first, again = context_batch(0, 5), context_batch(0, 5)
    for name in ("frames", "path", "first", "given"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert not torch.equal(first.frames, context_batch(0, 6).frames)
    assert not torch.equal(first.frames, context_batch(1, 5).frames)


def test_the_path_of_a_batch_is_the_sprite_s():
    batch = context_batch(0, 0, batch_size=64)
    clean = batch.frames[:, 2:]
    found = read(clean[:32], config=SpriteConfig(num_frames=4)).position
    assert (found - batch.path[:32, 2:]).abs().mean() < 0.05
    assert (clean[:32, :, :, :, 8:] == 0.5).all(dim=(1, 2, 3, 4)).sum() == 0
    assert (clean[32:, :, :, :, 8:] == 0.5).all()


def test_stains_are_on_the_window_alone_and_as_strong_as_said():
    batch = context_batch(0, 0, batch_size=64)
    board = batch.frames[32:, :, :, :, 8:]
    stains = board[:, :2] - 0.5
    assert (board[:, 2:] == 0.5).all()
    assert 0.5 * recipe.STAINS < stains.std() < recipe.STAINS  # soft: neighbours are averages
    assert abs(stains.mean().item()) < 0.02
    neighbours = (stains[..., 1:] - stains[..., :-1]).std()
    assert neighbours < 0.5 * stains.std()
    assert batch.frames.min() >= 0
    assert batch.frames.max() <= 1


def test_no_frame_to_predict_is_among_those_that_the_context_is_made_of():
    for step in range(3):
        batch = context_batch(0, step)
        targets = batch.frames[:, 2:, None]
        same = (targets == batch.first[:, None]).all(dim=(3, 4, 5))  # (B, targets, NUM_GIVEN)
        moving = (batch.path[:, 1:] - batch.path[:, :-1]).abs().sum(dim=(1, 2)) > 0
        seen = ~hidden(batch.path[:, 2:])
        # Frames of a sprite out of sight are all alike, and one that bounces may come to the same place again.
        assert (same.any(dim=2) & seen & moving[:, None]).float().mean() < 0.02


def test_context_and_frames_are_of_the_same_clip():
    batch = context_batch(0, 0)
    look = batch.first[:24].flatten(3).amax(dim=(1, 3))  # (24, 3): the colour of clips without a board
    assert torch.allclose(look, batch.frames[:24, 2:].flatten(3).amax(dim=(1, 3)), atol=1e-5)
    assert not torch.allclose(look, batch.frames[:24, 2:].roll(1, 0).flatten(3).amax(dim=(1, 3)), atol=1e-2)


def test_many_pieces_begin_behind_the_board_and_many_do_not():
    share = [hidden(context_batch(0, step).path[24:, 1]).float().mean().item() for step in range(20)]
    assert 0.45 < sum(share) / len(share) < 0.8


def test_contexts_are_left_out_as_often_as_asked():
    kept = torch.cat([context_batch(0, step, dropped=0.3).given for step in range(20)]).float().mean()
    assert kept == pytest.approx(0.7, abs=0.05)
    assert context_batch(0, 0, dropped=0.0).given.all()


def test_no_held_out_combination_is_trained_on(monkeypatch):
    drawn = []
    sample = recipe.sprites.sample

    def watched(*arguments, **options):
        drawn.append(sample(*arguments, **options))
        return drawn[-1]

    monkeypatch.setattr(recipe.sprites, "sample", watched)
    for step in range(5):
        context_batch(0, step)
    told = {parse(text)[0] for batch in drawn for text in batch.captions}
    assert told.isdisjoint(HELD_OUT)
    assert len(told) > 40


def test_the_board_hides_the_sprite_for_longer_than_the_window(scene):
    assert len(scene.clips) == 20
    board = torch.zeros(3, 16, 16)
    board[..., 8:] = 0.5
    for clip, back in zip(scene.clips, scene.back.tolist(), strict=True):
        assert torch.equal(clip[back - 3 : back], board.expand(3, -1, -1, -1))
        assert (clip[back + 3] - board).abs().max() > 0.2
        assert (clip[: NUM_GIVEN - 2] - board).abs().amax(dim=(1, 2, 3)).min() > 0.2


def test_the_judge_passes_the_truth_of_both_scenes_and_of_the_return(scene):
    for some in (scene, bouncing_scene(20, seed=4)):
        rates = judge_scene(some.clips, some).rates()
        assert rates["valid"] == rates["identity"] == rates["motion"] == rates["caption"] == 1
    returns = after_hiding(scene.clips, scene)
    assert returns.shape == (20, NUM_RETURN, 3, 16, 16)
    verdict = judge(returns, config=replace(scene.config, num_frames=NUM_RETURN))
    assert verdict.identity.all()
    assert verdict.motion.all()
    assert {found.motion for found in verdict.combinations} == {"left"}


def test_frames_copied_from_the_last_keep_identity_and_lack_motion(scene):
    frozen = torch.cat([scene.given, copy_last(scene.given, 28)], dim=1)
    rates = judge_scene(frozen, scene).rates()
    assert rates["identity"] == 1
    assert rates["motion"] == 0


def test_the_path_follows_from_the_first_two_frames_and_meets_the_truth(scene):
    later = scene.clips.clone()
    later[:, 2:] = torch.rand(later[:, 2:].shape)
    path = path_ahead(later, 32, config=BOARD)
    assert torch.equal(path, scene.path)
    found = read(scene.clips, config=BOARD)
    assert (found.position - path)[found.visible].abs().mean() < 0.2


@pytest.mark.parametrize("name", recipe.CONTEXT_MODELS)
def test_what_comes_after_the_given_frames_does_not_change_the_prediction(name, scene):
    torch.manual_seed(0)
    model = context_model(name)
    noise = torch.rand(scene.clips[:, NUM_GIVEN:].shape)
    other = replace(scene, clips=torch.cat([scene.given, noise], dim=1))
    predicted = continue_scene(model, scene)
    assert predicted.shape == scene.clips.shape
    assert torch.equal(predicted[:, :NUM_GIVEN], scene.given)
    assert torch.equal(predicted, continue_scene(model, other))


def test_every_frame_is_made_of_the_frames_before_it_and_of_its_place(scene):
    """A model that counts its calls and looks up what it was shown."""

    class Spy(ContextPredictor):
        def forward(self, frames, path, context=None):
            seen.append((frames, path))
            return torch.full_like(frames[:, :1], 0.01 * len(seen))

    seen = []
    clips = continue_scene(Spy(ContextConfig(way="none")), scene)
    assert len(seen) == 28
    for t, (frames, path) in enumerate(seen, start=NUM_GIVEN):
        assert torch.equal(frames, clips[:, t - 2 : t])
        assert torch.equal(path, scene.path[:, t - 2 : t + 1])
        assert clips[:, t].unique().item() == pytest.approx(0.01 * (t - NUM_GIVEN + 1))


def test_another_clip_s_context_or_none_changes_what_is_drawn(small, scene):
    model, _ = train_context(ContextRun(model="every level", seed=0, num_steps=3))
    own = continue_scene(model, scene)
    assert torch.equal(own, continue_scene(model, scene, first=scene.given.flip(1)))
    for other in (
        continue_scene(model, scene, first=scene.given.roll(1, 0)),
        continue_scene(model, scene, told=False),
    ):
        assert not torch.equal(own, other)


def test_the_loss_is_that_of_frames_predicted_from_predicted_ones():
    paths = []

    class Echo(ContextPredictor):
        def forward(self, frames, path, context=None):
            paths.append(path)
            return frames[:, -1:] * 0.5

    batch = context_batch(0, 0, batch_size=4)
    last, wanted = batch.frames[:, 1], batch.frames[:, 2:]
    halves = torch.stack([last * 0.5**n for n in range(1, 5)], dim=1)
    loss = context_loss(Echo(ContextConfig(way="none")), batch)
    assert loss.item() == pytest.approx((halves - wanted).square().sum(dim=(2, 3, 4)).mean().item(), rel=1e-5)
    for t, path in enumerate(paths, start=2):
        assert torch.equal(path, batch.path[:, t - 2 : t + 1])


def test_training_repeats_leaves_global_chance_alone_and_learns(small):
    run = ContextRun(model="every level", seed=0, num_steps=30)
    state = torch.random.get_rng_state()
    model, history = train_context(run)
    assert torch.equal(torch.random.get_rng_state(), state)
    again, _ = train_context(run)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert sum(history.losses[-5:]) < 0.7 * sum(history.losses[:5])
    torch.manual_seed(0)
    assert not torch.equal(model.null.vector, context_model("every level").null.vector)  # it is trained
    torch.manual_seed(0)
    never, _ = train_context(replace(run, dropped=0.0, num_steps=3))
    start = context_model("every level").null.vector
    assert (never.null.vector - start).abs().max() < 1e-3  # no gradient: weight decay alone


def test_a_checkpoint_is_made_once_goes_on_after_a_kill_and_is_loaded(small, tmp_path, monkeypatch, scene):
    run = ContextRun(model="input", seed=1, num_steps=6)
    whole = context_checkpoint(tmp_path / "whole.safetensors", run, command="none")
    calls = []
    batch = recipe.context_batch

    def killed(seed, step, **options):
        calls.append(step)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return batch(seed, step, **options)

    monkeypatch.setattr(recipe, "context_batch", killed)
    monkeypatch.setattr(making, "Resume", lambda **options: Resume(**options, every_seconds=0.0))
    path = tmp_path / "context_input_6_steps_1.safetensors"
    with pytest.raises(KeyboardInterrupt):
        context_checkpoint(path, run, command="none")
    card = context_checkpoint(path, run, command="none")
    assert calls == [0, 1, 2, 3, 3, 4, 5, 6]  # the last is made and not used
    assert card.sha256 == whole.sha256
    assert sorted(file.name for file in tmp_path.iterdir() if file.stem != "whole") == [
        "context_input_6_steps_1.json",
        "context_input_6_steps_1.safetensors",
    ]
    assert context_checkpoint(path, run, command="none") == card
    assert len(calls) == 8  # nothing was trained again
    assert set(card.metrics) == {
        f"{name}, {of}" for name in ("identity", "motion", "valid") for of in ("occlusion", "64 frames")
    }
    model, _ = train_context(run)
    model.load_state_dict(rounded(model.state_dict(), BITS))
    assert torch.equal(continue_scene(load_context(tmp_path, run), scene), continue_scene(model, scene))
    with pytest.raises(ValueError, match="another training, seed: wanted 2, got 1"):
        context_checkpoint(path, replace(run, seed=2), command="none")


def test_every_run_that_is_shipped_has_a_name_of_its_own():
    names = [recipe.checkpoint_name(run) for run in recipe.CONTEXT_RUNS]
    assert len(set(names)) == len(names) == 18
    assert {"context_none_0", "context_every_level_2", "context_input_3000_steps_1"} <= set(names)


def test_an_unknown_model_is_refused():
    with pytest.raises(ValueError, match=r"model: wanted one of none, local, .*, got 'memory'"):
        context_model("memory")
