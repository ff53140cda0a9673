"""What the function is told by its environment. The infrastructure sets it from here, so that neither changes alone.

This module imports nothing but the standard library: the infrastructure has it without the function's libraries.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

# For the function a text; for the infrastructure an output, which is a text once it is known.
Text = Any


@dataclass(frozen=True)
class Environment:
    """The function's environment variables: each field is the variable of the same name in upper case.

    Attributes:
        bucket_name: Where payloads are stored.
        table_name: Where items are stored.
        topic_arn: Where notifications are sent.
        queue_url: Where messages come from.
        dlq_url: Where messages go that can never be processed.
        environment: Kind of environment that the stack is.
    """

    bucket_name: Text
    table_name: Text
    topic_arn: Text
    queue_url: Text
    dlq_url: Text
    environment: Text

    def variables(self) -> dict[str, Text]:
        """List the variables by their names."""
        return {variable_name(field.name): getattr(self, field.name) for field in fields(self)}


def variable_name(field: str) -> str:
    """Name a field's variable."""
    return field.upper()


def read_environment(variables: Mapping[str, str]) -> Environment:
    """Read the function's environment.

    Args:
        variables: Environment variables, these and others.

    Raises:
        KeyError: If one is not set.
    """
    return Environment(**{field.name: variables[variable_name(field.name)] for field in fields(Environment)})
