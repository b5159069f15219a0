"""Small specs and files for tests of datasets, and a store that dies at a chosen write."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from obstore.store import MemoryStore

from perennial.errors import StoreUnavailable
from perennial.spec import ModelSpec
from perennial.store import Store
from perennial.store_objects import Served

FEATURES: dict[str, Any] = {
    "age": {"type": "number", "min": 0, "max": 120, "integer": True},
    "score": {"type": "number", "min": -1, "max": 1, "missing": True},
    "colour": {"type": "category", "values": ["red", "green", "1"]},
    "town": {"type": "category", "values": ["Rome", "none"], "unknown": "encode", "missing": True},
}


def make_spec(**changes: Any) -> ModelSpec:
    """A binary spec over FEATURES; keywords replace its keys."""
    said: dict[str, Any] = {
        "name": "people",
        "task": "binary",
        "target": {"column": "ill", "positive": "yes"},
        "features": FEATURES,
        "candidates": {"linear": {"estimator": "sklearn.linear_model.LogisticRegression"}},
    }
    return ModelSpec.model_validate({**said, **changes})


def people_csv(rows: int, start: int = 0, *, header: str = "id,age,score,colour,town,ill") -> bytes:
    """A valid file: every row different, a third of them ill."""
    lines = [header]
    for i in range(start, start + rows):
        colour = ("red", "green", "1.0")[i % 3]
        score = "" if i % 5 == 0 else f"{(i % 19) / 20 - 0.4:.2f}"
        lines.append(f"p{i},{i % 90},{score},{colour},town{i},{'yes' if i % 3 == 0 else 'no'}")
    return ("\n".join(lines) + "\n").encode()


def parquet_bytes(columns: dict[str, Any]) -> bytes:
    """A Parquet file of the given columns."""
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


class DyingStore(Store):
    """A store whose process dies at write number ``deaths_at`` (0-based), before or after it took effect."""

    def __init__(self, raw: MemoryStore, deaths_at: int, *, landed: bool) -> None:
        super().__init__(raw)
        self._left, self._landed = deaths_at, landed

    def put_new(self, key: str, data: bytes, *, served: Served | None = None) -> str:
        self._left -= 1
        if self._left >= 0:
            return super().put_new(key, data, served=served)
        if self._left == -1 and self._landed:
            super().put_new(key, data, served=served)
        raise StoreUnavailable(f"{key}: the process died here.")
