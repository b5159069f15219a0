"""What retraining gains on real data that drifts, and how often it is for nothing on the same data without drift.

`python -m benchmarks.replay` plays the examples bike_sharing and elec2 as `perennial replay` does, in weekly steps with
the truth a day late; then again with the rows shuffled against time, where nothing drifts. The data is read from
`PERENNIAL_DATA`, by default `shared/data` beside the repository. It takes some minutes; `--only` plays one of the two.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from perennial.jobs.replay import Plan, Replay, replay
from perennial.spec import load_spec

ROOT = Path(__file__).resolve().parents[1]
SEED = 1


@dataclass(frozen=True)
class Goal:
    """An example, and what its retrained series must reach against the static one."""

    data: str
    metric: str
    ratio: float | None = None
    points: float | None = None

    def reached(self, static: float, retrained: float) -> tuple[str, bool]:
        """The gain in words, and whether it is enough."""
        if self.ratio is not None:
            found = retrained / static
            return f"ratio {found:.3f} (at most {self.ratio:g})", found <= self.ratio
        assert self.points is not None
        found = 100 * (retrained - static)
        return f"{found:+.2f} points (at least {self.points:g})", found >= self.points


GOALS = {
    "bike_sharing": Goal("bike_sharing.csv", "mean_absolute_error", ratio=0.5),
    "elec2": Goal("elec2.csv", "accuracy", points=3),
}
MOST_FALSE_ALARMS = 1 / 20


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__)
    parser.add_argument("--only", choices=tuple(GOALS))
    parser.add_argument("--data", type=Path, default=_data())
    options = parser.parse_args(arguments)
    good = True
    for name in [options.only] if options.only else GOALS:
        good &= _in_order(name, options.data)
        good &= _shuffled(name, options.data)
    return 0 if good else 1


def _in_order(name: str, folder: Path) -> bool:
    goal = GOALS[name]
    found, seconds = _play(name, folder, None)
    assert found.static is not None
    static, retrained = found.static[goal.metric], found.retrained[goal.metric]
    words, reached = goal.reached(static, retrained)
    print(f"{name}: {goal.metric} {static:.4f} static, {retrained:.4f} retrained: {words}")
    _tell(found, seconds)
    return reached


def _shuffled(name: str, folder: Path) -> bool:
    found, seconds = _play(name, folder, SEED)
    print(f"{name} shuffled: {found.drift_or_decay} trainings for drift or decay in {len(found.checks)} checks")
    _tell(found, seconds)
    return found.drift_or_decay <= MOST_FALSE_ALARMS * len(found.checks)


def _tell(found: Replay, seconds: float) -> None:
    causes = ", ".join(f"{cause} {count}" for cause, count in found.by_cause.items())
    print(
        f"    {found.labelled:,} rows; {len(found.checks)} checks, {len(found.trainings)} trainings ({causes}), "
        f"{found.promotions} promotions; {seconds:.0f} s"
    )


def _play(name: str, folder: Path, shuffle: int | None) -> tuple[Replay, float]:
    plan = Plan(every=timedelta(days=7), label_delay=timedelta(days=1), shuffle=shuffle)
    spec = load_spec(ROOT / "examples" / name / "model.yaml")
    started = time.perf_counter()
    found = replay(spec, folder / GOALS[name].data, plan, lambda done, total, line: None)
    return found, time.perf_counter() - started


def _data() -> Path:
    named = os.environ.get("PERENNIAL_DATA")
    return Path(named) if named else ROOT.parent / "shared" / "data"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
