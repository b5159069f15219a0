"""What is asked of a registry under siege, and which mutants do not survive it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from perennial.registry.log import CHAMPION
from tests.support.chaos.faults import Fault, Plan
from tests.support.chaos.registry_work import KINDS
from tests.support.versions import MODEL

WORKERS = 8
RATES: Mapping[Fault, float] = {
    Fault.LOST: 0.18, Fault.INTERNAL: 0.002, Fault.SLOW_DOWN: 0.002, Fault.REFUSED: 0.002, Fault.PARTIAL: 0.002,
    Fault.TIMEOUT: 0.0005, Fault.TRUNCATED: 0.003, Fault.CONFLICT: 0.025, Fault.DUPLICATED: 0.025, Fault.ECHOED: 0.02,
    Fault.LATE: 0.02, Fault.KILL_BEFORE: 0.001, Fault.KILL_AFTER: 0.001, Fault.STALE: 0.2,
}  # fmt: skip
"""Shares of all requests; what can happen to writes alone, or to reads of the alias, is rarer than its number says."""
ONLY = {Fault.STALE: f"/{MODEL}/registry/alias/{CHAMPION}", Fault.LOST: "^PUT "}
"""S3 reads are never stale; but a hint may be, and so may what somebody read of it a moment ago. And a lost answer is
that of a write: reads are answered half, or not at all."""
CALLS = 15
"""Of each worker, in the full form."""
RARE = (
    Fault.TIMEOUT, Fault.KILL_BEFORE, Fault.KILL_AFTER, Fault.REFUSED,
    Fault.PARTIAL, Fault.INTERNAL, Fault.SLOW_DOWN, Fault.TRUNCATED,
)  # fmt: skip
"""Worker k meets the k-th of these early on, whatever is drawn."""


@dataclass(frozen=True)
class Siege:
    """What is asked of the registry: ``calls`` operations by each of ``workers``. ``kills``: also at random moments.

    With a ``mutant``, what it lacks; it ends as soon as one of ``promises`` is found broken. ``early``: some workers
    also meet a fault of :data:`RARE` early on. ``tested`` is how often (in seconds) every invariant is tested
    meanwhile; ``seconds`` bounds the whole. ``kinds``: of operations, by how often each is asked for.
    """

    seed: int
    calls: int
    kinds: Mapping[str, int] = field(default_factory=lambda: KINDS)
    rates: Mapping[Fault, float] = field(default_factory=lambda: RATES)
    only: Mapping[Fault, str] = field(default_factory=lambda: ONLY)
    kills: bool = True
    mutant: str | None = None
    promises: frozenset[str] = frozenset()
    early: bool = True
    workers: int = WORKERS
    tested: float = 3.0
    seconds: float = 150.0

    @property
    def control(self) -> Siege:
        """The same, with a registry that lacks nothing."""
        return replace(self, mutant=None, promises=frozenset(), seconds=Siege.seconds)

    @property
    def plan(self) -> Plan:
        script = {str(worker): {10 + worker: fault} for worker, fault in enumerate(RARE)} if self.early else {}
        return Plan(self.seed, rates=self.rates, only=self.only, script=script)


_LOG, _ALIAS = f"^PUT .*/{MODEL}/registry/log/", f"^PUT .*/{MODEL}/registry/alias/"


BACK = {"promote": 4, "rollback": 4, "rollback to": 1}


def _mutant(
    name: str,
    promises: set[str],
    rates: Mapping[Fault, float],
    where: str = "",
    kinds: Mapping[str, int] = KINDS,
    calls: int = 5,
) -> Callable[[int], Siege]:
    only = dict.fromkeys(rates, where)
    return lambda seed: Siege(
        seed, calls, kinds, rates=rates, only=only, kills=False, mutant=name, promises=frozenset(promises), early=False,
        workers=5, tested=0.1, seconds=60.0,
    )  # fmt: skip


MUTANTS: Mapping[str, Callable[[int], Siege]] = {
    "no condition": _mutant("log_put_without_condition", {"log stays", "acknowledged stays"}, {}),
    "no op_id scan": _mutant(
        "no_search_for_ones_own_commit", {"op_id once"}, {Fault.KILL_AFTER: 0.3, Fault.LOST: 0.3}, _LOG
    ),
    "blind 412": _mutant(
        "condition_that_failed_believed_to_be_ones_own_success", {"acknowledged stays"}, {Fault.CONFLICT: 0.3}
    ),
    "commit before publish": _mutant(
        "publish_after_commit", {"verified"}, {Fault.KILL_AFTER: 0.3}, _LOG, {"promote": 1}
    ),
    "blind alias": _mutant("alias_written_blindly", {"alias goes up"}, {Fault.LATE: 0.5}, _ALIAS),
    "rollback to the first": _mutant("rollback_to_the_very_first", {"right answer"}, {}, "", BACK, 10),
    "rollback over a promotion": _mutant(
        "rollback_over_a_newer_promotion", {"right answer"}, {Fault.REFUSED: 0.5}, _LOG, BACK
    ),
    "refused now and then": _mutant("refuses_now_and_then", {"due refusal"}, {}, "", BACK),
}
"""By what they lack, each under the faults that its lack does not survive, and with the promises that it breaks."""
