"""Sends messages through a deployed pipeline while things fail, and reports what became of each.

Runs in a rendered project's folder and environment, after `driver`: ``python load.py MESSAGES EMULATOR``. EMULATOR
is the folder of the emulator at ``AWS_ENDPOINT_URL``. The report is printed as JSON.

In the first part the bucket does not exist yet. In the second, messages are delivered twice at the same time. In the
third, a version with a wrong bucket goes live and is taken back. Meanwhile the function's processes are killed. In the
last part messages fail until they are dead-lettered, and are then sent back.
"""

import contextlib
import json
import random
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

# The rendered project is the working directory.
sys.path.insert(0, str(Path.cwd()))
from infrastructure.processing import LIVE
from processor.names import COUNTERS, DEAD_LETTERED, MISCONFIGURED, PROCESSED, RETURNED
from tests.integration.failing import NO_BUCKET, failing
from tests.integration.pipeline import EXAMPLE_RECORD, Pipeline, opened_pipeline, original
from tools.emulator import RECORD_FILE
from tools.logs import FunctionLog
from tools.testing.deployed import find_deployed

# Of all messages.
WITHOUT_BUCKET = 0.3
DUPLICATED = 0.2
FAILING_TOO_OFTEN = 0.04
# One of so many is malformed.
POISON_EVERY = 20
POISON = (
    "not JSON",
    "[]",
    '{"type": "load.test"}',
    '{"type": "no type", "data": {}}',
    '{"type": "load.test", "data": NaN}',
)

BATCH = 10
# A batch whose process was killed is delivered again after this time.
VISIBILITY_SECONDS = 10
OUTAGE_SECONDS = 4
# As many processes of the function as run well on two cores.
CONCURRENCY = 4
KILL_SECONDS = 2
# A process that works uses the processor in this time.
SAMPLE_SECONDS = 0.1
# Deliveries, and the time between them, until a message is dead-lettered in the last part.
DELIVERIES = 2
RETRY_SECONDS = 2
# The other messages of a batch must be received before the first is visible again.
SECOND_DELIVERY_SECONDS = 3
DEADLINE_SECONDS = 300
PAUSE_SECONDS = 0.2
SEED = 12
# What the emulator logs if a process ended before it answered.
DIED = "Worker process died"


@dataclass
class Report:
    """What became of the messages.

    Attributes:
        messages: How many were sent.
        malformed: How many of these can never be processed.
        processed: Deliveries that were processed.
        returned: Deliveries that failed, and after which the message was returned.
        dead_lettered: Deliveries after which the function dead-lettered the message.
        killed: Invocations whose process was killed.
        objects: Objects in the bucket, all versions.
        items: Items in the table.
        letters: Dead letters.
        repeated_letters: Dead letters of a message that already had one.
        notifications: Notifications.
        repeated_notifications: Notifications of a message that already had one.
        seconds: Time from the first message until the last result.
        wrong: What should not be, by message id.
    """

    messages: int = 0
    malformed: int = 0
    processed: int = 0
    returned: int = 0
    dead_lettered: int = 0
    killed: int = 0
    objects: int = 0
    items: int = 0
    letters: int = 0
    repeated_letters: int = 0
    notifications: int = 0
    repeated_notifications: int = 0
    seconds: float = 0
    wrong: dict[str, str] = field(default_factory=dict)


