"""Reads and checks ``policies.toml``, the team's rules for its stacks."""

import json
import re
import tomllib
import warnings
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from tools.project import DECLARATION, DocumentError, printable, read_text, shown
from tools.settings import ENVIRONMENTS, KEYS, MODEL, is_allowed
from tools.validate.report import UNREADABLE, Severity

FILE: Final = "policies.toml"
RULE_PATTERN: Final = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
# What is allowed, by pydantic's error types: https://docs.pydantic.dev/latest/errors/validation_errors/
ALLOWED: Final = {
    "missing": "missing",
    "string_pattern_mismatch": "allowed: lower-case words and digits, joined by hyphens",
    "string_type": "allowed: a string, a number, true or false, or a list of these",
    "tuple_type": "allowed: a list",
    "dict_type": "allowed: a table",
    "model_type": "allowed: a table",
    "too_short": "allowed: a non-empty list",
    "string_too_short": "allowed: a non-empty string",
    "greater_than_equal": "allowed: 0 to 3650",
    "less_than_equal": "allowed: 0 to 3650",
    "int_type": "allowed: a whole number",
    "int_parsing": "allowed: a whole number",
    "date_type": "allowed: a date like 2027-06-30, without quotes",
    "date_from_datetime_parsing": "allowed: a date like 2027-06-30, without quotes",
}

Direction = Literal["higher", "lower", "true", "false", "set", "empty"]
DIRECTIONS: Final[dict[str, tuple[str, ...]]] = {
    "integer": ("higher", "lower"),
    "boolean": ("true", "false"),
    "string": ("set", "empty"),
}
# Exceptions from compiling a bad or too large regular expression.
NO_PATTERN: Final = (re.error, FutureWarning, OverflowError, RecursionError)
# Exceptions from parsing bad TOML, too long numbers and too deeply nested arrays.
NO_TOML: Final = (ValueError, RecursionError)

Environment = Literal[*ENVIRONMENTS]  # ty: ignore[invalid-type-form] # the model's values
RUNTIMES: Final[tuple[str, ...]] = tuple(MODEL.schema[DECLARATION.runtime]["enum"])
Runtime = Literal[*RUNTIMES]  # ty: ignore[invalid-type-form] # the model's values
# https://www.pulumi.com/docs/iac/concepts/resources/names/#urns
TYPE_TOKEN: Final = re.compile(r"[a-z][a-z0-9-]*:[A-Za-z0-9_/]+:[A-Z][A-Za-z0-9]*")
# A placeholder for a setting in a pattern of generated names.
PROJECT_PLACEHOLDER: Final = "project"
PLACEHOLDER: Final = re.compile(r"\{([A-Za-z][A-Za-z0-9]*)\}")


class PoliciesError(Exception):
    """``policies.toml`` cannot be read or is invalid; the message says where and why."""


def _setting(key: str) -> str:
    """Accept a setting of the project without its namespace, or a provider's key with its namespace."""
    if key not in KEYS and ":" not in key:
        raise ValueError(f"allowed: {', '.join(KEYS)}, or a provider's key with its namespace")
    return key


def _text(value: object) -> object:
    """Convert a TOML value to configuration text."""
    if isinstance(value, list):
        return json.dumps([_text(item) for item in value])
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


def _rule(name: str) -> str:
    if name in UNREADABLE:
        raise ValueError("allowed: any other name; this one is reserved for what cannot be read")
    return name


def _pattern(value: str) -> str:
    try:
        with warnings.catch_warnings():
            # Refuse syntax whose meaning a later Python may change.
            warnings.simplefilter("error", FutureWarning)
            re.compile(value)
    except NO_PATTERN as error:
        raise ValueError(f"allowed: a regular expression; {error}") from error
    return value


def _name_pattern(value: str) -> str:
    """Accept a regular expression with placeholders: settings and ``{project}`` in braces."""
    unknown = [key for key in PLACEHOLDER.findall(value) if key not in (PROJECT_PLACEHOLDER, *KEYS)]
    if unknown:
        raise ValueError(f"found {{{unknown[0]}}}; allowed: {{project}}, or a setting: {', '.join(KEYS)}")
    _pattern(PLACEHOLDER.sub("", value))
    return value


