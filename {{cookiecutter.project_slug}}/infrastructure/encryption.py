"""The key that encrypts everything a stack stores or sends."""

import pulumi
import pulumi_aws as aws

from infrastructure import iam
from infrastructure.account import Account
from infrastructure.context import Context
from infrastructure.naming import Names

DELETION_WINDOW_DAYS = 30


class Encryption(pulumi.ComponentResource):
    """A customer-managed key: the one in ``kmsKeyArn``, or one that the stack creates.

    Attributes:
        key_arn: ARN of the key.
    """

    key_arn: pulumi.Output[str]

    def __init__(self, name: str, context: Context, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("pipeline:infrastructure:Encryption", name, None, opts)
        names, account = context.names, context.account
        if context.settings.kms_key_arn:
            self.key_arn = pulumi.Output.from_input(context.settings.kms_key_arn)
        else:
            key = aws.kms.Key(
                "key",
                description=f"Encrypts the data and messages of {names.of('*')}",
                enable_key_rotation=True,
                deletion_window_in_days=DELETION_WINDOW_DAYS,
                policy=iam.document(
                    iam.allow_the_account(account),
                    _allow_the_logs(account, names),
                ),
                tags=names.tags,
                opts=context.data_options(parent=self),
            )
            aws.kms.Alias(
                "key-alias",
                name=f"alias/{names.of('key')}",
                target_key_id=key.key_id,
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.key_arn = key.arn
        self.register_outputs({"key_arn": self.key_arn})


def _allow_the_logs(account: Account, names: Names) -> iam.Statement:
    """Let CloudWatch Logs encrypt the function's log group.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    """
    return {
        "Sid": "AllowTheLogs",
        "Effect": "Allow",
        "Principal": iam.regional_service_principal("logs"),
        "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
        "Resource": "*",
        "Condition": {
            "ArnEquals": {"kms:EncryptionContext:aws:logs:arn": account.arn("logs", f"log-group:{names.log_group}")}
        },
    }
