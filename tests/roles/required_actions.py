"""IAM actions that a deployment requires, derived from the inputs of the program's resources.

Each type of resource has rows for its inputs. A type without rows, or an input without a row, is an error: find the
provider's calls in https://docs.aws.amazon.com/service-authorization/latest/reference/ and in a deployment's
CloudTrail events, add a row here, and add the permission to ``bootstrap/policies.py``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bootstrap.stacks import Stack
from infrastructure.account import Account
from tools.testing import ACCOUNT_ID, PROJECT_NAME, RecordedProgram, Resource, example_config, run_program

ACCOUNTS = {
    "us-east-1": Account(ACCOUNT_ID, "us-east-1", "aws", "amazonaws.com"),
    "cn-north-1": Account(ACCOUNT_ID, "cn-north-1", "aws-cn", "amazonaws.com.cn"),
}
S3 = "arn:{partition}:s3:::{bucket}"
TABLE = "arn:{partition}:dynamodb:{region}:{id}:table/{name}"
QUEUE = "arn:{partition}:sqs:{region}:{id}:{name}"
QUEUE_OF_PART = "arn:{partition}:sqs:{region}:{id}:{queue}"
TOPIC = "arn:{partition}:sns:{region}:{id}:{name}"
FUNCTION = "arn:{partition}:lambda:{region}:{id}:function:{name}"
FUNCTION_OF_ALIAS = "arn:{partition}:lambda:{region}:{id}:function:{functionName}"
MAPPING = "arn:{partition}:lambda:{region}:{id}:event-source-mapping:99999999-8888-7777-6666-555555555555"
ROLE = "arn:{partition}:iam::{id}:role/{name}"
ROLE_OF_POLICY = "arn:{partition}:iam::{id}:role/{role}"
LOG_GROUP = "arn:{partition}:logs:{region}:{id}:log-group:{name}"
ALARM = "arn:{partition}:cloudwatch:{region}:{id}:alarm:{name}"
DASHBOARD = "arn:{partition}:cloudwatch::{id}:dashboard/{dashboardName}"
KEY = "{key}"
ALIAS = "arn:{partition}:kms:{region}:{id}:{name}"
EVERY = "*"

OWN_ACCOUNT = {"aws:ResourceAccount": "{id}"}
BOUNDED = {"iam:PermissionsBoundary": "{boundary_arn}"}
TAGGED = {"aws:ResourceTag/Project": "{project}", "aws:ResourceTag/EnvironmentSuffix": "{suffix}"}
OF_FUNCTION = {"lambda:FunctionArn": "{functionName}"}
REQUESTED = {"aws:RequestTag/Project": "{project}", "aws:RequestTag/EnvironmentSuffix": "{suffix}"}
# DynamoDB and Lambda use the key with the permissions of the principal that creates or changes a resource.
USE_KEY = "kms:CreateGrant kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey kms:ReEncryptFrom"


class Row(NamedTuple):
    """Actions that a type of resource requires if one of ``inputs`` is set, or always if ``inputs`` is empty."""

    actions: str
    on: str
    inputs: str = ""
    context: Mapping[str, str] = {}


class Need(NamedTuple):
    """A required action, with its resource and request context."""

    action: str
    resource: str
    context: Mapping[str, str]


def through(service: str) -> dict[str, str]:
    """Return the request context of a KMS call that an AWS service makes for its caller."""
    return {"kms:ViaService": f"{service}.{{region}}.{{dns_suffix}}", "kms:CallerAccount": "{id}"}


# Resources that configure a bucket, by type suffix: the suffix of the actions, and the inputs.
BUCKET_PARTS = {
    "LifecycleConfiguration": ("LifecycleConfiguration", "rules"),
    "Logging": ("BucketLogging", "targetBucket targetPrefix"),
    "OwnershipControls": ("BucketOwnershipControls", "rule"),
    "PublicAccessBlock": (
        "BucketPublicAccessBlock",
        "blockPublicAcls blockPublicPolicy ignorePublicAcls restrictPublicBuckets",
    ),
    "ServerSideEncryptionConfiguration": ("EncryptionConfiguration", "rules"),
    "Versioning": ("BucketVersioning", "versioningConfiguration"),
}
ROWS: dict[str, tuple[Row, ...]] = {
    "aws:cloudwatch/dashboard:Dashboard": (
        Row(
            "cloudwatch:DeleteDashboards cloudwatch:GetDashboard cloudwatch:PutDashboard",
            DASHBOARD,
            "dashboardBody dashboardName",
        ),
    ),
    "aws:cloudwatch/logGroup:LogGroup": (
        Row("logs:DescribeLogGroups", EVERY),
        Row("logs:CreateLogGroup logs:DeleteLogGroup", LOG_GROUP, "name"),
        Row("logs:PutLogGroupDeletionProtection", LOG_GROUP, "deletionProtectionEnabled"),
        Row("logs:AssociateKmsKey logs:DisassociateKmsKey", LOG_GROUP, "kmsKeyId"),
        Row("logs:DeleteRetentionPolicy logs:PutRetentionPolicy", LOG_GROUP, "retentionInDays"),
        Row("logs:ListTagsForResource logs:TagResource logs:UntagResource", LOG_GROUP, "tags"),
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": (
        Row(
            "cloudwatch:DeleteAlarms cloudwatch:DescribeAlarms cloudwatch:PutMetricAlarm",
            ALARM,
            "alarmActions alarmDescription comparisonOperator datapointsToAlarm dimensions evaluationPeriods "
            "metricName metricQueries name namespace okActions period statistic threshold treatMissingData",
        ),
        Row("cloudwatch:ListTagsForResource cloudwatch:TagResource cloudwatch:UntagResource", ALARM, "tags"),
    ),
    "aws:dynamodb/table:Table": (
        Row(
            "dynamodb:CreateTable dynamodb:DeleteTable dynamodb:DescribeTable dynamodb:UpdateTable",
            TABLE,
            "attributes billingMode deletionProtectionEnabled globalSecondaryIndexes hashKey name",
        ),
        Row(
            "kms:DescribeKey",
            "arn:{partition}:kms:{region}:{id}:key/aws",
            context={"kms:RequestAlias": "alias/aws/dynamodb"},
        ),
        Row("dynamodb:DescribeContinuousBackups dynamodb:UpdateContinuousBackups", TABLE, "pointInTimeRecovery"),
        Row("dynamodb:DescribeTimeToLive dynamodb:UpdateTimeToLive", TABLE, "ttl"),
        Row("dynamodb:ListTagsOfResource dynamodb:TagResource dynamodb:UntagResource", TABLE, "tags"),
        Row(USE_KEY, KEY, "serverSideEncryption", through("dynamodb")),
    ),
    "aws:iam/role:Role": (
        Row("iam:CreateRole", ROLE, "name", BOUNDED),
        Row(
            "iam:DeleteRole iam:GetRole iam:ListAttachedRolePolicies iam:ListInstanceProfilesForRole "
            "iam:ListRolePolicies iam:UpdateRole iam:UpdateRoleDescription",
            ROLE,
        ),
        Row("iam:UpdateAssumeRolePolicy", ROLE, "assumeRolePolicy"),
        Row("iam:PutRolePermissionsBoundary", ROLE, "permissionsBoundary", BOUNDED),
        Row("iam:ListRoleTags iam:TagRole iam:UntagRole", ROLE, "tags"),
    ),
    "aws:iam/rolePolicy:RolePolicy": (
        Row("iam:DeleteRolePolicy iam:PutRolePolicy", ROLE_OF_POLICY, "name policy role", BOUNDED),
        Row("iam:GetRolePolicy", ROLE_OF_POLICY),
    ),
    "aws:kms/alias:Alias": (
        Row("kms:CreateAlias kms:DeleteAlias kms:UpdateAlias", ALIAS, "name"),
        Row("kms:CreateAlias kms:DeleteAlias kms:UpdateAlias", KEY, "targetKeyId", TAGGED),
        Row("kms:ListAliases", EVERY),
    ),
    "aws:kms/key:Key": (
        Row("kms:CreateKey", EVERY, context=REQUESTED),
        Row("kms:DescribeKey kms:DisableKey kms:EnableKey", KEY, context=TAGGED),
        Row("kms:CancelKeyDeletion kms:ScheduleKeyDeletion", KEY, "deletionWindowInDays", TAGGED),
        Row("kms:UpdateKeyDescription", KEY, "description", TAGGED),
        Row("kms:DisableKeyRotation kms:EnableKeyRotation kms:GetKeyRotationStatus", KEY, "enableKeyRotation", TAGGED),
        Row("kms:GetKeyPolicy kms:PutKeyPolicy", KEY, "policy", TAGGED),
        Row("kms:TagResource", KEY, "tags", REQUESTED),
        Row("kms:ListResourceTags kms:TagResource kms:UntagResource", KEY, "tags", TAGGED),
    ),
    "aws:lambda/alias:Alias": (
        Row(
            "lambda:CreateAlias lambda:DeleteAlias lambda:GetAlias lambda:UpdateAlias",
            FUNCTION_OF_ALIAS,
            "description functionName functionVersion name",
        ),
    ),
    "aws:lambda/eventSourceMapping:EventSourceMapping": (
        Row(
            "lambda:CreateEventSourceMapping",
            EVERY,
            "batchSize eventSourceArn functionName functionResponseTypes maximumBatchingWindowInSeconds scalingConfig",
            OF_FUNCTION,
        ),
        Row("lambda:DeleteEventSourceMapping lambda:UpdateEventSourceMapping", MAPPING, context=OF_FUNCTION),
        Row("lambda:GetEventSourceMapping", MAPPING),
        Row("lambda:ListEventSourceMappings", EVERY),
        Row("lambda:ListTags lambda:TagResource lambda:UntagResource", MAPPING, "tags"),
    ),
    "aws:lambda/function:Function": (
        Row(
            "lambda:CreateFunction lambda:DeleteFunction lambda:GetFunction lambda:GetFunctionCodeSigningConfig "
            "lambda:GetFunctionConfiguration lambda:UpdateFunctionConfiguration",
            FUNCTION,
            "deadLetterConfig description environment handler loggingConfig memorySize name runtime timeout "
            "tracingConfig",
        ),
        Row("lambda:UpdateFunctionCode", FUNCTION, "architectures code"),
        Row("lambda:ListVersionsByFunction lambda:PublishVersion", FUNCTION, "publish"),
        Row("iam:PassRole", "{role}", "role", {"iam:PassedToService": "lambda.amazonaws.com"}),
        Row("lambda:ListTags lambda:TagResource lambda:UntagResource", FUNCTION, "tags"),
        Row(USE_KEY, KEY, "kmsKeyArn", through("lambda")),
    ),
    "aws:s3/bucket:Bucket": (
        Row("s3:CreateBucket s3:DeleteBucket", S3, "bucket forceDestroy", OWN_ACCOUNT),
        Row(
            "s3:GetAccelerateConfiguration s3:GetBucketAcl s3:GetBucketCORS s3:GetBucketLocation s3:GetBucketLogging "
            "s3:GetBucketObjectLockConfiguration s3:GetBucketPolicy s3:GetBucketRequestPayment s3:GetBucketVersioning "
            "s3:GetBucketWebsite s3:GetEncryptionConfiguration s3:GetLifecycleConfiguration "
            "s3:GetReplicationConfiguration s3:ListBucket",
            S3,
        ),
        Row("s3:GetBucketTagging s3:ListTagsForResource", S3, "tags"),
        Row("s3:PutBucketTagging s3:TagResource s3:UntagResource", S3, "tags", OWN_ACCOUNT),
    ),
    "aws:sns/topic:Topic": (
        Row(
            "sns:CreateTopic sns:DeleteTopic sns:GetTopicAttributes sns:SetTopicAttributes",
            TOPIC,
            "kmsMasterKeyId name signatureVersion",
        ),
        Row("sns:ListTagsForResource sns:TagResource sns:UntagResource", TOPIC, "tags"),
    ),
    "aws:sns/topicPolicy:TopicPolicy": (Row("sns:GetTopicAttributes sns:SetTopicAttributes", "{arn}", "arn policy"),),
    "aws:sns/topicSubscription:TopicSubscription": (
        Row("sns:Subscribe", "{topic}", "topic protocol endpoint", {"sns:Protocol": "{protocol}"}),
        Row("sns:ListSubscriptionsByTopic", "{topic}"),
        Row("sns:GetSubscriptionAttributes sns:SetSubscriptionAttributes sns:Unsubscribe", EVERY),
    ),
    "aws:sqs/queue:Queue": (
        Row(
            "sqs:CreateQueue sqs:DeleteQueue sqs:GetQueueAttributes sqs:GetQueueUrl sqs:SetQueueAttributes",
            QUEUE,
            "kmsMasterKeyId maxMessageSize messageRetentionSeconds name policy redrivePolicy visibilityTimeoutSeconds",
        ),
        Row("sqs:ListQueueTags sqs:TagQueue sqs:UntagQueue", QUEUE, "tags"),
    ),
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": (
        Row("sqs:GetQueueAttributes sqs:SetQueueAttributes", QUEUE_OF_PART, "queueUrl redriveAllowPolicy"),
    ),
    "aws:s3/bucketPolicy:BucketPolicy": (
        Row("s3:DeleteBucketPolicy s3:GetBucketPolicy s3:PutBucketPolicy", S3, "bucket policy", OWN_ACCOUNT),
    ),
    **{
        f"aws:s3/bucket{part}:Bucket{part}": (Row(f"s3:Get{name} s3:Put{name}", S3, f"bucket {inputs}", OWN_ACCOUNT),)
        for part, (name, inputs) in BUCKET_PARTS.items()
    },
}


def run(region: str = "us-east-1", **settings: str) -> tuple[RecordedProgram, Stack]:
    """Run the Pulumi program with settings, and return the recorded program and the bootstrap program's `Stack`."""
    account = ACCOUNTS[region]
    boundary = f"arn:{account.partition}:iam::{ACCOUNT_ID}:policy/{PROJECT_NAME}-dev-ci-boundary"
    program = run_program(example_config(region=region, **{"permissionsBoundaryArn": boundary} | settings), "example")
    keys = ("environmentSuffix", "bucketName", "kmsKeyArn", "permissionsBoundaryArn")
    return program, Stack("example", PROJECT_NAME, account, *map(program.setting, keys))


