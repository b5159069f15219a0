"""The first step of a scheduled scoring: which files are new, and who scores them."""

from __future__ import annotations

from perennial import keys
from perennial.jobs.scoring_pictures import find_pictures
from perennial.jobs.scoring_policy import PATIENCE
from perennial.jobs.scoring_results import Engine, ScoringFile, ScoringFiles, ScoringPlan
from perennial.jobs.scoring_source import Opened, find, place_of
from perennial.jobs.side_by_side import side_by_side
from perennial.jobs.state import result_of, step_key
from perennial.jobs.workspace import Workspace
from perennial.registry.registry import Registry
from perennial.serving.batch_job import SPARK_BYTES, BatchRequest
from perennial.store_opening import open_store

LIST = "scoring-list"
NO_CHAMPION = "nothing has been promoted yet: files wait for the first champion"


def scoring_list(w: Workspace, opened: Opened = open_store) -> ScoringPlan:
    """Fix the files of this run: those under the spec's source that have no result.

    Raises:
        SettingsError: no bucket is named.
        SpecError: scoring itself writes under the source.
    """
    plan = w.once(step_key(w, LIST), ScoringFiles, lambda: _list(w, opened)).plan()
    w.progress(plan.told())
    return plan


def files_of_run(w: Workspace) -> ScoringFiles:
    """What :func:`scoring_list` fixed. Raises NotFoundError where it has not run."""
    return result_of(w, LIST, ScoringFiles)


def engine_of(w: Workspace, files: tuple[ScoringFile, ...]) -> Engine:
    """Who scores these files: as the spec says, else functions as long as all of them are not too large together.

    Pictures are always for functions.
    """
    if w.spec.input == "image":
        return "lambda"
    total = sum(file.input.size for file in files)
    return w.spec.batch.engine or ("spark" if total >= SPARK_BYTES else "lambda")


def _list(w: Workspace, opened: Opened) -> ScoringFiles:
    started = w.now()
    head = Registry(w.store).head(w.spec.name)
    look = find_pictures if w.spec.input == "image" and head else find
    found = look(w, place_of(w, opened))
    new: tuple[ScoringFile, ...] = found.new if head else ()
    overdue: tuple[str, ...] = ()
    if new and engine_of(w, new) == "lambda":
        late = side_by_side(lambda file: _is_overdue(w, file), new)
        overdue = tuple(file.name for file, is_late in zip(new, late, strict=True) if is_late)
        new = tuple(file for file, is_late in zip(new, late, strict=True) if not is_late)
    return ScoringFiles(
        engine=engine_of(w, new) if new else None,
        version=head.version if head else None,
        started=started,
        files=new,
        done=found.done,
        failed=found.failed,
        overdue=overdue,
        left=found.left,
        blocked=NO_CHAMPION if found.new and head is None else None,
    )


def _is_overdue(w: Workspace, file: ScoringFile) -> bool:
    """Whether an earlier run asked for a file, and told people hours ago that it did not come."""
    key = keys.batch_request(w.spec.name, file.input.work)
    found = w.store.find(key)
    return found is not None and w.now() - BatchRequest.from_bytes(found.data, key).created >= PATIENCE
