"""Small trainings side by side, one on each core."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

import torch

from course import budget

Job = TypeVar("Job")
Result = TypeVar("Result")


def side_by_side(function: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[tuple[Job, Result]]:
    """Run a function on each job, ``budget.NUM_THREADS`` at a time, each in a process of its own with one thread.

    A small network keeps one core busy and gains nothing from a second; two trainings do. At the smoke budget the jobs
    run here, one after the other: starting a process takes longer than they do. A script that calls this
    needs the usual ``if __name__ == "__main__":``, since each process imports it anew.

    Args:
        function: a function of a module (not of a notebook), so that another process can find it.
        jobs: what it is called with; each can be pickled.

    Yields:
        Each job with its result, as they are done.
    """
    if budget.name() == "smoke":
        for job in jobs:
            yield job, function(job)
        return
    pool = ProcessPoolExecutor(
        budget.NUM_THREADS,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_settle,
    )
    try:
        futures = {pool.submit(function, job): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:  # also when the learner interrupts
        pool.shutdown(wait=True, cancel_futures=True)


def _settle() -> None:
    """Give a worker one thread, and let it end with its parent: a kernel that is killed leaves nobody behind."""
    torch.set_num_threads(1)

    def follow() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
