"""Processing one message, once and again."""

import json

import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.parser import ValidationError
from botocore.exceptions import ClientError, ReadTimeoutError

from processor.events import EXAMPLE
from processor.storage import MessageStore
from tests.unit.emulated import Emulated, failing, sqs_record
from tests.unit.processor.test_errors import client_error

# Whitespace, numbers and characters must be stored unchanged.
BODY = json.dumps(EXAMPLE | {"data": {"total": 1.5, "näme": "☕"}}, ensure_ascii=False).replace("1.5", "\t1.50")
RECORD = SQSRecord(sqs_record(BODY))
OBJECT_KEY = "messages/2026-03-01/m-1.json"


def test_the_payload_is_stored_byte_for_byte(store: MessageStore, aws: Emulated) -> None:
    store.store(RECORD)

    assert aws.objects() == {OBJECT_KEY: BODY.encode()}
    assert aws.s3.head_object(Bucket=aws.environment.bucket_name, Key=OBJECT_KEY)["ContentType"] == "application/json"


def test_one_item_describes_the_message(store: MessageStore, aws: Emulated) -> None:
    store.store(RECORD)

    assert aws.items() == [
        {
            "message_id": {"S": "m-1"},
            "date": {"S": "2026-03-01"},
            "timestamp": {"S": "2026-03-01T12:00:00.123+00:00"},
            "type": {"S": EXAMPLE["type"]},
            "object_key": {"S": OBJECT_KEY},
            "announced": {"BOOL": True},
        }
    ]


@pytest.mark.parametrize(
    ("begin", "end", "found"),
    [
        ("2026-03-01T12:00:00.000+00:00", "2026-03-01T12:00:01.000+00:00", 1),
        ("2026-03-01T12:00:01.000+00:00", "2026-03-01T13:00:00.000+00:00", 0),
    ],
)
def test_the_item_can_be_queried_by_a_range_of_times(
    store: MessageStore, aws: Emulated, begin: str, end: str, found: int
) -> None:
    store.store(RECORD)

    answer = aws.dynamodb.query(
        TableName=aws.environment.table_name,
        IndexName="timestamp-index",
        KeyConditionExpression="#date = :date AND #timestamp BETWEEN :begin AND :end",
        ExpressionAttributeNames={"#date": "date", "#timestamp": "timestamp"},
        ExpressionAttributeValues={":date": {"S": "2026-03-01"}, ":begin": {"S": begin}, ":end": {"S": end}},
    )

    assert answer["Count"] == found


def test_the_notification_has_the_item_and_not_the_payload(store: MessageStore, aws: Emulated) -> None:
    store.store(RECORD)

    (notification,) = aws.notifications()
    assert json.loads(notification["Message"]) == {
        "message_id": "m-1",
        "date": "2026-03-01",
        "timestamp": "2026-03-01T12:00:00.123+00:00",
        "type": EXAMPLE["type"],
        "object_key": OBJECT_KEY,
    }
    assert notification["MessageAttributes"] == {"type": {"Type": "String", "Value": EXAMPLE["type"]}}


def test_a_message_delivered_twice_gives_one_object_one_item_and_one_notification(
    store: MessageStore, aws: Emulated
) -> None:
    store.store(RECORD)
    store.store(RECORD)

    assert len(aws.objects()) == len(aws.items()) == len(aws.notifications()) == 1


def test_a_malformed_message_is_not_stored(store: MessageStore, aws: Emulated) -> None:
    with pytest.raises(ValidationError):
        store.store(SQSRecord(sqs_record("{}")))

    assert not aws.objects()
    assert not aws.items()
    assert not aws.notifications()


def test_the_next_delivery_sends_a_notification_that_failed(store: MessageStore, aws: Emulated) -> None:
    with failing(aws.sns, "publish", client_error("Throttling")), pytest.raises(ClientError, match="Throttling"):
        store.store(RECORD)
    assert not aws.notifications()

    store.store(RECORD)

    assert len(aws.notifications()) == len(aws.items()) == 1


def test_a_notification_of_unknown_outcome_is_repeated(store: MessageStore, aws: Emulated) -> None:
    time_out = ReadTimeoutError(endpoint_url="https://dynamodb.us-east-1.amazonaws.com")
    with failing(aws.dynamodb, "update_item", time_out), pytest.raises(ReadTimeoutError):
        store.store(RECORD)

    store.store(RECORD)

    assert len(aws.notifications()) == 2
    assert len(aws.items()) == 1


@pytest.mark.parametrize("operation", ["put_object", "put_item"])
def test_a_failed_step_ends_the_delivery_without_a_notification(
    store: MessageStore, aws: Emulated, operation: str
) -> None:
    client = aws.s3 if operation == "put_object" else aws.dynamodb
    with failing(client, operation, client_error("SlowDown")), pytest.raises(ClientError, match="SlowDown"):
        store.store(RECORD)

    assert not aws.items()
    assert not aws.notifications()


def test_two_messages_with_the_same_content_give_two_items(store: MessageStore, aws: Emulated) -> None:
    store.store(RECORD)
    store.store(SQSRecord(sqs_record(BODY, message_id="m-2")))

    assert len(aws.objects()) == len(aws.items()) == len(aws.notifications()) == 2
