"""The reading of each resource type: deployed to moto as promised, changed, in part, and not at all."""

import re
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from applier import Applier
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from breakages import Breakage
from moto import mock_aws
from pulumi.runtime import mocks

from tests.remembered import deploy_once
from tools.configuration.stack_files import read_stack_config
from tools.outputs import OUTPUTS_FILE, write_outputs
from tools.testing import program, readers
from tools.testing.comparison import differences
from tools.testing.deployed import Deployed, find_deployed
from tools.testing.program import Program
from tools.testing.promises import promised, promised_properties
from tools.testing.readers import ALIAS, FUNCTION, KEY, READERS, read
from tools.testing.recording import Deployment, Resource, deploy, example_account, readable_config

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
FUNCTION_ALIAS = "aws:lambda/alias:Alias"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
MAPPING = "aws:lambda/eventSourceMapping:EventSourceMapping"
RULE = "aws:cloudwatch/eventRule:EventRule"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
TABLE = "aws:dynamodb/table:Table"
TARGET = "aws:cloudwatch/eventTarget:EventTarget"
TOPIC = "aws:sns/topic:Topic"
STACK = "dev"
OTHER = "arn:aws:iam::123456789012:user/somebody"
POLICY = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}]}'
)
# Properties that are changed on creation: the comparison must find each of them.
CHANGED: dict[str, dict[str, Any]] = {
    KEY: {"description": "another", "enableKeyRotation": False, "isEnabled": False, "policy": POLICY, "tags": None},
    "aws:s3/bucket:Bucket": {"tags": None},
    "aws:s3/bucketVersioning:BucketVersioning": {"versioningConfiguration": {"status": "Suspended"}},
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": {
        "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}, "bucketKeyEnabled": False}]
    },
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": {"rule": {"objectOwnership": "ObjectWriter"}},
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": {
        "blockPublicAcls": False,
        "blockPublicPolicy": False,
        "ignorePublicAcls": False,
        "restrictPublicBuckets": False,
    },
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": {
        "rules": [{"id": "x", "status": "Disabled", "filter": {"prefix": "a"}, "expiration": {"days": 1}}]
    },
    "aws:s3/bucketPolicy:BucketPolicy": {"policy": POLICY},
    "aws:s3/bucketLogging:BucketLogging": {"targetPrefix": "elsewhere/"},
    TABLE: {
        "rangeKey": "date",
        "billingMode": "PROVISIONED",
        "deletionProtectionEnabled": True,
        "globalSecondaryIndexes": [],
        "pointInTimeRecovery": {"enabled": False},
        "serverSideEncryption": {"enabled": False},
        "ttl": None,
        "tags": None,
    },
    "aws:sqs/queue:Queue": {
        "kmsMasterKeyId": "alias/another",
        "maxMessageSize": 1024,
        "messageRetentionSeconds": 60,
        "redrivePolicy": None,
        "visibilityTimeoutSeconds": 361,
        "tags": None,
    },
    "aws:sqs/queuePolicy:QueuePolicy": {"policy": POLICY},
    TOPIC: {"kmsMasterKeyId": "alias/another", "tags": None},
    "aws:sns/topicPolicy:TopicPolicy": {"policy": POLICY},
    SUBSCRIPTION: {"endpoint": "other@example.com"},
    LOG_GROUP: {"retentionInDays": 1, "kmsKeyId": None, "tags": None},
    "aws:iam/role:Role": {
        "assumeRolePolicy": POLICY,
        "managedPolicyArns": ["arn:aws:iam::123456789012:policy/more"],
        "permissionsBoundary": None,
        "tags": None,
    },
    "aws:iam/rolePolicy:RolePolicy": {"policy": POLICY.replace('"Principal": "*", ', "")},
    FUNCTION: {
        "environment": {"variables": {"TABLE_NAME": "another"}},
        "handler": "another.handle",
        "kmsKeyArn": None,
        "memorySize": 128,
        "reservedConcurrentExecutions": -1,
        "runtime": "python3.11",
        "timeout": 1,
        "tracingConfig": {"mode": "PassThrough"},
        "tags": None,
    },
    FUNCTION_ALIAS: {
        "description": "another",
        "functionVersion": "$LATEST",
        "routingConfig": {"additionalVersionWeights": {"1": 0.5}},
    },
    MAPPING: {
        "batchSize": 1,
        "enabled": False,
        "filterCriteria": {"filters": [{"pattern": "{}"}]},
        "functionResponseTypes": None,
        "maximumBatchingWindowInSeconds": 1,
        "metricsConfig": None,
        "scalingConfig": None,
        "tags": None,
    },
    ALARM: {
        "actionsEnabled": False,
        "alarmActions": None,
        "dimensions": {"FunctionName": "another"},
        "insufficientDataActions": ["arn:aws:sns:us-east-2:123456789012:another"],
        "period": 300,
        "threshold": 5,
        "tags": None,
    },
    "aws:cloudwatch/dashboard:Dashboard": {"dashboardBody": '{"widgets": []}'},
    RULE: {"description": "another", "eventPattern": '{"source": ["aws.s3"]}', "state": "DISABLED", "tags": None},
    TARGET: {"arn": "arn:aws:sqs:us-east-2:123456789012:another", "input": "{}"},
}
NOTIFICATION = "aws:s3/bucketNotification:BucketNotification"
REDRIVE_ALLOW = "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy"
INSIGHTS = "aws:dynamodb/contributorInsights:ContributorInsights"
IN_MOTO = READERS.keys() - {NOTIFICATION, REDRIVE_ALLOW, INSIGHTS}
# The resource of its type that is changed. The other bucket's policy admits S3's logs; the other queue promises less;
# the other alarm watches several metrics.
ONLY = {"aws:s3/bucketPolicy:BucketPolicy": "bucket-policy", "aws:sqs/queue:Queue": "queue", ALARM: "errors"}
# Resources that no other resource depends on, so that they can be missing.
PARTS = [
    *(type_ for type_ in CHANGED if type_.startswith("aws:s3/bucket") and type_ != "aws:s3/bucket:Bucket"),
    "aws:sqs/queuePolicy:QueuePolicy",
    "aws:sns/topicPolicy:TopicPolicy",
    SUBSCRIPTION,
    LOG_GROUP,
    "aws:iam/rolePolicy:RolePolicy",
    FUNCTION_ALIAS,
    MAPPING,
    ALARM,
    RULE,
    TARGET,
    "aws:cloudwatch/dashboard:Dashboard",
]


