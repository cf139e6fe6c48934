"""Two workers do what one does: gradients, weights, averages, codebooks, and adversaries; one of them writes.

The workers are processes that ``torch.distributed.run`` starts on this machine: see ``on_workers.py``.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import on_workers
import pytest
import torch
from on_workers import COMPARED, CONTEXT_RUN, KILLED_AT, NUM_STEPS
from safetensors.torch import load_file

from course import distributed
from course.recipes.context import train_context
from course.training.checkpoint import Resume, read_card

ROOT = Path(__file__).resolve().parents[2]


def launch(folder, *words, restarts=0):
    """Start two workers, and return what they print, and what is said of their ends.

    They may be started once more: where a thread of gloo outlives the interpreter, a worker that has done all its work
    is aborted as it leaves (PyTorch's issue 190489), and then finds everything done.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--max-restarts", str(restarts + 1), on_workers.__file__, str(folder), *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "COURSE_BUDGET": "smoke"}
    environment["PYTHONFAULTHANDLER"] = "1"  # says where, if one is aborted
    if sys.platform == "linux":
        environment["GLOO_SOCKET_IFNAME"] = "lo"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, cwd=ROOT, **pipes) as process:
        try:
            printed, errors = process.communicate(timeout=400)
        except subprocess.TimeoutExpired:
            process.terminate()  # the workers, too
            printed, errors = process.communicate()
    assert process.returncode == 0, errors[-5000:]
    return printed, errors


def close(one, other):
    """Tell whether two findings are the same up to rounding."""
    assert one.keys() == other.keys()
    tolerance = {torch.float32: 2e-5, torch.float64: 1e-9}
    return all(
        torch.allclose(value, other[name], rtol=0, atol=tolerance.get(value.dtype, 0)) for name, value in one.items()
    )


@pytest.fixture(name="folder", scope="module")
def fixture_folder(tmp_path_factory):
    """Return where two workers have left what they found; a training that one process began lies in the first's."""
    folder = tmp_path_factory.mktemp("two workers")
    torch.set_num_threads(2)  # unlike the workers
    on_workers.interrupted(Resume(path=folder / "files of 0" / "begun by one.safetensors", every_seconds=0.0))
    torch.set_num_threads(1)
    launch(folder)
    return folder


@pytest.fixture(name="found", scope="module")
def fixture_found(folder):
    """Return what each of two workers has found, by task."""
    both = []
    for rank in (0, 1):
        tasks = {}
        for place, value in load_file(folder / f"{rank}.safetensors").items():
            task, _, name = place.partition("/")
            tasks.setdefault(task, {})[name] = value
        both.append(tasks)
    return both


def test_a_process_by_itself_is_the_only_worker():
    batch = on_workers.batch_at(0)
    assert (distributed.rank(), distributed.num_workers()) == (0, 1)
    assert distributed.share(batch) is batch
    assert distributed.gathered(batch.x) is batch.x
    assert distributed.mean(batch.x) is distributed.summed(batch.x) is batch.x
    assert distributed.from_first(lambda: (1, 2)) == (1, 2)
    with distributed.workers():
        assert distributed.num_workers() == 1


@pytest.mark.parametrize("task", COMPARED, ids=lambda task: task.__name__)
def test_two_workers_come_to_what_one_comes_to(found, task):
    state = torch.get_rng_state()
    alone = task()
    torch.set_rng_state(state)
    assert close(found[0][task.__name__], alone)


def test_what_is_compared_can_differ(found):
    """The gradient of one share is another one, and codes were drawn anew after the first batch had filled the book."""
    model, batch = on_workers.new_model(), on_workers.batch_at(0)
    x, target = batch.x[::2], batch.target[::2]
    on_workers.squared_error(model, on_workers.Example(x, target)).backward()
    assert not close(found[0]["gradients"], {name: p.grad for name, p in model.named_parameters()})
    torch.manual_seed(0)
    on_workers.VQVAE(on_workers.CODES)
    torch.randint(8 * 8 * 16, (64,))  # the first filling
    assert not torch.equal(found[0]["codebook"]["chance"], torch.get_rng_state())


