"""How much there is to learn that the next training would collect."""

from __future__ import annotations

from perennial import keys
from perennial.datasets.collected import KINDS, read_collected
from perennial.jobs.collect import FEWEST_FEEDBACK
from perennial.jobs.outcomes import unlearnt_files
from perennial.jobs.workspace import Workspace
from perennial.monitoring.observed import Labelled


def collected_count(w: Workspace) -> int:
    """How many files were collected so far: where it has grown, some of what waited has landed."""
    return sum(1 for kind in KINDS for _ in w.store.list(keys.landing(w.spec.name, f"{kind}/")))


def waiting(w: Workspace, found: Labelled) -> int:
    """Labelled predictions that no training has collected: as ``collect`` would, so too little feedback is none.

    Nor is a label file's word on feedback that was collected and not learnt yet, in whose place it comes.

    Raises:
        IntegrityError: a collected file is damaged.
    """
    files = {kind: list(read_collected(w.store, w.spec, kind)) for kind in KINDS}
    done = {kind: {one for file in files[kind] for one in file.predictions} for kind in KINDS}
    unlearnt = {file.key for file in unlearnt_files(w)}
    counted = {one for file in files["feedback"] if file.key in unlearnt for one in file.predictions}
    ids: list[str] = found.about.column("prediction_id").to_pylist()
    sources: list[str] = found.about.column("source").to_pylist()
    known = {"labels": done["labels"] | counted, "feedback": done["labels"] | done["feedback"]}
    new = [source for one, source in zip(ids, sources, strict=True) if one not in known[source]]
    labels, feedback = new.count("labels"), new.count("feedback")
    return labels + (feedback if w.spec.retrain.feedback and feedback >= FEWEST_FEEDBACK else 0)
