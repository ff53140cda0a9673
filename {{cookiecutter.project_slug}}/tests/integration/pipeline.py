"""The deployed pipeline in use: messages sent, what becomes of them found, and all of it removed in the end.

Nothing is found but what was sent through the same object, so that several people can use one stack at a time.
"""

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from infrastructure.settings import Settings
from infrastructure.storage import TIMESTAMP_INDEX
from processor.events import EXAMPLE
from tools.logs import FunctionLog
from tools.testing.deployed import Deployed

# A function that has not run for a while, or just now for the first time, takes its time to start.
DEADLINE_SECONDS = 60
LOCAL_DEADLINE_SECONDS = 20
# What has not come twice by then does not.
SETTLING_SECONDS = 2
PAUSE_SECONDS = 1
LOCAL_PAUSE_SECONDS = 0.2
NO_BUCKET = "a-bucket-that-does-not-exist"
# Longer than a function takes to start, however busy the machine is.
START_SECONDS = 20
# https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
EXAMPLE_RECORD = {
    "messageId": "00000000-0000-0000-0000-000000000000",
    "receiptHandle": "handle",
    "body": json.dumps(EXAMPLE),
    "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1700000000000", "SenderId": "123456789012"},
    "messageAttributes": {},
    "eventSource": "aws:sqs",
    "awsRegion": "us-east-1",
}
# A queue can be used a second after it was created:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
QUEUE_SECONDS = 1
# Somebody else may have left many dead letters: as many times ten are looked through at once.
LOOKS = 20
# Somebody else's dead letters are hidden from them for no longer, should this run be killed while it looks.
PEEK_SECONDS = 2

# An inbox that a killed run has left can be told from what the stack owns.
TAGS = {"ManagedBy": "integration tests"}

Found = TypeVar("Found")


