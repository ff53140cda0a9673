"""An emulated AWS for the function: moto, in the tests' process."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import boto3
import pytest
from moto import mock_aws

from infrastructure.storage import TIMESTAMP_INDEX
from processor.dead_letters import DeadLetterQueue
from processor.environment import Environment
from processor.events import EXAMPLE
from processor.storage import MessageStore

REGION = "us-east-1"
BUCKET = "payloads"
TABLE = "messages"
FUNCTION_NAME = "orders-dev-processor"
EXAMPLE_BODY = json.dumps(EXAMPLE)
# 2026-03-01T12:00:00.123Z, in milliseconds.
SENT = 1772366400123


@dataclass
class Emulated:
    """The resources of a deployed stack in the emulated AWS, and clients for them."""

    s3: Any
    dynamodb: Any
    sns: Any
    sqs: Any
    topic_arn: str
    queue_url: str
    dead_letter_queue_url: str
    inbox_url: str

    def objects(self) -> dict[str, bytes]:
        """Read all objects of the bucket, by key."""
        keys = [each["Key"] for each in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
        return {key: self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}

    def items(self) -> list[dict[str, Any]]:
        """Read all items of the table."""
        return self.dynamodb.scan(TableName=TABLE)["Items"]

    def dead_letters(self) -> list[dict[str, Any]]:
        """Receive the messages of the dead-letter queue."""
        received = self.sqs.receive_message(
            QueueUrl=self.dead_letter_queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        return received.get("Messages", [])

    def notifications(self) -> list[dict[str, Any]]:
        """Receive the notifications that the topic has sent."""
        received = self.sqs.receive_message(QueueUrl=self.inbox_url, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in received.get("Messages", [])]


@pytest.fixture(scope="session", name="clients")
def fixture_clients() -> dict[str, Any]:
    """Clients for the emulated AWS."""
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION)
    return {name: session.client(name) for name in ("s3", "dynamodb", "sns", "sqs")}


@pytest.fixture(name="aws")
def fixture_aws(clients: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulated]:
    """Emulate AWS, and set the function's environment variables."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with mock_aws():
        clients["s3"].create_bucket(Bucket=BUCKET)
        clients["dynamodb"].create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "message_id", "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("message_id", "date", "timestamp")
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": TIMESTAMP_INDEX,
                    "KeySchema": [
                        {"AttributeName": "date", "KeyType": "HASH"},
                        {"AttributeName": "timestamp", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
        urls = {
            name: clients["sqs"].create_queue(QueueName=name)["QueueUrl"] for name in ("queue", "dead-letters", "inbox")
        }
        topic_arn = clients["sns"].create_topic(Name="notifications")["TopicArn"]
        clients["sns"].subscribe(
            TopicArn=topic_arn, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:123456789012:inbox"
        )
        emulated = Emulated(
            **clients,
            topic_arn=topic_arn,
            queue_url=urls["queue"],
            dead_letter_queue_url=urls["dead-letters"],
            inbox_url=urls["inbox"],
        )
        environment = Environment(
            bucket_name=BUCKET,
            table_name=TABLE,
            topic_arn=emulated.topic_arn,
            queue_url=emulated.queue_url,
            dlq_url=emulated.dead_letter_queue_url,
            environment="dev",
        )
        set_by_lambda = {"AWS_DEFAULT_REGION": REGION, "AWS_LAMBDA_FUNCTION_NAME": FUNCTION_NAME}
        for name, value in (set_by_lambda | environment.variables()).items():
            monkeypatch.setenv(name, value)
        yield emulated


@pytest.fixture(name="store")
def fixture_store(aws: Emulated) -> MessageStore:
    """A message store in the emulated AWS."""
    return MessageStore(aws.s3, aws.dynamodb, aws.sns, BUCKET, TABLE, aws.topic_arn)


@pytest.fixture(name="dead_letter_queue")
def fixture_dead_letter_queue(aws: Emulated) -> DeadLetterQueue:
    """A dead-letter queue in the emulated AWS."""
    return DeadLetterQueue(aws.sqs, aws.queue_url, aws.dead_letter_queue_url)


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
        "eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:queue",
        "awsRegion": REGION,
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
