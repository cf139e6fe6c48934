import pytest
import torch

from course import budget


def test_the_budget_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv("COURSE_BUDGET", raising=False)
    assert (budget.name(), budget.choose(full=100, smoke=3), budget.seeds()) == ("full", 100, (0, 1, 2))
    monkeypatch.setenv("COURSE_BUDGET", "smoke")
    assert (budget.name(), budget.choose(full=100, smoke=3), budget.seeds()) == ("smoke", 3, (0,))
    monkeypatch.setenv("COURSE_BUDGET", "quick")
    with pytest.raises(ValueError, match="wanted full or smoke, got 'quick'"):
        budget.name()


def test_settle_sets_the_threads_and_says_so(monkeypatch):
    monkeypatch.setenv("COURSE_BUDGET", "smoke")
    before = torch.get_num_threads()
    try:
        assert budget.settle().endswith("1 threads, budget smoke")
        assert torch.get_num_threads() == 1
        monkeypatch.setenv("COURSE_BUDGET", "full")
        assert budget.settle().endswith("2 threads, budget full")
        assert torch.get_num_threads() == budget.NUM_THREADS == 2
    finally:
        torch.set_num_threads(before)


def test_generators_of_one_seed_agree():
    first, second, other = (torch.rand(4, generator=budget.generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_cpu_time_counts_work():
    with budget.cpu_time() as watch:
        sum(range(200_000))
    assert watch.cpu_seconds > 0
