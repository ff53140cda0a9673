"""Deploys the local stack to an AWS emulator on this machine, without an AWS account.

State, logs and credentials stay in the folder ``.local``.
"""

import os
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psutil
from filelock import FileLock, Timeout

from tools.emulator import LOCAL_FOLDER, end_process, find_emulator, keep_emulator, start_emulator, stop_emulator
from tools.package import build_bundle
from tools.project import DECLARATION, PROJECT_FOLDER, read_project, run_prefix
from tools.pulumi_cli import OUTPUTS_FILE, find_pulumi, interruptible, run_to_completion, save_outputs
from tools.settings import REGION_KEY

STACK: Final = DECLARATION.local
LOCK_FILE: Final = PROJECT_FOLDER / ".local.lock"
STATE_FOLDER: Final = LOCAL_FOLDER / "state"
# Folder of the Pulumi CLI's state locks.
STATE_LOCKS: Final = ".pulumi/locks"
# The local stack has no confidential secrets. Pulumi.local.yaml contains the salt for this passphrase.
PASSPHRASE: Final = "local"  # noqa: S105 # protects nothing
CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
INTEGRATION_TESTS: Final = (sys.executable, "-m", "pytest", "tests/integration")
# Some programs read only one of the two variables.
NO_PROXY: Final = ("NO_PROXY", "no_proxy")
REGIONS: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")
# In interactive mode, the Pulumi CLI keeps Ctrl-C from the other processes.
UP: Final = ("up", "--stack", STACK, "--yes", "--skip-preview", "--non-interactive")
OPERATING_SYSTEM: Final = os.name


def up() -> None:
    """Start the emulator if necessary, deploy to it, and print the outputs and next steps: the task ``local-up``.

    Raises:
        SystemExit: If the deployment fails. An emulator that this task has started is then stopped.
    """
    find_pulumi()
    began = time.monotonic()
    with _task("local-up"):
        build_bundle(STACK)
        address = find_emulator()
        if address and any((STATE_FOLDER / STATE_LOCKS).rglob("*.json")):
            print("The last deployment was killed; starting over.", flush=True)
            address = None
        if address:
            print("Deploying the changes ...", flush=True)
            _pulumi(address, *UP)
            outputs = save_outputs(STACK, local_variables(address))
        else:
            with _new_emulator() as address:
                outputs = _deploy_to_new(address)
                keep_emulator()
        print(_summary(address, outputs, time.monotonic() - began))


def down() -> None:
    """Stop the emulator, whose resources are only in memory, and remove its files: the task ``local-down``."""
    with _task("local-down"):
        address = find_emulator()
        path = PROJECT_FOLDER / OUTPUTS_FILE
        # The file may contain the outputs of another stack.
        if address and path.exists() and address in path.read_text(encoding="utf-8"):
            path.unlink()
        stop_emulator()
        print("local-down: stopped" if address else "local-down: the local stack was not up")


def test() -> None:
    """Deploy to a new emulator, run the integration tests, and stop the emulator: the task ``test-local``.

    Raises:
        SystemExit: If the local stack is already up or a step fails.
    """
    find_pulumi()
    with _task("test-local"):
        if find_emulator():
            sys.exit("test-local: the local stack is up; test it with test-py-integration, or stop it with local-down")
        build_bundle(STACK)
        with _new_emulator() as address, _outputs_restored():
            _deploy_to_new(address)
            failed = run_disposable(INTEGRATION_TESTS, local_variables(address))
        if failed:
            sys.exit(failed)


def local_variables(address: str) -> dict[str, str]:
    """Return environment variables that point the Pulumi CLI and the tests to the emulator, never to AWS."""
    inherited = {name: value for name, value in os.environ.items() if not is_account_variable(name)}
    no_proxy = ",".join(filter(None, [*map(inherited.get, NO_PROXY), "127.0.0.1", "localhost"]))
    return (
        inherited
        | CREDENTIALS
        | dict.fromkeys(REGIONS, read_project().read_stack(STACK).values[REGION_KEY])
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
    """Point this process to the local stack, never to AWS, and return its URL; exit if the local stack is not up."""
    address = find_emulator()
    if address is None:
        sys.exit(f"{task}: the local stack is not up; run the task `local-up`")
    variables = local_variables(address)
    os.environ.clear()
    os.environ.update(variables)
    return address


def is_account_variable(variable: str) -> bool:
    """Whether an environment variable may point to an AWS account, a Pulumi account or another stack."""
    return variable.startswith(("AWS_", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_STACK"))


@contextmanager
def _task(name: str) -> Generator[None]:
    """Run a task of the local stack; exit if another one is running, or this one is interrupted."""
    with interruptible(name):
        try:
            with FileLock(LOCK_FILE, timeout=0):
                yield
        except Timeout:
            sys.exit(f"{name}: another task of the local stack is running in this folder")


@contextmanager
def _new_emulator() -> Generator[str]:
    """Start an emulator; on exit, stop it unless it is kept."""
    try:
        yield start_emulator()
    finally:
        if find_emulator() is None:
            stop_emulator()


def _deploy_to_new(address: str) -> dict[str, Any]:
    print("Deploying to the emulator; this takes about 100 s, mostly fixed waits of the AWS provider.", flush=True)
    STATE_FOLDER.mkdir()
    _pulumi(address, "stack", "init", STACK, "--no-select", is_disposable=True)
    _pulumi(address, *UP, is_disposable=True)
    return save_outputs(STACK, local_variables(address))


def _pulumi(address: str, *arguments: str, is_disposable: bool = False) -> None:
    run = run_disposable if is_disposable else run_to_completion
    status = run([find_pulumi(), *arguments], local_variables(address))
    if status:
        sys.exit(f"`pulumi {' '.join(arguments)}` failed with exit status {status}; its message is above")


def run_disposable(command: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run a command in the project's folder, and return its exit status.

    If the task is interrupted, kill the command, because its emulator is stopped, too.
    """
    with subprocess.Popen(command, cwd=PROJECT_FOLDER, env=variables) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            if process.poll() is None:
                end_process(psutil.Process(process.pid))
            raise


@contextmanager
def _outputs_restored() -> Generator[None]:
    """Restore the outputs file on exit, because the emulator of this task is stopped."""
    path = PROJECT_FOLDER / OUTPUTS_FILE
    before = path.read_bytes() if path.exists() else None
    try:
        yield
    finally:
        if before is not None:
            path.write_bytes(before)
        else:
            path.unlink(missing_ok=True)


def _summary(address: str, outputs: dict[str, Any], seconds: float) -> str:
    """Describe the deployed stack and the next steps."""
    run = run_prefix()
    export = "$env:{} = '{}'" if OPERATING_SYSTEM == "nt" else "export {}={}"
    names = ["AWS_ENDPOINT_URL", *REGIONS, *CREDENTIALS]
    if any(name.lower() in {"http_proxy", "all_proxy"} for name in os.environ):
        names += NO_PROXY
    variables = local_variables(address)
    lines = [
        f"\nDeployed to the emulator at {address} in {seconds:.0f} s:\n",
        *(f"    {name:<16} {value}" for name, value in outputs.items()),
        "\nSend a message and see the result:\n",
        f"    {run} local-send",
        "\nSet these variables to use the AWS CLI or an SDK, or to run the integration tests:\n",
        *(f"    {export.format(name, variables[name])}" for name in names),
        f"\n    {run} test-py-integration",
        f"\nRun `{run} local-up` again to deploy a change, and `{run} local-down` to stop the emulator.",
    ]
    return "\n".join(lines)
