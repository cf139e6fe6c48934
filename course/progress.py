"""What there is to do, and what a learner has done: checks that passed, attempts, and hints that were opened.

What is done is a list of events in a small SQLite file in the learner's workbook. Events are only ever added, each in a
transaction of its own, so that several notebooks can write at once and a kernel that is killed loses none of them.
"""

import csv
import io
import json
import os
import re
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import count, groupby
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"

MANIFEST = ".workbook.json"
"""The file by which a folder is known as a workbook; ``course.workbook`` keeps it."""

EVENTS = ("pass", "fail", "todo", "hint")

_FILE = "progress.sqlite3"
_TABLE = """CREATE TABLE IF NOT EXISTS events
    (number INTEGER PRIMARY KEY, time TEXT NOT NULL, exercise TEXT NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL)
"""
_BUSY_SECONDS = 10
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_HEADING = re.compile(r"^#+ Exercise (.*\S)", re.MULTILINE)
_FACTS = re.compile(r"^\*(\d+) minutes?, difficulty ([1-3]) of 3\.\*", re.MULTILINE)
_BAR = 12


# What there is to do


@dataclass(frozen=True, kw_only=True)
class Task:
    """An exercise as its chapter announces it.

    Attributes:
        id: the ``grade_id`` of its cell, such as ``"01-layout"``.
        title: its heading, such as ``"1.1 · Channels before time"``.
        notebook: the file name of its chapter.
        chapter: the title of its chapter, without the number.
        minutes: how long it takes.
        difficulty: 1 to 3.
        points: what it is worth.
    """

    id: str
    title: str
    notebook: str
    chapter: str
    minutes: int
    difficulty: int
    points: int

    def __str__(self) -> str:
        facts = f"{self.minutes} minutes, difficulty {self.difficulty} of 3"
        return f"exercise {self.title} ({facts}), in {self.notebook}"


def tasks(folder: Path = NOTEBOOKS) -> list[Task]:
    """Return the exercises of all chapters, in reading order."""
    texts = {text.stem for text in folder.glob("source/[0-9][0-9]_*.py")}
    numbers = {stem[:2] for stem in texts}
    paths = (
        path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")) if path.stem in texts or path.name[:2] not in numbers
    )
    return [task for path in paths for task in tasks_of(path)]


def tasks_of(path: Path) -> list[Task]:
    """Return the exercises of a chapter, in reading order.

    Args:
        path: the notebook.

    Raises:
        ValueError: naming notebook and cell, if an exercise has no heading of its own, no minutes and difficulty, or
            no check with points; if a check has no exercise; or if an id is unfit or used twice.
    """
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        grading = [cell["metadata"].get("nbgrader", {}) for cell in cells]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"{path}: not a notebook") from None
    points = {grade["grade_id"]: grade["points"] for grade in grading if grade.get("grade") and "points" in grade}
    chapter, heading, facts, found = path.stem, None, None, {}
    for number, (cell, grade) in enumerate(zip(cells, grading, strict=True), start=1):
        source = "".join(cell["source"])
        place = f"{path.name}, cell {number}, {source.partition(chr(10))[0]!r}"
        name = grade.get("grade_id", "")
        if cell["cell_type"] == "markdown" and number == 1:
            chapter = source.partition("\n")[0].partition(" · ")[2] or chapter
        if cell["cell_type"] == "markdown" and (match := _HEADING.search(source)):
            heading, facts = match[1], _FACTS.search(source, match.end())
        if grade.get("grade") and name.removesuffix("-check") not in found:
            raise ValueError(f"{place}: wanted the exercise of the check {name!r} above it")
        if grade.get("solution"):
            if not name.startswith(f"{path.name[:2]}-") or name in found:
                raise ValueError(f"{place}: wanted a grade_id of its own, {path.name[:2]}-..., got {name!r}")
            if heading is None or facts is None:
                wanted = "'### Exercise 1.2 · Title' and '*10 minutes, difficulty 1 of 3.*'"
                raise ValueError(f"{place}: wanted a heading of its own above it, as in {wanted}")
            if f"{name}-check" not in points:
                raise ValueError(f"{place}: wanted a check of the grade_id '{name}-check', with points")
            found[name] = Task(
                id=name,
                title=heading,
                notebook=path.name,
                chapter=chapter,
                minutes=int(facts[1]),
                difficulty=int(facts[2]),
                points=points[f"{name}-check"],
            )
            heading = facts = None
    return list(found.values())


