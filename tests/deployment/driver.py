"""Deploys the rendered program to an emulator, in the engine's place.

Runs in a rendered project's folder and environment: ``python driver.py [BREAKAGE]``. The emulator is the one at
``AWS_ENDPOINT_URL``, the stack the local one. The stack's outputs are printed as JSON, on the last line.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import boto3
from applier import Applier
from breakages import BREAKAGES, OUTPUT, Breakage

STACK = "local"


def deploy(breakage: Breakage | None) -> dict[str, Any]:
    """Run the program with its resources created.

    Args:
        breakage: What is created otherwise than the program says, if anything.

    Returns:
        The stack's outputs.

    Raises:
        RuntimeError: If the breakage has changed nothing.
    """
    # Of the rendered project, which is this process's folder.
    sys.path.insert(0, str(Path.cwd()))
    from infrastructure.bundle import BUILD_FOLDER  # noqa: PLC0415
    from tests.unit import recording  # noqa: PLC0415

    config = recording.readable_config(STACK)
    recording.EMULATOR["AWS_ENDPOINT_URL"] = os.environ["AWS_ENDPOINT_URL"]
    applier = Applier(boto3.Session("testing", "testing", region_name=config["aws:region"]), breakage)
    deployment = recording.deploy(config, STACK, BUILD_FOLDER, applier)
    outputs = {name: break_output(breakage, name, value) for name, value in deployment.exports.items()}
    if breakage and outputs == deployment.exports and not applier.broken:
        raise RuntimeError("the breakage has changed nothing")
    return outputs


def break_output(breakage: Breakage | None, name: str, value: str) -> str:
    """Change an output, if that is what is broken."""
    changed = breakage.apply({"value": value}) if breakage and breakage.concerns(OUTPUT, name) else None
    return changed["value"] if changed else value


if __name__ == "__main__":
    print(json.dumps(deploy(BREAKAGES[sys.argv[1]] if sys.argv[1:] else None)))
