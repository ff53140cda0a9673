"""Tests of the rendered tasks: their commands, their calls to the Pulumi CLI, and their use in pre-commit."""

import ast
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from tests.projects import Environment, Project

PULUMI = f"""\
#!{sys.executable}
import json, os, sys
with open(os.environ["PULUMI_CALLS"], "a", encoding="utf-8") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
if "output" in sys.argv:
    print(os.environ["PULUMI_OUTPUTS"])
sys.exit(int(os.environ.get("PULUMI_STATUS", "0")))
"""

Calls = Callable[[], list[list[str]]]
posix_only = pytest.mark.skipif(os.name == "nt", reason="the stand-in for the Pulumi CLI is a script with a shebang")


def calls_of(task: dict[str, Any]) -> Iterator[str]:
    """Yield the values of ``cmd`` and ``script`` in a task's steps."""
    for step in task.get("sequence", [task]):
        if isinstance(step, dict):
            yield from (step[kind] for kind in ("cmd", "script") if kind in step)


def module_of(project: Project, module: str) -> str:
    path = module.replace(".", "/")
    files = [name for name in (f"{path}.py", f"{path}/__main__.py", f"{path}/__init__.py") if name in project.names()]
    assert files, module
    return files[0]


def test_every_task_calls_existing_commands_with_valid_arguments(
    project: Project, environment_of: Callable[[Project], Environment]
) -> None:
    environment = environment_of(project)
    tasks = project.all_tasks()
    listed = environment.task(project).stdout
    for name, task in tasks.items():
        assert name.startswith("_") or (task["help"] and f"\n  {name} " in listed), name
        for step in (*task.get("sequence", ()), *task.get("parallel", ())):
            assert isinstance(step, dict) or step in tasks, name
        for argument in task.get("args", []):
            assert any(re.search(rf"\b{argument['name']}\b", call) for call in calls_of(task)), name
        for call in calls_of(task):
            if script := re.fullmatch(r"([\w.]+):(\w+)(?:\((.*)\))?", call):
                body = ast.parse(project.read(module_of(project, script[1]))).body
                (function,) = [each for each in body if isinstance(each, ast.FunctionDef) and each.name == script[2]]
                given = script[3].split(", ") if script[3] else []
                required = len(function.args.args) - len(function.args.defaults)
                assert required <= len(given) <= len([*function.args.args, *function.args.kwonlyargs]), name
                continue
            command, *words = shlex.split(call)
            assert environment.executable(command).exists(), name
            if words[:1] == ["-m"]:
                assert module_of(project, words[1]), name


@pytest.fixture(name="calls")
def fixture_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, default_project: Project) -> Calls:
    """A function that returns the calls to the Pulumi CLI, recorded by a stand-in on the PATH."""
    record, program = tmp_path / "calls", tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(PULUMI, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(program.parent), os.environ["PATH"]]))
    monkeypatch.setenv("PULUMI_CALLS", str(record))
    monkeypatch.setenv("PULUMI_OUTPUTS", json.dumps(dict.fromkeys(default_project.exports(), "value")))

    def calls() -> list[list[str]]:
        return [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()] if record.exists() else []

    return calls


@posix_only
@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "secrets"),
    [
        ("pulumi-cloud", "default"),
        ("s3", "awskms://alias/event-pipeline-pulumi-secrets?region=us-east-1"),
        ("local-file", "passphrase"),
    ],
)
def test_a_stack_is_created_with_the_secrets_provider_of_the_backend(
    bake: Callable[..., Project], environment: Environment, calls: Calls, backend: str, secrets: str
) -> None:
    finished = environment.task(bake(state_backend=backend), "pulumi-create-stack", "prod")

    assert finished.returncode == 0, finished.stdout
    assert calls()[-1] == ["stack", "init", "prod", "--secrets-provider", secrets]


