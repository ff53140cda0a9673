"""A pytest plugin that gives the emulator AWS's eventual consistency and duplicate deliveries, and records all calls.

Environment variable ``AWS_CALLS``: file for the calls, each with service, operation and presence of ``VersionId``.
"""

import contextlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

# Every client call goes through this method, which is missing from the type stubs.
CALL = "_make_api_call"
INBOX = "-test-"


class LikeAws:
    """Changes the emulator's responses: stale queries, unconfirmed subscriptions, missed and duplicate messages.

    Attributes:
        counted: DynamoDB queries per message ID. The key ``notifications`` counts non-empty receives from the inbox.
    """

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()

    def change(self, operation: str, parameters: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        """Return a response that AWS could give instead of the emulator's ``answer``."""
        if operation == "Query":
            # A global secondary index is eventually consistent.
            message = parameters["ExpressionAttributeValues"][":message_id"]["S"]
            self.counted[message] += 1
            return answer | ({"Items": []} if self.counted[message] == 1 else {})
        if operation == "ListSubscriptionsByTopic":
            # The recipients have not confirmed the subscriptions.
            pending = [each | {"SubscriptionArn": "PendingConfirmation"} for each in answer["Subscriptions"]]
            return answer | {"Subscriptions": pending}
        if operation != "ReceiveMessage" or "Messages" not in answer:
            return answer
        if INBOX in parameters["QueueUrl"]:
            self.counted["notifications"] += 1
            if self.counted["notifications"] == 1:
                # A new subscription may miss the first notification.
                return {}
        # SQS and SNS deliver at least once.
        return answer | {"Messages": answer["Messages"] * 2}


def pytest_configure(config: pytest.Config) -> None:
    """Patch all botocore clients to change responses and record calls, until pytest exits."""
    aws, calls, make_call = LikeAws(), set[tuple[str, str, bool]](), getattr(BaseClient, CALL)

    def changed_call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        calls.add((client.meta.service_model.service_name, operation, "VersionId" in parameters))
        # On AWS, deleting a message twice is not an error.
        with contextlib.suppress(*([ClientError] if operation == "DeleteMessage" else [])):
            return aws.change(operation, parameters, make_call(client, operation, parameters))
        return {}

    def write_calls() -> None:
        setattr(BaseClient, CALL, make_call)
        Path(os.environ["AWS_CALLS"]).write_text(json.dumps(sorted(calls)), encoding="utf-8")

    setattr(BaseClient, CALL, changed_call)
    config.add_cleanup(write_calls)
