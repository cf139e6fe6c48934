"""Progress survives two writers, a killed one, a read-only folder and a damaged file, and is told to its readers."""

import csv
import io
import json
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from course import display, progress
from course.progress import Event, Standing, Task

LAYOUT = Task(
    id="01-layout",
    title="1.1 · Channels before time",
    notebook="01_video_as_data.ipynb",
    chapter="Video as data",
    minutes=5,
    difficulty=1,
    points=2,
)
VELOCITY = replace(LAYOUT, id="01-velocity", title="1.2 · Which way did it go?", minutes=25, difficulty=3, points=4)
JUDGE = replace(
    LAYOUT, id="02-judge", title="2.1 · A judge", notebook="02_how_to_judge.ipynb", chapter="How to judge", points=3
)
TASKS = [LAYOUT, VELOCITY, JUDGE]


@pytest.fixture(autouse=True)
def no_warning_yet(monkeypatch):
    monkeypatch.delenv("COURSE_PROGRESS", raising=False)
    progress._say.cache_clear()


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Record into a file of its own."""
    path = tmp_path / "progress.sqlite3"
    monkeypatch.setenv("COURSE_PROGRESS", str(path))
    return path


def details(path):
    return [event.detail for event in progress.events(path)]


def in_another_process(path, code):
    """Start Python with ``record`` at hand, recording into the file."""
    start = f"import os; os.environ['COURSE_PROGRESS'] = {str(path)!r}\nfrom course.progress import record\n"
    return subprocess.Popen([sys.executable, "-c", start + code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


# What there is to do


def markdown(source):
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def code(grade_id, **grading):
    return {
        "cell_type": "code",
        "metadata": {"nbgrader": {"grade_id": grade_id, **grading}},
        "source": ["x = 1\n", "x"],
    }


@pytest.fixture
def cells():
    return [
        markdown("# 01 · Video as data\n\nText."),
        markdown("### Exercise 1.1 · Channels before time\n\n*5 minutes, difficulty 1 of 3.* Text."),
        code("01-layout", solution=True, grade=False),
        code("01-layout-check", solution=False, grade=True, points=2),
        markdown(["## Part\n", "\n", "### Exercise 1.2 · Which way did it go?\n", "*25 minutes, difficulty 3 of 3.*"]),
        {"cell_type": "code", "metadata": {}, "source": "print(1)"},
        code("01-velocity", solution=True, grade=False),
        code("01-velocity-check", solution=False, grade=True, points=4),
    ]


@pytest.fixture
def chapter(tmp_path):
    def write(cells, name="01_video_as_data.ipynb"):
        path = tmp_path / name
        path.write_text(json.dumps({"cells": cells}))
        return path

    return write


def test_the_exercises_of_a_chapter_are_listed(cells, chapter):
    assert progress.tasks_of(chapter(cells)) == [LAYOUT, VELOCITY]
    assert str(VELOCITY) == (
        "exercise 1.2 · Which way did it go? (25 minutes, difficulty 3 of 3), in 01_video_as_data.ipynb"
    )


def test_the_exercises_of_all_chapters_are_listed_in_reading_order(cells, chapter):
    other = json.loads(json.dumps(cells[:4]).replace("01-", "00-"))
    path = chapter(cells)
    chapter(other, "00_start_here.ipynb")
    chapter(cells, "notes.ipynb")
    assert [task.id for task in progress.tasks(path.parent)] == ["00-layout", "01-layout", "01-velocity"]


def no_heading(cells):
    cells[4]["source"] = "*25 minutes, difficulty 3 of 3.*"


def no_minutes(cells):
    cells[4]["source"] = "### Exercise 1.2 · Which way did it go?"


def impossible_difficulty(cells):
    cells[4]["source"] = "### Exercise 1.2 · Which way did it go?\n*25 minutes, difficulty 4 of 3.*"


def no_check(cells):
    del cells[7]


def no_points(cells):
    del cells[7]["metadata"]["nbgrader"]["points"]


def check_first(cells):
    cells[6], cells[7] = cells[7], cells[6]


def same_id(cells):
    cells[6]["metadata"]["nbgrader"]["grade_id"] = "01-layout"


def foreign_id(cells):
    cells[6]["metadata"]["nbgrader"]["grade_id"] = "02-velocity"


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (no_heading, "wanted a heading of its own above it"),
        (no_minutes, "wanted a heading of its own above it"),
        (impossible_difficulty, "wanted a heading of its own above it"),
        (no_check, "wanted a check of the grade_id '01-velocity-check', with points"),
        (no_points, "wanted a check of the grade_id '01-velocity-check', with points"),
        (check_first, "wanted the exercise of the check '01-velocity-check' above it"),
        (same_id, "wanted a grade_id of its own, 01-..., got '01-layout'"),
        (foreign_id, "wanted a grade_id of its own, 01-..., got '02-velocity'"),
    ],
)
def test_an_exercise_that_is_not_well_formed_is_named(cells, chapter, spoil, sentence):
    spoil(cells)
    with pytest.raises(ValueError, match=r"^01_video_as_data.ipynb, cell 7, 'x = 1': " + sentence):
        progress.tasks_of(chapter(cells))


# Where and what is recorded


def test_only_a_workbook_records(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert progress.location() is None
    progress.record("01-layout", "pass")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / progress.MANIFEST).write_text("{}")
    progress.record("01-layout", "pass")
    assert [event.exercise for event in progress.events(tmp_path / "progress.sqlite3")] == ["01-layout"]
    assert progress.location(tmp_path) == tmp_path / "progress.sqlite3"
    assert progress.location(tmp_path / "elsewhere") is None
    monkeypatch.setenv("COURSE_PROGRESS", "/chosen/by.hand")
    assert str(progress.location()) == "/chosen/by.hand"


def test_events_come_back_in_order_and_whole(file):
    assert progress.events(file) == []
    assert not file.exists()
    progress.record("01-layout", "fail", "wanted (2, 3), got 'Ü' \ud800")
    progress.record("01-layout", "pass")
    first, second = progress.events(file)
    assert first == Event(first.time, "01-layout", "fail", "wanted (2, 3), got 'Ü' ?")
    assert second == Event(second.time, "01-layout", "pass", "")
    assert first.time <= second.time <= time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    with pytest.raises(ValueError, match="event: wanted one of pass, fail, todo, hint, got 'passed'"):
        progress.record("01-layout", "passed")


def test_two_notebooks_record_at_once(file):
    code = "for number in range(50): record(os.environ['WHO'], 'fail', str(number))"
    writers = [in_another_process(file, f"os.environ['WHO'] = {name!r}\n{code}") for name in ("01-a", "01-b")]
    assert [writer.communicate() for writer in writers] == [(b"", b"")] * 2
    recorded = progress.events(file)
    for name in ("01-a", "01-b"):
        assert [event.detail for event in recorded if event.exercise == name] == [str(number) for number in range(50)]
    assert len(recorded) == 100


@pytest.mark.parametrize("lines", [1, 7, 20])
def test_a_killed_kernel_loses_nothing_that_it_recorded(file, lines):
    writer = in_another_process(
        file, "for number in range(100_000): record('01-layout', 'fail', str(number)); print(number, flush=True)"
    )
    said = [writer.stdout.readline() for _ in range(lines)]
    writer.kill()
    said += writer.communicate()[0].splitlines(keepends=True)
    complete = [line.decode().strip() for line in said if line.endswith(b"\n")]
    recorded = details(file)
    assert recorded[: len(complete)] == complete
    assert recorded == [str(number) for number in range(len(recorded))]
    assert len(recorded) <= len(complete) + 1  # the one that it was about to speak of
    progress.record("01-layout", "pass", "afterwards")
    assert details(file) == [*recorded, "afterwards"]


def test_a_kernel_killed_in_the_midst_of_writing_leaves_whole_events(file):
    progress.record("01-layout", "fail", "before")
    # A cache of one page makes SQLite write into the file before the transaction is over.
    writer = in_another_process(
        file,
        "import signal, sqlite3\n"
        "connection = sqlite3.connect(os.environ['COURSE_PROGRESS'], isolation_level=None)\n"
        "connection.execute('PRAGMA cache_size = 1')\n"
        "connection.execute('BEGIN')\n"
        "for number in range(200):\n"
        "    connection.execute('INSERT INTO events SELECT NULL, ?, ?, ?, ?', ['x' * 999] * 4)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n",
    )
    writer.communicate()
    assert file.with_name("progress.sqlite3-journal").exists()
    assert file.stat().st_size > 100_000
    assert details(file) == ["before"]
    progress.record("01-layout", "pass", "after")
    assert details(file) == ["before", "after"]


# What goes wrong


def read_only(monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(
        progress.sqlite3, "connect", lambda path, **options: connect(f"file:{path}?mode=ro", uri=True, **options)
    )


@pytest.mark.parametrize("begun", [False, True])
def test_where_nothing_can_be_written_the_learner_is_told_once(file, monkeypatch, capsys, begun):
    if begun:
        progress.record("01-layout", "fail", "before")
    read_only(monkeypatch)
    for _ in range(3):
        progress.record("01-layout", "pass")
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert output.err.startswith("Your progress is not being recorded, the rest works as always: ")
    assert details(file) == (["before"] if begun else [])


def test_a_folder_that_is_not_there_is_no_reason_to_stop(file, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_PROGRESS", str(file / "not" / "there.sqlite3"))
    progress.record("01-layout", "pass")
    assert "not being recorded" in capsys.readouterr().err


def test_a_lock_that_is_held_too_long_is_no_damage(file, monkeypatch, capsys):
    progress.record("01-layout", "fail", "before")
    monkeypatch.setattr(progress, "_BUSY_SECONDS", 0.01)
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    progress.record("01-layout", "pass")
    holder.close()
    assert "database is locked" in capsys.readouterr().err
    assert [path.name for path in file.parent.iterdir()] == ["progress.sqlite3"]
    assert details(file) == ["before"]


def garbage(path):
    path.write_bytes(b"not a database " * 100)


def truncated(path):
    for _ in range(100):
        progress.record("01-layout", "fail", "x" * 200)
    path.write_bytes(path.read_bytes()[:6000])


def scribbled_over(path):
    for _ in range(100):
        progress.record("01-layout", "fail", "x" * 200)
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)


@pytest.mark.parametrize("spoil", [garbage, truncated, scribbled_over])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(file, capsys, spoil):
    spoil(file)
    damaged = file.read_bytes()
    file.with_name("progress.sqlite3-journal").write_bytes(b"of the damaged file")
    file.with_name("progress.damaged-1.sqlite3").write_bytes(b"an earlier one")
    for detail in ("first", "second"):
        progress.record("01-layout", "pass", detail)
    assert details(file) == ["first", "second"]
    assert file.with_name("progress.damaged-1.sqlite3").read_bytes() == b"an earlier one"
    assert file.with_name("progress.damaged-2.sqlite3").read_bytes() == damaged
    assert capsys.readouterr().err == (
        "progress.sqlite3 was damaged: it is kept as progress.damaged-2.sqlite3, and a new one is begun.\n"
    )


def test_the_journal_of_a_damaged_file_goes_with_it(file):
    garbage(file)
    journal = file.with_name("progress.sqlite3-journal")
    journal.write_bytes(b"of the damaged file")
    progress._set_aside(file)
    assert file.with_name("progress.damaged-1.sqlite3-journal").read_bytes() == b"of the damaged file"
    assert not journal.exists()


def test_a_reader_finds_the_damage_too(file, capsys):
    garbage(file)
    assert progress.events(file) == []
    assert "progress.damaged-1.sqlite3" in capsys.readouterr().err


def test_of_two_notebooks_that_find_the_damage_one_sets_it_aside(file, monkeypatch):
    garbage(file)
    transact, calls = progress._transact, []

    def find_damage_while_another_mends_it(path, statement, values):
        calls.append(path)
        try:
            return transact(path, statement, values)
        except sqlite3.DatabaseError:
            progress._set_aside(path)  # the other notebook
            transact(path, statement, ("", "01-other", "pass", ""))
            raise

    monkeypatch.setattr(progress, "_transact", find_damage_while_another_mends_it)
    progress.record("01-layout", "pass")
    assert [event.exercise for event in progress.events(file)] == ["01-other", "01-layout"]
    assert not file.with_name("progress.damaged-2.sqlite3").exists()


# Where a learner stands


@pytest.fixture
def standings(file):
    """Return the standing of a learner who needed two attempts and two hints, and has begun on the next exercise."""
    for event, detail in [
        ("todo", ""),
        ("fail", "a"),
        ("hint", "1"),
        ("hint", "1"),
        ("hint", "2"),
        ("fail", "b"),
        ("pass", ""),
        ("fail", "c"),
        ("hint", "3"),
    ]:
        progress.record("01-layout", event, detail)
    progress.record("01-velocity", "hint", "1")
    progress.record("09-gone", "pass")
    return progress.summary(file, TASKS)


def test_what_is_passed_stays_passed_and_only_what_led_to_it_counts(file, standings):
    first_passed = next(event.time for event in progress.events(file) if event.kind == "pass")
    assert standings == [
        Standing(LAYOUT, first_passed=first_passed, attempts=2, hints=2),
        Standing(VELOCITY, hints=1),
        Standing(JUDGE),
    ]
    assert [row.passed for row in standings] == [True, False, False]


@pytest.mark.parametrize("path", [None, "not there"])
def test_a_learner_who_has_not_begun_has_passed_nothing(tmp_path, path):
    assert progress.summary(path and tmp_path / path, TASKS) == [Standing(task) for task in TASKS]
    assert list(tmp_path.iterdir()) == []


def test_the_next_step_is_the_first_exercise_not_passed(standings):
    assert progress.next_step(standings) == VELOCITY
    assert progress.next_step([Standing(JUDGE), *standings]) == JUDGE
    assert progress.next_step(standings[:1]) is None


def test_the_table_has_a_bar_for_each_chapter(standings):
    assert progress.table(standings).splitlines() == [
        "01  Video as data  [######------]  1 of 2 exercises, 2 of 6 points, hints 3",
        "02  How to judge   [------------]  0 of 1 exercises, 0 of 3 points, hints 0",
        "Next: exercise 1.2 · Which way did it go? (25 minutes, difficulty 3 of 3), in 01_video_as_data.ipynb.",
    ]
    assert progress.table(standings[:1]).splitlines() == [
        "01  Video as data  [############]  1 of 1 exercises, 2 of 2 points, hints 2",
        "Every exercise is passed.",
    ]
    assert progress.table([]) == "There are no exercises yet."


def test_a_teacher_gets_one_record_for_each_exercise(standings):
    records = json.loads(progress.export(standings, "json", learner="Ada, L."))
    assert records[0] == {
        "learner": "Ada, L.",
        "id": "01-layout",
        "title": "1.1 · Channels before time",
        "notebook": "01_video_as_data.ipynb",
        "chapter": "Video as data",
        "minutes": 5,
        "difficulty": 1,
        "points": 2,
        "passed": True,
        "earned": 2,
        "first_passed": standings[0].first_passed,
        "attempts": 2,
        "hints": 2,
    }
    assert [(record["id"], record["earned"], record["first_passed"]) for record in records[1:]] == [
        ("01-velocity", 0, ""),
        ("02-judge", 0, ""),
    ]
    rows = list(csv.DictReader(io.StringIO(progress.export(standings, "csv", learner="Ada, L."))))
    assert rows == [{key: str(value) for key, value in record.items()} for record in records]
    with pytest.raises(ValueError, match="form: wanted csv or json, got 'xml'"):
        progress.export(standings, "xml")


# In the start notebook


def test_the_reading_edition_says_the_same_on_every_machine(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    progress.show()
    assert capsys.readouterr().out == (
        "Nothing is recorded here. In your workbook, this cell shows what you have passed and what comes next.\n"
    )


def test_the_workbook_shows_a_picture_and_the_next_step(file, cells, chapter, capsys):
    folder = chapter(cells).parent
    progress.record("01-layout", "pass")
    progress.show(folder)
    assert capsys.readouterr().out.splitlines() == [
        "bars of exercises passed: 01  Video as data 1 of 2",
        "Next: exercise 1.2 · Which way did it go? (25 minutes, difficulty 3 of 3), in 01_video_as_data.ipynb.",
    ]


def test_a_file_that_cannot_be_read_stops_no_learner(file, cells, chapter, capsys):
    file.mkdir()
    progress.show(chapter(cells).parent)
    assert capsys.readouterr().out.startswith("Your progress cannot be shown: ")


def test_the_bars_are_as_long_as_what_is_done(monkeypatch):
    figures = []
    monkeypatch.setattr(display, "_emit_figure", lambda text, figure: figures.append((text, figure.axes[0])))
    display.bars({"01 One": (1, 4), "02 Two": (3, 3)}, label="exercises passed")
    ((text, axes),) = figures
    assert text == "bars of exercises passed: 01 One 1 of 4, 02 Two 3 of 3"
    assert [bar.get_width() for bar in axes.patches] == [4, 3, 1, 3]
    assert [label.get_text() for label in axes.texts] == ["1 of 4", "3 of 3"]
    assert axes.yaxis_inverted()
    for parts in ({}, {"01": (2, 1)}, {"01": (-1, 1)}, {"01": (0, 0)}):
        with pytest.raises(ValueError, match="parts: wanted"):
            display.bars(parts, label="exercises passed")


def test_recording_needs_no_torch():
    code = "import sys, course.progress; print('torch' in sys.modules, 'course.display' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False False\n"
