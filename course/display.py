"""Clips, figures, widgets and progress bars, for every place where a chapter is read.

A picture leaves as one output with three views of the same thing, and each reader takes the first that it can draw:

text/html    the moving picture with its description: JupyterLab, run or not yet run, and an exported page
image/png    a still of it, the frames of a clip side by side: print, and forges that drop pictures from HTML
text/plain   the description: a terminal, a screen reader, and the check of a stored notebook

Outside IPython the description is printed. It holds no number that differs between machines or budgets, other than the
sizes of the clips.
"""

import base64
import html
import io
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from course import budget
from course.clips import expect, to_float, to_uint8
from course.datasets.captions import COLOURS
from course.datasets.photos import read_picture
from course.datasets.sprites import PALETTE

if TYPE_CHECKING:
    from anywidget import AnyWidget
    from matplotlib.figure import Figure
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

SIZE = 160
"""Pixels on the page that the longer side of a clip may take; smaller clips are enlarged up to it."""

LOSSLESS_BYTES = 100_000
"""Moving pictures that would be larger are compressed with loss, if that makes them smaller."""

_STRIP_SIZE = 72
_STILL_FRAMES = 8
_GAP, _LINE, _FONT_SIZE = 4, 18, 13
_PAPER, _INK = (240, 240, 240), (30, 30, 30)

# Okabe and Ito (2008), without their yellow, which is too pale for a line. Style and marker differ as well, so that the
# curves can be told apart without colour.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
_LINES = ("-", "--", "-.", ":", (0, (1, 3)), (0, (6, 3)), (0, (6, 2, 1, 2, 1, 2)))
_MARKERS = "osD^vPX"

CANVAS_SIZE = 16
"""Pixels of a side of the canvas."""
CANVAS_COLOURS: Mapping[str, str] = {
    **{name: "#" + bytes(to_uint8(rgb).tolist()).hex() for name, rgb in zip(COLOURS, PALETTE, strict=True)},
    "white": "#ffffff",
    "black": "#000000",
}
"""What can be painted with; black is the eraser."""

Item = TypeVar("Item")


# Clips


def show(clips: Tensor | Mapping[str, Tensor], *, description: str, fps: float = 8, size: int = SIZE) -> None:
    """Play a clip, or several clips of one length side by side and in step.

    Args:
        clips: one clip (T, C, H, W), float32 in [0, 1], C is 1 or 3; or clips by title.
        description: what is seen, for those who do not see it.
        fps: frames per second, at most 50, which is what browsers keep up with.
        size: pixels that the longer side of each clip may take on the page; larger clips are not shrunk.

    Raises:
        ValueError: for clips of another form or of different lengths, or without a description.
    """
    clips = _titled(clips)
    number = f"{len(clips)} clips side by side, each" if len(clips) > 1 else "clip"
    facts = f"{number} of {_count(_length(clips), 'frame')}, {_forms(clips)}, at {fps:g} frames per second"
    _play(clips, f"{facts}: {_sentence(description)}", fps, size)


def strip(
    clips: Tensor | Mapping[str, Tensor],
    *,
    description: str,
    every: int = 1,
    columns: int = 8,
    size: int = _STRIP_SIZE,
    numbers: str = "t = {}",
) -> None:
    """Show the frames of a clip, or of several clips of one length, side by side with their numbers.

    Args:
        clips: one clip (T, C, H, W), float32 in [0, 1], C is 1 or 3; or clips by title, one row each.
        description: what is seen, for those who do not see it.
        every: show frames 0, ``every``, 2 ``every``, ...
        columns: frames beside one another, at least 1.
        size: pixels that the longer side of a frame may take on the page; larger frames are shrunk.
        numbers: what stands below the frames; for pictures that do not follow one another, such as ``"clip {}"``.

    Raises:
        ValueError: for clips of another form or of different lengths, or without a description.
    """
    clips = _titled(clips)
    if every < 1 or columns < 1:
        raise ValueError(f"wanted every and columns of at least 1, got {every} and {columns}")
    frames = range(0, _length(clips), every)
    facts = f"strip of {_count(len(frames), 'frame')}, {_forms(clips)}, {numbers.format(0)} to {frames[-1]}"
    _emit(f"{facts}: {_sentence(description)}", _sheet(clips, frames, columns, size, numbers))


