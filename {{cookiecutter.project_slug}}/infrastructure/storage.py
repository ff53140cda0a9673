"""Storage of messages: the S3 buckets and the DynamoDB table."""

import functools

import pulumi
import pulumi_aws as aws

from infrastructure import iam
from infrastructure.buckets import PrivateBucket
from infrastructure.context import Context
from processor.names import EXPIRY_ATTRIBUTE

ACCESS_LOG_DAYS = 365
TIMESTAMP_INDEX = "timestamp-index"


class Storage(pulumi.ComponentResource):
    """The payload bucket, its access log bucket, and the table that indexes payloads by time.

    Attributes:
        bucket: Stores each payload unchanged.
        table: Stores one item for each message.
    """

    def __init__(self, context: Context, kms_key_arn: pulumi.Input[str], opts: pulumi.ResourceOptions) -> None:
        super().__init__("pipeline:infrastructure:Storage", "storage", None, opts)
        settings = context.settings
        create_bucket = functools.partial(
            PrivateBucket,
            tags=context.tags,
            is_kept=settings.is_production,
            force_destroy=settings.force_destroy,
            opts=pulumi.ResourceOptions(parent=self),
        )
        access_log_bucket_name = context.name(f"access-logs-{context.account.id}")
        access_logs = create_bucket(
            "access-logs",
            bucket_name=access_log_bucket_name,
            expiration_days=ACCESS_LOG_DAYS,
            statements=(_allow_access_logs(context, access_log_bucket_name),),
        )
        self.bucket = create_bucket(
            "payloads",
            bucket_name=context.payload_bucket_name,
            expiration_days=settings.data_retention_days or None,
            kms_key_arn=kms_key_arn,
        ).bucket
        aws.s3.BucketLogging(
            "payloads-logging",
            bucket=self.bucket.id,
            target_bucket=access_logs.bucket.id,
            target_prefix="payloads/",
            # S3 checks the target bucket's policy when logging is enabled.
            opts=pulumi.ResourceOptions(parent=self, depends_on=access_logs, retain_on_delete=settings.is_production),
        )
        self.table = aws.dynamodb.Table(
            "table",
            name=context.name("messages"),
            billing_mode="PAY_PER_REQUEST",
            hash_key="message_id",
            attributes=[
                {"name": "message_id", "type": "S"},
                {"name": "date", "type": "S"},
                {"name": "timestamp", "type": "S"},
            ],
            global_secondary_indexes=[
                {
                    "name": TIMESTAMP_INDEX,
                    "key_schemas": [
                        {"attribute_name": "date", "key_type": "HASH"},
                        {"attribute_name": "timestamp", "key_type": "RANGE"},
                    ],
                    "projection_type": "INCLUDE",
                    # Enough to find the payload. `announced` is not projected, so setting it writes nothing here.
                    "non_key_attributes": ["object_key", "type"],
                }
            ],
            # Only items with this attribute expire. The function sets it unless dataRetentionDays is 0.
            ttl={"attribute_name": EXPIRY_ATTRIBUTE, "enabled": True},
            point_in_time_recovery={"enabled": True},
            server_side_encryption={"enabled": True, "kms_key_arn": kms_key_arn},
            deletion_protection_enabled=settings.is_production,
            tags=context.tags,
            opts=context.data_options(parent=self),
        )
        self.register_outputs({})


def _allow_access_logs(context: Context, log_bucket: str) -> iam.Statement:
    """Allow S3 to deliver the payload bucket's access logs.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
    """
    prefix = f"arn:{context.account.partition}:s3:::"
    return {
        "Sid": "AllowAccessLogs",
        "Effect": "Allow",
        "Principal": iam.service_principal("logging.s3"),
        "Action": "s3:PutObject",
        "Resource": f"{prefix}{log_bucket}/payloads/*",
        "Condition": {
            "ArnLike": {"aws:SourceArn": f"{prefix}{context.payload_bucket_name}"},
            "StringEquals": {"aws:SourceAccount": context.account.id},
        },
    }
