"""The worked table of time and cost follows from its rates and prices, and from nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.batch_cost import (
    CASES,
    Cloud,
    Data,
    Emr,
    Engine,
    Functions,
    Rates,
    by_functions,
    by_spark,
    duration,
    table,
)

RATES = Rates(rows=500_000)
CLOUD = Cloud(speed=1.0)


def test_a_million_rows_in_one_function_by_hand() -> None:
    found = by_functions(1_000_000, RATES, Data(), CLOUD, Functions(start=1.0, behind=0.0))
    assert found.seconds == pytest.approx(2 + 1)
    assert found.machines == pytest.approx(3 * 1769 / 1024 * 0.0000133334 + 0.20 / 1e6)
    gets = 194e6 / (4 << 20) + 10
    assert found.requests == pytest.approx(gets * 0.0004 / 1000 + 8 * 0.005 / 1000)


def test_a_thousand_million_rows_by_spark_by_hand() -> None:
    found = by_spark(1_000_000_000, RATES, Data(), CLOUD, Emr(start=100.0, setting_up=20.0))
    paid = 20 + 2000 / 60
    assert found.seconds == pytest.approx(100 + max(60, paid))
    assert found.machines == pytest.approx(max(60, paid) / 3600 * (62 * 0.052624 + 124 * 0.0057785))


def test_a_worker_is_paid_for_a_minute_at_least() -> None:
    small, none = by_spark(1_000_000, RATES, Data(), CLOUD), by_spark(1, RATES, Data(), CLOUD)
    assert small.machines == none.machines == pytest.approx(60 / 3600 * (6 * 0.052624 + 12 * 0.0057785))


@pytest.mark.parametrize("engine", [by_functions, by_spark])
def test_more_rows_cost_more_and_a_faster_processor_less(engine: Engine) -> None:
    cost = [engine(rows, RATES, Data(), CLOUD).dollars for rows, _ in CASES]
    assert cost == sorted(cost)
    slower = engine(CASES[1][0], RATES, Data(), replace(CLOUD, speed=0.5))
    faster = engine(CASES[1][0], RATES, Data(), CLOUD)
    assert slower.dollars > faster.dollars and slower.seconds > faster.seconds


def test_files_that_are_cut_are_looked_through_before_and_joined_after() -> None:
    whole, cut = Data(file_rows=2_000_000), Data(file_rows=20_000_000)
    assert (whole.parts(), cut.parts()) == (1, 15)
    assert (
        by_functions(CASES[1][0], RATES, cut, CLOUD).machines > by_functions(CASES[1][0], RATES, Data(), CLOUD).machines
    )


def test_the_table_has_a_line_for_each() -> None:
    lines = table(RATES).splitlines()
    assert len(lines) == 2 + 2 * len(CASES)
    assert all(line.count("|") == 9 for line in lines)


def test_durations_are_readable() -> None:
    assert [duration(seconds) for seconds in (5, 119, 600, 7201)] == ["5 s", "119 s", "10 min", "2.0 h"]
