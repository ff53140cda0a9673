"""The events that are accepted and refused: the example, with one member changed."""

import json
from typing import Any

import pytest
from aws_lambda_powertools.utilities.parser import ValidationError

from processor.events import EXAMPLE, Event

REQUIRED = [name for name, field in Event.model_fields.items() if field.is_required()]


def refused_places(body: str) -> list[str]:
    """List the members of a body that are refused."""
    with pytest.raises(ValidationError) as refusal:
        Event.model_validate_json(body)
    return [str(error["loc"][0]) if error["loc"] else "body" for error in refusal.value.errors()]


def changed(**members: Any) -> str:
    """Return the example as JSON, with some members changed."""
    return json.dumps(EXAMPLE | members)


def test_the_example_is_an_event() -> None:
    assert Event.model_validate_json(json.dumps(EXAMPLE)).model_dump() == EXAMPLE


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_member_is_refused(name: str) -> None:
    body = json.dumps({key: value for key, value in EXAMPLE.items() if key != name})

    assert refused_places(body) == [name]


@pytest.mark.parametrize("type_", ["order.created", "a", "A-1_b.c", "x" * 128])
def test_a_valid_type_is_accepted(type_: str) -> None:
    assert Event.model_validate_json(changed(type=type_)).type == type_


@pytest.mark.parametrize("type_", ["", "order created", "order\n", "заказ", "x" * 129, 1, None])
def test_any_other_type_is_refused(type_: object) -> None:
    assert refused_places(changed(type=type_)) == ["type"]


@pytest.mark.parametrize("data", [{}, {"b": [1, None, {"c": "é"}]}])
def test_data_may_be_any_json_object(data: dict[str, Any]) -> None:
    assert Event.model_validate_json(changed(data=data)).data == data


@pytest.mark.parametrize("data", [[], "text", None, 1])
def test_any_other_data_is_refused(data: object) -> None:
    assert refused_places(changed(data=data)) == ["data"]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_outside_of_standard_json_are_refused(number: float) -> None:
    assert refused_places(changed(data={"b": [number]})) == ["data"]


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"text"'])
def test_a_body_that_is_not_a_json_object_is_refused(body: str) -> None:
    assert refused_places(body) == ["body"]


def test_unknown_members_are_accepted() -> None:
    assert Event.model_validate_json(changed(version=2)).type == EXAMPLE["type"]


def test_an_event_cannot_be_changed() -> None:
    event = Event.model_validate(EXAMPLE)

    with pytest.raises(ValidationError, match="frozen"):
        event.type = "order.deleted"  # ty: ignore[invalid-assignment]
