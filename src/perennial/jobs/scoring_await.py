"""How far the files of a run are."""

from __future__ import annotations

from perennial import keys
from perennial.jobs.scoring_list import files_of_run
from perennial.jobs.scoring_results import SHOWN, ScoringWait
from perennial.jobs.side_by_side import side_by_side
from perennial.jobs.workspace import Workspace


def scoring_await(w: Workspace) -> ScoringWait:
    """Look once which files of this run have no result yet.

    Raises:
        NotFoundError: the files are not listed.
    """
    files = files_of_run(w).files
    there = side_by_side(lambda file: w.store.exists(keys.batch_result(w.spec.name, file.input.work)), files)
    still = [file.name for file, is_there in zip(files, there, strict=True) if not is_there]
    found = ScoringWait(files=len(files), open=len(still), names=tuple(still[:SHOWN]))
    w.progress(found.told())
    return found
