import base64
import io
import re
import subprocess
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from course import budget, display

GAP = 4  # grey pixels around a picture
LINE = 18  # height of a line of text


class _Attributes(HTMLParser):
    """Collects the attributes of the tags of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


class Output:
    """One displayed bundle, taken apart as a browser does."""

    def __init__(self, bundle):
        assert set(bundle) == {"text/html", "image/png", "text/plain"}
        ((tag, self.attributes),) = _Attributes(bundle["text/html"]).tags
        assert tag == "img"
        assert set(self.attributes) == {"src", "alt", "width"}
        kind, data = self.attributes["src"].split(",")
        assert kind == "data:image/webp;base64"
        self.bytes = base64.b64decode(data)
        self.picture = Image.open(io.BytesIO(self.bytes))
        self.still = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))).convert("RGB")
        self.text = bundle["text/plain"]

    def frames(self):
        """Return (start in ms, duration in ms, (H, W, 3) array) of every frame stored."""
        frames = []
        for frame in ImageSequence.Iterator(self.picture):
            pixels = np.asarray(frame.convert("RGB"))
            frames.append((frame.info["timestamp"], frame.info["duration"], pixels))
        return frames

    def at(self, milliseconds):
        """Return what is on the screen at that time."""
        return [pixels for start, _, pixels in self.frames() if start <= milliseconds][-1]


@pytest.fixture
def outputs(monkeypatch):
    """Pretend to be in a notebook and collect what is displayed."""
    shown = []
    monkeypatch.setattr(display, "_ipython", lambda: SimpleNamespace(kernel=None))
    monkeypatch.setattr("IPython.display.display", lambda bundle, **options: shown.append(bundle))
    return shown


def pictures(outputs):
    return [Output(bundle) for bundle in outputs if "image/png" in bundle]


def moving_dot(num_frames=4, size=8, channels=3):
    """A dot that is brightest in the last channel and walks along the diagonal, one pixel per frame."""
    clip = torch.zeros(num_frames, channels, size, size)
    for t in range(num_frames):
        clip[t, :, t, t] = torch.linspace(0.4, 1, channels)
    return clip


def enlarged(frame, scale):
    """Return what a frame (C, H, W) looks like on the page: (H, W, 3) uint8."""
    pixels = (frame * 255).round().to(torch.uint8).expand(3, -1, -1).permute(1, 2, 0)
    return pixels.repeat_interleave(scale, 0).repeat_interleave(scale, 1).numpy()


def inside(pixels):
    return pixels[GAP:-GAP, GAP:-GAP]


# show


@pytest.mark.parametrize("channels", [1, 3])
def test_a_clip_arrives_pixel_by_pixel(outputs, channels):
    clip = moving_dot(channels=channels)
    display.show(clip, description="a dot falls", size=40)
    (output,) = pictures(outputs)
    frames = output.frames()
    assert [(start, duration) for start, duration, _ in frames] == [(0, 125), (125, 125), (250, 125), (375, 125)]
    assert output.picture.info["loop"] == 0  # endless
    for (_, _, pixels), frame in zip(frames, clip, strict=True):
        np.testing.assert_array_equal(inside(pixels), enlarged(frame, 5))
    assert output.attributes["width"] == str(8 * 5 + 2 * GAP) == str(output.picture.width)


def test_frames_that_repeat_keep_their_time(outputs):
    clip = moving_dot(6)
    clip[2] = clip[1]  # the encoder stores the two as one
    clip[5] = clip[4]
    display.show(clip, description="a dot that halts", fps=10, size=8)
    (output,) = pictures(outputs)
    assert sum(duration for _, duration, _ in output.frames()) == 600
    for t, frame in enumerate(clip):
        np.testing.assert_array_equal(inside(output.at(100 * t + 50)), enlarged(frame, 1), err_msg=f"frame {t}")


def test_a_clip_that_stands_still_is_a_still(outputs):
    clip = moving_dot()[:1].expand(5, -1, -1, -1)
    display.show(clip, description="a dot", size=8)
    (output,) = pictures(outputs)
    assert not output.picture.is_animated
    np.testing.assert_array_equal(inside(np.asarray(output.picture.convert("RGB"))), enlarged(clip[0], 1))
    assert output.text.startswith("clip of 5 frames, ")


def test_rounding_to_milliseconds_does_not_add_up(outputs):
    display.show(moving_dot(7, 8), description="a dot falls", fps=30)
    (output,) = pictures(outputs)
    assert [duration for _, duration, _ in output.frames()] == [33, 34, 33, 33, 34, 33, 33]
    assert [start for start, _, _ in output.frames()] == [0, 33, 67, 100, 133, 167, 200]


def test_the_description_is_one_stable_line_and_the_alternative_text(outputs):
    display.show(moving_dot(), description='a "dot" <falls>\n  & stops', fps=12.5)
    (output,) = pictures(outputs)
    wanted = 'clip of 4 frames, 3 x 8 x 8, at 12.5 frames per second: a "dot" <falls> & stops'
    assert output.text == output.attributes["alt"] == wanted


def test_the_still_shows_the_frames_side_by_side(outputs):
    clip = moving_dot(20, 36)
    display.show(clip, description="a dot falls")
    still = np.asarray(pictures(outputs)[0].still)
    for column, t in enumerate([0, 3, 5, 8, 11, 14, 16, 19]):
        left = GAP + column * (72 + GAP)
        np.testing.assert_array_equal(still[GAP : GAP + 72, left : left + 72], enlarged(clip[t], 2), err_msg=f"{t}")


@pytest.mark.parametrize(
    ("height", "width", "size", "scale"), [(8, 8, 160, 20), (48, 48, 160, 3), (200, 100, 160, 1), (10, 70, 160, 2)]
)
def test_enlarging_is_by_a_whole_number_and_follows_the_longer_side(outputs, height, width, size, scale):
    display.show(torch.zeros(2, 1, height, width), description="nothing", size=size)
    wanted = (width * scale + 2 * GAP, height * scale + 2 * GAP)
    assert pictures(outputs)[0].picture.size == wanted


def test_a_clip_with_a_gradient_and_on_whatever_device_layout_is_shown(outputs):
    clip = moving_dot().requires_grad_().transpose(2, 3)
    display.show(clip, description="a dot falls", size=8)
    np.testing.assert_array_equal(inside(pictures(outputs)[0].at(200)), enlarged(clip[1].detach(), 1))


def test_what_would_be_large_is_compressed_with_loss(outputs):
    ramp = torch.linspace(0, 1, 64)
    smooth = 0.5 * (ramp[:, None] + ramp)
    grain = 0.03 * torch.rand(12, 3, 64, 64, generator=budget.generator(0))
    clip = (0.95 * smooth + grain).clamp(0, 1)
    display.show(clip, description="grain", size=128)
    (output,) = pictures(outputs)
    assert len(output.bytes) < display.LOSSLESS_BYTES
    errors = [
        np.abs(inside(pixels).astype(float) - enlarged(clip[t], 2)) for t, (*_, pixels) in enumerate(output.frames())
    ]
    assert len(errors) == 12
    assert 0 < np.mean(errors) < 4


# show, several clips


def test_clips_move_in_step_below_their_titles(outputs):
    truth, guess = moving_dot(), moving_dot().flip(0)
    display.show({"truth": truth, "a guess": guess}, description="opposite dots", size=160)
    (output,) = pictures(outputs)
    assert output.text == (
        "2 clips side by side, each of 4 frames, truth 3 x 8 x 8, a guess 3 x 8 x 8, at 8 frames per second: "
        "opposite dots"
    )
    for t in range(4):
        pixels = output.at(125 * t)
        clips = pixels[-GAP - 160 : -GAP]
        np.testing.assert_array_equal(clips[:, GAP : GAP + 160], enlarged(truth[t], 20))
        np.testing.assert_array_equal(clips[:, 2 * GAP + 160 : -GAP], enlarged(guess[t], 20))
    titles = output.at(0)[: -GAP - 160 - 1].astype(int)
    assert (titles.min(axis=(0, 2)) < 100).any(), "no ink above the clips"
    left, right = titles[:, : titles.shape[1] // 2], titles[:, titles.shape[1] // 2 :]
    assert left.min() < 100
    assert right.min() < 100
    assert (left != right).any()


def test_clips_of_different_sizes_become_alike(outputs):
    display.show({"small": torch.zeros(2, 1, 8, 8), "large": torch.ones(2, 3, 32, 32)}, description="two", size=64)
    pixels = pictures(outputs)[0].at(0)
    assert (pixels[-GAP - 64 : -GAP, GAP : GAP + 64] == 0).all()
    assert (pixels[-GAP - 64 : -GAP, 2 * GAP + 64 : 2 * GAP + 128] == 255).all()


def test_a_long_title_makes_room_for_itself(outputs):
    for title in ("short", "a title that is much longer than the clip is wide"):
        display.show({title: moving_dot()}, description="a dot", size=40)
    short, long = (output.picture for output in pictures(outputs))
    assert long.width > 4 * short.width
    assert long.height == short.height


# strip


def test_a_strip_holds_the_chosen_frames_in_rows(outputs):
    clip = moving_dot(10, 12)
    display.strip(clip, description="a dot falls", every=3, columns=3, size=48)
    (output,) = pictures(outputs)
    assert output.text == "strip of 4 frames, 3 x 12 x 12, t = 0 to 9: a dot falls"
    assert not output.picture.is_animated
    pixels = np.asarray(output.picture.convert("RGB"))
    row = 48 + GAP + LINE + GAP
    for index, t in enumerate([0, 3, 6, 9]):
        top, left = GAP + index // 3 * row, GAP + index % 3 * (48 + GAP)
        np.testing.assert_array_equal(pixels[top : top + 48, left : left + 48], enlarged(clip[t], 4))


def test_several_clips_are_rows(outputs):
    clips = {"truth": moving_dot(3, 12), "prediction": 1 - moving_dot(3, 12)}
    display.strip(clips, description="a dot and its opposite", size=48)
    (output,) = pictures(outputs)
    assert output.text == (
        "strip of 3 frames, truth 3 x 12 x 12, prediction 3 x 12 x 12, t = 0 to 2: a dot and its opposite"
    )
    pixels = np.asarray(output.picture.convert("RGB"))
    titles = pixels.shape[1] - 3 * (48 + GAP) - GAP  # what is left of the frames
    for row, clip in enumerate(clips.values()):
        for t, frame in enumerate(clip):
            top, left = GAP + row * (48 + GAP), titles + GAP + t * (48 + GAP)
            np.testing.assert_array_equal(pixels[top : top + 48, left : left + 48], enlarged(frame, 4))


def test_large_frames_are_shrunk_in_a_strip_and_left_alone_in_a_clip(outputs):
    clip = torch.cat([torch.zeros(2, 1, 100, 100), torch.ones(2, 1, 100, 100)], dim=3)  # half black, half white
    display.strip(clip, description="halves", size=60)
    display.show(clip, description="halves", size=60)
    strip, shown = pictures(outputs)
    pixels = np.asarray(strip.picture.convert("RGB"))
    frame = pixels[GAP : GAP + 30, 2 * GAP + 60 : 2 * GAP + 120]
    assert strip.picture.size == (2 * 60 + 3 * GAP, 30 + LINE + 3 * GAP)
    assert (frame[:, :28] == 0).all()
    assert (frame[:, 32:] == 255).all()
    assert shown.picture.size == (200 + 2 * GAP, 100 + 2 * GAP)
    assert shown.still.width == 2 * 72 + 3 * GAP


# slider and explore


@pytest.fixture
def widgets(monkeypatch):
    """Collect the widgets that are made."""
    import ipywidgets

    made = []

    class Box(ipywidgets.VBox):
        def __init__(self, children, **options):
            super().__init__(children, **options)
            made.append(children)

    monkeypatch.setattr("ipywidgets.VBox", Box)
    return made


def shown_in(view):
    """Return the page of a widget as an output."""
    (_, announced), (_, attributes) = _Attributes(view.value).tags
    assert announced == {"role": "status"}, "a screen reader says what took the place of another picture"
    return attributes["alt"], Image.open(io.BytesIO(base64.b64decode(attributes["src"].partition(",")[2])))


def test_the_slider_steps_through_the_frames_below_a_strip(outputs, widgets):
    clip = moving_dot(5)
    display.slider(clip, description="a dot falls", size=8)
    strip, widget = outputs
    assert Output(strip).text == "strip of 5 frames, 3 x 8 x 8, t = 0 to 4: a dot falls"
    assert widget["text/plain"] == "slider over t: run this cell to move it"
    assert "application/vnd.jupyter.widget-view+json" in widget
    ((handle, view),) = widgets
    assert not handle.continuous_update
    assert [label for label, _ in handle.options] == ["0", "1", "2", "3", "4"]
    for t in (0, 3, 4):
        handle.index = t
        alt, picture = shown_in(view)
        assert alt == f"t = {t}: a dot falls"
        np.testing.assert_array_equal(inside(np.asarray(picture.convert("RGB"))), enlarged(clip[t], 1))


def test_explore_draws_three_first_and_each_value_once(outputs, widgets):
    asked = []

    def grey(level):
        asked.append(level)
        return torch.full((1, 8, 8), level)

    display.explore(grey, name="level (share)", values=[0.0, 0.2, 0.4, 0.6, 0.8], description="a grey", size=8)
    assert asked == [0.0, 0.4, 0.8]
    assert Output(outputs[0]).text == "level (share) = 0 to 0.8: a grey"
    ((handle, view),) = widgets
    for index, level in [(1, 0.2), (2, 0.4), (1, 0.2)]:
        handle.index = index
        alt, picture = shown_in(view)
        assert alt == f"level (share) = {level}: a grey"
        assert (inside(np.asarray(picture.convert("RGB"))) == round(255 * level)).all()
    assert asked == [0.0, 0.4, 0.8, 0.2]


def test_explore_plays_clips_and_opens_png_files(outputs, widgets):
    display.explore(
        lambda step: moving_dot().roll(step, dims=0), name="step", values=range(2), description="a dot", fps=10, size=8
    )
    file = io.BytesIO()
    Image.new("RGB", (30, 20), (10, 200, 30)).save(file, "PNG")
    display.explore(lambda _: file.getvalue(), name="file", values=["only"], description="green")
    moving, green = pictures(outputs)
    assert [duration for _, duration, _ in moving.frames()] == [100] * 4
    assert green.picture.width > 30
    (_, played), (_, opened) = widgets
    assert shown_in(played)[1].n_frames == 4
    scaled = inside(np.asarray(shown_in(opened)[1].convert("RGB")))
    assert scaled.shape == (100, 150, 3)  # enlarged five times, up to 160 pixels
    assert (scaled == (10, 200, 30)).all()


def test_explore_says_what_it_cannot_draw(outputs):
    with pytest.raises(ValueError, match="level: wanted at least one value, got none"):
        display.explore(lambda level: level, name="level", values=[], description="a grey")
    with pytest.raises(ValueError, match=r"clip 'level = 1': wanted a torch tensor \(T, C, H, W\), got int"):
        display.explore(lambda level: level, name="level", values=[1], description="a grey")
    with pytest.raises(ValueError, match=r"as many frames in each, got {'n = 1': 1, 'n = 2': 2}"):
        display.explore(moving_dot, name="n", values=[1, 2], description="a dot")


def test_without_a_kernel_there_is_no_widget(outputs, monkeypatch):
    monkeypatch.setattr(display, "_ipython", lambda: object())
    display.slider(moving_dot(), description="a dot falls")
    assert [set(bundle) for bundle in outputs] == [{"text/html", "image/png", "text/plain"}]


# The canvas


def picture_file(picture, kind="PNG"):
    """Return the bytes of a picture file."""
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def load(canvas, data, name="drawing.png"):
    """Choose a file, as the browser does."""
    file = {"name": name, "type": "image/png", "size": len(data), "content": memoryview(data)}
    file["last_modified"] = datetime.now(UTC)
    canvas.upload.set_trait("value", (file,))


@pytest.fixture
def canvas():
    return display.Canvas()


def test_a_canvas_is_black_until_it_is_painted(canvas):
    assert torch.equal(canvas.picture, torch.zeros(3, 16, 16))
    pixels = list(canvas.pad.pixels)
    pixels[2 * 16 + 5] = display.CANVAS_COLOURS["yellow"]
    canvas.pad.pixels = pixels
    assert canvas.picture.dtype == torch.float32
    assert canvas.picture[:, 2, 5].tolist() == pytest.approx([1.0, 0.9, 0.2], abs=0.003)
    assert canvas.picture.sum().item() == pytest.approx(2.1, abs=0.01)
    canvas.clear()
    assert not canvas.picture.any()


def test_a_picture_laid_on_the_canvas_comes_back():
    start = torch.rand(3, 16, 16, generator=budget.generator(0))
    canvas = display.Canvas(start)
    assert (canvas.picture - start).abs().max() <= 0.5 / 255 + 1e-6
    canvas.picture = canvas.picture.flip(2)
    assert (canvas.picture - start.flip(2)).abs().max() <= 0.5 / 255 + 1e-6
    with pytest.raises(ValueError, match=r"picture: wanted \(3, 16, 16\)"):
        canvas.picture = torch.zeros(3, 8, 8)


@pytest.mark.parametrize("pixels", [["#000000"] * 255, ["black"] * 256, ["#0000000"] * 256])
def test_what_is_no_picture_cannot_be_painted(canvas, pixels):
    from traitlets import TraitError

    with pytest.raises(TraitError, match="wanted 256 colours #rrggbb"):
        canvas.pad.pixels = pixels
    assert not canvas.picture.any()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "WEBP"])
def test_a_file_lies_on_the_canvas_by_its_middle_square(canvas, kind):
    picture = Image.new("RGB", (96, 32), (255, 255, 255))
    picture.paste((255, 0, 0), (32, 0, 64, 32))  # the middle third
    load(canvas, picture_file(picture, kind))
    assert (canvas.picture - torch.tensor([1.0, 0, 0])[:, None, None]).abs().max() < 0.1
    assert canvas.message.value == ""


def test_what_is_transparent_lies_on_black(canvas):
    load(canvas, picture_file(Image.new("RGBA", (16, 16), (255, 255, 255, 0))))
    assert not canvas.picture.any()


def test_a_damaged_file_is_a_message_and_leaves_the_canvas_as_it_was(canvas):
    good = picture_file(Image.effect_noise((64, 64), 100))
    load(canvas, good)
    before = canvas.picture
    for data, name in ((good[:1500], "half.png"), (b"no picture", "<b>.png"), (b"", "empty.png")):
        load(canvas, data, name)
        assert "not a readable picture" in canvas.message.value
        assert "<b>" not in canvas.message.value
        assert torch.equal(canvas.picture, before)
    load(canvas, picture_file(Image.new("RGB", (9, 9))))
    assert canvas.message.value == ""


@pytest.fixture
def buttons(monkeypatch):
    """Collect the buttons that are made, and what is shown beside them."""
    import ipywidgets

    made = []
    monkeypatch.setattr(ipywidgets.Button, "on_click", lambda button, press: made.append((button, press)))
    return made


def glide(picture):
    """Move a picture to the right; refuse a black one."""
    if not picture.any():
        raise ValueError("the canvas is <empty>")
    return torch.stack([picture.roll(t, 2) for t in range(3)])


def test_a_picture_is_animated_when_the_button_is_pressed(outputs, widgets, buttons):
    start = torch.zeros(3, 16, 16)
    start[0, 4, 4] = 1
    canvas = display.draw_and_animate(glide, start, description="it moves right", size=16)
    static, widget = outputs
    assert Output(static).text == "a picture and what becomes of it: it moves right"
    assert widget["text/plain"] == "canvas to draw on: run this cell to use it"
    assert "application/vnd.jupyter.widget-view+json" in widget
    ((button, press),) = buttons
    view = next(children[1] for children in widgets if children[0] is button)
    canvas.picture = start.flip(2)
    press(button)
    alt, picture = shown_in(view)
    assert alt == "your picture, animated: it moves right"
    assert picture.n_frames == 3
    assert inside(np.asarray(picture.convert("RGB")))[4, 11].tolist() == [255, 0, 0]
    canvas.clear()
    shown = view.value
    press(button)
    assert "the canvas is &lt;empty&gt;" in canvas.message.value
    assert view.value == shown
    assert 'role="alert"' in canvas.message.value
    canvas.picture = start
    press(button)
    assert canvas.message.value == ""


def test_the_button_says_that_it_works_and_keeps_the_keyboard(outputs, widgets, buttons):
    seen = []

    def animate(picture):
        seen.extend((button.description, button.disabled) for button, _ in buttons)
        return glide(picture)

    display.draw_and_animate(animate, torch.ones(3, 16, 16), description="it moves right")
    ((button, press),) = buttons
    press(button)
    assert seen == [("Animating ...", False)]
    assert button.description == "Animate"


def test_without_a_kernel_the_canvas_is_a_picture_beside_its_clip(outputs, monkeypatch):
    monkeypatch.setattr(display, "_ipython", lambda: object())
    canvas = display.draw_and_animate(glide, torch.ones(3, 16, 16), description="it moves right")
    assert [set(bundle) for bundle in outputs] == [{"text/html", "image/png", "text/plain"}]
    assert torch.equal(canvas.picture, torch.ones(3, 16, 16))


def test_the_canvas_says_what_it_cannot_begin_with(outputs):
    with pytest.raises(ValueError, match=r"start: wanted \(3, 16, 16\), got \(3, 8, 8\)"):
        display.draw_and_animate(glide, torch.zeros(3, 8, 8), description="nothing")
    with pytest.raises(ValueError, match="description: wanted words"):
        display.draw_and_animate(glide, torch.ones(3, 16, 16), description="")
    with pytest.raises(ValueError, match=r"wanted \(T, C, H, W\)"):
        display.draw_and_animate(lambda picture: picture[0], torch.ones(3, 16, 16), description="flat")
    assert outputs == []


def test_the_script_of_the_canvas_asks_nothing_of_the_network():
    assert "http" not in display._PAD_SCRIPT + display._PAD_STYLE
    assert "import" not in display._PAD_SCRIPT


# What is refused


BAD_CLIPS = [
    (torch.zeros(4, 8, 8), r"clip: wanted \(T, C, H, W\), got \(4, 8, 8\)"),
    (torch.zeros(4, 2, 8, 8), r"clip: wanted \(T, C, H, W\), C = \(1, 3\), got \(4, 2, 8, 8\)"),
    (torch.zeros(4, 3, 8, 8, dtype=torch.uint8), "wanted float32"),
    (torch.full((4, 3, 8, 8), 1.5), r"wanted values in \[0, 1\]"),
    (torch.zeros(0, 3, 8, 8), "at least one frame and one pixel"),
    (np.zeros((4, 3, 8, 8), dtype=np.float32), "wanted a torch tensor"),
]


@pytest.mark.parametrize("draw", [display.show, display.strip, display.slider], ids=lambda draw: draw.__name__)
@pytest.mark.parametrize(("clip", "message"), BAD_CLIPS)
def test_a_clip_of_another_form_is_refused(outputs, draw, clip, message):
    with pytest.raises(ValueError, match=message):
        draw(clip, description="a dot falls")
    assert outputs == []


@pytest.mark.parametrize("clips", [{}, {"a": moving_dot(4), "b": moving_dot(5)}], ids=["none", "lengths"])
@pytest.mark.parametrize("draw", [display.show, display.strip, display.slider], ids=lambda draw: draw.__name__)
def test_clips_that_do_not_match_are_refused(outputs, draw, clips):
    with pytest.raises(ValueError, match=r"clips: wanted at least one, and as many frames in each, got {"):
        draw(clips, description="dots")
    assert outputs == []


@pytest.mark.parametrize("description", ["", "  \n", None, 3])
def test_a_description_is_required(outputs, description):
    for draw in (display.show, display.strip, display.slider):
        with pytest.raises(ValueError, match="description: wanted words, got"):
            draw(moving_dot(), description=description)
    with pytest.raises(ValueError, match="description: wanted words, got"):
        display.curve([0, 1], {"a": [0, 1]}, x_label="step", y_label="loss", description=description)
    assert outputs == []


@pytest.mark.parametrize("fps", [0, -1, 51, float("nan")])
def test_a_speed_that_no_browser_plays_is_refused(outputs, fps):
    with pytest.raises(ValueError, match="fps: wanted more than 0 and at most 50"):
        display.show(moving_dot(), description="a dot falls", fps=fps)


@pytest.mark.parametrize("options", [{"every": 0}, {"columns": 0}])
def test_a_strip_without_frames_or_columns_is_refused(outputs, options):
    with pytest.raises(ValueError, match="wanted every and columns of at least 1"):
        display.strip(moving_dot(), description="a dot falls", **options)


# Figures


LABELS = {"x_label": "training step", "y_label": "loss (nats)"}


def has_line(picture, colour):
    """Tell whether more than a few pixels of a picture have about this colour."""
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    distance = np.abs(np.asarray(picture.convert("RGB")).astype(int) - rgb).max(axis=-1)
    return (distance <= 12).sum() > 40


def test_curves_have_a_line_each_and_their_names_in_the_description(outputs):
    x = torch.arange(50)
    display.curve(x, {"copy last": [0.3] * 50, "LSTM": torch.rand(3, 50)}, **LABELS, description="the second is rough")
    (output,) = pictures(outputs)
    assert output.text == "curves of loss (nats) over training step, copy last, LSTM: the second is rough"
    assert has_line(output.picture, "#0072B2")
    assert has_line(output.picture, "#D55E00")
    assert not has_line(output.picture, "#009E73")
    # On the page it is as wide as the still, and has one and a half times the pixels.
    assert output.attributes["width"] == str(output.still.width) == "640"
    assert output.picture.width == 960


@pytest.fixture
def calls(monkeypatch):
    """Record how matplotlib's axes are called, and call them."""
    from matplotlib.axes import Axes

    calls = []

    def recording(name, method):
        return lambda axes, *args, **options: calls.append((name, args, options)) or method(axes, *args, **options)

    for name in ("plot", "fill_between", "text"):
        monkeypatch.setattr(Axes, name, recording(name, getattr(Axes, name)))
    return calls


