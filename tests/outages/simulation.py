"""A simulation of the deployed pipeline and its metrics during faults.

It covers everything that the alarms depend on: deliveries, retries, batches, executions, and the services' metrics.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from processor.names import COUNTERS, DEAD_LETTERED, METRICS_NAMESPACE, PROCESSED, RETURNED
from processor.timing import MESSAGE_SECONDS, retry_delay_seconds
from tests.outages.cloudwatch import MINUTE, Metrics, metric_id
from tools.testing import RecordedProgram

# SQS stops a queue's metrics after six inactive hours, and resumes them up to 15 minutes after new activity:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/monitoring-using-cloudwatch.html
SLEEPS_AFTER: Final = 6 * 60 * MINUTE
WAKES_AFTER: Final = 15 * MINUTE
# After this number of receives, SQS excludes a message from ApproximateAgeOfOldestMessage:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
AGELESS_AFTER: Final = 3


@dataclass(frozen=True)
class Fault:
    """A fault of the pipeline; the defaults describe a healthy pipeline.

    Attributes:
        error: Metric for messages that cannot be stored, `RETURNED` or `MISCONFIGURED`; empty without this fault.
        letter_error: Metric for messages that cannot be dead-lettered; empty without this fault.
        seconds: Seconds that the function takes per message, or until it crashes.
        crashes: Whether every invocation crashes or times out.
        throttled: Whether Lambda throttles the function.
        polled: Whether Lambda polls the queue.
        logged: Whether the function's log reaches CloudWatch, which extracts the function's own metrics from the log.
        notified: Whether SNS can deliver notifications.
    """

    error: str = ""
    letter_error: str = ""
    seconds: float = 0.1
    crashes: bool = False
    throttled: bool = False
    polled: bool = True
    logged: bool = True
    notified: bool = True


@dataclass(eq=False)
class Message:
    """An SQS message. The function's validation rejects a poison message."""

    sent: float
    is_poison: bool
    deliveries: int = 0


class Queue:
    """An SQS queue, which reports no metrics while it is inactive."""

    def __init__(self, name: str, metrics: Metrics) -> None:
        self._name, self._metrics = name, metrics
        self._used = self._awake = 0.0

    def use(self, now: float) -> None:
        """Record an API call to the queue."""
        if now - self._used > SLEEPS_AFTER:
            self._awake = now + WAKES_AFTER
        self._used = now

    def report(self, now: float, name: str, value: float) -> None:
        """Report a metric, unless the queue is inactive."""
        if now >= self._awake and now - self._used <= SLEEPS_AFTER:
            self._metrics.put(metric_id("AWS/SQS", name, {"QueueName": self._name}), value, now)


