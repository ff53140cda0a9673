"""The function as Lambda invokes it: batch item failures, backoff, dead letters, logs and metrics."""

import itertools
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, ParamValidationError

from processor.events import EXAMPLE
from processor.timing import STORING
from tests.unit.emulated import FUNCTION_NAME, MESSAGE_ID, SENT, Emulated, failing, sqs_record
from tests.unit.processor.test_errors import client_error
from tests.unit.processor.test_queues import lambda_attributes

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
DENIED = client_error("AccessDenied", "no s3:PutObject")
OFFLINE = EndpointConnectionError(endpoint_url="https://sqs.us-east-1.amazonaws.com")
LAST = 10
COUNTERS = ["MessagesProcessed", "MessagesDeadLettered", "MessagesReturned", "MessagesMisconfigured"]

# The function's log entries: level and message.
PROCESSED = "INFO Message processed"
RETURNED = "WARNING Message returned to its queue"
NOT_DELAYED = "WARNING Message not delayed"
DEAD_LETTERED = "WARNING Message dead-lettered"
NOT_DEAD_LETTERED = "WARNING Message not dead-lettered"
MISCONFIGURED = "CRITICAL Misconfigured: every message fails until the cause is fixed"


@dataclass
class Outcome:
    """Effects of processing a message.

    Attributes:
        logs: Level and text of each log entry, with the error code of a failure.
        counted: Metrics that count the message.
        stored: Whether the message is stored and announced.
        dead: Error codes of dead letters. A message that is neither stored nor dead-lettered is returned.
        hidden: Visibility timeouts that the function requests, in seconds.
    """

    logs: list[str]
    counted: list[str]
    stored: bool = False
    dead: list[str] = field(default_factory=list)
    hidden: list[int] = field(default_factory=list)


# Record, errors of AWS operations, and expected outcome.
CASES: dict[str, tuple[dict[str, Any], dict[str, Exception], Outcome]] = {
    "good": (sqs_record(GOOD, odd={}), {}, Outcome([PROCESSED], ["MessagesProcessed"], stored=True)),
    "malformed": (
        sqs_record(MALFORMED),
        {},
        Outcome([f"{DEAD_LETTERED}: ValidationError"], ["MessagesDeadLettered"], dead=["ValidationError"]),
    ),
    "throttled": (
        sqs_record(GOOD),
        {"PutObject": THROTTLED},
        Outcome([f"{RETURNED}: ThrottlingException"], ["MessagesReturned"], hidden=[30]),
    ),
    "misconfigured": (
        sqs_record(GOOD),
        {"PutItem": DENIED},
        Outcome([f"{MISCONFIGURED}: AccessDenied"], ["MessagesMisconfigured"], hidden=[30]),
    ),
    "not dead-lettered: refused": (
        sqs_record(MALFORMED),
        {"SendMessage": DENIED},
        Outcome(
            [f"{NOT_DEAD_LETTERED}: ValidationError", f"{MISCONFIGURED}: AccessDenied"],
            ["MessagesMisconfigured"],
            hidden=[30],
        ),
    ),
    "not dead-lettered: offline": (
        sqs_record(MALFORMED),
        {"SendMessage": OFFLINE},
        Outcome(
            [f"{NOT_DEAD_LETTERED}: ValidationError", f"{RETURNED}: EndpointConnectionError"],
            ["MessagesReturned"],
            hidden=[30],
        ),
    ),
    "not dead-lettered: unreadable attributes": (
        sqs_record(MALFORMED, odd={}),
        {},
        Outcome(
            [f"{NOT_DEAD_LETTERED}: ValidationError", f"{RETURNED}: UnreadableAttributesError"],
            ["MessagesReturned"],
            hidden=[30],
        ),
    ),
    "not delayed: refused": (
        sqs_record(GOOD),
        {"PutObject": THROTTLED, "ChangeMessageVisibility": DENIED},
        Outcome(
            [f"{RETURNED}: ThrottlingException", f"{NOT_DELAYED}: AccessDenied"],
            ["MessagesReturned"],
            hidden=[30],
        ),
    ),
    "not delayed: offline": (
        sqs_record(GOOD),
        {"PutObject": DENIED, "ChangeMessageVisibility": OFFLINE},
        Outcome(
            [f"{MISCONFIGURED}: AccessDenied", f"{NOT_DELAYED}: EndpointConnectionError"],
            ["MessagesMisconfigured"],
            hidden=[30],
        ),
    ),
    "before the last delivery": (
        sqs_record(GOOD, MESSAGE_ID, LAST - 1),
        {"PutObject": THROTTLED},
        Outcome([f"{RETURNED}: ThrottlingException"], ["MessagesReturned"], hidden=[3600]),
    ),
    "the last delivery": (
        sqs_record(GOOD, MESSAGE_ID, LAST),
        {"PutObject": THROTTLED},
        Outcome([f"{DEAD_LETTERED}: ThrottlingException"], ["MessagesDeadLettered"], dead=["ThrottlingException"]),
    ),
    # The message still counts as misconfigured, so that the same alarm fires.
    "the last delivery, misconfigured": (
        sqs_record(GOOD, MESSAGE_ID, LAST),
        {"PutObject": DENIED},
        Outcome(
            [f"{MISCONFIGURED}: AccessDenied", f"{DEAD_LETTERED}: AccessDenied"],
            ["MessagesDeadLettered", "MessagesMisconfigured"],
            dead=["AccessDenied"],
        ),
    ),
    # SQS dead-letters the message after its visibility timeout.
    "the last delivery, not dead-lettered": (
        sqs_record(GOOD, MESSAGE_ID, LAST),
        {"PutObject": THROTTLED, "SendMessage": OFFLINE},
        Outcome(
            [f"{NOT_DEAD_LETTERED}: ThrottlingException", f"{RETURNED}: EndpointConnectionError"],
            ["MessagesReturned"],
        ),
    ),
}

