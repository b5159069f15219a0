"""Rows sorted before a forest scores them: by the columns that it decides by, and no answer is another for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pyarrow as pa
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from perennial.datasets.reading import Header, RawFile
from perennial.export import export_pipeline
from perennial.export.deciding import FEWEST_SPLITS, MOST
from perennial.records import SORT_COLUMNS, Column, columns
from perennial.scoring import scorer as scorers
from perennial.scoring.arranging import SAMPLED, arranged
from perennial.scoring.results import Unit
from perennial.scoring.scorer import RUN_ROWS, WORTH_SORTING, Scorer
from perennial.serving.predictor import Predictor
from perennial.serving.session import sort_columns_of
from perennial.training.preprocess import MAX_INDICATORS, build_pipeline
from tests.support.models import CLASSES, MIXED, linear_onnx, make_manifest, make_spec

ROWS = RUN_ROWS + WORTH_SORTING - 1
NUMBERS = tuple(Column(name, name, "number") for name in "abcdef")


def session(graph: bytes) -> ort.InferenceSession:
    return ort.InferenceSession(graph, providers=["CPUExecutionProvider"])


def told(graph: bytes, width: int = 6) -> tuple[int, ...]:
    return sort_columns_of(session(graph), width)


def exported(estimator: Any, seen: tuple[Column, ...], x: np.ndarray, y: np.ndarray, classes: int = 2) -> bytes:
    return export_pipeline(build_pipeline(seen, estimator).fit(x, y), seen, classes)


def boosted() -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(max_iter=40, min_samples_leaf=2, random_state=0, early_stopping=False)


class TestColumns:
    def test_those_asked_first_come_first(self) -> None:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(2000, 6))
        y = (4 * x[:, 4] + 2 * x[:, 1] + 0.1 * rng.normal(size=2000) > 0).astype(np.int64)
        found = told(exported(boosted(), NUMBERS, x, y))
        assert found[:2] == (4, 1)
        assert len(found) == MOST == len(set(found))

    def test_of_a_grouped_column_it_is_the_one_that_the_file_has(self) -> None:
        rng = np.random.default_rng(0)
        size = MAX_INDICATORS + 45  # more than are kept apart: the graph has a column of groups, behind its own
        seen = (*NUMBERS[:2], Column("c", "c", "category", tuple(map(str, range(size)))))
        x = np.column_stack([rng.normal(size=(6000, 2)), rng.integers(0, size, 6000)])
        y = ((x[:, 2] % 2 == 0) ^ (x[:, 0] > 1.5)).astype(np.int64)
        found = told(exported(boosted(), seen, x, y), width=3)
        assert found[0] == 2
        assert set(found) <= {0, 1, 2}

    def test_none_of_a_small_forest_and_of_what_is_none(self) -> None:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(300, 6))
        y = (x[:, 0] > 0).astype(np.int64)
        small = RandomForestClassifier(n_estimators=3, max_depth=4, random_state=0)
        assert FEWEST_SPLITS > 3 * 2**4
        assert told(exported(small, NUMBERS, x, y)) == ()
        assert told(linear_onnx("binary", np.ones((6, 1)), np.zeros(1))) == ()

    @pytest.mark.parametrize(
        "text", ["", "6", "1,6", "-1", "1,2,3,4,5", "1,,2", "1;2", " 1", "1\n", "٣", "9" * 5000, "1e0", "pickle"]
    )
    def test_what_no_export_writes_is_passed_over(self, text: str) -> None:
        model = onnx.load_from_string(linear_onnx("binary", np.ones((6, 1)), np.zeros(1)))
        model.metadata_props.add(key=SORT_COLUMNS, value=text)
        assert told(model.SerializeToString()) == ()
        model.metadata_props[0].value = "5,0"
        assert told(model.SerializeToString()) == (5, 0)

    @pytest.mark.parametrize("held", ["key", "value"])
    def test_nor_do_bytes_that_are_no_text_stop_a_batch(self, held: str) -> None:
        model = onnx.load_from_string(linear_onnx("binary", np.ones((6, 1)), np.zeros(1)))
        entry = {"key": SORT_COLUMNS, "value": "1,2", held: "any text"}
        model.metadata_props.add(**entry)
        assert told(model.SerializeToString().replace(b"any text", b"\xff\xfe,\x001234")) == ()


class TestOrder:
    @pytest.mark.parametrize("rows", [1, SAMPLED - 1, SAMPLED, 1000])
    def test_every_row_has_one_place(self, rows: int) -> None:
        x = np.random.default_rng(0).normal(size=(rows, 6))
        x[::3, 1] = np.nan
        x[:, 2] = np.nan
        x[::2, 3] = np.inf
        assert sorted(arranged(x, (1, 2, 3, 0)).tolist()) == list(range(rows))

    def test_alike_rows_are_side_by_side(self) -> None:
        x = np.random.default_rng(0).normal(size=(4096, 2))
        sorted_rows = x[arranged(x, (1, 0))]
        assert np.abs(np.diff(sorted_rows[:, 1])).mean() < np.abs(np.diff(x[:, 1])).mean() / 2.5
        quarters = sorted_rows[:, 1].reshape(4, -1)
        assert (np.diff(np.median(quarters, axis=1)) > 0).all()


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_answers_are_those_of_the_rows_as_they_came(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit, in their order, with refused rows between them; the last few rows are too few to sort."""
    spec = make_spec("mixed", task, MIXED)
    rng = np.random.default_rng(1)
    ages = rng.integers(8, 100, ROWS)  # some are below the least that is allowed
    grades = np.round(rng.normal(7, 2, ROWS), 3)
    cities = rng.choice(["Pune", "Goa", "Rome"], ROWS)
    seen = columns(spec)
    x = np.full((ROWS, len(seen)), np.nan)
    x[:, 0], x[:, 1], x[:, 2], x[:, 3] = ages, grades, 0, np.where(cities == "Rome", -1, cities == "Goa")
    y = ((ages + 10 * grades + 20 * (cities == "Goa") + rng.normal(0, 9, ROWS)) // 60 % len(CLASSES[task])).astype(int)
    graph = exported(boosted(), seen, x[:3000], y[:3000], len(CLASSES[task]))
    predictor = Predictor(make_manifest(spec, CLASSES[task], graph), graph)
    sorted_by = []
    monkeypatch.setattr(scorers, "arranged", lambda x, by: sorted_by.append(by) or arranged(x, by))  # type: ignore[func-returns-value]

    cells = {"Age": map(str, ages), "CGPA": map(str, grades), "Sleep Duration": ["5-6 hours"] * ROWS,
             "City": map(str, cities), "Since": [""] * ROWS}  # fmt: skip
    arrays = {name: pa.array(list(values), pa.string()) for name, values in cells.items()}
    raw = RawFile("a.csv", Header(tuple(cells)), arrays, np.arange(1, ROWS + 1), ())
    block = Scorer(predictor, names=tuple(cells)).score(Unit(lambda: raw, end=7))

    assert sorted_by == [predictor.sort_columns]
    assert 0 < len(block.refused) < ROWS / 4
    fine = block.table["row"].to_numpy() - 1
    assert set(ages[fine]) == set(range(10, 100))
    expected = predictor.run(x[fine])
    assert expected.probabilities is not None and expected.labels is not None
    for place, name in enumerate(CLASSES[task]):
        assert (block.table[f"probability_{name}"].to_numpy() == expected.probabilities[:, place]).all()
    assert block.table["prediction"].to_pylist() == [CLASSES[task][label] for label in expected.labels]
