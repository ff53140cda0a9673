"""Alarms and dashboard: what is deployed is what was promised."""

import json
from typing import Any

import pytest

from infrastructure.monitoring import PERIOD_SECONDS
from processor.names import METRICS_NAMESPACE, MISCONFIGURED
from tests.integration.deployed import Deployed, hold

# For each alarm: namespace, metric, and the dimension with the output that names its value.
ALARMS = {
    "dead-letters": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "dlq_arn"),
    "errors": ("AWS/Lambda", "Errors", "FunctionName", "function_arn"),
    "throttles": ("AWS/Lambda", "Throttles", "FunctionName", "function_arn"),
    "oldest-message": ("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "queue_arn"),
    "misconfigured": (METRICS_NAMESPACE, MISCONFIGURED, "service", "function_arn"),
}


# A queue's metrics are levels, the others are counts.
LEVELS = {"dead-letters", "oldest-message"}


def metric_of(deployed: Deployed, alarm: str) -> tuple[str, str, str, str]:
    """Name what an alarm watches: namespace, metric, dimension and its value."""
    namespace, metric, dimension, output = ALARMS[alarm]
    return namespace, metric, dimension, deployed.outputs[output].rpartition(":")[2]


@pytest.fixture(name="alarm", params=ALARMS)
def fixture_alarm(request: pytest.FixtureRequest) -> str:
    """Each alarm in turn."""
    return request.param


@pytest.fixture(name="found")
def fixture_found(deployed: Deployed, alarm: str) -> dict[str, Any]:
    """The alarm, as CloudWatch describes it."""
    name = deployed.names.of(alarm)
    alarms = deployed.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    hold(name, "alarms of this name", found=len(alarms), promised=1)
    return alarms[0]


def test_an_alarm_watches_its_metric(deployed: Deployed, alarm: str, found: dict[str, Any]) -> None:
    dimensions = [part for dimension in found["Dimensions"] for part in (dimension["Name"], dimension["Value"])]

    watched = (found["Namespace"], found["MetricName"], *dimensions)
    hold(found["AlarmName"], "metric", found=watched, promised=metric_of(deployed, alarm))
    measured = (found.get("Statistic"), found["Period"])
    promised = ("Maximum" if alarm in LEVELS else "Sum", PERIOD_SECONDS)
    hold(found["AlarmName"], "statistic and period, seconds", found=measured, promised=promised)


def test_an_alarm_is_raised_at_once(deployed: Deployed, alarm: str, found: dict[str, Any]) -> None:
    threshold = deployed.settings.visibility_timeout_seconds if alarm == "oldest-message" else 0

    condition = (found["ComparisonOperator"], found["Threshold"], found["EvaluationPeriods"])
    hold(found["AlarmName"], "condition", found=condition, promised=("GreaterThanThreshold", threshold, 1))
    hold(found["AlarmName"], "missing data", found=found["TreatMissingData"], promised="notBreaching")


def test_an_alarm_and_its_end_are_announced(deployed: Deployed, found: dict[str, Any]) -> None:
    topic = [deployed.outputs["topic_arn"]]

    announced = (found["ActionsEnabled"], found["AlarmActions"], found["OKActions"])
    hold(found["AlarmName"], "actions", found=announced, promised=(True, topic, topic))


def test_the_dashboard_shows_every_metric(deployed: Deployed) -> None:
    name = deployed.names.of("dashboard")
    entries = deployed.client("cloudwatch").list_dashboards(DashboardNamePrefix=name)["DashboardEntries"]
    hold(name, "dashboards of this name", found=len(entries), promised=1)

    body = json.loads(deployed.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
    shown = {tuple(metric) for widget in body["widgets"] for metric in widget["properties"]["metrics"]}
    hold(name, "metrics", found=shown, promised={metric_of(deployed, alarm) for alarm in ALARMS})
