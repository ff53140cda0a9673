"""Why the engine has failed, in one line for a person."""

import re
from typing import Final

from pulumi.automation import CommandResult
from pulumi.automation.errors import ConcurrentUpdateError, StackNotFoundError, create_command_error

from tools.ci.changes import read_errors
from tools.project import printable
from tools.pulumi_cli import Finished

LONGEST: Final = 300
# What the engine, its backends and the AWS provider say without credentials, or with bad ones.
NO_CREDENTIALS: Final = re.compile(
    r"(?i)no valid credential sources|unable to validate AWS credentials|failed to refresh cached credentials"
    r"|invalid credentials configured|the configured AWS credentials|failed to refresh cached SSO credentials"
    r"|AssumeRoleWithWebIdentity|ExpiredToken|InvalidAccessKeyId|InvalidClientTokenId|NoCredentialProviders"
    r"|PULUMI_ACCESS_TOKEN must be set|invalid access token|passphrase must be set"
)
# The engine quotes the values that differ, so that its message stays in the log.
VIOLATED: Final = re.compile(r"resource (?P<urn>\S+) violates plan")


def explain(finished: Finished, stack: str) -> str:
    """Say why the engine has failed.

    Args:
        finished: The engine.
        stack: Name of the stack.

    Returns:
        What to do, if the failure is a known one; otherwise the beginning of the engine's first error message.
    """
    said = "\n".join([finished.messages, read_errors(finished.output), finished.output])
    error = create_command_error(CommandResult(stdout=finished.output, stderr=said, code=finished.status))
    violated = VIOLATED.search(said)
    if isinstance(error, StackNotFoundError):
        return f"the backend has no stack {stack}; the task `pulumi-create-stack` creates it"
    if isinstance(error, ConcurrentUpdateError):
        return "the state is locked: a deployment is running, or one was killed and `pulumi cancel` must unlock it"
    if violated:
        name = violated["urn"].rpartition("::")[2]
        return f"{name} would not change as planned: nothing that the plan does not name is deployed; plan again"
    if NO_CREDENTIALS.search(said):
        return f"there are no valid credentials: {_first_error(said)}"
    return f"pulumi failed with exit status {finished.status}: {_first_error(said)}"


def _first_error(said: str) -> str:
    after = said.partition("error: ")[2] or said
    line = next((line.strip() for line in after.splitlines() if line.strip()), "it says nothing")
    return printable(line if len(line) <= LONGEST else f"{line[:LONGEST]}...")
