"""The rules of the stacks' files: each looks at all stacks, and yields what it has against them."""

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Final

from infrastructure.documents import Entry, mappings_in, shown
from infrastructure.settings import KEYS, REGION_KEY
from infrastructure.stack_files import PROJECT_FILE, Place, Project
from tools.validate.policies import FILE, Direction, Environment, Policies
from tools.validate.report import Finding
from tools.validate.stacks import ReadStack, bare

# https://www.pulumi.com/docs/iac/concepts/projects/stack-settings-file/
SECTIONS: Final = ("config", "environment", "secretsprovider", "encryptedkey", "encryptionsalt")
STACK_FILE_LIKE: Final = re.compile(r"pulumi\..+\.(ya?ml|json)", re.IGNORECASE)
# What is wrong with one stack's settings together, so that a default is not to blame.
CONTRADICTIONS: Final = frozenset({"batch-without-window", "retention-too-short", "key-elsewhere", "force-destroy"})
MISNAMED: Final = frozenset({"unknown-key", "wrong-namespace"})
# Names that a stack gives its buckets; S3 has one set of names for all accounts.
DERIVED_BUCKET_NAME: Final = "{project}-{suffix}-({roles})-[0-9]{{12}}"
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
    "set": "any value but none",
    "empty": "no value",
}


def ignored_files(project: Project) -> Iterator[Finding]:
    """Files that look like a stack's to a person, but not to Pulumi."""
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
    """Keys that stand twice in one mapping of ``Pulumi.yaml``."""
    yield from _duplicates(project.sections, project.name, ())


def duplicate_keys(stacks: Sequence[ReadStack]) -> Iterator[Finding]:
    """Keys that stand twice in one mapping of a stack's file: YAML forbids it, and the engine refuses it."""
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
                    message=f"the key is on line {first.line} already; allowed: once",
                    stacks=stacks,
                    file=entry.file,
                    line=entry.line,
                    key=key,
                    allowed="once",
                )


def unknown_sections(stacks: Sequence[ReadStack]) -> Iterator[Finding]:
    """Outermost keys of a stack's file that Pulumi does not know, and passes over in silence."""
    for stack in stacks:
        for entry in stack.file.sections:
            if entry.key == "environment" and not stack.imports_environments:
                allowed = f"a list of Pulumi ESC environments here, or {stack.full_key('environment')} under config"
                message = f"lists no environments; allowed: {allowed}"
            elif entry.key not in SECTIONS:
                nearest = difflib.get_close_matches(entry.key.lower(), SECTIONS, n=1)
                allowed = nearest[0] if nearest else ", ".join(SECTIONS)
                question = f"did you mean {allowed}?" if nearest else f"allowed: {allowed}"
                message = f"Pulumi knows no such section; {question}"
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
    """What the program would refuse: bad and missing values, unknown keys, wrong namespaces, contradictions."""
    for stack in stacks:
        # A key that stands there under another name is one mistake, and not two.
        meant = {problem.allowed for problem in stack.problems if problem.rule in MISNAMED}
        for problem in stack.problems:
            if problem.rule == "missing-key" and problem.key in meant:
                continue
            place = stack.own_place(problem.key) if problem.rule in CONTRADICTIONS else None
            if stack.imports_environments and problem.rule == "missing-key":
                message = f"{problem.message}; the environments that the file imports may set it"
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
    """Keys of providers that differ only in case, hyphens or underscores from one that is known or used as much."""
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
    """Settings that are secrets, so that no rule can be asked of them; without the environment, not even which."""
    for stack in stacks:
        for key in (REGION_KEY, *map(stack.full_key, KEYS)):
            if key in stack.config.secret_keys:
                severity = "error" if key == stack.full_key("environment") else "warning"
                message = "a secret, of which no rule can be asked; allowed: plain text, unless it must not be read"
                yield stack.finding("secret-setting", key, message, allowed="plain text", severity=severity)


