"""Tests that only the marked blocks of ``Pulumi.yaml``, the README and the docs are generated."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from processor.handler import EXAMPLE
from tools import generate
from tools.generate import MODEL
from tools.project import PROJECT_FOLDER

OLD = "old\n"
PROGRAM = """\
import pulumi

pulumi.export("queue_url", queue.url)
pulumi.export("names", "a" | b)
"""


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Path:
    """A project without generated blocks."""
    for name, content in {
        "Pulumi.yaml": "name: orders\n",
        "README.md": "# Orders\n",
        "__main__.py": PROGRAM,
    }.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


def block(name: str, content: str = "") -> str:
    """Return ``content`` between the markers of a generated Markdown block."""
    return f"<!-- {name}: begin (written by `generate`) -->\n{content}<!-- {name}: end -->\n"


def written(folder: Path, name: str) -> list[str]:
    """Generate a block between other lines of a README, and return the lines of the block."""
    path = folder / "README.md"
    path.write_text(f"Before.\n{block(name, OLD)}After.\n", encoding="utf-8")

    generate.generate(folder)

    first, begin, *lines, end, last = path.read_text(encoding="utf-8").splitlines()
    assert (first, last) == ("Before.", "After.")
    assert (begin, end) == tuple(block(name).splitlines())
    return lines


def test_the_settings_are_written_as_pulumis_configuration_schema(folder: Path) -> None:
    path = folder / "Pulumi.yaml"
    path.write_text("name: orders\nconfig:\n  # settings: begin\n  # settings: end\n  other: {}\n", encoding="utf-8")

    generate.generate(folder)

    config = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]
    assert config.pop("other") == {}
    # The test project's schema is written by hand, but must match the generated schema.
    assert config == yaml.safe_load((PROJECT_FOLDER / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
    assert [*config] == [*MODEL.keys]


@pytest.mark.parametrize(
    "description", ["A colon: and a space", "long-word " * 30, "# no comment"], ids=["colon", "long", "hash"]
)
def test_a_long_or_ambiguous_description_is_folded(
    folder: Path, monkeypatch: pytest.MonkeyPatch, description: str
) -> None:
    monkeypatch.setitem(MODEL.schema["batchSize"], "description", description.strip())
    path = folder / "Pulumi.yaml"
    path.write_text("config:\n  # settings: begin\n  # settings: end\n", encoding="utf-8")

    generate.generate(folder)

    text = path.read_text(encoding="utf-8")
    expected = f"{description.strip()}; {MODEL.allowed('batchSize')}"
    assert yaml.safe_load(text)["config"]["batchSize"]["description"] == expected
    assert max(map(len, text.splitlines())) <= 120


def test_the_table_of_settings_has_a_row_for_each_setting(folder: Path) -> None:
    header, rule, *rows = written(folder, "settings")

    assert (header, rule) == ("| setting | default | allowed | description |", "|---|---|---|---|")
    assert len(rows) == len(MODEL.keys)
    assert "| `batchSize` | `10` | a whole number from 1 to 10000 | Messages at once |" in rows
    assert "| `environment` |  | one of local, dev, staging, prod | Kind of environment |" in rows
    assert any(row.startswith('| `bucketName` | `""` | ') for row in rows)


def test_the_table_of_outputs_has_the_programs_expressions(folder: Path) -> None:
    assert written(folder, "outputs")[2:] == ["| `queue_url` | `queue.url` |", "| `names` | `'a' \\| b` |"]


def test_the_example_event_is_the_functions(folder: Path) -> None:
    lines = written(folder, "event")

    assert (lines[:2], lines[-2:]) == (["", "```json"], ["```", ""])
    assert json.loads("\n".join(lines[2:-2])) == EXAMPLE


def test_generated_files_are_printed_and_then_up_to_date(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "docs").mkdir()
    (folder / "docs" / "outputs.md").write_text(f"{block('outputs')}\n{block('settings')}", encoding="utf-8")

    generate.generate(folder)
    assert capsys.readouterr().out == "generate: docs/outputs.md\n"

    generate.check(folder)
    generate.generate(folder)
    assert capsys.readouterr().out == ""


def test_an_outdated_file_is_reported_with_the_command_and_not_changed(folder: Path) -> None:
    (folder / "README.md").write_text(block("outputs"), encoding="utf-8")

    with pytest.raises(SystemExit, match=r"^not up to date with the code: README\.md; run `uv run poe generate`$"):
        generate.check(folder)

    assert (folder / "README.md").read_text(encoding="utf-8") == block("outputs")


@pytest.mark.parametrize("task", [generate.generate, generate.check])
def test_an_unknown_block_is_refused(folder: Path, task: Callable[[Path], None]) -> None:
    (folder / "README.md").write_text(block("output"), encoding="utf-8")

    with pytest.raises(SystemExit, match=r"^README\.md: unknown block output; allowed: settings, outputs, event$"):
        task(folder)
