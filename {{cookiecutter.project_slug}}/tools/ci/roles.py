"""The ``ci-role`` task: which role a job assumes to preview or to deploy a stack."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import boto3

from tools.ci.stacks import Stack, find_stack
from tools.ci.system import append, is_on_github, is_on_gitlab, read_variable
from tools.project import ACCOUNTS_KEY, DECLARATION, read_accounts, shown
from tools.settings import REGION_KEY

TASK: Final = "ci-role"
# What a role is for, and for how many seconds a job on GitLab has its credentials: a deployment must not be stopped.
PURPOSES: Final = {"preview": 3600, "deploy": 7200}
# GitHub's runner sets it for a job that may ask for an identity token: not for a fork's, nor for Dependabot's.
GITHUB_TOKEN_URL: Final = "ACTIONS_ID_TOKEN_REQUEST_URL"  # noqa: S105 # the name of a variable
# The workflow gives the job's identity token this name: https://docs.gitlab.com/ci/secrets/id_token_authentication/
GITLAB_TOKEN: Final = "AWS_ID_TOKEN"  # noqa: S105 # the name of a variable
# https://docs.aws.amazon.com/sdkref/latest/guide/access-assume-role-web.html
AWS_CONFIG: Final = """\
[default]
region = {region}
role_arn = {arn}
role_session_name = {session}
duration_seconds = {seconds}
web_identity_token_file = {token}
"""


@dataclass(frozen=True)
class Role:
    """A role that a job assumes.

    Attributes:
        arn: Its ARN.
        account: The account's ID.
        region: The stack's region.
    """

    arn: str
    account: str
    region: str


def write_role(stack: str, purpose: str) -> None:
    """Tell the job's next steps which role to assume, or that there is none.

    GitHub gets it as the outputs ``role``, ``region`` and ``account`` of the step. GitLab gets an AWS configuration
    file at the path in ``AWS_CONFIG_FILE``.

    Args:
        stack: Name of the stack.
        purpose: ``preview``, or ``deploy``, which needs a role.

    Raises:
        SystemExit: If an argument or the configuration is wrong, or a deployment has no role.
    """
    if purpose not in PURPOSES:
        sys.exit(f"{TASK}: found {shown(purpose)}; allowed: {' or '.join(PURPOSES)}")
    found = find_stack(TASK, stack)
    role = find_role(found, purpose)
    reason = why_not(found, role)
    if reason and purpose == "deploy":
        sys.exit(f"{TASK}: {stack} cannot be deployed: {reason}")
    usable = None if reason else role
    print(f"{TASK}: {usable.arn if usable else f'no credentials for {stack}: {reason}'}")
    if is_on_github():
        _tell_github(usable)
    elif is_on_gitlab() and usable:
        _tell_gitlab(usable, PURPOSES[purpose])


def find_role(stack: Stack, purpose: str) -> Role | None:
    """Find the role for a stack, by its account, its region and its names.

    Args:
        stack: The stack.
        purpose: One of `PURPOSES`.

    Returns:
        The role, or ``None`` if the stack file names no account.

    Raises:
        SystemExit: If it names something else.
    """
    is_secret = ACCOUNTS_KEY in stack.config.secret_keys
    accounts = None if is_secret else read_accounts(stack.config.values.get(ACCOUNTS_KEY, ""))
    if accounts == ():
        return None
    if accounts is None or len(accounts) > 1:
        file = stack.config.places[ACCOUNTS_KEY].file
        sys.exit(
            f'{file}: {ACCOUNTS_KEY} is wrong; allowed: a list with the ID of one account, such as ["123456789012"]'
        )
    region = stack.config.values[REGION_KEY]
    partition = boto3.Session().get_partition_for_region(region)
    name = f"{stack.project}-{stack.setting(DECLARATION.suffix)}-ci-{purpose}"
    return Role(f"arn:{partition}:iam::{accounts[0]}:role/{name}", accounts[0], region)


def why_not(stack: Stack, role: Role | None) -> str:
    """Say why a job cannot assume a role; empty if it can.

    Args:
        stack: The stack.
        role: Its role, if it has one.
    """
    if role is None:
        return f"Pulumi.{stack.name}.yaml does not set {ACCOUNTS_KEY}"
    if is_on_github() and not os.environ.get(GITHUB_TOKEN_URL):
        return "this job gets no identity token, as it is always for a fork and for Dependabot"
    if is_on_gitlab() and not os.environ.get(GITLAB_TOKEN):
        return f"this job has no identity token in {GITLAB_TOKEN}"
    return ""


def _tell_github(role: Role | None) -> None:
    outputs = {"role": role.arn, "region": role.region, "account": role.account} if role else {"role": ""}
    path = Path(read_variable(TASK, "GITHUB_OUTPUT", "the file for the outputs of this step, which GitHub sets"))
    append(path, "".join(f"{name}={value}\n" for name, value in outputs.items()))


def _tell_gitlab(role: Role, seconds: int) -> None:
    """Write an AWS configuration file, and the identity token beside it. Only this user may read the token."""
    config = Path(read_variable(TASK, "AWS_CONFIG_FILE", "the path of a file that this task writes"))
    token = config.with_name("identity-token")
    config.parent.mkdir(parents=True, exist_ok=True)
    token.touch(mode=0o600)
    token.write_text(os.environ[GITLAB_TOKEN], encoding="utf-8")
    session = f"{role.arn.rpartition('/')[2]}-{os.environ.get('CI_JOB_ID', '')}".strip("-")
    values = {"region": role.region, "arn": role.arn, "session": session, "seconds": seconds, "token": token.resolve()}
    config.write_text(AWS_CONFIG.format_map(values), encoding="utf-8")
