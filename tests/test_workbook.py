"""A workbook gives no solution away, keeps every edit, and tells a learner what has changed in a chapter."""

import json
import re
import sys
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course import notebooks, progress, workbook

LAYOUT = '''\
def to_conv3d(clips):
    """Bring (B, T, C, H, W) into the layout of Conv3d."""
    # BEGIN SOLUTION: a tensor (B, C, T, H, W)
    order = 0, 2, 1, 3, 4
    return clips.permute(*order)
    # END SOLUTION'''

LAYOUT_STUB = '''\
def to_conv3d(clips):
    """Bring (B, T, C, H, W) into the layout of Conv3d."""
    # YOUR CODE HERE
    raise NotImplementedError("a tensor (B, C, T, H, W)")'''

MEMORY = """\
bytes_each = 4
# BEGIN SOLUTION: a number of "seconds"
bytes_per_frame = 3 * 64 * 64 * bytes_each
seconds = 2**30 / (bytes_per_frame * 12)
# END SOLUTION"""

MEMORY_STUB = """\
bytes_each = 4
seconds = ...  # YOUR CODE HERE: a number of "seconds\""""


def graded(source, grade_id, points=None, **metadata):
    """Return a cell with the metadata that nbgrader gives to a solution, or with points to a check."""
    check = points is not None
    grading = {"grade": check, "grade_id": grade_id, "locked": check, "schema_version": 3, "solution": not check}
    grading |= {"task": False} | ({"points": points} if check else {})
    return new_code_cell(source, metadata={"nbgrader": grading, **metadata})


def chapter_cells():
    hidden = {"jupyter": {"source_hidden": True}}
    cells = [
        new_markdown_cell("# 01 · Video as data"),
        new_code_cell("from answers import check", metadata={"tags": ["nbval-ignore-output"]}),
        new_markdown_cell("## Layouts\n\nText with an ö."),
        new_markdown_cell("### Exercise 1.1 · Channels before time\n\n*10 minutes, difficulty 1 of 3.* Text."),
        graded(LAYOUT, "01-layout", **hidden),
        graded('to_conv3d = check("01-layout", to_conv3d)', "01-layout-check", points=2),
        new_code_cell('# hint("01-layout")'),
        new_markdown_cell("### Exercise 1.2 · How much fits\n\n*5 minutes, difficulty 1 of 3.*"),
        graded(MEMORY, "01-memory", jupyter={"source_hidden": True, "outputs_hidden": True}),
        graded('seconds = check("01-memory", seconds)', "01-memory-check", points=1),
        new_code_cell('print("later", to_conv3d, seconds)'),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
        if cell.cell_type == "code":
            cell.execution_count = number
            cell.outputs = [new_output("stream", text=f"clips.permute(*order) printed\n{cell.source}")]
    return cells


def write_chapter(folder, cells, name="01_video_as_data.ipynb"):
    metadata = notebooks._METADATA | {"course": {"executed": "0", "paired": "0"}}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), folder / name)
    return folder / name


@pytest.fixture
def source(tmp_path):
    """Return a folder with a chapter 00 and a chapter 01."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    write_chapter(folder, [new_markdown_cell("# 00 · Start"), new_code_cell("1 + 1")], "00_start_here.ipynb")
    write_chapter(folder, chapter_cells())
    return folder


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "workbook"


@pytest.fixture
def make(source, folder):
    return lambda *numbers: workbook.make(numbers, folder=folder, source=source)


@pytest.fixture
def copy(make, folder):
    """Return the learner's copy of chapter 01, freshly made."""
    make("01")
    return folder / "01_video_as_data.ipynb"


def change(path, number, text):
    """Write a cell anew."""
    notebook = notebooks.read(path)
    notebook.cells[number].source = text
    nbformat.write(notebook, path)


def source_of(path, number):
    return notebooks.read(path).cells[number].source


# The learner's edition


def test_solutions_become_stubs_and_all_else_stays(source, copy):
    solved, learner = notebooks.read(source / copy.name), notebooks.read(copy)
    expected = [cell.source for cell in solved.cells]
    expected[4], expected[8] = LAYOUT_STUB, MEMORY_STUB
    assert [cell.source for cell in learner.cells] == expected
    assert [cell.id for cell in learner.cells] == [cell.id for cell in solved.cells]
    assert [cell.metadata.get("nbgrader") for cell in learner.cells] == [
        cell.metadata.get("nbgrader") for cell in solved.cells
    ]
    assert learner.metadata == notebooks._METADATA
    nbformat.validate(learner)


