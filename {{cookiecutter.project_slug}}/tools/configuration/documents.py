"""Reads YAML files as text with line numbers, and refuses input that only an attacker would write."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

# Far more than a person writes, and still fast to read.
MAX_BYTES: Final = 262_144
MAX_DEPTH: Final = 20
# The C parser is ten times as fast. PyYAML's published wheels include it.
LOADER: Any = yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader
NOT_ALLOWED: Final = yaml.reader.Reader.NON_PRINTABLE
SURROGATE: Final = re.compile("[\ud800-\udfff]")
# https://yaml.org/spec/1.2.2/#10211-null
NOTHING: Final = frozenset({"", "~", "null", "Null", "NULL"})
LONGEST_SHOWN: Final = 160


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
    """One key of a mapping with its value.

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

    @property
    def is_empty(self) -> bool:
        """Whether the value is null."""
        return isinstance(self.node, yaml.ScalarNode) and self.node.value in NOTHING


def read_document(path: Path, name: str = "") -> tuple[Entry, ...]:
    """Read a file that contains one mapping.

    Refuses aliases, which can turn a small file into a huge value, tags, which can turn text into other types, and
    files that are larger or more deeply nested than a person writes.

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
    not_allowed = NOT_ALLOWED.search(text)
    if not_allowed:
        line = text.count("\n", 0, not_allowed.start()) + 1
        raise DocumentError(name, f"the character U+{ord(not_allowed.group()):04X} is not allowed", line)
    try:
        _check(yaml.parse(text, Loader=LOADER))
        node = yaml.compose(text, Loader=LOADER)
    except _RefusedError as refusal:
        raise DocumentError(name, refusal.problem, refusal.line) from refusal
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
    """Read a regular text file of limited size.

    Args:
        path: The file.
        name: Its name in messages.

    Raises:
        DocumentError: If it cannot be read.
    """
    try:
        if path.exists() and not path.is_file():
            raise DocumentError(name, "is not a file")
        if path.stat().st_size > MAX_BYTES:
            raise DocumentError(name, f"is {path.stat().st_size:,} bytes long; allowed: up to {MAX_BYTES:,}")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DocumentError(name, "is not UTF-8", line) from error
    except FileNotFoundError as error:
        raise DocumentError(name, f"does not exist in {path.parent}") from error
    except OSError as error:
        raise DocumentError(name, f"cannot be read in {path.parent}: {error.strerror}") from error


def printable(text: str) -> str:
    """Escape characters that a terminal interprets or that hide what the text says."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def keys_of(entry: Entry) -> tuple[Entry, ...]:
    """List the keys of an entry whose value is a mapping.

    Raises:
        DocumentError: If it is not a mapping.
    """
    return _entries(entry.file, entry.node, f"{entry.key} is not a mapping of keys to values")


def mappings_in(entry: Entry) -> Iterator[tuple[Entry, ...]]:
    """Yield the keys of every mapping in an entry's value, at all depths."""
    return _mappings(entry.file, entry.node)


def shown(text: str) -> str:
    """Quote a text for a message: on one line, without terminal escapes, and truncated.

    Args:
        text: The text, of any length.
    """
    cut = json.dumps(text[:LONGEST_SHOWN])
    return cut if len(text) <= LONGEST_SHOWN else f"{cut}... ({len(text)} characters)"


def _not_yaml(file: str, error: yaml.YAMLError) -> DocumentError:
    """Turn a parser's error into one line, with the likely place of the mistake."""
    parts = (getattr(error, name, None) for name in ("context", "problem"))
    problem = ", ".join(filter(None, parts)) or str(error)
    # The parser notices a colon without a space only on the next line.
    name = "context_mark" if "could not find expected ':'" in problem else "problem_mark"
    mark = getattr(error, name, None)
    return DocumentError(file, f"is not YAML: {problem}", mark.line + 1 if mark else None)


class _RefusedError(Exception):
    """The file is YAML but has a feature that is not allowed."""

    def __init__(self, event: yaml.Event, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = event.start_mark.line + 1 if event.start_mark else None


def _check(events: Iterable[yaml.Event]) -> None:
    """Refuse what only an attacker would write, before any value is built."""
    depth = 0
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        if depth > MAX_DEPTH:
            raise _RefusedError(event, f"nested too deeply; allowed: {MAX_DEPTH} levels")
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise _RefusedError(event, "anchors and aliases are not allowed: repeat the value")
        if getattr(event, "tag", None) is not None:
            raise _RefusedError(event, "tags are not allowed: every value is text")
        if isinstance(event, yaml.ScalarEvent) and SURROGATE.search(event.value):
            raise _RefusedError(event, "a lone surrogate (half a character) is not allowed")


def _entries(file: str, node: yaml.Node, otherwise: str) -> tuple[Entry, ...]:
    if not isinstance(node, yaml.MappingNode):
        raise DocumentError(file, otherwise, _line(node))
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise DocumentError(file, "a key is not text", _line(key))
    return tuple(Entry(file, _line(key), key.value, value) for key, value in node.value)


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _mappings(file: str, node: yaml.Node) -> Iterator[tuple[Entry, ...]]:
    if isinstance(node, yaml.MappingNode):
        entries = _entries(file, node, "")
        yield entries
        for entry in entries:
            yield from mappings_in(entry)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _mappings(file, item)


def _plain(file: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {entry.key: entry.value for entry in _entries(file, node, "")}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(file, item) for item in node.value]
    return node.value
