"""The tasks that deploy: each builds the bundle first, so that what is deployed is what the source says."""

import sys

from tools.engine import find_engine, interruptible, run_engine
from tools.outputs import save_outputs
from tools.package import build_bundle


def preview(stack: str) -> None:
    """Show what a deployment would change.

    Args:
        stack: Name of the stack.

    Raises:
        SystemExit: If it cannot be shown, with the reason.
    """
    with interruptible("pulumi-preview"):
        find_engine()
        build_bundle(stack)
        _end_with(run_engine("preview", "--diff", "--stack", stack))


def deploy(stack: str) -> None:
    """Deploy a stack after showing what changes and asking, then write its outputs.

    Args:
        stack: Name of the stack.

    Raises:
        SystemExit: If it is not deployed, with the reason; the outputs are then left as they were.
    """
    with interruptible("pulumi-deploy"):
        find_engine()
        build_bundle(stack)
        _end_with(run_engine("up", "--stack", stack))
        save_outputs(stack)


def _end_with(status: int) -> None:
    """End as the engine has ended if it failed; its message is above."""
    if status:
        sys.exit(status)
