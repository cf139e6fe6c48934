"""What stands in ``classroom/`` fits together, as far as that can be said without a hub and without a cluster."""

import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
CLASSROOM = ROOT / "classroom"

# The keys of the chart's values that are used, with what they take, read in jupyterhub/values.schema.yaml of
# jupyterhub/zero-to-jupyterhub-k8s. The schema allows no others; only "hub.config" and "singleuser.extraEnv" are open.
NUMBER = (int, float)
TAKES = {
    "cull.enabled": bool,
    "cull.every": int,
    "cull.timeout": int,
    "hub.concurrentSpawnLimit": int,
    "hub.config": dict,
    "prePuller.continuous.enabled": bool,
    "prePuller.hook.enabled": bool,
    "proxy.https.enabled": bool,
    "proxy.https.hosts": list,
    "proxy.https.letsencrypt.contactEmail": str,
    "scheduling.podPriority.enabled": bool,
    "scheduling.userPlaceholder.enabled": bool,
    "scheduling.userPlaceholder.replicas": int,
    "scheduling.userScheduler.enabled": bool,
    "singleuser.cmd": str,
    "singleuser.cpu.guarantee": NUMBER,
    "singleuser.cpu.limit": NUMBER,
    "singleuser.defaultUrl": str,
    "singleuser.extraEnv": dict,
    "singleuser.image.name": str,
    "singleuser.image.tag": str,
    "singleuser.memory.guarantee": (*NUMBER, str),
    "singleuser.memory.limit": (*NUMBER, str),
    "singleuser.startTimeout": int,
    "singleuser.storage.capacity": str,
}


def read(name):
    return (CLASSROOM / name).read_text(encoding="utf-8")


@pytest.fixture
def values():
    return yaml.safe_load(read("kubernetes/values.yaml"))


def leaves(value, path=""):
    """Yield what is set, by its path."""
    if isinstance(value, dict) and path not in ("hub.config", "singleuser.extraEnv"):
        for key, below in value.items():
            yield from leaves(below, f"{path}.{key}".removeprefix("."))
    else:
        yield path, value


def test_the_values_use_keys_that_the_chart_knows_and_give_them_what_they_take(values):
    found = dict(leaves(values))
    assert set(found) == set(TAKES)
    wrong = {path for path, value in found.items() if not isinstance(value, TAKES[path])}
    wrong |= {path for path, value in found.items() if isinstance(value, bool) and TAKES[path] is not bool}
    assert wrong == set()


def test_variables_are_texts_as_kubernetes_wants_and_those_that_the_start_asks_for(values):
    given = values["singleuser"]["extraEnv"]
    assert {type(value) for value in given.values()} == {str}
    asked = set(re.findall(r"\$(COURSE_[A-Z]+)", read("start-server")))
    assert asked
    assert asked <= set(given)
    hub = set(re.findall(r'"(COURSE_[A-Z]+)":', read("jupyterhub_config.py")))
    assert asked <= hub


def test_one_server_and_the_cluster_agree_on_limits_and_on_where_people_arrive(values):
    ours, theirs = read("jupyterhub_config.py"), values["singleuser"]
    assert f'c.Spawner.mem_limit = "{theirs["memory"]["limit"]}"' in ours
    assert f"c.Spawner.cpu_limit = {theirs['cpu']['limit']:.1f}" in ours
    folder = re.search(r'^COURSE = "(.*)"', ours, re.MULTILINE)[1]
    assert theirs["extraEnv"]["COURSE_FOLDER"] == folder
    assert theirs["defaultUrl"] == f"/lab/tree/{folder}/workbook"
    assert f"--timeout={values['cull']['timeout']}" in ours


def test_what_a_hub_needs_is_pinned_and_contradicts_no_version_of_the_course():
    lines = [line for line in read("requirements.txt").splitlines() if line and not line.startswith("#")]
    pins = {canonicalize_name(pin.name): str(pin.specifier) for pin in map(Requirement, lines)}
    assert len(pins) == len(lines)
    assert all(re.fullmatch(r"==[\d.]+", version) for version in pins.values())
    known = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line]
    course = {canonicalize_name(pin.name): str(pin.specifier) for pin in map(Requirement, known)}
    assert {name: pins[name] for name in pins.keys() & course.keys()} == {
        name: course[name] for name in pins.keys() & course.keys()
    }
    (puller,) = re.findall(r"nbgitpuller(==[\d.]+)", read("kubernetes/Dockerfile"))
    assert puller == pins["nbgitpuller"]


def test_the_image_has_the_hub_that_the_chart_runs():
    (hub,) = re.findall(r"runs JupyterHub (\d+\.\d+\.\d+)", read("kubernetes/values.yaml"))
    assert f"jupyterhub=={hub} " in read("kubernetes/Dockerfile")


def test_learners_and_graders_speak_of_the_same_course():
    (ours,) = re.findall(r'course_id = "(\w+)"', read("nbgrader_config.py"))
    (theirs,) = re.findall(r'course_id = "(\w+)"', (ROOT / "course" / "assignment.py").read_text(encoding="utf-8"))
    assert ours == theirs


def test_the_start_is_a_program():
    assert (CLASSROOM / "start-server").stat().st_mode & 0o111 == 0o111
