"""Every rendered project passes linting, type checking and its unit tests, before any formatter or fixer runs."""

import ast
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.projects import Environment, Project

EnvironmentOf = Callable[[Project], Environment]
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

RUNS_ON = re.compile(r"^  \S+:lambda(?:Runtime|Architecture): (.*)$", flags=re.MULTILINE)
# A pytest plugin for the second run: reverses the tests, to find those that depend on the order.
REVERSE = "def pytest_collection_modifyitems(items):\n    items.reverse()\n"
# Runs a task with signals ignored, as nohup, background shells and some CI runners do.
IGNORING_SIGNALS = """
import signal, subprocess, sys
for name in ("SIGHUP", "SIGINT", "SIGTERM"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
sys.exit(subprocess.run([sys.executable, "-m", "poethepoet", "test-py-unit"], stdin=subprocess.DEVNULL).returncode)
"""


Passed = set[tuple[str, ...]]


@pytest.fixture(scope="session", name="passed")
def fixture_passed() -> Passed:
    """The inputs of the checks that have passed; a check with the same inputs is skipped.

    All tests of this module share this set, because they run in one process.
    """
    return set()


@pytest.mark.parametrize("tool", ["ruff check", "ruff format --check", "ty check"])
def test_a_tool_finds_no_problems(project: Project, environment_of: EnvironmentOf, passed: Passed, tool: str) -> None:
    settings = str(project.toml("pyproject.toml")["tool"][tool.split(maxsplit=1)[0]])
    run = (tool, settings, *map(project.read, project.python_files()))
    if run not in passed:
        finished = environment_of(project).run(project, *tool.split())
        assert finished.returncode == 0, finished.stdout
        passed.add(run)


@pytest.mark.slow
def test_pylint_finds_no_problems(project: Project, environment_of: EnvironmentOf, passed: Passed) -> None:
    (command,) = (step["cmd"] for step in project.tasks()["lint"]["sequence"] if step["cmd"].startswith("pylint "))
    names = [name for name in project.python_files() if not name.startswith("tools/")]
    # Pylint is slow, so a file that has passed is skipped.
    settings = str(project.toml("pyproject.toml")["tool"]["pylint"])
    runs = {("pylint", settings, name, project.read(name)): name for name in names}
    left = [name for run, name in runs.items() if run not in passed]
    if left:
        finished = environment_of(project).run(project, *(command.split() if left == names else ("pylint", *left)))
        assert finished.returncode == 0, finished.stdout
        passed.update(runs)


def assert_covered(project: Project, names: set[str]) -> None:
    """Check that coverage was measured for exactly these files, and that all their lines and branches are covered."""
    summary = json.loads(project.read("coverage/coverage-summary.json"))
    assert summary["totals"]["percent_covered"] == 100
    assert summary["totals"]["num_branches"] == summary["totals"]["covered_branches"] > 0
    files = {name.replace("\\", "/"): covered for name, covered in summary["files"].items()}
    assert set(files) == names
    for name, covered in files.items():
        lines = project.read(name).splitlines()
        # Only imports for type checking may be excluded.
        for excluded in (lines[number - 1].strip() for number in covered["excluded_lines"]):
            assert re.fullmatch(r"|if TYPE_CHECKING:|from (mypy_boto3_|botocore\.).+", excluded), f"{name}: {excluded}"


@pytest.mark.slow
def test_the_unit_tests_pass_and_cover_everything(
    project: Project, environment_of: EnvironmentOf, passed: Passed, tmp_path: Path
) -> None:
    tools = project.toml("pyproject.toml")["tool"]
    settings = project.yaml("Pulumi.yaml")["config"], tools["pytest"], tools["coverage"], project.requirements()
    names = set(project.python_files())
    # The bootstrap program has its own run: nothing imports it, and its tests are separate.
    bootstrap = {name for name in names if "bootstrap" in name.split("/")}
    # Another test varies the runtime and the architecture.
    rest = [RUNS_ON.sub("", project.read(name)) for name in (*project.stack_files(), "policies.toml")]
    rest += [project.read(name) for name in sorted(names - bootstrap)]
    of_all = ("all", str((settings, project.tasks()["test-py-unit"])), str(bool(bootstrap)), *rest)
    of_bootstrap = ("bootstrap", str(settings), *(project.read(name) for name in sorted(bootstrap)))
    code = {name for name in names if not name.startswith(("tests/", "tools/"))}
    copy, environment = project.copy(tmp_path), environment_of(project)
    if of_all not in passed:
        (tmp_path / "reverse_order.py").write_text(REVERSE, encoding="utf-8")
        is_second = any(run[0] == "all" for run in passed)
        variables = {"PYTEST_ADDOPTS": "-p reverse_order", "PYTHONPATH": str(tmp_path)} if is_second else {}
        command = ("python", "-c", IGNORING_SIGNALS) if is_second else ("poe", "test-py-unit")

        finished = environment.run(copy, *command, **variables)

        assert finished.returncode == 0, finished.stdout
        assert re.search(r"\b\d{3,} passed in ", finished.stdout)
        assert "skipped" not in finished.stdout.splitlines()[-1]
        assert_covered(copy, code)
        report = ET.fromstring(copy.read("coverage/coverage.xml"))  # noqa: S314 # written by the task
        assert (report.get("line-rate"), report.get("branch-rate")) == ("1", "1")
        assert "100%" in copy.read("coverage/html/index.html")
        left = {name.partition("/")[0] for name in copy.names() - project.names() if "__pycache__" not in name}
        assert left <= {"coverage", ".coverage", ".pytest_cache"}
    elif bootstrap and of_bootstrap not in passed:
        finished = environment.run(
            copy, "pytest", "-q", "tests/unit/bootstrap", "--cov=bootstrap", "--cov-report=json", "--cov-report=term"
        )

        assert finished.returncode == 0, finished.stdout
        assert_covered(copy, code & bootstrap)
    passed |= {of_all, of_bootstrap}


