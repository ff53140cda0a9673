"""Tests that a program's run with Pulumi mocks is recorded: resources, their options, and outputs."""

import asyncio
import os
from pathlib import Path

import pulumi
import pytest

from infrastructure.settings import Settings
from tools.project import read_project
from tools.settings import SettingsError, find_problems, own_settings
from tools.testing import PROJECT_NAME, STACKS, RecordedProgram, example_config, run_program, stack_config

ACCOUNT = "123456789012"
PROGRAM = """
import os
import pulumi
import pulumi_aws as aws

class Store(pulumi.ComponentResource):
    def __init__(self):
        super().__init__("orders:infrastructure:Store", "store")
        self.key = aws.kms.Key("key", opts=pulumi.ResourceOptions(parent=self, protect=True, retain_on_delete=True))
        self.register_outputs({"key_id": self.key.key_id})

store = Store()
queue = aws.sqs.Queue("queue", name="orders-queue", redrive_policy='{"maxReceiveCount": 3}', delay_seconds=5)
aws.sqs.Queue("other", name=pulumi.Output.secret("other"), opts=pulumi.ResourceOptions(depends_on=queue))
pulumi.export("queue_url", queue.url)
pulumi.export("queue_arn", queue.arn)
pulumi.export("ran", f"{pulumi.get_project()}/{pulumi.get_stack()}")
pulumi.export("endpoint", os.environ.get("AWS_ENDPOINT_URL", "none"))
pulumi.export("principal", aws.get_service_principal_output(service_name="lambda").name)
pulumi.export("regional_principal", aws.get_service_principal_output(service_name="logs").id)
pulumi.export("account", aws.get_caller_identity().account_id)
pulumi.export("partition", aws.get_partition().dns_suffix)
pulumi.export("region", aws.get_region().region)
"""
QUEUE = "aws:sqs/queue:Queue"


def run(folder: Path, region: str = "us-east-2", environment: str = "dev") -> RecordedProgram:
    """Run `PROGRAM` with mocks, in the given region and environment."""
    (folder / "__main__.py").write_text(PROGRAM, encoding="utf-8")
    config = example_config(region=region, environment=environment)
    return run_program(config, "account", folder=folder, project="another")


def test_resources_are_recorded_with_inputs_and_options(tmp_path: Path) -> None:
    recorded = run(tmp_path)

    store, key, queue, other = (
        next(each for each in recorded.resources if each.name == name) for name in ("store", "key", "queue", "other")
    )
    assert [each.name for each in recorded.resources if each.is_component] == ["store"]
    assert (key.parent, key.protect, key.retain_on_delete) == (store.urn, True, True)
    assert queue.inputs == {"name": "orders-queue", "redrivePolicy": '{"maxReceiveCount": 3}', "delaySeconds": 5}
    assert queue.document("redrivePolicy") == {"maxReceiveCount": 3}
    assert (queue.protect, queue.retain_on_delete, other.dependencies) == (False, False, frozenset({queue.urn}))
    assert other.inputs == {"name": "other"}
    assert recorded.all(QUEUE) == {"queue": queue, "other": other}
    assert recorded.one(QUEUE, "queue") is queue
    assert recorded.registered_outputs[store.urn] == {"key_id": recorded.arn(key.type, "key").partition("/")[2]}


@pytest.mark.parametrize(
    ("region", "partition", "dns_suffix", "logs"),
    [
        ("us-east-2", "aws", "amazonaws.com", "logs.us-east-2.amazonaws.com"),
        ("us-gov-east-1", "aws-us-gov", "amazonaws.com", "logs.us-gov-east-1.amazonaws.com"),
        ("cn-north-1", "aws-cn", "amazonaws.com.cn", "logs.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_exports_have_the_values_of_the_region(
    tmp_path: Path, region: str, partition: str, dns_suffix: str, logs: str
) -> None:
    recorded = run(tmp_path, region)

    assert recorded.exports == {
        "queue_url": f"https://sqs.{region}.{dns_suffix}/{ACCOUNT}/orders-queue",
        "queue_arn": f"arn:{partition}:sqs:{region}:{ACCOUNT}:orders-queue",
        "ran": "another/account",
        "endpoint": "none",
        "principal": "lambda.amazonaws.com",
        "regional_principal": logs,
        "account": ACCOUNT,
        "partition": dns_suffix,
        "region": region,
    }
    assert recorded.arn(QUEUE, "queue") == recorded.exports["queue_arn"]


def test_a_run_leaves_nothing_behind_and_ignores_this_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://vpce-1.example.com")
    before = dict(os.environ)

    assert run(tmp_path).exports["endpoint"] == "none"
    assert run(tmp_path, environment="local").exports["endpoint"] == "http://127.0.0.1:5000"

    assert dict(os.environ) == before
    assert pulumi.runtime.get_root_resource() is None
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


@pytest.mark.parametrize("stack", STACKS)
def test_the_project_runs_for_every_stack_without_its_bundle(stack: str) -> None:
    recorded = run_program(stack_config(stack), stack)

    assert recorded.setting("environment") == stack
    assert recorded.exports["function_name"] == f"orders-{stack}-processor"


def test_a_refusal_of_the_program_is_raised() -> None:
    with pytest.raises(SettingsError, match="batchSize"):
        run_program(example_config(batchSize="0"), "dev")


def test_a_secret_has_an_example_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml"):
        text = (Path(name)).read_text(encoding="utf-8")
        secrets = "  aws:token: {secure: AAAB}\n  orders:batchSize: {secure: AAAB}\n" if "dev" in name else ""
        (tmp_path / name).write_text(text + secrets, encoding="utf-8")
    monkeypatch.setattr("tools.testing.read_project", lambda: read_project(tmp_path))

    config = stack_config("dev")

    assert (config["aws:token"], config["orders:batchSize"], config["orders:environment"]) == ("", "10", "dev")


def test_an_example_configuration_is_complete_and_valid() -> None:
    config = example_config("shop", "eu-west-1", environment="staging")

    assert find_problems(Settings, "shop", config) == []
    assert own_settings("shop", config)["environment"] == "staging"
    assert config["aws:region"] == "eu-west-1"


def test_the_project_is_found_with_its_stacks() -> None:
    assert (PROJECT_NAME, STACKS) == ("orders", ("dev", "local", "prod", "staging"))
