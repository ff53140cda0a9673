"""The report of ``validate``, and its formats: text, JSON, and GitHub annotations."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, computed_field
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tools.project import printable

# Findings of these rules make the report incomplete.
UNREADABLE: Final = frozenset({"unreadable-file", "unreadable-stack"})
WIDEST: Final = 100_000
STYLES: Final = {"error": "bold red", "warning": "yellow"}
LEGEND: Final = "* the stacks differ; (value) a default of Pulumi.yaml; - not set; [secret] not shown"
# https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
ESCAPED: Final = str.maketrans({"%": "%25"})
ESCAPED_IN_PROPERTIES: Final = ESCAPED | str.maketrans({":": "%3A", ",": "%2C"})

Severity = Literal["error", "warning"]
State = Literal["deployed", "not-deployed", "unreadable"]


class Finding(BaseModel, frozen=True):
    """An error or a warning, at a line of a file in the project's folder.

    `key` names a configuration key with namespace, a section, an output or a resource, or is empty.
    """

    rule: str
    severity: Severity = "error"
    message: str
    stacks: tuple[str, ...] = ()
    file: str
    line: int = 1
    key: str = ""


class Setting(BaseModel, frozen=True):
    """A setting's values by stack: null if not set, ``[secret]`` if secret. `defaults` are stacks with the default."""

    key: str
    differs: bool
    values: dict[str, str | None]
    defaults: tuple[str, ...]


class Report(BaseModel, frozen=True):
    """The report of ``validate``. Stacks are in order of promotion; deployments are null without ``--live``.

    Increase `schema_version` with every incompatible change.
    """

    schema_version: Literal[2] = 2
    project: str
    stacks: tuple[str, ...]
    findings: tuple[Finding, ...]
    settings: tuple[Setting, ...]
    deployments: dict[str, State] | None = None

    @computed_field
    @property
    def status(self) -> Literal[0, 1, 2]:
        """Exit status: 0 for no problems or only warnings, 1 for an error, 2 for an unreadable file or stack."""
        if any(finding.rule in UNREADABLE for finding in self.findings):
            return 2
        return 1 if any(finding.severity == "error" for finding in self.findings) else 0


def print_report(report: Report, console: Console, *, quiet: bool = False) -> None:
    """Print a report as text; `quiet` omits the comparison. Lines wrap only in a terminal."""
    if report.stacks and not quiet:
        if not console.is_terminal:
            console.width = WIDEST
        console.print(_table(report))
        console.print(Text(LEGEND, style="dim"), soft_wrap=True)
    for finding in report.findings:
        severity = (finding.severity, STYLES[finding.severity])
        line = Text.assemble(f"{_place(finding)}: ", severity, f": {_message(finding)} [{finding.rule}]")
        console.print(line, soft_wrap=True)
    console.print(Text("\n".join(_summary(report))), soft_wrap=True)


def to_github(report: Report, folder: Path) -> Iterator[str]:
    """Format a report as GitHub workflow commands, which annotate the files, and a summary."""
    folder = folder.resolve()
    workspace = Path(os.environ.get("GITHUB_WORKSPACE") or folder).resolve()
    prefix = folder.relative_to(workspace) if folder.is_relative_to(workspace) else Path()
    for finding in report.findings:
        file = printable((prefix / finding.file).as_posix()).translate(ESCAPED_IN_PROPERTIES)
        message = _message(finding).translate(ESCAPED)
        yield f"::{finding.severity} file={file},line={finding.line},title={finding.rule}::{message}"
    yield from _summary(report)


def _summary(report: Report) -> Iterator[str]:
    """Yield the state of each deployment, and the numbers of stacks and findings."""
    yield from (f"{stack}: {state}" for stack, state in (report.deployments or {}).items())
    found = [each.severity for each in report.findings]
    counts = [_counted(found.count(severity), severity) for severity in STYLES if severity in found]
    unread = sorted(stack for each in report.findings if each.rule == "unreadable-file" for stack in each.stacks)
    left_out = f", not {', '.join(unread)}" if unread else ""
    yield f"{_counted(len(report.stacks), 'stack')} compared{left_out}: {', '.join(counts) or 'no problems found'}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False)
    for header in ("", f"setting of {printable(report.project)}", *report.stacks):
        table.add_column(Text(header), overflow="fold")
    for setting in report.settings:
        label = Text(printable(setting.key.removeprefix(f"{report.project}:")))
        mark, style = ("*", "bold") if setting.differs else ("", "")
        table.add_row(mark, label, *(_cell(setting, stack) for stack in report.stacks), style=style)
    return table


def _cell(setting: Setting, stack: str) -> Text:
    value = setting.values[stack]
    text = "-" if value is None else printable(value or '""')
    return Text(f"({text})", style="dim") if stack in setting.defaults else Text(text)


def _place(finding: Finding) -> str:
    return printable(f"{finding.file}:{finding.line}")


def _message(finding: Finding) -> str:
    return printable(f"{finding.key}: {finding.message}" if finding.key else finding.message)
