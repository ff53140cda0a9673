"""Ways to break a deployment, and the integration tests that must fail."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

Inputs = dict[str, Any]

BUCKET = "aws:s3/bucket:Bucket"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
BUCKET_ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
OWNERSHIP = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
PUBLIC_ACCESS = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
BUCKET_LOGGING = "aws:s3/bucketLogging:BucketLogging"
BUCKET_NOTIFICATION = "aws:s3/bucketNotification:BucketNotification"
TABLE = "aws:dynamodb/table:Table"
INSIGHTS = "aws:dynamodb/contributorInsights:ContributorInsights"
QUEUE = "aws:sqs/queue:Queue"
QUEUE_POLICY = "aws:sqs/queuePolicy:QueuePolicy"
REDRIVE_ALLOW = "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy"
TOPIC = "aws:sns/topic:Topic"
TOPIC_POLICY = "aws:sns/topicPolicy:TopicPolicy"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
FUNCTION = "aws:lambda/function:Function"
FUNCTION_ALIAS = "aws:lambda/alias:Alias"
MAPPING = "aws:lambda/eventSourceMapping:EventSourceMapping"
ROLE = "aws:iam/role:Role"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
RULE = "aws:cloudwatch/eventRule:EventRule"
TARGET = "aws:cloudwatch/eventTarget:EventTarget"
DASHBOARD = "aws:cloudwatch/dashboard:Dashboard"
KEY = "aws:kms/key:Key"
ALIAS = "aws:kms/alias:Alias"
# Not one of Pulumi's types: the stack's outputs can be broken like resources.
OUTPUT = "output"

SOMEBODY = "arn:aws:iam::123456789012:user/somebody"
OPEN = f'{{"Effect": "Allow", "Principal": {{"AWS": "{SOMEBODY}"}}, "Action": "s3:GetObject", "Resource": "*"}}'
OTHER_KEY = "arn:aws:kms:us-east-2:123456789012:key/99999999-8888-7777-6666-555555555555"
OTHER_ROLE = "arn:aws:iam::123456789012:role/another"
OTHER_TOPIC = "arn:aws:sns:us-east-2:123456789012:another"
# Settings with which the local stack has every optional resource and property that can be broken.
OPTIONS = {
    "contributorInsights": "true",
    "eventbridgeNotifications": "true",
    "idleAlarmMinutes": "60",
    "lambdaReservedConcurrency": "10",
    "permissionsBoundaryArn": "arn:aws:iam::123456789012:policy/boundary",
    "tableMaxWriteUnits": "100",
}


@dataclass(frozen=True)
class Breakage:
    """A deviation from the program: in a resource, several resources of a type, or an output.

    Attributes:
        type: Pulumi's type token.
        name: Logical name; an asterisk matches any.
        change: JSON merge patch for its inputs.
        replace: A JSON input, a text in it, and the replacement. Without this and without a change, the resource is not
            created.
        others: Integration tests that fail in addition to the resource's own.
        own: Whether the resource's own test fails.
    """

    type: str
    name: str
    change: Inputs | None = None
    replace: tuple[str, str, str] | None = None
    others: tuple[str, ...] = ()
    own: bool = True

    @property
    def caught_by(self) -> frozenset[str]:
        """Exactly the integration tests that must fail."""
        names = NAMES[self.type] if self.name == "*" else (self.name,)
        return frozenset({*self.others, *(own_test(self.type, name) for name in names if self.own)})

    @property
    def properties(self) -> frozenset[str]:
        """The changed inputs; none if the resource is not created."""
        return frozenset({*(self.change or {}), *(self.replace or ())[:1]})

    def concerns(self, type_: str, name: str) -> bool:
        """Whether a resource is broken."""
        return type_ == self.type and fnmatchcase(name, self.name)

    def apply(self, inputs: Inputs) -> Inputs | None:
        """Change a resource's inputs, or drop the resource.

        Raises:
            LookupError: If the text to replace does not exist.
        """
        if self.replace is not None:
            key, old, new = self.replace
            if old not in inputs[key]:
                raise LookupError(f"{key} of {self.name} does not contain {old!r}")
            return inputs | {key: inputs[key].replace(old, new)}
        return None if self.change is None else merged(inputs, self.change)


def merged(value: Any, patch: Any) -> Any:
    """Apply a JSON merge patch, as RFC 7396 describes it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, each in patch.items():
        if each is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), each)
    return result


