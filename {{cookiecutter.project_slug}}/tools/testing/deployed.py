"""The deployed stack: its program, its outputs, and boto3 clients.

The outputs file determines the stack, and ``AWS_ENDPOINT_URL`` whether AWS or the emulator is asked.
"""

import functools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tools.account import Account
from tools.configuration.checks import Settings, SettingsError, find_problems, read_settings
from tools.configuration.documents import DocumentError
from tools.configuration.model import REGION_KEY
from tools.configuration.stack_files import PROJECT_FOLDER, read_stack_config
from tools.outputs import OUTPUTS_FILE, exported_names
from tools.testing.program import Program
from tools.testing.recording import PROJECT_NAME, STACKS, readable

# Short timeouts: a person is waiting.
CLIENT_CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 5})


class NotDeployedError(Exception):
    """No deployed stack was found; the message says why and what to do."""


@dataclass(frozen=True, eq=False)
class Deployed:
    """A deployed stack.

    Attributes:
        program: Its program.
        outputs: Its outputs.
        clients: boto3 clients by service, created on first use.
    """

    program: Program
    outputs: dict[str, str]
    clients: dict[str, Any] = field(default_factory=dict)

    @property
    def stack(self) -> str:
        """Name of the stack."""
        return self.program.stack

    @property
    def account(self) -> Account:
        """The account and the region that it is deployed to."""
        return self.program.account

    def read_settings(self, settings: type[Settings]) -> Settings:
        """Read the stack's settings. Secrets, which only the engine can decrypt, have example values.

        Args:
            settings: The project's model.
        """
        return read_settings(settings, PROJECT_NAME, readable(self.program.config))

    @property
    def is_local(self) -> bool:
        """Whether it is deployed to an emulator on this machine."""
        return self.program.recorded.is_local

    @functools.cached_property
    def session(self) -> boto3.Session:
        """A session with the region of the stack's configuration, and its profile or keys, if any."""
        config = self.program.config
        values = {key: value for key, value in config.values.items() if key not in config.secret_keys}
        return boto3.Session(
            aws_access_key_id=values.get("aws:accessKey"),
            aws_secret_access_key=values.get("aws:secretKey"),
            aws_session_token=values.get("aws:token"),
            profile_name=values.get("aws:profile"),
            region_name=self.account.region,
        )

    def client(self, service: str) -> Any:
        """Return the client of a service, for example ``s3``."""
        if service not in self.clients:
            session: Any = self.session
            self.clients[service] = session.client(service, config=CLIENT_CONFIG)
        return self.clients[service]


def find_deployed(folder: Path = PROJECT_FOLDER) -> Deployed:
    """Find the stack of the outputs file: the one whose program exports the same ARNs.

    Args:
        folder: The folder that contains the outputs file's folder.

    Raises:
        NotDeployedError: If there is none, or if the environment variables point elsewhere.
    """
    file, outputs = OUTPUTS_FILE.as_posix(), read_outputs(folder)
    candidates: list[tuple[int, Program]] = []
    refusals: list[str] = []
    for stack in STACKS:
        try:
            program = _program(stack, outputs)
            alike = sum(outputs.get(name) == text for name, text in program.recorded.exports.items() if _is_arn(text))
            candidates.append((alike, program))
        except (DocumentError, SettingsError) as error:
            refusals.append(f"{stack}: {error}")
    best = max((alike for alike, _ in candidates), default=0)
    found = [program for alike, program in candidates if alike == best and best]
    if len(found) != 1:
        which = " and ".join(program.stack for program in found) or "no stack"
        problems = "".join(f"\n{refusal}" for refusal in refusals)
        raise NotDeployedError(f"{file} matches {which}; rewrite it with the task `outputs`{problems}")
    deployed = Deployed(found[0], outputs)
    problems = find_problems(PROJECT_NAME, readable(deployed.program.config), variables=os.environ)
    if problems:
        raise NotDeployedError(f"{file} belongs to the stack {deployed.stack}, but {'; '.join(map(str, problems))}")
    return deployed


def _program(stack: str, outputs: Mapping[str, str]) -> Program:
    config = read_stack_config(stack)
    account = Account.named_in(outputs.values(), config.values.get(REGION_KEY, ""))
    if account is None:
        raise NotDeployedError(
            f"{OUTPUTS_FILE.as_posix()} names no account: no output is an ARN; rewrite it with the task `outputs`"
        )
    return Program(stack, config, account)


def _is_arn(text: object) -> bool:
    return isinstance(text, str) and text.startswith("arn:")


def read_outputs(folder: Path = PROJECT_FOLDER) -> dict[str, str]:
    """Read the outputs file.

    Args:
        folder: The folder that contains its folder.

    Raises:
        NotDeployedError: If it does not exist or is incomplete.
    """
    file = OUTPUTS_FILE.as_posix()
    try:
        outputs = json.loads((folder / OUTPUTS_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotDeployedError(
            f"{file} does not exist: deploy first with the task `local-up` or `pulumi-deploy`"
        ) from error
    except OSError as error:
        raise NotDeployedError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise NotDeployedError(f"{file} is not JSON; rewrite it with the task `outputs`") from error
    missing = [name for name in exported_names() if not isinstance(outputs, dict) or not outputs.get(name)]
    if missing:
        raise NotDeployedError(f"{file} lacks {', '.join(missing)}; rewrite it with the task `outputs`")
    return outputs