def missing_declared_keys(stacks: Sequence[ReadStack]) -> Iterator[Finding]:
    """Keys besides the settings that ``Pulumi.yaml`` asks of every stack."""
    for stack in stacks:
        settings = {REGION_KEY, *map(stack.full_key, KEYS)}
        for key, _ in stack.project.config:
            if key not in stack.config.values and key not in settings and not stack.imports_environments:
                message = f"missing; allowed: what {PROJECT_FILE} declares it to be"
                place = Place(stack.file.name, stack.file.config_line)
                yield stack.finding("missing-key", key, message, place=place)


def unknown_namespaces(stacks: Sequence[ReadStack], policies: Policies) -> Iterator[Finding]:
    """Keys under a namespace that is neither the project's nor a provider's."""
    for stack in stacks:
        known = (stack.project.name, *policies.namespaces)
        for key in _foreign_keys(stack):
            namespace, _, setting = key.rpartition(":")
            if namespace not in known and setting not in KEYS:
                allowed = ", ".join(known)
                message = f"unknown namespace {shown(namespace)}; allowed: {allowed} ({FILE} lists the providers')"
                yield stack.finding("unknown-namespace", key, message, allowed=allowed)


def _foreign_keys(stack: ReadStack) -> Iterator[str]:
    return (key for key in stack.config.values if not key.startswith(f"{stack.project.name}:"))


def plain_credentials(stacks: Sequence[ReadStack]) -> Iterator[Finding]:
    """Credentials that stand in a file for everybody to read; an emulator's are no secret."""
    for stack in stacks:
        if stack.environment != "local":
            for key in sorted(stack.plain_credentials):
                allowed = f"encrypted, as `pulumi config set --secret {key}` does; and a new one, as this one is known"
                yield stack.finding(
                    "plain-credential", key, f"found in plain text; allowed: {allowed}", allowed=allowed
                )


def same_suffix(stacks: Sequence[ReadStack]) -> Iterator[Finding]:
    """Stacks of one account with the same environment suffix, and therefore with the same names for all they own."""
    by_suffix: defaultdict[str, list[ReadStack]] = defaultdict(list)
    # The one that is named like its suffix had it first.
    for stack in sorted(stacks, key=lambda stack: stack.name != stack.good_value("environmentSuffix")):
        suffix = stack.good_value("environmentSuffix")
        if suffix is None:
            continue
        other = next((other for other in by_suffix[suffix] if _share_account(stack, other)), None)
        if other:
            allowed = "a suffix of its own, in the one that is not deployed yet, or other aws:allowedAccountIds"
            message = (
                f"found {shown(suffix)}, which {_located(other, 'environmentSuffix')} has too, so that both give their "
                f"resources the same names; allowed: {allowed}"
            )
            finding = stack.finding("same-suffix", "environmentSuffix", message, found=suffix, allowed=allowed)
            yield _shared(stack, other, finding)
        by_suffix[suffix].append(stack)


def same_bucket_name(stacks: Sequence[ReadStack]) -> Iterator[Finding]:
    """Bucket names that another stack has too, or that a stack gives one of its other buckets."""
    named: dict[str, ReadStack] = {}
    on_aws = [stack for stack in stacks if stack.environment != "local"]
    derived = [(_derived_bucket_names(stack), stack) for stack in on_aws if stack.good_value("environmentSuffix")]
    for stack in on_aws:
        name = stack.good_value("bucketName")
        if not name:
            continue
        others = [named.setdefault(name, stack)]
        if others == [stack]:
            others = [each for pattern, each in derived if pattern.fullmatch(name)]
        if not others:
            continue
        other = others[0]
        has = "gives to a bucket of its own" if other is stack else "has too"
        whose = "which the stack" if other is stack else f"which {_located(other, 'bucketName')}"
        allowed = "a name that is nobody else's"
        message = f"found {shown(name)}, {whose} {has}; allowed: {allowed}"
        finding = stack.finding("same-bucket-name", "bucketName", message, found=name, allowed=allowed)
        yield _shared(stack, other, finding)


