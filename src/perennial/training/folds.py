"""The folds of cross-validation: the same for every candidate, never a look ahead, and never kin on both sides."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold, TimeSeriesSplit

from perennial.errors import TrainingError
from perennial.spec import ModelSpec
from perennial.training.answers import Floats, Ints

FOLDS = 5
FOLDS_OF_MANY = 3
MANY_ROWS = 200_000
MIN_ROWS = 10


@dataclass(frozen=True)
class Fold:
    """Positions of the rows to fit on and of the rows to score."""

    train: Ints
    test: Ints


@dataclass(frozen=True)
class Folds:
    """All folds, and what was odd about making them. ``kind``: stratified, grouped, random or chronological."""

    kind: str
    folds: tuple[Fold, ...]
    notes: tuple[str, ...] = ()


def make_folds(spec: ModelSpec, y: Floats, table: pa.Table, classes: tuple[str, ...], seed: int) -> Folds:
    """Split the training rows: chronological where the spec names a time, else stratified by class, else random.

    Of pictures, those that belong together (copies of one, and those of one group) stay in one fold.

    Args:
        y: class index or value of each row [n].
        table: the validated rows, of which only the time column is read, or what ties pictures together.
        classes: labels by index; empty for a regression.

    Raises:
        TrainingError: too few rows, a class without rows, or a constant target: there is nothing to learn from.
    """
    _check(spec, y, classes)
    count = FOLDS if len(y) < MANY_ROWS else FOLDS_OF_MANY
    notes: list[str] = []
    if spec.time is not None:
        order = pc.sort_indices(table, sort_keys=[(spec.time, "ascending")]).to_numpy().astype(np.int64)
        found = [Fold(order[a], order[b]) for a, b in TimeSeriesSplit(count).split(order)]
        kind = "chronological"
    elif spec.input == "image":
        found, odd = _grouped(y.astype(np.int64), table, count, seed)
        notes += odd
        kind = "grouped"
    elif classes:
        rarest = int(np.bincount(y.astype(np.int64), minlength=len(classes)).min())
        if rarest < count:
            count = max(2, rarest)
            notes.append(f"the rarest class has {rarest} training rows: {count} folds")
        if rarest < 2:
            found = _shuffled(len(y), count, seed)
        else:
            splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
            found = [Fold(a, b) for a, b in splitter.split(y.reshape(-1, 1), y)]
        kind = "stratified"
    else:
        found = _shuffled(len(y), count, seed)
        kind = "random"
    usable = tuple(fold for fold in found if _learnable(y[fold.train], len(classes)))
    if len(usable) < len(found):
        notes.append(f"{len(found) - len(usable)} of {len(found)} folds left out: their training rows miss a class")
    if not usable:
        raise TrainingError(
            "No fold of the training rows holds every class.", remedy="Land more rows of the rare classes."
        )
    return Folds(kind, usable, tuple(notes))


def thin(rows: Ints, y: Floats, size: int, seed: int, *, stratified: bool, chronological: bool) -> Ints:
    """About ``size`` of ``rows``: the newest where they are in time order, else drawn at random.

    Every class keeps its share and at least one row, so that a small draw can still be learned from.
    """
    if size >= len(rows):
        return rows
    if chronological:
        newest = rows[-size:]
        return newest if not stratified or len(np.unique(y[newest])) == len(np.unique(y[rows])) else rows
    drawn = np.random.default_rng(seed).permutation(rows)
    if not stratified:
        return np.sort(drawn[:size])
    share = size / len(rows)
    kept = []
    for value in np.unique(y[rows]):
        of_class = drawn[y[drawn] == value]
        kept.append(of_class[: max(1, round(share * len(of_class)))])
    return np.sort(np.concatenate(kept))


def _check(spec: ModelSpec, y: Floats, classes: tuple[str, ...]) -> None:
    more = "Land more rows."
    if len(y) < MIN_ROWS:
        raise TrainingError(f"{len(y)} training rows are too few; {MIN_ROWS} is the least.", remedy=more)
    if not classes:
        if np.ptp(y) == 0:
            raise TrainingError(
                f"The target '{spec.target.column}' is {y[0]:g} in every training row: there is nothing to learn.",
                remedy="Name another target column, or land rows that differ.",
            )
        return
    counts = np.bincount(y.astype(np.int64), minlength=len(classes))
    absent = [name for name, count in zip(classes, counts, strict=True) if count == 0]
    if absent:
        raise TrainingError(
            f"The target '{spec.target.column}' is never {absent[0]!r} in the training rows.",
            remedy="Land rows of that class, or take it out of target.classes.",
        )


def _shuffled(rows: int, count: int, seed: int) -> list[Fold]:
    splitter = KFold(count, shuffle=True, random_state=seed)
    return [Fold(a, b) for a, b in splitter.split(np.empty((rows, 1)))]


def _grouped(y: Ints, table: pa.Table, count: int, seed: int) -> tuple[list[Fold], list[str]]:
    """Stratified folds that part no kin; as many as the rarest class has groups, at least two."""
    from perennial.datasets.kinship import kinship  # Pillow is imported where there are pictures

    kin = kinship(table)
    rarest = min(len(np.unique(kin[y == each])) for each in np.unique(y))
    notes = [] if rarest >= count else [f"the rarest class has {rarest} groups of training pictures: fewer folds"]
    count = max(2, min(count, rarest))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a class has fewer rows than folds: the notes say so
        if len(np.unique(kin)) < count:
            raise TrainingError("All training pictures belong together.", remedy="Land pictures of more groups.")
        splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        found = [Fold(a, b) for a, b in splitter.split(y.reshape(-1, 1), y, kin)]
    return [fold for fold in found if len(fold.test)], notes


def _learnable(y: Floats, classes: int) -> bool:
    return len(np.unique(y)) == classes if classes else True
