"""Slides of a chapter, made of the chapter itself: one HTML file that needs nothing else, on disk or from a network.

No slide is written twice and no cell is tagged. The rule:

- a heading opens a slide, with the first sentence below it, formulas, tables and lists;
- a question in bold, which the chapter asks before an experiment, gets a slide of its own: predict, then go on;
- what a cell shows is a slide: pictures and clips, figures, printed lines; its code is folded unless it is short;
- an exercise is its task, without its solution;
- all other prose is in the notes of the slide before (key ``n``).

Markdown and code become HTML by nbconvert's filters, formulas pictures by matplotlib, so that no script for them has to
be fetched. The arrow keys and the space bar turn the pages; a browser prints them to PDF.
"""

import base64
import html
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from course import notebooks

if TYPE_CHECKING:
    from nbformat import NotebookNode

FOLDER = notebooks.NOTEBOOKS.parent / "build" / "slides"
"""Where slides are written, unless another folder is named."""

SHORT = 8
"""Lines of code that are shown with what they give; longer code is folded."""

LINES = 17
"""Printed lines that fit on a slide; more go to the next."""

_HEADING = re.compile(r"^(#{1,6}) (.*\S)$", re.MULTILINE)
_QUESTION = re.compile(r"\*\*((?:(?!\*\*).)+?\?)\*\*", re.DOTALL)
_FORMULA = re.compile(r"\$\$(?P<block>.+?)\$\$|(?<![\\$])\$(?P<line>[^$\n]+?)\$(?!\$)|(?P<code>`[^`\n]+`)", re.DOTALL)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9*_\"“`$(\[])")
_ABBREVIATED = re.compile(r"(?:et al|eq|cf|vs|e\.g|i\.e|\b[A-Z])\.$")

