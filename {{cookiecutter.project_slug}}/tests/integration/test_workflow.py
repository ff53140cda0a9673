"""The pipeline from end to end: results of messages that are sent to the deployed queue."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from processor.events import EXAMPLE
from processor.names import OBJECT_PREFIX
from tests.integration.failing import NO_BUCKET, failing
from tests.integration.pipeline import CLOCK_SECONDS, Pipeline
from tools.testing.comparison import hold

TYPE = "integration.test"
# Whitespace, escapes, order and other members must be stored unchanged.
BODY = (
    json.dumps(EXAMPLE | {"type": TYPE, "more": [], "data": {"name": "Zoë ☃ 𝄞", "n": 1.5}}, indent=1)
    .replace("\\u2603", "☃")
    .replace("1.5", "1.50e0")
)
BAD_BODY = json.dumps(EXAMPLE | {"data": None})
NOT_JSON = "this is not JSON"
BATCH_SIZE = 10
BAD_IN_BATCH = 6
# A delivery must end before the next one.
RETRY_SECONDS = 3
# Deliveries until a message is dead-lettered, if these tests make it fail.
DELIVERIES = 2
NOT_A_NUMBER = "?"

local_only = pytest.mark.local_only(reason="the test makes the function fail; it runs against the emulator only")


@pytest.fixture(scope="module", name="message")
def fixture_message(pipeline: Pipeline) -> str:
    """A message that was sent and processed."""
    (message,) = pipeline.send(BODY)
    pipeline.wait_for(pipeline.item_of, message, "item")
    return message


def hold_payload(pipeline: Pipeline, message: str, body: str) -> None:
    """Compare a message's payload with what was sent."""
    found = pipeline.wait_for(pipeline.object_of, message, "object")

    hold(pipeline.outputs["bucket_name"], f"payload of {message}", found=found, promised=body.encode())


def hold_dead_letter(
    pipeline: Pipeline, dead_letter: Mapping[str, Any], *, message: str, body: str, code: str, reason: str
) -> None:
    """Compare a dead letter with what was sent, and with the reason that it should have."""
    queue = pipeline.outputs["dlq_url"]
    hold(queue, f"body of {message}", found=dead_letter["Body"], promised=body)
    attributes = {name: value["StringValue"] for name, value in dead_letter.get("MessageAttributes", {}).items()}
    promised = {
        "ErrorCode": code,
        "ErrorReason": attributes.get("ErrorReason"),
        "OriginalMessageId": message,
        "OriginalSentTimestamp": attributes.get("OriginalSentTimestamp"),
    }
    hold(queue, f"attributes of {message}", found=attributes, promised=promised)
    hold(queue, f"{message} gives the reason", found=reason in attributes["ErrorReason"], promised=True)
    sent = datetime.fromtimestamp(int(attributes["OriginalSentTimestamp"]) / 1000, tz=UTC)
    hold_new(queue, message, sent)


def hold_new(resource: str, message: str, sent: datetime) -> None:
    """Check that a message was sent a short time ago, apart from differences between clocks."""
    age = abs((datetime.now(tz=UTC) - sent).total_seconds())
    hold(resource, f"{message} is new", found=age < CLOCK_SECONDS, promised=True)


def test_a_payload_is_stored_byte_for_byte(pipeline: Pipeline, message: str) -> None:
    hold_payload(pipeline, message, BODY)


def test_an_item_can_be_queried_by_time(pipeline: Pipeline, message: str) -> None:
    item = pipeline.wait_for(pipeline.item_of, message, "item")

    table = pipeline.outputs["table_name"]
    hold_new(table, message, datetime.fromisoformat(item["timestamp"]))
    promised = {
        "message_id": message,
        "type": TYPE,
        "date": item["timestamp"][:10],
        "timestamp": item["timestamp"],
        "object_key": f"{OBJECT_PREFIX}{item['date']}/{message}.json",
    }
    hold(table, f"item of {message}", found=item, promised=promised)


def test_a_notification_has_the_messages_item(pipeline: Pipeline, message: str) -> None:
    notification = pipeline.wait_for(pipeline.notification_of, message, "notification")

    item = pipeline.wait_for(pipeline.item_of, message, "item")
    promised = {"subject": "Event received", **item}
    hold(pipeline.outputs["topic_arn"], f"notification of {message}", found=notification, promised=promised)


def test_a_repeated_delivery_changes_nothing(pipeline: Pipeline, message: str) -> None:
    item = pipeline.wait_for(pipeline.item_of, message, "item")
    pipeline.wait_for(pipeline.notification_of, message, "notification")

    answer = pipeline.deliver_again(message, BODY)

    outputs = pipeline.outputs
    hold(outputs["function_name"], f"answer for {message}", found=answer, promised={"batchItemFailures": []})
    pipeline.settle()
    hold(outputs["topic_arn"], f"notifications of {message}", found=pipeline.notification_count(message), promised=1)
    hold(outputs["bucket_name"], f"versions of {message}", found=len(pipeline.versions_of(message)), promised=1)
    hold(outputs["table_name"], f"item of {message}", found=pipeline.item_of(message), promised=item)


