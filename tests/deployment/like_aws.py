"""A pytest plugin that changes the emulator's answers to what AWS may answer too, and records the calls.

Use it with ``pytest -p like_aws``. ``LIKE_AWS`` names the methods of `Changes` that apply, separated by commas. At the
end, the calls are written to the file that ``AWS_CALLS`` names.
"""

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

Answer = dict[str, Any]
Call = Callable[..., Answer]

# The method of clients that all calls go through. Its stubs do not have it.
CALL = "_make_api_call"
# How often a new event source mapping is not enabled yet.
CREATING = 2


class Changes:
    """Changes of answers. Each takes the real call and its parameters, and returns the answer.

    Attributes:
        counted: How often something has happened.
    """

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()

    def late_mapping(self, operation: str, call: Call, parameters: Answer) -> Answer:
        """Lambda needs some time to create an event source mapping."""
        self.counted[operation] += 1
        state = {"State": "Creating"} if self.counted[operation] <= CREATING else {}
        return with_changes("EventSourceMappings", state, call(**parameters))

    def disabled_mapping(self, _operation: str, call: Call, parameters: Answer) -> Answer:
        """Somebody has disabled the event source mapping."""
        return with_changes("EventSourceMappings", {"State": "Disabled"}, call(**parameters))

    def missed_notification(self, operation: str, call: Call, parameters: Answer) -> Answer:
        """A topic does not know a new subscription yet."""
        answer = call(**parameters)
        if operation == "ReceiveMessage" and is_inbox(parameters) and not self.counted["received"]:
            self.counted["received"] = len(answer.pop("Messages", []))
        return answer

    def short_polling(self, operation: str, call: Call, parameters: Answer) -> Answer:
        """A call that does not wait asks only some of a queue's servers."""
        if operation == "ReceiveMessage" and not parameters.get("WaitTimeSeconds"):
            self.counted["short"] += 1
            if self.counted["short"] % 2:
                return {}
        return call(**parameters)

    def delivered_twice(self, operation: str, call: Call, parameters: Answer) -> Answer:
        """SQS and SNS deliver at least once; a message that does not exist any more can be deleted."""
        if operation == "DeleteMessage":
            try:
                return call(**parameters)
            except ClientError:
                return {}
        answer = call(**parameters)
        if operation == "ReceiveMessage" and "Messages" in answer:
            copies = [
                message | ({"MessageId": "copy"} if is_inbox(parameters) else {}) for message in answer["Messages"]
            ]
            answer["Messages"] += copies
        return answer

    def late_index(self, operation: str, call: Call, parameters: Answer) -> Answer:
        """An index is updated after the table."""
        answer = call(**parameters)
        if operation == "Query":
            message = parameters["ExpressionAttributeValues"][":message"]["S"]
            self.counted[message] += 1
            if self.counted[message] == 1:
                answer["Items"] = []
        return answer

    def pending(self, _operation: str, call: Call, parameters: Answer) -> Answer:
        """Nobody has confirmed the subscriptions."""
        return with_changes("Subscriptions", {"SubscriptionArn": "PendingConfirmation"}, call(**parameters))

    def cancelled(self, _operation: str, call: Call, parameters: Answer) -> Answer:
        """Somebody has cancelled the subscriptions."""
        return with_changes("Subscriptions", {"SubscriptionArn": "Deleted"}, call(**parameters))


def is_inbox(parameters: Answer) -> bool:
    """Whether a queue is an inbox of the tests."""
    return "-test-" in parameters["QueueUrl"]


def with_changes(key: str, changes: Answer, answer: Answer) -> Answer:
    """Change each entry of a list in an answer, if it has this list."""
    return answer | ({key: [each | changes for each in answer[key]]} if key in answer else {})


def pytest_configure(config: pytest.Config) -> None:
    """Change the answers of all clients, and record their calls."""
    changes, calls = Changes(), set[tuple[str, str, bool]]()
    chosen = [getattr(changes, name) for name in os.environ.get("LIKE_AWS", "").split(",") if name]
    make_call = getattr(BaseClient, CALL)

    def changed_call(client: BaseClient, operation: str, parameters: Answer) -> Answer:
        calls.add((client.meta.service_model.service_name, operation, "VersionId" in parameters))

        def call(number: int, **given: Any) -> Answer:
            if number == len(chosen):
                return make_call(client, operation, given)
            return chosen[number](operation, lambda **passed: call(number + 1, **passed), given)

        return call(0, **parameters)

    def write_calls() -> None:
        setattr(BaseClient, CALL, make_call)
        if "AWS_CALLS" in os.environ:
            Path(os.environ["AWS_CALLS"]).write_text(json.dumps(sorted(calls)), encoding="utf-8")

    setattr(BaseClient, CALL, changed_call)
    config.add_cleanup(write_calls)
