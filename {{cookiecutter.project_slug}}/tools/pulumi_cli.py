"""Runs the Pulumi CLI for the tasks, waits for its exit after an interrupt, and saves a stack's outputs."""

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
# 128 + SIGINT: the exit status of an interrupted command in a shell.
INTERRUPTED: Final = 130
OUTPUTS_FILE: Final = Path("cfn-outputs/flat-outputs.json")


def find_pulumi() -> str:
    """Return the path of the Pulumi CLI; exit if it is not on the PATH."""
    program = shutil.which("pulumi")
    if program is None:
        sys.exit(f"pulumi is not on the PATH; install it: {INSTALLATION}")
    return program


def run_pulumi(*arguments: str, variables: Mapping[str, str] | None = None) -> int:
    """Run the Pulumi CLI in this terminal, and return its exit status, as `run_to_completion`."""
    return run_to_completion([find_pulumi(), *arguments], variables)


def run_to_completion(command: Sequence[str], variables: Mapping[str, str] | None = None) -> int:
    """Run a command in the project's folder, wait until it ends, even after Ctrl-C, and return its exit status.

    A killed Pulumi CLI leaves the state locked. On Ctrl-C, the terminal also sends SIGINT to the command, so this
    process only waits. SIGTERM and SIGHUP are forwarded to the command as SIGINT.

    Raises:
        KeyboardInterrupt: If interrupted, after the command has exited.
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
    """On an interrupt, exit with status 130 and a message that names the task, without a stack trace."""

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
    """Handle SIGTERM and SIGHUP during the block. Ignored signals stay ignored, for example under nohup."""
    handled = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in handled}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def create_stack(stack: str, secrets_provider: str = "default") -> None:
    """Create a stack in the backend, and exit with the Pulumi CLI's status: the task ``pulumi-create-stack``.

    Secrets providers: https://www.pulumi.com/docs/iac/concepts/secrets/#available-encryption-providers
    """
    with interruptible("pulumi-create-stack"):
        _require(stack)
        sys.exit(run_pulumi("stack", "init", stack, "--secrets-provider", secrets_provider))


def preview(stack: str) -> None:
    """Build a stack's bundle, preview its deployment, and exit with the CLI's status: the task ``pulumi-preview``."""
    with interruptible("pulumi-preview"):
        _require(stack)
        build_bundle(stack)
        sys.exit(run_pulumi("preview", "--diff", "--stack", stack))


def deploy(stack: str) -> None:
    """Preview, confirm and deploy a stack, and write its outputs: the task ``pulumi-deploy``.

    Raises:
        SystemExit: If the deployment fails or the outputs are incomplete. The outputs file is then unchanged.
    """
    with interruptible("pulumi-deploy"):
        _require(stack)
        build_bundle(stack)
        if status := run_pulumi("up", "--stack", stack):
            sys.exit(status)
        save_outputs(stack)


def _require(stack: str) -> None:
    """Exit with a message if the stack file is missing or unreadable, or the Pulumi CLI is not installed."""
    try:
        read_project().read_stack(stack)
    except DocumentError as error:
        sys.exit(str(error))
    find_pulumi()


def exports(folder: Path = PROJECT_FOLDER) -> Iterator[tuple[str, ast.expr]]:
    """Yield the name and the value expression of each ``pulumi.export`` call in the program's source."""
    program = ast.parse((folder / "__main__.py").read_text(encoding="utf-8"))
    for node in ast.walk(program):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pulumi.export":
            name, value = node.args
            yield str(ast.literal_eval(name)), value


def save_outputs(stack: str, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Write a deployed stack's outputs to the outputs file, and return them: the task ``outputs``.

    Raises:
        SystemExit: If the outputs cannot be read or are incomplete. The file is then unchanged.
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
        sys.exit(f"outputs: stack {stack} has no output {', '.join(missing)}; run the task `pulumi-deploy`")
    path = PROJECT_FOLDER / OUTPUTS_FILE
    path.parent.mkdir(exist_ok=True)
    # Replace the file atomically, so that no reader finds it half-written.
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(outputs, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    unfinished.replace(path)
    print(f"{OUTPUTS_FILE.as_posix()}: {len(outputs)} outputs of {stack}")
    return outputs


if __name__ == "__main__":
    with interruptible(f"pulumi {sys.argv[1]}"):
        sys.exit(run_pulumi(*sys.argv[1:]))
