"""A whole pass against a trained model: what it sees, what it keeps, and what it does when it is cut off."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from obstore.store import MemoryStore

from perennial import keys
from perennial.datasets.collected import collected_bytes
from perennial.errors import NotFoundError, SettingsError, StoreRefused
from perennial.jobs import lock
from perennial.jobs.collect import collect
from perennial.jobs.watch import (
    PassResult,
    monitor_check,
    monitor_drift,
    monitor_performance,
    monitor_quality,
    monitor_retain,
    monitor_summary,
    run_pass,
)
from perennial.jobs.watched import moment
from perennial.monitoring.observed import labelled
from perennial.monitoring.results import MonitorReport
from perennial.store import Store
from tests.support.captures import give, prediction_id
from tests.support.watched import NOW, Shop, open_shop, shop_spec, stored

T = TypeVar("T")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """All objects of a bucket with a champion: training is done once."""
    raw = MemoryStore()
    open_shop(Store(raw), tmp_path_factory.mktemp("shop"))
    return stored(Store(raw), "")


@pytest.fixture
def shop(trained: dict[str, bytes]) -> Shop:
    store = Store(MemoryStore())
    for key, data in trained.items():
        store.put_new(key, data)
    return Shop(shop_spec(), store, [])


def expensive(shop: Shop, count: int = 300) -> None:
    """A world in which everything has become dear."""
    shop.tell(shop.serve(count, price=lambda draw: draw.uniform(60, 100)))


def test_a_world_as_in_training_is_fine(shop: Shop) -> None:
    shop.tell(shop.serve(300))
    report = run_pass(shop.workspace(), html=False)
    assert (report.quality.status, report.drift.status, report.performance.status) == ("ok", "ok", "ok")
    assert (report.rows, report.performance.labels, report.quality.labels) == (300, 300, 300)
    assert (report.since, report.until) == (NOW - timedelta(days=7), NOW)
    assert (report.retrain, report.reasons, report.blocked) == (False, (), None)
    assert report.run.startswith("20261121T120000Z-")
    assert report.champion == shop.champion.manifest.version and report.generation == 1


def test_drift_starts_a_training_for_a_stated_reason(shop: Shop) -> None:
    expensive(shop)
    report = run_pass(shop.workspace(), html=False)
    assert report.drift.status == "drift"
    assert report.retrain
    assert report.reasons == ("drift: 1 of 2 features moved (50%), drift is more than 30%: price",)


def test_decay_starts_a_training_for_a_stated_reason(shop: Shop) -> None:
    shop.tell(shop.serve(300), wrong=0.4)
    report = run_pass(shop.workspace(), html=False)
    assert (report.drift.status, report.performance.status, report.retrain) == ("ok", "decay", True)
    assert report.reasons[0].startswith("decay: accuracy 0.")


def test_without_anything_new_to_learn_from_drift_starts_nothing(shop: Shop) -> None:
    shop.serve(300, price=lambda draw: draw.uniform(60, 100))
    report = run_pass(shop.workspace(), html=False)
    assert (report.drift.status, report.retrain) == ("drift", False)
    assert report.blocked == "this dataset has been trained on with this spec before"


def test_what_was_collected_before_is_nothing_new(shop: Shop) -> None:
    expensive(shop)
    found = labelled(shop.store, shop.spec, since=None, until=None)
    data = collected_bytes(shop.spec, found.rows, found.about["prediction_id"], "earlier", NOW)
    w = shop.workspace()
    monitor_check(w)
    assert monitor_performance(w, html=False).waiting == 300
    shop.store.put_new(keys.collected("shop", "feedback", 1), data)
    again = shop.workspace("again")
    monitor_check(again)
    assert monitor_performance(again, html=False).waiting == 0


def test_feedback_that_is_off_is_never_new_however_much_was_collected_before(shop: Shop) -> None:
    expensive(shop)
    found = labelled(shop.store, shop.spec, since=None, until=None)
    data = collected_bytes(shop.spec, found.rows, found.about["prediction_id"], "earlier", NOW)
    shop.store.put_new(keys.collected("shop", "feedback", 1), data)
    assert run_pass(shop.workspace("on"), html=False).retrain
    off = shop.spec.model_copy(update={"retrain": shop.spec.retrain.model_copy(update={"feedback": False})})
    report = run_pass(shop.workspace("off", spec=off), html=False)
    assert (report.drift.status, report.retrain) == ("drift", False)
    assert report.blocked == "this dataset has been trained on with this spec before"


def test_what_is_collected_while_a_pass_runs_is_counted_once(shop: Shop) -> None:
    expensive(shop)
    retrain = shop.spec.retrain.model_copy(update={"new_rows": 300})
    w = shop.workspace(spec=shop.spec.model_copy(update={"retrain": retrain}))
    monitor_check(w)
    for step in (monitor_quality, monitor_drift, monitor_performance):
        step(w, html=False)
    found = labelled(shop.store, shop.spec, since=None, until=None)
    data = collected_bytes(shop.spec, found.rows, found.about["prediction_id"], "training", NOW)
    shop.store.put_new(keys.collected("shop", "feedback", 1), data)
    assert monitor_summary(w).reasons[0].startswith("300 new rows with their truth")


def test_a_label_file_on_feedback_that_was_collected_and_not_learnt_counts_once(shop: Shop) -> None:
    retrain = shop.spec.retrain.model_copy(update={"new_rows": 60})
    spec = shop.spec.model_copy(update={"retrain": retrain})
    lines = shop.serve(60)
    shop.tell(lines)
    collect(shop.workspace("one", spec=spec))
    names = [one.prediction_id for one in lines]
    told = pa.table({"key": names, "by": ["prediction_id"] * 60, "truth": ["yes"] * 60})
    sink = pa.BufferOutputStream()
    pq.write_table(told, sink)
    shop.store.put_new(keys.label_file("shop", "0" * 64), sink.getvalue().to_pybytes())
    assert run_pass(shop.workspace("before", spec=spec), html=False).reasons[0].startswith("60 new rows")
    collect(shop.workspace("two", spec=spec))
    assert len(shop.store.folders(keys.landing("shop", ""))) == 2
    assert run_pass(shop.workspace("after", spec=spec), html=False).reasons[0].startswith("60 new rows")


def test_a_few_labels_by_the_api_wait_for_more_as_they_do_when_collected(shop: Shop) -> None:
    lines = shop.serve(100)
    shop.tell(lines[:49])
    w = shop.workspace("few")
    monitor_check(w)
    assert monitor_performance(w, html=False).waiting == 0
    shop.tell(lines[49:50])
    w = shop.workspace("enough")
    monitor_check(w)
    assert monitor_performance(w, html=False).waiting == 50


def test_a_window_without_predictions_says_so(shop: Shop) -> None:
    report = run_pass(shop.workspace())
    assert (report.rows, report.quality.status, report.drift.status, report.performance.status) == (
        0, "unknown", "unknown", "unknown",
    )  # fmt: skip
    assert report.quality.reasons == ("there are no predictions in the window",)
    assert report.drift.why == "0 predictions in the window, 100 are needed"
    assert report.performance.why.endswith("has its truth yet")
    assert (report.html, report.retrain) == ((), False)


def test_without_a_champion_there_is_nothing_to_say() -> None:
    shop = Shop(shop_spec(), Store(MemoryStore()), [])
    report = run_pass(shop.workspace())
    assert (report.champion, report.generation, report.performance.why) == (None, None, "nothing has been promoted yet")
    assert report.drift.status == "unknown" and not report.retrain


def test_a_feature_the_champion_does_not_know_is_not_judged(shop: Shop) -> None:
    shop.serve(200)
    spec = shop_spec().model_copy(
        update={"features": {**shop_spec().features, "size": shop_spec().features["price"].model_copy()}}
    )
    report = run_pass(shop.workspace(spec=spec), html=False)
    size = next(one for one in report.drift.features if one.feature == "size")
    assert (size.moved, size.note) == (None, "the champion was trained without it")
    assert (report.drift.judged, report.drift.status) == (2, "ok")
    assert next(one for one in report.quality.features if one.feature == "size").baseline_missing is None


def test_a_dataset_that_is_gone_makes_drift_unknown_and_nothing_else(shop: Shop) -> None:
    shop.tell(shop.serve(200))
    shop.store.remove(keys.dataset_manifest("shop", shop.champion.manifest.dataset))
    report = run_pass(shop.workspace(), html=False)
    assert report.drift.status == "unknown" and "cannot be read" in report.drift.why
    assert (report.quality.status, report.performance.status) == ("ok", "ok")


def test_a_pass_while_a_training_runs_looks_on_and_starts_no_second_one(shop: Shop) -> None:
    expensive(shop)
    lock.acquire(shop.store, "shop", "other", NOW)
    report = run_pass(shop.workspace(), html=False)
    assert (report.drift.status, report.retrain, report.blocked) == ("drift", False, "run other is training it")


def test_the_window_is_that_of_the_first_look_however_late_the_rest_comes(shop: Shop) -> None:
    shop.serve(150)
    plan = monitor_check(shop.workspace())
    shop.serve(50, seed=2, before=NOW + timedelta(hours=1))
    late = shop.workspace(now=NOW + timedelta(hours=2))
    assert monitor_check(late) == plan
    assert monitor_quality(late, html=False).report.rows == 150


def test_a_pass_may_be_about_an_earlier_time(shop: Shop) -> None:
    shop.tell(shop.serve(200))
    report = run_pass(shop.workspace(), at=NOW - timedelta(minutes=100), html=False)
    assert (report.rows, report.performance.labels) == (100, 0)  # nothing was known of them then


def test_labels_are_read_from_further_back_than_the_window(shop: Shop) -> None:
    shop.tell(shop.serve(150, before=NOW - timedelta(days=20)))
    give(shop.store, "shop", prediction_id(NOW - timedelta(days=31), 1), "yes", NOW - timedelta(days=1))
    report = run_pass(shop.workspace(), html=False)
    assert (report.rows, report.performance.labels, report.quality.unmatched_labels) == (0, 150, 0)


def test_a_step_before_its_check_says_what_is_missing(shop: Shop) -> None:
    for step in (monitor_quality, monitor_drift, monitor_performance, monitor_retain, monitor_summary):
        with pytest.raises(NotFoundError, match="monitor-check"):
            step(shop.workspace())


def test_steps_apart_come_to_what_a_pass_in_one_process_comes_to(shop: Shop) -> None:
    expensive(shop)
    whole = run_pass(shop.workspace(), html=False)
    for each in stored(shop.store, "shop/monitor"):
        shop.store.remove(each)
    for each in stored(shop.store, "shop/runs/pass-"):
        shop.store.remove(each)
    w = shop.workspace()
    monitor_check(w)
    for step in (monitor_drift, monitor_performance, monitor_quality):
        step(w, html=False)
    monitor_retain(w)
    assert monitor_summary(w) == whole


def test_tasks_at_once_and_the_same_task_twice_at_once_come_to_one_result(shop: Shop) -> None:
    expensive(shop, 150)
    monitor_check(shop.workspace())
    steps = [monitor_quality, monitor_drift, monitor_performance] * 2

    def run(step: Callable[..., Any]) -> Any:
        return step(shop.workspace(), html=False)

    with ThreadPoolExecutor(len(steps)) as pool:
        found = list(pool.map(run, steps))
    assert found[:3] == found[3:]
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda w: monitor_summary(w), [shop.workspace(), shop.workspace()])
    assert first == second
    assert (first.quality, first.drift, first.performance) == tuple(each.report for each in found[:3])


def test_what_is_kept_is_what_was_returned(shop: Shop) -> None:
    shop.tell(shop.serve(150))
    report = run_pass(shop.workspace(), html=False)
    files = stored(shop.store, keys.monitor_file("shop", report.run, ""))
    assert sorted(key.rsplit("/", 1)[-1] for key in files) == [
        "drift.json", "monitor.json", "performance.json", "quality.json",
    ]  # fmt: skip
    kept = files[keys.monitor_file("shop", report.run, "monitor.json")]
    assert kept == shop.store.get(keys.monitor_summary("shop", report.run)).data
    assert MonitorReport.model_validate_json(kept).model_dump() == report.model_dump()
    assert PassResult.model_validate_json(report.model_dump_json()) == report


def test_only_the_newest_passes_keep_their_files_and_every_summary_stays(shop: Shop) -> None:
    spec = shop_spec("monitor: {keep_reports: 3}\n")
    shop.serve(120)
    names = []
    for i in range(5):
        w = shop.workspace(f"pass {i}", spec=spec, now=NOW + timedelta(hours=6 * i))
        names.append(run_pass(w, html=False).run)
    assert list(shop.store.folders(keys.monitor_runs("shop"))) == names[2:]
    assert [entry.key for entry in shop.store.list(keys.monitor_history("shop"))] == [
        keys.monitor_summary("shop", name) for name in names
    ]


def test_a_pass_about_the_past_does_not_remove_its_own_files(shop: Shop) -> None:
    spec = shop_spec("monitor: {keep_reports: 1}\n")
    newest = run_pass(shop.workspace("newest", spec=spec), html=False).run
    old = run_pass(shop.workspace("old", spec=spec), at=NOW - timedelta(days=3), html=False).run
    assert list(shop.store.folders(keys.monitor_runs("shop"))) == [old, newest]
    run_pass(shop.workspace("next", spec=spec, now=NOW + timedelta(hours=1)), html=False)
    assert len(shop.store.folders(keys.monitor_runs("shop"))) == 1


class Keeping(Store):
    """Lets nobody remove anything, as a bucket's policy may."""

    def remove(self, key: str) -> None:
        raise StoreRefused(f"{key}: 403 Forbidden")


