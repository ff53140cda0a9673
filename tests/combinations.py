"""The questions, the last release, and pairwise combinations of the choices, for the tests to render.

New choices and values are covered automatically.
"""

import json
from pathlib import Path
from typing import Any

from allpairspy import AllPairs

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS: dict[str, Any] = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
CHOICES: dict[str, list[str]] = {
    question: default for question, default in QUESTIONS.items() if isinstance(default, list) and question[0] != "_"
}
# The last release: until the first one, the first commit whose projects have the task `update`.
LAST, LAST_VERSION = "52636563222b3c3a455b4ce0b5fa8b3e41afd304", "0.1.0"
ASKED = [question for question in QUESTIONS if question[0] != "_"]

# Every pair of values of two choices occurs in at least one combination.
COMBINATIONS: list[dict[str, str]] = [
    dict(zip(CHOICES, values, strict=True)) for values in AllPairs(list(CHOICES.values()))
]


def name(combination: dict[str, str]) -> str:
    """Return a combination's values, joined with hyphens, as a pytest ID."""
    return "-".join(combination.values())
