"""The base of settings models: values parsed from the engine's text, and described in words."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from tools.configuration.model import TRUTH_VALUE, WHOLE_NUMBER, SettingsModel, StackSettings, as_text


class Example(StackSettings):
    """A setting of each kind."""

    kind_of: Annotated[Literal["a", "b"], Field(description="")]
    days_kept: Annotated[Literal[1, 7], Field(description=""), WHOLE_NUMBER] = 7
    number_of: Annotated[int, Field(ge=-5, le=900, description="", examples=[5]), WHOLE_NUMBER] = 1
    is_on: Annotated[bool, Field(description=""), TRUTH_VALUE] = False
    name: Annotated[str, Field(description="", examples=["x", "y"], json_schema_extra={"allowed": "any text"})]
    unknown: Annotated[str, Field(description="")]


GOOD = {"kindOf": "a", "name": "n", "unknown": "u"}
MODEL = SettingsModel(Example)


def test_the_keys_are_those_of_the_stack_files_in_the_models_order() -> None:
    assert MODEL.keys == ("kindOf", "daysKept", "numberOf", "isOn", "name", "unknown")


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("daysKept", "7", 7),
        ("numberOf", "-5", -5),
        ("numberOf", "0", 0),
        ("numberOf", "900", 900),
        ("isOn", "true", True),
        ("isOn", "false", False),
        ("name", "1", "1"),
    ],
)
def test_a_value_is_parsed_from_the_engines_text(key: str, text: str, value: object) -> None:
    read = Example.model_validate(GOOD | {key: text}).model_dump(by_alias=True)[key]

    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        *(
            ("numberOf", text)
            for text in ("", "5.0", "5_0", "0x5", "05", "-0", " 5", "+5", "\u0665", "9" * 30, "-6", "901", "five")
        ),
        *(("isOn", text) for text in ("", "True", "yes", "1")),
        ("daysKept", "2"),
        ("kindOf", "A"),
    ],
)
def test_text_that_only_resembles_a_value_is_refused(key: str, text: str) -> None:
    with pytest.raises(ValidationError):
        Example.model_validate(GOOD | {key: text})


@pytest.mark.parametrize(("key", "value"), [("isOn", 1), ("isOn", ["true"]), ("numberOf", 5.0), ("name", 5)])
def test_values_other_than_text_are_left_to_the_model(key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Example.model_validate(GOOD | {key: value})


def test_a_model_without_contradictions_needs_no_method() -> None:
    assert not list(Example.contradictions(GOOD))


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false"), (10, "10"), ("", ""), ("Ab", "Ab")])
def test_a_value_is_formatted_as_configuration_text(value: object, text: str) -> None:
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("key", "default"), [("kindOf", None), ("daysKept", "7"), ("numberOf", "1"), ("isOn", "false"), ("name", None)]
)
def test_a_default_is_returned_as_text(key: str, default: str | None) -> None:
    assert MODEL.default(key) == default


@pytest.mark.parametrize(("key", "example"), [("kindOf", "a"), ("numberOf", "1"), ("isOn", "false"), ("name", "x")])
def test_an_example_is_the_default_or_the_first_valid_value(key: str, example: str) -> None:
    assert MODEL.example(key) == example


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("kindOf", "one of a, b"),
        ("daysKept", "one of 1, 7"),
        ("numberOf", "a whole number from -5 to 900"),
        ("isOn", "true or false"),
        ("name", "any text"),
    ],
)
def test_the_allowed_values_are_described_in_words(key: str, words: str) -> None:
    assert MODEL.allowed(key) == words


@pytest.mark.parametrize(
    ("tell", "message"),
    [
        (MODEL.example, "unknown: the model needs `examples`"),
        (MODEL.allowed, "unknown: json_schema_extra needs `allowed`"),
    ],
    ids=["example", "allowed"],
)
def test_an_incomplete_model_raises_a_type_error(tell: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        tell("unknown")
