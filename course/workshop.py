"""Minutes of teaching: what each section takes, and three hours that begin at any chapter.

Minutes for reading, predicting and talking are stated, once, in ``classroom/plans/minutes.csv``. What the cells take is
measured: ``measure`` runs them at the full budget and writes the CPU seconds of the kernel beside it, to
``seconds.csv``. Tables in the plans and in the guides are made of these two and are never typed.

A workshop uses the shipped checkpoints and leaves the long trainings out, so its cells are measured as it runs them:
sections that are only looked at are not run, and if a later one needed them, the measurement would fail.
"""

import csv
import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from course import notebooks, progress

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT = notebooks.NOTEBOOKS.parent
CLASSROOM = ROOT / "classroom"
PLANS = CLASSROOM / "plans"
"""Where ``minutes.csv``, ``seconds.csv`` and the plans are."""

TOTAL = 180
"""Minutes of a workshop."""

SLOWNESS = 2
"""How many times slower than the machine of the measurement a learner's may be: cells are counted so many times."""

OPENING = "Opening"
"""What comes before a chapter's first heading of level 2: its promise, its objectives, its imports."""

WAYS = ("run", "look", "")
"""What a workshop does with a section: run its cells, look at what is stored, or leave it out."""

WHOLE = "All of its cells, as the chapter states (not measured by section)"

_TO_RUN = re.compile(r"(?:about|under) (\w+)(?: minutes?)? to run")
_NUMBERS = ("zero", "a", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_FRAME = ("first", "before", "break", "draw", "last")
_LEGEND = (
    "*In three hours*: what [the workshop](../plans/workshop.md) does with a section. Where no CPU seconds stand they "
    "were not measured, mostly since cells train for minutes, and the sum leaves them out.\n\n"
)
_PATIENCE = 4 * 3600  # seconds on the clock for one cell: on a busy machine it may wait long for its CPU seconds
_UNTIMED = ("Exercises", "Papers")
_HEADINGS = re.compile(r"^(##|###) (.*\S)", re.MULTILINE)
_MINUTES = re.compile(r"(?<=<!-- minutes -->\n).*?(?=<!-- /minutes -->)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A section of a chapter, an exercise, or a piece of the frame around them.

    Attributes:
        chapter: its number; empty for the frame.
        section: its heading, or the exercise's id.
        title: what to call it.
        minutes: stated, for thinking and talking.
        workshop: one of ``WAYS``, or for the frame its place.
        seconds: CPU seconds of its cells, measured; None if they were not.
    """

    chapter: str
    section: str
    title: str
    minutes: float
    workshop: str
    seconds: float | None = None

    @property
    def machine(self) -> float:
        """Minutes that its cells may take on a learner's machine, if they are run."""
        return SLOWNESS * (self.seconds or 0) / 60 if self.workshop in ("run", *_FRAME) else 0.0


# What is stated, and what was measured


def parts(folder: Path = PLANS, source: Path = notebooks.NOTEBOOKS) -> list[Part]:
    """Return every part with its minutes, in the order in which it is taught, of the chapters that are there.

    Args:
        folder: where the two files are.
        source: where the chapters are.

    Raises:
        ValueError: if the files are not at hand, or a row is not well-formed.
    """
    if not (folder / "minutes.csv").exists():
        raise ValueError(f"{folder / 'minutes.csv'} is not here: minutes and plans belong to the repository")
    tasks = {task.id: task for task in progress.tasks(source)}
    there = {path.name[:2] for path in notebooks.chosen((), source)}
    seconds = {(row["chapter"], row["section"]): float(row["seconds"]) for row in _rows(folder / "seconds.csv")}
    found = []
    for row in _rows(folder / "minutes.csv"):
        chapter, section, way = row["chapter"], row["section"], row["workshop"]
        task = tasks.get(section)
        if chapter and chapter not in there:
            continue
        if way not in (WAYS if chapter else _FRAME) or not (row["minutes"] or task):
            raise ValueError(f"minutes.csv: wanted minutes and a way of {WAYS}, got {row}")
        found.append(
            Part(
                chapter=chapter,
                section=section,
                title=f"Exercise {task.title}" if task else section,
                minutes=task.minutes if task else float(row["minutes"]),
                workshop=way,
                seconds=seconds.get((chapter, section)),
            )
        )
    return [*found, *_unmeasured(found, source)]


def _unmeasured(every: Sequence[Part], source: Path) -> Iterator[Part]:
    """Yield, for each chapter of which no cell was measured, the time that it states for running all of its cells."""
    measured = {part.chapter for part in every if part.seconds is not None}
    for path in notebooks.chosen((), source):
        chapter = path.name[:2]
        if chapter not in measured and any(part.chapter == chapter for part in every):
            stated = 60 * minutes_to_run(notebooks.read(path).cells[0].source)
            yield Part(chapter=chapter, section=WHOLE, title=WHOLE, minutes=0, workshop="run", seconds=stated)


def minutes_to_run(text: str) -> float:
    """Return the minutes that a chapter's first cell says its cells take, such as "about six to run"; 0 if it is mute.

    "Under a minute" and "about a minute" are one.
    """
    match = _TO_RUN.search(text)
    word = match[1].lower() if match else ""
    return float(word) if word.isdigit() else float(_NUMBERS.index(word) if word in _NUMBERS else 0)


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))) if path.exists() else []


