"""Reads and checks ``policies.toml``, the team's rules for its stacks."""

import json
import re
import tomllib
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from tools.preview import Change
from tools.project import DECLARATION, DocumentError, nearest, printable, read_text, shown
from tools.settings import as_text, declared_model

FILE: Final = "policies.toml"
MODEL: Final = declared_model()
ENVIRONMENTS: Final[tuple[str, ...]] = tuple(MODEL.schema[DECLARATION.environment]["enum"])
RUNTIMES: Final[tuple[str, ...]] = tuple(MODEL.schema[DECLARATION.runtime]["enum"])
DIRECTIONS: Final = {"integer": ("higher", "lower"), "boolean": ("true", "false"), "string": ("set", "empty")}
# https://www.pulumi.com/docs/iac/concepts/resources/names/#urns
TYPE: Final = r"[a-z][a-z0-9-]*:[A-Za-z0-9_/]+:[A-Z][A-Za-z0-9]*"

Environment = Literal[*ENVIRONMENTS]  # ty: ignore[invalid-type-form] # the model's values
Runtime = Literal[*RUNTIMES]  # ty: ignore[invalid-type-form] # the model's values


class PoliciesError(Exception):
    """``policies.toml`` cannot be read or is invalid; the message has a line for each mistake."""


def _setting(key: str) -> str:
    """Accept a setting of the project without its namespace, or a provider's key with its namespace."""
    if key not in MODEL.keys and ":" not in key:
        known = nearest(key, MODEL.keys)
        raise ValueError(f"unknown setting; {f'did you mean {known}?' if known else 'remove it'}")
    return key


def _text(value: Any) -> Any:
    """Convert a TOML value to configuration text."""
    return json.dumps([as_text(item) for item in value]) if isinstance(value, list) else as_text(value)


