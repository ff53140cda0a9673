"""Storing a message: once, repeatedly, and after a failure."""

import json
from dataclasses import replace
from unittest import mock

import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.parser import ValidationError
from botocore.exceptions import ReadTimeoutError

from processor.events import EXAMPLE
from processor.storage import MessageStore
from tests.unit.emulated import MESSAGE_ID, SENT, Emulated, failing, sqs_record

# Whitespace, number format and Unicode must be stored unchanged.
BODY = json.dumps(EXAMPLE | {"data": {"total": 1.5, "näme": "☕"}}, ensure_ascii=False).replace("1.5", "\t1.50")
RECORD = SQSRecord(sqs_record(BODY))
ITEM = {
    "message_id": MESSAGE_ID,
    "date": "2026-03-01",
    "timestamp": "2026-03-01T12:00:00.123+00:00",
    "type": EXAMPLE["type"],
    "object_key": f"messages/2026-03-01/{MESSAGE_ID}.json",
}
STORED = {name: {"S": value} for name, value in ITEM.items()} | {"announced": {"BOOL": True}}


def test_a_message_gives_one_object_one_item_and_one_notification(store: MessageStore, aws: Emulated) -> None:
    store.store(RECORD)
    store.store(RECORD)

    assert aws.objects() == [(ITEM["object_key"], "application/json", BODY.encode())]
    assert aws.items() == [STORED]
    (notification,) = aws.notifications()
    assert {name: notification[name] for name in ("Subject", "Message", "MessageAttributes")} == {
        "Subject": "Event received",
        "Message": json.dumps(ITEM, sort_keys=True),
        "MessageAttributes": {"type": {"Type": "String", "Value": EXAMPLE["type"]}},
    }


def test_an_item_expires_data_retention_days_after_sending(store: MessageStore, aws: Emulated) -> None:
    replace(store, environment=replace(aws.environment, data_retention_days=30)).store(RECORD)

    # DynamoDB's TTL is in whole seconds.
    assert aws.items() == [STORED | {"expires_at": {"N": str(SENT // 1000 + 30 * 86_400)}}]


def test_an_item_that_has_expired_is_not_written_again(store: MessageStore, aws: Emulated) -> None:
    def publish(**_: object) -> None:
        aws.dynamodb.delete_item(TableName=aws.environment.table_name, Key={"message_id": {"S": MESSAGE_ID}})

    with mock.patch.object(aws.sns, "publish", publish):
        store.store(RECORD)

    assert not aws.items()


def test_a_malformed_message_is_not_stored(store: MessageStore) -> None:
    with failing() as calls, pytest.raises(ValidationError):
        store.store(SQSRecord(sqs_record("{}")))

    assert not calls


@pytest.mark.parametrize(
    ("operation", "left", "notifications"),
    [("PutObject", (0, 0), 1), ("PutItem", (1, 0), 1), ("Publish", (1, 1), 1), ("UpdateItem", (1, 1), 2)],
)
def test_redelivery_completes_a_partial_store(
    store: MessageStore, aws: Emulated, operation: str, left: tuple[int, int], notifications: int
) -> None:
    with failing(**{operation: [ReadTimeoutError(endpoint_url="")]}), pytest.raises(ReadTimeoutError):
        store.store(RECORD)
    assert (len(aws.objects()), len(aws.items())) == left

    store.store(RECORD)

    assert len(aws.objects()) == 1
    assert aws.items() == [STORED]
    # The notification is repeated only if no earlier delivery has marked the item as announced.
    assert len(aws.notifications()) == notifications