# Returns the IDs of the batch item failures, the log entries and the metrics.
Invoke = Callable[..., tuple[list[str], list[dict[str, Any]], dict[str, Any]]]


@pytest.fixture(name="invoke")
def fixture_invoke(handler: ModuleType, capsys: pytest.CaptureFixture[str]) -> Invoke:
    """A function that invokes the handler with records, and parses its output."""

    def invoke(*records: dict[str, Any]) -> tuple[list[str], list[dict[str, Any]], dict[str, Any]]:
        # The logger keeps the first import's stdout, but pytest replaces stdout for each test.
        handler.logger.registered_handler.stream = sys.stdout
        response = handler.lambda_handler({"Records": [*records]}, CONTEXT)
        *logs, metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [*response] == ["batchItemFailures"]
        return [failure["itemIdentifier"] for failure in response["batchItemFailures"]], logs, metrics

    return invoke


@pytest.mark.parametrize(("record", "errors", "expected"), CASES.values(), ids=CASES)
def test_the_outcome_of_a_message(
    invoke: Invoke, aws: Emulated, record: dict[str, Any], errors: dict[str, Exception], expected: Outcome
) -> None:
    with failing(**{operation: [error] for operation, error in errors.items()}) as calls:
        returned, logs, metrics = invoke(record)

    letters = aws.dead_letters()
    assert expected == Outcome(
        logs=[": ".join([f"{log['level']} {log['message']}", *filter(None, [log.get("error_code")])]) for log in logs],
        counted=[name for name in COUNTERS if sum(metrics[name])],
        stored=[item["announced"] for item in aws.items()] == [{"BOOL": True}],
        hidden=[each["VisibilityTimeout"] for operation, each in calls if operation == "ChangeMessageVisibility"],
        dead=[letter["MessageAttributes"]["ErrorCode"]["StringValue"] for letter in letters],
    )
    assert [letter["Body"] for letter in letters] == [record["body"]] * len(expected.dead)
    assert returned == ([] if expected.stored or expected.dead else [MESSAGE_ID])


