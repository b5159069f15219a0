"""What one record of a model is: a Pydantic model, its JSON Schema, and its row of float64.

Everything is derived from the spec; nothing is declared twice. A record becomes a row of numbers
in which a category is its position in the spec's ``values`` (-1: unseen), and NaN is missing. The
Arrow side of the same encoding stands in ``perennial.datasets.arrow``, away from the serving path.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StrictStr, ValidationError, create_model
from pydantic.functional_validators import AfterValidator, BeforeValidator

from perennial.errors import InvalidRecord
from perennial.spec import CategoryFeature, DateFeature, Feature, ModelSpec, NumberFeature

UNKNOWN = -1.0
SORT_COLUMNS = "perennial.sort_columns"
"""Where a graph's metadata name the columns by which rows are best sorted before many are scored at once."""
MAX_TEXT = 500
MAX_TRUTH = 3.4028234663852886e38
"""The largest float32. Some estimators take no larger value of a target, and would never train again for one label."""
MAX_DATE_TEXT = 40
MAX_REASON = 300
EPOCH = datetime(1970, 1, 1)
DATE_PATTERN = (  # no `format` says "with or without a time": a day is enough, and so is a time without its zone
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?)?$"
)
DATE_PARTS = ("days", "month", "weekday", "hour")
_DATE_SCHEMA: dict[str, JsonValue] = {
    "pattern": DATE_PATTERN,
    "examples": ["2026-11-21", "2026-11-21T08:30"],
    "x-perennial-kind": "date",
}


@dataclass(frozen=True)
class Column:
    """One column of the float64 matrix. ``name`` is the feature's, with ``.month`` and so on for date parts."""

    name: str
    feature: str
    kind: Literal["number", "category", "date"]
    values: tuple[str, ...] = ()
    part: str = ""


class RecordSchema:
    """The records of one model: validation, JSON Schema and encoding."""

    def __init__(self, spec: ModelSpec) -> None:
        self.features: Mapping[str, Feature] = spec.features
        self.columns = columns(spec)
        self.record_type = _record_type(spec)
        self._plan = tuple(
            (f"f{i}", _codes(feature), isinstance(feature, DateFeature))
            for i, feature in enumerate(spec.features.values())
        )

    def validate(self, value: object) -> BaseModel:
        """Check one record already parsed from JSON. Raises InvalidRecord."""
        try:
            return self.record_type.model_validate(value)
        except ValidationError as error:
            raise InvalidRecord(problems(error)) from error

    def validate_json(self, body: bytes) -> BaseModel:
        """Check one record as JSON text. Raises InvalidRecord; broken JSON is a problem of the field ``body``."""
        try:
            return self.record_type.model_validate_json(body)
        except ValidationError as error:
            raise InvalidRecord(problems(error)) from error

    def row(self, record: BaseModel) -> list[float]:
        """A valid record as one row of the matrix, in the order of ``columns``."""
        given = record.__dict__
        row: list[float] = []
        for name, codes, is_date in self._plan:
            value = given[name]
            if is_date:
                row.extend(date_parts(value))
            elif value is None:
                row.append(math.nan)
            elif codes is None:
                row.append(value)
            else:
                row.append(codes.get(value, UNKNOWN))
        return row

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of one record: draws the form and stands in the OpenAPI document."""
        return self.record_type.model_json_schema(by_alias=True)


def columns(spec: ModelSpec) -> tuple[Column, ...]:
    """The columns of the float64 matrix a spec's records become, in order."""
    found: list[Column] = []
    for name, feature in spec.features.items():
        if isinstance(feature, CategoryFeature):
            found.append(Column(name, name, "category", feature.values))
        elif isinstance(feature, DateFeature):
            found += [Column(f"{name}.{part}", name, "date", part=part) for part in DATE_PARTS]
        else:
            found.append(Column(name, name, "number"))
    return tuple(found)


def date_parts(text: str | None) -> tuple[float, float, float, float]:
    """Days since 1970 (UTC where an offset is given), month 1-12, weekday 0-6 from Monday, hour 0-23."""
    return (math.nan,) * 4 if text is None else moment_parts(parse_date(text))


