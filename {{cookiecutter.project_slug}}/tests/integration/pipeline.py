"""Sends messages through the deployed pipeline, finds their results, and deletes the results at the end.

Results of other messages are ignored, so several people can test a stack at the same time. SNS and SQS deliver at
least once, so notifications and dead letters are deduplicated by their IDs.
"""

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from tests.integration.stack import Stack

LIVE = "live"
# A message that fails once is redelivered after 30 seconds. Lambda may take minutes to start polling a new event
# source.
DEADLINE_SECONDS = 60
FIRST_DEADLINE_SECONDS = 300
# The local deadlines include a cold start on a busy machine.
LOCAL_DEADLINE_SECONDS = 20
LOCAL_FIRST_DEADLINE_SECONDS = 60
# SNS delivers to SQS within milliseconds once a subscription has taken effect.
NOTIFICATION_SECONDS = 10
# Unexpected results have this long to arrive.
SETTLING_SECONDS = 2
PAUSE_SECONDS = 0.2
# Short visibility timeout: a killed run hides other senders' dead letters for this long.
PEEK_SECONDS = 2
# Each call receives up to ten messages: the queue may have many dead letters of other senders.
RECEIVE_CALLS = 20
# The tag identifies the inbox that a killed run leaves behind.
TAGS = {"ManagedBy": "integration tests"}

Found = TypeVar("Found")
Results = dict[tuple[str, str], dict[str, Any]]


