"""Is the challenger better than the champion? The one rule of the gate that compares, as a pure function.

Three things are told apart. What was landed by the model's owner can be trusted, what was given through the API
cannot. A holdout drawn once cannot judge a world that moves, rows newer than both trainings can. And a gain may be
chance: a paired interval says how far.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from perennial.registry.rules import ROUNDING, Number, RuleResult, missing
from perennial.spec import ModelSpec

LUCK = 0.01
"""The p-value up to which what learnt from the first file of feedback is promoted by itself. Callers can send file
after file until one is lucky on the holdout, so the k-th is asked for a k²-th of it, 0.016 in all. A gain in accuracy
goes by McNemar's exact test: where a few rows decide, the bootstrap's intervals are too short."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Comparison(_Frozen):
    """Champion and challenger on the very same rows, which neither has learnt from.

    ``gain`` is that of the spec's metric, positive where the challenger is better, with its paired 95 % interval
    ``low`` to ``high`` and two-sided ``p_value``; ``bound`` is the lower end of the interval at ``gate.confidence``,
    where the spec names one. ``mcnemar`` is the p-value of McNemar's exact test of who is right more often, None for a
    regression. ``trusted`` is False where some of the labels were given through the API; ``whole`` where the rows are
    all of the challenger's holdout, or of its window.
    """

    rows: int
    champion: dict[str, float]
    challenger: dict[str, float]
    gain: Number
    low: Number = None
    high: Number = None
    bound: Number = None
    p_value: Number = None
    mcnemar: Number = None
    trusted: bool = True
    whole: bool = True


class Champion(_Frozen):
    """The champion against the challenger.

    ``holdout`` is None where they could not be compared there, and ``why`` says why; so with ``window``, the rows that
    are newer than both. ``untrusted`` where the challenger learnt from feedback that the champion did not, which are so
    many ``files``.
    """

    version: str
    holdout: Comparison | None
    why: str = ""
    window: Comparison | None = None
    window_why: str = ""
    untrusted: bool = False
    files: int = 0


def gain_rule(spec: ModelSpec, champion: Champion | None) -> RuleResult:
    """Judge the gain. The reason says what was measured on which rows, what is wanted, and how that came out.

    - A window by time whose labels can be trusted decides alone: the gain there must reach ``gate.gain``.
    - Else the gain on the holdout must reach it; or that on a window, where that gain is significant and the
      challenger is not significantly worse on the holdout. Where callers gave labels of that window, they wrote the
      exam, and what they spoil within the noise of the holdout adds up: a person has to approve it then.
    - A challenger that learnt from feedback must be significantly better wherever it is to pass, and so much so that
      it is no luck of the many that callers can have trained: else a person has to approve it.

    Significant means that the paired 95 % interval lies beyond nought.
    """
    rule = f"gain.{spec.metric}"
    wanted = spec.gate.gain
    if champion is None:
        return RuleResult(rule=rule, passed=True, reason="no champion yet.", bound=wanted)
    found = _approved(spec, champion, _judge(spec, champion))
    reason = found.reason if found.passed else found.reason + _untrusted(champion)
    return RuleResult(
        rule=rule, passed=found.passed, reason=reason, value=found.value, bound=wanted, approval=found.approval
    )


class _Verdict(_Frozen):
    """``measured`` and ``judged`` are sentences: what was found, and what is wanted of it with how that came out."""

    passed: bool
    measured: str
    judged: str = ""
    value: Number = None
    by: Comparison | None = None
    approval: bool = False

    @property
    def reason(self) -> str:
        return f"{self.measured} {self.judged}".strip()


