"""The configuration of every rendered project: stack files, schema, settings and documents agree."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.projects import Environment, Project

STACKS = ("dev", "local", "prod", "staging")
# The values in the design.
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
# What AWS allows, and how long names may be.
ALLOWED = {
    "environment": "one of local, dev, staging, prod",
    "environmentSuffix": "1 to 12 lower-case letters, digits and single hyphens, starting with a letter",
    "lambdaRuntime": "one of python3.11, python3.12, python3.13, python3.14",
    "lambdaArchitecture": "one of arm64, x86_64",
    "lambdaMemoryMb": "a whole number from 128 to 10240",
    "lambdaTimeoutSeconds": "a whole number from 1 to 900",
    "lambdaReservedConcurrency": "-1 (none), or a whole number from 2 to 1000",
    "batchSize": "a whole number from 1 to 10000",
    "batchWindowSeconds": "a whole number from 0 to 300",
    "maxReceiveCount": "a whole number from 1 to 1000",
    "messageRetentionSeconds": "a whole number from 60 to 1209600",
    "noncurrentVersionDays": "a whole number from 1 to 3650",
    "logRetentionDays": "one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, "
    "2922, 3288, 3653",
    "notificationEmail": "an e-mail address",
    "bucketName": "empty (derived), or 3 to 63 lower-case letters, digits and hyphens, no hyphen at either end",
    "kmsKeyArn": "empty (the stack creates one), or the ARN of a KMS key",
    "forceDestroy": "true or false",
}
MUST_DIFFER = {"environment", "environmentSuffix", "lambdaMemoryMb", "logRetentionDays", "notificationEmail"}


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


def test_generated_texts_are_up_to_date(project: Project, environment_of: Callable[[Project], Environment]) -> None:
    finished = environment_of(project).run(project, "python", "-c", "from tools.generate import check; check()")

    assert finished.returncode == 0, finished.stdout


def test_the_schema_describes_the_allowed_values(project: Project) -> None:
    declared = schema(project)

    assert list(declared) == list(ALLOWED)
    for key, allowed in ALLOWED.items():
        assert declared[key]["description"].endswith(f"; {allowed}"), key


def test_settings_that_must_differ_between_environments_have_no_default(project: Project) -> None:
    assert not any("default" in schema(project)[key] for key in MUST_DIFFER)


def test_defaults_match_the_types_of_the_schema(project: Project) -> None:
    types = {"string": str, "integer": int, "boolean": bool}

    for key, declared in schema(project).items():
        if "default" in declared:
            assert type(declared["default"]) is types[declared["type"]], key


def test_defaults_are_what_the_design_says(project: Project) -> None:
    declared = schema(project)

    assert {key: declared[key]["default"] for key in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize("stack", STACKS)
def test_a_stacks_settings_match_its_name(project: Project, stack: str) -> None:
    config = project.yaml(f"Pulumi.{stack}.yaml")["config"]

    assert config[f"{project.slug}:environment"] == stack
    assert config[f"{project.slug}:environmentSuffix"] == stack
    assert config[f"{project.slug}:lambdaMemoryMb"] == MEMORY[stack]
    assert config[f"{project.slug}:lambdaRuntime"] == project.answers["lambda_runtime"]
    assert config[f"{project.slug}:lambdaArchitecture"] == project.answers["lambda_architecture"]


def test_regions_and_address_come_from_the_answers(bake: Callable[..., Project]) -> None:
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
