"""The validation: reads all files, applies all rules, and compares the stacks."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from tools.project import DECLARATION, PROJECT_FOLDER, DocumentError, Project, read_project, shown
from tools.pulumi_cli import find_pulumi
from tools.settings import promotion_order
from tools.validate import rules
from tools.validate.comparison import compared
from tools.validate.policies import Policies, PoliciesError, read_policies
from tools.validate.report import Finding, Report, Stack
from tools.validate.stacks import ReadStack, read_stacks


class CannotValidateError(Exception):
    """The validation cannot start; the message says why."""


def validate_configuration(
    folder: Path = PROJECT_FOLDER,
    *,
    stacks: str | Collection[str] = (),
    live: bool = False,
    strict: bool = False,
    today: date | None = None,
) -> Report:
    """Compare the stack files of a project with each other, and the deployed stacks with their files.

    Args:
        folder: The project's folder.
        stacks: The stacks to report on; they are compared with all. By default all stacks, but of the local one only
            the findings.
        live: Whether to check the deployed stacks too. This needs the engine and access to the backend and AWS, and
            changes nothing.
        strict: Whether to treat warnings as errors.
        today: The date for which the runtimes' support is checked; by default today (UTC).

    Returns:
        The report. Its ``status`` says whether there are errors.

    Raises:
        CannotValidateError: If the project's files cannot be read, a stack has no file, or the engine is missing.
    """
    wanted = {stacks} if isinstance(stacks, str) else {*stacks}
    project, policies, names = _read(folder, wanted, live=live)
    today = today or datetime.now(tz=UTC).date()

    read, findings = _compare_files(project, policies, today)
    chosen = [stack for stack in read if stack.name in names]
    deployments = None
    if live:
        # Importing this takes longer than comparing 200 stacks.
        from tools.validate.live import inspect_deployed  # noqa: PLC0415 # pylint: disable=import-outside-toplevel

        deployments, more = inspect_deployed(project, chosen, list_all=not wanted)
        findings += more
    if wanted:
        findings = [finding for finding in findings if not {*names}.isdisjoint(finding.stacks)]
    if strict:
        findings = [finding.model_copy(update={"severity": "error"}) for finding in findings]
    return Report(
        project=project.name,
        date=today,
        strict=strict,
        stacks=tuple(
            Stack(name=stack.name, file=stack.file.name, environment=stack.environment or None) for stack in chosen
        ),
        findings=tuple(sorted(rules.merged(findings), key=_order)),
        settings=tuple(compared(project.name, chosen)),
        deployments=deployments,
    )


def _read(folder: Path, stacks: Collection[str], *, live: bool) -> tuple[Project, Policies, frozenset[str]]:
    """Read the project's files, choose the stacks to compare, and find the engine if it is needed.

    Raises:
        CannotValidateError: If this fails.
    """
    try:
        project, policies = read_project(folder), read_policies(folder)
        names = _chosen(project, stacks)
        if live:
            find_pulumi()
    except (DocumentError, PoliciesError) as error:
        raise CannotValidateError(str(error)) from error
    except OSError as error:
        raise CannotValidateError(f"the stacks' folder cannot be read: {error.strerror}") from error
    except SystemExit as error:
        raise CannotValidateError(str(error.code)) from error
    return project, policies, names


def _chosen(project: Project, stacks: Collection[str]) -> frozenset[str]:
    """Return the names of the stacks to compare."""
    if not project.stacks:
        raise CannotValidateError(f"no stack files in {project.stack_folder}; allowed: Pulumi.STACK.yaml")
    unknown = sorted({*stacks} - {*project.stacks})
    if unknown:
        found = ", ".join(map(shown, unknown))
        raise CannotValidateError(f"no file for the stack {found}; allowed: {', '.join(project.stacks)}")
    return frozenset(stacks or [stack for stack in project.stacks if stack != DECLARATION.local] or project.stacks)


def _compare_files(project: Project, policies: Policies, today: date) -> tuple[list[ReadStack], list[Finding]]:
    """Return the stacks whose files can be read, in the order of promotion, and all findings of the files."""
    results = list(read_stacks(project, project.stacks, policies.credentials))
    read = sorted(
        (result for result in results if isinstance(result, ReadStack)),
        key=lambda stack: promotion_order(stack.environment, stack.name),
    )
    unreadable = [result for result in results if isinstance(result, Finding)]
    return read, [*unreadable, *_file_findings(project, read, policies, today)]


def _file_findings(project: Project, stacks: Sequence[ReadStack], policies: Policies, today: date) -> Iterator[Finding]:
    """Apply every rule of the stack files."""
    yield from rules.ignored_files(project)
    yield from rules.duplicate_keys_of_project(project)
    yield from rules.duplicate_keys(stacks)
    yield from rules.unknown_sections(stacks)
    yield from rules.refused_settings(stacks)
    yield from rules.missing_declared_keys(stacks)
    yield from rules.hidden_settings(stacks)
    yield from rules.misspelt_keys(stacks, policies)
    yield from rules.unknown_namespaces(stacks, policies)
    yield from rules.plain_credentials(stacks)
    yield from rules.shared_values(stacks, policies)
    yield from rules.forbidden_values(stacks, policies)
    yield from rules.weaker_settings(stacks, policies)
    yield from rules.ending_runtimes(stacks, policies, today)


def _order(finding: Finding) -> tuple[str, int, str, str]:
    return (finding.file or "", finding.line or 0, finding.key or "", finding.rule)
