"""Names that the function and the infrastructure share.

This module imports only the standard library: the infrastructure imports it without the function's dependencies.
"""

from typing import Final

# The only prefix in the payload bucket that the function may write to.
OBJECT_PREFIX: Final = "messages/"

# The function's metrics.
METRICS_NAMESPACE: Final = "EventPipeline"
PROCESSED: Final = "MessagesProcessed"
DEAD_LETTERED: Final = "MessagesDeadLettered"
RETURNED: Final = "MessagesReturned"
MISCONFIGURED: Final = "MessagesMisconfigured"
