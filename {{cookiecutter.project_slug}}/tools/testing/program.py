"""The program of one stack: its resources and outputs, with the names that they have in AWS."""

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

# The input that is the ID of a resource, for resources whose ID the program uses.
IDENTITIES = {"aws:iam/role:Role": "name", "aws:s3/bucket:Bucket": "bucket"}


class DeployedAws(Aws):
    """Mocks of the AWS that the stack is deployed to.

    Attributes:
        asked: Values that AWS has generated, by type and logical name.
    """

    def __init__(self, account: Account, asked: Mapping[tuple[str, str], Computed]) -> None:
        super().__init__(account)
        self.asked = asked

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Return a resource's inputs with the values that AWS has computed."""
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
        account: The account that it is deployed to.
    """

    stack: str
    config: StackConfig
    account: Account

    @property
    def bundle(self) -> Path:
        """Path of the function's bundle, whether or not it has been built here."""
        return bundle_path(*(self.config.values.get(f"{PROJECT_NAME}:{key}", "") for key in PROJECT.bundle_keys))

    def run(
        self, asked: Mapping[tuple[str, str], Computed] | None = None, config: Mapping[str, str] | None = None
    ) -> Deployment:
        """Run the program, and record what it registers and exports.

        Args:
            asked: Values that AWS has generated, by type and logical name.
            config: A configuration to use instead of the stack's.

        Raises:
            SettingsError: If the program refuses the configuration.
        """
        provider = DeployedAws(self.account, asked or {})
        config = config or readable(self.config)
        return deploy(config, self.stack, BUILD_FOLDER if self.bundle.exists() else None, provider)

    @functools.cached_property
    def recorded(self) -> Deployment:
        """The program's record without asking AWS; generated values are made up."""
        return self.run()

    @functools.cached_property
    def secret_parts(self) -> dict[str, str]:
        """Resources (by type and logical name) and outputs that depend on a secret, with the setting.

        Only the engine knows their values. If no second value of a setting can be tried, all of them are returned.
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
        """Run the program with the first value of a setting that contradicts no other setting, if any."""
        for value in values:
            with contextlib.suppress(SettingsError):
                here = value.replace(EXAMPLE_REGION, self.account.region)
                return _parts(self.run(config={**config, full_key: here}))
        return {}


def others(key: str) -> Iterator[str]:
    """List further valid values of a setting besides `SettingsModel.example`, as far as the model has some."""
    schema = MODEL.schema[key]
    numbers = [str(schema[bound]) for bound in ("minimum", "maximum") if bound in schema]
    texts = [as_text(value) for name in ("enum", "examples") for value in schema.get(name, ())]
    for value in (*texts, *numbers, "true", "false"):
        if is_allowed(key, value) and value != MODEL.example(key):
            yield value


def expected_outputs(stack: str, config: StackConfig, outputs: Iterable[str]) -> dict[str, str]:
    """Return the outputs that a stack must have, as far as its file determines them.

    Args:
        stack: Name of the stack.
        config: Its configuration.
        outputs: The deployed outputs' values, of which one must contain the account.

    Returns:
        The outputs that do not depend on a secret; empty if the program refuses the configuration.
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
    """Remove the domain from a URL: it depends on the partition or is the emulator's."""
    return urlsplit(text).path if text.startswith(("http://", "https://")) else text


def _parts(run: Deployment) -> dict[str, str]:
    parts = {f"{each.type} {each.name}": each.inputs for each in run.resources} | run.exports
    # Compare bundles by name: the folder of a stand-in differs in each run.
    return {name: json.dumps(part, default=lambda code: Path(code.path).name) for name, part in parts.items()}
