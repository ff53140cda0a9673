"""A function that fails: a published version with another environment, for which the alias is changed meanwhile."""

import contextlib
import json
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from infrastructure.processing import LIVE
from tests.integration.pipeline import Pipeline
from tools.logs import FunctionLog

NO_BUCKET = "a-bucket-that-does-not-exist"
NO_QUEUE = "-that-does-not-exist"
# The emulator needs no time for an update.
WAITER = {"Delay": 0.2, "MaxAttempts": 300}


class Failures:
    """Failed deliveries of messages, read from the function's log in the emulator.

    Args:
        pipeline: The deployed pipeline.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        address = pipeline.deployed.client("logs").meta.endpoint_url
        self._log = FunctionLog(address, since=int(time.time() * 1000))

    def of(self, message: str) -> list[str]:
        """Return the error codes of the failed deliveries of a message."""
        self._log.read()
        lines = [json.loads(line) for line in self._log.lines if message in line]
        return [line["error_code"] for line in lines if line["level"] == "CRITICAL"]


@contextmanager
def failing(pipeline: Pipeline, retry_seconds: int, deliveries: int, **variables: str) -> Generator[Failures]:
    """Process messages with a version of the function that fails.

    Args:
        pipeline: The deployed pipeline.
        retry_seconds: Time between two deliveries.
        deliveries: Maximum number of deliveries.
        variables: What differs in the environment of that version.

    Yields:
        Failures of the messages.
    """
    # The function cannot delay retries in a queue that does not exist, so the visibility timeout applies.
    changed = {"MAX_RECEIVE_COUNT": str(deliveries), "QUEUE_URL": pipeline.outputs["queue_url"] + NO_QUEUE}
    with _published(pipeline, changed | variables) as version, _retrying(pipeline, retry_seconds, deliveries):
        # Have the cold start now, so that it does not use up the visibility timeout.
        pipeline.invoke(version, {})
        failures = Failures(pipeline)
        with _live(pipeline, version):
            yield failures


@contextmanager
def _published(pipeline: Pipeline, variables: Mapping[str, str]) -> Generator[str]:
    """Publish a version of the function with other environment variables, and delete it at the end."""
    client, function = pipeline.deployed.client("lambda"), {"FunctionName": pipeline.outputs["function_name"]}
    deployed = client.get_function_configuration(**function)["Environment"]["Variables"]

    def configure(all_variables: Mapping[str, str]) -> None:
        client.update_function_configuration(**function, Environment={"Variables": all_variables})
        client.get_waiter("function_updated_v2").wait(**function, WaiterConfig=WAITER)

    with contextlib.ExitStack() as end:
        configure(deployed | variables)
        try:
            version = client.publish_version(**function)["Version"]
            end.callback(client.delete_function, **function, Qualifier=version)
        finally:
            configure(deployed)
        client.get_waiter("published_version_active").wait(**function, Qualifier=version, WaiterConfig=WAITER)
        yield version


@contextmanager
def _retrying(pipeline: Pipeline, retry_seconds: int, deliveries: int) -> Generator[None]:
    """Change the queue's visibility timeout and maximum number of deliveries, and restore them at the end."""
    sqs, queue = pipeline.deployed.client("sqs"), {"QueueUrl": pipeline.outputs["queue_url"]}
    names = ["VisibilityTimeout", "RedrivePolicy"]
    before = sqs.get_queue_attributes(**queue, AttributeNames=names)["Attributes"]
    assert "RedrivePolicy" in before, f"{queue['QueueUrl']} has no dead-letter queue"
    policy = json.loads(before["RedrivePolicy"]) | {"maxReceiveCount": deliveries}
    changed = {"VisibilityTimeout": str(retry_seconds), "RedrivePolicy": json.dumps(policy)}
    sqs.set_queue_attributes(**queue, Attributes=changed)
    try:
        yield
    finally:
        sqs.set_queue_attributes(**queue, Attributes=before)


@contextmanager
def _live(pipeline: Pipeline, version: str) -> Generator[None]:
    """Let the alias point to a version, and go back at the end."""
    client = pipeline.deployed.client("lambda")
    alias = {"FunctionName": pipeline.outputs["function_name"], "Name": LIVE}
    before = client.get_alias(**alias)["FunctionVersion"]
    client.update_alias(**alias, FunctionVersion=version)
    try:
        yield
    finally:
        client.update_alias(**alias, FunctionVersion=before)
