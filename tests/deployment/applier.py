"""Creates and updates the rendered program's resources in the emulator, instead of the engine.

Runs in the environment of a rendered project. Pulumi's mocks pass each resource once its dependencies exist. It is
created with boto3, and the response becomes its outputs.
"""

import contextlib
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import boto3
from breakages import Breakage, merged
from pulumi.runtime import mocks

Inputs = dict[str, Any]
Created = tuple[str, Inputs]
Create = Callable[["Clients", Inputs], Created]
Update = Callable[["Clients", Inputs], Inputs]

CREATORS: dict[str, Create] = {}
UPDATERS: dict[str, Update] = {}


class Clients:
    """AWS clients, each created once.

    Attributes:
        session: Session for the emulator.
    """

    def __init__(self, session: boto3.Session) -> None:
        self.session = session
        self.made: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str | None = None) -> Any:
        """Return a client, by default in the session's region."""
        key = service, region or self.session.region_name
        if key not in self.made:
            self.made[key] = self.session.client(service, region_name=key[1])  # ty: ignore[no-matching-overload]
        return self.made[key]


class UnknownResourceError(Exception):
    """This module cannot create a resource of this type yet."""


class CannotUpdateError(Exception):
    """This module cannot update a resource of this type yet."""


class Applier(mocks.Mocks):
    """Creates resources, or updates those of an earlier deployment.

    Attributes:
        aws: Clients for the emulator.
        breakages: Breakages to apply.
        broken: Breakages that have changed a resource.
        before: State of an earlier deployment: inputs, id and computed outputs of each resource.
        state: State of this deployment.
        steps: Operation by type and logical name: ``create``, ``update`` or ``same``.
        preview: Whether creations and updates are only planned.
    """

    def __init__(
        self,
        session: boto3.Session,
        breakages: Sequence[Breakage] = (),
        before: Mapping[str, Inputs] | None = None,
        *,
        preview: bool = False,
    ) -> None:
        self.aws = Clients(session)
        self.breakages = breakages
        self.broken: list[Breakage] = []
        self.before = before or {}
        self.state: dict[str, Inputs] = {}
        self.steps: dict[str, str] = {}
        self.preview = preview

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, Inputs]:
        """Create or update a resource; components need nothing."""
        inputs = whole_numbers(args.inputs)
        if not args.custom:
            return args.name, inputs
        if args.typ not in CREATORS:
            raise UnknownResourceError(args.typ)
        for breakage in self.breakages:
            if breakage.concerns(args.typ, args.name):
                self.broken.append(breakage)
                changed = breakage.apply(inputs)
                if changed is None:
                    return args.name, inputs
                inputs = changed
        identity, computed = self._apply(args.typ, args.name, inputs)
        return identity, args.inputs | computed

    def _apply(self, type_: str, name: str, inputs: Inputs) -> Created:
        key = f"{type_} {name}"
        comparable = json.loads(json.dumps(inputs, default=lambda code: hashlib.sha256(archive_of(code)).hexdigest()))
        earlier = self.before.get(key)
        if earlier is None:
            self.steps[key] = "create"
            identity, computed = (
                self._expected(type_, name, inputs) if self.preview else CREATORS[type_](self.aws, inputs)
            )
        else:
            identity, computed = earlier["id"], earlier["computed"]
            self.steps[key] = "same" if comparable == earlier["inputs"] else "update"
        if self.steps[key] == "update" and self.preview:
            computed = computed | {key: f"({key} after the update)" for key in computed if key == "version"}
        elif self.steps[key] == "update":
            if type_ not in UPDATERS:
                raise CannotUpdateError(key)
            computed = computed | UPDATERS[type_](self.aws, inputs)
        self.state[key] = {"inputs": comparable, "id": identity, "computed": computed}
        return identity, computed

    def _expected(self, type_: str, name: str, inputs: Inputs) -> Created:
        """Return examples of the id and the computed outputs of a resource that is not created yet."""
        from tools.testing.recording import computed_outputs, example_account  # noqa: PLC0415 # of the project

        account = example_account(self.aws.session.region_name)
        return f"({name} after the update)", dict(computed_outputs(type_, name, inputs, account))

    def call(self, args: mocks.MockCallArgs) -> tuple[Inputs, list[tuple[str, str]] | None]:
        """Answer the program's provider functions."""
        answers: dict[str, Callable[[], Inputs]] = {
            "aws:index/getCallerIdentity:getCallerIdentity": lambda: {
                "accountId": self.aws.client("sts").get_caller_identity()["Account"]
            },
            "aws:index/getPartition:getPartition": lambda: {"partition": "aws", "dnsSuffix": "amazonaws.com"},
            "aws:index/getRegion:getRegion": lambda: {"region": self.aws.session.region_name},
            "aws:index/getServicePrincipal:getServicePrincipal": lambda: {
                "name": f"{args.args['serviceName']}.amazonaws.com",
                "id": f"{args.args['serviceName']}.{self.aws.session.region_name}.amazonaws.com",
                "suffix": "amazonaws.com",
            },
        }
        return answers[args.token](), []


