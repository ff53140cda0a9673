"""Shared fixtures: rendered projects, and virtual environments for their commands."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from pytest_cookies.plugin import Cookies
from xdist.scheduler import LoadScopeScheduling

from tests.combinations import ASKED, COMBINATIONS, ROOT, name
from tests.projects import Environment, Project

Bake = Callable[..., Project]

# Modules whose tests share expensive state, such as a deployment or the results for identical projects.
IN_ONE_WORKER = {
    "test_emulator.py",
    "test_pulumi_cli.py",
    "test_rendered_deployment.py",
    "test_rendered_load.py",
    "test_rendered_local.py",
    "test_rendered_quality.py",
    "test_tools.py",
}
NAMES = [name(combination) for combination in COMBINATIONS]


def pytest_configure(config: pytest.Config) -> None:
    """Point pytest-cookies to the template; its default is the working directory."""
    config.option.template = str(ROOT)


class SharedWork(LoadScopeScheduling):
    """An xdist scheduler that runs tests with the same expensive fixtures in the same worker.

    The tests of each combination of answers form a group, as do the tests of each module in `IN_ONE_WORKER`. pytest
    9.2 ignores xdist's own groups: https://github.com/pytest-dev/pytest-xdist/issues/1386
    """

    def _split_scope(self, nodeid: str) -> str:
        module, _, test = nodeid.partition("::")
        if Path(module).name in IN_ONE_WORKER:
            return module
        return next((combination for combination in NAMES if combination in test), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharedWork:
    return SharedWork(config, log)


@pytest.fixture(scope="session", name="bake")
def fixture_bake(cookies_session: Cookies) -> Bake:
    """A function that renders a project, or returns the project already rendered with the same answers."""
    rendered: dict[tuple[tuple[str, str], ...], Project] = {}

    def bake(**answers: str) -> Project:
        unknown = set(answers) - set(ASKED)
        assert not unknown, f"cookiecutter.json has no question {unknown}, and Cookiecutter would ignore the answer"
        key = tuple(sorted(answers.items()))
        if key not in rendered:
            result = cookies_session.bake(extra_context=answers)
            assert result.exception is None, result.exception
            rendered[key] = Project(Path(result.project_path), answers)
        return rendered[key]

    return bake


@pytest.fixture(
    scope="session",
    params=[pytest.param(combination, id=name(combination)) for combination in COMBINATIONS],
)
def project(request: pytest.FixtureRequest, bake: Bake) -> Project:
    """A project for each combination. `SharedWork` runs all tests of a combination in one worker."""
    return bake(**request.param)


@pytest.fixture(scope="session")
def default_project(bake: Bake) -> Project:
    """The project with the default answers."""
    return bake()


@pytest.fixture(scope="session")
def pipenv_project(bake: Bake) -> Project:
    """The default project with Pipenv instead of uv."""
    return bake(package_manager="pipenv")


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all xdist workers of this test run share."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def environment_of(shared_folder: Path) -> Callable[[Project], Environment]:
    """A function that returns a project's virtual environment, shared by projects with the same requirements."""

    def environment_of_project(project: Project) -> Environment:
        requirements = project.requirements()
        digest = hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:16]
        path = shared_folder / f"environment-{digest}"
        with FileLock(f"{path}.lock"):
            if not (path / "complete").exists():
                Environment.create(path, requirements)
                (path / "complete").touch()
        return Environment(path)

    return environment_of_project


@pytest.fixture(scope="session")
def environment(environment_of: Callable[[Project], Environment], default_project: Project) -> Environment:
    """The virtual environment of the default project."""
    return environment_of(default_project)


@pytest.fixture(scope="session")
def packaged_project(
    default_project: Project, environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """A copy of the default project with the local stack's function bundle."""
    project = default_project.copy(tmp_path_factory.mktemp("packaged"))
    finished = environment.run(project, "python", "-c", "from tools.package import build_bundle; build_bundle('local')")
    assert finished.returncode == 0, finished.stdout
    return project