def slider(clips: Tensor | Mapping[str, Tensor], *, description: str, size: int = SIZE) -> None:
    """Step through the frames of a clip, or of several clips side by side, with a slider; draw a strip first.

    Args:
        clips: one clip (T, C, H, W), float32 in [0, 1], C is 1 or 3; or clips by title.
        description: what is seen, for those who do not see it.
        size: pixels that the longer side of a clip may take on the page.

    Raises:
        ValueError: for clips of another form or of different lengths, or without a description.
    """
    strip(clips, description=description)
    clips = _titled(clips)
    frames = _frames(clips, size)
    _slide(lambda t: [frames[t]], "t", [str(t) for t in range(len(frames))], description)


def explore(
    draw: Callable[[Item], Tensor | bytes],
    *,
    name: str,
    values: Iterable[Item],
    description: str,
    fps: float = 8,
    size: int = SIZE,
) -> None:
    """Show how a picture or a clip depends on one value: three of them side by side, then a slider over all.

    Args:
        draw: takes one of the values; gives a picture (C, H, W) or a clip (T, C, H, W), float32 in [0, 1], with as
            many frames for each value, or the bytes of a PNG file. It is called once for each value that is looked at.
        name: what the value is called, with its unit.
        values: the values to choose from, at least one.
        description: what is seen, for those who do not see it.
        fps: frames per second of clips, at most 50.
        size: pixels that the longer side of a picture may take on the page; larger ones are not shrunk.

    Raises:
        ValueError: if there are no values, if ``draw`` gives something else, or without a description.
    """
    values = list(values)
    if not values:
        raise ValueError(f"{name}: wanted at least one value, got none")

    @cache
    def drawn(index: int) -> Tensor:
        picture = draw(values[index])
        if isinstance(picture, bytes):
            picture = to_float(torch.from_numpy(np.array(_from_png(picture))).permute(2, 0, 1))
        return picture[None] if isinstance(picture, Tensor) and picture.ndim == 3 else picture  # (T, C, H, W)

    labels = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    clips = _titled({f"{name} = {labels[index]}": drawn(index) for index in _spread(len(values), 3)})
    _play(clips, f"{name} = {labels[0]} to {labels[-1]}: {_sentence(description)}", fps, size)
    _slide(lambda index: _frames(_titled({"": drawn(index)}), size), name, labels, description, fps)


# A canvas


class Canvas:
    """A small canvas to draw a picture on, with the mouse or the keyboard, or to load a picture file into.

    Attributes:
        pad: the widget that is drawn on; its ``pixels`` are one colour, #rrggbb, for each pixel, row by row.
        upload: the widget that takes a picture file.
        message: the widget that says what went wrong.
        widget: all of them, to be displayed.
    """

    def __init__(self, start: Tensor | None = None) -> None:
        """Lay a picture on the canvas.

        Args:
            start: (3, 16, 16), float32 in [0, 1]; None for black.

        Raises:
            ValueError: for a picture of another form.
        """
        import ipywidgets

        start = torch.zeros(3, CANVAS_SIZE, CANVAS_SIZE) if start is None else start
        self.pad = _pad()(pixels=_to_hex(start))
        self.upload = ipywidgets.FileUpload(accept="image/*", multiple=False, description="Load a picture file")
        self.upload.layout.width = "auto"
        self.message = ipywidgets.HTML()
        self.upload.observe(self._load, "value")
        self.widget = ipywidgets.VBox([self.pad, self.upload, self.message], layout={"width": "280px"})

    @property
    def picture(self) -> Tensor:
        """What is on the canvas: (3, 16, 16), float32 in [0, 1]."""
        values = torch.tensor([list(bytes.fromhex(colour[1:])) for colour in self.pad.pixels], dtype=torch.uint8)
        return to_float(values.T.reshape(3, CANVAS_SIZE, CANVAS_SIZE).contiguous())

    @picture.setter
    def picture(self, picture: Tensor) -> None:
        self.pad.pixels = _to_hex(picture)

    def clear(self) -> None:
        """Make the canvas black."""
        self.pad.pixels = _to_hex(torch.zeros(3, CANVAS_SIZE, CANVAS_SIZE))

    def say(self, text: str) -> None:
        """Show a line below the canvas, in place of the last one."""
        self.message.value = f'<span role="alert">{html.escape(text)}</span>' if text else ""

    def _load(self, change: object) -> None:
        """Lay the file that was chosen on the canvas, or say why that cannot be."""
        for file in self.upload.value:
            try:
                self.picture = read_picture(bytes(file["content"]), CANVAS_SIZE, name=file["name"])
                self.say("")
            except ValueError as error:
                self.say(str(error))


