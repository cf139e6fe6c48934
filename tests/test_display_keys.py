"""The canvas in a real browser: the keyboard alone paints, and what happens is said in words."""

import pytest
from test_browser import open_browser

from course import display

pytestmark = pytest.mark.browser

SIZE = display.CANVAS_SIZE
PAGE = """<!DOCTYPE html><button id="before">before</button><div id="el"></div><script type="module">
const values = { size: %d, colours: %s, pixels: Array(%d).fill("#000000") };
window.sent = [];
const model = {
  get: (name) => values[name],
  set: (name, value) => { values[name] = value; },
  save_changes: () => window.sent.push(values.pixels.slice()),
  on: () => {}, off: () => {},
};
%s
render({ model, el: document.getElementById("el") });
window.ready = true;
</script>"""


@pytest.fixture(scope="module")
def page():
    colours = [list(pair) for pair in display.CANVAS_COLOURS.items()]
    script = display._PAD_SCRIPT.replace("export default { render };", "")
    with open_browser() as window:
        page = window.new_page()
        page.set_default_timeout(60_000)
        page.set_content(PAGE % (SIZE, colours, SIZE * SIZE, script))
        page.wait_for_function("window.ready")
        yield page


def test_the_tab_key_reaches_the_canvas_which_says_what_it_is(page):
    page.locator("#before").focus()
    page.keyboard.press("Tab")
    name, role = page.evaluate("[document.activeElement.ariaLabel, document.activeElement.getAttribute('role')]")
    assert role == "application"
    assert name.startswith(f"Canvas of {SIZE} by {SIZE} pixels: arrow keys move, space paints")


def test_keys_alone_choose_a_colour_move_and_paint(page):
    page.locator("canvas").focus()
    for key in ("2", "ArrowRight", "ArrowDown", "ArrowDown", " "):
        page.keyboard.press(key)
    (pixels,) = page.evaluate("window.sent")
    (name, colour) = list(display.CANVAS_COLOURS.items())[1]
    middle = SIZE // 2
    painted = {index: value for index, value in enumerate(pixels) if value != "#000000"}
    assert painted == {(middle + 2) * SIZE + middle + 1: colour}
    said = page.locator("[aria-live=polite]").inner_text()
    assert said.startswith(f"Row {middle + 3}, column {middle + 2}: {name}. Painting {name}")
    assert page.locator("[aria-pressed=true]").get_attribute("aria-label") == name


def test_each_colour_and_the_eraser_have_names_and_can_be_reached(page):
    names = page.locator("button:not(#before)").evaluate_all("all => all.map(one => one.ariaLabel ?? one.textContent)")
    assert names == [*[name for name in display.CANVAS_COLOURS if name != "black"], "black: the eraser", "Clear"]
    page.locator("canvas").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("[aria-pressed=true]").get_attribute("aria-label") == names[0]
