"""The learner's own copies of the chapters, with stubs in the place of the solutions.

An exercise stands once, in its chapter, with its solution between nbgrader's markers; the learner's edition is made
from that. The manifest of a workbook remembers the cells of each file as they were handed out. Whatever differs from
them is a learner's work, and is never written over.
"""

import ast
import json
import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from course import notebooks
from course.progress import MANIFEST

if TYPE_CHECKING:
    from nbformat import NotebookNode

WORKBOOK = notebooks.NOTEBOOKS.parent / "workbook"

_MARKER = re.compile(r"(\s*)# (BEGIN|END) SOLUTION(?::\s*(.*?))?\s*")
_HEADING = re.compile(r"^#+ (.*\S)", re.MULTILINE)


def make(numbers: Iterable[str] = (), *, folder: Path = WORKBOOK, source: Path = notebooks.NOTEBOOKS) -> list[str]:
    """Write the learner's copies of chapters into a workbook, or bring it up to date.

    When a chapter has changed, a copy in which nobody has worked is replaced. Beside any other the new edition is
    written under a name of its own.

    Args:
        numbers: such as ``["01", "07"]``; without any, all chapters.
        folder: the workbook.
        source: where the chapters are.

    Returns:
        What was done, in sentences; none if there was nothing to do.

    Raises:
        ValueError: if there is no chapter of that number, or an exercise is not well-formed; nothing was written then.
    """
    editions = {path.name: learner_edition(path) for path in notebooks.chosen(numbers, source)}
    handed_out = _read_manifest(folder)
    done = []
    for name, edition in editions.items():
        done.append(_hand_out(folder, name, edition, handed_out))
        notebooks.write(folder / MANIFEST, json.dumps(handed_out, indent=1) + "\n")
    return [sentence for sentence in done if sentence]


# The learner's edition


def learner_edition(path: Path) -> "NotebookNode":
    """Return a chapter without its outputs, and with stubs in the place of its solutions.

    Raises:
        ValueError: naming notebook and cell, if a solution is not marked as it must be.
    """
    notebook = notebooks.read(path)
    notebook.metadata.pop("course", None)  # fingerprints of the reading edition
    for number, cell in enumerate(notebook.cells, start=1):
        grading = cell.metadata.get("nbgrader", {})
        try:
            cell.source = with_stubs(cell.source, is_solution=grading.get("solution", False))
        except ValueError as error:
            raise ValueError(f"{path.name}, cell {number}, {cell.source.partition(chr(10))[0]!r}: {error}") from None
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        if grading.get("solution"):
            cell.metadata.get("jupyter", {}).pop("source_hidden", None)
        if grading.get("locked"):
            cell.metadata.update(editable=False, deletable=False)
    return notebook


def with_stubs(source: str, *, is_solution: bool = True) -> str:
    """Replace each solution in a cell by a stub that says what is expected.

    Args:
        source: the cell. ``# BEGIN SOLUTION: what is expected`` and ``# END SOLUTION`` stand on lines of their own.
        is_solution: whether the cell's metadata say that it holds a solution.

    Returns:
        The cell as a learner gets it. In a function the stub raises ``NotImplementedError``. At the left margin, where
        that would stop the notebook, it assigns ``...`` to the name that the last line of the solution assigns.

    Raises:
        ValueError: if the markers are not in order, or if the stub could not take the solution's place.
    """
    kept, solution, indent, expected = [], None, "", ""
    for line in source.split("\n"):
        marker = _MARKER.fullmatch(line)
        if marker is None and ("BEGIN SOLUTION" in line or "END SOLUTION" in line):  # nbgrader would take it for one
            raise ValueError(f"wanted '# BEGIN SOLUTION: ...' or '# END SOLUTION' alone on a line, got {line!r}")
        if marker is None:
            (kept if solution is None else solution).append(line)
        elif not is_solution:
            raise ValueError(f"{line.strip()!r} in a cell whose nbgrader metadata do not say 'solution': true")
        elif marker[2] == "BEGIN":
            if solution is not None:
                raise ValueError("BEGIN SOLUTION inside of a solution")
            if not marker[3]:
                raise ValueError("wanted what is expected: '# BEGIN SOLUTION: a tensor (B, C, T, H, W)'")
            solution, indent, expected = [], marker[1], marker[3]
        elif solution is None:
            raise ValueError("END SOLUTION without BEGIN SOLUTION")
        else:
            kept += _stub(solution, indent, expected)
            solution = None
    if solution is not None:
        raise ValueError("BEGIN SOLUTION without END SOLUTION")
    stubbed = "\n".join(kept)
    if is_solution:
        if not expected:
            raise ValueError("wanted a solution between '# BEGIN SOLUTION: ...' and '# END SOLUTION', got no markers")
        _expect_to_run(stubbed)
    return stubbed


