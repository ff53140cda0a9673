"""The function's environment variables, declared once for the function and the infrastructure.

This module imports only the standard library: the infrastructure imports it without the function's dependencies.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

# A text in the function. In the infrastructure it may be a Pulumi output, too.
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
        max_receive_count: Deliveries of a message before SQS moves it to the dead-letter queue.
        data_retention_days: Days after which items expire; 0 if they do not.
        environment: Environment of the stack.
    """

    bucket_name: Text
    table_name: Text
    topic_arn: Text
    queue_url: Text
    dlq_url: Text
    max_receive_count: int
    data_retention_days: int
    environment: str

    def variables(self) -> dict[str, Any]:
        """Return the variables by name: strings, and outputs that resolve to strings."""
        return {name.upper(): str(value) if isinstance(value, int) else value for name, value in vars(self).items()}


def read_environment(variables: Mapping[str, str]) -> Environment:
    """Read the function's environment.

    Args:
        variables: All environment variables; others are ignored.

    Raises:
        KeyError: If a variable is missing, or a field is neither a number nor a string: `bool("False")` would be true.
        ValueError: If a number is not one.
    """
    read: dict[Any, Callable[[str], Any]] = {int: int, str: str, Text: str}
    return Environment(**{field.name: read[field.type](variables[field.name.upper()]) for field in fields(Environment)})
