"""A replay under way: what is asked of the world step by step, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from perennial.errors import PerennialError, PromotionRefused, StoreUnavailable
from perennial.jobs.cycle import run_cycle
from perennial.jobs.replay.arrivals import Arrival, read_arrivals
from perennial.jobs.replay.file import Period, Timeline
from perennial.jobs.replay.plan import Plan, duration_text
from perennial.jobs.replay.results import Cause, Check, FirstVersion, PeriodScore, Replay, Training
from perennial.jobs.replay.scores import Pair, score, score_all
from perennial.jobs.replay.world import World, answer
from perennial.jobs.results import SnapshotResult
from perennial.jobs.state import find_result
from perennial.jobs.watch import run_pass
from perennial.monitoring.results import MonitorReport
from perennial.serving.predictor import Predictor
from perennial.spec import ModelSpec

Progress = Callable[[int, int, str], None]
"""Told how many steps are done, of how many, and what goes on."""


@dataclass
class _Series:
    """The answers of one series: a pair for each labelled row, period by period."""

    periods: list[list[Pair]] = field(default_factory=list)

    @property
    def all(self) -> list[Pair]:
        return [pair for each in self.periods for pair in each]


class Played:
    """A replay under way."""

    def __init__(
        self, spec: ModelSpec, plan: Plan, timeline: Timeline, periods: Sequence[Period], folder: Path, tell: Progress
    ) -> None:
        self.spec, self.plan, self.timeline, self.periods = spec, plan, timeline, periods
        self.tell, self.done = tell, 0
        self.world = World(spec, folder, periods[0].since, self._say)
        self.static, self.retrained = _Series(), _Series()
        self.trainings: list[Training] = []
        self.checks: list[Check] = []
        self.versions: list[str] = []
        self.predicted = 0

    def run(self, name: str) -> None:
        """Play all of it. ``name`` is what the initial part is called where it lands."""
        self.first = self._begin(name)
        static = self.world.serving().predictor
        self.classes = static.manifest.classes
        arrivals = read_arrivals(self.timeline, self.spec, self.classes)
        self.arrived = arrivals[self.periods[0].first :]
        for number, period in enumerate(self.periods, 1):
            self._serve(arrivals[period.first : period.last], static)
            self.world.now = period.until
            if number < len(self.periods):  # after the last one nobody is left to be served better
                self._look(number)
            self.done = number
            self._say(f"{period.until:%Y-%m-%d}")

    def result(self) -> Replay:
        """What came of it."""
        spec, start = self.spec, self.periods[0].first
        labelled = self.retrained.all
        extra = {str(pair.truth) for pair in labelled} - set(self.classes) if self.classes else set()
        classes = (*self.classes, *sorted(extra))
        scores = [
            PeriodScore(
                since=period.since, until=period.until, rows=period.last - period.first, version=version,
                static=score(spec, classes, before) if self.plan.static else None,
                retrained=score(spec, classes, now),
            )
            for period, version, before, now in zip(
                self.periods, self.versions, self.static.periods, self.retrained.periods, strict=True
            )
        ]  # fmt: skip
        causes: list[Cause] = ["new_rows", "drift", "decay"]
        promotions = sum(one.promoted for one in self.trainings)
        return Replay(
            model=spec.name,
            file=Path(self.timeline.raw.name).name,
            metric=spec.metric,
            lower_is_better=spec.lower_is_better,
            every=duration_text(self.plan.every),
            label_delay=duration_text(self.plan.label_delay),
            shuffled=self.plan.shuffle,
            start=self.periods[0].since,
            end=self.timeline.moment(self.timeline.rows - 1),
            initial_rows=start,
            arrived=len(self.arrived),
            predicted=self.predicted,
            labelled=len(labelled),
            refused=len(self.arrived) - self.predicted,
            unlabelled=sum(one.truth is None for one in self.arrived),
            unplaced=self.timeline.unplaced,
            static=score_all(spec, classes, self.static.all) if self.plan.static else None,
            retrained=score_all(spec, classes, labelled),
            first=self.first,
            trainings=tuple(self.trainings),
            promotions=promotions,
            rejections=len(self.trainings) - promotions,
            by_cause={cause: sum(cause in one.causes for one in self.trainings) for cause in causes},
            drift_or_decay=sum(bool({"drift", "decay"} & set(one.causes)) for one in self.trainings),
            checks=tuple(self.checks),
            periods=tuple(scores),
        )

    def _begin(self, name: str) -> FirstVersion:
        self.world.land(name, self.timeline.table(self.periods[0].first))
        w = self.world.workspace("replay-0000")
        outcome = run_cycle(w)
        taken = find_result(w, "snapshot", SnapshotResult)
        assert taken is not None  # a cycle that returns has taken a snapshot
        if not outcome.promoted or outcome.version is None or outcome.candidate is None:
            raise PromotionRefused(
                f"The first version did not pass its gate, so nothing could serve. {' '.join(outcome.failures)}",
                remedy="Loosen `gate`, or give the replay more rows to begin with by --initial.",
            )
        return FirstVersion(
            version=outcome.version, candidate=outcome.candidate, train_rows=taken.train_rows,
            holdout_rows=taken.holdout_rows, refused=taken.refused, holdout=outcome.metrics,
        )  # fmt: skip

    def _serve(self, arrivals: Sequence[Arrival], static: Predictor) -> None:
        self.versions.append(self.world.serving().entry.version)
        answered = self.world.serve(arrivals)
        self.predicted += len(answered)
        self.retrained.periods.append([Pair(a.truth, given) for a, given in answered if a.truth is not None])
        taken = [arrival for arrival, _ in answered] if self.plan.static else []
        self.static.periods.append(
            [
                Pair(arrival.truth, given)
                for arrival, given in zip(taken, answer(static, taken), strict=True)
                if arrival.truth is not None and given is not None
            ]
        )

    def _look(self, number: int) -> None:
        """Deliver what has turned out true, look, and train where that says so."""
        self.world.deliver(self.plan.label_delay)
        report = run_pass(self.world.workspace(f"watch-{number:04d}", "schedule"), html=False)
        self.checks.append(_check_of(report, self.spec))
        if report.retrain:
            self._train(number, report)

    def _train(self, number: int, report: MonitorReport) -> None:
        w = self.world.workspace(f"replay-{number:04d}", "monitor", "; ".join(report.reasons))
        why = {"time": report.until, "reasons": report.reasons, "causes": _causes(report)}
        try:
            outcome = run_cycle(w)
        except StoreUnavailable:
            raise
        except PerennialError as error:  # as in production: this training is over, the version in service serves on
            self.trainings.append(Training(**why, failed=str(error)))
            return
        taken = find_result(w, "snapshot", SnapshotResult)
        if outcome.trained and taken is not None:
            self.trainings.append(
                Training(
                    **why, version=outcome.version, candidate=outcome.candidate, train_rows=taken.train_rows,
                    window_rows=taken.window_rows, passed=outcome.passed,
                    promoted=outcome.promoted and not outcome.rolled_back, gate=outcome.reasons,
                )
            )  # fmt: skip

    def _say(self, line: str) -> None:
        self.tell(self.done, len(self.periods), line)


def _check_of(report: MonitorReport, spec: ModelSpec) -> Check:
    values = {one.metric: one.value for one in report.performance.metrics}
    return Check(
        time=report.until,
        rows=report.rows,
        labels=report.performance.labels,
        drift=report.drift.status,
        drift_share=report.drift.share,
        performance=values.get(spec.metric),
        performance_status=report.performance.status,
        retrain=report.retrain,
        reasons=report.reasons,
        blocked=report.blocked,
    )


def _causes(report: MonitorReport) -> tuple[Cause, ...]:
    """What a training came from; new rows where it is neither of what was measured, or besides it."""
    found: list[Cause] = []
    if any(not reason.startswith(("drift:", "decay:")) for reason in report.reasons):
        found.append("new_rows")
    if report.drift.status == "drift":
        found.append("drift")
    if report.performance.status == "decay":
        found.append("decay")
    return tuple(found)
