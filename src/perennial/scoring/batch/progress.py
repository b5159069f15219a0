"""How far a file is, told every few seconds while it is scored. It decides nothing, so nothing waits for it.

To tell of it is also the moment to look whether another writer was faster: then the rest of the work is spared.
"""

from __future__ import annotations

from contextlib import suppress

from perennial import keys
from perennial.errors import AlreadyExistsError, ConflictError, IntegrityError, NotFoundError, StoreUnavailable
from perennial.scoring.batch.bench import Bench
from perennial.scoring.batch.records import done_parts, find_result, read_part
from perennial.serving.batch_job import BatchCounts, BatchPart, BatchPlan, BatchProgress, State

EVERY_SECONDS = 2.0


class Overtaken(Exception):
    """Another writer has finished this piece of work."""


class Reporter:
    """Tells of the work on one plan; ``part`` is the one that is scored here, None where all of it is, or the join."""

    def __init__(self, bench: Bench, plan: BatchPlan, work: str, part: BatchPart | None = None) -> None:
        self._bench, self._plan, self._work, self._part = bench, plan, work, part
        self._key = keys.batch_progress(plan.model, work)
        self._told: float | None = None
        self._etag: str | None = None
        self._known: BatchProgress | None = None
        self._others: dict[int, BatchCounts] = {}

    def scored(self, counts: BatchCounts, end: int) -> None:
        """``counts`` of what is scored here, up to the byte (or, of a Parquet file, the row group) ``end``.

        Raises:
            Overtaken: another writer is done with it.
        """
        if self._told is not None and self._bench.clock() - self._told < EVERY_SECONDS:
            return
        self.tell("scoring", self._share(end), counts)

    def tell(self, state: State, share: float = 0.0, counts: BatchCounts | None = None) -> None:
        """Tell now. ``share`` of the part that is scored here is done, or of the whole. Raises Overtaken."""
        self._told = self._bench.clock()
        with suppress(StoreUnavailable):
            done = self._look()
            parts, total = self._plan.parts, self._plan.input.size
            own = 0.0 if state == "joining" else share * (1 / len(parts) if self._part else 1)
            self._replace(
                BatchProgress(
                    state=state,
                    model=self._plan.model,
                    version=self._plan.version,
                    counts=sum(self._others.values(), counts or BatchCounts()),
                    bytes_done=min(total, int(total * (len(done) / len(parts) + own))),
                    bytes_total=total,
                    parts_done=len(done),
                    parts=len(parts),
                    updated=self._bench.now(),
                )
            )

    def _look(self) -> frozenset[int]:
        """The numbers of the parts that are done, their counts noted."""
        store, model = self._bench.store, self._plan.model
        if find_result(store, model, self._work) is not None:
            raise Overtaken
        if len(self._plan.parts) == 1:
            return frozenset()
        done = done_parts(store, model, self._work)
        if self._part is not None and self._part.number in done:
            raise Overtaken
        for number in done - self._others.keys():
            found = read_part(store, model, self._work, number)
            if found is not None:
                self._others[number] = found.counts
        return done

    def _share(self, end: int) -> float:
        if self._part is None:
            return end / self._plan.input.size if self._plan.input.size else 1.0
        length = self._part.end - self._part.start
        return min(1.0, max(0.0, (end - self._part.start) / length)) if length else 1.0

    def _replace(self, progress: BatchProgress) -> None:
        """Write unless someone else did in between, who knows as much; and never less than what was told before."""
        store = self._bench.store
        with suppress(AlreadyExistsError, ConflictError, IntegrityError, NotFoundError):
            if self._etag is None and (found := store.find(self._key)) is not None:
                self._etag, self._known = found.etag, BatchProgress.from_bytes(found.data, self._key)
            if self._known is not None:
                progress = progress.not_behind(self._known)
            known, self._etag, data = self._etag, None, progress.to_bytes()
            self._etag = store.put_if_match(self._key, data, known) if known else store.put_new(self._key, data)
            self._known = progress
