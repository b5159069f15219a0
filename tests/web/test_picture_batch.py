"""The page for whole files with a model of pictures: a zip or a picture goes in, a table comes out."""

from __future__ import annotations

import csv
import io
import zipfile

import pytest
from playwright.sync_api import expect

from perennial.store import Store
from tests.support.pictures import picture_bytes
from tests.web.batch_harness import GOOD, NAME, card, choose, figures, put, state
from tests.web.bucket_host import BucketHost
from tests.web.conftest import Open
from tests.web.picture_harness import GREEN, MODEL, cat, promote_pets
from tests.web.test_form_access import LOOKS, violations

DOG = picture_bytes(GREEN)


@pytest.fixture(autouse=True)
def pets(store: Store) -> None:
    promote_pets(store)


def zipped(**entries: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), data)
    return sink.getvalue()


PETS = zipped(cat_png=cat()["buffer"], more__dog_jpg=DOG, more__torn_png=DOG[:60])


@pytest.mark.parametrize("look", ["light", "dark-phone"])
def test_a_zip_of_pictures_comes_back_as_a_table(desk: Open, bucket: BucketHost, axe: str, look: str) -> None:
    page = desk(MODEL, **LOOKS[look]).page
    needs = page.get_by_role("region", name="What the file needs")
    expect(needs).to_contain_text("In a zip, each picture is a row")
    expect(page.get_by_label("Choose files")).to_have_accessible_description(
        "A zip of pictures, in folders or not, or a single picture."
    )
    assert violations(page, axe) == []
    job = put(page, PETS, NAME.replace(".csv", ".zip"))
    name = NAME.replace(".csv", ".zip")
    state(page, "done", name)
    assert figures(job) == {"Rows read": "3", "Scored": "2", "Quarantined": "1"}
    assert bucket.arrived[0].endswith(".zip")
    table = job.get_by_role("table")
    expect(table.locator("tbody tr").nth(0)).to_contain_text("cat.png")
    expect(table.locator("tbody tr").nth(1)).to_contain_text("more/dog.jpg")
    assert violations(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    with page.expect_download() as waiting:
        card(page, name).get_by_role("link", name="Download the results").click()
    rows = list(csv.DictReader(io.StringIO(waiting.value.path().read_text())))
    assert [(row["file"], row["prediction"]) for row in rows] == [("cat.png", "cat"), ("more/dog.jpg", "dog")]


def test_one_picture_is_a_file_of_one_row(desk: Open) -> None:
    page = desk(MODEL).page
    job = put(page, DOG, "dog.png")
    state(page, "done", "dog.png")
    assert figures(job)["Scored"] == "1"
    expect(job.get_by_role("table")).to_contain_text("dog")


def test_a_table_for_a_model_of_pictures_fails_with_its_reason(desk: Open) -> None:
    page = desk(MODEL).page
    job = put(page, GOOD)
    state(page, "failed")
    expect(job.locator(".failure")).to_contain_text("no column that says where pictures are")


def test_a_file_is_judged_anew_for_another_model(desk: Open) -> None:
    page = desk("iris").page
    expect(page.get_by_role("region", name="What the file needs")).to_contain_text("petal_width")
    choose(page, ("pets.zip", PETS), ("dog.png", DOG))
    expect(page.get_by_text("“pets.zip” is an archive or a workbook.")).to_be_visible()
    expect(page.get_by_text("“dog.png” is a picture, and this model reads tables.")).to_be_visible()
    expect(page.get_by_role("button", name="Score the file")).to_be_visible()
    page.get_by_label("Model", exact=True).select_option(MODEL)
    expect(page.get_by_role("button", name="Score 2 files")).to_be_visible()
    expect(page.get_by_text("is an archive or a workbook")).to_have_count(0)
