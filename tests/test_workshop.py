"""Minutes are stated once, cells are measured, and three hours from any chapter fit."""

import ast
import builtins
import re
from dataclasses import replace

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course import cli, notebooks, workshop
from course.workshop import OPENING, SLOWNESS, TOTAL, Part

CHAPTERS = [path.name[:2] for path in notebooks.chosen()]


@pytest.fixture(scope="module")
def every():
    return workshop.parts()


@pytest.mark.parametrize("path", notebooks.chosen(), ids=lambda path: path.stem)
def test_every_section_and_exercise_of_a_chapter_has_its_minutes_once(path, every):
    stated = [part.section for part in every if part.chapter == path.name[:2]]
    assert sorted({*stated} - {workshop.WHOLE}) == sorted(workshop.headings(notebooks.read(path)))
    assert len(stated) == len({*stated})


def unknown_names(cells):
    """Return the names that cells use and that none of them, nor Python, defines."""
    used, defined = set(), set(vars(builtins))
    for node in (node for cell in cells for node in ast.walk(ast.parse(cell))):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used.add(name)
            case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                defined.add(name)
            case ast.ExceptHandler(name=str(name)):
                defined.add(name)
            case ast.alias(name=name, asname=other):
                defined.add(other or name.split(".")[0])
    return used - defined


def test_a_name_that_no_cell_defines_is_found():
    assert unknown_names(["import a.b as c\nfrom d import e", "def f(g):\n    return c(e, g, h, [i for i in j])"]) == {
        "h",
        "j",
    }


@pytest.mark.parametrize("path", notebooks.chosen(), ids=lambda path: path.stem)
def test_what_a_workshop_runs_needs_nothing_that_it_leaves_out(path, every):
    ways = {part.section: part.workshop for part in every if part.chapter == path.name[:2]}
    cells = [
        cell.source
        for section, cell in workshop.sections_of(notebooks.read(path))
        if cell.cell_type == "code" and ways.get(section) == "run"
    ]
    assert unknown_names(cells) == set()


def shown(plan):
    """Return the sections that a plan in words shows of each chapter, such as "06: sections 1 to 3, look at 6"."""
    found = {}
    for chapter, words in re.findall(r"(\d\d): ([^;|]*?)(?=;|\|)", plan):
        words = words.split("look at")[0]
        spans = re.findall(r"(\d+) to (\d+)", words)
        numbers = [*map(int, re.findall(r"\d+", words))] + [n for a, b in spans for n in range(int(a), int(b) + 1)]
        found[chapter] = {*numbers}
    return found


def test_the_two_days_show_nothing_that_needs_what_they_leave_out():
    plans = notebooks.NOTEBOOKS.parent / "classroom" / "plans"
    plan = shown((plans / "two_days.md").read_text(encoding="utf-8"))
    assert plan.keys() == {"01", "02", "03", "04", "05", "06", "07", "09", "12"}
    for path in notebooks.chosen():
        numbers = plan.get(path.name[:2], set())
        cells = []
        for section, cell in workshop.sections_of(notebooks.read(path)):
            number = re.match(r"(\d+)\. ", section)
            left_out = int(number[1]) not in numbers if number else section.startswith("What we built")
            if cell.cell_type == "code" and not left_out:
                cells.append(cell.source)
        missing = unknown_names(cells) if numbers else set()
        assert missing == set(), f"{path.stem}: {sorted(numbers)}"


@pytest.mark.parametrize("start", CHAPTERS)
def test_a_workshop_from_any_chapter_fits_and_its_sum_is_right(start, every):
    chosen = workshop.plan(start, every)
    spent = sum(part.minutes for part in chosen) + sum(part.machine for part in chosen)
    assert spent <= TOTAL
    assert f"{spent:.0f} of {TOTAL}, {TOTAL - spent:.0f} in hand." in workshop.workshop_table(start, every)
    assert {part.chapter for part in chosen} >= {"", "00", start}
    assert [part.workshop for part in chosen if not part.chapter][-3:] == ["break", "draw", "last"]
    place = next(i for i, part in enumerate(chosen) if part.workshop == "break")
    assert 60 <= sum(part.minutes for part in chosen[:place]) <= 110


