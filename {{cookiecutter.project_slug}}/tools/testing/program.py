"""What the program says of one stack, wherever it is deployed: resources and outputs, under AWS's own names."""

import contextlib
import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pulumi.runtime import mocks

from infrastructure.project import PROJECT
from tools.account import Account
from tools.bundle import BUILD_FOLDER, bundle_path
from tools.configuration.checks import MODEL, SettingsError, is_allowed
from tools.configuration.model import EXAMPLE_REGION, REGION_KEY, as_text
from tools.configuration.stack_files import StackConfig
from tools.testing.recording import PROJECT_NAME, Aws, Deployment, deploy, readable

Computed = Mapping[str, str]

# What a resource's identity is to other resources, where the program uses it: one of its inputs.
IDENTITIES = {"aws:iam/role:Role": "name", "aws:s3/bucket:Bucket": "bucket"}


class DeployedAws(Aws):
    """Answers as the AWS that the stack is deployed to.

    Attributes:
        asked: What AWS has chosen freely, so that no name tells it, by type and logical name.
    """

    def __init__(self, account: Account, asked: Mapping[tuple[str, str], Computed]) -> None:
        super().__init__(account)
        self.asked = asked

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Find a resource: its inputs come back, with what AWS has computed."""
        identity, outputs = super().new_resource(args)
        if args.typ in IDENTITIES:
            identity = args.inputs[IDENTITIES[args.typ]]
        return identity, outputs | self.asked.get((args.typ, args.name), {})


@dataclass(frozen=True, eq=False)
class Program:
    """The program of one stack, in one account.

    Attributes:
        stack: Name of the stack.
        config: Its configuration.
        account: Where it is deployed.
    """

    stack: str
    config: StackConfig
    account: Account

    @property
    def bundle(self) -> Path:
        """The bundle that the function should be, whether or not it has been built here."""
        keys = (PROJECT.environment, PROJECT.function.runtime, PROJECT.function.architecture)
        return bundle_path(*(self.config.values.get(f"{PROJECT_NAME}:{key}", "") for key in keys))

    def run(
        self, asked: Mapping[tuple[str, str], Computed] | None = None, config: Mapping[str, str] | None = None
    ) -> Deployment:
        """Run the program, and record what it registers and exports.

        Args:
            asked: What AWS has chosen freely, by type and logical name.
            config: Its configuration in place of the stack's own.

        Raises:
            SettingsError: If the program refuses the configuration.
        """
        provider = DeployedAws(self.account, asked or {})
        config = config or readable(self.config)
        return deploy(config, self.stack, BUILD_FOLDER if self.bundle.exists() else None, provider)

    @functools.cached_property
    def recorded(self) -> Deployment:
        """What the program says without asking AWS: what AWS chooses freely has other identities."""
        return self.run()

    @functools.cached_property
    def secret_parts(self) -> dict[str, str]:
        """What depends on a secret setting, so that only the engine knows what it is.

        For each such resource (its type and logical name) and output, the setting. Where no other value of a setting
        can be tried, that is everything.
        """
        parts: dict[str, str] = {}
        config = readable(self.config)
        for full_key in self.config.secret_keys:
            namespace, _, key = full_key.rpartition(":")
            if namespace == PROJECT_NAME and key in MODEL.keys:
                before, after = _parts(self.recorded), self._parts_with(config, full_key, others(key))
                parts |= {part: key for part in before.keys() | after.keys() if before.get(part) != after.get(part)}
        return parts

    def _parts_with(self, config: Mapping[str, str], full_key: str, values: Iterable[str]) -> dict[str, str]:
        """Run the program with the first value of a setting that does not contradict the others, if there is one."""
        for value in values:
            with contextlib.suppress(SettingsError):
                here = value.replace(EXAMPLE_REGION, self.account.region)
                return _parts(self.run(config={**config, full_key: here}))
        return {}


def others(key: str) -> Iterator[str]:
    """List values that a setting may have besides `SettingsModel.example`, as far as its model tells."""
    schema = MODEL.schema[key]
    numbers = [str(schema[bound]) for bound in ("minimum", "maximum") if bound in schema]
    texts = [as_text(value) for name in ("enum", "examples") for value in schema.get(name, ())]
    for value in (*texts, *numbers, "true", "false"):
        if is_allowed(key, value) and value != MODEL.example(key):
            yield value


def expected_outputs(stack: str, config: StackConfig, outputs: Iterable[str]) -> dict[str, str]:
    """Say what a stack's outputs must be, as far as it can be told from its file.

    Args:
        stack: Name of the stack.
        config: Its configuration.
        outputs: The values that its outputs have, one of which must name the account.

    Returns:
        The outputs that no secret is a part of; none if the program refuses the configuration.
    """
    account = Account.named_in(outputs, config.values.get(REGION_KEY, ""))
    if account is None:
        return {}
    program = Program(stack, config, account)
    try:
        return {name: str(text) for name, text in program.recorded.exports.items() if name not in program.secret_parts}
    except SettingsError:
        return {}


def comparable(text: str) -> str:
    """Write an output without the domain of its URL: that depends on the partition, or is an emulator's."""
    return urlsplit(text).path if text.startswith(("http://", "https://")) else text


def _parts(run: Deployment) -> dict[str, str]:
    parts = {f"{each.type} {each.name}": each.inputs for each in run.resources} | run.exports
    # A bundle is told by its name: one that is not built here is in another folder at each run.
    return {name: json.dumps(part, default=lambda code: Path(code.path).name) for name, part in parts.items()}
