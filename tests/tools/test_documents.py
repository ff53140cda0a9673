"""YAML read as text: every key has its line, and harmful input is refused."""

import errno
from pathlib import Path

import pytest
import yaml

from tools.configuration import documents
from tools.configuration.documents import (
    MAX_BYTES,
    DocumentError,
    keys_of,
    mappings_in,
    printable,
    read_document,
    shown,
)

# A small file that would expand to 10 to the power of 9 strings.
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
HOSTILE = {
    "anchor": ("config:\n  a: &here 1\n", 2, "anchors and aliases are not allowed"),
    "unknown alias": ("a: 1\nb: *there\n", 2, "anchors and aliases are not allowed"),
    "bomb": (BOMB, 1, "anchors and aliases are not allowed"),
    "merge key": ("a: 1\n<<: *b\n", 2, "anchors and aliases are not allowed"),
    "tag of Python": ("a: 1\nb: !!python/object/apply:os.system [touch owned]\n", 2, "tags are not allowed"),
    "tag of a type": ("a: !!int 1\n", 1, "tags are not allowed"),
    "empty tag": ("a: ! 1\n", 1, "tags are not allowed"),
    "tag of a mapping": ("!!map\na: 1\n", 1, "tags are not allowed"),
    # libyaml has its own limit, which may be reached first.
    "nested flow": (
        "a: " + "[" * 10_000,
        1,
        ("nested too deeply; allowed: 20 levels", "is not YAML: while increasing"),
    ),
    "nested blocks": ("".join(f"{' ' * n}a:\n" for n in range(100)), 21, "nested too deeply; allowed: 20 levels"),
    "value of 1 MB": (f"a: {'x' * 1_000_000}\n", None, f"is 1,000,004 bytes long; allowed: up to {MAX_BYTES:,}"),
    "NUL": ("a: 1\nb: \0\n", 2, "the character U+0000 is not allowed"),
    "escape": ("a: 1\n\n\nb: \x1b[31m\n", 4, "the character U+001B is not allowed"),
    "lone surrogate": ('a: "\\uD800"\n', 1, ("a lone surrogate (half a character) is not allowed", "is not YAML: ")),
    "complex key": ("a:\n  ? [b, c]\n  : d\n", 2, "a key is not text"),
    "two documents": ("a: 1\n---\nb: 2\n", 2, "is not YAML: expected a single document"),
    "invalid YAML": ("a: b: c\n", 1, "is not YAML: mapping values are not allowed "),
    "an open quote": ('a: "b\n', None, "is not YAML: while scanning a quoted scalar, found unexpected end of stream"),
    "a colon without a space": (
        "a: b\nc:d\ne: f\n",
        2,
        "is not YAML: while scanning a simple key, could not find exp",
    ),
    "text": ("a\n", 1, "is not a mapping of keys to values"),
    "null": ("~", 1, "is not a mapping of keys to values"),
}


@pytest.fixture(name="path")
def fixture_path(tmp_path: Path) -> Path:
    return tmp_path / "Pulumi.dev.yaml"


@pytest.fixture(name="loader", params=["C", "Python"], autouse=True)
def fixture_loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of PyYAML's parsers: they must refuse the same input."""
    if request.param == "Python":
        monkeypatch.setattr(documents, "LOADER", yaml.BaseLoader)
    elif not yaml.__with_libyaml__:
        pytest.skip("this PyYAML was built without its C parser")


@pytest.mark.parametrize("name", HOSTILE)
def test_harmful_input_is_refused_with_its_line(path: Path, name: str) -> None:
    content, line, problem = HOSTILE[name]
    path.write_text(content, encoding="utf-8")

    with pytest.raises(DocumentError) as refusal:
        read_document(path)

    assert refusal.value.problem.startswith(problem)
    assert line is None or refusal.value.line == line


@pytest.mark.parametrize(("content", "line"), [(b"\xff\xfea: 1", 1), (b"a: 1\nb: \xe9\n", 2)])
def test_a_file_in_another_encoding_is_refused_with_the_line(path: Path, content: bytes, line: int) -> None:
    path.write_bytes(content)

    with pytest.raises(DocumentError, match=rf"^Pulumi\.dev\.yaml:{line}: is not UTF-8$"):
        read_document(path)


