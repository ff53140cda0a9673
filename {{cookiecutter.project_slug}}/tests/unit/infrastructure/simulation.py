"""A model of the deployed pipeline: which metrics it has while something is wrong with it.

The model knows what alarms depend on: deliveries, retries, batches and executions, and what the services report.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

from processor.errors import ERROR_CLASSES, ErrorClass
from processor.names import COUNTERS, DEAD_LETTERED, METRICS_NAMESPACE, MISCONFIGURED, PROCESSED, RETURNED
from processor.timing import MESSAGE_SECONDS, retry_delay_seconds
from tools.testing import Deployment
from tools.testing.cloudwatch import MINUTE, Metrics, metric_id

# Settings with long times.
LONG_TIMES: Final = {"lambdaTimeoutSeconds": "900", "messageAgeAlarmSeconds": "6000", "batchWindowSeconds": "300"}
HOUR: Final = 60 * MINUTE
MILLISECONDS: Final = 1000
USUAL_SECONDS: Final = 0.1
OUT_OF_TIME: Final = "BatchOutOfTimeError"
FIRST_PAUSE: Final = 1
# A queue's metrics stop when nobody has used it for so long, and return some time after it is used again:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/monitoring-using-cloudwatch.html
SLEEPS_AFTER: Final = 6 * HOUR
WAKES_AFTER: Final = 15 * MINUTE
# After so many deliveries, SQS leaves a message out of the age of the oldest one:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
AGELESS_AFTER: Final = 3
# Somebody who reads a dead letter hides it for so long.
READ_SECONDS: Final = 30


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with the pipeline.

    Attributes:
        error: The error code with which a message cannot be stored.
        letter_error: The error code with which a message cannot be dead-lettered.
        seconds: How long the function takes for a message.
        crashes: Whether the function fails without an answer, after that time.
        throttled: Whether Lambda has no free execution.
        polled: Whether Lambda receives messages.
        logged: Whether the function's log arrives, from which CloudWatch takes the function's own metrics.
        reported: What DynamoDB or SNS reports of each message that is stored: see `Reports`.
    """

    error: str = ""
    letter_error: str = ""
    seconds: float = USUAL_SECONDS
    crashes: bool = False
    throttled: bool = False
    polled: bool = True
    logged: bool = True
    reported: str = ""


@dataclass(frozen=True)
class Episode:
    """A time during which something is wrong.

    Attributes:
        fault: What is wrong.
        begin: The first second.
        end: The first second after it.
    """

    fault: Fault
    begin: float
    end: float


@dataclass(eq=False)
class Message:
    """A message.

    Attributes:
        sent: When it was sent.
        is_poison: Whether the function's validation refuses it.
        deliveries: How often it has been delivered.
    """

    sent: float
    is_poison: bool
    deliveries: int = 0


class Clock:
    """Lets planned events happen, in their order."""

    def __init__(self) -> None:
        self._events: list[tuple[float, int, Callable[[float], object]]] = []
        self._order = itertools.count()

    def at(self, second: float, event: Callable[[float], object]) -> None:
        """Plan an event."""
        heapq.heappush(self._events, (second, next(self._order), event))

    def run(self, end: float, after_each: Callable[[float], object]) -> None:
        """Let everything happen that is planned before a time."""
        while self._events and self._events[0][0] < end:
            now, _, event = heapq.heappop(self._events)
            event(now)
            after_each(now)


class Queue:
    """A queue, as far as SQS reports it."""

    def __init__(self, stack: Deployment, name: str, metrics: Metrics) -> None:
        self._dimensions = {"QueueName": stack.one("aws:sqs/queue:Queue", name).inputs["name"]}
        self._metrics = metrics
        self._used = self._awake = 0.0

    def use(self, now: float) -> None:
        """Call an operation of the queue."""
        if now - self._used > SLEEPS_AFTER:
            self._awake = now + WAKES_AFTER
        self._used = now

    def report(self, now: float, **values: float) -> None:
        """Report metrics, unless the queue is inactive."""
        if now >= self._awake and now - self._used <= SLEEPS_AFTER:
            for name, value in values.items():
                self._metrics.put(metric_id("AWS/SQS", name, self._dimensions), value, now)


