"""The events that producers send."""

import json
from typing import Annotated, Any, Final

from aws_lambda_powertools.utilities.parser import BaseModel
from pydantic import AfterValidator, ConfigDict, JsonValue, StringConstraints

# The example that the tests, the task `local-send` and the documents use.
EXAMPLE: Final[dict[str, Any]] = {"type": "order.created", "data": {"id": 1}}


def _standard_json(data: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Reject ``NaN`` and ``Infinity``: Python's parsers accept them, but other parsers may not."""
    json.dumps(data, allow_nan=False)
    return data


class Event(BaseModel):
    """The body of a message: JSON with a type and its data.

    Other members are allowed and stored too, so that producers can extend their events before this function is changed.

    Attributes:
        type: What happened, for example ``order.created``: 1 to 128 letters, digits, dots, hyphens and underscores.
        data: Details of what happened.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    type: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,128}$")]
    data: Annotated[dict[str, JsonValue], AfterValidator(_standard_json)]
