"""The tasks of the local stack, typed as a person types them, with a stand-in for the engine that really deploys."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployment.emulated import OUTPUTS, stand_in_for_the_engine
from tests.projects import Environment, Project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="the stand-in for the engine is a script with a shebang"),
]

INIT = ["stack", "init", "local", "--no-select"]
UP = ["up", "--stack", "local", "--yes", "--skip-preview"]
OUTPUT = ["stack", "output", "--json", "--stack", "local"]
DESTROY = ["destroy", "--stack", "local", "--yes", "--skip-preview"]


class Shell:
    """A person's shell in a project's folder, with the stand-in on the PATH.

    Attributes:
        project: The project.
        environment: What its commands run in.
        folder: A folder for what the tests note.
        engine: What leads to the stand-in.
    """

    def __init__(self, project: Project, environment: Environment, folder: Path) -> None:
        self.project = project
        self.environment = environment
        self.folder = folder
        self.engine = stand_in_for_the_engine(environment, folder)

    def variables(self, **more: str) -> dict[str, str]:
        """What the commands find in their environment."""
        return self.environment.variables() | self.engine | {"PULUMI_WAITING": str(self.folder / "waiting")} | more

    def task(self, *task: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a task to its end."""
        return self.environment.task(self.project, *task, **self.variables(**more))

    def calls(self) -> list[list[str]]:
        """Read what the engine was called with, and forget it."""
        path = self.folder / "calls"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]

    def address(self) -> str:
        """Read the address of the emulator that is up."""
        return json.loads(self.project.read(".local/emulator.json"))["url"]

    def processes(self) -> list[str]:
        """List the processes that belong to the project, by their commands."""
        listed = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, encoding="utf-8").stdout
        return [line for line in listed.splitlines() if str(self.project.path) in line]


@pytest.fixture(name="shell")
def fixture_shell(packaged_project: Project, environment: Environment, tmp_path: Path) -> Iterator[Shell]:
    """A shell in a copy of the project; what is up there ends with the test."""
    shell = Shell(packaged_project.copy(tmp_path), environment, tmp_path)
    yield shell
    (shell.project.path / ".local" / "emulator.json").unlink(missing_ok=True)


def answers(address: str) -> bool:
    """Whether an emulator answers."""
    try:
        urllib.request.urlopen(f"{address}/moto-api/config", timeout=5).close()  # noqa: S310 # our own emulator
    except OSError:
        return False
    return True


def test_a_newcomer_sees_a_message_go_through(shell: Shell) -> None:
    committed = shell.project.names()
    up = shell.task("local-up")
    assert up.returncode == 0, up.stdout
    assert shell.calls() == [INIT, UP, OUTPUT]
    address = shell.address()
    assert f"Deployed to the emulator at {address}:" in up.stdout
    assert f"    queue_url        {address}/123456789012/event-pipeline-local-queue\n" in up.stdout
    assert "    uv run poe local-send\n" in up.stdout

    sent = shell.task("local-send")
    assert sent.returncode == 0, sent.stdout
    assert '    {"type": "order.created", "data": {"id": 1} }\n' in sent.stdout
    assert "Payload:      s3://event-pipeline-local-payloads-123456789012/messages/" in sent.stdout
    assert "Item:         " in sent.stdout
    assert (
        "Notification: published to arn:aws:sns:us-east-2:123456789012:event-pipeline-local-notifications"
        in sent.stdout
    )

    bad = shell.task("local-send", "no JSON")
    assert bad.returncode == 0, bad.stdout
    assert f"Dead letter:  in {address}/123456789012/event-pipeline-local-dead-letter-queue\n" in bad.stdout
    assert "Reason:       ValidationError: body: Invalid JSON" in bad.stdout

    again = shell.task("local-up")
    assert again.returncode == 0, again.stdout
    assert shell.calls() == [UP, OUTPUT]
    assert shell.address() == address

    down = shell.task("local-down")
    assert down.returncode == 0, down.stdout
    assert shell.calls() == [DESTROY]
    assert not answers(address)
    left = {name for name in shell.project.names() - committed if "__pycache__" not in name}
    assert left <= {"uv.lock", ".local.lock"}


def test_the_integration_tests_run_against_what_is_up(shell: Shell) -> None:
    assert shell.task("local-up").returncode == 0

    finished = shell.task(
        "test-py-integration", "-k", "not workflow", AWS_ENDPOINT_URL=shell.address(), AWS_REGION="us-east-2"
    )

    assert finished.returncode == 0, finished.stdout
    assert " passed, " in finished.stdout


def test_test_local_deploys_tests_and_leaves_nothing(shell: Shell) -> None:
    finished = shell.task("test-local")

    assert finished.returncode == 0, finished.stdout
    assert "114 passed, 2 xfailed" in finished.stdout
    assert shell.calls() == [INIT, UP, OUTPUT, DESTROY]
    assert not (shell.project.path / ".local").exists()
    assert not (shell.project.path / OUTPUTS).exists()
    assert shell.processes() == []


