"""Sliders work when a chapter has run to its end: no later cell gives one of their names to something else."""

import pytest
from nbformat import v4

from course import notebooks

NOTED = """
import course.display as display

explored, real_explore = [], display.explore


def explore(draw, *, name, values, **options):
    values = list(values)
    explored.append((name, draw, values, [draw(value) for value in values]))
    real_explore(draw, name=name, values=values, **options)


display.explore = explore
"""
AGAIN = """
def same(one, other):
    if isinstance(one, bytes) or isinstance(other, bytes):
        return one == other
    return one.shape == other.shape and bool((one - other).abs().max() < 1e-4)


for name, draw, values, drawn in explored:
    for value, once in zip(values, drawn, strict=True):
        assert same(once, draw(value)), f"{name} = {value} shows something else than where it stands"
print(len(explored), "sliders")
"""
CHAPTERS = [path for path in sorted(notebooks.NOTEBOOKS.glob("*.ipynb")) if "explore(" in path.read_text("utf-8")]


def run_twice(cells, monkeypatch):
    """Run code cells, and every slider where it stands and once more at the end; return what the last cell printed."""
    monkeypatch.setenv("COURSE_BUDGET", "smoke")
    notebook = v4.new_notebook(cells=[v4.new_code_cell(NOTED), *cells, v4.new_code_cell(AGAIN)])
    notebooks.client(notebook, notebooks.NOTEBOOKS, timeout=300).execute(cleanup_kc=True)
    return notebook.cells[-1].outputs[-1].text


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_slider_shows_the_same_at_the_end_of_its_chapter(path, monkeypatch):
    cells = [cell for cell in notebooks.read(path).cells if cell.cell_type == "code"]
    number = sum(cell.source.count("explore(\n") for cell in cells)
    assert run_twice(cells, monkeypatch) == f"{number} sliders\n"


def test_a_name_that_is_given_away_is_noticed(monkeypatch):
    slider = """
import torch
from course.display import explore

grey = 0.5
explore(
    lambda size: torch.full((3, size, 8), grey), name="size", values=[4, 8], description="a grey picture"
)
"""
    cells = [v4.new_code_cell(slider), v4.new_code_cell("grey = 0.25")]
    with pytest.raises(Exception, match="size = 4 shows something else than where it stands"):
        run_twice(cells, monkeypatch)
    assert run_twice(cells[:1], monkeypatch) == "1 sliders\n"
