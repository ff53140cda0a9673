"""AWS for the function's tests, mocked by moto in the test process."""

import json
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.client import BaseClient
from moto import mock_aws

from processor.environment import Environment, read_environment
from processor.queues import Queues
from processor.storage import MessageStore
from tools.testing import RecordedProgram

FUNCTION_NAME = "orders-dev-processor"
MESSAGE_ID = "11111111-2222-4333-8444-555555555555"
# 2026-03-01T12:00:00.123Z, in milliseconds.
SENT = 1772366400123


@dataclass(frozen=True)
class Emulated:
    """The example stack in moto: boto3 clients, and the function's environment variables."""

    s3: Any
    dynamodb: Any
    sns: Any
    sqs: Any
    environment: Environment

    def objects(self) -> list[tuple[str, str, bytes]]:
        """Read all object versions in the bucket: key, content type and content."""
        bucket = self.environment.bucket_name
        versions = self.s3.list_object_versions(Bucket=bucket).get("Versions", [])
        read = [self.s3.get_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"]) for each in versions]
        return [
            (version["Key"], answer["ContentType"], answer["Body"].read())
            for version, answer in zip(versions, read, strict=True)
        ]

    def items(self) -> list[dict[str, Any]]:
        """Read all items of the table."""
        return self.dynamodb.scan(TableName=self.environment.table_name)["Items"]

    def dead_letters(self) -> list[dict[str, Any]]:
        """Receive the messages of the dead-letter queue."""
        return self._receive(self.environment.dlq_url)

    def notifications(self) -> list[dict[str, Any]]:
        """Receive the notifications that the topic has sent."""
        inbox = self.sqs.get_queue_url(QueueName=self.environment.topic_arn.rpartition(":")[2])["QueueUrl"]
        return [json.loads(message["Body"]) for message in self._receive(inbox)]

    def _receive(self, queue_url: str) -> list[dict[str, Any]]:
        answer = self.sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        return answer.get("Messages", [])


@pytest.fixture(scope="session", name="clients")
def fixture_clients(example: RecordedProgram) -> dict[str, Any]:
    """boto3 clients by service."""
    session = boto3.Session("testing", "testing", region_name=example.region)
    return {name: session.client(name) for name in ("s3", "dynamodb", "sns", "sqs")}


@pytest.fixture(name="aws")
def fixture_aws(
    example: RecordedProgram, clients: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Emulated]:
    """The example stack's resources in moto, with the function's environment variables set."""
    variables = example.one("aws:lambda/function:Function", "function").inputs["environment"]["variables"]
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    set_by_lambda = {"AWS_DEFAULT_REGION": example.region, "AWS_LAMBDA_FUNCTION_NAME": FUNCTION_NAME}
    for name, value in (set_by_lambda | variables).items():
        monkeypatch.setenv(name, value)
    environment = read_environment(variables)
    with mock_aws():
        for resource in example.resources:
            if resource.type in CREATORS:
                CREATORS[resource.type](clients, resource.inputs)
        clients["s3"].put_bucket_versioning(
            Bucket=environment.bucket_name, VersioningConfiguration={"Status": "Enabled"}
        )
        yield Emulated(**clients, environment=environment)


def create_queue(clients: dict[str, Any], queue: dict[str, Any]) -> None:
    redrive = {"RedrivePolicy": queue["redrivePolicy"]} if "redrivePolicy" in queue else {}
    attributes = {"MaximumMessageSize": str(int(queue["maxMessageSize"]))} | redrive
    clients["sqs"].create_queue(QueueName=queue["name"], Attributes=attributes)


def create_table(clients: dict[str, Any], table: dict[str, Any]) -> None:
    """Create a table with its primary key, without its index."""
    keys = {table["hashKey"]: "HASH"} | ({table["rangeKey"]: "RANGE"} if "rangeKey" in table else {})
    types = {attribute["name"]: attribute["type"] for attribute in table["attributes"]}
    clients["dynamodb"].create_table(
        TableName=table["name"],
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": name, "KeyType": key_type} for name, key_type in keys.items()],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": types[name]} for name in keys],
    )


def create_topic(clients: dict[str, Any], topic: dict[str, Any]) -> None:
    """Create a topic, and subscribe a queue of the same name."""
    arn = clients["sns"].create_topic(Name=topic["name"])["TopicArn"]
    clients["sqs"].create_queue(QueueName=topic["name"])
    clients["sns"].subscribe(TopicArn=arn, Protocol="sqs", Endpoint=arn.replace(":sns:", ":sqs:"))


# Functions that create a resource from its inputs, by Pulumi type.
CREATORS: dict[str, Callable[[dict[str, Any], dict[str, Any]], object]] = {
    "aws:dynamodb/table:Table": create_table,
    "aws:s3/bucket:Bucket": lambda clients, bucket: clients["s3"].create_bucket(Bucket=bucket["bucket"]),
    "aws:sns/topic:Topic": create_topic,
    "aws:sqs/queue:Queue": create_queue,
}


@pytest.fixture(name="store")
def fixture_store(aws: Emulated) -> MessageStore:
    """A message store that uses moto."""
    return MessageStore(**{each.name: getattr(aws, each.name) for each in fields(MessageStore)})


@pytest.fixture(name="queues")
def fixture_queues(aws: Emulated) -> Queues:
    """The queues of the example stack in moto."""
    return Queues(aws.sqs, aws.environment)


def sqs_record(body: str, message_id: str = MESSAGE_ID, deliveries: int = 1, /, **attributes: Any) -> dict[str, Any]:
    """Return a record in the event source mapping's format, for a message that is in no queue.

    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html

    Args:
        body: The message's body.
        message_id: The message's ID.
        deliveries: The message's receive count.
        attributes: Message attributes in Lambda's format.
    """
    return {
        "messageId": message_id,
        "receiptHandle": f"receipt-{message_id}",
        "body": body,
        "attributes": {"SentTimestamp": str(SENT), "ApproximateReceiveCount": str(deliveries)},
        "messageAttributes": attributes,
    }


@contextmanager
def failing(**errors: Sequence[Exception | None]) -> Generator[list[tuple[str, dict[str, Any]]]]:
    """Raise errors from the next calls to AWS operations, in order. ``None`` passes a call to moto.

    Yields:
        Operation and arguments of every call so far.
    """
    make_call = vars(BaseClient)["_make_api_call"]
    left = {operation: iter(outcomes) for operation, outcomes in errors.items()}
    calls: list[tuple[str, dict[str, Any]]] = []

    def call(client: BaseClient, operation: str, arguments: dict[str, Any]) -> Any:
        calls.append((operation, arguments))
        if error := next(left.get(operation, iter(())), None):
            raise error
        # The messages are in no queue, so they have no visibility timeout to change.
        return {} if operation == "ChangeMessageVisibility" else make_call(client, operation, arguments)

    with mock.patch.object(BaseClient, "_make_api_call", call):
        yield calls
