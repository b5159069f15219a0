"""Blocks come in order and numbered, few at a time, and no thread outlives the stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from perennial.datasets.reading import Header, RawFile
from perennial.errors import DataError
from perennial.scoring.results import Unit
from perennial.scoring.scorer import Scorer
from perennial.scoring.stream import AHEAD, score_units
from perennial.serving.predictor import Predictor
from tests.support.models import MEASURES, build


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    built = build()
    return Scorer(Predictor(built.manifest, built.onnx), names=MEASURES)


def unit(cells: list[str], end: int = 0, *, slow: float = 0.0, error: DataError | None = None) -> Unit:
    def read() -> RawFile:
        time.sleep(slow)
        if error is not None:
            raise error
        columns = {name: pa.array(cells) for name in MEASURES}
        return RawFile("a.csv", Header(MEASURES), columns, np.arange(1, len(cells) + 1, dtype=np.int64))

    return Unit(read, end)


def scoring() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("score")]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_blocks_come_in_the_order_of_the_units_and_rows_are_numbered_through(scorer: Scorer, threads: int) -> None:
    units = [unit(["1", "x", "2"][: 1 + i % 3], end=i, slow=0.02 if i % 4 == 0 else 0) for i in range(12)]
    blocks = list(score_units(scorer, units, first=100, threads=threads))
    assert [block.end for block in blocks] == list(range(12))
    scored = [row for block in blocks for row in block.table.column("row").to_pylist()]
    refused = [one.row for block in blocks for one in block.refused]
    assert sorted(scored + refused) == list(range(101, 125))
    assert refused == [103, 105, 109, 111, 115, 117, 121, 123]
    assert all(block.table.schema == scorer.schema for block in blocks)
    assert not scoring()


def test_only_a_few_units_are_taken_ahead(scorer: Scorer) -> None:
    taken = 0

    def units() -> Iterator[Unit]:
        nonlocal taken
        for _ in range(50):
            taken += 1
            yield unit(["1"])

    for given, _ in enumerate(score_units(scorer, units(), threads=2)):
        assert taken <= given + 2 + AHEAD


def test_an_error_of_a_unit_ends_the_stream_after_what_stands_before_it(scorer: Scorer) -> None:
    broken = DataError("has a quote that never closes.", file="a.csv")
    units = [unit(["1"]), unit(["1"], slow=0.05), unit([], error=broken), *[unit(["1"], slow=0.05)] * 20]
    rows = 0
    with pytest.raises(DataError, match="never closes"):
        for block in score_units(scorer, units, threads=2):
            rows += block.rows
    assert rows == 2
    assert not scoring()


def test_an_error_of_reading_the_next_unit_ends_it_too(scorer: Scorer) -> None:
    def units() -> Iterator[Unit]:
        yield unit(["1"])
        raise DataError("is cut off.", file="a.csv")

    with pytest.raises(DataError, match="cut off"):
        list(score_units(scorer, units()))
    assert not scoring()


def test_closing_early_ends_the_threads(scorer: Scorer) -> None:
    blocks = score_units(scorer, (unit(["1"], slow=0.01) for _ in range(1000)), threads=2)
    next(blocks)
    assert scoring()
    blocks.close()  # type: ignore[attr-defined]
    assert not scoring()


def test_no_units_are_no_blocks(scorer: Scorer) -> None:
    assert list(score_units(scorer, [])) == []
