"""Removes the virtual environment, coverage data and caches, which the other make targets recreate.

Rendered projects, in build/ or elsewhere, are kept, because they may contain a user's work.
"""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHES = ("__pycache__", ".hypothesis", ".pytest_cache", ".ruff_cache")
MADE = (".venv", "coverage", *CACHES)


def main() -> None:
    """Clean the template's folder, and remove the caches in the source folders given as arguments."""
    cached = [path for folder in sys.argv[1:] for cache in CACHES for path in (ROOT / folder).rglob(cache)]
    for path in [*(ROOT / name for name in MADE), *cached]:
        shutil.rmtree(path, ignore_errors=True)
    for path in ROOT.glob(".coverage*"):
        path.unlink()


if __name__ == "__main__":
    main()
