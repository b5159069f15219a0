"""What a reader is told when a file cannot be sent, is cut off on its way, or is lost sight of; and how it goes on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.web.batch_harness import (
    GOOD,
    MIXED,
    NAME,
    asked,
    card,
    choose,
    figures,
    kept,
    large,
    news,
    put,
    saved,
    state,
)
from tests.web.bucket_host import BucketHost
from tests.web.conftest import MOST, Open
from tests.web.web_harness import wait_for


def test_what_cannot_be_scored_is_told_before_anything_is_sent(desk: Open, bucket: BucketHost) -> None:
    opened = desk()
    page = opened.page
    page.get_by_role("button", name="Score the file").click()
    alert = page.locator("#files-problem")
    expect(alert).to_have_text("Choose a file first.")
    field = page.get_by_label("Choose files, or drop them here")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile("Choose a file first"))
    choose(page, ("empty.csv", ""), ("book.xlsx", b"PK\x03\x04and so on"), (NAME, GOOD))
    expect(alert).to_contain_text("“empty.csv” is empty.")
    expect(alert).to_contain_text("“book.xlsx” is an archive or a workbook. Save its table as CSV, and choose that.")
    expect(page.get_by_role("list", name="Chosen").get_by_role("listitem")).to_have_text([f"{NAME} {len(GOOD)} bytes"])
    choose(page, (NAME, GOOD))
    expect(alert).to_have_text("")
    assert bucket.begun == 0
    assert not [url for url in opened.requests if "/batches" in url]


def test_too_large_a_file_is_told_before_it_is_sent(desk: Open, bucket: BucketHost, tmp_path: Path) -> None:
    page = desk().page
    job = put(page, large(tmp_path, "huge.csv", MOST + 1_000_000), "huge.csv")
    state(page, "not sent", "huge.csv")
    expect(job.locator(".failure")).to_contain_text("It is too large.A file has at most 20 MB.")
    assert bucket.begun == 0
    expect(job.get_by_role("button", name="Send again")).to_be_visible()


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ((400, "<Error><Code>EntityTooLarge</Code></Error>"), "It is too large."),
        (
            (403, "<Error><Code>AccessDenied</Code><Message>Policy expired.</Message></Error>"),
            "The permission to send it had ended.",
        ),
        ((403, "<Error><Code>AccessDenied</Code></Error>"), "The bucket refused it.It said AccessDenied."),
    ],
)
def test_what_the_bucket_refuses_is_told_and_can_be_sent_again(
    desk: Open, bucket: BucketHost, refusal: tuple[int, str], words: str
) -> None:
    page = desk().page
    bucket.refusal = refusal
    job = put(page)
    state(page, "not sent")
    expect(job.locator(".failure")).to_contain_text(words)
    job.get_by_role("button", name="Send again").click()
    state(page, "done")
    expect(job.locator(".failure")).to_have_count(0)


def test_the_way_of_a_file_is_shown_and_can_be_broken_off(desk: Open, bucket: BucketHost, tmp_path: Path) -> None:
    bucket.flowing.clear()
    page = desk().page
    job = put(page, large(tmp_path))
    expect(job.get_by_text(re.compile(r"^\d+ %, [\d.]+ MB of 12 MB"))).to_be_visible()
    share = float(job.get_by_role("progressbar", name=f"{NAME}: sending").get_attribute("value") or "")
    assert 0 < share < 1
    job.get_by_role("button", name="Cancel").click()
    state(page, "cancelled")
    bucket.flowing.set()
    assert bucket.arrived == []
    job.get_by_role("button", name="Send again").click()
    state(page, "done")
    assert figures(job)["Rows read"] == figures(job)["Scored"] != "0"


def test_leaving_while_a_file_is_on_its_way_asks_first(desk: Open, bucket: BucketHost, tmp_path: Path) -> None:
    bucket.flowing.clear()
    page = desk().page
    asked_first: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked_first.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    job = put(page, large(tmp_path))
    expect(job.get_by_text(re.compile("MB of 12 MB"))).to_be_visible()
    page.evaluate("setTimeout(() => location.reload())")
    wait_for(lambda: page.evaluate("1") == 1 and bool(asked_first), "the question")
    assert asked_first == ["beforeunload"]
    job.get_by_role("button", name="Cancel").click()
    state(page, "cancelled")
    page.reload()
    expect(page.get_by_text("Your files")).to_have_count(0)
    assert asked_first == ["beforeunload"]


def test_a_connection_that_breaks_is_told_and_the_file_sent_again(
    desk: Open, bucket: BucketHost, tmp_path: Path
) -> None:
    bucket.cuts = 1
    page = desk().page
    job = put(page, large(tmp_path))
    expect(job.get_by_text("The connection broke. It is sent again from its beginning in 2 seconds.")).to_be_visible()
    expect(news(page)).to_have_text(f"{NAME}: the connection broke, it is sent again.")
    state(page, "done")
    assert (bucket.begun, len(bucket.arrived)) == (2, 1)


def test_a_connection_that_stays_broken_is_told_and_waits_for_the_reader(
    desk: Open, bucket: BucketHost, tmp_path: Path
) -> None:
    bucket.cuts = 4
    page = desk().page
    page.clock.install()
    job = put(page, large(tmp_path))
    for seconds in (2, 5, 15):
        expect(job.get_by_text(f"from its beginning in {seconds} seconds.")).to_be_visible()
        page.clock.fast_forward(seconds * 1000)
    state(page, "not sent")
    expect(job.locator(".failure")).to_contain_text("The connection broke each time.Nothing was scored.")
    assert (bucket.begun, bucket.arrived) == (4, [])
    job.get_by_role("button", name="Send again").click()
    state(page, "done")


def test_a_file_whose_answer_was_lost_is_not_sent_twice(desk: Open, bucket: BucketHost) -> None:
    bucket.lost = 1
    page = desk().page
    put(page)
    state(page, "done")
    assert (bucket.begun, len(bucket.arrived)) == (1, 1)


def test_an_api_that_goes_away_is_told_and_asked_again(desk: Open, bucket: BucketHost) -> None:
    bucket.scoring.clear()
    opened = desk()
    page = opened.page
    job = put(page)
    state(page, "waiting")
    opened.api.stop()
    told = job.get_by_text("The API cannot be reached. What is shown may be old; this page goes on asking by itself.")
    expect(told).to_be_visible()
    expect(news(page)).to_have_text(f"{NAME}: the connection is lost, asking again.")
    bucket.scoring.set()
    opened.api.start()
    state(page, "done")
    expect(told).to_have_count(0)


def test_an_api_that_is_away_from_the_start_is_told(desk: Open, bucket: BucketHost) -> None:
    opened = desk()
    opened.api.stop()
    job = put(opened.page)
    state(opened.page, "not sent")
    expect(job.locator(".failure")).to_contain_text("The API cannot be reached.")
    opened.api.start()
    job.get_by_role("button", name="Send again").click()
    state(opened.page, "done")


def test_a_page_that_nobody_sees_asks_nothing(desk: Open, bucket: BucketHost) -> None:
    bucket.scoring.clear()
    opened = desk()
    page = opened.page
    page.clock.install()
    put(page)
    state(page, "waiting")
    look(page, "hidden")
    page.clock.run_for(15_000)
    before = asked(opened)
    page.clock.run_for(60_000)
    assert asked(opened) == before
    bucket.scoring.set()
    look(page, "visible")
    state(page, "done")


def look(page: Page, visibility: str) -> None:
    page.evaluate(
        """(state) => {
          Object.defineProperty(document, "visibilityState", {value: state, configurable: true});
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        visibility,
    )