def sections_of(notebook: "NotebookNode") -> Iterator[tuple[str, "NotebookNode"]]:
    """Yield each code cell of a chapter with the section, or the exercise, that it belongs to."""
    section = heading = OPENING
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            for level, text in _HEADINGS.findall(cell.source):
                if level == "##":
                    section = heading = text
                else:
                    heading = _exercise(notebook, number) if text.startswith("Exercise ") else section
        else:
            yield heading, cell


def _exercise(notebook: "NotebookNode", number: int) -> str:
    """Return the id of the first exercise behind a cell."""
    grades = (cell.metadata.get("nbgrader", {}) for cell in notebook.cells[number:])
    return next(grade["grade_id"] for grade in grades if grade.get("solution"))


def headings(notebook: "NotebookNode") -> list[str]:
    """Return what of a chapter has minutes of its own: its opening, its sections and its exercises."""
    texts = [text for cell in notebook.cells if cell.cell_type == "markdown" for text in _HEADINGS.findall(cell.source)]
    sections = [text for level, text in texts if level == "##" and text not in _UNTIMED]
    exercises = [cell.metadata.nbgrader.grade_id for cell in notebook.cells if _is_solution(cell)]
    return [OPENING, *sections, *exercises]


def _is_solution(cell: "NotebookNode") -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


# Measuring


def measure(
    number: str, *, everything: bool = False, folder: Path = PLANS, source: Path = notebooks.NOTEBOOKS
) -> dict[str, float]:
    """Run cells of a chapter at the full budget and note the CPU seconds of each section in ``seconds.csv``.

    CPU time of all threads is counted: on a machine with nothing else to do, the clock shows less.

    Args:
        number: of the chapter; ``""`` measures the clip that is drawn at the end of a workshop.
        everything: also the sections that a workshop only looks at, or leaves out.
        folder: where the two files are.
        source: where the chapters are.

    Returns:
        The seconds by section.

    Raises:
        NotebookError: if a cell fails, such as one that needs a section that was not run.
    """
    if not number:
        chapter, found = "", {_draw_part(parts(folder, source)).section: _draw_seconds()}
    else:
        (path,) = notebooks.chosen([number], source)
        chapter = path.name[:2]
        ways = {part.section: part.workshop for part in parts(folder, source) if part.chapter == chapter}
        found = _cell_seconds(path, {name for name, way in ways.items() if everything or way == "run"})
    kept = [row for row in _rows(folder / "seconds.csv") if row["chapter"] != chapter or row["section"] not in found]
    rows = [(row["chapter"], row["section"], row["seconds"]) for row in kept]
    rows += [(chapter, section, f"{seconds:.1f}") for section, seconds in found.items()]
    order = {(part.chapter, part.section): place for place, part in enumerate(parts(folder, source))}
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("chapter", "section", "seconds"))
    writer.writerows(sorted(rows, key=lambda row: (row[0], order.get(row[:2], 0))))
    notebooks.write(folder / "seconds.csv", file.getvalue())
    return found