def required_actions(program: RecordedProgram, stack: Stack) -> Iterator[Need]:
    """Yield the actions that deploying the program requires. Raise `LookupError` if a type or input has no row."""
    # Maps the mocks' IDs to names, which are the IDs on AWS.
    names = {f"{each.name}-id": each.inputs.get("bucket") or each.inputs.get("name") for each in program.resources}
    for resource in program.resources:
        if not resource.is_component:
            yield from _required(resource, names, program, stack)


def _required(resource: Resource, names: Mapping[str, Any], program: RecordedProgram, stack: Stack) -> Iterator[Need]:
    rows, inputs = ROWS[resource.type], resource.inputs
    unknown = set(inputs).difference(*(row.inputs.split() for row in rows))
    if unknown:
        raise LookupError(f"{resource.type} needs a row for {', '.join(sorted(unknown))}")
    places = vars(stack) | vars(stack.account) | inputs
    places |= {key: names[inputs[key]] for key in ("bucket", "role") if inputs.get(key) in names}
    places["key"] = stack.kms_key_arn or program.arn("aws:kms/key:Key", "key")
    places["queue"] = inputs.get("queueUrl", "").rpartition("/")[2]
    for row in rows:
        if not row.inputs or not set(row.inputs.split()).isdisjoint(inputs):
            context = {key: value.format(**places) for key, value in row.context.items()}
            for action in row.actions.split():
                yield Need(action, row.on.format(**places), context)