def test_a_curve_over_seeds_is_its_mean_in_a_band_of_its_range(outputs, calls):
    display.curve([1, 2], {"LSTM": [[1.0, 4.0], [2.0, 8.0], [6.0, 0.0]]}, **LABELS, description="rough")
    (_, (x, low, high), _), (_, (same_x, mean), options) = calls
    assert x.tolist() == same_x.tolist() == [1, 2]
    assert (low.tolist(), mean.tolist(), high.tolist()) == ([1.0, 0.0], [3.0, 4.0], [6.0, 8.0])
    assert options["label"] == "LSTM"


def test_each_curve_may_have_places_of_its_own(outputs, calls, monkeypatch):
    figures = []
    emit = display._emit_figure
    monkeypatch.setattr(display, "_emit_figure", lambda text, figure: (emit(text, figure), figures.append(figure)))
    x = {"GAN": [0.001], "diffusion": [0.01, 0.1]}
    display.curve(x, {"diffusion": [0.5, 0.9], "GAN": [0.7]}, **LABELS, description="dear is good", log_x=True)
    assert [(options["label"], *(some.tolist() for some in args)) for _, args, options in calls] == [
        ("diffusion", [0.01, 0.1], [0.5, 0.9]),
        ("GAN", [0.001], [0.7]),
    ]
    (axes,) = figures[0].axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")


