"""The integration tests of a rendered project pass on the emulator, and fail on a broken deployment."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.emulated import DRIVER, OUTPUTS, Emulated, emulated
from tests.projects import Environment, Project

pytestmark = pytest.mark.slow

IN_PROJECT = ("applier", "breaking", "driver", "like_aws", "load", "stand_in_cli")
# Selects the tests that several people can run at the same time.
FOR_EVERYBODY = ("-k", "not fails and not crashes")
# Settings that add every optional resource and property to the local stack.
OPTIONS = {
    "batchWindowSeconds": "1",
    "dataRetentionDays": "30",
    "maxReceiveCount": "5",
    "permissionsBoundaryArn": "arn:aws:iam::123456789012:policy/boundary",
}
# IAM actions whose names differ from their API operations:
# https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
ACTIONS = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}
# Calls that need no IAM permission.
FREE = {"sts:GetCallerIdentity"}
# Prints two lists of the deploy role's actions: only for the integration tests, and all that these tests may use.
GRANTED = """
import json
from bootstrap.policies import DATA, READ, TESTS

def actions(statements):
    return [action for statement in statements for action in statement["Action"]]

print(json.dumps({"tests": actions(TESTS), "all": actions([*READ, *DATA, *TESTS])}))
"""
# Programs that send a dead letter as another sender, and print what the tests leave behind.
CLIENTS = f"""
import boto3, json
outputs = json.load(open({OUTPUTS!r}))
clients = (boto3.client(name, region_name="us-east-2") for name in ("s3", "dynamodb", "sqs", "sns", "lambda"))
s3, dynamodb, sqs, sns, lambda_ = clients
"""
SEND_LETTER = CLIENTS + 'sqs.send_message(QueueUrl=outputs["dlq_url"], MessageBody="of somebody else")'
LEFT = (
    CLIENTS
    + """
function = {"FunctionName": outputs["function_name"]}
letters = sqs.receive_message(QueueUrl=outputs["dlq_url"], MaxNumberOfMessages=10, VisibilityTimeout=0)["Messages"]
print(json.dumps({
    "objects": len(s3.list_object_versions(Bucket=outputs["bucket_name"]).get("Versions", [])),
    "items": dynamodb.scan(TableName=outputs["table_name"])["Count"],
    "dead letters": [letter["Body"] for letter in letters],
    "queues": len(sqs.list_queues()["QueueUrls"]),
    "subscriptions": [each["Protocol"] for each in sns.list_subscriptions()["Subscriptions"]],
    "versions": [each["Version"] for each in lambda_.list_versions_by_function(**function)["Versions"]],
    "live": lambda_.get_alias(**function, Name="live")["FunctionVersion"],
}))
"""
)
NOTHING_LEFT = {
    "objects": 0,
    "items": 0,
    "dead letters": ["of somebody else"],
    "queues": 2,
    "subscriptions": ["email"],
    "versions": ["$LATEST", "1"],
    "live": "1",
}


@pytest.fixture(scope="module", name="stack")
def fixture_stack(
    packaged_project: Project, environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Emulated]:
    """A deployed stack with every optional resource and property, and a dead letter from another sender."""
    folder = tmp_path_factory.mktemp("stack")
    project = packaged_project.copy(folder)
    local = project.path / "Pulumi.local.yaml"
    options = "".join(f"  {project.slug}:{key}: {value}\n" for key, value in OPTIONS.items())
    local.write_text(project.read(local.name) + options, encoding="utf-8")
    with emulated(project, environment, folder / "emulator") as found:
        found.deploy()
        found.python("-c", SEND_LETTER)
        yield found


@pytest.fixture(scope="module", name="report")
def fixture_report(
    packaged_project: Project, environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The report of ``breaking.py``: the integration tests that fail on each broken deployment or function."""
    folder = tmp_path_factory.mktemp("broken")
    with emulated(packaged_project.copy(folder), environment, folder / "emulator") as found:
        found.deploy()
        return json.loads(found.python(str(DRIVER.with_name("breaking.py"))).splitlines()[-1])


def test_integration_tests_pass_for_several_people_and_leave_nothing(stack: Emulated, tmp_path: Path) -> None:
    somebody_else = Emulated(stack.project.copy(tmp_path), stack.environment, stack.address)

    with ThreadPoolExecutor(1) as executor:
        other = executor.submit(somebody_else.integration_tests, *FOR_EVERYBODY)
        reports = [stack.integration_tests(*FOR_EVERYBODY), other.result()]
    reports.append(stack.integration_tests("-k", "fails or crashes"))

    assert [report.status for report in reports] == [0, 0, 0], "\n".join(report.output for report in reports)
    assert set().union(*(report.outcomes.values() for report in reports)) == {"passed"}
    assert f"stack local in us-east-2, at {stack.address}" in reports[0].output
    assert json.loads(stack.python("-c", LEFT)) == NOTHING_LEFT


