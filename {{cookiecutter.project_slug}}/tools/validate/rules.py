"""The rules for stack files. Each checks all stacks and yields its findings."""

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Final

from tools.project import (
    ACCOUNTS_KEY,
    DECLARATION,
    PROJECT_FILE,
    Entry,
    Place,
    Project,
    mappings_in,
    read_accounts,
    shown,
)
from tools.settings import KEYS, REGION_KEY
from tools.validate.policies import FILE, PLACEHOLDER, PROJECT_PLACEHOLDER, Direction, Policies, UniquePolicy
from tools.validate.report import Finding
from tools.validate.stacks import ReadStack, bare

# https://www.pulumi.com/docs/iac/concepts/projects/stack-settings-file/
ESC_SECTION: Final = "environment"
SECTIONS: Final = ("config", ESC_SECTION, "secretsprovider", "encryptedkey", "encryptionsalt")
STACK_FILE_LIKE: Final = re.compile(r"pulumi\..+\.(ya?ml|json)", re.IGNORECASE)
MISNAMED: Final = frozenset({"unknown-key", "wrong-namespace"})
STRENGTHS: Final[dict[Direction, Callable[[str], int]]] = {
    "higher": int,
    "lower": lambda text: -int(text),
    "true": lambda text: text == "true",
    "false": lambda text: text == "false",
    "set": bool,
    "empty": lambda text: not text,
}
ALLOWED: Final[dict[Direction, str]] = {
    "higher": "{best} or more",
    "lower": "{best} or less",
    "true": "true",
    "false": "false",
    "set": "a non-empty value",
    "empty": "an empty value",
}


def ignored_files(project: Project) -> Iterator[Finding]:
    """Files that look like stack files, but that Pulumi does not read."""
    read = {f"Pulumi.{stack}.yaml" for stack in project.stacks}
    for path in sorted(project.stack_folder.iterdir()):
        if STACK_FILE_LIKE.fullmatch(path.name) and path.name not in read:
            yield Finding(
                rule="ignored-file",
                severity="warning",
                message="Pulumi does not read this file; allowed: Pulumi.STACK.yaml",
                file=project.file_name(path),
                allowed="Pulumi.STACK.yaml",
            )


def duplicate_keys_of_project(project: Project) -> Iterator[Finding]:
    """Duplicate keys in a mapping of ``Pulumi.yaml``."""
    yield from _duplicates(project.sections, project.name, ())


def duplicate_keys(stacks: Sequence[ReadStack]) -> Iterator[Finding]:
    """Duplicate keys in a mapping of a stack file: YAML forbids them, and the engine refuses them."""
    for stack in stacks:
        yield from _duplicates(stack.file.sections, stack.project.name, (stack.name,))


def _duplicates(sections: tuple[Entry, ...], project: str, stacks: tuple[str, ...]) -> Iterator[Finding]:
    mappings = [(sections, "")]
    for section in sections:
        # A key of the configuration without a namespace is the project's.
        outermost, *inner = [*mappings_in(section)] or [()]
        mappings += [(outermost, f"{project}:" if section.key == "config" else ""), *((each, "") for each in inner)]
    for entries, namespace in mappings:
        seen: dict[str, Entry] = {}
        for entry in entries:
            key = entry.key if ":" in entry.key else f"{namespace}{entry.key}"
            first = seen.setdefault(key, entry)
            if first is not entry:
                yield Finding(
                    rule="duplicate-key",
                    severity="error",
                    message=f"the key is already on line {first.line}; allowed: once",
                    stacks=stacks,
                    file=entry.file,
                    line=entry.line,
                    key=key,
                    allowed="once",
                )


def unknown_sections(stacks: Sequence[ReadStack]) -> Iterator[Finding]:
    """Unknown top-level keys of a stack file, which Pulumi ignores silently."""
    for stack in stacks:
        for entry in stack.file.sections:
            if entry.key == ESC_SECTION and not stack.imports_environments:
                elsewhere = f", or {stack.full_key(ESC_SECTION)} under config" if ESC_SECTION in KEYS else ""
                allowed = f"a list of Pulumi ESC environments here{elsewhere}"
                message = f"lists no environments; allowed: {allowed}"
            elif entry.key not in SECTIONS:
                nearest = difflib.get_close_matches(entry.key.lower(), SECTIONS, n=1)
                allowed = nearest[0] if nearest else ", ".join(SECTIONS)
                question = f"did you mean {allowed}?" if nearest else f"allowed: {allowed}"
                message = f"Pulumi has no such section; {question}"
            else:
                continue
            yield Finding(
                rule="unknown-section",
                severity="error",
                message=message,
                stacks=(stack.name,),
                file=entry.file,
                line=entry.line,
                key=entry.key,
                allowed=allowed,
            )


