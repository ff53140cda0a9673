"""What the program promises of the deployed stack: its resources and outputs, recorded with AWS's own names."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from botocore.exceptions import ClientError
from pulumi.runtime import mocks

from infrastructure.bundle import BUILD_FOLDER
from tests.integration.deployed import Deployed
from tests.integration.readers import NOT_THERE
from tests.unit.recording import Aws, Deployment, deploy, readable_config

Computed = Mapping[str, str]

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
    return _run(deployed, DeployedAws(deployed, asked))


@functools.cache
def recorded(deployed: Deployed) -> Deployment:
    """Run the program for the deployed stack without asking AWS: what it promises is there, under other identities."""
    return _run(deployed)


def _run(deployed: Deployed, provider: mocks.Mocks | None = None) -> Deployment:
    config = readable_config(deployed.stack)
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
