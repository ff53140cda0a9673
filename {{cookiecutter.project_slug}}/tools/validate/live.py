"""What is deployed, read through Pulumi's Automation API: nothing is changed, and no stack is selected.

https://www.pulumi.com/docs/reference/pkg/python/pulumi/#module-pulumi.automation
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from pulumi import automation
from pulumi.automation.events import EngineEvent

from infrastructure.account import Account
from infrastructure.documents import shown
from infrastructure.naming import Names
from infrastructure.settings import MASKED, REGION_KEY, read_settings
from infrastructure.stack_files import Project
from tools.emulator import find_emulator
from tools.local import local_variables, of_an_account
from tools.outputs import OUTPUT_NAMES
from tools.package import build_bundle
from tools.validate.drift import EventsLostError, read_events
from tools.validate.report import Deployment, Finding, Property, Resource
from tools.validate.stacks import ReadStack

# Each takes an engine, the program and the provider: some gigabytes for all.
SIDE_BY_SIDE: Final = 4
# Updates that only look or rename come in between; more than these do not.
HISTORY_SIZE: Final = 20
REASON_LENGTH: Final = 300
# What the Automation API raises when a command fails, when its answer is not what it should be, when events are lost.
UNREADABLE: Final = (
    automation.CommandError,
    automation.InvalidVersionError,
    EventsLostError,
    OSError,
    RuntimeError,
    LookupError,
    TypeError,
    ValueError,
)


class StackBusyError(RuntimeError):
    """A stack is being updated."""


class ReadOnlyWorkspace(automation.LocalWorkspace):
    """The project's folder, of which no stack is ever selected: every command names the one that it is for."""

    def select_stack(self, stack_name: str) -> None:
        """Leave the person's own selection as it is."""


def inspect_deployed(project: Project, stacks: Sequence[ReadStack]) -> tuple[tuple[Deployment, ...], list[Finding]]:
    """Look at what is deployed of each stack, side by side.

    Args:
        project: The project.
        stacks: The stacks whose files could be read.

    Returns:
        What was found of each, and what is wrong with it. A stack that cannot be read does not keep the others.
    """
    on_aws = [stack for stack in stacks if stack.environment != "local"]
    local = [stack for stack in stacks if stack.environment == "local"]
    results: list[tuple[Deployment, list[Finding]]] = []
    findings: list[Finding] = []
    address = find_emulator() if local else None
    if on_aws:
        more, stray = _inspect_backend(project, on_aws, {})
        results += more
        findings += stray
    if address:
        results += _inspect_backend(project, local, _local_variables(address))[0]
    else:
        results += [(Deployment(stack=stack.name, state="not-deployed"), []) for stack in local]
    by_stack = {deployment.stack: (deployment, said) for deployment, said in results}
    for stack in stacks:
        findings += by_stack[stack.name][1]
    return tuple(by_stack[stack.name][0] for stack in stacks), findings


def _local_variables(address: str) -> dict[str, str]:
    """Form the emulator's environment. The Automation API only adds variables: those of an account are emptied."""
    return dict.fromkeys(filter(of_an_account, os.environ), "") | local_variables(address)


def _inspect_backend(
    project: Project, stacks: Sequence[ReadStack], variables: Mapping[str, str]
) -> tuple[list[tuple[Deployment, list[Finding]]], list[Finding]]:
    """Look at stacks that one backend holds, and at what it holds besides."""
    try:
        workspace = ReadOnlyWorkspace(work_dir=str(project.folder), env_vars=variables)
        # Pulumi Cloud puts the organization before the name of a stack that is not in one's own.
        existing = {summary.name.rpartition("/")[2]: summary.name for summary in workspace.list_stacks()}
    except UNREADABLE as error:
        return [_unreadable(stack, error) for stack in stacks], []
    # The program wants its bundle, and two stacks may want the same.
    bundled = {stack.name: _bundled(stack) for stack in stacks if stack.name in existing}

    def inspect(stack: ReadStack) -> tuple[Deployment, list[Finding]]:
        if stack.name not in existing:
            return Deployment(stack=stack.name, state="not-deployed"), []
        reason = bundled[stack.name]
        if reason is not None:
            return _unreadable(stack, RuntimeError(reason))
        try:
            return _inspect(stack, automation.Stack.select(existing[stack.name], workspace))
        except UNREADABLE as error:
            return _unreadable(stack, error)

    with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE) as pool:
        results = list(pool.map(inspect, stacks))
    without_file = sorted({*existing} - {*project.stacks})
    return results, [_without_file(name) for name in without_file]


