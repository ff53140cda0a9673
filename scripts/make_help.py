"""Prints the targets of Makefiles with their help comments."""

import re
import sys
from pathlib import Path


def targets(makefile: str) -> dict[str, str]:
    """Return the targets that have a help comment, which starts with ``##``."""
    return dict(re.findall(r"^([a-z-]+):[^#\n]*## (.+)$", makefile, flags=re.MULTILINE))


def main() -> None:
    """Print a line for each target of the Makefiles given as arguments."""
    for name in sys.argv[1:]:
        for target, description in targets(Path(name).read_text(encoding="utf-8")).items():
            print(f"make {target:<12} {description}")


if __name__ == "__main__":
    main()