def test_the_less_happens_the_less_is_asked(desk: Open, bucket: BucketHost) -> None:
    bucket.scoring.clear()
    opened = desk()
    opened.page.clock.install()
    put(opened.page)
    state(opened.page, "waiting")
    for _ in range(60):
        opened.page.clock.run_for(1000)
        opened.page.wait_for_timeout(10)
    assert 5 <= asked(opened) <= 15


def test_loading_the_page_again_finds_the_file_again(desk: Open, bucket: BucketHost) -> None:
    bucket.scoring.clear()
    page = desk().page
    put(page)
    state(page, "waiting")
    [identifier] = [each["id"] for each in kept(page)]
    page.reload()
    state(page, "waiting")
    bucket.scoring.set()
    state(page, "done")
    assert identifier not in page.url
    page.reload()
    state(page, "done")
    assert figures(card(page))["Scored"] == "3"
    saved(page, "Download the results")
    card(page).get_by_role("button", name="Remove from this page").click()
    expect(page.get_by_label("Choose files, or drop them here")).to_be_focused()
    page.reload()
    expect(page.get_by_text("Your files")).to_have_count(0)
    assert kept(page) == []


def test_another_tab_knows_nothing_of_it(desk: Open) -> None:
    page = desk().page
    put(page)
    state(page, "done")
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.get_by_role("heading", level=1)).to_be_visible()
    expect(other.get_by_text("Your files")).to_have_count(0)


