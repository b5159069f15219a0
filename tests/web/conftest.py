from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from perennial.deploy.form import build_form
from perennial.store import Store, memory_store
from tests.support import models
from tests.support.browser import launch
from tests.web.bucket_host import BucketHost, bucket_host
from tests.web.web_harness import (
    FRONTEND,
    Api,
    SiteHost,
    origin_of,
    serving,
    site_host,
)

MOST = 20_000_000
"""Bytes that the API of these tests lets a file have."""


@dataclass
class Watched:
    """One page under observation: what it asked for, what its policy blocked, what it complained of."""

    page: Page
    origins: frozenset[str]
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def elsewhere(self) -> list[str]:
        """Requests that left for a third origin; an icon inside the style sheet is none."""
        return [url for url in self.requests if origin_of(url) not in self.origins and not url.startswith("data:")]

    def blocked(self) -> list[str]:
        found: list[str] = self.page.evaluate("window.__violations")
        return found


@dataclass
class Visit(Watched):
    """The form, and the API it asks."""

    api: Api = field(kw_only=True)


@pytest.fixture(scope="session")
def dist() -> Path:
    return build_form()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium for one test module.

    Playwright's loop belongs to the thread while it runs, so it is not kept for the whole session.
    """
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def host(dist: Path) -> Iterator[SiteHost]:
    with site_host() as found:
        yield found


@pytest.fixture
def store() -> Store:
    """Two models are serving: iris, and one with a feature of each kind."""
    store = memory_store()
    models.promote(store, models.build())
    models.promote(store, models.build(models.make_spec("student-depression", "binary", models.MIXED), scale=0.1))
    return store


@pytest.fixture
def api(store: Store, host: SiteHost) -> Iterator[Api]:
    with serving(store, host.origin) as found:
        yield found


Open = Callable[..., Visit]
Watch = Callable[..., Page]
Context = Callable[..., BrowserContext]


@pytest.fixture
def context(browser: Browser) -> Iterator[Context]:
    """Makes browser contexts that are closed with the test: ``context(color_scheme="dark")``."""
    made: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        found = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        found.set_default_timeout(10_000)
        made.append(found)
        return found

    yield make
    for each in made:
        each.close()


@pytest.fixture
def visit(context: Context, api: Api, host: SiteHost) -> Iterator[Open]:
    """Opens the published form: ``visit("iris", color_scheme="dark")``. Ends with what every visit must keep to."""
    visits: list[Visit] = []

    def open_page(model: str = "", **options: Any) -> Visit:
        url = host.publish(api.url)
        found = Visit(context(**options).new_page(), frozenset({origin_of(url), api.url}), api=api)
        visits.append(found)
        observe(found, f"{url}#{model}" if model else url)
        return found

    yield open_page
    for each in visits:
        judge(each)


@pytest.fixture
def watch(context: Context) -> Iterator[Watch]:
    """Opens any page: ``watch(url, color_scheme="dark")``. Ends as a visit does; it may ask no origin but its own."""
    watched: list[Watched] = []

    def open_page(url: str, **options: Any) -> Page:
        found = Watched(context(**options).new_page(), frozenset({origin_of(url)}))
        watched.append(found)
        observe(found, url)
        return found.page

    yield open_page
    for each in watched:
        judge(each)


@pytest.fixture
def bucket(store: Store, host: SiteHost) -> Iterator[BucketHost]:
    """Where the page for whole files sends them."""
    with bucket_host(store, host.origin) as found:
        yield found


@pytest.fixture
def batch_api(store: Store, host: SiteHost, bucket: BucketHost) -> Iterator[Api]:
    with serving(store, host.origin, endpoint=bucket.origin, upload_bytes=MOST) as found:
        yield found


@pytest.fixture
def desk(context: Context, batch_api: Api, bucket: BucketHost, host: SiteHost) -> Iterator[Open]:
    """Opens the page for whole files: ``desk("iris", color_scheme="dark")``. Ends as a visit does."""
    visits: list[Visit] = []

    def open_page(model: str = "iris", **options: Any) -> Visit:
        url = host.publish(batch_api.url, uploads=bucket.url).replace("index.html", "batch.html")
        origins = frozenset({origin_of(url), batch_api.url, bucket.origin})
        found = Visit(context(**options).new_page(), origins, api=batch_api)
        visits.append(found)
        observe(found, f"{url}?model={model}" if model else url)
        expect(found.page.get_by_label("Choose files, or drop them here")).to_be_visible()
        return found

    yield open_page
    for each in visits:
        judge(each)


@pytest.fixture(scope="session")
def axe(dist: Path) -> str:
    return (FRONTEND / "node_modules" / "axe-core" / "axe.min.js").read_text()


def judge(watched: Watched) -> None:
    """What every visit must keep to."""
    assert watched.blocked() == []
    assert watched.elsewhere() == []
    assert watched.complaints == []


def observe(visit: Watched, url: str) -> None:
    """Open a page, and take note of all that it asks for and complains of."""

    def asked(request: Request) -> None:
        visit.requests.append(request.url)

    def said(message: ConsoleMessage) -> None:
        # Chromium reports every 4xx, 5xx and refused connection as an error, whether the page handled it or not.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            visit.complaints.append(message.text)

    visit.page.on("request", asked)
    visit.page.on("console", said)
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.page.add_init_script(
        """
        window.__violations = [];
        addEventListener("securitypolicyviolation", (event) =>
          window.__violations.push(`${event.violatedDirective} ${event.blockedURI}`));
        """
    )
    visit.page.goto(url)
    visit.page.wait_for_selector("h1")
