"""Runs a Pulumi program with mocks and records its resources, for the unit tests.

Tests make assertions on the recorded resources, never inside an ``apply``: an assertion that never runs cannot fail.
"""

import asyncio
import contextvars
import json
import os
import runpy
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast
from unittest import mock

import pulumi
from pulumi.runtime import mocks, rpc
from pulumi.runtime.stack import Stack, run_pulumi_func

from tools import package
from tools.project import DECLARATION, PROJECT_FOLDER, load_declared, read_project
from tools.settings import EXAMPLE_REGION, REGION_KEY, declared_model

PROJECT_NAME: Final = read_project().name
STACKS: Final = read_project().stacks
EMULATOR: Final = {"AWS_ENDPOINT_URL": "http://127.0.0.1:5000"}
ACCOUNT_ID: Final = "123456789012"
COMPUTED: Final[Mapping[str, Mapping[str, str]]] = load_declared(DECLARATION.computed)
# Partitions other than `aws`, by the prefix of their regions.
PARTITIONS: Final = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
# Services whose service principals end in amazonaws.com.cn in China.
REGIONAL_SERVICES: Final = frozenset({"codedeploy", "elasticmapreduce", "logs"})


@dataclass(frozen=True)
class Resource:
    """A resource that the program registered. `parent` and `dependencies` are URNs; inputs have camel-case names."""

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
        """Whether the resource is a component, which does not exist in AWS."""
        return not self.type.startswith("aws:")

    def document(self, key: str) -> dict[str, Any]:
        """Parse a JSON input, such as a policy."""
        return json.loads(self.inputs[key])


@dataclass(frozen=True)
class RecordedProgram:
    """A Pulumi program's configuration and resources, the stack's outputs, and those of the components, by URN."""

    config: Mapping[str, str]
    resources: list[Resource] = field(default_factory=list)
    exports: dict[str, Any] = field(default_factory=dict)
    registered_outputs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def setting(self, key: str) -> str:
        """Return the value of a key in the project's namespace, as text."""
        return self.config[f"{PROJECT_NAME}:{key}"]

    @property
    def region(self) -> str:
        """The stack's region; empty if not set."""
        return self.config.get(REGION_KEY, "")

    def all(self, type_: str) -> dict[str, Resource]:
        """Return the resources of a type, by logical name."""
        return {resource.name: resource for resource in self.resources if resource.type == type_}

    def one(self, type_: str, name: str) -> Resource:
        """Return a resource by its type and logical name."""
        return self.all(type_)[name]

    def arn(self, type_: str, name: str) -> str:
        """Return a resource's mock ARN."""
        return _computed(type_, name, self.one(type_, name).inputs, self.region)["arn"]


def example_config(project: str = PROJECT_NAME, region: str = EXAMPLE_REGION, **settings: str) -> dict[str, str]:
    """Return a complete configuration: the given settings, or else the declared model's defaults and examples."""
    model = declared_model()
    own = {key: model.example(key) for key in model.keys} | settings
    return {REGION_KEY: region} | {f"{project}:{key}": text for key, text in own.items()}


def stack_config(stack: str) -> dict[str, str]:
    """Read a stack's configuration, with example values for secrets, which only the Pulumi CLI can decrypt."""
    config = read_project().read_stack(stack)
    examples = example_config()
    return config.values | {key: examples.get(key, "") for key in config.secret_keys}


def run_program(
    config: Mapping[str, str], stack: str, *, folder: Path = PROJECT_FOLDER, project: str = PROJECT_NAME
) -> RecordedProgram:
    """Run the Pulumi program in a folder with mocks instead of AWS, and record its resources and outputs.

    `config` has values as text, by key with namespace. An empty file replaces the function's bundle.
    """
    recorded = RecordedProgram(config)
    is_local = config.get(f"{PROJECT_NAME}:{DECLARATION.environment}") == DECLARATION.local

    def run() -> None:
        variables = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        variables |= {"PULUMI_CONFIG": json.dumps(dict(config))} | (EMULATOR if is_local else {})
        monitor = _RecordingMonitor(recorded)
        with (
            mock.patch.dict(os.environ, variables, clear=True),
            _any_bundle(),
            _closed_event_loops(),
            asyncio.Runner() as runner,
        ):
            asyncio.set_event_loop(runner.get_loop())
            mocks.set_mocks(monitor.mocks, project=project, stack=stack, monitor=monitor)
            runner.run(_run(folder, recorded.exports), context=contextvars.copy_context())

    # Pulumi keeps its runtime state in context variables: run in a copy of the context, so that no state leaks.
    contextvars.copy_context().run(run)
    return recorded


