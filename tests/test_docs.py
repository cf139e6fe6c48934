"""The glossary's links resolve, the self-test's answers are true, and nobody is belittled."""

import contextlib
import csv
import io
import re
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import pytest
from test_prose import BELITTLING, heading_fault, headings, prose

from course import notebooks

DOCS = Path(__file__).parents[1] / "docs"
CHAPTERS = {path.name[:2] for path in notebooks.chosen()}
TEXTS = [DOCS / f"{name}.md" for name in ("glossary", "prerequisites", "troubleshooting")]
LINK = re.compile(r"\]\(([^)\s]+)\)")
TERM = re.compile(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| \[(\d\d)\]\(([^)]+)\) \|$", re.MULTILINE)
QUESTION = re.compile(r"\*\*(\d+)\.\*\*.*?```python\n(.*?)```.*?```text\n(.*?)```", re.DOTALL)


def text(name):
    return (DOCS / name).read_text(encoding="utf-8")


def terms():
    """Return the rows of the glossary's first table."""
    return TERM.findall(text("glossary.md").partition("\n## ")[0])


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_a_page_belittles_nobody_and_its_headings_are_in_order(path):
    page = path.read_text(encoding="utf-8")
    assert BELITTLING.findall(prose(page)) == []
    assert heading_fault(headings(page)) == ""


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_links_lead_to_files_that_are_there(path):
    """A chapter that is not finished yet may be named already."""
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        coming = re.match(r"\.\./notebooks/(\d\d)_", target)
        if not target.startswith("https://") and not (coming and coming[1] not in CHAPTERS):
            assert (path.parent / target).exists(), target


def test_the_glossary_has_a_hundred_terms_each_once_in_two_languages():
    rows = terms()
    names = [english.lower() for english, *_ in rows]
    assert len(rows) >= 100
    assert len(names) == len(set(names))
    for english, chinese, line, number, target in rows:
        assert re.search(r"[\u4e00-\u9fff]", chinese) or chinese == english, english
        assert len(line) <= 120
        assert target.startswith(f"../notebooks/{number}_")


def test_every_chapter_has_five_terms():
    counted = Counter(number for *_, number, _ in terms())
    assert {number: counted[number] for number in CHAPTERS if counted[number] < 5} == {}


@pytest.mark.parametrize("name", ["n_past", "pre_seq_length", "n_cond_frames", "aft_seq_length", "motion_bucket_id"])
def test_the_field_s_other_names_are_translated(name):
    assert f"`{name}`" in text("glossary.md").partition("\n## ")[2]


def test_the_self_test_has_a_dozen_questions():
    assert [int(number) for number, *_ in QUESTION.findall(text("prerequisites.md"))] == list(range(1, 13))


@pytest.mark.parametrize(("number", "code", "answer"), QUESTION.findall(text("prerequisites.md")))
def test_an_answer_of_the_self_test_is_what_its_code_prints(number, code, answer):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, f"<question {number}>", "exec"), {})
    assert printed.getvalue() == answer


@pytest.mark.parametrize(
    "symptom",
    ["Error displaying widget", "No ffmpeg exe", "arm64", r"C:\\Users", "A cell takes minutes", "There is no network"],
)
def test_the_complaints_that_were_asked_for_are_answered(symptom):
    assert symptom.replace("\\\\", "\\") in text("troubleshooting.md")


@pytest.mark.parametrize("path", notebooks.chapters(), ids=lambda path: path.stem)
def test_the_readme_states_the_minutes_that_the_chapter_states(path):
    stated = re.search(
        r"\*\*Time\*\*: (?:about )?(\d+) minutes", (path.parent / "source" / f"{path.stem}.py").read_text()
    )
    row = re.search(
        rf"^\| \d\d \| \[[^|]*{path.stem}\.ipynb\).*\| (\d+) \|$", (DOCS.parent / "README.md").read_text(), re.M
    )
    assert row[1] == stated[1]


def test_every_record_says_what_made_it():
    data = DOCS.parent / "data"
    named = re.findall(r"`records/([^`]+)`", (data / "README.md").read_text(encoding="utf-8"))
    unnamed = [path.name for path in (data / "records").iterdir() if not any(fnmatch(path.name, one) for one in named)]
    assert unnamed == []


def test_every_row_of_a_record_has_as_many_fields_as_its_heading():
    for path in (DOCS.parent / "data" / "records").glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            heading, *rows = csv.reader(file)
        assert [row for row in rows if len(row) != len(heading)] == [], path.name
