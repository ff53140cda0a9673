"""The stacks' files, read and checked with the model that the program itself uses."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from infrastructure.project import PROJECT
from tools.configuration.checks import PROJECT_NAME_KEY, Problem, find_problems
from tools.configuration.documents import DocumentError
from tools.configuration.stack_files import Place, Project, StackConfig, StackFile
from tools.validate.report import Finding, Severity


@dataclass(frozen=True)
class ReadStack:
    """A stack whose file could be read.

    Attributes:
        project: The project.
        file: What the file holds.
        config: The stack's configuration, defaults filled in.
        problems: What the settings' model says against it. Of a secret it says nothing: only the engine can read it.
        plain_credentials: Keys of credentials that are not encrypted; they count as secrets nevertheless.
        credentials: The keys of credentials, bare of what people spell differently.
    """

    project: Project
    file: StackFile
    config: StackConfig
    problems: tuple[Problem, ...]
    plain_credentials: frozenset[str]
    credentials: tuple[str, ...]

    @property
    def name(self) -> str:
        """The stack's name."""
        return self.file.stack

    @property
    def environment(self) -> str:
        """The kind of environment that it is; empty if that cannot be told."""
        return self.good_value(PROJECT.environment) or ""

    @property
    def imports_environments(self) -> bool:
        """Whether Pulumi ESC environments set what is not in the file."""
        return any(entry.key == "environment" and isinstance(entry.value, (list, dict)) for entry in self.file.sections)

    def is_credential(self, key: str) -> bool:
        """Whether a key is that of a credential, in whatever spelling and namespace."""
        return key in self.project.secret_keys or bare(key).endswith(self.credentials)

    def full_key(self, setting: str) -> str:
        """Complete a setting's name with the project's namespace, unless it has another."""
        return setting if ":" in setting or setting == PROJECT_NAME_KEY else f"{self.project.name}:{setting}"

    def good_value(self, setting: str) -> str | None:
        """Look a value up that is there, is no secret, and that nothing is said against."""
        key = self.full_key(setting)
        hidden = key in self.config.secret_keys or any(problem.key == key for problem in self.problems)
        return None if hidden else self.config.values.get(key)

    def is_there(self, setting: str) -> bool:
        """Whether a setting has a value, good or bad, or is said to be missing already."""
        key = self.full_key(setting)
        return key in self.config.values or any(problem.key == key for problem in self.problems)

    def place(self, setting: str) -> Place:
        """Find where a setting is set, or would be."""
        if setting == PROJECT_NAME_KEY:
            return self.project.name_place
        return self.config.places.get(self.full_key(setting), Place(self.file.name, self.file.config_line))

    def sets(self, setting: str) -> bool:
        """Whether a setting is set in the stack's own file, and is not a default or missing."""
        place = self.config.places.get(self.full_key(setting))
        return place is not None and place.file == self.file.name

    def own_place(self, setting: str) -> Place:
        """Find where a setting is set in the stack's own file, or would be in place of a default."""
        return self.place(setting) if self.sets(setting) else Place(self.file.name, self.file.config_line)

    def finding(
        self,
        rule: str,
        setting: str,
        message: str,
        *,
        found: str | None = None,
        allowed: str | None = None,
        severity: Severity = "error",
        place: Place | None = None,
    ) -> Finding:
        """Say something about one of its settings, with the place.

        Args:
            rule: Name of the rule.
            setting: The setting, or the key with its namespace.
            message: What is wrong.
            found: What stands there.
            allowed: What may stand there.
            severity: Whether it is wrong, or may soon be.
            place: What to change; where the setting is set, when left out.
        """
        file, line = place or self.place(setting)
        return Finding(
            rule=rule,
            severity=severity,
            message=message,
            stacks=(self.name,),
            file=file,
            line=line,
            key=self.full_key(setting),
            found=found,
            allowed=allowed,
        )


def read_stacks(
    project: Project, names: Collection[str], credentials: Collection[str]
) -> Iterator[ReadStack | Finding]:
    """Read the files of stacks, one after the other.

    Args:
        project: The project.
        names: The stacks.
        credentials: Keys whose values are secrets, encrypted or not.

    Yields:
        Each stack, or the finding that its file cannot be read.
    """
    for name in names:
        try:
            file = project.read_stack(name)
        except DocumentError as error:
            yield unreadable(error, (name,))
        else:
            yield _reviewed(project, file, tuple(map(bare, credentials)))


def bare(key: str) -> str:
    """Write a key without what people spell differently: case, hyphens, underscores."""
    return re.sub(r"[-_]", "", key).casefold()


def _reviewed(project: Project, file: StackFile, credentials: tuple[str, ...]) -> ReadStack:
    """Check a stack's configuration with the model that the program uses."""
    config = project.configure(file)
    stack = ReadStack(project, file, config, (), frozenset(), credentials)
    plain = frozenset(filter(stack.is_credential, config.values)) - config.secret_keys
    config = replace(config, secret_keys=config.secret_keys | plain)
    problems = find_problems(project.name, config.values, config.secret_keys)
    readable = tuple(problem for problem in problems if problem.key not in config.secret_keys)
    return replace(stack, config=config, problems=readable, plain_credentials=plain)


def unreadable(error: DocumentError, stacks: tuple[str, ...]) -> Finding:
    """Report a file that cannot be read."""
    return Finding(
        rule="unreadable-file",
        severity="error",
        message=error.problem,
        stacks=stacks,
        file=error.file,
        line=error.line,
    )
