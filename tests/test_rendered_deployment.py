"""The integration tests, run against deployments to an emulator without the engine."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.deployment.breakages import (
    CONFIRMED,
    DONE,
    E_MAILS,
    FAILING,
    FUNCTION,
    LIVE_VERSION,
    TABLE,
    WORKFLOW,
    own_test,
)
from tests.deployment.emulated import DRIVER, OUTPUTS, Emulated, emulated
from tests.projects import Environment, Project

pytestmark = pytest.mark.slow

# Tests that make the function fail or count the messages in a queue are for one person at a time.
FOR_ONE = "fails or crashes or deleted_from_the_queue"
FOR_EVERYBODY = ("-k", f"not ({FOR_ONE})")
CHANGED_SETTINGS = {
    "lambdaRuntime": "python3.12",
    "lambdaArchitecture": "x86_64",
    "lambdaMemoryMb": "1769",
    "logRetentionDays": "90",
}
CUSTOM_SETTINGS = """\
  event-pipeline:lambdaTimeoutSeconds: 100
  event-pipeline:lambdaReservedConcurrency: 4
  event-pipeline:maximumConcurrency: 4
  event-pipeline:batchSize: 4
  event-pipeline:batchWindowSeconds: 1
  event-pipeline:maxReceiveCount: 5
  event-pipeline:messageRetentionSeconds: 86400
  event-pipeline:messageAgeAlarmSeconds: 3600
  event-pipeline:idleAlarmMinutes: 60
  event-pipeline:eventSourceMetrics: true
  event-pipeline:tableMaxReadUnits: 50
  event-pipeline:contributorInsights: true
  event-pipeline:dataRetentionDays: 30
  event-pipeline:noncurrentVersionDays: 9
  event-pipeline:bucketName: our-own-bucket
"""
ANOTHER_TYPE = 'pulumi_aws.ssm.Parameter("parameter", type="String", value="value")\n'
ANOTHER_TABLE = """\
        aws.dynamodb.Table(
            "another",
            name=names.of("another"),
            billing_mode="PAY_PER_REQUEST",
            hash_key="id",
            attributes=[{"name": "id", "type": "S"}],
            deletion_protection_enabled=False,
        )
