"""A pytest plugin that makes the emulator answer like AWS, which may be late or deliver twice, and records all calls.

``AWS_CALLS`` names the file that the calls are written to: service, operation, and whether it has a version.
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

# The method of clients that all calls go through. Its stubs do not have it.
CALL = "_make_api_call"
INBOX = "-test-"


class LikeAws:
    """Answers of AWS.

    Attributes:
        counted: How often something has happened.
    """

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()

    def change(self, operation: str, parameters: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        """Change an answer of the emulator."""
        if operation == "Query":
            # An index is updated after the table.
            message = parameters["ExpressionAttributeValues"][":message_id"]["S"]
            self.counted[message] += 1
            return answer | ({"Items": []} if self.counted[message] == 1 else {})
        if operation == "ListSubscriptionsByTopic":
            # Nobody has confirmed them.
            pending = [each | {"SubscriptionArn": "PendingConfirmation"} for each in answer["Subscriptions"]]
            return answer | {"Subscriptions": pending}
        if operation != "ReceiveMessage" or "Messages" not in answer:
            return answer
        if INBOX in parameters["QueueUrl"]:
            self.counted["notifications"] += 1
            if self.counted["notifications"] == 1:
                # A topic does not know a new subscription yet.
                return {}
        # SQS and SNS deliver at least once.
        return answer | {"Messages": answer["Messages"] * 2}


def pytest_configure(config: pytest.Config) -> None:
    """Change the answers of all clients, and record their calls."""
    aws, calls, make_call = LikeAws(), set[tuple[str, str, bool]](), getattr(BaseClient, CALL)

    def changed_call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        calls.add((client.meta.service_model.service_name, operation, "VersionId" in parameters))
        # A message that was deleted before can be deleted again.
        with contextlib.suppress(*([ClientError] if operation == "DeleteMessage" else [])):
            return aws.change(operation, parameters, make_call(client, operation, parameters))
        return {}

    def write_calls() -> None:
        setattr(BaseClient, CALL, make_call)
        Path(os.environ["AWS_CALLS"]).write_text(json.dumps(sorted(calls)), encoding="utf-8")

    setattr(BaseClient, CALL, changed_call)
    config.add_cleanup(write_calls)
