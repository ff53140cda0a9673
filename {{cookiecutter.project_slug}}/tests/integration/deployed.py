"""The deployed stack: which one it is, what the program says of it, and clients to ask what is really there.

The outputs file says which stack it is, ``AWS_ENDPOINT_URL`` whether AWS or the emulator is asked. Nothing else does.
"""

import functools
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from infrastructure.account import Account
from infrastructure.bundle import bundle_path
from infrastructure.documents import DocumentError
from infrastructure.naming import Names
from infrastructure.settings import REGION_KEY, Settings, SettingsError, read_settings
from infrastructure.stack_files import PROJECT_FOLDER, StackConfig, read_project, read_stack_config
from tests.unit.recording import STACKS, readable_config
from tools.outputs import OUTPUT_NAMES, OUTPUTS_FILE

# A person waits for the answer: what does not come soon will not come.
CLIENT_CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 5})


class NotDeployedError(Exception):
    """There is no stack to ask about; the message says why, and what to do."""


@dataclass(frozen=True, eq=False)
class Deployed:
    """One deployed stack.

    Attributes:
        stack: Its name.
        config: Its whole configuration, as its file and ``Pulumi.yaml`` give it.
        settings: The same, read; a secret, which only the engine can decrypt, has some good value in it.
        names: Physical names.
        outputs: What it exports.
        clients: Clients of AWS's services, each made when it is first asked for.
    """

    stack: str
    config: StackConfig
    settings: Settings
    names: Names
    outputs: dict[str, str]
    clients: dict[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def account(self) -> Account:
        """The account and the region that the stack is deployed to, as its outputs and its configuration say."""
        return Account.of(self.outputs["function_arn"], self.config.values[REGION_KEY])

    @functools.cached_property
    def session(self) -> boto3.Session:
        """Form a session with the region of the stack's configuration, and with its profile or keys if it has some."""
        values = {key: value for key, value in self.config.values.items() if key not in self.config.secret_keys}
        return boto3.Session(
            aws_access_key_id=values.get("aws:accessKey"),
            aws_secret_access_key=values.get("aws:secretKey"),
            aws_session_token=values.get("aws:token"),
            profile_name=values.get("aws:profile"),
            region_name=self.account.region,
        )

    def client(self, service: str) -> Any:
        """Find the client of a service, for example ``s3``."""
        if service not in self.clients:
            session: Any = self.session
            self.clients[service] = session.client(service, config=CLIENT_CONFIG)
        return self.clients[service]

    @property
    def bundle(self) -> Path:
        """The bundle that the function should be, whether or not it has been built here."""
        settings = self.settings
        return bundle_path(settings.environment, settings.lambda_runtime, settings.lambda_architecture)


def find_deployed(folder: Path = PROJECT_FOLDER) -> Deployed:
    """Find the stack that the outputs file describes.

    Args:
        folder: Where the outputs file's folder is.

    Raises:
        NotDeployedError: If there is none, or the environment leads elsewhere.
    """
    outputs = _read_outputs(folder / OUTPUTS_FILE)
    region = (outputs["function_arn"].split(":") + [""] * 4)[3]
    project = read_project().name
    found: list[tuple[str, StackConfig]] = []
    for stack in STACKS:
        try:
            config = read_stack_config(stack)
        except DocumentError:
            # Of a stack whose file cannot be read nothing can be compared; the unit tests say why.
            continue
        suffix = config.values.get(f"{project}:environmentSuffix", "")
        names = Names(project, Settings.model_construct(environment_suffix=suffix))
        if (names.function, config.values.get(REGION_KEY)) == (outputs["function_name"], region):
            found.append((stack, config))
    if len(found) != 1:
        stacks = " and ".join(stack for stack, _ in found) or "no stack"
        raise NotDeployedError(
            f"{OUTPUTS_FILE.as_posix()} is of the function {outputs['function_name']} in {region}, which is what "
            f"the files of {stacks} name; the task `outputs` writes it anew"
        )
    stack, config = found[0]
    try:
        settings = read_settings(project, readable_config(stack), variables=os.environ)
    except SettingsError as error:
        raise NotDeployedError(
            f"{OUTPUTS_FILE.as_posix()} is of the stack {stack}, but {'; '.join(map(str, error.problems))}"
        ) from error
    return Deployed(stack, config, settings, Names(project, settings), outputs)


def _read_outputs(path: Path) -> dict[str, str]:
    try:
        outputs = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotDeployedError(
            f"{OUTPUTS_FILE.as_posix()} is missing: deploy first, with the task `local-up` or `pulumi-deploy`"
        ) from error
    except (OSError, ValueError) as error:
        raise NotDeployedError(f"{OUTPUTS_FILE.as_posix()} cannot be read: {type(error).__name__}") from error
    missing = [name for name in OUTPUT_NAMES if not isinstance(outputs, dict) or not outputs.get(name)]
    if missing:
        raise NotDeployedError(
            f"{OUTPUTS_FILE.as_posix()} lacks {', '.join(missing)}; the task `outputs` writes it anew"
        )
    return outputs
