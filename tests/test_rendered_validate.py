"""The validation of every rendered project: no problems after set-up, and every input has an effect."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.deployment.emulated import stand_in_for_the_engine
from tests.projects import Environment, Project

# A day on which AWS supports every runtime for more than 90 days, and an address that is not a placeholder.
DAY = ("--date", "2026-03-01")
ADDRESS = "alarms@orders.example.dev"
# The account that only credentials of its own may deploy to, as a line of a stack file.
ACCOUNT = 'aws:allowedAccountIds: ["123456789012"]'
STACKS = ["dev", "staging", "prod"]
# Removes each line of configuration in turn, and lists those that do not change the result.
MUTATE = """\
import datetime, json, pathlib
from tools.validate import validate_configuration

def result():
    return validate_configuration(stacks=["local", "dev", "staging", "prod"], today=datetime.date(2026, 3, 1))

before, unchanged = result(), []
for path in pathlib.Path().glob("Pulumi*.yaml"):
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for number, line in enumerate(lines):
        configures = "default:" in line if path.name == "Pulumi.yaml" else not line.startswith(("#", "encryptionsalt:"))
        path.write_text("\\n".join([*lines[:number], *lines[number + 1 :], ""]), encoding="utf-8")
        if configures and result() == before:
            unchanged.append(f"{path}: {line}")
    path.write_text(text, encoding="utf-8")
assert result() == before
print(json.dumps(unchanged))
"""
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
HOSTILE = {
    "anchor": (b"config:\n  aws:region: &a us-east-1\n", "2: error: anchors and aliases are not allowed"),
    "bomb": (BOMB.encode(), "1: error: anchors and aliases are not allowed"),
    "tag": (b'a: !!python/object/apply:os.system ["touch owned"]\n', "1: error: tags are not allowed"),
    "depth": (b"a: " + b"[" * 500, "1: error: nested too deeply; allowed: 20 levels"),
    "value of 1 MB": (b"a: " + b"x" * 1_000_000, " error: is 1,000,003 bytes long; allowed: up to 262,144"),
    "NUL": (b"a: b\n\0", "2: error: the character U+0000 is not allowed"),
    "other encoding": (b"a: b\nc: \xe9\n", "2: error: is not UTF-8"),
    "UTF-16": ("a: b\n".encode("utf-16"), "1: error: is not UTF-8"),
    "invalid YAML": (b"config: [\n", "2: error: is not YAML: while parsing a flow node"),
    "list": (b"- config\n", "1: error: is not a mapping of keys to values"),
}

Json = dict[str, Any]


def validated(environment: Environment, project: Project, *options: str, **more: str) -> tuple[int, Json]:
    """Validate a project, and return the exit status and the report."""
    finished = environment.run(project, "python", "-m", "tools.validate", *DAY, "--format", "json", *options, **more)
    # The standard error, with the message about the bundle, comes first.
    assert "\n{\n" in f"\n{finished.stdout}", finished.stdout
    return finished.returncode, json.loads(finished.stdout[f"\n{finished.stdout}".index("\n{\n") :])


def with_account(project: Project, folder: Path) -> Project:
    """Copy a project, and say which account production is in."""
    copy = project.copy(folder)
    with (copy.path / "Pulumi.prod.yaml").open("a", encoding="utf-8") as file:
        file.write(f"  {ACCOUNT}\n")
    return copy


def test_a_new_project_has_only_warnings_about_what_cookiecutter_did_not_ask(
    project: Project, environment_of: Callable[[Project], Environment]
) -> None:
    status, report = validated(environment_of(project), project)

    assert status == report["status"] == 0
    found = report["findings"]
    assert {(each["severity"], each["file"], *each["stacks"]) for each in found} == {
        ("warning", "Pulumi.prod.yaml", "prod")
    }
    assert {each["rule"]: project.read(each["file"]).splitlines()[each["line"] - 1].strip() for each in found} == {
        "any-account": "config:",
        "placeholder-email": f'{project.slug}:notificationEmail: "platform@example.com"',
    }


def test_warnings_are_errors_with_strict(default_project: Project, environment: Environment) -> None:
    status, report = validated(environment, default_project, "--strict")

    found = {(finding["rule"], finding["severity"]) for finding in report["findings"]}
    assert (status, found) == (1, {("any-account", "error"), ("placeholder-email", "error")})


def test_a_project_with_a_real_address_and_its_account_has_no_problems(
    project: Project, bake: Callable[..., Project], environment_of: Callable[[Project], Environment], tmp_path: Path
) -> None:
    real = with_account(bake(**project.answers, notification_email=ADDRESS), tmp_path)
    environment = environment_of(real)

    status, report = validated(environment, real, "--strict")

    assert (status, report["status"], report["findings"]) == (0, 0, [])
    assert [stack["name"] for stack in report["stacks"]] == STACKS
    jsonschema.validate(report, json.loads(real.read("tools/validate/report.schema.json")))


def test_each_environments_region_must_be_the_answered_one(
    bake: Callable[..., Project], environment: Environment, tmp_path: Path
) -> None:
    regions = {
        "aws_region_dev": "eu-west-1",
        "aws_region_staging": "ap-southeast-5",
        "aws_region_prod": "us-gov-east-1",
    }
    project = with_account(bake(notification_email=ADDRESS, **regions), tmp_path)

    assert validated(environment, project, "--strict")[0] == 0


@pytest.fixture(scope="module", name="real")
def fixture_real(bake: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The default project with an address that is not a placeholder, and with production's account."""
    return with_account(bake(notification_email=ADDRESS), tmp_path_factory.mktemp("real"))


