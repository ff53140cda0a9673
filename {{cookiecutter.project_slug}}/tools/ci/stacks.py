"""The stacks that CI deploys: those that have a file, but not the local one."""

import sys
from dataclasses import dataclass

from tools.package import read_checked_config
from tools.project import DECLARATION, DocumentError, StackConfig, read_project, shown
from tools.settings import SettingsError, promotion_order


@dataclass(frozen=True)
class Stack:
    """A stack.

    Attributes:
        name: Its name.
        project: The project's name.
        config: Its configuration.
    """

    name: str
    project: str
    config: StackConfig

    def setting(self, key: str) -> str:
        """Return the value of one of the project's settings."""
        return self.config.values[f"{self.project}:{key}"]


def find_stack(task: str, name: str) -> Stack:
    """Find a stack by its name.

    Args:
        task: Name of the task.
        name: Name of the stack.

    Raises:
        SystemExit: If there is no such stack, or its configuration has problems.
    """
    names = _names(task)
    if name not in names:
        sys.exit(f"{task}: no file for the stack {shown(name)}; allowed: {', '.join(names)}")
    return _read_stack(task, name)


def find_stacks(task: str) -> list[Stack]:
    """Find all stacks, in the order of promotion.

    Args:
        task: Name of the task.

    Raises:
        SystemExit: If the configuration of one has problems.
    """
    stacks = [_read_stack(task, name) for name in _names(task)]
    return sorted(stacks, key=lambda stack: promotion_order(stack.setting(DECLARATION.environment), stack.name))


def _names(task: str) -> list[str]:
    try:
        return [name for name in read_project().stacks if name != DECLARATION.local]
    except DocumentError as error:
        sys.exit(f"{task}: {error}")


def _read_stack(task: str, name: str) -> Stack:
    try:
        return Stack(name, *read_checked_config(name))
    except (DocumentError, SettingsError) as error:
        sys.exit(f"{task}: {error}")
