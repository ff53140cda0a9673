"""Tests that the Pulumi CLI is found, run and interrupted, and that only complete outputs are written."""

import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest

from tools import pulumi_cli
from tools.project import PROJECT_FOLDER

MISSING = "pulumi is not on the PATH; install it: https://www.pulumi.com/docs/install/"
OUTPUTS = {name: f"value of {name}" for name, _ in pulumi_cli.exports()}
WITHOUT_ONE = dict([*OUTPUTS.items()][1:])


class Process:
    """A stand-in for a process that takes a moment to exit after an interrupt."""

    def __init__(self, interrupt: Callable[[], None]) -> None:
        self.interrupt = interrupt
        self.signals: list[int] = []
        self.returncode: int | None = None
        self.waits = 0

    def __call__(self, *_arguments: Any, **_options: Any) -> Self:
        """Stand in for `subprocess.Popen`."""
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        assert self.returncode is not None, "the process is still running"

    def send_signal(self, number: int) -> None:
        """Record a signal."""
        self.signals.append(number)

    def wait(self) -> None:
        """Interrupt the first call; end the process in the second call."""
        self.waits += 1
        if self.waits == 1:
            self.interrupt()
        else:
            self.returncode = 1


def raise_keyboard_interrupt() -> None:
    """Interrupt this process as Ctrl-C does. The terminal itself sends SIGINT to the Pulumi CLI."""
    raise KeyboardInterrupt


def test_the_cli_runs_in_the_project_and_its_status_is_returned(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pulumi_cli, "find_pulumi", lambda: sys.executable)
    program = "import os, sys; print(sys.argv[1:], os.environ['STACK'], os.getcwd()); sys.exit(3)"

    status = pulumi_cli.run_pulumi("-c", program, "up", variables=os.environ | {"STACK": "dev"})

    assert status == 3
    assert capfd.readouterr().out.splitlines() == [f"['up'] dev {PROJECT_FOLDER}"]


def test_a_missing_cli_is_reported_with_the_installation_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "argv", ["pulumi_cli", "up"])

    with pytest.raises(SystemExit) as error:
        runpy.run_path(pulumi_cli.__file__, run_name="__main__")

    assert error.value.code == MISSING


def test_an_interrupted_cli_is_waited_for_and_not_signalled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(raise_keyboard_interrupt)
    monkeypatch.setattr(subprocess, "Popen", process)

    with pytest.raises(KeyboardInterrupt):
        pulumi_cli.run_to_completion(["pulumi", "up"])

    assert (process.signals, process.waits) == ([], 2)


