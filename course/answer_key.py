"""The answer key of a chapter: every solution, the usual mistakes, what the check says to each, and what to say.

Nothing of it is written twice. Tasks and solutions come from the chapter, hints and praise from its checks, the wrong
answers from the tests, where each is proved to be refused, and what to say from the teacher's guide; what the check
says is found out by asking it. The last two belong to the repository. Where that is not at hand, the key says so.
"""

import ast
import re
import runpy
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from course import notebooks, progress
from course.exercises import checking
from course.exercises.questions import QUESTIONS

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT = notebooks.NOTEBOOKS.parent
FOLDER = ROOT / "build" / "answers"
"""Where keys are written, unless another folder is named."""

MISTAKES = ROOT / "tests" / "exercises"
"""The repository's proved wrong answers: ``wrong_NN.py``, each with ``WRONG[exercise] = [(name, body, words)]``."""

GUIDE = ROOT / "classroom" / "guide"
"""The teacher's guide: ``NN_slug.md``, with a line ``- **NN-exercise**: what to say`` for each exercise."""

MARKED = re.compile(r"^( *)# BEGIN SOLUTION: ([^\n]+)\n(.*?)^ *# END SOLUTION\n?", re.MULTILINE | re.DOTALL)
"""A solution between its markers: indent, what is expected, the lines."""

_SAID = re.compile(r"^- \*\*(\d\d-[\w-]+)\*\*: (.+(?:\n {2}\S.*)*)", re.MULTILINE)
_TASK = re.compile(r"^### Exercise .*\n", re.MULTILINE)

Mistake = tuple[str, str, str]
"""A wrong answer: its name, the body that stands in place of the solution, words that the check's line must hold."""


@dataclass(frozen=True)
class Answers:
    """What a chapter's exercises are made of, for putting other answers in the place of its own.

    Attributes:
        imports: the chapter's imports, as code.
        solutions: the cell that holds the solution, by exercise.
        checks: the cell that checks it, by exercise.
        tasks: what is asked, in Markdown, by exercise.
    """

    imports: str
    solutions: Mapping[str, str]
    checks: Mapping[str, str]
    tasks: Mapping[str, str]

    def outcome(self, exercise_id: str, body: str | None = None) -> checking.Outcome:
        """Return what the check says to the chapter's answer, or to what becomes of it with another body."""
        source = self.solutions[exercise_id]
        if body is not None:
            indent = MARKED.search(source)[1]
            source = MARKED.sub(lambda _: textwrap.indent(body, indent) + "\n", source)
        name = re.search(r'^check\("[\w-]+", (\w+)\)$', self.checks[exercise_id], re.MULTILINE)[1]
        space: dict[str, object] = {}
        exec(compile(self.imports, "<imports>", "exec"), space)
        exec(compile(source, "<string>", "exec"), space)
        return checking.examine(checking.find(exercise_id), space[name])


def answers_of(notebook: "NotebookNode") -> Answers:
    """Read the exercises of a chapter.

    Args:
        notebook: the chapter, with or without its outputs.
    """
    cells = notebook.cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    lines = [line for cell in code for line in cell.source.splitlines() if not line.startswith("%")]
    imports = [node for node in ast.parse("\n".join(lines)).body if isinstance(node, ast.Import | ast.ImportFrom)]
    solutions, checks, tasks, asked = {}, {}, {}, ""
    for cell in cells:
        grading = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "markdown" and (heading := _TASK.search(cell.source)):
            asked = cell.source[heading.end() :].strip()
        if grading.get("solution"):
            solutions[grading["grade_id"]], tasks[grading["grade_id"]] = cell.source + "\n", asked
        if grading.get("grade"):
            checks[grading["grade_id"].removesuffix("-check")] = cell.source
    return Answers(ast.unparse(ast.Module(imports, [])), solutions, checks, tasks)


def mistakes_of(number: str, folder: Path = MISTAKES) -> dict[str, list[Mistake]]:
    """Return a chapter's proved wrong answers by exercise; none where the repository's tests are not at hand.

    Args:
        number: of the chapter, two digits.
        folder: where ``wrong_NN.py`` is.
    """
    path = folder / f"wrong_{number}.py"
    return runpy.run_path(str(path))["WRONG"] if path.exists() else {}


def said_of(number: str, folder: Path = GUIDE) -> dict[str, str]:
    """Return what the teacher's guide says to those who are stuck, by exercise.

    Args:
        number: of the chapter, two digits.
        folder: where the guide is.
    """
    texts = (path.read_text(encoding="utf-8") for path in sorted(folder.glob(f"{number}_*.md")))
    return {name: " ".join(words.split()) for text in texts for name, words in _SAID.findall(text)}


def answer_key(path: Path, *, mistakes: Path = MISTAKES, guide: Path = GUIDE) -> str:
    """Return the answer key of a chapter, in Markdown.

    Args:
        path: the notebook.
        mistakes: the folder of the proved wrong answers.
        guide: the folder of the teacher's guide.
    """
    number = path.name[:2]
    answers, wrong, said = answers_of(notebooks.read(path)), mistakes_of(number, mistakes), said_of(number, guide)
    tasks = progress.tasks_of(path)
    parts = [
        f"# {number} · {tasks[0].chapter if tasks else path.stem}: answer key",
        f"For teachers. Made by `python -m course teacher {number}` out of {path.name}, its checks and their tests: "
        "make it anew rather than edit it.",
    ]
    if not wrong:
        parts.append(
            f"*The usual mistakes are left out: they stand in the repository, in tests/exercises/wrong_{number}.py, "
            "and that file is not here.*"
        )
    for task in tasks:
        parts += _exercise(task, answers, wrong.get(task.id, []), said.get(task.id, ""))
    if question := QUESTIONS.get(number):
        parts += [
            f"## In words · {question.title}",
            f"*Read by a person; {_points(question.points)}.* {question.text}",
            f"**A good answer says.** {question.answer}",
        ]
    return "\n\n".join(parts) + "\n"


def _exercise(task: progress.Task, answers: Answers, wrong: Sequence[Mistake], said: str) -> list[str]:
    exercise = checking.find(task.id)
    hints = "\n".join(f"{number}. {hint}" for number, hint in enumerate(exercise.hints, start=1))
    parts = [
        f"## Exercise {task.title}",
        f"`{task.id}`, {_points(task.points)}.",
        answers.tasks[task.id],
        "### The solution",
        f"```python\n{checking.without_markers(answers.solutions[task.id])}\n```",
        f"What it shows when it passes: {exercise.praise}. Solutions differ; whatever the check accepts is right.",
        "### What to say",
        *([said] if said else []),
        f"The hints, as the learner can open them; give them one at a time:\n\n{hints}",
    ]
    if wrong:
        told = "\n".join(_mistake(name, body, answers.outcome(task.id, body).line, task.id) for name, body, _ in wrong)
        parts += ["### The usual mistakes, and what the check says to each", told]
    return parts


def _mistake(name: str, body: str, line: str, exercise_id: str) -> str:
    """Write one wrong answer as an item of a list, its code folded away."""
    said = line.removeprefix(f"FAIL   {exercise_id}: ")
    code = textwrap.indent(f"```python\n{body.strip()}\n```", "  ")
    return f"- **{name}**: {_plain(said)}\n  <details><summary>the code</summary>\n\n{code}\n\n  </details>"


def _plain(text: str) -> str:
    """Keep what the check says from being read as Markdown or HTML."""
    return re.sub(r"([\\`*_<\[\]])", r"\\\1", text)


def _points(number: float) -> str:
    return f"{number:g} point" if number == 1 else f"{number:g} points"
