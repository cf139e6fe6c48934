"""Right answers that are written in unusual ways pass, too: ``right_NN.py`` beside this file."""

import runpy
from pathlib import Path

import pytest
from test_exercises import IDS, outcome

RIGHT = {
    exercise: answers
    for path in sorted(Path(__file__).parent.glob("right_*.py"))
    for exercise, answers in runpy.run_path(str(path))["RIGHT"].items()
}


def test_right_answers_belong_to_exercises():
    assert set(RIGHT) <= set(IDS)


@pytest.mark.parametrize(
    ("exercise_id", "body"),
    [
        pytest.param(exercise_id, body, id=f"{exercise_id}: {name}")
        for exercise_id, answers in RIGHT.items()
        for name, body in answers
    ],
)
def test_a_right_answer_passes_however_it_is_written(exercise_id, body):
    result = outcome(exercise_id, body)
    assert result.verdict == "PASS", result.line