class Pipeline:
    """A client of the deployed pipeline.

    Args:
        stack: The stack.
        inbox_url: URL of a queue that is subscribed to the notification topic.

    Attributes:
        stack: The stack.
        sent: Send time of each message, by message ID.
    """

    def __init__(self, stack: Stack, inbox_url: str) -> None:
        self.stack = stack
        self.sent: dict[str, datetime] = {}
        self._sqs = stack.client("sqs")
        self._inbox_url = inbox_url
        # The key is the message ID, and the ID of the notification or dead letter.
        self._notifications: Results = {}
        self._letters: Results = {}

    def send(self, *bodies: str) -> list[str]:
        """Send messages, and return their IDs."""
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
        answer = self._sqs.send_message_batch(QueueUrl=self.stack.outputs["queue_url"], Entries=entries)
        identities = {int(sent["Id"]): sent["MessageId"] for sent in answer["Successful"]}
        messages = [identities[number] for number in range(len(bodies))]
        self.sent |= dict.fromkeys(messages, datetime.now(tz=UTC))
        return messages

    def send_first(self, body: str) -> str:
        """Send the body until a notification arrives; return the last message ID. A new subscription has a delay."""
        seconds = self._seconds(FIRST_DEADLINE_SECONDS, LOCAL_FIRST_DEADLINE_SECONDS)
        deadline = time.monotonic() + seconds
        while True:
            (message,) = self.send(body)
            self.wait_for(self.item_of, message, seconds)
            is_notified = any(self.notifications_of(message) for _ in range(NOTIFICATION_SECONDS))
            if is_notified or time.monotonic() > deadline:
                return message

    def redrive(self, letter: Mapping[str, Any], body: str) -> None:
        """Redrive a dead letter with its attributes, as SQS does, but with a repaired body."""
        message = {"MessageBody": body, "MessageAttributes": letter["MessageAttributes"]}
        self._sqs.send_message(QueueUrl=self.stack.outputs["queue_url"], **message)

    def deliver(self, message: str, body: str, sent: datetime, qualifier: str = LIVE) -> dict[str, Any]:
        """Invoke a version or alias of the function as an event source mapping does, and return the response.

        https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
        """
        attributes = {"ApproximateReceiveCount": "1", "SentTimestamp": str(round(sent.timestamp() * 1000))}
        record = {"messageId": message, "receiptHandle": "handle", "body": body, "attributes": attributes}
        record |= {"messageAttributes": {}, "eventSource": "aws:sqs", "awsRegion": self.stack.session.region_name}
        payload, function = json.dumps({"Records": [record]}), self.stack.outputs["function_name"]
        answer = self.stack.client("lambda").invoke(FunctionName=function, Qualifier=qualifier, Payload=payload)
        return json.loads(answer["Payload"].read())

    def wait_for(self, find: Callable[[str], Found | None], message: str, seconds: float | None = None) -> Found:
        """Wait for a result of a message.

        Args:
            find: Method that finds the result, for example `item_of`.
            message: The message's ID.
            seconds: Timeout, if not the default.

        Raises:
            AssertionError: If there is no result in time.
        """
        limit = seconds or self._seconds(DEADLINE_SECONDS, LOCAL_DEADLINE_SECONDS)
        deadline = time.monotonic() + limit
        while not (found := find(message)):
            assert time.monotonic() < deadline, f"no result of {message} in {limit:.0f} seconds"
            time.sleep(PAUSE_SECONDS)
        return found

    def _seconds(self, on_aws: float, local: float) -> float:
        return (local if self.stack.is_local else on_aws) + self.stack.settings.batch_window_seconds

    def payload_of(self, message: str) -> bytes | None:
        """Read a message's payload, if it is stored."""
        versions, bucket = self._versions_of(message), self.stack.outputs["bucket_name"]
        if not versions:
            return None
        return self.stack.client("s3").get_object(Bucket=bucket, Key=versions[0]["Key"])["Body"].read()

    def _versions_of(self, message: str) -> list[dict[str, Any]]:
        """List the versions of a message's payload. A payload that is stored twice has two."""
        item = self._item_of(message)
        key = item["object_key"]["S"] if item else f"messages/{self.sent[message].date()}/{message}.json"
        bucket = self.stack.outputs["bucket_name"]
        return self.stack.client("s3").list_object_versions(Bucket=bucket, Prefix=key).get("Versions", [])

    def item_of(self, message: str) -> dict[str, str] | None:
        """Read a message's item through the index, by the item's own date and timestamp."""
        item = self._item_of(message)
        if not item:
            return None
        found = self.stack.client("dynamodb").query(
            TableName=self.stack.outputs["table_name"],
            IndexName="timestamp-index",
            KeyConditionExpression="#date = :date AND #timestamp = :timestamp",
            FilterExpression="message_id = :message_id",
            ExpressionAttributeNames={"#date": "date", "#timestamp": "timestamp"},
            ExpressionAttributeValues={f":{name}": item[name] for name in ("date", "timestamp", "message_id")},
        )["Items"]
        return {name: value["S"] for name, value in found[0].items()} if found else None

    def _item_of(self, message: str) -> dict[str, Any]:
        key, table = {"message_id": {"S": message}}, self.stack.outputs["table_name"]
        answer = self.stack.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)
        return answer.get("Item", {})

    def notifications_of(self, message: str) -> list[dict[str, Any]]:
        """Return a message's notifications in SNS's JSON format. If there are none yet, poll the inbox."""
        return results_of(self._notifications, message) or results_of(self._take_notifications(), message)

    def letters_of(self, message: str) -> list[dict[str, Any]]:
        """Return a message's dead letters, from the function or SQS. If there are none yet, poll their queue."""
        return results_of(self._letters, message) or results_of(self._take_letters(), message)

    def counts_of(self, *messages: str) -> list[list[int]]:
        """After a delay for late results, count each message's object versions, notifications and dead letters."""
        time.sleep(SETTLING_SECONDS)
        taken = (self._take_notifications(), self._take_letters())
        counts = {each: [len(results_of(results, each)) for results in taken] for each in messages}
        return [[len(self._versions_of(message)), *count] for message, count in counts.items()]

    def _take_notifications(self) -> Results:
        for received in self._received(self._inbox_url):
            self._delete(self._inbox_url, received)
            notification = json.loads(received["Body"])
            # Other publishers may use another format.
            with contextlib.suppress(KeyError, TypeError, ValueError):
                message = json.loads(notification["Message"])["message_id"]
                self._notifications[message, notification["MessageId"]] = notification
        return self._notifications

    def _take_letters(self) -> Results:
        """Take this run's dead letters, and make all others visible again immediately.

        Otherwise, concurrent runs could keep hiding each other's dead letters.
        """
        others, queue = list[str](), self.stack.outputs["dlq_url"]
        for letter in self._received(queue, VisibilityTimeout=PEEK_SECONDS, MessageAttributeNames=["All"]):
            attribute = letter.get("MessageAttributes", {}).get("OriginalMessageId", {})
            message = attribute.get("StringValue", letter["MessageId"])
            if message in self.sent:
                self._letters[message, letter["MessageId"]] = letter
                self._delete(queue, letter)
            else:
                others.append(letter["ReceiptHandle"])
        for receipt in others:
            # Another receiver may have received the message in the meantime.
            with contextlib.suppress(ClientError):
                self._sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=receipt, VisibilityTimeout=0)
        return self._letters

    def _received(self, queue: str, **options: Any) -> Iterator[dict[str, Any]]:
        """Receive messages until none are left. The first call uses long polling, which queries all servers."""
        options |= {"QueueUrl": queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1}
        for _ in range(RECEIVE_CALLS):
            messages = self._sqs.receive_message(**options).get("Messages", [])
            yield from messages
            options["WaitTimeSeconds"] = 0
            if not messages:
                break

    def _delete(self, queue: str, message: Mapping[str, Any]) -> None:
        self._sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])

    def remove_all(self) -> None:
        """Wait for all results, and delete the messages' object versions, items and dead letters.

        Raises:
            AssertionError: If a message has no result, so it may still leave data behind.
        """
        deadline = time.monotonic() + self._seconds(DEADLINE_SECONDS, LOCAL_DEADLINE_SECONDS)
        while (left := [each for each in self.sent if not self._is_done(each)]) and time.monotonic() < deadline:
            time.sleep(PAUSE_SECONDS)
        bucket, table = self.stack.outputs["bucket_name"], self.stack.outputs["table_name"]
        for message in self.sent:
            for each in self._versions_of(message):
                self.stack.client("s3").delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
            self.stack.client("dynamodb").delete_item(TableName=table, Key={"message_id": {"S": message}})
        assert not left, f"these messages have no result, and may still leave data behind: {left}"

    def _is_done(self, message: str) -> bool:
        """Whether a message's item is marked as announced, or the message is dead-lettered."""
        return self._item_of(message).get("announced", {}).get("BOOL", False) or bool(self.letters_of(message))


def results_of(results: Results, message: str) -> list[dict[str, Any]]:
    return [result for (of, _), result in results.items() if of == message]


@contextmanager
def opened_pipeline(stack: Stack) -> Generator[Pipeline]:
    """Open the pipeline with a temporary SQS queue as inbox, subscribed to the topic; delete all leftovers on exit.

    https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html
    """
    sqs, sns, topic = stack.client("sqs"), stack.client("sns"), stack.outputs["topic_arn"]
    name = f"{stack.outputs['function_name']}-test-{uuid.uuid4().hex[:8]}"
    arn = f"{stack.outputs['queue_arn'].rpartition(':')[0]}:{name}"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    with ExitStack() as end:
        inbox = sqs.create_queue(QueueName=name, Attributes={"Policy": policy}, tags=TAGS)["QueueUrl"]
        end.callback(sqs.delete_queue, QueueUrl=inbox)
        pipeline = Pipeline(stack, inbox)
        # Runs before the inbox is deleted. Otherwise, late notifications would fail, and fire an alarm.
        end.callback(pipeline.remove_all)
        answer = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
        end.callback(sns.unsubscribe, SubscriptionArn=answer["SubscriptionArn"])
        yield pipeline
