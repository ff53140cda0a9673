"""Accepted and refused events: variants of the example, and malformed bodies."""

import json
from typing import Any

import pytest
from aws_lambda_powertools.utilities.parser import ValidationError

from processor.events import EXAMPLE, Event

ACCEPTED: list[dict[str, Any]] = [
    {},
    *({"type": type_} for type_ in ("a", "A-1_b.c", "x" * 128)),
    *({"data": data} for data in ({}, {"b": [1, None, {"c": "é"}]})),
    {"version": 2},
]
REFUSED = {
    "type": ["", "order created", "order\n", "заказ", "x" * 129, 1, None],
    "data": [[], "text", None, 1, *({"b": [float(number)]} for number in ("nan", "inf", "-inf"))],
}
BODIES = [
    *(("body", body) for body in ("", "{", "[]", "null", '"text"')),
    *((name, json.dumps(EXAMPLE | {name: value})) for name, values in REFUSED.items() for value in values),
    *(
        (name, json.dumps({key: value for key, value in EXAMPLE.items() if key != name}))
        for name, field in Event.model_fields.items()
        if field.is_required()
    ),
]


@pytest.mark.parametrize("members", ACCEPTED)
def test_an_event_is_accepted(members: dict[str, Any]) -> None:
    event = Event.model_validate_json(json.dumps(EXAMPLE | members))

    assert event.model_dump() == {name: (EXAMPLE | members)[name] for name in Event.model_fields}


@pytest.mark.parametrize(("place", "body"), BODIES)
def test_any_other_body_is_refused_with_the_invalid_member(place: str, body: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        Event.model_validate_json(body)

    assert [(*error["loc"], "body")[0] for error in refusal.value.errors()] == [place]


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Event.model_validate(EXAMPLE).type = "order.deleted"  # ty: ignore[invalid-assignment]
