"""The shape of the monitoring DAG, read from what Airflow itself makes of the files."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dags.test_training_dags import before

Described = dict[str, Any]
LOOKS = {"quality", "drift", "performance", "trial"}


@pytest.fixture
def tasks(described: Described) -> Described:
    found: Described = described["dags"]["monitor_iris"]["tasks"]
    return found


def test_one_monitoring_for_each_spec_that_can_be_read(described: Described) -> None:
    found = {name for name, dag in described["dags"].items() if dag["file"] == "monitoring.py"}
    assert found == {"monitor_iris", "monitor_second"}


def test_a_pass_comes_every_six_hours_or_as_the_spec_says(described: Described) -> None:
    assert described["dags"]["monitor_iris"]["schedule"] == "0 */6 * * *"
    assert described["dags"]["monitor_second"]["schedule"] == "15 * * * *"


def test_the_looks_are_side_by_side_between_the_check_and_the_summary(tasks: Described) -> None:
    for look in LOOKS:
        assert before(tasks, look) == {"check"}
    assert before(tasks, "retain") == LOOKS
    assert before(tasks, "summary") == {"retain"}


def test_a_trial_is_stopped_by_what_was_found_of_it_alone(tasks: Described) -> None:
    """Whatever else of the pass fails, and by a step that reads nothing of what callers have sent."""
    assert before(tasks, "judge_trial") == {"trial"}
    assert before(tasks, "stop_trial") == before(tasks, "trial_goes_on") == {"judge_trial"}


def test_only_the_summary_starts_a_training(tasks: Described) -> None:
    assert before(tasks, "retrain") == {"decide"}
    assert before(tasks, "decide") == {"summary"}
    assert before(tasks, "no_training") == {"decide"}


def test_a_training_is_started_once_and_not_waited_for(tasks: Described) -> None:
    settings = tasks["retrain"]["settings"]
    assert settings["trigger_dag_id"] == "train_iris"
    assert settings["trigger_run_id"] == "monitor__{{ run_id }}"
    assert settings["skip_when_already_exists"] == "True"
    assert settings["wait_for_completion"] == "False"
    assert "'cause': 'monitor'" in settings["conf"] and "reasons" in settings["conf"]


def test_no_failure_of_a_pass_goes_untold(tasks: Described) -> None:
    assert tasks["report_failure"]["rule"] == "one_failed"
    assert before(tasks, "report_failure") == set(tasks) - {"report_failure"}
