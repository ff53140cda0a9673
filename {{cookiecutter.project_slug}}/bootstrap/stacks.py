"""The stacks that are deployed to an account, as their files describe them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pulumi

from infrastructure.account import Account
from tools.project import (
    ACCOUNTS_KEY,
    DECLARATION,
    PROJECT_FOLDER,
    DocumentError,
    Project,
    StackConfig,
    read_accounts,
    read_project,
    shown,
)
from tools.settings import REGION_KEY, Problem, SettingsError, is_allowed

# What the policies depend on.
SUFFIX, BUCKET, KEY, BOUNDARY = "environmentSuffix", "bucketName", "kmsKeyArn", "permissionsBoundaryArn"
# The last part of a name that no role of the program itself may have: see `bootstrap.policies.KEEP_OUT`.
CI: Final = "ci"
# In the ARN of a policy that AWS manages, this is in the place of the account.
AWS_MANAGED: Final = "aws"


@dataclass(frozen=True)
class Stack:
    """A stack that is deployed to the account.

    Attributes:
        name: Its name, which is also the name of its environment in CI.
        project: The Pulumi project.
        account: The account, with the stack's region.
        suffix: Its environment suffix.
        bucket_name: The payload bucket's name, if it is not derived.
        kms_key_arn: The configured key, if it does not create its own.
        boundary_arn: The permissions boundary of the function's role.
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
        """What the names of the stack's resources begin with, without the hyphen."""
        return f"{self.project}-{self.suffix}"

    def ci_name(self, role: str) -> str:
        """Name something that belongs to CI, for example ``orders-dev-ci-deploy``."""
        return f"{self.prefix}-{CI}-{role}"

    @property
    def own_boundary_arn(self) -> str:
        """ARN of the permissions boundary that this program creates."""
        return f"arn:{self.account.partition}:iam::{self.account.id}:policy/{self.ci_name('boundary')}"

    @property
    def has_own_boundary(self) -> bool:
        """Whether the stack uses that boundary, and not one of the organisation's."""
        return self.boundary_arn == self.own_boundary_arn


def require_account(account: Account, config: Mapping[str, str]) -> None:
    """Refuse credentials of an account that is not the bootstrap stack's: its roles would be deleted from the state.

    Args:
        account: The account of the credentials.
        config: The configuration of the bootstrap stack.

    Raises:
        SettingsError: If the configuration does not name that account, and no other.
    """
    text = config.get(ACCOUNTS_KEY, "")
    if read_accounts(text) != (account.id,):
        allowed = f'["{account.id}"], the account of the credentials in this shell'
        raise SettingsError([_problem(ACCOUNTS_KEY, shown(text), allowed)])


def find_stacks(account: Account, folder: Path | None = None) -> list[Stack]:
    """Find the stacks whose files name an account.

    Args:
        account: The account.
        folder: The project's folder; by default that of this project.

    Raises:
        SettingsError: If a stack cannot be deployed from CI, or none names the account, with every reason.
        pulumi.RunError: If a file cannot be read.
    """
    try:
        project = read_project(folder or PROJECT_FOLDER)
        configs = {name: project.configure(project.read_stack(name)) for name in project.stacks}
    except DocumentError as error:
        raise pulumi.RunError(str(error)) from error
    named = {name: config.values.get(ACCOUNTS_KEY, "") for name, config in configs.items() if name != DECLARATION.local}
    for name, text in named.items():
        if read_accounts(text) == ():
            pulumi.log.warn(f"CI cannot deploy {name}: Pulumi.{name}.yaml does not set {ACCOUNTS_KEY}")
    here = [name for name, text in named.items() if account.id in text]
    problems = [problem for name in here for problem in _problems(project, name, configs[name])]
    stacks = [] if problems else [_stack(project, name, configs[name], account) for name in here]
    problems += [problem for stack in stacks for problem in _boundary_problems(stack)]
    if not here:
        allowed = f'["{account.id}"] in the file of each stack that is deployed to it'
        problems = [_problem(ACCOUNTS_KEY, "no stack with this account", allowed)]
    if problems:
        raise SettingsError(problems)
    return stacks


def _own(project: Project, config: StackConfig, key: str) -> str:
    return config.values.get(f"{project.name}:{key}", "")


def _stack(project: Project, name: str, config: StackConfig, account: Account) -> Stack:
    return Stack(
        name=name,
        project=project.name,
        account=replace(account, region=config.values[REGION_KEY]),
        suffix=_own(project, config, SUFFIX),
        bucket_name=_own(project, config, BUCKET),
        kms_key_arn=_own(project, config, KEY),
        boundary_arn=_own(project, config, BOUNDARY),
    )


def _problem(key: str, found: str, allowed: str) -> Problem:
    return Problem("bad-value", key, f"found {found}; allowed: {allowed}", found, allowed)


def _problems(project: Project, name: str, config: StackConfig) -> Iterator[Problem]:
    """Find what keeps a stack from being deployed from CI."""
    file = f"Pulumi.{name}.yaml"
    text = config.values[ACCOUNTS_KEY]
    if len(read_accounts(text) or ()) != 1:
        yield _problem(f"{file}: {ACCOUNTS_KEY}", shown(text), "a list with one account")
    if not config.values.get(REGION_KEY):
        yield _problem(f"{file}: {REGION_KEY}", "nothing", "the stack's region")
    for key in (SUFFIX, BUCKET, KEY, BOUNDARY):
        value = _own(project, config, key)
        if not is_allowed(key, value):
            yield _problem(f"{file}: {project.name}:{key}", shown(value), "what the task `validate` says")
    suffix = _own(project, config, SUFFIX)
    if re.search(rf"-{CI}(-|$)", suffix):
        # The deploy role may not change what is named so.
        yield _problem(f"{file}: {project.name}:{SUFFIX}", shown(suffix), f"a suffix without -{CI}")


def _boundary_problems(stack: Stack) -> Iterator[Problem]:
    """Ask for a boundary: without one, the deploy role may not create the function's role.

    Neither another stack's boundary nor one of another account is of use.
    """
    arn = stack.boundary_arn
    is_of_another_stack = arn.endswith(f"-{CI}-boundary") and not stack.has_own_boundary
    if not arn or is_of_another_stack or arn.split(":")[4] not in (stack.account.id, AWS_MANAGED):
        key = f"Pulumi.{stack.name}.yaml: {stack.project}:{BOUNDARY}"
        yield _problem(key, shown(arn), f"{stack.own_boundary_arn}, or a boundary of your organisation")
