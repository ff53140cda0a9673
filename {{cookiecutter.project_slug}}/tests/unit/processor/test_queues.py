"""Failed messages: backoff, and the contents of dead letters."""

import base64
import json
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from processor.errors import describe
from processor.events import EXAMPLE
from processor.queues import Queues, UnreadableAttributesError
from tests.unit.emulated import MESSAGE_ID, SENT, Emulated, failing, sqs_record
from tests.unit.processor.test_errors import client_error, validation_error

BODY = json.dumps(EXAMPLE | {"type": 1, "data": []}, indent=1) + "\n"
REASON = {
    "OriginalMessageId": MESSAGE_ID,
    "OriginalSentTimestamp": str(SENT),
    "ErrorCode": "ValidationError",
    "ErrorReason": "type: Input should be a valid string; data: Input should be an object",
}
FIRST = {"OriginalMessageId": "00000000-aaaa-4bbb-8ccc-dddddddddddd", "OriginalSentTimestamp": str(SENT - 1)}
OWN = [(f"own{number}", "abc") for number in range(10)]
FULL = dict(OWN[:6])
TYPED = {
    "priority": {"DataType": "Number", "StringValue": "5"},
    "digest": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
    "picture": {"DataType": "Binary.png", "BinaryValue": b"\x02"},
}


def texts(attributes: dict[str, str]) -> dict[str, Any]:
    """Return string attributes in SQS's format."""
    return {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}


def lambda_attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    """Convert attributes from SQS's format to Lambda's."""
    return {
        name: {"dataType": each["DataType"], "stringValue": each["StringValue"]}
        if "StringValue" in each
        else {"dataType": each["DataType"], "binaryValue": base64.b64encode(each["BinaryValue"]).decode()}
        for name, each in attributes.items()
    }


def test_the_function_counts_deliveries_as_the_queue_does(queues: Queues, aws: Emulated) -> None:
    aws.sqs.send_message(QueueUrl=aws.environment.queue_url, MessageBody=BODY)
    was_last = []
    while messages := aws.sqs.receive_message(
        QueueUrl=aws.environment.queue_url, VisibilityTimeout=0, MessageSystemAttributeNames=["All"]
    ).get("Messages"):
        was_last.append(queues.is_last_delivery(SQSRecord({"attributes": messages[0]["Attributes"]})))

    assert was_last == [False] * 9 + [True]
    assert queues.is_last_delivery(SQSRecord(sqs_record(BODY, MESSAGE_ID, 11)))


def test_backoff_changes_the_visibility_timeout_in_the_source_queue(queues: Queues, aws: Emulated) -> None:
    with failing() as calls:
        queues.delay(SQSRecord(sqs_record(BODY, MESSAGE_ID, 3)))

    hidden = {"QueueUrl": aws.environment.queue_url, "ReceiptHandle": f"receipt-{MESSAGE_ID}", "VisibilityTimeout": 120}
    assert calls == [("ChangeMessageVisibility", hidden)]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, texts(REASON)),
        (TYPED, TYPED | texts(REASON)),
        # Dead-lettered again: the original ID and time stay, the reason is new.
        (texts(FULL | FIRST | {"ErrorCode": "old", "ErrorReason": "old"}), texts(FULL | REASON | FIRST)),
        # SQS allows ten attributes: if the producer uses too many, the last attributes of the reason are omitted.
        *((texts(dict(OWN[:own])), texts(dict([*OWN[:own], *REASON.items()][:10]))) for own in range(6, 11)),
    ],
)
def test_a_dead_letter_keeps_body_and_attributes_and_gets_the_reason(
    queues: Queues, aws: Emulated, attributes: dict[str, Any], expected: dict[str, Any]
) -> None:
    queues.dead_letter(SQSRecord(sqs_record(BODY, **lambda_attributes(attributes))), validation_error(BODY))

    (message,) = aws.dead_letters()
    assert (message["Body"], message["MessageAttributes"]) == (BODY, expected)


def test_the_largest_message_fits_into_the_dead_letter_queue(queues: Queues, aws: Emulated) -> None:
    def largest(queue_url: str) -> int:
        answer = aws.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["MaximumMessageSize"])
        return int(answer["Attributes"]["MaximumMessageSize"])

    body = "x" * largest(aws.environment.queue_url)
    # Each character has four bytes in UTF-8.
    reason = client_error("AuthorizationHeaderMalformed", "🂡" * 1000)

    queues.dead_letter(SQSRecord(sqs_record(body)), reason)

    (message,) = aws.dead_letters()
    attributes = message["MessageAttributes"]
    assert attributes["ErrorReason"]["StringValue"] == describe(reason)
    # SQS limits the UTF-8 size of the body plus the attributes' names, types and values.
    added = sum(len(f"{name}{''.join(value.values())}".encode()) for name, value in attributes.items())
    assert len(body) + added <= largest(aws.environment.dlq_url)


@pytest.mark.parametrize(
    "attribute",
    [
        {},
        {"dataType": None},
        {"dataType": "String"},
        {"dataType": "Binary", "binaryValue": "abc"},
        {"dataType": "Binary", "binaryValue": None},
    ],
)
def test_unreadable_attributes_raise_their_own_error(queues: Queues, aws: Emulated, attribute: dict[str, Any]) -> None:
    with pytest.raises(UnreadableAttributesError):
        queues.dead_letter(SQSRecord(sqs_record(BODY, odd=attribute)), validation_error(BODY))

    assert not aws.dead_letters()
