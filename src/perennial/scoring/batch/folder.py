"""The results of a huge file: folders of parts, each of them written once and for all, instead of two joined files."""

from __future__ import annotations

from perennial import keys
from perennial.scoring.batch.bench import Bench
from perennial.scoring.batch.outputs import MEDIA_TYPES
from perennial.serving.batch_job import SPARK_BYTES, BatchOutput, BatchPlan


def in_folder(plan: BatchPlan) -> bool:
    """Whether the parts of the results stay apart: what functions would not score would also be long in joining."""
    return len(plan.parts) > 1 and plan.input.size >= SPARK_BYTES


def folders(bench: Bench, plan: BatchPlan, scored: str, quarantined: str) -> tuple[BatchOutput, BatchOutput]:
    """The two folders in place of the files ``scored`` and ``quarantined``, all parts being there."""
    return _folder(bench, scored, MEDIA_TYPES[plan.output]), _folder(bench, quarantined, MEDIA_TYPES["csv"])


def _folder(bench: Bench, output: str, media_type: str) -> BatchOutput:
    key = keys.batch_folder(output)
    return BatchOutput(key=key, size=sum(entry.size for entry in bench.store.list(key)), media_type=media_type)
