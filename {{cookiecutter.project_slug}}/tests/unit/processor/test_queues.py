"""Messages that failed: how long they are hidden, and what of them the dead-letter queue gets."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.exceptions import ClientError

from processor.errors import ERROR_CLASSES, describe
from processor.events import EXAMPLE
from processor.queues import Queues, UnreadableAttributesError
from tests.unit.emulated import MESSAGE_ID, SENT, Emulated, failing, sqs_record
from tests.unit.processor.test_errors import client_error, validation_error

BODY = json.dumps(EXAMPLE | {"type": 1, "data": []})
REASON = {
    "OriginalMessageId": MESSAGE_ID,
    "OriginalSentTimestamp": str(SENT),
    "ErrorCode": "ValidationError",
    "ErrorReason": "type: Input should be a valid string; data: Input should be an object",
}
TEXT = {"dataType": "String", "stringValue": "abc"}


def delivered(deliveries: int, record: dict[str, Any]) -> SQSRecord:
    """Return a message that is delivered for the given time."""
    return SQSRecord(record | {"attributes": record["attributes"] | {"ApproximateReceiveCount": str(deliveries)}})


def texts(message: dict[str, Any]) -> dict[str, str]:
    """Return the text attributes of a dead letter."""
    return {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}


def size(message: dict[str, Any]) -> int:
    """Return a message's size as SQS counts it: body, and names, types and values of the attributes, in UTF-8."""
    attributes = message["MessageAttributes"].items()
    return len(message["Body"].encode()) + sum(
        len(f"{name}{value['DataType']}{value['StringValue']}".encode()) for name, value in attributes
    )


def largest(aws: Emulated, queue_url: str) -> int:
    """Return the size of the largest message that a queue accepts."""
    answer = aws.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["MaximumMessageSize"])
    return int(answer["Attributes"]["MaximumMessageSize"])


@pytest.mark.parametrize(
    ("deliveries", "seconds"), [(1, 30), (2, 60), (3, 120), (7, 1920), (8, 3600), (9, 3600), (1000, 3600)]
)
def test_a_message_is_hidden_for_twice_as_long_after_each_delivery_up_to_an_hour(
    queues: Queues, aws: Emulated, deliveries: int, seconds: int
) -> None:
    aws.send(BODY)
    (record,) = aws.receive()

    with failing(aws.sqs, "change_message_visibility") as change:
        queues.delay(delivered(deliveries, record))

    change.assert_called_once_with(
        QueueUrl=aws.environment.queue_url, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=seconds
    )


def test_a_message_that_is_delayed_is_not_received(queues: Queues, aws: Emulated) -> None:
    aws.send(BODY)
    (record,) = aws.receive()
    aws.reveal(record)

    queues.delay(SQSRecord(record))

    assert not aws.receive()
    assert aws.waiting() == 1


def test_a_refused_delay_raises(queues: Queues) -> None:
    with pytest.raises(ClientError, match="ReceiptHandleIsInvalid"):
        queues.delay(SQSRecord(sqs_record(BODY)))


@pytest.mark.parametrize(("deliveries", "is_last"), [(1, False), (6, False), (7, True), (8, True)])
def test_the_last_delivery_is_the_one_after_which_sqs_moves_the_message(
    queues: Queues, aws: Emulated, deliveries: int, is_last: bool
) -> None:
    allowed = replace(queues, environment=replace(aws.environment, max_receive_count=7))

    assert allowed.is_last_delivery(delivered(deliveries, sqs_record(BODY))) is is_last


def test_the_function_counts_deliveries_as_the_queue_does(queues: Queues, aws: Emulated) -> None:
    aws.send(BODY)
    was_last = []
    while records := aws.receive():
        (record,) = records
        was_last.append(queues.is_last_delivery(SQSRecord(record)))
        aws.reveal(record)

    assert was_last == [False] * 9 + [True]