def test_the_range_at_a_single_place_is_seen(outputs):
    display.curve([1.0], {"one": [[0.5], [0.5]]}, **LABELS, description="level")
    display.curve([1.0], {"one": [[0.1], [0.9]]}, **LABELS, description="wide")
    level, wide = (output.picture for output in pictures(outputs))
    light = (128, 184, 214)  # of the first colour, for what is not quite opaque

    def near(picture):
        found = np.abs(np.asarray(picture.convert("RGB")).astype(int) - light).max(axis=2) < 40
        return found.any(axis=1).sum()

    assert near(wide) > near(level) + 50


@pytest.mark.parametrize("length", [5, 28, 40])
def test_a_legend_says_what_a_band_is_and_is_not_cut_off(outputs, monkeypatch, length):
    figures = []
    emit = display._emit_figure
    monkeypatch.setattr(display, "_emit_figure", lambda text, figure: (emit(text, figure), figures.append(figure)))
    y = [[1.0, 4.0], [2.0, 8.0]]
    display.curve([1, 2], {letter * length: y for letter in "wmn"}, **LABELS, description="rough")
    (legend,) = figures[0].legends
    assert legend.get_title().get_text() == "line and band: mean and range of 2 seeds"
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figures[0].bbox.width
    display.curve([1, 2], {"one": [1.0, 2.0]}, **LABELS, description="rises")
    assert figures[1].legends[0].get_title().get_text() == ""


