"""A stand-in for Pulumi's engine, whose commands have the same effect on the emulator.

``up`` creates or updates, like `driver`. ``stack output`` prints the outputs, ``stack history`` the last update, and
``preview --json`` what an update would do. ``preview --event-log`` sends the events in the file ``PULUMI_EVENTS``.

Every command is recorded in the file ``PULUMI_CALLS``. ``PULUMI_FAILS`` names a command that fails, ``PULUMI_WAITS``
one that creates the file ``PULUMI_WAITING`` and waits for an interrupt. On a terminal only this process receives the
interrupt, unless it is not interactive. While it waits, the state is locked.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

ENDING_SECONDS = 3
STATE = Path(".local/state")
RESOURCES = STATE / "resources.json"
OUTPUTS = STATE / "outputs.json"
HISTORY = STATE / "history.json"
LOCK = STATE / ".pulumi/locks/organization/project/local/lock.json"
SUMMARY = {"summaryEvent": {"maybeCorrupt": False, "durationSeconds": 1, "resourceChanges": {"same": 1}}}
CONTROL_C = b"\x03"


def main() -> None:
    """Run a command.

    Raises:
        SystemExit: If the command fails or is interrupted.
    """
    words = [word for word in sys.argv[1:] if word not in {"stack", "--non-interactive"}]
    with Path(os.environ["PULUMI_CALLS"]).open("a", encoding="utf-8") as calls:
        calls.write(json.dumps(sys.argv[1:]) + "\n")
    misbehave(words[0])
    if words[0] == "up":
        update()
    elif words[0] == "version":
        sys.stdout.write("v3.999.0\n")
    elif words[0] == "ls":
        sys.stdout.write(json.dumps([{"name": "local", "current": False}] if OUTPUTS.exists() else []))
    elif words[0] == "history":
        sys.stdout.write(HISTORY.read_text(encoding="utf-8"))
    elif words[0] == "preview" and "--event-log" in words:
        send_events(words[words.index("--event-log") + 1].removeprefix("tcp://"))
    elif words[0] == "preview":
        preview()
    elif words[0] == "output":
        sys.stdout.write(OUTPUTS.read_text(encoding="utf-8"))


def misbehave(command: str) -> None:
    """Fail or wait, if this command should.

    Raises:
        SystemExit: If it fails, or was interrupted.
    """
    if command == os.environ.get("PULUMI_FAILS"):
        sys.exit(255)
    if command == os.environ.get("PULUMI_WAITS"):
        wait_to_be_interrupted()
    if command == "up" and LOCK.exists():
        sys.exit(f"error: the stack is currently locked by 1 lock(s): {LOCK}")


def program(*, is_preview: bool = False) -> Any:
    """Run the program with the state of an earlier deployment."""
    sys.path.insert(0, str(Path(__file__).parent))
    from driver import run_program  # noqa: PLC0415 # slow, and only needed here

    before = json.loads(RESOURCES.read_text(encoding="utf-8")) if RESOURCES.exists() else {}
    return run_program(before=before, preview=is_preview)


def update() -> None:
    """Deploy, and save the state."""
    applier, outputs = program()
    RESOURCES.write_text(json.dumps(applier.state), encoding="utf-8")
    OUTPUTS.write_text(json.dumps(outputs), encoding="utf-8")
    HISTORY.write_text(json.dumps([last_update()]), encoding="utf-8")


def preview() -> None:
    """Print what an update would do."""
    applier, _ = program(is_preview=True)
    steps = [
        {"op": operation, "urn": f"urn:pulumi:local::project::type::{name}"}
        for name, operation in applier.steps.items()
    ]
    sys.stdout.write(json.dumps({"steps": steps}))


def last_update() -> dict[str, object]:
    """Return the history's entry of an update."""
    from tools.configuration.stack_files import read_stack_config  # noqa: PLC0415 # of the rendered project

    config = {key: {"value": value, "secret": False} for key, value in read_stack_config("local").values.items()}
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    entry = {"kind": "update", "message": "", "environment": {}, "config": config, "result": "succeeded", "version": 1}
    return entry | {"startTime": now, "endTime": now}


def send_events(address: str) -> None:
    """Send the events of a preview, as the engine does."""
    import grpc  # noqa: PLC0415 # slow, and only needed here
    from pulumi.runtime.proto import events_pb2, events_pb2_grpc  # noqa: PLC0415

    events = Path(os.environ["PULUMI_EVENTS"])
    lines = events.read_text(encoding="utf-8").splitlines() if events.exists() else []
    summary = json.dumps({"sequence": 99, "timestamp": 99} | SUMMARY)
    requests = (events_pb2.EventRequest(event=line) for line in [*lines, summary])
    with grpc.insecure_channel(address) as channel:
        events_pb2_grpc.EventsStub(channel).StreamEvents(requests)


def wait_to_be_interrupted() -> None:
    """Wait for an interrupt, and end as the engine does.

    Raises:
        SystemExit: When it is interrupted.
    """
    received: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: received.append(number))
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    LOCK.write_text(json.dumps({"pid": os.getpid()}), encoding="utf-8")
    waiting = Path(os.environ["PULUMI_WAITING"])
    waiting.touch()
    if sys.stdin.isatty() and "--non-interactive" not in sys.argv:
        import tty  # noqa: PLC0415 # Windows has none

        tty.setraw(0)
        while os.read(0, 1) != CONTROL_C:
            pass
    else:
        while not received:
            time.sleep(0.05)
    # A deployment finishes the current operations; a second signal would lose its state.
    time.sleep(ENDING_SECONDS)
    waiting.write_text(json.dumps(received), encoding="utf-8")
    LOCK.unlink()
    sys.exit(1)


if __name__ == "__main__":
    main()
