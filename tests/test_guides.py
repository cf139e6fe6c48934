"""Each chapter has a guide that knows its exercises and its question; what teachers read belittles nobody."""

import re

import pytest
from test_prose import BELITTLING, heading_fault, headings, prose

from course import answer_key, notebooks, progress, workshop
from course.exercises.questions import QUESTIONS

GUIDES = {path.name[:2]: path for path in sorted(answer_key.GUIDE.glob("*.md"))}
PARTS = ["Objectives", "Minutes", "Board", "Questions to ask", "What goes wrong, and what to say"]
TEXTS = [*GUIDES.values(), *sorted(workshop.PLANS.glob("*.md"))]


@pytest.fixture(params=notebooks.chosen(), ids=lambda path: path.stem)
def chapter(request):
    return request.param


def test_a_chapter_has_a_guide_with_all_its_parts(chapter):
    path = GUIDES[chapter.name[:2]]
    assert path.stem == chapter.stem
    text = path.read_text(encoding="utf-8")
    title = QUESTIONS[chapter.name[:2]].title
    found = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert found == [*PARTS, f"Rubric for the question in words: {title}"]
    assert f"({'../../notebooks/' + chapter.name})" in text
    assert len(re.findall(r"^\d\. .+\(\*.+\*\)$", text, re.MULTILINE)) >= 3, "three questions with answers"


def test_a_guide_says_something_to_those_who_are_stuck_at_each_exercise(chapter):
    assert set(answer_key.said_of(chapter.name[:2])) == {task.id for task in progress.tasks_of(chapter)}


def test_a_rubric_goes_from_the_question_s_points_to_none(chapter):
    text = GUIDES[chapter.name[:2]].read_text(encoding="utf-8")
    points = [float(number) for number in re.findall(r"^\| ([\d.]+) \|", text[text.index("## Rubric") :], re.MULTILINE)]
    assert points[0] == QUESTIONS[chapter.name[:2]].points
    assert points[-1] == 0
    assert points == sorted(points, reverse=True)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_what_teachers_read_belittles_nobody_and_fits_the_page(path):
    text = path.read_text(encoding="utf-8")
    assert BELITTLING.findall(prose(text)) == []
    assert heading_fault(headings(text)) == ""
    boards = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert all(len(line) <= 120 for board in boards for line in board.splitlines())


def test_the_semester_has_twelve_weeks_and_hands_in_exercises_that_are_there():
    text = (workshop.PLANS / "semester.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (\d+) \|", text, re.MULTILINE) == [str(week) for week in range(1, 13)]
    there = {path.name[:2] for path in notebooks.chosen()}
    known = {task.id for task in progress.tasks()}
    named = {name for name in re.findall(r"\b\d\d-[a-z]+", text) if name[:2] in there}
    assert named
    assert named <= known