@pytest.fixture(name="own")
def fixture_own(real: Project, tmp_path: Path) -> Project:
    """A copy of it for a test to change."""
    return real.copy(tmp_path)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", 'found ""; allowed in prod: '),
        ("[]", 'found "[]"; allowed in prod: '),
        ("[ ]", 'found "[]"; allowed in prod: '),
        ('["123456789012"]', ""),
        ('["123456789012", "210987654321"]', ""),
    ],
)
def test_production_names_its_accounts(own: Project, environment: Environment, value: str, said: str) -> None:
    own.replace("Pulumi.prod.yaml", ACCOUNT, f"aws:allowedAccountIds: {value}")

    status, report = validated(environment, own)

    allowed = 'a list with the ID of the account, for example ["123456789012"]'
    assert status == 0
    assert [(each["rule"], each["severity"], each["message"]) for each in report["findings"]] == (
        [("any-account", "warning", f"{said}{allowed} (policies.toml)")] if said else []
    )


def test_production_has_a_recipient_of_its_alarms(own: Project, environment: Environment) -> None:
    for stack in STACKS:
        own.replace(f"Pulumi.{stack}.yaml", f'notificationEmail: "{ADDRESS}"', 'notificationEmail: ""')

    status, report = validated(environment, own)

    allowed = "an address that somebody reads; otherwise nobody gets the alarms"
    assert status == 0
    assert [(each["rule"], each["severity"], each["message"]) for each in report["findings"]] == [
        ("no-recipient", "warning", f'found ""; allowed in prod: {allowed} (policies.toml)')
    ]


def test_every_line_of_configuration_has_an_effect(own: Project, environment: Environment) -> None:
    finished = environment.run(own, "python", "-c", MUTATE)

    assert finished.returncode == 0, finished.stdout
    assert json.loads(finished.stdout) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_one_line_and_the_others_are_compared(
    own: Project, environment: Environment, name: str
) -> None:
    content, problem = HOSTILE[name]
    (own.path / "Pulumi.dev.yaml").write_bytes(content)

    finished = environment.run(own, "python", "-m", "tools.validate", *DAY)

    assert finished.returncode == 2
    assert f"\nPulumi.dev.yaml:{problem}" in finished.stdout
    assert finished.stdout.endswith("\n2 stacks compared, not dev: 1 error\n")
    assert len(max(finished.stdout.splitlines(), key=len)) < 500
    assert "Traceback" not in finished.stdout
    assert not (own.path / "owned").exists()


