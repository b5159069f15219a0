"""The work on files, from S3's word to the result: whole, in parts, twice, by a later version, and not at all."""

from __future__ import annotations

import csv
import gzip
import io
import random
import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from obstore.store import MemoryStore

from perennial import keys
from perennial.errors import IntegrityError, OutOfTime, StoreUnavailable
from perennial.scoring.batch.bench import Shift
from perennial.scoring.batch.outputs import MEDIA_TYPES
from perennial.serving.batch_job import (
    SPARK_BYTES,
    BatchCounts,
    BatchInput,
    BatchOptions,
    BatchPlan,
    BatchProgress,
    BatchRequest,
    BatchResult,
    job_of,
)
from perennial.store import Store
from tests.support import models
from tests.support.batch_world import BUCKET, START, Killed, World, created, csv_of

ROWS = np.round(np.random.default_rng(7).uniform(0, 8, size=(3000, 4)), 2)
FILE = csv_of(ROWS, models.MEASURES)
CHAMPION = models.build()


@pytest.fixture
def world() -> World:
    world = World()
    models.promote(world.store, CHAMPION)
    return world


@pytest.fixture
def parted() -> World:
    """A world in which a file of a hundred kilobytes comes in several parts."""
    world = World(part_bytes=8_000)
    models.promote(world.store, CHAMPION)
    return world


def table(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode())))


def assert_scored(world: World, result: BatchResult, built: models.Built = CHAMPION, rows: int = len(ROWS)) -> None:
    """Every row has the model's very answer, in the order of the file."""
    assert result.state == "done" and result.scored is not None, result.reason
    assert result.counts == BatchCounts(rows=rows, scored=rows, quarantined=0)
    found = table(world.data(result.scored))
    assert [int(row["row"]) for row in found] == list(range(1, rows + 1))
    expected = models.answer(built, ROWS[:rows])
    for place, name in enumerate(built.manifest.classes):
        np.testing.assert_allclose([float(row[f"probability_{name}"]) for row in found], expected[:, place], rtol=1e-12)
    assert {row["model_version"] for row in found} == {built.version}


def test_a_dropped_file_is_scored(world: World) -> None:
    work = world.drop("iris", "today/flowers.csv", FILE)
    assert [one.state for one in world.run()] == ["done"]
    result = world.result("iris", work)
    assert_scored(world, result)
    assert (result.name, result.version, result.warnings) == ("today/flowers.csv", CHAMPION.version, ())
    assert result.scored and result.scored.media_type == MEDIA_TYPES["csv"]
    assert result.scored.key == keys.batch_out("iris", "today/flowers.csv", CHAMPION.version, work, "csv")
    assert result.quarantined is None and not world.keys_of("iris/batch/quarantine/")
    assert len(result.preview.rows) == 10 and result.preview.columns[0] == "row"
    assert result.started < result.ended


def test_refused_rows_are_told_and_the_others_scored(world: World) -> None:
    broken = FILE + b"5.1,many,1.4,0.2\n5.1,3.5,1.4,99\n"
    work = world.drop("iris", "some.csv", broken)
    world.run()
    result = world.result("iris", work)
    assert result.counts == BatchCounts(rows=3002, scored=3000, quarantined=2)
    assert result.quarantined is not None
    refused = table(world.data(result.quarantined))
    assert [(row["row"], row["column"]) for row in refused] == [("3001", "sepal_width"), ("3002", "petal_width")]


def test_parquet_comes_back_as_parquet_and_json_lines_as_csv(world: World) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table(dict(zip(models.MEASURES, ROWS.T, strict=True))), sink)
    lines = b"".join(
        b'{"sepal_length": %r, "sepal_width": %r, "petal_length": %r, "petal_width": %r}\n' % tuple(row)
        for row in ROWS.tolist()
    )
    works = {name: world.drop("iris", name, data) for name, data in (("a.parquet", sink.getvalue()), ("b.jsonl", lines),
                                                                       ("c.csv.gz", gzip.compress(FILE)))}  # fmt: skip
    world.run()
    assert_scored(world, world.result("iris", works["b.jsonl"]))
    assert_scored(world, world.result("iris", works["c.csv.gz"]))
    scored = world.result("iris", works["a.parquet"]).scored
    assert scored is not None and scored.media_type == MEDIA_TYPES["parquet"]
    rows = pq.read_table(io.BytesIO(world.data(scored)))
    assert rows.column("row").to_pylist() == list(range(1, 3001))
    expected = models.answer(CHAMPION, ROWS)
    np.testing.assert_allclose(rows.column(f"probability_{CHAMPION.manifest.classes[0]}"), expected[:, 0], rtol=1e-12)