def _bundled(stack: ReadStack) -> str | None:
    """Build a stack's bundle unless it is up to date, and say what went wrong if anything did."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            build_bundle(stack.name)
    except SystemExit as error:
        return str(error.code)
    return None


def _unreadable(stack: ReadStack, error: Exception) -> tuple[Deployment, list[Finding]]:
    message = f"what is deployed cannot be read: {_reason(error)}"
    finding = Finding(
        rule="unreadable-stack", severity="error", message=message, stacks=(stack.name,), file=stack.file.name
    )
    return Deployment(stack=stack.name, state="unreadable"), [finding]


def _reason(error: Exception) -> str:
    """Find what a person needs to know of an error: the engine's own first message, if it is the engine's."""
    text = str(error) or type(error).__name__
    from_the_first = (text.partition("error: ")[2] or text).partition("\n stderr: ")[0]
    told = " ".join([line.strip() for line in from_the_first.splitlines() if line.strip()][:3])
    return told if len(told) <= REASON_LENGTH else f"{told[:REASON_LENGTH]}..."


def _without_file(name: str) -> Finding:
    return Finding(
        rule="stack-without-file",
        severity="warning",
        message=f"the backend has this stack, and the project has no file for it; allowed: Pulumi.{name}.yaml",
        stacks=(name,),
    )


def _inspect(stack: ReadStack, deployed: automation.Stack) -> tuple[Deployment, list[Finding]]:
    """Look at one stack: its last update, its configuration, its outputs, and what a preview tells."""
    last = _last_update(deployed)
    if last is None or (last.kind == "destroy" and last.result == "succeeded"):
        return Deployment(stack=stack.name, state="not-deployed"), []
    findings = []
    if last.result != "succeeded":
        message = f"the last {last.kind} has {last.result}; what is deployed may be a part of two versions"
        findings.append(_finding(stack, "update-failed", message))
    findings += _config_findings(stack, last.config)
    findings += _output_findings(stack, {name: output.value for name, output in deployed.outputs().items()})
    events: list[EngineEvent] = []
    summary = deployed.preview(refresh=True, color="never", on_event=events.append).change_summary
    drift, pending = read_events(events, summary)
    findings += [_resource_finding(stack, "drift", resource) for resource in drift]
    findings += [_resource_finding(stack, "pending-change", resource) for resource in pending]
    return Deployment(stack=stack.name, state="deployed", drift=drift, pending=pending), findings


def _last_update(deployed: automation.Stack) -> automation.UpdateSummary | None:
    """Find the last update that has changed what is deployed.

    Raises:
        StackBusyError: If one is going on.
    """
    history = deployed.history(page_size=HISTORY_SIZE, show_secrets=False)
    if history and history[0].result == "in-progress":
        raise StackBusyError(f"its {history[0].kind} is going on; try again when it has ended")
    return next((update for update in history if update.kind in {"update", "destroy"}), None)


def _finding(stack: ReadStack, rule: str, message: str, key: str | None = None, **details: str) -> Finding:
    return Finding(
        rule=rule, severity="error", message=message, stacks=(stack.name,), file=stack.file.name, key=key, **details
    )


def _config_findings(stack: ReadStack, held: automation.ConfigMap) -> Iterator[Finding]:
    """Compare the configuration that the backend holds, which is the last update's, with the file's."""
    values, places = stack.config.values, stack.config.places
    for key in sorted({*values, *held}):
        in_file, in_backend = _filed(stack, key), _held(stack, held, key)
        # An older engine may not have kept the defaults of Pulumi.yaml.
        is_default = key in places and places[key].file != stack.file.name
        if in_file == in_backend or (in_backend is None and is_default):
            continue
        message = (
            f"the file has {_quoted(in_file)}, and the last update had {_quoted(in_backend)}; deploy the file, or take "
            "the change back"
        )
        yield stack.finding("config-differs", key, message, found=in_file, allowed=in_backend)


def _filed(stack: ReadStack, key: str) -> str | None:
    if key in stack.config.secret_keys:
        return MASKED
    return _canonical(stack.config.values[key]) if key in stack.config.values else None


def _held(stack: ReadStack, held: automation.ConfigMap, key: str) -> str | None:
    if key not in held:
        return None
    return MASKED if held[key].secret or key in stack.config.secret_keys else _canonical(held[key].value)


def _quoted(text: str | None) -> str:
    return "nothing" if text is None else text if text == MASKED else shown(text)


def _canonical(text: str) -> str:
    """Write a structure as the stacks' files are read, every scalar as text; other texts stay as they are."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return json.dumps(_as_text(value), sort_keys=True) if isinstance(value, (dict, list)) else text


