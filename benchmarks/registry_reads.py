"""What reading a registry costs with ten versions and with ten thousand: requests and bytes, which are counted.

`python -m benchmarks.registry_reads` publishes a real model in 10 and in 10,000 versions, each promoted once, in an
in-process store, tests the invariants of both registries, and puts a counter between the store and our code. Then it
serves, promotes and rolls back in both. A listing counts a request for each 1,000 keys, as S3 answers it, and the
bytes of its keys. Nothing is timed, so one run says all.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from obstore.store import MemoryStore

from benchmarks.figures import Beside, Figure, Key, add_options, write
from benchmarks.mixed_spec import MODEL
from benchmarks.registry_counted import Cost, Counted
from benchmarks.registry_grown import Grown, grow
from perennial.cli.registry import known
from perennial.registry.check import check
from perennial.registry.registry import Registry, models
from perennial.registry.trials import end_trial, start_trial
from perennial.serving.catalog import Catalog
from perennial.serving.refresh import ModelCache

FEW, MANY = 10, 10_000
COMMAND = "python -m benchmarks.registry_reads"
NOW = datetime(2027, 1, 1, tzinfo=UTC)


class Clock:
    """Seconds since 1970 that pass when told to."""

    def __init__(self) -> None:
        self.now = NOW.timestamp()

    def __call__(self) -> float:
        return self.now

    def later(self) -> None:
        self.now += 60


@dataclass(frozen=True)
class Operation:
    """Something that reads a registry. What ``grows`` does so by nature: it prints all, or goes back that far."""

    name: str
    run: Callable[[], object]
    grows: bool = False


@dataclass(frozen=True)
class Counting:
    """What an operation cost."""

    operation: Operation
    cost: Cost

    def __str__(self) -> str:
        return f"{self.cost.requests:,} requests, {self.cost.received:,} bytes"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--many", type=int, default=MANY, help="versions of the larger registry")
    add_options(parser)
    options = parser.parse_args(arguments)
    few, many = (measure(count) for count in (FEW, options.many))
    figure, beside = summarise(few, many, options.many)
    print(table(few, many, options.many))
    print(f"\n{figure.key}: {figure.value:g}")
    write(options.figures, [figure], beside)
    return 0


def measure(versions: int) -> list[Counting]:
    """What each operation costs in a registry of so many versions, one after the other."""
    raw = MemoryStore()
    world = grow(raw, versions)
    broken = check(world.store, MODEL)
    assert not broken, broken[0]
    counted = Counted(raw)
    found = []
    for operation in operations(world, counted):
        counted.cost = Cost()
        operation.run()
        found.append(Counting(operation, counted.cost))
    broken = check(world.store, MODEL)
    assert not broken, broken[0]
    return found


def operations(world: Grown, counted: Counted) -> list[Operation]:
    """All that reads a registry, in an order in which each finds what it needs."""
    store, clock = counted.store(), Clock()
    registry = Registry(store)
    cache = ModelCache(store, refresh_seconds=15, clock=clock)
    catalog = Catalog(store, refresh_seconds=15, clock=clock)
    spare, other = world.spare

    def refresh() -> object:
        clock.later()
        return cache.get(MODEL)

    def promote(version: str, op_id: str) -> object:
        known(registry, MODEL, version)  # as `perennial promote` looks first
        return registry.promote(MODEL, version, op_id=op_id, actor="benchmark", reason="", now=NOW)

    def rollback(op_id: str, to: str | None = None) -> object:
        known(registry, MODEL, to)
        return registry.rollback(MODEL, op_id=op_id, actor="benchmark", reason="", now=NOW, to=to)

    def trial(version: str) -> object:
        return start_trial(
            store, MODEL, version, mode="shadow", share=1.0, op_id="try", actor="benchmark", reason="", now=NOW
        )

    return [
        Operation("server: cold start", lambda: cache.get(MODEL)),
        Operation("server: refresh, nothing new", refresh),
        Operation("server: list of models, first", catalog.models),
        Operation("`perennial models`", lambda: [registry.head(name) for name in models(store)]),
        Operation("head of the log", lambda: registry.head(MODEL)),
        Operation("last 10 entries of the log", lambda: registry.log(MODEL, last=10)),
        Operation("promote", lambda: promote(spare, "new")),
        Operation("server: refresh, another champion", refresh),
        Operation("promote, repeated at once", lambda: promote(spare, "new")),
        Operation("promote, the first one, repeated now", lambda: promote(*world.first)),
        Operation("begin a trial", lambda: trial(other)),
        Operation("server: refresh, a trial", refresh),
        Operation("end a trial", lambda: end_trial(store, MODEL, op_id="end", actor="benchmark", reason="", now=NOW)),
        Operation("roll back", lambda: rollback("back")),
        Operation("roll back, repeated", lambda: rollback("back")),
        Operation("roll back to the one 5 before", lambda: rollback("five", world.earlier)),
        Operation("roll back to the very first", lambda: rollback("far", world.first[0]), grows=True),
        Operation("the whole log", lambda: registry.log(MODEL), grows=True),
        Operation("names of all versions", lambda: registry.versions(MODEL), grows=True),
    ]


def summarise(few: list[Counting], many: list[Counting], versions: int) -> tuple[Figure, list[Beside]]:
    """The worst ratio of those that must not grow; beside it those that do."""
    pairs = list(zip(few, many, strict=True))
    bounded = [pair for pair in pairs if not pair[0].operation.grows]
    worst = max(bounded, key=lambda pair: ratio(*pair))
    sides = f"worst of {len(bounded)} operations ({worst[0].operation.name}): {worst[1]} with {versions:,} versions, "
    sides += f"{worst[0]} with {FEW}"
    includes = (
        "requests, and bytes to a tenth (a generation of five digits makes an entry longer than one of two), of "
        + ", ".join(pair[0].operation.name for pair in bounded)
        + f"; {len(pairs) - len(bounded)} more, which print all there is or go back that far, stand beside: they grow"
    )
    grown = [
        Beside(f"registry, {one.operation.name}", f"{other} with {versions:,} versions, {one} with {FEW}", COMMAND)
        for one, other in pairs
        if one.operation.grows
    ]
    return Figure(Key.REGISTRY_READS, ratio(*worst), sides, includes, COMMAND), grown


def ratio(few: Counting, many: Counting) -> float:
    """How much more an operation costs: by requests or by bytes, whichever grew more."""
    requests = many.cost.requests / few.cost.requests
    return max(requests, round(many.cost.received / few.cost.received, 1) if few.cost.received else 1.0)


def table(few: list[Counting], many: list[Counting], versions: int) -> str:
    lines = [f"| | {FEW} versions | {versions:,} versions |", "|---|---|---|"]
    lines += [f"| {one.operation.name} | {one} | {other} |" for one, other in zip(few, many, strict=True)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
