"""The words of notices: what happened, why, what to do next, and under which id each event is told once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from perennial.jobs.approval import NOBODY, ApprovalRequest
from perennial.jobs.notices import of_approval, of_entry, of_failure, of_outcome, of_report, tell
from perennial.jobs.results import OutcomeResult
from perennial.jobs.workspace import Workspace
from perennial.monitoring.results import (
    DriftReport,
    FeatureDrift,
    MetricNow,
    MonitorReport,
    PerformanceReport,
    QualityReport,
)
from perennial.notify import Notice
from perennial.registry.log import LogEntry
from perennial.settings import Settings
from perennial.spec_source import parse_spec
from perennial.store import memory_store
from tests.support.shop import SPEC

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
TRAINED = OutcomeResult(
    model="shop",
    run="one",
    dataset="d" * 64,
    trained=True,
    at=NOW,
    because="1,200 new rows",
    version="v2",
    candidate="tree",
    metrics={"accuracy": 0.91234},
    passed=True,
    reasons=("pass minimum.accuracy: accuracy 0.91 is not below the minimum 0.8.",),
)


@pytest.fixture
def w() -> Workspace:
    return Workspace(
        spec=parse_spec(SPEC),
        store=memory_store(),
        run="one",
        code="c0de",
        api_url=None,
        progress=lambda line: None,
        now=lambda: NOW,
    )


def outcome(**changes: object) -> OutcomeResult:
    return TRAINED.model_copy(update=changes)


def notice_of(w: Workspace, **changes: object) -> Notice:
    found = of_outcome(w, outcome(**changes))
    assert found is not None
    return found


def test_a_promotion_says_what_serves_why_and_the_way_back(w: Workspace) -> None:
    found = notice_of(w, promoted=True, generation=4, previous="v1")
    assert (found.kind, found.event) == ("promoted", "promoted-4-v2")
    assert found.headline == "shop: version v2 was promoted"
    for part in ("generation 4", "v1", "1,200 new rows", "accuracy 0.9123", "minimum 0.8", "perennial rollback shop"):
        assert part in found.text


def test_the_first_promotion_has_no_way_back(w: Workspace) -> None:
    assert "rollback" not in notice_of(w, promoted=True, generation=1).text


def test_a_rejection_gives_the_gate_s_reasons_and_how_to_overrule_it(w: Workspace) -> None:
    found = notice_of(w, passed=False, failures=("gain.accuracy: a gain of -0.1, but at least 0 is wanted.",))
    assert (found.kind, found.event) == ("rejected", "rejected-one-v2")
    assert "- gain.accuracy: a gain of -0.1" in found.text and "turned it down" in found.text
    assert "minimum.accuracy" not in found.text  # what it did pass is no reason
    assert "perennial promote shop v2" in found.text


@pytest.mark.parametrize(("by", "said"), [("ada", "ada rejected it"), (NOBODY, "Nobody answered in time")])
def test_a_person_s_rejection_names_who_it_was(w: Workspace, by: str, said: str) -> None:
    assert said in notice_of(w, answered_by=by).text


def test_a_rollback_by_itself_says_what_failed(w: Workspace) -> None:
    smoke = "The endpoint answered by version v1, not v2."
    found = notice_of(w, promoted=True, generation=4, previous="v1", smoke_failure=smoke, rolled_back=True)
    assert (found.kind, found.event) == ("rolled_back", "rolled-back-one")
    assert smoke in found.text and "v1 serves again" in found.text


def test_a_failed_smoke_test_without_a_way_back_is_a_failure(w: Workspace) -> None:
    found = notice_of(w, promoted=True, generation=1, smoke_failure="no answer; it is the first version")
    assert (found.kind, found.event) == ("failed", "failed-one-smoke")
    assert "could not be rolled back" in found.text and "perennial rollback shop" in found.text


@pytest.mark.parametrize("changes", [{"trained": False}, {"waiting": True}])
def test_nothing_is_told_of_a_run_without_an_end_to_tell(w: Workspace, changes: dict[str, bool]) -> None:
    assert of_outcome(w, outcome(**changes)) is None


def test_a_failure_is_one_event_a_day_for_each_step_and_reason(w: Workspace) -> None:
    """An hourly pull whose database is down tells of it once, not each hour."""
    failed = (("train", "a"), ("train", "a"), ("train", "b"), ("gate", "a"))
    first, again, worse, other = (of_failure(w, *each) for each in failed)
    assert first.event == again.event and len({first.event, worse.event, other.event}) == 3

    def of_hour(hour: int) -> Notice:
        return of_failure(replace(w, run=f"run-{hour}", now=lambda: NOW + timedelta(hours=hour)), "train", "a")

    assert len({of_hour(hour).event for hour in range(48)}) == 3  # of three days
    assert "The step train of run run-47 failed" in of_hour(47).text
    assert first.kind == "failed" and "The step train of run one failed" in first.text and "\na\n" in first.text


def test_a_request_for_approval_says_until_when_and_how_to_answer(w: Workspace) -> None:
    request = ApprovalRequest(
        model="shop", version="v2", run="one", at=NOW, until=NOW + timedelta(days=3), champion="v1",
        reasons=TRAINED.reasons, subject="shop: may version v2 serve?", body="", card="shop/registry/blobs/sha256/0",
        page="http://site/model.html#shop",
    )  # fmt: skip
    found = of_approval(w, request)
    assert (found.kind, found.event, found.link) == ("approval", "approval-v2", request.page)
    for part in ("against champion v1", "2026-11-24 09:30 UTC", "approve shop v2 --reject", request.card):
        assert part in found.text


def test_what_somebody_did_by_hand_is_told_with_who_and_why(w: Workspace) -> None:
    entry = LogEntry(
        generation=4, op_id="cli", kind="promotion", version="v2", previous="v1", actor="ada", time=NOW,
        reason="new law",
    )  # fmt: skip
    found = of_entry(w.spec, entry)
    assert found.subject == "shop: promoted version v2 by ada" and "ada says why: new law" in found.text
    assert found.event == notice_of(w, promoted=True, generation=4, previous="v1").event
    back = of_entry(w.spec, entry.model_copy(update={"kind": "rollback", "restores": 2}))
    assert (back.kind, back.event) == ("rolled_back", "rolled-back-4-v2")


def feature(name: str, value: float | None, moved: bool | None) -> FeatureDrift:
    return FeatureDrift(
        feature=name, kind="number", statistic="kolmogorov_smirnov", value=value, p_value=0.0, threshold=0.1,
        moved=moved, baseline_rows=900, window_rows=300,
    )  # fmt: skip


def report(until: datetime = NOW, champion: str | None = "v1", **changes: object) -> MonitorReport:
    features = (*(feature(f"f{n}", n / 20, True) for n in range(2, 15)), feature("still", 0.01, False))
    decayed = MetricNow(
        metric="accuracy", value=0.6, low=0.55, high=0.65, holdout=0.9, bound=0.8, verdict="decay",
        why="accuracy 0.6 (0.55 to 0.65) is below 0.8.",
    )  # fmt: skip
    found = MonitorReport(
        model="shop",
        run="pass-1",
        since=until - timedelta(days=7),
        until=until,
        champion=champion,
        generation=1,
        rows=300,
        quality=QualityReport(
            status="ok", reasons=(), rows=300, served=300, lost=0, duplicates=0, labels=250, unmatched_labels=0,
            contradicted=0, features=(),
        ),
        drift=DriftReport(
            status="drift", why="13 of 14 features moved.", rows=300, needed=100, judged=14, moved=13, share=0.93,
            bound=0.3, features=features,
        ),
        performance=PerformanceReport(
            status="decay", why="accuracy is below its bound.", version="v1", labels=250, needed=200, metrics=(decayed,)
        ),
        retrain=True,
        reasons=("93 % of the features moved",),
    )  # fmt: skip
    return found.model_copy(update=changes)


def test_drift_and_decay_are_two_notices_with_figures_and_what_follows(w: Workspace) -> None:
    drift, decay = of_report(w.spec, report())
    assert (drift.kind, decay.kind) == ("drift", "decay")
    assert drift.text.startswith("13 of 14 features moved.\n\n- f14: 0.700") and "and 3 more" in drift.text
    assert "still" not in drift.text
    assert "- accuracy: accuracy 0.6 (0.55 to 0.65) is below 0.8." in decay.text and "250 true values" in decay.text
    for found in (drift, decay):
        assert "A training starts by itself: 93 % of the features moved." in found.text
        assert "perennial rollback shop" in found.text


def test_a_blocked_training_is_said(w: Workspace) -> None:
    drift, _ = of_report(w.spec, report(retrain=False, blocked="the last training ended 2 h ago"))
    assert "No training starts by itself: the last training ended 2 h ago." in drift.text


def test_a_quiet_pass_tells_nothing(w: Workspace) -> None:
    loud = report()
    quiet = loud.model_copy(
        update={
            "drift": loud.drift.model_copy(update={"status": "unknown"}),
            "performance": loud.performance.model_copy(update={"status": "ok"}),
        }
    )
    assert of_report(w.spec, quiet) == ()


def test_drift_is_told_once_a_week_and_champion(w: Workspace) -> None:
    """Four passes a day find the same drift; the year of a week is not always that of its day."""
    events = [
        of_report(w.spec, report(until))[0].event
        for until in (NOW, NOW + timedelta(hours=6), NOW + timedelta(days=1), NOW + timedelta(days=2))
    ]
    assert events == ["drift-v1-2026-W47"] * 3 + ["drift-v1-2026-W48"]
    assert of_report(w.spec, report(champion="v2"))[0].event == "drift-v2-2026-W47"
    assert of_report(w.spec, report(datetime(2027, 1, 1, tzinfo=UTC)))[1].event == "decay-v1-2026-W53"


def test_a_run_without_settings_tells_nobody(w: Workspace) -> None:
    assert not tell(w, of_failure(w, "train", "x")).sent


def test_what_goes_wrong_is_said_and_fails_nothing(w: Workspace) -> None:
    said: list[str] = []
    settings = Settings(
        bucket="data", aws_endpoint_url="http://127.0.0.1:9", topic_arn="arn:aws:sns:us-east-1:000000000000:notices"
    )
    told = tell(replace(w, settings=settings, progress=said.append), of_failure(w, "train", "x"))
    assert not told.sent and len(told.problems) == 1
    assert said == [f"notice not delivered: {told.problems[0]}"]
