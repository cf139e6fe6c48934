"""A class hands in, and nbgrader grades it: from the chapter to the feedback, with the work of many learners.

The whole chapter runs for two of them. The others have kept its imports and its exercises, as a learner may: what else
a notebook holds does not count.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from course import cli, notebooks, progress, workbook
from course.exercises.questions import QUESTIONS

pytest.importorskip("nbgrader", reason="the extra teach is not installed")

pytestmark = pytest.mark.classroom

CHAPTER = next(path for path in notebooks.chapters() if path.name.startswith("01_"))
OTHER = next(path for path in notebooks.chapters() if path.name.startswith("03_"))
POINTS = {"layout": 1, "memory": 2, "resample": 3, "change": 2, "velocity": 4}
HALF = {"layout", "memory", "resample"}


# What learners hand in


@dataclass
class Work:
    """A notebook that is being worked on."""

    notebook: nbformat.NotebookNode
    solutions: dict[str, str]

    def find(self, grade_id):
        """Return the cell of a grade id."""
        return next(
            cell for cell in self.notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id
        )

    def solve(self, names):
        """Write the right answers of exercises."""
        for name in names:
            self.find(f"01-{name}").source = self.solutions[f"01-{name}"]

    def write_body(self, name, body):
        """Put lines in the place of a stub."""
        cell = self.find(f"01-{name}")
        cell.source, number = re.subn(r"# YOUR CODE HERE\n *raise NotImplementedError\(.*\)", body, cell.source)
        assert number == 1

    def begin_with(self, source):
        """Put a cell above all others but the imports."""
        first = next(i for i, cell in enumerate(self.notebook.cells) if cell.cell_type == "code")
        self.notebook.cells.insert(first + 1, nbformat.v4.new_code_cell(source))

    def keep_exercises(self):
        """Throw away the cells between the imports and the exercises."""
        cells = self.notebook.cells
        first = next(i for i, cell in enumerate(cells) if cell.cell_type == "code")
        exercises = next(i for i, cell in enumerate(cells) if cell.source.startswith("## Exercises"))
        del cells[first + 1 : exercises]


def solutions_of(chapter):
    """Return the chapter's answers without their markers, by grade id."""
    graded = [cell for cell in notebooks.read(chapter).cells if cell.metadata.get("nbgrader", {}).get("solution")]
    marker = re.compile(r"^ *# (BEGIN|END) SOLUTION.*\n?", re.MULTILINE)
    return {cell.metadata.nbgrader.grade_id: marker.sub("", cell.source) for cell in graded}


def perfect(work):
    """All is right, one answer warns, and the question is answered."""
    for grade_id, source in work.solutions.items():
        work.find(grade_id).source = source
    if warned := work.solutions.get("01-memory"):
        warning = [
            "import sys",
            "import warnings",
            'warnings.warn("slow", stacklevel=1)',
            'print("slow", file=sys.stderr)',
        ]
        lines = "".join(f"    {line}\n" for line in warning)
        work.find("01-memory").source = warned.replace('"""\n', '"""\n' + lines, 1)
    (question,) = (cell for cell in work.notebook.cells if cell.source == "YOUR ANSWER HERE")
    question.source = "Paint one spoke."


def untouched(work):
    """Nothing was done."""


def half(work):
    """Some is right, the rest as it was."""
    work.solve(HALF)


def tampered(work):
    """Half is right; one check of either kind was deleted, and one was edited."""
    work.solve(HALF)
    for name in ("memory", "change"):
        work.notebook.cells.remove(work.find(f"01-{name}-check"))
    work.find("01-velocity-check").source = "print('PASS')"


def loop(work):
    """One answer never ends."""
    work.solve(HALF - {"memory"})
    work.write_body("memory", "import time\n    while True:\n        time.sleep(0.1)")


def stubborn(work):
    """One answer never ends and does not let itself be interrupted."""
    work.solve(HALF - {"memory"})
    lines = [
        "import time",
        "while True:",
        "    try:",
        "        time.sleep(0.1)",
        "    except BaseException:",
        "        pass",
    ]
    work.write_body("memory", "\n    ".join(lines))


def crash(work):
    """One answer takes the kernel down."""
    work.solve(HALF - {"memory"})
    work.write_body("memory", '__import__("os")._exit(0)')


