"""Stands in for Pulumi's engine in the tasks' tests: its commands do to the emulator what the engine's would.

``up`` deploys as `driver` does and keeps the outputs, ``stack output`` prints them, ``destroy`` forgets them. Every
command is noted in the file that ``PULUMI_CALLS`` names; ``PULUMI_FAILS`` names one that fails, ``PULUMI_WAITS`` one
that waits to be interrupted, once it has created the file that ``PULUMI_WAITING`` names.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

OUTPUTS = Path(".local/outputs.json")


def main() -> None:
    """Do what a command says."""
    command = next(word for word in sys.argv[1:] if word in {"init", "up", "output", "destroy", "preview", "login"})
    with Path(os.environ["PULUMI_CALLS"]).open("a", encoding="utf-8") as calls:
        print(json.dumps(sys.argv[1:]), file=calls)
    if command == os.environ.get("PULUMI_FAILS"):
        sys.exit(255)
    if command == os.environ.get("PULUMI_WAITS"):
        wait_to_be_interrupted()
    if command == "up":
        sys.path.insert(0, str(Path(__file__).parent))
        from driver import deploy  # noqa: PLC0415

        OUTPUTS.write_text(json.dumps(deploy(None)), encoding="utf-8")
    elif command == "output":
        print(OUTPUTS.read_text(encoding="utf-8"))
    elif command == "destroy":
        OUTPUTS.unlink()


def wait_to_be_interrupted() -> None:
    """Wait, and end as the engine does when it is interrupted."""
    received: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: received.append(number))
    Path(os.environ["PULUMI_WAITING"]).touch()
    while not received:
        time.sleep(0.1)
    sys.exit(1)


if __name__ == "__main__":
    main()
