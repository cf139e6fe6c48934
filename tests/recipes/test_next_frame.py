from dataclasses import replace
from itertools import islice

import pytest
import torch
from torch import nn

from course import budget
from course.datasets.captions import HELD_OUT, TRAINED
from course.generation.rollout import rollout
from course.models.predictors import TRUNKS, DirectConfig, DirectPredictor
from course.recipes import next_frame
from course.recipes.next_frame import (
    HORIZON,
    NEXT_FRAME_MODELS,
    NUM_CONTEXT,
    TURN_HORIZON,
    NextFrameRun,
    best_code,
    next_frame_batches,
    next_frame_loss,
    next_frame_model,
    prediction_clips,
    predictions,
    share_of_truth,
    train_next_frame,
)

RUN = NextFrameRun(model="recurrent", seed=0, cpu_seconds=0.2)
T = NUM_CONTEXT + HORIZON


def some(count=1, **changes):
    return list(islice(next_frame_batches(replace(RUN, **changes)), count))


def test_batches_repeat_from_their_seed_and_hold_trained_combinations_alone():
    for (clips, truth), (same_clips, same_truth) in zip(some(2), some(2), strict=True):
        assert clips.shape == (8, T, 3, 16, 16)
        assert torch.equal(clips, same_clips)
        assert torch.equal(truth, same_truth)
    assert not torch.equal(some()[0][0], some(seed=1)[0][0])
    assert some(model="direct")[0][0].shape[0] == 32
    drawn = prediction_clips(300, generator=budget.generator(0))
    assert set(drawn.state.combinations()) <= set(TRAINED)


def test_a_turn_comes_at_the_last_context_frame_and_the_context_does_not_tell_it():
    drawn = prediction_clips(400, generator=budget.generator(0), turn=True)
    velocity, turn = drawn.state.velocity, drawn.state.turn
    assert drawn.clips.shape[1] == NUM_CONTEXT + TURN_HORIZON
    assert (turn.abs() == 1).all()
    along = velocity[:, NUM_CONTEXT - 2].abs().argmax(dim=1)  # which axis it moves on
    assert (velocity[:, NUM_CONTEXT - 1].abs().argmax(dim=1) != along).all()
    for motion in drawn.state.motion.unique():
        chosen = drawn.state.motion == motion
        start = [drawn.state.position[chosen & (turn == way), 0].mean(dim=0) for way in (-1, 1)]
        assert (start[0] - start[1]).abs().max() < 1.0
    held_out = prediction_clips(100, generator=budget.generator(0), turn=True, combinations=HELD_OUT)
    assert set(held_out.state.combinations()) <= set(HELD_OUT)


def test_the_share_of_truth():
    assert {share_of_truth("teacher forcing", spent) for spent in (0, 0.5, 1)} == {1.0}
    assert {share_of_truth("closed loop", spent) for spent in (0, 0.5, 1)} == {0.0}
    shares = [share_of_truth("scheduled sampling", spent) for spent in (0, 0.375, 0.75, 1)]
    assert shares == pytest.approx([1, 0.5, 0, 0])


