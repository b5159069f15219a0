"""The end of a scheduled scoring: whether all of it holds, and what it came to.

A file that could not be read is the file's affair: it has its result, with the reason, is counted and told, and stops
no other. The run fails where a file has no result, or where a result does not hold.
"""

from __future__ import annotations

from collections import Counter

from perennial import keys
from perennial.errors import IntegrityError, NotFoundError
from perennial.jobs.scoring_list import files_of_run
from perennial.jobs.scoring_pictures import note_ends
from perennial.jobs.scoring_results import (
    FileEnd,
    ScoringChecked,
    ScoringFile,
    ScoringFiles,
    ScoringSummary,
    named,
)
from perennial.jobs.side_by_side import side_by_side
from perennial.jobs.workspace import Workspace
from perennial.serving.batch_job import BatchCounts, BatchOutput, BatchResult

NOTHING = BatchCounts()


def scoring_check(w: Workspace) -> ScoringChecked:
    """Check that each file of this run has its one result, that its rows add up, and that its outputs are there.

    Raises:
        NotFoundError: files have no result, or are not listed; names the files.
        IntegrityError: a result does not hold; names file and reason.
    """
    files, results = _results(w)
    side_by_side(lambda pair: _hold(w, *pair), list(zip(files.files, results, strict=True)))
    _stand_apart(results)
    side_by_side(lambda pair: note_ends(w, pair[0], pair[1].state), list(zip(files.files, results, strict=True)))
    failed = sum(result.state == "failed" for result in results)
    counts = _total(results)
    w.progress(
        f"{len(results) - failed:,} files scored, {failed:,} failed: "
        f"{counts.rows:,} rows, {counts.scored:,} scored, {counts.quarantined:,} quarantined"
    )
    return ScoringChecked(files=len(results), failed=failed, counts=counts)


def scoring_summary(w: Workspace) -> ScoringSummary:
    """What this run came to, kept for ever under its own key. Raises NotFoundError as :func:`scoring_check` does."""
    return w.once(summary_key(w), ScoringSummary, lambda: _summary(w))


def summary_key(w: Workspace) -> str:
    return keys.batch_summary(w.spec.name, w.attempt)


def _summary(w: Workspace) -> ScoringSummary:
    files, results = _results(w)
    assert files.engine is not None  # with files there is an engine, and without there are no results
    last = max(result.ended for result in results)
    return ScoringSummary(
        model=w.spec.name,
        run=w.run,
        engine=files.engine,
        started=files.started,
        seconds=round(max(0.0, (last - files.started).total_seconds()), 3),
        counts=_total(results),
        files=tuple(_end(file, result) for file, result in zip(files.files, results, strict=True)),
        failed_before=files.failed,
        overdue=files.overdue,
        left=files.left,
    )


def _results(w: Workspace) -> tuple[ScoringFiles, list[BatchResult]]:
    files = files_of_run(w)
    found = side_by_side(lambda file: _result(w, file), files.files)
    missing = tuple(file.name for file, result in zip(files.files, found, strict=True) if result is None)
    if missing or not found:
        raise NotFoundError(
            f"{len(missing):,} of {len(found):,} files have no result: {named(missing, len(missing))}."
            if missing
            else f"Run {w.run} has no files.",
            remedy=f"`perennial batches {w.spec.name}` says how far they are.",
        )
    return files, [result for result in found if result is not None]


def _result(w: Workspace, file: ScoringFile) -> BatchResult | None:
    key = keys.batch_result(w.spec.name, file.input.work)
    found = w.store.find(key)
    return BatchResult.from_bytes(found.data, key) if found else None


def _hold(w: Workspace, file: ScoringFile, result: BatchResult) -> None:
    counts, key = result.counts, keys.batch_result(w.spec.name, file.input.work)
    if result.input.work != file.input.work or result.model != w.spec.name:
        raise IntegrityError(f"{key} tells of another file than {file.name}.")
    if counts.rows != counts.scored + counts.quarantined:
        raise IntegrityError(
            f"{file.name}: {counts.rows:,} rows were read, {counts.scored:,} scored "
            f"and {counts.quarantined:,} quarantined, which is not the same."
        )
    if result.state == "failed":
        return
    for rows, output, what in (
        (counts.scored, result.scored, "scored"),
        (counts.quarantined, result.quarantined, "quarantined"),
    ):
        if rows and output is None:
            raise IntegrityError(f"{file.name}: {rows:,} rows were {what}, and {key} names no output with them.")
        if output is not None and _size(w, output) != output.size:
            raise IntegrityError(f"{file.name}: {output.key} is not there with its {output.size:,} bytes.")


def _size(w: Workspace, output: BatchOutput) -> int | None:
    """Bytes that an output has in S3: of all objects of a folder, None where there is nothing."""
    if output.key.endswith("/"):
        sizes = [entry.size for entry in w.store.list(output.key)]
        return sum(sizes) if sizes else None
    try:
        return w.store.head(output.key).size
    except NotFoundError:
        return None


def _stand_apart(results: list[BatchResult]) -> None:
    """No two files may have the same output."""
    shared = [key for key, count in Counter(key for each in results for key in _outputs(each)).items() if count > 1]
    if shared:
        raise IntegrityError(f"{shared[0]} is the output of more than one file.")


def _outputs(result: BatchResult) -> tuple[str, ...]:
    return tuple(output.key for output in (result.scored, result.quarantined) if output is not None)


def _total(results: list[BatchResult]) -> BatchCounts:
    return sum((result.counts for result in results if result.state == "done"), NOTHING)


def _end(file: ScoringFile, result: BatchResult) -> FileEnd:
    return FileEnd(
        name=file.name,
        work=file.input.work,
        state=result.state,
        version=result.version,
        counts=result.counts,
        outputs=_outputs(result),
        warnings=result.warnings,
        reason=result.reason,
    )
