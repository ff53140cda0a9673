"""The stacks that are deployed to an account, read from their stack files."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import pulumi

from infrastructure.account import Account
from tools.project import ACCOUNTS_KEY, DECLARATION, DocumentError, Project, StackConfig, load_declared, read_accounts
from tools.settings import REGION_KEY, Problem, SettingsError, bad_value, find_problems

# Settings that the IAM policies use, in the order of the last fields of `Stack`.
SETTINGS: Final = ("environmentSuffix", "bucketName", "kmsKeyArn", "permissionsBoundaryArn")
# With the suffix `x-ci`, `DenyCiRoles` in `bootstrap.policies` would deny access to the function's role. With `pulumi`,
# the deploy role could change the state bucket and the alias of the state's key.
RESERVED: Final = re.compile(r"-ci(-|$)|^pulumi$")


@dataclass(frozen=True)
class Stack:
    """A stack that is deployed to the account.

    Attributes:
        name: Name of the stack and of its environment in CI.
        project: The Pulumi project.
        account: The account, with the stack's region.
        suffix: Environment suffix.
        bucket_name: Configured name of the payload bucket, or empty.
        kms_key_arn: ARN of the configured key; empty if the stack creates a key.
        boundary_arn: ARN of the permissions boundary of the function's role.
    """

    name: str
    project: str
    account: Account
    suffix: str
    bucket_name: str
    kms_key_arn: str
    boundary_arn: str

    @property
    def prefix(self) -> str:
        """Prefix of the names of the stack's resources, without the trailing hyphen."""
        return f"{self.project}-{self.suffix}"

    def ci_name(self, role: str) -> str:
        """Return the name of a CI role or policy, for example ``orders-dev-ci-deploy``."""
        return f"{self.prefix}-ci-{role}"

    @property
    def own_boundary_arn(self) -> str:
        """ARN of the permissions boundary that this program creates, unless the stack uses the organization's."""
        return f"arn:{self.account.partition}:iam::{self.account.id}:policy/{self.ci_name('boundary')}"


def deployed_configs(project: Project) -> list[StackConfig]:
    """Read the stack files of all stacks except the local stack.

    Raises:
        pulumi.RunError: If a stack file cannot be read.
    """
    try:
        return [project.read_stack(name) for name in project.stacks if name != DECLARATION.local]
    except DocumentError as error:
        raise pulumi.RunError(str(error)) from error


def find_stacks(project: Project, account: Account) -> list[Stack]:
    """Return the stacks that list the account in ``aws:allowedAccountIds``.

    Raises:
        SettingsError: If CI cannot deploy such a stack, or no stack lists the account. The error lists every problem.
    """
    stacks: list[Stack] = []
    problems: list[Problem] = []
    for config in deployed_configs(project):
        accounts = config.values.get(ACCOUNTS_KEY, "")
        if account.id in accounts:
            settings = (config.values.get(f"{project.name}:{key}", "") for key in SETTINGS)
            region = config.values.get(REGION_KEY, "")
            stack = Stack(config.stack, project.name, replace(account, region=region), *settings)
            stacks.append(stack)
            problems += (replace(each, key=f"{config.file}: {each.key}") for each in _problems(config, stack))
        elif not read_accounts(accounts):
            pulumi.log.warn(f"CI cannot deploy {config.stack}: {config.file} does not set {ACCOUNTS_KEY}")
    if not stacks:
        allowed = f'["{account.id}"] in the file of each stack in the account'
        problems.append(Problem("bad-value", ACCOUNTS_KEY, f"no stack file lists this account; set {allowed}", allowed))
    if problems:
        raise SettingsError(problems)
    return stacks


def _problems(config: StackConfig, stack: Stack) -> Iterator[Problem]:
    """Find problems that prevent CI from deploying the stack."""
    accounts, boundary = config.values[ACCOUNTS_KEY], stack.boundary_arn
    if len(read_accounts(accounts) or ()) != 1:
        yield bad_value(ACCOUNTS_KEY, accounts, "a list with exactly one account ID")
    keys = {REGION_KEY, *(f"{stack.project}:{key}" for key in SETTINGS)}
    found = find_problems(load_declared(DECLARATION.settings), stack.project, config.values, config.secret_keys)
    yield from (problem for problem in found if problem.key in keys)
    if RESERVED.search(stack.suffix):
        yield bad_value(f"{stack.project}:environmentSuffix", stack.suffix, "any suffix except pulumi, *-ci and *-ci-*")
    # The deploy role can create the function's role only with a boundary. AWS managed policies have the account `aws`.
    is_organizations = re.search(rf"::({stack.account.id}|aws):", boundary) and not boundary.endswith("-ci-boundary")
    if boundary != stack.own_boundary_arn and not is_organizations:
        allowed = f"{stack.own_boundary_arn}, or a boundary of your organization"
        yield bad_value(f"{stack.project}:permissionsBoundaryArn", boundary, allowed)
