"""Tasks of the local stack: the real engine deploys it to an AWS emulator on this machine, without an account.

All files (state, logs, credentials) stay in the folder ``.local``.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from infrastructure.project import PROJECT
from tools.configuration.model import REGION_KEY
from tools.configuration.stack_files import PROJECT_FOLDER, read_stack_config
from tools.emulator import LOCAL_FOLDER, find_emulator, keep_emulator, start_emulator, stop_emulator
from tools.engine import find_engine, interruptible, run_disposable, run_to_its_end
from tools.outputs import OUTPUTS_FILE, save_outputs
from tools.package import build_bundle
from tools.tasks import run_prefix
from tools.watchdog import Watchdog, is_running

STACK: Final = PROJECT.local
LOCK_FILE: Final = PROJECT_FOLDER / ".local.lock"
STATE_FOLDER: Final = LOCAL_FOLDER / "state"
# The engine's lock files, which name the process that uses a stack's state.
STATE_LOCKS: Final = ".pulumi/locks"
# Exceptions from reading a lock file that was just removed or is incomplete.
UNREADABLE: Final = (OSError, ValueError, KeyError, TypeError)
# The emulator's state has no secrets worth protecting. Pulumi.local.yaml has the salt of this passphrase.
PASSPHRASE: Final = "local"  # noqa: S105 # protects nothing
CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
INTEGRATION_TESTS: Final = (sys.executable, "-m", "pytest", "tests/integration")
NO_PROXY: Final = ("NO_PROXY", "no_proxy")
# In interactive mode the engine would take Ctrl-C away from the other processes.
UP: Final = ("up", "--stack", STACK, "--yes", "--skip-preview", "--non-interactive")
OPERATING_SYSTEM: Final = os.name

# Runs a command with an environment and returns its exit status.
Run = Callable[[Sequence[str], Mapping[str, str], Watchdog], int]


def up() -> None:
    """Start the emulator if necessary, deploy to it, and print the outputs and next steps.

    Raises:
        SystemExit: If the deployment fails, with the reason. An emulator that this task has started is then stopped.
    """
    find_engine()
    began = time.monotonic()
    with _task("local-up") as watchdog:
        build_bundle(STACK)
        address = _find_usable_emulator()
        if address:
            print("Deploying the changes ...", flush=True)
            outputs = _deploy(address, watchdog, run_to_its_end)
        else:
            address = _start(watchdog)
            outputs = _deploy(address, watchdog, run_disposable)
            keep_emulator(watchdog)
        print(_summary(address, outputs, time.monotonic() - began))


def down() -> None:
    """Stop the emulator and remove its files. It keeps its resources in memory, so there is nothing to destroy."""
    with _task("local-down"):
        address = find_emulator()
        if address:
            _forget_outputs(address)
        stop_emulator()
        print("local-down: stopped" if address else "local-down: the local stack was not up")


def test() -> None:
    """Deploy to a new emulator, run the integration tests, and stop the emulator.

    Raises:
        SystemExit: Unless every step succeeds.
    """
    find_engine()
    with _task("test-local") as watchdog:
        if find_emulator():
            sys.exit("test-local: the local stack is up; test it with test-py-integration, or stop it with local-down")
        build_bundle(STACK)
        address = _start(watchdog)
        with _outputs_restored():
            _deploy(address, watchdog, run_disposable)
            failed = run_disposable(INTEGRATION_TESTS, local_variables(address), watchdog)
        stop_emulator()
        if failed:
            sys.exit(failed)


def local_variables(address: str) -> dict[str, str]:
    """Return environment variables that lead the engine and the tests to the emulator and to no account.

    Args:
        address: The emulator's address.
    """
    inherited = {name: value for name, value in os.environ.items() if not of_an_account(name)}
    # Programs differ in which of the two they read.
    no_proxy = ",".join(filter(None, [*map(inherited.get, NO_PROXY), "127.0.0.1", "localhost"]))
    return (
        inherited
        | CREDENTIALS
        | dict.fromkeys(NO_PROXY, no_proxy)
        | {
            "AWS_ENDPOINT_URL": address,
            # A profile can also set an endpoint and credentials.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PULUMI_BACKEND_URL": f"file://./{STATE_FOLDER.relative_to(PROJECT_FOLDER).as_posix()}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_CREDENTIALS_PATH": str(LOCAL_FOLDER / "credentials"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
    )


def enter_local_stack(task: str) -> str:
    """Point this process to the local stack, and to no account.

    Args:
        task: Name of the current task.

    Returns:
        The emulator's address.

    Raises:
        SystemExit: If the local stack is not up.
    """
    address = find_emulator()
    if address is None:
        sys.exit(f"{task}: the local stack is not up; the task `local-up` deploys it")
    variables = local_variables(address)
    os.environ.clear()
    os.environ.update(variables)
    return address


def of_an_account(variable: str) -> bool:
    """Whether an environment variable may lead to an account or its stacks."""
    return variable.startswith(("AWS_", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_STACK"))


@contextmanager
def _task(name: str) -> Generator[Watchdog]:
    """Lock out other tasks of the local stack, and end the processes that are not kept.

    Raises:
        SystemExit: If another task is running, or this one is interrupted.
    """
    with interruptible(name):
        try:
            with FileLock(LOCK_FILE, timeout=0), Watchdog() as watchdog:
                yield watchdog
        except Timeout:
            sys.exit(f"{name}: another task of the local stack is running in this folder")


def _find_usable_emulator() -> str | None:
    """Find the running emulator, unless a deployment to it was killed, which leaves it in an unknown state.

    Raises:
        SystemExit: If Pulumi is using its state.
    """
    address = find_emulator()
    owners = [_owner(lock) for lock in (STATE_FOLDER / STATE_LOCKS).rglob("*.json")] if address else []
    busy = next((owner for owner in owners if owner and is_running(owner)), None)
    if busy:
        sys.exit(f"local-up: Pulumi (process {busy}) is using the local stack")
    if owners:
        print("The last deployment was killed; starting over.", flush=True)
        return None
    return address


def _owner(lock: Path) -> int | None:
    """Read which process has locked the state; ``None`` if the lock file is incomplete."""
    try:
        return json.loads(lock.read_text(encoding="utf-8"))["pid"]
    except UNREADABLE:
        return None


def _start(watchdog: Watchdog) -> str:
    address = start_emulator(watchdog)
    print("Deploying to the emulator; it takes about 100 s, mostly waits in the AWS provider.", flush=True)
    STATE_FOLDER.mkdir()
    _engine(address, watchdog, run_disposable, "stack", "init", STACK, "--no-select")
    return address


def _deploy(address: str, watchdog: Watchdog, run: Run) -> dict[str, Any]:
    _engine(address, watchdog, run, *UP)
    return save_outputs(STACK, local_variables(address))


def _engine(address: str, watchdog: Watchdog, run: Run, *arguments: str) -> None:
    status = run([find_engine(), *arguments], local_variables(address), watchdog)
    if status:
        sys.exit(f"`pulumi {' '.join(arguments)}` failed with exit status {status}; its message is above")


@contextmanager
def _outputs_restored() -> Generator[None]:
    """Restore the outputs file afterwards: the emulator of this task does not outlive it."""
    path = PROJECT_FOLDER / OUTPUTS_FILE
    before = path.read_bytes() if path.exists() else None
    try:
        yield
    finally:
        if before is not None:
            path.write_bytes(before)
        else:
            path.unlink(missing_ok=True)


def _forget_outputs(address: str) -> None:
    """Remove the outputs file if it is the emulator's; keep that of another stack."""
    path = PROJECT_FOLDER / OUTPUTS_FILE
    if path.exists() and address in path.read_text(encoding="utf-8"):
        path.unlink()


