"""A copy of the test project with four valid stacks, for tests to change."""

import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Self

from tools.project import PROJECT_FILE, PROJECT_FOLDER
from tools.settings import declared_model
from tools.testing import STACKS
from tools.validate.command import validate
from tools.validate.policies import FILE
from tools.validate.report import Report

TODAY: Final = date(2026, 3, 1)
KEYS: Final = declared_model().keys


@dataclass(frozen=True)
class ProjectFolder:
    """A temporary copy of the test project."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> Self:
        """Copy ``Pulumi.yaml``, the stack files, the policies and the program to a folder."""
        for name in (PROJECT_FILE, FILE, "__main__.py", *(f"Pulumi.{stack}.yaml" for stack in STACKS)):
            shutil.copy(PROJECT_FOLDER / name, path)
        return cls(path)

    def read(self, name: str) -> str:
        """Read a file."""
        return (self.path / name).read_text(encoding="utf-8")

    def write(self, name: str, content: str) -> None:
        """Create or replace a file."""
        (self.path / name).write_text(content, encoding="utf-8")

    def append(self, name: str, text: str) -> None:
        """Add text to the end of a file."""
        self.write(name, self.read(name) + text)

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace text that must exist."""
        text = self.read(name)
        assert old in text, f"{name} does not contain {old!r}"
        self.write(name, text.replace(old, new))

    def set(self, stack: str, key: str, value: str | None) -> None:
        """Set a key of a stack file, on its line or a new line; ``None`` removes the key."""
        name, full_key = f"Pulumi.{stack}.yaml", f"orders:{key}" if key in KEYS else key
        lines = [line for line in self.read(name).splitlines() if not line.startswith(f"  {full_key}:")]
        at = next((n for n, line in enumerate(self.read(name).splitlines()) if f" {full_key}:" in line), len(lines))
        lines[at:at] = [] if value is None else [f"  {full_key}: {value}"]
        self.write(name, "\n".join([*lines, ""]))

    def validate(self, *stacks: str, today: date = TODAY, live: bool = False, strict: bool = False) -> Report:
        """Run ``validate`` for the project, and report only on the given stacks, if any."""
        return validate(self.path, stacks, today, live=live, strict=strict)
