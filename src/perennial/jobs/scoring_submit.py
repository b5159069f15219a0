"""Having the files of a run scored: by functions, each by a request of its own, or by one job of Spark."""

from __future__ import annotations

from perennial import keys
from perennial.errors import AlreadyExistsError, NotFoundError, SettingsError
from perennial.jobs.scoring_list import files_of_run
from perennial.jobs.scoring_results import ScoringFile, ScoringHandedOver, ScoringRequested
from perennial.jobs.side_by_side import side_by_side
from perennial.jobs.workspace import Workspace
from perennial.serving.batch_job import BatchOptions, BatchRequest, SparkRequest


def scoring_request(w: Workspace) -> ScoringRequested:
    """Ask for each file of this run: creating its request starts its scoring. Of two runs at once, one asks.

    Raises:
        NotFoundError: the files are not listed.
    """
    asked = side_by_side(lambda file: _ask(w, file), files_of_run(w).files)
    done = ScoringRequested(asked=sum(asked), before=len(asked) - sum(asked))
    w.progress(f"asked for {done.asked:,} files" + (f"; {done.before:,} are under way" if done.before else ""))
    return done


def scoring_hand_over(w: Workspace) -> ScoringHandedOver:
    """Put down what the job of Spark is to score: all files of this run, by the version that served as it began.

    Raises:
        NotFoundError: the files are not listed, or there is no champion.
        SettingsError: no bucket is named.
    """
    found = files_of_run(w)
    if found.version is None:
        raise NotFoundError(f"{w.spec.name} has no champion.", remedy="Train it first.")
    if w.settings is None:
        raise SettingsError("No bucket is named for a job of Spark.", remedy="Set PERENNIAL_BUCKET.")
    request = SparkRequest(
        model=w.spec.name,
        version=found.version,
        inputs=tuple(file.input for file in found.files),
        names=tuple(file.name for file in found.files),
        options=_options(w),
    )
    key = keys.batch_spark_request(w.spec.name, w.attempt)
    w.store.put_new(key, request.to_bytes())
    w.progress(f"{len(found.files):,} files for Spark: {key}")
    arguments = ("--bucket", w.settings.bucket, "--model", w.spec.name, "--run", w.attempt)
    return ScoringHandedOver(key=key, arguments=arguments)


def _ask(w: Workspace, file: ScoringFile) -> bool:
    """Whether nobody had asked for it."""
    request = BatchRequest(model=w.spec.name, name=file.name, options=_options(w), created=w.now(), input=file.input)
    try:
        w.store.put_new(keys.batch_request(w.spec.name, file.input.work), request.to_bytes())
    except AlreadyExistsError:
        return False
    return True


def _options(w: Workspace) -> BatchOptions:
    return BatchOptions(output=w.spec.batch.output, keep=w.spec.batch.keep)
