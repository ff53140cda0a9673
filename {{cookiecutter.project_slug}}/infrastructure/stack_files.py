"""Stack files read without the engine, as the engine would read them: defaults filled in, values as text."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

PROJECT_FOLDER: Final = Path(__file__).resolve().parent.parent


class StackFileError(Exception):
    """A project or stack file is missing or is not what Pulumi expects; the message says which and why."""


def read_project(folder: Path = PROJECT_FOLDER) -> dict[str, Any]:
    """Read ``Pulumi.yaml``.

    Raises:
        StackFileError: If it cannot be read.
    """
    return _read_mapping(folder / "Pulumi.yaml")


def read_stack_config(stack: str, folder: Path = PROJECT_FOLDER) -> dict[str, str]:
    """Read a stack's configuration as the program would see it.

    Args:
        stack: Name of the stack, for example ``dev``.
        folder: Where the project's files are.

    Returns:
        Every key with its namespace and its value as text. A key without a namespace is the project's.

    Raises:
        StackFileError: If a file cannot be read.
    """
    project = read_project(folder)
    declared: Mapping[str, Mapping[str, Any]] = project.get("config") or {}
    configured = _read_mapping(folder / f"Pulumi.{stack}.yaml").get("config") or {}
    defaults = {key: declaration["default"] for key, declaration in declared.items() if "default" in declaration}
    return {
        key if ":" in key else f"{project['name']}:{key}": _as_text(value)
        for values in (defaults, configured)
        for key, value in values.items()
    }


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise StackFileError(f"{path.name} cannot be read in {path.parent}: {error.__class__.__name__}") from error
    except yaml.YAMLError as error:
        raise StackFileError(f"{path.name} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise StackFileError(f"{path.name} holds no mapping")
    return content


def _as_text(value: object) -> str:
    """Write a value as the engine hands it to the program: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
