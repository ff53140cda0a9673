"""What producers send."""

import json
from typing import Annotated, Any, Final

from aws_lambda_powertools.utilities.parser import BaseModel
from pydantic import AfterValidator, ConfigDict, JsonValue, StringConstraints

# What a producer may send: the tests, the task `local-send` and the documents take theirs from here.
EXAMPLE: Final[dict[str, Any]] = {"type": "order.created", "data": {"id": 1}}


def _standard_json(data: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Refuse ``NaN`` and ``Infinity``, which Python's parsers accept and those of the payload's readers may not."""
    json.dumps(data, allow_nan=False)
    return data


class Event(BaseModel):
    """The body of a message: JSON with a type and the data that belongs to it.

    Further members are allowed and stored with the rest, so that producers can add to their events before this function
    knows of it.

    Attributes:
        type: What happened, for example ``order.created``: 1 to 128 letters, digits, dots, hyphens and underscores.
        data: What it happened to.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    type: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,128}$")]
    data: Annotated[dict[str, JsonValue], AfterValidator(_standard_json)]
