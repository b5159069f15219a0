"""The page for whole files in a real browser, with the real API and the real scoring: from a file to its results."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, Request, expect

from perennial import keys
from perennial.serving.batch_job import BatchCounts, BatchProgress
from perennial.store import Store
from tests.support import models
from tests.web.batch_harness import GOOD, MIXED, NAME, ROWS, card, choose, figures, kept, large, news, put, saved, state
from tests.web.bucket_host import BucketHost
from tests.web.conftest import Open
from tests.web.test_form_access import LOOKS, violations
from tests.web.web_harness import origin_of


def test_a_file_comes_back_with_what_the_model_says_and_what_was_refused(desk: Open, bucket: BucketHost) -> None:
    page = desk().page
    job = put(page)
    expect(job.get_by_role("heading", name=NAME)).to_be_focused()
    state(page, "done")
    assert figures(job) == {"Rows read": "4", "Scored": "3", "Quarantined": "1"}
    assert len(bucket.arrived) == 1

    built = models.build()
    expected = models.answer(built, np.array(ROWS))
    name, body = saved(page, "Download the results")
    assert name == "customers.predictions.csv"
    rows = list(csv.DictReader(io.StringIO(body.decode())))
    assert [row["row"] for row in rows] == ["1", "2", "3"]
    assert [row["note"] for row in rows] == ["n1", "n2", "n3"]
    assert [row["prediction"] for row in rows] == [built.manifest.classes[index] for index in expected.argmax(axis=1)]
    for index, label in enumerate(built.manifest.classes):
        assert [float(row[f"probability_{label}"]) for row in rows] == pytest.approx(list(expected[:, index]))
    assert {row["model_version"] for row in rows} == {built.version}
    shown = job.get_by_role("table").locator("tbody tr")
    said = ["prediction", *(f"probability_{label}" for label in built.manifest.classes)]
    assert [each.get_by_role("cell").all_inner_texts()[:4] for each in shown.all()] == [
        [row[name] for name in said] for row in rows
    ]

    name, body = saved(page, "Download the refused rows")
    assert name == "customers.quarantine.csv"
    [refused] = list(csv.DictReader(io.StringIO(body.decode())))
    assert (refused["row"], refused["column"]) == ("4", "petal_length")
    assert refused["reason"]


def test_where_no_row_is_refused_nothing_is_said_of_refused_rows(desk: Open) -> None:
    page = desk().page
    job = put(page, GOOD)
    state(page, "done")
    assert figures(job)["Quarantined"] == "0"
    expect(job.get_by_role("link")).to_have_count(1)
    expect(job.get_by_text("refused")).to_have_count(0)


def test_where_every_row_is_refused_the_refused_rows_can_be_had(desk: Open) -> None:
    page = desk().page
    job = put(page, GOOD.replace("5.1", "wide").replace("6.7", "wide").replace("5.9", "wide"))
    state(page, "done")
    assert figures(job) == {"Rows read": "3", "Scored": "0", "Quarantined": "3"}
    _, body = saved(page, "Download the refused rows")
    assert [row["row"] for row in csv.DictReader(io.StringIO(body.decode()))] == ["1", "2", "3"]
    expect(job.get_by_role("table")).to_have_count(0)


def test_results_come_as_they_were_asked_for(desk: Open) -> None:
    page = desk().page
    choose(page, (NAME, GOOD))
    page.get_by_label("Results as").select_option("Parquet")
    page.get_by_label("Keep the file's columns").uncheck()
    with page.expect_request(lambda request: request.method == "POST") as order:
        page.get_by_role("button", name=f"Score {NAME}").click()
    assert json.loads(order.value.post_data or "") == {
        "name": NAME, "size": len(GOOD), "output": "parquet", "keep": False
    }  # fmt: skip
    state(page, "done")
    name, body = saved(page, "Download the results Parquet")
    assert name == "customers.predictions.parquet"
    table = pq.read_table(io.BytesIO(body))
    assert table.num_rows == 3
    assert not {"note", "sepal_length"} & set(table.column_names)


def test_what_became_of_a_file_is_announced(desk: Open, bucket: BucketHost) -> None:
    bucket.scoring.clear()
    page = desk().page
    expect(news(page)).to_have_text("")
    put(page)
    expect(news(page)).to_have_text(f"{NAME} has arrived.")
    state(page, "waiting")
    bucket.scoring.set()
    expect(news(page)).to_have_text(f"{NAME} is done: 3 rows scored, 1 refused.")


def test_how_far_it_is_is_shown_while_it_is_scored(desk: Open, bucket: BucketHost, store: Store) -> None:
    bucket.scoring.clear()
    page = desk().page
    job = put(page)
    state(page, "waiting")
    expect(job.get_by_role("progressbar")).not_to_have_attribute("value", re.compile("."))
    [key] = bucket.arrived
    work = key.split("/")[-2]
    half = BatchProgress(
        state="scoring", model="iris", version=models.build().version, counts=BatchCounts(rows=2100, scored=2100),
        bytes_done=50, bytes_total=100, parts_done=0, parts=1, updated=models.NOW,
    )  # fmt: skip
    written = store.put_new(keys.batch_progress("iris", work), half.to_bytes())
    state(page, "scoring")
    expect(job.get_by_text("47 %, 2,100 rows so far.")).to_be_visible()
    assert float(job.get_by_role("progressbar").get_attribute("value") or "") == pytest.approx(0.475)
    joining = half.model_copy(update={"state": "joining", "bytes_done": 100})
    store.put_if_match(keys.batch_progress("iris", work), joining.to_bytes(), written)
    state(page, "joining")


def test_what_was_unusual_of_a_file_is_told(desk: Open) -> None:
    page = desk().page
    job = put(page, GOOD.replace("n1", "née").encode("latin-1"))
    state(page, "done")
    expect(job.locator(".changed")).to_contain_text("unusual")
    expect(job.locator(".changed li")).not_to_have_count(0)
    expect(job.get_by_role("cell", name="née")).to_be_visible()


def test_why_a_file_could_not_be_scored_is_told(desk: Open) -> None:
    page = desk().page
    job = put(page, GOOD.replace("petal_width", "petal_wide"))
    state(page, "failed")
    failure = job.locator(".failure")
    expect(failure).to_contain_text("It could not be scored.")
    expect(failure).to_contain_text("petal_width")
    expect(news(page)).to_contain_text(f"{NAME} failed.")
    expect(job.get_by_role("link")).to_have_count(0)


def test_the_model_of_the_address_scores_the_file(desk: Open) -> None:
    page = desk("student-depression").page
    expect(page.get_by_role("heading", level=1)).to_have_text("Score a file with Student depression")
    assert page.title() == "Score a file with Student depression · Perennial"
    needs = page.get_by_role("region", name="What the file needs")
    expect(needs.get_by_text("Sleep Duration")).to_be_visible()
    rows = [each.all_inner_texts() for each in needs.get_by_role("row").all()]
    assert [" ".join(row).split("\t") for row in rows][1:] == [
        ["Age", "Whole number, 10 to 100"],
        ["CGPA", "Number. May be empty"],
        ["Sleep Duration", "Less than 5 hours, 5-6 hours, 7-8 hours"],
        ["City", "Text, such as Pune, Goa"],
        ["Since", "Date, such as 2026-11-21. May be empty"],
    ]
    page.get_by_label("Model", exact=True).select_option("iris")
    expect(page.get_by_role("heading", level=1)).to_have_text("Score a file with Iris")
    assert page.url.endswith("?model=iris")
    with page.expect_request(lambda request: request.method == "POST") as order:
        put(page)
    assert "/models/iris/batches" in order.value.url
    state(page, "done")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Score a file with Student depression")
    expect(needs.get_by_text("Sleep Duration")).to_be_visible()


def test_a_link_to_a_model_that_is_gone_says_so(desk: Open) -> None:
    page = desk("no%20such").page
    expect(page.get_by_text("No model called “no such” is serving. This is Iris.")).to_be_visible()


def test_the_pages_lead_to_one_another(desk: Open) -> None:
    page = desk("student-depression").page
    page.get_by_role("link", name="Ask for one record").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Student depression")
    page.get_by_role("link", name="Score a file", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Score a file with Student depression")
    page.go_back()
    page.get_by_role("link", name="Score a whole file").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Score a file with Student depression")
    page.get_by_role("link", name="How it is doing").click()
    page.get_by_role("link", name="Score a file", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert "batch.html" in page.url


def test_no_name_turns_the_words_after_it_around(desk: Open) -> None:
    page = desk().page
    choose(page, ("a\u202evsc.csv", GOOD), ("b\u2066.csv", ""))
    expect(page.get_by_role("list", name="Chosen").locator("span").first).to_have_text("avsc.csv")
    expect(page.locator("#files-problem")).to_have_text("“b.csv” is empty.")
    page.get_by_role("button", name="Score avsc.csv", exact=True).click()
    state(page, "done", "avsc.csv")
    assert [each["name"] for each in kept(page)] == ["avsc.csv"]


ATTACK = "<img src=x onerror=\"window.__attacked='yes'\">"


def test_markup_in_a_file_is_shown_as_text(desk: Open) -> None:
    page = desk().page
    quoted = ATTACK.replace('"', '""')
    body = (
        GOOD.replace("note\n", f'"{quoted}"\n').replace("n1\n", f'"{quoted}"\n').replace("n2\n", "=cmd|' /C calc'!A0\n")
    )
    name = "<img src=x onerror=alert(1)>.csv"
    job = put(page, body, name)
    state(page, "done", name)
    expect(job.get_by_role("columnheader", name=ATTACK)).to_be_visible()
    expect(job.get_by_role("cell", name=ATTACK)).to_be_visible()
    job = put(page, f'"{quoted}"\n1\n', "bad.csv")
    state(page, "failed", "bad.csv")
    page.goto(f"{page.url.partition('?')[0]}?model={ATTACK}")
    expect(page.get_by_text(f"No model called “{ATTACK}”")).to_be_visible()
    assert page.evaluate("window.__attacked") is None
    assert page.locator("img").count() == 1


def test_the_whole_of_it_works_by_keyboard_alone(desk: Open) -> None:
    page = desk().page
    page.on("filechooser", lambda chooser: None)  # a listener from now on: made with the wait, it may come too late
    page.get_by_label("Model", exact=True).focus()
    page.keyboard.press("Tab")
    field = page.get_by_label("Choose files, or drop them here")
    expect(field).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files({"name": NAME, "mimeType": "text/csv", "buffer": MIXED.encode()})
    expect(page.get_by_role("list", name="Chosen")).to_contain_text(NAME)
    page.keyboard.press("Tab")
    expect(page.get_by_label("Results as")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_label("Keep the file's columns")).not_to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    heading = card(page).get_by_role("heading", name=NAME)
    expect(heading).to_be_focused()
    state(page, "done")
    expect(heading).to_be_focused()
    page.keyboard.press("Tab")
    expect(card(page).get_by_role("link", name="Download the results")).to_be_focused()
    with page.expect_download() as waiting:
        page.keyboard.press("Enter")
    assert waiting.value.suggested_filename == "customers.predictions.csv"
    page.keyboard.press("Tab")
    expect(card(page).get_by_role("link", name="Download the refused rows")).to_be_focused()
    page.keyboard.press("Tab")
    expect(card(page).get_by_role("region", name=f"All scored rows of {NAME}")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(field).to_be_focused()


def untouched(page: Page, bucket: BucketHost, folder: Path) -> None:
    expect(page.get_by_role("region", name="What the file needs").get_by_role("table")).to_be_visible()


def refused(page: Page, bucket: BucketHost, folder: Path) -> None:
    choose(page, ("empty.csv", ""), ("a.csv", GOOD))
    expect(page.get_by_text("“empty.csv” is empty.")).to_be_visible()


def on_the_way(page: Page, bucket: BucketHost, folder: Path) -> None:
    bucket.flowing.clear()
    put(page, large(folder, "a.csv"), "a.csv")
    expect(card(page, "a.csv").get_by_text(re.compile("MB of 12 MB"))).to_be_visible()


def told(page: Page, bucket: BucketHost, folder: Path) -> None:
    card(page, "a.csv").get_by_role("button", name="Cancel").click()
    bucket.flowing.set()
    bucket.scoring.clear()
    put(page, GOOD, "b.csv")
    state(page, "waiting", "b.csv")
    bucket.scoring.set()
    put(page, "a,b\n1,2\n", "c.csv")
    state(page, "failed", "c.csv")
    for title in (NAME, f"{NAME} (2)"):
        put(page, MIXED.replace("n1", "née").encode("latin-1"))
        state(page, "done", title)


@pytest.mark.parametrize("size", LOOKS)
def test_axe_finds_nothing_in_any_state(desk: Open, bucket: BucketHost, axe: str, size: str, tmp_path: Path) -> None:
    page = desk(**LOOKS[size]).page
    for reach in (untouched, refused, on_the_way, told):
        reach(page, bucket, tmp_path)
        assert violations(page, axe) == [], reach.__name__


@pytest.mark.parametrize("width", [320, 768])
def test_nothing_is_wider_than_the_screen(desk: Open, store: Store, width: int) -> None:
    long = "a_name_without_any_place_to_break_" * 5
    models.promote(store, models.build(models.make_spec("long", "binary", {long: {"type": "number"}})))
    page = desk("long", viewport={"width": width, "height": 640}).page
    put(page, f"{long},note\n1,{long * 3}\n", f"{long}.csv")
    state(page, "done", f"{long}.csv")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_headings_and_landmarks_are_in_order(desk: Open) -> None:
    page = desk().page
    put(page)
    state(page, "done")
    assert page.locator("h1, h2, h3").all_inner_texts() == [
        "Score a file with Iris", "File", "What the file needs", "Your files", NAME,
    ]  # fmt: skip
    for role in ("banner", "main", "contentinfo", "navigation"):
        expect(page.get_by_role(role)).to_have_count(1)


def test_the_policy_lets_files_go_to_one_address_alone(desk: Open, bucket: BucketHost) -> None:
    opened = desk()
    page = opened.page
    for url, expected in {
        bucket.url: "sent",
        f"{bucket.origin}/another-bucket": "blocked",
        "http://127.0.0.1:9/": "blocked",
    }.items():
        fetch = "(url) => fetch(url, {mode: 'no-cors'}).then(() => 'sent', () => 'blocked')"
        blocked = len(opened.blocked())
        page.evaluate(fetch, url)
        assert (len(opened.blocked()) > blocked) == (expected == "blocked"), url
    page.evaluate("window.__violations = []")
    opened.complaints.clear()
    opened.requests.clear()


def test_an_id_is_sent_to_the_api_and_nowhere_else(desk: Open, bucket: BucketHost) -> None:
    seen: list[Request] = []
    page = desk().page

    def note(request: Request) -> None:
        seen.append(request)

    page.on("request", note)
    put(page)
    state(page, "done")
    [identifier] = [each["id"] for each in kept(page)]
    saved(page, "Download the results")
    for request in seen:
        if identifier in request.url:
            assert origin_of(request.url) not in (bucket.origin, origin_of(page.url))
        assert identifier not in (request.post_data_buffer or b"").decode(errors="replace")
        assert "referer" not in request.all_headers()