def test_reports_that_may_not_be_removed_cost_a_line_never_the_pass(shop: Shop) -> None:
    spec = shop_spec("monitor: {keep_reports: 1}\n")
    run_pass(shop.workspace("old", spec=spec), at=NOW - timedelta(hours=6), html=False)
    report = run_pass(shop.workspace(spec=spec, store=Keeping(shop.store._raw)), html=False)
    assert shop.lines[-1].startswith("old reports were not removed: shop/monitor/runs/")
    assert shop.store.exists(keys.monitor_summary("shop", report.run))


class Killed(BaseException):
    """Stands for a process that ends between two lines."""


class DyingStore(Store):
    """Dies at a new object or removal, after it let some others through: before it takes effect, or right after."""

    def __init__(self, store: Store, lives: int, *, after: bool) -> None:
        super().__init__(store._raw)
        self.lives, self.after = lives, after

    def put_new(self, key: str, data: bytes, **more: Any) -> str:
        if self.exists(key):
            return super().put_new(key, data, **more)
        return self._mortal(lambda: super(DyingStore, self).put_new(key, data, **more))

    def remove(self, key: str) -> None:
        self._mortal(lambda: super(DyingStore, self).remove(key))

    def _mortal(self, act: Callable[[], T]) -> T:
        if self.lives == 0 and not self.after:
            raise Killed
        done = act()
        if self.lives == 0:
            raise Killed
        self.lives -= 1
        return done


