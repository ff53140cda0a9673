"""Names that the function and the infrastructure share.

This module imports only the standard library: the infrastructure imports it without the function's dependencies.
"""

from typing import Final

# The only prefix in the payload bucket that the function may write to.
OBJECT_PREFIX: Final = "messages/"
# The table's TTL attribute.
EXPIRY_ATTRIBUTE: Final = "expires_at"

# The function's metrics, which count messages. Every invocation reports each metric, even if it is 0.
METRICS_NAMESPACE: Final = "EventPipeline"
PROCESSED: Final = "MessagesProcessed"
DEAD_LETTERED: Final = "MessagesDeadLettered"
RETURNED: Final = "MessagesReturned"
MISCONFIGURED: Final = "MessagesMisconfigured"
COUNTERS: Final = (PROCESSED, DEAD_LETTERED, RETURNED, MISCONFIGURED)
