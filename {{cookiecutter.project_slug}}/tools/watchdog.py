"""Ends the processes that a task has started, however the task itself ends.

Code in the task cannot do that when the task is killed. So the watchdog is a process of its own, which no signal to the
task's terminal reaches: it reads from its standard input which processes to end, and once that is closed, the task has
ended.
"""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final, Self, TextIO, cast

import psutil

from tools.configuration.stack_files import PROJECT_FOLDER

END_SECONDS: Final = 10
PAUSE_SECONDS: Final = 0.02
WATCH: Final = "watch"
FORGET: Final = "forget"
# So that what stops a terminal's processes stops no process that is started with these options; the flags are Windows'.
APART_FROM_THE_TERMINAL: Final[dict[str, Any]] = {
    "start_new_session": True,
    "creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(subprocess, "CREATE_NO_WINDOW", 0),
}


class Watchdog:
    """Watches processes for as long as its block lasts; those that are then still watched are ended."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # pylint: disable=consider-using-with # it ends with the block
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            cwd=PROJECT_FOLDER,
            encoding="utf-8",
            **APART_FROM_THE_TERMINAL,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._input.close()
        self._process.wait()

    def watch(self, pid: int) -> None:
        """End a process, and all that it has started, when the block ends."""
        self._say(WATCH, pid)

    def forget(self, pid: int) -> None:
        """Leave a process alone from now on."""
        self._say(FORGET, pid)

    @property
    def _input(self) -> TextIO:
        return cast(TextIO, self._process.stdin)

    def _say(self, word: str, pid: int) -> None:
        self._input.write(f"{word} {pid}\n")
        self._input.flush()


def end(process: psutil.Process) -> None:
    """Kill a process and everything that it has started, and wait until all of them have ended.

    Args:
        process: The process; another one that has its number by now is left alone.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        # What is suspended starts nothing more.
        process.suspend()
        family = [process, *process.children(recursive=True)]
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        deadline = time.monotonic() + END_SECONDS
        while any(is_running(each.pid) for each in family) and time.monotonic() < deadline:
            time.sleep(PAUSE_SECONDS)


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended does not, even if nobody has noticed yet."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def serve(lines: Iterable[str]) -> None:
    """Read which processes to watch, and end them when there is nothing more to read.

    Args:
        lines: Each is ``watch`` or ``forget``, and the process's number.
    """
    watched: dict[str, psutil.Process] = {}
    for line in lines:
        word, pid = line.split()
        if word == FORGET:
            watched.pop(pid, None)
        else:
            with contextlib.suppress(psutil.NoSuchProcess):
                watched[pid] = psutil.Process(int(pid))
    for process in watched.values():
        # One that cannot be ended is no reason to leave the others.
        with contextlib.suppress(psutil.Error):
            end(process)


if __name__ == "__main__":
    serve(sys.stdin)
