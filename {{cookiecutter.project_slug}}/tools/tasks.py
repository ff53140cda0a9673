"""How to call the project's tasks."""

from pathlib import Path

from tools.configuration.stack_files import PROJECT_FOLDER


def run_prefix(folder: Path = PROJECT_FOLDER) -> str:
    """Return the command before a task's name, which depends on the package manager.

    Args:
        folder: The project's folder.
    """
    return "pipenv run" if (folder / "Pipfile").exists() else "uv run poe"