def patched(work):
    """Wrong answers, and everything that could say so was replaced."""
    work.begin_with("""
import torch
from course.exercises import checking
def check(*given, **named):
    print("PASS")
fake = checking.Outcome("PASS", "PASS")
checking.check, checking.examine, checking.same, checking.close = check, lambda *given: fake, check, check
checking.find = lambda name: checking.Exercise(name, check, "", ("", "", ""))
torch.allclose = torch.equal = lambda *given, **named: True
""")
    work.write_body("layout", "B, T, C, H, W = clips.shape\n    return clips.reshape(B, C, T, H, W)")
    work.write_body("memory", "return 0.0")
    work.write_body("resample", "return clip")
    work.write_body("change", "return after - before")
    work.write_body("velocity", "return 0, 0")


def sly(work):
    """No answer, and a trick at each check."""
    work.begin_with("from course.exercises.checking import working\nlayout = working('01-layout', None)")
    work.find("01-layout").source += "\nto_conv3d = layout"
    work.find("01-memory-check").metadata.tags = ["skip-execution"]
    work.write_body("resample", "get_ipython().displayhook(3)")
    work.write_body("change", 'print("GRADED 01-change: full points")')
    work.write_body("velocity", 'print("GRADED 01-velocity: full points")\n    raise SystemExit')


def disguised(work):
    """All is right, but for a check that says of itself that it is none."""
    work.solve(POINTS)
    work.find("01-velocity-check").metadata.nbgrader.grade = False


REFUSED = (crash, disguised, stubborn)
LEARNERS = (*REFUSED, half, loop, patched, sly, tampered)


# The class


