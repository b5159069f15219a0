"""What a reader is told when the API refuses, is away, or has nothing to serve."""

from __future__ import annotations

import json
import re
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from perennial import keys
from perennial.store import Store, memory_store
from tests.support import models
from tests.web.conftest import Open
from tests.web.web_harness import SiteHost, free_port, serving


def fill(page: Page, age: str = "33") -> None:
    page.get_by_label("Age").fill(age)
    page.get_by_label("Sleep Duration").select_option("5-6 hours")
    page.get_by_label("City").fill("Pune")


def predict(page: Page) -> None:
    page.get_by_role("button", name="Predict").click()


def promote_narrower(store: Store) -> str:
    """A newer version of the same model that takes no one above fifty, and needs to know one thing more."""
    features = {
        **models.MIXED,
        "Age": {"type": "number", "min": 10, "max": 50},
        "Work/Study Hours": {"type": "number"},
    }
    built = models.build(models.make_spec("student-depression", "binary", features), seed=2)
    models.promote(store, built)
    return built.version


def test_what_the_server_refuses_is_told_at_the_field(visit: Open, store: Store) -> None:
    page = visit("student-depression").page
    fill(page, age="60")
    promote_narrower(store)
    predict(page)
    expect(page.get_by_label("Age")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Age")).to_have_accessible_description(re.compile("less than or equal to 50"))
    summary = page.get_by_role("region", name="2 values need another look")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text("Work/Study Hours: Field required")
    expect(summary).to_contain_text("load the page again")


def test_a_newer_version_that_answers_is_shown_as_the_model(visit: Open, store: Store) -> None:
    page = visit("iris").page
    facts = page.get_by_role("region", name="This model")
    expect(facts).to_contain_text(models.build().version)
    newer = models.build(seed=5)
    models.promote(store, newer)
    for label in ("Sepal length", "Sepal width", "Petal length", "Petal width"):
        page.get_by_label(label).fill("1")
    predict(page)
    expect(page.get_by_role("region", name="Answer")).to_contain_text(newer.version)
    expect(facts).to_contain_text(newer.version)


def test_an_api_that_went_away_is_told_and_asked_again(visit: Open) -> None:
    opened = visit("student-depression")
    page = opened.page
    fill(page)
    opened.api.stop()
    predict(page)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The API cannot be reached.")
    expect(page.get_by_label("Age")).to_have_value("33")
    opened.api.start()
    alert.get_by_role("button", name="Try again").click()
    expect(page.locator(".prediction")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_an_api_that_was_never_there_is_told_and_asked_again(browser: Browser, host: SiteHost) -> None:
    page = browser.new_page()
    page.goto(host.publish(f"http://127.0.0.1:{free_port()}"))
    expect(page.get_by_role("alert")).to_contain_text("The API cannot be reached.")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    page.close()


def test_a_model_that_cannot_be_verified_is_told_as_not_ready(visit: Open, store: Store) -> None:
    entry = models.promote(store, models.build(models.make_spec("broken")))
    blob = store.get(keys.version_manifest("broken", entry.version))
    store.put_if_match(keys.version_manifest("broken", entry.version), blob.data + b" ", blob.etag)
    page = visit("broken").page
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The API is not ready.")
    expect(alert).to_contain_text(re.compile(r"Try again in \d+ seconds?\."))
    expect(alert).to_contain_text("Request")
    page.get_by_label("Model", exact=True).select_option("iris")
    expect(page.get_by_label("Sepal length")).to_be_visible()


def test_where_nothing_serves_yet_the_page_says_what_to_do(browser: Browser, host: SiteHost, axe: str) -> None:
    store = memory_store()
    with serving(store, host.origin) as api:
        page = browser.new_page()
        page.goto(host.publish(api.url))
        expect(page.get_by_role("heading", level=1)).to_have_text("No model is serving yet")
        expect(page.get_by_text("perennial cycle model.yaml")).to_be_visible()
        page.evaluate(axe)
        assert page.evaluate("axe.run().then((found) => found.violations.map((each) => each.id))") == []
        models.promote(store, models.build())
        page.get_by_role("button", name="Look again").click()
        expect(page.get_by_label("Sepal length")).to_be_visible()
        page.close()


def test_a_page_that_was_not_told_of_its_api_says_so(browser: Browser, host: SiteHost, dist: Path) -> None:
    url = host.publish("http://127.0.0.1:9", dist)
    bucket = url.split("/")[-2]
    host.s3.put_object(Bucket=bucket, Key="config.json", Body=json.dumps({"API": "?"}), ContentType="application/json")
    page = browser.new_page()
    page.goto(url)
    expect(page.get_by_role("alert")).to_contain_text("config.json does not say where the API is.")
    page.close()
