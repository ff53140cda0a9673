"""What the function is told by its environment. The infrastructure sets it from here, so that neither changes alone.

This module imports nothing but the standard library: the infrastructure has it without the function's libraries.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class Environment(Generic[Value]):
    """The function's environment variables: each field is the variable of the same name in upper case.

    The function reads texts; the infrastructure sets outputs, which are texts once they are known.

    Attributes:
        bucket_name: Where payloads are stored.
        table_name: Where items are stored.
        topic_arn: Where notifications are sent.
        queue_url: Where messages come from.
        dlq_url: Where messages go that can never be processed.
        environment: Kind of environment that the stack is.
    """

    bucket_name: Value
    table_name: Value
    topic_arn: Value
    queue_url: Value
    dlq_url: Value
    environment: Value

    def variables(self) -> dict[str, Value]:
        """List the variables by their names."""
        return {variable_name(field.name): getattr(self, field.name) for field in fields(self)}


def variable_name(field: str) -> str:
    """Name a field's variable."""
    return field.upper()


def read_environment(variables: Mapping[str, str]) -> Environment[str]:
    """Read the function's environment.

    Args:
        variables: Environment variables, these and others.

    Raises:
        KeyError: If one is not set.
    """
    return Environment(**{field.name: variables[variable_name(field.name)] for field in fields(Environment)})
