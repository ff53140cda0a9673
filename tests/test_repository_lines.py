"""Every line of the template's own Makefile, workflow, CI script and cookiecutter.json has a reason.

Those of .gitignore, .gitattributes, .editorconfig and LICENSE are tested with the rendered ones, in
test_rendered_lines.py.
"""

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.make_help import targets
from tests.combinations import CHOICES, QUESTIONS, ROOT
from tests.projects import BIN
from tests.test_engine import PULUMI, STAND_IN

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SLOW, ALONE = (marker.partition(":")[0] for marker in PYPROJECT["tool"]["pytest"]["ini_options"]["markers"])
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
posix_only = pytest.mark.skipif(os.name == "nt", reason="the stand-in for make is a script with a shebang")


def make(*arguments: str, folder: Path = ROOT) -> list[str]:
    """Tell what make would run."""
    variables = {
        name: value for name, value in os.environ.items() if name not in {"PYTHON", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    }
    finished = subprocess.run(
        ["make", "-n", "--always-make", *arguments],
        cwd=folder,
        env=variables,
        check=False,
        capture_output=True,
        encoding="utf-8",
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.splitlines()


def last(target: str, *arguments: str) -> list[str]:
    """Split what make would run in the end for a target."""
    return shlex.split(make(target, *arguments)[-1])


# Makefile


def test_every_target_is_phony_but_what_was_installed() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", MAKEFILE, flags=re.MULTILINE)
    declared = re.findall(r"^([.\w/-]+):(?!=)", MAKEFILE, flags=re.MULTILINE)

    assert phony
    assert phony[1].split() == list(targets(MAKEFILE))
    files = {".venv/installed", ".venv/rendering"}
    assert set(declared) == {*targets(MAKEFILE), *files, ".PHONY"}


def test_make_alone_shows_the_help() -> None:
    assert make() == make("help")


@pytest.mark.parametrize("target", list(targets(MAKEFILE)))
def test_a_target_calls_what_exists_in_the_environment_or_the_repository(target: str) -> None:
    for line in make(target):
        command, *words = shlex.split(line.removeprefix("@"))
        if command == "echo":
            continue
        assert command == "python3" or shutil.which(ROOT / command), line
        if Path(command).name == "python" and words[0] == "-m":
            module = ROOT / words[1].replace(".", "/")
            assert module.with_suffix(".py").exists() or (module / "__main__.py").exists(), line
        for word in words:
            if "/" in word or word.endswith(".py"):
                assert (ROOT / word).exists(), line


@pytest.mark.parametrize("target", ["test", "test-fast", "test-engine", "lint", "format", "typecheck", "bench", "load"])
def test_a_target_that_needs_the_tools_installs_them_first(target: str) -> None:
    assert make(target)[0] == "python3 scripts/install.py"


def test_new_installs_what_rendering_needs_first() -> None:
    assert make("new")[0] == "python3 scripts/install.py --rendering"


@pytest.mark.parametrize("changed", ["pyproject.toml", "scripts/install.py"])
@pytest.mark.parametrize(("target", "marker"), [("install", "installed"), ("new", "rendering")])
def test_the_tools_are_installed_again_when_they_may_have_changed(
    tmp_path: Path, target: str, marker: str, changed: str
) -> None:
    for name in ("Makefile", "pyproject.toml", "scripts/install.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / marker).touch()
    command = ["make", "-n", target]

    before = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, encoding="utf-8").stdout
    after = subprocess.run(
        [*command, "-W", changed], cwd=tmp_path, check=True, capture_output=True, encoding="utf-8"
    ).stdout

    assert "install.py" not in before
    assert "install.py" in after


def test_python_is_python3_unless_another_is_named() -> None:
    assert make("install") == ["python3 scripts/install.py"]
    assert make("install", "PYTHON=python3.12") == ["python3.12 scripts/install.py"]


def test_the_environments_commands_are_where_windows_puts_them() -> None:
    assert last("typecheck", "OS=Windows_NT") == [".venv/Scripts/ty", "check"]


def test_the_fast_tests_are_the_tests_but_those_marked_as_slow() -> None:
    assert last("test-fast") == [f".venv/{BIN}/pytest", "-n", "2", "-m", f"not {SLOW}"]


def test_all_tests_run_once_and_those_with_deadlines_alone() -> None:
    together, alone = (shlex.split(line) for line in make("test")[-2:])

    assert together == [f".venv/{BIN}/pytest", "-n", "2", "-m", f"not {ALONE}"]
    assert alone == [f".venv/{BIN}/pytest", "-m", ALONE]


def test_the_engines_tests_are_selected_by_the_name_of_their_engine() -> None:
    tests, (chosen,) = last("test-engine")[1:], PULUMI.values

    assert tests == ["tests/test_engine.py", "-k", chosen]
    assert str(chosen) not in str(STAND_IN.values)


def test_the_code_that_is_checked_is_all_that_there_is() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*.py"], cwd=ROOT, check=True, capture_output=True, encoding="utf-8"
    ).stdout
    folders = sorted({name.partition("/")[0] for name in listed.split("\0") if name})

    for target, commands in {
        "lint": [["check"], ["format", "--check"]],
        "format": [["format"], ["check", "--fix"]],
    }.items():
        calls = [shlex.split(line) for line in make(target)[1:]]
        assert calls == [[f".venv/{BIN}/ruff", *each, "--config", "pyproject.toml", *folders] for each in commands]
    assert last("clean")[2:] == folders


# .ci/run


@posix_only
def test_ci_runs_make_test_in_the_repository_from_wherever_it_is_called(tmp_path: Path) -> None:
    stand_in = tmp_path / "make"
    stand_in.write_text('#!/bin/sh\npwd\necho "make $@"\nexit 7\n', encoding="utf-8")
    stand_in.chmod(stand_in.stat().st_mode | stat.S_IEXEC)

    finished = subprocess.run(
        ["bash", str(ROOT / ".ci" / "run")],
        cwd=tmp_path,
        env=os.environ | {"PATH": os.pathsep.join([str(tmp_path), os.environ["PATH"]])},
        check=False,
        capture_output=True,
        encoding="utf-8",
    )

    assert finished.stdout.splitlines() == [str(ROOT), "make test"]
    assert finished.returncode == 7


@posix_only
def test_ci_is_executable() -> None:
    assert (ROOT / ".ci" / "run").stat().st_mode & stat.S_IXUSR
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")


# Workflows


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_one_to_github(workflow: Path) -> None:
    check = Path(sys.executable).parent / "check-jsonschema"

    finished = subprocess.run(
        [str(check), "--builtin-schema", "vendor.github-workflows", str(workflow)],
        check=False,
        capture_output=True,
        encoding="utf-8",
    )

    assert finished.returncode == 0, finished.stdout


@pytest.fixture(name="workflow")
def fixture_workflow() -> dict[Any, Any]:
    """The workflow that runs the tests."""
    return yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))


