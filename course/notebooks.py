"""The chapters as notebooks: kept in step with their text, executed at the full budget, and checked.

Each chapter is a pair. ``notebooks/source/NN_slug.py`` is what people edit, compare and review;
``notebooks/NN_slug.ipynb`` is the same chapter with its outputs. Three fingerprints in the notebook's metadata keep
the pair honest: ``course.paired`` of the cells on which the two files last agreed, ``course.executed`` of the code that
was last executed, and ``course.outputs`` of what it gave.
"""

import hashlib
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

from course.evaluation.claims import Record

if TYPE_CHECKING:
    from jupytext.config import JupytextConfiguration
    from nbclient import NotebookClient
    from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
README = NOTEBOOKS.parent / "README.md"

MAX_OUTPUT_BYTES = 1_500_000
"""What a notebook's outputs may weigh: much larger ones are slow to open, and forges stop drawing them."""

MAX_IGNORED_SHARE = 0.5
"""The share of code cells whose output nbval may ignore."""

_IGNORED = "nbval-ignore-output"
_TEXT_FORMAT = {"extension": ".py", "format_name": "percent"}
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_IGNORED = "nbval-ignore-output"
_TEXT_FORMAT = {"extension": ".py", "format_name": "percent"}
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_SHARED = ("course", "jupyter", "nbgrader", "tags")
"""The metadata of a cell that stand in the text too; pyproject.toml tells Jupytext the same."""

_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
_RESULTS = re.compile(r"(?<=<!-- results -->\n).*?(?=<!-- /results -->)", re.DOTALL)


class NotebookError(RuntimeError):
    """A notebook that cannot be executed, or a pair that cannot be brought together."""


def update(
    numbers: Iterable[str] = (), *, force: bool = False, folder: Path = NOTEBOOKS, readme: Path = README
) -> None:
    """Pair all chapters, execute those whose code changed, and renew the table of results in the README.

    Args:
        numbers: execute these chapters at most, such as ``["01", "07"]``; without any, all.
        force: execute them even if their code did not change: right when the package or its dependencies did.
        folder: where the notebooks are.
        readme: the file with the table.

    Raises:
        NotebookError: if a pair cannot be brought together or a cell fails; what was done by then stays done.
        ValueError: if there is no chapter of that number.
    """
    paths = chapters(folder)
    known = {path.name[:2] for path in paths}
    chosen = {str(number).zfill(2) for number in numbers} or known
    if not chosen <= known:
        raise ValueError(f"no chapter {', '.join(sorted(chosen - known))}; there are {', '.join(sorted(known))}")
    for path in paths:
        if done := sync(path):
            print(f"{path.stem}: {done}")
    for path in paths if force else stale(folder):
        if path.name[:2] in chosen:
            print(f"{path.stem}: executing at the full budget", flush=True)
            execute(path)
    write(readme, with_results(readme.read_text(encoding="utf-8"), folder))


def chapters(folder: Path = NOTEBOOKS) -> list[Path]:
    """Return the notebook of every chapter in reading order, also of those that exist as text only so far.

    A copy beside a chapter, which has no text of its own, is none.
    """
    texts = {folder / f"{text.stem}.ipynb" for text in folder.glob("source/[0-9][0-9]_*.py")}
    numbers = {path.name[:2] for path in texts}
    return sorted({*texts, *(path for path in folder.glob("[0-9][0-9]_*.ipynb") if path.name[:2] not in numbers)})


def chosen(numbers: Iterable[str] = (), folder: Path = NOTEBOOKS) -> list[Path]:
    """Return the notebooks of chapters by their numbers, in reading order; without numbers, all that are there.

    Args:
        numbers: such as ``["01", "7"]``.
        folder: where the notebooks are.

    Raises:
        ValueError: if there is no chapter of that number.
    """
    paths = {path.name[:2]: path for path in chapters(folder) if path.exists()}
    wanted = {str(number).zfill(2) for number in numbers} or set(paths)
    if not wanted <= set(paths):
        raise ValueError(f"no chapter {', '.join(sorted(wanted - set(paths)))}; there are {', '.join(paths)}")
    return [path for number, path in paths.items() if number in wanted]


def text_of(path: Path) -> Path:
    """Return the path of a notebook's text."""
    return path.parent / "source" / f"{path.stem}.py"


