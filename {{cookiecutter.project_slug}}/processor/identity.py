"""A message's identity, which survives dead-lettering and redrive."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

ORIGINAL_MESSAGE_ID: Final = "OriginalMessageId"
ORIGINAL_SENT_TIMESTAMP: Final = "OriginalSentTimestamp"

_MESSAGE_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MILLISECONDS: Final = re.compile(r"[0-9]{13}")


@dataclass(frozen=True)
class Identity:
    """The original ID and timestamp of a message.

    SQS gives a redriven message a new ID and timestamp. The function stores the original values in attributes when it
    dead-letters a message, so that a redrive does not create another object or item.

    Attributes:
        message_id: Original SQS message ID.
        sent_timestamp: Original SentTimestamp, in milliseconds since 1970.
    """

    message_id: str
    sent_timestamp: str

    @property
    def sent(self) -> datetime:
        """Original time of sending, in UTC."""
        return datetime.fromtimestamp(int(self.sent_timestamp) / 1000, tz=UTC)

    @property
    def attributes(self) -> dict[str, str]:
        """The message attributes that preserve the identity."""
        return {ORIGINAL_MESSAGE_ID: self.message_id, ORIGINAL_SENT_TIMESTAMP: self.sent_timestamp}


def identify(record: SQSRecord) -> Identity:
    """Return a message's identity: from its attributes if redriven, otherwise SQS's own ID and timestamp."""
    given = Identity(record.message_id, record.attributes.sent_timestamp)
    # Producers can also set these attributes, so the values are validated.
    attributes = record.raw_event["messageAttributes"]
    message_id, sent_timestamp = (
        str(attributes.get(name, {}).get("stringValue")) for name in (ORIGINAL_MESSAGE_ID, ORIGINAL_SENT_TIMESTAMP)
    )
    is_identity = _MESSAGE_ID.fullmatch(message_id) and _MILLISECONDS.fullmatch(sent_timestamp)
    # The original timestamp cannot be later than SQS's.
    if is_identity and sent_timestamp <= given.sent_timestamp:
        return Identity(message_id, sent_timestamp)
    return given
