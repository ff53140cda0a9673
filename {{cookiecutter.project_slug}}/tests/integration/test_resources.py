"""Tests that the deployed resources match the stack's settings.

To compare another property, add a row. `validate --live` finds all other drift.
"""

import json
from collections.abc import Callable
from dataclasses import fields
from string import Template
from typing import Any, NamedTuple

import jmespath
import pytest
from botocore.exceptions import ClientError

from processor.environment import Environment
from tests.integration.stack import Stack
from tools.settings import MASKED


class Call(NamedTuple):
    """An AWS API call.

    Attributes:
        service: Name of the boto3 client.
        method: Method of the client. If the response has several pages, all are read.
        arguments: Arguments, in which ``$NAME`` stands for one of the stack's `names`.
    """

    service: str
    method: str
    arguments: dict[str, Any]


class Row(NamedTuple):
    """An expected value in the response of a call.

    Attributes:
        call: The call.
        expression: JMESPath expression, with ``$NAME`` as in `Call`, for the result of `answer_of`.
        expected: The expression's value, or a function that returns the value for a stack.
    """

    call: Call
    expression: str
    expected: Callable[[Stack], Any] | bool | int | str | list[Any] | dict[str, Any]


def key_arn(stack: Stack) -> str:
    """Return the expected key ARN: ``kmsKeyArn``, or the key behind the stack's own alias."""
    if stack.settings.kms_key_arn:
        return stack.settings.kms_key_arn
    return stack.client("kms").describe_key(KeyId=f"alias/{stack.prefix}-key")["KeyMetadata"]["Arn"]


def environment(stack: Stack) -> dict[str, str]:
    """Return the function's expected environment variables, from the outputs and settings of the same names."""
    return {
        each.name.upper(): stack.outputs.get(each.name) or str(getattr(stack.settings, each.name))
        for each in fields(Environment)
    }


def permissions(stack: Stack) -> list[list[Any]]:
    """Return the expected actions and resource of each statement in the role's policy."""
    arns = stack.outputs
    receive = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
    logs = arns["function_arn"].replace(":lambda:", ":logs:").replace(":function:", ":log-group:/aws/lambda/")
    return [
        [["logs:CreateLogStream", "logs:PutLogEvents"], f"{logs}:*"],
        [receive, arns["queue_arn"]],
        ["sqs:SendMessage", arns["dlq_arn"]],
        ["s3:PutObject", f"{arns['bucket_arn']}/messages/*"],
        [["dynamodb:PutItem", "dynamodb:UpdateItem"], arns["table_arn"]],
        ["sns:Publish", arns["topic_arn"]],
        [["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"], key_arn(stack)],
        [["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*"],
    ]


def subscriptions(stack: Stack) -> list[list[str]]:
    """Return the expected protocol and endpoint of each alarm subscription."""
    return [["email", stack.settings.notification_email]] if stack.settings.notification_email else []


ALARMS = [
    *("dead-letters", "errors", "failed-notifications", "misconfigured"),
    *("not-received", "oldest-message", "returned", "throttles"),
]
BUCKET = {"Bucket": "$bucket_name"}
TABLE = {"TableName": "$table_name"}
ROLE = {"RoleName": "$role_name"}

VERSIONING = Call("s3", "get_bucket_versioning", BUCKET)
BUCKET_ENCRYPTION = Call("s3", "get_bucket_encryption", BUCKET)
LIFECYCLE = Call("s3", "get_bucket_lifecycle_configuration", BUCKET)
PUBLIC_ACCESS = Call("s3", "get_public_access_block", BUCKET)
BUCKET_POLICY = Call("s3", "get_bucket_policy", BUCKET)
BUCKET_LOGGING = Call("s3", "get_bucket_logging", BUCKET)
DESCRIBE_TABLE = Call("dynamodb", "describe_table", TABLE)
BACKUPS = Call("dynamodb", "describe_continuous_backups", TABLE)
TIME_TO_LIVE = Call("dynamodb", "describe_time_to_live", TABLE)
QUEUE = Call("sqs", "get_queue_attributes", {"QueueUrl": "$queue_url", "AttributeNames": ["All"]})
DLQ = Call("sqs", "get_queue_attributes", {"QueueUrl": "$dlq_url", "AttributeNames": ["All"]})
TOPIC = Call("sns", "get_topic_attributes", {"TopicArn": "$topic_arn"})
SUBSCRIBED = Call("sns", "list_subscriptions_by_topic", {"TopicArn": "$alarm_topic_arn"})
FUNCTION = Call("lambda", "get_function_configuration", {"FunctionName": "$function_name", "Qualifier": "live"})
ALIAS = Call("lambda", "get_alias", {"FunctionName": "$function_name", "Name": "live"})
MAPPINGS = Call("lambda", "list_event_source_mappings", {})
GET_ROLE = Call("iam", "get_role", ROLE)
ROLE_POLICY = Call("iam", "get_role_policy", ROLE | {"PolicyName": "$role_name"})
ROLE_POLICIES = Call("iam", "list_role_policies", ROLE)
ATTACHED_POLICIES = Call("iam", "list_attached_role_policies", ROLE)
LOG_GROUPS = Call("logs", "describe_log_groups", {"logGroupNamePrefix": "/aws/lambda/$function_name"})
METRIC_ALARMS = Call("cloudwatch", "describe_alarms", {"AlarmNames": [f"$prefix-{alarm}" for alarm in ALARMS]})

PRIVATE = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)
STATEMENTS = 'Policy.Statement[].[Effect, Condition.Bool."aws:SecureTransport"]'
TLS_ONLY = [["Deny", "false"]]
INDEX = "GlobalSecondaryIndexes[].[IndexName, KeySchema[].AttributeName, sort(Projection.NonKeyAttributes)]"
RECOVERY = "ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus"
# Enabling TTL takes up to an hour, so ENABLING is accepted.
EXPIRY = "TimeToLiveDescription.[AttributeName, starts_with(TimeToLiveStatus, 'ENABL')]"
# Mappings to the function, a version or an alias.
MAPPED = "EventSourceMappings[?FunctionArn=='$function_arn' || starts_with(FunctionArn, '$function_arn:')]"
LOG_GROUP = "logGroups[?logGroupName=='/aws/lambda/$function_name']"
# https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html
PENDING = "PendingConfirmation"

