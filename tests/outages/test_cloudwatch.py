"""The model of CloudWatch does what CloudWatch's documentation says."""

import pytest

from tests.outages.cloudwatch import ALARM, OK, Alarm, Metrics, Reading, Value, calculate, metric_id, next_state

# What a period that CloudWatch retrieves is: good, bad, or missing.
PERIODS: dict[str, Value] = {"0": 0, "X": 1, "-": None}
KEPT = "the state before"
# The documentation's examples: how many of three periods must be bad, the periods, and the state if missing ones are
# ignored, or are not breaching.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
EXAMPLES = [
    (3, "0-X-X", OK, OK),
    (3, "0----", OK, OK),
    (3, "-----", KEPT, OK),
    (3, "0XX-X", ALARM, ALARM),
    (3, "--X--", KEPT, OK),
    (2, "0-X-X", ALARM, ALARM),
    (2, "00X0X", ALARM, ALARM),
    (2, "0-X--", OK, OK),
    (2, "----0", OK, OK),
    (2, "---X-", KEPT, OK),
]
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
MATHS = [
    ("100 * a / (a + b)", {"a": 1, "b": 3}, 25),
    ("a - 10 * b", {"a": None, "b": 3}, -30),
    ("a + b", {"a": None, "b": None}, None),
    ("a / b", {"a": 1, "b": None}, None),
]
METRIC = {"namespace": "AWS/SQS", "metricName": "NumberOfMessagesReceived", "dimensions": {"QueueName": "queue"}}
RECEIVED = metric_id("AWS/SQS", "NumberOfMessagesReceived", {"QueueName": "queue"})
INPUTS = {"evaluationPeriods": 3.0, "datapointsToAlarm": 1.0, "comparisonOperator": "GreaterThanThreshold"}
OVER_ONE = INPUTS | {"threshold": 1, "treatMissingData": "notBreaching"}


@pytest.mark.parametrize(("needed", "periods", "ignore", "not_breaching"), EXAMPLES)
def test_an_alarm_is_evaluated_as_in_the_documentation(
    needed: int, periods: str, ignore: str, not_breaching: str
) -> None:
    for missing, state in {"ignore": ignore, "notBreaching": not_breaching}.items():
        alarm = INPUTS | {"datapointsToAlarm": needed, "threshold": 0, "treatMissingData": missing}
        assert next_state(alarm, [PERIODS[period] for period in periods], KEPT) == state


@pytest.mark.parametrize(("expression", "values", "result"), MATHS)
def test_metric_math_is_calculated_as_in_the_documentation(
    expression: str, values: dict[str, Value], result: Value
) -> None:
    assert calculate(expression, values) == result


@pytest.mark.parametrize(("statistic", "expected"), [("Sum", [OK, OK, OK, ALARM, OK, OK]), ("Maximum", [OK] * 6)])
def test_an_alarm_is_in_alarm_while_its_periods_have_a_bad_one(statistic: str, expected: list[str]) -> None:
    metrics = Metrics()
    metrics.put(metric_id("AWS/SQS", "NumberOfMessagesReceived", {"QueueName": "another"}), 9, 0)
    for second in range(0, 480, 60):
        metrics.put(RECEIVED, second == 60, second)
    # Together they are above the limit. The second arrives a minute later.
    metrics.put(RECEIVED, 1, 119, 120)
    alarm, reading = Alarm(OVER_ONE | METRIC | {"period": 60, "statistic": statistic}), Reading(1, 0, zeros=True)

    assert [alarm.evaluate(metrics, minute, reading) for minute in range(1, 7)] == expected


@pytest.mark.parametrize(("zeros", "state"), [(True, OK), (False, ALARM)])
def test_sqs_may_leave_out_zeros_so_that_cloudwatch_looks_further_back(zeros: bool, state: str) -> None:
    metrics = Metrics()
    for second, value in ((0, 1), (60, 0)):
        metrics.put(RECEIVED, value, second)
    queries = [{"id": "doubled", "expression": "2 * received"}]
    queries.append({"id": "received", "metric": METRIC | {"period": 60, "stat": "Sum"}})
    alarm = Alarm(OVER_ONE | {"metricQueries": queries, "evaluationPeriods": 1})

    assert alarm.evaluate(metrics, 2, Reading(delay=0, extra=1, zeros=zeros)) == state
