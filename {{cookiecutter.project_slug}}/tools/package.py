"""The ``package`` task: the function and its dependencies in one archive, as Lambda wants it.

https://docs.aws.amazon.com/lambda/latest/dg/python-package.html
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from infrastructure.bundle import bundle_path
from infrastructure.settings import SettingsError, find_problems
from infrastructure.stack_files import PROJECT_FOLDER, StackFileError, read_project, read_stack_config

UV = (sys.executable, "-m", "uv")
PLATFORMS = {"arm64": "aarch64-manylinux2014", "x86_64": "x86_64-manylinux2014"}
# The earliest time that a ZIP archive can hold: the same input gives the same bytes on every day.
TIMESTAMP = (1980, 1, 1, 0, 0, 0)
FILE_MODE = 0o100644 << 16


def build_bundle(stack: str) -> None:
    """Build the bundle for a stack's runtime and architecture.

    Args:
        stack: Name of the stack.

    Raises:
        SystemExit: If it cannot be built, with the reason.
    """
    try:
        runtime, architecture = _target(stack)
        archive = bundle_path(runtime, architecture)
        archive.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
            content = Path(folder) / "content"
            _install(content, runtime.removeprefix("python"), PLATFORMS[architecture])
            shutil.copytree(PROJECT_FOLDER / "processor", content / "processor")
            finished = Path(folder) / archive.name
            write_archive(content, finished)
            finished.replace(archive)
    except (StackFileError, SettingsError) as error:
        sys.exit(f"package: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"package: uv failed with exit status {error.returncode}; its message is above")
    print(f"{archive}: {archive.stat().st_size / 1_000_000:.1f} MB")


def _target(stack: str) -> tuple[str, str]:
    """Read a stack's runtime and architecture, if the rest is as it should be: a bundle for nothing helps nobody."""
    project, config = read_project()["name"], read_stack_config(stack)
    problems = find_problems(project, config.values, config.secret_keys)
    # Whether a secret is good, only the engine can tell.
    readable = [problem for problem in problems if problem.key not in config.secret_keys]
    if readable:
        raise SettingsError(readable)
    return config.values[f"{project}:lambdaRuntime"], config.values[f"{project}:lambdaArchitecture"]


def write_archive(folder: Path, archive: Path) -> None:
    """Write a folder's files, without caches, into an archive that depends on nothing but their names and content."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    with ZipFile(archive, "w") as output:
        for path in files:
            entry = ZipInfo(path.relative_to(folder).as_posix(), TIMESTAMP)
            entry.external_attr = FILE_MODE
            output.writestr(entry, path.read_bytes(), compress_type=ZIP_DEFLATED)


def locked_requirements(folder: Path = PROJECT_FOLDER) -> str:
    """List the function's dependencies as the project's package manager has locked them, as pip's requirements.

    Raises:
        subprocess.CalledProcessError: If uv cannot read its lock file.
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


def _install(target: Path, python_version: str, platform: str) -> None:
    """Install the function's dependencies, as built for Lambda's Python and platform and not for this machine's."""
    requirements = target.with_suffix(".txt")
    requirements.write_text(locked_requirements(), encoding="utf-8")
    command = [*UV, "pip", "install", "--quiet", "--requirements", str(requirements), "--target", str(target)]
    command += ["--python-version", python_version, "--python-platform", platform]
    command += ["--only-binary", ":all:", "--no-installer-metadata", "--no-compile-bytecode"]
    subprocess.run(command, check=True, cwd=PROJECT_FOLDER)
