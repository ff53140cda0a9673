"""The key that encrypts everything."""

import pytest

from tests.unit.conftest import Deploy, key_arn
from tools.testing import PROJECT_NAME, Deployment

# What the key encrypts: type, logical name, and the input with the key's ARN. The buckets are in test_storage.py.
ENCRYPTED = (
    ("aws:cloudwatch/logGroup:LogGroup", "function-logs", "kmsKeyId"),
    ("aws:lambda/function:Function", "function", "kmsKeyArn"),
    ("aws:sns/topic:Topic", "topic", "kmsMasterKeyId"),
    ("aws:sqs/queue:Queue", "dead-letter-queue", "kmsMasterKeyId"),
    ("aws:sqs/queue:Queue", "queue", "kmsMasterKeyId"),
)


def test_the_stacks_key_is_rotated_and_has_the_longest_deletion_window(example: Deployment) -> None:
    key = example.one("aws:kms/key:Key", "key")

    assert key.inputs["enableKeyRotation"] is True
    assert key.inputs["deletionWindowInDays"] == 30


def test_the_stacks_key_says_what_it_is_for(example: Deployment) -> None:
    key = example.one("aws:kms/key:Key", "key")

    names = f"{PROJECT_NAME}-{example.setting('environmentSuffix')}-*"
    assert key.inputs["description"] == f"Encrypts the data and messages of {names}"


def test_the_stacks_key_has_an_alias(example: Deployment) -> None:
    alias = example.one("aws:kms/alias:Alias", "key-alias")

    assert alias.inputs == {
        "name": f"alias/{PROJECT_NAME}-{example.setting('environmentSuffix')}-key",
        "targetKeyId": key_arn(example).rpartition("/")[2],
    }


@pytest.mark.parametrize("region", ["us-east-1", "us-gov-east-1", "cn-north-1"])
def test_the_stacks_key_can_be_used_by_the_account_and_its_logs_only(deploy_example: Deploy, region: str) -> None:
    example = deploy_example(region=region)
    account = example.account

    assert example.one("aws:kms/key:Key", "key").document("policy") == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AllowTheAccount",
                "Effect": "Allow",
                "Principal": {"AWS": account.root_arn},
                "Action": "kms:*",
                "Resource": "*",
            },
            {
                "Sid": "AllowTheLogs",
                "Effect": "Allow",
                "Principal": {"Service": f"logs.{region}.{account.dns_suffix}"},
                "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
                "Resource": "*",
                "Condition": {
                    "ArnEquals": {
                        "kms:EncryptionContext:aws:logs:arn": example.arn(
                            "aws:cloudwatch/logGroup:LogGroup", "function-logs"
                        )
                    }
                },
            },
        ],
    }


def test_a_configured_key_replaces_the_stacks_key(customized: Deployment) -> None:
    assert key_arn(customized) == customized.setting("kmsKeyArn")
    assert not customized.all("aws:kms/key:Key")
    assert not customized.all("aws:kms/alias:Alias")


@pytest.mark.parametrize(("type_", "name", "key"), ENCRYPTED)
def test_one_key_encrypts_everything(deployed: Deployment, type_: str, name: str, key: str) -> None:
    assert deployed.one(type_, name).inputs[key] == key_arn(deployed)


def test_everything_that_can_be_encrypted_is_but_the_topic_for_alarms(deployed: Deployment) -> None:
    encrypted = {(type_, name) for type_, name, _ in ENCRYPTED}
    found = {(type_, name) for type_, _, _ in ENCRYPTED for name in deployed.all(type_)}

    # An alarm must arrive even if the key cannot be used.
    assert found - encrypted == {("aws:sns/topic:Topic", "alarm-topic")}