def test_a_path_that_is_not_a_file_is_refused(path: Path) -> None:
    path.mkdir()

    with pytest.raises(DocumentError, match=r"^Pulumi\.dev\.yaml: is not a file$"):
        read_document(path)


@pytest.mark.parametrize("content", ["", "# a comment\n"])
def test_an_empty_file_has_no_keys(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")

    assert not read_document(path)


@pytest.mark.parametrize("value", ["", "~", "null", "Null", "NULL"])
def test_null_can_be_written_in_several_ways(path: Path, value: str) -> None:
    path.write_text(f"a: {value}\nb: [{value}]\n", encoding="utf-8")

    assert [entry.is_empty for entry in read_document(path)] == [True, False]


def test_a_file_can_have_another_name_in_messages(path: Path) -> None:
    path.write_text("- a\n", encoding="utf-8")

    with pytest.raises(DocumentError, match=r"^stacks/Pulumi\.dev\.yaml:1: "):
        read_document(path, "stacks/Pulumi.dev.yaml")


@pytest.mark.parametrize(
    ("text", "written"), [("größe 日本", "größe 日本"), ("a\x1b[31m\u202e\n", "a\\x1b[31m\\u202e\\n")]
)
def test_only_printable_characters_are_printed_unescaped(text: str, written: str) -> None:
    assert printable(text) == written


def test_a_missing_file_is_refused(path: Path) -> None:
    with pytest.raises(DocumentError, match=r"^Pulumi\.dev\.yaml: does not exist in "):
        read_document(path)


def test_a_file_that_the_system_does_not_open_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_text(*_arguments: object, **_options: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    path.touch()
    monkeypatch.setattr(Path, "read_text", read_text)

    with pytest.raises(DocumentError, match=r"^Pulumi\.dev\.yaml: cannot be read in .*: Permission denied$"):
        read_document(path)


def test_every_key_has_its_line(path: Path) -> None:
    path.write_text("\ufeffa: 1 # one\r\n\r\nb:\r\n  c: [x, {d: y}]\r\n", encoding="utf-8", newline="")

    first, second = read_document(path)

    assert (first.key, first.line, first.value) == ("a", 1, "1")
    assert (second.key, second.line, second.value) == ("b", 3, {"c": ["x", {"d": "y"}]})
    assert [[entry.key for entry in mapping] for mapping in mappings_in(second)] == [["c"], ["d"]]
    assert [entry.line for entry in keys_of(second)] == [4]


def test_duplicate_keys_are_kept(path: Path) -> None:
    path.write_text("a: 1\na: 2\n", encoding="utf-8")

    assert [(entry.key, entry.value) for entry in read_document(path)] == [("a", "1"), ("a", "2")]


@pytest.mark.parametrize("text", ["yes", "~", "null", "0x1F", "1e3", "2026-01-01", "1_000", "%", "ünï", "日本"])
def test_a_value_is_read_as_text(path: Path, text: str) -> None:
    path.write_text(f"a: '{text}'\n", encoding="utf-8")

    (entry,) = read_document(path)

    assert entry.value == text


def test_only_a_mapping_has_entries(path: Path) -> None:
    path.write_text("a: 1\n", encoding="utf-8")
    (entry,) = read_document(path)

    with pytest.raises(DocumentError, match=r"^Pulumi\.dev\.yaml:1: a is not a mapping of keys to values$"):
        keys_of(entry)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("dev", '"dev"'),
        ("", '""'),
        ('a "b"\n', '"a \\"b\\"\\n"'),
        ("\x1b[31m\u202e", '"\\u001b[31m\\u202e"'),
        ("x" * 160, f'"{"x" * 160}"'),
        ("x" * 161, f'"{"x" * 160}"... (161 characters)'),
    ],
)
def test_a_quoted_text_has_no_escape_sequences(text: str, written: str) -> None:
    assert shown(text) == written
