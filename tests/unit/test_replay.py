"""A file played as if it arrived live: the real loop, on a small world that moves."""

from __future__ import annotations

import json
import random
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from perennial.cli import app
from perennial.errors import PromotionRefused
from perennial.jobs.cycle import run_cycle
from perennial.jobs.replay import Plan, Replay, replay
from perennial.jobs.replay.arrivals import read_arrivals
from perennial.jobs.replay.file import read_timeline
from perennial.jobs.replay.world import World
from perennial.monitoring.observed import labelled, observe
from perennial.serving.ids import moment_of
from perennial.spec import ModelSpec, load_spec

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY, WEEK = timedelta(days=1), timedelta(days=7)
A_DAY = 18
PLAN = Plan(every=WEEK, label_delay=DAY, initial=timedelta(days=21))
SPEC = """
name: tide
task: regression
target: {column: level}
id: row
time: at
features:
  wind: {type: number}
  moon: {type: category, values: [new, full]}
candidates:
  tree: {estimator: sklearn.tree.DecisionTreeRegressor, params: {max_depth: 5}}
metric: mean_absolute_error
retrain: {new_rows: 50, performance: {mean_absolute_error: 30, labels: 50}}
"""


def spec(**changes: Any) -> ModelSpec:
    from perennial.spec_source import parse_spec

    return ModelSpec.model_validate({**parse_spec(SPEC).model_dump(), **changes})


def write(path: Path, days: int = 42, *, moving: bool = True) -> Path:
    """A level that follows the wind; from the 22nd day on winds are strong and press it down.

    Row 400 holds what is no wind, row 401 no truth.
    """
    draw = random.Random(0)
    lines = ["row,at,wind,moon,level\n"]
    for row in range(days * A_DAY):
        moment = START + DAY * (row / A_DAY)
        strong = moving and row >= 21 * A_DAY
        wind, moon = draw.uniform(0, 10) + 20 * strong, draw.choice(["new", "full"])
        level = (100 - 6 * wind if strong else 3 * wind) + (5 if moon == "full" else 0) + draw.gauss(0, 1)
        cells = [f"r{row}", f"{moment:%Y-%m-%dT%H:%M:%S}", f"{wind:.3f}", moon, f"{level:.3f}"]
        cells[2] = "gale" if row == 400 else cells[2]
        cells[4] = "" if row == 401 else cells[4]
        lines.append(",".join(cells) + "\n")
    path.write_text("".join(lines))
    return path


def silent(done: int, total: int, line: str) -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Replay:
    return replay(spec(), write(tmp_path_factory.mktemp("tide") / "tide.csv"), PLAN, silent)


def test_a_model_that_is_retrained_follows_what_a_static_one_loses(played: Replay) -> None:
    assert played.static is not None
    assert played.retrained["mean_absolute_error"] < 0.5 * played.static["mean_absolute_error"]
    last = played.periods[-1]
    assert last.static is not None and last.retrained is not None
    assert last.retrained < 0.2 * last.static


def test_every_row_is_accounted_for(played: Replay) -> None:
    assert played.initial_rows == 21 * A_DAY
    assert played.arrived == 21 * A_DAY == sum(one.rows for one in played.periods)
    assert (played.refused, played.unlabelled, played.unplaced) == (1, 1, 0)
    assert played.predicted == played.arrived - 1
    assert played.labelled == played.arrived - 2


def test_each_step_but_the_last_is_followed_by_a_check(played: Replay) -> None:
    assert [one.since for one in played.periods] == [START + WEEK * number for number in range(3, 6)]
    assert [one.time for one in played.checks] == [START + WEEK * number for number in range(4, 6)]
    assert [one.rows for one in played.checks] == [7 * A_DAY - 1, 7 * A_DAY]
    assert played.checks[0].labels == 6 * A_DAY - 2  # a day of truths is missing, and two rows have none


def test_trainings_name_their_reasons_and_what_became_of_them(played: Replay) -> None:
    assert played.trainings and all(one.version and one.reasons for one in played.trainings)
    assert played.promotions == sum(one.promoted for one in played.trainings) > 0
    assert played.promotions + played.rejections == len(played.trainings)
    assert played.by_cause["decay"] > 0 and played.by_cause["drift"] > 0
    assert played.drift_or_decay == sum(bool({"drift", "decay"} & set(one.causes)) for one in played.trainings)
    served = dict.fromkeys(one.version for one in played.periods)
    promoted = [one.version for one in played.trainings if one.promoted]
    assert list(served) == [played.first.version, *promoted]


def test_both_series_begin_with_the_same_version(played: Replay) -> None:
    begin = played.periods[0]
    assert begin.version == played.first.version
    assert begin.static == begin.retrained is not None


def test_the_same_file_and_spec_give_the_same_json_and_leave_nothing_behind(
    played: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, empty = write(tmp_path / "tide.csv"), tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(empty))
    assert replay(spec(), path, PLAN, silent).model_dump_json() == played.model_dump_json()
    assert not list(empty.iterdir())


