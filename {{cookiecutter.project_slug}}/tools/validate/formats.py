"""A report written down: for people, for programs, for the annotations of a pull request."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tools.validate.report import Finding, Report, Setting, Value

LONGEST_CELL: Final = 40
LONGEST_LINE: Final = 1000
# Room that a line has when no terminal limits it: nothing is ever wrapped or cut off.
UNLIMITED_WIDTH: Final = 1_000_000
DIFFERENT: Final = "*"
# What a table's marks and margins take of the width besides the settings' names, and each further column's margin.
MARKS: Final = 5
MARGIN: Final = 2
STYLES: Final = {"error": "bold red", "warning": "yellow", "set": "", "default": "dim", "missing": "dim"}
LEGEND: Final = f"{DIFFERENT} the stacks differ; (value) a default of Pulumi.yaml; - not set; [secret] not shown"
# How a workflow command writes what would end it, or its properties:
# https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
ESCAPED: Final = {"%": "%25", "\r": "%0D", "\n": "%0A"}
ESCAPED_IN_PROPERTIES: Final = ESCAPED | {":": "%3A", ",": "%2C"}


def print_report(report: Report, console: Console) -> None:
    """Write a report for people: the comparison, what is deployed, what was found, and a line that sums it up.

    Args:
        report: The report.
        console: Where to; in a terminal there are colours, and as many stacks side by side as there is room for.
    """
    names = [stack.name for stack in report.stacks]
    if console.is_terminal:
        for group in _side_by_side(report, names, console.width):
            console.print(_table(report, group, box=SIMPLE_HEAD, pad_edge=False))
    elif names:
        console.width = UNLIMITED_WIDTH
        with console.capture() as capture:
            console.print(_table(report, names, box=None, pad_edge=False))
        console.file.writelines(f"{line.rstrip()}\n" for line in capture.get().splitlines())
    if names:
        console.print(Text(LEGEND, style="dim"), soft_wrap=True)
    for deployment in report.deployments or ():
        resources = [f"{len(deployment.drift)} drifted", f"{len(deployment.pending)} to be changed"]
        said = f": {', '.join(resources)}" if deployment.state == "deployed" else ""
        console.print(Text(f"{deployment.stack}: {deployment.state}{said}"), soft_wrap=True)
    for finding in report.findings:
        console.print(_line(finding), soft_wrap=True)
    console.print(Text(summary(report)), soft_wrap=True)


def to_json(report: Report) -> str:
    """Write a report as JSON, in ASCII, as ``report.schema.json`` describes it."""
    return json.dumps(report.model_dump(mode="json"), indent=2)


def to_github(report: Report, folder: Path) -> Iterator[str]:
    """Write what was found as GitHub's workflow commands, which annotate a pull request.

    Args:
        report: The report.
        folder: The project's folder, which need not be the repository's.

    Yields:
        A command for each finding, and a line that sums up.
    """
    workspace = Path(os.environ.get("GITHUB_WORKSPACE") or folder)
    # Windows has drives, between which there is no way.
    prefix = folder.relative_to(workspace) if folder.is_relative_to(workspace) else Path()
    for finding in report.findings:
        properties = {"title": finding.rule}
        if finding.file:
            properties = {"file": (prefix / finding.file).as_posix()} | properties
        if finding.line:
            properties["line"] = str(finding.line)
        written = ",".join(f"{name}={_escaped(value, ESCAPED_IN_PROPERTIES)}" for name, value in properties.items())
        yield f"::{finding.severity} {written}::{_escaped(_message(finding), ESCAPED)}"
    yield summary(report)


def _side_by_side(report: Report, names: Sequence[str], width: int) -> Iterator[Sequence[str]]:
    """Divide the stacks into groups that fit beside the keys."""
    left = width - max(len(_label(report, each)) for each in report.settings) - MARKS
    group: list[str] = []
    used = 0
    for name in names:
        needed = max(len(_printable(name)), *(len(_cell(each.values[name])) for each in report.settings)) + MARGIN
        if group and used + needed > left:
            yield group
            group, used = [], 0
        group.append(name)
        used += needed
    if group:
        yield group


def _table(report: Report, names: Sequence[str], **options: Any) -> Table:
    table = Table("", f"setting of {report.project}", **options)
    for name in names:
        table.add_column(Text(_printable(name)))
    for setting in report.settings:
        mark = DIFFERENT if setting.differs else ""
        values = [setting.values[name] for name in names]
        cells = [Text(_cell(value), style=STYLES[value.origin]) for value in values]
        table.add_row(mark, Text(_label(report, setting)), *cells, style="bold" if setting.differs else "")
    return table


def _label(report: Report, setting: Setting) -> str:
    """Name a setting without the namespace that most of them share."""
    return _printable(setting.key.removeprefix(f"{report.project}:"))


def _cell(value: Value) -> str:
    if value.origin == "missing":
        return "-"
    text = "[secret]" if value.secret else _printable(value.text or '""')
    text = text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 3]}..."
    return f"({text})" if value.origin == "default" else text


def _line(finding: Finding) -> Text:
    place = ":".join(str(part) for part in (finding.file, finding.line) if part is not None)
    stacks = "" if finding.file else f"{', '.join(finding.stacks)}: "
    line = Text(f"{_printable(place)}: " if place else "")
    line.append(finding.severity, style=STYLES[finding.severity])
    line.append(f": {stacks}{_message(finding)} [{finding.rule}]")
    return line


def _message(finding: Finding) -> str:
    text = _printable(f"{finding.key}: {finding.message}" if finding.key else finding.message)
    return text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}..."


def summary(report: Report) -> str:
    """Sum a report up in a line: how many stacks were compared, which were not, and what was found."""
    counted = {
        severity: sum(finding.severity == severity for finding in report.findings) for severity in ("error", "warning")
    }
    said = ", ".join(f"{count} {severity}{'' if count == 1 else 's'}" for severity, count in counted.items() if count)
    compared = f"{len(report.stacks)} stack{'' if len(report.stacks) == 1 else 's'} compared"
    unread = {stack for finding in report.findings if finding.rule == "unreadable-file" for stack in finding.stacks}
    left_out = f", not {', '.join(sorted(unread))}" if unread else ""
    return f"{compared}{left_out}: {said or 'nothing to say'}"


def _printable(text: str) -> str:
    """Write a text without what a terminal would obey, or what would make it read differently from what it is."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _escaped(text: str, characters: Mapping[str, str]) -> str:
    return "".join(characters.get(character, character) for character in text)
