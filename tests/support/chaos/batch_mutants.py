"""Broken variants of the scoring, which a worker takes on in its own process. The checks have to catch each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import patch

from obstore.exceptions import BaseError

from perennial.scoring.batch import endings, records, rows, work
from perennial.scoring.batch.events import JOIN
from perennial.scoring.batch.outputs import Outgoing
from perennial.serving.batch_job import BatchInput
from perennial.serving.champion import read_champion
from perennial.store import Store

Told = Callable[[dict[str, Any]], None]
"""Is told of each event before it is worked on."""


def _set(owner: Any, name: str, value: Any) -> None:
    patch.object(owner, name, value).start()  # for the life of the process


def no_condition() -> None:
    """Results and their files are written whatever stands there."""
    creating = Store.put_new

    def put_new(self: Store, key: str, data: bytes, **more: Any) -> str:
        if not ("/result.json" in key or "/batch/out/" in key or "/batch/quarantine/" in key):
            return creating(self, key, data, **more)
        try:
            return self._raw.put(key, data, mode="overwrite", use_multipart=False)["e_tag"] or ""
        except BaseError:
            return creating(self, key, data, **more)

    _set(Store, "put_new", put_new)


def joins_early() -> None:
    """As soon as the first part is done, it is taken for all of them."""

    def join_parts(bench: Any, plan: Any, named: str, shift: Any) -> Any:
        return joining(bench, plan.model_copy(update={"parts": plan.parts[:1]}), named, shift)

    def when_the_first_is_done(bench: Any, plan: Any, named: str) -> None:
        if records.read_part(bench.store, plan.model, named, plan.parts[0].number) is not None:
            work._put_task(bench, plan, named, JOIN)

    joining = work.join_parts
    _set(work, "join_parts", join_parts)
    _set(work, "_join_when_all_are_done", when_the_first_is_done)


def result_first() -> None:
    """The result is told before its rows are stored."""
    committing, telling = rows.Pair.commit, records.commit_result
    waiting: list[tuple[rows.Pair, int]] = []

    def commit(self: rows.Pair, *, quarantined: int) -> None:
        waiting.append((self, quarantined))

    def discard(self: Any) -> None:
        """Its rows are still to be stored."""

    def commit_result(store: Store, named: str, result: Any) -> Any:
        found = telling(store, named, result)
        while waiting:
            pair, quarantined = waiting.pop()
            committing(pair, quarantined=quarantined)
        return found

    _set(rows.Pair, "commit", commit)
    _set(Outgoing, "discard", discard)
    _set(endings, "commit_result", commit_result)
    _set(work, "commit_part", lambda *told: commit_part(waiting, committing, *told))


def commit_part(waiting: list[Any], committing: Callable[..., None], *told: Any) -> None:
    records.commit_part(*told)
    while waiting:
        pair, quarantined = waiting.pop()
        committing(pair, quarantined=quarantined)


def version_ignored() -> None:
    """The work on a file goes by its key alone."""
    naming = BatchInput.work.fget  # type: ignore[attr-defined]
    blank = {"version": None, "etag": ""}
    _set(BatchInput, "work", property(lambda self: naming(self.model_copy(update=blank))))


def quarantine_dropped() -> Told:
    """Who takes up what another left writes only what was scored."""
    committing = rows.Pair.commit
    again = [False]

    def commit(self: rows.Pair, *, quarantined: int) -> None:
        if quarantined and again[0]:
            self.quarantined.discard()
            self.scored.commit()
        else:
            committing(self, quarantined=quarantined)

    def told(event: dict[str, Any]) -> None:
        again[0] = any(record["attributes"]["ApproximateReceiveCount"] != "1" for record in event["Records"])

    _set(rows.Pair, "commit", commit)
    return told


def champion_of_the_moment() -> None:
    """Each part is scored by whoever is champion then."""
    scoring = rows.score_rows

    def score_rows(bench: Any, plan: Any, pair: Any, reporter: Any, part: Any) -> Any:
        now = read_champion(bench.store, plan.model).entry.version
        return scoring(bench, plan.model_copy(update={"version": now}), pair, reporter, part)

    _set(work, "score_rows", score_rows)


def _quiet(mutate: Callable[[], None]) -> Callable[[], Told]:
    def start() -> Told:
        mutate()
        return lambda event: None

    return start


MUTANTS: Mapping[str, Callable[[], Told]] = {
    "results written without a condition": _quiet(no_condition),
    "joined before all parts are done": _quiet(joins_early),
    "result told before its rows are stored": _quiet(result_first),
    "input known by its key, not its version": _quiet(version_ignored),
    "quarantine dropped where work is taken up again": quarantine_dropped,
    "parts scored by the champion of the moment": _quiet(champion_of_the_moment),
}
