"""A trial as it was captured: who failed, where they disagreed, who was right, and when it is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from perennial.jobs.trial import look_at_trial, trial_check
from perennial.monitoring.beside import distance
from perennial.monitoring.observed import labelled, observe
from perennial.registry.check import check
from perennial.registry.entries import LogEntry
from perennial.registry.registry import Registry
from perennial.registry.trials import end_trial
from perennial.spec_policy import TrialPolicy
from tests.support.captures import capture, give
from tests.support.trialled import BEGAN, CLASSES, NOW, Trialled, agreeing


@pytest.fixture(params=["canary", "shadow"])
def trial(request: pytest.FixtureRequest) -> Iterator[Trialled]:
    yield Trialled(mode=request.param)


def test_rows_are_paired_by_their_id_whoever_answered(trial: Trialled) -> None:
    rows = agreeing(trial, 90) + [trial.row("setosa", "virginica") for _ in range(10)]
    rows += [trial.row("setosa", None, role="outside")] if trial.mode == "canary" else []
    trial.capture(*rows)
    found = trial.look()
    assert (found.disagreement.rows, found.disagreement.value) == (100, 0.1)
    assert (found.errors.rows, found.errors.value, found.status) == (100, 0.0, "ok")
    assert (found.rows, found.answered) == ((101, 100) if trial.mode == "canary" else (100, 0))


def test_what_is_delivered_twice_counts_once(trial: Trialled) -> None:
    rows = agreeing(trial, 50)
    trial.capture(*rows)
    capture(trial.store, [one for row in rows for one in row], batch=1000)
    found = trial.look()
    assert (found.rows, found.errors.rows, found.disagreement.rows) == (50, 50, 50)


def test_lines_of_another_trial_or_version_are_left_out(trial: Trialled) -> None:
    trial.capture(*agreeing(trial, 20), *[trial.row("setosa", "virginica", generation=1) for _ in range(20)])
    stranger = trial.row("setosa", "virginica")[0].model_copy(update={"version": "f" * 16})
    trial.capture([stranger])
    assert (trial.look().rows, trial.look().disagreement.value) == (20, 0.0)


def test_too_few_rows_are_unknown_and_never_fine(trial: Trialled) -> None:
    trial.capture(*agreeing(trial, 99))
    found = trial.look()
    assert (found.status, found.reasons) == ("unknown", ("99 rows, 100 are needed",))
    assert Trialled().look().errors.value is None


def test_failures_break_the_bound_however_few_the_rows(trial: Trialled) -> None:
    trial.capture(*agreeing(trial, 5), *[trial.row("setosa", None) for _ in range(5)])
    found = trial.look()
    assert (found.errors.rows, found.errors.value, found.status) == (10, 0.5, "stop")
    assert found.reasons[0].startswith("its error rate is 50.00% on 10 rows, surely above ")
    assert trial.look(TrialPolicy(error_rate=None)).status == "unknown"


def test_one_failure_of_a_few_is_no_proof(trial: Trialled) -> None:
    trial.capture(*agreeing(trial, 120), trial.row("setosa", None))
    assert trial.look().status == "ok"


def test_disagreement_is_judged_from_enough_rows_on(trial: Trialled) -> None:
    trial.capture(*[trial.row("setosa", "virginica") for _ in range(60)])
    assert trial.look().status == "unknown"
    trial.capture(*agreeing(trial, 60))
    found = trial.look()
    assert (found.disagreement.value, found.disagreement.broken, found.status) == (0.5, True, "stop")
    assert trial.look(TrialPolicy(disagreement=None)).status == "ok"


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [("a", "a", 0.0), ("a", "b", 1.0), (2.0, 1.0, 0.5), (-1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0.0, 3.0, 1.0)],
)
def test_how_far_apart_two_answers_are(one: str | float, other: str | float, apart: float) -> None:
    assert distance(one, other) == distance(other, one) == apart


def test_a_regression_is_apart_by_parts_of_the_larger_value() -> None:
    trial = Trialled(mode="shadow", task="regression")
    ids = trial.capture(*[trial.row(10.0, 9.0) for _ in range(150)])
    for identifier in ids[:40]:
        give(trial.store, "iris", identifier, 9.5 if identifier > ids[20] else 9.0, NOW - timedelta(hours=1))
    found = trial.look()
    assert found.disagreement.value == pytest.approx(0.1)
    assert (found.status, found.labels) == ("ok", 40)
    assert found.gain is not None and found.gain.metric == "mean_absolute_error" and found.gain.mcnemar is None
    assert found.gain.gain is not None and found.gain.gain > 0


def test_both_are_measured_on_the_same_rows_with_their_truth(trial: Trialled) -> None:
    rows = agreeing(trial, 60) + [trial.row("setosa", "virginica") for _ in range(40)]
    ids = trial.capture(*rows)
    for place, identifier in enumerate(ids):  # the challenger is right throughout
        give(trial.store, "iris", identifier, CLASSES[place % 3] if place < 60 else "virginica", NOW)
    found = look_at_trial(trial.store, "iris", NOW + timedelta(seconds=1))
    assert found is not None and found.labels == 100
    accuracy = next(one for one in found.metrics if one.metric == "accuracy")
    assert (accuracy.champion, accuracy.challenger) == (0.6, 1.0)
    assert found.gain is not None and found.gain.gain == pytest.approx(0.4)
    assert found.gain.low is not None and found.gain.low > 0.2 and found.gain.mcnemar is not None


def test_a_row_that_only_one_has_answered_is_measured_for_neither() -> None:
    trial = Trialled()
    rows = [trial.row("setosa", "setosa"), trial.row(None, "setosa"), trial.row("setosa", None)]
    for identifier in trial.capture(*rows, trial.row("setosa", None, role="outside")):
        give(trial.store, "iris", identifier, "setosa", NOW - timedelta(hours=1))
    found = trial.look()
    assert (found.labels, found.rows, found.answered) == (1, 4, 2)
    assert found.errors.rows == 3 and found.errors.value == pytest.approx(1 / 3)


def test_the_champions_own_watch_counts_no_shadow(trial: Trialled) -> None:
    ids = trial.capture(*agreeing(trial, 50))
    give(trial.store, "iris", ids[0], "setosa", NOW - timedelta(hours=1))
    window = observe(trial.store, trial.spec, BEGAN, NOW)
    assert (window.total, window.duplicates, window.lost, window.served) == (50, 0, 0, 50)
    truth = labelled(trial.store, trial.spec, since=BEGAN, until=NOW)
    assert truth.about["version"].to_pylist() == [
        trial.challenger.version if trial.mode == "canary" else trial.champion.version
    ]


class TestCheck:
    def failing(self, trial: Trialled) -> Trialled:
        trial.capture(*[trial.row("setosa", None) for _ in range(20)])
        return trial

    def test_a_broken_bound_ends_the_trial_once_and_the_champion_stays(self, trial: Trialled) -> None:
        w = self.failing(trial).workspace()
        found = trial_check(w)
        head = Registry(trial.store).head("iris")
        assert head is not None and (head.kind, head.trial, head.generation) == ("trial_end", None, found.ended_by)
        assert head.version == trial.champion.version
        assert head.reason.startswith("stopped: its error rate is 100.00%")
        assert trial_check(w) == found
        assert len(Registry(trial.store).log("iris")) == 3 and check(trial.store, "iris") == ()

    def test_one_that_died_before_it_could_tell_ends_nothing_twice(self, trial: Trialled) -> None:
        w = self.failing(trial).workspace()

        class Died(Exception):
            pass

        def dying(text: str) -> None:
            raise Died

        with pytest.raises(Died):
            trial_check(replace(w, progress=dying))
        assert trial_check(w).ended_by == 3
        assert len(Registry(trial.store).log("iris")) == 3

    def test_a_trial_that_began_anew_meanwhile_goes_on(self, trial: Trialled) -> None:
        w = self.failing(trial).workspace()
        report = trial.look()
        trial_check(w)  # ended
        again = trial.begin("again")
        assert trial_check(w).ended_by == 3 and report.trial.began == 2
        assert Registry(trial.store).head("iris") == again

    def test_one_that_somebody_ended_first_is_left_as_it_is(self, trial: Trialled) -> None:
        w = self.failing(trial).workspace()
        ended: list[LogEntry] = []

        def first(self_: Any = None) -> datetime:
            if not ended:
                ended.append(end_trial(trial.store, "iris", op_id="end", actor="ada", reason="", now=NOW))
            return NOW

        found = trial_check(replace(w, now=first), NOW)
        assert found.ended_by is None and found.report is not None and found.report.status == "stop"
        assert Registry(trial.store).head("iris") == ended[0]

    def test_what_keeps_its_bounds_goes_on(self, trial: Trialled) -> None:
        trial.capture(*agreeing(trial, 150))
        found = trial_check(trial.workspace())
        assert found.report is not None and (found.report.status, found.ended_by) == ("ok", None)
        assert Registry(trial.store).head("iris") == trial.begun

    def test_the_bounds_are_todays(self, trial: Trialled) -> None:
        lenient = TrialPolicy(error_rate=None)
        assert trial_check(self.failing(trial).workspace(trial=lenient)).ended_by is None

    def test_without_a_trial_there_is_nothing_to_look_at(self, trial: Trialled) -> None:
        end_trial(trial.store, "iris", op_id="end", actor="ada", reason="", now=NOW)
        assert trial_check(trial.workspace()).report is None
