"""The function's environment variables, declared once for the function and the infrastructure.

This module imports only the standard library: the infrastructure imports it without the function's dependencies.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

# A string in the function; a string or Pulumi output in the infrastructure.
Text = Any


@dataclass(frozen=True)
class Environment:
    """The function's environment variables. Each variable's name is the name of a field in upper case.

    Attributes:
        bucket_name: Bucket for payloads.
        table_name: Table for items.
        topic_arn: Topic for notifications.
        queue_url: Source queue of the messages.
        dlq_url: Dead-letter queue.
        max_receive_count: Deliveries of a message before SQS moves it to the dead-letter queue.
        data_retention_days: Days after which items expire; 0 if items never expire.
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
        """Return the variables by name: strings, and Pulumi outputs of strings."""
        return {name.upper(): str(value) if isinstance(value, int) else value for name, value in vars(self).items()}


def read_environment(variables: Mapping[str, str]) -> Environment:
    """Read the function's environment variables.

    Args:
        variables: All environment variables; additional variables are ignored.

    Raises:
        KeyError: If a variable is missing, or a field's type is neither `int` nor a string type, for example `bool`.
        ValueError: If a numeric variable is malformed.
    """
    read: dict[Any, Callable[[str], Any]] = {int: int, str: str, Text: str}
    return Environment(**{field.name: read[field.type](variables[field.name.upper()]) for field in fields(Environment)})