def test_the_clock_of_a_plan_runs_on(every):
    times = re.findall(r"^\| (\d):(\d\d) \|", workshop.workshop_table(CHAPTERS[-1], every), re.MULTILINE)
    minutes = [60 * int(hours) + int(rest) for hours, rest in times]
    assert minutes[0] == 0
    assert minutes == sorted(minutes)
    assert TOTAL - 30 <= minutes[-1] <= TOTAL


def part(chapter="01", section="s", minutes=10, way="run", seconds=30.0):
    return Part(chapter=chapter, section=section, title=section, minutes=minutes, workshop=way, seconds=seconds)


def test_cells_are_counted_for_a_slower_machine_and_only_where_they_are_run():
    assert part(seconds=30).machine == SLOWNESS / 2
    assert part(seconds=30, way="look").machine == 0
    assert part(seconds=None).machine == 0
    assert workshop.minutes([part(), part(way="look")]) == 20 + SLOWNESS / 2


def test_a_second_chapter_is_taken_whole_or_not_at_all(every):
    short = [replace(one, minutes=1.0, seconds=0.0) for one in every]
    assert {one.chapter for one in workshop.plan("01", short)} >= set(CHAPTERS[:3])
    chosen = workshop.plan("01", every)
    for number in {one.chapter for one in chosen if one.chapter}:
        taken = [one for one in chosen if one.chapter == number]
        assert taken == [one for one in every if one.chapter == number and one.workshop]


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("about 65 minutes to read, 45 for the exercises, about six to run. **You", 6),
        ("about 100 minutes to read, 60 for the exercises, about 4 minutes to run", 4),
        ("about 60 minutes to read, 60 for the exercises, under a minute to run", 1),
        ("about 75 minutes to read, 60 for the exercises, about a minute to run", 1),
        ("10 minutes", 0),
    ],
)
def test_a_chapter_says_how_long_it_runs(text, minutes):
    assert workshop.minutes_to_run(text) == minutes


@pytest.mark.parametrize("path", notebooks.chosen()[1:], ids=lambda path: path.stem)
def test_a_chapter_states_the_minutes_of_its_sections_and_of_its_exercises(path, every):
    cells = notebooks.read(path).cells
    stated = re.search(r"about (\d+) minutes to read, (\d+) for the exercises", cells[0].source)
    mine = [part for part in every if part.chapter == path.name[:2]]
    exercises = sum(part.minutes for part in mine if part.title.startswith("Exercise"))
    assert int(stated[2]) == exercises
    assert abs(int(stated[1]) - sum(part.minutes for part in mine) + exercises) <= 3


def test_a_chapter_that_was_not_measured_counts_with_what_it_states(tmp_path):
    first = new_markdown_cell("# 01 · A\n\n**Time**: about 9 minutes to read, 60 for the exercises, about six to run.")
    write(tmp_path, new_notebook(cells=[first, new_code_cell("a = 1")]), "01,Opening,1,run\n")
    one, whole = workshop.parts(tmp_path, tmp_path)
    assert (one.seconds, whole.section, whole.seconds) == (None, workshop.WHOLE, 360)
    assert whole.machine == 6 * SLOWNESS
    (tmp_path / "seconds.csv").write_text("chapter,section,seconds\n01,Opening,2.5\n")
    assert [part.seconds for part in workshop.parts(tmp_path, tmp_path)] == [2.5]


def test_an_unknown_chapter_is_one_line(capsys):
    assert cli.main(["workshop", "--from", "99"]) == 2
    assert "no chapter 99" in capsys.readouterr().err


@pytest.mark.parametrize("path", workshop.files(), ids=lambda path: path.stem)
def test_plan_and_guides_show_what_the_command_prints(path, every):
    assert path.read_text(encoding="utf-8") == workshop.with_tables(path, every), "python -m course workshop --renew"