def read(path: Path) -> "NotebookNode":
    """Read a notebook.

    Raises:
        ValueError: with the path, if it is not one.
    """
    import nbformat

    try:
        return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, nbformat.ValidationError) as error:
        raise ValueError(f"{path}: not a notebook: {str(error).splitlines()[0]}") from None


# Pairing


def sync(path: Path) -> str:
    """Bring a notebook and its text together, whichever of the two was edited.

    Contents decide, not the dates of the files, which mean nothing after ``git clone``: of two files that differ, the
    one that still is what both agreed on last time follows the other. Unchanged cells keep their outputs.

    Args:
        path: the notebook. It may be missing, or its text may be.

    Returns:
        What was done, in words; empty if nothing was.

    Raises:
        NotebookError: if both were edited.
    """
    from jupytext.combine import combine_inputs_with_outputs

    text = text_of(path)
    from_text = _parse(text) if text.exists() else None
    notebook = read(path) if path.exists() else from_text
    here, there = _content_hash(notebook), from_text and _content_hash(from_text)
    agreed = notebook.metadata.get("course", {}).get("paired")
    if here == there:
        done = "tidied" if path.exists() else "made from its text"
    elif there in (None, agreed):
        # The text first: if this stops half-way, the two agree, and nothing is lost.
        write(text, _as_text(notebook))
        _save(path, notebook)
        return "its text follows it"
    elif here == agreed:
        notebook, done = combine_inputs_with_outputs(from_text, notebook, _TEXT_FORMAT), "follows its text"
    else:
        raise NotebookError(
            f"{path.name} and source/{text.name} were both edited since they last agreed. Give up one of the two:\n"
            f"  git checkout -- {path}   (the text stays)\n"
            f"  git checkout -- {text}   (the notebook stays)"
        )
    return done if _save(path, notebook) else ""


def _parse(text: Path) -> "NotebookNode":
    import jupytext

    return jupytext.reads(text.read_text(encoding="utf-8"), fmt=_TEXT_FORMAT, config=_jupytext_config())


def _as_text(notebook: "NotebookNode") -> str:
    import jupytext

    return jupytext.writes(notebook, fmt=_TEXT_FORMAT, config=_jupytext_config())


def _jupytext_config() -> "JupytextConfiguration":
    """Return the pairing that pyproject.toml states for JupyterLab, so that both write the same text."""
    from jupytext.config import load_jupytext_config

    return load_jupytext_config(str(NOTEBOOKS))


def _content_hash(notebook: "NotebookNode") -> str:
    """Return a fingerprint of what a notebook and its text share, up to the layout of the text."""
    import jupytext

    cells = jupytext.reads(_as_text(notebook), fmt=_TEXT_FORMAT).cells
    keys = _shared_metadata()
    return fingerprint([(cell.cell_type, cell.source, [cell.metadata.get(key) for key in keys]) for cell in cells])


def _shared_metadata() -> list[str]:
    """Return the keys of a cell's metadata that stand in the text too."""
    return [key for key in _jupytext_config().cell_metadata_filter.split(",") if not key.startswith("-")]


# Executing


def execute(path: Path, *, timeout: int = 900) -> None:
    """Run a notebook from top to bottom at the full budget and store its outputs.

    The kernel is the Python that runs this, whatever kernels the user has installed. A run that hangs is tried once
    more. Nothing is written unless every cell succeeds.

    Args:
        path: the notebook.
        timeout: seconds for one cell.

    Raises:
        NotebookError: with the cell and its error.
    """
    from nbclient.exceptions import CellControlSignal, CellTimeoutError, DeadKernelError

    try:
        try:
            notebook = _run(path, timeout)
        except CellTimeoutError:  # nbclient itself is known to hang once in a long while
            notebook = _run(path, timeout)
    except (CellControlSignal, DeadKernelError) as error:
        raise NotebookError(f"{path.name} was left as it was:\n{error}") from error
    notebook.metadata["course"] = {"executed": code_hash(notebook), "outputs": _outputs_hash(notebook)}
    _save(path, notebook)


def _run(path: Path, timeout: int) -> "NotebookNode":
    """Return the notebook with fresh outputs."""
    notebook = read(path)
    for cell in _code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    client(notebook, path.parent, timeout=timeout).execute(cleanup_kc=True, env=full_budget())
    for cell in _code_cells(notebook):
        for output in cell.outputs:
            # Without the widget's state, its view would show nothing but an error.
            output.get("data", {}).pop(_WIDGET_VIEW, None)
            # The folder of the project differs from machine to machine.
            if "traceback" in output:
                output.traceback = [line.replace(f"{NOTEBOOKS.parent}{os.sep}", "") for line in output.traceback]
    return notebook


