"""What capture and feedback tokens cost a warm request: with and without them, in turns, in one process.

`python -m benchmarks.capture` serves the model of `benchmarks.serving` twice from memory: as it is, and with capture
switched off in the spec and no key for tokens. Prints both medians and their ratio, for one record and for 1,000.
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
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from benchmarks import mixed
from benchmarks.mixed_models import ROWS, publish
from benchmarks.mixed_spec import make_spec
from benchmarks.serving_process import Context, sample
from benchmarks.serving_start import event_of
from lambdas.api.adapter import adapted
from lambdas.api.app import create_app
from lambdas.api.services import Services
from lambdas.api.signing import Signing
from lambdas.api.telemetry import Telemetry
from perennial.settings import Settings
from perennial.store import Store, memory_store

WITH, WITHOUT = "with", "without"
SIZES = {"one record": 1, "1,000 records": 1000}

Handler = Callable[[Any, Any], Any]


class Keyless:
    """Stands where the key would be, and has none."""

    def prepare(self, *, make: bool) -> None:
        pass

    async def at_hand(self) -> None:
        return None


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capture", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60, help="turns of each, of 100 calls (2 of 1,000 records)")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args(arguments)
    store = memory_store()
    records, classes = mixed.records(ROWS)
    for name, share in ((WITH, 1.0), (WITHOUT, 0.0)):
        publish(store, make_spec(name, capture=share), records, classes)
    handlers = {WITH: handler(store, tokens=True), WITHOUT: handler(store, tokens=False)}
    figures = {size: compare(handlers, count, options.rounds) for size, count in SIZES.items()}
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def handler(store: Store, *, tokens: bool) -> Handler:
    """The Lambda handler over a store, writing its lines and metrics as in a function."""
    app = create_app(Settings(bucket="benchmark", refresh_seconds=1e9), store, telemetry=Telemetry(emit_metrics=True))
    if not tokens:
        services: Services = app.state.services
        app.state.services = replace(services, signing=cast(Signing, Keyless()))
    return cast(Handler, adapted(app))


def compare(handlers: dict[str, Handler], count: int, rounds: int) -> dict[str, float]:
    """Median microseconds of a request of ``count`` records on each side, and their ratio."""
    found = mixed.records(count, seed=99)[0]
    body = found[0] if count == 1 else {"instances": found}
    events = {name: event_of(f"/models/{name}/predict", body) for name in handlers}
    prove(handlers, events)
    times: dict[str, list[float]] = {name: [] for name in handlers}
    with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing):
        for round_ in range(-1, rounds):
            for name, handle in handlers.items():
                taken: list[float] = []
                sample(taken, lambda handle=handle, name=name: handle(events[name], Context), 100 if count == 1 else 2)  # type: ignore[misc]
                times[name] += taken if round_ >= 0 else []
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    return {f"{name}_us": median for name, median in medians.items()} | {"ratio": medians[WITH] / medians[WITHOUT]}


def prove(handlers: dict[str, Handler], events: dict[str, dict[str, Any]]) -> None:
    """The one side writes a line for each prediction and gives tokens, the other does neither."""
    for name, handle in handlers.items():
        with redirect_stdout(io.StringIO()) as out:
            answer = json.loads(handle(events[name], Context)["body"])
        lines = [line for line in out.getvalue().splitlines() if line.startswith('{"kind"')]
        answers = answer.get("predictions", [answer])
        assert len(lines) == (len(answers) if name == WITH else 0)
        assert all((one["feedback_token"] is not None) == (name == WITH) for one in answers)


def table(figures: dict[str, dict[str, float]]) -> str:
    lines = ["", "| | without | with capture and token | ratio |", "|---|---|---|---|"]
    for size, one in figures.items():
        lines.append(f"| {size} | {one['without_us']:.0f} µs | {one['with_us']:.0f} µs | {one['ratio']:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
