"""Stand-in for the Pulumi CLI: deploys the local stack to an emulator with boto3.

``up`` creates and updates resources like `driver`, but deletes none. ``stack output`` and ``stack export`` print the
outputs. Environment variables:

PULUMI_CALLS: File that records all commands.
PULUMI_EVENTS: File with the events that ``preview`` streams.
PULUMI_FAILS: Command that fails.
PULUMI_WAITS: Command that locks the state, creates the file at ``PULUMI_WAITING``, and waits for an interrupt. On a
    terminal without ``--non-interactive``, the CLI reads Ctrl-C in raw mode, so that no other process is interrupted.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

STATE = Path(".local/state")
RESOURCES = STATE / "resources.json"
OUTPUTS = STATE / "outputs.json"
LOCK = STATE / ".pulumi/locks/organization/project/local/lock.json"
SUMMARY = {"sequence": 99, "timestamp": 99, "summaryEvent": {"resourceChanges": {"same": 1}}}


def main() -> None:
    """Run the command in ``sys.argv``.

    Raises:
        SystemExit: If the command fails or is interrupted.
    """
    words = [word for word in sys.argv[1:] if word not in {"stack", "--non-interactive"}]
    with Path(os.environ["PULUMI_CALLS"]).open("a", encoding="utf-8") as calls:
        calls.write(json.dumps(sys.argv[1:]) + "\n")
    inject_fault(words[0])
    if words[0] == "up":
        update()
    elif words[0] == "version":
        sys.stdout.write("v3.999.0\n")
    elif words[0] == "history":
        sys.stdout.write("[]")
    elif words[0] == "export":
        resources = [{"type": "pulumi:pulumi:Stack", "outputs": read(OUTPUTS)}]
        sys.stdout.write(json.dumps({"version": 3, "deployment": {"resources": resources}}))
    elif words[0] == "preview":
        send_events(words[words.index("--event-log") + 1].removeprefix("tcp://"))
    elif words[0] == "output":
        sys.stdout.write(json.dumps(read(OUTPUTS)))


def read(path: Path) -> Any:
    """Read a JSON file of an earlier ``up``; without this file, return an empty dictionary."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def inject_fault(command: str) -> None:
    """Fail or wait if ``PULUMI_FAILS`` or ``PULUMI_WAITS`` names the command. Fail ``up`` if the state is locked.

    Raises:
        SystemExit: If the command fails or is interrupted.
    """
    if command == os.environ.get("PULUMI_FAILS"):
        sys.exit(255)
    if command == os.environ.get("PULUMI_WAITS"):
        wait_to_be_interrupted()
    if command == "up" and LOCK.exists():
        sys.exit(f"error: the stack is currently locked by 1 lock(s): {LOCK}")


def update() -> None:
    """Create or update the resources, and save the state and the outputs."""
    sys.path.insert(0, str(Path(__file__).parent))
    from driver import run_program  # noqa: PLC0415 # slow, and only needed here

    applier, outputs = run_program(before=read(RESOURCES))
    RESOURCES.write_text(json.dumps(applier.state), encoding="utf-8")
    OUTPUTS.write_text(json.dumps(outputs), encoding="utf-8")


def send_events(address: str) -> None:
    """Stream the events and a summary to the Automation API's gRPC server at ``address``."""
    import grpc  # noqa: PLC0415 # slow, and only needed here
    from pulumi.runtime.proto import events_pb2, events_pb2_grpc  # noqa: PLC0415

    events = Path(os.environ.get("PULUMI_EVENTS", os.devnull))
    lines = events.read_text(encoding="utf-8").splitlines() if events.exists() else []
    requests = (events_pb2.EventRequest(event=line) for line in [*lines, json.dumps(SUMMARY)])
    with grpc.insecure_channel(address) as channel:
        events_pb2_grpc.EventsStub(channel).StreamEvents(requests)


def wait_to_be_interrupted() -> None:
    """Wait for an interrupt with the state locked; then unlock the state, and exit with status 1.

    Raises:
        SystemExit: When interrupted, or if the parent process has ended.
    """
    received: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: received.append(number))
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    LOCK.write_text(json.dumps({"pid": os.getpid()}), encoding="utf-8")
    waiting = Path(os.environ["PULUMI_WAITING"])
    waiting.touch()
    if sys.stdin.isatty() and "--non-interactive" not in sys.argv:
        import tty  # noqa: PLC0415 # not available on Windows

        tty.setraw(0)
        while os.read(0, 1) != b"\x03":
            pass
    else:
        parent = os.getppid()
        while not received:
            time.sleep(0.05)
            if os.getppid() != parent:
                sys.exit("error: the parent process has ended")
    # On an interrupt, the CLI finishes the running operations; a second interrupt would lose their state.
    time.sleep(3)
    waiting.write_text(json.dumps(received), encoding="utf-8")
    LOCK.unlink()
    sys.exit(1)
