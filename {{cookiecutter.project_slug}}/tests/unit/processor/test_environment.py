"""The function reads the environment variables that the infrastructure sets."""

from dataclasses import fields
from typing import Any

import pytest

from processor.environment import Environment, read_environment

# A distinct value for each field.
VALUES: dict[str, Any] = {
    each.name: number if each.type is int else str(number) for number, each in enumerate(fields(Environment))
}
VARIABLES = {name.upper(): str(value) for name, value in VALUES.items()}


def test_the_function_reads_what_the_infrastructure_sets() -> None:
    environment = Environment(**VALUES)

    assert environment.variables() == VARIABLES
    assert read_environment(VARIABLES | {"PATH": "/bin"}) == environment


@pytest.mark.parametrize("name", VARIABLES)
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(KeyError, match=f"^'{name}'$"):
        read_environment({each: value for each, value in VARIABLES.items() if each != name})


@pytest.mark.parametrize("name", [name.upper() for name, value in VALUES.items() if isinstance(value, int)])
def test_a_malformed_number_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="many"):
        read_environment(VARIABLES | {name: "many"})
