"""Stand-in for the Pulumi CLI: replays recorded events to the Automation API."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.automation import CommandResult
from pulumi.automation.errors import create_command_error
from pulumi.runtime.proto import events_pb2, events_pb2_grpc
from semver import VersionInfo

from tools import preview

RECORDED = Path(__file__).parent / "recorded" / "preview-refresh-events.jsonl"


class StandInPulumi:
    """Records commands and returns prepared results. A failure that starts with "error" goes to standard error."""

    version = VersionInfo(3, 276, 0)

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(preview, "find_pulumi", lambda: "pulumi")
        monkeypatch.setattr("pulumi.automation._local_workspace.PulumiCommand", lambda **_options: self)
        self.calls: list[str] = []
        self.variables: Mapping[str, str] = {}
        self.state: dict[str, Any] = {"resources": [{"type": "pulumi:pulumi:Stack", "outputs": {"url": "https://x"}}]}
        self.history = [entry("succeeded")]
        self.events: Sequence[dict[str, Any]] = [json.loads(line) for line in RECORDED.read_text().splitlines()]
        self.failures: dict[str, str] = {}

    def run(
        self,
        args: list[str],
        _cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], Any] | None = None,
        _on_error: Callable[[str], Any] | None = None,
    ) -> CommandResult:
        """Record a command, and return its result or raise its failure."""
        command = " ".join(args).partition(" --")[0]
        log = args[args.index("--event-log") + 1] if "--event-log" in args else ""
        self.calls.append(" ".join(each for each in args if each not in {"--event-log", log}))
        self.variables = {**os.environ, **additional_env}
        failure = self.failures.get(command)
        if failure:
            on_stderr = failure.startswith("error")
            raise create_command_error(CommandResult("" if on_stderr else failure, failure if on_stderr else "", 255))
        if log:
            requests = (events_pb2.EventRequest(event=json.dumps({"timestamp": 1} | each)) for each in self.events)
            with grpc.insecure_channel(log.removeprefix("tcp://")) as channel:
                events_pb2_grpc.EventsStub(channel).StreamEvents(requests)
        if on_output:
            on_output("Updating (dev)")
        answers = {"stack export": {"version": 3, "deployment": self.state}, "stack history": self.history}
        return CommandResult(json.dumps(answers.get(command, {})), "", 0)


def entry(result: str) -> dict[str, Any]:
    """Return a stack history entry for an update with the given result."""
    entry = {"kind": "update", "message": "", "environment": {}, "config": {}, "version": 1}
    return entry | {"startTime": "2026-11-30T06:45:59.000Z", "endTime": "2026-11-30T06:46:59.000Z", "result": result}


def step(
    operation: str,
    old: Mapping[str, Any] | None,
    new: Mapping[str, Any] | None,
    *paths: str,
    name: str = "queue",
    type_: str = "aws:sqs/queue:Queue",
    provider: str = "aws",
) -> dict[str, Any]:
    """Return an engine event for a step, with old and new inputs and the paths that differ."""
    diff = {path: {"diffKind": "update", "inputDiff": False} for path in paths}
    urn = f"urn:pulumi:dev::orders::{type_}::{name}"
    states = {
        side: None if inputs is None else {"inputs": inputs, "outputs": {}}
        for side, inputs in {"old": old, "new": new}.items()
    }
    metadata = {"op": operation, "urn": urn, "type": type_, "provider": provider, "detailedDiff": diff, **states}
    kind = "resOutputsEvent" if operation == "refresh" else "resourcePreEvent"
    return {"sequence": 1, kind: {"metadata": metadata}}
