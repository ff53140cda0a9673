"""What the program promises of a deployed stack: what AWS has chosen freely is asked for."""

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
    """The dev stack in an AWS that holds nothing yet."""
    with mock_aws():
        yield deployed_with(read_stack_config("dev"))


def deployed_with(config: StackConfig) -> Deployed:
    """Form the dev stack with a configuration."""
    return Deployed(Program("dev", config, example_account("us-east-2")), {})


def client(service: str) -> Any:
    """Make a client of the stack's region."""
    session: Any = boto3.Session("testing", "testing", region_name="us-east-2")
    return session.client(service)


def test_a_key_is_promised_under_the_names_that_aws_gave_it(deployed: Deployed) -> None:
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/orders-dev", TargetKeyId=key["KeyId"])

    promises = promised(deployed)

    assert promises.one("aws:kms/alias:Alias", "alias").inputs["targetKeyId"] == key["KeyId"]
    assert promises.one("aws:sqs/queue:Queue", "queue").inputs["kmsMasterKeyId"] == key["Arn"]


def test_a_queue_is_promised_under_the_address_that_aws_gave_it(deployed: Deployed) -> None:
    url = client("sqs").create_queue(QueueName="orders-dev-queue")["QueueUrl"]

    assert promised(deployed).exports["queue_url"] == url


def test_what_does_not_exist_is_named_where_others_need_it(deployed: Deployed) -> None:
    promises = promised(deployed)

    assert promises.exports["queue_url"] == "(orders-dev-queue does not exist)"
    assert promises.one("aws:sqs/queue:Queue", "queue").inputs["kmsMasterKeyId"] == "(alias/orders-dev does not exist)"


@pytest.mark.parametrize("service", ["kms", "sqs"])
def test_an_answer_that_is_refused_is_no_promise(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "Any")

    for method in ("describe_key", "get_queue_url"):
        monkeypatch.setattr(deployed.client(service), method, refuse, raising=False)

    with pytest.raises(ClientError, match="AccessDeniedException"):
        promised(deployed)


def test_a_test_of_what_a_secret_is_a_part_of_is_skipped_with_the_reason() -> None:
    key = "orders:notificationEmail"
    config = read_stack_config("dev")
    secret = StackConfig(config.values | {key: '{"secure": "AAAB"}'}, frozenset({key}), config.places)

    with pytest.raises(pytest.skip.Exception, match=r"^notificationEmail is a secret, which only the engine can read$"):
        skip_if_secret(deployed_with(secret), "aws:sqs/queue:Queue queue", SUBSCRIPTION)


def test_a_test_of_anything_else_is_not_skipped(deployed: Deployed) -> None:
    skip_if_secret(deployed, SUBSCRIPTION, "queue_url")