def test_outputs_are_cleared_solutions_unfolded_and_checks_locked(copy):
    cells = notebooks.read(copy).cells
    assert {(len(cell.outputs), cell.execution_count) for cell in cells if cell.cell_type == "code"} == {(0, None)}
    assert [cells[number].metadata.get("jupyter", {}) for number in (4, 8)] == [{}, {"outputs_hidden": True}]
    locked = [number for number, cell in enumerate(cells) if cell.metadata.get("editable") is False]
    assert locked == [number for number, cell in enumerate(cells) if cell.metadata.get("deletable") is False] == [5, 9]
    assert cells[1].metadata == {"tags": ["nbval-ignore-output"]}


def test_an_unsolved_workbook_runs_to_its_end(copy, monkeypatch, capsys):
    def check(name, answer):
        try:
            todo = answer is ... or answer(None)
        except NotImplementedError as error:
            todo = error
        print(f"TO DO {name}: {todo}")
        return f"the package's {name}"

    monkeypatch.setitem(sys.modules, "answers", SimpleNamespace(check=check))
    namespace = {}
    for cell in notebooks.read(copy).cells:
        if cell.cell_type == "code":
            exec(cell.source, namespace)
    assert capsys.readouterr().out.splitlines() == [
        "TO DO 01-layout: a tensor (B, C, T, H, W)",
        "TO DO 01-memory: True",
        "later the package's 01-layout the package's 01-memory",
    ]


@pytest.mark.parametrize(
    ("solution", "stub"),
    [
        ("x = 1\ny: int = x", "y = ..."),
        ("def f(x):\n    return x", "f = ..."),
        ("@decorated\nclass Net:\n    pass", "Net = ..."),
    ],
)
def test_at_the_left_margin_the_last_name_is_left_open(solution, stub):
    source = f"before = 1\n# BEGIN SOLUTION: what is wanted\n{solution}\n# END SOLUTION\nafter = 2\n"
    assert workbook.with_stubs(source) == f"before = 1\n{stub}  # YOUR CODE HERE: what is wanted\nafter = 2\n"


def test_a_cell_may_hold_several_solutions():
    source = """\
class Net:
    def __init__(self):
        # BEGIN SOLUTION: two layers
        self.layers = 2
        # END SOLUTION

    def forward(self, x):
        y = x
        if y:
            # BEGIN SOLUTION: a "logit" \\ no more
            return y
            # END SOLUTION
        return x
"""
    stubbed = workbook.with_stubs(source)
    assert (
        stubbed
        == """\
class Net:
    def __init__(self):
        # YOUR CODE HERE
        raise NotImplementedError("two layers")

    def forward(self, x):
        y = x
        if y:
            # YOUR CODE HERE
            raise NotImplementedError("a \\"logit\\" \\\\ no more")
        return x
"""
    )
    namespace = {}
    exec(stubbed, namespace)
    with pytest.raises(NotImplementedError, match=r'^a "logit" \\ no more$'):
        namespace["Net"].forward(None, 1)


BEGIN, END = "    # BEGIN SOLUTION: a number", "    # END SOLUTION"


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([BEGIN, "    return 1"], "BEGIN SOLUTION without END SOLUTION"),
        (["    return 1", END], "END SOLUTION without BEGIN SOLUTION"),
        ([BEGIN, "    return 1", END, END], "END SOLUTION without BEGIN SOLUTION"),
        ([BEGIN, BEGIN, "    return 1", END], "BEGIN SOLUTION inside of a solution"),
        (["    # BEGIN SOLUTION", "    return 1", END], "wanted what is expected"),
        (["    # BEGIN SOLUTION: ", "    return 1", END], "wanted what is expected"),
        (["    return 1"], "wanted a solution between .* got no markers"),
        (
            ["    x = 1  # BEGIN SOLUTION: a number", "    return x", END],
            "alone on a line, got '    x = 1  # BEGIN",
        ),
        ([BEGIN, "    return 1", "    ### END SOLUTION"], "alone on a line, got '    ### END SOLUTION'"),
        (["    # Begin: BEGIN SOLUTION", "    return 1", END], "alone on a line"),
        (["    x = [", BEGIN, "    1", END, "    ]", "    return x"], "wanted Python with and without the solution"),
        (["    pass", "for x in (1, 2):", BEGIN, "    print(x)", END], "inside of a function"),
        (["    pass", "# BEGIN SOLUTION: a number", "print(1)", "# END SOLUTION"], "giving one name its value"),
        (
            ["    pass", "# BEGIN SOLUTION: two numbers", "x, y = 1, 2", "# END SOLUTION"],
            "giving one name its value",
        ),
    ],
)
def test_what_is_not_marked_as_it_must_be_is_named(source, make, folder, lines, sentence):
    cells = chapter_cells()
    cells[4].source = "\n".join(["def f(x):", *lines])
    write_chapter(source, cells)
    with pytest.raises(ValueError, match=rf"^01_video_as_data.ipynb, cell 5, 'def f\(x\):': (?s:.*){sentence}"):
        make()
    assert not folder.exists()