def draw_and_animate(
    animate: Callable[[Tensor], Tensor],
    start: Tensor,
    *,
    description: str,
    fps: float = 8,
    size: int = SIZE,
) -> Canvas:
    """Show a picture and what becomes of it, then a canvas to draw others on, with a button that animates them.

    Args:
        animate: from a picture (3, 16, 16) to a clip (T, C, H, W), float32 in [0, 1]. It is called once for ``start``,
            and then each time the button is pressed; what a ValueError says is shown in place of a clip.
        start: (3, 16, 16), float32 in [0, 1], what is on the canvas at first.
        description: what is seen, for those who do not see it.
        fps: frames per second, at most 50.
        size: pixels that the longer side of the clip may take on the page.

    Returns:
        The canvas; ``picture`` is what is on it now.

    Raises:
        ValueError: if the picture or the clip is of another form, or without a description.
    """
    expect(start, f"3 {CANVAS_SIZE} {CANVAS_SIZE}", name="start")
    clip = animate(start)
    clips = _titled({"the picture": start.expand(len(clip), -1, -1, -1), "animated": clip})
    _play(clips, f"a picture and what becomes of it: {_sentence(description)}", fps, size)
    canvas = Canvas(start)
    if not hasattr(_ipython(), "kernel"):
        return canvas
    import ipywidgets
    from IPython.display import display

    button = ipywidgets.Button(description="Animate", button_style="primary")
    view = ipywidgets.HTML(_animation(clip, description, fps, size))

    def press(_: object) -> None:
        button.description = "Animating ..."  # not disabled: that would take the keyboard away from it
        try:
            view.value = _announced(_animation(animate(canvas.picture), description, fps, size))
            canvas.say("")
        except ValueError as error:
            canvas.say(str(error))
        finally:
            button.description = "Animate"

    button.on_click(press)
    beside = ipywidgets.VBox([button, view])
    box = ipywidgets.HBox([canvas.widget, beside], layout={"flex_flow": "row wrap"})
    display({**box._repr_mimebundle_(), "text/plain": "canvas to draw on: run this cell to use it"}, raw=True)
    return canvas


def _animation(clip: Tensor, description: str, fps: float, size: int) -> str:
    frames = _frames(_titled(clip), size)
    return _img(_webp(frames, fps), f"your picture, animated: {_sentence(description)}", frames[0].width)


def _to_hex(picture: Tensor) -> list[str]:
    """Write each pixel of a picture (3, 16, 16) as #rrggbb, row by row."""
    expect(picture, f"3 {CANVAS_SIZE} {CANVAS_SIZE}", name="picture")
    return ["#" + bytes(colour).hex() for colour in to_uint8(picture.detach().cpu()).flatten(1).T.tolist()]


@cache
def _pad() -> type["AnyWidget"]:
    """Make the class of the widget that is drawn on; not at the top, since what it is made of is slow to import."""
    import anywidget
    import traitlets

    class Pad(anywidget.AnyWidget):
        """A square of pixels to paint on."""

        _esm = _PAD_SCRIPT
        _css = _PAD_STYLE
        size = traitlets.Int(CANVAS_SIZE, read_only=True).tag(sync=True)
        colours = traitlets.List(list(map(list, CANVAS_COLOURS.items())), read_only=True).tag(sync=True)
        pixels = traitlets.List(traitlets.Unicode()).tag(sync=True)

        @traitlets.validate("pixels")
        def _expect_colours(self, proposal: object) -> list[str]:
            pixels = proposal["value"]
            if len(pixels) != self.size**2 or not all(re.fullmatch("#[0-9a-f]{6}", pixel) for pixel in pixels):
                raise traitlets.TraitError(f"pixels: wanted {self.size**2} colours #rrggbb, got {pixels!r:.60}")
            return pixels

    return Pad


_PAD_STYLE = """
.course-pad { display: inline-flex; flex-direction: column; gap: 6px; font-family: sans-serif; font-size: 13px; }
.course-pad canvas { width: 256px; height: 256px; image-rendering: pixelated; touch-action: none; cursor: crosshair; }
.course-pad canvas:focus-visible { outline: 3px solid #0072b2; outline-offset: -3px; }
.course-pad .course-tools { display: flex; flex-wrap: wrap; gap: 4px; max-width: 262px; }
.course-pad button { min-width: 28px; height: 28px; border: 1px solid #777; border-radius: 3px; cursor: pointer; }
.course-pad button[aria-pressed="true"] { outline: 3px solid #0072b2; outline-offset: 1px; }
.course-pad .course-help { max-width: 262px; }
"""