def test_the_body_is_unchanged(queues: Queues, aws: Emulated) -> None:
    queues.dead_letter(SQSRecord(sqs_record(BODY)), validation_error(BODY))

    assert [message["Body"] for message in aws.dead_letters()] == [BODY]


def test_attributes_name_the_reason_and_the_origin(queues: Queues, aws: Emulated) -> None:
    queues.dead_letter(SQSRecord(sqs_record(BODY)), validation_error(BODY))

    (message,) = aws.dead_letters()
    assert texts(message) == REASON


def test_a_message_that_is_dead_lettered_again_keeps_its_origin_and_gets_the_new_reason(
    queues: Queues, aws: Emulated
) -> None:
    first = {
        "OriginalMessageId": "00000000-aaaa-4bbb-8ccc-dddddddddddd",
        "OriginalSentTimestamp": str(SENT - 1),
    }
    kept = {name: TEXT | {"stringValue": value} for name, value in first.items()}

    queues.dead_letter(SQSRecord(sqs_record(BODY, ErrorCode=TEXT, ErrorReason=TEXT, **kept)), validation_error(BODY))

    (message,) = aws.dead_letters()
    assert texts(message) == REASON | first


def test_the_producers_attributes_are_kept(queues: Queues, aws: Emulated) -> None:
    record = sqs_record(
        BODY,
        trace=TEXT,
        priority={"dataType": "Number", "stringValue": "5"},
        digest={"dataType": "Binary", "binaryValue": base64.b64encode(b"\x00\x01").decode()},
        picture={"dataType": "Binary.png", "binaryValue": base64.b64encode(b"\x02").decode()},
    )

    queues.dead_letter(SQSRecord(record), validation_error(BODY))

    (message,) = aws.dead_letters()
    kept = message["MessageAttributes"]
    assert kept["trace"] == {"StringValue": "abc", "DataType": "String"}
    assert kept["priority"] == {"StringValue": "5", "DataType": "Number"}
    assert kept["digest"] == {"BinaryValue": b"\x00\x01", "DataType": "Binary"}
    assert kept["picture"] == {"BinaryValue": b"\x02", "DataType": "Binary.png"}


@pytest.mark.parametrize("own", [6, 7, 8, 9, 10])
def test_the_reason_gets_the_places_that_the_producers_attributes_leave(
    queues: Queues, aws: Emulated, own: int
) -> None:
    attributes = {f"own{number}": TEXT for number in range(own)}

    queues.dead_letter(SQSRecord(sqs_record(BODY, **attributes)), validation_error(BODY))

    (message,) = aws.dead_letters()
    assert [*texts(message)] == [*attributes, *[*REASON][: 10 - own]]


def test_the_largest_message_fits_into_the_dead_letter_queue_with_the_longest_reason(
    queues: Queues, aws: Emulated
) -> None:
    attributes = {f"own{number}": TEXT for number in range(6)}
    taken = sum(len(f"{name}{value['dataType']}{value['stringValue']}") for name, value in attributes.items())
    # Two bytes each.
    body = "é" * ((largest(aws, aws.environment.queue_url) - taken) // 2)
    # Four bytes each.
    reason = client_error(max(ERROR_CLASSES, key=len), "🂡" * 1000)

    queues.dead_letter(SQSRecord(sqs_record(body, **attributes)), reason)

    (message,) = aws.dead_letters()
    assert len(message["MessageAttributes"]) == 10
    assert texts(message)["ErrorReason"] == describe(reason)
    assert largest(aws, aws.environment.queue_url) < size(message) <= largest(aws, aws.environment.dlq_url)


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
    record = SQSRecord(sqs_record(BODY, odd=attribute))

    with pytest.raises(UnreadableAttributesError):
        queues.dead_letter(record, validation_error(BODY))

    assert not aws.dead_letters()


def test_a_rejected_send_raises(queues: Queues, aws: Emulated) -> None:
    with failing(aws.sqs, "send_message", client_error("AccessDenied")), pytest.raises(ClientError):
        queues.dead_letter(SQSRecord(sqs_record(BODY)), validation_error(BODY))
