"""Ours beside real rivals over HTTP: answers in a second to 8 connections that stay open, latency, start and memory.

`python -m benchmarks.http` trains one model, starts every server on it, sees that all give the same probabilities, and
asks them in turns. Those who ask share the machine with those who answer, alike for all. Any answer but 200 ends it.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime as ort

from benchmarks import mixed
from benchmarks.figures import Beside, Figure, Key, add_options, write
from benchmarks.http_load import LoadError, Turn, ask, load, request_of
from benchmarks.http_running import Running, free_address, running
from benchmarks.http_servers import BARE, HELLO, LITSERVE, MLFLOW, ON_ONNX, OURS, Server, servers
from benchmarks.measuring import RIVALS, local_s3, spread
from benchmarks.mixed_spec import make_spec
from benchmarks.serving_start import percentile
from benchmarks.serving_world import World, prepare
from perennial.records import RecordSchema

COMMAND = "python -m benchmarks.http"
CONNECTIONS = 8
WARM = 0.4
SHORT = (OURS, LITSERVE, MLFLOW, HELLO)
CAPTURED = b'"perennial.prediction"'
INCLUDES = (
    f"{CONNECTIONS} connections that stay open, one record of 20 columns a request, one worker and one numeric thread "
    "each, in turns on one machine that also asks; ours as its image starts it: validation, prediction, feedback "
    "token, capture and log lines, signature checked"
)
OF_FRAMEWORKS = "; rivals are what serves any model: LitServe with either of its queues, and BentoML"
BY_HAND = "ours by what one writes for one model with FastAPI and onnxruntime, without capture, token and signature"


@dataclass(frozen=True)
class Measured:
    """What one server did. Seconds and MB; a turn's processor time is for each answer."""

    turns: list[Turn] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    started: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        return [turn.rate for turn in self.turns]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    add_options(parser)
    parser.add_argument("--starts", type=int, help="fresh processes of each (3; short 1)")
    parser.add_argument("--rounds", type=int, help="turns of each process (5)", default=5)
    parser.add_argument("--seconds", type=float, help="of a turn (2; short 1)")
    parser.add_argument("--only", nargs="+", help="names of servers")
    options = parser.parse_args(arguments)
    starts, seconds = options.starts or (1 if options.short else 3), options.seconds or (1 if options.short else 2)
    with tempfile.TemporaryDirectory() as folder, local_s3() as endpoint:
        world = prepare(Path(folder), endpoint, RIVALS / "bin/python")
        known = servers(world, endpoint)
        asked = [known[name] for name in options.only or (SHORT if options.short else known)]
        found: dict[str, Measured] = {server.name: Measured() for server in asked}
        for _ in range(starts):
            for _ in measured(found, asked, world, options.rounds, seconds):
                print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    figures = figures_of(found)
    print("\n".join([*table(found), *(f"{one.key}: {one.value:.3g} ({one.sides})" for one in figures)]))
    write(options.figures, figures, beside_of(found))
    return 0


def measured(
    found: Mapping[str, Measured], asked: Sequence[Server], world: World, rounds: int, seconds: float
) -> Iterator[None]:
    """Start each by itself, see what it answers, and ask all of them in turns; none always comes after the same."""
    records = mixed.records(64, seed=99)[0]
    right = probabilities(world, records)
    with ExitStack() as stack:
        live: list[tuple[Server, Running, list[bytes]]] = []
        for server in asked:
            address = free_address()
            requests = [request_of(address, server.path, json.dumps(server.body(one)).encode()) for one in records]
            log = world.folder / f"{server.name}.log"
            one = stack.enter_context(running(server, address, requests[0], log))
            check(server, one, requests, right)
            found[server.name].started.append(one.started)
            live.append((server, one, requests))
            yield
        for place in range(rounds):
            first = place % len(live)
            for server, one, requests in [*live[first:], *live[:first]]:
                take(found[server.name], one, requests, seconds)
            yield
        for server, one, _ in live:
            found[server.name].memory.append(one.memory())
    captured(found, world)


def take(measured: Measured, one: Running, requests: Sequence[bytes], seconds: float) -> None:
    """One turn of one server."""
    load(one.address, requests, connections=CONNECTIONS, seconds=WARM)
    before = one.spent()
    turn = load(one.address, requests, connections=CONNECTIONS, seconds=seconds)
    measured.turns.append(turn)
    measured.processor.append((one.spent() - before) / len(turn.latencies))


