"""The ``local-send`` task: what it prints about a message."""

import json
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.exceptions import ClientError

from processor.errors import describe
from processor.events import EXAMPLE
from processor.queues import Queues
from processor.storage import MessageStore
from scripts import local_send
from tests.unit.emulated import MESSAGE_ID, Emulated, failing, sqs_record
from tests.unit.processor.test_errors import client_error, validation_error
from tools.testing.deployed import NotDeployedError

BODY = json.dumps(EXAMPLE)
RECORD = SQSRecord(sqs_record(BODY))


class Local:
    """A running local stack: the emulated AWS, and a log of two lines."""

    def __init__(self, aws: Emulated) -> None:
        self.aws = aws
        # These variables are outputs, too.
        self.outputs = {name.lower(): value for name, value in aws.environment.variables().items()}

    def client(self, service: str) -> Any:
        """Return a client for a service."""
        return getattr(self.aws, service)

    @property
    def session(self) -> Any:
        """What has the clients."""
        return self

    def read(self) -> list[str]:
        """Read the log."""
        return ["START", "END"]


@pytest.fixture(name="local")
def fixture_local(aws: Emulated, monkeypatch: pytest.MonkeyPatch) -> Local:
    """A local stack without a function or waiting times."""
    local = Local(aws)
    monkeypatch.setattr(local_send, "enter_local_stack", lambda task: f"the emulator of {task}")
    monkeypatch.setattr(local_send, "find_deployed", lambda: local)
    monkeypatch.setattr(local_send, "FunctionLog", lambda _address, since: local if since else None)
    monkeypatch.setattr(local_send, "DEADLINE_SECONDS", 0.01)
    monkeypatch.setattr(local_send, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(local_send, "LOG_SECONDS", 0)
    return local


def test_the_result_of_a_processed_message_is_shown(local: Local, store: MessageStore) -> None:
    store.store(RECORD)

    assert local_send.wait_for_result(local.session, local.outputs, MESSAGE_ID) == [
        f"Object:       s3://{local.outputs['bucket_name']}/messages/2026-03-01/{MESSAGE_ID}.json",
        f"Item:         {MESSAGE_ID} in the table {local.outputs['table_name']}, sent at 2026-03-01T12:00:00.123+00:00",
        f"Notification: published to {local.outputs['topic_arn']}",
    ]


def test_a_dead_letter_is_found_among_others_with_its_reason(local: Local, aws: Emulated, queues: Queues) -> None:
    for number in range(11):
        aws.sqs.send_message(QueueUrl=aws.environment.dlq_url, MessageBody=str(number))
    reason = validation_error("{}")
    queues.dead_letter(RECORD, reason)

    assert local_send.wait_for_result(local.session, local.outputs, MESSAGE_ID) == [
        f"Dead letter:  in {aws.environment.dlq_url}",
        f"Reason:       ValidationError: {describe(reason)}",
    ]


def test_a_message_that_was_received_too_often_is_found(local: Local, aws: Emulated) -> None:
    message = aws.sqs.send_message(QueueUrl=aws.environment.dlq_url, MessageBody=BODY)["MessageId"]

    assert local_send.wait_for_result(local.session, local.outputs, message)[1] == "Reason:       received too often: "


def test_a_message_without_its_notification_is_not_finished(local: Local, store: MessageStore) -> None:
    with failing(Publish=[client_error("Throttling")]), pytest.raises(ClientError):
        store.store(RECORD)

    with pytest.raises(SystemExit, match=f"{MESSAGE_ID} was not processed within"):
        local_send.wait_for_result(local.session, local.outputs, MESSAGE_ID)


@pytest.mark.parametrize(("argument", "body"), [("", BODY), ('{"type": 1}', '{"type": 1}')])
def test_the_message_is_sent(local: Local, monkeypatch: pytest.MonkeyPatch, argument: str, body: str) -> None:
    monkeypatch.setattr(local_send, "wait_for_result", lambda *_: [])

    local_send.send(argument)

    (message,) = local.client("sqs").receive_message(QueueUrl=local.outputs["queue_url"])["Messages"]
    assert message["Body"] == body


def test_the_result_is_printed_with_the_log(
    local: Local, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local_send, "wait_for_result", lambda *_: ["the result"])

    local_send.send()

    assert capsys.readouterr().out == (
        f"Sent to {local.outputs['queue_url']}:\n    {BODY}\n\nthe result\n\nThe function's log:\n    START\n    END\n"
    )


@pytest.mark.usefixtures("local")
def test_a_missing_stack_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_none() -> None:
        raise NotDeployedError("deploy first")

    monkeypatch.setattr(local_send, "find_deployed", find_none)

    with pytest.raises(SystemExit, match=r"^local-send: deploy first$"):
        local_send.send()
