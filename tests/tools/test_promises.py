"""What the program promises of a deployed stack, with the values that AWS has generated."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from tools.configuration.stack_files import StackConfig, read_stack_config
from tools.testing.deployed import Deployed
from tools.testing.limits import EMULATOR_LIMITS, NOT_IN_THE_EMULATOR
from tools.testing.program import Program
from tools.testing.promises import promised, promised_properties, skip_if_secret
from tools.testing.recording import Resource, example_account

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


def version_of(versions: list[str] | None) -> str:
    """Return the promised version of the alias if the function has these versions, or does not exist."""
    deployed = deployed_with(read_stack_config("dev"))
    with mock_aws(), Stubber(deployed.client("lambda")) as stubber:
        if versions is None:
            stubber.add_client_error("list_versions_by_function", "ResourceNotFoundException")
        else:
            pages = [["$LATEST", *versions[:1]], versions[1:]]
            for page, following in zip(pages, ({"NextMarker": "more"}, {}), strict=True):
                answer = {"Versions": [{"Version": version} for version in page]}
                stubber.add_response("list_versions_by_function", answer | following)
        return promised(deployed).one("aws:lambda/alias:Alias", "live").inputs["functionVersion"]


@pytest.mark.parametrize("versions", [["10"], ["9", "10"], ["10", "9"]])
def test_an_alias_is_promised_to_run_the_version_that_was_published_last(versions: list[str]) -> None:
    assert version_of(versions) == "10"


def test_an_alias_is_promised_no_version_if_none_is_published() -> None:
    assert version_of([]) == "(no version of orders-dev-processor is published)"


def test_an_alias_of_a_missing_function_is_promised_no_version() -> None:
    assert version_of(None) == "(orders-dev-processor does not exist)"


def resource(type_: str, **inputs: Any) -> Resource:
    """Return a resource with these inputs."""
    return Resource(type_, "name", "", "", inputs, protect=False, retain_on_delete=False, dependencies=frozenset())


def test_properties_are_promised_by_the_program_and_otherwise_by_awss_defaults(deployed: Deployed) -> None:
    bucket = resource("aws:s3/bucket:Bucket", bucket="orders")

    assert promised_properties(deployed, bucket) == {"bucket": "orders", "region": None}
    assert promised_properties(deployed, resource("aws:s3/bucket:Bucket", region="eu-west-1")) == {
        "region": "eu-west-1"
    }


def test_inputs_that_only_pulumi_knows_are_not_compared(deployed: Deployed) -> None:
    bucket = resource("aws:s3/bucket:Bucket", bucket="orders", forceDestroy=True)

    assert "forceDestroy" not in promised_properties(deployed, bucket)


@pytest.mark.parametrize(("type_", "names"), NOT_IN_THE_EMULATOR.items())
@pytest.mark.parametrize("stack", ["dev", "local"])
def test_what_the_emulator_does_not_keep_is_compared_on_aws_only(type_: str, names: frozenset[str], stack: str) -> None:
    deployed = Deployed(Program(stack, read_stack_config(stack), example_account("us-east-2")), {})
    given = resource(type_, description="any", **dict.fromkeys(names, True))

    compared = promised_properties(deployed, given).keys()

    assert "description" in compared
    assert names & compared == (names if stack == "dev" else set())


@pytest.mark.parametrize(("type_", "names"), NOT_IN_THE_EMULATOR.items())
def test_what_the_emulator_does_not_keep_is_one_of_its_limits(type_: str, names: frozenset[str]) -> None:
    for name in names:
        assert f"{type_.rpartition(':')[2]}.{name} is not kept, and so not compared" in EMULATOR_LIMITS


@pytest.mark.parametrize("service", ["kms", "lambda", "sqs"])
def test_an_error_from_aws_is_raised(deployed: Deployed, monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "Any")

    for method in ("describe_key", "get_paginator", "get_queue_url"):
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
