"""Compares what is deployed with what the program promises."""

import json
from collections.abc import Iterator, Mapping
from typing import Any


def differences(found: Mapping[str, Any], promised: Mapping[str, Any]) -> Iterator[str]:
    """Compare a deployed resource with the program's promise.

    Properties and tags that were not promised are ignored. Inside of a promised property, nothing may be added.

    Args:
        found: The properties in AWS.
        promised: The properties in the program.

    Yields:
        Each difference in words.
    """
    for key, value in promised.items():
        there = found.get(key)
        if key == "tags":
            there = {name: (there or {}).get(name) for name in value}
        yield from _differences(key, _normalized(there), _normalized(value))


def hold(resource: str, promise: str, *, found: object, promised: object) -> None:
    """Assert that one deployed value is as promised.

    Args:
        resource: Name of the resource in AWS.
        promise: What is compared.
        found: The value in AWS.
        promised: The value in the program or the stack's configuration.

    Raises:
        AssertionError: If they differ; the message contains all four arguments.
    """
    assert found == promised, f"{resource}: {promise}: {_told(found, promised)}"


def _told(found: object, promised: object) -> str:
    return f"found {found!r}, promised {promised!r}"


def _differences(path: str, found: Any, promised: Any) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(promised, dict):
        for key in promised.keys() | found.keys():
            yield from _differences(f"{path}.{key}", found.get(key), promised.get(key))
    elif found != promised:
        yield f"{path}: {_told(found, promised)}"


def _normalized(value: Any) -> Any:
    """Normalize a property: sort lists, and parse JSON."""
    if isinstance(value, Mapping):
        return {key: _normalized(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return sorted(map(_normalized, value), key=lambda each: json.dumps(each, sort_keys=True))
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.startswith("{"):
        document = json.loads(value)
        return [canonical(each) for each in document["Statement"]] if "Statement" in document else document
    return value


def canonical(statement: Mapping[str, Any]) -> dict[str, Any]:
    """Normalize a policy statement: every string becomes a list, and lists are sorted.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    principal = statement.get("Principal", {})
    everybody = {"AWS": "*"} if principal == "*" else principal
    return {
        "Sid": statement.get("Sid", ""),
        "Effect": statement["Effect"],
        "Principal": {kind: _sorted(names) for kind, names in everybody.items()},
        "Action": _sorted(statement["Action"]),
        "Resource": _sorted(statement.get("Resource", [])),
        "Condition": {
            operator: {key: _sorted(values) for key, values in keys.items()}
            for operator, keys in statement.get("Condition", {}).items()
        },
    }


def _sorted(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else sorted(value)
