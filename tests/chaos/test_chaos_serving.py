"""A warm server goes on answering with the version it has, whatever becomes of the bucket it looks at."""

from __future__ import annotations

import threading
from itertools import chain

import pytest

from tests.support.chaos.scale import Scale
from tests.support.chaos.serving_judge import CHECK, FAILED, MUTANTS, SERVED, about, withstood
from tests.support.chaos.serving_models import NEW
from tests.support.chaos.serving_silence import (
    CALLERS,
    endured,
    errors_reach_the_request,
    everybody_looks,
    waiting_while_silent,
)
from tests.support.chaos.serving_site import REFRESH, site
from tests.support.chaos.serving_spoiled import (
    FLIPS,
    GRAPH,
    MANIFEST,
    flips_of,
    manifests,
    random_flips,
    registries,
    replaced,
    signature_key,
    signatures,
    unsigned_version,
)
from tests.support.chaos.serving_stale import STALE, any_generation, not_led_back
from tests.support.chaos.tally import Row, Tally

BOTH = pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])


@BOTH
def test_a_byte_of_a_manifest(scale: Scale, tally: Tally, signed: bool) -> None:
    """In full each byte, in three ways."""
    what = f"a byte of a manifest, {'signed' if signed else 'unsigned'}"
    with site(signed=signed) as found:
        flips = flips_of(found, MANIFEST, what, FLIPS if scale.full else (), scale.pick(23, 1))
        withstood(found, flips).record(tally, CHECK)


def test_a_byte_of_a_signature(scale: Scale, tally: Tally) -> None:
    with site() as found:
        key = signature_key(NEW.version)
        flips = flips_of(found, key, "a byte of a signature", FLIPS if scale.full else (), scale.pick(9, 1))
        withstood(found, flips).record(tally, CHECK)


@BOTH
def test_a_random_byte_of_a_graph(scale: Scale, tally: Tally, signed: bool) -> None:
    with site(signed=signed) as found:
        draw = scale.random(f"bytes of a graph {signed}")
        flips = random_flips(found, GRAPH, "a byte of a blob", scale.pick(30, 1000), draw)
        withstood(found, flips).record(tally, CHECK)


@BOTH
def test_objects_that_are_not_what_they_should_be(tally: Tally, signed: bool) -> None:
    with site(signed=signed) as found:
        kinds = [replaced(found), registries(found), manifests(found)]
        if signed:
            kinds += [signatures(found), iter([unsigned_version(found)])]
        withstood(found, chain(*kinds)).record(tally, CHECK)


@pytest.mark.parametrize("name", MUTANTS)
def test_servers_that_trust_too_much_are_found_out(tally: Tally, name: str) -> None:
    mutant = MUTANTS[name]
    with site(signed=mutant.signed) as found:
        spoiled = [
            *flips_of(found, MANIFEST, "a byte", (1,), 199),
            *flips_of(found, GRAPH, "a byte", (1,), 61),
            *(signatures(found) if mutant.signed else ()),
        ]
        assert not withstood(found, spoiled).wrong
    with pytest.MonkeyPatch.context() as patch, site(signed=mutant.signed) as found:
        mutant.become(patch)
        tally.mutant(CHECK, name, about(withstood(found, spoiled), mutant.problem))


@BOTH
def test_an_alias_as_it_was_before(tally: Tally, signed: bool) -> None:
    with site(signed=signed) as found:
        not_led_back(found).record(tally, CHECK)


def test_a_server_that_is_led_back_is_found_out(tally: Tally) -> None:
    with pytest.MonkeyPatch.context() as patch, site() as found:
        any_generation(patch)
        wrong = not_led_back(found)
    tally.mutant(CHECK, "alias followed without its generation", about(wrong, SERVED) and set(wrong.wrong) == {STALE})


def test_ten_minutes_without_s3_by_a_moved_clock(tally: Tally) -> None:
    with site() as found:
        endured(found).record(tally, CHECK)


def test_one_request_an_interval_waits_for_a_silent_s3(tally: Tally) -> None:
    hold = threading.Event()
    with site() as found:
        found.clock.advance(REFRESH)
        found.hold = hold
        waiting = waiting_while_silent(found, hold)
    tally.record(Row(CHECK, "S3 silent, 32 requests at once", CALLERS, wrong=max(0, waiting - 1)))


def test_servers_that_do_not_bear_an_outage_are_found_out(tally: Tally) -> None:
    with pytest.MonkeyPatch.context() as patch, site() as found:
        errors_reach_the_request(patch)
        tally.mutant(CHECK, "a refresh whose error reaches the request", about(endured(found, 60), FAILED))
    hold = threading.Event()
    with pytest.MonkeyPatch.context() as patch, site() as found:
        everybody_looks(patch)
        patch.setattr("tests.support.chaos.serving_silence.PATIENCE", 1.0)
        found.clock.advance(REFRESH)
        found.hold = hold
        tally.mutant(CHECK, "every request waits for a look", waiting_while_silent(found, hold) == CALLERS)
