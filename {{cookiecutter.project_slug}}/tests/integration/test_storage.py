"""The buckets: what is deployed is what was promised."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infrastructure.storage import ACCESS_LOG_DAYS, INCOMPLETE_UPLOAD_DAYS
from tests.integration.deployed import Deployed, canonical, hold, tls_only

# How the error codes begin by which S3 says that something was never configured.
NOT_CONFIGURED = ("NoSuch", "OwnershipControlsNotFound", "ServerSideEncryptionConfigurationNotFound")
PRIVATE = {"BlockPublicAcls": True, "BlockPublicPolicy": True, "IgnorePublicAcls": True, "RestrictPublicBuckets": True}


@pytest.fixture(name="payloads")
def fixture_payloads(deployed: Deployed) -> str:
    """Name of the bucket that holds payloads."""
    return deployed.outputs["bucket_name"]


@pytest.fixture(name="access_logs")
def fixture_access_logs(deployed: Deployed) -> str:
    """Name of the bucket that holds the access logs of the payloads' bucket."""
    return deployed.names.access_log_bucket(deployed.account.id)


@pytest.fixture(name="bucket", params=["payloads", "access_logs"])
def fixture_bucket(request: pytest.FixtureRequest) -> str:
    """Name of each bucket in turn."""
    return request.getfixturevalue(request.param)


def ask(operation: Callable[..., dict[str, Any]], bucket: str) -> dict[str, Any]:
    """Ask S3 about a bucket; what was never configured is nothing."""
    try:
        return operation(Bucket=bucket)
    except ClientError as error:
        if not error.response["Error"]["Code"].startswith(NOT_CONFIGURED):
            raise
        return {}


def policy_statements(deployed: Deployed, bucket: str) -> dict[str, dict[str, Any]]:
    """Read the statements of a bucket's policy, by their names."""
    policy = ask(deployed.client("s3").get_bucket_policy, bucket).get("Policy", '{"Statement": []}')
    return {statement.get("Sid", ""): canonical(statement) for statement in json.loads(policy)["Statement"]}


def lifecycle(deployed: Deployed, bucket: str) -> dict[str, Any]:
    """Read what a bucket's enabled rules remove after how many days."""
    found: dict[str, Any] = {}
    rules = ask(deployed.client("s3").get_bucket_lifecycle_configuration, bucket).get("Rules", [])
    for rule in rules:
        # Any other filter leaves objects out.
        if rule["Status"] == "Enabled" and rule.get("Filter") in ({}, {"Prefix": ""}):
            found |= {
                "noncurrent": rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"),
                "uploads": rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"),
                "objects": rule.get("Expiration", {}).get("Days"),
            }.items() - {("noncurrent", None), ("uploads", None), ("objects", None)}
    return found


def test_a_bucket_is_in_the_stacks_region(deployed: Deployed, bucket: str) -> None:
    location = deployed.client("s3").get_bucket_location(Bucket=bucket)["LocationConstraint"]

    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
    hold(bucket, "region", found=location or "us-east-1", promised=deployed.account.region)


def test_a_bucket_keeps_replaced_versions(deployed: Deployed, bucket: str) -> None:
    versioning = deployed.client("s3").get_bucket_versioning(Bucket=bucket)

    hold(bucket, "versioning", found=versioning.get("Status"), promised="Enabled")


def test_a_bucket_is_private(deployed: Deployed, bucket: str) -> None:
    block = ask(deployed.client("s3").get_public_access_block, bucket)

    hold(bucket, "public access", found=block.get("PublicAccessBlockConfiguration"), promised=PRIVATE)


def test_a_bucket_owns_its_objects(deployed: Deployed, bucket: str) -> None:
    controls = ask(deployed.client("s3").get_bucket_ownership_controls, bucket)

    found = controls.get("OwnershipControls", {}).get("Rules")
    hold(bucket, "ownership", found=found, promised=[{"ObjectOwnership": "BucketOwnerEnforced"}])


def test_a_bucket_is_reached_over_tls_only(deployed: Deployed, bucket: str) -> None:
    statement = policy_statements(deployed, bucket).get("DenyInsecureTransport")

    arn = f"arn:{deployed.account.partition}:s3:::{bucket}"
    hold(bucket, "policy", found=statement, promised=canonical(tls_only("s3:*", [arn, f"{arn}/*"])))


def test_payloads_are_encrypted_with_the_stacks_key(deployed: Deployed, payloads: str) -> None:
    configuration = ask(deployed.client("s3").get_bucket_encryption, payloads)

    (rule,) = configuration.get("ServerSideEncryptionConfiguration", {}).get("Rules") or [{}]
    promised = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": deployed.key_arn}
    hold(payloads, "encryption", found=rule.get("ApplyServerSideEncryptionByDefault"), promised=promised)
    hold(payloads, "bucket key", found=rule.get("BucketKeyEnabled"), promised=True)


def test_access_logs_are_encrypted(deployed: Deployed, access_logs: str) -> None:
    configuration = ask(deployed.client("s3").get_bucket_encryption, access_logs)

    (rule,) = configuration.get("ServerSideEncryptionConfiguration", {}).get("Rules") or [{}]
    found = rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm")
    hold(access_logs, "encryption", found=found, promised="AES256")


def test_replaced_payloads_and_abandoned_uploads_go(deployed: Deployed, payloads: str) -> None:
    promised = {"noncurrent": deployed.promised("noncurrent_version_days"), "uploads": INCOMPLETE_UPLOAD_DAYS}

    hold(payloads, "days kept", found=lifecycle(deployed, payloads), promised=promised)


def test_access_logs_go_after_a_year(deployed: Deployed, access_logs: str) -> None:
    promised = {
        "noncurrent": deployed.promised("noncurrent_version_days"),
        "uploads": INCOMPLETE_UPLOAD_DAYS,
        "objects": ACCESS_LOG_DAYS,
    }

    hold(access_logs, "days kept", found=lifecycle(deployed, access_logs), promised=promised)


def test_access_to_payloads_is_logged(deployed: Deployed, payloads: str, access_logs: str) -> None:
    logging = deployed.client("s3").get_bucket_logging(Bucket=payloads).get("LoggingEnabled", {})

    found = (logging.get("TargetBucket"), logging.get("TargetPrefix"))
    hold(payloads, "access logs", found=found, promised=(access_logs, "payloads/"))


def test_access_logs_come_from_the_payloads_alone(deployed: Deployed, payloads: str, access_logs: str) -> None:
    statements = policy_statements(deployed, access_logs)

    source = f"arn:{deployed.account.partition}:s3:::{payloads}"
    promised = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:{deployed.account.partition}:s3:::{access_logs}/payloads/*",
        "Condition": {
            "ArnLike": {"aws:SourceArn": source},
            "StringEquals": {"aws:SourceAccount": deployed.account.id},
        },
    }
    hold(access_logs, "writers", found=statements.get("AllowAccessLogs"), promised=canonical(promised))


def test_nobody_else_is_let_into_a_bucket(deployed: Deployed, bucket: str, access_logs: str) -> None:
    statements = policy_statements(deployed, bucket)

    allowed = [name for name, statement in statements.items() if statement["Effect"] == "Allow"]
    hold(bucket, "allowed by policy", found=allowed, promised=["AllowAccessLogs"] if bucket == access_logs else [])


def test_changes_of_payloads_go_to_eventbridge(deployed: Deployed, payloads: str) -> None:
    notification = deployed.client("s3").get_bucket_notification_configuration(Bucket=payloads)

    hold(payloads, "EventBridge", found="EventBridgeConfiguration" in notification, promised=True)
