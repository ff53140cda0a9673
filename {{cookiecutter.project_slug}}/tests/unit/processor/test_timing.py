"""How long calls and invocations may take, by clocks that only waiting moves."""

import itertools
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partialmethod
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError, ReadTimeoutError
from botocore.retries.standard import ExponentialBackoff

from infrastructure.settings import MIN_TIMEOUT_SECONDS, Settings
from processor.queues import Queues
from processor.storage import MessageStore
from processor.timing import CALL_SECONDS, CALLS, MESSAGE_SECONDS, OWN_SECONDS
from tests.unit.emulated import sqs_record
from tests.unit.processor.test_errors import client_error
from tests.unit.processor.test_handler import CONTEXT, GOOD, MALFORMED

DEFAULT_TIMEOUT_SECONDS = Settings.model_fields["lambda_timeout_seconds"].default
DEFAULT_DELIVERIES = Settings.model_fields["max_receive_count"].default

# The function's calls, in their order.
STORING = {
    "put_object": ("s3", {"Bucket": "bucket", "Key": "key", "Body": b"{}", "IfNoneMatch": "*"}),
    "put_item": ("dynamodb", {"TableName": "table", "Item": {"message_id": {"S": "1"}}}),
    "publish": ("sns", {"TopicArn": "arn:aws:sns:us-east-1:123456789012:topic", "Message": "{}"}),
    "update_item": ("dynamodb", {"TableName": "table", "Key": {"message_id": {"S": "1"}}}),
}
FAILING = {
    "send_message": ("sqs", {"QueueUrl": "http://127.0.0.1:1/1/queue", "MessageBody": "{}"}),
    "change_message_visibility": (
        "sqs",
        {"QueueUrl": "http://127.0.0.1:1/1/queue", "ReceiptHandle": "1", "VisibilityTimeout": 30},
    ),
}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = STORING | FAILING
NEVER = b""
# How each service says that it is throttled.
THROTTLED = {
    "s3": "<Error><Code>SlowDown</Code></Error>",
    "dynamodb": '{"__type": "ThrottlingException"}',
    "sns": "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>",
    "sqs": '{"__type": "RequestThrottled"}',
}


@dataclass
class Clock:
    """A clock that only waiting moves."""

    now: float = 0

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class SlowSocket(socket.socket):
    """A connection to a server that answers at the last moment, or never."""

    clock: Clock
    answer: bytes

    def sendall(self, *_: Any) -> None:
        """Take a request."""

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Wait as long as the timeout allows."""
        assert (nbytes, flags) == (0, 0)
        self.clock.wait(self.gettimeout() or 0)
        if not self.answer:
            raise TimeoutError
        buffer[: len(self.answer)] = self.answer
        return len(self.answer)


def throttled(service: str) -> bytes:
    """Return a response by which a service asks for more time than the SDK gives it."""
    body = THROTTLED[service]
    headers = f"x-amz-retry-after: 60000\r\nConnection: close\r\nContent-Length: {len(body)}"
    return f"HTTP/1.1 400 Bad Request\r\n{headers}\r\n\r\n{body}".encode()


@pytest.fixture(name="measure")
def fixture_measure(handler: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bytes], float]:
    """Measure how long a call takes if each attempt is answered at the last moment, or never."""
    clock = Clock()

    def measure(operation: str, answer: bytes) -> float:
        def connect(_address: Any, timeout: float, **_: Any) -> SlowSocket:
            # TCP and TLS have this timeout each.
            clock.wait(2 * timeout)
            connection = SlowSocket()
            connection.clock, connection.answer = clock, answer
            return connection

        def wait_for_read(_socket: Any, timeout: float) -> None:
            clock.wait(timeout)

        monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
        monkeypatch.setattr("urllib3.util.wait_for_read", wait_for_read)
        monkeypatch.setattr(time, "sleep", clock.wait)
        # The random wait is as long as possible.
        longest = partialmethod(ExponentialBackoff.__init__, random=lambda: 1.0)
        monkeypatch.setattr(ExponentialBackoff, "__init__", longest)
        service, arguments = REQUESTS[operation]
        session: Any = boto3.Session("testing", "testing", region_name="us-east-1")
        client = session.client(service, config=handler.CLIENT_CONFIG, endpoint_url="http://127.0.0.1:1")
        with pytest.raises((ClientError, HTTPClientError)):
            getattr(client, operation)(**arguments)
        return clock.now

    return measure


@pytest.mark.parametrize("operation", REQUESTS)
def test_a_call_that_is_never_answered_ends_in_the_time_that_the_function_reserves_for_it(
    measure: Callable[[str, bytes], float], operation: str
) -> None:
    assert 0 < measure(operation, NEVER) + OWN_SECONDS <= CALL_SECONDS


@pytest.mark.parametrize("operation", REQUESTS)
def test_a_call_that_is_throttled_at_the_last_moment_ends_in_the_time_that_the_function_reserves_for_it(
    measure: Callable[[str, bytes], float], operation: str
) -> None:
    assert 0 < measure(operation, throttled(REQUESTS[operation][0])) + OWN_SECONDS <= CALL_SECONDS


def test_no_more_time_is_reserved_for_a_call_than_the_slowest_takes(measure: Callable[[str, bytes], float]) -> None:
    assert measure("put_object", throttled("s3")) + OWN_SECONDS == CALL_SECONDS


def test_a_server_that_never_answers_is_called_twice(handler: ModuleType) -> None:
    seconds = 0.1
    config = handler.CLIENT_CONFIG.merge(Config(read_timeout=seconds))
    session = boto3.Session("testing", "testing", region_name="us-east-1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        client = session.client("dynamodb", config=config, endpoint_url=url)
        began = time.monotonic()

        with pytest.raises(ReadTimeoutError):
            client.put_item(**REQUESTS["put_item"][1])

        assert 2 * seconds <= time.monotonic() - began < CALL_SECONDS
        server.setblocking(False)
        connections = [server.accept()[0] for _ in range(2)]
        with pytest.raises(BlockingIOError):
            server.accept()
    for connection in connections:
        connection.close()


def test_every_client_has_the_timeouts_and_the_attempts(handler: ModuleType) -> None:
    for client in (handler.store.s3, handler.store.dynamodb, handler.store.sns, handler.queues.sqs):
        config = client.meta.config
        assert (config.connect_timeout, config.read_timeout) == (1, 2)
        assert config.retries == {"mode": "standard", "total_max_attempts": 2}


@dataclass
class SlowAws:
    """Clients whose calls each take the longest time, and some of which then fail.

    Attributes:
        timeout: The function's timeout, in seconds.
        refused: The operations that fail.
        clock: The time.
        calls: How often each operation was called.
    """

    timeout: int
    refused: frozenset[str] = frozenset()
    clock: Clock = field(default_factory=Clock)
    calls: Counter[str] = field(default_factory=Counter)

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        """Return a client's method."""

        def call(**_: Any) -> dict[str, Any]:
            self.calls[operation] += 1
            self.clock.wait(CALL_SECONDS)
            if operation in self.refused:
                raise client_error("ThrottlingException")
            return {}

        return call

    def remaining(self) -> int:
        """Return the time until Lambda stops the function, in milliseconds."""
        return int((self.timeout - self.clock.now) * 1000)