RESOURCE = "test_a_resource_is_deployed_as_declared"
OUTPUT_TEST = "test_an_output_has_the_exported_value"
EVENT_SOURCES = "test_the_function_has_no_other_event_sources"
LIVE_VERSION = "test_an_alias_runs_the_function_as_declared"
BUNDLE = "test_the_function_and_its_aliases_run_the_bundle"
OTHER_OUTPUTS = "test_there_are_no_other_outputs"
POLICIES = "test_a_role_has_no_other_policies"
TARGETS = "test_a_rule_has_no_other_targets"
CONFIRMED = "test_an_e_mail_subscription_is_confirmed"
E_MAILS = "test_a_topic_has_no_other_e_mail_subscriptions"

BATCH = "test_nine_of_ten_messages_are_processed_once_if_one_is_bad"
DONE = "test_processed_messages_are_deleted_from_the_queue"
PAYLOAD = "test_a_payload_is_stored_byte_for_byte"
ITEM = "test_an_item_can_be_queried_by_time"
NOTIFICATION = "test_a_notification_has_the_messages_item"
REPEATED = "test_a_repeated_delivery_changes_nothing"
MALFORMED = (
    "test_a_malformed_message_is_dead_lettered_with_the_reason[data]",
    "test_a_malformed_message_is_dead_lettered_with_the_reason[JSON]",
)
SENT_BACK = "test_a_dead_letter_that_is_repaired_and_sent_back_keeps_its_identity"
RETRIED = "test_a_message_that_fails_is_retried_and_processed"
TOO_OFTEN = "test_a_message_that_fails_too_often_is_dead_lettered_with_the_reason"
CRASHED = "test_sqs_dead_letters_a_message_if_the_function_crashes"
FAILING = (RETRIED, TOO_OFTEN, CRASHED)
WORKFLOW = (BATCH, DONE, PAYLOAD, ITEM, NOTIFICATION, REPEATED, *MALFORMED, SENT_BACK, *FAILING)
# SQS dead-letters a message also if every version of the function crashes.
WITHOUT_A_CRASH = tuple(test for test in WORKFLOW if test != CRASHED)
# A message fails too often in a version that the test publishes.
OF_THE_LIVE_VERSION = tuple(test for test in WITHOUT_A_CRASH if test != TOO_OFTEN)
READ_THROUGH_THE_INDEX = (BATCH, ITEM, NOTIFICATION, PAYLOAD, REPEATED, SENT_BACK)


def own_test(type_: str, name: str) -> str:
    """Return the name of the integration test of a resource or an output."""
    if type_ == OUTPUT:
        return f"{OUTPUT_TEST}[{name}]"
    return f"{RESOURCE}[{type_.rpartition(':')[2]} {name}]"


# Resources that refer to the stack's key.
ENCRYPTED = tuple(
    own_test(type_, name)
    for type_, name in (
        (BUCKET_ENCRYPTION, "payloads-encryption"),
        (FUNCTION, "function"),
        (KEY, "key"),
        (LOG_GROUP, "function-logs"),
        (QUEUE, "dead-letter-queue"),
        (QUEUE, "queue"),
        (ROLE_POLICY, "function-role-policy"),
        (RULE, "key-rule"),
        (TABLE, "table"),
        (TOPIC, "topic"),
    )
)
# The names that an asterisk matches.
NAMES = {
    ALARM: (
        "dead-letters-alarm",
        "duration-alarm",
        "errors-alarm",
        "failed-notifications-alarm",
        "idle-alarm",
        "misconfigured-alarm",
        "new-dead-letters-alarm",
        "not-received-alarm",
        "oldest-message-alarm",
        "returned-alarm",
        "throttled-writes-alarm",
        "throttles-alarm",
    ),
    BUCKET: ("access-logs", "payloads"),
}


def index(**changes: Any) -> Inputs:
    """Return the table's index with changes."""
    declared = {
        "name": "timestamp-index",
        "projectionType": "INCLUDE",
        "nonKeyAttributes": ["object_key", "type"],
        "keySchemas": [
            {"attributeName": "date", "keyType": "HASH"},
            {"attributeName": "timestamp", "keyType": "RANGE"},
        ],
        "onDemandThroughput": {"maxReadRequestUnits": -1, "maxWriteRequestUnits": 100},
    }
    return {"globalSecondaryIndexes": [merged(declared, changes)]}


