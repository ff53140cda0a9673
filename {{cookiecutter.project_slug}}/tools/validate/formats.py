"""Formats a report: as text, as JSON, as Markdown, and as annotations of a pull request."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tools import markdown
from tools.project import printable
from tools.validate.report import Finding, Report, Setting, Value

LONGEST_CELL: Final = 40
LONGEST_PIPED_CELL: Final = 200
LONGEST_LABEL: Final = 80
LONGEST_LINE: Final = 1000
DIFFERENT: Final = "*"
# Width of a table's marks and margins beside the settings' names, and the margin of each further column.
MARKS: Final = 5
MARGIN: Final = 2
NARROWEST: Final = 60
STYLES: Final = {"error": "bold red", "warning": "yellow", "set": "", "default": "dim", "missing": "dim"}
LEGEND: Final = f"{DIFFERENT} the stacks differ; (value) a default of Pulumi.yaml; - not set; [secret] not shown"
# Escapes in GitHub's workflow commands, and in their properties:
# https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
ESCAPED: Final = {"%": "%25"}
ESCAPED_IN_PROPERTIES: Final = ESCAPED | {":": "%3A", ",": "%2C"}


def print_report(report: Report, console: Console, *, quiet: bool = False) -> None:
    """Print a report as text: the comparison, the deployments, the findings, and a summary.

    Args:
        report: The report.
        console: The output. In a terminal it has colours, and as many stacks side by side as fit.
        quiet: Whether to omit the comparison.
    """
    names = [] if quiet else [stack.name for stack in report.stacks]
    if console.is_terminal:
        console.width = max(console.width, NARROWEST)
        for group in _side_by_side(report, names, console.width):
            console.print(_table(report, group))
    elif names:
        console.file.writelines(f"{line}\n" for line in _plain_table(report, names))
    if names:
        console.print(Text(LEGEND, style="dim"), soft_wrap=True)
    for line in _deployments(report):
        console.print(Text(line), soft_wrap=True)
    for finding in report.findings:
        console.print(_line(finding), soft_wrap=True)
    console.print(Text(summary(report)), soft_wrap=True)


def to_json(report: Report) -> str:
    """Return a report as ASCII JSON, described by ``report.schema.json``."""
    return json.dumps(report.model_dump(mode="json"), indent=2)


def to_github(report: Report, folder: Path) -> Iterator[str]:
    """Format the findings as GitHub's workflow commands, which annotate a pull request.

    Args:
        report: The report.
        folder: The project's folder, which can be a folder inside the repository.

    Yields:
        A command for each finding, then the summary.
    """
    folder = folder.resolve()
    workspace = Path(os.environ.get("GITHUB_WORKSPACE") or folder).resolve()
    # On Windows, there is no relative path between two drives.
    prefix = folder.relative_to(workspace) if folder.is_relative_to(workspace) else Path()
    for finding in report.findings:
        properties = {"title": finding.rule}
        if finding.file:
            properties = {"file": printable((prefix / finding.file).as_posix())} | properties
        if finding.line:
            properties["line"] = str(finding.line)
        written = ",".join(f"{name}={_escaped(value, ESCAPED_IN_PROPERTIES)}" for name, value in properties.items())
        yield f"::{finding.severity} {written}::{_escaped(_message(finding), ESCAPED)}"
    yield summary(report)


def to_markdown(report: Report) -> Iterator[str]:
    """Format the deployments and the findings as Markdown.

    Yields:
        A line for each deployment, a table of the findings, if there are any, and the summary.
    """
    for line in _deployments(report):
        yield from (line, "")
    if report.findings:
        yield from markdown.table(
            ("severity", "place", "finding", "rule"),
            (
                (each.severity, markdown.code(_place(each)), markdown.code(_message(each)), markdown.code(each.rule))
                for each in report.findings
            ),
        )
        yield ""
    yield summary(report)


def summary(report: Report) -> str:
    """Summarize a report in one line: stacks compared, stacks that could not be read, and the findings."""
    counted = {
        severity: sum(finding.severity == severity for finding in report.findings) for severity in ("error", "warning")
    }
    said = ", ".join(f"{count} {severity}{'' if count == 1 else 's'}" for severity, count in counted.items() if count)
    compared = f"{len(report.stacks)} stack{'' if len(report.stacks) == 1 else 's'} compared"
    unread = {stack for finding in report.findings if finding.rule == "unreadable-file" for stack in finding.stacks}
    left_out = f", not {', '.join(sorted(unread))}" if unread else ""
    return f"{compared}{left_out}: {said or 'no problems found'}"


def _side_by_side(report: Report, names: Sequence[str], width: int) -> Iterator[Sequence[str]]:
    """Split the stacks into groups that fit the width beside the settings' names."""
    left = width - max(len(_label(report, each)) for each in report.settings) - MARKS
    group: list[str] = []
    used = 0
    for name in names:
        needed = max(len(name), *(len(_short(_cell(each.values[name]))) for each in report.settings)) + MARGIN
        if group and used + needed > left:
            yield group
            group, used = [], 0
        group.append(name)
        used += needed
    if group:
        yield group


