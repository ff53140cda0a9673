"""Pulumi's engine: found, or else one line says how to get it; called, and waited for until it ends by itself."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

from infrastructure.stack_files import PROJECT_FOLDER

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


def run_to_its_end(command: Sequence[str], variables: Mapping[str, str] | None = None) -> int:
    """Call a command in the project's folder, and never leave it behind.

    A terminal interrupts the command as well as this process, so that all there is to do is to wait: an engine that is
    killed leaves its state locked. Whatever else would end this process is passed on as an interrupt.

    Args:
        command: The command and its arguments.
        variables: Its environment; this process's own when left out.

    Returns:
        Its exit status.

    Raises:
        KeyboardInterrupt: If it was interrupted; it has ended by then.
    """
    interrupted = False
    with subprocess.Popen(command, cwd=PROJECT_FOLDER, env=variables) as process:

        def interrupt(_number: int, _frame: FrameType | None) -> None:
            nonlocal interrupted
            interrupted = True
            process.send_signal(signal.SIGINT)

        # What is ignored already, as by nohup, stays ignored.
        heard = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
        handlers = {number: signal.signal(number, interrupt) for number in heard}
        try:
            while process.returncode is None:
                try:
                    process.wait()
                except KeyboardInterrupt:
                    interrupted = True
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    if interrupted:
        raise KeyboardInterrupt
    return process.returncode


@contextmanager
def interruptible(task: str) -> Generator[None]:
    """End with a line, and not with a stack trace, when a person interrupts a task.

    Args:
        task: Its name.

    Raises:
        SystemExit: If it is interrupted, with the status 130.
    """
    try:
        yield
    except KeyboardInterrupt:
        print(f"\n{task}: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    with interruptible(f"pulumi {sys.argv[1]}"):
        sys.exit(run_engine(*sys.argv[1:]))
