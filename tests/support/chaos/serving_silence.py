"""S3 is gone while a server is warm: by a moved clock, or for real behind a proxy; and servers that do not bear it."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import datetime
from itertools import cycle
from typing import Any

import pytest

from lambdas.api import services
from lambdas.api.looks import Looks
from perennial.serving.refresh import ModelCache, State
from tests.support.chaos.serving_judge import FAILED, SERVED
from tests.support.chaos.serving_models import MODEL, NEW, OLD
from tests.support.chaos.serving_site import REFRESH, Site, agrees, ask
from tests.support.chaos.tally import Findings
from tests.support.models import body
from tests.support.seam import Fault

OUTAGE = 600
"""Seconds that S3 is gone."""
FAULTS: dict[Fault, str] = {"fail": "S3 down", "deny": "S3 refuses", "absent": "S3 finds nothing"}
CALLERS = 32
PATIENCE = 10.0


def endured(site: Site, seconds: int = OUTAGE) -> Findings:
    """A request a second by the clock, while every request of the server to S3 fails in one of the ways.

    Each is answered by the version that was loaded, S3 is asked once an interval, and ``/ready`` tells since when it
    is gone. When it is back, the promotion of the meantime is taken up by the first request that looks.
    """
    found, faults, since = Findings(), cycle(FAULTS), site.clock.now
    for second in range(seconds):
        if second % (2 * REFRESH) == 0:
            site.fault = next(faults)
        site.clock.advance(1)
        asked = site.asked
        told = site.predict()
        what = SERVED if told.status == 200 else FAILED
        wrong = "" if agrees(told, OLD) else f"{what}: second {second}: {told.status} {told.answer}"
        if site.asked - asked > 1:
            wrong = wrong or f"second {second}: a request asked S3 {site.asked - asked} times"
        found.note(FAULTS[site.fault], wrong)
        if second > REFRESH and second % 5 == 0:
            found.note(FAULTS[site.fault], _ready(site, since))
    site.fault = "pass"
    site.clock.advance(REFRESH)
    told = site.predict()
    found.note("S3 back", "" if agrees(told, NEW) else f"{told.status} {told.answer}")
    ready = site.ready()
    found.note("S3 back", "" if ready.answer["status"] == "ready" else str(ready.answer))
    return found


def _ready(site: Site, since: float) -> str:
    """What ``/ready`` does not tell of an outage; empty where it tells all."""
    told = site.ready()
    (model,) = told.answer["models"]
    failed = datetime.fromisoformat(model["failure"]["since"]).timestamp() if "failure" in model else 0.0
    shown = (told.status, model["status"], model.get("version"))
    if shown != (200, "stale", OLD.version) or not 0 <= failed - since <= REFRESH + 1:
        return f"/ready tells {told.answer}"
    return "" if 0 <= model["checked_seconds_ago"] <= REFRESH + 1 else f"it looked {model['checked_seconds_ago']} s ago"


def waiting_while_silent(site: Site, hold: threading.Event) -> int:
    """How many of ``CALLERS`` requests at once are kept waiting by an S3 that says nothing, however long.

    The bound to that wait is lifted meanwhile, so that whoever would wait until it does not come back.
    """
    names = ("POST", f"/models/{MODEL}/predict", body(OLD.record))

    async def all_at_once() -> int:
        tasks = [asyncio.create_task(ask(site.app, *names)) for _ in range(CALLERS)]
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while sum(not task.done() for task in tasks) > 1 and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        waiting = sum(not task.done() for task in tasks)
        hold.set()
        answers = await asyncio.gather(*tasks)
        assert all(status == 200 for status, _ in answers)
        return waiting

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services, "LOOK_SECONDS", 3600.0)
        return site.run(all_at_once())


def errors_reach_the_request(patch: pytest.MonkeyPatch) -> None:
    """A refresh that fails, and forgets what it had to answer with."""
    refresh = ModelCache._refresh

    def forgetting(cache: ModelCache, model: str, state: State | None) -> State:
        found = refresh(cache, model, state)
        return replace(found, snapshot=None) if found.failure else found

    patch.setattr(ModelCache, "_refresh", forgetting)


def everybody_looks(patch: pytest.MonkeyPatch) -> None:
    """A server whose requests all wait for a look that is under way."""
    start = Looks.start

    def always_new(looks: Any, name: str, call: Any) -> Any:
        return start(looks, name, call)[0], True

    patch.setattr(Looks, "start", always_new)
