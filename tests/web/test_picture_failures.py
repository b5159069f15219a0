"""What a reader is told of pictures that cannot be used, of a slow network, and of an API that refuses or is away."""

from __future__ import annotations

import io
import json
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from perennial.store import Store
from tests.support.pictures import picture_bytes
from tests.web.conftest import Open
from tests.web.picture_harness import (
    MODEL,
    arrived,
    asked,
    cat,
    choose,
    field,
    photograph,
    predict,
    preview,
    problem,
    promote_pets,
    quarters,
    shown,
)


@pytest.fixture
def pets(store: Store) -> None:
    promote_pets(store)


def frames(format: str, **options: object) -> bytes:
    """An animation of two pictures."""
    first, second = Image.fromarray(quarters()), Image.fromarray(quarters()[::-1].copy())
    sink = io.BytesIO()
    first.save(sink, format, save_all=True, append_images=[second], duration=100, **options)
    return sink.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that says it has 20,000 × 20,000 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


UNUSABLE = {
    "empty.png": (b"", "It is empty."),
    "drawing.svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "It is markup such as SVG, not a picture of pixels."),
    "page.jpg": (b"<!doctype html><script>1</script>", "Choose one saved as JPEG, PNG, WebP, GIF, BMP or TIFF."),
    "letter.pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "It is no picture that can be read."),
    "moving.webp": (frames("WEBP"), "It is an animation."),
    "moving.png": (frames("PNG"), "It is an animation."),
    "bomb.png": (bomb(), "It has 400 million pixels."),
}


def test_what_is_no_picture_is_told_at_once_and_never_sent(visit: Open, pets: None) -> None:
    opened = visit(MODEL)
    page = opened.page
    for name, (data, words) in UNUSABLE.items():
        choose(page, {"name": name, "mimeType": "image/png", "buffer": data})
        expect(problem(page)).to_contain_text(f"“{name}”: ")
        expect(problem(page)).to_contain_text(words)
        expect(field(page)).to_have_attribute("aria-invalid", "true")
        expect(field(page)).to_have_accessible_description(re.compile(re.escape(words)))
        predict(page)
        expect(field(page)).to_be_focused()
    assert not [url for url in opened.requests if "/predict" in url]
    choose(page)
    expect(preview(page)).to_be_visible()
    expect(problem(page)).to_have_text("")
    expect(field(page)).not_to_have_attribute("aria-invalid", "true")


def test_without_a_picture_nothing_is_asked(visit: Open, pets: None) -> None:
    page = visit(MODEL).page
    predict(page)
    expect(problem(page)).to_have_text("Choose a picture first.")
    expect(field(page)).to_be_focused()


def answered_with(page: Page, file_name: str, data: bytes) -> str:
    choose(page, {"name": file_name, "mimeType": "", "buffer": data})
    expect(page.locator(".preview figcaption")).to_contain_text(file_name)
    predict(page)
    alert = page.get_by_role("region", name="Answer").get_by_role("alert")
    expect(alert).to_be_visible()
    return alert.inner_text()


def test_what_the_api_refuses_is_told_in_its_words(visit: Open, store: Store, pets: None) -> None:
    page = visit(MODEL).page
    torn = picture_bytes(quarters(), "TIFF")[:200]
    told = answered_with(page, "torn.tif", torn)
    assert "The picture was refused." in told
    assert "damaged or cut short" in told
    told = answered_with(page, "moving.gif", frames("GIF"))
    assert "A picture of this kind is not taken." in told
    assert "holds more than one" in told
    assert "Try again" not in told
    assert arrived(store) == []
    choose(page)
    expect(page.get_by_role("region", name="Answer").get_by_role("alert")).to_have_count(0)
    predict(page)
    expect(shown(page)).to_have_text("cat")


