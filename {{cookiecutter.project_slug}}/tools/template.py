"""Updates the project to a release of the template, and checks that template-owned files are unchanged.

``.template.json`` records the template, the version, the owned files and the answers. Cookiecutter's hook imports this
module, so the module imports only the standard library.
"""

import contextlib
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
# Version numbers and commits of GitHub Actions, which Renovate updates even in template-owned files.
VERSIONS: Final = re.compile(rb"@[0-9a-f]{40}( # v[\d.]+)?|\d+(\.\d+)+")
KEYS: Final = frozenset({"template", "version", "rendered", "commit", "owned", "answers"})
RELEASE: Final = re.compile(r"refs/tags/v(\d+)\.(\d+)\.(\d+)$", re.MULTILINE)

# The exit status that shells report for an interrupted command.
INTERRUPTED: Final = 130

Version = tuple[int, ...]


def digest(path: Path) -> str:
    """Hash a file, regardless of version numbers and line endings. A missing file counts as empty."""
    content = path.read_bytes() if path.is_file() else b""
    return hashlib.sha256(VERSIONS.sub(b"", content.replace(b"\r\n", b"\n"))).hexdigest()


def read_record(folder: Path = PROJECT_FOLDER) -> dict[str, Any]:
    """Read ``.template.json``; exit if it is missing or damaged."""
    problem = f"it needs {', '.join(sorted(KEYS))}"
    try:
        record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        if isinstance(record, dict) and record.keys() >= KEYS and _parse(str(record["rendered"])):
            return record
    except FileNotFoundError:
        problem = "it does not exist"
    except ValueError as error:
        problem = str(error)
    sys.exit(f"{RECORD_FILE} cannot be read: {problem}; correct it, or restore it from the project's history")


def check(folder: Path = PROJECT_FOLDER) -> None:
    """Exit with the remedy if a template-owned file has changed, or a release that Renovate proposes is not merged."""
    record = read_record(folder)
    if record["version"] != record["rendered"]:
        sys.exit(f"{RECORD_FILE} proposes {record['version']} of the template; run the task `update`")
    changed = [path for path, expected in record["owned"].items() if digest(folder / path) != expected]
    if changed:
        sys.exit(
            f"changed, but owned by the template: {', '.join(changed)}; undo the change or, to own the file, remove "
            f"its line from {RECORD_FILE}: `update` then merges the file; see tools/README.md"
        )


def update(version: str = "", *, check_only: bool = False, folder: Path = PROJECT_FOLDER) -> None:
    """Update the project to a release of the template: the task ``update``.

    The release's own `scripts.update` does the work, so an update's code is never older than the release. Without
    `version`: the release that Renovate proposes, or else the newest. `check_only` prints whether there is a newer one.

    Raises:
        SystemExit: Always. Status 1: the update failed or left conflicts, or `check_only` found a newer release.
    """
    record = read_record(folder)
    rendered, releases = _parse(record["rendered"]), _releases(record["template"])
    proposed = _parse(record["version"])
    # Renovate proposes a release by raising the record's `version` above `rendered`.
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
        # uv runs the release in its own virtual environment, because the project's lacks Cookiecutter.
        command = [sys.executable, "-m", "uv", "run", "--quiet", "--no-dev", "--directory", str(release)]
        command += ["python", "-m", "scripts.update", str(folder)]
        with subprocess.Popen(command, env=_variables()) as process:
            while process.poll() is None:
                # Ctrl-C reaches the release's program, too, which undoes what it has begun.
                with contextlib.suppress(KeyboardInterrupt):
                    process.wait()
        sys.exit(process.returncode)


def _releases(template: str) -> set[Version]:
    """Return the template's releases: its tags of the form ``v1.2.3``; exit if there are none."""
    if not template:
        sys.exit(f'update: the template\'s address is unknown; set "template" in {RECORD_FILE} to its URL')
    found = {tuple(map(int, numbers)) for numbers in RELEASE.findall(_run("git", "ls-remote", "--tags", template))}
    return found or sys.exit(f"update: {template} has no releases")


def _run(*command: str) -> str:
    """Run git without prompts for credentials, and return its output."""
    try:
        finished = subprocess.run(command, check=False, env=_variables(), capture_output=True, encoding="utf-8")
    except FileNotFoundError:
        sys.exit("update: git is not on the PATH")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    if finished.returncode:
        reason = re.search(r"^fatal: (.+)", finished.stderr, re.MULTILINE)
        said = reason[1] if reason else f"exit status {finished.returncode}"
        sys.exit(f"update: `{' '.join(command[:2])}` failed: {said}; the template's address is in {RECORD_FILE}")
    return finished.stdout


def _variables() -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT"}}
    kept.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    return kept | {"GIT_TERMINAL_PROMPT": "0", "PYTHONDONTWRITEBYTECODE": "1"}


def _parse(version: str) -> Version:
    """Parse a version. Other text counts as older than every version."""
    found = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found else ()


def _text(version: Version) -> str:
    return ".".join(map(str, version))
