"""Runs the program against Pulumi's mocks and records what it registers.

Tests make assertions on the record, never inside an ``apply``: an assertion that never runs cannot fail.
"""

import asyncio
import contextvars
import json
import os
import runpy
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast
from unittest import mock

import pulumi
from pulumi.runtime import mocks, rpc
from pulumi.runtime.stack import Stack, run_pulumi_func

from infrastructure.project import PROJECT
from tools import bundle
from tools.account import Account
from tools.configuration.checks import MODEL, is_allowed
from tools.configuration.model import EXAMPLE_REGION, REGION_KEY
from tools.configuration.stack_files import PROJECT_FOLDER, StackConfig, read_project, read_stack_config

PROJECT_NAME = read_project().name
STACKS = read_project().stacks
EMULATOR = {"AWS_ENDPOINT_URL": "http://127.0.0.1:5000"}

ACCOUNT_ID = "123456789012"
# Other partitions than AWS's own, by the beginning of their regions' names.
PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}

# Outputs that AWS computes and the program reads.
COMPUTED = {
    "aws:cloudwatch/eventRule:EventRule": {"arn": "arn:{partition}:events:{region}:{id}:rule/{name}"},
    "aws:cloudwatch/logGroup:LogGroup": {"arn": "arn:{partition}:logs:{region}:{id}:log-group:{name}"},
    "aws:dynamodb/table:Table": {"arn": "arn:{partition}:dynamodb:{region}:{id}:table/{name}"},
    "aws:iam/policy:Policy": {"arn": "arn:{partition}:iam::{id}:policy/{name}"},
    "aws:iam/role:Role": {"arn": "arn:{partition}:iam::{id}:role/{name}"},
    "aws:kms/key:Key": {"arn": "arn:{partition}:kms:{region}:{id}:key/{uuid}", "keyId": "{uuid}"},
    "aws:lambda/alias:Alias": {"arn": "arn:{partition}:lambda:{region}:{id}:function:{functionName}:{name}"},
    "aws:lambda/function:Function": {
        "arn": "arn:{partition}:lambda:{region}:{id}:function:{name}",
        "version": "1",
    },
    "aws:s3/bucket:Bucket": {"arn": "arn:{partition}:s3:::{bucket}"},
    "aws:sns/topic:Topic": {"arn": "arn:{partition}:sns:{region}:{id}:{name}"},
    "aws:sqs/queue:Queue": {
        "arn": "arn:{partition}:sqs:{region}:{id}:{name}",
        "url": "https://sqs.{region}.{dns_suffix}/{id}/{name}",
    },
}


@dataclass(frozen=True)
class Resource:
    """A resource as the program registered it.

    Attributes:
        type: Pulumi's type token.
        name: Logical name.
        urn: Its URN.
        parent: URN of its component.
        inputs: Its inputs, in the provider's camel case.
        protect: Whether Pulumi refuses to delete it.
        retain_on_delete: Whether it stays in AWS when it is removed from the stack.
        dependencies: URNs of the resources that it depends on.
    """

    type: str
    name: str
    urn: str
    parent: str
    inputs: dict[str, Any]
    protect: bool
    retain_on_delete: bool
    dependencies: frozenset[str]

    @property
    def is_component(self) -> bool:
        """Whether it is a component, which does not exist in AWS."""
        return not self.type.startswith("aws:")

    def document(self, key: str) -> dict[str, Any]:
        """Parse an input that is JSON."""
        return json.loads(self.inputs[key])