# What matplotlib writes another way, or cannot.
_TRANSLATED = (
    (re.compile(r"\\[dt]?frac\s*(\d)\s*(\d)"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\[dt]frac"), r"\\frac"),
    (re.compile(r"\\[lr]Vert"), r"\\Vert"),
    (re.compile(r"\\bmod"), r"\\,\\mathrm{mod}\\,"),
    (re.compile(r"\\(le|ge)(?![a-z])"), r"\\\1q"),
    (re.compile(r"\\underbrace\{(.*?\))\}_\{\\text\{(\w+)\}\}"), r"\\underset{\\mathrm{\2}}{\1}"),
    (re.compile(r"\\begin\{bmatrix\}(.*?)\\\\(.*?)\\end\{bmatrix\}"), r"[\1;\2]"),
    (re.compile(r"\\begin\{pmatrix\}(.*?)\\\\(.*?)\\end\{pmatrix\}"), r"(\1;\2)"),
    (re.compile(r"\\(?:[bB]igg?)(?=[lr]?[(){}\\|\[\]])"), r""),
    (re.compile(r"(?<=[;(\[])([^&;]*)&([^&;]*)(?=[;)\]])"), r"\1,\2"),
)


@dataclass
class Slide:
    """One page.

    Attributes:
        title: in HTML.
        body: in HTML, one piece below the other.
        notes: in HTML, for whoever speaks.
        kind: how it is laid out: ``title``, ``question``, or empty.
    """

    title: str
    body: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    kind: str = ""


def chapter_page(path: Path) -> str:
    """Return the slides of a chapter: one page that needs nothing else."""
    return page(slides_of(notebooks.read(path)), path.stem)


# From cells to slides


def slides_of(notebook: "NotebookNode") -> list[Slide]:
    """Return the slides of a chapter.

    Args:
        notebook: the chapter with its outputs.
    """
    slides: list[Slide] = []
    lead = ""  # the sentence that introduces what the next cell shows
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for title, text in _blocks(cell.source):
                if title.partition(" ")[2] == "Papers":
                    return slides
                lead = _add_prose(slides, title, text)
        elif not _is_exercise(cell):
            _add_outputs(slides, cell, lead)
            lead = ""
    return slides


def _blocks(source: str) -> Iterator[tuple[str, str]]:
    """Cut Markdown at its headings: each with its marks, and the text below it; the first may have none."""
    places = [*_HEADING.finditer(source)]
    before = source[: places[0].start()] if places else source
    if before.strip():
        yield "", before.strip()
    for here, there in zip_longest(places, places[1:]):
        yield here[0].strip(), source[here.end() : there.start() if there else None].strip()


def _is_exercise(cell: "NotebookNode") -> bool:
    """Tell whether a cell is a solution, a check or a hint, which no slide shows."""
    return bool(cell.metadata.get("nbgrader")) or cell.source.startswith("# hint(")


def _add_prose(slides: list[Slide], heading: str, text: str) -> str:
    """Add the slides of a heading and the text below it; return the sentence for what comes next."""
    marks, _, title = heading.partition(" ")
    title = _inline(title) if title else slides[-1].title if slides else ""
    questions = [_unwrapped(question) for question in _QUESTION.findall(text)]
    if title and heading and "Exercise " in heading:
        slides.append(Slide(title, [_markdown(text)]))
        return ""
    paragraphs = [part for part in re.split(r"\n{2,}", text) if part.strip()]
    told = [part for part in paragraphs if not _is_shown(part)]
    shown = _with_lead_in(paragraphs)
    if marks == "#":
        slides.append(Slide(title, [_markdown(told[0])] if told else [], kind="title"))
        slides += [Slide(title, [*map(_markdown, group)]) for group in shown]
    elif heading or shown:
        first = [_markdown(_first_sentence(told[0]))] if told and not _QUESTION.search(_first_sentence(told[0])) else []
        if shown and first and shown[0][0] == _first_sentence(told[0]):
            first = []
        for group in shown or [[]]:
            slides.append(Slide(title, [*first, *map(_markdown, group)]))
            first = []
    if slides and paragraphs:
        slides[-1].notes.append(_markdown(text))
    slides += [Slide("Before you look", [f"<p>{_inline(question)}</p>"], kind="question") for question in questions]
    # The last paragraph leads to what comes next, unless it was the first and stands on the heading's slide.
    lead = _first_sentence(told[-1]) if told and not (heading and len(told) == 1) else ""
    return "" if _QUESTION.search(lead) or marks == "#" else lead


def _is_shown(paragraph: str) -> bool:
    """Tell whether a paragraph is a formula, a table or a list, and so belongs on the slide as it is."""
    return bool(re.match(r"\$\$|\||[-*] |\d+\. |>|```", paragraph))


def _with_lead_in(paragraphs: list[str]) -> list[list[str]]:
    """Group what belongs on a slide as it is: formulas together, each table and each list by itself.

    Before each stands the sentence that runs into it, which ends with a comma or a colon, or with none.
    """
    groups: list[list[str]] = []
    for before, part in pairwise(["", *paragraphs]):
        if not _is_shown(part):
            continue
        said = [] if not before or _is_shown(before) else [_sentences(before)[-1]]
        said = [sentence for sentence in said if sentence[-1] not in ".!?)*"]
        if groups and not said and part.startswith("$$") and groups[-1][-1].startswith("$$"):
            groups[-1].append(part)
        else:
            groups.append([*said, part])
    return groups


def _first_sentence(paragraph: str) -> str:
    return _sentences(paragraph)[0]


def _sentences(paragraph: str) -> list[str]:
    """Cut a paragraph after its sentences; not after "et al.", nor inside of brackets."""
    sentences = [""]
    for piece in _SENTENCE.split(_unwrapped(paragraph)):
        last = sentences[-1]
        if not last or _ABBREVIATED.search(last) or last.count("(") != last.count(")") or last.count("**") % 2:
            sentences[-1] = f"{last} {piece}".strip()
        else:
            sentences.append(piece)
    return sentences


def _unwrapped(text: str) -> str:
    return " ".join(text.split())


def _add_outputs(slides: list[Slide], cell: "NotebookNode", lead: str) -> None:
    """Add the slides of what a cell shows: pictures one by one, with the few lines that stand beside them."""
    shown = [piece for output in cell.outputs for piece in _pieces(output)]
    if not shown:
        return
    title = next((slide.title for slide in reversed(slides) if slide.kind != "question"), "")
    code = _code(cell.source)
    intro = [_markdown(lead)] if lead else []
    page: list[str] = []
    weight = 0.0
    for piece, size in shown:
        if page and weight + size > 1:
            slides.append(Slide(title, [*intro, *page]))
            intro, page, weight = [], [], 0.0
        page.append(piece)
        weight += size
    is_short = len(cell.source.splitlines()) <= SHORT and weight <= 0.5
    folded = code if is_short else f"<details><summary>code</summary>{code}</details>"
    slides.append(Slide(title, [*intro, *([folded] if is_short else []), *page, *([] if is_short else [folded])]))


def _pieces(output: "NotebookNode") -> Iterator[tuple[str, float]]:
    """Yield what an output shows, in HTML, with the share of a slide that it takes."""
    data = output.get("data", {})
    if output.output_type == "error":
        yield _printed(f"{output.ename}: {output.evalue}"[:600]), 0.4
    elif "<img" in data.get("text/html", ""):
        yield f"<figure>{data['text/html']}</figure>", 0.8
    elif "image/png" in data:
        text = html.escape(data.get("text/plain", ""), quote=True)
        yield f'<figure><img src="data:image/png;base64,{data["image/png"].strip()}" alt="{text}"></figure>', 0.8
    elif "text/html" in data:
        yield data["text/html"], 0.4
    else:
        text = output.get("text", data.get("text/plain", ""))
        if "run this cell to" in text:  # a widget, which needs a kernel
            return
        lines = text.rstrip().splitlines()
        for start in range(0, len(lines), LINES):
            some = lines[start : start + LINES]
            yield _printed("\n".join(some)), max(0.15, len(some) / LINES)


# From text to HTML


def _printed(text: str) -> str:
    from nbconvert.filters import ansi2html

    longest = max(map(len, text.splitlines() or [""]))
    kind = "wide" if longest > 96 else "middle" if longest > 70 else ""
    return f'<pre class="{kind}">{ansi2html(text)}</pre>'


def _code(source: str) -> str:
    from nbconvert.filters import Highlight2HTML

    return Highlight2HTML(pygments_lexer="python")(source)


def _markdown(text: str) -> str:
    """Turn Markdown into HTML, formulas into pictures, and links to other chapters into words."""
    from nbconvert.filters import markdown2html_mistune

    formulas: list[str] = []

    def keep(match: re.Match) -> str:
        if match["code"]:
            return match[0]
        formulas.append(formula(match["block"] or match["line"], block=bool(match["block"])))
        return f"FORMULA{len(formulas) - 1}ALUMROF"

    page = markdown2html_mistune(_FORMULA.sub(keep, text))
    page = re.sub(r'<a class="anchor-link".*?</a>', "", page)
    page = re.sub(r'<a href="(?!https?:)[^"]*">(.*?)</a>', r"\1", page)
    return re.sub(r"FORMULA(\d+)ALUMROF", lambda match: formulas[int(match[1])], page)


def _inline(text: str) -> str:
    """Turn a line of Markdown into HTML without a paragraph around it."""
    plain = re.sub(r"^(\d+)\.", r"\1\\.", text.strip())  # "3. Title" begins no list
    return re.sub(r"^<p>|</p>\s*$", "", _markdown(plain).strip())


@cache
def formula(source: str, *, block: bool = False) -> str:
    """Return a formula as a picture in HTML, with its source as the description.

    What matplotlib cannot draw stays as it is written.

    Args:
        source: LaTeX, without its dollar signs.
        block: whether it stands on a line of its own.
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import math_to_image

    said = _unwrapped(source)
    text = said
    for pattern, replacement in _TRANSLATED:
        text = pattern.sub(replacement, text)
    file = io.BytesIO()
    try:
        depth = math_to_image(f"${text}$", file, prop=FontProperties(size=12, math_fontfamily="cm"), format="svg")
    except ValueError:
        return f"<code>{html.escape(said)}</code>"
    drawn = re.sub(r"<metadata>.*?</metadata>", "", file.getvalue().decode(), flags=re.DOTALL)
    width, height = (
        float(number) / 12 for number in re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', drawn).groups()
    )
    style = f"width:{width:.2f}em;height:{height:.2f}em;vertical-align:{-depth / 12:.2f}em"
    data = base64.b64encode(drawn.encode()).decode()
    kind = "formula block" if block else "formula"
    described = html.escape(said, quote=True)
    return f'<img class="{kind}" style="{style}" alt="{described}" src="data:image/svg+xml;base64,{data}">'


def page(slides: Iterable[Slide], name: str) -> str:
    """Return the slides as one page of HTML that loads nothing.

    Args:
        slides: in order.
        name: of the chapter, for the title of the page.
    """
    from pygments.formatters import HtmlFormatter

    parts = []
    for slide in slides:
        heading = "h1" if slide.kind == "title" else "h2"
        notes = f'<aside class="notes">{"".join(slide.notes)}</aside>' if slide.notes else ""
        body = "\n".join(slide.body)
        parts.append(
            f'<section class="{slide.kind}"><div class="page"><{heading}>{slide.title}</{heading}>\n'
            f'<div class="fit">{body}</div></div>{notes}</section>'
        )
    style = _STYLE + HtmlFormatter(style="default").get_style_defs(".highlight")
    return _PAGE.format(name=html.escape(name), style=style, script=_SCRIPT, slides="\n".join(parts))


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{name}</title><style>{style}</style></head>
<body><main>
{slides}
</main>
<footer><span id="number" role="status"></span> · arrows or space: turn · n: notes · c: code · print: PDF</footer>
<script>{script}</script></body></html>
"""

_STYLE = """
* { box-sizing: border-box; }
html, body { margin: 0; height: 100%; background: #fff; color: #1e1e1e; font: 26px/1.35 system-ui, sans-serif; }
section { display: none; height: 100vh; padding: 34px 56px 44px; overflow: hidden; }
section.now { display: flex; gap: 32px; }
.page { flex: 1; min-width: 0; display: flex; flex-direction: column; }
h1 { font-size: 52px; line-height: 1.15; margin: 18vh 0 24px; }
h2 { font-size: 34px; line-height: 1.2; margin: 0 0 16px; color: #0b4f8a; }
.fit { flex: 1; min-height: 0; transform-origin: top left; }
.question .page { justify-content: center; }
.question .fit { flex: none; font-size: 38px; }
p, ul, ol, table, pre, figure, details { margin: 0 0 14px; }
table { border-collapse: collapse; font-size: 22px; }
td, th { border-bottom: 1px solid #bbb; padding: 5px 14px 5px 0; text-align: left; vertical-align: top; }
pre { font: 19px/1.3 ui-monospace, "DejaVu Sans Mono", monospace; background: #f4f4f4; padding: 8px 12px; }
pre { overflow: visible; white-space: pre; }
pre.middle { font-size: 16px; }
pre.wide { font-size: 13px; white-space: pre-wrap; }
.highlight pre { font-size: 17px; }
figure img { display: block; margin: 0 auto; width: auto; object-fit: contain; }
figure img { max-width: 100%; max-height: 62vh; min-height: 34vh; }
img.block { display: block; margin: 12px auto; font-size: 30px; max-width: 100%; }
details { font-size: 18px; } summary { cursor: pointer; color: #0b4f8a; }
.notes { display: none; width: 34%; font-size: 17px; overflow-y: auto; }
.notes { border-left: 2px solid #ccc; padding-left: 18px; }
body.speaking .now .notes { display: block; }
footer { position: fixed; right: 18px; bottom: 8px; font-size: 14px; color: #666; }
@media print {
  @page { size: 1280px 720px; margin: 0; }
  section { display: flex !important; height: 720px; break-after: page; }
  .notes, footer, details { display: none !important; }
  figure img { max-height: 446px; min-height: 245px; }
}
"""

_SCRIPT = """
const pages = [...document.querySelectorAll("section")];
let here = Math.min(Math.max((parseInt(location.hash.slice(1)) || 1) - 1, 0), pages.length - 1);
function fit(page) {
  const box = page.querySelector(".fit");
  box.style.zoom = 1;
  for (let zoom = 1; zoom > 0.4 && overflows(page, box); zoom -= 0.04) box.style.zoom = zoom;
}
function overflows(page, box) {
  const room = page.querySelector(".page").getBoundingClientRect();
  const seen = [...box.querySelectorAll("*")].filter((one) => !one.parentElement.closest("details:not([open])"));
  const inner = seen.map((one) => one.getBoundingClientRect());
  return inner.some((one) => one.width && (one.right > room.right + 1 || one.bottom > room.bottom + 1));
}
function show(number) {
  pages[here].classList.remove("now");
  here = Math.min(Math.max(number, 0), pages.length - 1);
  pages[here].classList.add("now");
  fit(pages[here]);
  history.replaceState(null, "", "#" + (here + 1));
  document.getElementById("number").textContent = `${here + 1} of ${pages.length}`;
}
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const turn = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": event.shiftKey ? -1 : 1,
    ArrowLeft: -1, ArrowUp: -1, PageUp: -1, Home: -Infinity, End: Infinity }[event.key];
  if (event.key === " " && event.target.tagName === "SUMMARY") return;
  if (turn) { event.preventDefault(); show(here + turn); }
  if (event.key === "n") document.body.classList.toggle("speaking");
  if (event.key === "c") pages[here].querySelectorAll("details").forEach((one) => one.open = !one.open);
  fit(pages[here]);
});
document.addEventListener("toggle", () => fit(pages[here]), true);
addEventListener("resize", () => fit(pages[here]));
addEventListener("load", () => fit(pages[here]));
addEventListener("beforeprint", () => pages.forEach((page) => { page.classList.add("now"); fit(page); }));
addEventListener("afterprint", () => { pages.forEach((page) => page.classList.remove("now")); show(here); });
show(here);
"""