def refused_settings(stacks: Sequence[ReadStack]) -> Iterator[Finding]:
    """Settings that the program would refuse: bad or missing values, unknown keys, wrong namespaces, contradictions."""
    for stack in stacks:
        # A misspelt key is one mistake: do not report the key that was meant as missing.
        meant = {problem.allowed for problem in stack.problems if problem.rule in MISNAMED}
        for problem in stack.problems:
            if problem.rule == "missing-key" and problem.key in meant:
                continue
            place = stack.own_place(problem.key) if problem.is_contradiction else None
            if stack.imports_environments and problem.rule == "missing-key":
                message = f"{problem.message}; an imported Pulumi ESC environment may set it"
                yield stack.finding(problem.rule, problem.key, message, allowed=problem.allowed, severity="warning")
            else:
                yield stack.finding(
                    problem.rule,
                    problem.key,
                    problem.message,
                    found=problem.found,
                    allowed=problem.allowed,
                    place=place,
                )


def misspelt_keys(stacks: Sequence[ReadStack], policies: Policies) -> Iterator[Finding]:
    """Provider keys that differ only in case, hyphens or underscores from one that is known or used as often."""
    uses = Counter(key for stack in stacks for key in _foreign_keys(stack))
    for known in (REGION_KEY, *policies.credentials):
        uses[known] += len(stacks)
    spellings: defaultdict[str, list[str]] = defaultdict(list)
    for key, _ in uses.most_common():
        spellings[bare(key)].append(key)
    for stack in stacks:
        for key in _foreign_keys(stack):
            usual = next((other for other in spellings[bare(key)] if other != key and uses[other] >= uses[key]), None)
            if usual:
                message = f"differs in spelling from {usual}, which is known or used elsewhere; allowed: {usual}"
                yield stack.finding("misspelt-key", key, message, allowed=usual)


def hidden_settings(stacks: Sequence[ReadStack]) -> Iterator[Finding]:
    """Settings that are secrets, which no rule can check. Without the environment, most rules cannot apply at all."""
    for stack in stacks:
        for key in (REGION_KEY, *map(stack.full_key, KEYS)):
            if key in stack.config.secret_keys:
                severity = "error" if key == stack.full_key(DECLARATION.environment) else "warning"
                message = "a secret, which no rule can check; allowed: plain text, unless the value is confidential"
                yield stack.finding("secret-setting", key, message, allowed="plain text", severity=severity)


def missing_declared_keys(stacks: Sequence[ReadStack]) -> Iterator[Finding]:
    """Missing keys that ``Pulumi.yaml`` declares in addition to the settings."""
    for stack in stacks:
        settings = {REGION_KEY, *map(stack.full_key, KEYS)}
        for key, _ in stack.project.config:
            if key not in stack.config.values and key not in settings and not stack.imports_environments:
                message = f"missing; allowed: a value as declared in {PROJECT_FILE}"
                place = Place(stack.file.name, stack.file.config_line)
                yield stack.finding("missing-key", key, message, place=place)


def unknown_namespaces(stacks: Sequence[ReadStack], policies: Policies) -> Iterator[Finding]:
    """Keys in a namespace that is neither the project's nor a provider's."""
    for stack in stacks:
        known = (stack.project.name, *policies.namespaces)
        for key in _foreign_keys(stack):
            namespace, _, setting = key.rpartition(":")
            if namespace not in known and setting not in KEYS:
                allowed = ", ".join(known)
                message = f"unknown namespace {shown(namespace)}; allowed: {allowed} ({FILE} lists the providers)"
                yield stack.finding("unknown-namespace", key, message, allowed=allowed)


