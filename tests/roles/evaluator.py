"""Evaluates the part of IAM's policy language that the bootstrap program uses; an unknown operator is an error.

`fnmatch` matches wildcards like IAM, because no policy contains a bracket.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

Document = Mapping[str, Any]
Context = Mapping[str, str]


def listed(value: Any) -> list[Any]:
    """Return ``value`` as a list: IAM treats a single value as a list with one element."""
    return list(value) if isinstance(value, list) else [value]


def like(wanted: list[str], found: str | None) -> bool:
    return found is not None and any(fnmatchcase(found, pattern) for pattern in wanted)


# The condition keys of type ARN in use. ArnLike never matches a key of another type.
ARN_KEYS = {"aws:SourceArn", "lambda:FunctionArn"}

# If the request lacks the key, only IfExists and Null can match.
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
    """Whether policies together allow an action: at least one statement allows the action, and none denies it."""
    effects = {
        statement["Effect"]
        for document in documents
        for statement in document["Statement"]
        if any(fnmatchcase(action, pattern) for pattern in listed(statement["Action"]))
        and any(fnmatchcase(resource, pattern) for pattern in listed(statement.get("Resource", "*")))
        and holds(statement, context or {})
    }
    return effects == {"Allow"}