# Written for JupyterLab, which takes the arrow keys for itself wherever an element does not forbid it.
_PAD_SCRIPT = """
function render({ model, el }) {
  const size = model.get("size"), colours = model.get("colours"), scale = 16;
  let chosen = 0, row = Math.floor(size / 2), column = row, last = null;
  let pixels = model.get("pixels").slice();

  const make = (tag, parent, properties = {}) =>
    parent.appendChild(Object.assign(document.createElement(tag), properties));
  const keys = `arrow keys move, space paints, 1 to ${colours.length} choose a colour`;
  const pad = make("div", el, { className: "course-pad" });
  pad.setAttribute("data-lm-suppress-shortcuts", "true");
  const canvas = make("canvas", pad, { width: size * scale, height: size * scale, tabIndex: 0 });
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", `Canvas of ${size} by ${size} pixels: ${keys}`);
  const tools = make("div", pad, { className: "course-tools" });
  const swatches = colours.map(([name, colour], index) => {
    const swatch = make("button", tools, { type: "button", title: name === "black" ? "black: the eraser" : name });
    swatch.setAttribute("aria-label", swatch.title);
    swatch.style.background = colour;
    swatch.onclick = () => choose(index);
    return swatch;
  });
  make("button", tools, { type: "button", textContent: "Clear", onclick: () => { pixels.fill("#000000"); send(); } });
  const where = make("div", pad, { className: "course-help" });
  where.setAttribute("aria-live", "polite");

  function named(colour) {
    const found = colours.find(([, value]) => value === colour);
    return found ? found[0] : colour;
  }
  function draw() {
    const pen = canvas.getContext("2d");
    pixels.forEach((colour, index) => {
      const x = (index % size) * scale, y = Math.floor(index / size) * scale;
      pen.fillStyle = colour;
      pen.fillRect(x, y, scale, scale);
      pen.strokeStyle = "rgba(128, 128, 128, 0.35)";
      pen.strokeRect(x + 0.5, y + 0.5, scale - 1, scale - 1);
    });
    pen.lineWidth = 2;
    if (document.activeElement === canvas || canvas.matches(":focus")) {
      for (const [colour, inset] of [["black", 1], ["white", 3]]) {
        pen.strokeStyle = colour;
        pen.strokeRect(column * scale + inset, row * scale + inset, scale - 2 * inset, scale - 2 * inset);
      }
    }
    pen.lineWidth = 1;
    const here = named(pixels[row * size + column]);
    where.textContent = `Row ${row + 1}, column ${column + 1}: ${here}. Painting ${colours[chosen][0]}; ${keys}.`;
  }
  function send() {
    draw();
    model.set("pixels", pixels.slice());
    model.save_changes();
  }
  function choose(index) {
    chosen = index;
    swatches.forEach((swatch, other) => swatch.setAttribute("aria-pressed", String(other === index)));
    draw();
  }
  function paint() {
    pixels[row * size + column] = colours[chosen][1];
  }
  function place(event) {
    const box = canvas.getBoundingClientRect();
    const inside = (value) => Math.min(size - 1, Math.max(0, Math.floor(value * size)));
    return [inside((event.clientY - box.top) / box.height), inside((event.clientX - box.left) / box.width)];
  }
  function stroke(event) {
    const [toRow, toColumn] = place(event);
    const [fromRow, fromColumn] = last ?? [toRow, toColumn];
    const steps = Math.max(1, Math.abs(toRow - fromRow), Math.abs(toColumn - fromColumn));
    for (let step = 0; step <= steps; step++) {
      row = Math.round(fromRow + (toRow - fromRow) * step / steps);
      column = Math.round(fromColumn + (toColumn - fromColumn) * step / steps);
      paint();
    }
    last = [row, column];
    draw();
  }
  const end = () => { if (last) { last = null; send(); } };
  canvas.onpointerdown = (event) => { canvas.setPointerCapture(event.pointerId); canvas.focus(); stroke(event); };
  canvas.onpointermove = (event) => { if (last) stroke(event); };
  canvas.onpointerup = canvas.onpointercancel = end;
  canvas.onfocus = canvas.onblur = draw;
  canvas.onkeydown = (event) => {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) {
      row = Math.min(size - 1, Math.max(0, row + moves[event.key][0]));
      column = Math.min(size - 1, Math.max(0, column + moves[event.key][1]));
      draw();
    } else if (event.key === " ") {
      paint();
      send();
    } else if (Number(event.key) >= 1 && Number(event.key) <= colours.length) {
      choose(Number(event.key) - 1);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const changed = () => { pixels = model.get("pixels").slice(); draw(); };
  model.on("change:pixels", changed);
  choose(0);
  return () => model.off("change:pixels", changed);
}
export default { render };
"""


