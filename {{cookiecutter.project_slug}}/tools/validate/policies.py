"""``policies.toml``: what a team asks of its stacks, read and checked."""

import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from infrastructure.documents import shown
from infrastructure.settings import KEYS, Settings, model_schema
from tools.validate.report import Severity

FILE: Final = "policies.toml"
# What a person can understand of pydantic's kinds of error; the others say it themselves.
MESSAGES: Final = {"missing": "missing", "extra_forbidden": "unknown key"}

Environment = Literal["local", "dev", "staging", "prod"]
Direction = Literal["higher", "lower", "true", "false", "set", "empty"]
DIRECTIONS: Final[dict[str, tuple[str, ...]]] = {
    "integer": ("higher", "lower"),
    "boolean": ("true", "false"),
    "string": ("set", "empty"),
}
ENVIRONMENTS: Final[tuple[Environment, ...]] = get_args(Environment)
RUNTIMES: Final[tuple[str, ...]] = get_args(Settings.model_fields["lambda_runtime"].annotation)


class PoliciesError(Exception):
    """``policies.toml`` cannot be read or does not say what it may; the message says where and why."""


def _setting(key: str) -> str:
    """Accept a key of the project without its namespace, or another's with it."""
    if key not in KEYS and ":" not in key:
        raise ValueError(f"allowed: {', '.join(KEYS)}, or a key of a provider with its namespace")
    return key


def _text(value: object) -> object:
    """Write a value of TOML as configuration has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"allowed: a regular expression; {error}") from error
    return value


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ValuePolicy(_Table):
    """Which values of one setting some environments must have, or must not."""

    rule: Annotated[str, Field(pattern=r"^[a-z]+(-[a-z]+)*$")]
    setting: Annotated[str, AfterValidator(_setting)]
    environments: tuple[Environment, ...] = ENVIRONMENTS
    severity: Severity = "error"
    allowed: tuple[Annotated[str, BeforeValidator(_text)], ...] = ()
    forbidden: Annotated[str, AfterValidator(_pattern)] | None = None
    instead: str = ""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if bool(self.allowed) == (self.forbidden is not None):
            raise ValueError("allowed: either `allowed` or `forbidden`")
        if (self.forbidden is not None) != bool(self.instead):
            raise ValueError("allowed: `instead` where there is `forbidden`, and nowhere else")
        return self

    def permits(self, text: str) -> bool:
        """Whether a value may stand there."""
        return re.fullmatch(self.forbidden, text) is None if self.forbidden is not None else text in self.allowed

    @property
    def permitted(self) -> str:
        """What may stand there, in words."""
        return self.instead or " or ".join(self.allowed)


class RuntimePolicy(_Table):
    """Until when AWS supports each runtime, and when the warnings begin."""

    warning_days: Annotated[int, Field(ge=0)]
    supported_until: dict[Literal[*RUNTIMES], date]  # ty: ignore[invalid-type-form] # the runtimes of `Settings`

    @model_validator(mode="after")
    def _every_runtime(self) -> Self:
        missing = [runtime for runtime in RUNTIMES if runtime not in self.supported_until]
        if missing:
            raise ValueError(f"supported_until lacks {', '.join(missing)}")
        return self


class Policies(_Table):
    """Everything that ``policies.toml`` says."""

    namespaces: tuple[str, ...]
    credentials: tuple[str, ...]
    comes_after: dict[Environment, tuple[Environment, ...]]
    stronger: dict[Annotated[str, AfterValidator(_setting)], Direction]
    values: tuple[ValuePolicy, ...] = ()
    runtimes: RuntimePolicy

    @model_validator(mode="after")
    def _directions_fit(self) -> Self:
        for key, direction in self.stronger.items():
            allowed = DIRECTIONS[model_schema()["properties"][key]["type"]] if key in KEYS else DIRECTIONS["string"]
            if direction not in allowed:
                raise ValueError(f'stronger.{key}: "{direction}"; allowed: {" or ".join(allowed)}')
        return self


def read_policies(folder: Path) -> Policies:
    """Read ``policies.toml``.

    Args:
        folder: Where it is.

    Raises:
        PoliciesError: If anything is wrong with it, with all that is wrong.
    """
    try:
        content = tomllib.loads((folder / FILE).read_text(encoding="utf-8"))
        return Policies.model_validate(content)
    except OSError as error:
        raise PoliciesError(f"{FILE}: cannot be read in {folder}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PoliciesError(f"{FILE}: is not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise PoliciesError(f"{FILE}: is not TOML: {error}") from error
    except ValidationError as error:
        raise PoliciesError("\n".join(_explain(detail) for detail in error.errors())) from error


def _explain(detail: Any) -> str:
    """Say in one line what pydantic has found."""
    place = ".".join(str(part) for part in detail["loc"] if part != "[key]")
    problem = MESSAGES.get(detail["type"]) or detail["msg"].removeprefix("Value error, ")
    found = f"found {shown(detail['input'])}; " if isinstance(detail["input"], str) else ""
    return f"{FILE}: {place}: {found}{problem}" if place else f"{FILE}: {problem}"