# What is recorded


@dataclass(frozen=True)
class Event:
    """Something that happened to an exercise: its check passed, failed or found it still to do, or a hint was opened.

    Attributes:
        time: in UTC, ISO 8601.
        exercise: the id.
        kind: one of ``EVENTS``.
        detail: what the check said, or which hint.
    """

    time: str
    exercise: str
    kind: str
    detail: str


def location(folder: Path = Path()) -> Path | None:
    """Return where progress is recorded, or None: in the reading edition, nothing is.

    Args:
        folder: where the work is done; a notebook's kernel runs in the notebook's folder.

    Returns:
        What the environment variable ``COURSE_PROGRESS`` says, otherwise a file in the folder if that is a workbook.
    """
    if chosen := os.environ.get("COURSE_PROGRESS"):
        return Path(chosen)
    return folder / _FILE if (folder / MANIFEST).exists() else None


def record(exercise_id: str, event: str, detail: str = "") -> None:
    """Record an event where ``location`` says; if that cannot be done, say so once, and let the learner go on.

    Args:
        exercise_id: such as ``"01-layout"``.
        event: one of ``EVENTS``.
        detail: what the check said, or which hint.

    Raises:
        ValueError: for an event of another kind.
    """
    if event not in EVENTS:
        raise ValueError(f"event: wanted one of {', '.join(EVENTS)}, got {event!r}")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    detail = detail.encode(errors="replace").decode()  # an error's text may hold what is no Unicode
    try:
        if path := location():
            values = (now, exercise_id, event, detail)
            _execute(path, "INSERT INTO events (time, exercise, kind, detail) VALUES (?, ?, ?, ?)", values)
    except (sqlite3.Error, OSError) as error:
        _say(f"Your progress is not being recorded, the rest works as always: {error}.")


def events(path: Path) -> list[Event]:
    """Return all events in the order in which they were recorded; none if there is no file yet.

    Raises:
        OSError: if the file cannot be read.
    """
    if not path.exists():
        return []
    try:
        return [
            Event(*row) for row in _execute(path, "SELECT time, exercise, kind, detail FROM events ORDER BY number")
        ]
    except sqlite3.Error as error:
        raise OSError(f"{path}: {error}") from error


def _execute(path: Path, statement: str, values: Sequence[str] = ()) -> list[tuple]:
    """Run a statement as a transaction of its own; set a damaged file aside and begin a new one."""
    file = _identity(path)
    try:
        return _transact(path, statement, values)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:  # the low byte is the kind of error
            raise
    if _identity(path) == file:  # otherwise another notebook has set it aside by now
        with suppress(FileNotFoundError):  # or is doing so at this moment
            _set_aside(path)
    return _transact(path, statement, values)


def _transact(path: Path, statement: str, values: Sequence[str]) -> list[tuple]:
    # SQLite's default journal, not its faster write-ahead log: that one fails on the network drives of classrooms.
    with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
        connection.execute(_TABLE)
        return connection.execute(statement, values).fetchall()


def _identity(path: Path) -> int | None:
    with suppress(FileNotFoundError):
        return path.stat().st_ino


def _set_aside(path: Path) -> None:
    """Move a damaged file, with its journal, to a name of its own."""
    names = (path.with_name(f"{path.stem}.damaged-{number}{path.suffix}") for number in count(1))
    aside = next(name for name in names if not name.exists())
    journal = Path(f"{path}-journal")
    if journal.exists():  # it goes first: left behind, it would be played back into the new file
        journal.replace(f"{aside}-journal")
    path.replace(aside)
    _say(f"{path.name} was damaged: it is kept as {aside.name}, and a new one is begun.")


@cache
def _say(line: str) -> None:
    """Print a warning, the first time that it is due."""
    print(line, file=sys.stderr)


# Where a learner stands


