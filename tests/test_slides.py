"""Slides are made of a chapter by rule, hold no answer, need no network, and fit the page."""

import re

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from test_browser import open_browser

from course import cli, notebooks, slides

PICTURE = '<img src="data:image/webp;base64,AAAA" alt="a red circle moves left" width="160">'
CHAPTERS = notebooks.chosen()


def printed(text):
    return new_output("stream", text=text)


def shown(html):
    return new_output("display_data", data={"text/html": html, "text/plain": "a red circle moves left"})


def solution(source):
    return new_code_cell(source, metadata={"nbgrader": {"grade_id": "01-x", "solution": True}}, outputs=[printed("?")])


def made(*cells):
    return slides.slides_of(new_notebook(cells=list(cells)))


def test_the_first_slide_is_the_title_with_the_promise_and_the_second_the_objectives():
    title, objectives = made(
        new_markdown_cell("# 01 · Clips\n\nYou write a clip.\n\nIt is long.\n\nYou can\n\n1. **read**\n2. **write**")
    )
    assert (title.kind, title.title) == ("title", "01 · Clips")
    assert title.body == ["<p>You write a clip.</p>\n"]
    assert "You can" in objectives.body[0]
    assert "<strong>write</strong>" in objectives.body[1]
    assert "long" in objectives.notes[0]


def test_a_heading_opens_a_slide_with_its_first_sentence_and_the_rest_is_for_the_notes():
    (slide,) = made(new_markdown_cell("## 2. Noise\n\nSmith et al. (2020) add noise. More of it."))
    assert slide.title == "2. Noise"
    assert slide.body == ["<p>Smith et al. (2020) add noise.</p>\n"]
    assert "More of it." in slide.notes[0]


def test_a_question_gets_a_slide_before_the_answer_is_seen():
    kinds = made(
        new_markdown_cell("## Test\n\nTwo answers came.\n\nLook. **Which one\nwill win?** Guess."),
        new_code_cell("x", outputs=[printed("black wins")]),
    )
    assert [slide.kind for slide in kinds] == ["", "question", ""]
    assert kinds[1].body == ["<p>Which one will win?</p>"]
    assert kinds[2].title == "Test"
    assert "black wins" in kinds[2].body[-1]


def test_code_is_folded_unless_it_is_short_and_leaves_room():
    long = "\n".join(f"x{i} = {i}" for i in range(slides.SHORT + 1))
    _, second, third = made(
        new_markdown_cell("## A"),
        new_code_cell("print(1)", outputs=[printed("1")]),
        new_code_cell(long, outputs=[printed("1")]),
    )
    assert "<details>" not in "".join(second.body)
    assert third.body[-1].startswith("<details>")
    (_, picture) = made(new_markdown_cell("## A"), new_code_cell("show(clip)", outputs=[shown(PICTURE)]))
    assert picture.body[0] == f"<figure>{PICTURE}</figure>"
    assert picture.body[1].startswith("<details>")


def test_pictures_get_a_slide_each_and_long_lists_go_on():
    found = made(new_markdown_cell("## A"), new_code_cell("x", outputs=[shown(PICTURE), shown(PICTURE)]))
    assert sum("<figure>" in part for slide in found for part in slide.body) == 2
    assert len(found) == 3
    lines = [str(number) for number in range(slides.LINES + 1)]
    found = made(new_markdown_cell("## A"), new_code_cell("x", outputs=[printed("\n".join(lines))]))
    assert len(found) == 3
    assert f">{lines[-1]}</pre>" in "".join(found[-1].body)


def test_an_exercise_shows_its_task_and_nothing_of_its_answer():
    (slide,) = made(
        new_markdown_cell("### Exercise 1.1 · Layout\n\n*5 minutes, difficulty 1 of 3.* Turn it."),
        solution("def f(x):\n    return x.permute(0)"),
        new_code_cell('# hint("01-x")'),
    )
    assert "Turn it." in slide.body[0]
    assert "permute" not in slides.page([slide], "x")


