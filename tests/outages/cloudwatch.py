"""CloudWatch as its documentation describes it: metrics, metric math, and the evaluation of alarms."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

OK: Final = "OK"
ALARM: Final = "ALARM"
MINUTE: Final = 60
MetricId = tuple[str, str, frozenset[tuple[str, str]]]
# What a metric or an expression is in a period: nothing without data.
Value = float | None

STATISTICS: Final = {"Sum": sum, "Maximum": max}
# What SQS may leave out when it is 0, as its documentation can be read:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
PERHAPS_ABSENT: Final = {"ApproximateAgeOfOldestMessage", "NumberOfMessagesReceived"}


@dataclass(frozen=True)
class Reading:
    """One way to read what the documentation leaves open.

    Attributes:
        delay: Minutes until a metric reaches CloudWatch.
        extra: Periods that CloudWatch retrieves beyond those that it evaluates, in case some have no data.
        zeros: Whether SQS reports a zero that it may leave out.
    """

    delay: int
    extra: int
    zeros: bool


def metric_id(namespace: str, name: str, dimensions: Mapping[str, str]) -> MetricId:
    """Return what identifies a metric."""
    return namespace, name, frozenset(dimensions.items())


class Metrics:
    """The metrics of an account."""

    def __init__(self) -> None:
        # The values of a metric in a minute, each with the minute from which it is known.
        self._values: dict[tuple[MetricId, int], list[tuple[int, float]]] = defaultdict(list)

    def put(self, metric: MetricId, value: float, second: float, sent: float = 0) -> None:
        """Add a value for a second. The service sends it then, or later."""
        self._values[metric, int(second) // MINUTE].append((int(max(second, sent)) // MINUTE + 1, value))

    def value(self, metric: MetricId, statistic: str, minute: int, now: int, reading: Reading) -> Value:
        """Return what CloudWatch knows of a metric in a minute, at a later one."""
        values = [value for known, value in self._values.get((metric, minute), ()) if known + reading.delay <= now]
        if not values or not (reading.zeros or any(values) or metric[1] not in PERHAPS_ABSENT):
            return None
        return STATISTICS[statistic](values)


def calculate(expression: str, values: Mapping[str, Value]) -> Value:
    """Evaluate metric math for a period: arithmetic, which is the same in Python.

    A metric without data counts as 0, unless none has data. A division by 0 gives no data.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
    """
    if all(value is None for value in values.values()):
        return None
    try:
        return eval(expression, {}, {name: value or 0 for name, value in values.items()})  # noqa: S307 # ours
    except ZeroDivisionError:
        return None


def next_state(alarm: Mapping[str, Any], values: Sequence[Value], state: str) -> str:
    """Evaluate an alarm's values in the periods that CloudWatch retrieves, in their order.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
    """
    keeps_its_state = {"ignore": True, "notBreaching": False}[alarm["treatMissingData"]]
    assert alarm["comparisonOperator"] == "GreaterThanThreshold"
    periods, needed = int(alarm["evaluationPeriods"]), int(alarm["datapointsToAlarm"])
    # A period without data is not evaluated if an earlier one has data.
    known = [value for value in values if value is not None][-periods:]
    bad = sum(value > alarm["threshold"] for value in known)
    if keeps_its_state and len(known) < periods and bad == len(known) < needed:
        return state
    return ALARM if bad >= needed else OK


class Alarm:
    """A stack's alarm, as CloudWatch evaluates it each minute."""

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self._inputs, self._state = inputs, "INSUFFICIENT_DATA"
        only: dict[str, Any] = {"id": "only", "metric": {**inputs, "stat": inputs.get("statistic")}}
        queries = inputs.get("metricQueries", [only])
        (self._expression,) = [query["expression"] for query in queries if "expression" in query] or ["only"]
        self._metrics: dict[str, tuple[MetricId, str]] = {}
        for query in queries:
            if metric := query.get("metric"):
                assert metric["period"] == MINUTE
                identity = metric_id(metric["namespace"], metric["metricName"], metric["dimensions"])
                self._metrics[query["id"]] = identity, metric["stat"]

    def evaluate(self, metrics: Metrics, now: int, reading: Reading) -> str:
        """Evaluate the alarm at a minute, and return its state."""
        values = []
        for minute in range(now - int(self._inputs["evaluationPeriods"]) - reading.extra, now):
            found = {name: metrics.value(*metric, minute, now, reading) for name, metric in self._metrics.items()}
            values.append(calculate(self._expression, found))
        self._state = next_state(self._inputs, values, self._state)
        return self._state