def _derived_bucket_names(stack: ReadStack) -> re.Pattern[str]:
    """Form a pattern of the names that a stack gives its buckets by itself."""
    suffix = stack.good_value("environmentSuffix") or ""
    roles = "access-logs" if stack.good_value("bucketName") else "payloads|access-logs"
    project = re.escape(stack.project.name)
    return re.compile(DERIVED_BUCKET_NAME.format(project=project, suffix=re.escape(suffix), roles=roles))


def _share_account(one: ReadStack, other: ReadStack) -> bool:
    """Whether two stacks may meet: one account unless they say otherwise, and never an emulator and AWS."""
    if (one.environment == "local") != (other.environment == "local"):
        return False
    accounts = _accounts(one), _accounts(other)
    return not all(accounts) or not accounts[0].isdisjoint(accounts[1])


def _accounts(stack: ReadStack) -> frozenset[str]:
    """Read which accounts a stack may be deployed to; none if it does not say."""
    text = stack.good_value("aws:allowedAccountIds") or ""
    return frozenset(re.findall(r"[0-9]{12}", text))


def _located(stack: ReadStack, setting: str) -> str:
    place = stack.place(setting)
    return f"{stack.name} ({place.file}:{place.line})"


def _shared(stack: ReadStack, other: ReadStack, finding: Finding) -> Finding:
    names = dict.fromkeys([other.name, stack.name])
    return finding.model_copy(update={"stacks": tuple(names)})


def forbidden_values(stacks: Sequence[ReadStack], policies: Policies) -> Iterator[Finding]:
    """Values that an environment must have, or must not, as ``policies.toml`` says."""
    for stack in stacks:
        for policy in policies.values:
            text = stack.good_value(policy.setting)
            if stack.environment not in policy.environments or (text is not None and policy.permits(text)):
                continue
            # What is missing of the project's own is said already, and a secret nobody can judge.
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
    """Settings in which an environment is weaker than one that comes before it."""
    for setting, direction in policies.stronger.items():
        yield from _weaker(stacks, setting, direction, policies.comes_after)


def _weaker(
    stacks: Sequence[ReadStack],
    setting: str,
    direction: Direction,
    comes_after: Mapping[Environment, Sequence[Environment]],
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
    """Look up what a stack has for a setting; a key of a provider that it lacks is as good as empty."""
    lacks = ":" in setting and not stack.is_there(setting)
    return "" if lacks else stack.good_value(setting)


def ending_runtimes(stacks: Sequence[ReadStack], policies: Policies, today: date) -> Iterator[Finding]:
    """Runtimes that AWS supports no longer, or soon will not."""
    for stack in stacks:
        runtime = stack.good_value("lambdaRuntime")
        if runtime is None or stack.environment == "local":
            continue
        until = policies.runtimes.supported_until[runtime]
        later = [name for name, end in policies.runtimes.supported_until.items() if end - today > _days(policies)]
        allowed = " or ".join(sorted(later)) or f"a newer one, once infrastructure/settings.py and {FILE} know it"
        found = f"found {shown(runtime)}"
        if today > until:
            message = f"{found}, which AWS supported until {until}; allowed: {allowed}"
            yield stack.finding("runtime-ended", "lambdaRuntime", message, found=runtime, allowed=allowed)
        elif until - today <= _days(policies):
            days = (until - today).days
            message = f"{found}, which AWS supports until {until}, for another {days} days; allowed: {allowed}"
            yield stack.finding(
                "runtime-ending", "lambdaRuntime", message, found=runtime, allowed=allowed, severity="warning"
            )


def _days(policies: Policies) -> timedelta:
    return timedelta(days=policies.runtimes.warning_days)


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Say once what was found several times: a default of ``Pulumi.yaml`` in every stack that sets nothing else."""
    once: dict[tuple[object, ...], Finding] = {}
    for finding in findings:
        key = (finding.rule, finding.file, finding.line, finding.key, finding.message)
        first = once.setdefault(key, finding)
        together = dict.fromkeys([*first.stacks, *finding.stacks])
        once[key] = first.model_copy(update={"stacks": tuple(together)})
    return list(once.values())
