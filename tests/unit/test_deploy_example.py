"""The record that a smoke test asks with: whatever a spec declares, its own schema takes it."""

from __future__ import annotations

import base64

import pytest

from perennial.deploy.example import example_of
from perennial.images.decode import decode
from perennial.records import RecordSchema
from perennial.serving.picture_requests import FIELD, record_schema
from perennial.spec import ModelSpec
from tests.support.models import make_spec


def of(features: dict[str, dict[str, object]]) -> ModelSpec:
    spec = make_spec("shown").model_dump(mode="json", by_alias=True, exclude_unset=True)
    return ModelSpec.model_validate(spec | {"features": features})


@pytest.mark.parametrize(
    "feature",
    [
        {"type": "number"},
        {"type": "number", "min": 3.5},
        {"type": "number", "max": -2},
        {"type": "number", "min": 1, "max": 4, "integer": True},
        {"type": "number", "missing": True},
        {"type": "category", "values": ["a", "b"]},
        {"type": "category", "values": ["a", "b"], "unknown": "encode"},
        {"type": "category", "values": ["a"], "missing": True},
        {"type": "date"},
        {"type": "date", "missing": True},
    ],
)
def test_it_is_what_the_model_takes(feature: dict[str, object]) -> None:
    schema = RecordSchema(of({"x": feature}))
    record = example_of(schema.json_schema())
    assert set(record) == {"x"}
    schema.record_type.model_validate(record)


def test_a_model_of_pictures_gets_one() -> None:
    record = example_of(record_schema())
    picture = decode(base64.b64decode(record[FIELD]))
    assert (picture.width, picture.height) == (64, 64)
