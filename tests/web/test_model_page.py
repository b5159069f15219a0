"""The model page in a real browser, over what the real steps publish."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from playwright.sync_api import Locator, Page, expect

from perennial import keys
from perennial.jobs.page import build_page, publish_page
from perennial.registry.registry import Registry
from perennial.store import Store, memory_store
from tests.support import page_world as world
from tests.support import versions as small
from tests.support.page_world import MODEL, at
from tests.support.stores import Bucket
from tests.web.conftest import Watch
from tests.web.test_form_access import LOOKS, violations
from tests.web.web_harness import SiteHost, wait_for

NOW = at(30)
NOTHING = "\N{EN DASH}"


@dataclass(frozen=True)
class Site:
    """A published site, and what stands behind it."""

    url: str
    store: Store
    files: Store
    versions: dict[str, str]

    def page(self, name: str = MODEL) -> str:
        return f"{self.url.replace('index.html', 'model.html')}#{name}"

    def publish(self, model: str = MODEL) -> None:
        publish_page(self.store, self.files, model, NOW)


def make_site(host: SiteHost, store: Store, versions: dict[str, str] | None = None) -> Site:
    url = host.publish("http://127.0.0.1:9")
    return Site(url, store, host.store(url), versions or {})


@pytest.fixture(scope="module")
def site(host: SiteHost) -> Iterator[Site]:
    """A model with a past, published once for all tests that only read it."""
    store = memory_store()
    found = make_site(host, store, world.live(store))
    found.publish()
    yield found


def section(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True).first


def cells(table: Locator) -> list[list[str]]:
    expect(table).to_be_visible()
    return [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]


def short(version: str) -> str:
    return version[:8]


def test_it_says_how_the_model_is_now(watch: Watch, site: Site) -> None:
    page = watch(site.page())
    now = section(page, "Now")
    for words in (short(site.versions["champion"]), "generation 4", "decay", "roc_auc 0.742 on 900 labels",
                  "2 of 3 features moved", "5 of 905 predictions were lost", "held back",
                  "Held back: the last training was 3 hours ago, and the cooldown is 6 hours."):  # fmt: skip
        expect(now).to_contain_text(words)
    expect(page).to_have_title("Shop churn · how it is doing · Perennial")
    expect(page.get_by_role("link", name="Ask this model")).to_have_attribute("href", f"./index.html#{MODEL}")


def test_events_stand_on_a_time_line_with_who_and_why(watch: Watch, site: Site) -> None:
    page = watch(site.page())
    events = section(page, "Versions").locator("ol.timeline > li")
    expect(events).to_have_count(6)
    heads = [each.locator("p").first.inner_text() for each in events.all()]
    v = {name: short(version) for name, version in site.versions.items()}
    assert [" ".join(head.split()) for head in heads] == [
        f"Waits for a person {v['waiting']}",
        f"Rolled back to {v['champion']} from {v['rolled_back']}",
        f"Promoted {v['rolled_back']} over {v['champion']}",
        f"Rejected {v['rejected']}",
        f"Promoted {v['champion']} over {v['former']}",
        f"Promoted {v['former']}",
    ]
    expect(events.nth(1)).to_contain_text("smoke test failed: no answer")
    expect(events.nth(2)).to_contain_text("by Ada")
    expect(events.nth(3)).to_contain_text("by the gate")
    expect(events.nth(3)).to_contain_text("gain.roc_auc")


@pytest.mark.parametrize(("zone", "shown"), [("Europe/Berlin", "04:28"), ("Asia/Tokyo", "12:28")])
def test_times_are_in_the_readers_zone(watch: Watch, site: Site, zone: str, shown: str) -> None:
    page = watch(site.page(), timezone_id=zone)
    expect(section(page, "Now")).to_contain_text(f"10 Nov 2026, {shown}")
    expect(page.get_by_role("contentinfo")).to_contain_text(f"Times are in {zone}.")


def test_champion_and_challenger_stand_side_by_side(watch: Watch, site: Site) -> None:
    page = watch(site.page(f"{MODEL}/{site.versions['rejected']}"))
    compare = section(page, "Champion and challenger")
    champion, challenger = (
        Registry(site.store).manifest(MODEL, site.versions[name]) for name in ("champion", "rejected")
    )
    metrics = compare.get_by_role("table", name=re.compile("own holdout"))
    assert metrics.locator("thead th").all_inner_texts() == [
        "Metric", f"Champion {short(champion.version)}", f"Challenger {short(challenger.version)}",
    ]  # fmt: skip
    decides = cells(metrics)[0]
    assert decides[0] == "ROC AUC (decides)"
    for shown, manifest in zip(decides[1:], (champion, challenger), strict=True):
        metric = manifest.metrics["roc_auc"]
        found = [float(each) for each in re.findall(r"[\d.]+", shown)]
        assert found == pytest.approx([metric.value, metric.low, metric.high], abs=5e-5)
    paired = compare.get_by_role("table", name=re.compile("very same rows"))
    assert [row[0] for row in cells(paired)] == ["Holdout", "Newest rows"]
    assert cells(paired)[0][1] == "80"
    assert float(cells(paired)[0][4]) < 0
    assert cells(paired)[1][-1] == "some by feedback"
    expect(compare).to_contain_text("1 of 4 rules failed.")
    rules = cells(compare.get_by_role("table", name="The gate's rules"))
    assert {row[0]: row[1] for row in rules} == {
        "minimum.roc_auc": "pass", "gain.roc_auc": "fail", "slices.group": "pass", "parity": "pass",
    }  # fmt: skip


def test_another_version_can_be_chosen(watch: Watch, site: Site) -> None:
    page = watch(site.page())
    chooser = page.get_by_label("Version", exact=True)
    expect(chooser).to_have_value(site.versions["waiting"])
    chooser.select_option(site.versions["former"])
    compare = section(page, "Champion and challenger")
    expect(compare).to_contain_text("no champion yet.")
    expect(
        compare.get_by_role("img", name=re.compile(f"^ROC curve of version {short(site.versions['former'])}"))
    ).to_have_count(1)
    chooser.select_option(site.versions["champion"])
    expect(compare).to_contain_text(f"against the champion of its day, {short(site.versions['former'])}")
    page.get_by_role("link", name=f"Compare {short(site.versions['rolled_back'])}").click()
    expect(chooser).to_have_value(site.versions["rolled_back"])
    expect(chooser).to_be_focused()


def test_the_charts_of_training_are_shown_with_their_tables(watch: Watch, site: Site) -> None:
    page = watch(site.page())
    compare = section(page, "Champion and challenger")
    for title in ("ROC curve", "Precision and recall", "Confusion matrix", "Calibration"):
        images = compare.get_by_role(
            "img", name=re.compile(f"^{title} of version [0-9a-f]{{8}}\\. .+ Across: .+; up: ")
        )
        expect(images).to_have_count(2)
        for image in images.all():
            image.scroll_into_view_if_needed()
            shown = partial(image.evaluate, "(image) => image.complete && image.naturalWidth > 100")
            wait_for(shown, "a chart of training")
    compare.get_by_text("Table: Confusion matrix").click()
    tables = compare.get_by_role("table", name=re.compile("^Confusion matrix of version"))
    expect(tables).to_have_count(2)
    assert sum(int(cell) for row in cells(tables.first) for cell in row[1:]) == 80
    compare.get_by_text("Table: ROC curve").click()
    expect(compare.get_by_role("table", name=re.compile("^ROC curve of version")).first).to_contain_text("chance")


def test_groups_are_shown_by_any_metric(watch: Watch, site: Site) -> None:
    page = watch(site.page())
    groups = page.get_by_role("table", name="ROC AUC on the holdout rows of each group")
    assert {"color: red", "group: a", "group: b"} <= {row[0] for row in cells(groups)}
    page.get_by_label("Metric of groups").select_option("accuracy")
    expect(page.get_by_role("table", name="Accuracy on the holdout rows of each group")).to_be_visible()


def drawn(plot: Locator) -> bool:
    """Whether a chart's canvas holds more than its background."""
    return bool(
        plot.locator("canvas").evaluate(
            "(canvas) => new Set(new Uint32Array(canvas.getContext('2d')"
            ".getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size > 20"
        )
    )