def probabilities(world: World, records: Sequence[mixed.Record]) -> list[float]:
    """What the graph itself says of each record: the probability of class 1."""
    schema = RecordSchema(make_spec())
    x = np.array([schema.row(schema.validate(record)) for record in records])
    session = ort.InferenceSession(str(world.onnx), providers=["CPUExecutionProvider"])
    return [float(row[1]) for row in session.run(["probabilities"], {"x": x})[0]]


def check(server: Server, one: Running, requests: Sequence[bytes], right: Sequence[float]) -> None:
    """Raises LoadError unless it answers each record with its probability, to within 1e-5."""
    if server.probability is None:
        return
    for request, expected in zip(requests, right, strict=True):
        answer = server.probability(json.loads(ask(one.address, request)))
        if not math.isclose(answer, expected, rel_tol=0, abs_tol=1e-5):
            raise LoadError(f"{server.name} answers {answer} instead of {expected}")


def captured(found: Mapping[str, Measured], world: World) -> None:
    """Raises LoadError unless ours wrote a line of each prediction that was counted."""
    log = world.folder / f"{OURS}.log"
    if OURS in found:
        with log.open("rb") as lines:
            written = sum(CAPTURED in line for line in lines)
        answered = sum(len(turn.latencies) for turn in found[OURS].turns)
        if written < answered:
            raise LoadError(f"{written} lines were captured of {answered} predictions")


def figures_of(found: Mapping[str, Measured]) -> list[Figure]:
    """Ours by the fastest rival on onnxruntime, and by MLflow: medians of the ratios of each round."""
    figures = []
    rivals = [name for name in ON_ONNX if name in found]
    fastest = max(rivals, key=lambda name: statistics.median(found[name].rates), default=None)
    for key, rival in ((Key.HTTP_ONNX, fastest), (Key.HTTP_MLFLOW, MLFLOW)):
        if rival is not None and {OURS, rival} <= found.keys():
            ratios = [one / other for one, other in zip(found[OURS].rates, found[rival].rates, strict=True)]
            ratio = spread(ratios)
            sides = f"{OURS} {_rate(found[OURS])}, {rival} {_rate(found[rival])}"
            of = f"median of {ratio['runs']} rounds ({ratio['low']:.3g} to {ratio['high']:.3g}): {sides}"
            includes = INCLUDES + (OF_FRAMEWORKS if key is Key.HTTP_ONNX else "")
            figures.append(Figure(key, ratio["median"], of, includes, COMMAND))
    return figures


def beside_of(found: Mapping[str, Measured]) -> list[Beside]:
    texts = [Beside(f"{name} over HTTP", ", ".join(_cells(one)), COMMAND) for name, one in found.items()]
    if {OURS, BARE} <= found.keys():
        ratio = spread([one / other for one, other in zip(found[OURS].rates, found[BARE].rates, strict=True)])
        told = "{median:.3g} ({low:.3g} to {high:.3g})".format(**ratio)
        texts.append(Beside(f"HTTP requests/s, {BY_HAND}", told, COMMAND))
    return texts


def table(found: Mapping[str, Measured]) -> list[str]:
    return [f"{name}: {', '.join(_cells(one))}" for name, one in found.items()]


def _cells(one: Measured) -> list[str]:
    """What is told of one server, besides its ratios."""
    latencies = [[1e3 * percentile(list(turn.latencies), percent) for turn in one.turns] for percent in (50, 99)]
    p50, p99 = (statistics.median(each) for each in latencies)
    started = spread(one.started)
    return [
        _rate(one),
        f"p50 {p50:.2f} and p99 {p99:.2f} ms",
        f"{statistics.median(one.processor) * 1e6:.0f} µs of processor an answer",
        f"first answer after {started['median']:.2g} s ({started['low']:.2g} to {started['high']:.2g})",
        f"{max(one.memory):.0f} MB",
    ]


def _rate(one: Measured) -> str:
    rate = spread(one.rates)
    return f"{rate['median']:,.0f}/s ({rate['low']:,.0f} to {rate['high']:,.0f})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
