"""The function's environment variables."""

from dataclasses import fields

import pytest

from processor.environment import Environment, read_environment, variable_name

# Digits, which a text and a number may be.
VARIABLES = {variable_name(field.name): str(number) for number, field in enumerate(fields(Environment))}
NUMBERS = ["MAX_RECEIVE_COUNT", "DATA_RETENTION_DAYS"]


def test_the_function_reads_what_the_infrastructure_sets() -> None:
    assert read_environment(VARIABLES | {"PATH": "/bin"}).variables() == VARIABLES


@pytest.mark.parametrize("name", VARIABLES)
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        read_environment({other: value for other, value in VARIABLES.items() if other != name})


@pytest.mark.parametrize("name", VARIABLES)
def test_numbers_are_numbers_in_the_function_and_everything_else_is_text(name: str) -> None:
    value = getattr(read_environment(VARIABLES), name.lower())

    assert value == (int(VARIABLES[name]) if name in NUMBERS else VARIABLES[name])


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="many"):
        read_environment(VARIABLES | {name: "many"})
