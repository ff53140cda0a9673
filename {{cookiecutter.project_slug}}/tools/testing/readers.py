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
FUNCTION = "aws:lambda/function:Function"
READERS: dict[str, Reader] = {}
# Inputs that are not read: they are known only to Pulumi, or compared in a separate test.
NOT_IN_AWS = {
    KEY: {"deletionWindowInDays"},
    FUNCTION: {"code", "publish"},
    "aws:s3/bucket:Bucket": {"forceDestroy"},
}
# Expected values of properties that the program does not set.
DEFAULTS: dict[str, Properties] = {
    "aws:cloudwatch/eventRule:EventRule": {"scheduleExpression": None, "state": "ENABLED"},
    "aws:cloudwatch/eventTarget:EventTarget": {"input": None, "inputPath": None, "inputTransformer": None},
    "aws:cloudwatch/logGroup:LogGroup": {"deletionProtectionEnabled": False},
    "aws:cloudwatch/metricAlarm:MetricAlarm": {
        "actionsEnabled": True,
        "insufficientDataActions": [],
        "metricQueries": [],
    },
    "aws:dynamodb/table:Table": {"onDemandThroughput": None, "rangeKey": None, "ttl": None},
    "aws:iam/role:Role": {"managedPolicyArns": [], "permissionsBoundary": None},
    KEY: {"isEnabled": True},
    "aws:lambda/alias:Alias": {"routingConfig": None},
    "aws:lambda/eventSourceMapping:EventSourceMapping": {
        "enabled": True,
        "filterCriteria": None,
        "metricsConfig": None,
        "scalingConfig": None,
    },
    FUNCTION: {"layers": []},
    "aws:s3/bucket:Bucket": {"region": None},
    "aws:sns/topic:Topic": {"kmsMasterKeyId": None, "signatureVersion": 1},
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
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_OnDemandThroughput.html
NO_MAXIMUM = -1
# States of an event source mapping that calls its function, or will within minutes:
# https://docs.aws.amazon.com/lambda/latest/api/API_GetEventSourceMapping.html
ENABLED = frozenset({"Creating", "Enabled", "Enabling", "Updating"})
# An ARN of a function has one part more if it names a version or an alias:
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html
FUNCTION_ARN_PARTS = 7
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
    rules = []
    for rule in answer["ServerSideEncryptionConfiguration"]["Rules"]:
        blocked = rule.pop("BlockedEncryptionTypes", {})
        # If the program does not say which kinds of encryption are refused, AWS decides.
        if any("blockedEncryptionTypes" in each for each in resource.inputs["rules"]):
            rule["BlockedEncryptionTypes"] = blocked.get("EncryptionType")
        rules.append(camel(rule))
    return {"bucket": resource.inputs["bucket"], "rules": rules}


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
    expiry = dynamodb.describe_time_to_live(TableName=resource.inputs["name"])["TimeToLiveDescription"]
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
            {
                "name": index["IndexName"],
                "keySchemas": camel(index["KeySchema"]),
                "onDemandThroughput": _maximums(index),
                **camel(index["Projection"]),
            }
            for index in table.get("GlobalSecondaryIndexes", [])
        ],
        "onDemandThroughput": _maximums(table),
        "pointInTimeRecovery": {"enabled": recovery == "ENABLED"},
        "serverSideEncryption": {
            "enabled": encryption.get("Status") in {"ENABLED", "ENABLING", "UPDATING"},
            "kmsKeyArn": encryption.get("KMSMasterKeyArn"),
        },
        "ttl": (
            {"attributeName": expiry["AttributeName"], "enabled": True}
            if expiry["TimeToLiveStatus"] in {"ENABLED", "ENABLING"}
            else None
        ),
        "tags": _mapping(dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]),
    }


def _maximums(table: dict[str, Any]) -> dict[str, int] | None:
    """Read the maximum throughput of a table or an index; ``None`` if it has none."""
    units = {f"max{kind}RequestUnits": NO_MAXIMUM for kind in ("Read", "Write")}
    units |= camel(table.get("OnDemandThroughput", {}))
    return None if set(units.values()) == {NO_MAXIMUM} else units


@reads("aws:dynamodb/contributorInsights:ContributorInsights")
def _contributor_insights(deployed: Deployed, resource: Resource) -> Properties | None:
    table, index = resource.inputs["tableName"], resource.inputs.get("indexName")
    name = {"TableName": table} | ({"IndexName": index} if index else {})
    found = deployed.client("dynamodb").describe_contributor_insights(**name)
    is_on = found["ContributorInsightsStatus"] in {"ENABLED", "ENABLING"}
    return {"tableName": table, "indexName": index} if is_on else None


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
    return attributes | {
        "name": attributes["topicArn"].rpartition(":")[2],
        "signatureVersion": int(attributes.get("signatureVersion", "1")),
        "tags": _mapping(sns.list_tags_for_resource(ResourceArn=arn)["Tags"]),
    }