ROWS = {
    "bucket: versioning": Row(VERSIONING, "Status", "Enabled"),
    "bucket: encryption": Row(
        BUCKET_ENCRYPTION,
        "ServerSideEncryptionConfiguration.Rules[].ApplyServerSideEncryptionByDefault",
        lambda s: [{"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn(s)}],
    ),
    "bucket: disabled rules": Row(LIFECYCLE, "Rules[?Status!='Enabled'].ID", []),
    "bucket: noncurrent versions": Row(LIFECYCLE, "Rules[].NoncurrentVersionExpiration.NoncurrentDays", [30]),
    "bucket: incomplete uploads": Row(LIFECYCLE, "Rules[].AbortIncompleteMultipartUpload.DaysAfterInitiation", [7]),
    "bucket: expiry": Row(
        LIFECYCLE, "Rules[].Expiration.Days", lambda s: [days] if (days := s.settings.data_retention_days) else []
    ),
    "bucket: public access": Row(PUBLIC_ACCESS, "PublicAccessBlockConfiguration", PRIVATE),
    "bucket: TLS only": Row(BUCKET_POLICY, STATEMENTS, TLS_ONLY),
    "bucket: access logs": Row(
        BUCKET_LOGGING, "LoggingEnabled.TargetBucket", lambda s: f"{s.prefix}-access-logs-{s.account}"
    ),
    "table: ARN": Row(DESCRIBE_TABLE, "Table.TableArn", lambda s: s.outputs["table_arn"]),
    "table: key": Row(DESCRIBE_TABLE, "Table.KeySchema[].AttributeName", ["message_id"]),
    "table: index": Row(
        DESCRIBE_TABLE, f"Table.{INDEX}", [["timestamp-index", ["date", "timestamp"], ["object_key", "type"]]]
    ),
    "table: billing": Row(DESCRIBE_TABLE, "Table.BillingModeSummary.BillingMode", "PAY_PER_REQUEST"),
    "table: encryption": Row(DESCRIBE_TABLE, "Table.SSEDescription.KMSMasterKeyArn", key_arn),
    "table: deletion protection": Row(
        DESCRIBE_TABLE, "Table.DeletionProtectionEnabled", lambda s: s.settings.environment == "prod"
    ),
    "table: recovery": Row(BACKUPS, RECOVERY, "ENABLED"),
    "table: TTL": Row(TIME_TO_LIVE, EXPIRY, ["expires_at", True]),
    "queue: ARN": Row(QUEUE, "Attributes.QueueArn", lambda s: s.outputs["queue_arn"]),
    "queue: encryption": Row(QUEUE, "Attributes.KmsMasterKeyId", key_arn),
    "queue: retention": Row(
        QUEUE, "to_number(Attributes.MessageRetentionPeriod)", lambda s: s.settings.message_retention_seconds
    ),
    "queue: visibility": Row(
        QUEUE,
        "to_number(Attributes.VisibilityTimeout)",
        lambda s: 6 * s.settings.lambda_timeout_seconds + s.settings.batch_window_seconds,
    ),
    "queue: redrive": Row(
        QUEUE,
        "Attributes.RedrivePolicy.[deadLetterTargetArn, to_number(maxReceiveCount)]",
        lambda s: [s.outputs["dlq_arn"], s.settings.max_receive_count],
    ),
    "queue: TLS only": Row(QUEUE, f"Attributes.{STATEMENTS}", TLS_ONLY),
    "dead-letter queue: ARN": Row(DLQ, "Attributes.QueueArn", lambda s: s.outputs["dlq_arn"]),
    "dead-letter queue: encryption": Row(DLQ, "Attributes.KmsMasterKeyId", key_arn),
    "dead-letter queue: retention": Row(DLQ, "to_number(Attributes.MessageRetentionPeriod)", 14 * 86_400),
    "dead-letter queue: sources": Row(
        DLQ, "Attributes.RedriveAllowPolicy.sourceQueueArns", lambda s: [s.outputs["queue_arn"]]
    ),
    "dead-letter queue: TLS only": Row(DLQ, f"Attributes.{STATEMENTS}", TLS_ONLY),
    "topic: encryption": Row(TOPIC, "Attributes.KmsMasterKeyId", key_arn),
    "topic: TLS only": Row(TOPIC, f"Attributes.{STATEMENTS}", TLS_ONLY),
    "alarms: subscriptions": Row(
        SUBSCRIBED, "Subscriptions[?SubscriptionArn!='Deleted'].[Protocol, Endpoint]", subscriptions
    ),
    "alarms: names": Row(
        METRIC_ALARMS, "sort(MetricAlarms[].AlarmName)", lambda s: [f"{s.prefix}-{alarm}" for alarm in ALARMS]
    ),
    "alarms: without action": Row(METRIC_ALARMS, 'MetricAlarms[?AlarmActions!=`["$alarm_topic_arn"]`].AlarmName', []),
    "alarms: disabled actions": Row(METRIC_ALARMS, "MetricAlarms[?!ActionsEnabled].AlarmName", []),
    "function: alias": Row(
        ALIAS,
        "[AliasArn, RoutingConfig.AdditionalVersionWeights]",
        lambda s: [f"{s.outputs['function_arn']}:live", None],
    ),
    "function: runtime": Row(FUNCTION, "Runtime", lambda s: s.settings.lambda_runtime),
    "function: architecture": Row(FUNCTION, "Architectures", lambda s: [s.settings.lambda_architecture]),
    "function: memory": Row(FUNCTION, "MemorySize", lambda s: s.settings.lambda_memory_mb),
    "function: timeout": Row(FUNCTION, "Timeout", lambda s: s.settings.lambda_timeout_seconds),
    "function: environment": Row(FUNCTION, "Environment.Variables", environment),
    "function: encryption": Row(FUNCTION, "KMSKeyArn", key_arn),
    "function: role": Row(FUNCTION, "Role", lambda s: s.outputs["lambda_role_arn"]),
    "event sources": Row(
        MAPPINGS,
        f"{MAPPED}.[EventSourceArn, FunctionArn]",
        lambda s: [[s.outputs["queue_arn"], f"{s.outputs['function_arn']}:live"]],
    ),
    "event source: state": Row(MAPPINGS, f"{MAPPED}.State", ["Enabled"]),
    "event source: batches": Row(
        MAPPINGS,
        f"{MAPPED}.[BatchSize, MaximumBatchingWindowInSeconds]",
        lambda s: [[s.settings.batch_size, s.settings.batch_window_seconds]],
    ),
    "event source: concurrency": Row(
        MAPPINGS, f"{MAPPED}.ScalingConfig.MaximumConcurrency", lambda s: [s.settings.maximum_concurrency]
    ),
    "event source: partial responses": Row(MAPPINGS, f"{MAPPED}.FunctionResponseTypes[]", ["ReportBatchItemFailures"]),
    "event source: filters": Row(MAPPINGS, f"{MAPPED}.FilterCriteria.Filters[]", []),
    "role: trust": Row(
        GET_ROLE,
        "Role.AssumeRolePolicyDocument.Statement[].[Effect, Principal, Action]",
        [["Allow", {"Service": "lambda.amazonaws.com"}, "sts:AssumeRole"]],
    ),
    "role: boundary": Row(
        GET_ROLE,
        "Role.[PermissionsBoundary.PermissionsBoundaryArn]",
        lambda s: [s.settings.permissions_boundary_arn or None],
    ),
    "role: permissions": Row(ROLE_POLICY, "PolicyDocument.Statement[].[Action, Resource]", permissions),
    "role: policies": Row(ROLE_POLICIES, "PolicyNames", lambda s: [s.outputs["function_name"]]),
    "role: attached policies": Row(ATTACHED_POLICIES, "AttachedPolicies[].PolicyArn", []),
    "log: retention": Row(LOG_GROUPS, f"{LOG_GROUP}.retentionInDays", lambda s: [s.settings.log_retention_days]),
    "log: encryption": Row(LOG_GROUPS, f"{LOG_GROUP}.kmsKeyId", lambda s: [key_arn(s)]),
}


@pytest.mark.parametrize("row", [pytest.param(row, id=what) for what, row in ROWS.items()])
def test_resource(stack: Stack, row: Row) -> None:
    expected = row.expected(stack) if callable(row.expected) else row.expected
    if MASKED in repr(expected):
        pytest.skip("the expected value contains a secret, which only the Pulumi CLI can decrypt")
    arguments = json.loads(Template(json.dumps(row.call.arguments)).substitute(stack.names))
    expression = Template(row.expression).substitute(stack.names)
    try:
        found = jmespath.search(expression, answer_of(stack, row.call, arguments))
    except ClientError as error:
        found = error
    if found != expected:
        call = f"{row.call.service} {row.call.method} {arguments}: {expression}"
        pytest.fail(f"expected {expected!r}, got {found!r}: {call}", pytrace=False)


def test_alarm_recipient_has_confirmed_the_subscription(stack: Stack) -> None:
    answer = answer_of(stack, SUBSCRIBED, {"TopicArn": stack.outputs["alarm_topic_arn"]})
    pending = [each["Endpoint"] for each in answer["Subscriptions"] if each["SubscriptionArn"] == PENDING]
    if pending:
        pytest.skip(f"{pending} must still click the link in SNS's e-mail; after 48 hours the subscription is deleted")


def answer_of(stack: Stack, call: Call, arguments: dict[str, Any]) -> Any:
    """Return all pages of a call, or its single response with JSON parsed."""
    client = stack.client(call.service)
    if client.can_paginate(call.method):
        return client.get_paginator(call.method).paginate(**arguments).build_full_result()
    return parsed(getattr(client, call.method)(**arguments))


def parsed(value: Any) -> Any:
    """Parse JSON objects in the string values of nested dictionaries."""
    if isinstance(value, dict):
        return {key: parsed(each) for key, each in value.items()}
    return json.loads(value) if isinstance(value, str) and value.startswith("{") else value
