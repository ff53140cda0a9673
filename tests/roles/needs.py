"""Which actions a deployment of the program needs: derived from the inputs that it registers.

A resource's type has rows, each for some of its inputs. A type without rows, or an input without one, is an error: find
out what the provider calls, in https://docs.aws.amazon.com/service-authorization/latest/reference/ and in a trail of a
deployment, add a row here, and the permission to ``bootstrap/policies.py``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field

from bootstrap.stacks import Stack
from infrastructure.account import Account
from tools.testing import PROJECT_NAME, Deployment, Resource, deploy, example_account, example_config
from tools.testing.program import DeployedAws

S3 = "arn:{partition}:s3:::{bucket}"
TABLE = "arn:{partition}:dynamodb:{region}:{id}:table/{name}"
INSIGHTS = "arn:{partition}:dynamodb:{region}:{id}:table/{tableName}"
QUEUE = "arn:{partition}:sqs:{region}:{id}:{name}"
QUEUE_OF_PART = "arn:{partition}:sqs:{region}:{id}:{queue}"
TOPIC = "arn:{partition}:sns:{region}:{id}:{name}"
FUNCTION = "arn:{partition}:lambda:{region}:{id}:function:{name}"
FUNCTION_OF_ALIAS = "arn:{partition}:lambda:{region}:{id}:function:{functionName}"
MAPPING = "arn:{partition}:lambda:{region}:{id}:event-source-mapping:99999999-8888-7777-6666-555555555555"
ROLE = "arn:{partition}:iam::{id}:role/{name}"
SERVICE_ROLES = "arn:{partition}:iam::{id}:role/aws-service-role"
INSIGHTS_ROLE = "AWSServiceRoleForDynamoDBCloudWatchContributorInsights"
ROLE_OF_POLICY = "arn:{partition}:iam::{id}:role/{role}"
LOG_GROUP = "arn:{partition}:logs:{region}:{id}:log-group:{name}"
ALARM = "arn:{partition}:cloudwatch:{region}:{id}:alarm:{name}"
DASHBOARD = "arn:{partition}:cloudwatch::{id}:dashboard/{dashboardName}"
RULE = "arn:{partition}:events:{region}:{id}:rule/{name}"
RULE_OF_TARGET = "arn:{partition}:events:{region}:{id}:rule/{rule}"
KEY = "{key}"
ALIAS = "arn:{partition}:kms:{region}:{id}:{name}"
EVERY = "*"

OWN_ACCOUNT = {"aws:ResourceAccount": "{id}"}
BOUNDED = {"iam:PermissionsBoundary": "{boundary}"}
TAGGED = {"aws:ResourceTag/Project": "{project}", "aws:ResourceTag/EnvironmentSuffix": "{suffix}"}
REQUESTED = {"aws:RequestTag/Project": "{project}", "aws:RequestTag/EnvironmentSuffix": "{suffix}"}
# What DynamoDB and Lambda do with a key for whoever creates or changes a resource.
USE_KEY = "kms:CreateGrant kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey kms:ReEncryptFrom"


def through(service: str) -> dict[str, str]:
    """Return what a request says that a service makes."""
    return {"kms:ViaService": f"{service}.{{region}}.{{dns_suffix}}", "kms:CallerAccount": "{id}"}


@dataclass(frozen=True)
class Row:
    """What a resource of a type needs, if one of these inputs is set.

    Attributes:
        actions: The actions.
        on: The ARN that they act on.
        inputs: Names of the inputs; needed by every resource of the type if empty.
        context: What the request says.
    """

    actions: str
    on: str
    inputs: str = ""
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Need:
    """An action that a deployment, or the preview of one, calls."""

    action: str
    resource: str
    context: Mapping[str, str]


def bucket_part(actions: str, inputs: str) -> tuple[Row, ...]:
    """Return the row of a resource that configures a bucket."""
    return (Row(actions, S3, f"bucket {inputs}", OWN_ACCOUNT),)


def queue_part(inputs: str) -> tuple[Row, ...]:
    """Return the row of a resource that configures a queue."""
    return (Row("sqs:GetQueueAttributes sqs:SetQueueAttributes", QUEUE_OF_PART, f"queueUrl {inputs}"),)


ROWS: dict[str, tuple[Row, ...]] = {
    "aws:cloudwatch/dashboard:Dashboard": (
        Row(
            "cloudwatch:DeleteDashboards cloudwatch:GetDashboard cloudwatch:PutDashboard",
            DASHBOARD,
            "dashboardBody dashboardName",
        ),
    ),
    "aws:cloudwatch/eventRule:EventRule": (
        Row("events:DeleteRule events:DescribeRule events:PutRule", RULE, "description eventPattern name"),
        Row("events:ListTagsForResource events:TagResource events:UntagResource", RULE, "tags"),
    ),
    "aws:cloudwatch/eventTarget:EventTarget": (
        Row("events:ListTargetsByRule events:PutTargets events:RemoveTargets", RULE_OF_TARGET, "arn rule"),
    ),
    "aws:cloudwatch/logGroup:LogGroup": (
        Row("logs:CreateLogGroup logs:DeleteLogGroup", LOG_GROUP, "name"),
        Row("logs:DescribeLogGroups", EVERY),
        Row("logs:PutLogGroupDeletionProtection", LOG_GROUP, "deletionProtectionEnabled"),
        Row("logs:AssociateKmsKey logs:DisassociateKmsKey", LOG_GROUP, "kmsKeyId"),
        Row("logs:DeleteRetentionPolicy logs:PutRetentionPolicy", LOG_GROUP, "retentionInDays"),
        Row("logs:ListTagsForResource logs:TagResource logs:UntagResource", LOG_GROUP, "tags"),
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": (
        Row(
            "cloudwatch:DeleteAlarms cloudwatch:PutMetricAlarm",
            ALARM,
            "alarmActions alarmDescription comparisonOperator datapointsToAlarm dimensions evaluationPeriods "
            "metricName metricQueries name namespace okActions period statistic threshold treatMissingData",
        ),
        Row("cloudwatch:DescribeAlarms", EVERY),
        Row("cloudwatch:ListTagsForResource cloudwatch:TagResource cloudwatch:UntagResource", ALARM, "tags"),
    ),
    "aws:dynamodb/contributorInsights:ContributorInsights": (
        Row("dynamodb:DescribeContributorInsights dynamodb:UpdateContributorInsights", INSIGHTS, "tableName"),
        Row(
            "dynamodb:DescribeContributorInsights dynamodb:UpdateContributorInsights",
            INSIGHTS + "/index/{indexName}",
            "indexName",
        ),
        Row(
            "iam:CreateServiceLinkedRole",
            f"{SERVICE_ROLES}/contributorinsights.dynamodb.amazonaws.com/{INSIGHTS_ROLE}",
            context={"iam:AWSServiceName": "contributorinsights.dynamodb.amazonaws.com"},
        ),
    ),
    "aws:dynamodb/table:Table": (
        Row(
            "dynamodb:CreateTable dynamodb:DeleteTable dynamodb:DescribeTable dynamodb:UpdateTable",
            TABLE,
            "attributes billingMode deletionProtectionEnabled globalSecondaryIndexes hashKey name onDemandThroughput",
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
            "batchSize eventSourceArn functionName functionResponseTypes maximumBatchingWindowInSeconds metricsConfig "
            "scalingConfig",
            {"lambda:FunctionArn": "{functionName}"},
        ),
        Row(
            "lambda:DeleteEventSourceMapping lambda:UpdateEventSourceMapping",
            MAPPING,
            context={"lambda:FunctionArn": "{functionName}"},
        ),
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
        Row(
            "lambda:DeleteFunctionConcurrency lambda:GetFunctionConcurrency lambda:PutFunctionConcurrency",
            FUNCTION,
            "reservedConcurrentExecutions",
        ),
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
        Row(
            "s3:GetBucketTagging s3:ListTagsForResource s3:PutBucketTagging s3:TagResource s3:UntagResource",
            S3,
            "tags",
            OWN_ACCOUNT,
        ),
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": bucket_part(
        "s3:GetLifecycleConfiguration s3:PutLifecycleConfiguration", "rules"
    ),
    "aws:s3/bucketLogging:BucketLogging": bucket_part(
        "s3:GetBucketLogging s3:PutBucketLogging", "targetBucket targetPrefix"
    ),
    "aws:s3/bucketNotification:BucketNotification": bucket_part(
        "s3:GetBucketNotification s3:PutBucketNotification", "eventbridge"
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": bucket_part(
        "s3:GetBucketOwnershipControls s3:PutBucketOwnershipControls", "rule"
    ),
    "aws:s3/bucketPolicy:BucketPolicy": bucket_part(
        "s3:DeleteBucketPolicy s3:GetBucketPolicy s3:PutBucketPolicy", "policy"
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": bucket_part(
        "s3:GetBucketPublicAccessBlock s3:PutBucketPublicAccessBlock",
        "blockPublicAcls blockPublicPolicy ignorePublicAcls restrictPublicBuckets",
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": bucket_part(
        "s3:GetEncryptionConfiguration s3:PutEncryptionConfiguration", "rules"
    ),
    "aws:s3/bucketVersioning:BucketVersioning": bucket_part(
        "s3:GetBucketVersioning s3:PutBucketVersioning", "versioningConfiguration"
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
            "kmsMasterKeyId maxMessageSize messageRetentionSeconds name redrivePolicy visibilityTimeoutSeconds",
        ),
        Row("sqs:ListQueueTags sqs:TagQueue sqs:UntagQueue", QUEUE, "tags"),
    ),
    "aws:sqs/queuePolicy:QueuePolicy": queue_part("policy"),
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": queue_part("redriveAllowPolicy"),
}


def run(region: str, account_id: str = "123456789012", **settings: str) -> tuple[Deployment, Stack]:
    """Run the program in an account, with the names that its resources have there.

    Args:
        region: The stack's region.
        account_id: The account.
        settings: The settings, besides the model's examples.

    Returns:
        What it registers, and the stack as the bootstrap program sees it.
    """
    partition = example_account(region).partition
    account = Account.of(f"arn:{partition}:iam::{account_id}:root", region)
    suffix = settings.get("environmentSuffix", example_config(PROJECT_NAME)[f"{PROJECT_NAME}:environmentSuffix"])
    boundary = f"arn:{partition}:iam::{account_id}:policy/{PROJECT_NAME}-{suffix}-ci-boundary"
    own = {"permissionsBoundaryArn": boundary} | settings
    config = example_config(PROJECT_NAME, region) | {f"{PROJECT_NAME}:{key}": value for key, value in own.items()}
    deployment = deploy(config, "example", provider=DeployedAws(account, {}))
    stack = Stack(
        name="example",
        project=PROJECT_NAME,
        account=account,
        suffix=suffix,
        bucket_name=deployment.setting("bucketName"),
        kms_key_arn=deployment.setting("kmsKeyArn"),
        boundary_arn=deployment.setting("permissionsBoundaryArn"),
    )
    return deployment, stack


def needs(deployment: Deployment, stack: Stack) -> Iterator[Need]:
    """Yield what a deployment needs.

    Raises:
        KeyError: If a type has no rows.
        LookupError: If an input has no row.
    """
    for resource in deployment.resources:
        if not resource.is_component:
            yield from _needs(resource, deployment, stack)


def _needs(resource: Resource, deployment: Deployment, stack: Stack) -> Iterator[Need]:
    rows, inputs = ROWS[resource.type], resource.inputs
    unknown = set(inputs).difference(*(row.inputs.split() for row in rows))
    if unknown:
        raise LookupError(f"{resource.type} needs a row for {', '.join(sorted(unknown))}")
    places = asdict(stack.account) | {
        **inputs,
        "project": stack.project,
        "suffix": stack.suffix,
        "boundary": stack.boundary_arn,
        "key": stack.kms_key_arn or deployment.arn("aws:kms/key:Key", "key"),
        "queue": inputs.get("queueUrl", "").rpartition("/")[2],
    }
    for row in rows:
        if not row.inputs or not set(row.inputs.split()).isdisjoint(inputs):
            context = {key: value.format(**places) for key, value in row.context.items()}
            for action in row.actions.split():
                yield Need(action, row.on.format(**places), context)
