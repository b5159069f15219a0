"""The champion against its challenger, on rows that neither has learnt from."""

from __future__ import annotations

import numpy as np

from perennial.datasets.load import Rows
from perennial.datasets.placed import Placed
from perennial.errors import TrainingError
from perennial.registry.gate import Champion
from perennial.registry.manifest import ModelManifest
from perennial.serving.predictor import Predictor
from perennial.training.evaluate import answered
from perennial.training.metrics import measure_all

ENOUGH_ROWS = 500


def compare(champion: Predictor, theirs: Placed, challenger: Predictor, ours: Placed) -> Champion:
    """Measure both on the rows that are in both holdouts, each as its own spec reads them.

    A row in both holdouts was kept from both trainings, whatever has become of the spec since. At least half of
    the challenger's holdout, or ``ENOUGH_ROWS``, must be left. ``metrics`` is None, with the reason in ``why``,
    where fewer are, or where the two predict different things.

    Args:
        theirs: the holdout of the champion's dataset, under the champion's spec.
        ours: the holdout of the challenger's dataset, under the challenger's spec.
    """
    version, rows = champion.manifest.version, len(ours.places)
    if why := incompatible(champion.manifest, challenger.manifest):
        return Champion(version=version, metrics=None, why=why)
    where = {place: position for position, place in enumerate(theirs.places)}
    common = np.array([(where[p], i) for i, p in enumerate(ours.places) if p in where], np.int64).reshape(-1, 2)
    if (least := min(ENOUGH_ROWS, -(-rows // 2))) > len(common):
        why = (
            f"another holdout was drawn since it was trained, or its spec refuses other rows: {len(common):,} of the "
            f"{rows:,} holdout rows were kept from its training too, {least:,} are needed"
        )
        return Champion(version=version, metrics=None, why=why)
    before, now = theirs.take(common[:, 0]), ours.take(common[:, 1])
    column = challenger.manifest.spec.target.column
    if not before.table.column(column).equals(now.table.column(column)):
        return Champion(version=version, metrics=None, why=f"'{column}' is read differently now")
    try:
        found = _measured(champion, before)
    except TrainingError as error:
        return Champion(version=version, metrics=None, why=error.message.rstrip("."))
    if len(common) == rows:
        return Champion(version=version, metrics=found)
    return Champion(version=version, metrics=found, rows=len(common), candidate=_measured(challenger, now))


def incompatible(champion: ModelManifest, challenger: ModelManifest) -> str:
    """Why the two predict different things; empty if they do not."""
    old, new = champion.spec, challenger.spec
    if old.task != new.task:
        return f"its task is {old.task}"
    if old.target.column != new.target.column:
        return f"it predicts '{old.target.column}'"
    if new.task == "binary" and champion.classes != challenger.classes:
        return f"its classes are {' and '.join(map(repr, champion.classes))}, the last one positive"
    return ""


def _measured(model: Predictor, rows: Rows) -> dict[str, float]:
    return measure_all(model.manifest.spec.task, answered(model, rows))
