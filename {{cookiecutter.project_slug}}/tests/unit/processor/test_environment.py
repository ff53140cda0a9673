"""The function's environment variables."""

from dataclasses import fields

import pytest

from processor import environment
from processor.environment import Environment, Number, Text, read_environment, variable_name

# Digits, which a text and a number may be.
VARIABLES = {variable_name(field.name): str(number) for number, field in enumerate(fields(Environment))}


def test_the_function_reads_what_the_infrastructure_sets() -> None:
    assert read_environment(VARIABLES | {"PATH": "/bin"}).variables() == VARIABLES


@pytest.mark.parametrize("name", VARIABLES)
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        read_environment({other: value for other, value in VARIABLES.items() if other != name})


def test_a_number_is_a_string_in_the_environment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    hints = dict.fromkeys(VARIABLES, Text) | {"TOPIC_ARN": Number}
    monkeypatch.setattr(environment, "get_type_hints", lambda *_, **__: {k.lower(): v for k, v in hints.items()})

    read = read_environment(VARIABLES | {"TOPIC_ARN": "5"})

    assert read.topic_arn == 5
    assert read.variables()["TOPIC_ARN"] == "5"
