"""A monitoring report in its sandbox: its script runs, and reaches nothing of the site."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from perennial import keys
from perennial.jobs.page import publish_page
from perennial.store import memory_store
from tests.support import page_world as world
from tests.support.page_world import MODEL
from tests.web.conftest import Context, Watch
from tests.web.test_form_access import LOOKS, violations
from tests.web.web_harness import SiteHost

# Tries what a report that turned hostile would try, and tells what came of it.
SPY = b"""<!doctype html><html lang="en"><title>Spy</title><body><p id="out">script has not run</p><script>
const attempt = (name, act) => { try { return [name, String(act())] } catch (error) { return [name, error.name] } };
const found = Object.fromEntries([
  attempt("parent", () => parent.document.title),
  attempt("top", () => top.location.href),
  attempt("move", () => { top.location = "about:blank"; return "moved" }),
  attempt("local", () => localStorage.length),
  attempt("session", () => sessionStorage.length),
  attempt("cookie", () => document.cookie),
  attempt("popup", () => open("about:blank") === null ? "none" : "opened"),
  ["origin", self.origin],
]);
document.getElementById("out").textContent = JSON.stringify(found);
</script>"""
RUN = "20261118T210000Z-0a1b2c3d"


@pytest.fixture
def address(host: SiteHost) -> str:
    """A published site with one report; the page that opens it, up to the ``#``."""
    store = memory_store()
    report = world.monitor_report(119, "v")
    assert report.run == RUN
    store.put_new(keys.monitor_summary(MODEL, RUN), report.model_dump_json().encode())
    store.put_new(keys.monitor_file(MODEL, RUN, "drift.html"), SPY)
    url = host.publish("http://127.0.0.1:9")
    publish_page(store, host.store(url), MODEL, world.at(30))
    return url.replace("index.html", "report.html")


def reported(page: Page) -> dict[str, Any]:
    out = page.frame_locator("iframe").locator("#out")
    expect(out).to_contain_text("{")
    found: dict[str, Any] = json.loads(out.inner_text())
    return found


def test_the_model_page_leads_there_and_back(context: Context, address: str) -> None:
    page = context().new_page()
    page.goto(f"{address.replace('report.html', 'model.html')}#{MODEL}")
    page.get_by_role("region", name="Reports").get_by_role("link", name="drift").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Drift of Shop churn")
    expect(page.frame_locator("iframe").locator("#out")).to_contain_text("{")
    page.get_by_role("link", name="Back to Shop churn").click()
    expect(page.get_by_role("heading", name="Reports")).to_be_visible()


def test_its_script_runs_and_reaches_nothing(context: Context, address: str) -> None:
    page = context().new_page()
    page.goto(f"{address}#data/{MODEL}/monitor/{RUN}/drift.html")
    page.evaluate("localStorage.setItem('secret', '1')")
    assert page.locator("iframe").get_attribute("sandbox") == "allow-scripts"
    found = reported(page)
    assert found.pop("origin") == "null"
    assert found.pop("popup") == "none"
    assert found == dict.fromkeys(("parent", "top", "move", "local", "session", "cookie"), "SecurityError")
    assert page.url.startswith(address)


@pytest.mark.parametrize(
    "hash_",
    [
        "",
        "index.html",
        "https://example.com/data/iris/monitor/run/drift.html",
        "//example.com/data/iris/monitor/run/drift.html",
        "javascript:alert(1)",
        f"data/{MODEL}/monitor/../../index.html",
        f"data/{MODEL}/monitor/..%2F..%2Findex.html",
        f"data/{MODEL}/model.json",
    ],
)
def test_nothing_else_is_opened(watch: Watch, address: str, hash_: str) -> None:
    page = watch(f"{address}#{hash_}")
    expect(page.get_by_role("alert")).to_contain_text("names no report of this site")
    assert page.locator("iframe").count() == 0


def test_another_address_opens_another_report_or_none(context: Context, address: str) -> None:
    page = context().new_page()
    page.goto(f"{address}#data/{MODEL}/monitor/{RUN}/drift.html")
    reported(page)
    page.evaluate("location.hash = 'data/x/../../config.json'")
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.locator("iframe").count() == 0


@pytest.mark.parametrize("look", ["light", "dark-phone"])
def test_axe_finds_nothing_around_the_report(watch: Watch, address: str, axe: str, look: str) -> None:
    page = watch(f"{address}#nothing", **LOOKS[look])
    assert violations(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