def moment_parts(moment: datetime) -> tuple[float, float, float, float]:
    """The parts of ``date_parts`` of a naive UTC moment."""
    days = (moment - EPOCH).total_seconds() / 86400.0
    return (days, float(moment.month), float(moment.weekday()), float(moment.hour))


def parse_date(text: str) -> datetime:
    """Read an ISO 8601 date or date-time as naive UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def problems(error: ValidationError) -> tuple[tuple[str, str], ...]:
    """Field and reason of each problem, without the input: what a client or a quarantine line is told."""
    found = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        field = ".".join(str(part) for part in problem["loc"]) or "body"
        reason = problem["msg"].removeprefix("Value error, ")
        found.append((field[:MAX_TEXT], reason[:MAX_REASON]))
    return tuple(found)


def _codes(feature: Feature) -> dict[str, float] | None:
    if isinstance(feature, CategoryFeature):
        return {value: float(code) for code, value in enumerate(feature.values)}
    return None


def _record_type(spec: ModelSpec) -> type[BaseModel]:
    """Fields are f0, f1 … behind the real names as aliases, since a column may be called anything."""
    fields: dict[str, Any] = {}
    for index, (name, feature) in enumerate(spec.features.items()):
        default: Any = None if feature.missing else ...
        kind = _type(feature)
        fields[f"f{index}"] = (
            kind | None if feature.missing else kind,
            Field(
                default,
                alias=name,
                title=feature.title or name,
                description=feature.description,
                json_schema_extra=_form_hints(feature),
            ),
        )
    for role in ("id", "time"):
        column = getattr(spec, role)
        if column is not None and column not in spec.features:
            kind = Annotated[
                Annotated[StrictStr, Field(max_length=MAX_TEXT)] | Annotated[int, Field(strict=True)] | None,
                BeforeValidator(_text_or_integer),
            ]
            extra: dict[str, JsonValue] = {"x-perennial-role": role}
            fields[f"{role}_"] = (kind, Field(None, alias=column, title=column, json_schema_extra=extra))
    return create_model(spec.name, __config__=ConfigDict(extra="forbid", frozen=True), **fields)


def _type(feature: Feature) -> Any:
    match feature:
        case NumberFeature():
            number = Annotated[
                float,
                Field(
                    strict=True,
                    allow_inf_nan=False,
                    ge=feature.min,
                    le=feature.max,
                    multiple_of=1 if feature.integer else None,
                ),
            ]
            return Annotated[number, AfterValidator(_whole)] if feature.integer else number
        case CategoryFeature(unknown="refuse"):
            return Literal[feature.values]
        case CategoryFeature():
            return Annotated[StrictStr, Field(max_length=MAX_TEXT)]
        case _:
            text = Field(max_length=MAX_DATE_TEXT, json_schema_extra=_DATE_SCHEMA)
            return Annotated[StrictStr, text, AfterValidator(_iso)]


def _whole(value: float) -> float:
    """Exactly whole: Pydantic's ``multiple_of`` forgives a billionth, which a column check would not."""
    if not value.is_integer():
        raise ValueError("Input should be a multiple of 1")
    return value


def _text_or_integer(value: object) -> object:
    """One problem under the field's own name, where a failed union would report each of its branches."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and len(value) <= MAX_TEXT:
        return value
    raise ValueError(f"Input should be a text of at most {MAX_TEXT} characters or a whole number")


def _iso(text: str) -> str:
    try:
        parse_date(text)
    except (ValueError, OverflowError):
        raise ValueError("Input should be an ISO 8601 date such as 2026-11-21 or 2026-11-21T08:30") from None
    return text


def _form_hints(feature: Feature) -> dict[str, JsonValue] | None:
    match feature:
        case CategoryFeature(unknown="encode"):
            return {"examples": list(feature.values)}
        case DateFeature(missing=False):  # beside its type, where the model's own hints take the place of the type's
            return _DATE_SCHEMA
        case _:
            return None
