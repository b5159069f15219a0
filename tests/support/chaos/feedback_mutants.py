"""Broken variants of what stands between callers and the champion, by the attributes they replace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from perennial.datasets import sides, snapshot
from perennial.datasets.manifest import Split
from perennial.datasets.prepare import Prepared
from perennial.datasets.rowindex import RowIndex
from perennial.registry import gain
from perennial.registry.gate import Decision
from perennial.spec import ModelSpec
from tests.support.chaos.feedback_floods import Found

Replace = Callable[[Any, str, Any], None]


def judged_by_callers(replacing: Replace) -> None:
    """The gate looks at the newest rows alone, whoever labelled them."""
    judge = gain._judge

    def judged(spec: ModelSpec, champion: gain.Champion) -> Any:
        window = champion.window
        if window is None:
            return judge(spec, champion)
        return gain._measure(
            spec, champion, window.model_copy(update={"trusted": True}), significant=True, where="newest"
        )

    replacing(gain, "_judge", judged)
    replacing(gain, "LUCK", 1.0)


def nobody_is_asked(replacing: Replace) -> None:
    """What passes by the word of callers is promoted like anything else."""
    replacing(Decision, "approval", False)


def holdout_of_callers(replacing: Replace) -> None:
    """The holdout grows with what comes from callers."""
    dividing = sides.divide

    def divide(spec: ModelSpec, prepared: Sequence[Prepared], inherited: Any, holdout: RowIndex, *more: Any) -> Any:
        told = [replace(one, kind="landed") for one in prepared if one.kind == "feedback"]
        drawn = sides.draw_holdout(Split.of(spec), spec, told).rows if told else {}
        return dividing(spec, prepared, inherited, _grown(holdout, drawn), *more)

    replacing(snapshot, "divide", divide)


def _grown(holdout: RowIndex, drawn: Mapping[str, Any]) -> RowIndex:
    """The same index, which is stored after this, with more rows."""
    rows: Any = holdout.rows
    rows.update(drawn)
    return holdout


def collected_again(replacing: Replace) -> None:
    """What was collected before is collected once more."""
    from perennial.jobs import collect

    replacing(collect, "_known", lambda w, files, since: frozenset())


@dataclass(frozen=True)
class Flooded:
    """How the loop is broken, and what of a flood's :class:`Found` tells of it."""

    become: Callable[[Replace], None]
    finding: Literal["worse", "holdout", "doubled"]

    def caught(self, found: Found) -> bool:
        return bool(getattr(found, self.finding))


FLOODED: Mapping[str, Flooded] = {
    "gate judged on labels of callers": Flooded(judged_by_callers, "worse"),
    "nobody asked about what callers taught": Flooded(nobody_is_asked, "worse"),
    "holdout that takes feedback": Flooded(holdout_of_callers, "holdout"),
    "labels collected again": Flooded(collected_again, "doubled"),
}