def _as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return value if isinstance(value, str) else json.dumps(value)


def _output_findings(stack: ReadStack, outputs: Mapping[str, Any]) -> Iterator[Finding]:
    """Compare a stack's outputs with the names that its resources have."""
    for name in OUTPUT_NAMES:
        if not outputs.get(name):
            yield _finding(stack, "missing-output", "the stack lacks this output; deploy it", key=name)
    if stack.problems or stack.config.secret_keys:
        return
    names = Names(stack.project.name, read_settings(stack.project.name, stack.config.values))
    try:
        account = Account.of(str(outputs.get("function_arn")), stack.config.values[REGION_KEY])
    except ValueError:
        expected = {"function_arn": f"the ARN of {names.function}"}
    else:
        expected = expected_outputs(names, account)
    for name, text in expected.items():
        output = str(outputs.get(name) or "")
        # A URL begins with a domain that depends on the region's partition, or with the emulator's address.
        if output and not (output.endswith(f"/{text}") if name.endswith("_url") else output == text):
            message = f"found {shown(output)}; allowed: {text}"
            yield _finding(stack, "malformed-output", message, key=name, found=output, allowed=text)


def expected_outputs(names: Names, account: Account) -> dict[str, str]:
    """Say what the outputs of a stack must be, by the names of its resources; of a URL, what it must end with."""
    bucket, table, function = names.payload_bucket(account.id), names.of("messages"), names.function
    queue, dead_letters = names.of("queue"), names.of("dead-letter-queue")
    return {
        "bucket_name": bucket,
        "bucket_arn": f"arn:{account.partition}:s3:::{bucket}",
        "table_name": table,
        "table_arn": account.arn("dynamodb", f"table/{table}"),
        "topic_arn": account.arn("sns", names.of("notifications")),
        "queue_url": f"{account.id}/{queue}",
        "queue_arn": account.arn("sqs", queue),
        "dlq_url": f"{account.id}/{dead_letters}",
        "dlq_arn": account.arn("sqs", dead_letters),
        "function_arn": account.arn("lambda", f"function:{function}"),
        "function_name": function,
        "lambda_role_arn": f"arn:{account.partition}:iam::{account.id}:role/{function}",
    }


def _resource_finding(stack: ReadStack, rule: str, resource: Resource) -> Finding:
    what = f"{resource.name} ({resource.type})"
    differences = ", ".join(map(_difference, resource.properties))
    messages = {
        "deleted": f"{what} was deleted, and not by an update",
        "changed": f"{what} was changed, and not by an update: {differences}",
    }
    planned = f"the next update would {resource.operation} {what}" + (f": {differences}" if differences else "")
    return _finding(stack, rule, messages.get(resource.operation, planned), key=resource.name)


def _difference(each: Property) -> str:
    return f"{each.path} is {each.found or 'not there'} instead of {each.expected or 'not there'}"
