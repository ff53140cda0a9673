"""Stack files read without the engine, as the engine would read them: defaults filled in, values as text."""

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
    """Where a value is set.

    Attributes:
        file: Name of the file.
        line: Line of its key, from 1.
    """

    file: str
    line: int


@dataclass(frozen=True)
class StackConfig:
    """A stack's configuration as the program would see it, except for secrets, which only the engine can decrypt.

    Attributes:
        values: Every key with its namespace, and its value as text; a secret's is the encrypted one.
        secret_keys: The keys of secrets.
        places: Where each value is set: in the stack's file, or as a default in the project's.
    """

    values: dict[str, str]
    secret_keys: frozenset[str]
    places: dict[str, Place]


@dataclass(frozen=True)
class StackFile:
    """What a stack's file holds, as it stands there.

    Attributes:
        stack: Name of the stack.
        name: Name of the file.
        sections: The outermost keys.
        config: The keys of the configuration, each with its namespace; one that stands there twice is there twice.
    """

    stack: str
    name: str
    sections: tuple[Entry, ...]
    config: tuple[tuple[str, Entry], ...]

    @functools.cached_property
    def config_line(self) -> int:
        """Where the configuration begins: the place of what is missing from it."""
        return next((entry.line for entry in self.sections if entry.key == "config"), 1)


@dataclass(frozen=True)
class Project:
    """A Pulumi project, as ``Pulumi.yaml`` describes it.

    Attributes:
        folder: Where it is.
        name: Its name, which is the namespace of its configuration.
        sections: The outermost keys.
        config: What it declares of its stacks' configuration: each key with its namespace.
    """

    folder: Path
    name: str
    sections: tuple[Entry, ...]
    config: tuple[tuple[str, Entry], ...]

    @functools.cached_property
    def secret_keys(self) -> frozenset[str]:
        """Keys that it declares to be secrets."""
        declared = ((key, entry.value) for key, entry in self.config)
        return frozenset(key for key, value in declared if isinstance(value, dict) and value.get("secret") == "true")

    @property
    def name_place(self) -> Place:
        """Where it is given its name."""
        return next(Place(entry.file, entry.line) for entry in self.sections if entry.key == "name")

    @property
    def stack_folder(self) -> Path:
        """Where the stacks' files are: beside ``Pulumi.yaml`` unless it says otherwise."""
        named = [entry.value for entry in self.sections if entry.key == "stackConfigDir"]
        return self.folder.joinpath(*filter(lambda value: isinstance(value, str), named))

    @property
    def stacks(self) -> tuple[str, ...]:
        """The stacks that have a file, by name."""
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
        """Name a file by its path from the project's folder, if that is where it is."""
        return path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else path.name

    def configure(self, file: StackFile) -> StackConfig:
        """Form a stack's configuration from its file and the project's defaults."""
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
        folder: Where the project's files are.

    Raises:
        DocumentError: If a file cannot be read.
    """
    project = read_project(folder)
    return project.configure(project.read_stack(stack))


def _config(project: str, sections: Iterable[Entry]) -> tuple[tuple[str, Entry], ...]:
    """List the configuration among a file's sections. A key without a namespace is the project's."""
    named = (section for section in sections if section.key == "config" and not section.is_empty)
    entries = itertools.chain.from_iterable(keys_of(section) for section in named)
    return tuple((entry.key if ":" in entry.key else f"{project}:{entry.key}", entry) for entry in entries)


def _default(declared: Any) -> Any:
    """Find what ``Pulumi.yaml`` gives every stack for a key: a schema's default, or a value that stands by itself."""
    return declared.get("default", declared.get("value")) if isinstance(declared, dict) else declared


def _holds_secret(value: Any) -> bool:
    """Whether a value is encrypted, or a part of it."""
    if isinstance(value, dict):
        return "secure" in value or any(map(_holds_secret, value.values()))
    return isinstance(value, list) and any(map(_holds_secret, value))
