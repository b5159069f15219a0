""" "Was this right?" in a real browser, answered by the real API: every outcome is told in words."""

from __future__ import annotations

import json
import re
import urllib.request
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from perennial import keys
from perennial.serving.ids import day_of
from perennial.serving.labels import Label
from perennial.spec import ModelSpec
from perennial.store import Store
from tests.support import models
from tests.support.stores import Bucket
from tests.web.conftest import Open
from tests.web.test_form_access import LOOKS, violations
from tests.web.web_harness import SiteHost, serving


def ask(page: Page) -> dict[str, Any]:
    """Ask for an iris; what the API answered."""
    for label in ("Sepal length", "Sepal width", "Petal length", "Petal width"):
        page.get_by_label(label, exact=True).fill("1")
    with page.expect_response(re.compile(r"/predict$")) as response:
        page.get_by_role("button", name="Predict").click()
    expect(page.locator(".prediction")).to_be_visible()
    answer: dict[str, Any] = response.value.json()
    return answer


def block(page: Page) -> Locator:
    return page.get_by_role("region", name="Was this right?")


def told(page: Page) -> Locator:
    return block(page).get_by_role("status")


def label_of(store: Store, answer: dict[str, Any]) -> Label:
    identifier = answer["prediction_id"]
    key = keys.label(answer["model"]["name"], day_of(identifier), identifier)
    return Label.model_validate_json(store.get(key).data)


