"""The policy of our DAGs, and the shape of the training, read from what Airflow itself makes of the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.dag_files import take_schedules
from tests.unit.test_schedule import TAKEN

HEAVY = {"sklearn", "numpy", "pandas", "pyarrow", "onnxruntime", "onnx", "xgboost", "boto3", "obstore", "scipy"}
Described = dict[str, Any]


def before(tasks: Described, name: str) -> set[str]:
    """The tasks that lead to a task directly."""
    return {each for each, task in tasks.items() if name in task["downstream"]}


def test_files_load_without_an_error(described: Described) -> None:
    assert described["import_errors"] == {}


def test_one_training_for_each_spec_found(described: Described) -> None:
    assert {"train_iris", "train_second"} <= set(described["dags"])


def test_a_mistake_in_one_spec_is_shown_once_and_hides_no_other_model(described: Described) -> None:
    broken = described["dags"]["broken_mistake"]
    assert "model.yaml:7" in broken["doc"]
    assert broken["schedule"] == "None"
    assert [name for name in described["dags"] if "mistake" in name] == ["broken_mistake"]


def test_a_name_given_twice_is_shown_as_a_mistake(described: Described) -> None:
    assert "already defined by" in described["dags"]["broken_twice"]["doc"]


def test_schedule_comes_from_the_spec(described: Described) -> None:
    assert described["dags"]["train_second"]["schedule"] == "30 4 * * 1"


def test_a_schedule_that_a_spec_may_have_is_one_that_airflow_takes(tmp_path: Path) -> None:
    take_schedules(tmp_path, list(TAKEN))


def test_every_dag_follows_the_policy(described: Described) -> None:
    for name, dag in described["dags"].items():
        assert dag["doc"], name
        assert dag["owner"] == "perennial", name
        assert "perennial" in dag["tags"], name
        assert dag["catchup"] is False, name
        assert dag["max_active_runs"] == (8 if name.startswith("train_") else 1), name


def test_every_step_is_tried_again(described: Described) -> None:
    for name, dag in described["dags"].items():
        once = {task for task, found in dag["tasks"].items() if found["retries"] == 0}
        assert once <= {"rolled_back", "mend_the_spec"}, name


def test_a_training_waits_for_its_turn_longer_than_a_killed_one_keeps_it(described: Described) -> None:
    tasks = described["dags"]["train_iris"]["tasks"]
    assert tasks["acquire"]["retries"] >= 15 and tasks["promote"]["retries"] >= 15


def test_candidates_are_mapped(described: Described) -> None:
    assert described["dags"]["train_iris"]["tasks"]["train"]["mapped"]


def test_only_the_gate_and_a_person_lead_to_promotion(described: Described) -> None:
    tasks = described["dags"]["train_second"]["tasks"]
    assert before(tasks, "promote") == {"passed", "verdict"}
    assert before(tasks, "passed") == {"gate"}
    assert before(tasks, "verdict") == {"answer"}
    assert before(tasks, "answer") == {"approve"}
    assert before(tasks, "approve") == {"request_approval"}
    assert before(tasks, "request_approval") == {"passed"}


def test_approval_is_airflows_own_and_its_timeout_rejects(described: Described) -> None:
    approve = described["dags"]["train_second"]["tasks"]["approve"]
    assert "ApprovalOperator" in approve["kinds"]
    assert approve["settings"]["defaults"] == "['Reject']"
    assert approve["settings"]["response_timeout"] == "2:00:00"


def test_what_is_promoted_is_tested_and_rolled_back_where_that_fails(described: Described) -> None:
    tasks = described["dags"]["train_iris"]["tasks"]
    assert before(tasks, "smoke") == {"promote"}
    assert before(tasks, "rollback") == {"smoke"}
    assert tasks["rollback"]["rule"] == "one_failed"
    assert before(tasks, "rolled_back") == {"rollback"} and tasks["rolled_back"]["downstream"] == []


def test_each_way_a_training_can_end_is_concluded(described: Described) -> None:
    tasks = described["dags"]["train_iris"]["tasks"]
    assert before(tasks, "conclude") == {"smoke", "rollback", "not_promoted", "rejected"}
    assert tasks["conclude"]["rule"] == "one_success"


def test_the_turn_is_given_back_however_a_training_went(described: Described) -> None:
    tasks = described["dags"]["train_iris"]["tasks"]
    assert tasks["release"]["rule"] == "all_done"
    assert before(tasks, "release") == {"conclude", "nothing_to_do"}


def test_no_failure_of_a_training_goes_untold(described: Described) -> None:
    tasks = described["dags"]["train_iris"]["tasks"]
    assert tasks["report_failure"]["rule"] == "one_failed"
    untold = set(tasks) - before(tasks, "report_failure") - {"report_failure"}
    assert untold == {"smoke", "rolled_back", "release"}  # told by the rollback, or harmless: a lease lapses


def test_reading_a_dag_file_imports_nothing_heavy(described: Described) -> None:
    assert HEAVY & set(described["imported"]) == set()
    assert "perennial" in described["imported"]