def client(notebook: "NotebookNode", folder: Path, *, timeout: int = 900) -> "NotebookClient":
    """Return what runs the cells of a notebook in a kernel, which is the Python that runs this.

    Args:
        notebook: its cells get the outputs.
        folder: where the kernel runs.
        timeout: seconds for one cell.
    """
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    this_python = KernelSpecManager(kernel_dirs=[])  # without folders to search, python3 is the running interpreter
    return NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=this_python),
        timeout=timeout,
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--log-level=ERROR"],
        coalesce_streams=True,  # how a stream is cut into messages is chance
        store_widget_state=False,
        record_timing=False,
    )


def full_budget() -> dict[str, str]:
    """Return the environment of a kernel that works at the full budget."""
    return {**os.environ, "COURSE_BUDGET": "full"}


def stale(folder: Path = NOTEBOOKS) -> list[Path]:
    """Return the chapters whose outputs are not those of their code."""
    return [path for path in chapters(folder) if not path.exists() or is_stale(read(path))]


def is_stale(notebook: "NotebookNode") -> bool:
    """Tell whether a notebook's code or outputs differ from what was executed and what it gave."""
    course = notebook.metadata.get("course", {})
    return (course.get("executed"), course.get("outputs")) != (code_hash(notebook), _outputs_hash(notebook))


def code_hash(notebook: "NotebookNode") -> str:
    """Return a fingerprint of what runs: the source and the tags of every code cell, in order."""
    return fingerprint([(cell.source, cell.metadata.get("tags", [])) for cell in _code_cells(notebook)])


def _outputs_hash(notebook: "NotebookNode") -> str:
    return fingerprint([cell.outputs for cell in _code_cells(notebook)])


# Files


def _tidy(notebook: "NotebookNode") -> None:
    """Keep what belongs under version control, so that the same chapter always gives the same bytes."""
    import nbformat

    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict(_METADATA | {"course": notebook.metadata.get("course", {})})
    kept = {*_shared_metadata(), "lines_to_next_cell"}  # the last is the layout of the text
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        for key in set(cell.metadata) - kept:
            del cell.metadata[key]
        name = fingerprint((cell.cell_type, cell.source))[:8]
        seen[name] += 1
        cell.id = name if seen[name] == 1 else f"{name}-{seen[name]}"


def _save(path: Path, notebook: "NotebookNode") -> bool:
    """Write a notebook in its tidy form; return whether the file changed."""
    import nbformat

    _tidy(notebook)
    notebook.metadata["course"]["paired"] = _content_hash(notebook)
    return write(path, nbformat.writes(notebook) + "\n")


def write(path: Path, text: str) -> bool:
    """Write a file in one piece, never half of it; return whether it changed."""
    path = Path(os.path.realpath(path))  # a link stays a link
    if path.exists() and path.read_bytes() == text.encode("utf-8"):
        return False
    path.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        part = Path(folder) / path.name
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(path)
    return True


def write_each(
    numbers: Iterable[str], make: Callable[[Path], str], *, suffix: str, folder: Path, source: Path = NOTEBOOKS
) -> list[Path]:
    """Write a file made of each of some chapters; one that is there is renewed.

    Args:
        numbers: as of ``chosen``.
        make: from the path of a chapter to the text.
        suffix: of the files, such as ".md".
        folder: where to write.
        source: where the chapters are.

    Returns:
        The files.

    Raises:
        ValueError: if there is no chapter of that number. Nothing was written then.
    """
    chapters, written = chosen(numbers, source), []
    folder.mkdir(parents=True, exist_ok=True)
    for path in chapters:
        written.append(folder / f"{path.stem}{suffix}")
        write(written[-1], make(path))
    return written