@dataclass
class Pipeline:
    """The deployed pipeline, with an inbox for its notifications.

    Attributes:
        deployed: The stack.
        outputs: What its program exports.
        inbox_url: A queue that is subscribed to the topic.
        sent: The messages that were sent, by identity, with their bodies.
        function_log: What the function logs, in the emulator, since it was first made to fail.
        notifications: What has come into the inbox for them.
        dead_letters: What has come into the dead-letter queue for them.
    """

    deployed: Deployed
    outputs: Mapping[str, str]
    inbox_url: str
    sent: dict[str, str] = field(default_factory=dict)
    function_log: FunctionLog | None = None
    notifications: list[dict[str, Any]] = field(default_factory=list)
    dead_letters: list[dict[str, Any]] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """The stack's settings."""
        return self.deployed.read_settings(Settings)

    def send(self, *bodies: str) -> list[str]:
        """Send messages.

        Args:
            bodies: What they say.

        Returns:
            Their identities.
        """
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
        sqs = self.deployed.client("sqs")
        answer = sqs.send_message_batch(QueueUrl=self.outputs["queue_url"], Entries=entries)
        assert not answer.get("Failed"), answer["Failed"]
        identities = {int(sent["Id"]): sent["MessageId"] for sent in answer["Successful"]}
        messages = [identities[number] for number in range(len(bodies))]
        self.sent |= dict(zip(messages, bodies, strict=True))
        return messages

    def wait_for(self, find: Callable[[str], Found | None], message: str, what: str, *, retries: float = 0) -> Found:
        """Look for what becomes of a message until it is there.

        Args:
            find: One of the methods below.
            message: The message's identity.
            what: What is looked for, for people.
            retries: How many seconds the message takes to be retried, if it is to be.

        Raises:
            AssertionError: If it does not come in time.
        """
        seconds = LOCAL_DEADLINE_SECONDS if self.deployed.is_local else DEADLINE_SECONDS
        seconds += self.settings.batch_window_seconds + retries
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = find(message)
            if found is not None:
                return found
            self._pause()
        raise AssertionError(f"{self.outputs['function_name']}: no {what} of {message} in {seconds} seconds")

    def settle(self) -> None:
        """Wait for what should not come: a second notification, a second dead letter."""
        deadline = time.monotonic() + SETTLING_SECONDS
        while time.monotonic() < deadline:
            self._receive()
            self._pause()

    def _pause(self) -> None:
        time.sleep(LOCAL_PAUSE_SECONDS if self.deployed.is_local else PAUSE_SECONDS)

    @contextmanager
    def failing(self, retry_seconds: int) -> Generator[None]:
        """Take the bucket away from the function meanwhile, so that it fails.

        The bucket itself, and what is in it, is left alone: the function is led to one that does not exist.

        Args:
            retry_seconds: How soon a message that has failed comes back meanwhile.
        """
        self.function_log = self.function_log or FunctionLog(
            self.deployed.client("logs").meta.endpoint_url, since=int(time.time() * 1000)
        )
        hidden = self._visibility_seconds()
        variables = self._function_variables()
        self._configure(variables | {"BUCKET_NAME": NO_BUCKET})
        try:
            # The function starts now, and not in the time that a message has until it comes back.
            self.deployed.client("lambda").invoke(
                FunctionName=self.outputs["function_name"], Payload=json.dumps({"Records": [EXAMPLE_RECORD]})
            )
            self._set_visibility_seconds(retry_seconds)
            yield
        finally:
            # Here it may have to start within that time.
            self._set_visibility_seconds(START_SECONDS)
            self._configure(variables)
            self._set_visibility_seconds(hidden)

    def _function_variables(self) -> dict[str, str]:
        client = self.deployed.client("lambda")
        function = client.get_function_configuration(FunctionName=self.outputs["function_name"])
        return function["Environment"]["Variables"]

    def _configure(self, variables: dict[str, str]) -> None:
        client, function = self.deployed.client("lambda"), self.outputs["function_name"]
        client.update_function_configuration(FunctionName=function, Environment={"Variables": variables})
        client.get_waiter("function_updated_v2").wait(FunctionName=function, WaiterConfig={"Delay": 1})

    def _visibility_seconds(self) -> int:
        answer = self.deployed.client("sqs").get_queue_attributes(
            QueueUrl=self.outputs["queue_url"], AttributeNames=["VisibilityTimeout"]
        )
        return int(answer["Attributes"]["VisibilityTimeout"])

    def _set_visibility_seconds(self, seconds: int) -> None:
        self.deployed.client("sqs").set_queue_attributes(
            QueueUrl=self.outputs["queue_url"], Attributes={"VisibilityTimeout": str(seconds)}
        )

    def failures_of(self, message: str) -> list[str]:
        """Find what the function has logged of a message that it could not process, in the emulator."""
        if self.function_log is None:
            return []
        self.function_log.read()
        return [line for line in self.function_log.lines if message in line]

    def waiting(self) -> int:
        """Count the messages in the queue, received or not: exact in the emulator, an estimate on AWS."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        sqs = self.deployed.client("sqs")
        answer = sqs.get_queue_attributes(QueueUrl=self.outputs["queue_url"], AttributeNames=names)
        return sum(map(int, answer["Attributes"].values()))

    def object_of(self, message: str) -> bytes | None:
        """Read a message's payload from the bucket."""
        item = self._item(message)
        if item is None:
            return None
        s3 = self.deployed.client("s3")
        found = s3.list_objects_v2(Bucket=self.outputs["bucket_name"], Prefix=item["object_key"]["S"])
        if not found.get("KeyCount"):
            return None
        answer = s3.get_object(Bucket=self.outputs["bucket_name"], Key=item["object_key"]["S"])
        return answer["Body"].read()

    def item_of(self, message: str) -> dict[str, str] | None:
        """Find a message's item as a reader finds it: through the index, by the range of time in which it was sent."""
        item = self._item(message)
        if item is None:
            return None
        found = self.deployed.client("dynamodb").query(
            TableName=self.outputs["table_name"],
            IndexName=TIMESTAMP_INDEX,
            KeyConditionExpression="#date = :date AND #timestamp BETWEEN :from AND :to",
            FilterExpression="message_id = :message",
            ExpressionAttributeNames={"#date": "date", "#timestamp": "timestamp"},
            ExpressionAttributeValues={
                ":date": item["date"],
                ":from": item["timestamp"],
                ":to": item["timestamp"],
                ":message": {"S": message},
            },
        )["Items"]
        return {name: value["S"] for name, value in found[0].items() if "S" in value} if found else None

    def notification_of(self, message: str) -> dict[str, Any] | None:
        """Find the notification of a message."""
        self._receive()
        return next((each for each in self.notifications if each["message_id"] == message), None)

    def dead_letter_of(self, message: str) -> dict[str, Any] | None:
        """Find a message in the dead-letter queue, whether the function or SQS has put it there."""
        self._receive()
        return next((each for each in self.dead_letters if original(each) == message), None)

    def announcements(self, message: str) -> int:
        """Count the notifications of a message that have come."""
        return sum(each["message_id"] == message for each in self.notifications)

    def burials(self, message: str) -> int:
        """Count how often a message has come into the dead-letter queue."""
        return sum(original(each) == message for each in self.dead_letters)

    def versions_of(self, message: str) -> list[dict[str, Any]]:
        """List the versions of a message's payload: one for each time that it was stored."""
        item = self._item(message)
        if item is None:
            return []
        bucket = self.outputs["bucket_name"]
        answer = self.deployed.client("s3").list_object_versions(Bucket=bucket, Prefix=item["object_key"]["S"])
        return answer.get("Versions", [])

    def _item(self, message: str) -> dict[str, Any] | None:
        answer = self.deployed.client("dynamodb").get_item(
            TableName=self.outputs["table_name"], Key={"message_id": {"S": message}}, ConsistentRead=True
        )
        return answer.get("Item")

    def _receive(self) -> None:
        """Take what has come for the messages of this run out of the inbox and out of the dead-letter queue."""
        sqs = self.deployed.client("sqs")
        for message in sqs.receive_message(QueueUrl=self.inbox_url, MaxNumberOfMessages=10).get("Messages", []):
            sqs.delete_message(QueueUrl=self.inbox_url, ReceiptHandle=message["ReceiptHandle"])
            envelope = json.loads(message["Body"])
            notification = _notification(envelope["Message"])
            if notification.get("message_id") in self.sent:
                self.notifications.append(notification | {"subject": envelope["Subject"]})
        self._take_dead_letters()

    def _take_dead_letters(self) -> None:
        """Take this run's dead letters out of their queue, and give the others back at once.

        Two runs that hid one another's for a while, at the same pace, would each never see its own.
        """
        sqs, queue = self.deployed.client("sqs"), self.outputs["dlq_url"]
        others: list[str] = []
        for _ in range(LOOKS):
            messages = sqs.receive_message(
                QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=PEEK_SECONDS
            ).get("Messages", [])
            for message in messages:
                if original(message) not in self.sent:
                    others.append(message["ReceiptHandle"])
                    continue
                self.dead_letters.append(message)
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            if not messages:
                break
        for receipt in others:
            # Somebody else may have it by now.
            with contextlib.suppress(ClientError):
                sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=receipt, VisibilityTimeout=0)

    def remove_all(self) -> None:
        """Remove what the sent messages have left: objects with all their versions, items, dead letters."""
        self.settle()
        bucket, table = self.outputs["bucket_name"], self.outputs["table_name"]
        s3, dynamodb = self.deployed.client("s3"), self.deployed.client("dynamodb")
        for message in self.sent:
            for version in self.versions_of(message):
                s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
            dynamodb.delete_item(TableName=table, Key={"message_id": {"S": message}})


