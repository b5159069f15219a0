"""Whose word counts of a prediction that was collected twice: that of a label file, before that of feedback.

A label file may come after the feedback on the same prediction was collected, or two collectors may each take one of
them. The row of feedback is then left out of every version from there on, so that a prediction counts once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perennial import keys
from perennial.datasets.collected import read_predictions
from perennial.datasets.landing import LandedFile
from perennial.datasets.manifest import DatasetManifest
from perennial.datasets.prepare import Prepared
from perennial.spec import ModelSpec
from perennial.store import Store


@dataclass(frozen=True)
class Told:
    """Prediction ids: those that label files told of, and those whose feedback the parent has.

    ``stale`` are the parent's sources of feedback of which label files have told more since.
    """

    by_file: frozenset[str] = frozenset()
    before: frozenset[str] = frozenset()
    stale: frozenset[str] = frozenset()

    def superseded(self, one: Prepared) -> NDArray[np.bool_]:
        """Rows of feedback of which a label file tells."""
        return self._among(one, self.by_file if one.kind == "feedback" else frozenset())

    def learnt(self, one: Prepared) -> NDArray[np.bool_]:
        """Rows of label files that the parent's training may hold as feedback, with the same truth or another."""
        return self._among(one, self.before if one.kind == "labels" else frozenset())

    def _among(self, one: Prepared, predictions: frozenset[str]) -> NDArray[np.bool_]:
        if not predictions or not one.predictions:
            return np.zeros(len(one.rows), np.bool_)
        return np.fromiter((name in predictions for name in one.predictions), np.bool_, len(one.rows))


def read_told(store: Store, spec: ModelSpec, landed: Mapping[str, LandedFile], parent: DatasetManifest | None) -> Told:
    """Look into what was collected; only where there are both label files and feedback.

    Raises:
        IntegrityError: a collected file is damaged.
    """
    kinds = {digest: keys.landing_kind(spec.name, one.key) for digest, one in landed.items()}
    if not {"labels", "feedback"} <= set(kinds.values()):
        return Told()
    collected = {
        digest: frozenset(read_predictions(store, landed[digest].key))
        for digest, kind in kinds.items()
        if kind != "landed"
    }
    by_file = frozenset[str]().union(*(ids for digest, ids in collected.items() if kinds[digest] == "labels"))
    old = {source.digest: source for source in parent.sources} if parent else {}
    feedback = {digest: ids for digest, ids in collected.items() if kinds[digest] == "feedback" and digest in old}
    return Told(
        by_file=by_file,
        before=frozenset[str]().union(*feedback.values()),
        stale=frozenset(digest for digest, ids in feedback.items() if len(ids & by_file) != old[digest].superseded),
    )
