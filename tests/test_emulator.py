"""Emulator behaviour that the local stack needs, including responses to requests that only the AWS provider sends.

The provider is the Terraform provider in pulumi-aws. If a test fails after an emulator upgrade, its name says what
has changed.
"""

import json
import re
from collections.abc import Iterator

import pytest

from tests.deployment.emulated import Emulated, emulated
from tests.projects import Environment, Project

pytestmark = pytest.mark.slow

REGION = "us-east-2"
SETUP = f"import boto3, json; client = lambda name: boto3.client(name, region_name={REGION!r})\n"


@pytest.fixture(scope="module", name="emulator")
def fixture_emulator(
    default_project: Project, environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Emulated]:
    """A running emulator, to which no stack has been deployed."""
    folder = tmp_path_factory.mktemp("emulator")
    with emulated(default_project.copy(folder), environment, folder / "emulator") as found:
        yield found


def ask(emulator: Emulated, program: str) -> object:
    """Run Python code in which ``client(service)`` returns a boto3 client, and parse the last line printed as JSON."""
    return json.loads(emulator.python("-c", SETUP + program).splitlines()[-1])


def test_the_emulator_accepts_alarms_and_dashboards_in_cbor(emulator: Emulated) -> None:
    """The provider's SDK sends all CloudWatch requests in CBOR."""
    program = """
import botocore.model
botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS = ("smithy-rpc-v2-cbor",)
cloudwatch, spoken = client("cloudwatch"), []
cloudwatch.meta.events.register("before-send.cloudwatch.*", lambda request, **_: spoken.append(request.headers))
cloudwatch.put_metric_alarm(
    AlarmName="alarm", Namespace="n", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=0.5,
    ComparisonOperator="GreaterThanThreshold", Tags=[{"Key": "a", "Value": "b"}],
)
cloudwatch.put_dashboard(DashboardName="dashboard", DashboardBody='{"widgets": []}')
(alarm,) = cloudwatch.describe_alarms(AlarmNames=["alarm"])["MetricAlarms"]
tags = cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
body = cloudwatch.get_dashboard(DashboardName="dashboard")["DashboardBody"]
print(json.dumps([sorted({headers["smithy-protocol"].decode() for headers in spoken}), alarm["Threshold"], tags, body]))
"""

    assert ask(emulator, program) == [["rpc-v2-cbor"], 0.5, [{"Key": "a", "Value": "b"}], '{"widgets": []}']


def test_a_bucket_is_created_with_its_tags(emulator: Emulated) -> None:
    program = """
s3 = client("s3")
configuration = {"LocationConstraint": s3.meta.region_name, "Tags": [{"Key": "a", "Value": "b"}]}
s3.create_bucket(Bucket="tagged", CreateBucketConfiguration=configuration)
print(json.dumps(s3.get_bucket_tagging(Bucket="tagged")["TagSet"]))
"""

    assert ask(emulator, program) == [{"Key": "a", "Value": "b"}]


def test_the_tags_of_a_bucket_are_read_from_s3(default_project: Project) -> None:
    """Without both settings, the provider calls S3 Control at ``ACCOUNT.HOST``, which does not resolve."""
    config = default_project.yaml("Pulumi.local.yaml")["config"]

    assert config["aws:skipCredentialsValidation"] == "true"
    assert config["aws:skipRequestingAccountId"] == "true"


def test_setting_an_empty_redrive_allow_policy_deletes_it(emulator: Emulated) -> None:
    """The provider deletes the policy this way, and then waits up to 20 minutes for the deletion."""
    program = """
sqs = client("sqs")
url = sqs.create_queue(QueueName="letters")["QueueUrl"]
read = lambda: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"].get("RedriveAllowPolicy")
sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedriveAllowPolicy": '{"redrivePermission":"denyAll"}'})
before = json.loads(read())
sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedriveAllowPolicy": ""})
print(json.dumps([before, read()]))
"""

    assert ask(emulator, program) == [{"redrivePermission": "denyAll"}, None]


def test_setting_other_attributes_keeps_a_queues_policy(emulator: Emulated) -> None:
    program = """
sqs = client("sqs")
url = sqs.create_queue(QueueName="guarded")["QueueUrl"]
policy = {"Version": "2012-10-17", "Statement": []}
for attributes in ({"Policy": json.dumps(policy)}, {"VisibilityTimeout": "7"}):
    sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
print(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"])
"""

    assert ask(emulator, program) == {"Version": "2012-10-17", "Statement": []}


def test_the_account_id_is_the_same_as_in_arns(emulator: Emulated) -> None:
    assert ask(emulator, 'print(json.dumps(client("sts").get_caller_identity()["Account"]))') == "123456789012"


def test_functions_find_only_the_sdk_of_their_bundle(emulator: Emulated) -> None:
    program = """
import subprocess, sys
sys.path.insert(0, ".")
from tools.emulator import find_interpreter
command = [find_interpreter(), "-c", "import boto3"]
print(json.dumps(subprocess.run(command, capture_output=True, encoding="utf-8").stderr.splitlines()[-1:]))
"""

    assert ask(emulator, program) == ["ModuleNotFoundError: No module named 'boto3'"]


@pytest.mark.parametrize("package_manager", ["uv", "pipenv"])
def test_the_emulator_and_the_provider_are_pinned_together(
    default_project: Project, pipenv_project: Project, package_manager: str
) -> None:
    project = {"uv": default_project, "pipenv": pipenv_project}[package_manager]
    (provider,) = [each for each in project.requirements() if each.startswith("pulumi-aws")]
    source = default_project.read("tools/emulator.py")

    bounds = re.fullmatch(r"pulumi-aws>=7\.(\d+),<7\.(\d+)", provider)
    assert bounds
    assert int(bounds[2]) == int(bounds[1]) + 1
    assert re.search(r'^MINISTACK: Final = "ministack==\d+\.\d+\.\d+"$', source, flags=re.MULTILINE)
    for package in re.findall(r'"([a-z0-9]+[=<>~].*?)"', source):
        assert re.fullmatch(r"[a-z0-9]+==\d+(\.\d+)+", package)


def test_only_one_module_mentions_the_emulator(default_project: Project) -> None:
    knowing = [name for name in default_project.python_files() if "ministack" in default_project.read(name).lower()]

    assert knowing == ["tools/emulator.py"]
