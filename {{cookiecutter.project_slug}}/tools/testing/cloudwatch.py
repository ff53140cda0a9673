"""CloudWatch as its documentation describes it: metrics, metric math, and the evaluation of alarms."""

import ast
import functools
import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

OK: Final = "OK"
ALARM: Final = "ALARM"
INSUFFICIENT_DATA: Final = "INSUFFICIENT_DATA"

MINUTE: Final = 60
MetricId = tuple[str, str, frozenset[tuple[str, str]]]
# What a metric or an expression is in a period: nothing without data.
Value = float | None

STATISTICS: Final[Mapping[str, Callable[[Iterable[float]], float]]] = {"Sum": sum, "Maximum": max}
COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
}
OPERATORS: Final[Mapping[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
# What SQS may leave out when it is 0, as its documentation can be read:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
PERHAPS_ABSENT: Final = {
    "ApproximateAgeOfOldestMessage",
    "ApproximateNumberOfMessagesNotVisible",
    "NumberOfMessagesReceived",
    "NumberOfMessagesSent",
}


class Missing(StrEnum):
    """What a period without data counts as."""

    KEEPS_THE_STATE = "ignore"
    IS_BAD = "breaching"
    IS_GOOD = "notBreaching"


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


class Metrics:
    """The metrics of an account, by the minute."""

    def __init__(self) -> None:
        # The statistics of each metric, by its minute and by the minute from which they are known.
        self._values: dict[MetricId, dict[int, dict[int, dict[str, float]]]] = defaultdict(lambda: defaultdict(dict))

    def put(self, metric: MetricId, value: float, second: float, sent: float | None = None) -> None:
        """Add a value.

        Args:
            metric: The metric.
            value: The value.
            second: Its time.
            sent: When the service sends it, if that is later.
        """
        known = int(second if sent is None else sent) // MINUTE + 1
        statistics = self._values[metric][int(second) // MINUTE].setdefault(known, {"Sum": 0, "Maximum": value})
        statistics["Sum"] += value
        statistics["Maximum"] = max(statistics["Maximum"], value)

    def value(self, metric: MetricId, statistic: str, minutes: range, now: int, reading: Reading) -> Value:
        """Return what CloudWatch knows of a metric in some minutes, at a later one."""
        by_minute = self._values.get(metric)
        if by_minute is None:
            return None
        values = [
            statistics[statistic]
            for minute in minutes
            if minute in by_minute
            for known, statistics in by_minute[minute].items()
            if known + reading.delay <= now
        ]
        if not values or not (reading.zeros or any(values) or metric[1] not in PERHAPS_ABSENT):
            return None
        return STATISTICS[statistic](values)

    def is_final(self, metric: MetricId, minutes: range, now: int, reading: Reading) -> bool:
        """Whether CloudWatch knows all of a metric in some minutes."""
        by_minute = self._values.get(metric, {})
        return all(known + reading.delay <= now for minute in minutes for known in by_minute.get(minute, ()))


def metric_id(namespace: str, name: str, dimensions: Mapping[str, str]) -> MetricId:
    """Return what identifies a metric."""
    return namespace, name, frozenset(dimensions.items())


def calculate(expression: str, values: Mapping[str, Value]) -> Value:
    """Evaluate metric math for a period: arithmetic, without functions.

    A metric without data counts as 0, unless none has data. A division by 0 gives no data.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
    """
    if all(value is None for value in values.values()):
        return None

    def result(node: ast.expr) -> float:
        if isinstance(node, ast.Name):
            return values[node.id] or 0
        if isinstance(node, ast.BinOp):
            return OPERATORS[type(node.op)](result(node.left), result(node.right))
        return ast.literal_eval(node)

    try:
        return result(_parse(expression))
    except ZeroDivisionError:
        return None


@functools.cache
def _parse(expression: str) -> ast.expr:
    return ast.parse(expression, mode="eval").body


def next_state(alarm: Mapping[str, Any], values: Sequence[Value], state: str) -> str:
    """Evaluate an alarm.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html

    Args:
        alarm: Its inputs.
        values: Its values in the periods that CloudWatch retrieves, the latest last.
        state: Its current state.

    Raises:
        ValueError: If there is no such treatment of missing data.
    """
    missing = Missing(alarm["treatMissingData"])
    periods, needed = int(alarm["evaluationPeriods"]), int(alarm["datapointsToAlarm"])
    # A period without data is not evaluated if an earlier one has data.
    known = [value for value in values if value is not None][-periods:]
    absent = periods - len(known)
    is_bad = COMPARISONS[alarm["comparisonOperator"]]
    bad = sum(is_bad(value, alarm["threshold"]) for value in known)
    if missing is Missing.KEEPS_THE_STATE and absent and bad == len(known) < needed:
        return state
    if missing is Missing.IS_BAD:
        bad += absent
    return ALARM if bad >= needed else OK


class Alarm:
    """An alarm of a stack, as CloudWatch evaluates it each minute.

    Attributes:
        state: Its state.
    """

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self.state = INSUFFICIENT_DATA
        self._inputs = inputs
        queries = inputs.get("metricQueries", [])
        self._expression = next((query["expression"] for query in queries if "expression" in query), "only")
        metrics = {query["id"]: query["metric"] for query in queries if "metric" in query}
        metrics = metrics or {"only": {**inputs, "stat": inputs["statistic"]}}
        self._metrics = {
            name: (metric_id(metric["namespace"], metric["metricName"], metric["dimensions"]), metric["stat"])
            for name, metric in metrics.items()
        }
        # Values that nothing can change any more, by their first minute: to calculate them once saves time.
        self._final: dict[int, Value] = {}
        (self._minutes,) = {int(metric["period"]) // MINUTE for metric in metrics.values()}

    def evaluate(self, metrics: Metrics, now: int, reading: Reading) -> str:
        """Evaluate the alarm at a minute, and return its state."""
        first = now - (int(self._inputs["evaluationPeriods"]) + reading.extra) * self._minutes
        values = [self._value(metrics, minute, now, reading) for minute in range(first, now, self._minutes)]
        self.state = next_state(self._inputs, values, self.state)
        return self.state

    def _value(self, metrics: Metrics, minute: int, now: int, reading: Reading) -> Value:
        """Return the alarm's value in the period that begins at a minute."""
        if minute in self._final:
            return self._final[minute]
        minutes = range(minute, minute + self._minutes)
        found = {
            name: metrics.value(metric, statistic, minutes, now, reading)
            for name, (metric, statistic) in self._metrics.items()
        }
        value = calculate(self._expression, found)
        if all(metrics.is_final(metric, minutes, now, reading) for metric, _ in self._metrics.values()):
            self._final[minute] = value
        return value
