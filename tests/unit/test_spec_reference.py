"""The reference of the spec names every key with its default, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from perennial.spec import (
    DEFAULT_METRIC,
    LOWER_IS_BETTER,
    METRICS,
    Batch,
    Candidate,
    CategoryFeature,
    DateFeature,
    Frame,
    GatePolicy,
    Holdout,
    ImageInput,
    Job,
    JobSize,
    ModelSpec,
    NumberFeature,
    SlicePolicy,
    SqlSource,
    Target,
)
from perennial.spec_features import Part
from perennial.spec_policy import Monitor, Notify, Performance, Retrain, TrialPolicy
from perennial.spec_source import parse_spec

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "spec.md").read_text()

# heading, what it tells of, and the least such a thing needs
SECTIONS: list[tuple[str, type[BaseModel], dict[str, Any]]] = [
    ("The model", ModelSpec, {
        "name": "m", "task": "binary", "target": {"column": "y"}, "features": {"x": {"type": "number"}},
        "candidates": {"c": {"estimator": "sklearn.linear_model.LogisticRegression"}},
    }),
    ("Image", ImageInput, {}),
    ("Target", Target, {"column": "y"}),
    ("number", NumberFeature, {"type": "number"}),
    ("category", CategoryFeature, {"type": "category", "values": ["a"]}),
    ("date", DateFeature, {"type": "date"}),
    ("Holdout", Holdout, {}),
    ("Candidates", Candidate, {"estimator": "xgboost.XGBClassifier"}),
    ("Gate", GatePolicy, {}),
    ("A slice", SlicePolicy, {"maximum_gap": 0.1}),
    ("Retrain", Retrain, {}),
    ("performance", Performance, {}),
    ("Monitor", Monitor, {}),
    ("Trial", TrialPolicy, {}),
    ("Batch", Batch, {}),
    ("Notify", Notify, {}),
    ("Sources", SqlSource, {"connection": "db", "table": "t", "watermark": "at"}),
    ("Job", Job, {}),
    ("Size of a job", JobSize, {}),
]  # fmt: skip


def rows(heading: str) -> dict[str, str]:
    """Key -> the cell that tells its default, of the section's table."""
    (section,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", TEXT, re.DOTALL | re.MULTILINE)
    cells = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    assert all(len(row) == 4 and all(row) for row in cells), cells
    assert len({row[0] for row in cells}) == len(cells)
    return {row[0].strip("`"): row[2] for row in cells}


@pytest.mark.parametrize(("heading", "model", "least"), SECTIONS, ids=[heading for heading, *_ in SECTIONS])
def test_every_key_stands_in_it_with_its_default(heading: str, model: type[BaseModel], least: dict[str, Any]) -> None:
    told = rows(heading)
    assert list(told) == list(model.model_fields)
    plain = model.model_validate(least)
    for key, default in told.items():
        if model.model_fields[key].is_required():
            assert default == "*required*", key
        elif key == "metric":
            assert re.findall(r"`(\w+)`", default) == list(DEFAULT_METRIC.values())
        elif key not in least:
            assert re.fullmatch(r"`[^`]+`", default), key
            given = yaml.safe_load(default.strip("`"))
            assert model.model_validate({**least, key: given}) == plain, key


def test_no_model_of_the_spec_is_left_out() -> None:
    parts = {each for each in _descendants(BaseModel) if each.__module__.startswith("perennial.spec")}
    assert {model for _, model, _ in SECTIONS} == parts - {Part, Frame}


def _descendants(of: type[BaseModel]) -> set[type[BaseModel]]:
    return {each for child in of.__subclasses__() for each in {child} | _descendants(child)}


def test_its_example_is_valid_and_shows_every_key_of_a_policy() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    spec = parse_spec(text)
    for part in (spec.gate, spec.retrain, spec.monitor, spec.notify):
        assert part.model_fields_set == set(type(part).model_fields)
    assert spec.model_fields_set | {"input", "image"} == set(ModelSpec.model_fields)


def test_it_names_every_metric() -> None:
    told = TEXT[TEXT.index("Metrics of a binary task") : TEXT.index("## Image")].replace("\n", " ")
    listed, lower = told.split("Lower is better")
    assert set(re.findall(r"`(\w+)`", lower)) == LOWER_IS_BETTER
    assert [tuple(re.findall(r"`(\w+)`", part)) for part in listed.split(";")] == list(METRICS.values())


def test_it_is_linked_and_its_links_lead_somewhere() -> None:
    assert "(spec.md)" in (DOCS / "staying-fresh.md").read_text()
    headings = {name.lower().replace(" ", "-") for name in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        assert target[1:] in headings if target.startswith("#") else (DOCS / target).exists(), target
