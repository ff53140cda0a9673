"""Installs the template's tools into ``.venv`` with uv, and uv too if there is none.

Only Python itself is needed: no root, and nothing outside this folder changes but the package managers' caches.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
INSTALLED = ENVIRONMENT / "installed"
OLDEST_PYTHON = (3, 11)
UV = "uv>=0.13.9,<0.14"


def install_uv() -> None:
    """Make the environment and install uv into it.

    Raises:
        SystemExit: If this Python cannot make an environment, with what to do.
        subprocess.CalledProcessError: If pip fails.
    """
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=False, capture_output=True)
    if made.returncode:
        sys.exit(
            f"install: {sys.executable} cannot make an environment. On Debian and Ubuntu that needs the package "
            "python3-venv; or install uv: https://docs.astral.sh/uv/getting-started/installation/"
        )
    subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV], check=True)


def main() -> None:
    """Install, and leave a mark that make compares with the dates of what was installed.

    Raises:
        SystemExit: If a command fails; its own message is above.
    """
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(
            f"install: {sys.executable} is Python {sys.version.split()[0]}; 3.11 or newer is needed: make PYTHON=..."
        )
    INSTALLED.unlink(missing_ok=True)
    try:
        uv = shutil.which("uv")
        if not uv:
            install_uv()
        command = [uv] if uv else [PYTHON, "-m", "uv"]
        environment = os.environ | {"UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT), "VIRTUAL_ENV": ""}
        subprocess.run([*command, "sync", "--quiet", "--python", sys.executable], check=True, cwd=ROOT, env=environment)
    except subprocess.CalledProcessError as error:
        sys.exit(f"install: failed with exit status {error.returncode}; the message is above")
    INSTALLED.touch()


if __name__ == "__main__":
    main()
