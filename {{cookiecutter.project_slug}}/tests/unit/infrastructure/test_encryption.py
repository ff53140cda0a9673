"""The key that encrypts everything."""

from tests.unit.conftest import key_arn
from tools.testing.recording import PROJECT_NAME, Deployment

# The input for the key, by resource type.
KEY_INPUTS = {
    "aws:cloudwatch/logGroup:LogGroup": "kmsKeyId",
    "aws:lambda/function:Function": "kmsKeyArn",
    "aws:sns/topic:Topic": "kmsMasterKeyId",
    "aws:sqs/queue:Queue": "kmsMasterKeyId",
}


def test_the_stacks_key_is_rotated_and_has_the_longest_deletion_window(example: Deployment) -> None:
    key = example.one("aws:kms/key:Key", "key")

    assert key.inputs["enableKeyRotation"] is True
    assert key.inputs["deletionWindowInDays"] == 30


def test_the_stacks_key_has_an_alias(example: Deployment) -> None:
    alias = example.one("aws:kms/alias:Alias", "key-alias")

    assert alias.inputs == {
        "name": f"alias/{PROJECT_NAME}-{example.setting('environmentSuffix')}-key",
        "targetKeyId": key_arn(example).rpartition("/")[2],
    }


def test_the_stacks_key_can_be_used_by_the_account_its_logs_and_its_alarms(example: Deployment) -> None:
    policy = example.one("aws:kms/key:Key", "key").document("policy")

    assert policy == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AllowTheAccount",
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
                "Action": "kms:*",
                "Resource": "*",
            },
            {
                "Sid": "AllowTheLogs",
                "Effect": "Allow",
                "Principal": {"Service": f"logs.{example.region}.amazonaws.com"},
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
            {
                "Sid": "AllowTheAlarms",
                "Effect": "Allow",
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
                "Resource": "*",
            },
        ],
    }


def test_a_configured_key_replaces_the_stacks_key(customized: Deployment) -> None:
    configured_key = customized.setting("kmsKeyArn")

    assert not customized.all("aws:kms/key:Key")
    assert not customized.all("aws:kms/alias:Alias")
    for type_, key in KEY_INPUTS.items():
        assert {resource.inputs[key] for resource in customized.all(type_).values()} == {configured_key}, type_
    assert (
        customized.one("aws:dynamodb/table:Table", "table").inputs["serverSideEncryption"]["kmsKeyArn"]
        == configured_key
    )


def test_one_key_encrypts_everything(deployed: Deployment) -> None:
    for type_, key in KEY_INPUTS.items():
        assert {resource.inputs[key] for resource in deployed.all(type_).values()} == {key_arn(deployed)}, type_
