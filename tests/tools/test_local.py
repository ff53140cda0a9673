"""The tasks of the local stack: their steps, what they leave running, and their messages."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self
from unittest import mock

import pytest
from filelock import FileLock

from tools import emulator, local, outputs
from tools.configuration.checks import find_problems
from tools.tasks import run_prefix
from tools.testing.recording import PROJECT_NAME, readable_config

ADDRESS = "http://127.0.0.1:4999"
OUTPUTS = {name: f"value of {name}" for name in outputs.exported_names()} | {"queue_url": f"{ADDRESS}/queue"}
INIT = "stack init local --no-select"
UP = "up --stack local --yes --skip-preview --non-interactive"
TESTS = "-m pytest tests/integration"


class Machine:
    """Stands in for everything that the tasks start, and records the calls.

    Attributes:
        folder: The project's.
        calls: What was done, in order.
        kept: Address of the emulator that is up, if one is.
        started: Whether a task has started an emulator.
        fail: What fails when it is called, with what.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[str] = []
        self.kept: str | None = None
        self.started = False
        self.fail: dict[str, Callable[[], int]] = {}

    def do(self, call: str) -> int:
        """Record a call, and fail if it should."""
        self.calls.append(call)
        return self.fail.get(call, int)()

    def run_disposable(self, command: Sequence[str], variables: Mapping[str, str], watchdog: object) -> int:
        """Stand in for a command that ends with the task."""
        assert variables["AWS_ENDPOINT_URL"] == ADDRESS
        assert watchdog is self
        return self.do(" ".join(command[1:]))

    def run_to_its_end(self, command: Sequence[str], variables: Mapping[str, str], watchdog: object) -> int:
        """Stand in for a command that is waited for."""
        return self.do(f"patiently {' '.join(command[1:])}") or self.run_disposable(command, variables, watchdog)

    def __call__(self) -> Self:
        """Stand in for a watchdog."""
        return self

    def __enter__(self) -> Self:
        self.started = False
        return self

    def __exit__(self, *_error: object) -> None:
        if self.started and self.kept is None:
            self.do("end")

    def start(self, watchdog: object) -> str:
        """Start the emulator."""
        assert watchdog is self
        self.started = True
        self.do("start")
        (self.folder / ".local").mkdir(exist_ok=True)
        return ADDRESS

    def keep(self, watchdog: object) -> None:
        """Keep the emulator."""
        assert watchdog is self
        self.kept = ADDRESS

    def stop(self) -> None:
        """Stop the emulator."""
        self.kept = None
        self.started = False
        self.do("stop")

    def save(self, stack: str, variables: dict[str, str]) -> dict[str, str]:
        """Write the outputs."""
        assert variables["PULUMI_BACKEND_URL"] == "file://./.local/state"
        self.do(f"outputs {stack}")
        outputs.write_outputs(OUTPUTS, self.outputs)
        return OUTPUTS

    @property
    def outputs(self) -> Path:
        """The outputs file."""
        return self.folder / outputs.OUTPUTS_FILE


