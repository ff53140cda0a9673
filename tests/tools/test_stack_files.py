"""Stack files read without the engine."""

from pathlib import Path

import pytest

from tools.configuration.documents import DocumentError
from tools.configuration.stack_files import PROJECT_FOLDER, Place, read_project, read_stack_config

PROJECT_FILE = """\
name: orders
runtime: python
config:
  batchSize:
    type: integer
    default: 10
  forceDestroy:
    type: boolean
    default: false
  environment:
    type: string
"""


@pytest.fixture(name="project")
def fixture_project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT_FILE, encoding="utf-8")
    return tmp_path


def stack_file(project: Path, content: str) -> None:
    (project / "Pulumi.dev.yaml").write_text(content, encoding="utf-8")


def test_defaults_of_the_schema_are_filled_in(project: Path) -> None:
    stack_file(project, "config:\n  orders:environment: dev\n")

    assert read_stack_config("dev", project).values == {
        "orders:batchSize": "10",
        "orders:forceDestroy": "false",
        "orders:environment": "dev",
    }


def test_a_value_in_the_stack_file_overrides_the_default(project: Path) -> None:
    stack_file(project, "config:\n  orders:batchSize: 5\n")

    assert read_stack_config("dev", project).values["orders:batchSize"] == "5"


def test_a_key_without_a_namespace_is_the_projects(project: Path) -> None:
    stack_file(project, "config:\n  environment: dev\n  aws:region: us-east-1\n")

    config = read_stack_config("dev", project).values

    assert config["orders:environment"] == "dev"
    assert config["aws:region"] == "us-east-1"


def test_a_structure_becomes_json_as_in_the_engine(project: Path) -> None:
    stack_file(project, "config:\n  aws:defaultTags:\n    tags:\n      Team: orders\n")

    assert read_stack_config("dev", project).values["aws:defaultTags"] == '{"tags": {"Team": "orders"}}'


def test_a_stack_without_configuration_has_the_defaults(project: Path) -> None:
    stack_file(project, "secretsprovider: passphrase\n")

    assert read_stack_config("dev", project).values == {"orders:batchSize": "10", "orders:forceDestroy": "false"}


def test_a_project_without_a_schema_has_no_defaults(project: Path) -> None:
    (project / "Pulumi.yaml").write_text("name: orders\nruntime: python\n", encoding="utf-8")
    stack_file(project, "config:\n  orders:environment: dev\n")

    assert read_stack_config("dev", project).values == {"orders:environment": "dev"}


def test_a_value_in_the_project_file_is_set_for_every_stack(project: Path) -> None:
    with (project / "Pulumi.yaml").open("a", encoding="utf-8") as file:
        file.write("  aws:region:\n    value: us-east-1\n  aws:profile: orders\n")
    stack_file(project, "config:\n  aws:profile: own\n")

    config = read_stack_config("dev", project).values

    assert (config["aws:region"], config["aws:profile"]) == ("us-east-1", "own")


def test_a_secret_is_marked_and_not_decrypted(project: Path) -> None:
    stack_file(project, "config:\n  orders:environment:\n    secure: AAAB\n")

    config = read_stack_config("dev", project)

    assert config.secret_keys == {"orders:environment"}
    assert config.values["orders:environment"] == '{"secure": "AAAB"}'


@pytest.mark.parametrize("text", ["yes", "01000", "0x200", "2026-01-01", "512"])
def test_a_value_is_the_text_in_the_file(project: Path, text: str) -> None:
    stack_file(project, f"config:\n  orders:environment: {text}\n")

    assert read_stack_config("dev", project).values["orders:environment"] == text


@pytest.mark.parametrize("config", ["text", "[a]", "{[a]: b}", "{? {a: b} : c}"])
def test_a_configuration_that_is_not_a_mapping_is_refused(project: Path, config: str) -> None:
    stack_file(project, f"config: {config}\n")

    with pytest.raises(DocumentError, match=r"Pulumi\.dev\.yaml"):
        read_stack_config("dev", project)