@pytest.mark.slow
def test_the_unit_tests_pass_for_every_runtime_and_architecture(
    project: Project, environment_of: EnvironmentOf, passed: Passed
) -> None:
    runs = {("runs on", each) for each in RUNS_ON.findall(project.read("Pulumi.dev.yaml"))}
    assert len(runs) == 2
    if not runs <= passed:
        finished = environment_of(project).run(
            project, "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/infrastructure"
        )
        assert finished.returncode == 0, finished.stdout
        passed |= runs


def trees(project: Project) -> Iterator[tuple[str, ast.Module]]:
    return ((name, ast.parse(project.read(name))) for name in project.python_files())


def test_public_code_outside_the_tests_has_unique_docstrings(default_project: Project) -> None:
    seen: dict[str, str] = {}
    for name, tree in trees(default_project):
        for node in ast.walk(tree):
            if not isinstance(node, Documented):
                continue
            place = f"{name}:{getattr(node, 'lineno', 1)}"
            texts = [
                each for each in node.body[:2] if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)
            ]
            assert len(texts) < 2, place
            docstring = ast.get_docstring(node)
            assert docstring is None or docstring.strip(), place
            if docstring:
                assert docstring not in seen, f"{place} and {seen[docstring]}"
                seen[docstring] = place
        if name.startswith("tests/"):
            continue
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        for node in [tree, *tree.body, *(member for each in classes for member in each.body)]:
            if isinstance(node, Documented) and not getattr(node, "name", "").startswith("_"):
                assert ast.get_docstring(node), f"{name}:{getattr(node, 'lineno', 1)}"


def test_nothing_is_exempt_from_coverage_and_every_suppression_says_why(default_project: Project) -> None:
    for name in default_project.python_files():
        text = default_project.read(name)
        assert not re.search(r"pragma:\s*no\s*(cover|branch)", text), name
        for suppression in re.findall(r"# (?:noqa|pylint: disable|ty: ignore|type: ignore).*", text):
            assert suppression.count("#") > 1 or name.startswith("tests/"), f"{name}: {suppression}"
    assert "exclude_also" not in default_project.toml("pyproject.toml")["tool"]["coverage"]["report"]


def test_no_broad_exception_is_caught_outside_the_tests(default_project: Project) -> None:
    for name, tree in trees(default_project):
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and not name.startswith("tests/"):
                assert node.type is not None, f"{name}:{node.lineno}"
                caught = {each.id for each in ast.walk(node.type) if isinstance(each, ast.Name)}
                assert not caught & {"Exception", "BaseException"}, f"{name}:{node.lineno}"


def test_every_component_registers_its_outputs(default_project: Project) -> None:
    components = [
        (name, node)
        for name, tree in trees(default_project)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any("ComponentResource" in ast.unparse(base) for base in node.bases)
    ]

    assert components
    for name, node in components:
        assert "self.register_outputs(" in ast.unparse(node), f"{name}: {node.name}"


def test_dataclasses_of_the_program_and_the_function_are_frozen(default_project: Project) -> None:
    decorators = [
        (name, ast.unparse(decorator))
        for name, tree in trees(default_project)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and name.startswith(("infrastructure/", "processor/"))
        for decorator in node.decorator_list
    ]

    assert [each for each in decorators if "dataclass" in each[1] and "frozen=True" not in each[1]] == []
    assert any("dataclass" in text for _, text in decorators)
