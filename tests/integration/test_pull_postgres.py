"""SQL sources end to end: a real PostgreSQL server, Airflow's own operator, and S3 on the embedded AWS."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perennial import keys
from perennial.datasets.snapshot import snapshot
from perennial.deploy.scheduler import environment
from perennial.deploy.up import LocalStack
from perennial.spec import ModelSpec, load_spec
from perennial.store import Store
from tests.support.dag_runs import DagRuns, dag_runs
from tests.support.postgres import Postgres, postgres_server

SPEC = """
name: pulled-shop
task: regression
target: {column: price}
id: id
time: changed_at
features:
  weight: {type: number, missing: true}
  amount: {type: number, missing: true}
  city: {type: category, values: [Köln, Paris], unknown: encode, missing: true}
  paid: {type: category, values: ["true", "false"], missing: true}
  ordered_on: {type: date, missing: true}
  seen_at: {type: date, missing: true}
candidates: {line: {estimator: sklearn.linear_model.Ridge}}
sources:
  orders: {connection: shop-db, table: shop.orders, watermark: changed_at, late: 1h, schedule: null}
  daily:
    connection: shop-db
    query: |
      SELECT * FROM shop.orders WHERE city LIKE 'K%'  -- those of one city
    watermark: ordered_on
    late: 1d
    schedule: "@daily"
"""
USED = {"id", "price", "weight", "amount", "city", "paid", "ordered_on", "seen_at", "changed_at"}
TABLE = """
CREATE SCHEMA shop;
CREATE TABLE shop.orders (
    id bigint PRIMARY KEY, price numeric(10, 2), weight double precision, amount integer, city text, paid boolean,
    ordered_on date, seen_at timestamp, changed_at timestamptz,
    note jsonb, tags text[], key uuid, pause interval, place point
);
INSERT INTO shop.orders VALUES
    (9007199254740993, 1.50, 0.1, 7, 'Köln', true, '2026-03-28', '2026-03-28 08:00:00.123456',
     '2026-03-29 00:30:00.000001+00',
     '{"a": 1}', '{a,b}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '1 day', '(1,2)');
INSERT INTO shop.orders VALUES
    (2, 2.25, NULL, NULL, NULL, NULL, NULL, NULL, '2026-03-29 01:30:00+00'),
    (3, 3.00, 1e-3, 9007199, '50% ''off''', false, '2026-03-29', '2026-03-29 08:00:00', '2026-03-29 00:59:59+00');
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as server:
        server.run(TABLE)
        yield server


@pytest.fixture(scope="module")
def spec_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "model.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="module")
def airflow(
    stack: LocalStack, postgres: Postgres, spec_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DagRuns]:
    env = environment(stack, str(spec_file), tmp_path_factory.mktemp("airflow"))
    with dag_runs({**env, "AIRFLOW_CONN_SHOP-DB": postgres.uri, "NO_PROXY": "*"}) as runs:
        yield runs


def pulled(store: Store, spec: ModelSpec, source: str) -> list[list[dict[str, Any]]]:
    """Rows of each file that was landed."""
    entries = store.list(keys.pulled_files(spec.name, source))
    return [pq.read_table(pa.BufferReader(store.get(entry.key).data)).to_pylist() for entry in entries]


def test_a_source_from_its_first_row_to_a_dropped_column(
    airflow: DagRuns, postgres: Postgres, store: Store, spec_file: Path
) -> None:
    """One test, since each run of Airflow takes seconds; what a run leaves is what the next begins with."""
    spec = load_spec(spec_file)

    def run(source: str) -> list[list[int]]:
        done = airflow.run(f"pull_pulled-shop_{source}")
        assert done.state == "success", done.log[-6000:]
        return [[row["id"] for row in rows] for rows in pulled(store, spec, source)]

    assert run("orders") == [[9007199254740993, 3, 2]]
    first, _, bare = pulled(store, spec, "orders")[0]
    wanted = {column: value for column, value in first.items() if column in USED}
    assert wanted == {
        "id": 9007199254740993, "price": 1.5, "weight": 0.1, "amount": 7, "city": "Köln", "paid": True,
        "ordered_on": "2026-03-28", "seen_at": datetime(2026, 3, 28, 8, 0, 0, 123456),
        "changed_at": datetime(2026, 3, 29, 0, 30, 0, 1, tzinfo=UTC),
    }  # fmt: skip
    assert {name for name in USED if bare[name] is None} == USED - {"id", "price", "changed_at"}

    # One late by less than an hour, one late by more, one that changed, and one without a watermark.
    postgres.run(
        "INSERT INTO shop.orders (id, price, changed_at) VALUES (4, 4, '2026-03-29 00:45:00+00'),"
        " (5, 5, '2026-03-29 00:15:00+00'), (6, 6, NULL);"
        "UPDATE shop.orders SET price = 9, changed_at = '2026-03-29 01:31:00+00' WHERE id = 2;"
    )
    assert run("orders") == [[9007199254740993, 3, 2], [4, 2]]
    assert run("orders") == [[9007199254740993, 3, 2], [4, 2]]  # nothing new: no file

    assert run("daily") == [[9007199254740993]]
    postgres.run("INSERT INTO shop.orders VALUES (7, 7, 1, 1, 'K%', true, '2026-03-28', NULL, '2026-03-01')")
    assert run("daily") == [[9007199254740993], [7]]

    taken = snapshot(store, spec, lambda text: None).manifest
    assert taken.refused == 0
    assert sorted(source.rows for source in taken.sources) == [1, 1, 2, 3]

    postgres.run("ALTER TABLE shop.orders ADD COLUMN photo bytea DEFAULT '\\xdeadbeef'")
    failed = airflow.run("pull_pulled-shop_orders")
    assert (failed.state, failed.tasks["ask"]) == ("failed", "failed")
    assert "The answer for pull_pulled-shop_orders is no table of plain values" in failed.log

    postgres.run("ALTER TABLE shop.orders DROP COLUMN photo, DROP COLUMN weight")
    failed = airflow.run("pull_pulled-shop_orders")
    assert (failed.state, failed.tasks["land"]) == ("failed", "failed")
    assert "source orders, column 'weight': is missing in what the source gives." in failed.log
    assert len(pulled(store, spec, "orders")) == 2
