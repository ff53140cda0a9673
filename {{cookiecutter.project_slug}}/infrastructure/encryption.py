"""The KMS key for a stack's data, messages and logs."""

import pulumi
import pulumi_aws as aws

from infrastructure import iam
from infrastructure.context import Context

# KMS allows at most 30 days.
DELETION_WINDOW_DAYS = 30


class Encryption(pulumi.ComponentResource):
    """A customer managed key: the configured ``kmsKeyArn``, or a key that the stack creates.

    Attributes:
        key_arn: ARN of the key.
    """

    def __init__(self, context: Context, opts: pulumi.ResourceOptions) -> None:
        super().__init__("pipeline:infrastructure:Encryption", "encryption", None, opts)
        self.key_arn: pulumi.Input[str] = context.settings.kms_key_arn
        if not self.key_arn:
            key = aws.kms.Key(
                "key",
                description=f"Encrypts the data and messages of {context.name('*')}",
                enable_key_rotation=True,
                deletion_window_in_days=DELETION_WINDOW_DAYS,
                policy=iam.document(iam.allow_the_account(context.account), _allow_cloudwatch_logs(context)),
                tags=context.tags,
                opts=context.data_options(parent=self),
            )
            aws.kms.Alias(
                "key-alias",
                name=f"alias/{context.name('key')}",
                target_key_id=key.key_id,
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.key_arn = key.arn
        self.register_outputs({})


def _allow_cloudwatch_logs(context: Context) -> iam.Statement:
    """Allow CloudWatch Logs to use the key for the function's log group.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    """
    log_group_arn = context.account.arn("logs", f"log-group:{context.log_group_name}")
    return {
        "Sid": "AllowCloudWatchLogs",
        "Effect": "Allow",
        "Principal": iam.regional_service_principal("logs"),
        "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
        "Resource": "*",
        "Condition": {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": log_group_arn}},
    }
