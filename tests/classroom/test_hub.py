"""A class on a hub: two learners and a teacher log in, and what they do goes through their own servers.

The hub is the one of ``classroom/``, on loopback, with people whom the test adds to the operating system and takes away
again. Only the spawner differs: the one of ``classroom/`` needs systemd for its limits.
"""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import nbformat
import pytest

from course import notebooks, progress

pytest.importorskip("jupyterhub", reason="classroom/requirements.txt is not installed")
requests = pytest.importorskip("requests")
websocket = pytest.importorskip("websocket")

pytestmark = pytest.mark.classroom

ROOT = Path(__file__).parents[2]
CLASSROOM = ROOT / "classroom"
FOLDER = "video-generation-from-scratch"
COURSE_ID = "video_generation_from_scratch"
CHAPTER = next(path for path in notebooks.chapters() if path.name.startswith("03_"))
READING = next(path for path in notebooks.chapters() if path.name.startswith("01_"))
PROGRAMS = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
LOCAL = ".*", "*.egg-info", "__pycache__", "build", "own", "teaching", "workbook"
PATIENCE = 600  # seconds on the clock until a hub counts as hanging: no measurement

SETTINGS = """
load_subconfig({config!r})
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner"
c.JupyterHub.cleanup_servers = True
c.Spawner.start_timeout = c.Spawner.http_timeout = {patience}
c.Spawner.environment.update(COURSE_BUDGET="smoke", GIT_CONFIG_SYSTEM={git!r})
"""


# The machine


def run(*command, **options):
    """Run a program, and show what it said if it failed."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def free_ports(number):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_for(condition, what, *, seconds=PATIENCE):
    """Wait until something is there; the time limit is for a hub that hangs, and no measurement."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(1)
    raise AssertionError(f"waited {seconds} seconds for {what}")


