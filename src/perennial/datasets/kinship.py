"""Which rows of pictures belong together: copies of one picture, and pictures of one group such as a patient.

What belongs together stays on one side of every split. Which rows these are follows from all rows at hand: a picture
that lands later may tie two groups to each other that had nothing in common before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perennial.datasets.rowkeys import RowKeys
from perennial.images.fingerprint import near_pairs, related, same_value
from perennial.spec import ModelSpec

_BYTES = 16
_NEEDED = ("image", "fingerprint", "group")


def kinship(table: pa.Table) -> NDArray[np.int64]:
    """For each row the first row that it belongs to, int64 [rows]: equal where rows must not be parted.

    ``table`` has the columns ``image``, ``fingerprint`` and ``group`` of ``arrow_schema``. Rows are tied by likeness,
    by the same bytes and by an equal group, along any chain of such ties.
    """
    return related(table.num_rows, _copies(table), same_value(table.column("group").to_pylist()))


def kin_keys(spec: ModelSpec, tables: list[pa.Table]) -> list[RowKeys]:
    """Keys of the rows of several tables, told from all of them together; one for each table, in their order.

    ``content`` is equal where two rows are copies of one picture under one label, ``identity`` where they belong
    together as in :func:`kinship`. Either is named by the digests of the pictures, and so is blind to the order.
    """
    if not tables:
        return []
    whole = pa.concat_tables([table.select([*_NEEDED, spec.target.column]) for table in tables])
    images = whole.column("image").to_pylist()
    labels = whole.column(spec.target.column).to_pylist()
    alike = related(whole.num_rows, _copies(whole))
    content = [_digest(name, label) for name, label in zip(_named(alike, images), labels, strict=True)]
    whom = related(whole.num_rows, enumerate(alike.tolist()), same_value(whole.column("group").to_pylist()))
    identity = [_digest(name) for name in _named(whom, images)]
    found, start = [], 0
    for table in tables:
        rows = slice(start, start := start + table.num_rows)
        mine = content[rows]
        found.append(RowKeys(mine, identity[rows], mine, np.zeros(table.num_rows, np.bool_)))
    return found


def _copies(table: pa.Table) -> Iterable[tuple[int, int]]:
    """Ties between rows of like or equal pictures."""
    prints = table.column("fingerprint").to_pylist()
    measured = [place for place, one in enumerate(prints) if one is not None]
    if measured:
        for one, other in near_pairs([prints[place] for place in measured]):
            yield measured[one], measured[other]
    yield from same_value(table.column("image").to_pylist())


def _named(group: NDArray[np.int64], images: list[str]) -> list[str]:
    """Each row's group by the least digest among its pictures."""
    least: dict[int, str] = {}
    places = group.tolist()
    for place, image in zip(places, images, strict=True):
        least[place] = min(image, least.get(place, image))
    return [least[place] for place in places]


def _digest(*parts: str) -> bytes:
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=_BYTES).digest()