def fingerprint(content: object) -> str:
    """Return a hash of what JSON can hold, the same on every machine."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _code_cells(notebook: "NotebookNode") -> list["NotebookNode"]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


# Checking


def problems(path: Path) -> Iterator[str]:
    """Find all that is wrong with a stored notebook, in sentences."""
    if not path.exists():
        yield "it was never executed: run make notebooks"
        return
    notebook = read(path)
    code = _code_cells(notebook)
    if is_stale(notebook):
        yield "its outputs are not those of its code: run make notebooks"
    text = text_of(path)
    if not text.exists() or _content_hash(notebook) != _content_hash(_parse(text)):
        yield "it and its text do not agree: run make notebooks"
    if "widgets" in notebook.metadata:
        yield "the state of widgets was stored in it"
    if any(cell.execution_count is None for cell in code):
        yield "a code cell was never executed"
    elif [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        yield "its cells were not executed once, from top to bottom"
    outputs = json.dumps([cell.outputs for cell in code])
    if json.dumps(str(NOTEBOOKS.parent))[1:-1] + os.sep in outputs:
        yield "its outputs name the folder in which it was executed"
    size = len(outputs.encode())
    if size > MAX_OUTPUT_BYTES:
        yield f"its outputs weigh {size:,} bytes, more than {MAX_OUTPUT_BYTES:,}"
    if ignored_share(notebook) > MAX_IGNORED_SHARE:
        yield f"nbval ignores {ignored_share(notebook):.0%} of its code cells, more than {MAX_IGNORED_SHARE:.0%}"
    if any(not record.judged for record in _records(notebook)):
        yield "it shows a claim that was not judged: it was run at the smoke budget"
    for number, cell in enumerate(notebook.cells, start=1):
        for fault in _cell_problems(cell):
            yield f"cell {number}, {cell.source.partition(chr(10))[0]!r}: {fault}"


def _cell_problems(cell: "NotebookNode") -> Iterator[str]:
    tags = cell.metadata.get("tags", [])
    if {"nbval-skip", "skip-execution"} & set(tags) or re.search(r"^\s*#+\s*NBVAL_", cell.source, re.MULTILINE):
        yield f"it hides from nbval; what depends on the budget carries the tag {_IGNORED}, and nothing else is exempt"
    for output in cell.get("outputs", []):
        if output.output_type == "error" and "raises-exception" not in tags:
            yield f"an error is stored, {output.ename}: {output.evalue}"
        data = output.get("data", {})
        is_picture = any(kind.startswith("image/") for kind in data)
        if is_picture and re.fullmatch(r"\s*(<.*>)?\s*", data.get("text/plain", ""), re.DOTALL):
            yield "a picture has no description: its text/plain is what a reader without the picture gets"
        html = _Pictures()
        html.feed(data.get("text/html", ""))
        for tag in html.undescribed:
            yield f"its <{tag}> has no alt or aria-label"


class _Pictures(HTMLParser):
    """Collects the pictures and videos of a page that a reader who cannot see them knows nothing of."""

    def __init__(self) -> None:
        super().__init__()
        self.undescribed: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one tag."""
        described = any(name in ("alt", "aria-label") and (value or "").strip() for name, value in attrs)
        if tag in ("img", "video") and not described:
            self.undescribed.append(tag)


def ignored_share(notebook: "NotebookNode") -> float:
    """Return the share of code cells whose output nbval does not compare."""
    code = _code_cells(notebook)
    return sum(_IGNORED in cell.metadata.get("tags", []) for cell in code) / max(len(code), 1)


# The table of results


def results_table(folder: Path = NOTEBOOKS) -> str:
    """Return the claims of all chapters as a Markdown table."""
    rows = [("chapter", "claim", "measured", "wanted", "baseline", "control", "verdict"), ("---",) * 7]
    for path in chapters(folder):
        for record in _records(read(path)) if path.exists() else ():
            link = f"[{path.name[:2]}]({folder.name}/{path.name})"
            beside = (record.beside.get(name, "") for name in ("baseline", "control"))
            rows.append(
                (link, record.text.replace("|", r"\|"), record.measured, record.wanted, *beside, record.verdict)
            )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def with_results(readme: str, folder: Path = NOTEBOOKS) -> str:
    """Return the text of the README with the table of results as it ought to be.

    Raises:
        ValueError: if the README has no place for it.
    """
    if len(_RESULTS.findall(readme)) != 1:
        raise ValueError("README.md: wanted one pair of lines <!-- results --> and <!-- /results -->")
    return _RESULTS.sub(lambda _: results_table(folder), readme)


def _records(notebook: "NotebookNode") -> Iterator[Record]:
    """Return the claims stored with a notebook's outputs."""
    for cell in _code_cells(notebook):
        for output in cell.outputs:
            if "claim" in (course := output.get("metadata", {}).get("course", {})):
                yield Record(**course["claim"])
