"""Evaluates policies as IAM does, as far as the bootstrap program uses them; an unknown operator is an error.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Document = Mapping[str, Any]
Context = Mapping[str, str]


def listed(value: Any) -> list[Any]:
    """Return a list of what IAM takes for one: a value alone counts as a list of one."""
    return list(value) if isinstance(value, list) else [value]


def matches(pattern: str, text: str) -> bool:
    """Whether a text matches a pattern with IAM's wildcards."""
    return _expression(pattern).fullmatch(text) is not None


@functools.cache
def _expression(pattern: str) -> re.Pattern[str]:
    parts = ({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.compile("".join(parts), re.DOTALL)


def equals(wanted: list[str], found: str | None) -> bool:
    return found in wanted


def like(wanted: list[str], found: str | None) -> bool:
    return found is not None and any(matches(pattern, found) for pattern in wanted)


def equals_if_exists(wanted: list[str], found: str | None) -> bool:
    return found is None or found in wanted


def null(wanted: list[str], found: str | None) -> bool:
    return wanted == ["true" if found is None else "false"]


OPERATORS = {
    "StringEquals": equals,
    "StringLike": like,
    "ArnLike": like,
    "StringEqualsIfExists": equals_if_exists,
    "Null": null,
}


def holds(statement: Document, context: Context) -> bool:
    """Whether all conditions of a statement are met; an absent key meets none but those that ask for its absence."""
    return all(
        OPERATORS[operator](listed(wanted), context.get(key))
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )


def statements(documents: Iterable[Document]) -> Iterator[Document]:
    """Yield the statements of documents."""
    for document in documents:
        yield from document["Statement"]


def allows(documents: Iterable[Document], action: str, resource: str = "*", context: Context | None = None) -> bool:
    """Whether documents together allow an action: a statement allows it, and none denies it."""
    effects = {
        statement["Effect"]
        for statement in statements(documents)
        if any(matches(pattern.lower(), action.lower()) for pattern in listed(statement["Action"]))
        and any(matches(pattern, resource) for pattern in listed(statement.get("Resource", "*")))
        and holds(statement, context or {})
    }
    return effects == {"Allow"}