@pytest.mark.parametrize("number", [0, 5])
def test_markers_in_any_other_cell_are_refused(source, make, number):
    cells = chapter_cells()
    cells[number].source += "\n# BEGIN SOLUTION: a number\nx = 1\n# END SOLUTION"
    write_chapter(source, cells)
    with pytest.raises(ValueError, match=rf"cell {number + 1}, .* in a cell whose nbgrader metadata do not say"):
        make()


# Handing out


def test_the_second_time_there_is_nothing_to_do(make, folder):
    assert make() == ["workbook/00_start_here.ipynb was made.", "workbook/01_video_as_data.ipynb was made."]
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert set(before) == {progress.MANIFEST, "00_start_here.ipynb", "01_video_as_data.ipynb"}
    assert make() == []
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_chapters_can_be_chosen(make, folder):
    assert make("1") == ["workbook/01_video_as_data.ipynb was made."]
    assert not (folder / "00_start_here.ipynb").exists()
    with pytest.raises(ValueError, match="no chapter 07; there are 00, 01"):
        make("00", "7")
    assert not (folder / "00_start_here.ipynb").exists()
    assert make("00", "01") == ["workbook/00_start_here.ipynb was made."]


def test_an_edit_survives(make, copy):
    change(copy, 4, "def to_conv3d(clips):\n    return clips.mT  # mine")
    before = copy.read_bytes()
    assert make() == ["workbook/00_start_here.ipynb was made."]
    assert copy.read_bytes() == before
    assert make() == []


def test_a_chapter_that_changed_is_renewed_where_nobody_worked(source, make, copy):
    change(source / copy.name, 2, "## Layouts\n\nMore text.")
    notebook = notebooks.read(copy)  # what JupyterLab leaves behind when all cells are run and the notebook is saved
    notebook.metadata["language_info"]["version"] = "3.99"
    for cell in notebook.cells:
        cell.metadata["trusted"] = True
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [new_output("stream", text="1")], 7
    notebook.cells.append(new_code_cell(""))
    nbformat.write(notebook, copy)
    assert make("01") == [
        "workbook/01_video_as_data.ipynb was renewed: the chapter has changed, and you had not worked in it."
    ]
    assert source_of(copy, 2) == "## Layouts\n\nMore text."
    assert make("01") == []


def test_a_chapter_that_changed_lies_beside_the_learners_work(source, make, copy, folder):
    change(copy, 4, "my work")
    before = copy.read_bytes()
    change(source / copy.name, 2, "## Layouts\n\nMore text.")
    change(source / copy.name, 8, MEMORY.replace("a number", "one number"))
    assert make("01") == [
        "workbook/01_video_as_data.ipynb was left as you have it. The chapter as it is now is beside it, "
        "01_video_as_data.new.ipynb. What changed: Layouts; 01-memory."
    ]
    assert copy.read_bytes() == before
    new = folder / "01_video_as_data.new.ipynb"
    assert source_of(new, 2) == "## Layouts\n\nMore text."
    assert source_of(new, 4) == LAYOUT_STUB
    assert make("01") == []
    new.unlink()  # the learner has taken over what there was to take
    assert make("01") == []


def test_changes_of_the_solution_alone_are_no_news(source, make, copy):
    change(copy, 4, "my work")
    change(source / copy.name, 4, LAYOUT.replace("*order", "0, 2, 1, 3, 4"))
    assert make("01") == []


def test_what_was_added_and_taken_away_is_named(source, make, copy):
    change(copy, 4, "my work")
    cells = chapter_cells()
    del cells[6]
    cells.insert(3, new_code_cell("print('new')"))
    write_chapter(source, cells)
    (sentence,) = make("01")
    assert sentence.endswith("What changed: Layouts; 01-layout.")


