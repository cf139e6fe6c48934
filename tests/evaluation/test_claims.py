"""Claims are judged on the worst seed, stop the full run when they do not hold, and leave a record."""

import math

import numpy as np
import pytest
import torch

from course.evaluation.claims import ClaimError, Record, claim


@pytest.fixture(params=["full", "smoke"])
def budget(request, monkeypatch):
    monkeypatch.setenv("COURSE_BUDGET", request.param)
    return request.param


@pytest.fixture
def full(monkeypatch):
    monkeypatch.setenv("COURSE_BUDGET", "full")


def test_a_claim_prints_value_spread_bound_rivals_and_verdict(full, capsys):
    claim("the sharper of the two", [20, 22, 27], at_least=19.5, unit="dB", baseline=[18.25, 17.75], control=4)
    assert capsys.readouterr().out == (
        "holds: the sharper of the two\n"
        "    measured 20 dB on the worst seed, mean 23 (20 to 27 over 3 seeds), wanted at least 19.5; "
        "baseline 18 dB (17.8 to 18.2 over 2 seeds); control 4 dB\n"
    )


def test_the_worst_seed_decides_not_the_mean(full):
    with pytest.raises(ClaimError, match=r"does not hold: all learn\n.*measured 0\.4 on the worst seed, mean 0\.8"):
        claim("all learn", [1.0, 1.0, 0.4], at_least=0.5)
    with pytest.raises(ClaimError, match="measured 2 on the worst seed"):
        claim("all are small", [0.1, 2.0, 0.2], at_most=1)


@pytest.mark.parametrize("values", [[1, 2], [1.5]])
def test_both_bounds_are_included(full, values):
    claim("between", values, at_least=1, at_most=2)


@pytest.mark.parametrize("values", [[0.99, 1.5], [1.5, 2.01], [1.5, math.nan], [math.nan, 1.5], [-math.inf]])
def test_one_value_outside_the_bounds_is_enough(full, values):
    with pytest.raises(ClaimError, match="does not hold: between"):
        claim("between", values, at_least=1, at_most=2)


def test_an_infinite_value_never_holds(full):
    with pytest.raises(ClaimError):
        claim("large", math.inf, at_least=1)


def test_the_smoke_budget_judges_nothing_but_what_does_not_depend_on_it(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_BUDGET", "smoke")
    claim("trained", 0.1, at_least=0.5)
    assert capsys.readouterr().out.startswith("not judged at the smoke budget: trained\n    measured 0.1, wanted")
    with pytest.raises(ClaimError):
        claim("counted", 0.1, at_least=0.5, always=True)


def test_a_claim_about_data_reads_the_same_at_both_budgets(budget, capsys):
    claim("counted", 1797, at_least=1000, at_most=2000, always=True)
    assert capsys.readouterr().out == "holds: counted\n    measured 1,797, wanted at least 1000 and at most 2000\n"


def test_an_error_of_rounding_shows_no_digits_since_they_differ_between_machines(full, capsys):
    claim("equal", [1.19e-8, 0], at_most=0.01, always=True)
    assert "measured under 1e-06 on the worst seed, mean under 1e-06 (0 to under 1e-06 over" in capsys.readouterr().out


@pytest.mark.parametrize("values", [[1.5, 2.5], (1.5, 2.5), torch.tensor([1.5, 2.5]), np.array([1.5, 2.5])], ids=type)
def test_values_come_as_a_list_a_tensor_or_an_array(full, capsys, values):
    claim("any", values, at_least=1.5)
    assert "measured 1.5 on the worst seed, mean 2 (1.5 to 2.5 over 2 seeds)" in capsys.readouterr().out


def test_a_claim_that_nothing_could_refute_is_refused(budget):
    with pytest.raises(ValueError, match=r"idle: wanted a value and a bound, got \[1.0\] and no bound"):
        claim("idle", 1)
    with pytest.raises(ValueError, match=r"idle: wanted a value and a bound, got \[\] and at least 1"):
        claim("idle", [], at_least=1)
    with pytest.raises(ValueError, match=r"idle: wanted finite numbers, got baseline \[nan\]"):
        claim("idle", 1, at_least=1, baseline=math.nan)


def test_the_record_travels_in_the_metadata_of_the_output(full, monkeypatch):
    IPython = pytest.importorskip("IPython")
    shown = []
    monkeypatch.setattr(IPython, "get_ipython", lambda: "a kernel")
    monkeypatch.setattr(IPython.display, "display", lambda data, **options: shown.append((data, options)))
    with pytest.raises(ClaimError):
        claim("falls", [3, 4], at_most=3.5, unit="bits", control=9)
    (data, options) = shown[0]
    record = Record(**options["metadata"]["course"]["claim"])
    assert data == {"text/plain": str(record)}
    assert options["raw"] is True
    assert (record.text, record.values, record.at_most, record.at_least) == ("falls", [3.0, 4.0], 3.5, None)
    assert (record.unit, record.control, record.verdict) == ("bits", [9.0], "does not hold")
