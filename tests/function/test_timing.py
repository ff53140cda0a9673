"""Worst-case durations of the function's AWS calls, measured with a fake clock."""

import socket
import time
from functools import partialmethod
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, HTTPClientError
from botocore.retries.standard import ExponentialBackoff

from processor.handler import CLIENT_CONFIG
from processor.timing import CALL_SECONDS, OWN_SECONDS

NEVER = ""
# For each service: a call, and the body of a throttling error.
CALLS: dict[str, tuple[str, dict[str, Any], str]] = {
    "s3": (
        "put_object",
        {"Bucket": "bucket", "Key": "key", "Body": b"{}", "IfNoneMatch": "*"},
        "<Error><Code>SlowDown</Code></Error>",
    ),
    "dynamodb": (
        "put_item",
        {"TableName": "table", "Item": {"message_id": {"S": "1"}}},
        '{"__type": "ThrottlingException"}',
    ),
    "sns": (
        "publish",
        {"TopicArn": "arn:aws:sns:us-east-1:123456789012:topic", "Message": "{}"},
        "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>",
    ),
    "sqs": (
        "send_message",
        {"QueueUrl": "http://127.0.0.1:1/1/queue", "MessageBody": "{}"},
        '{"__type": "RequestThrottled"}',
    ),
}


class Clock:
    """A fake clock that only `wait` advances."""

    now: float = 0

    def wait(self, seconds: float) -> None:
        """Advance the clock by ``seconds``."""
        self.now += seconds


class SlowSocket(socket.socket):
    """A connection to a server that responds just before the timeout, or never."""

    clock: Clock
    answer: bytes

    def sendall(self, *_: Any) -> None:
        """Discard the request."""

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Wait for the full timeout; then respond, or raise TimeoutError."""
        assert (nbytes, flags) == (0, 0)
        self.clock.wait(self.gettimeout() or 0)
        if not self.answer:
            raise TimeoutError
        buffer[: len(self.answer)] = self.answer
        return len(self.answer)


def response(body: str) -> bytes:
    """Return an error whose ``x-amz-retry-after`` exceeds the SDK's limit, or no bytes if ``body`` is empty."""
    headers = f"x-amz-retry-after: 60000\r\nConnection: close\r\nContent-Length: {len(body)}"
    return f"HTTP/1.1 400 Bad Request\r\n{headers}\r\n\r\n{body}".encode() if body else b""


def measure(monkeypatch: pytest.MonkeyPatch, service: str, body: str) -> float:
    """Return how many seconds a call takes if the server responds just before each timeout, or never."""
    clock = Clock()

    def connect(_address: Any, timeout: float, **_: Any) -> SlowSocket:
        # The timeout applies to TCP and again to TLS.
        clock.wait(2 * timeout)
        connection = SlowSocket()
        connection.clock, connection.answer = clock, response(body)
        return connection

    def wait_for_read(_socket: Any, timeout: float) -> None:
        clock.wait(timeout)

    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    monkeypatch.setattr("urllib3.util.wait_for_read", wait_for_read)
    monkeypatch.setattr(time, "sleep", clock.wait)
    operation, arguments, _ = CALLS[service]
    session: Any = boto3.Session()
    client = session.client(service, config=CLIENT_CONFIG, endpoint_url="http://127.0.0.1:1")
    with pytest.raises((ClientError, HTTPClientError)):
        getattr(client, operation)(**arguments)
    return clock.now


def test_the_slowest_call_takes_exactly_the_reserved_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # Maximum jitter before the retry.
    longest = partialmethod(ExponentialBackoff.__init__, random=lambda: 1.0)
    monkeypatch.setattr(ExponentialBackoff, "__init__", longest)

    times = {service: [measure(monkeypatch, service, body) for body in (NEVER, CALLS[service][2])] for service in CALLS}

    assert max(map(max, times.values())) + OWN_SECONDS == CALL_SECONDS, times
    # Two attempts, each with the connect timeout for TCP and for TLS, and the read timeout.
    assert min(map(min, times.values())) >= 2 * (2 * 1 + 2), times
