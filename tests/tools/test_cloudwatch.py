"""The model of CloudWatch does what CloudWatch's documentation says."""

import pytest

from tools.testing.cloudwatch import (
    ALARM,
    INSUFFICIENT_DATA,
    OK,
    Alarm,
    Metrics,
    Reading,
    Value,
    calculate,
    metric_id,
    next_state,
)

# What a point that CloudWatch retrieves is: good, bad, or missing.
POINTS: dict[str, Value] = {"0": 0, "X": 1, "-": None}
TREATMENTS = ("ignore", "breaching", "notBreaching")
KEPT = "the state before"
# The documentation's examples: how many of three points must be bad, the points, and the state for each treatment.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
EXAMPLES = [
    (3, "0-X-X", (OK, OK, OK)),
    (3, "0----", (OK, OK, OK)),
    (3, "-----", (KEPT, ALARM, OK)),
    (3, "0XX-X", (ALARM, ALARM, ALARM)),
    (3, "--X--", (KEPT, ALARM, OK)),
    (2, "0-X-X", (ALARM, ALARM, ALARM)),
    (2, "00X0X", (ALARM, ALARM, ALARM)),
    (2, "0-X--", (OK, ALARM, OK)),
    (2, "----0", (OK, ALARM, OK)),
    (2, "---X-", (KEPT, ALARM, OK)),
]
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
MATHS = [
    ("a + b", {"a": 2, "b": 3}, 5),
    ("a - 10 * b", {"a": 2, "b": 3}, -28),
    ("100 * a / (a + b)", {"a": 1, "b": 3}, 25),
    ("a + b", {"a": None, "b": 3}, 3),
    ("a + b", {"a": None, "b": None}, None),
    ("a / b", {"a": 1, "b": 0}, None),
    ("a / b", {"a": 1, "b": None}, None),
]
QUEUE = metric_id("AWS/SQS", "NumberOfMessagesSent", {"QueueName": "queue"})
FUNCTION = metric_id("AWS/Lambda", "Errors", {"FunctionName": "function"})
SOON = Reading(delay=1, extra=2, zeros=True)


@pytest.mark.parametrize(("needed", "points", "states"), EXAMPLES)
@pytest.mark.parametrize("treatment", TREATMENTS)
def test_an_alarm_is_evaluated_as_in_the_documentations_examples(
    needed: int, points: str, states: tuple[str, ...], treatment: str
) -> None:
    alarm = {
        "evaluationPeriods": 3,
        "datapointsToAlarm": needed,
        "comparisonOperator": "GreaterThanThreshold",
        "threshold": 0,
        "treatMissingData": treatment,
    }

    state = next_state(alarm, [POINTS[point] for point in points], KEPT)

    assert state == states[TREATMENTS.index(treatment)]


@pytest.mark.parametrize(("expression", "values", "result"), MATHS)
def test_metric_math_is_calculated_as_in_the_documentation(
    expression: str, values: dict[str, Value], result: Value
) -> None:
    assert calculate(expression, values) == result


def test_a_statistic_is_taken_over_all_values_of_some_minutes() -> None:
    metrics = Metrics()
    for second, value in ((0, 1), (59, 2), (60, 4), (120, 8)):
        metrics.put(FUNCTION, value, second)

    assert metrics.value(FUNCTION, "Sum", range(2), 9, SOON) == 7
    assert metrics.value(FUNCTION, "Maximum", range(2), 9, SOON) == 4


def test_a_metric_is_known_some_time_after_it_was_sent() -> None:
    metrics = Metrics()
    metrics.put(FUNCTION, 1, 30, 150)

    assert metrics.value(FUNCTION, "Sum", range(1), 3, SOON) is None
    assert metrics.value(FUNCTION, "Sum", range(1), 4, SOON) == 1


@pytest.mark.parametrize(("zeros", "value"), [(True, 0), (False, None)])
def test_sqs_may_leave_out_a_zero(zeros: bool, value: Value) -> None:
    metrics = Metrics()
    metrics.put(QUEUE, 0, 0)

    assert metrics.value(QUEUE, "Sum", range(1), 9, Reading(delay=1, extra=2, zeros=zeros)) == value


