"""Notebooks are paired, executed and checked: the machinery on a made-up chapter, then every chapter there is."""

import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from jupytext.config import load_jupytext_config
from jupytext.paired_paths import paired_paths
from nbclient.exceptions import CellTimeoutError

from course import notebooks

TEXT = """\
# %% [markdown]
# # A chapter

# %%
import os
import sys

print(os.environ["COURSE_BUDGET"], os.path.basename(os.getcwd()), os.path.basename(sys.prefix))

# %% [markdown]
# It counts to three.

# %% tags=["nbval-ignore-output"]
from course.evaluation.claims import claim

claim("three | three", [3, 3.25], at_least=3, baseline=1)

# %%
from ipywidgets import IntSlider

IntSlider(description="frame")

# %% nbgrader={"grade_id": "07-four", "points": 2} tags=["raises-exception"]
claim("four", 3, at_least=4, always=True)
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Return the folder of a chapter that was made from its text and executed under trying circumstances."""
    folder = tmp_path_factory.mktemp("project") / "notebooks"
    (folder / "source").mkdir(parents=True)
    (folder / "source" / "07_demo.py").write_text(TEXT)
    readme = folder.parent / "README.md"
    readme.write_text("# Project\n\n<!-- results -->\n<!-- /results -->\n")
    other_kernel = folder.parent / "jupyter" / "kernels" / "python3"
    other_kernel.mkdir(parents=True)
    (other_kernel / "kernel.json").write_text(
        json.dumps({"argv": ["false"], "display_name": "x", "language": "python"})
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_BUDGET", "smoke")
        patch.setenv("JUPYTER_PATH", str(folder.parent / "jupyter"))
        notebooks.update(folder=folder, readme=readme)
    return folder


@pytest.fixture
def folder(executed, tmp_path):
    """Return a copy of the executed chapter, to be spoiled."""
    shutil.copytree(executed.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / "notebooks"


@pytest.fixture
def path(folder):
    return folder / "07_demo.ipynb"


def edit(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    os.utime(path, (0, 0))  # an old date must not hide an edit


def outputs(path):
    return [cell.outputs for cell in notebooks.read(path).cells if cell.cell_type == "code"]


# Executing


def test_a_chapter_runs_at_the_full_budget_in_its_folder_with_this_python(path):
    assert outputs(path)[0][0].text == f"full notebooks {Path(sys.prefix).name}\n"
    assert list(notebooks.problems(path)) == []
    assert notebooks.stale(path.parent) == []


def test_the_file_holds_nothing_that_changes_by_itself(path):
    notebook = notebooks.read(path)
    assert set(notebook.metadata) == {"course", "kernelspec", "language_info"}
    assert notebook.metadata.language_info == {"name": "python"}
    assert notebook.metadata.kernelspec == {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert [set(cell.metadata) <= {"tags", "nbgrader", "lines_to_next_cell"} for cell in notebook.cells] == [True] * 6
    assert len({cell.id for cell in notebook.cells}) == 6
    assert "slider" in outputs(path)[2][0].data["text/plain"].lower()
    assert set(outputs(path)[2][0].data) == {"text/plain"}  # no view of a widget whose state is not there
    assert str(notebooks.NOTEBOOKS.parent) not in "".join(outputs(path)[3][-1].traceback)


def test_executing_again_gives_the_same_bytes(path):
    before = path.read_bytes()
    notebooks.execute(path)
    assert path.read_bytes() == before


def test_update_leaves_a_fresh_chapter_alone(folder, path, monkeypatch, capsys):
    monkeypatch.setattr(notebooks, "execute", lambda path: pytest.fail("executed again"))
    before = path.read_bytes(), notebooks.text_of(path).read_bytes()
    notebooks.update(folder=folder, readme=folder.parent / "README.md")
    assert (path.read_bytes(), notebooks.text_of(path).read_bytes()) == before
    assert capsys.readouterr().out == ""


def test_update_executes_what_is_stale_what_is_asked_for_and_nothing_else(folder, path, monkeypatch):
    done = []
    monkeypatch.setattr(notebooks, "execute", lambda path: done.append(path.stem))
    shutil.copy(path, folder / "08_fresh.ipynb")
    (folder / "source" / "09_new.py").write_text(TEXT)
    options = {"folder": folder, "readme": folder.parent / "README.md"}
    notebooks.update(["7", "08"], **options)
    assert done == []
    notebooks.update(["08"], force=True, **options)
    assert done == ["08_fresh"]
    notebooks.update(**options)
    assert done == ["08_fresh", "09_new"]
    with pytest.raises(ValueError, match="no chapter 11; there are 07, 08, 09"):
        notebooks.update(["11"], **options)


def test_a_failing_cell_is_shown_and_the_file_stays_as_it_was(folder, path):
    failing = folder / "01_failing.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in ("numerator = 1", "numerator / 0")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), failing)
    before = failing.read_bytes()
    with pytest.raises(
        notebooks.NotebookError, match=r"(?s)01_failing.ipynb.*numerator / 0.*ZeroDivisionError"
    ) as caught:
        notebooks.execute(failing)
    assert "numerator = 1" not in str(caught.value)
    assert failing.read_bytes() == before


@pytest.mark.parametrize("hangs", [1, 2])
def test_a_run_that_hangs_is_tried_once_more(path, monkeypatch, hangs):
    runs = []

    def run(path, timeout):
        runs.append(timeout)
        if len(runs) <= hangs:
            raise CellTimeoutError("a cell hangs")
        return notebooks.read(path)

    monkeypatch.setattr(notebooks, "_run", run)
    if hangs == 1:
        notebooks.execute(path, timeout=5)
    else:
        with pytest.raises(notebooks.NotebookError, match="a cell hangs"):
            notebooks.execute(path, timeout=5)
    assert runs == [5, 5]


# Pairing


def test_an_edit_of_prose_in_the_text_reaches_the_notebook_and_keeps_its_outputs(path):
    before = outputs(path)
    edit(notebooks.text_of(path), "It counts to three.", "It counts well.")
    assert "it and its text do not agree: run make notebooks" in notebooks.problems(path)
    assert notebooks.sync(path) == "follows its text"
    assert notebooks.read(path).cells[2].source == "It counts well."
    assert outputs(path) == before
    assert list(notebooks.problems(path)) == []
    assert notebooks.sync(path) == ""


def test_an_edit_of_code_in_the_text_makes_the_outputs_stale(path):
    edit(notebooks.text_of(path), '"frame"', '"frame number"')
    ids = [cell.id for cell in notebooks.read(path).cells]
    before = outputs(path)
    notebooks.sync(path)
    assert notebooks.stale(path.parent) == [path]
    assert outputs(path)[:2] == before[:2]
    changed = [old != cell.id for old, cell in zip(ids, notebooks.read(path).cells, strict=True)]
    assert changed == [False, False, False, False, True, False]


def test_a_tag_is_code_for_nbval_and_travels_both_ways(path):
    edit(notebooks.text_of(path), '# %% tags=["nbval-ignore-output"]', "# %%")
    notebooks.sync(path)
    assert notebooks.stale(path.parent) == [path]
    notebook = notebooks.read(path)
    assert "tags" not in notebook.cells[3].metadata
    notebook.cells[3].metadata["tags"] = ["nbval-ignore-output"]
    nbformat.write(notebook, path)
    assert notebooks.sync(path) == "its text follows it"
    assert notebooks.text_of(path).read_text() == TEXT
    assert notebooks.stale(path.parent) == []


def test_an_edit_in_the_notebook_reaches_the_text(path):
    notebook = notebooks.read(path)
    notebook.cells[2].source = "It *counts*."
    notebook.cells[2].metadata["editable"] = True  # what an editor leaves behind
    notebook.metadata["language_info"]["version"] = "3.99"
    nbformat.write(notebook, path)
    assert notebooks.sync(path) == "its text follows it"
    assert notebooks.text_of(path).read_text() == TEXT.replace("It counts to three.", "It *counts*.")
    assert "editable" not in path.read_text()
    assert "3.99" not in path.read_text()


def test_no_edit_is_lost_when_both_were_edited(path):
    text = notebooks.text_of(path)
    edit(text, "It counts to three.", "It counts in the text.")
    edit(path, "It counts to three.", "It counts in the notebook.")
    before = path.read_bytes(), text.read_bytes()
    with pytest.raises(notebooks.NotebookError, match=r"07_demo.ipynb and source/07_demo.py were both edited"):
        notebooks.sync(path)
    assert (path.read_bytes(), text.read_bytes()) == before


def test_the_same_edit_on_both_sides_is_no_conflict(path):
    for side in (path, notebooks.text_of(path)):
        edit(side, "It counts to three.", "It counts.")
    assert notebooks.sync(path) == "tidied"
    assert list(notebooks.problems(path)) == []


def test_either_side_can_be_made_from_the_other(path):
    text = notebooks.text_of(path)
    text.unlink()
    assert "it and its text do not agree: run make notebooks" in notebooks.problems(path)
    assert notebooks.sync(path) == "its text follows it"
    assert text.read_text() == TEXT
    cells = [(cell.id, cell.source) for cell in notebooks.read(path).cells]
    path.unlink()
    assert list(notebooks.problems(path)) == ["it was never executed: run make notebooks"]
    assert notebooks.sync(path) == "made from its text"
    assert [(cell.id, cell.source) for cell in notebooks.read(path).cells] == cells


def test_the_text_holds_no_fingerprint(path):
    assert notebooks.text_of(path).read_text() == TEXT
    assert len(notebooks.read(path).metadata["course"]["executed"]) == 64


def test_jupyterlab_pairs_the_same_two_files():
    config = load_jupytext_config(str(notebooks.NOTEBOOKS))
    path = notebooks.NOTEBOOKS / "07_demo.ipynb"
    text = notebooks.text_of(path)
    for start in (path, text):
        pair = paired_paths(str(start), {"extension": start.suffix}, config.default_formats(str(start)))
        assert [found for found, _ in pair] == [str(path), str(text)]
    assert config.default_formats(str(notebooks.NOTEBOOKS.parent / "workbook" / "07_demo.ipynb")) is None


# Checking


def nothing_ran(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def run_twice(notebook):
    notebook.cells[1].execution_count = 9


def other_output(notebook):
    notebook.cells[1].outputs[0].text = "smoke\n"


def other_claim(notebook):
    notebook.cells[3].outputs[0].metadata["course"]["claim"]["values"] = [5.0, 6.0]


def smoke_claim(notebook):
    notebook.cells[3].outputs[0].metadata["course"]["claim"]["judged"] = False


def error(notebook):
    notebook.cells[5].metadata["tags"] = []


def heavy(notebook):
    notebook.cells[1].outputs[0].text = "x" * notebooks.MAX_OUTPUT_BYTES


def widget_state(notebook):
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}


def ignored(notebook):
    for cell in notebook.cells:
        cell.metadata["tags"] = ["nbval-ignore-output"]


def skipped(notebook):
    notebook.cells[1].metadata["tags"] = ["nbval-skip"]


def commented(notebook):
    notebook.cells[1].source += "\n# NBVAL_IGNORE_OUTPUT"


def picture(notebook, **data):
    notebook.cells[1].outputs = [nbformat.v4.new_output("display_data", data=data)]


def bare_figure(notebook):
    picture(notebook, **{"image/png": "iVBORw0KGgo=", "text/plain": "<Figure size 640x480 with 1 Axes>"})


def bare_html(notebook):
    picture(notebook, **{"text/html": '<p><img src="data:image/png;base64,alt=" alt=""></p>', "text/plain": "A clip"})


def bare_video(notebook):
    picture(notebook, **{"text/html": "<video src='data:video/mp4;base64,AAAA' controls></video>"})


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (nothing_ran, "a code cell was never executed"),
        (run_twice, "its cells were not executed once, from top to bottom"),
        (other_output, "its outputs are not those of its code"),
        (other_claim, "its outputs are not those of its code"),
        (smoke_claim, "it shows a claim that was not judged"),
        (error, "an error is stored, ClaimError: does not hold: four"),
        (heavy, "bytes, more than 1,500,000"),
        (widget_state, "the state of widgets was stored"),
        (ignored, "nbval ignores 100% of its code cells, more than 50%"),
        (skipped, "it hides from nbval"),
        (commented, "it hides from nbval"),
        (bare_figure, "a picture has no description"),
        (bare_html, "its <img> has no alt or aria-label"),
        (bare_video, "its <video> has no alt or aria-label"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_fault_is_found(path, spoil, sentence):
    notebook = notebooks.read(path)
    spoil(notebook)
    nbformat.write(notebook, path)
    assert any(sentence in problem for problem in notebooks.problems(path)), list(notebooks.problems(path))


def test_described_pictures_are_fine(path):
    notebook = notebooks.read(path)
    picture(notebook, **{"image/png": "iVBORw0KGgo=", "text/plain": "Two frames of a ball that falls"})
    picture(notebook, **{"text/html": "<video aria-label='A ball falls' src='x'></video><img src='x' alt='A ball'>"})
    nbformat.write(notebook, path)
    assert list(notebooks.problems(path)) == ["its outputs are not those of its code: run make notebooks"]


# The table of results


def test_the_readme_shows_the_claims_that_the_chapters_stored(folder, path):
    readme = folder.parent / "README.md"
    rows = readme.read_text().splitlines()[3:-1]
    assert rows[0] == "| chapter | claim | measured | wanted | baseline | control | verdict |"
    assert rows[2] == (
        r"| [07](notebooks/07_demo.ipynb) | three \| three | 3 on the worst seed, mean 3.12 (3 to 3.25 over 2 seeds) "
        "| at least 3 | 1 |  | holds |"
    )
    assert "| four | 3 | at least 4 |  |  | does not hold |" in rows[3]
    assert len(rows) == 4
    assert notebooks.with_results(readme.read_text(), folder) == readme.read_text()
    notebook = notebooks.read(path)
    other_claim(notebook)
    nbformat.write(notebook, path)
    assert notebooks.with_results(readme.read_text(), folder) != readme.read_text()


def test_a_readme_without_a_place_for_the_table_is_named(folder):
    with pytest.raises(ValueError, match=r"README.md: wanted one pair of lines <!-- results -->"):
        notebooks.with_results("# Project\n", folder)


# The chapters


def test_there_are_chapters():
    assert notebooks.chapters(), f"no chapter stands in {notebooks.NOTEBOOKS}"


@pytest.mark.parametrize("path", notebooks.chapters(), ids=lambda path: path.stem)
def test_a_chapter_is_in_order(path):
    assert list(notebooks.problems(path)) == []


def test_the_table_in_the_readme_is_fresh():
    readme = notebooks.README.read_text(encoding="utf-8")
    assert notebooks.with_results(readme) == readme, "the table of results is stale: run make notebooks"


def test_a_copy_beside_a_chapter_does_not_take_its_place(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "07_demo.py").write_text(TEXT)
    for name in ("07_demo.ipynb", "07_demo-Copy1.ipynb", "08_other.ipynb"):
        (tmp_path / name).write_text("{}")
    assert [path.name for path in notebooks.chapters(tmp_path)] == ["07_demo.ipynb", "08_other.ipynb"]


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "[" * 100_000, '{"cells": [{}], "nbformat": 4}'])
def test_what_is_no_notebook_is_named(text, tmp_path):
    path = tmp_path / "07_demo.ipynb"
    path.write_text(text)
    with pytest.raises(ValueError, match="not a notebook") as error:
        notebooks.read(path)
    assert str(path) in str(error.value)


def test_writing_keeps_links_and_survives_company(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"\xff is no text")
    link.symlink_to(target)
    assert notebooks.write(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert not notebooks.write(link, "new")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: notebooks.write(target, f"{number:06}" * 1000), range(64)))
    assert len({target.read_text()[i : i + 6] for i in range(0, 6000, 6)}) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "target"]
