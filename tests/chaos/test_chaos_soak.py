"""An hour of mixed load on the local AWS: no error, nothing acknowledged is lost, and memory stays flat.

`make soak` runs the hour (`MINUTES=10` for less); with all tests, a short form shows that there is no error, and that
a server which leaks is told from one that does not.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from perennial.deploy.up import LocalStack
from perennial.registry.registry import Registry
from perennial.settings import Settings
from perennial.store import Store
from tests.support.chaos.scale import Scale
from tests.support.chaos.served import serving
from tests.support.chaos.soak import JUDGED, SERVER, SHORT, full, is_amiss, paced, soak
from tests.support.chaos.soak_memory import Sample, Verdict, judge, watching
from tests.support.chaos.soak_report import report
from tests.support.chaos.soak_settled import settle
from tests.support.chaos.soak_world import build_world
from tests.support.chaos.tally import Row, Tally
from tests.support.models import IRIS_RECORD, build, make_spec, promote
from tests.support.stack import new_stack, store

__all__ = ["store"]

MINUTES = float(os.environ.get("PERENNIAL_SOAK_MINUTES", "0"))
PLAN = full(MINUTES) if MINUTES else SHORT
REPORT = "PERENNIAL_SOAK_REPORT"
MEGABYTE = 1_000_000
REQUESTS = 80


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """One of its own: `/ready` and the functions tell of whatever else is in a bucket, too."""
    with new_stack() as found:
        yield found


@pytest.mark.timeout(MINUTES * 60 + 900)
def test_nothing_fails_and_nothing_grows(
    stack: LocalStack, store: Store, scale: Scale, tally: Tally, tmp_path: Path
) -> None:
    began = datetime.now(UTC)
    settings = Settings.load(stack.environment())
    world = build_world(store, settings, tmp_path, scale.random("soak"))
    before = Counter({asked.name: len(Registry(store).log(asked.name)) for asked in world.asked})
    found = soak(stack, store, world, PLAN, scale.seed)
    journal = found.journal
    settled = settle(stack, store, journal, began, before)
    rows = [Row("soak", kind, count, wrong=journal.failed[kind]) for kind, count in sorted(journal.done.items())]
    rows += [
        Row("soak", "predictions captured", len(journal.captured), lost=settled.lost_captures),
        Row("soak", "labels kept", len(journal.labels), lost=settled.lost_labels),
        Row("soak", "log entries kept", journal.promoted.total(), settled.lost_entries, settled.unsaid),
    ]
    amiss = list[str]()
    if MINUTES:
        judged = {who: one for who, one in found.watch.verdicts(found.seconds).items() if who[0] in JUDGED}
        rows.append(
            Row("soak", "processes that live long", len(judged), wrong=sum(not one.flat for one in judged.values()))
        )
        amiss = [] if {name for name, _ in judged} == set(JUDGED) else [f"only {len(judged)} processes could be judged"]
    amiss += [
        *journal.told,
        *filter(PLAN.fails, settled.errors),
        *([f"{settled.dead} files could not be scored"] if settled.dead else []),
    ]
    if MINUTES and (named := os.environ.get(REPORT)):
        Path(named).write_text(report(found, rows, amiss, scale.seed, datetime.now(UTC)))
    print(*amiss, sep="\n")
    for row in rows:
        tally.record(row)
    assert not journal.failed and not amiss


def test_a_server_that_keeps_what_it_was_sent_is_caught(stack: LocalStack, store: Store, tally: Tally) -> None:
    """Bodies are padded, so that some seconds leak as much as an hour of ordinary ones."""
    promote(store, build(make_spec("leaked")))
    body = json.dumps({"instances": [IRIS_RECORD] * 100}).encode().ljust(500_000)
    ours, leaking = (_grown(stack, body, app) for app in (None, "tests.support.chaos.soak_leaking:create_app"))
    assert ours.flat, ours
    tally.mutant("soak", "a server that keeps the body of every request", caught=not leaking.flat)


def _grown(stack: LocalStack, body: bytes, app: str | None) -> Verdict:
    """What becomes of a server's memory while it is sent a body, again and again."""
    over = threading.Event()
    with (
        serving(stack.environment(), app=app, keep=is_amiss) as server,
        httpx.Client(base_url=server.url, timeout=60, headers={"content-type": "application/json"}) as client,
        watching(lambda: {SERVER: [server.pid]}, 0.1) as watch,
    ):
        began = time.monotonic()
        for number, _ in enumerate(paced(0.05, over)):
            if number == REQUESTS:
                over.set()
            assert client.post("/models/leaked/predict", content=body).status_code == 200
        took = time.monotonic() - began
    (verdict,) = watch.verdicts(took).values()
    return verdict


@pytest.mark.parametrize(
    ("megabytes", "flat"),
    [
        (lambda at: 100.0, True),
        (lambda at: 60 + 40 * min(1.0, at / 300), True),
        (lambda at: 100 + 3 * math.sin(at), True),
        (lambda at: 150.0 if at % 300 < 5 else 100.0, True),
        (lambda at: 120 - at / 180, True),
        (lambda at: 100 + 4 * at / 3600, True),
        (lambda at: 100 + 7 * at / 3600, False),
        (lambda at: 100 + 8 * (at // 900), False),
        (lambda at: 100.0 if at < 3000 else 107.0, False),
        (lambda at: 100 + 10 * (1 - math.exp(-at / 1200)), False),
    ],
    ids=["flat", "warm-up", "waves", "peaks", "shrinking", "slow", "leak", "steps", "late step", "levelling off late"],
)
def test_what_is_told_a_leak(megabytes: Callable[[float], float], flat: bool) -> None:
    samples: list[Sample] = [(float(at), round(megabytes(at) * MEGABYTE)) for at in range(5, 3601, 5)]
    verdict = judge(samples, 3600)
    assert verdict is not None
    assert verdict.flat is flat, (verdict.growth, verdict.slope)


def test_a_process_that_was_not_there_all_through_is_not_judged() -> None:
    samples = [(float(at), MEGABYTE) for at in range(5, 3601, 5)]
    assert judge(samples[:600], 3600) is None and judge(samples[200:], 3600) is None and judge([], 3600) is None