def test_other_services_report_zeros() -> None:
    metrics = Metrics()
    metrics.put(FUNCTION, 0, 0)

    assert metrics.value(FUNCTION, "Sum", range(1), 9, Reading(delay=1, extra=2, zeros=False)) == 0


def test_a_metric_of_something_else_is_another_metric() -> None:
    metrics = Metrics()
    metrics.put(FUNCTION, 1, 0)

    assert metrics.value(metric_id("AWS/Lambda", "Errors", {"FunctionName": "x"}), "Sum", range(1), 9, SOON) is None


# The inputs of an alarm that one bad minute of three raises.
INPUTS = {
    "evaluationPeriods": 3.0,
    "datapointsToAlarm": 1.0,
    "comparisonOperator": "GreaterThanThreshold",
    "threshold": 1,
    "treatMissingData": "notBreaching",
}
SIMPLE = INPUTS | {
    "namespace": "AWS/Lambda",
    "metricName": "Errors",
    "dimensions": {"FunctionName": "function"},
    "statistic": "Sum",
    "period": 60.0,
}
ERRORS = {
    "namespace": "AWS/Lambda",
    "metricName": "Errors",
    "dimensions": {"FunctionName": "function"},
    "stat": "Maximum",
    "period": 120.0,
}
SENT = {
    "namespace": "AWS/SQS",
    "metricName": "NumberOfMessagesSent",
    "dimensions": {"QueueName": "queue"},
    "stat": "Sum",
    "period": 120.0,
}
MATH = INPUTS | {
    "metricQueries": [
        {"id": "difference", "expression": "errors - sent", "returnData": True},
        {"id": "errors", "metric": ERRORS},
        {"id": "sent", "metric": SENT},
    ]
}


def states(alarm: Alarm, metrics: Metrics, minutes: range) -> list[str]:
    """Evaluate an alarm in some minutes."""
    return [alarm.evaluate(metrics, minute, SOON) for minute in minutes]


def test_an_alarm_has_insufficient_data_until_it_is_evaluated() -> None:
    assert Alarm(SIMPLE).state == INSUFFICIENT_DATA


def test_an_alarm_of_a_metric_is_raised_as_long_as_its_periods_have_a_bad_one() -> None:
    metrics = Metrics()
    for minute, errors in enumerate((0, 2, 0, 0, 0, 0, 0, 0)):
        metrics.put(FUNCTION, errors, minute * 60)
    alarm = Alarm(SIMPLE)

    found = states(alarm, metrics, range(1, 9))

    # The bad minute is known two minutes after it began.
    assert found == [OK, OK, ALARM, ALARM, ALARM, OK, OK, OK]
    assert alarm.state == OK


def test_an_alarm_of_an_expression_is_evaluated_over_its_periods() -> None:
    metrics = Metrics()
    for minute, errors in enumerate((0, 0, 3, 3)):
        metrics.put(FUNCTION, errors, minute * 60)
    metrics.put(QUEUE, 1, 120)

    assert states(Alarm(MATH), metrics, range(2, 8, 2)) == [OK, ALARM, ALARM]

    # The sum of two minutes is subtracted from the maximum, as soon as the second is known.
    metrics.put(QUEUE, 1, 180)
    assert states(Alarm(MATH), metrics, range(2, 8, 2)) == [OK, ALARM, OK]


def test_a_value_that_arrives_late_still_counts() -> None:
    metrics = Metrics()
    metrics.put(FUNCTION, 0, 0)
    metrics.put(FUNCTION, 2, 0, 120)
    alarm = Alarm(SIMPLE)

    assert states(alarm, metrics, range(2, 5)) == [OK, OK, ALARM]


def test_an_unknown_treatment_of_missing_data_is_refused() -> None:
    with pytest.raises(ValueError, match="'missing'"):
        Alarm(SIMPLE | {"treatMissingData": "missing"}).evaluate(Metrics(), 9, SOON)


@pytest.mark.parametrize(
    ("treatment", "state"), [("notBreaching", OK), ("ignore", INSUFFICIENT_DATA), ("breaching", ALARM)]
)
def test_an_alarm_without_data_is_in_the_state_that_its_treatment_says(treatment: str, state: str) -> None:
    assert Alarm(SIMPLE | {"treatMissingData": treatment}).evaluate(Metrics(), 9, SOON) == state
