"""The integration tests hold on AWS too, as far as the emulator can show: AWS answers late, twice, or not at all."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployment.breakages import CONFIRMED, E_MAILS, OPTIONS, WORKFLOW
from tests.deployment.emulated import DRIVER, Emulated, Report, emulated
from tests.projects import Environment, Project

pytestmark = pytest.mark.slow

PLUGIN = ("-p", "like_aws")
ON_AWS = ("-m", "not local_only")
SUBSCRIPTIONS = ("-k", "test_subscriptions")
POSSIBLE = "late_mapping,missed_notification,short_polling,delivered_twice,late_index"

# Actions whose names are not those of the calls:
# https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
ACTIONS = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}
# Needed for encrypted resources, and for a queue that is created with tags.
IMPLIED = {"kms:Decrypt", "kms:GenerateDataKey", "sqs:TagQueue"}

SECOND_SUBSCRIPTION = """
import boto3, json
topic = json.load(open("cfn-outputs/flat-outputs.json"))["alarm_topic_arn"]
sns = boto3.client("sns", region_name=topic.split(":")[3])
arn = sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="former@example.com")["SubscriptionArn"]
"""
# Somebody else's dead letter, in the queue while the tests run.
FOREIGN = """
import boto3, json
url = json.load(open("cfn-outputs/flat-outputs.json"))["dlq_url"]
sqs, queue = boto3.client("sqs", region_name="us-east-2"), {"QueueUrl": url}
"""
SEND = FOREIGN + 'sqs.send_message(**queue, MessageBody="of somebody else")'
RECEIVE = (
    FOREIGN
    + """
message, = sqs.receive_message(**queue, WaitTimeSeconds=5)["Messages"]
sqs.delete_message(**queue, ReceiptHandle=message["ReceiptHandle"])
print(message["Body"])
"""
)
# Results arrive after the test, and one message never has any.
LATE = """
from processor.events import EXAMPLE
from tests.integration import pipeline as module

def test_that_does_not_wait(pipeline, monkeypatch):
    module.LOCAL_DEADLINE_SECONDS = 8
    sqs, queue = pipeline.deployed.client("sqs"), {"QueueUrl": pipeline.outputs["queue_url"]}
    sqs.set_queue_attributes(**queue, Attributes={"DelaySeconds": "4"})
    pipeline.send(module.json.dumps(EXAMPLE), "not JSON")
    sqs.set_queue_attributes(**queue, Attributes={"DelaySeconds": "60"})
    print("never:", *pipeline.send(module.json.dumps(EXAMPLE)))
    sqs.set_queue_attributes(**queue, Attributes={"DelaySeconds": "0"})
"""
LEFT = """
import boto3, json
outputs = json.load(open("cfn-outputs/flat-outputs.json"))
client = lambda name: boto3.client(name, region_name=outputs["function_arn"].split(":")[3])
attribute = "ApproximateNumberOfMessages"
letters = client("sqs").get_queue_attributes(QueueUrl=outputs["dlq_url"], AttributeNames=[attribute])["Attributes"]
print(json.dumps({
    "objects": len(client("s3").list_object_versions(Bucket=outputs["bucket_name"]).get("Versions", [])),
    "items": client("dynamodb").scan(TableName=outputs["table_name"])["Count"],
    "dead letters": int(letters[attribute]),
    "queues": len(client("sqs").list_queues()["QueueUrls"]),
    "subscriptions": len(client("sns").list_subscriptions_by_topic(TopicArn=outputs["topic_arn"])["Subscriptions"]),
}))
"""
NOTHING_LEFT = {"objects": 0, "items": 0, "dead letters": 0, "queues": 2, "subscriptions": 0}


@pytest.fixture(scope="module", name="stack")
def fixture_stack(
    packaged_project: Project, environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Emulated]:
    """A deployment of the project with every option."""
    folder = tmp_path_factory.mktemp("workflow")
    project = packaged_project.copy(folder)
    lines = [f"  {project.slug}:{key}: {value}\n" for key, value in OPTIONS.items()]
    path = project.path / "Pulumi.local.yaml"
    path.write_text(project.read(path.name) + "".join(lines), encoding="utf-8")
    with emulated(project, environment, folder / "emulator") as found:
        found.deploy()
        yield found


def run(stack: Emulated, *arguments: str, **variables: str) -> Report:
    """Run integration tests with the plugin."""
    return stack.integration_tests(*PLUGIN, *arguments, PYTHONPATH=str(DRIVER.parent), **variables)


@pytest.fixture(scope="module", name="calls")
def fixture_calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of the calls that the tests make on AWS."""
    return tmp_path_factory.mktemp("calls") / "calls.json"


