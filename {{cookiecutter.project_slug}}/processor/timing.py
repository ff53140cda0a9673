"""How long a call, a message and a retry may take.

This module imports only the standard library: the infrastructure derives limits of the settings from it.
"""

from typing import Final

# S3 answers small requests in tens of milliseconds and advises to retry after 2 seconds:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html
CONNECT_TIMEOUT_SECONDS: Final = 1
READ_TIMEOUT_SECONDS: Final = 2
ATTEMPTS: Final = 3

# The longest that one call takes if AWS never answers. Before each retry, the SDK waits up to 1, 2, ... seconds:
# https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
CALL_SECONDS: Final = ATTEMPTS * (CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS) + sum(
    2**retry for retry in range(ATTEMPTS - 1)
)
# To store a message takes four calls: object, item, notification, and the mark that it was sent. A failure takes one
# more, which returns or dead-letters the message.
CALLS: Final = 5
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
