"""Prose: words that make a learner feel slow stay out, headings are in order, and every step shows something."""

import re
from itertools import pairwise

import pytest

from course import notebooks

CHAPTERS = [path for path in notebooks.chapters() if path.exists()]
BELITTLING = re.compile(r"\b(simply|just|obviously)\b", re.IGNORECASE)


def prose(markdown):
    """Return the text without its blocks of code and its code in lines."""
    return re.sub(r"^(```|~~~).*?^\1|`[^`\n]*`", "", markdown, flags=re.DOTALL | re.MULTILINE)


def headings(markdown):
    """Return the level of each heading."""
    return [len(marks) for marks in re.findall(r"^(#{1,6}) ", prose(markdown), flags=re.MULTILINE)]


def heading_fault(levels):
    """Say what is wrong with a sequence of heading levels, if anything is."""
    if levels[:1] != [1] or levels.count(1) != 1:
        return "wanted one heading of level 1, at the top"
    if any(below > above + 1 for above, below in pairwise(levels)):
        return f"a level of headings is left out: {levels}"
    return ""


def silent_cells(cells):
    """Return the first line of each code cell that shows nothing and has another code cell right below.

    Two kinds may: an answer to an exercise, since it shows in the check below it, and a line that is commented out for
    the learner to run.
    """
    silent = [
        above
        for above, below in pairwise(cells)
        if above.cell_type == below.cell_type == "code"
        and not above.outputs
        and not above.metadata.get("nbgrader", {}).get("solution")
        and not all(line.startswith("#") for line in above.source.splitlines())
    ]
    return [cell.source.partition("\n")[0] for cell in silent]


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def cells(request):
    return notebooks.read(request.param).cells


def markdown(cells):
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


def test_a_chapter_belittles_nobody(cells):
    assert [text for text in markdown(cells) if BELITTLING.search(prose(text))] == []


def test_a_chapter_has_one_title_and_its_headings_are_in_order(cells):
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    assert heading_fault([level for text in markdown(cells) for level in headings(text)]) == ""


def test_no_two_code_cells_in_a_row_without_something_to_see(cells):
    assert silent_cells(cells) == []


def test_the_readme_belittles_nobody_and_its_headings_are_in_order():
    readme = notebooks.README.read_text(encoding="utf-8")
    assert BELITTLING.findall(prose(readme)) == []
    assert heading_fault(headings(readme)) == ""


# The checks themselves


def test_code_is_no_prose():
    text = "# Title\n```python\n# simply a comment\n```\n`just` here\n\n~~~\n# obviously\n~~~\n## Part\n"
    assert BELITTLING.findall(prose(text)) == []
    assert headings(text) == [1, 2]
    assert BELITTLING.findall(prose("It is Simply done, adjusted, just so.")) == ["Simply", "just"]


@pytest.mark.parametrize("levels", [[], [2], [1, 3], [1, 2, 1], [2, 1]])
def test_headings_out_of_order_are_found(levels):
    assert heading_fault(levels)


@pytest.mark.parametrize("levels", [[1], [1, 2, 3, 2, 3, 4, 2]])
def test_headings_in_order_are_fine(levels):
    assert heading_fault(levels) == ""


def test_silent_cells_are_found():
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

    seen = [new_output("stream", text="1\n")]
    cells = [
        new_code_cell("import os"),
        new_markdown_cell("Why."),
        new_code_cell("x = 1\ny = 2"),
        new_code_cell("print(x)"),
    ]
    assert silent_cells(cells) == ["x = 1"]
    cells[2].metadata["nbgrader"] = {"solution": True}
    assert silent_cells(cells) == []
    cells[2].metadata["nbgrader"] = {"solution": False}
    cells[2].outputs = seen
    assert silent_cells(cells) == []
    assert silent_cells([new_code_cell("# hint(1)"), new_code_cell("print(x)")]) == []
