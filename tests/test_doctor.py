import re
import subprocess
import sys
import tomllib
import types
from importlib import metadata
from pathlib import Path

import pytest
import torch

from course import doctor
from course.doctor import Finding

PROJECT = tomllib.loads((doctor.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def found(name):
    """Return the one finding of that name."""
    (finding,) = (finding for finding in doctor.examine() if finding.name == name)
    return finding


@pytest.fixture
def without(monkeypatch):
    """Make a package look as if it had never been installed."""

    def remove(distribution, module):
        original = metadata.version

        def version(name):
            if name == distribution:
                raise metadata.PackageNotFoundError(name)
            return original(name)

        monkeypatch.setattr(metadata, "version", version)
        monkeypatch.setitem(sys.modules, module, None)

    return remove


def test_this_machine_has_what_is_essential(capsys):
    assert doctor.run() == 0
    printed = capsys.readouterr().out
    assert "missing" not in printed
    assert printed.endswith("\nEverything essential is there.\n")
    names = {finding.name for finding in doctor.examine()}
    assert {re.match(r"[\w-]+", text)[0] for text in PROJECT["dependencies"]} <= names
    assert {"Python", "ffmpeg", "widgets in Lab", "digits", "disk", "memory", "cores", "folder"} <= names


def test_the_least_python_is_that_of_the_project():
    assert PROJECT["requires-python"] == ">=" + ".".join(map(str, doctor.PYTHON))


def test_the_report_is_aligned_and_mends_what_is_not_ok():
    findings = [
        Finding("Python", True, True, "3.13", "not needed"),
        Finding("ffmpeg", False, True, "not found", "get it"),
        Finding("torch", False, True, "not found", "make setup"),
        Finding("numpy", False, True, "not found", "make setup"),
        Finding("moviepy", True, True, "2.2", "make setup"),
        Finding("free disk", False, False, "1 GB", "free some"),
    ]
    assert doctor.report(findings).splitlines() == [
        "ok       Python     3.13",
        "missing  ffmpeg     not found",
        "                    mend: get it",
        "missing  torch      not found",
        "missing  numpy      not found",
        "                    mend: make setup",
        "ok       moviepy    2.2",
        "warning  free disk  1 GB",
        "                    mend: free some",
        "",
        "Essential, and missing: 3",
    ]


@pytest.mark.parametrize(
    ("ok", "essential", "code"), [(True, True, 0), (True, False, 0), (False, False, 0), (False, True, 1)]
)
def test_only_what_is_essential_and_missing_sets_the_exit_code(monkeypatch, capsys, ok, essential, code):
    monkeypatch.setattr(doctor, "examine", lambda: [Finding("thing", ok, essential, "found", "mend it")])
    assert doctor.run() == code
    assert ("mend: mend it" in capsys.readouterr().out) is not ok


def test_an_old_python_is_all_that_is_said(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 12))
    (finding,) = doctor.examine()
    assert (finding.name, finding.ok, finding.essential) == ("Python", False, True)
    assert "install Python 3.11 or newer" in finding.mend


def test_without_torch_the_doctor_still_speaks(without, capsys):
    without("torch", "torch")
    assert doctor.run() == 1
    printed = capsys.readouterr().out
    assert re.search(
        r"^missing  torch +not installed, wanted [\d.]+ or newer\n +mend: make setup", printed, re.MULTILINE
    )
    assert re.search(r"^missing  torch works +ModuleNotFoundError", printed, re.MULTILINE)
    assert re.search(r"^ok       ffmpeg", printed, re.MULTILINE)
    assert printed.endswith("\nEssential, and missing: 2\n")


def test_the_doctor_imports_only_the_standard_library():
    code = "import sys; sys.modules['torch'] = None; from course import doctor; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert "course" in loaded
    assert loaded & {"numpy", "PIL", "psutil", "jupyter_core", "imageio_ffmpeg"} == set()


@pytest.mark.parametrize(
    ("version", "ok", "words"),
    [
        ("2.13.0", True, r"2\.13\.0"),
        ("2.13.0+cu128", True, r"2\.13\.0\+cu128"),
        ("2.9.1", True, r"2\.9\.1, while the course was checked with 2\.13\.0"),
        ("2.10", True, r"2\.10, while .*"),
        ("2.5.1", False, r"2\.5\.1, wanted 2\.6 or newer"),
        ("1.13", False, r"1\.13, wanted 2\.6 or newer"),
    ],
)
def test_versions_are_compared_number_by_number(monkeypatch, tmp_path, version, ok, words):
    (tmp_path / "constraints.txt").write_text("# comment\ntorchvision==9.9\ntorch==2.13.0\n")
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    monkeypatch.setattr(metadata, "version", lambda name: version)
    is_ok, text = doctor._package("torch", "2.6")
    assert is_ok is ok
    assert re.fullmatch(words, text)


def test_a_package_that_breaks_on_import_is_a_finding(monkeypatch, tmp_path):
    (tmp_path / "imageio_ffmpeg.py").write_text("raise OSError('libmissing.so: cannot open\\nmore')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "imageio_ffmpeg", raising=False)
    finding = found("ffmpeg")
    assert not finding.ok
    assert finding.essential
    assert finding.found == "OSError: libmissing.so: cannot open"


@pytest.fixture
def ffmpeg(monkeypatch, tmp_path):
    """Put a script in the place of ffmpeg."""

    def replace(body):
        program = tmp_path / "ffmpeg"
        program.write_text(f"#!{sys.executable}\nimport sys, time\nsys.stdin.buffer.read()\n{body}\n")
        program.chmod(0o755)
        monkeypatch.setitem(sys.modules, "imageio_ffmpeg", types.SimpleNamespace(get_ffmpeg_exe=lambda: str(program)))
        return program

    return replace


needs_scripts = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for ffmpeg is a script")


@needs_scripts
def test_an_ffmpeg_without_its_encoder_is_named(ffmpeg):
    program = ffmpeg("sys.exit('ffmpeg version 5\\nUnknown encoder libx264')")
    finding = found("ffmpeg")
    assert not finding.ok
    assert finding.found == f"{program} cannot encode H.264: Unknown encoder libx264"
    assert "imageio-ffmpeg" in finding.mend


@needs_scripts
def test_an_ffmpeg_that_hangs_is_given_up(ffmpeg, monkeypatch):
    ffmpeg("time.sleep(60)")
    run = subprocess.run

    def impatient(*args, timeout, **options):
        return run(*args, timeout=timeout / 50, **options)

    monkeypatch.setattr(subprocess, "run", impatient)
    finding = found("ffmpeg")
    assert not finding.ok
    assert finding.found.startswith("TimeoutExpired")


def test_no_ffmpeg_at_all_is_a_finding(monkeypatch):
    def get_ffmpeg_exe():
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr("imageio_ffmpeg.get_ffmpeg_exe", get_ffmpeg_exe)
    assert found("ffmpeg").found == "RuntimeError: No ffmpeg exe could be found."


@pytest.mark.parametrize(("seen", "words"), [(True, "a GPU is seen"), (False, "no GPU is seen, and none is needed")])
def test_a_gpu_build_is_told_from_the_cpu_build(monkeypatch, seen, words):
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: seen)
    finding = found("torch works")
    assert finding.ok
    assert finding.found.startswith(f"GPU build (12.8), gigabytes larger than the CPU build; {words}; ")
    monkeypatch.setattr(torch.version, "cuda", None)
    assert found("torch works").found.startswith("CPU build, ")


def test_missing_widgets_are_found(monkeypatch, tmp_path):
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda name: [str(tmp_path / name)])
    assert not found("widgets in Lab").ok
    card = tmp_path / "labextensions/@jupyter-widgets/jupyterlab-manager/package.json"
    card.parent.mkdir(parents=True)
    card.write_text('{"version": "5.0.1"}')
    assert found("widgets in Lab").ok
    assert found("widgets in Lab").found == "extension 5.0.1"


