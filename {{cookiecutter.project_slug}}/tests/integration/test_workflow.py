"""End-to-end tests: the results of messages that are sent to the deployed queue.

Every processed message has the type `TYPE`, so that subscribers can filter out its notification.
"""

import json
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from processor.events import EXAMPLE
from tests.integration.pipeline import LIVE, Pipeline

TYPE = "integration.test"
# Whitespace, escapes, key order and unknown keys must be stored unchanged.
EVENT = {"more": []} | EXAMPLE | {"type": TYPE, "data": {"name": "Zoë ☃ 𝄞", "n": 1.5}}
BODY = json.dumps(EVENT, ensure_ascii=False).replace("ë", "\\u00eb").replace("1.5", "\t1.50e0")
MALFORMED = {
    json.dumps(EVENT | {"data": None}): "data: Input should be an object",
    "this is not JSON": "body: Invalid JSON",
}
BAD_BODY = next(iter(MALFORMED))
# Counts of a message's payloads, notifications and dead letters.
ONCE = [1, 1, 0]
DEAD_LETTERED = [0, 0, 1]
# The clocks of the test machine and SQS may differ.
CLOCK_SECONDS = 600
# The visibility timeout of failing messages must exceed the duration of a delivery.
RETRY_SECONDS = 3
# Deliveries before a failing message is dead-lettered.
DELIVERIES = 2

not_in_prod = pytest.mark.only_in("local", "dev", "staging", reason="in prod, only one good message is sent")
emulator_only = pytest.mark.only_in("local", reason="the test makes the function fail for all messages")


@pytest.fixture(scope="module", name="message")
def fixture_message(pipeline: Pipeline) -> str:
    """ID of a processed message."""
    return pipeline.send_first(BODY)


def test_payload_is_stored_byte_for_byte(pipeline: Pipeline, message: str) -> None:
    assert pipeline.wait_for(pipeline.payload_of, message) == BODY.encode()


def test_item_is_found_by_time(pipeline: Pipeline, message: str) -> None:
    item = pipeline.wait_for(pipeline.item_of, message)

    sent = datetime.fromisoformat(item["timestamp"])
    assert abs((sent - pipeline.sent[message]).total_seconds()) < CLOCK_SECONDS
    key = f"messages/{sent.date()}/{message}.json"
    expected = {"message_id": message, "type": TYPE, "date": str(sent.date()), "object_key": key}
    assert item == expected | {"timestamp": item["timestamp"]}


def test_notification_has_the_item_and_the_type_as_attribute(pipeline: Pipeline, message: str) -> None:
    (notification,) = pipeline.wait_for(pipeline.notifications_of, message)

    assert notification["Subject"] == "Event received"
    assert json.loads(notification["Message"]) == pipeline.wait_for(pipeline.item_of, message)
    assert notification["MessageAttributes"] == {"type": {"Type": "String", "Value": TYPE}}


@not_in_prod
def test_repeated_delivery_changes_nothing(pipeline: Pipeline, message: str) -> None:
    item = pipeline.wait_for(pipeline.item_of, message)

    answer = pipeline.deliver(message, BODY, datetime.fromisoformat(item["timestamp"]))

    assert answer == {"batchItemFailures": []}
    assert pipeline.counts_of(message) == [ONCE]
    assert pipeline.item_of(message) == item


@not_in_prod
@pytest.mark.parametrize(("body", "reason"), MALFORMED.items(), ids=["data", "JSON"])
def test_malformed_message_is_dead_lettered_with_the_reason(pipeline: Pipeline, body: str, reason: str) -> None:
    (message,) = pipeline.send(body)

    (letter,) = pipeline.wait_for(pipeline.letters_of, message)

    assert letter["Body"] == body
    attributes = texts_of(letter)
    assert (attributes["ErrorCode"], attributes["OriginalMessageId"]) == ("ValidationError", message)
    assert reason in attributes["ErrorReason"]
    assert pipeline.item_of(message) is None


@not_in_prod
def test_redriven_dead_letter_keeps_its_identity(pipeline: Pipeline) -> None:
    (message,) = pipeline.send(BAD_BODY)
    (letter,) = pipeline.wait_for(pipeline.letters_of, message)

    pipeline.redrive(letter, BODY)

    item = pipeline.wait_for(pipeline.item_of, message)
    assert pipeline.payload_of(message) == BODY.encode()
    milliseconds = round(datetime.fromisoformat(item["timestamp"]).timestamp() * 1000)
    assert str(milliseconds) == texts_of(letter)["OriginalSentTimestamp"]


