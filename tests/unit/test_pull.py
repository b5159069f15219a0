"""Pulling a SQL source without a database: what is asked for, and which rows of an answer are landed, once each."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perennial import keys
from perennial.datasets.snapshot import snapshot
from perennial.errors import DataError, IntegrityError, NotFoundError, SettingsError, StoreUnavailable
from perennial.jobs.pull import PullLand, PullQuery, pull_land, pull_query, statement
from perennial.jobs.workspace import Workspace
from perennial.settings import Settings
from perennial.spec import ModelSpec, SqlSource
from perennial.store import Store, memory_store
from perennial.store_objects import Served

SPEC: dict[str, Any] = {
    "name": "shop",
    "task": "regression",
    "target": {"column": "amount"},
    "id": "order",
    "features": {"items": {"type": "number"}},
    "candidates": {"line": {"estimator": "sklearn.linear_model.Ridge"}},
    "sources": {"orders": {"connection": "db", "table": "orders", "watermark": "changed", "late": "1h"}},
}
START = datetime(2026, 11, 21, 12, tzinfo=UTC)
Rows = Sequence[dict[str, Any]]


def row(order: int, minutes: float, *, amount: float = 1.0, items: float = 2.0) -> dict[str, Any]:
    return {"order": order, "items": items, "amount": amount, "changed": START + timedelta(minutes=minutes)}


@pytest.fixture
def world() -> Workspace:
    return Workspace(
        spec=ModelSpec.model_validate(SPEC),
        store=memory_store(),
        run="first",
        code="0" * 40,
        api_url=None,
        progress=lambda text: None,
        now=lambda: START + timedelta(days=1),
        settings=Settings(bucket="data"),
    )


def stage(w: Workspace, rows: Rows | pa.Table) -> None:
    """What the operator of Airflow does: it replaces the answer of an earlier try of this run."""
    sink = io.BytesIO()
    pq.write_table(rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows)), sink)
    key = keys.pull_staging(w.spec.name, "orders", w.run)
    found = w.store.find(key)
    if found is None:
        w.store.put_new(key, sink.getvalue())
    else:
        w.store.put_if_match(key, sink.getvalue(), found.etag)


def pull(w: Workspace, run: str, rows: Rows | pa.Table) -> PullLand:
    w = replace(w, run=run)
    stage(w, rows)
    return pull_land(w, "orders")


def landed(w: Workspace) -> list[dict[str, Any]]:
    """All rows of all files, in the order of landing."""
    files = [w.store.get(entry.key).data for entry in w.store.list(keys.pulled_files("shop", "orders"))]
    return [row for file in files for row in pq.read_table(pa.BufferReader(file)).to_pylist()]


def orders(w: Workspace) -> list[int]:
    return [row["order"] for row in landed(w)]


def with_source(w: Workspace, **changes: object) -> Workspace:
    orders = {**SPEC["sources"]["orders"], **changes}
    return replace(w, spec=ModelSpec.model_validate({**SPEC, "sources": {"orders": orders}}))


def test_the_first_query_takes_all_rows(world: Workspace) -> None:
    condition = '"changed" >= %(since)s OR "changed" IS NULL OR %(since)s IS NULL'
    assert pull_query(world, "orders") == PullQuery(
        source="orders",
        sql=f'SELECT * FROM "orders" AS pulled WHERE {condition}',
        parameters={"since": None},
        bucket="data",
        key="_perennial/staging/shop/orders/first.parquet",
    )


def test_the_next_query_begins_behind_the_newest_row(world: Workspace) -> None:
    first = pull_query(world, "orders")
    pull(world, "one", [row(1, 0), row(2, 30)])
    asked = pull_query(world, "orders")
    assert asked.parameters == {"since": "2026-11-21T11:30:00.000000+00:00"}
    assert asked.sql == first.sql


def test_names_are_quoted_and_a_query_is_wrapped() -> None:
    def of(**said: str) -> str:
        return statement(SqlSource.model_validate({"connection": "db", "watermark": "time", **said}))

    assert of(table="public.Order").startswith('SELECT * FROM "public"."Order" AS pulled WHERE "time" >=')
    asked = of(query="SELECT * FROM t WHERE name LIKE 'a%' -- all of them\n;  ")
    assert asked.startswith(
        "SELECT * FROM (\nSELECT * FROM t WHERE name LIKE 'a%%' -- all of them\n\n) AS pulled WHERE"
    )


def test_rows_seen_before_are_left_out_and_late_ones_come_once(world: Workspace) -> None:
    first = pull(world, "one", [row(2, 30), row(1, 0)])
    assert (first.landed, first.seen, first.key) == (2, 0, "shop/landing/sql/orders/00000001.parquet")
    second = pull(world, "two", [row(1, 0), row(2, 30), row(3, 40), row(4, -20)])
    assert (second.landed, second.seen, second.key) == (2, 2, "shop/landing/sql/orders/00000002.parquet")
    third = pull(world, "three", [row(1, 0), row(2, 30), row(3, 40), row(4, -20)])
    assert (third.landed, third.seen, third.key) == (0, 4, None)
    assert orders(world) == [1, 2, 4, 3]
    assert third.newest == "2026-11-21T12:40:00.000000+00:00"


def test_an_answer_of_late_rows_alone_does_not_move_the_watermark_back(world: Workspace) -> None:
    pull(world, "one", [row(1, 0), row(2, 90)])
    assert pull(world, "two", [row(3, 40)]).newest == "2026-11-21T13:30:00.000000+00:00"
    assert pull_query(world, "orders").parameters == {"since": "2026-11-21T12:30:00.000000+00:00"}


def test_a_row_that_changed_is_a_new_row(world: Workspace) -> None:
    pull(world, "one", [row(1, 0, amount=1.0)])
    assert pull(world, "two", [row(1, 5, amount=9.0)]).landed == 1
    assert [(row["order"], row["amount"]) for row in landed(world)] == [(1, 1.0), (1, 9.0)]


def test_without_an_id_equal_rows_are_counted(world: Workspace) -> None:
    w = replace(world, spec=ModelSpec.model_validate({**SPEC, "id": None}))
    twin = {name: value for name, value in row(0, 0).items() if name != "order"}
    assert pull(w, "one", [twin, twin]).landed == 2
    assert pull(w, "two", [twin, twin, twin, {**twin, "amount": 2.0}]).landed == 2
    assert pull(w, "three", [twin, twin, twin, {**twin, "amount": 2.0}]).landed == 0


def test_a_column_that_comes_or_goes_makes_no_row_new(world: Workspace) -> None:
    w = replace(world, spec=ModelSpec.model_validate({**SPEC, "id": None}))
    pull(w, "one", [{**row(1, 0), "note": "x"}])
    assert pull(w, "two", [{**row(1, 0), "remark": 5}]).landed == 0


def test_a_cell_is_known_again_under_another_type(world: Workspace) -> None:
    """A column without a value in one answer has another type there than in the next."""
    pull(world, "one", [{**row(1, 0), "order": 1.0}])
    assert pull(world, "two", [row(1, 0)]).landed == 0


def test_rows_without_a_watermark_wait_for_one(world: Workspace) -> None:
    none = {**row(1, 0), "changed": None}
    found = pull(world, "one", [none, row(2, 0)])
    assert (found.rows, found.landed, found.without_watermark) == (2, 1, 1)
    assert pull(world, "two", [row(1, 10), row(2, 0)]).landed == 1
    assert pull(world, "three", [none, {**none, "order": 5}]).key is None
    assert orders(world) == [2, 1]


def test_an_empty_answer_lands_nothing(world: Workspace) -> None:
    empty = pa.table({name: pa.array([], pa.null()) for name in row(1, 0)})
    found = pull(world, "one", empty)
    assert (found.rows, found.key, found.newest) == (0, None, None)
    assert pull_query(world, "orders").parameters == {"since": None}


def test_only_files_that_reach_into_the_answer_are_read(world: Workspace) -> None:
    for number in range(5):
        pull(world, f"run-{number}", [row(number, 600 * number)])
    read: list[str] = []

    class Watched(Store):
        def get(self, key: str, *, most: int | None = None) -> Any:
            read.append(key)
            return super().get(key, most=most)

    watched = replace(world, store=Watched(world.store._raw))
    pull(watched, "next", [row(4, 2400), row(5, 2401)])
    assert {key[-9:-8] for key in read if "/sql/" in key} == {"5", "4"}


@pytest.mark.parametrize(
    ("values", "since"),
    [
        ([date(2026, 11, 20), date(2026, 11, 21)], "2026-11-20"),
        (["2026-11-20", "2026-11-21"], "2026-11-20"),
        ([datetime(2026, 11, 20), datetime(2026, 11, 21, 8, 0, 0, 1)], "2026-11-21T07:00:00.000001"),
        ([START, START + timedelta(microseconds=1)], "2026-11-21T11:00:00.000001+00:00"),
    ],
    ids=["date", "text-of-dates", "without-zone", "with-zone"],
)
def test_a_watermark_is_a_date_or_a_moment(world: Workspace, values: list[Any], since: str) -> None:
    rows = [{**row(number, 0), "changed": value} for number, value in enumerate(values)]
    assert pull(world, "one", rows).landed == 2
    assert pull(world, "two", rows).landed == 0
    assert pull_query(world, "orders").parameters == {"since": since}


@pytest.mark.parametrize("value", [7, 1.5, True, "yesterday", "2026-02-30"])
def test_anything_else_is_no_watermark(world: Workspace, value: object) -> None:
    with pytest.raises(DataError, match=r"^source orders, column 'changed': holds .* cannot be the watermark"):
        pull(world, "one", [{**row(1, 0), "changed": value}])
    assert orders(world) == []


@pytest.mark.parametrize("column", ["items", "amount", "order", "changed"])
def test_a_missing_column_is_named_with_its_source(world: Workspace, column: str) -> None:
    with pytest.raises(DataError, match=rf"^source orders, column '{column}': is missing in what the source gives"):
        pull(world, "one", [{name: value for name, value in row(1, 0).items() if name != column}])


def test_nested_values_are_refused(world: Workspace) -> None:
    with pytest.raises(DataError, match="column 'items': holds nested values"):
        pull(world, "one", [{**row(1, 0), "items": [1, 2]}])


def test_another_watermark_column_needs_another_name(world: Workspace) -> None:
    pull(world, "one", [row(1, 0)])
    other = with_source(world, watermark="made")
    for call in (pull_query, lambda w, source: pull(w, "two", [{**row(2, 0), "made": START}])):
        with pytest.raises(DataError, match=r"'made': is the watermark, but 'changed' was it.* a new name"):
            call(other, "orders")


def test_a_watermark_that_gets_a_zone_needs_another_name(world: Workspace) -> None:
    pull(world, "one", [row(1, 0)])
    with pytest.raises(DataError, match="holds a moment without a zone, but held a moment with a zone before"):
        pull(world, "two", [{**row(2, 0), "changed": datetime(2026, 11, 21, 13)}])


def test_a_foreign_file_among_the_pulled_is_not_taken_for_one(world: Workspace) -> None:
    pull(world, "one", [row(1, 0)])
    world.store.put_new(keys.pulled("shop", "orders", 2), b"mine")
    with pytest.raises(IntegrityError, match=r"00000002.parquet is none that a pull wrote"):
        pull_query(world, "orders")


def test_an_unknown_source_and_a_query_that_did_not_run(world: Workspace) -> None:
    with pytest.raises(NotFoundError, match=r"shop has no source order\. Its sources: orders"):
        pull_query(world, "order")
    with pytest.raises(NotFoundError, match="Run the source's query first"):
        pull_land(world, "orders")
    with pytest.raises(SettingsError, match="No bucket"):
        pull_query(replace(world, settings=None), "orders")


def test_a_pulled_row_that_is_refused_stops_no_training(world: Workspace) -> None:
    """Nobody can take a pulled file away: one with nothing but bad rows must not stand in the way for ever."""
    pull(world, "one", [row(number, number) for number in range(40)])
    pull(world, "two", [row(50, 50, amount=float("nan"))])
    assert snapshot(world.store, world.spec, lambda text: None).manifest.refused == 1


class Dying(Store):
    """Loses the answer to a write of a pulled file: before it was done, or after."""

    def __init__(self, store: Store, *, done: bool) -> None:
        super().__init__(store._raw)
        self._done = done

    def put_new(self, key: str, data: bytes, *, served: Served | None = None) -> str:
        if self._done:
            super().put_new(key, data, served=served)
        raise StoreUnavailable("killed")


@pytest.mark.parametrize("done", [False, True], ids=["before-the-commit", "after-the-commit"])
def test_a_kill_at_the_commit_and_a_retry_bring_each_row_once(world: Workspace, done: bool) -> None:
    pull(world, "one", [row(1, 0)])
    stage(replace(world, run="two"), [row(1, 0), row(2, 5)])
    with pytest.raises(StoreUnavailable):
        pull_land(replace(world, run="two", store=Dying(world.store, done=done)), "orders")
    assert pull_land(replace(world, run="two"), "orders").landed == (0 if done else 1)
    assert orders(world) == [1, 2]


def test_a_retry_of_the_first_pull_after_others_went_on_brings_nothing_twice(world: Workspace) -> None:
    """Its answer reaches further back than what a later pull would ask for."""
    everything = [row(number, 100 * number) for number in range(10)]
    pull(world, "one", everything)
    pull(world, "two", [row(10, 2000)])
    assert pull(world, "one", everything).landed == 0


def test_pulls_at_once_bring_each_row_once(world: Workspace) -> None:
    answers: list[Callable[[], PullLand]] = []
    for number in range(8):
        w = replace(world, run=f"run-{number}")
        stage(w, [row(each, each) for each in range(number, number + 10)])
        answers.append(lambda w=w: pull_land(w, "orders"))  # type: ignore[misc]
    with ThreadPoolExecutor(8) as pool:
        found = [future.result() for future in [pool.submit(answer) for answer in answers]]
    assert sorted(orders(world)) == list(range(17))
    assert len({each.key for each in found if each.key}) == len([each for each in found if each.key])


FAR = 60 * 24 * 365 * 50.0  # minutes


def test_a_row_from_the_future_keeps_no_later_row_out(world: Workspace) -> None:
    assert pull(world, "first", [row(1, 0), row(2, FAR)]).landed == 2
    later = replace(world, run="second", now=lambda: START + timedelta(hours=5))
    asked = pull_query(later, "orders")
    assert asked.parameters == {"since": "2026-11-21T16:00:00.000000+00:00"}
    assert pull(later, "second", [row(2, FAR), row(3, 290)]).landed == 1
