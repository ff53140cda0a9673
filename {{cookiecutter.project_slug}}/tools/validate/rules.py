"""The rules of ``validate`` for stack files."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from typing import Final

import boto3

from tools.project import ACCOUNTS_KEY, DECLARATION, Project, StackConfig, nearest, read_accounts, shown
from tools.settings import EXAMPLE_REGION, MASKED, PROJECT_NAME_KEY, REGION_KEY, Problem, find_problems
from tools.validate.policies import FILE, MODEL, Policies, UniquePolicy
from tools.validate.report import Finding, Setting, Severity

# https://www.pulumi.com/docs/iac/concepts/projects/stack-settings-file/
SECTIONS: Final = ("config", "environment", "secretsprovider", "encryptedkey", "encryptionsalt")
STACK_FILE_LIKE: Final = re.compile(r"pulumi\..+\.(ya?ml|json)", re.IGNORECASE)
# By `stronger` value: rank function and allowed values.
STRENGTHS: Final[dict[str, tuple[Callable[[str], int], str]]] = {
    "higher": (int, "{best} or more"),
    "lower": (lambda text: -int(text), "{best} or less"),
    "true": (lambda text: text == "true", "true"),
    "false": (lambda text: text == "false", "false"),
    "set": (bool, "a non-empty value"),
    "empty": (lambda text: not text, "an empty value"),
}


@dataclass(frozen=True)
class CheckedStack:
    """A stack's configuration, checked with the project's settings model.

    Secrets are not checked, because only the Pulumi CLI can decrypt them. Plain-text credentials count as secrets.
    """

    name: str
    project: Project
    config: StackConfig
    problems: tuple[Problem, ...]
    plain_credentials: frozenset[str]

    @property
    def environment(self) -> str:
        """The stack's environment; empty if missing, invalid or secret."""
        return self.good_value(DECLARATION.environment) or ""

    def full_key(self, setting: str) -> str:
        """Add the project's namespace to a setting of the model; other keys are unchanged."""
        return f"{self.project.name}:{setting}" if setting in MODEL.keys else setting

    def good_value(self, setting: str) -> str | None:
        """Return a setting's value, or ``None`` if missing, invalid or secret. A missing provider key is empty."""
        key = self.full_key(setting)
        if key in self.config.secret_keys or any(problem.key == key for problem in self.problems):
            return None
        return self.config.values.get(key, "" if key == setting else None)

    def shown_value(self, key: str) -> str | None:
        """Return a value, masked if secret, or ``None`` if not set."""
        return MASKED if key in self.config.secret_keys else self.config.values.get(key)

    def place(self, setting: str, *, own: bool = False) -> tuple[str, int]:
        """Return the place of a setting, or of ``config`` if the setting is missing or, with `own`, has its default."""
        places = {PROJECT_NAME_KEY: self.project.name_place} | self.config.places
        place = places.get(self.full_key(setting), self.config.config_place)
        return self.config.config_place if own and place.file != self.config.file else place

    def finding(self, rule: str, key: str, message: str, severity: Severity = "error", *, own: bool = False) -> Finding:
        """Return a finding about a setting, at the setting's place."""
        (file, line), key, stacks = self.place(key, own=own), self.full_key(key), (self.name,)
        return Finding(rule=rule, severity=severity, message=message, stacks=stacks, file=file, line=line, key=key)


def check_stack(project: Project, stack: str, policies: Policies) -> CheckedStack:
    """Read a stack's file and check it with the settings model.

    Raises:
        DocumentError: If the stack file cannot be read.
    """
    config = project.read_stack(stack)
    credentials = {*map(_bare, policies.credentials)}
    plain = frozenset(key for key in config.values if _bare(key) in credentials) - config.secret_keys
    config = replace(config, secret_keys=config.secret_keys | plain)
    problems = find_problems(MODEL.settings, project.name, config.values, config.secret_keys)
    readable = tuple(problem for problem in problems if problem.key not in config.secret_keys)
    return CheckedStack(stack, project, config, readable, plain)


def _bare(key: str) -> str:
    """Normalize a key for comparison: without hyphens and underscores, ignoring case."""
    return re.sub(r"[-_]", "", key).casefold()


def apply_rules(project: Project, stacks: Sequence[CheckedStack], policies: Policies, today: date) -> Iterator[Finding]:
    """Apply every rule to the stack files."""
    yield from _ignored_files(project)
    for stack in stacks:
        yield from _unknown_sections(stack)
        yield from _refused_settings(stack)
        yield from _hidden_settings(stack)
        yield from _unknown_regions(stack)
        yield from _unknown_namespaces(stack, policies)
        yield from _plain_credentials(stack)
        yield from _forbidden_values(stack, policies)
        yield from _ending_runtimes(stack, policies, today)
    for policy in policies.unique:
        yield from _shared_values(stacks, policy)
    for setting in policies.stronger:
        yield from _weaker_settings(stacks, setting, policies)


