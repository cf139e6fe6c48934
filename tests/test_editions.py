"""The workbook runs to the end untouched, and passes everything once the answers are pasted in."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from course import notebooks, progress, workbook

CHAPTERS = notebooks.chapters()


@pytest.fixture(name="folder")
def fixture_folder(tmp_path):
    folder = tmp_path / "workbook"
    workbook.make(folder=folder)
    return folder


def run(path, **environment):
    """Execute a notebook of the workbook at the smoke budget; return it."""
    notebook = nbformat.read(path, as_version=4)
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    client = NotebookClient(notebook, km=manager, timeout=300, resources={"metadata": {"path": str(path.parent)}})
    environment = {**os.environ, "COURSE_BUDGET": "smoke", **environment}
    client.execute(cleanup_kc=True, env={key: value for key, value in environment.items() if value})
    return notebook


def verdicts(notebook):
    """Return the line that each check printed, by exercise."""
    lines = {}
    for cell in notebook.cells:
        grade = cell.metadata.get("nbgrader", {})
        if grade.get("grade"):
            lines[grade["grade_id"].removesuffix("-check")] = "".join(o.get("text", "") for o in cell.outputs)
    return lines


def solve(path, source):
    """Paste the chapter's answers into a notebook of the workbook."""
    cells = nbformat.read(source, as_version=4).cells
    answers = {
        cell.metadata.nbgrader.grade_id: re.sub(r"^ *# (BEGIN|END) SOLUTION.*\n?", "", cell.source, flags=re.MULTILINE)
        for cell in cells
        if "nbgrader" in cell.metadata
    }
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            assert cell.source != answers[cell.metadata.nbgrader.grade_id]
            cell.source = re.sub(
                r"^ *# (BEGIN|END) SOLUTION.*\n?", "", answers[cell.metadata.nbgrader.grade_id], flags=re.M
            )
    nbformat.write(notebook, path)


def test_an_unsolved_workbook_runs_to_the_end_under_nbval_and_says_what_is_to_do(folder):
    environment = {**os.environ, "COURSE_BUDGET": "smoke", "COURSE_STRICT": ""}
    nbval = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *nbval, str(folder)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    events = progress.events(folder / "progress.sqlite3")
    ids = [task.id for source in CHAPTERS for task in progress.tasks_of(source)]
    assert sorted(event.exercise for event in events) == sorted(ids)
    for event in events:
        assert event.kind == "todo"
        assert event.detail.startswith(f"TO DO  {event.exercise}: ")


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda path: path.stem)
def test_a_solved_chapter_passes_everything_and_it_is_recorded(source, folder):
    solve(folder / source.name, source)
    lines = verdicts(run(folder / source.name, COURSE_STRICT="1"))
    for exercise_id, line in lines.items():
        assert line.startswith(f"PASS   {exercise_id}: "), line
    tasks = progress.tasks_of(source)
    assert {task.id for task in tasks} == set(lines)
    assert all(standing.passed for standing in progress.summary(folder / "progress.sqlite3", tasks))
    assert workbook.make(folder=folder) == []  # what was written is not touched


def test_a_strict_run_stops_at_what_is_not_passed(folder):
    with pytest.raises(CellExecutionError, match="NotPassedError") as error:
        run(folder / CHAPTERS[0].name, COURSE_STRICT="1")
    assert "TO DO  00-backwards" in str(error.value)


def test_no_hint_tells_before_it_is_asked(folder):
    """The workbook holds the calls for hints as comments only."""
    for path in sorted(Path(folder).glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            assert not re.search(r"^hint\(", cell.source, re.MULTILINE)
