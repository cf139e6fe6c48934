"""nbgrader assignments, made of the chapters: the same exercises, stubs and checks that a workbook has.

A course folder holds ``source/NN_slug/NN_slug.ipynb``, the chapter with its solutions and, behind each check, a hidden
part that asks for points; and ``nbgrader_config.py``, which calls ``configure``. All that a teacher then does is
nbgrader's: ``nbgrader generate_assignment``, ``autograde``, ``generate_feedback``.

What keeps points honest: nbgrader puts its own copy of each check in the place of what was handed in; the hidden part
is not fooled by a ``check`` of the learner's own or by functions that were replaced (``course.exercises.grading``);
a check that says nothing earns nothing, and neither does a module that was handed in under the name of another. What
does not: the answers stand in the chapters for all to read, and the learner's code runs with the rights of whoever
grades. Code that sets out to deceive the grader can. Grade where it can do no harm, and where marks count, read the
question that is answered in words.
"""

import ast
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from course import notebooks, progress, workbook
from course.exercises.grading import verdict_line
from course.exercises.questions import QUESTIONS, Question

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from traitlets.config import Config

TEACHING = notebooks.NOTEBOOKS.parent / "teaching"
"""The course folder, unless another is named."""

CONFIG = "nbgrader_config.py"

_CONFIG = '''\
"""nbgrader's settings for this course folder: written once by `python -m course assignment`, yours to edit."""

from pathlib import Path

from course.assignment import configure

c = get_config()
configure(c)  # stubs as in the workbook, the smoke budget, no points without a verdict

c.CourseDirectory.course_id = "video_generation_from_scratch"
c.CourseDirectory.root = str(Path(__file__).resolve().parent)
c.Execute.timeout = 120  # seconds on the clock for one cell: what takes longer is stopped
c.Execute.iopub_timeout = 30  # seconds until a cell that was stopped must have ended
c.OverwriteCells.add_missing_cells = True  # a check that was deleted is put back
'''

_HIDDEN = """\
### BEGIN HIDDEN TESTS
import runpy

runpy.run_module("course.exercises.grading")["grade"]("{exercise_id}", {answer})
### END HIDDEN TESTS"""

_SETTING = "__import__('os').environ.update(COURSE_BUDGET='smoke', OMP_NUM_THREADS='1', COURSE_PROGRESS='')"
"""What a kernel that grades does first: little work, and nothing into the progress of whoever grades."""

_SECTION = re.compile(r"^## ", re.MULTILINE)


# Writing the course folder


def write(
    numbers: Iterable[str],
    *,
    points: Sequence[str] = (),
    folder: Path = TEACHING,
    source: Path = notebooks.NOTEBOOKS,
) -> list[str]:
    """Write the source versions of chapters, and nbgrader's settings, into a course folder.

    Args:
        numbers: of the chapters, such as ``["01", "3"]``.
        points: for ``points_of``.
        folder: nbgrader's course folder; it is made if need be.
        source: where the chapters are.

    Returns:
        What was done, in sentences.

    Raises:
        ValueError: if there is no such chapter, or it has no exercises or no question; if the points are not well said;
            or if the folder holds something else under a name that would be written. Nothing was written then.
    """
    paths = {path.name[:2]: path for path in notebooks.chapters(source) if path.exists()}
    chosen = list(dict.fromkeys(str(number).zfill(2) for number in numbers))
    if unknown := [number for number in chosen if number not in paths]:
        raise ValueError(f"no chapter {', '.join(unknown)}; there are {', '.join(paths)}")
    tasks = {number: progress.tasks_of(paths[number]) for number in chosen}
    for number in chosen:
        if not tasks[number]:
            raise ValueError(f"chapter {number} has no exercises, so there is nothing to hand in")
        if number not in QUESTIONS:
            raise ValueError(f"chapter {number} has no question: write one in course/exercises/questions.py")
    worth = points_of([task for some in tasks.values() for task in some], points)
    texts, done = {}, []
    for number in chosen:
        stem = paths[number].stem
        path = folder / "source" / stem / f"{stem}.ipynb"
        texts[path] = _text(source_version(paths[number], worth))
        if not path.exists():
            exercises = [worth[task.id] for task in tasks[number]]
            done.append(
                f"{path} was written: exercises {len(exercises)}, points {sum(exercises):g}; "
                f"and a question, points {worth[f'{number}-question']:g}."
            )
        elif path.read_text(encoding="utf-8") == texts[path]:
            done.append(f"{path} is there already, and as it would be written.")
        else:
            raise ValueError(
                f"{path} is there and differs from what would be written: it was edited, or the chapter or the points "
                "have changed. Nothing was written. Move it away to have it made anew, or name another --folder"
            )
    config = folder / CONFIG
    if not config.exists():
        texts[config] = _CONFIG
        done.append(f"{config} was written.")
    elif "course.assignment" in config.read_text(encoding="utf-8"):
        done.append(f"{config} was left as you have it.")
    else:
        raise ValueError(
            f"{config} is there and does not call the course. Nothing was written. Add to it the lines 'from "
            "course.assignment import configure' and 'configure(get_config())', or name another --folder"
        )
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        notebooks.write(path, text)
    first = f"Next, in {folder}, with the environment active: nbgrader generate_assignment"
    return done + [f"{first} {paths[number].stem}" for number in chosen]


