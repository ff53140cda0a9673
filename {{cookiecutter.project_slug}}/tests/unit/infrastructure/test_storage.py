"""The payload bucket, its access logs, and the table."""

from typing import Any

import pytest

from infrastructure.storage import TIMESTAMP_INDEX
from tests.unit.conftest import Deploy, key_arn
from tools.testing import PROJECT_NAME, Deployment

BUCKETS = ("payloads", "access-logs")


def test_a_buckets_name_has_the_project_the_suffix_and_the_account(deployed: Deployment) -> None:
    prefix = f"{PROJECT_NAME}-{deployed.setting('environmentSuffix')}"
    names = {name: bucket.inputs["bucket"] for name, bucket in deployed.all("aws:s3/bucket:Bucket").items()}

    assert names == {
        "payloads": deployed.setting("bucketName") or f"{prefix}-payloads-123456789012",
        "access-logs": f"{prefix}-access-logs-123456789012",
    }


def test_the_payload_bucket_can_have_a_configured_name(customized: Deployment) -> None:
    assert customized.exports["bucket_name"] == "our-own-bucket"
    logged = customized.one("aws:s3/bucketPolicy:BucketPolicy", "access-logs-policy").document("policy")["Statement"][1]
    assert logged["Condition"]["ArnLike"] == {"aws:SourceArn": "arn:aws:s3:::our-own-bucket"}


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_bucket_with_objects_is_deleted_only_if_configured(deployed: Deployment, bucket: str) -> None:
    force_destroy = deployed.one("aws:s3/bucket:Bucket", bucket).inputs["forceDestroy"]

    assert force_destroy is (deployed.setting("forceDestroy") == "true")


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_bucket_is_versioned(deployed: Deployment, bucket: str) -> None:
    versioning = deployed.one("aws:s3/bucketVersioning:BucketVersioning", f"{bucket}-versioning")

    assert versioning.inputs == {"bucket": f"{bucket}-id", "versioningConfiguration": {"status": "Enabled"}}


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_bucket_has_no_acls_and_no_public_access(deployed: Deployment, bucket: str) -> None:
    ownership = deployed.one("aws:s3/bucketOwnershipControls:BucketOwnershipControls", f"{bucket}-ownership")
    access = deployed.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", f"{bucket}-public-access")

    assert ownership.inputs == {"bucket": f"{bucket}-id", "rule": {"objectOwnership": "BucketOwnerEnforced"}}
    assert access.inputs == {
        "bucket": f"{bucket}-id",
        "blockPublicAcls": True,
        "blockPublicPolicy": True,
        "ignorePublicAcls": True,
        "restrictPublicBuckets": True,
    }


def test_payloads_are_encrypted_with_the_stacks_key(deployed: Deployment) -> None:
    encryption = deployed.one(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration", "payloads-encryption"
    )

    assert encryption.inputs["rules"] == [
        {
            "applyServerSideEncryptionByDefault": {
                "sseAlgorithm": "aws:kms",
                "kmsMasterKeyId": key_arn(deployed),
            },
            "bucketKeyEnabled": True,
            "blockedEncryptionTypes": ["SSE-C"],
        }
    ]


def test_access_logs_are_encrypted_with_sse_s3_as_log_delivery_requires(deployed: Deployment) -> None:
    encryption = deployed.one(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "access-logs-encryption",
    )

    assert encryption.inputs["rules"] == [
        {
            "applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"},
            "bucketKeyEnabled": False,
            "blockedEncryptionTypes": ["SSE-C"],
        }
    ]


def test_noncurrent_versions_and_incomplete_uploads_of_payloads_expire(deployed: Deployment) -> None:
    lifecycle = deployed.one("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", "payloads-lifecycle")

    assert lifecycle.inputs["rules"][:2] == [
        {
            "id": "expire-noncurrent-versions",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "noncurrentVersionExpiration": {"noncurrentDays": float(deployed.setting("noncurrentVersionDays"))},
        },
        {
            "id": "abort-incomplete-uploads",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
        },
    ]


