"""The default project deployed by the real engine to an emulator: everything that no stand-in can show."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.emulated import OUTPUTS
from tests.projects import Environment, Project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("pulumi") is None,
        reason="pulumi is not on the PATH; https://www.pulumi.com/docs/install/ says how to install it",
    ),
]

# What a preview wants to change again and again, because the emulator does not give back what it was given.
FORGOTTEN = {
    "queue": "its redrive policy comes back with spaces in it",
    "function": "its own dead-letter queue is forgotten",
    "payloads-notification": "EventBridge is forgotten",
}
VARIABLES = "import json, sys; from tools.local import local_variables; print(json.dumps(local_variables(sys.argv[1])))"
# Changes what is deployed as a person does who is in a hurry.
CHANGE_BEHIND_ITS_BACK = """
import boto3, sys
logs = boto3.client("logs", region_name=sys.argv[1])
logs.put_retention_policy(logGroupName="/aws/lambda/event-pipeline-local-processor", retentionInDays=1)
"""
# What is in the emulator; a key that was deleted is kept for a while.
CONTENT = """
import boto3, json, sys
client = lambda name: boto3.client(name, region_name=sys.argv[1])
keys = client("kms")
print(json.dumps({
    "buckets": [each["Name"] for each in client("s3").list_buckets()["Buckets"]],
    "tables": client("dynamodb").list_tables()["TableNames"],
    "queues": client("sqs").list_queues().get("QueueUrls", []),
    "topics": client("sns").list_topics()["Topics"],
    "functions": [each["FunctionName"] for each in client("lambda").list_functions()["Functions"]],
    "mappings": client("lambda").list_event_source_mappings()["EventSourceMappings"],
    "roles": [each["RoleName"] for each in client("iam").list_roles()["Roles"]],
    "logs": [each["logGroupName"] for each in client("logs").describe_log_groups()["logGroups"]],
    "alarms": [each["AlarmName"] for each in client("cloudwatch").describe_alarms()["MetricAlarms"]],
    "dashboards": client("cloudwatch").list_dashboards()["DashboardEntries"],
    "keys": [
        each["KeyId"] for each in keys.list_keys()["Keys"]
        if keys.describe_key(KeyId=each["KeyId"])["KeyMetadata"]["KeyState"] != "PendingDeletion"
    ],
}))
"""


@pytest.fixture(name="project")
def fixture_project(default_project: Project, environment: Environment, tmp_path: Path) -> Iterator[Project]:
    """A copy of the default project; what is up there is taken down with the test."""
    project = default_project.copy(tmp_path)
    yield project
    environment.task(project, "local-down")


def run(environment: Environment, project: Project, *task: str, **variables: str) -> str:
    """Run a task that must succeed, and return what it has said."""
    finished = environment.task(project, *task, **variables)
    assert finished.returncode == 0, finished.stdout
    return finished.stdout


def changes(environment: Environment, project: Project, variables: dict[str, str]) -> dict[str, str]:
    """Preview the local stack, and tell what the engine would do to which resource, by its logical name."""
    output = run_engine(environment, project, variables, "preview", "--stack", "local", "--json")
    steps: list[dict[str, Any]] = json.loads(output[output.index("{") :])["steps"]
    return {step["urn"].rpartition("::")[2]: step["op"] for step in steps if step["op"] != "same"}


def look(environment: Environment, project: Project) -> dict[str, Any]:
    """Validate what is deployed of the local stack, and return the report."""
    command = ("python", "-m", "tools.validate", "--live", "--stack", "local", "--format", "json")
    output = environment.run(project, *command).stdout
    return json.loads(output[f"\n{output}".index("\n{\n") :])


def run_engine(environment: Environment, project: Project, variables: dict[str, str], *arguments: str) -> str:
    """Call the engine, which must succeed, and return what it has said."""
    finished = environment.run(project, "python", "-m", "tools.engine", *arguments, **variables)
    assert finished.returncode == 0, finished.stdout
    return finished.stdout


def test_test_local_passes_and_leaves_nothing(project: Project, environment: Environment) -> None:
    committed = {name: project.read(name) for name in project.names() if not name.endswith(".pyc")}

    output = run(environment, project, "test-local")

    assert " passed, 2 xfailed" in output
    assert not (project.path / ".local").exists()
    assert not (project.path / OUTPUTS).exists()
    assert {name: project.read(name) for name in committed} == committed


def test_the_stack_is_deployed_updated_and_destroyed(project: Project, environment: Environment) -> None:
    assert "Deployed to the emulator at" in run(environment, project, "local-up")
    address = json.loads(project.read(".local/emulator.json"))["url"]
    variables: dict[str, str] = json.loads(environment.run(project, "python", "-c", VARIABLES, address).stdout)
    run(environment, project, "test-py-integration", **variables)
    outputs = project.read(OUTPUTS)

    # A second deployment changes nothing but what the emulator forgets.
    assert changes(environment, project, variables).keys() <= FORGOTTEN.keys()
    run(environment, project, "local-up")
    assert project.read(OUTPUTS) == outputs

    # What is deployed is what the file says, but for what the emulator forgets.
    report = look(environment, project)
    assert report["deployments"][0]["state"] == "deployed"
    assert {(finding["rule"], finding["key"]) for finding in report["findings"]} <= {
        (rule, key) for rule in ("drift", "pending-change") for key in FORGOTTEN
    }

    # What is changed behind the engine's back is drift, and what is changed in the file is told before it is deployed.
    region = project.yaml("Pulumi.local.yaml")["config"]["aws:region"]
    environment.run(project, "python", "-c", CHANGE_BEHIND_ITS_BACK, region, **variables).check_returncode()
    drifted = look(environment, project)["deployments"][0]["drift"]
    assert {"path": "retentionInDays", "found": "1", "expected": "7"} in [
        each for resource in drifted if resource["name"] == "function-logs" for each in resource["properties"]
    ]
    project.replace("Pulumi.local.yaml", "logRetentionDays: 7", "logRetentionDays: 14")
    assert ("config-differs", "event-pipeline:logRetentionDays") in {
        (finding["rule"], finding["key"]) for finding in look(environment, project)["findings"]
    }
    run(environment, project, "local-up")
    assert {finding["key"] for finding in look(environment, project)["findings"]} <= FORGOTTEN.keys()

    # A changed setting is an update in place.
    project.replace("Pulumi.local.yaml", "lambdaMemoryMb: 512", "lambdaMemoryMb: 1024")
    changed = changes(environment, project, variables)
    assert changed["function"] == "update"
    assert changed.keys() <= FORGOTTEN.keys()
    assert '"memorySize"' in run_engine(environment, project, variables, "preview", "--stack", "local", "--json")
    run(environment, project, "local-up")
    run(environment, project, "test-py-integration", "-k", "memory", **variables)

    # Nothing is left of a destroyed stack.
    run_engine(environment, project, variables, "destroy", "--stack", "local", "--yes", "--skip-preview")
    region = project.yaml("Pulumi.local.yaml")["config"]["aws:region"]
    content = json.loads(environment.run(project, "python", "-c", CONTENT, region, **variables).stdout)
    assert not any(content.values()), content
