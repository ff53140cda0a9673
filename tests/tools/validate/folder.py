"""A copy of the tests' project, with four valid stacks, for tests to change."""

import re
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Self

from tools.configuration.checks import KEYS
from tools.configuration.stack_files import PROJECT_FILE, PROJECT_FOLDER
from tools.outputs import PROGRAM
from tools.testing.recording import PROJECT_NAME, STACKS
from tools.validate import Report, validate_configuration
from tools.validate.policies import FILE

TODAY: Final = date(2026, 3, 1)
PROJECT_TEXT: Final = (PROJECT_FOLDER / PROJECT_FILE).read_text(encoding="utf-8")
POLICIES: Final = (PROJECT_FOLDER / FILE).read_text(encoding="utf-8")
# Settings without a default, which every stack file sets.
IN_EVERY_FILE: Final = tuple(
    key
    for key in (*KEYS, "aws:region")
    if not re.search(rf"^  {key}:\n(    .+\n)*    default:", PROJECT_TEXT, re.MULTILINE)
)


@dataclass(frozen=True)
class ProjectFolder:
    """A folder with the files of a project.

    Attributes:
        path: The folder.
    """

    path: Path

    @classmethod
    def create(cls, path: Path) -> Self:
        """Copy the files of the project and its stacks to an empty folder."""
        for name in (PROJECT_FILE, FILE, PROGRAM, *(f"Pulumi.{stack}.yaml" for stack in STACKS)):
            shutil.copy(PROJECT_FOLDER / name, path)
        return cls(path)

    def read(self, name: str) -> str:
        """Read a file."""
        return (self.path / name).read_text(encoding="utf-8")

    def write(self, name: str, content: str) -> None:
        """Write a file."""
        (self.path / name).write_text(content, encoding="utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace text in a file."""
        text = self.read(name)
        assert old in text, f"{name} does not hold {old!r}"
        self.write(name, text.replace(old, new))

    def set(self, stack: str, key: str, value: str | None) -> None:
        """Set a key of a stack file, on its line or a new one; remove it if there is no value."""
        name, full_key = f"Pulumi.{stack}.yaml", key if ":" in key else f"{PROJECT_NAME}:{key}"
        lines = [line for line in self.read(name).splitlines() if line]
        found = [number for number, line in enumerate(lines) if line.startswith(f"  {full_key}:")]
        written = [] if value is None else [f"  {full_key}: {value}"]
        at = found[0] if found else len(lines)
        lines[at : at + len(found)] = written
        self.write(name, "\n".join([*lines, ""]))

    def set_default(self, key: str, value: str) -> None:
        """Change a setting's default in ``Pulumi.yaml``."""
        text = self.read(PROJECT_FILE)
        changed = re.sub(rf"(?m)(^  {key}:\n(?:    .+\n)*?    default: ).+", rf"\g<1>{value}", text)
        assert changed != text, f"{key} has no other default"
        self.write(PROJECT_FILE, changed)

    def line(self, name: str, text: str) -> int:
        """Return the first line of a file that has a text."""
        return next(number for number, line in enumerate(self.read(name).splitlines(), start=1) if text in line)

    def validate(self, *stacks: str, today: date = TODAY, strict: bool = False) -> Report:
        """Validate the project, or some of its stacks."""
        return validate_configuration(self.path, stacks=stacks, today=today, strict=strict)
