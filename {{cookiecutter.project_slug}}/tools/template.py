"""What the project has from its template: the task ``update``, and the check of the files that the template owns.

``.template.json`` records where the project comes from. The hook that renders a project uses this module, so it imports
only the standard library.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

PROJECT_FOLDER: Final = Path(__file__).resolve().parent.parent
RECORD_FILE: Final = ".template.json"
# Renovate updates these in files of the template's: version numbers, and the commits of GitHub's actions.
VERSIONS: Final = re.compile(rb"@[0-9a-f]{40}( # v[\d.]+)?|\d+(\.\d+)+")
KEYS: Final = frozenset({"template", "version", "rendered", "commit", "owned", "answers"})
RELEASE: Final = re.compile(r"refs/tags/v(\d+)\.(\d+)\.(\d+)$", re.MULTILINE)

Version = tuple[int, ...]


def digest(path: Path) -> str:
    """Hash a file, or all files of a folder, without version numbers, line endings and caches."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    hashed = hashlib.sha256()
    for file in sorted(each for each in files if "__pycache__" not in each.parts):
        content = VERSIONS.sub(b"", file.read_bytes().replace(b"\r\n", b"\n"))
        hashed.update(b"%b\0%b\0" % (file.relative_to(path).as_posix().encode(), content))
    return hashed.hexdigest()


def read_record(folder: Path = PROJECT_FOLDER) -> dict[str, Any]:
    """Read ``.template.json``.

    Raises:
        SystemExit: If it cannot be read.
    """
    try:
        record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = None
    if not isinstance(record, dict) or not record.keys() >= KEYS:
        sys.exit(f"{RECORD_FILE} is missing or damaged; restore it from the project's history")
    return record


def check(folder: Path = PROJECT_FOLDER) -> None:
    """Check that the files that the template owns are as it rendered them.

    Raises:
        SystemExit: If one was changed, with the ways to keep or to undo the change.
    """
    owned = read_record(folder)["owned"]
    changed = [path for path, expected in owned.items() if digest(folder / path) != expected]
    if changed:
        sys.exit(
            f"the template owns {', '.join(changed)}, but it has changed; undo the change, or take it over: remove its "
            f"line from {RECORD_FILE}, and `update` merges it from then on"
        )


def update(version: str = "", *, check_only: bool = False, folder: Path = PROJECT_FOLDER) -> None:
    """Update the project to a release of the template: the task ``update``.

    The release itself does it (`scripts.update` there), so an update is never older than what it updates to.

    Args:
        version: The release; by default the newest.
        check_only: Whether only to say if there is a newer release.
        folder: The project.

    Raises:
        SystemExit: With status 1 if it fails, if conflicts are left, or if there is a newer release to check for.
    """
    record = read_record(folder)
    rendered, releases = _parse(record["rendered"]), _releases(record["template"])
    proposed = _parse(record["version"])
    # Renovate raises the version in the record.
    wanted = _parse(version) if version else proposed if proposed > rendered else max(releases)
    if wanted not in releases:
        listed = ", ".join(map(_text, sorted(releases)))
        sys.exit(f"update: there is no release {version or record['version']}; the releases are {listed}")
    if wanted < rendered:
        sys.exit(f"update: {_text(wanted)} is older than {_text(rendered)}, which this project was rendered with")
    if check_only:
        newer = wanted > rendered
        print(f"update: {_text(wanted)} is {'available' if newer else 'up to date'}")
        sys.exit(int(newer))
    with tempfile.TemporaryDirectory() as temporary:
        release = Path(temporary) / "release"
        _run("git", "clone", "--quiet", "--branch", f"v{_text(wanted)}", record["template"], str(release))
        # An environment of its own: the project's may be the one that is updated.
        command = [sys.executable, "-m", "uv", "run", "--quiet", "--no-dev", "--directory", str(release)]
        command += ["python", "-m", "scripts.update", str(folder)]
        sys.exit(subprocess.run(command, check=False, env=_variables()).returncode)


def _releases(template: str) -> set[Version]:
    """Return the versions of the template's tags that are releases.

    Raises:
        SystemExit: If there are none, or they cannot be read.
    """
    if not template:
        sys.exit(f'update: the template\'s address is unknown; set "template" in {RECORD_FILE}')
    found = {tuple(map(int, numbers)) for numbers in RELEASE.findall(_run("git", "ls-remote", "--tags", template))}
    return found or sys.exit(f"update: {template} has no releases")


def _run(*command: str) -> str:
    """Run git, which must not ask for credentials, and return its output."""
    try:
        finished = subprocess.run(command, check=False, capture_output=True, encoding="utf-8", env=_variables())
    except FileNotFoundError:
        sys.exit("update: git is not on the PATH")
    if finished.returncode:
        sys.exit(f"update: `{' '.join(command[:2])}` failed: {finished.stderr.strip().splitlines()[-1]}")
    return finished.stdout


def _variables() -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT"}}
    return kept | {"GIT_TERMINAL_PROMPT": "0", "PYTHONDONTWRITEBYTECODE": "1"}


def _parse(version: str) -> Version:
    """Parse a version; what is none is older than every version."""
    found = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found else ()


def _text(version: Version) -> str:
    return ".".join(map(str, version))
