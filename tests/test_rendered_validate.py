"""Tests of `validate` in rendered projects: no findings after setup, and a finding for every broken policy."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.emulated import put_stand_in_on_path
from tests.projects import Environment, Project

# Validates as of a date more than 90 days before AWS ends support for any runtime.
VALIDATE = """\
import datetime, sys
from tools.validate.command import main

sys.exit(main(sys.argv[1:], today=datetime.date(2026, 3, 1)))
"""
# An e-mail address that is not a placeholder, and the only account for production.
ADDRESS = "alarms@orders.example.dev"
ACCOUNT = 'aws:allowedAccountIds: ["123456789012"]'
KEY_ARN = "arn:aws:kms:{}:123456789012:key/99999999-8888-7777-6666-555555555555"
# Settings that break every policy, by stack. Only the first mistake in a setting is reported.
BROKEN = {
    "dev": {
        "kmsKeyArn": KEY_ARN.format("us-east-2"),
        "bucketName": "our-bucket",
        "lambdaRuntime": "python3.11",
        "aws:secret_key": "not-for-the-logs",
    },
    "staging": {
        "environmentSuffix": "dev",
        "bucketName": "our-bucket",
        "kmsKeyArn": KEY_ARN.format("us-west-1"),
        "aws:region": "eu-west-2",
    },
    "prod": {
        "lambdaMemoryMb": "256",
        "lambdaTimeoutSeconds": "119",
        "maxReceiveCount": "9",
        "messageRetentionSeconds": "604799",
        "logRetentionDays": "7",
        "forceDestroy": "true",
        "aws:region": "eu-west-3",
        "azure:location": "west",
    },
}
# The `detailedDiff` of a refresh that finds drift in a queue.
DIFF = {"delaySeconds": {"diffKind": "update", "inputDiff": False}}
FOUND = {
    *(("weaker-setting", "prod", key) for key in BROKEN["prod"] if key[0] in "lm"),
    ("weaker-setting", "prod", "kmsKeyArn"),
    ("force-destroy", "prod", "forceDestroy"),
    ("any-account", "prod", "allowedAccountIds"),
    ("placeholder-email", "prod", "notificationEmail"),
    ("key-elsewhere", "staging", "kmsKeyArn"),
    ("region", "staging", "region"),
    ("region", "prod", "region"),
    ("same-bucket-name", "staging", "bucketName"),
    ("same-suffix", "staging", "environmentSuffix"),
    ("plain-credential", "dev", "secret_key"),
    ("unknown-namespace", "prod", "location"),
    ("runtime-ended", "dev", "lambdaRuntime"),
}

Json = dict[str, Any]


def validated(environment: Environment, project: Project, *options: str, **variables: str) -> tuple[int, Json]:
    """Validate a project, and return the exit status and the report."""
    finished = environment.run(project, "python", "-c", VALIDATE, "--format", "json", *options, **variables)
    # Standard error, with the message about the bundle, comes first.
    assert "\n{\n" in f"\n{finished.stdout}", finished.stdout
    return finished.returncode, json.loads(finished.stdout[f"\n{finished.stdout}".index("\n{\n") :])


def set_values(project: Project, stack: str, values: dict[str, str]) -> None:
    path = project.path / f"Pulumi.{stack}.yaml"
    keys = {key if ":" in key else f"event-pipeline:{key}": value for key, value in values.items()}
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.split(": ")[0].strip() not in keys]
    path.write_text("\n".join([*lines, *(f"  {key}: {value}" for key, value in keys.items()), ""]), encoding="utf-8")


def test_new_project_has_only_warnings_about_unasked_settings(
    project: Project, environment_of: Callable[[Project], Environment]
) -> None:
    status, report = validated(environment_of(project), project)

    assert status == report["status"] == 0
    assert report["stacks"] == ["dev", "staging", "prod"]
    found = report["findings"]
    assert {(each["severity"], each["file"]) for each in found} == {("warning", "Pulumi.prod.yaml")}
    assert {each["rule"]: project.read(each["file"]).splitlines()[each["line"] - 1].strip() for each in found} == {
        "any-account": "config:",
        "placeholder-email": f'{project.slug}:notificationEmail: "platform@example.com"',
    }


@pytest.fixture(name="own")
def fixture_own(bake: Callable[..., Project], tmp_path: Path) -> Project:
    """A project without warnings: real e-mail address, non-default regions, and an allowed account in prod."""
    regions = {"dev": "eu-west-1", "staging": "ap-southeast-5", "prod": "us-gov-east-1"}
    answers = {f"aws_region_{environment}": region for environment, region in regions.items()}
    project = bake(notification_email=ADDRESS, **answers).copy(tmp_path)
    project.replace("Pulumi.prod.yaml", "config:\n", f"config:\n  {ACCOUNT}\n")
    return project


def test_answered_project_has_no_problems(own: Project, environment: Environment) -> None:
    status, report = validated(environment, own, "--strict")

    assert (status, report["findings"]) == (0, [])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        *(
            (
                "aws:allowedAccountIds",
                value,
                f'found "{value.strip(chr(39))}"; allowed in prod: a list with the account',
            )
            for value in ("''", "[]")
        ),
        ("aws:allowedAccountIds", '["123456789012", "210987654321"]', ""),
        ("notificationEmail", '""', 'found ""; allowed in prod: an address that somebody reads; otherwise nobody gets'),
        ("notificationEmail", "a@mail.test", 'found "a@mail.test"; allowed in prod: an address that somebody reads'),
    ],
)
def test_production_needs_its_accounts_and_a_recipient(
    own: Project, environment: Environment, key: str, value: str, message: str
) -> None:
    set_values(own, "prod", {key: value})

    status, report = validated(environment, own)

    assert status == 0
    assert [each["message"].startswith(message) for each in report["findings"]] == ([True] if message else [])


def test_every_broken_policy_is_reported(default_project: Project, environment: Environment, tmp_path: Path) -> None:
    project = default_project.copy(tmp_path)
    for stack, values in BROKEN.items():
        set_values(project, stack, values)
    project.replace("policies.toml", '"python3.11" = 2027-06-30', '"python3.11" = 2026-02-28')

    status, report = validated(environment, project)

    assert status == 1
    found = {(each["rule"], each["stacks"][-1], each["key"].rpartition(":")[2]) for each in report["findings"]}
    assert found == FOUND
    assert "not-for-the-logs" not in json.dumps(report)


@pytest.mark.parametrize(
    ("options", "old", "new", "status"),
    [
        (["--format", "github"], "", "", 0),
        (["staging"], "lambdaMemoryMb: 1024", "lambdaMemoryMb: 256", 0),
        (["staging", "prod"], "lambdaMemoryMb: 1024", "lambdaMemoryMb: 256", 1),
        (["--format", "github"], "config:", "config: [", 2),
        (["pord"], "", "", 2),
        (["--unknown"], "", "", 2),
    ],
)
def test_task_ends_with_the_status_of_the_report(
    own: Project, environment: Environment, options: list[str], old: str, new: str, status: int
) -> None:
    own.replace("Pulumi.prod.yaml", old, new)

    finished = environment.task(own, "validate", *options)

    assert finished.returncode == status, finished.stdout
    assert "Traceback" not in finished.stdout


def test_offered_runtimes_are_supported_by_aws_today(own: Project, environment: Environment) -> None:
    # If this test fails, remove the runtime from cookiecutter.json, or update its date if AWS has extended the support.
    finished = environment.run(own, "python", "-m", "tools.validate", "--format", "json")

    assert json.loads(finished.stdout)["findings"] == []


def test_missing_pulumi_cli_is_reported_for_each_stack(own: Project, environment: Environment, tmp_path: Path) -> None:
    path = os.pathsep.join([str(environment.executable("python").parent), str(tmp_path)])

    status, report = validated(environment, own, "--live", PATH=path)

    assert (status, report["deployments"]) == (2, dict.fromkeys(("dev", "staging", "prod"), "unreadable"))
    assert {each["message"].partition("https")[0] for each in report["findings"]} == {
        "the deployed stack cannot be read: pulumi is not on the PATH; install it: "
    }


@pytest.fixture(name="stand_in")
def fixture_stand_in(packaged_project: Project, environment: Environment, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Environment variables that select a stand-in for the Pulumi CLI, after it has deployed the local stack."""
    variables = put_stand_in_on_path(environment, tmp_path) | {"PULUMI_EVENTS": str(tmp_path / "events")}
    project = packaged_project.copy(tmp_path)
    up = environment.task(project, "local-up", **variables)
    assert up.returncode == 0, up.stdout
    yield variables
    environment.task(project, "local-down", **variables)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the stand-in for the Pulumi CLI is a script with a shebang")
