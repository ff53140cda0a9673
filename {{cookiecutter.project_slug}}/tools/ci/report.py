"""The ``ci-report`` task: tells people what the other tasks have found out about all stacks."""

import re
import sys
from collections.abc import Sequence
from typing import Final, Literal, get_args

from tools.ci import github
from tools.ci.records import TITLES, Record, overview, read_record, to_markdown
from tools.ci.stacks import find_stacks
from tools.ci.system import is_on_github, read_variable, write_summary
from tools.project import shown
from tools.pulumi_cli import interruptible

Kind = Literal["preview", "drift"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
TASK: Final = "ci-report"
MARKER: Final = "<!-- ci-report {kind} {project} -->"
TITLE: Final = "Drift: "
PULL_REQUEST: Final = re.compile(r"refs/pull/(?P<number>[0-9]+)/merge")
REPOSITORY: Final = "the repository, as OWNER/NAME"


def report(kind: str) -> None:
    """Tell people about the previews or the drift of all stacks, once for each pull request or repository.

    On GitHub, previews are one comment of the pull request, and drift is one issue, which is closed once none is left.
    Elsewhere, both are in the summary only.

    Args:
        kind: ``preview`` or ``drift``.

    Raises:
        SystemExit: If GitHub cannot be told, with the reason.
    """
    if kind not in KINDS:
        sys.exit(f"{TASK}: found {shown(kind)}; allowed: {' or '.join(KINDS)}")
    with interruptible(TASK):
        records, body = _read(kind)
        write_summary(body)
        if is_on_github():
            if kind == "preview":
                _comment(body)
            else:
                _raise_issue(records, body)


def _read(kind: Kind) -> tuple[list[Record], str]:
    """Read the records of all stacks, and write the text about them."""
    stacks = find_stacks(TASK)
    records = [read_record(kind, stack.name) for stack in stacks]
    marker = MARKER.format(kind=kind, project="".join(sorted({stack.project for stack in stacks})))
    details = [to_markdown(record) for record in records if record.changes or record.notes]
    lines = [marker, f"## {TITLES[kind]}", "", *overview(records), *(f"\n{each}" for each in details)]
    return records, "\n".join(lines)


def _comment(body: str) -> None:
    """Write or update the comment of the pull request."""
    repository = read_variable(TASK, "GITHUB_REPOSITORY", REPOSITORY)
    reference = read_variable(TASK, "GITHUB_REF", "the merge of a pull request, refs/pull/NUMBER/merge")
    match = PULL_REQUEST.fullmatch(reference)
    if match is None:
        sys.exit(f"{TASK}: GITHUB_REF is {shown(reference)}; allowed: refs/pull/NUMBER/merge")
    path = f"repos/{repository}/issues/{match['number']}/comments"
    try:
        said = _keep(path, f"{path}?per_page=100", f"repos/{repository}/issues/comments/{{id}}", body)
    except github.ReadOnlyTokenError:
        said = "not written: this job's token may not, as always for a fork and for Dependabot; the summary has it"
    print(f"{TASK}: the comment is {said}")


def _raise_issue(records: Sequence[Record], body: str) -> None:
    """Write or update the issue; close it if no stack has drift. Those that it names must have been read."""
    repository = read_variable(TASK, "GITHUB_REPOSITORY", REPOSITORY)
    path = f"repos/{repository}/issues"
    listed = f"{path}?state=open&per_page=100"
    affected = [record.stack for record in records if record.state == "failed"]
    if affected:
        said = _keep(path, listed, f"{path}/{{number}}", body, title=TITLE + ", ".join(affected))
    else:
        issue = github.find_marked(listed, body.partition("\n")[0])
        named = issue["title"].removeprefix(TITLE).split(", ") if issue else []
        unread = [record.stack for record in records if record.state == "skipped" and record.stack in named]
        said = f"left open: {', '.join(unread)} was not read" if unread else "closed" if issue else "not needed"
        if issue and not unread:
            content = {"body": github.fit(body), "state": "closed", "state_reason": "completed"}
            github.call("PATCH", f"{path}/{issue['number']}", content)
    print(f"{TASK}: the issue is {said}")


def _keep(path: str, listed: str, each: str, body: str, **more: str) -> str:
    """Create a comment or an issue, or update the one that exists, unless it says the same already.

    Args:
        path: Where to create it.
        listed: The list to find it in.
        each: The path of one of them.
        body: Its text, with the marker as its first line.
        more: Its other fields.

    Returns:
        What was done.
    """
    content = {"body": github.fit(body)} | more
    existing = github.find_marked(listed, body.partition("\n")[0])
    if existing is None:
        github.call("POST", path, content)
        return "created"
    if all(existing[name] == value for name, value in content.items()):
        return "up to date"
    github.call("PATCH", each.format(**existing), content)
    return "updated"