# Figures


def curve(
    x: Sequence[float] | Tensor | Mapping[str, Sequence[float] | Tensor],
    curves: Mapping[str, Sequence[float] | Tensor],
    *,
    x_label: str,
    y_label: str,
    description: str,
    log: bool = False,
    log_x: bool = False,
) -> None:
    """Draw curves that can be told apart without colour.

    Args:
        x: (N,), where the curves were measured; or, by name, where each of them was.
        curves: by name, at most seven; each (N,), or (seeds, N), of which the mean is drawn as a line and the range
            from the lowest to the highest as a band.
        x_label: what x is, with its unit.
        y_label: what the curves are, with their unit.
        description: what is to be seen in them.
        log: draw the y axis in powers of ten.
        log_x: draw the x axis in powers of ten.

    Raises:
        ValueError: if a size does not fit, if there are no curves or too many, or if a text is missing.
    """
    by_name = isinstance(x, Mapping)
    if by_name and set(x) != set(curves):
        raise ValueError(f"x: wanted the names of the curves, {', '.join(curves)}, got {', '.join(x)}")
    places = {name: torch.as_tensor(x[name] if by_name else x, dtype=torch.float64).detach().cpu() for name in curves}
    curves = {name: torch.as_tensor(y, dtype=torch.float64).detach().cpu() for name, y in curves.items()}
    if not 1 <= len(curves) <= len(_COLOURS):
        raise ValueError(f"curves: wanted 1 to {len(_COLOURS)}, got {len(curves)}")
    for name, y in curves.items():
        if places[name].ndim != 1 or y.ndim not in (1, 2) or y.shape[-1] != len(places[name]) or y.numel() == 0:
            sizes = f"x {tuple(places[name].shape)} and curve {name!r} {tuple(y.shape)}"
            raise ValueError(f"curves: wanted x (N,) and curves (N,) or (seeds, N), got {sizes}")
    x_label, y_label = _sentence(x_label, "x_label"), _sentence(y_label, "y_label")
    text = f"curves of {y_label} over {x_label}, {', '.join(curves)}: {_sentence(description)}"

    figure = _figure()
    axes = figure.subplots()
    for (name, y), colour, line, marker in zip(curves.items(), _COLOURS, _LINES, _MARKERS, strict=False):
        seeds, x = torch.atleast_2d(y), places[name]  # (seeds, N) and (N,)
        if len(seeds) > 1:
            axes.fill_between(x, seeds.amin(0), seeds.amax(0), color=colour, alpha=0.2, linewidth=0)
            if len(x) == 1:  # a band without width is not seen
                axes.vlines(x, seeds.amin(0), seeds.amax(0), color=colour, alpha=0.4, linewidth=4)
        axes.plot(x, seeds.mean(0), color=colour, linestyle=line, marker=marker if len(x) <= 20 else "", label=name)
    x_scale, y_scale = ("log" if one else "linear" for one in (log_x, log))
    axes.set(xlabel=x_label, ylabel=y_label, xscale=x_scale, yscale=y_scale)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    bands = sorted({len(y) for y in curves.values() if y.ndim == 2} - {1})
    counted = " or ".join(map(str, bands))
    title = f"line and band: mean and range of {counted} seeds" if bands else None
    for ncols in (2, 1):  # above the axes, where it lies over no curve; one below the other if the names are long
        legend = figure.legend(loc="outside upper left", ncols=ncols, frameon=False, title=title, alignment="left")
        figure.draw_without_rendering()
        if legend.get_window_extent().x1 <= figure.bbox.width or ncols == 1:
            break
        legend.remove()
    _emit_figure(text, figure)


