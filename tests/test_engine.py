"""The local stack from end to end, with each package manager, and the tasks of CI with two stacks.

If the Pulumi CLI is on the PATH, the real engine and provider deploy. The stand-in tests these tests everywhere, as far
as it can.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.emulated import OUTPUTS, stand_in_for_the_engine
from tests.projects import Environment, Project

PULUMI = pytest.param(
    "pulumi",
    marks=pytest.mark.skipif(
        shutil.which("pulumi") is None,
        reason="pulumi is not on the PATH; https://www.pulumi.com/docs/install/ says how to install it",
    ),
)
STAND_IN = pytest.param(
    "stand-in",
    marks=pytest.mark.skipif(os.name == "nt", reason="the stand-in for the engine is a script with a shebang"),
)
pytestmark = pytest.mark.slow

INSTALL = {"uv": ("uv", "sync", "--quiet"), "pipenv": ("pipenv", "install", "--dev")}
# What a preview may always report, because the emulator returns a different value from the one that was set.
RETURNED_DIFFERENTLY = {"queue": "its redrive policy is returned with spaces"}
REGION = "us-east-2"
VARIABLES = "import json, sys; from tools.local import local_variables; print(json.dumps(local_variables(sys.argv[1])))"
# A change outside of Pulumi.
CHANGE_OUTSIDE_OF_PULUMI = """
import boto3, sys
_, region, stack, days = sys.argv
logs = boto3.client("logs", region_name=region)
logs.put_retention_policy(logGroupName=f"/aws/lambda/event-pipeline-{stack}-processor", retentionInDays=int(days))
"""
# The stacks of CI. `local` is the only environment that may be deployed to an emulator, but not a stack of CI, so that
# these are two stacks of that environment, in one emulator as two stacks are in one account.
FIRST, SECOND = STACKS = ("first", "second")
# Start an emulator without a stack.
START = """
from tools.emulator import keep_emulator, start_emulator
from tools.local import STATE_FOLDER
from tools.watchdog import Watchdog
with Watchdog() as watchdog:
    start_emulator(watchdog)
    keep_emulator(watchdog)