class Messages(Queue):
    """The queue of messages.

    Attributes:
        waiting: Those that can be received.
    """

    def __init__(self, stack: Deployment, metrics: Metrics) -> None:
        super().__init__(stack, "queue", metrics)
        self.waiting: deque[Message] = deque()
        self._all: set[Message] = set()

    def send(self, now: float, *, is_poison: bool) -> None:
        """Send a message."""
        self.use(now)
        self.report(now, NumberOfMessagesSent=1)
        message = Message(now, is_poison)
        self._all.add(message)
        self.waiting.append(message)

    def show(self, _now: float, *, messages: list[Message]) -> None:
        """Let messages be received again."""
        self.waiting.extend(messages)

    def delete(self, message: Message) -> None:
        """Delete a message."""
        self._all.remove(message)

    def sample(self, now: float) -> None:
        """Report what SQS measures each minute."""
        ages = [now - message.sent for message in self._all if message.deliveries < AGELESS_AFTER]
        self.report(
            now,
            NumberOfMessagesSent=0,
            ApproximateNumberOfMessagesVisible=len(self.waiting),
            ApproximateAgeOfOldestMessage=max(ages, default=0),
        )


class Letters(Queue):
    """The dead-letter queue."""

    def __init__(self, stack: Deployment, metrics: Metrics) -> None:
        super().__init__(stack, "dead-letter-queue", metrics)
        self._letters, self._read_until = 0, 0.0

    def add(self, now: float) -> None:
        """Add a letter. If SQS moves it, that does not count as sent."""
        self.use(now)
        self._letters += 1

    def read(self, now: float) -> None:
        """Receive the letters, which hides them for a while."""
        self.use(now)
        self._read_until = now + READ_SECONDS

    def purge(self, now: float) -> None:
        """Delete the letters."""
        self.use(now)
        self._letters = 0

    def sample(self, now: float) -> None:
        """Report how many letters SQS measures each minute."""
        hidden = self._letters if now < self._read_until else 0
        self.report(
            now,
            ApproximateNumberOfMessagesVisible=self._letters - hidden,
            ApproximateNumberOfMessagesNotVisible=hidden,
        )


class Reports:
    """What Lambda, DynamoDB, SNS and the function itself report.

    Attributes:
        metrics: Where they report it.
    """

    def __init__(self, stack: Deployment, metrics: Metrics) -> None:
        self.metrics = metrics
        self._function = stack.one("aws:lambda/function:Function", "function").inputs["name"]
        table = stack.one("aws:dynamodb/table:Table", "table").inputs
        topic = {"TopicName": stack.one("aws:sns/topic:Topic", "topic").inputs["name"]}
        index = {
            "TableName": table["name"],
            "GlobalSecondaryIndexName": table["globalSecondaryIndexes"][0]["name"],
        }
        self._others = {
            "throttled table": metric_id("AWS/DynamoDB", "WriteThrottleEvents", {"TableName": table["name"]}),
            "throttled index": metric_id("AWS/DynamoDB", "WriteThrottleEvents", index),
            "lost notification": metric_id("AWS/SNS", "NumberOfNotificationsFailed", topic),
        }

    def invocation(self, begin: float, end: float, **values: float) -> None:
        """Report an invocation: Lambda does so when it ends, with the time of its begin.

        https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-view.html
        """
        for name, value in values.items():
            self.metrics.put(metric_id("AWS/Lambda", name, {"FunctionName": self._function}), value, begin, end)

    def counter(self, now: float, name: str, count: int) -> None:
        """Report a number of messages."""
        self.metrics.put(metric_id(METRICS_NAMESPACE, name, {"service": self._function}), count, now)

    def other(self, now: float, what: str) -> None:
        """Report that DynamoDB has throttled a write, or that SNS has lost a notification."""
        if what:
            self.metrics.put(self._others[what], 1, now)


@dataclass(frozen=True)
class Limits:
    """What the settings of a stack allow.

    Attributes:
        batch: Messages in a batch.
        window: Seconds to wait for a full batch.
        executions: Batches in process at once.
        deliveries: Deliveries of a message.
        hidden: Seconds until a message that was received is visible again.
        starting: Seconds of an invocation in which it starts messages.
    """

    batch: int
    window: int
    executions: int
    deliveries: int
    hidden: int
    starting: int

    @classmethod
    def of(cls, stack: Deployment) -> Self:
        """Read them from the recorded inputs."""
        mapping = stack.one("aws:lambda/eventSourceMapping:EventSourceMapping", "function-event-source").inputs
        queue = stack.one("aws:sqs/queue:Queue", "queue")
        return cls(
            batch=mapping["batchSize"],
            window=mapping["maximumBatchingWindowInSeconds"],
            executions=mapping["scalingConfig"]["maximumConcurrency"],
            deliveries=queue.document("redrivePolicy")["maxReceiveCount"],
            hidden=queue.inputs["visibilityTimeoutSeconds"],
            starting=stack.one("aws:lambda/function:Function", "function").inputs["timeout"] - MESSAGE_SECONDS,
        )


