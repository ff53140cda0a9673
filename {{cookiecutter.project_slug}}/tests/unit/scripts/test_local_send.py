"""The ``local-send`` task: the message sent, and the printed result and log."""

import json
import time
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from processor.events import EXAMPLE
from processor.queues import Queues
from processor.storage import MessageStore
from scripts import local_send
from tests.unit.emulated import MESSAGE_ID, Emulated, sqs_record

BODY = json.dumps(EXAMPLE)
Capture = pytest.CaptureFixture[str]
RECORD = SQSRecord(sqs_record(BODY))


@pytest.fixture(name="outputs")
def fixture_outputs(aws: Emulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The outputs of a local stack. Waiting times are minimal, and the function's log has two lines."""
    # Most of the function's environment variables are also outputs.
    outputs = {name.lower(): value for name, value in aws.environment.variables().items()}
    outputs["function_name"] = "processor"
    (tmp_path / "outputs.json").write_text(json.dumps(outputs), encoding="utf-8")
    monkeypatch.setattr(local_send, "enter_local_stack", lambda _task: None)
    monkeypatch.setattr(local_send, "OUTPUTS_FILE", tmp_path / "outputs.json")
    monkeypatch.setattr(local_send, "DEADLINE_SECONDS", 0.01)
    monkeypatch.setattr(local_send, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(local_send, "LOG_SECONDS", 0)
    logs: Any = boto3.client("logs")
    stream = {"logGroupName": "/aws/lambda/processor", "logStreamName": "stream"}
    logs.create_log_group(logGroupName="/aws/lambda/processor")
    logs.create_log_stream(**stream)
    later = int(time.time() * 1000) + 1000
    logs.put_log_events(**stream, logEvents=[{"timestamp": later, "message": text} for text in ("START\n", "END")])
    return outputs


def test_the_result_of_a_processed_message(outputs: dict[str, str], store: MessageStore) -> None:
    store.store(RECORD)

    assert local_send.wait_for_result(outputs, MESSAGE_ID) == [
        f"Object:       s3://{outputs['bucket_name']}/messages/2026-03-01/{MESSAGE_ID}.json",
        f"Item:         {MESSAGE_ID} in the table {outputs['table_name']}, sent at 2026-03-01T12:00:00.123+00:00",
        f"Notification: published to {outputs['topic_arn']}",
    ]


def test_the_result_of_a_dead_letter_among_others(outputs: dict[str, str], aws: Emulated, queues: Queues) -> None:
    for number in range(11):
        aws.sqs.send_message(QueueUrl=outputs["dlq_url"], MessageBody=str(number))
    queues.dead_letter(RECORD, TimeoutError("too slow"))

    queue, reason = local_send.wait_for_result(outputs, MESSAGE_ID)
    assert queue == f"Dead letter:  in {outputs['dlq_url']}"
    assert reason.startswith("Reason:       TimeoutError: ")


def test_the_result_of_a_message_that_was_received_too_often(outputs: dict[str, str], aws: Emulated) -> None:
    message = aws.sqs.send_message(QueueUrl=outputs["dlq_url"], MessageBody=BODY)["MessageId"]

    assert (
        local_send.wait_for_result(outputs, message)[1] == "Reason:       moved by SQS after maxReceiveCount deliveries"
    )


def test_a_message_without_its_notification_is_not_processed(outputs: dict[str, str], aws: Emulated) -> None:
    item = {"message_id": {"S": MESSAGE_ID}, "announced": {"BOOL": False}}
    aws.dynamodb.put_item(TableName=outputs["table_name"], Item=item)

    assert not local_send.wait_for_result(outputs, MESSAGE_ID)


@pytest.mark.usefixtures("outputs")
def test_without_a_result_the_log_is_printed_before_the_task_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(local_send, "wait_for_result", lambda *_: [])

    with pytest.raises(SystemExit, match=r"not processed within 0.01 s; see the function's log above"):
        local_send.send()

    assert capsys.readouterr().out.endswith("\nNo result.\n\nThe function's log:\n    START\n    END\n")


@pytest.mark.parametrize("argument", ["", '{"type": 1}'])
def test_the_message_is_sent_and_its_result_printed_with_the_log(
    outputs: dict[str, str], aws: Emulated, monkeypatch: pytest.MonkeyPatch, capsys: Capture, argument: str
) -> None:
    monkeypatch.setattr(local_send, "wait_for_result", lambda *_: ["the result"])

    local_send.send(argument)

    (message,) = aws.sqs.receive_message(QueueUrl=outputs["queue_url"])["Messages"]
    body = argument or BODY
    assert message["Body"] == body
    assert capsys.readouterr().out == (
        f"Sent to {outputs['queue_url']}:\n    {body}\n\nthe result\n\nThe function's log:\n    START\n    END\n"
    )


@pytest.mark.usefixtures("outputs")
def test_the_log_is_followed_until_an_interrupt(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    sleep = mock.Mock(side_effect=[None, None, KeyboardInterrupt])
    monkeypatch.setattr(local_send, "wait_for_result", lambda *_: [])
    monkeypatch.setattr(time, "sleep", sleep)

    with pytest.raises(SystemExit):
        local_send.send(follow=True)

    printed = capsys.readouterr()
    assert printed.out.endswith("\nThe function's log:\n    START\n    END\n")
    assert (printed.err, sleep.call_count) == ("\nlocal-send: interrupted\n", 3)


@pytest.mark.usefixtures("outputs")
def test_missing_outputs_are_reported_with_the_task_that_writes_them(tmp_path: Path) -> None:
    (tmp_path / "outputs.json").unlink()

    with pytest.raises(SystemExit, match=r"^local-send: .*outputs\.json does not exist; run the task `local-up`$"):
        local_send.send()
