"""Every rendered project is clean, typed and tested as rendered, without running a formatter or fixer."""

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
# A plugin of pytest's, for the second of two runs: no test depends on one before it.
REVERSE = "def pytest_collection_modifyitems(items):\n    items.reverse()\n"
# Runs a task with signals ignored, as nohup, background shells and some CI runners do.
IGNORING_SIGNALS = """
import signal, subprocess, sys
for name in ("SIGHUP", "SIGINT", "SIGTERM"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
sys.exit(subprocess.run([sys.executable, "-m", "poethepoet", "test-py-unit"], stdin=subprocess.DEVNULL).returncode)
"""


@pytest.fixture(scope="session", name="passed")
def fixture_passed() -> list[tuple[str, dict[str, str]]]:
    """The checks that have passed, each with what it has read: projects that do not differ in that share a run.

    All tests of this module run in one process.
    """
    return []


def python_of(project: Project) -> dict[str, str]:
    return {name: project.read(name) for name in project.python_files()}


@pytest.mark.parametrize("tool", ["ruff check", "ruff format --check", "ty check"])
def test_a_tool_finds_no_problems(
    project: Project, environment_of: EnvironmentOf, passed: list[tuple[str, dict[str, str]]], tool: str
) -> None:
    run = f"{tool} {project.toml('pyproject.toml')['tool'][tool.split(maxsplit=1)[0]]}", python_of(project)
    if run not in passed:
        finished = environment_of(project).run(project, *tool.split())
        assert finished.returncode == 0, finished.stdout
        passed.append(run)


@pytest.mark.slow
def test_pylint_finds_no_problems(
    project: Project, environment_of: EnvironmentOf, passed: list[tuple[str, dict[str, str]]]
) -> None:
    files = python_of(project)
    (command,) = (step["cmd"] for step in project.tasks()["lint"]["sequence"] if step["cmd"].startswith("pylint "))
    assert command.split()[1:] == sorted({name.partition("/")[0] for name in files} - {"tools"})
    settings = str(project.toml("pyproject.toml")["tool"]["pylint"])
    # It looks at one file after the other: a part of what has passed passes too.
    if not any(name == settings and files.items() <= read.items() for name, read in passed):
        finished = environment_of(project).run(project, *command.split())
        assert finished.returncode == 0, finished.stdout
        passed.append((settings, files))


@pytest.mark.slow
def test_the_unit_tests_pass_and_cover_everything(
    project: Project,
    environment_of: EnvironmentOf,
    passed: list[tuple[str, dict[str, str]]],
    tmp_path: Path,
) -> None:
    tools = project.toml("pyproject.toml")["tool"]
    read = {name: project.read(name) for name in (*project.stack_files(), "policies.toml")}
    # Another test varies the runtime and the architecture.
    read = {name: RUNS_ON.sub("", text) for name, text in read.items()} | python_of(project)
    settings = (
        project.yaml("Pulumi.yaml")["config"],
        tools["pytest"],
        tools["coverage"],
        tools["poe"]["tasks"]["test-py-unit"],
    )
    run = str((settings, project.requirements())), read
    if run in passed:
        return
    copy = project.copy(tmp_path)
    (tmp_path / "reverse_order.py").write_text(REVERSE, encoding="utf-8")
    is_second = any(name == run[0] for name, _ in passed)
    reverse = {"PYTEST_ADDOPTS": "-p reverse_order", "PYTHONPATH": str(tmp_path)} if is_second else {}
    command = ("python", "-c", IGNORING_SIGNALS) if is_second else ("poe", "test-py-unit")

    finished = environment_of(project).run(copy, *command, **reverse)

    assert finished.returncode == 0, finished.stdout
    assert re.search(r"\b\d{3,} passed in ", finished.stdout)
    assert "skipped" not in finished.stdout.splitlines()[-1]
    summary = json.loads(copy.read("coverage/coverage-summary.json"))
    assert summary["totals"]["percent_covered"] == 100
    assert summary["totals"]["num_branches"] == summary["totals"]["covered_branches"] > 50
    files = {name.replace("\\", "/"): covered for name, covered in summary["files"].items()}
    assert set(files) == {name for name in copy.python_files() if not name.startswith(("tests/", "tools/"))}
    for name, covered in files.items():
        lines = copy.read(name).splitlines()
        # coverage.py leaves out imports that are only for type checking.
        for excluded in (lines[number - 1].strip() for number in covered["excluded_lines"]):
            assert re.fullmatch(r"|if TYPE_CHECKING:|from mypy_boto3_.+", excluded), f"{name}: {excluded}"
    report = ET.fromstring(copy.read("coverage/coverage.xml"))  # noqa: S314 # written by the line above
    assert (report.get("line-rate"), report.get("branch-rate")) == ("1", "1")
    assert "100%" in copy.read("coverage/html/index.html")
    left = {name.partition("/")[0] for name in copy.names() - project.names() if "__pycache__" not in name}
    assert left <= {"coverage", ".coverage", ".pytest_cache"}
    passed.append(run)


@pytest.mark.slow
def test_the_unit_tests_pass_for_every_runtime_and_architecture(
    project: Project, environment_of: EnvironmentOf, passed: list[tuple[str, dict[str, str]]]
) -> None:
    runs_on = RUNS_ON.findall(project.read("Pulumi.dev.yaml"))
    assert len(runs_on) == 2
    runs = [(f"runs on {each}", {}) for each in runs_on]
    if not all(run in passed for run in runs):
        finished = environment_of(project).run(
            project, "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/infrastructure"
        )
        assert finished.returncode == 0, finished.stdout
        passed += runs


def trees(project: Project) -> Iterator[tuple[str, ast.Module]]:
    return ((name, ast.parse(project.read(name))) for name in project.python_files())


def test_every_public_thing_outside_the_tests_has_one_docstring_of_its_own(default_project: Project) -> None:
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


def test_no_broad_exception_is_caught(default_project: Project) -> None:
    for name, tree in trees(default_project):
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler):
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
