"""Every resource of an example stack with all inputs, its protection in production, and the stack's outputs."""

import json
import re
import tomllib
from dataclasses import fields
from typing import Any, Final

import pytest
from pydantic.alias_generators import to_camel

from processor.environment import Environment
from tests.unit.conftest import recorded_inputs
from tools.project import PROJECT_FOLDER
from tools.settings import PROJECT_MAX_LENGTH
from tools.testing import PROJECT_NAME, RecordedProgram, example_config, run_program

NAME: Final = f"{PROJECT_NAME}-dev"
FUNCTION: Final = f"{NAME}-processor"
PAYLOADS: Final = f"{NAME}-payloads-123456789012"
ACCESS_LOGS: Final = f"{NAME}-access-logs-123456789012"
PLACE: Final = "us-east-1:123456789012"
QUEUE_ARN: Final = f"arn:aws:sqs:{PLACE}:{NAME}-queue"
DLQ_ARN: Final = f"arn:aws:sqs:{PLACE}:{NAME}-dead-letter-queue"
QUEUE_URL: Final = f"https://sqs.us-east-1.amazonaws.com/123456789012/{NAME}-queue"
DLQ_URL: Final = f"https://sqs.us-east-1.amazonaws.com/123456789012/{NAME}-dead-letter-queue"
TOPIC_ARN: Final = f"arn:aws:sns:{PLACE}:{NAME}-notifications"
ALARM_TOPIC_ARN: Final = f"arn:aws:sns:{PLACE}:{NAME}-alarms"
TABLE_ARN: Final = f"arn:aws:dynamodb:{PLACE}:table/{NAME}-messages"
FUNCTION_ARN: Final = f"arn:aws:lambda:{PLACE}:function:{FUNCTION}"
ROLE_ARN: Final = f"arn:aws:iam::123456789012:role/{FUNCTION}"
LOG_GROUP_ARN: Final = f"arn:aws:logs:{PLACE}:log-group:/aws/lambda/{FUNCTION}"
# The mocks derive the ID from the key's logical name.
KEY_ID: Final = "d4fb67b5-2bb7-536a-a9dd-722ab52d139a"
KEY_ARN: Final = f"arn:aws:kms:{PLACE}:key/{KEY_ID}"
KEY_USERS: Final = ("dynamodb", "lambda", "s3", "sns", "sqs")
TAGS: Final = {"Project": PROJECT_NAME, "Environment": "dev", "EnvironmentSuffix": "dev", "ManagedBy": "pulumi"}
OUTPUTS: Final = {
    "bucket_name": PAYLOADS,
    "bucket_arn": f"arn:aws:s3:::{PAYLOADS}",
    "table_name": f"{NAME}-messages",
    "table_arn": TABLE_ARN,
    "topic_arn": TOPIC_ARN,
    "queue_url": QUEUE_URL,
    "queue_arn": QUEUE_ARN,
    "dlq_url": DLQ_URL,
    "dlq_arn": DLQ_ARN,
    "function_arn": FUNCTION_ARN,
    "function_name": FUNCTION,
    "lambda_role_arn": ROLE_ARN,
    "alarm_topic_arn": ALARM_TOPIC_ARN,
}
# The Pulumi type and all inputs of a resource.
Resource = dict[str, Any]


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [*statements]}


