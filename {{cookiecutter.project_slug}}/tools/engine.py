"""Pulumi's engine: found, or else one line says how to get it; called, and ended as what it does demands."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

from tools.configuration.stack_files import PROJECT_FOLDER
from tools.watchdog import Watchdog

INSTALLATION: Final = "https://www.pulumi.com/docs/install/"
# What would end this process and leave the engine behind. Windows has no SIGHUP.
ENDING: Final = [signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
# What a shell reports of a command that was interrupted.
INTERRUPTED: Final = 130


def find_engine() -> str:
    """Find the Pulumi CLI.

    Raises:
        SystemExit: If it is not installed, with how to install it.
    """
    engine = shutil.which("pulumi")
    if engine is None:
        sys.exit(f"pulumi is not on the PATH; {INSTALLATION} says how to install it")
    return engine


def run_engine(*arguments: str, variables: Mapping[str, str] | None = None) -> int:
    """Call the engine on this terminal.

    Args:
        arguments: What follows ``pulumi`` in the command.
        variables: Its environment; this process's own when left out.

    Returns:
        Its exit status.

    Raises:
        SystemExit: If it is not installed.
        KeyboardInterrupt: If it was interrupted; it has ended by then.
    """
    return run_to_its_end([find_engine(), *arguments], variables)


def run_to_its_end(
    command: Sequence[str], variables: Mapping[str, str] | None = None, watchdog: Watchdog | None = None
) -> int:
    """Call a command in the project's folder, and wait until it ends by itself, even if a person interrupts this task.

    An engine that is killed leaves its state locked. A terminal interrupts the command as well as this process, so that
    there is nothing to do but to wait. Whatever else would end this process is passed on as an interrupt.

    Args:
        command: The command and its arguments.
        variables: Its environment; this process's own when left out.
        watchdog: Ends the command if this process is killed.

    Returns:
        Its exit status.

    Raises:
        KeyboardInterrupt: If it was interrupted; it has ended by then.
    """
    interrupted = False
    with subprocess.Popen(command, cwd=PROJECT_FOLDER, env=variables) as process, _watched(process, watchdog):

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
    """Call a command in the project's folder whose work is worth nothing once it is interrupted.

    Args:
        command: The command and its arguments.
        variables: Its environment.
        watchdog: Ends the command if this process is interrupted or killed.

    Returns:
        Its exit status.

    Raises:
        KeyboardInterrupt: If this process was interrupted; the watchdog then ends the command.
    """
    with subprocess.Popen(command, cwd=PROJECT_FOLDER, env=variables) as process:
        watchdog.watch(process.pid)
        status = process.wait()
        watchdog.forget(process.pid)
    return status


@contextmanager
def interruptible(task: str) -> Generator[None]:
    """End with a line, and not with a stack trace, when a person or the system interrupts a task.

    Args:
        task: Its name.

    Raises:
        SystemExit: If it is interrupted, with the status 130.
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
def _watched(process: subprocess.Popen[bytes], watchdog: Watchdog | None) -> Generator[None]:
    if watchdog:
        watchdog.watch(process.pid)
    yield
    if watchdog:
        watchdog.forget(process.pid)


@contextmanager
def _signals_handled(handler: Callable[[int, FrameType | None], None]) -> Generator[None]:
    """Handle what would end this process; what is ignored already, as by nohup, stays ignored."""
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