def test_shuffled_against_time_neither_drift_nor_decay_starts_a_training(tmp_path: Path) -> None:
    plan = Plan(every=WEEK, label_delay=DAY, initial=timedelta(days=21), shuffle=3, static=False)
    found = replay(spec(retrain={"new_rows": 10_000}), write(tmp_path / "tide.csv", moving=False), plan, silent)
    assert (found.trainings, found.static, found.shuffled) == ((), None, 3)
    assert [one.drift for one in found.checks] == ["ok"] * 2
    assert {one.version for one in found.periods} == {found.first.version}


def test_a_gate_that_no_first_version_passes_ends_the_replay(tmp_path: Path) -> None:
    with pytest.raises(PromotionRefused, match=r"nothing could serve.*maximum.mean_absolute_error.*--initial"):
        replay(spec(gate={"maximum": {"mean_absolute_error": 0.1}}), write(tmp_path / "tide.csv"), PLAN, silent)


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(done: int, total: int, line: str) -> None:
        raise KeyboardInterrupt

    path, empty = write(tmp_path / "tide.csv"), tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(empty))
    with pytest.raises(KeyboardInterrupt):
        replay(spec(), path, PLAN, interrupt)
    assert not list(empty.iterdir())


def test_what_the_world_answers_is_captured_and_its_truth_comes_after_the_delay(tmp_path: Path) -> None:
    timeline = read_timeline(write(tmp_path / "tide.csv", days=30), spec(), None)
    first = 21 * A_DAY
    world = World(spec(), tmp_path, timeline.moment(first), lambda line: None)
    world.land("tide", timeline.table(first))
    assert run_cycle(world.workspace("first")).promoted
    arrivals = read_arrivals(timeline, spec(), ())[first : first + 3 * A_DAY]
    answered = world.serve(arrivals)
    assert len(answered) == 3 * A_DAY - 1
    world.now = START + DAY * 24
    seen = observe(world.store, spec(), START, world.now)
    assert (seen.total, seen.lost, seen.duplicates) == (3 * A_DAY - 1, 0, 0)
    assert seen.rows.column("row").to_pylist() == [f"r{arrival.row}" for arrival, _ in answered]
    assert seen.about.column("prediction").to_pylist() == [given.prediction for _, given in answered]
    assert world.deliver(DAY) == 2 * A_DAY - 2
    known = labelled(world.store, spec(), since=START, until=world.now)
    moments = [moment_of(identifier) for identifier in known.about.column("prediction_id").to_pylist()]
    assert max(moments) < world.now - DAY
    truths = {f"r{arrival.row}": arrival.truth for arrival, _ in answered}
    pairs = zip(known.rows.column("row").to_pylist(), known.rows.column("level").to_pylist(), strict=True)
    assert all(truths[row] == level for row, level in pairs)
    assert world.deliver(DAY) == 0
    world.now += 2 * DAY
    assert world.deliver(DAY) == A_DAY


@pytest.mark.parametrize("name", ["bike_sharing", "elec2"])
def test_the_examples_hold_no_column_that_tells_the_target_or_only_grows(name: str) -> None:
    found = load_spec(Path(__file__).resolve().parents[2] / "examples" / name / "model.yaml")
    assert found.time is not None and found.retrain.performance is not None
    assert not {found.time, found.id, found.target.column, "casual", "registered", "date"} & found.features.keys()


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["replay", *map(str, arguments)])


def test_the_command_prints_json_and_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.yaml").write_text(SPEC)
    data = write(tmp_path / "tide.csv", days=35)
    done = run("model.yaml", data, "--initial", "21d", "--every", "7d", "--label-delay", "1d", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["static"]["mean_absolute_error"] > 0 and found["retrained"]["mean_absolute_error"] > 0
    assert found["promotions"] == sum(one["promoted"] for one in found["trainings"])
    assert found["page"] == "tide-replay.html"
    assert "Replay of tide on tide.csv" in (tmp_path / "tide-replay.html").read_text()
    assert "2 of 2 steps" in done.stderr


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--every", "soon"], "--every soon: a duration is a whole number and a unit"),
        (["--every", "0d"], "--every is no time at all"),
        (["--label-delay", "-1d"], "--label-delay -1d: a duration is"),
        (["--initial", "120%"], "--initial is no part of the file"),
        (["--initial", "half"], "--initial half: a duration is"),
        (["--page", "nowhere/page.html"], "nowhere/page.html cannot be written"),
        (["--every", "90d"], "tide.csv: the rows after the initial part span"),
        (["--label-delay", "400d"], "--label-delay is longer than"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.yaml").write_text(SPEC)
    done = run("model.yaml", write(tmp_path / "tide.csv"), *options)
    assert done.exit_code == 1
    assert problem in str(done.exception)
    assert not list(tmp_path.glob("*.html"))