@reads("aws:sns/topicPolicy:TopicPolicy")
def _topic_policy(deployed: Deployed, resource: Resource) -> Properties:
    attributes = deployed.client("sns").get_topic_attributes(TopicArn=resource.inputs["arn"])["Attributes"]
    return {"arn": attributes["TopicArn"], "policy": attributes.get("Policy")}


@reads("aws:sns/topicSubscription:TopicSubscription")
def _subscription(deployed: Deployed, resource: Resource) -> Properties | None:
    subscriptions = [
        {"topic": each["TopicArn"], "protocol": each["Protocol"], "endpoint": each["Endpoint"]}
        for each in subscriptions_of(deployed, resource.inputs["topic"])
    ]
    same = [each for each in subscriptions if each["protocol"] == resource.inputs["protocol"]]
    return next((each for each in same if each["endpoint"] == resource.inputs["endpoint"]), next(iter(same), None))


def subscriptions_of(deployed: Deployed, topic: str) -> list[dict[str, str]]:
    """List a topic's subscriptions, except those that were cancelled: AWS lists them for some days.

    Args:
        deployed: The stack.
        topic: ARN of the topic.
    """
    pages = deployed.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    return [each for page in pages for each in page["Subscriptions"] if each["SubscriptionArn"] != "Deleted"]


@reads("aws:cloudwatch/logGroup:LogGroup")
def _log_group(deployed: Deployed, resource: Resource) -> Properties | None:
    logs, name = deployed.client("logs"), resource.inputs["name"]
    groups = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    group = next((each for each in groups if each["logGroupName"] == name), None)
    if group is None:
        return None
    arn = deployed.account.arn("logs", f"log-group:{name}")
    protected = group.get("deletionProtectionEnabled", False)
    return group | {
        "name": name,
        "deletionProtectionEnabled": protected,
        "tags": logs.list_tags_for_resource(resourceArn=arn)["tags"],
    }


