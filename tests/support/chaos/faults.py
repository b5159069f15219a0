"""Which fault meets which request: what can go wrong on the way to S3, and a plan that draws from it by a seed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from random import Random


class Fault(StrEnum):
    """One thing that goes wrong with one request."""

    INTERNAL = "500"
    """Answered 500 without reaching S3."""
    CONFLICT = "409 without effect"
    """A write answered 409 without reaching S3, as S3 does where two conditional writes meet."""
    SLOW_DOWN = "503 SlowDown"
    """Answered 503 without reaching S3."""
    LOST = "lost response"
    """Carried out; the connection is reset before the answer."""
    REFUSED = "connection reset"
    """The connection is reset, and S3 has seen nothing."""
    PARTIAL = "reset while sending"
    """S3 has seen half of the request when both connections are reset."""
    TIMEOUT = "time-out"
    """No answer until the client gives up; half of them are carried out."""
    TRUNCATED = "truncated body"
    """Carried out; the answer ends halfway: in its body, or in its head where it has none."""
    STALE = "stale read"
    """A read answered with an earlier answer to the same question. Counted where the two differ."""
    DUPLICATED = "delivered twice"
    """A write carried out twice; the second answer is told."""
    ECHOED = "delivered again later"
    """A write carried out and answered; it arrives once more some time after, when others have gone on."""
    LATE = "delivered late"
    """The connection is reset; the write arrives at S3 some time after, when the client may have repeated it."""
    KILL_BEFORE = "kill -9 before a request"
    """Whoever asks dies before S3 sees the request."""
    KILL_AFTER = "kill -9 after a request"
    """Whoever asks dies after it was carried out, before the answer."""


READS = frozenset({"GET", "HEAD"})
ONLY_READS = frozenset({Fault.STALE})
ONLY_WRITES = frozenset({Fault.CONFLICT, Fault.DUPLICATED, Fault.ECHOED, Fault.LATE})
KILLS = frozenset({Fault.KILL_BEFORE, Fault.KILL_AFTER})


@dataclass(frozen=True)
class Refusal:
    """An S3 error, given without asking S3."""

    status: int
    code: str


REFUSALS: Mapping[Fault, Refusal] = {
    Fault.INTERNAL: Refusal(500, "InternalError"),
    Fault.CONFLICT: Refusal(409, "ConditionalRequestConflict"),
    Fault.SLOW_DOWN: Refusal(503, "SlowDown"),
}


@dataclass(frozen=True)
class Asked:
    """The ``number``-th request (from 1) of a client: its method, and its path with query."""

    client: str
    number: int
    method: str
    target: str


@dataclass(frozen=True)
class Decision:
    """What happens to a request; ``draw`` in [0, 1) settles what the fault leaves open."""

    fault: Fault | Refusal | None
    draw: float = 0.0


@dataclass(frozen=True)
class Plan:
    """The faults of a run. That of the n-th request of a client depends on nothing but ``seed``, client and n.

    ``rates`` are shares of all requests, in sum at most 1; a fault that cannot happen to the request it is drawn for
    does not. ``only`` narrows a fault to requests whose ``METHOD /path?query`` a regular expression finds something
    in. ``script`` names faults for given requests, by client and number, which come before what is drawn. ``late`` is
    the longest time in seconds that a late request is on its way.
    """

    seed: int
    rates: Mapping[Fault, float] = field(default_factory=dict)
    only: Mapping[Fault, str] = field(default_factory=dict)
    script: Mapping[str, Mapping[int, Fault]] = field(default_factory=dict)
    late: float = 0.5

    def __post_init__(self) -> None:
        if sum(self.rates.values()) > 1 or min(self.rates.values(), default=0) < 0:
            raise ValueError(f"{dict(self.rates)}: shares of all requests, in sum at most 1")

    @property
    def faults(self) -> frozenset[Fault]:
        """All that may happen under this plan."""
        return frozenset(self.rates) | {fault for scripted in self.script.values() for fault in scripted.values()}

    @property
    def kills(self) -> bool:
        """Whether somebody must be there who kills."""
        return bool(KILLS & self.faults)

    def decide(self, asked: Asked) -> Decision:
        """What happens to a request."""
        chance = Random(f"{self.seed} {asked.client} {asked.number}")
        fault = self._drawn(chance.random())
        fault = self.script.get(asked.client, {}).get(asked.number, fault)
        return Decision(fault if fault and self._can(fault, asked) else None, chance.random())

    def _drawn(self, share: float) -> Fault | None:
        for fault, rate in self.rates.items():
            share -= rate
            if share < 0:
                return fault
        return None

    def _can(self, fault: Fault, asked: Asked) -> bool:
        reads = asked.method in READS
        if (fault in ONLY_READS and not reads) or (fault in ONLY_WRITES and reads):
            return False
        pattern = self._patterns.get(fault)
        return pattern is None or pattern.search(f"{asked.method} {asked.target}") is not None

    @cached_property
    def _patterns(self) -> dict[Fault, re.Pattern[str]]:
        return {fault: re.compile(pattern) for fault, pattern in self.only.items()}

    def to_json(self) -> str:
        return json.dumps(
            {"seed": self.seed, "rates": self.rates, "only": self.only, "script": self.script, "late": self.late}
        )

    @classmethod
    def from_json(cls, text: str) -> Plan:
        read = json.loads(text)
        return cls(
            seed=read["seed"],
            rates={Fault(name): rate for name, rate in read["rates"].items()},
            only={Fault(name): pattern for name, pattern in read["only"].items()},
            script={
                client: {int(number): Fault(name) for number, name in faults.items()}
                for client, faults in read["script"].items()
            },
            late=read["late"],
        )