def expiry(deployment: Deployment, bucket: str) -> list[dict[str, Any]]:
    """Return a bucket's lifecycle rules besides those for noncurrent versions and incomplete uploads."""
    type_ = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    return deployment.one(type_, f"{bucket}-lifecycle").inputs["rules"][2:]


def expires_after(days: int) -> dict[str, Any]:
    """Return the lifecycle rule for objects that expire."""
    return {
        "id": "expire-objects",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "expiration": {"days": days},
    }


def test_access_logs_expire_after_a_year(deployed: Deployment) -> None:
    assert expiry(deployed, "access-logs") == [expires_after(365)]


def test_payloads_expire_if_configured(customized: Deployment) -> None:
    assert expiry(customized, "payloads") == [expires_after(90)]


def test_payloads_are_kept_for_ever_by_default(example: Deployment) -> None:
    assert expiry(example, "payloads") == []


def test_payloads_can_expire_after_a_day(deploy_example: Deploy) -> None:
    assert expiry(deploy_example(dataRetentionDays="1"), "payloads") == [expires_after(1)]


@pytest.mark.parametrize("bucket", BUCKETS)
def test_lifecycle_rules_depend_on_versioning(deployed: Deployment, bucket: str) -> None:
    versioning = deployed.one("aws:s3/bucketVersioning:BucketVersioning", f"{bucket}-versioning")
    lifecycle = deployed.one("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", f"{bucket}-lifecycle")

    assert versioning.urn in lifecycle.dependencies


@pytest.mark.parametrize("bucket", BUCKETS)
def test_the_policy_depends_on_the_public_access_block(deployed: Deployment, bucket: str) -> None:
    access = deployed.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", f"{bucket}-public-access")
    policy = deployed.one("aws:s3/bucketPolicy:BucketPolicy", f"{bucket}-policy")

    assert access.urn in policy.dependencies


def test_logging_depends_on_the_policy_that_allows_it(deployed: Deployment) -> None:
    policy = deployed.one("aws:s3/bucketPolicy:BucketPolicy", "access-logs-policy")
    logging = deployed.one("aws:s3/bucketLogging:BucketLogging", "payloads-logging")

    assert policy.urn in logging.dependencies