def _judge(spec: ModelSpec, champion: Champion) -> _Verdict:
    window = champion.window
    if window is not None and window.trusted and spec.time is not None:
        return _measure(spec, champion, window, significant=champion.untrusted, where="newest")
    if champion.holdout is None:
        why = champion.why or "no reason given"
        return _Verdict(passed=False, measured=f"not comparable with champion {champion.version}: {why}.")
    frozen = _measure(spec, champion, champion.holdout, significant=champion.untrusted, where="holdout")
    if frozen.passed:
        return frozen
    if window is None:
        unseen = f" There is no window of new rows to look at: {champion.window_why}." if champion.window_why else ""
        return frozen.model_copy(update={"judged": frozen.judged + unseen})
    newest = _measure(spec, champion, window, significant=True, where="newest")
    if not newest.passed:
        return frozen.model_copy(update={"judged": f"{frozen.judged} {newest.reason}"})
    high = champion.holdout.high
    worse = "that is unknown" if high is None else "it is" if high < 0 else "it is not"
    veto = f"{newest.judged} {frozen.measured} There it must not be significantly worse: {worse}."
    return newest.model_copy(update={"passed": high is not None and high >= 0, "judged": veto})


def _approved(spec: ModelSpec, champion: Champion, found: _Verdict) -> _Verdict:
    """The verdict, and whether a person has to approve it, because callers had a hand in what speaks for it."""
    if not found.passed or found.by is None:
        return found
    why = ""
    if not found.by.trusted:
        why = "Callers gave the labels of those newest rows"
    elif champion.untrusted:
        level = LUCK / max(1, champion.files) ** 2
        chance = found.by.mcnemar if spec.metric == "accuracy" else found.by.p_value
        if chance is None or chance > level:
            said = "unknown" if chance is None else f"{chance:.2g}"
            why = f"It learnt from feedback, and may be better by luck (p {said}, at most {level:.2g} is wanted)"
    judged = f"{found.judged} {why}: a person has to approve it." if why else found.judged
    return found.model_copy(update={"judged": judged, "approval": bool(why)})


def _measure(spec: ModelSpec, champion: Champion, found: Comparison, *, significant: bool, where: str) -> _Verdict:
    """One comparison against ``gate.gain``, and against chance where it must be significant."""
    metric, rows = spec.metric, f"{found.rows:,} {where} rows"
    ours, theirs = found.challenger.get(metric), found.champion.get(metric)
    problem = missing(metric, ours) or missing(f"{metric} of champion {champion.version}", theirs)
    problem = problem or missing(f"the gain in {metric}", found.gain)
    if problem or ours is None or theirs is None or found.gain is None:
        return _Verdict(passed=False, measured=f"On {rows} {problem}.")
    neither = "" if found.whole else " that neither learnt from"
    interval = "no interval" if found.low is None else f"95 % interval {found.low:.4g} to {found.high:.4g}"
    passed, judged = _ruling(spec, found, significant)
    return _Verdict(
        passed=passed,
        measured=f"On {rows}{neither}: {metric} {ours:.4g} against {theirs:.4g} of champion {champion.version}, "
        f"a gain of {found.gain:.4g} ({interval}).",
        judged=judged,
        value=found.gain,
        by=found,
    )


def _ruling(spec: ModelSpec, found: Comparison, significant: bool) -> tuple[bool, str]:
    """Whether the gain is what is wanted, and a sentence of both."""
    wanted, confidence = spec.gate.gain, spec.gate.confidence
    reached = found.gain if confidence is None else found.bound
    asked, lower = f"A gain of at least {wanted:.4g}", ""
    if confidence is not None:
        asked = f"A lower bound of the gain, at confidence {confidence:g}, of at least {wanted:.4g}"
        lower = " (unknown)" if reached is None else f" ({reached:.4g})"
    lacking = [] if reached is not None and reached >= wanted - ROUNDING else ["it falls short"]
    if significant:
        asked += ", significantly better than nought,"
        if found.low is None or found.low <= 0:
            lacking.append("it is not significantly better")
    return not lacking, f"{asked} is wanted{lower}: {' and '.join(lacking) or 'it is reached'}."


def _untrusted(champion: Champion) -> str:
    if not champion.untrusted:
        return ""
    return (
        " It learnt from feedback, which anyone who was given a prediction can send: confirm labels by "
        "`perennial land --labels`, or leave feedback out by `retrain.feedback: false`."
    )
