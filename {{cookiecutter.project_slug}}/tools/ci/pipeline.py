"""The tasks ``ci-preview``, ``ci-plan``, ``ci-deploy`` and ``ci-drift``, for one stack each.

Each writes what it has found out to ``build/ci/STACK.json`` and ``STACK.md``, and adds it to the job's summary.
"""

import json
import os
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from rich.console import Console

from tools.ci.bundles import provide_bundle
from tools.ci.changes import UnreadablePreviewError, drifted, read_preview
from tools.ci.failures import explain
from tools.ci.order import require_order
from tools.ci.records import Change, Record, Task, to_markdown
from tools.ci.roles import find_role, why_not
from tools.ci.stacks import Stack, find_stack
from tools.ci.system import FOLDER, is_on_ci, write_file, write_summary
from tools.local import INTEGRATION_TESTS
from tools.project import PROJECT_FOLDER, printable
from tools.pulumi_cli import find_pulumi, hear_engine, interruptible, run_to_its_end, save_outputs
from tools.validate import CannotValidateError, Finding, validate_configuration
from tools.validate.formats import print_report
from tools.validate.policies import PoliciesError, read_policies

# A person sets it to the name of a stack, for one run.
ALLOW_DATA_LOSS: Final = "CI_ALLOW_DATA_LOSS"
# Findings that say what was changed outside Pulumi, or that this cannot be known.
DRIFT: Final = frozenset({"drift", "unreadable-stack"})
# Findings that the next deployment settles.
BEFORE_DEPLOYMENT: Final = frozenset(
    {"pending-change", "config-differs", "missing-output", "malformed-output", "update-failed"}
)


@dataclass
class Attempt:
    """A task that is running, and what it has found out so far.

    Attributes:
        stack: The stack.
        state: How it ends.
        reason: Why, if it is skipped or fails.
        notes: What else a person should know.
        changes: The changes.
        is_deployed: Whether the stack is deployed, as far as is known.
    """

    stack: Stack
    state: Literal["done", "skipped", "failed"] = "done"
    reason: str = ""
    notes: list[str] = field(default_factory=list)
    changes: tuple[Change, ...] = ()
    is_deployed: bool = True


def preview(stack: str) -> None:
    """Find out what a deployment would change, without changing the state.

    Args:
        stack: Name of the stack.

    Raises:
        SystemExit: If it fails, with the reason. Without credentials it is skipped.
    """
    with _attempt("preview", stack) as attempt:
        if _has_credentials(attempt):
            _prepare(stack)
            attempt.changes = _previewed(stack, "--refresh")


def plan(stack: str) -> None:
    """Plan a deployment, unless a newer commit is deployed, there is drift, or data would be lost.

    Args:
        stack: Name of the stack.

    Raises:
        SystemExit: If there is no plan, with the reason.
    """
    path = _plan_file(stack)
    path.unlink(missing_ok=True)
    with _attempt("plan", stack) as attempt, _draft(path) as draft:
        if not _has_credentials(attempt):
            sys.exit(attempt.reason)
        _prepare(stack)
        replaced = require_order(stack)
        if replaced:
            attempt.notes.append(replaced)
        _require_no_drift(attempt)
        if not attempt.is_deployed:
            attempt.notes.append("not deployed yet, so there is no drift to find")
        attempt.changes = _previewed(stack, "--save-plan", str(draft))
        lost = [change.name for change in attempt.changes if change.loses_data]
        if lost and os.environ.get(ALLOW_DATA_LOSS) != stack:
            sys.exit(
                f"it would delete or replace what holds data: {', '.join(lost)}; allowed only in a run with "
                f"{ALLOW_DATA_LOSS}={stack}"
            )
        draft.replace(path)


def deploy(stack: str) -> None:
    """Deploy what was planned, write the outputs, test the stack, and check that it is as the program says.

    Nothing is deployed if something has changed outside Pulumi since the plan.

    Args:
        stack: Name of the stack.

    Raises:
        SystemExit: If a step fails, with the reason. The steps after it are not begun.
    """
    with _attempt("deploy", stack) as attempt:
        path = _plan_file(stack)
        if not path.is_file():
            sys.exit(f"{path.name} is not in {path.parent}; the task `ci-plan` writes it")
        _prepare(stack)
        # The approval may have taken days, and a plan does not bind the state that it starts from.
        _require_no_drift(attempt)
        # Only the preview before the update compares the program with the plan.
        finished = hear_engine("up", "--yes", "--plan", str(path), "--stack", stack)
        if finished.status:
            sys.exit(explain(finished, stack))
        attempt.notes.append("deployed")
        attempt.notes.append(f"{len(save_outputs(stack))} outputs")
        if run_to_its_end(INTEGRATION_TESTS):
            sys.exit("the integration tests failed; what was deployed stays deployed")
        attempt.notes.append("the integration tests passed")
        _require_none(_compare(attempt))
        attempt.notes.append("no drift")


