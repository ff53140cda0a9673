"""The whole program: its outputs, and rules for all of its resources."""

import itertools
import json
import re
from collections import Counter

import pulumi_aws as aws
import pytest

from tests.unit.conftest import Deploy, key_arn
from tools.project import PROJECT_FOLDER
from tools.settings import SettingsError
from tools.testing import PROJECT_NAME, Deployment, Resource, computed_outputs
from tools.validate.policies import read_policies

# The input with the physical name, if it is not "name".
NAME_KEYS = {"aws:s3/bucket:Bucket": "bucket", "aws:cloudwatch/dashboard:Dashboard": "dashboardName"}
# Resources whose name is one within another resource.
NAMED_WITHIN = {"aws:lambda/alias:Alias"}

# The class of each component, by its logical name.
COMPONENTS = {
    "pipeline": "Pipeline",
    "encryption": "Encryption",
    "storage": "Storage",
    "access-logs": "PrivateBucket",
    "payloads": "PrivateBucket",
    "messaging": "Messaging",
    "processing": "Processing",
    "alarms": "Alarms",
    "dashboard": "Dashboard",
}
# What a component registers as its outputs, if they are among the program's.
OUTPUTS = {
    "pipeline": "",
    "storage": "bucket_name bucket_arn table_name table_arn",
    "payloads": "bucket_name bucket_arn",
    "messaging": "queue_url queue_arn dlq_url dlq_arn topic_arn",
    "processing": "function_arn function_name lambda_role_arn",
    "alarms": "alarm_topic_arn",
    "dashboard": "",
}

# What production protects: Pulumi refuses to delete it.
DATA = {"access-logs", "payloads", "table", "key"}
DEPENDED_ON = {"queue", "dead-letter-queue", "topic", "alarm-topic", "function-logs", "function-role"}
# What production retains besides the data: without it, the data would be less secure.
PARTS = {
    *(
        f"{bucket}-{part}"
        for bucket in ("access-logs", "payloads")
        for part in ("encryption", "lifecycle", "ownership", "policy", "public-access", "versioning")
    ),
    "payloads-logging",
    "payloads-notification",
}


def resource_class(resource: Resource) -> type:
    """Return the class for a resource's type token."""
    _, path, class_name = resource.type.split(":")
    module = path.split("/", maxsplit=1)[0]
    return getattr(getattr(aws, "lambda_" if module == "lambda" else module), class_name)


def physical_names(deployment: Deployment) -> Counter[tuple[str, str]]:
    """Count the physical names of a deployment, each with its type."""
    resources = [each for each in deployment.resources if each.type not in NAMED_WITHIN]
    named = ((each, each.inputs.get(NAME_KEYS.get(each.type, "name"))) for each in resources)
    return Counter((each.type, name) for each, name in named if name)


def test_the_program_exports_these_outputs(deployed: Deployment) -> None:
    queue = deployed.one("aws:sqs/queue:Queue", "queue").inputs["name"]
    dead_letter_queue = deployed.one("aws:sqs/queue:Queue", "dead-letter-queue").inputs["name"]
    queue_url = f"https://sqs.{deployed.region}.{deployed.account.dns_suffix}/123456789012"

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
        "alarm_topic_arn": deployed.arn("aws:sns/topic:Topic", "alarm-topic"),
    }
    assert deployed.exports == contract


def test_every_output_belongs_to_a_resource(deployed: Deployment) -> None:
    computed = [
        computed_outputs(each.type, each.name, each.inputs, deployed.account).values() for each in deployed.resources
    ]
    known = {"name": {name for _, name in physical_names(deployed)}, "arn": {*itertools.chain(*computed)}}
    known["url"] = known["arn"]

    assert [name for name, value in deployed.exports.items() if value not in known[name.rpartition("_")[2]]] == []


def component(deployment: Deployment, name: str) -> Resource:
    """Return a component by its logical name."""
    return next(each for each in deployment.resources if each.is_component and each.name == name)


def test_the_components_have_these_types(example: Deployment) -> None:
    types = {each.name: each.type for each in example.resources if each.is_component}

    assert types == {name: f"pipeline:infrastructure:{class_name}" for name, class_name in COMPONENTS.items()}


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_component_registers_its_outputs(deployed: Deployment, name: str) -> None:
    registered = deployed.registered_outputs[component(deployed, name).urn]

    assert registered == {output: deployed.exports[output] for output in OUTPUTS[name].split()}


def test_the_key_is_an_output_of_its_component(deployed: Deployment) -> None:
    assert deployed.registered_outputs[component(deployed, "encryption").urn] == {"key_arn": key_arn(deployed)}