def test_a_file_that_was_left_on_its_way_is_told_as_not_arrived(desk: Open, bucket: BucketHost, tmp_path: Path) -> None:
    bucket.flowing.clear()
    page = desk().page
    page.on("dialog", lambda dialog: dialog.accept())
    job = put(page, large(tmp_path))
    expect(job.get_by_text(re.compile("MB of 12 MB"))).to_be_visible()
    page.reload()
    state(page, "not sent")
    expect(job).to_contain_text("No file has arrived: the page was left while it was being sent. Choose it again.")


def test_a_file_the_api_does_not_know_is_told(desk: Open) -> None:
    page = desk().page
    put(page)
    state(page, "done")
    page.evaluate(
        """() => { for (const key of Object.keys(sessionStorage)) sessionStorage.setItem(key,
             JSON.stringify(JSON.parse(sessionStorage.getItem(key)).map((each) => ({...each, id: "A".repeat(43)}))))}"""
    )
    page.reload()
    state(page, "lost")
    expect(card(page).locator(".failure")).to_contain_text("The API does not know this file.")


def test_a_link_that_may_have_ended_is_fetched_anew(desk: Open) -> None:
    opened = desk()
    page = opened.page
    page.clock.install()
    put(page)
    state(page, "done")
    before = asked(opened)
    saved(page, "Download the results")
    assert asked(opened) == before
    old = card(page).get_by_role("link", name="Download the results").get_attribute("href")
    page.clock.fast_forward(600_000)
    page.wait_for_timeout(1100)  # links are signed by the second
    _, body = saved(page, "Download the results")
    assert body.startswith(b"row,")
    assert asked(opened) == before + 1
    expect(card(page).get_by_role("link", name="Download the results")).not_to_have_attribute("href", old or "")


def test_several_files_go_one_after_another(desk: Open, bucket: BucketHost, tmp_path: Path) -> None:
    page = desk().page
    bucket.flowing.clear()
    for name, body in {"b.csv": GOOD, "c.csv": MIXED}.items():
        (tmp_path / name).write_text(body)
    choose(page, large(tmp_path, "a.csv", 3_000_000), tmp_path / "b.csv", tmp_path / "c.csv")
    page.get_by_role("button", name="Score 3 files").click()
    state(page, "sending", "a.csv")
    state(page, "queued", "b.csv")
    card(page, "b.csv").get_by_role("button", name="Cancel").click()
    state(page, "cancelled", "b.csv")
    bucket.flowing.set()
    state(page, "done", "a.csv")
    state(page, "done", "c.csv")
    assert bucket.most_at_once == 1
    assert page.get_by_role("heading", level=3).all_inner_texts() == ["a.csv", "b.csv", "c.csv"]
    put(page, GOOD, "d.csv")
    state(page, "done", "d.csv")
    assert page.get_by_role("heading", level=3).all_inner_texts() == ["d.csv", "a.csv", "b.csv", "c.csv"]


def test_a_file_can_be_dropped_anywhere_on_the_page(desk: Open) -> None:
    page = desk().page
    held = page.evaluate_handle(
        """(text) => {
          const held = new DataTransfer();
          held.items.add(new File([text], "dropped.csv"));
          return held;
        }""",
        GOOD,
    )
    page.dispatch_event("footer", "dragover", {"dataTransfer": held})
    expect(page.locator(".drop.over")).to_be_visible()
    page.dispatch_event("footer", "drop", {"dataTransfer": held})
    expect(page.locator(".drop.over")).to_have_count(0)
    expect(page.get_by_role("list", name="Chosen")).to_contain_text("dropped.csv")
    page.get_by_role("button", name="Score dropped.csv").click()
    state(page, "done", "dropped.csv")
