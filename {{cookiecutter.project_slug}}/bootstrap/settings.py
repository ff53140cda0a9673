"""The settings of the bootstrap program: who is let in, and where Pulumi's state is."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Self

import pulumi
from pydantic import BeforeValidator, Field, ValidationError

from tools.settings import (
    TRUTH_VALUE,
    Contradiction,
    SettingsError,
    SettingsModel,
    StackSettings,
    contradiction_problems,
    model_problems,
    own_settings,
)

GITHUB_REPOSITORY: Final = r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+"


def json_list(text: object) -> object:
    """Parse a list, which the engine hands over as JSON; what is no list is left as it is."""
    try:
        parsed = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return text
    return tuple(map(str, parsed)) if isinstance(parsed, list) else text


class BootstrapSettings(StackSettings):
    """The configuration of the bootstrap program for one account, valid and complete."""

    ci: Annotated[Literal["github", "gitlab"], Field(description="Where the project's pipelines run")]
    repository: Annotated[
        str,
        Field(
            # Neither a wildcard nor a colon, which separates the parts of a token's subject.
            pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_.][A-Za-z0-9._-]*)+$",
            description="The repository, or the project on GitLab",
            json_schema_extra={"allowed": "OWNER/NAME on GitHub, GROUP/PROJECT on GitLab"},
        ),
    ]
    repository_id: Annotated[
        str,
        Field(
            pattern=r"^([1-9][0-9]*)?$",
            description="Number of the repository on GitHub, which no other repository ever gets",
            json_schema_extra={"allowed": "empty (GitLab), or what `gh api repos/OWNER/NAME --jq .id` prints"},
        ),
    ] = ""
    repository_owner_id: Annotated[
        str,
        Field(
            pattern=r"^([1-9][0-9]*)?$",
            description="Number of the repository's owner on GitHub",
            json_schema_extra={"allowed": "empty (GitLab), or what `gh api repos/OWNER/NAME --jq .owner.id` prints"},
        ),
    ] = ""
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
    state_bucket: Annotated[
        str,
        Field(
            pattern=r"^([a-z0-9][a-z0-9-]{1,61}[a-z0-9])?$",
            description="The bucket for Pulumi's state",
            json_schema_extra={
                "allowed": "empty (Pulumi Cloud), or 3 to 63 lower-case letters, digits and hyphens, no hyphen at "
                "either end"
            },
        ),
    ] = ""
    state_key_arn: Annotated[
        str,
        Field(
            pattern=r"^$|^arn:aws(-[a-z]+)*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$",
            description="Key of the state bucket of another account",
            json_schema_extra={"allowed": "empty (this account has the bucket), or the ARN of a KMS key"},
        ),
    ] = ""
    state_account_ids: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[0-9]{12}$")], ...],
        Field(
            description="Other accounts that keep their state in this account's bucket",
            json_schema_extra={"allowed": 'a list of account IDs, for example ["123456789012"]'},
        ),
        BeforeValidator(json_list),
    ] = ()

    @property
    def has_own_bucket(self) -> bool:
        """Whether the state is in a bucket of this account."""
        return bool(self.state_bucket and not self.state_key_arn)

    @classmethod
    def contradictions(cls, good: Mapping[str, Any]) -> Iterator[Contradiction]:
        """Find settings of an account that are valid alone but not in combination."""
        on_github = good.get("ci") == "github"
        for key in ("repositoryId", "repositoryOwnerId"):
            if on_github and good.get(key) == "":
                allowed = _MODEL.allowed(key).partition(", or ")[2]
                yield Contradiction("missing-id", key, "", f"{allowed}, because ci is github")
        repository = good.get("repository", "")
        if on_github and repository and not re.fullmatch(GITHUB_REPOSITORY, repository):
            yield Contradiction("bad-repository", "repository", repository, "OWNER/NAME, because ci is github")
        if good.get("stateKeyArn") and good.get("stateBucket") == "":
            yield Contradiction("no-bucket", "stateBucket", "", "a bucket's name, because stateKeyArn is set")
        if good.get("stateAccountIds") and (good.get("stateKeyArn") or good.get("stateBucket") == ""):
            found = json.dumps(good["stateAccountIds"])
            allowed = "none, because this account does not have the bucket"
            yield Contradiction("no-bucket-to-share", "stateAccountIds", found, allowed)

    @classmethod
    def load(cls) -> Self:
        """Read the settings of the current stack.

        Raises:
            SettingsError: If there are problems, with all of them.
        """
        return cls.read(
            pulumi.get_project(), pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env()
        )

    @classmethod
    def read(cls, project: str, config: Mapping[str, str], secret_keys: Iterable[str] = ()) -> Self:
        """Read the settings of a configuration.

        Args:
            project: The bootstrap project, which is the namespace of its keys.
            config: The configuration: keys with their namespaces, values as the engine's text.
            secret_keys: Keys whose values must not be printed.

        Raises:
            SettingsError: If there are problems, with all of them.
        """
        namespace = f"{project}:"
        own = own_settings(namespace, config)
        try:
            settings = cls.model_validate(own)
        except ValidationError as error:
            raise SettingsError(model_problems(_MODEL, namespace, own, {*secret_keys}, error)) from None
        found = list(contradiction_problems(cls, namespace, settings.model_dump(by_alias=True)))
        if found:
            raise SettingsError(found)
        return settings


_MODEL: Final = SettingsModel(BootstrapSettings)
