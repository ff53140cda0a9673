"""The tasks of the local stack, with a stand-in for the engine that really deploys."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.deployment.emulated import OUTPUTS, stand_in_for_the_engine
from tests.projects import Environment, Project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="the stand-in for the engine is a script with a shebang"),
]

INIT = ["stack", "init", "local", "--no-select"]
UP = ["up", "--stack", "local", "--yes", "--skip-preview", "--non-interactive"]
OUTPUT = ["stack", "output", "--json", "--stack", "local"]
RECORD = ".local/emulator.json"
STOP = "from tools.emulator import stop_emulator; stop_emulator()"
# A client outside of this project.
SEND_AND_WAIT = """
import boto3, json, time
outputs = json.load(open("cfn-outputs/flat-outputs.json"))
body = '{"type": "order.created", "data": {"id": 7} }'
message = boto3.client("sqs").send_message(QueueUrl=outputs["queue_url"], MessageBody=body)["MessageId"]
table, deadline = boto3.resource("dynamodb").Table(outputs["table_name"]), time.monotonic() + 20
while time.monotonic() < deadline:
    item = table.get_item(Key={"message_id": message}).get("Item")
    if item:
        found = boto3.client("s3").get_object(Bucket=outputs["bucket_name"], Key=item["object_key"])
        print(found["Body"].read().decode())
        break
    time.sleep(0.1)
"""


class Shell:
    """A shell in a project's folder, with the stand-in on the PATH.

    Attributes:
        project: The project.
        environment: Environment of its commands.
        folder: Folder for the tests' records.
        engine: Environment variables for the stand-in.
    """

    def __init__(self, project: Project, environment: Environment, folder: Path) -> None:
        self.project = project
        self.environment = environment
        self.folder = folder
        self.engine = stand_in_for_the_engine(environment, folder)

    def variables(self, **more: str) -> dict[str, str]:
        """Environment variables of the commands."""
        return self.environment.variables() | self.engine | {"PULUMI_WAITING": str(self.folder / "waiting")} | more

    def task(self, *task: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a task to its end."""
        return self.environment.task(self.project, *task, **self.variables(**more))

    def begin(self, *task: str, **more: str) -> subprocess.Popen[str]:
        """Start a task in its own process group."""
        return subprocess.Popen(
            [str(self.environment.executable("poe")), *task],
            cwd=self.project.path,
            env=self.variables(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )

    def wait_until_it_waits(self) -> None:
        """Wait until a task has reached the command that waits for an interrupt."""
        deadline = time.monotonic() + 60
        while not (self.folder / "waiting").exists():
            assert time.monotonic() < deadline, "the task has not reached the command that waits"
            time.sleep(0.05)

    def calls(self) -> list[list[str]]:
        """Return the calls of the engine, and forget them."""
        path = self.folder / "calls"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]

    def record(self) -> dict[str, Any]:
        """Read the record of the running emulator."""
        return json.loads(self.project.read(RECORD))

    def address(self) -> str:
        """Return the address of the running emulator."""
        return self.record()["url"]

    def emulator_variables(self) -> dict[str, str]:
        """Return the variables that the task prints."""
        address = self.address()
        credentials = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
        return {"AWS_ENDPOINT_URL": address, "AWS_DEFAULT_REGION": "us-east-2"} | credentials

    def processes(self) -> list[str]:
        """List the processes that belong to the project, by their commands."""
        found = []
        for process in psutil.process_iter(["cmdline", "cwd", "status"]):
            words = [*(process.info["cmdline"] or []), process.info["cwd"] or ""]
            if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(self.folder) in word for word in words):
                found.append(" ".join(words))
        return found

    def wait_until_nothing_runs(self) -> None:
        """Wait up to ten seconds until the project has no processes."""
        deadline = time.monotonic() + 10
        while self.processes():
            assert time.monotonic() < deadline, self.processes()
            time.sleep(0.1)


