"""A clock for trainings: how far one comes does not depend on the machine that tests it."""

from itertools import count
from types import SimpleNamespace

import pytest

from course.training import loop


@pytest.fixture
def each_step_costs(monkeypatch):
    """Return a function that says how many CPU seconds each step of a training costs, whatever it takes."""

    def costs(cpu_seconds):
        steps = count()
        monkeypatch.setattr(loop, "time", SimpleNamespace(process_time=lambda: next(steps) * cpu_seconds))

    return costs


@pytest.fixture(autouse=True)
def clock(request, each_step_costs):
    """Let steps cost the CPU seconds that a module calls ``STEP_COSTS``; where it has none, what they really cost."""
    if hasattr(request.module, "STEP_COSTS"):
        each_step_costs(request.module.STEP_COSTS)
