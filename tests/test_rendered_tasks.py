"""The tasks: the engine's commands that they call, recorded by a stand-in, and the bundle."""

import json
import os
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.projects import Environment, Project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="the stand-in for the engine is a script with a shebang"),
]

OUTPUTS = (
    "bucket_name",
    "bucket_arn",
    "table_name",
    "table_arn",
    "topic_arn",
    "queue_url",
    "queue_arn",
    "dlq_url",
    "dlq_arn",
    "function_arn",
    "function_name",
    "lambda_role_arn",
    "alarm_topic_arn",
)
PULUMI = f"""\
#!{sys.executable}
import json, os, sys
with open(os.environ["PULUMI_CALLS"], "a", encoding="utf-8") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
if "output" in sys.argv:
    print(json.dumps(dict.fromkeys({OUTPUTS!r}, "value")))
if "--json" in sys.argv and "preview" in sys.argv:
    print("{{}}")
sys.exit(int(os.environ.get("PULUMI_STATUS", "0")))
"""

Calls = Callable[[], list[list[str]]]


@pytest.fixture(name="calls")
def fixture_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Put a stand-in for the engine on the PATH, and return its calls."""
    record = tmp_path / "calls"
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(PULUMI, encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", os.pathsep.join([str(program.parent), os.environ["PATH"]]))
    monkeypatch.setenv("PULUMI_CALLS", str(record))

    def calls() -> list[list[str]]:
        return [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()] if record.exists() else []

    return calls


@pytest.mark.parametrize(
    ("backend", "login", "create"),
    [
        ("pulumi-cloud", ["login"], ["stack", "init", "prod"]),
        (
            "s3",
            ["login", "s3://event-pipeline-pulumi-state?region=us-east-1&awssdk=v2"],
            [
                "stack",
                "init",
                "prod",
                "--secrets-provider",
                "awskms://alias/event-pipeline-pulumi-secrets?region=us-east-1",
            ],
        ),
        ("local-file", ["login", "file://."], ["stack", "init", "prod", "--secrets-provider", "passphrase"]),
    ],
)
def test_login_and_create_stack_use_the_chosen_backend(
    bake: Callable[..., Project],
    environment: Environment,
    calls: Calls,
    backend: str,
    login: list[str],
    create: list[str],
) -> None:
    project = bake(state_backend=backend)

    assert environment.task(project, "pulumi-login").returncode == 0
    assert environment.task(project, "pulumi-create-stack", "prod").returncode == 0

    assert calls() == [login, create]


def test_the_state_bucket_can_have_another_name(
    bake: Callable[..., Project], environment: Environment, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_STATE_BUCKET", "our-state")

    environment.task(bake(state_backend="s3"), "pulumi-login")

    assert calls() == [["login", "s3://our-state?region=us-east-1&awssdk=v2"]]


def test_deploy_packages_deploys_and_writes_the_outputs(
    default_project: Project, environment: Environment, calls: Calls, tmp_path: Path
) -> None:
    project = default_project.copy(tmp_path)

    finished = environment.task(project, "pulumi-deploy", "staging")

    assert finished.returncode == 0, finished.stdout
    assert calls() == [["up", "--stack", "staging"], ["stack", "output", "--json", "--stack", "staging"]]
    assert set(json.loads(project.read("cfn-outputs/flat-outputs.json"))) == set(OUTPUTS)
    with ZipFile(project.path / "build" / "processor-python3.13-arm64.zip") as bundle:
        names = set(bundle.namelist())
    packages = {"aws_lambda_powertools", "boto3", "pydantic"}
    assert {"processor/handler.py", *(f"{package}/__init__.py" for package in packages)} <= names
    assert any("aarch64-linux-gnu.so" in name for name in names), "pydantic's core is not the one for arm64"
    assert not [name for name in names if name.startswith("tests") or "__pycache__" in name]


def test_the_bundle_is_reproducible(default_project: Project, environment: Environment, tmp_path: Path) -> None:
    project = default_project.copy(tmp_path)
    archive = project.path / "build" / "processor-python3.13-arm64.zip"

    def built() -> bytes:
        archive.unlink(missing_ok=True)
        finished = environment.task(project, "package")
        assert finished.returncode == 0, finished.stdout
        return archive.read_bytes()

    assert built() == built()


def test_a_bundle_is_built_again_only_when_it_is_out_of_date(
    default_project: Project, environment: Environment, calls: Calls, tmp_path: Path
) -> None:
    project = default_project.copy(tmp_path)
    archive = project.path / "build" / "processor-python3.13-arm64.zip"
    assert "up to date" not in environment.task(project, "package").stdout
    before = archive.read_bytes()

    assert "MB, up to date" in environment.task(project, "package").stdout
    project.replace("processor/names.py", '"messages/"', '"payloads/"')
    deployed = environment.task(project, "pulumi-deploy")

    assert deployed.returncode == 0, deployed.stdout
    assert "up to date" not in deployed.stdout
    assert archive.read_bytes() != before
    assert calls()[0] == ["up", "--stack", "dev"]


def test_ci_builds_the_bundle_once_and_every_stack_gets_the_same_bytes(
    default_project: Project, environment: Environment, calls: Calls, tmp_path: Path
) -> None:
    project = default_project.copy(tmp_path)
    for stack in ("dev", "prod"):
        project.replace(f"Pulumi.{stack}.yaml", "config:", 'config:\n  aws:allowedAccountIds: ["123456789012"]')
    archive = project.path / "build" / "processor-python3.13-arm64.zip"

    packaged = environment.task(project, "ci-package", CI="true")
    before = (archive.read_bytes(), archive.stat().st_mtime_ns)
    previewed = [environment.task(project, "ci-preview", stack, CI="true") for stack in ("dev", "prod")]

    assert packaged.returncode == 0, packaged.stdout
    assert [path.name for path in archive.parent.glob("*.zip")] == [archive.name]
    assert [finished.returncode for finished in previewed] == [0, 0], previewed[0].stdout
    assert (archive.read_bytes(), archive.stat().st_mtime_ns) == before
    assert calls() == [
        ["preview", "--json", "--refresh", "--stack", stack, "--non-interactive"] for stack in ("dev", "prod")
    ]


def test_ci_refuses_a_bundle_of_other_files_in_one_line(
    default_project: Project, environment: Environment, calls: Calls, tmp_path: Path
) -> None:
    project = default_project.copy(tmp_path)
    project.replace("Pulumi.dev.yaml", "config:", 'config:\n  aws:allowedAccountIds: ["123456789012"]')
    environment.task(project, "ci-package", CI="true")
    project.replace("processor/names.py", '"messages/"', '"payloads/"')

    finished = environment.task(project, "ci-preview", "dev", CI="true")

    assert finished.returncode == 1
    assert finished.stdout.splitlines()[-1] == (
        "ci-preview: dev: package: the bundle processor-python3.13-arm64.zip has been built from other files; the task "
        "`ci-package` builds it once for all"
    )
    assert calls() == []


@pytest.mark.parametrize("task", ["ci-preview", "ci-plan", "ci-deploy", "ci-drift"])
def test_a_task_of_ci_refuses_a_stack_without_a_file_in_one_line(
    default_project: Project, environment: Environment, task: str
) -> None:
    finished = environment.task(default_project, task, "qa")

    assert finished.returncode == 1
    assert finished.stdout.splitlines()[-1] == f'{task}: no file for the stack "qa"; allowed: dev, prod, staging'


def test_a_task_of_ci_needs_a_stack(default_project: Project, environment: Environment) -> None:
    finished = environment.task(default_project, "ci-deploy")

    assert finished.returncode != 0
    assert "the following arguments are required: stack" in finished.stdout


def test_preview_shows_the_stack_that_is_named_and_dev_otherwise(
    default_project: Project, environment: Environment, calls: Calls, tmp_path: Path
) -> None:
    project = default_project.copy(tmp_path)

    assert environment.task(project, "pulumi-preview").returncode == 0
    assert environment.task(project, "pulumi-preview", "prod").returncode == 0

    assert calls() == [["preview", "--diff", "--stack", "dev"], ["preview", "--diff", "--stack", "prod"]]


def test_destroy_destroys_the_stack_that_is_named(
    default_project: Project, environment: Environment, calls: Calls
) -> None:
    assert environment.task(default_project, "pulumi-destroy", "staging").returncode == 0

    assert calls() == [["destroy", "--stack", "staging"]]


def test_a_failed_deployment_writes_no_outputs_and_fails_the_task(
    default_project: Project,
    environment: Environment,
    calls: Calls,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = default_project.copy(tmp_path)
    monkeypatch.setenv("PULUMI_STATUS", "255")

    finished = environment.task(project, "pulumi-deploy")

    assert finished.returncode != 0
    assert calls() == [["up", "--stack", "dev"]]
    assert not (project.path / "cfn-outputs").exists()


def test_a_stack_without_a_file_is_refused_in_one_line(
    default_project: Project, environment: Environment, calls: Calls
) -> None:
    finished = environment.task(default_project, "pulumi-deploy", "qa")

    assert finished.returncode != 0
    assert "package: Pulumi.qa.yaml: does not exist in" in finished.stdout
    assert "Traceback" not in finished.stdout
    assert calls() == []


def test_a_bad_setting_is_refused_before_the_engine_is_called(
    default_project: Project, environment: Environment, calls: Calls, tmp_path: Path
) -> None:
    project = default_project.copy(tmp_path)
    project.replace("Pulumi.dev.yaml", "event-pipeline:lambdaMemoryMb: 512", "event-pipline:lambdaMemoryMb: 64")

    finished = environment.task(project, "pulumi-preview")

    assert finished.returncode != 0
    assert 'wrong namespace "event-pipline"; the key is event-pipeline:lambdaMemoryMb' in finished.stdout
    assert "event-pipeline:lambdaMemoryMb: is not set; allowed: a whole number from 128 to 10240" in finished.stdout
    assert "Traceback" not in finished.stdout
    assert calls() == []


def test_mutate_tries_real_changes_made_by_the_tool_that_uv_installs(
    default_project: Project, environment: Environment, tmp_path: Path
) -> None:
    project = default_project.copy(tmp_path)
    # The fewest tests that notice something.
    for path in (project.path / "tests" / "unit").rglob("test_*.py"):
        if path.name != "test_naming.py":
            path.unlink()
    before = project.names()

    finished = environment.task(project, "mutate", "infrastructure/naming.py")

    summary = re.search(r"^(\d+) changes in [\d.]+ minutes: the tests noticed (\d+)", finished.stdout, re.MULTILINE)
    assert summary, finished.stdout
    assert int(summary[1]) > 10
    assert 0 < int(summary[2]) < 100
    assert project.names() == before
    assert project.read("infrastructure/naming.py") == default_project.read("infrastructure/naming.py")