@pytest.fixture(name="shell")
def fixture_shell(packaged_project: Project, environment: Environment, tmp_path: Path) -> Iterator[Shell]:
    """A shell in a copy of the project; its emulator is stopped after the test."""
    shell = Shell(packaged_project.copy(tmp_path), environment, tmp_path)
    yield shell
    environment.run(shell.project, "python", "-c", STOP)


@pytest.fixture(name="up")
def fixture_up(shell: Shell) -> Shell:
    """A shell in a copy of the project with a running local stack."""
    finished = shell.task("local-up")
    assert finished.returncode == 0, finished.stdout
    shell.calls()
    return shell


def answers(address: str) -> bool:
    """Whether an emulator answers."""
    try:
        urllib.request.urlopen(f"{address}/_ministack/health", timeout=5).close()  # noqa: S310 # our own emulator
    except OSError:
        return False
    return True


def test_a_newcomer_sees_a_message_go_through(shell: Shell) -> None:
    committed = shell.project.names()
    up = shell.task("local-up")
    assert up.returncode == 0, up.stdout
    assert shell.calls() == [INIT, UP, OUTPUT]
    address = shell.address()
    said = [
        "it takes about 100 s, mostly waits in the AWS provider.",
        f"Deployed to the emulator at {address} in",
    ]
    assert [text for text in said if text not in up.stdout] == []
    assert f"    queue_url        {address}/123456789012/event-pipeline-local-queue\n" in up.stdout
    assert "    uv run poe local-send\n" in up.stdout

    sent = shell.task("local-send")
    assert sent.returncode == 0, sent.stdout
    assert '    {"type": "order.created", "data": {"id": 1}}\n' in sent.stdout
    assert "Object:       s3://event-pipeline-local-payloads-123456789012/messages/" in sent.stdout
    assert "Item:         " in sent.stdout
    assert (
        "Notification: published to arn:aws:sns:us-east-2:123456789012:event-pipeline-local-notifications"
        in sent.stdout
    )
    assert re.search(r"The function's log:\n    START RequestId: .*\n.*\"MessagesProcessed\"", sent.stdout)

    bad = shell.task("local-send", "no JSON")
    assert bad.returncode == 0, bad.stdout
    assert f"Dead letter:  in {address}/123456789012/event-pipeline-local-dead-letter-queue\n" in bad.stdout
    assert "Reason:       ValidationError: body: Invalid JSON" in bad.stdout
    assert '"message":"Message dead-lettered"' in bad.stdout

    again = shell.task("local-up")
    assert again.returncode == 0, again.stdout
    assert shell.calls() == [UP, OUTPUT]
    assert shell.address() == address

    began = time.monotonic()
    down = shell.task("local-down")
    assert down.returncode == 0, down.stdout
    assert time.monotonic() - began < 5
    assert shell.calls() == []
    assert shell.processes() == []
    assert not answers(address)
    left = {name for name in shell.project.names() - committed if "__pycache__" not in name}
    assert left <= {"uv.lock", ".local.lock"}


def test_a_message_from_any_client_triggers_the_function(up: Shell) -> None:
    finished = up.environment.run(up.project, "python", "-c", SEND_AND_WAIT, **up.emulator_variables())

    assert finished.stdout == '{"type": "order.created", "data": {"id": 7} }\n'


def test_changed_code_is_deployed_to_the_running_stack(up: Shell) -> None:
    up.project.replace("processor/names.py", 'OBJECT_PREFIX: Final = "messages/"', 'OBJECT_PREFIX: Final = "changed/"')
    # The function's permissions change with it, which the stand-in for the engine cannot update.
    up.project.replace("infrastructure/processing.py", "OBJECT_PREFIX,", '"messages/",')
    up.project.replace("infrastructure/processing.py", "from processor.names import OBJECT_PREFIX\n", "")
    address = up.address()

    again = up.task("local-up")

    assert again.returncode == 0, again.stdout
    assert "Deploying the changes ..." in again.stdout
    assert up.address() == address
    assert "s3://event-pipeline-local-payloads-123456789012/changed/" in up.task("local-send").stdout


