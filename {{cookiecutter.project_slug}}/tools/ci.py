"""Previews, plans or deploys a stack, or detects its drift: the task ``ci``.

The result goes to the log, the job summary, and ``build/ci/STACK.md``, for comments and issues.
"""

import dataclasses
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

from pulumi import automation

from tools.local import INTEGRATION_TESTS
from tools.markdown import code
from tools.package import BUILD_FOLDER
from tools.preview import Change, Preview, PreviewError, opened_stack, preview_stack
from tools.project import DECLARATION, PROJECT_FOLDER, DocumentError, nearest, read_project, shown
from tools.pulumi_cli import interruptible, run_to_completion, save_outputs
from tools.validate.policies import DriftPolicy, Policies, PoliciesError, read_policies

FOLDER: Final = BUILD_FOLDER / "ci"
# Overrides for one run: set the variable to the stack's name.
ALLOW_DATA_LOSS: Final = "CI_ALLOW_DATA_LOSS"
ALLOW_DRIFT: Final = "CI_ALLOW_DRIFT"
# Keeps comments below GitHub's limit of 65,536 characters: https://docs.github.com/en/rest/issues/comments
LONGEST_LIST: Final = 100
NEW_PLAN: Final = "re-run all jobs, or on GitLab run a new pipeline"
# The Pulumi CLI's messages for a deployment that violates the saved plan.
VIOLATION: Final = re.compile(
    r"(?P<before>\S*) *error: (?P<message>.*(?:violates plan|not allowed by the plan|no plan for resource"
    r"|expected resource operations for).*)"
)
URN_NAME: Final = re.compile(r"urn:pulumi:\S+::(?P<name>[^\s:]+)")


def main(command: str, stack: str) -> None:
    """Run one of `COMMANDS` for a stack: the task ``ci``.

    Raises:
        SystemExit: If the command fails, with the reason in one line.
    """
    with interruptible("ci"):
        _check_name("command", command, COMMANDS)
        try:
            _check_name("stack", stack, [name for name in read_project().stacks if name != DECLARATION.local])
        except DocumentError as error:
            sys.exit(f"ci: {error}")
        title, run = COMMANDS[command]
        FOLDER.mkdir(parents=True, exist_ok=True)
        lines: list[str] = []
        failure = ""
        try:
            result = run(stack, lines)
        except (PoliciesError, PreviewError, SystemExit) as error:
            failure = "; ".join(str(error).splitlines())
            result = f"**failed**: {code(failure)}"
        _write(stack, [f"### {title}: {code(stack)}", "", result, "", *lines])
        if failure:
            sys.exit(f"ci: {command} {stack}: {failure}")


def _check_name(kind: str, name: str, allowed: Collection[str]) -> None:
    if name not in allowed:
        close = nearest(name, allowed)
        suggestion = f"did you mean {close}? " if close else ""
        sys.exit(f"ci: there is no {kind} {shown(name)}; {suggestion}allowed: {', '.join(allowed)}")


def _write(stack: str, lines: Sequence[str]) -> None:
    text = "\n".join(lines).rstrip() + "\n"
    print(text)
    (FOLDER / f"{stack}.md").write_text(text, encoding="utf-8")
    summary = Path(os.environ.get("GITHUB_STEP_SUMMARY") or FOLDER / "summary.md")
    with summary.open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def _preview(stack: str, lines: list[str]) -> str:
    preview, policies = _inspect(stack)
    lines += _described(preview, policies.stateful.types)
    return _counted(stack, preview)


def _plan(stack: str, lines: list[str]) -> str:
    """Save a plan. Unless overridden, refuse drift that ``policies.toml`` does not list, and the loss of data."""
    plan = _plan_file(stack)
    draft = plan.with_suffix(".draft")
    plan.unlink(missing_ok=True)
    try:
        preview, policies = _inspect(stack, draft)
        lines += _described(preview, policies.stateful.types)
        repairable, refused = _sort_drift(preview.drift, policies.drift)
        if refused and os.environ.get(ALLOW_DRIFT) != stack:
            sys.exit(f"{_refusal(refused)}; or overwrite the drift {_allowed(ALLOW_DRIFT, stack)}")
        if repairable or refused:
            lines.append(f"- repairs drift: {', '.join(map(code, repairable + refused))}")
        lost = [each.name for each in preview.pending if _loses_data(each, policies.stateful.types)]
        if lost and os.environ.get(ALLOW_DATA_LOSS) != stack:
            sys.exit(
                f"the plan deletes or replaces stateful resources: {', '.join(lost)}; allow this "
                f"{_allowed(ALLOW_DATA_LOSS, stack)}"
            )
        # `deploy` must never find a refused plan.
        draft.replace(plan)
    finally:
        draft.unlink(missing_ok=True)
    return _counted(stack, preview)


