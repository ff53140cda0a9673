"""Failed messages: back off before a retry, or dead-letter with the reason."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSMessageAttribute, SQSRecord

from processor.environment import Environment
from processor.errors import describe, error_code
from processor.identity import identify
from processor.timing import retry_delay_seconds

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
MAX_ATTRIBUTES: Final = 10


class UnreadableAttributesError(Exception):
    """A message's attributes are malformed."""


@dataclass(frozen=True)
class Queues:
    """The source queue of the messages, and its dead-letter queue.

    Attributes:
        sqs: SQS client.
        environment: URLs of both queues, and the maximum receive count.
    """

    sqs: SQSClient
    environment: Environment

    def is_last_delivery(self, record: SQSRecord) -> bool:
        """Whether SQS itself dead-letters the message, without a reason, if this delivery fails."""
        return _deliveries(record) >= self.environment.max_receive_count

    def delay(self, record: SQSRecord) -> None:
        """Back off: set a failed message's visibility timeout, which doubles with each delivery, up to an hour.

        Raises:
            botocore.exceptions.ClientError: If SQS rejects the call.
            botocore.exceptions.BotoCoreError: If SQS cannot be reached.
        """
        self.sqs.change_message_visibility(
            QueueUrl=self.environment.queue_url,
            ReceiptHandle=record.receipt_handle,
            VisibilityTimeout=retry_delay_seconds(_deliveries(record)),
        )

    def dead_letter(self, record: SQSRecord, error: BaseException) -> None:
        """Send a message to the dead-letter queue, with its identity and the reason in additional attributes.

        SQS allows ten attributes per message. Additional attributes beyond this limit are omitted.

        Raises:
            UnreadableAttributesError: If the message's attributes cannot be read.
            botocore.exceptions.ClientError: If SQS rejects the call.
            botocore.exceptions.BotoCoreError: If SQS cannot be reached.
        """
        reason = identify(record).attributes | {"ErrorCode": error_code(error), "ErrorReason": describe(error)}
        try:
            attributes = {
                name: _attribute(value) for name, value in record.message_attributes.items() if name not in reason
            }
        except (AttributeError, KeyError, TypeError, ValueError) as malformed:
            raise UnreadableAttributesError from malformed
        for name, value in [*reason.items()][: MAX_ATTRIBUTES - len(attributes)]:
            attributes[name] = {"DataType": "String", "StringValue": value}
        self.sqs.send_message(QueueUrl=self.environment.dlq_url, MessageBody=record.body, MessageAttributes=attributes)


def _deliveries(record: SQSRecord) -> int:
    return int(record.attributes.approximate_receive_count)


def _attribute(received: SQSMessageAttribute) -> MessageAttributeValueTypeDef:
    """Convert an attribute from Lambda's format to SQS's."""
    if received.data_type.startswith("Binary"):
        return {"DataType": received.data_type, "BinaryValue": base64.b64decode(received["binaryValue"])}
    return {"DataType": received.data_type, "StringValue": received["stringValue"]}
