"""Finds, runs and interrupts the Pulumi CLI, and reads a stack's outputs with it."""

import ast
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

from tools.package import build_bundle
from tools.project import PROJECT_FOLDER, DocumentError, read_project

INSTALLATION: Final = "https://www.pulumi.com/docs/install/"
# Signals that would end this process and leave the Pulumi CLI running. Windows has no SIGHUP.
ENDING: Final = [signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
# The exit status that shells report for an interrupted command.
INTERRUPTED: Final = 130
OUTPUTS_FILE: Final = Path("cfn-outputs/flat-outputs.json")
PROGRAM: Final = "__main__.py"
EXPORT: Final = "pulumi.export"


def find_pulumi() -> str:
    """Find the Pulumi CLI on the PATH.

    Raises:
        SystemExit: If it is not installed. The message says how to install it.
    """
    program = shutil.which("pulumi")
    if program is None:
        sys.exit(f"pulumi is not on the PATH; {INSTALLATION} says how to install it")
    return program


def run_pulumi(*arguments: str, variables: Mapping[str, str] | None = None) -> int:
    """Run the Pulumi CLI in this terminal, and return its exit status.

    Raises:
        SystemExit: If it is not installed.
        KeyboardInterrupt: If it was interrupted, after it has ended.
    """
    return run_to_its_end([find_pulumi(), *arguments], variables)


def run_to_its_end(command: Sequence[str], variables: Mapping[str, str] | None = None) -> int:
    """Run a command in the project's folder and wait until it ends, even after Ctrl-C.

    A killed Pulumi CLI leaves its state locked. On Ctrl-C the terminal interrupts the command too, so this process only
    waits. Other signals that would end this process are forwarded to the command as SIGINT.

    Args:
        command: The command and its arguments.
        variables: Its environment; by default that of this process.

    Returns:
        Its exit status.

    Raises:
        KeyboardInterrupt: If it was interrupted, after it has ended.
    """
    interrupted = False
    with subprocess.Popen(command, cwd=PROJECT_FOLDER, env=variables) as process:

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


@contextmanager
def interruptible(task: str) -> Generator[None]:
    """Exit with one line, which names the task, instead of a stack trace when it is interrupted.

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
def _signals_handled(handler: Callable[[int, FrameType | None], None]) -> Generator[None]:
    """Handle signals that would end this process. Ignored signals stay ignored, for example under nohup."""
    handled = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in handled}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def create_stack(stack: str, secrets_provider: str = "default") -> None:
    """Create a stack in the backend: the task ``pulumi-create-stack``.

    Args:
        stack: Name of the stack.
        secrets_provider: What encrypts its secrets; by default the backend:
            https://www.pulumi.com/docs/iac/concepts/secrets/#available-encryption-providers

    Raises:
        SystemExit: If it is not created.
    """
    with interruptible("pulumi-create-stack"):
        _require(stack)
        _exit_if_failed(run_pulumi("stack", "init", stack, "--secrets-provider", secrets_provider))


def preview(stack: str) -> None:
    """Show what a deployment of a stack would change: the task ``pulumi-preview``.

    Raises:
        SystemExit: If the preview fails. The Pulumi CLI has then printed the reason.
    """
    with interruptible("pulumi-preview"):
        _require(stack)
        build_bundle(stack)
        _exit_if_failed(run_pulumi("preview", "--diff", "--stack", stack))


def deploy(stack: str) -> None:
    """Preview a stack's deployment, ask, deploy, and write the outputs: the task ``pulumi-deploy``.

    Raises:
        SystemExit: If it is not deployed. The outputs file is then unchanged.
    """
    with interruptible("pulumi-deploy"):
        _require(stack)
        build_bundle(stack)
        _exit_if_failed(run_pulumi("up", "--stack", stack))
        save_outputs(stack)


def _require(stack: str) -> None:
    """Exit with one line if the stack has no file that can be read, or the Pulumi CLI is not installed."""
    try:
        read_project().read_stack(stack)
    except DocumentError as error:
        sys.exit(str(error))
    find_pulumi()


def _exit_if_failed(status: int) -> None:
    if status:
        sys.exit(status)


def exports(folder: Path = PROJECT_FOLDER) -> Iterator[tuple[str, ast.expr]]:
    """Find each ``pulumi.export("name", value)`` in the program's source: the name, and the expression of the value."""
    program = ast.parse((folder / PROGRAM).read_text(encoding="utf-8"))
    for node in ast.walk(program):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == EXPORT:
            name, value = node.args
            yield str(ast.literal_eval(name)), value


def save_outputs(stack: str, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Write a deployed stack's outputs to the outputs file: the task ``outputs``.

    Args:
        stack: Name of the stack.
        variables: Environment of the Pulumi CLI; by default that of this process.

    Returns:
        The outputs.

    Raises:
        SystemExit: If they cannot be read or are incomplete, with the reason. The file is then unchanged.
    """
    _require(stack)
    command = [find_pulumi(), "stack", "output", "--json", "--stack", stack]
    finished = subprocess.run(
        command, stdout=subprocess.PIPE, encoding="utf-8", check=False, cwd=PROJECT_FOLDER, env=variables
    )
    if finished.returncode:
        sys.exit(f"outputs: `pulumi stack output` failed with exit status {finished.returncode}; its message is above")
    outputs = json.loads(finished.stdout)
    missing = [name for name, _ in exports() if not outputs.get(name)]
    if missing:
        sys.exit(f"outputs: stack {stack} lacks {', '.join(missing)}; the task `pulumi-deploy` deploys it")
    path = PROJECT_FOLDER / OUTPUTS_FILE
    path.parent.mkdir(exist_ok=True)
    # Replaced at once, so that the file is never read half-written.
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(outputs, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    unfinished.replace(path)
    print(f"{OUTPUTS_FILE.as_posix()}: {len(outputs)} outputs of {stack}")
    return outputs


if __name__ == "__main__":
    with interruptible(f"pulumi {sys.argv[1]}"):
        sys.exit(run_pulumi(*sys.argv[1:]))
