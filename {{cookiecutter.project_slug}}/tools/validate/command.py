"""The command line of ``validate``."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import cast

from rich.console import Console

from tools.project import PROJECT_FOLDER, printable, run_prefix
from tools.pulumi_cli import interruptible
from tools.validate.configuration import CannotValidateError, validate_configuration
from tools.validate.formats import print_report, to_github, to_json, to_markdown
from tools.validate.report import Report, Status

DESCRIPTION = (
    "Compare the stack files with each other and with policies.toml, and the deployed stacks with their files."
)
EPILOG = """\
exit status:
  0  no problems found, or warnings only
  1  an error was found
  2  wrong usage, or something could not be read

examples:
  {run} validate
  {run} validate --stack staging --stack prod --strict
  {run} validate --live
  {run} validate --format json > report.json
  {run} validate --format github
  {run} validate --date 2027-06-01
"""


class _Console(Console):
    """A rich console that lets `main` handle a closed pipe."""

    def on_broken_pipe(self) -> None:
        """Report the closed pipe to `main`.

        Raises:
            BrokenPipeError: Always.
        """
        raise BrokenPipeError


def main(arguments: Sequence[str] | None = None, folder: Path = PROJECT_FOLDER) -> int:
    """Validate, and print the report.

    Args:
        arguments: The command-line arguments; by default those of the process.
        folder: The project's folder.

    Returns:
        The exit status, one of `Status`.

    Raises:
        SystemExit: If the arguments are wrong (status 2) or ask for help.
    """
    options = _parser(folder).parse_args(arguments)
    # Escape characters that the encoding lacks: on Windows, pipes have a legacy encoding.
    for stream in (sys.stdout, sys.stderr):
        cast(io.TextIOWrapper, stream).reconfigure(errors="backslashreplace")
    with interruptible("validate"):
        try:
            report = validate_configuration(
                folder, stacks=options.stack, live=options.live, strict=options.strict, today=options.date
            )
        except CannotValidateError as error:
            print("\n".join(f"validate: {printable(line)}" for line in str(error).splitlines()), file=sys.stderr)
            return Status.NOT_VALIDATED.value
    try:
        _write(report, folder, options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as `head`, closed the pipe: https://docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"validate: the report cannot be written: {error.strerror}", file=sys.stderr)
        return Status.NOT_VALIDATED.value
    return report.status


def _write(report: Report, folder: Path, options: argparse.Namespace) -> None:
    """Print the report in the requested format."""
    if options.format == "json":
        print(to_json(report))
    elif options.format == "github":
        print(*to_github(report, folder), sep="\n")
    elif options.format == "markdown":
        print(*to_markdown(report), sep="\n")
    else:
        # Any non-empty value counts: https://no-color.org
        plain = options.no_color or bool(os.environ.get("NO_COLOR"))
        print_report(report, _Console(color_system=None if plain else "auto"), quiet=options.quiet)


def _parser(folder: Path) -> argparse.ArgumentParser:
    run = run_prefix(folder)
    parser = argparse.ArgumentParser(
        prog=f"{run} validate",
        description=DESCRIPTION,
        epilog=EPILOG.format(run=run),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--stack",
        action="append",
        default=[],
        metavar="NAME",
        help="report on this stack only, compared with all; repeatable; the local stack is shown only if named",
    )
    parser.add_argument(
        "--live", action="store_true", help="also check the deployed stacks; needs the Pulumi CLI and changes nothing"
    )
    parser.add_argument("--strict", action="store_true", help="treat warnings as errors")
    parser.add_argument("--quiet", action="store_true", help="print only the problems, without the comparison")
    parser.add_argument(
        "--format",
        choices=("text", "json", "github", "markdown"),
        default="text",
        help="format of the report; text by default",
    )
    parser.add_argument(
        "--no-color", action="store_true", help="no colours; the environment variable NO_COLOR does the same"
    )
    parser.add_argument(
        "--date",
        type=_date,
        metavar="YYYY-MM-DD",
        help="check the runtimes' support as of this date; today by default",
    )
    return parser


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"found {text!r}; allowed: a date like 2027-06-01") from error
