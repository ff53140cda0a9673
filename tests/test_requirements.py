"""Every dependency of the template and of its projects is bounded below the next major version."""

import re
import tomllib

import pytest

from scripts.install import UV
from tests.combinations import ROOT
from tests.projects import Project

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
OWN = [*PYPROJECT["project"]["dependencies"], *PYPROJECT["dependency-groups"]["dev"]]


def is_bounded(requirement: str) -> bool:
    """Whether a requirement is bounded below the next major version, or the next minor one for 0.x."""
    if re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==\d+(\.\d+)+", requirement):
        return True
    bounds = re.fullmatch(r"[\w.-]+(?:\[[\w,-]+\])?>=(\d+)(?:\.(\d+))?(?:\.\d+)*,<(\d+)(?:\.(\d+))?", requirement)
    if not bounds:
        return False
    low, low_minor, high, high_minor = (int(part) if part else 0 for part in bounds.groups())
    return (low, low_minor) < (high, high_minor) <= ((low + 1, 0) if low else (0, low_minor + 1))


@pytest.mark.parametrize("requirement", ["a>=1.2,<2", "a[b,c]>=1,<2", "a>=1.2,<1.3", "a>=0.5.1,<0.6", "a==0.0.1"])
def test_a_bound_is_recognized(requirement: str) -> None:
    assert is_bounded(requirement)


@pytest.mark.parametrize("requirement", ["a", "a>=1", "a>=1,<3", "a>=2,<1", "a<2", "a>=0.5,<1", "a~=1.0", "a==1.*"])
def test_a_missing_bound_is_recognized(requirement: str) -> None:
    assert not is_bounded(requirement)


@pytest.mark.parametrize("requirement", OWN)
def test_the_templates_own_tools_are_bounded(requirement: str) -> None:
    assert is_bounded(requirement)


def test_what_a_project_needs_is_bounded(project: Project) -> None:
    requirements = project.requirements()

    assert len(requirements) > 10
    assert [each for each in requirements if not is_bounded(each)] == []


def test_the_template_and_its_projects_use_the_same_tools(default_project: Project) -> None:
    def versions(requirements: list[str]) -> dict[str, str]:
        return dict(re.match(r"([\w.-]+)(.+)", each).groups() for each in requirements)  # ty: ignore

    own, rendered = versions(OWN), versions(default_project.requirements())

    for tool in own.keys() & rendered.keys():
        assert own[tool] == rendered[tool]


def test_uv_is_installed_in_the_version_that_is_declared() -> None:
    assert UV in OWN


def test_no_lock_file_is_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()

    assert "uv.lock" in ignored
    assert not list((ROOT / "{{cookiecutter.project_slug}}").glob("*lock*"))
