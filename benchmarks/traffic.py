"""What a trial costs a warm request: without one, as a shadow, and as a canary, in turns, in one process.

`python -m benchmarks.traffic` serves the model of `benchmarks.serving` from memory, four times over: alone, with a
shadow, to a caller within a canary's share, and to one outside. The challenger is the same graph as another version.
Prints the medians and their ratios to the one alone, for one record and for 1,000.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from benchmarks import mixed
from benchmarks.mixed_models import ROWS, publish
from benchmarks.mixed_spec import make_spec
from benchmarks.serving_process import Context, sample
from benchmarks.serving_start import event_of
from lambdas.api.adapter import adapted
from lambdas.api.app import create_app
from lambdas.api.telemetry import Telemetry
from perennial.registry.entries import Mode, Trial
from perennial.registry.manifest import MODEL_FILE
from perennial.registry.registry import Registry
from perennial.registry.trials import start_trial
from perennial.serving.challenger import in_share
from perennial.settings import Settings
from perennial.store import Store, memory_store

ALONE, SHADOW, INSIDE, OUTSIDE = "alone", "shadow", "canary, within", "canary, outside"
SIDES = (ALONE, SHADOW, INSIDE, OUTSIDE)
SIZES = {"one record": 1, "1,000 records": 1000}
SHARE = 0.5

Handler = Callable[[Any, Any], Any]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.traffic", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60, help="turns of each, of 100 calls (2 of 1,000 records)")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args(arguments)
    store = memory_store()
    records, classes = mixed.records(ROWS)
    names = {ALONE: "alone", SHADOW: "shadow", INSIDE: "canary", OUTSIDE: "canary"}
    for name, mode in (("alone", None), ("shadow", "shadow"), ("canary", "canary")):
        publish(store, make_spec(name), records, classes)
        if mode is not None:
            try_out(store, name, cast(Mode, mode))
    app = create_app(Settings(bucket="benchmark", refresh_seconds=1e9), store, telemetry=Telemetry(emit_metrics=True))
    handler = cast(Handler, adapted(app))
    figures = {size: compare(handler, names, count, options.rounds) for size, count in SIZES.items()}
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def try_out(store: Store, name: str, mode: Mode) -> None:
    """Publish the champion's graph again as another version, and put that on trial."""
    registry = Registry(store)
    head = registry.head(name)
    assert head is not None
    champion = registry.manifest(name, head.version)
    again = champion.model_copy(update={"run": "again"})
    registry.publish(again, {file: registry.file(champion, file) for file in champion.files})
    assert MODEL_FILE in again.files
    start_trial(
        store, name, again.version, mode=mode, share=SHARE if mode == "canary" else 1.0, op_id="try", actor="benchmark",
        reason="", now=datetime.now(UTC),
    )  # fmt: skip


def caller(*, within: bool) -> str:
    """Somebody within the canary's share, or outside."""
    trial = Trial(version="v", mode="canary", share=SHARE, began=2)
    return next(one for one in map(str, range(100)) if in_share("canary", trial, f"id:{one}") == within)


def compare(handle: Handler, names: dict[str, str], count: int, rounds: int) -> dict[str, float]:
    """Median microseconds of a request of ``count`` records on each side, and the ratios to the one alone."""
    found = mixed.records(count, seed=99)[0]
    body = found[0] if count == 1 else {"instances": found}
    events = {side: event_of(f"/models/{name}/predict", body) for side, name in names.items()}
    for side in (INSIDE, OUTSIDE):
        events[side]["headers"]["x-caller-id"] = caller(within=side == INSIDE)
    prove(handle, events)
    times: dict[str, list[float]] = {side: [] for side in names}
    with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing):
        for turn in range(-1, rounds):
            sides = list(events.items())
            for side, event in sides[turn % 4 :] + sides[: turn % 4]:  # nobody always comes after the same
                taken: list[float] = []
                sample(taken, lambda event=event: handle(event, Context), 100 if count == 1 else 2)  # type: ignore[misc]
                times[side] += taken if turn >= 0 else []
    medians = {side: statistics.median(taken) for side, taken in times.items()}
    return {f"{side}_us": median for side, median in medians.items()} | {
        f"{side}_ratio": medians[side] / medians[ALONE] for side in medians if side != ALONE
    }


def prove(handle: Handler, events: dict[str, dict[str, Any]]) -> None:
    """Each side writes the lines of those who are asked."""
    for side, event in events.items():
        with redirect_stdout(io.StringIO()) as out:
            assert handle(event, Context)["statusCode"] == 200
        roles = {line.split('"role":"')[1].split('"')[0] for line in out.getvalue().splitlines() if '"role"' in line}
        expected = {SHADOW: {"champion", "shadow"}, INSIDE: {"canary", "shadow"}}.get(side, {"champion"})
        assert roles == expected, (side, roles)


def table(figures: dict[str, dict[str, float]]) -> str:
    lines = ["", "| | " + " | ".join(figures) + " |", "|---" * (1 + len(figures)) + "|"]
    for side in SIDES:
        cells = (f"{one[f'{side}_us']:.0f} µs ({one.get(f'{side}_ratio', 1.0):.2f})" for one in figures.values())
        lines.append(f"| {side} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
