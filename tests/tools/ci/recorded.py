"""What the engine has said, as ``pulumi preview --json`` and the CLI's messages, shortened to what is read.

https://github.com/pulumi/pulumi/blob/master/pkg/display/json.go describes the output of a preview.
"""

import json
from typing import Any

URN = "urn:pulumi:{stack}::orders::pipeline:infrastructure:Storage${type}::{name}"
BUCKET = "aws:s3/bucket:Bucket"
FUNCTION = "aws:lambda/function:Function"
# The engine masks what it knows to be a secret. No other value may leave the log either.
NOT_FOR_PEOPLE = "not-for-people"

LOCKED = (
    "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the "
    "lock file with `pulumi cancel`.\n"
    "  s3://state/.pulumi/locks/organization/orders/dev/1f.json: created by ci@runner\n"
)
CONFLICT = "error: [409] Conflict: Another update is currently in progress.\n"
NO_STACK = "error: no stack named 'dev' found\n"
NO_BACKEND_CREDENTIALS = "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions\n"
NO_AWS_CREDENTIALS = (
    "error: pulumi:providers:aws resource 'default_7_51_0' has a problem: No valid credential sources found. "
    "Please see https://www.pulumi.com/registry/packages/aws/\n"
)
VIOLATED = f"""\
Updating (dev):
    error: resource {URN.format(stack="dev", type=BUCKET, name="payloads")} violates plan: \
properties changed: ~~tags[{{{NOT_FOR_PEOPLE}}}!={{b}}]
error: update failed
"""


def step(operation: str, type_: str, name: str, *paths: str, stack: str = "dev", **more: Any) -> dict[str, Any]:
    """Return a step of a preview."""
    urn = URN.format(stack=stack, type=type_, name=name)
    state = {"urn": urn, "custom": True, "type": type_, "inputs": {"value": NOT_FOR_PEOPLE}}
    states = {"newState": state} if operation == "create" else {"oldState": state, "newState": state}
    found: dict[str, Any] = {"op": operation, "urn": urn} | states
    if paths:
        found["detailedDiff"] = {path: {"kind": "update", "inputDiff": True} for path in paths}
    return found | more


def stack_step(operation: str = "same") -> dict[str, Any]:
    """Return the step of the stack itself, which is always there."""
    urn = "urn:pulumi:dev::orders::pulumi:pulumi:Stack::orders-dev"
    return {"op": operation, "urn": urn, "newState": {"urn": urn, "custom": False, "type": "pulumi:pulumi:Stack"}}


def preview(*steps: dict[str, Any], errors: tuple[str, ...] = ()) -> str:
    """Return the output of a preview."""
    diagnostics = [{"message": f"error: {message}\n", "severity": "error"} for message in errors]
    diagnostics.append({"message": f"the program says {NOT_FOR_PEOPLE}", "severity": "info"})
    digest = {"config": {"orders:environment": "dev"}, "steps": [stack_step(), *steps], "diagnostics": diagnostics}
    return json.dumps(digest, indent=4)


UPDATE = step("update", FUNCTION, "processor", "memorySize", "tags.Team")
CREATE = step("create", "aws:sqs/queue:Queue", "queue")
DELETE_BUCKET = step("delete", BUCKET, "payloads")
REPLACE_BUCKET = tuple(
    step(operation, BUCKET, "payloads", "bucket") for operation in ("create-replacement", "replace", "delete-replaced")
)