def original(dead_letter: dict[str, Any]) -> str:
    """Tell which message a dead letter was."""
    attribute = dead_letter.get("MessageAttributes", {}).get("OriginalMessageId")
    return attribute["StringValue"] if attribute else dead_letter["MessageId"]


def _notification(text: str) -> dict[str, Any]:
    """Read a notification; what is none of the function's, an alarm for example, is nothing."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def _opened_inbox(deployed: Deployed, outputs: Mapping[str, str]) -> Generator[str]:
    """Subscribe a temporary queue to the topic.

    https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html
    """
    sqs, sns, topic_arn = deployed.client("sqs"), deployed.client("sns"), outputs["topic_arn"]
    name = f"{outputs['function_name']}-test-{uuid.uuid4().hex[:8]}"
    arn = deployed.account.arn("sqs", name)
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
            }
        ],
    }
    url = sqs.create_queue(QueueName=name, Attributes={"Policy": json.dumps(policy)}, tags=TAGS)["QueueUrl"]
    try:
        if not deployed.is_local:
            time.sleep(QUEUE_SECONDS)
        subscription = sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
        try:
            yield url
        finally:
            sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    finally:
        sqs.delete_queue(QueueUrl=url)


@contextmanager
def opened_pipeline(deployed: Deployed, outputs: Mapping[str, str]) -> Generator[Pipeline]:
    """Open the pipeline for use; what is sent through it is removed in the end.

    Args:
        deployed: The stack.
        outputs: What its program exports.

    Yields:
        The pipeline.
    """
    with _opened_inbox(deployed, outputs) as inbox_url:
        pipeline = Pipeline(deployed, outputs, inbox_url)
        try:
            yield pipeline
        finally:
            pipeline.remove_all()