def test_integration_tests_tolerate_eventual_consistency_and_duplicates(stack: Emulated, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    variables = {"PYTHONPATH": str(DRIVER.parent), "AWS_CALLS": str(calls)}

    report = stack.integration_tests("-p", "like_aws", *FOR_EVERYBODY, **variables)

    assert report.status == 0, report.output
    assert report.tests("skipped") == {"test_alarm_recipient_has_confirmed_the_subscription"}
    assert "['platform@example.com'] must still click the link in SNS's e-mail" in report.output
    made = {
        "s3:DeleteObjectVersion" if is_version else ACTIONS.get(f"{service}:{operation}", f"{service}:{operation}")
        for service, operation, is_version in json.loads(calls.read_text(encoding="utf-8"))
    }
    granted: dict[str, list[str]] = json.loads(stack.python("-c", GRANTED))
    assert made - FREE <= {*granted["all"]}
    assert {*granted["tests"]} <= made


def test_each_row_fails_if_its_resource_is_broken(report: dict[str, Any]) -> None:
    unbroken, *rounds = report["rounds"]

    assert unbroken == {"expected": [], "found": []}
    assert [each["found"] for each in rounds] == [each["expected"] for each in rounds]
    assert set().union(*(each["found"] for each in rounds)) == set(report["rows"])


def test_each_workflow_test_fails_on_a_mutation_of_the_function(report: dict[str, Any]) -> None:
    assert sorted(report["noticed"]) == sorted(report["workflow"])


def test_row_whose_expected_value_is_a_secret_is_skipped(stack: Emulated, tmp_path: Path) -> None:
    project = stack.project.copy(tmp_path)
    project.replace("Pulumi.local.yaml", '"platform@example.com"', "\n    secure: v1:AAAA:BBBB")

    found = Emulated(project, stack.environment, stack.address).integration_tests("-k", "resources")

    assert found.status == 0, found.output
    assert found.tests("skipped") == {"test_resource[alarms: subscriptions]"}
    assert "the expected value contains a secret, which only the Pulumi CLI can decrypt" in found.output


def test_undeployed_setting_fails_with_the_expected_and_the_actual_value(stack: Emulated, tmp_path: Path) -> None:
    project = stack.project.copy(tmp_path)
    project.replace("Pulumi.local.yaml", "lambdaMemoryMb: 512", "lambdaMemoryMb: 1024")

    found = Emulated(project, stack.environment, stack.address).integration_tests("-k", "resources")

    assert found.tests("failed") == {"test_resource[function: memory]"}
    assert "expected 1024, got 512: lambda get_function_configuration {'FunctionName': " in found.output


def outputs_of(function: str, region: str) -> str:
    """Return stack outputs as JSON: the function's name and ARN, and placeholders for all other values."""
    names = (
        "bucket_name bucket_arn table_name table_arn topic_arn queue_url queue_arn dlq_url dlq_arn function_arn "
        "function_name lambda_role_arn alarm_topic_arn"
    )
    arn = f"arn:aws:lambda:{region}:123456789012:function:{function}"
    return json.dumps(dict.fromkeys(names.split(), "x") | {"function_name": function, "function_arn": arn})


PROD = outputs_of("event-pipeline-prod-processor", "us-east-1")
# No proxy listens on this port, so no request reaches AWS.
NOWHERE = {"HTTPS_PROXY": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


@pytest.mark.parametrize(
    ("outputs", "variables", "said"),
    [
        (None, {}, "does not exist; deploy first, with the task `local-up` or `pulumi-deploy`"),
        ("{", {}, "is not a JSON object of outputs; rewrite it with the task `outputs`"),
        ('{"bucket_name": "x"}', {}, "lacks bucket_arn, table_name"),
        (PROD.replace("us-east-1", "us-east-2"), {}, "in us-east-2, which belongs to no stack"),
        (PROD.replace("prod-", "main-"), {}, "in us-east-1, which belongs to prod and staging"),
        (
            outputs_of("event-pipeline-local-processor", "us-east-2"),
            {},
            'belongs to stack local, but event-pipeline:environment: found "local" while AWS_ENDPOINT_URL is not set',
        ),
        (
            PROD,
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
            "belongs to stack prod, but event-pipeline:environment: found",
        ),
    ],
    ids=["missing", "not JSON", "incomplete", "no stack", "two stacks", "local without emulator", "prod with emulator"],
)
def test_one_line_says_why_there_is_no_stack_to_test(
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
    if outputs and "main-" in outputs:
        project.replace("Pulumi.prod.yaml", "environmentSuffix: prod", "environmentSuffix: main")
        project.replace("Pulumi.staging.yaml", "environmentSuffix: staging", "environmentSuffix: main")
        project.replace("Pulumi.staging.yaml", "us-west-1", "us-east-1")

    finished = environment.run(project, "pytest", "-q", "tests/integration", **variables)

    assert finished.returncode == 4, finished.stdout
    (line,) = [line for line in finished.stdout.splitlines() if line.startswith(f"ERROR: {OUTPUTS} ")]
    assert said in line
    assert len(finished.stdout.splitlines()) < 6, finished.stdout


def test_in_prod_one_good_message_is_sent_and_access_is_checked_first(
    default_project: Project, environment: Environment, tmp_path: Path
) -> None:
    project = default_project.copy(tmp_path)
    path = project.path / OUTPUTS
    path.parent.mkdir()
    path.write_text(PROD, encoding="utf-8")

    skipped = environment.run(
        project, "pytest", "tests/integration/test_workflow.py", "-k", "not payload and not item", **NOWHERE
    )
    finished = environment.run(project, "pytest", "-q", "tests/integration", **NOWHERE)

    assert "8 skipped" in skipped.stdout, skipped.stdout
    assert "in prod, only one good message is sent" in skipped.stdout
    assert "the test makes the function fail" in skipped.stdout
    assert finished.returncode == 1
    assert "stack prod: cannot access AWS: " in finished.stdout
    assert "Traceback" not in finished.stdout


def test_code_that_runs_in_the_project_is_typed(
    environment_of: Callable[[Project], Environment], default_project: Project
) -> None:
    environment = environment_of(default_project)
    options = ["--python", str(environment.path), "--extra-search-path", str(DRIVER.parent)]
    files = [str(DRIVER.with_name(f"{name}.py")) for name in IN_PROJECT]

    finished = environment.run(default_project, "ty", "check", *options, *files)

    assert finished.returncode == 0, finished.stdout