"""
# What the tests leave behind.
LEFT = """
import boto3, json, sys
outputs = json.load(open("cfn-outputs/flat-outputs.json"))
region = outputs["function_arn"].split(":")[3]
names = ("s3", "dynamodb", "sqs", "sns", "lambda")
s3, dynamodb, sqs, sns, lambda_ = (boto3.client(name, region_name=region) for name in names)
function = {"FunctionName": outputs["function_name"]}
attributes = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
print(json.dumps({
    "objects": len(s3.list_object_versions(Bucket=outputs["bucket_name"]).get("Versions", [])),
    "items": dynamodb.scan(TableName=outputs["table_name"])["Count"],
    "messages": [
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=attributes)["Attributes"]
        for url in sqs.list_queues()["QueueUrls"]
    ],
    "subscriptions": [each["Protocol"] for each in sns.list_subscriptions()["Subscriptions"]],
    "versions": [each["Version"] for each in lambda_.list_versions_by_function(**function)["Versions"]],
    "live": lambda_.get_alias(**function, Name="live")["FunctionVersion"],
}))
"""
NOTHING_LEFT = {
    "objects": 0,
    "items": 0,
    "messages": [{"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0"}] * 2,
    "subscriptions": ["email"],
    "versions": ["$LATEST", "1"],
    "live": "1",
}


@pytest.fixture(name="stack")
def fixture_stack(packaged_project: Project, environment: Environment, tmp_path: Path) -> Iterator[Emulated]:
    """A copy of the project with its own emulator, before the deployment."""
    with emulated(packaged_project.copy(tmp_path), environment, tmp_path / "emulator") as found:
        yield found


def test_the_integration_tests_use_the_settings_of_the_stack_file(stack: Emulated) -> None:
    path = stack.project.path / "Pulumi.local.yaml"
    for key, value in CHANGED_SETTINGS.items():
        changed = re.sub(rf"(event-pipeline:{key}:).*", rf"\1 {value}", stack.project.read("Pulumi.local.yaml"))
        path.write_text(changed, encoding="utf-8")
    path.write_text(stack.project.read("Pulumi.local.yaml") + CUSTOM_SETTINGS, encoding="utf-8")
    stack.deploy()

    report = stack.integration_tests()

    assert report.status == 0, report.output


def test_a_stack_file_changed_after_the_deployment_fails(stack: Emulated) -> None:
    stack.deploy()
    stack.project.replace("Pulumi.local.yaml", "lambdaMemoryMb: 512", "lambdaMemoryMb: 1024")

    report = stack.integration_tests("--deselect", "tests/integration/test_workflow.py")

    assert report.tests("failed") == {own_test(FUNCTION, "function"), LIVE_VERSION}
    assert "aws:lambda/function:Function function: memorySize: found 512, promised 1024" in report.output


def test_a_new_resource_is_tested_without_extra_code(stack: Emulated) -> None:
    stack.project.replace("infrastructure/processing.py", ").variables()", ').variables() | {"NEW": "1"}')
    first = "        self.table = aws.dynamodb.Table("
    stack.project.replace("infrastructure/storage.py", first, ANOTHER_TABLE + first)
    stack.deploy()
    other = stack.project.read("infrastructure/processing.py").replace('"NEW": "1"', '"NEW": "2"')
    (stack.project.path / "infrastructure" / "processing.py").write_text(other, encoding="utf-8")

    report = stack.integration_tests("--deselect", "tests/integration/test_workflow.py")

    assert report.tests("failed") == {own_test(FUNCTION, "function"), LIVE_VERSION}
    assert "function: environment.variables.NEW: found '1', promised '2'" in report.output
    assert own_test(TABLE, "another") in report.tests("passed")


def test_values_that_contain_a_secret_are_skipped_with_the_reason(stack: Emulated) -> None:
    path = stack.project.path / "Pulumi.local.yaml"
    plain = stack.project.read("Pulumi.local.yaml")
    path.write_text(plain + "  event-pipeline:bucketName: our-own-bucket\n", encoding="utf-8")
    stack.deploy()
    secret = plain.replace('notificationEmail: "platform@example.com"', "notificationEmail:\n    secure: v1:AAAA:BBBB")
    path.write_text(secret + "  event-pipeline:bucketName:\n    secure: v1:CCCC:DDDD\n", encoding="utf-8")

    report = stack.integration_tests(*FOR_EVERYBODY)

    assert report.tests("failed") == set(), report.output
    assert "notificationEmail is a secret, which only the engine can read" in report.output
    assert {
        own_test("aws:s3/bucket:Bucket", "payloads"),
        CONFIRMED,
        E_MAILS,
    } <= report.tests("skipped")
    assert {own_test(TABLE, "table"), own_test("output", "table_name")} <= report.tests("passed")
    assert {*WORKFLOW} - {*FAILING, DONE} <= report.tests("passed")


def test_a_type_without_a_reader_fails_with_what_to_do(stack: Emulated) -> None:
    stack.deploy()
    stack.project.replace("__main__.py", "import pulumi\n", "import pulumi\nimport pulumi_aws\n")
    program = stack.project.path / "__main__.py"
    program.write_text(stack.project.read("__main__.py") + ANOTHER_TYPE, encoding="utf-8")

    report = stack.integration_tests("-k", "Parameter")

    assert (
        "aws:ssm/parameter:Parameter has no reader: register a reader in tests/integration/conftest.py" in report.output
    )


def test_two_people_can_test_one_stack_at_the_same_time_and_leave_nothing_behind(
    stack: Emulated, tmp_path: Path
) -> None:
    stack.deploy()
    somebody_else = Emulated(stack.project.copy(tmp_path / "copy"), stack.environment, stack.address)

    with ThreadPoolExecutor(2) as people:
        reports = list(people.map(lambda person: person.integration_tests(*FOR_EVERYBODY), (stack, somebody_else)))
    reports.append(stack.integration_tests())

    assert [report.status for report in reports] == [0, 0, 0], "\n".join(report.output for report in reports)
    assert json.loads(stack.python("-c", LEFT)) == NOTHING_LEFT


def test_a_resource_that_the_applier_does_not_know_is_an_error(stack: Emulated) -> None:
    program = stack.project.path / "__main__.py"
    program.write_text(program.read_text(encoding="utf-8") + "import pulumi_aws\n" + ANOTHER_TYPE, encoding="utf-8")

    finished = stack.environment.run(stack.project, "python", str(DRIVER), **stack.variables)

    assert finished.returncode != 0
    assert "UnknownResourceError: aws:ssm/parameter:Parameter" in finished.stdout


NAMES = (
    "bucket_name bucket_arn table_name table_arn topic_arn queue_url queue_arn dlq_url dlq_arn function_arn "
    "function_name lambda_role_arn alarm_topic_arn"
)


def outputs_of(stack: str, region: str) -> str:
    """Return a file of outputs that identifies a stack."""
    arn = f"arn:aws:lambda:{region}:123456789012:function:event-pipeline-{stack}-processor"
    return json.dumps(dict.fromkeys(NAMES.split(), "x") | {"function_arn": arn})


@pytest.mark.parametrize(
    ("outputs", "variables", "said"),
    [
        (None, {}, "does not exist: deploy first with the task `local-up` or `pulumi-deploy`"),
        ("{", {}, "is not JSON; rewrite it with the task `outputs`"),
        ('{"bucket_name": "x"}', {}, "lacks bucket_arn, table_name"),
        ("[]", {}, "lacks bucket_name"),
        (json.dumps(dict.fromkeys(NAMES.split(), "x")), {}, "names no account: no output is an ARN"),
        (outputs_of("other", "us-east-2"), {}, "matches no stack; rewrite it with the task `outputs`"),
        (
            outputs_of("local", "us-east-2"),
            {},
            'belongs to the stack local, but event-pipeline:environment: found "local" while AWS_ENDPOINT_URL is not',
        ),
        (
            outputs_of("dev", "us-east-2"),
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
            'belongs to the stack dev, but event-pipeline:environment: found "dev" while AWS_ENDPOINT_URL points to',
        ),
    ],
    ids=[
        "missing",
        "not JSON",
        "incomplete",
        "no mapping",
        "no ARN",
        "unknown",
        "local without emulator",
        "dev with emulator",
    ],
)
def test_without_a_stack_to_test_one_line_says_why(
    default_project: Project,
    environment: Environment,
    tmp_path: Path,
    outputs: str | None,
    variables: dict[str, str],
    said: str,
) -> None:
    project = default_project.copy(tmp_path)
    if outputs is not None:
        path = project.path / OUTPUTS
        path.parent.mkdir()
        path.write_text(outputs, encoding="utf-8")

    finished = environment.run(project, "pytest", "tests/integration", **variables)

    for_all = environment.run(project, "pytest", "tests", **variables)

    assert for_all.returncode == 4, for_all.stdout[-2000:]
    assert sum(said in line for line in for_all.stdout.splitlines()) == 1, for_all.stdout[-2000:]
    assert finished.returncode == 4, finished.stdout
    lines = [line for line in finished.stdout.splitlines() if line.strip()]
    assert len(lines) == 1, finished.stdout
    assert lines[0].startswith(f"ERROR: {OUTPUTS} ")
    assert said in lines[0]


def test_stacks_with_the_same_suffix_are_distinguished_by_region(
    default_project: Project, environment: Environment, tmp_path: Path
) -> None:
    project = default_project.copy(tmp_path)
    for name in ("Pulumi.dev.yaml", "Pulumi.prod.yaml"):
        suffix = name.split(".")[1]
        project.replace(name, f"environmentSuffix: {suffix}", "environmentSuffix: main")
    (project.path / "Pulumi.broken.yaml").write_text("config: [", encoding="utf-8")
    path = project.path / OUTPUTS
    path.parent.mkdir()
    path.write_text(outputs_of("main", "us-east-1"), encoding="utf-8")

    finished = environment.run(project, "pytest", "tests/integration", "--collect-only")

    assert "stack: prod, region: us-east-1, in AWS" in finished.stdout


def test_a_mistake_in_the_stack_file_is_reported(
    default_project: Project, environment: Environment, tmp_path: Path
) -> None:
    project = default_project.copy(tmp_path)
    project.replace("Pulumi.dev.yaml", "lambdaMemoryMb: 512", "lambdaMemoryMb: 64")
    path = project.path / OUTPUTS
    path.parent.mkdir()
    path.write_text(outputs_of("dev", "us-east-2"), encoding="utf-8")

    finished = environment.run(project, "pytest", "tests/integration")

    assert finished.returncode == 4
    assert "matches no stack" in finished.stdout
    assert 'event-pipeline:lambdaMemoryMb: found "64"; allowed' in finished.stdout


# A proxy that does not exist keeps the tests from reaching AWS.
NOWHERE = {"HTTPS_PROXY": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


@pytest.fixture(name="on_aws")
def fixture_on_aws(default_project: Project, tmp_path: Path) -> Project:
    """A copy of the project, with the outputs of a stack on AWS."""
    project = default_project.copy(tmp_path)
    path = project.path / OUTPUTS
    path.parent.mkdir()
    path.write_text(outputs_of("prod", "us-east-1"), encoding="utf-8")
    return project


def test_tests_skipped_on_aws_give_the_reason(on_aws: Project, environment: Environment) -> None:
    chosen = ("tests/integration/test_workflow.py", "-rs", "-k", FOR_ONE)

    finished = environment.run(on_aws, "pytest", *chosen, **NOWHERE)

    assert "stack: prod, region: us-east-1, in AWS" in finished.stdout
    assert "4 skipped" in finished.stdout
    assert "the test makes the function fail; it runs against the emulator only" in finished.stdout
    assert "AWS only estimates how many messages are in a queue" in finished.stdout
    assert "limits of the emulator" not in finished.stdout


def test_without_access_to_aws_one_line_says_so(on_aws: Project, environment: Environment) -> None:
    finished = environment.run(on_aws, "pytest", "tests/integration", **NOWHERE)

    assert finished.returncode == 1
    said = [line for line in finished.stdout.splitlines() if "the stack prod cannot be read from AWS: " in line]
    assert len(said) == 1, finished.stdout
    assert "Traceback" not in finished.stdout


def test_the_applier_is_typed(environment_of: Callable[[Project], Environment], default_project: Project) -> None:
    environment = environment_of(default_project)
    files = [
        str(DRIVER.with_name(f"{name}.py"))
        for name in ("applier", "breakages", "driver", "emulator", "engine", "like_aws", "load")
    ]
    options = ["--python", str(environment.path), "--extra-search-path", str(DRIVER.parent)]

    finished = environment.run(default_project, "ty", "check", *options, *files)

    assert finished.returncode == 0, finished.stdout