@posix_only
@pytest.mark.slow
def test_deploy_builds_the_bundle_deploys_and_writes_the_outputs(
    default_project: Project, environment: Environment, calls: Calls, tmp_path: Path
) -> None:
    project = default_project.copy(tmp_path)

    def deploy(stack: str) -> tuple[bytes, set[str]]:
        finished = environment.task(project, "pulumi-deploy", stack)
        assert finished.returncode == 0, finished.stdout
        (archive,) = (project.path / "build").glob("*.zip")
        with ZipFile(archive) as bundle:
            return archive.read_bytes(), set(bundle.namelist())

    built, names = deploy("staging")

    assert [call[:3] for call in calls()] == [["up", "--stack", "staging"], ["stack", "output", "--json"]]
    assert set(json.loads(project.read("cfn-outputs/flat-outputs.json"))) == set(default_project.exports())
    packages = {"aws_lambda_powertools", "boto3", "pydantic"}
    assert {"processor/handler.py", *(f"{package}/__init__.py" for package in packages)} <= names
    assert any("aarch64-linux-gnu.so" in name for name in names), "the bundle has no pydantic-core for arm64"
    assert not [name for name in names if name.startswith(("tests", "tools")) or "__pycache__" in name]
    # The bundle is reproducible, and changes only with its files.
    (archive,) = (project.path / "build").glob("*.zip")
    archive.unlink()
    assert deploy("dev") == (built, names)
    with (project.path / "processor" / "handler.py").open("a", encoding="utf-8") as handler:
        handler.write("CHANGED = True\n")
    assert deploy("dev")[0] != built


@posix_only
@pytest.mark.slow
def test_a_failed_deployment_writes_no_outputs_and_fails_the_task(
    default_project: Project, environment: Environment, calls: Calls, tmp_path: Path
) -> None:
    project = default_project.copy(tmp_path)

    finished = environment.task(project, "pulumi-deploy", PULUMI_STATUS="255")

    assert finished.returncode != 0
    assert [call[:3] for call in calls()] == [["up", "--stack", "dev"]]
    assert not (project.path / "cfn-outputs").exists()


@posix_only
@pytest.mark.slow
@pytest.mark.parametrize("task", ["pulumi-preview", "pulumi-deploy"])
def test_an_invalid_stack_file_is_refused_before_pulumi_is_called(
    default_project: Project, environment: Environment, calls: Calls, tmp_path: Path, task: str
) -> None:
    project = default_project.copy(tmp_path)
    project.replace("Pulumi.dev.yaml", "event-pipeline:lambdaMemoryMb: 512", "event-pipline:lambdaMemoryMb: 64")

    refused = environment.task(project, task)
    unknown = environment.task(project, task, "qa")

    assert (refused.returncode != 0, unknown.returncode != 0) == (True, True)
    assert 'wrong namespace "event-pipline"; the key is event-pipeline:lambdaMemoryMb' in refused.stdout
    assert "event-pipeline:lambdaMemoryMb: is not set; allowed: a whole number from 128 to 10240" in refused.stdout
    assert "Pulumi.qa.yaml" in unknown.stdout
    assert "Traceback" not in refused.stdout + unknown.stdout
    assert calls() == []


def test_pre_commit_runs_tasks_and_all_of_check_before_a_push(project: Project) -> None:
    (repository,) = project.yaml(".pre-commit-config.yaml")["repos"]
    steps = {step.lstrip("_") for step in project.tasks()["check"]["parallel"]}
    stages = {hook["id"]: hook.get("stages", ["pre-commit"]) for hook in repository["hooks"]}

    assert stages == {step: ["pre-commit"] for step in steps - {"owned", "test-py-unit"}} | {"check": ["pre-push"]}
    for hook in repository["hooks"]:
        command = hook["entry"].removeprefix(f"{project.package_manager} run ")
        of_task = [call.removesuffix(" --fix") for call in calls_of(project.tasks()[hook["id"]])]
        assert hook["entry"].split(" --")[0] == f"{project.run} {hook['id']}" or command in of_task, hook["id"]
        names = [name for name in project.names() if re.search(hook.get("files", ""), name)]
        assert names, hook["id"]


@pytest.mark.slow
def test_pre_commit_fails_on_lint_errors_and_findings(
    default_project: Project, environment: Environment, tmp_path: Path
) -> None:
    project = default_project.copy(tmp_path)
    variables = {"PRE_COMMIT_HOME": str(tmp_path / "home"), "UV_PROJECT_ENVIRONMENT": str(environment.path)}
    variables |= {"UV_NO_SYNC": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    program = "import subprocess; subprocess.run(['git', 'init', '-q']); subprocess.run(['git', 'add', '.'])"

    def hooks() -> dict[str, str]:
        environment.run(project, "python", "-c", program, **variables)
        finished = environment.run(project, "pre-commit", "run", "--all-files", **variables)
        return dict(re.findall(r"^([a-z]+)\.+(Passed|Failed)$", finished.stdout, flags=re.MULTILINE))

    passed = hooks()
    assert passed
    assert set(passed.values()) == {"Passed"}
    project.replace("__main__.py", "import pulumi\n", "import os\n\nimport pulumi\n")
    project.replace("Pulumi.prod.yaml", "logRetentionDays: 365", "logRetentionDays: 1")
    assert hooks() == passed | {"lint": "Failed", "validate": "Failed"}