@pytest.mark.parametrize("output", ["csv", "parquet"])
def test_a_file_in_parts_equals_the_whole(world: World, parted: World, output: str) -> None:
    spec = models.make_spec().model_copy(
        update={"batch": models.make_spec().batch.model_copy(update={"output": output})}
    )
    broken = FILE.replace(b"\n", b"\nx,1,1,1\n", 200)
    results = []
    for one in (world, parted):
        models.promote(one.store, models.build(spec), op_id="with output")
        work = one.drop("iris", "big.csv", broken)
        outcomes = one.run(random.Random(4))
        results.append(one.result("iris", work))
    assert [outcome.state for outcome in outcomes].count("part") > 4
    whole, joined = results
    assert whole.counts == joined.counts == BatchCounts(rows=3200, scored=3000, quarantined=200)
    assert whole.scored and joined.scored and whole.quarantined and joined.quarantined
    assert world.data(whole.quarantined) == parted.data(joined.quarantined)
    if output == "csv":
        assert world.data(whole.scored) == parted.data(joined.scored)
    else:
        first, second = (
            pq.read_table(io.BytesIO(one.data(result.scored))) for one, result in ((world, whole), (parted, joined))
        )
        assert first.equals(second)
    assert whole.preview == joined.preview
    assert joined.scored.size == len(parted.store.get(joined.scored.key).data)


def test_parquet_in_parts_of_row_groups_equals_the_whole(world: World, parted: World) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table(dict(zip(models.MEASURES, ROWS.T, strict=True))), sink, row_group_size=250)
    tables = []
    for one in (world, parted):
        work = one.drop("iris", "big.parquet", sink.getvalue())
        states = [outcome.state for outcome in one.run(random.Random(4))]
        scored = one.result("iris", work).scored
        assert scored is not None
        tables.append(pq.read_table(io.BytesIO(one.data(scored))))
    assert states.count("part") > 4
    assert tables[0].equals(tables[1]) and tables[0].num_rows == len(ROWS)


def test_parts_may_be_scored_in_any_order_and_often(parted: World) -> None:
    work = parted.drop("iris", "big.csv", FILE)
    first = parted.messages.pop()
    parted.work(first)
    tasks, parted.messages = parted.messages, []
    shuffled = random.Random(11)
    for body in shuffled.sample(tasks * 3, len(tasks) * 3):
        parted.work(body)
    assert parted.messages  # the join was put, once
    assert parted.written.count(keys.batch_task("iris", work, "join")) == 1
    parted.run()
    assert_scored(parted, parted.result("iris", work))


def test_two_joiners_and_a_late_one_make_one_result(parted: World) -> None:
    work = parted.drop("iris", "big.csv", FILE)
    while keys.batch_task("iris", work, "join") not in parted.written:
        parted.work(parted.messages.pop(0))
    (join,) = parted.messages
    raced: list[str] = []

    def second(operation: str, key: str) -> None:
        if operation == "put" and key == keys.batch_result("iris", work) and not raced:
            raced.append(key)
            assert [one.state for one in parted.work(join)] == ["done"]  # right before the first one commits

    parted.before = second
    assert [one.state for one in parted.work(join)] == ["known"]
    assert [one.state for one in parted.work(join)] == ["known"]
    assert raced and parted.written.count(keys.batch_result("iris", work)) == 1
    assert_scored(parted, parted.result("iris", work))


def test_events_that_come_again_find_the_work_done(world: World) -> None:
    work = world.drop("iris", "a.csv", FILE)
    (body,) = world.messages
    states = [world.work(body)[0].state for _ in range(3)]
    assert states == ["done", "known", "known"]
    assert len(world.keys_of("iris/batch/out/")) == 1
    assert_scored(world, world.result("iris", work))


def test_a_late_event_after_a_promotion_changes_nothing(parted: World) -> None:
    work = parted.drop("iris", "big.csv", FILE)
    body = parted.messages[0]
    parted.work(parted.messages.pop(0))
    newer = models.build(seed=1)
    models.promote(parted.store, newer)
    parted.messages.append(body)
    parted.run(random.Random(1))
    assert_scored(parted, parted.result("iris", work))  # by the version that was champion at the plan
    again = parted.drop("iris", "later.csv", FILE)
    parted.run()
    assert_scored(parted, parted.result("iris", again), newer)


