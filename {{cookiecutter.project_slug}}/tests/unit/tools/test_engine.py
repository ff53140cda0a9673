"""The engine: found, or one line says how to get it; never left behind, never killed."""

import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infrastructure.stack_files import PROJECT_FOLDER
from tools import engine

# Ends with the status 7 when it is interrupted, and with 1 after ten seconds; says when it is ready by making a file.
PATIENT = """
import pathlib, signal, sys, time
signal.signal(signal.SIGINT, lambda number, frame: sys.exit(7))
pathlib.Path(sys.argv[1]).touch()
time.sleep(10)
sys.exit(1)
"""

posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals between processes")


@pytest.fixture(name="ready")
def fixture_ready(tmp_path: Path) -> Path:
    """A file that a patient process makes."""
    return tmp_path / "ready"


def once_ready(ready: Path, act: Callable[[], None]) -> None:
    """Act in the background as soon as a patient process is ready."""

    def wait_and_act() -> None:
        while not ready.exists():
            time.sleep(0.01)
        act()

    threading.Thread(target=wait_and_act).start()


def test_the_engine_is_called_with_its_arguments_and_its_status_returned(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine, "find_engine", lambda: sys.executable)
    program = "import os, sys; print(sys.argv[1:], os.environ['STACK'], os.getcwd()); sys.exit(3)"

    status = engine.run_engine("-c", program, "up", variables=os.environ | {"STACK": "dev"})

    assert status == 3
    assert capfd.readouterr().out == f"['up'] dev {PROJECT_FOLDER}\n"


def test_a_missing_engine_is_reported_in_one_line_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(SystemExit) as error:
        engine.run_engine("up")

    assert error.value.code == (
        "pulumi is not on the PATH; https://www.pulumi.com/docs/install/ says how to install it"
    )


def test_an_interrupt_is_raised_once_the_engine_has_ended(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    wait = subprocess.Popen.wait

    def interrupted_wait(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        # A terminal interrupts the engine, too.
        started.append(process)
        if len(started) == 1:
            while not ready.exists():
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            raise KeyboardInterrupt
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted_wait)

    with pytest.raises(KeyboardInterrupt):
        engine.run_to_its_end([sys.executable, "-c", PATIENT, str(ready)])

    assert started[0].returncode == 7


@posix_only
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_what_would_end_this_process_interrupts_the_engine(ready: Path, name: str) -> None:
    number = signal.Signals[name]
    before = signal.getsignal(number)
    once_ready(ready, lambda: os.kill(os.getpid(), number))

    with pytest.raises(KeyboardInterrupt):
        engine.run_to_its_end([sys.executable, "-c", PATIENT, str(ready)])

    assert signal.getsignal(number) is before


def test_the_tasks_call_the_engine_by_this_modules_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(SystemExit, match=r"^pulumi is not on the PATH"):
        runpy.run_path(engine.__file__, run_name="__main__")
