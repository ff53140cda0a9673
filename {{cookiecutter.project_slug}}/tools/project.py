"""Reads a project without the Pulumi CLI: its declaration, ``Pulumi.yaml``, and the stack files with line numbers.

The tools import from the project only what ``[tool.pipeline]`` in ``pyproject.toml`` declares.
"""

import contextlib
import difflib
import functools
import importlib.util
import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

PROJECT_FOLDER: Final = Path(__file__).resolve().parent.parent
PROJECT_FILE: Final = "Pulumi.yaml"
STACK_FILE: Final = re.compile(r"Pulumi\.(?P<stack>[A-Za-z0-9._-]+)\.yaml")
ACCOUNTS_KEY: Final = "aws:allowedAccountIds"
ACCOUNT_ID: Final = re.compile(r"[0-9]{12}")
# The C parser is ten times as fast. PyYAML's published wheels include it.
LOADER: Any = yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader
# https://yaml.org/spec/1.2.2/#10211-null
NULLS: Final = ("", "~", "null", "Null", "NULL")
LONGEST_SHOWN: Final = 160


@dataclass(frozen=True)
class Declaration:
    """The parts of a project that the tools use, declared in ``[tool.pipeline]`` of ``pyproject.toml``.

    Attributes:
        settings: The settings model, as ``module:name``.
        environment: The setting for a stack's environment. Its allowed values are in order of promotion.
        local: Name of the local stack, deployed to the emulator, and of its environment.
        function: The function's Python package, which goes into the bundle.
        runtime: The setting for the function's runtime.
        architecture: The setting for the function's architecture.
        example: An example event, as ``module:name``.
        computed: The outputs that AWS computes, for the mocks of the unit tests, as ``module:name``.
    """

    settings: str
    environment: str
    local: str
    function: str
    runtime: str
    architecture: str
    example: str
    computed: str


def read_declaration(folder: Path) -> Declaration:
    """Read a project's declaration; exit if a key is missing or unknown."""
    pyproject = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    declared, keys = pyproject["tool"].get("pipeline", {}), Declaration.__annotations__.keys()
    for problem, wrong in (("missing", keys - declared.keys()), ("unknown", declared.keys() - keys)):
        if wrong:
            sys.exit(f"pyproject.toml: [tool.pipeline]: {problem} key {min(wrong)}; the keys are {', '.join(keys)}")
    return Declaration(**declared)


DECLARATION: Final = read_declaration(PROJECT_FOLDER)


def load_declared(reference: str) -> Any:
    """Import the object that ``[tool.pipeline]`` declares as ``module:name``; exit if it does not exist."""
    module, _, name = reference.partition(":")
    found = None
    with contextlib.suppress(ModuleNotFoundError):
        found = importlib.util.find_spec(module)
    if not found or not hasattr(importlib.import_module(module), name):
        sys.exit(f"pyproject.toml: [tool.pipeline]: {reference} does not exist")
    return getattr(importlib.import_module(module), name)


def run_prefix(folder: Path = PROJECT_FOLDER) -> str:
    """Return the command that runs a task, up to the task's name: ``uv run poe`` or ``pipenv run``."""
    return "pipenv run" if (folder / "Pipfile").exists() else "uv run poe"


class DocumentError(Exception):
    """A file is unreadable or malformed. `line` counts from 1, if known; `problem` is without file and line."""

    def __init__(self, file: str, problem: str, line: int | None = None) -> None:
        self.file, self.problem, self.line = file, problem, line
        super().__init__(f"{file}: {problem}" if line is None else f"{file}:{line}: {problem}")


@dataclass(frozen=True)
class Entry:
    """A key of a YAML mapping with its line, from 1, and its value as a PyYAML node."""

    file: str
    line: int
    key: str
    node: yaml.Node

    @property
    def value(self) -> Any:
        """The value as lists and dictionaries, with scalars as text."""
        return _plain(self.file, self.node)


def read_document(path: Path) -> tuple[Entry, ...]:
    """Read a YAML file that contains one mapping, and return its entries in order.

    Raises:
        DocumentError: If the file cannot be read or is not a mapping.
    """
    name = path.name
    try:
        node = yaml.compose(read_text(path), Loader=LOADER)
    except yaml.YAMLError as error:
        raise _not_yaml(name, error) from error
    if node is None:
        return ()
    entries = _entries(name, node, "is not a mapping of keys to values")
    # Convert all values once, so that `Entry.value` cannot fail later.
    _plain(name, node)
    return entries