def give(api_url: str, answer: dict[str, Any], truth: str) -> None:
    """Feedback on the same prediction from somewhere else."""
    body = {"prediction_id": answer["prediction_id"], "feedback_token": answer["feedback_token"], "ground_truth": truth}
    request = urllib.request.Request(
        f"{api_url}/models/{answer['model']['name']}/feedback",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.status == 202


def test_yes_sends_what_was_predicted(visit: Open, store: Store) -> None:
    page = visit("iris").page
    expect(block(page)).to_have_count(0)
    answer = ask(page)
    block(page).get_by_role("button", name="Yes").click()
    expect(told(page)).to_have_text(f"Thank you. That it was {answer['prediction']} is stored.")
    expect(told(page)).to_be_focused()
    expect(block(page).get_by_role("button")).to_have_count(0)
    assert label_of(store, answer).truth == answer["prediction"]


def test_no_lets_the_true_class_be_chosen(visit: Open, store: Store) -> None:
    page = visit("iris").page
    answer = ask(page)
    block(page).get_by_role("button", name="No").click()
    true = block(page).get_by_label("True value of target")
    expect(true).to_be_focused()
    others = [name for name in models.CLASSES["multiclass"] if name != answer["prediction"]]
    assert true.locator("option").all_inner_texts() == ["Choose…", *others]
    block(page).get_by_role("button", name="Send").click()
    expect(true).to_have_accessible_description("Choose the true value.")
    expect(true).to_be_focused()
    true.select_option(others[1])
    block(page).get_by_role("button", name="Send").click()
    expect(told(page)).to_have_text(f"Thank you. That it was {others[1]} is stored.")
    assert label_of(store, answer).truth == others[1]


def test_all_of_it_goes_by_keyboard(visit: Open, store: Store) -> None:
    page = visit("iris").page
    answer = ask(page)
    block(page).get_by_role("button", name="No").focus()
    page.keyboard.press("Enter")
    true = block(page).get_by_label("True value of target")
    expect(true).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(true).not_to_have_value("")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(told(page)).to_contain_text("Thank you.")
    assert label_of(store, answer).truth != answer["prediction"]


def test_a_no_can_be_taken_back(visit: Open) -> None:
    page = visit("iris").page
    ask(page)
    block(page).get_by_role("button", name="No").click()
    block(page).get_by_role("button", name="Cancel").click()
    expect(block(page).get_by_role("button", name="Yes")).to_be_visible()


def test_a_regression_takes_a_number(visit: Open, store: Store) -> None:
    models.promote(store, models.build(models.make_spec("bikes", "regression")))
    page = visit("bikes").page
    answer = ask(page)
    block(page).get_by_role("button", name="No").click()
    true = block(page).get_by_label("True value of target")
    true.fill("")
    block(page).get_by_role("button", name="Send").click()
    expect(true).to_have_accessible_description("Enter a number, such as 12.5.")
    true.fill("-12.75")
    block(page).get_by_role("button", name="Send").click()
    expect(told(page)).to_have_text("Thank you. That it was -12.75 is stored.")
    assert label_of(store, answer).truth == -12.75


def test_the_same_again_counts_once(visit: Open) -> None:
    opened = visit("iris")
    answer = ask(opened.page)
    give(opened.api.url, answer, answer["prediction"])
    block(opened.page).get_by_role("button", name="Yes").click()
    expect(told(opened.page)).to_contain_text("had been stored already; it counts once.")


def test_a_contradiction_changes_nothing(visit: Open, store: Store) -> None:
    opened = visit("iris")
    answer = ask(opened.page)
    give(opened.api.url, answer, "setosa")
    block(opened.page).get_by_role("button", name="Yes").click()
    expect(told(opened.page)).to_contain_text("the first one stands")
    expect(block(opened.page).get_by_role("button")).to_have_count(0)
    assert label_of(store, answer).truth == "setosa"


def test_a_prediction_too_old_is_told(visit: Open, store: Store) -> None:
    spec = models.make_spec("brief")
    monitor = spec.monitor.model_copy(update={"feedback_within": timedelta(0)})
    brief: ModelSpec = spec.model_copy(update={"monitor": monitor})
    models.promote(store, models.build(brief))
    page = visit("brief").page
    ask(page)
    block(page).get_by_role("button", name="Yes").click()
    expect(told(page)).to_contain_text("Too late")


def altered(route: Route, **changes: object) -> None:
    """The real answer, with something else in it."""
    response = route.fetch()
    route.fulfill(response=response, json=response.json() | changes)


def test_a_token_of_another_is_told(visit: Open) -> None:
    page = visit("iris").page
    page.route("**/predict", lambda route: altered(route, feedback_token="A" * 43))
    ask(page)
    block(page).get_by_role("button", name="Yes").click()
    expect(told(page)).to_contain_text("this page may not speak for that prediction")


def test_without_a_token_nothing_is_asked(visit: Open) -> None:
    page = visit("iris").page
    page.route("**/predict", lambda route: altered(route, feedback_token=None))
    ask(page)
    expect(block(page)).to_have_count(0)


def test_a_class_the_model_has_lost_is_told_at_the_field(visit: Open) -> None:
    page = visit("iris").page
    page.route(
        re.compile("/models/iris$"), lambda route: altered(route, classes=[*models.CLASSES["multiclass"], "gone"])
    )
    page.reload()
    page.get_by_label("Sepal length", exact=True).wait_for()
    ask(page)
    block(page).get_by_role("button", name="No").click()
    true = block(page).get_by_label("True value of target")
    true.select_option("gone")
    block(page).get_by_role("button", name="Send").click()
    expect(block(page).get_by_label("True value of target")).to_have_accessible_description(
        re.compile("one of the model's classes")
    )


def test_a_store_that_is_down_can_be_tried_again(browser: Browser, host: SiteHost) -> None:
    bucket = Bucket()
    models.promote(bucket.writer, models.build())
    with serving(bucket.store, host.origin) as api:
        page = browser.new_page()
        page.goto(host.publish(api.url))
        answer = ask(page)
        bucket.down = True
        block(page).get_by_role("button", name="Yes").click()
        expect(told(page)).to_contain_text("Not stored.", timeout=30_000)
        expect(told(page)).to_contain_text("Send it again")
        bucket.down = False
        block(page).get_by_role("button", name="Send again").click()
        expect(told(page)).to_contain_text("Thank you.")
        expect(block(page).get_by_role("button")).to_have_count(0)
        assert label_of(bucket.writer, answer).truth == answer["prediction"]
        page.close()


def test_a_new_question_asks_anew(visit: Open) -> None:
    page = visit("iris").page
    ask(page)
    block(page).get_by_role("button", name="Yes").click()
    expect(told(page)).to_contain_text("Thank you.")
    ask(page)
    expect(block(page).get_by_role("button", name="Yes")).to_be_visible()
    expect(told(page)).to_have_text("")


@pytest.mark.parametrize("look", ["light", "dark-phone"])
def test_axe_finds_nothing_in_feedback(visit: Open, axe: str, look: str) -> None:
    page = visit("iris", **LOOKS[look]).page
    ask(page)
    assert violations(page, axe) == []
    block(page).get_by_role("button", name="No").click()
    block(page).get_by_role("button", name="Send").click()
    assert violations(page, axe) == []
    block(page).get_by_label("True value").select_option(index=1)
    block(page).get_by_role("button", name="Send").click()
    expect(told(page)).to_contain_text("Thank you.")
    assert violations(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_form_leads_to_the_model_page(visit: Open) -> None:
    page = visit("iris").page
    link = page.get_by_role("link", name="Versions, drift and performance")
    expect(link).to_have_attribute("href", "./model.html#iris")
