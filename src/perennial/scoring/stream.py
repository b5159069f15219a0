"""Units through a scorer in a few threads, given back in order and numbered, with a bounded number in flight.

Parsing, encoding and the graph all leave the interpreter's lock, so threads are enough; whoever takes the blocks
fetches bytes and writes rows meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from perennial.scoring.layout import ROW
from perennial.scoring.results import ScoredBlock, Unit
from perennial.scoring.scorer import Scorer

Done = TypeVar("Done")
AHEAD = 2
"""Units beyond one a thread that may wait to be scored or to be taken."""


def score_units(scorer: Scorer, units: Iterable[Unit], *, first: int = 0, threads: int = 2) -> Iterator[ScoredBlock]:
    """The blocks of the units, in their order; ``first`` rows stand before them, and numbers go on from there.

    Closing the iterator ends the threads, as does an error, whether it comes of a unit or of reading the next.

    Raises:
        DataError: the file cannot be read on.
    """
    with closing(in_order(scorer.score, units, threads=threads)) as blocks:
        for block in blocks:
            yield _numbered(block, first)
            first += block.rows


def in_order(work: Callable[[Unit], Done], units: Iterable[Unit], *, threads: int) -> Generator[Done, None, None]:
    """What ``work`` makes of each unit, in the order of the units, by so many threads."""
    with ThreadPoolExecutor(threads, thread_name_prefix="score") as pool:
        waiting: deque[Future[Done]] = deque()
        try:
            for unit in units:
                waiting.append(pool.submit(work, unit))
                if len(waiting) >= threads + AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
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
