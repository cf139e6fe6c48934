"""The answer key is made of the chapter, its checks, their tests and the guide, and says what is missing."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course import answer_key, cli, notebooks
from course.exercises import checking
from course.exercises.questions import QUESTIONS

(START,) = notebooks.chosen(["00"])


@pytest.fixture(scope="module")
def key():
    return answer_key.answer_key(START)


def test_the_key_holds_task_solution_hints_and_question(key):
    exercise = checking.find("00-backwards")
    assert "## Exercise 0.1 · Backwards" in key
    assert "return clip.flip(0)" in key
    assert "SOLUTION" not in key
    assert all(hint in key for hint in exercise.hints)
    assert QUESTIONS["00"].answer in key
    assert answer_key.said_of("00")["00-backwards"] in key


def test_the_key_says_what_the_check_says_to_each_mistake(key):
    mistakes = answer_key.mistakes_of("00")["00-backwards"]
    assert len(mistakes) >= 3
    for name, body, words in mistakes:
        item = key[key.index(f"- **{name}**") :].partition("\n- **")[0]
        assert words.lower() in item.replace("\\", "").lower()
        assert body in item


def test_without_the_repository_the_key_says_what_is_left_out(tmp_path):
    key = answer_key.answer_key(START, mistakes=tmp_path, guide=tmp_path)
    assert "tests/exercises/wrong_00.py, and that file is not here" in key
    assert "usual mistakes, and what" not in key
    assert "return clip.flip(0)" in key


def test_what_the_check_says_is_no_markup():
    item = answer_key._mistake("a name", "return x", "FAIL   01-x: `x` is *not* <b> at [0, 1]", "01-x")
    assert r"- **a name**: \`x\` is \*not\* \<b> at \[0, 1\]" in item


def test_imports_inside_of_lines_for_ipython_are_read_too():
    cells = [
        new_code_cell("%matplotlib inline\nimport math"),
        new_markdown_cell("### Exercise 1.1 · Half\n\n*5 minutes, difficulty 1 of 3.* Halve it."),
        new_code_cell(
            "def half(x):\n    # BEGIN SOLUTION: a number\n    return x / 2\n    # END SOLUTION",
            metadata={"nbgrader": {"grade_id": "01-half", "solution": True}},
        ),
        new_code_cell('check("01-half", half)', metadata={"nbgrader": {"grade_id": "01-half-check", "grade": True}}),
    ]
    answers = answer_key.answers_of(new_notebook(cells=cells))
    assert answers.imports == "import math"
    assert answers.tasks == {"01-half": "*5 minutes, difficulty 1 of 3.* Halve it."}


def test_the_command_writes_one_file_for_each_chapter(tmp_path, capsys):
    assert cli.main(["teacher", "0", "--out", str(tmp_path / "keys")]) == 0
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["00_start_here.md"]
    assert "00_start_here.md" in capsys.readouterr().out


def test_a_chapter_that_is_not_there_is_one_line_and_nothing_is_written(tmp_path, capsys):
    assert cli.main(["teacher", "99", "--out", str(tmp_path / "keys")]) == 2
    assert "no chapter 99" in capsys.readouterr().err
    assert not (tmp_path / "keys").exists()
