"""Deploys a rendered project to the emulator at ``AWS_ENDPOINT_URL``, without the Pulumi CLI.

Runs in the project's folder and virtual environment: ``python driver.py`` deploys the local stack and writes its
outputs file.
"""

import json
import os
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Import `tools` from the rendered project, which is the working directory.
sys.path.insert(0, str(Path.cwd()))
from applier import Applier

from tools.package import BUILD_FOLDER
from tools.project import DECLARATION
from tools.pulumi_cli import OUTPUTS_FILE
from tools.testing import run_program as record
from tools.testing import stack_config


def run_program(before: Mapping[str, Any] | None = None) -> tuple[Applier, dict[str, Any]]:
    """Record the Pulumi program, and create or update its resources in the emulator.

    Args:
        before: State of the earlier deployment, if any.

    Returns:
        The applier, and the stack's outputs.
    """
    applier = Applier(record(stack_config(DECLARATION.local), DECLARATION.local), BUILD_FOLDER, before)
    return applier, applier.run()


def reset() -> None:
    """Delete everything in the emulator."""
    request = urllib.request.Request(f"{os.environ['AWS_ENDPOINT_URL']}/_ministack/reset", method="POST")  # noqa: S310
    urllib.request.urlopen(request).close()  # noqa: S310 # our own emulator


if __name__ == "__main__":
    reset()
    OUTPUTS_FILE.parent.mkdir(exist_ok=True)
    OUTPUTS_FILE.write_text(json.dumps(run_program()[1]), encoding="utf-8")
