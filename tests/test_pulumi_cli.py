"""End-to-end tests of the local stack, with each package manager, and of the CI commands, with two stacks.

They need the real Pulumi CLI on the PATH. `tests/tools` tests the same code with the CLI's recorded events and errors.
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

from tests.deployment.emulated import OUTPUTS
from tests.projects import Project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("pulumi") is None,
        reason="pulumi is not on the PATH; install it: https://www.pulumi.com/docs/install/",
    ),
]

INSTALL = {"uv": ("uv", "sync", "--quiet"), "pipenv": ("pipenv", "install", "--dev")}
# Every preview may report the queue as changed, because the emulator returns its redrive policy with extra spaces.
RETURNED_DIFFERENTLY = {"queue"}
REGION = "us-east-2"
VARIABLES = "import json, sys; from tools.local import local_variables; print(json.dumps(local_variables(sys.argv[1])))"
# Stacks for the CI commands. Only stacks with `environment: local` may be deployed to an emulator, but CI does not
# deploy the stack `local`. Therefore, both stacks have that setting, and share the emulator like one AWS account.
FIRST, SECOND = STACKS = ("first", "second")
START = """
from tools.emulator import keep_emulator, start_emulator
from tools.local import STATE_FOLDER
start_emulator()
keep_emulator()
STATE_FOLDER.mkdir()
"""
# Preamble of the programs that call the emulator. Arguments: the region and the stack.
CLIENT = """
import boto3, json, sys
client = lambda name: boto3.client(name, region_name=sys.argv[1])
name = f"event-pipeline-{sys.argv[2]}-processor"
"""
SET_RETENTION = (
    CLIENT
    + """client("logs").put_retention_policy(
    logGroupName=f"/aws/lambda/{name}", retentionInDays=int(sys.argv[3])
)"""
)
MOVE_ALIAS = CLIENT + """client("lambda").update_alias(FunctionName=name, Name="live", FunctionVersion=sys.argv[3])"""
FUNCTION = (
    CLIENT
    + """
found = client("lambda").get_function_configuration(FunctionName=name, Qualifier="live")
print(json.dumps([found["CodeSha256"], found["MemorySize"]]))
"""
)
# With another key in `kmsKeyArn`, a stack would delete its own key.
OTHER_KEY = f"arn:aws:kms:{REGION}:123456789012:key/99999999-8888-7777-6666-555555555555"
# Prints the emulator's resources, except for AWS managed keys and keys pending deletion.
CONTENT = (
    CLIENT
    + """
