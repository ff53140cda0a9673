"""Tests of reading a project without the Pulumi CLI: values, line numbers and errors."""

import errno
from pathlib import Path

import pytest
import yaml

from tools import project
from tools.project import DocumentError, Place, StackConfig, read_document, read_project

ACCOUNT, OTHER_ACCOUNT = "123456789012", "210987654321"
PROJECT_FILE = """\
name: orders
runtime: python
config:
  batchSize:
    type: integer
    default: 10
  environment:
    type: string
  aws:region:
    value: us-east-1
  aws:profile: orders
"""
STACK_FILE = """\
config:
  # a comment
  orders:environment: dev
  batchSize: 5
  aws:profile:
    secure: AAAB
  aws:defaultTags:
    tags: {Team: orders}
  orders:list: [{a: {secure: AAAB}}]
"""
# The content of a file, and the line and text of the expected error.
UNREADABLE = {
    "list": (b"- config\n", 1, "is not a mapping of keys to values"),
    "complex key": (b"a:\n  ? [b, c]\n  : d\n", 2, "a key is not text"),
    "two documents": (b"a: 1\n---\nb: 2\n", 2, "invalid YAML: expected a single document"),
    "open list": (b"config: [\n", 2, "invalid YAML: while parsing a flow node"),
    "colon without a space": (b"a: b\nc:d\ne: f\n", 2, "invalid YAML: while scanning a simple key, could not find exp"),
    "control character": (b"a: b\n\x1b\n", None, "invalid YAML: "),
    "unknown alias": (b"a: *b\n", 1, "invalid YAML: found undefined alias"),
    "other encoding": (b"a: b\nc: \xe9\n", 2, "is not UTF-8"),
}


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT_FILE, encoding="utf-8")
    (tmp_path / "Pulumi.dev.yaml").write_text(STACK_FILE, encoding="utf-8")
    return tmp_path


def test_stack_is_read_as_the_pulumi_cli_does(folder: Path) -> None:
    config = read_project(folder).read_stack("dev")

    assert config == StackConfig(
        stack="dev",
        file="Pulumi.dev.yaml",
        sections=config.sections,
        values={
            "orders:batchSize": "5",
            "orders:environment": "dev",
            "aws:region": "us-east-1",
            "aws:profile": '{"secure": "AAAB"}',
            "aws:defaultTags": '{"tags": {"Team": "orders"}}',
            "orders:list": '[{"a": {"secure": "AAAB"}}]',
        },
        secret_keys=frozenset({"aws:profile", "orders:list"}),
        places={
            "orders:batchSize": Place("Pulumi.dev.yaml", 4),
            "orders:environment": Place("Pulumi.dev.yaml", 3),
            "aws:region": Place("Pulumi.yaml", 9),
            "aws:profile": Place("Pulumi.dev.yaml", 5),
            "aws:defaultTags": Place("Pulumi.dev.yaml", 7),
            "orders:list": Place("Pulumi.dev.yaml", 9),
        },
    )
    assert config.config_place == Place("Pulumi.dev.yaml", 1)


@pytest.mark.parametrize("content", ["", "# a comment\n", "config:\n", "config: ~\n"])
def test_stack_without_configuration_has_the_defaults(folder: Path, content: str) -> None:
    (folder / "Pulumi.dev.yaml").write_text(content, encoding="utf-8")

    values = read_project(folder).read_stack("dev").values

    assert values == {"orders:batchSize": "10", "aws:region": "us-east-1", "aws:profile": "orders"}


@pytest.mark.parametrize("text", ["yes", "01000", "0x200", "2026-01-01", "1e3", "日本"])
def test_scalar_is_the_text_in_the_file(folder: Path, text: str) -> None:
    (folder / "Pulumi.dev.yaml").write_text(f"config:\n  environment: {text}\n", encoding="utf-8")

    assert read_project(folder).read_stack("dev").values["orders:environment"] == text


@pytest.mark.parametrize("loader", [yaml.CBaseLoader, yaml.BaseLoader])
@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable_file_is_refused_with_its_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, loader: type, name: str
) -> None:
    content, line, problem = UNREADABLE[name]
    (folder / "Pulumi.dev.yaml").write_bytes(content)
    monkeypatch.setattr(project, "LOADER", loader)

    with pytest.raises(DocumentError) as refusal:
        read_project(folder).read_stack("dev")

    assert (refusal.value.file, refusal.value.line) == ("Pulumi.dev.yaml", line)
    assert refusal.value.problem.startswith(problem)
    place = "Pulumi.dev.yaml" if line is None else f"Pulumi.dev.yaml:{line}"
    assert str(refusal.value) == f"{place}: {refusal.value.problem}"


@pytest.mark.parametrize("config", ["text", "[a]"])
def test_configuration_that_is_not_a_mapping_is_refused(folder: Path, config: str) -> None:
    (folder / "Pulumi.dev.yaml").write_text(f"\nconfig: {config}\n", encoding="utf-8")

    with pytest.raises(DocumentError, match=r"^Pulumi\.dev\.yaml:2: config is not a mapping of keys to values$"):
        read_project(folder).read_stack("dev")


