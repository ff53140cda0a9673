"""Reads a project without the Pulumi CLI: its declaration, ``Pulumi.yaml``, and the stack files with line numbers.

``[tool.pipeline]`` in ``pyproject.toml`` declares what the tools know of the project; they import nothing else of it.
"""

import difflib
import functools
import importlib
import itertools
import json
import re
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
    """What a project declares to the tools under ``[tool.pipeline]``.

    Attributes:
        settings: The model of a stack's configuration, as ``module:name``.
        environment: The setting for a stack's environment. Its allowed values are in order of promotion.
        suffix: The setting for the second part of every name; the project's name is the first.
        local: The environment that is deployed to the emulator on this machine, and the name of its stack.
        function: The package of the function, which goes into the bundle.
        runtime: The setting for the function's runtime.
        architecture: The setting for the function's architecture.
        example: An example event, as ``module:name``.
    """

    settings: str
    environment: str
    suffix: str
    local: str
    function: str
    runtime: str
    architecture: str
    example: str


DECLARATION: Final = Declaration(
    **tomllib.loads((PROJECT_FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pipeline"]
)


def load_declared(reference: str) -> Any:
    """Import a declared object.

    Args:
        reference: ``module:name``.
    """
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)


def run_prefix(folder: Path = PROJECT_FOLDER) -> str:
    """Return the command before a task's name, which depends on the package manager."""
    return "pipenv run" if (folder / "Pipfile").exists() else "uv run poe"


class DocumentError(Exception):
    """A file cannot be read.

    Attributes:
        file: Name of the file.
        line: Line of the problem, from 1, if known.
        problem: What is wrong and what is allowed.
    """

    def __init__(self, file: str, problem: str, line: int | None = None) -> None:
        self.file, self.problem, self.line = file, problem, line
        super().__init__(f"{file}: {problem}" if line is None else f"{file}:{line}: {problem}")


@dataclass(frozen=True)
class Entry:
    """One key of a YAML mapping with its value.

    Attributes:
        file: Name of the file.
        line: Line of the key, from 1.
        key: The key.
        node: The value as the parser's node.
    """

    file: str
    line: int
    key: str
    node: yaml.Node

    @property
    def value(self) -> Any:
        """The value as lists and dictionaries, with scalars as text."""
        return _plain(self.file, self.node)


def read_document(path: Path, name: str = "") -> tuple[Entry, ...]:
    """Read a YAML file that contains one mapping.

    Args:
        path: The file.
        name: Its name in messages; by default the file's name.

    Returns:
        The keys of the mapping in order, duplicates included.

    Raises:
        DocumentError: If it cannot be read, with the line if known.
    """
    name = name or path.name
    text = read_text(path, name)
    try:
        node = yaml.compose(text, Loader=LOADER)
    except yaml.YAMLError as error:
        raise _not_yaml(name, error) from error
    if node is None:
        return ()
    entries = _entries(name, node, "is not a mapping of keys to values")
    for entry in entries:
        # Check all nested keys now, so that reading them later cannot fail.
        tuple(mappings_in(entry))
    return entries


def read_text(path: Path, name: str) -> str:
    """Read a text file.

    Args:
        path: The file.
        name: Its name in messages.

    Raises:
        DocumentError: If it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DocumentError(name, "is not UTF-8", line) from error
    except FileNotFoundError as error:
        raise DocumentError(name, f"does not exist in {path.parent}") from error
    except OSError as error:
        raise DocumentError(name, f"cannot be read in {path.parent}: {error.strerror}") from error


def mappings_in(entry: Entry) -> Iterator[tuple[Entry, ...]]:
    """Yield the keys of every mapping in an entry's value, at all depths."""
    nodes = [entry.node]
    while nodes:
        node = nodes.pop(0)
        if isinstance(node, yaml.MappingNode):
            entries = _entries(entry.file, node, "")
            yield entries
            nodes += [each.node for each in entries]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value


def printable(text: str) -> str:
    """Escape characters that a terminal interprets or that hide what the text says."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def shown(text: str) -> str:
    """Quote a text for a message: on one line, without terminal escapes, and truncated."""
    cut = json.dumps(text[:LONGEST_SHOWN])
    return cut if len(text) <= LONGEST_SHOWN else f"{cut}... ({len(text)} characters)"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a wrong name was probably meant to be, if there is one."""
    names = {each.lower(): each for each in known}
    return next((names[close] for close in difflib.get_close_matches(name.lower(), names, n=1)), None)


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
    """A stack file, and the configuration as the program sees it, but with secrets encrypted.

    Attributes:
        stack: Name of the stack.
        file: Name of the file.
        sections: The top-level keys of the file.
        values: The values as text, by key with namespace; defaults of ``Pulumi.yaml`` are filled in.
        secret_keys: Keys of the secrets.
        places: Where each value is set: in the stack file, or as a default in ``Pulumi.yaml``.
    """

    stack: str
    file: str
    sections: tuple[Entry, ...]
    values: dict[str, str]
    secret_keys: frozenset[str]
    places: dict[str, Place]

    @property
    def config_place(self) -> Place:
        """Place of ``config``, which is reported as the place of missing keys."""
        return Place(self.file, next((entry.line for entry in self.sections if entry.key == "config"), 1))


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
    config: Mapping[str, Entry]

    @property
    def name_place(self) -> Place:
        """Place of the project's name."""
        return next(Place(entry.file, entry.line) for entry in self.sections if entry.key == "name")

    @functools.cached_property
    def stacks(self) -> tuple[str, ...]:
        """Names of the stacks that have a file, sorted."""
        matches = [STACK_FILE.fullmatch(path.name) for path in self.folder.glob("Pulumi.*")]
        return tuple(sorted(match["stack"] for match in matches if match))

    def read_stack(self, stack: str) -> StackConfig:
        """Read a stack's configuration as the Pulumi CLI does: values as text, defaults filled in.

        Args:
            stack: Name of the stack, for example ``dev``.

        Raises:
            DocumentError: If its file cannot be read.
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
            secret_keys=frozenset(key for key, value in values.items() if _holds_secret(value)),
            places=places,
        )


def read_project(folder: Path = PROJECT_FOLDER) -> Project:
    """Read ``Pulumi.yaml``.

    Raises:
        DocumentError: If it cannot be read, or has no project name.
    """
    sections = read_document(folder / PROJECT_FILE)
    name = next((entry.value for entry in sections if entry.key == "name"), "")
    if not name or not isinstance(name, str):
        raise DocumentError(PROJECT_FILE, "has no project name")
    return Project(folder, name, sections, dict(_config(name, sections)))


def read_accounts(text: str) -> tuple[str, ...] | None:
    """Read the accounts that a stack may be deployed to, as the AWS provider's setting `ACCOUNTS_KEY` lists them.

    https://www.pulumi.com/registry/packages/aws/installation-configuration/#configuration-options

    Args:
        text: The value, a list as JSON; empty if the key is not set.

    Returns:
        The accounts' IDs, none if every account is allowed; ``None`` if it is something else.
    """
    try:
        listed = json.loads(text or "[]")
    except ValueError:
        return None
    ids = tuple(map(str, listed)) if isinstance(listed, list) else ("",)
    return ids if all(map(ACCOUNT_ID.fullmatch, ids)) else None


def _not_yaml(file: str, error: yaml.YAMLError) -> DocumentError:
    """Turn a parser's error into one line, with the likely place of the mistake."""
    parts = (getattr(error, name, None) for name in ("context", "problem"))
    problem = ", ".join(filter(None, parts)) or str(error)
    # The parser notices a colon without a space only on the next line.
    name = "context_mark" if "could not find expected ':'" in problem else "problem_mark"
    mark = getattr(error, name, None)
    return DocumentError(file, f"is not YAML: {printable(problem)}", mark.line + 1 if mark else None)


def _entries(file: str, node: yaml.Node, otherwise: str) -> tuple[Entry, ...]:
    if not isinstance(node, yaml.MappingNode):
        raise DocumentError(file, otherwise, node.start_mark.line + 1)
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise DocumentError(file, "a key is not text", key.start_mark.line + 1)
    return tuple(Entry(file, key.start_mark.line + 1, key.value, value) for key, value in node.value)


def _keys(entry: Entry) -> tuple[Entry, ...]:
    """List the keys of an entry's value, which must be a mapping."""
    return _entries(entry.file, entry.node, f"{entry.key} is not a mapping of keys to values")


def _plain(file: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {entry.key: entry.value for entry in _entries(file, node, "")}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(file, item) for item in node.value]
    return node.value


def _config(project: str, sections: Iterable[Entry]) -> Iterator[tuple[str, Entry]]:
    """List the configuration keys of a file. A key without a namespace gets the project's."""
    named = (section for section in sections if section.key == "config" and section.value not in NULLS)
    for entry in itertools.chain.from_iterable(map(_keys, named)):
        yield (entry.key if ":" in entry.key else f"{project}:{entry.key}", entry)


def _default(declared: Any) -> Any:
    """Return the value that ``Pulumi.yaml`` sets for all stacks: a ``default``, a ``value`` or a plain value."""
    return declared.get("default", declared.get("value")) if isinstance(declared, dict) else declared


def _holds_secret(value: Any) -> bool:
    """Whether a value, or part of it, is encrypted."""
    if isinstance(value, dict):
        return "secure" in value or any(map(_holds_secret, value.values()))
    return isinstance(value, list) and any(map(_holds_secret, value))
