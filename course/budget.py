"""How much work a run may do, in one place: the budget, the seeds, the threads and the CPU clock.

``COURSE_BUDGET=full`` (the default) is for people; ``COURSE_BUDGET=smoke`` shrinks steps and sizes so that every
chapter runs in a few seconds and the checks stay quick. Budgets count *steps*, never seconds, so that a result does
not depend on how fast a machine is; the CPU time that the steps took is measured and printed.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch

SEEDS: tuple[int, ...] = (0, 1, 2)
"""The seeds over which a claim is measured."""

NUM_THREADS = 2
"""Threads that the course uses: what the smallest laptop has, so that numbers compare."""

Choice = TypeVar("Choice")


def name() -> str:
    """Return ``"full"`` or ``"smoke"``, from the environment variable ``COURSE_BUDGET``.

    Raises:
        ValueError: if the variable holds anything else.
    """
    value = os.environ.get("COURSE_BUDGET", "full")
    if value not in ("full", "smoke"):
        raise ValueError(f"COURSE_BUDGET: wanted full or smoke, got {value!r}")
    return value


def choose(*, full: Choice, smoke: Choice) -> Choice:
    """Return the value that belongs to the budget of this run."""
    return full if name() == "full" else smoke


def seeds() -> tuple[int, ...]:
    """Return the seeds of this run: all of ``SEEDS``, or the first alone at the smoke budget."""
    return choose(full=SEEDS, smoke=SEEDS[:1])


def generator(seed: int) -> torch.Generator:
    """Return a fresh random generator on the CPU: the only source of chance in the course."""
    return torch.Generator().manual_seed(seed)


def settle() -> str:
    """Set the number of threads for this process and describe the run in one line.

    Every chapter calls it once, in its first cell.
    """
    num_threads = choose(full=NUM_THREADS, smoke=1)  # checks run side by side
    torch.set_num_threads(num_threads)
    return f"torch {torch.__version__.split('+')[0]}, {num_threads} threads, budget {name()}"


@dataclass
class Stopwatch:
    """CPU seconds spent by this process, all threads together; filled when the ``with`` block ends."""

    cpu_seconds: float = 0.0


@contextmanager
def cpu_time() -> Iterator[Stopwatch]:
    """Measure the process's CPU time inside a ``with`` block.

    CPU time, unlike the time on the wall, does not grow because something else is running too.
    """
    watch = Stopwatch()
    start = time.process_time()
    try:
        yield watch
    finally:
        watch.cpu_seconds = time.process_time() - start


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch use one thread inside a ``with`` block: what is compared at equal CPU time runs on one."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)
