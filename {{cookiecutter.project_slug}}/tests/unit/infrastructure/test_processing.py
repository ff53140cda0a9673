"""The function, its permissions and its event source mapping."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic.alias_generators import to_camel

from infrastructure.processing import HANDLER
from processor.environment import Environment, variable_name
from tests.unit.conftest import Deploy, key_arn
from tools.project import PROJECT_FOLDER
from tools.testing import PROJECT_NAME, Deployment

NAMES = [field.name for field in fields(Environment)]


def test_the_function_is_configured(deployed: Deployment) -> None:
    function = deployed.one("aws:lambda/function:Function", "function").inputs

    assert function["handler"] == HANDLER
    assert function["name"] == f"{PROJECT_NAME}-{deployed.setting('environmentSuffix')}-processor"
    assert function["runtime"] == deployed.setting("lambdaRuntime")
    assert function["architectures"] == [deployed.setting("lambdaArchitecture")]
    assert function["memorySize"] == float(deployed.setting("lambdaMemoryMb"))
    assert function["timeout"] == float(deployed.setting("lambdaTimeoutSeconds"))
    assert function["reservedConcurrentExecutions"] == float(deployed.setting("lambdaReservedConcurrency"))


def test_by_default_no_concurrency_is_reserved(example: Deployment) -> None:
    # The quota of a new account leaves none to reserve.
    assert example.one("aws:lambda/function:Function", "function").inputs["reservedConcurrentExecutions"] == -1


def test_the_function_says_what_it_does(deployed: Deployment) -> None:
    function = deployed.one("aws:lambda/function:Function", "function").inputs

    assert function["description"] == "Stores each message of the queue, indexes it, and sends a notification"


def test_the_bundle_matches_the_runtime_and_the_architecture(deployed: Deployment) -> None:
    function = deployed.one("aws:lambda/function:Function", "function").inputs
    target = f"{function['runtime']}-{function['architectures'][0]}"

    expected = "local" if deployed.setting("environment") == "local" else target
    assert Path(function["code"].path).name == f"processor-{expected}.zip"


def test_the_handler_exists() -> None:
    module, _, name = HANDLER.rpartition(".")
    source = (PROJECT_FOLDER / module.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8")

    assert f"def {name}(" in source


def test_each_variable_is_the_output_or_the_setting_of_the_same_name(deployed: Deployment) -> None:
    function = deployed.one("aws:lambda/function:Function", "function")

    assert function.inputs["environment"]["variables"] == {
        variable_name(name): deployed.exports[name] if name in deployed.exports else deployed.setting(to_camel(name))
        for name in NAMES
    }


def test_the_function_knows_how_often_a_message_is_delivered_and_how_long_it_is_kept(customized: Deployment) -> None:
    variables = customized.one("aws:lambda/function:Function", "function").inputs["environment"]["variables"]

    assert variables["MAX_RECEIVE_COUNT"] == "7"
    assert variables["DATA_RETENTION_DAYS"] == "90"


def test_the_function_is_traced(deployed: Deployment) -> None:
    assert deployed.one("aws:lambda/function:Function", "function").inputs["tracingConfig"] == {"mode": "Active"}


def test_an_asynchronous_invocation_that_fails_is_dead_lettered(deployed: Deployment) -> None:
    function = deployed.one("aws:lambda/function:Function", "function")

    assert function.inputs["deadLetterConfig"] == {"targetArn": deployed.exports["dlq_arn"]}


def test_the_function_logs_to_the_stacks_log_group_as_json(deployed: Deployment) -> None:
    function = deployed.one("aws:lambda/function:Function", "function")
    log_group = deployed.one("aws:cloudwatch/logGroup:LogGroup", "function-logs")

    assert log_group.inputs["name"] == f"/aws/lambda/{function.inputs['name']}"
    assert function.inputs["loggingConfig"] == {
        "logFormat": "JSON",
        "logGroup": log_group.inputs["name"],
        "applicationLogLevel": "INFO",
        "systemLogLevel": "INFO",
    }


def test_logs_expire_and_can_be_deleted_outside_production_only(deployed: Deployment) -> None:
    log_group = deployed.one("aws:cloudwatch/logGroup:LogGroup", "function-logs").inputs

    assert log_group["retentionInDays"] == int(deployed.setting("logRetentionDays"))
    assert log_group["deletionProtectionEnabled"] is (deployed.setting("environment") == "prod")


def test_the_function_depends_on_its_permissions_and_its_log_group(deployed: Deployment) -> None:
    function = deployed.one("aws:lambda/function:Function", "function")

    assert function.dependencies >= {
        deployed.one("aws:cloudwatch/logGroup:LogGroup", "function-logs").urn,
        deployed.one("aws:iam/rolePolicy:RolePolicy", "function-role-policy").urn,
    }


def test_only_lambda_can_assume_the_functions_role(deployed: Deployment) -> None:
    role = deployed.one("aws:iam/role:Role", "function-role")
    function = deployed.one("aws:lambda/function:Function", "function")

    assert role.inputs["name"] == function.inputs["name"]
    assert function.inputs["role"] == deployed.exports["lambda_role_arn"]
    assert role.document("assumeRolePolicy")["Statement"] == [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ]


def test_the_role_has_the_configured_permissions_boundary_or_none(deployed: Deployment) -> None:
    role = deployed.one("aws:iam/role:Role", "function-role")

    assert role.inputs.get("permissionsBoundary", "") == deployed.setting("permissionsBoundaryArn")


STATEMENTS = {
    "WriteLogs": (["logs:CreateLogStream", "logs:PutLogEvents"], "{log_group_arn}:*"),
    "ReceiveMessages": (
        ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
        "{queue_arn}",
    ),
    "DeadLetterMessages": ("sqs:SendMessage", "{dlq_arn}"),
    "StorePayloads": ("s3:PutObject", "{bucket_arn}/messages/*"),
    "IndexMessages": (["dynamodb:PutItem", "dynamodb:UpdateItem"], "{table_arn}"),
    "Notify": ("sns:Publish", "{topic_arn}"),
    "UseTheKey": (["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"], "{key_arn}"),
    "WriteTraces": (["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*"),
}


def permissions(deployment: Deployment) -> list[dict[str, Any]]:
    """Return the statements of the policy of the function's role."""
    return deployment.one("aws:iam/rolePolicy:RolePolicy", "function-role-policy").document("policy")["Statement"]


