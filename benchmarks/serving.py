"""Ours beside the handwritten service and beside a bare handler, in one run: cold start, warm latency, memory.

`python -m benchmarks.serving` trains the same kind of model for both on the same data, puts both into one local S3,
ours signed and with its key trusted, and asks each in fresh processes, in turns. All are imported from folders of
compiled bytecode, as Lambda would, and ours has the environment that the template gives it.
"""

from __future__ import annotations

import argparse
import compileall
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.figures import Beside, Figure, Key, add_options, write
from benchmarks.measuring import RIVALS, forget, local_s3, spread
from benchmarks.mixed_models import BUCKET
from benchmarks.mixed_spec import MODEL
from benchmarks.serving_start import event_of, percentile, run_process
from benchmarks.serving_world import ROOT, World, prepare

OURS, LOGGER, HANDWRITTEN, BARE = "ours", "ours with Logger", "hand-written", "bare handler"
COMMAND = "python -m benchmarks.serving"
WORK = 200
"""Warm calls of each before its memory is read."""
CALLS = 500
"""Warm calls of a round: enough for a p99 of its own."""
SETTLING = 20
"""Calls before those of each round: the five slowest of 500 would else be the first five of a turn."""
TURNS = (
    "fresh processes in turns, from start to first answer, bytecode compiled (ours without docstrings, as its package "
    "ships), files in the disk cache"
)
STARTED = (
    "the packaged handler: FastAPI and Mangum, settings, alias, log entry, manifest and graph from S3, the version's "
    "signature checked against a trusted key, model loaded, one record validated, predicted, answered with a feedback "
    "token, captured and logged; powertools' Logger writes failures, and is loaded at the first: what it adds stands "
    "beside"
)
WARM = (
    "the same handler from event to answer: validation of 20 columns, prediction, feedback token, capture and log "
    "lines; in turns with `session.run` of the same graph and row in the same process"
)
TAIL = (
    f"medians over rounds of {CALLS} calls, a few in each of the fresh processes, of each round's own p99 and p50: "
    "what disturbs one round counts once; "
    f"the {SETTLING} calls before each round, which fill the processor's caches again, do not count"
)
PEAK = (
    f"VmHWM after a cold start and {WORK} warm calls of each, as above; both sides' files were dropped from the disk "
    "cache before, since how much of a library is resident hangs on how it came there"
)


@dataclass(frozen=True)
class Service:
    """How to start one of them, and what its processes reported. ``environment`` is more than all have."""

    plan: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)
    cold_ms: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)
    rounds: list[list[float]] = field(default_factory=list)
    bare_rounds: list[list[float]] = field(default_factory=list)
    loop_rounds: list[list[float]] = field(default_factory=list)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    add_options(parser)
    parser.add_argument("--runs", type=int, help="fresh processes of each (15; short 5)")
    parser.add_argument("--rounds", type=int, default=4, help=f"warm rounds of {CALLS} calls in each of ours (4)")
    options = parser.parse_args(arguments)
    runs = options.runs or (5 if options.short else 15)
    with tempfile.TemporaryDirectory() as folder, local_s3() as endpoint:
        world = prepare(Path(folder), endpoint, RIVALS / "bin/python")
        services = services_of(world, options.rounds)
        for _ in measured(services, world, endpoint, runs):
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    figures, beside = figures_of(services), beside_of(services)
    print("\n".join(f"{one.key}: {one.value:.3g} ({one.sides})" for one in figures))
    print("\n".join(f"{one.name}: {one.text}" for one in beside))
    write(options.figures, figures, beside)
    return 0


