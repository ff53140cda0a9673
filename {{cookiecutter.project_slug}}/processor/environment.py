"""The function's environment variables, declared once for the function and the infrastructure.

This module imports only the standard library: the infrastructure imports it without the function's dependencies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

# A string in the function; in the infrastructure, a Pulumi output that resolves to a string.
Text = Any


@dataclass(frozen=True)
class Environment:
    """The function's environment variables: each field is the variable of the same name in upper case.

    Attributes:
        bucket_name: Where payloads are stored.
        table_name: Where items are stored.
        topic_arn: Where notifications are sent.
        queue_url: Where messages come from.
        dlq_url: Where messages that can never succeed are sent.
        environment: Environment of the stack.
    """

    bucket_name: Text
    table_name: Text
    topic_arn: Text
    queue_url: Text
    dlq_url: Text
    environment: Text

    def variables(self) -> dict[str, Text]:
        """Return the variables by name."""
        return {variable_name(field.name): getattr(self, field.name) for field in fields(self)}


def variable_name(field: str) -> str:
    """Return the name of a field's variable."""
    return field.upper()


def read_environment(variables: Mapping[str, str]) -> Environment:
    """Read the function's environment.

    Args:
        variables: All environment variables; others are ignored.

    Raises:
        KeyError: If a variable is missing.
    """
    return Environment(**{field.name: variables[variable_name(field.name)] for field in fields(Environment)})
