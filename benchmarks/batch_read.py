"""A process that only reads a CSV file: `python -m benchmarks.batch_read checked|typed|arrow FILE THREADS MODEL`.

``checked`` is the process of `perennial score` as far as it reads: the command, the model out of S3, and by our reader
bytes, blocks, typed cells, each checked against the spec, and the matrix the model takes; no graph is run, and nothing
is written. ``typed`` is our reader alone: it knows the spec, loads no model, and stops at typed cells. ``arrow`` is
Arrow's own stream of batches by the same types, in which nothing is checked. Prints the rows.
"""

from __future__ import annotations

import sys
from pathlib import Path

from perennial.spec import CategoryFeature, ModelSpec


def main(mode: str, file: Path, threads: int, model: str) -> int:
    if mode == "checked":
        return _checked(file, threads, model)
    from benchmarks.mixed_spec import make_spec

    return _arrow(file, make_spec()) if mode == "arrow" else _typed(file, make_spec(), threads)


def _checked(file: Path, threads: int, model: str) -> int:
    import perennial.cli  # noqa: F401  # what the command imports is part of it
    from perennial.registry.registry import Registry
    from perennial.scoring.columns import encode_columns
    from perennial.scoring.dialect import sniff
    from perennial.scoring.scorer import Scorer
    from perennial.scoring.source import LocalSource
    from perennial.scoring.stream import in_order
    from perennial.scoring.units import units
    from perennial.serving.load import load
    from perennial.settings import Settings
    from perennial.store_opening import open_store

    store, source = open_store(Settings.load()), LocalSource(file)
    head = Registry(store).head(model)
    assert head is not None
    predictor = load(store, model, head.version)
    spec = predictor.manifest.spec
    dialect = sniff(source, spec)
    Scorer(predictor, names=dialect.names)
    read = units(source, dialect, spec)
    return sum(in_order(lambda unit: len(encode_columns(unit.read(), spec).x), read, threads=threads))


def _typed(file: Path, spec: ModelSpec, threads: int) -> int:
    from perennial.scoring.dialect import sniff
    from perennial.scoring.source import LocalSource
    from perennial.scoring.stream import in_order
    from perennial.scoring.units import units

    source = LocalSource(file)
    read = units(source, sniff(source, spec), spec)
    return sum(in_order(lambda unit: len(unit.read().rows), read, threads=threads))


def _arrow(file: Path, spec: ModelSpec) -> int:
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    word = pa.dictionary(pa.int32(), pa.string())
    types = {name: word if isinstance(each, CategoryFeature) else pa.float64() for name, each in spec.features.items()}
    stream = pa_csv.open_csv(file, convert_options=pa_csv.ConvertOptions(column_types=types))
    return sum(batch.num_rows for batch in stream)


if __name__ == "__main__":
    print(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