def whole_numbers(value: Any) -> Any:
    """Convert Pulumi's numbers, which are all floats, to the integers that AWS expects."""
    if isinstance(value, dict):
        return {key: whole_numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [whole_numbers(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def creates(type_: str) -> Callable[[Create], Create]:
    """Register a function that creates resources of a type."""

    def register(create: Create) -> Create:
        CREATORS[type_] = create
        return create

    return register


def updates(type_: str) -> Callable[[Update], Update]:
    """Register a function that updates resources of a type, and returns the computed outputs that have changed."""

    def register(update: Update) -> Update:
        UPDATERS[type_] = update
        return update

    return register


def listed(tags: dict[str, str] | None) -> list[dict[str, str]]:
    """Convert tags to the format of most services."""
    return [{"Key": key, "Value": value} for key, value in (tags or {}).items()]


def pascal(value: Any) -> Any:
    """Convert the keys of a structure to those of AWS's APIs."""
    if isinstance(value, dict):
        return {key[0].upper() + key[1:]: pascal(each) for key, each in value.items()}
    return [pascal(each) for each in value] if isinstance(value, list) else value


@creates("aws:kms/key:Key")
def create_key(aws: Clients, inputs: Inputs) -> Created:
    kms = aws.client("kms")
    tags = [{"TagKey": key, "TagValue": value} for key, value in inputs.get("tags", {}).items()]
    key = kms.create_key(
        Description=inputs["description"], KeyUsage="ENCRYPT_DECRYPT", Policy=inputs["policy"], Tags=tags
    )["KeyMetadata"]
    if inputs["enableKeyRotation"]:
        kms.enable_key_rotation(KeyId=key["KeyId"])
    if inputs.get("isEnabled") is False:
        kms.disable_key(KeyId=key["KeyId"])
    return key["KeyId"], {"arn": key["Arn"], "keyId": key["KeyId"]}


@creates("aws:kms/alias:Alias")
def create_alias(aws: Clients, inputs: Inputs) -> Created:
    aws.client("kms").create_alias(AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"])
    return inputs["name"], {}


@creates("aws:s3/bucket:Bucket")
def create_bucket(aws: Clients, inputs: Inputs) -> Created:
    s3, name = aws.client("s3", inputs.get("region")), inputs["bucket"]
    # Like the provider, without another call for the tags.
    configuration: Inputs = {"Tags": listed(inputs["tags"])} if inputs.get("tags") else {}
    if s3.meta.region_name != "us-east-1":
        configuration["LocationConstraint"] = s3.meta.region_name
    s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": configuration} if configuration else {}))
    return name, {"arn": f"arn:aws:s3:::{name}"}


@creates("aws:s3/bucketVersioning:BucketVersioning")
def create_versioning(aws: Clients, inputs: Inputs) -> Created:
    configuration = pascal(inputs["versioningConfiguration"])
    aws.client("s3").put_bucket_versioning(Bucket=inputs["bucket"], VersioningConfiguration=configuration)
    return inputs["bucket"], {}


@creates("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
def create_bucket_encryption(aws: Clients, inputs: Inputs) -> Created:
    rules = []
    for rule in inputs["rules"]:
        default = rule["applyServerSideEncryptionByDefault"]
        written = {"SSEAlgorithm": default["sseAlgorithm"]}
        if "kmsMasterKeyId" in default:
            written["KMSMasterKeyID"] = default["kmsMasterKeyId"]
        blocked = {"EncryptionType": rule.get("blockedEncryptionTypes") or ["NONE"]}
        rules.append(
            {
                "ApplyServerSideEncryptionByDefault": written,
                "BucketKeyEnabled": rule["bucketKeyEnabled"],
                "BlockedEncryptionTypes": blocked,
            }
        )
    aws.client("s3").put_bucket_encryption(Bucket=inputs["bucket"], ServerSideEncryptionConfiguration={"Rules": rules})
    return inputs["bucket"], {}


@creates("aws:s3/bucketOwnershipControls:BucketOwnershipControls")
def create_ownership(aws: Clients, inputs: Inputs) -> Created:
    controls = {"Rules": [pascal(inputs["rule"])]}
    aws.client("s3").put_bucket_ownership_controls(Bucket=inputs["bucket"], OwnershipControls=controls)
    return inputs["bucket"], {}


@creates("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
def create_public_access_block(aws: Clients, inputs: Inputs) -> Created:
    block = pascal({key: value for key, value in inputs.items() if key != "bucket"})
    aws.client("s3").put_public_access_block(Bucket=inputs["bucket"], PublicAccessBlockConfiguration=block)
    return inputs["bucket"], {}


@creates("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
def create_lifecycle(aws: Clients, inputs: Inputs) -> Created:
    rules = [{"ID": rule.pop("id"), **pascal(rule)} for rule in map(dict, inputs["rules"])]
    aws.client("s3").put_bucket_lifecycle_configuration(
        Bucket=inputs["bucket"], LifecycleConfiguration={"Rules": rules}
    )
    return inputs["bucket"], {}


@creates("aws:s3/bucketPolicy:BucketPolicy")
def create_bucket_policy(aws: Clients, inputs: Inputs) -> Created:
    aws.client("s3").put_bucket_policy(Bucket=inputs["bucket"], Policy=inputs["policy"])
    return inputs["bucket"], {}


@creates("aws:s3/bucketLogging:BucketLogging")
def create_logging(aws: Clients, inputs: Inputs) -> Created:
    enabled = {"TargetBucket": inputs["targetBucket"], "TargetPrefix": inputs["targetPrefix"]}
    aws.client("s3").put_bucket_logging(Bucket=inputs["bucket"], BucketLoggingStatus={"LoggingEnabled": enabled})
    return inputs["bucket"], {}


@creates("aws:s3/bucketNotification:BucketNotification")
def create_notification(aws: Clients, inputs: Inputs) -> Created:
    configuration: Inputs = {"EventBridgeConfiguration": {}} if inputs["eventbridge"] else {}
    aws.client("s3").put_bucket_notification_configuration(
        Bucket=inputs["bucket"], NotificationConfiguration=configuration
    )
    return inputs["bucket"], {}


@creates("aws:dynamodb/table:Table")
def create_table(aws: Clients, inputs: Inputs) -> Created:
    dynamodb = aws.client("dynamodb")
    key_schema = [{"AttributeName": inputs["hashKey"], "KeyType": "HASH"}]
    if "rangeKey" in inputs:
        key_schema.append({"AttributeName": inputs["rangeKey"], "KeyType": "RANGE"})
    indexes: list[Inputs] = [
        {
            "IndexName": index["name"],
            "KeySchema": pascal(index["keySchemas"]),
            "Projection": pascal({key: index[key] for key in ("projectionType", "nonKeyAttributes") if key in index}),
            **maximums(index),
        }
        for index in inputs.get("globalSecondaryIndexes") or []
    ]
    used = {key["AttributeName"] for keys in (key_schema, *(index["KeySchema"] for index in indexes)) for key in keys}
    attributes = [
        {"AttributeName": attribute["name"], "AttributeType": attribute["type"]}
        for attribute in inputs["attributes"]
        if attribute["name"] in used
    ]
    arguments: Inputs = ({"GlobalSecondaryIndexes": indexes} if indexes else {}) | maximums(inputs)
    if inputs["billingMode"] == "PROVISIONED":
        throughput = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
        arguments["ProvisionedThroughput"] = throughput
        for index in indexes:
            index["ProvisionedThroughput"] = throughput
    encryption = inputs.get("serverSideEncryption") or {"enabled": False}
    if encryption["enabled"]:
        arguments["SSESpecification"] = {
            "Enabled": True,
            "SSEType": "KMS",
            **({"KMSMasterKeyId": encryption["kmsKeyArn"]} if "kmsKeyArn" in encryption else {}),
        }
    table = dynamodb.create_table(
        TableName=inputs["name"],
        KeySchema=key_schema,
        AttributeDefinitions=attributes,
        BillingMode=inputs["billingMode"],
        DeletionProtectionEnabled=inputs["deletionProtectionEnabled"],
        Tags=listed(inputs.get("tags")),
        **arguments,
    )["TableDescription"]
    recovery = inputs.get("pointInTimeRecovery") or {"enabled": False}
    dynamodb.update_continuous_backups(
        TableName=inputs["name"],
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": recovery["enabled"]},
    )
    if inputs.get("ttl"):
        dynamodb.update_time_to_live(TableName=inputs["name"], TimeToLiveSpecification=pascal(inputs["ttl"]))
    return inputs["name"], {"arn": table["TableArn"]}


def maximums(inputs: Inputs) -> Inputs:
    """Return the argument for the maximum throughput of a table or an index."""
    return {"OnDemandThroughput": pascal(inputs["onDemandThroughput"])} if inputs.get("onDemandThroughput") else {}


@creates("aws:dynamodb/contributorInsights:ContributorInsights")
def create_contributor_insights(aws: Clients, inputs: Inputs) -> Created:
    index = {"IndexName": inputs["indexName"]} if "indexName" in inputs else {}
    dynamodb = aws.client("dynamodb")
    # A breakage may have left out the index.
    with contextlib.suppress(dynamodb.exceptions.ResourceNotFoundException):
        dynamodb.update_contributor_insights(TableName=inputs["tableName"], ContributorInsightsAction="ENABLE", **index)
    return f"{inputs['tableName']}/{inputs.get('indexName', '')}", {}


@creates("aws:sqs/queue:Queue")
def create_queue(aws: Clients, inputs: Inputs) -> Created:
    sqs = aws.client("sqs")
    names = {
        "kmsMasterKeyId": "KmsMasterKeyId",
        "maxMessageSize": "MaximumMessageSize",
        "messageRetentionSeconds": "MessageRetentionPeriod",
        "visibilityTimeoutSeconds": "VisibilityTimeout",
        "redrivePolicy": "RedrivePolicy",
    }
    attributes = {names[key]: str(value) for key, value in inputs.items() if key in names}
    url = sqs.create_queue(QueueName=inputs["name"], Attributes=attributes, tags=inputs.get("tags") or {})["QueueUrl"]
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, {"arn": answer["Attributes"]["QueueArn"], "url": url}


@creates("aws:sqs/queuePolicy:QueuePolicy")
def create_queue_policy(aws: Clients, inputs: Inputs) -> Created:
    aws.client("sqs").set_queue_attributes(QueueUrl=inputs["queueUrl"], Attributes={"Policy": inputs["policy"]})
    return inputs["queueUrl"], {}


@creates("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy")
def create_redrive_allow_policy(aws: Clients, inputs: Inputs) -> Created:
    attributes = {"RedriveAllowPolicy": inputs["redriveAllowPolicy"]}
    aws.client("sqs").set_queue_attributes(QueueUrl=inputs["queueUrl"], Attributes=attributes)
    return inputs["queueUrl"], {}


@creates("aws:sns/topic:Topic")
def create_topic(aws: Clients, inputs: Inputs) -> Created:
    sns = aws.client("sns")
    attributes = {
        key[0].upper() + key[1:]: str(inputs[key]) for key in ("kmsMasterKeyId", "signatureVersion") if key in inputs
    }
    topic = sns.create_topic(Name=inputs["name"], Attributes=attributes, Tags=listed(inputs.get("tags")))
    return topic["TopicArn"], {"arn": topic["TopicArn"]}


@creates("aws:sns/topicPolicy:TopicPolicy")
def create_topic_policy(aws: Clients, inputs: Inputs) -> Created:
    aws.client("sns").set_topic_attributes(
        TopicArn=inputs["arn"], AttributeName="Policy", AttributeValue=inputs["policy"]
    )
    return inputs["arn"], {}


@creates("aws:sns/topicSubscription:TopicSubscription")
def create_subscription(aws: Clients, inputs: Inputs) -> Created:
    answer = aws.client("sns").subscribe(
        TopicArn=inputs["topic"], Protocol=inputs["protocol"], Endpoint=inputs["endpoint"]
    )
    return answer["SubscriptionArn"], {}


@creates("aws:cloudwatch/logGroup:LogGroup")
def create_log_group(aws: Clients, inputs: Inputs) -> Created:
    logs = aws.client("logs")
    options = {key: inputs[key] for key in ("kmsKeyId", "deletionProtectionEnabled") if key in inputs}
    with contextlib.suppress(logs.exceptions.ResourceNotFoundException):
        # A late invocation of an earlier deployment's function may have created it after the reset.
        logs.delete_log_group(logGroupName=inputs["name"])
    logs.create_log_group(logGroupName=inputs["name"], tags=inputs.get("tags") or {}, **options)
    if "retentionInDays" in inputs:
        logs.put_retention_policy(logGroupName=inputs["name"], retentionInDays=inputs["retentionInDays"])
    (group,) = logs.describe_log_groups(logGroupNamePrefix=inputs["name"])["logGroups"]
    return inputs["name"], {"arn": group["arn"].removesuffix(":*")}


@updates("aws:cloudwatch/logGroup:LogGroup")
def update_log_group(aws: Clients, inputs: Inputs) -> Inputs:
    aws.client("logs").put_retention_policy(logGroupName=inputs["name"], retentionInDays=inputs["retentionInDays"])
    return {}


@creates("aws:iam/role:Role")
def create_role(aws: Clients, inputs: Inputs) -> Created:
    iam = aws.client("iam")
    boundary = {"PermissionsBoundary": inputs["permissionsBoundary"]} if inputs.get("permissionsBoundary") else {}
    role = iam.create_role(
        RoleName=inputs["name"],
        AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
        Tags=listed(inputs.get("tags")),
        **boundary,
    )["Role"]
    for arn in inputs.get("managedPolicyArns", []):
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        name = arn.rpartition("/")[2]
        made = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(policy))["Policy"]
        iam.attach_role_policy(RoleName=inputs["name"], PolicyArn=made["Arn"])
    return inputs["name"], {"arn": role["Arn"]}


@creates("aws:iam/rolePolicy:RolePolicy")
def create_role_policy(aws: Clients, inputs: Inputs) -> Created:
    aws.client("iam").put_role_policy(
        RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"]
    )
    return f"{inputs['role']}:{inputs['name']}", {}


def archive_of(code: Any) -> bytes:
    """Read a bundle, or create one with only a text."""
    if not isinstance(code, str):
        return Path(code.path).read_bytes()
    archive = io.BytesIO()
    with ZipFile(archive, "w") as bundle:
        bundle.writestr("text", code)
    return archive.getvalue()


def function_arguments(inputs: Inputs) -> Inputs:
    """Return the arguments for creating or updating a function."""
    same = (
        *("description", "handler", "role", "runtime", "timeout", "memorySize"),
        *("deadLetterConfig", "loggingConfig", "tracingConfig"),
    )
    arguments = pascal({key: inputs[key] for key in same if key in inputs})
    if "kmsKeyArn" in inputs:
        arguments["KMSKeyArn"] = inputs["kmsKeyArn"]
    return arguments | {
        "FunctionName": inputs["name"],
        "Environment": {"Variables": inputs["environment"]["variables"]},
    }


@creates("aws:lambda/function:Function")
def create_function(aws: Clients, inputs: Inputs) -> Created:
    client = aws.client("lambda")
    # A breakage: the published version differs from what is declared.
    published = merged(inputs, inputs.get("published", {}))
    function = client.create_function(
        Code={"ZipFile": archive_of(published["code"])},
        Architectures=inputs["architectures"],
        Publish=inputs.get("publish", False),
        Tags=inputs.get("tags") or {},
        **function_arguments(published),
    )
    if "published" in inputs:
        update_function(aws, inputs | {"publish": False})
    if inputs["reservedConcurrentExecutions"] >= 0:
        client.put_function_concurrency(
            FunctionName=inputs["name"], ReservedConcurrentExecutions=inputs["reservedConcurrentExecutions"]
        )
    return inputs["name"], {"arn": unversioned(function["FunctionArn"]), "version": function["Version"]}


def unversioned(function_arn: str) -> str:
    """Remove the version from a function's ARN."""
    return ":".join(function_arn.split(":")[:7])


@updates("aws:lambda/function:Function")
def update_function(aws: Clients, inputs: Inputs) -> Inputs:
    client, name = aws.client("lambda"), {"FunctionName": inputs["name"]}
    is_updated = client.get_waiter("function_updated_v2")
    is_updated.wait(**name, WaiterConfig={"Delay": 1})
    client.update_function_configuration(**function_arguments(inputs))
    is_updated.wait(**name, WaiterConfig={"Delay": 1})
    client.update_function_code(**name, ZipFile=archive_of(inputs["code"]))
    if not inputs.get("publish"):
        return {}
    is_updated.wait(**name, WaiterConfig={"Delay": 1})
    return {"version": client.publish_version(**name)["Version"]}


@creates("aws:lambda/alias:Alias")
def create_function_alias(aws: Clients, inputs: Inputs) -> Created:
    alias = aws.client("lambda").create_alias(**pascal(inputs))
    return inputs["name"], {"arn": alias["AliasArn"]}


@updates("aws:lambda/alias:Alias")
def update_function_alias(aws: Clients, inputs: Inputs) -> Inputs:
    aws.client("lambda").update_alias(**pascal(inputs))
    return {}


@creates("aws:lambda/eventSourceMapping:EventSourceMapping")
def create_event_source_mapping(aws: Clients, inputs: Inputs) -> Created:
    structures = ("filterCriteria", "metricsConfig", "scalingConfig")
    mapping = aws.client("lambda").create_event_source_mapping(
        EventSourceArn=inputs["eventSourceArn"],
        FunctionName=inputs["functionName"],
        BatchSize=inputs["batchSize"],
        MaximumBatchingWindowInSeconds=inputs["maximumBatchingWindowInSeconds"],
        FunctionResponseTypes=inputs.get("functionResponseTypes") or [],
        Enabled=inputs.get("enabled", True),
        Tags=inputs.get("tags") or {},
        **pascal({key: inputs[key] for key in structures if inputs.get(key)}),
    )
    return mapping["UUID"], {}


@creates("aws:cloudwatch/metricAlarm:MetricAlarm")
def create_alarm(aws: Clients, inputs: Inputs) -> Created:
    renamed = {"Name": "AlarmName", "OkActions": "OKActions"}
    listed_apart = ("dimensions", "metricQueries", "tags")
    given = pascal({key: value for key, value in inputs.items() if key not in listed_apart})
    arguments = {renamed.get(key, key): value for key, value in given.items()}
    if "metricQueries" in inputs:
        arguments["Metrics"] = [metric_query(query) for query in inputs["metricQueries"]]
    else:
        arguments["Dimensions"] = dimensions(inputs)
    aws.client("cloudwatch").put_metric_alarm(Tags=listed(inputs.get("tags")), **arguments)
    return inputs["name"], {}


def metric_query(query: Inputs) -> Inputs:
    """Convert a metric or an expression of an alarm, like the provider: by default it is not what is compared."""
    given = {"ReturnData": False} | pascal({key: value for key, value in query.items() if key != "metric"})
    if "metric" in query:
        metric = query["metric"]
        of_the_metric = {"Namespace": metric["namespace"], "MetricName": metric["metricName"]}
        given["MetricStat"] = {
            "Metric": of_the_metric | {"Dimensions": dimensions(metric)},
            "Period": metric["period"],
            "Stat": metric["stat"],
        }
    return given


def dimensions(inputs: Inputs) -> list[dict[str, str]]:
    """Return a metric's dimensions as CloudWatch wants them."""
    return [{"Name": name, "Value": value} for name, value in inputs["dimensions"].items()]


@creates("aws:cloudwatch/eventRule:EventRule")
def create_rule(aws: Clients, inputs: Inputs) -> Created:
    rule = aws.client("events").put_rule(
        Tags=listed(inputs.get("tags")), **pascal({key: value for key, value in inputs.items() if key != "tags"})
    )
    return inputs["name"], {"arn": rule["RuleArn"]}


@creates("aws:cloudwatch/eventTarget:EventTarget")
def create_target(aws: Clients, inputs: Inputs) -> Created:
    target = {"Id": "target"} | pascal({key: value for key, value in inputs.items() if key != "rule"})
    aws.client("events").put_targets(Rule=inputs["rule"], Targets=[target])
    return f"{inputs['rule']}-target", {}


@creates("aws:cloudwatch/dashboard:Dashboard")
def create_dashboard(aws: Clients, inputs: Inputs) -> Created:
    aws.client("cloudwatch").put_dashboard(DashboardName=inputs["dashboardName"], DashboardBody=inputs["dashboardBody"])
    return inputs["dashboardName"], {}
