"""What a client may send: one flat record, or ``{"instances": [record, …]}``, checked in one pass over the bytes.

The two never clash, even where a feature is called ``instances``: no feature's value is a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from functools import cached_property
from itertools import islice
from typing import Annotated, Any, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import from_json

from perennial.errors import InvalidRecord
from perennial.records import MAX_TEXT, problems

MAX_INSTANCES = 1000
MAX_PROBLEMS = 100
MAX_LISTED = 1000
INSTANCES = "instances"
UNKNOWN_KEY = "Extra inputs are not permitted"
_BROKEN = "json_invalid"
_BATCH = re.compile(rb'\s*\{\s*"instances"\s*:\s*\[')


class Batch(NamedTuple):
    """Valid records in the order they were sent; ``single`` where they came as one flat record."""

    records: Sequence[BaseModel]
    single: bool


class BrokenJson(InvalidRecord):
    """The body is not JSON at all."""


class Records(Protocol):
    """What is known of one record: its type, and what its members are called. A ``RecordSchema`` knows it."""

    @property
    def record_type(self) -> type[BaseModel]: ...
    @property
    def features(self) -> Collection[str]: ...


class RequestSchema:
    """Reads request bodies for one model. Immutable once built; the batch type is made when first needed."""

    def __init__(self, schema: Records, *, most: int = MAX_INSTANCES) -> None:
        self._most = most
        self._record = schema.record_type
        self._names = frozenset(field.alias or name for name, field in schema.record_type.model_fields.items())
        self._has_instances_feature = INSTANCES in schema.features

    def read(self, body: bytes) -> Batch:
        """Check a body against the model's schema.

        Raises:
            BrokenJson: it is not JSON (NaN and Infinity stand for themselves, and are refused by field).
            InvalidRecord: a field is wrong, missing, unknown or given twice; ``instances.3.Age`` names its place.
        """
        is_batch = _BATCH.match(body)
        most = 2 * (len(self._names) + 1) * (self._most if is_batch else 1)  # a text may begin with a colon
        if body.count(b'":') > most and (found := self._first_problems(body)).problems:
            raise found
        if is_batch:
            return self._read_batch(body)
        try:
            record = self._record.model_validate_json(body)
        except ValidationError as error:
            if error.error_count() > MAX_LISTED:
                raise self._first_problems(body) from None
            if _is_batch(error, self._has_instances_feature):
                return self._read_batch(body)
            raise _refusal(error) from error
        if body.count(b":") != len(record.model_fields_set):
            _refuse_repeated_keys(body)
        return Batch((record,), single=True)

    def _read_batch(self, body: bytes) -> Batch:
        try:
            batch = self._batch.model_validate_json(body)
        except ValidationError as error:
            if error.error_count() > MAX_LISTED:
                raise self._first_problems(body) from None
            raise _refusal(error) from error
        records: list[BaseModel] = batch.instances  # type: ignore[attr-defined]  # the type is made at run time
        if body.count(b":") != 1 + sum(len(record.model_fields_set) for record in records):
            _refuse_repeated_keys(body)
        return Batch(records, single=False)

    def _first_problems(self, body: bytes) -> InvalidRecord:
        """What to tell of a body with very many problems, at a cost that hardly grows with them; none where it is fine.

        To list a hundred thousand problems takes a second, in which nobody else is answered. So the body
        is read without most of its unknown keys, and instance by instance, up to enough problems.
        """
        try:
            value = from_json(body)
        except ValueError:
            return InvalidRecord(())  # broken JSON is one problem, for those who read on
        if not isinstance(value, dict):
            return InvalidRecord(())
        instances = value.get(INSTANCES)
        if not isinstance(instances, list):
            return InvalidRecord(self._problems_of(value)[:MAX_PROBLEMS])
        found: list[tuple[str, str]] = []
        for i, instance in enumerate(instances[: self._most]):
            for field, reason in self._problems_of(instance):
                found.append((f"{INSTANCES}.{i}" + (f".{field}" if field != "body" else ""), reason))
            if len(found) >= MAX_PROBLEMS:
                break
        beside = [(key[:MAX_TEXT], UNKNOWN_KEY) for key in islice(value, MAX_PROBLEMS + 1) if key != INSTANCES]
        return InvalidRecord(tuple(found + beside)[:MAX_PROBLEMS])

    def _problems_of(self, value: object) -> tuple[tuple[str, str], ...]:
        """The problems of one record, of its unknown keys only the first."""
        if isinstance(value, dict):
            unknown = islice((key for key in value if key not in self._names), MAX_PROBLEMS)
            value = {key: value[key] for key in (*(self._names & value.keys()), *unknown)}
        try:
            self._record.model_validate(value)
        except ValidationError as error:
            return problems(error)
        return ()

    @cached_property
    def _batch(self) -> type[BaseModel]:
        items: Any = Annotated[list[self._record], Field(min_length=1, max_length=self._most)]  # type: ignore[name-defined]
        return create_model("Instances", __config__=ConfigDict(extra="forbid", frozen=True), instances=(items, ...))


def _is_batch(error: ValidationError, feature: bool) -> bool:
    """Whether what failed as a flat record was meant as a batch: it holds ``instances``, and no feature's value."""
    for problem in error.errors(include_url=False, include_context=False):
        if problem["loc"] == (INSTANCES,):
            return not feature or isinstance(problem["input"], list)
        if feature and problem["loc"][:1] == (INSTANCES,) and isinstance(problem["input"], list):
            return True
    return False


def _refusal(error: ValidationError) -> InvalidRecord:
    broken = error.error_count() == 1 and error.errors(include_url=False, include_input=False)[0]["type"] == _BROKEN
    return (BrokenJson if broken else InvalidRecord)(problems(error)[:MAX_PROBLEMS])


def _refuse_repeated_keys(body: bytes) -> None:
    """Raises InvalidRecord where a key stands twice in one object, which parsers settle silently, each its own way.

    Each key of a valid body has one colon, so a body with as many colons as fields repeats none and
    is never parsed twice; this is for those with more, most often a time of day or a text.
    """
    repeated: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                repeated.append(key)
            seen.add(key)

    json.loads(body, object_pairs_hook=note, parse_int=float, parse_float=float)
    if repeated:
        names = dict.fromkeys(repeated)
        raise InvalidRecord(tuple((key, "Is given more than once; send it once") for key in names)[:MAX_PROBLEMS])
