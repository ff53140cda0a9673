"""An emulated AWS for the function: moto, in the tests' process."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import boto3
import pytest
from moto import mock_aws

from processor.environment import Environment, read_environment
from processor.queues import Queues
from processor.storage import MessageStore
from tools.testing.recording import Deployment, Resource

FUNCTION_NAME = "orders-dev-processor"
# 2026-03-01T12:00:00.123Z, in milliseconds.
SENT = 1772366400123


@dataclass
class Emulated:
    """The resources of a deployed stack in the emulated AWS, and clients for them."""

    s3: Any
    dynamodb: Any
    sns: Any
    sqs: Any
    environment: Environment
    inbox_url: str

    def objects(self) -> dict[str, bytes]:
        """Read all objects of the bucket, by key."""
        bucket = self.environment.bucket_name
        keys = [each["Key"] for each in self.s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        return {key: self.s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def items(self) -> list[dict[str, Any]]:
        """Read all items of the table."""
        return self.dynamodb.scan(TableName=self.environment.table_name)["Items"]

    def dead_letters(self) -> list[dict[str, Any]]:
        """Receive the messages of the dead-letter queue."""
        received = self.sqs.receive_message(
            QueueUrl=self.environment.dlq_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        return received.get("Messages", [])

    def notifications(self) -> list[dict[str, Any]]:
        """Receive the notifications that the topic has sent."""
        received = self.sqs.receive_message(QueueUrl=self.inbox_url, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in received.get("Messages", [])]


@pytest.fixture(scope="session", name="clients")
def fixture_clients(example: Deployment) -> dict[str, Any]:
    """Clients for the emulated AWS."""
    session = boto3.Session("testing", "testing", region_name=example.region)
    return {name: session.client(name) for name in ("s3", "dynamodb", "sns", "sqs")}


@pytest.fixture(name="aws")
def fixture_aws(example: Deployment, clients: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulated]:
    """Create the example stack's resources in an emulated AWS, and set the function's environment variables."""
    function = example.one("aws:lambda/function:Function", "function").inputs
    variables = function["environment"]["variables"]
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    set_by_lambda = {"AWS_DEFAULT_REGION": example.region, "AWS_LAMBDA_FUNCTION_NAME": FUNCTION_NAME}
    for name, value in (set_by_lambda | variables).items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        for resource in example.resources:
            if resource.type in CREATORS:
                CREATORS[resource.type](clients, resource)
        environment = read_environment(variables)
        inbox = clients["sqs"].create_queue(QueueName="inbox")["QueueUrl"]
        inbox_arn = clients["sqs"].get_queue_attributes(QueueUrl=inbox, AttributeNames=["QueueArn"])["Attributes"]
        clients["sns"].subscribe(TopicArn=environment.topic_arn, Protocol="sqs", Endpoint=inbox_arn["QueueArn"])
        yield Emulated(**clients, environment=environment, inbox_url=inbox)


def create_table(clients: dict[str, Any], table: Resource) -> None:
    """Create a table with its keys and indexes."""
    indexes = [
        {
            "IndexName": index["name"],
            "KeySchema": [
                {"AttributeName": key["attributeName"], "KeyType": key["keyType"]} for key in index["keySchemas"]
            ],
            "Projection": {"ProjectionType": index["projectionType"]},
        }
        for index in table.inputs.get("globalSecondaryIndexes", ())
    ]
    keys = {"HASH": table.inputs["hashKey"], "RANGE": table.inputs.get("rangeKey")}
    clients["dynamodb"].create_table(
        TableName=table.inputs["name"],
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": name, "KeyType": kind} for kind, name in keys.items() if name],
        AttributeDefinitions=[
            {"AttributeName": each["name"], "AttributeType": each["type"]} for each in table.inputs["attributes"]
        ],
        **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
    )


CREATORS: dict[str, Callable[[dict[str, Any], Resource], object]] = {
    "aws:dynamodb/table:Table": create_table,
    "aws:s3/bucket:Bucket": lambda clients, bucket: clients["s3"].create_bucket(Bucket=bucket.inputs["bucket"]),
    "aws:sns/topic:Topic": lambda clients, topic: clients["sns"].create_topic(Name=topic.inputs["name"]),
    "aws:sqs/queue:Queue": lambda clients, queue: clients["sqs"].create_queue(QueueName=queue.inputs["name"]),
}


@pytest.fixture(name="store")
def fixture_store(aws: Emulated) -> MessageStore:
    """A message store in the emulated AWS."""
    return MessageStore(aws.s3, aws.dynamodb, aws.sns, aws.environment)


@pytest.fixture(name="queues")
def fixture_queues(aws: Emulated) -> Queues:
    """The queues in the emulated AWS."""
    return Queues(aws.sqs, aws.environment)


def sqs_record(body: str, message_id: str = "m-1", **attributes: dict[str, Any]) -> dict[str, Any]:
    """Return a record as the SQS event source mapping passes it.

    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
    """
    return {
        "messageId": message_id,
        "receiptHandle": f"receipt-{message_id}",
        "body": body,
        "attributes": {"SentTimestamp": str(SENT), "ApproximateReceiveCount": "1"},
        "messageAttributes": attributes,
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:queue",
        "awsRegion": "us-east-1",
    }


def failing(client: Any, operation: str, *errors: Exception | None) -> Any:
    """Make the next calls of an operation raise these errors in turn; ``None`` makes a call succeed."""
    original = getattr(client, operation)
    outcomes = iter(errors)

    def call(**arguments: Any) -> Any:
        error = next(outcomes, None)
        if error is not None:
            raise error
        return original(**arguments)

    return mock.patch.object(client, operation, side_effect=call)
