"""Jobs in this process at the smoke budget, and in processes of their own at the full one."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from course import budget
from course.training import parallel
from course.training.parallel import side_by_side


def looked_around(job):
    """Return the job's square, and where it was computed."""
    return job**2, os.getpid(), torch.get_num_threads()


def fails_at_two(job):
    if job == 2:
        raise ValueError("job 2 has no result")
    return job


def test_at_the_smoke_budget_jobs_run_here_in_their_order(monkeypatch):
    monkeypatch.setenv("COURSE_BUDGET", "smoke")
    done = list(side_by_side(looked_around, [3, 1, 2]))
    assert [(job, result[0]) for job, result in done] == [(3, 9), (1, 1), (2, 4)]
    assert {process for _, (_, process, _) in done} == {os.getpid()}
    assert list(side_by_side(looked_around, [])) == []


def test_at_the_smoke_budget_an_error_reaches_the_caller_after_what_was_done(monkeypatch):
    monkeypatch.setenv("COURSE_BUDGET", "smoke")
    done = side_by_side(fails_at_two, [1, 2, 3])
    assert next(done) == (1, 1)
    with pytest.raises(ValueError, match="job 2 has no result"):
        next(done)


def test_in_processes_each_job_comes_back_with_its_own_result(monkeypatch):
    """Also when they are done in another order than given; each worker has one thread."""
    monkeypatch.setenv("COURSE_BUDGET", "full")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # what a worker would begin with
    done = dict(side_by_side(looked_around, range(6)))
    assert {job: square for job, (square, _, _) in done.items()} == {job: job**2 for job in range(6)}
    processes = {process for _, process, _ in done.values()}
    assert os.getpid() not in processes
    assert 1 <= len(processes) <= budget.NUM_THREADS
    assert {num_threads for _, _, num_threads in done.values()} == {1}


def test_an_error_in_a_worker_reaches_the_caller_and_what_waits_is_given_up(monkeypatch):
    """With threads for workers, since a process takes seconds to start."""
    monkeypatch.setenv("COURSE_BUDGET", "full")
    monkeypatch.setattr(parallel, "ProcessPoolExecutor", lambda num_workers, **_: ThreadPoolExecutor(num_workers))
    begun = []

    def watched(job):
        begun.append(job)
        time.sleep(0.01)
        return fails_at_two(job)

    with pytest.raises(ValueError, match="job 2 has no result"):
        list(side_by_side(watched, range(500)))
    assert 2 in begun
    assert len(begun) < 500
