"""The key: what is deployed is what was promised."""

import json
from typing import Any

import pytest

from tests.integration.deployed import Deployed, canonical, hold


@pytest.fixture(name="own_key")
def fixture_own_key(deployed: Deployed) -> str:
    """The ARN of the key that the stack owns."""
    if deployed.promised("kms_key_arn"):
        pytest.skip("kmsKeyArn names a key that the stack does not own")
    return deployed.key_arn


def test_the_key_can_be_used(deployed: Deployed) -> None:
    key: dict[str, Any] = deployed.client("kms").describe_key(KeyId=deployed.key_arn)["KeyMetadata"]

    found = (key["KeyState"], key["KeyUsage"], key["KeyManager"])
    hold(deployed.key_arn, "state", found=found, promised=("Enabled", "ENCRYPT_DECRYPT", "CUSTOMER"))


def test_the_key_is_rotated(deployed: Deployed, own_key: str) -> None:
    rotation = deployed.client("kms").get_key_rotation_status(KeyId=own_key)

    hold(own_key, "rotation", found=rotation["KeyRotationEnabled"], promised=True)


def test_the_key_serves_the_account_its_logs_and_its_alarms_alone(deployed: Deployed, own_key: str) -> None:
    policy = json.loads(deployed.client("kms").get_key_policy(KeyId=own_key, PolicyName="default")["Policy"])

    logs = deployed.account.arn("logs", f"log-group:{deployed.names.log_group}")
    promised = [
        {"Principal": {"AWS": deployed.account.root_arn}, "Action": "kms:*"},
        {
            "Principal": {"Service": f"logs.{deployed.account.region}.{deployed.account.dns_suffix}"},
            "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
            "Condition": {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": logs}},
        },
        {"Principal": {"Service": "cloudwatch.amazonaws.com"}, "Action": ["kms:Decrypt", "kms:GenerateDataKey*"]},
    ]
    hold(
        own_key,
        "policy",
        found=[canonical(statement) for statement in policy["Statement"]],
        promised=[canonical({"Effect": "Allow", "Resource": "*", **statement}) for statement in promised],
    )