def test_the_loser_of_two_plans_follows_the_winner(world: World) -> None:
    work = world.drop("iris", "a.csv", FILE)
    (body,) = world.messages
    newer = models.build(seed=1)

    def faster(operation: str, key: str) -> None:
        if operation == "put" and key == keys.batch_plan("iris", work):
            world.before = lambda operation, key: None
            models.promote(world.store, newer)
            world.work(body)

    world.before = faster
    assert [one.state for one in world.work(body)] == ["known"]
    assert_scored(world, world.result("iris", work), newer)
    assert len(world.keys_of("iris/batch/out/")) == 1


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("zero.csv", b"", "empty"),
        ("nothing.jsonl", b"{}\n", "The file has no column."),
        ("short.csv.gz", gzip.compress(FILE)[:-100], "(?i)cut short|truncated|ends before|damaged"),
        ("few.csv", b"sepal_length,sepal_width\n1,2\n", "petal_length"),
        ("foot.parquet", b"PAR1" + bytes(100) + b"PAR1", "foot.parquet"),
        ("zip.csv", b"PK\x03\x04" + bytes(50), "(?i)zip"),
    ],
)
def test_a_bad_file_fails_with_a_reason_and_its_siblings_are_scored(
    world: World, name: str, data: bytes, reason: str
) -> None:
    bad, good = world.drop("iris", name, data), world.drop("iris", "good.csv", FILE)
    assert {one.state for one in world.run()} == {"failed", "done"}
    found = world.result("iris", bad)
    assert found.state == "failed" and found.scored is None and found.reason is not None
    assert re.search(reason, found.reason), found.reason
    assert found.version == CHAMPION.version
    assert_scored(world, world.result("iris", good))
    assert [key for key in world.keys_of("iris/batch/out/") if name in key] == []


@pytest.mark.parametrize("model", ["iris", "nobody"])
def test_without_a_champion_a_file_fails_with_a_reason(model: str) -> None:
    world = World()
    models.register(world.store, CHAMPION)  # a version, and no champion
    work = world.drop(model, "a.csv", FILE)
    assert [one.state for one in world.run()] == ["failed"]
    found = world.result(model, work)
    assert found.version is None and found.reason is not None and "no champion yet, or does not exist" in found.reason
    models.promote(world.store, CHAMPION)
    world.work(created(keys.batch_in(model, "a.csv")))
    assert world.result(model, work) == found  # what is told is told


@pytest.mark.parametrize("version", [{}, {"version-id": "v"}])
def test_a_file_that_is_gone_fails_with_a_reason(world: World, version: dict[str, str]) -> None:
    key = keys.batch_in("iris", "a.csv")
    world.drop("iris", "a.csv", FILE)
    head = world.store.head(key)
    world.store.remove(key)
    assert [one.state for one in world.work(created(key, etag=head.etag, size=head.size, **version))] == ["failed"]
    (folder,) = world.store.folders(keys.batch_works("iris"))
    reason = world.result("iris", folder).reason
    assert reason is not None and "removed or replaced before it was scored" in reason and key not in reason


def test_a_file_that_is_replaced_while_it_is_scored_fails_with_a_reason(parted: World) -> None:
    work = parted.drop("iris", "a.csv", FILE)
    parted.work(parted.messages.pop(0))
    key = keys.batch_in("iris", "a.csv")
    parted.store.put_if_match(key, FILE + b"1,1,1,1\n", parted.store.get(key).etag)
    parted.run()
    assert "replaced" in (parted.result("iris", work).reason or "")
    assert len(parted.keys_of("iris/batch/out/")) == 1  # the new one has its own result
    assert len(parted.store.folders(keys.batch_works("iris"))) == 2


@pytest.mark.parametrize("name", ["a//b.csv", "../a.csv", "a\nb.csv", "x" * 1000 + ".csv"])
def test_a_name_that_no_result_could_have_fails_with_a_reason(world: World, name: str) -> None:
    told = created(keys.batch_in("iris", name), etag="abc", size=7, **{"version-id": "v"})
    assert [one.state for one in world.work(told)] == ["failed"]
    (folder,) = world.store.folders(keys.batch_works("iris"))
    assert (world.result("iris", folder).reason or "").startswith("Its key ")