def test_the_log_is_followed_until_interrupted(up: Shell) -> None:
    with up.begin("local-logs") as process:
        up.task("local-send", "no JSON")
        assert process.stdout
        line = next(line for line in process.stdout if "Message dead-lettered" in line)
        os.killpg(process.pid, signal.SIGINT)
        rest = process.communicate(timeout=30)[0]

    assert json.loads(line)["error_code"] == "ValidationError"
    assert process.returncode == 130
    assert rest.endswith("local-logs: interrupted\n")


def test_the_gate_passes_while_the_local_stack_is_up(up: Shell) -> None:
    assert up.task("local-send").returncode == 0
    assert list(up.project.path.glob(".local/emulator/ministack-lambda-*/code/processor/handler.py"))

    for command in ("ruff check", "ruff format --check", "ty check"):
        finished = up.environment.run(up.project, *command.split())
        assert finished.returncode == 0, finished.stdout[-2000:]


def test_the_emulator_listens_on_loopback_only(up: Shell) -> None:
    process = psutil.Process(up.record()["pid"])
    family = [process, *process.children(recursive=True)]

    listening = {each.laddr.ip for one in family for each in one.net_connections() if each.status == psutil.CONN_LISTEN}

    assert listening == {"127.0.0.1"}


def test_the_integration_tests_run_against_the_running_stack(up: Shell) -> None:
    finished = up.task("test-py-integration", "-k", "not workflow", **up.emulator_variables())

    assert finished.returncode == 0, finished.stdout
    assert " passed, " in finished.stdout


def test_test_local_deploys_tests_and_leaves_nothing(shell: Shell) -> None:
    finished = shell.task("test-local")

    assert finished.returncode == 0, finished.stdout
    assert re.search(r"=+ \d\d passed in ", finished.stdout), finished.stdout
    assert shell.calls() == [INIT, UP, OUTPUT]
    assert not (shell.project.path / ".local").exists()
    assert not (shell.project.path / OUTPUTS).exists()
    assert shell.processes() == []


def test_failed_integration_tests_fail_test_local(shell: Shell) -> None:
    shell.project.replace("tools/testing/readers.py", '{"isEnabled": True}', '{"isEnabled": False}')

    finished = shell.task("test-local")

    assert finished.returncode == 1, finished.stdout
    assert "aws:kms/key:Key key: isEnabled: found True, promised False" in finished.stdout
    assert shell.processes() == []


# Where a task can be stopped: in a command of the engine, or in the tests.
STEPS = [("local-up", "init"), ("local-up", "up"), ("test-local", "up"), ("test-local", "tests")]
SLOW_TEST = """\
import os, pathlib, time

def test_slow(pipeline):
    pathlib.Path(os.environ["PULUMI_WAITING"]).touch()
    time.sleep(60)
"""


def begun(shell: Shell, task: str, step: str) -> subprocess.Popen[str]:
    """Start a task, and wait until it reaches a step that does not end by itself."""
    if step == "tests":
        (shell.project.path / "tests" / "integration" / "test_a_slow_one.py").write_text(SLOW_TEST, encoding="utf-8")
    process = shell.begin(task, PULUMI_WAITS=step)
    shell.wait_until_it_waits()
    return process


@pytest.mark.parametrize(("task", "step"), STEPS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "kill"])
def test_an_interrupt_ends_everything_at_once_and_the_next_start_works(
    shell: Shell, task: str, step: str, number: signal.Signals
) -> None:
    with begun(shell, task, step) as process:
        # A terminal interrupts every process of the command; kill ends only the one that was started.
        if number is signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        output, _ = process.communicate(timeout=10)

    assert process.returncode == 130, output
    assert f"{task}: interrupted" in output
    assert step == "tests" or "Traceback" not in output
    assert shell.processes() == []
    next_start = shell.task("local-up")
    assert next_start.returncode == 0, next_start.stdout
    assert answers(shell.address())


