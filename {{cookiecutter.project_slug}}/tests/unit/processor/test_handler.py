"""The function as Lambda invokes it: batch item failures, delays, dead letters, logs and metrics."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import UnexpectedBatchTypeError
from botocore.exceptions import EndpointConnectionError

from processor.errors import error_code
from processor.events import EXAMPLE
from processor.names import METRICS_NAMESPACE
from tests.unit.emulated import FUNCTION_NAME, Emulated, failing, sqs_record
from tests.unit.processor.test_errors import client_error

GOOD = json.dumps(EXAMPLE | {"data": {"customer": "confidential"}})
MALFORMED = json.dumps(EXAMPLE | {"type": "confidential order"})
CONTEXT = SimpleNamespace(
    function_name=FUNCTION_NAME,
    memory_limit_in_mb=512,
    invoked_function_arn=f"arn:aws:lambda:us-east-1:123456789012:function:{FUNCTION_NAME}",
    aws_request_id="request-1",
    get_remaining_time_in_millis=lambda: 300_000,
)
THROTTLED = client_error("ThrottlingException")
DENIED = client_error("AccessDenied")
OFFLINE = EndpointConnectionError(endpoint_url="https://sqs.us-east-1.amazonaws.com")
LAST = 10
NOTHING = {"MessagesProcessed": 0, "MessagesDeadLettered": 0, "MessagesReturned": 0, "MessagesMisconfigured": 0}


@dataclass
class Function:
    """The function, invoked as the event source mapping does it: messages that it does not return are deleted."""

    handler: Any
    aws: Emulated

    def invoke(self, *bodies: str, deliveries: int = 1) -> list[int]:
        """Send messages, deliver them as one batch, and return the places of those that the function returns, from 1.

        Args:
            bodies: Their bodies.
            deliveries: How often they have been delivered then.
        """
        ids = [self.aws.send(body) for body in bodies]
        records = self.aws.receive()
        for record in records:
            record["attributes"]["ApproximateReceiveCount"] = str(deliveries)
        return [ids.index(message_id) + 1 for message_id in self.deliver(records)]

    def deliver(self, records: Sequence[dict[str, Any]], context: Any = CONTEXT) -> list[str]:
        """Deliver messages as one batch, and return the ids of those that the function returns."""
        # The logger keeps the standard output of the first import; each test captures another one.
        self.handler.logger.registered_handler.stream = sys.stdout
        response = self.handler.lambda_handler({"Records": records}, context)
        assert list(response) == ["batchItemFailures"]
        returned = [failure["itemIdentifier"] for failure in response["batchItemFailures"]]
        for record in records:
            if record["messageId"] not in returned:
                self.aws.delete(record)
        return returned


@pytest.fixture(name="function")
def fixture_function(handler: ModuleType, aws: Emulated, monkeypatch: pytest.MonkeyPatch) -> Function:
    """The function, ready to be invoked."""
    monkeypatch.setattr(handler.logger.registered_handler, "stream", sys.stdout)
    return Function(handler, aws)


class Output:
    """The function's log: structured entries, and metrics in the embedded metric format."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.text = capsys.readouterr().out
        entries = [json.loads(line) for line in self.text.splitlines()]
        self.logs = [entry for entry in entries if "level" in entry]
        self.blobs = [entry for entry in entries if "_aws" in entry]

    def metrics(self) -> dict[str, float]:
        """Sum the values of each metric."""
        return {name: sum(blob[name]) for blob in self.blobs for name in blob if name.startswith("Messages")}

    def entries(self) -> list[tuple[str, str]]:
        """Return level and text of each log entry."""
        return [(log["level"], log["message"]) for log in self.logs]


def reason(message: dict[str, Any]) -> tuple[str, str]:
    """Return why a message is a dead letter."""
    attributes = message["MessageAttributes"]
    return attributes["ErrorCode"]["StringValue"], attributes["ErrorReason"]["StringValue"]


# Success


def test_good_messages_are_stored_and_deleted(function: Function, aws: Emulated) -> None:
    assert function.invoke(GOOD, GOOD) == []

    assert len(aws.objects()) == len(aws.items()) == len(aws.notifications()) == 2
    assert not aws.dead_letters()
    assert aws.waiting() == 0


def test_one_bad_message_of_ten_is_dead_lettered_and_the_others_are_processed(
    function: Function, aws: Emulated
) -> None:
    assert function.invoke(*[GOOD] * 4, MALFORMED, *[GOOD] * 5) == []

    assert len(aws.items()) == 9
    assert [message["Body"] for message in aws.dead_letters()] == [MALFORMED]


# Failures that pass