Setting = Annotated[str, AfterValidator(_setting)]
RuleName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
Text = Annotated[str, Field(min_length=1)]
Type = Annotated[str, Field(pattern=f"^{TYPE}$")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ValuePolicy(_Table):
    """Permitted or forbidden values of a setting in some environments."""

    rule: RuleName
    setting: Setting
    environments: Annotated[tuple[Environment, ...], Field(min_length=1)] = ENVIRONMENTS
    severity: Literal["error", "warning"] = "error"
    allowed: tuple[Annotated[str, BeforeValidator(_text)], ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    forbidden: re.Pattern[str] | None = None
    instead: str = ""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        has_bounds = self.minimum is not None or self.maximum is not None
        if sum([bool(self.allowed), has_bounds, self.forbidden is not None]) != 1:
            raise ValueError("needs exactly one of `allowed`, `minimum`/`maximum` and `forbidden`")
        if (self.forbidden is not None) != bool(self.instead):
            raise ValueError("needs both `forbidden` and `instead` (the permitted values, in words), or neither")
        schema = MODEL.schema.get(self.setting, {})
        if has_bounds and schema.get("type") != "integer":
            raise ValueError("`minimum` and `maximum` are only for a setting that is a number")
        impossible = [text for text in self.allowed if schema and not MODEL.allows(self.setting, text)]
        if impossible:
            found = ", ".join(map(shown, impossible))
            raise ValueError(f"{self.setting} can never be {found}; allowed: {MODEL.allowed(self.setting)}")
        return self

    def permits(self, text: str) -> bool:
        """Whether the policy permits a value."""
        if self.forbidden is not None:
            return self.forbidden.fullmatch(text) is None
        if self.allowed:
            return text in self.allowed
        number = int(text)
        return (self.minimum is None or self.minimum <= number) and (self.maximum is None or number <= self.maximum)

    @property
    def permitted(self) -> str:
        """The permitted values, in words."""
        bounds = {"or more": self.minimum, "or less": self.maximum}
        numbers = [f"{number} {words}" for words, number in bounds.items() if number is not None]
        return self.instead or " or ".join(self.allowed) or ", ".join(numbers)


class UniquePolicy(_Table):
    """A setting whose value must be unique within an account or everywhere."""

    rule: RuleName
    setting: Setting
    within: Literal["account", "everywhere"]
    because: str = ""
    instead: Text


class StatefulPolicy(_Table):
    """Pulumi's type tokens of the stateful resources."""

    types: tuple[Type, ...]


class IgnoredDrift(_Table):
    """A property that AWS itself changes."""

    type: Type
    property: Text
    reason: Text


class DriftPolicy(_Table):
    """Drift that deployments may repair, by type or by type and property, and ignored drift."""

    repair: tuple[Annotated[str, Field(pattern=f"^{TYPE}( .+)?$")], ...] = ()
    ignore: tuple[IgnoredDrift, ...] = ()

    def without_ignored(self, drift: Iterable[Change]) -> tuple[Change, ...]:
        """Remove ignored properties from the drift, and resources that have no other drift."""
        ignored = [(each.type, each.property) for each in self.ignore]
        left = []
        for change in drift:
            kept = tuple(each for each in change.properties if not _is_listed(change.type, each.path, ignored))
            if kept or not change.properties:
                left.append(change.model_copy(update={"properties": kept}))
        return tuple(left)

    def repairs(self, type_: str, path: str) -> bool:
        """Whether deployments may repair a property or, if the path is empty, recreate a deleted resource."""
        return _is_listed(
            type_, path, [(each, part) for each, _, part in (each.partition(" ") for each in self.repair)]
        )


def _is_listed(type_: str, path: str, listed: Iterable[tuple[str, str]]) -> bool:
    """Whether a list of types and paths contains a property or its parent. A listed empty path means the whole type."""
    general = re.sub(r"\[\d+\]", "[*]", path)
    return any(
        type_ == each and (not part or general == part or general.startswith((f"{part}.", f"{part}[")))
        for each, part in listed
    )


class RuntimePolicy(_Table):
    """AWS's end of support for each runtime, and the lead time of ``validate``'s warning, in days."""

    warning_days: Annotated[int, Field(ge=0, le=3650)]
    supported_until: Annotated[dict[Runtime, date], Field(min_length=len(RUNTIMES))]


class Policies(_Table):
    """The content of ``policies.toml``."""

    namespaces: tuple[str, ...]
    credentials: tuple[str, ...]
    comes_after: dict[Environment, tuple[Environment, ...]]
    stronger: dict[Setting, str]
    values: tuple[ValuePolicy, ...] = ()
    unique: tuple[UniquePolicy, ...] = ()
    stateful: StatefulPolicy
    drift: DriftPolicy = DriftPolicy()
    runtimes: RuntimePolicy

    @model_validator(mode="after")
    def _directions_fit(self) -> Self:
        for key, direction in self.stronger.items():
            allowed = DIRECTIONS[MODEL.schema.get(key, {"type": "string"})["type"]]
            if direction not in allowed:
                raise ValueError(f'stronger.{key}: found "{direction}"; allowed: {" or ".join(allowed)}')
        return self


def read_policies(folder: Path) -> Policies:
    """Read a project's ``policies.toml``.

    Raises:
        PoliciesError: If the file cannot be read or is invalid.
    """
    try:
        return Policies.model_validate(tomllib.loads(read_text(folder / FILE)))
    except DocumentError as error:
        raise PoliciesError(str(error)) from error
    except tomllib.TOMLDecodeError as error:
        raise PoliciesError(f"{FILE}: invalid TOML: {error}") from error
    except ValidationError as error:
        raise PoliciesError("\n".join(map(_explain, error.errors()))) from error


def _explain(detail: Any) -> str:
    """Format a pydantic error as one line, with list indices from 1."""
    place = ".".join(str(part + 1 if isinstance(part, int) else part) for part in detail["loc"] if part != "[key]")
    known = {"missing": "is not set", "extra_forbidden": "unknown key"}
    problem = known.get(detail["type"], detail["msg"].removeprefix("Value error, "))
    found = f"found {shown(detail['input'])}; " if isinstance(detail["input"], str) else ""
    return printable(": ".join(filter(None, [FILE, place, f"{found}{problem}"])))
