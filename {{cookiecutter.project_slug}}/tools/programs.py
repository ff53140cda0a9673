"""Programs that a machine needs besides the project's packages."""

import shutil
import sys


def find_program(name: str, installation: str) -> str:
    """Find a program on the PATH.

    Args:
        name: Its name.
        installation: URL of the page that says how to install it.

    Raises:
        SystemExit: If it is not installed.
    """
    program = shutil.which(name)
    if program is None:
        sys.exit(f"{name} is not on the PATH; {installation} says how to install it")
    return program
