"""The check of the notebooks can fail: nbval, run as ``make test`` runs it, passes a notebook and fails its mutants."""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest

from course import notebooks

ROOT = Path(__file__).parents[1]
OPTIONS = re.search(r"^NBVAL := (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE).group(1).split()

TEXT = """\
# %%
1 + 1

# %% tags=["raises-exception"]
raise ValueError("no frames")

# %% tags=["nbval-ignore-output", "raises-exception"]
raise ValueError("no clip")

# %% tags=["nbval-ignore-output"]
import os

os.getpid()

# %%
import os

print("torch 2.7.1+cpu, budget", os.environ["COURSE_BUDGET"], object())

# %%
import os

from IPython.display import display

display({"text/plain": "A ball falls", "text/html": f"<p>{os.getpid()}</p>"}, raw=True)
"""


def number_changed(cell):
    cell.outputs[0].data["text/plain"] = "3"


def never_run(cell):
    cell.outputs, cell.execution_count = [], None


def outputs_deleted(cell):
    cell.outputs = []


def other_error(cell):
    cell.outputs[0].evalue = "no sound"


def error_gone(cell):
    cell.source = "frames = 8"


def error_come(cell):
    cell.source = "1 / 0"


def description_changed(cell):
    cell.outputs[0].data["text/plain"] = "A ball rises"


# Cell -> how it is spoilt. No cell needs another, so that each notebook can hold several faults.
MUTANTS = {
    "contents": {0: number_changed, 1: other_error, 2: other_error, 3: error_come, 5: description_changed},
    "absences": {0: never_run, 1: error_gone, 2: error_gone, 3: never_run, 5: outputs_deleted},
}


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "demo.ipynb"
    notebooks.text_of(path).parent.mkdir()
    notebooks.text_of(path).write_text(TEXT)
    notebooks.sync(path)
    notebooks.execute(path)
    return path


def nbval(folder):
    """Return pytest's exit code, its words, and the cells that failed by notebook."""
    report = folder / "report.xml"
    options = ["-c", "pyproject.toml", *OPTIONS, f"--junitxml={report}"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder)],
        cwd=ROOT,
        env=os.environ | {"COURSE_BUDGET": "smoke"},
        capture_output=True,
        text=True,
        check=False,
    )
    failed = {path.stem: [] for path in folder.glob("*.ipynb")}
    for case in ElementTree.parse(report).iter("testcase"):
        if case.find("failure") is not None:
            notebook = next(name for name in failed if name in case.get("classname").split("."))
            failed[notebook].append(int(case.get("name").split()[-1]))
    return run.returncode, run.stdout, failed


def test_a_sound_notebook_passes_at_the_smoke_budget(executed):
    code, words, failed = nbval(executed.parent)
    assert (code, failed) == (0, {"demo": []}), words
    assert "33%  demo.ipynb" in words


def test_a_spoilt_notebook_fails_in_the_spoilt_cells_and_in_no_other(executed, tmp_path):
    for name, faults in MUTANTS.items():
        notebook = notebooks.read(executed)
        for number, spoil in faults.items():
            spoil(notebook.cells[number])
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    code, words, failed = nbval(tmp_path)
    assert code == 1, words
    assert failed == {name: list(faults) for name, faults in MUTANTS.items()}, words
