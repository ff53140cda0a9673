"""Bootstrap settings that all CI systems share, and a function that loads and checks all settings."""

from typing import Annotated, TypeVar

import pulumi
from pydantic import Field

from tools.project import ACCOUNTS_KEY, read_accounts
from tools.settings import TRUTH_VALUE, SettingsError, StackSettings, bad_value, model_of, own_problems, own_settings


class BootstrapSettings(StackSettings):
    """The bootstrap program's configuration for one account; `bootstrap.trust` adds the settings of the CI system."""

    branch: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9_][A-Za-z0-9._/-]*$",
            description="The branch that CI deploys",
            json_schema_extra={"allowed": "the name of a branch, without wildcards"},
        ),
    ] = "main"
    create_oidc_provider: Annotated[
        bool, Field(description="Whether to create the OIDC provider; false if the account already has it"), TRUTH_VALUE
    ] = True


Settings = TypeVar("Settings", bound=BootstrapSettings)


def load_settings(settings: type[Settings]) -> Settings:
    """Load and check the settings of the bootstrap program's current stack.

    Args:
        settings: The pydantic model to load.

    Raises:
        SettingsError: If settings are missing or invalid. The error lists every problem.
    """
    project, config = pulumi.get_project(), pulumi.runtime.get_config_env()
    problems = list(own_problems(model_of(settings), project, config, pulumi.runtime.get_config_secret_keys_env()))
    accounts = config.get(ACCOUNTS_KEY, "")
    if len(read_accounts(accounts) or ()) != 1:
        # Otherwise, with another account's credentials, Pulumi would remove this account's roles from the state.
        problems.append(bad_value(ACCOUNTS_KEY, accounts, "a list with exactly one account ID"))
    if problems:
        raise SettingsError(problems)
    return settings.model_validate(own_settings(project, config))
