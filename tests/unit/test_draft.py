"""Drafting a spec from a file: what each kind of column becomes, and the errors of files that cannot serve."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from perennial.datasets.draft import Draft, draft_spec
from perennial.datasets.profile import profile
from perennial.datasets.ranges import Range, judge_range, widened
from perennial.datasets.reading import read_file
from perennial.datasets.target import positive_class
from perennial.datasets.validate import validate
from perennial.errors import DataError, SpecError
from perennial.spec import CategoryFeature, DateFeature, Feature, ModelSpec, NumberFeature
from perennial.spec_policy import Monitor, Notify, Retrain
from perennial.spec_source import parse_spec
from tests.support.datasets import parquet_bytes

ROWS = 400


def csv_bytes(columns: Mapping[str, Iterable[object]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return out.getvalue().encode()


def drafted(tmp_path: Path, columns: dict[str, Any], target: str = "y", **settings: Any) -> tuple[Draft, ModelSpec]:
    path = tmp_path / "data.csv"
    path.write_bytes(csv_bytes(columns))
    draft = draft_spec(path, target=target, name="drafted", **settings)
    return draft, parse_spec(draft.text)


def label_of(rows: int = ROWS) -> list[str]:
    return ["yes" if (i * 7919) % 13 < 4 else "no" for i in range(rows)]


def judged(values: list[Any]) -> Feature | None:
    column = values if isinstance(values, pa.Array) else pa.array([str(value) for value in values])
    return profile("x", column).feature


@pytest.mark.parametrize(
    ("values", "feature"),
    [
        ([i % 2 for i in range(ROWS)], NumberFeature(type="number", min=0, max=1, integer=True)),
        ([i % 5 + 1 for i in range(ROWS)], NumberFeature(type="number", min=1, max=5, integer=True)),
        ([f"{i % 5}.0" for i in range(ROWS)], NumberFeature(type="number", min=0, max=4)),
        ([1, 2, 3] * 100 + [4], NumberFeature(type="number", min=1, max=6, integer=True)),
        ([20 + i * 37 % 50 for i in range(ROWS)], NumberFeature(type="number", min=0, max=94, integer=True)),
        ([round(i * 0.37 % 1, 3) for i in range(ROWS)], NumberFeature(type="number", min=0, max=1.5)),
        ([round(i * 0.37 % 1 - 0.5, 3) for i in range(ROWS)], NumberFeature(type="number", min=-1, max=0.99)),
        ([-5.5 - i % 70 for i in range(ROWS)], NumberFeature(type="number", min=-110, max=0)),
        (["?", "NA", "", "2.5"] * 5 + [i / 7 for i in range(ROWS)],
         NumberFeature(type="number", min=0, max=86, missing=True)),
        (["1e3", "2E-2"] * 200, NumberFeature(type="number", min=0, max=1500)),
        (["red", "green"] * 200, CategoryFeature(type="category", values=("green", "red"))),
        (["red", "green"] * 200 + ["blue"],
         CategoryFeature(type="category", values=("blue", "green", "red"), unknown="encode")),
        (["red", "?", "N/A", ""] * 200, CategoryFeature(type="category", values=("red",), missing=True)),
        (["None", "Some"] * 200, CategoryFeature(type="category", values=("None", "Some"))),
        (["007", "042"] * 200, CategoryFeature(type="category", values=("007", "042"))),
        (["'5-6 hours'", "8"] * 200, CategoryFeature(type="category", values=("'5-6 hours'", "8"))),
        (["2026-01-02", "2026-01-03T04:05"] * 200, DateFeature(type="date")),
        (["2026-01-02", "?"] * 200, DateFeature(type="date", missing=True)),
        (pa.array([True, False] * 200), CategoryFeature(type="category", values=("false", "true"))),
        (pa.array([1.0, 2.0, None] * 100), NumberFeature(type="number", min=1, max=2, missing=True)),
        (pa.array([datetime.date(2026, 1, 1 + i % 9) for i in range(ROWS)]), DateFeature(type="date")),
    ],
)  # fmt: skip
def test_a_column_becomes_a_feature(values: list[Any], feature: Feature) -> None:
    assert judged(values) == feature


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("n", range(1, ROWS + 1), "counts the rows up"),
        ("n", [(i * 7) % ROWS for i in range(ROWS)], "different whole number"),
        ("customer_id", [(i * 7919) % 10**6 for i in range(ROWS)], "different whole number"),
        ("code", [f"A-{i:04d}" for i in range(ROWS)], "different text in every row"),
        ("remark", [f"{i * 7919 % 391} things happened" for i in range(ROWS)], "free text"),
        ("remark", [f"{i % 150} " + "and so on " * 8 for i in range(ROWS)], "free text: long"),
        ("k", ["same"] * ROWS, "always 'same'"),
        ("k", ["?", ""] * 200, "no value at all"),
        ("day", [f"{1 + i % 28:02d}.{1 + i % 12:02d}.2026" for i in range(ROWS)], "not ISO 8601"),
    ],
)
def test_what_cannot_be_learnt_from_is_left_out_and_said_why(name: str, values: Iterable[object], why: str) -> None:
    found = profile(name, pa.array([str(value) for value in values]))
    assert found.feature is None
    assert why in found.note


def test_a_long_tail_lists_the_frequent_values_and_encodes_the_rest() -> None:
    found = profile("town", pa.array([f"t{i % 9}" for i in range(900)] + [f"s{i % 200}" for i in range(400)]))
    assert isinstance(found.feature, CategoryFeature)
    assert len(found.feature.values) == 100
    assert {f"t{i}" for i in range(9)} <= set(found.feature.values)
    assert found.feature.unknown == "encode"
    assert "100 most frequent of 209" in found.note


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(12285, 1484705, (0, 2_300_000)), (0, 0.001, (0, 0.0015)), (-3, 4, (-6.5, 7.5)), (1990, 2020, (1900, 2100)),
     (5, 5, (2.5, 7.5)), (0, 0, (0, 0.5)), (-1.7e308, 1.7e308, (-1.7e308, 1.7e308))],
)  # fmt: skip
def test_a_range_is_widened_outwards_to_readable_numbers(
    low: float, high: float, expected: tuple[float, float]
) -> None:
    bottom, top = widened(low, high)
    assert (bottom, top) == pytest.approx(expected)
    assert bottom <= low <= high <= top


@pytest.mark.parametrize(
    ("counts", "positive"),
    [
        ({"0": 10, "1": 90}, "1"),
        ({"No": 10, "Yes": 90}, "Yes"),
        ({"<=50K": 10, ">50K": 90}, ">50K"),
        ({"DOWN": 40, "UP": 60}, "UP"),
        ({"healthy": 90, "ailing": 10}, "ailing"),
        ({"a": 50, "b": 50}, "b"),
        ({"1": 90, "2": 10}, "1"),
    ],
)
def test_the_positive_class_is_the_one_named_like_an_event_else_the_rarer(
    counts: dict[str, int], positive: str
) -> None:
    assert positive_class(counts) == positive


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (label_of(), "binary", ("no", "yes")),
        ([i % 2 for i in range(ROWS)], "binary", ("0", "1")),
        ([f"{i % 2}.0" for i in range(ROWS)], "binary", ("0", "1")),
        (["setosa", "virginica", "versicolor", "setosa"] * 100, "multiclass", ("setosa", "versicolor", "virginica")),
        ([i % 11 for i in range(ROWS)], "multiclass", tuple(str(i) for i in range(11))),
        (["None", "Insomnia", "Apnea", "None"] * 100, "multiclass", ("Apnea", "Insomnia", "None")),
        ([i % 40 for i in range(ROWS)], "regression", None),
        ([i % 7 / 10 for i in range(ROWS)], "regression", None),
    ],
)
def test_the_target_makes_the_task(
    tmp_path: Path, values: list[object], task: str, classes: tuple[str, ...] | None
) -> None:
    draft, spec = drafted(tmp_path, {"x": [i % 50 for i in range(ROWS)], "y": values})
    assert (spec.task, spec.target.classes) == (task, classes)
    assert spec.target.positive == (classes[-1] if task == "binary" and classes else None)
    assert len(spec.candidates) == 3
    checked = validate(read_file("data.csv", (tmp_path / "data.csv").read_bytes()), spec)
    assert not checked.refused, draft.text


def test_named_columns_are_no_features_and_the_rest_is_explained(tmp_path: Path) -> None:
    columns = {
        "key": range(1000, 1000 + ROWS),
        "when": [f"2026-01-{1 + i // 20:02d}" for i in range(ROWS)],
        "n": range(ROWS),
        "a": [i * 31 % 50 for i in range(ROWS)],
        "empty": [""] * ROWS,
        "y": label_of(),
    }
    draft, spec = drafted(tmp_path, columns, id_column="key", time_column="when")
    assert (spec.id, spec.time, list(spec.features)) == ("key", "when", ["a"])
    assert "#   n: counts the rows up: an identifier" in draft.text
    assert "#   empty: no value at all" in draft.text
    assert draft.warnings == ("'empty' is left out: no value at all.",)


def test_a_date_without_a_time_column_is_hinted_at(tmp_path: Path) -> None:
    columns = {"a b: c": [f"2026-01-{1 + i // 20:02d}" for i in range(ROWS)], "n": [i % 9 for i in range(ROWS)]}
    draft, spec = drafted(tmp_path, {**columns, "y": label_of()})
    assert spec.time is None
    assert "time: null  # where the world moves, draft it again with --time a b: c\n" in draft.text
    (warning,) = draft.warnings
    assert "'a b: c' is a date" in warning and "`--time COLUMN`" in warning
    draft, _ = drafted(tmp_path, {**columns, "y": label_of()}, time_column="a b: c")
    assert not draft.warnings


@pytest.mark.parametrize("values", [label_of(), [i % 40 for i in range(ROWS)], ["a", "b", "c", "a"] * 100])
def test_what_keeps_it_fresh_is_drafted_at_the_defaults(tmp_path: Path, values: list[object]) -> None:
    draft, spec = drafted(tmp_path, {"x": [i % 50 for i in range(ROWS)], "y": values})
    assert spec.retrain == Retrain(new_rows=50)
    assert (spec.monitor, spec.notify) == (Monitor(), Notify())
    assert {"schedule", "drift_share", "cooldown", "feedback"} <= spec.retrain.model_fields_set
    meant = parse_spec(re.sub(r"^(\s*)# (performance|notify): ", r"\1\2: ", draft.text, flags=re.MULTILINE))
    assert meant.retrain.performance is not None and set(meant.retrain.performance.bounds) == {spec.metric}
    assert meant.notify.email and meant.notify.slack_webhook_secret


def test_leaks_are_warned_about_and_stay_in(tmp_path: Path) -> None:
    a = [i * 7919 % 97 for i in range(ROWS)]
    b = [i * 104729 % 89 for i in range(ROWS)]
    noise = [i * 31 % 83 for i in range(ROWS)]
    total = [one + two for one, two in zip(a, b, strict=True)]
    draft, spec = drafted(tmp_path, {"a": a, "b": b, "noise": noise, "y": total})
    assert list(spec.features) == ["a", "b", "noise"]
    assert draft.warnings == tuple(f"'{name}' is a likely leak: a + b gives y exactly." for name in "ab")
    assert draft.text.count("# LIKELY LEAK: a + b gives y exactly") == 2


def test_a_column_that_alone_tells_the_class_is_a_likely_leak(tmp_path: Path) -> None:
    y = label_of()
    coded = [f"{i % 8}{'x' if one == 'yes' else 'z'}" for i, one in enumerate(y)]
    draft, _ = drafted(tmp_path, {"coded": coded, "noise": [i % 50 for i in range(ROWS)], "y": y})
    assert [warning.split(" is ")[0] for warning in draft.warnings] == ["'coded'"]
    assert "ROC AUC" in draft.warnings[0]


def test_a_column_named_after_the_target_is_a_likely_leak(tmp_path: Path) -> None:
    columns = {"ChurnReason": ["a", "b"] * 200, "n": [i % 9 for i in range(ROWS)], "churn": label_of()}
    draft, _ = drafted(tmp_path, columns, target="churn")
    assert draft.warnings == ("'ChurnReason' is a likely leak: its name contains the target's.",)


def test_rows_that_a_draft_will_refuse_are_warned_about(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    rows = csv_bytes({"a": [*range(40), "abc", *range(359)], "y": [*label_of(398), "", "rare"]})
    path.write_bytes(rows + b"1,2,3\n")
    with pytest.raises(DataError, match="neither"):
        draft_spec(path, target="a", name="x", time_column="y")
    warnings = draft_spec(path, target="y", name="x").warnings
    assert any("classes seen once" in warning and "rare" in warning for warning in warnings)
    assert any("1 rows have no target" in warning for warning in warnings)
    assert any("do not have the header's 2 fields" in warning and "row 401" in warning for warning in warnings)
    assert any("not numbers, such as 'abc'" in warning for warning in warnings)


def test_all_file_formats_draft_alike(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {"a": [i * 7919 % 61 for i in range(ROWS)], "c": ["x", "y"] * 200, "y": label_of()}
    texts = set()
    for name, data in (
        ("d.csv", csv_bytes(columns)),
        ("e.csv.gz", gzip.compress(csv_bytes(columns))),
        ("f.parquet", parquet_bytes(columns)),
    ):
        (tmp_path / name).write_bytes(data)
        texts.add(draft_spec(tmp_path / name, target="y", name="x").text.replace(name, "file"))
    assert len(texts) == 1


GOOD = csv_bytes({"a": range(9), "y": [1, 0, 1] * 3})


@pytest.mark.parametrize(
    ("data", "settings", "says"),
    [
        (b"", {}, "is empty"),
        (GOOD.replace(b",", b";"), {}, "semicolons"),
        (b"a;y\n1;2\n", {}, "semicolons"),
        (GOOD.replace(b"0", b"\xff"), {}, "not UTF-8"),
        (GOOD.replace(b"a,", b"y,"), {}, "'y': appears more than once"),
        (GOOD, {"target": "z"}, "'z': is the target but not in the file"),
        (GOOD, {"target": "Y"}, "Did you mean 'y'?"),
        (GOOD, {"id_column": "nr"}, "'nr': is the id but not in the file"),
        (GOOD, {"time_column": "at"}, "'at': is the time but not in the file"),
        (GOOD, {"id_column": "y"}, "cannot be both"),
        (GOOD, {"id_column": "a", "time_column": "a"}, "cannot be both"),
        (b"a,y\n1,1\n2,1\n", {}, "'y': holds one class only ('1')"),
        (b"a,y\n1,\n2,?\n", {}, "'y': holds no value at all"),
        (csv_bytes({"a": range(200), "y": [f"t{i}" for i in range(200)]}), {}, "neither classes nor numbers"),
        (b"a,y\n1,yes\n2,no\n3,no\n", {}, "single row ('yes')"),
        (b"a,y\n7,1\n7,0\n7,1\n7,0\n", {}, "no column to learn from"),
        (b"a,y\n1,2,3\n4,5,6\n", {}, "no row with as many fields"),
    ],
)
def test_a_file_that_cannot_be_drafted_from_is_named(
    tmp_path: Path, data: bytes, settings: dict[str, str], says: str
) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        draft_spec(path, name="x", **{"target": "y", **settings})
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


def test_a_missing_file_or_a_bad_name_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        draft_spec(tmp_path / "gone.csv", target="y", name="x")
    with pytest.raises(SpecError, match="cannot name a model"):
        draft_spec(tmp_path / "gone.csv", target="y", name="No Name")


def test_over_time_a_scale_is_complete_only_if_seen_early_and_growth_has_no_end() -> None:
    def over_time(values: list[float]) -> Range:
        column = np.array(values, np.float64)
        return judge_range(column, integer=True, by_time=column)

    months = [1.0 + i // 50 for i in range(ROWS)]
    assert judge_range(np.array(months), integer=True) == Range(1, 8)
    assert over_time(months) == Range(1, 12)
    assert over_time([1.0 + i % 8 for i in range(ROWS)]) == Range(1, 8)
    assert over_time([float(i >= 300) for i in range(ROWS)]) == Range(0, 2)
    grows = over_time([float(i // 3) for i in range(ROWS)])
    assert (grows.low, grows.high) == (0, None)
    assert "moves with time" in grows.note
    falls = over_time([float(-i // 3) for i in range(ROWS)])
    assert (falls.low, falls.high) == (None, 0)


def test_a_long_tail_is_given_more_room() -> None:
    body = [float(i % 100) for i in range(ROWS)]
    assert judge_range(np.array(body), integer=True) == Range(0, 150)
    assert judge_range(np.array([*body, 1000.0]), integer=True) == Range(0, 3000)


@pytest.mark.parametrize(("rows", "fraction", "said"), [(14_999, 0.2, False), (15_000, 0.1, True)])
def test_many_rows_leave_a_larger_share_to_learn_from(tmp_path: Path, rows: int, fraction: float, said: bool) -> None:
    columns = {"a": (i % 97 for i in range(rows)), "y": ("yes" if i % 3 else "no" for i in range(rows))}
    draft, spec = drafted(tmp_path, columns)
    assert spec.holdout.fraction == fraction
    assert ("# a tenth, 1,500 rows, measures well enough" in draft.text) is said