@pytest.fixture(scope="module")
def machine():
    """Skip unless people can be added to this machine, and can run what a hub starts for them."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("useradd"):
        pytest.skip("adding people to the operating system needs root, and useradd")
    if not shutil.which("configurable-http-proxy", path=PROGRAMS):
        pytest.skip("no configurable-http-proxy: npm install --global configurable-http-proxy@5.3.0")
    tries = [sys.executable, "-c", "import course, jupyterhub"], ["test", "-x", str(CLASSROOM / "start-server")]
    for command in tries:
        tried = subprocess.run(["runuser", "-u", "nobody", "--", *command], cwd="/", capture_output=True, check=False)
        if tried.returncode:
            said = tried.stderr.decode().splitlines()[-1:]
            pytest.skip(f"other people of this machine cannot run {command}: is it inside of /root? {said}")


@pytest.fixture(scope="module")
def place(machine):
    """Return a folder that everybody may read; pytest's own are root's alone."""
    with tempfile.TemporaryDirectory(prefix="hub-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def people(place):
    """Add two learners, a teacher and a stranger to the operating system; return their passwords by name."""
    number = os.getpid()
    groups = {"solver": "learners", "waiter": "learners", "teacher": "teachers", "stranger": None}
    passwords, added = {}, []
    try:
        for group in ("learners", "teachers"):
            if subprocess.run(["getent", "group", group], capture_output=True, check=False).returncode:
                run("groupadd", group)
                added.append(("groupdel", group))
        for who, group in groups.items():
            name, passwords[who] = f"{who}-{number}", secrets.token_hex(8)
            into = ["--groups", group] if group else []
            homes = ["--create-home", "--base-dir", place, "--key", "HOME_MODE=0700", "--shell", "/bin/bash"]
            run("useradd", *homes, *into, name)
            added.append(("userdel", name))
            run("chpasswd", input=f"{name}:{passwords[who]}\n")
        yield {who: (f"{who}-{number}", password) for who, password in passwords.items()}
    finally:
        for command in reversed(added):
            subprocess.run(command, capture_output=True, check=False)


@pytest.fixture(scope="module")
def upstream(place):
    """Return the course as a repository from which people pull."""
    upstream = place / "upstream" / FOLDER
    shutil.copytree(ROOT, upstream, ignore=shutil.ignore_patterns(*LOCAL))
    shutil.copy(ROOT / ".gitignore", upstream)
    git(upstream, "init", "--quiet", "--initial-branch=main")
    commit(upstream)
    return upstream


def git(folder, *command):
    return run("git", "-c", "user.name=author", "-c", "user.email=author@example.org", *command, cwd=folder)


def commit(upstream):
    git(upstream, "add", "--all")
    git(upstream, "commit", "--quiet", "--message=a commit")


@pytest.fixture(scope="module")
def hub(place, people, upstream):
    """Start the hub; return its address."""
    port, hub_port, api_port = free_ports(3)
    folder = place / "hub"
    folder.mkdir(mode=0o700)
    exchange = place / "exchange"
    exchange.mkdir()
    exchange.chmod(0o1777)
    system = place / "gitconfig"
    system.write_text("[safe]\n\tdirectory = *\n")  # the upstream is a folder of root's
    config = folder / "jupyterhub_config.py"
    ours = str(CLASSROOM / "jupyterhub_config.py")
    config.write_text(
        SETTINGS.format(
            config=ours, port=port, hub_port=hub_port, api_port=api_port, git=str(system), patience=PATIENCE
        )
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COURSE_", "JUPYTER"))}
    environment |= {"PATH": PROGRAMS, "COURSE_REPOSITORY": upstream.as_uri(), "COURSE_EXCHANGE": str(exchange)}
    with (folder / "log").open("w") as log:
        command = [sys.executable, "-m", "jupyterhub", "--config", str(config)]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"

    def is_up():
        assert process.poll() is None, (folder / "log").read_text()[-3000:]
        try:
            return requests.get(f"{address}/hub/health", timeout=PATIENCE).ok
        except requests.ConnectionError:
            return False

    try:
        wait_for(is_up, "the hub")
        yield address
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
        print((folder / "log").read_text()[-20000:])  # shown if a test failed


# People


class Person:
    """Somebody with a browser."""

    def __init__(self, hub, name, password):
        self.hub, self.name = hub, name
        self.home = f"{hub}/user/{name}"
        self.browser = requests.Session()
        self.arrived = self.log_in(password)

    def log_in(self, password):
        """Fill in the hub's form; return the page that follows."""
        page = self.browser.get(f"{self.hub}/hub/login", timeout=PATIENCE)
        form = {"username": self.name, "password": password, "_xsrf": self.browser.cookies.get("_xsrf", path="/hub/")}
        assert page.ok
        return self.browser.post(f"{self.hub}/hub/login?next=/hub/home", data=form, timeout=PATIENCE)

    def start(self):
        """Have the server started, as a browser does, and wait for its page."""
        self.browser.get(f"{self.hub}/hub/spawn", timeout=PATIENCE)

        def is_there():
            page = self.browser.get(f"{self.home}/lab", timeout=PATIENCE)
            assert page.status_code < 500, page.text
            return page.ok and page.url.startswith(self.home) and page

        self.page = wait_for(is_there, f"the server of {self.name}")
        return self.page

    def stop(self):
        """Stop the server, as the button in the hub's control panel does."""
        token = self.browser.cookies.get("_xsrf", path="/hub/")
        address = f"{self.hub}/hub/api/users/{self.name}/server"
        headers = {"X-XSRFToken": token, "Referer": f"{self.hub}/hub/home"}
        assert self.browser.delete(address, headers=headers, timeout=PATIENCE).ok

        def is_gone():
            user = self.user()
            return not user["server"] and not user["pending"]

        wait_for(is_gone, "the end of the server")

    def user(self):
        return self.browser.get(
            f"{self.hub}/hub/api/users/{self.name}", headers={"Referer": f"{self.hub}/hub/home"}, timeout=PATIENCE
        ).json()

    def ask(self, method, path, **options):
        """Send a request to the person's own server, as its pages do."""
        token = self.browser.cookies.get("_xsrf", path=f"/user/{self.name}/")
        headers = {"X-XSRFToken": token, "Referer": f"{self.home}/lab"}
        return self.browser.request(method, f"{self.home}/{path}", headers=headers, timeout=PATIENCE, **options)

    def read(self, path):
        """Open a notebook of the home."""
        answer = self.ask("GET", f"api/contents/{path}")
        assert answer.ok, answer.text
        return nbformat.from_dict(answer.json()["content"])

    def save(self, path, notebook):
        answer = self.ask("PUT", f"api/contents/{path}", json={"type": "notebook", "content": notebook})
        assert answer.ok, answer.text

    @contextmanager
    def kernel(self, path):
        """Open a notebook's kernel; give a function that runs code in it and returns what it printed."""
        session = {"path": path, "name": "", "type": "notebook", "kernel": {"name": "python3"}}
        kernel = self.ask("POST", "api/sessions", json=session).json()["kernel"]["id"]
        cookies = "; ".join(
            f"{each.name}={each.value}" for each in self.browser.cookies if each.path in ("/", f"/user/{self.name}/")
        )
        address = f"{self.home}/api/kernels/{kernel}/channels".replace("http", "ws", 1)
        socket = websocket.create_connection(address, cookie=cookies, timeout=PATIENCE, origin=self.hub)
        numbers = count()

        def execute(code):
            header = {
                "msg_id": f"{kernel}-{next(numbers)}",
                "msg_type": "execute_request",
                "username": "",
                "version": "5.3",
            }
            content = {
                "code": code,
                "silent": False,
                "store_history": True,
                "user_expressions": {},
                "allow_stdin": False,
            }
            message = {"header": header | {"session": kernel}, "parent_header": {}, "metadata": {}, "content": content}
            socket.send(json.dumps(message | {"channel": "shell"}))
            printed = []
            while True:
                answer = json.loads(socket.recv())
                if answer["parent_header"].get("msg_id") != header["msg_id"]:
                    continue
                content = answer["content"]
                if answer["msg_type"] == "stream":
                    printed.append(content["text"])
                elif answer["msg_type"] == "error":
                    printed.append(f"{content['ename']}: {content['evalue']}\n")
                elif answer["msg_type"] == "status" and content["execution_state"] == "idle":
                    return "".join(printed)

        try:
            yield execute
        finally:
            socket.close()
            self.ask("DELETE", f"api/kernels/{kernel}")

    def assignments(self, action="", **data):
        """Use the list of assignments, as JupyterLab does: fetch, submit, or look."""
        data |= {"course_id": COURSE_ID}
        method, kind = ("POST", "json") if action else ("GET", "params")
        answer = self.ask(method, f"assignments/{action}".rstrip("/"), **{kind: data}).json()
        assert answer["success"], answer
        return answer["value"]

    def grade(self, action, path=""):
        """Use the form grader's buttons."""
        answer = self.ask("POST", f"formgrader/api/{path}{action}").json()
        assert answer["success"], answer
        return answer

    def pull(self, upstream):
        """Follow the link that hands out the course; return what it said at the end."""
        link = {"repo": upstream.as_uri(), "branch": "main", "targetpath": FOLDER}
        answer = self.ask("GET", "git-pull/api", params=link)
        said = [json.loads(line[5:]) for line in answer.text.splitlines() if line.startswith("data:")]
        return said[-1]["phase"], answer.text