def test_gradients_are_those_of_the_wrapper(found):
    for tasks in found:
        assert close(tasks["gradients"], tasks["gradients_of_the_wrapper"])


def test_weights_averages_and_buffers_are_the_same_on_both_to_the_last_bit(found):
    ours, theirs = ({task: values for task, values in tasks.items() if task != "shares"} for tasks in found)
    for task, values in ours.items():
        for name, value in values.items():
            assert torch.equal(value, theirs[task][name]), f"{task}: {name}"
    assert close(ours["from_other_weights"], ours["trained"]), "the first worker's weights are everyone's"


def test_what_both_spend_is_the_cost(found):
    """Of 40 CPU seconds a step takes 1 and 3: they stop after 10 steps, at the same learning rates."""
    assert len(found[0]["by_the_clock"]["losses"]) == 10


def test_shares_are_every_other_clip_and_are_put_together_in_order(found):
    for rank, tasks in enumerate(found):
        assert tasks["shares"]["share"].tolist() == [4 * clip for clip in range(rank, 8, 2)]
        assert torch.equal(tasks["shares"]["gathered"], tasks["shares"]["clips"])


def test_a_training_goes_on_with_more_workers_or_with_fewer(found, folder, tmp_path):
    """The first worker's file counts: the other has none."""
    wanted = on_workers.trained()
    assert close(found[1]["gone_on"], wanted)
    place = tmp_path / "state.safetensors"
    shutil.copy(folder / "files of 0" / "begun by two.safetensors", place)
    assert len(load_file(place)["history/losses"]) == 4
    seen = []

    def batches(step):
        seen.append(step)
        return on_workers.batch_at(step)

    assert close(on_workers.trained(Resume(path=place), batches, seed=5), wanted)
    assert seen[0] == 4


def test_the_first_worker_alone_writes(folder):
    assert sorted(path.name for path in folder.glob("files of *")) == ["files of 0"]


def test_what_cannot_be_shared_is_refused_with_both_numbers(folder):
    for rank in (0, 1):
        messages = json.loads((folder / f"{rank}.json").read_text())
        assert messages["uneven"] == "batch: wanted a multiple of 2 clips for 2 workers, got 7 clips"
        assert messages["pairs"].endswith("an even number for each worker, got 3 for each of 2")
        assert "to share, got <class 'list'>" in messages["strings"]


@pytest.mark.skipif(sys.platform == "win32", reason="no process can be killed so there")
def test_a_killed_worker_is_started_again_and_a_recipe_of_each_kind_is_made(tmp_path):
    """The second worker gets SIGKILL in the first training: both are started again, and go on from the state."""
    printed, errors = launch(tmp_path, "train", restarts=1)
    spoken = sum("all.safetensors:" in line for line in printed.splitlines())
    assert spoken == 1 or "exitcode: -6" in errors, printed
    for rank in (0, 1):
        lines = [line.split() for line in (tmp_path / f"steps of {rank}").read_text().splitlines()]
        steps = {attempt: [int(step) for some, step in lines if some == attempt] for attempt in ("0", "1")}
        assert steps["0"] == list(range(KILLED_AT + 1))
        assert 0 < steps["1"][0] <= KILLED_AT
        assert steps["1"] == list(range(steps["1"][0], NUM_STEPS + 1))
    assert [path.name for path in tmp_path.glob("written by *")] == ["written by 0"]

    names = set(on_workers.recipes())
    left = {path.name for path in tmp_path.iterdir() if not path.name.startswith(("steps", "written"))}
    assert left == {f"{name}.{end}" for name in names for end in ("json", "safetensors")} | {"gan.csv"}
    for name in names:
        assert read_card(tmp_path / f"{name}.safetensors").num_steps > 0
    with torch.random.fork_rng():
        model, _ = train_context(CONTEXT_RUN)
    made, total = load_file(tmp_path / "context.safetensors"), 0.0
    for name, value in model.state_dict().items():
        total += (made[name] - value).abs().sum().item()
    # On average: Adam makes a step of the least slope. A step too many or too few moves each weight by 1e-4 or more.
    assert total / sum(value.numel() for value in made.values()) < 2e-6