def test_every_chart_is_drawn_with_axes_a_caption_and_a_table(watch: Watch, site: Site) -> None:
    page = watch(site.page())
    page.get_by_role("img", name=re.compile("^ROC curve")).first.wait_for()
    figures = page.locator("figure.figure")
    assert figures.count() == 5 + 5  # over time, and of training
    for figure in figures.all():
        assert len(figure.locator("figcaption").inner_text()) > 30
        figure.locator("summary").click()
        expect(figure.get_by_role("table").first).to_be_visible()
        assert figure.get_by_role("table").first.locator("tbody tr").count() > 1
        figure.locator("summary").click()
    plots = page.locator(".plot")
    expect(plots).to_have_count(5)
    for plot in plots.all():
        assert drawn(plot)
        assert "the table below holds the values" in (plot.get_attribute("aria-label") or "")


def test_tables_hold_what_the_charts_draw(watch: Watch, site: Site) -> None:
    page = watch(site.page())
    data = build_page(site.store, MODEL, NOW)
    page.get_by_text("Table: ROC AUC on ground truth").click()
    rows = cells(page.get_by_role("table", name=re.compile("^ROC AUC of each pass")))
    assert len(rows) == 120
    assert rows[0][1] == f"{data.performance[0].value[-1]:.4g}"
    assert rows[0][5:] == ["900", "200", "decay", short(site.versions["champion"])]
    assert rows[-1][1:] == [NOTHING, NOTHING, "0.91", "0.85", "12", "200", "unknown", short(site.versions["champion"])]
    page.get_by_text("Table: Distance from the baseline").click()
    assert cells(page.get_by_role("table", name=re.compile("^Distance from")))[0][1] == "0.397 moved"
    page.get_by_text("Table: Predictions").click()
    assert cells(page.get_by_role("table", name=re.compile("^Traffic")))[-1][2:6] == ["900", "895", "5", "2"]


