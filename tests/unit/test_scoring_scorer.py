"""Units through the scorer: the answers of the endpoint, to the bit, and each refused row with its reason."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from perennial.datasets.reading import Header, Malformed, RawFile
from perennial.errors import DataError
from perennial.scoring.dialect import sniff
from perennial.scoring.refusals import MAX_CELL, MAX_RECORD
from perennial.scoring.results import ScoredBlock, Unit
from perennial.scoring.scorer import RUN_ROWS, Scorer
from perennial.scoring.units import units
from perennial.serving.predictor import Predictor
from tests.support.models import MIXED, MIXED_RECORD, build, make_spec
from tests.support.sources import BytesSource

COLUMNS: dict[str, list[str | None]] = {
    "Age": ["33", "34", "9", "x"],
    "CGPA": ["8.97", "", "7", "1"],
    "Sleep Duration": ["5-6 hours", " 7-8 hours", "5-6 hours", "never"],
    "City": ["Pune", "Rome", "Goa", "Goa"],
    "Since": ["2026-11-21", "", "2020-02-29T08:30", "soon"],
}
NAMES = tuple(COLUMNS)


def predictor(task: str = "multiclass", *, scale: float = 1.0, **changes: Any) -> Predictor:
    spec = make_spec("mixed", task, MIXED)
    built = build(spec.model_copy(update=changes), scale=scale)
    return Predictor(built.manifest, built.onnx)


def unit(columns: dict[str, Any], malformed: tuple[Malformed, ...] = ()) -> Unit:
    arrays = {
        name: cells if isinstance(cells, pa.Array) else pa.array(cells, pa.string()) for name, cells in columns.items()
    }
    total = len(next(iter(arrays.values()))) + len(malformed)
    rows = np.setdiff1d(np.arange(1, total + 1), [one.row for one in malformed])
    return Unit(lambda: RawFile("a.csv", Header(tuple(columns)), arrays, rows, malformed), end=7)


def score(model: Predictor, columns: dict[str, Any], *, keep: Any = False, **more: Any) -> ScoredBlock:
    block = Scorer(model, names=tuple(columns), keep=keep).score(unit(columns, **more))
    assert block.rows == block.table.num_rows + len(block.refused)
    return block


def test_a_refused_row_is_shown_as_it_stands_in_the_file_whatever_its_unit_holds() -> None:
    spec = make_spec("mixed", "binary", MIXED)
    row = '33,"7.50",5-6 hours,Nowhere,soon\n'
    found = []
    for other in ("", '34,"x",5-6 hours,Pune,\n'):  # which leaves all of its block as text
        source = BytesSource((",".join(NAMES) + "\n" + row + other).encode())
        dialect = sniff(source, spec)
        scorer = Scorer(predictor("binary"), names=dialect.names)
        found += [block.refused[0] for block in map(scorer.score, units(source, dialect, spec))]
    assert json.loads(found[0].record)["CGPA"] == "7.50"
    assert found[0] == found[1]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_answers_are_those_of_the_endpoint(task: str) -> None:
    model = predictor(task)
    ages = [str(10 + i % 90) for i in range(RUN_ROWS + 77)]
    block = score(model, {name: ages if name == "Age" else [str(MIXED_RECORD[name])] * len(ages) for name in NAMES})
    sample = [0, 1, 89, RUN_ROWS - 1, RUN_ROWS, RUN_ROWS + 76]
    told = model.predict([model.schema.validate({**MIXED_RECORD, "Age": int(ages[i])}) for i in sample])
    rows = block.table.take(sample).to_pylist()
    assert [row["prediction"] for row in rows] == [one.prediction for one in told]
    for row, one in zip(rows, told, strict=True):
        assert {name: row[f"probability_{name}"] for name in one.probabilities or {}} == (one.probabilities or {})
        assert row["model_version"] == model.manifest.version
    assert block.table.column("row").to_pylist() == list(range(1, len(ages) + 1))
    assert block.end == 7


def test_rows_that_do_not_fit_are_refused_and_the_rest_is_scored() -> None:
    model = predictor("binary")
    block = score(model, COLUMNS, malformed=(Malformed(2, 3, "a,b,c"),))
    assert block.table.column("row").to_pylist() == [1, 3]
    assert [(one.row, one.column, one.reason) for one in block.refused] == [
        (2, None, "has 3 fields, the header 5"),
        (4, "Age", "is below the minimum 10"),
        (5, "Age", "is not a number"),
    ]
    assert json.loads(block.refused[0].record) == "a,b,c"
    assert json.loads(block.refused[1].record) == {name: cells[2] for name, cells in COLUMNS.items()}
    alone = score(model, {name: cells[:2] for name, cells in COLUMNS.items()})
    assert block.table.drop(["row"]).equals(alone.table.drop(["row"]))


def test_the_schema_is_the_same_whatever_a_unit_holds() -> None:
    model = predictor(id="who")
    scorer = Scorer(model, names=("who", *NAMES), keep=True)
    typed = {
        "who": pa.array([7, None]), "Age": pa.array([33, 5]), "CGPA": pa.array([None, 1.5]),
        "Sleep Duration": pa.array(["5-6 hours"] * 2).dictionary_encode(), "City": pa.array(["Goa", None]),
        "Since": pa.array([0, None], pa.timestamp("us")),
    }  # fmt: skip
    one, other = scorer.score(unit({"who": ["a", " b", "c", ""], **COLUMNS})), scorer.score(unit(typed))
    assert one.table.schema == other.table.schema == scorer.schema
    assert other.table.column("who").to_pylist() == ["7"]
    assert other.table.select(NAMES).to_pylist() == [
        {"Age": 33.0, "CGPA": None, "Sleep Duration": "5-6 hours", "City": "Goa", "Since": "1970-01-01 00:00:00.000000"}
    ]
    assert [row["CGPA"] for row in one.table.to_pylist()] == [8.97, None]


def test_columns_of_the_input_never_stand_for_ours() -> None:
    columns = {**COLUMNS, "prediction": list("abcd"), "row": list("wxyz"), "input.row": list("1234")}
    table = score(predictor("regression"), columns, keep=["row", "input.row", "prediction", "City"]).table
    assert table.schema.names == [
        "row", "input.input.row", "input.row", "input.prediction", "City", "prediction", "model_version",
    ]  # fmt: skip
    first = table.slice(0, 1).to_pylist()[0]
    assert (first["input.input.row"], first["input.row"], first["input.prediction"]) == ("w", "1", "a")


def test_a_row_the_model_overflows_on_is_refused() -> None:
    columns = {**COLUMNS, "Age": ["33"] * 4, "CGPA": ["1", "1e308", "-1e308", "2"], "Sleep Duration": ["5-6 hours"] * 4,
               "Since": [""] * 4}  # fmt: skip
    block = score(predictor("regression", scale=1e6), columns)
    assert block.table.column("row").to_pylist() == [1, 4]
    assert [(one.row, one.column) for one in block.refused] == [(2, None), (3, None)]
    assert "no finite answer" in block.refused[0].reason


def test_nested_cells_come_back_as_json_and_texts_as_they_stand() -> None:
    tags = pa.array([{"a": [1, None], "b": "é"}, None])
    city = pa.array([" Pune ", " Pune "]).dictionary_encode()
    given = {name: cells[:2] for name, cells in COLUMNS.items()} | {"Age": ["33", "3"], "City": city, "tags": tags}
    block = score(predictor(), given, keep=["tags", "City"])
    assert block.table.select(["tags", "City"]).to_pylist() == [{"tags": '{"a":[1,null],"b":"é"}', "City": " Pune "}]
    (young,) = block.refused
    assert json.loads(young.record)["City"] == " Pune "


def test_a_record_is_cut_to_a_stated_length_and_stays_json() -> None:
    long = {**COLUMNS, **{f"extra {i}": ["ä" * 5000] * 4 for i in range(50)}}
    record = score(predictor(), long).refused[0].record
    assert len(record) < MAX_RECORD + 100
    told = json.loads(record)
    assert len(told["extra 0"]) == MAX_CELL and told["…"].endswith("more columns")
    assert list(told)[: len(NAMES)] == list(NAMES)


def test_what_is_unusual_of_the_columns_is_said() -> None:
    model = predictor(id="who")
    assert Scorer(model, names=("who", "target", *NAMES)).warnings == ()
    names = ("Age", "Sleep Duration", "City", "x", "y", "y", "")
    assert Scorer(model, names=names).warnings == (
        "Columns 'CGPA', 'Since' are not in the file, and scored as missing.",
        "Columns 'x', 'y' are no part of the model, and ignored.",
        "Column 'y' is more than once in the file; all but one of them are ignored.",
    )
    assert "ignored" not in " ".join(Scorer(model, names=("x", *NAMES), keep=True).warnings)


def test_an_optional_column_that_is_not_there_is_scored_as_missing() -> None:
    model = predictor()
    without = score(model, {name: cells[:1] for name, cells in COLUMNS.items() if name not in ("CGPA", "Since")})
    empty = score(model, {**{name: cells[:1] for name, cells in COLUMNS.items()}, "CGPA": [""], "Since": ["NA"]})
    assert without.table.equals(empty.table)


@pytest.mark.parametrize(
    ("names", "keep", "words"),
    [
        (("age", *NAMES[1:]), False, "a.csv, column 'Age': is in the spec but not in the file. Did you mean 'age'?"),
        (
            tuple(name for name in NAMES if name != "City"),
            False,
            "'City': is in the spec but not in the file. The",
        ),
        (("Age", *NAMES), False, "a.csv, column 'Age': appears more than once"),
        (NAMES, ["Sity"], "a.csv, column 'Sity': is to be kept but not in the file."),
        (("x", "x", *NAMES), ["x"], "a.csv, column 'x': appears more than once"),
    ],
)
def test_columns_that_make_no_sense_are_named(names: tuple[str, ...], keep: Any, words: str) -> None:
    with pytest.raises(DataError) as raised:
        Scorer(predictor(), names=names, keep=keep, file="a.csv")
    assert words in str(raised.value)


def test_all_columns_of_a_file_with_copies_can_be_kept() -> None:
    scorer = Scorer(predictor(), names=("x", "x", *NAMES), keep=True)
    assert scorer.schema.names[1:3] == ["x", "Age"]
