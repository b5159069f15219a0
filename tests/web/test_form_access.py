"""For everyone: axe-core finds nothing, phones fit, the policy holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from perennial.store import Store
from tests.support import models
from tests.web.conftest import Open

PHONE = {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": PHONE,
    "dark-phone": {**PHONE, "color_scheme": "dark"},
}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def untouched(page: Page) -> None:
    expect(page.get_by_label("Age")).to_be_visible()


def refused(page: Page) -> None:
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_text("3 values need another look")).to_be_visible()


def answered(page: Page) -> None:
    page.get_by_label("Age").fill("33")
    page.get_by_label("Sleep Duration").select_option("5-6 hours")
    page.get_by_label("City").fill("Pune")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator(".prediction")).to_be_visible()
    page.locator("summary").first.click()
    page.get_by_label("City").fill("Goa")
    expect(page.get_by_text("The values have changed")).to_be_visible()


def violations(page: Page, axe: str) -> list[str]:
    """Each rule axe-core finds broken, with the elements that break it."""
    page.evaluate("() => Promise.all(document.getAnimations().map((each) => each.finished.catch(() => {})))")
    page.evaluate(axe)
    found = page.evaluate("(tags) => axe.run(document, {runOnly: {type: 'tag', values: tags}})", RULES)
    assert len(found["passes"]) > 20
    broken = [(each["id"], node) for each in found["violations"] for node in each["nodes"]]
    return [f"{rule}: {node['html']} {node['failureSummary']}" for rule, node in broken]


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_in_any_state(visit: Open, axe: str, look: str) -> None:
    page = visit("student-depression", **LOOKS[look]).page
    states: tuple[Callable[[Page], None], ...] = (untouched, refused, answered)
    for state in states:
        state(page)
        assert violations(page, axe) == [], state.__name__


def test_axe_finds_what_is_wrong(visit: Open, axe: str) -> None:
    page = visit("iris").page
    page.get_by_text("Sepal length", exact=True).evaluate("(label) => label.remove()")
    assert any(each.startswith("label:") for each in violations(page, axe))


@pytest.mark.parametrize("width", [320, 768])
def test_nothing_is_wider_than_the_screen(visit: Open, store: Store, width: int) -> None:
    long = "a_name_without_any_place_to_break_" * 5
    features = {long: {"type": "category", "values": [long, "b"], "unknown": "encode"}, **models.MIXED}
    models.promote(store, models.build(models.make_spec("long", "binary", features)))
    page = visit("long", viewport={"width": width, "height": 640}).page
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_text("values need another look")).to_be_visible()
    page.get_by_label(long).fill(long)
    answered(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_answer_comes_into_view_on_a_phone(visit: Open) -> None:
    page = visit("student-depression", **PHONE).page
    page.get_by_label("Age").fill("33")
    page.get_by_label("Sleep Duration").select_option("5-6 hours")
    page.get_by_label("City").fill("Pune")
    expect(page.get_by_role("heading", name="Answer")).not_to_be_in_viewport()
    page.get_by_role("button", name="Predict").click()
    expect(page.locator(".prediction")).to_be_in_viewport()


def test_reduced_motion_is_respected(visit: Open) -> None:
    page = visit("iris", reduced_motion="reduce").page
    button = page.get_by_role("button", name="Predict")
    assert float(button.evaluate("(e) => parseFloat(getComputedStyle(e).transitionDuration)")) < 0.01


def test_headings_and_landmarks_are_in_order(visit: Open) -> None:
    page = visit("iris").page
    expect(page.get_by_role("region", name="This model")).to_be_visible()
    assert page.locator("h1, h2, h3").all_inner_texts() == ["Iris", "Record", "Answer", "This model"]
    for role in ("banner", "main", "contentinfo", "navigation"):
        expect(page.get_by_role(role)).to_have_count(1)


def test_the_policy_blocks_inline_script_and_other_origins(visit: Open) -> None:
    opened = visit("iris")
    page = opened.page
    assert page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'blocked')") == "blocked"
    with pytest.raises(Exception, match="TrustedHTML"):
        page.evaluate("document.body.innerHTML = '<p>injected</p>'")
    page.evaluate("import('data:text/javascript,window.__ran = true').catch(() => {})")
    page.evaluate("document.body.setAttribute('style', 'display: none')")
    assert page.evaluate("window.__ran") is None
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_function("window.__violations.length >= 4")
    assert {each.split()[0] for each in opened.blocked()} == {
        "connect-src",
        "require-trusted-types-for",
        "script-src-elem",
        "style-src-attr",
    }
    page.evaluate("window.__violations = []")
    opened.complaints.clear()