def heatmap(
    values: Tensor | Sequence[Sequence[float]],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    row_label: str,
    column_label: str,
    value_label: str,
    description: str,
    digits: int = 2,
) -> None:
    """Draw a table of numbers as colours, with the numbers in it.

    Args:
        values: (len(rows), len(columns)), finite.
        rows: what each row is called.
        columns: what each column is called.
        row_label: what the rows are.
        column_label: what the columns are.
        value_label: what the numbers are, with their unit.
        description: what is to be seen in them.
        digits: how many stand after the point.

    Raises:
        ValueError: if a size does not fit, if a number is not finite, or if a text is missing.
    """
    values = torch.as_tensor(values, dtype=torch.float64).detach().cpu()
    if values.shape != (len(rows), len(columns)) or values.numel() == 0:
        raise ValueError(f"values: wanted ({len(rows)} rows, {len(columns)} columns), got {tuple(values.shape)}")
    if not values.isfinite().all():
        raise ValueError("values: wanted finite numbers, got NaN or infinity")
    labels = {"row_label": row_label, "column_label": column_label, "value_label": value_label}
    row_label, column_label, value_label = (_sentence(label, name) for name, label in labels.items())
    axes_text = f"{_count(len(rows), 'row')} ({row_label}), {_count(len(columns), 'column')} ({column_label})"
    text = f"heat map of {value_label}, {axes_text}: {_sentence(description)}"

    figure = _figure(max(3.2, 0.85 * len(columns) + 2.2), max(2.0, 0.4 * len(rows) + 1.2))
    axes = figure.subplots()
    picture = axes.imshow(values.numpy(), cmap="cividis", aspect="auto")
    middle = (values.min() + values.max()) / 2
    for i, row in enumerate(values.tolist()):
        for j, value in enumerate(row):
            axes.text(j, i, f"{value:.{digits}f}", ha="center", va="center", color="k" if value > middle else "w")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set(xlabel=column_label, ylabel=row_label)
    figure.colorbar(picture, label=value_label)
    _emit_figure(text, figure)


def bars(parts: Mapping[str, tuple[int, int]], *, label: str) -> None:
    """Draw how much of each of several wholes is done; the numbers beside the bars are the description, too.

    Args:
        parts: by name, how many are done and how many there are.
        label: what is counted, such as ``"exercises passed"``.

    Raises:
        ValueError: if there are no parts, if a number does not fit, or without a label.
    """
    label = _sentence(label, "label")
    if not parts or not all(0 <= done <= whole and whole > 0 for done, whole in parts.values()):
        raise ValueError(f"parts: wanted {{name: (done, whole)}} with 0 <= done <= whole and 0 < whole, got {parts}")
    numbers = [f"{done} of {whole}" for done, whole in parts.values()]
    text = f"bars of {label}: {', '.join(' '.join(pair) for pair in zip(parts, numbers, strict=True))}"

    figure = _figure(height=0.3 * len(parts) + 0.8)
    axes = figure.subplots()
    whole = axes.barh(list(parts), [whole for _, whole in parts.values()], color="white", edgecolor=_COLOURS[0])
    axes.barh(list(parts), [done for done, _ in parts.values()], color=_COLOURS[0])
    axes.bar_label(whole, numbers, padding=4)
    axes.margins(x=0.15)
    axes.invert_yaxis()
    axes.locator_params(axis="x", integer=True)
    axes.set(xlabel=label)
    axes.spines[["top", "right"]].set_visible(False)
    _emit_figure(text, figure)


# Progress


def progress(iterable: Iterable[Item], *, description: str, total: int | None = None) -> Iterable[Item]:
    """Iterate with a progress bar that is gone when the work is done.

    The bar is drawn in a terminal and in a notebook; into a file, and at the smoke budget, nothing is written.

    Args:
        iterable: what to iterate over.
        description: what is going on, in a word or two.
        total: number of items, where ``len(iterable)`` does not tell.

    Returns:
        An iterable over the same items.
    """
    from tqdm.std import tqdm

    return tqdm(
        iterable,
        desc=description,
        total=total,
        file=_Line() if hasattr(_ipython(), "kernel") else sys.stderr,
        disable=True if budget.name() == "smoke" else None,  # None: unless the file is a terminal
        leave=False,
        mininterval=0.2,
        miniters=1,  # look at the clock at every step: long ones and short ones may take turns
        ncols=80,
        ascii=False,
    )


class _Line:
    """One line of a notebook's output that is written over and over, as a terminal does after a carriage return.

    tqdm's own bar for notebooks is a widget, and would leave its remains in the stored notebook.
    """

    def __init__(self) -> None:
        self.handle = None

    def write(self, text: str) -> None:
        """Replace the line; an empty one takes the output away."""
        from IPython.display import display

        line = text.strip()
        bundle = {"text/html": f"<pre>{html.escape(line)}</pre>"} if line else {}  # HTML is not compared by checks
        if self.handle is not None:
            self.handle.update(bundle, raw=True)
        elif line:
            self.handle = display(bundle, raw=True, display_id=True)

    def flush(self) -> None:
        """Do nothing: what is written is shown at once."""

    def isatty(self) -> bool:
        """Say yes, since the line can be overwritten."""
        return True


