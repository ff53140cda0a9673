"""The tasks ``pulumi-preview`` and ``pulumi-deploy``. Both build the bundle first, so that it is up to date."""

import sys

from tools.engine import find_engine, interruptible, run_engine
from tools.outputs import save_outputs
from tools.package import build_bundle


def preview(stack: str) -> None:
    """Show what a deployment would change.

    Args:
        stack: Name of the stack.

    Raises:
        SystemExit: If the preview fails, with the reason.
    """
    with interruptible("pulumi-preview"):
        find_engine()
        build_bundle(stack)
        _end_with(run_engine("preview", "--diff", "--stack", stack))


def deploy(stack: str) -> None:
    """Preview a deployment, ask for confirmation, deploy, and write the outputs.

    Args:
        stack: Name of the stack.

    Raises:
        SystemExit: If it is not deployed, with the reason. The outputs file is then unchanged.
    """
    with interruptible("pulumi-deploy"):
        find_engine()
        build_bundle(stack)
        _end_with(run_engine("up", "--stack", stack))
        save_outputs(stack)


def _end_with(status: int) -> None:
    """Exit with the engine's exit status if it failed. Its message is already printed."""
    if status:
        sys.exit(status)
