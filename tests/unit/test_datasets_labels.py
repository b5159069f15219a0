"""Label files: taken whole or refused by name of file, row and column."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from perennial.datasets.labels import LandedLabels, land_labels
from perennial.errors import DataError
from perennial.registry.registry import Registry
from perennial.spec import ModelSpec
from perennial.store import Store, memory_store
from tests.support.captures import each_minute, prediction_id
from tests.support.datasets import make_spec, parquet_bytes
from tests.support.versions import START, at, version

SPEC = make_spec(id="id", target={"column": "ill", "positive": "yes", "classes": ["no", "yes"]})
COST = make_spec(task="regression", target={"column": "cost"})
ONE, TWO, THREE = (prediction_id(moment, i) for i, moment in enumerate(each_minute(START, 3)))


def land(
    store: Store, folder: Path, data: bytes | str, spec: ModelSpec = SPEC, name: str = "truth.csv"
) -> LandedLabels:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return land_labels(store, spec, path)


def stored(store: Store, landed: LandedLabels) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(io.BytesIO(store.get(landed.key).data)).to_pylist()
    return found


def test_labels_land_by_prediction_or_by_id(tmp_path: Path) -> None:
    store = memory_store()
    landed = land(store, tmp_path, f"prediction_id,id,ill,note\n{TWO.upper()},,yes,a\n,7.0,no,b\n{ONE},9,no,c\n")
    assert stored(store, landed) == [
        {"key": "7", "by": "id", "truth": "no"},
        {"key": ONE, "by": "prediction_id", "truth": "no"},
        {"key": TWO, "by": "prediction_id", "truth": "yes"},
    ]
    assert (landed.labels, landed.by_prediction, landed.by_id, landed.repeated, landed.new) == (3, 2, 1, 0, True)


def test_values_of_a_regression_are_numbers(tmp_path: Path) -> None:
    store = memory_store()
    landed = land(store, tmp_path, f"prediction_id,cost\n{ONE},1e3\n{TWO},-0.5\n", COST)
    assert [row["truth"] for row in stored(store, landed)] == [1000.0, -0.5]


@pytest.mark.parametrize("cost", ["1e39", "-1e300"])
def test_a_value_that_not_every_library_can_learn_from_is_refused(tmp_path: Path, cost: str) -> None:
    """What was collected is never changed: one such value, and an estimator of float32 would never train again."""
    store = memory_store()
    with pytest.raises(DataError, match=r"truth\.csv, row 2, column 'cost': is (above|below) the"):
        land(store, tmp_path, f"prediction_id,cost\n{ONE},1\n{TWO},{cost}\n", COST)
    assert list(store.list("")) == []


def test_the_same_labels_land_once_in_whatever_order_and_format(tmp_path: Path) -> None:
    store = memory_store()
    first = land(store, tmp_path, "id,ill\np1,yes\np2,no\np1,yes\n")
    assert (first.labels, first.repeated) == (2, 1)
    others = [
        ("again.csv", b"ill,id\nno,p2\nyes,p1\n"),
        ("packed.csv.gz", gzip.compress(b"id,ill\np2,no\np1,yes\n", mtime=0)),
        ("truth.parquet", parquet_bytes({"id": ["p2", "p1"], "ill": ["no", "yes"]})),
    ]
    for name, data in others:
        again = land(store, tmp_path, data, name=name)
        assert (again.key, again.new) == (first.key, False)
    assert len(list(store.list("people/labels/"))) == 1


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("id,sick\np1,yes\n", "column 'ill': is the target but not in the file"),
        ("name,ill\np1,yes\n", "holds no key of its rows. Add a column 'prediction_id' or 'id'"),
        ("id;ill\np1;yes\n", "looks separated by semicolons"),
        ("id,ill\np1,yes\np2,maybe\np3,perhaps\n",
         "row 2, column 'ill': is not one of the declared values (2 rows have such a cell). The model knows"),
        ("id,ill\np1,yes\np2,\n", "row 2, column 'ill': is missing. The model knows"),
        ("id,prediction_id,ill\np1,,yes\n,,no\n", "row 2: has no key in 'prediction_id' and 'id'. Give one"),
        ("id,ill\n" + "x" * 600 + ",yes\n", "row 1, column 'id': is longer than 500 characters"),
        ("prediction_id,ill\n42,yes\n", "row 1, column 'prediction_id': is no prediction id. Copy it as the API"),
        ("prediction_id,ill\n1b4e28ba-2fa1-41d2-883f-0016d3cca427,yes\n", "is no prediction id"),
        ("id,ill\np1,yes\np2,no\np1,no\n", "row 3, column 'ill': contradicts row 1: both are of p1. Keep the one"),
        ("id,ill\np1,yes,more\n", "row 1: has 3 fields, the header 2."),
        ("id,ill\n", "holds a header but no rows"),
        ("", "is empty"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused_by_name(tmp_path: Path, data: str, says: str) -> None:
    store = memory_store()
    with pytest.raises(DataError) as caught:
        land(store, tmp_path, data)
    assert str(caught.value).startswith(str(tmp_path / "truth.csv"))
    assert says in str(caught.value)
    assert caught.value.remedy and "\n" not in str(caught.value)
    assert not list(store.list(""))


@pytest.mark.parametrize(
    ("cell", "says"), [("ten", "is not a number"), ("inf", "is not a finite number"), ("", "is m")]
)
def test_a_value_of_the_wrong_type_is_refused(tmp_path: Path, cell: str, says: str) -> None:
    with pytest.raises(DataError, match=f"row 2, column 'cost': {says}"):
        land(memory_store(), tmp_path, f"prediction_id,cost\n{ONE},1\n{TWO},{cell}\n", COST)


def test_where_the_spec_declares_no_classes_those_of_the_champion_are_known(tmp_path: Path) -> None:
    store = memory_store()
    manifest, files = version()
    spec = manifest.spec
    free = land(store, tmp_path, f"prediction_id,Churn\n{ONE},anything\n", spec)
    assert stored(store, free)[0]["truth"] == "anything"
    registry = Registry(store)
    registry.publish(manifest, files)
    registry.promote(spec.name, manifest.version, op_id="one", actor="test", reason="", now=at(0))
    with pytest.raises(DataError, match=r"is not one of the declared values\. The model knows '0', '1'"):
        land(store, tmp_path, f"prediction_id,Churn\n{TWO},anything\n", spec)
    assert stored(store, land(store, tmp_path, f"prediction_id,Churn\n{TWO},1.0\n", spec))[0]["truth"] == "1"
