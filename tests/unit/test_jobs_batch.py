"""A step as a job of AWS Batch: what is submitted, where its spec and its result lie, and what its end means."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from perennial import keys
from perennial.errors import IntegrityError, NotFoundError, SettingsError, SpecError
from perennial.jobs import steps
from perennial.jobs.asked import Asked
from perennial.jobs.batch import BESIDE, TRAINING, JobRequest, job_request, result_of_command
from perennial.jobs.batch_end import JobEnd
from perennial.jobs.staged import fetch_spec, keep_result, read_result, stage_spec
from perennial.settings import Settings
from perennial.spec import load_spec
from perennial.store import Store, memory_store

SPEC = """
name: shop
task: regression
target: {column: y}
features: {x: {type: number}}
candidates: {line: {estimator: sklearn.linear_model.Ridge}}
job: {runner: batch, vcpu: 0.5, memory: 2 GB, timeout: 90m, train: {vcpu: 4, memory: 16 GB}}
"""
SETTINGS = Settings(
    bucket="models", job_queue="jobs", trainer_job="trainer", promoter_job="promoter", mlflow_uri="https://mlflow",
)  # fmt: skip


@pytest.fixture
def store() -> Store:
    return memory_store()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "model.yaml"
    path.write_text(SPEC)
    return path


def request(store: Store, place: Path, step: str = "train", settings: Settings = SETTINGS, **more: Any) -> JobRequest:
    asked = Asked(step, str(place), more or {"candidate": "line", "force": True, "by": None, "because": "-1 row"})
    return job_request(
        asked, load_spec(place), settings, store, run="manual__1", task="train_shop/1/train/0", attempt="a"
    )


def test_the_command_is_that_of_a_step_with_addresses_for_its_files(store: Store, place: Path) -> None:
    found = request(store, place)
    digest = hashlib.sha256(SPEC.encode()).hexdigest()
    assert found.command == (
        "python", "-m", "perennial.jobs", "train", "--spec", f"s3://models/shop/runs/specs/{digest}.yaml",
        "--run", "manual__1", "--candidate=line", "--force", "--because=-1 row", "--result", found.result,
    )  # fmt: skip
    assert found.result == result_of_command(found.command)
    assert found.result.startswith("s3://models/shop/runs/manual__1/jobs/shop-train-") and found.result.endswith(
        "-a.json"
    )
    assert store.get(keys.job_spec("shop", digest)).data == SPEC.encode()


def test_a_job_has_the_size_and_the_time_of_its_step(store: Store, place: Path) -> None:
    train, gate = request(store, place).overrides(), request(store, place, "gate")
    assert train["resourceRequirements"] == [
        {"type": "VCPU", "value": "4"},
        {"type": "MEMORY", "value": "16384"},
    ]
    assert gate.overrides()["resourceRequirements"][0] == {"type": "VCPU", "value": "0.5"}
    assert gate.seconds == 5400


def test_a_job_is_told_what_only_the_scheduler_knows(
    store: Store, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERENNIAL_CODE", "cafe")
    told = {each["name"]: each["value"] for each in request(store, place).overrides()["environment"]}
    assert told == {"PERENNIAL_CODE": "cafe", "MLFLOW_TRACKING_URI": "https://mlflow"}


@pytest.mark.parametrize(
    "reason",
    ["x" * 20_000, '"\\' * 9_000, "\n" * 9_000, "\U0001f40d" * 9_000, "a\0b", "\ud800", "$(id) `id`; '\"\n--force"],
)
def test_no_reason_is_too_long_or_too_odd_to_be_told(store: Store, place: Path, reason: str) -> None:
    """AWS takes 8,192 characters of overrides, a process no NUL; what fits is told as it is, as one word."""
    found = request(store, place, because=reason)
    assert len(json.dumps(found.overrides())) < 8_192
    (told,) = [word for word in found.command if word.startswith("--because=")]
    assert subprocess.run(["/bin/echo", told], check=True, capture_output=True).stdout.decode() == f"{told}\n"
    assert told.endswith("…") if len(reason) > 100 else len(told) == len("--because=") + len(reason)


def test_the_same_task_asks_for_the_same_job_and_each_try_has_its_own_result(store: Store, place: Path) -> None:
    first = request(store, place)
    asked = Asked("train", str(place), {"candidate": "line", "force": True, "because": "-1 row"})
    again = job_request(
        asked, load_spec(place), SETTINGS, store, run="manual__1", task="train_shop/1/train/0", attempt="b"
    )
    assert (again.name, again.result != first.result) == (first.name, True)
    assert request(store, place, candidate="other").name != first.name
    place.write_text(SPEC.replace("16 GB", "24 GB"))
    assert request(store, place).name != first.name


def test_every_step_has_a_role_or_stays_where_the_scheduler_is() -> None:
    known = {*steps.STEPS, *steps.TAKING, "train"}
    assert known >= BESIDE | TRAINING and not BESIDE & TRAINING


def test_what_moves_a_champion_runs_as_the_promoter(store: Store, place: Path) -> None:
    for step in ("gate", "promote", "rollback", "answer-approval", "request-approval", "conclude", "monitor-summary"):
        assert request(store, place, step).definition == "promoter"
    for step in ("collect", "snapshot", "train", "register", "monitor-drift"):
        assert request(store, place, step).definition == "trainer"


def test_a_job_beyond_fargate_goes_to_an_instance_or_is_refused(store: Store, place: Path) -> None:
    place.write_text(SPEC.replace("{vcpu: 4, memory: 16 GB}", "{vcpu: 32, memory: 256 GB}"))
    with pytest.raises(SettingsError, match=r"PERENNIAL_LARGE_JOB_QUEUE.*at most 16 vcpu and 120 GB"):
        request(store, place)
    large = SETTINGS.model_copy(update={"large_job_queue": "instances", "large_trainer_job": "large"})
    found = request(store, place, settings=large)
    assert (found.queue, found.definition) == ("instances", "large")
    assert request(store, place, "snapshot", large).queue == "jobs"


@pytest.mark.parametrize("field", ["job_queue", "trainer_job"])
def test_a_queue_that_is_not_named_is_said(store: Store, place: Path, field: str) -> None:
    with pytest.raises(SettingsError, match=r"infra/batch.yaml"):
        request(store, place, settings=SETTINGS.model_copy(update={field: None}))


def test_a_spec_comes_back_as_it_was_staged(store: Store, place: Path, tmp_path: Path) -> None:
    address = stage_spec(store, "models", "shop", place)
    assert stage_spec(store, "models", "shop", place) == address
    folder = tmp_path / "job"
    folder.mkdir()
    assert load_spec(fetch_spec(address, folder, store)) == load_spec(place)
    assert fetch_spec(str(place), folder) == place


def test_a_spec_that_is_gone_damaged_or_no_address_is_refused(store: Store, place: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        fetch_spec(f"s3://models/{keys.job_spec('shop', '0' * 64)}", tmp_path, store)
    store.put_new(keys.job_spec("shop", "0" * 64), SPEC.encode())
    with pytest.raises(IntegrityError):
        fetch_spec(f"s3://models/{keys.job_spec('shop', '0' * 64)}", tmp_path, store)
    with pytest.raises(SettingsError):
        fetch_spec("s3://models", tmp_path, store)
    with pytest.raises(SpecError):
        stage_spec(store, "models", "shop", tmp_path / "none.yaml")


def test_of_two_attempts_the_first_result_stands(store: Store, tmp_path: Path) -> None:
    address = "s3://models/shop/runs/1/jobs/a.json"
    assert read_result(address, store) is None
    keep_result(address, b'{"at": 1}', store)
    keep_result(address, b'{"at": 2}', store)
    assert read_result(address, store) == b'{"at": 1}'
    keep_result(str(tmp_path / "result.json"), b"{}")
    assert (tmp_path / "result.json").read_bytes() == b"{}"


def ended(status: str = "FAILED", reason: str = "Essential container in task exited", **container: Any) -> JobEnd:
    command = ["python", "-m", "perennial.jobs", "train", "--result", "s3://models/result.json"]
    return JobEnd.of(
        {"jobId": "j1", "status": status, "statusReason": reason, "container": {"command": command, **container}}
    )


def test_a_job_that_ended_well_has_no_failure() -> None:
    assert ended("SUCCEEDED", exitCode=0).failure([]) is None


@pytest.mark.parametrize(("code", "final"), [(3, True), (4, True), (6, False), (8, True), (10, False), (12, False)])
def test_a_step_that_failed_says_why_as_it_does_on_this_machine(code: int, final: bool) -> None:
    found = ended(exitCode=code).failure(["reading", "row 7 is empty. Mend it."])
    assert found is not None and (found.exit_code, found.final) == (code, final)
    assert str(found) == f"Step train failed with exit code {code}: row 7 is empty. Mend it. (job j1)"


@pytest.mark.parametrize(
    ("end", "says", "final"),
    [
        (ended(reason="Host EC2 (instance i-0abc) terminated."), "taken away in every attempt", False),
        (ended(reason="Your Spot Task was interrupted.", exitCode=137), "taken away", False),
        (ended(reason="Job attempt duration exceeded timeout", exitCode=137), "job.timeout", True),
        (ended(exitCode=137, reason="x", **{}), "job j1: x", False),
        (
            JobEnd("j1", "FAILED", "Essential container in task exited", 137, "OutOfMemoryError: Container killed", ()),
            "job.memory",
            True,
        ),
        (
            JobEnd("j1", "FAILED", "Task failed to start", None, "CannotPullContainerError: no such image", ()),
            "Task failed to start; CannotPullContainerError: no such image",
            False,
        ),
        (ended(reason="", exitCode=1), "no reason is known", False),
        (ended("RUNNABLE", reason="MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"), "RUNNABLE", False),
    ],
)
def test_what_is_not_the_steps_own_doing_is_told_by_batch(end: JobEnd, says: str, final: bool) -> None:
    found = end.failure([])
    assert found is not None and says in str(found) and found.final is final


def test_what_a_job_says_of_itself_is_added_where_its_exit_code_is_nobodys() -> None:
    found = ended(exitCode=1).failure(["Traceback", "MemoryError"])
    assert found is not None and str(found).endswith("job j1: Essential container in task exited; MemoryError")


def test_a_result_is_told_from_the_command_alone() -> None:
    assert result_of_command(["python", "--result", "s3://a/b"]) == "s3://a/b"
    assert result_of_command(["python", "--result"]) is None
    assert json.dumps(Asked("x", "y", {"a": True, "b": "", "c": None}).options()) == '["--a", "--b="]'
