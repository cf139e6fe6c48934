"""A training that was killed goes on to the same last bit; a state that is not its own is refused."""

import copy
import multiprocessing
import random
import sys
import time
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from course.training import checkpoint, loop
from course.training.checkpoint import Resume, load_state, save_state
from course.training.ema import EMA
from course.training.loop import TrainConfig, step_generator, train

CONFIG = TrainConfig(num_steps=9, learning_rate=0.05, warmup_steps=3)
RUN = {"recipe": "tiny", "seed": 1, "model": {"size": 6}}


def new_model(seed=0, size=6):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, size), nn.BatchNorm1d(size), nn.Tanh(), nn.Dropout(0.4), nn.Linear(size, 1))


def batch_at(step):
    x = torch.randn(8, 3, generator=step_generator(1, step))
    return x, x.sum(dim=1, keepdim=True)


def squared_error(model, batch):
    x, target = batch
    return F.mse_loss(model(x), target)


def fails_at(step):
    """Return a loss that is interrupted, as by a learner, the given number of steps after it was first asked for."""
    calls = []

    def loss_fn(model, batch):
        calls.append(batch)
        if len(calls) > step:
            raise KeyboardInterrupt
        return squared_error(model, batch)

    return loss_fn


def trained(resume=None, loss_fn=squared_error, config=CONFIG, seed=0):
    """Return what a training ends with: weights, averages, losses, and the next random number."""
    model = new_model(seed)
    ema = EMA(model, 0.8)
    history = train(model, batch_at, loss_fn, config, ema=ema, resume=resume)
    return model.state_dict(), ema.state_dict(), history.losses, torch.rand(3)


