"""The configuration of every rendered project: stack files, schema and settings say the same."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.projects import Environment, Project

STACKS = ("dev", "local", "prod", "staging")
# What the design gives each environment.
MEMORY = {"dev": 512, "staging": 512, "prod": 1024, "local": 512}
DEFAULTS = {
    "lambdaTimeoutSeconds": 300,
    "maxReceiveCount": 3,
    "messageRetentionSeconds": 1209600,
    "noncurrentVersionDays": 30,
    "forceDestroy": False,
    "bucketName": "",
    "kmsKeyArn": "",
}
# Bounds of the settings, asked of the model in the project's own environment.
DESCRIBE_MODEL = """\
import json
from infrastructure.settings import KEYS, Settings, allowed_values
properties = Settings.model_json_schema()["properties"]
required = Settings.model_json_schema()["required"]
print(json.dumps({key: [properties[key]["type"], allowed_values(key), key in required] for key in KEYS}))
"""


@pytest.fixture(scope="session", name="model")
def fixture_model(project: Project, environment_of: Callable[[Project], Environment]) -> dict[str, Any]:
    """The settings model's own account of each key: type, allowed values, whether it is required."""
    described = environment_of(project).run(project, "python", "-c", DESCRIBE_MODEL)
    assert described.returncode == 0, described.stdout
    return json.loads(described.stdout)


def schema(project: Project) -> dict[str, dict[str, Any]]:
    return project.yaml("Pulumi.yaml")["config"]


@pytest.mark.parametrize("stack", STACKS)
def test_every_key_is_under_the_projects_namespace_or_the_providers(project: Project, stack: str) -> None:
    for key in project.yaml(f"Pulumi.{stack}.yaml")["config"]:
        namespace, _, name = key.partition(":")
        assert namespace in {project.slug, "aws"}, key
        assert namespace == "aws" or name in schema(project), key


@pytest.mark.parametrize("stack", STACKS)
def test_every_key_without_a_default_is_set(project: Project, stack: str) -> None:
    config = project.yaml(f"Pulumi.{stack}.yaml")["config"]

    for key, declared in schema(project).items():
        assert "default" in declared or f"{project.slug}:{key}" in config, key


def test_schema_and_settings_know_the_same_keys_types_and_bounds(project: Project, model: dict[str, Any]) -> None:
    declared = schema(project)

    assert list(declared) == list(model)
    for key, (type_, allowed, _) in model.items():
        assert declared[key]["type"] == type_
        assert declared[key]["description"].endswith(f"; {allowed}")


def test_defaults_stand_in_the_schema_alone(model: dict[str, Any]) -> None:
    assert all(required for _, _, required in model.values())


def test_defaults_are_of_their_types(project: Project) -> None:
    types = {"string": str, "integer": int, "boolean": bool}

    for key, declared in schema(project).items():
        if "default" in declared:
            assert type(declared["default"]) is types[declared["type"]], key


def test_defaults_are_what_the_design_says(project: Project) -> None:
    declared = schema(project)

    assert {key: declared[key]["default"] for key in DEFAULTS} == DEFAULTS
    assert declared["lambdaRuntime"]["default"] == project.answers["lambda_runtime"]
    assert declared["lambdaArchitecture"]["default"] == project.answers["lambda_architecture"]


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_is_what_its_name_says(project: Project, stack: str) -> None:
    config = project.yaml(f"Pulumi.{stack}.yaml")["config"]

    assert config[f"{project.slug}:environment"] == stack
    assert config[f"{project.slug}:environmentSuffix"] == stack
    assert config[f"{project.slug}:lambdaMemoryMb"] == MEMORY[stack]


def test_regions_and_address_are_the_ones_that_were_answered(bake: Callable[..., Project]) -> None:
    answered = bake(
        aws_region_dev="eu-west-1",
        aws_region_staging="eu-west-2",
        aws_region_prod="eu-central-1",
        notification_email="alerts@example.com",
    )

    for stack, region in {"dev": "eu-west-1", "staging": "eu-west-2", "prod": "eu-central-1"}.items():
        config = answered.yaml(f"Pulumi.{stack}.yaml")["config"]
        assert config["aws:region"] == region
        assert config["event-pipeline:notificationEmail"] == "alerts@example.com"


def test_the_local_stack_has_dummy_credentials_and_no_endpoint(project: Project) -> None:
    config = project.yaml("Pulumi.local.yaml")["config"]

    assert config["aws:accessKey"] == config["aws:secretKey"] == "testing"
    assert "aws:endpoints" not in config


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_no_other_stack_has_credentials(project: Project, stack: str) -> None:
    assert not {"aws:accessKey", "aws:secretKey", "aws:token"} & set(project.yaml(f"Pulumi.{stack}.yaml")["config"])


def test_a_renamed_project_has_a_renamed_namespace(bake: Callable[..., Project]) -> None:
    orders = bake(project_name="Orders")

    assert orders.yaml("Pulumi.yaml")["name"] == "orders"
    for stack in STACKS:
        namespaces = {key.partition(":")[0] for key in orders.yaml(f"Pulumi.{stack}.yaml")["config"]}
        assert namespaces == {"orders", "aws"}
