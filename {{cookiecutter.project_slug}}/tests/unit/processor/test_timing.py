"""Worst-case duration of an invocation, on a fake clock that each call advances by `CALL_SECONDS`."""

import io
import itertools
from contextlib import redirect_stdout
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from botocore.client import BaseClient
from botocore.hooks import HierarchicalEmitter

from infrastructure.settings import MIN_TIMEOUT_SECONDS
from processor.timing import CALL_SECONDS, CALLS, MESSAGE_SECONDS, STORING, CallTimer, retry_delay_seconds
from tests.unit.emulated import MESSAGE_ID, sqs_record
from tests.unit.processor.test_errors import client_error
from tests.unit.processor.test_handler import CONTEXT, GOOD, LAST, MALFORMED


def invoke(
    handler: ModuleType, seconds: float, *refused: str, body: str = GOOD, deliveries: int = 1, messages: int = 1
) -> list[str]:
    """Invoke the function ``seconds`` before its timeout, fail ``refused`` operations, and return called operations."""
    calls: list[str] = []

    def call(_client: Any, operation: str, _arguments: Any) -> dict[str, Any]:
        calls.append(operation)
        if operation in refused:
            raise client_error("ThrottlingException")
        return {}

    def remaining() -> float:
        return 1000 * (seconds - len(calls) * CALL_SECONDS)

    context: Any = SimpleNamespace(**vars(CONTEXT) | {"get_remaining_time_in_millis": remaining})
    # Otherwise, a failing test prints the output of hundreds of invocations.
    silent = redirect_stdout(io.StringIO()), mock.patch.object(handler, "logger")
    with mock.patch("botocore.client.BaseClient._make_api_call", call), silent[0], silent[1]:
        handler.lambda_handler({"Records": [sqs_record(body, MESSAGE_ID, deliveries)] * messages}, context)
    return calls


def test_no_message_makes_more_calls_than_time_is_reserved_for(handler: ModuleType) -> None:
    refusals = itertools.product(
        *(("", operation) for operation in (*STORING, "SendMessage", "ChangeMessageVisibility"))
    )

    counts = [
        len(invoke(handler, 900, *refused, body=body, deliveries=deliveries))
        for refused, body, deliveries in itertools.product(refusals, (GOOD, MALFORMED), (1, LAST))
    ]

    assert max(counts) == CALLS


@pytest.mark.parametrize(
    ("seconds", "deliveries", "calls"),
    [
        (MESSAGE_SECONDS, 1, [*STORING]),
        (MESSAGE_SECONDS - 0.001, 1, ["ChangeMessageVisibility"]),
        (MESSAGE_SECONDS - 0.001, LAST, ["SendMessage"]),
        (CALL_SECONDS, 1, ["ChangeMessageVisibility"]),
        (CALL_SECONDS - 0.001, 1, []),
        (CALL_SECONDS - 0.001, LAST, []),
    ],
)
def test_no_call_starts_without_time_to_finish(
    handler: ModuleType, seconds: float, deliveries: int, calls: list[str]
) -> None:
    assert invoke(handler, seconds, deliveries=deliveries) == calls


@pytest.mark.parametrize("refused", STORING)
def test_an_invocation_ends_before_its_timeout(handler: ModuleType, refused: str) -> None:
    calls = invoke(handler, MIN_TIMEOUT_SECONDS, refused, messages=20)

    assert STORING[0] in calls
    assert len(calls) * CALL_SECONDS <= MIN_TIMEOUT_SECONDS


def test_a_call_ends_in_the_time_that_is_reserved_for_it(handler: ModuleType) -> None:
    attributes = (*vars(handler.store).values(), *vars(handler.queues).values())
    configs = [each.meta.config for each in attributes if isinstance(each, BaseClient)]
    expected = (1, 2, {"mode": "standard", "total_max_attempts": 2})
    assert [(each.connect_timeout, each.read_timeout, each.retries) for each in configs] == [expected] * len(configs)
    assert configs
    # 2 attempts x 5 seconds + 6 seconds of backoff + 1 second of own work.
    assert CALL_SECONDS == 17


def test_backoff_doubles_up_to_an_hour() -> None:
    delays = [retry_delay_seconds(deliveries) for deliveries in (*range(1, LAST), 1000)]

    assert delays == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


@pytest.mark.parametrize("ended", ["after-call", "after-call-error"])
def test_a_call_is_timed_whether_aws_answered_or_not(ended: str, monkeypatch: pytest.MonkeyPatch) -> None:
    events, context = HierarchicalEmitter(), {}
    timer = CallTimer(events)
    for event, clock in (("before-call", 10), (ended, 12.5)):
        monkeypatch.setattr("processor.timing.time", SimpleNamespace(monotonic=lambda at=clock: at))
        events.emit(f"{event}.s3.PutObject", model=SimpleNamespace(name="PutObject"), context=context)

    assert timer.milliseconds == {"PutObject": 2500}
