import json
import subprocess
import sys

import pytest

from course import cli, doctor, workbook
from course.recipes import shipped
from course.training.checkpoint import Card
from course.video import probe, read_clip


def test_render_writes_what_the_captions_say(tmp_path, capsys):
    path = tmp_path / "two.gif"
    words = ["a red circle moves left", "a blue square stands still"]
    assert cli.main(["render", str(path), *words, "--size", "16", "--frames", "5", "--fps", "10"]) == 0
    assert "; ".join(words) in capsys.readouterr().out
    assert read_clip(path).shape == (5, 3, 16, 2 * 16 + 2)
    assert probe(path).fps == 10


@pytest.mark.parametrize(
    "arguments",
    [
        ["a pink circle moves left"],
        ["a red circle moves left while a blue square moves up"],
        ["--size", "20"],
        ["--fps", "0"],
        ["--frames", "100000000"],
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, tmp_path, capsys):
    assert cli.main(["render", str(tmp_path / "x.gif"), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("python -m course: ")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_calibrate_prints_the_table(capsys):
    assert cli.main(["calibrate", "--clips", "100"]) == 0
    assert "bound on the residual: 0.0" in capsys.readouterr().out
    assert cli.main(["calibrate", "--clips", "3"]) == 2


def test_workbook_and_progress(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "workbook"
    monkeypatch.setattr(workbook, "WORKBOOK", folder)
    monkeypatch.setitem(workbook.make.__kwdefaults__, "folder", folder)
    monkeypatch.delenv("COURSE_PROGRESS", raising=False)
    assert cli.main(["workbook", "01"]) == 0
    assert [path.name for path in folder.glob("*.ipynb")] == ["01_video_as_data.ipynb"]
    capsys.readouterr()
    assert cli.main(["workbook", "01"]) == 0
    assert capsys.readouterr().out == "The workbook is up to date.\n"
    assert cli.main(["progress"]) == 0
    assert "Next: exercise 0.1" in capsys.readouterr().out
    assert cli.main(["progress", "--export", "json", "--learner", "Ada"]) == 0
    assert "Ada" in json.dumps(json.loads(capsys.readouterr().out))
    assert cli.main(["workbook", "77"]) == 2


def test_lab_checks_the_machine_then_opens_the_workbook(monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(cli, "_workbook", lambda options: calls.append("workbook"))
    monkeypatch.setattr(cli.subprocess, "call", lambda command, cwd: calls.append(command) or 0)
    monkeypatch.setattr(doctor, "run", lambda: 1)
    assert cli.main(["lab"]) == 1
    assert calls == []
    monkeypatch.setattr(doctor, "run", lambda: 0)
    monkeypatch.delenv("DISPLAY", raising=False)
    assert cli.main(["lab", "--no-browser", "--port", "8899"]) == 0
    assert calls[0] == "workbook"
    assert any(word.endswith(cli.START) for word in calls[1])
    assert "--no-browser" in calls[1]
    assert "--port=8899" in calls[1]
    assert "address" in capsys.readouterr().out


def test_train_makes_what_is_shipped(tmp_path, monkeypatch, capsys):
    metrics = {"mse at t = 1": 12.345678}
    card = Card(
        recipe="a recipe",
        command="",
        config={},
        seed=0,
        data="",
        num_steps=7,
        cpu_seconds=3.0,
        metrics=metrics,
    )
    made = []
    monkeypatch.setattr(shipped, "CHECKPOINTS", tmp_path)
    monkeypatch.setitem(shipped.make_shipped.__kwdefaults__, "folder", tmp_path)
    monkeypatch.setattr(
        shipped, "SHIPPED", {"one": lambda path, command: made.append((path, command)) or card, "two": None}
    )
    assert cli.main(["train", "--list"]) == 0
    assert cli.main(["train"]) == 0
    assert capsys.readouterr().out == 2 * "one\ntwo\n"
    assert cli.main(["train", "one"]) == 0
    assert made == [(tmp_path / "one.safetensors", "python -m course train one")]
    line = "one.safetensors: a recipe; 7 steps in 3.0 CPU seconds; mse at t = 1 12.35\n"
    assert capsys.readouterr().out.endswith(line)
    assert cli.main(["train", "three"]) == 2
    assert capsys.readouterr().err == "python -m course: name: wanted one of one, two, got 'three'\n"

    def interrupted(path, command):
        raise KeyboardInterrupt

    monkeypatch.setitem(shipped.SHIPPED, "one", interrupted)
    assert cli.main(["train", "one"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_no_error():
    command = [sys.executable, "-m", "course", "progress", "--export", "json"]
    process = subprocess.Popen(command, cwd=cli.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    with process.stderr as errors:
        assert errors.read() == b""
    assert process.wait() == 0
