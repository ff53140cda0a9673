"""Tests of the local stack's tasks. A stand-in for the Pulumi CLI deploys to a real emulator."""

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

from tests.deployment.emulated import OUTPUTS, put_stand_in_on_path
from tests.projects import Environment, Project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="the stand-in for the Pulumi CLI is a script with a shebang"),
]

INIT = ["stack", "init", "local", "--no-select"]
UP = ["up", "--stack", "local", "--yes", "--skip-preview", "--non-interactive"]
OUTPUT = ["stack", "output", "--json", "--stack", "local"]
RECORD = ".local/emulator.json"
STOP = "from tools.emulator import stop_emulator; stop_emulator()"


class Shell:
    """A shell in a project's folder, with the stand-in for the Pulumi CLI on the PATH.

    Attributes:
        project: The project.
        environment: Virtual environment of the commands.
        folder: Folder for the stand-in and its records.
        stand_in: Environment variables for the stand-in.
    """

    def __init__(self, project: Project, environment: Environment, folder: Path) -> None:
        self.project = project
        self.environment = environment
        self.folder = folder
        self.stand_in = put_stand_in_on_path(environment, folder)

    def variables(self, **more: str) -> dict[str, str]:
        """Return the environment variables of the commands, plus ``more``."""
        return self.environment.variables() | self.stand_in | {"PULUMI_WAITING": str(self.folder / "waiting")} | more

    def task(self, *task: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a task to completion."""
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

    def wait_until_blocked(self) -> None:
        """Wait until a task has reached its blocking step."""
        deadline = time.monotonic() + 60
        while not (self.folder / "waiting").exists():
            assert time.monotonic() < deadline, "the task has not reached the step that blocks"
            time.sleep(0.05)

    def calls(self) -> list[list[str]]:
        """Return the recorded calls to the Pulumi CLI, and clear the record."""
        path = self.folder / "calls"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]

    def record(self) -> dict[str, Any]:
        """Read ``emulator.json``, with the running emulator's URL and process ID."""
        return json.loads(self.project.read(RECORD))

    def address(self) -> str:
        """Return the running emulator's URL."""
        return self.record()["url"]

    def processes(self) -> list[str]:
        """List the running processes whose command or working directory contains the test's folder."""
        found = []
        for process in psutil.process_iter(["cmdline", "cwd", "status"]):
            words = [*(process.info["cmdline"] or []), process.info["cwd"] or ""]
            if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(self.folder) in word for word in words):
                found.append(" ".join(words))
        return found


@pytest.fixture(name="shell")
def fixture_shell(packaged_project: Project, environment: Environment, tmp_path: Path) -> Iterator[Shell]:
    """A shell in a copy of the project. Teardown stops the copy's emulator."""
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
    try:
        urllib.request.urlopen(f"{address}/_ministack/health", timeout=5).close()  # noqa: S310 # our own emulator
    except OSError:
        return False
    return True


