"""Tests of a rendered project's bootstrap program: its task, files and state, and the permissions of its roles."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.combinations import ROOT
from tests.projects import Environment, Project

# A stand-in for the Pulumi CLI. Like the CLI, it imports the program with the program's folder first in `sys.path`.
PULUMI = f"""\
#!{sys.executable}
import json, os, subprocess, sys
folder = sys.argv[sys.argv.index("--cwd") + 1]
started = subprocess.run(["python", "-c", "import bootstrap.roles, sys; print(sys.path[0])"], cwd=folder, check=False)
call = {{"arguments": sys.argv[1:], "status": started.returncode, "phrase": os.environ.get("PULUMI_CONFIG_PASSPHRASE")}}
with open(os.environ["PULUMI_CALL"], "w", encoding="utf-8") as file:
    json.dump(call, file)
"""
DEPLOYED = [
    {"ci": "github", "state_backend": "pulumi-cloud"},
    {"ci": "github", "state_backend": "s3"},
    {"ci": "gitlab", "state_backend": "pulumi-cloud"},
    {"ci": "gitlab", "state_backend": "s3"},
]
NOT_DEPLOYED = [
    {"ci": "none", "state_backend": "s3"},
    {"ci": "github", "state_backend": "local-file"},
]
TASK = "bootstrap"
FILES = ("Pulumi.account.yaml", "Pulumi.yaml", "README.md")
# Tests of the roles, which run in a rendered project.
ROLES = ROOT / "tests" / "roles"

Bake = Callable[..., Project]
deployed = pytest.mark.parametrize("answers", DEPLOYED, ids=lambda answers: "-".join(answers.values()))


@pytest.fixture(name="call")
def fixture_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the last call to the Pulumi CLI, recorded by a stand-in on the PATH."""
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(PULUMI, encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", os.pathsep.join([str(program.parent), os.environ["PATH"]]))
    monkeypatch.setenv("PULUMI_CALL", str(tmp_path / "call"))
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    return tmp_path / "call"


def test_the_task_runs_the_program_in_its_folder(
    default_project: Project, environment: Environment, call: Path
) -> None:
    for named, stack in (([], "account"), (["other"], "other")):
        finished = environment.task(default_project, TASK, *named)

        assert finished.returncode == 0, finished.stdout
        assert json.loads(call.read_text(encoding="utf-8")) == {
            "arguments": ["up", "--cwd", "bootstrap", "--stack", stack],
            "status": 0,
            "phrase": None,
        }


def test_state_in_a_file_has_an_empty_passphrase(
    bake: Bake, environment: Environment, call: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = bake(state_backend="s3")

    environment.task(project, TASK)
    assert json.loads(call.read_text(encoding="utf-8"))["phrase"] == ""

    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "one of ours")
    environment.task(project, TASK)
    assert json.loads(call.read_text(encoding="utf-8"))["phrase"] == "one of ours"


@deployed
def test_only_files_and_settings_for_the_answers_are_rendered(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers, aws_region_prod="eu-west-1")
    on_github, with_bucket = answers["ci"] == "github", answers["state_backend"] == "s3"
    config = project.yaml("bootstrap/Pulumi.account.yaml")["config"]
    program = {name.removeprefix("bootstrap/") for name in project.names() if name.startswith("bootstrap/")}
    tests = {Path(name).name for name in project.names() if name.startswith("tests/unit/bootstrap/")}

    own = {"repository": "", "branch": "main", "createOidcProvider": True}
    own |= {"repositoryId": ""} if on_github else {}
    own |= {"stateKeyArn": ""} if with_bucket else {}
    assert config == {"aws:region": "eu-west-1", "aws:allowedAccountIds": []} | {
        f"event-pipeline-bootstrap:{key}": value for key, value in own.items()
    }
    modules = {"__init__", "__main__", "policies", "roles", "settings", "stacks", "trust"}
    of_state = {"state"} if with_bucket else set()
    assert program == {f"{name}.py" for name in modules | of_state} | {*FILES}
    tested = {"policies", "program", "stacks", "trust"}
    assert tests == {f"test_{name}.py" for name in tested | of_state} | {"conftest.py"}
    assert ("token.actions.githubusercontent.com" in project.read("bootstrap/trust.py")) is on_github
    assert ("state_key_arn" in project.read("bootstrap/__main__.py")) is with_bucket


@deployed
def test_only_a_program_that_creates_the_bucket_keeps_its_state_in_a_file(bake: Bake, answers: dict[str, str]) -> None:
    described = bake(**answers).yaml("bootstrap/Pulumi.yaml")

    assert described["name"] == "event-pipeline-bootstrap"
    assert described["runtime"] == "python"
    assert described.get("backend") == ({"url": "file://."} if answers["state_backend"] == "s3" else None)


def test_the_programs_own_state_is_committed_without_its_history(bake: Bake, tmp_path: Path) -> None:
    project = bake(state_backend="s3").copy(tmp_path)
    subprocess.run(["git", "init", "--quiet"], cwd=project.path, check=True)
    kept = ["meta.yaml", "stacks/x/account.json"]
    left = ["meta.yaml.attrs", "stacks/x/account.json.bak", "stacks/x/account.json.attrs", "history/x", "backups/x"]
    names = [f"bootstrap/.pulumi/{name}" for name in (*kept, *left, "locks/x")]

    ignored = subprocess.run(
        ["git", "check-ignore", *names], cwd=project.path, check=False, capture_output=True, encoding="utf-8"
    )
    assert ignored.stdout.splitlines() == names[len(kept) :]


@pytest.mark.parametrize("answers", NOT_DEPLOYED, ids=lambda answers: "-".join(answers.values()))
def test_a_project_that_ci_does_not_deploy_has_no_bootstrap_program(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(**answers)

    assert TASK not in project.tasks()
    assert [path for path in project.files() if "bootstrap" in path.read_text(encoding="utf-8")] == []


@deployed
def test_a_stack_with_an_account_but_no_workflow_fails_a_unit_test(
    bake: Bake, environment: Environment, tmp_path: Path, answers: dict[str, str]
) -> None:
    project = bake(**answers).copy(tmp_path)
    tests = ("pytest", "-q", "tests/unit/bootstrap/test_stacks.py", "-k", "workflows")
    assert environment.run(project, *tests).returncode == 0
    (project.path / "Pulumi.qa.yaml").write_text(
        'config:\n  aws:allowedAccountIds: ["123456789012"]\n', encoding="utf-8"
    )

    assert "stacks that the workflows preview" in environment.run(project, *tests).stdout

    (listing,) = (name for name in (".gitlab-ci.yml", ".github/workflows/stacks.yml") if name in project.names())
    project.replace(listing, "[dev, staging, prod]", "[dev, staging, prod, qa]")
    assert "stacks that the workflows deploy" in environment.run(project, *tests).stdout


@pytest.mark.slow
def test_the_roles_have_exactly_the_permissions_that_ci_needs(
    default_project: Project, environment: Environment, tmp_path: Path
) -> None:
    project = default_project.copy(tmp_path)
    shutil.copytree(ROLES, project.path / "tests" / "roles", ignore=shutil.ignore_patterns("__pycache__"))

    for command in (("pytest", "-q", "tests/roles"), ("ty", "check", "tests/roles")):
        finished = environment.run(project, *command)
        assert finished.returncode == 0, finished.stdout