keys = client("kms")
described = [keys.describe_key(KeyId=each["KeyId"])["KeyMetadata"] for each in keys.list_keys()["Keys"]]
print(json.dumps({
    "buckets": client("s3").list_buckets()["Buckets"],
    "tables": client("dynamodb").list_tables()["TableNames"],
    "queues": client("sqs").list_queues().get("QueueUrls", []),
    "topics": client("sns").list_topics()["Topics"],
    "functions": client("lambda").list_functions()["Functions"],
    "mappings": client("lambda").list_event_source_mappings()["EventSourceMappings"],
    "roles": client("iam").list_roles()["Roles"],
    "logs": client("logs").describe_log_groups()["logGroups"],
    "alarms": client("cloudwatch").describe_alarms()["MetricAlarms"],
    "dashboards": client("cloudwatch").list_dashboards()["DashboardEntries"],
    "keys": [each["KeyId"] for each in described if (each["KeyManager"], each["KeyState"]) == ("CUSTOMER", "Enabled")],
}, default=str))
"""
)

CheckOut = Callable[[Project], "Checkout"]


class Checkout:
    """A copy of a project, with the dependencies installed by uv or Pipenv.

    Attributes:
        project: The copy.
        variables: Environment variables of all commands.
    """

    def __init__(self, project: Project, variables: dict[str, str]) -> None:
        self.project = project
        self.variables = variables

    def run(self, *command: str, **more: str) -> str:
        """Run a command that must succeed, and return its output."""
        finished = self.finished(*command, **more)
        assert finished.returncode == 0, finished.stdout
        return finished.stdout

    def finished(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command that may fail, and return the finished process."""
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
        """Run a task that must succeed, and return its output."""
        return self.run(*self.project.run.split(), *task, **more)

    def python(self, *arguments: str, **more: str) -> str:
        """Run Python in the project's virtual environment, and return the output."""
        return self.run(self.project.package_manager, "run", "python", *arguments, **more)

    def local_variables(self) -> dict[str, str]:
        """Return the environment variables that direct commands to the emulator."""
        address = json.loads(self.project.read(".local/emulator.json"))["url"]
        return json.loads(self.python("-c", VARIABLES, address))

    def pulumi(self, *arguments: str) -> str:
        """Run the Pulumi CLI against the emulator, and return its output."""
        return self.python("-m", "tools.pulumi_cli", *arguments, **self.local_variables())

    def call(self, code: str, *arguments: str) -> str:
        """Run Python code that calls the emulator, and return the output."""
        return self.python("-c", code, REGION, *arguments, **self.local_variables()).strip()

    def function(self, stack: str) -> list[str | int]:
        """Return the code's SHA-256 and the memory size of the function version behind a stack's alias ``live``."""
        return json.loads(self.call(FUNCTION, stack))

    def ci(self, command: str, stack: str, **more: str) -> str:
        """Run the task ``ci`` with a command and a stack; of the integration tests, only the memory test runs.

        Returns:
            The reason for a refusal, or an empty string if the command succeeds.
        """
        variables = self.local_variables() | {"CI": "true", "PYTEST_ADDOPTS": "-k memory"} | more
        finished = self.finished(*self.project.run.split(), "ci", command, stack, **variables)
        prefix = f"ci: {command} {stack}: "
        reasons = [line.removeprefix(prefix) for line in finished.stdout.splitlines() if line.startswith(prefix)]
        assert "Traceback" not in finished.stdout
        assert bool(finished.returncode) is bool(reasons), finished.stdout
        return "".join(reasons)

    def promote(self, *stacks: str) -> None:
        """Run ``ci plan`` and ``ci deploy`` for each stack, in order."""
        for stack in stacks:
            assert self.ci("plan", stack) == ""
            assert self.ci("deploy", stack) == ""

    def changes(self) -> dict[str, str]:
        """Preview the local stack, and return the operations other than ``same``, by logical name."""
        output = self.pulumi("preview", "--stack", "local", "--json")
        steps: list[dict[str, Any]] = json.loads(output[output.index("{") :])["steps"]
        return {step["urn"].rpartition("::")[2]: step["op"] for step in steps if step["op"] != "same"}

    def findings(self) -> list[tuple[str, str, str]]:
        """Validate the deployed local stack, and return each finding's rule, key and message."""
        finished = self.finished(*self.project.run.split(), "validate", "local", "--live", "--format", "json")
        report = json.loads(finished.stdout[f"\n{finished.stdout}".index("\n{\n") :])
        assert report["deployments"] == {"local": "deployed"}
        return [(each["rule"], each["key"], each["message"]) for each in report["findings"]]


