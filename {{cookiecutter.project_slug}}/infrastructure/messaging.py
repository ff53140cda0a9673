"""The SQS queues and the SNS topic."""

import pulumi
import pulumi_aws as aws

from infrastructure import iam
from infrastructure.context import Context

# A message that SQS moves to the dead-letter queue keeps its age, so retention there is the longest that SQS allows:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
DEAD_LETTER_RETENTION_SECONDS = 1_209_600

# Attributes count towards a message's size: the dead-letter queue must also have room for the reason.
MESSAGE_BYTES = 258_048
DEAD_LETTER_BYTES = 262_144


class Messaging(pulumi.ComponentResource):
    """The queue, its dead-letter queue, and the topic for notifications and alarms.

    Attributes:
        queue: Receives the producers' messages.
        dead_letter_queue: Receives messages that failed too often or can never succeed.
        topic: Receives notifications and alarms. The e-mail subscription must be confirmed once.
    """

    queue: aws.sqs.Queue
    dead_letter_queue: aws.sqs.Queue
    topic: aws.sns.Topic

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        kms_key_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pipeline:infrastructure:Messaging", name, None, opts)
        settings, names, account = context.settings, context.names, context.account
        child = pulumi.ResourceOptions(parent=self)
        self.dead_letter_queue = aws.sqs.Queue(
            "dead-letter-queue",
            name=names.of("dead-letter-queue"),
            kms_master_key_id=kms_key_arn,
            max_message_size=DEAD_LETTER_BYTES,
            message_retention_seconds=DEAD_LETTER_RETENTION_SECONDS,
            tags=names.tags,
            opts=child,
        )
        self.queue = aws.sqs.Queue(
            "queue",
            name=names.of("queue"),
            kms_master_key_id=kms_key_arn,
            max_message_size=MESSAGE_BYTES,
            message_retention_seconds=settings.message_retention_seconds,
            visibility_timeout_seconds=settings.visibility_timeout_seconds,
            redrive_policy=pulumi.Output.json_dumps(
                {"deadLetterTargetArn": self.dead_letter_queue.arn, "maxReceiveCount": settings.max_receive_count}
            ),
            tags=names.tags,
            opts=child,
        )
        aws.sqs.RedriveAllowPolicy(
            "dead-letter-queue-redrive-allow",
            queue_url=self.dead_letter_queue.url,
            redrive_allow_policy=pulumi.Output.json_dumps(
                {"redrivePermission": "byQueue", "sourceQueueArns": [self.queue.arn]}
            ),
            opts=child,
        )
        for logical_name, queue in (("queue", self.queue), ("dead-letter-queue", self.dead_letter_queue)):
            aws.sqs.QueuePolicy(
                f"{logical_name}-policy",
                queue_url=queue.url,
                policy=iam.document(iam.deny_insecure_transport("sqs:*", [queue.arn])),
                opts=child,
            )
        self.topic = aws.sns.Topic(
            "topic", name=names.of("notifications"), kms_master_key_id=kms_key_arn, tags=names.tags, opts=child
        )
        aws.sns.TopicPolicy(
            "topic-policy",
            arn=self.topic.arn,
            policy=iam.document(
                iam.deny_insecure_transport("sns:Publish", [self.topic.arn]),
                {
                    "Sid": "AllowTheAlarms",
                    "Effect": "Allow",
                    "Principal": {"Service": "cloudwatch.amazonaws.com"},
                    "Action": "sns:Publish",
                    "Resource": self.topic.arn,
                    "Condition": {"StringEquals": {"aws:SourceAccount": account.id}},
                },
            ),
            opts=child,
        )
        aws.sns.TopicSubscription(
            "topic-subscription",
            topic=self.topic.arn,
            protocol="email",
            endpoint=settings.notification_email,
            opts=child,
        )
        self.register_outputs(
            {
                "queue_url": self.queue.url,
                "queue_arn": self.queue.arn,
                "dlq_url": self.dead_letter_queue.url,
                "dlq_arn": self.dead_letter_queue.arn,
                "topic_arn": self.topic.arn,
            }
        )
