"""The form for models of pictures in a real browser, asking the real API: what is sent, and what is answered."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from perennial import keys
from perennial.images.pixels import framed
from perennial.images.record import read_record
from perennial.serving.ids import day_of
from perennial.serving.labels import Label
from perennial.store import Store
from tests.support.picture_models import BuiltPictures, answer
from tests.support.pictures import picture_bytes
from tests.web.conftest import Open
from tests.web.picture_harness import (
    MODEL,
    ORIENTATION,
    arrived,
    asked,
    cat,
    choose,
    field,
    photograph,
    pixel,
    predict,
    preview,
    promote_pets,
    quarters,
    shown,
    sized,
)

MADE_IN_THE_PAGE = """async (how) => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 40, height: 30 });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "rgb(20 200 20)";
  pen.fillRect(0, 0, 40, 30);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  if (how === "clipboard") return navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
  const held = new DataTransfer();
  held.items.add(new File([blob], "dropped.png", { type: "image/png" }));
  for (const name of ["dragover", "drop"])
    document.querySelector("h1").dispatchEvent(new DragEvent(name, { dataTransfer: held, bubbles: true }));
}"""


@pytest.fixture
def pets(store: Store) -> BuiltPictures:
    return promote_pets(store)


def test_a_chosen_picture_is_sent_as_it_is_and_answered(visit: Open, store: Store, pets: BuiltPictures) -> None:
    page = visit(MODEL).page
    expect(page.get_by_role("heading", level=1)).to_have_text("Pets")
    file = cat("holiday.png")
    said = asked(page, file)
    [(data, _)] = arrived(store)
    assert data == file["buffer"]
    expected = answer(pets, framed(read_record(data).picture, pets.frame))
    expect(shown(page)).to_have_text("cat")
    for place, label in enumerate(pets.manifest.classes):
        bar = said.get_by_role("progressbar", name=label)
        assert float(bar.get_attribute("value") or "") == pytest.approx(expected[place])
    expect(said).to_contain_text(pets.version)
    expect(page.get_by_role("region", name="This model")).to_contain_text("30 pictures it never saw")
    expect(page.get_by_text(sized(64, 48))).to_be_visible()


def test_a_picture_dropped_anywhere_is_taken(visit: Open, store: Store, pets: BuiltPictures) -> None:
    page = visit(MODEL).page
    expect(field(page)).to_be_visible()
    page.evaluate(MADE_IN_THE_PAGE, "drop")
    expect(preview(page)).to_have_accessible_name("Preview of dropped.png")
    expect(field(page)).to_be_focused()
    predict(page)
    expect(shown(page)).to_have_text("dog")


def test_a_picture_is_pasted_from_the_clipboard(visit: Open, pets: BuiltPictures) -> None:
    page = visit(MODEL, permissions=["clipboard-read", "clipboard-write"]).page
    expect(field(page)).to_be_visible()
    page.evaluate(MADE_IN_THE_PAGE, "clipboard")
    page.keyboard.press("ControlOrMeta+v")
    expect(preview(page)).to_be_visible()
    expect(page.get_by_text(sized(40, 30))).to_be_visible()
    predict(page)
    expect(shown(page)).to_have_text("dog")


def test_a_phone_offers_its_camera(visit: Open, pets: BuiltPictures) -> None:
    page = visit(MODEL, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True).page
    button = page.get_by_role("button", name="Take a photograph")
    with page.expect_file_chooser() as chooser:
        button.click()
    assert chooser.value.element.get_attribute("capture") == "environment"
    assert not chooser.value.is_multiple()
    chooser.value.set_files(cat("IMG_0001.jpg", "JPEG"))
    expect(preview(page)).to_have_accessible_name("Preview of IMG_0001.jpg")
    predict(page)
    expect(shown(page)).to_be_in_viewport()


def test_a_computer_without_a_touch_screen_offers_no_camera(visit: Open, pets: BuiltPictures) -> None:
    page = visit(MODEL).page
    expect(field(page)).to_be_visible()
    expect(page.get_by_role("button", name="Take a photograph")).to_have_count(0)


def test_a_picture_too_large_is_made_smaller_and_stands_upright(visit: Open, store: Store, pets: BuiltPictures) -> None:
    data = photograph()
    assert len(data) > 4_500_000
    page = visit(MODEL).page
    asked(page, {"name": "IMG_0002.jpg", "mimeType": "image/jpeg", "buffer": data})
    expect(page.get_by_text(re.compile(f"Made smaller, from {sized(2000, 3000)} and [5-9]"))).to_be_visible()
    [(sent, picture)] = arrived(store)
    assert (picture.width, picture.height, picture.media_type) == (683, 1024, "image/jpeg")
    assert len(sent) < 500_000
    assert Image.open(io.BytesIO(sent)).getexif() == {}
    means = [picture.pixels[rows, columns].mean(axis=(0, 1)) for rows, columns in QUARTERS]
    assert [int(mean.argmax()) for mean in means] == [2, 0, 2, 2]
    expect(shown(page)).to_have_text("cat")
    seen = preview(page)
    assert seen.evaluate("(e) => [e.width, e.height]") == [427, 640]
    assert pixel(seen, 0.75, 0.25)[0] > 150
    assert pixel(seen, 0.25, 0.75)[2] > 150


QUARTERS = [
    (rows, columns) for rows in (slice(0, 400), slice(600, None)) for columns in (slice(0, 250), slice(400, None))
]
"""Top left, top right, bottom left, bottom right of a picture of 683 by 1,024 pixels, without what is between."""


def test_the_preview_of_a_turned_photograph_is_upright(visit: Open, pets: BuiltPictures) -> None:
    page = visit(MODEL).page
    for orientation, turn in LYING.items():
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        data = picture_bytes(Image.fromarray(quarters()).transpose(turn), "JPEG", exif=exif, quality=95)
        choose(page, {"name": f"{orientation}.jpg", "mimeType": "", "buffer": data})
        expect(preview(page)).to_have_accessible_name(f"Preview of {orientation}.jpg")
        expect(page.get_by_text(sized(64, 48))).to_be_visible()
        assert pixel(preview(page), 0.75, 0.25)[0] > 150, orientation
        predict(page)
        expect(shown(page)).to_have_text("cat")


_T = Image.Transpose
LYING = {
    2: _T.FLIP_LEFT_RIGHT, 3: _T.ROTATE_180, 4: _T.FLIP_TOP_BOTTOM, 5: _T.TRANSPOSE, 6: _T.ROTATE_90,
    7: _T.TRANSVERSE, 8: _T.ROTATE_270,
}  # fmt: skip
"""How an upright picture lies in a file of each orientation."""


def test_a_large_picture_without_loss_stays_so_and_what_is_clear_becomes_white(
    visit: Open, store: Store, pets: BuiltPictures
) -> None:
    pixels = quarters((2000, 1500), noise=60)
    clear = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    clear[-700:] = 0
    page = visit(MODEL).page
    asked(page, cat("scan.png") | {"buffer": picture_bytes(clear, compress_level=1)})
    [(_, picture)] = arrived(store)
    assert (picture.width, picture.height, picture.media_type) == (1024, 768, "image/png")
    assert picture.pixels[-100:].min() == 255


def test_what_a_browser_reads_and_the_api_does_not_is_saved_anew(
    visit: Open, store: Store, pets: BuiltPictures
) -> None:
    page = visit(MODEL).page
    asked(page, cat("cat.avif", "AVIF"))
    expect(page.get_by_text("Saved anew as a format that is taken.")).to_be_visible()
    [(_, picture)] = arrived(store)
    assert (picture.width, picture.height, picture.media_type) == (64, 48, "image/jpeg")


def test_what_the_api_reads_and_a_browser_does_not_is_sent_unseen(
    visit: Open, store: Store, pets: BuiltPictures
) -> None:
    page = visit(MODEL).page
    file = cat("scan.tif", "TIFF")
    choose(page, file)
    expect(page.get_by_text("This browser cannot show it; it is sent as it is.")).to_be_visible()
    predict(page)
    expect(shown(page)).to_have_text("cat")
    page.get_by_role("button", name="Show where the model looked").click()
    expect(page.get_by_role("img", name="Heat map over scan.tif")).to_be_visible()
    assert [data for data, _ in arrived(store)] == [file["buffer"]]


def test_a_name_says_nothing(visit: Open, store: Store, pets: BuiltPictures) -> None:
    page = visit(MODEL).page
    file = cat("notes.txt", "JPEG")
    asked(page, file)
    assert [data for data, _ in arrived(store)] == [file["buffer"]]


def test_where_the_model_looked_is_drawn_over_the_picture_and_told(visit: Open, pets: BuiltPictures) -> None:
    page = visit(MODEL).page
    said = asked(page)
    prediction = said.locator("dl div", has_text="Prediction").text_content()
    said.get_by_role("button", name="Show where the model looked").click()
    heat = said.get_by_role("img", name="Heat map over cat.png")
    expect(heat).to_be_visible()
    expect(said.get_by_role("heading", name="Where did it look?")).to_be_focused()
    words = said.locator(".heat figcaption")
    expect(words).to_contain_text(re.compile(r"most at the top right: .*probability of cat falls by \d\d percentage"))
    expect(said.get_by_role("status").first).to_have_text(words.inner_text())
    red, green, blue = pixel(heat, 0.99, 0.01)
    assert red > green + 40 > blue + 60  # orange over grey
    red, green, blue = pixel(heat, 0.3, 0.7)
    assert red == green == blue
    said.get_by_text("As numbers").click()
    table = said.get_by_role("table")
    expect(table.locator("tbody tr")).to_have_count(8)
    falls = [float(each.replace("\N{MINUS SIGN}", "-")) for each in table.locator("tbody tr td").all_inner_texts()]
    assert len(falls) == 64
    assert int(np.argmax(falls)) == 7
    assert falls[7] > 20
    expect(said.locator("dl div", has_text="Prediction")).to_have_text(prediction or "")


def test_a_version_that_was_promoted_meanwhile_explains_its_own_answer(
    visit: Open, store: Store, pets: BuiltPictures
) -> None:
    page = visit(MODEL).page
    said = asked(page)
    newer = promote_pets(store, seed=5)
    said.get_by_role("button", name="Show where the model looked").click()
    expect(said.get_by_role("img", name="Heat map")).to_be_visible()
    expect(said).to_contain_text(newer.version)
    expect(page.get_by_role("region", name="This model")).to_contain_text(newer.version)


def test_the_true_class_is_told_of_a_picture(visit: Open, store: Store, pets: BuiltPictures) -> None:
    page = visit(MODEL).page
    with page.expect_response(re.compile(r"/predict$")) as response:
        asked(page)
    given = response.value.json()
    block = page.get_by_role("region", name="Was this right?")
    block.get_by_role("button", name="No").click()
    expect(block.get_by_label("True value of label")).to_be_focused()
    block.get_by_role("button", name="Send").click()
    expect(block.get_by_role("status")).to_have_text("Thank you. That it was dog is stored.")
    identifier = given["prediction_id"]
    label = Label.model_validate_json(store.get(keys.label(MODEL, day_of(identifier), identifier)).data)
    assert label.truth == "dog"


def test_an_answer_to_another_picture_is_marked_as_such(visit: Open, pets: BuiltPictures) -> None:
    page = visit(MODEL).page
    asked(page)
    choose(page, cat("other.jpg", "JPEG"))
    expect(page.get_by_text("Another picture has been chosen since this answer.")).to_be_visible()
    predict(page)
    expect(page.get_by_text("Another picture has been chosen")).to_have_count(0)
    page.get_by_role("button", name="Clear").click()
    expect(preview(page)).to_have_count(0)
    expect(shown(page)).to_have_count(0)
    expect(field(page)).to_be_focused()
    expect(field(page)).to_have_value("")


def test_of_several_pictures_the_first_is_taken(visit: Open, pets: BuiltPictures) -> None:
    page = visit(MODEL).page
    expect(field(page)).to_be_visible()
    page.evaluate(MADE_IN_THE_PAGE.replace("held.items.add", "for (const _ of [1, 2]) held.items.add"), "drop")
    expect(page.get_by_text("One at a time: the first of 2 was taken.")).to_be_visible()
    expect(page.get_by_role("link", name="Score many pictures")).to_have_attribute("href", "./batch.html?model=pets")


def test_all_of_it_goes_by_keyboard(visit: Open, store: Store, pets: BuiltPictures) -> None:
    page = visit(MODEL).page
    expect(field(page)).to_be_visible()
    page.on("filechooser", lambda chooser: None)  # a listener from now on: made with the wait, it may come too late
    page.get_by_label("Model", exact=True).focus()
    page.keyboard.press("Tab")
    expect(field(page)).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(cat())
    expect(preview(page)).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(shown(page)).to_have_text("cat")
    for _ in range(9):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText.startsWith('Show where')"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Where did it look?")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("table")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Yes")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Thank you. That it was cat is stored.")).to_be_visible()


def test_who_asks_a_model_of_tables_does_not_load_the_form_for_pictures(visit: Open, pets: BuiltPictures) -> None:
    opened = visit("iris")
    page = opened.page
    expect(page.get_by_label("Sepal length")).to_be_visible()

    def later() -> list[str]:
        return [url for url in opened.requests if re.search(r"/(bench|pictures)-\w+\.(js|css)$", url)]

    assert later() == []
    page.get_by_label("Model", exact=True).select_option(MODEL)
    expect(field(page)).to_be_visible()
    assert len(later()) == 2
    page.get_by_label("Model", exact=True).select_option("iris")
    expect(page.get_by_label("Sepal length")).to_be_visible()
