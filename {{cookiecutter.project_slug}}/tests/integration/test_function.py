"""The function, what it may do, and how messages reach it: what is deployed is what was promised."""

from typing import Any

import pytest

from infrastructure.processing import HANDLER
from infrastructure.settings import NO_RESERVATION
from processor.names import OBJECT_PREFIX
from tests.integration.deployed import Deployed, canonical, hold


@pytest.fixture(scope="module", name="mappings")
def fixture_mappings(deployed: Deployed) -> list[dict[str, Any]]:
    """The function's event source mappings."""
    arn = deployed.outputs["function_arn"]
    return deployed.client("lambda").list_event_source_mappings(FunctionName=arn)["EventSourceMappings"]


@pytest.fixture(scope="module", name="mapping")
def fixture_mapping(deployed: Deployed, mappings: list[dict[str, Any]]) -> dict[str, Any]:
    """What brings the queue's messages to the function; nothing if nothing does."""
    queue_arn = deployed.outputs["queue_arn"]
    return next((mapping for mapping in mappings if mapping["EventSourceArn"] == queue_arn), {})


@pytest.fixture(scope="module", name="role_name")
def fixture_role_name(deployed: Deployed) -> str:
    """Name of the function's role."""
    return deployed.outputs["lambda_role_arn"].rpartition("/")[2]


def hold_function(deployed: Deployed, promise: str, *, found: object, promised: object) -> None:
    """Compare something of the function."""
    hold(deployed.outputs["function_name"], promise, found=found, promised=promised)


def test_the_function_has_the_configured_runtime(deployed: Deployed) -> None:
    promised = deployed.promised("lambda_runtime")

    hold_function(deployed, "runtime", found=deployed.function["Runtime"], promised=promised)


def test_the_function_has_the_configured_architecture(deployed: Deployed) -> None:
    promised = [deployed.promised("lambda_architecture")]

    hold_function(deployed, "architecture", found=deployed.function["Architectures"], promised=promised)


def test_the_function_has_the_configured_memory(deployed: Deployed) -> None:
    promised = deployed.promised("lambda_memory_mb")

    hold_function(deployed, "memory, MB", found=deployed.function["MemorySize"], promised=promised)


def test_the_function_has_the_configured_timeout(deployed: Deployed) -> None:
    promised = deployed.promised("lambda_timeout_seconds")

    hold_function(deployed, "timeout, seconds", found=deployed.function["Timeout"], promised=promised)


def test_the_function_is_the_processor(deployed: Deployed) -> None:
    hold_function(deployed, "handler", found=deployed.function["Handler"], promised=HANDLER)


def test_the_function_knows_its_stack(deployed: Deployed) -> None:
    promised = {
        "BUCKET_NAME": deployed.outputs["bucket_name"],
        "TABLE_NAME": deployed.outputs["table_name"],
        "TOPIC_ARN": deployed.outputs["topic_arn"],
        "QUEUE_URL": deployed.outputs["queue_url"],
        "DLQ_URL": deployed.outputs["dlq_url"],
        "ENVIRONMENT": deployed.promised("environment"),
    }

    found = deployed.function.get("Environment", {}).get("Variables")
    hold_function(deployed, "environment", found=found, promised=promised)


def test_the_functions_environment_is_encrypted_with_the_stacks_key(deployed: Deployed) -> None:
    found = deployed.function.get("KMSKeyArn")

    hold_function(deployed, "encryption", found=found, promised=deployed.key_arn)


def test_the_function_is_traced(deployed: Deployed) -> None:
    hold_function(deployed, "tracing", found=deployed.function["TracingConfig"]["Mode"], promised="Active")


def test_failed_asynchronous_events_are_dead_lettered(deployed: Deployed) -> None:
    found = deployed.function.get("DeadLetterConfig", {}).get("TargetArn")

    hold_function(deployed, "dead letters", found=found, promised=deployed.outputs["dlq_arn"])


def test_the_function_has_the_configured_executions(deployed: Deployed) -> None:
    reserved = deployed.promised("lambda_reserved_concurrency")
    client = deployed.client("lambda")

    answer = client.get_function_concurrency(FunctionName=deployed.outputs["function_name"])
    found = answer.get("ReservedConcurrentExecutions", NO_RESERVATION)
    hold_function(deployed, "reserved executions", found=found, promised=reserved)


def test_the_function_acts_as_its_role(deployed: Deployed) -> None:
    promised = deployed.outputs["lambda_role_arn"]

    hold_function(deployed, "role", found=deployed.function["Role"], promised=promised)


def test_only_lambda_can_take_the_role(deployed: Deployed, role_name: str) -> None:
    trust = deployed.client("iam").get_role(RoleName=role_name)["Role"]["AssumeRolePolicyDocument"]

    promised = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    hold(role_name, "trust", found=list(map(canonical, trust["Statement"])), promised=[canonical(promised)])


