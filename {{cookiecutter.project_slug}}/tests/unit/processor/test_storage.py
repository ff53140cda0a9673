"""Processing one message, once and again."""

import json
from dataclasses import replace

import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.parser import ValidationError
from botocore.exceptions import ClientError, ReadTimeoutError

from processor.errors import ErrorClass, classify
from processor.events import EXAMPLE
from processor.storage import MessageStore
from tests.unit.emulated import MESSAGE_ID, SENT, Emulated, failing, sqs_record
from tests.unit.processor.test_errors import client_error

# Whitespace, numbers and characters must be stored unchanged.
BODY = json.dumps(EXAMPLE | {"data": {"total": 1.5, "näme": "☕"}}, ensure_ascii=False).replace("1.5", "\t1.50")
RECORD = SQSRecord(sqs_record(BODY))
OBJECT_KEY = f"messages/2026-03-01/{MESSAGE_ID}.json"
OTHER_ID = "00000000-aaaa-4bbb-8ccc-dddddddddddd"


def test_the_payload_is_stored_byte_for_byte(store: MessageStore, aws: Emulated) -> None:
    store.store(RECORD)

    assert aws.objects() == {OBJECT_KEY: BODY.encode()}
    assert aws.s3.head_object(Bucket=aws.environment.bucket_name, Key=OBJECT_KEY)["ContentType"] == "application/json"


def test_one_item_describes_the_message(store: MessageStore, aws: Emulated) -> None:
    store.store(RECORD)

    assert aws.items() == [
        {
            "message_id": {"S": MESSAGE_ID},
            "date": {"S": "2026-03-01"},
            "timestamp": {"S": "2026-03-01T12:00:00.123+00:00"},
            "type": {"S": EXAMPLE["type"]},
            "object_key": {"S": OBJECT_KEY},
            "announced": {"BOOL": True},
        }
    ]


def test_an_item_does_not_expire_unless_a_retention_is_set(store: MessageStore, aws: Emulated) -> None:
    store.store(RECORD)

    assert not aws.environment.data_retention_days
    assert "expires_at" not in aws.items()[0]


def test_an_item_expires_so_many_days_after_its_message_was_sent(store: MessageStore, aws: Emulated) -> None:
    replace(store, environment=replace(aws.environment, data_retention_days=30)).store(RECORD)

    # DynamoDB takes whole seconds.
    assert aws.items()[0]["expires_at"] == {"N": str(SENT // 1000 + 30 * 86_400)}


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
        "message_id": MESSAGE_ID,
        "date": "2026-03-01",
        "timestamp": "2026-03-01T12:00:00.123+00:00",
        "type": EXAMPLE["type"],
        "object_key": OBJECT_KEY,
    }
    assert notification["Subject"] == "Event received"
    assert notification["MessageAttributes"] == {"type": {"Type": "String", "Value": EXAMPLE["type"]}}


def test_a_message_delivered_twice_gives_one_object_one_item_and_one_notification(
    store: MessageStore, aws: Emulated
) -> None:
    store.store(RECORD)
    store.store(RECORD)

    assert len(aws.objects()) == len(aws.items()) == len(aws.notifications()) == 1


def test_a_message_delivered_again_writes_no_second_version(store: MessageStore, aws: Emulated) -> None:
    with failing(aws.dynamodb, "put_item", client_error("ThrottlingException")), pytest.raises(ClientError):
        store.store(RECORD)
    assert aws.versions() == 1

    store.store(RECORD)

    assert aws.versions() == 1
    assert len(aws.items()) == len(aws.notifications()) == 1


def test_a_write_of_the_same_object_at_the_same_time_ends_the_delivery(store: MessageStore, aws: Emulated) -> None:
    conflict = client_error("ConditionalRequestConflict")
    assert classify(conflict) is ErrorClass.TRANSIENT

    with failing(aws.s3, "put_object", conflict), pytest.raises(ClientError, match="ConditionalRequestConflict"):
        store.store(RECORD)

    assert not aws.items()


def test_a_message_that_was_sent_back_is_stored_under_its_first_id_and_date(store: MessageStore, aws: Emulated) -> None:
    first = {"OriginalMessageId": OTHER_ID, "OriginalSentTimestamp": "1772279999999"}
    attributes = {name: {"dataType": "String", "stringValue": value} for name, value in first.items()}

    store.store(SQSRecord(sqs_record(BODY, **attributes)))

    assert [*aws.objects()] == [f"messages/2026-02-28/{OTHER_ID}.json"]
    assert [(item["message_id"]["S"], item["timestamp"]["S"]) for item in aws.items()] == [
        (OTHER_ID, "2026-02-28T11:59:59.999+00:00")
    ]


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
    store.store(SQSRecord(sqs_record(BODY, OTHER_ID)))

    assert len(aws.objects()) == len(aws.items()) == len(aws.notifications()) == 2