class Load:
    """A run.

    Args:
        pipeline: The deployed pipeline.
        messages: Number of messages.

    Attributes:
        bodies: Bodies of the messages that were sent, by message id.
    """

    def __init__(self, pipeline: Pipeline, messages: int) -> None:
        self.pipeline = pipeline
        self.bodies: dict[str, str] = {}
        self._total = messages
        self._random = random.Random(SEED)  # noqa: S311 # repeatable, not secret

    def client(self, service: str) -> Any:
        """Return a client for the emulator."""
        return self.pipeline.deployed.client(service)

    def part(self, share: float) -> int:
        """Return a share of the messages."""
        return round(self._total * share)

    def send(self, count: int) -> list[str]:
        """Send messages, and return their ids."""
        numbers = range(len(self.bodies), len(self.bodies) + count)
        bodies = [body_of(number) for number in numbers]
        batches = [bodies[start : start + BATCH] for start in range(0, count, BATCH)]
        with ThreadPoolExecutor(4) as senders:
            sent = [
                message
                for messages in senders.map(lambda batch: self.pipeline.send(*batch), batches)
                for message in messages
            ]
        self.bodies |= dict(zip(sent, bodies, strict=True))
        return sent

    def run(self) -> None:
        """Send all messages, and wait until the queue is empty."""
        with self.no_bucket():
            self.send(self.part(WITHOUT_BUCKET))
            time.sleep(OUTAGE_SECONDS)
        self.send_twice(self.part(DUPLICATED))
        rest = self._total - len(self.bodies) - self.part(FAILING_TOO_OFTEN)
        self.send(rest // 2)
        real_queue = {"QUEUE_URL": self.pipeline.outputs["queue_url"]}
        deliveries = self.pipeline.settings.max_receive_count
        with failing(self.pipeline, VISIBILITY_SECONDS, deliveries, BUCKET_NAME=NO_BUCKET, **real_queue):
            self.send(rest - rest // 2)
            time.sleep(OUTAGE_SECONDS)
        self.wait_until_empty()

    @contextmanager
    def no_bucket(self) -> Generator[None]:
        """Delete the empty bucket, and create it again."""
        s3, bucket = self.client("s3"), {"Bucket": self.pipeline.outputs["bucket_name"]}
        for version in s3.list_object_versions(**bucket).get("Versions", []):
            s3.delete_object(**bucket, Key=version["Key"], VersionId=version["VersionId"])
        s3.delete_bucket(**bucket)
        try:
            yield
        finally:
            s3.create_bucket(**bucket, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
            s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Enabled"})

    def send_twice(self, count: int) -> None:
        """Send messages whose first two deliveries are at the same time: one by the mapping, and one by this run."""
        with self.paused():
            self.send(count)
            batches = list(self.received(count // BATCH))
            time.sleep(SECOND_DELIVERY_SECONDS)
        with ThreadPoolExecutor(2) as deliverers:
            list(deliverers.map(self.deliver, batches))

    @contextmanager
    def paused(self) -> Generator[None]:
        """Keep Lambda from polling the queue."""
        self.update_mapping(Enabled=False)
        yield
        self.update_mapping(Enabled=True)

    def update_mapping(self, **changes: Any) -> None:
        """Change the event source mapping."""
        client, arn = self.client("lambda"), self.pipeline.outputs["queue_arn"]
        (mapping,) = client.list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]
        client.update_event_source_mapping(UUID=mapping["UUID"], **changes)

    def received(self, batches: int) -> Iterator[list[dict[str, Any]]]:
        """Receive batches of what is visible in the queue, as Lambda's records."""
        options = {"MaxNumberOfMessages": BATCH, "VisibilityTimeout": SECOND_DELIVERY_SECONDS}
        queue = {"QueueUrl": self.pipeline.outputs["queue_url"], "MessageSystemAttributeNames": ["All"]}
        for _ in range(batches):
            yield [
                {
                    "messageId": message["MessageId"],
                    "receiptHandle": message["ReceiptHandle"],
                    "body": message["Body"],
                    "attributes": message["Attributes"],
                }
                for message in self.client("sqs").receive_message(**queue, **options).get("Messages", [])
            ]

    def deliver(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Invoke the function as Lambda's mapping does. If it fails, SQS still has the messages."""
        payload = json.dumps({"Records": [{**EXAMPLE_RECORD, **record} for record in records]})
        function = self.pipeline.outputs["function_name"]
        self.client("lambda").invoke(FunctionName=function, Qualifier=LIVE, Payload=payload)

    def fail_too_often(self) -> None:
        """Send messages that fail until they are dead-lettered, and send these back."""
        with failing(self.pipeline, RETRY_SECONDS, DELIVERIES, BUCKET_NAME=NO_BUCKET):
            sent = self.send(self.part(FAILING_TOO_OFTEN))
            good = [message for message in sent if is_good(self.bodies[message])]
            letters = [
                self.pipeline.wait_for(self.pipeline.dead_letter_of, message, "dead letter", retries=DEADLINE_SECONDS)
                for message in good
            ]
        for letter in letters:
            self.pipeline.send_back(letter, letter["Body"])
            self.pipeline.dead_letters.pop(letter["MessageId"])
        self.wait_until_empty()

    def deliver_again(self) -> None:
        """Deliver some messages once more that were processed long ago."""
        good = [message for message, body in self.bodies.items() if is_good(body)]
        for message in self._random.sample(good, min(len(good), self.part(DUPLICATED) // 4)):
            if self.pipeline.item_of(message):
                self.pipeline.deliver_again(message, self.bodies[message])

    def wait_until_empty(self) -> None:
        """Wait until the queue has no messages, visible or not."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.pipeline.waiting() and time.monotonic() < deadline:
            time.sleep(PAUSE_SECONDS)

    def collect(self) -> None:
        """Receive notifications and dead letters until there are no more."""
        before = -1
        while before != (before := len(self.pipeline.notifications) + len(self.pipeline.dead_letters)):
            self.pipeline.settle()

    def report(self, lines: Sequence[str], seconds: float) -> Report:
        """Compare what became of each message with what should have.

        Args:
            lines: The function's log.
            seconds: How long it took.
        """
        items = self.items()
        objects = self.objects()
        payloads = self.payloads(objects)
        letters: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for letter in self.pipeline.dead_letters.values():
            letters[original(letter)].append(letter)
        wrong = {
            message: "; ".join(problems)
            for message, body in self.bodies.items()
            if (
                problems := [
                    *problems_of(body, items.get(message), objects[message], payloads.get(message), letters[message])
                ]
            )
        }
        announced = Counter(each["message_id"] for each in self.pipeline.notifications.values())
        sent_to = Counter({message: count for message, count in announced.items() if message in self.bodies})
        counters = counted(lines)
        letters_found = [letters[message] for message in self.bodies if letters[message]]
        return Report(
            messages=len(self.bodies),
            malformed=sum(not is_good(body) for body in self.bodies.values()),
            processed=counters[PROCESSED],
            returned=counters[RETURNED] + counters[MISCONFIGURED],
            dead_lettered=counters[DEAD_LETTERED],
            killed=sum(line == DIED for line in lines),
            items=sum(message in self.bodies for message in items),
            objects=sum(len(objects[message]) for message in self.bodies),
            letters=sum(map(len, letters_found)),
            repeated_letters=sum(len(each) - 1 for each in letters_found),
            notifications=sent_to.total(),
            repeated_notifications=sent_to.total() - len(sent_to),
            seconds=round(seconds, 1),
            wrong=wrong,
        )

    def items(self) -> dict[str, dict[str, Any]]:
        """Return all items, by message id."""
        pages = (
            self.client("dynamodb")
            .get_paginator("scan")
            .paginate(TableName=self.pipeline.outputs["table_name"], ConsistentRead=True)
        )
        return {item["message_id"]["S"]: item for page in pages for item in page["Items"]}

    def objects(self) -> dict[str, list[str]]:
        """Return the keys of all versions of all objects, by message id."""
        pages = (
            self.client("s3")
            .get_paginator("list_object_versions")
            .paginate(Bucket=self.pipeline.outputs["bucket_name"])
        )
        found: dict[str, list[str]] = defaultdict(list)
        for page in pages:
            for version in page.get("Versions", []):
                found[Path(version["Key"]).stem].append(version["Key"])
        return found

    def payloads(self, objects: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """Read the payloads of the messages, by message id."""
        s3, bucket = self.client("s3"), self.pipeline.outputs["bucket_name"]
        return {
            message: s3.get_object(Bucket=bucket, Key=objects[message][0])["Body"].read().decode()
            for message in self.bodies
            if objects[message]
        }


def body_of(number: int) -> str:
    """Return the body of a message: good, or malformed in one of several ways."""
    if number % POISON_EVERY == POISON_EVERY - 1:
        return POISON[number // POISON_EVERY % len(POISON)]
    return json.dumps({"type": "load.test", "data": {"number": number}})


def is_good(body: str) -> bool:
    """Whether a message should be processed."""
    return body not in POISON


def problems_of(
    body: str,
    item: Mapping[str, Any] | None,
    objects: Sequence[str],
    payload: str | None,
    letters: Sequence[Mapping[str, Any]],
) -> Iterator[str]:
    """Find what is wrong with the results of a message: it should have one item and one object, or a dead letter."""
    if is_good(body) and not letters:
        if len(objects) != 1:
            yield f"{len(objects)} objects"
        if item is None:
            yield "no item"
        elif not item["announced"]["BOOL"] or objects != [item["object_key"]["S"]]:
            yield f"item {item}"
        if payload != body:
            yield f"payload {payload}"
        return
    if not letters:
        yield "no dead letter"
    if item or objects:
        yield f"{'dead letter' if letters else 'malformed'}, but also item {item} and objects {objects}"
    for letter in letters:
        attributes = letter.get("MessageAttributes", {})
        if letter["Body"] != body or not {"ErrorCode", "ErrorReason"} <= attributes.keys():
            yield f"dead letter {letter}"


def counted(lines: Sequence[str]) -> Counter[str]:
    """Add up the function's metrics in its log."""
    counters: Counter[str] = Counter()
    for line in lines:
        if '"_aws"' in line:
            metrics = json.loads(line)
            counters.update({name: int(sum(metrics[name])) for name in COUNTERS if name in metrics})
    return counters


@contextmanager
def killing(emulator: Path) -> Generator[None]:
    """Kill one process of the function after the other.

    Args:
        emulator: The emulator's folder.
    """
    record = json.loads((emulator / RECORD_FILE).read_text(encoding="utf-8"))
    choice, ended = random.Random(SEED), threading.Event()  # noqa: S311 # repeatable, not secret

    def kill() -> None:
        pause = KILL_SECONDS
        while not ended.wait(pause):
            pause = SAMPLE_SECONDS
            # A process may end by itself meanwhile.
            with contextlib.suppress(psutil.NoSuchProcess):
                working = at_work(psutil.Process(record["pid"]).children())
                if working:
                    choice.choice(working).kill()
                    pause = KILL_SECONDS

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        ended.set()
        killer.join()


def at_work(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Find the processes that are processing messages: they have started, called AWS, and use the processor.

    If a process ends while it starts, the emulator ends all of them.
    """
    calling = [each for each in processes if each.net_connections()]
    before = [sum(each.cpu_times()[:2]) for each in calling]
    time.sleep(SAMPLE_SECONDS)
    return [each for each, earlier in zip(calling, before, strict=True) if sum(each.cpu_times()[:2]) > earlier]


def main(messages: int, emulator: Path) -> None:
    """Run, and print the report."""
    deployed = find_deployed()
    log = FunctionLog(deployed.client("logs").meta.endpoint_url)
    with opened_pipeline(deployed, deployed.outputs, report=lambda _: None) as pipeline:
        deployed.client("sqs").set_queue_attributes(
            QueueUrl=pipeline.outputs["queue_url"], Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)}
        )
        load = Load(pipeline, messages)
        load.update_mapping(ScalingConfig={"MaximumConcurrency": CONCURRENCY})
        began = time.monotonic()
        with killing(emulator):
            load.run()
        load.fail_too_often()
        seconds = time.monotonic() - began
        load.deliver_again()
        load.collect()
        report = load.report(log.read(), seconds)
        # The emulator ends after this run, so nothing has to be deleted.
        pipeline.sent.clear()
    sys.stdout.write(json.dumps(asdict(report)) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
