"""Tests that the tasks ``check``, ``lint`` and ``test-py-unit`` of a rendered project fail on every kind of mistake."""

import json
import re
from pathlib import Path

import pytest

from tests.projects import Environment, Project

pytestmark = pytest.mark.slow

# A project for the unit-test task: each file exercises a setting of pytest or coverage.py.
UNIT_TESTS = {
    "half.py": '"""Half tested."""\n\n\ndef f(a: int) -> int:\n    if a:\n        a += 1\n    return a\n',
    "whole.py": '"""Tested."""\n\nX = 1\n',
    "never.py": '"""Never imported."""\n\nX = 1\n',
    "tools/never.py": '"""The template\'s."""\n\nX = 1\n',
    "tests/integration/test_never.py": "def test_integration() -> None:\n    raise RuntimeError\n",
    # Two test files with the same name, without __init__.py.
    "tests/unit/a/test_same.py": """
import warnings
import pytest
from half import f
from whole import X

def test_passes():
    assert f(1) == 2 and X

def test_a_warning():
    warnings.warn("old", DeprecationWarning)

@pytest.mark.skip(reason="skipped for a reason")
def test_skipped():
    pass
""",
    "tests/unit/b/test_same.py": "def test_of_the_same_file_name():\n    pass\n",
}

QUICK = """
[tool.poe.tasks.lint]
sequence = [{ cmd = "ruff check" }, { cmd = "python --version pylint" }]
ignore_fail = "return_non_zero"

[tool.poe.tasks.test-py-unit]
cmd = "python --version pytest"
"""


@pytest.fixture(name="broken")
def fixture_broken(default_project: Project, tmp_path: Path) -> Project:
    """A copy of the default project that a test may break."""
    return default_project.copy(tmp_path)


@pytest.fixture(name="quick")
def fixture_quick(broken: Project) -> Project:
    """A copy whose own tasks replace those that run the slow commands, pytest and Pylint."""
    (broken.path / "pyproject.toml").write_text(broken.read("pyproject.toml") + QUICK, encoding="utf-8")
    return broken


def write(folder: Path, default_project: Project, files: dict[str, str]) -> Project:
    """Write a project with the default project's tasks and tool settings."""
    settings = {name: default_project.read(name) for name in ("pyproject.toml", "tools/tasks.toml")}
    for name, text in (files | settings).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return Project(folder, {})


def test_only_tested_code_without_warnings_passes_the_unit_tests(
    default_project: Project, environment: Environment, tmp_path: Path
) -> None:
    project = write(tmp_path, default_project, UNIT_TESTS)

    finished = environment.task(project, "test-py-unit", PYTEST_ADDOPTS="-p no:cacheprovider")

    assert finished.returncode != 0
    assert "tests/unit/a/test_same.py::test_a_warning - DeprecationWarning: old" in finished.stdout
    assert "skipped for a reason" in finished.stdout
    assert re.search(r"^1 failed, 2 passed, 1 skipped in", finished.stdout, flags=re.MULTILINE)
    assert "is less than fail-under=100" in finished.stdout
    summary = json.loads((tmp_path / "coverage" / "coverage-summary.json").read_text(encoding="utf-8"))
    assert {name: file["summary"]["percent_covered"] == 100 for name, file in summary["files"].items()} == {
        "half.py": False,
        "never.py": False,
        "whole.py": True,
    }
    assert summary["totals"]["missing_branches"] == 1
    reports = {"coverage-summary.json", "coverage.xml", "html"}
    assert {path.name for path in (tmp_path / "coverage").iterdir()} == reports


def test_an_error_that_only_pylint_finds_fails(
    default_project: Project, environment: Environment, tmp_path: Path
) -> None:
    compared = '"""A module."""\n\nX = 1\nY = X == X\n'
    names = ("added/tools/compared.py", "tools/compared.py", ".venv/lib/compared.py", ".local/compared.py")
    project = write(tmp_path, default_project, dict.fromkeys(names, compared))

    finished = environment.task(project, "lint")

    assert finished.returncode != 0
    assert re.findall(r"^(\S+):4:\d+:.*comparison-with-itself", finished.stdout, flags=re.MULTILINE) == [
        "added/tools/compared.py"
    ]