def test_a_secret_is_printed_in_no_format(own: Project, environment: Environment) -> None:
    own.replace(
        "Pulumi.dev.yaml", "config:\n", "config:\n  aws:secretKey: not-for-the-logs\n  aws:token: {secure: AAA}\n"
    )
    own.replace("Pulumi.prod.yaml", "lambdaMemoryMb: 1024", "lambdaMemoryMb: {secure: not-for-the-logs}")

    for form in ("text", "json", "github"):
        finished = environment.run(own, "python", "-m", "tools.validate", "--format", form)
        assert finished.returncode == 1
        assert "plain-credential" in finished.stdout
        assert "not-for-the-logs" not in finished.stdout


@pytest.mark.parametrize(
    ("options", "old", "new", "status"),
    [
        ([], "", "", 0),
        (["--strict"], "lambdaMemoryMb: 1024", "lambdaMemoryMb: 256", 1),
        (["--stack", "staging"], "lambdaMemoryMb: 1024", "lambdaMemoryMb: 256", 0),
        (["--stack", "prod"], "lambdaMemoryMb: 1024", "lambdaMemoryMb: 256", 1),
        (["--format", "github"], "us-east-1", "eu-west-1", 1),
        (["--format", "json"], "config:", "config: !!map", 2),
        (["--stack", "qa"], "", "", 2),
        (["--unknown"], "", "", 2),
    ],
)
def test_the_task_ends_with_the_status_of_the_report(
    own: Project, environment: Environment, options: list[str], old: str, new: str, status: int
) -> None:
    own.replace("Pulumi.prod.yaml", old, new)

    finished = environment.task(own, "validate", *DAY, *options)

    assert finished.returncode == status, finished.stdout
    assert "Traceback" not in finished.stdout


def test_the_task_shows_its_help(real: Project, environment: Environment) -> None:
    finished = environment.task(real, "validate", "--help")

    assert finished.returncode == 0
    assert "usage: uv run poe validate [-h]" in finished.stdout
    assert "  uv run poe validate --stack staging --stack prod --strict\n" in finished.stdout


def test_a_pull_request_is_annotated_from_the_root_of_its_repository(own: Project, environment: Environment) -> None:
    own.replace("Pulumi.prod.yaml", "us-east-1", "eu-west-1")

    finished = environment.run(
        own, "python", "-m", "tools.validate", *DAY, "--format", "github", GITHUB_WORKSPACE=str(own.path.parent)
    )

    assert finished.stdout == (
        "::error file=event-pipeline/Pulumi.prod.yaml,title=region,line=2::"
        'aws:region: found "eu-west-1"; allowed in prod: us-east-1 (policies.toml)\n'
        "3 stacks compared: 1 error\n"
    )


def test_a_piped_report_has_neither_colours_nor_frames_nor_cut_values(own: Project, environment: Environment) -> None:
    finished = environment.run(own, "python", "-m", "tools.validate", *DAY)

    assert finished.stdout.isascii()
    assert "\x1b" not in finished.stdout
    (row,) = (line for line in finished.stdout.splitlines() if "notificationEmail" in line)
    assert row.split() == ["notificationEmail", *[ADDRESS] * 3]


def test_every_runtime_that_is_offered_is_supported_by_aws_today(own: Project, environment: Environment) -> None:
    # If this fails, remove the runtime from cookiecutter.json, or update its date if AWS has extended the support.
    finished = environment.run(own, "python", "-m", "tools.validate", "--format", "json")
    assert json.loads(finished.stdout)["findings"] == []