class Moto(Applier):
    """Creates resources in moto, which ignores the tags of a new bucket."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Create a resource."""
        created = super().new_resource(args)
        if args.typ == "aws:s3/bucket:Bucket":
            tags = self.state[f"{args.typ} {args.name}"]["inputs"].get("tags", {})
            tagging = {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}
            if tags:
                self.aws.client("s3").put_bucket_tagging(Bucket=args.inputs["bucket"], Tagging=tagging)
        return created


@contextmanager
def on_aws(folder: Path, build_folder: Path, breakages: Sequence[Breakage] = ()) -> Generator[Deployed]:
    """Deploy the program to moto, with changes or omissions."""
    config = readable_config(STACK)
    with mock_aws(config={"lambda": {"use_docker": False}}), pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(program, "deploy", deploy_once)
        moto = Moto(boto3.Session("testing", "testing", region_name=config["aws:region"]), breakages)
        write_outputs(deploy(config, STACK, build_folder, moto).exports, folder / OUTPUTS_FILE)
        assert [breakage for breakage in breakages if breakage not in moto.broken] == []
        yield find_deployed(folder)


# By type and logical name: the differences from the program's promise, or ``None`` if it does not exist.
Found = dict[str, dict[str, list[str] | None]]


def all_read(deployed: Deployed) -> Found:
    """Read every resource of the program."""
    found: Found = {type_: {} for type_ in READERS}
    for resource in promised(deployed).resources:
        if not resource.is_component:
            found[resource.type][resource.name] = compared(deployed, resource)
    return found