@pytest.fixture(scope="module")
def enter(hub, people):
    """Return a function that logs somebody in and starts a server."""

    def enter(who):
        person = Person(hub, *people[who])
        assert person.arrived.url.endswith("/hub/home"), person.arrived.text
        person.start()
        return person

    return enter


@pytest.fixture(scope="module")
def solver(enter):
    return enter("solver")


@pytest.fixture(scope="module")
def waiter(enter):
    return enter("waiter")


@pytest.fixture(scope="module")
def teacher(enter):
    """Return a teacher who has written the assignment and released it."""
    teacher = enter("teacher")
    with teacher.kernel("terminal.ipynb") as execute:
        said = execute("!python -m course assignment 03 --folder ~/teaching")
    assert "exercises" in said, said
    teacher.stop()
    teacher.start()  # the form grader reads the course folder's settings when the server starts
    teacher.grade("/assign", f"assignment/{CHAPTER.stem}")
    teacher.grade("/release", f"assignment/{CHAPTER.stem}")
    return teacher


@pytest.fixture(scope="module")
def marks(solver, waiter, teacher):
    """Hand in the assignment, solved and untouched, collect and grade it; return the gradebook's lines by name."""
    path = f"{CHAPTER.stem}/{CHAPTER.name}"
    for learner in (solver, waiter):
        learner.assignments("fetch", assignment_id=CHAPTER.stem)
        work = learner.read(path)
        if learner is solver:
            solve(work)
        learner.save(path, work)
        learner.assignments("submit", assignment_id=CHAPTER.stem)
    teacher.grade("/collect", f"assignment/{CHAPTER.stem}")
    for learner in (solver, waiter):
        teacher.grade("/autograde", f"submission/{CHAPTER.stem}/{learner.name}")
    lines = teacher.ask("GET", f"formgrader/api/submissions/{CHAPTER.stem}").json()
    return {line["student"]: line for line in lines}