def _ignored_files(project: Project) -> Iterator[Finding]:
    """Find files that look like stack files but are not read by Pulumi."""
    read = {f"Pulumi.{stack}.yaml" for stack in project.stacks}
    for path in project.folder.iterdir():
        if STACK_FILE_LIKE.fullmatch(path.name) and path.name not in read:
            message = "Pulumi does not read this file; allowed: Pulumi.STACK.yaml"
            yield Finding(rule="ignored-file", severity="warning", message=message, file=path.name)


def _unknown_sections(stack: CheckedStack) -> Iterator[Finding]:
    """Find top-level keys of a stack file that Pulumi ignores silently."""
    for entry in stack.config.sections:
        if entry.key not in SECTIONS:
            message = f"unknown section; allowed: {', '.join(SECTIONS)}"
            yield Finding(
                rule="unknown-section",
                message=message,
                stacks=(stack.name,),
                file=entry.file,
                line=entry.line,
                key=entry.key,
            )


def _refused_settings(stack: CheckedStack) -> Iterator[Finding]:
    """Find invalid, missing, unknown, misplaced and contradictory settings, which the program would refuse."""
    # A misspelled key is one mistake: do not also report the correct key as missing.
    meant = {problem.allowed for problem in stack.problems if problem.rule in {"unknown-key", "wrong-namespace"}}
    for problem in stack.problems:
        if problem.rule != "missing-key" or problem.key not in meant:
            yield stack.finding(problem.rule, problem.key, problem.message, own=problem.is_contradiction)


def _hidden_settings(stack: CheckedStack) -> Iterator[Finding]:
    """Find encrypted settings. An encrypted environment is an error, because most rules need the environment."""
    for key in (REGION_KEY, *MODEL.keys):
        if stack.full_key(key) in stack.config.secret_keys:
            message = "is encrypted, so no rule can check it; allowed: plain text, unless the value is confidential"
            severity = "error" if key == DECLARATION.environment else "warning"
            yield stack.finding("secret-setting", key, message, severity)


def _unknown_regions(stack: CheckedStack) -> Iterator[Finding]:
    """Warn of regions that the AWS SDK does not know. AWS may have added a region since the SDK's release."""
    region = stack.good_value(REGION_KEY)
    if region and region not in _known_regions():
        close = nearest(region, _known_regions()) or EXAMPLE_REGION
        message = f"found {shown(region)}, which the AWS SDK does not know; did you mean {close}?"
        yield stack.finding("unknown-region", REGION_KEY, message, "warning")


@cache
def _known_regions() -> list[str]:
    session = boto3.Session()
    return [each for part in session.get_available_partitions() for each in session.get_available_regions("sqs", part)]


def _unknown_namespaces(stack: CheckedStack, policies: Policies) -> Iterator[Finding]:
    """Find keys in a namespace that is neither the project's nor a provider's."""
    known = (stack.project.name, *policies.namespaces)
    for key in stack.config.values:
        namespace, _, setting = key.rpartition(":")
        if namespace not in known and setting not in MODEL.keys:
            message = f"unknown namespace {shown(namespace)}; allowed: {', '.join(known)} ({FILE} lists the providers)"
            yield stack.finding("unknown-namespace", key, message)


def _plain_credentials(stack: CheckedStack) -> Iterator[Finding]:
    """Find credentials in plain text, except in the local stack, where credentials protect nothing."""
    for key in stack.plain_credentials if stack.environment != DECLARATION.local else ():
        message = f"found in plain text; encrypt it with `pulumi config set --secret {key}`, and replace the credential"
        yield stack.finding("plain-credential", key, message)


def _forbidden_values(stack: CheckedStack, policies: Policies) -> Iterator[Finding]:
    """Find values that ``policies.toml`` does not allow in the stack's environment."""
    for policy in policies.values:
        text = stack.good_value(policy.setting)
        if stack.environment not in policy.environments or text is None or policy.permits(text):
            continue
        message = f"found {shown(text)}; allowed in {stack.environment}: {policy.permitted} ({FILE})"
        if stack.full_key(policy.setting) not in stack.config.values:
            message = f"is not set; {stack.environment} requires {policy.permitted} ({FILE})"
        yield stack.finding(policy.rule, policy.setting, message, policy.severity, own=True)


