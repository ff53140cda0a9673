"""Tests of ``.template.json``, the check of template-owned files, and the start of an update."""

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tools import template

# Tags of the template's repository, of which two are releases.
TAGS = ("v1.2.0", "v1.10.0", "v2.0.0-rc1", "1.11.0", "vnext", "v3.0")
PYPROJECT = '[project]\nname = "template"\nversion = "0"\nrequires-python = ">=3.11"\n\n[tool.uv]\npackage = false\n'
# A stand-in for `scripts.update` that exits with status 1, as after conflicts.
PROGRAM = """
import sys
from pathlib import Path

Path(sys.argv[1], "updated").write_text(Path("VERSION").read_text())
sys.exit(1)
"""


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Path:
    """A project with ``.template.json`` and two template-owned files."""
    folder = tmp_path / "project"
    (folder / "tools").mkdir(parents=True)
    (folder / "tools/emulator.py").write_text('MINISTACK = "ministack==1.5.33"\n', encoding="utf-8")
    (folder / "check.yml").write_text(f"uses: actions/checkout@{'a' * 40} # v7.0.1\n", encoding="utf-8")
    owned = {name: template.digest(folder / name) for name in ("check.yml", "tools/emulator.py")}
    versions = dict.fromkeys(("version", "rendered"), "1.2.0")
    write(folder, {"template": "", "commit": "", "owned": owned, "answers": {}} | versions)
    return folder


def write(folder: Path, record: Any) -> None:
    (folder / template.RECORD_FILE).write_text(json.dumps(record), encoding="utf-8")


def change(folder: Path, **changes: str) -> None:
    write(folder, template.read_record(folder) | changes)


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Template", "-c", "user.email=template@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(name="repository")
def fixture_repository(tmp_path: Path, folder: Path) -> Path:
    """A template repository with tags. The project's ``.template.json`` names this repository."""
    repository = tmp_path / "template.git"
    (repository / "scripts").mkdir(parents=True)
    git(repository, "init", "--quiet")
    (repository / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (repository / "scripts/update.py").write_text(PROGRAM, encoding="utf-8")
    for tag in TAGS:
        (repository / "VERSION").write_text(tag, encoding="utf-8")
        git(repository, "add", ".")
        git(repository, "commit", "--quiet", "--message", tag)
        git(repository, "tag", tag)
    change(folder, template=repository.as_posix())
    return repository


UNCHANGED: dict[str, Callable[[Path], object]] = {
    "as rendered": lambda _: None,
    "Renovate's versions": lambda folder: (
        (folder / "tools/emulator.py").write_text('MINISTACK = "ministack==1.6"\n', encoding="utf-8"),
        (folder / "check.yml").write_text(f"uses: actions/checkout@{'b' * 40} # v8\n", encoding="utf-8"),
    ),
    "Windows line endings": lambda folder: (folder / "tools/emulator.py").write_bytes(
        b'MINISTACK = "ministack==1.5.33"\r\n'
    ),
    "own files": lambda folder: (folder / "tools/own.py").touch(),
}
CHANGED: dict[str, Callable[[Path], object]] = {
    "changed": lambda folder: (folder / "tools/emulator.py").write_text("", encoding="utf-8"),
    "deleted": lambda folder: (folder / "tools/emulator.py").unlink(),
}


@pytest.mark.parametrize("do", UNCHANGED.values(), ids=UNCHANGED)
def test_unchanged_files_of_the_template_pass(folder: Path, do: Callable[[Path], object]) -> None:
    do(folder)

    template.check(folder)


@pytest.mark.parametrize("do", CHANGED.values(), ids=CHANGED)
def test_a_changed_file_of_the_template_is_refused_with_the_remedy(folder: Path, do: Callable[[Path], object]) -> None:
    do(folder)

    with pytest.raises(
        SystemExit, match=r"^changed, but owned by the template: tools/emulator\.py; undo the change or, "
    ):
        template.check(folder)


def test_a_file_that_was_taken_over_may_change(folder: Path) -> None:
    (folder / "tools/emulator.py").unlink()
    record = template.read_record(folder)
    del record["owned"]["tools/emulator.py"]
    write(folder, record)

    template.check(folder)


def test_a_proposed_release_that_is_not_merged_fails_the_check(folder: Path) -> None:
    change(folder, version="1.10.0")

    with pytest.raises(
        SystemExit, match=r"^\.template\.json proposes 1\.10\.0 of the template; run the task `update`$"
    ):
        template.check(folder)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "it does not exist"),
        ('{"owned": }', "Expecting value: line 1 column 11 (char 10)"),
        ("[]", "it needs answers, commit, owned, rendered, template, version"),
        ('{"owned": {}, "answers": {}}', "it needs answers, commit, owned, rendered, template, version"),
    ],
)
def test_a_missing_or_damaged_record_is_refused(folder: Path, text: str | None, problem: str) -> None:
    (folder / template.RECORD_FILE).unlink()
    if text is not None:
        (folder / template.RECORD_FILE).write_text(text, encoding="utf-8")

    with pytest.raises(SystemExit) as refused:
        template.check(folder)

    assert str(refused.value).startswith(f".template.json cannot be read: {problem}; correct it, or restore it ")