def solve(notebook):
    """Write the chapter's answers into the cells that ask for them."""
    marker = re.compile(r"^ *# (BEGIN|END) SOLUTION.*\n?", re.MULTILINE)
    answers = {
        cell.metadata.nbgrader.grade_id: marker.sub("", cell.source)
        for cell in notebooks.read(CHAPTER).cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }
    for cell in notebook.cells:
        if answer := answers.get(cell.metadata.get("nbgrader", {}).get("grade_id")):
            cell.source = answer
    return notebook


def code_of(notebook, *, up_to=None):
    """Return the code cells of a notebook, or those before a heading."""
    end = next((i for i, cell in enumerate(notebook.cells) if up_to and cell.source.startswith(up_to)), None)
    return [cell for cell in notebook.cells[:end] if cell.cell_type == "code"]


# The door


def test_a_wrong_password_and_a_stranger_stay_outside(hub, people):
    name, password = people["solver"]
    assert "Invalid username or password" in Person(hub, name, f"{password}x").arrived.text
    stranger = Person(hub, *people["stranger"])
    assert stranger.arrived.status_code == 403
    assert stranger.browser.get(f"{hub}/hub/home", timeout=PATIENCE).url.startswith(f"{hub}/hub/login")


def test_nobody_enters_another_ones_server(solver, waiter):
    assert waiter.browser.get(f"{solver.home}/api/contents", timeout=PATIENCE).status_code in (403, 404)
    assert solver.ask("GET", "api/contents").ok


# The course


def test_everybody_has_a_workbook_of_their_own_and_solves_chapter_03_in_it(solver, waiter):
    path = f"{FOLDER}/workbook/{CHAPTER.name}"
    for learner in (solver, waiter):
        assert "NotImplementedError" in "".join(cell.source for cell in learner.read(path).cells)
    work = solve(solver.read(path))
    solver.save(path, work)
    with solver.kernel(path) as execute:
        said = [execute(cell.source) for cell in code_of(work)]
        where = execute("import course, os; print(course.__file__, os.environ['OMP_NUM_THREADS'])")
    exercises = len(progress.tasks_of(CHAPTER))
    assert exercises > 0
    assert sum(text.count("PASS ") for text in said) == exercises, said
    assert not [text for text in said if "Error: " in text]
    assert where.split() == [f"{home_of(solver)}/{FOLDER}/course/__init__.py", "1"]
    untouched = waiter.read(path)
    with waiter.kernel(path) as execute:
        said = [
            execute(cell.source) for cell in code_of(untouched) if is_exercise(cell) or cell is code_of(untouched)[0]
        ]
    assert sum(text.count("TO DO ") for text in said) == exercises, said


