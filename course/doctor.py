"""What the machine has, what it lacks, and how to mend it.

Nothing but the standard library is imported at the top, so that the doctor can speak where all else is missing.
"""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = (3, 11)
DISK_GB, MEMORY_GB, CORES = 2, 4, 2

INSTALL = "make setup, or: python -m pip install --constraint constraints.txt --editable ."
WIDGETS = "@jupyter-widgets/jupyterlab-manager"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        ok: whether it is as it should be.
        essential: whether the course cannot do without it.
        found: what was found, in words.
        mend: what to do if it is not ok.
    """

    name: str
    ok: bool
    essential: bool
    found: str
    mend: str


def run() -> int:
    """Examine the machine, print the report, and return the exit code: 1 if something essential is missing."""
    findings = examine()
    print(report(findings))
    return int(any(finding.essential and not finding.ok for finding in findings))


def report(findings: list[Finding]) -> str:
    """Write findings as lines in columns, and below those that are not ok what mends them."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding, below in zip_longest(findings, findings[1:]):
        word = "ok" if finding.ok else "missing" if finding.essential else "warning"
        lines.append(f"{word:<9}{finding.name:<{width}}  {finding.found}")
        said_below = below is not None and not below.ok and below.mend == finding.mend
        if not finding.ok and not said_below:
            lines.append(f"{'':<9}{'':<{width}}  mend: {finding.mend}")
    missing = sum(finding.essential and not finding.ok for finding in findings)
    lines.append(f"\nEssential, and missing: {missing}" if missing else "\nEverything essential is there.")
    return "\n".join(lines)


def examine() -> list[Finding]:
    """Look at Python, the packages, what they need to work, and the machine.

    An error on the way is a finding, too. With too old a Python nothing else is worth a look.
    """
    newer = ".".join(map(str, PYTHON))
    python = _look("Python", _python, f"install Python {newer} or newer, then: make setup PYTHON=python{newer}")
    if not python.ok:
        return [python]
    torch = f"{INSTALL}; on Linux, TORCH_INDEX=https://download.pytorch.org/whl/cpu after make setup saves gigabytes"
    ffmpeg = "python -m pip install --force-reinstall imageio-ffmpeg, or let IMAGEIO_FFMPEG_EXE name another ffmpeg"
    return [
        python,
        *(_look(name, partial(_package, name, least), INSTALL) for name, least in _requirements()),
        _look("torch works", _torch, torch),
        _look("ffmpeg", _ffmpeg, ffmpeg),
        _look("widgets in Lab", _widgets, "python -m pip install --force-reinstall jupyterlab_widgets"),
        _look("WebP", _webp, "python -m pip install --force-reinstall --constraint constraints.txt pillow"),
        _look("digits", _digits, "python -m pip install --force-reinstall --constraint constraints.txt scikit-learn"),
        _look("folder", _folder, "move the course to a folder in which you may write"),
        _look("environment", _environment, "make setup makes one in .venv", essential=False),
        _look("disk", _disk, "free some space", essential=False),
        _look("memory", _memory, "close other programs while a chapter trains", essential=False),
        _look("cores", _cores, "expect longer times than the chapters state", essential=False),
    ]


def _look(name: str, check: Callable[[], tuple[bool, str]], mend: str, essential: bool = True) -> Finding:
    try:
        ok, found = check()
    except Exception as error:  # whatever is broken, the other findings matter as well
        ok, found = False, f"{type(error).__name__}: {error}".splitlines()[0]
    return Finding(name, ok, essential, found, mend)


def _python() -> tuple[bool, str]:
    return sys.version_info >= PYTHON, f"{sys.version.split()[0]}, {_within(sys.executable)}"


def _within(path: str) -> str:
    """Return a path as seen from the course's folder, if it lies there."""
    return str(Path(path).relative_to(ROOT)) if Path(path).is_relative_to(ROOT) else path