def test_a_picture_larger_than_the_api_takes_by_now_is_told_in_sizes(visit: Open, pets: None) -> None:
    page = visit(MODEL).page

    def generous(route: Route) -> None:
        response = route.fetch()
        schema = response.json()
        schema["x-perennial"]["image"]["max_bytes"] = 20_000_000
        route.fulfill(response=response, json=schema)

    page.route("**/schema", generous)
    page.reload()
    told = answered_with(page, "IMG_0003.jpg", photograph())
    assert "The picture is too large." in told
    assert re.search(r"at most 4\.\d+ MB", told)


def test_a_busy_api_is_told_and_asked_again(visit: Open, pets: None) -> None:
    opened = visit(MODEL)
    page = opened.page
    busy = {"title": "Service Unavailable", "status": 503, "detail": "Too much is in line at the moment."}

    def refuse(route: Route) -> None:
        if route.request.method == "OPTIONS":
            return route.continue_()
        headers = {
            "access-control-allow-origin": route.request.headers["origin"],
            "access-control-expose-headers": "retry-after",
            "retry-after": "2",
            "content-type": "application/problem+json",
        }
        return route.fulfill(status=503, headers=headers, body=json.dumps(busy))

    page.route("**/predict", refuse)
    choose(page)
    expect(preview(page)).to_be_visible()
    predict(page)
    alert = page.get_by_role("alert").filter(has_text="The API is not ready.")
    expect(alert).to_contain_text("Too much is in line at the moment. Try again in 2 seconds.")
    page.unroute("**/predict")
    alert.get_by_role("button", name="Try again").click()
    expect(shown(page)).to_have_text("cat")


def test_an_api_that_went_away_is_told_and_the_picture_is_kept(visit: Open, pets: None) -> None:
    opened = visit(MODEL)
    page = opened.page
    said = asked(page)
    opened.api.stop()
    said.get_by_role("button", name="Show where the model looked").click()
    expect(said.get_by_role("alert")).to_contain_text("The API cannot be reached.")
    expect(shown(page)).to_have_text("cat")
    predict(page)
    expect(shown(page)).to_have_count(0)
    expect(said.get_by_role("alert")).to_contain_text("The API cannot be reached.")
    opened.api.start()
    said.get_by_role("button", name="Try again").click()
    expect(shown(page)).to_have_text("cat")


def test_a_slow_network_shows_how_far_it_is_and_can_be_cancelled(visit: Open, store: Store, pets: None) -> None:
    page = visit(MODEL).page
    noise = picture_bytes(np.random.default_rng(3).integers(0, 255, (500, 500, 3)).astype(np.uint8))
    choose(page, cat() | {"buffer": noise})
    expect(preview(page)).to_be_visible()
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    slow = {"offline": False, "latency": 20, "downloadThroughput": -1, "uploadThroughput": 150_000}
    network.send("Network.emulateNetworkConditions", slow)
    predict(page)
    said = page.get_by_role("region", name="Answer")
    expect(said.get_by_text(re.compile(r"^Sending: [1-9]\d? %$"))).to_be_visible()
    bar = said.get_by_role("progressbar", name="Progress")
    assert 0 < float(bar.get_attribute("value") or "") < 1
    expect(page.get_by_role("button", name="Predict")).to_have_attribute("aria-busy", "true")
    page.get_by_role("button", name="Cancel").click()
    expect(said.get_by_text("Choose a picture and press Predict.")).to_be_visible()
    expect(preview(page)).to_be_visible()
    network.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
    predict(page)
    expect(shown(page)).to_be_visible()
    assert [data for data, _ in arrived(store)] == [noise]


def test_a_part_of_the_page_that_does_not_arrive_is_told(visit: Open, pets: None) -> None:
    opened = visit("iris")
    page = opened.page
    page.route(re.compile(r"/bench-\w+\.js$"), lambda route: route.abort())
    page.get_by_label("Model", exact=True).select_option(MODEL)
    expect(page.get_by_role("alert")).to_contain_text("A part of it did not arrive. Load the page again.")
    page.unroute(re.compile(r"/bench-\w+\.js$"))
    page.reload()
    expect(field(page)).to_be_visible()
