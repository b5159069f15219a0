"""A process that only reads a CSV file: `python -m benchmarks.batch_read parsed|checked|arrow FILE SPEC THREADS`.

``checked`` is our reader as the scorer uses it: bytes, blocks, typed cells, each cell checked against the spec, and the
matrix the model would take. ``parsed`` stops at typed cells. ``arrow`` is Arrow's own stream of batches, by the same
types, where nothing is checked. SPEC is a model's spec as JSON. Prints the rows.
"""

from __future__ import annotations

import sys
from pathlib import Path

from perennial.spec import CategoryFeature, ModelSpec


def main(mode: str, file: Path, spec: ModelSpec, threads: int) -> int:
    return _arrow(file, spec) if mode == "arrow" else _ours(file, spec, threads, checked=mode == "checked")


def _ours(file: Path, spec: ModelSpec, threads: int, *, checked: bool) -> int:
    from perennial.scoring.columns import encode_columns
    from perennial.scoring.dialect import sniff
    from perennial.scoring.results import Unit
    from perennial.scoring.source import LocalSource
    from perennial.scoring.stream import in_order
    from perennial.scoring.units import units

    def read(unit: Unit) -> int:
        raw = unit.read()
        return len(encode_columns(raw, spec).x) if checked else len(raw.rows)

    source = LocalSource(file)
    return sum(in_order(read, units(source, sniff(source, spec), spec), threads=threads))


def _arrow(file: Path, spec: ModelSpec) -> int:
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    word = pa.dictionary(pa.int32(), pa.string())
    types = {name: word if isinstance(each, CategoryFeature) else pa.float64() for name, each in spec.features.items()}
    stream = pa_csv.open_csv(file, convert_options=pa_csv.ConvertOptions(column_types=types))
    return sum(batch.num_rows for batch in stream)


if __name__ == "__main__":
    print(main(sys.argv[1], Path(sys.argv[2]), ModelSpec.model_validate_json(Path(sys.argv[3]).read_bytes()),
               int(sys.argv[4])))  # fmt: skip
