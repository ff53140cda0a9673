"""The program: one resource of every type that the tools can read, and a component around some of them."""

import json

import pulumi
import pulumi_aws as aws

from infrastructure.settings import Settings
from tools.account import Account
from tools.bundle import bundle_archive
from tools.configuration.checks import load_settings

settings = load_settings(Settings)
account = Account.current()
prefix = f"{pulumi.get_project()}-{settings.environment_suffix}"
tags = {"Project": pulumi.get_project(), "Environment": settings.environment}


def policy(sid: str, principal: dict[str, str] | None, actions: list[str], resource: pulumi.Input[str]) -> str:
    """Return a policy of one statement."""
    statement = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}
    whose = {"Principal": principal} if principal else {}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement | whose]})


if settings.kms_key_arn:
    key_arn: pulumi.Input[str] = settings.kms_key_arn
else:
    key = aws.kms.Key(
        "key",
        description="Encrypts everything",
        enable_key_rotation=True,
        deletion_window_in_days=30,
        policy=policy("Account", {"AWS": account.root_arn}, ["kms:*"], "*"),
        tags=tags,
    )
    aws.kms.Alias("alias", name=f"alias/{prefix}", target_key_id=key.key_id)
    key_arn = key.arn

store = pulumi.ComponentResource("orders:infrastructure:Store", "store")
within = pulumi.ResourceOptions(parent=store, protect=settings.environment == "prod")
logs = aws.s3.Bucket("logs", bucket=f"{prefix}-logs-{account.id}", force_destroy=True, tags=tags, opts=within)
bucket = aws.s3.Bucket(
    "payloads",
    bucket=settings.bucket_name or f"{prefix}-payloads-{account.id}",
    force_destroy=settings.force_destroy,
    tags=tags,
    opts=within,
)
aws.s3.BucketVersioning("versioning", bucket=bucket.id, versioning_configuration={"status": "Enabled"}, opts=within)
aws.s3.BucketServerSideEncryptionConfiguration(
    "encryption",
    bucket=bucket.id,
    rules=[
        {
            "apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": key_arn},
            "bucket_key_enabled": True,
        }
    ],
    opts=within,
)
aws.s3.BucketOwnershipControls(
    "ownership", bucket=bucket.id, rule={"object_ownership": "BucketOwnerEnforced"}, opts=within
)
aws.s3.BucketPublicAccessBlock(
    "private",
    bucket=bucket.id,
    block_public_acls=True,
    block_public_policy=True,
    ignore_public_acls=True,
    restrict_public_buckets=True,
    opts=within,
)
aws.s3.BucketLifecycleConfiguration(
    "lifecycle",
    bucket=bucket.id,
    rules=[
        {
            "id": "expire",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "noncurrent_version_expiration": {"noncurrent_days": 30},
        }
    ],
    opts=within,
)
aws.s3.BucketPolicy(
    "bucket-policy",
    bucket=bucket.id,
    policy=bucket.arn.apply(lambda arn: policy("Read", {"AWS": account.root_arn}, ["s3:GetObject"], f"{arn}/*")),
    opts=within,
)
logs_policy = aws.s3.BucketPolicy(
    "logs-policy",
    bucket=logs.id,
    policy=logs.arn.apply(
        lambda arn: policy("Logs", {"Service": "logging.s3.amazonaws.com"}, ["s3:PutObject"], f"{arn}/*")
    ),
    opts=within,
)
aws.s3.BucketLogging(
    "logging",
    bucket=bucket.id,
    target_bucket=logs.id,
    target_prefix="payloads/",
    opts=pulumi.ResourceOptions.merge(within, pulumi.ResourceOptions(depends_on=[logs_policy])),
)
aws.s3.BucketNotification("notification", bucket=bucket.id, eventbridge=True, opts=within)
table = aws.dynamodb.Table(
    "messages",
    name=f"{prefix}-messages",
    billing_mode="PAY_PER_REQUEST",
    hash_key="id",
    attributes=[{"name": "id", "type": "S"}, {"name": "date", "type": "S"}],
    global_secondary_indexes=[
        {
            "name": "by-date",
            "key_schemas": [{"attribute_name": "date", "key_type": "HASH"}],
            "projection_type": "INCLUDE",
            "non_key_attributes": ["type"],
        }
    ],
    ttl={"attribute_name": "expires_at", "enabled": True},
    deletion_protection_enabled=settings.environment == "prod",
    point_in_time_recovery={"enabled": True},
    server_side_encryption={"enabled": True, "kms_key_arn": key_arn},
    tags=tags,
    opts=within,
)
store.register_outputs({"bucket_name": bucket.bucket})

dead_letters = aws.sqs.Queue(
    "dead-letters", name=f"{prefix}-dead-letters", message_retention_seconds=1_209_600, kms_master_key_id=key_arn
)
queue = aws.sqs.Queue(
    "queue",
    name=f"{prefix}-queue",
    kms_master_key_id=key_arn,
    max_message_size=262_144,
    message_retention_seconds=345_600,
    redrive_policy=dead_letters.arn.apply(
        lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": settings.max_receive_count})
    ),
    visibility_timeout_seconds=6 * settings.lambda_timeout_seconds,
    tags=tags,
)
aws.sqs.QueuePolicy(
    "queue-policy",
    queue_url=queue.url,
    policy=queue.arn.apply(lambda arn: policy("Send", {"AWS": account.root_arn}, ["sqs:SendMessage"], arn)),
)
aws.sqs.RedriveAllowPolicy(
    "redrive",
    queue_url=dead_letters.url,
    redrive_allow_policy=queue.arn.apply(
        lambda arn: json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [arn]})
    ),
)

