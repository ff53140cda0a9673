"""The command-line interface of ``validate``."""

import argparse
import io
import os
import sys
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, cast

from rich.console import Console

from tools.project import DECLARATION, PROJECT_FOLDER, DocumentError, read_project, run_prefix
from tools.pulumi_cli import interruptible
from tools.validate.live import inspect_stack
from tools.validate.policies import ENVIRONMENTS, PoliciesError, read_policies
from tools.validate.report import Finding, Report, print_report, to_github
from tools.validate.rules import CheckedStack, apply_rules, check_stack, compare, merged

DESCRIPTION: Final = "Compare the stack files with each other, with policies.toml, and with the deployed stacks."
EPILOG: Final = """\
exit status: 0 no problems, or only warnings, 1 an error was found, 2 wrong usage, or a file or stack is unreadable

examples:
  {run} validate
  {run} validate staging prod --strict
  {run} validate --live
"""


def main(arguments: Sequence[str] | None = None, folder: Path = PROJECT_FOLDER, today: date | None = None) -> int:
    """Validate a project, print the report, and return the exit status.

    Raises:
        SystemExit: If the arguments are wrong, or the project or its policies cannot be read (status 2).
    """
    parser = _parser(folder)
    options = parser.parse_args(arguments)
    with interruptible("validate"):
        try:
            day = today or datetime.now(tz=UTC).date()
            report = validate(folder, options.stacks, day, live=options.live, strict=options.strict)
        except (DocumentError, PoliciesError) as error:
            parser.exit(2, "".join(f"validate: {line}\n" for line in str(error).splitlines()))
    # Escape characters that the encoding lacks: on Windows, pipes have a legacy encoding.
    cast(io.TextIOWrapper, sys.stdout).reconfigure(errors="backslashreplace")
    try:
        print(_formatted(report, folder, options), flush=True)
    except BrokenPipeError:
        # The reader, such as `head`, closed the pipe: https://docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return report.status


def validate(folder: Path, names: Collection[str], today: date, *, live: bool = False, strict: bool = False) -> Report:
    """Check a project's stack files against each other, the policies and, if `live`, the deployed stacks.

    The report covers the stacks in `names`. If empty: all, but not the settings of the local stack. The rules read all
    stacks. `strict` treats warnings as errors.

    Raises:
        DocumentError, PoliciesError: If Pulumi.yaml or policies.toml cannot be read.
    """
    project, policies = read_project(folder), read_policies(folder)
    stacks: list[CheckedStack] = []
    findings: list[Finding] = []
    for name in {*project.stacks, *names}:
        try:
            stacks.append(check_stack(project, name, policies))
        except DocumentError as error:
            unread = Finding(
                rule="unreadable-file", message=error.problem, stacks=(name,), file=error.file, line=error.line or 1
            )
            findings.append(unread)
    stacks.sort(key=lambda stack: ([*ENVIRONMENTS, ""].index(stack.environment), stack.name))
    findings += apply_rules(project, stacks, policies, today)
    chosen = [stack for stack in stacks if (stack.name in names if names else stack.name != DECLARATION.local)]
    inspected = {stack.name: inspect_stack(stack, policies.drift) for stack in chosen} if live else {}
    findings += [finding for _, found in inspected.values() for finding in found]
    return Report(
        project=project.name,
        stacks=tuple(stack.name for stack in chosen),
        findings=tuple(
            finding.model_copy(update={"severity": "error"}) if strict else finding
            for finding in merged(findings)
            if not names or {*names} & {*finding.stacks}
        ),
        settings=tuple(compare(project.name, chosen)),
        deployments={stack: state for stack, (state, _) in inspected.items()} if live else None,
    )


def _formatted(report: Report, folder: Path, options: argparse.Namespace) -> str:
    if options.format == "json":
        return report.model_dump_json(indent=2, ensure_ascii=True)
    if options.format == "text":
        console = Console()
        with console.capture() as captured:
            print_report(report, console, quiet=options.quiet)
        return captured.get().rstrip("\n")
    return "\n".join(to_github(report, folder))


def _parser(folder: Path) -> argparse.ArgumentParser:
    run = run_prefix(folder)
    parser = argparse.ArgumentParser(
        prog=f"{run} validate",
        description=DESCRIPTION,
        epilog=EPILOG.format(run=run),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    stacks = "stacks to report on, compared with all; by default all, without the local stack's settings"
    parser.add_argument("stacks", nargs="*", metavar="STACK", help=stacks)
    live = "also check the deployed stacks; needs the Pulumi CLI and changes nothing"
    parser.add_argument("--live", action="store_true", help=live)
    parser.add_argument("--strict", action="store_true", help="treat warnings as errors")
    parser.add_argument("--quiet", action="store_true", help="print only the problems, without the comparison")
    formats = ("text", "json", "github")
    parser.add_argument("--format", choices=formats, default="text", help="format of the report; text by default")
    return parser
