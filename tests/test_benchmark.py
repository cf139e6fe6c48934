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
        exact = 1000 * 2 / milliseconds
        assert abs(rate - exact) <= 0.5 + exact * 0.0005 / milliseconds * 1.01  # both are rounded, to 1 and to 0.001
    assert torch.get_num_threads() == num_threads