def drift(stack: str) -> None:
    """Find out what was changed outside Pulumi, without changing the state.

    Args:
        stack: Name of the stack.

    Raises:
        SystemExit: If there is drift or it fails, with the reason. Without credentials, or a deployed stack, it is
            skipped.
    """
    with _attempt("drift", stack) as attempt:
        if _has_credentials(attempt):
            _prepare(stack)
            _require_none(finding for finding in _compare(attempt) if finding.rule in DRIFT)
            if not attempt.is_deployed:
                attempt.state, attempt.reason = "skipped", "it is not deployed"


@contextmanager
def _attempt(task: Task, name: str) -> Generator[Attempt]:
    """Record how a task ends.

    Raises:
        SystemExit: If it fails, with the reason in one line.
    """
    with interruptible(f"ci-{task}"):
        attempt = Attempt(find_stack(f"ci-{task}", name))
        try:
            yield attempt
        except SystemExit as error:
            attempt.state, attempt.reason = "failed", str(error.code)
        _write(
            Record(
                task=task,
                stack=name,
                state=attempt.state,
                reason=attempt.reason,
                notes=tuple(attempt.notes),
                changes=attempt.changes,
            )
        )
        if attempt.state == "failed":
            sys.exit(f"ci-{task}: {name}: {attempt.reason}")
        print(f"ci-{task}: {name}: {attempt.reason or attempt.state}")


def _write(record: Record) -> None:
    text = to_markdown(record)
    counts = record.counts
    write_file(f"{record.stack}.json", record.model_dump_json(indent=2) + "\n")
    write_file(f"{record.stack}.md", f"{text}\n")
    # https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsterraform
    shown = {
        "create": counts["create"] + counts["import"] + counts["replace"],
        "update": counts["update"],
        "delete": counts["delete"] + counts["replace"],
    }
    write_file(f"{record.stack}.terraform.json", f"{json.dumps(shown)}\n")
    write_summary(text)


def _has_credentials(attempt: Attempt) -> bool:
    """Whether this job has credentials that read; if not, it is skipped. Outside CI they are the person's."""
    if is_on_ci():
        attempt.reason = why_not(attempt.stack, find_role(attempt.stack, "preview"))
        attempt.state = "skipped" if attempt.reason else "done"
    return attempt.state == "done"


def _prepare(stack: str) -> None:
    find_pulumi()
    provide_bundle(stack)


def _plan_file(stack: str) -> Path:
    return FOLDER / f"{stack}.plan.json"


@contextmanager
def _draft(path: Path) -> Generator[Path]:
    """Give a plan another name until it is accepted: `deploy` must not find one that is not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.draft")
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _data_types() -> frozenset[str]:
    try:
        return frozenset(read_policies(PROJECT_FOLDER).data.types)
    except PoliciesError as error:
        sys.exit(str(error))


def _previewed(stack: str, *options: str) -> tuple[Change, ...]:
    """Preview a deployment, and return what it would change."""
    types = _data_types()
    finished = hear_engine("preview", "--json", *options, "--stack", stack, is_quiet=True)
    if finished.status:
        sys.exit(explain(finished, stack))
    try:
        return read_preview(finished.output, types)
    except UnreadablePreviewError as error:
        sys.exit(str(error))


def _compare(attempt: Attempt) -> tuple[Finding, ...]:
    """Compare a stack with its file and with what is deployed. The attempt's changes are then the drift.

    Returns:
        The findings. They are printed, too.
    """
    types = _data_types()
    try:
        report = validate_configuration(stacks=attempt.stack.name, live=True, strict=True)
    except CannotValidateError as error:
        sys.exit(str(error))
    print_report(report, Console(), quiet=True)
    for deployment in report.deployments or ():
        attempt.is_deployed = deployment.state != "not-deployed"
        if deployment.pending:
            attempt.notes.append(f"resources that wait for the next deployment: {len(deployment.pending)}")
        attempt.changes = drifted(deployment.drift, types)
    return report.findings


def _require_no_drift(attempt: Attempt) -> None:
    """Accept only findings that the deployment settles."""
    _require_none(finding for finding in _compare(attempt) if finding.rule not in BEFORE_DEPLOYMENT)


def _require_none(findings: Iterable[Finding]) -> None:
    """Accept no finding.

    Raises:
        SystemExit: If there is one. The line has no values, unless it says why a stack cannot be read.
    """
    found = list(findings)
    unreadable = [finding.message for finding in found if finding.rule == "unreadable-stack"]
    if unreadable:
        sys.exit(printable(unreadable[0]))
    drifting = ", ".join(str(finding.key) for finding in found if finding.rule == "drift")
    if drifting:
        sys.exit(f"changed outside Pulumi: {drifting}; revert it, or take it over with `pulumi refresh`")
    if found:
        rules = ", ".join(sorted({finding.rule for finding in found}))
        sys.exit(f"`validate --live --strict` lists above what is wrong: {rules}")