def test_one_feature_and_one_metric_can_be_looked_at(watch: Watch, site: Site) -> None:
    page = watch(site.page())
    page.get_by_label("Feature", exact=True).select_option("group")
    legend = section(page, "Drift").locator(".legend").first
    expect(legend).to_have_text("groupcounts as moved from 0.1another champion")
    page.get_by_label("Metric", exact=True).select_option("accuracy")
    expect(page.get_by_role("heading", name="Accuracy on ground truth")).to_be_visible()
    features = cells(page.get_by_role("table", name=re.compile("^Every feature against")))
    assert [row[:2] for row in features][::3] == [
        ["number", "moved"], ["day", "unknown the champion's training data do not have it"],
    ]  # fmt: skip


def test_the_pointer_reads_values_off_a_chart(watch: Watch, site: Site) -> None:
    page = watch(site.page())
    plot = page.locator(".plot .u-over").first
    plot.hover(position={"x": 600, "y": 50})
    expect(section(page, "Performance over time").locator(".legend").first).to_contain_text(
        re.compile(r"on ground truth 0\.\d+.*Nov 2026")
    )


def empty(host: SiteHost) -> Site:
    store = memory_store()
    world.publish(store, world.trained("run-1", "tree"), 0)
    found = make_site(host, store)
    found.publish()
    return found


def test_before_the_first_pass_and_promotion_it_says_so(watch: Watch, host: SiteHost, axe: str) -> None:
    page = watch(empty(host).page())
    expect(section(page, "Now")).to_contain_text("Nothing has been promoted yet.")
    expect(section(page, "Now")).to_contain_text("No monitoring pass yet.")
    for name in ("Performance over time", "Drift", "Traffic"):
        expect(section(page, name)).to_contain_text("No monitoring pass yet.")
    expect(section(page, "Reports")).to_contain_text("No report is kept.")
    expect(page.get_by_role("img", name=re.compile("^ROC curve"))).to_have_count(1)
    expect(section(page, "Champion and challenger")).to_contain_text("there was no champion to compare it with")
    assert violations(page, axe) == []


def test_too_few_labels_are_unknown_and_never_fine(watch: Watch, host: SiteHost) -> None:
    store = memory_store()
    first = world.trained("run-1", "tree")
    world.publish(store, first, 0)
    world.promote(store, first, 0.01)
    world.watch(store, 1, first.manifest)
    site = make_site(host, store)
    site.publish()
    page = watch(site.page())
    expect(section(page, "Performance over time")).to_contain_text("Performance is unknown: only 12 labels of 200.")
    tile = section(page, "Now").locator(".tile", has_text="Performance")
    expect(tile.locator(".badge")).to_have_text("unknown")
    assert drawn(page.locator(".plot").nth(1))  # one pass alone is still a bar