def points_of(tasks: Sequence[progress.Task], given: Sequence[str] = ()) -> dict[str, float]:
    """Return what each exercise and each question is worth.

    Args:
        tasks: the exercises, of one chapter or of several.
        given: numbers and ``NAME=NUMBER``. One number is for every exercise, more are for the exercises in their order.
            A name is an exercise's (``01-layout`` or ``layout``) or a question's (``01-question``, or ``question`` for
            all); it comes before the numbers. What is not given is as in the chapter.

    Returns:
        Points by grade id.

    Raises:
        ValueError: if a number is none or negative, a name is unknown or means several, or there are too many numbers
            or too few.
    """
    chapters = list(dict.fromkeys(task.id[:2] for task in tasks))
    worth = {task.id: float(task.points) for task in tasks}
    worth |= {f"{number}-question": float(QUESTIONS[number].points) for number in chapters}
    words = [word for text in given for word in re.split(r"[,\s]+", text) if word]
    named = [word.partition("=") for word in words if "=" in word]
    numbers = [_number(word, word) for word in words if "=" not in word]
    if len(numbers) == 1:
        numbers *= len(tasks)
    if numbers and len(numbers) != len(tasks):
        listed = ", ".join(task.id for task in tasks)
        raise ValueError(f"--points: wanted one number, or {len(tasks)} ({listed}), got {len(numbers)}")
    worth |= dict(zip((task.id for task in tasks), numbers, strict=False))
    for name, _, number in named:
        found = [grade_id for grade_id in worth if name in (grade_id, grade_id[3:])]
        if not found:
            raise ValueError(f"--points: no exercise {name!r}; there are {', '.join(worth)}")
        if len(found) > 1 and name != "question":
            raise ValueError(f"--points: {name!r} could be {' or '.join(found)}")
        worth |= dict.fromkeys(found, _number(number, f"{name}={number}"))
    return worth