class Pipeline:
    """A stack's pipeline.

    Attributes:
        queue: Its queue.
        letters: Its dead-letter queue.
    """

    def __init__(self, stack: Deployment, episodes: Sequence[Episode] = ()) -> None:
        metrics = Metrics()
        self.queue, self.letters = Messages(stack, metrics), Letters(stack, metrics)
        self._reports, self._limits, self._episodes = Reports(stack, metrics), Limits.of(stack), episodes
        self._clock, self._free = Clock(), self._limits.executions
        self._batch: list[Message] = []

    def at(self, second: float, event: Callable[[float], object]) -> None:
        """Plan something that somebody does with the pipeline."""
        self._clock.at(second, event)

    def send(self, second: float, *, is_poison: bool = False) -> None:
        """Send a message at a time."""
        self.at(second, partial(self.queue.send, is_poison=is_poison))

    def run(self, minutes: int) -> Metrics:
        """Let time pass, and return the metrics."""
        for minute in range(minutes):
            self.at(minute * MINUTE + MINUTE - 1, self._sample)
        self._clock.run(minutes * MINUTE, self._poll)
        return self._reports.metrics

    def _fault(self, now: float) -> Fault:
        return next((episode.fault for episode in self._episodes if episode.begin <= now < episode.end), Fault())

    def _sample(self, now: float) -> None:
        if self._fault(now).polled:
            # Lambda asks for messages all the time.
            self.queue.use(now)
            self.queue.report(now, NumberOfMessagesReceived=0)
        self.queue.sample(now)
        self.letters.sample(now)

    def _poll(self, now: float) -> None:
        """Let Lambda receive messages, and invoke the function with each batch."""
        while self.queue.waiting and self._free and self._fault(now).polled:
            message = self.queue.waiting.popleft()
            if message.deliveries >= self._limits.deliveries:
                self._dead_letter(now, message=message)
                continue
            message.deliveries += 1
            self.queue.report(now, NumberOfMessagesReceived=1)
            self._batch.append(message)
            if len(self._batch) == self._limits.batch:
                self._take_batch(now)
            elif len(self._batch) == 1 and self._limits.window:
                self.at(now + self._limits.window, self._take_batch)
        if not self._limits.window:
            self._take_batch(now)

    def _take_batch(self, now: float) -> None:
        if self._batch:
            batch, self._batch = self._batch, []
            self._free -= 1
            self._invoke(now, batch=batch, visible=now + self._limits.hidden - self._limits.window, pause=FIRST_PAUSE)

    def _invoke(self, now: float, *, batch: list[Message], visible: float, pause: float) -> None:
        """Invoke the function. While Lambda throttles it, repeat that until the messages become visible.

        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
        """
        fault = self._fault(now)
        if fault.throttled:
            self._reports.invocation(now, now, Throttles=1)
            if now + pause < visible:
                self.at(now + pause, partial(self._invoke, batch=batch, visible=visible, pause=2 * pause))
                return
            end = visible
        else:
            end = now + fault.seconds if fault.crashes else self._handle(batch, now)
            self._reports.invocation(now, end, Errors=fault.crashes, Throttles=0, Duration=MILLISECONDS * (end - now))
        if fault.throttled or fault.crashes:
            self.at(visible, partial(self.queue.show, messages=batch))
        self.at(end, self._release)

    def _release(self, _now: float) -> None:
        self._free += 1

    def _handle(self, batch: list[Message], begin: float) -> float:
        """Handle a batch as `processor.handler` does, and return when that ends."""
        now, counts = begin, dict.fromkeys(COUNTERS, 0)
        for message in batch:
            fault = self._fault(now)
            error = OUT_OF_TIME if now - begin > self._limits.starting else fault.error
            now += 0 if error == OUT_OF_TIME else fault.seconds
            finish = self._store
            if message.is_poison or (error and message.deliveries >= self._limits.deliveries):
                error, finish = fault.letter_error, self._dead_letter
            if not error:
                counts[PROCESSED if finish == self._store else DEAD_LETTERED] += 1
                self.at(now, partial(finish, message=message))
                continue
            counts[MISCONFIGURED if ERROR_CLASSES[error] is ErrorClass.MISCONFIGURED else RETURNED] += 1
            self.at(now + retry_delay_seconds(message.deliveries), partial(self.queue.show, messages=[message]))
        if self._fault(now).logged:
            for name, count in counts.items():
                self._reports.counter(now, name, count)
        return now

    def _store(self, now: float, *, message: Message) -> None:
        self.queue.delete(message)
        self._reports.other(now, self._fault(now).reported)

    def _dead_letter(self, now: float, *, message: Message) -> None:
        self.queue.delete(message)
        self.letters.add(now)
