"""The bundle: what goes into it, for which platform, and that the same input gives the same bytes."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import pytest

from tools import bundle, package
from tools.configuration.stack_files import PROJECT_FOLDER, StackConfig
from tools.package import locked_requirements
from tools.testing.recording import PROJECT_NAME

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
    """Stands in for uv: records its calls, exports one requirement, and installs one small package."""

    def __init__(self) -> None:
        self.exports: list[list[str]] = []
        self.command: list[str] = []
        self.requirements = ""
        self.status = 0

    def __call__(self, command: list[str], **_: Any) -> SimpleNamespace:
        """Run a uv command, or fail."""
        if self.status:
            raise subprocess.CalledProcessError(self.status, command)
        if "export" in command:
            self.exports.append(command)
            return SimpleNamespace(stdout=REQUIREMENTS)
        self.command = command
        self.requirements = Path(self.option("--requirements")).read_text(encoding="utf-8")
        installed = Path(self.option("--target")) / "powertools"
        (installed / "__pycache__").mkdir(parents=True)
        (installed / "__init__.py").write_text("VERSION = 3\n", encoding="utf-8")
        (installed / "__pycache__" / "__init__.cpython-313.pyc").write_bytes(b"cache")
        return SimpleNamespace()

    def option(self, name: str) -> str:
        """Return the value of an option."""
        return self.command[self.command.index(name) + 1]


@pytest.fixture(name="build")
def fixture_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder for bundles, and fixed requirements."""
    monkeypatch.setattr(bundle, "BUILD_FOLDER", tmp_path / "build")
    monkeypatch.setattr(package, "locked_requirements", lambda: REQUIREMENTS)
    return tmp_path / "build"


@pytest.fixture(name="uv")
def fixture_uv(monkeypatch: pytest.MonkeyPatch) -> Uv:
    """A uv that needs no network."""
    uv = Uv()
    monkeypatch.setattr(subprocess, "run", uv)
    return uv


def set_config(monkeypatch: pytest.MonkeyPatch, secret: tuple[str, ...] = (), **settings: str) -> None:
    """Change settings of every stack file."""
    original = package.read_stack_config
    changed = {f"{PROJECT_NAME}:{name}": value for name, value in settings.items()}
    secrets = frozenset(f"{PROJECT_NAME}:{name}" for name in secret)

    def read_changed(stack: str) -> StackConfig:
        return replace(original(stack), values=original(stack).values | changed, secret_keys=secrets)

    monkeypatch.setattr(package, "read_stack_config", read_changed)


def test_the_bundle_contains_the_function_and_its_dependencies_but_no_caches(build: Path, uv: Uv) -> None:
    (PROJECT_FOLDER / "processor" / "__pycache__").mkdir(exist_ok=True)

    package.build_bundle("dev")

    assert uv.requirements == REQUIREMENTS
    (archive,) = build.glob("*.zip")
    with ZipFile(archive) as content:
        names = content.namelist()
        assert content.read("processor/handler.py") == (PROJECT_FOLDER / "processor/handler.py").read_bytes()
    assert "powertools/__init__.py" in names
    assert {name.partition("/")[0] for name in names} == {"powertools", "processor"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".txt")]


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
@pytest.mark.parametrize("runtime", ["python3.11", "python3.14"])
def test_dependencies_are_those_of_the_configured_runtime_and_architecture(
    build: Path, uv: Uv, monkeypatch: pytest.MonkeyPatch, runtime: str, architecture: str
) -> None:
    set_config(monkeypatch, lambdaRuntime=runtime, lambdaArchitecture=architecture)

    package.build_bundle("dev")

    assert uv.option("--python-version") == runtime.removeprefix("python")
    assert uv.option("--python-platform") == {"arm64": "aarch64", "x86_64": "x86_64"}[architecture] + "-manylinux2014"
    assert [path.name for path in build.iterdir()] == [f"processor-{runtime}-{architecture}.zip"]


@pytest.mark.usefixtures("uv")
def test_builds_are_reproducible(build: Path) -> None:
    def built() -> bytes:
        package.build_bundle("dev")
        (archive,) = build.iterdir()
        content = archive.read_bytes()
        archive.unlink()
        return content

    first = built()
    os.utime(PROJECT_FOLDER / "processor" / "handler.py")

    assert built() == first


def test_a_bundle_that_is_up_to_date_is_not_built_again(
    build: Path, uv: Uv, capsys: pytest.CaptureFixture[str]
) -> None:
    package.build_bundle("dev")
    uv.command = []

    package.build_bundle("dev")

    assert uv.command == []
    (archive,) = build.iterdir()
    assert capsys.readouterr().out.splitlines()[1] == f"{archive}: 0.0 MB, up to date"


def test_a_bundle_of_these_files_is_accepted_and_not_built(
    build: Path, uv: Uv, capsys: pytest.CaptureFixture[str]
) -> None:
    package.build_bundle("dev")
    (archive,) = build.iterdir()
    before = archive.stat()
    uv.command = []

    package.check_bundle("dev")

    assert uv.command == []
    assert archive.stat() == before
    assert capsys.readouterr().out.splitlines()[1] == f"{archive}: up to date"


