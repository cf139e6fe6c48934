"""Points are given for what is right, and not for what was made to look right."""

import re
import sys

import pytest
import torch
from test_exercises import CHAPTERS, IDS

from course.exercises import checking
from course.exercises.grading import grade, spoilt, verdict_line


def solution(exercise_id):
    """Return the chapter's answer as a notebook has it."""
    chapter = CHAPTERS[exercise_id[:2]]
    space = {"__name__": "__main__"}
    exec(compile(chapter.imports, "<imports>", "exec"), space)
    exec(compile(chapter.solutions[exercise_id], "<string>", "exec"), space)
    return space[re.search(r'^check\("[\w-]+", (\w+)\)$', chapter.checks[exercise_id], re.MULTILINE)[1]]


def reshaped(clips):
    """Return what has the right shape and the wrong content."""
    B, T, C, H, W = clips.shape
    return clips.reshape(B, C, T, H, W)


def refusal(exercise_id, answer):
    with pytest.raises(AssertionError) as error:
        grade(exercise_id, answer)
    return str(error.value)


@pytest.mark.parametrize("exercise_id", IDS)
def test_a_solution_gets_its_points_and_a_spoilt_one_would_not(exercise_id, capsys):
    grade(exercise_id, solution(exercise_id))  # it raises if the spoilt copy passes
    assert capsys.readouterr().out == verdict_line(exercise_id) + "\n"


def test_what_is_wrong_or_missing_gets_none(capsys):
    assert refusal("01-layout", reshaped).startswith("FAIL   01-layout: ")
    assert refusal("01-memory", ...) == "TO DO  01-memory"
    assert capsys.readouterr().out == ""
    with pytest.raises(ValueError, match="no exercise '01-none'"):
        grade("01-none", reshaped)


def test_the_package_s_piece_is_no_answer():
    piece = checking.find("01-layout").reference
    assert checking.examine(checking.find("01-layout"), piece).verdict == "PASS"
    assert "the package's piece" in refusal("01-layout", piece)


@pytest.mark.parametrize("name", ["examine", "find", "same", "close", "check", "_close"])
def test_what_was_replaced_in_the_course_has_no_say(name, monkeypatch):
    passed = checking.Outcome("PASS", "PASS")
    anything = checking.Exercise("01-layout", lambda answer: None, "", ("", "", ""))
    returned = {"examine": passed, "find": anything, "_close": True}
    monkeypatch.setattr(checking, name, lambda *given, **named: returned.get(name))
    assert "FAIL   01-layout" in refusal("01-layout", reshaped)


def test_a_module_of_the_learner_s_has_no_say(monkeypatch):
    monkeypatch.setitem(sys.modules, "course.exercises.checking", type(sys)("course.exercises.checking"))
    monkeypatch.setitem(sys.modules, "course.exercises.chapter_01", type(sys)("course.exercises.chapter_01"))
    assert "FAIL   01-layout" in refusal("01-layout", reshaped)


def test_a_comparison_that_finds_all_equal_is_found_out(monkeypatch, capsys):
    monkeypatch.setattr(torch, "allclose", lambda *given, **named: True)
    assert checking.examine(checking.find("01-memory"), lambda *given: 0.0).verdict == "PASS"
    assert "was replaced" in refusal("01-memory", lambda *given: 0.0)
    assert capsys.readouterr().out == ""


def test_the_notebook_keeps_its_modules_and_nobody_s_progress_is_touched(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_PROGRESS", str(tmp_path / "progress.sqlite3"))
    before = {name: module for name, module in sys.modules.items() if name.startswith("course")}
    grade("01-layout", solution("01-layout"))
    refusal("01-layout", reshaped)
    assert {name: module for name, module in sys.modules.items() if name.startswith("course")} == before
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [True, False, 0, 3, -1, -0.5, 2.5])
def test_a_spoilt_number_is_another_one_of_its_type(value):
    assert spoilt(value) != value
    assert type(spoilt(value)) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        torch.rand(2, 3),
        torch.zeros(2, dtype=torch.float64),
        torch.tensor([True, False]),
        torch.tensor([255, 0], dtype=torch.uint8),
        torch.arange(3),
    ],
)
def test_a_spoilt_tensor_differs_everywhere_and_keeps_shape_and_type(value):
    result = spoilt(value)
    assert (result != value).all()
    assert (result.shape, result.dtype) == (value.shape, value.dtype)


def test_what_gives_values_is_spoilt_by_what_it_gives():
    assert spoilt([1, (2, True)]) == [-2, [-3, False]]
    assert spoilt(lambda a, b: a + b)(1, 2) == -4
    layer = torch.nn.Linear(2, 2)
    for network in (spoilt(layer), spoilt(torch.nn.Linear)(2, 2)):
        assert (network(torch.rand(1, 2)) == -1).all()
    assert (layer(torch.zeros(1, 2)) != -1).all(), "the answer itself was spoilt"
    assert spoilt(object()) is None