@pytest.mark.parametrize(("task", "step"), STEPS)
def test_a_task_that_is_killed_leaves_nothing_and_the_next_start_works(shell: Shell, task: str, step: str) -> None:
    with begun(shell, task, step) as process:
        process.kill()
        process.communicate(timeout=10)

    shell.wait_until_nothing_runs()
    next_start = shell.task("local-up")
    assert next_start.returncode == 0, next_start.stdout


@pytest.mark.parametrize("task", ["local-up", "pulumi-deploy"])
def test_an_interrupted_update_is_waited_for(up: Shell, task: str) -> None:
    with begun(up, task, "up") as process:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)

    assert process.returncode == 130, output
    assert f"{task}: interrupted" in output
    received = json.loads((up.folder / "waiting").read_text(encoding="utf-8"))
    assert received == [signal.SIGINT], "the engine was disturbed"
    assert up.task("local-up").returncode == 0
    assert up.calls()[-2:] == [UP, OUTPUT]


def test_after_an_update_that_was_killed_the_next_one_starts_again(up: Shell) -> None:
    first = up.address()
    with begun(up, "local-up", "up") as process:
        process.kill()
        process.communicate(timeout=10)

    up.calls()
    again = up.task("local-up")

    assert again.returncode == 0, again.stdout
    assert "The last deployment was killed; starting over." in again.stdout
    assert up.calls() == [INIT, UP, OUTPUT]
    assert not answers(first)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such terminals")
def test_ctrl_c_at_a_terminal_interrupts_a_deployment(shell: Shell) -> None:
    """The engine's interactive display keeps Ctrl-C from all other processes."""
    import pty  # noqa: PLC0415 # Windows has none

    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(shell.project.path)
        command = str(shell.environment.executable("poe"))
        os.execve(command, [command, "local-up"], shell.variables(PULUMI_WAITS="up"))  # noqa: S606
    shell.wait_until_it_waits()

    os.write(terminal, b"\x03")

    output = b""
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 4096):
            output += chunk
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130, output
    assert b"local-up: interrupted" in output
    assert shell.processes() == []


@pytest.mark.parametrize("command", ["init", "up", "output"])
def test_a_failed_deployment_leaves_nothing_running(shell: Shell, command: str) -> None:
    finished = shell.task("local-up", PULUMI_FAILS=command)

    assert finished.returncode == 1
    assert "failed with exit status 255; its message is above" in finished.stdout
    assert "Traceback" not in finished.stdout
    assert shell.processes() == []
    assert not (shell.project.path / OUTPUTS).exists()


def test_an_emulator_that_has_died_is_replaced(up: Shell) -> None:
    first = up.address()
    psutil.Process(up.record()["pid"]).kill()
    while answers(first):
        time.sleep(0.05)

    again = up.task("local-up")

    assert again.returncode == 0, again.stdout
    assert up.calls() == [INIT, UP, OUTPUT]
    assert up.address() != first


def test_without_a_running_stack_the_tasks_say_so(shell: Shell) -> None:
    for task in ("local-send", "local-logs"):
        finished = shell.task(task)
        assert finished.returncode == 1
        assert finished.stdout.splitlines()[-1] == f"{task}: the local stack is not up; the task `local-up` deploys it"
    down = shell.task("local-down")
    assert down.returncode == 0
    assert down.stdout.splitlines()[-1] == "local-down: the local stack was not up"


@pytest.mark.parametrize(
    "task",
    [
        "local-up",
        "test-local",
        "pulumi-login",
        "pulumi-create-stack",
        "pulumi-preview",
        "pulumi-deploy",
        "pulumi-destroy",
        "outputs",
    ],
)
def test_without_the_engine_one_line_says_how_to_get_it(
    default_project: Project, environment: Environment, task: str
) -> None:
    # An empty PATH has no pulumi.
    finished = environment.task(default_project, task, PATH=str(environment.path / "bin"))

    assert finished.returncode == 1
    lines = [line for line in finished.stdout.splitlines() if not line.startswith("Poe =>")]
    assert lines == ["pulumi is not on the PATH; https://www.pulumi.com/docs/install/ says how to install it"]
    assert not list(default_project.path.glob(".local*"))
