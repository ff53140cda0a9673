"""The whole program: its outputs, and rules for all of its resources."""

import itertools
from collections import Counter

import pulumi_aws as aws
import pytest

from tests.unit.conftest import Deploy
from tools.configuration.checks import SettingsError
from tools.testing.recording import PROJECT_NAME, Deployment, Resource, computed_outputs, example_account

# The input with the physical name, if it is not "name".
NAME_KEYS = {"aws:s3/bucket:Bucket": "bucket", "aws:cloudwatch/dashboard:Dashboard": "dashboardName"}
HOLDS_DATA = ("aws:s3/bucket:Bucket", "aws:dynamodb/table:Table", "aws:kms/key:Key")


def resource_class(resource: Resource) -> type:
    """Return the class for a resource's type token."""
    _, path, class_name = resource.type.split(":")
    module = path.split("/", maxsplit=1)[0]
    return getattr(getattr(aws, "lambda_" if module == "lambda" else module), class_name)


def physical_names(deployment: Deployment) -> Counter[tuple[str, str]]:
    """Count the physical names of a deployment, each with its type."""
    named = ((each, each.inputs.get(NAME_KEYS.get(each.type, "name"))) for each in deployment.resources)
    return Counter((each.type, name) for each, name in named if name)


def test_the_program_exports_these_outputs(deployed: Deployment) -> None:
    queue = deployed.one("aws:sqs/queue:Queue", "queue").inputs["name"]
    dead_letter_queue = deployed.one("aws:sqs/queue:Queue", "dead-letter-queue").inputs["name"]
    queue_url = f"https://sqs.{deployed.region}.amazonaws.com/123456789012"

    contract = {
        "bucket_name": deployed.one("aws:s3/bucket:Bucket", "payloads").inputs["bucket"],
        "bucket_arn": deployed.arn("aws:s3/bucket:Bucket", "payloads"),
        "table_name": deployed.one("aws:dynamodb/table:Table", "table").inputs["name"],
        "table_arn": deployed.arn("aws:dynamodb/table:Table", "table"),
        "topic_arn": deployed.arn("aws:sns/topic:Topic", "topic"),
        "queue_url": f"{queue_url}/{queue}",
        "queue_arn": deployed.arn("aws:sqs/queue:Queue", "queue"),
        "dlq_url": f"{queue_url}/{dead_letter_queue}",
        "dlq_arn": deployed.arn("aws:sqs/queue:Queue", "dead-letter-queue"),
        "function_arn": deployed.arn("aws:lambda/function:Function", "function"),
        "function_name": deployed.one("aws:lambda/function:Function", "function").inputs["name"],
        "lambda_role_arn": deployed.arn("aws:iam/role:Role", "function-role"),
    }
    assert {name: deployed.exports.get(name) for name in contract} == contract


def test_every_output_belongs_to_a_resource(deployed: Deployment) -> None:
    account = example_account(deployed.region)
    computed = [computed_outputs(each.type, each.name, each.inputs, account).values() for each in deployed.resources]
    known = {"name": {name for _, name in physical_names(deployed)}, "arn": {*itertools.chain(*computed)}}
    known["url"] = known["arn"]

    assert [name for name, value in deployed.exports.items() if value not in known[name.rpartition("_")[2]]] == []


def test_every_component_registers_its_outputs(example: Deployment) -> None:
    components = {resource.urn for resource in example.resources if resource.is_component}

    assert components
    assert components <= example.registered_outputs


def test_every_resource_belongs_to_the_pipeline(example: Deployment) -> None:
    components = {resource.urn for resource in example.resources if resource.is_component}

    assert [each.name for each in example.resources if each.parent not in components] == ["pipeline"]


def test_everything_is_tagged(deployed: Deployment) -> None:
    expected = {
        "Project": PROJECT_NAME,
        "Environment": deployed.setting("environment"),
        "EnvironmentSuffix": deployed.setting("environmentSuffix"),
        "ManagedBy": "pulumi",
    }
    taggable = [
        resource
        for resource in deployed.resources
        if not resource.is_component and hasattr(resource_class(resource), "tags")
    ]

    assert len(taggable) > 10
    assert [resource.name for resource in taggable if resource.inputs.get("tags") != expected] == []


# Every input that the program sets, by type, so that another one, such as a filter, is added on purpose.
INPUTS = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": (
        "alarmActions alarmDescription comparisonOperator dimensions evaluationPeriods metricName name namespace "
        "okActions period statistic tags threshold treatMissingData"
    ),
    "aws:kms/key:Key": "deletionWindowInDays description enableKeyRotation policy tags",
    "aws:lambda/eventSourceMapping:EventSourceMapping": (
        "batchSize eventSourceArn functionName functionResponseTypes maximumBatchingWindowInSeconds scalingConfig tags"
    ),
    "aws:lambda/function:Function": (
        "architectures code deadLetterConfig description environment handler kmsKeyArn memorySize name "
        "reservedConcurrentExecutions role runtime tags timeout tracingConfig"
    ),
    "aws:sns/topic:Topic": "kmsMasterKeyId name tags",
    "aws:sqs/queue:Queue": (
        "kmsMasterKeyId maxMessageSize messageRetentionSeconds name redrivePolicy tags visibilityTimeoutSeconds"
    ),
}


@pytest.mark.parametrize("type_", INPUTS)
def test_no_unexpected_input_is_configured(deployed: Deployment, type_: str) -> None:
    configured = {key for resource in deployed.all(type_).values() for key in resource.inputs}

    assert configured <= set(INPUTS[type_].split())


def test_no_two_resources_of_a_type_have_the_same_name(deployed: Deployment) -> None:
    names = physical_names(deployed)

    assert len(names) > 10
    assert set(names.values()) == {1}


def test_every_name_has_the_project_and_the_suffix(deployed: Deployment) -> None:
    prefix = f"{PROJECT_NAME}-{deployed.setting('environmentSuffix')}-"

    names = {name for _, name in physical_names(deployed)} - {deployed.setting("bucketName")}

    assert [name for name in names if prefix not in name] == []


def test_no_two_stacks_share_a_physical_name(stacks: dict[str, Deployment]) -> None:
    stacks_of_names = Counter(name for deployment in stacks.values() for name in physical_names(deployment))

    assert {name for name, count in stacks_of_names.items() if count > 1} == set()


@pytest.mark.parametrize("type_", HOLDS_DATA)
def test_production_protects_and_retains_data_resources(production: Deployment, type_: str) -> None:
    assert {(each.protect, each.retain_on_delete) for each in production.all(type_).values()} == {(True, True)}


@pytest.mark.parametrize("type_", HOLDS_DATA)
def test_other_environments_can_be_destroyed(example: Deployment, type_: str) -> None:
    assert {(each.protect, each.retain_on_delete) for each in example.all(type_).values()} == {(False, False)}


def test_a_bad_setting_stops_the_program(deploy_example: Deploy) -> None:
    with pytest.raises(SettingsError, match="lambdaMemoryMb"):
        deploy_example(lambdaMemoryMb="64")
