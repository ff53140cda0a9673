"""Stack files read without the engine, as the engine would read them: defaults filled in, values as text."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

PROJECT_FOLDER: Final = Path(__file__).resolve().parent.parent


class StackFileError(Exception):
    """A project or stack file is missing or is not what Pulumi expects; the message says which and why."""


@dataclass(frozen=True)
class StackConfig:
    """A stack's configuration as the program would see it, except for secrets, which only the engine can decrypt.

    Attributes:
        values: Every key with its namespace, and its value as text; a secret's is the encrypted one.
        secret_keys: The keys of secrets.
    """

    values: dict[str, str]
    secret_keys: frozenset[str]


def read_project(folder: Path = PROJECT_FOLDER) -> dict[str, Any]:
    """Read ``Pulumi.yaml``, every scalar as text.

    Raises:
        StackFileError: If it cannot be read, or names no project.
    """
    project = _read_mapping(folder / "Pulumi.yaml")
    if not isinstance(project.get("name"), str):
        raise StackFileError("Pulumi.yaml names no project")
    return project


def read_stack_config(stack: str, folder: Path = PROJECT_FOLDER) -> StackConfig:
    """Read a stack's configuration.

    Args:
        stack: Name of the stack, for example ``dev``.
        folder: Where the project's files are.

    Raises:
        StackFileError: If a file cannot be read.
    """
    project = read_project(folder)
    declared = _config(project, "Pulumi.yaml")
    configured = _config(_read_mapping(folder / f"Pulumi.{stack}.yaml"), f"Pulumi.{stack}.yaml")
    found = {key: value for key, value in map(_default, declared.items()) if value is not None} | configured
    # A key without a namespace is the project's.
    full = {key if ":" in key else f"{project['name']}:{key}": value for key, value in found.items()}
    return StackConfig(
        values={key: value if isinstance(value, str) else json.dumps(value) for key, value in full.items()},
        secret_keys=frozenset(key for key, value in full.items() if isinstance(value, dict) and "secure" in value),
    )


def _default(declaration: tuple[str, Any]) -> tuple[str, Any]:
    """Find what ``Pulumi.yaml`` gives every stack for a key: a schema's default, or a value that stands by itself."""
    key, declared = declaration
    return key, declared.get("default", declared.get("value")) if isinstance(declared, dict) else declared


def _config(content: dict[str, Any], name: str) -> dict[str, Any]:
    config = content.get("config") or {}
    if not isinstance(config, dict) or not all(isinstance(key, str) for key in config):
        raise StackFileError(f"{name}: config is not a mapping of keys to values")
    return config


def _read_mapping(path: Path) -> dict[str, Any]:
    """Read a file without the types that YAML 1.1 would give to words like ``yes``, which the engine takes as text."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 # makes text alone
    except (OSError, UnicodeError) as error:
        raise StackFileError(f"{path.name} cannot be read in {path.parent}: {error.__class__.__name__}") from error
    except yaml.YAMLError as error:
        raise StackFileError(f"{path.name} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise StackFileError(f"{path.name} holds no mapping")
    return content