def _place(region: str) -> dict[str, str]:
    """Return the partition, DNS suffix, account and region, for ARNs and URLs."""
    partition = next((name for prefix, name in PARTITIONS.items() if region.startswith(prefix)), "aws")
    dns_suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    return {"partition": partition, "dns_suffix": dns_suffix, "account": ACCOUNT_ID, "region": region}


def _computed(type_: str, name: str, inputs: Mapping[str, Any], region: str) -> dict[str, str]:
    """Return the outputs that AWS computes for a resource."""
    parts = _place(region) | {**inputs} | {"uuid": uuid.uuid5(uuid.NAMESPACE_URL, name)}
    return {key: text.format(**parts) for key, text in COMPUTED.get(type_, {}).items()}


class _Aws(mocks.Mocks):
    """Mocks of the AWS provider in one region."""

    def __init__(self, region: str) -> None:
        self.region = region

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Return a resource's ID, and its inputs and computed outputs."""
        return f"{args.name}-id", args.inputs | _computed(args.typ, args.name, args.inputs, self.region)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        """Return the result of a provider function, such as the name of a service principal.

        https://www.pulumi.com/registry/packages/aws/api-docs/getserviceprincipal/
        """
        place, service = _place(self.region), args.args.get("serviceName")
        domain = place["dns_suffix"] if service in REGIONAL_SERVICES else "amazonaws.com"
        answers = {
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": ACCOUNT_ID},
            "aws:index/getPartition:getPartition": {"partition": place["partition"], "dnsSuffix": place["dns_suffix"]},
            "aws:index/getRegion:getRegion": {"region": self.region},
            "aws:index/getServicePrincipal:getServicePrincipal": {
                "name": f"{service}.{domain}",
                "id": f"{service}.{self.region}.{domain}",
                "suffix": domain,
            },
        }
        return answers[args.token], []


class _RecordingMonitor(mocks.MockMonitor):
    """A mock monitor that also records resource options, which mocks do not receive."""

    def __init__(self, recorded: RecordedProgram) -> None:
        super().__init__(_Aws(recorded.region))
        self.recorded = recorded

    def RegisterResource(self, request: Any) -> Any:  # pylint: disable=invalid-name # noqa: N802 # Pulumi's name
        """Record a resource with its options."""
        response = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            self.recorded.resources.append(
                Resource(
                    type=request.type,
                    name=request.name,
                    urn=response.urn,
                    parent=request.parent,
                    inputs=rpc.deserialize_properties_unwrap_secrets(request.object)[0],
                    protect=request.protect,
                    retain_on_delete=request.retainOnDelete,
                    dependencies=frozenset(request.dependencies),
                )
            )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # pylint: disable=invalid-name # noqa: N802 # Pulumi's name
        """Record a component's outputs."""
        self.recorded.registered_outputs[request.urn] = rpc.deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)


async def _run(folder: Path, exports: dict[str, Any]) -> None:
    """Run a Pulumi program until every resource is registered, and resolve the stack's outputs."""

    def program() -> None:
        runpy.run_path(str(folder / "__main__.py"))

    await run_pulumi_func(program)
    stack = cast(Stack, pulumi.runtime.get_root_resource())
    for name, output in stack.outputs.items():
        exports[name] = await pulumi.Output.from_input(output).future()


@contextmanager
def _closed_event_loops() -> Generator[None]:
    """Close all event loops created in the block: Pulumi's mock monitor leaves one open per thread."""
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
def _any_bundle() -> Generator[None]:
    """Replace the function's bundle with an empty file of the same name."""
    bundle_path = package.bundle_path
    with TemporaryDirectory() as folder:

        def created(environment: str, runtime: str, architecture: str) -> Path:
            path = Path(folder) / bundle_path(environment, runtime, architecture).name
            path.touch()
            return path

        with mock.patch.object(package, "bundle_path", created):
            yield
