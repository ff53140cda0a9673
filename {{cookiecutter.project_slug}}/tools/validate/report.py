"""The report of ``validate``. Its JSON Schema is ``report.schema.json`` in this folder."""

from datetime import date
from enum import IntEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

# Increased by one with every incompatible change.
SCHEMA_VERSION: Final = 1
# Rules for what could not be read; the report is then incomplete.
UNREADABLE: Final = frozenset({"unreadable-file", "unreadable-stack"})

Severity = Literal["error", "warning"]
Line = Annotated[int, Field(ge=1)]


class Status(IntEnum):
    """Exit status of ``validate``."""

    NO_PROBLEMS = 0
    PROBLEMS_FOUND = 1
    NOT_VALIDATED = 2


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)


class Finding(_Model):
    """One problem, or a warning of one."""

    rule: Annotated[str, Field(description="Name of the broken rule; docs/validation.md lists them")]
    severity: Severity
    message: Annotated[str, Field(description="What is wrong and what is allowed, for a person")]
    stacks: Annotated[tuple[str, ...], Field(description="Names of the affected stacks")] = ()
    file: Annotated[str | None, Field(description="The file to change, relative to the project's folder")] = None
    line: Annotated[Line | None, Field(description="The line in that file")] = None
    key: Annotated[
        str | None, Field(description="The key with its namespace, or the name of an output or resource")
    ] = None
    found: Annotated[
        str | None, Field(description="The value that was found; null if there is none, or more than one")
    ] = None
    allowed: Annotated[str | None, Field(description="What is allowed instead")] = None


class Value(_Model):
    """The value of one setting in one stack."""

    text: Annotated[str | None, Field(description="The value; null if it is missing or a secret")] = None
    origin: Annotated[
        Literal["set", "default", "missing"],
        Field(description="Set in the stack file, a default of Pulumi.yaml, or missing in both"),
    ]
    secret: Annotated[bool, Field(description="Whether it is a secret, which is not shown")] = False


class Setting(_Model):
    """One setting, compared between the stacks."""

    key: Annotated[str, Field(description="The key with its namespace")]
    differs: Annotated[bool, Field(description="Whether the stacks differ; secrets count as equal")]
    values: Annotated[dict[str, Value], Field(description="By stack name")]


class Stack(_Model):
    """One stack of the comparison."""

    name: str
    file: Annotated[str, Field(description="Its file, relative to the project's folder")]
    environment: Annotated[
        str | None, Field(description="The environment; null if it is missing, secret or not allowed")
    ] = None


class Property(_Model):
    """One property in which a resource differs."""

    path: Annotated[str, Field(description="Path in the resource, as the engine writes it: tags.Team, rules[0].id")]
    found: Annotated[str | None, Field(description="The value found, as JSON; null if not set")] = None
    expected: Annotated[str | None, Field(description="The value expected, as JSON; null if it should not be set")] = (
        None
    )


class Resource(_Model):
    """One resource that differs from what is expected."""

    urn: Annotated[str, Field(description="Its URN")]
    name: Annotated[str, Field(description="Its logical name")]
    type: Annotated[str, Field(description="Its type, for example aws:sqs/queue:Queue")]
    operation: Annotated[
        Literal["changed", "deleted", "create", "update", "delete", "replace", "import"],
        Field(description="What has happened to it (changed, deleted), or what the next update would do with it"),
    ]
    properties: tuple[Property, ...] = ()


class Deployment(_Model):
    """The deployment of one stack."""

    stack: str
    state: Annotated[
        Literal["deployed", "not-deployed", "unreadable"],
        Field(description="Whether the stack is deployed and could be read"),
    ]
    drift: Annotated[
        tuple[Resource, ...], Field(description="Resources that were changed outside Pulumi since the last update")
    ] = ()
    pending: Annotated[
        tuple[Resource, ...],
        Field(description="Resources that the next update would change for other reasons than drift"),
    ] = ()


class Report(_Model):
    """The report of ``validate``."""

    model_config = ConfigDict(
        title=f"Report of validate, version {SCHEMA_VERSION}",
        json_schema_extra={"$schema": "https://json-schema.org/draft/2020-12/schema"},
    )

    schema_version: Annotated[Literal[1], Field(description="Version of this format")] = SCHEMA_VERSION
    project: Annotated[str, Field(description="Name of the Pulumi project")]
    date: Annotated[date, Field(description="The date for which the runtimes' support was checked")]
    strict: Annotated[bool, Field(description="Whether warnings were treated as errors")]
    stacks: tuple[Stack, ...]
    findings: Annotated[tuple[Finding, ...], Field(description="Sorted by file and line")]
    settings: Annotated[tuple[Setting, ...], Field(description="The comparison, by key")]
    deployments: Annotated[tuple[Deployment, ...] | None, Field(description="null without --live")] = None

    @computed_field(
        description="Exit status: 0 no problems or warnings only, 1 an error was found, 2 something could not be read"
    )
    @property
    def status(self) -> Literal[0, 1, 2]:
        """Exit status of ``validate`` for this report."""
        if any(finding.rule in UNREADABLE for finding in self.findings):
            return Status.NOT_VALIDATED.value
        if any(finding.severity == "error" for finding in self.findings):
            return Status.PROBLEMS_FOUND.value
        return Status.NO_PROBLEMS.value
