"""The dashboard of a pipeline."""

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from infrastructure.context import Context
from infrastructure.metrics import Metric, Metrics
from processor.names import COUNTERS

WIDTH = 12
HEIGHT = 6
PERIOD_SECONDS = 60


class Dashboard(pulumi.ComponentResource):
    """A CloudWatch dashboard: throughput, failures, the function's speed, and what waits."""

    def __init__(
        self, name: str, *, context: Context, metrics: Metrics, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("pipeline:infrastructure:Dashboard", name, None, opts)
        aws.cloudwatch.Dashboard(
            "dashboard",
            dashboard_name=context.names.of("dashboard"),
            dashboard_body=pulumi.Output.json_dumps(
                {
                    "widgets": [
                        _widget(title, context.account.region, graphs) for title, graphs in _graphs(metrics).items()
                    ]
                }
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def _graphs(metrics: Metrics) -> dict[str, Sequence[Metric]]:
    """Return the metrics of each graph by its title."""
    visible, hidden = "ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible"
    return {
        "Messages sent by producers, and received by Lambda": [
            metrics.queue("NumberOfMessagesSent", "Sum"),
            metrics.queue("NumberOfMessagesReceived", "Sum"),
        ],
        "Messages by result": [metrics.messages(counter) for counter in COUNTERS],
        "Messages that wait or are in process": [
            metrics.queue(visible, "Maximum"),
            metrics.queue(hidden, "Maximum"),
        ],
        "Age of the oldest message, in seconds": [metrics.queue("ApproximateAgeOfOldestMessage", "Maximum")],
        "Messages in the dead-letter queue": [
            metrics.dead_letter_queue(visible, "Maximum"),
            metrics.dead_letter_queue(hidden, "Maximum"),
        ],
        "Duration of the function, in milliseconds": [
            metrics.function("Duration", statistic) for statistic in ("Average", "p99", "Maximum")
        ],
        "Concurrent executions of the function": [metrics.function("ConcurrentExecutions", "Maximum")],
        "Invocations, errors and throttles of the function": [
            metrics.function(name, "Sum") for name in ("Invocations", "Errors", "Throttles")
        ],
        "Throttled writes of the table and its index": [
            metrics.table("WriteThrottleEvents"),
            metrics.index("WriteThrottleEvents"),
        ],
        "Notifications": [
            metrics.topic(f"NumberOf{what}")
            for what in ("MessagesPublished", "NotificationsDelivered", "NotificationsFailed")
        ],
    }


def _widget(title: str, region: str, graphs: Sequence[Metric]) -> dict[str, Any]:
    """Return a graph; CloudWatch finds a place for it.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
    """
    return {
        "type": "metric",
        "width": WIDTH,
        "height": HEIGHT,
        "properties": {
            "title": title,
            "region": region,
            "period": PERIOD_SECONDS,
            "metrics": [
                [
                    metric.namespace,
                    metric.name,
                    *(part for dimension in metric.dimensions.items() for part in dimension),
                    {"stat": metric.statistic},
                ]
                for metric in graphs
            ],
        },
    }
