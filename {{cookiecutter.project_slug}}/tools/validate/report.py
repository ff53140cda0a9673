"""What ``validate`` finds, as data. ``report.schema.json`` beside this file is its schema."""

from datetime import date
from enum import IntEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

# Raised by one whenever a reader of the old form could not read the new one.
SCHEMA_VERSION: Final = 1
# What could not be looked at: the rest of the report is then not the whole truth.
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
    """One thing that is wrong, or may soon be."""

    rule: Annotated[str, Field(description="Name of the rule that is broken; the README lists them")]
    severity: Severity
    message: Annotated[str, Field(description="What is wrong and what is allowed, for a person")]
    stacks: Annotated[tuple[str, ...], Field(description="Names of the stacks that are concerned")] = ()
    file: Annotated[str | None, Field(description="The file to change, from the project's folder")] = None
    line: Annotated[Line | None, Field(description="The line of that file")] = None
    key: Annotated[str | None, Field(description="The key with its namespace, or the name of a resource")] = None
    found: Annotated[str | None, Field(description="What stands there; null if there is no one value")] = None
    allowed: Annotated[str | None, Field(description="What may stand there instead")] = None


class Value(_Model):
    """What one stack has for a setting."""

    text: Annotated[str | None, Field(description="The value; null if it is missing or a secret")] = None
    origin: Annotated[
        Literal["set", "default", "missing"],
        Field(description="Set in the stack's own file, a default of Pulumi.yaml, or in neither"),
    ]
    secret: Annotated[bool, Field(description="Whether it is a secret, and therefore not shown")] = False


class Setting(_Model):
    """One setting in every stack."""

    key: Annotated[str, Field(description="The key with its namespace")]
    differs: Annotated[bool, Field(description="Whether the stacks differ; secrets count as the same")]
    values: Annotated[dict[str, Value], Field(description="By the name of the stack")]


class Stack(_Model):
    """One stack that was looked at."""

    name: str
    file: Annotated[str, Field(description="Its file, from the project's folder")]
    environment: Annotated[str | None, Field(description="null if it is missing, secret or not allowed")] = None


class Property(_Model):
    """One property in which a resource differs."""

    path: Annotated[str, Field(description="Where in the resource, as the engine writes it: tags.Team, rules[0].id")]
    found: Annotated[str | None, Field(description="What it is, as JSON; null if it is not there")] = None
    expected: Annotated[str | None, Field(description="What it should be, as JSON; null if it should not be")] = None


class Resource(_Model):
    """One resource that is not what it should be."""

    urn: Annotated[str, Field(description="Its identity in the stack")]
    name: Annotated[str, Field(description="Its logical name")]
    type: Annotated[str, Field(description="Its type, for example aws:sqs/queue:Queue")]
    operation: Annotated[
        Literal["changed", "deleted", "create", "update", "delete", "replace", "import"],
        Field(description="What has happened to it (changed, deleted), or what the next update would do"),
    ]
    properties: tuple[Property, ...] = ()


class Deployment(_Model):
    """What is deployed of one stack."""

    stack: str
    state: Annotated[
        Literal["deployed", "not-deployed", "unreadable"],
        Field(description="Whether there is anything, and whether it could be read"),
    ]
    drift: Annotated[
        tuple[Resource, ...], Field(description="What was changed behind the engine's back since the last update")
    ] = ()
    pending: Annotated[
        tuple[Resource, ...], Field(description="What the next update would change although nothing has drifted")
    ] = ()


class Report(_Model):
    """All that ``validate`` has found out."""

    model_config = ConfigDict(
        title=f"Report of validate, version {SCHEMA_VERSION}",
        json_schema_extra={"$schema": "https://json-schema.org/draft/2020-12/schema"},
    )

    schema_version: Annotated[Literal[1], Field(description="Version of this form")] = SCHEMA_VERSION
    project: Annotated[str, Field(description="Name of the Pulumi project")]
    date: Annotated[date, Field(description="The day that the dates of the runtimes were compared with")]
    strict: Annotated[bool, Field(description="Whether warnings were made errors")]
    stacks: tuple[Stack, ...]
    findings: Annotated[tuple[Finding, ...], Field(description="In the order of files and lines")]
    settings: Annotated[tuple[Setting, ...], Field(description="The comparison, key by key")]
    deployments: Annotated[
        tuple[Deployment, ...] | None, Field(description="null unless what is deployed was looked at (--live)")
    ] = None

    @computed_field(
        description="Exit status: 0 no problems or warnings only, 1 an error was found, 2 something could not be read"
    )
    @property
    def status(self) -> Literal[0, 1, 2]:
        """The exit status that this report means."""
        if any(finding.rule in UNREADABLE for finding in self.findings):
            return Status.NOT_VALIDATED.value
        if any(finding.severity == "error" for finding in self.findings):
            return Status.PROBLEMS_FOUND.value
        return Status.NO_PROBLEMS.value
