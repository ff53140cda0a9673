"""The deployed stack that the outputs file belongs to: its settings, outputs and AWS clients."""

import json
import os
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.config import Config

from infrastructure.settings import Settings
from tools.project import PROJECT_FOLDER, DocumentError, Project, StackConfig, read_project
from tools.pulumi_cli import OUTPUTS_FILE, exports
from tools.settings import MASKED, REGION_KEY, find_problems, model_of, own_settings

FUNCTION = "processor"
OUTPUTS = OUTPUTS_FILE.as_posix()
# Short timeouts: a person is waiting.
CLIENT_CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 5})


@dataclass(frozen=True)
class Stack:
    """A deployed stack.

    Attributes:
        name: Name of the stack.
        settings: Settings of the stack. Secrets, which only the Pulumi CLI can decrypt, are `MASKED`.
        outputs: Outputs of the stack.
        session: Session in the stack's region.
        clients: AWS clients by service, created on first use.
    """

    name: str
    settings: Settings
    outputs: dict[str, str]
    session: boto3.Session
    clients: dict[str, Any] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """Prefix of the resource names: project and environment suffix."""
        return self.outputs["function_name"].removesuffix(f"-{FUNCTION}")

    @property
    def account(self) -> str:
        """ID of the AWS account."""
        return self.outputs["function_arn"].split(":")[4]

    @property
    def is_local(self) -> bool:
        """Whether the stack is deployed to the local emulator."""
        return self.settings.environment == "local"

    @property
    def names(self) -> dict[str, str]:
        """Values of ``$NAME`` placeholders: the stack's outputs, prefix, account and role name."""
        role_name = self.outputs["lambda_role_arn"].rpartition("/")[2]
        return self.outputs | {"prefix": self.prefix, "account": self.account, "role_name": role_name}

    def client(self, service: str) -> Any:
        """Return a service's client, for AWS or the emulator at ``AWS_ENDPOINT_URL``."""
        if service not in self.clients:
            session: Any = self.session
            self.clients[service] = session.client(service, config=CLIENT_CONFIG)
        return self.clients[service]


def find_stack() -> Stack:
    """Find the stack of the outputs file by the function's name and region.

    Raises:
        pytest.UsageError: If a file, a setting or the AWS endpoint is invalid, or not exactly one stack matches.
    """
    outputs = _read_outputs()
    try:
        project = read_project()
        configs = [project.read_stack(name) for name in project.stacks]
    except DocumentError as error:
        raise pytest.UsageError(str(error)) from error
    function, region = outputs["function_name"], outputs["function_arn"].split(":")[3]
    found = [
        each for each in configs if (_function_name(project, each), each.values.get(REGION_KEY)) == (function, region)
    ]
    if len(found) != 1:
        which = " and ".join(each.stack for each in found) or "no stack"
        raise pytest.UsageError(f"{OUTPUTS} names {function} in {region}, which belongs to {which}")
    (config,) = found
    problems = find_problems(Settings, project.name, config.values, config.secret_keys, os.environ)
    # Only the Pulumi CLI can decrypt and check a secret.
    readable = "; ".join(str(each) for each in problems if each.key not in config.secret_keys)
    if readable:
        raise pytest.UsageError(f"{OUTPUTS} belongs to stack {config.stack}, but {readable}")
    session = boto3.Session(region_name=region, profile_name=config.values.get("aws:profile"))
    return Stack(config.stack, _settings(project, config), outputs, session)


def _read_outputs() -> dict[str, str]:
    try:
        outputs = dict(json.loads((PROJECT_FOLDER / OUTPUTS_FILE).read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        message = f"{OUTPUTS} does not exist; deploy first, with the task `local-up` or `pulumi-deploy`"
        raise pytest.UsageError(message) from error
    except (TypeError, ValueError) as error:
        raise pytest.UsageError(
            f"{OUTPUTS} is not a JSON object of outputs; rewrite it with the task `outputs`"
        ) from error
    missing = ", ".join(name for name, _ in exports() if not outputs.get(name))
    if missing:
        raise pytest.UsageError(f"{OUTPUTS} lacks {missing}; rewrite it with the task `outputs`")
    return outputs


def _function_name(project: Project, config: StackConfig) -> str:
    return f"{project.name}-{config.values.get(f'{project.name}:environmentSuffix')}-{FUNCTION}"


def _settings(project: Project, config: StackConfig) -> Settings:
    model = model_of(Settings)
    values: dict[str, Any] = {
        key: MASKED if f"{project.name}:{key}" in config.secret_keys else model.parse(key, text)
        for key, text in own_settings(project.name, config.values).items()
    }
    return Settings.model_construct(**values)