STATE_FOLDER.mkdir()
"""
# The emulator's account.
ACCOUNT = """
import boto3, sys
print(boto3.client("sts", region_name=sys.argv[1]).get_caller_identity()["Account"])
"""
# What a stack's function runs.
FUNCTION = """
import boto3, json, sys
client = boto3.client("lambda", region_name=sys.argv[1])
name = f"event-pipeline-{sys.argv[2]}-processor"
found = client.get_function_configuration(FunctionName=name, Qualifier="live")
print(json.dumps([found["CodeSha256"], found["MemorySize"]]))
"""
# Another key, so that the stack's own would be deleted.
OTHER_KEY = f"arn:aws:kms:{REGION}:123456789012:key/99999999-8888-7777-6666-555555555555"
# The emulator's resources, except for keys that AWS manages or that are pending deletion.
CONTENT = """
import boto3, json, sys
client = lambda name: boto3.client(name, region_name=sys.argv[1])
keys = client("kms")
described = [keys.describe_key(KeyId=each["KeyId"])["KeyMetadata"] for each in keys.list_keys()["Keys"]]
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
    "keys": [each["KeyId"] for each in described if (each["KeyManager"], each["KeyState"]) == ("CUSTOMER", "Enabled")],
}))
"""

CheckOut = Callable[[Project], "Checkout"]


class Checkout:
    """A project in its own folder, installed by its package manager.

    Attributes:
        project: The project.
        variables: The environment of its commands.
    """

    def __init__(self, project: Project, variables: dict[str, str]) -> None:
        self.project = project
        self.variables = variables
        self._by_address: dict[str, dict[str, str]] = {}

    def run(self, *command: str, **more: str) -> str:
        """Run a command that must succeed, and return what it has printed."""
        finished = self.finished(*command, **more)
        assert finished.returncode == 0, finished.stdout
        return finished.stdout

    def finished(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        return subprocess.run(
            command,
            cwd=self.project.path,
            env=self.variables | more,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    def task(self, *task: str, **more: str) -> str:
        """Run a task."""
        return self.run(*self.project.run.split(), *task, **more)

    def python(self, *arguments: str, **more: str) -> str:
        """Run Python in the project's environment."""
        return self.run(self.project.package_manager, "run", "python", *arguments, **more)

    def local_variables(self) -> dict[str, str]:
        """Return the environment variables for the emulator."""
        address = json.loads(self.project.read(".local/emulator.json"))["url"]
        if address not in self._by_address:
            self._by_address[address] = json.loads(self.python("-c", VARIABLES, address))
        return self._by_address[address]

    def function(self, stack: str) -> list[str | int]:
        """Return the digest of the code that a stack's function runs, and its memory."""
        return json.loads(self.python("-c", FUNCTION, REGION, stack, **self.local_variables()))

    def ci(self, task: str, *stack: str, **more: str) -> str:
        """Run a task as CI does, without a role: credentials are the emulator's. Most integration tests are left out.

        Returns:
            The reason if it was refused, in one line.
        """
        variables = self.local_variables() | {"CI": "true", "PYTEST_ADDOPTS": "-k bundle"} | more
        finished = self.finished(*self.project.run.split(), task, *stack, **variables)
        prefix = f"{task}: {''.join(stack)}: "
        lines = [line.removeprefix(prefix) for line in finished.stdout.splitlines() if line.startswith(prefix)]
        assert "Traceback" not in finished.stdout
        assert finished.returncode == (lines not in ([], ["done"])), finished.stdout
        return "" if finished.returncode == 0 else lines[0]

    def promote(self, *stacks: str) -> None:
        """Deploy to one stack after the other what is planned for it."""
        for stack in stacks:
            assert self.ci("ci-plan", stack) == ""
            assert self.ci("ci-deploy", stack) == ""

    def changes(self) -> dict[str, str]:
        """Preview the local stack, and return the engine's operations by the resources' logical names."""
        preview = ("-m", "tools.engine", "preview", "--stack", "local", "--json")
        output = self.python(*preview, **self.local_variables())
        steps: list[dict[str, Any]] = json.loads(output[output.index("{") :])["steps"]
        return {step["urn"].rpartition("::")[2]: step["op"] for step in steps if step["op"] != "same"}

    def findings(self) -> list[dict[str, Any]]:
        """Validate the deployed local stack, and return the findings."""
        command = ("-m", "tools.validate", "local", "--live", "--format", "json")
        program = f"import subprocess, sys; subprocess.run([sys.executable, *{command!r}])"
        output = self.python("-c", program)
        report = json.loads(output[f"\n{output}".index("\n{\n") :])
        assert report["deployments"] == {"local": "deployed"}
        return report["findings"]


