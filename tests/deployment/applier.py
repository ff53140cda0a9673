"""Deploys a recorded Pulumi program to an emulator with boto3, instead of the Pulumi CLI and its AWS provider.

Runs in the virtual environment of a rendered project.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3

from tools.testing import RecordedProgram, Resource  # of the rendered project

Inputs = dict[str, Any]
# Creates or updates a resource, and returns its outputs. Without the output `id`, the name is the ID.
Apply = Callable[["Clients", Inputs], Inputs | None]

KEY = "aws:kms/key:Key"
CREATORS: dict[str, Apply] = {}
UPDATERS: dict[str, Apply] = {}


class CannotApplyError(Exception):
    """No registered function creates or updates this type of resource."""


class Clients(dict[str, Any]):
    """boto3 clients, each created on first use.

    Args:
        region: The stack's region.
    """

    def __init__(self, region: str) -> None:
        super().__init__()
        self._session: Any = boto3.Session("testing", "testing", region_name=region)

    def __missing__(self, service: str) -> Any:
        return self.setdefault(service, self._session.client(service))


class Applier:
    """Creates a program's resources, or updates those that an earlier deployment created.

    Args:
        recorded: The recorded program.
        bundles: The folder of the function's bundle.
        before: State of the earlier deployment: inputs and outputs of each resource, by type and logical name.

    Attributes:
        aws: boto3 clients for the emulator.
        state: State of this deployment, in the format of ``before``.
    """

    def __init__(self, recorded: RecordedProgram, bundles: Path, before: Mapping[str, Inputs] | None = None) -> None:
        self.aws = Clients(recorded.region)
        self.state: dict[str, Inputs] = {}
        self._before = before or {}
        self._recorded = recorded
        self._bundles = bundles
        self._ids: dict[str, str] = {}
        # Maps values from Pulumi's mocks to the emulator's values.
        self._by_mock_value = {f"https://sqs.{recorded.region}.amazonaws.com": self.aws["sqs"].meta.endpoint_url}

    def run(self, resources: list[Resource] | None = None) -> Inputs:
        """Create new resources, and update changed resources.

        Args:
            resources: The resources to apply; by default the program's.

        Returns:
            The stack's outputs.

        Raises:
            CannotApplyError: If resources of this type cannot be created or updated.
        """
        for resource in self._recorded.resources if resources is None else resources:
            if not resource.is_component:
                self._apply(resource)
        return self._real(self._recorded.exports)

    def _apply(self, resource: Resource) -> None:
        key = f"{resource.type} {resource.name}"
        inputs = dict(resource.inputs)
        if "functionVersion" in inputs:
            inputs["functionVersion"] = next(
                each["outputs"]["version"] for each in self.state.values() if "version" in each["outputs"]
            )
        comparable = json.loads(json.dumps(inputs, default=lambda code: hashlib.sha256(self._real(code)).hexdigest()))
        earlier = self._before.get(key, {"inputs": None, "outputs": {}})
        outputs: Inputs = earlier["outputs"]
        if earlier["inputs"] != comparable:
            known = UPDATERS if key in self._before else CREATORS
            if resource.type not in known:
                raise CannotApplyError(key)
            outputs = outputs | (known[resource.type](self.aws, self._real(inputs)) or {})
        self.state[key] = {"inputs": comparable, "outputs": outputs}
        self._ids[f"{resource.name}-id"] = (
            outputs.get("id") or inputs.get("bucket") or inputs.get("name") or resource.name
        )
        if resource.type == KEY and "id" in outputs:
            self._by_mock_value[self._recorded.arn(KEY, resource.name).rpartition("/")[2]] = outputs["id"]

    def _real(self, value: Any) -> Any:
        """Convert recorded values for boto3: the mocks' IDs and URLs, integral floats, and the bundle's archive."""
        if isinstance(value, dict):
            return {key: self._real(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._real(each) for each in value]
        if isinstance(value, str):
            value = self._ids.get(value, value)
            for made_up, real in self._by_mock_value.items():
                value = value.replace(made_up, real)
            return value
        if isinstance(value, float):
            return int(value) if value.is_integer() else value
        return (self._bundles / Path(value.path).name).read_bytes() if hasattr(value, "path") else value


def creates(type_: str) -> Callable[[Apply], Apply]:
    """Register the decorated function to create resources of type ``type_``."""

    def register(create: Apply) -> Apply:
        CREATORS[type_] = create
        return create

    return register


def updates(type_: str) -> Callable[[Apply], Apply]:

    def register(update: Apply) -> Apply:
        UPDATERS[type_] = update
        return update

    return register


def listed(tags: Inputs | None) -> list[Inputs]:
    return [{"Key": key, "Value": value} for key, value in (tags or {}).items()]


def pascal(value: Any, **renamed: str) -> Any:
    """Convert keys at every level to PascalCase, or to their names in ``renamed``."""
    if isinstance(value, dict):
        return {renamed.get(key, key[0].upper() + key[1:]): pascal(each, **renamed) for key, each in value.items()}
    return [pascal(each, **renamed) for each in value] if isinstance(value, list) else value


@creates("aws:kms/key:Key")
def create_key(aws: Clients, inputs: Inputs) -> Inputs:
    key = aws["kms"].create_key(Description=inputs["description"], Policy=inputs["policy"])["KeyMetadata"]
    if inputs["enableKeyRotation"]:
        aws["kms"].enable_key_rotation(KeyId=key["KeyId"])
    return {"id": key["KeyId"]}


@creates("aws:kms/alias:Alias")
def create_alias(aws: Clients, inputs: Inputs) -> None:
    aws["kms"].create_alias(AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"])


@creates("aws:s3/bucket:Bucket")
def create_bucket(aws: Clients, inputs: Inputs) -> None:
    # Like the provider, set the tags in the same call.
    configuration: Inputs = {"Tags": listed(inputs["tags"])}
    if aws["s3"].meta.region_name != "us-east-1":
        configuration["LocationConstraint"] = aws["s3"].meta.region_name
    aws["s3"].create_bucket(Bucket=inputs["bucket"], CreateBucketConfiguration=configuration)


@creates("aws:s3/bucketVersioning:BucketVersioning")
def create_versioning(aws: Clients, inputs: Inputs) -> None:
    configuration = pascal(inputs["versioningConfiguration"])
    aws["s3"].put_bucket_versioning(Bucket=inputs["bucket"], VersioningConfiguration=configuration)


@creates("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
def create_bucket_encryption(aws: Clients, inputs: Inputs) -> None:
    (rule,) = inputs["rules"]
    default = pascal(
        rule["applyServerSideEncryptionByDefault"], sseAlgorithm="SSEAlgorithm", kmsMasterKeyId="KMSMasterKeyID"
    )
    given = {
        "ApplyServerSideEncryptionByDefault": default,
        "BucketKeyEnabled": rule["bucketKeyEnabled"],
        "BlockedEncryptionTypes": {"EncryptionType": rule["blockedEncryptionTypes"]},
    }
    aws["s3"].put_bucket_encryption(Bucket=inputs["bucket"], ServerSideEncryptionConfiguration={"Rules": [given]})


@creates("aws:s3/bucketOwnershipControls:BucketOwnershipControls")
def create_ownership(aws: Clients, inputs: Inputs) -> None:
    controls = {"Rules": [pascal(inputs["rule"])]}
    aws["s3"].put_bucket_ownership_controls(Bucket=inputs["bucket"], OwnershipControls=controls)


@creates("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
def create_public_access_block(aws: Clients, inputs: Inputs) -> None:
    block = pascal({key: value for key, value in inputs.items() if key != "bucket"})
    aws["s3"].put_public_access_block(Bucket=inputs["bucket"], PublicAccessBlockConfiguration=block)


@creates("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
def create_lifecycle(aws: Clients, inputs: Inputs) -> None:
    configuration = {"Rules": pascal(inputs["rules"], id="ID")}
    aws["s3"].put_bucket_lifecycle_configuration(Bucket=inputs["bucket"], LifecycleConfiguration=configuration)


@creates("aws:s3/bucketPolicy:BucketPolicy")
def create_bucket_policy(aws: Clients, inputs: Inputs) -> None:
    aws["s3"].put_bucket_policy(Bucket=inputs["bucket"], Policy=inputs["policy"])


@creates("aws:s3/bucketLogging:BucketLogging")
def create_logging(aws: Clients, inputs: Inputs) -> None:
    enabled = {"TargetBucket": inputs["targetBucket"], "TargetPrefix": inputs["targetPrefix"]}
    aws["s3"].put_bucket_logging(Bucket=inputs["bucket"], BucketLoggingStatus={"LoggingEnabled": enabled})


@creates("aws:dynamodb/table:Table")
def create_table(aws: Clients, inputs: Inputs) -> None:
    dynamodb, table = aws["dynamodb"], {"TableName": inputs["name"]}
    indexes = [
        {
            "IndexName": index["name"],
            "KeySchema": pascal(index["keySchemas"]),
            "Projection": pascal({key: index[key] for key in ("projectionType", "nonKeyAttributes") if key in index}),
        }
        for index in inputs["globalSecondaryIndexes"]
    ]
    dynamodb.create_table(
        **table,
        KeySchema=[{"AttributeName": inputs["hashKey"], "KeyType": "HASH"}],
        GlobalSecondaryIndexes=indexes,
        AttributeDefinitions=[
            {"AttributeName": each["name"], "AttributeType": each["type"]} for each in inputs["attributes"]
        ],
        BillingMode="PAY_PER_REQUEST",
        DeletionProtectionEnabled=inputs["deletionProtectionEnabled"],
        SSESpecification={
            "Enabled": True,
            "SSEType": "KMS",
            "KMSMasterKeyId": inputs["serverSideEncryption"]["kmsKeyArn"],
        },
        Tags=listed(inputs["tags"]),
    )
    if inputs["billingMode"] == "PROVISIONED":
        throughput = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
        dynamodb.update_table(**table, BillingMode="PROVISIONED", ProvisionedThroughput=throughput)
    recovery = {"PointInTimeRecoveryEnabled": inputs["pointInTimeRecovery"]["enabled"]}
    dynamodb.update_continuous_backups(**table, PointInTimeRecoverySpecification=recovery)
    dynamodb.update_time_to_live(**table, TimeToLiveSpecification=pascal(inputs["ttl"]))


@creates("aws:sqs/queue:Queue")
def create_queue(aws: Clients, inputs: Inputs) -> Inputs:
    names = {
        "kmsMasterKeyId": "KmsMasterKeyId",
        "maxMessageSize": "MaximumMessageSize",
        "messageRetentionSeconds": "MessageRetentionPeriod",
        "policy": "Policy",
        "redrivePolicy": "RedrivePolicy",
        "visibilityTimeoutSeconds": "VisibilityTimeout",
    }
    attributes = {names[key]: str(value) for key, value in inputs.items() if key in names}
    queue = aws["sqs"].create_queue(QueueName=inputs["name"], Attributes=attributes, tags=inputs["tags"])
    return {"id": queue["QueueUrl"]}


@creates("aws:sns/topic:Topic")
def create_topic(aws: Clients, inputs: Inputs) -> Inputs:
    given = ("kmsMasterKeyId", "signatureVersion")
    attributes = {
        key: str(value) for key, value in pascal({key: inputs[key] for key in given if key in inputs}).items()
    }
    topic = aws["sns"].create_topic(Name=inputs["name"], Attributes=attributes, Tags=listed(inputs["tags"]))
    return {"id": topic["TopicArn"]}


@creates("aws:sns/topicPolicy:TopicPolicy")
def create_topic_policy(aws: Clients, inputs: Inputs) -> None:
    policy = {"AttributeName": "Policy", "AttributeValue": inputs["policy"]}
    aws["sns"].set_topic_attributes(TopicArn=inputs["arn"], **policy)


@creates("aws:sns/topicSubscription:TopicSubscription")
def create_subscription(aws: Clients, inputs: Inputs) -> None:
    aws["sns"].subscribe(TopicArn=inputs["topic"], Protocol=inputs["protocol"], Endpoint=inputs["endpoint"])


@creates("aws:cloudwatch/logGroup:LogGroup")
def create_log_group(aws: Clients, inputs: Inputs) -> None:
    logs, group = aws["logs"], {"logGroupName": inputs["name"]}
    with contextlib.suppress(logs.exceptions.ResourceNotFoundException):
        # A late invocation of an earlier deployment's function may have created the log group after the reset.
        logs.delete_log_group(**group)
    key = {"kmsKeyId": inputs["kmsKeyId"]} if "kmsKeyId" in inputs else {}
    logs.create_log_group(**group, **key, tags=inputs["tags"])
    logs.put_retention_policy(**group, retentionInDays=inputs["retentionInDays"])


@creates("aws:iam/role:Role")
def create_role(aws: Clients, inputs: Inputs) -> None:
    boundary = {"PermissionsBoundary": inputs["permissionsBoundary"]} if inputs.get("permissionsBoundary") else {}
    aws["iam"].create_role(
        RoleName=inputs["name"],
        AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
        Tags=listed(inputs["tags"]),
        **boundary,
    )


@creates("aws:iam/rolePolicy:RolePolicy")
def create_role_policy(aws: Clients, inputs: Inputs) -> None:
    policy = {"PolicyName": inputs["name"], "PolicyDocument": inputs["policy"]}
    aws["iam"].put_role_policy(RoleName=inputs["role"], **policy)


@creates("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
def create_role_policy_attachment(aws: Clients, inputs: Inputs) -> None:
    aws["iam"].attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])


def function_arguments(inputs: Inputs) -> Inputs:
    """Return the arguments that CreateFunction and UpdateFunctionConfiguration have in common."""
    same = (
        *("description", "handler", "role", "runtime", "timeout", "memorySize", "kmsKeyArn", "environment"),
        *("deadLetterConfig", "loggingConfig", "tracingConfig"),
    )
    arguments = pascal({key: inputs[key] for key in same if key in inputs}, kmsKeyArn="KMSKeyArn")
    # Environment variables keep their names.
    return arguments | {
        "FunctionName": inputs["name"],
        "Environment": {"Variables": inputs["environment"]["variables"]},
    }


@creates("aws:lambda/function:Function")
def create_function(aws: Clients, inputs: Inputs) -> Inputs:
    function = aws["lambda"].create_function(
        Code={"ZipFile": inputs["code"]},
        Architectures=inputs["architectures"],
        Publish=True,
        Tags=inputs["tags"],
        **function_arguments(inputs),
    )
    return {"version": function["Version"]}


@updates("aws:lambda/function:Function")
def update_function(aws: Clients, inputs: Inputs) -> Inputs:
    client, name = aws["lambda"], {"FunctionName": inputs["name"]}
    client.update_function_configuration(**function_arguments(inputs))
    client.get_waiter("function_updated_v2").wait(**name, WaiterConfig={"Delay": 1})
    return {"version": client.update_function_code(**name, ZipFile=inputs["code"], Publish=True)["Version"]}


@creates("aws:lambda/alias:Alias")
def create_function_alias(aws: Clients, inputs: Inputs) -> None:
    aws["lambda"].create_alias(**pascal(inputs))


@updates("aws:lambda/alias:Alias")
def update_function_alias(aws: Clients, inputs: Inputs) -> None:
    aws["lambda"].update_alias(**pascal(inputs))


@creates("aws:lambda/eventSourceMapping:EventSourceMapping")
def create_event_source_mapping(aws: Clients, inputs: Inputs) -> None:
    aws["lambda"].create_event_source_mapping(**pascal(inputs) | {"Tags": inputs["tags"]})


@creates("aws:cloudwatch/metricAlarm:MetricAlarm")
@updates("aws:cloudwatch/metricAlarm:MetricAlarm")
def create_alarm(aws: Clients, inputs: Inputs) -> None:
    given = {key: value for key, value in inputs.items() if key not in ("dimensions", "metricQueries", "tags")}
    arguments = pascal(given, name="AlarmName", okActions="OKActions") | {"Tags": listed(inputs["tags"])}
    if "metricQueries" in inputs:
        arguments["Metrics"] = [metric_query(query) for query in inputs["metricQueries"]]
    else:
        arguments["Dimensions"] = dimensions(inputs)
    aws["cloudwatch"].put_metric_alarm(**arguments)


def metric_query(query: Inputs) -> Inputs:
    """Convert a metric query. As in the AWS provider, ``ReturnData`` defaults to false."""
    given = {"ReturnData": False} | pascal({key: value for key, value in query.items() if key != "metric"})
    if "metric" not in query:
        return given
    metric = pascal({key: query["metric"][key] for key in ("namespace", "metricName")})
    statistic = pascal({key: query["metric"][key] for key in ("period", "stat")})
    return given | {"MetricStat": statistic | {"Metric": metric | {"Dimensions": dimensions(query["metric"])}}}


def dimensions(inputs: Inputs) -> list[Inputs]:
    return [{"Name": name, "Value": value} for name, value in inputs["dimensions"].items()]


@creates("aws:cloudwatch/dashboard:Dashboard")
@updates("aws:cloudwatch/dashboard:Dashboard")
def create_dashboard(aws: Clients, inputs: Inputs) -> None:
    aws["cloudwatch"].put_dashboard(**pascal(inputs))


@creates("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy")
def create_redrive_allow_policy(aws: Clients, inputs: Inputs) -> None:
    attributes = {"RedriveAllowPolicy": inputs["redriveAllowPolicy"]}
    aws["sqs"].set_queue_attributes(QueueUrl=inputs["queueUrl"], Attributes=attributes)