@pytest.mark.parametrize(
    ("stack", "problem"), [("dve", "did you mean dev?"), ("zzz", "the stacks are dev, prod"), ("", "the stacks are")]
)
def test_unknown_stack_is_refused_with_the_nearest_or_all(folder: Path, stack: str, problem: str) -> None:
    (folder / "Pulumi.prod.yaml").touch()

    with pytest.raises(DocumentError) as refusal:
        read_project(folder).read_stack(stack)

    assert str(refusal.value).startswith(f"Pulumi.{stack}.yaml: does not exist; {problem}")


@pytest.mark.parametrize("content", ["runtime: python\n", "name: [orders]\n", "name:\n"])
def test_project_without_a_name_is_refused(folder: Path, content: str) -> None:
    (folder / "Pulumi.yaml").write_text(content, encoding="utf-8")

    with pytest.raises(DocumentError, match=r"^Pulumi\.yaml: has no project name$"):
        read_project(folder)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"^Pulumi\.yaml: does not exist in "):
        read_project(tmp_path)


def test_file_without_read_permission_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_text(*_arguments: object, **_options: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_text", read_text)

    with pytest.raises(DocumentError, match=r"^Pulumi\.yaml: cannot be read: .*: Permission denied$"):
        read_project(folder)


def test_every_key_has_its_line_and_value(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text("\ufeffa: 1 # one\r\n\r\nb:\r\n  c: [x, {d: y}]\r\ne: ~\r\n", encoding="utf-8", newline="")

    entries = read_document(path)

    assert [(entry.key, entry.line, entry.value) for entry in entries] == [
        ("a", 1, "1"),
        ("b", 3, {"c": ["x", {"d": "y"}]}),
        ("e", 5, "~"),
    ]


def test_stacks_are_those_with_a_stack_file(folder: Path) -> None:
    for name in ("Pulumi.feature-1.2.yaml", "Pulumi.prod.yml", "Pulumi.a b.yaml", "Other.yaml"):
        (folder / name).touch()

    read = read_project(folder)

    assert (read.stacks, read.name_place) == (("dev", "feature-1.2"), Place("Pulumi.yaml", 1))


def test_own_project_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert (read_project().folder, read_project().name) == (project.PROJECT_FOLDER, "orders")
    assert project.load_declared("processor.handler:EXAMPLE")["type"] == "order.created"


def test_command_before_a_task_is_the_package_managers(tmp_path: Path) -> None:
    assert project.run_prefix(tmp_path) == "uv run poe"
    (tmp_path / "Pipfile").touch()
    assert project.run_prefix(tmp_path) == "pipenv run"


@pytest.mark.parametrize(
    ("text", "accounts"),
    [
        (f'["{ACCOUNT}"]', (ACCOUNT,)),
        (f"[ {ACCOUNT}, {OTHER_ACCOUNT} ]", (ACCOUNT, OTHER_ACCOUNT)),
        ("[]", ()),
        ("", ()),
        *((text, None) for text in (ACCOUNT, "any", '["12345"]', f'["{ACCOUNT}", "x"]', f'["{ACCOUNT}0"]', "{}")),
    ],
)
def test_accounts_are_a_list_of_ids(text: str, accounts: tuple[str, ...] | None) -> None:
    assert project.read_accounts(text) == accounts


@pytest.mark.parametrize(("name", "known"), [("batchsize", "batchSize"), ("batchSizes", "batchSize"), ("zzz", None)])
def test_nearest_name_is_found_in_any_case(name: str, known: str | None) -> None:
    assert project.nearest(name, ["batchSize", "environment"]) == known


@pytest.mark.parametrize(
    ("text", "quoted", "escaped"),
    [
        ("größe", '"gr\\u00f6\\u00dfe"', "größe"),
        ('a "b"\n', '"a \\"b\\"\\n"', 'a "b"\\n'),
        ("\x1b[31m\u202e", '"\\u001b[31m\\u202e"', "\\x1b[31m\\u202e"),
        ("x" * 161, f'"{"x" * 160}"... (161 characters)', "x" * 161),
    ],
)
def test_text_in_messages_has_no_escape_sequences(text: str, quoted: str, escaped: str) -> None:
    assert (project.shown(text), project.printable(text)) == (quoted, escaped)


@pytest.mark.parametrize(
    "reference", ["nowhere.handler:EXAMPLE", "processor.nowhere:EXAMPLE", "processor.handler:NONE"]
)
def test_a_declared_object_that_does_not_exist_ends_the_process(reference: str) -> None:
    with pytest.raises(SystemExit, match=rf"^pyproject\.toml: \[tool\.pipeline\]: {reference} does not exist$"):
        project.load_declared(reference)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("runtime =", "# runtime =", "missing key runtime; the keys are settings, environment, local, function, "),
        ("runtime =", "run_time = 1\nruntime =", "unknown key run_time; the keys are settings, environment, "),
        ("[tool.pipeline]", "[tool.pipelines]", "missing key architecture; the keys are settings, environment, "),
    ],
)
def test_a_wrong_declaration_ends_the_process(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (project.PROJECT_FOLDER / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(text.replace(old, new), encoding="utf-8")

    with pytest.raises(SystemExit, match=rf"^pyproject\.toml: \[tool\.pipeline\]: {message}"):
        project.read_declaration(tmp_path)