@pytest.mark.parametrize(
    ("body", "reason"),
    [(BAD_BODY, "data: Input should be an object"), (NOT_JSON, "body: Invalid JSON")],
    ids=["data", "JSON"],
)
def test_a_malformed_message_is_dead_lettered_with_the_reason(pipeline: Pipeline, body: str, reason: str) -> None:
    (message,) = pipeline.send(body)

    dead_letter = pipeline.wait_for(pipeline.dead_letter_of, message, "dead letter")

    hold_dead_letter(pipeline, dead_letter, message=message, body=body, code="ValidationError", reason=reason)
    hold(pipeline.outputs["table_name"], f"item of {message}", found=pipeline.item_of(message), promised=None)


def test_a_dead_letter_that_is_repaired_and_sent_back_keeps_its_identity(pipeline: Pipeline) -> None:
    (message,) = pipeline.send(BAD_BODY)
    dead_letter = pipeline.wait_for(pipeline.dead_letter_of, message, "dead letter")

    pipeline.send_back(dead_letter, BODY)

    item = pipeline.wait_for(pipeline.item_of, message, "item")
    hold_payload(pipeline, message, BODY)
    found = round(datetime.fromisoformat(item["timestamp"]).timestamp() * 1000)
    promised = int(dead_letter["MessageAttributes"]["OriginalSentTimestamp"]["StringValue"])
    hold(pipeline.outputs["table_name"], f"time of {message}", found=found, promised=promised)


def test_nine_of_ten_messages_are_processed_once_if_one_is_bad(pipeline: Pipeline) -> None:
    bodies = [json.dumps(EXAMPLE | {"data": {"number": number}}) for number in range(BATCH_SIZE)]
    bodies[BAD_IN_BATCH] = BAD_BODY

    messages = pipeline.send(*bodies)

    bad = messages.pop(BAD_IN_BATCH)
    bodies.pop(BAD_IN_BATCH)
    pipeline.wait_for(pipeline.dead_letter_of, bad, "dead letter")
    for message, body in zip(messages, bodies, strict=True):
        hold_payload(pipeline, message, body)
        pipeline.wait_for(pipeline.item_of, message, "item")
        pipeline.wait_for(pipeline.notification_of, message, "notification")
    pipeline.settle()
    outputs = pipeline.outputs
    for message in messages:
        hold(
            outputs["topic_arn"], f"notifications of {message}", found=pipeline.notification_count(message), promised=1
        )
        hold(outputs["dlq_url"], f"dead letters of {message}", found=pipeline.dead_letter_count(message), promised=0)
        hold(outputs["bucket_name"], f"versions of {message}", found=len(pipeline.versions_of(message)), promised=1)
    hold(outputs["topic_arn"], f"notifications of {bad}", found=pipeline.notification_count(bad), promised=0)
    hold(outputs["dlq_url"], f"dead letters of {bad}", found=pipeline.dead_letter_count(bad), promised=1)


@pytest.mark.local_only(reason="AWS only estimates how many messages are in a queue, and others may send some")
def test_processed_messages_are_deleted_from_the_queue(pipeline: Pipeline) -> None:
    good, bad = pipeline.send(BODY, BAD_BODY)
    pipeline.wait_for(pipeline.notification_of, good, "notification")
    pipeline.wait_for(pipeline.dead_letter_of, bad, "dead letter")

    pipeline.wait_for(lambda _: None if pipeline.waiting() else True, good, "deletion from the queue")


@local_only
def test_a_message_that_fails_is_retried_and_processed(pipeline: Pipeline) -> None:
    with failing(pipeline, RETRY_SECONDS, pipeline.settings.max_receive_count, BUCKET_NAME=NO_BUCKET) as failures:
        (message,) = pipeline.send(BODY)
        pipeline.wait_for(lambda sent: failures.of(sent) or None, message, "failure")

    pipeline.wait_for(pipeline.object_of, message, "object", retries=RETRY_SECONDS)
    hold_payload(pipeline, message, BODY)
    pipeline.wait_for(pipeline.notification_of, message, "notification")
    pipeline.settle()
    found = pipeline.dead_letter_count(message)
    hold(pipeline.outputs["dlq_url"], f"dead letters of {message}", found=found, promised=0)


@local_only
def test_a_message_that_fails_too_often_is_dead_lettered_with_the_reason(pipeline: Pipeline) -> None:
    with failing(pipeline, RETRY_SECONDS, DELIVERIES, BUCKET_NAME=NO_BUCKET) as failures:
        (message,) = pipeline.send(BODY)
        retries = RETRY_SECONDS * DELIVERIES
        dead_letter = pipeline.wait_for(pipeline.dead_letter_of, message, "dead letter", retries=retries)

    hold_dead_letter(pipeline, dead_letter, message=message, body=BODY, code="NoSuchBucket", reason="NoSuchBucket")
    hold(pipeline.outputs["queue_url"], "failed deliveries", found=len(failures.of(message)), promised=DELIVERIES)


@local_only
def test_sqs_dead_letters_a_message_if_the_function_crashes(pipeline: Pipeline) -> None:
    with failing(pipeline, RETRY_SECONDS, 1, DATA_RETENTION_DAYS=NOT_A_NUMBER):
        (message,) = pipeline.send(BODY)
        dead_letter = pipeline.wait_for(pipeline.dead_letter_of, message, "dead letter", retries=RETRY_SECONDS)

    found = (dead_letter["MessageId"], dead_letter["Body"], dead_letter.get("MessageAttributes"))
    hold(pipeline.outputs["dlq_url"], f"dead letter of {message}", found=found, promised=(message, BODY, None))
