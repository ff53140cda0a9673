"""Generates blocks of ``Pulumi.yaml``, the README and the docs from the code: the task ``generate``.

A block is enclosed in YAML or Markdown comments, for example ``settings: begin`` and ``settings: end``. Text outside
the blocks is unchanged.
"""

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import yaml

from tools.markdown import table
from tools.project import DECLARATION, PROJECT_FILE, PROJECT_FOLDER, load_declared, run_prefix
from tools.pulumi_cli import exports
from tools.settings import declared_model

MODEL: Final = declared_model()
# PyYAML breaks lines after the word that exceeds the width, so the width is below the limit of 120 columns.
WIDTH: Final = 100
BLOCK: Final = re.compile(
    r"(?P<begin>^ *(?P<comment><!--|#) (?P<name>[a-z-]+): begin\b.*\n)"
    r"(?:.*\n)*?"
    r"(?P<end>^ *(?P=comment) (?P=name): end\b)",
    re.MULTILINE,
)


def generate(folder: Path = PROJECT_FOLDER) -> None:
    """Rewrite all outdated blocks in a project's folder; exit if a file has an unknown block."""
    for path, written in _stale(folder):
        path.write_text(written, encoding="utf-8")
        print(f"generate: {path.relative_to(folder).as_posix()}")


def check(folder: Path = PROJECT_FOLDER) -> None:
    """Exit with a message if a block in a project's folder is out of date or unknown."""
    stale = [path.relative_to(folder).as_posix() for path, _ in _stale(folder)]
    if stale:
        sys.exit(f"not up to date with the code: {', '.join(stale)}; run `{run_prefix(folder)} generate`")


def _stale(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the outdated files with their new text."""
    for path in (folder / PROJECT_FILE, folder / "README.md", *sorted((folder / "docs").glob("*.md"))):
        text = path.read_text(encoding="utf-8")
        written = BLOCK.sub(_written(path, folder), text)
        if written != text:
            yield path, written


def _written(path: Path, folder: Path) -> Callable[[re.Match[str]], str]:
    def write(block: re.Match[str]) -> str:
        lines = WRITERS.get((path.suffix, block["name"]))
        if lines is None:
            known = ", ".join(name for suffix, name in WRITERS if suffix == path.suffix)
            sys.exit(f"{path.name}: unknown block {block['name']}; allowed: {known}")
        content = "".join(f"{line}\n" for line in lines(folder))
        return f"{block['begin']}{content}{block['end']}"

    return write


def _schema(_folder: Path) -> Iterator[str]:
    """Yield the settings as ``config`` entries of ``Pulumi.yaml``.

    https://www.pulumi.com/docs/iac/concepts/projects/project-file/#config-options
    """
    schema = {
        key: {"type": setting["type"], "description": f"{setting['description']}; {MODEL.allowed(key)}"}
        | ({"default": setting["default"]} if "default" in setting else {})
        for key, setting in MODEL.schema.items()
    }
    written = yaml.safe_dump({"config": schema}, sort_keys=False, allow_unicode=True, width=WIDTH)
    yield from written.splitlines()[1:]


def _settings(_folder: Path) -> Iterator[str]:
    yield from table(
        ("setting", "default", "allowed", "description"),
        ((f"`{key}`", _default(key), MODEL.allowed(key), MODEL.schema[key]["description"]) for key in MODEL.keys),
    )


def _default(key: str) -> str:
    default = MODEL.default(key)
    return "" if default is None else f"`{default or json.dumps(default)}`"


def _outputs(folder: Path) -> Iterator[str]:
    yield from table(
        ("output", "value in `__main__.py`"),
        ((f"`{name}`", f"`{ast.unparse(value)}`") for name, value in exports(folder)),
    )


def _event(_folder: Path) -> Iterator[str]:
    yield ""
    yield "```json"
    yield json.dumps(load_declared(DECLARATION.example), indent=2, ensure_ascii=False)
    yield "```"
    yield ""


Writer = Callable[[Path], Iterator[str]]
WRITERS: Final[dict[tuple[str, str], Writer]] = {
    (".yaml", "settings"): _schema,
    (".md", "settings"): _settings,
    (".md", "outputs"): _outputs,
    (".md", "event"): _event,
}