def tls_only(action: str, *arns: str) -> dict[str, Any]:
    return {
        "Sid": "DenyInsecureTransport",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": [*arns],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def allow(sid: str, action: str | list[str], resource: str, **more: Any) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource, **more}


def service(name: str) -> dict[str, str]:
    return {"Service": f"{name}.amazonaws.com"}


def bucket(
    name: str, bucket_name: str, *statements: dict[str, Any], encryption: dict[str, Any], expiry: dict[str, Any]
) -> dict[str, Resource]:
    """Return the expected resources of a private bucket. ``expiry`` adds to the two lifecycle rules of every bucket."""
    arn = f"arn:aws:s3:::{bucket_name}"
    expirations = {
        "expire-noncurrent-versions": {"noncurrentVersionExpiration": {"noncurrentDays": 30}},
        "abort-incomplete-uploads": {"abortIncompleteMultipartUpload": {"daysAfterInitiation": 7}},
        **expiry,
    }
    rules = [{"id": key, "status": "Enabled", "filter": {"prefix": ""}, **each} for key, each in expirations.items()]
    parts: dict[str, Resource] = {
        "versioning": {
            "type token": "aws:s3/bucketVersioning:BucketVersioning",
            "versioningConfiguration": {"status": "Enabled"},
        },
        "encryption": {
            "type token": "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            "rules": [{**encryption, "blockedEncryptionTypes": ["SSE-C"]}],
        },
        "ownership": {
            "type token": "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
            "rule": {"objectOwnership": "BucketOwnerEnforced"},
        },
        "public-access": {
            "type token": "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        },
        "lifecycle": {"type token": "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", "rules": rules},
        "policy": {
            "type token": "aws:s3/bucketPolicy:BucketPolicy",
            "policy": document(tls_only("s3:*", arn, f"{arn}/*"), *statements),
        },
    }
    itself = {"type token": "aws:s3/bucket:Bucket", "bucket": bucket_name, "forceDestroy": False, "tags": TAGS}
    return {name: itself} | {f"{name}-{part}": {**each, "bucket": f"{name}-id"} for part, each in parts.items()}


# Sources of metrics: namespace, then alternating names and values of dimensions.
SOURCES: Final = {
    "queue": ("AWS/SQS", "QueueName", f"{NAME}-queue"),
    "dlq": ("AWS/SQS", "QueueName", f"{NAME}-dead-letter-queue"),
    "function": ("AWS/Lambda", "FunctionName", FUNCTION),
    "messages": ("EventPipeline", "service", FUNCTION),
    "table": ("AWS/DynamoDB", "TableName", f"{NAME}-messages"),
    "index": ("AWS/DynamoDB", "TableName", f"{NAME}-messages", "GlobalSecondaryIndexName", "timestamp-index"),
    "topic": ("AWS/SNS", "TopicName", f"{NAME}-notifications"),
}
# Graphs of the dashboard by title, with metrics as ``SOURCE STATISTIC NAME...``.
GRAPHS: Final = {
    "Messages sent by producers, and received by Lambda": ["queue Sum NumberOfMessagesSent NumberOfMessagesReceived"],
    "Messages by result": [
        "messages Sum MessagesProcessed MessagesDeadLettered MessagesReturned MessagesMisconfigured"
    ],
    "Messages waiting and in flight": [
        "queue Maximum ApproximateNumberOfMessagesVisible ApproximateNumberOfMessagesNotVisible"
    ],
    "Age of the oldest message, in seconds": ["queue Maximum ApproximateAgeOfOldestMessage"],
    "Messages in the dead-letter queue": [
        "dlq Maximum ApproximateNumberOfMessagesVisible ApproximateNumberOfMessagesNotVisible"
    ],
    "Duration of the function, in milliseconds": [
        "function Average Duration",
        "function p99 Duration",
        "function Maximum Duration",
    ],
    "Concurrent executions of the function": ["function Maximum ConcurrentExecutions"],
    "Invocations, errors and throttles of the function": ["function Sum Invocations Errors Throttles"],
    "Throttled writes of the table and its index": ["table Sum WriteThrottleEvents", "index Sum WriteThrottleEvents"],
    "Notifications": ["topic Sum NumberOfMessagesPublished NumberOfNotificationsDelivered NumberOfNotificationsFailed"],
}


def metric(spec: str) -> dict[str, Any]:
    source, statistic, name, *_ = spec.split()
    namespace, key, value = SOURCES[source]
    return {"namespace": namespace, "metricName": name, "dimensions": {key: value}, "period": 60, "stat": statistic}


def alarm(
    name: str, description: str, *metrics: str, minutes: tuple[int, int], expression: str = "", **inputs: Any
) -> dict[str, Resource]:
    """Return an expected alarm. Each metric is ``SOURCE STATISTIC NAME``, and an ID if there is an expression.

    ``minutes`` are `datapoints_to_alarm` and `evaluation_periods`.
    """
    if expression:
        result = {"id": "value", "expression": expression, "label": name, "returnData": True}
        inputs["metricQueries"] = [result, *({"id": spec.split()[-1], "metric": metric(spec)} for spec in metrics)]
    else:
        watched = metric(*metrics)
        inputs |= {"statistic": watched.pop("stat"), **watched}
    common = {
        "type token": "aws:cloudwatch/metricAlarm:MetricAlarm",
        "name": f"{NAME}-{name}",
        "alarmDescription": f"{description} Runbook: docs/alarms.md#{name}",
        "comparisonOperator": "GreaterThanThreshold",
        "threshold": 0,
        "datapointsToAlarm": minutes[0],
        "evaluationPeriods": minutes[1],
        "treatMissingData": "ignore",
        "alarmActions": [ALARM_TOPIC_ARN],
        "okActions": [ALARM_TOPIC_ARN],
        "tags": TAGS,
    }
    return {f"{name}-alarm": common | inputs}


def graph(title: str, metrics: list[str]) -> dict[str, Any]:
    lines = [
        [SOURCES[source][0], name, *SOURCES[source][1:], {"stat": statistic}]
        for source, statistic, *names in map(str.split, metrics)
        for name in names
    ]
    properties = {"title": title, "region": "us-east-1", "period": 60, "metrics": lines}
    return {"type": "metric", "width": 12, "height": 6, "properties": properties}


# Each environment variable has the value of the output or setting of the same name.
VARIABLES: Final = {
    each.name.upper(): OUTPUTS.get(each.name) or example_config().get(f"{PROJECT_NAME}:{to_camel(each.name)}")
    for each in fields(Environment)
}
PERMISSIONS: Final = (
    allow("WriteLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], f"{LOG_GROUP_ARN}:*"),
    allow(
        "ReceiveMessages",
        ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
        QUEUE_ARN,
    ),
    allow("DeadLetterMessages", "sqs:SendMessage", DLQ_ARN),
    allow("StorePayloads", "s3:PutObject", f"arn:aws:s3:::{PAYLOADS}/messages/*"),
    allow("IndexMessages", ["dynamodb:PutItem", "dynamodb:UpdateItem"], TABLE_ARN),
    allow("Notify", "sns:Publish", TOPIC_ARN),
    allow(
        "UseTheKey",
        ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"],
        KEY_ARN,
        Condition={"StringEquals": {"kms:ViaService": [f"{name}.us-east-1.amazonaws.com" for name in KEY_USERS]}},
    ),
    allow("WriteTraces", ["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*"),
)
EXPECTED: Final[dict[str, Resource]] = {
    "key": {
        "type token": "aws:kms/key:Key",
        "description": f"Encrypts the data and messages of {NAME}-*",
        "enableKeyRotation": True,
        "deletionWindowInDays": 30,
        "policy": document(
            allow("AllowTheAccount", "kms:*", "*", Principal={"AWS": "arn:aws:iam::123456789012:root"}),
            allow(
                "AllowCloudWatchLogs",
                ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
                "*",
                Principal=service("logs.us-east-1"),
                Condition={"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": LOG_GROUP_ARN}},
            ),
        ),
        "tags": TAGS,
    },
    "key-alias": {"type token": "aws:kms/alias:Alias", "name": f"alias/{NAME}-key", "targetKeyId": KEY_ID},
    **bucket(
        "payloads",
        PAYLOADS,
        encryption={
            "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY_ARN},
            "bucketKeyEnabled": True,
        },
        expiry={},
    ),
    **bucket(
        "access-logs",
        ACCESS_LOGS,
        allow(
            "AllowAccessLogs",
            "s3:PutObject",
            f"arn:aws:s3:::{ACCESS_LOGS}/payloads/*",
            Principal=service("logging.s3"),
            Condition={
                "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{PAYLOADS}"},
                "StringEquals": {"aws:SourceAccount": "123456789012"},
            },
        ),
        encryption={"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}, "bucketKeyEnabled": False},
        expiry={"expire-objects": {"expiration": {"days": 365}}},
    ),
    "payloads-logging": {
        "type token": "aws:s3/bucketLogging:BucketLogging",
        "bucket": "payloads-id",
        "targetBucket": "access-logs-id",
        "targetPrefix": "payloads/",
    },
    "table": {
        "type token": "aws:dynamodb/table:Table",
        "name": f"{NAME}-messages",
        "billingMode": "PAY_PER_REQUEST",
        "hashKey": "message_id",
        "attributes": [{"name": name, "type": "S"} for name in ("message_id", "date", "timestamp")],
        "globalSecondaryIndexes": [
            {
                "name": "timestamp-index",
                "keySchemas": [
                    {"attributeName": "date", "keyType": "HASH"},
                    {"attributeName": "timestamp", "keyType": "RANGE"},
                ],
                "projectionType": "INCLUDE",
                "nonKeyAttributes": ["object_key", "type"],
            }
        ],
        "ttl": {"attributeName": "expires_at", "enabled": True},
        "pointInTimeRecovery": {"enabled": True},
        "serverSideEncryption": {"enabled": True, "kmsKeyArn": KEY_ARN},
        "deletionProtectionEnabled": False,
        "tags": TAGS,
    },
    "queue": {
        "type token": "aws:sqs/queue:Queue",
        "name": f"{NAME}-queue",
        "kmsMasterKeyId": KEY_ARN,
        "maxMessageSize": 256 * 1024,
        "messageRetentionSeconds": 7 * 86_400,
        "visibilityTimeoutSeconds": 720,
        "policy": document(tls_only("sqs:*", QUEUE_ARN)),
        "redrivePolicy": {"deadLetterTargetArn": DLQ_ARN, "maxReceiveCount": 10},
        "tags": TAGS,
    },
    "dead-letter-queue": {
        "type token": "aws:sqs/queue:Queue",
        "name": f"{NAME}-dead-letter-queue",
        "kmsMasterKeyId": KEY_ARN,
        "maxMessageSize": 260 * 1024,
        "messageRetentionSeconds": 14 * 86_400,
        "policy": document(tls_only("sqs:*", DLQ_ARN)),
        "tags": TAGS,
    },
    "dead-letter-queue-redrive-allow": {
        "type token": "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy",
        "queueUrl": DLQ_URL,
        "redriveAllowPolicy": {"redrivePermission": "byQueue", "sourceQueueArns": [QUEUE_ARN]},
    },
    "topic": {
        "type token": "aws:sns/topic:Topic",
        "name": f"{NAME}-notifications",
        "kmsMasterKeyId": KEY_ARN,
        "signatureVersion": 2,
        "tags": TAGS,
    },
    "topic-policy": {
        "type token": "aws:sns/topicPolicy:TopicPolicy",
        "arn": TOPIC_ARN,
        "policy": document(tls_only("sns:Publish", TOPIC_ARN)),
    },
    "function-logs": {
        "type token": "aws:cloudwatch/logGroup:LogGroup",
        "name": f"/aws/lambda/{FUNCTION}",
        "retentionInDays": 1,
        "kmsKeyId": KEY_ARN,
        "deletionProtectionEnabled": False,
        "tags": TAGS,
    },
    "function-role": {
        "type token": "aws:iam/role:Role",
        "name": FUNCTION,
        "assumeRolePolicy": document({"Effect": "Allow", "Principal": service("lambda"), "Action": "sts:AssumeRole"}),
        "tags": TAGS,
    },
    "function-role-policy": {
        "type token": "aws:iam/rolePolicy:RolePolicy",
        "name": FUNCTION,
        "role": "function-role-id",
        "policy": document(*PERMISSIONS),
    },
    "function": {
        "type token": "aws:lambda/function:Function",
        "name": FUNCTION,
        "description": "Stores each message of the queue, indexes it, and sends a notification",
        "role": ROLE_ARN,
        "runtime": "python3.11",
        "architectures": ["arm64"],
        "handler": "processor.handler.lambda_handler",
        "code": "processor-python3.11-arm64.zip",
        "memorySize": 512,
        "timeout": 120,
        "publish": True,
        "kmsKeyArn": KEY_ARN,
        "tracingConfig": {"mode": "Active"},
        "loggingConfig": {
            "logFormat": "JSON",
            "logGroup": f"/aws/lambda/{FUNCTION}",
            "applicationLogLevel": "INFO",
            "systemLogLevel": "INFO",
        },
        "deadLetterConfig": {"targetArn": DLQ_ARN},
        "environment": {"variables": VARIABLES},
        "tags": TAGS,
    },
    "function-live": {
        "type token": "aws:lambda/alias:Alias",
        "name": "live",
        "description": "The version that processes messages",
        "functionName": FUNCTION,
        "functionVersion": "1",
    },
    "function-event-source": {
        "type token": "aws:lambda/eventSourceMapping:EventSourceMapping",
        "eventSourceArn": QUEUE_ARN,
        "functionName": f"{FUNCTION_ARN}:live",
        "batchSize": 10,
        "maximumBatchingWindowInSeconds": 0,
        "functionResponseTypes": ["ReportBatchItemFailures"],
        "scalingConfig": {"maximumConcurrency": 10},
        "tags": TAGS,
    },
    "alarm-topic": {
        "type token": "aws:sns/topic:Topic",
        "name": f"{NAME}-alarms",
        "signatureVersion": 2,
        "tags": TAGS,
    },
    "alarm-topic-policy": {
        "type token": "aws:sns/topicPolicy:TopicPolicy",
        "arn": ALARM_TOPIC_ARN,
        "policy": document(
            tls_only("sns:Publish", ALARM_TOPIC_ARN),
            allow(
                "AllowAlarms",
                "sns:Publish",
                ALARM_TOPIC_ARN,
                Principal=service("cloudwatch"),
                Condition={
                    "StringEquals": {"aws:SourceAccount": "123456789012"},
                    "ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:{PLACE}:alarm:{NAME}-*"},
                },
            ),
        ),
    },
    "alarm-subscription": {
        "type token": "aws:sns/topicSubscription:TopicSubscription",
        "topic": ALARM_TOPIC_ARN,
        "protocol": "email",
        "endpoint": "team@example.com",
    },
    **alarm(
        "dead-letters",
        "The dead-letter queue has messages. Read their attributes, fix the cause, and redrive them.",
        "dlq Maximum ApproximateNumberOfMessagesVisible visible",
        "dlq Maximum ApproximateNumberOfMessagesNotVisible hidden",
        expression="visible + hidden",
        minutes=(1, 5),
    ),
    **alarm(
        "errors",
        "The function crashes or times out, and its messages are redelivered. Read the function's log.",
        "function Sum Errors",
        # A crashed batch is redelivered after 12 minutes (visibility timeout) and may run for 2 (function timeout).
        minutes=(2, 12 + 2 + 5),
    ),
    **alarm(
        "throttles",
        "Lambda has no concurrency left for the function. Raise the quota, or lower maximumConcurrency.",
        "function Sum Throttles",
        minutes=(3, 10),
    ),
    **alarm(
        "oldest-message",
        "A message has waited too long. The function fails or is too slow.",
        "queue Maximum ApproximateAgeOfOldestMessage",
        minutes=(1, 5),
        threshold=900,
        treatMissingData="notBreaching",
    ),
    **alarm(
        "returned",
        "More than 25 % of the messages fail and are retried. Read the function's log.",
        "messages Sum MessagesReturned returned",
        "messages Sum MessagesProcessed processed",
        expression="100 * returned / (returned + processed)",
        minutes=(3, 10),
        threshold=25,
    ),
    **alarm(
        "misconfigured",
        "AWS rejects the function's calls. Read its log, and fix the permission, resource or key.",
        "messages Sum MessagesMisconfigured",
        minutes=(3, 10),
    ),
    **alarm(
        "not-received",
        "Messages wait, but Lambda receives none. Check the event source mapping, key and permissions.",
        "queue Maximum ApproximateNumberOfMessagesVisible waiting",
        "queue Sum NumberOfMessagesReceived received",
        expression="waiting - 1000000000 * received",
        minutes=(5, 5),
    ),
    **alarm(
        "failed-notifications",
        "SNS has given up on delivering notifications to a subscriber. Check the subscriber.",
        "topic Sum NumberOfNotificationsFailed",
        minutes=(1, 10),
        treatMissingData="notBreaching",
    ),
    "dashboard": {
        "type token": "aws:cloudwatch/dashboard:Dashboard",
        "dashboardName": f"{NAME}-dashboard",
        "dashboardBody": {"widgets": [graph(title, metrics) for title, metrics in GRAPHS.items()]},
    },
}
BUCKETS: Final = ("payloads", "access-logs")
# In production: resources with `protect`, and with `retain_on_delete` (key, table, buckets and their settings).
PROTECTED: Final = {
    *("key", "payloads", "access-logs", "table"),
    *("queue", "dead-letter-queue", "topic", "alarm-topic", "function-logs", "function-role"),
}
RETAINED: Final = {
    "key",
    "table",
    *(name for name, each in EXPECTED.items() if each["type token"].startswith("aws:s3/")),
}
# Explicit dependencies (`depends_on`), where no input refers to the other resource.
AFTER: Final = {
    **{f"{name}-lifecycle": f"{name}-versioning" for name in BUCKETS},
    **{f"{name}-policy": f"{name}-public-access" for name in BUCKETS},
    "payloads-logging": "access-logs-policy",
    "function": "function-role-policy",
    **{name: "alarm-topic-policy" for name in EXPECTED if name.endswith("-alarm")},
}


def test_the_stack_has_these_resources(example: RecordedProgram) -> None:
    assert recorded_inputs(example).keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_resource_has_these_inputs(example: RecordedProgram, name: str) -> None:
    (type_,) = [each.type for each in example.resources if each.name == name and not each.is_component]

    assert {"type token": type_, **recorded_inputs(example)[name]} == EXPECTED[name]


@pytest.mark.parametrize("name", AFTER)
def test_a_resource_is_created_after_its_dependency(example: RecordedProgram, name: str) -> None:
    (after,) = [each.urn for each in example.resources if each.name == AFTER[name]]

    assert after in example.one(EXPECTED[name]["type token"], name).dependencies


def test_production_protects_and_retains_stateful_resources(production: RecordedProgram) -> None:
    found = [each for each in production.resources if not each.is_component]

    assert {each.name for each in found if each.protect} == PROTECTED
    assert {each.name for each in found if each.retain_on_delete} == RETAINED


def test_other_environments_can_be_destroyed(example: RecordedProgram) -> None:
    assert not [each.name for each in example.resources if each.protect or each.retain_on_delete]


def test_ci_guards_the_types_that_production_protects_or_retains() -> None:
    policies = tomllib.loads((PROJECT_FOLDER / "policies.toml").read_text(encoding="utf-8"))

    types = {EXPECTED[name]["type token"] for name in PROTECTED | RETAINED}
    assert policies["stateful"]["types"] == sorted(types), "the types under [stateful] in policies.toml"


def test_the_functions_handler_exists() -> None:
    module, _, name = EXPECTED["function"]["handler"].rpartition(".")
    source = (PROJECT_FOLDER / module.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8")

    assert f"def {name}(" in source


def test_the_stack_has_these_outputs(example: RecordedProgram) -> None:
    assert example.exports == OUTPUTS


def test_every_resource_belongs_to_a_component(example: RecordedProgram) -> None:
    components = {each.urn for each in example.resources if each.is_component}

    assert [each.name for each in example.resources if each.parent not in components] == ["pipeline"]
    # Pulumi treats a component without registered outputs as unfinished.
    assert components <= example.registered_outputs.keys()


def test_in_china_only_regional_names_have_another_domain(example: RecordedProgram) -> None:
    china = run_program(example_config(region="cn-north-1"), "example")

    text = json.dumps(recorded_inputs(example), sort_keys=True)
    text = text.replace("us-east-1.amazonaws.com", "cn-north-1.amazonaws.com.cn")
    text = text.replace("us-east-1", "cn-north-1").replace("arn:aws:", "arn:aws-cn:")
    assert json.loads(text) == recorded_inputs(china)


def test_the_suffix_is_a_part_of_every_name(example: RecordedProgram) -> None:
    text = json.dumps(recorded_inputs(run_program(example_config(environmentSuffix="qa"), "example")))

    text = text.replace(f"{PROJECT_NAME}-qa", NAME).replace('"EnvironmentSuffix": "qa"', '"EnvironmentSuffix": "dev"')
    assert json.loads(text) == recorded_inputs(example)


def test_the_longest_bucket_name_is_accepted_by_s3() -> None:
    project = "p" * PROJECT_MAX_LENGTH
    longest = run_program(example_config(project, environmentSuffix="s" * 12), "example", project=project)

    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    assert len(recorded_inputs(longest)["access-logs"]["bucket"]) == 63


def test_every_alarm_has_a_runbook() -> None:
    runbooks = (PROJECT_FOLDER / "docs" / "alarms.md").read_text(encoding="utf-8")

    alarms = {name.removesuffix("-alarm") for name in EXPECTED if name.endswith("-alarm")}
    assert {*re.findall(r"(?m)^## `(.+)`$", runbooks)} == alarms