def services_of(world: World, rounds: int) -> dict[str, Service]:
    """Each with its plan. Each process of ours runs so many warm rounds, each handwritten one a short one."""
    packages = next((RIVALS / "lib").glob("python3*/site-packages"))
    compileall.compile_dir(packages, quiet=2, workers=2)
    for path in ("rivals/handwritten_service.py", "rivals/record.py", "serving_bare.py"):
        compileall.compile_file(ROOT / "benchmarks" / path, quiet=2)
    for folder in (packages, world.package):
        forget(folder)
    common = {"calls": CALLS, "settling": SETTLING, "work": WORK, "report": str(world.folder / "report.json")}
    ours = common | {
        "path": [str(world.package)], "module": "lambdas.api.handler",
        "event": event_of(f"/models/{MODEL}/predict"), "onnx": str(world.onnx), "row": world.row,
    }  # fmt: skip
    rival = {"path": [str(packages), str(ROOT / "benchmarks/rivals")], "module": "handwritten_service"}
    bare = {"path": [str(ROOT / "benchmarks")], "module": "serving_bare"}
    event = {"event": event_of("/predict")}
    return {
        BARE: Service(common | bare | event | {"rounds": 0}),
        OURS: Service(ours | {"rounds": rounds}, world.environment),
        LOGGER: Service(ours | {"rounds": 0, "as_well": ["aws_lambda_powertools.logging"]}, world.environment),
        HANDWRITTEN: Service(common | rival | event | {"calls": CALLS // 5, "rounds": 1}),
    }


def measured(services: dict[str, Service], world: World, endpoint: str, runs: int) -> Iterator[None]:
    """Fresh processes in turns, after one of each that fills the disk cache."""
    for run in range(-1, runs):
        for service in services.values():
            milliseconds, report = run_process(service.plan, world.folder, endpoint, BUCKET, service.environment)
            if run >= 0:
                service.cold_ms.append(milliseconds)
                service.peak_mb.append(report["peak_mb"])
                service.rounds.extend(_rounds(report.get("handler_us", []), service.plan["calls"]))
                service.loop_rounds.extend(_rounds(report.get("loop_us", []), service.plan["calls"]))
                service.bare_rounds.extend(_rounds(report.get("bare_us", []), service.plan["calls"]))
        yield


def figures_of(services: Mapping[str, Service]) -> list[Figure]:
    """The ratios that have bounds."""
    cold = {name: spread(service.cold_ms) for name, service in services.items()}
    peak = {name: spread(services[name].peak_mb) for name in (OURS, HANDWRITTEN)}
    ours = services[OURS]
    warm = {"p50": _of_rounds(ours.rounds, 50), "p99": _of_rounds(ours.rounds, 99)}
    graph = _of_rounds(ours.bare_rounds, 50)
    return [
        _figure(Key.COLD_HANDWRITTEN, {n: cold[n] for n in (OURS, HANDWRITTEN)}, "ms", f"{TURNS}; ours is {STARTED}"),
        _figure(Key.COLD_BARE, {n: cold[n] for n in (OURS, BARE)}, "ms", f"{TURNS}; a handler of constant JSON"),
        _figure(Key.WARM_BARE, {OURS: warm["p50"], "ort.run": graph}, "µs", WARM),
        _figure(Key.WARM_TAIL, {"p99": warm["p99"], "p50": warm["p50"]}, "µs", TAIL),
        _figure(Key.MEMORY, peak, "MB", PEAK),
    ]


def beside_of(services: Mapping[str, Service]) -> list[Beside]:
    """What no bound is about."""
    warm = services[HANDWRITTEN].rounds
    cold = {name: spread(service.cold_ms) for name, service in services.items()}
    logger = cold[LOGGER]["median"]
    ratios = f"{logger / cold[HANDWRITTEN]['median']:.3g} of hand-written, {logger / cold[BARE]['median']:.3g} of bare"
    text = f"{_text(_of_rounds(warm, 50), 'µs')}, p99 {_text(_of_rounds(warm, 99), 'µs')}"
    loop = {percent: _of_rounds(services[OURS].loop_rounds, percent) for percent in (50, 99)}
    tail = f"{loop[99]['median'] / loop[50]['median']:.3g}: {_text(loop[99], 'µs')}, {_text(loop[50], 'µs')}"
    return [
        Beside("p99 ÷ p50 of a plain loop as long as a warm prediction, in the same rounds", tail, COMMAND),
        Beside(
            "cold start of ours that loads powertools' Logger too", f"{_text(cold[LOGGER], 'ms')}; {ratios}", COMMAND
        ),
        Beside("warm p50 of the hand-written service", text, COMMAND),
        Beside("peak memory of a bare handler", _text(spread(services[BARE].peak_mb), "MB"), COMMAND),
    ]


def _figure(key: Key, sides: Mapping[str, Mapping[str, float]], unit: str, includes: str) -> Figure:
    """The first side's median over the second's."""
    over, under = sides.values()
    told = ", ".join(f"{name} {_text(one, unit)}" for name, one in sides.items())
    return Figure(key, over["median"] / under["median"], told, includes, COMMAND)


def _of_rounds(rounds: list[list[float]], percent: int) -> dict[str, float]:
    return spread([percentile(one, percent) for one in rounds])


def _rounds(times: list[float], calls: int) -> list[list[float]]:
    return [times[start : start + calls] for start in range(0, len(times), calls)]


def _text(one: Mapping[str, float], unit: str) -> str:
    digits = 0 if one["median"] >= 100 else 1
    return f"{one['median']:.{digits}f} {unit} ({one['low']:.{digits}f} to {one['high']:.{digits}f})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