def _deploy(stack: str, lines: list[str]) -> str:
    """Deploy the saved plan, write the outputs, and run the integration tests."""
    plan = _plan_file(stack)
    if not plan.is_file():
        sys.exit(f"{plan.name} is not in {plan.parent}; {NEW_PLAN}")
    with opened_stack(stack) as opened:
        try:
            opened.up(refresh=True, plan=str(plan), color="never", on_output=print, show_secrets=False)
        except automation.CommandError as error:
            violation = VIOLATION.search(str(error))
            if not violation:
                raise
            urn = URN_NAME.search(violation["message"])
            name = urn["name"] if urn else violation["before"]
            print(error, file=sys.stderr)
            sys.exit(f"{name} violates the saved plan; {NEW_PLAN}")
    lines.append(f"- {len(save_outputs(stack))} outputs")
    if run_to_completion(INTEGRATION_TESTS):
        sys.exit("the integration tests failed; the deployment is not rolled back")
    return "deployed, and the integration tests passed"


def _drift(stack: str, lines: list[str]) -> str:
    preview, policies = _inspect(stack)
    lines += _described(dataclasses.replace(preview, pending=()))
    if not preview.is_deployed:
        return "skipped: the stack is not deployed"
    repairable, refused = _sort_drift(preview.drift, policies.drift)
    if refused:
        sys.exit(_refusal(refused))
    return f"the next deployment repairs {', '.join(map(code, repairable))}" if repairable else "no drift"


def _plan_file(stack: str) -> Path:
    return FOLDER / f"{stack}.plan.json"


def _inspect(stack: str, plan: Path | None = None) -> tuple[Preview, Policies]:
    """Return a stack's preview without ignored drift, and the policies."""
    policies = read_policies(PROJECT_FOLDER)
    preview = preview_stack(stack, plan=plan)
    return dataclasses.replace(preview, drift=policies.drift.without_ignored(preview.drift)), policies


def _sort_drift(changes: Sequence[Change], policy: DriftPolicy) -> tuple[list[str], list[str]]:
    """Return the drift that deployments may repair, and the refused drift."""
    repairable, refused = [], []
    for change in changes:
        for path in [each.path for each in change.properties] or [""]:
            drift = repairable if policy.repairs(change.type, path) else refused
            drift.append(f"{change.name} ({path or 'deleted'})")
    return repairable, refused


def _refusal(refused: Sequence[str]) -> str:
    return (
        f"changed outside Pulumi: {', '.join(refused)}; revert the drift, or list it in policies.toml under [drift]: "
        "as `repair` if deployments may revert it, as `ignore` if AWS causes it"
    )


def _allowed(variable: str, stack: str) -> str:
    name = variable.removeprefix("CI_").lower() if "GITHUB_ACTIONS" in os.environ else variable
    return f"in a new run, started by hand with {name}={stack}"


def _described(preview: Preview, stateful: Collection[str] = ()) -> Iterator[str]:
    """Yield Markdown lines that describe a preview, without property values, which may be confidential."""
    yield from (f"- {note}" for note in preview.notes)
    lines = [f"- {code(each.name)} was {each.operation} outside Pulumi{_paths(each)}" for each in preview.drift]
    for change in preview.pending:
        mark = "**" if _loses_data(change, stateful) else ""
        lines.append(f"- {mark}will {change.operation} {code(change.name)}{mark}{_paths(change)}")
    yield from lines[:LONGEST_LIST]
    if len(lines) > LONGEST_LIST:
        yield f"- and {len(lines) - LONGEST_LIST} more"


def _paths(change: Change) -> str:
    return f" ({', '.join(code(each.path) for each in change.properties)})" if change.properties else ""


def _loses_data(change: Change, stateful: Collection[str]) -> bool:
    return change.operation in {"delete", "replace"} and change.type in stateful


def _counted(stack: str, preview: Preview) -> str:
    """Return the numbers of pending changes as text, and write them as GitLab's Terraform report.

    https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsterraform
    """
    counts = Counter(change.operation for change in preview.pending)
    widget = {operation: counts[operation] for operation in ("create", "update", "delete")}
    widget["create"] += counts["import"] + counts["replace"]
    widget["delete"] += counts["replace"]
    (FOLDER / f"{stack}.terraform.json").write_text(json.dumps(widget), encoding="utf-8")
    return ", ".join(f"{count} to {operation}" for operation, count in counts.items()) or "no changes"


COMMANDS: Final[dict[str, tuple[str, Callable[[str, list[str]], str]]]] = {
    "preview": ("Preview", _preview),
    "plan": ("Planned changes", _plan),
    "deploy": ("Deployment", _deploy),
    "drift": ("Drift", _drift),
}