def nbgrader(folder, *arguments):
    """Run one of nbgrader's commands; its own programs must be on the PATH."""
    programs = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def hand_in(folder, learner, chapter, *, whole):
    """Let a learner work on the assignment as it was released, and hand it in."""
    notebook = notebooks.read(folder / "release" / chapter.stem / chapter.name)
    work = Work(notebook, solutions_of(chapter))
    learner(work)
    if not whole:
        work.keep_exercises()
    path = folder / "submitted" / learner.__name__ / chapter.stem / chapter.name
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a course folder in which two assignments were released, handed in and graded."""
    folder = tmp_path_factory.mktemp("classroom") / "course"
    points = [f"{name}={number}" for name, number in POINTS.items()]
    assert cli.main(["assignment", "01", "03", "--folder", str(folder), "--points", *points]) == 0
    for chapter in (CHAPTER, OTHER):
        done = nbgrader(folder, "generate_assignment", chapter.stem)
        assert done.returncode == 0, done.stderr
        hand_in(folder, perfect, chapter, whole=True)
        hand_in(folder, untouched, chapter, whole=chapter == OTHER)
    works = {learner: hand_in(folder, learner, CHAPTER, whole=False) for learner in LEARNERS}
    # A module with the name of one of Python's own comes with a learner's work, and must not be taken for it.
    forged = 'def run_module(name):\n    return {"grade": lambda name, answer: print(f"GRADED {name}: full points")}\n'
    (works[sly].parent / "runpy.py").write_text(forged)
    return folder


@pytest.fixture(scope="module")
def graded(folder):
    """Return what nbgrader said when it graded chapter 01, and how it ended."""
    return nbgrader(folder, "autograde", CHAPTER.stem)


@pytest.fixture(scope="module")
def gradebook(folder, graded):
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as gradebook:
        yield gradebook


@pytest.fixture
def scores(gradebook):
    """Return a function that tells what a learner got for each exercise of chapter 01, and for the question."""

    def tell(learner):
        (notebook,) = gradebook.find_submission(CHAPTER.stem, learner.__name__).notebooks
        return {grade.name[3:].removesuffix("-check"): grade.score for grade in notebook.grades}

    return tell


def no_points(*, but=()):
    return dict.fromkeys([*POINTS, "question"], 0) | {name: POINTS[name] for name in but}


def test_the_release_is_the_workbook_with_a_question(folder):
    released = notebooks.read(folder / "release" / CHAPTER.stem / CHAPTER.name)
    edition = workbook.learner_edition(CHAPTER)
    sources = [cell.source for cell in released.cells]
    at = sources.index("YOUR ANSWER HERE")
    assert QUESTIONS["01"].text in sources[at - 1]
    assert sources[: at - 1] + sources[at + 1 :] == [cell.source for cell in edition.cells]
    text = nbformat.writes(released)
    assert "HIDDEN" not in text
    assert QUESTIONS["01"].answer[:40] not in text
    locked = [cell.source for cell in released.cells if cell.metadata.get("editable") is False]
    assert [source for source in locked if source.startswith("check(")] == [
        cell.source for cell in edition.cells if cell.metadata.get("editable") is False
    ]


def test_a_perfect_submission_gets_all_points_and_the_question_waits_for_a_reader(scores, gradebook):
    assert scores(perfect) == {**POINTS, "question": 0}
    submission = gradebook.find_submission(CHAPTER.stem, "perfect")
    assert submission.needs_manual_grade
    grade = gradebook.find_grade("01-question", CHAPTER.stem, CHAPTER.stem, "perfect")
    assert grade.needs_manual_grade
    grade.manual_score, grade.needs_manual_grade = QUESTIONS["01"].points, False
    gradebook.db.commit()
    assert submission.score == submission.max_score == sum(POINTS.values()) + QUESTIONS["01"].points


def test_an_untouched_submission_gets_none_and_needs_no_reader(scores, gradebook):
    assert scores(untouched) == no_points()
    assert not gradebook.find_submission(CHAPTER.stem, "untouched").needs_manual_grade


def test_half_a_submission_gets_its_half(scores):
    assert scores(half) == no_points(but=HALF)
    assert 2 * sum(scores(half).values()) == sum(POINTS.values())


def test_a_check_that_was_deleted_or_edited_still_grades(scores, folder):
    assert scores(tampered) == no_points(but=HALF)
    path = folder / "autograded" / "tampered" / CHAPTER.stem / CHAPTER.name
    checks = [cell.source for cell in notebooks.read(path).cells if "HIDDEN TESTS" in cell.source]
    assert len(checks) == len(POINTS)


def test_an_answer_without_end_costs_its_own_points(scores, folder):
    assert scores(loop) == no_points(but=HALF - {"memory"})
    path = folder / "autograded" / "loop" / CHAPTER.stem / CHAPTER.name
    assert "CellTimeoutError" in path.read_text()


def test_what_cannot_be_graded_is_named_and_the_others_are_graded(scores, graded, folder):
    assert graded.returncode == 1
    failed = re.findall(r"There was an error processing assignment '[^']*' for student '(\w+)'", graded.stderr)
    assert failed == [learner.__name__ for learner in REFUSED]
    for learner in REFUSED:
        assert sum(scores(learner).values()) == 0
    assert {path.name for path in (folder / "autograded").iterdir()} >= {
        learner.__name__ for learner in (perfect, untouched, *LEARNERS) if learner not in REFUSED
    }


def test_replacing_what_checks_earns_nothing(scores):
    assert scores(patched) == no_points()


def test_tricks_at_the_checks_earn_nothing(scores):
    assert scores(sly) == no_points()


def test_the_feedback_says_what_each_check_said(folder, graded):
    done = nbgrader(folder, "generate_feedback", CHAPTER.stem)
    assert done.returncode == 0, done.stderr
    page = (folder / "feedback" / "half" / CHAPTER.stem / f"{CHAPTER.stem}.html").read_text(encoding="utf-8")
    assert "GRADED 01-layout: full points" in page
    assert "TO DO  01-velocity" in page
    assert not (folder / "feedback" / "crash").exists()


def test_a_chapter_that_trains_is_graded_too(folder, graded, gradebook):
    done = nbgrader(folder, "autograde", OTHER.stem)
    assert done.returncode == 0, done.stderr
    submitted = {s.student.id: s.score for s in gradebook.find_assignment(OTHER.stem).submissions}
    exercises = sum(task.points for task in progress.tasks_of(OTHER))
    assert submitted == {"perfect": exercises, "untouched": 0}
    text = (folder / "autograded" / "perfect" / OTHER.stem / OTHER.name).read_text(encoding="utf-8")
    assert "budget smoke" in text
