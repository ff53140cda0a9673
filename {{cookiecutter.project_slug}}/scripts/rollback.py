"""The ``pulumi-rollback`` task: lets an earlier version of the function process the messages, at once."""

import sys
from typing import Any

from infrastructure.processing import LIVE
from infrastructure.project import PROJECT
from tools.engine import interruptible
from tools.local import enter_local_stack
from tools.outputs import save_outputs
from tools.testing.deployed import NotDeployedError, find_deployed

TASK = "pulumi-rollback"


def rollback(stack: str, version: str = "") -> None:
    """Point the alias that the event source calls to an earlier version of the function.

    Args:
        stack: Name of the stack.
        version: Number of the version; the one before the current one if empty.

    Raises:
        SystemExit: If the stack is not deployed, or has no such version. Nothing is then changed.
    """
    with interruptible(TASK):
        if stack == PROJECT.local:
            enter_local_stack(TASK)
        else:
            save_outputs(stack)
        try:
            deployed = find_deployed()
        except NotDeployedError as error:
            sys.exit(f"{TASK}: {error}")
        function = deployed.outputs["function_name"]
        before, after = move_alias(deployed.client("lambda"), function, version)
        print(f"{function}:{LIVE} ran version {before} and now runs version {after}.")
        print("The next deployment that changes the function publishes a version and moves the alias on.")


def move_alias(client: Any, function: str, version: str = "") -> tuple[str, str]:
    """Point the alias to an earlier version.

    Args:
        client: A client for Lambda.
        function: Name of the function.
        version: Number of the version; the one before the current one if empty.

    Returns:
        The version before and after.

    Raises:
        SystemExit: If there is no such version. The alias is then unchanged.
    """
    before = client.get_alias(FunctionName=function, Name=LIVE)["FunctionVersion"]
    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=function)
    versions = [each["Version"] for page in pages for each in page["Versions"]]
    numbers = sorted(int(each) for each in versions if each.isdecimal())
    earlier = [str(number) for number in numbers if number < int(before)]
    after = version or next(reversed(earlier), "")
    if after not in map(str, numbers):
        wanted = f"no version {version}" if version else f"no version before {before}, which {LIVE} runs"
        sys.exit(f"{TASK}: {function} has {wanted}; its versions: {', '.join(map(str, numbers))}")
    client.update_alias(FunctionName=function, Name=LIVE, FunctionVersion=after, RoutingConfig={})
    return before, after
