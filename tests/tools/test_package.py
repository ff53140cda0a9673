"""Tests of the bundle: content, platform, reproducible builds and rebuilds."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import pulumi
import pytest

from tools import package
from tools.package import locked_requirements
from tools.project import PROJECT_FOLDER, read_project

REQUIREMENTS = "aws-lambda-powertools==3.37.0\n"
PIPFILE_LOCK = """\
{
  "default": {"pulumi": {"version": "==3.272.0", "markers": "python_version >= '3.10'"}},
  "processor": {
    "aws-lambda-powertools": {"extras": ["parser"], "version": "==3.37.0", "markers": "python_version >= '3.10'"},
    "jmespath": {"version": "==1.1.0"}
  }
}
"""


class Uv:
    """Stand-in for uv: records calls, exports one requirement, and installs one small package."""

    def __init__(self) -> None:
        self.exports: list[list[str]] = []
        self.command: list[str] = []
        self.requirements = ""
        self.status = 0

    def __call__(self, command: list[str], **_: Any) -> SimpleNamespace:
        """Stand in for `subprocess.run`."""
        if self.status:
            raise subprocess.CalledProcessError(self.status, command)
        if "export" in command:
            self.exports.append(command)
            return SimpleNamespace(stdout=REQUIREMENTS)
        self.command = command
        self.requirements = Path(self.option("--requirements")).read_text(encoding="utf-8")
        installed = Path(self.option("--target")) / "powertools"
        (installed / "__pycache__").mkdir(parents=True)
        for name in ("__init__.py", ".DS_Store", "__pycache__/__init__.cpython-313.pyc"):
            (installed / name).touch()
        return SimpleNamespace()

    def option(self, name: str) -> str:
        """Return the value of an option of the install command."""
        return self.command[self.command.index(name) + 1]


@pytest.fixture(name="build")
def fixture_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary build folder. The locked requirements are fixed."""
    monkeypatch.setattr(package, "BUILD_FOLDER", tmp_path / "build")
    monkeypatch.setattr(package, "locked_requirements", lambda: REQUIREMENTS)
    return tmp_path / "build"


@pytest.fixture(name="uv")
def fixture_uv(monkeypatch: pytest.MonkeyPatch) -> Uv:
    uv = Uv()
    monkeypatch.setattr(subprocess, "run", uv)
    return uv


