"""The engine: found or reported as missing, never left running, and never killed if its work is kept."""

import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Self

import pytest

from tools import engine
from tools.configuration.stack_files import PROJECT_FOLDER


class Process:
    """Stands in for a process that takes some time to end after an interrupt.

    Attributes:
        interrupt: What interrupts whoever waits for it first.
        signals: What was sent to it.
        returncode: How it has ended, or nothing as long as it runs.
        pid: Its number.
    """

    def __init__(self, interrupt: Callable[[], None]) -> None:
        self.interrupt = interrupt
        self.signals: list[int] = []
        self.returncode: int | None = None
        self.pid = 1
        self.waits = 0

    def __call__(self, *_arguments: Any, **_options: Any) -> Self:
        """Start it."""
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        assert self.returncode is not None, "it was left behind"

    def send_signal(self, number: int) -> None:
        """Record a signal."""
        self.signals.append(number)

    def wait(self) -> None:
        """Wait: the first call is interrupted, the second sees the process end."""
        self.waits += 1
        if self.waits == 1:
            self.interrupt()
        else:
            self.returncode = 1


def interrupt_from_the_terminal() -> None:
    """Interrupt like a terminal, which interrupts the engine too."""
    raise KeyboardInterrupt


def test_the_engine_is_called_with_its_arguments_and_its_status_returned(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine, "find_engine", lambda: sys.executable)
    program = "import os, sys; print(sys.argv[1:], os.environ['STACK'], os.getcwd()); sys.exit(3)"

    status = engine.run_engine("-c", program, "up", variables=os.environ | {"STACK": "dev"})

    assert status == 3
    assert capfd.readouterr().out.splitlines() == [f"['up'] dev {PROJECT_FOLDER}"]


SAYS = "import sys; print(sys.argv[1:]); print('now', file=sys.stderr); print('bad \\udc80'); sys.exit(3)"


@pytest.mark.parametrize("is_quiet", [False, True])
def test_what_the_engine_says_is_returned_and_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_quiet: bool
) -> None:
    monkeypatch.setattr(engine, "find_engine", lambda: sys.executable)
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8:surrogateescape")

    finished = engine.hear_engine("-c", SAYS, is_quiet=is_quiet)

    output = "['--non-interactive']\nbad \\x80\n"
    assert finished == engine.Finished(3, output, "now\n")
    assert capsys.readouterr() == ("" if is_quiet else output, "now\n")


def test_an_engine_that_says_much_on_both_streams_is_heard_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find_engine", lambda: sys.executable)
    program = "import sys; sys.stderr.write('e' * 1_000_000); sys.stdout.write('o' * 1_000_000)"

    finished = engine.hear_engine("-c", program, is_quiet=True)

    assert (len(finished.output), len(finished.messages)) == (1_000_000, 1_000_000)


def test_a_missing_engine_is_reported_in_one_line_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(SystemExit) as error:
        engine.run_engine("up")

    assert error.value.code == (
        "pulumi is not on the PATH; https://www.pulumi.com/docs/install/ says how to install it"
    )


def test_an_interrupted_engine_is_waited_for_and_not_signalled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(interrupt_from_the_terminal)
    monkeypatch.setattr(subprocess, "Popen", process)

    with pytest.raises(KeyboardInterrupt):
        engine.run_to_its_end(["pulumi", "up"])

    assert not process.signals
    assert process.waits == 2


@pytest.mark.parametrize("number", engine.ENDING)
def test_a_signal_that_would_end_this_process_interrupts_the_engine_once(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    process = Process(lambda: signal.raise_signal(number))
    monkeypatch.setattr(subprocess, "Popen", process)
    # The process that started the tests may ignore the signal.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt):
            engine.run_to_its_end(["pulumi", "up"])

        assert process.signals == [signal.SIGINT]
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_ignored_signals_stay_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(lambda: signal.raise_signal(signal.SIGTERM))
    monkeypatch.setattr(subprocess, "Popen", process)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert engine.run_to_its_end(["pulumi", "up"]) == 1
    finally:
        signal.signal(signal.SIGTERM, before)

    assert not process.signals


class Dog:
    """Stands in for the watchdog, and records its calls."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def watch(self, pid: int) -> None:
        """Watch a process."""
        self.told.append(f"watch {pid}")

    def forget(self, pid: int) -> None:
        """Forget a process."""
        self.told.append(f"forget {pid}")


@pytest.mark.parametrize("run", [engine.run_disposable, engine.run_to_its_end])
def test_a_command_is_watched_while_it_runs(run: Callable[..., int]) -> None:
    dog: Any = Dog()

    assert run([sys.executable, "-c", "import sys; sys.exit(3)"], os.environ, dog) == 3

    assert [word.split()[0] for word in dog.told] == ["watch", "forget"]


def test_an_interrupted_disposable_command_is_left_to_the_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    dog: Any = Dog()
    process = Process(interrupt_from_the_terminal)
    monkeypatch.setattr(subprocess, "Popen", process)
    process.returncode = 1

    with pytest.raises(KeyboardInterrupt):
        engine.run_disposable(["pulumi", "up"], {}, dog)

    assert dog.told == [f"watch {process.pid}"]


@pytest.mark.parametrize("number", engine.ENDING)
def test_a_signal_that_would_end_a_task_interrupts_it(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(SystemExit) as error, engine.interruptible("a-task"):
            signal.raise_signal(number)
    finally:
        signal.signal(number, before)

    assert error.value.code == 130


def test_an_interrupted_task_ends_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error, engine.interruptible("a-task"):
        raise KeyboardInterrupt

    assert error.value.code == 130
    assert capsys.readouterr().err == "\na-task: interrupted\n"


def test_the_tasks_call_the_engine_through_this_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "argv", ["engine", "login"])

    with pytest.raises(SystemExit, match=r"^pulumi is not on the PATH"):
        runpy.run_path(engine.__file__, run_name="__main__")
