"""Decide once how a file is scored: by which version of the model, written how, in which parts."""

from __future__ import annotations

from perennial.errors import DataError, NotFoundError, PerennialError
from perennial.scoring.batch.bench import Bench, Shift
from perennial.scoring.batch.intake import GONE, Order
from perennial.scoring.dialect import sniff
from perennial.scoring.plan import plan_parts
from perennial.scoring.results import Dialect
from perennial.scoring.scorer import Scorer
from perennial.serving.batch_job import SPARK_BYTES, BatchOptions, BatchPlan, OutputFormat
from perennial.serving.champion import read_champion
from perennial.serving.predictor import Predictor

SCAN_BYTES = 25_000_000
"""Bytes a second that planning reads at the least; it counts the rows of what is to be cut in parts."""
SPARE_SECONDS = 20.0
"""What is left for all that does not grow with a file."""


class Unscorable(Exception):
    """A file that no repetition would score. Carries the version that was champion, where there was one."""

    def __init__(self, reason: str, version: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.version = reason, version


def plan_order(bench: Bench, order: Order, shift: Shift, predictor: Predictor | None = None) -> BatchPlan:
    """How an order is to be carried out: by ``predictor`` whatever its size, or by the champion of this moment.

    Raises:
        Unscorable: the file cannot be read or lacks a column, it is too large, or the model has no champion.
        OutOfTime: the shift is too short to look through it.
        IntegrityError: the champion cannot be verified.
        StoreUnavailable: S3 does not answer.
    """
    if order.refused:
        raise Unscorable(order.refused)
    shift.has(SPARE_SECONDS + order.input.size / SCAN_BYTES)
    if predictor is None:
        predictor = _champion(bench, order.model)
        _refuse_large(order, predictor)
    try:
        return _planned(bench, order, predictor)
    except (DataError, NotFoundError) as error:  # a source that is gone, too
        raise Unscorable(reason_of(error), predictor.manifest.version) from error


def reason_of(error: PerennialError) -> str:
    """Why a file cannot be read, for who put it: where it is gone, the error names a key, which says them nothing."""
    return GONE if isinstance(error, NotFoundError) else str(error)


def _champion(bench: Bench, model: str) -> Predictor:
    try:
        champion = read_champion(bench.store, model)
    except NotFoundError as error:
        raise Unscorable(
            f"The model {model} has no champion yet, or does not exist. Train and promote it, then put the file again."
        ) from error
    return bench.models.get(model, champion.entry.version)


def _refuse_large(order: Order, predictor: Predictor) -> None:
    version = predictor.manifest.version
    if order.input.size >= SPARK_BYTES and predictor.manifest.pixels is not None:
        raise Unscorable(
            f"It has {order.input.size / 1e9:.1f} GB, and pictures are scored from files below {SPARK_BYTES / 1e9:.0f} "
            "GB. Split it into several.",
            version,
        )
    if order.input.size >= SPARK_BYTES:
        raise Unscorable(
            f"It has {order.input.size / 1e9:.1f} GB, and functions score files below {SPARK_BYTES / 1e9:.0f} GB. "
            "Score it with Spark: put it under batch.source of the model's spec, and name a schedule.",
            version,
        )


def _planned(bench: Bench, order: Order, predictor: Predictor) -> BatchPlan:
    spec = predictor.manifest.spec
    options = order.options or BatchOptions(output=spec.batch.output, keep=spec.batch.keep)
    source = bench.source(order.input, order.name)
    dialect = sniff(source, spec)
    Scorer(predictor, names=dialect.columns, keep=options.keep, file=order.name)  # what it lacks is said now, once
    dialect, parts = plan_parts(source, dialect, bench.part_bytes)
    return BatchPlan(
        model=order.model,
        version=predictor.manifest.version,
        input=order.input,
        name=order.name,
        options=options,
        output=_output(options, dialect),
        dialect=dialect.model_dump_json(),
        parts=parts,
        created=bench.now(),
    )


def _output(options: BatchOptions, dialect: Dialect) -> OutputFormat:
    return options.output or ("parquet" if dialect.format == "parquet" else "csv")