def _number(text: str, said: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise ValueError(f"--points: wanted numbers of at least 0, or NAME=NUMBER, got {said!r}")
    return number


def source_version(path: Path, worth: dict[str, float]) -> "NotebookNode":
    """Return a chapter as nbgrader's source: with its solutions, the hidden parts of its checks, and its question.

    Args:
        path: the chapter.
        worth: points by grade id, from ``points_of``.

    Raises:
        ValueError: naming notebook and cell, if a solution or a check is not as it must be.
    """
    workbook.learner_edition(path)  # raises if a stub could not take a solution's place
    notebook = notebooks.read(path)
    notebook.metadata.pop("course", None)  # fingerprints of the reading edition
    last = 0
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        grading = cell.metadata.get("nbgrader", {})
        if grading.get("solution"):
            cell.metadata.get("jupyter", {}).pop("source_hidden", None)
        if grading.get("grade"):
            last, exercise_id = number, grading["grade_id"].removesuffix("-check")
            grading["points"] = worth[exercise_id]
            try:
                cell.source += "\n" + _HIDDEN.format(exercise_id=exercise_id, answer=_answer(cell.source, exercise_id))
            except ValueError as error:
                raise ValueError(f"{path.name}, cell {number + 1}, {cell.source!r}: {error}") from None
    place = next(
        (i for i, cell in enumerate(notebook.cells) if i > last and _is_section(cell)),
        len(notebook.cells),
    )
    grade_id = f"{path.name[:2]}-question"
    notebook.cells[place:place] = _question_cells(QUESTIONS[path.name[:2]], grade_id, worth[grade_id])
    return notebook


def _answer(source: str, exercise_id: str) -> str:
    """Return the expression that a check cell gives to ``check``."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="check"), args=[ast.Constant(value=name), answer]) if name == exercise_id:
                return ast.unparse(answer)
    raise ValueError(f'wanted check("{exercise_id}", ...) in the check of that exercise')


def _is_section(cell: "NotebookNode") -> bool:
    return cell.cell_type == "markdown" and bool(_SECTION.search(cell.source))


def _question_cells(question: Question, grade_id: str, points: float) -> list["NotebookNode"]:
    """Return the question, and below it the cell for the answer, which for now holds what a good one says."""
    from nbformat.v4 import new_markdown_cell

    asked = new_markdown_cell(
        f"### Question · {question.title}\n\n*Answered in words, and read by a person.* {question.text}",
        metadata={"deletable": False, "editable": False},
        id=grade_id,
    )
    grading = {"grade": True, "grade_id": grade_id, "locked": False, "points": points, "schema_version": 3}
    grading |= {"solution": True, "task": False}
    return [asked, new_markdown_cell(question.answer, metadata={"nbgrader": grading}, id=f"{grade_id}-answer")]


def _text(notebook: "NotebookNode") -> str:
    import nbformat

    return nbformat.writes(notebook) + "\n"


# What nbgrader calls


def configure(config: "Config") -> None:
    """Set what assignments of the course need; ``nbgrader_config.py`` calls it before a teacher's own settings.

    Learners get the stubs of the workbook. Notebooks are graded at the smoke budget, which makes seconds of the minutes
    that a chapter trains; in a kernel that takes no module from the folder of what was handed in; and with
    ``require_verdicts``.

    Args:
        config: what ``get_config()`` gives there.
    """
    from nbgrader.converters import Autograde, GenerateAssignment
    from nbgrader.preprocessors import ClearSolutions, Execute

    steps = GenerateAssignment.class_traits()["preprocessors"].default()
    config.GenerateAssignment.preprocessors = [clear_solutions if step is ClearSolutions else step for step in steps]
    steps = list(Autograde.class_traits()["autograde_preprocessors"].default())
    steps.insert(steps.index(Execute) + 1, require_verdicts)
    config.Autograde.autograde_preprocessors = steps
    config.Execute.extra_arguments = ["--IPKernelApp.ignore_cwd=True", f"--IPKernelApp.exec_lines={_SETTING}"]


def clear_solutions(notebook: "NotebookNode", resources: dict) -> tuple["NotebookNode", dict]:
    """Put the workbook's stubs in the place of the solutions, and nbgrader's in cells that are marked as it wants.

    Args:
        notebook: the source version; it is changed.
        resources: nbconvert's.
    """
    from nbgrader.preprocessors import ClearSolutions

    others = []
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution") and "# BEGIN SOLUTION: " in cell.source:
            cell.source = workbook.with_stubs(cell.source)
        else:
            others.append(cell)
    ClearSolutions().preprocess(type(notebook)(notebook, cells=others), resources)
    return notebook, resources


def require_verdicts(notebook: "NotebookNode", resources: dict) -> tuple["NotebookNode", dict]:
    """Let no check earn points but one that printed its verdict, and let no warning cost any.

    By itself nbgrader gives all points for a cell without outputs, such as one that was never run; as many as a cell's
    result says, if that is a number; and none for a cell that wrote to stderr, as a warning does.

    Args:
        notebook: what was handed in, executed; it is changed.
        resources: nbconvert's.
    """
    from nbformat.v4 import new_output

    for cell in notebook.cells:
        grading = cell.metadata.get("nbgrader", {})
        if cell.cell_type != "code" or not grading.get("grade") or "course.exercises.grading" not in cell.source:
            continue  # no check of the course's
        cell.outputs = [output for output in cell.outputs if output.output_type != "execute_result"]
        for output in cell.outputs:
            if output.output_type == "stream":
                output.name = "stdout"
        said = "".join(output.text for output in cell.outputs if output.output_type == "stream").splitlines()
        failed = any(output.output_type == "error" for output in cell.outputs)
        if not failed and verdict_line(grading["grade_id"].removesuffix("-check")) not in said:
            line = "NoVerdict: the check did not run to its end"
            name, _, value = line.partition(": ")
            cell.outputs.append(new_output("error", ename=name, evalue=value, traceback=[line]))
    return notebook, resources