def _type(token: str) -> str:
    if not TYPE_TOKEN.fullmatch(token):
        raise ValueError("allowed: the type of a resource, for example aws:s3/bucket:Bucket")
    return token


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ValuePolicy(_Table):
    """The values of a setting that are required or forbidden in some environments."""

    rule: Annotated[str, Field(pattern=RULE_PATTERN), AfterValidator(_rule)]
    setting: Annotated[str, AfterValidator(_setting)]
    environments: Annotated[tuple[Environment, ...], Field(min_length=1)] = ENVIRONMENTS
    severity: Severity = "error"
    allowed: tuple[Annotated[str, BeforeValidator(_text)], ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    forbidden: Annotated[str, AfterValidator(_pattern)] | None = None
    instead: str = ""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        has_bounds = self.minimum is not None or self.maximum is not None
        if sum([bool(self.allowed), has_bounds, self.forbidden is not None]) != 1:
            raise ValueError("allowed: one of a non-empty `allowed`, `minimum` and `maximum`, or `forbidden`")
        if (self.forbidden is not None) != bool(self.instead):
            raise ValueError("allowed: `instead`, what to use in words, together with `forbidden` only")
        if has_bounds and (self.setting not in KEYS or MODEL.schema[self.setting]["type"] != "integer"):
            raise ValueError("allowed: `minimum` and `maximum` only for a setting that is a number")
        impossible = [text for text in self.allowed if self.setting in KEYS and not is_allowed(self.setting, text)]
        if impossible:
            found = ", ".join(map(shown, impossible))
            raise ValueError(f"{self.setting} can never be {found}; allowed: {MODEL.allowed(self.setting)}")
        return self

    def permits(self, text: str) -> bool:
        """Whether a value is allowed."""
        if self.forbidden is not None:
            return re.fullmatch(self.forbidden, text) is None
        if self.allowed:
            return text in self.allowed
        number = int(text)
        return (self.minimum is None or self.minimum <= number) and (self.maximum is None or number <= self.maximum)

    @property
    def permitted(self) -> str:
        """What is allowed, in words."""
        bounds = {"or more": self.minimum, "or less": self.maximum}
        numbers = [f"{number} {words}" for words, number in bounds.items() if number is not None]
        return self.instead or " or ".join(self.allowed) or ", ".join(numbers)


class UniquePolicy(_Table):
    """A setting whose value must be unique among the stacks."""

    rule: Annotated[str, Field(pattern=RULE_PATTERN), AfterValidator(_rule)]
    setting: Annotated[str, AfterValidator(_setting)]
    within: Literal["account", "everywhere"]
    because: str = ""
    instead: Annotated[str, Field(min_length=1)]
    when_empty: tuple[Annotated[str, AfterValidator(_name_pattern)], ...] = ()
    besides: tuple[Annotated[str, AfterValidator(_name_pattern)], ...] = ()


class RuntimePolicy(_Table):
    """The end of AWS's support for each runtime, and when warnings start."""

    warning_days: Annotated[int, Field(ge=0, le=3650)]
    supported_until: dict[Runtime, date]

    @model_validator(mode="after")
    def _every_runtime(self) -> Self:
        missing = [runtime for runtime in RUNTIMES if runtime not in self.supported_until]
        if missing:
            raise ValueError(f"supported_until lacks {', '.join(missing)}")
        return self


class DataPolicy(_Table):
    """The resources that hold data, or that data depends on."""

    types: tuple[Annotated[str, AfterValidator(_type)], ...]


class Policies(_Table):
    """The content of ``policies.toml``."""

    namespaces: tuple[str, ...]
    credentials: tuple[str, ...]
    comes_after: dict[Environment, tuple[Environment, ...]]
    stronger: dict[Annotated[str, AfterValidator(_setting)], Direction]
    values: tuple[ValuePolicy, ...] = ()
    unique: tuple[UniquePolicy, ...] = ()
    data: DataPolicy
    runtimes: RuntimePolicy

    @model_validator(mode="after")
    def _directions_fit(self) -> Self:
        for key, direction in self.stronger.items():
            allowed = DIRECTIONS[MODEL.schema[key]["type"]] if key in KEYS else DIRECTIONS["string"]
            if direction not in allowed:
                raise ValueError(f'stronger.{key}: "{direction}"; allowed: {" or ".join(allowed)}')
        return self


LISTS: Final[dict[str, type[_Table]]] = {"values": ValuePolicy, "unique": UniquePolicy}


def read_policies(folder: Path) -> Policies:
    """Read ``policies.toml``.

    Args:
        folder: The project's folder.

    Raises:
        PoliciesError: If it cannot be read or has problems; the message lists all of them.
    """
    try:
        content = tomllib.loads(read_text(folder / FILE, FILE))
    except DocumentError as error:
        raise PoliciesError(str(error)) from error
    except NO_TOML as error:
        raise PoliciesError(f"{FILE}: is not TOML: {error}") from error
    try:
        return Policies.model_validate(content)
    except ValidationError as error:
        raise PoliciesError("\n".join(_explain(detail, content) for detail in error.errors())) from error


def _explain(detail: Any, content: dict[str, Any]) -> str:
    """Turn a pydantic error into one line: the place, the value found, and what is allowed."""
    parts: list[Any] = [printable(part) if isinstance(part, str) else part for part in detail["loc"] if part != "[key]"]
    place = ".".join(map(str, parts))
    if len(parts) > 1 and parts[0] in LISTS:
        # Count from one, and name the rule.
        entry = content[parts[0]][parts[1]]
        rule = entry.get("rule", "no rule") if isinstance(entry, dict) else "not a table"
        place = ".".join([f"[[{parts[0]}]] number {parts[1] + 1} ({rule})", *map(str, parts[2:])])
    allowed = ALLOWED.get(detail["type"])
    if detail["type"] == "extra_forbidden":
        table = (LISTS | {"data": DataPolicy, "runtimes": RuntimePolicy})[parts[0]] if len(parts) > 1 else Policies
        allowed = f"unknown key; allowed: {', '.join(table.model_fields)}"
    if detail["type"] == "literal_error":
        allowed = f"allowed: {detail['ctx']['expected']}"
    problem = allowed or detail["msg"].removeprefix("Value error, ")
    found = f"found {shown(detail['input'])}; " if isinstance(detail["input"], str) else ""
    return ": ".join(filter(None, [FILE, place, f"{found}{problem}"]))