def test_the_access_log_bucket_is_an_output_of_its_component(deployed: Deployment) -> None:
    assert deployed.registered_outputs[component(deployed, "access-logs").urn] == {
        "bucket_name": deployed.one("aws:s3/bucket:Bucket", "access-logs").inputs["bucket"],
        "bucket_arn": deployed.arn("aws:s3/bucket:Bucket", "access-logs"),
    }


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
        "alarmActions alarmDescription comparisonOperator datapointsToAlarm dimensions evaluationPeriods metricName "
        "metricQueries name namespace okActions period statistic tags threshold treatMissingData"
    ),
    "aws:cloudwatch/logGroup:LogGroup": "deletionProtectionEnabled kmsKeyId name retentionInDays tags",
    "aws:iam/role:Role": "assumeRolePolicy name permissionsBoundary tags",
    "aws:kms/key:Key": "deletionWindowInDays description enableKeyRotation policy tags",
    "aws:lambda/eventSourceMapping:EventSourceMapping": (
        "batchSize eventSourceArn functionName functionResponseTypes maximumBatchingWindowInSeconds metricsConfig "
        "scalingConfig tags"
    ),
    "aws:lambda/function:Function": (
        "architectures code deadLetterConfig description environment handler kmsKeyArn loggingConfig memorySize name "
        "publish reservedConcurrentExecutions role runtime tags timeout tracingConfig"
    ),
    "aws:s3/bucket:Bucket": "bucket forceDestroy tags",
    "aws:sns/topic:Topic": "kmsMasterKeyId name signatureVersion tags",
    "aws:sqs/queue:Queue": (
        "kmsMasterKeyId maxMessageSize messageRetentionSeconds name redrivePolicy tags visibilityTimeoutSeconds"
    ),
}


@pytest.mark.parametrize("type_", INPUTS)
def test_no_unexpected_input_is_configured(deployed: Deployment, type_: str) -> None:
    configured = {key for resource in deployed.all(type_).values() for key in resource.inputs}

    assert configured <= set(INPUTS[type_].split())


@pytest.mark.parametrize("type_", INPUTS)
def test_every_input_can_be_configured(customized: Deployment, example: Deployment, type_: str) -> None:
    resources = [*customized.all(type_).values(), *example.all(type_).values()]

    assert {key for resource in resources for key in resource.inputs} == set(INPUTS[type_].split())


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


def in_aws(deployment: Deployment) -> list[Resource]:
    """Return the resources of a deployment that exist in AWS."""
    return [each for each in deployment.resources if not each.is_component]


def test_production_protects_data_and_what_the_pipeline_depends_on(deploy_example: Deploy) -> None:
    production = deploy_example(environment="prod", eventbridgeNotifications="true")

    assert {each.name for each in in_aws(production) if each.protect} == DATA | DEPENDED_ON


def test_production_retains_data_and_what_secures_it(deploy_example: Deploy) -> None:
    production = deploy_example(environment="prod", eventbridgeNotifications="true")

    assert {each.name for each in in_aws(production) if each.retain_on_delete} == DATA | PARTS


def test_ci_guards_every_type_that_production_protects_or_retains(deploy_example: Deploy) -> None:
    production = deploy_example(environment="prod", eventbridgeNotifications="true")
    kept = {each.type for each in in_aws(production) if each.protect or each.retain_on_delete}

    types = read_policies(PROJECT_FOLDER).data.types

    assert kept <= {*types}, "add it to policies.toml"
    assert {*types} <= {each.type for each in production.resources}, "the program has no such resource"
    assert len(types) == len({*types})


def test_other_environments_can_be_destroyed(customized: Deployment) -> None:
    assert not [each.name for each in in_aws(customized) if each.protect or each.retain_on_delete]


def principals(deployment: Deployment) -> set[str]:
    """Find the services that a policy of a resource lets in."""
    texts = [text for each in deployment.resources for text in each.inputs.values() if isinstance(text, str)]
    documents = [json.loads(text) for text in texts if text.startswith("{")]
    statements = [statement for document in documents for statement in document.get("Statement", [])]
    named = [statement["Principal"] for statement in statements if "Principal" in statement]
    return {principal["Service"] for principal in named if "Service" in principal}


def test_services_have_the_names_that_the_provider_knows(example: Deployment) -> None:
    assert principals(example) == {
        "cloudwatch.amazonaws.com",
        "events.amazonaws.com",
        "lambda.amazonaws.com",
        "logging.s3.amazonaws.com",
        f"logs.{example.region}.amazonaws.com",
    }


def test_in_china_only_some_services_have_another_domain(china: Deployment) -> None:
    assert principals(china) == {
        "cloudwatch.amazonaws.com",
        "events.amazonaws.com",
        "lambda.amazonaws.com",
        "logging.s3.amazonaws.com",
        "logs.cn-north-1.amazonaws.com.cn",
    }


@pytest.mark.parametrize(("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-east-1", "aws-us-gov")])
def test_every_arn_is_in_the_partition_of_the_region(deploy_example: Deploy, region: str, partition: str) -> None:
    elsewhere = deploy_example(region=region)
    texts = json.dumps([each.inputs for each in elsewhere.resources], default=str)

    assert set(re.findall(r"arn:([^:]*):", texts)) == {partition}


def test_a_bad_setting_stops_the_program(deploy_example: Deploy) -> None:
    with pytest.raises(SettingsError, match="lambdaMemoryMb"):
        deploy_example(lambdaMemoryMb="64")
