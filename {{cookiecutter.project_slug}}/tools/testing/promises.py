"""What the program promises of the deployed stack, with the values that AWS has generated."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tools.testing.deployed import Deployed
from tools.testing.limits import NOT_IN_THE_EMULATOR
from tools.testing.program import Computed
from tools.testing.readers import DEFAULTS, FUNCTION, KEY, NOT_IN_AWS, NOT_THERE, key_aliases, published_version
from tools.testing.recording import Deployment, Resource


def promised(deployed: Deployed) -> Deployment:
    """Run the program for the deployed stack, and record what it promises.

    Raises:
        botocore.exceptions.BotoCoreError: If AWS cannot be called.
        botocore.exceptions.ClientError: If AWS returns an error.
    """
    asked = {
        (each.type, each.name): ASK[each.type](deployed, each)
        for each in deployed.program.recorded.resources
        if each.type in ASK
    }
    return deployed.program.run(asked)


def promised_properties(deployed: Deployed, resource: Resource) -> dict[str, Any]:
    """Return the properties that a resource must have: the program's, and AWS's defaults for some others.

    Args:
        deployed: The stack.
        resource: The resource in the program.
    """
    left_out = NOT_IN_AWS.get(resource.type, frozenset())
    if deployed.is_local:
        left_out = left_out | NOT_IN_THE_EMULATOR.get(resource.type, frozenset())
    properties = DEFAULTS.get(resource.type, {}) | resource.inputs
    return {key: value for key, value in properties.items() if key not in left_out}


def skip_if_secret(deployed: Deployed, *parts: str) -> None:
    """Skip a test that depends on a secret.

    Args:
        deployed: The stack.
        parts: Types and logical names of resources, or names of outputs.
    """
    for part in parts:
        if part in deployed.program.secret_parts:
            pytest.skip(f"{deployed.program.secret_parts[part]} is a secret, which only the engine can read")


def _key(deployed: Deployed, key: Resource) -> Computed:
    alias = key_aliases(deployed)[key.name]
    try:
        found = deployed.client("kms").describe_key(KeyId=alias)["KeyMetadata"]
    except ClientError as error:
        return dict.fromkeys(("arn", "keyId"), _absent(alias, error))
    return {"arn": found["Arn"], "keyId": found["KeyId"]}


def _queue(deployed: Deployed, queue: Resource) -> Computed:
    name = queue.inputs["name"]
    try:
        return {"url": deployed.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]}
    except ClientError as error:
        return {"url": _absent(name, error)}


def _function(deployed: Deployed, function: Resource) -> Computed:
    """Return the version that an alias of the function must point to: the one that was published last."""
    name = function.inputs["name"]
    try:
        return {"version": published_version(deployed, name) or f"(no version of {name} is published)"}
    except ClientError as error:
        return {"version": _absent(name, error)}


def _absent(name: str, error: ClientError) -> str:
    """Return a placeholder for something that does not exist; tests that compare it fail and show it."""
    if not error.response["Error"]["Code"].startswith(NOT_THERE):
        raise error
    return f"({name} does not exist)"


ASK: Mapping[str, Callable[[Deployed, Resource], Computed]] = {
    KEY: _key,
    FUNCTION: _function,
    "aws:sqs/queue:Queue": _queue,
}
