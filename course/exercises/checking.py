"""Check a learner's answer, and say in one line what differs and what to look at next.

An ``Exercise`` holds a test and three hints. The test calls the answer and raises ``WrongAnswerError`` with a sentence
for the learner; ``same`` finds that sentence for tensors, and names the usual mistake that gives what came. In the
notebooks only ``check``, ``hint`` and ``working`` are used.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from numbers import Real
from pathlib import Path
from types import FunctionType

import numpy as np
import torch
from torch import Tensor

from course import progress

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


class WrongAnswerError(Exception):
    """An answer is wrong; the text says how, and what to look at next."""


class NotPassedError(AssertionError):
    """An exercise that had to pass did not (``COURSE_STRICT=1``)."""


@dataclass(frozen=True)
class Exercise:
    """What is asked of an answer.

    Attributes:
        id: chapter and name, such as ``"01-layout"``; the ``grade_id`` of the cell in the chapter.
        test: takes the answer, calls it, raises ``WrongAnswerError`` if it is not right.
        praise: what has been shown when it is right, in half a sentence.
        hints: three, each telling more than the one before.
        reference: the package's piece, for ``working``; None where no later cell needs one.
    """

    id: str
    test: Callable[[object], None]
    praise: str
    hints: tuple[str, str, str]
    reference: object = None


@dataclass(frozen=True)
class Outcome:
    """PASS, TO DO or FAIL, and the line that says why."""

    verdict: str
    line: str


def find(exercise_id: str) -> Exercise:
    """Return an exercise by its id.

    Raises:
        ValueError: if there is none of that name.
    """
    try:
        exercises = import_module(f"course.exercises.chapter_{exercise_id[:2]}").EXERCISES
    except ModuleNotFoundError:
        exercises = ()
    for exercise in exercises:
        if exercise.id == exercise_id:
            return exercise
    known = ", ".join(exercise.id for exercise in exercises) or "none in that chapter"
    raise ValueError(f"no exercise {exercise_id!r}; there are: {known}")


def examine(exercise: Exercise, answer: object) -> Outcome:
    """Test an answer; whatever it does, the outcome is one line and no error escapes."""
    if answer is ...:
        return Outcome("TO DO", f"TO DO  {exercise.id}")
    try:
        with torch.random.fork_rng(devices=[]):  # an answer's own randomness is the same at every call
            torch.manual_seed(0)
            exercise.test(_guarded(answer))
    except WrongAnswerError as error:
        return Outcome("FAIL", f"FAIL   {exercise.id}: {_one_line(error)}")
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        message = _one_line(error)
        if isinstance(error, NotImplementedError) and _is_stub(error):
            return Outcome("TO DO", f"TO DO  {exercise.id}{message and ': '}{message}")
        message = f"{type(error).__name__}: {message[:200] or 'no message'}"
        return Outcome("FAIL", f"FAIL   {exercise.id}: it stopped with {message}{_line(error)}")
    return Outcome("PASS", f"PASS   {exercise.id}: {exercise.praise}")


def _guarded(answer: object) -> object:
    """Wrap a function so that it may not change the tensors that it is given."""
    if not isinstance(answer, FunctionType):
        return answer

    @wraps(answer)
    def call(*given: object) -> object:
        kept = [tensor.clone() for tensor in _tensors(given)]
        result = answer(*given)
        now = _tensors(given)
        if len(now) != len(kept) or not all(map(torch.equal, now, kept)):
            raise WrongAnswerError(
                "what was given has been changed: compute something new and leave the inputs as they are"
            )
        return result

    return call


def _tensors(given: tuple[object, ...]) -> list[Tensor]:
    """Collect the tensors among what is given, those in lists too."""
    parts = [part for value in given for part in (value if isinstance(value, list | tuple) else [value])]
    return [part for part in parts if isinstance(part, Tensor)]


def _is_stub(error: BaseException) -> bool:
    """Tell the stub's own NotImplementedError from one of PyTorch's, which stops for other reasons."""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return "NotImplementedError" in trace.tb_frame.f_code.co_names


def _one_line(error: BaseException) -> str:
    try:
        return " ".join(str(error).split())
    except Exception:  # an error's own text may be broken, too
        return ""


def check(exercise_id: str, answer: object, *, rehearsal: bool = False) -> None:
    """Check an answer, print one line, and record the outcome in the learner's workbook.

    Args:
        exercise_id: such as ``"01-layout"``.
        answer: what was asked for: a function, a class or a value.
        rehearsal: only show what the check says: record nothing, and never stop the run.

    Raises:
        NotPassedError: with ``COURSE_STRICT=1``, unless the answer is right.
    """
    exercise = find(exercise_id)
    outcome = examine(exercise, answer)
    print(outcome.line)
    if not rehearsal:
        progress.record(exercise_id, {"PASS": "pass", "TO DO": "todo", "FAIL": "fail"}[outcome.verdict], outcome.line)
        if outcome.verdict != "PASS" and os.environ.get("COURSE_STRICT") == "1":
            raise NotPassedError(outcome.line)


def working(exercise_id: str, answer: object) -> object:
    """Return the answer if it is right, otherwise the package's piece, so that the cells below can go on."""
    exercise = find(exercise_id)
    return answer if examine(exercise, answer).verdict == "PASS" else exercise.reference


_opened: dict[str, int] = {}


