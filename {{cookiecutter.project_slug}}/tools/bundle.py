"""Location of the function's bundle. The task `package` builds it, and the program deploys it."""

from pathlib import Path
from typing import Final

import pulumi

from infrastructure.project import PROJECT

BUILD_FOLDER: Final = Path(__file__).resolve().parent.parent / "build"


def bundle_path(environment: str, runtime: str, architecture: str) -> Path:
    """Return the path of a stack's bundle, whether or not it exists.

    It is built for a runtime and an architecture. The local stack's is built for this machine's Python instead, which
    runs the function there.
    """
    target = PROJECT.local if environment == PROJECT.local else f"{runtime}-{architecture}"
    return BUILD_FOLDER / f"{PROJECT.function.folder}-{target}.zip"


def bundle_archive(environment: str, runtime: str, architecture: str) -> pulumi.FileArchive:
    """Return a stack's bundle as an archive. The arguments are those of `bundle_path`.

    Raises:
        pulumi.RunError: If it does not exist; the message names the task that builds it.
    """
    path = bundle_path(environment, runtime, architecture)
    if not path.is_file():
        raise pulumi.RunError(
            f"the function's bundle is missing: {path.name} is not in {path.parent}; the task `package` builds it"
        )
    return pulumi.FileArchive(str(path))
