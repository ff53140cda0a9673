"""Where the function's bundle is: the ``package`` task writes it, the program deploys it."""

from pathlib import Path
from typing import Final

import pulumi

BUILD_FOLDER: Final = Path(__file__).resolve().parent.parent / "build"


def bundle_path(runtime: str, architecture: str) -> Path:
    """Name the bundle that fits a runtime and an instruction set, whether or not it exists."""
    return BUILD_FOLDER / f"processor-{runtime}-{architecture}.zip"


def bundle_archive(runtime: str, architecture: str) -> pulumi.FileArchive:
    """Find the bundle that fits a runtime and an instruction set.

    Raises:
        pulumi.RunError: If there is none, with the task that builds it.
    """
    path = bundle_path(runtime, architecture)
    if not path.is_file():
        raise pulumi.RunError(
            f"the function's bundle is missing: {path.name} is not in {path.parent}; the task `package` builds it"
        )
    return pulumi.FileArchive(str(path))
