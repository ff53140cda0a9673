"""The function's environment variables, declared once for the function and the infrastructure.

This module imports only the standard library: the infrastructure imports it without the function's dependencies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, get_type_hints

# What a variable is in the function. In the infrastructure it may be a Pulumi output of that type.
Text = Annotated[Any, str]
Number = Annotated[Any, int]


@dataclass(frozen=True)
class Environment:
    """The function's environment variables: each field is the variable of the same name in upper case.

    Attributes:
        bucket_name: Where payloads are stored.
        table_name: Where items are stored.
        topic_arn: Where notifications are sent.
        queue_url: Where messages come from.
        dlq_url: Where messages that can never succeed are sent.
        max_receive_count: Deliveries of a message before SQS moves it to the dead-letter queue.
        data_retention_days: Days after which items expire; 0 if they do not.
        environment: Environment of the stack.
    """

    bucket_name: Text
    table_name: Text
    topic_arn: Text
    queue_url: Text
    dlq_url: Text
    max_receive_count: Number
    data_retention_days: Number
    environment: Text

    def variables(self) -> dict[str, Any]:
        """Return the variables by name: strings, and outputs that resolve to strings."""
        values = {variable_name(field.name): getattr(self, field.name) for field in fields(self)}
        return {name: str(value) if isinstance(value, int) else value for name, value in values.items()}


def variable_name(field: str) -> str:
    """Return the name of a field's variable."""
    return field.upper()


def read_environment(variables: Mapping[str, str]) -> Environment:
    """Read the function's environment.

    Args:
        variables: All environment variables; others are ignored.

    Raises:
        KeyError: If a variable is missing.
        ValueError: If a number is not one.
    """
    hints = get_type_hints(Environment, include_extras=True)
    return Environment(**{name: hint.__metadata__[0](variables[variable_name(name)]) for name, hint in hints.items()})