@dataclass(frozen=True)
class Deployment:
    """The record of one run of the program.

    Attributes:
        config: The program's configuration.
        resources: Every resource, in the order of registration.
        exports: The stack's outputs.
        registered_outputs: The outputs that each component has registered, by its URN.
    """

    config: Mapping[str, str]
    resources: list[Resource] = field(default_factory=list)
    exports: dict[str, Any] = field(default_factory=dict)
    registered_outputs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def setting(self, key: str) -> str:
        """Look up a setting in the stack's configuration."""
        return self.config[f"{PROJECT_NAME}:{key}"]

    @property
    def is_local(self) -> bool:
        """Whether the stack is deployed to an emulator on this machine."""
        return self.config.get(f"{PROJECT_NAME}:{PROJECT.environment}") == PROJECT.local

    @property
    def region(self) -> str:
        """The region that the stack is deployed to."""
        return self.config.get(REGION_KEY, "")

    @property
    def account(self) -> Account:
        """An example account in that region."""
        return example_account(self.region)

    def all(self, type_: str) -> dict[str, Resource]:
        """Return the resources of a type, by logical name."""
        return {resource.name: resource for resource in self.resources if resource.type == type_}

    def one(self, type_: str, name: str) -> Resource:
        """Return a resource by its type and logical name."""
        return self.all(type_)[name]

    def arn(self, type_: str, name: str) -> str:
        """Return the ARN that the mocks gave a resource."""
        return computed_outputs(type_, name, self.one(type_, name).inputs, self.account)["arn"]


def readable_config(stack: str) -> dict[str, str]:
    """Read a stack's configuration, with secrets replaced by example values: only the engine can decrypt them."""
    return readable(read_stack_config(stack))


def readable(config: StackConfig) -> dict[str, str]:
    """Replace the secrets of a configuration with example values."""
    return config.values | {key: _example(key) for key in config.secret_keys}


def _example(full_key: str) -> str:
    namespace, _, key = full_key.rpartition(":")
    return MODEL.example(key) if namespace == PROJECT_NAME and key in MODEL.keys else ""


def example_config(project: str, region: str = EXAMPLE_REGION) -> dict[str, str]:
    """Return a complete configuration from the model's defaults and examples.

    Args:
        project: The namespace of its keys.
        region: The region.
    """
    return {REGION_KEY: region} | {f"{project}:{key}": MODEL.example(key) for key in MODEL.keys}


def example_account(region: str) -> Account:
    """Return an example account in a region."""
    partition = next((name for prefix, name in PARTITIONS.items() if region.startswith(prefix)), "aws")
    return Account.of(f"arn:{partition}:iam::{ACCOUNT_ID}:root", region)


def computed_outputs(type_: str, name: str, inputs: Mapping[str, Any], account: Account) -> dict[str, str]:
    """Return the outputs that AWS computes for a resource.

    Args:
        type_: Pulumi's type token.
        name: Its logical name.
        inputs: Its inputs.
        account: Its account and region.
    """
    parts = asdict(account) | {**inputs} | {"uuid": uuid.uuid5(uuid.NAMESPACE_URL, name)}
    return {key: text.format(**parts) for key, text in COMPUTED.get(type_, {}).items()}


def service_principal(service: str, account: Account) -> dict[str, str]:
    """Return the principal of an AWS service as the provider does.

    https://www.pulumi.com/registry/packages/aws/api-docs/getserviceprincipal/

    Args:
        service: For example ``lambda``.
        account: Partition and region.
    """
    # Only a few services have another suffix in China.
    suffix = account.dns_suffix if service in {"codedeploy", "elasticmapreduce", "logs"} else "amazonaws.com"
    return {"name": f"{service}.{suffix}", "id": f"{service}.{account.region}.{suffix}", "suffix": suffix}


class Aws(mocks.Mocks):
    """Mocks of an AWS provider for one region of an account."""

    def __init__(self, account: Account) -> None:
        self.account = account

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Create a resource: return its inputs with the values that AWS computes."""
        return f"{args.name}-id", args.inputs | computed_outputs(args.typ, args.name, args.inputs, self.account)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        """Return the results of the provider functions that the program calls."""
        account = self.account
        answers = {
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": account.id},
            "aws:index/getPartition:getPartition": {"partition": account.partition, "dnsSuffix": account.dns_suffix},
            "aws:index/getRegion:getRegion": {"region": account.region},
            "aws:index/getServicePrincipal:getServicePrincipal": service_principal(
                str(args.args.get("serviceName")), account
            ),
        }
        return answers[args.token], []


class RecordingMonitor(mocks.MockMonitor):
    """Pulumi's mock monitor, but it also records resource options, which mocks do not receive."""

    def __init__(self, provider: mocks.Mocks, deployment: Deployment) -> None:
        super().__init__(provider)
        self.deployment = deployment

    def RegisterResource(self, request: Any) -> Any:  # pylint: disable=invalid-name # noqa: N802 # Pulumi's name
        """Record a resource."""
        response = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            self.deployment.resources.append(
                Resource(
                    type=request.type,
                    name=request.name,
                    urn=response.urn,
                    parent=request.parent,
                    inputs=rpc.deserialize_properties(request.object),
                    protect=request.protect,
                    retain_on_delete=request.retainOnDelete,
                    dependencies=frozenset(request.dependencies),
                )
            )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # pylint: disable=invalid-name # noqa: N802 # Pulumi's name
        """Record the outputs of a component."""
        self.deployment.registered_outputs[request.urn] = rpc.deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)