def configure(monkeypatch: pytest.MonkeyPatch, folder: Path, line: str) -> None:
    """Copy the stack files, set ``line`` in each copy, and make `package` read the copies."""
    for path in PROJECT_FOLDER.glob("Pulumi*.yaml"):
        text = path.read_text(encoding="utf-8")
        if path.name != "Pulumi.yaml":
            # Remove an existing line, because a duplicate key is an error.
            text = re.sub(rf"  orders:{line.partition(':')[0]}:.*\n", "", text) + f"  orders:{line}\n"
        (folder / path.name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(package, "read_project", lambda: read_project(folder))


def test_bundle_has_the_function_and_its_dependencies_but_no_caches(build: Path, uv: Uv) -> None:
    (PROJECT_FOLDER / "processor" / "__pycache__").mkdir(exist_ok=True)

    package.build_bundle("dev")

    assert uv.requirements == REQUIREMENTS
    (archive,) = build.glob("*.zip")
    with ZipFile(archive) as content:
        source = [f"processor/{path.name}" for path in (PROJECT_FOLDER / "processor").glob("*.py")]
        assert sorted(content.namelist()) == sorted(["powertools/__init__.py", *source])
        assert content.read("processor/handler.py") == (PROJECT_FOLDER / "processor/handler.py").read_bytes()


@pytest.mark.parametrize(
    ("line", "version", "platform", "name"),
    [
        ("lambdaRuntime: python3.11", "3.11", "aarch64-manylinux2014", "processor-python3.11-arm64.zip"),
        ("lambdaArchitecture: x86_64", "3.13", "x86_64-manylinux2014", "processor-python3.13-x86_64.zip"),
    ],
)
def test_dependencies_are_for_the_configured_runtime_and_architecture(
    build: Path,
    uv: Uv,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    line: str,
    version: str,
    platform: str,
    name: str,
) -> None:
    configure(monkeypatch, tmp_path, line)

    package.build_bundle("dev")

    assert (uv.option("--python-version"), uv.option("--python-platform")) == (version, platform)
    assert [path.name for path in build.iterdir()] == [name]


def test_local_dependencies_are_for_this_machine(build: Path, uv: Uv, monkeypatch: pytest.MonkeyPatch) -> None:
    package.build_bundle("local")
    assert uv.option("--python") == sys.executable
    assert "--python-platform" not in uv.command
    assert [path.name for path in build.iterdir()] == ["processor-local.zip"]
    uv.command = []
    monkeypatch.setattr(sys, "version", "another Python")

    package.build_bundle("local")

    assert uv.command


@pytest.mark.usefixtures("uv")
def test_builds_are_reproducible(build: Path) -> None:
    package.build_bundle("dev")
    (archive,) = build.iterdir()
    first = archive.read_bytes()
    archive.unlink()
    os.utime(PROJECT_FOLDER / "processor" / "handler.py")

    package.build_bundle("dev")

    assert archive.read_bytes() == first


def test_an_up_to_date_bundle_is_not_built_again(build: Path, uv: Uv, capsys: pytest.CaptureFixture[str]) -> None:
    package.build_bundle("dev")
    uv.command = []

    package.build_bundle("dev")

    assert uv.command == []
    (archive,) = build.iterdir()
    assert capsys.readouterr().out == f"{archive}: 0.0 MB\n{archive}: 0.0 MB, up to date\n"


CHANGES: dict[str, Callable[[Path, Path, pytest.MonkeyPatch], object]] = {
    "requirements": lambda _source, _archive, patch: patch.setattr(package, "locked_requirements", lambda: "other\n"),
    "source": lambda source, _archive, _patch: (source / "handler.py").write_text("CHANGED = 1\n", encoding="utf-8"),
    "name": lambda source, _archive, _patch: (source / "handler.py").rename(source / "renamed.py"),
    "damage": lambda _source, archive, _patch: archive.write_bytes(b"PK"),
    "platform": lambda _source, _archive, patch: patch.setattr(package, "PLATFORMS", {"arm64": "aarch64-other"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_outdated_bundle_is_built_again(
    build: Path, uv: Uv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: str
) -> None:
    source = Path(shutil.copytree(package.SOURCE, tmp_path / "processor", ignore=shutil.ignore_patterns("__pycache__")))
    monkeypatch.setattr(package, "SOURCE", source)
    package.build_bundle("dev")
    uv.command = []

    CHANGES[change](source, next(build.iterdir()), monkeypatch)
    package.build_bundle("dev")

    assert uv.command


@pytest.mark.usefixtures("build", "uv")
def test_an_unknown_stack_is_refused_in_one_line() -> None:
    with pytest.raises(SystemExit, match=r"^bundle: Pulumi\.absent\.yaml: does not exist; the stacks are dev, "):
        package.build_bundle("absent")


@pytest.mark.usefixtures("uv")
def test_a_bad_setting_is_refused_before_anything_is_built(
    build: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configure(monkeypatch, tmp_path, "lambdaRuntime: python2.7")

    with pytest.raises(SystemExit, match=r'(?s)^bundle: .*lambdaRuntime: found "python2\.7"'):
        package.build_bundle("dev")

    assert not build.exists()


@pytest.mark.usefixtures("uv")
def test_a_secret_is_not_checked(build: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configure(monkeypatch, tmp_path, "notificationEmail: {secure: AAAB}")

    package.build_bundle("dev")

    assert len(list(build.iterdir())) == 1


def test_a_failed_build_keeps_the_earlier_bundle(build: Path, uv: Uv) -> None:
    package.build_bundle("dev")
    (archive,) = build.iterdir()
    archive.write_bytes(b"an earlier one")
    uv.status = 3

    with pytest.raises(SystemExit, match=r"^bundle: uv failed with exit status 3; its message is above$"):
        package.build_bundle("dev")

    assert list(build.iterdir()) == [archive]
    assert archive.read_bytes() == b"an earlier one"


def test_a_damaged_lock_file_is_refused_in_one_line(
    build: Path, uv: Uv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "Pipfile.lock").write_text("<<<<<<< HEAD\n", encoding="utf-8")
    monkeypatch.setattr(package, "locked_requirements", lambda: locked_requirements(tmp_path))

    with pytest.raises(SystemExit, match=r"^bundle: Pipfile\.lock is not JSON: "):
        package.build_bundle("dev")

    assert (uv.command, build.exists()) == ([], False)


def test_the_dependencies_are_those_locked_by_uv(uv: Uv, tmp_path: Path) -> None:
    assert package.locked_requirements(tmp_path) == REQUIREMENTS
    assert uv.exports[0][3:7] == ["export", "--quiet", "--only-group", "processor"]


def test_the_dependencies_are_those_locked_by_pipenv(tmp_path: Path) -> None:
    (tmp_path / "Pipfile.lock").write_text(PIPFILE_LOCK, encoding="utf-8")

    assert package.locked_requirements(tmp_path) == (
        "aws-lambda-powertools==3.37.0; python_version >= '3.10'\njmespath==1.1.0\n"
    )


def test_the_program_gets_the_bundle_of_its_stack(build: Path) -> None:
    build.mkdir()
    (build / "processor-python3.13-arm64.zip").touch()

    assert package.bundle_archive("dev", "python3.13", "arm64").path == str(build / "processor-python3.13-arm64.zip")


@pytest.mark.usefixtures("build")
def test_a_missing_bundle_stops_the_program_and_names_the_tasks() -> None:
    with pytest.raises(pulumi.RunError, match=r"processor-python3.12-x86_64.zip is not in .*`pulumi-deploy` build it$"):
        package.bundle_archive("prod", "python3.12", "x86_64")
