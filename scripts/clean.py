"""Removes what the other targets made: environments, rendered projects, caches."""

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MADE = (".venv", "build", ".hypothesis", ".pytest_cache", ".ruff_cache")


def main() -> None:
    """Remove them, with the caches of Python in every folder."""
    for path in [*(ROOT / name for name in MADE), *ROOT.rglob("__pycache__")]:
        shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    main()
