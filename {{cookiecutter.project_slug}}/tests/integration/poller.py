"""Takes the place of Lambda and of its event source mapping where the emulator cannot run functions.

What it does is what AWS documents: messages are received in batches and handed to the function, those that the function
does not report as failed are deleted, the others come back after a while, and SQS counts how often.

- https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
- https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast
from zipfile import ZipFile

import boto3

from tests.integration.runtime import READY

# SQS hands over ten messages at a time, a batch can be larger.
RECEIVED_AT_ONCE = 10
# On AWS a message that failed stays hidden for the rest of the queue's visibility timeout, half an hour by default.
# Nobody waits for that here.
RETRY_SECONDS = 1
WAIT_SECONDS = 0.1
RUNTIME = Path(__file__).with_name("runtime.py")
LIBRARIES = Path(boto3.__file__).parent.parent


class InvocationError(Exception):
    """The function has crashed or run out of time."""


@dataclass(frozen=True)
class Delivery:
    """One message that was handed to the function once.

    Attributes:
        message_id: Its identity.
        receive_count: How often SQS has handed it out by now.
        failed: Whether it goes back to its queue.
    """

    message_id: str
    receive_count: int
    failed: bool


class FunctionProcess:
    """The function's execution environment: a process that runs the bundle's handler.

    Like Lambda's, it lives on between invocations, and a new one takes its place when it has crashed or was too slow.
    """

    def __init__(self, bundle: Path, configuration: dict[str, Any], variables: dict[str, str]) -> None:
        """Unpack the bundle.

        Args:
            bundle: The archive that the ``package`` task has built.
            configuration: The function's, as Lambda describes it.
            variables: What the process needs besides the function's own environment: credentials and addresses.
        """
        self.folder = tempfile.mkdtemp(prefix="function-")
        with ZipFile(bundle) as archive:
            archive.extractall(self.folder)
        self.timeout_seconds: int = configuration["Timeout"]
        # https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
        self.variables = (
            variables
            | configuration["Environment"]["Variables"]
            | {
                "_HANDLER": configuration["Handler"],
                "AWS_LAMBDA_FUNCTION_NAME": configuration["FunctionName"],
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(configuration["MemorySize"]),
                "INVOKED_FUNCTION_ARN": configuration["FunctionArn"],
                "LAMBDA_TASK_ROOT": self.folder,
                "TZ": ":UTC",
            }
        )
        self.process: subprocess.Popen[str] | None = None

    def invoke(self, event: dict[str, Any]) -> Any:
        """Hand an event to the function.

        Returns:
            What the handler answers.

        Raises:
            InvocationError: If it crashed or ran out of time.
            RuntimeError: If the handler cannot be imported.
        """
        if self.process is None:
            self.start()
        process = cast(subprocess.Popen[str], self.process)
        timer = threading.Timer(self.timeout_seconds, process.kill)
        timer.start()
        try:
            cast(IO[str], process.stdin).write(json.dumps(event) + "\n")
            cast(IO[str], process.stdin).flush()
            answer = cast(IO[str], process.stdout).readline()
        except OSError:
            # It has ended since its last invocation.
            answer = ""
        finally:
            timer.cancel()
        if not answer:
            self._end()
            raise InvocationError
        return json.loads(answer)

    def start(self) -> None:
        """Start the process, and wait until it has imported the handler.

        Raises:
            RuntimeError: If it cannot.
        """
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with # outlives this call
            [sys.executable, "-I", "-S", str(RUNTIME), self.folder, str(LIBRARIES), str(self.timeout_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.variables,
            cwd=self.folder,
            encoding="utf-8",
        )
        if cast(IO[str], self.process.stdout).readline().strip() != READY:
            self._end()
            raise RuntimeError(f"the bundle's {self.variables['_HANDLER']} cannot be imported; its message is above")

    def close(self) -> None:
        """End the process, and remove what was unpacked."""
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self) -> None:
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None


@dataclass
class Poller:
    """Receives batches from the queue, hands them to the function, and deletes what did not fail.

    Attributes:
        sqs: Client of SQS.
        queue_url: The queue.
        mapping: The event source mapping whose place this takes, as Lambda describes it.
        function: Runs the handler.
        deliveries: All that was handed to the function.
    """

    sqs: Any
    queue_url: str
    mapping: dict[str, Any]
    function: FunctionProcess
    deliveries: list[Delivery] = field(default_factory=list)

    def poll(self) -> int:
        """Have the function process one batch, if there is one.

        Returns:
            How many messages were in it.
        """
        batch = self._receive()
        if batch:
            failed = self._failed(batch)
            for message in batch:
                receipt = {"QueueUrl": self.queue_url, "ReceiptHandle": message["ReceiptHandle"]}
                if message["MessageId"] in failed:
                    self.sqs.change_message_visibility(**receipt, VisibilityTimeout=RETRY_SECONDS)
                else:
                    self.sqs.delete_message(**receipt)
                count = int(message["Attributes"]["ApproximateReceiveCount"])
                self.deliveries.append(Delivery(message["MessageId"], count, message["MessageId"] in failed))
        return len(batch)

    def _receive(self) -> list[dict[str, Any]]:
        """Gather messages until the batch is full, or nothing more has come in the batching window."""
        batch: list[dict[str, Any]] = []
        size = self.mapping["BatchSize"]
        end = time.monotonic() + self.mapping.get("MaximumBatchingWindowInSeconds", 0)
        while len(batch) < size:
            received = self.sqs.receive_message(
                QueueUrl=self.queue_url,
                MaxNumberOfMessages=min(RECEIVED_AT_ONCE, size - len(batch)),
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["All"],
            ).get("Messages", [])
            batch += received
            if time.monotonic() >= end or not batch:
                break
            if not received:
                time.sleep(WAIT_SECONDS)
        return batch

    def _failed(self, batch: list[dict[str, Any]]) -> set[str]:
        """Have the function process a batch, and tell which of its messages go back to the queue."""
        everything = {message["MessageId"] for message in batch}
        try:
            answer = self.function.invoke({"Records": [record(message, self.mapping) for message in batch]})
        except InvocationError:
            return everything
        if "ReportBatchItemFailures" not in self.mapping.get("FunctionResponseTypes", []):
            return set()
        # No answer, an empty one or one without failures is a success, one that names no message of the batch a failure
        # of the whole.
        failures = (answer or {}).get("batchItemFailures") or []
        failed = {failure.get("itemIdentifier") for failure in failures}
        return everything if failed - everything else failed


def record(message: dict[str, Any], mapping: dict[str, Any]) -> dict[str, Any]:
    """Form what the function gets of a message that SQS has handed out.

    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html#example-standard-queue-message-event
    """
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": mapping["EventSourceArn"],
        "awsRegion": mapping["EventSourceArn"].split(":")[3],
    }


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    """Turn an attribute as SQS hands it out into one as Lambda hands it on."""
    found: dict[str, Any] = {"dataType": value["DataType"], "stringListValues": [], "binaryListValues": []}
    if "BinaryValue" in value:
        return found | {"binaryValue": base64.b64encode(value["BinaryValue"]).decode()}
    return found | {"stringValue": value["StringValue"]}


@contextmanager
def opened_poller(
    session: boto3.Session, function_arn: str, queue_arn: str, queue_url: str, bundle: Path
) -> Generator[Poller]:
    """Open a poller for a function in the emulator, as its event source mapping describes it.

    Args:
        session: Reaches the emulator.
        function_arn: The function.
        queue_arn: The queue that the mapping names.
        queue_url: The same.
        bundle: The archive that the ``package`` task has built.

    Raises:
        LookupError: If no event source mapping brings the queue's messages to the function, or there is no bundle.
    """
    if not bundle.is_file():
        raise LookupError(f"{bundle} is missing; the task `package` builds it")
    client = session.client("lambda")
    found = client.list_event_source_mappings(FunctionName=function_arn, EventSourceArn=queue_arn)
    if not found["EventSourceMappings"]:
        raise LookupError(f"no event source mapping brings messages of {queue_arn} to {function_arn}")
    (mapping,) = cast(list[dict[str, Any]], found["EventSourceMappings"])
    credentials = session.get_credentials()
    passed_on = ("AWS_ENDPOINT_URL", "NO_PROXY", "no_proxy", "PATH", "SYSTEMROOT")
    variables = {name: os.environ[name] for name in passed_on if name in os.environ}
    variables |= {"AWS_DEFAULT_REGION": str(session.region_name), "AWS_REGION": str(session.region_name)}
    if credentials:
        variables |= {"AWS_ACCESS_KEY_ID": credentials.access_key, "AWS_SECRET_ACCESS_KEY": credentials.secret_key}
    configuration = cast(dict[str, Any], client.get_function_configuration(FunctionName=function_arn))
    function = FunctionProcess(bundle, configuration, variables)
    try:
        function.start()
        yield Poller(session.client("sqs"), queue_url, mapping, function)
    finally:
        function.close()
