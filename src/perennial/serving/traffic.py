"""Who answers a request while a trial runs: the champion, or to a share of the callers the challenger.

Wherever one of the two answers in a trial, the other is asked beside it, so that they can be compared row by row. It
is asked before the answer leaves, in the same thread: a Lambda function is frozen once it has answered, and to hand
a prediction to another thread takes longer than most predictions do (``docs/decisions/0024-traffic-shaping.md``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from perennial.errors import InvalidRecord, PerennialError
from perennial.registry.manifest import ModelManifest
from perennial.serving.captured import Role
from perennial.serving.challenger import Challenger, in_share
from perennial.serving.predictor import Prediction, Predictor
from perennial.serving.refresh import Snapshot
from perennial.serving.session import GRAPH_FAILURES

SLOW_SECONDS = 0.1
SLOW_TIMES = 4.0
"""A challenger dawdles that takes longer than ``SLOW_SECONDS``, and than so many times what the champion took."""

OVERFLOW, FAILED = "overflow", "failed"

_ANY_FAILURE = (
    PerennialError, *GRAPH_FAILURES, ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
"""Whatever a graph may come up with: of the one that is only asked beside, none of it may reach the caller."""

Ask = Callable[[Predictor], Sequence[Prediction]]


@dataclass(frozen=True)
class Beside:
    """What the version said that did not answer."""

    version: str
    predictions: Sequence[Prediction]


class Answers(NamedTuple):
    """The predictions of one request and whose they are; ``beside`` is the other version's word on the same rows.

    ``error`` is a word for why the challenger has none of its own, ``problem`` the whole story.
    """

    predictions: Sequence[Prediction]
    version: str
    predictor: Predictor
    role: Role = "champion"
    beside: Beside | None = None
    error: str | None = None
    problem: Exception | None = None

    @property
    def manifest(self) -> ModelManifest:
        return self.predictor.manifest


def route(snapshot: Snapshot, ask: Ask, caller: Callable[[], str], clock: Callable[[], float]) -> Answers:
    """Have a request answered by whom it belongs to.

    A challenger that fails is stood in for by the champion. ``caller`` names who asks, and is called only where that
    matters; ``clock`` tells seconds.

    Raises:
        InvalidRecord: the champion has no finite answer, and the challenger had none to give.
    """
    predictor, challenger = asked_too(snapshot, caller), snapshot.challenger
    if predictor is None or challenger is None:
        return _of_champion(snapshot, ask(snapshot.predictor))
    of_its_mode = _shadowed if challenger.trial.mode == "shadow" else _canary
    return of_its_mode(snapshot, challenger, predictor, ask, clock)


def asked_too(snapshot: Snapshot, caller: Callable[[], str]) -> Predictor | None:
    """The challenger, where it is asked what this caller asks; None where the champion alone is."""
    challenger = snapshot.challenger
    if challenger is None or challenger.predictor is None or challenger.breaker.open:
        return None
    trial = challenger.trial
    if trial.mode == "shadow" or in_share(snapshot.predictor.manifest.spec.name, trial, caller()):
        return challenger.predictor
    return None


def _shadowed(
    snapshot: Snapshot, challenger: Challenger, predictor: Predictor, ask: Ask, clock: Callable[[], float]
) -> Answers:
    start = clock()
    ours = ask(snapshot.predictor)
    middle = clock()
    try:
        theirs = ask(predictor)
    except _ANY_FAILURE as error:
        challenger.breaker.note(good=False)
        return _of_champion(snapshot, ours, error)
    challenger.breaker.note(good=not _dawdled(middle - start, clock() - middle))
    beside = Beside(challenger.trial.version, theirs)
    return Answers(ours, snapshot.entry.version, snapshot.predictor, beside=beside)


def _canary(
    snapshot: Snapshot, challenger: Challenger, predictor: Predictor, ask: Ask, clock: Callable[[], float]
) -> Answers:
    start = clock()
    try:
        theirs = ask(predictor)
    except _ANY_FAILURE as error:
        ours = ask(snapshot.predictor)  # where it has no answer either, the record is at fault
        challenger.breaker.note(good=False)
        return _of_champion(snapshot, ours, error)
    middle = clock()
    beside: Beside | None = None
    with suppress(*_ANY_FAILURE):  # the challenger has answered
        beside = Beside(snapshot.entry.version, ask(snapshot.predictor))
    challenger.breaker.note(good=not _dawdled(clock() - middle, middle - start))
    return Answers(theirs, challenger.trial.version, predictor, "canary", beside)


def _of_champion(snapshot: Snapshot, predictions: Sequence[Prediction], problem: Exception | None = None) -> Answers:
    error = None
    if problem is not None:
        error = OVERFLOW if isinstance(problem, InvalidRecord) else FAILED
    return Answers(predictions, snapshot.entry.version, snapshot.predictor, error=error, problem=problem)


def _dawdled(champion: float, challenger: float) -> bool:
    return challenger > max(SLOW_SECONDS, SLOW_TIMES * champion)
