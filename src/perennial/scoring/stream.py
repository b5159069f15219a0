"""Units through a scorer in a few threads, given back in order and numbered, with a bounded number in flight.

Parsing, encoding and the graph all leave the interpreter's lock, so threads are enough; whoever takes the blocks
fetches bytes and writes rows meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from perennial.scoring.layout import ROW
from perennial.scoring.results import ScoredBlock, Unit
from perennial.scoring.scorer import Scorer

AHEAD = 2
"""Units beyond one a thread that may wait to be scored or to be taken."""


def score_units(scorer: Scorer, units: Iterable[Unit], *, first: int = 0, threads: int = 2) -> Iterator[ScoredBlock]:
    """The blocks of the units, in their order; ``first`` rows stand before them, and numbers go on from there.

    Closing the iterator ends the threads, as does an error, whether it comes of a unit or of reading the next.

    Raises:
        DataError: the file cannot be read on.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="score") as pool:
        waiting: deque[Future[ScoredBlock]] = deque()
        try:
            for unit in units:
                waiting.append(pool.submit(scorer.score, unit))
                if len(waiting) >= threads + AHEAD:
                    block = _numbered(waiting.popleft().result(), first)
                    first += block.rows
                    yield block
            while waiting:
                block = _numbered(waiting.popleft().result(), first)
                first += block.rows
                yield block
        finally:
            for one in waiting:
                one.cancel()


def _numbered(block: ScoredBlock, before: int) -> ScoredBlock:
    """The block with the numbers of its rows in the whole file."""
    if before == 0:
        return block
    place = block.table.schema.get_field_index(ROW)
    rows = pc.add(block.table.column(place), pa.scalar(before, pa.int64()))
    return replace(
        block,
        table=block.table.set_column(place, block.table.schema.field(place), rows),
        refused=tuple(replace(one, row=one.row + before) for one in block.refused),
    )
