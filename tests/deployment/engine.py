"""Stands in for Pulumi's engine: what its commands would do to the emulator, they do here too.

``up`` deploys as `driver` does, but once only, and keeps the outputs; ``stack output`` prints them, ``destroy`` forgets
them. Every command is noted in the file that ``PULUMI_CALLS`` names. ``PULUMI_FAILS`` names one that fails,
``PULUMI_WAITS`` one that waits until it is interrupted; it creates the file that ``PULUMI_WAITING`` names.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

ENDING_SECONDS = 3
OUTPUTS = Path(".local/outputs.json")


def main() -> None:
    """Do what a command says.

    Raises:
        SystemExit: If it should fail, or was interrupted.
    """
    words = [word for word in sys.argv[1:] if word != "stack"]
    with Path(os.environ["PULUMI_CALLS"]).open("a", encoding="utf-8") as calls:
        calls.write(json.dumps(sys.argv[1:]) + "\n")
    if words[0] == os.environ.get("PULUMI_FAILS"):
        sys.exit(255)
    if words[0] == os.environ.get("PULUMI_WAITS"):
        wait_to_be_interrupted()
    if words[0] == "up" and not OUTPUTS.exists():
        sys.path.insert(0, str(Path(__file__).parent))
        from driver import deploy  # noqa: PLC0415 # nothing else needs so much

        OUTPUTS.write_text(json.dumps(deploy()), encoding="utf-8")
    elif words[0] == "output":
        sys.stdout.write(OUTPUTS.read_text(encoding="utf-8"))
    elif words[0] == "destroy":
        OUTPUTS.unlink()


def wait_to_be_interrupted() -> None:
    """Wait, and end as the engine does when it is interrupted.

    Raises:
        SystemExit: Once it is.
    """
    received: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: received.append(number))
    waiting = Path(os.environ["PULUMI_WAITING"])
    waiting.touch()
    while not received:
        time.sleep(0.05)
    # A deployment finishes what it has begun; another signal meanwhile would cost it its state.
    time.sleep(ENDING_SECONDS)
    waiting.write_text(json.dumps(received), encoding="utf-8")
    sys.exit(1)


if __name__ == "__main__":
    main()
