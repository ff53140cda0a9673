"""How a message that can never succeed gets to the dead-letter queue, with the reason why."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSMessageAttribute, SQSRecord

from processor.errors import describe, error_code

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef


class UnreadableAttributesError(Exception):
    """A message's attributes are not of the form that SQS gives them."""


@dataclass(frozen=True)
class DeadLetterQueue:
    """Sends messages to the dead-letter queue: body and attributes as they were, the reason as further attributes.

    SQS allows ten attributes. A message that leaves no room for the reason is refused; it then stays in its queue until
    SQS itself moves it, after its last delivery.

    Attributes:
        sqs: Client of SQS.
        queue_url: The queue that messages come from.
        dead_letter_queue_url: The queue that they are sent to.
    """

    sqs: SQSClient
    queue_url: str
    dead_letter_queue_url: str

    def send(self, record: SQSRecord, error: BaseException) -> None:
        """Send one message.

        Raises:
            UnreadableAttributesError: If its attributes cannot be kept.
            botocore.exceptions.ClientError: If SQS refused it.
            botocore.exceptions.BotoCoreError: If SQS could not be asked.
        """
        reason = {
            "ErrorCode": error_code(error),
            "ErrorReason": describe(error),
            "OriginalMessageId": record.message_id,
            "OriginalQueueUrl": self.queue_url,
        }
        try:
            attributes = {name: _attribute(value) for name, value in record.message_attributes.items()}
        except (AttributeError, KeyError, ValueError) as malformed:
            raise UnreadableAttributesError from malformed
        self.sqs.send_message(
            QueueUrl=self.dead_letter_queue_url,
            MessageBody=record.body,
            MessageAttributes=attributes
            | {name: {"DataType": "String", "StringValue": value} for name, value in reason.items()},
        )


def _attribute(received: SQSMessageAttribute) -> MessageAttributeValueTypeDef:
    """Turn an attribute as Lambda hands it over into one as SQS takes it."""
    if received.data_type.startswith("Binary"):
        return {"DataType": received.data_type, "BinaryValue": base64.b64decode(received.binary_value or "")}
    return {"DataType": received.data_type, "StringValue": received.string_value or ""}
