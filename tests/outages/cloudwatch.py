"""A model of CloudWatch's metrics, metric math and alarm evaluation, based on its documentation."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

OK: Final = "OK"
ALARM: Final = "ALARM"
MINUTE: Final = 60
MetricId = tuple[str, str, frozenset[tuple[str, str]]]
# The value of a metric or an expression in a period; `None` if data is missing.
Value = float | None

STATISTICS: Final = {"Sum": sum, "Maximum": max}
# SQS's documentation does not say whether these metrics are reported while they are 0:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
PERHAPS_ABSENT: Final = {"ApproximateAgeOfOldestMessage", "NumberOfMessagesReceived"}


@dataclass(frozen=True)
class Reading:
    """One interpretation of behaviour that AWS does not document.

    Attributes:
        delay: Minutes until a datapoint is available in CloudWatch.
        extra: Periods that CloudWatch retrieves beyond ``evaluationPeriods``, in case data is missing.
        zeros: Whether SQS reports the metrics in `PERHAPS_ABSENT` while they are 0.
    """

    delay: int
    extra: int
    zeros: bool


def metric_id(namespace: str, name: str, dimensions: Mapping[str, str]) -> MetricId:
    return namespace, name, frozenset(dimensions.items())


class Metrics:
    """The simulated metrics of an AWS account."""

    def __init__(self) -> None:
        # By metric and minute: pairs of arrival minute and value.
        self._values: dict[tuple[MetricId, int], list[tuple[int, float]]] = defaultdict(list)

    def put(self, metric: MetricId, value: float, second: float, sent: float = 0) -> None:
        """Add a value with the timestamp ``second``, sent at the later of ``second`` and ``sent``."""
        self._values[metric, int(second) // MINUTE].append((int(max(second, sent)) // MINUTE + 1, value))

    def value(self, metric: MetricId, statistic: str, minute: int, now: int, reading: Reading) -> Value:
        """Return a metric's statistic in ``minute``, from the values that are available at ``now``."""
        values = [value for known, value in self._values.get((metric, minute), ()) if known + reading.delay <= now]
        if not values or not (reading.zeros or any(values) or metric[1] not in PERHAPS_ABSENT):
            return None
        return STATISTICS[statistic](values)


def calculate(expression: str, values: Mapping[str, Value]) -> Value:
    """Evaluate metric math for one period. Arithmetic has the same syntax in metric math and in Python.

    A metric without data counts as 0, unless all metrics lack data. Division by 0 gives no data.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
    """
    if all(value is None for value in values.values()):
        return None
    try:
        return eval(expression, {}, {name: value or 0 for name, value in values.items()})  # noqa: S307 # ours
    except ZeroDivisionError:
        return None


def next_state(alarm: Mapping[str, Any], values: Sequence[Value], state: str) -> str:
    """Return an alarm's next state from the values in the retrieved periods, oldest first.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
    """
    keeps_its_state = {"ignore": True, "notBreaching": False}[alarm["treatMissingData"]]
    assert alarm["comparisonOperator"] == "GreaterThanThreshold"
    periods, needed = int(alarm["evaluationPeriods"]), int(alarm["datapointsToAlarm"])
    # Instead of a period without data, CloudWatch evaluates an earlier period with data.
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
        """Evaluate the alarm at the minute ``now``, and return its state."""
        values = []
        for minute in range(now - int(self._inputs["evaluationPeriods"]) - reading.extra, now):
            found = {name: metrics.value(*metric, minute, now, reading) for name, metric in self._metrics.items()}
            values.append(calculate(self._expression, found))
        self._state = next_state(self._inputs, values, self._state)
        return self._state