@pytest.mark.parametrize(
    ("version", "proposed", "expected"),
    [
        ("", "1.2.0", "v1.10.0"),
        ("", "1.10.0", "v1.10.0"),
        ("1.2.0", "1.10.0", "v1.2.0"),
        ("v1.10.0", "1.2.0", "v1.10.0"),
    ],
)
@pytest.mark.usefixtures("repository")
def test_the_release_itself_updates_the_project(folder: Path, version: str, proposed: str, expected: str) -> None:
    change(folder, version=proposed)

    with pytest.raises(SystemExit) as ended:
        template.update(version, folder=folder)

    assert ended.value.code == 1
    assert (folder / "updated").read_text(encoding="utf-8") == expected


@pytest.mark.parametrize(
    ("rendered", "text", "status"), [("1.2.0", "1.10.0 is available", 1), ("1.10.0", "1.10.0 is up to date", 0)]
)
@pytest.mark.usefixtures("repository")
def test_check_says_whether_there_is_a_newer_release(
    folder: Path, capsys: pytest.CaptureFixture[str], rendered: str, text: str, status: int
) -> None:
    change(folder, rendered=rendered)

    with pytest.raises(SystemExit) as ended:
        template.update(check_only=True, folder=folder)

    assert ended.value.code == status
    assert capsys.readouterr().out == f"update: {text}\n"
    assert not (folder / "updated").exists()


@pytest.mark.parametrize(
    ("record", "version", "message"),
    [
        ({"template": ""}, "", 'the template\'s address is unknown; set "template" in .template.json to its URL'),
        ({"template": "no/such/folder"}, "", "`git ls-remote` failed: "),
        ({"template": "http://127.0.0.1:1/template.git"}, "", "`git ls-remote` failed: unable to access 'http://127.0"),
        ({}, "1.3.0", "there is no release 1.3.0; the releases are 1.2.0, 1.10.0"),
        ({"version": "1.3.0"}, "", "there is no release 1.3.0; the releases are 1.2.0, 1.10.0"),
        ({}, "newest", "there is no release newest; the releases are 1.2.0, 1.10.0"),
        ({"rendered": "1.10.0"}, "1.2.0", "1.2.0 is older than 1.10.0, which this project was rendered with"),
    ],
)
@pytest.mark.usefixtures("repository")
def test_an_update_that_cannot_start_is_refused_in_one_line(
    folder: Path, record: dict[str, str], version: str, message: str
) -> None:
    change(folder, **record)

    with pytest.raises(SystemExit) as refused:
        template.update(version, folder=folder)

    assert str(refused.value).startswith(f"update: {message}")
    assert "\n" not in str(refused.value)


class NeedsCredentials(http.server.BaseHTTPRequestHandler):
    """Refuses each request, as a private repository does without credentials."""

    def do_GET(self) -> None:
        """Ask for credentials."""
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="template"')
        self.end_headers()


def test_an_address_that_needs_credentials_is_refused_without_a_prompt(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "NO_PROXY": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    with http.server.HTTPServer(("127.0.0.1", 0), NeedsCredentials) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        change(folder, template=f"{address}/template.git")

        with pytest.raises(SystemExit) as refused:
            template.update(folder=folder)
        server.shutdown()

    asked = f"update: `git ls-remote` failed: could not read Username for '{address}': terminal prompts disabled; "
    assert str(refused.value) == f"{asked}the template's address is in .template.json"


def test_a_template_without_releases_is_refused(folder: Path, repository: Path) -> None:
    git(repository, "tag", "--delete", *TAGS)

    with pytest.raises(SystemExit, match=r"^update: .*template\.git has no releases$"):
        template.update(folder=folder)


def test_an_update_without_git_is_refused(folder: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert repository
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))  # noqa: PTH120 # a folder without git

    with pytest.raises(SystemExit, match=r"^update: git is not on the PATH$"):
        template.update(folder=folder)


@pytest.mark.usefixtures("repository")
def test_an_interrupted_search_for_releases_prints_no_stack_trace(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", interrupt)

    with pytest.raises(SystemExit) as ended:
        template.update(folder=folder)

    assert ended.value.code == 130


@pytest.mark.usefixtures("repository")
def test_an_interrupted_update_waits_for_the_releases_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wait, interrupted = subprocess.Popen.wait, []

    def interrupt(process: subprocess.Popen[str], timeout: float | None = None) -> int:
        if "scripts.update" in str(process.args) and not interrupted:
            interrupted.append(process)
            raise KeyboardInterrupt
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupt)

    with pytest.raises(SystemExit, match=r"^1$"):
        template.update(folder=folder)

    assert interrupted
    assert (folder / "updated").exists()