def test_a_transient_failure_returns_only_its_message(function: Function, aws: Emulated) -> None:
    with failing(function.handler.store.s3, "put_object", None, THROTTLED):
        assert function.invoke(GOOD, GOOD, GOOD) == [2]

    assert len(aws.items()) == 2
    assert not aws.dead_letters()
    assert aws.waiting() == 1


def test_a_batch_that_fails_completely_does_not_fail_the_function(function: Function) -> None:
    with failing(function.handler.store.s3, "put_object", THROTTLED):
        assert function.invoke(GOOD) == [1]


def test_a_programming_error_returns_the_message_and_logs_where(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    with failing(function.handler.store.s3, "put_object", KeyError("oops")):
        assert function.invoke(GOOD) == [1]

    (log,) = Output(capsys).logs
    assert (log["level"], log["error_code"]) == ("WARNING", "KeyError")
    assert any("in store" in frame for frame in log["raised_at"])


def test_a_failure_that_is_known_is_logged_without_where(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    with failing(function.handler.store.s3, "put_object", THROTTLED, DENIED, OFFLINE):
        function.invoke(GOOD, GOOD, GOOD, MALFORMED)

    assert [log["message"] for log in Output(capsys).logs if "raised_at" in log] == []


# Failures that somebody must fix


def test_a_misconfiguration_returns_every_message(function: Function, aws: Emulated) -> None:
    with failing(function.handler.store.dynamodb, "put_item", DENIED, DENIED):
        assert function.invoke(GOOD, GOOD) == [1, 2]

    assert not aws.dead_letters()


def test_a_table_with_another_key_returns_every_message_and_dead_letters_none(
    function: Function, aws: Emulated, capsys: pytest.CaptureFixture[str]
) -> None:
    table = aws.environment.table_name
    aws.dynamodb.delete_table(TableName=table)
    aws.dynamodb.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "another_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "another_id", "AttributeType": "S"}],
    )

    assert function.invoke(*[GOOD] * 10) == [*range(1, 11)]

    assert not aws.dead_letters()
    assert aws.waiting() == 10
    output = Output(capsys)
    assert {(log["level"], log["error_code"]) for log in output.logs} == {("CRITICAL", "ValidationException")}
    assert output.metrics() == NOTHING | {"MessagesMisconfigured": 10}


def test_a_call_that_the_sdk_refuses_is_a_misconfiguration(
    function: Function, aws: Emulated, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = function.handler.store
    unset = replace(store, environment=replace(store.environment, bucket_name=""))
    monkeypatch.setattr(function.handler, "store", unset)

    assert function.invoke(GOOD) == [1]

    assert not aws.dead_letters()
    output = Output(capsys)
    (log,) = output.logs
    assert (log["level"], log["error_code"]) == ("CRITICAL", "ParamValidationError")
    assert any("in _store_payload" in frame for frame in log["raised_at"])
    assert output.metrics() == NOTHING | {"MessagesMisconfigured": 1}


def test_a_misconfiguration_is_logged_as_critical_with_its_cause(
    function: Function, aws: Emulated, capsys: pytest.CaptureFixture[str]
) -> None:
    message_id = aws.send(GOOD)
    with failing(function.handler.store.s3, "put_object", client_error("NoSuchBucket", "no such bucket")):
        function.deliver(aws.receive())

    output = Output(capsys)
    (log,) = output.logs
    assert (log["level"], log["error_code"], log["message_id"]) == ("CRITICAL", "NoSuchBucket", message_id)
    assert log["message"] == "Misconfigured: every message fails until this is fixed"
    assert "no such bucket" in log["reason"]
    assert output.metrics() == NOTHING | {"MessagesMisconfigured": 1}


# Delays


@pytest.mark.parametrize("error", [THROTTLED, DENIED, KeyError("oops")])
def test_a_message_that_is_returned_is_delayed_by_its_deliveries(function: Function, error: Exception) -> None:
    with (
        failing(function.handler.store.s3, "put_object", None, error),
        failing(function.handler.queues.sqs, "change_message_visibility") as delay,
    ):
        assert function.invoke(GOOD, GOOD, deliveries=3) == [2]

    assert [call.kwargs["VisibilityTimeout"] for call in delay.call_args_list] == [120]


@pytest.mark.parametrize("refusal", [THROTTLED, DENIED, OFFLINE])
def test_a_message_that_cannot_be_delayed_is_returned_all_the_same(
    function: Function, capsys: pytest.CaptureFixture[str], refusal: Exception
) -> None:
    with (
        failing(function.handler.store.s3, "put_object", THROTTLED),
        failing(function.handler.queues.sqs, "change_message_visibility", refusal),
    ):
        assert function.invoke(GOOD) == [1]

    output = Output(capsys)
    assert output.entries() == [("WARNING", "Message returned to its queue"), ("WARNING", "Message not delayed")]
    assert output.metrics() == NOTHING | {"MessagesReturned": 1}


def test_a_message_that_is_not_hidden_any_more_is_logged_without_where(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    with failing(function.handler.store.s3, "put_object", THROTTLED):
        function.deliver([sqs_record(GOOD)])

    logs = Output(capsys).logs
    assert [log["error_code"] for log in logs] == ["ThrottlingException", "ReceiptHandleIsInvalid"]
    assert not any("raised_at" in log for log in logs)


# Dead letters


@pytest.mark.parametrize("refusal", [THROTTLED, DENIED, OFFLINE, client_error("InvalidParameterValue")])
def test_a_message_that_cannot_be_dead_lettered_returns_to_its_queue(
    function: Function, aws: Emulated, refusal: Exception
) -> None:
    with (
        failing(function.handler.queues.sqs, "send_message", refusal),
        failing(function.handler.queues.sqs, "change_message_visibility") as delay,
    ):
        assert function.invoke(MALFORMED) == [1]

    assert not aws.dead_letters()
    delay.assert_called_once()


def test_only_a_poison_message_with_unreadable_attributes_is_returned(function: Function, aws: Emulated) -> None:
    for body in (GOOD, MALFORMED, GOOD):
        aws.send(body)
    records = aws.receive()
    records[1]["messageAttributes"]["odd"] = {"dataType": "Binary", "binaryValue": "abc"}

    assert function.deliver(records) == [records[1]["messageId"]]

    assert len(aws.items()) == 2


@pytest.mark.parametrize(
    ("error", "levels"), [(THROTTLED, ["WARNING"] * LAST), (DENIED, ["CRITICAL"] * LAST + ["WARNING"])]
)
def test_a_message_that_always_fails_is_dead_lettered_with_the_reason_after_its_last_delivery(
    function: Function, aws: Emulated, capsys: pytest.CaptureFixture[str], error: Exception, levels: list[str]
) -> None:
    aws.send(GOOD)
    returned = []

    with (
        failing(function.handler.store.s3, "put_object", *[error] * LAST),
        failing(function.handler.queues.sqs, "change_message_visibility") as delay,
    ):
        while records := aws.receive():
            returned.append(bool(function.deliver(records)))
            if returned[-1]:
                aws.reveal(records[0])

    assert returned == [True] * (LAST - 1) + [False]
    delays = [call.kwargs["VisibilityTimeout"] for call in delay.call_args_list]
    assert delays == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    (letter,) = aws.dead_letters()
    assert (letter["Body"], reason(letter)[0]) == (GOOD, error_code(error))
    assert aws.waiting() == 0
    assert [log["level"] for log in Output(capsys).logs] == levels


@pytest.mark.parametrize(
    ("error", "counter"), [(THROTTLED, {}), (DENIED, {"MessagesMisconfigured": 1}), (KeyError("oops"), {})]
)
def test_a_last_delivery_counts_as_dead_lettered_and_raises_the_same_alarm_as_before(
    function: Function, capsys: pytest.CaptureFixture[str], error: Exception, counter: dict[str, int]
) -> None:
    with failing(function.handler.store.s3, "put_object", error):
        assert function.invoke(GOOD, deliveries=LAST) == []

    assert Output(capsys).metrics() == NOTHING | {"MessagesDeadLettered": 1} | counter


@pytest.mark.parametrize("refusal", [THROTTLED, DENIED, OFFLINE])
def test_sqs_moves_a_message_that_cannot_be_dead_lettered_after_its_last_delivery(
    function: Function, aws: Emulated, refusal: Exception
) -> None:
    aws.send(GOOD)
    for _ in range(LAST):
        (record,) = aws.receive()
        aws.reveal(record)

    with (
        failing(function.handler.store.s3, "put_object", THROTTLED),
        failing(function.handler.queues.sqs, "send_message", refusal),
        failing(function.handler.queues.sqs, "change_message_visibility") as delay,
    ):
        assert function.deliver([record]) == [record["messageId"]]

    delay.assert_not_called()
    assert not aws.receive()
    (letter,) = aws.dead_letters()
    assert letter["MessageId"] == record["messageId"]


@pytest.mark.parametrize("part", ["put_object", "put_item", "publish"])
def test_a_dead_letter_that_is_sent_back_is_stored_under_its_first_identity(
    function: Function, aws: Emulated, part: str
) -> None:
    store = function.handler.store
    client = {"put_object": store.s3, "put_item": store.dynamodb, "publish": store.sns}[part]
    aws.send(GOOD, trace={"DataType": "String", "StringValue": "abc"})
    (first,) = aws.receive()
    first["attributes"] |= {"ApproximateReceiveCount": str(LAST), "SentTimestamp": "1772366400123"}
    with failing(client, part, THROTTLED):
        assert function.deliver([first]) == []
    (letter,) = aws.dead_letters()

    aws.send(letter["Body"], **letter["MessageAttributes"])
    (second,) = aws.receive()
    assert second["messageId"] != first["messageId"]
    assert function.deliver([second]) == []

    assert [*aws.objects()] == [f"messages/2026-03-01/{first['messageId']}.json"]
    (item,) = aws.items()
    assert item["message_id"]["S"] == first["messageId"]
    assert item["timestamp"]["S"] == "2026-03-01T12:00:00.123+00:00"
    assert aws.versions() == len(aws.notifications()) == 1


def test_a_message_is_logged_by_its_first_id(
    function: Function, aws: Emulated, capsys: pytest.CaptureFixture[str]
) -> None:
    function.invoke(MALFORMED)
    (letter,) = aws.dead_letters()
    aws.send(letter["Body"], **letter["MessageAttributes"])
    function.deliver(aws.receive())

    first, second = Output(capsys).logs
    assert first["message_id"] == second["message_id"]


# Logs and metrics


def test_a_refused_dead_letter_is_logged_with_both_errors(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    with failing(function.handler.queues.sqs, "send_message", DENIED):
        function.invoke(MALFORMED)

    output = Output(capsys)
    assert [(log["level"], log["message"], log["error_code"]) for log in output.logs] == [
        ("WARNING", "Message not dead-lettered", "ValidationError"),
        ("CRITICAL", "Misconfigured: every message fails until this is fixed", "AccessDenied"),
    ]
    assert output.metrics() == NOTHING | {"MessagesMisconfigured": 1}


def test_a_dead_letter_is_logged_with_its_reason(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    function.invoke(MALFORMED)

    output = Output(capsys)
    (log,) = output.logs
    assert (log["level"], log["message"], log["error_code"]) == ("WARNING", "Message dead-lettered", "ValidationError")
    assert log["reason"].startswith("type: ")
    assert output.metrics() == NOTHING | {"MessagesDeadLettered": 1}


def test_every_message_is_counted_once(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    with failing(function.handler.store.s3, "put_object", None, None, THROTTLED, DENIED):
        function.invoke(GOOD, GOOD, GOOD, GOOD, MALFORMED)

    assert Output(capsys).metrics() == {
        "MessagesProcessed": 2,
        "MessagesReturned": 1,
        "MessagesMisconfigured": 1,
        "MessagesDeadLettered": 1,
    }


def test_an_invocation_counts_zeros_too_so_that_alarms_have_data(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.invoke(GOOD)

    assert Output(capsys).metrics() == NOTHING | {"MessagesProcessed": 1}


def test_metrics_have_the_namespace_the_dimension_and_the_unit_of_the_alarms(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.invoke(GOOD)

    (blob,) = Output(capsys).blobs
    (directive,) = blob["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == METRICS_NAMESPACE
    assert directive["Dimensions"] == [["service"]]
    assert blob["service"] == FUNCTION_NAME
    assert {metric["Unit"] for metric in directive["Metrics"]} == {"Count"}


def test_a_log_entry_names_the_request_and_the_environment(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.invoke(MALFORMED)

    (log,) = Output(capsys).logs
    assert (log["function_request_id"], log["environment"]) == ("request-1", "dev")
    assert log["service"] == FUNCTION_NAME


@pytest.mark.parametrize("error", [None, client_error("SlowDown", "confidential"), KeyError("confidential")])
@pytest.mark.parametrize("refusal", [None, client_error("InvalidMessageContents", "confidential", "SendMessage")])
def test_the_content_of_messages_is_never_logged(
    function: Function, capsys: pytest.CaptureFixture[str], error: Exception | None, refusal: Exception | None
) -> None:
    with (
        failing(function.handler.store.s3, "put_object", error),
        failing(function.handler.queues.sqs, "send_message", refusal),
    ):
        function.invoke(GOOD, MALFORMED, json.dumps(EXAMPLE | {"data": "confidential"}))

    assert "confidential" not in Output(capsys).text


def test_an_event_that_is_not_a_batch_fails_the_function(handler: ModuleType) -> None:
    event: dict[str, Any] = {"detail": {}}

    with pytest.raises(UnexpectedBatchTypeError):
        handler.lambda_handler(event, CONTEXT)