def _requirements() -> list[tuple[str, str]]:
    """Return the name and the least version of each package that pyproject.toml asks for."""
    import tomllib  # since Python 3.11

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement).groups() for requirement in project["dependencies"]]


def _package(name: str, least: str) -> tuple[bool, str]:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return False, f"not installed, wanted {least} or newer"
    if _numbers(version) < _numbers(least):
        return False, f"{version}, wanted {least} or newer"
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    known = re.search(rf"^{re.escape(name)}==(\S+)", pins, re.MULTILINE | re.IGNORECASE)
    other = known and _numbers(known[1]) != _numbers(version)
    return True, f"{version}, while the course was checked with {known[1]}" if other else version


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version up to the name of a build: 2.13.0+cu128 is 2, 13, 0."""
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("+")[0]))


def _torch() -> tuple[bool, str]:
    import torch

    threads = f"{torch.get_num_threads()} threads"
    toolkit = torch.version.cuda or torch.version.hip
    if not toolkit:
        return True, f"CPU build, {threads}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of drivers: the course needs no GPU
        seen = "a GPU is seen" if torch.cuda.is_available() else "no GPU is seen, and none is needed"
    return True, f"GPU build ({toolkit}), gigabytes larger than the CPU build; {seen}; {threads}"


def _ffmpeg() -> tuple[bool, str]:
    """Encode four black frames, as the course does."""
    import imageio_ffmpeg

    program = imageio_ffmpeg.get_ffmpeg_exe()
    options = "-f rawvideo -pix_fmt rgb24 -s 16x16 -r 8 -i - -c:v libx264 -pix_fmt yuv420p -f null -"
    frames = bytes(4 * 16 * 16 * 3)
    done = subprocess.run([program, *options.split()], input=frames, capture_output=True, timeout=10, check=False)
    lines = done.stderr.decode(errors="replace").splitlines() or [""]
    if done.returncode:
        return False, f"{program} cannot encode H.264: {lines[-1]}"
    version = re.match(r"ffmpeg version (\S+)", lines[0])
    return True, f"{version[1] if version else 'of unknown version'}, encodes H.264"


def _widgets() -> tuple[bool, str]:
    from jupyter_core.paths import jupyter_path

    for folder in jupyter_path("labextensions"):
        card = Path(folder, WIDGETS, "package.json")
        if card.is_file():
            return True, f"extension {json.loads(card.read_text(encoding='utf-8'))['version']}"
    return False, f"JupyterLab has no extension {WIDGETS}"


def _webp() -> tuple[bool, str]:
    from PIL import features

    return (True, "Pillow writes it") if features.check("webp") else (False, "Pillow was built without it")


def _digits() -> tuple[bool, str]:
    """Count the handwritten digits that come with scikit-learn, without the second that importing it takes."""
    path = metadata.distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    with gzip.open(path) as file:
        number = sum(1 for _ in file)
    return number == 1797, f"{number} of 1797 handwritten digits"


def _folder() -> tuple[bool, str]:
    with tempfile.TemporaryFile(dir=ROOT):
        return True, "the course can write here"


def _environment() -> tuple[bool, str]:
    own = sys.prefix != sys.base_prefix or "CONDA_PREFIX" in os.environ
    return own, f"{'its own' if own else 'shared with the whole system'}, {_within(sys.prefix)}"


def _disk() -> tuple[bool, str]:
    free = shutil.disk_usage(ROOT).free / 1e9
    return free >= DISK_GB, f"{free:.1f} GB free, wanted {DISK_GB}"


def _memory() -> tuple[bool, str]:
    try:
        import psutil  # comes with ipykernel
    except ImportError:
        return True, "not known"
    memory = psutil.virtual_memory()
    return memory.total >= MEMORY_GB * 1e9, f"{memory.total / 1e9:.1f} GB, wanted {MEMORY_GB}"


def _cores() -> tuple[bool, str]:
    # Where it can be told, what this process may use, which in a container is less than what there is.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores >= CORES, f"{cores}, wanted {CORES}"
