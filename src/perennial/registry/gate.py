"""May this candidate become champion? A pure function of metrics and policy, one reason for each rule."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, ValidationError

from perennial import keys
from perennial.errors import AlreadyExistsError, IntegrityError
from perennial.registry.gain import Champion, Comparison, gain_rule
from perennial.registry.manifest import ModelManifest, Parity
from perennial.registry.rules import ROUNDING, RuleResult, missing
from perennial.spec import LOWER_IS_BETTER, ModelSpec, SlicePolicy, canonical
from perennial.store import Store

__all__ = [
    "ROWS",
    "Champion",
    "Comparison",
    "Decision",
    "RuleResult",
    "decide",
    "find_decision",
    "judge",
    "record_decision",
]

PARITY = 1e-6
ROWS = "rows"  # how many rows of the holdout a slice has, beside its metrics

Slices = Mapping[str, Mapping[str, float]]  # group -> metric, or ``rows`` -> value


class Decision(BaseModel):
    """The gate's answer: passed if every rule did. ``compared`` is what the gain was judged by.

    Decisions of earlier releases hold no ``compared``, nor does one where there was no champion.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidate: str
    champion: str | None
    passed: bool
    rules: tuple[RuleResult, ...]
    compared: Champion | None = None

    @property
    def approval(self) -> bool:
        """Whether a person has to approve what passed, whatever the spec says."""
        return self.passed and any(rule.approval for rule in self.rules)

    def to_bytes(self) -> bytes:
        """Canonical JSON, as stored."""
        return canonical(self.model_dump(mode="json"))


def decide(candidate: ModelManifest, champion: Champion | None) -> Decision:
    """Judge a published candidate by its own spec's gate policy. ``champion`` is None before the first promotion."""
    metrics = {name: metric.value for name, metric in candidate.metrics.items()}
    rules = judge(candidate.spec, metrics, candidate.slices, candidate.parity, champion)
    return Decision(
        candidate=candidate.version,
        champion=champion.version if champion else None,
        passed=all(rule.passed for rule in rules),
        rules=rules,
        compared=champion,
    )


def judge(
    spec: ModelSpec,
    metrics: Mapping[str, float],
    slices: Mapping[str, Slices],
    parity: Parity,
    champion: Champion | None,
) -> tuple[RuleResult, ...]:
    """One answer for each rule of the spec's gate. A metric that is missing or not finite never passes."""
    policy = spec.gate
    return (
        *(_bound("minimum", name, metrics.get(name), bound) for name, bound in sorted(policy.minimum.items())),
        *(_bound("maximum", name, metrics.get(name), bound) for name, bound in sorted(policy.maximum.items())),
        gain_rule(spec, champion),
        *(
            _slices(column, spec.metric, metrics.get(spec.metric), slices.get(column, {}), limit)
            for column, limit in sorted(policy.slices.items())
        ),
        _parity(parity),
    )


def find_decision(store: Store, model: str, op_id: str) -> Decision | None:
    """The answer that an operation was given; None before it was. Raises IntegrityError for what is no decision."""
    key = keys.gate_decision(model, op_id)
    found = store.find(key)
    try:
        return Decision.model_validate_json(found.data) if found else None
    except ValidationError as error:
        raise IntegrityError(f"{key} is no gate decision.", remedy="Use a new op_id.") from error


def record_decision(store: Store, model: str, op_id: str, decision: Decision) -> Decision:
    """Keep the gate's answer; a repeated operation gets the answer that was given first.

    Raises:
        IntegrityError: what is kept is no decision.
        StoreUnavailable: S3 did not answer.
    """
    try:
        store.put_new(keys.gate_decision(model, op_id), decision.to_bytes())
    except AlreadyExistsError:
        return find_decision(store, model, op_id) or decision
    return decision


def _bound(side: str, metric: str, value: float | None, bound: float) -> RuleResult:
    rule = f"{side}.{metric}"
    if (problem := missing(metric, value)) or value is None:
        return RuleResult(rule=rule, passed=False, reason=f"{problem}; the {side} is {bound:.4g}.", bound=bound)
    passed = value >= bound if side == "minimum" else value <= bound
    relation = "is not" if passed else "is"
    wrong = "below" if side == "minimum" else "above"
    reason = f"{metric} {value:.4g} {relation} {wrong} the {side} {bound:.4g}."
    return RuleResult(rule=rule, passed=passed, reason=reason, value=value, bound=bound)


def _slices(column: str, metric: str, overall: float | None, groups: Slices, limit: SlicePolicy) -> RuleResult:
    rule = f"slices.{column}"
    problems = [missing(metric, overall)] if groups else [f"no slices of {column} were measured"]
    gaps: dict[str, float] = {}
    small = 0
    for group, measured in sorted(groups.items()):
        if (rows := measured.get(ROWS)) is not None and rows < limit.minimum_rows:
            small += 1
            continue
        value = measured.get(metric)
        problems.append(missing(f"{metric} of {column} = {group}", value))
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
        f"{metric} of {column} = {worst} lags the whole by {gaps[worst]:.4g}, "
        f"{'within' if passed else 'over'} the gap of {limit.maximum_gap:.4g}{left_out}."
    )
    return RuleResult(rule=rule, passed=passed, reason=reason, value=gaps[worst], bound=limit.maximum_gap)


def _parity(parity: Parity) -> RuleResult:
    passed = parity.max_difference <= PARITY and parity.changed_classes == 0
    reason = (
        f"the exported graph differs from scikit-learn by at most {parity.max_difference:.3g} (bound {PARITY:g}) "
        f"and changes {parity.changed_classes} classes (bound 0)."
    )
    return RuleResult(rule="parity", passed=passed, reason=reason, value=parity.max_difference, bound=PARITY)
