"""Reads stack files as the engine does, with defaults filled in and values as text, but without the engine."""

import functools
import itertools
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from tools.configuration.documents import DocumentError, Entry, keys_of, read_document

PROJECT_FOLDER: Final = Path(__file__).resolve().parents[2]
PROJECT_FILE: Final = "Pulumi.yaml"
STACK_FILE: Final = re.compile(r"Pulumi\.(?P<stack>[A-Za-z0-9._-]+)\.yaml")


class Place(NamedTuple):
    """The place where a value is set.

    Attributes:
        file: Name of the file.
        line: Line of its key, from 1.
    """

    file: str
    line: int


@dataclass(frozen=True)
class StackConfig:
    """A stack's configuration as the program sees it, but with secrets encrypted.

    Attributes:
        values: The values as text, by key with namespace; secrets are encrypted.
        secret_keys: Keys of the secrets.
        places: Where each value is set: in the stack file, or as a default in ``Pulumi.yaml``.
    """

    values: dict[str, str]
    secret_keys: frozenset[str]
    places: dict[str, Place]


@dataclass(frozen=True)
class StackFile:
    """The content of a stack file.

    Attributes:
        stack: Name of the stack.
        name: Name of the file.
        sections: The top-level keys.
        config: The keys of the configuration with their namespaces, duplicates included.
    """

    stack: str
    name: str
    sections: tuple[Entry, ...]
    config: tuple[tuple[str, Entry], ...]

    @functools.cached_property
    def config_line(self) -> int:
        """Line of ``config``, which is reported as the place of missing keys."""
        return next((entry.line for entry in self.sections if entry.key == "config"), 1)


@dataclass(frozen=True)
class Project:
    """A Pulumi project, as ``Pulumi.yaml`` describes it.

    Attributes:
        folder: The project's folder.
        name: Its name, which is the namespace of its configuration.
        sections: The top-level keys.
        config: The configuration keys that it declares, with their namespaces.
    """

    folder: Path
    name: str
    sections: tuple[Entry, ...]
    config: tuple[tuple[str, Entry], ...]

    @functools.cached_property
    def secret_keys(self) -> frozenset[str]:
        """Keys that are declared as secrets."""
        declared = ((key, entry.value) for key, entry in self.config)
        return frozenset(key for key, value in declared if isinstance(value, dict) and value.get("secret") == "true")

    @property
    def name_place(self) -> Place:
        """Place of the project's name."""
        return next(Place(entry.file, entry.line) for entry in self.sections if entry.key == "name")

    @property
    def stack_folder(self) -> Path:
        """Folder of the stack files: that of ``Pulumi.yaml``, or its ``stackConfigDir``."""
        named = [entry.value for entry in self.sections if entry.key == "stackConfigDir"]
        return self.folder.joinpath(*filter(lambda value: isinstance(value, str), named))

    @property
    def stacks(self) -> tuple[str, ...]:
        """Names of the stacks that have a file, sorted."""
        matches = [STACK_FILE.fullmatch(path.name) for path in self.stack_folder.glob("Pulumi.*")]
        return tuple(sorted(match["stack"] for match in matches if match))

    def read_stack(self, stack: str) -> StackFile:
        """Read a stack's file.

        Args:
            stack: Name of the stack, for example ``dev``.

        Raises:
            DocumentError: If it cannot be read.
        """
        path = self.stack_folder / f"Pulumi.{stack}.yaml"
        name = self.file_name(path)
        sections = read_document(path, name)
        return StackFile(stack, name, sections, _config(self.name, sections))

    def file_name(self, path: Path) -> str:
        """Return a file's path relative to the project's folder, or its name if it is elsewhere."""
        return path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else path.name

    def configure(self, file: StackFile) -> StackConfig:
        """Merge a stack file with the project's defaults."""
        values: dict[str, Any] = dict(self._defaults)
        places = dict(self._default_places)
        for key, entry in file.config:
            values[key] = entry.value
            places[key] = Place(entry.file, entry.line)
        return StackConfig(
            values={key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()},
            secret_keys=frozenset(key for key, value in values.items() if _holds_secret(value)),
            places=places,
        )

    @functools.cached_property
    def _defaults(self) -> dict[str, Any]:
        defaults = {key: _default(entry.value) for key, entry in self.config}
        return {key: value for key, value in defaults.items() if value is not None}

    @functools.cached_property
    def _default_places(self) -> dict[str, Place]:
        return {key: Place(entry.file, entry.line) for key, entry in self.config if key in self._defaults}


def read_project(folder: Path = PROJECT_FOLDER) -> Project:
    """Read ``Pulumi.yaml``.

    Raises:
        DocumentError: If it cannot be read, or has no project name.
    """
    sections = read_document(folder / PROJECT_FILE)
    names = [entry.value for entry in sections if entry.key == "name"]
    if not names or not isinstance(names[0], str) or not names[0]:
        raise DocumentError(PROJECT_FILE, "has no project name")
    return Project(folder, names[0], sections, _config(names[0], sections))


def read_stack_config(stack: str, folder: Path = PROJECT_FOLDER) -> StackConfig:
    """Read a stack's configuration.

    Args:
        stack: Name of the stack, for example ``dev``.
        folder: The project's folder.

    Raises:
        DocumentError: If a file cannot be read.
    """
    project = read_project(folder)
    return project.configure(project.read_stack(stack))


def _config(project: str, sections: Iterable[Entry]) -> tuple[tuple[str, Entry], ...]:
    """List the configuration keys of a file. A key without a namespace gets the project's."""
    named = (section for section in sections if section.key == "config" and not section.is_empty)
    entries = itertools.chain.from_iterable(keys_of(section) for section in named)
    return tuple((entry.key if ":" in entry.key else f"{project}:{entry.key}", entry) for entry in entries)


def _default(declared: Any) -> Any:
    """Return the value that ``Pulumi.yaml`` sets for all stacks: a ``default``, a ``value`` or a plain value."""
    return declared.get("default", declared.get("value")) if isinstance(declared, dict) else declared


def _holds_secret(value: Any) -> bool:
    """Whether a value, or part of it, is encrypted."""
    if isinstance(value, dict):
        return "secure" in value or any(map(_holds_secret, value.values()))
    return isinstance(value, list) and any(map(_holds_secret, value))
