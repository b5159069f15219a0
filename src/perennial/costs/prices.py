"""The table of prices, ``prices.json``: each with its unit, where it was read, when, and how sure it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from perennial.errors import SettingsError

Certainty = Literal["list", "second-hand", "memory", "estimate"]
CERTAINTIES: dict[Certainty, str] = {
    "list": "AWS's own documentation, or what others read from its Price List API",
    "second-hand": "articles that quote AWS",
    "memory": "not looked up: check it on the page named",
    "estimate": "no figure was found: reckoned from another region's",
}
SEEN: frozenset[Certainty] = frozenset({"list", "second-hand"})
"""Those whose date says when they were read."""
_NO_REGIONS = frozenset({"unit", "per", "source", "always_free"})


@dataclass(frozen=True)
class Price:
    """``dollars`` for each ``per`` of a ``unit``, in one region.

    ``always_free`` is what AWS never charges an account for in a month, in single units; it is no introductory offer.
    """

    key: str
    dollars: Decimal
    per: int
    unit: str
    always_free: Decimal
    certainty: Certainty
    source: str
    read: str

    def of(self, quantity: Decimal) -> Decimal:
        """Dollars for so many single units, exact."""
        return quantity * self.dollars / self.per

    def __str__(self) -> str:
        each = "" if self.per == 1 else f"{self.per:,} "
        return f"${self.dollars} / {each}{self.unit}"


@dataclass(frozen=True)
class Prices:
    """All prices of a region, as they were on the day ``checked``."""

    region: str
    checked: date
    of: Mapping[str, Price]

    def __getitem__(self, key: str) -> Price:
        return self.of[key]


def load_prices(region: str) -> Prices:
    """The prices of a region.

    Raises:
        SettingsError: the table has none of that region.
    """
    table = _table()
    if region not in regions():
        raise SettingsError(
            f"The table of prices knows no region {region!r}.", remedy=f"Use one of {', '.join(regions())}."
        )
    sources = table["sources"]
    found = {}
    for key, entry in table["prices"].items():
        dollars, certainty = entry[region]
        source = sources[entry["source"]]
        found[key] = Price(
            key=key,
            dollars=Decimal(dollars),
            per=entry["per"],
            unit=entry["unit"],
            always_free=Decimal(entry["always_free"]),
            certainty=certainty,
            source=source["url"],
            read=source["read"],
        )
    return Prices(region, date.fromisoformat(table["checked"]), found)


def regions() -> tuple[str, ...]:
    """The regions that the table has prices of."""
    first = next(iter(_table()["prices"].values()))
    return tuple(sorted(first.keys() - _NO_REGIONS))


@cache
def _table() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files("perennial.costs").joinpath("prices.json").read_text(encoding="utf-8"))
    return found