def read_text(path: Path) -> str:
    """Read a UTF-8 file.

    Raises:
        DocumentError: If the file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DocumentError(path.name, "is not UTF-8", line) from error
    except FileNotFoundError as error:
        raise DocumentError(path.name, f"does not exist in {path.parent}") from error
    except OSError as error:
        raise DocumentError(path.name, f"cannot be read: {path}: {error.strerror}") from error


def printable(text: str) -> str:
    """Escape unprintable characters, which could control the terminal or disguise the text."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def shown(text: str) -> str:
    """Quote a text for a message: on one line, without terminal escapes, and truncated."""
    cut = json.dumps(text[:LONGEST_SHOWN])
    return cut if len(text) <= LONGEST_SHOWN else f"{cut}... ({len(text)} characters)"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the most similar known name, to suggest as a correction, or ``None`` if none is similar."""
    names = {each.lower(): each for each in known}
    return next((names[close] for close in difflib.get_close_matches(name.lower(), names, n=1)), None)


class Place(NamedTuple):
    """The file and the line, from 1, where a key is set."""

    file: str
    line: int


@dataclass(frozen=True)
class StackConfig:
    """A stack file, its top-level entries, and the stack's configuration with defaults filled in and secrets encrypted.

    `values` are text, by key with namespace. `places` say where each is set: in the stack file or in ``Pulumi.yaml``.
    """

    stack: str
    file: str
    sections: tuple[Entry, ...]
    values: dict[str, str]
    secret_keys: frozenset[str]
    places: dict[str, Place]

    @property
    def config_place(self) -> Place:
        """Place of the section ``config``, or the first line: reported for missing keys."""
        return Place(self.file, next((entry.line for entry in self.sections if entry.key == "config"), 1))


@dataclass(frozen=True)
class Project:
    """A Pulumi project: the entries of ``Pulumi.yaml``, and those of its section ``config`` by key with namespace."""

    folder: Path
    name: str
    sections: tuple[Entry, ...]
    config: Mapping[str, Entry]

    @property
    def name_place(self) -> Place:
        """Place of the project's name."""
        return next(Place(entry.file, entry.line) for entry in self.sections if entry.key == "name")

    @functools.cached_property
    def stacks(self) -> tuple[str, ...]:
        """Sorted names of the stacks that have a stack file."""
        matches = [STACK_FILE.fullmatch(path.name) for path in self.folder.glob("Pulumi.*")]
        return tuple(sorted(match["stack"] for match in matches if match))

    def read_stack(self, stack: str) -> StackConfig:
        """Read a stack's configuration as the Pulumi CLI does: values as text, defaults filled in.

        Raises:
            DocumentError: If the stack file cannot be read.
        """
        name = f"Pulumi.{stack}.yaml"
        if stack not in self.stacks:
            known = nearest(stack, self.stacks)
            allowed = f"did you mean {known}?" if known else f"the stacks are {', '.join(self.stacks)}"
            raise DocumentError(name, f"does not exist; {allowed}")
        sections = read_document(self.folder / name)
        values: dict[str, Any] = {}
        places: dict[str, Place] = {}
        for key, entry in self.config.items():
            default = _default(entry.value)
            if default is not None:
                values[key], places[key] = default, Place(entry.file, entry.line)
        for key, entry in _config(self.name, sections):
            values[key], places[key] = entry.value, Place(entry.file, entry.line)
        return StackConfig(
            stack=stack,
            file=name,
            sections=sections,
            values={key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()},
            secret_keys=frozenset(key for key, value in values.items() if _has_secret(value)),
            places=places,
        )


def read_project(folder: Path = PROJECT_FOLDER) -> Project:
    """Read ``Pulumi.yaml``.

    Raises:
        DocumentError: If the file cannot be read or has no project name.
    """
    sections = read_document(folder / PROJECT_FILE)
    name = next((entry.value for entry in sections if entry.key == "name"), "")
    if not name or not isinstance(name, str):
        raise DocumentError(PROJECT_FILE, "has no project name")
    return Project(folder, name, sections, dict(_config(name, sections)))


def read_accounts(text: str) -> tuple[str, ...] | None:
    """Parse ``aws:allowedAccountIds``, the accounts that the AWS provider may deploy a stack to.

    https://www.pulumi.com/registry/packages/aws/installation-configuration/#configuration-options

    Returns:
        The account IDs, empty if every account is allowed; ``None`` if the text is not a JSON list of account IDs.
    """
    try:
        listed = json.loads(text or "[]")
    except ValueError:
        return None
    ids = tuple(map(str, listed)) if isinstance(listed, list) else ("",)
    return ids if all(map(ACCOUNT_ID.fullmatch, ids)) else None


def _not_yaml(file: str, error: yaml.YAMLError) -> DocumentError:
    """Convert a parser error to a `DocumentError` at the likely line of the mistake."""
    parts = (getattr(error, name, None) for name in ("context", "problem"))
    problem = ", ".join(filter(None, parts)) or str(error)
    # If the space after a colon is missing, the parser reports the next line.
    name = "context_mark" if "could not find expected ':'" in problem else "problem_mark"
    mark = getattr(error, name, None)
    return DocumentError(file, f"invalid YAML: {printable(problem)}", mark.line + 1 if mark else None)


def _entries(file: str, node: yaml.Node, otherwise: str) -> tuple[Entry, ...]:
    if not isinstance(node, yaml.MappingNode):
        raise DocumentError(file, otherwise, node.start_mark.line + 1)
    entries: dict[str, Entry] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise DocumentError(file, "a key is not text", line)
        if key.value in entries:
            raise DocumentError(
                file, f"duplicate key {key.value}; first defined on line {entries[key.value].line}", line
            )
        entries[key.value] = Entry(file, line, key.value, value)
    return tuple(entries.values())


def _plain(file: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {entry.key: entry.value for entry in _entries(file, node, "")}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(file, item) for item in node.value]
    return node.value


def _config(project: str, sections: Iterable[Entry]) -> Iterator[tuple[str, Entry]]:
    """Yield a file's configuration by key. A key without a namespace gets the project's namespace."""
    for section in sections:
        if section.key == "config" and section.value not in NULLS:
            for entry in _entries(section.file, section.node, "config is not a mapping of keys to values"):
                yield (entry.key if ":" in entry.key else f"{project}:{entry.key}", entry)


def _default(declared: Any) -> Any:
    """Return the value that ``Pulumi.yaml`` sets for all stacks: a ``default``, a ``value`` or a plain value."""
    return declared.get("default", declared.get("value")) if isinstance(declared, dict) else declared


def _has_secret(value: Any) -> bool:
    """Whether a value, or part of it, is encrypted."""
    if isinstance(value, dict):
        return "secure" in value or any(map(_has_secret, value.values()))
    return isinstance(value, list) and any(map(_has_secret, value))
