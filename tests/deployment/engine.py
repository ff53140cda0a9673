"""A stand-in for Pulumi's engine, whose commands have the same effect on the emulator.

``up`` creates or updates, like `driver`; it deletes nothing. ``stack output`` prints the outputs, ``stack history`` the
last update, and ``preview --json`` what an update would do. ``preview --event-log`` sends what a refresh of the log
groups finds, and the events in the file ``PULUMI_EVENTS``.

``preview --save-plan`` writes a plan, and ``up --plan`` first previews and does nothing if that is not the plan:
https://www.pulumi.com/docs/iac/operations/stack-management/update-plans/

Every command is recorded in the file ``PULUMI_CALLS``. ``PULUMI_FAILS`` names a command that fails, ``PULUMI_WAITS``
one that creates the file ``PULUMI_WAITING`` and waits for an interrupt. On a terminal only this process receives the
interrupt, unless it is not interactive. While it waits, the state is locked.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ENDING_SECONDS = 3
STATE = Path(".local/state")
RESOURCES = "resources.json"
OUTPUTS = "outputs.json"
HISTORY = "history.json"
LOCK = STATE / ".pulumi/locks/organization/project/local/lock.json"
SUMMARY = {"summaryEvent": {"maybeCorrupt": False, "durationSeconds": 1, "resourceChanges": {"same": 1}}}
CONTROL_C = b"\x03"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"


def main() -> None:
    """Run a command.

    Raises:
        SystemExit: If the command fails or is interrupted.
    """
    words = [word for word in sys.argv[1:] if word not in {"stack", "--non-interactive"}]
    with Path(os.environ["PULUMI_CALLS"]).open("a", encoding="utf-8") as calls:
        calls.write(json.dumps(sys.argv[1:]) + "\n")
    misbehave(words[0])
    stack = value_of("--stack") or "local"
    plan = value_of("--plan")
    if words[0] == "up":
        if plan:
            check_plan(stack, Path(plan))
        update(stack)
    elif words[0] == "version":
        sys.stdout.write("v3.999.0\n")
    elif words[0] == "history":
        history = STATE / stack / HISTORY
        sys.stdout.write(history.read_text(encoding="utf-8") if history.exists() else "[]")
    elif words[0] == "export":
        sys.stdout.write(json.dumps({"version": 3, "deployment": {"resources": [*saved_resources(stack)]}}))
    elif words[0] == "preview" and "--event-log" in words:
        send_events(stack, words[words.index("--event-log") + 1].removeprefix("tcp://"))
    elif words[0] == "preview":
        preview(stack, value_of("--save-plan"))
    elif words[0] == "output":
        sys.stdout.write((STATE / stack / OUTPUTS).read_text(encoding="utf-8"))


def value_of(option: str) -> str | None:
    """Return the value of an option; ``None`` without it."""
    return sys.argv[sys.argv.index(option) + 1] if option in sys.argv else None


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


def saved_resources(stack: str) -> Any:
    """Return the state of an earlier deployment; empty without one."""
    path = STATE / stack / RESOURCES
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def program(stack: str, *, is_preview: bool = False) -> Any:
    """Run the program with the state of an earlier deployment."""
    sys.path.insert(0, str(Path(__file__).parent))
    from driver import run_program  # noqa: PLC0415 # slow, and only needed here

    return run_program(before=saved_resources(stack), preview=is_preview, stack=stack)


def update(stack: str) -> None:
    """Deploy, and save the state."""
    applier, outputs = program(stack)
    folder = STATE / stack
    folder.mkdir(exist_ok=True)
    (folder / RESOURCES).write_text(json.dumps(applier.state), encoding="utf-8")
    (folder / OUTPUTS).write_text(json.dumps(outputs), encoding="utf-8")
    (folder / HISTORY).write_text(json.dumps([last_update(stack)]), encoding="utf-8")


def preview(stack: str, plan: str | None) -> None:
    """Print what an update would do, and save it as a plan if there is a file for it."""
    planned = planned_resources(stack)
    steps = [{"op": each["op"], "urn": urn} for urn, each in planned.items()]
    sys.stdout.write(json.dumps({"steps": steps}))
    if plan:
        Path(plan).write_text(json.dumps(planned), encoding="utf-8")


def planned_resources(stack: str) -> dict[str, Any]:
    """Return what an update would do to each resource, by its URN: the operation and the inputs."""
    applier, _ = program(stack, is_preview=True)
    deleted = {key: {"op": "delete"} for key in applier.before if key not in applier.state}
    kept = {key: {"op": applier.steps[key], "inputs": each["inputs"]} for key, each in applier.state.items()}
    return {urn_of(stack, key): each for key, each in (kept | deleted).items()}


def urn_of(stack: str, key: str) -> str:
    """Return the URN of a resource of the applier."""
    return f"urn:pulumi:{stack}::project::{key.replace(' ', '::')}"


def check_plan(stack: str, plan: Path) -> None:
    """Refuse an update that is not what was planned.

    Raises:
        SystemExit: If it is not.
    """
    planned, now = json.loads(plan.read_text(encoding="utf-8")), planned_resources(stack)
    violating = next((urn for urn in planned | now if planned.get(urn) != now.get(urn)), None)
    if violating:
        sys.exit(f"error: resource {violating} violates plan: properties changed")


def last_update(stack: str) -> dict[str, object]:
    """Return the history's entry of an update."""
    from tools.configuration.stack_files import read_stack_config  # noqa: PLC0415 # of the rendered project

    config = {key: {"value": value, "secret": False} for key, value in read_stack_config(stack).values.items()}
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    entry = {"kind": "update", "message": "", "environment": {}, "config": config, "result": "succeeded", "version": 1}
    return entry | {"startTime": now, "endTime": now}


