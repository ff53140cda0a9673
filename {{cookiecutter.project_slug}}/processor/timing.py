"""Time limits for calls, messages and retries, and a timer for calls.

This module imports only the standard library: the infrastructure imports it without the function's dependencies.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from botocore.hooks import BaseEventHooks
    from botocore.model import OperationModel

# S3 answers small requests within tens of milliseconds, and AWS recommends a retry after 2 seconds:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html
CONNECT_TIMEOUT_SECONDS: Final = 1
READ_TIMEOUT_SECONDS: Final = 2
ATTEMPTS: Final = 2
# How long the SDK waits for S3's 100 Continue before it sends the payload.
CONTINUE_SECONDS: Final = 1
# The SDK backs off for up to 1, 2, 4, ... seconds before each retry, plus up to 5 if AWS's response requests a delay:
# https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
RETRY_AFTER_SECONDS: Final = 5
# Maximum duration of the function's own work before or after a call, even with little memory.
OWN_SECONDS: Final = 1

# Maximum durations of an attempt, of all backoff, and of a call. The connect timeout applies to TCP and TLS separately.
ATTEMPT_SECONDS: Final = 2 * CONNECT_TIMEOUT_SECONDS + CONTINUE_SECONDS + READ_TIMEOUT_SECONDS
WAIT_SECONDS: Final = sum(2**retry + RETRY_AFTER_SECONDS for retry in range(ATTEMPTS - 1))
CALL_SECONDS: Final = ATTEMPTS * ATTEMPT_SECONDS + WAIT_SECONDS + OWN_SECONDS
# The calls that store a message. A failure adds one call, which delays or dead-letters the message.
STORING: Final = ("PutObject", "PutItem", "Publish", "UpdateItem")
CALLS: Final = len(STORING) + 1
MESSAGE_SECONDS: Final = CALLS * CALL_SECONDS

FIRST_DELAY_SECONDS: Final = 30
MAX_DELAY_SECONDS: Final = 3600


def retry_delay_seconds(deliveries: int) -> int:
    """Return the visibility timeout of a failed message, in seconds: doubled with each delivery, up to an hour.

    A short failure delays messages by half a minute. With ten deliveries, a message survives a three-hour outage.

    Args:
        deliveries: Number of deliveries so far, from 1.
    """
    return min(FIRST_DELAY_SECONDS * 2 ** (deliveries - 1), MAX_DELAY_SECONDS)


class CallTimer:
    """Measures the duration of a session's AWS calls, including retries.

    Args:
        events: The session's event system:
            https://docs.aws.amazon.com/boto3/latest/guide/events.html

    Attributes:
        milliseconds: Duration of the last call to each operation.
    """

    def __init__(self, events: BaseEventHooks) -> None:
        self.milliseconds: dict[str, int] = {}
        events.register("before-call", self._start)
        events.register("after-call", self._stop)
        events.register("after-call-error", self._stop)

    def _start(self, model: OperationModel, context: dict[str, Any], **_: Any) -> None:
        context["timer"] = model.name, time.monotonic()

    def _stop(self, context: dict[str, Any], **_: Any) -> None:
        operation, started = context["timer"]
        self.milliseconds[operation] = round((time.monotonic() - started) * 1000)
