"""An estimate as people and as programs read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from perennial.costs.estimate import Estimate
from perennial.costs.lines import Group, Line, amount, cents, money
from perennial.costs.prices import CERTAINTIES

TITLES: dict[Group, str] = {
    "predictions": "Predictions",
    "rows": "Rows scored from files",
    "labels": "Labels",
    "visits": "Visits of the form",
    "trainings": "Trainings",
    "schedule": "What starts trainings and monitoring",
    "at rest": "At rest",
}


def text(found: Estimate) -> str:
    """Line by line, with the maths, and then the sums."""
    lines = [f"A month on AWS, {found.prices.region}, US dollars before tax; prices as of {found.prices.checked}", ""]
    for group in found.groups():
        lines.append(f"{TITLES[group]:<64}{money(found.of(group)):>12}")
        lines += [row for line in found.lines if line.group == group for row in _rows(line)]
        lines.append("")
    lines.append(f"{'Together':<64}{money(found.dollars):>12}")
    lines.append(f"{'of it by the stage at rest, whatever is used':<64}{money(found.at_rest):>12}")
    if found.leaning:
        lines.append(f"{'not charged, being free for ever (once for each account)':<64}{money(found.leaning):>12}")
    lines += ["", *_notes(found)]
    return "\n".join(lines)


def _rows(line: Line) -> Iterator[str]:
    yield f"  {line.what:<40}{amount(line.quantity):>22}{money(line.dollars):>12}   {line.price}"
    yield f"    = {line.how}"


def _notes(found: Estimate) -> Iterator[str]:
    kinds = {line.price.certainty for line in found.lines}
    for kind, what in CERTAINTIES.items():
        if kind in kinds:
            of = sorted({line.price.key for line in found.lines if line.price.certainty == kind})
            yield f"Prices, {kind} ({what}): {', '.join(of)}"
    yield "Times were measured elsewhere than on AWS. --json names every source and assumption."


def as_json(found: Estimate) -> dict[str, Any]:
    """The same for programs: dollars as exact text and in cents, every price with its source."""
    return {
        "region": found.prices.region,
        "checked": found.prices.checked.isoformat(),
        "currency": "USD",
        "usage": found.usage.model_dump(mode="json"),
        "lines": [_line(line) for line in found.lines],
        "groups": {group: str(cents(found.of(group))) for group in found.groups()},
        "at_rest": str(cents(found.at_rest)),
        "not_charged": str(cents(found.leaning)),
        "total": str(cents(found.dollars)),
        "assumptions": dict(found.assumed.items()),
    }


def _line(line: Line) -> dict[str, Any]:
    price = line.price
    return {
        "group": line.group,
        "what": line.what,
        "quantity": str(line.quantity),
        "how": line.how,
        "free": str(line.free),
        "dollars": str(line.dollars),
        "cents": str(cents(line.dollars)),
        "price": {
            "key": price.key, "dollars": str(price.dollars), "per": price.per, "unit": price.unit,
            "certainty": price.certainty, "source": price.source, "read": price.read,
        },
    }  # fmt: skip