def send_events(stack: str, address: str) -> None:
    """Send the events of a preview with refresh, as the engine does."""
    import grpc  # noqa: PLC0415 # slow, and only needed here
    from pulumi.runtime.proto import events_pb2, events_pb2_grpc  # noqa: PLC0415

    events = Path(os.environ.get("PULUMI_EVENTS", os.devnull))
    lines = events.read_text(encoding="utf-8").splitlines() if events.exists() else []
    read = [json.dumps(event) for event in refreshed(stack)]
    summary = json.dumps({"sequence": 99, "timestamp": 99} | SUMMARY)
    requests = (events_pb2.EventRequest(event=line) for line in [*read, *lines, summary])
    with grpc.insecure_channel(address) as channel:
        events_pb2_grpc.EventsStub(channel).StreamEvents(requests)


def refreshed(stack: str) -> Iterator[dict[str, Any]]:
    """Read the log groups, and yield an event for each that differs from the state."""
    import boto3  # noqa: PLC0415 # slow, and only needed here

    # The rendered project is the working directory.
    sys.path.insert(0, str(Path.cwd()))
    from tools.configuration.stack_files import read_stack_config  # noqa: PLC0415 # of the rendered project

    logs = boto3.client("logs", region_name=read_stack_config(stack).values["aws:region"])
    for key, resource in saved_resources(stack).items():
        if key.startswith(f"{LOG_GROUP} "):
            inputs, urn = resource["inputs"], urn_of(stack, key)
            (group,) = logs.describe_log_groups(logGroupNamePrefix=inputs["name"])["logGroups"]
            if group["retentionInDays"] != inputs["retentionInDays"]:
                state = {"type": LOG_GROUP, "urn": urn, "id": resource["id"], "parent": "", "provider": ""}
                found = inputs | {"retentionInDays": group["retentionInDays"]}
                states = {"old": state | {"inputs": inputs}, "new": state | {"inputs": found}}
                step = {"op": "refresh", "urn": urn, "type": LOG_GROUP, "provider": "", "diffs": ["retentionInDays"]}
                yield {"sequence": 1, "timestamp": 1, "resOutputsEvent": {"metadata": step | states, "planning": True}}


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
