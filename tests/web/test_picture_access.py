"""The form for pictures, for everyone: axe-core finds nothing, phones fit, everything has its name."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from perennial.store import Store
from tests.web.conftest import Open
from tests.web.picture_harness import MODEL, asked, cat, choose, field, predict, preview, problem, promote_pets, sized
from tests.web.test_form_access import LOOKS, violations


@pytest.fixture
def pets(store: Store) -> None:
    promote_pets(store)


def untouched(page: Page) -> None:
    expect(field(page)).to_be_visible()


def refused(page: Page) -> None:
    choose(page, {"name": "a-name-without-any-place-to-break" * 4, "mimeType": "", "buffer": b"%PDF"})
    predict(page)
    expect(problem(page)).to_contain_text("It is no picture")


def explained(page: Page) -> None:
    said = asked(page)
    said.get_by_role("button", name="Show where the model looked").click()
    expect(said.get_by_role("img", name="Heat map")).to_be_visible()
    said.get_by_text("As numbers").click()


def corrected(page: Page) -> None:
    choose(page)
    expect(page.get_by_text("Another picture has been chosen")).to_be_visible()
    page.get_by_role("region", name="Was this right?").get_by_role("button", name="No").click()


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_in_any_state(visit: Open, pets: None, axe: str, look: str) -> None:
    page = visit(MODEL, **LOOKS[look]).page
    states: tuple[Callable[[Page], None], ...] = (untouched, refused, explained, corrected)
    for state in states:
        state(page)
        assert violations(page, axe) == [], state.__name__
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), state.__name__


def test_everything_has_its_name_and_place(visit: Open, pets: None) -> None:
    page = visit(MODEL).page
    expect(field(page)).to_have_accessible_description(
        "JPEG, PNG, WebP, GIF, BMP or TIFF. One of more than 4.5 MB is made smaller before it is sent."
    )
    said = asked(page)
    headings = ["Pets", "Picture", "Answer", "Where did it look?", "Was this right?", "This model"]
    assert page.locator("h1, h2, h3").all_inner_texts() == headings
    expect(preview(page)).to_have_accessible_name("Preview of cat.png")
    status = page.locator("figcaption").first.get_by_role("status")
    expect(status).to_have_text(f"cat.png {sized(64, 48)}, {len(cat()['buffer'])} bytes.")
    expect(said.get_by_role("status").first).to_have_text(re.compile(r"^label: cat, 9\d\.\d %\.$"))
    said.get_by_role("button", name="Show where the model looked").click()
    said.get_by_text("As numbers").click()
    table = said.get_by_role("table")
    expect(table.locator("thead th").nth(3)).to_have_text("Column 3")
    expect(table.locator("tbody th").nth(7)).to_have_text("Row 8")
    expect(table).to_have_accessible_name(
        "By how many percentage points the probability of cat falls when this part of the picture is covered"
    )
