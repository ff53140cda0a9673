"""CloudWatch alarms that notify the topic, and a dashboard of the same metrics."""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infrastructure.context import Context
from infrastructure.messaging import Messaging
from infrastructure.processing import Processing
from infrastructure.settings import Settings
from processor.names import METRICS_NAMESPACE, MISCONFIGURED

PERIOD_SECONDS = 300
WIDGET_WIDTH = 12
WIDGET_HEIGHT = 6
WIDGETS_IN_A_ROW = 2


@dataclass(frozen=True)
class Metric:
    """A CloudWatch metric and its alarm.

    Attributes:
        role: Last part of the alarm's name.
        title: Title of the graph on the dashboard.
        namespace: Namespace of the metric.
        name: Name of the metric.
        statistic: Statistic over a period.
        dimensions: Dimensions of the metric.
        threshold: The alarm is raised above this value.
        description: What has happened, and what to do.
    """

    role: str
    title: str
    namespace: str
    name: str
    statistic: str
    dimensions: dict[str, pulumi.Input[str]]
    threshold: int
    description: str


class Monitoring(pulumi.ComponentResource):
    """Alarms that notify the topic, and a dashboard of the same metrics."""

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        messaging: Messaging,
        processing: Processing,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pipeline:infrastructure:Monitoring", name, None, opts)
        names = context.names
        child = pulumi.ResourceOptions(parent=self)
        metrics = _metrics(context.settings, messaging, processing)
        for metric in metrics:
            aws.cloudwatch.MetricAlarm(
                f"{metric.role}-alarm",
                name=names.of(metric.role),
                alarm_description=metric.description,
                namespace=metric.namespace,
                metric_name=metric.name,
                statistic=metric.statistic,
                dimensions=metric.dimensions,
                comparison_operator="GreaterThanThreshold",
                threshold=metric.threshold,
                period=PERIOD_SECONDS,
                evaluation_periods=1,
                treat_missing_data="notBreaching",
                alarm_actions=[messaging.topic.arn],
                ok_actions=[messaging.topic.arn],
                tags=names.tags,
                opts=child,
            )
        aws.cloudwatch.Dashboard(
            "dashboard",
            dashboard_name=names.of("dashboard"),
            dashboard_body=pulumi.Output.json_dumps(
                {
                    "widgets": [
                        _widget(position, metric, context.account.region) for position, metric in enumerate(metrics)
                    ]
                }
            ),
            opts=child,
        )
        self.register_outputs({})


def _metrics(settings: Settings, messaging: Messaging, processing: Processing) -> list[Metric]:
    function = {"FunctionName": processing.function.name}
    return [
        Metric(
            role="dead-letters",
            title="Messages in the dead-letter queue",
            namespace="AWS/SQS",
            name="ApproximateNumberOfMessagesVisible",
            statistic="Maximum",
            dimensions={"QueueName": messaging.dead_letter_queue.name},
            threshold=0,
            description="The dead-letter queue has messages. Read their attributes, fix the cause, and redrive them.",
        ),
        Metric(
            role="errors",
            title="Function errors",
            namespace="AWS/Lambda",
            name="Errors",
            statistic="Sum",
            dimensions=function,
            threshold=0,
            description="The function crashed or timed out. Its messages are delivered again. Read the function's log.",
        ),
        Metric(
            role="throttles",
            title="Function throttles",
            namespace="AWS/Lambda",
            name="Throttles",
            statistic="Sum",
            dimensions=function,
            threshold=0,
            description="Lambda had no free execution for the function. Raise lambdaReservedConcurrency or the quota.",
        ),
        Metric(
            role="oldest-message",
            title="Age of the oldest message, in seconds",
            namespace="AWS/SQS",
            name="ApproximateAgeOfOldestMessage",
            statistic="Maximum",
            dimensions={"QueueName": messaging.queue.name},
            threshold=settings.visibility_timeout_seconds,
            description="A message is older than the visibility timeout. The function fails, is not called or is slow.",
        ),
        Metric(
            role="misconfigured",
            title="Messages that failed because of a misconfiguration",
            namespace=METRICS_NAMESPACE,
            name=MISCONFIGURED,
            statistic="Sum",
            dimensions={"service": processing.function.name},
            threshold=0,
            description="AWS refuses the function's calls. Read its log, and fix the permission, resource or key.",
        ),
    ]


def _widget(position: int, metric: Metric, region: str) -> dict[str, Any]:
    """Return a graph of the dashboard.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
    """
    row, column = divmod(position, WIDGETS_IN_A_ROW)
    dimensions = [part for dimension in metric.dimensions.items() for part in dimension]
    return {
        "type": "metric",
        "x": column * WIDGET_WIDTH,
        "y": row * WIDGET_HEIGHT,
        "width": WIDGET_WIDTH,
        "height": WIDGET_HEIGHT,
        "properties": {
            "title": metric.title,
            "region": region,
            "metrics": [[metric.namespace, metric.name, *dimensions]],
            "stat": metric.statistic,
            "period": PERIOD_SECONDS,
            "annotations": {"horizontal": [{"label": "alarm", "value": metric.threshold}]},
        },
    }
