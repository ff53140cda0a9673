"""What the roles of CI may do, as data.

Each policy is a list of grants. A grant names its resources with placeholders, which `statement` fills in for a stack.
A test derives from the program's resources what a deployment needs, and fails if a grant is missing: add it here, and
run the task `bootstrap` again in each account.

What an action may be limited to: https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bootstrap.stacks import Stack
from infrastructure.iam import POLICY_VERSION, Statement

# The program's roles, by the last parts of their names. The deploy role can create, change and pass no other.
FUNCTION_ROLES: Final = ("processor",)
# Where the integration tests look.
TEST_QUEUES = "processor-test-*"

ANY: Final = ("*",)
ALARMS: Final = ("arn:{partition}:cloudwatch:{region}:{account}:alarm:{prefix}-*",)
BUCKETS: Final = ("arn:{partition}:s3:::{prefix}-*", "arn:{partition}:s3:::{payloads}")
DASHBOARDS: Final = ("arn:{partition}:cloudwatch::{account}:dashboard/{prefix}-*",)
EVENT_SOURCES: Final = ("arn:{partition}:lambda:{region}:{account}:event-source-mapping:*",)
FUNCTIONS: Final = ("arn:{partition}:lambda:{region}:{account}:function:{prefix}-*",)
KEYS: Final = ("arn:{partition}:kms:{region}:{account}:key/*",)
LOG_GROUPS: Final = ("arn:{partition}:logs:{region}:{account}:log-group:/aws/lambda/{prefix}-*",)
QUEUES: Final = ("arn:{partition}:sqs:{region}:{account}:{prefix}-*",)
ROLES: Final = tuple(f"arn:{{partition}}:iam::{{account}}:role/{{prefix}}-{name}" for name in FUNCTION_ROLES)
RULES: Final = ("arn:{partition}:events:{region}:{account}:rule/{prefix}-*",)
TABLES: Final = ("arn:{partition}:dynamodb:{region}:{account}:table/{prefix}-*",)
TOPICS: Final = ("arn:{partition}:sns:{region}:{account}:{prefix}-*",)

Condition = Mapping[str, Mapping[str, Any]]
# A key has no name, only an id that AWS makes up. A stack's own key is found by its tags.
OWN_KEY: Final[Condition] = {
    "StringEquals": {"aws:ResourceTag/Project": "{project}", "aws:ResourceTag/EnvironmentSuffix": "{suffix}"}
}


def through(*services: str) -> Condition:
    """Limit the use of a key to requests of services.

    https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
    """
    names = [f"{service}.{{region}}.{{dns_suffix}}" for service in services]
    return {"StringEquals": {"kms:ViaService": names, "kms:CallerAccount": "{account}"}}


@dataclass(frozen=True)
class Grant:
    """A statement of a policy, with placeholders.

    Attributes:
        sid: What it is for.
        actions: The actions, separated by spaces.
        resources: Their resources.
        conditions: When it holds.
        effect: ``Allow`` or ``Deny``.
    """

    sid: str
    actions: str
    resources: tuple[str, ...]
    conditions: Condition = field(default_factory=dict)
    effect: str = "Allow"


# Preview with refresh, `validate --live`, and the reads of a deployment. The provider also reads what the program does
# not set, for example a bucket's CORS rules.
READ: Final = (
    Grant(
        "ReadBuckets",
        "s3:GetAccelerateConfiguration s3:GetBucketAcl s3:GetBucketCORS s3:GetBucketLocation s3:GetBucketLogging "
        "s3:GetBucketNotification s3:GetBucketObjectLockConfiguration s3:GetBucketOwnershipControls s3:GetBucketPolicy "
        "s3:GetBucketPublicAccessBlock s3:GetBucketRequestPayment s3:GetBucketTagging s3:GetBucketVersioning "
        "s3:GetBucketWebsite s3:GetEncryptionConfiguration s3:GetLifecycleConfiguration s3:GetReplicationConfiguration "
        "s3:ListBucket s3:ListTagsForResource",
        BUCKETS,
    ),
    Grant(
        "ReadTable",
        "dynamodb:DescribeContinuousBackups dynamodb:DescribeContributorInsights dynamodb:DescribeTable "
        "dynamodb:DescribeTimeToLive dynamodb:ListTagsOfResource",
        TABLES,
    ),
    Grant("ReadQueues", "sqs:GetQueueAttributes sqs:GetQueueUrl sqs:ListQueueTags", QUEUES),
    Grant("ReadTopics", "sns:GetTopicAttributes sns:ListSubscriptionsByTopic sns:ListTagsForResource", TOPICS),
    Grant(
        "ReadFunction",
        "lambda:GetAlias lambda:GetFunction lambda:GetFunctionCodeSigningConfig lambda:GetFunctionConcurrency "
        "lambda:GetFunctionConfiguration lambda:ListTags lambda:ListVersionsByFunction",
        FUNCTIONS,
    ),
    Grant("ReadEventSource", "lambda:GetEventSourceMapping lambda:ListTags", EVENT_SOURCES),
    Grant(
        "ReadRole",
        "iam:GetRole iam:GetRolePolicy iam:ListAttachedRolePolicies iam:ListInstanceProfilesForRole "
        "iam:ListRolePolicies iam:ListRoleTags",
        ROLES,
    ),
    Grant("ReadLogGroup", "logs:ListTagsForResource", LOG_GROUPS),
    Grant("ReadAlarms", "cloudwatch:ListTagsForResource", ALARMS),
    Grant("ReadDashboard", "cloudwatch:GetDashboard", DASHBOARDS),
    Grant("ReadRules", "events:DescribeRule events:ListTagsForResource events:ListTargetsByRule", RULES),
    # Reading a table, the provider asks which key DynamoDB uses by default.
    Grant("FindDefaultKey", "kms:DescribeKey", KEYS, {"StringEquals": {"kms:RequestAlias": "alias/aws/dynamodb"}}),
    Grant(
        "HaveNoResource",
        "cloudwatch:DescribeAlarms kms:ListAliases lambda:ListEventSourceMappings logs:DescribeLogGroups "
        "sns:GetSubscriptionAttributes sts:GetCallerIdentity",
        ANY,
    ),
)

READ_KEY = "kms:DescribeKey kms:GetKeyPolicy kms:GetKeyRotationStatus kms:ListResourceTags"
# Lambda decrypts the function's environment for whoever reads it.
READ_OWN_KEY: Final = (
    Grant("ReadOwnKey", READ_KEY, KEYS, OWN_KEY),
    Grant(
        "ReadEnvironment",
        "kms:Decrypt",
        KEYS,
        {"StringEquals": {**OWN_KEY["StringEquals"], **through("lambda")["StringEquals"]}},
    ),
)
READ_CONFIGURED_KEY: Final = (
    Grant("ReadKey", READ_KEY, ("{key}",)),
    Grant("ReadEnvironment", "kms:Decrypt", ("{key}",), through("lambda")),
)

DATA: Final = (
    Grant(
        "WriteBuckets",
        "s3:CreateBucket s3:DeleteBucket s3:DeleteBucketPolicy s3:PutBucketLogging s3:PutBucketNotification "
        "s3:PutBucketOwnershipControls s3:PutBucketPolicy s3:PutBucketPublicAccessBlock s3:PutBucketTagging "
        "s3:PutBucketVersioning s3:PutEncryptionConfiguration s3:PutLifecycleConfiguration s3:TagResource "
        "s3:UntagResource",
        BUCKETS,
        # A name of a bucket may belong to another account.
        {"StringEqualsIfExists": {"aws:ResourceAccount": "{account}"}},
    ),
    Grant(
        "WriteTable",
        "dynamodb:CreateTable dynamodb:DeleteTable dynamodb:TagResource dynamodb:UntagResource "
        "dynamodb:UpdateContinuousBackups dynamodb:UpdateContributorInsights dynamodb:UpdateTable "
        "dynamodb:UpdateTimeToLive",
        TABLES,
    ),
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Contributor_Insights_IAM.html
    Grant(
        "LetDynamoDBCountKeys",
        "iam:CreateServiceLinkedRole",
        ("arn:{partition}:iam::{account}:role/aws-service-role/contributorinsights.dynamodb.amazonaws.com/*",),
        {"StringEquals": {"iam:AWSServiceName": "contributorinsights.dynamodb.amazonaws.com"}},
    ),
    Grant("WriteQueues", "sqs:CreateQueue sqs:DeleteQueue sqs:SetQueueAttributes sqs:TagQueue sqs:UntagQueue", QUEUES),
    Grant(
        "WriteTopics",
        "sns:CreateTopic sns:DeleteTopic sns:SetTopicAttributes sns:TagResource sns:UntagResource",
        TOPICS,
    ),
    # The alarms contain no data, so they may go to any address; notifications must not.
    Grant(
        "SubscribeToAlarms",
        "sns:Subscribe",
        ("arn:{partition}:sns:{region}:{account}:{prefix}-alarms",),
        {"StringEquals": {"sns:Protocol": "email"}},
    ),
    Grant("ChangeSubscriptions", "sns:SetSubscriptionAttributes sns:Unsubscribe", ANY),
    Grant(
        "WriteLogGroup",
        "logs:AssociateKmsKey logs:CreateLogGroup logs:DeleteLogGroup logs:DeleteRetentionPolicy "
        "logs:DisassociateKmsKey logs:PutLogGroupDeletionProtection logs:PutRetentionPolicy logs:TagResource "
        "logs:UntagResource",
        LOG_GROUPS,
    ),
    Grant(
        "WriteAlarms",
        "cloudwatch:DeleteAlarms cloudwatch:PutMetricAlarm cloudwatch:TagResource cloudwatch:UntagResource",
        ALARMS,
    ),
    Grant("WriteDashboard", "cloudwatch:DeleteDashboards cloudwatch:PutDashboard", DASHBOARDS),
    Grant(
        "WriteRules",
        "events:DeleteRule events:PutRule events:PutTargets events:RemoveTargets events:TagResource "
        "events:UntagResource",
        RULES,
    ),
)

# What is CI's own, in every stack of the project: the deploy role may not touch it, whatever else allows it.
KEEP_OUT: Final = Grant(
    "KeepOut",
    "iam:*",
    (
        "arn:{partition}:iam::{account}:role/{project}-*-ci-*",
        "arn:{partition}:iam::{account}:policy/{project}-*-ci-*",
        "arn:{partition}:iam::{account}:oidc-provider/*",
    ),
    effect="Deny",
)
COMPUTE: Final = (
    Grant(
        "WriteFunction",
        "lambda:CreateAlias lambda:CreateFunction lambda:DeleteAlias lambda:DeleteFunction "
        "lambda:DeleteFunctionConcurrency lambda:PublishVersion lambda:PutFunctionConcurrency lambda:TagResource "
        "lambda:UntagResource lambda:UpdateAlias lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration",
        FUNCTIONS,
    ),
    # An event source mapping has an id that AWS makes up.
    Grant(
        "WriteEventSource",
        "lambda:CreateEventSourceMapping lambda:DeleteEventSourceMapping lambda:UpdateEventSourceMapping",
        ANY,
        {"ArnLike": {"lambda:FunctionArn": FUNCTIONS[0]}},
    ),
    Grant("TagEventSource", "lambda:TagResource lambda:UntagResource", EVENT_SOURCES),
    # Without the boundary, a role that writes a role's permissions has all of the account's.
    Grant(
        "WriteRole",
        "iam:CreateRole iam:DeleteRolePolicy iam:PutRolePermissionsBoundary iam:PutRolePolicy",
        ROLES,
        {"StringEquals": {"iam:PermissionsBoundary": "{boundary}"}},
    ),
    Grant(
        "WriteRoleOtherwise",
        "iam:DeleteRole iam:TagRole iam:UntagRole iam:UpdateAssumeRolePolicy iam:UpdateRole iam:UpdateRoleDescription",
        ROLES,
    ),
    Grant(
        "PassRoleToLambdaOnly",
        "iam:PassRole",
        ROLES,
        {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}},
    ),
    KEEP_OUT,
)

# DynamoDB and Lambda use the key on behalf of whoever creates a table or a function.
USE_KEY = "kms:CreateGrant kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey* kms:ReEncrypt*"
# The tags of a new key take minutes until a policy sees them, so this is for every key, but through the services only.
USE_OWN_KEY: Final = (Grant("UseKeyThroughServices", USE_KEY, KEYS, through("dynamodb", "lambda")),)
USE_CONFIGURED_KEY: Final = (Grant("UseKeyThroughServices", USE_KEY, ("{key}",), through("dynamodb", "lambda")),)

REQUESTED: Final = {"aws:RequestTag/Project": "{project}", "aws:RequestTag/EnvironmentSuffix": "{suffix}"}
CREATE_KEY: Final = (
    Grant("CreateKey", "kms:CreateKey", ANY, {"StringEquals": REQUESTED}),
    # A key that somebody else has made must not become the stack's by its tags.
    Grant(
        "TagNewKey",
        "kms:TagResource",
        KEYS,
        {"StringEquals": REQUESTED, "Null": {"aws:ResourceTag/Project": "true", "kms:ResourceAliases": "true"}},
    ),
    Grant(
        "ManageOwnKey",
        "kms:CancelKeyDeletion kms:CreateAlias kms:DeleteAlias kms:DisableKey kms:DisableKeyRotation kms:EnableKey "
        "kms:EnableKeyRotation kms:PutKeyPolicy kms:ScheduleKeyDeletion kms:TagResource kms:UntagResource "
        "kms:UpdateAlias kms:UpdateKeyDescription",
        KEYS,
        OWN_KEY,
    ),
    Grant(
        "NameOwnKey",
        "kms:CreateAlias kms:DeleteAlias kms:UpdateAlias",
        ("arn:{partition}:kms:{region}:{account}:alias/{prefix}-*",),
    ),
)

# The integration tests run right after a deployment, in the same job: a third role would need another login there, and
# protect nothing from a job that may change the function anyway.
TESTS: Final = (
    Grant("Send", "sqs:SendMessage", ("arn:{partition}:sqs:{region}:{account}:{prefix}-queue",)),
    Grant(
        "LookAtDeadLetters",
        "sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:ReceiveMessage",
        ("arn:{partition}:sqs:{region}:{account}:{prefix}-dead-letter-queue",),
    ),
    Grant(
        "Inbox",
        "sqs:CreateQueue sqs:DeleteMessage sqs:DeleteQueue sqs:ReceiveMessage sqs:TagQueue",
        (f"arn:{{partition}}:sqs:{{region}}:{{account}}:{{prefix}}-{TEST_QUEUES}",),
    ),
    Grant(
        "SubscribeInbox",
        "sns:Subscribe",
        ("arn:{partition}:sns:{region}:{account}:{prefix}-notifications",),
        {
            "StringEquals": {"sns:Protocol": "sqs"},
            "ArnLike": {"sns:Endpoint": f"arn:{{partition}}:sqs:{{region}}:{{account}}:{{prefix}}-{TEST_QUEUES}"},
        },
    ),
    Grant("Unsubscribe", "sns:Unsubscribe", ANY),
    Grant(
        "Invoke",
        "lambda:InvokeFunction",
        ("arn:{partition}:lambda:{region}:{account}:function:{prefix}-processor:live",),
    ),
    Grant(
        "Items",
        "dynamodb:DeleteItem dynamodb:GetItem dynamodb:Query",
        (
            "arn:{partition}:dynamodb:{region}:{account}:table/{prefix}-messages",
            "arn:{partition}:dynamodb:{region}:{account}:table/{prefix}-messages/index/timestamp-index",
        ),
    ),
    Grant("Payloads", "s3:DeleteObjectVersion s3:GetObject", ("arn:{partition}:s3:::{payloads}/messages/*",)),
    Grant("ListPayloads", "s3:ListBucketVersions", ("arn:{partition}:s3:::{payloads}",)),
)
TEST_SERVICES = ("dynamodb", "lambda", "s3", "sqs")
TESTS_WITH_OWN_KEY: Final = (Grant("UseKeyForTests", "kms:Decrypt kms:GenerateDataKey", KEYS, through(*TEST_SERVICES)),)
TESTS_WITH_CONFIGURED_KEY: Final = (
    Grant("UseKeyForTests", "kms:Decrypt kms:GenerateDataKey", ("{key}",), through(*TEST_SERVICES)),
)

# The most that a role of the program may ever do: what the function does, on whatever belongs to the stack. A function
# that needs more must get it here first.
BOUNDARY: Final = (
    Grant(
        "WriteLogs",
        "logs:CreateLogStream logs:PutLogEvents",
        ("arn:{partition}:logs:{region}:{account}:log-group:/aws/lambda/{prefix}-*:*",),
    ),
    Grant(
        "UseQueues",
        "sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage sqs:SendMessage",
        QUEUES,
    ),
    Grant("StorePayloads", "s3:PutObject", tuple(f"{bucket}/*" for bucket in BUCKETS)),
    Grant("IndexMessages", "dynamodb:PutItem dynamodb:UpdateItem", TABLES),
    Grant("Notify", "sns:Publish", TOPICS),
    Grant("WriteTraces", "xray:PutTelemetryRecords xray:PutTraceSegments", ANY),
)
FUNCTION_SERVICES = ("dynamodb", "lambda", "s3", "sns", "sqs")
BOUNDARY_WITH_OWN_KEY: Final = (
    Grant("UseTheKey", "kms:Decrypt kms:DescribeKey kms:GenerateDataKey", KEYS, through(*FUNCTION_SERVICES)),
)
BOUNDARY_WITH_CONFIGURED_KEY: Final = (
    Grant("UseTheKey", "kms:Decrypt kms:DescribeKey kms:GenerateDataKey", ("{key}",), through(*FUNCTION_SERVICES)),
)

# The policies of each role.
PREVIEW: Final = ("read",)
DEPLOY: Final = ("read", "data", "compute", "key", "tests")


def role_policies(stack: Stack) -> dict[str, tuple[Grant, ...]]:
    """Return the grants of each policy of a stack's roles."""
    if stack.kms_key_arn:
        return {
            "read": READ + READ_CONFIGURED_KEY,
            "data": DATA,
            "compute": COMPUTE,
            "key": USE_CONFIGURED_KEY,
            "tests": TESTS + TESTS_WITH_CONFIGURED_KEY,
        }
    return {
        "read": READ + READ_OWN_KEY,
        "data": DATA,
        "compute": COMPUTE,
        "key": USE_OWN_KEY + CREATE_KEY,
        "tests": TESTS + TESTS_WITH_OWN_KEY,
    }


