"""Every exercise's check passes the solution, calls the stub "to do", and rejects the wrong answers gathered for it.

To add an exercise: its cells in the chapter, an ``Exercise`` in ``course/exercises/chapter_NN.py``, and at least three
wrong answers in ``wrong_NN.py`` here. A wrong answer is the body that stands in place of the solution.
"""

import re
from importlib import import_module
from pathlib import Path

import jupytext
import pytest
import torch

from course import answer_key
from course.exercises import checking

HERE = Path(__file__).parent
SOURCES = sorted(checking.NOTEBOOKS.glob("source/[0-9][0-9]_*.py"))
CHAPTERS = {path.stem[:2]: answer_key.answers_of(jupytext.read(path)) for path in SOURCES}
IDS = [exercise for answers in CHAPTERS.values() for exercise in answers.solutions]
WRONG = {
    exercise: answers
    for path in sorted(HERE.glob("wrong_*.py"))
    for exercise, answers in answer_key.mistakes_of(path.stem[-2:]).items()
}


def outcome(exercise_id, body=None):
    """Examine the chapter's answer, or what becomes of it with another body."""
    return CHAPTERS[exercise_id[:2]].outcome(exercise_id, body)


def test_chapters_package_and_tests_know_the_same_exercises():
    assert len(IDS) == len(set(IDS))
    modules = (HERE.parents[1] / "course" / "exercises").glob("chapter_*.py")
    known = [e.id for path in modules for e in import_module(f"course.exercises.{path.stem}").EXERCISES]
    assert sorted(known) == sorted(IDS)
    assert set(WRONG) == set(IDS), "every exercise needs wrong answers, and every wrong answer its exercise"
    for answers in CHAPTERS.values():
        assert set(answers.solutions) == set(answers.checks)


@pytest.mark.parametrize("number", CHAPTERS)
def test_a_chapter_has_enough_exercises(number):
    """Three or more, but for chapter 00, which shows how one works."""
    assert len(CHAPTERS[number].solutions) >= (1 if number == "00" else 3)


@pytest.mark.parametrize("exercise_id", IDS)
def test_an_exercise_is_complete(exercise_id):
    exercise = checking.find(exercise_id)
    assert len(exercise.hints) == 3
    assert all(len(hint) > 20 for hint in exercise.hints) or exercise_id.startswith("00")
    text = next(path for path in SOURCES if path.stem.startswith(exercise_id[:2])).read_text(encoding="utf-8")
    assert len(answer_key.MARKED.findall(CHAPTERS[exercise_id[:2]].solutions[exercise_id])) == 1
    before = text[: text.index(f'"grade_id": "{exercise_id}"')]
    heading = before[before.rindex("# ### Exercise ") :]
    assert re.search(r"# \*\d+ minutes, difficulty [123] of 3\.\*", heading)
    assert f'# hint("{exercise_id}")' in text


@pytest.mark.parametrize("exercise_id", IDS)
def test_the_solution_passes(exercise_id):
    result = outcome(exercise_id)
    assert result.verdict == "PASS", result.line
    assert result.line == f"PASS   {exercise_id}: {checking.find(exercise_id).praise}"


@pytest.mark.parametrize("exercise_id", IDS)
def test_the_package_s_own_piece_passes(exercise_id):
    exercise = checking.find(exercise_id)
    if exercise.reference is not None:
        assert checking.examine(exercise, exercise.reference).verdict == "PASS"


@pytest.mark.parametrize("exercise_id", IDS)
def test_the_untouched_stub_is_to_do(exercise_id):
    wanted = answer_key.MARKED.search(CHAPTERS[exercise_id[:2]].solutions[exercise_id])[2]
    result = outcome(exercise_id, f"raise NotImplementedError({wanted!r})")
    assert (result.verdict, result.line) == ("TO DO", f"TO DO  {exercise_id}: {wanted}")


@pytest.mark.parametrize(
    ("exercise_id", "body", "words"),
    [
        pytest.param(exercise_id, body, words, id=f"{exercise_id}: {name}")
        for exercise_id, answers in WRONG.items()
        for name, body, words in answers
    ],
)
def test_a_wrong_answer_fails_and_is_told_why(exercise_id, body, words):
    result = outcome(exercise_id, body)
    assert result.verdict == "FAIL", f"accepted: {body}"
    assert words.lower() in result.line.lower()
    assert "\n" not in result.line
    assert "Traceback" not in result.line


@pytest.mark.parametrize("exercise_id", IDS)
def test_there_are_three_wrong_answers_and_they_are_told_apart(exercise_id):
    answers = WRONG[exercise_id]
    assert len(answers) >= 3
    assert len({outcome(exercise_id, body).line for _, body, _ in answers}) >= 3


@pytest.mark.parametrize("answer", [None, 3, "text", lambda: 1, lambda *a, **k: None, print, torch.zeros(3), object()])
@pytest.mark.parametrize("exercise_id", IDS)
def test_nonsense_is_refused_in_one_line(exercise_id, answer, capsys):
    result = checking.examine(checking.find(exercise_id), answer)
    assert result.verdict == "FAIL"
    assert "\n" not in result.line
