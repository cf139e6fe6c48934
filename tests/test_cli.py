import json
import subprocess
import sys

import pytest
import torch
from PIL import Image

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


@pytest.fixture
def networks(monkeypatch):
    """Put networks in the place of the trained ones: a first frame that stays, and a camera that adds nothing."""

    def stays(noisy, noise_step, condition):
        return condition.given[:, :1, :3].expand_as(noisy)

    def adds_nothing(noisy, noise_step, condition):
        return torch.zeros_like(noisy)

    networks = {"picture_unet_0": stays, "camera_shown_0": adds_nothing}
    monkeypatch.setattr(shipped, "load_shipped_denoiser", networks.__getitem__)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "red.png"
    Image.new("RGB", (60, 40), (255, 51, 51)).save(path)
    return path


@pytest.mark.parametrize(
    ("phrase", "side"),
    [
        ("moves left", 16),
        ("  Moves   LEFT ", 16),
        ("a red circle moves left", 16),
        ("camera moves left", 32),
        ("camera zooms in", 32),
    ],
)
def test_sample_lets_a_picture_move(phrase, side, networks, picture, tmp_path, capsys):
    path = tmp_path / "clip.gif"
    assert cli.main(["sample", "image-to-video", str(picture), phrase, "--out", str(path), "--steps", "2"]) == 0
    assert capsys.readouterr().out == f"{path}: 8 frames of {side} x {side}, each pixel {256 // side} wide\n"
    clip = read_clip(path)
    assert clip.shape == (8, 3, 256, 256)
    assert (clip - torch.tensor([1.0, 0.2, 0.2])[:, None, None]).abs().max() < 0.02


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["image-to-video", "red.png", "mvoes lfet"],
            ["'mvoes' is unknown, nearest is moves", "left", "camera zooms in"],
        ),
        (["image-to-video", "red.png", "moves"], ["nearest is 'moves up'"]),
        (["image-to-video", "red.png", ""], ["got ''; wanted moves left"]),
        (["image-to-video", "red.png", "a pink circle moves left"], ["'pink' is unknown", "red, green, blue, yellow"]),
        (["image-to-video", "none.png", "moves left"], ["none.png", "No such file"]),
        (["image-to-video", "text.png", "moves left"], ["text.png: not a readable picture"]),
        (["image-to-video", "half.png", "camera moves left"], ["half.png: not a readable picture"]),
        (["image-to-video", ".", "moves left"], ["directory"]),
        (["image-to-video", "red.png", "moves left", "--strength", "2"], ["--strength: wanted 0 to 1, got 2"]),
        (["image-to-video", "red.png", "camera moves left", "--strength", "1"], ["--strength: wanted none"]),
        (["image-to-video", "red.png", "moves left", "--steps", "0"], ["--steps: wanted 1 to 1000"]),
        (["image-to-video", "red.png", "moves left", "--seed", "-1"], ["--seed: wanted a whole number"]),
        (["image-to-video", "red.png", "moves left", "--out", "clip.avi"], ["--out: wanted a name that ends in .mp4"]),
        (["cascade", "a red cirle moves left"], ["'cirle' is unknown, nearest is circle"]),
        (["cascade", "moves left"], ["wanted 'a COLOUR SHAPE PHRASE'"]),
    ],
)
def test_a_mistake_in_what_is_to_be_drawn_is_one_line(
    arguments, words, networks, picture, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Image.effect_noise((64, 64), 100).save("whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:1500])
    (tmp_path / "text.png").write_text("no picture")
    before = set(tmp_path.iterdir())
    out = [] if "--out" in arguments else ["--out", "clip.mp4"]
    assert cli.main(["sample", *arguments, *out]) == 2
    error = capsys.readouterr().err
    assert error.startswith("python -m course: ")
    assert error.count("\n") == 1
    for word in words:
        assert word in error
    assert set(tmp_path.iterdir()) == before


def test_a_caption_is_drawn_stage_by_stage(tmp_path, monkeypatch, capsys):
    networks = {
        stage: lambda noisy, noise_step, condition: torch.zeros_like(noisy)  # grey
        for stage in ("base", "time", "space 32", "space 64")
    }
    monkeypatch.setattr("course.recipes.shipped.load_cascade", lambda: networks)
    path = tmp_path / "clip.gif"
    assert cli.main(["sample", "cascade", "A red circle  moves left", "--out", str(path), "--steps", "1"]) == 0
    assert "16 frames of 64 x 64, each pixel 4 wide" in capsys.readouterr().out
    assert read_clip(path).shape == (16, 3, 256, 256)


def test_a_sampler_is_watched_step_by_step(monkeypatch):
    seen = []

    def count(iterable, description):
        for item in iterable:
            seen.append(item)
            yield item
        seen.append("end")

    monkeypatch.setattr("course.display.progress", count)
    ask = cli.watched(lambda noisy, noise_step, condition: noisy + 1, 3)
    for step, told in ((1.0, [0]), (1.0, [0]), (0.7, [0, 1]), (0.3, [0, 1, 2, "end"]), (0.3, [0, 1, 2, "end"])):
        assert ask(torch.zeros(2), torch.full((2,), step), None).tolist() == [1, 1]
        assert seen == told


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
