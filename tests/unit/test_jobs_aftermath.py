"""What follows a result never fails the run that had it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perennial import keys
from perennial.datasets.landing import land
from perennial.errors import StoreUnavailable
from perennial.jobs import aftermath, lock, steps
from perennial.jobs.cycle import run_cycle
from perennial.jobs.page import publishing
from perennial.jobs.workspace import Workspace
from perennial.settings import Settings
from perennial.spec_source import parse_spec
from perennial.store import Store, memory_store
from tests.support.shop import SPEC, write_rows

NOW = datetime(2026, 11, 21, tzinfo=UTC)
HUMAN = SPEC.replace("gate: {minimum", "gate: {approval: human, minimum")
SETTINGS = Settings(bucket="bucket", site_bucket="site", site_url="http://localhost/site/index.html")


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def open_run(tmp_path: Path, told: list[str]) -> Callable[..., Workspace]:
    store = memory_store()
    land(store, parse_spec(SPEC), write_rows(tmp_path / "first.csv", 400, 1))

    def make(run: str = "one", text: str = SPEC, **changes: Any) -> Workspace:
        return Workspace(parse_spec(text), store, run, "0123abc", None, told.append, lambda: NOW, **changes)

    return make


def test_a_run_ends_well_where_the_site_is_down(
    open_run: Callable[..., Workspace], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(store: Store, site: Store, model: str, now: datetime) -> None:
        raise StoreUnavailable("The site's bucket does not answer.")

    monkeypatch.setattr(publishing, "site_store", lambda settings: memory_store())
    monkeypatch.setattr(publishing, "publish_page", down)
    assert run_cycle(open_run(settings=SETTINGS)).promoted
    assert "the page was not published: The site's bucket does not answer." in told


def test_the_page_of_a_finished_run_shows_its_version(
    open_run: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = memory_store()
    monkeypatch.setattr(publishing, "site_store", lambda settings: site)
    outcome = run_cycle(open_run(settings=SETTINGS))
    assert str(outcome.version).encode() in site.get(keys.page_data("shop", "model.json")).data


def test_a_version_that_waits_is_asked_about_and_holds_nobody_up(
    open_run: Callable[..., Workspace], told: list[str]
) -> None:
    w = open_run(text=HUMAN)
    outcome = run_cycle(w)
    assert outcome.waiting and not outcome.promoted
    assert w.store.exists(keys.approval_request("shop", str(outcome.version)))
    assert lock.holder(w.store, "shop", NOW) is None
    assert any("perennial approve shop" in line for line in told)


def test_a_failure_is_told_of_without_failing_where_nobody_is_named(open_run: Callable[..., Workspace]) -> None:
    w = open_run(settings=Settings(bucket="bucket"), because="train: out of memory")
    assert steps.perform("report-failure", w)
    aftermath.after_failure(w, "")
