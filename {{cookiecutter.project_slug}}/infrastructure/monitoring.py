"""The alarms and the dashboard of a pipeline, and the metrics that both use."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infrastructure import iam
from infrastructure.context import Context
from infrastructure.messaging import SIGNATURE_VERSION, Messaging
from infrastructure.processing import Processing
from infrastructure.settings import Settings
from infrastructure.storage import TIMESTAMP_INDEX, Storage
from processor.names import COUNTERS, METRICS_NAMESPACE, MISCONFIGURED, PROCESSED, RETURNED

# Each alarm's description ends with the address of its runbook: docs/alarms.md#NAME.
RUNBOOKS = "docs/alarms.md"
MINUTE = 60
RETURNED_PERCENT = 25
OLDEST_SECONDS = 900
# Exceeds any realistic backlog, so that a single received message makes the expression of `not-received` negative.
MOST_WAITING = 1_000_000_000


@dataclass(frozen=True)
class Metric:
    """A CloudWatch metric, and its statistic for periods of one minute."""

    namespace: str
    dimensions: Mapping[str, pulumi.Input[str]]
    name: str
    statistic: str = "Sum"


class Metrics:
    """Factories for a pipeline's metrics, by source. Each takes a metric's name and statistic, by default ``Sum``.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
    https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html

    Attributes:
        queue: Metrics of the queue.
        dead_letter_queue: Metrics of the dead-letter queue.
        function: Metrics of all versions of the function.
        messages: The function's own metrics, which count messages.
        table: Metrics of the table.
        index: Metrics of the table's global secondary index.
        topic: Metrics of the topic for notifications.
    """

    def __init__(self, storage: Storage, messaging: Messaging, processing: Processing) -> None:
        function, table = processing.function.name, storage.table.name
        self.queue = functools.partial(Metric, "AWS/SQS", {"QueueName": messaging.queue.name})
        self.dead_letter_queue = functools.partial(Metric, "AWS/SQS", {"QueueName": messaging.dead_letter_queue.name})
        self.function = functools.partial(Metric, "AWS/Lambda", {"FunctionName": function})
        self.messages = functools.partial(Metric, METRICS_NAMESPACE, {"service": function})
        self.table = functools.partial(Metric, "AWS/DynamoDB", {"TableName": table})
        self.index = functools.partial(
            Metric, "AWS/DynamoDB", {"TableName": table, "GlobalSecondaryIndexName": TIMESTAMP_INDEX}
        )
        self.topic = functools.partial(Metric, "AWS/SNS", {"TopicName": messaging.topic.name})


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A CloudWatch alarm on one-minute datapoints above a threshold.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html

    Attributes:
        name: Last part of the alarm's name.
        description: What has happened, and what to do.
        metrics: The alarm's only metric, or the metrics in its expression, by ID.
        expression: Metric math. Arithmetic treats a missing value as 0, but a minute without any values has no result.
            With FILL, such a minute would have a result, and the alarm would go to OK when a queue reports nothing.
            https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
        threshold: Values above the threshold are breaching.
        datapoints_to_alarm: Number of breaching minutes that sets the state to ALARM.
        evaluation_periods: Number of recent minutes that are evaluated.
        treat_missing_data: How to treat minutes without data. By default, the alarm keeps its state: it does not go to
            OK only because no more messages arrive, or because SQS reports no metrics for a queue that has been idle
            for six hours. https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
    """

    name: str
    description: str
    metrics: Mapping[str, Metric]
    expression: str = ""
    threshold: float = 0
    datapoints_to_alarm: int = 1
    evaluation_periods: int
    treat_missing_data: str = "ignore"