def test_each_message_of_a_batch_is_handled_independently(invoke: Invoke, aws: Emulated) -> None:
    bodies = [GOOD, GOOD, GOOD, GOOD, MALFORMED, GOOD]
    ids = [f"{place}{MESSAGE_ID[1:]}" for place, _ in enumerate(bodies)]

    with failing(PutObject=[None, THROTTLED, DENIED, KeyError("oops")]):
        returned, _, metrics = invoke(*(sqs_record(body, id_) for body, id_ in zip(bodies, ids, strict=True)))

    assert returned == ids[1:4]
    assert {item["message_id"]["S"] for item in aws.items()} == {ids[0], ids[5]}
    assert {name: sum(metrics[name]) for name in COUNTERS} == {
        "MessagesProcessed": 2,
        "MessagesDeadLettered": 1,
        "MessagesReturned": 2,
        "MessagesMisconfigured": 1,
    }


def test_a_log_entry_names_the_message_the_request_and_the_stack(invoke: Invoke, aws: Emulated) -> None:
    _, (log,), _ = invoke(sqs_record(MALFORMED))

    expected = {
        "message_id": MESSAGE_ID,
        "reason": "type: String should match pattern '^[A-Za-z0-9._-]{1,128}$'",
        "environment": aws.environment.environment,
        "service": FUNCTION_NAME,
        "function_request_id": "request-1",
    }
    assert {name: log[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("error", "is_logged"),
    [(KeyError("oops"), True), (OFFLINE, True), (ParamValidationError(report="Bucket"), True), (DENIED, False)],
)
def test_an_error_that_names_no_call_is_logged_with_its_traceback(
    invoke: Invoke, error: Exception, is_logged: bool
) -> None:
    with failing(PutObject=[error]):
        _, logs, _ = invoke(sqs_record(GOOD), sqs_record(MALFORMED))

    places = [frame for log in logs for frame in log.get("traceback", []) if "in _store_payload" in frame]
    assert len(places) == is_logged
    assert "traceback" not in logs[-1]


def test_a_log_entry_says_how_long_each_call_for_the_message_took(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarters = itertools.count(0, 0.25)
    monkeypatch.setattr("processor.timing.time", SimpleNamespace(monotonic=lambda: next(quarters)))

    _, logs, _ = invoke(sqs_record(GOOD), sqs_record(json.dumps({})))

    assert [log["call_milliseconds"] for log in logs] == [dict.fromkeys(STORING, 250), {"SendMessage": 250}]


def test_metrics_are_printed_as_the_alarms_read_them(invoke: Invoke) -> None:
    *_, metrics = invoke(sqs_record(GOOD))

    assert metrics["service"] == FUNCTION_NAME
    assert metrics["_aws"]["CloudWatchMetrics"] == [
        {
            "Namespace": "EventPipeline",
            "Dimensions": [["service"]],
            "Metrics": [{"Name": name, "Unit": "Count"} for name in COUNTERS],
        }
    ]


def test_the_content_of_messages_is_never_logged(invoke: Invoke) -> None:
    secret = KeyError("confidential"), client_error("SlowDown", "confidential")
    refusal = client_error("InvalidMessageContents", "confidential", "SendMessage")

    with failing(PutObject=secret, SendMessage=[refusal]):
        printed = invoke(*map(sqs_record, (GOOD, GOOD, MALFORMED, json.dumps(EXAMPLE | {"data": "confidential"}))))

    assert "confidential" not in str(printed)


def test_a_redriven_dead_letter_keeps_its_identity(invoke: Invoke, aws: Emulated) -> None:
    with failing(Publish=[THROTTLED]):
        invoke(sqs_record(GOOD, MESSAGE_ID, LAST))
    (letter,) = aws.dead_letters()
    second = sqs_record(letter["Body"], f"0{MESSAGE_ID[1:]}", **lambda_attributes(letter["MessageAttributes"]))
    second["attributes"]["SentTimestamp"] = str(SENT + 86_400_000)
    with failing(Publish=[THROTTLED]):
        _, (log,), _ = invoke(second)

    invoke(second)

    assert [key for key, *_ in aws.objects()] == [f"messages/2026-03-01/{MESSAGE_ID}.json"]
    assert [item["message_id"]["S"] for item in aws.items()] == [MESSAGE_ID]
    assert len(aws.notifications()) == 1
    assert log["message_id"] == MESSAGE_ID