def invoke(handler: ModuleType, aws: SlowAws, records: list[dict[str, Any]]) -> int:
    """Invoke the function and return how many messages it returns."""
    context = SimpleNamespace(**vars(CONTEXT) | {"get_remaining_time_in_millis": aws.remaining})
    client: Any = aws
    store = MessageStore(client, client, client, handler.environment)
    queues = Queues(client, handler.environment)
    with mock.patch.multiple(handler, store=store, queues=queues):
        return len(handler.lambda_handler({"Records": records}, context)["batchItemFailures"])


def messages(number: int, body: str, deliveries: int) -> list[dict[str, Any]]:
    """Return messages that have been delivered so often."""
    record = sqs_record(body)
    attributes = record["attributes"] | {"ApproximateReceiveCount": str(deliveries)}
    return [record | {"attributes": attributes}] * number


# Each combination of a call that stores and fails, or none, and calls after a failure that fail.
REFUSED = [
    frozenset({storing, *after})
    for storing in ("", *STORING)
    for count in range(len(FAILING) + 1)
    for after in itertools.combinations(FAILING, count)
]
PATHS = [*itertools.product(REFUSED, (GOOD, MALFORMED), (1, DEFAULT_DELIVERIES))]


@pytest.mark.parametrize("timeout", [MIN_TIMEOUT_SECONDS, DEFAULT_TIMEOUT_SECONDS, 900])
def test_an_invocation_ends_before_its_timeout_even_if_every_call_takes_the_longest(
    handler: ModuleType, timeout: int
) -> None:
    for refused, body, deliveries in PATHS:
        aws = SlowAws(timeout, refused)
        invoke(handler, aws, messages(20, body, deliveries))
        assert aws.clock.now <= timeout, (refused, body, deliveries)


def test_at_least_one_message_is_processed_in_the_least_timeout(handler: ModuleType) -> None:
    aws = SlowAws(MIN_TIMEOUT_SECONDS)

    assert invoke(handler, aws, messages(10, GOOD, 1)) == 9


def test_no_message_takes_more_calls_than_time_is_reserved_for_and_some_take_as_many(handler: ModuleType) -> None:
    def calls(refused: frozenset[str], body: str, deliveries: int) -> int:
        aws = SlowAws(MIN_TIMEOUT_SECONDS, refused)
        invoke(handler, aws, messages(1, body, deliveries))
        return aws.calls.total()

    assert max(itertools.starmap(calls, PATHS)) == CALLS


@pytest.mark.parametrize(("remaining", "is_started"), [(MESSAGE_SECONDS, True), (MESSAGE_SECONDS - 0.001, False)])
def test_a_message_is_started_only_if_there_is_time_for_all_its_calls(
    handler: ModuleType, remaining: float, is_started: bool
) -> None:
    aws = SlowAws(MESSAGE_SECONDS)
    aws.clock.wait(MESSAGE_SECONDS - remaining)

    assert invoke(handler, aws, messages(1, GOOD, 1)) == (0 if is_started else 1)

    assert aws.calls["put_object"] == is_started


@pytest.mark.parametrize(
    ("deliveries", "operation"), [(1, "change_message_visibility"), (DEFAULT_DELIVERIES, "send_message")]
)
@pytest.mark.parametrize(("remaining", "is_called"), [(CALL_SECONDS, True), (CALL_SECONDS - 0.001, False)])
def test_a_message_that_was_not_started_is_delayed_or_dead_lettered_only_if_there_is_time_for_a_call(
    handler: ModuleType, deliveries: int, operation: str, remaining: float, is_called: bool
) -> None:
    aws = SlowAws(CALL_SECONDS)
    aws.clock.wait(CALL_SECONDS - remaining)

    invoke(handler, aws, messages(1, GOOD, deliveries))

    assert aws.calls == ({operation: 1} if is_called else {})
