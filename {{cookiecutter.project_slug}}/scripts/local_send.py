"""The ``local-send`` task: sends a message to the local stack and shows the result and the function's log."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import boto3

from processor.events import EXAMPLE
from processor.identity import ORIGINAL_MESSAGE_ID
from tools.local import enter_local_stack
from tools.project import PROJECT_FOLDER
from tools.pulumi_cli import OUTPUTS_FILE, interruptible

DEADLINE_SECONDS = 60
PAUSE_SECONDS = 0.2
HIDDEN_SECONDS = 2
# Lambda writes the last log lines of an invocation after the message is processed.
LOG_SECONDS = 0.5


def send(body: str = "", *, follow: bool = False) -> None:
    """Send a message, wait until the function has processed it, and print the result and the function's log.

    Args:
        body: Body of the message; the example event if empty.
        follow: Whether to keep printing the log until interrupted.

    Raises:
        SystemExit: If the local stack is not up, or the message is not processed in time.
    """
    with interruptible("local-send"):
        enter_local_stack("local-send")
        try:
            outputs = json.loads((PROJECT_FOLDER / OUTPUTS_FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            sys.exit(f"local-send: {OUTPUTS_FILE.as_posix()} does not exist; run the task `local-up`")
        body = body or json.dumps(EXAMPLE)
        log = read_log(outputs["function_name"], since=int(time.time() * 1000))
        message = boto3.client("sqs").send_message(QueueUrl=outputs["queue_url"], MessageBody=body)["MessageId"]
        print(f"Sent to {outputs['queue_url']}:\n    {body}\n", flush=True)
        result = wait_for_result(outputs, message)
        print(*(result or ["No result."]), "\nThe function's log:", sep="\n")
        time.sleep(LOG_SECONDS)
        while (line := next(log)) or follow:
            if line:
                print(f"    {line}", flush=True)
            else:
                time.sleep(PAUSE_SECONDS)
        if not result:
            sys.exit(
                f"local-send: {message} was not processed within {DEADLINE_SECONDS} s; see the function's log above"
            )


def read_log(function: str, since: int) -> Iterator[str]:
    """Poll a function's log indefinitely, and yield each line once.

    Args:
        function: Name of the function.
        since: Start time in milliseconds since 1970.

    Yields:
        The lines, and an empty string whenever there are no new lines.
    """
    pages = boto3.client("logs").get_paginator("filter_log_events")
    seen: set[tuple[str, int, str]] = set()
    while True:
        for page in pages.paginate(logGroupName=f"/aws/lambda/{function}", startTime=since):
            for event in page["events"]:
                # The emulator's log events have no ID.
                key = (event["logStreamName"], event["timestamp"], event["message"])
                if key not in seen:
                    seen.add(key)
                    yield event["message"].rstrip() or " "
        yield ""


def wait_for_result(outputs: dict[str, str], message: str) -> list[str]:
    """Wait until a message is stored or dead-lettered.

    Args:
        outputs: The stack's outputs.
        message: The message ID.

    Returns:
        The lines of the result, or an empty list if neither happens before the deadline.
    """
    dynamodb, sqs = boto3.client("dynamodb"), boto3.client("sqs")
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        lines = _processed(dynamodb, outputs, message) or _dead_lettered(sqs, outputs, message)
        if lines:
            return lines
        time.sleep(PAUSE_SECONDS)
    return []


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
    """Search the dead-letter queue for a message. Received messages stay there, invisible for `HIDDEN_SECONDS`."""
    queue_url = outputs["dlq_url"]
    while messages := sqs.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=HIDDEN_SECONDS
    ).get("Messages"):
        for dead_letter in messages:
            reasons = {name: each["StringValue"] for name, each in dead_letter.get("MessageAttributes", {}).items()}
            if message in (dead_letter["MessageId"], reasons.get(ORIGINAL_MESSAGE_ID)):
                given = [reasons[name] for name in ("ErrorCode", "ErrorReason") if name in reasons]
                reason = ": ".join(given) or "moved by SQS after maxReceiveCount deliveries"
                return [f"Dead letter:  in {queue_url}", f"Reason:       {reason}"]
    return []
