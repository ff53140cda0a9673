"""Tests of the local stack's tasks: steps, cleanup and output."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from infrastructure.settings import Settings
from tools import emulator, local
from tools.project import run_prefix
from tools.pulumi_cli import OUTPUTS_FILE
from tools.settings import find_problems
from tools.testing import PROJECT_NAME, stack_config

ADDRESS = "http://127.0.0.1:4999"
OUTPUTS = {"queue_url": f"{ADDRESS}/queue", "table_name": "orders"}
OF_ANOTHER_STACK = '{"queue_url": "https://sqs.us-east-2.amazonaws.com/queue"}'
INIT = "stack init local --no-select"
UP = "up --stack local --yes --skip-preview --non-interactive"
TESTS = "-m pytest tests/integration"
FIRST = ["package local", "start", INIT, UP, "outputs local"]
LOCK = ".local/state/.pulumi/locks/organization/project/local/lock.json"


class Machine:
    """Stand-ins for the commands, builds and emulator that the tasks use. All calls are recorded.

    Attributes:
        folder: The project's folder.
        calls: The calls, in order.
        kept: Address of the running emulator, if any.
        failures: By call, a function that returns the exit status or raises an exception.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[str] = []
        self.kept: str | None = None
        self.failures: dict[str, Callable[[], int]] = {}

    def do(self, call: str) -> int:
        """Record a call, and return its exit status, 0 by default."""
        self.calls.append(call)
        return self.failures.get(call, int)()

    def run_disposable(self, command: Sequence[str], variables: Mapping[str, str]) -> int:
        """Stand in for a command that is killed on Ctrl-C."""
        assert variables["AWS_ENDPOINT_URL"] == ADDRESS
        return self.do(" ".join(command[1:]))

    def run_to_completion(self, command: Sequence[str], variables: Mapping[str, str]) -> int:
        """Stand in for a command that runs to completion, even after Ctrl-C."""
        assert variables["AWS_ENDPOINT_URL"] == ADDRESS
        return self.do(f"to completion: {' '.join(command[1:])}")

    def start(self) -> str:
        """Start the emulator, after removing the files of an earlier emulator."""
        shutil.rmtree(self.folder / ".local", ignore_errors=True)
        self.do("start")
        (self.folder / ".local").mkdir()
        return ADDRESS

    def keep(self) -> None:
        """Keep the emulator running."""
        self.kept = ADDRESS

    def stop(self) -> None:
        """Stop the emulator."""
        self.kept = None
        self.do("stop")

    def save(self, stack: str, variables: dict[str, str]) -> dict[str, str]:
        """Write the outputs file."""
        assert variables["PULUMI_BACKEND_URL"] == "file://./.local/state"
        self.do(f"outputs {stack}")
        self.outputs.parent.mkdir(exist_ok=True)
        self.outputs.write_text(str(OUTPUTS), encoding="utf-8")
        return OUTPUTS

    @property
    def outputs(self) -> Path:
        """Path of the outputs file."""
        return self.folder / OUTPUTS_FILE


