"""Tests of the CloudWatch model with the examples in AWS's documentation. `test_outages` tests the alarms' timing."""

import pytest

from tests.outages.cloudwatch import ALARM, OK, Value, calculate, next_state

# The documentation's symbols for a period: not breaching, breaching, and missing.
PERIODS: dict[str, Value] = {"0": 0, "X": 1, "-": None}
KEPT = "the state before"
# The documentation's examples: `datapointsToAlarm` of three periods, the retrieved periods, and the states if
# `treatMissingData` is `ignore` and `notBreaching`.
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
INPUTS = {"evaluationPeriods": 3.0, "comparisonOperator": "GreaterThanThreshold", "threshold": 0}


@pytest.mark.parametrize(("needed", "periods", "ignore", "not_breaching"), EXAMPLES)
def test_an_alarm_is_evaluated_as_in_the_documentation(
    needed: int, periods: str, ignore: str, not_breaching: str
) -> None:
    for missing, state in {"ignore": ignore, "notBreaching": not_breaching}.items():
        alarm = INPUTS | {"datapointsToAlarm": needed, "treatMissingData": missing}
        assert next_state(alarm, [PERIODS[period] for period in periods], KEPT) == state


@pytest.mark.parametrize(("expression", "values", "result"), MATHS)
def test_metric_math_is_calculated_as_in_the_documentation(
    expression: str, values: dict[str, Value], result: Value
) -> None:
    assert calculate(expression, values) == result
