"""The SQS queues and the SNS topic for notifications."""

import pulumi
import pulumi_aws as aws

from infrastructure import iam
from infrastructure.context import Context
from infrastructure.settings import DEAD_LETTER_RETENTION_SECONDS

# Attributes count towards a message's size, so the dead-letter queue has extra room for the reason. A dead letter with
# its reason can be redriven if the original message was at most 252 KiB.
MESSAGE_BYTES = 262_144
REASON_BYTES = 4_096
SIGNATURE_VERSION = 2


class Messaging(pulumi.ComponentResource):
    """The queue, its dead-letter queue, and the topic for notifications.

    Attributes:
        queue: Receives the producers' messages.
        dead_letter_queue: Receives messages that failed too often or can never succeed.
        topic: Receives a notification for each processed message. The stack creates no subscription.
    """

    def __init__(self, context: Context, kms_key_arn: pulumi.Input[str], opts: pulumi.ResourceOptions) -> None:
        super().__init__("pipeline:infrastructure:Messaging", "messaging", None, opts)
        settings = context.settings
        child = pulumi.ResourceOptions(parent=self)
        protected = context.protected_options(parent=self)
        self.dead_letter_queue = aws.sqs.Queue(
            "dead-letter-queue",
            name=context.name("dead-letter-queue"),
            kms_master_key_id=kms_key_arn,
            max_message_size=MESSAGE_BYTES + REASON_BYTES,
            message_retention_seconds=DEAD_LETTER_RETENTION_SECONDS,
            policy=_queue_policy(context, "dead-letter-queue"),
            tags=context.tags,
            opts=protected,
        )
        self.queue = aws.sqs.Queue(
            "queue",
            name=context.name("queue"),
            kms_master_key_id=kms_key_arn,
            max_message_size=MESSAGE_BYTES,
            message_retention_seconds=settings.message_retention_seconds,
            visibility_timeout_seconds=settings.visibility_timeout_seconds,
            policy=_queue_policy(context, "queue"),
            redrive_policy=pulumi.Output.json_dumps(
                {"deadLetterTargetArn": self.dead_letter_queue.arn, "maxReceiveCount": settings.max_receive_count}
            ),
            tags=context.tags,
            opts=protected,
        )
        # A separate resource, because SQS may reject the ARN of a source queue that does not exist yet.
        aws.sqs.RedriveAllowPolicy(
            "dead-letter-queue-redrive-allow",
            queue_url=self.dead_letter_queue.url,
            redrive_allow_policy=pulumi.Output.json_dumps(
                {"redrivePermission": "byQueue", "sourceQueueArns": [self.queue.arn]}
            ),
            opts=child,
        )
        self.topic = aws.sns.Topic(
            "topic",
            name=context.name("notifications"),
            kms_master_key_id=kms_key_arn,
            signature_version=SIGNATURE_VERSION,
            tags=context.tags,
            opts=protected,
        )
        aws.sns.TopicPolicy(
            "topic-policy",
            arn=self.topic.arn,
            policy=iam.document(iam.deny_insecure_transport("sns:Publish", [self.topic.arn])),
            opts=child,
        )
        self.register_outputs({})


def _queue_policy(context: Context, queue: str) -> pulumi.Output[str]:
    """Return the input ``policy`` of a queue. For a separate `QueuePolicy` resource, the provider waits 25 seconds."""
    return iam.document(iam.deny_insecure_transport("sqs:*", [context.account.arn("sqs", context.name(queue))]))