def test_one_seed_has_no_band(outputs, calls):
    display.curve([1, 2], {"LSTM": [[1.0, 4.0]], "GRU": [2, 3]}, **LABELS, description="both rise")
    assert [(name, options["label"]) for name, _, options in calls] == [("plot", "LSTM"), ("plot", "GRU")]


def test_curves_differ_without_colour():
    assert len(set(display._LINES)) == len(set(display._MARKERS)) == len(set(display._COLOURS)) == 7


def test_a_figure_leaves_nothing_behind(outputs):
    from matplotlib import _pylab_helpers, get_backend, rcParams

    before = dict(rcParams)
    display.curve([0, 1], {"a": [1, 2]}, **LABELS, description="rises", log=True)
    display.heatmap([[1.0]], ["a"], ["b"], row_label="r", column_label="c", value_label="v", description="one")
    assert _pylab_helpers.Gcf.get_all_fig_managers() == []
    assert dict(rcParams) == before
    assert get_backend(auto_select=False) in (None, before["backend"])


@pytest.mark.parametrize(
    ("x", "curves", "message"),
    [
        ([0, 1], {}, "curves: wanted 1 to 7, got 0"),
        ([0, 1], {str(i): [0, 1] for i in range(8)}, "curves: wanted 1 to 7, got 8"),
        ([0, 1], {"a": [0, 1, 2]}, r"got x \(2,\) and curve 'a' \(3,\)"),
        ([[0, 1]], {"a": [0, 1]}, r"got x \(1, 2\)"),
        ([], {"a": []}, r"got x \(0,\)"),
        ({"a": [0, 1]}, {"b": [0, 1]}, "x: wanted the names of the curves, b, got a"),
        ({"a": [0, 1]}, {"a": [0, 1, 2]}, r"got x \(2,\) and curve 'a' \(3,\)"),
    ],
)
def test_curves_that_do_not_fit_are_refused(outputs, x, curves, message):
    with pytest.raises(ValueError, match=message):
        display.curve(x, curves, **LABELS, description="nothing")


