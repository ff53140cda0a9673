"""Prints the notes of the next release: the newest entry of the changelog.

The entry's heading is the version in ``cookiecutter.json``, and the date. Each entry says what a project must do to
update.
"""

import datetime
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Section that every entry needs, even if its text is only "Nothing.".
REQUIRED = "### What a project must do"


class ReleaseError(Exception):
    """The release cannot be published."""


def notes(changelog: str, version: str, tags: list[str]) -> str:
    """Return the release notes of a version.

    Args:
        changelog: The text of the changelog.
        version: The version in ``cookiecutter.json``.
        tags: Existing tags.

    Raises:
        ReleaseError: If the changelog has no complete entry for the version, or the version is already released.
    """
    _, newest, *_ = re.split(r"^(?=## )", changelog, flags=re.MULTILINE)
    heading, _, entry = newest.partition("\n")
    found = re.fullmatch(r"## (\d+\.\d+\.\d+) - (\S.*)", heading)
    if not found or found[1] != version:
        raise ReleaseError(f"CHANGELOG.md: found {heading!r}; expected '## {version} - YYYY-MM-DD'")
    try:
        datetime.date.fromisoformat(found[2])
    except ValueError as error:
        raise ReleaseError(
            f"CHANGELOG.md: found {heading!r}; replace {found[2]!r} with the date of the release"
        ) from error
    if REQUIRED not in entry:
        raise ReleaseError(f"CHANGELOG.md: {version} has no section {REQUIRED!r}")
    if f"v{version}" in tags:
        raise ReleaseError(f"v{version} is released already; raise _template_version in cookiecutter.json")
    return entry.strip()


def main() -> None:
    """Print the release notes.

    Raises:
        SystemExit: If the release cannot be published.
    """
    tags = subprocess.run(["git", "tag"], cwd=ROOT, check=True, capture_output=True, encoding="utf-8").stdout.split()
    version = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))["_template_version"]
    try:
        print(notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version, tags))
    except ReleaseError as error:
        sys.exit(f"release: {error}")


if __name__ == "__main__":
    main()
