"""The alarms of a pipeline, and the topic that they notify."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infrastructure import iam
from infrastructure.account import Account
from infrastructure.context import Context
from infrastructure.messaging import SIGNATURE_VERSION
from infrastructure.metrics import Metric, Metrics
from infrastructure.settings import IDLE_STEP_MINUTES, Settings
from processor.names import DEAD_LETTERED, MISCONFIGURED, PROCESSED, RETURNED
from processor.timing import MESSAGE_SECONDS

MINUTE = 60
MILLISECONDS = 1000
RETURNED_PERCENT = 25
# More than can wait in a queue that is received from.
MOST_WAITING = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Window:
    """How many periods must be bad.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html

    Attributes:
        bad: So many periods,
        of: out of so many,
        seconds: each so long.
    """

    bad: int = 1
    of: int
    seconds: int = MINUTE


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A CloudWatch alarm.

    Attributes:
        role: Last part of its name.
        description: What has happened, and what to do.
        metrics: The metrics that it watches: one, or those in the expression by their names there.
        threshold: The limit.
        comparison: It is raised if its value compares like this with the threshold.
        expression: Metric math: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
        window: It is raised after so many bad periods.
        missing: What a period without data counts as. By default the alarm keeps its state: it is not over because no
            message has arrived since, or because SQS sends no metrics of a queue that is idle for six hours.
            https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
    """

    role: str
    description: str
    metrics: Mapping[str, Metric]
    threshold: float = 0
    comparison: str = "GreaterThanThreshold"
    expression: str = ""
    window: Window
    missing: str = "ignore"


class Alarms(pulumi.ComponentResource):
    """Alarms, and a topic of their own: its subscriber gets no e-mail but theirs.

    The topic is not encrypted with the stack's key, because an alarm must arrive when that key is disabled. An alarm
    contains no data of the pipeline.

    Attributes:
        topic: Receives the alarms. The e-mail subscription must be confirmed once.
    """

    topic: aws.sns.Topic

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        metrics: Metrics,
        kms_key_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pipeline:infrastructure:Alarms", name, None, opts)
        settings, names = context.settings, context.names
        child = pulumi.ResourceOptions(parent=self)
        self.topic = aws.sns.Topic(
            "alarm-topic",
            name=names.of("alarms"),
            signature_version=SIGNATURE_VERSION,
            tags=names.tags,
            opts=context.protected_options(parent=self),
        )
        rule = aws.cloudwatch.EventRule(
            "key-rule",
            name=names.of("key"),
            description="Somebody disables or deletes the key, without which nothing works. Read the runbook.",
            event_pattern=_key_events(kms_key_arn),
            tags=names.tags,
            opts=child,
        )
        policy = aws.sns.TopicPolicy(
            "alarm-topic-policy",
            arn=self.topic.arn,
            policy=iam.document(
                iam.deny_insecure_transport("sns:Publish", [self.topic.arn]),
                _allow_alarms(self.topic, context.account, names.of("*")),
                _allow_rules(self.topic),
            ),
            opts=child,
        )
        aws.cloudwatch.EventTarget("key-target", rule=rule.name, arn=self.topic.arn, opts=child)
        if settings.notification_email:
            aws.sns.TopicSubscription(
                "alarm-subscription",
                topic=self.topic.arn,
                protocol="email",
                endpoint=settings.notification_email,
                opts=child,
            )
        for alarm in alarms(settings, metrics):
            aws.cloudwatch.MetricAlarm(
                f"{alarm.role}-alarm",
                name=names.of(alarm.role),
                alarm_description=alarm.description,
                **_watched(alarm),
                comparison_operator=alarm.comparison,
                threshold=alarm.threshold,
                evaluation_periods=alarm.window.of,
                datapoints_to_alarm=alarm.window.bad,
                treat_missing_data=alarm.missing,
                alarm_actions=[self.topic.arn],
                ok_actions=[self.topic.arn],
                tags=names.tags,
                opts=pulumi.ResourceOptions(parent=self, depends_on=policy),
            )
        self.register_outputs({"alarm_topic_arn": self.topic.arn})


