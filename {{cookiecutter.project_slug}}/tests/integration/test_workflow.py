"""The pipeline from end to end: results of messages that are sent to the deployed queue."""

import json
from datetime import UTC, datetime

import pytest

from processor.events import EXAMPLE
from processor.names import OBJECT_PREFIX
from tests.integration.pipeline import START_SECONDS, Pipeline
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
CLOCK_SECONDS = 600
# Visibility timeouts: one delivery must end, or the function be repaired, before the next delivery.
RETRY_SECONDS = 3
REPAIR_SECONDS = 5

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


def test_a_payload_is_stored_byte_for_byte(pipeline: Pipeline, message: str) -> None:
    hold_payload(pipeline, message, BODY)


def test_an_item_can_be_queried_by_time(pipeline: Pipeline, message: str) -> None:
    item = pipeline.wait_for(pipeline.item_of, message, "item")

    table = pipeline.outputs["table_name"]
    age = abs((datetime.now(tz=UTC) - datetime.fromisoformat(item["timestamp"])).total_seconds())
    hold(table, f"{message} is new", found=age < CLOCK_SECONDS, promised=True)
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

    promised = {"subject": "Event received", **(pipeline.item_of(message) or {})}
    hold(pipeline.outputs["topic_arn"], f"notification of {message}", found=notification, promised=promised)


@pytest.mark.parametrize(
    ("body", "reason"),
    [(BAD_BODY, "data: Input should be an object"), (NOT_JSON, "body: Invalid JSON")],
    ids=["data", "JSON"],
)
def test_a_malformed_message_is_dead_lettered_with_the_reason(pipeline: Pipeline, body: str, reason: str) -> None:
    (message,) = pipeline.send(body)

    dead_letter = pipeline.wait_for(pipeline.dead_letter_of, message, "dead letter")

    queue = pipeline.outputs["dlq_url"]
    hold(queue, f"body of {message}", found=dead_letter["Body"], promised=body)
    attributes = {name: value["StringValue"] for name, value in dead_letter.get("MessageAttributes", {}).items()}
    promised = {
        "ErrorCode": "ValidationError",
        "ErrorReason": attributes.get("ErrorReason"),
        "OriginalMessageId": message,
        "OriginalQueueUrl": pipeline.outputs["queue_url"],
    }
    hold(queue, f"attributes of {message}", found=attributes, promised=promised)
    hold(queue, f"reason of {message}", found=attributes["ErrorReason"][: len(reason)], promised=reason)
    hold(queue, f"item of {message}", found=pipeline.item_of(message), promised=None)


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
    if pipeline.settings.max_receive_count == 1:
        pytest.skip("maxReceiveCount is 1: nothing is retried")
    with pipeline.failing(REPAIR_SECONDS):
        (message,) = pipeline.send(BODY)
        pipeline.wait_for(lambda sent: pipeline.failures_of(sent) or None, message, "failure")

    pipeline.wait_for(pipeline.object_of, message, "object", retries=REPAIR_SECONDS + START_SECONDS)
    hold_payload(pipeline, message, BODY)
    pipeline.wait_for(pipeline.notification_of, message, "notification")
    found = pipeline.dead_letter_of(message)
    hold(pipeline.outputs["dlq_url"], f"dead letter of {message}", found=found, promised=None)


@local_only
def test_sqs_dead_letters_a_message_that_fails_too_often(pipeline: Pipeline) -> None:
    deliveries = pipeline.settings.max_receive_count
    with pipeline.failing(RETRY_SECONDS):
        (message,) = pipeline.send(BODY)
        retries = RETRY_SECONDS * deliveries
        dead_letter = pipeline.wait_for(pipeline.dead_letter_of, message, "dead letter", retries=retries)

    hold(pipeline.outputs["queue_url"], "deliveries", found=len(pipeline.failures_of(message)), promised=deliveries)
    found = (dead_letter["MessageId"], dead_letter["Body"], dead_letter.get("MessageAttributes"))
    hold(pipeline.outputs["dlq_url"], f"dead letter of {message}", found=found, promised=(message, BODY, None))
    hold(pipeline.outputs["dlq_url"], f"item of {message}", found=pipeline.item_of(message), promised=None)
