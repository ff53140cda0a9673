"""The pipeline from end to end: what becomes of a message that is sent to the deployed queue."""

import json
from datetime import UTC, datetime

import pytest

from processor.names import OBJECT_PREFIX
from tests.integration.pipeline import Pipeline

# Whitespace, escapes, order and further members must all be in the bucket as they were sent.
BODY = (
    '{ "type": "integration.test",\n  "data": {"name": "Zoë ☃ 𝄞", "escaped": "\\u00e9\\/", "n": 1.50e1},  "more": []}'
)
BAD_BODY = '{"type": "integration.test"}'
NO_JSON = "this is no JSON"
BATCH_SIZE = 10
BAD_IN_BATCH = 6

local_only = pytest.mark.local_only(reason="a fault can be injected into the local poller, not into Lambda")


@pytest.fixture(scope="module", name="message")
def fixture_message(pipeline: Pipeline) -> str:
    """A message that was sent and processed."""
    (message,) = pipeline.send(BODY)
    pipeline.wait_for(pipeline.item_of, message, "item")
    return message


def test_a_payload_is_stored_byte_for_byte(pipeline: Pipeline, message: str) -> None:
    assert pipeline.wait_for(pipeline.object_of, message, "object") == BODY.encode()


def test_an_item_is_found_by_time(pipeline: Pipeline, message: str) -> None:
    item = pipeline.wait_for(pipeline.item_of, message, "item")

    sent = datetime.fromisoformat(item["timestamp"])
    assert abs((datetime.now(tz=UTC) - sent).total_seconds()) < 600
    assert item == {
        "message_id": message,
        "type": "integration.test",
        "date": item["timestamp"][:10],
        "timestamp": item["timestamp"],
        "object_key": f"{OBJECT_PREFIX}{item['date']}/{message}.json",
    }


def test_a_message_is_announced_with_its_item(pipeline: Pipeline, message: str) -> None:
    notification = pipeline.wait_for(pipeline.notification_of, message, "notification")

    assert notification == {"subject": "Event received", **(pipeline.item_of(message) or {})}


@pytest.mark.parametrize(
    ("body", "reason"), [(BAD_BODY, "data: Field required"), (NO_JSON, "body: Invalid JSON")], ids=["data", "JSON"]
)
def test_a_malformed_message_is_dead_lettered_with_its_reason(pipeline: Pipeline, body: str, reason: str) -> None:
    (message,) = pipeline.send(body)

    dead_letter = pipeline.wait_for(pipeline.dead_letter_of, message, "dead letter")

    assert dead_letter["Body"] == body
    attributes = {name: value["StringValue"] for name, value in dead_letter["MessageAttributes"].items()}
    assert attributes["ErrorCode"] == "ValidationError"
    assert attributes["ErrorReason"].startswith(reason)
    assert attributes["OriginalMessageId"] == message
    assert attributes["OriginalQueueUrl"] == pipeline.deployed.outputs["queue_url"]
    assert pipeline.item_of(message) is None


def test_of_ten_messages_one_is_bad_and_nine_are_processed_once(pipeline: Pipeline) -> None:
    bodies = [json.dumps({"type": "integration.batch", "data": {"number": number}}) for number in range(BATCH_SIZE)]
    bodies[BAD_IN_BATCH] = BAD_BODY

    messages = pipeline.send(*bodies)

    bad = messages.pop(BAD_IN_BATCH)
    bodies.pop(BAD_IN_BATCH)
    pipeline.wait_for(pipeline.dead_letter_of, bad, "dead letter")
    for message, body in zip(messages, bodies, strict=True):
        assert pipeline.wait_for(pipeline.object_of, message, "object") == body.encode()
        assert pipeline.wait_for(pipeline.item_of, message, "item")
        assert pipeline.wait_for(pipeline.notification_of, message, "notification")
    pipeline.settle()
    assert {message: pipeline.announcements(message) for message in messages} == dict.fromkeys(messages, 1)
    assert {message: pipeline.burials(message) for message in messages} == dict.fromkeys(messages, 0)
    assert (pipeline.announcements(bad), pipeline.burials(bad)) == (0, 1)


@local_only
def test_a_transient_failure_is_retried_and_then_done(pipeline: Pipeline) -> None:
    (message,) = pipeline.send(BODY, InjectedFault="1")

    assert pipeline.wait_for(pipeline.object_of, message, "object") == BODY.encode()
    pipeline.wait_for(pipeline.notification_of, message, "notification")
    assert pipeline.deliveries(message).items() <= {1: True, 2: False}.items()
    assert pipeline.dead_letter_of(message) is None


@local_only
def test_a_message_that_fails_too_often_is_dead_lettered_by_its_queue(pipeline: Pipeline) -> None:
    deliveries = pipeline.deployed.settings.max_receive_count
    (message,) = pipeline.send(BODY, InjectedFault=str(deliveries + 1))

    dead_letter = pipeline.wait_for(pipeline.dead_letter_of, message, "dead letter")

    assert dead_letter["MessageId"] == message
    assert dead_letter["Body"] == BODY
    assert pipeline.deliveries(message).items() <= dict.fromkeys(range(1, deliveries + 1), True).items()
