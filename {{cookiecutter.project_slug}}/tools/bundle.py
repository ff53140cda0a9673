"""Where the function's bundle is: the task `package` writes it, the program deploys it."""

from pathlib import Path
from typing import Final

import pulumi

from infrastructure.project import PROJECT

BUILD_FOLDER: Final = Path(__file__).resolve().parent.parent / "build"


def bundle_path(environment: str, runtime: str, architecture: str) -> Path:
    """Name a stack's bundle, whether or not it exists.

    It is built for the runtime and the instruction set, but for a local stack it is built for this machine, whose
    Python runs the function there.
    """
    target = PROJECT.local if environment == PROJECT.local else f"{runtime}-{architecture}"
    return BUILD_FOLDER / f"{PROJECT.function.folder}-{target}.zip"


def bundle_archive(environment: str, runtime: str, architecture: str) -> pulumi.FileArchive:
    """Find a stack's bundle; the arguments are `bundle_path`'s.

    Raises:
        pulumi.RunError: If there is none, with the task that builds it.
    """
    path = bundle_path(environment, runtime, architecture)
    if not path.is_file():
        raise pulumi.RunError(
            f"the function's bundle is missing: {path.name} is not in {path.parent}; the task `package` builds it"
        )
    return pulumi.FileArchive(str(path))
