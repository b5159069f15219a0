"""A month's estimate: its lines, and their sums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from perennial.costs.lines import GROUPS, Group, Line
from perennial.costs.prices import Prices
from perennial.costs.scoring import row_lines
from perennial.costs.serving import label_lines, prediction_lines, visit_lines
from perennial.costs.standing import rest_lines, schedule_lines, training_lines
from perennial.costs.usage import Assumptions, Usage

_PARTS = (prediction_lines, row_lines, label_lines, visit_lines, training_lines, schedule_lines, rest_lines)


@dataclass(frozen=True)
class Estimate:
    """The lines of a month, in dollars and before tax. Sums are exact; they are rounded where they are shown."""

    usage: Usage
    prices: Prices
    assumed: Assumptions
    lines: tuple[Line, ...]

    @property
    def dollars(self) -> Decimal:
        return sum((line.dollars for line in self.lines), Decimal(0))

    @property
    def at_rest(self) -> Decimal:
        """What is charged where nothing is used, its scheduler aside."""
        return self.of("at rest")

    @property
    def leaning(self) -> Decimal:
        """What more is charged where others of the account have used up what AWS gives it for ever."""
        return sum((line.saved for line in self.lines), Decimal(0))

    def of(self, group: Group) -> Decimal:
        return sum((line.dollars for line in self.lines if line.group == group), Decimal(0))

    def groups(self) -> list[Group]:
        """Groups that have lines, in their order."""
        there = {line.group for line in self.lines}
        return [group for group in GROUPS if group in there]


def estimate(usage: Usage, prices: Prices, *, free_tier: bool = False, assumed: Assumptions | None = None) -> Estimate:
    """What a month of this usage costs.

    Args:
        usage: what the month holds.
        prices: of the region.
        free_tier: set against it all that AWS never charges an account for, as if nothing else in it used that.
        assumed: of each piece of work.
    """
    assumed = assumed or Assumptions()
    lines = [line for part in _PARTS for line in part(usage, prices, assumed) if line.quantity]
    if free_tier:
        lines = list(_freed(lines))
    return Estimate(usage, prices, assumed, tuple(lines))


def _freed(lines: list[Line]) -> Iterator[Line]:
    """Each allowance is used once, by the lines at rest before all others."""
    left = {line.price.key: line.price.always_free for line in lines}
    for line in lines:
        left[line.price.key] -= min(line.free, line.quantity)
    for line in lines:
        more = min(left[line.price.key], max(Decimal(0), line.quantity - line.free))
        left[line.price.key] -= more
        yield replace(line, free=line.free + more)
