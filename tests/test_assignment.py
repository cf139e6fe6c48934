"""An assignment has the chapter's exercises with points and a question, and nothing of a teacher's is written over."""

import re
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from test_prose import BELITTLING, prose
from test_workbook import LAYOUT, MEMORY, graded, write_chapter

from course import assignment, cli, notebooks, progress
from course.assignment import CONFIG, points_of, require_verdicts
from course.exercises.questions import QUESTIONS

NAME = "01_video_as_data"
HIDDEN = """\
### BEGIN HIDDEN TESTS
import runpy

runpy.run_module("course.exercises.grading")["grade"]("01-layout", to_conv3d)
### END HIDDEN TESTS"""


def exercise(heading):
    return new_markdown_cell(f"### Exercise {heading}\n\n*10 minutes, difficulty 1 of 3.* Text.")


def cells():
    folded = {"source_hidden": True}
    cells = [
        new_markdown_cell("# 01 · Video as data"),
        new_code_cell("from course.exercises.checking import check"),
        new_markdown_cell("## Exercises"),
        exercise("1.1 · Layout"),
        graded(LAYOUT, "01-layout", jupyter=folded),
        graded('check("01-layout", to_conv3d)', "01-layout-check", points=2),
        exercise("1.2 · Memory"),
        graded(MEMORY, "01-memory"),
        graded('check("01-memory", seconds)', "01-memory-check", points=1),
        new_code_cell('# hint("01-memory")'),
        new_markdown_cell("## What still fails"),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
        if cell.cell_type == "code":
            cell.outputs = [new_output("stream", text="said")]
    return cells


@pytest.fixture
def source(tmp_path):
    """Return a folder with a chapter that has two exercises, and one that has none."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    write_chapter(folder, cells(), f"{NAME}.ipynb")
    write_chapter(folder, [new_markdown_cell("# 08 · Nothing to do")], "08_nothing.ipynb")
    return folder


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "teaching"


@pytest.fixture
def write(source, folder):
    return lambda *numbers, points=(): assignment.write(numbers, points=points, folder=folder, source=source)


@pytest.fixture
def written(write, folder):
    """Return the source version of the chapter, freshly written."""
    write("1")
    return folder / "source" / NAME / f"{NAME}.ipynb"


# The source version


def test_solutions_stay_and_checks_ask_for_points(written):
    notebook = notebooks.read(written)
    nbformat.validate(notebook)
    assert "course" not in notebook.metadata
    sources = [cell.source for cell in notebook.cells]
    assert (sources[4], sources[7]) == (LAYOUT, MEMORY)
    assert sources[5] == f'check("01-layout", to_conv3d)\n{HIDDEN}'
    assert sources[8].endswith('["grade"]("01-memory", seconds)\n### END HIDDEN TESTS')
    assert {len(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"} == {0}
    assert "source_hidden" not in str(notebook.cells)


def test_the_question_ends_the_exercises_and_its_answer_is_graded_by_a_person(written):
    cells = notebooks.read(written).cells
    assert [cell.source for cell in cells[9:10] + cells[12:]] == ['# hint("01-memory")', "## What still fails"]
    asked, answer = cells[10:12]
    assert asked.source.startswith("### Question · ")
    assert asked.source.endswith(QUESTIONS["01"].text)
    assert "nbgrader" not in asked.metadata
    assert (answer.cell_type, answer.source) == ("markdown", QUESTIONS["01"].answer)
    assert answer.metadata.nbgrader == {
        "grade": True,
        "grade_id": "01-question",
        "locked": False,
        "points": QUESTIONS["01"].points,
        "schema_version": 3,
        "solution": True,
        "task": False,
    }


def test_without_a_further_section_the_question_comes_last(source, write, written):
    write_chapter(source, cells()[:-1], f"{NAME}.ipynb")
    written.unlink()
    write("01")
    assert notebooks.read(written).cells[-1].source == QUESTIONS["01"].answer


def test_the_hidden_part_asks_by_itself(written, monkeypatch, capsys):
    """Whatever ``check`` has become."""
    monkeypatch.delitem(sys.modules, "course.exercises.grading")  # as in a notebook
    source = notebooks.read(written).cells[5].source
    exec(source, {"check": print, "to_conv3d": lambda clips: clips.permute(0, 2, 1, 3, 4)})
    assert capsys.readouterr().out.splitlines()[-1] == "GRADED 01-layout: full points"
    with pytest.raises(AssertionError, match="FAIL   01-layout"):
        exec(source, {"check": print, "to_conv3d": lambda clips: clips})


@pytest.mark.parametrize("check", ['check("01-memory", to_conv3d)', "passed = True", 'check("01-layout")'])
def test_a_check_that_is_none_is_named(source, write, folder, check):
    changed = cells()
    changed[5].source = check
    write_chapter(source, changed, f"{NAME}.ipynb")
    with pytest.raises(ValueError, match=rf'{NAME}.ipynb, cell 6, .*wanted check\("01-layout", \.\.\.\)'):
        write("01")
    assert not folder.exists()


def test_a_solution_that_is_not_well_formed_is_named(source, write, folder):
    changed = cells()
    changed[4].source = "def to_conv3d(clips):\n    return clips"
    write_chapter(source, changed, f"{NAME}.ipynb")
    with pytest.raises(ValueError, match=f"{NAME}.ipynb, cell 5, .*got no markers"):
        write("01")
    assert not folder.exists()


# The folder


def test_a_folder_is_written_and_the_second_time_left(write, folder):
    path, config = folder / "source" / NAME / f"{NAME}.ipynb", folder / CONFIG
    coming = f"Next, in {folder}, with the environment active: nbgrader generate_assignment {NAME}"
    assert write("01") == [
        f"{path} was written: exercises 2, points 3; and a question, points 3.",
        f"{config} was written.",
        coming,
    ]
    assert sorted(file for file in folder.rglob("*") if file.is_file()) == sorted([path, config])
    before = {file: file.stat().st_mtime_ns for file in (path, config)}
    assert write("01", "1") == [
        f"{path} is there already, and as it would be written.",
        f"{config} was left as you have it.",
        coming,
    ]
    assert {file: file.stat().st_mtime_ns for file in (path, config)} == before


def test_the_settings_call_the_course_and_limit_the_time(written, folder):
    said = {}

    class Section:
        def __getattr__(self, name):
            return said.setdefault(name, type(self)())

        def __setattr__(self, name, value):
            said[name] = value

    text = (folder / CONFIG).read_text()
    text = text.replace("configure(c)", "said['configured'] = True")
    exec(compile(text, CONFIG, "exec"), {"get_config": Section, "said": said, "__file__": str(folder / CONFIG)})
    assert said["configured"]
    assert said["root"] == str(folder.resolve())
    assert 30 <= said["timeout"] <= 120
    assert said["add_missing_cells"] is True


def test_a_teacher_s_edit_is_never_written_over(write, written, folder, source):
    written.write_text(written.read_text().replace("Text.", "My text."))
    (folder / CONFIG).write_text("from course.assignment import configure\n")
    write_chapter(source, cells(), "03_other.ipynb")
    for file in source.glob("03*"):
        file.write_text(file.read_text().replace("01-", "03-"))
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    with pytest.raises(ValueError, match=rf"{NAME}.ipynb is there and differs .* Nothing was written. Move it away"):
        write("03", "01")
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    assert write("03")[1] == f"{folder / CONFIG} was left as you have it."
    assert (folder / CONFIG).read_bytes() == before[folder / CONFIG]


def test_other_points_are_another_assignment(write, written):
    with pytest.raises(ValueError, match="the points have changed"):
        write("01", points=["5"])


def test_settings_of_somebody_else_s_are_named(write, folder):
    folder.mkdir()
    (folder / CONFIG).write_text("c = get_config()\n")
    with pytest.raises(ValueError, match=r"does not call the course.*Add to it the lines"):
        write("01")
    assert list(folder.iterdir()) == [folder / CONFIG]


@pytest.mark.parametrize(
    ("number", "words"),
    [("7", "no chapter 07; there are 01, 08"), ("08", "chapter 08 has no exercises")],
)
def test_a_chapter_that_cannot_be_handed_in_is_named(write, folder, number, words):
    with pytest.raises(ValueError, match=words):
        write("01", number)
    assert not folder.exists()


def test_a_chapter_without_a_question_is_named(write, folder, monkeypatch):
    monkeypatch.delitem(QUESTIONS, "01")
    with pytest.raises(ValueError, match=r"no question: write one in course/exercises/questions\.py"):
        write("01")
    assert not folder.exists()


def test_the_command(folder, capsys):
    assert cli.main(["assignment", "0", "--folder", str(folder), "--points", "7", "question=2"]) == 0
    said = capsys.readouterr().out
    assert "exercises 1, points 7; and a question, points 2." in said
    assert "nbgrader generate_assignment" in said
    assert cli.main(["assignment", "0", "--folder", str(folder)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


# Points


def tasks(*ids):
    return [
        progress.Task(id=name, title="", notebook="", chapter="", minutes=1, difficulty=1, points=2) for name in ids
    ]


ONE = tasks("01-layout", "01-memory")
TWO = [*ONE, *tasks("03-walk", "03-memory")]
BY_CHAPTER = {"01-layout": 2, "01-memory": 2, "01-question": 3}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([], {}),
        (["5"], {"01-layout": 5, "01-memory": 5}),
        (["0.5"], {"01-layout": 0.5, "01-memory": 0.5}),
        (["1", "4"], {"01-layout": 1, "01-memory": 4}),
        (["1,4"], {"01-layout": 1, "01-memory": 4}),
        (["1, 4"], {"01-layout": 1, "01-memory": 4}),
        (["memory=4"], {"01-memory": 4}),
        (["01-memory=4", "question=0"], {"01-memory": 4, "01-question": 0}),
        (["memory=4", "5", "01-question=6"], {"01-layout": 5, "01-memory": 4, "01-question": 6}),
    ],
)
def test_points_can_be_said_in_several_ways(given, wanted):
    assert points_of(ONE, given) == BY_CHAPTER | wanted


def test_points_of_several_chapters():
    assert points_of(TWO, ["question=1", "walk=7"]) == {
        **{"01-layout": 2, "01-memory": 2, "03-walk": 7, "03-memory": 2},
        **{"01-question": 1, "03-question": 1},
    }
    assert points_of(TWO, ["1 2 3 4"])["03-memory"] == 4
    with pytest.raises(ValueError, match="'memory' could be 01-memory or 03-memory"):
        points_of(TWO, ["memory=3"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["five"], "wanted numbers of at least 0, or NAME=NUMBER, got 'five'"),
        (["-1"], "got '-1'"),
        (["nan"], "got 'nan'"),
        (["inf"], "got 'inf'"),
        (["memory=many"], "got 'memory=many'"),
        (["memory="], "got 'memory='"),
        (["layot=2"], "no exercise 'layot'; there are 01-layout, 01-memory, 01-question"),
        (["=2"], "no exercise ''"),
        (["1", "2", "3"], r"wanted one number, or 2 \(01-layout, 01-memory\), got 3"),
    ],
)
def test_points_that_are_not_well_said(given, words):
    with pytest.raises(ValueError, match=f"^--points: .*{words}"):
        points_of(ONE, given)


# The questions

CHAPTERS = {path.name[:2]: path for path in notebooks.chapters() if path.exists() and progress.tasks_of(path)}


def test_every_chapter_with_exercises_has_a_question():
    assert set(QUESTIONS) >= set(CHAPTERS)


@pytest.mark.parametrize("number", CHAPTERS)
def test_a_question_asks_and_its_answer_is_another_text(number):
    question = QUESTIONS[number]
    assert "?" in question.text
    assert len(question.answer) > 150
    assert question.points >= 1
    texts = (question.title, question.text, question.answer)
    assert [text for text in texts if BELITTLING.search(prose(text))] == []
    assert all(text == text.strip() and "  " not in text for text in texts)
    said = "\n".join(cell.source for cell in notebooks.read(CHAPTERS[number]).cells)
    sentences = re.split(r"(?<=[.:;]) ", question.answer)
    assert [sentence for sentence in sentences if len(sentence) > 30 and sentence in said + question.text] == []


# What counts when it is graded

PASSED = new_output("stream", text="PASS   01-layout: so it is\nGRADED 01-layout: full points\n")


def judged(*outputs, source=HIDDEN, **changes):
    """Return the outputs of a check after ``require_verdicts``."""
    cell = graded(source, "01-layout-check", points=2)
    cell.outputs = [nbformat.from_dict(output) for output in outputs]
    cell.metadata.nbgrader.update(changes)
    notebook, resources = require_verdicts(new_notebook(cells=[new_markdown_cell("text"), cell]), {"kept": 1})
    assert resources == {"kept": 1}
    nbformat.validate(notebook)
    return notebook.cells[1].outputs


def test_a_verdict_counts_and_a_warning_costs_nothing():
    warned = new_output("stream", name="stderr", text="UserWarning: slow\n")
    assert judged(PASSED) == [PASSED]
    assert judged(warned, PASSED) == [warned | {"name": "stdout"}, PASSED]
    parts = [new_output("stream", text="GRADED 01-lay"), new_output("stream", text="out: full points\n")]
    assert judged(*parts) == parts


@pytest.mark.parametrize(
    "outputs",
    [
        [],
        [new_output("execute_result", data={"text/plain": "2"})],
        [new_output("stream", text="PASS   01-layout: so it is\n")],
        [new_output("stream", text="GRADED 01-memory: full points\n")],
        [new_output("stream", text="I was GRADED 01-layout: full points\n")],
        [new_output("display_data", data={"text/plain": "GRADED 01-layout: full points"})],
    ],
)
def test_a_check_without_its_verdict_becomes_an_error(outputs):
    result = judged(*outputs)
    assert (result[-1].output_type, result[-1].ename) == ("error", "NoVerdict")
    assert "execute_result" not in [output.output_type for output in result]


def test_an_error_stays_as_it_is_and_a_number_beside_it_counts_for_nothing():
    error = new_output("error", ename="NotPassedError", evalue="FAIL", traceback=["FAIL"])
    assert judged(new_output("execute_result", data={"text/plain": "2"}), error) == [error]
    assert judged(PASSED, error) == [PASSED, error]


def test_other_cells_keep_what_they_gave():
    """A teacher may add checks of the usual kind."""
    result = new_output("execute_result", data={"text/plain": "2"})
    assert judged(result, grade=False) == [result]
    assert judged(result, source="assert seconds > 0") == [result]