def boundary(stack: Stack) -> tuple[Grant, ...]:
    """Return the grants of the permissions boundary of a stack's own roles."""
    return BOUNDARY + (BOUNDARY_WITH_CONFIGURED_KEY if stack.kms_key_arn else BOUNDARY_WITH_OWN_KEY)


def document(stack: Stack, grants: tuple[Grant, ...]) -> str:
    """Return a policy document for a stack as JSON, without spaces: AWS limits its length."""
    statements = [statement(stack, grant) for grant in grants]
    return json.dumps({"Version": POLICY_VERSION, "Statement": statements}, separators=(",", ":"))


def statement(stack: Stack, grant: Grant) -> Statement:
    """Fill in a grant's placeholders for a stack."""
    places = {
        "partition": stack.account.partition,
        "dns_suffix": stack.account.dns_suffix,
        "account": stack.account.id,
        "region": stack.account.region,
        "project": stack.project,
        "suffix": stack.suffix,
        "prefix": stack.prefix,
        "payloads": stack.bucket_name or f"{stack.prefix}-payloads-{stack.account.id}",
        "key": stack.kms_key_arn,
        "boundary": stack.boundary_arn,
    }

    def filled(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: filled(each) for key, each in value.items()}
        return value.format(**places) if isinstance(value, str) else [filled(each) for each in value]

    written = {
        "Sid": grant.sid,
        "Effect": grant.effect,
        "Action": grant.actions.split(),
        "Resource": filled(grant.resources),
    }
    return {**written, "Condition": filled(grant.conditions)} if grant.conditions else written
