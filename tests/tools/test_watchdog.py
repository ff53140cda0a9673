"""The watchdog: no watched process outlives the task."""

import io
import runpy
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from tools import watchdog
from tools.configuration.stack_files import PROJECT_FOLDER

SLEEP = "import time; time.sleep(60)"
# Starts a process, and prints its PID.
PARENT = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {SLEEP!r}]).pid, flush=True); {SLEEP}"
TASK = f"""
import subprocess, sys, time
from tools.watchdog import Watchdog
with Watchdog() as watchdog:
    process = subprocess.Popen([sys.executable, "-c", {SLEEP!r}])
    watchdog.watch(process.pid)
    print(process.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture(name="process")
def fixture_process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that would run for a minute."""
    with subprocess.Popen([sys.executable, "-c", SLEEP]) as process:
        yield process
        process.kill()


def wait_for_the_end(pid: int) -> None:
    """Wait until a process has ended, for ten seconds."""
    deadline = time.monotonic() + 10
    while watchdog.is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.02)


def test_a_watched_process_ends_with_the_block(process: subprocess.Popen[bytes]) -> None:
    with watchdog.Watchdog() as dog:
        dog.watch(process.pid)
        assert watchdog.is_running(process.pid)

    assert not watchdog.is_running(process.pid)


def test_a_forgotten_process_keeps_running(process: subprocess.Popen[bytes]) -> None:
    with watchdog.Watchdog() as dog:
        dog.watch(process.pid)
        dog.forget(process.pid)

    assert watchdog.is_running(process.pid)


def test_a_watched_process_ends_when_the_task_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TASK], cwd=PROJECT_FOLDER, stdout=subprocess.PIPE, encoding="utf-8"
    ) as task:
        pid = int(task.stdout.readline()) if task.stdout else 0
        assert watchdog.is_running(pid)

        task.kill()

    wait_for_the_end(pid)


def test_a_process_ends_with_its_descendants() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, encoding="utf-8") as parent:
        child = int(parent.stdout.readline()) if parent.stdout else 0

        watchdog.serve([f"watch {parent.pid}\n"])

        assert not watchdog.is_running(child)
        assert not watchdog.is_running(parent.pid)


def test_a_forgotten_process_is_not_killed(process: subprocess.Popen[bytes]) -> None:
    watchdog.serve([f"watch {process.pid}\n", f"forget {process.pid}\n"])

    assert watchdog.is_running(process.pid)


def test_a_process_that_has_already_ended_is_no_error(process: subprocess.Popen[bytes]) -> None:
    ended = psutil.Process(process.pid)
    process.kill()
    process.wait()

    watchdog.end(ended)
    watchdog.serve([f"watch {process.pid}\n"])

    assert not watchdog.is_running(process.pid)


def test_the_watchdog_reads_its_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("forget 1\n"))

    runpy.run_path(watchdog.__file__, run_name="__main__")

    assert not sys.stdin.read()
