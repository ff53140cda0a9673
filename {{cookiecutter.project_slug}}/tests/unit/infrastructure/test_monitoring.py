"""The alarms and the dashboard."""

import pytest

from tools.testing.recording import PROJECT_NAME, Deployment

# Logical name: namespace, metric, statistic, dimension.
ALARMS = {
    "dead-letters-alarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", "QueueName"),
    "errors-alarm": ("AWS/Lambda", "Errors", "Sum", "FunctionName"),
    "throttles-alarm": ("AWS/Lambda", "Throttles", "Sum", "FunctionName"),
    "oldest-message-alarm": ("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", "QueueName"),
    "misconfigured-alarm": ("EventPipeline", "MessagesMisconfigured", "Sum", "service"),
}
MEASURED = {
    "dead-letters-alarm": ("aws:sqs/queue:Queue", "dead-letter-queue"),
    "errors-alarm": ("aws:lambda/function:Function", "function"),
    "throttles-alarm": ("aws:lambda/function:Function", "function"),
    "oldest-message-alarm": ("aws:sqs/queue:Queue", "queue"),
    "misconfigured-alarm": ("aws:lambda/function:Function", "function"),
}


def test_the_stack_has_these_alarms(deployed: Deployment) -> None:
    assert set(deployed.all("aws:cloudwatch/metricAlarm:MetricAlarm")) == set(ALARMS)


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_watches_its_metric(deployed: Deployment, name: str) -> None:
    alarm = deployed.one("aws:cloudwatch/metricAlarm:MetricAlarm", name).inputs
    namespace, metric, statistic, dimension = ALARMS[name]
    measured = deployed.one(*MEASURED[name]).inputs["name"]

    assert (alarm["namespace"], alarm["metricName"], alarm["statistic"]) == (namespace, metric, statistic)
    assert alarm["dimensions"] == {dimension: measured}


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_notifies_the_topic_when_it_starts_and_ends(deployed: Deployment, name: str) -> None:
    alarm = deployed.one("aws:cloudwatch/metricAlarm:MetricAlarm", name).inputs

    assert alarm["alarmActions"] == alarm["okActions"] == [deployed.exports["topic_arn"]]


@pytest.mark.parametrize("name", sorted(set(ALARMS) - {"oldest-message-alarm"}))
def test_a_single_failure_raises_an_alarm(deployed: Deployment, name: str) -> None:
    alarm = deployed.one("aws:cloudwatch/metricAlarm:MetricAlarm", name).inputs

    assert (alarm["comparisonOperator"], alarm["threshold"]) == ("GreaterThanThreshold", 0)
    assert (alarm["period"], alarm["evaluationPeriods"]) == (300, 1)
    assert alarm["treatMissingData"] == "notBreaching"


def test_a_message_older_than_the_visibility_timeout_raises_an_alarm(deployed: Deployment) -> None:
    alarm = deployed.one("aws:cloudwatch/metricAlarm:MetricAlarm", "oldest-message-alarm").inputs

    assert alarm["threshold"] == deployed.one("aws:sqs/queue:Queue", "queue").inputs["visibilityTimeoutSeconds"]


def test_every_alarm_has_its_own_description(deployed: Deployment) -> None:
    descriptions = [
        alarm.inputs["alarmDescription"] for alarm in deployed.all("aws:cloudwatch/metricAlarm:MetricAlarm").values()
    ]

    assert len(set(descriptions)) == len(ALARMS)
    assert all(len(description) > 40 for description in descriptions)


def test_the_dashboard_shows_what_the_alarms_watch(deployed: Deployment) -> None:
    dashboard = deployed.one("aws:cloudwatch/dashboard:Dashboard", "dashboard")
    alarms = [alarm.inputs for alarm in deployed.all("aws:cloudwatch/metricAlarm:MetricAlarm").values()]
    widgets = dashboard.document("dashboardBody")["widgets"]

    assert dashboard.inputs["dashboardName"] == f"{PROJECT_NAME}-{deployed.setting('environmentSuffix')}-dashboard"
    assert sorted(
        (widget["properties"]["metrics"], widget["properties"]["annotations"]["horizontal"][0]["value"])
        for widget in widgets
    ) == sorted(
        ([[alarm["namespace"], alarm["metricName"], *next(iter(alarm["dimensions"].items()))]], alarm["threshold"])
        for alarm in alarms
    )
    assert {widget["properties"]["region"] for widget in widgets} == {deployed.region}


def test_the_dashboards_graphs_do_not_overlap(example: Deployment) -> None:
    widgets = example.one("aws:cloudwatch/dashboard:Dashboard", "dashboard").document("dashboardBody")["widgets"]

    assert [(widget["x"], widget["y"]) for widget in widgets] == [(0, 0), (12, 0), (0, 6), (12, 6), (0, 12)]
