"""Tests that the dependencies of the template and its projects are bounded, needed, and declared where used."""

import ast
import json
import re
import tomllib
from collections.abc import Iterator

import pytest
from validate_pyproject.api import Validator

from scripts.install import UV
from tests.combinations import ROOT
from tests.projects import Environment, Project

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
OWN = [*PYPROJECT["project"]["dependencies"], *PYPROJECT["dependency-groups"]["dev"]]
# Imported transitive dependencies, and the declared distribution that installs each.
BROUGHT = {"botocore": "boto3", "mypy-boto3-": "boto3-stubs", "jmespath": "boto3"}
# Distributions that are used but never imported, each with a text that proves its use.
CALLED = {"poethepoet": "[tool.poe]", "pre-commit": "repos:", "pylint": '"pylint ', "pytest-cov": "--cov-report"}
CALLED |= {"ruff": '"ruff ', "ty": '"ty ', "uv": '"-m", "uv"'}
DISTRIBUTIONS = "import json, importlib.metadata as m; print(json.dumps(m.packages_distributions()))"


def is_bounded(requirement: str) -> bool:
    """Whether a requirement is pinned, or bounded below the next major version (the next minor version for 0.x)."""
    if re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==\d+(\.\d+)+", requirement):
        return True
    bounds = re.fullmatch(r"[\w.-]+(?:\[[\w,-]+\])?>=(\d+)(?:\.(\d+))?(?:\.\d+)*,<(\d+)(?:\.(\d+))?", requirement)
    if not bounds:
        return False
    low, low_minor, high, high_minor = (int(part) if part else 0 for part in bounds.groups())
    return (low, low_minor) < (high, high_minor) <= ((low + 1, 0) if low else (0, low_minor + 1))


def test_bounded_and_unbounded_requirements_are_distinguished() -> None:
    assert all(map(is_bounded, ("a>=1.2,<2", "a[b,c]>=1,<2", "a>=1.2,<1.3", "a>=0.5.1,<0.6", "a==0.0.1")))
    assert not any(map(is_bounded, ("a", "a>=1", "a>=1,<3", "a>=2,<1", "a<2", "a>=0.5,<1", "a~=1.0", "a==1.*")))


def test_every_requirement_is_bounded(project: Project) -> None:
    requirements = project.requirements()

    assert len(requirements) > 10
    assert [each for each in [*OWN, *requirements] if not is_bounded(each)] == []
    assert UV in OWN


def name_of(requirement: str) -> str:
    return re.sub(r"[^\w.-].*", "", requirement).lower().replace("_", "-")


def test_the_template_and_its_projects_use_the_same_tools(default_project: Project) -> None:
    rendered = {name_of(each): each for each in default_project.requirements()}

    assert [each for each in OWN if rendered.get(name_of(each), each) != each] == []


def test_no_lock_file_is_committed() -> None:
    assert "uv.lock" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert not list((ROOT / "{{cookiecutter.project_slug}}").glob("*lock*"))


def test_pyproject_toml_conforms_to_the_standard(project: Project) -> None:
    Validator()(project.toml("pyproject.toml"))


def test_both_package_managers_install_the_same_and_have_the_same_tasks(
    default_project: Project, pipenv_project: Project
) -> None:
    pipfile = pipenv_project.toml("Pipfile")

    assert default_project.requirements() == pipenv_project.requirements()
    assert list(default_project.tasks()) == list(pipenv_project.tasks())
    assert pipfile["scripts"] == {name: f"poe {name}" for name in pipenv_project.tasks()}
    pyproject = default_project.toml("pyproject.toml")
    for section, requirements in (
        ("packages", pyproject["project"]["dependencies"]),
        ("processor", pyproject["dependency-groups"]["processor"]),
    ):
        assert list(map(name_of, pipfile[section])) == list(map(name_of, requirements)), section


@pytest.fixture(scope="module", name="distributions")
def fixture_distributions(default_project: Project, environment: Environment) -> dict[str, set[str]]:
    """The distributions that provide each top-level module."""
    finished = environment.run(default_project, "python", "-c", DISTRIBUTIONS)
    return {module: set(map(name_of, found)) for module, found in json.loads(finished.stdout).items()}


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def declared(modules: set[str], distributions: dict[str, set[str]]) -> set[str]:
    """Return the distributions that a project with these imports must declare."""
    found = {each for module in modules for each in distributions.get(module.partition(".")[0], ())}
    return {next((by for brought, by in BROUGHT.items() if each.startswith(brought)), each) for each in found}


def test_the_declared_dependencies_are_exactly_the_used_ones(
    default_project: Project, distributions: dict[str, set[str]]
) -> None:
    imported = {
        each for name in default_project.python_files() for each in imports(ast.parse(default_project.read(name)))
    }
    stubs = {f"{each.partition('.')[0]}-stubs" for each in imported} & distributions.keys()
    typed = {each for module in stubs for each in distributions[module] if each.startswith("types-")}
    texts = "\n".join(default_project.read(name) for name in default_project.names() if not name.endswith(".md"))

    assert {name_of(each) for each in default_project.requirements()} == declared(
        imported, distributions
    ) | typed | CALLED.keys()
    assert [each for each, call in CALLED.items() if call not in texts] == []


def needs(project: Project, *begin: str) -> set[str]:
    """Return the imports of the given files, and of all project modules that these import directly or indirectly."""
    own = {
        name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): name for name in project.python_files()
    }
    seen: set[str] = set()
    found: set[str] = set()
    left = list(begin)
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        # Imports under `if TYPE_CHECKING` are not needed at run time.
        statements = [node for node in ast.parse(project.read(name)).body if not isinstance(node, ast.If)]
        for module in imports(ast.Module(statements, [])):
            found.add(module)
            parts = module.split(".")
            packages = (".".join(parts[:number]) for number in range(1, len(parts) + 1))
            left += [own[package] for package in packages if package in own]
    return found


def test_program_and_function_declare_exactly_their_dependencies(
    default_project: Project, distributions: dict[str, set[str]]
) -> None:
    pyproject = default_project.toml("pyproject.toml")
    bundled = pyproject["dependency-groups"]["processor"]
    function = [name for name in default_project.python_files() if name.startswith("processor/")]

    # The extra `parser` of Powertools installs pydantic.
    assert bundled[0].startswith("aws-lambda-powertools[parser]")
    assert {*map(name_of, bundled), "pydantic"} == declared(needs(default_project, *function), distributions)
    program = declared(needs(default_project, "__main__.py"), distributions)
    assert program == set(map(name_of, pyproject["project"]["dependencies"]))