def home_of(person):
    return run("getent", "passwd", person.name).split(":")[5]


def is_exercise(cell):
    return bool(cell.metadata.get("nbgrader"))


def test_the_link_brings_what_is_new_and_keeps_what_a_learner_did(solver, upstream):
    edited, added = f"notebooks/{READING.name}", "notebooks/99_news.txt"
    mine = solver.read(f"{FOLDER}/{edited}")
    mine.cells[1].source += "\n\nmy note"
    solver.save(f"{FOLDER}/{edited}", mine)
    workbook = solver.read(f"{FOLDER}/workbook/{CHAPTER.name}")
    theirs = notebooks.read(upstream / edited)
    theirs.cells[1].source += "\n\na correction"
    nbformat.write(theirs, upstream / edited)
    (upstream / added).write_text("news\n")
    commit(upstream)
    phase, said = solver.pull(upstream)
    assert phase == "finished", said
    assert solver.ask("GET", f"api/contents/{FOLDER}/{added}").json()["content"] == "news\n"
    assert solver.read(f"{FOLDER}/{edited}").cells[1].source == mine.cells[1].source
    assert solver.read(f"{FOLDER}/workbook/{CHAPTER.name}") == workbook


def test_a_new_chapter_reaches_the_workbook_at_the_next_start_and_work_stays(waiter, upstream):
    path = f"{FOLDER}/workbook/{READING.name}"
    mine = waiter.read(path)
    mine.cells[1].source += "\n\nmy note"
    waiter.save(path, mine)
    theirs = notebooks.read(upstream / "notebooks" / READING.name)
    theirs.cells[3].source += "\n\nanother correction"
    nbformat.write(theirs, upstream / "notebooks" / READING.name)
    commit(upstream)
    waiter.stop()
    waiter.start()
    assert waiter.read(path).cells[1].source == mine.cells[1].source
    assert "another correction" in waiter.read(path.replace(".ipynb", ".new.ipynb")).cells[3].source


# Handing in


def test_a_solved_assignment_gets_full_marks_and_an_untouched_one_none(marks, solver, waiter):
    assert set(marks) == {solver.name, waiter.name}
    exercises = sum(task.points for task in progress.tasks_of(CHAPTER))
    assert marks[solver.name]["autograded"]
    assert marks[solver.name]["code_score"] == marks[solver.name]["max_code_score"] == exercises
    assert marks[waiter.name]["score"] == 0


def test_the_exchange_names_learners_as_the_operating_system_does(marks, people, place, solver):
    teacher = people["teacher"][0]
    collected = place / teacher / "teaching" / "submitted"
    assert {path.name for path in collected.iterdir()} == {people["solver"][0], people["waiter"][0]}
    inbound = place / "exchange" / COURSE_ID / "inbound"
    owners = {path.name.partition("+")[0]: path.owner() for path in inbound.iterdir()}
    assert owners == {name: name for name in (people["solver"][0], people["waiter"][0])}
    look = subprocess.run(
        ["runuser", "-u", people["waiter"][0], "--", "ls", str(inbound)], capture_output=True, check=False
    )
    assert look.returncode != 0
    assert "submitted" in {entry["status"] for entry in solver.assignments()}


def test_the_form_grader_is_for_teachers_and_refuses_to_be_framed(teacher, solver):
    page = teacher.ask("GET", "formgrader")
    assert page.ok
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert solver.ask("GET", "formgrader").status_code == 404
    assert "@jupyter/nbgrader:formgrader" in page_config(solver)["disabledExtensions"]
    assert "@jupyter/nbgrader:formgrader" not in page_config(teacher).get("disabledExtensions", [])


def page_config(person):
    """Return what JupyterLab's page tells its program."""
    found = re.search(
        r'<script id="jupyter-config-data" type="application/json">(.*?)</script>', person.page.text, re.DOTALL
    )
    return json.loads(found[1])