def _foreign_keys(stack: ReadStack) -> Iterator[str]:
    return (key for key in stack.config.values if not key.startswith(f"{stack.project.name}:"))


def plain_credentials(stacks: Sequence[ReadStack]) -> Iterator[Finding]:
    """Credentials in plain text. The emulator's are not secret."""
    for stack in stacks:
        if stack.environment != DECLARATION.local:
            for key in sorted(stack.plain_credentials):
                allowed = f"encrypted with `pulumi config set --secret {key}`; replace the exposed credential"
                yield stack.finding(
                    "plain-credential", key, f"found in plain text; allowed: {allowed}", allowed=allowed
                )


def shared_values(stacks: Sequence[ReadStack], policies: Policies) -> Iterator[Finding]:
    """Values that must be unique but are shared by two stacks."""
    for policy in policies.unique:
        yield from _shared_values(stacks, policy)


def _shared_values(stacks: Sequence[ReadStack], policy: UniquePolicy) -> Iterator[Finding]:
    everywhere = policy.within == "everywhere"
    # Names in an emulator cannot clash with names elsewhere.
    meeting = [stack for stack in stacks if not (everywhere and stack.environment == DECLARATION.local)]
    formed = [(pattern, stack) for stack in meeting for pattern in _formed_names(stack, policy)]
    by_value: defaultdict[str, list[ReadStack]] = defaultdict(list)
    # A stack with the same name as the value is regarded as its owner.
    for stack in sorted(meeting, key=lambda stack: stack.name != stack.good_value(policy.setting)):
        value = stack.good_value(policy.setting)
        if not value:
            continue
        others = [each for each in by_value[value] if everywhere or _share_account(stack, each)]
        by_value[value].append(stack)
        others = others or [each for pattern, each in formed if pattern.fullmatch(value)]
        if not others:
            continue
        other = others[0]
        whose = (
            "which the stack uses for another resource" if other is stack else f"{_which(other, policy.setting)} too"
        )
        reason = f", {policy.because}" if policy.because else ""
        message = f"found {shown(value)}, {whose}{reason}; allowed: {policy.instead} ({FILE})"
        finding = stack.finding(policy.rule, policy.setting, message, found=value, allowed=policy.instead)
        yield _shared(stack, other, finding)


def _which(stack: ReadStack, setting: str) -> str:
    return f"which {_located(stack, setting)} has"


def _formed_names(stack: ReadStack, policy: UniquePolicy) -> Iterator[re.Pattern[str]]:
    """Build patterns of the names that the program generates for a stack, if the settings in them are known."""
    empty = stack.good_value(policy.setting) == ""
    for pattern in (*policy.besides, *(policy.when_empty if empty else ())):
        texts = {key: stack.good_value(key) for key in PLACEHOLDER.findall(pattern) if key != PROJECT_PLACEHOLDER}
        known = {key: text for key, text in texts.items() if text} | {PROJECT_PLACEHOLDER: stack.project.name}
        if known.keys() >= texts.keys():
            yield re.compile(_filled(pattern, known))


def _filled(pattern: str, texts: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda match: re.escape(texts[match[1]]), pattern)


def _share_account(one: ReadStack, other: ReadStack) -> bool:
    """Whether two stacks can be in one account. They can unless they exclude it; an emulator is separate from AWS."""
    if (one.environment == DECLARATION.local) != (other.environment == DECLARATION.local):
        return False
    accounts = _accounts(one), _accounts(other)
    return not all(accounts) or not accounts[0].isdisjoint(accounts[1])


def _accounts(stack: ReadStack) -> frozenset[str]:
    """Return the accounts that a stack allows; empty if it does not restrict them."""
    return frozenset(read_accounts(stack.good_value(ACCOUNTS_KEY) or "") or ())


def _located(stack: ReadStack, setting: str) -> str:
    place = stack.place(setting)
    return f"{stack.name} ({place.file}:{place.line})"


def _shared(stack: ReadStack, other: ReadStack, finding: Finding) -> Finding:
    names = dict.fromkeys([other.name, stack.name])
    return finding.model_copy(update={"stacks": tuple(names)})


