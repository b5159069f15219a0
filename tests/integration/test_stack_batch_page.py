"""The page for whole files on a deployed stack: its policy, the bucket's and the signatures have to fit together."""

from __future__ import annotations

import csv
import io

from playwright.sync_api import expect, sync_playwright

from perennial.deploy.up import LocalStack
from perennial.store import Store
from tests.support import models
from tests.support.browser import launch
from tests.web.batch_harness import MIXED, NAME, card, figures, put, saved

WAIT = 60_000  # milliseconds: the function that scores may have to start


def test_a_file_goes_from_the_page_through_the_stack_and_back(stack: LocalStack, store: Store) -> None:
    built = models.build(models.make_spec("paged"))
    models.promote(store, built)
    with sync_playwright() as playwright, launch(playwright) as browser:
        page = browser.new_page()
        page.goto(stack.site_url.replace("index.html", "batch.html?model=paged"))
        job = put(page)
        expect(card(page).locator(".badge")).to_have_text("done", timeout=WAIT)
        assert figures(job) == {"Rows read": "4", "Scored": "3", "Quarantined": "1"}
        name, body = saved(page, "Download the results")
        _, refused = saved(page, "Download the refused rows")
    rows = list(csv.DictReader(io.StringIO(body.decode())))
    assert name == NAME.replace(".csv", ".predictions.csv")
    assert [row["note"] for row in rows] == ["n1", "n2", "n3"]
    assert {row["model_version"] for row in rows} == {built.version}
    assert MIXED.splitlines()[4].split(",")[2] in refused.decode()
