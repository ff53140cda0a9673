"""Builds the bundle: a ZIP archive for Lambda with the function and its dependencies.

https://docs.aws.amazon.com/lambda/latest/dg/python-package.html
"""

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

import pulumi

from tools.project import DECLARATION, PROJECT_FOLDER, DocumentError, load_declared, read_project
from tools.settings import SettingsError, find_problems

UV: Final = (sys.executable, "-m", "uv")
BUILD_FOLDER: Final = PROJECT_FOLDER / "build"
SOURCE: Final = PROJECT_FOLDER / DECLARATION.function
PLATFORMS: Final = {"arm64": "aarch64-manylinux2014", "x86_64": "x86_64-manylinux2014"}
# The earliest time in the ZIP format. A fixed time makes builds reproducible.
TIMESTAMP: Final = (1980, 1, 1, 0, 0, 0)
FILE_MODE: Final = 0o100644 << 16
NOT_SOURCE: Final = frozenset({"__pycache__", ".DS_Store"})


@dataclass(frozen=True)
class Target:
    """The path of a bundle, and the uv options that select its platform.

    https://docs.astral.sh/uv/guides/integration/aws-lambda/
    """

    archive: Path
    options: tuple[str, ...]


def bundle_path(environment: str, runtime: str, architecture: str) -> Path:
    """Return the path of a stack's bundle, which may not exist yet.

    Stacks with the same runtime and architecture share a bundle. The local stack's bundle is for this machine's Python.
    """
    target = DECLARATION.local if environment == DECLARATION.local else f"{runtime}-{architecture}"
    return BUILD_FOLDER / f"{DECLARATION.function}-{target}.zip"


def bundle_archive(environment: str, runtime: str, architecture: str) -> pulumi.FileArchive:
    """Return a stack's bundle as a Pulumi archive. The arguments are those of `bundle_path`.

    Raises:
        pulumi.RunError: If the bundle does not exist; the message names the tasks that build it.
    """
    path = bundle_path(environment, runtime, architecture)
    if not path.is_file():
        raise pulumi.RunError(
            f"the function's bundle is missing: {path.name} is not in {path.parent}; `pulumi-preview` and "
            "`pulumi-deploy` build it"
        )
    return pulumi.FileArchive(str(path))


def build_bundle(stack: str) -> None:
    """Build a stack's bundle, unless it is up to date. If that fails, exit, and leave an earlier bundle unchanged."""
    try:
        target = _target(stack)
        archive = target.archive
        requirements = locked_requirements()
        digest = _digest(target, requirements)
        built = _read_digest(archive) != digest
        if built:
            _build(target, requirements, digest)
    except (DocumentError, SettingsError) as error:
        sys.exit(f"bundle: {error}")
    except json.JSONDecodeError as error:
        sys.exit(f"bundle: Pipfile.lock is not JSON: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"bundle: uv failed with exit status {error.returncode}; its message is above")
    print(f"{archive}: {archive.stat().st_size / 1_000_000:.1f} MB{'' if built else ', up to date'}")


def _build(target: Target, requirements: str, digest: bytes) -> None:
    archive = target.archive
    archive.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        content = Path(folder) / "content"
        _install(content, requirements, target.options)
        shutil.copytree(SOURCE, content / SOURCE.name)
        finished = Path(folder) / archive.name
        write_archive(content, finished, digest)
        finished.replace(archive)


def _target(stack: str) -> Target:
    """Read the target from the stack's settings. Check all settings first, so that no unusable bundle is built."""
    project = read_project()
    config = project.read_stack(stack)
    problems = find_problems(load_declared(DECLARATION.settings), project.name, config.values, config.secret_keys)
    # Only the Pulumi CLI can decrypt secrets, so the Pulumi program checks them.
    readable = [problem for problem in problems if problem.key not in config.secret_keys]
    if readable:
        raise SettingsError(readable)
    keys = (DECLARATION.environment, DECLARATION.runtime, DECLARATION.architecture)
    environment, runtime, architecture = (config.values[f"{project.name}:{key}"] for key in keys)
    archive = bundle_path(environment, runtime, architecture)
    if environment == DECLARATION.local:
        return Target(archive, ("--python", sys.executable))
    version = runtime.removeprefix("python")
    return Target(archive, ("--python-version", version, "--python-platform", PLATFORMS[architecture]))


def _digest(target: Target, requirements: str) -> bytes:
    """Hash everything that determines a bundle: target, dependencies, source, and this module."""
    machine = (sysconfig.get_platform(), sys.version) if "--python" in target.options else ()
    files = {Path(__file__).name: Path(__file__)} | {
        path.relative_to(SOURCE).as_posix(): path for path in _files(SOURCE)
    }
    content = [repr((target.options, machine, requirements)).encode()]
    content += [name.encode() + b"\0" + path.read_bytes() for name, path in files.items()]
    return hashlib.sha256(b"\0".join(content)).hexdigest().encode()


def _read_digest(archive: Path) -> bytes:
    """Return the digest stored in a bundle; empty if the bundle is missing or damaged."""
    with contextlib.suppress(OSError, BadZipFile), ZipFile(archive) as bundle:
        return bundle.comment
    return b""


def _files(folder: Path) -> list[Path]:
    """List a folder's files in sorted order, without caches and ``.DS_Store``."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not NOT_SOURCE & {*path.parts})


def write_archive(folder: Path, archive: Path, comment: bytes) -> None:
    """Write a folder's files, without caches, to a reproducible archive, whose comment stores the digest."""
    with ZipFile(archive, "w") as output:
        output.comment = comment
        for path in _files(folder):
            entry = ZipInfo(path.relative_to(folder).as_posix(), TIMESTAMP)
            entry.external_attr = FILE_MODE
            output.writestr(entry, path.read_bytes(), compress_type=ZIP_DEFLATED)


def locked_requirements(folder: Path = PROJECT_FOLDER) -> str:
    """Return the function's locked dependencies, in pip's requirements format.

    Raises:
        subprocess.CalledProcessError: If uv cannot export its lock file.
    """
    pipfile_lock = folder / "Pipfile.lock"
    if pipfile_lock.exists():
        locked = json.loads(pipfile_lock.read_text(encoding="utf-8"))["processor"]
        return "".join(f"{_requirement(name, entry)}\n" for name, entry in locked.items())
    command = [*UV, "export", "--quiet", "--only-group", "processor", "--no-hashes", "--no-emit-project"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8", cwd=folder).stdout


def _requirement(name: str, locked: dict[str, str]) -> str:
    condition = locked.get("markers")
    return f"{name}{locked['version']}; {condition}" if condition else f"{name}{locked['version']}"


def _install(target: Path, requirements: str, options: tuple[str, ...]) -> None:
    """Install the function's dependencies for its platform, only from wheels: nothing is compiled on this machine."""
    file = target.with_suffix(".txt")
    file.write_text(requirements, encoding="utf-8")
    command = [*UV, "pip", "install", "--quiet", "--requirements", str(file), "--target", str(target), *options]
    command += ["--only-binary", ":all:", "--no-installer-metadata", "--no-compile-bytecode"]
    subprocess.run(command, check=True, cwd=PROJECT_FOLDER)
