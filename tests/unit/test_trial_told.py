"""What is told of a trial: to people, on the model's page, in a pass's summary, and of one prediction."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from perennial import keys
from perennial.jobs import notices
from perennial.jobs.page.publishing import build_page
from perennial.jobs.trace import trace
from perennial.jobs.trial import trial_check
from perennial.jobs.watch import run_pass
from perennial.monitoring.results import MonitorReport
from perennial.registry.registry import Registry
from perennial.registry.trials import end_trial
from tests.support.trialled import BEGAN, NOW, Trialled, agreeing


@pytest.fixture
def trial() -> Trialled:
    return Trialled()


def test_people_are_told_of_its_beginning_and_its_end(trial: Trialled) -> None:
    begun = notices.of_entry(trial.spec, trial.begun)
    assert (begun.kind, begun.event) == ("trial", "trial-2")
    assert begun.subject == f"iris: version {trial.challenger.version} is on trial, by ada"
    assert "answers 30 % of the callers, beside champion" in begun.text and "perennial trial iris" in begun.text
    ended = end_trial(trial.store, "iris", op_id="end", actor="bob", reason="enough", now=NOW)
    told = notices.of_entry(trial.spec, ended)
    assert (told.subject, told.event) == ("iris: the trial was ended by bob", "trial-3")
    assert "bob says why: enough" in told.text
    shadow = notices.of_entry(trial.spec, Trialled(mode="shadow").begun)
    assert "looks at every request and answers none" in shadow.text


def test_people_are_told_why_it_was_stopped(trial: Trialled) -> None:
    trial.capture(*[trial.row("setosa", None) for _ in range(20)])
    found = trial_check(trial.workspace())
    assert found.report is not None and found.ended_by is not None
    notice = notices.of_trial_stopped(trial.spec, found.report, found.ended_by)
    assert notice.subject == f"iris: the trial of version {trial.challenger.version} was stopped"
    assert "- its error rate is 100.00% on 20 rows" in notice.text and "20 predictions from 2026-11-20" in notice.text


def test_a_pass_sums_it_up_and_the_page_shows_it(trial: Trialled) -> None:
    trial.capture(*agreeing(trial, 120))
    report = run_pass(trial.workspace(), html=False)
    assert report.trial is not None and (report.trial.status, report.trial.disagreement.rows) == ("ok", 120)
    page = build_page(trial.store, "iris", NOW)
    assert (page.trial, page.tried) == (trial.begun.trial, report.trial)
    assert [event.kind for event in page.events] == ["promoted"]
    assert {view.version: view.status for view in page.versions} == {
        trial.champion.version: "champion", trial.challenger.version: "registered",
    }  # fmt: skip
    assert page.generation == 2


def test_a_pass_in_which_it_breaks_a_bound_ends_it(trial: Trialled) -> None:
    trial.capture(*[trial.row("setosa", None) for _ in range(20)])
    report = run_pass(trial.workspace(), html=False)
    assert report.trial is not None and report.trial.status == "stop"
    page = build_page(trial.store, "iris", NOW)
    assert page.trial is None and page.tried == report.trial


def test_a_pass_of_an_earlier_release_says_nothing_of_it(trial: Trialled) -> None:
    end_trial(trial.store, "iris", op_id="end", actor="bob", reason="", now=NOW)
    report = run_pass(trial.workspace(), html=False)
    assert report.trial is None
    stored = trial.store.get(keys.monitor_summary("iris", report.run)).data
    old = stored.replace(b'"trial":null', b"").replace(b",,", b",").replace(b",}", b"}")
    assert b"trial" not in old and MonitorReport.model_validate_json(old).trial is None


def test_a_prediction_by_the_challenger_is_traced_to_it(trial: Trialled) -> None:
    [identifier] = trial.capture(trial.row("setosa", "virginica"))
    found = trace(trial.store, identifier)
    assert (found.version.version, found.prediction.role) == (trial.challenger.version, "canary")
    assert found.champion == trial.begun
    assert not any("made" in gap for gap in found.gaps)


def test_the_champion_of_before_is_left_by_the_promotion_and_not_by_trials(trial: Trialled) -> None:
    registry = Registry(trial.store)
    registry.promote("iris", trial.challenger.version, op_id="up", actor="ada", reason="", now=NOW)
    trial.champion, trial.challenger = trial.challenger, trial.champion
    trial.begin("again")
    statuses = {view.version: view.status for view in build_page(trial.store, "iris", NOW).versions}
    assert statuses == {trial.champion.version: "champion", trial.challenger.version: "former"}


def test_a_trial_is_looked_at_over_its_last_thirty_days(trial: Trialled) -> None:
    trial.capture(*agreeing(trial, 10))
    late = trial.workspace("late")
    assert trial_check(replace(late, now=lambda: later(29))).report is not None
    found = trial_check(replace(trial.workspace("later"), now=lambda: later(31))).report
    assert found is not None and (found.rows, found.since) == (0, later(1))


def later(days: int) -> datetime:
    return BEGAN + timedelta(days=days)