def test_every_step_of_a_workflow_that_runs_something_calls_make(workflow: dict[Any, Any]) -> None:
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            if "run" in step:
                command, target, *variables = step["run"].split()
                assert command == "make"
                assert target in targets(MAKEFILE)
                assert all(re.match(r"(\w+)=", each)[1] in MAKEFILE for each in variables)  # ty: ignore


def test_the_workflow_runs_for_what_changes_main_and_each_monday(workflow: dict[Any, Any]) -> None:
    # YAML 1.1 reads the key "on" as a truth value.
    triggers = workflow[True]

    assert triggers.keys() == {"pull_request", "push", "schedule"}
    assert triggers["pull_request"] is None
    assert triggers["push"] == {"branches": ["main"]}
    ((minute, hour, *days),) = [each["cron"].split() for each in triggers["schedule"]]
    # The full hour is when everybody's jobs start.
    assert 0 < int(minute) < 60
    assert 0 <= int(hour) < 24
    assert days == ["*", "*", "1"]


def test_a_newer_commit_ends_the_run_of_the_older_one_on_the_same_branch_alone(workflow: dict[Any, Any]) -> None:
    assert workflow["concurrency"] == {
        "group": "${{ github.workflow }}-${{ github.ref }}",
        "cancel-in-progress": True,
    }


def test_each_job_may_read_only_and_ends_in_time(workflow: dict[Any, Any]) -> None:
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
        # GitHub's own limit is six hours.
        assert 30 <= job["timeout-minutes"] <= 90
        checkout = job["steps"][0]
        assert checkout["uses"].startswith("actions/checkout@")
        assert checkout["with"] == {"persist-credentials": False}


def test_the_tests_run_to_the_end_with_the_python_of_the_matrix_and_one_shell_everywhere(
    workflow: dict[Any, Any],
) -> None:
    job = workflow["jobs"]["test"]
    _, python, tests = job["steps"]

    assert job["strategy"]["fail-fast"] is False
    assert job["runs-on"] == "${{ matrix.os }}"
    assert job["name"] == "${{ matrix.os }}, Python ${{ matrix.python }}"
    assert python["uses"].startswith("actions/setup-python@")
    assert python["with"] == {"python-version": "${{ matrix.python }}"}
    assert tests == {"run": "make test PYTHON=python", "shell": "bash"}


def test_ci_has_the_oldest_and_the_newest_python_that_can_be_chosen(workflow: dict[Any, Any]) -> None:
    oldest, *_, newest = sorted(CHOICES["python_version"], key=lambda version: int(version.partition(".")[2]))

    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == [oldest, newest]
    assert workflow["jobs"]["engine"]["steps"][1]["with"] == {"python-version": oldest}
    assert PYPROJECT["project"]["requires-python"] == f">={oldest}"


# cookiecutter.json


def test_cookiecutter_knows_every_private_key() -> None:
    # https://cookiecutter.readthedocs.io/en/stable/advanced/
    known = {"_copy_without_render", "_jinja2_env_vars", "_new_lines", "__prompts__"}

    assert {key for key in QUESTIONS if key.startswith("_")} == {*known, "_template_version"}


def test_the_defaults_are_what_the_design_says() -> None:
    defaults = {name: default[0] if isinstance(default, list) else default for name, default in QUESTIONS.items()}

    assert {name: defaults[name] for name in defaults if name.startswith("aws_region_")} == {
        "aws_region_dev": "us-east-2",
        "aws_region_staging": "us-west-1",
        "aws_region_prod": "us-east-1",
    }
    assert {name: defaults[name] for name in CHOICES} == {
        "license": "MIT",
        "python_version": "3.11",
        "lambda_runtime": "python3.13",
        "lambda_architecture": "arm64",
        "package_manager": "uv",
        "state_backend": "pulumi-cloud",
        "ci": "github",
    }
    assert defaults["notification_email"] == "{{ cookiecutter.author_email }}"


def test_the_label_of_a_choice_names_it() -> None:
    for question, values in CHOICES.items():
        labels = QUESTIONS["__prompts__"][question]
        for value in values:
            words = set(re.findall(r"[a-z0-9.]+", value.lower())) - {"python", "only"}
            said = labels[value].lower()
            assert any(word.removeprefix("python") in said for word in words), f"{question}: {labels[value]}"


def test_prompts_are_for_the_questions_and_their_choices_alone() -> None:
    prompts = QUESTIONS["__prompts__"]

    assert list(prompts) == [question for question in QUESTIONS if not question.startswith("_")]
    for question, values in CHOICES.items():
        assert list(prompts[question]) == ["__prompt__", *values], question
