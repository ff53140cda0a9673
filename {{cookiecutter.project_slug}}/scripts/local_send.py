"""The ``local-send`` task: sends a message to the local stack and shows the result."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import boto3

from processor.events import EXAMPLE
from processor.identity import ORIGINAL_MESSAGE_ID
from tools.engine import interruptible
from tools.local import enter_local_stack
from tools.logs import FunctionLog
from tools.testing.deployed import NotDeployedError, find_deployed

DEADLINE_SECONDS = 60
PAUSE_SECONDS = 0.2
HIDDEN_SECONDS = 2
# Lambda logs the end of an invocation after its last message is processed.
LOG_SECONDS = 0.5


def send(body: str = "") -> None:
    """Send a message, wait until the function has processed it, and print the result.

    Args:
        body: Body of the message; the example event if empty.

    Raises:
        SystemExit: If the local stack is not up, or the message is not processed in time.
    """
    address = enter_local_stack("local-send")
    with interruptible("local-send"):
        try:
            deployed = find_deployed()
        except NotDeployedError as error:
            sys.exit(f"local-send: {error}")
        body = body or json.dumps(EXAMPLE)
        log = FunctionLog(address, since=int(time.time() * 1000))
        queue_url = deployed.outputs["queue_url"]
        message = deployed.client("sqs").send_message(QueueUrl=queue_url, MessageBody=body)["MessageId"]
        print(f"Sent to {queue_url}:\n    {body}\n", flush=True)
        lines = wait_for_result(deployed.session, deployed.outputs, message)
        time.sleep(LOG_SECONDS)
        print("\n".join([*lines, "", "The function's log:", *(f"    {line}" for line in log.read())]))


def wait_for_result(session: boto3.Session, outputs: dict[str, str], message: str) -> list[str]:
    """Wait until a message is stored or dead-lettered.

    Args:
        session: AWS session for the stack.
        outputs: The stack's outputs.
        message: The message's id.

    Returns:
        The result, line by line.

    Raises:
        SystemExit: If it is neither in time.
    """
    # Creating a client takes longer than a request.
    dynamodb, sqs = session.client("dynamodb"), session.client("sqs")
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        lines = _processed(dynamodb, outputs, message) or _dead_lettered(sqs, outputs, message)
        if lines:
            return lines
        time.sleep(PAUSE_SECONDS)
    return sys.exit(f"local-send: {message} was not processed within {DEADLINE_SECONDS} seconds; see `local-logs`")


def _processed(dynamodb: Any, outputs: dict[str, str], message: str) -> list[str]:
    key = {"message_id": {"S": message}}
    item = dynamodb.get_item(TableName=outputs["table_name"], Key=key, ConsistentRead=True).get("Item")
    if item is None or not item["announced"]["BOOL"]:
        return []
    return [
        f"Object:       s3://{outputs['bucket_name']}/{item['object_key']['S']}",
        f"Item:         {message} in the table {outputs['table_name']}, sent at {item['timestamp']['S']}",
        f"Notification: published to {outputs['topic_arn']}",
    ]


def _dead_lettered(sqs: Any, outputs: dict[str, str], message: str) -> list[str]:
    queue_url = outputs["dlq_url"]
    for dead_letter in _dead_letters(sqs, queue_url):
        reasons = {name: each["StringValue"] for name, each in dead_letter.get("MessageAttributes", {}).items()}
        if message in (dead_letter["MessageId"], reasons.get(ORIGINAL_MESSAGE_ID)):
            code = reasons.get("ErrorCode", "received too often")
            return [f"Dead letter:  in {queue_url}", f"Reason:       {code}: {reasons.get('ErrorReason', '')}"]
    return []


def _dead_letters(sqs: Any, queue_url: str) -> Iterator[dict[str, Any]]:
    """Read the dead-letter queue. Messages stay there, and are hidden for a moment."""
    while messages := sqs.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=HIDDEN_SECONDS
    ).get("Messages"):
        yield from messages
