"""Every rendered project is clean as rendered, without running a formatter or fixer."""

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from tests.projects import Environment, Project

EnvironmentOf = Callable[[Project], Environment]
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@pytest.mark.parametrize("command", ["ruff check", "ruff format --check", "ty check"])
def test_a_tool_finds_no_problems(project: Project, environment_of: EnvironmentOf, command: str) -> None:
    finished = environment_of(project).run(project, *command.split())

    assert finished.returncode == 0, finished.stdout


@pytest.fixture(scope="session", name="pylint_results")
def fixture_pylint_results() -> dict[str, tuple[int, str]]:
    """Pylint's results by its configuration; the Python files are always the same."""
    return {}


@pytest.mark.slow
def test_pylint_finds_no_problems(
    project: Project, environment_of: EnvironmentOf, pylint_results: dict[str, tuple[int, str]]
) -> None:
    configuration = str(project.toml("pyproject.toml")["tool"]["pylint"])
    if configuration not in pylint_results:
        targets = ["__main__.py", "bootstrap", "infrastructure", "processor", "scripts", "tests"]
        targets = [name for name in targets if (project.path / name).exists()]
        finished = environment_of(project).run(project, "pylint", *targets)
        pylint_results[configuration] = finished.returncode, finished.stdout

    status, output = pylint_results[configuration]
    assert status == 0, output


def trees(project: Project) -> Iterator[tuple[str, ast.Module]]:
    return ((name, ast.parse(project.read(name))) for name in project.python_files())


def constant_statements(body: list[ast.stmt]) -> list[ast.Expr]:
    return [each for each in body if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)]


def test_nothing_has_two_docstrings_or_an_empty_one(default_project: Project) -> None:
    for name, tree in trees(default_project):
        for node in ast.walk(tree):
            if isinstance(node, Documented):
                docstring = ast.get_docstring(node)
                assert docstring is None or docstring.strip(), f"{name}:{getattr(node, 'lineno', 1)}"
                texts = [each for each in constant_statements(node.body[:2]) if isinstance(each.value, ast.Constant)]
                assert len(texts) < 2, f"{name}:{getattr(node, 'lineno', 1)}"


def test_no_string_is_pointless(default_project: Project) -> None:
    for name, tree in trees(default_project):
        for node in ast.walk(tree):
            for field in ("body", "orelse", "finalbody"):
                body = getattr(node, field, None)
                if not isinstance(body, list):
                    continue
                allowed = body[:1] if isinstance(node, Documented) else []
                for statement in constant_statements(body):
                    documents_an_attribute = isinstance(node, ast.ClassDef) and isinstance(
                        body[body.index(statement) - 1], ast.Assign | ast.AnnAssign
                    )
                    assert statement in allowed or documents_an_attribute, f"{name}:{statement.lineno}"


def test_every_public_thing_outside_the_tests_is_documented(default_project: Project) -> None:
    for name, tree in trees(default_project):
        if name.startswith("tests/"):
            continue
        assert ast.get_docstring(tree), name
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        for node in [*tree.body, *(member for each in classes for member in each.body)]:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{name}:{node.lineno}"


def test_no_two_docstrings_say_the_same(default_project: Project) -> None:
    seen: dict[str, str] = {}
    for name, tree in trees(default_project):
        for node in ast.walk(tree):
            docstring = ast.get_docstring(node) if isinstance(node, Documented) else None
            if docstring:
                place = f"{name}:{getattr(node, 'lineno', 1)}"
                assert docstring not in seen, f"{place} and {seen[docstring]}"
                seen[docstring] = place


def test_nothing_is_exempt_from_coverage(default_project: Project) -> None:
    for name in default_project.python_files():
        assert not re.search(r"pragma:\s*no\s*(cover|branch)", default_project.read(name)), name
    report = default_project.toml("pyproject.toml")["tool"]["coverage"]
    assert report["run"] == {"branch": True, "source": ["."], "omit": ["tests/*", "tools/*"]}
    assert report["report"]["fail_under"] == 100
    assert "exclude_also" not in report["report"]


def test_every_suppression_says_why(default_project: Project) -> None:
    for name in default_project.python_files():
        for line in default_project.read(name).splitlines():
            suppression = re.search(r"# (noqa|pylint: disable|ty: ignore|type: ignore).*", line)
            if suppression and not name.startswith("tests/"):
                assert suppression[0].count("#") > 1, f"{name}: {line}"


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

    assert len(components) == 10
    for name, node in components:
        assert "self.register_outputs(" in ast.unparse(node), f"{name}: {node.name}"


def test_no_dataclass_that_components_or_invocations_share_can_be_changed(default_project: Project) -> None:
    decorators = [
        (name, ast.unparse(decorator))
        for name, tree in trees(default_project)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and name.startswith(("infrastructure/", "processor/"))
        for decorator in node.decorator_list
    ]

    assert [each for each in decorators if "dataclass" in each[1] and "frozen=True" not in each[1]] == []
    assert any("dataclass" in text for _, text in decorators)
