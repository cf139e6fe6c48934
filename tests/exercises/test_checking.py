import pytest
import torch

from course import progress
from course.exercises import checking
from course.exercises.checking import Exercise, NotPassedError, WrongAnswerError, close, examine, same


def fails(call):
    with pytest.raises(WrongAnswerError) as error:
        call()
    return str(error.value)


def test_same_names_kind_shape_type_and_the_first_value_that_differs():
    wanted = torch.arange(6.0).reshape(2, 3)
    same(wanted.clone(), wanted)
    assert fails(lambda: same(None, wanted)) == "the result is None (is there a return?), wanted a tensor (2, 3)."
    assert fails(lambda: same([1], wanted, what="it")) == "it is a list, wanted a tensor (2, 3)."
    assert fails(lambda: same(wanted.T, wanted)) == "the result has shape (3, 2), wanted (2, 3)."
    assert "is of type torch.float64, wanted torch.float32" in fails(lambda: same(wanted.double(), wanted))
    spoilt = wanted.clone()
    spoilt[1, 0] = 7
    assert fails(lambda: same(spoilt, wanted, look="look here")) == (
        "the result at [1, 0] is 7, wanted 3 (1 of 6 values differ). Look here."
    )
    assert fails(lambda: same(spoilt, wanted, look="what now?")).endswith("What now?")


def test_same_names_the_usual_mistake_but_never_calls_a_right_answer_one():
    wanted = torch.eye(2)
    usual = {"it was turned": torch.eye(2).flip(0), "it is right by chance": torch.eye(2)}
    assert fails(lambda: same(torch.eye(2).flip(0), wanted, usual=usual)) == "it was turned."
    same(torch.eye(2), wanted, usual=usual)
    assert "nan" in fails(lambda: same(torch.full((2, 2), torch.nan), wanted, usual=usual))


def test_close_takes_numbers_and_one_value_tensors():
    close(0.5, 0.5)
    close(torch.tensor(0.5), 0.5)
    assert fails(lambda: close(2, 0.5, usual={"it was doubled twice": 2})) == "it was doubled twice."
    assert fails(lambda: close(3, 0.5)) == "the result is 3, wanted 0.5."
    assert "wanted a number" in fails(lambda: close(True, 1))
    assert "wanted a number" in fails(lambda: close(torch.zeros(2), 0))
    assert "nan" in fails(lambda: close(float("nan"), 0.5))


def one(test):
    return Exercise("99-one", test, "it is one", ("a", "b", "c"), reference=lambda: 1)


def test_examine_gives_one_line_whatever_happens():
    def strict(answer):
        close(answer(), 1)

    def broken():
        raise RuntimeError("first line\nsecond line")

    def stub():
        raise NotImplementedError("a number")

    assert examine(one(strict), lambda: 1).line == "PASS   99-one: it is one"
    assert examine(one(strict), stub).line == "TO DO  99-one: a number"
    assert examine(one(strict), ...).line == "TO DO  99-one"
    assert examine(one(strict), broken).line == ("FAIL   99-one: it stopped with RuntimeError: first line second line")
    assert examine(one(strict), None).verdict == "FAIL"


def test_an_answer_s_own_chance_is_the_same_at_every_call_and_disturbs_nothing():
    seen = []
    state = torch.random.get_rng_state()
    for _ in range(2):
        examine(one(lambda answer: seen.append(answer())), lambda: torch.rand(1).item())
    assert seen[0] == seen[1]
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.fixture(name="file")
def fixture_file(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_PROGRESS", str(tmp_path / "progress.sqlite3"))
    monkeypatch.delenv("COURSE_STRICT", raising=False)
    monkeypatch.setattr(checking, "_opened", {})
    return tmp_path / "progress.sqlite3"


def recorded(file):
    return [(event.exercise, event.kind) for event in progress.events(file)]


def test_check_prints_one_line_and_records_it(file, capsys):
    checking.check("00-backwards", lambda clip: clip)
    checking.check("00-backwards", lambda clip: clip.flip(0))
    checking.check("00-backwards", ...)
    lines = capsys.readouterr().out.splitlines()
    assert [line[:5].strip() for line in lines] == ["FAIL", "PASS", "TO DO"]
    assert recorded(file) == [("00-backwards", kind) for kind in ("fail", "pass", "todo")]


def test_a_rehearsal_records_nothing_and_stops_nothing(file, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_STRICT", "1")
    checking.check("00-backwards", lambda clip: clip, rehearsal=True)
    assert capsys.readouterr().out.startswith("FAIL")
    assert not file.exists()


def test_strict_runs_stop_at_what_did_not_pass(file, monkeypatch):
    monkeypatch.setenv("COURSE_STRICT", "1")
    checking.check("00-backwards", lambda clip: clip.flip(0))
    with pytest.raises(NotPassedError, match="the colours were turned round"):
        checking.check("00-backwards", lambda clip: clip.flip(1))
    with pytest.raises(NotPassedError, match="TO DO"):
        checking.check("00-backwards", ...)
    assert recorded(file) == [("00-backwards", kind) for kind in ("pass", "fail", "todo")]


def test_an_untouched_stub_stays_to_do_however_often_it_is_checked(file, capsys):
    def stub(clip):
        raise NotImplementedError("a tensor")

    for _ in range(3):
        checking.check("00-backwards", stub)
        clip = torch.rand(4, 3, 2, 2)
        assert torch.equal(checking.working("00-backwards", stub)(clip), clip.flip(0))
    assert recorded(file) == [("00-backwards", "todo")] * 3


def test_working_gives_the_answer_once_it_is_right():
    def answer(clip):
        return clip[torch.arange(len(clip) - 1, -1, -1)]

    assert checking.working("00-backwards", answer) is answer


def test_hints_open_one_by_one_then_the_answer_and_each_is_recorded(file, capsys):
    for _ in range(5):
        checking.hint("01-layout")
    text = capsys.readouterr().out
    hints = checking.find("01-layout").hints
    for number, words in enumerate(hints, start=1):
        assert f"Hint {number} of 3: {words}\n" in text
    assert text.count("The answer:") == 2
    assert "return clips.permute(0, 2, 1, 3, 4)" in text
    assert "SOLUTION" not in text
    assert recorded(file) == [("01-layout", "hint")] * 5
    assert [event.detail for event in progress.events(file)] == ["1", "2", "3", "4", "4"]


@pytest.mark.parametrize("name", ["01-nothing", "77-layout", "", "x"])
def test_an_unknown_exercise_is_named(name):
    with pytest.raises(ValueError, match="no exercise") as error:
        checking.find(name)
    assert repr(name) in str(error.value)
