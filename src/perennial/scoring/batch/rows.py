"""Rows of a planned file through the scorer, into two new objects: those that were scored, and those that were not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perennial import keys
from perennial.scoring.batch.bench import Bench
from perennial.scoring.batch.folder import in_folder
from perennial.scoring.batch.outputs import MEDIA_TYPES, Outgoing
from perennial.scoring.batch.progress import Reporter
from perennial.scoring.files import score_file
from perennial.scoring.results import Dialect, Summary
from perennial.scoring.scorer import Scorer
from perennial.scoring.writing import CsvWriter, QuarantineWriter, RowWriter, writer_of
from perennial.serving.batch_job import BatchPart, BatchPlan, uploaded_job

if TYPE_CHECKING:
    from perennial.scoring.pictures.places import BucketPlaces

SCORED, QUARANTINED = "scored", "quarantined"
PREVIEW_ROWS = 10


@dataclass(frozen=True)
class Pair:
    """The two objects that rows go to."""

    scored: Outgoing
    quarantined: Outgoing

    def commit(self, *, quarantined: int) -> None:
        """Create them; the second only where rows were refused. Raises StoreUnavailable."""
        if quarantined:
            self.quarantined.commit()
        else:
            self.quarantined.discard()
        self.scored.commit()


def results_of(plan: BatchPlan, work: str) -> tuple[str, str]:
    """The keys of the two results: the rows that were scored, and those that were not."""
    return (
        keys.batch_out(plan.model, plan.name, plan.version, work, plan.output),
        keys.batch_quarantine(plan.model, plan.name, plan.version, work),
    )


@contextmanager
def outputs(bench: Bench, plan: BatchPlan, work: str) -> Iterator[Pair]:
    """The results of a file. What was not committed when the block is left leaves nothing behind."""
    with _pair(bench, plan, *results_of(plan, work)) as pair:
        yield pair


@contextmanager
def pieces(bench: Bench, plan: BatchPlan, work: str, number: int) -> Iterator[Pair]:
    """The rows of one part, until they are joined, or in their place in the folder of a huge file."""
    if in_folder(plan):
        scored, quarantined = (keys.batch_folder_part(key, number) for key in results_of(plan, work))
    else:
        scored, quarantined = (keys.batch_piece(plan.model, work, number, name) for name in (SCORED, QUARANTINED))
    with _pair(bench, plan, scored, quarantined) as pair:
        yield pair


@contextmanager
def _pair(bench: Bench, plan: BatchPlan, scored: str, quarantined: str) -> Iterator[Pair]:
    pair = Pair(bench.outgoing(scored, MEDIA_TYPES[plan.output]), bench.outgoing(quarantined, MEDIA_TYPES["csv"]))
    try:
        yield pair
    finally:
        pair.scored.discard()
        pair.quarantined.discard()


def score_rows(bench: Bench, plan: BatchPlan, pair: Pair, reporter: Reporter, part: BatchPart | None) -> Summary:
    """Score the whole file, or a part of it, and commit what came of it.

    Raises:
        DataError: the file cannot be read on.
        NotFoundError: the file is gone.
        IntegrityError: the model cannot be verified, or rows were lost.
        StoreUnavailable: S3 does not answer.
        Overtaken: another writer is done with it.
    """
    predictor = bench.models.get(plan.model, plan.version)
    dialect = Dialect.model_validate_json(plan.dialect)
    scorer = Scorer(predictor, names=dialect.columns, keep=plan.options.keep, file=plan.name)
    writer = _writer(plan, pair, scorer, part)
    refused = QuarantineWriter(pair.quarantined)
    summary = score_file(
        scorer,
        bench.source(plan.input, plan.name),
        dialect,
        writer,
        refused,
        part=part,
        progress=reporter.scored,
        preview_rows=PREVIEW_ROWS,
        places=_places(bench, plan) if dialect.column else None,
    )
    writer.close()
    refused.close()
    pair.commit(quarantined=summary.counts.quarantined)
    return summary


def _places(bench: Bench, plan: BatchPlan) -> BucketPlaces:
    """Where the pictures of a listing are. Who may upload through the API has no key to the bucket, and gets none."""
    from perennial.scoring.pictures.places import BucketPlaces  # Pillow is imported where there are pictures

    return BucketPlaces(
        bench.store_of,
        bench.bucket,
        plan.model,
        plan.input.bucket,
        folder=plan.input.key[: plan.input.key.rfind("/") + 1],
        digests_only=plan.input.bucket == bench.bucket and uploaded_job(plan.model, plan.input.key) is not None,
    )


def _writer(plan: BatchPlan, pair: Pair, scorer: Scorer, part: BatchPart | None) -> RowWriter:
    """The first piece of a CSV file has the header that the whole of it is to have; of a folder, each file has it."""
    if plan.output == "csv":
        header = part is None or part.number == 0 or in_folder(plan)
        return CsvWriter(pair.scored, scorer.schema, header=header)
    return writer_of(plan.output, pair.scored, scorer.schema)
