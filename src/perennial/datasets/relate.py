"""Keys of rows of pictures by all that is known of them: earlier parts and new sources together.

A patient's or a copy's row is thereby known for what it is, whichever file it came by: no other code of the split needs
to know of pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from perennial.datasets.kinship import kin_keys
from perennial.datasets.prepare import Prepared
from perennial.datasets.rowindex import RowIndex
from perennial.datasets.sides import Inherited
from perennial.spec import ModelSpec


def relate(
    spec: ModelSpec, inherited: Sequence[Inherited], prepared: Sequence[Prepared]
) -> tuple[list[Inherited], list[Prepared]]:
    """The same rows, with their keys told from all of them."""
    found = kin_keys(spec, [*(one.table for one in inherited), *(one.table for one in prepared)])
    old, new = found[: len(inherited)], found[len(inherited) :]
    return (
        [replace(one, keys=own) for one, own in zip(inherited, old, strict=True)],
        [replace(one, keys=own) for one, own in zip(prepared, new, strict=True)],
    )


def tied_to_holdout(inherited: Sequence[Inherited], prepared: Sequence[Prepared], holdout: RowIndex) -> frozenset[str]:
    """Sources whose inherited rows of training turn out to belong to the holdout, by what has landed since."""
    kept = {key for one in inherited if one.part.split == "holdout" for key in one.keys.identity}
    for one in prepared:
        kept |= {one.keys.identity[row] for row in np.flatnonzero(holdout.mask(one.digest, one.rows))}
    learnt = [one for one in inherited if one.part.split != "holdout"]
    return frozenset(one.part.source for one in learnt if not kept.isdisjoint(one.keys.identity))