@reads("aws:iam/role:Role")
def _role(deployed: Deployed, resource: Resource) -> Properties:
    iam, name = deployed.client("iam"), {"RoleName": resource.inputs["name"]}
    role = iam.get_role(**name)["Role"]
    attached = iam.list_attached_role_policies(**name)["AttachedPolicies"]
    return camel({key: value for key, value in role.items() if key != "AssumeRolePolicyDocument"}) | {
        "name": role["RoleName"],
        "assumeRolePolicy": json.dumps(role["AssumeRolePolicyDocument"]),
        "managedPolicyArns": [policy["PolicyArn"] for policy in attached],
        "permissionsBoundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
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


@reads(FUNCTION)
def _function(deployed: Deployed, resource: Resource) -> Properties:
    client, name = deployed.client("lambda"), resource.inputs["name"]
    function = function_version(deployed, name)
    concurrency = client.get_function_concurrency(FunctionName=name)
    return function | {
        "reservedConcurrentExecutions": concurrency.get("ReservedConcurrentExecutions", NO_RESERVATION),
        "tags": client.list_tags(Resource=function["functionArn"])["Tags"],
    }


def function_version(deployed: Deployed, name: str) -> Properties:
    """Read what belongs to one version of a function.

    Args:
        deployed: The stack.
        name: The function's name, which stands for the newest, unpublished version; or the ARN of an alias.
    """
    function = deployed.client("lambda").get_function_configuration(FunctionName=name)
    return camel({key: value for key, value in function.items() if key != "Environment"}) | {
        "name": function["FunctionName"],
        "environment": {"variables": function.get("Environment", {}).get("Variables")},
        "layers": [layer["Arn"] for layer in function.get("Layers", [])],
    }


def published_version(deployed: Deployed, name: str) -> str | None:
    """Return the number of the version of a function that was published last, if any."""
    pages = deployed.client("lambda").get_paginator("list_versions_by_function").paginate(FunctionName=name)
    versions = [each["Version"] for page in pages for each in page["Versions"] if each["Version"].isdecimal()]
    return max(versions, key=int, default=None)


@reads("aws:lambda/alias:Alias")
def _function_alias(deployed: Deployed, resource: Resource) -> Properties:
    function = resource.inputs["functionName"]
    alias = deployed.client("lambda").get_alias(FunctionName=function, Name=resource.inputs["name"])
    return camel(alias) | {"functionName": function, "routingConfig": camel(alias.get("RoutingConfig")) or None}


@reads("aws:lambda/eventSourceMapping:EventSourceMapping")
def _event_source_mapping(deployed: Deployed, resource: Resource) -> Properties | None:
    mappings = event_source_mappings(deployed, resource.inputs["functionName"])
    same = [each for each in mappings if each["EventSourceArn"] == resource.inputs["eventSourceArn"]]
    # One that calls another version of the function is better than none.
    same.sort(key=lambda each: each["FunctionArn"] != resource.inputs["functionName"])
    if not same:
        return None
    mapping = same[0]
    arn = deployed.account.arn("lambda", f"event-source-mapping:{mapping['UUID']}")
    metrics = mapping.get("MetricsConfig", {}).get("Metrics")
    return camel(mapping) | {
        "functionName": mapping["FunctionArn"],
        "enabled": mapping["State"] in ENABLED,
        "filterCriteria": mapping.get("FilterCriteria") or None,
        "metricsConfig": {"metrics": metrics} if metrics else None,
        "scalingConfig": camel(mapping.get("ScalingConfig")) or None,
        "tags": deployed.client("lambda").list_tags(Resource=arn)["Tags"],
    }


def event_source_mappings(deployed: Deployed, function: str) -> list[dict[str, Any]]:
    """List the event source mappings of a function, whichever of its versions or aliases they call.

    AWS can list those of one version or alias, or all.

    Args:
        deployed: The stack.
        function: ARN of the function, or of one of its versions or aliases.
    """
    whole = unqualified(function)
    pages = deployed.client("lambda").get_paginator("list_event_source_mappings").paginate()
    return [each for page in pages for each in page["EventSourceMappings"] if unqualified(each["FunctionArn"]) == whole]


def unqualified(arn: str) -> str:
    """Remove the version or alias from a function's ARN."""
    return ":".join(arn.split(":")[:FUNCTION_ARN_PARTS])


@reads("aws:cloudwatch/metricAlarm:MetricAlarm")
def _alarm(deployed: Deployed, resource: Resource) -> Properties | None:
    cloudwatch = deployed.client("cloudwatch")
    alarm = next(iter(cloudwatch.describe_alarms(AlarmNames=[resource.inputs["name"]])["MetricAlarms"]), None)
    if alarm is None:
        return None
    return camel(alarm) | {
        "name": alarm["AlarmName"],
        "dimensions": _mapping(alarm.get("Dimensions", []), "Name"),
        "metricQueries": [_metric_query(query) for query in alarm.get("Metrics", [])],
        "tags": _mapping(cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]),
    }


def _metric_query(query: dict[str, Any]) -> Properties:
    """Convert one of the metrics and expressions that an alarm with metric math watches."""
    # The provider says that every query but one returns no data.
    found = camel({key: value for key, value in query.items() if key not in {"MetricStat", "ReturnData"}})
    if query.get("ReturnData", True):
        found["returnData"] = True
    if "MetricStat" in query:
        statistic = query["MetricStat"]
        metric = camel({key: value for key, value in statistic.items() if key != "Metric"} | statistic["Metric"])
        found["metric"] = metric | {"dimensions": _mapping(statistic["Metric"].get("Dimensions", []), "Name") or None}
    return found


@reads("aws:cloudwatch/eventRule:EventRule")
def _rule(deployed: Deployed, resource: Resource) -> Properties:
    events = deployed.client("events")
    rule = events.describe_rule(Name=resource.inputs["name"])
    return camel(rule) | {"tags": _mapping(events.list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"])}


@reads("aws:cloudwatch/eventTarget:EventTarget")
def _target(deployed: Deployed, resource: Resource) -> Properties | None:
    targets = rule_targets(deployed, resource.inputs["rule"])
    # Another one is better than none.
    targets.sort(key=lambda each: each["Arn"] != resource.inputs["arn"])
    return camel(targets[0]) | {"rule": resource.inputs["rule"]} if targets else None


def rule_targets(deployed: Deployed, rule: str) -> list[dict[str, Any]]:
    """List the targets of a rule."""
    pages = deployed.client("events").get_paginator("list_targets_by_rule").paginate(Rule=rule)
    return [each for page in pages for each in page["Targets"]]


@reads("aws:cloudwatch/dashboard:Dashboard")
def _dashboard(deployed: Deployed, resource: Resource) -> Properties:
    answer = deployed.client("cloudwatch").get_dashboard(DashboardName=resource.inputs["dashboardName"])
    return {"dashboardName": answer["DashboardName"], "dashboardBody": answer["DashboardBody"]}
