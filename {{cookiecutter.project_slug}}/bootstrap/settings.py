"""The settings of the bootstrap program that every CI has, and how they are read."""

from typing import Annotated, TypeVar

import pulumi
from pydantic import Field

from tools.project import ACCOUNTS_KEY, read_accounts
from tools.settings import TRUTH_VALUE, SettingsError, StackSettings, bad_value, model_of, own_problems, own_settings


class BootstrapSettings(StackSettings):
    """The configuration of the bootstrap program for one account; `bootstrap.trust` adds what its CI needs."""

    branch: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9_][A-Za-z0-9._/-]*$",
            description="The branch that is deployed",
            json_schema_extra={"allowed": "the name of a branch, without wildcards"},
        ),
    ] = "main"
    create_oidc_provider: Annotated[
        bool, Field(description="Whether to create the OIDC provider; false if the account has it"), TRUTH_VALUE
    ] = True


Settings = TypeVar("Settings", bound=BootstrapSettings)


def load_settings(settings: type[Settings]) -> Settings:
    """Read the settings of the current stack.

    Args:
        settings: The model.

    Raises:
        SettingsError: If there are problems, with all of them.
    """
    project, config = pulumi.get_project(), pulumi.runtime.get_config_env()
    problems = list(own_problems(model_of(settings), project, config, pulumi.runtime.get_config_secret_keys_env()))
    accounts = config.get(ACCOUNTS_KEY, "")
    if len(read_accounts(accounts) or ()) != 1:
        # With the credentials of another account, Pulumi would delete this one's roles from the state.
        problems.append(bad_value(ACCOUNTS_KEY, accounts, "a list with the ID of the account"))
    if problems:
        raise SettingsError(problems)
    return settings.model_validate(own_settings(project, config))
