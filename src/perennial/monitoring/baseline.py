"""What a champion's features are compared with: the rows it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from perennial.datasets.history import read_manifest
from perennial.datasets.load import stored_table
from perennial.errors import DataError, IntegrityError, NotFoundError
from perennial.registry.manifest import ModelManifest
from perennial.spec import Feature
from perennial.store import Store

MOST_ROWS = 50_000


@dataclass(frozen=True)
class Baseline:
    """The training rows of a version, at most ``MOST_ROWS``; without rows, ``why`` says what is the matter.

    ``features`` are those of the version's own spec, which may be another than today's.
    """

    features: Mapping[str, Feature]
    rows: pa.Table
    why: str = ""


def absent(why: str) -> Baseline:
    """No baseline, and why."""
    return Baseline({}, pa.table({}), why)


def load_baseline(store: Store, champion: ModelManifest, *, most: int = MOST_ROWS) -> Baseline:
    """The training part of the version's dataset, or the same sample of it at every call.

    Raises:
        StoreUnavailable: S3 does not answer.
    """
    try:
        dataset = read_manifest(store, champion.model, champion.dataset)
        rows = stored_table(store, champion.spec, dataset, "train")
    except (NotFoundError, DataError, IntegrityError) as error:
        return absent(f"the rows that {champion.version} was trained on cannot be read: {error.message.rstrip('.')}")
    if rows.num_rows > most:
        places = np.random.default_rng(0).choice(rows.num_rows, most, replace=False)
        rows = rows.take(pa.array(np.sort(places)))
    return Baseline(champion.spec.features, rows)
