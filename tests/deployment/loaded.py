"""Runs the load test `load` in a rendered project with its own emulator."""

import json
from pathlib import Path
from typing import Any

from tests.deployment.emulated import emulated
from tests.projects import Environment, Project

LOAD = Path(__file__).with_name("load.py")
TIMING = "processor/timing.py"
# Back off for 1 to 2 seconds instead of 30 to 3600, so that a run takes a minute.
SHORTENED = {
    "FIRST_DELAY_SECONDS: Final = 30": "FIRST_DELAY_SECONDS: Final = 1",
    "MAX_DELAY_SECONDS: Final = 3600": "MAX_DELAY_SECONDS: Final = 2",
}


def report_of_load(project: Project, environment: Environment, folder: Path, messages: int) -> dict[str, Any]:
    """Deploy a project to an emulator, and run the load test against the deployed pipeline.

    Args:
        project: A copy of a project, in which this function shortens the retry delays.
        environment: Virtual environment of the project's commands.
        folder: Folder for the emulator's files.
        messages: Number of messages to send.

    Returns:
        The report of `load`; ``wrong`` lists the messages with wrong results.
    """
    for long, short in SHORTENED.items():
        project.replace(TIMING, long, short)
    with emulated(project, environment, folder) as deployed:
        deployed.python("-c", "from tools.package import build_bundle; build_bundle('local')")
        deployed.deploy()
        output = deployed.python(str(LOAD), str(messages), str(folder))
    return json.loads(output.splitlines()[-1])
