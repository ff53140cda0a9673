"""The ``local-send`` task: one message through the local stack, and what becomes of it."""

import sys
import time

from tests.integration.pipeline import Pipeline, opened_pipeline
from tools.configuration.documents import DocumentError
from tools.engine import interruptible
from tools.local import enter_local_stack
from tools.logs import FunctionLog
from tools.testing.deployed import NotDeployedError, find_deployed

# The end of an invocation is logged after its last message is done.
LOG_SECONDS = 0.5


def send(body: str) -> None:
    """Send a message, wait until the function has processed it, and say where the message is then.

    Args:
        body: What the message says.

    Raises:
        SystemExit: If the local stack is not up, or nothing becomes of the message, with the reason.
    """
    address = enter_local_stack("local-send")
    with interruptible("local-send"):
        try:
            deployed = find_deployed()
            with opened_pipeline(deployed, deployed.outputs, keep=True) as pipeline:
                print(f"Sent to {pipeline.outputs['queue_url']}:\n    {body}\n", flush=True)
                log = FunctionLog(address, since=int(time.time() * 1000))
                (message,) = pipeline.send(body)
                lines = pipeline.wait_for(lambda sent: _fate(pipeline, sent), message, "trace")
        except (NotDeployedError, DocumentError, AssertionError) as error:
            sys.exit(f"local-send: {error}")
        time.sleep(LOG_SECONDS)
        print("\n".join([*lines, "", "The function's log:", *(f"    {line}" for line in log.read())]))


def _fate(pipeline: Pipeline, message: str) -> list[str] | None:
    """Say what has become of a message, if anything has."""
    outputs = pipeline.outputs
    item = pipeline.item_of(message)
    if item is not None and pipeline.notification_of(message):
        return [
            f"Object:       s3://{outputs['bucket_name']}/{item['object_key']}",
            f"Item:         {message} in the table {outputs['table_name']}, sent at {item['timestamp']}",
            f"Notification: published to {outputs['topic_arn']}",
        ]
    dead_letter = pipeline.dead_letter_of(message)
    if dead_letter is not None:
        reason = {name: value["StringValue"] for name, value in dead_letter.get("MessageAttributes", {}).items()}
        return [
            f"Dead letter:  in {outputs['dlq_url']}",
            f"Reason:       {reason.get('ErrorCode', 'received too often')}: {reason.get('ErrorReason', '')}",
        ]
    return None
