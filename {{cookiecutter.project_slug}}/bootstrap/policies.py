"""IAM policies of the CI roles, as statements with placeholders that `documents` fills in for a stack.

If a deployment needs another permission, add it here, and run the task `bootstrap` again in each account. Resources
and condition keys of each action: https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

import json
from collections.abc import Mapping
from string import Template
from typing import Final

from bootstrap.stacks import Stack
from infrastructure.iam import POLICY_VERSION, Statement

Condition = Mapping[str, str | list[str]]

ALARMS: Final = "arn:$partition:cloudwatch:$region:$account:alarm:$prefix-*"
BUCKETS: Final = ["arn:$partition:s3:::$prefix-*", "arn:$partition:s3:::$payloads"]
DASHBOARDS: Final = "arn:$partition:cloudwatch::$account:dashboard/$prefix-*"
EVENT_SOURCES: Final = "arn:$partition:lambda:$region:$account:event-source-mapping:*"
FUNCTIONS: Final = "arn:$partition:lambda:$region:$account:function:$prefix-*"
KEYS: Final = "arn:$partition:kms:$region:$account:key/*"
LOG_GROUPS: Final = "arn:$partition:logs:$region:$account:log-group:/aws/lambda/$prefix-*"
QUEUES: Final = "arn:$partition:sqs:$region:$account:$prefix-*"
# The function's role: the only role that the deploy role can create, change or pass.
ROLE: Final = "arn:$partition:iam::$account:role/$prefix-processor"
TABLES: Final = "arn:$partition:dynamodb:$region:$account:table/$prefix-*"
TOPICS: Final = "arn:$partition:sns:$region:$account:$prefix-*"

# AWS generates key IDs, so a stack's own key is matched by its tags.
OWN_KEY: Final[Condition] = {"aws:ResourceTag/Project": "$project", "aws:ResourceTag/EnvironmentSuffix": "$suffix"}
NEW_KEY: Final[Condition] = {"aws:RequestTag/Project": "$project", "aws:RequestTag/EnvironmentSuffix": "$suffix"}


def _allow(sid: str, actions: str, resources: str | list[str] = "*", **conditions: Condition) -> Statement:
    """Return a statement that allows space-separated actions. Condition operators without keys are omitted."""
    statement = {"Sid": sid, "Effect": "Allow", "Action": actions.split(), "Resource": resources}
    conditions = {operator: keys for operator, keys in conditions.items() if keys}
    return {**statement, "Condition": conditions} if conditions else statement


def _through(*services: str) -> dict[str, str | list[str]]:
    """Return condition keys that limit the use of a KMS key to requests through AWS services.

    https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
    """
    names = [f"{service}.$region.$dns_suffix" for service in services]
    return {"kms:ViaService": names, "kms:CallerAccount": "$account"}


# For previews with refresh, `validate --live`, and the reads of a deployment. The provider also reads properties that
# the program does not set, for example a bucket's CORS rules.
READ: Final = (
    _allow(
        "ReadBuckets",
        "s3:GetAccelerateConfiguration s3:GetBucketAcl s3:GetBucketCORS s3:GetBucketLocation s3:GetBucketLogging "
        "s3:GetBucketObjectLockConfiguration s3:GetBucketOwnershipControls s3:GetBucketPolicy "
        "s3:GetBucketPublicAccessBlock s3:GetBucketRequestPayment s3:GetBucketTagging s3:GetBucketVersioning "
        "s3:GetBucketWebsite s3:GetEncryptionConfiguration s3:GetLifecycleConfiguration s3:GetReplicationConfiguration "
        "s3:ListBucket s3:ListTagsForResource",
        BUCKETS,
    ),
    _allow(
        "ReadTable",
        "dynamodb:DescribeContinuousBackups dynamodb:DescribeTable dynamodb:DescribeTimeToLive "
        "dynamodb:ListTagsOfResource",
        TABLES,
    ),
    _allow("ReadQueues", "sqs:GetQueueAttributes sqs:GetQueueUrl sqs:ListQueueTags", QUEUES),
    _allow("ReadTopics", "sns:GetTopicAttributes sns:ListSubscriptionsByTopic sns:ListTagsForResource", TOPICS),
    _allow(
        "ReadFunction",
        "lambda:GetAlias lambda:GetFunction lambda:GetFunctionCodeSigningConfig lambda:GetFunctionConfiguration "
        "lambda:ListTags lambda:ListVersionsByFunction",
        FUNCTIONS,
    ),
    _allow("ReadEventSource", "lambda:GetEventSourceMapping lambda:ListTags", EVENT_SOURCES),
    _allow(
        "ReadRole",
        "iam:GetRole iam:GetRolePolicy iam:ListAttachedRolePolicies iam:ListInstanceProfilesForRole "
        "iam:ListRolePolicies iam:ListRoleTags",
        ROLE,
    ),
    _allow("ReadLogGroup", "logs:ListTagsForResource", LOG_GROUPS),
    _allow("ReadAlarms", "cloudwatch:DescribeAlarms cloudwatch:ListTagsForResource", ALARMS),
    _allow("ReadDashboard", "cloudwatch:GetDashboard", DASHBOARDS),
    # When the provider reads a table, it looks up DynamoDB's AWS managed key.
    _allow("FindDefaultKey", "kms:DescribeKey", KEYS, StringEquals={"kms:RequestAlias": "alias/aws/dynamodb"}),
    _allow(
        "ReadWithoutResource",
        "kms:ListAliases lambda:ListEventSourceMappings logs:DescribeLogGroups sns:GetSubscriptionAttributes "
        "sts:GetCallerIdentity",
    ),
)

DATA: Final = (
    _allow(
        "WriteBuckets",
        "s3:CreateBucket s3:DeleteBucket s3:DeleteBucketPolicy s3:PutBucketLogging s3:PutBucketOwnershipControls "
        "s3:PutBucketPolicy s3:PutBucketPublicAccessBlock s3:PutBucketTagging s3:PutBucketVersioning "
        "s3:PutEncryptionConfiguration s3:PutLifecycleConfiguration s3:TagResource s3:UntagResource",
        BUCKETS,
        # Bucket names are global: a matching bucket may belong to another account.
        StringEqualsIfExists={"aws:ResourceAccount": "$account"},
    ),
    _allow(
        "WriteTable",
        "dynamodb:CreateTable dynamodb:DeleteTable dynamodb:TagResource dynamodb:UntagResource "
        "dynamodb:UpdateContinuousBackups dynamodb:UpdateTable dynamodb:UpdateTimeToLive",
        TABLES,
    ),
    _allow("WriteQueues", "sqs:CreateQueue sqs:DeleteQueue sqs:SetQueueAttributes sqs:TagQueue sqs:UntagQueue", QUEUES),
    _allow(
        "WriteTopics",
        "sns:CreateTopic sns:DeleteTopic sns:SetTopicAttributes sns:TagResource sns:UntagResource",
        TOPICS,
    ),
    # Alarms contain no message data, so any e-mail address may receive them, unlike notifications.
    _allow(
        "SubscribeToAlarms",
        "sns:Subscribe",
        "arn:$partition:sns:$region:$account:$prefix-alarms",
        StringEquals={"sns:Protocol": "email"},
    ),
    # AWS cannot limit these actions to topics or tags: they apply to every subscription in the account.
    _allow("ChangeSubscriptions", "sns:SetSubscriptionAttributes sns:Unsubscribe"),
    _allow(
        "WriteLogGroup",
        "logs:AssociateKmsKey logs:CreateLogGroup logs:DeleteLogGroup logs:DeleteRetentionPolicy "
        "logs:DisassociateKmsKey logs:PutLogGroupDeletionProtection logs:PutRetentionPolicy logs:TagResource "
        "logs:UntagResource",
        LOG_GROUPS,
    ),
    _allow(
        "WriteAlarms",
        "cloudwatch:DeleteAlarms cloudwatch:PutMetricAlarm cloudwatch:TagResource cloudwatch:UntagResource",
        ALARMS,
    ),
    _allow("WriteDashboard", "cloudwatch:DeleteDashboards cloudwatch:PutDashboard", DASHBOARDS),
)

COMPUTE: Final = (
    _allow(
        "WriteFunction",
        "lambda:CreateAlias lambda:CreateFunction lambda:DeleteAlias lambda:DeleteFunction lambda:PublishVersion "
        "lambda:TagResource lambda:UntagResource lambda:UpdateAlias lambda:UpdateFunctionCode "
        "lambda:UpdateFunctionConfiguration",
        FUNCTIONS,
    ),
    # AWS generates the mapping's UUID, so the condition limits the function instead.
    _allow(
        "WriteEventSource",
        "lambda:CreateEventSourceMapping lambda:DeleteEventSourceMapping lambda:UpdateEventSourceMapping",
        ArnLike={"lambda:FunctionArn": FUNCTIONS},
    ),
    _allow("TagEventSource", "lambda:TagResource lambda:UntagResource", EVENT_SOURCES),
    # Without this condition, the deploy role could give a role any permission.
    _allow(
        "WriteRole",
        "iam:CreateRole iam:DeleteRolePolicy iam:PutRolePermissionsBoundary iam:PutRolePolicy",
        ROLE,
        StringEquals={"iam:PermissionsBoundary": "$boundary_arn"},
    ),
    _allow(
        "WriteRoleDetails",
        "iam:DeleteRole iam:TagRole iam:UntagRole iam:UpdateAssumeRolePolicy iam:UpdateRole iam:UpdateRoleDescription",
        ROLE,
    ),
    _allow("PassRoleToLambdaOnly", "iam:PassRole", ROLE, StringEquals={"iam:PassedToService": "lambda.amazonaws.com"}),
    # The CI roles and policies of every stack, and OIDC providers: denied even if another policy allows access.
    {
        "Sid": "DenyCiRoles",
        "Effect": "Deny",
        "Action": "iam:*",
        "Resource": [
            "arn:$partition:iam::$account:role/$project-*-ci-*",
            "arn:$partition:iam::$account:policy/$project-*-ci-*",
            "arn:$partition:iam::$account:oidc-provider/*",
        ],
    },
)

USE_KEY: Final = (
    # DynamoDB and Lambda use the key with the permissions of the caller who creates a table or function; the tests use
    # it through all four services. Tags of a new key can take minutes to affect authorization, so no tag is required.
    _allow(
        "UseKeyThroughServices",
        "kms:CreateGrant kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey* kms:ReEncrypt*",
        "$key",
        StringEquals=_through("dynamodb", "lambda", "s3", "sqs"),
    ),
)
CREATE_KEY: Final = (
    _allow("CreateKey", "kms:CreateKey", StringEquals=NEW_KEY),
    # Tagging must not take over a key that already has a Project tag or an alias.
    _allow(
        "TagNewKey",
        "kms:TagResource",
        KEYS,
        StringEquals=NEW_KEY,
        Null={"aws:ResourceTag/Project": "true", "kms:ResourceAliases": "true"},
    ),
    _allow(
        "ManageOwnKey",
        "kms:CancelKeyDeletion kms:CreateAlias kms:DeleteAlias kms:DisableKey kms:DisableKeyRotation kms:EnableKey "
        "kms:EnableKeyRotation kms:PutKeyPolicy kms:ScheduleKeyDeletion kms:TagResource kms:UntagResource "
        "kms:UpdateAlias kms:UpdateKeyDescription",
        KEYS,
        StringEquals=OWN_KEY,
    ),
    _allow(
        "NameOwnKey",
        "kms:CreateAlias kms:DeleteAlias kms:UpdateAlias",
        "arn:$partition:kms:$region:$account:alias/$prefix-*",
    ),
)

# The integration tests run in the deployment's job. A separate role would protect nothing, because that job can change
# the function anyway.
TESTS: Final = (
    _allow(
        "TestQueues",
        "sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:ReceiveMessage sqs:SendMessage",
        QUEUES,
    ),
    # The tests subscribe their own queue to the notification topic.
    _allow(
        "SubscribeInbox",
        "sns:Subscribe",
        "arn:$partition:sns:$region:$account:$prefix-notifications",
        StringEquals={"sns:Protocol": "sqs"},
        # This key is a String: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html
        StringLike={"sns:Endpoint": "arn:$partition:sqs:$region:$account:$prefix-processor-test-*"},
    ),
    _allow("TestFunction", "lambda:InvokeFunction", f"{FUNCTIONS}:live"),
    _allow("TestItems", "dynamodb:DeleteItem dynamodb:GetItem dynamodb:Query", TABLES),
    _allow("TestPayloads", "s3:DeleteObjectVersion s3:GetObject", "arn:$partition:s3:::$payloads/messages/*"),
    _allow("ListPayloads", "s3:ListBucketVersions", "arn:$partition:s3:::$payloads"),
)

# Maximum permissions of the function's role: the function's actions on all of the stack's resources. If the function
# needs another permission, add it here first.
BOUNDARY: Final = (
    _allow("WriteLogs", "logs:CreateLogStream logs:PutLogEvents", f"{LOG_GROUPS}:*"),
    _allow(
        "UseQueues",
        "sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage sqs:SendMessage",
        QUEUES,
    ),
    _allow("StorePayloads", "s3:PutObject", [f"{bucket}/*" for bucket in BUCKETS]),
    _allow("IndexMessages", "dynamodb:PutItem dynamodb:UpdateItem", TABLES),
    _allow("Notify", "sns:Publish", TOPICS),
    _allow("WriteTraces", "xray:PutTelemetryRecords xray:PutTraceSegments"),
    _allow(
        "UseTheKey",
        "kms:Decrypt kms:DescribeKey kms:GenerateDataKey",
        "$key",
        StringEquals=_through("dynamodb", "lambda", "s3", "sns", "sqs"),
    ),
)


def documents(stack: Stack) -> dict[str, str]:
    """Return a stack's CI policies and permissions boundary by name, as JSON without whitespace."""
    account = stack.account
    places = vars(stack) | {
        "partition": account.partition,
        "dns_suffix": account.dns_suffix,
        "account": account.id,
        "region": account.region,
        "prefix": stack.prefix,
        "payloads": stack.bucket_name or f"{stack.prefix}-payloads-{account.id}",
        "key": stack.kms_key_arn or account.arn("kms", "key/*"),
    }
    tags = {} if stack.kms_key_arn else OWN_KEY
    read_key = (
        _allow(
            "ReadKey",
            "kms:DescribeKey kms:GetKeyPolicy kms:GetKeyRotationStatus kms:ListResourceTags",
            "$key",
            StringEquals=tags,
        ),
        # Lambda decrypts environment variables with the permissions of the role that reads them.
        _allow("ReadEnvironment", "kms:Decrypt", "$key", StringEquals={**tags, **_through("lambda")}),
    )
    policies = {
        "read": READ + read_key,
        "data": DATA,
        "compute": COMPUTE,
        "key": USE_KEY if stack.kms_key_arn else USE_KEY + CREATE_KEY,
        "tests": TESTS,
        "boundary": BOUNDARY,
    }
    texts = {
        name: json.dumps({"Version": POLICY_VERSION, "Statement": statements}, separators=(",", ":"))
        for name, statements in policies.items()
    }
    return {name: Template(text).substitute(places) for name, text in texts.items()}
