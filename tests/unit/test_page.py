"""What a model's page is made of: everything that happened, and nothing that could not be read."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from obstore.store import MemoryStore

from perennial import keys
from perennial.errors import StoreUnavailable
from perennial.jobs.page import build_page, publish, publish_page, site_store
from perennial.jobs.page.data import PageData
from perennial.jobs.page.passes import PASSES
from perennial.jobs.page.versions import VERSIONS
from perennial.jobs.workspace import Workspace
from perennial.registry.registry import Registry
from perennial.settings import Settings
from perennial.store import Store, memory_store
from perennial.training.evaluation import Evaluation
from tests.support import page_world as world
from tests.support import versions as small
from tests.support.page_world import MODEL, at
from tests.support.seam import Seam
from tests.support.stores import Bucket

NOW = at(30)


@pytest.fixture(scope="module")
def lived() -> tuple[Bucket, dict[str, str]]:
    bucket = Bucket()
    return bucket, world.live(bucket.writer)


def test_every_version_says_what_became_of_it(lived: tuple[Bucket, dict[str, str]]) -> None:
    bucket, versions = lived
    page = build_page(bucket.store, MODEL, NOW)
    assert {view.status: view.version for view in page.versions} == versions
    assert [view.at for view in page.versions] == [at(day) for day in (29, 21, 15, 8, 0)]
    assert (page.champion, page.generation, page.metric, page.target) == (versions["champion"], 4, "roc_auc", "y")
    assert page.left_out == ()
    newest = page.versions[0]
    assert newest.because.startswith("1,204 new rows")
    assert {"roc.svg", "confusion.svg", "calibration.svg", "evaluation.json", "card.html"} <= set(newest.files)
    assert "model.onnx" not in newest.files


def test_events_say_who_when_and_why(lived: tuple[Bucket, dict[str, str]]) -> None:
    bucket, versions = lived
    events = build_page(bucket.store, MODEL, NOW).events
    assert [event.kind for event in events] == [
        "waiting", "rolled_back", "promoted", "rejected", "promoted", "promoted",
    ]  # fmt: skip
    waiting, back, promoted, rejected = events[:4]
    assert (back.version, back.previous, back.reasons) == (
        versions["champion"], versions["rolled_back"], ("smoke test failed: no answer",),
    )  # fmt: skip
    assert (promoted.by, promoted.at) == ("Ada", at(21.01))
    assert (waiting.reasons, waiting.until) == (("passed the gate; a person decides",), at(32.01))
    assert rejected.by == "the gate"
    assert any(reason.startswith("gain.roc_auc: On ") for reason in rejected.reasons)


def test_what_a_person_said_ends_the_waiting() -> None:
    store = memory_store()
    first, second = world.trained("run-1", "tree"), world.trained("run-5", seed=6)
    version = second.manifest.version
    world.publish(store, first, 0)
    world.promote(store, first, 0.01)
    world.publish(store, second, 1, first.manifest)
    world.ask(store, second, 1.01)
    late = build_page(store, MODEL, at(5))
    assert (late.events[0].kind, late.events[0].reasons) == ("rejected", ("nobody answered in time",))
    world.answer(store, version, approved=False, day=2)
    page = build_page(store, MODEL, at(2.5))
    assert [view.status for view in page.versions] == ["rejected", "champion"]
    said = page.events[0]
    assert (said.kind, said.by, said.at, said.reasons) == (
        "rejected", "Grace <b>Hopper</b>", at(2), ("too few labels",),
    )  # fmt: skip


def test_histories_stand_in_columns_beside_their_passes(lived: tuple[Bucket, dict[str, str]]) -> None:
    page = build_page(lived[0].store, MODEL, NOW)
    assert [each.until for each in page.passes] == [world.START + number * world.STEP for number in range(120)]
    assert {feature.feature for feature in page.drift} == set(world.FEATURES)
    assert {len(column) for column in [one.value for one in page.drift] + [one.low for one in page.performance]} == {
        120
    }
    color = next(feature for feature in page.drift if feature.feature == "color")
    reported = [world.monitor_report(number, "v").drift.features[1] for number in range(120)]
    assert color.value == pytest.approx([feature.value for feature in reported], rel=1e-5)
    assert color.moved == tuple(feature.moved for feature in reported)
    accuracy = page.performance[1]
    assert (accuracy.metric, accuracy.verdict[0], accuracy.value[0]) == ("accuracy", "unknown", None)
    assert page.passes[0].performance_why == "only 12 labels of 200"
    assert {each.measured for each in page.passes} == {lived[1]["champion"]}
    assert [each.html for each in page.passes[-3:]] == [(), *[("drift.html", "quality.html")] * 2]


def test_a_feature_that_only_some_passes_judged_leaves_gaps() -> None:
    store = memory_store()
    world.watch(store, 3, world.trained("run-1", "tree").manifest)
    report = world.monitor_report(3, "v")
    drift = report.drift.model_copy(update={"features": report.drift.features[1:]})
    store.put_new(
        keys.monitor_summary(MODEL, report.run), report.model_copy(update={"drift": drift}).model_dump_json().encode()
    )
    number = next(one for one in build_page(store, MODEL, NOW).drift if one.feature == "number")
    assert number.value[3] is None
    assert None not in number.value[:3]


def test_a_model_without_a_past_has_a_page_too() -> None:
    page = build_page(memory_store(), MODEL, NOW)
    assert (page.champion, page.task, page.versions, page.events, page.passes, page.left_out) == (
        None, None, (), (), (), (),
    )  # fmt: skip


def test_what_is_damaged_is_left_out_and_named() -> None:
    bucket = Bucket()
    store = bucket.writer
    good, bad = world.trained("run-1", "tree"), world.trained("run-2", "boosted")
    for version in (good, bad):
        world.publish(store, version, 0)
    world.promote(store, good, 1)
    world.watch(store, 2, good.manifest, reports=0)
    summary = keys.monitor_summary(MODEL, world.monitor_report(1, "v").run)
    bucket.tamper(summary, b'{"format": 1}')
    bucket.tamper(keys.version_manifest(MODEL, bad.manifest.version), b"{}")
    bucket.tamper(keys.registry_blob(MODEL, good.manifest.files["roc.svg"].digest), b"<svg onload=x/>")
    site = memory_store()
    found = publish_page(store, site, MODEL, NOW)
    assert (found.versions, found.passes) == (1, 1)
    told = "\n".join(found.left_out)
    assert summary in told
    assert f"version {bad.manifest.version} does not match its name" in told
    assert "roc.svg" in told
    page = read(site)
    assert page.left_out == found.left_out
    assert "roc.svg" not in page.versions[0].files
    assert "calibration.svg" in page.versions[0].files
    assert site.find(keys.page_version(MODEL, good.manifest.version, "roc.svg")) is None


def test_a_damaged_log_entry_or_outcome_or_gate_stops_nothing() -> None:
    bucket = Bucket()
    store = bucket.writer
    version = world.trained("run-1", "tree")
    world.publish(store, version, 0)
    world.promote(store, version, 1)
    for entry in [*store.list(keys.log_entries(MODEL)), *store.list(keys.outcomes(MODEL))]:
        bucket.tamper(entry.key, b"not json")
    page = build_page(store, MODEL, NOW)
    assert [view.status for view in page.versions] == ["registered"]
    assert page.champion is None
    assert len(page.left_out) == 2
    for entry in store.list(f"{MODEL}/registry/gates/"):
        bucket.tamper(entry.key, b"[]")
    page = build_page(store, MODEL, NOW)
    assert any("/gates/" in line for line in page.left_out)


def test_a_signature_is_no_version() -> None:
    store = memory_store()
    version = world.trained("run-1", "tree")
    world.publish(store, version, 0)
    world.promote(store, version, 1)
    store.put_new(keys.version_signature(MODEL, version.manifest.version, "0" * 16), b"{}")
    page = build_page(store, MODEL, NOW)
    assert ([view.version for view in page.versions], page.left_out) == ([version.manifest.version], ())


def test_only_the_newest_are_shown_and_the_champion_always() -> None:
    store = memory_store()
    registry = Registry(store)
    made = [small.version(number) for number in range(VERSIONS + 3)]
    for number, (manifest, files) in enumerate(made):
        registry.publish(manifest, files)
        if number == 0:
            registry.promote(small.MODEL, manifest.version, op_id="1", actor="a", reason="", now=NOW)
    report = world.monitor_report(0, "v", model=small.MODEL)
    for number in range(PASSES + 2):
        run = f"2026-{number:04d}"
        later = report.model_copy(update={"run": run, "until": report.until + timedelta(hours=number)})
        store.put_new(keys.monitor_summary(small.MODEL, run), later.model_dump_json().encode())
    page = build_page(store, small.MODEL, NOW)
    assert len(page.versions) == VERSIONS
    assert page.champion in {view.version for view in page.versions}
    assert [each.run for each in page.passes][:: PASSES - 1] == ["2026-0002", f"2026-{PASSES + 1:04d}"]


def read(site: Store) -> PageData:
    return PageData.model_validate_json(site.get(keys.page_data(MODEL, "model.json")).data)


def test_publishing_brings_all_that_the_page_names(lived: tuple[Bucket, dict[str, str]]) -> None:
    bucket, versions = lived
    raw = MemoryStore()
    site = Store(raw)
    found = publish_page(bucket.store, site, MODEL, NOW)
    assert found.published
    page = read(site)
    assert page == build_page(bucket.store, MODEL, NOW)
    named = {keys.page_version(MODEL, view.version, name) for view in page.versions for name in view.files}
    named |= {keys.page_report(MODEL, each.run, name) for each in page.passes for name in each.html}
    assert {entry.key for entry in site.list("")} == named | {keys.page_data(MODEL, "model.json"), keys.PAGE_INDEX}
    assert found.files == len(named)
    assert json.loads(site.get(keys.PAGE_INDEX).data)["models"] == [MODEL]
    Evaluation.model_validate_json(site.get(keys.page_version(MODEL, versions["champion"], "evaluation.json")).data)
    served = {
        suffix: raw.get(next(key for key in sorted(named) if key.endswith(suffix))).attributes
        for suffix in (".svg", ".html")
    }
    assert served[".svg"]["Content-Type"] == "image/svg+xml; charset=utf-8"
    assert "immutable" in served[".svg"]["Cache-Control"]
    assert served[".html"]["Content-Type"] == "text/html; charset=utf-8"
    assert raw.get(keys.PAGE_INDEX).attributes["Cache-Control"] == "no-cache"


def test_publishing_again_sends_only_what_is_new(lived: tuple[Bucket, dict[str, str]]) -> None:
    store = lived[0].store
    raw = MemoryStore()
    asked: list[tuple[str, str]] = []

    def watch(operation: str, key: str, request):  # type: ignore[no-untyped-def]
        asked.append((operation, key))
        return request()

    site = Store(Seam(raw, watch))
    publish_page(store, site, MODEL, NOW)
    asked.clear()
    assert publish_page(store, site, MODEL, NOW).files == 0
    assert [key for operation, key in asked if operation == "put"] == []
    publish_page(store, site, MODEL, NOW + timedelta(hours=1))
    assert [key for operation, key in asked if operation == "put"] == [keys.page_data(MODEL, "model.json")]


def test_an_older_page_never_replaces_a_newer_one(lived: tuple[Bucket, dict[str, str]]) -> None:
    site = memory_store()
    for now in (NOW, at(29)):
        publish_page(lived[0].store, site, MODEL, now)
    assert read(site).at == NOW


def test_a_page_from_a_clock_that_ran_ahead_is_replaced(lived: tuple[Bucket, dict[str, str]]) -> None:
    site = memory_store()
    for now in (NOW + timedelta(days=400), NOW):
        publish_page(lived[0].store, site, MODEL, now)
    assert read(site).at == NOW


def test_a_page_of_another_release_is_replaced(lived: tuple[Bucket, dict[str, str]]) -> None:
    site = memory_store()
    site.put_new(keys.page_data(MODEL, "model.json"), b"<html>")
    publish_page(lived[0].store, site, MODEL, NOW)
    assert read(site).at == NOW


def test_two_models_are_both_listed(lived: tuple[Bucket, dict[str, str]]) -> None:
    site = memory_store()
    for model in (MODEL, "another"):
        publish_page(lived[0].store, site, model, NOW)
    assert json.loads(site.get(keys.PAGE_INDEX).data)["models"] == ["another", MODEL]


def test_a_site_that_does_not_answer_is_told(lived: tuple[Bucket, dict[str, str]]) -> None:
    away = Bucket()
    away.down = True
    with pytest.raises(StoreUnavailable):
        publish_page(lived[0].store, away.store, MODEL, NOW)
    with pytest.raises(StoreUnavailable):
        build_page(away.store, MODEL, NOW)


def test_without_a_site_nothing_is_published(lived: tuple[Bucket, dict[str, str]]) -> None:
    spec = world.trained("run-1", "tree").manifest.spec
    for settings in (None, Settings(bucket="models")):
        w = Workspace(
            spec=spec, store=lived[0].store, run="r", code="c", api_url=None, progress=lambda line: None,
            now=lambda: NOW, settings=settings,
        )  # fmt: skip
        assert not publish(w).published


def test_the_site_is_a_bucket_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    assert site_store(Settings(bucket="models")) is None
    assert site_store(Settings(bucket="models", site_bucket="site", aws_endpoint_url="http://127.0.0.1:9")) is not None
