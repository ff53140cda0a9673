"""How what is deployed is compared with what was promised."""

import json
from collections.abc import Iterator, Mapping
from typing import Any


def differences(found: Mapping[str, Any], promised: Mapping[str, Any]) -> Iterator[str]:
    """Compare what is deployed of a resource with what was promised of it.

    What was not promised may be there, as a team may add tags; inside of what was promised nothing may.

    Args:
        found: What AWS says.
        promised: What the program says.

    Yields:
        Each difference in words.
    """
    for key, value in promised.items():
        there = found.get(key)
        if key == "tags":
            there = {name: (there or {}).get(name) for name in value}
        yield from _differences(key, _normalized(there), _normalized(value))


def hold(resource: str, promise: str, *, found: object, promised: object) -> None:
    """Compare one thing that is deployed with what was promised.

    Args:
        resource: Name of the resource, as AWS knows it.
        promise: What is compared.
        found: What AWS says.
        promised: What the stack's configuration and its program say.

    Raises:
        AssertionError: If they differ; the message names all four.
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
    """Write a property in the one of all equivalent ways in which its parts have an order, and JSON is parsed."""
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
    """Write a statement of a policy in the one of all equivalent ways in which every text is a sorted list.

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