@pytest.fixture(scope="module", name="on_aws")
def fixture_on_aws(stack: Emulated, calls: Path) -> Report:
    """The report of the tests that run on AWS, with what AWS may answer, and with somebody else's dead letter."""
    stack.python("-c", SEND)
    return run(stack, *ON_AWS, LIKE_AWS=POSSIBLE, AWS_CALLS=str(calls))


def test_the_tests_hold_if_aws_is_late_and_delivers_twice_or_not_at_all(on_aws: Report) -> None:
    assert on_aws.status == 0, on_aws.output
    assert len(on_aws.tests("passed") & set(WORKFLOW)) == 8


def test_the_dead_letters_of_others_stay(on_aws: Report, stack: Emulated) -> None:
    assert on_aws.status == 0, on_aws.output

    assert stack.python("-c", RECEIVE) == "of somebody else\n"


def test_the_documents_list_the_permissions_that_the_tests_need(on_aws: Report, calls: Path, stack: Emulated) -> None:
    assert on_aws.status == 0, on_aws.output
    made = {
        action_of(service, operation, is_version=is_version)
        for service, operation, is_version in json.loads(calls.read_text(encoding="utf-8"))
    }
    section = stack.project.read("docs/validation.md").partition("## Permissions\n")[2].partition("\n## ")[0]
    listed = [line.split("|")[2] for line in section.splitlines() if line.startswith("|")]

    assert set(re.findall(r"`(\w+:\w+)`", "".join(listed))) == made | IMPLIED


def action_of(service: str, operation: str, *, is_version: bool) -> str:
    """Return the IAM action of a call."""
    call = f"{service}:{operation}"
    if call == "s3:DeleteObject" and is_version:
        return "s3:DeleteObjectVersion"
    return ACTIONS.get(call, call)


def test_a_disabled_event_source_mapping_is_named_at_once(stack: Emulated) -> None:
    report = run(stack, "-k", "stored_byte_for_byte", LIKE_AWS="disabled_mapping")

    assert report.status == 1
    assert "event-pipeline-local-queue: event source mapping: Disabled" in report.output


def test_a_pending_subscription_is_skipped_with_the_reason(stack: Emulated) -> None:
    report = run(stack, *SUBSCRIPTIONS, LIKE_AWS="pending")

    assert report.outcomes == {CONFIRMED: "skipped", E_MAILS: "passed"}
    assert "platform@example.com: nobody has clicked the confirmation link yet" in report.output
    assert "AWS deletes the subscription after 48" in report.output


def test_a_cancelled_subscription_fails_and_says_what_to_do(stack: Emulated) -> None:
    report = run(stack, *SUBSCRIPTIONS, LIKE_AWS="cancelled")

    assert report.outcomes == {CONFIRMED: "failed", E_MAILS: "passed"}
    assert "platform@example.com is not subscribed" in report.output
    assert "click the link in the new e-mail" in report.output


def test_a_second_subscription_fails(stack: Emulated) -> None:
    arn = stack.python("-c", SECOND_SUBSCRIPTION + "print(arn)").strip()
    try:
        report = run(stack, *SUBSCRIPTIONS)
    finally:
        stack.python("-c", SECOND_SUBSCRIPTION + f"sns.unsubscribe(SubscriptionArn={arn!r})")

    assert report.outcomes == {CONFIRMED: "passed", E_MAILS: "failed"}
    assert "other e-mail subscriptions: found ['former@example.com'], promised []" in report.output


def test_without_a_recipient_nobody_must_be_subscribed(stack: Emulated, tmp_path: Path) -> None:
    project = stack.project.copy(tmp_path)
    project.replace("Pulumi.local.yaml", '"platform@example.com"', '""')

    report = run(Emulated(project, stack.environment, stack.address), *SUBSCRIPTIONS)

    assert report.outcomes == {CONFIRMED: "skipped", E_MAILS: "failed"}
    assert "notificationEmail is empty: nobody gets the alarms" in report.output


def test_results_that_arrive_late_are_deleted_and_a_missing_one_is_reported(stack: Emulated) -> None:
    late = stack.project.path / "tests" / "integration" / "test_late.py"
    late.write_text(LATE, encoding="utf-8")
    try:
        report = stack.integration_tests("-k", "test_late", "-s")
    finally:
        late.unlink()

    assert report.status == 0, report.output
    never = re.search(r"never: (\S+)", report.output)
    assert never
    assert f"These messages had no result, and may still leave something: {never[1]}\n" in report.output
    assert json.loads(stack.python("-c", LEFT)) == NOTHING_LEFT