@pytest.mark.parametrize("missing", ["x_label", "y_label"])
def test_axes_have_labels(outputs, missing):
    with pytest.raises(ValueError, match=f"{missing}: wanted words"):
        display.curve([0, 1], {"a": [0, 1]}, **{**LABELS, missing: ""}, description="rises")


HEAT = {"row_label": "query", "column_label": "key", "value_label": "attention (share)"}


def test_a_heat_map_writes_its_numbers(outputs, calls):
    values = torch.tensor([[0.0, 0.5], [1.0, 0.25], [0.126, 0.9]])
    display.heatmap(values, ["a", "b", "c"], ["d", "e"], **HEAT, description="b looks at d", digits=1)
    (output,) = pictures(outputs)
    assert output.text == "heat map of attention (share), 3 rows (query), 2 columns (key): b looks at d"
    # Light ink on the dark half of the scale, dark ink on the light half.
    assert {(i, j): (number, options["color"]) for _, (j, i, number), options in calls} == {
        (0, 0): ("0.0", "w"),
        (0, 1): ("0.5", "w"),
        (1, 0): ("1.0", "k"),
        (1, 1): ("0.2", "w"),
        (2, 0): ("0.1", "w"),
        (2, 1): ("0.9", "k"),
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.zeros(2, 3), r"values: wanted \(2 rows, 2 columns\), got \(2, 3\)"),
        (torch.full((2, 2), torch.nan), "wanted finite numbers"),
    ],
)
def test_a_heat_map_that_does_not_fit_is_refused(outputs, values, message):
    with pytest.raises(ValueError, match=message):
        display.heatmap(values, ["a", "b"], ["c", "d"], **HEAT, description="nothing")