@pytest.mark.parametrize("bucket", BUCKETS)
def test_what_secures_a_bucket_is_retained_only_if_the_bucket_is(deployed: Deployment, bucket: str) -> None:
    parts = [each for each in deployed.resources if each.inputs.get("bucket") == f"{bucket}-id"]

    assert len(parts) >= 6
    assert {each.retain_on_delete for each in parts} == {deployed.setting("environment") == "prod"}


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_bucket_accepts_tls_only(deployed: Deployment, bucket: str) -> None:
    policy = deployed.one("aws:s3/bucketPolicy:BucketPolicy", f"{bucket}-policy")
    arn = deployed.arn("aws:s3/bucket:Bucket", bucket)

    assert policy.inputs["bucket"] == f"{bucket}-id"
    assert policy.document("policy")["Statement"][0] == {
        "Sid": "DenyInsecureTransport",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def test_the_payload_buckets_policy_allows_nothing(deployed: Deployment) -> None:
    policy = deployed.one("aws:s3/bucketPolicy:BucketPolicy", "payloads-policy").document("policy")

    assert [statement["Effect"] for statement in policy["Statement"]] == ["Deny"]


def test_the_access_log_bucket_accepts_logs_of_the_payload_bucket_only(deployed: Deployment) -> None:
    policy = deployed.one("aws:s3/bucketPolicy:BucketPolicy", "access-logs-policy").document("policy")

    assert policy["Statement"][1:] == [
        {
            "Sid": "AllowAccessLogs",
            "Effect": "Allow",
            "Principal": {"Service": "logging.s3.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": f"{deployed.arn('aws:s3/bucket:Bucket', 'access-logs')}/payloads/*",
            "Condition": {
                "ArnLike": {"aws:SourceArn": deployed.arn("aws:s3/bucket:Bucket", "payloads")},
                "StringEquals": {"aws:SourceAccount": "123456789012"},
            },
        }
    ]


def test_the_payload_bucket_logs_access(deployed: Deployment) -> None:
    logging = deployed.one("aws:s3/bucketLogging:BucketLogging", "payloads-logging")

    assert logging.inputs == {
        "bucket": "payloads-id",
        "targetBucket": "access-logs-id",
        "targetPrefix": "payloads/",
    }


def test_the_payload_bucket_sends_events_if_configured(customized: Deployment) -> None:
    notification = customized.one("aws:s3/bucketNotification:BucketNotification", "payloads-notification")

    assert notification.inputs == {"bucket": "payloads-id", "eventbridge": True}


def test_no_bucket_sends_events_by_default(example: Deployment) -> None:
    assert not example.all("aws:s3/bucketNotification:BucketNotification")


def test_the_table_has_an_item_for_each_message_and_an_index_by_time(example: Deployment) -> None:
    table = example.one("aws:dynamodb/table:Table", "table")

    assert table.inputs == {
        "name": f"{PROJECT_NAME}-{example.setting('environmentSuffix')}-messages",
        "billingMode": "PAY_PER_REQUEST",
        "hashKey": "message_id",
        "attributes": [
            {"name": "message_id", "type": "S"},
            {"name": "date", "type": "S"},
            {"name": "timestamp", "type": "S"},
        ],
        "globalSecondaryIndexes": [
            {
                "name": TIMESTAMP_INDEX,
                "keySchemas": [
                    {"attributeName": "date", "keyType": "HASH"},
                    {"attributeName": "timestamp", "keyType": "RANGE"},
                ],
                # What a query for a day's messages needs: to write more costs more.
                "projectionType": "INCLUDE",
                "nonKeyAttributes": ["object_key", "type"],
            }
        ],
        "ttl": {"attributeName": "expires_at", "enabled": True},
        "pointInTimeRecovery": {"enabled": True},
        "serverSideEncryption": {"enabled": True, "kmsKeyArn": key_arn(example)},
        "deletionProtectionEnabled": False,
        "tags": table.inputs["tags"],
    }


def test_the_table_is_encrypted_and_protected_in_production(deployed: Deployment) -> None:
    table = deployed.one("aws:dynamodb/table:Table", "table").inputs

    assert table["serverSideEncryption"] == {"enabled": True, "kmsKeyArn": key_arn(deployed)}
    assert table["deletionProtectionEnabled"] is (deployed.setting("environment") == "prod")


@pytest.mark.parametrize(
    ("reads", "writes", "throughput"),
    [
        ("0", "0", None),
        ("1", "0", {"maxReadRequestUnits": 1, "maxWriteRequestUnits": -1}),
        ("0", "1", {"maxReadRequestUnits": -1, "maxWriteRequestUnits": 1}),
        ("100", "50", {"maxReadRequestUnits": 100, "maxWriteRequestUnits": 50}),
    ],
)
def test_the_table_and_its_index_have_the_configured_maximums(
    deploy_example: Deploy, reads: str, writes: str, throughput: dict[str, int] | None
) -> None:
    example = deploy_example(tableMaxReadUnits=reads, tableMaxWriteUnits=writes)
    table = example.one("aws:dynamodb/table:Table", "table").inputs

    assert table.get("onDemandThroughput") == throughput
    assert [index.get("onDemandThroughput") for index in table["globalSecondaryIndexes"]] == [throughput]


def test_the_keys_that_are_used_most_are_shown_if_configured(customized: Deployment) -> None:
    insights = customized.all("aws:dynamodb/contributorInsights:ContributorInsights")

    table = customized.exports["table_name"]
    assert {name: each.inputs for name, each in insights.items()} == {
        "table-insights": {"tableName": table},
        "index-insights": {"tableName": table, "indexName": TIMESTAMP_INDEX},
    }


def test_the_keys_that_are_used_most_are_not_shown_by_default(example: Deployment) -> None:
    assert not example.all("aws:dynamodb/contributorInsights:ContributorInsights")


def test_the_index_has_the_documented_name() -> None:
    assert TIMESTAMP_INDEX == "timestamp-index"
