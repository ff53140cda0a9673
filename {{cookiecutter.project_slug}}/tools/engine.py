"""Finds, calls and interrupts the Pulumi CLI."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

from tools.configuration.stack_files import PROJECT_FOLDER
from tools.programs import find_program
from tools.watchdog import Watchdog

INSTALLATION: Final = "https://www.pulumi.com/docs/install/"
# Signals that would end this process and leave the engine running. Windows has no SIGHUP.
ENDING: Final = [signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
# The exit status that shells report for an interrupted command.
INTERRUPTED: Final = 130

# Receives what a command prints, line by line.
Listener = Callable[[str], object]


@dataclass(frozen=True)
class Finished:
    """A finished command.

    Attributes:
        status: Its exit status.
        output: What it printed to its standard output.
        messages: What it printed to its standard error.
    """

    status: int
    output: str
    messages: str


def find_engine() -> str:
    """Find the Pulumi CLI.

    Raises:
        SystemExit: If it is not installed. The message says how to install it.
    """
    return find_program("pulumi", INSTALLATION)


def run_engine(*arguments: str, variables: Mapping[str, str] | None = None) -> int:
    """Run the Pulumi CLI in this terminal.

    Args:
        arguments: Arguments of ``pulumi``.
        variables: Its environment; by default that of this process.

    Returns:
        Its exit status.

    Raises:
        SystemExit: If it is not installed.
        KeyboardInterrupt: If it was interrupted, after it has ended.
    """
    return run_to_its_end([find_engine(), *arguments], variables)


def hear_engine(*arguments: str, is_quiet: bool = False) -> Finished:
    """Run the Pulumi CLI without questions, show what it prints, and return it.

    Args:
        arguments: Arguments of ``pulumi``.
        is_quiet: Whether to show only its standard error.

    Raises:
        SystemExit: If it is not installed.
        KeyboardInterrupt: If it was interrupted, after it has ended.
    """
    output: list[str] = []
    messages: list[str] = []

    def hear_output(line: str) -> None:
        output.append(line)
        if not is_quiet:
            print(line, end="", flush=True)

    def hear_message(line: str) -> None:
        messages.append(line)
        print(line, end="", flush=True, file=sys.stderr)

    command = [find_engine(), *arguments, "--non-interactive"]
    status = run_to_its_end(command, listeners=(hear_output, hear_message))
    return Finished(status, "".join(output), "".join(messages))


def run_to_its_end(
    command: Sequence[str],
    variables: Mapping[str, str] | None = None,
    watchdog: Watchdog | None = None,
    listeners: tuple[Listener, Listener] | None = None,
) -> int:
    """Run a command in the project's folder and wait until it ends, even after Ctrl-C.

    A killed engine leaves its state locked. On Ctrl-C the terminal interrupts the command too, so this process only
    waits. Other signals that would end this process are forwarded to the command as SIGINT.

    Args:
        command: The command and its arguments.
        variables: Its environment; by default that of this process.
        watchdog: Ends the command if this process is killed.
        listeners: Hear its standard output and its standard error instead of the terminal.

    Returns:
        Its exit status.

    Raises:
        KeyboardInterrupt: If it was interrupted, after it has ended.
    """
    interrupted = False
    pipe = subprocess.PIPE if listeners else None
    with (
        subprocess.Popen(
            command,
            cwd=PROJECT_FOLDER,
            env=variables,
            stdout=pipe,
            stderr=pipe,
            encoding="utf-8",
            errors="backslashreplace",
        ) as process,
        _heard(process, listeners),
        _watched(process, watchdog),
    ):

        def interrupt(_number: int, _frame: FrameType | None) -> None:
            nonlocal interrupted
            interrupted = True
            process.send_signal(signal.SIGINT)

        with _signals_handled(interrupt):
            while process.returncode is None:
                try:
                    process.wait()
                except KeyboardInterrupt:
                    interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    return process.returncode


def run_disposable(command: Sequence[str], variables: Mapping[str, str], watchdog: Watchdog) -> int:
    """Run a command in the project's folder that may be killed when the task is interrupted.

    Args:
        command: The command and its arguments.
        variables: Its environment.
        watchdog: Ends the command if this process is interrupted or killed.

    Returns:
        Its exit status.

    Raises:
        KeyboardInterrupt: If this process was interrupted. The watchdog then ends the command.
    """
    with subprocess.Popen(command, cwd=PROJECT_FOLDER, env=variables) as process:
        watchdog.watch(process.pid)
        status = process.wait()
        watchdog.forget(process.pid)
    return status


@contextmanager
def interruptible(task: str) -> Generator[None]:
    """Exit with one line instead of a stack trace when a task is interrupted.

    Args:
        task: Name of the task.

    Raises:
        SystemExit: If it is interrupted, with exit status 130.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        with _signals_handled(interrupt):
            yield
    except KeyboardInterrupt:
        print(f"\n{task}: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


@contextmanager
def _heard(process: subprocess.Popen[str], listeners: tuple[Listener, Listener] | None) -> Generator[None]:
    """Pass each line of a process to its listeners, both streams at a time: a full pipe would stop the process."""
    streams: Any = zip((process.stdout, process.stderr), listeners, strict=True) if listeners else ()
    threads = [threading.Thread(target=_pass_on, args=pair) for pair in streams]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()


def _pass_on(stream: Iterable[str], listener: Listener) -> None:
    for line in stream:
        listener(line)


@contextmanager
def _watched(process: subprocess.Popen[str], watchdog: Watchdog | None) -> Generator[None]:
    if watchdog:
        watchdog.watch(process.pid)
    yield
    if watchdog:
        watchdog.forget(process.pid)


@contextmanager
def _signals_handled(handler: Callable[[int, FrameType | None], None]) -> Generator[None]:
    """Handle signals that would end this process. Ignored signals stay ignored, for example under nohup."""
    heard = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


if __name__ == "__main__":
    with interruptible(f"pulumi {sys.argv[1]}"):
        sys.exit(run_engine(*sys.argv[1:]))
