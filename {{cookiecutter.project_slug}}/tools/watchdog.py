"""Ends the processes that a task has started, even if the task is killed.

The watchdog is a separate process that does not receive the terminal's signals. It reads from its standard input which
processes to end. When that is closed, the task has ended.
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
# Options of a process that must not receive the terminal's signals. The flags are for Windows.
APART_FROM_THE_TERMINAL: Final[dict[str, Any]] = {
    "start_new_session": True,
    "creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(subprocess, "CREATE_NO_WINDOW", 0),
}


class Watchdog:
    """Context manager that ends the processes that are still watched on exit."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # pylint: disable=consider-using-with # `__exit__` waits for it
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
        """End a process and its descendants on exit."""
        self._say(WATCH, pid)

    def forget(self, pid: int) -> None:
        """Stop watching a process."""
        self._say(FORGET, pid)

    @property
    def _input(self) -> TextIO:
        return cast(TextIO, self._process.stdin)

    def _say(self, word: str, pid: int) -> None:
        self._input.write(f"{word} {pid}\n")
        self._input.flush()


def end(process: psutil.Process) -> None:
    """Kill a process and its descendants, and wait until they have ended.

    Args:
        process: The process. A later process with the same PID is not killed.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        # A suspended process cannot start another one.
        process.suspend()
        family = [process, *process.children(recursive=True)]
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        deadline = time.monotonic() + END_SECONDS
        while any(is_running(each.pid) for each in family) and time.monotonic() < deadline:
            time.sleep(PAUSE_SECONDS)


def is_running(pid: int) -> bool:
    """Whether a process is running. A zombie is not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def serve(lines: Iterable[str]) -> None:
    """Read which processes to watch, and end them at the end of the input.

    Args:
        lines: ``watch PID`` or ``forget PID``.
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
        # If one cannot be ended, end the others anyway.
        with contextlib.suppress(psutil.Error):
            end(process)


if __name__ == "__main__":
    serve(sys.stdin)
