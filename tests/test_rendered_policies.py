"""Tests that every line of the rendered ``policies.toml`` affects the findings of `validate`."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from tests.combinations import CHOICES, QUESTIONS
from tests.projects import Environment, Project

# Settings that break every policy, by stack.
BROKEN: dict[str, dict[str, Any]] = {
    "local": {"lambdaRuntime": "python3.13"},
    "dev": {
        "lambdaRuntime": "python3.11",
        "bucketName": "a-bucket",
        "aws:region": "eu-west-1",
    },
    "staging": {
        "lambdaRuntime": "python3.12",
        "bucketName": "a-bucket",
        "kmsKeyArn": "arn:aws:kms:eu-west-2:123456789012:key/99999999-8888-7777-6666-555555555555",
        "aws:region": "eu-west-2",
        "pulumi:disable-default-providers": ["kubernetes"],
    },
    "prod": {
        "lambdaRuntime": "python3.14",
        "lambdaMemoryMb": 256,
        "lambdaTimeoutSeconds": 119,
        "maxReceiveCount": 9,
        "messageRetentionSeconds": 604799,
        "logRetentionDays": 60,
        "forceDestroy": True,
        "notificationEmail": "platform@example.com",
        "aws:region": "eu-west-3",
        "aws:accessKey": "a",
        "aws:secretKey": "b",
        "aws:token": "c",
    },
}
# Only the first mistake in a setting is reported, so these need a second run.
BROKEN_TOO: dict[str, dict[str, Any]] = {
    "dev": {"bucketName": "a-bucket"},
    "staging": {"environmentSuffix": "dev", "notificationEmail": "", "forceDestroy": True},
    "prod": {"notificationEmail": "", "bucketName": "a-bucket"},
}
# Adds a policy: staging must be at least as strong as dev.
ANOTHER_WAY = ('prod = ["dev", "staging"]\n', 'prod = ["dev", "staging"]\nstaging = ["dev"]\n')
# 90 days before AWS ends support for python3.12.
A_DAY = "2028-08-02"
# Removes each line of policies.toml in turn, and prints the lines whose removal does not change the output.
MUTATE = """
import contextlib, datetime, io, pathlib, sys
from tools.validate.command import main
POLICIES = pathlib.Path("policies.toml")
text = POLICIES.read_text(encoding="utf-8")
arguments = ["local", "dev", "staging", "prod", "--format", "json"]

def found():
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
        main(arguments, today=datetime.date.fromisoformat(sys.argv[1]))
    said.flush()
    return said.buffer.getvalue().decode()

before = found()
assert '"findings"' in before, before
lines = text.splitlines()
for number, line in enumerate(lines):
    if line and not line.strip().startswith("#"):
        POLICIES.write_text("\\n".join([*lines[:number], *lines[number + 1 :], ""]), encoding="utf-8")
        if found() == before:
            print(f"unnoticed: {line} ({lines[:number].count(line) + 1})")
"""

# Prints how the policies treat ordinary AWS drift: an unconfirmed subscription, a rollback, adjusted throughput.
ORDINARY_DRIFT = """
import json
from tools.preview import Change, Property
from tools.project import PROJECT_FOLDER
from tools.validate.policies import read_policies

def drifted(name, type_, *paths):
    properties = tuple(Property(path=path, found=None, expected=None) for path in paths)
    return Change(urn=name, name=name, type=type_, operation="changed" if paths else "deleted", properties=properties)

throughput = ("warmThroughput.readUnitsPerSecond", "globalSecondaryIndexes[0].warmThroughput")
drift = read_policies(PROJECT_FOLDER).drift
left = drift.without_ignored(
    [
        drifted("alarm-subscription", "aws:sns/topicSubscription:TopicSubscription"),
        drifted("function-live", "aws:lambda/alias:Alias", "functionVersion"),
        drifted("other-table", "aws:dynamodb/table:Table", *throughput),
        drifted("table", "aws:dynamodb/table:Table", *throughput, "tags.Team"),
    ]
)
paths = [[each.path for each in change.properties] for change in left]
repaired = [drift.repairs(change.type, (found or [""])[0]) for change, found in zip(left, paths)]
print(json.dumps({"left": [change.name for change in left], "properties": paths, "repaired": repaired}))
"""


def unnoticed(project: Project, environment: Environment, broken: dict[str, dict[str, Any]]) -> set[str]:
    """Break the stack files, and return the lines of ``policies.toml`` whose removal does not change the output."""
    schema = project.yaml("Pulumi.yaml")["config"]
    for stack, values in broken.items():
        kept = {key if ":" in key else f"{project.slug}:{key}": value for key, value in values.items()}
        kept = {key: value for key, value in kept.items() if key.partition(":")[2] in schema or project.slug not in key}
        path = project.path / f"Pulumi.{stack}.yaml"
        lines = [line for line in path.read_text("utf-8").splitlines() if line.strip().rpartition(": ")[0] not in kept]
        added = [f"  {key}: {json.dumps(value)}" for key, value in kept.items()]
        path.write_text("\n".join([*lines, *added, ""]), encoding="utf-8")
    finished = environment.run(project, "python", "-c", MUTATE, A_DAY)
    assert finished.returncode == 0, finished.stdout
    return set(re.findall(r"^unnoticed: (.+)$", finished.stdout, flags=re.MULTILINE))


@pytest.mark.slow
def test_every_line_of_the_policies_changes_the_findings(
    default_project: Project, environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first, second = (default_project.copy(tmp_path_factory.mktemp("policies")) for _ in range(2))
    second.replace("policies.toml", *ANOTHER_WAY)

    left = unnoticed(first, environment, BROKEN) & unnoticed(second, environment, BROKEN_TOO)

    # Without `--live`, `validate` does not use the types of stateful resources and of drift; other tests check them.
    assert [line for line in left if not re.match(r' {2}"aws:[^"]+",', line)] == []


def test_ordinary_drift_is_repaired_or_ignored(default_project: Project, environment: Environment) -> None:
    finished = environment.run(default_project, "python", "-c", ORDINARY_DRIFT)

    assert json.loads(finished.stdout) == {
        "left": ["alarm-subscription", "function-live", "table"],
        "properties": [[], ["functionVersion"], ["tags.Team"]],
        "repaired": [True, True, False],
    }


def test_placeholder_addresses_are_distinguished_from_real_ones(default_project: Project) -> None:
    (policy,) = (
        each for each in default_project.toml("policies.toml")["values"] if each["rule"] == "placeholder-email"
    )
    placeholders = ("example.com", "Mail.EXAMPLE.net", "example.org", "example", "orders.test", "b.invalid")
    addresses = ("example.dev", "orders-example.com", "example.com.dev", "test.dev", "mytest")

    matched = [
        domain for domain in placeholders + addresses if re.fullmatch(policy["forbidden"], f"example.com@{domain}")
    ]
    assert matched == list(placeholders)


def test_prompts_and_policies_agree_on_the_runtimes(default_project: Project) -> None:
    supported = default_project.toml("policies.toml")["runtimes"]["supported_until"]
    labels = QUESTIONS["__prompts__"]["lambda_runtime"]

    assert supported.keys() == set(CHOICES["lambda_runtime"])
    for runtime, day in supported.items():
        assert labels[runtime] == f"Python {runtime[6:]}, supported by AWS until {day:%B %Y}"
        # AWS ends support on the last day of a month: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
        assert (day + timedelta(days=1)).day == 1, runtime