def compared(deployed: Deployed, resource: Resource) -> list[str] | None:
    """Compare a resource with its promise, as a project's integration tests do."""
    there = read(deployed, resource)
    if there is None:
        return None
    return [*differences(there, promised_properties(deployed, resource))]


@pytest.fixture(scope="module", name="as_promised")
def fixture_as_promised(tmp_path_factory: pytest.TempPathFactory, build_folder: Path) -> Found:
    """Differences if everything is deployed as promised."""
    with on_aws(tmp_path_factory.mktemp("promised"), build_folder) as deployed:
        return all_read(deployed)


@pytest.fixture(scope="module", name="changed")
def fixture_changed(tmp_path_factory: pytest.TempPathFactory, build_folder: Path) -> Found:
    """Differences if every resource is changed."""
    breakages = [Breakage(type_, ONLY.get(type_, "*"), change) for type_, change in CHANGED.items()]
    with on_aws(tmp_path_factory.mktemp("changed"), build_folder, breakages) as deployed:
        return all_read(deployed)


@pytest.fixture(scope="module", name="in_part")
def fixture_in_part(tmp_path_factory: pytest.TempPathFactory, build_folder: Path) -> Found:
    """Differences if only resources exist that others depend on."""
    breakages = [Breakage(type_, "*") for type_ in PARTS]
    with on_aws(tmp_path_factory.mktemp("in-part"), build_folder, breakages) as deployed:
        return all_read(deployed)


@pytest.fixture(scope="module", name="nowhere")
def fixture_nowhere(tmp_path_factory: pytest.TempPathFactory, build_folder: Path) -> Found:
    """Differences if everything was deleted after the outputs were written."""
    folder = tmp_path_factory.mktemp("nowhere")
    with on_aws(folder, build_folder):
        pass
    with mock_aws(), pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(program, "deploy", deploy_once)
        return all_read(find_deployed(folder))


def test_the_tests_program_has_a_resource_of_every_type_that_moto_can_create(as_promised: Found) -> None:
    assert [type_ for type_, found in as_promised.items() if not found] == [INSIGHTS]


@pytest.mark.parametrize("type_", sorted(IN_MOTO))
def test_a_resource_that_is_deployed_as_promised_has_no_differences(as_promised: Found, type_: str) -> None:
    assert as_promised[type_] == {name: [] for name in as_promised[type_]}


@pytest.mark.parametrize("type_", CHANGED)
def test_a_change_is_found_in_every_resource(changed: Found, type_: str) -> None:
    found = [each for name, each in changed[type_].items() if name == ONLY.get(type_, name)]

    seen = [{re.split(r"[.:]", difference)[0] for difference in each or ()} for each in found]
    assert seen
    for properties in seen:
        assert properties >= CHANGED[type_].keys()


def test_every_type_is_changed_except_aliases_by_which_keys_are_found() -> None:
    assert CHANGED.keys() == IN_MOTO - {ALIAS}


@pytest.mark.parametrize("type_", sorted(READERS.keys() - {INSIGHTS}))
def test_a_missing_resource_is_reported(nowhere: Found, type_: str) -> None:
    assert nowhere[type_] == dict.fromkeys(nowhere[type_])


@pytest.mark.parametrize("type_", PARTS)
def test_a_missing_part_is_found(in_part: Found, type_: str) -> None:
    assert [name for name, found in in_part[type_].items() if found == []] == []


def stubbed(service: str) -> tuple[Deployed, Stubber]:
    """Return a deployed stack with a stubbed client, for features that moto lacks."""
    client: Any = boto3.Session("testing", "testing", region_name="us-east-2").client(service)  # ty: ignore[no-matching-overload] # any of them
    of_the_stack = Program(STACK, read_stack_config(STACK), example_account("us-east-2"))
    return Deployed(of_the_stack, {}, {service: client}), Stubber(client)