@not_in_prod
def test_nine_of_ten_messages_are_processed_once_if_one_is_malformed(pipeline: Pipeline) -> None:
    bodies = [json.dumps(EVENT | {"data": {"number": number}}) for number in range(9)]
    *good, bad = pipeline.send(*bodies, BAD_BODY)

    for message in good:
        pipeline.wait_for(pipeline.notifications_of, message)
    pipeline.wait_for(pipeline.letters_of, bad)
    assert pipeline.counts_of(*good, bad) == [ONCE] * len(good) + [DEAD_LETTERED]
    assert [pipeline.payload_of(message) for message in good] == [body.encode() for body in bodies]


@emulator_only
def test_message_that_fails_is_retried_and_processed(pipeline: Pipeline) -> None:
    with failing(pipeline, pipeline.stack.settings.max_receive_count, BUCKET_NAME="no-bucket"):
        (message,) = pipeline.send(BODY)
        pipeline.wait_for(lambda _: failures_of(pipeline, message), message)

    pipeline.wait_for(pipeline.notifications_of, message)
    assert pipeline.counts_of(message) == [ONCE]
    assert pipeline.payload_of(message) == BODY.encode()


@emulator_only
def test_message_that_fails_too_often_is_dead_lettered_with_the_reason(pipeline: Pipeline) -> None:
    with failing(pipeline, DELIVERIES, BUCKET_NAME="no-bucket"):
        (message,) = pipeline.send(BODY)
        (letter,) = pipeline.wait_for(pipeline.letters_of, message)

    assert (letter["Body"], texts_of(letter).get("ErrorCode")) == (BODY, "NoSuchBucket")
    assert len(failures_of(pipeline, message)) == DELIVERIES


@emulator_only
def test_message_is_dead_lettered_by_sqs_if_the_function_crashes(pipeline: Pipeline) -> None:
    with failing(pipeline, 1, MAX_RECEIVE_COUNT="not a number"):
        (message,) = pipeline.send(BODY)
        (letter,) = pipeline.wait_for(pipeline.letters_of, message)

    assert (letter["MessageId"], letter["Body"], texts_of(letter)) == (message, BODY, {})


def texts_of(letter: dict[str, Any]) -> dict[str, str]:
    return {name: value["StringValue"] for name, value in letter.get("MessageAttributes", {}).items()}


def failures_of(pipeline: Pipeline, message: str) -> list[str]:
    """Return the function's CRITICAL log lines about a message."""
    group = f"/aws/lambda/{pipeline.stack.outputs['function_name']}"
    pages = pipeline.stack.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    lines = [event["message"] for page in pages for event in page["events"]]
    return [line for line in lines if message in line and '"CRITICAL"' in line]


@contextmanager
def failing(pipeline: Pipeline, deliveries: int, **variables: str) -> Generator[None]:
    """Point the alias to a failing version of the function, and restore everything on exit.

    Args:
        pipeline: The deployed pipeline.
        deliveries: Maximum receive count.
        variables: Environment variables that differ in that version.
    """
    client, sqs = pipeline.stack.client("lambda"), pipeline.stack.client("sqs")
    function = {"FunctionName": pipeline.stack.outputs["function_name"]}
    queue = {"QueueUrl": pipeline.stack.outputs["queue_url"]}
    attributes = sqs.get_queue_attributes(**queue, AttributeNames=["VisibilityTimeout", "RedrivePolicy"])["Attributes"]
    environment = client.get_function_configuration(**function)["Environment"]
    live = client.get_alias(**function, Name=LIVE)["FunctionVersion"]
    # With a wrong queue URL, the function cannot back off, so the queue's visibility timeout applies.
    changed = {
        "MAX_RECEIVE_COUNT": str(deliveries),
        "QUEUE_URL": f"{queue['QueueUrl']}-that-does-not-exist",
    } | variables
    with ExitStack() as end:
        end.callback(client.update_function_configuration, **function, Environment=environment)
        broken = {"Variables": environment["Variables"] | changed}
        client.update_function_configuration(**function, Environment=broken)
        version = client.publish_version(**function)["Version"]
        end.callback(client.delete_function, **function, Qualifier=version)
        # Trigger the cold start now, so that it does not use up the visibility timeout.
        pipeline.deliver("00000000-0000-0000-0000-000000000000", BODY, datetime.now(tz=UTC), version)
        end.callback(sqs.set_queue_attributes, **queue, Attributes=attributes)
        redrive = json.dumps(json.loads(attributes["RedrivePolicy"]) | {"maxReceiveCount": deliveries})
        sqs.set_queue_attributes(
            **queue, Attributes={"VisibilityTimeout": f"{RETRY_SECONDS}", "RedrivePolicy": redrive}
        )
        end.callback(client.update_alias, **function, Name=LIVE, FunctionVersion=live)
        client.update_alias(**function, Name=LIVE, FunctionVersion=version)
        yield