@pytest.fixture(name="engine")
def fixture_engine(packaged_project: Project, environment: Environment, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Environment variables for a stand-in for the engine, with a local stack in a copy of the project."""
    variables = stand_in_for_the_engine(environment, tmp_path) | {"PULUMI_EVENTS": str(tmp_path / "events")}
    project = packaged_project.copy(tmp_path)
    up = environment.task(project, "local-up", **variables)
    assert up.returncode == 0, up.stdout
    yield variables
    environment.task(project, "local-down", **variables)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the stand-in for the engine is a script with a shebang")
def test_deployed_stacks_are_read_through_the_automation_api(
    engine: dict[str, str], environment: Environment, tmp_path: Path
) -> None:
    project = Project(tmp_path / "event-pipeline", {})
    look = ("--live", "--stack", "local")

    assert validated(environment, project, *look, **engine)[1]["deployments"] == [
        {"stack": "local", "state": "deployed", "drift": [], "pending": []}
    ]

    # The file is changed but not deployed.
    project.replace("Pulumi.local.yaml", "logRetentionDays: 7", "logRetentionDays: 14")
    status, report = validated(environment, project, *look, **engine)
    assert (status, [finding["rule"] for finding in report["findings"]]) == (1, ["config-differs"])
    project.replace("Pulumi.local.yaml", "logRetentionDays: 14", "logRetentionDays: 7")

    # Something is changed outside of Pulumi.
    urn = "urn:pulumi:local::event-pipeline::pipeline:infrastructure:Messaging$aws:sqs/queue:Queue::queue"
    states = {
        name: {"type": "aws:sqs/queue:Queue", "urn": urn, "id": "q", "parent": "", "provider": "", "inputs": inputs}
        for name, inputs in {"old": {"delaySeconds": 0}, "new": {"delaySeconds": 5}}.items()
    }
    step = {"op": "refresh", "urn": urn, "type": "aws:sqs/queue:Queue", "provider": "", "diffs": ["delaySeconds"]}
    event = {"sequence": 1, "timestamp": 1, "resOutputsEvent": {"metadata": step | states, "planning": True}}
    Path(engine["PULUMI_EVENTS"]).write_text(json.dumps(event) + "\n", encoding="utf-8")
    status, report = validated(environment, project, *look, **engine)
    assert (status, [finding["message"] for finding in report["findings"]]) == (
        1,
        ["queue (aws:sqs/queue:Queue) was changed outside Pulumi: delaySeconds is 5 instead of 0"],
    )

    # The engine fails.
    status, report = validated(environment, project, *look, **engine, PULUMI_FAILS="preview")
    assert (status, report["deployments"][0]["state"]) == (2, "unreadable")

    calls = [json.loads(line) for line in Path(engine["PULUMI_CALLS"]).read_text(encoding="utf-8").splitlines()]
    asked = {next(word for word in call if not word.startswith("-") and word != "stack") for call in calls}
    assert asked == {"init", "up", "output", "version", "history", "export", "preview"}
    previews = [call for call in calls if "preview" in call]
    assert all({"--refresh", "--non-interactive"} <= {*call} for call in previews)

    assert environment.task(project, "local-down", **engine).returncode == 0
    assert validated(environment, project, *look, **engine)[1]["deployments"][0]["state"] == "not-deployed"


def test_a_missing_engine_is_reported_in_one_line_with_status_2(
    real: Project, environment: Environment, tmp_path: Path
) -> None:
    path = os.pathsep.join([str(environment.executable("python").parent), str(tmp_path)])

    finished = environment.run(real, "python", "-m", "tools.validate", "--live", PATH=path)

    assert finished.returncode == 2
    assert re.fullmatch(r"validate: pulumi is not on the PATH; https://\S+ says how to install it\n", finished.stdout)


def test_validate_configuration_is_importable_and_typed(own: Project, environment: Environment) -> None:
    module = "from tools.validate import validate_configuration\n\nreport: int = validate_configuration()\n"
    (own.path / "wrong.py").write_text(module, encoding="utf-8")

    finished: subprocess.CompletedProcess[str] = environment.run(own, "ty", "check", "wrong.py")

    assert finished.returncode == 1
    assert "`Report` is not assignable to `int`" in finished.stdout
