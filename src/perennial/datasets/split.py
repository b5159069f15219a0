"""Drawing the holdout: which rows no training will ever see. Seeded, and blind to the order of files and rows."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from perennial.datasets.manifest import Split
from perennial.errors import DataError


def draw_by_rank(split: Split, identity: Sequence[bytes], strata: Sequence[str]) -> NDArray[np.bool_]:
    """Stratified or random holdout, as a mask over the rows.

    Rows of one identity stay together, in the stratum that sorts first among theirs. Within a stratum the
    groups are ranked by a keyed hash of their identity and taken until its share is reached, leaving at
    least one group on either side; a stratum of a single group goes to training.
    """
    stratum: dict[bytes, str] = {}
    size: dict[bytes, int] = defaultdict(int)
    for key, name in zip(identity, strata, strict=True):
        stratum[key] = min(name, stratum.get(key, name))
        size[key] += 1
    groups: dict[str, list[bytes]] = defaultdict(list)
    for key, name in stratum.items():
        groups[name].append(key)
    taken: set[bytes] = set()
    for members in groups.values():
        taken |= _share(split, members, size)
    return np.fromiter((key in taken for key in identity), np.bool_, len(identity))


def draw_by_time(split: Split, times: NDArray[np.int64 | np.float64]) -> NDArray[np.bool_]:
    """Chronological holdout: the last share by time, cut between two times so that no moment is divided.

    Raises:
        DataError: all rows have one and the same time.
    """
    moments, counts = np.unique(times, return_counts=True)
    if len(moments) < 2:
        raise DataError(
            "holds one single time; a chronological holdout needs at least two.",
            column=split.time,
            remedy="Land more data, or set `time: null`.",
        )
    since = np.cumsum(counts[::-1])[::-1][1:]
    cut = moments[1:][np.argmin(np.abs(since - split.fraction * len(times)))]
    return np.asarray(times >= cut)


def _share(split: Split, members: list[bytes], size: dict[bytes, int]) -> set[bytes]:
    wanted = split.fraction * sum(size[key] for key in members)
    seed = hashlib.blake2b(str(split.seed).encode(), digest_size=32).digest()
    ranked = sorted(members, key=lambda key: (hashlib.blake2b(key, key=seed, digest_size=16).digest(), key))
    taken: set[bytes] = set()
    rows = 0
    for key in ranked[:-1]:
        if taken and rows + size[key] / 2 > wanted:
            break
        taken.add(key)
        rows += size[key]
    return taken
