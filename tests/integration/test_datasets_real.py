"""Draft, land, snapshot and load on real data: unseen rows of the same population are accepted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from perennial.datasets.draft import draft_spec
from perennial.datasets.landing import land
from perennial.datasets.load import load_split
from perennial.datasets.snapshot import snapshot
from perennial.spec import NumberFeature
from perennial.spec_source import parse_spec
from perennial.store import memory_store

CASES = [
    ("student_depression", "Depression", "id", None, "binary", ("0", "1")),
    ("adult_census", "income", None, None, "binary", ("<=50K", ">50K")),
    ("telco_churn", "Churn", "customerID", None, "binary", ("No", "Yes")),
    ("bike_sharing", "cnt", None, "dteday", "regression", ()),
    ("elec2", "class", None, "timestamp", "binary", ("DOWN", "UP")),
]


@pytest.mark.parametrize(("name", "target", "id_column", "time_column", "task", "classes"), CASES)
def test_a_spec_drafted_from_half_the_rows_accepts_the_other_half(
    real_data: Path,
    tmp_path: Path,
    name: str,
    target: str,
    id_column: str | None,
    time_column: str | None,
    task: str,
    classes: tuple[str, ...],
) -> None:
    lines = (real_data / f"{name}.csv").read_bytes().splitlines(keepends=True)
    half = tmp_path / "half.csv"
    half.write_bytes(b"".join(lines[: len(lines) // 2]))
    draft = draft_spec(half, target, id_column, time_column, name=name.replace("_", "-"))
    spec = parse_spec(draft.text)
    assert spec.task == task
    store = memory_store()
    land(store, spec, half)
    first = snapshot(store, spec).manifest
    frozen = load_split(store, spec, first, "holdout")
    land(store, spec, real_data / f"{name}.csv")
    manifest = snapshot(store, spec).manifest
    rows = len(lines) - 1
    assert sum(source.rows for source in manifest.sources) == rows + len(lines) // 2 - 1
    assert manifest.refused <= 0.0005 * rows
    assert manifest.classes == classes
    train, holdout = (load_split(store, spec, manifest, side) for side in ("train", "holdout"))
    assert np.array_equal(holdout.x, frozen.x, equal_nan=True)
    assert manifest.held_back >= len(frozen.y)
    divided = len(train.y) + len(holdout.y) + manifest.rows("window")
    assert divided + manifest.held_back + manifest.refused == rows + len(lines) // 2 - 1


def test_bike_sharing_leaks_and_counters_are_seen(real_data: Path) -> None:
    draft = draft_spec(real_data / "bike_sharing.csv", "cnt", time_column="dteday", name="bikes")
    assert [warning for warning in draft.warnings if "casual + registered gives cnt exactly" in warning]
    assert "#   instant: counts the rows up" in draft.text
    hour = parse_spec(draft.text).features["hr"]
    assert hour == NumberFeature(type="number", min=0, max=23, integer=True)


def test_marks_and_quotes_of_the_student_survey_are_understood(real_data: Path) -> None:
    spec = parse_spec(draft_spec(real_data / "student_depression.csv", "Depression", "id", name="students").text)
    assert spec.features["Financial Stress"] == NumberFeature(type="number", min=1, max=5, missing=True)
    assert "'5-6 hours'" in spec.features["Sleep Duration"].values  # type: ignore[union-attr]
    assert spec.target.positive == "1"