def lasting(store: Store) -> dict[str, bytes]:
    """All but the receipts of landing files, which go by the ETags of a bucket."""
    return {key: data for key, data in stored(store, "").items() if "/receipts/" not in key}


@pytest.mark.parametrize("after", [False, True])
def test_a_pass_killed_at_any_write_is_finished_by_its_retry(shop: Shop, after: bool) -> None:
    expensive(shop, 120)
    spec = shop_spec("monitor: {keep_reports: 1}\n")
    run_pass(shop.workspace("earlier", spec=spec, now=NOW - timedelta(hours=6)), html=False)
    before = stored(shop.store, "")
    whole = run_pass(shop.workspace(spec=spec), html=False)
    wanted = lasting(shop.store)
    for writes in range(100):
        store = Store(MemoryStore())
        for key, data in before.items():
            store.put_new(key, data)
        try:
            run_pass(shop.workspace(store=DyingStore(store, writes, after=after), spec=spec), html=False)
        except Killed:
            assert run_pass(shop.workspace(store=store, spec=spec), html=False) == whole
            assert lasting(store) == wanted
        else:
            break
    assert writes == 15  # check, receipt, trial, three findings with their files, four removals, the summary twice


def test_a_report_that_cannot_be_made_costs_a_line_never_the_pass(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERENNIAL_MONITOR_PYTHON", "/nowhere/python")
    shop.serve(120)
    report = run_pass(shop.workspace())
    assert (report.html, report.quality.status) == ((), "ok")
    assert shop.lines == ["a report could not be made: /nowhere/python cannot be run: No such file or directory"]


@pytest.mark.parametrize(
    ("text", "told"),
    [("2026-11-21T06:00:00", "2026-11-21T06:00:00+00:00"), ("2026-11-21T06:00:00+02:00", "2026-11-21T04:00:00+00:00")],
)
def test_a_moment_without_a_zone_is_utc(text: str, told: str) -> None:
    assert moment(text).isoformat() == told


def test_what_is_no_moment_is_refused() -> None:
    with pytest.raises(SettingsError, match="no moment"):
        moment("yesterday")


def test_two_passes_of_one_moment_share_no_files(shop: Shop) -> None:
    first, second = monitor_check(shop.workspace("one")), monitor_check(shop.workspace("two"))
    assert first.name != second.name
