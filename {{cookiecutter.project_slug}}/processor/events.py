"""The events that producers send."""

import json
from typing import Annotated, Any, Final

from aws_lambda_powertools.utilities.parser import BaseModel
from pydantic import AfterValidator, ConfigDict, JsonValue, StringConstraints

# Example event for the tests, the task `local-send` and the docs.
EXAMPLE: Final[dict[str, Any]] = {"type": "order.created", "data": {"id": 1}}


def _standard_json(data: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Reject ``NaN`` and ``Infinity``, which Python's parsers accept but the JSON standard does not."""
    json.dumps(data, allow_nan=False)
    return data


class Event(BaseModel):
    """The body of an SQS message: a JSON object with a type and data.

    Additional members are allowed and stored, so that producers can extend events without changing the function.

    Attributes:
        type: Event type, for example ``order.created``: 1 to 128 letters, digits, dots, hyphens and underscores.
        data: Details of the event.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    type: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,128}$")]
    data: Annotated[dict[str, JsonValue], AfterValidator(_standard_json)]
