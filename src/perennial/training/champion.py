"""The champion against its challenger, on rows that neither has learnt from: the holdout, and what is newer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from perennial.datasets.arrow import target_values
from perennial.datasets.history import read_manifest
from perennial.datasets.load import Rows
from perennial.datasets.manifest import DatasetManifest
from perennial.datasets.placed import Placed, kept_apart, placed_holdout, placed_window
from perennial.datasets.window import FEWEST_ROWS
from perennial.errors import DataError, NotFoundError, TrainingError
from perennial.registry.gain import Champion, Comparison
from perennial.registry.manifest import ModelManifest
from perennial.serving.predictor import Predictor
from perennial.store import Store
from perennial.training.answers import Answers
from perennial.training.evaluate import answered
from perennial.training.metrics import measure_all
from perennial.training.paired import paired

ENOUGH_ROWS = 500


def challenge(store: Store, champion: Predictor, challenger: Predictor, dataset: DatasetManifest) -> Champion:
    """Measure both, each as its own spec reads the rows, on the holdout and on the challenger's window.

    Args:
        dataset: the version that the challenger was trained on.

    Raises:
        IntegrityError: what is stored of a dataset is gone or altered.
    """
    version = champion.manifest.version
    try:
        before = read_manifest(store, champion.manifest.model, champion.manifest.dataset)
        theirs = placed_holdout(store, champion.manifest.spec, before)
    except (NotFoundError, DataError) as error:
        return Champion(version=version, holdout=None, why=error.message.rstrip("."))
    found = compare(champion, theirs, challenger, placed_holdout(store, challenger.manifest.spec, dataset))
    files = _more_feedback(dataset, before)
    found = found.model_copy(update={"untrusted": files > 0, "files": files})
    if dataset.window is None or incompatible(champion.manifest, challenger.manifest):
        return found
    try:
        window = _window(store, champion, before, challenger, dataset)
    except (DataError, TrainingError) as error:
        return found.model_copy(update={"window_why": error.message.rstrip(".")})
    return found.model_copy(update={"window": window.model_copy(update={"trusted": dataset.window.trusted})})


def compare(champion: Predictor, theirs: Placed, challenger: Predictor, ours: Placed) -> Champion:
    """Measure both on the rows that are in both holdouts.

    A row in both holdouts was kept from both trainings, whatever has become of the spec since. At least half of
    the challenger's holdout, or ``ENOUGH_ROWS``, must be left. ``holdout`` is None, with the reason in ``why``,
    where fewer are, or where the two predict different things.

    Args:
        theirs: the holdout of the champion's dataset, under the champion's spec.
        ours: the holdout of the challenger's dataset, under the challenger's spec.
    """
    version, rows = champion.manifest.version, len(ours.places)
    if why := incompatible(champion.manifest, challenger.manifest):
        return Champion(version=version, holdout=None, why=why)
    pair = _Pair.of(champion, theirs, challenger, ours)
    if (least := min(ENOUGH_ROWS, -(-rows // 2))) > pair.rows:
        why = (
            f"another holdout was drawn since it was trained, or its spec refuses other rows: {pair.rows:,} of the "
            f"{rows:,} holdout rows were kept from its training too, {least:,} are needed"
        )
        return Champion(version=version, holdout=None, why=why)
    try:
        found = pair.measured()
    except TrainingError as error:
        return Champion(version=version, holdout=None, why=error.message.rstrip("."))
    return Champion(version=version, holdout=found.model_copy(update={"whole": pair.rows == rows}))


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


def _window(
    store: Store, champion: Predictor, before: DatasetManifest, challenger: Predictor, dataset: DatasetManifest
) -> Comparison:
    """Both on the challenger's window. Raises TrainingError where too few of its rows are new to the champion."""
    ours = placed_window(store, challenger.manifest.spec, dataset, challenger.manifest.classes)
    theirs = placed_window(store, champion.manifest.spec, dataset, champion.manifest.classes)
    rows = len(ours.places) if ours else 0
    if ours is not None and theirs is not None:
        pair = _Pair.of(champion, theirs, challenger, ours, np.array(kept_apart(store, before, ours.places), np.bool_))
        if pair.rows >= max(FEWEST_ROWS, -(-rows // 2)):
            return pair.measured().model_copy(update={"whole": pair.rows == rows})
        rows = pair.rows
    raise TrainingError(f"the champion has learnt from the new rows, or its spec refuses them: {rows:,} are left.")


@dataclass(frozen=True)
class _Pair:
    """Two models with the same rows in the same order, each as its own spec reads them."""

    champion: Predictor
    before: Rows
    challenger: Predictor
    now: Rows

    @classmethod
    def of(
        cls, champion: Predictor, theirs: Placed, challenger: Predictor, ours: Placed,
        allowed: NDArray[np.bool_] | None = None,
    ) -> _Pair:  # fmt: skip
        """The rows that are in both, of the challenger's those ``allowed``."""
        where = {place: position for position, place in enumerate(theirs.places)}
        pairs = [
            (where[place], i)
            for i, place in enumerate(ours.places)
            if place in where and (allowed is None or allowed[i])
        ]
        common = np.array(pairs, np.int64).reshape(-1, 2)
        return cls(champion, theirs.take(common[:, 0]), challenger, ours.take(common[:, 1]))

    @property
    def rows(self) -> int:
        return len(self.now.y)

    def measured(self) -> Comparison:
        """Raises TrainingError where the target is read differently, an answer is no number, or nothing is defined."""
        spec = self.challenger.manifest.spec
        column = spec.target.column
        if not self.before.table.column(column).equals(self.now.table.column(column)):
            raise TrainingError(f"'{column}' is read differently now.")
        theirs, ours = self._answers()
        champion, challenger = measure_all(spec.task, theirs), measure_all(spec.task, ours)
        if spec.metric not in champion or spec.metric not in challenger:
            raise TrainingError(f"{spec.metric} is undefined on the {self.rows:,} rows that neither learnt from.")
        seed, confidence = self.challenger.manifest.seed, spec.gate.confidence
        found = paired(spec.metric, spec.task, theirs, ours, seed=seed, confidence=confidence)
        return Comparison(
            rows=self.rows, champion=champion, challenger=challenger, gain=found.gain, low=found.low, high=found.high,
            bound=found.bound, p_value=found.p_value, mcnemar=found.mcnemar,
        )  # fmt: skip

    def _answers(self) -> tuple[Answers, Answers]:
        """What both answered, in one order of classes: one that a model does not know gets no probability from it."""
        theirs, ours = answered(self.champion, self.before), answered(self.challenger, self.now)
        known, own = self.champion.manifest.classes, self.challenger.manifest.classes
        if known == own:
            return replace(theirs, truth=ours.truth), ours
        every = (*own, *(name for name in known if name not in own))
        truth = target_values(self.now.table, self.challenger.manifest.spec, every)
        return _spread(theirs, truth, known, every), _spread(ours, truth, own, every)


def _spread(answers: Answers, truth: NDArray[np.float64], known: tuple[str, ...], every: tuple[str, ...]) -> Answers:
    """Answers in terms of more classes than the model knows."""
    place = np.array([every.index(name) for name in known], np.int64)
    probabilities = np.zeros((len(truth), len(every)))
    probabilities[:, place] = answers.probabilities
    return Answers(truth, place[answers.labels], probabilities, answers.values)


def _more_feedback(ours: DatasetManifest, theirs: DatasetManifest) -> int:
    """How many files of feedback the one was trained on more of than the other."""
    before = theirs.trained("feedback")
    return sum(rows > before.get(source, 0) for source, rows in ours.trained("feedback").items())
