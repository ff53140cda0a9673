"""Promises that a deployment can break, and the integration tests that must notice."""

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
TABLE = "aws:dynamodb/table:Table"
QUEUE = "aws:sqs/queue:Queue"
QUEUE_POLICY = "aws:sqs/queuePolicy:QueuePolicy"
REDRIVE_ALLOW = "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy"
TOPIC = "aws:sns/topic:Topic"
TOPIC_POLICY = "aws:sns/topicPolicy:TopicPolicy"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
FUNCTION = "aws:lambda/function:Function"
MAPPING = "aws:lambda/eventSourceMapping:EventSourceMapping"
ROLE = "aws:iam/role:Role"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
DASHBOARD = "aws:cloudwatch/dashboard:Dashboard"
KEY = "aws:kms/key:Key"
ALIAS = "aws:kms/alias:Alias"
# Not one of Pulumi's types: the stack's exports are broken like resources.
OUTPUT = "output"

OPEN = '{"Sid": "Open", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}'
OTHER_KEY = "arn:aws:kms:us-east-2:123456789012:key/99999999-8888-7777-6666-555555555555"
OTHER_ROLE = "arn:aws:iam::123456789012:role/another"


@dataclass(frozen=True)
class Breakage:
    """What is created otherwise than the program says: a resource, several of a type, or an output.

    Attributes:
        type: Pulumi's type token.
        name: Logical name; an asterisk stands for any.
        caught_by: The integration tests that fail, and no others do.
        change: What its inputs are changed to, as a JSON merge patch.
        replace: An input that is JSON, a text in it, and what that is replaced with. Without this and without a change
            the resource is not created at all.
    """

    type: str
    name: str
    caught_by: tuple[str, ...]
    change: Inputs | None = None
    replace: tuple[str, str, str] | None = None

    def concerns(self, type_: str, name: str) -> bool:
        """Whether a resource is broken."""
        return type_ == self.type and fnmatchcase(name, self.name)

    def apply(self, inputs: Inputs) -> Inputs | None:
        """Change a resource's inputs, or drop the resource.

        Raises:
            LookupError: If the text that is to be replaced is not there.
        """
        if self.replace is not None:
            key, old, new = self.replace
            if old not in inputs[key]:
                raise LookupError(f"{key} of {self.name} does not hold {old!r}")
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


WORKFLOW = (
    "test_a_malformed_message_is_dead_lettered_with_its_reason[JSON]",
    "test_a_malformed_message_is_dead_lettered_with_its_reason[data]",
    "test_a_message_is_announced_with_its_item",
    "test_a_message_that_fails_too_often_is_dead_lettered_by_its_queue",
    "test_a_payload_is_stored_byte_for_byte",
    "test_a_transient_failure_is_retried_and_then_done",
    "test_an_item_is_found_by_time",
    "test_of_ten_messages_one_is_bad_and_nine_are_processed_once",
)
ALARM_TESTS = (
    "test_an_alarm_and_its_end_are_announced[dead-letters]",
    "test_an_alarm_and_its_end_are_announced[errors]",
    "test_an_alarm_and_its_end_are_announced[throttles]",
    "test_an_alarm_and_its_end_are_announced[oldest-message]",
    "test_an_alarm_and_its_end_are_announced[misconfigured]",
    "test_an_alarm_is_raised_at_once[dead-letters]",
    "test_an_alarm_is_raised_at_once[errors]",
    "test_an_alarm_is_raised_at_once[throttles]",
    "test_an_alarm_is_raised_at_once[oldest-message]",
    "test_an_alarm_is_raised_at_once[misconfigured]",
    "test_an_alarm_watches_its_metric[dead-letters]",
    "test_an_alarm_watches_its_metric[errors]",
    "test_an_alarm_watches_its_metric[throttles]",
    "test_an_alarm_watches_its_metric[oldest-message]",
    "test_an_alarm_watches_its_metric[misconfigured]",
)
ALARM_TAGS = (
    "test_a_resource_says_whose_it_is[dead-letters alarm]",
    "test_a_resource_says_whose_it_is[errors alarm]",
    "test_a_resource_says_whose_it_is[throttles alarm]",
    "test_a_resource_says_whose_it_is[oldest-message alarm]",
    "test_a_resource_says_whose_it_is[misconfigured alarm]",
)
MAPPING_TESTS = (
    "test_a_message_that_fails_returns_without_the_rest_of_its_batch",
    "test_a_resource_says_whose_it_is[event source mapping]",
    "test_batches_run_as_often_at_once_as_configured",
    "test_messages_come_in_the_configured_batches",
    "test_the_event_source_is_on_unless_a_poller_takes_its_place",
    "test_the_queues_messages_reach_the_function",
)


