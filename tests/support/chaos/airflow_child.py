"""Within a step's process: what befalls it, at which of its writes, and which mutant of our code it runs.

A folder, named by ``CHAOS_CONTROL``, says so: ``orders/`` has one file for each :class:`Order`, which the first process
that it is meant for takes; ``reached/`` tells which process came to where it had to; ``clock`` is the time it is,
``variables`` what it finds in its environment, ``mutant`` a name of ``airflow_mutants``, and ``puts`` is where writes
are noted, if it is there.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, tzinfo
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

VARIABLE = "CHAOS_CONTROL"
Place = Literal["start", "before", "after", "end"]
Act = Literal["kill", "pause", "wait"]


@dataclass(frozen=True)
class Order:
    """What happens once to a process of ``step`` (of one ``candidate``) in ``run``, or in any run.

    At ``start`` it has done nothing yet; ``before`` and ``after`` are its write number ``put``, from 1; at its ``end``
    the step is done, and nobody has been told. There it is killed, or stands still until it is sent SIGCONT, or waits
    for ever while its other threads go on.
    """

    step: str
    place: Place
    put: int = 0
    candidate: str = ""
    run: str = ""
    act: Act = "kill"

    def meets(self, arguments: list[str]) -> bool:
        """Whether a process that was started with these arguments is meant."""
        run = arguments[arguments.index("--run") + 1]
        candidate = not self.candidate or f"--candidate={self.candidate}" in arguments
        return arguments[0] == self.step and self.run in ("", run) and candidate


def give(control: Path, name: str, order: Order) -> None:
    """Write an order down, whole or not at all."""
    for folder in ("orders", "reached"):
        (control / folder).mkdir(exist_ok=True)
    unfinished = control / name
    unfinished.write_text(json.dumps(asdict(order)))
    unfinished.rename(control / "orders" / name)


def prepare() -> None:
    """Called in the process before it does its step."""
    named = os.environ.get(VARIABLE)
    if named is None:
        return
    control, arguments = Path(named), sys.argv[1:]
    os.environ.update(json.loads((control / "variables").read_text()))
    _set_clock(datetime.fromisoformat((control / "clock").read_text()))
    if mutant := (control / "mutant").read_text():
        from tests.support.chaos.airflow_mutants import become

        become(mutant)
    fate = _Fate(control, *_taken(control, arguments))
    fate.at("start")
    _watch_writes(fate, arguments)
    _watch_end(fate)


def _taken(control: Path, arguments: list[str]) -> tuple[str, Order | None]:
    """The first order for this process, which nobody else takes then."""
    for file in sorted((control / "orders").glob("*")) if (control / "orders").exists() else ():
        try:
            order = Order(**json.loads(file.read_text()))
            if order.meets(arguments):
                file.unlink()
                return file.name, order
        except FileNotFoundError:  # another process has taken it
            continue
    return "", None


@dataclass
class _Fate:
    """The order that a process took."""

    control: Path
    name: str
    order: Order | None

    def at(self, place: Place, put: int = 0) -> None:
        """Be killed here, or wait here, where the order says so."""
        order = self.order
        if order is None or (order.place, order.put) != (place, put):
            return
        self.order = None
        unfinished = self.control / f"{self.name}.reached"
        unfinished.write_text(str(os.getpid()))
        unfinished.rename(self.control / "reached" / self.name)
        while order.act == "wait":
            time.sleep(60)
        os.kill(os.getpid(), signal.SIGSTOP if order.act == "pause" else signal.SIGKILL)


def _watch_writes(fate: _Fate, arguments: list[str]) -> None:
    """Every store that this process opens tells of its writes."""
    from tests.support.seam import Seam

    opening: Any = import_module("perennial.store_opening")
    real = opening.S3Store
    noted = fate.control / "puts"
    numbers = itertools.count(1)  # of several threads, too

    def around(operation: str, key: str, request: Callable[[], Any]) -> Any:
        if operation != "put":
            return request()
        number = next(numbers)
        if noted.exists():
            with noted.open("a") as file:
                file.write(f"{' '.join(arguments)}\t{key}\n")
        fate.at("before", number)
        try:
            return request()
        finally:
            fate.at("after", number)

    def opened(*given: Any, **options: Any) -> Seam:
        return Seam(real(*given, **options), around)

    opening.S3Store = opened


def _watch_end(fate: _Fate) -> None:
    program: Any = import_module("perennial.jobs.__main__")
    perform = program.perform

    def performed(*given: Any) -> Any:
        result = perform(*given)
        fate.at("end")
        return result

    program.perform = performed


def _set_clock(now: datetime) -> None:
    """Have the step's time be this one."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return now.astimezone(tz)

    program: Any = import_module("perennial.jobs.__main__")
    program.datetime = Clock