def forbidden_values(stacks: Sequence[ReadStack], policies: Policies) -> Iterator[Finding]:
    """Values that ``policies.toml`` does not allow in an environment."""
    for stack in stacks:
        for policy in policies.values:
            text = stack.good_value(policy.setting)
            if stack.environment not in policy.environments or (text is not None and policy.permits(text)):
                continue
            # A missing setting is already reported, and a secret cannot be checked.
            if text is None and (stack.is_there(policy.setting) or policy.permits("")):
                continue
            found = "missing" if text is None else f"found {shown(text)}"
            yield stack.finding(
                policy.rule,
                policy.setting,
                f"{found}; allowed in {stack.environment}: {policy.permitted} ({FILE})",
                found=text,
                allowed=policy.permitted,
                severity=policy.severity,
                place=stack.own_place(policy.setting),
            )


def weaker_settings(stacks: Sequence[ReadStack], policies: Policies) -> Iterator[Finding]:
    """Settings that are weaker in an environment than in one before it."""
    for setting, direction in policies.stronger.items():
        yield from _weaker(stacks, setting, direction, policies.comes_after)


def _weaker(
    stacks: Sequence[ReadStack],
    setting: str,
    direction: Direction,
    comes_after: Mapping[str, Sequence[str]],
) -> Iterator[Finding]:
    def strength(held: tuple[ReadStack, str]) -> int:
        return STRENGTHS[direction](held[1])

    values = [(stack, text) for stack in stacks if (text := _held(stack, setting)) is not None]
    strongest: dict[str, tuple[ReadStack, str]] = {}
    for stack, text in values:
        strongest[stack.environment] = max(strongest.get(stack.environment, (stack, text)), (stack, text), key=strength)
    before = {
        later: max((strongest[each] for each in earlier if each in strongest), key=strength, default=None)
        for later, earlier in comes_after.items()
    }
    for stack, text in values:
        best = before.get(stack.environment)
        if best and strength(best) > strength((stack, text)):
            allowed = ALLOWED[direction].format(best=best[1])
            message = (
                f"found {shown(text)}, weaker than {shown(best[1])} of {_located(best[0], setting)}, which comes "
                f"before {stack.environment}; allowed: {allowed} ({FILE})"
            )
            place = stack.own_place(setting)
            yield stack.finding("weaker-setting", setting, message, found=text, allowed=allowed, place=place)


def _held(stack: ReadStack, setting: str) -> str | None:
    """Return a stack's value of a setting. A missing provider key counts as empty."""
    lacks = ":" in setting and not stack.is_there(setting)
    return "" if lacks else stack.good_value(setting)


def ending_runtimes(stacks: Sequence[ReadStack], policies: Policies, today: date) -> Iterator[Finding]:
    """Runtimes whose support has ended or ends soon."""
    for stack in stacks:
        runtime = stack.good_value(DECLARATION.runtime)
        if runtime is None or stack.environment == DECLARATION.local:
            continue
        until = policies.runtimes.supported_until[runtime]
        later = [name for name, end in policies.runtimes.supported_until.items() if end - today > _days(policies)]
        allowed = " or ".join(sorted(later)) or f"a newer one, once it is in the settings model and {FILE}"
        found = f"found {shown(runtime)}"
        if today > until:
            message = f"{found}, which AWS supported until {until}; allowed: {allowed}"
            yield stack.finding("runtime-ended", DECLARATION.runtime, message, found=runtime, allowed=allowed)
        elif until - today <= _days(policies):
            days = (until - today).days
            message = f"{found}, which AWS supports until {until}, for another {days} days; allowed: {allowed}"
            yield stack.finding(
                "runtime-ending", DECLARATION.runtime, message, found=runtime, allowed=allowed, severity="warning"
            )


def _days(policies: Policies) -> timedelta:
    return timedelta(days=policies.runtimes.warning_days)


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Merge equal findings of several stacks, for example about a default of ``Pulumi.yaml``."""
    once: dict[tuple[object, ...], Finding] = {}
    for finding in findings:
        key = (finding.rule, finding.file, finding.line, finding.key, finding.message)
        first = once.setdefault(key, finding)
        together = dict.fromkeys([*first.stacks, *finding.stacks])
        once[key] = first.model_copy(update={"stacks": tuple(together)})
    return list(once.values())
