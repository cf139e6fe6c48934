"""The recipes: batches that repeat, digits never seen, and the test of memory passed where it can be."""

import math
from dataclasses import replace
from itertools import islice

import pytest
import torch

from course.recipes import recall as recipes
from course.recipes.recall import RecallRun, recall_batches, recall_model, train_recall

GAP = 4
RUN = RecallRun(model="Transformer", gap=GAP, seed=0, cpu_seconds=1.0)


def some(num_batches=3, **options):
    return list(islice(recall_batches(GAP, **{"seed": 0, **options}), num_batches))


def test_batches_repeat_from_their_seed_and_differ_among_themselves():
    first, again, other = some(batch_size=5), some(batch_size=5), some(batch_size=5, seed=1)
    for (clips, labels), (same_clips, same_labels) in zip(first, again, strict=True):
        assert clips.shape == (5, GAP + 3, 1, 16, 16)
        assert torch.equal(clips, same_clips)
        assert torch.equal(labels, same_labels)
    assert not torch.equal(first[0][0], first[1][0])
    assert not torch.equal(first[0][0], other[0][0])


def test_centred_clips_have_a_board_of_zero():
    (plain, _), (centred, _) = some(1)[0], some(1, centre=True)[0]
    assert torch.equal(centred, plain - 0.5)
    assert centred[:, -1, 0, 0, 0].abs().max() == 0


def test_the_control_gives_each_clip_the_answer_of_another():
    """The same clips; no answer is left with its clip, or a patient network could still learn the task."""
    for (clips, labels), (same_clips, shuffled) in zip(some(), some(shuffled=True), strict=True):
        assert torch.equal(clips, same_clips)
        assert torch.equal(shuffled[1:], labels[:-1])
        assert shuffled[0] == labels[-1]


def test_no_digit_of_the_test_is_among_those_trained_on():
    """Also not those that flash by: a frame of the gap is the board and half a digit."""

    def drawn(split):
        clips = next(recall_batches(GAP, seed=0, split=split, batch_size=1500))[0][:, :, 0, 2:14, 2:14]
        return torch.cat([clips[:, 0], 2 * (clips[:, 2:-1].flatten(0, 1) - 0.5)]).flatten(1)

    trained, tested = drawn("train").unique(dim=0), drawn("test").unique(dim=0)
    assert len(trained) > 1400
    assert len(tested) > 350
    assert torch.cdist(tested, trained).min() > 0.1
    assert torch.cdist(drawn("train")[:50], trained).min() < 0.01  # the distance can tell


def test_the_loss_is_that_of_the_answer_after_the_last_frame():
    labels = torch.tensor([3, 7])
    answers = torch.zeros(2, GAP + 3, 10)
    answers[0, -1, 3] = answers[1, -1, 7] = 9.0
    right = recipes.recall_loss(lambda clips: answers, (None, labels))
    wrong = recipes.recall_loss(lambda clips: answers.flip(1), (None, labels))
    assert wrong == pytest.approx(math.log(10))  # after the last frame all ten answers are equally likely
    assert right < wrong - 0.5


@pytest.mark.parametrize("name", recipes.RECALL_MODELS)
def test_every_model_answers_each_frame_also_of_a_long_clip(name):
    assert recall_model(name)(torch.rand(2, 51, 1, 16, 16)).shape == (2, 51, 10)


def test_the_names_mean_what_they_say():
    kinds = {"RNN": "rnn", "GRU": "gru", "LSTM": "lstm", "LSTM, forget bias 3": "lstm"}
    assert {name: recall_model(name).config.cell for name in kinds} == kinds
    biases = [recall_model(name).config.forget_bias for name in ("LSTM", "LSTM, forget bias 3")]
    assert biases == [0.0, 3.0]


def test_a_budget_buys_steps_at_the_price_of_the_model_and_of_the_frames(monkeypatch):
    monkeypatch.setattr(recipes, "RECALL_COST", {"RNN": (1.0, 0.5)})
    run = RecallRun(model="RNN", gap=3, seed=0, cpu_seconds=2.0)  # 6 frames: 1 + 6 * 0.5 = 4 milliseconds
    assert run.num_steps == 500
    assert replace(run, gap=11).num_steps == 250
    assert replace(run, cpu_seconds=1e-6).num_steps == 1


def test_a_run_repeats_from_its_seed_and_leaves_the_global_chance_alone():
    run = replace(RUN, model="RNN", cpu_seconds=0.02)
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first = train_recall(run)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(6)
    again, other = train_recall(run), train_recall(replace(run, seed=1))
    assert (first.shares, first.losses, first.accuracy) == (again.shares, again.losses, again.accuracy)
    assert first.shares != other.shares
    assert first.losses[0] != other.losses[0]
    assert len(first.losses) == run.num_steps
    assert len(first.shares) == GAP + 3
    assert sum(first.shares) == pytest.approx(1)
    assert first.cpu_seconds > 0


def test_a_transformer_remembers_and_the_control_stays_at_chance():
    learned, control = train_recall(RUN), train_recall(replace(RUN, shuffled=True))
    assert learned.accuracy >= 0.4
    assert learned.losses[-1] < 0.8 * learned.losses[0]
    assert control.accuracy < 0.2
    assert control.shares == learned.shares  # measured before training, on the same clips


def test_results_come_in_the_order_of_the_runs(monkeypatch):
    monkeypatch.setenv("COURSE_BUDGET", "smoke")
    runs = [replace(RUN, seed=seed) for seed in (2, 0, 1)]
    monkeypatch.setattr(recipes, "side_by_side", lambda function, jobs: reversed([(job, job.seed) for job in jobs]))
    assert list(recipes.recall_results(runs).items()) == [(run, run.seed) for run in runs]


def test_an_unknown_model_is_refused():
    for call in (lambda: recall_model("Mamba"), lambda: train_recall(replace(RUN, model="Mamba"))):
        with pytest.raises(ValueError, match=r"model: wanted one of \('mean frame', .*'Transformer'\), got 'Mamba'"):
            call()
