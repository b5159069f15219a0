"""The file of a replay: what is in order, where it is cut, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perennial.errors import DataError, PerennialError, SettingsError, SpecError
from perennial.jobs.replay.file import Timeline, check_delay, periods_of, read_timeline
from perennial.jobs.replay.plan import Plan, duration_text
from perennial.spec import ModelSpec

DAY = timedelta(days=1)


def spec(**changes: Any) -> ModelSpec:
    said: dict[str, Any] = {
        "name": "tide",
        "task": "regression",
        "target": {"column": "level"},
        "id": "row",
        "time": "at",
        "features": {"wind": {"type": "number"}},
        "candidates": {"ridge": {"estimator": "sklearn.linear_model.Ridge"}},
    }
    return ModelSpec.model_validate({**said, **changes})


def write(path: Path, times: list[str]) -> Path:
    """One row for each time; ``wind`` and ``level`` say its number."""
    lines = [f"{i},{time},{i},{10 * i}\n" for i, time in enumerate(times)]
    path.write_text("row,at,wind,level\n" + "".join(lines))
    return path


def days(count: int, each: int = 1) -> list[str]:
    return [f"{datetime(2024, 1, 1) + DAY * (i // each):%Y-%m-%d}" for i in range(count)]


def timeline(tmp_path: Path, times: list[str], shuffle: int | None = None) -> Timeline:
    return read_timeline(write(tmp_path / "tide.csv", times), spec(), shuffle)


def test_rows_are_cut_into_steps_that_keep_each_row_once(tmp_path: Path) -> None:
    found = timeline(tmp_path, days(300, each=2))
    periods = periods_of(found, 0.2, timedelta(days=7))
    assert periods[0].first == 60
    assert periods[0].since == datetime(2024, 1, 31, tzinfo=UTC)
    assert [one.first for one in periods[1:]] == [one.last for one in periods[:-1]]
    assert periods[-1].last == 300
    assert all(one.until - one.since == timedelta(days=7) for one in periods)
    for one in periods:
        assert all(one.since <= found.moment(row) < one.until for row in range(one.first, one.last))


def test_a_share_never_divides_a_moment(tmp_path: Path) -> None:
    found = timeline(tmp_path, days(300, each=24))
    assert periods_of(found, 0.25, DAY)[0].first == 72


def test_the_initial_part_may_be_a_span(tmp_path: Path) -> None:
    assert periods_of(timeline(tmp_path, days(300)), timedelta(days=90), timedelta(days=7))[0].first == 90


def test_disorder_is_refused_with_its_row_and_a_remedy(tmp_path: Path) -> None:
    times = days(120)
    times[70], times[71] = times[71], times[70]
    with pytest.raises(DataError, match=r"tide.csv, row 72, column 'at': lies before the row above it. Sort .*shuffle"):
        timeline(tmp_path, times)


def test_a_shuffle_moves_all_columns_together_but_time_and_id(tmp_path: Path) -> None:
    found = timeline(tmp_path, days(120), shuffle=1)
    cells = {name: column.to_pylist() for name, column in found.raw.columns.items()}
    assert cells["at"] == days(120)
    assert cells["row"] == [str(i) for i in range(120)]
    assert cells["wind"] != [str(i) for i in range(120)]
    assert sorted(map(int, cells["wind"])) == list(range(120))
    assert [10 * int(wind) for wind in cells["wind"]] == list(map(int, cells["level"]))
    again = timeline(tmp_path, days(120), shuffle=1)
    other = timeline(tmp_path, days(120), shuffle=2)
    assert again.raw.columns["wind"].equals(found.raw.columns["wind"])
    assert not other.raw.columns["wind"].equals(found.raw.columns["wind"])


def test_a_shuffle_takes_a_file_that_is_out_of_order(tmp_path: Path) -> None:
    found = timeline(tmp_path, days(120)[::-1], shuffle=1)
    assert found.raw.columns["at"].to_pylist() == days(120)
    assert found.moment(0) == datetime(2024, 1, 1, tzinfo=UTC)


def test_rows_without_a_time_or_a_cell_are_left_out_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "tide.csv", [*days(100), "", "soon", *days(120)[100:]])
    path.write_text(path.read_text() + "one,cell\n")
    found = read_timeline(path, spec(), None)
    assert (found.rows, found.unplaced) == (120, 3)
    assert found.raw.rows[-1] == 122


def test_times_of_parquet_and_seconds_are_read_alike(tmp_path: Path) -> None:
    moments = [datetime(2024, 1, 1, tzinfo=UTC) + DAY * i for i in range(120)]
    columns = {"row": range(120), "wind": range(120), "level": range(120)}
    for name, cells in {"moment": moments, "seconds": [one.timestamp() for one in moments]}.items():
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"at": cells, **{key: list(value) for key, value in columns.items()}}), path)
        assert read_timeline(path, spec(), None).moment(119) == moments[-1]


def test_a_spec_without_a_time_cannot_be_played(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="'time': names no time column"):
        read_timeline(write(tmp_path / "tide.csv", days(120)), spec(time=None), None)


@pytest.mark.parametrize(
    ("times", "initial", "every", "problem"),
    [
        (days(60), 0.2, DAY, "12 initial rows are too few"),
        (days(80), 0.8, DAY, "16 rows after the initial part are too few"),
        (days(200), 0.3, timedelta(days=300), "span 139.0 days, no longer than one step of --every"),
        (days(200), 0.3, timedelta(seconds=60), "more than 10,000"),
        (days(200), timedelta(days=3), DAY, "3 initial rows are too few"),
        (["2024-01-01"] * 200, 0.3, DAY, "0 initial rows are too few"),
    ],
)
def test_what_does_not_fit_the_file_is_refused(
    tmp_path: Path, times: list[str], initial: float | timedelta, every: timedelta, problem: str
) -> None:
    with pytest.raises(DataError, match=problem) as refusal:
        periods_of(timeline(tmp_path, times), initial, every)
    assert refusal.value.file == str(tmp_path / "tide.csv")
    assert refusal.value.remedy


def test_times_no_clock_can_show_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 1, column 'at': lies before 1970"):
        timeline(tmp_path, ["1969-12-31", *days(120)])
    with pytest.raises(DataError, match="row 121, column 'at': lies before 1970 or after"):
        timeline(tmp_path, [*days(120), "9999-12-31"])
    with pytest.raises(DataError, match="column 'at': holds no time"):
        timeline(tmp_path, ["soon"] * 120)


@pytest.mark.parametrize("delay", [timedelta(days=133), timedelta(days=999999999)])
def test_a_delay_longer_than_the_file_is_refused(tmp_path: Path, delay: timedelta) -> None:
    found = timeline(tmp_path, days(200))
    periods = periods_of(found, 0.3, timedelta(days=7))
    check_delay(found, periods, timedelta(days=132))
    with pytest.raises(SettingsError, match="no truth would come in time") as refusal:
        check_delay(found, periods, delay)
    assert "133.0 days" in str(refusal.value)


@pytest.mark.parametrize(
    "wrong", [{"every": timedelta(0)}, {"initial": 0.0}, {"initial": 1.0}, {"initial": timedelta(0)}]
)
def test_a_plan_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PerennialError):
        Plan(**{"every": DAY, "label_delay": DAY, **wrong})


@pytest.mark.parametrize("text", ["7d", "36h", "90m", "45s", "0s"])
def test_a_span_is_told_as_it_is_given(text: str) -> None:
    from perennial.spec_policy import duration

    span = duration(text)
    assert isinstance(span, timedelta)
    assert duration_text(span) == text
