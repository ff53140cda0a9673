"""The record of the program: resources with their options, and outputs; the run leaves nothing behind."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pulumi
import pytest
from pulumi.runtime.mocks import MockCallArgs

from tools.account import Account
from tools.configuration.checks import KEYS, SettingsError, find_problems
from tools.configuration.stack_files import StackConfig
from tools.testing.recording import (
    ACCOUNT_ID,
    PROJECT_NAME,
    STACKS,
    Aws,
    Deployment,
    deploy,
    example_account,
    example_config,
    readable,
    readable_config,
)

QUEUE = "aws:sqs/queue:Queue"
BUCKET = "aws:s3/bucket:Bucket"
FUNCTION = "aws:lambda/function:Function"


@pytest.fixture(scope="module", name="dev")
def fixture_dev(deploy_stack: Callable[..., Deployment]) -> Deployment:
    """The dev stack."""
    return deploy_stack("dev")


def test_a_resource_is_recorded_with_its_inputs(dev: Deployment) -> None:
    queue = dev.one(QUEUE, "queue")

    assert queue.inputs["name"] == "orders-dev-queue"
    assert queue.inputs["visibilityTimeoutSeconds"] == 360
    assert queue.document("redrivePolicy") == {
        "deadLetterTargetArn": f"arn:aws:sqs:us-east-2:{ACCOUNT_ID}:orders-dev-dead-letters",
        "maxReceiveCount": 3,
    }


def test_every_resource_of_a_type_is_found_by_its_logical_name(dev: Deployment) -> None:
    assert [*dev.all(QUEUE)] == ["dead-letters", "queue"]


def test_a_component_is_distinguished_from_resources_in_aws(dev: Deployment) -> None:
    components = [each for each in dev.resources if each.is_component]

    assert [each.name for each in components] == ["store"]
    assert dev.one(BUCKET, "payloads").parent == components[0].urn


def test_the_outputs_of_a_component_are_recorded(dev: Deployment) -> None:
    (store,) = (each for each in dev.resources if each.is_component)

    assert dev.registered_outputs[store.urn] == {"bucket_name": dev.exports["bucket_name"]}


@pytest.mark.parametrize(("stack", "protect"), [("dev", False), ("prod", True)])
def test_resource_options_are_recorded(deploy_stack: Callable[..., Deployment], stack: str, protect: bool) -> None:
    deployed = deploy_stack(stack)

    assert deployed.one(BUCKET, "payloads").protect is protect
    assert deployed.one(BUCKET, "payloads").retain_on_delete is False
    log_group = deployed.one("aws:cloudwatch/logGroup:LogGroup", "log")
    assert log_group.urn in deployed.one(FUNCTION, "processor").dependencies


def test_the_outputs_are_the_programs_exports(dev: Deployment) -> None:
    assert dev.exports == {
        "bucket_name": f"orders-dev-payloads-{ACCOUNT_ID}",
        "table_name": "orders-dev-messages",
        "table_arn": f"arn:aws:dynamodb:us-east-2:{ACCOUNT_ID}:table/orders-dev-messages",
        "topic_arn": f"arn:aws:sns:us-east-2:{ACCOUNT_ID}:orders-dev-notifications",
        "queue_url": f"https://sqs.us-east-2.amazonaws.com/{ACCOUNT_ID}/orders-dev-queue",
        "function_arn": f"arn:aws:lambda:us-east-2:{ACCOUNT_ID}:function:orders-dev-processor",
        "function_name": "orders-dev-processor",
    }


def test_an_arn_is_the_one_that_the_mocks_gave(dev: Deployment) -> None:
    assert dev.arn(FUNCTION, "processor") == dev.exports["function_arn"]


def test_the_configuration_is_the_programs(deploy_stack: Callable[..., Deployment]) -> None:
    deployed = deploy_stack("dev", batchSize="5")

    assert (deployed.setting("batchSize"), deployed.region) == ("5", "us-east-2")
    mapping = deployed.one("aws:lambda/eventSourceMapping:EventSourceMapping", "queue")
    assert mapping.inputs["batchSize"] == 5


@pytest.mark.parametrize("stack", STACKS)
def test_only_the_local_stack_is_local(deploy_stack: Callable[..., Deployment], stack: str) -> None:
    assert deploy_stack(stack).is_local is (stack == "local")


def test_a_refusal_of_the_program_is_raised(deploy_stack: Callable[..., Deployment]) -> None:
    with pytest.raises(SettingsError, match="batchSize"):
        deploy_stack("dev", batchSize="0")


def test_a_missing_bundle_stops_the_program(tmp_path: Path) -> None:
    with pytest.raises(pulumi.RunError, match="the function's bundle is missing"):
        deploy(readable_config("dev"), "dev", tmp_path)


def test_another_program_can_be_run(tmp_path: Path) -> None:
    program = 'import pulumi\n\npulumi.export("ran", f"{pulumi.get_project()}/{pulumi.get_stack()}")\n'
    (tmp_path / "__main__.py").write_text(program, encoding="utf-8")

    assert deploy({}, "account", folder=tmp_path, project="another").exports == {"ran": "another/account"}


def test_a_run_leaves_nothing_behind(deploy_stack: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://vpce-1.example.com")
    before = dict(os.environ)

    deploy_stack("local")

    assert dict(os.environ) == before
    assert pulumi.runtime.get_root_resource() is None
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


def test_the_program_does_not_use_this_shells_endpoint(
    deploy_stack: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:5000")

    assert not deploy_stack("dev").is_local


def test_an_account_in_another_partition_has_its_own_arns_and_domains(build_folder: Path) -> None:
    china = deploy(readable_config("dev") | {"aws:region": "cn-north-1"}, "dev", build_folder)

    assert china.exports["table_arn"].startswith("arn:aws-cn:dynamodb:cn-north-1:")
    assert china.exports["queue_url"].startswith("https://sqs.cn-north-1.amazonaws.com.cn/")
    assert china.arn(FUNCTION, "processor") == china.exports["function_arn"]


@pytest.mark.parametrize(
    ("region", "partition", "dns_suffix"),
    [
        ("us-east-2", "aws", "amazonaws.com"),
        ("us-gov-east-1", "aws-us-gov", "amazonaws.com"),
        ("cn-northwest-1", "aws-cn", "amazonaws.com.cn"),
        ("", "aws", "amazonaws.com"),
    ],
)
def test_the_example_account_is_in_the_partition_of_its_region(region: str, partition: str, dns_suffix: str) -> None:
    assert example_account(region) == Account(ACCOUNT_ID, region, partition, dns_suffix)


@pytest.mark.parametrize(
    ("service", "region", "name", "in_the_region"),
    [
        ("logs", "us-east-2", "logs.amazonaws.com", "logs.us-east-2.amazonaws.com"),
        ("lambda", "us-gov-east-1", "lambda.amazonaws.com", "lambda.us-gov-east-1.amazonaws.com"),
        ("lambda", "cn-north-1", "lambda.amazonaws.com", "lambda.cn-north-1.amazonaws.com"),
        ("logs", "cn-north-1", "logs.amazonaws.com.cn", "logs.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_the_provider_tells_the_principal_of_a_service(
    service: str, region: str, name: str, in_the_region: str
) -> None:
    question = MockCallArgs("aws:index/getServicePrincipal:getServicePrincipal", {"serviceName": service}, "")

    answer, _ = Aws(example_account(region)).call(question)

    assert answer == {"name": name, "id": in_the_region, "suffix": name.removeprefix(f"{service}.")}


def test_a_secret_is_replaced_by_an_example_value() -> None:
    values = {"orders:batchSize": "{}", "orders:environment": "dev", "aws:token": "{}", "orders:zzz": "{}"}
    config = StackConfig(values, frozenset({"orders:batchSize", "aws:token", "orders:zzz"}), {})

    assert readable(config) == {
        "orders:batchSize": "10",
        "orders:environment": "dev",
        "aws:token": "",
        "orders:zzz": "",
    }


def test_an_example_configuration_is_complete_and_valid() -> None:
    config = example_config("shop", "eu-west-1")

    assert [*config] == ["aws:region", *(f"shop:{key}" for key in KEYS)]
    assert config["aws:region"] == "eu-west-1"
    assert find_problems("shop", config | {"shop:environment": "dev"}) == []


def test_the_project_is_found_with_its_stacks() -> None:
    assert (PROJECT_NAME, STACKS) == ("orders", ("dev", "local", "prod", "staging"))