@pytest.fixture(name="check_out")
def fixture_check_out(
    engine: str, environment: Environment, tmp_path: Path, request: pytest.FixtureRequest
) -> CheckOut:
    """Copy and install a project, with an engine on the PATH; its local stack is stopped after the test."""
    dropped = ("AWS_", "PYTEST_", "COV_", "PULUMI_", "VIRTUAL_ENV", "CI", "GITHUB_", "GITLAB_")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    variables |= {"PIPENV_VENV_IN_PROJECT": "1", "PIPENV_IGNORE_VIRTUALENVS": "1", "NO_COLOR": "1"}
    variables["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), variables["PATH"]])
    if engine == "stand-in":
        stand_in = stand_in_for_the_engine(environment, tmp_path)
        stand_in["PATH"] = os.pathsep.join([stand_in["PATH"].split(os.pathsep)[0], variables["PATH"]])
        variables |= stand_in

    def check_out(project: Project) -> Checkout:
        checkout = Checkout(project.copy(tmp_path), variables)
        checkout.run(*INSTALL[project.package_manager])
        request.addfinalizer(lambda: checkout.task("local-down"))
        return checkout

    return check_out


@pytest.mark.parametrize("engine", [STAND_IN, PULUMI])
@pytest.mark.parametrize("package_manager", INSTALL)
def test_test_local_passes_and_leaves_nothing(
    check_out: CheckOut, default_project: Project, pipenv_project: Project, package_manager: str, engine: str
) -> None:
    project = {"uv": default_project, "pipenv": pipenv_project}[package_manager]
    checkout = check_out(project)
    # Download first, so that downloads are not measured.
    checkout.python("-c", "from tools.emulator import find_interpreter; find_interpreter()")
    if engine == "pulumi":
        version = "from importlib.metadata import version; print(version('pulumi-aws'))"
        checkout.run("pulumi", "plugin", "install", "resource", "aws", checkout.python("-c", version).strip())
    began = time.monotonic()

    output = checkout.task("test-local")

    assert time.monotonic() - began < 150
    assert " passed in " in output
    assert not (checkout.project.path / ".local").exists()
    assert not (checkout.project.path / OUTPUTS).exists()
    assert {name: checkout.project.read(name) for name in project.names()} == {
        name: project.read(name) for name in project.names()
    }


@pytest.mark.parametrize("engine", [STAND_IN, PULUMI])
def test_the_local_stack_is_deployed_used_updated_and_stopped(check_out: CheckOut, default_project: Project) -> None:
    checkout = check_out(default_project)
    project = checkout.project

    assert "Deployed to the emulator at" in checkout.task("local-up")
    assert "Notification: published to" in checkout.task("local-send")
    outputs = project.read(OUTPUTS)

    # A second deployment changes nothing.
    assert checkout.changes().keys() <= RETURNED_DIFFERENTLY.keys()
    checkout.task("local-up")
    assert project.read(OUTPUTS) == outputs

    # A changed setting is an update in place.
    project.replace("Pulumi.local.yaml", "lambdaMemoryMb: 512", "lambdaMemoryMb: 1024")
    changes = checkout.changes()
    assert changes["function"] == changes["function-live"] == "update"
    assert changes.keys() <= {"function", "function-live", *RETURNED_DIFFERENTLY}
    checkout.task("local-up")
    variables = checkout.local_variables() | {"AWS_DEFAULT_REGION": REGION}
    checkout.task("test-py-integration", "-k", "function", **variables)

    # Changed code is updated in place too.
    project.replace("processor/storage.py", 'Subject="Event received"', 'Subject="Event changed"')
    checkout.task("local-up")
    assert "Notification: published to" in checkout.task("local-send")
    checkout.task("test-py-integration", "-k", "bundle", **variables)

    assert "local-down: stopped" in checkout.task("local-down")
    assert not (project.path / ".local").exists()


@pytest.mark.parametrize("engine", [PULUMI])
def test_drift_and_pending_changes_are_reported(check_out: CheckOut, default_project: Project) -> None:
    checkout = check_out(default_project)
    checkout.task("local-up")
    assert checkout.findings() == []

    checkout.python("-c", CHANGE_OUTSIDE_OF_PULUMI, REGION, "local", "1", **checkout.local_variables())
    (drift,) = checkout.findings()
    assert (drift["rule"], drift["key"]) == ("drift", "function-logs")
    assert "retentionInDays: expected 7, got 1" in drift["message"]

    checkout.project.replace("Pulumi.local.yaml", "logRetentionDays: 7", "logRetentionDays: 14")
    assert ("pending-change", "function-logs") in {(finding["rule"], finding["key"]) for finding in checkout.findings()}

    checkout.task("local-up")
    assert checkout.findings() == []


@pytest.mark.parametrize("engine", [PULUMI])
def test_a_stack_can_be_destroyed(check_out: CheckOut, default_project: Project) -> None:
    checkout = check_out(default_project)
    checkout.task("local-up")
    checkout.task("local-send")
    variables = checkout.local_variables()

    checkout.python("-m", "tools.engine", "destroy", "--stack", "local", "--yes", "--skip-preview", **variables)

    content = json.loads(checkout.python("-c", CONTENT, REGION, **variables))
    assert not any(content.values()), content


@pytest.mark.parametrize("engine", [STAND_IN, PULUMI])
def test_a_commit_goes_from_stack_to_stack_unless_something_stops_it(
    check_out: CheckOut, default_project: Project
) -> None:
    checkout = check_out(default_project)
    project = checkout.project
    local = project.read("Pulumi.local.yaml")
    for file in project.path.glob("Pulumi.*.yaml"):
        file.unlink()
    checkout.python("-c", START)
    variables = checkout.local_variables()
    account = checkout.python("-c", ACCOUNT, REGION, **variables).strip()
    for stack in STACKS:
        text = local.replace("environmentSuffix: local", f"environmentSuffix: {stack}")
        text += f'  aws:allowedAccountIds: ["{account}"]\n'
        (project.path / f"Pulumi.{stack}.yaml").write_text(text, encoding="utf-8")
        checkout.python("-m", "tools.engine", "stack", "init", stack, "--no-select", **variables)

    def change_outside_of_pulumi(stack: str, days: int) -> None:
        checkout.python("-c", CHANGE_OUTSIDE_OF_PULUMI, REGION, stack, str(days), **variables)

    def plan(stack: str) -> Path:
        return project.path / "build" / "ci" / f"{stack}.plan.json"

    # The first commit is deployed to both, as the same bytes.
    checkout.ci("ci-package")
    checkout.promote(FIRST, SECOND)
    original = checkout.function(FIRST)
    assert checkout.function(SECOND) == original

    # The second is stopped before a stack that was changed behind the engine's back, and goes on when that is reverted.
    storage = project.read("processor/storage.py")
    project.replace("processor/storage.py", 'Subject="Event received"', 'Subject="Event changed"')
    checkout.ci("ci-package")
    checkout.promote(FIRST)
    change_outside_of_pulumi(SECOND, 1)
    for task in ("ci-plan", "ci-drift"):
        assert checkout.ci(task, SECOND).startswith("changed outside Pulumi: function-logs;")
    assert checkout.ci("ci-deploy", SECOND).startswith("second.plan.json is not in ")
    assert checkout.function(SECOND) == original
    change_outside_of_pulumi(SECOND, 7)
    checkout.promote(SECOND)
    changed = checkout.function(SECOND)
    assert checkout.function(FIRST) == changed != original

    # What holds data is deleted only if a person has said so for this stack.
    settings = project.read("Pulumi.first.yaml")
    project.replace(
        "Pulumi.first.yaml", "forceDestroy: true", f"forceDestroy: true\n  {project.slug}:kmsKeyArn: {OTHER_KEY}"
    )
    refused = checkout.ci("ci-plan", FIRST, CI_ALLOW_DATA_LOSS=SECOND)
    assert re.match(r"it would delete or replace what holds data: (.+, )?key[,;]", refused)
    assert not plan(FIRST).exists()
    assert checkout.ci("ci-plan", FIRST, CI_ALLOW_DATA_LOSS=FIRST) == ""
    assert plan(FIRST).exists()
    (project.path / "Pulumi.first.yaml").write_text(settings, encoding="utf-8")

    # Nothing but what was planned is deployed.
    assert checkout.ci("ci-plan", FIRST) == ""
    project.replace("Pulumi.first.yaml", "lambdaMemoryMb: 512", "lambdaMemoryMb: 1024")
    assert checkout.ci("ci-deploy", FIRST).startswith("function would not change as planned:")
    assert checkout.function(FIRST) == changed
    (project.path / "Pulumi.first.yaml").write_text(settings, encoding="utf-8")

    # A rollback deploys the earlier commit on the same path.
    (project.path / "processor/storage.py").write_text(storage, encoding="utf-8")
    checkout.ci("ci-package")
    checkout.promote(FIRST)
    assert checkout.function(FIRST) == original
