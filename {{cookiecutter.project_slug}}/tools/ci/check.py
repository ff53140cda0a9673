"""The ``ci-check`` task: every check of the project, on a machine that has nothing but the repository."""

import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from typing import Final

from rich.console import Console

from tools.ci.system import is_on_github, write_summary
from tools.markdown import code, table
from tools.project import PROJECT_FOLDER
from tools.pulumi_cli import interruptible, run_to_its_end
from tools.validate import CannotValidateError, validate_configuration
from tools.validate.formats import print_report, to_github, to_markdown

TASK: Final = "ci-check"
COVERAGE_FILE: Final = "coverage/coverage-summary.json"
# These steps come after the tasks of `check`, with the annotations and the emulator that a push does without.
VALIDATE: Final = "validate"
LAST: Final = "test-local"


def check() -> None:
    """Run every check, also after one has failed, and write the summary.

    Raises:
        SystemExit: If a check fails.
    """
    with interruptible(TASK):
        coverage = PROJECT_FOLDER / COVERAGE_FILE
        coverage.unlink(missing_ok=True)
        results = {name.lstrip("_"): _passes(name) for name in _tasks()}
        results[VALIDATE], findings = _validate()
        results[LAST] = _passes(LAST)
        covered = _covered(coverage.read_text(encoding="utf-8")) if coverage.exists() else "Coverage: not measured"
        write_summary("\n".join([*_summary(results), "", covered, "", *findings]))
        failed = [name for name, passed in results.items() if not passed]
        if failed:
            sys.exit(f"{TASK}: failed: {', '.join(failed)}")
        print(f"{TASK}: passed")


def _tasks() -> list[str]:
    """List the tasks that the task `check` runs, without its shorter validation."""
    tasks = tomllib.loads((PROJECT_FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["poe"]["tasks"]
    return [name for name in tasks["check"]["parallel"] if name.lstrip("_") != VALIDATE]


def _passes(task: str) -> bool:
    print(f"\n{TASK}: {task.lstrip('_')}", flush=True)
    return run_to_its_end([sys.executable, "-m", "poethepoet", task]) == 0


def _validate() -> tuple[bool, list[str]]:
    """Compare the stack files; warnings count as errors.

    Returns:
        Whether there are no findings, and the report as Markdown.
    """
    print(f"\n{TASK}: {VALIDATE}", flush=True)
    try:
        report = validate_configuration(strict=True)
    except CannotValidateError as error:
        print(error, file=sys.stderr)
        return False, [code(line) for line in str(error).splitlines()]
    if is_on_github():
        print(*to_github(report, PROJECT_FOLDER), sep="\n")
    else:
        print_report(report, Console(), quiet=True)
    return report.status == 0, list(to_markdown(report))


def _summary(results: Mapping[str, bool]) -> Iterator[str]:
    yield from ("## Checks", "")
    yield from table(
        ("check", "result"), ((code(name), "passed" if ok else "**failed**") for name, ok in results.items())
    )


def _covered(text: str) -> str:
    """Summarize the report of coverage.py in one line."""
    totals = json.loads(text)["totals"]
    parts = (("lines", "covered_lines", "num_statements"), ("branches", "covered_branches", "num_branches"))
    return "Coverage: " + ", ".join(f"{totals[covered]} of {totals[count]} {what}" for what, covered, count in parts)