def test_the_role_may_do_what_the_function_does_and_nothing_more(deployed: Deployed, role_name: str) -> None:
    outputs = deployed.outputs
    promised = {
        **dict.fromkeys(
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            deployed.account.arn("logs", f"log-group:{deployed.names.log_group}:*"),
        ),
        **dict.fromkeys(
            ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
            outputs["queue_arn"],
        ),
        "sqs:SendMessage": outputs["dlq_arn"],
        "s3:PutObject": f"{outputs['bucket_arn']}/{OBJECT_PREFIX}*",
        **dict.fromkeys(["dynamodb:PutItem", "dynamodb:UpdateItem"], outputs["table_arn"]),
        "sns:Publish": outputs["topic_arn"],
        **dict.fromkeys(["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"], deployed.key_arn),
        **dict.fromkeys(["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*"),
    }
    iam = deployed.client("iam")
    found: set[tuple[str, str, str]] = set()
    for name in iam.list_role_policies(RoleName=role_name)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role_name, PolicyName=name)["PolicyDocument"]
        for statement in map(canonical, document["Statement"]):
            effect = statement["Effect"] + (" under a condition" if statement["Condition"] else "")
            for action in statement["Action"]:
                found |= {(effect, action, resource) for resource in statement["Resource"]}

    expected = {("Allow", action, resource) for action, resource in promised.items()}
    hold(role_name, "permissions that are missing", found=sorted(expected - found), promised=[])
    hold(role_name, "permissions that are too many", found=sorted(found - expected), promised=[])


def test_the_role_has_no_other_policies(deployed: Deployed, role_name: str) -> None:
    attached = deployed.client("iam").list_attached_role_policies(RoleName=role_name)["AttachedPolicies"]

    hold(role_name, "attached policies", found=attached, promised=[])


def test_the_queues_messages_reach_the_function(deployed: Deployed, mapping: dict[str, Any]) -> None:
    found = mapping.get("FunctionArn")

    hold_function(deployed, "event source", found=found, promised=deployed.outputs["function_arn"])


def test_nothing_else_reaches_the_function(deployed: Deployed, mappings: list[dict[str, Any]]) -> None:
    others = [each["EventSourceArn"] for each in mappings if each["EventSourceArn"] != deployed.outputs["queue_arn"]]

    hold_function(deployed, "other event sources", found=others, promised=[])


def test_the_event_source_is_on_unless_a_poller_takes_its_place(deployed: Deployed, mapping: dict[str, Any]) -> None:
    promised = "Disabled" if deployed.settings.is_local else "Enabled"

    hold_function(deployed, "state of the event source", found=mapping.get("State"), promised=promised)


def test_messages_come_in_the_configured_batches(deployed: Deployed, mapping: dict[str, Any]) -> None:
    promised = (deployed.promised("batch_size"), deployed.promised("batch_window_seconds"))

    found = (mapping.get("BatchSize"), mapping.get("MaximumBatchingWindowInSeconds", 0))
    hold_function(deployed, "batch size and window, seconds", found=found, promised=promised)


def test_a_message_that_fails_returns_without_the_rest_of_its_batch(
    deployed: Deployed, mapping: dict[str, Any]
) -> None:
    found = mapping.get("FunctionResponseTypes")

    hold_function(deployed, "partial responses", found=found, promised=["ReportBatchItemFailures"])


def test_every_message_reaches_the_function(deployed: Deployed, mapping: dict[str, Any]) -> None:
    found = mapping.get("FilterCriteria", {}).get("Filters", [])

    hold_function(deployed, "filters", found=found, promised=[])


def test_batches_run_as_often_at_once_as_configured(deployed: Deployed, mapping: dict[str, Any]) -> None:
    reserved = deployed.promised("lambda_reserved_concurrency")

    found = mapping.get("ScalingConfig", {}).get("MaximumConcurrency", NO_RESERVATION)
    hold_function(deployed, "batches at once", found=found, promised=reserved)


@pytest.fixture(scope="module", name="log_group")
def fixture_log_group(deployed: Deployed) -> dict[str, Any]:
    """The function's log group."""
    name = deployed.names.log_group
    groups = deployed.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return next((group for group in groups if group["logGroupName"] == name), {})


def test_logs_are_kept_as_long_as_configured(deployed: Deployed, log_group: dict[str, Any]) -> None:
    promised = deployed.promised("log_retention_days")

    hold(deployed.names.log_group, "days", found=log_group.get("retentionInDays"), promised=promised)


def test_logs_are_encrypted_with_the_stacks_key(deployed: Deployed, log_group: dict[str, Any]) -> None:
    found = log_group.get("kmsKeyId")

    hold(deployed.names.log_group, "encryption", found=found, promised=deployed.key_arn)
