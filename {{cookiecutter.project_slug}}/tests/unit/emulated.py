"""An emulated AWS for the function: moto, in the tests' process."""

import base64
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
from tools.testing import Deployment, Resource

FUNCTION_NAME = "orders-dev-processor"
MESSAGE_ID = "11111111-2222-4333-8444-555555555555"
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

    def versions(self) -> int:
        """Count the versions of all objects of the bucket."""
        listed = self.s3.list_object_versions(Bucket=self.environment.bucket_name)
        return len(listed.get("Versions", []))

    def items(self) -> list[dict[str, Any]]:
        """Read all items of the table."""
        return self.dynamodb.scan(TableName=self.environment.table_name)["Items"]

    def send(self, body: str, **attributes: dict[str, Any]) -> str:
        """Send a message to the queue and return its id.

        Args:
            body: Its body.
            attributes: Its attributes, as SendMessage takes them.
        """
        queue_url = self.environment.queue_url
        return self.sqs.send_message(QueueUrl=queue_url, MessageBody=body, MessageAttributes=attributes)["MessageId"]

    def receive(self) -> list[dict[str, Any]]:
        """Receive up to ten messages of the queue, as the event source mapping passes them to the function."""
        received = self.sqs.receive_message(
            QueueUrl=self.environment.queue_url,
            MaxNumberOfMessages=10,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return [lambda_record(message) for message in received.get("Messages", [])]

    def delete(self, record: dict[str, Any]) -> None:
        """Delete a message from the queue."""
        self.sqs.delete_message(QueueUrl=self.environment.queue_url, ReceiptHandle=record["receiptHandle"])

    def reveal(self, record: dict[str, Any]) -> None:
        """Let the time pass for which a message is hidden."""
        self.sqs.change_message_visibility(
            QueueUrl=self.environment.queue_url, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=0
        )

    def waiting(self) -> int:
        """Count the messages in the queue, hidden or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self.sqs.get_queue_attributes(QueueUrl=self.environment.queue_url, AttributeNames=names)["Attributes"]
        return sum(int(counts[name]) for name in names)

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
        for versioning in example.all("aws:s3/bucketVersioning:BucketVersioning").values():
            enable_versioning(clients, example, versioning)
        environment = read_environment(variables)
        inbox = clients["sqs"].create_queue(QueueName="inbox")["QueueUrl"]
        inbox_arn = clients["sqs"].get_queue_attributes(QueueUrl=inbox, AttributeNames=["QueueArn"])["Attributes"]
        clients["sns"].subscribe(TopicArn=environment.topic_arn, Protocol="sqs", Endpoint=inbox_arn["QueueArn"])
        yield Emulated(**clients, environment=environment, inbox_url=inbox)


def enable_versioning(clients: dict[str, Any], deployment: Deployment, versioning: Resource) -> None:
    """Enable versioning of a bucket, which the mocks know by an id that ends in ``-id``."""
    bucket = deployment.one("aws:s3/bucket:Bucket", versioning.inputs["bucket"].removesuffix("-id"))
    clients["s3"].put_bucket_versioning(
        Bucket=bucket.inputs["bucket"],
        VersioningConfiguration={"Status": versioning.inputs["versioningConfiguration"]["status"]},
    )


def create_queue(clients: dict[str, Any], queue: Resource) -> None:
    """Create a queue with its limits and its redrive policy."""
    attributes = {
        "MaximumMessageSize": queue.inputs["maxMessageSize"],
        "MessageRetentionPeriod": queue.inputs["messageRetentionSeconds"],
        "VisibilityTimeout": queue.inputs.get("visibilityTimeoutSeconds", 30),
    }
    redrive = {"RedrivePolicy": queue.inputs["redrivePolicy"]} if "redrivePolicy" in queue.inputs else {}
    clients["sqs"].create_queue(
        QueueName=queue.inputs["name"],
        Attributes={name: str(int(value)) for name, value in attributes.items()} | redrive,
    )


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
    "aws:sqs/queue:Queue": create_queue,
}


@pytest.fixture(name="store")
def fixture_store(aws: Emulated) -> MessageStore:
    """A message store in the emulated AWS."""
    return MessageStore(aws.s3, aws.dynamodb, aws.sns, aws.environment)


@pytest.fixture(name="queues")
def fixture_queues(aws: Emulated) -> Queues:
    """The queues in the emulated AWS."""
    return Queues(aws.sqs, aws.environment)


def sqs_record(body: str, message_id: str = MESSAGE_ID, /, **attributes: dict[str, Any]) -> dict[str, Any]:
    """Return a record as the event source mapping passes it, of a message that is in no queue.

    https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html

    Args:
        body: The message's body.
        message_id: Its id.
        attributes: Its attributes, as Lambda passes them.
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


def lambda_record(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message that was received as the event source mapping passes it."""
    attributes = {name: lambda_attribute(value) for name, value in message.get("MessageAttributes", {}).items()}
    return sqs_record(message["Body"], message["MessageId"], **attributes) | {
        "receiptHandle": message["ReceiptHandle"],
        "attributes": message["Attributes"],
    }


def lambda_attribute(received: dict[str, Any]) -> dict[str, Any]:
    """Return a message attribute as the event source mapping passes it."""
    if "BinaryValue" in received:
        encoded = base64.b64encode(received["BinaryValue"]).decode()
        return {"dataType": received["DataType"], "binaryValue": encoded}
    return {"dataType": received["DataType"], "stringValue": received["StringValue"]}


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