@pytest.fixture(name="check_out")
def fixture_check_out(tmp_path: Path, request: pytest.FixtureRequest) -> CheckOut:
    """A function that copies a project and installs its dependencies. Teardown stops the copy's local stack."""
    dropped = ("AWS_", "PYTEST_", "COV_", "PULUMI_", "VIRTUAL_ENV", "CI", "GITHUB_", "GITLAB_")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    variables |= {"PIPENV_VENV_IN_PROJECT": "1", "PIPENV_IGNORE_VIRTUALENVS": "1", "NO_COLOR": "1"}
    variables["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), variables["PATH"]])

    def check_out(project: Project) -> Checkout:
        checkout = Checkout(project.copy(tmp_path), variables)
        checkout.run(*INSTALL[project.package_manager])
        request.addfinalizer(lambda: checkout.task("local-down"))
        return checkout

    return check_out


@pytest.mark.parametrize("package_manager", INSTALL)
def test_test_local_passes_and_leaves_nothing(
    check_out: CheckOut, default_project: Project, pipenv_project: Project, package_manager: str
) -> None:
    project = {"uv": default_project, "pipenv": pipenv_project}[package_manager]
    checkout = check_out(project)
    # Download the interpreter and the plugin in advance, because only the task itself is timed.
    checkout.python("-c", "from tools.emulator import find_interpreter; find_interpreter()")
    version = checkout.python("-c", "from importlib.metadata import version; print(version('pulumi-aws'))").strip()
    checkout.run("pulumi", "plugin", "install", "resource", "aws", version)
    began = time.monotonic()

    assert " passed in " in checkout.task("test-local")
    assert time.monotonic() - began < 150
    assert not (checkout.project.path / ".local").exists()
    assert not (checkout.project.path / OUTPUTS).exists()
    assert {name: checkout.project.read(name) for name in project.names()} == {
        name: project.read(name) for name in project.names()
    }


def test_the_local_stack_is_deployed_used_updated_and_destroyed(check_out: CheckOut, default_project: Project) -> None:
    checkout = check_out(default_project)
    project = checkout.project

    assert "Deployed to the emulator at" in checkout.task("local-up")
    assert "Notification: published to" in checkout.task("local-send")

    # A second deployment changes nothing.
    assert checkout.changes().keys() <= RETURNED_DIFFERENTLY
    checkout.task("local-up")

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

    checkout.pulumi("destroy", "--stack", "local", "--yes", "--skip-preview")
    content = json.loads(checkout.call(CONTENT, "local"))
    assert not any(content.values()), content


def test_drift_and_pending_changes_are_reported(check_out: CheckOut, default_project: Project) -> None:
    checkout = check_out(default_project)
    checkout.task("local-up")
    assert checkout.findings() == []

    checkout.call(SET_RETENTION, "local", "1")
    ((rule, _, message),) = checkout.findings()
    assert rule == "drift"
    assert "retentionInDays" in message

    checkout.project.replace("Pulumi.local.yaml", "lambdaMemoryMb: 512", "lambdaMemoryMb: 1024")
    assert {rule for rule, _, _ in checkout.findings()} == {"drift", "pending-change"}

    checkout.task("local-up")
    assert checkout.findings() == []


def test_a_commit_is_promoted_from_stack_to_stack_unless_refused(check_out: CheckOut, default_project: Project) -> None:
    checkout = check_out(default_project)
    project = checkout.project
    local = project.read("Pulumi.local.yaml")
    for file in project.path.glob("Pulumi.*.yaml"):
        file.unlink()
    checkout.python("-c", START)
    for stack in STACKS:
        text = local.replace("environmentSuffix: local", f"environmentSuffix: {stack}")
        (project.path / f"Pulumi.{stack}.yaml").write_text(text, encoding="utf-8")
        checkout.pulumi("stack", "init", stack, "--no-select")

    # The first commit is deployed to both stacks, with the same bundle.
    checkout.promote(FIRST, SECOND)
    original = checkout.function(FIRST)
    assert checkout.function(SECOND) == original

    # Drift in the second stack stops the second commit until a person allows the drift.
    storage = project.read("processor/storage.py")
    project.replace("processor/storage.py", 'Subject="Event received"', 'Subject="Event changed"')
    checkout.promote(FIRST)
    checkout.call(SET_RETENTION, SECOND, "1")
    for command in ("plan", "drift"):
        assert re.match(
            r"changed outside Pulumi: \S+ \(retentionInDays\); revert the drift", checkout.ci(command, SECOND)
        )
    assert checkout.ci("deploy", SECOND).startswith("second.plan.json is not in ")
    assert checkout.ci("plan", SECOND, CI_ALLOW_DRIFT=SECOND) == ""
    assert checkout.ci("deploy", SECOND) == ""
    assert checkout.ci("drift", SECOND) == ""
    changed = checkout.function(SECOND)
    assert checkout.function(FIRST) == changed != original

    # A deployment fails on drift since the plan.
    assert checkout.ci("plan", SECOND) == ""
    checkout.call(SET_RETENTION, SECOND, "1")
    assert re.match(r"\S+ violates the saved plan; re-run all jobs", checkout.ci("deploy", SECOND))
    checkout.call(SET_RETENTION, SECOND, "7")

    # Stateful resources are deleted or replaced only if a person allows it for this stack.
    settings = project.read("Pulumi.first.yaml")
    key = f"forceDestroy: true\n  {project.slug}:kmsKeyArn: {OTHER_KEY}"
    project.replace("Pulumi.first.yaml", "forceDestroy: true", key)
    refused = checkout.ci("plan", FIRST, CI_ALLOW_DATA_LOSS=SECOND)
    assert re.match(r"the plan deletes or replaces stateful resources: (.+, )?key[,;]", refused)
    assert checkout.ci("plan", FIRST, CI_ALLOW_DATA_LOSS=FIRST) == ""
    (project.path / "Pulumi.first.yaml").write_text(settings, encoding="utf-8")

    # A deployment fails on changes that are not in the saved plan.
    assert checkout.ci("plan", FIRST) == ""
    project.replace("Pulumi.first.yaml", "lambdaMemoryMb: 512", "lambdaMemoryMb: 1024")
    assert re.match(r"\S+ violates the saved plan; re-run all jobs", checkout.ci("deploy", FIRST))
    assert checkout.function(FIRST) == changed
    (project.path / "Pulumi.first.yaml").write_text(settings, encoding="utf-8")

    # A rollback moves the alias. The next deployment repairs this drift, even with the same commit.
    checkout.call(MOVE_ALIAS, FIRST, "1")
    assert checkout.function(FIRST) == original
    assert checkout.ci("drift", FIRST) == ""
    checkout.promote(FIRST)
    assert checkout.function(FIRST) == changed

    # After a rollback, a commit with different code needs only one plan and one deployment.
    checkout.call(MOVE_ALIAS, FIRST, "1")
    (project.path / "processor/storage.py").write_text(storage, encoding="utf-8")
    checkout.promote(FIRST)
    assert checkout.function(FIRST) == original
