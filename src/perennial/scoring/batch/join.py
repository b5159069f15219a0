"""The pieces of a file, one after the other, become its two results."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow.parquet as pq

from perennial import keys
from perennial.scoring.batch.bench import Bench
from perennial.scoring.batch.rows import QUARANTINED, SCORED, Pair
from perennial.scoring.source import ObjectSource, SourceFile, chunks
from perennial.scoring.writing import writer_of
from perennial.serving.batch_job import BatchPlan, BatchScored


def join_pieces(bench: Bench, plan: BatchPlan, work: str, scored: list[BatchScored], pair: Pair) -> None:
    """Write the pieces of ``plan`` into ``pair`` and commit it; ``scored`` says what came of each part, in order.

    Raises:
        NotFoundError: a piece is gone.
        StoreUnavailable: S3 does not answer.
    """
    rows = [_piece(bench, plan, work, number, SCORED) for number in range(len(scored))]
    if plan.output == "parquet":
        _join_parquet(rows, pair)
    else:
        for piece in rows:
            for chunk in chunks(piece):
                pair.scored.write(chunk)
    refused = [number for number, one in enumerate(scored) if one.counts.quarantined]
    for place, number in enumerate(refused):
        for chunk in _after_header(_piece(bench, plan, work, number, QUARANTINED), skip=place > 0):
            pair.quarantined.write(chunk)
    pair.commit(quarantined=len(refused))


def _piece(bench: Bench, plan: BatchPlan, work: str, number: int, name: str) -> ObjectSource:
    key = keys.batch_piece(plan.model, work, number, name)
    head = bench.store.head(key)
    return ObjectSource(bench.store, key, head.size, head.etag, head.version, key)


def _join_parquet(pieces: list[ObjectSource], pair: Pair) -> None:
    """Row group by row group, so that none of the pieces is in memory whole."""
    writer = None
    for piece in pieces:
        with pq.ParquetFile(SourceFile(piece)) as file:
            writer = writer or writer_of("parquet", pair.scored, file.schema_arrow)
            for group in range(file.num_row_groups):
                writer.write(file.read_row_group(group, use_threads=False))
    if writer is not None:
        writer.close()


def _after_header(piece: ObjectSource, *, skip: bool) -> Iterator[bytes]:
    """The bytes of a piece, without its first line where that stands in the file already."""
    for chunk in chunks(piece):
        if skip:
            chunk, skip = chunk.partition(b"\n")[2], False
        yield chunk