class Pipeline:
    """A simulation of a stack's pipeline.

    Args:
        stack: The stack's recorded program.
        faults: Start times in seconds, and faults. A fault lasts until the next fault starts.
    """

    def __init__(self, stack: RecordedProgram, faults: Sequence[tuple[float, Fault]] = ()) -> None:
        queue = stack.one("aws:sqs/queue:Queue", "queue")
        letters = stack.one("aws:sqs/queue:Queue", "dead-letter-queue")
        function = stack.one("aws:lambda/function:Function", "function").inputs
        mapping = stack.one("aws:lambda/eventSourceMapping:EventSourceMapping", "function-event-source").inputs
        self._function, self._topic = function["name"], stack.one("aws:sns/topic:Topic", "topic").inputs["name"]
        self._starting = function["timeout"] - MESSAGE_SECONDS
        self._hidden = queue.inputs["visibilityTimeoutSeconds"]
        self._deliveries = queue.document("redrivePolicy")["maxReceiveCount"]
        self._batch_size, self._window = mapping["batchSize"], mapping["maximumBatchingWindowInSeconds"]
        self._free = mapping["scalingConfig"]["maximumConcurrency"]
        self._faults, self._metrics = faults, Metrics()
        self._queue = Queue(queue.inputs["name"], self._metrics)
        self._letters, self._letter_count = Queue(letters.inputs["name"], self._metrics), 0
        self._events: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._order = itertools.count()
        # All messages, the visible messages, and the messages of an incomplete batch.
        self._messages: set[Message] = set()
        self._visible: deque[Message] = deque()
        self._batch: list[Message] = []

    def at(self, second: float, event: Callable[..., object], *arguments: Any) -> None:
        """Schedule ``event(second, *arguments)`` at ``second``."""
        heapq.heappush(self._events, (second, next(self._order), event, arguments))

    def send(self, now: float, is_poison: bool) -> None:
        """Send a message to the queue."""
        message = Message(now, is_poison)
        self._queue.use(now)
        self._messages.add(message)
        self._visible.append(message)

    def purge(self, now: float) -> None:
        """Purge the dead-letter queue."""
        self._letters.use(now)
        self._letter_count = 0

    def run(self, minutes: int) -> Metrics:
        """Simulate the given number of minutes, and return the metrics."""
        for minute in range(minutes):
            self.at(minute * MINUTE + MINUTE - 1, self._sample)
        while self._events and self._events[0][0] < minutes * MINUTE:
            now, _, event, arguments = heapq.heappop(self._events)
            event(now, *arguments)
            self._poll(now)
        return self._metrics

    def _fault(self, now: float) -> Fault:
        return next((fault for begin, fault in reversed(self._faults) if begin <= now), Fault())

    def _sample(self, now: float) -> None:
        """Report SQS's metrics, once a minute. Lambda's polling keeps the queue active."""
        if self._fault(now).polled:
            self._queue.use(now)
            self._queue.report(now, "NumberOfMessagesReceived", 0)
        ages = [now - message.sent for message in self._messages if message.deliveries < AGELESS_AFTER]
        self._queue.report(now, "ApproximateAgeOfOldestMessage", max(ages, default=0))
        self._queue.report(now, "ApproximateNumberOfMessagesVisible", len(self._visible))
        self._letters.report(now, "ApproximateNumberOfMessagesVisible", self._letter_count)

    def _poll(self, now: float) -> None:
        """Receive messages as Lambda does, and invoke the function with each batch."""
        while self._visible and self._free and self._fault(now).polled:
            message = self._visible.popleft()
            if message.deliveries >= self._deliveries:
                self._dead_letter(now, message)
                continue
            message.deliveries += 1
            self._queue.report(now, "NumberOfMessagesReceived", 1)
            self._batch.append(message)
            if len(self._batch) == self._batch_size:
                self._take_batch(now)
            elif len(self._batch) == 1 and self._window:
                self.at(now + self._window, self._take_batch)
        if not self._window:
            self._take_batch(now)

    def _take_batch(self, now: float) -> None:
        if self._batch:
            batch, self._batch = self._batch, []
            self._free -= 1
            self._invoke(now, batch, now + self._hidden - self._window, 1)

    def _invoke(self, now: float, batch: list[Message], visible: float, pause: float) -> None:
        """Invoke the function. If throttled, Lambda retries with backoff until the messages become visible.

        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
        """
        fault = self._fault(now)
        dimensions = {"FunctionName": self._function}
        self._metrics.put(metric_id("AWS/Lambda", "Throttles", dimensions), fault.throttled, now)
        if fault.throttled and now + pause < visible:
            self.at(now + pause, self._invoke, batch, visible, 2 * pause)
            return
        end = visible
        if not fault.throttled:
            end = now + fault.seconds if fault.crashes else self._handle(now, batch)
            # Lambda reports an invocation when it ends, with the timestamp of its start:
            # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-view.html
            self._metrics.put(metric_id("AWS/Lambda", "Errors", dimensions), fault.crashes, now, end)
        if fault.throttled or fault.crashes:
            self.at(visible, self._show, batch)
        self.at(end, self._release)

    def _release(self, _now: float) -> None:
        self._free += 1

    def _show(self, _now: float, messages: list[Message]) -> None:
        self._visible.extend(messages)

    def _handle(self, begin: float, batch: list[Message]) -> float:
        """Handle a batch as `processor.handler` does, and return the end time."""
        now, counts = begin, dict.fromkeys(COUNTERS, 0)
        for message in batch:
            fault, is_late = self._fault(now), now - begin > self._starting
            now += 0 if is_late else fault.seconds
            counter, error, finish = PROCESSED, RETURNED if is_late else fault.error, self._store
            if message.is_poison or (error and message.deliveries >= self._deliveries):
                counter, error, finish = DEAD_LETTERED, fault.letter_error, self._dead_letter
            counts[error or counter] += 1
            if error:
                self.at(now + retry_delay_seconds(message.deliveries), self._show, [message])
            else:
                self.at(now, finish, message)
        for name, count in counts.items() if self._fault(now).logged else ():
            self._metrics.put(metric_id(METRICS_NAMESPACE, name, {"service": self._function}), count, now)
        return now

    def _store(self, now: float, message: Message) -> None:
        self._messages.remove(message)
        if not self._fault(now).notified:
            self._metrics.put(metric_id("AWS/SNS", "NumberOfNotificationsFailed", {"TopicName": self._topic}), 1, now)

    def _dead_letter(self, now: float, message: Message) -> None:
        self._messages.remove(message)
        self._letters.use(now)
        self._letter_count += 1
