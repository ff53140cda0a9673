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
READ_STATE = 'error: read ".pulumi/meta.yaml": blob (key ".pulumi/meta.yaml") (code=Unknown): '
REQUEST_ID = "11111111-2222-3333-4444-555555555555"
# Missing and bad credentials, each in words that no other message has. The engine reads a bucket with version 1 of the
# SDK for Go or, with awssdk=v2 in the bucket's URL, with version 2; the provider uses version 2.
NO_CREDENTIALS = {
    "no credentials for AWS": NO_AWS_CREDENTIALS,
    "a role that cannot be assumed": (
        "error: pulumi:providers:aws resource 'default_7_51_0' has a problem: unable to validate AWS credentials.\n"
        "Details: IAM Role (arn:aws:iam::123456789012:role/deploy) cannot be assumed.\n"
        "\n"
        "There are a number of possible causes of this - the most common are:\n"
        "  * The credentials used in order to assume the role are invalid\n"
    ),
    "no credentials for the state's bucket, by version 2": (
        f"{READ_STATE}operation error S3: GetObject, get identity: get credentials: failed to refresh cached "
        "credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, access disabled to EC2 IMDS via "
        'client option, or "AWS_EC2_METADATA_DISABLED" environment variable\n'
    ),
    "a job that the role does not trust": (
        f"{READ_STATE}WebIdentityErr: failed to retrieve credentials\n"
        "caused by: AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity\n"
        f"\tstatus code: 403, request id: {REQUEST_ID}\n"
    ),
    "expired credentials": (
        f"{READ_STATE}ExpiredToken: The provided token has expired.\n"
        f"\tstatus code: 400, request id: {REQUEST_ID}, host id: host\n"
    ),
    "unknown credentials": (
        "error: Preview failed: 1 error occurred:\n"
        "\t* Retrieving AWS account details: validating provider credentials: retrieving caller identity from STS: "
        f"operation error STS: GetCallerIdentity, https response error StatusCode: 403, RequestID: {REQUEST_ID}, "
        "api error InvalidClientTokenId: The security token included in the request is invalid.\n"
    ),
    "no credentials for the state's bucket, by version 1": (
        f"{READ_STATE}NoCredentialProviders: no valid providers in chain. Deprecated.\n"
        "\tFor verbose messaging see aws.Config.CredentialsChainVerboseErrors\n"
    ),
    "invalid credentials, as the provider says it": (
        "error: pulumi:providers:aws resource 'default_7_51_0' has a problem: Invalid credentials configured.\n"
    ),
    "expired credentials, as the provider says it": (
        "error: pulumi:providers:aws resource 'default_7_51_0' has a problem: The configured AWS credentials have "
        "expired.\n"
    ),
    "an expired session of SSO": (
        "error: pulumi:providers:aws resource 'default_7_51_0' has a problem: Failed to refresh cached SSO "
        "credentials.\n"
    ),
    "an unknown key": (
        f"{READ_STATE}operation error S3: GetObject, https response error StatusCode: 403, RequestID: {REQUEST_ID}, "
        "api error InvalidAccessKeyId: The AWS Access Key Id you provided does not exist in our records.\n"
    ),
    "no token for Pulumi Cloud": NO_BACKEND_CREDENTIALS,
    "a wrong token for Pulumi Cloud": "error: problem logging in: invalid access token\n",
    "no passphrase": (
        "error: getting secrets manager: passphrase must be set with PULUMI_CONFIG_PASSPHRASE or "
        "PULUMI_CONFIG_PASSPHRASE_FILE environment variables\n"
    ),
}
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