class Alarms(pulumi.ComponentResource):
    """The CloudWatch alarms and their own SNS topic, separate from the topic for notifications.

    The topic is not encrypted with the stack's key, so that alarms arrive even if the key is disabled. Alarms contain
    no message data.

    Attributes:
        topic: Receives the alarms. The recipient must confirm the e-mail subscription.
    """

    def __init__(self, context: Context, metrics: Metrics, opts: pulumi.ResourceOptions) -> None:
        super().__init__("pipeline:infrastructure:Alarms", "alarms", None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.topic = aws.sns.Topic(
            "alarm-topic",
            name=context.name("alarms"),
            signature_version=SIGNATURE_VERSION,
            tags=context.tags,
            opts=context.protected_options(parent=self),
        )
        policy = aws.sns.TopicPolicy(
            "alarm-topic-policy",
            arn=self.topic.arn,
            policy=iam.document(
                iam.deny_insecure_transport("sns:Publish", [self.topic.arn]), _allow_alarms(self.topic, context)
            ),
            opts=child,
        )
        if context.settings.notification_email:
            aws.sns.TopicSubscription(
                "alarm-subscription",
                topic=self.topic.arn,
                protocol="email",
                endpoint=context.settings.notification_email,
                opts=child,
            )
        for alarm in _alarms(context.settings, metrics):
            aws.cloudwatch.MetricAlarm(
                f"{alarm.name}-alarm",
                name=context.name(alarm.name),
                alarm_description=f"{alarm.description} Runbook: {RUNBOOKS}#{alarm.name}",
                **_watched(alarm),
                comparison_operator="GreaterThanThreshold",
                threshold=alarm.threshold,
                datapoints_to_alarm=alarm.datapoints_to_alarm,
                evaluation_periods=alarm.evaluation_periods,
                treat_missing_data=alarm.treat_missing_data,
                alarm_actions=[self.topic.arn],
                ok_actions=[self.topic.arn],
                tags=context.tags,
                opts=pulumi.ResourceOptions(parent=self, depends_on=policy),
            )
        self.register_outputs({})


class Dashboard(pulumi.ComponentResource):
    """A CloudWatch dashboard of throughput, failures, durations and backlog."""

    def __init__(self, context: Context, metrics: Metrics, opts: pulumi.ResourceOptions) -> None:
        super().__init__("pipeline:infrastructure:Dashboard", "dashboard", None, opts)
        region = context.account.region
        widgets = [_widget(title, region, graph) for title, graph in _graphs(metrics).items()]
        aws.cloudwatch.Dashboard(
            "dashboard",
            dashboard_name=context.name("dashboard"),
            dashboard_body=pulumi.Output.json_dumps({"widgets": widgets}),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def _alarms(settings: Settings, metrics: Metrics) -> Iterator[Alarm]:
    """Yield the pipeline's alarms.

    A problem that resolves itself must not trigger an alarm. A problem that lasts a minute can span two
    one-minute periods, so an alarm on a problem that a retry may resolve requires three breaching periods.
    """
    timeout_minutes = settings.lambda_timeout_seconds // MINUTE
    # Time for three deliveries of a message. Each of the two retries waits for the batch window.
    retry_minutes = 10 + 2 * settings.batch_window_seconds // MINUTE
    # SQS's metrics are approximate: a single value must not set the state to OK.
    settled_minutes = 5
    yield Alarm(
        name="dead-letters",
        description="The dead-letter queue has messages. Read their attributes, fix the cause, and redrive them.",
        # Messages in flight, for example while somebody reads them, are not visible.
        metrics={
            "visible": metrics.dead_letter_queue("ApproximateNumberOfMessagesVisible", "Maximum"),
            "hidden": metrics.dead_letter_queue("ApproximateNumberOfMessagesNotVisible", "Maximum"),
        },
        expression="visible + hidden",
        evaluation_periods=settled_minutes,
    )
    yield Alarm(
        name="errors",
        description="The function crashes or times out, and its messages are redelivered. Read the function's log.",
        metrics={"errors": metrics.function("Errors")},
        datapoints_to_alarm=2,
        # The messages of a crashed batch are redelivered within this time.
        evaluation_periods=settings.visibility_timeout_seconds // MINUTE + timeout_minutes + 5,
    )
    yield Alarm(
        name="throttles",
        description="Lambda has no concurrency left for the function. Raise the quota, or lower maximumConcurrency.",
        metrics={"throttles": metrics.function("Throttles")},
        datapoints_to_alarm=3,
        evaluation_periods=10,
    )
    yield Alarm(
        name="returned",
        description=f"More than {RETURNED_PERCENT} % of the messages fail and are retried. Read the function's log.",
        metrics={"returned": metrics.messages(RETURNED), "processed": metrics.messages(PROCESSED)},
        expression="100 * returned / (returned + processed)",
        threshold=RETURNED_PERCENT,
        datapoints_to_alarm=3,
        evaluation_periods=retry_minutes,
    )
    yield Alarm(
        name="misconfigured",
        description="AWS rejects the function's calls. Read its log, and fix the permission, resource or key.",
        metrics={"misconfigured": metrics.messages(MISCONFIGURED)},
        # IAM is eventually consistent: a new permission may take a minute to take effect.
        datapoints_to_alarm=3,
        evaluation_periods=retry_minutes,
    )
    yield Alarm(
        name="oldest-message",
        description="A message has waited too long. The function fails or is too slow.",
        metrics={"age": metrics.queue("ApproximateAgeOfOldestMessage", "Maximum")},
        # Allows one failure: the visibility timeout, the batch window, and another invocation.
        threshold=max(
            OLDEST_SECONDS,
            settings.visibility_timeout_seconds + settings.batch_window_seconds + settings.lambda_timeout_seconds,
        ),
        evaluation_periods=settled_minutes,
        # SQS may report no age for an empty queue.
        treat_missing_data="notBreaching",
    )
    yield Alarm(
        name="not-received",
        description="Messages wait, but Lambda receives none. Check the event source mapping, key and permissions.",
        metrics={
            "waiting": metrics.queue("ApproximateNumberOfMessagesVisible", "Maximum"),
            "received": metrics.queue("NumberOfMessagesReceived"),
        },
        # Positive if messages wait and no message is received. Metric math treats a missing value as 0 in arithmetic,
        # but not in a comparison with a number.
        expression=f"waiting - {MOST_WAITING} * received",
        # At maximum concurrency, Lambda also receives no messages until an invocation ends.
        datapoints_to_alarm=timeout_minutes + 3,
        evaluation_periods=timeout_minutes + 3,
    )
    yield Alarm(
        name="failed-notifications",
        description="SNS has given up on delivering notifications to a subscriber. Check the subscriber.",
        metrics={"failed": metrics.topic("NumberOfNotificationsFailed")},
        evaluation_periods=10,
        treat_missing_data="notBreaching",
    )


def _watched(alarm: Alarm) -> dict[str, Any]:
    """Return the `MetricAlarm` inputs for the alarm's metric or metric math."""
    watched = {
        id_: {
            "namespace": metric.namespace,
            "metric_name": metric.name,
            "dimensions": metric.dimensions,
            "period": MINUTE,
            "stat": metric.statistic,
        }
        for id_, metric in alarm.metrics.items()
    }
    if not alarm.expression:
        (metric,) = watched.values()
        return {"statistic": metric.pop("stat"), **metric}
    result = {"id": "value", "expression": alarm.expression, "label": alarm.name, "return_data": True}
    return {"metric_queries": [result, *({"id": id_, "metric": metric} for id_, metric in watched.items())]}


def _allow_alarms(topic: aws.sns.Topic, context: Context) -> iam.Statement:
    """Allow the stack's alarms to publish to the topic.

    https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html
    """
    return {
        "Sid": "AllowAlarms",
        "Effect": "Allow",
        "Principal": iam.service_principal("cloudwatch"),
        "Action": "sns:Publish",
        "Resource": topic.arn,
        "Condition": {
            "StringEquals": {"aws:SourceAccount": context.account.id},
            "ArnLike": {"aws:SourceArn": context.account.arn("cloudwatch", f"alarm:{context.name('*')}")},
        },
    }


def _graphs(metrics: Metrics) -> dict[str, Sequence[Metric]]:
    """Return the metrics of each graph, by title."""
    visible, hidden = "ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible"
    return {
        "Messages sent by producers, and received by Lambda": [
            metrics.queue("NumberOfMessagesSent"),
            metrics.queue("NumberOfMessagesReceived"),
        ],
        "Messages by result": [metrics.messages(counter) for counter in COUNTERS],
        "Messages waiting and in flight": [
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
            metrics.function(name) for name in ("Invocations", "Errors", "Throttles")
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


def _widget(title: str, region: str, graph: Sequence[Metric]) -> dict[str, Any]:
    """Return a graph's widget. Without ``x`` and ``y``, CloudWatch positions the widget.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
    """
    return {
        "type": "metric",
        # The dashboard has 24 columns, so two graphs fit in a row.
        "width": 12,
        "height": 6,
        "properties": {
            "title": title,
            "region": region,
            "period": MINUTE,
            "metrics": [
                [metric.namespace, metric.name, *sum(metric.dimensions.items(), ()), {"stat": metric.statistic}]
                for metric in graph
            ],
        },
    }
