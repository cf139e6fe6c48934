"""A pytest plugin that closes the holes of nbval: ``python -m pytest -p tests.nbval_strict --nbval notebooks``.

By itself nbval passes a cell that never ran, does not look at the error that a cell is meant to raise if the cell's
output is ignored, and compares clips, whose bytes differ from machine to machine, as if they were text.
"""

from pathlib import Path

from course import notebooks

MEDIA = {"text/html", "image/gif", "image/webp", "image/svg+xml", "video/mp4", "application/javascript"}


def pytest_collection_modifyitems(items):
    for item in items:
        if not hasattr(item, "cell"):
            continue
        item.parent.skip_compare = MEDIA.union(item.parent.skip_compare)
        if item.options["check_exception"]:
            item.options["check"] = True
        if item.cell.execution_count is None:
            item.runtest = lambda item=item: item.raise_cell_error("The stored cell was never executed")


def pytest_terminal_summary(terminalreporter, config):
    folders = map(Path, config.args)
    paths = sorted(path for folder in folders for path in (folder.glob("*.ipynb") if folder.is_dir() else [folder]))
    terminalreporter.section(f"code cells whose output nbval ignores (at most {notebooks.MAX_IGNORED_SHARE:.0%})")
    for path in paths:
        terminalreporter.line(f"{notebooks.ignored_share(notebooks.read(path)):4.0%}  {path.name}")
