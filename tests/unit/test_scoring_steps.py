"""Scheduled scoring, step by step: what is new, who is asked, what is waited for, and what it came to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from obstore.store import MemoryStore

from perennial import keys
from perennial.errors import IntegrityError, NotFoundError, SettingsError, SpecError, Unscored
from perennial.jobs.notices_scoring import of_scoring
from perennial.jobs.scoring import run_scoring
from perennial.jobs.scoring_await import scoring_await
from perennial.jobs.scoring_list import files_of_run, scoring_list
from perennial.jobs.scoring_policy import PATIENCE
from perennial.jobs.scoring_results import FileEnd, ScoringSummary, ScoringTotals
from perennial.jobs.scoring_source import find, place_of
from perennial.jobs.scoring_spark import interpreter, scoring_spark, spark_environment
from perennial.jobs.scoring_submit import scoring_hand_over, scoring_request
from perennial.jobs.scoring_summary import scoring_check, scoring_summary, summary_key
from perennial.jobs.steps import STEPS, perform
from perennial.jobs.workspace import Workspace
from perennial.serving import batch_job
from perennial.serving.batch_job import (
    BatchCounts,
    BatchInput,
    BatchOptions,
    BatchOutput,
    BatchRequest,
    SparkRequest,
    job_of,
)
from perennial.settings import Settings
from perennial.store import Store
from tests.support.scored import BUCKET, VERSION, Counter
from tests.support.seam import Seam
from tests.support.versions import MODEL


@pytest.fixture
def world() -> Counter:
    found = Counter()
    found.promote()
    return found


def names(w: Workspace) -> list[str]:
    """The files of a run, listed now."""
    scoring_list(w)
    return [file.name for file in files_of_run(w).files]


def whole(world: Counter, run: str, **failing: str) -> ScoringSummary:
    """A run from its list to its summary."""
    w = world.workspace(run)
    scoring_list(w)
    scoring_request(w)
    world.score(w, failing=failing)
    scoring_check(w)
    return scoring_summary(w)


def test_files_of_a_table_are_new_and_marks_of_programs_are_none(world: Counter) -> None:
    data = ["dt=2026-11-20/part-0.parquet", "dt=2026-11-21/part-0.parquet", "_day=1/a.csv", "late.csv"]
    world.bring(*data)
    world.bring(
        "_SUCCESS", "dt=2026-11-21/_SUCCESS", "dt=2026-11-21/.part-0.parquet.crc", "_temporary/0/part-0.parquet",
        ".hive-staging/part-0.parquet", "dt=2026-11-21_$folder$",
    )  # fmt: skip
    world.bring("other.csv", folder="batch/waiting-too/")
    assert sorted(names(world.workspace())) == sorted(data)


def test_the_list_is_cheap_two_listings_and_one_look_at_each_new_file(world: Counter) -> None:
    world.bring("a.csv", "b.csv", "c.csv")
    whole(world, "first")
    world.bring("d.csv")
    asked: list[tuple[str, str]] = []

    def around(operation: str, key: str, request: Callable[[], Any]) -> Any:
        asked.append((operation, key))
        return request()

    w = world.workspace("second", through=Seam(world.raw, around))
    found = find(w, place_of(w))
    assert ([file.name for file in found.new], found.done) == (["d.csv"], 3)
    assert [key for operation, key in asked if operation == "list"] == [
        keys.batch_receipts(MODEL), keys.batch_waiting(MODEL),
    ]  # fmt: skip
    looked = [key for operation, key in asked if operation == "get"]
    assert looked == [f"{MODEL}/batch/waiting/d.csv", keys.batch_result(MODEL, found.new[0].input.work)]


def test_what_was_scored_is_not_scored_again_unless_it_was_replaced(world: Counter) -> None:
    world.bring("a.csv", "b.csv")
    whole(world, "first")
    assert names(world.workspace("second")) == []
    world.bring("a.csv", data=b"Age,Gender\n41,F\n")
    assert names(world.workspace("third")) == ["a.csv"]


def test_a_file_that_failed_is_named_and_left_alone_until_it_is_replaced(world: Counter) -> None:
    world.bring("a.csv", "b.csv")
    w = world.workspace("first")
    scoring_list(w)
    world.score(w, failing={"b.csv": "Column Age is missing."})
    scoring_check(w)
    second = world.workspace("second")
    plan = scoring_list(second)
    assert (plan.engine, plan.files, plan.done, plan.failed) == (None, 0, 1, 1)
    assert plan.told() == "0 new files; 1 were scored before; 1 failed and were not replaced since"
    assert files_of_run(second).failed == ("b.csv",)
    world.bring("b.csv", data=b"Age,Gender\n41,F\n")
    assert names(world.workspace("third")) == ["b.csv"]


def test_a_result_that_an_event_or_a_killed_run_left_is_found_and_remembered(world: Counter) -> None:
    world.bring("a.csv", "b.csv")
    w = world.workspace("killed")
    scoring_list(w)
    world.score(w, failing={"b.csv": "It is empty."})
    plan = scoring_list(world.workspace("next"))
    assert (plan.files, plan.done, plan.failed) == (0, 1, 1)
    assert len(list(world.store.list(keys.batch_receipts(MODEL)))) == 2


def test_a_run_is_about_the_files_it_saw_however_late_a_task_of_it_is_repeated(world: Counter) -> None:
    world.bring("a.csv")
    w = world.workspace()
    first = scoring_list(w)
    world.bring("b.csv")
    assert scoring_list(w) == first
    assert names(world.workspace("next")) == ["a.csv", "b.csv"]


def test_of_two_runs_at_once_one_asks_for_each_file(world: Counter) -> None:
    world.bring("a.csv", "b.csv", "c.csv")
    one, two = world.workspace("one"), world.workspace("two")
    scoring_list(one)
    scoring_list(two)
    first = scoring_request(one)
    world.later(seconds=5)
    second = scoring_request(two)
    assert (first.asked, first.before, second.asked, second.before) == (3, 0, 0, 3)
    assert scoring_request(one).before == 3  # the same task again
    world.score(one)
    assert scoring_check(one) == scoring_check(two)


def test_what_is_asked_is_the_version_that_was_seen_with_the_options_of_the_spec(world: Counter) -> None:
    world.bring("dt=1/a.csv")
    w = world.workspace(output="parquet", keep=("Age",))
    scoring_list(w)
    scoring_request(w)
    (file,) = files_of_run(w).files
    key = keys.batch_request(MODEL, file.input.work)
    asked = BatchRequest.from_bytes(world.store.get(key).data, key)
    assert asked == BatchRequest(
        model=MODEL, name="dt=1/a.csv", created=world.now, input=file.input,
        options=BatchOptions(output="parquet", keep=("Age",)),
    )  # fmt: skip
    head = world.store.head(f"{MODEL}/batch/waiting/dt=1/a.csv")
    assert (file.input.etag, file.input.size, file.input.bucket) == (head.etag, head.size, BUCKET)


def test_a_file_that_never_came_holds_up_no_later_run(world: Counter) -> None:
    world.bring("poison.csv")
    first = world.workspace("first")
    scoring_list(first)
    scoring_request(first)
    world.later(seconds=PATIENCE.total_seconds() - 1)
    assert names(world.workspace("while it may come")) == ["poison.csv"]
    world.later(seconds=1)
    world.bring("good.csv")
    w = world.workspace("second")
    assert names(w) == ["good.csv"]
    assert files_of_run(w).overdue == ("poison.csv",)
    assert names(world.workspace("by Spark", engine="spark")) == ["poison.csv", "good.csv"]
    (late,) = files_of_run(first).files
    world.leave(late)  # after a redrive
    assert scoring_list(world.workspace("third")).overdue == 0


def test_without_a_champion_files_wait_and_none_of_them_fails() -> None:
    world = Counter()
    world.bring("a.csv")
    plan = scoring_list(world.workspace("early"))
    assert (plan.engine, plan.files) == (None, 0)
    assert plan.told() == "nothing has been promoted yet: files wait for the first champion"
    world.promote()
    assert names(world.workspace("later")) == ["a.csv"]


def test_one_run_takes_the_oldest_and_leaves_the_rest(world: Counter) -> None:
    for name in ("c.csv", "a.csv", "b.csv"):
        world.bring(name)
    w = world.workspace()
    found = find(w, place_of(w), most=2)
    assert ([file.name for file in found.new], found.left) == (["c.csv", "a.csv"], 1)


def test_a_file_that_goes_or_changes_while_it_is_listed_is_for_the_next_run(world: Counter) -> None:
    world.bring("gone.csv", "changed.csv", "stays.csv")

    def around(operation: str, key: str, request: Callable[[], Any]) -> Any:
        if operation == "get" and key.endswith("gone.csv"):
            world.raw.delete(key)
        if operation == "get" and key.endswith("changed.csv"):
            world.raw.put(key, b"Age,Gender\n50,M\n")
        return request()

    assert names(world.workspace(through=Seam(world.raw, around))) == ["stays.csv"]
    assert sorted(names(world.workspace("next"))) == ["changed.csv", "stays.csv"]


@pytest.mark.parametrize(
    ("source", "folder"),
    [(None, "batch/waiting/"), ("landing/", "landing/"), (f"s3://{BUCKET}/{MODEL}/batch/in/", "batch/in/")],
)
def test_files_lie_where_the_spec_says(world: Counter, source: str | None, folder: str) -> None:
    world.bring("a.csv", f"api/{job_of('secret')}/upload.csv", folder=folder)
    found = names(world.workspace(source=source))
    assert found == (["a.csv"] if folder == "batch/in/" else ["a.csv", f"api/{job_of('secret')}/upload.csv"])


def test_files_may_lie_in_another_bucket(world: Counter) -> None:
    lake = MemoryStore()
    lake.put("tables/customers/dt=1/part-0.parquet", b"PAR1")
    opened: list[Settings] = []

    def open_other(settings: Settings) -> Store:
        opened.append(settings)
        return Store(lake)

    w = world.workspace(source="s3://lake/tables/customers/")
    assert scoring_list(w, open_other).files == 1
    assert [settings.bucket for settings in opened] == ["lake"]
    (file,) = files_of_run(w).files
    assert (file.name, file.input.bucket) == ("dt=1/part-0.parquet", "lake")
    assert file.input.key == "tables/customers/dt=1/part-0.parquet"


@pytest.mark.parametrize(
    "source", ["batch/", "batch/out/", "batch/out/nightly/", f"s3://{BUCKET}/", f"s3://{BUCKET}/{MODEL}/"]
)
def test_a_source_below_which_scoring_writes_is_refused(world: Counter, source: str) -> None:
    with pytest.raises(SpecError, match=r"'batch.source': scoring writes below"):
        scoring_list(world.workspace(source=source))


def test_without_a_bucket_there_is_no_source(world: Counter) -> None:
    w = world.workspace()
    with pytest.raises(SettingsError, match="PERENNIAL_BUCKET"):
        place_of(Workspace(w.spec, w.store, "run", "0", None, print, w.now))


def test_the_engine_is_that_of_the_spec_or_goes_by_the_size_of_all_files(
    world: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perennial.jobs.scoring_list.SPARK_BYTES", 20)
    world.bring("a.csv", "b.csv", data=b"0123456789")
    assert scoring_list(world.workspace("both")).engine == "spark"
    assert scoring_list(world.workspace("said", engine="lambda")).engine == "lambda"
    world.raw.delete(f"{MODEL}/batch/waiting/b.csv")
    assert scoring_list(world.workspace("one")).engine == "lambda"
    assert scoring_list(world.workspace("all the same", engine="spark")).engine == "spark"
    assert batch_job.SPARK_BYTES == 10_000_000_000


def test_what_is_waited_for_is_named(world: Counter) -> None:
    world.bring(*(f"{number:02}.csv" for number in range(30)))
    w = world.workspace()
    scoring_list(w)
    scoring_request(w)
    found = scoring_await(w)
    assert (found.files, found.open, len(found.names)) == (30, 30, 20)
    assert found.told().endswith("00.csv, 01.csv, 02.csv, 03.csv, 04.csv, 05.csv, 06.csv, 07.csv, 08.csv, 09.csv, "
                                 "10.csv, 11.csv, 12.csv, 13.csv, 14.csv, 15.csv, 16.csv, 17.csv, 18.csv, 19.csv "
                                 "and 10 more")  # fmt: skip
    world.score(w, but=("07.csv",))
    assert scoring_await(w).told() == "1 of 30 files are not scored yet: 07.csv"
    with pytest.raises(NotFoundError, match=r"1 of 30 files have no result: 07.csv\. `perennial batches"):
        scoring_check(w)
    world.score(w, but=tuple(f"{number:02}.csv" for number in range(30) if number != 7))
    assert scoring_await(w).told() == "all 30 files are done"


def test_a_run_comes_to_a_summary_in_which_nothing_is_lost(world: Counter) -> None:
    world.bring("a.csv", "bad.csv", "c.csv")
    summary = whole(world, "nightly", **{"bad.csv": "Column Age is missing."})
    assert (summary.engine, summary.counts) == ("lambda", BatchCounts(rows=20, scored=18, quarantined=2))
    assert [(file.name, file.state) for file in summary.files] == [
        ("a.csv", "done"),
        ("bad.csv", "failed"),
        ("c.csv", "done"),
    ]
    assert [file.reason for file in summary.failed] == ["Column Age is missing."]
    assert summary.seconds == 9
    for file in summary.files:
        assert len(file.outputs) == (0 if file.state == "failed" else 2)
        assert all(world.store.exists(key) for key in file.outputs)
    w = world.workspace("nightly")
    kept = world.store.get(summary_key(w)).data
    assert ScoringSummary.model_validate_json(kept) == summary
    world.later(days=1)
    again = perform("scoring-summary", w)
    assert isinstance(again, ScoringTotals)
    assert (again.files, again.failed, again.reasons) == (3, 1, ("bad.csv: Column Age is missing.",))
    assert world.store.get(again.key).data == kept
    assert "failed       bad.csv: Column Age is missing." in world.lines


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("a.csv: is empty.", "a.csv: is empty."),
        ("a.csv, column 'x': is not there.", "a.csv, column 'x': is not there."),
        ("a.csv.gz: is empty.", "a.csv: a.csv.gz: is empty."),
        ("The model has no champion.", "a.csv: The model has no champion."),
        (None, "a.csv: "),
    ],
)
def test_a_reason_names_its_file_once(reason: str | None, said: str) -> None:
    end = FileEnd(
        name="a.csv",
        work="0",
        state="failed",
        version=None,
        counts=BatchCounts(),
        outputs=(),
        warnings=(),
        reason=reason,
    )
    assert end.named_reason == said


def spoilt(world: Counter, **changes: Any) -> Workspace:
    """A run of one file whose result was changed so."""
    world.bring("a.csv")
    w = world.workspace()
    scoring_list(w)
    (file,) = files_of_run(w).files
    world.leave(file, **changes)
    return w


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"counts": BatchCounts(rows=10, scored=9, quarantined=0)}, "10 rows were read, 9 scored and 0 quarantined"),
        ({"scored": None}, "9 rows were scored, and .* names no output"),
        ({"quarantined": None}, "1 rows were quarantined, and .* names no output"),
        ({"scored": BatchOutput(key=f"{MODEL}/out", size=9, media_type="")}, "is not there with its 9 bytes"),
        ({"scored": BatchOutput(key=f"{MODEL}/out/", size=9, media_type="")}, "is not there with its 9 bytes"),
        ({"model": "other"}, "tells of another file"),
        ({"input": BatchInput(bucket="b", key="k", version=None, etag="", size=1)}, "tells of another file than a.csv"),
    ],
)  # fmt: skip
def test_a_result_that_does_not_hold_fails_the_run(world: Counter, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(IntegrityError, match=said):
        scoring_check(spoilt(world, **changes))
    assert list(world.store.list(keys.batch_receipts(MODEL))) == []  # so that it is looked at again


def test_no_two_files_may_have_the_same_output(world: Counter) -> None:
    world.bring("a.csv", "b.csv")
    w = world.workspace()
    scoring_list(w)
    first, second = files_of_run(w).files
    world.leave(second, scored=world.leave(first).scored)
    with pytest.raises(IntegrityError, match="is the output of more than one file"):
        scoring_check(w)


def test_an_output_may_be_a_folder_as_spark_writes_it(world: Counter) -> None:
    folder = f"{MODEL}/batch/out/a.csv/by-spark/"
    world.store.put_new(f"{folder}part-0.parquet", b"12345")
    world.store.put_new(f"{folder}part-1.parquet", b"678")
    w = spoilt(world, scored=BatchOutput(key=folder, size=8, media_type="application/vnd.apache.parquet"))
    assert scoring_check(w).files == 1


def test_people_are_told_once_which_files_failed_and_why(world: Counter) -> None:
    world.bring("a.csv", "bad.csv")
    summary = whole(world, "nightly", **{"bad.csv": "Column Age is missing."})
    notice = of_scoring(summary, "the key")
    assert notice is not None
    assert (notice.kind, notice.event) == ("failed", "scoring-nightly")
    assert notice.subject == "churn: 1 of 2 files could not be scored"
    assert "- bad.csv: Column Age is missing." in notice.text and "the key" in notice.text
    world.bring("c.csv")
    assert of_scoring(whole(world, "next"), "the key") is None


def test_spark_is_handed_every_file_and_the_version_that_served_as_the_run_began(world: Counter) -> None:
    world.bring("dt=1/a.parquet", "dt=2/a.parquet")
    w = world.workspace("nightly/1", engine="spark", keep=True)
    scoring_list(w)
    handed = scoring_hand_over(w)
    assert scoring_hand_over(w) == handed
    request = SparkRequest.from_bytes(world.store.get(handed.key).data, handed.key)
    assert (request.model, request.version, request.options) == (MODEL, VERSION, BatchOptions(keep=True))
    assert request.names == ("dt=1/a.parquet", "dt=2/a.parquet")
    assert request.inputs == tuple(file.input for file in files_of_run(w).files)
    said = dict(zip(handed.arguments[::2], handed.arguments[1::2], strict=True))
    assert handed.key == keys.batch_spark_request(said["--model"], said["--run"])
    assert said["--bucket"] == BUCKET


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_spark_runs_in_its_own_environment_and_says_what_it_does(
    world: Counter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = script(tmp_path / "python", 'echo "$@"; echo "in $PERENNIAL_BUCKET"')
    monkeypatch.setenv("PERENNIAL_SPARK_PYTHON", str(python))
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    world.bring("a.csv")
    w = world.workspace("nightly", engine="spark")
    scoring_list(w)
    handed = perform("scoring-spark", w)
    assert json.loads(handed.model_dump_json())["arguments"][:2] == ["--bucket", BUCKET]
    assert world.lines[-2:] == [
        f"-m perennial.scoring.spark_job --bucket models --model churn --run {w.attempt}",
        "in models",
    ]
    assert "PYTHONPATH" not in spark_environment({"PYTHONPATH": "elsewhere"}, w)


def test_a_job_of_spark_that_fails_says_why(world: Counter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = script(tmp_path / "python", "echo one; echo two >&2; echo out of memory; exit 3")
    monkeypatch.setenv("PERENNIAL_SPARK_PYTHON", str(python))
    world.bring("a.csv")
    w = world.workspace(engine="spark")
    scoring_list(w)
    with pytest.raises(Unscored, match="exit code 3: one two out of memory"):
        scoring_spark(w)


def test_without_spark_people_are_told_how_to_come_by_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PERENNIAL_SPARK_APPLICATION"):
        interpreter({}, tmp_path)
    with pytest.raises(SettingsError, match="cannot be run"):
        interpreter({"PERENNIAL_SPARK_PYTHON": str(tmp_path / "none")}, tmp_path)
    own = tmp_path / ".local/envs/spark/bin/python"
    own.parent.mkdir(parents=True)
    own.touch()
    assert interpreter({}, tmp_path) == own


def test_java_is_the_one_that_set_up_has_found_unless_one_is_named(world: Counter, tmp_path: Path) -> None:
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local/java").write_text("/usr/lib/jvm/java-17\n")
    w = world.workspace()
    assert spark_environment({}, w, tmp_path)["JAVA_HOME"] == "/usr/lib/jvm/java-17"
    assert spark_environment({"JAVA_HOME": "/opt/java"}, w, tmp_path)["JAVA_HOME"] == "/opt/java"


def test_the_whole_of_it_without_airflow_waits_for_the_last_file(world: Counter) -> None:
    world.bring("a.csv", "b.csv")
    w = world.workspace()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            world.score(w)

    plan, summary = run_scoring(w, sleep=sleep)
    assert (plan.files, plan.engine, len(slept)) == (2, "lambda", 2)
    assert summary is not None and summary.counts.rows == 20
    assert run_scoring(w, sleep=sleep)[1] == summary
    assert run_scoring(world.workspace("next"), sleep=sleep)[1] is None


def test_a_wait_that_is_over_names_the_files_and_what_helps(world: Counter) -> None:
    world.bring("a.csv", "b.csv")
    w = world.workspace()

    def sleep(seconds: float) -> None:
        world.later(hours=3)
        world.score(w, but=("b.csv",)) if world.now.hour == 12 else None

    with pytest.raises(Unscored, match=r"1 of 2 files are not scored yet: b.csv\. .*perennial redrive"):
        run_scoring(w, sleep=sleep)


def test_every_step_has_its_name_and_needs_the_list(world: Counter) -> None:
    assert {name for name in STEPS if name.startswith("scoring-")} == {
        "scoring-list", "scoring-request", "scoring-hand-over", "scoring-spark", "scoring-await", "scoring-check",
        "scoring-summary",
    }  # fmt: skip
    for name in ("scoring-request", "scoring-hand-over", "scoring-await", "scoring-check", "scoring-summary"):
        with pytest.raises(NotFoundError, match="scoring-list"):
            perform(name, world.workspace())