def lifecycle(*, status: str = "Enabled", prefix: str = "", days: int = 30) -> Inputs:
    """Form a lifecycle of which only the rule for replaced versions can be wrong."""
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
    "versioning off": Breakage(
        VERSIONING,
        "payloads-versioning",
        ("test_a_bucket_keeps_replaced_versions[payloads]",),
        {"versioningConfiguration": {"status": "Suspended"}},
    ),
    "versioning of the logs off": Breakage(
        VERSIONING, "access-logs-versioning", ("test_a_bucket_keeps_replaced_versions[access_logs]",)
    ),
    "public access not blocked": Breakage(
        PUBLIC_ACCESS, "payloads-public-access", ("test_a_bucket_is_private[payloads]",)
    ),
    "one way of public access open": Breakage(
        PUBLIC_ACCESS,
        "access-logs-public-access",
        ("test_a_bucket_is_private[access_logs]",),
        {"blockPublicPolicy": False},
    ),
    "objects owned by writers": Breakage(
        OWNERSHIP,
        "payloads-ownership",
        ("test_a_bucket_owns_its_objects[payloads]",),
        {"rule": {"objectOwnership": "ObjectWriter"}},
    ),
    "no ownership controls": Breakage(
        OWNERSHIP, "access-logs-ownership", ("test_a_bucket_owns_its_objects[access_logs]",)
    ),
    "no encryption of payloads": Breakage(
        BUCKET_ENCRYPTION, "payloads-encryption", ("test_payloads_are_encrypted_with_the_stacks_key",)
    ),
    "payloads encrypted without the key": Breakage(
        BUCKET_ENCRYPTION,
        "payloads-encryption",
        ("test_payloads_are_encrypted_with_the_stacks_key",),
        {"rules": [{"bucketKeyEnabled": True, "applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
    ),
    "no encryption of logs": Breakage(BUCKET_ENCRYPTION, "access-logs-encryption", ("test_access_logs_are_encrypted",)),
    "no lifecycle": Breakage(LIFECYCLE, "payloads-lifecycle", ("test_replaced_payloads_and_abandoned_uploads_go",)),
    "replaced versions kept for too long": Breakage(
        LIFECYCLE, "payloads-lifecycle", ("test_replaced_payloads_and_abandoned_uploads_go",), lifecycle(days=3000)
    ),
    "rules switched off": Breakage(
        LIFECYCLE,
        "payloads-lifecycle",
        ("test_replaced_payloads_and_abandoned_uploads_go",),
        lifecycle(status="Disabled"),
    ),
    "rules for some objects": Breakage(
        LIFECYCLE, "payloads-lifecycle", ("test_replaced_payloads_and_abandoned_uploads_go",), lifecycle(prefix="x")
    ),
    "logs kept for ever": Breakage(LIFECYCLE, "access-logs-lifecycle", ("test_access_logs_go_after_a_year",)),
    "payloads without TLS": Breakage(
        BUCKET_POLICY, "payloads-policy", ("test_a_bucket_is_reached_over_tls_only[payloads]",)
    ),
    "TLS asked for by a condition that never holds": Breakage(
        BUCKET_POLICY,
        "payloads-policy",
        ("test_a_bucket_is_reached_over_tls_only[payloads]",),
        replace=("policy", '"aws:SecureTransport": "false"', '"aws:SecureTransport": "true"'),
    ),
    "payloads open to everybody": Breakage(
        BUCKET_POLICY,
        "payloads-policy",
        ("test_nobody_else_is_let_into_a_bucket[payloads]",),
        replace=(
            "policy",
            '"Statement": [',
            f'"Statement": [{OPEN}, ',
        ),
    ),
    "logs of any bucket": Breakage(
        BUCKET_POLICY,
        "access-logs-policy",
        ("test_access_logs_come_from_the_payloads_alone",),
        replace=(
            "policy",
            '"aws:SourceArn": "arn:aws:s3:::event-pipeline-local-payloads-123456789012"',
            '"aws:SourceArn": "arn:aws:s3:::*"',
        ),
    ),
    "access not logged": Breakage(BUCKET_LOGGING, "payloads-logging", ("test_access_to_payloads_is_logged",)),
    "buckets in another region": Breakage(
        BUCKET,
        "*",
        (
            "test_a_bucket_is_in_the_stacks_region[access_logs]",
            "test_a_bucket_is_in_the_stacks_region[payloads]",
        ),
        {"region": "eu-west-1"},
    ),
    "no recovery": Breakage(
        TABLE, "table", ("test_the_table_can_be_recovered",), {"pointInTimeRecovery": {"enabled": False}}
    ),
    "index missing": Breakage(
        TABLE,
        "table",
        (
            "test_a_message_is_announced_with_its_item",
            "test_a_payload_is_stored_byte_for_byte",
            "test_an_index_finds_items_by_time",
            "test_an_item_is_found_by_time",
            "test_of_ten_messages_one_is_bad_and_nine_are_processed_once",
        ),
        {"globalSecondaryIndexes": None},
    ),
    "index without a range": Breakage(
        TABLE,
        "table",
        (
            "test_a_message_is_announced_with_its_item",
            "test_a_payload_is_stored_byte_for_byte",
            "test_an_index_finds_items_by_time",
            "test_an_item_is_found_by_time",
            "test_of_ten_messages_one_is_bad_and_nine_are_processed_once",
        ),
        {
            "globalSecondaryIndexes": [
                {
                    "name": "timestamp-index",
                    "projectionType": "ALL",
                    "keySchemas": [{"attributeName": "date", "keyType": "HASH"}],
                }
            ]
        },
    ),
    "index with keys only": Breakage(
        TABLE,
        "table",
        (
            "test_a_message_is_announced_with_its_item",
            "test_an_index_finds_items_by_time",
            "test_an_item_is_found_by_time",
        ),
        {
            "globalSecondaryIndexes": [
                {
                    "name": "timestamp-index",
                    "projectionType": "KEYS_ONLY",
                    "keySchemas": [
                        {"attributeName": "date", "keyType": "HASH"},
                        {"attributeName": "timestamp", "keyType": "RANGE"},
                    ],
                }
            ]
        },
    ),
    "table not encrypted with the key": Breakage(
        TABLE,
        "table",
        ("test_items_are_encrypted_with_the_stacks_key",),
        {"serverSideEncryption": {"kmsKeyArn": OTHER_KEY}},
    ),
    "table not encrypted": Breakage(
        TABLE, "table", ("test_items_are_encrypted_with_the_stacks_key",), {"serverSideEncryption": None}
    ),
    "table of fixed capacity": Breakage(
        TABLE, "table", ("test_the_table_is_paid_for_by_use",), {"billingMode": "PROVISIONED"}
    ),
    "table keyed by more": Breakage(
        TABLE,
        "table",
        (
            *WORKFLOW,
            "test_an_item_is_found_by_its_message",
        ),
        {"rangeKey": "date"},
    ),
    "deletion protection the other way": Breakage(
        TABLE, "table", ("test_the_table_of_production_cannot_be_deleted",), {"deletionProtectionEnabled": True}
    ),
    "retention short": Breakage(
        QUEUE, "queue", ("test_the_queue_keeps_messages",), {"messageRetentionSeconds": 345600}
    ),
    "retention of dead letters short": Breakage(
        QUEUE,
        "dead-letter-queue",
        ("test_the_dead_letter_queue_keeps_messages_as_long_as_it_can",),
        {"messageRetentionSeconds": 345600},
    ),
    "visibility timeout short": Breakage(
        QUEUE, "queue", ("test_a_received_message_stays_hidden_for_six_timeouts",), {"visibilityTimeoutSeconds": 300}
    ),
    "no redrive": Breakage(
        QUEUE,
        "queue",
        (
            "test_a_message_that_fails_too_often_is_dead_lettered_by_its_queue",
            "test_a_message_that_is_received_too_often_is_dead_lettered",
        ),
        {"redrivePolicy": None},
    ),
    "too few receives": Breakage(
        QUEUE,
        "queue",
        ("test_a_message_that_is_received_too_often_is_dead_lettered",),
        replace=("redrivePolicy", '"maxReceiveCount": 3', '"maxReceiveCount": 2'),
    ),
    "messages too large for the dead-letter queue": Breakage(
        QUEUE,
        "queue",
        ("test_what_the_queue_takes_fits_into_the_dead_letter_queue_with_its_reason",),
        {"maxMessageSize": 262144},
    ),
    "small dead letters": Breakage(
        QUEUE,
        "dead-letter-queue",
        ("test_what_the_queue_takes_fits_into_the_dead_letter_queue_with_its_reason",),
        {"maxMessageSize": 1024},
    ),
    "queue not encrypted": Breakage(
        QUEUE, "queue", ("test_messages_are_encrypted_with_the_stacks_key[queue]",), {"kmsMasterKeyId": None}
    ),
    "dead letters not encrypted with the key": Breakage(
        QUEUE,
        "dead-letter-queue",
        ("test_messages_are_encrypted_with_the_stacks_key[dead_letter_queue]",),
        {"kmsMasterKeyId": "alias/aws/sqs"},
    ),
    "queue without TLS": Breakage(
        QUEUE_POLICY, "queue-policy", ("test_a_queue_is_reached_over_tls_only_and_let_to_nobody[queue]",)
    ),
    "dead-letter queue open to everybody": Breakage(
        QUEUE_POLICY,
        "dead-letter-queue-policy",
        ("test_a_queue_is_reached_over_tls_only_and_let_to_nobody[dead_letter_queue]",),
        replace=("policy", '"Effect": "Deny"', '"Effect": "Allow"'),
    ),
    "dead letters of any queue": Breakage(
        REDRIVE_ALLOW,
        "dead-letter-queue-redrive-allow",
        ("test_the_dead_letter_queue_takes_messages_of_its_queue_alone",),
    ),
    "topic not encrypted": Breakage(
        TOPIC, "topic", ("test_notifications_are_encrypted_with_the_stacks_key",), {"kmsMasterKeyId": None}
    ),
    "topic open to any account's alarms": Breakage(
        TOPIC_POLICY,
        "topic-policy",
        ("test_the_topic_takes_the_accounts_alarms_over_tls_only",),
        replace=("policy", '"aws:SourceAccount": "123456789012"', '"aws:SourceAccount": "*"'),
    ),
    "topic without a policy": Breakage(
        TOPIC_POLICY, "topic-policy", ("test_the_topic_takes_the_accounts_alarms_over_tls_only",)
    ),
    "no subscription": Breakage(SUBSCRIPTION, "topic-subscription", ("test_the_notification_address_is_subscribed",)),
    "somebody else subscribed": Breakage(
        SUBSCRIPTION,
        "topic-subscription",
        ("test_the_notification_address_is_subscribed",),
        {"endpoint": "other@example.com"},
    ),
    "wrong runtime": Breakage(
        FUNCTION, "function", ("test_the_function_has_the_configured_runtime",), {"runtime": "python3.12"}
    ),
    "wrong architecture": Breakage(
        FUNCTION, "function", ("test_the_function_has_the_configured_architecture",), {"architectures": ["x86_64"]}
    ),
    "wrong memory": Breakage(
        FUNCTION, "function", ("test_the_function_has_the_configured_memory",), {"memorySize": 256}
    ),
    "wrong timeout": Breakage(FUNCTION, "function", ("test_the_function_has_the_configured_timeout",), {"timeout": 60}),
    "wrong handler": Breakage(
        FUNCTION,
        "function",
        (
            *WORKFLOW,
            "test_the_function_is_the_processor",
        ),
        {"handler": "processor.handler.nothing"},
    ),
    "another environment": Breakage(
        FUNCTION,
        "function",
        ("test_the_function_knows_its_stack",),
        {"environment": {"variables": {"ENVIRONMENT": "dev"}}},
    ),
    "environment lacks a variable": Breakage(
        FUNCTION,
        "function",
        (
            *WORKFLOW,
            "test_the_function_knows_its_stack",
        ),
        {"environment": {"variables": {"TABLE_NAME": None}}},
    ),
    "environment not encrypted with the key": Breakage(
        FUNCTION, "function", ("test_the_functions_environment_is_encrypted_with_the_stacks_key",), {"kmsKeyArn": None}
    ),
    "no tracing": Breakage(
        FUNCTION, "function", ("test_the_function_is_traced",), {"tracingConfig": {"mode": "PassThrough"}}
    ),
    "no executions reserved": Breakage(
        FUNCTION, "function", ("test_the_function_has_the_configured_executions",), {"reservedConcurrentExecutions": -1}
    ),
    "permission missing": Breakage(
        ROLE_POLICY,
        "function-role-policy",
        ("test_the_role_may_do_what_the_function_does_and_nothing_more",),
        replace=("policy", '["dynamodb:PutItem", "dynamodb:UpdateItem"]', '"dynamodb:PutItem"'),
    ),
    "policy too wide": Breakage(
        ROLE_POLICY,
        "function-role-policy",
        ("test_the_role_may_do_what_the_function_does_and_nothing_more",),
        replace=("policy", '"s3:PutObject"', '["s3:PutObject", "s3:*"]'),
    ),
    "policy for any resource": Breakage(
        ROLE_POLICY,
        "function-role-policy",
        ("test_the_role_may_do_what_the_function_does_and_nothing_more",),
        replace=("policy", "event-pipeline-local-payloads-123456789012/messages/*", "*"),
    ),
    "no policy": Breakage(
        ROLE_POLICY, "function-role-policy", ("test_the_role_may_do_what_the_function_does_and_nothing_more",)
    ),
    "another policy attached": Breakage(
        ROLE,
        "function-role",
        ("test_the_role_has_no_other_policies",),
        {"managedPolicyArns": ["arn:aws:iam::123456789012:policy/Admin"]},
    ),
    "role for anybody": Breakage(
        ROLE,
        "function-role",
        ("test_only_lambda_can_take_the_role",),
        replace=("assumeRolePolicy", '{"Service": "lambda.amazonaws.com"}', '{"AWS": "*"}'),
    ),
    "mapping absent": Breakage(
        MAPPING,
        "function-event-source",
        (
            *WORKFLOW,
            *MAPPING_TESTS,
        ),
    ),
    "smaller batches": Breakage(
        MAPPING, "function-event-source", ("test_messages_come_in_the_configured_batches",), {"batchSize": 5}
    ),
    "batches wait": Breakage(
        MAPPING,
        "function-event-source",
        ("test_messages_come_in_the_configured_batches",),
        {"maximumBatchingWindowInSeconds": 1},
    ),
    "no partial responses": Breakage(
        MAPPING,
        "function-event-source",
        (
            "test_a_message_that_fails_returns_without_the_rest_of_its_batch",
            "test_a_message_that_fails_too_often_is_dead_lettered_by_its_queue",
            "test_a_transient_failure_is_retried_and_then_done",
        ),
        {"functionResponseTypes": None},
    ),
    "messages filtered": Breakage(
        MAPPING,
        "function-event-source",
        ("test_every_message_reaches_the_function",),
        {"filterCriteria": {"filters": [{"pattern": "{}"}]}},
    ),
    "too many batches at once": Breakage(
        MAPPING,
        "function-event-source",
        ("test_batches_run_as_often_at_once_as_configured",),
        {"scalingConfig": {"maximumConcurrency": 100}},
    ),
    "logs kept for too short": Breakage(
        LOG_GROUP, "function-logs", ("test_logs_are_kept_as_long_as_configured",), {"retentionInDays": 1}
    ),
    "logs not encrypted": Breakage(
        LOG_GROUP, "function-logs", ("test_logs_are_encrypted_with_the_stacks_key",), {"kmsKeyId": None}
    ),
    "alarm on another metric": Breakage(
        ALARM,
        "dead-letters-alarm",
        ("test_an_alarm_watches_its_metric[dead-letters]",),
        {"metricName": "NumberOfMessagesSent"},
    ),
    "alarm on another queue": Breakage(
        ALARM,
        "dead-letters-alarm",
        ("test_an_alarm_watches_its_metric[dead-letters]",),
        {"dimensions": {"QueueName": "another"}},
    ),
    "alarm too late": Breakage(
        ALARM, "oldest-message-alarm", ("test_an_alarm_is_raised_at_once[oldest-message]",), {"threshold": 86400}
    ),
    "alarm without data": Breakage(
        ALARM, "throttles-alarm", ("test_an_alarm_is_raised_at_once[throttles]",), {"treatMissingData": "breaching"}
    ),
    "alarm that tells nobody": Breakage(
        ALARM, "misconfigured-alarm", ("test_an_alarm_and_its_end_are_announced[misconfigured]",), {"alarmActions": []}
    ),
    "alarm switched off": Breakage(
        ALARM,
        "misconfigured-alarm",
        ("test_an_alarm_and_its_end_are_announced[misconfigured]",),
        {"actionsEnabled": False},
    ),
    "alarms absent": Breakage(
        ALARM,
        "*",
        (
            *ALARM_TESTS,
            *ALARM_TAGS,
        ),
    ),
    "no dashboard": Breakage(DASHBOARD, "dashboard", ("test_the_dashboard_shows_every_metric",)),
    "dashboard lacks a metric": Breakage(
        DASHBOARD,
        "dashboard",
        ("test_the_dashboard_shows_every_metric",),
        replace=("dashboardBody", '"Throttles"', '"Invocations"'),
    ),
    "key not rotated": Breakage(KEY, "key", ("test_the_key_is_rotated",), {"enableKeyRotation": False}),
    "key disabled": Breakage(KEY, "key", ("test_the_key_can_be_used",), {"isEnabled": False}),
    "key open to everybody": Breakage(
        KEY,
        "key",
        ("test_the_key_serves_the_account_its_logs_and_its_alarms_alone",),
        replace=("policy", '{"AWS": "arn:aws:iam::123456789012:root"}', '{"AWS": "*"}'),
    ),
    "no alias": Breakage(
        ALIAS,
        "key-alias",
        (
            "test_items_are_encrypted_with_the_stacks_key",
            "test_logs_are_encrypted_with_the_stacks_key",
            "test_messages_are_encrypted_with_the_stacks_key[dead_letter_queue]",
            "test_messages_are_encrypted_with_the_stacks_key[queue]",
            "test_notifications_are_encrypted_with_the_stacks_key",
            "test_payloads_are_encrypted_with_the_stacks_key",
            "test_the_functions_environment_is_encrypted_with_the_stacks_key",
            "test_the_key_can_be_used",
            "test_the_key_is_rotated",
            "test_the_key_says_whose_it_is",
            "test_the_key_serves_the_account_its_logs_and_its_alarms_alone",
            "test_the_role_may_do_what_the_function_does_and_nothing_more",
        ),
    ),
    "untagged bucket": Breakage(
        BUCKET, "payloads", ("test_a_resource_says_whose_it_is[payload bucket]",), {"tags": None}
    ),
    "untagged log bucket": Breakage(
        BUCKET, "access-logs", ("test_a_resource_says_whose_it_is[access log bucket]",), {"tags": None}
    ),
    "untagged table": Breakage(TABLE, "table", ("test_a_resource_says_whose_it_is[table]",), {"tags": None}),
    "untagged queue": Breakage(QUEUE, "queue", ("test_a_resource_says_whose_it_is[queue]",), {"tags": None}),
    "untagged dead-letter queue": Breakage(
        QUEUE, "dead-letter-queue", ("test_a_resource_says_whose_it_is[dead-letter queue]",), {"tags": None}
    ),
    "untagged topic": Breakage(TOPIC, "topic", ("test_a_resource_says_whose_it_is[topic]",), {"tags": None}),
    "untagged function": Breakage(
        FUNCTION, "function", ("test_a_resource_says_whose_it_is[function]",), {"tags": None}
    ),
    "untagged mapping": Breakage(
        MAPPING, "function-event-source", ("test_a_resource_says_whose_it_is[event source mapping]",), {"tags": None}
    ),
    "untagged role": Breakage(ROLE, "function-role", ("test_a_resource_says_whose_it_is[role]",), {"tags": None}),
    "untagged log group": Breakage(
        LOG_GROUP, "function-logs", ("test_a_resource_says_whose_it_is[log group]",), {"tags": None}
    ),
    "key tagged as another's": Breakage(
        KEY, "key", ("test_the_key_says_whose_it_is",), {"tags": {"Environment": "dev"}}
    ),
    "alarms tagged as another's": Breakage(ALARM, "*", (*ALARM_TAGS,), {"tags": {"Project": "another"}}),
    "logs without TLS": Breakage(
        BUCKET_POLICY,
        "access-logs-policy",
        (
            "test_a_bucket_is_reached_over_tls_only[access_logs]",
            "test_nobody_else_is_let_into_a_bucket[access_logs]",
        ),
        replace=("policy", '"Deny"', '"Allow"'),
    ),
    "mapping of another queue": Breakage(
        MAPPING,
        "function-event-source",
        (
            *WORKFLOW,
            *MAPPING_TESTS,
            "test_nothing_else_reaches_the_function",
        ),
        {"eventSourceArn": "arn:aws:sqs:us-east-2:123456789012:event-pipeline-local-dead-letter-queue"},
    ),
    "wrong output bucket_name": Breakage(
        OUTPUT,
        "bucket_name",
        (
            "test_a_payload_is_stored_byte_for_byte",
            "test_a_transient_failure_is_retried_and_then_done",
            "test_access_logs_come_from_the_payloads_alone",
            "test_access_to_payloads_is_logged",
            "test_an_output_names_what_exists[bucket_name]",
            "test_of_ten_messages_one_is_bad_and_nine_are_processed_once",
            "test_payloads_are_encrypted_with_the_stacks_key",
            "test_replaced_payloads_and_abandoned_uploads_go",
            "test_the_function_knows_its_stack",
        ),
        {"bucket_name": "event-pipeline-local-access-logs-123456789012"},
    ),
    "wrong output bucket_arn": Breakage(
        OUTPUT,
        "bucket_arn",
        (
            "test_an_output_names_what_exists[bucket_arn]",
            "test_the_role_may_do_what_the_function_does_and_nothing_more",
        ),
        {"bucket_arn": "arn:aws:s3:::event-pipeline-local-access-logs-123456789012"},
    ),
    "wrong output table_name": Breakage(
        OUTPUT,
        "table_name",
        (
            *WORKFLOW,
            "test_an_index_finds_items_by_time",
            "test_an_item_is_found_by_its_message",
            "test_an_output_names_what_exists[table_name]",
            "test_items_are_encrypted_with_the_stacks_key",
            "test_the_function_knows_its_stack",
            "test_the_table_can_be_recovered",
            "test_the_table_is_paid_for_by_use",
            "test_the_table_of_production_cannot_be_deleted",
        ),
        {"table_name": "another"},
    ),
    "wrong output table_arn": Breakage(
        OUTPUT,
        "table_arn",
        (
            "test_a_resource_says_whose_it_is[table]",
            "test_an_output_names_what_exists[table_arn]",
            "test_the_role_may_do_what_the_function_does_and_nothing_more",
        ),
        {"table_arn": "arn:aws:dynamodb:us-east-2:123456789012:table/another"},
    ),
    "wrong output topic_arn": Breakage(
        OUTPUT,
        "topic_arn",
        (
            *WORKFLOW,
            "test_a_resource_says_whose_it_is[topic]",
            "test_an_alarm_and_its_end_are_announced[dead-letters]",
            "test_an_alarm_and_its_end_are_announced[errors]",
            "test_an_alarm_and_its_end_are_announced[misconfigured]",
            "test_an_alarm_and_its_end_are_announced[oldest-message]",
            "test_an_alarm_and_its_end_are_announced[throttles]",
            "test_an_output_names_what_exists[topic_arn]",
            "test_notifications_are_encrypted_with_the_stacks_key",
            "test_the_function_knows_its_stack",
            "test_the_notification_address_is_subscribed",
            "test_the_role_may_do_what_the_function_does_and_nothing_more",
            "test_the_topic_takes_the_accounts_alarms_over_tls_only",
        ),
        {"topic_arn": "arn:aws:sns:us-east-2:123456789012:another"},
    ),
    "wrong output queue_url": Breakage(
        OUTPUT,
        "queue_url",
        (
            "test_a_malformed_message_is_dead_lettered_with_its_reason[JSON]",
            "test_a_malformed_message_is_dead_lettered_with_its_reason[data]",
            "test_a_message_that_is_received_too_often_is_dead_lettered",
            "test_a_received_message_stays_hidden_for_six_timeouts",
            "test_an_output_names_what_exists[queue_url]",
            "test_of_ten_messages_one_is_bad_and_nine_are_processed_once",
            "test_the_function_knows_its_stack",
            "test_what_the_queue_takes_fits_into_the_dead_letter_queue_with_its_reason",
        ),
        {"queue_url": "http://127.0.0.1/123456789012/event-pipeline-local-dead-letter-queue"},
    ),
    "wrong output queue_arn": Breakage(
        OUTPUT,
        "queue_arn",
        (
            *WORKFLOW,
            *MAPPING_TESTS,
            "test_an_alarm_watches_its_metric[oldest-message]",
            "test_an_output_names_what_exists[queue_arn]",
            "test_nothing_else_reaches_the_function",
            "test_the_dashboard_shows_every_metric",
            "test_the_dead_letter_queue_takes_messages_of_its_queue_alone",
            "test_the_role_may_do_what_the_function_does_and_nothing_more",
        ),
        {"queue_arn": "arn:aws:sqs:us-east-2:123456789012:event-pipeline-local-dead-letter-queue"},
    ),
    "wrong output dlq_url": Breakage(
        OUTPUT,
        "dlq_url",
        (
            "test_a_malformed_message_is_dead_lettered_with_its_reason[JSON]",
            "test_a_malformed_message_is_dead_lettered_with_its_reason[data]",
            "test_an_output_names_what_exists[dlq_url]",
            "test_of_ten_messages_one_is_bad_and_nine_are_processed_once",
            "test_the_dead_letter_queue_takes_messages_of_its_queue_alone",
            "test_the_function_knows_its_stack",
            "test_what_the_queue_takes_fits_into_the_dead_letter_queue_with_its_reason",
        ),
        {"dlq_url": "http://127.0.0.1/123456789012/event-pipeline-local-queue"},
    ),
    "wrong output dlq_arn": Breakage(
        OUTPUT,
        "dlq_arn",
        (
            "test_a_message_that_is_received_too_often_is_dead_lettered",
            "test_an_alarm_watches_its_metric[dead-letters]",
            "test_an_output_names_what_exists[dlq_arn]",
            "test_the_dashboard_shows_every_metric",
            "test_the_role_may_do_what_the_function_does_and_nothing_more",
        ),
        {"dlq_arn": "arn:aws:sqs:us-east-2:123456789012:event-pipeline-local-queue"},
    ),
    "wrong output function_arn": Breakage(
        OUTPUT,
        "function_arn",
        (
            *WORKFLOW,
            *MAPPING_TESTS,
            "test_a_resource_says_whose_it_is[function]",
            "test_an_alarm_watches_its_metric[errors]",
            "test_an_alarm_watches_its_metric[misconfigured]",
            "test_an_alarm_watches_its_metric[throttles]",
            "test_an_output_names_what_exists[function_arn]",
            "test_the_dashboard_shows_every_metric",
        ),
        {"function_arn": "arn:aws:lambda:us-east-2:123456789012:function:another"},
    ),
    "wrong output lambda_role_arn": Breakage(
        OUTPUT,
        "lambda_role_arn",
        (
            "test_a_resource_says_whose_it_is[role]",
            "test_an_output_names_what_exists[lambda_role_arn]",
            "test_only_lambda_can_take_the_role",
            "test_the_function_acts_as_its_role",
            "test_the_role_has_no_other_policies",
            "test_the_role_may_do_what_the_function_does_and_nothing_more",
        ),
        {"lambda_role_arn": OTHER_ROLE},
    ),
}
