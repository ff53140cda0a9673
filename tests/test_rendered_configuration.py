"""Tests that the configuration of every rendered project matches the schema, the answers and the AWS provider."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.combinations import QUESTIONS
from tests.projects import Environment, Project

STACKS = ("dev", "local", "prod", "staging")
# The expected `lambdaMemoryMb` of each stack.
MEMORY = {"dev": 512, "staging": 512, "prod": 1024, "local": 512}
# Decrypts like Pulumi: derives the key with 1,000,000 iterations of PBKDF2-HMAC-SHA256, then uses AES-256-GCM.
# https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/config/crypt.go
DECRYPT = """
import base64, hashlib, sys
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tools.local import PASSPHRASE
version, salt, cipher, nonce, text = sys.argv[1].split(':')
assert (version, cipher) == ('v1', 'v1')
salt, nonce, text = map(base64.b64decode, (salt, nonce, text))
key = hashlib.pbkdf2_hmac('sha256', PASSPHRASE.encode(), salt, 1_000_000, 32)
print(AESGCM(key).decrypt(nonce, text, None).decode())
"""


def test_stack_files_set_every_required_key_and_no_unknown_key(project: Project) -> None:
    schema = project.yaml("Pulumi.yaml")["config"]
    types = {"string": str, "integer": int, "boolean": bool}
    needed = {f"{project.slug}:{key}" for key, declared in schema.items() if "default" not in declared}

    for stack in STACKS:
        config = project.yaml(f"Pulumi.{stack}.yaml")["config"]
        own = {key for key in config if not key.startswith("aws:")}
        assert needed <= own <= {f"{project.slug}:{key}" for key in schema}, stack
        # Only the local stack has credentials, and they are fake.
        credentials = {key: config[key] for key in ("aws:accessKey", "aws:secretKey", "aws:token") if key in config}
        assert set(credentials.values()) == ({"testing"} if stack == "local" else set()), stack
    for key, declared in schema.items():
        assert type(declared.get("default", types[declared["type"]]())) is types[declared["type"]], key


def test_generated_texts_are_up_to_date(project: Project, environment_of: Callable[[Project], Environment]) -> None:
    module, function = project.all_tasks()["_generate"]["script"].split(":")
    program = f"from {module} import {function}; {function}()"

    finished = environment_of(project).run(project, "python", "-c", program)

    assert finished.returncode == 0, finished.stdout


def test_stack_files_have_the_stacks_name_the_answers_and_the_memory(project: Project) -> None:
    for stack in STACKS:
        config = project.yaml(f"Pulumi.{stack}.yaml")["config"]
        settings = {key.removeprefix(f"{project.slug}:"): value for key, value in config.items()}
        expected = {
            "environment": stack,
            "environmentSuffix": stack,
            "lambdaMemoryMb": MEMORY[stack],
            "lambdaRuntime": project.answers["lambda_runtime"],
            "lambdaArchitecture": project.answers["lambda_architecture"],
            "notificationEmail": QUESTIONS["author_email"],
            "aws:region": QUESTIONS[f"aws_region_{'dev' if stack == 'local' else stack}"],
        }
        assert settings.items() >= expected.items(), stack


def test_the_answers_are_in_the_metadata_and_the_stack_files(bake: Callable[..., Project]) -> None:
    orders = bake(
        project_name="Orders",
        description="Keeps orders.",
        author_name="A Team",
        author_email="a-team@example.com",
        aws_region_dev="eu-west-1",
        aws_region_staging="eu-west-2",
        aws_region_prod="eu-central-1",
        notification_email="alerts@example.com",
    )
    metadata, program = orders.toml("pyproject.toml")["project"], orders.yaml("Pulumi.yaml")

    assert (program["name"], program["description"]) == ("orders", "Keeps orders.")
    assert (metadata["name"], metadata["description"]) == ("orders-infrastructure", "Keeps orders.")
    assert metadata["authors"] == [{"name": "A Team", "email": "a-team@example.com"}]
    for stack, region in {"dev": "eu-west-1", "staging": "eu-west-2", "prod": "eu-central-1"}.items():
        config = orders.yaml(f"Pulumi.{stack}.yaml")["config"]
        assert {key.partition(":")[0] for key in config} == {"orders", "aws"}
        assert (config["aws:region"], config["orders:notificationEmail"]) == (region, "alerts@example.com")


def test_every_provider_setting_exists(default_project: Project, environment: Environment) -> None:
    where = "import importlib.util as u; print(*u.find_spec('pulumi_aws').submodule_search_locations)"
    folder = environment.run(default_project, "python", "-c", where).stdout.strip()
    stub = (Path(folder) / "config" / "__init__.pyi").read_text(encoding="utf-8")
    known = {f"aws:{key}" for key in re.findall(r"^(\w+): ", stub, flags=re.MULTILINE)}

    for stack in STACKS:
        config = default_project.yaml(f"Pulumi.{stack}.yaml")["config"]
        assert {key for key in config if key.startswith("aws:")} <= known, stack


@pytest.mark.slow
def test_the_salt_of_the_local_stack_matches_its_passphrase(default_project: Project, environment: Environment) -> None:
    salt = default_project.yaml("Pulumi.local.yaml")["encryptionsalt"]

    assert environment.run(default_project, "python", "-c", DECRYPT, salt).stdout == "pulumi\n"
