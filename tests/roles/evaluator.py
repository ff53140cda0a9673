"""Evaluates policies as IAM does, as far as the bootstrap program uses them; an unknown operator is an error.

IAM's wildcards are those of `fnmatch`: no policy has a bracket.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

Document = Mapping[str, Any]
Context = Mapping[str, str]


def listed(value: Any) -> list[Any]:
    """Return a list of what IAM takes for one: a value alone counts as a list of one."""
    return list(value) if isinstance(value, list) else [value]


def like(wanted: list[str], found: str | None) -> bool:
    return found is not None and any(fnmatchcase(found, pattern) for pattern in wanted)


# The conditions in use whose keys are ARNs. AWS compares any other key as a string, and does not meet ArnLike.
ARN_KEYS = {"aws:SourceArn", "lambda:FunctionArn"}

# Only IfExists and Null can be met by a request without the key.
OPERATORS = {
    "StringEquals": lambda wanted, found: found in wanted,
    "StringLike": like,
    "ArnLike": like,
    "StringEqualsIfExists": lambda wanted, found: found is None or found in wanted,
    "Null": lambda wanted, found: wanted == ["true" if found is None else "false"],
}


def holds(statement: Document, context: Context) -> bool:
    """Whether all conditions of a statement are met."""
    return all(
        OPERATORS[operator](listed(wanted), context.get(key)) and (operator != "ArnLike" or key in ARN_KEYS)
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )


def allows(documents: Iterable[Document], action: str, resource: str = "*", context: Context | None = None) -> bool:
    """Whether documents together allow an action: a statement allows it, and none denies it."""
    effects = {
        statement["Effect"]
        for document in documents
        for statement in document["Statement"]
        if any(fnmatchcase(action, pattern) for pattern in listed(statement["Action"]))
        and any(fnmatchcase(resource, pattern) for pattern in listed(statement.get("Resource", "*")))
        and holds(statement, context or {})
    }
    return effects == {"Allow"}
