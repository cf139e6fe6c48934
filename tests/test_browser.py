"""Chapter 01 in a real JupyterLab, in a real browser: every cell runs, the slider obeys the keyboard, saving pairs."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from urllib.error import URLError

import pytest

from course import notebooks

pytestmark = pytest.mark.browser

TOKEN = "browser-test"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER_OPTIONS = "--no-sandbox --disable-gpu --disable-quic --disable-background-networking --disable-component-update"

# All cells are drawn, also those far below what the window shows, and nothing is saved before the test says so.
LAB_SETTINGS = {
    "notebook-extension/tracker.jupyterlab-settings": '{"windowingMode": "none"}',
    "docmanager-extension/plugin.jupyterlab-settings": '{"autosave": false}',
}

KERNEL_IS_IDLE = """() => {
    const panel = window.jupyterapp?.shell.currentWidget;
    const kernel = panel?.sessionContext?.session?.kernel;
    return kernel?.status === 'idle' && panel.content.widgets.length > 0;
}"""
CODE_CELLS = """() => jupyterapp.shell.currentWidget.content.widgets
    .filter(cell => cell.model.type === 'code')
    .map(cell => ({
        source: cell.model.sharedModel.getSource(),
        tags: cell.model.getMetadata('tags') ?? [],
        count: cell.model.executionCount,
        errors: cell.model.outputs.toJSON().filter(output => output.output_type === 'error').map(error => error.evalue),
    }))"""
PICTURES_BESIDE = """async handle => {
    const pictures = [...handle.closest('.jp-OutputArea').querySelectorAll('img, video')];
    const bytes = await Promise.all(pictures.map(async picture => (await fetch(picture.src)).arrayBuffer()));
    return bytes.map(buffer => new Uint8Array(buffer).join());
}"""
REWRITE_FIRST_CELL = """source => {
    jupyterapp.shell.currentWidget.content.widgets[0].model.sharedModel.setSource(source);
}"""
RUN_COMMAND = """name => {
    window.done = false;
    jupyterapp.commands.execute(name).finally(() => { window.done = true; });
}"""


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """Return the notebook of chapter 01 in a copy of the project, where the test may save."""
    originals = [path for path in notebooks.chapters() if path.name.startswith("01_")]
    if not originals:
        pytest.skip("there is no chapter 01 yet")
    project = tmp_path_factory.mktemp("project")
    shutil.copytree(notebooks.NOTEBOOKS, project / "notebooks")
    shutil.copy(notebooks.NOTEBOOKS.parent / "pyproject.toml", project)  # it tells Jupytext what is paired
    chapter = project / "notebooks" / originals[0].name
    notebooks.sync(chapter)
    return chapter


@pytest.fixture(scope="module")
def address(chapter, tmp_path_factory):
    """Start JupyterLab, with no settings of the user's, on the copy; return where the chapter opens."""
    home = tmp_path_factory.mktemp("jupyter")
    folders = {f"JUPYTER_{kind}_DIR": str(home / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    folders |= {f"JUPYTERLAB_{kind}_DIR": str(home / kind) for kind in ("SETTINGS", "WORKSPACES")}
    for name, text in LAB_SETTINGS.items():
        settings = home / "SETTINGS" / "@jupyterlab" / name
        settings.parent.mkdir(parents=True)
        settings.write_text(text)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}", "--LabApp.news_url=None"]
    command += [f"--ServerApp.root_dir={chapter.parents[1]}", "--LabApp.expose_app_in_browser=True"]
    log = home / "log.txt"
    with log.open("w") as output:
        environment = os.environ | folders | {"COURSE_BUDGET": "smoke"}
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for(f"http://127.0.0.1:{port}/api/status?token={TOKEN}", server, log)
        yield f"http://127.0.0.1:{port}/lab/tree/notebooks/{chapter.name}?token={TOKEN}&reset"
    finally:
        server.terminate()
        server.wait(timeout=60)


def wait_for(url, server, log, seconds=90):
    """Wait until the server answers."""
    for _ in range(2 * seconds):
        try:
            with urllib.request.urlopen(url):
                return
        except URLError:
            assert server.poll() is None, log.read_text()
            time.sleep(0.5)
    pytest.fail(f"JupyterLab did not answer: {log.read_text()}")


@contextmanager
def open_browser():
    """Start a browser; skip where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser on the PATH: looked for {', '.join(BROWSERS)}")
    with playwright.sync_playwright() as run:
        window = run.chromium.launch(executable_path=browser, args=BROWSER_OPTIONS.split())
        yield window
        window.close()


@pytest.fixture(scope="module")
def page(address):
    """Open the chapter in a browser and run all of its cells."""
    with open_browser() as window:
        page = window.new_page()
        page.set_default_timeout(180_000)
        page.goto(address)
        page.wait_for_function(KERNEL_IS_IDLE)
        command(page, "notebook:run-all-cells")
        yield page


def command(page, name):
    """Run a command of JupyterLab to its end; a click on its menu may come too early and be lost."""
    page.evaluate(RUN_COMMAND, name)
    page.wait_for_function("() => window.done", timeout=600_000)


def test_every_cell_runs(page):
    cells = page.evaluate(CODE_CELLS)
    assert [cell for cell in cells if cell["errors"] and "raises-exception" not in cell["tags"]] == []
    assert [cell["count"] for cell in cells] == list(range(1, len(cells) + 1))


def test_the_slider_obeys_the_keyboard_and_the_picture_follows(page):
    handle = page.locator(".noUi-handle").first
    handle.wait_for(timeout=10_000)
    before = float(handle.get_attribute("aria-valuenow")), handle.evaluate(PICTURES_BESIDE)
    assert before[1], "there is no picture beside the slider"
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "([handle, value]) => Number(handle.ariaValueNow) > value", arg=[handle.element_handle(), before[0]]
    )
    for _ in range(100):  # the kernel draws the new picture
        if handle.evaluate(PICTURES_BESIDE) != before[1]:
            return
        page.wait_for_timeout(100)
    pytest.fail("the slider moved, the picture did not change")


def test_what_is_saved_in_jupyterlab_reaches_the_text(page, chapter):
    page.evaluate(REWRITE_FIRST_CELL, "# A new title")
    command(page, "docmanager:save")
    text = notebooks.text_of(chapter).read_text(encoding="utf-8")
    assert text.startswith("# %% [markdown]\n# # A new title\n\n# %%")
    assert notebooks.sync(chapter) == "tidied"
    assert notebooks.text_of(chapter).read_text(encoding="utf-8") == text