def test_the_permissions_are_attached_to_the_functions_role(deployed: Deployment) -> None:
    policy = deployed.one("aws:iam/rolePolicy:RolePolicy", "function-role-policy").inputs

    assert policy["role"] == "function-role-id"
    assert policy["name"] == deployed.one("aws:iam/role:Role", "function-role").inputs["name"]


def test_the_function_has_no_other_permissions(deployed: Deployment) -> None:
    assert [statement["Sid"] for statement in permissions(deployed)] == list(STATEMENTS)


@pytest.mark.parametrize("sid", STATEMENTS)
def test_each_permission_names_its_actions_and_its_resource(deployed: Deployment, sid: str) -> None:
    statement = next(each for each in permissions(deployed) if each["Sid"] == sid)
    actions, resource = STATEMENTS[sid]
    arns = deployed.exports | {
        "log_group_arn": deployed.arn("aws:cloudwatch/logGroup:LogGroup", "function-logs"),
        "key_arn": key_arn(deployed),
    }

    without_condition = {key: value for key, value in statement.items() if key != "Condition"}
    assert without_condition == {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource.format(**arns)}


@pytest.mark.parametrize("region", ["us-east-1", "us-gov-east-1", "cn-north-1"])
def test_the_function_uses_the_key_through_the_services_only(deploy_example: Deploy, region: str) -> None:
    example = deploy_example(region=region)
    conditions = {each["Sid"]: each["Condition"] for each in permissions(example) if "Condition" in each}

    services = ("dynamodb", "lambda", "s3", "sns", "sqs")
    hosts = [f"{service}.{region}.{example.account.dns_suffix}" for service in services]
    assert conditions == {"UseTheKey": {"StringEquals": {"kms:ViaService": hosts}}}


def test_each_deployment_publishes_a_version_and_the_alias_points_to_it(deployed: Deployment) -> None:
    function = deployed.one("aws:lambda/function:Function", "function")
    alias = deployed.one("aws:lambda/alias:Alias", "function-live")

    assert function.inputs["publish"] is True
    assert alias.inputs == {
        "name": "live",
        "description": "The version that processes messages",
        "functionName": function.inputs["name"],
        "functionVersion": "1",
    }


def test_the_queue_triggers_the_alias_and_never_a_function_that_is_half_updated(deployed: Deployment) -> None:
    mapping = deployed.one("aws:lambda/eventSourceMapping:EventSourceMapping", "function-event-source").inputs

    assert mapping["eventSourceArn"] == deployed.exports["queue_arn"]
    assert mapping["functionName"] == f"{deployed.exports['function_arn']}:live"


def test_batches_are_as_configured_and_their_failures_are_reported_one_by_one(deployed: Deployment) -> None:
    mapping = deployed.one("aws:lambda/eventSourceMapping:EventSourceMapping", "function-event-source").inputs

    assert mapping["batchSize"] == float(deployed.setting("batchSize"))
    assert mapping["maximumBatchingWindowInSeconds"] == float(deployed.setting("batchWindowSeconds"))
    assert mapping["functionResponseTypes"] == ["ReportBatchItemFailures"]


def test_the_maximum_concurrency_is_set_with_and_without_a_reservation(deployed: Deployment) -> None:
    mapping = deployed.one("aws:lambda/eventSourceMapping:EventSourceMapping", "function-event-source")

    assert mapping.inputs["scalingConfig"] == {"maximumConcurrency": int(deployed.setting("maximumConcurrency"))}


def test_the_events_of_the_mapping_are_counted_if_configured(deployed: Deployment) -> None:
    mapping = deployed.one("aws:lambda/eventSourceMapping:EventSourceMapping", "function-event-source")

    counted = deployed.setting("eventSourceMetrics") == "true"
    assert mapping.inputs.get("metricsConfig") == ({"metrics": ["EventCount"]} if counted else None)
