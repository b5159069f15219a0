"""When a model is trained again, why, and what stands against it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from perennial.monitoring.decision import RetrainDecision, Signals, decide
from perennial.monitoring.results import DriftReport, PerformanceReport
from perennial.spec_policy import Retrain

POLICY = Retrain(new_rows=1000, cooldown=timedelta(hours=6))
MOVED = "4 of 10 features moved"
DRIFT = DriftReport(
    status="drift", why=MOVED, rows=500, needed=100, judged=10, moved=4, share=0.4, bound=0.3, features=()
)  # fmt: skip
BELOW = "roc_auc 0.71 to 0.78, below 0.85"
DECAY = PerformanceReport(status="decay", why=BELOW, version="v", labels=300, needed=200, metrics=())
DAY = timedelta(days=1)


def decided(**signals: Any) -> RetrainDecision:
    return decide(POLICY, Signals(**{"cause": "monitor", "since_last": DAY, **signals}))


def test_without_a_reason_nothing_is_trained_and_nothing_is_blocked() -> None:
    assert decided(fresh_rows=999) == RetrainDecision(retrain=False, reasons=())


@pytest.mark.parametrize(
    ("signals", "reason"),
    [
        ({"fresh_rows": 1000}, "1,000 new rows"),
        ({"drift": DRIFT}, "drift: 4 of 10 features moved"),
        ({"performance": DECAY}, "decay: roc_auc 0.71 to 0.78, below 0.85"),
        ({"cause": "schedule"}, "its schedule says so"),
        ({"cause": "manual"}, "not been trained on before"),
        ({"because": "drift: told by the monitor"}, "drift: told by the monitor"),
        ({"first": True, "since_last": None}, "nothing has been trained yet"),
        ({"forced": True, "trained_before": True}, "it was asked for"),
    ],
)
def test_each_signal_is_a_reason(signals: dict[str, Any], reason: str) -> None:
    found = decided(**signals)
    assert found.retrain and found.blocked is None
    assert len(found.reasons) == 1 and reason in found.reasons[0]


def test_all_reasons_are_told() -> None:
    found = decided(drift=DRIFT, performance=DECAY, fresh_rows=5000)
    assert [reason.split()[0] for reason in found.reasons] == ["5,000", "drift:", "decay:"]


@pytest.mark.parametrize("status", ["ok", "unknown"])
def test_what_is_unknown_is_no_reason(status: Any) -> None:
    drift = DRIFT.model_copy(update={"status": status})
    performance = DECAY.model_copy(update={"status": status})
    assert not decided(drift=drift, performance=performance).retrain


def test_the_cooldown_holds_until_it_is_over() -> None:
    early = decided(drift=DRIFT, since_last=timedelta(hours=5, minutes=59))
    assert not early.retrain and early.reasons
    assert early.blocked == "the last training was 5 hours ago, and the cooldown is 6 hours"
    assert decided(drift=DRIFT, since_last=timedelta(hours=6)).retrain


def test_a_training_from_a_clock_that_ran_ahead_blocks_no_longer_than_the_cooldown() -> None:
    assert decided(drift=DRIFT, since_last=timedelta(days=-300)).retrain
    assert not decided(drift=DRIFT, since_last=timedelta(seconds=-1)).retrain


def test_a_person_waits_for_no_cooldown() -> None:
    assert decided(cause="manual", since_last=timedelta(0)).retrain
    assert not decided(cause="schedule", since_last=timedelta(0)).retrain


def test_drift_without_new_truth_trains_nothing_since_the_same_would_come_of_it() -> None:
    found = decided(drift=DRIFT, trained_before=True)
    assert not found.retrain
    assert found.blocked == "this dataset has been trained on with this spec before"


@pytest.mark.parametrize("signals", [{"drift": DRIFT}, {"forced": True}, {"cause": "manual"}])
def test_one_training_at_a_time(signals: dict[str, Any]) -> None:
    found = decided(running="cycle-7", **signals)
    assert not found.retrain and found.blocked == "run cycle-7 is training it"
