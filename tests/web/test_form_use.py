"""The form in a real browser, published as a deployment publishes it, asking the real API."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from perennial.store import Store
from tests.support import models
from tests.web.conftest import Open

VALUES = {"Sepal length": "5.1", "Sepal width": "3.5", "Petal length": "1.4", "Petal width": "0.2"}


def fill_iris(page: Page) -> None:
    for label, value in VALUES.items():
        page.get_by_label(label).fill(value)


def predict(page: Page) -> None:
    page.get_by_role("button", name="Predict").click()


def shown(page: Page) -> Locator:
    return page.locator(".prediction data")


def sent_record(page: Page) -> Any:
    """Press Predict; the record that goes over the wire."""
    with page.expect_request(re.compile(r"/predict$")) as request:
        predict(page)
    return json.loads(request.value.post_data or "")


def test_a_filled_form_is_answered_with_what_the_model_says(visit: Open) -> None:
    page = visit("iris").page
    fill_iris(page)
    predict(page)
    built = models.build()
    expected = models.answer(built, np.array([[5.1, 3.5, 1.4, 0.2]]))[0]
    order = np.argsort(-expected)
    expect(shown(page)).to_have_text(built.manifest.classes[order[0]])
    bars = page.get_by_role("list", name="Probabilities").get_by_role("listitem")
    expect(bars).to_have_count(3)
    for bar, index in zip(bars.all(), order, strict=True):
        label = built.manifest.classes[index]
        expect(bar).to_contain_text(label)
        assert float(bar.get_by_role("progressbar", name=label).get_attribute("value") or "") == pytest.approx(
            expected[index]
        )
    answer = page.get_by_role("region", name="Answer")
    expect(answer).to_contain_text(built.version)
    expect(answer).to_contain_text(built.manifest.dataset[:12])
    answer.locator("summary").click()
    expect(answer.get_by_text(built.manifest.dataset)).to_be_visible()


def test_the_answer_is_announced(visit: Open) -> None:
    page = visit("iris").page
    status = page.get_by_role("region", name="Answer").get_by_role("status").first
    expect(status).to_have_text("")
    fill_iris(page)
    predict(page)
    expect(status).to_have_text(re.compile(r"^target: virginica, \d\d\.\d %\.$"))


def test_an_answer_to_other_values_is_marked_as_such(visit: Open) -> None:
    page = visit("iris").page
    fill_iris(page)
    predict(page)
    expect(shown(page)).to_be_visible()
    expect(page.get_by_text("The values have changed since this answer.")).to_have_count(0)
    page.get_by_label("Petal width").fill("0.3")
    expect(page.get_by_text("The values have changed since this answer.")).to_be_visible()
    predict(page)
    expect(page.get_by_text("The values have changed since this answer.")).to_have_count(0)


def test_what_is_known_of_the_model_is_shown(visit: Open) -> None:
    page = visit("iris").page
    facts = page.get_by_role("region", name="This model")
    for words in (models.build().version, "21 Nov 2026", "Accuracy", "0.900 (0.850 to 0.950)", "linear", "30 rows"):
        expect(facts).to_contain_text(words)
    expect(page.get_by_role("link", name="API reference")).to_have_attribute("href", re.compile(r"^http.*/docs$"))


def test_every_kind_of_feature_is_sent_as_the_schema_asks(visit: Open) -> None:
    page = visit("student-depression").page
    page.get_by_label("Age").fill("33")
    page.get_by_label("Sleep Duration").select_option("5-6 hours")
    page.get_by_label("City").fill("A city nobody has seen")
    page.get_by_label("Since").fill("2026-11-21T08:30")
    assert sent_record(page) == {
        "Age": 33,
        "CGPA": None,
        "Sleep Duration": "5-6 hours",
        "City": "A city nobody has seen",
        "Since": "2026-11-21T08:30",
    }
    expect(shown(page)).to_have_text(re.compile("^[01]$"))


def test_controls_carry_the_ranges_and_suggestions_of_the_schema(visit: Open) -> None:
    page = visit("student-depression").page
    age = page.get_by_label("Age")
    assert [age.get_attribute(name) for name in ("min", "max", "step", "required")] == ["10", "100", "1", ""]
    expect(age).to_have_accessible_description("In full years. Whole number, 10 to 100.")
    assert page.get_by_label("CGPA").get_attribute("required") is None
    city = page.get_by_label("City")
    options = page.locator(f"datalist#{city.get_attribute('list')} option")
    assert [option.get_attribute("value") for option in options.all()] == ["Pune", "Goa"]
    assert page.get_by_label("Sleep Duration").locator("option").all_inner_texts() == [
        "Choose…",
        *models.MIXED["Sleep Duration"]["values"],
    ]


def test_wrong_values_are_told_at_their_fields_and_nothing_is_sent(visit: Open) -> None:
    opened = visit("student-depression")
    page = opened.page
    page.get_by_label("Age").fill("7.5")
    predict(page)
    summary = page.get_by_role("region", name="3 values need another look")
    expect(summary).to_be_focused()
    age = page.get_by_label("Age")
    expect(age).to_have_attribute("aria-invalid", "true")
    expect(age).to_have_accessible_description(re.compile("Enter a number from 10 to 100"))
    summary.get_by_role("button", name="City: Enter a value.").click()
    expect(page.get_by_label("City")).to_be_focused()
    assert not [url for url in opened.requests if url.endswith("/predict")]
    age.fill("20")
    expect(age).not_to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("region", name="2 values need another look")).to_be_visible()


def test_clear_empties_the_form_and_takes_the_errors_away(visit: Open) -> None:
    page = visit("iris").page
    page.get_by_label("Sepal length").fill("11")
    predict(page)
    expect(page.get_by_role("region", name="4 values need another look")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_text("another look")).to_have_count(0)
    expect(page.get_by_label("Sepal length")).to_have_value("")
    expect(page.get_by_label("Sepal length")).to_be_focused()


def test_models_are_switched_linked_to_and_gone_back_to(visit: Open) -> None:
    page = visit().page
    expect(page.get_by_role("heading", level=1)).to_have_text("Iris")
    page.get_by_label("Model", exact=True).select_option("student-depression")
    expect(page.get_by_role("heading", level=1)).to_have_text("Student depression")
    expect(page.get_by_label("Age")).to_be_visible()
    expect(page.get_by_label("Sepal length")).to_have_count(0)
    assert page.url.endswith("#student-depression")
    assert page.title() == "Student depression · Perennial"
    page.go_back()
    expect(page.get_by_label("Sepal length")).to_be_visible()


def test_a_model_is_asked_for_as_on_the_page_for_files_too(visit: Open) -> None:
    page = visit().page
    form = page.url.partition("#")[0]
    page.goto(f"{form}?model=student-depression")
    expect(page.get_by_role("heading", level=1)).to_have_text("Student depression")
    assert page.url == f"{form}#student-depression"
    link = page.get_by_role("link", name="Score a file", exact=True)
    expect(link).to_have_attribute("href", "./batch.html?model=student-depression")
    page.get_by_label("Model", exact=True).select_option("iris")
    expect(page.get_by_label("Sepal length")).to_be_visible()
    assert page.url == f"{form}#iris"
    page.goto(f"{form}?model=no%20such")
    expect(page.get_by_text("No model called “no such” is serving.")).to_be_visible()


def test_a_link_to_a_model_that_is_gone_says_so(visit: Open) -> None:
    page = visit("no%20such").page
    expect(page.get_by_text("No model called “no such” is serving. This is Iris.")).to_be_visible()


def test_the_whole_of_it_works_by_keyboard_alone(visit: Open) -> None:
    page = visit("student-depression").page
    expect(page.get_by_label("Age")).to_be_visible()
    page.get_by_label("Model", exact=True).focus()
    for keys in (("33",), ("8.97",), ("5",), ("Pune",)):
        page.keyboard.press("Tab")
        page.keyboard.type(keys[0])
    expect(page.get_by_label("Sleep Duration")).to_have_value("1")
    page.get_by_label("City").press("Enter")
    expect(shown(page)).to_have_text(re.compile("^[01]$"))
    page.get_by_role("button", name="Predict").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Clear")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("region", name="Answer").locator("summary")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text(models.build().manifest.dataset).first).to_be_visible()


def test_a_regression_is_answered_with_a_number_and_no_bars(visit: Open, store: Store) -> None:
    built = models.build(models.make_spec("bike", "regression"))
    models.promote(store, built)
    page = visit("bike").page
    fill_iris(page)
    predict(page)
    value = models.answer(built, np.array([[5.1, 3.5, 1.4, 0.2]]))[0]
    assert float(shown(page).get_attribute("value") or "") == pytest.approx(value)
    expect(page.get_by_role("progressbar")).to_have_count(0)


ODD_NAMES: dict[str, Any] = {
    "Have you ever had suicidal thoughts ?": {"type": "category", "values": ["Yes", "No"]},
    "Work/Study Hours": {"type": "number", "min": 0, "max": 12},
    "a.b[0]#c & \"d\" 'e'": {"type": "number"},
    "__proto__": {"type": "number", "missing": True},
    "constructor": {"type": "category", "values": ["'5-6 hours'", "<none>", "a\u2028b"], "missing": True},
    "größe ☃": {"type": "category", "values": ["0"], "unknown": "encode"},
}


def test_features_may_be_called_anything(visit: Open, store: Store) -> None:
    models.promote(store, models.build(models.make_spec("odd", "binary", ODD_NAMES), scale=0.1))
    page = visit("odd").page
    page.get_by_label("Have you ever had suicidal thoughts ?").select_option("No")
    page.get_by_label("Work/Study Hours").fill("7")
    page.get_by_label("a.b[0]#c & \"d\" 'e'").fill("-1e-3")
    page.get_by_label("__proto__").fill("4")
    page.get_by_label("constructor").select_option("<none>")
    page.get_by_label("größe ☃").fill("0")
    record = sent_record(page)
    assert record == {
        "Have you ever had suicidal thoughts ?": "No",
        "Work/Study Hours": 7,
        "a.b[0]#c & \"d\" 'e'": -0.001,
        "__proto__": 4,
        "constructor": "<none>",
        "größe ☃": "0",
    }
    expect(shown(page)).to_be_visible()


ATTACK = "<img src=x onerror=\"window.__attacked='yes'\"><script>window.__attacked='yes'</script>"


def test_markup_in_names_values_and_help_is_shown_as_text(visit: Open, store: Store) -> None:
    features = {
        ATTACK: {"type": "number", "description": ATTACK},
        "choice": {"type": "category", "values": [ATTACK, "x"]},
        "open": {"type": "category", "values": [ATTACK], "unknown": "encode"},
    }
    models.promote(store, models.build(models.make_spec("attacked", "binary", features)))
    page = visit("attacked").page
    expect(page.get_by_label(ATTACK)).to_be_visible()
    expect(page.get_by_label(ATTACK)).to_have_accessible_description(re.compile(re.escape(ATTACK)))
    predict(page)
    expect(page.get_by_role("button", name=f"{ATTACK}: Enter a number.")).to_be_visible()
    page.get_by_label(ATTACK).fill("1")
    page.get_by_label("choice").select_option(ATTACK)
    page.get_by_label("open").fill(ATTACK)
    predict(page)
    expect(shown(page)).to_be_visible()
    page.evaluate(f"location.hash = encodeURIComponent({json.dumps(ATTACK)})")
    expect(page.get_by_text(f"No model called “{ATTACK}”")).to_be_visible()
    assert page.evaluate("window.__attacked") is None
    assert page.locator("img").count() == 1