def hint(exercise_id: str) -> None:
    """Open the next hint of an exercise, and after the third the answer; record that it was opened."""
    exercise = find(exercise_id)
    layer = _opened.get(exercise_id, 0)
    _opened[exercise_id] = layer + 1
    progress.record(exercise_id, "hint", str(min(layer + 1, 4)))
    if layer < 3:
        print(f"Hint {layer + 1} of 3: {exercise.hints[layer]}")
    else:
        print(f"The answer:\n\n{answer_of(exercise_id)}")


def answer_of(exercise_id: str) -> str:
    """Return the answer as the chapter has it: the cell of that ``grade_id``, without its markers."""
    for path in sorted(NOTEBOOKS.glob(f"{exercise_id[:2]}_*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("grade_id") == exercise_id:
                return without_markers("".join(cell["source"]))
    raise ValueError(f"{exercise_id}: no chapter in {NOTEBOOKS} holds it")


def without_markers(source: str) -> str:
    """Return the source of a cell without the lines that mark where its solution begins and ends."""
    return "\n".join(line for line in source.splitlines() if not re.match(r"\s*# (BEGIN|END) SOLUTION", line))


# What tests are made of


def same(
    got: object,
    wanted: Tensor,
    *,
    what: str = "the result",
    look: str = "",
    usual: Mapping[str, Tensor] | None = None,
    tolerance: float = 1e-5,
) -> None:
    """Raise ``WrongAnswerError`` unless a tensor has the right shape, type and values.

    Args:
        got: what came.
        wanted: what it must be.
        what: what to call it in the sentence.
        look: what to look at if it differs and no usual mistake explains it.
        usual: what the usual mistakes give, by the words that name the mistake.
        tolerance: largest difference allowed, absolute and relative.
    """
    if not isinstance(got, Tensor):
        raise WrongAnswerError(f"{what} is {_kind(got)}, wanted a tensor {tuple(wanted.shape)}.{_look(look)}")
    for words, mistaken in (usual or {}).items():
        if got.shape == mistaken.shape and _close(got, mistaken, tolerance) and not _agree(got, wanted, tolerance):
            raise WrongAnswerError(f"{words}.")
    if got.shape != wanted.shape:
        raise WrongAnswerError(f"{what} has shape {tuple(got.shape)}, wanted {tuple(wanted.shape)}.{_look(look)}")
    if got.dtype != wanted.dtype:
        if _close(got, wanted, tolerance):
            raise WrongAnswerError(f"{what} has the right values, but is of type {got.dtype}, wanted {wanted.dtype}.")
        raise WrongAnswerError(f"{what} is of type {got.dtype}, wanted {wanted.dtype}.{_look(look)}")
    if not _close(got, wanted, tolerance):
        differs = ~torch.isclose(got.double(), wanted.double(), rtol=tolerance, atol=tolerance)
        index = tuple(differs.nonzero()[0].tolist())
        place = f"at {list(index)} " if index else ""
        share = f" ({int(differs.sum())} of {differs.numel()} values differ)" if index else ""
        raise WrongAnswerError(
            f"{what} {place}is {got[index].item():.6g}, wanted {wanted[index].item():.6g}{share}.{_look(look)}"
        )


def close(
    got: object,
    wanted: float,
    *,
    what: str = "the result",
    look: str = "",
    usual: Mapping[str, float] | None = None,
    tolerance: float = 1e-4,
) -> None:
    """Raise ``WrongAnswerError`` unless a number (or a tensor of one value) is as wanted; as ``same``, for numbers."""
    if (isinstance(got, Tensor) and got.numel() == 1) or (isinstance(got, np.generic | np.ndarray) and got.size == 1):
        got = got.item()
    if isinstance(got, bool) or not isinstance(got, Real):
        raise WrongAnswerError(f"{what} is {_kind(got)}, wanted a number.{_look(look)}")
    usual = {words: torch.tensor(float(value), dtype=torch.float64) for words, value in (usual or {}).items()}
    number, target = (torch.tensor(float(value), dtype=torch.float64) for value in (got, wanted))
    same(number, target, what=what, look=look, usual=usual, tolerance=tolerance)


def holds(condition: bool, sentence: str) -> None:
    """Raise ``WrongAnswerError`` with the sentence unless the condition holds."""
    if not condition:
        raise WrongAnswerError(sentence)


def _close(got: Tensor, wanted: Tensor, tolerance: float) -> bool:
    return torch.allclose(got.double(), wanted.double(), rtol=tolerance, atol=tolerance, equal_nan=True)


def _agree(got: Tensor, wanted: Tensor, tolerance: float) -> bool:
    return got.shape == wanted.shape and got.dtype == wanted.dtype and _close(got, wanted, tolerance)


def _kind(value: object) -> str:
    if value is None:
        return "None (is there a return?)"
    return f"a {type(value).__name__}"


def _look(look: str) -> str:
    return f" {look[:1].upper()}{look[1:]}{'' if look.endswith('?') else '.'}" if look else ""


def _line(error: BaseException) -> str:
    """Say in which line of the learner's cell an error arose, if it did there."""
    trace, number = error.__traceback__, None
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if "ipykernel" in name or name.startswith(("<ipython", "<string")):
            number = trace.tb_lineno
        trace = trace.tb_next
    return "" if number is None else f" (line {number} of your cell)"
