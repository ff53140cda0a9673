"""Names that the function and the infrastructure share, so that neither can change one alone.

This module imports nothing but the standard library: the infrastructure has the names without the function's libraries.
"""

from typing import Final

# What the function may write in the payload bucket.
OBJECT_PREFIX: Final = "messages/"

# What the function counts, and the alarms and the dashboard watch.
METRICS_NAMESPACE: Final = "EventPipeline"
PROCESSED: Final = "MessagesProcessed"
DEAD_LETTERED: Final = "MessagesDeadLettered"
RETURNED: Final = "MessagesReturned"
MISCONFIGURED: Final = "MessagesMisconfigured"