def test_failed_integration_tests_fail_test_local(shell: Shell) -> None:
    shell.project.replace("tests/integration/test_table.py", 'promised="ENABLED"', 'promised="DISABLED"')

    finished = shell.task("test-local")

    assert finished.returncode == 1, finished.stdout
    assert "event-pipeline-local-messages: recovery: found 'ENABLED', promised 'DISABLED'" in finished.stdout
    assert shell.calls()[-1] == DESTROY
    assert shell.processes() == []


@pytest.mark.parametrize(
    ("task", "step"),
    [
        ("local-up", "init"),
        ("local-up", "up"),
        ("test-local", "tests"),
        ("test-local", "destroy"),
        ("pulumi-deploy", "up"),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "kill"])
def test_an_interrupt_leaves_no_process_and_the_next_start_works(
    shell: Shell, task: str, step: str, number: signal.Signals
) -> None:
    if step == "tests":
        slow = "import pathlib, os, time\n\n\ndef test_slow(pipeline):\n"
        slow += "    pathlib.Path(os.environ['PULUMI_WAITING']).touch()\n    time.sleep(60)\n"
        (shell.project.path / "tests" / "integration" / "test_a_slow_one.py").write_text(slow, encoding="utf-8")
    waiting = shell.folder / "waiting"
    with subprocess.Popen(
        [str(shell.environment.executable("poe")), task],
        cwd=shell.project.path,
        env=shell.variables(PULUMI_WAITS=step),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 60
        while not waiting.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        # A terminal interrupts every process of the command; somebody else ends the one that was started.
        if number is signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        output, _ = process.communicate(timeout=60)

    assert process.returncode == 130, output
    assert f"{task}: interrupted" in output
    if step != "tests":
        assert "Traceback" not in output
        assert json.loads(waiting.read_text(encoding="utf-8")) == [signal.SIGINT], "the engine was disturbed"
    deadline = time.monotonic() + 10
    while shell.processes():
        assert time.monotonic() < deadline, shell.processes()
        time.sleep(0.1)
    next_start = shell.task("local-up")
    assert next_start.returncode == 0, next_start.stdout
    assert answers(shell.address())


@pytest.mark.parametrize("command", ["init", "up", "output"])
def test_a_failed_deployment_leaves_nothing_running(shell: Shell, command: str) -> None:
    finished = shell.task("local-up", PULUMI_FAILS=command)

    assert finished.returncode == 1
    assert "failed with exit status 255; its message is above" in finished.stdout
    assert "Traceback" not in finished.stdout
    assert shell.processes() == []
    assert not (shell.project.path / OUTPUTS).exists()


def test_an_emulator_that_has_died_is_replaced(shell: Shell) -> None:
    assert shell.task("local-up").returncode == 0
    first = shell.address()
    subprocess.run(["pkill", "-KILL", "-f", f"emulator_process {shell.project.path}"], check=True)
    while answers(first):
        time.sleep(0.05)
    shell.calls()

    again = shell.task("local-up")

    assert again.returncode == 0, again.stdout
    assert shell.calls() == [INIT, UP, OUTPUT]
    assert shell.address() != first


def test_without_anything_up_the_tasks_say_so(shell: Shell) -> None:
    sent, down = shell.task("local-send"), shell.task("local-down")

    assert sent.returncode == 1
    assert sent.stdout.splitlines()[-1] == "local-send: the local stack is not up; the task `local-up` deploys it"
    assert down.returncode == 0
    assert down.stdout.splitlines()[-1] == "local-down: nothing was up"


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
    # Without any other command there is no pulumi either.
    finished = environment.task(default_project, task, PATH=str(environment.path / "bin"))

    assert finished.returncode == 1
    lines = [line for line in finished.stdout.splitlines() if not line.startswith("Poe =>")]
    assert lines == ["pulumi is not on the PATH; https://www.pulumi.com/docs/install/ says how to install it"]
    assert not list(default_project.path.glob(".local*"))


def test_the_salt_of_the_local_stack_goes_with_its_passphrase(
    default_project: Project, environment: Environment
) -> None:
    """Derived as Pulumi derives it: PBKDF2 with SHA-256, a million times, then AES-256-GCM."""
    check = (
        "import base64, hashlib, sys\n"
        "from cryptography.hazmat.primitives.ciphers.aead import AESGCM\n"
        "from tools.local import PASSPHRASE\n"
        "version, salt, cipher, nonce, text = sys.argv[1].split(':')\n"
        "assert (version, cipher) == ('v1', 'v1')\n"
        "salt, nonce, text = map(base64.b64decode, (salt, nonce, text))\n"
        "key = hashlib.pbkdf2_hmac('sha256', PASSPHRASE.encode(), salt, 1_000_000, 32)\n"
        "print(AESGCM(key).decrypt(nonce, text, None).decode())\n"
    )
    salt = default_project.yaml("Pulumi.local.yaml")["encryptionsalt"]

    finished = environment.run(default_project, "python", "-c", check, salt)

    assert finished.stdout == "pulumi\n"
