"""Sends messages that can never succeed to the dead-letter queue, with the reason."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSMessageAttribute, SQSRecord

from processor.environment import Environment
from processor.errors import describe, error_code

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef


class UnreadableAttributesError(Exception):
    """A message's attributes are not in SQS's format."""


@dataclass(frozen=True)
class DeadLetterQueue:
    """Sends messages to the dead-letter queue: body and attributes unchanged, the reason in further attributes.

    SQS allows ten attributes. If there is no room for the reason, SQS rejects the message. It then stays in its queue
    until SQS moves it, after its last delivery.

    Attributes:
        sqs: SQS client.
        environment: URLs of the queue that messages come from, and of the one that they are sent to.
    """

    sqs: SQSClient
    environment: Environment

    def send(self, record: SQSRecord, error: BaseException) -> None:
        """Send one message.

        Raises:
            UnreadableAttributesError: If its attributes cannot be read.
            botocore.exceptions.ClientError: If SQS rejected it.
            botocore.exceptions.BotoCoreError: If SQS could not be reached.
        """
        reason = {
            "ErrorCode": error_code(error),
            "ErrorReason": describe(error),
            "OriginalMessageId": record.message_id,
            "OriginalQueueUrl": self.environment.queue_url,
        }
        try:
            attributes = {name: _attribute(value) for name, value in record.message_attributes.items()}
        except (AttributeError, KeyError, ValueError) as malformed:
            raise UnreadableAttributesError from malformed
        self.sqs.send_message(
            QueueUrl=self.environment.dlq_url,
            MessageBody=record.body,
            MessageAttributes=attributes
            | {name: {"DataType": "String", "StringValue": value} for name, value in reason.items()},
        )


def _attribute(received: SQSMessageAttribute) -> MessageAttributeValueTypeDef:
    """Convert an attribute from Lambda's format to SQS's."""
    if received.data_type.startswith("Binary"):
        return {"DataType": received.data_type, "BinaryValue": base64.b64decode(received.binary_value or "")}
    return {"DataType": received.data_type, "StringValue": received.string_value or ""}
