"""Messages that the function sends to the dead-letter queue."""

import base64
import json
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.exceptions import ClientError

from processor.events import EXAMPLE
from processor.queues import Queues, UnreadableAttributesError
from tests.unit.emulated import Emulated, failing, sqs_record
from tests.unit.processor.test_errors import client_error, validation_error

BODY = json.dumps(EXAMPLE | {"type": 1, "data": []})


def test_the_body_is_unchanged(dead_letter_queue: Queues, aws: Emulated) -> None:
    dead_letter_queue.send(SQSRecord(sqs_record(BODY)), validation_error(BODY))

    assert [message["Body"] for message in aws.dead_letters()] == [BODY]


def test_attributes_name_the_reason_and_the_origin(dead_letter_queue: Queues, aws: Emulated) -> None:
    dead_letter_queue.send(SQSRecord(sqs_record(BODY)), validation_error(BODY))

    (message,) = aws.dead_letters()
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes == {
        "ErrorCode": "ValidationError",
        "ErrorReason": "type: Input should be a valid string; data: Input should be an object",
        "OriginalMessageId": "m-1",
        "OriginalQueueUrl": aws.environment.queue_url,
    }


def test_the_producers_attributes_are_kept(dead_letter_queue: Queues, aws: Emulated) -> None:
    record = sqs_record(
        BODY,
        trace={"dataType": "String", "stringValue": "abc"},
        priority={"dataType": "Number", "stringValue": "5"},
        digest={"dataType": "Binary", "binaryValue": base64.b64encode(b"\x00\x01").decode()},
    )

    dead_letter_queue.send(SQSRecord(record), validation_error(BODY))

    (message,) = aws.dead_letters()
    kept = message["MessageAttributes"]
    assert kept["trace"] == {"StringValue": "abc", "DataType": "String"}
    assert kept["priority"] == {"StringValue": "5", "DataType": "Number"}
    assert kept["digest"] == {"BinaryValue": b"\x00\x01", "DataType": "Binary"}


@pytest.mark.parametrize(
    "attribute",
    [{}, {"dataType": None}, {"dataType": "String"}, {"dataType": "Binary", "binaryValue": "abc"}],
)
def test_unreadable_attributes_raise_their_own_error(
    dead_letter_queue: Queues, aws: Emulated, attribute: dict[str, Any]
) -> None:
    record = SQSRecord(sqs_record(BODY, odd=attribute))

    with pytest.raises(UnreadableAttributesError):
        dead_letter_queue.send(record, validation_error(BODY))

    assert not aws.dead_letters()


def test_a_rejected_send_raises(dead_letter_queue: Queues, aws: Emulated) -> None:
    with failing(aws.sqs, "send_message", client_error("AccessDenied")), pytest.raises(ClientError):
        dead_letter_queue.send(SQSRecord(sqs_record(BODY)), validation_error(BODY))
