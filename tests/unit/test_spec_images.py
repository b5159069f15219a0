"""What a spec may say of pictures."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from perennial.errors import InvalidRecord, SpecError
from perennial.records import RecordSchema, columns
from perennial.spec import Frame, ModelSpec
from perennial.spec_images import DESCRIPTORS, OWN_COLUMNS, ImageInput
from perennial.spec_source import parse_spec
from tests.support.datasets import make_spec
from tests.support.pictures import digit_spec, image_spec

LINEAR = "sklearn.linear_model.LogisticRegression"


def test_the_features_of_a_picture_are_what_is_measured_of_it() -> None:
    spec = image_spec()
    assert dict(spec.features) == dict(DESCRIPTORS)
    assert list(spec.features) == ["width", "height", "brightness", "contrast", "sharpness"]
    assert len(columns(spec)) == 5


def test_a_spec_of_pictures_reads_back_as_it_was_stored() -> None:
    for spec in (image_spec(), digit_spec(), image_spec(image={"size": 64, "fit": "pad", "group_pattern": "^(p\\d+)"})):
        again = ModelSpec.model_validate_json(spec.model_dump_json())
        assert again == spec
        assert again.digest() == spec.digest()
        assert again.image == spec.image


def test_settings_of_pictures_have_defaults() -> None:
    said = image_spec().model_dump(mode="json")
    del said["image"], said["features"]
    spec = ModelSpec.model_validate(said)
    assert spec.image == ImageInput()
    assert spec.image is not None and spec.image.frame == Frame(size=224, color="rgb", fit="stretch")
    assert not spec.image.private_addresses


def test_what_is_said_of_pictures_is_part_of_the_digest() -> None:
    one = image_spec()
    assert one.digest() != image_spec(image={"size": 24}).digest()
    assert one.digest() != image_spec(image={"size": 16, "color": "grey"}).digest()


@pytest.mark.parametrize(("color", "channels"), [("rgb", 3), ("grey", 1)])
def test_a_frame_has_a_shape(color: Any, channels: int) -> None:
    frame = Frame(size=64, color=color)
    assert frame.channels == channels
    assert frame.shape == (64, 64, channels)


def test_a_network_is_its_own_estimator() -> None:
    spec = image_spec(candidates={"net": {"torch": "resnet18", "size": 64, "params": {"epochs": 3}}})
    assert spec.candidates["net"].estimator == "torch.resnet18"
    again = ModelSpec.model_validate_json(spec.model_dump_json())
    assert again.candidates["net"] == spec.candidates["net"]


@pytest.mark.parametrize(
    "candidate",
    [
        {"backbone": "mobilenetv2-035", "estimator": LINEAR, "search": {"C": [1, 10]}},
        {"backbone": "a.b_c-1", "estimator": LINEAR, "quantize": "int8"},
        {"backbone": "b", "estimator": LINEAR, "tiles": True, "quantize": "int8"},
        {"features": "hog", "size": 64, "estimator": "xgboost.XGBClassifier"},
        {"features": "pixels", "size": 8, "estimator": LINEAR},
        {"torch": "depthwise", "weights": "s3://bucket/weights.safetensors", "quantize": "int8"},
    ],
)
def test_candidates_of_each_kind_may_stand_side_by_side(candidate: dict[str, Any]) -> None:
    image_spec(candidates={"this": candidate, "that": {"torch": "resnet18"}})


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"task": "regression", "target": {"column": "label"}, "metric": "r2"}, "task", "pictures are classified"),
        ({"id": "file_id"}, "id", "told by its content"),
        ({"time": "taken"}, "time", "told by its content"),
        ({"features": {"age": {"type": "number"}}}, "features", "no features of its own"),
        ({"features": {**DESCRIPTORS, "age": {"type": "number"}}}, "features", "no features of its own"),
        *(
            ({"target": {"column": column}}, "target.column", "notes of a picture")
            for column in OWN_COLUMNS
        ),
        ({"image": {"group": "p", "group_pattern": "p"}}, "image.group_pattern", "keep one of the two"),
        ({"image": {"group": "label"}}, "image.group", "is the target column"),
        ({"image": {"group_pattern": "("}}, "image.group_pattern", "no regular expression"),
        ({"image": {"size": 7}}, "image.size", "8"),
        ({"image": {"size": 513}}, "image.size", "512"),
        ({"image": {"color": "cmyk"}}, "image.color", "grey"),
        ({"image": {"fit": "cover"}}, "image.fit", "stretch"),
        ({"image": {"download_bytes": 20_000_001}}, "image.download_bytes", "20000000"),
        ({"image": {"side": 16}}, "image.side", ""),
        ({"candidates": {"a": {"estimator": LINEAR}}}, "candidates.a", "say what it sees of a picture"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_its_key(changes: dict[str, Any], key: str, says: str) -> None:
    text = _yaml(image_spec().model_dump(mode="json", exclude={"features"}) | changes)
    with pytest.raises(SpecError) as refused:
        parse_spec(text, "model.yaml")
    assert key in str(refused.value)
    assert says in str(refused.value)


def _yaml(said: dict[str, Any]) -> str:
    return json.dumps(said, default=lambda part: part.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("candidate", "says"),
    [
        ({"backbone": "b", "features": "hog", "estimator": LINEAR}, "name one of"),
        ({"backbone": "b", "torch": "resnet18"}, "name one of"),
        ({"torch": "resnet18", "estimator": LINEAR}, "remove estimator"),
        ({"torch": "resnet50"}, "resnet18"),
        ({"estimator": "torch.resnet18"}, "write torch: resnet18"),
        ({"torch": "resnet18", "search": {"epochs": [1, 2]}}, "set params instead"),
        ({"features": "hog", "estimator": LINEAR, "weights": "w.pt"}, "those of a network"),
        ({"backbone": "b", "estimator": LINEAR, "size": 64}, "in its own size"),
        ({"features": "pixels", "estimator": LINEAR, "quantize": "int8"}, "only a network's graph"),
        ({"features": "hog", "estimator": LINEAR, "tiles": True}, "seen by a backbone"),
        ({"torch": "resnet18", "tiles": True}, "seen by a backbone"),
        ({"estimator": LINEAR, "tiles": True}, "seen by a backbone"),
        ({"features": "pixels", "estimator": LINEAR, "quantize": "int4"}, "int8"),
        ({"backbone": "../b", "estimator": LINEAR}, "pattern"),
        ({"backbone": "b"}, "estimator"),
    ],
)
def test_a_candidate_that_contradicts_itself_is_refused(candidate: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        image_spec(candidates={"a": candidate})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"image": {"size": 16}}, "input: image"),
        ({"candidates": {"a": {"estimator": LINEAR, "features": "hog"}}}, "input: image"),
        ({"candidates": {"a": {"estimator": LINEAR, "backbone": "b"}}}, "input: image"),
        ({"candidates": {"a": {"torch": "resnet18"}}}, "input: image"),
    ],
)
def test_a_table_has_nothing_of_pictures(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        make_spec(**changes)


def test_what_is_measured_passes_the_checks_of_a_table() -> None:
    schema = RecordSchema(image_spec())
    measured = {"width": 640, "height": 480, "brightness": 0.5, "contrast": 0.25, "sharpness": 0.1}
    assert schema.row(schema.validate(measured)) == list(measured.values())
    with pytest.raises(InvalidRecord):
        schema.validate(measured | {"brightness": 1.5})