async def _run_program(folder: Path, exports: dict[str, Any]) -> None:
    """Run a program until every resource is registered, and resolve its outputs."""

    def program() -> None:
        runpy.run_path(str(folder / "__main__.py"))

    await run_pulumi_func(program)
    stack = cast(Stack, pulumi.runtime.get_root_resource())
    for name, output in stack.outputs.items():
        exports[name] = await pulumi.Output.from_input(output).future()


@contextmanager
def _closed_event_loops() -> Generator[None]:
    """Close all event loops created in this context: Pulumi's mock monitor leaves one open in each of its threads."""
    new_event_loop = asyncio.new_event_loop
    made: list[asyncio.AbstractEventLoop] = []

    def new_recorded_loop() -> asyncio.AbstractEventLoop:
        made.append(new_event_loop())
        return made[-1]

    try:
        with mock.patch.object(asyncio, "new_event_loop", new_recorded_loop):
            yield
    finally:
        for loop in made:
            loop.close()


@contextmanager
def _bundle_in(folder: Path | None, deployment: Deployment) -> Generator[None]:
    """Let the program find bundles in a folder, or an empty stand-in in a temporary one."""
    with (
        TemporaryDirectory() as temporary,
        mock.patch.object(bundle, "BUILD_FOLDER", folder or Path(temporary)),
    ):
        values = [deployment.config.get(f"{PROJECT_NAME}:{key}", "") for key in PROJECT.bundle_keys]
        # Other values may be no valid file name, and the program refuses them anyway.
        if folder is None and all(is_allowed(*pair) for pair in zip(PROJECT.bundle_keys, values, strict=True)):
            bundle.bundle_path(*values).touch()
        yield


def deploy(
    config: Mapping[str, str],
    stack: str,
    build_folder: Path | None = None,
    provider: mocks.Mocks | None = None,
    *,
    folder: Path = PROJECT_FOLDER,
    project: str = PROJECT_NAME,
) -> Deployment:
    """Run a program with a configuration, as the engine would, and record what it registers.

    Args:
        config: The configuration: keys with their namespaces, values as text.
        stack: Name of the stack.
        build_folder: The folder of bundles; by default an empty stand-in is used.
        provider: Mocks to use instead of `Aws`.
        folder: The folder of the program; by default that of the project.
        project: Name of the program's Pulumi project.
    """
    deployment = Deployment(config)

    def run() -> None:
        variables = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        variables |= {"PULUMI_CONFIG": json.dumps(dict(config))} | (EMULATOR if deployment.is_local else {})
        monitor = RecordingMonitor(provider or Aws(deployment.account), deployment)
        with (
            mock.patch.dict(os.environ, variables, clear=True),
            _bundle_in(build_folder, deployment),
            _closed_event_loops(),
            asyncio.Runner() as runner,
        ):
            asyncio.set_event_loop(runner.get_loop())
            mocks.set_mocks(monitor.mocks, project=project, stack=stack, monitor=monitor)
            runner.run(_run_program(folder, deployment.exports), context=contextvars.copy_context())

    # Pulumi keeps its state in context variables: run in a copy of the context, so that nothing leaks.
    contextvars.copy_context().run(run)
    return deployment
