"""What the program promises of a deployed stack, with the values that AWS has generated."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tools.configuration.stack_files import StackConfig, read_stack_config
from tools.testing.deployed import Deployed
from tools.testing.program import Program
from tools.testing.promises import promised, skip_if_secret
from tools.testing.recording import example_account

KEY = "aws:kms/key:Key"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription email"


@pytest.fixture(name="deployed")
def fixture_deployed() -> Iterator[Deployed]:
    """The dev stack in an empty AWS."""
    with mock_aws():
        yield deployed_with(read_stack_config("dev"))


def deployed_with(config: StackConfig) -> Deployed:
    """Return the dev stack with a configuration."""
    return Deployed(Program("dev", config, example_account("us-east-2")), {})


def client(service: str) -> Any:
    """Return a client for the stack's region."""
    session: Any = boto3.Session("testing", "testing", region_name="us-east-2")
    return session.client(service)


def test_a_key_is_promised_with_the_arn_and_id_from_aws(deployed: Deployed) -> None:
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/orders-dev", TargetKeyId=key["KeyId"])

    promises = promised(deployed)

    assert promises.one("aws:kms/alias:Alias", "alias").inputs["targetKeyId"] == key["KeyId"]
    assert promises.one("aws:sqs/queue:Queue", "queue").inputs["kmsMasterKeyId"] == key["Arn"]


def test_a_queue_is_promised_with_the_url_from_aws(deployed: Deployed) -> None:
    url = client("sqs").create_queue(QueueName="orders-dev-queue")["QueueUrl"]

    assert promised(deployed).exports["queue_url"] == url


def test_a_missing_resource_is_named_where_others_refer_to_it(deployed: Deployed) -> None:
    promises = promised(deployed)

    assert promises.exports["queue_url"] == "(orders-dev-queue does not exist)"
    assert promises.one("aws:sqs/queue:Queue", "queue").inputs["kmsMasterKeyId"] == "(alias/orders-dev does not exist)"


@pytest.mark.parametrize("service", ["kms", "sqs"])
def test_an_error_from_aws_is_raised(deployed: Deployed, monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "Any")

    for method in ("describe_key", "get_queue_url"):
        monkeypatch.setattr(deployed.client(service), method, refuse, raising=False)

    with pytest.raises(ClientError, match="AccessDeniedException"):
        promised(deployed)


def test_a_test_that_depends_on_a_secret_is_skipped_with_the_reason() -> None:
    key = "orders:notificationEmail"
    config = read_stack_config("dev")
    secret = StackConfig(config.values | {key: '{"secure": "AAAB"}'}, frozenset({key}), config.places)

    with pytest.raises(pytest.skip.Exception, match=r"^notificationEmail is a secret, which only the engine can read$"):
        skip_if_secret(deployed_with(secret), "aws:sqs/queue:Queue queue", SUBSCRIPTION)


def test_a_test_that_depends_on_no_secret_is_not_skipped(deployed: Deployed) -> None:
    skip_if_secret(deployed, SUBSCRIPTION, "queue_url")