@pytest.fixture(name="machine")
def fixture_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine that only records, with a temporary project folder."""
    machine = Machine(tmp_path)
    replaced = {
        "PROJECT_FOLDER": tmp_path,
        "LOCAL_FOLDER": tmp_path / ".local",
        "STATE_FOLDER": tmp_path / ".local" / "state",
        "LOCK_FILE": tmp_path / ".local.lock",
        "find_engine": lambda: "pulumi",
        "run_prefix": lambda: run_prefix(tmp_path),
        "build_bundle": lambda stack: machine.do(f"package {stack}"),
        "find_emulator": lambda: machine.kept,
        "Watchdog": machine,
        "start_emulator": machine.start,
        "keep_emulator": machine.keep,
        "stop_emulator": machine.stop,
        "run_disposable": machine.run_disposable,
        "run_to_its_end": machine.run_to_its_end,
        "save_outputs": machine.save,
    }
    for name, value in replaced.items():
        monkeypatch.setattr(local, name, value)
    return machine


def interrupt() -> int:
    """Raise KeyboardInterrupt, as Ctrl-C does."""
    raise KeyboardInterrupt


def test_up_starts_an_emulator_deploys_to_it_and_keeps_it(machine: Machine) -> None:
    local.up()

    assert machine.calls == ["package local", "start", INIT, UP, "outputs local"]
    assert machine.kept == ADDRESS
    assert (machine.folder / ".local" / "state").is_dir()


def test_up_again_deploys_to_the_running_emulator(machine: Machine) -> None:
    machine.kept = ADDRESS

    local.up()

    # A killed engine leaves a deployment in an unknown state.
    assert machine.calls == ["package local", f"patiently {UP}", UP, "outputs local"]


LOCK = ".local/state/.pulumi/locks/organization/project/local/lock.json"


@pytest.mark.parametrize("content", ['{"pid": 999999999}', "{"], ids=["ended", "half-written"])
def test_up_after_a_killed_deployment_starts_over(
    machine: Machine, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    lock = machine.folder / LOCK
    lock.parent.mkdir(parents=True)
    lock.write_text(content, encoding="utf-8")
    machine.kept = ADDRESS
    # A start removes all files of an earlier emulator.
    machine.fail["start"] = lambda: shutil.rmtree(machine.folder / ".local") or 0

    local.up()

    assert machine.calls == ["package local", "start", INIT, UP, "outputs local"]
    assert "The last deployment was killed; starting over.\n" in capsys.readouterr().out


def test_up_refuses_a_stack_that_pulumi_is_using(machine: Machine) -> None:
    lock = machine.folder / LOCK
    lock.parent.mkdir(parents=True)
    lock.write_text(f'{{"pid": {os.getpid()}}}', encoding="utf-8")
    machine.kept = ADDRESS

    with pytest.raises(SystemExit, match=rf"^local-up: Pulumi \(process {os.getpid()}\) is using the local stack$"):
        local.up()

    assert machine.calls == ["package local"]


@pytest.mark.parametrize(("lock", "run"), [("uv.lock", "uv run poe"), ("Pipfile", "pipenv run")], ids=["uv", "pipenv"])
def test_up_prints_the_outputs_and_the_next_steps(
    machine: Machine, capsys: pytest.CaptureFixture[str], lock: str, run: str
) -> None:
    (machine.folder / lock).touch()

    local.up()

    said = capsys.readouterr().out
    for name, value in OUTPUTS.items():
        assert f"{name:<16} {value}\n" in said
    assert f"Deployed to the emulator at {ADDRESS} in 0 s:\n" in said
    assert f"    {run} local-send\n" in said
    assert f"    {run} local-logs\n" in said
    assert f"    {run} test-py-integration\n" in said
    assert f"`{run} local-down`" in said


@pytest.mark.parametrize(("system", "export"), [("posix", "export {}={}"), ("nt", "$env:{} = '{}'")])
def test_up_prints_the_variables_in_the_syntax_of_the_shell(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], system: str, export: str
) -> None:
    monkeypatch.setattr(local, "OPERATING_SYSTEM", system)

    local.up()

    said = capsys.readouterr().out
    assert machine.kept == ADDRESS
    assert f"    {export.format('AWS_ENDPOINT_URL', ADDRESS)}\n" in said
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        assert f"    {export.format(variable, readable_config('local')['aws:region'])}\n" in said


@pytest.mark.parametrize("step", [INIT, UP])
def test_a_failed_deployment_leaves_no_emulator(machine: Machine, step: str) -> None:
    machine.fail[step] = lambda: 255

    with pytest.raises(SystemExit, match=f"^`pulumi {step}` failed with exit status 255; its message is above$"):
        local.up()

    assert machine.calls[-1] == "end"
    assert machine.kept is None
    assert not machine.outputs.exists()


@pytest.mark.parametrize("step", ["package local", "start", INIT, UP, "outputs local"])
@pytest.mark.parametrize(("task", "name"), [(local.up, "local-up"), (local.test, "test-local")])
def test_an_interrupt_leaves_no_emulator(
    machine: Machine, capsys: pytest.CaptureFixture[str], task: Callable[[], None], name: str, step: str
) -> None:
    machine.fail[step] = interrupt

    with pytest.raises(SystemExit) as error:
        task()

    assert error.value.code == 130
    assert machine.kept is None
    assert machine.calls[-1] in {"package local", "end"}
    assert capsys.readouterr().err == f"\n{name}: interrupted\n"


def test_down_stops_the_emulator_without_calling_the_engine(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    local.up()
    machine.calls.clear()

    local.down()

    assert machine.calls == ["stop"]
    assert not machine.outputs.exists()
    assert capsys.readouterr().out.endswith("local-down: stopped\n")


def test_down_with_nothing_up_says_so(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    local.down()

    assert machine.calls == ["stop"]
    assert capsys.readouterr().out == "local-down: the local stack was not up\n"


def test_down_keeps_the_outputs_of_another_stack(machine: Machine) -> None:
    local.up()
    outputs.write_outputs(OUTPUTS | {"queue_url": "https://sqs.us-east-2.amazonaws.com/queue"}, machine.outputs)

    local.down()

    assert machine.outputs.exists()


def test_test_local_deploys_runs_the_tests_and_stops_the_emulator(machine: Machine) -> None:
    local.test()

    assert machine.calls == ["package local", "start", INIT, UP, "outputs local", TESTS, "stop"]
    assert not machine.outputs.exists()


def test_failed_tests_fail_the_task_once_the_emulator_is_stopped(machine: Machine) -> None:
    machine.fail[TESTS] = lambda: 1

    with pytest.raises(SystemExit) as error:
        local.test()

    assert error.value.code == 1
    assert machine.calls[-1] == "stop"


def test_test_local_restores_the_outputs_of_another_stack(machine: Machine) -> None:
    outputs.write_outputs(OUTPUTS | {"queue_url": "https://sqs.us-east-2.amazonaws.com/queue"}, machine.outputs)
    before = machine.outputs.read_bytes()

    local.test()

    assert machine.outputs.read_bytes() == before


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


def test_up_prints_variables_that_bypass_a_proxy(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.com")

    local.up()

    assert machine.kept == ADDRESS
    assert "no_proxy" in capsys.readouterr().out


def test_test_local_refuses_to_run_while_the_local_stack_is_up(machine: Machine) -> None:
    machine.kept = ADDRESS

    with pytest.raises(SystemExit, match=r"^test-local: the local stack is up; test it with test-py-integration"):
        local.test()

    assert machine.calls == []


@pytest.mark.parametrize("task", [local.up, local.test])
def test_without_the_engine_nothing_is_started(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, task: Callable[[], None]
) -> None:
    monkeypatch.setattr(local, "find_engine", lambda: sys.exit("no engine"))

    with pytest.raises(SystemExit, match="no engine"):
        task()

    assert machine.calls == []


def test_a_process_in_the_local_stack_cannot_reach_an_account(machine: Machine) -> None:
    machine.kept = ADDRESS

    with mock.patch.dict(os.environ, {"AWS_PROFILE": "of an account"}):
        assert local.enter_local_stack("a-task") == ADDRESS
        assert os.environ["AWS_ENDPOINT_URL"] == ADDRESS
        assert "AWS_PROFILE" not in os.environ


def test_the_environment_leads_to_the_emulator_and_to_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.setenv(name, "of an account")
    monkeypatch.setenv("NO_PROXY", "example.com")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")

    variables = local.local_variables(ADDRESS)

    assert "of an account" not in variables.values()
    assert variables["HOME"] == "/home/somebody"
    assert variables["NO_PROXY"] == variables["no_proxy"] == "example.com,127.0.0.1,localhost"
    assert variables["AWS_CONFIG_FILE"] == variables["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert find_problems(PROJECT_NAME, readable_config("local"), variables=variables) == []
    assert Path(variables["PULUMI_CREDENTIALS_PATH"]).is_relative_to(emulator.LOCAL_FOLDER)
