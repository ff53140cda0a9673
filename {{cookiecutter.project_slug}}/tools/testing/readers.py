"""Reads resources of each type from AWS, in the form of their Pulumi inputs.

A reader takes a resource and returns its properties in AWS. To support another resource type, add a reader: `camel`
converts most of AWS's responses to Pulumi's names.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from botocore.exceptions import ClientError

from tools.testing.deployed import Deployed
from tools.testing.recording import Resource, computed_outputs

Properties = dict[str, Any]
Reader = Callable[[Deployed, Resource], Properties | None]

KEY = "aws:kms/key:Key"
ALIAS = "aws:kms/alias:Alias"
READERS: dict[str, Reader] = {}
# Inputs that are not read: they are known only to Pulumi, or compared in a separate test.
NOT_IN_AWS = {
    KEY: {"deletionWindowInDays"},
    "aws:lambda/function:Function": {"code"},
    "aws:s3/bucket:Bucket": {"forceDestroy"},
}
# Expected values of properties that the program does not set.
DEFAULTS: dict[str, Properties] = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": {"actionsEnabled": True},
    "aws:dynamodb/table:Table": {"rangeKey": None},
    "aws:iam/role:Role": {"managedPolicyArns": []},
    KEY: {"isEnabled": True},
    "aws:lambda/eventSourceMapping:EventSourceMapping": {
        "enabled": True,
        "filterCriteria": None,
        "scalingConfig": None,
    },
    "aws:s3/bucket:Bucket": {"region": None},
}
# Prefixes of AWS's error codes for something that does not exist or is not configured.
NOT_THERE = (
    "AWS.SimpleQueueService.NonExistentQueue",
    "NoSuch",
    "NotFound",
    "OwnershipControlsNotFound",
    "QueueDoesNotExist",
    "ResourceNotFound",
    "ServerSideEncryptionConfigurationNotFound",
)
# https://www.pulumi.com/registry/packages/aws/api-docs/lambda/function/
NO_RESERVATION = -1
QUEUE_ATTRIBUTES = {
    "kmsMasterKeyId": "KmsMasterKeyId",
    "maxMessageSize": "MaximumMessageSize",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "redrivePolicy": "RedrivePolicy",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
}


def read(deployed: Deployed, resource: Resource) -> Properties | None:
    """Read a resource from AWS.

    Args:
        deployed: The stack.
        resource: The resource in the program.

    Returns:
        Its properties in AWS, or ``None`` if it does not exist.
    """
    try:
        return READERS[resource.type](deployed, resource)
    except ClientError as error:
        if error.response["Error"]["Code"].startswith(NOT_THERE):
            return None
        raise


def key_aliases(deployed: Deployed) -> dict[str, str]:
    """Return the aliases of the program's KMS keys: AWS generates the key IDs.

    Returns:
        The alias of each key that has one, by the key's logical name.
    """
    recorded = deployed.program.recorded
    aliases = {each.inputs["targetKeyId"]: each.inputs["name"] for each in recorded.all(ALIAS).values()}
    ids = {
        name: computed_outputs(KEY, name, key.inputs, deployed.account)["keyId"]
        for name, key in recorded.all(KEY).items()
    }
    return {name: aliases[id_] for name, id_ in ids.items() if id_ in aliases}


def reads(type_: str) -> Callable[[Reader], Reader]:
    """Register the reader of a resource type."""

    def register(reader: Reader) -> Reader:
        READERS[type_] = reader
        return reader

    return register


def camel(value: Any) -> Any:
    """Convert AWS's keys to Pulumi's, at all depths: ``KMSKeyArn`` becomes ``kmsKeyArn``."""
    if isinstance(value, dict):
        return {_camel_name(key): camel(each) for key, each in value.items()}
    return [camel(each) for each in value] if isinstance(value, list) else value


def _camel_name(name: str) -> str:
    beginning = re.sub("^([A-Z]+(?=[A-Z][a-z])|[A-Z]+$|[A-Z])", lambda match: match[0].lower(), name)
    return re.sub("ID$", "Id", beginning)


def _mapping(tags: Iterable[dict[str, str]], key: str = "Key", value: str = "Value") -> dict[str, str]:
    """Convert a list of tags, as most services return it, to a mapping."""
    return {tag[key]: tag[value] for tag in tags}


@reads(KEY)
def _key(deployed: Deployed, resource: Resource) -> Properties:
    kms = deployed.client("kms")
    key = kms.describe_key(KeyId=key_aliases(deployed)[resource.name])["KeyMetadata"]
    identity = {"KeyId": key["KeyId"]}
    return {
        "description": key["Description"],
        "enableKeyRotation": kms.get_key_rotation_status(**identity)["KeyRotationEnabled"],
        "isEnabled": key["Enabled"],
        "policy": kms.get_key_policy(**identity, PolicyName="default")["Policy"],
        "tags": _mapping(kms.list_resource_tags(**identity)["Tags"], "TagKey", "TagValue"),
    }


@reads(ALIAS)
def _alias(deployed: Deployed, resource: Resource) -> Properties:
    key = deployed.client("kms").describe_key(KeyId=resource.inputs["name"])["KeyMetadata"]
    return {"name": resource.inputs["name"], "targetKeyId": key["KeyId"]}


@reads("aws:s3/bucket:Bucket")
def _bucket(deployed: Deployed, resource: Resource) -> Properties:
    s3, name = deployed.client("s3"), resource.inputs["bucket"]
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
    region = s3.get_bucket_location(Bucket=name).get("LocationConstraint") or "us-east-1"
    # If the program sets no region, it is the stack's.
    elsewhere = region if region != deployed.account.region else resource.inputs.get("region")
    return {"bucket": name, "region": elsewhere, "tags": _bucket_tags(deployed, name)}


def _bucket_tags(deployed: Deployed, bucket: str) -> dict[str, str]:
    try:
        return _mapping(deployed.client("s3").get_bucket_tagging(Bucket=bucket)["TagSet"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchTagSet":
            raise
        return {}


@reads("aws:s3/bucketVersioning:BucketVersioning")
def _versioning(deployed: Deployed, resource: Resource) -> Properties:
    status = deployed.client("s3").get_bucket_versioning(Bucket=resource.inputs["bucket"]).get("Status")
    return {"bucket": resource.inputs["bucket"], "versioningConfiguration": {"status": status}}


@reads("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
def _bucket_encryption(deployed: Deployed, resource: Resource) -> Properties:
    answer = deployed.client("s3").get_bucket_encryption(Bucket=resource.inputs["bucket"])
    said = ("applyServerSideEncryptionByDefault", "bucketKeyEnabled")
    rules = camel(answer["ServerSideEncryptionConfiguration"]["Rules"])
    return {"bucket": resource.inputs["bucket"], "rules": [{key: rule.get(key) for key in said} for rule in rules]}


@reads("aws:s3/bucketOwnershipControls:BucketOwnershipControls")
def _ownership(deployed: Deployed, resource: Resource) -> Properties:
    controls = deployed.client("s3").get_bucket_ownership_controls(Bucket=resource.inputs["bucket"])[
        "OwnershipControls"
    ]
    return {"bucket": resource.inputs["bucket"], "rule": camel(controls["Rules"][0])}


@reads("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
def _public_access(deployed: Deployed, resource: Resource) -> Properties:
    answer = deployed.client("s3").get_public_access_block(Bucket=resource.inputs["bucket"])
    return {"bucket": resource.inputs["bucket"], **camel(answer["PublicAccessBlockConfiguration"])}


@reads("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
def _lifecycle(deployed: Deployed, resource: Resource) -> Properties:
    rules = camel(deployed.client("s3").get_bucket_lifecycle_configuration(Bucket=resource.inputs["bucket"])["Rules"])
    # A missing filter is the same as an empty prefix.
    return {
        "bucket": resource.inputs["bucket"],
        "rules": [rule | {"filter": rule.get("filter") or {"prefix": ""}} for rule in rules],
    }


@reads("aws:s3/bucketPolicy:BucketPolicy")
def _bucket_policy(deployed: Deployed, resource: Resource) -> Properties:
    policy = deployed.client("s3").get_bucket_policy(Bucket=resource.inputs["bucket"])["Policy"]
    return {"bucket": resource.inputs["bucket"], "policy": policy}


@reads("aws:s3/bucketLogging:BucketLogging")
def _bucket_logging(deployed: Deployed, resource: Resource) -> Properties | None:
    enabled = deployed.client("s3").get_bucket_logging(Bucket=resource.inputs["bucket"]).get("LoggingEnabled")
    return {"bucket": resource.inputs["bucket"], **camel(enabled)} if enabled else None


@reads("aws:s3/bucketNotification:BucketNotification")
def _bucket_notification(deployed: Deployed, resource: Resource) -> Properties:
    found = deployed.client("s3").get_bucket_notification_configuration(Bucket=resource.inputs["bucket"])
    return {"bucket": resource.inputs["bucket"], "eventbridge": "EventBridgeConfiguration" in found}


@reads("aws:dynamodb/table:Table")
def _table(deployed: Deployed, resource: Resource) -> Properties:
    dynamodb = deployed.client("dynamodb")
    table = dynamodb.describe_table(TableName=resource.inputs["name"])["Table"]
    backups = dynamodb.describe_continuous_backups(TableName=resource.inputs["name"])["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    encryption = table.get("SSEDescription", {})
    keys = {key["KeyType"]: key["AttributeName"] for key in table["KeySchema"]}
    return {
        "name": table["TableName"],
        "hashKey": keys["HASH"],
        "rangeKey": keys.get("RANGE"),
        "attributes": [
            {"name": each["AttributeName"], "type": each["AttributeType"]} for each in table["AttributeDefinitions"]
        ],
        "billingMode": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        "deletionProtectionEnabled": table.get("DeletionProtectionEnabled", False),
        "globalSecondaryIndexes": [
            {"name": index["IndexName"], "keySchemas": camel(index["KeySchema"]), **camel(index["Projection"])}
            for index in table.get("GlobalSecondaryIndexes", [])
        ],
        "pointInTimeRecovery": {"enabled": recovery == "ENABLED"},
        "serverSideEncryption": {
            "enabled": encryption.get("Status") in {"ENABLED", "ENABLING", "UPDATING"},
            "kmsKeyArn": encryption.get("KMSMasterKeyArn"),
        },
        "tags": _mapping(dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]),
    }


def _queue_attributes(deployed: Deployed, url: str) -> dict[str, str]:
    return deployed.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


@reads("aws:sqs/queue:Queue")
def _queue(deployed: Deployed, resource: Resource) -> Properties:
    sqs = deployed.client("sqs")
    url = sqs.get_queue_url(QueueName=resource.inputs["name"])["QueueUrl"]
    attributes = _queue_attributes(deployed, url)
    found = {key: attributes.get(name) for key, name in QUEUE_ATTRIBUTES.items()}
    return {
        "name": attributes["QueueArn"].rpartition(":")[2],
        **{key: int(value) if value and value.isdecimal() else value for key, value in found.items()},
        "tags": sqs.list_queue_tags(QueueUrl=url).get("Tags", {}),
    }


@reads("aws:sqs/queuePolicy:QueuePolicy")
def _queue_policy(deployed: Deployed, resource: Resource) -> Properties:
    url = resource.inputs["queueUrl"]
    return {"queueUrl": url, "policy": _queue_attributes(deployed, url).get("Policy")}


@reads("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy")
def _redrive_allow_policy(deployed: Deployed, resource: Resource) -> Properties:
    url = resource.inputs["queueUrl"]
    return {"queueUrl": url, "redriveAllowPolicy": _queue_attributes(deployed, url).get("RedriveAllowPolicy")}


@reads("aws:sns/topic:Topic")
def _topic(deployed: Deployed, resource: Resource) -> Properties:
    sns, arn = deployed.client("sns"), deployed.account.arn("sns", resource.inputs["name"])
    attributes = camel(sns.get_topic_attributes(TopicArn=arn)["Attributes"])
    tags = _mapping(sns.list_tags_for_resource(ResourceArn=arn)["Tags"])
    return attributes | {"name": attributes["topicArn"].rpartition(":")[2], "tags": tags}


@reads("aws:sns/topicPolicy:TopicPolicy")
def _topic_policy(deployed: Deployed, resource: Resource) -> Properties:
    attributes = deployed.client("sns").get_topic_attributes(TopicArn=resource.inputs["arn"])["Attributes"]
    return {"arn": attributes["TopicArn"], "policy": attributes.get("Policy")}


@reads("aws:sns/topicSubscription:TopicSubscription")
def _subscription(deployed: Deployed, resource: Resource) -> Properties | None:
    pages = (
        deployed.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=resource.inputs["topic"])
    )
    subscriptions = [
        {"topic": each["TopicArn"], "protocol": each["Protocol"], "endpoint": each["Endpoint"]}
        for page in pages
        for each in page["Subscriptions"]
    ]
    same = [each for each in subscriptions if each["protocol"] == resource.inputs["protocol"]]
    return next((each for each in same if each["endpoint"] == resource.inputs["endpoint"]), next(iter(same), None))


@reads("aws:cloudwatch/logGroup:LogGroup")
def _log_group(deployed: Deployed, resource: Resource) -> Properties | None:
    logs, name = deployed.client("logs"), resource.inputs["name"]
    groups = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    group = next((each for each in groups if each["logGroupName"] == name), None)
    if group is None:
        return None
    arn = deployed.account.arn("logs", f"log-group:{name}")
    return group | {"name": name, "tags": logs.list_tags_for_resource(resourceArn=arn)["tags"]}


@reads("aws:iam/role:Role")
def _role(deployed: Deployed, resource: Resource) -> Properties:
    iam, name = deployed.client("iam"), {"RoleName": resource.inputs["name"]}
    role = iam.get_role(**name)["Role"]
    attached = iam.list_attached_role_policies(**name)["AttachedPolicies"]
    return camel({key: value for key, value in role.items() if key != "AssumeRolePolicyDocument"}) | {
        "name": role["RoleName"],
        "assumeRolePolicy": json.dumps(role["AssumeRolePolicyDocument"]),
        "managedPolicyArns": [policy["PolicyArn"] for policy in attached],
        "tags": _mapping(iam.list_role_tags(**name)["Tags"]),
    }


@reads("aws:iam/rolePolicy:RolePolicy")
def _role_policy(deployed: Deployed, resource: Resource) -> Properties:
    answer = deployed.client("iam").get_role_policy(
        RoleName=resource.inputs["role"], PolicyName=resource.inputs["name"]
    )
    return {
        "name": answer["PolicyName"],
        "role": answer["RoleName"],
        "policy": json.dumps(answer["PolicyDocument"]),
    }


@reads("aws:lambda/function:Function")
def _function(deployed: Deployed, resource: Resource) -> Properties:
    client, name = deployed.client("lambda"), resource.inputs["name"]
    function = client.get_function_configuration(FunctionName=name)
    concurrency = client.get_function_concurrency(FunctionName=name)
    return camel({key: value for key, value in function.items() if key != "Environment"}) | {
        "name": function["FunctionName"],
        "environment": {"variables": function.get("Environment", {}).get("Variables")},
        "reservedConcurrentExecutions": concurrency.get("ReservedConcurrentExecutions", NO_RESERVATION),
        "tags": client.list_tags(Resource=function["FunctionArn"])["Tags"],
    }


@reads("aws:lambda/eventSourceMapping:EventSourceMapping")
def _event_source_mapping(deployed: Deployed, resource: Resource) -> Properties | None:
    client = deployed.client("lambda")
    answer = client.list_event_source_mappings(
        FunctionName=resource.inputs["functionName"], EventSourceArn=resource.inputs["eventSourceArn"]
    )
    mapping = next(iter(answer["EventSourceMappings"]), None)
    if mapping is None:
        return None
    arn = deployed.account.arn("lambda", f"event-source-mapping:{mapping['UUID']}")
    return camel(mapping) | {
        "functionName": mapping["FunctionArn"],
        "enabled": mapping["State"] == "Enabled",
        "filterCriteria": mapping.get("FilterCriteria") or None,
        "scalingConfig": camel(mapping.get("ScalingConfig")) or None,
        "tags": client.list_tags(Resource=arn)["Tags"],
    }


@reads("aws:cloudwatch/metricAlarm:MetricAlarm")
def _alarm(deployed: Deployed, resource: Resource) -> Properties | None:
    cloudwatch = deployed.client("cloudwatch")
    alarm = next(iter(cloudwatch.describe_alarms(AlarmNames=[resource.inputs["name"]])["MetricAlarms"]), None)
    if alarm is None:
        return None
    return camel(alarm) | {
        "name": alarm["AlarmName"],
        "dimensions": _mapping(alarm["Dimensions"], "Name"),
        "tags": _mapping(cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]),
    }


@reads("aws:cloudwatch/dashboard:Dashboard")
def _dashboard(deployed: Deployed, resource: Resource) -> Properties:
    answer = deployed.client("cloudwatch").get_dashboard(DashboardName=resource.inputs["dashboardName"])
    return {"dashboardName": answer["DashboardName"], "dashboardBody": answer["DashboardBody"]}
