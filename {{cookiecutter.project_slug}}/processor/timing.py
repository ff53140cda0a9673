"""How long a call, a message and a retry may take, and how long calls took.

This module imports only the standard library: the infrastructure derives limits of the settings from it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from botocore.hooks import BaseEventHooks
    from botocore.model import OperationModel

# S3 answers small requests in tens of milliseconds and advises to retry after 2 seconds:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html
CONNECT_TIMEOUT_SECONDS: Final = 1
READ_TIMEOUT_SECONDS: Final = 2
ATTEMPTS: Final = 2
# The SDK waits so long for S3 to ask for the payload, and then sends it anyway.
CONTINUE_SECONDS: Final = 1
# Before a retry, the SDK waits up to 1, 2, ... seconds, and up to 5 more if AWS asks for it:
# https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
RETRY_AFTER_SECONDS: Final = 5
# What the function itself does before or after a call takes less, even with little memory.
OWN_SECONDS: Final = 1

# The longest that one call takes. The connect timeout applies to TCP and then to TLS.
ATTEMPT_SECONDS: Final = 2 * CONNECT_TIMEOUT_SECONDS + CONTINUE_SECONDS + READ_TIMEOUT_SECONDS
WAIT_SECONDS: Final = sum(2**retry + RETRY_AFTER_SECONDS for retry in range(ATTEMPTS - 1))
CALL_SECONDS: Final = ATTEMPTS * ATTEMPT_SECONDS + WAIT_SECONDS + OWN_SECONDS
# The calls that store a message. A failure takes one more, which returns or dead-letters the message.
STORING: Final = ("PutObject", "PutItem", "Publish", "UpdateItem")
CALLS: Final = len(STORING) + 1
MESSAGE_SECONDS: Final = CALLS * CALL_SECONDS

FIRST_DELAY_SECONDS: Final = 30
MAX_DELAY_SECONDS: Final = 3600


def retry_delay_seconds(deliveries: int) -> int:
    """Return how long a message that failed stays hidden, in seconds: twice as long after each delivery.

    A short failure delays messages by half a minute; with ten deliveries a message survives an outage of three hours.

    Args:
        deliveries: How often the message has been delivered, from 1.
    """
    return min(FIRST_DELAY_SECONDS * 2 ** (deliveries - 1), MAX_DELAY_SECONDS)


class CallTimer:
    """Measures the AWS calls of a session's clients, one at a time, with their retries.

    Args:
        events: The session's events:
            https://docs.aws.amazon.com/boto3/latest/guide/events.html

    Attributes:
        milliseconds: How long the last call of each operation took.
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
