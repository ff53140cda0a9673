"""The deployed pipeline: sends messages, finds their results, and deletes these at the end.

Only the results of its own messages are found, so that several people can test one stack at the same time.
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

# Includes the function's cold start.
DEADLINE_SECONDS = 60
LOCAL_DEADLINE_SECONDS = 20
# Time to wait for a second notification or dead letter, which should not come.
SETTLING_SECONDS = 2
PAUSE_SECONDS = 1
LOCAL_PAUSE_SECONDS = 0.2
NO_BUCKET = "a-bucket-that-does-not-exist"
# Longer than a cold start, even on a busy machine.
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
# Maximum number of calls, for ten messages each: others may have left many dead letters.
RECEIVE_CALLS = 20
# Short, because a run that is killed while it looks leaves other people's dead letters hidden for this time.
PEEK_SECONDS = 2

# Marks an inbox that a killed run left behind.
TAGS = {"ManagedBy": "integration tests"}

Found = TypeVar("Found")


@dataclass
class Pipeline:
    """The deployed pipeline, with an inbox for its notifications.

    Attributes:
        deployed: The stack.
        outputs: Outputs of the stack.
        inbox_url: A queue that is subscribed to the topic.
        sent: Bodies of the messages that were sent, by message id.
        function_log: The function's log in the emulator, since the test first made it fail.
        notifications: Notifications of these messages that have arrived in the inbox.
        dead_letters: These messages, if they have arrived in the dead-letter queue.
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
            bodies: Bodies of the messages.

        Returns:
            The message ids.
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
        """Wait for a result of a message.

        Args:
            find: Method that finds the result, for example `item_of`.
            message: The message's id.
            what: Name of the result in the error's message.
            retries: Additional seconds, for retries.

        Raises:
            AssertionError: If there is no result in time.
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
        """Wait for a second notification or dead letter, which should not come."""
        deadline = time.monotonic() + SETTLING_SECONDS
        while time.monotonic() < deadline:
            self._receive()
            self._pause()

    def _pause(self) -> None:
        time.sleep(LOCAL_PAUSE_SECONDS if self.deployed.is_local else PAUSE_SECONDS)

    @contextmanager
    def failing(self, retry_seconds: int) -> Generator[None]:
        """Make the function fail, by pointing it to a bucket that does not exist.

        Args:
            retry_seconds: Visibility timeout meanwhile.
        """
        self.function_log = self.function_log or FunctionLog(
            self.deployed.client("logs").meta.endpoint_url, since=int(time.time() * 1000)
        )
        hidden = self._visibility_seconds()
        variables = self._function_variables()
        self._configure(variables | {"BUCKET_NAME": NO_BUCKET})
        try:
            # Have the cold start now, so that it does not use up the visibility timeout.
            self.deployed.client("lambda").invoke(
                FunctionName=self.outputs["function_name"], Payload=json.dumps({"Records": [EXAMPLE_RECORD]})
            )
            self._set_visibility_seconds(retry_seconds)
            yield
        finally:
            # The visibility timeout now includes a cold start.
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
        """Return the emulator's log lines about a message that failed."""
        if self.function_log is None:
            return []
        self.function_log.read()
        return [line for line in self.function_log.lines if message in line]

    def waiting(self) -> int:
        """Count the messages in the queue, visible or not. On AWS this is an estimate."""
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
        """Query a message's item through the index, as a reader does."""
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
        """Find a message in the dead-letter queue, whether the function or SQS moved it there."""
        self._receive()
        return next((each for each in self.dead_letters if original(each) == message), None)

    def notification_count(self, message: str) -> int:
        """Count the notifications of a message."""
        return sum(each["message_id"] == message for each in self.notifications)

    def dead_letter_count(self, message: str) -> int:
        """Count how often a message has arrived in the dead-letter queue."""
        return sum(original(each) == message for each in self.dead_letters)

    def versions_of(self, message: str) -> list[dict[str, Any]]:
        """List the versions of a message's payload; each time it is stored adds one."""
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
        """Receive and delete this run's messages from the inbox and the dead-letter queue."""
        sqs = self.deployed.client("sqs")
        for message in sqs.receive_message(QueueUrl=self.inbox_url, MaxNumberOfMessages=10).get("Messages", []):
            sqs.delete_message(QueueUrl=self.inbox_url, ReceiptHandle=message["ReceiptHandle"])
            envelope = json.loads(message["Body"])
            notification = _notification(envelope["Message"])
            if notification.get("message_id") in self.sent:
                self.notifications.append(notification | {"subject": envelope["Subject"]})
        self._take_dead_letters()

    def _take_dead_letters(self) -> None:
        """Receive and delete this run's dead letters, and make the others visible again at once.

        Otherwise two runs could hide each other's dead letters all the time.
        """
        sqs, queue = self.deployed.client("sqs"), self.outputs["dlq_url"]
        others: list[str] = []
        for _ in range(RECEIVE_CALLS):
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
        """Delete what the messages left behind: objects with all their versions, items, dead letters."""
        self.settle()
        bucket, table = self.outputs["bucket_name"], self.outputs["table_name"]
        s3, dynamodb = self.deployed.client("s3"), self.deployed.client("dynamodb")
        for message in self.sent:
            for version in self.versions_of(message):
                s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
            dynamodb.delete_item(TableName=table, Key={"message_id": {"S": message}})


def original(dead_letter: dict[str, Any]) -> str:
    """Return the id of the message that became a dead letter."""
    attribute = dead_letter.get("MessageAttributes", {}).get("OriginalMessageId")
    return attribute["StringValue"] if attribute else dead_letter["MessageId"]


def _notification(text: str) -> dict[str, Any]:
    """Read a notification of the function; return nothing for others, such as alarms."""
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
    """Open the pipeline, and delete at the end what was sent through it.

    Args:
        deployed: The stack.
        outputs: Outputs of the stack.

    Yields:
        The pipeline.
    """
    with _opened_inbox(deployed, outputs) as inbox_url:
        pipeline = Pipeline(deployed, outputs, inbox_url)
        try:
            yield pipeline
        finally:
            pipeline.remove_all()