# Outside a notebook, and in a real one


def test_outside_ipython_the_description_is_printed(capsys):
    display.show(moving_dot(), description="a dot falls")
    display.slider(moving_dot(), description="a dot falls")
    assert capsys.readouterr().out.splitlines() == [
        "clip of 4 frames, 3 x 8 x 8, at 8 frames per second: a dot falls",
        "strip of 4 frames, 3 x 8 x 8, t = 0 to 3: a dot falls",
    ]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_draws_a_bar_in_a_terminal_and_removes_it(monkeypatch):
    monkeypatch.setenv("COURSE_BUDGET", "full")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    assert list(display.progress((item for item in "abc"), total=3, description="training")) == ["a", "b", "c"]
    text = terminal.getvalue()
    assert re.search(r"training: +0%\|.*\| 0/3 ", text)
    assert text.rpartition("\r")[0].rpartition("\r")[2].strip() == ""  # the last thing written is blanks
    assert "\n" not in text


@pytest.mark.parametrize(("level", "stream"), [("smoke", Terminal), ("full", io.StringIO)])
def test_progress_is_silent_at_the_smoke_budget_and_in_a_file(monkeypatch, level, stream):
    monkeypatch.setenv("COURSE_BUDGET", level)
    monkeypatch.setattr(sys, "stderr", file := stream())
    assert list(display.progress(range(3), description="training")) == [0, 1, 2]
    assert file.getvalue() == ""