def test_deployed_stack_is_previewed_by_the_pulumi_cli(
    stand_in: dict[str, str], environment: Environment, tmp_path: Path
) -> None:
    project = Project(tmp_path / "event-pipeline", {})
    look = ("local", "--live")

    assert validated(environment, project, *look, **stand_in)[1]["deployments"] == {"local": "deployed"}

    # The preview finds drift.
    urn = "urn:pulumi:local::event-pipeline::pipeline:infrastructure:Messaging$aws:sqs/queue:Queue::queue"
    states = {
        name: {"type": "aws:sqs/queue:Queue", "urn": urn, "id": "q", "parent": "", "provider": "", "inputs": inputs}
        for name, inputs in {"old": {"delaySeconds": 0}, "new": {"delaySeconds": 5}}.items()
    }
    step = {"op": "refresh", "urn": urn, "type": "aws:sqs/queue:Queue", "provider": "", "detailedDiff": DIFF}
    event = {"sequence": 1, "timestamp": 1, "resOutputsEvent": {"metadata": step | states, "planning": True}}
    Path(stand_in["PULUMI_EVENTS"]).write_text(json.dumps(event) + "\n", encoding="utf-8")
    status, report = validated(environment, project, *look, **stand_in)
    assert (status, [finding["message"] for finding in report["findings"]]) == (
        1,
        ["this aws:sqs/queue:Queue was changed outside Pulumi: delaySeconds: expected 0, got 5"],
    )

    status, report = validated(environment, project, *look, **stand_in, PULUMI_FAILS="preview")
    assert (status, report["deployments"]) == (2, {"local": "unreadable"})

    assert environment.task(project, "local-down", **stand_in).returncode == 0
    assert validated(environment, project, *look, **stand_in)[1]["deployments"] == {"local": "not-deployed"}
