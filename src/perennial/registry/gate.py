"""May this candidate become champion? A pure function of metrics and policy, one reason for each rule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from perennial import keys
from perennial.errors import AlreadyExistsError, IntegrityError
from perennial.registry.manifest import ModelManifest, Parity
from perennial.spec import LOWER_IS_BETTER, ModelSpec, SlicePolicy, canonical
from perennial.store import Store

PARITY = 1e-6
ROWS = "rows"  # how many rows of the holdout a slice has, beside its metrics
ROUNDING = 1e-12  # a difference of two floats may miss a decimal bound by its last digit


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


_Number = Annotated[float | None, AfterValidator(_finite)]  # canonical JSON has no NaN


Slices = Mapping[str, Mapping[str, float]]  # group -> metric, or ``rows`` -> value


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RuleResult(_Frozen):
    """One rule's answer. ``value`` is what was measured (None: nothing that could be judged), ``bound`` the limit."""

    rule: str
    passed: bool
    reason: str
    value: _Number = None
    bound: _Number = None


class Decision(_Frozen):
    """The gate's answer: passed if every rule did."""

    candidate: str
    champion: str | None
    passed: bool
    rules: tuple[RuleResult, ...]

    def to_bytes(self) -> bytes:
        """Canonical JSON, as stored."""
        return canonical(self.model_dump(mode="json"))


class Champion(_Frozen):
    """The champion as measured on holdout rows that the candidate has not learnt from either.

    ``metrics`` is None if it could not be: ``why`` says. Where these rows are not the candidate's whole holdout,
    ``rows`` counts them and ``candidate`` holds the candidate's own metrics there.
    """

    version: str
    metrics: dict[str, float] | None
    why: str = ""
    rows: int | None = None
    candidate: dict[str, float] | None = None


def decide(candidate: ModelManifest, champion: Champion | None) -> Decision:
    """Judge a published candidate by its own spec's gate policy. ``champion`` is None before the first promotion."""
    metrics = {name: metric.value for name, metric in candidate.metrics.items()}
    rules = judge(candidate.spec, metrics, candidate.slices, candidate.parity, champion, candidate.version)
    return Decision(
        candidate=candidate.version,
        champion=champion.version if champion else None,
        passed=all(rule.passed for rule in rules),
        rules=rules,
    )


def judge(
    spec: ModelSpec,
    metrics: Mapping[str, float],
    slices: Mapping[str, Slices],
    parity: Parity,
    champion: Champion | None,
    version: str = "VERSION",
) -> tuple[RuleResult, ...]:
    """One answer for each rule of the spec's gate. A metric that is missing or not finite never passes.

    ``version`` is the candidate's: where it cannot be compared, the reason tells how to promote it.
    """
    policy = spec.gate
    remedy = f"To let it serve all the same: `perennial promote {spec.name} {version}`."
    return (
        *(_bound("minimum", name, metrics.get(name), bound) for name, bound in sorted(policy.minimum.items())),
        *(_bound("maximum", name, metrics.get(name), bound) for name, bound in sorted(policy.maximum.items())),
        _gain(spec.metric, metrics, champion, policy.gain, remedy),
        *(
            _slices(column, spec.metric, metrics.get(spec.metric), slices.get(column, {}), limit)
            for column, limit in sorted(policy.slices.items())
        ),
        _parity(parity),
    )


def record_decision(store: Store, model: str, op_id: str, decision: Decision) -> Decision:
    """Keep the gate's answer; a repeated operation gets the answer that was given first.

    Raises:
        IntegrityError: what is kept is no decision.
        StoreUnavailable: S3 did not answer.
    """
    key = keys.gate_decision(model, op_id)
    try:
        store.put_new(key, decision.to_bytes())
    except AlreadyExistsError:
        try:
            return Decision.model_validate_json(store.get(key).data)
        except ValidationError as error:
            raise IntegrityError(f"{key} is no gate decision.", remedy="Use a new op_id.") from error
    return decision


