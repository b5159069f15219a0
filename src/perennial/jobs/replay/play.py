"""Replay: a file of the past played as if it arrived live, against a first version that is never trained again.

The initial part lands and is trained on. Then, step by step: the version in service answers what arrives and is
captured, truths land after their delay, a monitoring pass looks and decides, and where it says so a cycle trains,
judges and promotes. The schedules of a spec play no part, since the steps take their place, and a gate that asks a
person is taken to be answered yes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from perennial.jobs.replay.file import check_delay, periods_of, read_timeline
from perennial.jobs.replay.plan import Plan
from perennial.jobs.replay.played import Played, Progress
from perennial.jobs.replay.results import Replay
from perennial.spec import ModelSpec

__all__ = ["Plan", "Progress", "replay"]


def replay(spec: ModelSpec, path: Path, plan: Plan, tell: Progress) -> Replay:
    """Play a file. The same file, spec and plan give the same result.

    Raises:
        SpecError: the spec names no time column, or its input is pictures.
        SettingsError: the delay is longer than the file.
        DataError: the file cannot be used, its rows are not in the order of time, or the steps do not fit it.
        TrainingError: the first version cannot be trained.
        PromotionRefused: the first version does not pass its gate, so that nothing could serve.
    """
    timeline = read_timeline(path, spec, plan.shuffle)
    periods = periods_of(timeline, plan.initial, plan.every)
    check_delay(timeline, periods, plan.label_delay)
    gate = spec.gate.model_copy(update={"approval": "auto"})
    with tempfile.TemporaryDirectory(prefix="perennial-replay-") as folder:
        played = Played(spec.model_copy(update={"gate": gate}), plan, timeline, periods, Path(folder), tell)
        played.run(path.stem.removesuffix(".csv"))
    return played.result()
