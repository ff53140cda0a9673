"""The project's tasks, as a person types them."""

from pathlib import Path

from tools.configuration.stack_files import PROJECT_FOLDER


def run_prefix(folder: Path = PROJECT_FOLDER) -> str:
    """Tell what stands before a task's name in a command: it depends on the project's package manager.

    Args:
        folder: Where the project is.
    """
    return "pipenv run" if (folder / "Pipfile").exists() else "uv run poe"
