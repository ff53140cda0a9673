"""The dashboard: every graph, and every metric in it."""

from typing import Any, Final

import pytest

from tools.testing import PROJECT_NAME, Deployment

# Each graph's title, and its metrics: namespace, name, the resource, and the statistic.
GRAPHS: Final = {
    "Messages sent by producers, and received by Lambda": [
        ("AWS/SQS", "NumberOfMessagesSent", "queue", "Sum"),
        ("AWS/SQS", "NumberOfMessagesReceived", "queue", "Sum"),
    ],
    "Messages by result": [
        ("EventPipeline", "MessagesProcessed", "service", "Sum"),
        ("EventPipeline", "MessagesDeadLettered", "service", "Sum"),
        ("EventPipeline", "MessagesReturned", "service", "Sum"),
        ("EventPipeline", "MessagesMisconfigured", "service", "Sum"),
    ],
    "Messages that wait or are in process": [
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "queue", "Maximum"),
        ("AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "queue", "Maximum"),
    ],
    "Age of the oldest message, in seconds": [("AWS/SQS", "ApproximateAgeOfOldestMessage", "queue", "Maximum")],
    "Messages in the dead-letter queue": [
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "dead-letter-queue", "Maximum"),
        ("AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "dead-letter-queue", "Maximum"),
    ],
    "Duration of the function, in milliseconds": [
        ("AWS/Lambda", "Duration", "function", "Average"),
        ("AWS/Lambda", "Duration", "function", "p99"),
        ("AWS/Lambda", "Duration", "function", "Maximum"),
    ],
    "Concurrent executions of the function": [("AWS/Lambda", "ConcurrentExecutions", "function", "Maximum")],
    "Invocations, errors and throttles of the function": [
        ("AWS/Lambda", "Invocations", "function", "Sum"),
        ("AWS/Lambda", "Errors", "function", "Sum"),
        ("AWS/Lambda", "Throttles", "function", "Sum"),
    ],
    "Throttled writes of the table and its index": [
        ("AWS/DynamoDB", "WriteThrottleEvents", "table", "Sum"),
        ("AWS/DynamoDB", "WriteThrottleEvents", "index", "Sum"),
    ],
    "Notifications": [
        ("AWS/SNS", "NumberOfMessagesPublished", "topic", "Sum"),
        ("AWS/SNS", "NumberOfNotificationsDelivered", "topic", "Sum"),
        ("AWS/SNS", "NumberOfNotificationsFailed", "topic", "Sum"),
    ],
}


def widgets(deployment: Deployment) -> list[dict[str, Any]]:
    """Return the dashboard's widgets."""
    return deployment.one("aws:cloudwatch/dashboard:Dashboard", "dashboard").document("dashboardBody")["widgets"]


def dimensions(deployment: Deployment, resource: str) -> list[str]:
    """Return the names and values of a metric's dimensions, in turn."""
    function = deployment.one("aws:lambda/function:Function", "function").inputs["name"]
    table = deployment.one("aws:dynamodb/table:Table", "table").inputs
    queues = {name: queue.inputs["name"] for name, queue in deployment.all("aws:sqs/queue:Queue").items()}
    return {
        "function": ["FunctionName", function],
        "service": ["service", function],
        "table": ["TableName", table["name"]],
        "index": ["TableName", table["name"], "GlobalSecondaryIndexName", table["globalSecondaryIndexes"][0]["name"]],
        "topic": ["TopicName", deployment.one("aws:sns/topic:Topic", "topic").inputs["name"]],
        **{name: ["QueueName", queue] for name, queue in queues.items()},
    }[resource]


def test_the_dashboards_name_has_the_project_and_the_suffix(deployed: Deployment) -> None:
    dashboard = deployed.one("aws:cloudwatch/dashboard:Dashboard", "dashboard").inputs

    assert dashboard["dashboardName"] == f"{PROJECT_NAME}-{deployed.setting('environmentSuffix')}-dashboard"


def test_the_dashboard_has_these_graphs(deployed: Deployment) -> None:
    assert [widget["properties"]["title"] for widget in widgets(deployed)] == list(GRAPHS)


@pytest.mark.parametrize("title", GRAPHS)
def test_a_graph_shows_its_metrics(deployed: Deployment, title: str) -> None:
    (graph,) = [widget["properties"] for widget in widgets(deployed) if widget["properties"]["title"] == title]

    assert graph["metrics"] == [
        [namespace, name, *dimensions(deployed, resource), {"stat": statistic}]
        for namespace, name, resource, statistic in GRAPHS[title]
    ]


def test_a_graph_shows_each_minute_in_the_stacks_region(deployed: Deployment) -> None:
    for widget in widgets(deployed):
        assert widget["type"] == "metric"
        assert (widget["properties"]["region"], widget["properties"]["period"]) == (deployed.region, 60)


def test_two_graphs_share_a_row_of_24_columns(deployed: Deployment) -> None:
    assert {(widget["width"], widget["height"]) for widget in widgets(deployed)} == {(12, 6)}


def test_the_dashboard_shows_everything_that_an_alarm_watches(deployed: Deployment) -> None:
    shown = {frozenset(metric[:-1]) for widget in widgets(deployed) for metric in widget["properties"]["metrics"]}
    alarms = [alarm.inputs for alarm in deployed.all("aws:cloudwatch/metricAlarm:MetricAlarm").values()]
    queries = [query for alarm in alarms for query in alarm.get("metricQueries", [{"metric": alarm}])]
    watched = {
        frozenset({metric["namespace"], metric["metricName"], *metric["dimensions"], *metric["dimensions"].values()})
        for metric in (query["metric"] for query in queries if "metric" in query)
    }

    assert watched <= shown
