"""The SQS queues and the SNS topic for notifications."""

import pulumi
import pulumi_aws as aws

from infrastructure import iam
from infrastructure.context import Context
from infrastructure.settings import DEAD_LETTER_RETENTION_SECONDS

# Attributes count towards a message's size: the dead-letter queue also has room for the reason, and a message with its
# reason can be sent back if it was not larger than 252 KiB.
MESSAGE_BYTES = 262_144
REASON_BYTES = 4_096
SIGNATURE_VERSION = 2


class Messaging(pulumi.ComponentResource):
    """The queue, its dead-letter queue, and the topic for notifications.

    Attributes:
        queue: Receives the producers' messages.
        dead_letter_queue: Receives messages that failed too often or can never succeed.
        topic: Receives a notification of each message. Nobody is subscribed to it.
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
        settings, names = context.settings, context.names
        child = pulumi.ResourceOptions(parent=self)
        protected = context.protected_options(parent=self)
        self.dead_letter_queue = aws.sqs.Queue(
            "dead-letter-queue",
            name=names.of("dead-letter-queue"),
            kms_master_key_id=kms_key_arn,
            max_message_size=MESSAGE_BYTES + REASON_BYTES,
            message_retention_seconds=DEAD_LETTER_RETENTION_SECONDS,
            tags=names.tags,
            opts=protected,
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
            opts=protected,
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
            "topic",
            name=names.of("notifications"),
            kms_master_key_id=kms_key_arn,
            signature_version=SIGNATURE_VERSION,
            tags=names.tags,
            opts=protected,
        )
        aws.sns.TopicPolicy(
            "topic-policy",
            arn=self.topic.arn,
            policy=iam.document(iam.deny_insecure_transport("sns:Publish", [self.topic.arn])),
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