@pytest.mark.parametrize("number", pulumi_cli.ENDING)
def test_a_signal_that_would_end_this_process_interrupts_the_cli_once(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    process = Process(lambda: signal.raise_signal(number))
    monkeypatch.setattr(subprocess, "Popen", process)
    # This process may have inherited an ignored signal, for example under nohup.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt):
            pulumi_cli.run_to_completion(["pulumi", "up"])

        assert process.signals == [signal.SIGINT]
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_ignored_signals_stay_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(lambda: signal.raise_signal(signal.SIGTERM))
    monkeypatch.setattr(subprocess, "Popen", process)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert pulumi_cli.run_to_completion(["pulumi", "up"]) == 1
    finally:
        signal.signal(signal.SIGTERM, before)

    assert not process.signals


@pytest.mark.parametrize("number", [signal.SIGINT, *pulumi_cli.ENDING])
def test_an_interrupted_task_ends_with_one_line(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    handler = signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, handler)
    try:
        with pytest.raises(SystemExit) as error, pulumi_cli.interruptible("a-task"):
            signal.raise_signal(number)
    finally:
        signal.signal(number, before)

    assert error.value.code == 130
    assert capsys.readouterr().err == "\na-task: interrupted\n"


@pytest.fixture(name="calls")
def fixture_calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The recorded steps of the tasks. Every Pulumi command fails for the stack ``local``."""
    calls: list[tuple[str, ...]] = []

    def run(*arguments: str) -> int:
        calls.append(arguments)
        return 255 if "local" in arguments else 0

    monkeypatch.setattr(pulumi_cli, "find_pulumi", lambda: calls.append(("find",)))
    monkeypatch.setattr(pulumi_cli, "build_bundle", lambda stack: calls.append(("package", stack)))
    monkeypatch.setattr(pulumi_cli, "save_outputs", lambda stack: calls.append(("outputs", stack)))
    monkeypatch.setattr(pulumi_cli, "run_pulumi", run)
    return calls


def test_a_stack_is_created_with_a_secrets_provider(calls: list[tuple[str, ...]]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        pulumi_cli.create_stack("dev", "passphrase")

    assert calls == [("find",), ("stack", "init", "dev", "--secrets-provider", "passphrase")]


def test_a_preview_builds_the_bundle_first(calls: list[tuple[str, ...]]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        pulumi_cli.preview("staging")

    assert calls == [("find",), ("package", "staging"), ("preview", "--diff", "--stack", "staging")]


def test_a_deployment_builds_deploys_and_writes_the_outputs(calls: list[tuple[str, ...]]) -> None:
    pulumi_cli.deploy("prod")

    assert calls == [("find",), ("package", "prod"), ("up", "--stack", "prod"), ("outputs", "prod")]


def test_a_failed_deployment_writes_no_outputs(calls: list[tuple[str, ...]]) -> None:
    with pytest.raises(SystemExit) as error:
        pulumi_cli.deploy("local")

    assert error.value.code == 255
    assert calls == [("find",), ("package", "local"), ("up", "--stack", "local")]


@pytest.mark.parametrize(
    "task", [pulumi_cli.create_stack, pulumi_cli.preview, pulumi_cli.deploy, pulumi_cli.save_outputs]
)
def test_an_unknown_stack_is_refused_before_anything_else(
    calls: list[tuple[str, ...]], task: Callable[[str], object]
) -> None:
    with pytest.raises(SystemExit, match=r"^Pulumi\.dve\.yaml: does not exist; did you mean dev\?$"):
        task("dve")

    assert calls == []


@pytest.fixture(name="file")
def fixture_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pulumi_cli, "PROJECT_FOLDER", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    return tmp_path / pulumi_cli.OUTPUTS_FILE


def answer(monkeypatch: pytest.MonkeyPatch, outputs: dict[str, str], status: int = 0) -> list[list[str]]:
    """Replace `pulumi stack output` with a stand-in that prints ``outputs``, and return the list of its calls."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> SimpleNamespace:
        commands.append(command)
        return SimpleNamespace(returncode=status, stdout=json.dumps(outputs))

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_the_outputs_of_a_stack_are_written(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = answer(monkeypatch, OUTPUTS)

    assert pulumi_cli.save_outputs("staging") == OUTPUTS

    assert commands == [["/usr/bin/pulumi", "stack", "output", "--json", "--stack", "staging"]]
    assert json.loads(file.read_text(encoding="utf-8")) == OUTPUTS
    assert list(file.parent.iterdir()) == [file]
    assert capsys.readouterr().out == f"cfn-outputs/flat-outputs.json: {len(OUTPUTS)} outputs of staging\n"


@pytest.mark.parametrize(
    ("outputs", "status", "message"),
    [
        (WITHOUT_ONE, 0, f"stack dev has no output {next(iter(OUTPUTS))}; run the task `pulumi-deploy`"),
        ({}, 255, "`pulumi stack output` failed with exit status 255; its message is above"),
    ],
    ids=["incomplete", "failed"],
)
def test_outputs_that_cannot_be_read_keep_the_earlier_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, outputs: dict[str, str], status: int, message: str
) -> None:
    answer(monkeypatch, OUTPUTS)
    pulumi_cli.save_outputs("dev")
    before = file.read_bytes()
    answer(monkeypatch, outputs, status)

    with pytest.raises(SystemExit) as error:
        pulumi_cli.save_outputs("dev")

    assert error.value.code == f"outputs: {message}"
    assert file.read_bytes() == before


def test_the_outputs_are_those_that_the_program_exports(tmp_path: Path) -> None:
    program = 'import pulumi\n\nif pulumi:\n    pulumi.export("second", 1)\npulumi.export("first", 2)\nprint("third")\n'
    (tmp_path / "__main__.py").write_text(program, encoding="utf-8")

    assert sorted(name for name, _ in pulumi_cli.exports(tmp_path)) == ["first", "second"]