def _cell_seconds(path: Path, wanted: set[str]) -> dict[str, float]:
    """Run the cells of some sections, one after the other, and add up the CPU seconds of each section."""
    from nbclient.exceptions import CellControlSignal, DeadKernelError

    notebook = notebooks.read(path)
    client = notebooks.client(notebook, path.parent, timeout=_PATIENCE)
    found: dict[str, float] = {}
    places = {id(cell): place for place, cell in enumerate(notebook.cells)}
    try:
        # Threads that wait for one another must not count: on a busy machine they would double the CPU time.
        with client.setup_kernel(cleanup_kc=True, env=notebooks.full_budget() | {"OMP_WAIT_POLICY": "passive"}):
            before = 0.0  # so that the first section pays for the start of the kernel
            for section, cell in sections_of(notebook):
                if section in wanted and cell.source.strip():
                    client.execute_cell(cell, places[id(cell)])
                    now = _cpu_seconds(client.km.provisioner.pid)
                    found[section] = found.get(section, 0.0) + now - before
                    before = now
    except (CellControlSignal, DeadKernelError) as error:
        raise notebooks.NotebookError(f"{path.name}, section {section!r}:\n{error}") from error
    return found


def _cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and of its children, the ended ones too."""
    import psutil

    process = psutil.Process(pid)
    own = process.cpu_times()
    running = (child.cpu_times() for child in process.children(recursive=True))
    return own.user + own.system + own.children_user + own.children_system + sum(t.user + t.system for t in running)


def _draw_seconds() -> float:
    """Draw a clip as a learner would from a terminal; return the CPU seconds."""
    import psutil

    before = psutil.Process().cpu_times()
    with tempfile.TemporaryDirectory() as folder:
        command = ["-m", "course", "sample", "cascade", "a red circle moves left", "--out", f"{folder}/clip.gif"]
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
    after = psutil.Process().cpu_times()
    return after.children_user + after.children_system - before.children_user - before.children_system


# The plan


def plan(start: str, every: Sequence[Part]) -> list[Part]:
    """Return three hours that begin at a chapter: its parts in the frame of the day, and further chapters if they fit.

    Args:
        start: number of the chapter, such as ``"03"`` or ``"3"``.
        every: from ``parts``.

    Raises:
        ValueError: if there is no such chapter.
    """
    start = start.zfill(2)
    numbers = sorted({part.chapter for part in every if part.chapter})
    if start not in numbers:
        raise ValueError(f"no chapter {start}; there are {', '.join(numbers)}")
    frame = {part.workshop: part for part in every if not part.chapter}
    taken = {number: [part for part in every if part.chapter == number and part.workshop] for number in numbers}
    opening = [frame["first"], *taken["00"], *([frame["before"]] if start != "00" else [])]
    ending = [frame["draw"], frame["last"]]
    middle: list[Part] = []
    for number in numbers[max(numbers.index(start), 1) :]:
        if middle and minutes([*opening, *middle, *taken[number], frame["break"], *ending]) > TOTAL:
            break
        middle += taken[number]
    half = minutes([*opening, *middle, *ending]) / 2
    place = next(i for i in range(len(middle) + 1) if minutes([*opening, *middle[:i]]) >= half)
    return [*opening, *middle[:place], frame["break"], *middle[place:], *ending]


def minutes(some: Iterable[Part]) -> float:
    """Return the minutes of some parts, stated and measured."""
    return sum(part.minutes + part.machine for part in some)


def _draw_part(every: Sequence[Part]) -> Part:
    return next(part for part in every if part.workshop == "draw")


# Tables


def workshop_table(start: str, every: Sequence[Part]) -> str:
    """Return the plan that begins at a chapter as a Markdown table, with its sum."""
    chosen, clock, rows = plan(start, every), 0.0, []
    words = {"run": "run", "look": "look at what is stored", "break": "", "draw": "run"}
    for part in chosen:
        what = f"{part.chapter} · {part.title}" if part.chapter else part.title
        cells = f"{part.machine:.1f}" if part.machine else ""
        rows.append((_clock(clock), what, words.get(part.workshop, ""), f"{part.minutes:g}", cells))
        clock += part.minutes + part.machine
    rows.append((_clock(clock), "the end", "", f"{sum(p.minutes for p in chosen):g}", f"{clock - _stated(chosen):.1f}"))
    total = (
        f"{_stated(chosen):g} minutes stated and {clock - _stated(chosen):.1f} minutes of cells, counted {SLOWNESS} "
        f"times: {clock:.0f} of {TOTAL}, {TOTAL - clock:.0f} in hand."
    )
    return f"{_table(('at', 'what', 'cells', 'minutes', 'cell minutes'), rows)}\n{total}\n"


def overview_table(every: Sequence[Part]) -> str:
    """Return a table of all the chapters that a workshop may begin at."""
    rows = []
    for number in sorted({part.chapter for part in every if part.chapter}):
        chosen = plan(number, every)
        machine = minutes(chosen) - _stated(chosen)
        named = sorted({part.chapter for part in chosen} - {""})
        rows.append(
            (number, ", ".join(named), f"{_stated(chosen):g}", f"{machine:.1f}", f"{minutes(chosen):.0f} of {TOTAL}")
        )
    return _table(("begin at", "chapters", "minutes stated", "cell minutes", "sum"), rows)


def guide_table(number: str, every: Sequence[Part]) -> str:
    """Return the minutes of a chapter by section: stated ones, and the CPU seconds that were measured."""
    some = [part for part in every if part.chapter == number]
    words = {"run": "run", "look": "look", "": "leave out"}
    rows = [
        (part.title, f"{part.minutes:g}", "" if part.seconds is None else f"{part.seconds:.0f}", words[part.workshop])
        for part in some
    ]
    measured = sum(part.seconds or 0 for part in some)
    rows.append(("**together**", f"**{_stated(some):g}**", f"**{measured:.0f}**", ""))
    return _LEGEND + _table(("section", "minutes", "CPU seconds of its cells", "in three hours"), rows)


def _stated(some: Iterable[Part]) -> float:
    return sum(part.minutes for part in some)


def _clock(minutes: float) -> str:
    return f"{int(minutes) // 60}:{int(minutes) % 60:02d}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


# Files


def with_tables(path: Path, every: Sequence[Part]) -> str:
    """Return the text of a plan or a guide with the tables between its marks as they ought to be.

    Raises:
        ValueError: if it has no place for them.
    """
    text = path.read_text(encoding="utf-8")
    if len(_MINUTES.findall(text)) != 1:
        raise ValueError(f"{path.name}: wanted one pair of lines <!-- minutes --> and <!-- /minutes -->")
    if path.stem != "workshop":
        return _MINUTES.sub(lambda _: guide_table(path.name[:2], every), text)
    numbers = sorted({part.chapter for part in every if part.chapter})
    tables = (f"## From chapter {number}\n\n{workshop_table(number, every)}" for number in numbers)
    return _MINUTES.sub(lambda _: "\n".join([overview_table(every), *tables]), text)


def files(folder: Path = CLASSROOM) -> list[Path]:
    """Return the plan and the guides that hold tables, of the chapters that are there."""
    there = {path.name[:2] for path in notebooks.chosen()}
    guides = (path for path in sorted(folder.glob("guide/[0-9][0-9]_*.md")) if path.name[:2] in there)
    return [folder / "plans" / "workshop.md", *guides]


def renew() -> list[Path]:
    """Bring the tables of all plans and guides up to date; return the files that changed."""
    every = parts()
    return [path for path in files() if notebooks.write(path, with_tables(path, every))]
