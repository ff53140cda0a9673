"""Environments of their own for tools that cannot share the project's."""

import subprocess
import sys
from collections.abc import Sequence

from tools.package import UV


def find_interpreter(name: str, package: str, companions: Sequence[str] = ()) -> str:
    """Find the Python of a tool's environment. uv creates it in its cache the first time, for this Python.

    Args:
        name: What to call the tool in messages.
        package: The tool, pinned.
        companions: What is installed beside it, pinned.

    Raises:
        SystemExit: If uv cannot create it, with the reason.
    """
    options = ["--quiet", "--python", sys.executable, "--from", package]
    options += [option for companion in companions for option in ("--with", companion)]
    command = [*options, "python", "-X", "utf8", "-c", "import sys; print(sys.executable)"]
    # A cached environment needs no network.
    finished = _uvx("--offline", *command)
    if finished.returncode:
        print(f"Installing the {name} {package}; this happens only once ...", flush=True)
        finished = _uvx(*command)
    if finished.returncode:
        sys.exit(f"the {name} cannot be installed: {finished.stderr.strip()}")
    return finished.stdout.strip()


def _uvx(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*UV, "tool", "run", *arguments], check=False, capture_output=True, encoding="utf-8")
