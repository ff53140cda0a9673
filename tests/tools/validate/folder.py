"""A project of four stacks about which there is nothing to say, for tests to change."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

from tools.testing.recording import GOOD_CONFIG
from tools.validate import Report, validate_configuration
from tools.validate.policies import FILE

PROJECT = "orders"
TODAY = date(2026, 3, 1)
# What has no default, and therefore stands in every stack's file: the first on line 2.
STACKS = {
    "local": {"environment": "local", "aws:region": "us-east-2", "lambdaMemoryMb": "512", "logRetentionDays": "7"},
    "dev": {"environment": "dev", "aws:region": "us-east-2", "lambdaMemoryMb": "512", "logRetentionDays": "30"},
    "staging": {"environment": "staging", "aws:region": "us-west-1", "lambdaMemoryMb": "512", "logRetentionDays": "90"},
    "prod": {"environment": "prod", "aws:region": "us-east-1", "lambdaMemoryMb": "1024", "logRetentionDays": "365"},
}
IN_EVERY_FILE = (*STACKS["dev"], "environmentSuffix", "notificationEmail")
POLICIES = """\
namespaces = ["aws", "pulumi"]
credentials = ["aws:secretKey"]
comes_after = { prod = ["dev", "staging"], staging = ["dev"] }

[stronger]
lambdaMemoryMb = "higher"
batchWindowSeconds = "lower"
forceDestroy = "false"
kmsKeyArn = "set"
bucketName = "empty"

[[values]]
rule = "force-destroy"
setting = "forceDestroy"
environments = ["prod", "staging"]
allowed = [false]

[[values]]
rule = "placeholder-email"
setting = "notificationEmail"
environments = ["prod"]
forbidden = "nobody@.*"
instead = "an address that people read"

[[values]]
rule = "region"
setting = "aws:region"
environments = ["prod"]
allowed = ["us-east-1", "eu-west-1"]

[[values]]
rule = "small-batches"
setting = "batchSize"
severity = "warning"
allowed = [5, 10]

[runtimes]
warning_days = 90

[runtimes.supported_until]
"python3.11" = 2026-05-30
"python3.12" = 2028-10-31
"python3.13" = 2029-06-30
"python3.14" = 2029-06-30
"""


@dataclass(frozen=True)
class ProjectFolder:
    """A folder with the files of a project.

    Attributes:
        path: The folder.
    """

    path: Path

    @classmethod
    def create(cls, path: Path) -> Self:
        """Write a project and its stacks into an empty folder."""
        folder = cls(path)
        settings = "".join(
            f"  {key}:\n    type: string\n" + ("" if key in IN_EVERY_FILE else f"    default: {json.dumps(value)}\n")
            for key, value in GOOD_CONFIG.items()
        )
        folder.write("Pulumi.yaml", f"name: {PROJECT}\nruntime: python\nconfig:\n{settings}")
        folder.write(FILE, POLICIES)
        for stack, own in STACKS.items():
            config = own | {"environmentSuffix": stack, "notificationEmail": "team@example.com"}
            lines = [f"  {key if ':' in key else f'{PROJECT}:{key}'}: {value}" for key, value in config.items()]
            folder.write(f"Pulumi.{stack}.yaml", "\n".join(["config:", *lines, ""]))
        return folder

    def read(self, name: str) -> str:
        """Read a file."""
        return (self.path / name).read_text(encoding="utf-8")

    def write(self, name: str, content: str) -> None:
        """Write a file."""
        (self.path / name).write_text(content, encoding="utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        """Change a text that occurs in a file."""
        text = self.read(name)
        assert old in text, f"{name} does not hold {old!r}"
        self.write(name, text.replace(old, new))

    def set(self, stack: str, key: str, value: str | None) -> None:
        """Set a key of a stack's file on the line that it has, or on a new one; remove it where there is no value."""
        name, full_key = f"Pulumi.{stack}.yaml", key if ":" in key else f"{PROJECT}:{key}"
        lines = [line for line in self.read(name).splitlines() if line]
        found = [number for number, line in enumerate(lines) if line.startswith(f"  {full_key}:")]
        written = [] if value is None else [f"  {full_key}: {value}"]
        at = found[0] if found else len(lines)
        lines[at : at + len(found)] = written
        self.write(name, "\n".join([*lines, ""]))

    def validate(self, *stacks: str, today: date = TODAY, strict: bool = False) -> Report:
        """Validate the project, or some of its stacks."""
        return validate_configuration(self.path, stacks=stacks, today=today, strict=strict)