def test_a_champion_that_no_pass_has_seen_is_unknown_and_never_fine(watch: Watch, host: SiteHost) -> None:
    store = memory_store()
    first, second = world.trained("run-1", "tree"), world.trained("run-2", "boosted")
    world.publish(store, first, 0)
    world.promote(store, first, 0.01)
    world.watch(store, 40, first.manifest)
    world.publish(store, second, 12, first.manifest)
    world.promote(store, second, 12.01)
    site = make_site(host, store)
    site.publish()
    page = watch(site.page(), timezone_id="UTC")
    old, new = (short(each.manifest.version) for each in (first, second))
    tile = section(page, "Now").locator(".tile", has_text="Performance")
    expect(tile.locator(".badge")).to_have_text("unknown")
    expect(tile).to_contain_text("No pass since it was promoted. Before it: fine, roc_auc")
    expect(tile).to_contain_text(f"Of {old}, in the pass of 29 Oct 2026, 21:00.")
    expect(page.locator("hgroup")).to_contain_text("How it was in the pass of 29 Oct 2026, 21:00.")
    expect(section(page, "Performance over time")).to_contain_text(f"Performance of {new} is unknown")
    expect(section(page, "Drift")).to_contain_text(f"training data of {old}")


def test_what_could_not_be_read_is_named(watch: Watch, host: SiteHost) -> None:
    bucket = Bucket()
    first = world.trained("run-1", "tree")
    world.publish(bucket.writer, first, 0)
    world.promote(bucket.writer, first, 0.01)
    files = first.manifest.files
    bucket.tamper(keys.registry_blob(MODEL, files["roc.svg"].digest), b"<svg/>")
    bucket.tamper(keys.registry_blob(MODEL, files["evaluation.json"].digest), b"{}")
    site = make_site(host, bucket.writer)
    site.publish()
    page = watch(site.page())
    note = page.get_by_role("note")
    expect(note).to_contain_text("2 things could not be read:")
    expect(note).to_contain_text("roc.svg")
    expect(section(page, "Champion and challenger")).to_contain_text("cannot be shown: it is missing or damaged")


ATTACK = "<img src=x onerror=\"window.__attacked='yes'\"><script>window.__attacked='yes'</script>"


def test_markup_in_what_is_stored_is_shown_as_text(watch: Watch, host: SiteHost) -> None:
    store = memory_store()
    spec = small.spec(name=MODEL, features={ATTACK: {"type": "number"}})
    manifest, files = small.version(1, spec=spec, candidate=ATTACK, run=ATTACK)
    registry = Registry(store)
    registry.publish(manifest, files)
    registry.promote(MODEL, manifest.version, op_id="1", actor=ATTACK, reason=ATTACK, now=NOW)
    report = world.monitor_report(3, manifest.version)
    feature = report.drift.features[0].model_copy(update={"feature": ATTACK, "note": ATTACK, "moved": None})
    drift = report.drift.model_copy(update={"features": (feature,), "why": ATTACK})
    quality = report.quality.model_copy(update={"reasons": (ATTACK,)})
    told = report.model_copy(update={"drift": drift, "quality": quality, "reasons": (ATTACK,)})
    store.put_new(keys.monitor_summary(MODEL, report.run), told.model_dump_json().encode())
    site = make_site(host, store)
    site.publish()
    page = watch(site.page())
    page.get_by_text(ATTACK).first.wait_for()
    assert page.get_by_text(ATTACK).count() > 8
    assert page.evaluate("window.__attacked") is None
    assert page.locator("img").count() == 1
    page.evaluate(f"location.hash = {ATTACK!r}")
    expect(page.get_by_text("names no model")).to_be_visible()
    assert page.evaluate("window.__attacked") is None


def test_a_model_without_a_page_and_a_damaged_one_are_told(watch: Watch, host: SiteHost) -> None:
    site = make_site(host, memory_store())
    page = watch(site.page("unknown"))
    expect(page.get_by_role("alert")).to_contain_text("There is no page of this model yet.")
    site.files.put_new(keys.page_data("unknown", "model.json"), b'{"format": 2}')
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be read by this page")
    page = watch(site.url.replace("index.html", "model.html"))
    expect(page.get_by_role("heading", level=1)).to_have_text("No model has a page yet")


def test_a_model_is_asked_for_as_on_the_page_for_files_too(watch: Watch, site: Site) -> None:
    page = watch(site.page().replace("#", "?model="))
    expect(page.get_by_role("heading", level=1)).to_have_text("Shop churn")
    assert page.url == site.page()
    page.goto(site.page("nope").replace("#", "?model="))
    expect(page.get_by_role("heading", level=1)).to_have_text("No such model")