def test_a_new_edition_replaces_the_one_beside_unless_that_was_edited(source, make, copy, folder):
    change(copy, 4, "my work")
    new = folder / "01_video_as_data.new.ipynb"
    for text in ("first", "second"):
        change(source / copy.name, 2, text)
        assert "beside it, 01_video_as_data.new.ipynb. What changed: 01 · Video as data." in make("01")[0]
        assert source_of(new, 2) == text
    change(new, 4, "my other work")
    edited = new.read_bytes()
    change(source / copy.name, 2, "third")
    assert "beside it, 01_video_as_data.new2.ipynb." in make("01")[0]
    assert source_of(folder / "01_video_as_data.new2.ipynb", 2) == "third"
    assert new.read_bytes() == edited
    assert source_of(copy, 4) == "my work"


def test_a_learner_who_moves_to_the_new_edition_is_followed(source, make, copy, folder):
    change(copy, 4, "my work")
    change(source / copy.name, 2, "first")
    make("01")
    (folder / "01_video_as_data.new.ipynb").replace(copy)
    change(source / copy.name, 2, "second")
    assert "was renewed" in make("01")[0]
    assert source_of(copy, 2) == "second"


@pytest.mark.parametrize("content", ['{"cells": []}', "no notebook", '{"cells": 1}', "[]"])
@pytest.mark.parametrize("known", [False, True])
def test_a_file_that_was_not_handed_out_like_this_is_left_alone(source, make, folder, content, known):
    folder.mkdir()
    path = folder / "01_video_as_data.ipynb"
    if known:
        make("01")
        change(source / path.name, 2, "another text")
    path.write_text(content)
    (sentence,) = make("01")
    assert "was left as you have it. The chapter as it is now is beside it, 01_video_as_data.new.ipynb." in sentence
    assert path.read_text() == content
    assert source_of(folder / "01_video_as_data.new.ipynb", 4) == LAYOUT_STUB
    assert make("01") == []


@pytest.mark.parametrize("content", [None, "{half a mani", "[1]"])
def test_without_the_manifest_everything_counts_as_work(source, make, copy, folder, content):
    manifest = folder / progress.MANIFEST
    manifest.unlink() if content is None else manifest.write_text(content)
    change(source / copy.name, 2, "another text")
    before = copy.read_bytes()
    assert "was left as you have it" in make("01")[0]
    assert copy.read_bytes() == before
    assert make("01") == []


def test_a_run_that_was_interrupted_before_the_manifest_is_taken_up(source, make, copy, folder):
    (folder / progress.MANIFEST).unlink()
    assert make("01") == []
    change(source / copy.name, 2, "another text")
    assert "was renewed" in make("01")[0]
    change(copy, 4, "my work")
    change(source / copy.name, 2, "a third text")
    manifest = (folder / progress.MANIFEST).read_bytes()
    assert "01_video_as_data.new.ipynb" in make("01")[0]
    (folder / progress.MANIFEST).write_bytes(manifest)
    assert "01_video_as_data.new.ipynb" in make("01")[0]
    assert sorted(path.name for path in folder.glob("*new*")) == ["01_video_as_data.new.ipynb"]


def test_an_interrupted_write_leaves_no_half_file(source, make, copy, monkeypatch):
    before = copy.read_bytes()
    change(source / copy.name, 2, "another text")
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", lambda self, target: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            make("01")
    assert copy.read_bytes() == before
    assert "was renewed" in make("01")[0]


def test_other_files_in_the_workbook_are_left_alone(source, make, copy, folder):
    others = {"progress.sqlite3": b"\x00", "notes.ipynb": b"mine", "clip.mp4": b"\x01"}
    for name, content in others.items():
        (folder / name).write_bytes(content)
    change(source / copy.name, 2, "another text")
    make()
    assert {name: (folder / name).read_bytes() for name in others} == others


def test_a_workbook_is_where_progress_is_recorded(copy, folder, source, monkeypatch):
    monkeypatch.delenv("COURSE_PROGRESS", raising=False)
    assert progress.location(folder) == folder / "progress.sqlite3"
    assert progress.location(source) is None


# No solution leaks: the made-up chapter, and every exercise of the course. nbgrader takes a line that contains
# "BEGIN SOLUTION" for the begin of a solution, and one that contains "END SOLUTION" for its end.


def parted(source):
    """Return the lines of a cell that are kept, with None where a solution begins, and the lines of its solutions."""
    kept, solutions, inside = [], [], False
    for line in source.split("\n"):
        if "BEGIN SOLUTION" in line:
            inside = True
            kept.append(None)
        elif "END SOLUTION" in line:
            inside = False
        else:
            (solutions if inside else kept).append(line)
    return kept, solutions