@pytest.fixture(name="machine")
def fixture_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A `Machine` whose stand-ins and temporary folders replace those of the module `local`."""
    machine = Machine(tmp_path)
    replaced = {
        "PROJECT_FOLDER": tmp_path,
        "LOCAL_FOLDER": tmp_path / ".local",
        "STATE_FOLDER": tmp_path / ".local" / "state",
        "LOCK_FILE": tmp_path / ".local.lock",
        "find_pulumi": lambda: "pulumi",
        "run_prefix": lambda: run_prefix(tmp_path),
        "build_bundle": lambda stack: machine.do(f"package {stack}"),
        "find_emulator": lambda: machine.kept,
        "start_emulator": machine.start,
        "keep_emulator": machine.keep,
        "stop_emulator": machine.stop,
        "run_disposable": machine.run_disposable,
        "run_to_completion": machine.run_to_completion,
        "save_outputs": machine.save,
    }
    for name, value in replaced.items():
        monkeypatch.setattr(local, name, value)
    return machine


def interrupt() -> int:
    raise KeyboardInterrupt


def test_up_starts_an_emulator_deploys_to_it_and_keeps_it(machine: Machine) -> None:
    local.up()

    assert (machine.calls, machine.kept) == (FIRST, ADDRESS)
    assert (machine.folder / ".local" / "state").is_dir()


def test_up_again_deploys_to_the_running_emulator(machine: Machine) -> None:
    machine.kept = ADDRESS

    local.up()

    # The Pulumi CLI runs to completion even after Ctrl-C, because a killed CLI leaves the state locked.
    assert machine.calls == ["package local", f"to completion: {UP}", "outputs local"]


def test_up_after_a_killed_deployment_starts_over(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    lock = machine.folder / LOCK
    lock.parent.mkdir(parents=True)
    lock.touch()
    machine.kept = ADDRESS

    local.up()

    assert machine.calls == FIRST
    assert "The last deployment was killed; starting over.\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "run", "system", "export"),
    [("uv.lock", "uv run poe", "posix", "export {}={}"), ("Pipfile", "pipenv run", "nt", "$env:{} = '{}'")],
    ids=["uv, shell", "pipenv, PowerShell"],
)
def test_up_prints_the_outputs_and_the_next_steps(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    file: str,
    run: str,
    system: str,
    export: str,
) -> None:
    monkeypatch.setattr(local, "OPERATING_SYSTEM", system)
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.com")
    monkeypatch.setenv("NO_PROXY", "example.com")
    monkeypatch.delenv("no_proxy", raising=False)
    (machine.folder / file).touch()

    local.up()

    region = stack_config("local")["aws:region"]
    variables = {"AWS_ENDPOINT_URL": ADDRESS, "AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    variables |= local.CREDENTIALS | dict.fromkeys(("NO_PROXY", "no_proxy"), "example.com,127.0.0.1,localhost")
    assert capsys.readouterr().out.splitlines()[2:] == [
        f"Deployed to the emulator at {ADDRESS} in 0 s:",
        "",
        *(f"    {name:<16} {value}" for name, value in OUTPUTS.items()),
        "",
        "Send a message and see the result:",
        "",
        f"    {run} local-send",
        "",
        "Set these variables to use the AWS CLI or an SDK, or to run the integration tests:",
        "",
        *(f"    {export.format(name, value)}" for name, value in variables.items()),
        "",
        f"    {run} test-py-integration",
        "",
        f"Run `{run} local-up` again to deploy a change, and `{run} local-down` to stop the emulator.",
    ]


@pytest.mark.parametrize("step", [INIT, UP])
def test_a_failed_first_deployment_leaves_no_emulator(machine: Machine, step: str) -> None:
    machine.failures[step] = lambda: 255

    with pytest.raises(SystemExit) as error:
        local.up()

    assert error.value.code == f"`pulumi {step}` failed with exit status 255; its message is above"
    assert machine.calls[-1] == "stop"
    assert not machine.outputs.exists()


@pytest.mark.parametrize("step", FIRST)
@pytest.mark.parametrize(("task", "name"), [(local.up, "local-up"), (local.test, "test-local")])
def test_an_interrupt_leaves_no_emulator(
    machine: Machine, capsys: pytest.CaptureFixture[str], task: Callable[[], None], name: str, step: str
) -> None:
    machine.failures[step] = interrupt

    with pytest.raises(SystemExit) as error:
        task()

    assert error.value.code == 130
    assert machine.calls[-1] in {"package local", "stop"}
    assert capsys.readouterr().err == f"\n{name}: interrupted\n"


@pytest.mark.parametrize("content", [str(OUTPUTS), OF_ANOTHER_STACK], ids=["own", "of another stack"])
def test_down_stops_the_emulator_and_keeps_the_outputs_of_another_stack(
    machine: Machine, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    local.up()
    machine.calls.clear()
    machine.outputs.write_text(content, encoding="utf-8")

    local.down()

    assert machine.calls == ["stop"]
    assert machine.outputs.exists() is (content == OF_ANOTHER_STACK)
    assert capsys.readouterr().out.endswith("local-down: stopped\n")


def test_down_with_nothing_up_says_so(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    local.down()

    assert machine.calls == ["stop"]
    assert capsys.readouterr().out == "local-down: the local stack was not up\n"


@pytest.mark.parametrize("status", [0, 1])
@pytest.mark.parametrize("before", [None, OF_ANOTHER_STACK], ids=["no outputs", "outputs of another stack"])
def test_test_local_deploys_tests_stops_and_restores_the_outputs(
    machine: Machine, status: int, before: str | None
) -> None:
    machine.failures[TESTS] = lambda: status
    if before:
        machine.outputs.parent.mkdir()
        machine.outputs.write_text(before, encoding="utf-8")

    if status:
        with pytest.raises(SystemExit, match=r"^1$"):
            local.test()
    else:
        local.test()

    assert machine.calls == [*FIRST, TESTS, "stop"]
    assert (machine.outputs.read_text(encoding="utf-8") if machine.outputs.exists() else None) == before


def test_test_local_refuses_to_run_while_the_local_stack_is_up(machine: Machine) -> None:
    machine.kept = ADDRESS

    with pytest.raises(SystemExit, match=r"^test-local: the local stack is up; test it with test-py-integration"):
        local.test()

    assert machine.calls == []


@pytest.mark.parametrize(
    ("task", "name"), [(local.up, "local-up"), (local.down, "local-down"), (local.test, "test-local")]
)
def test_two_tasks_cannot_run_in_one_folder(machine: Machine, task: Callable[[], None], name: str) -> None:
    with (
        FileLock(local.LOCK_FILE),
        pytest.raises(SystemExit, match=f"^{name}: another task of the local stack is running in this folder$"),
    ):
        task()

    assert machine.calls == []


@pytest.mark.parametrize("task", [local.up, local.test])
def test_without_the_pulumi_cli_nothing_is_started(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, task: Callable[[], None]
) -> None:
    monkeypatch.setattr(local, "find_pulumi", lambda: sys.exit("no pulumi"))

    with pytest.raises(SystemExit, match="no pulumi"):
        task()

    assert machine.calls == []


@pytest.mark.parametrize("ends", [False, True], ids=["running", "ended"])
def test_an_interrupted_disposable_command_is_killed(monkeypatch: pytest.MonkeyPatch, ends: bool) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def wait(self: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        if started:
            return original(self, timeout)
        started.append(self)
        if ends:
            original(self)
        raise KeyboardInterrupt

    original = subprocess.Popen.wait
    monkeypatch.setattr(subprocess.Popen, "wait", wait)
    program = "" if ends else "import time; time.sleep(60)"

    with pytest.raises(KeyboardInterrupt):
        local.run_disposable([sys.executable, "-c", program], os.environ)

    assert not psutil.pid_exists(started[0].pid)


def test_a_disposable_command_returns_its_status() -> None:
    assert local.run_disposable([sys.executable, "-c", "import sys; sys.exit(3)"], os.environ) == 3


def test_entering_the_local_stack_points_to_the_emulator_not_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        os.environ[name] = "of an account"
    os.environ["HOME"] = "/home/somebody"
    monkeypatch.setattr(local, "find_emulator", lambda: ADDRESS)

    assert local.enter_local_stack("a-task") == ADDRESS

    assert "of an account" not in os.environ.values()
    assert os.environ["HOME"] == "/home/somebody"
    assert os.environ["AWS_CONFIG_FILE"] == os.environ["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert find_problems(Settings, PROJECT_NAME, stack_config("local"), variables=os.environ) == []
    assert Path(os.environ["PULUMI_CREDENTIALS_PATH"]).is_relative_to(emulator.LOCAL_FOLDER)


def test_entering_a_local_stack_that_is_not_up_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "find_emulator", lambda: None)

    with pytest.raises(SystemExit, match=r"^a-task: the local stack is not up; run the task `local-up`$"):
        local.enter_local_stack("a-task")