def test_the_check_passes_if_all_steps_pass(quick: Project, environment: Environment) -> None:
    finished = environment.task(quick, "check")

    assert finished.returncode == 0, finished.stdout
    assert finished.stdout.count("Poe => python --version") == 2


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("__main__.py", "import pulumi\n", "import  pulumi\n", "would be reformatted"),
        ("__main__.py", "import pulumi\n", "import os\n\nimport pulumi\n", "F401"),
        ("__main__.py", 'pulumi.export("bucket_name", ', "pulumi.export(1, ", "invalid-argument-type"),
        ("pyproject.toml", "python --version pytest", "python -c 1/0", "ZeroDivision"),
        ("pyproject.toml", "python --version pylint", "python -c 1/0", "ZeroDivision"),
        ("Pulumi.yaml", "Memory of the function", "Memory", "not up to date with the code: Pulumi.yaml; run `uv run"),
        ("Pulumi.dev.yaml", "lambdaMemoryMb: 512", "lambdaMemoryMb: 64", "a whole number from 128 to 10240"),
    ],
    ids=["format", "ruff", "types", "tests", "pylint", "generated", "configuration"],
)
def test_one_broken_step_fails_the_check_and_no_file_is_changed(
    quick: Project, environment: Environment, name: str, old: str, new: str, said: str
) -> None:
    quick.replace(name, old, new)
    before = {each: quick.read(each) for each in quick.names()}

    finished = environment.task(quick, "check")

    assert finished.returncode != 0
    assert said in finished.stdout.replace("\\", "/")
    assert {each: quick.read(each) for each in before} == before


def test_every_broken_step_is_shown(quick: Project, environment: Environment) -> None:
    quick.replace("__main__.py", "import pulumi\n", "import os\n\nimport pulumi\n")
    quick.replace("__main__.py", 'pulumi.export("bucket_name", ', "pulumi.export(1, ")
    quick.replace("Pulumi.yaml", "Memory of the function", "Memory")

    finished = environment.task(quick, "check")

    assert finished.returncode != 0
    for said in ("F401", "not up to date", "invalid-argument-type", "'lint'", "'typecheck'"):
        assert said in finished.stdout, finished.stdout


# Mutations in infrastructure/ that weaken a stack, so that a rendered unit test must fail.
WEAKENINGS = {
    "public policies allowed": ("block_public_policy=True", "block_public_policy=False"),
    "no recovery": ('point_in_time_recovery={"enabled": True}', 'point_in_time_recovery={"enabled": False}'),
    "TLS not required": ('"aws:SecureTransport": "false"', '"aws:SecureTransport": "true"'),
    "wildcard action": ('"s3:PutObject"', '"s3:*"'),
    "tracing off": ('{"mode": "Active"}', '{"mode": "PassThrough"}'),
    "key not rotated": ("enable_key_rotation=True", "enable_key_rotation=False"),
    "data not protected": ("protect=", "protect=False and "),
    "received too often": ('"maxReceiveCount": ', '"maxReceiveCount": 1 + '),
}


@pytest.mark.parametrize("weakening", WEAKENINGS)
def test_a_weakened_stack_fails_a_unit_test(broken: Project, environment: Environment, weakening: str) -> None:
    old, new = WEAKENINGS[weakening]
    (name, *_) = [
        name for name in broken.python_files() if name.startswith("infrastructure/") and old in broken.read(name)
    ]
    broken.replace(name, old, new)

    finished = environment.run(broken, "pytest", "-q", "-x", "tests/unit/infrastructure", "--no-header", "--tb=no")

    assert finished.returncode == 1, finished.stdout
    assert "\n1 failed" in finished.stdout


def test_another_stack_with_other_settings_passes(broken: Project, environment: Environment) -> None:
    others = {"kmsKeyArn": "arn:aws:kms:us-east-2:123456789012:key/99999999-8888-7777-6666-555555555555"}
    others |= {"bucketName": "a-bucket-of-ours", "lambdaTimeoutSeconds": "100", "batchSize": "100"}
    others |= {"batchWindowSeconds": "20", "maxReceiveCount": "5", "forceDestroy": '"true"'}
    schema = broken.yaml("Pulumi.yaml")["config"]
    assert others.keys() <= schema.keys()
    added = "".join(f"  event-pipeline:{key}: {value}\n" for key, value in others.items())
    another = broken.read("Pulumi.dev.yaml").replace("environmentSuffix: dev", "environmentSuffix: qa") + added
    (broken.path / "Pulumi.qa.yaml").write_text(another, encoding="utf-8")

    finished = environment.run(broken, "pytest", "-q", "tests/unit/infrastructure")

    assert finished.returncode == 0, finished.stdout