def assert_no_leak(path, grade_id):
    """Raise if the learner's edition of a chapter holds a line of a solution, or the chapter gives it away."""
    cells = notebooks.read(path).cells
    (solution_cell,) = (cell for cell in cells if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id)
    solution = [line.strip() for line in parted(solution_cell.source)[1] if line.strip()]
    rest = "\n".join(line for cell in cells for line in parted(cell.source)[0] if line)
    telling = [line for line in solution if line not in rest]
    assert telling, f"{grade_id}: every line of its solution stands elsewhere in the chapter, too"
    given = nbformat.writes(workbook.learner_edition(path))
    leaked = [line for line in telling if len(line) >= 12 and json.dumps(line, ensure_ascii=False)[1:-1] in given]
    assert leaked == []
    assert not re.search("BEGIN SOLUTION|END SOLUTION", given)


def assert_as_nbgrader(path):
    """Raise unless the learner's edition keeps of each cell what nbgrader would keep."""
    pairs = zip(notebooks.read(path).cells, workbook.learner_edition(path).cells, strict=True)
    for solved, learner in pairs:
        kept, solutions = parted(solved.source)
        pattern = "\n".join(r"[^\n]*(?:\n[^\n]*)?" if line is None else re.escape(line) for line in kept)
        assert re.fullmatch(pattern, learner.source)
        assert bool(solutions) == ("YOUR CODE HERE" in learner.source)


def exercises_in(path):
    grading = (cell.metadata.get("nbgrader", {}) for cell in notebooks.read(path).cells)
    return [grade["grade_id"] for grade in grading if grade.get("solution")]


CHAPTERS = [path for path in notebooks.chapters() if path.exists()]
EXERCISES = [pytest.param(path, name, id=name) for path in CHAPTERS for name in exercises_in(path)]


@pytest.mark.parametrize("grade_id", ["01-layout", "01-memory"])
def test_the_made_up_chapter_leaks_nothing(source, grade_id):
    assert_no_leak(source / "01_video_as_data.ipynb", grade_id)


@pytest.mark.parametrize("leak", ["outputs", "metadata", "prose"])
def test_leaks_are_found(source, monkeypatch, leak):
    path = source / "01_video_as_data.ipynb"
    edition = workbook.learner_edition(path)
    if leak == "outputs":
        edition.cells[10].outputs = notebooks.read(path).cells[4].outputs
    elif leak == "metadata":
        edition.cells[4].metadata["solution"] = LAYOUT
    else:
        cells = chapter_cells()
        cells[0].source += "\n\n`order = 0, 2, 1, 3, 4` and then `return clips.permute(*order)`"
        write_chapter(source, cells)
    monkeypatch.setattr(workbook, "learner_edition", lambda path: edition)
    with pytest.raises(AssertionError):
        assert_no_leak(path, "01-layout")


@pytest.mark.parametrize(("path", "grade_id"), EXERCISES)
def test_no_exercise_leaks_its_solution(path, grade_id):
    assert_no_leak(path, grade_id)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_exercise_is_well_formed(path):
    assert [task.id for task in progress.tasks_of(path)] == exercises_in(path)
    assert_as_nbgrader(path)
    for cell in notebooks.read(path).cells:
        if grading := cell.metadata.get("nbgrader"):
            wanted = {"grade", "grade_id", "locked", "schema_version", "solution", "task"}
            assert set(grading) == wanted | ({"points"} if grading["grade"] else set())
            assert grading["locked"] == grading["grade"] != grading["solution"]
            assert (grading["schema_version"], grading["task"]) == (3, False)


def test_nbgrader_keeps_the_same_lines(source):
    assert_as_nbgrader(source / "01_video_as_data.ipynb")


def test_nbgrader_itself_keeps_the_same_lines(source):
    preprocessors = pytest.importorskip("nbgrader.preprocessors", reason="nbgrader is not installed")
    path = source / "01_video_as_data.ipynb"
    cleared, _ = preprocessors.ClearSolutions().preprocess(notebooks.read(path), {})
    stub = re.compile(r"    # YOUR CODE HERE\n    raise NotImplementedError\(.*\)|seconds = \.\.\.  # YOUR CODE HERE.*")
    plain = re.compile(r" *# YOUR CODE HERE\n *raise NotImplementedError\(\)")
    for theirs, ours in zip(cleared.cells, workbook.learner_edition(path).cells, strict=True):
        assert plain.sub("STUB", theirs.source) == stub.sub("STUB", ours.source)