def test_the_local_stack_handles_valid_and_malformed_messages(shell: Shell) -> None:
    committed = shell.project.names()
    up = shell.task("local-up")
    assert up.returncode == 0, up.stdout
    assert shell.calls() == [INIT, UP, OUTPUT]
    address = shell.address()
    said = [
        "this takes about 100 s, mostly fixed waits of the AWS provider.",
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
    assert re.search(
        r"The function's log:\n    START RequestId: .*\n.*\"Message processed\".*\n.*\"MessagesProcessed\"", sent.stdout
    )

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


def test_changed_code_is_deployed_to_the_running_stack(up: Shell) -> None:
    up.project.replace("processor/names.py", '"MessagesProcessed"', '"MessagesChanged"')
    address = up.address()

    again = up.task("local-up")

    assert again.returncode == 0, again.stdout
    assert "Deploying the changes ..." in again.stdout
    assert up.address() == address
    assert '"MessagesChanged"' in up.task("local-send").stdout


def test_the_log_is_followed_until_interrupted(up: Shell) -> None:
    with up.begin("local-send", "--follow") as process:
        assert process.stdout
        assert next(line for line in process.stdout if "Message processed" in line)
        up.task("local-send", "no JSON")
        line = next(line for line in process.stdout if "Message dead-lettered" in line)
        os.killpg(process.pid, signal.SIGINT)
        rest = process.communicate(timeout=30)[0]

    assert json.loads(line)["error_code"] == "ValidationError"
    assert process.returncode == 130
    assert rest.endswith("local-send: interrupted\n")


def test_the_emulator_listens_on_loopback_only(up: Shell) -> None:
    process = psutil.Process(up.record()["pid"])
    family = [process, *process.children(recursive=True)]

    listening = {each.laddr.ip for one in family for each in one.net_connections() if each.status == psutil.CONN_LISTEN}

    assert listening == {"127.0.0.1"}


def test_test_local_deploys_tests_and_leaves_nothing(shell: Shell) -> None:
    finished = shell.task("test-local")

    assert finished.returncode == 0, finished.stdout
    assert re.search(r"=+ \d\d passed in ", finished.stdout), finished.stdout
    assert shell.calls() == [INIT, UP, OUTPUT]
    assert not (shell.project.path / ".local").exists()
    assert not (shell.project.path / OUTPUTS).exists()
    assert shell.processes() == []


SLOW_TEST = """\
import os, pathlib, time

def test_slow():
    pathlib.Path(os.environ["PULUMI_WAITING"]).touch()
    time.sleep(60)
"""


def begun(shell: Shell, task: str, step: str) -> subprocess.Popen[str]:
    """Start a task whose ``step`` blocks, and wait until the task reaches this step."""
    if step == "tests":
        (shell.project.path / "tests" / "integration" / "test_a_slow_one.py").write_text(SLOW_TEST, encoding="utf-8")
    process = shell.begin(task, PULUMI_WAITS=step)
    shell.wait_until_blocked()
    return process


def test_a_terminated_test_local_leaves_nothing(shell: Shell) -> None:
    with begun(shell, "test-local", "tests") as process:
        process.terminate()
        output, _ = process.communicate(timeout=10)

    assert process.returncode == 130, output
    assert "test-local: interrupted" in output
    assert shell.processes() == []


def test_local_up_after_a_killed_start_stops_the_old_emulator(shell: Shell) -> None:
    with begun(shell, "local-up", "up") as process:
        first = shell.address()
        process.kill()
        process.communicate(timeout=10)

    again = shell.task("local-up")

    assert again.returncode == 0, again.stdout
    assert not answers(first)
    assert answers(shell.address())


def test_an_interrupted_update_is_waited_for(up: Shell) -> None:
    with begun(up, "local-up", "up") as process:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)

    assert process.returncode == 130, output
    assert "local-up: interrupted" in output
    received = json.loads((up.folder / "waiting").read_text(encoding="utf-8"))
    assert received == [signal.SIGINT], "the Pulumi CLI must get exactly one SIGINT"
    assert up.task("local-up").returncode == 0
    assert up.calls()[-2:] == [UP, OUTPUT]


def test_local_up_after_a_killed_update_starts_over(up: Shell) -> None:
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


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
def test_ctrl_c_at_a_terminal_interrupts_a_deployment(shell: Shell) -> None:
    """In interactive mode, the Pulumi CLI would read Ctrl-C itself, and no other process would get SIGINT."""
    import pty  # noqa: PLC0415 # does not exist on Windows

    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(shell.project.path)
        command = str(shell.environment.executable("poe"))
        os.execve(command, [command, "local-up"], shell.variables(PULUMI_WAITS="up"))  # noqa: S606
    shell.wait_until_blocked()

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


@pytest.mark.parametrize(
    "task", ["local-up", "test-local", "pulumi-create-stack", "pulumi-preview", "pulumi-deploy", "outputs"]
)
def test_without_the_pulumi_cli_one_line_says_how_to_get_it(
    default_project: Project, environment: Environment, task: str
) -> None:
    # The virtual environment does not contain the Pulumi CLI.
    finished = environment.task(default_project, task, PATH=str(environment.path / "bin"))

    assert finished.returncode == 1
    lines = [line for line in finished.stdout.splitlines() if not line.startswith("Poe =>")]
    assert lines == ["pulumi is not on the PATH; install it: https://www.pulumi.com/docs/install/"]
    assert not list(default_project.path.glob(".local*"))
