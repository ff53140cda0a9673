"""The Lambda function, its role and its event source mapping."""

import pulumi
import pulumi_aws as aws

from infrastructure import iam
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
    """The function with its role, log group, alias and event source mapping.

    Each change to the function publishes a version, and moves the alias to that version. AWS updates a function's code
    and configuration in two steps; an event source that invokes the alias never invokes a partly updated function.

    Attributes:
        function: Processes batches of messages.
        role: The function's execution role.
    """

    def __init__(
        self,
        context: Context,
        kms_key_arn: pulumi.Input[str],
        *,
        storage: Storage,
        messaging: Messaging,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("pipeline:infrastructure:Processing", "processing", None, opts)
        settings = context.settings
        child = pulumi.ResourceOptions(parent=self)
        protected = context.protected_options(parent=self)
        log_group = aws.cloudwatch.LogGroup(
            "function-logs",
            name=context.log_group_name,
            retention_in_days=settings.log_retention_days,
            kms_key_id=kms_key_arn,
            deletion_protection_enabled=settings.is_production,
            tags=context.tags,
            opts=protected,
        )
        self.role = aws.iam.Role(
            "function-role",
            name=context.function_name,
            assume_role_policy=iam.document(
                {"Effect": "Allow", "Principal": iam.service_principal("lambda"), "Action": "sts:AssumeRole"}
            ),
            permissions_boundary=settings.permissions_boundary_arn or None,
            tags=context.tags,
            opts=protected,
        )
        role_policy = aws.iam.RolePolicy(
            "function-role-policy",
            name=context.function_name,
            role=self.role.id,
            policy=iam.document(
                *_permissions(context, kms_key_arn, storage=storage, messaging=messaging, log_group=log_group)
            ),
            opts=child,
        )
        self.function = aws.lambda_.Function(
            "function",
            name=context.function_name,
            description="Stores each message of the queue, indexes it, and sends a notification",
            role=self.role.arn,
            runtime=settings.lambda_runtime,
            architectures=[settings.lambda_architecture],
            handler=HANDLER,
            code=bundle_archive(settings.environment, settings.lambda_runtime, settings.lambda_architecture),
            memory_size=settings.lambda_memory_mb,
            timeout=settings.lambda_timeout_seconds,
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
            tags=context.tags,
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
            tags=context.tags,
            opts=child,
        )
        self.register_outputs({})


def _permissions(
    context: Context,
    kms_key_arn: pulumi.Input[str],
    *,
    storage: Storage,
    messaging: Messaging,
    log_group: aws.cloudwatch.LogGroup,
) -> list[iam.Statement]:
    """Return the statements of the role's policy: each is limited to one resource, except X-Ray's."""
    account = context.account
    hosts = [f"{service}.{account.region}.{account.dns_suffix}" for service in KEY_USERS]
    return [
        iam.allow(
            "WriteLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], pulumi.Output.concat(log_group.arn, ":*")
        ),
        iam.allow(
            "ReceiveMessages",
            ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
            messaging.queue.arn,
        ),
        iam.allow("DeadLetterMessages", "sqs:SendMessage", messaging.dead_letter_queue.arn),
        iam.allow("StorePayloads", "s3:PutObject", pulumi.Output.concat(storage.bucket.arn, "/", OBJECT_PREFIX, "*")),
        iam.allow("IndexMessages", ["dynamodb:PutItem", "dynamodb:UpdateItem"], storage.table.arn),
        iam.allow("Notify", "sns:Publish", messaging.topic.arn),
        {
            **iam.allow("UseTheKey", ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"], kms_key_arn),
            "Condition": {"StringEquals": {"kms:ViaService": hosts}},
        },
        # Actions that require the resource "*":
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
        iam.allow("WriteTraces", ["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*"),
    ]
