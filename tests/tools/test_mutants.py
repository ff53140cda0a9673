"""The mutants of a file: each has one change, and every change that matters is made."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from tools import mutants

# Code, and what it becomes.
CHANGES = {
    "a number": ("X = 1\n", {"X = 2", "X = 0"}),
    "a string": ('X = "a"\n', {'X = "Xa"'}),
    "an empty string": ('X = ""\n', {'X = "X"'}),
    "a string with placeholders": ('X = f"{y}a"\n', {'X = f"X{y}a"'}),
    "a string in single quotes": ("X = r'a'\n", {"X = r'Xa'"}),
    "a string of several lines": ('X = """a\nb"""\n', {'X = """Xa\nb"""'}),
    "a truth value": ("X = True\nY = False\n", {"X = False\nY = False", "X = True\nY = True"}),
    "equality": ("X = a == b\n", {"X = a != b"}),
    "identity": ("X = a is not b\n", {"X = a is b"}),
    "a limit": ("X = a < b\n", {"X = a <= b", "X = a >= b"}),
    "membership": ("X = a in b\n", {"X = a not in b"}),
    "no membership": ("X = a not in b\n", {"X = a  in b"}),
    "a condition": ("if a:\n    b()\n", {"if not a:\n    b()"}),
    "a condition in an expression": ("X = a if b else c\n", {"X = a if not b else c"}),
    "a condition in a comprehension": (
        "X = [a for a in b if c or d]\n",
        {"X = [a for a in b if not (c or d)]", "X = [a for a in b if c and d]"},
    ),
    "a negation": ("X = not a\n", {"X =  a"}),
    "a product": ("X = a * b\n", {"X = a / b"}),
    "a loop": ("for a in b:\n    c()\n", {"for a in []:\n    c()"}),
    "an exception": (
        "try:\n    a()\nexcept B:\n    c()\n",
        {"try:\n    a()\nexcept CosmicRayTestingException:\n    c()"},
    ),
    "a decorator": ("@a\ndef b(): ...\n", {"def b(): ..."}),
    "a keyword argument": ("f(a, b=c, d=e)\n", {"f(a, d=e)", "f(a, b=c)"}),
    "the only argument": ("f(a=b)\n", {"f()"}),
    "a decorator's argument": ("@a(b=c)\ndef d(): ...\n", {"@a()\ndef d(): ...", "def d(): ..."}),
    "a class's argument": ("class A(B, c=d): ...\n", {"class A(B): ..."}),
    "an item of a dictionary": ("X = {a: b, **c}\n", {"X = { **c}", "X = {a: b}"}),
    "the only item": ("X = {a: b}\n", {"X = {}"}),
    "the last item before a comma": ("X = {\n    a: b,\n}\n", {"X = {\n}"}),
}
# Code in which a change makes no difference, or that cannot be changed.
UNCHANGED = {
    "docstrings": '"""A module."""\n\n\ndef f():\n    """A function."""\n\n\nclass A:\n    """A class."""\n',
    "types": "def f(a: int | None) -> str | None: ...\n",
    "arguments without a name": "f(a, *b, **c)\n",
    "a comprehension": "X = {a: b for a in c}\nf(a for a in b)\n",
    "items of a set": "X = {a, b}\n",
    "the asterisk before keyword-only arguments": "def f(a, *, b): ...\ndef g(\n    a,\n    *,\n    b,\n): ...\n",
    "imports for types": "if TYPE_CHECKING:\n    import a\n",
    # `not a := b` is not Python.
    "what would not be Python": "if a := b:\n    c()\n",
}


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Cosmic Ray write its cache to the test's folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def mutants_of(folder: Path, code: str) -> list[dict[str, object]]:
    """List the mutants of a file."""
    path = folder / "code.py"
    path.write_text(code, encoding="utf-8")
    return [*mutants.list_mutants(path)]


@pytest.mark.parametrize(("code", "changed"), CHANGES.values(), ids=CHANGES)
def test_a_mutant_has_one_change(tmp_path: Path, code: str, changed: set[str]) -> None:
    found = [str(mutant["code"]).strip("\n") for mutant in mutants_of(tmp_path, code)]

    assert sorted(found) == sorted(changed)


@pytest.mark.parametrize("code", UNCHANGED.values(), ids=UNCHANGED)
def test_what_no_test_can_notice_is_not_changed(tmp_path: Path, code: str) -> None:
    assert mutants_of(tmp_path, code) == []


def test_a_mutant_names_its_file_its_line_and_the_change(tmp_path: Path) -> None:
    (mutant,) = mutants_of(tmp_path, "import a\n\nb = c(\n    d=e,\n)\n")

    assert mutant == {
        "file": (tmp_path / "code.py").as_posix(),
        "line": 4,
        "change": ["-    d=e,"],
        "code": "import a\n\nb = c(\n)\n",
    }


def test_the_program_prints_the_mutants_of_all_files_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / "a.py", tmp_path / "b.py"]
    for file in files:
        file.write_text('X = "ä"\n', encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["mutants.py", *map(str, files)])

    runpy.run_path(mutants.__file__, run_name="__main__")

    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(mutant["file"], mutant["code"]) for mutant in found] == [(file.as_posix(), 'X = "Xä"\n') for file in files]
