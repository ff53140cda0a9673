"""Stack files, read and checked with the program's own settings model."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from tools.project import DECLARATION, DocumentError, Place, Project, StackConfig, StackFile
from tools.settings import PROJECT_NAME_KEY, Problem, find_problems
from tools.validate.report import Finding, Severity


@dataclass(frozen=True)
class ReadStack:
    """A stack whose file could be read.

    Attributes:
        project: The project.
        file: The file's content.
        config: The stack's configuration, defaults filled in.
        problems: Problems found by the settings model. Secrets are not checked: only the engine can decrypt them.
        plain_credentials: Keys of credentials in plain text, which are still treated as secrets.
        credentials: Keys of credentials, normalized by `bare`.
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
        """The stack's environment; empty if it is unknown."""
        return self.good_value(DECLARATION.environment) or ""

    @property
    def imports_environments(self) -> bool:
        """Whether the stack imports Pulumi ESC environments, which can set keys that are not in the file."""
        return any(entry.key == "environment" and isinstance(entry.value, (list, dict)) for entry in self.file.sections)

    def is_credential(self, key: str) -> bool:
        """Whether a key is a credential, in any spelling and namespace."""
        return key in self.project.secret_keys or bare(key).endswith(self.credentials)

    def full_key(self, setting: str) -> str:
        """Add the project's namespace to a setting's key, unless it has a namespace."""
        return setting if ":" in setting or setting == PROJECT_NAME_KEY else f"{self.project.name}:{setting}"

    def good_value(self, setting: str) -> str | None:
        """Return a setting's value if it is set, valid and not a secret."""
        key = self.full_key(setting)
        hidden = key in self.config.secret_keys or any(problem.key == key for problem in self.problems)
        return None if hidden else self.config.values.get(key)

    def is_there(self, setting: str) -> bool:
        """Whether a setting has a value, valid or not, or is already reported as missing."""
        key = self.full_key(setting)
        return key in self.config.values or any(problem.key == key for problem in self.problems)

    def place(self, setting: str) -> Place:
        """Return the place where a setting is set, or should be."""
        if setting == PROJECT_NAME_KEY:
            return self.project.name_place
        return self.config.places.get(self.full_key(setting), Place(self.file.name, self.file.config_line))

    def sets(self, setting: str) -> bool:
        """Whether a setting is set in the stack file, not by default or not at all."""
        place = self.config.places.get(self.full_key(setting))
        return place is not None and place.file == self.file.name

    def own_place(self, setting: str) -> Place:
        """Return the place in the stack file where a setting is set, or should be to override a default."""
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
        """Create a finding about one of the stack's settings.

        Args:
            rule: Name of the rule.
            setting: The setting, or the key with its namespace.
            message: What is wrong.
            found: The value found.
            allowed: What is allowed.
            severity: Error or warning.
            place: The place to change; by default where the setting is set.
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
    """Read stack files.

    Args:
        project: The project.
        names: Names of the stacks.
        credentials: Keys whose values are secrets, encrypted or not.

    Yields:
        Each stack, or a finding if its file cannot be read.
    """
    for name in names:
        try:
            file = project.read_stack(name)
        except DocumentError as error:
            yield unreadable(error, (name,))
        else:
            yield _reviewed(project, file, tuple(map(bare, credentials)))


def bare(key: str) -> str:
    """Normalize the spelling of a key: case, hyphens and underscores."""
    return re.sub(r"[-_]", "", key).casefold()


def _reviewed(project: Project, file: StackFile, credentials: tuple[str, ...]) -> ReadStack:
    """Check a stack's configuration with the program's settings model."""
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
