"""The function as Lambda invokes it: batch item failures, dead letters, logs and metrics."""

import importlib
import json
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import UnexpectedBatchTypeError
from botocore.exceptions import ClientError, EndpointConnectionError

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

Invoke = Callable[..., list[str]]


@pytest.fixture(name="handler")
def fixture_handler(aws: Emulated) -> ModuleType:
    """The function's module, imported with the environment variables of a deployed stack."""
    assert aws
    return importlib.import_module("processor.handler")


@pytest.fixture(name="invoke")
def fixture_invoke(handler: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Invoke the function with bodies, as messages m-1, m-2 and so on, and return its batch item failures."""

    def invoke(*bodies: str) -> list[str]:
        records = [sqs_record(body, f"m-{number}") for number, body in enumerate(bodies, start=1)]
        # The logger keeps the standard output of the first import; each test captures another one.
        monkeypatch.setattr(handler.logger.registered_handler, "stream", sys.stdout)
        response = handler.lambda_handler({"Records": records}, CONTEXT)
        assert list(response) == ["batchItemFailures"]
        return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]

    return invoke


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


def test_good_messages_are_stored_and_deleted(invoke: Invoke, aws: Emulated) -> None:
    assert invoke(GOOD, GOOD) == []

    assert len(aws.objects()) == len(aws.items()) == len(aws.notifications()) == 2
    assert not aws.dead_letters()


def test_one_bad_message_of_ten_is_dead_lettered_and_the_others_are_processed(invoke: Invoke, aws: Emulated) -> None:
    assert invoke(*[GOOD] * 4, MALFORMED, *[GOOD] * 5) == []

    assert len(aws.items()) == 9
    assert [message["Body"] for message in aws.dead_letters()] == [MALFORMED]


def test_a_transient_failure_returns_only_its_message(invoke: Invoke, aws: Emulated, handler: ModuleType) -> None:
    with failing(handler.store.s3, "put_object", None, THROTTLED):
        assert invoke(GOOD, GOOD, GOOD) == ["m-2"]

    assert {item["message_id"]["S"] for item in aws.items()} == {"m-1", "m-3"}
    assert not aws.dead_letters()


def test_a_misconfiguration_returns_every_message(invoke: Invoke, aws: Emulated, handler: ModuleType) -> None:
    with failing(handler.store.dynamodb, "put_item", DENIED, DENIED):
        assert invoke(GOOD, GOOD) == ["m-1", "m-2"]

    assert not aws.dead_letters()


def test_a_batch_that_fails_completely_does_not_fail_the_function(invoke: Invoke, handler: ModuleType) -> None:
    with failing(handler.store.s3, "put_object", THROTTLED):
        assert invoke(GOOD) == ["m-1"]


def test_a_message_that_aws_can_never_accept_is_dead_lettered(
    invoke: Invoke, aws: Emulated, handler: ModuleType
) -> None:
    with failing(handler.store.s3, "put_object", client_error("EntityTooLarge", "too large")):
        assert invoke(GOOD) == []

    (message,) = aws.dead_letters()
    assert message["MessageAttributes"]["ErrorCode"]["StringValue"] == "EntityTooLarge"


@pytest.mark.parametrize("refusal", [THROTTLED, DENIED, OFFLINE, client_error("InvalidParameterValue")])
def test_a_message_that_cannot_be_dead_lettered_returns_to_its_queue(
    invoke: Invoke, aws: Emulated, handler: ModuleType, refusal: Exception
) -> None:
    with failing(handler.queues.sqs, "send_message", refusal):
        assert invoke(MALFORMED) == ["m-1"]

    assert not aws.dead_letters()


def test_a_programming_error_returns_the_message_and_logs_where(
    invoke: Invoke, handler: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with failing(handler.store.s3, "put_object", KeyError("oops")):
        assert invoke(GOOD) == ["m-1"]

    (log,) = Output(capsys).logs
    assert (log["level"], log["error_code"]) == ("WARNING", "KeyError")
    assert any("in store" in frame for frame in log["raised_at"])


def test_a_batch_that_runs_out_of_time_returns_the_messages_that_it_has_not_started(
    aws: Emulated, handler: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler.logger.registered_handler, "stream", sys.stdout)
    remaining = iter([1000, 900, 300, 199, 100])
    context = SimpleNamespace(**vars(CONTEXT) | {"get_remaining_time_in_millis": lambda: next(remaining)})
    records = [sqs_record(GOOD, f"m-{number}") for number in range(1, 5)]

    response = handler.lambda_handler({"Records": records}, context)

    assert [failure["itemIdentifier"] for failure in response["batchItemFailures"]] == ["m-3", "m-4"]
    assert len(aws.items()) == 2
    assert {log["error_code"] for log in Output(capsys).logs} == {"BatchOutOfTimeError"}


def test_only_a_poison_message_with_unreadable_attributes_is_returned(aws: Emulated, handler: ModuleType) -> None:
    odd = sqs_record(MALFORMED, "m-2", odd={"dataType": "Binary", "binaryValue": "abc"})
    records = [sqs_record(GOOD, "m-1"), odd, sqs_record(GOOD, "m-3")]

    response = handler.lambda_handler({"Records": records}, CONTEXT)

    assert [failure["itemIdentifier"] for failure in response["batchItemFailures"]] == ["m-2"]
    assert len(aws.items()) == 2


def test_a_misconfiguration_is_logged_as_critical_and_has_its_own_metric(
    invoke: Invoke, handler: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with failing(handler.store.s3, "put_object", client_error("NoSuchBucket", "no such bucket")):
        invoke(GOOD)

    output = Output(capsys)
    (log,) = output.logs
    assert (log["level"], log["error_code"], log["message_id"]) == ("CRITICAL", "NoSuchBucket", "m-1")
    assert "no such bucket" in log["reason"]
    assert output.metrics() == {"MessagesMisconfigured": 1}


def test_a_denied_send_to_the_dead_letter_queue_is_a_misconfiguration(
    invoke: Invoke, handler: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with failing(handler.queues.sqs, "send_message", DENIED):
        invoke(MALFORMED)

    output = Output(capsys)
    assert [log["level"] for log in output.logs] == ["WARNING", "CRITICAL"]
    assert output.metrics() == {"MessagesMisconfigured": 1}


def test_every_message_is_counted_once(invoke: Invoke, handler: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with failing(handler.store.s3, "put_object", None, None, THROTTLED, DENIED):
        invoke(GOOD, GOOD, GOOD, GOOD, MALFORMED)

    assert Output(capsys).metrics() == {
        "MessagesProcessed": 2,
        "MessagesReturned": 1,
        "MessagesMisconfigured": 1,
        "MessagesDeadLettered": 1,
    }


def test_metrics_have_the_namespace_and_dimension_of_the_alarm(
    invoke: Invoke, capsys: pytest.CaptureFixture[str]
) -> None:
    invoke(GOOD)

    (blob,) = Output(capsys).blobs
    (directive,) = blob["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == METRICS_NAMESPACE
    assert directive["Dimensions"] == [["service"]]
    assert blob["service"] == FUNCTION_NAME


def test_a_log_entry_names_the_request_and_the_environment(invoke: Invoke, capsys: pytest.CaptureFixture[str]) -> None:
    invoke(MALFORMED)

    (log,) = Output(capsys).logs
    assert (log["function_request_id"], log["environment"]) == ("request-1", "dev")
    assert log["service"] == FUNCTION_NAME


@pytest.mark.parametrize(
    "error", [None, THROTTLED, DENIED, KeyError("confidential"), client_error("ValidationException", "confidential")]
)
def test_the_content_of_messages_is_never_logged(
    invoke: Invoke, handler: ModuleType, capsys: pytest.CaptureFixture[str], error: Exception | None
) -> None:
    with (
        failing(handler.store.s3, "put_object", error),
        failing(handler.queues.sqs, "send_message", error if isinstance(error, ClientError) else None),
    ):
        invoke(GOOD, MALFORMED, json.dumps(EXAMPLE | {"data": "confidential"}))

    assert "confidential" not in Output(capsys).text


def test_an_event_that_is_not_a_batch_fails_the_function(handler: ModuleType) -> None:
    event: dict[str, Any] = {"detail": {}}

    with pytest.warns(UserWarning, match="No application metrics"), pytest.raises(UnexpectedBatchTypeError):
        handler.lambda_handler(event, CONTEXT)


def test_the_sdk_retries_calls(handler: ModuleType) -> None:
    for client in (handler.store.s3, handler.store.dynamodb, handler.store.sns, handler.queues.sqs):
        assert client.meta.config.retries["mode"] == "standard"
        assert client.meta.config.retries["total_max_attempts"] == 4
        assert (client.meta.config.connect_timeout, client.meta.config.read_timeout) == (2, 10)
