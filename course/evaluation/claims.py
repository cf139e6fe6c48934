"""Claims: a chapter's headline numbers, judged against a bound that was set beforehand.

A chapter states its result with ``claim(...)``. At the full budget a claim that does not hold stops the run, so a
chapter cannot be published with a result that it did not get. At the smoke budget nothing is judged: nets trained for a
few steps prove nothing. The record of each claim is stored with the output it belongs to, and the table of results in
the README is made of these records.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from course import budget


class ClaimError(AssertionError):
    """A claim was judged, and it does not hold."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One claim, what was measured for it, and what would have refuted it."""

    text: str
    values: Sequence[float]
    at_least: float | None
    at_most: float | None
    unit: str
    baseline: Sequence[float]
    control: Sequence[float]
    judged: bool

    @property
    def worst(self) -> float:
        """The value of the seed that comes nearest to the bound, or goes furthest beyond it."""
        low = -math.inf if self.at_least is None else self.at_least
        high = math.inf if self.at_most is None else self.at_most
        return min(self.values, key=lambda value: min(value - low, high - value) if math.isfinite(value) else -math.inf)

    @property
    def holds(self) -> bool:
        """Whether every seed keeps the bound: the worst one decides, not the mean."""
        above = self.at_least is None or self.worst >= self.at_least
        below = self.at_most is None or self.worst <= self.at_most
        return math.isfinite(self.worst) and above and below

    @property
    def verdict(self) -> str:
        """The judgement in words."""
        if not self.judged:
            return "not judged at the smoke budget"
        return "holds" if self.holds else "does not hold"

    @property
    def measured(self) -> str:
        """The value that decides, then the mean and the spread over seeds."""
        if len(self.values) == 1:
            return _summary(self.values, self.unit)
        return f"{_summary([self.worst], self.unit)} on the worst seed, mean {_summary(self.values)}"

    @property
    def wanted(self) -> str:
        """The bound."""
        bounds = (("at least", self.at_least), ("at most", self.at_most))
        return " and ".join(f"{words} {bound:g}" for words, bound in bounds if bound is not None)

    @property
    def beside(self) -> dict[str, str]:
        """The baseline and the control, as far as they were given."""
        numbers = {"baseline": self.baseline, "control": self.control}
        return {name: _summary(values, self.unit) for name, values in numbers.items() if values}

    def __str__(self) -> str:
        beside = "".join(f"; {name} {summary}" for name, summary in self.beside.items())
        return f"{self.verdict}: {self.text}\n    measured {self.measured}, wanted {self.wanted}{beside}"


def claim(
    text: str,
    values: float | Sequence[float] | Tensor,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    unit: str = "",
    baseline: float | Sequence[float] | Tensor = (),
    control: float | Sequence[float] | Tensor = (),
    always: bool = False,
) -> None:
    """State a result, show it beside its bound, and fail the full run when it does not hold.

    Args:
        text: the claim in words, without the number.
        values: what was measured, one number per seed. The claim holds when the worst seed keeps the bound.
        at_least: lower bound, included. With ``at_most`` as well, the values must lie between the two.
        at_most: upper bound, included.
        unit: unit of the values, such as ``"dB"``.
        baseline: the same quantity for the strongest trivial rival.
        control: the same quantity where the effect must be absent, such as shuffled frames.
        always: judge at the smoke budget too. Right for a result that does not depend on the budget, such as one
            that is computed from the data alone.

    Raises:
        ClaimError: if the claim is judged and does not hold; it has been shown by then.
        ValueError: without a bound, without a value, or with a baseline or control that is not a finite number.
    """
    record = Record(
        text=text,
        values=_numbers(values),
        at_least=at_least,
        at_most=at_most,
        unit=unit,
        baseline=_numbers(baseline),
        control=_numbers(control),
        judged=always or budget.name() == "full",
    )
    if not record.values or not record.wanted:
        raise ValueError(f"{text}: wanted a value and a bound, got {record.values} and {record.wanted or 'no bound'}")
    if not all(math.isfinite(number) for number in (*record.baseline, *record.control)):
        raise ValueError(f"{text}: wanted finite numbers, got baseline {record.baseline}, control {record.control}")
    _show(record)
    if record.judged and not record.holds:
        raise ClaimError(str(record))


def _show(record: Record) -> None:
    """Display the record as text, with its data in the output's metadata; outside IPython, print it."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    if get_ipython is None or get_ipython() is None:
        print(record)
        return
    from IPython.display import display

    display({"text/plain": str(record)}, raw=True, metadata={"course": {"claim": asdict(record)}})


def _numbers(values: float | Sequence[float] | Tensor) -> list[float]:
    """Return one number, or several, as a list of floats."""
    return torch.as_tensor(values, dtype=torch.float64).flatten().tolist()


def _summary(values: Sequence[float], unit: str = "") -> str:
    """Return the mean with its unit, and for several values their range: ``0.93 dB (0.91 to 0.95 over 3 seeds)``."""
    mean = f"{_number(sum(values) / len(values))} {unit}".rstrip()
    if len(values) == 1:
        return mean
    return f"{mean} ({_number(min(values))} to {_number(max(values))} over {len(values)} seeds)"


def _number(value: float) -> str:
    """Write three significant digits; from 1000 on, the whole number; no digits of an error of rounding."""
    if 0 < abs(value) < 1e-6:
        return "under 1e-06"
    return f"{value:,.0f}" if 1000 <= abs(value) < math.inf else f"{value:.3g}"
