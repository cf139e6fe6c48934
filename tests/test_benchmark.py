"""The tables of speeds: their arithmetic, and that both sides of a ratio do the same work. Never a time.

And the table of predictors, from results that are made up here.
"""

import re
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from course import benchmark, cli
from course.benchmark import Row
from course.recipes import text_to_clip
from course.recipes.prediction import PredictionResult, Scores

LAYERS = ["RNN", "GRU", "LSTM", "LSTM, no oneDNN", "attention", "MultiHeadAttention", "Conv3d", "Conv2Plus1d"]


def test_table(capsys):
    num_threads = torch.get_num_threads()
    benchmark.datasets(num_clips=2, repetitions=1)
    title, head, *rows = capsys.readouterr().out.splitlines()
    assert "2 clips" in title
    assert head.split() == ["dataset", "ms", "per", "batch", "clips", "per", "second"]
    assert [row.split()[0] for row in rows] == ["sprites", "digits", "photos"]
    for row in rows:
        milliseconds, rate = map(float, row.split()[1:])
        exact = 1000 * 2 / milliseconds
        assert abs(rate - exact) <= 0.5 + exact * 0.0005 / milliseconds * 1.01  # both are rounded, to 1 and to 0.001
    assert torch.get_num_threads() == num_threads


def test_both_sides_of_a_ratio_do_the_same_work():
    """Same output, same gradient of the inputs; two pairs of one layer differ in size."""
    names = []
    for pair in benchmark.pairs():
        names.append((pair.layer, pair.size))
        ours, theirs = (benchmark.output(layer, pair.inputs) for layer in (pair.ours, pair.pytorch))
        assert torch.allclose(ours, theirs, atol=1e-5), pair
        gradient = torch.linspace(-1, 1, ours.numel()).view_as(ours)
        for one, other in zip(
            *(torch.autograd.grad(side, pair.inputs, gradient) for side in (ours, theirs)), strict=True
        ):
            assert torch.allclose(one, other, atol=1e-4), pair
    assert list(dict.fromkeys(layer for layer, _ in names)) == LAYERS
    assert len(set(names)) == len(names) >= 2 * len(LAYERS)
    assert torch.backends.mkldnn.enabled


def test_a_row_holds_the_median_of_its_turns(monkeypatch):
    """A clock that runs by 1, 2, 3, ... seconds: ours takes the odd turns, PyTorch the even ones."""
    pair = next(benchmark.pairs())
    threads, turns = [], iter(range(1, 7))

    def seconds(call):
        threads.append(torch.get_num_threads())
        call()
        return float(next(turns))

    monkeypatch.setattr(benchmark, "pairs", lambda: iter([pair]))
    monkeypatch.setattr(benchmark, "_cpu_seconds", seconds)
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        assert benchmark.layers(repetitions=3) == [Row(pair.layer, pair.size, 3000.0, 4000.0)]
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    assert threads == [1] * 6
    assert pair.inputs[0].grad.abs().sum() > 0  # it went backward


def test_the_command_prints_ours_pytorch_s_and_the_ratio(monkeypatch, capsys):
    rows = [Row("RNN", "B 16, T 8", 3.0, 2.0), Row("attention", "16 x 8, causal", 0.25, 1.0)]
    monkeypatch.setattr(benchmark, "layers", lambda: rows)
    assert cli.main(["benchmark", "layers"]) == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["layer", "size", "ms", "ours", "ms", "PyTorch", "ratio"]
    assert first.split() == ["RNN", "B", "16,", "T", "8", "3.000", "2.000", "1.50"]
    assert second.split() == ["attention", "16", "x", "8,", "causal", "0.250", "1.000", "0.25"]
    assert len(head) == len(first) == len(second)
    with pytest.raises(SystemExit):
        cli.main(["benchmark", "chapters"])


# Predictors


@pytest.fixture
def made_up(monkeypatch):
    """Two models whose errors by t are 1, 2, ... 10 times a number that grows with the seed; one baseline."""
    trained = []

    def train(run, *, folder):
        trained.append((run.model, run.seed, run.cpu_seconds, folder))
        factor = (8 if run.model == "SimVP small" else 4) + 2 * run.seed
        errors = tuple(factor * float(t) for t in range(1, 11))
        return PredictionResult(
            mse_by_frame=errors,
            psnr=15.0,
            ssim=0.7,
            num_steps=100 + run.seed,
            num_parameters=12345,
            cpu_seconds=60.25,
        )

    def tested(predictor, *, images=None):
        return Scores(mse_by_frame=(110.0,) * 10 if images is None else (220.0,) * 10, psnr=10.0, ssim=0.5)

    monkeypatch.setattr(benchmark, "PREDICTION_MODELS", {"SimVP small": None, "ours": None})
    monkeypatch.setattr(benchmark, "train_prediction", train)
    monkeypatch.setattr(benchmark, "trained_model", lambda run, *, folder: None)
    monkeypatch.setattr(benchmark, "prediction_baselines", lambda: {"all black": None})
    monkeypatch.setattr(benchmark, "scores", tested)
    return trained