def resource(deployed: Deployed, type_: str) -> Resource:
    """Return the program's only resource of a type."""
    (found,) = deployed.program.recorded.all(type_).values()
    return found


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"EventBridgeConfiguration": {}}, []),
        ({}, ["eventbridge: found False, promised True"]),
        ("NoSuchBucket", None),
    ],
    ids=["as promised", "changed", "absent"],
)
def test_whether_a_bucket_sends_events_to_eventbridge_is_read(answer: Any, found: list[str] | None) -> None:
    deployed, stubber = stubbed("s3")
    method = "get_bucket_notification_configuration"
    if isinstance(answer, str):
        stubber.add_client_error(method, answer)
    else:
        stubber.add_response(method, answer)

    with stubber:
        assert compared(deployed, resource(deployed, NOTIFICATION)) == found


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("byQueue", []),
        ("allowAll", ["redriveAllowPolicy.redrivePermission: found 'allowAll', promised 'byQueue'"]),
        (None, ["redriveAllowPolicy: found None, promised"]),
    ],
    ids=["as promised", "changed", "absent"],
)
def test_which_queues_may_use_a_dead_letter_queue_is_read(answer: str | None, found: list[str]) -> None:
    deployed, stubber = stubbed("sqs")
    redrive_allow = resource(deployed, REDRIVE_ALLOW)
    promise = redrive_allow.inputs["redriveAllowPolicy"]
    attributes = {"RedriveAllowPolicy": promise.replace("byQueue", answer)} if answer else {}
    stubber.add_response("get_queue_attributes", {"Attributes": attributes})

    with stubber:
        differing = compared(deployed, redrive_allow)

    assert differing is not None
    assert [each.partition(" {")[0] for each in differing] == found


