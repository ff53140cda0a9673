"""The load test: a rendered project under load and faults, in an emulator of its own."""

import json
from pathlib import Path
from typing import Any

from tests.deployment.emulated import emulated
from tests.projects import Environment, Project

LOAD = Path(__file__).with_name("load.py")
TIMING = "processor/timing.py"
# A message that fails waits a second or two instead of half a minute to an hour, so that a run takes a minute.
SHORTENED = {
    "FIRST_DELAY_SECONDS: Final = 30": "FIRST_DELAY_SECONDS: Final = 1",
    "MAX_DELAY_SECONDS: Final = 3600": "MAX_DELAY_SECONDS: Final = 2",
}


def report_of_load(project: Project, environment: Environment, folder: Path, messages: int) -> dict[str, Any]:
    """Deploy a project to an emulator, and send messages through it while things fail.

    Args:
        project: A copy of a project, which is changed.
        environment: Environment of its commands.
        folder: Folder for the emulator's files.
        messages: Number of messages.

    Returns:
        The figures, and what is ``wrong``; see `load`.
    """
    for long, short in SHORTENED.items():
        project.replace(TIMING, long, short)
    with emulated(project, environment, folder) as deployed:
        deployed.python("-c", "from tools.package import build_bundle; build_bundle('local')")
        deployed.deploy()
        output = deployed.python(str(LOAD), str(messages), str(folder))
    return json.loads(output.splitlines()[-1])
