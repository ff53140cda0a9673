"""The deployed pipeline: sends messages, finds their results, and deletes these at the end.

Only the results of its own messages are found, so that several people can test one stack at the same time. AWS delivers
at least once, so notifications and dead letters are counted by their ids.
"""

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from infrastructure.processing import LIVE
from infrastructure.settings import Settings
from infrastructure.storage import TIMESTAMP_INDEX
from processor.events import EXAMPLE
from processor.identity import ORIGINAL_MESSAGE_ID
from processor.names import OBJECT_PREFIX
from tools.testing.deployed import Deployed

# A message that fails once is delivered again after 30 seconds: see processor/timing.py.
DEADLINE_SECONDS = 60
# Lambda may need several minutes before it polls a new event source:
# https://docs.aws.amazon.com/lambda/latest/dg/msk-starting-positions.html
FIRST_DEADLINE_SECONDS = 300
LOCAL_DEADLINE_SECONDS = 20
# Includes the function's cold start, on a busy machine too.
LOCAL_FIRST_DEADLINE_SECONDS = 60
# https://docs.aws.amazon.com/lambda/latest/api/API_EventSourceMappingConfiguration.html
CHANGING_STATES = {"Creating", "Enabling", "Updating"}
# SNS delivers to SQS within milliseconds, once it knows the subscription.
PROBE_SECONDS = 10
# Time to wait for a second notification or dead letter, which should not come.
SETTLING_SECONDS = 2
# Long polling, which also asks all servers of a queue:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
POLL_SECONDS = 5
PAUSE_SECONDS = 1
LOCAL_PAUSE_SECONDS = 0.2
# The tester's clock and SQS's may differ by so much.
CLOCK_SECONDS = 600
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
        sent: When the messages were sent, by message id.
        notifications: Notifications of these messages that have arrived in the inbox, by SNS's message id.
        dead_letters: These messages, if they have arrived in the dead-letter queue, by their id there.
    """

    deployed: Deployed
    outputs: Mapping[str, str]
    inbox_url: str
    sent: dict[str, datetime] = field(default_factory=dict)
    notifications: dict[str, dict[str, Any]] = field(default_factory=dict)
    dead_letters: dict[str, dict[str, Any]] = field(default_factory=dict)

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
        now = datetime.now(tz=UTC)
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
        sqs = self.deployed.client("sqs")
        answer = sqs.send_message_batch(QueueUrl=self.outputs["queue_url"], Entries=entries)
        assert not answer.get("Failed"), answer["Failed"]
        identities = {int(sent["Id"]): sent["MessageId"] for sent in answer["Successful"]}
        messages = [identities[number] for number in range(len(bodies))]
        self.sent |= dict.fromkeys(messages, now)
        return messages

    def send_back(self, dead_letter: Mapping[str, Any], body: str) -> None:
        """Send a dead letter back with its attributes, as SQS does, but with a repaired body."""
        self.deployed.client("sqs").send_message(
            QueueUrl=self.outputs["queue_url"], MessageBody=body, MessageAttributes=dead_letter["MessageAttributes"]
        )

    def deliver_again(self, message: str, body: str) -> dict[str, Any]:
        """Deliver a message once more, as SQS may do.

        Returns:
            The function's answer to Lambda.
        """
        item = self._item(message)
        assert item is not None, f"{message} has no item"
        sent = datetime.fromisoformat(item["timestamp"]["S"])
        attributes = {"ApproximateReceiveCount": "2", "SentTimestamp": str(round(sent.timestamp() * 1000))}
        return self.invoke(LIVE, {"messageId": message, "body": body, "attributes": attributes})

    def invoke(self, qualifier: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Invoke an alias or version of the function with one message, as Lambda does.

        Args:
            qualifier: Name of the alias, or number of the version.
            record: What differs from `EXAMPLE_RECORD`.

        Returns:
            The function's answer.
        """
        answer = self.deployed.client("lambda").invoke(
            FunctionName=self.outputs["function_name"],
            Qualifier=qualifier,
            Payload=json.dumps({"Records": [{**EXAMPLE_RECORD, **record}]}),
        )
        return json.loads(answer["Payload"].read())

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
        seconds = self._seconds(DEADLINE_SECONDS, LOCAL_DEADLINE_SECONDS) + retries
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = find(message)
            if found is not None:
                return found
            self._pause()
        raise AssertionError(f"{self.outputs['function_name']}: no {what} of {message} in {seconds} seconds")

    def _seconds(self, on_aws: float, local: float) -> float:
        return (local if self.deployed.is_local else on_aws) + self.settings.batch_window_seconds

    def warm_up(self) -> None:
        """Wait for the event source mapping, and send messages until the inbox receives a notification.

        Lambda may not poll the queue yet, and a topic may not know a new subscription yet. After this, messages are
        processed soon, and the inbox misses no notification. If none arrives, the tests say what does not work.

        Raises:
            AssertionError: If the mapping is not enabled.
        """
        deadline = time.monotonic() + self._seconds(FIRST_DEADLINE_SECONDS, LOCAL_FIRST_DEADLINE_SECONDS)
        while (state := self._mapping_state()) in CHANGING_STATES and time.monotonic() < deadline:
            self._pause()
        assert state == "Enabled", f"{self.outputs['queue_arn']}: event source mapping: {state}"
        while not self.notifications and time.monotonic() < deadline:
            self.send(json.dumps(EXAMPLE))
            next_probe = min(time.monotonic() + PROBE_SECONDS, deadline)
            while not self.notifications and time.monotonic() < next_probe:
                self._take_notifications(POLL_SECONDS)

    def _mapping_state(self) -> str:
        answer = self.deployed.client("lambda").list_event_source_mappings(
            FunctionName=f"{self.outputs['function_arn']}:{LIVE}", EventSourceArn=self.outputs["queue_arn"]
        )
        return next((mapping["State"] for mapping in answer["EventSourceMappings"]), "missing")

    def settle(self) -> None:
        """Wait for a second notification or dead letter, which should not come."""
        deadline = time.monotonic() + SETTLING_SECONDS
        while time.monotonic() < deadline:
            self._take_notifications(1)
            self._take_dead_letters(1)

    def _pause(self) -> None:
        time.sleep(LOCAL_PAUSE_SECONDS if self.deployed.is_local else PAUSE_SECONDS)

    def waiting(self) -> int:
        """Count the messages in the queue, visible or not. On AWS this is an estimate."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        sqs = self.deployed.client("sqs")
        answer = sqs.get_queue_attributes(QueueUrl=self.outputs["queue_url"], AttributeNames=names)
        return sum(map(int, answer["Attributes"].values()))

    def object_of(self, message: str) -> bytes | None:
        """Read a message's payload from the bucket."""
        versions = self.versions_of(message)
        if not versions:
            return None
        answer = self.deployed.client("s3").get_object(Bucket=self.outputs["bucket_name"], Key=versions[0]["Key"])
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
        return self._found(self._notifications_of, message, lambda: self._take_notifications(POLL_SECONDS))

    def dead_letter_of(self, message: str) -> dict[str, Any] | None:
        """Find a message in the dead-letter queue, whether the function or SQS moved it there."""
        return self._found(self._dead_letters_of, message, lambda: self._take_dead_letters(POLL_SECONDS))

    @staticmethod
    def _found(
        arrived: Callable[[str], list[dict[str, Any]]], message: str, look: Callable[[], None]
    ) -> dict[str, Any] | None:
        if not arrived(message):
            look()
        return next(iter(arrived(message)), None)

    def notification_count(self, message: str) -> int:
        """Count the notifications of a message."""
        return len(self._notifications_of(message))

    def dead_letter_count(self, message: str) -> int:
        """Count how often a message has arrived in the dead-letter queue."""
        return len(self._dead_letters_of(message))

    def _notifications_of(self, message: str) -> list[dict[str, Any]]:
        return [each for each in self.notifications.values() if each["message_id"] == message]

    def _dead_letters_of(self, message: str) -> list[dict[str, Any]]:
        return [each for each in self.dead_letters.values() if original(each) == message]

    def versions_of(self, message: str) -> list[dict[str, Any]]:
        """List the versions of a message's payload; each time it is stored adds one."""
        bucket, s3 = self.outputs["bucket_name"], self.deployed.client("s3")
        answers = (s3.list_object_versions(Bucket=bucket, Prefix=key) for key in self._keys(message))
        return [version for answer in answers for version in answer.get("Versions", [])]

    def _keys(self, message: str) -> set[str]:
        """Return the keys that a message's payload may have: without an item, the date is not exactly known."""
        item = self._item(message)
        if item is not None:
            return {item["object_key"]["S"]}
        clock = timedelta(seconds=CLOCK_SECONDS)
        dates = {(self.sent[message] + difference).date() for difference in (-clock, clock)}
        return {f"{OBJECT_PREFIX}{date}/{message}.json" for date in dates}

    def _item(self, message: str) -> dict[str, Any] | None:
        answer = self.deployed.client("dynamodb").get_item(
            TableName=self.outputs["table_name"], Key={"message_id": {"S": message}}, ConsistentRead=True
        )
        return answer.get("Item")

    def _take_notifications(self, seconds: int) -> None:
        """Receive and delete what is in the inbox; keep this run's notifications."""
        for message in self._received(self.inbox_url, WaitTimeSeconds=seconds):
            self._delete(self.inbox_url, message)
            envelope = json.loads(message["Body"])
            notification = _notification(envelope["Message"])
            if notification.get("message_id") in self.sent:
                self.notifications[envelope["MessageId"]] = notification | {"subject": envelope["Subject"]}

    def _take_dead_letters(self, seconds: int) -> None:
        """Receive and delete this run's dead letters, and make the others visible again at once.

        Otherwise two runs could hide each other's dead letters all the time.
        """
        sqs, queue = self.deployed.client("sqs"), self.outputs["dlq_url"]
        others: list[str] = []
        for message in self._received(
            queue, WaitTimeSeconds=seconds, MessageAttributeNames=["All"], VisibilityTimeout=PEEK_SECONDS
        ):
            if original(message) in self.sent:
                self.dead_letters[message["MessageId"]] = message
                self._delete(queue, message)
            else:
                others.append(message["ReceiptHandle"])
        for receipt in others:
            # Somebody else may have it by now.
            with contextlib.suppress(ClientError):
                sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=receipt, VisibilityTimeout=0)

    def _received(self, queue: str, **options: Any) -> Iterator[dict[str, Any]]:
        """Receive messages until there are no more; wait only for the first."""
        for _ in range(RECEIVE_CALLS):
            answer = self.deployed.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10, **options)
            yield from answer.get("Messages", [])
            if not answer.get("Messages"):
                break
            options["WaitTimeSeconds"] = 0

    def _delete(self, queue: str, message: Mapping[str, Any]) -> None:
        self.deployed.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])

    def remove_all(self) -> list[str]:
        """Delete what the messages left behind: objects with all their versions, items, dead letters.

        Results of messages that a test no longer waited for may arrive late.

        Returns:
            The ids of messages without a result until the deadline. They may still leave something behind.
        """
        deadline = time.monotonic() + self._seconds(DEADLINE_SECONDS, LOCAL_DEADLINE_SECONDS)
        without_result = set(self.sent)
        while without_result:
            self._take_dead_letters(0)
            without_result = {message for message in without_result if not self._is_done(message)}
            if time.monotonic() > deadline:
                break
            self._pause()
        self.settle()
        bucket, table = self.outputs["bucket_name"], self.outputs["table_name"]
        s3, dynamodb = self.deployed.client("s3"), self.deployed.client("dynamodb")
        for message in self.sent:
            for version in self.versions_of(message):
                s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
            dynamodb.delete_item(TableName=table, Key={"message_id": {"S": message}})
        return sorted(without_result)

    def _is_done(self, message: str) -> bool:
        """Whether a message is dead-lettered, or its item says that its notification was sent."""
        if self.dead_letter_count(message):
            return True
        item = self._item(message)
        return item is not None and item["announced"]["BOOL"]