# What is common to all: checks, pictures, and the one way out


def _titled(clips: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Check clips of one length; return them by title, on the CPU. A single clip has the empty title."""
    titled = {str(title): clip for title, clip in clips.items()} if isinstance(clips, Mapping) else {"": clips}
    for title, clip in titled.items():
        sizes = expect(clip, "T C H W", name=f"clip {title!r}" if title else "clip", C=(1, 3))
        if 0 in sizes.values():
            raise ValueError(f"clip {title!r}: wanted at least one frame and one pixel, got {tuple(clip.shape)}")
    lengths = {title: len(clip) for title, clip in titled.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"clips: wanted at least one, and as many frames in each, got {lengths}")
    return {title: clip.detach().cpu() for title, clip in titled.items()}


def _length(clips: dict[str, Tensor]) -> int:
    return len(next(iter(clips.values())))


def _sentence(text: str, name: str = "description") -> str:
    """Return a text on one line, or raise if there is none."""
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{name}: wanted words, got {text!r}")
    return " ".join(text.split())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _forms(clips: dict[str, Tensor]) -> str:
    """Describe the size of the frames: ``3 x 16 x 16``, or ``truth 3 x 16 x 16, prediction 3 x 16 x 16``."""
    return ", ".join(f"{title} {' x '.join(map(str, clip.shape[1:]))}".lstrip() for title, clip in clips.items())


def _spread(number: int, most: int) -> list[int]:
    """Return at most ``most`` indices below ``number``, evenly spread from the first to the last."""
    count = min(number, most)
    return [round(i * (number - 1) / max(count - 1, 1)) for i in range(count)]


def _play(clips: dict[str, Tensor], text: str, fps: float, size: int) -> None:
    if not 0 < fps <= 50:
        raise ValueError(f"fps: wanted more than 0 and at most 50 frames per second, got {fps}")
    frames = _frames(clips, size)
    many = _spread(len(frames), _STILL_FRAMES)
    still = _sheet(clips, many, len(many), _STRIP_SIZE) if len(frames) > 1 else frames[0]
    _emit(text, still, _webp(frames, fps), frames[0].width)


def _frames(clips: dict[str, Tensor], size: int) -> list["Image"]:
    """Draw the clips side by side, each below its title if it has one: one picture for each t."""
    titles = [[_words(title) for title in clips]] if any(clips) else []
    return [
        _table([*titles, [_picture(frame, size) for frame in frames]]) for frames in zip(*clips.values(), strict=True)
    ]


def _sheet(
    clips: dict[str, Tensor], frames: Sequence[int], columns: int, size: int, numbers: str = "t = {}"
) -> "Image":
    """Draw the chosen frames, one row for each clip, ``columns`` to a row, with their numbers below."""
    rows = []
    for start in range(0, len(frames), columns):
        chosen = frames[start : start + columns]
        for title, clip in clips.items():
            rows.append([_words(title), *(_picture(clip[t], size, shrink=True) for t in chosen)])
        rows.append([_words(""), *(_words(numbers.format(t)) for t in chosen)])
    return _table(rows if any(clips) else [row[1:] for row in rows])


def _picture(frame: Tensor, size: int, *, shrink: bool = False) -> "Image":
    """Draw a frame (C, H, W), enlarged by a whole number up to ``size``, or shrunk to it if that is wanted.

    The pixels are enlarged here, not by the browser, since pages of forges drop the style that would keep them sharp.
    """
    from PIL import Image

    pixels = to_uint8(frame).permute(1, 2, 0).squeeze(-1)  # (H, W, 3), or (H, W) for grey
    picture = Image.fromarray(pixels.numpy()).convert("RGB")
    if shrink:
        picture.thumbnail((size, size))
    scale = max(1, size // max(picture.size))
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def _words(text: str) -> "Image":
    """Draw a line of text."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (math.ceil(_font().getlength(text)) + 2 * _GAP, _LINE), _PAPER)
    ImageDraw.Draw(picture).text((_GAP, _LINE / 2), text, _INK, _font(), anchor="lm")
    return picture


@cache
def _font() -> "FreeTypeFont":
    """Load the font of the figures, which comes with matplotlib."""
    from matplotlib import get_data_path
    from PIL import ImageFont

    return ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", _FONT_SIZE)


def _table(rows: Sequence[Sequence["Image"]]) -> "Image":
    """Lay out pictures in rows and columns, each in the middle of its cell."""
    from PIL import Image

    widths = [max(picture.width for picture in column if picture) for column in zip_longest(*rows)]
    heights = [max(picture.height for picture in row) for row in rows]
    whole = (sum(widths) + _GAP * (len(widths) + 1), sum(heights) + _GAP * (len(heights) + 1))
    table = Image.new("RGB", whole, _PAPER)
    top = _GAP
    for row, height in zip(rows, heights, strict=True):
        left = _GAP
        for picture, width in zip(row, widths, strict=False):
            table.paste(picture, (left + (width - picture.width) // 2, top + (height - picture.height) // 2))
            left += width + _GAP
        top += height + _GAP
    return table


def _figure(width: float = 6.4, height: float = 3.4) -> "Figure":
    """Return an empty figure of the given size in inches, unknown to pyplot, so that nothing is left of it."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _emit_figure(text: str, figure: "Figure") -> None:
    still, fine = _rendered(figure, dpi=100), _rendered(figure, dpi=150)  # the second is sharp on a fine screen, too
    _emit(text, still, _webp([fine]), still.width)


def _rendered(figure: "Figure", dpi: int) -> "Image":
    """Draw a figure in 64 colours: nobody sees the difference, and it halves the size."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return _from_png(file.getvalue()).quantize(64).convert("RGB")


def _from_png(data: bytes) -> "Image":
    from PIL import Image

    return Image.open(io.BytesIO(data)).convert("RGB")


def _png(picture: "Image") -> bytes:
    """Encode a still with at most 256 colours: a third of the size, and it is only the second choice."""
    file = io.BytesIO()
    picture.quantize(256).save(file, "PNG", optimize=True)
    return file.getvalue()


def _webp(frames: Sequence["Image"], fps: float = 1) -> bytes:
    """Encode pictures as an endless animation, or a single one as a still: without loss, unless that is too large."""
    ends = [round(1000 * t / fps) for t in range(len(frames) + 1)]  # milliseconds; errors of rounding do not add up
    durations = [end - start for start, end in pairwise(ends)]

    def encoded(lossless: bool) -> bytes:
        file = io.BytesIO()
        first, *others = frames
        first.save(file, "WEBP", save_all=True, append_images=others, duration=durations, loop=0, lossless=lossless)
        return file.getvalue()

    exact = encoded(lossless=True)
    return exact if len(exact) <= LOSSLESS_BYTES else min(exact, encoded(lossless=False), key=len)


def _img(webp: bytes, text: str, width: int) -> str:
    source = f"data:image/webp;base64,{base64.b64encode(webp).decode()}"
    return f'<img src="{source}" alt="{html.escape(text)}" width="{width}">'


def _announced(page: str) -> str:
    """Mark what takes the place of something else, so that a screen reader says its description."""
    return f'<div role="status">{page}</div>'


def _emit(text: str, still: "Image", moving: bytes | None = None, width: int | None = None) -> None:
    """Show a picture with its description in all its views; outside IPython, print the description."""
    if _ipython() is None:
        print(text)
        return
    from IPython.display import display

    page = _img(moving or _webp([still]), text, width or still.width)
    display({"text/html": page, "image/png": base64.b64encode(_png(still)).decode(), "text/plain": text}, raw=True)


def _slide(
    draw: Callable[[int], Sequence["Image"]], name: str, labels: Sequence[str], description: str, fps: float = 1
) -> None:
    """Show the frames ``draw(index)`` below a slider over the labels, where a kernel can answer."""
    if not hasattr(_ipython(), "kernel"):
        return
    import ipywidgets
    from IPython.display import display

    handle = ipywidgets.SelectionSlider(
        options=[(label, index) for index, label in enumerate(labels)],
        description=name,
        continuous_update=False,
        style={"description_width": "initial"},
        layout={"width": "min(100%, 32em)"},
    )
    view = ipywidgets.HTML()

    def redraw(change: object = None) -> None:
        frames = draw(handle.value)
        text = f"{name} = {handle.label}: {_sentence(description)}"
        view.value = _announced(_img(_webp(frames, fps), text, frames[0].width))

    handle.observe(redraw, "value")
    redraw()
    widget = ipywidgets.VBox([handle, view])._repr_mimebundle_()
    display({**widget, "text/plain": f"slider over {name}: run this cell to move it"}, raw=True)


def _ipython() -> object | None:
    """Return the shell of IPython that runs this, if any."""
    module = sys.modules.get("IPython")
    return module.get_ipython() if module else None