def _bound(side: str, metric: str, value: float | None, bound: float) -> RuleResult:
    rule = f"{side}.{metric}"
    if (missing := _missing(metric, value)) or value is None:
        return RuleResult(rule=rule, passed=False, reason=f"{missing}; the {side} is {bound:g}.", bound=bound)
    passed = value >= bound if side == "minimum" else value <= bound
    relation = "is not" if passed else "is"
    wrong = "below" if side == "minimum" else "above"
    reason = f"{metric} {value:.6g} {relation} {wrong} the {side} {bound:.6g}."
    return RuleResult(rule=rule, passed=passed, reason=reason, value=value, bound=bound)


def _gain(
    metric: str, metrics: Mapping[str, float], champion: Champion | None, wanted: float, remedy: str
) -> RuleResult:
    rule = f"gain.{metric}"
    if champion is None:
        return RuleResult(rule=rule, passed=True, reason="no champion yet.", bound=wanted)
    if champion.metrics is None:
        reason = f"not comparable with champion {champion.version}: {champion.why or 'no reason given'}. {remedy}"
        return RuleResult(rule=rule, passed=False, reason=reason, bound=wanted)
    shared = metrics if champion.candidate is None else champion.candidate
    ours, theirs = shared.get(metric), champion.metrics.get(metric)
    missing = _missing(metric, ours) or _missing(f"{metric} of champion {champion.version}", theirs)
    if missing or ours is None or theirs is None:
        return RuleResult(rule=rule, passed=False, reason=f"{missing}. {remedy}", bound=wanted)
    rows = "the same rows" if champion.rows is None else f"the {champion.rows:,} holdout rows that neither learnt from"
    gain = theirs - ours if metric in LOWER_IS_BETTER else ours - theirs
    passed = gain >= wanted - ROUNDING
    reason = (
        f"{metric} {ours:.6g} against {theirs:.6g} of champion {champion.version} on {rows}: "
        f"a gain of {gain:.6g}, {'and' if passed else 'but'} at least {wanted:.6g} is wanted."
    )
    return RuleResult(rule=rule, passed=passed, reason=reason, value=gain, bound=wanted)


def _slices(column: str, metric: str, overall: float | None, groups: Slices, limit: SlicePolicy) -> RuleResult:
    rule = f"slices.{column}"
    problems = [_missing(metric, overall)] if groups else [f"no slices of {column} were measured"]
    gaps: dict[str, float] = {}
    small = 0
    for group, measured in sorted(groups.items()):
        if (rows := measured.get(ROWS)) is not None and rows < limit.minimum_rows:
            small += 1
            continue
        value = measured.get(metric)
        problems.append(_missing(f"{metric} of {column} = {group}", value))
        if value is not None and overall is not None:
            gaps[group] = value - overall if metric in LOWER_IS_BETTER else overall - value
    left_out = f" ({small} groups under {limit.minimum_rows} rows are not judged)" if small else ""
    if problem := next(filter(None, problems), ""):
        return RuleResult(rule=rule, passed=False, reason=f"{problem}{left_out}.", bound=limit.maximum_gap)
    if not gaps:
        return RuleResult(rule=rule, passed=True, reason=f"no group to judge{left_out}.", bound=limit.maximum_gap)
    worst = max(gaps, key=lambda group: gaps[group])
    passed = gaps[worst] <= limit.maximum_gap + ROUNDING
    reason = (
        f"{metric} of {column} = {worst} lags the whole by {gaps[worst]:.6g}, "
        f"{'within' if passed else 'over'} the gap of {limit.maximum_gap:.6g}{left_out}."
    )
    return RuleResult(rule=rule, passed=passed, reason=reason, value=gaps[worst], bound=limit.maximum_gap)


def _parity(parity: Parity) -> RuleResult:
    passed = parity.max_difference <= PARITY and parity.changed_classes == 0
    reason = (
        f"the exported graph differs from scikit-learn by at most {parity.max_difference:.3g} (bound {PARITY:g}) "
        f"and changes {parity.changed_classes} classes (bound 0)."
    )
    return RuleResult(rule="parity", passed=passed, reason=reason, value=parity.max_difference, bound=PARITY)


def _missing(what: str, value: float | None) -> str:
    if value is None:
        return f"{what} is missing"
    return "" if math.isfinite(value) else f"{what} is not a finite number"
