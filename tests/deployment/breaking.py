"""Mutates a deployment and its function, and reports which integration tests fail.

Runs in a rendered project's folder and virtual environment, after `driver`: ``python breaking.py`` prints the report as
JSON. Each round deploys the Pulumi program with broken resources, and checks all rows of `test_resources`. Then, each
mutated function is deployed, and its tests in `test_workflow` must fail.
"""

import dataclasses
import inspect
import io
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock
from zipfile import ZipFile

import driver
import pytest
from applier import Applier

from tests.integration import pipeline as pipeline_module
from tests.integration import test_workflow
from tests.integration.pipeline import LIVE, opened_pipeline
from tests.integration.stack import find_stack
from tests.integration.test_resources import ROWS, test_resource
from tools.package import bundle_path
from tools.project import DECLARATION
from tools.testing import Resource, run_program, stack_config

OTHER_KEY = "arn:aws:kms:us-east-2:123456789012:key/99999999-8888-7777-6666-555555555555"
OTHER_ROLE = "arn:aws:iam::123456789012:role/another"
FUNCTION = "event-pipeline-local-processor"
NOTHING = {"Effect": "Deny", "Action": "*", "Resource": "*"}
OUTPUTS = "outputs"
EVENT_SOURCE = tuple(row for row in ROWS if row.startswith("event source: "))
# Short, because a mutated function never produces some of the results.
DEADLINE_SECONDS = 6


class Breakage(NamedTuple):
    """A fault in a deployment: a changed, missing or additional resource, or changed outputs.

    Attributes:
        name: The logical name of a resource, `OUTPUTS`, or the type of an additional resource.
        change: A merge patch for the inputs or outputs, or a text in the inputs' JSON and its replacement. ``None``
            omits the resource.
        others: Further rows of `test_resources` that must fail.
    """

    name: str
    change: dict[str, Any] | tuple[str, str] | None
    others: tuple[str, ...] = ()


