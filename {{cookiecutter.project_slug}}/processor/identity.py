"""A message's identity, which it keeps when it is dead-lettered and sent back."""

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
    """The identity of a message.

    SQS gives a message that is sent back from the dead-letter queue a new id and a new time. The function has stored
    the first ones in attributes, so that object and item stay the same.

    Attributes:
        message_id: The id that SQS gave the message first.
        sent_timestamp: Time at which SQS received it first, in milliseconds since 1970.
    """

    message_id: str
    sent_timestamp: str

    @property
    def sent(self) -> datetime:
        """Time at which SQS received the message first, in UTC."""
        return datetime.fromtimestamp(int(self.sent_timestamp) / 1000, tz=UTC)

    @property
    def attributes(self) -> dict[str, str]:
        """The message attributes that keep the identity."""
        return {ORIGINAL_MESSAGE_ID: self.message_id, ORIGINAL_SENT_TIMESTAMP: self.sent_timestamp}


def identify(record: SQSRecord) -> Identity:
    """Return a message's identity: the one in its attributes, if it was sent back, or the one that SQS gave it."""
    given = Identity(record.message_id, record.attributes.sent_timestamp)
    # A producer may set these attributes to anything.
    attributes = record.raw_event["messageAttributes"]
    message_id, sent_timestamp = (
        str(attributes.get(name, {}).get("stringValue")) for name in (ORIGINAL_MESSAGE_ID, ORIGINAL_SENT_TIMESTAMP)
    )
    is_identity = _MESSAGE_ID.fullmatch(message_id) and _MILLISECONDS.fullmatch(sent_timestamp)
    # Nobody can send a message back before it was sent first.
    if is_identity and sent_timestamp <= given.sent_timestamp:
        return Identity(message_id, sent_timestamp)
    return given