def test_the_table_of_predictors_holds_means_spreads_and_the_ratio_to_the_best_published(made_up, tmp_path):
    text = benchmark.prediction(cpu_minutes=1, num_seeds=2, folder=tmp_path)
    assert made_up == [(name, seed, 60, tmp_path) for seed in (0, 1) for name in ("SimVP small", "ours")]
    about, _, _, head, black, simvp, ours = text.splitlines()
    assert about.startswith("1 CPU-minutes")
    assert head.split()[:4] == ["predictor", "MSE", "spread", "ratio"]
    assert head.split()[-5:] == ["SSIM", "steps", "parameters", "CPU", "s"]
    assert len(head) == len(simvp) == len(ours)
    # 8 and 10 times the mean of 1 to 10, which is 5.5: 44 and 55
    assert simvp.split()[2:] == (
        ["49.5", "7.8", "1.00", *(f"{9 * t:.1f}" for t in range(1, 11)), "15.00", "0.700", "100", "12,345", "60.2"]
    )
    assert ours.split()[1:5] == ["27.5", "7.8", "0.56", "5.0"]
    assert black.split()[2:] == ["110.0", "2.22", *["110.0"] * 10, "10.00", "0.500"]


def test_without_a_published_model_there_is_no_ratio(made_up, tmp_path):
    text = benchmark.prediction(cpu_minutes=1, num_seeds=1, folder=tmp_path, models=["ours", "ours"])
    assert [run[0] for run in made_up] == ["ours"]
    assert text.splitlines()[-1].split()[:3] == ["ours", "22.0", "4.0"]  # no spread of one seed either


def test_digits_of_one_s_own_get_a_table_of_their_own(made_up, tmp_path):
    images = torch.zeros(1, 1, 28, 28)
    first, second = benchmark.prediction(cpu_minutes=1, num_seeds=2, folder=tmp_path, images=images).split("\n\n")[1:]
    assert "scikit-learn" in first
    assert "your digits" in second
    assert [line[20:28].strip() for line in second.splitlines()[2:]] == ["220.0"] * 3
    assert [line[20:28].strip() for line in first.splitlines()[2:]] == ["110.0", "49.5", "27.5"]


def test_a_record_has_a_row_for_each_training_and_baseline(made_up, tmp_path):
    record = tmp_path / "new" / "record.csv"
    options = ["--cpu-minutes", "1", "--seeds", "2", "--results", str(tmp_path), "--record", str(record)]
    assert cli.main(["benchmark", "prediction", *options]) == 0
    head, *rows = (line.split(",") for line in record.read_text(encoding="utf-8").splitlines())
    assert {len(row) for row in rows} == {len(head)}
    assert [row[1:4] for row in rows] == [
        ["all black", "0", "110"],
        ["SimVP small", "0", "44"],
        ["SimVP small", "1", "55"],
        ["ours", "0", "22"],
        ["ours", "1", "33"],
    ]
    assert dict(zip(head, rows[2], strict=True)) == {
        "digits": "test digits of scikit-learn",
        "predictor": "SimVP small",
        "seed": "1",
        "MSE": "55",
        **{f"t = {t}": str(10 * t) for t in range(1, 11)},
        "PSNR": "15",
        "SSIM": "0.7",
        "steps": "101",
        "parameters": "12345",
        "CPU seconds": "60.2",
    }
    assert [path.name for path in record.parent.iterdir()] == ["record.csv"]


def test_two_trainings_at_a_time_give_the_same_table(made_up, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_BUDGET", "smoke")  # here and one after the other
    table = partial(benchmark.prediction, cpu_minutes=1, num_seeds=2, folder=tmp_path)
    assert table(num_processes=2) == table()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["--models", "ours", "nobody's", "x"], "models: wanted some of SimVP small, ours, got nobody's, x"),
        (["--cpu-minutes", "0"], "wanted CPU minutes above 0, .*got 0.0, 1 and 1"),
        (["--cpu-minutes", "nan"], "wanted CPU minutes above 0"),
        (["--cpu-minutes", "inf"], "wanted CPU minutes above 0"),
        (["--seeds", "0"], "got 6, 0 and 1"),
        (["--processes", "3"], "got 6, 1 and 3"),
        (["--mnist", "nowhere.npy"], "nowhere.npy"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_trained(made_up, capsys, wrong, words):
    assert cli.main(["benchmark", "prediction", *wrong]) == 2
    output = capsys.readouterr()
    assert output.err.count("\n") == 1
    assert re.search(words, output.err)
    assert made_up == []


def test_the_command_prints_the_table_and_says_how_to_go_on(made_up, tmp_path, monkeypatch, capsys):
    command = ["benchmark", "prediction", "--cpu-minutes", "0.5", "--models", "ours", "--results", str(tmp_path)]
    assert cli.main(command) == 0
    assert made_up == [("ours", 0, 30, tmp_path)]
    assert capsys.readouterr().out.splitlines()[-1].startswith("ours")

    def interrupted(**options):
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmark, "prediction", interrupted)
    assert cli.main(command) == 130
    assert "the same command goes on from here" in capsys.readouterr().err