def test_a_lifecycle_rule_without_a_filter_has_an_empty_prefix() -> None:
    deployed, stubber = stubbed("s3")
    rule = {"ID": "expire", "Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 30}}
    stubber.add_response("get_bucket_lifecycle_configuration", {"Rules": [rule]})

    with stubber:
        assert (
            compared(deployed, resource(deployed, "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"))
            == []
        )


@pytest.mark.parametrize(("location", "region"), [("eu-west-1", "eu-west-1"), (None, "us-east-1"), ("us-east-2", None)])
def test_a_bucket_in_another_region_is_reported_with_the_region(location: str | None, region: str | None) -> None:
    deployed, stubber = stubbed("s3")
    stubber.add_response("get_bucket_location", {"LocationConstraint": location} if location else {})
    stubber.add_response("get_bucket_tagging", {"TagSet": []})

    with stubber:
        there = read(deployed, deployed.program.recorded.one("aws:s3/bucket:Bucket", "payloads"))

    assert there is not None
    assert there["region"] == region


@pytest.mark.parametrize("method", ["get_bucket_location", "get_bucket_tagging"])
def test_access_denied_does_not_mean_that_a_resource_is_missing(method: str) -> None:
    deployed, stubber = stubbed("s3")
    if method == "get_bucket_tagging":
        stubber.add_response("get_bucket_location", {"LocationConstraint": "us-east-2"})
    stubber.add_client_error(method, "AccessDenied")

    with stubber, pytest.raises(ClientError, match="AccessDenied"):
        read(deployed, deployed.program.recorded.one("aws:s3/bucket:Bucket", "payloads"))


def declared(type_: str, **inputs: Any) -> Resource:
    """Return a resource with these inputs."""
    return Resource(type_, "name", "", "", inputs, protect=False, retain_on_delete=False, dependencies=frozenset())


@pytest.mark.parametrize(
    ("blocked", "promised_types", "found"),
    [
        ({"BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]}}, {"blockedEncryptionTypes": ["SSE-C"]}, 0),
        ({"BlockedEncryptionTypes": {"EncryptionType": ["NONE"]}}, {"blockedEncryptionTypes": ["SSE-C"]}, 1),
        ({}, {"blockedEncryptionTypes": ["SSE-C"]}, 1),
        ({"BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]}}, {}, 0),
    ],
    ids=["as promised", "changed", "absent", "AWS's default"],
)
def test_which_kinds_of_encryption_a_bucket_refuses_is_read(
    blocked: dict[str, Any], promised_types: dict[str, Any], found: int
) -> None:
    deployed, stubber = stubbed("s3")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}
    stubber.add_response("get_bucket_encryption", {"ServerSideEncryptionConfiguration": {"Rules": [rule | blocked]}})
    promise = {
        "applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"},
        "bucketKeyEnabled": False,
    }
    encryption = declared(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        bucket="logs",
        rules=[promise | promised_types],
    )

    with stubber:
        differing = compared(deployed, encryption)

    assert differing is not None
    assert len(differing) == found


def described(table: dict[str, Any], index: dict[str, Any]) -> dict[str, Any]:
    """Return AWS's description of a table with an index."""
    attribute = [{"AttributeName": "id", "KeyType": "HASH"}]
    named = {"IndexName": "by-id", "KeySchema": attribute, "Projection": {"ProjectionType": "ALL"}}
    described_table = {
        "TableName": "orders",
        "TableArn": "arn:aws:dynamodb:us-east-2:123456789012:table/orders",
        "KeySchema": attribute,
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "GlobalSecondaryIndexes": [named | index],
    }
    return described_table | table


def maximums(**units: int) -> dict[str, dict[str, int]]:
    """Return the maximums of a table, as AWS does."""
    return {"OnDemandThroughput": {f"Max{kind}RequestUnits": each for kind, each in units.items()}}


@pytest.mark.parametrize(
    ("table", "index", "found"),
    [
        (maximums(Write=40), maximums(Read=-1, Write=40), []),
        (maximums(Read=-1, Write=40), maximums(Write=40), []),
        (
            maximums(Read=9, Write=40),
            maximums(Write=40),
            ["onDemandThroughput.maxReadRequestUnits: found 9, promised -1"],
        ),
        ({}, maximums(Write=40), ["onDemandThroughput: found None, promised {'max"]),
        (maximums(Write=40), maximums(Write=41), ["globalSecondaryIndexes: found [{"]),
        (maximums(Write=40), maximums(Read=-1, Write=-1), ["globalSecondaryIndexes: found [{"]),
    ],
)
def test_the_maximum_throughput_of_a_table_and_its_index_is_read(
    table: dict[str, Any], index: dict[str, Any], found: list[str]
) -> None:
    units = {"maxReadRequestUnits": -1, "maxWriteRequestUnits": 40}

    differing = compared_table(table, index, onDemandThroughput=units, index_throughput=units)

    assert [each[: len(wanted)] for each, wanted in zip(differing, found, strict=True)] == found


@pytest.mark.parametrize("table", [{}, maximums(Read=-1, Write=-1)])
def test_a_table_without_maximums_has_none(table: dict[str, Any]) -> None:
    assert compared_table(table, {}) == []


def test_a_maximum_that_was_not_promised_is_found() -> None:
    (differing,) = compared_table(maximums(Read=9), {})

    assert differing.startswith("onDemandThroughput: found {'maxReadRequestUnits': 9")


def compared_table(
    table: dict[str, Any], index: dict[str, Any], index_throughput: dict[str, int] | None = None, **inputs: Any
) -> list[str]:
    """Compare a table, of which AWS says this, with inputs."""
    deployed, stubber = stubbed("dynamodb")
    recovery: Any = {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": {}}
    recovery["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] = "ENABLED"
    stubber.add_response("describe_table", {"Table": described(table, index)})
    stubber.add_response("describe_continuous_backups", {"ContinuousBackupsDescription": recovery})
    stubber.add_response("describe_time_to_live", {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}})
    stubber.add_response("list_tags_of_resource", {"Tags": []})
    index_inputs = {
        "name": "by-id",
        "keySchemas": [{"attributeName": "id", "keyType": "HASH"}],
        "projectionType": "ALL",
        "onDemandThroughput": index_throughput,
    }
    with stubber:
        found = compared(deployed, declared(TABLE, name="orders", globalSecondaryIndexes=[index_inputs], **inputs))
    assert found is not None
    return found


@pytest.mark.parametrize("index", [None, "by-id"])
@pytest.mark.parametrize(
    ("status", "found"), [("ENABLED", []), ("ENABLING", []), ("DISABLED", None), ("DISABLING", None), ("FAILED", None)]
)
def test_whether_a_table_or_index_has_insights_is_read(index: str | None, status: str, found: list[str] | None) -> None:
    deployed, stubber = stubbed("dynamodb")
    inputs = {"tableName": "orders"} | ({"indexName": index} if index else {})
    asked = {name[0].upper() + name[1:]: each for name, each in inputs.items()}
    stubber.add_response("describe_contributor_insights", {"ContributorInsightsStatus": status}, asked)

    with stubber:
        assert compared(deployed, declared(INSIGHTS, **inputs)) == found


@pytest.mark.parametrize(
    ("version", "promised_version", "found"),
    [
        ("2", 2.0, []),
        (None, None, []),
        (None, 2.0, ["signatureVersion: found 1, promised 2"]),
        ("2", None, ["signatureVersion: found 2, promised 1"]),
    ],
)
def test_the_version_of_a_topics_signatures_is_read(
    version: str | None, promised_version: float | None, found: list[str]
) -> None:
    deployed, stubber = stubbed("sns")
    arn = "arn:aws:sns:us-east-2:123456789012:alarms"
    attributes = {"TopicArn": arn} | ({"SignatureVersion": version} if version else {})
    stubber.add_response("get_topic_attributes", {"Attributes": attributes}, {"TopicArn": arn})
    stubber.add_response("list_tags_for_resource", {"Tags": []})
    promise = {"signatureVersion": promised_version} if promised_version else {}

    with stubber:
        assert compared(deployed, declared(TOPIC, name="alarms", **promise)) == found


@pytest.mark.parametrize(
    ("subscription", "found"),
    [("arn:aws:sns:us-east-2:123456789012:alarms:1", []), ("PendingConfirmation", []), ("Deleted", None)],
    ids=["confirmed", "pending", "cancelled"],
)
def test_a_subscription_that_was_cancelled_does_not_exist(subscription: str, found: list[str] | None) -> None:
    deployed, stubber = stubbed("sns")
    inputs = {"topic": "arn:aws:sns:us-east-2:123456789012:alarms", "protocol": "email", "endpoint": "a@example.com"}
    answer = {
        "SubscriptionArn": subscription,
        "TopicArn": inputs["topic"],
        "Protocol": inputs["protocol"],
        "Endpoint": inputs["endpoint"],
    }
    stubber.add_response("list_subscriptions_by_topic", {"Subscriptions": [answer]})

    with stubber:
        assert compared(deployed, declared(SUBSCRIPTION, **inputs)) == found


@pytest.mark.parametrize(
    ("protected", "found"),
    [
        ({"deletionProtectionEnabled": True}, []),
        ({}, ["deletionProtectionEnabled: found False, promised True"]),
    ],
    ids=["as promised", "absent"],
)
def test_the_deletion_protection_of_a_log_group_is_read(protected: dict[str, bool], found: list[str]) -> None:
    deployed, stubber = stubbed("logs")
    groups = [{"logGroupName": "/aws/lambda/orders-2"}, {"logGroupName": "/aws/lambda/orders"} | protected]
    stubber.add_response("describe_log_groups", {"logGroups": groups})
    stubber.add_response("list_tags_for_resource", {"tags": {}})

    with stubber:
        log_group = declared(LOG_GROUP, name="/aws/lambda/orders", deletionProtectionEnabled=True)
        assert compared(deployed, log_group) == found


QUERY: dict[str, Any] = {
    "Id": "letters",
    "MetricStat": {
        "Metric": {
            "Namespace": "AWS/SQS",
            "MetricName": "NumberOfMessagesSent",
            "Dimensions": [{"Name": "QueueName", "Value": "letters"}],
        },
        "Period": 300,
        "Stat": "Sum",
    },
    "ReturnData": False,
}
EXPRESSION = {"Id": "value", "Expression": "FILL(letters, 0)", "Label": "letters", "ReturnData": True}
QUERY_INPUTS = {
    "id": "letters",
    "metric": {
        "namespace": "AWS/SQS",
        "metricName": "NumberOfMessagesSent",
        "dimensions": {"QueueName": "letters"},
        "period": 300.0,
        "stat": "Sum",
    },
}
EXPRESSION_INPUTS = {"id": "value", "expression": "FILL(letters, 0)", "label": "letters", "returnData": True}


def of_the_metric(**changes: Any) -> dict[str, Any]:
    """Return the query of the metric with a change."""
    statistic = QUERY["MetricStat"]
    return QUERY | {"MetricStat": statistic | {"Metric": statistic["Metric"] | changes}}


@pytest.mark.parametrize(
    ("queries", "same"),
    [
        ([QUERY, EXPRESSION], True),
        ([EXPRESSION, QUERY], True),
        ([QUERY, EXPRESSION | {"Expression": "letters"}], False),
        ([QUERY | {"ReturnData": True}, EXPRESSION], False),
        ([of_the_metric(MetricName="NumberOfMessagesDeleted"), EXPRESSION], False),
        ([of_the_metric(Dimensions=[{"Name": "QueueName", "Value": "another"}]), EXPRESSION], False),
        ([of_the_metric(Dimensions=[]), EXPRESSION], False),
        ([EXPRESSION], False),
        ([], False),
    ],
)
def test_the_metrics_and_expressions_of_an_alarm_are_read(queries: list[dict[str, Any]], same: bool) -> None:
    differing = compared_alarm(queries, metricQueries=[EXPRESSION_INPUTS, QUERY_INPUTS])

    assert (differing == []) is same


def test_an_expression_that_was_not_promised_is_found() -> None:
    (differing,) = compared_alarm([QUERY, EXPRESSION])

    assert differing.startswith("metricQueries: found [{")


def compared_alarm(queries: list[dict[str, Any]], **inputs: Any) -> list[str]:
    """Compare an alarm that watches these queries with inputs."""
    deployed, stubber = stubbed("cloudwatch")
    arn = "arn:aws:cloudwatch:us-east-2:123456789012:alarm:letters"
    alarm = {"AlarmName": "letters", "AlarmArn": arn, "ActionsEnabled": True, "Metrics": queries}
    stubber.add_response("describe_alarms", {"MetricAlarms": [alarm | {"InsufficientDataActions": []}]})
    stubber.add_response("list_tags_for_resource", {"Tags": []})
    with stubber:
        found = compared(deployed, declared(ALARM, name="letters", **inputs))
    assert found is not None
    return found


PROCESSOR = "arn:aws:lambda:us-east-2:123456789012:function:orders"
UUID = "11111111-2222-3333-4444-555555555555"
QUEUE_ARN = "arn:aws:sqs:us-east-2:123456789012:orders"


@pytest.mark.parametrize(
    ("called", "found"),
    [
        ([f"{PROCESSOR}:live"], []),
        ([PROCESSOR, f"{PROCESSOR}:live"], []),
        ([PROCESSOR], [f"functionName: found '{PROCESSOR}', promised '{PROCESSOR}:live'"]),
        ([f"{PROCESSOR}:7"], [f"functionName: found '{PROCESSOR}:7', promised '{PROCESSOR}:live'"]),
        ([f"{PROCESSOR}-2:live"], None),
        ([], None),
    ],
    ids=["as promised", "among others", "the unpublished code", "a version", "another function", "absent"],
)
def test_what_an_event_source_calls_is_read(called: list[str], found: list[str] | None) -> None:
    deployed, stubber = stubbed("lambda")
    mappings = [
        {"UUID": UUID, "EventSourceArn": QUEUE_ARN, "FunctionArn": function, "State": "Enabled"} for function in called
    ]
    # AWS lists mappings of all functions, in pages.
    others = [{"UUID": UUID, "EventSourceArn": f"{QUEUE_ARN}-2", "FunctionArn": f"{PROCESSOR}:live"}]
    stubber.add_response("list_event_source_mappings", {"EventSourceMappings": others, "NextMarker": "more"})
    stubber.add_response("list_event_source_mappings", {"EventSourceMappings": mappings})
    if found is not None:
        stubber.add_response("list_tags", {"Tags": {}})

    with stubber:
        mapping = declared(MAPPING, functionName=f"{PROCESSOR}:live", eventSourceArn=QUEUE_ARN)
        assert compared(deployed, mapping) == found


@pytest.mark.parametrize(
    ("state", "is_enabled"),
    [
        ("Creating", True),
        ("Enabling", True),
        ("Enabled", True),
        ("Updating", True),
        ("Disabling", False),
        ("Disabled", False),
        ("Deleting", False),
    ],
)
def test_an_event_source_that_becomes_enabled_counts_as_enabled(state: str, is_enabled: bool) -> None:
    deployed, stubber = stubbed("lambda")
    mapping = {"UUID": UUID, "EventSourceArn": QUEUE_ARN, "FunctionArn": PROCESSOR, "State": state}
    stubber.add_response("list_event_source_mappings", {"EventSourceMappings": [mapping]})
    stubber.add_response("list_tags", {"Tags": {}})

    with stubber:
        there = read(deployed, declared(MAPPING, functionName=PROCESSOR, eventSourceArn=QUEUE_ARN))

    assert there is not None
    assert there["enabled"] is is_enabled


def test_every_event_source_of_a_function_is_listed_whichever_version_it_calls() -> None:
    deployed, stubber = stubbed("lambda")
    called = [PROCESSOR, f"{PROCESSOR}:live", f"{PROCESSOR}:7", f"{PROCESSOR}-2", f"{PROCESSOR}-2:live"]
    mappings = [{"FunctionArn": function} for function in called]
    stubber.add_response("list_event_source_mappings", {"EventSourceMappings": mappings})

    with stubber:
        found = readers.event_source_mappings(deployed, PROCESSOR)

    assert [each["FunctionArn"] for each in found] == called[:3]


def test_a_layer_that_was_added_to_a_function_is_found() -> None:
    deployed, stubber = stubbed("lambda")
    layer = "arn:aws:lambda:us-east-2:123456789012:layer:more:1"
    configuration = {"FunctionName": "orders", "FunctionArn": PROCESSOR, "Layers": [{"Arn": layer, "CodeSize": 1}]}
    stubber.add_response("get_function_configuration", configuration)
    stubber.add_response("get_function_concurrency", {})
    stubber.add_response("list_tags", {"Tags": {}})

    with stubber:
        found = compared(deployed, declared(FUNCTION, name="orders"))

    assert found == [f"layers: found ['{layer}'], promised []"]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("KMSKeyArn", "kmsKeyArn"),
        ("UUID", "uuid"),
        ("OKActions", "okActions"),
        ("AlarmName", "alarmName"),
        ("KmsMasterKeyId", "kmsMasterKeyId"),
        ("KMSMasterKeyID", "kmsMasterKeyId"),
        ("already", "already"),
    ],
)
def test_names_are_converted_to_pulumis(name: str, written: str) -> None:
    assert readers.camel([{name: [{"Inner": 1}]}]) == [{written: [{"inner": 1}]}]


def test_a_key_without_an_alias_has_none(deploy_stack: Callable[..., Deployment]) -> None:
    deployed, _ = stubbed("kms")
    recorded = deploy_stack(STACK)
    recorded.resources[:] = [each for each in recorded.resources if each.type != ALIAS]
    without = SimpleNamespace(recorded=recorded, account=deployed.account)

    assert readers.key_aliases(Deployed(without, {})) == {}  # ty: ignore[invalid-argument-type] # a stand-in
