"""Deploys the rendered program to an emulator, in the engine's place, and can run its integration tests too.

Runs in a rendered project's folder and environment: ``python driver.py [--break NAME]... [-- PYTEST ARGUMENTS]``. The
emulator is the one at ``AWS_ENDPOINT_URL``, the stack the local one. The outputs file is written.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from applier import Applier
from breakages import BREAKAGES, OUTPUT, Breakage

STACK = "local"


def deploy(broken: Sequence[Breakage] = ()) -> dict[str, Any]:
    """Run the program with its resources created.

    Args:
        broken: What is created otherwise than the program says.

    Returns:
        The stack's outputs.

    Raises:
        RuntimeError: If a breakage has changed nothing.
    """
    # Of the rendered project, which is this process's folder.
    sys.path.insert(0, str(Path.cwd()))
    from infrastructure.bundle import BUILD_FOLDER  # noqa: PLC0415
    from tests.unit import recording  # noqa: PLC0415

    config = recording.readable_config(STACK)
    recording.EMULATOR["AWS_ENDPOINT_URL"] = os.environ["AWS_ENDPOINT_URL"]
    applier = Applier(boto3.Session("testing", "testing", region_name=config["aws:region"]), broken)
    outputs = dict(recording.deploy(config, STACK, BUILD_FOLDER, applier).exports)
    for breakage in broken:
        if breakage.type == OUTPUT:
            outputs |= breakage.change or {}
        elif breakage not in applier.broken:
            raise RuntimeError(f"{breakage} has changed nothing")
    return outputs


def main() -> None:
    """Deploy, write the outputs, and test what is deployed if asked to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--break", dest="broken", action="append", choices=BREAKAGES, default=[])
    parser.add_argument("tests", nargs="*")
    arguments = parser.parse_args()
    outputs = deploy([BREAKAGES[name] for name in arguments.broken])
    from tools.outputs import OUTPUTS_FILE, write_outputs  # noqa: PLC0415

    write_outputs(outputs, Path.cwd() / OUTPUTS_FILE)
    if arguments.tests:
        sys.exit(pytest.main(arguments.tests))


if __name__ == "__main__":
    main()