def test_pillow_without_webp_is_found(monkeypatch):
    monkeypatch.setattr("PIL.features.check", lambda feature: feature != "webp")
    assert (found("WebP").ok, found("WebP").essential) == (False, True)


def test_a_folder_that_cannot_be_written_to_is_found(monkeypatch):
    def refuse(dir):
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    finding = found("folder")
    assert (finding.ok, finding.essential) == (False, True)
    assert "Permission denied" in finding.found


@pytest.mark.parametrize(("free", "ok"), [(1.9e9, False), (2e9, True)])
def test_little_disk_is_a_warning(monkeypatch, free, ok):
    monkeypatch.setattr("shutil.disk_usage", lambda path: types.SimpleNamespace(free=free))
    finding = found("disk")
    assert (finding.ok, finding.essential) == (ok, False)
    assert finding.found == f"{free / 1e9:.1f} GB free, wanted 2"


@pytest.mark.parametrize(("total", "ok"), [(2e9, False), (8e9, True)])
def test_little_memory_is_a_warning(monkeypatch, total, ok):
    monkeypatch.setattr("psutil.virtual_memory", lambda: types.SimpleNamespace(total=total))
    assert (found("memory").ok, found("memory").essential) == (ok, False)


def test_memory_that_cannot_be_known_is_no_fault(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert (found("memory").ok, found("memory").found) == (True, "not known")


def test_one_core_is_a_warning(monkeypatch):
    monkeypatch.setattr(doctor.os, "sched_getaffinity", lambda process: {0}, raising=False)
    assert (found("cores").ok, found("cores").essential, found("cores").found) == (False, False, "1, wanted 2")


@pytest.mark.parametrize(
    ("prefix", "conda", "own"), [("/usr", False, False), ("/home/ada/.venv", False, True), ("/usr", True, True)]
)
def test_the_environment_is_told_from_the_system(monkeypatch, prefix, conda, own):
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(sys, "prefix", prefix)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    if conda:
        monkeypatch.setenv("CONDA_PREFIX", prefix)
    assert doctor._environment() == (own, f"{'its own' if own else 'shared with the whole system'}, {prefix}")


def test_digits_cut_short_are_found(monkeypatch, tmp_path):
    import gzip

    path = tmp_path / "digits.csv.gz"
    path.write_bytes(gzip.compress(b"0,1,2\n" * 100))
    monkeypatch.setattr(metadata, "distribution", lambda name: types.SimpleNamespace(locate_file=lambda _: Path(path)))
    assert doctor._digits() == (False, "100 of 1797 handwritten digits")
    path.write_bytes(path.read_bytes()[:20])
    assert doctor._look("digits", doctor._digits, "mend").found.startswith("EOFError")
