"""What producers may send."""

import pytest
from aws_lambda_powertools.utilities.parser import ValidationError

from processor.events import Event


@pytest.mark.parametrize("type_", ["order.created", "a", "A-1_b.c", "x" * 128])
def test_a_type_is_accepted(type_: str) -> None:
    assert Event.model_validate({"type": type_, "data": {}}).type == type_


@pytest.mark.parametrize("type_", ["", "order created", "order\n", "заказ", "x" * 129, 1, None])
def test_what_is_no_type_is_refused(type_: object) -> None:
    with pytest.raises(ValidationError, match="type"):
        Event.model_validate({"type": type_, "data": {}})


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"text"', "{}", '{"type": "a"}', '{"type": "a", "data": []}'])
def test_a_body_that_is_no_event_is_refused(body: str) -> None:
    with pytest.raises(ValidationError):
        Event.model_validate_json(body)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_standard_json_does_not_know_is_refused(number: str) -> None:
    with pytest.raises(ValidationError, match="data"):
        Event.model_validate_json(f'{{"type": "a", "data": {{"b": [{number}]}}}}')


def test_data_may_be_any_json_object() -> None:
    assert Event.model_validate_json('{"type": "a", "data": {"b": [1, null, {"c": "é"}]}}').data == {
        "b": [1, None, {"c": "é"}]
    }


def test_members_that_are_not_known_yet_are_accepted() -> None:
    assert Event.model_validate_json('{"type": "a", "data": {}, "version": 2}').type == "a"