topic = aws.sns.Topic("notifications", name=f"{prefix}-notifications", kms_master_key_id=key_arn, tags=tags)
aws.sns.TopicPolicy(
    "topic-policy",
    arn=topic.arn,
    policy=topic.arn.apply(lambda arn: policy("Alarms", {"Service": "cloudwatch.amazonaws.com"}, ["sns:Publish"], arn)),
)
aws.sns.TopicSubscription("email", topic=topic.arn, protocol="email", endpoint=settings.notification_email)

log_group = aws.cloudwatch.LogGroup(
    "log",
    name=f"/aws/lambda/{prefix}-processor",
    retention_in_days=settings.log_retention_days,
    kms_key_id=key_arn,
    tags=tags,
)
role = aws.iam.Role(
    "role",
    name=f"{prefix}-processor",
    permissions_boundary=f"arn:{account.partition}:iam::aws:policy/PowerUserAccess",
    assume_role_policy=json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ],
        }
    ),
    tags=tags,
)
aws.iam.RolePolicy(
    "permissions",
    name="processor",
    role=role.id,
    policy=table.arn.apply(lambda arn: policy("Put", None, ["dynamodb:PutItem"], arn)),
)
function = aws.lambda_.Function(
    "processor",
    name=f"{prefix}-processor",
    role=role.arn,
    runtime=settings.lambda_runtime,
    architectures=[settings.lambda_architecture],
    handler="processor.handler.handle",
    memory_size=settings.lambda_memory_mb,
    timeout=settings.lambda_timeout_seconds,
    reserved_concurrent_executions=5,
    code=bundle_archive(settings.environment, settings.lambda_runtime, settings.lambda_architecture),
    publish=True,
    environment={"variables": {"TABLE_NAME": table.name}},
    kms_key_arn=key_arn,
    tracing_config={"mode": "Active"},
    tags=tags,
    opts=pulumi.ResourceOptions(depends_on=[log_group]),
)
aws.lambda_.Alias(
    "live",
    name="live",
    description="What processes messages",
    function_name=function.name,
    function_version=function.version,
)
aws.lambda_.EventSourceMapping(
    "queue",
    event_source_arn=queue.arn,
    function_name=function.arn,
    batch_size=settings.batch_size,
    maximum_batching_window_in_seconds=settings.batch_window_seconds,
    function_response_types=["ReportBatchItemFailures"],
    scaling_config={"maximum_concurrency": 5},
    metrics_config={"metrics": ["EventCount"]},
    tags=tags,
)
aws.cloudwatch.MetricAlarm(
    "errors",
    name=f"{prefix}-errors",
    alarm_description="The function fails",
    namespace="AWS/Lambda",
    metric_name="Errors",
    dimensions={"FunctionName": function.name},
    statistic="Sum",
    period=60,
    evaluation_periods=1,
    comparison_operator="GreaterThanOrEqualToThreshold",
    threshold=1,
    treat_missing_data="notBreaching",
    alarm_actions=[topic.arn],
    tags=tags,
)
aws.cloudwatch.MetricAlarm(
    "waiting",
    name=f"{prefix}-waiting",
    alarm_description="Messages wait",
    metric_queries=[
        {"id": "value", "expression": "FILL(waiting, 0)", "label": "waiting", "return_data": True},
        {
            "id": "waiting",
            "metric": {
                "namespace": "AWS/SQS",
                "metric_name": "ApproximateNumberOfMessagesVisible",
                "dimensions": {"QueueName": queue.name},
                "period": 60,
                "stat": "Maximum",
            },
        },
    ],
    evaluation_periods=10,
    datapoints_to_alarm=3,
    comparison_operator="GreaterThanThreshold",
    threshold=0,
    treat_missing_data="notBreaching",
    alarm_actions=[topic.arn],
    tags=tags,
)
rule = aws.cloudwatch.EventRule(
    "rule",
    name=f"{prefix}-key",
    description="Somebody changes the key",
    event_pattern=json.dumps({"source": ["aws.kms"], "detail": {"eventName": ["DisableKey"]}}),
    tags=tags,
)
aws.cloudwatch.EventTarget("target", rule=rule.name, arn=topic.arn)
aws.cloudwatch.Dashboard(
    "dashboard",
    dashboard_name=prefix,
    dashboard_body=json.dumps({"widgets": [{"type": "text", "properties": {"markdown": prefix}}]}),
)

pulumi.export("bucket_name", bucket.bucket)
pulumi.export("table_name", table.name)
pulumi.export("table_arn", table.arn)
pulumi.export("topic_arn", topic.arn)
pulumi.export("queue_url", queue.url)
pulumi.export("function_arn", function.arn)
pulumi.export("function_name", function.name)
