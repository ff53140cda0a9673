"""Runs the tests of ``tools/`` once for all rendered projects, and checks that the tools do not depend on a project."""

import ast
import json
import os
import re
import shutil
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.combinations import ROOT
from tests.projects import Environment, Project

TEMPLATE = ROOT / "{{cookiecutter.project_slug}}"
TOOLS = TEMPLATE / "tools"
TESTS = ROOT / "tests" / "tools"
PROJECT = TESTS / "project"
CACHES = shutil.ignore_patterns("__pycache__", ".*")
# Words with other meanings: environments of Pulumi, Lambda and shells, and `[tool.pipeline]` in pyproject.toml.
COMMON_WORDS = frozenset({"environment", "pipeline"})
PYTHON_FILES = sorted(path.relative_to(TOOLS).as_posix() for path in TOOLS.rglob("*.py"))


@pytest.fixture(scope="module", name="project")
def fixture_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project in `tests/tools/project`, with the template's tools and their tests."""
    folder = tmp_path_factory.mktemp("tools") / "orders"
    shutil.copytree(PROJECT, folder, ignore=CACHES)
    shutil.copytree(TOOLS, folder / "tools", ignore=CACHES)
    shutil.copytree(TESTS, folder / "tests", ignore=shutil.ignore_patterns("__pycache__", PROJECT.name))
    return Project(folder, {})


class WithTests(Project):
    """A rendered project whose virtual environment also has jsonschema, for the tools' tests."""

    def requirements(self) -> list[str]:
        """List the project's requirements, and jsonschema with the template's bounds."""
        template = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        besides = [each for each in template["dependency-groups"]["dev"] if "jsonschema" in each]
        return sorted([*super().requirements(), *besides])


@pytest.fixture(scope="module", name="environment")
def fixture_environment(environment_of: Callable[[Project], Environment], default_project: Project) -> Environment:
    """The virtual environment for the default project and the tools' tests."""
    return environment_of(WithTests(default_project.path, default_project.answers))


@dataclass(frozen=True)
class Run:
    """The result of the tools' tests.

    Attributes:
        status: Exit status of pytest.
        output: Output of pytest.
        counted: Numbers of tests, failures, errors and skipped tests.
        covered: Coverage report by file.
    """

    status: int
    output: str
    counted: dict[str, int]
    covered: dict[str, dict[str, list[object]]]


@pytest.fixture(scope="module", name="run")
def fixture_run(project: Project, environment: Environment) -> Run:
    finished = environment.run(
        project,
        *("pytest", "-q", "--cov", "--cov-report=term-missing", "--cov-report=json", "--junitxml=junit.xml"),
    )
    assert (project.path / "coverage.json").exists(), finished.stdout
    suite = ET.parse(project.path / "junit.xml").getroot()[0]  # noqa: S314 # written by pytest
    counted = {name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    covered = json.loads(project.read("coverage.json"))["files"]
    return Run(finished.returncode, finished.stdout, counted, covered)


@pytest.mark.slow
def test_tests_of_the_tools_pass(run: Run) -> None:
    assert run.status == 0, run.output
    assert run.counted["tests"] > 400
    assert run.counted["failures"] == run.counted["errors"] == 0


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows restricts the creation of symbolic links")
def test_no_test_of_the_tools_is_skipped(run: Run) -> None:
    assert run.counted["skipped"] == 0, run.output


@pytest.mark.slow
def test_every_line_and_branch_of_the_tools_is_covered(run: Run) -> None:
    covered = {name.replace("\\", "/"): report for name, report in run.covered.items()}

    assert sorted(covered) == [f"tools/{name}" for name in PYTHON_FILES]
    for name, report in covered.items():
        left = {key: report[key] for key in ("missing_lines", "missing_branches", "excluded_lines")}
        assert not any(left.values()), f"{name}: {left}"


@pytest.mark.slow
def test_ty_finds_no_problems_in_the_tools_and_their_tests(project: Project, environment: Environment) -> None:
    finished = environment.run(project, "ty", "check")

    assert finished.returncode == 0, finished.stdout


@pytest.mark.slow
def test_pylint_finds_no_problems_in_the_tools(default_project: Project, environment: Environment) -> None:
    finished = environment.run(default_project, "pylint", "tools")

    assert finished.returncode == 0, finished.stdout


def test_rendered_project_contains_no_tests_of_the_tools(default_project: Project) -> None:
    tests = [name for name in default_project.names() if name.startswith("tests/")]
    of_the_tools = {path.name for path in TESTS.glob("**/test_*.py")}

    assert tests
    assert [name for name in tests if "tools" in Path(name).parts] == []
    # Compare contents, because the project has other test modules with the same names.
    contents = {path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py") if path.name in of_the_tools}
    assert [name for name in tests if default_project.read(name) in contents] == []


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide what is imported"
            yield str(node.module)


@pytest.mark.parametrize("name", PYTHON_FILES)
def test_tools_import_nothing_of_the_project(name: str) -> None:
    own = {path.stem for path in TEMPLATE.iterdir() if path.is_dir()} | {"__main__"}

    assert [module for module in imported(TOOLS / name) if module.partition(".")[0] in own - {"tools"}] == []


def settings_fields() -> list[str]:
    module = ast.parse((TEMPLATE / "infrastructure" / "settings.py").read_text(encoding="utf-8"))
    (model,) = (node for node in module.body if isinstance(node, ast.ClassDef) and node.name == "Settings")
    return [ast.unparse(node.target) for node in model.body if isinstance(node, ast.AnnAssign)]


def camel(field: str) -> str:
    """Convert a field's name to its camelCase key in the stack files."""
    return re.sub("_(.)", lambda match: match[1].upper(), field)


def calls() -> Iterator[tuple[str, str]]:
    """For each call in the Pulumi program with a constant as first argument, yield the function and this argument."""
    for path in (TEMPLATE / "__main__.py", *(TEMPLATE / "infrastructure").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                yield ast.unparse(node.func), str(node.args[0].value)


def texts(path: Path) -> Iterator[str]:
    """Yield the string literals in a file's code, without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements:
            yield node.value


FIELDS = settings_fields()
SETTINGS = sorted({*FIELDS, *map(camel, FIELDS)} - COMMON_WORDS)
OUTPUTS = [text for function, text in calls() if function == "pulumi.export"]
LOGICAL_NAMES = sorted({text for function, text in calls() if re.match(r"aws\.|[A-Z]\w+$", function)} - COMMON_WORDS)


def test_settings_outputs_and_logical_names_are_found() -> None:
    assert {"batch_size", "batchSize"} <= {*SETTINGS}
    assert len(OUTPUTS) > 10
    assert len(LOGICAL_NAMES) > 10


@pytest.mark.parametrize("name", PYTHON_FILES)
def test_tools_mention_no_setting_and_no_output(name: str) -> None:
    text = (TOOLS / name).read_text(encoding="utf-8")

    assert [word for word in (*SETTINGS, *OUTPUTS) if re.search(rf"\b{word}\b", text)] == []


@pytest.mark.parametrize("name", PYTHON_FILES)
def test_tools_mention_no_resource(name: str) -> None:
    assert {*texts(TOOLS / name)} & {*LOGICAL_NAMES} == set()