def _table(report: Report, names: Sequence[str]) -> Table:
    table = Table("", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for header in (_title(report), *names):
        table.add_column(Text(header))
    for setting in report.settings:
        values = [setting.values[name] for name in names]
        cells = [Text(_short(_cell(value)), style=STYLES[value.origin]) for value in values]
        table.add_row(_mark(setting), Text(_label(report, setting)), *cells, style="bold" if setting.differs else "")
    return table


def _plain_table(report: Report, names: Sequence[str]) -> Iterator[str]:
    """Align the settings in columns; only extremely long values are cut."""
    rows = [["", _title(report), *names]]
    rows += [
        [
            _mark(setting),
            _label(report, setting),
            *(_short(_cell(setting.values[name]), LONGEST_PIPED_CELL) for name in names),
        ]
        for setting in report.settings
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _title(report: Report) -> str:
    return f"setting of {printable(report.project)}"


def _mark(setting: Setting) -> str:
    return DIFFERENT if setting.differs else ""


def _label(report: Report, setting: Setting) -> str:
    """Return a setting's key without the project's namespace."""
    return printable(setting.key.removeprefix(f"{report.project}:"))[:LONGEST_LABEL]


def _cell(value: Value) -> str:
    if value.origin == "missing":
        return "-"
    text = "[secret]" if value.secret else printable(value.text or '""')
    return f"({text})" if value.origin == "default" else text


def _short(text: str, longest: int = LONGEST_CELL) -> str:
    """Shorten the middle of a text that is too long for a column: values often differ at the end."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[: half - 3]}...{text[-half:]}"


def _deployments(report: Report) -> Iterator[str]:
    """Describe each deployment in one line."""
    for deployment in report.deployments or ():
        resources = [f"{len(deployment.drift)} drifted", f"{len(deployment.pending)} to be changed"]
        said = f": {', '.join(resources)}" if deployment.state == "deployed" else ""
        yield f"{deployment.stack}: {deployment.state}{said}"


def _place(finding: Finding) -> str:
    """Return the place of a finding: the line, the file, or the stacks."""
    place = ":".join(str(part) for part in (finding.file, finding.line) if part is not None)
    return place or ", ".join(finding.stacks)


def _line(finding: Finding) -> Text:
    stacks = f"{printable(', '.join(finding.stacks))}: " if finding.stacks and not finding.file else ""
    line = Text(f"{printable(_place(finding))}: " if finding.file else "")
    line.append(finding.severity, style=STYLES[finding.severity])
    line.append(f": {stacks}{_message(finding)} [{finding.rule}]")
    return line


def _message(finding: Finding) -> str:
    text = printable(f"{finding.key}: {finding.message}" if finding.key else finding.message)
    return text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}..."


def _escaped(text: str, characters: Mapping[str, str]) -> str:
    return "".join(characters.get(character, character) for character in text)
