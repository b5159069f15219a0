"""The examples on real data that drifts: a bounded part of each; `python -m benchmarks.replay` plays them whole."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from pathlib import Path

from perennial.jobs.replay import Plan, Replay, replay
from perennial.spec import load_spec

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def play(name: str, data: Path, folder: Path, rows: int, shuffle: int | None = None) -> Replay:
    """The example on the first rows of its data in steps of three weeks, with the truth a day late."""
    part = folder / data.name
    with data.open() as whole, part.open("w") as file:
        file.writelines(islice(whole, rows + 1))
    plan = Plan(every=timedelta(days=21), label_delay=timedelta(days=1), initial=0.25, shuffle=shuffle)
    return replay(load_spec(EXAMPLES / name / "model.yaml"), part, plan, lambda done, total, line: None)


def test_a_model_of_rentals_that_is_retrained_follows_the_season(real_data: Path, tmp_path: Path) -> None:
    found = play("bike_sharing", real_data / "bike_sharing.csv", tmp_path, 4_000)
    assert found.static is not None
    assert found.retrained["mean_absolute_error"] <= 0.65 * found.static["mean_absolute_error"]
    assert found.promotions >= 2
    assert found.refused == found.unlabelled == 0
    assert found.labelled == found.arrived == 4_000 - found.initial_rows


def test_rentals_in_no_order_raise_no_alarm(real_data: Path, tmp_path: Path) -> None:
    found = play("bike_sharing", real_data / "bike_sharing.csv", tmp_path, 2_000, shuffle=1)
    assert found.checks
    assert found.drift_or_decay == 0