def _stub(solution: Sequence[str], indent: str, expected: str) -> list[str]:
    """Return the lines that a learner finds in the place of a solution."""
    if indent:
        return [
            f"{indent}# YOUR CODE HERE",
            f"{indent}raise NotImplementedError({json.dumps(expected, ensure_ascii=False)})",
        ]
    match (_parsed("\n".join(solution)).body or [None])[-1]:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            pass
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            pass
        case _:
            raise ValueError("wanted a solution at the left margin to end by giving one name its value")
    return [f"{name} = ...  # YOUR CODE HERE: {expected}"]


def _expect_to_run(stubbed: str) -> None:
    """Raise unless a cell with stubs is Python, and reaches none of them when it runs."""
    reached: list[ast.AST] = [_parsed(stubbed)]
    while reached:
        node = reached.pop()
        if isinstance(node, ast.Raise):
            raise ValueError("wanted every indented solution inside of a function: its stub would stop the notebook")
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            reached += ast.iter_child_nodes(node)


def _parsed(code: str) -> ast.Module:
    try:
        return ast.parse(code)
    except SyntaxError as error:
        raise ValueError(f"wanted Python with and without the solution, got {error}") from None


# Handing out


def _hand_out(folder: Path, name: str, edition: "NotebookNode", handed_out: dict[str, list[str]]) -> str:
    """Bring one file of a workbook up to date, and the manifest with it; return what was done."""
    path, new, before = folder / name, _prints(edition.cells), handed_out.get(name)
    handed_out[name] = new
    if not path.exists():
        _save(path, edition)
        return f"{folder.name}/{name} was made."
    now = _prints_of(path)
    if new in (now, before):
        return ""
    if now == before:
        _save(path, edition)
        return f"{folder.name}/{name} was renewed: the chapter has changed, and you had not worked in it."
    beside = _beside(path, new, handed_out)
    _save(beside, edition)
    handed_out[beside.name] = new
    changes = f" What changed: {'; '.join(_changes(before, edition.cells))}." if before else ""
    left = f"{folder.name}/{name} was left as you have it"
    return f"{left}. The chapter as it is now is beside it, {beside.name}.{changes}"


def _beside(path: Path, new: list[str], handed_out: dict[str, list[str]]) -> Path:
    """Return the first name for a new edition that is free, or taken by one in which nobody has worked."""
    names = (path.with_name(f"{path.stem}.new{number if number > 1 else ''}.ipynb") for number in count(1))
    return next(name for name in names if not name.exists() or _prints_of(name) in (new, handed_out.get(name.name)))


def _prints(cells: Iterable[dict]) -> list[str]:
    """Return a fingerprint of the text of each cell; empty ones, which JupyterLab adds at the end, do not count."""
    filled = [cell for cell in cells if "".join(cell["source"]).strip() or cell.get("attachments")]
    contents = ((cell["cell_type"], "".join(cell["source"]), *sorted(cell.get("attachments") or ())) for cell in filled)
    return [notebooks.fingerprint(content)[:16] for content in contents]


def _prints_of(path: Path) -> list[str]:
    """Return the fingerprints of a file; one that cannot be read may be a learner's work, and equals no edition."""
    try:
        return _prints(json.loads(path.read_text(encoding="utf-8"))["cells"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ["unreadable"]


def _changes(before: Sequence[str], cells: Sequence[dict]) -> list[str]:
    """Name the exercises and sections of an edition that differ from an earlier one."""
    names, name = [], "the beginning"
    for cell in cells:
        if heading := cell.cell_type == "markdown" and _HEADING.search(cell.source):
            name = heading[1]
        if cell.source.strip():
            names.append(cell.metadata.get("nbgrader", {}).get("grade_id", name).removesuffix("-check"))
    blocks = SequenceMatcher(None, before, _prints(cells), autojunk=False).get_opcodes()
    # Where cells were only taken away, the one before stands for them.
    changed = (
        names[start:end] or names[max(start - 1, 0) :][:1] for kind, _, _, start, end in blocks if kind != "equal"
    )
    return list(dict.fromkeys(name for some in changed for name in some))


def _save(path: Path, notebook: "NotebookNode") -> None:
    import nbformat

    notebooks.write(path, nbformat.writes(notebook) + "\n")


def _read_manifest(folder: Path) -> dict[str, list[str]]:
    """Return what was handed out; without a record of it, every file counts as a learner's work."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    entries = manifest.items() if isinstance(manifest, dict) else ()
    return {
        name: prints
        for name, prints in entries
        if isinstance(prints, list) and all(isinstance(entry, str) for entry in prints)
    }