def _summary(address: str, outputs: dict[str, Any], seconds: float) -> str:
    """Describe the deployed stack and the next steps."""
    run = run_prefix()
    region = read_stack_config(STACK).values[REGION_KEY]
    export = "$env:{} = '{}'" if OPERATING_SYSTEM == "nt" else "export {}={}"
    # Programs differ in which of the two they read.
    regions = dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), region)
    variables = {"AWS_ENDPOINT_URL": address} | regions | CREDENTIALS
    if any(name.lower() in {"http_proxy", "all_proxy"} for name in os.environ):
        variables |= {name: local_variables(address)[name] for name in NO_PROXY}
    lines = [
        f"\nDeployed to the emulator at {address} in {seconds:.0f} s:\n",
        *(f"    {name:<16} {value}" for name, value in outputs.items()),
        "\nSend a message and see the result; follow the function's log in another terminal:\n",
        f"    {run} local-send",
        f"    {run} local-logs",
        "\nSet these variables to use the AWS CLI or an SDK, or to run the integration tests:\n",
        *(f"    {export.format(name, value)}" for name, value in variables.items()),
        f"\n    {run} test-py-integration",
        f"\nRun `{run} local-up` again to deploy a change, and `{run} local-down` to stop the emulator.",
    ]
    return "\n".join(lines)
