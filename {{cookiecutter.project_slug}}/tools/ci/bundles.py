"""The ``ci-package`` task, and the bundle in the other tasks."""

from typing import Final

from tools.ci.stacks import find_stacks
from tools.ci.system import is_on_ci
from tools.package import build_bundle, check_bundle
from tools.pulumi_cli import interruptible

TASK: Final = "ci-package"


def package() -> None:
    """Build the bundles of all stacks; those of the same runtime and architecture share one.

    Raises:
        SystemExit: If one cannot be built, with the reason.
    """
    with interruptible(TASK):
        for stack in find_stacks(TASK):
            build_bundle(stack.name)


def provide_bundle(stack: str) -> None:
    """Check on CI that a stack's bundle is the one that `package` has built; elsewhere build it if necessary.

    All environments so get the same bytes.

    Args:
        stack: Name of the stack.

    Raises:
        SystemExit: If there is no such bundle, with the reason.
    """
    (check_bundle if is_on_ci() else build_bundle)(stack)
