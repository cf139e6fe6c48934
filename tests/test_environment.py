"""Ranges stand in pyproject.toml, versions in constraints.txt, and neither is restated in environment.yml."""

import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [
    Requirement(line) for line in (*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra))
]
MANDATED = {"torch", "jupyterlab", "matplotlib", "ipywidgets", "nbval", "moviepy"}


def pins():
    """Return the version that constraints.txt pins for each package."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    versions = {}
    for requirement in requirements:
        (specifier,) = requirement.specifier
        assert specifier.operator == "=="
        name = canonicalize_name(requirement.name)
        assert name not in versions, f"{name} is pinned twice"
        versions[name] = specifier.version
    return versions


def test_the_mandated_packages_are_dependencies():
    assert {requirement.name for requirement in map(Requirement, PROJECT["dependencies"])} >= MANDATED


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_every_direct_dependency_has_a_lower_bound_and_is_pinned_inside_its_range(requirement):
    assert [specifier.operator for specifier in requirement.specifier] == [">="]
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


@pytest.fixture
def environment():
    return yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def test_conda_brings_python_and_pip_and_nothing_else(environment):
    python, pip, _ = environment["dependencies"]
    assert pip == "pip"
    name, version = python.split("=")
    assert name == "python"
    assert SpecifierSet(PROJECT["requires-python"]).contains(version)


def test_conda_asks_conda_forge_alone(environment):
    assert environment["channels"] == ["conda-forge", "nodefaults"]


def test_pip_installs_this_project_with_the_pinned_versions_and_restates_nothing(environment):
    constraints, project = environment["dependencies"][-1]["pip"]
    assert set(environment["dependencies"][-1]) == {"pip"}
    assert constraints == "-c constraints.txt"
    option, _, target = project.partition(" ")
    extras = Requirement(f"project{target.removeprefix('.')}").extras
    assert (option, target[0]) == ("-e", ".")
    assert extras <= set(EXTRAS)


def test_the_environment_is_named_after_the_project(environment):
    assert environment["name"] == PROJECT["name"]
    assert set(environment) == {"name", "channels", "dependencies"}
