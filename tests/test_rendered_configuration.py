"""The configuration of every rendered project: stack files, schema, settings and documents agree."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.projects import Environment, Project

STACKS = ("dev", "local", "prod", "staging")
# The values in the design.
MEMORY = {"dev": 512, "staging": 512, "prod": 1024, "local": 512}
# Off unless a stack file says otherwise, as they cost something; prod pays for the first.
OPTIONS = {"eventSourceMetrics": {"prod"}, "contributorInsights": set(), "eventbridgeNotifications": set()}


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


def test_defaults_match_the_types_of_the_schema(project: Project) -> None:
    types = {"string": str, "integer": int, "boolean": bool}

    for key, declared in schema(project).items():
        if "default" in declared:
            assert type(declared["default"]) is types[declared["type"]], key


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_that_costs_something_is_on_where_the_design_says(project: Project, option: str) -> None:
    configs = {stack: project.yaml(f"Pulumi.{stack}.yaml")["config"] for stack in STACKS}

    assert schema(project)[option]["default"] is False
    assert {stack for stack in STACKS if configs[stack].get(f"{project.slug}:{option}")} == OPTIONS[option]


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