def alarms(settings: Settings, metrics: Metrics) -> Sequence[Alarm]:
    """Return a pipeline's alarms.

    What heals by itself raises none of them. A minute of trouble can fall into two of CloudWatch's minutes, so where a
    retry may heal it, three must be bad.
    """
    timeout_minutes = settings.lambda_timeout_seconds // MINUTE
    # The time of a message's first three deliveries. After the first, it waits for a batch twice.
    retries = Window(bad=3, of=10 + 2 * settings.batch_window_seconds // MINUTE)
    # SQS's numbers are approximate: a single one ends no alarm.
    settled = Window(of=5)
    always = [
        Alarm(
            role="dead-letters",
            description="The dead-letter queue has messages. Read their attributes, fix the cause, and redrive them.",
            # Those that somebody is reading are not visible.
            metrics={
                "visible": metrics.dead_letter_queue("ApproximateNumberOfMessagesVisible", "Maximum"),
                "hidden": metrics.dead_letter_queue("ApproximateNumberOfMessagesNotVisible", "Maximum"),
            },
            expression="visible + hidden",
            window=settled,
        ),
        Alarm(
            role="new-dead-letters",
            description="The function has sent messages to the dead-letter queue. Read their attributes.",
            metrics={"letters": metrics.messages(DEAD_LETTERED)},
            window=Window(of=10),
            # It must be over before it can tell of further messages.
            missing="notBreaching",
        ),
        Alarm(
            role="errors",
            description="The function crashes or times out. Its messages are delivered again. Read the function's log.",
            metrics={"errors": metrics.function("Errors", "Sum")},
            # A message of a batch that crashed is delivered again within this time.
            window=Window(bad=2, of=settings.visibility_timeout_seconds // MINUTE + timeout_minutes + 5),
        ),
        Alarm(
            role="throttles",
            description="Lambda has no free execution for the function. Reserve concurrency, or raise the quota.",
            metrics={"throttles": metrics.function("Throttles", "Sum")},
            window=Window(bad=3, of=10),
        ),
        Alarm(
            role="duration",
            description="The function runs out of time before the end of a batch. See which service is slow.",
            metrics={"duration": metrics.function("Duration", "Maximum")},
            threshold=(settings.lambda_timeout_seconds - MESSAGE_SECONDS) * MILLISECONDS,
            # Lambda reports an invocation when it ends, for the minute in which it began.
            window=Window(bad=3, of=10 + timeout_minutes),
        ),
        Alarm(
            role="returned",
            description=f"More than {RETURNED_PERCENT} % of the messages fail and are retried. See why in the log.",
            metrics={"returned": metrics.messages(RETURNED), "processed": metrics.messages(PROCESSED)},
            expression="100 * returned / (returned + processed)",
            threshold=RETURNED_PERCENT,
            window=retries,
        ),
        Alarm(
            role="misconfigured",
            description="AWS refuses the function's calls. Read its log, and fix the permission, resource or key.",
            metrics={"misconfigured": metrics.messages(MISCONFIGURED)},
            # The permissions of a new role take effect after some seconds.
            window=retries,
        ),
        Alarm(
            role="oldest-message",
            description="A message is older than messageAgeAlarmSeconds. The function fails, or is too slow.",
            metrics={"age": metrics.queue("ApproximateAgeOfOldestMessage", "Maximum")},
            threshold=settings.message_age_alarm_seconds,
            window=settled,
            # SQS may report no age of an empty queue.
            missing="notBreaching",
        ),
        Alarm(
            role="not-received",
            description="Messages wait, but Lambda receives none. Check the event source, the key and the permissions.",
            metrics={
                "waiting": metrics.queue("ApproximateNumberOfMessagesVisible", "Maximum"),
                "received": metrics.queue("NumberOfMessagesReceived", "Sum"),
            },
            # Positive if messages wait and none is received. SQS may report nothing instead of zero: metric math takes
            # that for zero in arithmetic, but not in a comparison with a number.
            expression=f"waiting - {MOST_WAITING} * received",
            # While all executions are busy, Lambda receives none either.
            window=Window(bad=timeout_minutes + 3, of=timeout_minutes + 3),
        ),
        Alarm(
            role="throttled-writes",
            description="DynamoDB throttles writes to the table or its index. Raise the maximum, or spread the keys.",
            # DynamoDB reports nothing unless it throttles. Thanks to the third metric, the value is 0 in other minutes.
            metrics={
                "table": metrics.table("WriteThrottleEvents"),
                "index": metrics.index("WriteThrottleEvents"),
                "processed": metrics.messages(PROCESSED),
            },
            expression="table + index + 0 * processed",
            window=Window(bad=5, of=10),
        ),
        Alarm(
            role="failed-notifications",
            description="SNS could not deliver notifications to a subscriber, and has given up. Check the subscriber.",
            metrics={"failed": metrics.topic("NumberOfNotificationsFailed")},
            window=Window(of=10),
            missing="notBreaching",
        ),
    ]
    if not settings.idle_alarm_minutes:
        return always
    periods = settings.idle_alarm_minutes // IDLE_STEP_MINUTES
    return [
        *always,
        Alarm(
            role="idle",
            description=f"No message has arrived for {settings.idle_alarm_minutes} minutes. Check the producers.",
            metrics={"sent": metrics.queue("NumberOfMessagesSent", "Sum")},
            comparison="LessThanThreshold",
            threshold=1,
            window=Window(bad=periods, of=periods, seconds=IDLE_STEP_MINUTES * MINUTE),
            missing="breaching",
        ),
    ]


def _watched(alarm: Alarm) -> dict[str, Any]:
    """Return the inputs of an alarm that say what it watches."""
    if not alarm.expression:
        (metric,) = alarm.metrics.values()
        return {
            "namespace": metric.namespace,
            "metric_name": metric.name,
            "statistic": metric.statistic,
            "dimensions": metric.dimensions,
            "period": alarm.window.seconds,
        }
    queries: list[dict[str, Any]] = [
        {"id": "value", "expression": alarm.expression, "label": alarm.role, "return_data": True}
    ]
    queries += [
        {
            "id": id_,
            "metric": {
                "namespace": metric.namespace,
                "metric_name": metric.name,
                "stat": metric.statistic,
                "dimensions": metric.dimensions,
                "period": alarm.window.seconds,
            },
        }
        for id_, metric in alarm.metrics.items()
    ]
    return {"metric_queries": queries}


def _allow_alarms(topic: aws.sns.Topic, account: Account, name: str) -> iam.Statement:
    """Let alarms of this account with such a name publish to the topic.

    https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html
    """
    return {
        "Sid": "AllowAlarms",
        "Effect": "Allow",
        "Principal": iam.service_principal("cloudwatch"),
        "Action": "sns:Publish",
        "Resource": topic.arn,
        "Condition": {
            "StringEquals": {"aws:SourceAccount": account.id},
            "ArnLike": {"aws:SourceArn": account.arn("cloudwatch", f"alarm:{name}")},
        },
    }


def _allow_rules(topic: aws.sns.Topic) -> iam.Statement:
    """Let EventBridge publish to the topic. It cannot meet a condition, and drops its message without an error.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
    """
    return {
        "Sid": "AllowKeyEvents",
        "Effect": "Allow",
        "Principal": iam.service_principal("events"),
        "Action": "sns:Publish",
        "Resource": topic.arn,
    }


def _key_events(key_arn: pulumi.Input[str]) -> pulumi.Output[str]:
    """Return the pattern of events after which the key cannot be used. They need a CloudTrail trail in the account.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
    """
    return pulumi.Output.json_dumps(
        {
            "source": ["aws.kms"],
            "detail-type": ["AWS API Call via CloudTrail"],
            "detail": {
                "eventName": ["DeleteImportedKeyMaterial", "DisableKey", "ScheduleKeyDeletion"],
                # An attempt that KMS has refused changes nothing.
                "errorCode": [{"exists": False}],
                "resources": {"ARN": [key_arn]},
            },
        }
    )
