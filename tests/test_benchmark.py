"""The tables of speeds: their arithmetic, and that both sides of a ratio do the same work. Never a time."""

import pytest
import torch

from course import benchmark, cli
from course.benchmark import Row

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
