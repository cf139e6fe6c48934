"""Ask an answer for points where its writer could have touched the check.

A grader runs a learner's whole notebook, and whatever that has put in the place of the course's or of PyTorch's
functions is still there when points are asked for. Two things keep this from paying. The course is imported anew; and
a spoilt copy of the answer is examined like the answer itself: what passes both was not checked. Code that sets out to
deceive a Python process from within will always find a way; ``course.assignment`` says what is left to the teacher.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from importlib import import_module

import torch
from torch import Tensor, nn


def verdict_line(exercise_id: str) -> str:
    """Return the line without which no points are given."""
    return f"GRADED {exercise_id}: full points"


def grade(exercise_id: str, answer: object) -> None:
    """Print the line that is worth the points, or raise.

    Args:
        exercise_id: such as ``"01-layout"``.
        answer: what was asked for: a function, a class or a value.

    Raises:
        NotPassedError: unless the answer is right, the learner's own, and was truly checked.
    """
    with _fresh_course():
        checking = import_module("course.exercises.checking")
        exercise = checking.find(exercise_id)
        outcome = checking.examine(exercise, answer)
        if outcome.verdict != "PASS":
            raise checking.NotPassedError(outcome.line)
        if str(getattr(answer, "__module__", "")).partition(".")[0] == "course":
            raise checking.NotPassedError(f"FAIL   {exercise_id}: this is the package's piece, not an answer")
        if checking.examine(exercise, spoilt(answer)).verdict == "PASS":
            raise checking.NotPassedError(
                f"FAIL   {exercise_id}: a wrong answer passes as well: what the check relies on was replaced"
            )
    print(verdict_line(exercise_id))


@contextmanager
def _fresh_course() -> Iterator[None]:
    """Import the course's modules anew inside a ``with`` block, and bring back those of before at its end."""
    before = {name: module for name, module in sys.modules.items() if _is_course(name)}
    for name in before:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in [name for name in sys.modules if _is_course(name)]:
            del sys.modules[name]
        sys.modules.update(before)


def _is_course(name: str) -> bool:
    return name.partition(".")[0] == "course"


def spoilt(answer: object) -> object:
    """Return a copy of an answer that is wrong, whatever was asked: a value, or what gives values.

    Shapes and types stay as they are, so that nothing but a comparison of values can tell.
    """
    if isinstance(answer, nn.Module):
        network = deepcopy(answer)
        network.register_forward_hook(lambda network, given, result: spoilt(result))
        return network
    if isinstance(answer, bool):
        return not answer
    if isinstance(answer, int | float):
        return -1 - abs(answer)  # never equal to the answer
    if isinstance(answer, list | tuple):
        return [spoilt(part) for part in answer]
    if isinstance(answer, Tensor):
        if answer.dtype == torch.bool:
            return ~answer
        return answer * 0 - 1 if answer.dtype.is_floating_point else answer + 1
    if not callable(answer):
        return None

    def call(*given: object) -> object:  # a class, too: what it makes is spoilt
        return spoilt(answer(*given))

    return call
