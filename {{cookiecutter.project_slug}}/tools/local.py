"""The tasks of the local stack: deployed to an AWS emulator on this machine, by the real engine, without an account.

What they write (state, logs, credentials) stays in the folder ``.local``.
"""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from filelock import FileLock, Timeout

from infrastructure.settings import REGION_KEY
from infrastructure.stack_files import PROJECT_FOLDER, read_stack_config
from tools.emulator import LOCAL_FOLDER, find_emulator, keep_emulator, started_emulator, stop_emulator
from tools.engine import find_engine, interruptible, run_engine, run_to_its_end
from tools.outputs import OUTPUTS_FILE, save_outputs
from tools.package import build_bundle

STACK: Final = "local"
LOCK_FILE: Final = PROJECT_FOLDER / ".local.lock"
# The state of a deployment to an emulator is worth no secret; Pulumi.local.yaml holds the salt that goes with it.
PASSPHRASE: Final = "local"  # noqa: S105 # protects nothing
CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
INTEGRATION_TESTS: Final = (sys.executable, "-m", "pytest", "tests/integration")
NO_PROXY: Final = ("NO_PROXY", "no_proxy")
DESTROY: Final = ("destroy", "--stack", STACK, "--yes", "--skip-preview")
OPERATING_SYSTEM: Final = os.name


def up() -> None:
    """Start the emulator unless it is up, deploy to it, and say what is there and how to send a first message.

    Raises:
        SystemExit: If it cannot be deployed, with the reason; nothing is then left running that was not before.
    """
    find_engine()
    with _task("local-up"):
        build_bundle(STACK)
        address = find_emulator()
        if address:
            outputs = _deploy(address)
        else:
            with started_emulator() as address:
                _create_stack(address)
                outputs = _deploy(address)
                keep_emulator(address)
        print(_summary(address, outputs))


def down() -> None:
    """Destroy what is deployed to the emulator, and stop it.

    Raises:
        SystemExit: If it cannot be destroyed, with the reason; the emulator is stopped nevertheless.
    """
    with _task("local-down"):
        address = find_emulator()
        try:
            if address:
                _engine(address, *DESTROY)
        finally:
            if address:
                _forget_outputs(address)
            stop_emulator()
        print("local-down: stopped" if address else "local-down: nothing was up")


def test() -> None:
    """Deploy to an emulator of its own, run the integration tests, destroy, and stop the emulator.

    Raises:
        SystemExit: Always, unless every step succeeds.
    """
    find_engine()
    with _task("test-local"):
        if find_emulator():
            sys.exit("test-local: local-up has deployed already; test-py-integration tests that, local-down ends it")
        build_bundle(STACK)
        with started_emulator() as address:
            _create_stack(address)
            with _outputs_restored():
                _deploy(address)
                failed = run_to_its_end(INTEGRATION_TESTS, local_variables(address))
                _engine(address, *DESTROY)
        stop_emulator()
        if failed:
            sys.exit(failed)


def local_variables(address: str) -> dict[str, str]:
    """Form the environment in which the engine and the tests reach the emulator, and cannot reach an account.

    Args:
        address: The emulator's.
    """
    inherited = {name: value for name, value in os.environ.items() if not of_an_account(name)}
    # Some programs read the one, some the other.
    no_proxy = ",".join(filter(None, [*map(inherited.get, NO_PROXY), "127.0.0.1", "localhost"]))
    return (
        inherited
        | CREDENTIALS
        | dict.fromkeys(NO_PROXY, no_proxy)
        | {
            "AWS_ENDPOINT_URL": address,
            # A profile can have an endpoint and credentials too.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PULUMI_BACKEND_URL": f"file://./{LOCAL_FOLDER.name}/state",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_CREDENTIALS_PATH": str(LOCAL_FOLDER / "credentials"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
    )


def of_an_account(variable: str) -> bool:
    """Whether an environment variable may lead to an account, or to a stack of one."""
    return variable.startswith(("AWS_", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_STACK"))


@contextmanager
def _task(name: str) -> Generator[None]:
    """Keep other tasks of the local stack out of this folder meanwhile; end with a line when a person interrupts."""
    with interruptible(name):
        try:
            with FileLock(LOCK_FILE, timeout=0):
                yield
        except Timeout:
            sys.exit(f"{name}: another task of the local stack is running in this folder")


def _engine(address: str, *arguments: str) -> None:
    status = run_engine(*arguments, variables=local_variables(address))
    if status:
        sys.exit(f"`pulumi {' '.join(arguments)}` failed with exit status {status}; its message is above")


def _create_stack(address: str) -> None:
    (LOCAL_FOLDER / "state").mkdir()
    _engine(address, "stack", "init", STACK, "--no-select")


def _deploy(address: str) -> dict[str, Any]:
    _engine(address, "up", "--stack", STACK, "--yes", "--skip-preview")
    return save_outputs(STACK, local_variables(address))


@contextmanager
def _outputs_restored() -> Generator[None]:
    """Leave the outputs file as it was: what is deployed meanwhile does not outlive the task."""
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
    """Remove the outputs of what the emulator had; those of another stack stay."""
    path = PROJECT_FOLDER / OUTPUTS_FILE
    if path.exists() and address in path.read_text(encoding="utf-8"):
        path.unlink()


def _summary(address: str, outputs: dict[str, Any]) -> str:
    """Say what is deployed, and what can be done with it."""
    run = "pipenv run" if (PROJECT_FOLDER / "Pipfile").exists() else "uv run poe"
    region = read_stack_config(STACK).values[REGION_KEY]
    export = "$env:{} = '{}'" if OPERATING_SYSTEM == "nt" else "export {}={}"
    variables = {"AWS_ENDPOINT_URL": address, "AWS_REGION": region} | CREDENTIALS
    if any(name.lower() in {"http_proxy", "all_proxy"} for name in os.environ):
        variables |= {name: local_variables(address)[name] for name in NO_PROXY}
    lines = [
        f"\nDeployed to the emulator at {address}:\n",
        *(f"    {name:<16} {value}" for name, value in outputs.items()),
        "\nSend a first message, and see what becomes of it:\n",
        f"    {run} local-send",
        "\nLook around with the AWS CLI, or run the integration tests, after these:\n",
        *(f"    {export.format(name, value)}" for name, value in variables.items()),
        f"\n    {run} test-py-integration",
        f"\nDestroy and stop it with `{run} local-down`.",
    ]
    return "\n".join(lines)
