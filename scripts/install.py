"""Installs the template's tools into ``.venv``, with uv if it is on the PATH.

Only Python is required, without root access. Outside this folder, only the package managers' caches change.
"""

import argparse
import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
# Markers: `make` compares their modification times.
RENDERING = ENVIRONMENT / "rendering"
INSTALLED = ENVIRONMENT / "installed"
OLDEST_PYTHON = (3, 11)
# https://pip.pypa.io/en/stable/news/#v22-3
PIP_WITH_PYTHON_OPTION = (22, 3)
UV = "uv>=0.13.9,<0.14"
PIP_INSTALL = ("install", "--quiet", "--disable-pip-version-check")


def can_install_elsewhere() -> bool:
    """Whether this Python's pip can install into another virtual environment, which saves installing pip there."""
    try:
        return tuple(map(int, version("pip").split(".")[:2])) >= PIP_WITH_PYTHON_OPTION
    except (PackageNotFoundError, ValueError):
        return False


def make_environment() -> list[str | Path]:
    """Create or replace the virtual environment.

    Returns:
        The pip command that installs into the virtual environment.

    Raises:
        SystemExit: If this Python cannot create a virtual environment.
    """
    elsewhere = can_install_elsewhere()
    options = ["--clear", "--without-pip"] if elsewhere else ["--clear"]
    made = subprocess.run([sys.executable, "-m", "venv", *options, ENVIRONMENT], check=False, capture_output=True)
    if made.returncode:
        sys.exit(
            f"install: {sys.executable} cannot create a virtual environment. On Debian and Ubuntu, install the package "
            "python3-venv, or install uv: https://docs.astral.sh/uv/getting-started/installation/"
        )
    return [sys.executable, "-m", "pip", "--python", PYTHON] if elsewhere else [PYTHON, "-m", "pip"]


def install_rendering() -> None:
    """Install only the dependencies for rendering. Use uv if it is on the PATH, but do not install it.

    Raises:
        SystemExit: If this Python cannot create a virtual environment.
        subprocess.CalledProcessError: If the installation fails.
    """
    import tomllib  # noqa: PLC0415 # Python older than 3.11 must reach the message about its version

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    uv = shutil.which("uv")
    if uv:
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, ENVIRONMENT], check=True)
        command: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", PYTHON]
    else:
        # Compiling all modules takes longer than compiling the used modules on import.
        command = [*make_environment(), *PIP_INSTALL, "--no-compile"]
    subprocess.run([*command, *project["dependencies"]], check=True)


def install_everything() -> None:
    """Install all of the template's tools, and uv if it is missing.

    Raises:
        SystemExit: If this Python cannot create a virtual environment.
        subprocess.CalledProcessError: If the installation fails.
    """
    uv = shutil.which("uv")
    if not uv:
        subprocess.run([*make_environment(), *PIP_INSTALL, UV], check=True)
    command = [uv] if uv else [PYTHON, "-m", "uv"]
    environment = os.environ | {"UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT), "VIRTUAL_ENV": ""}
    subprocess.run([*command, "sync", "--quiet", "--python", sys.executable], check=True, cwd=ROOT, env=environment)


def main() -> None:
    """Install the tools, and write marker files for make.

    Raises:
        SystemExit: If Python is too old, ``.venv`` is a symbolic link, or a command fails.
    """
    parser = argparse.ArgumentParser(prog="install", description="Install the template's tools into .venv.")
    parser.add_argument("--rendering", action="store_true", help="install only the dependencies for rendering")
    only_rendering = parser.parse_args().rendering
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(
            f"install: {sys.executable} is Python {sys.version.split()[0]}; 3.11 or newer is needed: make PYTHON=..."
        )
    if ENVIRONMENT.is_symlink():
        sys.exit(f"install: {ENVIRONMENT} is a symbolic link, and its target may be in use; remove the link: rm .venv")
    # If all tools were installed before, update all of them.
    only_rendering = only_rendering and not INSTALLED.exists()
    for mark in (RENDERING, INSTALLED):
        mark.unlink(missing_ok=True)
    try:
        if only_rendering:
            install_rendering()
        else:
            install_everything()
    except subprocess.CalledProcessError as error:
        sys.exit(f"install: failed with exit status {error.returncode}; the message is above")
    RENDERING.touch()
    if not only_rendering:
        INSTALLED.touch()


if __name__ == "__main__":
    main()