def test_a_widget_that_needs_a_kernel_is_left_out():
    widget = new_code_cell("x", outputs=[printed("slider over t: run this cell to move it")])
    assert len(made(new_markdown_cell("## A"), widget)) == 1


def test_papers_are_no_slides():
    found = made(new_markdown_cell("## A\n\nB."), new_markdown_cell("## Papers\n\n- C."))
    assert [slide.title for slide in found] == ["A"]


def test_formulas_become_pictures_and_code_stays_code():
    page = slides._markdown("With $h_t$ and `$x$`:\n\n$$\\frac12 \\le 1.$$")
    assert page.count('<img class="formula') == 2
    assert 'alt="h_t"' in page
    assert "<code>$x$</code>" in page
    assert slides.formula(r"\nonsense{x}") == r"<code>\nonsense{x}</code>"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_formula_of_a_chapter_can_be_drawn(path):
    texts = [cell.source for cell in notebooks.read(path).cells if cell.cell_type == "markdown"]
    matches = [match for text in texts for match in slides._FORMULA.finditer(text) if not match["code"]]
    drawn = {match[0]: slides.formula(match["block"] or match["line"]) for match in matches}
    assert [source for source, page in drawn.items() if not page.startswith("<img")] == []


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    assert cli.main(["slides", "3", "--out", str(folder)]) == 0
    return folder / "03_rnn_and_lstm.html"


def test_a_page_loads_nothing_describes_its_pictures_and_holds_no_solution(page):
    text = page.read_text(encoding="utf-8")
    assert re.findall(r'(?:src|href)="(?!data:|https?://)[^"]*"', text) == []
    assert re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="http[^"]*"', text) == []
    pictures = re.findall(r"<img [^>]*>", text)
    assert pictures
    assert all(re.search(r'alt="[^"]+"', picture) for picture in pictures)
    for cell in notebooks.read(next(path for path in CHAPTERS if path.stem == page.stem)).cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            assert cell.source.splitlines()[-2].strip() not in text


def test_a_chapter_that_is_not_there_is_one_line(tmp_path, capsys):
    assert cli.main(["slides", "99", "--out", str(tmp_path / "new")]) == 2
    assert "no chapter 99" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


FITTED = """async number => {
    show(number);
    for (const picture of pages[number].querySelectorAll('img')) await picture.decode();
    fit(pages[number]);
    const box = pages[number].querySelector('.fit');
    return [overflows(pages[number], box), Number(box.style.zoom)];
}"""


@pytest.mark.browser
def test_in_a_browser_slides_turn_fit_and_play_without_a_network(page):
    with open_browser() as window:
        sheet = window.new_page(viewport={"width": 1280, "height": 720})
        sheet.set_default_timeout(120_000)
        asked, faults = [], []
        sheet.on("request", lambda request: asked.append(request.url))
        sheet.on("pageerror", lambda error: faults.append(str(error)))
        sheet.goto(page.as_uri())
        total = sheet.evaluate("pages.length")
        for key, place in [("ArrowRight", 2), (" ", 3), ("ArrowLeft", 2), ("End", total), ("ArrowRight", total)]:
            sheet.keyboard.press(key)
            assert sheet.locator("#number").inner_text() == f"{place} of {total}"
        for number in range(total):
            overflows, zoom = sheet.evaluate(FITTED, number)
            assert (overflows, zoom >= 0.6) == (False, True), f"slide {number + 1}"
        clip = next(i for i in range(total) if sheet.evaluate("i => !!pages[i].querySelector('figure img')", i))
        sheet.evaluate("show", clip)
        picture = sheet.locator("section.now figure img").first
        shots = []
        for _ in range(20):  # a clip shows another frame within some time, however busy the machine is
            shots.append(picture.screenshot())
            sheet.wait_for_timeout(130)
        assert len(set(shots)) > 1
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        assert faults == []
