"""Imports run one way, nothing heavy is imported before it is needed, and nothing is re-exported."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

COURSE = Path(__file__).parents[1] / "course"

# Each part imports from its left only.
LEFT_TO_RIGHT = (
    "clips budget distributed video datasets layers models diffusion training generation evaluation display "
    "progress exercises notebooks workbook assignment answer_key workshop slides recipes doctor benchmark cli __main__"
)
ORDER = LEFT_TO_RIGHT.split()

HEAVY = {
    *("IPython", "anywidget", "imageio", "ipywidgets", "jupytext", "matplotlib", "moviepy", "nbclient", "nbformat"),
    "sklearn",
}

FILES = sorted(COURSE.rglob("*.py"))


def module_of(path):
    """Return the dotted name of a file: course/datasets/sprites.py is course.datasets.sprites."""
    parts = path.relative_to(COURSE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path):
    """Yield the dotted name of all that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(module):
    """Return the part of the course that a module belongs to: course.datasets.sprites is in datasets."""
    return module.split(".")[1]


@pytest.mark.parametrize("path", [path for path in FILES if path != COURSE / "__init__.py"], ids=module_of)
def test_imports_run_one_way(path):
    part = part_of(module_of(path))
    assert part in ORDER, f"{part} has no place in the order of imports yet"
    left = ORDER[: ORDER.index(part)]
    for module in imports_of(path):
        if module.startswith("course."):
            assert part_of(module) in (part, *left), f"{module_of(path)} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_nothing_is_imported_by_star_and_only_video_knows_moviepy(path):
    modules = list(imports_of(path))
    assert not [module for module in modules if module.endswith(".*")]
    knows_moviepy = any(module.split(".")[0] == "moviepy" for module in modules)
    assert not knows_moviepy or path == COURSE / "video.py"


@pytest.mark.parametrize("path", [path for path in FILES if path.stem == "__init__"], ids=module_of)
def test_a_package_re_exports_nothing(path):
    body = ast.parse(path.read_text(encoding="utf-8")).body
    assert [type(node) for node in body] == [ast.Expr], "wanted a docstring and nothing else"


def test_importing_the_whole_course_imports_nothing_heavy():
    modules = [module_of(path) for path in FILES if path.stem != "__main__"]
    code = f"import importlib, sys\nfor name in {modules}: importlib.import_module(name)\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    loaded = set(run.stdout.split())
    assert set(modules) <= loaded
    assert loaded & HEAVY == set()