# The rows of `test_resources`, each with a breakage that must make it fail.
BREAKAGES = {
    "bucket: versioning": Breakage("payloads-versioning", {"versioningConfiguration": {"status": "Suspended"}}),
    "bucket: encryption": Breakage("payloads-encryption", None),
    "bucket: disabled rules": Breakage("payloads-lifecycle", ('"status": "Enabled"', '"status": "Disabled"')),
    "bucket: noncurrent versions": Breakage("payloads-lifecycle", ("30.0", "3.0")),
    "bucket: incomplete uploads": Breakage("payloads-lifecycle", ("7.0", "9.0")),
    "bucket: expiry": Breakage("payloads-lifecycle", ("30.0}", '30.0}, "expiration": {"days": 9}')),
    "bucket: public access": Breakage("payloads-public-access", {"blockPublicAcls": False}),
    "bucket: TLS only": Breakage("payloads-policy", ("false", "true")),
    "bucket: access logs": Breakage("payloads-logging", None),
    "table: ARN": Breakage(OUTPUTS, {"table_arn": "another"}, ("role: permissions",)),
    "table: key": Breakage("table", ("message_id", "message")),
    "table: index": Breakage("table", ('"object_key", "type"', '"object_key"')),
    "table: billing": Breakage("table", {"billingMode": "PROVISIONED"}),
    "table: encryption": Breakage("table", {"serverSideEncryption": {"kmsKeyArn": OTHER_KEY}}),
    "table: deletion protection": Breakage("table", {"deletionProtectionEnabled": True}),
    "table: recovery": Breakage("table", {"pointInTimeRecovery": {"enabled": False}}),
    "table: TTL": Breakage("table", {"ttl": {"attributeName": "another"}}),
    "queue: ARN": Breakage(
        OUTPUTS, {"queue_arn": "another"}, ("dead-letter queue: sources", "event sources", "role: permissions")
    ),
    "queue: encryption": Breakage("queue", {"kmsMasterKeyId": OTHER_KEY}),
    "queue: retention": Breakage("queue", {"messageRetentionSeconds": 60}),
    "queue: visibility": Breakage("queue", {"visibilityTimeoutSeconds": 30}),
    "queue: redrive": Breakage("queue", ('maxReceiveCount\\": 10', 'maxReceiveCount\\": 9')),
    "queue: TLS only": Breakage("queue", ("Deny", "Allow")),
    "dead-letter queue: ARN": Breakage(OUTPUTS, {"dlq_arn": "another"}, ("queue: redrive", "role: permissions")),
    "dead-letter queue: encryption": Breakage("dead-letter-queue", {"kmsMasterKeyId": OTHER_KEY}),
    "dead-letter queue: retention": Breakage("dead-letter-queue", {"messageRetentionSeconds": 60}),
    "dead-letter queue: sources": Breakage("dead-letter-queue-redrive-allow", None),
    "dead-letter queue: TLS only": Breakage("dead-letter-queue", ("Deny", "Allow")),
    "topic: encryption": Breakage("topic", {"kmsMasterKeyId": OTHER_KEY}),
    "topic: TLS only": Breakage("topic-policy", ("Deny", "Allow")),
    "alarms: subscriptions": Breakage("alarm-subscription", {"endpoint": "other@example.com"}),
    "alarms: names": Breakage("errors-alarm", None),
    "alarms: without action": Breakage("returned-alarm", {"alarmActions": []}),
    "alarms: disabled actions": Breakage("throttles-alarm", {"actionsEnabled": False}),
    "function: alias": Breakage("function-live", {"routingConfig": {"additionalVersionWeights": {"99": 0.5}}}),
    "function: runtime": Breakage("function", {"runtime": "python3.11"}),
    "function: architecture": Breakage("function", {"architectures": ["x86_64"]}),
    "function: memory": Breakage("function", {"memorySize": 256}),
    "function: timeout": Breakage("function", {"timeout": 90}),
    "function: environment": Breakage("function", {"environment": {"variables": {"ENVIRONMENT": "dev"}}}),
    "function: encryption": Breakage("function", {"kmsKeyArn": OTHER_KEY}),
    "function: role": Breakage("function", {"role": OTHER_ROLE}),
    "event sources": Breakage(
        "aws:lambda/eventSourceMapping:EventSourceMapping",
        {
            "functionName": FUNCTION,
            "eventSourceArn": "arn:aws:sqs:us-east-2:123456789012:event-pipeline-local-dead-letter-queue",
            "scalingConfig": {"maximumConcurrency": 2},
            "functionResponseTypes": ["ReportBatchItemFailures"],
            "tags": {},
        },
        tuple(row for row in EVENT_SOURCE if row != "event source: filters"),
    ),
    "event source: state": Breakage("function-event-source", {"enabled": False}),
    "event source: batches": Breakage("function-event-source", {"batchSize": 5}),
    "event source: concurrency": Breakage("function-event-source", {"scalingConfig": {"maximumConcurrency": 100}}),
    "event source: partial responses": Breakage("function-event-source", {"functionResponseTypes": []}),
    "event source: filters": Breakage("function-event-source", {"filterCriteria": {"filters": [{"pattern": "{}"}]}}),
    "role: trust": Breakage("function-role", ("lambda.amazonaws.com", "ec2.amazonaws.com")),
    "role: boundary": Breakage("function-role", {"permissionsBoundary": "arn:aws:iam::123456789012:policy/another"}),
    "role: permissions": Breakage("function-role-policy", ("s3:PutObject", "s3:*")),
    "role: policies": Breakage(
        "aws:iam/rolePolicy:RolePolicy",
        {"role": FUNCTION, "name": "another", "policy": json.dumps({"Version": "2012-10-17", "Statement": [NOTHING]})},
    ),
    "role: attached policies": Breakage(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        {"role": FUNCTION, "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
    ),
    "log: retention": Breakage("function-logs", {"retentionInDays": 1}),
    "log: encryption": Breakage("function-logs", {"kmsKeyId": None}),
}


class Mutation(NamedTuple):
    """A mutation of the function's source: a text in a file, and its replacement."""

    file: str
    old: str
    new: str


class MutatedFunction(NamedTuple):
    """Mutations that cannot mask each other, and the tests that must fail."""

    mutations: tuple[Mutation, ...]
    tests: tuple[str, ...]


PUBLISH = "        self.sns.publish("
MUTATED_FUNCTIONS = (
    MutatedFunction(
        (
            Mutation("processor/storage.py", "Body=payload", 'Body=payload + b" "'),
            Mutation("processor/storage.py", '"type": event.type', '"type": "another"'),
            Mutation("processor/storage.py", '"StringValue": event.type', '"StringValue": "another"'),
            Mutation("processor/queues.py", '"ErrorReason": describe(error)', '"ErrorReason": "another"'),
        ),
        (
            "test_payload_is_stored_byte_for_byte",
            "test_item_is_found_by_time",
            "test_notification_has_the_item_and_the_type_as_attribute",
            "test_malformed_message_is_dead_lettered_with_the_reason",
        ),
    ),
    MutatedFunction(
        (
            Mutation("processor/storage.py", "if self._is_announced(item):", "if self._is_announced(item) is None:"),
            Mutation("processor/identity.py", "if is_identity and", "if not is_identity and"),
            Mutation(
                "processor/handler.py",
                "        return super().failure_handler(record, exception)",
                "        return super().success_handler(record, exception)",
            ),
            Mutation("processor/handler.py", "read_environment(os.environ)", "read_environment(os.environ | SOUND)"),
            Mutation(
                "processor/handler.py", "\nenvironment = ", '\nSOUND = {"MAX_RECEIVE_COUNT": "5"}\nenvironment = '
            ),
        ),
        (
            "test_repeated_delivery_changes_nothing",
            "test_redriven_dead_letter_keeps_its_identity",
            "test_message_that_fails_is_retried_and_processed",
            "test_message_is_dead_lettered_by_sqs_if_the_function_crashes",
        ),
    ),
    MutatedFunction(
        (
            Mutation(
                "processor/storage.py",
                PUBLISH,
                f'{PUBLISH}TopicArn=self.environment.topic_arn, Subject="again", Message=json.dumps(item))\n{PUBLISH}',
            ),
            Mutation("processor/handler.py", " or is_last_delivery", ""),
        ),
        (
            "test_nine_of_ten_messages_are_processed_once_if_one_is_malformed",
            "test_message_that_fails_too_often_is_dead_lettered_with_the_reason",
        ),
    ),
)


def rounds() -> Iterator[dict[str, Breakage]]:
    """Group the breakages into as few deployments as possible, each with at most one breakage per resource."""
    left = dict(BREAKAGES)
    while left:
        names = {breakage.name: row for row, breakage in left.items()}
        yield {row: left.pop(row) for row in names.values()}


def broken(resources: list[Resource], breakages: dict[str, Breakage]) -> Iterator[Resource]:
    """Yield a program's resources with the breakages applied.

    Raises:
        LookupError: If a breakage's resource or text does not exist.
    """
    by_name = {breakage.name: breakage for breakage in breakages.values()}
    for resource in resources:
        breakage = by_name.pop(resource.name, Breakage(resource.name, {}))
        if breakage.change is not None:
            yield dataclasses.replace(resource, inputs=changed(resource.inputs, breakage.change))
    for name, breakage in by_name.items():
        if ":" in name:
            yield dataclasses.replace(resources[-1], type=name, name=name, inputs=breakage.change)
        elif name != OUTPUTS:
            raise LookupError(f"there is no resource {name}")


def changed(inputs: Any, change: Any) -> Any:
    """Replace text in the inputs' JSON, or apply a merge patch (https://www.rfc-editor.org/rfc/rfc7396)."""
    if isinstance(change, tuple):
        text = json.dumps(inputs)
        if change[0] not in text:
            raise LookupError(f"{change[0]} is not in {text}")
        return json.loads(text.replace(*change))
    if not isinstance(change, dict):
        return change
    merged = dict(inputs or {})
    merged |= {key: changed(merged.get(key), each) for key, each in change.items()}
    return {key: each for key, each in merged.items() if each is not None}


def fails(test: Callable[..., None], **fixtures: Any) -> bool:
    """Call a test with the fixtures in its signature, and return whether the test fails."""
    try:
        test(**{name: fixtures[name] for name in inspect.signature(test).parameters})
    except (AssertionError, pytest.fail.Exception):
        return True
    return False


def compare_resources() -> Iterator[dict[str, list[str]]]:
    """Deploy the unbroken program and each round, and yield the rows that must fail and the rows that fail."""
    stack = find_stack()
    recorded = run_program(stack_config(DECLARATION.local), DECLARATION.local)
    with tempfile.TemporaryDirectory() as folder:
        # The rows do not need the function's code.
        with ZipFile(Path(folder) / bundle().name, "w") as archive:
            archive.writestr("empty", "")
        for breakages in ({}, *rounds()):
            driver.reset()
            outputs = Applier(recorded, Path(folder)).run(list(broken(recorded.resources, breakages)))
            patch = next((each.change for each in breakages.values() if each.name == OUTPUTS), {})
            deployed = dataclasses.replace(stack, outputs=changed(outputs, patch))
            others = {row for breakage in breakages.values() for row in breakage.others}
            found = [what for what, row in ROWS.items() if fails(test_resource, stack=deployed, row=row)]
            yield {"expected": sorted({*breakages, *others}), "found": sorted(found)}


def bundle() -> Path:
    return bundle_path(DECLARATION.local, "", "")


def bundle_with(mutations: tuple[Mutation, ...]) -> bytes:
    """Return the bundle as ZIP data, with the mutations applied."""
    archive = io.BytesIO(bundle().read_bytes())
    with ZipFile(archive, "a") as content:
        for file in {mutation.file for mutation in mutations}:
            source = content.read(file).decode()
            for mutation in mutations:
                if mutation.file == file:
                    if mutation.old not in source:
                        raise LookupError(f"{mutation.old} is not in {file}")
                    source = source.replace(mutation.old, mutation.new)
            # Ignore the warning about the duplicate name: unpacking uses the last entry.
            with warnings.catch_warnings(action="ignore"):
                content.writestr(file, source)
    return archive.getvalue()


def failing_tests() -> Iterator[str]:
    """Deploy each mutated function, and yield the names of its tests in `test_workflow` that fail."""
    driver.reset()
    stack = dataclasses.replace(find_stack(), outputs=driver.run_program()[1])
    client, function = stack.client("lambda"), {"FunctionName": stack.outputs["function_name"]}
    impatient = mock.patch.object(pipeline_module, "LOCAL_DEADLINE_SECONDS", DEADLINE_SECONDS)
    with impatient, opened_pipeline(stack) as pipeline:
        for mutations, tests in MUTATED_FUNCTIONS:
            code = bundle_with(mutations)
            version = client.update_function_code(**function, ZipFile=code, Publish=True)["Version"]
            client.update_alias(**function, Name=LIVE, FunctionVersion=version)
            message = pipeline.send_first(test_workflow.BODY)
            body, reason = next(iter(test_workflow.MALFORMED.items()))
            for name in tests:
                test = getattr(test_workflow, name)
                if fails(test, pipeline=pipeline, message=message, body=body, reason=reason):
                    yield name
        pipeline.sent.clear()


if __name__ == "__main__":
    report = {
        "rows": [*ROWS],
        "rounds": [*compare_resources()],
        "workflow": [name for name in vars(test_workflow) if name.startswith("test_")],
        "noticed": [*failing_tests()],
    }
    json.dump(report, sys.stdout)