def test_the_context_is_always_fed_from_the_truth_and_the_rest_by_the_share():
    for feed, first, last in (
        ("teacher forcing", 1, 1),
        ("closed loop", 0, 0),
        ("scheduled sampling", 1, 0),
    ):
        masks = torch.stack([truth for _, truth in next_frame_batches(replace(RUN, feed=feed, cpu_seconds=1))])
        assert masks[:, :, :NUM_CONTEXT].all()
        rest = masks[:, :, NUM_CONTEXT:].float()
        assert (rest[0].mean(), rest[-1].mean()) == (first, last)
        if feed == "scheduled sampling":
            middle = rest[len(rest) * 3 // 8]
            assert 0 < middle.mean() < 1
            assert 0 < middle[:, 0].mean() < 1  # each clip has a coin of its own


def test_fed_with_its_own_output_it_predicts_what_a_rollout_does():
    """And with the truth what one pass gives; so what is trained is what is measured."""
    model, (clips, truth) = next_frame_model(RUN), some(feed="closed loop")[0]
    closed = predictions(model, clips, truth)[:, NUM_CONTEXT - 1 :].clamp(0, 1)
    assert torch.allclose(closed, rollout(model, clips[:, :NUM_CONTEXT], HORIZON), atol=1e-5)
    almost = torch.ones_like(truth)
    almost[:, -1] = False  # the last frame is fed to nobody, so that all steps see the truth
    assert torch.allclose(predictions(model, clips, almost), model(clips[:, :-1]), atol=1e-6)
    mixed = truth.clone()
    mixed[:, NUM_CONTEXT + 1] = True
    assert not torch.allclose(predictions(model, clips, mixed), predictions(model, clips, truth), atol=1e-4)


def test_the_gradient_passes_through_what_was_fed_back():
    model, (clips, truth) = next_frame_model(RUN), some(feed="closed loop")[0]
    seen = []
    model.encode.register_forward_hook(lambda module, given, result: seen.append(given[0]))
    last = predictions(model, clips.clamp(0.1, 0.9), truth)[:, -1].sum()
    (gradient,) = torch.autograd.grad(last, seen[NUM_CONTEXT])
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("model", NEXT_FRAME_MODELS)
def test_the_loss_counts_the_frames_after_the_context_and_no_other(model):
    run = replace(RUN, model=model)
    network, (clips, truth) = next_frame_model(run), some(model=model)[0]
    loss = next_frame_loss(network, (clips, truth))
    if model in TRUNKS:
        predicted = network(clips[:, :-1])[:, NUM_CONTEXT - 1 :]
    else:
        predicted = network(clips[:, :NUM_CONTEXT], best_code(network, clips[:, :NUM_CONTEXT], clips[:, NUM_CONTEXT:]))
    assert loss.item() == pytest.approx((predicted - clips[:, NUM_CONTEXT:]).square().mean().item())


def test_the_code_is_the_nearer_one_and_none_is_left_out():
    class Two(nn.Module):
        """Always two futures: a grey one, and one that is brighter by less than the clips ever are."""

        config = DirectConfig(num_context=1, horizon=1, num_codes=2)

        def futures(self, context):
            return torch.stack([torch.full_like(context, 0.5), torch.full_like(context, 0.9)], dim=1)

    def chosen(*values):
        target = torch.tensor(values).reshape(-1, 1, 1, 1, 1).expand(-1, 1, 3, 2, 2)
        return best_code(Two(), torch.zeros_like(target), target).tolist()

    assert chosen(0.5, 0.9, 0.45, 0.95) == [0, 1, 0, 1]
    assert chosen(0.1, 0.2, 0.3, 0.4) == [0, 0, 1, 1]  # the first is nearer to all: it would win every clip
    plain = DirectPredictor(DirectConfig(num_context=1, horizon=1))
    assert best_code(plain, torch.zeros(3, 1, 3, 16, 16), torch.zeros(3, 1, 3, 16, 16)).tolist() == [0, 0, 0]


def test_the_names_mean_what_they_say():
    made = {name: next_frame_model(replace(RUN, model=name)) for name in NEXT_FRAME_MODELS}
    assert {name: made[name].config.trunk for name in TRUNKS} == {name: name for name in TRUNKS}
    assert [made[name].config.num_codes for name in ("direct", "direct, two codes")] == [1, 2]
    assert made["direct"].config.horizon == HORIZON
    assert next_frame_model(replace(RUN, model="direct", turn=True)).config.horizon == TURN_HORIZON


def test_a_budget_buys_steps_at_the_price_of_the_model(monkeypatch):
    monkeypatch.setattr(next_frame, "NEXT_FRAME_COST", {"recurrent": 5.0})
    assert replace(RUN, cpu_seconds=2.0).num_steps == 400
    assert replace(RUN, cpu_seconds=1e-6).num_steps == 1


@pytest.mark.parametrize("model", ["recurrent", "direct, two codes"])
def test_a_run_repeats_from_its_seed_and_leaves_the_global_chance_alone(model):
    run = replace(RUN, model=model, cpu_seconds=0.06, turn=True)
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first = train_next_frame(run)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(6)
    again, other = train_next_frame(run), train_next_frame(replace(run, seed=1))
    assert (first.weights, first.losses) == (again.weights, again.losses)
    assert first.weights != other.weights
    assert len(first.losses) == run.num_steps
    assert first.cpu_seconds > 0


def test_the_weights_come_back_as_the_trained_model():
    result = train_next_frame(replace(RUN, cpu_seconds=2.0, model="3D convolution"))
    assert sum(result.losses[-20:]) < 0.7 * sum(result.losses[:20])
    trained, untrained = result.model(), next_frame_model(result.run)
    clips, truth = some(model="3D convolution", seed=9)[0]
    with torch.no_grad():
        now, before = next_frame_loss(trained, (clips, truth)), next_frame_loss(untrained, (clips, truth))
    assert now < 0.7 * before


def test_results_come_in_the_order_of_the_runs(monkeypatch):
    monkeypatch.setenv("COURSE_BUDGET", "smoke")
    runs = [replace(RUN, seed=seed) for seed in (2, 0, 1)]
    monkeypatch.setattr(next_frame, "side_by_side", lambda function, jobs: reversed([(job, job.seed) for job in jobs]))
    assert list(next_frame.next_frame_results(runs).items()) == [(run, run.seed) for run in runs]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "Mamba"}, r"model: wanted one of \('recurrent', .*\), got 'Mamba'"),
        ({"feed": "hand"}, r"feed: wanted one of \('teacher forcing', .*\), got 'hand'"),
        ({"feed": "closed loop", "model": "direct"}, "feed: closed loop is for a recurrent model, got 'direct'"),
    ],
)
def test_names_that_mean_nothing_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(RUN, **changes)