def test_what_is_too_large_is_left_to_spark(world: World) -> None:
    told = created(keys.batch_in("iris", "a.csv"), etag="abc", size=SPARK_BYTES, **{"version-id": "v"})
    assert [one.state for one in world.work(told)] == ["failed"]
    (folder,) = world.store.folders(keys.batch_works("iris"))
    assert "10.0 GB" in (world.result("iris", folder).reason or "") and "Spark" in (
        world.result("iris", folder).reason or ""
    )


def test_an_upload_is_scored_as_its_request_says_and_the_first_version_of_it(world: World) -> None:
    job = job_of("secret")
    options = BatchOptions(output="parquet", keep=("sepal_length",))
    request = BatchRequest(model="iris", name="a.csv", options=options, created=START, size=len(FILE))
    world.store.put_new(keys.batch_request("iris", job), request.to_bytes())
    assert [(one.state, one.why) for one in world.run()] == [("ignored", "its upload tells of itself")]
    key = keys.batch_upload("iris", job, "a.csv")
    world.store.put_new(key, FILE)
    world.run()
    first = world.result("iris", job)
    assert first.scored is not None
    assert pq.read_schema(io.BytesIO(world.data(first.scored))).names[:2] == ["row", "sepal_length"]
    world.store.put_if_match(key, FILE[: len(FILE) // 2], world.store.get(key).etag)
    assert [one.state for one in world.run()] == ["known"]
    assert world.result("iris", job) == first


def test_a_request_scores_a_file_that_lies_elsewhere(world: World) -> None:
    world.buckets["lake"] = MemoryStore()
    lake = Store(world.buckets["lake"])
    lake.put_new("customers/dt=2026-01-01/part-0.csv", FILE)
    head = lake.head("customers/dt=2026-01-01/part-0.csv")
    where = BatchInput(
        bucket="lake", key="customers/dt=2026-01-01/part-0.csv", version=None, etag=head.etag, size=head.size
    )
    request = BatchRequest(
        model="iris", name="dt=2026-01-01/part-0.csv", options=BatchOptions(), created=START, input=where
    )
    world.store.put_new(keys.batch_request("iris", where.work), request.to_bytes())
    assert [one.state for one in world.run()] == ["done"]
    assert_scored(world, world.result("iris", where.work))
    assert world.result("iris", where.work).input.bucket == "lake"


def test_a_request_that_was_withdrawn_or_is_none_of_ours(world: World) -> None:
    told = created(keys.batch_request("iris", "job"))
    assert [one.state for one in world.work(told)] == ["ignored"]
    world.store.put_new(keys.batch_request("iris", "job"), b"{}")
    with pytest.raises(IntegrityError, match=r"job\.json is malformed"):
        world.work(told)


def test_a_task_that_nobody_planned_is_an_error(parted: World) -> None:
    work = parted.drop("iris", "a.csv", FILE)
    for name in ("part-000000", "join"):
        with pytest.raises(IntegrityError, match="no plan knows"):
            parted.work(created(keys.batch_task("iris", work, name)))
    parted.work(parted.messages[0])
    with pytest.raises(IntegrityError, match="no plan knows"):
        parted.work(created(keys.batch_task("iris", work, "part-000999")))
    with pytest.raises(IntegrityError, match="before all its parts"):
        parted.work(created(keys.batch_task("iris", work, "join")))


def test_a_champion_that_cannot_be_verified_is_no_fault_of_the_file(world: World) -> None:
    broken = models.build(seed=3)
    models.promote(world.store, broken)
    graph = keys.registry_blob("iris", broken.manifest.files["model.onnx"].digest)
    world.store.put_if_match(graph, b"tampered", world.store.get(graph).etag)
    work = world.drop("iris", "a.csv", FILE)
    with pytest.raises(IntegrityError):
        world.run()
    assert not world.store.exists(keys.batch_result("iris", work))


def test_a_bucket_that_is_down_is_no_fault_of_the_file(world: World) -> None:
    work = world.drop("iris", "a.csv", FILE)
    body = world.messages[0]

    def down(operation: str, key: str, request: Callable[[], object]) -> object:
        raise OSError("connection refused")

    with pytest.raises(StoreUnavailable):
        world.work(body, world.bench(down))
    world.run()
    assert_scored(world, world.result("iris", work))


def test_progress_is_told_and_never_after_the_result(parted: World) -> None:
    work = parted.drop("iris", "big.csv", FILE)
    key, seen = keys.batch_progress("iris", work), []

    def watch(operation: str, written: str) -> None:
        found = Store(parted.raw).find(key)
        if found is not None:
            seen.append(BatchProgress.from_bytes(found.data, key))

    parted.before = watch
    parted.run(random.Random(5))
    done = [one.bytes_done for one in seen]
    assert done == sorted(done) and seen[-1].state == "joining"
    assert {one.state for one in seen} == {"scoring", "joining"}
    assert seen[-1].counts.rows == len(ROWS) and seen[-1].parts_done == seen[-1].parts > 4
    assert parted.written.index(keys.batch_result("iris", work)) == len(parted.written) - 1


def test_who_is_overtaken_stops_at_once(world: World) -> None:
    """While a file is scored, another worker ends the same work: it is not written twice."""
    work = world.drop("iris", "a.csv", FILE)
    (body,) = world.messages
    world.run()
    result = world.store.get(keys.batch_result("iris", work)).data
    world.store.remove(keys.batch_result("iris", work))
    world.store.remove(keys.batch_progress("iris", work))

    def ended(operation: str, key: str) -> None:
        if key == keys.batch_progress("iris", work):
            world.before = lambda operation, key: None
            world.store.put_new(keys.batch_result("iris", work), result)

    world.before = ended
    outcomes = world.work(body)
    assert [one.state for one in outcomes] == ["known"]


def test_pieces_that_the_bucket_removed_are_made_again(parted: World) -> None:
    work = parted.drop("iris", "big.csv", FILE.replace(b"\n", b"\nx,1,1,1\n", 200))
    while keys.batch_task("iris", work, "join") not in parted.written:
        parted.work(parted.messages.pop(0))
    for place, key in enumerate(parted.keys_of("_perennial/staging/")):
        if place % 2:
            parted.store.remove(key)
    parted.run()
    assert parted.result("iris", work).counts == BatchCounts(rows=3200, scored=3000, quarantined=200)


def test_a_part_whose_rows_do_not_match_the_plan_is_an_error(parted: World) -> None:
    work = parted.drop("iris", "big.csv", FILE)
    parted.work(parted.messages.pop(0))
    key = keys.batch_plan("iris", work)
    found = parted.store.get(key)
    plan = BatchPlan.from_bytes(found.data, key)
    wrong = tuple(part.model_copy(update={"rows": (part.rows or 0) + 1}) for part in plan.parts)
    parted.store.put_if_match(key, plan.model_copy(update={"parts": wrong}).to_bytes(), found.etag)
    with pytest.raises(IntegrityError, match="held"):
        parted.run()
    assert not parted.store.exists(keys.batch_result("iris", work))


def test_what_a_shift_is_too_short_for_is_handed_back(world: World) -> None:
    work = world.drop("iris", "a.csv", FILE)
    (body,) = world.messages
    with pytest.raises(OutOfTime):
        world.work(body, shift=Shift(lambda: 5.0, first=False))
    assert not world.store.exists(keys.batch_result("iris", work))
    assert [one.state for one in world.work(body, shift=Shift(lambda: 5.0))] == ["done"]
    other = world.drop("iris", "b.csv", FILE)
    assert [one.state for one in world.work(world.messages[-1], shift=Shift(lambda: 60.0, first=False))] == ["done"]
    assert_scored(world, world.result("iris", other))


def test_no_bucket_is_asked_for_what_lies_in_ours(world: World) -> None:
    found = BatchInput(bucket=BUCKET, key="iris/batch/waiting/a.csv", version=None, etag="", size=0)
    world.store.put_new(found.key, FILE)
    head = world.store.head(found.key)
    found = found.model_copy(update={"etag": head.etag, "size": head.size})
    request = BatchRequest(model="iris", name="a.csv", options=BatchOptions(), created=START, input=found)
    world.store.put_new(keys.batch_request("iris", found.work), request.to_bytes())
    world.run()
    assert_scored(world, world.result("iris", found.work))


def test_a_worker_that_dies_says_so(world: World) -> None:
    """The fake itself: a kill is seen by nobody but the test."""
    world.drop("iris", "a.csv", FILE)

    def die(operation: str, key: str, request: Callable[[], object]) -> object:
        raise Killed

    with pytest.raises(Killed):
        world.work(world.messages[0], world.bench(die))