@pytest.mark.parametrize("problem", ["has been built from other files", "is missing"])
def test_a_bundle_that_is_missing_or_of_other_files_is_refused_and_not_built(
    build: Path, uv: Uv, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    if problem != "is missing":
        package.build_bundle("dev")
        monkeypatch.setattr(package, "locked_requirements", lambda: "aws-lambda-powertools==3.38.0\n")
    uv.command = []

    with pytest.raises(SystemExit) as error:
        package.check_bundle("dev")

    name = "processor-python3.13-arm64.zip"
    assert error.value.code == f"package: the bundle {name} {problem}; the task `ci-package` builds it once for all"
    assert uv.command == []
    assert build.exists() == (problem != "is missing")


@pytest.mark.parametrize("change", ["requirements", "source", "name", "damage", "platform"])
def test_an_outdated_bundle_is_built_again(
    build: Path, uv: Uv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: str
) -> None:
    source = Path(shutil.copytree(package.SOURCE, tmp_path / "processor", ignore=shutil.ignore_patterns("__pycache__")))
    monkeypatch.setattr(package, "SOURCE", source)
    package.build_bundle("dev")
    uv.command = []
    if change == "requirements":
        monkeypatch.setattr(package, "locked_requirements", lambda: "aws-lambda-powertools==3.38.0\n")
    elif change == "source":
        (source / "handler.py").write_text("CHANGED = 1\n", encoding="utf-8")
    elif change == "name":
        (source / "nested").mkdir()
        (source / "handler.py").rename(source / "nested" / "handler.py")
    elif change == "damage":
        next(build.iterdir()).write_bytes(b"PK")
    else:
        monkeypatch.setattr(package, "PLATFORMS", dict.fromkeys(package.PLATFORMS, "x86_64-manylinux_2_28"))

    package.build_bundle("dev")

    assert uv.command


def test_a_local_stacks_dependencies_are_for_this_machine(build: Path, uv: Uv, monkeypatch: pytest.MonkeyPatch) -> None:
    package.build_bundle("local")
    assert uv.option("--python") == sys.executable
    assert "--python-platform" not in uv.command
    assert [path.name for path in build.iterdir()] == ["processor-local.zip"]
    uv.command = []
    monkeypatch.setattr(sys, "version", "another Python")

    package.build_bundle("local")

    assert uv.command


@pytest.mark.usefixtures("uv")
def test_the_bundle_and_its_size_are_printed(build: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package.build_bundle("dev")

    (archive,) = build.iterdir()
    assert capsys.readouterr().out == f"{archive}: 0.0 MB\n"


@pytest.mark.usefixtures("build", "uv")
def test_an_unknown_stack_is_refused_in_one_line() -> None:
    with pytest.raises(SystemExit, match=r"^package: Pulumi\.absent\.yaml: does not exist in "):
        package.build_bundle("absent")


@pytest.mark.usefixtures("uv")
def test_a_secret_is_not_checked(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_config(monkeypatch, secret=("notificationEmail",), notificationEmail='{"secure": "AAAB"}')

    package.build_bundle("dev")

    assert len(list(build.iterdir())) == 1


@pytest.mark.usefixtures("uv")
def test_a_bad_setting_is_refused_before_anything_is_built(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_config(monkeypatch, lambdaRuntime="python2.7")

    with pytest.raises(SystemExit, match=r'(?s)^package: .*lambdaRuntime: found "python2\.7"'):
        package.build_bundle("dev")

    assert not build.exists()


def test_a_failed_command_keeps_the_earlier_bundle(build: Path, uv: Uv) -> None:
    package.build_bundle("dev")
    (archive,) = build.iterdir()
    archive.write_bytes(b"an earlier one")
    before = archive.read_bytes()
    uv.status = 3

    with pytest.raises(SystemExit, match=r"^package: uv failed with exit status 3; its message is above$"):
        package.build_bundle("dev")

    assert list(build.iterdir()) == [archive]
    assert archive.read_bytes() == before


def test_a_damaged_lock_file_is_reported_in_one_line(
    build: Path, uv: Uv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "Pipfile.lock").write_text("<<<<<<< HEAD\n", encoding="utf-8")
    monkeypatch.setattr(package, "locked_requirements", lambda: locked_requirements(tmp_path))

    with pytest.raises(SystemExit, match=r"^package: Pipfile\.lock is not JSON: "):
        package.build_bundle("dev")

    assert uv.command == []
    assert not build.exists()


def test_files_of_file_managers_are_not_in_the_bundle(tmp_path: Path) -> None:
    (tmp_path / ".DS_Store").touch()
    (tmp_path / "handler.py").touch()
    (tmp_path / "out").mkdir()
    archive = tmp_path / "out" / "bundle.zip"

    package.write_archive(tmp_path, archive, b"")

    with ZipFile(archive) as content:
        assert ".DS_Store" not in content.namelist()


def test_the_dependencies_are_those_locked_by_uv(uv: Uv, tmp_path: Path) -> None:
    assert package.locked_requirements(tmp_path) == REQUIREMENTS
    assert uv.exports[0][3:6] == ["export", "--quiet", "--only-group"]


def test_the_dependencies_are_those_locked_by_pipenv(tmp_path: Path) -> None:
    (tmp_path / "Pipfile.lock").write_text(PIPFILE_LOCK, encoding="utf-8")

    assert package.locked_requirements(tmp_path) == (
        "aws-lambda-powertools==3.37.0; python_version >= '3.10'\njmespath==1.1.0\n"
    )
