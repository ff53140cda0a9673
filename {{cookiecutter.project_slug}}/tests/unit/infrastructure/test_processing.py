"""The function, its permissions and its event source mapping."""

from dataclasses import fields
from pathlib import Path

import pytest
from pydantic.alias_generators import to_camel

from infrastructure.processing import HANDLER
from processor.environment import Environment, variable_name
from tests.unit.conftest import Deploy, key_arn
from tools.configuration.stack_files import PROJECT_FOLDER
from tools.testing.recording import PROJECT_NAME, Deployment

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


def test_runtime_and_architecture_come_from_the_settings(customized: Deployment) -> None:
    function = customized.one("aws:lambda/function:Function", "function").inputs

    assert (function["runtime"], function["architectures"]) == ("python3.14", ["x86_64"])


def test_the_bundle_matches_the_runtime_and_the_architecture(deployed: Deployment, customized: Deployment) -> None:
    for deployment in (deployed, customized):
        function = deployment.one("aws:lambda/function:Function", "function").inputs
        target = f"{function['runtime']}-{function['architectures'][0]}"
        expected = "local" if deployment.setting("environment") == "local" else target
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


def test_the_function_is_traced(deployed: Deployment) -> None:
    assert deployed.one("aws:lambda/function:Function", "function").inputs["tracingConfig"] == {"mode": "Active"}


def test_an_asynchronous_invocation_that_fails_is_dead_lettered(deployed: Deployment) -> None:
    function = deployed.one("aws:lambda/function:Function", "function")

    assert function.inputs["deadLetterConfig"] == {"targetArn": deployed.exports["dlq_arn"]}


def test_the_function_logs_to_the_stacks_log_group(deployed: Deployment) -> None:
    function = deployed.one("aws:lambda/function:Function", "function")
    log_group = deployed.one("aws:cloudwatch/logGroup:LogGroup", "function-logs")

    assert log_group.inputs["name"] == f"/aws/lambda/{function.inputs['name']}"
    assert log_group.inputs["retentionInDays"] == float(deployed.setting("logRetentionDays"))


def test_the_function_depends_on_its_permissions_and_its_log_group(deployed: Deployment) -> None:
    function = deployed.one("aws:lambda/function:Function", "function")

    assert function.dependencies >= {
        deployed.one("aws:cloudwatch/logGroup:LogGroup", "function-logs").urn,
        deployed.one("aws:iam/rolePolicy:RolePolicy", "function-role-policy").urn,
    }


def test_only_lambda_can_assume_the_functions_role(deployed: Deployment) -> None:
    role = deployed.one("aws:iam/role:Role", "function-role")

    assert (
        deployed.one("aws:lambda/function:Function", "function").inputs["role"] == deployed.exports["lambda_role_arn"]
    )
    assert role.document("assumeRolePolicy")["Statement"] == [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ]


STATEMENTS = {
    "WriteLogs": (["logs:CreateLogStream", "logs:PutLogEvents"], "{log_group_arn}:*"),
    "ReceiveMessages": (["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"], "{queue_arn}"),
    "DeadLetterMessages": ("sqs:SendMessage", "{dlq_arn}"),
    "StorePayloads": ("s3:PutObject", "{bucket_arn}/messages/*"),
    "IndexMessages": (["dynamodb:PutItem", "dynamodb:UpdateItem"], "{table_arn}"),
    "Notify": ("sns:Publish", "{topic_arn}"),
    "UseTheKey": (["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"], "{key_arn}"),
    "WriteTraces": (["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*"),
}


def test_the_permissions_are_attached_to_the_functions_role(deployed: Deployment) -> None:
    assert deployed.one("aws:iam/rolePolicy:RolePolicy", "function-role-policy").inputs["role"] == "function-role-id"


def test_the_function_has_no_other_permissions(deployed: Deployment) -> None:
    policy = deployed.one("aws:iam/rolePolicy:RolePolicy", "function-role-policy").document("policy")

    assert {statement["Sid"] for statement in policy["Statement"]} == set(STATEMENTS)
    assert len(policy["Statement"]) == len(STATEMENTS)


@pytest.mark.parametrize("sid", STATEMENTS)
def test_each_permission_names_its_actions_and_its_resource(deployed: Deployment, sid: str) -> None:
    policy = deployed.one("aws:iam/rolePolicy:RolePolicy", "function-role-policy").document("policy")
    statement = next(each for each in policy["Statement"] if each["Sid"] == sid)
    actions, resource = STATEMENTS[sid]
    arns = deployed.exports | {
        "log_group_arn": deployed.arn("aws:cloudwatch/logGroup:LogGroup", "function-logs"),
        "key_arn": key_arn(deployed),
    }

    assert statement == {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource.format(**arns)}


def test_the_queue_triggers_the_function_with_partial_batch_responses(deployed: Deployment) -> None:
    mapping = deployed.one("aws:lambda/eventSourceMapping:EventSourceMapping", "function-event-source").inputs

    assert mapping["eventSourceArn"] == deployed.exports["queue_arn"]
    assert mapping["functionName"] == deployed.exports["function_arn"]
    assert mapping["batchSize"] == float(deployed.setting("batchSize"))
    assert mapping["maximumBatchingWindowInSeconds"] == float(deployed.setting("batchWindowSeconds"))
    assert mapping["functionResponseTypes"] == ["ReportBatchItemFailures"]


def test_the_maximum_concurrency_is_the_reserved_concurrency(customized: Deployment) -> None:
    mapping = customized.one("aws:lambda/eventSourceMapping:EventSourceMapping", "function-event-source")

    assert mapping.inputs["scalingConfig"] == {"maximumConcurrency": 25}


def test_without_reserved_concurrency_there_is_no_maximum_concurrency(deploy_example: Deploy) -> None:
    unreserved = deploy_example(lambdaReservedConcurrency="-1")
    mapping = unreserved.one("aws:lambda/eventSourceMapping:EventSourceMapping", "function-event-source")

    assert unreserved.one("aws:lambda/function:Function", "function").inputs["reservedConcurrentExecutions"] == -1
    assert "scalingConfig" not in mapping.inputs