@dataclass(frozen=True)
class Standing:
    """How far a learner is with an exercise.

    Attributes:
        task: the exercise.
        first_passed: when its check passed for the first time, in UTC; None if it has not yet.
        attempts: how often the check failed before that.
        hints: how many different hints were opened before that; 4 is the answer.
    """

    task: Task
    first_passed: str | None = None
    attempts: int = 0
    hints: int = 0

    @property
    def passed(self) -> bool:
        """Whether the check has ever passed: what is passed stays passed."""
        return self.first_passed is not None


def summary(path: Path | None, tasks: Sequence[Task]) -> list[Standing]:
    """Return how far a learner is with each exercise.

    Args:
        path: the file of events; None, or one that is not there, is that of a learner who has not begun.
        tasks: the exercises.

    Raises:
        OSError: if the file cannot be read.
    """
    recorded = events(path) if path else []
    return [_standing(task, [event for event in recorded if event.exercise == task.id]) for task in tasks]


def _standing(task: Task, events: Sequence[Event]) -> Standing:
    """Return the standing that the events of one exercise amount to."""
    kinds = [event.kind for event in events]
    first = kinds.index("pass") if "pass" in kinds else None
    before = events[:first]
    return Standing(
        task,
        first_passed=None if first is None else events[first].time,
        attempts=sum(event.kind == "fail" for event in before),
        hints=len({event.detail for event in before if event.kind == "hint"}),
    )


def next_step(standings: Sequence[Standing]) -> Task | None:
    """Return the first exercise that has not been passed, or None."""
    return next((standing.task for standing in standings if not standing.passed), None)


def table(standings: Sequence[Standing]) -> str:
    """Return a line with a bar for each chapter, and the next thing to do."""
    chapters = _by_chapter(standings)
    width = max(map(len, chapters), default=0)
    lines = []
    for chapter, rows in chapters.items():
        passed = [row for row in rows if row.passed]
        bar = "#" * (_BAR * len(passed) // len(rows))  # full only when all is passed
        points, of_points = (sum(row.task.points for row in some) for some in (passed, rows))
        lines.append(
            f"{chapter:{width}}  [{bar:-<{_BAR}}]  {len(passed)} of {len(rows)} exercises, "
            f"{points} of {of_points} points, hints {sum(row.hints for row in rows)}"
        )
    return "\n".join([*lines, _advice(standings)])


def _by_chapter(standings: Sequence[Standing]) -> dict[str, list[Standing]]:
    """Group by the chapter's number and title."""
    groups = groupby(standings, key=lambda row: f"{row.task.notebook[:2]}  {row.task.chapter}")
    return {chapter: list(rows) for chapter, rows in groups}


def _advice(standings: Sequence[Standing]) -> str:
    """Say what to do next."""
    if task := next_step(standings):
        return f"Next: {task}."
    return "Every exercise is passed." if standings else "There are no exercises yet."


def export(standings: Sequence[Standing], form: str, *, learner: str = "") -> str:
    """Return a learner's standing for a teacher, one record for each exercise.

    Args:
        standings: from ``summary``.
        form: ``"csv"`` or ``"json"``.
        learner: a name to put into each record.

    Raises:
        ValueError: for another form.
    """
    records = [
        {
            "learner": learner,
            **asdict(row.task),
            "passed": row.passed,
            "earned": row.task.points if row.passed else 0,
            "first_passed": row.first_passed or "",
            "attempts": row.attempts,
            "hints": row.hints,
        }
        for row in standings
    ]
    if form == "json":
        return json.dumps(records, ensure_ascii=False, indent=2) + "\n"
    if form != "csv":
        raise ValueError(f"form: wanted csv or json, got {form!r}")
    file = io.StringIO()
    writer = csv.DictWriter(file, records[0] if records else ["learner"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return file.getvalue()


def show(folder: Path = NOTEBOOKS) -> None:
    """Show in a workbook what is passed of each chapter, as a picture, and the next thing to do.

    Args:
        folder: where the chapters are.
    """
    path = location()
    if path is None:
        print("Nothing is recorded here. In your workbook, this cell shows what you have passed and what comes next.")
        return
    try:
        standings = summary(path, tasks(folder))
    except OSError as error:
        print(f"Your progress cannot be shown: {error}.")
        return
    if standings:
        from course.display import bars

        passed = {name: (sum(row.passed for row in rows), len(rows)) for name, rows in _by_chapter(standings).items()}
        bars(passed, label="exercises passed")
    print(_advice(standings))