def original(dead_letter: Mapping[str, Any]) -> str:
    """Return the id of the message that became a dead letter."""
    attribute = dead_letter.get("MessageAttributes", {}).get(ORIGINAL_MESSAGE_ID)
    return attribute["StringValue"] if attribute else dead_letter["MessageId"]


def _notification(text: str) -> dict[str, Any]:
    """Read a notification of the function; return nothing for others."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def _opened_inbox(deployed: Deployed, outputs: Mapping[str, str]) -> Generator[str]:
    """Create a temporary queue to which the topic may send.

    https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html

    Yields:
        Its URL.
    """
    sqs = deployed.client("sqs")
    name = f"{outputs['function_name']}-test-{uuid.uuid4().hex[:8]}"
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": deployed.account.arn("sqs", name),
                "Condition": {"ArnEquals": {"aws:SourceArn": outputs["topic_arn"]}},
            }
        ],
    }
    url = sqs.create_queue(QueueName=name, Attributes={"Policy": json.dumps(policy)}, tags=TAGS)["QueueUrl"]
    try:
        if not deployed.is_local:
            time.sleep(QUEUE_SECONDS)
        yield url
    finally:
        sqs.delete_queue(QueueUrl=url)


@contextmanager
def _subscribed(deployed: Deployed, outputs: Mapping[str, str], inbox_url: str) -> Generator[None]:
    """Subscribe the inbox to the topic."""
    sns, arn = deployed.client("sns"), deployed.account.arn("sqs", inbox_url.rpartition("/")[2])
    subscription = sns.subscribe(
        TopicArn=outputs["topic_arn"], Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True
    )
    try:
        yield
    finally:
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])


@contextmanager
def opened_pipeline(
    deployed: Deployed, outputs: Mapping[str, str], report: Callable[[str], None]
) -> Generator[Pipeline]:
    """Open the pipeline, and delete at the end what was sent through it.

    Args:
        deployed: The stack.
        outputs: Outputs of the stack.
        report: Tells the tester what could not be deleted.

    Yields:
        The pipeline.
    """
    with _opened_inbox(deployed, outputs) as inbox_url:
        pipeline = Pipeline(deployed, outputs, inbox_url)
        try:
            with _subscribed(deployed, outputs, inbox_url):
                pipeline.warm_up()
                yield pipeline
        finally:
            # This takes some seconds: a notification that SNS cannot deliver to a deleted inbox would raise an alarm.
            without_result = pipeline.remove_all()
            if without_result:
                report(f"These messages had no result, and may still leave something: {', '.join(without_result)}")
