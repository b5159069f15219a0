"""Mixed load on a local AWS for as long as one likes: a server beside its functions, asked at a steady, modest rate."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain, count

import httpx

from perennial.deploy.up import LocalStack
from perennial.settings import Settings
from perennial.store import Store
from tests.support.chaos.served import Served, serving
from tests.support.chaos.soak_acts import ACTS, Client
from tests.support.chaos.soak_chores import Chores
from tests.support.chaos.soak_journal import Journal, expect
from tests.support.chaos.soak_memory import Watch, watching
from tests.support.chaos.soak_world import World
from tests.support.lambda_workers import parent, workers

SLOW = "S3 has not answered in time"
SERVER, EMULATOR = "API server", "emulator"
JUDGED = (SERVER, "api function", "capture function", "score function")


@dataclass(frozen=True)
class Plan:
    """How long (seconds), requests a second to the server and to the functions, and seconds between chores.

    ``alone``: it has the machine for itself. Otherwise S3 may be too slow for what does without it, and says so.
    """

    seconds: float
    server_rate: float
    function_rate: float
    promotions: float
    files: float
    passes: float
    samples: float
    alone: bool = False

    def fails(self, line: str) -> bool:
        """Whether a line of errors is one here."""
        return self.alone or SLOW not in line


SHORT = Plan(20, 12, 6, promotions=3, files=30, passes=12, samples=1)


LEAST_MINUTES = 10
"""Less shows nothing of memory: functions that start with their first work have to be there when it is first judged."""


def full(minutes: float) -> Plan:
    """Raises ValueError where it is too short to be judged."""
    if minutes < LEAST_MINUTES:
        raise ValueError(f"a soak takes {LEAST_MINUTES} minutes at least, not {minutes:g}: MINUTES={LEAST_MINUTES}")
    return Plan(minutes * 60, 20, 5, promotions=15, files=60, passes=180, samples=5, alone=True)


@dataclass(frozen=True)
class Soaked:
    """What came of it: the journal, and memory over the ``seconds`` that it took."""

    journal: Journal
    watch: Watch
    seconds: float


def soak(stack: LocalStack, store: Store, world: World, plan: Plan, seed: int) -> Soaked:
    """Start a server on a stack's bucket, and have it and the functions asked."""
    settings, journal, over = Settings.load(stack.environment()), Journal(), threading.Event()
    with ExitStack() as held:
        server = held.enter_context(serving(stack.environment(), keep=is_amiss))
        asked = held.enter_context(httpx.Client(base_url=server.url, timeout=60))
        called = held.enter_context(httpx.Client(base_url=stack.api_url, timeout=60))
        _await_models(world, asked, called)
        clients = [
            (Client(asked, world, journal, random.Random(f"{seed} server"), captured=False), plan.server_rate),
            (Client(called, world, journal, random.Random(f"{seed} functions"), captured=True), plan.function_rate),
        ]
        chores = Chores(called, store, settings, world, journal, random.Random(f"{seed} chores"))
        lanes: list[Callable[[], None]] = [partial(_ask, client, rate, over) for client, rate in clients]
        lanes.append(partial(_work, chores, plan, over))
        watch = held.enter_context(watching(lambda: processes(stack, server), plan.samples))
        seconds = _run(lanes, over, plan.seconds)
    for line in filter(plan.fails, server.said):
        journal.told.append(f"the server said: {line}")
        journal.failed["lines of errors"] += 1
    if server.process.returncode not in (0, -15):
        journal.failed["servers that ended"] += 1
    return Soaked(journal, watch, seconds)


def is_amiss(line: str) -> bool:
    """Whether a line of a server tells of an error; whatever is not one of ours does."""
    try:
        said = json.loads(line)
    except ValueError:
        return not line.startswith("INFO:")
    return said.get("level") in ("ERROR", "CRITICAL")


def processes(stack: LocalStack, server: Served) -> Mapping[str, list[int]]:
    """Every process that lives long: ours, and for information that of the emulator."""
    found = {SERVER: [server.pid] if server.lives else []}
    for name, function in (("api", stack.function), ("capture", stack.capture), ("score", stack.score)):
        found[f"{name} function"] = workers(function)
    first = next((pids[0] for name, pids in found.items() if name != SERVER and pids), None)
    found[EMULATOR] = [parent(first)] if first else []
    return found


def _await_models(world: World, *clients: httpx.Client) -> None:
    """A first answer of each model, so that what is measured does not begin with their loading."""
    for client in clients:
        for asked in world.tables:
            expect(client.post(f"/models/{asked.name}/predict", json=asked.questions[0]), 200)


def _run(lanes: list[Callable[[], None]], over: threading.Event, seconds: float) -> float:
    """Run all lanes at once, for so long; how long that was."""
    started = time.monotonic()
    with ThreadPoolExecutor(len(lanes), thread_name_prefix="soak") as pool:
        running = [pool.submit(lane) for lane in lanes]
        wait(running, seconds, FIRST_EXCEPTION)
        over.set()
        took = time.monotonic() - started
        for lane in running:
            lane.result()  # raises what no journal takes
    return took


def paced(every: float, over: threading.Event) -> Iterator[None]:
    """Gives a turn every so many seconds, until it is over. What was late is not made up for by a burst."""
    due = time.monotonic()
    while not over.wait(max(0.0, due - time.monotonic())):
        yield
        due = max(due + every, time.monotonic())


def _ask(client: Client, rate: float, over: threading.Event) -> None:
    """Each kind once, then whatever comes."""
    weights = [weight for _, weight in ACTS.values()]
    names = chain(ACTS, (client.draw.choices(list(ACTS), weights)[0] for _ in count()))
    for name, _ in zip(names, paced(1 / rate, over), strict=False):
        with client.journal.noting(name):
            ACTS[name][0](client)


def _work(chores: Chores, plan: Plan, over: threading.Event) -> None:
    """Chores in their turns, each at least once; one that was missed is not made up for."""
    started = time.monotonic()
    every = {"promotions and rollbacks": plan.promotions, "monitoring passes": plan.passes, "files scored": plan.files}
    does = {
        "promotions and rollbacks": chores.promotion, "monitoring passes": chores.watch, "files scored": chores.file,
    }  # fmt: skip
    due = {name: min(seconds, plan.seconds / 4) for name, seconds in every.items()}
    while not over.wait(0.1) or not chores.journal.done.keys() >= does.keys():
        now = time.monotonic() - started
        for name in [name for name, at in due.items() if at <= now or over.is_set()]:
            if over.is_set() and chores.journal.done[name]:
                continue
            with chores.journal.noting(name):
                does[name]()
            due[name] = max(due[name] + every[name], time.monotonic() - started)
