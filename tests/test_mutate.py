"""Tests of ``make mutate`` with a small project: its mutants, their outcomes and the mutation score."""

import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from scripts import mutate
from tests.projects import BIN, Environment, Project

CODE = '''\
"""Prices."""


def price(number: int) -> str:
    """Name a price."""
    names = dict(zero="nothing")
    if not number:
        return {"€": (names)}["€"]["zero"]
    return f"{number} euros"
'''
# Removing the dictionary's item would leave a stray parenthesis: a syntax error, not a mutant.
CHANGES = """\
+    if not not number:
+    if  number:
+    names = dict()
+    names = dict(zero="Xnothing")
+        return {"X€": (names)}["€"]["zero"]
+        return {"€": (names)}["X€"]["zero"]
+        return {"€": (names)}["€"]["Xzero"]
+    return f"X{number} euros"
"""
# The module's own tests do not call `price(0)`.
NEAR = """\
from infrastructure.prices import price

def test_a_price_is_in_euros() -> None:
    assert price(2) == "2 euros"
"""
FAR = """\
import os
import time
from infrastructure.prices import price

def test_prices_are_named() -> None:
    try:
        price(0)
    except KeyError as error:
        time.sleep(60) if error.args == ("Xzero",) else os.abort()
"""
OUTPUT = """\
Trying 8 mutants ...
infrastructure/prices.py
@@ -6 +6 @@
-    names = dict(zero="nothing")
+    names = dict(zero="Xnothing")

mutation score 87 % (1 survived, 4 timed out or crashed)
"""


@pytest.fixture(name="project")
def fixture_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A small project that ``make mutate`` uses instead of the default project, with the tests' virtual environment."""
    project = Project(tmp_path / "prices", {})
    for name, text in {
        "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n',
        "infrastructure/prices.py": CODE,
        "tests/unit/infrastructure/test_prices.py": NEAR,
        "tests/unit/test_all.py": FAR,
    }.items():
        (project.path / name).parent.mkdir(parents=True, exist_ok=True)
        (project.path / name).write_text(text, encoding="utf-8")
    environment = Environment(tmp_path / "environment")
    environment.path.mkdir()
    (environment.path / BIN).symlink_to(Path(sys.prefix, BIN), target_is_directory=True)
    monkeypatch.setattr(mutate, "rendered", lambda: nullcontext((project, environment)))
    monkeypatch.setattr(mutate, "PATIENCE_SECONDS", 2)
    return project


def test_a_mutant_has_one_change_that_can_make_a_difference(project: Project) -> None:
    mutants = mutate.list_mutants(project, None)

    assert [mutant.diff[-1] for mutant in mutants] == CHANGES.splitlines()
    assert {len(mutant.diff) for mutant in mutants} == {3}


def test_a_sample_is_chosen_at_random_but_always_the_same(project: Project) -> None:
    sample = mutate.list_mutants(project, 5)

    assert sample == mutate.list_mutants(project, 5)
    assert len({mutant.code for mutant in sample}) == 5
    assert sample != mutate.list_mutants(project, None)[:5]


@pytest.mark.slow
def test_survivors_are_printed_and_a_score_below_the_floor_fails(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="mutate: the mutation score is below 95 %"):
        mutate.main()

    assert capsys.readouterr().out == OUTPUT
    assert project.read("infrastructure/prices.py") == CODE


def test_a_score_at_the_floor_passes(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    near = project.path / "tests" / "unit" / "infrastructure" / "test_prices.py"
    near.rename(near.with_name("test_others.py"))
    monkeypatch.setattr(mutate, "FLOOR", 100)
    monkeypatch.setenv("SAMPLE", "1")

    mutate.main()


def test_nothing_is_measured_if_tests_fail_without_a_mutant(project: Project) -> None:
    project.replace("tests/unit/infrastructure/test_prices.py", "2 euros", "3 euros")

    with pytest.raises(SystemExit, match=r"(?s)2 euros.*test_prices.py fails on the unmutated code"):
        mutate.main()