# Denoisers


@pytest.fixture
def drawn(monkeypatch):
    """Trainings whose CAPTION grows with the budget and with the seed."""
    trained = []

    def train(run, *, folder):
        trained.append((run.name, run.seed, run.cpu_seconds, folder))
        metrics = {"valid, all": 0.9, "motion, all": 0.8, "caption, all": run.cpu_seconds / 1000 + 0.1 * run.seed}
        metrics["caption, held out"] = 0.5
        return SimpleNamespace(metrics=metrics, num_steps=7, cpu_seconds=run.cpu_seconds + 0.04)

    monkeypatch.setattr(benchmark, "train_text", train)
    monkeypatch.setattr(benchmark, "steps_of_sprites", lambda run, *, folder: [0.25] * 7)
    return trained


def test_the_table_of_denoisers_holds_each_model_at_each_budget(drawn, tmp_path, capsys):
    record = tmp_path / "text.csv"
    options = ["--cpu-minutes", "1", "2", "--seeds", "2", "--models", "DiT", "--record", str(record)]
    assert cli.main(["benchmark", "text", *options, "--results", str(tmp_path)]) == 0
    assert drawn == [("text to clip, DiT", seed, 60.0 * minutes, tmp_path) for minutes in (1, 2) for seed in (0, 1)]
    head, one, two = capsys.readouterr().out.splitlines()
    assert len(head) == len(one) == len(two)
    assert one.split() == ["DiT", "1", "0.110", "0.071", "0.500", "0.000", "0.900", "0.800"]
    assert two.split()[:3] == ["DiT", "2", "0.170"]
    rows = [line.split(",") for line in record.read_text(encoding="utf-8").replace(", ", "; ").splitlines()]
    assert rows[0][:5] == ["model", "seed", "CPU seconds", "steps", '"valid; all"']
    assert rows[0][-1] == "step to frame 7"
    assert [row[:4] for row in rows[1:]] == [["DiT", str(s), t, "7"] for t in ("60.0", "120.0") for s in (0, 1)]
    assert [row[-7:] for row in rows[1:]] == [["0.2500"] * 7] * 4


def test_a_denoiser_that_was_trained_is_found_again_and_its_sprites_are_followed(tmp_path, monkeypatch):
    monkeypatch.setattr(text_to_clip, "text_metrics", lambda network: {"caption, all": 0.0})
    monkeypatch.setattr(text_to_clip, "judge_drawn", lambda network, **_: SimpleNamespace(reading=still))
    still = SimpleNamespace(position=torch.tensor([[[0.0, 0.0], [3.0, 4.0], [3.0, 4.0]]]))
    run = text_to_clip.text_run("DiT, both, small", seed=0, cpu_seconds=0.01)
    text_to_clip.train_text(run, folder=tmp_path)
    assert text_to_clip.steps_of_sprites(run, folder=tmp_path) == [5.0, 0.0]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["--models", "GAN"], "model: wanted one of U-Net, .*, got 'GAN'"),
        (["--cpu-minutes", "0"], "wanted CPU minutes above 0 and one seed or more"),
        (["--seeds", "0"], "wanted CPU minutes above 0 and one seed or more"),
    ],
)
def test_a_mistake_is_told_before_a_denoiser_is_trained(drawn, capsys, wrong, words):
    assert cli.main(["benchmark", "text", *wrong]) == 2
    assert re.search(words, capsys.readouterr().err)
    assert drawn == []


def test_inflation_is_measured_and_recorded(tmp_path, monkeypatch):
    def compared(*, cpu_seconds, seed):
        return {name: {"loss": seed + 0.5, "CPU seconds": cpu_seconds} for name in ("inflated", "from scratch")}

    monkeypatch.setattr(benchmark, "compare_inflated", compared)
    record = tmp_path / "inflation.csv"
    printed = benchmark.inflation(cpu_minutes=[2], num_seeds=2, record=record)
    assert [line.split()[-2:] for line in printed.splitlines()[1:]] == [["0.500", "120.000"]] * 2 + [
        ["1.500", "120.000"]
    ] * 2
    assert record.read_text().splitlines()[:2] == ["model,seed,loss,CPU seconds", "inflated,0,0.5000,120.0000"]
    with pytest.raises(ValueError, match="CPU minutes above 0"):
        benchmark.inflation(cpu_minutes=[0], num_seeds=1)
