"""The table of rendering speeds."""

import torch

from course import benchmark


def test_table(capsys):
    num_threads = torch.get_num_threads()
    benchmark.datasets(num_clips=2, repetitions=1)
    title, head, *rows = capsys.readouterr().out.splitlines()
    assert "2 clips" in title
    assert head.split() == ["dataset", "ms", "per", "batch", "clips", "per", "second"]
    assert [row.split()[0] for row in rows] == ["sprites", "digits", "photos"]
    for row in rows:
        milliseconds, rate = map(float, row.split()[1:])
        assert abs(rate * milliseconds / 1000 - 2) < 0.2  # both are rounded
    assert torch.get_num_threads() == num_threads
