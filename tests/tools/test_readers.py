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
from tools.testing.promises import promised
from tools.testing.readers import ALIAS, DEFAULTS, KEY, NOT_IN_AWS, READERS, read
from tools.testing.recording import Deployment, Resource, deploy, example_account, readable_config

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
    "aws:dynamodb/table:Table": {
        "rangeKey": "date",
        "billingMode": "PROVISIONED",
        "deletionProtectionEnabled": True,
        "globalSecondaryIndexes": [],
        "pointInTimeRecovery": {"enabled": False},
        "serverSideEncryption": {"enabled": False},
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
    "aws:sns/topic:Topic": {"kmsMasterKeyId": "alias/another", "tags": None},
    "aws:sns/topicPolicy:TopicPolicy": {"policy": POLICY},
    "aws:sns/topicSubscription:TopicSubscription": {"endpoint": "other@example.com"},
    "aws:cloudwatch/logGroup:LogGroup": {"retentionInDays": 1, "kmsKeyId": None, "tags": None},
    "aws:iam/role:Role": {
        "assumeRolePolicy": POLICY,
        "managedPolicyArns": ["arn:aws:iam::123456789012:policy/more"],
        "tags": None,
    },
    "aws:iam/rolePolicy:RolePolicy": {"policy": POLICY.replace('"Principal": "*", ', "")},
    "aws:lambda/function:Function": {
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
    "aws:lambda/eventSourceMapping:EventSourceMapping": {
        "batchSize": 1,
        "enabled": False,
        "filterCriteria": {"filters": [{"pattern": "{}"}]},
        "functionResponseTypes": None,
        "maximumBatchingWindowInSeconds": 1,
        "scalingConfig": None,
        "tags": None,
    },
    "aws:cloudwatch/metricAlarm:MetricAlarm": {
        "actionsEnabled": False,
        "alarmActions": None,
        "dimensions": {"FunctionName": "another"},
        "period": 300,
        "threshold": 5,
        "tags": None,
    },
    "aws:cloudwatch/dashboard:Dashboard": {"dashboardBody": '{"widgets": []}'},
}
NOTIFICATION = "aws:s3/bucketNotification:BucketNotification"
REDRIVE_ALLOW = "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy"
IN_MOTO = READERS.keys() - {NOTIFICATION, REDRIVE_ALLOW}
# The resource of its type that is changed. The other bucket's policy admits S3's logs; the other queue promises less.
ONLY = {"aws:s3/bucketPolicy:BucketPolicy": "bucket-policy", "aws:sqs/queue:Queue": "queue"}
# Resources that no other resource depends on, so that they can be missing.
PARTS = [
    *(type_ for type_ in CHANGED if type_.startswith("aws:s3/bucket") and type_ != "aws:s3/bucket:Bucket"),
    "aws:sqs/queuePolicy:QueuePolicy",
    "aws:sns/topicPolicy:TopicPolicy",
    "aws:sns/topicSubscription:TopicSubscription",
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:lambda/eventSourceMapping:EventSourceMapping",
    "aws:cloudwatch/metricAlarm:MetricAlarm",
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
    wanted = DEFAULTS.get(resource.type, {}) | resource.inputs
    left_out = NOT_IN_AWS.get(resource.type, set())
    return [*differences(there, {key: value for key, value in wanted.items() if key not in left_out})]


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


def test_the_tests_program_has_a_resource_of_every_type(as_promised: Found) -> None:
    assert [type_ for type_, found in as_promised.items() if not found] == []


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


@pytest.mark.parametrize("type_", READERS)
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
