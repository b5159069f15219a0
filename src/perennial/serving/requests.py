"""What a client may send: one flat record, or ``{"instances": [record, …]}``, checked in one pass over the bytes.

The two never clash, even where a feature is called ``instances``: no feature's value is a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from perennial.errors import InvalidRecord
from perennial.records import RecordSchema, problems

MAX_INSTANCES = 1000
MAX_PROBLEMS = 100
INSTANCES = "instances"
_BATCH = re.compile(rb'\s*\{\s*"instances"\s*:\s*\[')


@dataclass(frozen=True)
class Batch:
    """Valid records in the order they were sent; ``single`` where they came as one flat record."""

    records: Sequence[BaseModel]
    single: bool


class BrokenJson(InvalidRecord):
    """The body is not JSON at all."""


class RequestSchema:
    """Reads request bodies for one model. Immutable once built; the batch type is made when first needed."""

    def __init__(self, schema: RecordSchema) -> None:
        self._record = schema.record_type
        self._has_instances_feature = INSTANCES in schema.features

    def read(self, body: bytes) -> Batch:
        """Check a body against the model's schema.

        Raises:
            BrokenJson: it is not JSON (NaN and Infinity stand for themselves, and are refused by field).
            InvalidRecord: a field is wrong, missing, unknown or given twice; ``instances.3.Age`` names its place.
        """
        if _BATCH.match(body):
            return self._read_batch(body)
        try:
            record = self._record.model_validate_json(body)
        except ValidationError as error:
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
            raise _refusal(error) from error
        records: list[BaseModel] = batch.instances  # type: ignore[attr-defined]  # the type is made at run time
        if body.count(b":") != 1 + sum(len(record.model_fields_set) for record in records):
            _refuse_repeated_keys(body)
        return Batch(records, single=False)

    @cached_property
    def _batch(self) -> type[BaseModel]:
        items: Any = Annotated[list[self._record], Field(min_length=1, max_length=MAX_INSTANCES)]  # type: ignore[name-defined]
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
    kind = (
        BrokenJson
        if error.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid"
        else InvalidRecord
    )
    return kind(problems(error)[:MAX_PROBLEMS])


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