def assert_same(first, second):
    for one, other in zip(first[:2], second[:2], strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert first[2] == second[2]
    assert torch.equal(first[3], second[3])


@pytest.fixture
def resume(tmp_path):
    return Resume(path=tmp_path / "state" / "tiny.safetensors", run=RUN, every_seconds=0.0)


@pytest.fixture
def interrupted(resume):
    """Return the state of a training that was interrupted after 4 steps of 9."""
    with pytest.raises(KeyboardInterrupt):
        trained(resume, fails_at(4))
    return resume


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(loop.time, "process_time", lambda: now[0])
    return now


# Killed for good


def train_until_killed(path, seed):
    torch.set_num_threads(1)
    trained(Resume(path=path, run=RUN, every_seconds=0.0), config=replace(CONFIG, num_steps=300), seed=seed)


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be forked there")
def test_killed_at_any_moment_and_resumed_it_is_the_same_to_the_last_bit(tmp_path):
    """SIGKILL, many times, at random moments; a step takes about as long as saving it, so many fall into a write."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "course.training.loop"])

    def written(path):
        return path.stat().st_mtime_ns if path.exists() else None

    def start(path, seed):
        process = context.Process(target=train_until_killed, args=(path, seed))
        process.start()
        return process

    whole, path = tmp_path / "whole.safetensors", tmp_path / "killed" / "state.safetensors"
    uninterrupted = start(whole, 0)
    chance, reached = random.Random(0), [0]
    for attempt in range(8):
        before = written(path)
        process = start(path, attempt)  # its first weights are other ones each time, and must not matter
        while process.is_alive() and written(path) == before:
            time.sleep(0.001)
        process.join(timeout=chance.uniform(0, 0.04))
        process.kill()
        process.join()
        reached.append(len(load_file(path)["history/losses"]))  # whole, always
        if process.exitcode != -9:  # it had come to its end
            break
    assert reached == sorted(set(reached)), "it began anew"
    assert len(reached) > 3
    last = start(path, 99)
    for process in (last, uninterrupted):
        process.join()
        assert process.exitcode == 0
    wanted, ended = load_file(whole), load_file(path)
    assert len(ended["history/losses"]) == 300
    assert wanted.keys() == ended.keys()
    for name in wanted.keys() - {"history/cpu_seconds"}:
        assert torch.equal(wanted[name], ended[name]), name
    Resume(path=path).discard()
    assert list(path.parent.iterdir()) == []


# Interrupted in this process


@pytest.mark.parametrize("steps", [[0], [1], [8], [2, 0, 3], [1] * 8])
def test_interrupted_and_resumed_it_is_the_same_to_the_last_bit(resume, steps):
    for attempt, step in enumerate(steps):
        with pytest.raises(KeyboardInterrupt):
            trained(resume, fails_at(step), seed=attempt)
    first_weights = 77 if any(steps) else 0  # they matter only where nothing was saved
    assert_same(trained(resume, seed=first_weights), trained())


def test_what_was_not_saved_is_done_again(resume, clock):
    """A step takes a second and every third is saved: interrupted after 5, it goes on after 3."""
    seen = []

    def slow(step):
        seen.append(step)
        clock[0] += 1
        return batch_at(step)

    resume = replace(resume, every_seconds=3.0)
    for loss_fn in (fails_at(5), squared_error):
        with pytest.raises(KeyboardInterrupt) if not seen else nullcontext():
            model = new_model()
            history = train(model, slow, loss_fn, CONFIG, resume=resume)
    assert seen == [0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7, 8, 9]  # the batch after the last is drawn, and not used
    assert history.cpu_seconds == 9
    assert len(history.losses) == 9


@pytest.mark.parametrize("every_seconds", [0.0, 1e9])
def test_a_finished_training_is_not_trained_again(resume, every_seconds):
    resume = replace(resume, every_seconds=every_seconds)  # the end is saved in any case
    first = trained(resume)
    assert_same(trained(resume, fails_at(0), seed=5), first)


def test_saving_changes_nothing_and_a_function_of_the_step_equals_a_sequence(resume):
    with_state, without = trained(resume), trained()
    assert_same(with_state, without)
    model = new_model()
    history = train(model, map(batch_at, range(50)), squared_error, CONFIG, ema=EMA(model, 0.8))
    assert history.losses == without[2]


def test_the_average_is_updated_at_every_step():
    model = new_model()
    ema, wanted = EMA(model, 0.8), EMA(model, 0.8)
    state = torch.random.get_rng_state()
    train(model, batch_at, squared_error, CONFIG, ema=ema)
    again = new_model()
    torch.random.set_rng_state(state)

    class Watched(torch.optim.AdamW):
        def step(self, closure=None):
            super().step(closure)
            wanted.update(again)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "AdamW", Watched)
        train(again, batch_at, squared_error, CONFIG)
    assert ema.num_updates == 9
    assert all(torch.equal(wanted.state_dict()[name], now) for name, now in ema.state_dict().items())


# Budgets


def test_cpu_seconds_are_carried_over_and_saving_costs_nothing(resume, clock, monkeypatch):
    """A step takes a second and saving ten: 8 seconds are 8 steps, however often it is interrupted."""
    write = checkpoint._write

    def slow_write(path, data):
        clock[0] += 10
        write(path, data)

    def slow(loss_fn):
        def wrapped(model, batch):
            clock[0] += 1
            return loss_fn(model, batch)

        return wrapped

    config = replace(CONFIG, num_steps=None, cpu_seconds=8.0)
    wanted = trained(loss_fn=slow(squared_error), config=config)
    monkeypatch.setattr(checkpoint, "_write", slow_write)
    for step in (3, 2):
        with pytest.raises(KeyboardInterrupt):
            trained(resume, slow(fails_at(step)), config)
        clock[0] = 0.0  # a new process begins at nothing
    assert load_file(resume.path)["history/cpu_seconds"] == 5
    ended = trained(resume, slow(squared_error), config)
    assert len(ended[2]) == 8
    assert_same(ended, wanted)


# A state that is not its own


def refuse(resume, *words, config=CONFIG, model=None, ema_decay=0.8):
    """Check that the state is refused in one line, and that neither weights nor chance were touched."""
    model = model or new_model(3)
    ema = None if ema_decay is None else EMA(model, ema_decay)
    before, chance = copy.deepcopy(model.state_dict()), torch.random.get_rng_state()
    with pytest.raises(ValueError, match=r"tiny\.safetensors") as caught:
        train(model, batch_at, fails_at(0), config, ema=ema, resume=resume)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), chance)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"learning_rate": 0.06}, "config: learning_rate: wanted 0.06, got 0.05"),
        ({"num_steps": 10}, "config: num_steps: wanted 10, got 9"),
        ({"num_steps": None, "cpu_seconds": 3.0}, "config: cpu_seconds: wanted 3.0, got null"),
    ],
)
def test_another_config_is_refused(interrupted, change, words):
    refuse(interrupted, words, "delete it to train from the beginning", config=replace(CONFIG, **change))


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({**RUN, "seed": 2}, "run: seed: wanted 2, got 1"),
        ({**RUN, "model": {"size": 7}}, "run: model: size: wanted 7, got 6"),
        ({"recipe": "tiny", "model": {"size": 6}}, "run: seed: wanted nothing, got 1"),
        ({**RUN, "shuffled": None}, "run: shuffled: wanted null, got nothing"),
    ],
)
def test_another_run_is_refused(interrupted, run, words):
    refuse(replace(interrupted, run=run), words)


def test_another_model_or_average_is_refused(interrupted):
    refuse(interrupted, "model/0.bias: wanted float32 (7,), got float32 (6,)", model=new_model(size=7))
    refuse(interrupted, "ema decay: wanted 0.9, got 0.8", ema_decay=0.9)
    refuse(interrupted, "ema decay: wanted null, got 0.8", ema_decay=None)


def test_what_changes_the_last_bits_is_refused(interrupted, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "9.9.9")
        refuse(interrupted, 'torch: wanted "9.9.9", got')
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    refuse(interrupted, "num_threads: wanted 64, got")


def test_damaged_truncated_and_foreign_states_are_refused(interrupted):
    whole = interrupted.path.read_bytes()
    chance = random.Random(0)
    for place in [0, 7, 8, 30, len(whole) - 1, *chance.sample(range(len(whole)), 40)]:
        damaged = bytearray(whole)
        damaged[place] ^= 4
        interrupted.path.write_bytes(damaged)
        refuse(interrupted, "wanted")
    for length in (0, 1, 8, 500, len(whole) // 2, len(whole) - 1):
        interrupted.path.write_bytes(whole[:length])
        refuse(interrupted, "wanted a safetensors file", f"got {length} bytes")
    interrupted.path.write_bytes(b"\x80\x04\x95" + bytes(200))  # how a pickle begins
    refuse(interrupted, "wanted a safetensors file")
    save_file(new_model().state_dict(), interrupted.path)
    refuse(interrupted, "wanted the state of a training", "delete it to train from the beginning")
    interrupted.path.write_bytes(whole)
    assert_same(trained(interrupted), trained())


def test_batches_that_cannot_be_taken_up_again_are_refused(resume):
    with pytest.raises(ValueError, match="batches: to resume, wanted a function from the step to its batch, got"):
        train(new_model(), map(batch_at, range(9)), squared_error, CONFIG, resume=resume)


def test_a_run_that_json_cannot_hold_is_refused(resume):
    with pytest.raises(ValueError, match="wanted what JSON can hold"):
        trained(replace(resume, run={"seed": object()}))


def test_discarding_what_is_not_there_does_nothing_and_neighbours_stay(interrupted):
    neighbour = interrupted.path.with_name("other.safetensors")
    neighbour.touch()
    (interrupted.path.parent / ".tiny.safetensors.abc").mkdir()
    interrupted.discard()
    assert list(interrupted.path.parent.iterdir()) == [neighbour]
    interrupted.discard()


# More than one model and one optimiser


def two_players(seed):
    """Return two small networks, one of them laid out with its channels last, and an optimiser for each."""
    torch.manual_seed(seed)
    modules = {"generator": nn.Linear(4, 4), "critic": nn.Conv2d(3, 5, 3).to(memory_format=torch.channels_last)}
    optimisers = {
        name: torch.optim.AdamW(module.parameters(), lr=0.1 * number, fused=True)
        for number, (name, module) in enumerate(modules.items(), start=1)
    }
    return modules, optimisers


def one_step(modules, optimisers):
    for name, shape in (("generator", (2, 4)), ("critic", (2, 3, 4, 4))):
        optimisers[name].zero_grad()
        modules[name](torch.rand(shape)).square().sum().backward()
        optimisers[name].step()


def test_two_models_with_two_optimisers_go_on_and_keep_their_layout(tmp_path):
    path = tmp_path / "state.safetensors"
    modules, optimisers = two_players(0)
    for _ in range(3):
        one_step(modules, optimisers)
    named = {f"{name} optimiser": optimiser for name, optimiser in optimisers.items()}
    history = {"generator": [1 / 3, 0.1], "critic": [], "cpu_seconds": 2.5}
    save_state(path, modules=modules, optimisers=named, history=history, run={})
    others, other_optimisers = two_players(1)
    other_named = {f"{name} optimiser": optimiser for name, optimiser in other_optimisers.items()}
    one_step(others, other_optimisers)  # what they went through before must not matter
    assert load_state(path, modules=others, optimisers=other_named, run={}) == history
    state = torch.random.get_rng_state()
    one_step(others, other_optimisers)
    torch.random.set_rng_state(state)
    one_step(modules, optimisers)
    for name, module in modules.items():
        for one, other in zip(module.parameters(), others[name].parameters(), strict=True):
            assert torch.equal(one, other)
            entry = other_optimisers[name].state[other]
            assert entry["exp_avg"].stride() == optimisers[name].state[one]["exp_avg"].stride()
    assert not modules["critic"].weight.is_contiguous()


def test_an_optimiser_of_other_parameters_is_refused(tmp_path):
    path = tmp_path / "state.safetensors"
    modules, optimisers = two_players(0)
    one_step(modules, optimisers)
    save_state(path, modules=modules, optimisers={"one": optimisers["critic"]}, history={}, run={})
    before = copy.deepcopy(modules["generator"].state_dict())
    with pytest.raises(ValueError, match=r"one/0/exp_avg: wanted float32 \(4, 4\), got float32 \(5, 3, 3, 3\)"):
        load_state(path, modules=modules, optimisers={"one": optimisers["generator"]}, run={})
    assert torch.equal(before["weight"], modules["generator"].weight)


def test_a_missing_state_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors: wanted a file of a checkpoint, there is none"):
        load_state(tmp_path / "none.safetensors", modules={}, optimisers={}, run={})


# The chance of a step


def test_the_chance_of_a_step_depends_on_seed_and_step_alone():
    draws = {
        (seed, step): torch.rand(4, generator=step_generator(seed, step))
        for seed in (0, 1, 2, 2**32, 2**33 + 1)
        for step in range(40)
    }
    assert len({tuple(draw.tolist()) for draw in draws.values()}) == len(draws)
    assert torch.equal(torch.rand(4, generator=step_generator(2, 7)), draws[2, 7])
    first = torch.stack([draws[0, step] for step in range(40)])
    assert abs(first.mean().item() - 0.5) < 0.1
    with pytest.raises(ValueError, match="non-negative"):
        step_generator(-1, 0)