def _ending_runtimes(stack: CheckedStack, policies: Policies, today: date) -> Iterator[Finding]:
    """Find runtimes whose support by AWS has ended or ends soon."""
    runtime = stack.good_value(DECLARATION.runtime)
    if runtime is None or stack.environment == DECLARATION.local:
        return
    ends = policies.runtimes.supported_until
    late = [name for name in sorted(ends) if ends[name] - today > timedelta(days=policies.runtimes.warning_days)]
    allowed = " or ".join(late) or f"a newer one, once it is in the settings model and {FILE}"
    if ends[runtime] < today:
        message = f"found {shown(runtime)}, which AWS supported until {ends[runtime]}; allowed: {allowed}"
        yield stack.finding("runtime-ended", DECLARATION.runtime, message)
    elif runtime not in late:
        message = f"found {shown(runtime)}, which AWS supports until {ends[runtime]}; allowed: {allowed}"
        yield stack.finding("runtime-ending", DECLARATION.runtime, message, "warning")


def _shared_values(stacks: Sequence[CheckedStack], policy: UniquePolicy) -> Iterator[Finding]:
    """Find values that must be unique but are shared by two stacks."""
    by_value: defaultdict[str, list[CheckedStack]] = defaultdict(list)
    # A stack whose name is the value owns it, so the finding is about the other stack.
    for stack in sorted(stacks, key=lambda stack: stack.name != stack.good_value(policy.setting)):
        value = stack.good_value(policy.setting) or ""
        other = next((each for each in by_value[value] if _can_clash(stack, each, policy)), None)
        by_value[value].append(stack)
        if value and other:
            also = f"which {_located(other, policy.setting)} has too{policy.because and f', {policy.because}'}"
            message = f"found {shown(value)}, {also}; allowed: {policy.instead} ({FILE})"
            finding = stack.finding(policy.rule, policy.setting, message)
            yield finding.model_copy(update={"stacks": (other.name, stack.name)})


def _can_clash(one: CheckedStack, other: CheckedStack, policy: UniquePolicy) -> bool:
    """Whether equal values in two stacks break the policy.

    Local stacks never clash with stacks on AWS. Within ``account``, stacks clash only if they can share an account.
    """
    if (one.environment == DECLARATION.local) != (other.environment == DECLARATION.local):
        return False
    accounts, others = ({*(read_accounts(each.good_value(ACCOUNTS_KEY) or "") or ())} for each in (one, other))
    return policy.within == "everywhere" or not accounts or not others or not accounts.isdisjoint(others)


def _weaker_settings(stacks: Sequence[CheckedStack], setting: str, policies: Policies) -> Iterator[Finding]:
    """Find settings that are weaker than in an environment earlier in the promotion order."""
    strength, enough = STRENGTHS[policies.stronger[setting]]
    values = [(stack, text) for stack in stacks if (text := stack.good_value(setting)) is not None]
    for stack, text in values:
        before = [held for held in values if held[0].environment in policies.comes_after.get(stack.environment, ())]
        other, best = max(before, key=lambda held: strength(held[1]), default=(stack, text))
        if strength(best) > strength(text):
            message = (
                f"found {shown(text)}, weaker than {shown(best)} of {_located(other, setting)}, which comes before "
                f"{stack.environment}; allowed: {enough.format(best=best)} ({FILE})"
            )
            yield stack.finding("weaker-setting", setting, message, own=True)


def _located(stack: CheckedStack, setting: str) -> str:
    file, line = stack.place(setting)
    return f"{stack.name} ({file}:{line})"


def merged(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Merge equal findings of several stacks, for example about a default of ``Pulumi.yaml``, and sort them."""
    once: defaultdict[Finding, list[str]] = defaultdict(list)
    for finding in findings:
        once[finding.model_copy(update={"stacks": ()})].extend(finding.stacks)
    for finding in sorted(once, key=lambda each: (each.file, each.line, each.key, each.rule)):
        yield finding.model_copy(update={"stacks": tuple(dict.fromkeys(once[finding]))})


def compare(project: str, stacks: Sequence[CheckedStack]) -> Iterator[Setting]:
    """Compare the stacks: the project's settings in the model's order, then all other keys."""
    own = [f"{project}:{key}" for key in MODEL.keys]
    others = sorted({key for stack in stacks for key in stack.config.values} - {*own})
    for key in (*own, *others):
        values = {stack.name: stack.shown_value(key) for stack in stacks}
        defaults = tuple(stack.name for stack in stacks if stack.place(key)[0] != stack.config.file)
        yield Setting(key=key, differs=len({*values.values()}) > 1, values=values, defaults=defaults)
