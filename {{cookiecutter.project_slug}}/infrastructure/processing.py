"""The Lambda function, its role and its event source mapping."""

import pulumi
import pulumi_aws as aws

from infrastructure import iam
from infrastructure.account import Account
from infrastructure.context import Context
from infrastructure.messaging import Messaging
from infrastructure.storage import Storage
from processor.environment import Environment
from processor.names import OBJECT_PREFIX
from tools.package import bundle_archive

HANDLER = "processor.handler.lambda_handler"
LIVE = "live"
# Services that use the key on behalf of the function.
KEY_USERS = ("dynamodb", "lambda", "s3", "sns", "sqs")


class Processing(pulumi.ComponentResource):
    """The function with its role, its log group, its alias and its event source mapping.

    Each deployment publishes a version, and the alias points to it. An update of the function's configuration and code
    takes two steps; the event source calls the alias, and so never a function that is half updated.

    Attributes:
        function: Processes batches of messages.
        role: The function's execution role.
    """

    function: aws.lambda_.Function
    role: aws.iam.Role

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        storage: Storage,
        messaging: Messaging,
        kms_key_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pipeline:infrastructure:Processing", name, None, opts)
        settings, names = context.settings, context.names
        child = pulumi.ResourceOptions(parent=self)
        protected = context.protected_options(parent=self)
        log_group = aws.cloudwatch.LogGroup(
            "function-logs",
            name=names.log_group,
            retention_in_days=settings.log_retention_days,
            kms_key_id=kms_key_arn,
            deletion_protection_enabled=settings.is_production,
            tags=names.tags,
            opts=protected,
        )
        self.role = aws.iam.Role(
            "function-role",
            name=names.function,
            assume_role_policy=iam.document(
                {
                    "Effect": "Allow",
                    "Principal": iam.service_principal("lambda"),
                    "Action": "sts:AssumeRole",
                }
            ),
            permissions_boundary=settings.permissions_boundary_arn or None,
            tags=names.tags,
            opts=protected,
        )
        role_policy = aws.iam.RolePolicy(
            "function-role-policy",
            name=names.function,
            role=self.role.id,
            policy=iam.document(*_function_statements(context.account, storage, messaging, log_group, kms_key_arn)),
            opts=child,
        )
        self.function = aws.lambda_.Function(
            "function",
            name=names.function,
            description="Stores each message of the queue, indexes it, and sends a notification",
            role=self.role.arn,
            runtime=settings.lambda_runtime,
            architectures=[settings.lambda_architecture],
            handler=HANDLER,
            code=bundle_archive(settings.environment, settings.lambda_runtime, settings.lambda_architecture),
            memory_size=settings.lambda_memory_mb,
            timeout=settings.lambda_timeout_seconds,
            reserved_concurrent_executions=settings.lambda_reserved_concurrency,
            publish=True,
            kms_key_arn=kms_key_arn,
            tracing_config={"mode": "Active"},
            logging_config={
                "log_format": "JSON",
                "log_group": log_group.name,
                "application_log_level": "INFO",
                "system_log_level": "INFO",
            },
            dead_letter_config={"target_arn": messaging.dead_letter_queue.arn},
            environment={
                "variables": Environment(
                    bucket_name=storage.bucket.bucket,
                    table_name=storage.table.name,
                    topic_arn=messaging.topic.arn,
                    queue_url=messaging.queue.url,
                    dlq_url=messaging.dead_letter_queue.url,
                    max_receive_count=settings.max_receive_count,
                    data_retention_days=settings.data_retention_days,
                    environment=settings.environment,
                ).variables()
            },
            tags=names.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=role_policy),
        )
        live = aws.lambda_.Alias(
            "function-live",
            name=LIVE,
            description="The version that processes messages",
            function_name=self.function.name,
            function_version=self.function.version,
            opts=child,
        )
        aws.lambda_.EventSourceMapping(
            "function-event-source",
            event_source_arn=messaging.queue.arn,
            function_name=live.arn,
            batch_size=settings.batch_size,
            maximum_batching_window_in_seconds=settings.batch_window_seconds,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config={"maximum_concurrency": settings.maximum_concurrency},
            metrics_config={"metrics": ["EventCount"]} if settings.event_source_metrics else None,
            tags=names.tags,
            opts=child,
        )
        self.register_outputs(
            {
                "function_arn": self.function.arn,
                "function_name": self.function.name,
                "lambda_role_arn": self.role.arn,
            }
        )


def _function_statements(
    account: Account,
    storage: Storage,
    messaging: Messaging,
    log_group: aws.cloudwatch.LogGroup,
    kms_key_arn: pulumi.Input[str],
) -> list[iam.Statement]:
    """Return the role's permissions, by least privilege: each action on one resource only."""
    return [
        {
            "Sid": "WriteLogs",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": pulumi.Output.concat(log_group.arn, ":*"),
        },
        {
            "Sid": "ReceiveMessages",
            "Effect": "Allow",
            "Action": [
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ReceiveMessage",
            ],
            "Resource": messaging.queue.arn,
        },
        {
            "Sid": "DeadLetterMessages",
            "Effect": "Allow",
            "Action": "sqs:SendMessage",
            "Resource": messaging.dead_letter_queue.arn,
        },
        {
            "Sid": "StorePayloads",
            "Effect": "Allow",
            "Action": "s3:PutObject",
            "Resource": pulumi.Output.concat(storage.bucket.arn, "/", OBJECT_PREFIX, "*"),
        },
        {
            "Sid": "IndexMessages",
            "Effect": "Allow",
            "Action": ["dynamodb:PutItem", "dynamodb:UpdateItem"],
            "Resource": storage.table.arn,
        },
        {
            "Sid": "Notify",
            "Effect": "Allow",
            "Action": "sns:Publish",
            "Resource": messaging.topic.arn,
        },
        {
            "Sid": "UseTheKey",
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"],
            "Resource": kms_key_arn,
            "Condition": {
                "StringEquals": {
                    "kms:ViaService": [f"{service}.{account.region}.{account.dns_suffix}" for service in KEY_USERS]
                }
            },
        },
        {
            # X-Ray has no resource-level permissions:
            # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
            "Sid": "WriteTraces",
            "Effect": "Allow",
            "Action": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
            "Resource": "*",
        },
    ]
