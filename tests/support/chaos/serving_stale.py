"""A server that reads an alias as it was before, though it has served what became champion since."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from perennial.serving import refresh
from perennial.serving.champion import Champion, read_champion
from perennial.store import Store
from tests.support.chaos.serving_judge import FAILED, SERVED, stale_problem
from tests.support.chaos.serving_models import FURTHER, NEW, OLD, Version
from tests.support.chaos.serving_site import ALIAS, REFRESH, Site, agrees
from tests.support.chaos.tally import Findings
from tests.support.models import promote

STALE = "stale read of the alias"
AFTER = "stale read over, promotion"
LOOKS = 8
"""So often the server reads what was, before it reads what is."""


def not_led_back(site: Site) -> Findings:
    """Read aliases of before to a server that goes on from generation to generation, for as long as one likes.

    Each time it keeps what it serves and tells that it is stale, also while something else is promoted; once it reads
    what is, it follows: to a new version, and to the first one too, which is champion again by an entry of its own.
    """
    found = Findings()
    _follows(site, NEW, found)
    second = site.writer.get(ALIAS).data
    with reading(site, site.first_alias):
        _stays(site, NEW, found)
        promote(site.writer, FURTHER)
        _stays(site, NEW, found)
    _follows(site, FURTHER, found)
    for earlier in (second, site.first_alias):
        with reading(site, earlier):
            _stays(site, FURTHER, found)
    promote(site.writer, OLD, op_id="the first again")
    _follows(site, OLD, found)
    with reading(site, second):
        _stays(site, OLD, found)
    _follows(site, OLD, found)
    return found


@contextmanager
def reading(site: Site, earlier: bytes) -> Iterator[None]:
    """For the time of a block, the server reads this alias."""
    site.earlier = earlier
    try:
        yield
    finally:
        site.earlier = None


def _stays(site: Site, version: Version, found: Findings) -> None:
    for _ in range(LOOKS):
        site.clock.advance(REFRESH)
        found.note(STALE, stale_problem(site, version))


def _follows(site: Site, version: Version, found: Findings) -> None:
    site.clock.advance(REFRESH)
    told = site.predict()
    problem = "" if agrees(told, version) else f"{SERVED if told.status == 200 else FAILED}: {told.answer}"
    ready = site.ready().answer
    found.note(AFTER, problem or ("" if ready["status"] == "ready" else f"/ready shows {ready}"))


def any_generation(patch: pytest.MonkeyPatch) -> None:
    """A server that follows an alias wherever it leads."""

    def following(store: Store, model: str, known: Champion | None = None) -> Champion:
        if known is None:
            return read_champion(store, model)
        none_before = replace(known, entry=known.entry.model_copy(update={"generation": 0}))
        champion = read_champion(store, model, none_before)
        return known if champion is none_before else champion

    patch.setattr(refresh, "read_champion", following)
