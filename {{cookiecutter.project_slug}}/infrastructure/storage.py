"""Where messages are stored: the S3 buckets and the DynamoDB table."""

import functools

import pulumi
import pulumi_aws as aws

from infrastructure import iam
from infrastructure.account import Account
from infrastructure.buckets import PrivateBucket
from infrastructure.context import Context
from infrastructure.settings import Settings
from processor.names import EXPIRY_ATTRIBUTE

ACCESS_LOG_DAYS = 365
TIMESTAMP_INDEX = "timestamp-index"
NO_MAXIMUM = -1


class Storage(pulumi.ComponentResource):
    """The payload bucket, its access log bucket, and the table that indexes payloads by time.

    Attributes:
        bucket: Holds each payload as it was received.
        table: Holds one item for each message.
    """

    bucket: aws.s3.Bucket
    table: aws.dynamodb.Table

    def __init__(
        self,
        name: str,
        *,
        context: Context,
        kms_key_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pipeline:infrastructure:Storage", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        settings, names, account = context.settings, context.names, context.account
        create_bucket = functools.partial(
            PrivateBucket,
            tags=names.tags,
            noncurrent_days=settings.noncurrent_version_days,
            is_kept=settings.is_production,
            force_destroy=settings.force_destroy,
            opts=child,
        )
        access_log_bucket_name = names.access_log_bucket(account.id)
        access_logs = create_bucket(
            "access-logs",
            bucket_name=access_log_bucket_name,
            expiration_days=ACCESS_LOG_DAYS,
            statements=(_allow_access_logs(account, access_log_bucket_name, names.payload_bucket(account.id)),),
        )
        self.bucket = create_bucket(
            "payloads",
            bucket_name=names.payload_bucket(account.id),
            expiration_days=settings.data_retention_days or None,
            kms_key_arn=kms_key_arn,
        ).bucket
        aws.s3.BucketLogging(
            "payloads-logging",
            bucket=self.bucket.id,
            target_bucket=access_logs.bucket.id,
            target_prefix="payloads/",
            # S3 checks the target bucket's policy when logging is enabled.
            opts=context.part_options(parent=self, after=access_logs),
        )
        if settings.eventbridge_notifications:
            aws.s3.BucketNotification(
                "payloads-notification",
                bucket=self.bucket.id,
                eventbridge=True,
                opts=context.part_options(parent=self),
            )
        throughput = _on_demand_throughput(settings)
        self.table = aws.dynamodb.Table(
            "table",
            name=names.of("messages"),
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
                    # What a query needs to find the payload. To mark an item as announced does not write to the index.
                    "non_key_attributes": ["object_key", "type"],
                    "on_demand_throughput": throughput,
                }
            ],
            on_demand_throughput=throughput,
            # Only items with this attribute expire; with dataRetentionDays, the function writes it.
            ttl={"attribute_name": EXPIRY_ATTRIBUTE, "enabled": True},
            point_in_time_recovery={"enabled": True},
            server_side_encryption={"enabled": True, "kms_key_arn": kms_key_arn},
            deletion_protection_enabled=context.settings.is_production,
            tags=names.tags,
            opts=context.data_options(parent=self),
        )
        if settings.contributor_insights:
            for logical_name, index in (("table-insights", None), ("index-insights", TIMESTAMP_INDEX)):
                aws.dynamodb.ContributorInsights(logical_name, table_name=self.table.name, index_name=index, opts=child)
        self.register_outputs(
            {
                "bucket_name": self.bucket.bucket,
                "bucket_arn": self.bucket.arn,
                "table_name": self.table.name,
                "table_arn": self.table.arn,
            }
        )


def _on_demand_throughput(settings: Settings) -> aws.dynamodb.TableOnDemandThroughputArgsDict | None:
    """Return the maximums of the table and of its index; ``None`` if there are none."""
    reads, writes = settings.table_max_read_units, settings.table_max_write_units
    if not reads and not writes:
        return None
    return {
        "max_read_request_units": reads or NO_MAXIMUM,
        "max_write_request_units": writes or NO_MAXIMUM,
    }


def _allow_access_logs(account: Account, log_bucket: str, source_bucket: str) -> iam.Statement:
    """Let S3 deliver one bucket's access logs.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
    """
    return {
        "Sid": "AllowAccessLogs",
        "Effect": "Allow",
        "Principal": iam.service_principal("logging.s3"),
        "Action": "s3:PutObject",
        "Resource": f"arn:{account.partition}:s3:::{log_bucket}/payloads/*",
        "Condition": {
            "ArnLike": {"aws:SourceArn": f"arn:{account.partition}:s3:::{source_bucket}"},
            "StringEquals": {"aws:SourceAccount": account.id},
        },
    }