def test_progress_in_a_notebook_leaves_nothing(monkeypatch):
    monkeypatch.setenv("COURSE_BUDGET", "full")
    monkeypatch.setattr(display, "_ipython", lambda: SimpleNamespace(kernel=None))
    bundles = []
    handle = SimpleNamespace(update=lambda bundle, raw: bundles.append(bundle))

    def first(bundle, raw, display_id):
        bundles.append(bundle)
        return handle

    monkeypatch.setattr("IPython.display.display", first)
    assert list(display.progress(range(3), description="a < b")) == [0, 1, 2]
    assert re.match(r"<pre>a &lt; b: +0%.* 0/3 .*</pre>", bundles[0]["text/html"])
    assert bundles[-1] == {}


NOTEBOOK = """
import torch
from course.display import curve, progress, show, slider
clip = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
show(clip, description="noise")
slider(clip, description="noise")
curve([0, 1], {"a": [0, 1]}, x_label="step", y_label="loss", description="rises")
for _ in progress(range(3), description="training"):
    pass
"""


def test_a_real_kernel_stores_what_a_page_needs():
    code = f"""
import nbformat.v4, nbclient
cell = nbformat.v4.new_code_cell({NOTEBOOK!r})
notebook = nbformat.v4.new_notebook(cells=[cell])
nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
nbformat.validate(notebook)
for output in cell.outputs:
    print(output.output_type, sorted(output.get("data", {{}})), output.get("data", {{}}).get("text/plain"), sep="; ")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stderr
    picture = "display_data; ['image/png', 'text/html', 'text/plain']; "
    assert run.stdout.splitlines() == [
        picture + "clip of 4 frames, 3 x 8 x 8, at 8 frames per second: noise",
        picture + "strip of 4 frames, 3 x 8 x 8, t = 0 to 3: noise",
        "display_data; ['application/vnd.jupyter.widget-view+json', 'text/plain']; "
        "slider over t: run this cell to move it",
        picture + "curves of loss over step, a: rises",
        "display_data; []; None",  # where the bar was
    ]