def test_a_model_that_is_not_here_is_no_model(watch: Watch, site: Site) -> None:
    page = watch(site.page("nope"))
    expect(page.get_by_role("heading", level=1)).to_have_text("No such model")
    expect(page).to_have_title("Models · Perennial")
    expect(page.get_by_role("link", name="Ask a model")).to_have_attribute("href", "./index.html")
    page.get_by_role("link", name="Shop churn").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Shop churn")


def test_what_was_found_is_put_plainly(watch: Watch, host: SiteHost) -> None:
    """Chance, labels that disagree, metrics without a bound, and code in words that a step wrote."""
    store = memory_store()
    first = world.trained("run-1", "tree")
    world.publish(store, first, 0)
    world.promote(store, first, 0.01)
    report = world.monitor_report(60, first.manifest.version)
    number = report.drift.features[0].model_copy(update={"moved": False, "p_value": 0.2})
    drift = report.drift.model_copy(update={"features": (number, *report.drift.features[1:])})
    quality = report.quality.model_copy(update={"status": "ok", "reasons": (), "contradicted": 1})
    told = report.model_copy(update={"drift": drift, "quality": quality, "reasons": ("run `perennial train`",)})
    store.put_new(keys.monitor_summary(MODEL, report.run), told.model_dump_json().encode())
    site = make_site(host, store)
    site.publish()
    page = watch(site.page())
    now = section(page, "Now")
    expect(now.locator("code", has_text="perennial train")).to_have_text("perennial train")
    expect(now.locator(".tile", has_text="Data").locator(".badge")).to_have_text("labels disagree")
    expect(section(page, "Data of the newest pass")).to_contain_text(
        "552 labels; 1 more belongs to no captured prediction, and of 1 prediction the labels disagree."
    )
    features = cells(page.get_by_role("table", name=re.compile("^Every feature against")))
    assert features[0][:2] == ["number", "not sure chance is not ruled out"]
    expect(section(page, "Drift").locator(".legend").first).to_have_text("numbercolorgroupcounts as moved from 0.1")
    page.get_by_label("Metric", exact=True).select_option("accuracy")
    page.get_by_text("Table: Accuracy on ground truth").click()
    assert cells(page.get_by_role("table", name=re.compile("^Accuracy of each pass")))[0][7] == "no bound"
    compare = section(page, "Champion and challenger")
    expect(compare).to_contain_text(f"{short(first.manifest.version)} (tree, champion);")
    assert compare.locator("img[loading=lazy]").count() == 0


def test_several_models_are_chosen_among(watch: Watch, host: SiteHost, site: Site) -> None:
    both = Site(site.url, site.store, site.files, site.versions)
    both.publish("another")
    page = watch(both.page())
    page.get_by_label("Model", exact=True).select_option("another")
    expect(page.get_by_role("heading", level=1)).to_have_text("Another")
    expect(section(page, "Now")).to_contain_text("Nothing has been promoted yet.")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Shop churn")


@pytest.mark.parametrize("look", ["light", "dark-phone"])
def test_axe_finds_nothing_and_nothing_is_too_wide(watch: Watch, site: Site, axe: str, look: str) -> None:
    page = watch(site.page(), **LOOKS[look])
    page.get_by_role("img", name=re.compile("^ROC curve")).first.wait_for()
    for table in ("Table: all versions", "Table: Confusion matrix"):
        page.get_by_text(table).click()
    assert violations(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_charts_follow_the_width_and_the_theme(watch: Watch, site: Site) -> None:
    page = watch(site.page())
    canvas = page.locator(".plot canvas").first
    pixel = "(c) => c.toDataURL()"
    light = canvas.evaluate(pixel)
    page.emulate_media(color_scheme="dark")
    wait_for(lambda: canvas.evaluate(pixel) != light, "the chart to be drawn in other colours")
    page.set_viewport_size({"width": 320, "height": 700})
    wait_for(lambda: (canvas.bounding_box() or {"width": 999})["width"] < 320, "the chart to shrink")


def test_it_is_read_by_keyboard(watch: Watch, site: Site) -> None:
    page = watch(site.page())
    page.get_by_label("Metric", exact=True).focus()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Table: ROC AUC on ground truth")).to_be_focused()
    page.keyboard.press("Enter")
    table = page.get_by_role("table", name=re.compile("^ROC AUC of each pass"))
    expect(table).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("region", name=re.compile("^ROC AUC of each pass"))).to_be_focused()
    page.keyboard.press("End")
    wait_for(lambda: bool(page.evaluate("document.activeElement.scrollTop > 500")), "the table to scroll")