def test_the_command_prints_the_table_of_the_plan(capsys):
    assert cli.main(["workshop", "--from", CHAPTERS[-1].lstrip("0")]) == 0
    text = (workshop.PLANS / "workshop.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out in text


def solved(grade_id):
    return new_code_cell("x = 1", metadata={"nbgrader": {"grade_id": grade_id, "solution": True}})


NOTEBOOK = new_notebook(
    cells=[
        new_markdown_cell("# 01 · A title"),
        new_code_cell("a = 2"),
        new_markdown_cell("## 1. First\n\n### Part"),
        new_code_cell("b = a + 1"),
        new_markdown_cell("### Exercise 1.1 · X"),
        solved("01-x"),
        new_markdown_cell("### Another part"),
        new_code_cell("c = 1"),
        new_markdown_cell("## Exercises\n\n### Exercise 1.2 · Y"),
        solved("01-y"),
        new_markdown_cell("## Papers"),
    ]
)


def test_a_cell_belongs_to_its_section_or_its_exercise():
    found = [section for section, _ in workshop.sections_of(NOTEBOOK)]
    assert found == [OPENING, "1. First", "01-x", "1. First", "01-y"]
    assert workshop.headings(NOTEBOOK) == [OPENING, "1. First", "01-x", "01-y"]


def write(folder, notebook, minutes):
    (folder / "source").mkdir()
    notebooks.write(folder / "01_a.ipynb", notebooks_text(notebook))
    (folder / "minutes.csv").write_text(f"chapter,section,minutes,workshop\n{minutes}", encoding="utf-8")


def notebooks_text(notebook):
    import nbformat

    return nbformat.writes(notebook)


def test_only_sections_that_are_run_are_measured_and_others_keep_their_seconds(tmp_path):
    notebook = new_notebook(
        cells=[
            new_code_cell("a = 2"),
            new_markdown_cell("## 1. First"),
            new_code_cell(
                "end = __import__('time').process_time() + 0.3\nwhile __import__('time').process_time() < end: a"
            ),
            new_markdown_cell("## 2. Long"),
            new_code_cell("raise RuntimeError('never run')"),
        ]
    )
    write(tmp_path, notebook, "01,Opening,1,run\n01,1. First,1,run\n01,2. Long,1,look\n")
    (tmp_path / "seconds.csv").write_text("chapter,section,seconds\n01,2. Long,77.0\n01,1. First,99.0\n")
    found = workshop.measure("1", folder=tmp_path, source=tmp_path)
    assert list(found) == [OPENING, "1. First"]
    assert 0.25 < found["1. First"] < 3  # the clock of a process counts in hundredths
    rows = {row["section"]: float(row["seconds"]) for row in workshop._rows(tmp_path / "seconds.csv")}
    assert rows["2. Long"] == 77
    assert rows["1. First"] == pytest.approx(found["1. First"], abs=0.06)


def test_a_section_that_needs_one_that_is_left_out_is_an_error(tmp_path):
    notebook = new_notebook(
        cells=[
            new_markdown_cell("## 1. Made"),
            new_code_cell("a = 2"),
            new_markdown_cell("## 2. Used"),
            new_code_cell("print(a)"),
        ]
    )
    write(tmp_path, notebook, "01,Opening,1,run\n01,1. Made,1,\n01,2. Used,1,run\n")
    with pytest.raises(notebooks.NotebookError, match=r"section '2. Used'[\s\S]*NameError"):
        workshop.measure("01", folder=tmp_path, source=tmp_path)
    assert not (tmp_path / "seconds.csv").exists()


def test_a_row_without_minutes_is_named(tmp_path):
    write(tmp_path, new_notebook(cells=[new_markdown_cell("## 1. First")]), "01,1. First,,run\n")
    with pytest.raises(ValueError, match="wanted minutes"):
        workshop.parts(tmp_path, tmp_path)
