"""Scoring where one machine is too small: the rows of any frame of Spark through the same scorer, on its workers.

``score_frame`` is for people who have a frame; whole files in S3 are the affair of :mod:`perennial.scoring.spark_job`.
PySpark is imported when first needed, and only what Spark 3.5 and Spark 4 both have is used of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from perennial import keys
from perennial.datasets.reading import Header, RawFile
from perennial.errors import DataError
from perennial.registry.manifest import MODEL_FILE, ModelManifest
from perennial.registry.verify import read_file, read_manifest
from perennial.scoring.layout import PREDICTION, PROBABILITY, ROW, VERSION
from perennial.scoring.results import Unit
from perennial.scoring.scorer import Scorer
from perennial.serving.champion import read_champion
from perennial.serving.predictor import Predictor
from perennial.store import Store

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

REFUSED = "refused"
ATTEMPTS = 3
"""How often a task is tried here before the whole job fails; EMR tries four times."""
_LOCAL = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.log.level": "OFF",  # what fails is told by the error that is raised
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
_LOADED: dict[str, Predictor] = {}
"""The versions that this worker runs: Spark keeps its Python processes from one task to the next."""


def session(name: str, *, cores: int | None = None) -> SparkSession:
    """The session of a job: as ``spark-submit`` set it up, else one in this process and ``cores`` of this machine."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName(name)
    if "PYSPARK_GATEWAY_PORT" in os.environ:  # by spark-submit, which says where and with what
        return builder.getOrCreate()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # the setting of that name is not heeded
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    for key, value in _LOCAL.items():
        builder = builder.config(key, value)
    return builder.master(f"local[{cores or '*'},{ATTEMPTS}]").getOrCreate()


def score_frame(df: DataFrame, store: Store, model: str, version: str | None = None) -> DataFrame:
    """Every row of ``df`` with what the model says of it; in the same order, where the frame has one.

    The frame's columns come back as they are, and behind them ``prediction``, one ``probability_<class>`` a class,
    ``model_version`` and ``refused``. A row that the model cannot score has nulls there, and in ``refused`` the column
    and the reason; it is null for all others. Like any frame it is computed when it is used, and then anew each time.

    Args:
        df: has the columns that the spec names, of any type that stands for a single value.
        store: the bucket of the registry; it is read here, and by no worker.
        version: of the model; None is the champion.

    Raises:
        DataError: the model takes pictures, or a column is missing, stands there twice, or has the name of one that is
            added.
        NotFoundError: the model, its champion or the version does not exist.
        IntegrityError: the version cannot be verified.
        StoreUnavailable: S3 does not answer.
    """
    manifest = read_manifest(store, model, version or read_champion(store, model).entry.version)
    refuse_pictures(manifest)
    from pyspark.sql.types import DoubleType, StringType, StructField, StructType

    graph = read_file(store, manifest, MODEL_FILE)
    names = tuple(name.strip() for name in df.columns)
    scorer = Scorer(Predictor(manifest, graph), names=names, file="The frame")
    added = [scorer.schema.field(name) for name in _answers(manifest)]
    taken = {name.lower() for name in names}  # Spark does not tell cases apart
    for name in (*_answers(manifest), REFUSED):
        if name.lower() in taken:
            raise DataError(
                "has the name of a column that scoring adds.", file="The frame", column=name,
                remedy=f"Rename it: df.withColumnRenamed('{name}', ...).",
            )  # fmt: skip
    fields = [StructField(one.name, DoubleType() if one.type == pa.float64() else StringType()) for one in added]
    schema = StructType([*df.schema.fields, *fields, StructField(REFUSED, StringType())])
    broadcast = df.sparkSession.sparkContext.broadcast((manifest.model_dump_json(), graph))

    def answered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        predictor = _predictor(manifest.version, *broadcast.value)
        there = Scorer(predictor, names=names)
        return (answer(there, batch, _answers(predictor.manifest)) for batch in batches)

    return df.mapInArrow(answered, schema)


def refuse_pictures(manifest: ModelManifest) -> None:
    """Raises DataError where a model takes pictures: a frame has none, and functions score files of them."""
    if manifest.pixels is not None:
        raise DataError(
            f"{manifest.model} takes pictures, and Spark scores tables.",
            remedy=f"Put a zip or a listing of them under {keys.batch_in(manifest.model)}.",
        )


def answer(scorer: Scorer, batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """The batch, and beside it the columns ``names`` of the scorer's answer and the reasons, row for row."""
    block = scorer.score(Unit(lambda: _raw(batch), batch.num_rows))
    places = np.zeros(batch.num_rows, np.int64)
    there = np.zeros(batch.num_rows, np.bool_)
    scored = block.table.column(ROW).to_numpy() - 1
    places[scored], there[scored] = np.arange(len(scored)), True
    take = pa.array(places, mask=~there)
    added = [block.table.column(name).combine_chunks().take(take) for name in names]
    reasons: list[str | None] = [None] * batch.num_rows
    for one in block.refused:
        reasons[one.row - 1] = f"{one.column}: {one.reason}" if one.column else f"The row {one.reason}"
    arrays = [*batch.columns, *added, pa.array(reasons, pa.string())]
    return pa.RecordBatch.from_arrays(arrays, names=[*batch.schema.names, *names, REFUSED])


def _answers(manifest: ModelManifest) -> tuple[str, ...]:
    return (PREDICTION, *(PROBABILITY + name for name in manifest.classes), VERSION)


def _raw(batch: pa.RecordBatch) -> RawFile:
    names = tuple(name.strip() for name in batch.schema.names)
    columns = dict(zip(names, batch.columns, strict=True))
    return RawFile("The frame", Header(names), columns, np.arange(1, batch.num_rows + 1, dtype=np.int64))


def _predictor(version: str, manifest: str, graph: bytes) -> Predictor:
    if version not in _LOADED:
        _LOADED.clear()
        _LOADED[version] = Predictor(ModelManifest.model_validate_json(manifest), graph)
    return _LOADED[version]
