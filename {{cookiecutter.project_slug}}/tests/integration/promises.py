"""What the program promises of the deployed stack: its resources and outputs, recorded with AWS's own names."""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pulumi.runtime import mocks

from infrastructure.bundle import BUILD_FOLDER
from infrastructure.settings import is_allowed
from tests.integration.deployed import Deployed
from tests.integration.readers import NOT_THERE
from tests.unit.recording import Aws, Deployment, deploy, readable_config

Computed = Mapping[str, str]

# Values that settings may have, one of which a secret takes that only the engine can read.
EXAMPLE_VALUES = ("other@example.com", "another-bucket", "python3.12", "x86_64", "true", "365", "128", "60", "2")
# What a resource's identity is to other resources, where the program uses it: one of its inputs.
IDENTITIES = {"aws:iam/role:Role": "name", "aws:s3/bucket:Bucket": "bucket"}


class DeployedAws(Aws):
    """Answers as the AWS that the stack is deployed to.

    Attributes:
        asked: What AWS has chosen freely, so that no name tells it, by type and logical name.
    """

    def __init__(self, deployed: Deployed, asked: Mapping[tuple[str, str], Computed]) -> None:
        super().__init__(deployed.account)
        self.asked = asked

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Find a resource: its inputs come back, with what AWS has computed."""
        identity, outputs = super().new_resource(args)
        if args.typ in IDENTITIES:
            identity = args.inputs[IDENTITIES[args.typ]]
        return identity, outputs | self.asked.get((args.typ, args.name), {})


def promised(deployed: Deployed) -> Deployment:
    """Run the program for the deployed stack, and record what it promises.

    Raises:
        botocore.exceptions.BotoCoreError: If AWS cannot be asked.
        botocore.exceptions.ClientError: If it refuses to answer.
    """
    asked = {
        (each.type, each.name): ASK[each.type](deployed, each.inputs)
        for each in recorded(deployed).resources
        if each.type in ASK
    }
    return _run(deployed, asked)


@functools.cache
def secret_parts(deployed: Deployed) -> dict[str, str]:
    """Find what depends on a secret setting, so that only the engine knows what was promised.

    Returns:
        For each such resource (its type and logical name) and output, the setting.
    """
    parts: dict[str, str] = {}
    config, before = readable_config(deployed.stack), _parts(recorded(deployed))
    for full_key in deployed.config.secret_keys:
        namespace, _, key = full_key.rpartition(":")
        if namespace == deployed.names.project:
            arn = deployed.account.arn("kms", "key/99999999-8888-7777-6666-555555555555")
            values = (value for value in (*EXAMPLE_VALUES, arn) if is_allowed(key, value) and value != config[full_key])
            after = _parts(_run(deployed, config=config | {full_key: next(values)}))
            parts |= {part: key for part in before.keys() | after.keys() if before.get(part) != after.get(part)}
    return parts


def skip_if_secret(deployed: Deployed, *parts: str) -> None:
    """Skip a test that needs what only the engine knows.

    Args:
        deployed: The stack.
        parts: Types and logical names of resources, or names of outputs.
    """
    for part in parts:
        if part in secret_parts(deployed):
            pytest.skip(f"{secret_parts(deployed)[part]} is a secret, which only the engine can read")


def _parts(recorded_run: Deployment) -> dict[str, str]:
    parts = {f"{each.type} {each.name}": each.inputs for each in recorded_run.resources}
    return {
        name: json.dumps(part, default=lambda code: code.path) for name, part in (parts | recorded_run.exports).items()
    }


@functools.cache
def recorded(deployed: Deployed) -> Deployment:
    """Run the program for the deployed stack without asking AWS: what it promises is there, under other identities."""
    return _run(deployed)


def _run(
    deployed: Deployed,
    asked: Mapping[tuple[str, str], Computed] | None = None,
    config: Mapping[str, str] | None = None,
) -> Deployment:
    provider = DeployedAws(deployed, asked or {})
    config = config or readable_config(deployed.stack)
    if deployed.bundle.exists():
        return deploy(config, deployed.stack, BUILD_FOLDER, provider)
    with TemporaryDirectory() as folder:
        Path(folder, deployed.bundle.name).touch()
        return deploy(config, deployed.stack, Path(folder), provider)


def _key(deployed: Deployed, _inputs: Mapping[str, Any]) -> Computed:
    alias = f"alias/{deployed.names.of('key')}"
    try:
        key = deployed.client("kms").describe_key(KeyId=alias)["KeyMetadata"]
    except ClientError as error:
        return dict.fromkeys(("arn", "keyId"), _absent(alias, error))
    return {"arn": key["Arn"], "keyId": key["KeyId"]}


def _queue(deployed: Deployed, inputs: Mapping[str, Any]) -> Computed:
    try:
        return {"url": deployed.client("sqs").get_queue_url(QueueName=inputs["name"])["QueueUrl"]}
    except ClientError as error:
        return {"url": _absent(inputs["name"], error)}


def _absent(name: str, error: ClientError) -> str:
    """Form what stands for something that does not exist: the tests that need it then say so."""
    if not error.response["Error"]["Code"].startswith(NOT_THERE):
        raise error
    return f"({name} does not exist)"


ASK: dict[str, Callable[[Deployed, Mapping[str, Any]], Computed]] = {
    "aws:kms/key:Key": _key,
    "aws:sqs/queue:Queue": _queue,
}
