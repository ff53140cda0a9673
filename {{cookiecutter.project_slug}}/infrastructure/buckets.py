"""A component for private S3 buckets."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from infrastructure import iam

INCOMPLETE_UPLOAD_DAYS = 7
NONCURRENT_DAYS = 30


class PrivateBucket(pulumi.ComponentResource):
    """A private, versioned and encrypted S3 bucket that requires TLS and expires noncurrent versions.

    Args:
        name: Logical name in Pulumi.
        bucket_name: Name in S3.
        tags: The bucket's tags.
        is_kept: Whether to set `protect` on the bucket, and `retain_on_delete` on the bucket and its configuration.
        force_destroy: Whether Pulumi can delete the bucket even if it contains objects.
        noncurrent_days: Days after which noncurrent versions expire.
        expiration_days: Days after which objects expire; never by default.
        kms_key_arn: Key for SSE-KMS; SSE-S3 by default.
        statements: Bucket policy statements in addition to the statement that requires TLS.
        opts: Resource options.

    Attributes:
        bucket: The S3 bucket.
    """

    def __init__(
        self,
        name: str,
        *,
        bucket_name: str,
        tags: Mapping[str, str],
        is_kept: bool,
        force_destroy: bool = False,
        noncurrent_days: int = NONCURRENT_DAYS,
        expiration_days: int | None = None,
        kms_key_arn: pulumi.Input[str] | None = None,
        statements: tuple[iam.Statement, ...] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pipeline:infrastructure:PrivateBucket", name, None, opts)
        part = pulumi.ResourceOptions(parent=self, retain_on_delete=is_kept)
        self.bucket = aws.s3.Bucket(
            name,
            bucket=bucket_name,
            force_destroy=force_destroy,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, protect=is_kept, retain_on_delete=is_kept),
        )
        versioning = aws.s3.BucketVersioning(
            f"{name}-versioning",
            bucket=self.bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=part,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=self.bucket.id,
            rules=[
                {
                    "apply_server_side_encryption_by_default": (
                        {"sse_algorithm": "aws:kms", "kms_master_key_id": kms_key_arn}
                        if kms_key_arn
                        else {"sse_algorithm": "AES256"}
                    ),
                    "bucket_key_enabled": kms_key_arn is not None,
                    "blocked_encryption_types": ["SSE-C"],
                }
            ],
            opts=part,
        )
        aws.s3.BucketOwnershipControls(
            f"{name}-ownership",
            bucket=self.bucket.id,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=part,
        )
        access = aws.s3.BucketPublicAccessBlock(
            f"{name}-public-access",
            bucket=self.bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=part,
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=self.bucket.id,
            rules=_lifecycle_rules(noncurrent_days, expiration_days),
            # As in the provider's example, versioning is enabled before the lifecycle rules.
            opts=pulumi.ResourceOptions.merge(part, pulumi.ResourceOptions(depends_on=versioning)),
        )
        aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=self.bucket.id,
            policy=iam.document(
                iam.deny_insecure_transport("s3:*", [self.bucket.arn, pulumi.Output.concat(self.bucket.arn, "/*")]),
                *statements,
            ),
            # S3 rejects concurrent changes to a bucket's access (OperationAborted).
            opts=pulumi.ResourceOptions.merge(part, pulumi.ResourceOptions(depends_on=access)),
        )
        self.register_outputs({})


def _lifecycle_rules(
    noncurrent_days: int, expiration_days: int | None
) -> list[aws.s3.BucketLifecycleConfigurationRuleArgsDict]:
    expirations: dict[str, Any] = {
        "expire-noncurrent-versions": {"noncurrent_version_expiration": {"noncurrent_days": noncurrent_days}},
        "abort-incomplete-uploads": {
            "abort_incomplete_multipart_upload": {"days_after_initiation": INCOMPLETE_UPLOAD_DAYS}
        },
    }
    if expiration_days is not None:
        expirations["expire-objects"] = {"expiration": {"days": expiration_days}}
    return [
        {"id": id_, "status": "Enabled", "filter": {"prefix": ""}, **expiration}
        for id_, expiration in expirations.items()
    ]