@pytest.mark.parametrize("content", ["runtime: python\n", "name: [orders]\n"])
def test_a_project_without_a_name_is_refused(project: Path, content: str) -> None:
    (project / "Pulumi.yaml").write_text(content, encoding="utf-8")

    with pytest.raises(DocumentError, match=r"^Pulumi\.yaml: has no project name"):
        read_project(project)


def test_a_missing_stack_file_is_named(project: Path) -> None:
    with pytest.raises(DocumentError, match=r"^Pulumi\.qa\.yaml: does not exist in "):
        read_stack_config("qa", project)


def test_a_file_in_another_encoding_is_refused(project: Path) -> None:
    (project / "Pulumi.dev.yaml").write_bytes(b"config:\n  orders:environment: \xff\n")

    with pytest.raises(DocumentError, match=r"^Pulumi\.dev\.yaml:2: is not UTF-8"):
        read_stack_config("dev", project)


def test_a_file_that_is_not_yaml_is_refused_with_the_place(project: Path) -> None:
    stack_file(project, "config: [\n")

    with pytest.raises(DocumentError, match=r"^Pulumi\.dev\.yaml:2: is not YAML: "):
        read_stack_config("dev", project)


def test_a_file_without_a_mapping_is_refused(project: Path) -> None:
    stack_file(project, "- config\n")

    with pytest.raises(DocumentError, match=r"^Pulumi\.dev\.yaml:1: is not a mapping"):
        read_stack_config("dev", project)


def test_the_projects_own_file_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert read_project().folder == PROJECT_FOLDER
    assert read_project().stacks


def test_every_value_has_a_place(project: Path) -> None:
    stack_file(project, "config:\n  # a comment\n  orders:environment: dev\n  batchSize: 5\n")

    assert read_stack_config("dev", project).places == {
        "orders:batchSize": Place("Pulumi.dev.yaml", 4),
        "orders:forceDestroy": Place("Pulumi.yaml", 7),
        "orders:environment": Place("Pulumi.dev.yaml", 3),
    }


def test_a_structure_with_a_secret_is_a_secret(project: Path) -> None:
    stack_file(project, "config:\n  orders:a:\n    - b:\n        secure: AAAB\n  orders:c: [d]\n")

    assert read_stack_config("dev", project).secret_keys == {"orders:a"}


def test_the_stacks_are_those_that_have_a_file(project: Path) -> None:
    for name in ("Pulumi.dev.yaml", "Pulumi.feature-1.2.yaml", "Pulumi.prod.yml", "Pulumi.a b.yaml", "Other.yaml"):
        (project / name).touch()

    assert read_project(project).stacks == ("dev", "feature-1.2")


def test_stack_files_can_be_in_another_folder(project: Path) -> None:
    (project / "Pulumi.yaml").write_text("name: orders\nstackConfigDir: stacks\n", encoding="utf-8")
    (project / "stacks").mkdir()
    (project / "stacks" / "Pulumi.dev.yaml").write_text("config:\n  environment: dev\n", encoding="utf-8")

    config = read_stack_config("dev", project)

    assert read_project(project).stacks == ("dev",)
    assert config.values == {"orders:environment": "dev"}
    assert config.places == {"orders:environment": Place("stacks/Pulumi.dev.yaml", 2)}


def test_stack_files_outside_of_the_project_are_named_without_a_path(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (project / "Pulumi.yaml").write_text(f"name: orders\nstackConfigDir: {elsewhere.as_posix()}\n", encoding="utf-8")
    (elsewhere / "Pulumi.dev.yaml").write_text("config: {}\n", encoding="utf-8")

    assert read_project(project).read_stack("dev").name == "Pulumi.dev.yaml"


def test_the_project_can_declare_secrets(project: Path) -> None:
    with (project / "Pulumi.yaml").open("a", encoding="utf-8") as file:
        file.write("  password:\n    type: string\n    secret: true\n  open:\n    secret: false\n  value: x\n")

    assert read_project(project).secret_keys == {"orders:password"}