def bucket_encryption(**changes: Any) -> Inputs:
    """Return the encryption of the log bucket with changes."""
    declared = {
        "applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"},
        "blockedEncryptionTypes": ["SSE-C"],
        "bucketKeyEnabled": False,
    }
    return {"rules": [merged(declared, changes)]}


def lifecycle(*, status: str = "Enabled", prefix: str = "", days: int = 30) -> Inputs:
    """Return lifecycle rules in which only the one for noncurrent versions can differ."""
    return {
        "rules": [
            {
                "id": "replaced",
                "status": status,
                "filter": {"prefix": prefix},
                "noncurrentVersionExpiration": {"noncurrentDays": days},
            },
            {
                "id": "abandoned",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
            },
        ]
    }


BREAKAGES: dict[str, Breakage] = {
    "versioning off": Breakage(VERSIONING, "payloads-versioning", {"versioningConfiguration": {"status": "Suspended"}}),
    "versioning of the logs off": Breakage(VERSIONING, "access-logs-versioning"),
    "public access not blocked": Breakage(PUBLIC_ACCESS, "payloads-public-access"),
    "one way of public access open": Breakage(PUBLIC_ACCESS, "access-logs-public-access", {"blockPublicPolicy": False}),
    "objects owned by writers": Breakage(
        OWNERSHIP, "payloads-ownership", {"rule": {"objectOwnership": "ObjectWriter"}}
    ),
    "logs owned by writers": Breakage(
        OWNERSHIP, "access-logs-ownership", {"rule": {"objectOwnership": "BucketOwnerPreferred"}}
    ),
    "no encryption of payloads": Breakage(BUCKET_ENCRYPTION, "payloads-encryption"),
    "payloads encrypted without the key": Breakage(
        BUCKET_ENCRYPTION,
        "payloads-encryption",
        bucket_encryption(bucketKeyEnabled=True),
    ),
    "logs encrypted so that S3 cannot deliver them": Breakage(
        BUCKET_ENCRYPTION,
        "access-logs-encryption",
        bucket_encryption(applyServerSideEncryptionByDefault={"sseAlgorithm": "aws:kms"}),
    ),
    "logs encrypted with keys of clients": Breakage(
        BUCKET_ENCRYPTION, "access-logs-encryption", bucket_encryption(blockedEncryptionTypes=None)
    ),
    "no lifecycle": Breakage(LIFECYCLE, "payloads-lifecycle"),
    "noncurrent versions kept too long": Breakage(LIFECYCLE, "payloads-lifecycle", lifecycle(days=3000)),
    "rules switched off": Breakage(LIFECYCLE, "payloads-lifecycle", lifecycle(status="Disabled")),
    "rules for some objects": Breakage(LIFECYCLE, "payloads-lifecycle", lifecycle(prefix="x")),
    "logs kept forever": Breakage(LIFECYCLE, "access-logs-lifecycle"),
    "payloads without TLS": Breakage(BUCKET_POLICY, "payloads-policy"),
    "TLS required by a condition that never holds": Breakage(
        BUCKET_POLICY,
        "payloads-policy",
        replace=("policy", '"aws:SecureTransport": "false"', '"aws:SecureTransport": "true"'),
    ),
    "payloads open to somebody": Breakage(
        BUCKET_POLICY,
        "payloads-policy",
        replace=(
            "policy",
            '"Statement": [',
            f'"Statement": [{OPEN}, ',
        ),
    ),
    "logs of any bucket": Breakage(
        BUCKET_POLICY,
        "access-logs-policy",
        replace=(
            "policy",
            '"aws:SourceArn": "arn:aws:s3:::event-pipeline-local-payloads-123456789012"',
            '"aws:SourceArn": "arn:aws:s3:::*"',
        ),
    ),
    "access not logged": Breakage(BUCKET_LOGGING, "payloads-logging"),
    "no events for payloads": Breakage(BUCKET_NOTIFICATION, "payloads-notification", {"eventbridge": False}),
    "buckets in another region": Breakage(BUCKET, "*", {"region": "eu-west-1"}),
    "no recovery": Breakage(TABLE, "table", {"pointInTimeRecovery": {"enabled": False}}),
    "index missing": Breakage(
        TABLE,
        "table",
        {"globalSecondaryIndexes": None},
        others=(*READ_THROUGH_THE_INDEX, own_test(INSIGHTS, "index-insights")),
    ),
    "index without a range": Breakage(
        TABLE,
        "table",
        index(keySchemas=[{"attributeName": "date", "keyType": "HASH"}]),
        others=(*READ_THROUGH_THE_INDEX,),
    ),
    "index with keys only": Breakage(
        TABLE,
        "table",
        index(projectionType="KEYS_ONLY", nonKeyAttributes=None),
        others=(ITEM, NOTIFICATION),
    ),
    "index without the object's key": Breakage(
        TABLE, "table", index(nonKeyAttributes=["type"]), others=(ITEM, NOTIFICATION)
    ),
    "index that may write without a limit": Breakage(TABLE, "table", index(onDemandThroughput=None)),
    "table that may write without a limit": Breakage(TABLE, "table", {"onDemandThroughput": None}),
    "table that may read less": Breakage(TABLE, "table", {"onDemandThroughput": {"maxReadRequestUnits": 1}}),
    "items that do not expire": Breakage(TABLE, "table", {"ttl": None}),
    "items that expire by another attribute": Breakage(TABLE, "table", {"ttl": {"attributeName": "timestamp"}}),
    "no insights into the table": Breakage(INSIGHTS, "table-insights"),
    "no insights into the index": Breakage(INSIGHTS, "index-insights"),
    "table not encrypted with the key": Breakage(TABLE, "table", {"serverSideEncryption": {"kmsKeyArn": OTHER_KEY}}),
    "table not encrypted": Breakage(TABLE, "table", {"serverSideEncryption": None}),
    "table of fixed capacity": Breakage(TABLE, "table", {"billingMode": "PROVISIONED"}),
    "table with a range key": Breakage(
        TABLE, "table", {"rangeKey": "date"}, others=tuple(test for test in WORKFLOW if test != TOO_OFTEN)
    ),
    "deletion protection inverted": Breakage(TABLE, "table", {"deletionProtectionEnabled": True}),
    "retention short": Breakage(QUEUE, "queue", {"messageRetentionSeconds": 345600}),
    "retention of dead letters short": Breakage(QUEUE, "dead-letter-queue", {"messageRetentionSeconds": 345600}),
    "visibility timeout short": Breakage(QUEUE, "queue", {"visibilityTimeoutSeconds": 300}),
    "no redrive": Breakage(QUEUE, "queue", {"redrivePolicy": None}, others=FAILING),
    "too few receives": Breakage(
        QUEUE, "queue", replace=("redrivePolicy", '"maxReceiveCount": 10', '"maxReceiveCount": 9')
    ),
    "messages too large for the dead-letter queue": Breakage(QUEUE, "queue", {"maxMessageSize": 266240}),
    "small dead letters": Breakage(QUEUE, "dead-letter-queue", {"maxMessageSize": 1024}),
    "queue not encrypted": Breakage(QUEUE, "queue", {"kmsMasterKeyId": None}),
    "dead letters not encrypted with the key": Breakage(
        QUEUE, "dead-letter-queue", {"kmsMasterKeyId": "alias/aws/sqs"}
    ),
    "queue without TLS": Breakage(QUEUE_POLICY, "queue-policy"),
    "dead-letter queue open to everybody": Breakage(
        QUEUE_POLICY, "dead-letter-queue-policy", replace=("policy", '"Effect": "Deny"', '"Effect": "Allow"')
    ),
    "dead letters of any queue": Breakage(REDRIVE_ALLOW, "dead-letter-queue-redrive-allow"),
    "topic not encrypted": Breakage(TOPIC, "topic", {"kmsMasterKeyId": None}),
    "notifications signed with SHA-1": Breakage(TOPIC, "topic", {"signatureVersion": 1}),
    "alarms signed with SHA-1": Breakage(TOPIC, "alarm-topic", {"signatureVersion": None}),
    "alarms that need the key that they watch": Breakage(TOPIC, "alarm-topic", {"kmsMasterKeyId": OTHER_KEY}),
    "alarm topic open to any account's alarms": Breakage(
        TOPIC_POLICY,
        "alarm-topic-policy",
        replace=("policy", '"aws:SourceAccount": "123456789012"', '"aws:SourceAccount": "*"'),
    ),
    "alarm topic open to any alarm": Breakage(
        TOPIC_POLICY, "alarm-topic-policy", replace=("policy", ":alarm:event-pipeline-local-*", ":alarm:*")
    ),
    "alarm topic closed to rules": Breakage(
        TOPIC_POLICY, "alarm-topic-policy", replace=("policy", '"events.amazonaws.com"', '"s3.amazonaws.com"')
    ),
    "topic without a policy": Breakage(TOPIC_POLICY, "topic-policy"),
    "alarm topic without a policy": Breakage(TOPIC_POLICY, "alarm-topic-policy"),
    "no subscription": Breakage(SUBSCRIPTION, "alarm-subscription", others=(CONFIRMED,)),
    "somebody else subscribed": Breakage(
        SUBSCRIPTION, "alarm-subscription", {"endpoint": "other@example.com"}, others=(CONFIRMED, E_MAILS)
    ),
    "no events about the key": Breakage(RULE, "key-rule", {"eventPattern": '{"source": ["aws.s3"]}'}),
    "deletion of the key is no event": Breakage(
        RULE, "key-rule", replace=("eventPattern", ', "ScheduleKeyDeletion"', "")
    ),
    "rule switched off": Breakage(RULE, "key-rule", {"state": "DISABLED"}),
    "rule without a target": Breakage(TARGET, "key-target", others=(TARGETS,)),
    "rule with another target": Breakage(TARGET, "key-target", {"arn": OTHER_TOPIC}, others=(TARGETS,)),
    "rule that sends another text": Breakage(TARGET, "key-target", {"input": '{"all": "well"}'}),
    "wrong runtime": Breakage(FUNCTION, "function", {"runtime": "python3.12"}, others=(LIVE_VERSION,)),
    "wrong architecture": Breakage(FUNCTION, "function", {"architectures": ["x86_64"]}, others=(LIVE_VERSION,)),
    "wrong memory": Breakage(FUNCTION, "function", {"memorySize": 256}, others=(LIVE_VERSION,)),
    "wrong timeout": Breakage(FUNCTION, "function", {"timeout": 90}, others=(LIVE_VERSION,)),
    "wrong handler": Breakage(
        FUNCTION, "function", {"handler": "processor.handler.nothing"}, others=(LIVE_VERSION, *WITHOUT_A_CRASH)
    ),
    "another environment": Breakage(
        FUNCTION, "function", {"environment": {"variables": {"ENVIRONMENT": "dev"}}}, others=(LIVE_VERSION,)
    ),
    "environment lacks a variable": Breakage(
        FUNCTION,
        "function",
        {"environment": {"variables": {"TABLE_NAME": None}}},
        others=(LIVE_VERSION, *WITHOUT_A_CRASH),
    ),
    "environment not encrypted with the key": Breakage(
        FUNCTION, "function", {"kmsKeyArn": None}, others=(LIVE_VERSION,)
    ),
    "no tracing": Breakage(FUNCTION, "function", {"tracingConfig": {"mode": "PassThrough"}}, others=(LIVE_VERSION,)),
    "log without levels": Breakage(
        FUNCTION,
        "function",
        {"loggingConfig": {"logFormat": "Text", "applicationLogLevel": None, "systemLogLevel": None}},
        others=(LIVE_VERSION,),
    ),
    "debugging logged": Breakage(
        FUNCTION, "function", {"loggingConfig": {"applicationLogLevel": "DEBUG"}}, others=(LIVE_VERSION,)
    ),
    "asynchronous failures lost": Breakage(FUNCTION, "function", {"deadLetterConfig": None}, others=(LIVE_VERSION,)),
    "another bundle": Breakage(FUNCTION, "function", {"code": "another"}, others=(BUNDLE, *WITHOUT_A_CRASH), own=False),
    "no executions reserved": Breakage(FUNCTION, "function", {"reservedConcurrentExecutions": -1}),
    "another timeout of the live version": Breakage(
        FUNCTION, "function", {"published": {"timeout": 90}}, others=(LIVE_VERSION,), own=False
    ),
    "another environment of the live version": Breakage(
        FUNCTION,
        "function",
        {"published": {"environment": {"variables": {"ENVIRONMENT": "dev"}}}},
        others=(LIVE_VERSION,),
        own=False,
    ),
    "another bundle of the live version": Breakage(
        FUNCTION, "function", {"published": {"code": "another"}}, others=(BUNDLE, *OF_THE_LIVE_VERSION), own=False
    ),
    "no version published": Breakage(
        FUNCTION, "function", {"publish": False}, others=(own_test(FUNCTION_ALIAS, "function-live"),), own=False
    ),
    "alias that runs what is not published": Breakage(FUNCTION_ALIAS, "function-live", {"functionVersion": "$LATEST"}),
    "alias that runs two versions": Breakage(
        FUNCTION_ALIAS, "function-live", {"routingConfig": {"additionalVersionWeights": {"99": 0.5}}}
    ),
    "permission missing": Breakage(
        ROLE_POLICY,
        "function-role-policy",
        replace=("policy", '["dynamodb:PutItem", "dynamodb:UpdateItem"]', '"dynamodb:PutItem"'),
    ),
    "policy too wide": Breakage(
        ROLE_POLICY, "function-role-policy", replace=("policy", '"s3:PutObject"', '["s3:PutObject", "s3:*"]')
    ),
    "policy for any resource": Breakage(
        ROLE_POLICY,
        "function-role-policy",
        replace=("policy", "event-pipeline-local-payloads-123456789012/messages/*", "*"),
    ),
    "key usable by any service": Breakage(
        ROLE_POLICY, "function-role-policy", replace=("policy", '"sqs.us-east-2.amazonaws.com"', '"*"')
    ),
    "no policy": Breakage(ROLE_POLICY, "function-role-policy", others=(POLICIES,)),
    "another policy attached": Breakage(
        ROLE, "function-role", {"managedPolicyArns": ["arn:aws:iam::123456789012:policy/Admin"]}
    ),
    "role for everybody": Breakage(
        ROLE, "function-role", replace=("assumeRolePolicy", '{"Service": "lambda.amazonaws.com"}', '{"AWS": "*"}')
    ),
    "no boundary of the role": Breakage(ROLE, "function-role", {"permissionsBoundary": None}),
    "no mapping": Breakage(MAPPING, "function-event-source", others=(*WORKFLOW, EVENT_SOURCES)),
    "smaller batches": Breakage(MAPPING, "function-event-source", {"batchSize": 5}),
    "batching window": Breakage(MAPPING, "function-event-source", {"maximumBatchingWindowInSeconds": 1}),
    "no partial responses": Breakage(
        MAPPING, "function-event-source", {"functionResponseTypes": None}, others=(RETRIED, TOO_OFTEN)
    ),
    "mapping of a version instead of the alias": Breakage(
        MAPPING,
        "function-event-source",
        {"functionName": "arn:aws:lambda:us-east-2:123456789012:function:event-pipeline-local-processor:1"},
        others=FAILING,
    ),
    "messages filtered": Breakage(
        MAPPING, "function-event-source", {"filterCriteria": {"filters": [{"pattern": "{}"}]}}
    ),
    "maximum concurrency too high": Breakage(
        MAPPING, "function-event-source", {"scalingConfig": {"maximumConcurrency": 100}}
    ),
    "log retention short": Breakage(LOG_GROUP, "function-logs", {"retentionInDays": 1}),
    "logs not encrypted": Breakage(LOG_GROUP, "function-logs", {"kmsKeyId": None}),
    "alarm on another metric": Breakage(ALARM, "oldest-message-alarm", {"metricName": "NumberOfMessagesSent"}),
    "alarm on another queue": Breakage(ALARM, "oldest-message-alarm", {"dimensions": {"QueueName": "another"}}),
    "alarm too late": Breakage(ALARM, "oldest-message-alarm", {"threshold": 86400}),
    "alarm after one bad minute": Breakage(ALARM, "errors-alarm", {"datapointsToAlarm": 1}),
    "alarm that looks at fewer minutes": Breakage(ALARM, "returned-alarm", {"evaluationPeriods": 5}),
    "alarm with another action": Breakage(ALARM, "errors-alarm", {"insufficientDataActions": [OTHER_TOPIC]}),
    "alarm without data": Breakage(ALARM, "throttles-alarm", {"treatMissingData": "breaching"}),
    "alarm without actions": Breakage(ALARM, "misconfigured-alarm", {"alarmActions": []}),
    "alarm switched off": Breakage(ALARM, "misconfigured-alarm", {"actionsEnabled": False}),
    "no alarms": Breakage(ALARM, "*"),
    "no dashboard": Breakage(DASHBOARD, "dashboard"),
    "dashboard lacks a metric": Breakage(
        DASHBOARD, "dashboard", replace=("dashboardBody", '"Throttles"', '"Invocations"')
    ),
    "key not rotated": Breakage(KEY, "key", {"enableKeyRotation": False}),
    "key disabled": Breakage(KEY, "key", {"isEnabled": False}),
    "key open to everybody": Breakage(
        KEY, "key", replace=("policy", '{"AWS": "arn:aws:iam::123456789012:root"}', '{"AWS": "*"}')
    ),
    "no alias": Breakage(ALIAS, "key-alias", others=(*ENCRYPTED, LIVE_VERSION)),
    "untagged bucket": Breakage(BUCKET, "payloads", {"tags": None}),
    "untagged log bucket": Breakage(BUCKET, "access-logs", {"tags": None}),
    "untagged table": Breakage(TABLE, "table", {"tags": None}),
    "untagged queue": Breakage(QUEUE, "queue", {"tags": None}),
    "untagged dead-letter queue": Breakage(QUEUE, "dead-letter-queue", {"tags": None}),
    "untagged topic": Breakage(TOPIC, "topic", {"tags": None}),
    "untagged alarm topic": Breakage(TOPIC, "alarm-topic", {"tags": None}),
    "untagged rule": Breakage(RULE, "key-rule", {"tags": None}),
    "untagged function": Breakage(FUNCTION, "function", {"tags": None}),
    "untagged mapping": Breakage(MAPPING, "function-event-source", {"tags": None}),
    "untagged role": Breakage(ROLE, "function-role", {"tags": None}),
    "untagged log group": Breakage(LOG_GROUP, "function-logs", {"tags": None}),
    "key with other tags": Breakage(KEY, "key", {"tags": {"Environment": "dev"}}),
    "alarms with other tags": Breakage(ALARM, "*", {"tags": {"Project": "another"}}),
    "logs without TLS": Breakage(
        BUCKET_POLICY,
        "access-logs-policy",
        replace=("policy", '"aws:SecureTransport": "false"', '"aws:SecureTransport": "true"'),
    ),
    "mapping of another queue": Breakage(
        MAPPING,
        "function-event-source",
        {"eventSourceArn": "arn:aws:sqs:us-east-2:123456789012:event-pipeline-local-dead-letter-queue"},
        others=(*WORKFLOW, EVENT_SOURCES),
    ),
    "wrong output bucket_name": Breakage(
        OUTPUT, "bucket_name", {"bucket_name": "event-pipeline-local-access-logs-123456789012"}
    ),
    "wrong output bucket_arn": Breakage(
        OUTPUT, "bucket_arn", {"bucket_arn": "arn:aws:s3:::event-pipeline-local-access-logs-123456789012"}
    ),
    "wrong output table_name": Breakage(OUTPUT, "table_name", {"table_name": "another"}),
    "wrong output table_arn": Breakage(
        OUTPUT, "table_arn", {"table_arn": "arn:aws:dynamodb:us-east-2:123456789012:table/another"}
    ),
    "wrong output topic_arn": Breakage(OUTPUT, "topic_arn", {"topic_arn": OTHER_TOPIC}),
    "wrong output alarm_topic_arn": Breakage(OUTPUT, "alarm_topic_arn", {"alarm_topic_arn": OTHER_TOPIC}),
    "wrong output queue_url": Breakage(
        OUTPUT, "queue_url", {"queue_url": "http://127.0.0.1/123456789012/event-pipeline-local-dead-letter-queue"}
    ),
    "wrong output queue_arn": Breakage(
        OUTPUT, "queue_arn", {"queue_arn": "arn:aws:sqs:us-east-2:123456789012:event-pipeline-local-dead-letter-queue"}
    ),
    "wrong output dlq_url": Breakage(
        OUTPUT, "dlq_url", {"dlq_url": "http://127.0.0.1/123456789012/event-pipeline-local-queue"}
    ),
    "wrong output dlq_arn": Breakage(
        OUTPUT, "dlq_arn", {"dlq_arn": "arn:aws:sqs:us-east-2:123456789012:event-pipeline-local-queue"}
    ),
    "wrong output function_arn": Breakage(
        OUTPUT, "function_arn", {"function_arn": "arn:aws:lambda:us-east-2:123456789012:function:another"}
    ),
    "wrong output function_name": Breakage(OUTPUT, "function_name", {"function_name": "another"}),
    "wrong output lambda_role_arn": Breakage(OUTPUT, "lambda_role_arn", {"lambda_role_arn": OTHER_ROLE}),
    "another output": Breakage(OUTPUT, "other", {"other": "value"}, others=(OTHER_OUTPUTS,), own=False),
}
